//! What comes while a block is being mined.

use super::{Engine, Mined, OrderError, OrderJob, PowEngine, SubmitError};
use crate::conformance::fixture::Fixture;
use crate::genesis::{Consensus, Genesis, Limits};
use crate::memory::MemoryStore;
use crate::pow::{Inline, Schedule, Target, Workers};
use crate::record::{SignedRecord, Suspend};
use crate::registry::{Role, VoidCode};
use crate::state::BatchedSignatures;
use crate::store::{RecordQuery, Standing, Store};
use crate::testing::{DOCTOR, HOSPITAL, Ledger, PATIENT, add_report, founder, id, member};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

struct Table {
    fixture: Fixture,
    engine: PowEngine,
    store: MemoryStore,
    cancel: AtomicBool,
    tried: AtomicU64,
}

/// Tries a block takes on average: so many that with these seeds none is found before new records count.
const EXPECTED: u128 = 1 << 20;

impl Table {
    fn new(expected: u128, limits: Limits) -> Self {
        let work = Consensus::Work(Schedule::fixed(Target::from_expected_tries(expected)));
        let fixture = Fixture::with_limits(work, limits);
        let engine = PowEngine::new(fixture.rules.clone(), Some(fixture.mining_key()));
        let store = MemoryStore::new();
        fixture.found(&store);
        let (cancel, tried) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { fixture, engine, store, cancel, tried }
    }

    fn accept(&self, records: &[SignedRecord]) {
        self.fixture.accept(&self.engine, &self.store, records);
    }

    fn order(&self, workers: &dyn Workers) -> Result<Option<Mined>, OrderError> {
        let job = OrderJob {
            clock: &self.fixture.clock,
            workers,
            cancel: &self.cancel,
            tried: &self.tried,
            empty: false,
        };
        self.engine.order(&self.store, &job)
    }
}

/// One worker, before whose searches something happens: a list of what, one for each search.
struct Meanwhile<'a>(Mutex<Vec<Box<dyn FnOnce() + Send + 'a>>>, AtomicU64);

impl<'a> Meanwhile<'a> {
    /// `events` in their order, the first before the first search.
    fn new(mut events: Vec<Box<dyn FnOnce() + Send + 'a>>) -> Self {
        events.reverse();
        Self(Mutex::new(events), AtomicU64::new(0))
    }

    fn searches(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }
}

impl Workers for Meanwhile<'_> {
    fn count(&self) -> usize {
        1
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        self.1.fetch_add(1, Ordering::Relaxed);
        let event = self.0.lock().unwrap().pop();
        if let Some(event) = event {
            event();
        }
        job(0);
    }
}

fn ids(mined: &Mined) -> Vec<crate::ids::RecordId> {
    mined.block.records.iter().map(SignedRecord::id).collect()
}

#[test]
fn a_record_accepted_during_a_search_is_in_the_block_found_after() {
    let table = Table::new(EXPECTED, Limits::default());
    let people = table.fixture.people();
    table.accept(&people);
    let report = table.fixture.add_report();
    let workers = Meanwhile::new(vec![Box::new(|| table.accept(std::slice::from_ref(&report)))]);
    let mined = table.order(&workers).unwrap().unwrap();
    let mut want: Vec<_> = people.iter().map(SignedRecord::id).collect();
    want.push(report.id());
    assert_eq!(ids(&mined), want);
    assert_eq!(workers.searches(), 2, "the first search was given up");
    assert_eq!(mined.block.root(), mined.block.header.root);
    assert!(mined.block.header.meets_target());
    assert_eq!(mined.tries, table.tried.load(Ordering::Relaxed), "of both searches together");
    assert_eq!(table.store.view().unwrap().count_pending().unwrap(), 0);
    assert!(table.order(&Inline).unwrap().is_none(), "no second block");
}

#[test]
fn a_hopeless_search_goes_on_with_every_record_that_comes() {
    let table = Table::new(EXPECTED, Limits::default());
    table.accept(&table.fixture.people());
    let reports: Vec<_> = (0..3).map(|_| table.fixture.add_report()).collect();
    let mut events: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
    for report in &reports {
        events.push(Box::new(|| table.accept(std::slice::from_ref(report))));
    }
    events.push(Box::new(|| table.cancel.store(true, Ordering::Relaxed)));
    let workers = Meanwhile::new(events);
    assert!(matches!(table.order(&workers), Err(OrderError::Cancelled)));
    assert_eq!(workers.searches(), 4);
    // Cancelled, it lost none of them.
    table.cancel.store(false, Ordering::Relaxed);
    assert_eq!(table.order(&Inline).unwrap().unwrap().block.records.len(), 6);
}

