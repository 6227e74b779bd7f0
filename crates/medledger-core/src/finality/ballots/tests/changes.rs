//! Hospitals that come and go while others vote.

use super::*;
use crate::chain::BlockError;
use crate::engine::OrderError;
use crate::fork::{Checkpointed, Fault, Received};
use crate::hospital::{Application, HospitalSet};
use crate::receipt::{CheckError, Reason, Receipt};
use crate::record::{Admit, HospitalChange, SignedRecord};
use crate::state::State;
use crate::store::Standing;

const NEW: u8 = 12;
/// The founders beside the first one, where there are three.
const OTHERS: &[u8] = &[OTHER_HOSPITAL, 11];

/// Three founders, and a fourth hospital that only follows.
fn three_and_a_candidate() -> Network {
    let mut three = genesis();
    three.founders.retain(|founder| founder.identity.member_id() != id(NEW));
    Network::of(&three, &FOUNDERS)
}

fn hospitals(ledger: &Ledger) -> HospitalSet {
    let view = ledger.store.view().unwrap();
    State::new(view.as_ref()).hospitals(&ledger.rules.genesis).unwrap()
}

fn newest_note(ledger: &Ledger) -> (String, u64) {
    let view = ledger.store.view().unwrap();
    let (note, over) = crate::finality::newest(view.as_ref(), &ledger.rules).unwrap().unwrap();
    (note.to_string(), over.size)
}

fn joins(network: &Network, number: u8) -> HospitalChange {
    let chain = Some(network.chain());
    HospitalChange::from(Application::new(chain, &member(number), &mining_key(number)))
}

/// The record of a change by the first hospital that these approved, of the hospitals it has now.
fn changed(network: &Network, change: HospitalChange, approved: &[u8]) -> SignedRecord {
    let ledger = &network.hospitals[0];
    let set = hospitals(ledger);
    let approve = |number: &u8| set.approve(&ledger.rules.chain, &change, &member(*number));
    let mut approvals: Vec<_> = approved.iter().map(approve).collect();
    approvals.sort_by_key(|approval| approval.hospital);
    ledger.world().sign(ledger.hospital, Admit { set: set.hash, change, approvals })
}

/// Whether this one is a hospital in the state of its newest block.
fn is_hospital(network: &Network, who: usize) -> bool {
    hospitals(&network.hospitals[who]).contains(&id(FOUNDERS[who]))
}

impl Network {
    fn chain(&self) -> crate::ids::ChainId {
        self.hospitals[0].rules.chain
    }

    fn submit(&mut self, who: usize, record: &SignedRecord) {
        self.hospitals[who].submit(std::slice::from_ref(record)).unwrap();
        self.mine(who);
    }

    /// Three founders have admitted a fourth, and that is final.
    fn admitted(&mut self) -> SignedRecord {
        let admission = changed(self, joins(self, NEW), OTHERS);
        self.submit(0, &admission);
        self.settle();
        admission
    }

    fn is_final(&self, who: usize, record: &SignedRecord) -> bool {
        let view = self.hospitals[who].store.view().unwrap();
        match view.record(&record.id()).unwrap().map(|record| record.standing) {
            Some(Standing::Mined { height, .. }) => height <= self.finalized(who),
            _ => false,
        }
    }

    fn voters(&self, who: usize) -> Vec<MemberId> {
        let ledger = &self.hospitals[who];
        let view = ledger.store.view().unwrap();
        members(view.as_ref(), &ledger.rules).unwrap().ids().copied().collect()
    }

    fn receipt(&self, who: usize, record: &SignedRecord) -> Receipt {
        let ledger = &self.hospitals[who];
        let view = ledger.store.view().unwrap();
        Receipt::of(view.as_ref(), &ledger.rules, &ledger.stored(record)).unwrap()
    }
}

