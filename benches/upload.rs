//! Uploading to disk against writing the same bytes to a plain file and syncing it.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work, noise};
use medledger::core::identity::LockParams;
use medledger::{
    Contact, CreateOptions, EngineChoice, Identity, Ledger, MemberId, Role, Threads, Upload,
};
use medledger_core::dek::Dek;
use medledger_core::padding::Padding;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::seal::{Backend, UnsealReader};
use medledger_ipfs::pipeline::{SealJob, SealedBody, seal_file};
use medledger_ipfs::unixfs::{FileReader, Profile};
use medledger_ipfs::{
    Block, BlockRead, BlockStore, Cid, FileStore, MemoryStore, Processor, StoreError,
};
use std::cell::LazyCell;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

fn main() {
    let mut bench = Bench::start(
        "upload",
        "a report sealed and stored, in memory and durably on disk, against a plain write of the \
         same bytes with one fsync; whole uploads through the service (slots, record, idle mail), \
         large, small, and 2,000 at once; 1 MiB from the middle of 10 GiB. Disk cases use several threads: the load of the machine shows",
    );
    large(&mut bench);
    many(&mut bench);
    small(&mut bench);
    range(&mut bench);
    bench.end();
}

/// One large report: what the disk takes is the limit.
fn large(bench: &mut Bench) {
    let size = if bench.measuring() { 1024 * MIB } else { 2 * MIB };
    let part = noise(size.min(64 * MIB));
    let report = || Repeated { bytes: &part, left: size };
    let work = Work::Bytes(size as u64);
    bench.time = Duration::from_millis(10_000);
    bench.timed("plain write and fsync", work, || {
        let folder = folder();
        timed(|| {
            let mut file = std::fs::File::create(folder.path().join("report")).unwrap();
            io::copy(&mut report(), &mut file).unwrap();
            file.sync_all().unwrap();
        })
    });
    bench.timed("seal and store, disk", work, || {
        let folder = folder();
        let store = FileStore::open(folder.path().join("blocks")).unwrap();
        timed(|| store_in(&store, &mut report()))
    });
    bench.timed("service upload, disk", work, || {
        let hospital = Hospital::new();
        timed(|| hospital.upload(report()))
    });
    bench.timed("seal and store, memory", work, || {
        let store = MemoryStore::new();
        timed(|| store_in(&store, &mut report()))
    });
    let plain = bench.rate("plain write and fsync");
    bench.ratio("seal and store, disk", "plain write and fsync", plain, None);
    bench.ratio("service upload, disk", "plain write and fsync", plain, Some(0.85));
}

/// Many reports in one go, against the same bytes in plain files.
fn many(bench: &mut Bench) {
    let (count, len) = if bench.measuring() { (2000, 500_000) } else { (20, 5000) };
    let bytes = noise(len + 8 * count);
    let reports = || (0..count).map(|n| &bytes[8 * n..][..len]);
    let work = Work::Bytes((count * len) as u64);
    bench.time = Duration::from_millis(8000);
    bench.timed("2,000 reports of 500 KB, upload_many", work, || {
        let hospital = Hospital::new();
        timed(|| {
            let uploads =
                reports().map(|report| Upload::new(hospital.patient, report).of_size(len as u64));
            let results = hospital.ledger.upload_many(&hospital.doctor, uploads);
            assert!(results.iter().all(Result::is_ok));
        })
    });
    bench.timed("2,000 plain files of 500 KB, synced one by one", work, || {
        let folder = folder();
        timed(|| {
            for (n, report) in reports().enumerate() {
                let mut file = std::fs::File::create(folder.path().join(n.to_string())).unwrap();
                file.write_all(report).unwrap();
                file.sync_all().unwrap();
            }
        })
    });
    bench.timed("2,000 reports in one plain file and fsync", work, || {
        let folder = folder();
        timed(|| {
            let mut file = std::fs::File::create(folder.path().join("reports")).unwrap();
            reports().for_each(|report| file.write_all(report).unwrap());
            file.sync_all().unwrap();
        })
    });
    let ours = "2,000 reports of 500 KB, upload_many";
    bench.goal(ours, 300e6);
    let files = bench.rate("2,000 plain files of 500 KB, synced one by one");
    bench.ratio(ours, "plain files, synced one by one", files, None);
    let one = bench.rate("2,000 reports in one plain file and fsync");
    bench.ratio(ours, "one plain file and fsync", one, None);
}

fn small(bench: &mut Bench) {
    let report = noise(4096);
    let hospital = LazyCell::new(Hospital::new);
    bench.time = Duration::from_millis(1000);
    bench.timed("service upload of 4 KiB, disk", Work::Each(1, "uploads"), || {
        timed(|| hospital.upload(&report[..]))
    });
    bench.timed("plain write and fsync of 4 KiB", Work::Each(1, "files"), || {
        let folder = folder();
        timed(|| {
            let mut file = std::fs::File::create(folder.path().join("report")).unwrap();
            file.write_all(&report).unwrap();
            file.sync_all().unwrap();
        })
    });
    let small = bench.rate("plain write and fsync of 4 KiB");
    bench.ratio("service upload of 4 KiB, disk", "plain write of 4 KiB", small, None);
}

