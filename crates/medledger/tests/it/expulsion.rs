//! Hospitals that are expelled while they are away or while others wait for their vote, with ledgers on disk.

use crate::admission::{check, decide, healthy};
use crate::hospitals::{House, exchange, founders, new_hospital, settle};
use crate::restored::{chain_of, copy_of, mine};
use crate::support::{PASSWORD, member};
use medledger::core::engine::OrderError;
use medledger::core::registry::VoidCode;
use medledger::{BlockPolicy, Due, ImportError, Ledger, MiningControl, Role, WaitError};
use std::path::Path;

/// After a crash: opened again, with what was on disk.
fn restarted(house: House, folder: &Path) -> House {
    drop(house.ledger);
    House { ledger: Ledger::open(folder).unwrap(), identity: house.identity }
}

fn is_hospital(at: &House, who: &House) -> bool {
    at.ledger.hospitals().unwrap().set.contains(&who.identity.id())
}

#[test]
fn one_that_is_away_is_expelled_and_told_so_when_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, c, away]: [House; 4] = founders(dir.path(), 4).try_into().ok().unwrap();
    let (_, first) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
    settle(&[&a, &b, &c, &away]);
    check(&away, &first.record, 3, 4);

    // It is on its own from here on: a doctor in a block of its own, and one that waits.
    let (_, mined) = member(&away.ledger, &away.identity, Role::Doctor, "Dr Dan");
    away.ledger.wait_mined(&mined.record).unwrap();
    let (_, waits) = member(&away.ledger, &away.identity, Role::Doctor, "Dr Dora");
    let (late_chain, late_news) = (chain_of(&away), away.ledger.export_news().unwrap());

    let proposal = a.ledger.propose_expulsion(&a.identity, &away.identity.id()).unwrap();
    let expulsion = decide(proposal, &[&b, &c]);
    c.ledger.wait_mined(&expulsion).unwrap();
    exchange(&[&a, &b, &c]);
    let b = restarted(b, &dir.path().join("1"));
    settle(&[&a, &b, &c]);
    for house in [&a, &b, &c] {
        check(house, &expulsion, 3, 4);
        assert!(!is_hospital(house, &away));
    }
    let (_, next) = member(&b.ledger, &b.identity, Role::Doctor, "Dr Bob");
    settle(&[&a, &b, &c]);
    check(&a, &next.record, 3, 3);

    // Its block, its votes and its records count no more; the block lies below what is final.
    let tip = a.ledger.view().unwrap().tip().unwrap().unwrap().id;
    let refused = a.ledger.import_chain(&late_chain[..], &mut |_| {});
    assert!(matches!(refused, Err(ImportError::Forked { .. })), "{refused:?}");
    let taken = a.ledger.import_news(&late_news).unwrap();
    assert_eq!((taken.votes, taken.records, taken.refused), (0, 0, 1));
    assert!(taken.ignored > 0, "it had voted");
    assert_eq!(a.ledger.view().unwrap().tip().unwrap().unwrap().id, tip);
    assert_eq!(a.ledger.waiting().unwrap(), 0);

    // It hears what happened, and ends where the others are.
    let hears = || {
        away.ledger.import_chain(&chain_of(&a)[..], &mut |_| {}).unwrap();
        away.ledger.import_news(&a.ledger.export_news().unwrap()).unwrap();
    };
    hears();
    assert!(!is_hospital(&away, &away));
    assert_eq!(away.ledger.hospitals().unwrap().deciding.len(), 3);
    check(&away, &expulsion, 3, 4);
    let error = away.ledger.mine_with(&MiningControl::new(), true).unwrap_err();
    assert!(matches!(error, OrderError::NoMiningKey), "{error}");
    let control = MiningControl::new();
    let told = away.ledger.keep_mining(&BlockPolicy::default(), &control, &mut |_| {}).unwrap_err();
    assert!(matches!(told, OrderError::NoMiningKey), "it does not wait for ever: {told}");
    // Accepted ends mined or refused also where nobody mines any more, once what refuses it is final.
    let (_, last) = member(&c.ledger, &c.identity, Role::Doctor, "Dr Cid");
    settle(&[&a, &b, &c]);
    hears();
    for record in [&mined.record, &waits.record] {
        let told = away.ledger.wait_mined(record).unwrap_err();
        let refused = matches!(told, WaitError::Refused { code: VoidCode::Suspended, .. });
        assert!(refused, "{told:?}");
    }
    assert_eq!(away.ledger.waiting().unwrap(), 0);
    assert_eq!(away.ledger.block_due(&BlockPolicy::default()).unwrap(), Due::Not);
    let away = restarted(away, &dir.path().join("3"));
    settle(&[&a, &b, &c, &away]);
    check(&away, &last.record, 3, 3);
    healthy(&[&a, &b, &c, &away]);
}

