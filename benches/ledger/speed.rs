//! The speeds that are promised: each beside the limit that is measured in the same run.

use crate::common::{Bench, Work};
use crate::timed;
use crate::world::{Kind, World};
use medledger::Threads;
use medledger_core::engine::Taken;
use medledger_core::keys::SignatureBatch;
use medledger_core::news::News;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::record::SignedRecord;
use medledger_core::registry::domain;
use medledger_core::replay::replay;
use medledger_core::state::{BatchedSignatures, Rebuilt};
use medledger_core::store::Store;
use std::cell::LazyCell;

/// Records of others that arrive together.
const ARRIVING: usize = 1000;

/// Records of one block of the chains that are replayed.
const BLOCK: usize = 2000;

/// Signatures that replay verifies together.
const TOGETHER: usize = 8192;

pub fn cases(bench: &mut Bench) {
    limits(bench);
    arriving(bench);
    replays(bench);
}

pub fn ratios(bench: &mut Bench) {
    let limit = bench.rate("verify 1000 together, all cores");
    bench.ratio("records of others, 1000 a unit, durable", "batch limit", limit, Some(0.75));
    let limit = bench.rate("verify 8192 together, all cores");
    let ten = bench.rate("replay 10000 records, all cores");
    for count in sizes(true) {
        let id = format!("replay {count} records, all cores");
        bench.ratio(&id, "batch limit", limit, Some(0.8));
        if count > 10_000 {
            bench.ratio(&id, "the rate of 10000: linear at 100 %", ten, None);
        }
        if count == 1_000_000 {
            bench.goal(&id, 1_000_000.0 / 60.0);
        }
    }
    let sqlite = bench.rate("sqlite commits of one row");
    bench.ratio("accept one by one, durable", "sqlite commits", sqlite, Some(0.45));
}

/// Lengths of the chains that are replayed: a million only when asked for, as it takes many minutes to make.
fn sizes(measuring: bool) -> Vec<usize> {
    let mut sizes = if measuring { vec![10_000, 100_000] } else { vec![40] };
    if measuring && std::env::var_os("MEDLEDGER_BENCH_MILLION").is_some() {
        sizes.push(1_000_000);
    }
    sizes
}

fn limits(bench: &mut Bench) {
    let world = LazyCell::new(|| World::new(Kind::Log));
    for count in [ARRIVING, TOGETHER] {
        let count = if bench.measuring() { count } else { 20 };
        let records = LazyCell::new(|| world.records(count));
        let id = format!("verify {count} together, all cores");
        bench.case(id, Work::Each(count as u64, "signatures"), || {
            let key = world.doctor.public().signing_key();
            let mut batch = SignatureBatch::new();
            for record in records.iter() {
                let id = record.id();
                batch.queue(&key, domain::RECORD_SIGNATURE, id.as_bytes(), record.signature());
            }
            let mut rng = UnwrapErr(getrandom::SysRng);
            batch.verify_on(&Threads::default(), &mut rng).unwrap();
        });
    }
}

/// From the bytes of another hospital's news to accepted and durable, as news are imported. What waits is put into
/// blocks between the iterations.
fn arriving(bench: &mut Bench) {
    let count = if bench.measuring() { ARRIVING } else { 20 };
    let world = LazyCell::new(|| World::new(Kind::Log));
    let id = "records of others, 1000 a unit, durable";
    let mut size = 0;
    bench.timed(id, Work::Each(count as u64, "records"), || {
        let mut news = News::new(world.rules.chain);
        news.records = world.records(count).iter().map(|record| record.encode().into()).collect();
        size = news.records[0].len();
        let news = news.encode();
        let took = timed(|| {
            let mut rng = UnwrapErr(getrandom::SysRng);
            let threads = Threads::default();
            let news = News::decode(&news).unwrap();
            let records = news.records.iter().map(|bytes| SignedRecord::decode(bytes).unwrap());
            let records: Vec<SignedRecord> = records.collect();
            let mut unit = world.store.unit().unwrap();
            let signatures = &mut BatchedSignatures::new(&threads, &mut rng);
            let now = world.now();
            let taken = world.engine.take_in(unit.as_mut(), &records, now, signatures).unwrap();
            assert!(taken.iter().all(|taken| *taken == Taken::Waits));
            unit.commit().unwrap();
        });
        world.order().unwrap();
        took
    });
    if size > 0 {
        println!("records of others have {size} bytes");
    }
}

fn replays(bench: &mut Bench) {
    let each = if bench.measuring() { BLOCK } else { 10 };
    for count in sizes(bench.measuring()) {
        let world = LazyCell::new(|| {
            let world = World::new(Kind::Log);
            for _ in 0..count / each {
                world.submit(&world.records(each));
                world.order().unwrap();
            }
            world
        });
        let id = format!("replay {count} records, all cores");
        bench.timed(id, Work::Each(count as u64, "records"), || {
            let mut copy = Rebuilt::default();
            let view = world.store.view().unwrap();
            let view = view.as_ref();
            let took = timed(|| {
                let (threads, mut rng) = (Threads::default(), UnwrapErr(getrandom::SysRng));
                let signatures = &mut BatchedSignatures::new(&threads, &mut rng);
                let now = world.now().plus(3600);
                let done = replay(view, &world.rules, now, signatures, &mut copy, &mut |_| {});
                assert_eq!(done.unwrap().records as usize, count + 3);
            });
            assert_eq!(copy.first_difference(view).unwrap(), None);
            took
        });
    }
}
