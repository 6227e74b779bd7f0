//! The one pass: what it stores is what sealing and content addressing give one after the other.

use getrandom::SysRng;
use medledger_core::dek::Dek;
use medledger_core::padding::{PaddedReader, Padding};
use medledger_core::pow::{Inline, Workers};
use medledger_core::rand_core::UnwrapErr;
use medledger_core::seal::{Backend, CHUNK_LEN, UnsealReader, seal_with};
use medledger_ipfs::pipeline::{
    PipelineError, SealItem, SealJob, SealedBody, seal_file, seal_files,
};
use medledger_ipfs::store::{Keep, Session, StoreError};
use medledger_ipfs::unixfs::{
    Builder, CidVersion, FileReader, Leaves, Profile, cid_of, cid_of_with,
};
use medledger_ipfs::{BlockRead, BlockStore, Cid, Kernel, MemoryStore, Processor};
use proptest::prelude::*;
use std::io::{self, Read};

struct Threads(usize);

impl Workers for Threads {
    fn count(&self) -> usize {
        self.0
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for worker in 0..self.0 {
                scope.spawn(move || job(worker));
            }
        });
    }
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 31) ^ (i >> 9) ^ seed) as u8).collect()
}

fn raw(chunk: usize, width: usize) -> Profile {
    Profile::custom(CidVersion::V1, Leaves::Raw, chunk, width).unwrap()
}

fn job<'a>(dek: &'a Dek, padding: Padding, profile: Profile) -> SealJob<'a> {
    SealJob { backend: Backend::best(), dek, context: b"context", padding, profile }
}

/// Seals reports together, in a new store.
fn seal_all(
    reports: &[Vec<u8>],
    padding: Padding,
    profile: Profile,
    processor: &Processor<'_>,
) -> (MemoryStore, Dek, Vec<SealedBody>) {
    let (store, dek) = (MemoryStore::new(), Dek::from_bytes([5; 16]));
    let mut sources: Vec<&[u8]> = reports.iter().map(Vec::as_slice).collect();
    let items: Vec<_> = sources
        .iter_mut()
        .map(|source| SealItem { job: job(&dek, padding, profile), source })
        .collect();
    let session = store.begin().unwrap();
    let mut rng = UnwrapErr(SysRng);
    let bodies = seal_files(items, &*session, processor, &mut rng, &mut |_, _| {}).unwrap();
    let bodies: Vec<_> = bodies.into_iter().map(Result::unwrap).collect();
    match bodies.last() {
        Some(last) => session.commit(&last.root).unwrap(),
        None => drop(session),
    }
    (store, dek, bodies)
}

/// What was stored opens, and has the CID that the same ciphertext gets by other ways.
fn check(
    store: &MemoryStore,
    dek: &Dek,
    body: &SealedBody,
    report: &[u8],
    padding: Padding,
    profile: Profile,
) {
    assert_eq!(body.length, report.len() as u64);
    let mut padded = Vec::new();
    PaddedReader::new(report, padding).read_to_end(&mut padded).unwrap();
    let sealed = seal_with(Backend::best(), dek, &body.head.salt(), b"context", &padded).unwrap();
    assert_eq!(body.size, sealed.len() as u64);
    assert_eq!(body.root, cid_of(&sealed[..], profile).unwrap().cid);
    let file = FileReader::open(store, body.root, Some(body.size)).unwrap();
    let mut reader = UnsealReader::new(Backend::best(), dek, b"context", file).unwrap();
    assert!(reader.read_range(0, report.len()).unwrap() == report);
}

#[test]
fn reports_of_every_boundary_with_every_kernel() {
    // Leaves shorter and longer than a sealed chunk, so that chunks straddle them in every way.
    let lens =
        [0, 1, 4096, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 3 * CHUNK_LEN, 100_000, 400_000];
    for profile in [raw(1000, 3), raw(16_400, 2), raw(16_456, 5), raw(50_000, 4), Profile::V1_2025]
    {
        let reports: Vec<_> = lens.iter().map(|len| bytes(*len, *len)).collect();
        for kernel in Kernel::available() {
            for workers in [&Inline as &dyn Workers, &Threads(3)] {
                let processor = Processor { workers, kernel };
                for padding in [Padding::None, Padding::Padme] {
                    let (store, dek, bodies) = seal_all(&reports, padding, profile, &processor);
                    for (body, report) in bodies.iter().zip(&reports) {
                        check(&store, &dek, body, report, padding, profile);
                    }
                }
            }
        }
    }
}

