//! Checking a chain of headers, on one core, against hashing them one by one.
#![allow(missing_docs, unreachable_pub)]

mod common;

use bitcoin::consensus::deserialize;
use common::{Bench, Work};
use medledger_core::chain::HeaderChain;
use medledger_core::clock::Timestamp;
use medledger_core::genesis::Consensus;
use medledger_core::pow::{Bits, Header, Kernel, Schedule, Target};
use sha2::{Digest, Sha256};
use std::hint::black_box;

/// Long after every header here.
const LATER: Timestamp = Timestamp::from_secs(2_000_000_000);

fn main() {
    let mut bench = Bench::start(
        "headers",
        "real headers of Bitcoin, and headers of a chain by aserti3-2d, judged by all rules, one core, against double \
         SHA-256 of the same headers by sha2 and against link, target and work by the crate `bitcoin`",
    );
    let real: &[u8] = include_bytes!("../tests/vectors/bitcoin/mainnet-0.bin");
    let (real, _) = real.as_chunks::<80>();
    let bitcoin = Consensus::Work(Schedule::BITCOIN_MAINNET);
    let genesis = Header::from_bytes(&real[0]);
    let start = HeaderChain::from_genesis(bitcoin, &genesis).expect("Bitcoin's genesis block");
    let work = Work::Each(real.len() as u64 - 1, "headers");

    bench.case("sha2 twice, one by one", work, || {
        for header in &real[1..] {
            black_box(Sha256::digest(Sha256::digest(black_box(header))));
        }
    });
    bench.case("crate bitcoin: link, target, work", work, || {
        assert!(checked_by_bitcoin(black_box(real)) > 0.0);
    });
    for kernel in Kernel::available() {
        let mut ids = Vec::new();
        bench.case(format!("hash only, {kernel}"), work, || {
            ids.clear();
            sha256_lanes::double_digest_many_with(kernel, black_box(&real[1..]), &mut ids);
            black_box(&ids);
        });
    }
    bench.case("check, Bitcoin's rules", work, || {
        let mut chain = start.clone();
        chain.extend(black_box(&real[1..]), LATER).expect("real headers");
        black_box(&chain);
    });
    let (start, moving) = asert_chain(real.len() - 1);
    bench.case("check, aserti3-2d", work, || {
        let mut chain = start.clone();
        chain.extend(black_box(&moving), LATER).expect("headers just made");
        black_box(&chain);
    });

    let plain = bench.rate("sha2 twice, one by one");
    let theirs = bench.rate("crate bitcoin: link, target, work");
    if bench.measuring() {
        println!("  headers are hashed by: {}", Kernel::best());
    }
    for kernel in Kernel::available() {
        bench.ratio(&format!("hash only, {kernel}"), "sha2 twice", plain, None);
    }
    for ours in ["check, Bitcoin's rules", "check, aserti3-2d"] {
        bench.ratio(ours, "sha2 twice", plain, None);
        bench.ratio(ours, "crate bitcoin", theirs, None);
        bench.goal(ours, 4e6);
    }
    bench.end();
}

/// What a loop on the crate `bitcoin` checks: links, the same bits, the work. No times, no retarget.
fn checked_by_bitcoin(headers: &[[u8; 80]]) -> f64 {
    let read =
        |bytes: &[u8; 80]| -> bitcoin::block::Header { deserialize(bytes).expect("80 bytes") };
    let mut before = read(&headers[0]);
    let mut hash = before.block_hash();
    let (target, mut work) = (before.target(), before.work());
    for header in &headers[1..] {
        let header = read(header);
        assert!(header.prev_blockhash == hash && header.bits == before.bits);
        hash = header.validate_pow(target).expect("real work");
        work = work + header.work();
        before = header;
    }
    work.log2()
}

/// A chain of so many headers after its genesis, a second too fast and a second too slow in turn, so that the
/// bits change with each.
fn asert_chain(count: usize) -> (HeaderChain, Vec<[u8; 80]>) {
    let [bits, floor] = [4, 2].map(|tries| Target::from_expected_tries(tries).to_bits());
    let schedule = Schedule::Asert { bits, floor, spacing: 600, half_life: 172_800 };
    let mined = |mut header: Header| {
        while !header.meets_target() {
            header.nonce = header.nonce.wrapping_add(1);
        }
        header
    };
    let genesis = mined(Header { bits, time: 1_600_000_000, ..Header::from_bytes(&[0; 80]) });
    let start = HeaderChain::from_genesis(Consensus::Work(schedule), &genesis).expect("a genesis");
    let (mut chain, mut headers) = (start.clone(), Vec::new());
    let mut changes = 0;
    for i in 0..count {
        let bits: Bits = chain.next_bits();
        changes += usize::from(bits != chain.tip().bits);
        let time = chain.tip().time + if i % 2 == 0 { 570 } else { 630 };
        let header = mined(Header { previous: chain.tip_id(), bits, time, ..*chain.tip() });
        chain.extend(&[header.to_bytes()], LATER).expect("a header just made");
        headers.push(header.to_bytes());
    }
    assert!(changes > count / 2, "{changes} changes");
    (start, headers)
}
