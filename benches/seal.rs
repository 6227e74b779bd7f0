//! Sealing and opening against what AES-GCM and SHA-256 alone take on the same core.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work, in_turn, noise};
use medledger_core::dek::Dek;
use medledger_core::padding::Padding;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::seal::{Backend, CHUNK_LEN, UnsealReader};
use medledger_ipfs::pipeline::{SealJob, SealedBody, seal_file};
use medledger_ipfs::store::{Keep, Session, StoreError};
use medledger_ipfs::unixfs::{FileReader, Profile};
use medledger_ipfs::{BlockStore, Cid, MemoryStore};
use sha2::{Digest, Sha256};
use std::hint::black_box;

const MIB: usize = 1 << 20;
const REPORT: usize = 8 * MIB;

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

    fn finish(self: Box<Self>, _: Option<(&Cid, &Keep)>) -> Result<(), StoreError> {
        Ok(())
    }
}

fn main() {
    let mut bench = Bench::start(
        "seal",
        "seal + CID in memory, one core, against (1/AES + 1/SHA)^-1 of raw in-place AES-128-GCM on \
         16 KiB chunks and SHA-256 of 1 MiB, all in this run; opening likewise",
    );
    let report = noise(REPORT);
    // Makes glibc keep freed memory. Otherwise it gives every block back and takes it anew, and the
    // "to memory" cases measure page faults, more or fewer of them by what was freed before.
    drop(black_box(vec![1_u8; 3 * REPORT]));
    let leaf = noise(MIB);
    bench.case("sha256 of 1 MiB", Work::Bytes(MIB as u64), || {
        black_box(Sha256::digest(black_box(&leaf)));
    });
    for backend in Backend::all() {
        raw(&mut bench, *backend);
        sealing(&mut bench, *backend, &report);
        opening(&mut bench, *backend, &report);
    }
    for backend in Backend::all() {
        let name = backend.name();
        let sha = bench.rate("sha256 of 1 MiB");
        let ceiling = in_turn(bench.rate(&format!("raw seal/{name}")), sha);
        let what = "(1/AES + 1/SHA)^-1";
        bench.ratio(&format!("seal + CID, kept nowhere/{name}"), what, ceiling, Some(0.85));
        bench.ratio(&format!("seal + CID, to memory/{name}"), what, ceiling, Some(0.85));
        let ceiling = in_turn(bench.rate(&format!("raw open/{name}")), sha);
        bench.ratio(&format!("open/{name}"), what, ceiling, None);
        bench.ratio(&format!("open 1 MiB in the middle/{name}"), what, ceiling, None);
    }
    bench.end();
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

fn seal(backend: Backend, dek: &Dek, report: &[u8], session: &dyn Session) -> SealedBody {
    let job = SealJob {
        backend,
        dek,
        context: b"bench",
        padding: Padding::Padme,
        profile: Profile::default(),
    };
    let mut rng = UnwrapErr(getrandom::SysRng);
    seal_file(&job, &mut &report[..], session, &mut rng, &mut |_| {}).unwrap()
}

fn sealing(bench: &mut Bench, backend: Backend, report: &[u8]) {
    let dek = Dek::from_bytes([7; 16]);
    let work = Work::Bytes(report.len() as u64);
    bench.case(format!("seal + CID, kept nowhere/{}", backend.name()), work, || {
        black_box(seal(backend, &dek, report, &Nowhere));
    });
    bench.timed(format!("seal + CID, to memory/{}", backend.name()), work, || {
        let store = MemoryStore::new();
        let begin = std::time::Instant::now();
        let session = store.begin().unwrap();
        let body = seal(backend, &dek, report, session.as_ref());
        session.commit(&body.root).unwrap();
        begin.elapsed()
    });
}

fn opening(bench: &mut Bench, backend: Backend, report: &[u8]) {
    let dek = Dek::from_bytes([7; 16]);
    let store = MemoryStore::new();
    let session = store.begin().unwrap();
    let body = seal(backend, &dek, report, session.as_ref());
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