#[test]
fn who_is_admitted_votes_as_soon_as_the_others_have_made_that_final() {
    let mut network = three_and_a_candidate();
    let before = registration(&network, HOSPITAL, DOCTOR);
    network.submit(0, &before);
    network.settle();
    let admission = changed(&network, joins(&network, NEW), OTHERS);
    network.submit(0, &admission);
    assert_eq!(network.voters(3).len(), 3, "not before it is final");
    network.settle();
    for who in 0..4 {
        assert!(network.is_final(who, &admission));
        assert_eq!(network.voters(who).len(), 4);
        assert!(network.voters(who).contains(&id(NEW)));
    }
    // Three of four decide now, the new one among them: one that is away is not missed.
    let mut world = network.hospitals[3].world();
    let body = world.register(NEW, OTHER_DOCTOR, Role::Doctor);
    let after = world.sign(NEW, body);
    network.submit(3, &after);
    for _ in 0..12 {
        network.mail.retain(|(to, _)| *to != 2);
        while let Some((to, news)) = (!network.mail.is_empty()).then(|| network.mail.remove(0)) {
            network.hear(to, &news);
            network.mail.retain(|(to, _)| *to != 2);
        }
        match [3, 0, 1].into_iter().find(|who| network.owes(*who)) {
            Some(who) => network.mine(who),
            None => break,
        }
    }
    assert!([0, 1, 3].into_iter().all(|who| network.is_final(who, &after)));
    assert!(!network.is_final(2, &after));
    network.heal();
    network.settle();
    let first = fingerprint(&network.hospitals[0]);
    for ledger in &network.hospitals {
        assert_eq!(fingerprint(ledger), first);
    }
    let chain = network.chain();
    for who in 0..4 {
        for (record, miner) in [(&before, HOSPITAL), (&admission, HOSPITAL), (&after, NEW)] {
            let receipt = network.receipt(who, record);
            let proven = receipt.check(&chain).unwrap();
            assert_eq!((&proven.record, proven.miner), (record, id(miner)));
            let text = receipt.to_tlog_proof().unwrap();
            assert_eq!(Receipt::from_bytes(text.as_bytes()).unwrap(), receipt);
            assert_eq!(Receipt::decode(&receipt.encode()).unwrap(), receipt);
        }
    }
}

#[test]
fn a_receipt_needs_only_the_changes_before_its_block() {
    let mut network = three_and_a_candidate();
    let before = registration(&network, HOSPITAL, DOCTOR);
    network.submit(0, &before);
    let admission = network.admitted();
    let after = registration(&network, OTHER_HOSPITAL, OTHER_DOCTOR);
    network.submit(1, &after);
    network.settle();
    let chain = network.chain();
    let [first, change, last] =
        [&before, &admission, &after].map(|record| network.receipt(2, record));
    for receipt in [&first, &change, &last] {
        assert_eq!(receipt.check(&chain).unwrap().quorum, 3);
    }
    assert!(last.encode().len() > first.encode().len() + 500, "it carries the handover");
    assert_eq!(first.clone().without_handovers(), first);
    assert_eq!(change.clone().without_handovers(), change);
}

#[test]
fn pitfall_23_a_receipt_that_leaves_a_change_out_proves_nothing() {
    let mut network = three_and_a_candidate();
    network.admitted();
    let mut world = network.hospitals[3].world();
    let body = world.register(NEW, OTHER_DOCTOR, Role::Doctor);
    let after = world.sign(NEW, body);
    network.submit(3, &after);
    network.settle();
    let receipt = network.receipt(0, &after).without_handovers();
    let error = receipt.check(&network.chain()).unwrap_err();
    assert!(matches!(error, CheckError::BlockSignature), "{error}");
}