#[test]
fn a_report_of_many_leaves_goes_over_all_workers() {
    let report = bytes(40 * (1 << 20) + 77, 3);
    for workers in [&Inline as &dyn Workers, &Threads(4)] {
        let reports = [report.clone()];
        let processor = Processor::new(workers);
        let (store, dek, bodies) = seal_all(&reports, Padding::None, Profile::V1_2025, &processor);
        check(&store, &dek, &bodies[0], &report, Padding::None, Profile::V1_2025);
    }
}

#[test]
fn progress_is_told_leaf_by_leaf_and_never_counts_padding() {
    let report = bytes(5 * (1 << 20), 3);
    for padding in [Padding::None, Padding::Padme] {
        let (store, dek) = (MemoryStore::new(), Dek::from_bytes([5; 16]));
        let mut told = Vec::new();
        let body = seal_file(
            &job(&dek, padding, raw(100_000, 8)),
            &mut &report[..],
            &*store.begin().unwrap(),
            &Processor::new(&Threads(3)),
            &mut UnwrapErr(SysRng),
            &mut |bytes| told.push(bytes),
        )
        .unwrap();
        assert_eq!(told.len() as u64, body.size.div_ceil(100_000));
        assert!(told.is_sorted(), "{told:?}");
        assert!(told[0] > 99_000 && told[0] <= 100_000, "{}", told[0]);
        assert_eq!(told.last(), Some(&(report.len() as u64)));
    }
}

#[test]
fn leaves_that_wrap_their_bytes_are_sealed_too() {
    let (store, dek) = (MemoryStore::new(), Dek::from_bytes([5; 16]));
    let report = bytes(700_000, 1);
    let session = store.begin().unwrap();
    let job = job(&dek, Padding::None, Profile::V0_2015);
    let mut told = Vec::new();
    let body = seal_file(
        &job,
        &mut &report[..],
        &*session,
        &Processor::default(),
        &mut UnwrapErr(SysRng),
        &mut |bytes| told.push(bytes),
    )
    .unwrap();
    session.commit(&body.root).unwrap();
    assert_eq!(told.last(), Some(&700_000));
    check(&store, &dek, &body, &report, Padding::None, Profile::V0_2015);
}

/// Gives some bytes and then fails.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the scanner was unplugged"));
        }
        let n = self.0.min(buf.len());
        buf[..n].fill(0x5a);
        self.0 -= n;
        Ok(n)
    }
}

#[test]
fn a_report_that_cannot_be_read_does_not_keep_the_others() {
    let (store, dek) = (MemoryStore::new(), Dek::from_bytes([5; 16]));
    let (first, third) = (bytes(100_000, 1), bytes(3_000_000, 3));
    for broken in [0, 10, 100_000, 2_500_000] {
        let (mut a, mut b, mut c) = (&first[..], Broken(broken), &third[..]);
        let job = job(&dek, Padding::None, Profile::V1_2025);
        let items = vec![
            SealItem { job, source: &mut a },
            SealItem { job, source: &mut b },
            SealItem { job, source: &mut c },
        ];
        let session = store.begin().unwrap();
        let mut told = [0; 3];
        let mut progress = |item: usize, bytes| told[item] = bytes;
        let processor = Processor::new(&Threads(2));
        let mut rng = UnwrapErr(SysRng);
        let bodies = seal_files(items, &*session, &processor, &mut rng, &mut progress).unwrap();
        let [Ok(one), Err(PipelineError::Source(error)), Ok(three)] = &bodies[..] else {
            panic!("{bodies:?}")
        };
        assert_eq!(error.to_string(), "the scanner was unplugged");
        session.commit(&three.root).unwrap();
        check(&store, &dek, one, &first, Padding::None, Profile::V1_2025);
        check(&store, &dek, three, &third, Padding::None, Profile::V1_2025);
        assert_eq!((told[0], told[2]), (100_000, 3_000_000));
    }
}

