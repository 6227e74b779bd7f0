//! Sealing and opening against what AES-GCM and SHA-256 alone take on the same core.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work, cores, in_turn, noise, on_all_cores};
use medledger::Threads;
use medledger_core::dek::Dek;
use medledger_core::padding::Padding;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::seal::{Backend, CHUNK_LEN, ChunkSealer, SEALED_CHUNK_LEN, Salt, UnsealReader};
use medledger_ipfs::pipeline::{SealJob, SealedBody, seal_file};
use medledger_ipfs::store::{Keep, Session, StoreError};
use medledger_ipfs::unixfs::{FileReader, Profile};
use medledger_ipfs::{BlockStore, Cid, Kernel, MemoryStore, Processor};
use sha2::{Digest, Sha256};
use std::hint::black_box;

const MIB: usize = 1 << 20;
const REPORT: usize = 32 * MIB;

/// Takes blocks and keeps none.
struct Nowhere;

impl Session for Nowhere {
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        black_box((cid, block));
        Ok(())
    }

    fn hold(&self, _: &Cid) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn finish(self: Box<Self>, _: &[(Cid, Keep)]) -> Result<(), StoreError> {
        Ok(())
    }
}

fn main() {
    let mut bench = Bench::start(
        "seal",
        "seal + CID in memory, one core and all, against (1/AES + 1/lanes)^-1 of raw in-place \
         AES-128-GCM on 16 KiB chunks and SHA-256 of as many leaves of 1 MiB as the kernel has lanes, all in this run; opening against \
         SHA-256 of one leaf likewise",
    );
    let report = noise(REPORT);
    // Makes glibc keep freed memory: what it takes for a large allocation from then on is the size of the largest freed
    // so far, 32 MiB at most, and it keeps twice that. Otherwise it gives every block back and takes it anew, and the
    // "to memory" cases measure page faults.
    drop(black_box(vec![1_u8; 32 * MIB - 4096]));
    let leaf = noise(MIB);
    bench.case("sha256 of 1 MiB", Work::Bytes(MIB as u64), || {
        black_box(Sha256::digest(black_box(&leaf)));
    });
    lanes(&mut bench);
    for backend in Backend::all() {
        raw(&mut bench, *backend);
        raw_on_all_cores(&mut bench, *backend);
        sealing(&mut bench, *backend, &report);
        opening(&mut bench, *backend, &report);
    }
    for backend in Backend::all() {
        let name = backend.name();
        let what = "(1/AES + 1/lanes)^-1";
        for (on, cores) in [("", "one core"), (", all cores", "all cores")] {
            let aes = bench.rate(&format!("raw seal{on}/{name}"));
            let ceiling = in_turn(aes, bench.rate(&format!("lanes, {cores}")));
            bench.ratio(&format!("seal + CID, kept nowhere{on}/{name}"), what, ceiling, Some(0.80));
            bench.ratio(&format!("seal + CID, to memory{on}/{name}"), what, ceiling, Some(0.80));
        }
        let what = "(1/AES + 1/SHA)^-1";
        let sha = bench.rate("sha256 of 1 MiB");
        let ceiling = in_turn(bench.rate(&format!("raw open/{name}")), sha);
        bench.ratio(&format!("open/{name}"), what, ceiling, None);
        bench.ratio(&format!("open 1 MiB in the middle/{name}"), what, ceiling, None);
    }
    bench.end();
}

/// The kernel alone, over as many leaves as it has lanes.
fn lanes(bench: &mut Bench) {
    let kernel = Kernel::best();
    let bytes = noise(kernel.lanes() * MIB);
    let leaves: Vec<&[u8]> = bytes.chunks_exact(MIB).collect();
    let len = bytes.len() as u64;
    bench.case("lanes, one core", Work::Bytes(len), || {
        black_box(sha256_lanes::digest_many_with(kernel, black_box(&leaves)));
    });
    bench.case("lanes, all cores", Work::Bytes(4 * cores() as u64 * len), || {
        on_all_cores(|_| {
            for _ in 0..4 {
                black_box(sha256_lanes::digest_many_with(kernel, black_box(&leaves)));
            }
        });
    });
}

/// The backend through our own interface, which the case with one core shows to cost nothing.
fn raw_on_all_cores(bench: &mut Bench, backend: Backend) {
    let dek = Dek::from_bytes([7; 16]);
    let name = format!("raw seal, all cores/{}", backend.name());
    bench.case(name, Work::Bytes((cores() * 16 * MIB) as u64), || {
        on_all_cores(|core| {
            let salt = Salt::from_bytes([core as u8; 24]);
            let mut sealer = ChunkSealer::new(backend, &dek, &salt, b"bench");
            let mut slots = vec![[0; SEALED_CHUNK_LEN]; 64];
            for _ in 0..16 {
                slots.iter_mut().for_each(|slot| sealer.seal_chunk_in_place(slot).unwrap());
            }
            black_box(slots);
        });
    });
}