#[test]
fn a_hospital_that_heard_no_vote_follows_the_checkpoints() {
    let mut network = three_and_a_candidate();
    network.admitted();
    let after = registration(&network, HOSPITAL, DOCTOR);
    network.submit(0, &after);
    network.settle();
    let teller = &network.hospitals[0];
    let view = teller.store.view().unwrap();
    let late = Ledger::of(teller.rules.genesis.clone(), NEW);
    let (newest, size) = newest_note(teller);
    for height in 1..=teller.tip().height {
        let stored = view.block(height).unwrap().unwrap();
        late.receive(&crate::replay::block(view.as_ref(), &stored).unwrap());
    }
    // That the hospitals changed is not final here: what those after it signed waits.
    let waits = late.receive_checkpoint(&newest).unwrap();
    assert_eq!(waits, Checkpointed::Ahead { size });
    let mut unit = late.store.unit().unwrap();
    let refused = crate::finality::accept(unit.as_mut(), &late.rules, newest.as_bytes());
    assert!(matches!(refused, Err(crate::finality::AcceptError::Handover { .. })), "{refused:?}");
    drop(unit);
    let notes = crate::finality::handover_notes(view.as_ref()).unwrap();
    assert_eq!(notes.len(), 1);
    late.receive_checkpoint(&notes[0]).unwrap();
    let there = late.store.view().unwrap();
    assert_eq!(final_height(there.as_ref(), &late.rules).unwrap() + 1, size);
    assert_eq!(members(there.as_ref(), &late.rules).unwrap().ids().count(), 4);
    assert_eq!(fingerprint(&late), fingerprint(teller));
}

#[test]
fn pitfall_23_as_many_as_decided_before_a_change_are_too_few_after_it() {
    // Of one two, of four a quorum is three; of three it was three, of two two.
    let alone = Genesis::single(founder(HOSPITAL), tiny_work());
    let mut network = Network::of(&alone, &[HOSPITAL, OTHER_HOSPITAL]);
    let admission = changed(&network, joins(&network, OTHER_HOSPITAL), &[]);
    network.submit(0, &admission);
    network.mine(0);
    network.mail.clear();
    let ledger = &network.hospitals[0];
    let size = ledger.tip().height + 1;
    let note = crate::fork::tests::checkpoint(ledger, size, &[HOSPITAL]);
    let answer = ledger.receive_checkpoint(&note).unwrap();
    assert_eq!(answer, Checkpointed::Gathering { found: 1, needed: 2 });
    assert_eq!(network.finalized(0) + 2, size);
}

#[test]
fn who_is_expelled_neither_mines_nor_votes_and_the_others_go_on() {
    let mut network = Network::new();
    let expulsion = changed(&network, HospitalChange::Expel(id(NEW)), OTHERS);
    network.submit(0, &expulsion);
    network.settle();
    assert_eq!(network.voters(3).len(), 3);
    assert!(!network.owes(3));
    let refused = network.hospitals[3].try_order().unwrap_err();
    assert!(matches!(refused, OrderError::NoMiningKey), "{refused}");
    // A block by its key all the same.
    let block = network.hospitals[3].draft(Vec::new()).seal();
    let answer = network.hospitals[0].receive(&block);
    let Received::Refused(Fault::Rule(error)) = answer else { panic!("{answer:?}") };
    assert!(matches!(error, BlockError::NotAHospital(miner) if miner == id(NEW)), "{error}");
    // A vote by its key among those of the hospitals after it.
    let ledger = &network.hospitals[0];
    let mut unit = ledger.store.unit().unwrap();
    let set = members(unit.as_ref(), &ledger.rules).unwrap().set();
    let vote = crate::vote::Vote {
        chain: ledger.rules.chain,
        set,
        voter: id(NEW),
        phase: crate::vote::Phase::Prevote { source: None },
        ballot: crate::vote::Ballot::from((9, 9, BlockId::from_bytes([3; 32]))),
    };
    let answer = receive_vote(unit.as_mut(), &ledger.rules, vote.sign(&mining_key(NEW)));
    assert!(matches!(answer, Err(CountError::Vote(VoteError::NotAMember(_)))), "{answer:?}");
    drop(unit);
    let after = registration(&network, OTHER_HOSPITAL, OTHER_DOCTOR);
    network.submit(1, &after);
    network.settle();
    assert!((0..4).all(|who| network.is_final(who, &after)));
}