/// The block that admits it is given up for a heavier branch, by a hospital that has not heard of it.
#[test]
fn one_whose_admission_was_given_up_is_told_so_and_mines_once_it_is_admitted() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b]: [House; 2] = founders(dir.path(), 2).try_into().ok().unwrap();
    let (folder, chain) = (dir.path().join("c"), a.ledger.chain());
    new_hospital(&folder, "C");
    let card = Ledger::hospital_card(&folder, Some(chain), PASSWORD).unwrap();
    let proposal = a.ledger.propose_admission(&a.identity, &card).unwrap();
    let admission = decide(proposal, &[&b, &a]);
    a.ledger.wait_mined(&admission).unwrap();
    let (ledger, _) = Ledger::join(&folder, &chain, &chain_of(&a)[..], &mut |_| {}).unwrap();
    let identity = ledger.unlock(&ledger.hospital(), PASSWORD).unwrap();
    let c = House { ledger, identity };
    assert!(is_hospital(&c, &c));
    for _ in 0..2 {
        mine(&b.ledger);
    }
    let taken = c.ledger.import_chain(&chain_of(&b)[..], &mut |_| {}).unwrap();
    assert_eq!((taken.added, taken.removed), (2, 1));
    assert!(!is_hospital(&c, &c));
    // The record waits again, and what waits is due at once: it does not mine it either.
    let c = restarted(c, &folder);
    assert_eq!(c.ledger.waiting().unwrap(), 1);
    let soon = BlockPolicy { records: 1, ..BlockPolicy::default() };
    for policy in [BlockPolicy::default(), soon] {
        let mut none = |_: &_| panic!("it mines nothing");
        let told = c.ledger.keep_mining(&policy, &MiningControl::new(), &mut none).unwrap_err();
        assert!(matches!(told, OrderError::NoMiningKey), "{told}");
    }
    assert!(c.ledger.hospitals().unwrap().expelled.is_empty());
    settle(&[&a, &b]);
    c.ledger.import_chain(&chain_of(&a)[..], &mut |_| {}).unwrap();
    settle(&[&a, &b, &c]);
    assert!(is_hospital(&c, &c));
    mine(&c.ledger);
    let (_, at_c) = member(&c.ledger, &c.identity, Role::Doctor, "Dr Cem");
    settle(&[&a, &b, &c]);
    check(&a, &at_c.record, 3, 3);
    healthy(&[&a, &b, &c]);
}

/// What the model of finality found: the one that is expelled has voted for the block with its expulsion, then in a
/// later round for another branch, and cannot mine for a round after that. Its vote is needed: of three it takes three.
#[test]
fn three_expel_one_that_spent_its_vote_on_another_branch() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, c]: [House; 3] = founders(dir.path(), 3).try_into().ok().unwrap();
    let at = |name: &str| dir.path().join(name);
    let [a2, b2, c2] =
        [(&a, "a2"), (&b, "b2"), (&c, "c2")].map(|(house, name)| copy_of(&house.ledger, &at(name)));
    // The branch with the expulsion: two blocks by the two that stay.
    let proposal = a.ledger.propose_expulsion(&a.identity, &c.identity.id()).unwrap();
    let expulsion = decide(proposal, &[&b, &c, &a]);
    a.ledger.wait_mined(&expulsion).unwrap();
    let one = chain_of(&a);
    b.ledger.import_chain(&one[..], &mut |_| {}).unwrap();
    mine(&b.ledger);
    let with = chain_of(&b);
    // Another one, of three blocks.
    let mut without = Vec::new();
    for ledger in [&c2, &b2, &a2] {
        if !without.is_empty() {
            ledger.import_chain(&without[..], &mut |_| {}).unwrap();
        }
        mine(ledger);
        without.clear();
        ledger.export_chain(&mut without, true, &mut |_, _| {}).unwrap();
    }
    let voted = |house: &House, of: &[u8]| {
        house.ledger.import_chain(of, &mut |_| {}).unwrap();
        house.ledger.export_news().unwrap()
    };
    let from_c = voted(&c, &with);
    let spent = c.ledger.import_chain(&without[..], &mut |_| {}).unwrap();
    assert_eq!(
        (spent.removed, spent.added),
        (2, 3),
        "the heavier branch is the best one there now"
    );
    let later = c.ledger.export_news().unwrap();
    // The others hear the first vote, then the second one.
    let from_a = voted(&a, &with);
    let from_b = b.ledger.export_news().unwrap();
    for news in [&from_a, &from_b, &from_c, &later] {
        a.ledger.import_news(news).unwrap();
        b.ledger.import_news(news).unwrap();
    }
    assert!(!is_hospital(&a, &c) && a.ledger.receipt(&expulsion).is_err(), "not final yet");
    let b = restarted(b, &at("1"));
    settle(&[&a, &b, &c]);
    for house in [&a, &b, &c] {
        check(house, &expulsion, 3, 3);
    }
    let (_, next) = member(&b.ledger, &b.identity, Role::Doctor, "Dr Bob");
    settle(&[&a, &b, &c]);
    for house in [&a, &b, &c] {
        check(house, &next.record, 2, 2);
    }
    healthy(&[&a, &b, &c]);
}