/// The backend's own interface over 1 MiB, chunk by chunk in place.
fn raw(bench: &mut Bench, backend: Backend) {
    let mut buffer = noise(MIB);
    let work = Work::Bytes(MIB as u64);
    let (seal, open) =
        (format!("raw seal/{}", backend.name()), format!("raw open/{}", backend.name()));
    match backend {
        Backend::RustCrypto => {
            use aes_gcm::aead::{AeadInOut, KeyInit, inout::InOutBuf};
            let key = aes_gcm::Aes128Gcm::new(&[7; 16].into());
            bench.case(seal, work, || {
                for chunk in buffer.chunks_exact_mut(CHUNK_LEN) {
                    let chunk = InOutBuf::from(chunk);
                    let _ =
                        black_box(key.encrypt_inout_detached(&[1; 12].into(), &[], chunk).unwrap());
                }
            });
            let tags: Vec<_> = buffer
                .chunks_exact_mut(CHUNK_LEN)
                .map(|c| key.encrypt_inout_detached(&[1; 12].into(), &[], c.into()).unwrap())
                .collect();
            let sealed = buffer.clone();
            bench.timed(open, work, || {
                buffer.copy_from_slice(&sealed);
                let begin = std::time::Instant::now();
                for (chunk, tag) in buffer.chunks_exact_mut(CHUNK_LEN).zip(&tags) {
                    let chunk = InOutBuf::from(chunk);
                    key.decrypt_inout_detached(&[1; 12].into(), &[], chunk, tag).unwrap();
                }
                begin.elapsed()
            });
        }
        #[cfg(feature = "aws-lc")]
        Backend::AwsLc => {
            use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
            let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).unwrap());
            let nonce = || Nonce::assume_unique_for_key([1; 12]);
            bench.case(seal, work, || {
                for chunk in buffer.chunks_exact_mut(CHUNK_LEN) {
                    let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), chunk);
                    let _ = black_box(tag.unwrap());
                }
            });
            let tags: Vec<_> = buffer
                .chunks_exact_mut(CHUNK_LEN)
                .map(|c| key.seal_in_place_separate_tag(nonce(), Aad::empty(), c).unwrap())
                .collect();
            let sealed = buffer.clone();
            bench.timed(open, work, || {
                buffer.copy_from_slice(&sealed);
                let begin = std::time::Instant::now();
                for (chunk, tag) in buffer.chunks_exact_mut(CHUNK_LEN).zip(&tags) {
                    key.open_in_place_separate_tag(nonce(), Aad::empty(), tag.as_ref(), chunk)
                        .unwrap();
                }
                begin.elapsed()
            });
        }
        other => unreachable!("backend {} has no raw bench", other.name()),
    }
}

fn seal(
    backend: Backend,
    dek: &Dek,
    report: &[u8],
    session: &dyn Session,
    processor: &Processor<'_>,
) -> SealedBody {
    let job = SealJob {
        backend,
        dek,
        context: b"bench",
        padding: Padding::Padme,
        profile: Profile::default(),
    };
    let mut rng = UnwrapErr(getrandom::SysRng);
    seal_file(&job, &mut &report[..], session, processor, &mut rng, &mut |_| {}).unwrap()
}

fn sealing(bench: &mut Bench, backend: Backend, report: &[u8]) {
    let dek = Dek::from_bytes([7; 16]);
    let work = Work::Bytes(report.len() as u64);
    let threads = Threads::default();
    let name = backend.name();
    for (on, processor) in [("", Processor::default()), (", all cores", Processor::new(&threads))] {
        bench.case(format!("seal + CID, kept nowhere{on}/{name}"), work, || {
            black_box(seal(backend, &dek, report, &Nowhere, &processor));
        });
        bench.timed(format!("seal + CID, to memory{on}/{name}"), work, || {
            let store = MemoryStore::new();
            let begin = std::time::Instant::now();
            let session = store.begin().unwrap();
            let body = seal(backend, &dek, report, session.as_ref(), &processor);
            session.commit(&body.root).unwrap();
            begin.elapsed()
        });
    }
}

fn opening(bench: &mut Bench, backend: Backend, report: &[u8]) {
    let dek = Dek::from_bytes([7; 16]);
    let store = MemoryStore::new();
    let session = store.begin().unwrap();
    let body = seal(backend, &dek, report, session.as_ref(), &Processor::default());
    session.commit(&body.root).unwrap();
    let reader = || {
        let file = FileReader::open(&store, body.root, Some(body.size)).unwrap();
        UnsealReader::with_head(backend, &dek, &body.head, b"bench", file).unwrap()
    };
    let mut plain = vec![0; report.len()];
    reader().read_into(0, &mut plain).unwrap();
    assert!(plain == report, "what was opened is what was sealed");
    let middle = report.len() / 2 - 12_345;
    reader().read_into(middle as u64, &mut plain[..MIB]).unwrap();
    assert!(plain[..MIB] == report[middle..][..MIB], "the range is the right one");
    let name = backend.name();
    bench.case(format!("open/{name}"), Work::Bytes(report.len() as u64), || {
        reader().read_into(0, &mut plain).unwrap();
    });
    bench.case(format!("open 1 MiB in the middle/{name}"), Work::Bytes(MIB as u64), || {
        reader().read_into(middle as u64, &mut plain[..MIB]).unwrap();
    });
}
