//! Header hashes and the search for a nonce, kernel by kernel, against plain `sha2`.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work};
use medledger::Threads;
use medledger_core::ids::{BlockId, BlockRoot};
use medledger_core::pow::{Header, Kernel, Scan, Target, Workers, mine, search};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A multiple of what every kernel tries at a time.
const HASHES: u64 = 6144;

fn main() {
    let mut bench = Bench::start(
        "mining",
        "hash of an 80-byte header and the nonce scan by each kernel, one core, against double SHA-256 of \
         the header by sha2 and against a midstate scan on sha2's compression function; all cores against one",
    );
    let chosen = Scan::best_kernel();
    if bench.measuring() {
        println!("  nonces are scanned by: {chosen}");
    }
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
    bench.case("midstate on sha2's compression", work, || {
        assert!(!midstate_scan(&header.to_bytes(), HASHES as u32));
    });
    bench.case("header hash", work, || {
        for nonce in 0..HASHES as u32 {
            black_box(black_box(Header { nonce, ..header }).id());
        }
    });
    for kernel in Kernel::available() {
        let scan = Scan::with_kernel(&header.to_bytes(), kernel);
        bench.case(format!("scan, {kernel}"), work, || {
            assert_eq!(scan.first(0..=HASHES as u32 - 1, &target.to_be_bytes()), None);
        });
    }
    let never = AtomicBool::new(false);
    bench.case("search, one core", work, || {
        let tried = AtomicU64::new(0);
        assert_eq!(search(&header, &target, 0..=HASHES as u32 - 1, &never, &tried), None);
        assert_eq!(tried.into_inner(), HASHES);
    });
    let threads = Threads::default();
    let rounds = 1024;
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
    let midstate = bench.rate("midstate on sha2's compression");
    bench.ratio("header hash", "sha2 twice", plain, None);
    for kernel in Kernel::available() {
        bench.ratio(&format!("scan, {kernel}"), "sha2 twice", plain, None);
    }
    bench.ratio("search, one core", "sha2 twice", plain, None);
    bench.ratio("search, one core", "midstate on sha2", midstate, None);
    bench.goal("scan, avx512", 23e6);
    bench.goal("scan, sha-ni", 10e6);
    let one = bench.rate("search, one core");
    bench.ratio(&format!("mine, {} threads", threads.count()), "one core", one, None);
    bench.end();
}

/// The scan with nothing but the midstate saved, on what `sha2` exports: two compressions a nonce. Whether a
/// last word was zero.
fn midstate_scan(header: &[u8; 80], nonces: u32) -> bool {
    const INITIAL: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    let padded = |end: &[u8], bits: u16| {
        let mut block = [0; 64];
        block[..end.len()].copy_from_slice(end);
        block[end.len()] = 0x80;
        block[62..].copy_from_slice(&bits.to_be_bytes());
        block
    };
    let (first, rest) = header.split_first_chunk::<64>().unwrap();
    let mut midstate = INITIAL;
    compress256(&mut midstate, &[*first]);
    let (mut tail, mut digest) = (padded(rest, 640), padded(&[0; 32], 256));
    (0..nonces).any(|nonce| {
        tail[12..16].copy_from_slice(&nonce.to_le_bytes());
        let mut state = midstate;
        compress256(&mut state, std::slice::from_ref(&tail));
        for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        let mut state = INITIAL;
        compress256(&mut state, std::slice::from_ref(&digest));
        state[7] == 0
    })
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