#[test]
fn one_hospital_becomes_two_and_one_again() {
    let alone = Genesis::single(founder(HOSPITAL), tiny_work());
    let mut network = Network::of(&alone, &[HOSPITAL, OTHER_HOSPITAL]);
    let chain = network.chain();
    let admission = changed(&network, joins(&network, OTHER_HOSPITAL), &[]);
    network.submit(0, &admission);
    // Alone, it has made that final at once; the other one has to hear so.
    assert!(network.is_final(0, &admission));
    let (told, _) = newest_note(&network.hospitals[0]);
    network.say(0, News::Checkpoint(told));
    network.settle();
    let both = registration(&network, HOSPITAL, DOCTOR);
    network.submit(0, &both);
    assert!(!network.is_final(0, &both), "two decide now");
    network.settle();
    assert!(network.is_final(0, &both) && network.is_final(1, &both));
    assert_eq!(network.receipt(1, &both).check(&chain).unwrap().quorum, 2);
    let gone = HospitalChange::Expel(id(OTHER_HOSPITAL));
    let gone = changed(&network, gone, &[OTHER_HOSPITAL]);
    network.submit(0, &gone);
    network.mine(0);
    assert!(!network.is_final(0, &gone));
    network.settle();
    assert!(network.is_final(0, &gone));
    // Those mined meanwhile are final too, and from now on each at once.
    assert_eq!(network.finalized(0), network.hospitals[0].tip().height);
    let last = registration(&network, HOSPITAL, OTHER_DOCTOR);
    network.submit(0, &last);
    assert!(network.is_final(0, &last));
    let proven = network.receipt(0, &last).check(&chain).unwrap();
    assert_eq!((proven.quorum, proven.cosigned.len()), (1, 1));
}

#[test]
fn pitfall_23_a_receipt_with_a_changed_handover_proves_nothing() {
    let mut network = three_and_a_candidate();
    let chain = network.chain();
    network.admitted();
    let after = registration(&network, OTHER_HOSPITAL, OTHER_DOCTOR);
    network.submit(1, &after);
    network.settle();
    let receipt = network.receipt(0, &after);
    let bytes = receipt.encode();
    let good = receipt.check(&chain).unwrap();
    let mut reasons = BTreeSet::new();
    for at in (0..bytes.len()).step_by(3) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let Ok(read) = Receipt::decode(&changed) else { continue };
        match read.check(&chain) {
            // The number of leaves of a path is in no hash.
            Ok(proven) => assert_eq!(proven, good, "byte {at}"),
            Err(error) => drop(reasons.insert(error.reason())),
        }
    }
    assert!(reasons.contains(&Reason::Handover), "{reasons:?}");
}

/// One such block came while the block that admits its hospital lay beside the chain: it was not kept, and nobody
/// asked for it again.
#[test]
fn blocks_by_who_is_admitted_beside_the_chain_are_kept() {
    let steps = [
        (0, 16111, false),
        (0, 50546, true),
        (0, 10813, false),
        (1, 3541, false),
        (3, 43617, true),
        (2, 13102, true),
        (2, 14152, true),
        (0, 20984, true),
        (3, 7649, true),
        (1, 25750, true),
        (2, 25643, true),
        (3, 4192, true),
        (3, 64774, true),
        (3, 23534, true),
        (1, 47800, true),
        (1, 24632, false),
    ];
    let mut network = three_and_a_candidate();
    let change = joins(&network, NEW);
    let change = changed(&network, change, OTHERS);
    network.submit(0, &change);
    network.play(steps, is_hospital);
    network.end_well();
    assert!((0..4).all(|who| network.is_final(who, &change)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_lost_or_late_changes_are_agreed_on(
        steps in proptest::collection::vec((0..4usize, any::<u16>(), any::<bool>()), 4..40),
        expels in any::<bool>(),
    ) {
        let mut network = if expels { Network::new() } else { three_and_a_candidate() };
        let change = match expels {
            true => HospitalChange::Expel(id(NEW)),
            false => joins(&network, NEW),
        };
        let change = changed(&network, change, OTHERS);
        network.submit(0, &change);
        network.play(steps, is_hospital);
        network.end_well();
        network.heal();
        network.settle();
        let first = fingerprint(&network.hospitals[0]);
        for who in 0..4 {
            prop_assert_eq!(&fingerprint(&network.hospitals[who]), &first);
            prop_assert!(network.is_final(who, &change));
            prop_assert_eq!(network.voters(who).len(), if expels { 3 } else { 4 });
        }
    }
}
