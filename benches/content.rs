//! SHA-256 of many leaves, CIDs of files, and reading files back, against plain SHA-256 and others.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work, cores, noise, on_all_cores};
use medledger::Threads;
use medledger_ipfs::unixfs::{Builder, FileReader, Profile, cid_of, cid_of_with};
use medledger_ipfs::{BlockStore, Cid, Kernel, MemoryStore, Processor};
use rust_unixfs::file::adder::{BalancedCollector, Chunker, FileAdder};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MIB: usize = 1 << 20;
const FILE: usize = 8 * MIB;

fn main() {
    let mut bench = Bench::start(
        "content",
        "SHA-256 of sixteen leaves by each kernel, one core and all, against sha2; CID of a file of \
         1 GiB in the page cache, all cores, against the crate rust-unixfs (one core is what it \
         uses) and Kubo's own add --only-hash where MEDLEDGER_KUBO or a peer names the program; CID of 8 MiB in each profile",
    );
    leaves(&mut bench);
    large_file(&mut bench);
    small_file(&mut bench);
    bench.end();
}

fn leaves(bench: &mut Bench) {
    let bytes = noise(16 * MIB);
    bench.time = Duration::from_millis(1500);
    for (name, len) in [("1 MiB", MIB), ("256 KiB", MIB / 4)] {
        let leaves: Vec<&[u8]> = bytes.chunks_exact(len).take(16).collect();
        let work = Work::Bytes(16 * len as u64);
        let plain = format!("sha2, leaves of {name}");
        bench.case(&plain, work, || {
            for leaf in &leaves {
                black_box(Sha256::digest(black_box(leaf)));
            }
        });
        let by = |kernel: Kernel| format!("{kernel}, leaves of {name}");
        for kernel in Kernel::available() {
            bench.case(by(kernel), work, || {
                black_box(sha256_lanes::digest_many_with(kernel, black_box(&leaves)));
            });
            let goal = (kernel == Kernel::Avx512).then_some(1.8);
            bench.ratio(&by(kernel), "sha2", bench.rate(&plain), goal);
        }
        let best = Kernel::best();
        let all = format!("{best}, leaves of {name}, {} cores", cores());
        // Sixteen MiB for each core, or small leaves would measure how long threads take to start.
        let times = 16 * MIB / (16 * len);
        let work = Work::Bytes((cores() * times * 16 * len) as u64);
        bench.case(&all, work, || {
            on_all_cores(|_| {
                for _ in 0..times {
                    black_box(sha256_lanes::digest_many_with(best, black_box(&leaves)));
                }
            });
        });
        let goal = (cores() == 2).then_some(1.9);
        bench.ratio(&all, "one core", bench.rate(&by(best)), goal);
    }
}

fn large_file(bench: &mut Bench) {
    let len = if bench.measuring() { 1024 * MIB } else { 4 * MIB };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("file");
    let mut file = File::create(&path).unwrap();
    let bytes = noise(4 * MIB);
    for _ in 0..len / bytes.len() {
        file.write_all(&bytes).unwrap();
    }
    drop(file);
    let work = Work::Bytes(len as u64);
    bench.time = Duration::from_millis(8000);
    let threads = Threads::default();
    for (name, profile) in
        [("unixfs-v1-2025", Profile::V1_2025), ("kubo-cidv1", Profile::KUBO_CIDV1)]
    {
        let open = || File::open(&path).unwrap();
        bench.case(format!("cid of a large file, {name}, one core"), work, || {
            black_box(cid_of(open(), profile).unwrap());
        });
        bench.case(format!("cid of a large file, {name}, all cores"), work, || {
            black_box(cid_of_with(open(), profile, &Processor::new(&threads)).unwrap());
        });
    }
    let root = cid_of(File::open(&path).unwrap(), Profile::KUBO_CIDV1).unwrap().cid.to_string();
    assert_eq!(root, rust_unixfs_root(File::open(&path).unwrap()), "both name the same file");
    bench.case("cid of a large file, kubo-cidv1, rust-unixfs", work, || {
        black_box(rust_unixfs_root(File::open(&path).unwrap()));
    });
    let ours = "cid of a large file, kubo-cidv1, all cores";
    let peer = bench.rate("cid of a large file, kubo-cidv1, rust-unixfs");
    bench.ratio(ours, "rust-unixfs", peer, Some(2.0));
    bench.ratio("cid of a large file, kubo-cidv1, one core", "rust-unixfs", peer, None);
    match kubo() {
        Some(program) => {
            let kubo = Kubo::new(&program, folder.path());
            assert_eq!(root, kubo.only_hash(&path), "Kubo names the same file");
            bench.case("cid of a large file, kubo-cidv1, ipfs add --only-hash", work, || {
                black_box(kubo.only_hash(&path));
            });
            let peer = bench.rate("cid of a large file, kubo-cidv1, ipfs add --only-hash");
            bench.ratio(ours, "ipfs add --only-hash", peer, Some(5.0));
        }
        None if bench.measuring() => println!("  not compared: there is no Kubo here"),
        None => {}
    }
}

fn kubo() -> Option<PathBuf> {
    ["MEDLEDGER_PEER_KUBO", "MEDLEDGER_KUBO"].iter().find_map(std::env::var_os).map(PathBuf::from)
}

/// Kubo without a daemon: its own repository, no network.
struct Kubo<'a> {
    program: &'a Path,
    repository: PathBuf,
}

impl<'a> Kubo<'a> {
    fn new(program: &'a Path, folder: &Path) -> Self {
        let kubo = Self { program, repository: folder.join("kubo") };
        kubo.run(&["init", "--empty-repo"]);
        kubo
    }

    fn only_hash(&self, path: &Path) -> String {
        let path = path.to_str().unwrap();
        self.run(&[
            "add",
            "--only-hash",
            "--quieter",
            "--cid-version=1",
            "--chunker=size-262144",
            path,
        ])
    }

    fn run(&self, args: &[&str]) -> String {
        let output = Command::new(self.program)
            .args(args)
            .env("IPFS_PATH", &self.repository)
            .output()
            .expect("Kubo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn small_file(bench: &mut Bench) {
    let file = noise(FILE);
    let work = Work::Bytes(FILE as u64);
    bench.time = Duration::from_millis(1000);
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
    bench.ratio("read back, every block verified", "sha256 of 1 MiB", sha, None);
}

fn rust_unixfs_root(mut file: impl Read) -> String {
    let mut adder = FileAdder::builder()
        .with_raw_leaves(true)
        .with_chunker(Chunker::Size(Profile::KUBO_CIDV1.chunk()))
        .with_collector(BalancedCollector::with_branching_factor(Profile::KUBO_CIDV1.width()))
        .build();
    let mut buffer = vec![0; MIB];
    loop {
        let read = file.read(&mut buffer).unwrap();
        if read == 0 {
            return adder.finish().last().expect("a file has a root").0.to_string();
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let (blocks, taken) = adder.push(rest);
            black_box(blocks.count());
            rest = &rest[taken..];
        }
    }
}
