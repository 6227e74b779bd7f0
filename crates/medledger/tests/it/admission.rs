//! A hospital that is admitted to a running chain, and one that is expelled, by files alone.

use crate::hospitals::{House, founders, new_hospital, settle};
use crate::support::{PASSWORD, member};
use medledger::core::hospital::{Proposal, ProposalError};
use medledger::{
    Contact, HospitalChangeError, ImportError, Ledger, RecordId, RegisterError, Role, VerifyDepth,
};

fn chain_of(house: &House) -> Vec<u8> {
    let mut file = Vec::new();
    house.ledger.export_chain(&mut file, true, &mut |_, _| {}).unwrap();
    file
}

/// Everybody approves, the last one submits.
pub(crate) fn decide(proposal: Proposal, by: &[&House]) -> RecordId {
    let mut proposal = Proposal::decode(&proposal.encode()).unwrap();
    for house in by {
        proposal = house.ledger.approve_proposal(&house.identity, &proposal).unwrap();
    }
    let last = by.last().unwrap();
    last.ledger.submit_proposal(&last.identity, &proposal).unwrap()
}

/// How many blocks are final there.
fn finalized(house: &House) -> u64 {
    let note = house.ledger.checkpoint().unwrap().unwrap();
    note.text().lines().nth(1).unwrap().parse().unwrap()
}

pub(crate) fn check(house: &House, record: &RecordId, quorum: usize, hospitals: usize) {
    let receipt = house.ledger.receipt(record).unwrap();
    let proven = receipt.check(&house.ledger.chain()).unwrap();
    assert_eq!((proven.quorum, proven.hospitals), (quorum, hospitals));
}

pub(crate) fn healthy(houses: &[&House]) {
    for house in houses {
        let report = house.ledger.verify(VerifyDepth::Full).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

#[test]
fn a_hospital_is_admitted_joins_and_decides_with_the_others_until_it_is_expelled() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [a, b] = &houses[..] else { panic!("two hospitals") };
    let chain = a.ledger.chain();
    let (_, before) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
    settle(&[a, b]);

    let folder = dir.path().join("c");
    new_hospital(&folder, "C");
    let card = Ledger::hospital_card(&folder, Some(chain), PASSWORD).unwrap();
    let early = Ledger::join(&folder, &chain, &chain_of(a)[..], &mut |_| {}).unwrap_err();
    assert!(matches!(early, ImportError::NotAHospital { .. }), "{early}");
    let proposal = a.ledger.propose_admission(&a.identity, &card).unwrap();
    let few = a.ledger.submit_proposal(&a.identity, &proposal).unwrap_err();
    assert!(matches!(few, HospitalChangeError::TooFew { found: 1, needed: 2 }), "{few}");
    let admission = decide(proposal.clone(), &[b]);
    settle(&[a, b]);
    check(b, &admission, 2, 2);
    // What was approved once is not approved for the hospitals after it.
    let again = a.ledger.approve_proposal(&a.identity, &proposal).unwrap_err();
    assert!(matches!(again, HospitalChangeError::Proposal(ProposalError::OtherSet)), "{again}");

    let (ledger, taken) = Ledger::join(&folder, &chain, &chain_of(a)[..], &mut |_| {}).unwrap();
    assert_eq!(taken.finalized, finalized(a), "the file carries what made the change final");
    let identity = ledger.unlock(&ledger.hospital(), PASSWORD).unwrap();
    let c = &House { ledger, identity };
    for house in [a, b, c] {
        let now = house.ledger.hospitals().unwrap();
        assert_eq!((now.set.len(), now.deciding.len(), now.set.number), (3, 3, 1));
    }
    let members = b.ledger.members().unwrap();
    let name = members.into_iter().find(|member| member.id == c.identity.id()).unwrap();
    assert_eq!(name.contact.name, "C", "as its card says");
    let (_, at_c) = member(&c.ledger, &c.identity, Role::Doctor, "Dr Cem");
    settle(&[a, b, c]);
    for house in [a, b, c] {
        check(house, &at_c.record, 3, 3);
        check(house, &before.record, 2, 2);
    }
    healthy(&[a, b, c]);

    let proposal = a.ledger.propose_expulsion(&a.identity, &c.identity.id()).unwrap();
    // Of three it takes three: it consents to go.
    let expulsion = decide(proposal, &[c, b]);
    settle(&[a, b, c]);
    check(a, &expulsion, 3, 3);
    let refused = c.ledger.propose_expulsion(&c.identity, &a.identity.id()).unwrap_err();
    assert!(matches!(refused, HospitalChangeError::NotAHospital(_)), "{refused}");
    let contact = Contact::named("Dr Dee");
    let refused = c.ledger.add_member(&c.identity, Role::Doctor, &contact, PASSWORD).unwrap_err();
    assert!(matches!(refused, RegisterError::Submit(_)), "{refused}");
    let (_, last) = member(&b.ledger, &b.identity, Role::Doctor, "Dr Eve");
    settle(&[a, b, c]);
    for house in [a, b, c] {
        check(house, &last.record, 2, 2);
    }
    healthy(&[a, b, c]);
    // Whoever takes the whole chain finds the same.
    let follower = dir.path().join("follower");
    let (follower, taken) =
        Ledger::follow(&follower, &chain, &chain_of(c)[..], &mut |_| {}).unwrap();
    assert_eq!(taken.finalized, finalized(c));
    assert_eq!(follower.hospitals().unwrap().set, a.ledger.hospitals().unwrap().set);
}
