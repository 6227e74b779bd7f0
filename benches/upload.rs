//! Uploading to disk against writing the same bytes to a plain file and syncing it.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work, noise};
use medledger::core::identity::LockParams;
use medledger::{Contact, CreateOptions, EngineChoice, Identity, Ledger, MemberId, Role};
use medledger_core::dek::Dek;
use medledger_core::padding::Padding;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::seal::Backend;
use medledger_ipfs::pipeline::{SealJob, seal_file};
use medledger_ipfs::unixfs::Profile;
use medledger_ipfs::{BlockStore, FileStore, MemoryStore, Processor};
use std::cell::LazyCell;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

fn main() {
    let mut bench = Bench::start(
        "upload",
        "a report sealed and stored, in memory and durably on disk, against a plain write of the \
         same bytes with one fsync; whole uploads through the service (slots, record, idle mail). \
         Disk cases use several threads: the load of the machine shows",
    );
    let size = if bench.measuring() { 64 * MIB } else { MIB };
    let report = noise(size);
    let work = Work::Bytes(size as u64);
    bench.time = Duration::from_millis(4000);
    bench.timed("plain write and fsync", work, || {
        let folder = folder();
        timed(|| {
            let mut file = std::fs::File::create(folder.path().join("report")).unwrap();
            for part in report.chunks(MIB) {
                file.write_all(part).unwrap();
            }
            file.sync_all().unwrap();
        })
    });
    bench.timed("plain write and fsync, a file a MiB", work, || {
        let folder = folder();
        timed(|| {
            for (i, part) in report.chunks(MIB).enumerate() {
                let mut file = std::fs::File::create(folder.path().join(i.to_string())).unwrap();
                file.write_all(part).unwrap();
                file.sync_data().unwrap();
            }
        })
    });
    bench.timed("seal and store, memory", work, || {
        let store = MemoryStore::new();
        timed(|| store_in(&store, &report))
    });
    bench.timed("seal and store, disk", work, || {
        let folder = folder();
        let store = FileStore::open(folder.path().join("blocks")).unwrap();
        timed(|| store_in(&store, &report))
    });
    let hospital = LazyCell::new(Hospital::new);
    bench.timed("service upload, disk", work, || timed(|| hospital.upload(&report)));
    let small = &report[..4096];
    bench.time = Duration::from_millis(1000);
    bench.timed("service upload of 4 KiB, disk", Work::Each(1, "uploads"), || {
        timed(|| hospital.upload(small))
    });
    bench.timed("plain write and fsync of 4 KiB", Work::Each(1, "files"), || {
        let folder = folder();
        timed(|| {
            let mut file = std::fs::File::create(folder.path().join("report")).unwrap();
            file.write_all(small).unwrap();
            file.sync_all().unwrap();
        })
    });

    let plain = bench.rate("plain write and fsync");
    bench.ratio("seal and store, disk", "plain write and fsync", plain, None);
    bench.ratio("service upload, disk", "plain write and fsync", plain, None);
    let files = bench.rate("plain write and fsync, a file a MiB");
    bench.ratio("seal and store, disk", "a plain file a MiB", files, None);
    let small = bench.rate("plain write and fsync of 4 KiB");
    bench.ratio("service upload of 4 KiB, disk", "plain write of 4 KiB", small, None);
    bench.end();
}

fn store_in(store: &dyn BlockStore, report: &[u8]) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let dek = Dek::generate(&mut rng);
    let job = SealJob {
        backend: Backend::best(),
        dek: &dek,
        context: b"bench",
        padding: Padding::Padme,
        profile: Profile::default(),
    };
    let session = store.begin().unwrap();
    let body = seal_file(
        &job,
        &mut &report[..],
        session.as_ref(),
        &Processor::default(),
        &mut rng,
        &mut |_| {},
    )
    .unwrap();
    session.commit(&body.root).unwrap();
    black_box(body);
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

    fn upload(&self, report: &[u8]) {
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
