//! What every [`Engine`] does, over any store.

use super::fixture::{Fixture, START};
use crate::chain::Rules;
use crate::engine::{Engine, Finality, MiningKey, OrderError, Position, SubmitError};
use crate::genesis::{Consensus, Limits};
use crate::ids::RecordId;
use crate::record::SignedRecord;
use crate::registry::{Role, VoidCode, limit};
use crate::state::State;
use crate::store::{RecordQuery, Standing, Store, View};
use std::sync::atomic::Ordering;

/// Makes an engine for a chain with these rules, with or without the key to make blocks.
pub type MakeEngine<'a> = &'a dyn Fn(Rules, Option<MiningKey>) -> Box<dyn Engine>;

/// Makes an empty store.
pub type MakeStore<'a> = &'a dyn Fn() -> Box<dyn Store>;

/// Runs every test on chains of this consensus, each with a new engine and an empty store.
pub fn suite(consensus: &Consensus, engine: MakeEngine<'_>, store: MakeStore<'_>) {
    let bench = Bench { consensus, engine, store };
    bench.records_are_put_in_order();
    bench.what_waits_is_judged_with();
    bench.void_records_are_refused();
    bench.all_records_of_a_batch_or_none();
    bench.a_dropped_unit_leaves_nothing();
    bench.a_dropped_unit_is_not_taken_for_one_of_another_engine();
    bench.what_became_void_is_settled_as_refused();
    bench.a_signature_damaged_while_it_waits_gets_into_no_block();
    bench.a_full_block_is_followed_by_another();
    bench.a_block_of_few_bytes_is_followed_by_another();
    bench.nothing_is_made_of_nothing();
    bench.ordering_needs_a_key_and_can_be_cancelled();
    bench.a_clock_behind_stops_the_miner();
    bench.two_engines_do_not_fork();
    bench.another_engine_carries_on();
    bench.state_is_the_fold_of_the_blocks();
}

struct Bench<'a> {
    consensus: &'a Consensus,
    engine: MakeEngine<'a>,
    store: MakeStore<'a>,
}

/// A ledger with its genesis block and an engine that can make blocks.
struct Table {
    fixture: Fixture,
    engine: Box<dyn Engine>,
    store: Box<dyn Store>,
}

fn ids(records: &[SignedRecord]) -> Vec<RecordId> {
    records.iter().map(SignedRecord::id).collect()
}

impl Table {
    fn accept(&self, records: &[SignedRecord]) {
        self.fixture.accept(self.engine.as_ref(), self.store.as_ref(), records);
    }

    fn mine(&self) -> usize {
        self.fixture.mine(self.engine.as_ref(), self.store.as_ref())
    }

    fn view(&self) -> Box<dyn View + '_> {
        self.store.view().unwrap()
    }

    fn height(&self) -> u64 {
        self.view().tip().unwrap().unwrap().height
    }

    fn standing(&self, record: &SignedRecord) -> Option<Standing> {
        self.view().record(&record.id()).unwrap().map(|stored| stored.standing)
    }

    /// Why a record is not accepted; the unit is dropped.
    fn refusal(&self, record: &SignedRecord) -> VoidCode {
        let mut unit = self.store.unit().unwrap();
        match self.engine.submit(unit.as_mut(), std::slice::from_ref(record)) {
            Err(SubmitError::Refused { id, code }) => {
                assert_eq!(id, record.id());
                code
            }
            other => panic!("expected a refusal, found {other:?}"),
        }
    }

    fn followed(&self) -> Vec<(Position, RecordId)> {
        let ordered =
            self.engine.follow(self.view().as_ref(), Position::default(), usize::MAX).unwrap();
        ordered.iter().map(|ordered| (ordered.position, ordered.record.id())).collect()
    }

    /// Whether the doctor is a member once all that waits is in its place.
    fn doctor_will_be_a_member(&self) -> bool {
        let mut found = None;
        self.engine
            .with_pending(self.view().as_ref(), &mut |state| {
                found = Some(State::new(state).member(&self.fixture.doctor.id())?.is_some());
                Ok(())
            })
            .unwrap();
        found.expect("with_pending calls what it is given")
    }
}

