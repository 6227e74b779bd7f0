//! Receipts from a block of a thousand records: how large they are, how long making and checking takes.
#![allow(missing_docs, unreachable_pub)]

mod common;
#[allow(dead_code)]
#[path = "ledger/world.rs"]
mod world;

use common::{Bench, Work};
use medledger_core::receipt::Receipt;
use medledger_core::store::Store;
use std::hint::black_box;
use world::{Kind, World};

/// Goals of both: bytes a receipt may have, and a millisecond a check.
const MOST_BYTES: usize = 4096;
const LEAST_CHECKS: f64 = 1000.0;

fn main() {
    let mut bench = Bench::start(
        "receipt",
        "receipts of AddReport records in a block of a thousand, a chain of one hospital: size in both \
         forms, making one from the store, checking one from its bytes",
    );
    let records = if bench.measuring() { 1000 } else { 20 };
    let world = World::new(Kind::Work);
    let submitted = world.records(records);
    world.submit(&submitted);
    world.order().expect("a block");
    let view = world.store.view().unwrap();
    let receipt = |at: usize| {
        let stored = view.record(&submitted[at].id()).unwrap().unwrap();
        Receipt::of(view.as_ref(), &world.rules, &stored).unwrap()
    };
    let (mut bytes, mut text) = (0, 0);
    for at in 0..records {
        let receipt = receipt(at);
        bytes = bytes.max(receipt.encode().len());
        text = text.max(receipt.to_tlog_proof().unwrap().len());
    }
    println!("largest of {records}: {bytes} bytes, {text} bytes as text; goal below {MOST_BYTES}");

    let chain = world.rules.chain;
    let one = Work::Each(1, "receipts");
    bench.case("make", one, || drop(black_box(receipt(records / 2))));
    let binary = receipt(records / 2).encode();
    let text = receipt(records / 2).to_tlog_proof().unwrap();
    for (name, bytes) in [("check", &binary[..]), ("check, as text", text.as_bytes())] {
        bench.case(name, one, || {
            black_box(Receipt::from_bytes(bytes).unwrap().check(&chain).unwrap());
        });
        bench.goal(name, LEAST_CHECKS);
    }
    bench.end();
}