#[test]
fn a_block_that_comes_ends_the_search_at_once() {
    let table = Table::new(EXPECTED, Limits::default());
    table.accept(&table.fixture.people());
    let report = table.fixture.add_report();
    let before = AtomicU64::new(0);
    let workers = Meanwhile::new(vec![Box::new(|| {
        let theirs = table.order(&Inline).unwrap().unwrap();
        assert_eq!(theirs.block.records.len(), 3);
        table.accept(std::slice::from_ref(&report));
        before.store(table.tried.load(Ordering::Relaxed), Ordering::Relaxed);
    })]);
    let mined = table.order(&workers).unwrap().unwrap();
    assert_eq!((mined.stored.height, ids(&mined)), (2, vec![report.id()]));
    let tried = table.tried.load(Ordering::Relaxed) - before.load(Ordering::Relaxed);
    assert_eq!(mined.tries, tried, "the search on the old block tried nothing more");
    assert_eq!(workers.searches(), 2);
}

#[test]
fn nothing_is_mined_twice_when_another_block_took_all() {
    let table = Table::new(EXPECTED, Limits::default());
    table.accept(&table.fixture.people());
    let workers = Meanwhile::new(vec![Box::new(|| {
        table.order(&Inline).unwrap().unwrap();
    })]);
    assert!(table.order(&workers).unwrap().is_none());
    assert_eq!(workers.searches(), 1);
}

#[test]
fn what_does_not_concern_the_block_does_not_disturb_the_search() {
    // A full block: what comes waits for the next.
    let table = Table::new(EXPECTED, Limits { block_records: 3, ..Limits::default() });
    table.accept(&table.fixture.people());
    let report = table.fixture.add_report();
    let workers = Meanwhile::new(vec![Box::new(|| table.accept(std::slice::from_ref(&report)))]);
    let mined = table.order(&workers).unwrap().unwrap();
    assert_eq!((mined.block.records.len(), workers.searches()), (3, 1));
    let standing = table.store.view().unwrap().record(&report.id()).unwrap().unwrap().standing;
    assert!(matches!(standing, Standing::Accepted { .. }));

    // A unit without records, and one that is dropped.
    let workers = Meanwhile::new(vec![Box::new(|| {
        let mut unit = table.store.unit().unwrap();
        unit.set_local(crate::store::Drawer::Node, b"other", Some(b"")).unwrap();
        unit.commit().unwrap();
        let mut dropped = table.store.unit().unwrap();
        let nurse = crate::conformance::fixture::identity(9);
        let record = table.fixture.register(&nurse, Role::Nurse);
        table.engine.submit(dropped.as_mut(), &[record]).unwrap();
    })]);
    let mined = table.order(&workers).unwrap().unwrap();
    assert_eq!((ids(&mined), workers.searches()), (vec![report.id()], 1));
}

#[test]
fn a_wrong_signature_leaves_nothing_in_the_unit_whoever_commits_it() {
    let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), Consensus::Log));
    let world = ledger.world().with_people();
    for wrong in [0, 5, world.log.len() - 1] {
        let mut records = world.log.clone();
        let mut bytes = records[wrong].encode();
        *bytes.last_mut().unwrap() ^= 1;
        records[wrong] = SignedRecord::decode(&bytes).unwrap();
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let mut batched = BatchedSignatures::new(&Inline, &mut rng);
        let mut unit = ledger.store.unit().unwrap();
        let error = ledger.engine.submit_with(unit.as_mut(), &records, &mut batched).unwrap_err();
        let expected = records[wrong].id();
        assert!(
            matches!(error, SubmitError::Refused { id, code: VoidCode::BadSignature } if id == expected),
            "{error:?}"
        );
        unit.commit().unwrap();
        let left = ledger.store.view().unwrap().find(&RecordQuery::default()).unwrap();
        assert_eq!(left, []);
    }
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let mut batched = BatchedSignatures::new(&Inline, &mut rng);
    let mut unit = ledger.store.unit().unwrap();
    let tickets = ledger.engine.submit_with(unit.as_mut(), &world.log, &mut batched).unwrap();
    assert_eq!(tickets.len(), world.log.len());
}

#[test]
fn what_was_read_of_a_state_is_read_anew_above_another_block() {
    let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), Consensus::Log));
    let mut world = ledger.world().with_people();
    ledger.submit(&world.log).unwrap();
    ledger.order();
    world.log.clear();
    world.add_report();
    ledger.submit(&world.log).unwrap();
    // The doctor was read, and is suspended by the next block.
    let suspend = world.record(HOSPITAL, Suspend { member: id(DOCTOR) }).sign(&member(HOSPITAL));
    ledger.submit(&[suspend]).unwrap();
    ledger.order();
    let late = world.record(DOCTOR, add_report(PATIENT)).sign(&member(DOCTOR));
    let error = ledger.submit(&[late]).unwrap_err();
    assert!(matches!(error, SubmitError::Refused { code: VoidCode::Suspended, .. }), "{error:?}");
}