impl Bench<'_> {
    fn table(&self) -> Table {
        self.table_with(Limits::default())
    }

    fn table_with(&self, limits: Limits) -> Table {
        let fixture = Fixture::with_limits(self.consensus.clone(), limits);
        let engine = (self.engine)(fixture.rules.clone(), Some(fixture.mining_key()));
        let store = (self.store)();
        fixture.found(store.as_ref());
        assert_eq!(engine.chain(), fixture.rules.chain);
        Table { fixture, engine, store }
    }

    fn records_are_put_in_order(&self) {
        let table = self.table();
        let (engine, fixture) = (table.engine.as_ref(), &table.fixture);
        let people = fixture.people();
        let mut unit = table.store.unit().unwrap();
        let tickets = engine.submit(unit.as_mut(), &people).unwrap();
        unit.commit().unwrap();
        assert_eq!(tickets.iter().map(|ticket| ticket.id).collect::<Vec<_>>(), ids(&people));
        assert!(tickets.windows(2).all(|pair| pair[0].seq < pair[1].seq));
        let waiting = Standing::Accepted { seq: tickets[1].seq };
        assert_eq!(table.standing(&people[1]), Some(waiting));
        let first = Position { height: 1, index: 0 };
        let finality = |position| engine.finality(table.view().as_ref(), position).unwrap();
        assert_eq!(finality(first), Finality::Unknown);
        let report = fixture.add_report();
        table.accept(std::slice::from_ref(&report));

        let mined = engine.order(table.store.as_ref(), &fixture.job(false)).unwrap().unwrap();
        assert_eq!(mined.stored.height, 1);
        assert_eq!(mined.block.records.len(), 4);
        assert_eq!(mined.refused, []);
        assert_eq!(table.view().tip().unwrap(), Some(mined.stored));
        assert_eq!(table.view().count_pending().unwrap(), 0);
        assert_eq!(finality(first), Finality::Final { size: 2 }, "alone, it is its own quorum");
        table.accept(&[fixture.add_report(), fixture.add_report()]);
        assert_eq!(table.mine(), 1);

        let followed = table.followed();
        let all = ids(&[people, vec![report]].concat());
        let places: Vec<_> = (0..4).map(|index| Position { height: 1, index }).collect();
        assert_eq!(followed[..4], places.into_iter().zip(all).collect::<Vec<_>>());
        assert_eq!(followed.len(), 6);
        let (from, id) = followed[4];
        assert_eq!(from, Position { height: 2, index: 0 });
        for (from, limit, expected) in [
            (followed[3].0, usize::MAX, &followed[3..]),
            (followed[3].0, 2, &followed[3..5]),
            (from, 0, &[]),
            (Position { height: 1, index: 9 }, 1, &followed[4..5]),
            (Position { height: 3, index: 0 }, 9, &[]),
        ] {
            let found = engine.follow(table.view().as_ref(), from, limit).unwrap();
            let found: Vec<_> = found.iter().map(|o| (o.position, o.record.id())).collect();
            assert_eq!(found, expected, "{limit} from {from:?}");
        }
        let standing = table.view().record(&id).unwrap().unwrap().standing;
        assert_eq!(standing, Standing::Mined { height: 2, index: 0 });
    }

    fn what_waits_is_judged_with(&self) {
        let table = self.table();
        assert!(!table.doctor_will_be_a_member());
        table.accept(&table.fixture.people());
        assert!(table.doctor_will_be_a_member());
        let now = State::new(table.view().as_ref()).member(&table.fixture.doctor.id()).unwrap();
        assert_eq!(now, None, "not before it is mined");
        table.mine();
        assert!(table.doctor_will_be_a_member());
        let view = table.view();
        let found = view.find(&RecordQuery {
            patient: Some(table.fixture.patient.id()),
            ..RecordQuery::default()
        });
        assert_eq!(found.unwrap().len(), 2, "registration and enrolment concern the patient");
    }

    fn void_records_are_refused(&self) {
        let table = self.table();
        let fixture = &table.fixture;
        let people = fixture.people();
        assert_eq!(table.refusal(&people[2]), VoidCode::UnknownAuthor);
        table.accept(&people);
        assert_eq!(table.refusal(&people[0]), VoidCode::Replayed, "while it waits");
        table.mine();
        assert_eq!(table.refusal(&people[0]), VoidCode::Replayed, "once it is mined");
        let again = fixture.register(&fixture.doctor, Role::Doctor);
        assert_eq!(table.refusal(&again), VoidCode::AlreadyRegistered);
        // Another chain has another id in every record.
        let limits = Limits { block_records: 17, ..Limits::default() };
        let other = Fixture::with_limits(self.consensus.clone(), limits);
        assert_eq!(table.refusal(&other.add_report()), VoidCode::WrongChain);
        let [good, foreign] = [fixture.add_report(), fixture.add_report()];
        let forged = forge(&good, &foreign);
        assert_eq!(table.refusal(&forged), VoidCode::BadSignature);
        table.accept(&[good]);
        assert_eq!(table.height(), 1, "nothing refused left a trace");
        assert_eq!(table.view().count_pending().unwrap(), 1);
    }

    fn all_records_of_a_batch_or_none(&self) {
        let table = self.table();
        let people = table.fixture.people();
        let stranger = table.fixture.enrol(&super::fixture::identity(77));
        let mut unit = table.store.unit().unwrap();
        let batch = [people[0].clone(), stranger, people[1].clone()];
        table.engine.submit(unit.as_mut(), &batch).unwrap_err();
        let twice = [people[1].clone(), people[1].clone()];
        table.engine.submit(unit.as_mut(), &twice).unwrap_err();
        // A caller that commits all the same commits nothing of it.
        unit.commit().unwrap();
        assert_eq!(table.view().count_pending().unwrap(), 0);
        assert!(!table.doctor_will_be_a_member());
        table.accept(&people);
        assert_eq!(table.mine(), 1);
    }

    fn a_dropped_unit_leaves_nothing(&self) {
        let table = self.table();
        let people = table.fixture.people();
        table.accept(&people[1..2]);
        let mut unit = table.store.unit().unwrap();
        table.engine.submit(unit.as_mut(), &people[..1]).unwrap();
        drop(unit);
        assert!(!table.doctor_will_be_a_member());
        let report = table.fixture.add_report();
        assert_eq!(table.refusal(&report), VoidCode::UnknownAuthor);
        table.accept(&people[..1]);
        table.accept(&people[2..]);
        table.accept(&[report]);
        assert_eq!(table.mine(), 1);
        let followed: Vec<_> = table.followed().into_iter().map(|(_, id)| id).collect();
        assert_eq!(followed[..3], ids(&[people[1].clone(), people[0].clone(), people[2].clone()]));
    }

    /// A unit that ended with a record was dropped; then another engine accepts that record after
    /// others. The queue looks the same from its end, and is not.
    fn a_dropped_unit_is_not_taken_for_one_of_another_engine(&self) {
        let table = self.table();
        let people = table.fixture.people();
        let last = people[1].clone();
        let mut unit = table.store.unit().unwrap();
        table.engine.submit(unit.as_mut(), &[people[0].clone(), last.clone()]).unwrap();
        drop(unit);
        let other = (self.engine)(table.fixture.rules.clone(), None);
        let nurse = super::fixture::identity(50);
        let records = [table.fixture.register(&nurse, Role::Nurse), last];
        table.fixture.accept(other.as_ref(), table.store.as_ref(), &records);
        assert!(!table.doctor_will_be_a_member());
        assert_eq!(table.refusal(&records[0]), VoidCode::Replayed);
        table.accept(&people[..1]);
        assert_eq!(table.mine(), 1);
        assert_eq!(table.followed().len(), 3);
    }

    fn what_became_void_is_settled_as_refused(&self) {
        let table = self.table();
        let fixture = &table.fixture;
        table.accept(&fixture.people());
        let report = fixture.add_report();
        table.accept(std::slice::from_ref(&report));
        table.mine();
        let id = Fixture::report_of(&report);
        // Alive when they are accepted; the doctor's reading builds on the grant.
        let grant = fixture.grant(id, START.plus(1000));
        let read = fixture.read(id, Fixture::grant_of(&grant));
        let fine = fixture.add_report();
        let revoke = fixture.revoke(Fixture::grant_of(&grant));
        table.accept(&[grant.clone(), fine.clone(), read.clone(), revoke.clone()]);
        let listed = |record: &SignedRecord| table.view().record(&record.id()).unwrap().unwrap();
        assert_eq!(listed(&revoke).report, Some(id));
        // Six later blocks made elsewhere push the median time beyond its end.
        let other = (self.engine)(fixture.rules.clone(), Some(fixture.mining_key()));
        fixture.clock.set(START.plus(2000));
        let waiting = table.view().pending(usize::MAX).unwrap();
        hold_back(&table, &waiting, || {
            for _ in 0..8 {
                other.order(table.store.as_ref(), &fixture.job(true)).unwrap().unwrap();
            }
        });
        let mined = table.engine.order(table.store.as_ref(), &fixture.job(false)).unwrap().unwrap();
        assert_eq!(ids(&mined.block.records), [fine.id(), revoke.id()]);
        // It revokes ahead what never took effect, and is found under what the state says of it.
        assert_eq!(
            (listed(&revoke).report, listed(&revoke).patient),
            (None, Some(fixture.ids()[2]))
        );
        let refused = [(grant.id(), VoidCode::Expired), (read.id(), VoidCode::UnknownGrant)];
        assert_eq!(mined.refused, refused);
        for (record, code) in [(&grant, VoidCode::Expired), (&read, VoidCode::UnknownGrant)] {
            assert_eq!(table.standing(record), Some(Standing::Refused { code }));
            assert_eq!(table.refusal(record), code, "refused once, refused for good");
        }
        assert_eq!(table.view().count_pending().unwrap(), 0);
        assert_eq!(table.mine(), 0);
    }

    /// The record's id does not cover the signature, so a bit that turned on the disk is noticed only
    /// by verifying again.
    fn a_signature_damaged_while_it_waits_gets_into_no_block(&self) {
        let table = self.table();
        let people = table.fixture.people();
        table.accept(&people);
        let mut unit = table.store.unit().unwrap();
        let mut damaged = unit.record(&people[1].id()).unwrap().unwrap();
        *damaged.bytes.last_mut().unwrap() ^= 1;
        unit.put_record(&damaged).unwrap();
        unit.commit().unwrap();
        let mined = table.engine.order(table.store.as_ref(), &table.fixture.job(false));
        let mined = mined.unwrap().unwrap();
        assert_eq!(mined.refused[0], (people[1].id(), VoidCode::BadSignature));
        assert!(!ids(&mined.block.records).contains(&people[1].id()));
    }

    fn a_full_block_is_followed_by_another(&self) {
        let table = self.table_with(Limits { block_records: 2, ..Limits::default() });
        let mut records = table.fixture.people();
        records.extend((0..4).map(|_| table.fixture.add_report()));
        table.accept(&records);
        assert_eq!(table.mine(), 4);
        let followed = table.followed();
        let places: Vec<_> =
            followed.iter().map(|(position, _)| (position.height, position.index)).collect();
        assert_eq!(places, [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (4, 0)]);
        assert_eq!(followed.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), ids(&records));
    }

    fn a_block_of_few_bytes_is_followed_by_another(&self) {
        let block_bytes = u32::try_from(limit::RECORD_BYTES).unwrap();
        let table = self.table_with(Limits { block_bytes, ..Limits::default() });
        let mut records = table.fixture.people();
        records.extend((0..100).map(|_| table.fixture.add_report()));
        table.accept(&records);
        let bytes: usize = records.iter().map(|record| record.encode().len()).sum();
        let blocks = table.mine();
        assert!(blocks > 1 && blocks >= bytes.div_ceil(limit::RECORD_BYTES), "{blocks} blocks");
        let followed: Vec<_> = table.followed().into_iter().map(|(_, id)| id).collect();
        assert_eq!(followed, ids(&records));
    }

    fn nothing_is_made_of_nothing(&self) {
        let table = self.table();
        assert_eq!(table.mine(), 0);
        assert_eq!(table.height(), 0);
        let job = table.fixture.job(true);
        let mined = table.engine.order(table.store.as_ref(), &job).unwrap().unwrap();
        assert_eq!((mined.stored.height, mined.stored.records), (1, 0));
        assert_eq!(table.followed(), []);
    }

    fn ordering_needs_a_key_and_can_be_cancelled(&self) {
        let table = self.table();
        let (fixture, store) = (&table.fixture, table.store.as_ref());
        let keyless = (self.engine)(fixture.rules.clone(), None);
        fixture.accept(keyless.as_ref(), store, &fixture.people());
        let error = fixture.order_error(keyless.as_ref(), store);
        assert!(matches!(error, OrderError::NoMiningKey), "{error:?}");
        fixture.cancel.store(true, Ordering::SeqCst);
        let error = fixture.order_error(table.engine.as_ref(), store);
        assert!(matches!(error, OrderError::Cancelled), "{error:?}");
        assert_eq!(table.view().count_pending().unwrap(), 3, "they go on waiting");
        assert_eq!(table.height(), 0);
        fixture.cancel.store(false, Ordering::SeqCst);
        assert_eq!(table.mine(), 1);
    }

    fn a_clock_behind_stops_the_miner(&self) {
        let table = self.table();
        table.accept(&table.fixture.people());
        let behind = |seconds| {
            let now = START.as_secs() - seconds;
            table.fixture.clock.set(crate::clock::Timestamp::from_secs(now));
        };
        behind(limit::MINER_AHEAD_SECONDS);
        let error = table.fixture.order_error(table.engine.as_ref(), table.store.as_ref());
        assert!(matches!(error, OrderError::ClockBehind { .. }), "{error:?}");
        behind(limit::MINER_AHEAD_SECONDS - 1);
        assert_eq!(table.mine(), 1, "an hour ahead of the clock is allowed");
        let time = table.view().tip().unwrap().unwrap().signed.header.time;
        assert_eq!(u64::from(time), START.as_secs() + 1, "and after the median of those below");
    }

    fn two_engines_do_not_fork(&self) {
        let table = self.table();
        let fixture = &table.fixture;
        let engines: Vec<_> = (0..3)
            .map(|_| (self.engine)(fixture.rules.clone(), Some(fixture.mining_key())))
            .collect();
        table.accept(&fixture.people());
        std::thread::scope(|scope| {
            for engine in &engines {
                scope.spawn(|| {
                    for _ in 0..4 {
                        let job = fixture.job(true);
                        engine.order(table.store.as_ref(), &job).unwrap().unwrap();
                        fixture.accept(
                            engine.as_ref(),
                            table.store.as_ref(),
                            &[fixture.add_report()],
                        );
                    }
                });
            }
        });
        table.mine();
        let view = table.view();
        let mut below = fixture.genesis_block();
        for height in 1..=table.height() {
            let block = view.block(height).unwrap().unwrap();
            assert_eq!(block.signed.header.previous, below.id);
            assert_eq!(block.descriptor.unwrap().parent, below.node);
            assert_eq!(view.records_of(height).unwrap().len(), block.records as usize);
            below = block;
        }
        assert_eq!(table.followed().len(), 3 + 12, "each record once");
    }

    fn another_engine_carries_on(&self) {
        let table = self.table();
        let people = table.fixture.people();
        table.accept(&people[..2]);
        // As after a restart: the queue is all it has.
        let other = (self.engine)(table.fixture.rules.clone(), Some(table.fixture.mining_key()));
        table.fixture.accept(other.as_ref(), table.store.as_ref(), &people[2..]);
        assert!(table.doctor_will_be_a_member());
        assert_eq!(table.fixture.mine(other.as_ref(), table.store.as_ref()), 1);
        table.accept(&[table.fixture.add_report()]);
        assert_eq!(table.mine(), 1);
        assert_eq!(table.followed().len(), 4);
    }

    fn state_is_the_fold_of_the_blocks(&self) {
        let table = self.table_with(Limits { block_records: 2, ..Limits::default() });
        let mut records = table.fixture.people();
        let report = table.fixture.add_report();
        let id = Fixture::report_of(&report);
        let grant = table.fixture.grant(id, START.plus(1000));
        let read = table.fixture.read(id, Fixture::grant_of(&grant));
        records.extend([report, table.fixture.request(id, START.plus(500)), grant, read]);
        table.accept(&records);
        table.mine();
        let copy = (self.store)();
        table.fixture.found(copy.as_ref());
        for height in 1..=table.height() {
            self.replay(&table, copy.as_ref(), height);
        }
        let all = |view: &dyn View| view.state_scan(b"", None, usize::MAX).unwrap();
        let copied = copy.view().unwrap();
        assert_eq!(all(copied.as_ref()), all(table.view().as_ref()));
        assert_eq!(copied.tip().unwrap(), table.view().tip().unwrap());
    }

    /// Judges a block as somebody else's and writes it to `copy`.
    fn replay(&self, table: &Table, copy: &dyn Store, height: u64) {
        let view = table.view();
        let stored = view.block(height).unwrap().unwrap();
        let records = view.records_of(height).unwrap();
        let block = crate::block::Block {
            header: stored.signed.header,
            signature: stored.signed.signature.unwrap(),
            descriptor: stored.descriptor.unwrap(),
            records: records.iter().map(|record| record.signed().unwrap()).collect(),
        };
        let mut unit = copy.unit().unwrap();
        let checked = table
            .fixture
            .rules
            .check_block(
                unit.as_ref(),
                &block,
                START.plus(1),
                &mut crate::state::SignatureCheck::Now,
            )
            .unwrap();
        assert_eq!(*checked.stored(), stored);
        unit.append_block(checked.stored()).unwrap();
        for record in &records {
            unit.put_record(record).unwrap();
        }
        for (key, value) in checked.changes().iter() {
            unit.set_state(key, value).unwrap();
        }
        unit.commit().unwrap();
    }
}

