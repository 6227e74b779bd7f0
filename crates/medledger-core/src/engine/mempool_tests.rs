//! Records of others, records that wait, and who goes first.

use super::{OrderError, Taken};
use crate::fork::Received;
use crate::genesis::{Genesis, Limits};
use crate::pow::Inline;
use crate::record::SignedRecord;
use crate::registry::{Role, VoidCode, limit};
use crate::state::{BatchedSignatures, SignatureCheck, Signatures};
use crate::store::{Drawer, Row, Standing, Store, StoredRecord};
use crate::testing::*;
use proptest::prelude::*;
use rand_core::UnwrapErr;
use std::collections::BTreeSet;

fn four(limits: Limits, diversity: u32) -> [Ledger; 4] {
    let mut genesis = Genesis::single(founder(HOSPITAL), tiny_work());
    genesis.founders = [HOSPITAL, OTHER_HOSPITAL, 11, 12].map(founder).to_vec();
    genesis.limits = limits;
    genesis.diversity = diversity;
    [HOSPITAL, OTHER_HOSPITAL, 11, 12].map(|number| Ledger::of(genesis.clone(), number))
}

fn take_in(ledger: &Ledger, records: &[SignedRecord]) -> Vec<Taken> {
    let mut rng = UnwrapErr(getrandom::SysRng);
    take_in_with(ledger, records, &mut BatchedSignatures::new(&Inline, &mut rng))
}

fn take_in_with(
    ledger: &Ledger,
    records: &[SignedRecord],
    signatures: &mut dyn Signatures,
) -> Vec<Taken> {
    let mut unit = ledger.store.unit().unwrap();
    let now = crate::clock::Clock::now(&ledger.clock);
    let answers = ledger.engine.take_in(unit.as_mut(), records, now, signatures).unwrap();
    unit.commit().unwrap();
    answers
}

fn standing(ledger: &Ledger, record: &SignedRecord) -> Standing {
    ledger.stored(record).standing
}

fn waits(ledger: &Ledger, record: &SignedRecord) -> bool {
    matches!(standing(ledger, record), Standing::Accepted { .. })
}

fn notes(ledger: &Ledger) -> usize {
    ledger.store.view().unwrap().local_scan(Drawer::Queue, &[], None, 99_999).unwrap().len()
}

#[test]
fn a_record_of_others_waits_for_what_it_refers_to() {
    let [a, ..] = four(Limits::default(), 0);
    let mut world = a.world().with_people();
    let report = world.put(DOCTOR, add_report(PATIENT));
    let asks = world.put(OTHER_DOCTOR, request(report_of(&report)));
    let people = world.log.clone();
    // The last first: the author of the request is not even known yet.
    assert_eq!(
        take_in(&a, std::slice::from_ref(&asks)),
        [Taken::WaitsFor(VoidCode::UnknownAuthor)]
    );
    assert_eq!(take_in(&a, std::slice::from_ref(&asks)), [Taken::Known]);
    assert_eq!(a.order().block.records, []);
    assert!(waits(&a, &asks), "it goes on waiting");
    let rest: Vec<_> = people.iter().filter(|record| record.id() != asks.id()).cloned().collect();
    assert!(take_in(&a, &rest).iter().all(|taken| *taken == Taken::Waits));
    let mut mined = a.order().block.records;
    mined.extend(a.order().block.records);
    assert_eq!(mined.len(), people.len());
    assert!(matches!(standing(&a, &asks), Standing::Mined { .. }));
    assert_eq!(notes(&a), 0, "nothing is left behind");
}

#[test]
fn what_never_comes_is_not_waited_for_for_ever() {
    let [a, ..] = four(Limits::default(), 0);
    let mut world = a.world().with_people();
    let report = world.add_report();
    take_in(&a, &world.log.clone());
    a.order();
    a.order();
    let unknown = crate::ids::ReportId::from_bytes([9; 16]);
    let asks = world.sign(OTHER_DOCTOR, request(unknown));
    assert_eq!(
        take_in(&a, std::slice::from_ref(&asks)),
        [Taken::WaitsFor(VoidCode::UnknownReport)]
    );
    let later = NOW + limit::QUEUE_SECONDS + 10;
    a.clock.set(crate::clock::Timestamp::from_secs(later));
    // Found void here; refused once that is final.
    a.order();
    assert!(waits(&a, &asks));
    let size = a.tip().height + 1;
    let note = crate::fork::tests::checkpoint(&a, size, &[HOSPITAL, OTHER_HOSPITAL, 11]);
    a.receive_checkpoint(&note).unwrap();
    let mined = a.order();
    assert_eq!(mined.refused, [(asks.id(), VoidCode::UnknownReport)]);
    assert_eq!(standing(&a, &asks), Standing::Refused { code: VoidCode::UnknownReport });
    let _ = report;
}

