//! Signatures, accepting and ordering records, appending blocks, replaying a chain.
#![allow(missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod speed;
mod world;

use common::{Bench, Work, in_turn};
use medledger::Threads;
use medledger_core::keys::SignatureBatch;
use medledger_core::memory::MemoryStore;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::registry::domain;
use medledger_core::replay::{block, replay};
use medledger_core::state::{BatchedSignatures, Rebuilt, SignatureCheck};
use medledger_core::store::Store;
use std::cell::LazyCell;
use std::hint::black_box;
use std::time::{Duration, Instant};
use world::{Kind, World};

/// Records of one unit of work, and of one block.
const BATCH: usize = 2000;

fn main() {
    let mut bench = Bench::start(
        "ledger",
        "signatures one by one and in batches; records accepted durably in SQLite in batches and \
         one by one, against SQLite's own rate of commits on this disk; blocks of proof of work \
         (two tries) against the single-writer log; replay. Records are AddReport",
    );
    signatures(&mut bench);
    batches(&mut bench);
    one_by_one(&mut bench);
    replaying(&mut bench);
    speed::cases(&mut bench);

    let single = bench.rate("verify one by one");
    bench.ratio("verify in a batch of 1000", "one by one", single, None);
    bench.goal("accept in batches, durable/log", 10_000.0);
    for kind in ["log", "pow"] {
        let accept = bench.rate("accept in batches, durable/log");
        let block = bench.rate(&format!("order into a block, durable/{kind}"));
        if let Some(both) = in_turn(accept, block) {
            println!("accepted and ordered, {kind}: {both:.0} records/s");
        }
    }
    let log = bench.rate("order into a block, durable/log");
    bench.ratio("order into a block, durable/pow", "the log engine", log, None);
    let log = bench.rate("one record into a block, durable/log");
    bench.ratio("one record into a block, durable/pow", "the log engine", log, None);
    speed::ratios(&mut bench);
    let sqlite = bench.rate("sqlite commits of one row");
    bench.ratio("one record into a block, durable/log", "sqlite commits", sqlite, None);
    bench.end();
}

fn signatures(bench: &mut Bench) {
    const COUNT: usize = 1000;
    let world = LazyCell::new(|| World::new(Kind::Log));
    let records = LazyCell::new(|| world.records(COUNT));
    let rng = || UnwrapErr(getrandom::SysRng);
    bench.case("sign", Work::Each(100, "records"), || {
        black_box(world.records(100));
    });
    bench.case("verify one by one", Work::Each(100, "signatures"), || {
        let key = world.doctor.public().signing_key();
        for record in &records[..100] {
            record.verify(&key).unwrap();
        }
    });
    bench.case("verify in a batch of 1000", Work::Each(COUNT as u64, "signatures"), || {
        let key = world.doctor.public().signing_key();
        let mut batch = SignatureBatch::new();
        for record in records.iter() {
            let id = record.id();
            batch.queue(&key, domain::RECORD_SIGNATURE, id.as_bytes(), record.signature());
        }
        batch.verify(&mut rng()).unwrap();
    });
}

/// What waits is put into blocks between the iterations, so that the queue does not grow.
fn batches(bench: &mut Bench) {
    let size = if bench.measuring() { BATCH } else { 20 };
    let work = Work::Each(size as u64, "records");
    for (name, kind) in [("log", Kind::Log), ("pow", Kind::Work)] {
        let world = LazyCell::new(|| World::new(kind));
        if kind == Kind::Log {
            bench.timed("accept in batches, durable/log", work, || {
                let records = world.records(size);
                let took = timed(|| world.submit(&records));
                world.order().unwrap();
                took
            });
        }
        bench.timed(format!("order into a block, durable/{name}"), work, || {
            world.submit(&world.records(size));
            timed(|| {
                let mined = world.order().unwrap();
                assert_eq!(mined.block.records.len(), size);
            })
        });
    }
}