/// The record with the signature of another one.
fn forge(record: &SignedRecord, other: &SignedRecord) -> SignedRecord {
    let mut bytes = record.encode();
    let (ours, theirs) = (record.signature().as_bytes(), other.signature().as_bytes());
    let at = bytes.windows(64).position(|window| window == ours).expect("its signature");
    bytes[at..at + 64].copy_from_slice(theirs);
    SignedRecord::decode(&bytes).unwrap()
}

/// Takes records out of the queue while something happens, as if they had come later.
fn hold_back(table: &Table, records: &[crate::store::StoredRecord], meanwhile: impl FnOnce()) {
    let settle = |standing: &dyn Fn(&crate::store::StoredRecord) -> Standing| {
        let mut unit = table.store.unit().unwrap();
        for record in records {
            unit.settle(&record.id, standing(record)).unwrap();
        }
        unit.commit().unwrap();
    };
    settle(&|_| Standing::Refused { code: VoidCode::Revoked });
    meanwhile();
    settle(&|record| record.standing);
}

#[cfg(test)]
mod tests {
    use super::suite;
    use crate::conformance::fixture::easy_work;
    use crate::engine::{LogEngine, PowEngine};
    use crate::genesis::Consensus;
    use crate::memory::MemoryStore;

    #[test]
    fn proof_of_work_over_memory() {
        let engine = |rules, key| Box::new(PowEngine::new(rules, key)) as Box<_>;
        suite(&easy_work(), &engine, &|| Box::new(MemoryStore::new()));
    }

    #[test]
    fn the_log_over_memory() {
        let engine = |rules, key| Box::new(LogEngine::new(rules, key)) as Box<_>;
        suite(&Consensus::Log, &engine, &|| Box::new(MemoryStore::new()));
    }
}