#[test]
fn a_record_that_a_branch_makes_void_is_refused_only_when_that_branch_is_final() {
    let [a, b, ..] = four(Limits::default(), 0);
    let mut world = a.world();
    let registers = |world: &mut World, by: u8| {
        let body = world.register(by, DOCTOR, Role::Doctor);
        world.sign(by, body)
    };
    let ours = registers(&mut world, HOSPITAL);
    let theirs = registers(&mut world, OTHER_HOSPITAL);
    a.submit(std::slice::from_ref(&ours)).unwrap();
    let one = a.order().block;
    assert!(matches!(standing(&a, &ours), Standing::Mined { height: 1, .. }));
    // The other branch registers the same person, and wins.
    let branch = [b.mine(vec![theirs]), b.mine(Vec::new()), b.mine(Vec::new())];
    for block in &branch {
        a.receive(block);
    }
    assert!(waits(&a, &ours), "accepted is never lost");
    assert_eq!(a.order().block.records, []);
    assert!(waits(&a, &ours), "void here, but this branch is not final");
    // It comes back with its own branch.
    let c = Ledger::of(a.rules.genesis.clone(), 12);
    c.receive(&one);
    let longer: Vec<_> = (0..5).map(|_| c.mine(Vec::new())).collect();
    for block in &longer {
        a.receive(block);
    }
    assert!(matches!(standing(&a, &ours), Standing::Mined { height: 1, .. }));
    // And goes for good when a quorum decides for the other one.
    let note = crate::fork::tests::checkpoint(&b, 4, &[OTHER_HOSPITAL, 11, 12]);
    a.receive_checkpoint(&note).unwrap();
    assert!(waits(&a, &ours));
    a.order();
    assert!(waits(&a, &ours), "void above a block that may still go");
    let size = a.tip().height + 1;
    let note = crate::fork::tests::checkpoint(&a, size, &[OTHER_HOSPITAL, 11, 12]);
    a.receive_checkpoint(&note).unwrap();
    let mined = a.order();
    assert_eq!(mined.refused, [(ours.id(), VoidCode::AlreadyRegistered)]);
    // Its author was told: it is not taken again.
    let again = a.submit(std::slice::from_ref(&ours));
    assert!(matches!(again, Err(super::SubmitError::Refused { .. })), "{again:?}");
}

#[test]
fn one_author_with_a_flood_does_not_keep_others_out_of_the_block() {
    let limits = Limits { block_records: 10, ..Limits::default() };
    let [a, ..] = four(limits, 0);
    let mut world = a.world().with_people();
    take_in(&a, &world.log);
    while !a.order().block.records.is_empty() {}
    let flood: Vec<_> = (0..35).map(|_| world.sign(DOCTOR, add_report(PATIENT))).collect();
    let late: Vec<_> = (0..3).map(|_| world.sign(OTHER_DOCTOR, add_report(PATIENT))).collect();
    a.submit(&flood).unwrap();
    a.submit(&late).unwrap();
    let first = a.order().block.records;
    assert_eq!(first.len(), 10);
    assert!(late.iter().all(|record| first.contains(record)), "each author has a share");
    assert_eq!(first[..7], flood[..7], "the others in the order in which they came");
    let mut rest = Vec::new();
    while rest.len() < 28 {
        rest.extend(a.order().block.records);
    }
    assert_eq!(rest, flood[7..], "none starves, and none overtakes");
}

#[test]
fn records_of_others_are_bounded_by_author_and_void_ones_take_no_room() {
    let limits = Limits { block_records: 2, ..Limits::default() };
    let [a, ..] = four(limits, 0);
    let mut world = a.world().with_people();
    take_in(&a, &world.log.clone());
    while !a.order().block.records.is_empty() {}
    // Nobody knows who signed these.
    let unsigned: Vec<_> = (0..limit::QUEUE_UNSIGNED + 1)
        .map(|_| world.sign(STRANGER, request(crate::ids::ReportId::from_bytes([1; 16]))))
        .collect();
    let answers = take_in(&a, &unsigned);
    let full = answers.iter().filter(|taken| **taken == Taken::Full).count();
    assert_eq!(full, 1);
    let real = [world.sign(DOCTOR, add_report(PATIENT)), world.sign(LAB, add_report(PATIENT))];
    assert_eq!(take_in(&a, &real), [Taken::Waits, Taken::Waits]);
    assert_eq!(a.order().block.records, real, "however many wait for nothing");
}