fn one_by_one(bench: &mut Bench) {
    bench.case("sqlite commits of one row", Work::Each(1, "commits"), {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let db = rusqlite::Connection::open(folder.path().join("plain")).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE rows (id INTEGER PRIMARY KEY, bytes BLOB)",
        )
        .unwrap();
        move || {
            let _ = &folder;
            db.execute("INSERT INTO rows (bytes) VALUES (zeroblob(300))", []).unwrap();
        }
    });
    let world = LazyCell::new(|| World::new(Kind::Log));
    let mut waiting = 0;
    bench.timed("accept one by one, durable", Work::Each(1, "records"), || {
        let records = world.records(1);
        let took = timed(|| world.submit(&records));
        waiting += 1;
        if waiting == 500 {
            world.order().unwrap();
            waiting = 0;
        }
        took
    });
    for (name, kind) in [("log", Kind::Log), ("pow", Kind::Work)] {
        let world = LazyCell::new(|| World::new(kind));
        let id = format!("one record into a block, durable/{name}");
        bench.timed(id, Work::Each(1, "records"), || {
            world.submit(&world.records(1));
            timed(|| assert!(world.order().is_some()))
        });
    }
}

fn replaying(bench: &mut Bench) {
    let (blocks, each) = if bench.measuring() { (10, BATCH) } else { (2, 10) };
    let world = LazyCell::new(|| {
        let world = World::new(Kind::Work);
        for _ in 0..blocks {
            world.submit(&world.records(each));
            world.order().unwrap();
        }
        world
    });
    let work = Work::Each((blocks * each) as u64, "records");
    for (name, check) in [("with", SignatureCheck::Now), ("without", SignatureCheck::Done)] {
        bench.case(format!("replay into memory, {name} signatures"), work, || {
            let mut copy = Rebuilt::default();
            let view = world.store.view().unwrap();
            let mut check = check;
            let done = replay(
                view.as_ref(),
                &world.rules,
                world.now().plus(3600),
                &mut check,
                &mut copy,
                &mut |_| {},
            );
            assert_eq!(done.unwrap().records as usize, blocks * each + 3);
            assert_eq!(copy.first_difference(view.as_ref()).unwrap(), None);
        });
    }
    let one = Work::Each(each as u64, "records");
    bench.case("read a block from the store", one, || {
        let view = world.store.view().unwrap();
        let stored = view.block(2).unwrap().unwrap();
        black_box(block(view.as_ref(), &stored).unwrap());
    });
    // A block that another hospital made: judged whole before it is appended.
    let below = LazyCell::new(|| {
        let (view, copy) = (world.store.view().unwrap(), MemoryStore::new());
        let mut unit = copy.unit().unwrap();
        unit.append_block(&view.block(0).unwrap().unwrap()).unwrap();
        for change in world.rules.genesis.state() {
            unit.set_state(&change.key, change.value.as_deref()).unwrap();
        }
        unit.commit().unwrap();
        let read = |height| block(view.as_ref(), &view.block(height).unwrap().unwrap()).unwrap();
        let now = world.now().plus(3600);
        let first = read(1);
        let checked = {
            let below = copy.view().unwrap();
            let check = &mut SignatureCheck::Now;
            world.rules.check_block(below.as_ref(), &first, now, check).unwrap()
        };
        let mut unit = copy.unit().unwrap();
        unit.append_block(checked.stored()).unwrap();
        for (key, value) in checked.changes().iter() {
            unit.set_state(key, value).unwrap();
        }
        unit.commit().unwrap();
        (copy, read(2))
    });
    // As news of others and imports are: signatures in batches on all cores.
    bench.case("check a block whole", one, || {
        let (copy, block) = &*below;
        let view = copy.view().unwrap();
        let now = world.now().plus(3600);
        let (threads, mut rng) = (Threads::default(), UnwrapErr(getrandom::SysRng));
        let check = &mut BatchedSignatures::new(&threads, &mut rng);
        black_box(world.rules.check_block(view.as_ref(), block, now, check).unwrap());
    });
    bench.case("check a block whole, one by one", one, || {
        let (copy, block) = &*below;
        let view = copy.view().unwrap();
        let now = world.now().plus(3600);
        let check = &mut SignatureCheck::Now;
        black_box(world.rules.check_block(view.as_ref(), block, now, check).unwrap());
    });
}

fn timed(run: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    run();
    begin.elapsed()
}
