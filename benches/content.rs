//! CIDs of files, and reading files back, against plain SHA-256.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work, noise};
use medledger_ipfs::unixfs::{Builder, FileReader, Profile, cid_of};
use medledger_ipfs::{BlockStore, Cid, MemoryStore};
use rust_unixfs::file::adder::{BalancedCollector, Chunker, FileAdder};
use sha2::{Digest, Sha256};
use std::hint::black_box;

const MIB: usize = 1 << 20;
const FILE: usize = 8 * MIB;

fn main() {
    let mut bench = Bench::start(
        "content",
        "CID of a file of 8 MiB in each profile, one core, against SHA-256 of 1 MiB alone; the \
         kubo-cidv1 profile also against the crate rust-unixfs",
    );
    let file = noise(FILE);
    let work = Work::Bytes(FILE as u64);
    bench.case("sha256 of 1 MiB", Work::Bytes(MIB as u64), || {
        black_box(Sha256::digest(black_box(&file[..MIB])));
    });
    let profiles = [
        ("unixfs-v1-2025", Profile::V1_2025),
        ("unixfs-v0-2015", Profile::V0_2015),
        ("kubo-cidv1", Profile::KUBO_CIDV1),
    ];
    for (name, profile) in profiles {
        bench.case(format!("cid/{name}"), work, || {
            black_box(cid_of(&file[..], profile).unwrap());
        });
    }
    bench.case("cid/kubo-cidv1 by rust-unixfs", work, || {
        black_box(rust_unixfs_root(&file));
    });
    let ours = cid_of(&file[..], Profile::KUBO_CIDV1).unwrap().cid.to_string();
    assert_eq!(ours, rust_unixfs_root(&file), "both name the same file");

    let store = MemoryStore::new();
    let session = store.begin().unwrap();
    let mut builder = Builder::new(Profile::V1_2025);
    let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
    builder.write(&file, &mut sink).unwrap();
    let root = builder.finish(&mut sink).unwrap();
    session.commit(&root.cid).unwrap();
    let mut read = vec![0; FILE];
    FileReader::open(&store, root.cid, None).unwrap().read_at(0, &mut read).unwrap();
    assert!(read == file, "what was read is what was written");
    bench.case("read back, every block verified", work, || {
        FileReader::open(&store, root.cid, None).unwrap().read_at(0, &mut read).unwrap();
    });

    let sha = bench.rate("sha256 of 1 MiB");
    for (name, _) in profiles {
        bench.ratio(&format!("cid/{name}"), "sha256 of 1 MiB", sha, None);
    }
    let peer = bench.rate("cid/kubo-cidv1 by rust-unixfs");
    bench.ratio("cid/kubo-cidv1", "rust-unixfs", peer, None);
    bench.ratio("read back, every block verified", "sha256 of 1 MiB", sha, None);
    bench.end();
}

fn rust_unixfs_root(file: &[u8]) -> String {
    let mut adder = FileAdder::builder()
        .with_raw_leaves(true)
        .with_chunker(Chunker::Size(Profile::KUBO_CIDV1.chunk()))
        .with_collector(BalancedCollector::with_branching_factor(Profile::KUBO_CIDV1.width()))
        .build();
    let mut rest = file;
    while !rest.is_empty() {
        let (blocks, taken) = adder.push(rest);
        black_box(blocks.count());
        rest = &rest[taken..];
    }
    adder.finish().last().expect("a file has a root").0.to_string()
}