/// A range of a report too large to be read: counts the blocks it takes, times the first byte.
fn range(bench: &mut Bench) {
    let size = if bench.measuring() { 10 << 30 } else { 8 << 20 };
    let part = noise(4 * MIB);
    let folder = LazyCell::new(folder);
    let made = LazyCell::new(|| {
        let store = FileStore::open(folder.path().join("blocks")).unwrap();
        let dek = Dek::from_bytes([7; 16]);
        let body = seal_in(&store, &mut Repeated { bytes: &part, left: size }, &dek);
        (Counting { store, blocks: AtomicU64::new(0), bytes: AtomicU64::new(0) }, dek, body)
    });
    bench.time = Duration::from_millis(2000);
    let mut most = (0, 0);
    let mut read = |len: usize| {
        let (store, dek, body) = &*made;
        let cold = forget_cached_files();
        store.blocks.store(0, Ordering::Relaxed);
        store.bytes.store(0, Ordering::Relaxed);
        let time = timed(|| {
            let file = FileReader::open(store, body.root, Some(body.size)).unwrap();
            let mut reader =
                UnsealReader::with_head(Backend::best(), dek, &body.head, b"bench", file).unwrap();
            let at = size as u64 / 2 - 12_345;
            black_box(reader.read_range(at, len).unwrap());
        });
        most = (
            most.0.max(store.blocks.load(Ordering::Relaxed)),
            most.1.max(store.bytes.load(Ordering::Relaxed)),
        );
        (time, cold)
    };
    let mut cold = false;
    bench.timed("1 MiB in the middle of 10 GiB, disk", Work::Bytes(MIB as u64), || {
        let (time, was_cold) = read(MIB);
        cold = was_cold;
        time
    });
    bench.timed("first byte in the middle of 10 GiB, disk", Work::Each(1, "reads"), || read(1).0);
    bench.goal("first byte in the middle of 10 GiB, disk", 1.0 / 0.005);
    if bench.measuring() && most.0 > 0 {
        println!(
            "  a range took {} blocks of {} bytes at most; the page cache was {}",
            most.0,
            most.1,
            if cold { "emptied before each" } else { "warm: only root may empty it" }
        );
    }
}

/// Empties the page cache, where that is allowed: the next read comes from the disk.
fn forget_cached_files() -> bool {
    std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok()
}

/// The same bytes again and again.
struct Repeated<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl Read for Repeated<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let at = self.left % self.bytes.len();
        let n = buf.len().min(self.left).min(self.bytes.len() - at);
        buf[..n].copy_from_slice(&self.bytes[at..at + n]);
        self.left -= n;
        Ok(n)
    }
}

/// Counts what is read.
struct Counting {
    store: FileStore,
    blocks: AtomicU64,
    bytes: AtomicU64,
}

impl BlockRead for &Counting {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let block = self.store.get(cid)?;
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(block.as_ref().map_or(0, |b| b.len() as u64), Ordering::Relaxed);
        Ok(block)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.has(cid)
    }
}

fn store_in(store: &dyn BlockStore, report: &mut (dyn Read + Send)) {
    black_box(seal_in(store, report, &Dek::generate(&mut UnwrapErr(getrandom::SysRng))));
}

fn seal_in(store: &dyn BlockStore, report: &mut (dyn Read + Send), dek: &Dek) -> SealedBody {
    let job = SealJob {
        backend: Backend::best(),
        dek,
        context: b"bench",
        padding: Padding::Padme,
        profile: Profile::default(),
    };
    let threads = Threads::default();
    let (processor, mut rng) = (Processor::new(&threads), UnwrapErr(getrandom::SysRng));
    let session = store.begin().unwrap();
    let body = seal_file(&job, report, &*session, &processor, &mut rng, &mut |_| {}).unwrap();
    session.commit(&body.root).unwrap();
    body
}

/// A ledger with a doctor and a patient.
struct Hospital {
    ledger: Ledger,
    doctor: Identity,
    patient: MemberId,
    _folder: TempDir,
}

impl Hospital {
    fn new() -> Self {
        let folder = folder();
        let mut options = CreateOptions::new("Bench Hospital");
        options.engine = EngineChoice::Log;
        options.lock_params = LockParams::weak_for_tests();
        let (ledger, hospital) =
            Ledger::create(folder.path().join("ledger"), options, "a password").unwrap();
        let add = |role, name: &str| {
            let contact = Contact::named(name);
            ledger.add_member(&hospital, role, &contact, "a password").unwrap().0
        };
        let (doctor, patient) = (add(Role::Doctor, "Ada"), add(Role::Patient, "Pat").id());
        ledger.mine().unwrap();
        Self { ledger, doctor, patient, _folder: folder }
    }

    fn upload(&self, report: impl Read + Send) {
        black_box(self.ledger.upload(&self.doctor, &self.patient, report).unwrap());
    }
}

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn timed(run: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    run();
    begin.elapsed()
}
