//! How far a record has come, told while others do the work.

use crate::support::{World, options, world, world_with};
use medledger::core::ids::RecordId;
use medledger::core::pow::Bits;
use medledger::{
    BlockPolicy, Difficulty, Due, EngineChoice, Ledger, MiningControl, Pace, Progress, Stage,
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// A report's record, not mined yet.
fn accepted(w: &World, report: &[u8]) -> RecordId {
    w.ledger.upload(&w.doctor, &w.patient.id(), report).unwrap().record
}

#[test]
fn a_watch_tells_each_step_of_a_record_once() {
    let w = world();
    let record = accepted(&w, b"report");
    let mut watch = w.ledger.watch([record]);
    let accepted = watch.next(Duration::ZERO).unwrap().unwrap();
    assert_eq!((accepted.record, accepted.progress), (record, Progress::Accepted));
    assert_eq!(watch.next(Duration::ZERO).unwrap(), None, "nothing happened");
    let height = w.ledger.mine().unwrap().unwrap().stored.height;
    // Alone, a hospital makes its blocks final with their checkpoint.
    let last = watch.next(Duration::ZERO).unwrap().unwrap();
    assert_eq!(last.progress, Progress::Final { height });
    assert_eq!(watch.next(Duration::ZERO).unwrap(), None, "a settled record is watched no more");

    let unknown = RecordId::from_bytes([7; 32]);
    assert_eq!(w.ledger.progress(&unknown).unwrap(), Progress::Unknown);
    let waited = w.ledger.wait_for(&unknown, Stage::Accepted, Duration::from_millis(30)).unwrap();
    assert_eq!(waited, Progress::Unknown);
}

#[test]
fn one_thread_waits_while_another_keeps_mining() {
    let w = world();
    let policy = BlockPolicy { records: 3, bytes: u64::MAX, age: Duration::from_secs(3600) };
    let control = MiningControl::new();
    let mut heights = Vec::new();
    std::thread::scope(|scope| {
        let miner = scope.spawn(|| {
            let mut told = Vec::new();
            let mut tell = |mined: &medledger::core::engine::Mined| {
                told.push((mined.stored.height, mined.stored.records));
            };
            w.ledger.keep_mining(&policy, &control, &mut tell).unwrap();
            told
        });
        let one = accepted(&w, b"one");
        let two = accepted(&w, b"two");
        let early = w.ledger.wait_for(&two, Stage::Mined, Duration::from_millis(100)).unwrap();
        assert_eq!(early, Progress::Accepted, "two are too few for a block");
        let three = accepted(&w, b"three");
        for record in [one, two, three] {
            let progress = w.ledger.wait_for(&record, Stage::Final, SOON).unwrap();
            assert!(progress.reached(Stage::Final), "{progress:?}");
        }
        // Another process may wait, too: it only reads.
        let reader = Ledger::open_read_only(&w.folder).unwrap();
        assert!(reader.wait_for(&three, Stage::Final, SOON).unwrap().is_settled());
        control.cancel();
        heights = miner.join().unwrap();
    });
    assert_eq!(heights.iter().map(|(_, records)| records).sum::<u32>(), 3);
    assert_eq!(heights.len(), 1, "{heights:?}");
}

#[test]
fn a_block_is_due_by_count_bytes_or_age() {
    let mut log = options();
    log.engine = EngineChoice::Log;
    let w = world_with(log);
    let never = BlockPolicy { records: u64::MAX, bytes: u64::MAX, age: Duration::from_secs(3600) };
    assert_eq!(w.ledger.block_due(&BlockPolicy { records: 0, ..never }).unwrap(), Due::Not);
    accepted(&w, b"report");
    let due = |policy: BlockPolicy| w.ledger.block_due(&policy).unwrap();
    assert_eq!(due(never), Due::Not);
    assert_eq!(due(BlockPolicy { records: 1, ..never }), Due::Records);
    assert_eq!(due(BlockPolicy { bytes: 100, ..never }), Due::Records);
    w.clock.set(w.ledger.now().plus(3600));
    assert_eq!(due(never), Due::Records);
    w.ledger.mine().unwrap();
    assert_eq!(due(never), Due::Not);
}

#[test]
fn a_block_is_due_when_the_plan_of_asert_asks_for_one_though_nothing_waits() {
    let mut paced = options();
    let start = Difficulty::Bits(Bits::from_u32(0x207f_ffff));
    let pace = Pace::Asert { spacing: 600, half_life: 172_800 };
    paced.engine = EngineChoice::Paced { start, pace, floor: None };
    let w = world_with(paced);
    let due = || w.ledger.block_due(&BlockPolicy::default()).unwrap();
    // The members' block came at once: the next one is planned for twenty minutes after genesis.
    assert_eq!(due(), Due::Not);
    w.pass(1100);
    assert_eq!(due(), Due::Not);
    w.pass(100);
    assert_eq!(due(), Due::Empty);
    w.ledger.mine_with(&MiningControl::new(), true).unwrap().unwrap();
    assert_eq!(due(), Due::Not);
    // After a weekend a block each five minutes, until the plan is met.
    w.pass(2 * 86_400);
    for _ in 0..3 {
        assert_eq!(due(), Due::Empty);
        w.ledger.mine_with(&MiningControl::new(), true).unwrap().unwrap();
        w.pass(299);
        assert_eq!(due(), Due::Not);
        w.pass(1);
    }
}