/// All that is written of the queue and beside it.
fn written(ledger: &Ledger) -> (Vec<StoredRecord>, Vec<Row>) {
    let view = ledger.store.view().unwrap();
    let notes = view.local_scan(Drawer::Queue, &[], None, usize::MAX).unwrap();
    (view.pending(usize::MAX).unwrap(), notes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn signatures_put_off_make_no_difference(
        picks in proptest::collection::vec((0usize..30, 0u8..8), 1..40), cut in 0usize..40,
    ) {
        let [a, b, ..] = four(Limits::default(), 0);
        let mut world = a.world().with_people();
        let report = world.put(DOCTOR, add_report(PATIENT));
        world.put(OTHER_DOCTOR, request(report_of(&report)));
        for _ in 0..8 {
            let author = if world.log.len() % 2 == 0 { DOCTOR } else { LAB };
            world.put(author, add_report(PATIENT));
        }
        let all = world.log.clone();
        // In any order, some twice, some under the signature of another.
        let records: Vec<SignedRecord> = picks.iter().map(|(index, wrong)| {
            let record = &all[index % all.len()];
            let other = &all[(index + 1) % all.len()];
            if *wrong == 0 { with_signature_of(record, other) } else { record.clone() }
        }).collect();
        let (first, second) = records.split_at(cut.min(records.len()));
        for part in [first, second] {
            let answers = take_in(&a, part);
            prop_assert_eq!(&answers, &take_in_with(&b, part, &mut SignatureCheck::Now));
            prop_assert_eq!(written(&a), written(&b));
        }
        // What was verified then is not what is in the queue now, if it is another signature.
        let (mined, theirs) = (a.order(), b.order());
        prop_assert_eq!(mined.block.records, theirs.block.records);
        prop_assert_eq!(written(&a), written(&b));
        prop_assert_eq!(notes(&a) > 0, !written(&a).0.is_empty());
    }
}

fn with_signature_of(record: &SignedRecord, other: &SignedRecord) -> SignedRecord {
    let bytes = record.encode();
    let at = bytes.len() - other.signature().as_bytes().len();
    SignedRecord::decode(&[&bytes[..at], other.signature().as_bytes()].concat()).unwrap()
}

#[test]
fn of_a_party_those_that_were_mined_are_forgotten_and_the_others_stay_fresh() {
    let [a, ..] = four(Limits { block_records: 2, ..Limits::default() }, 0);
    let mut world = a.world().with_people();
    take_in(&a, &world.log);
    while !a.order().block.records.is_empty() {}
    assert_eq!(notes(&a), 0);
    let reports: Vec<_> = (0..5).map(|_| world.sign(DOCTOR, add_report(PATIENT))).collect();
    let now = crate::clock::Clock::now(&a.clock);
    take_in(&a, &reports);
    let since = |a: &Ledger| super::guests::since(a.store.view().unwrap().as_ref()).unwrap();
    assert_eq!((notes(&a), since(&a).len()), (1, 5), "one row for all");
    a.order();
    assert_eq!((notes(&a), since(&a).len()), (1, 3));
    let left: BTreeSet<_> = reports[2..].iter().map(SignedRecord::id).collect();
    assert_eq!(since(&a).into_keys().collect::<BTreeSet<_>>(), left);
    assert!(since(&a).values().all(|at| *at == now));
    // An author's share counts those that wait, and no others.
    let flood: Vec<_> =
        (0..limit::QUEUE_OF_AUTHOR - 2).map(|_| world.sign(DOCTOR, add_report(PATIENT))).collect();
    let answers = take_in(&a, &flood);
    assert_eq!(answers.iter().filter(|taken| **taken == Taken::Full).count(), 1);
}

#[test]
fn a_hospital_lets_others_mine_and_makes_a_block_above_records_that_are_not_final() {
    let [a, b, c, d] = four(Limits::default(), 1);
    let owes =
        |ledger: &Ledger| ledger.engine.owes_block(ledger.store.view().unwrap().as_ref()).unwrap();
    let mut world = a.world();
    let body = world.register(HOSPITAL, DOCTOR, Role::Doctor);
    assert!(!owes(&a));
    let block = a.mine(vec![world.sign(HOSPITAL, body)]);
    assert!(!owes(&a), "it mined the record itself");
    let error = a.try_order().unwrap_err();
    assert!(matches!(error, OrderError::NotOurTurn { diversity: 1 }), "{error}");
    for ledger in [&b, &c, &d] {
        assert!(matches!(ledger.receive(&block), Received::Best(_)));
        assert!(owes(ledger));
    }
    let two = b.order().block;
    assert!(!owes(&b));
    a.receive(&two);
    a.order();
    let note = crate::fork::tests::checkpoint(&a, 2, &[HOSPITAL, OTHER_HOSPITAL, 11]);
    c.receive(&two);
    c.receive_checkpoint(&note).unwrap();
    assert!(!owes(&c), "all records are final");
}
