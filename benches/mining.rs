//! Header hashes and the search for a nonce against plain `sha2`.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work};
use medledger::Threads;
use medledger_core::ids::{BlockId, BlockRoot};
use medledger_core::pow::{Header, Target, Workers, mine, search};
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const HASHES: u64 = 4096;

fn main() {
    let mut bench = Bench::start(
        "mining",
        "hash of an 80-byte header and the nonce scan (midstate), one core, against double SHA-256 \
         of the header by sha2; all cores against one",
    );
    let header = Header {
        version: Header::VERSION,
        previous: BlockId::from_bytes([0x11; 32]),
        root: BlockRoot::from_bytes([0x22; 32]),
        time: 1_800_000_000,
        // No hash of this scan meets it.
        bits: Target::from_expected_tries(u128::MAX).to_bits(),
        nonce: 0,
    };
    let target = header.target().unwrap();
    let work = Work::Each(HASHES, "H");

    let mut bytes = header.to_bytes();
    bench.case("sha2 twice over 80 bytes", work, || {
        for nonce in 0..HASHES as u32 {
            bytes[76..].copy_from_slice(&nonce.to_le_bytes());
            black_box(Sha256::digest(Sha256::digest(black_box(&bytes))));
        }
    });
    bench.case("header hash", work, || {
        for nonce in 0..HASHES as u32 {
            black_box(black_box(Header { nonce, ..header }).id());
        }
    });
    let never = AtomicBool::new(false);
    bench.case("search, one core", work, || {
        let tried = AtomicU64::new(0);
        assert_eq!(search(&header, &target, 0..=HASHES as u32 - 1, &never, &tried), None);
        assert_eq!(tried.into_inner(), HASHES);
    });
    let threads = Threads::default();
    let rounds = 256;
    bench.case(
        format!("mine, {} threads", threads.count()),
        Work::Each(HASHES * rounds, "H"),
        || {
            let (cancel, tried) = (AtomicBool::new(false), AtomicU64::new(0));
            let stop = Stop { cancel: &cancel, tried: &tried, at: HASHES * rounds, threads };
            let _ = black_box(mine(&header, &mut |_| header, &stop, &cancel, &tried));
        },
    );

    let plain = bench.rate("sha2 twice over 80 bytes");
    bench.ratio("header hash", "sha2 twice", plain, None);
    bench.ratio("search, one core", "sha2 twice", plain, None);
    bench.goal("search, one core", 6e6);
    let one = bench.rate("search, one core");
    bench.ratio(&format!("mine, {} threads", threads.count()), "one core", one, None);
    bench.end();
}

/// Threads that are told to stop once so many hashes were tried.
struct Stop<'a> {
    cancel: &'a AtomicBool,
    tried: &'a AtomicU64,
    at: u64,
    threads: Threads,
}

impl Workers for Stop<'_> {
    fn count(&self) -> usize {
        self.threads.count()
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while self.tried.load(Ordering::Relaxed) < self.at {
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
                self.cancel.store(true, Ordering::Relaxed);
            });
            self.threads.run(job);
        });
    }
}