/// A session whose disk is full after some blocks.
struct Full<'a>(Box<dyn Session + 'a>, std::sync::atomic::AtomicUsize);

impl Session for Full<'_> {
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        if self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 5 {
            let source = io::ErrorKind::StorageFull.into();
            return Err(StoreError::NoSpace { path: "blocks".into(), source });
        }
        self.0.put(cid, block)
    }

    fn hold(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.0.hold(cid)
    }

    fn finish(self: Box<Self>, pins: &[(Cid, Keep)]) -> Result<(), StoreError> {
        self.0.finish(pins)
    }
}

#[test]
fn a_full_store_ends_the_work() {
    let store = MemoryStore::new();
    let dek = Dek::from_bytes([5; 16]);
    for workers in [1, 4] {
        let full = Full(store.begin().unwrap(), 0.into());
        let report = bytes(1_000_000, 1);
        let result = seal_file(
            &job(&dek, Padding::None, raw(10_000, 4)),
            &mut &report[..],
            &full,
            &Processor::new(&Threads(workers)),
            &mut UnwrapErr(SysRng),
            &mut |_| {},
        );
        assert!(
            matches!(result, Err(PipelineError::Store(StoreError::NoSpace { .. }))),
            "{result:?}"
        );
        // It stopped soon: a batch for each worker, not a hundred leaves.
        assert!(full.1.into_inner() <= 5 + 16 * workers);
    }
}

#[test]
fn no_reports_are_no_work() {
    let (_, _, bodies) = seal_all(&[], Padding::Padme, Profile::V1_2025, &Processor::default());
    assert!(bodies.is_empty());
}

/// The builder fed in pieces, by one kernel.
fn built(data: &[u8], profile: Profile, kernel: Kernel, piece: usize) -> (Cid, MemoryStore) {
    let store = MemoryStore::new();
    let session = store.begin().unwrap();
    let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
    let mut builder = Builder::with_kernel(profile, kernel);
    for piece in data.chunks(piece) {
        builder.write(piece, &mut sink).unwrap();
    }
    let root = builder.finish(&mut sink).unwrap();
    session.commit(&root.cid).unwrap();
    (root.cid, store)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_of_any_reports(
        lens in proptest::collection::vec(prop_oneof![0usize..300, 0usize..60_000, 0usize..400_000], 1..30),
        chunk in 500usize..70_000,
        width in 2usize..9,
        workers in 1usize..4,
    ) {
        let profile = raw(chunk, width);
        let reports: Vec<_> = lens.iter().map(|len| bytes(*len, *len)).collect();
        for kernel in Kernel::available() {
            let processor = Processor { workers: &Threads(workers), kernel };
            let (store, dek, bodies) = seal_all(&reports, Padding::None, profile, &processor);
            for (body, report) in bodies.iter().zip(&reports) {
                check(&store, &dek, body, report, Padding::None, profile);
            }
        }
    }

    #[test]
    fn every_kernel_and_number_of_workers_names_a_file_alike(
        len in prop_oneof![0usize..100, 0usize..200_000],
        chunk in 1usize..5000,
        width in 2usize..6,
        wrapped in any::<bool>(),
        workers in 1usize..4,
        piece in 1usize..100_000,
    ) {
        let leaves = if wrapped { Leaves::DagPb } else { Leaves::Raw };
        let chunk = chunk.max(len / 2000 + 1);
        let profile = Profile::custom(CidVersion::V0, leaves, chunk, width).unwrap();
        let data = bytes(len, chunk);
        let (want, store) = built(&data, profile, Kernel::Portable, len.max(1));
        let mut back = Vec::new();
        FileReader::open(&store, want, Some(len as u64)).unwrap().read_to_end(&mut back).unwrap();
        prop_assert!(back == data);
        for kernel in Kernel::available() {
            let processor = Processor { workers: &Threads(workers), kernel };
            prop_assert_eq!(cid_of_with(&data[..], profile, &processor).unwrap().cid, want);
            let (cid, other) = built(&data, profile, kernel, piece);
            prop_assert_eq!(cid, want);
            prop_assert!(other.get(&want).unwrap().is_some());
        }
    }
}
