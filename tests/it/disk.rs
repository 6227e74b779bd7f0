//! A disk that is full or can only be read, and two that want to write one ledger.

mod many;

use crate::child::{self, Task, tell};
use crate::world::{self, PASSWORD, World, easy, options, peer, read_only, report};
use medledger::core::engine::{OrderError, SubmitError};
use medledger::core::store::{RecordQuery, StoreError};
use medledger::ipfs::store::StoreError as BlockError;
use medledger::{
    AccessKey, Contact, CreateError, Key, Ledger, MailSettings, NodeKeyError, OpenError,
    OpenReportError, Purpose, RegisterError, RequestError, RevokeError, Role, SettingsError,
    StorageError, UploadError, VerifyDepth,
};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted folder, unmounted when dropped.
struct Mounted {
    at: PathBuf,
    _folder: tempfile::TempDir,
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().expect("the program runs");
    assert!(status.success(), "{program} {args:?}: {status}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}

impl Mounted {
    /// A file system in memory of so many KiB.
    fn tmpfs(kib: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path().to_path_buf();
        let size = format!("size={kib}k,mode=700");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(&at)]);
        Self { at, _folder: folder }
    }

    /// `what` once more, for reading only.
    fn read_only(what: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path().to_path_buf();
        run("mount", &["--bind", text(what), text(&at)]);
        let mounted = Self { at, _folder: folder };
        run("mount", &["-o", "remount,bind,ro", text(&mounted.at)]);
        mounted
    }

    /// Takes all room that is left but for so many bytes; frees what was taken before.
    fn leave(&self, bytes: usize) {
        let path = self.at.join("filler");
        self.free();
        let mut file = std::fs::File::create(path).expect("a filler");
        // Room to leave is taken first and given back last.
        let kept = self.at.join("kept");
        std::fs::write(&kept, vec![0; bytes]).expect("room to leave");
        loop {
            match file.write(&[0; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("filling the disk: {error}"),
            }
        }
        std::fs::remove_file(kept).expect("room is left");
    }

    fn free(&self) {
        let _ = std::fs::remove_file(self.at.join("filler"));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a test that fails may still have files open there.
        let _ = Command::new("umount").args(["-l", text(&self.at)]).status();
    }
}

fn tmpfs(test: &str, kib: u32) -> Option<Mounted> {
    peer(test, "MEDLEDGER_PEER_TMPFS", "mounting a small tmpfs needs root on Linux")?;
    Some(Mounted::tmpfs(kib))
}

const fn no_space(error: &StoreError) -> bool {
    matches!(error, StoreError::NoSpace(_))
}

fn full(error: &UploadError) -> bool {
    match error {
        UploadError::Blocks(BlockError::NoSpace { .. }) => true,
        UploadError::Store(error) | UploadError::Submit(SubmitError::Store(error)) => {
            no_space(error)
        }
        _ => false,
    }
}

#[test]
fn pitfall_53_a_full_disk_stops_making_a_ledger_and_leaves_nothing() {
    let Some(disk) = tmpfs("making a ledger on a full disk", 2048) else { return };
    let folder = disk.at.join("ledger");
    let (mut failed, mut room) = (0, 0);
    loop {
        disk.leave(room);
        match Ledger::create(&folder, options(MailSettings::None), PASSWORD) {
            Ok(_) => break,
            Err(error) => {
                let typed = match &error {
                    CreateError::Store(error) | CreateError::Open(OpenError::Store(error)) => {
                        no_space(error)
                    }
                    CreateError::Open(OpenError::Storage(StorageError::Blocks(
                        BlockError::NoSpace { .. },
                    ))) => true,
                    CreateError::Io { source, .. }
                    | CreateError::NodeKey(NodeKeyError::Io { source, .. })
                    | CreateError::Settings(SettingsError::Io { source, .. })
                    | CreateError::Open(OpenError::Io { source, .. })
                    | CreateError::Hospital(RegisterError::IdentityFile { source, .. }) => {
                        source.kind() == ErrorKind::StorageFull
                    }
                    CreateError::Hospital(RegisterError::Store(error)) => no_space(error),
                    _ => false,
                };
                assert!(typed, "{room} bytes left: {error:?}");
                let left: Vec<_> = std::fs::read_dir(&disk.at)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name())
                    .filter(|name| name != "filler")
                    .collect();
                assert!(left.is_empty(), "{room} bytes left: {left:?} stays");
                failed += 1;
                room += 12 * 1024;
            }
        }
    }
    assert!(failed > 5, "the disk was never full");
}

#[test]
fn pitfall_53_a_full_disk_stops_an_upload_and_loses_nothing() {
    let Some(disk) = tmpfs("uploading to a full disk", 8192) else { return };
    let world = World::in_folder(&disk.at.join("ledger"), options(MailSettings::None));
    let ledger = world.ledger();
    let (first, key) = world.upload(&report(10_000, 1));
    let long = report(2_000_000, 2);
    for room in [0, 4096, 300 * 1024, 1_200_000] {
        disk.leave(room);
        let error = ledger.upload(&world.doctor, &world.patient.id(), &long[..]).unwrap_err();
        assert!(full(&error), "{room} bytes left: {error:?}");
        assert_eq!(ledger.reports(&world.patient.id()).unwrap().len(), 1);
        let tmp = crate::scan::read(&world.folder.join("blocks/tmp"), &[]);
        assert!(tmp.is_empty(), "{room} bytes left: {:?} stays", tmp.keys());
    }
    disk.free();
    let again =
        ledger.upload(&world.doctor, &world.patient.id(), &long[..]).expect("there is room");
    ledger.wait_mined(&again.record).unwrap();
    let mut opened =
        ledger.open_report(&world.patient, &again.report, &Key::Identity).expect("it opens");
    assert!(opened.to_vec().unwrap() == long);
    let mut opened = ledger
        .open_report(&world.patient, &first.report, &Key::Access(&key))
        .expect("the first still opens");
    assert_eq!(opened.to_vec().unwrap(), report(10_000, 1));
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
}

/// Whether a store had no room, for each use case that writes to the database only.
enum Ended {
    Done,
    Full,
}

fn ended<T, E: std::fmt::Debug>(result: Result<T, E>, full: impl Fn(&E) -> bool) -> Ended {
    match result {
        Ok(_) => Ended::Done,
        Err(error) => {
            assert!(full(&error), "not for want of room: {error:?}");
            Ended::Full
        }
    }
}

#[test]
fn pitfall_53_a_full_disk_stops_records_and_blocks_and_loses_nothing() {
    let Some(disk) = tmpfs("accepting and mining on a full disk", 8192) else { return };
    let mut world = World::in_folder(&disk.at.join("ledger"), options(MailSettings::None));
    let (uploaded, key) = world.upload(&report(100, 1));
    let (mut accepted, mut mined, mut stopped) = (Vec::new(), 1, [0; 4]);
    for room in (0..40).map(|pages| pages * 4096) {
        let ledger = world.ledger();
        // Something for the disk to be full of: a reader that keeps the log from being emptied.
        let view = ledger.view().unwrap();
        disk.leave(room);
        for _ in 0..3 {
            let small = ledger.upload(&world.doctor, &world.patient.id(), &b"small"[..]);
            match small {
                Ok(uploaded) => accepted.push(uploaded.record),
                Err(error) => {
                    assert!(full(&error), "{error:?}");
                    stopped[0] += 1;
                }
            }
            let until = ledger.now().plus(1000);
            let asked = ledger.request(&world.reader, &uploaded.report, Purpose::Treatment, until);
            match asked {
                Ok(record) => {
                    accepted.push(record);
                    let refused = ledger.refuse(&world.patient, &record);
                    stopped[1] += u32::from(refused.is_err());
                }
                Err(RequestError::Submit(SubmitError::Refused { .. })) => {}
                Err(
                    RequestError::Submit(SubmitError::Store(error)) | RequestError::Store(error),
                ) => {
                    assert!(no_space(&error), "{error:?}");
                    stopped[1] += 1;
                }
                Err(error) => panic!("{error:?}"),
            }
            let block = ended(
                ledger.mine(),
                |error| matches!(error, OrderError::Store(error) if no_space(error)),
            );
            stopped[2] += u32::from(matches!(block, Ended::Full));
            let opened = ledger.open_report(&world.patient, &uploaded.report, &Key::Access(&key));
            // The reading is recorded or there is none: an audit that fails, fails closed.
            let opened = ended(opened, |error| {
                matches!(error, OpenReportError::Submit(SubmitError::Store(error))
                    | OpenReportError::Store(error) if no_space(error))
            });
            stopped[3] += u32::from(matches!(opened, Ended::Full));
        }
        drop(view);
        for record in &accepted {
            assert!(ledger.view().unwrap().record(record).unwrap().is_some(), "{record} is lost");
        }
        let height = ledger.view().unwrap().tip().unwrap().unwrap().height;
        assert!(height >= mined, "the chain went back");
        mined = height;
        if room % (8 * 4096) == 0 {
            // Opening must be possible on a full disk, or nobody could free what fills it.
            world.close();
            world.reopen();
        }
    }
    assert!(stopped.iter().all(|times| *times > 0), "the disk was not full for all: {stopped:?}");
    disk.free();
    world.reopen();
    let ledger = world.ledger();
    while ledger.mine().unwrap().is_some() {}
    for record in &accepted {
        ledger.receipt(record).expect("mined in the end").check(&ledger.chain()).unwrap();
    }
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
}

#[test]
fn pitfall_53_a_full_disk_stops_registering_and_leaves_no_half_identity() {
    let Some(disk) = tmpfs("registering on a full disk", 8192) else { return };
    let world = World::in_folder(&disk.at.join("ledger"), options(MailSettings::None));
    let ledger = world.ledger();
    let mut stopped = 0;
    for room in (0..24).map(|pages| pages * 4096) {
        let before = (ledger.members().unwrap().len(), ledger.local_identities().unwrap());
        disk.leave(room);
        match ledger.add_member(&world.hospital, Role::Nurse, &Contact::named("N"), PASSWORD) {
            Ok((identity, _)) => {
                disk.free();
                assert_eq!(ledger.unlock(&identity.id(), PASSWORD).unwrap().id(), identity.id());
            }
            Err(error) => {
                let typed = match &error {
                    RegisterError::IdentityFile { source, .. } => {
                        source.kind() == ErrorKind::StorageFull
                    }
                    RegisterError::Store(error)
                    | RegisterError::Submit(SubmitError::Store(error)) => no_space(error),
                    _ => false,
                };
                assert!(typed, "{error:?}");
                let after = (ledger.members().unwrap().len(), ledger.local_identities().unwrap());
                assert_eq!(after, before);
                let files = std::fs::read_dir(world.folder.join("identities")).unwrap().count();
                assert_eq!(files, before.1.len(), "half an identity file stays");
                stopped += 1;
            }
        }
    }
    assert!(stopped > 0, "the disk was never full");
}

/// Room for removing is not promised; that a revocation that could not be stored says so, is.
#[test]
fn pitfall_53_a_revocation_on_a_full_disk_holds_or_says_that_it_does_not() {
    let Some(disk) = tmpfs("revoking on a full disk", 8192) else { return };
    let world = World::in_folder(&disk.at.join("ledger"), options(MailSettings::None));
    let ledger = world.ledger();
    let (uploaded, key) = world.upload(&report(100, 1));
    let readers_key = world.approve(&uploaded.report, &key);
    let grant = ledger.reports(&world.patient.id()).unwrap()[0].grants[0].id;
    let view = ledger.view().unwrap();
    disk.leave(0);
    let revoked = ledger.revoke(&world.patient, &grant);
    drop(view);
    disk.free();
    let opened = ledger.open_report(&world.reader, &uploaded.report, &Key::Access(&readers_key));
    match revoked {
        Ok(_) => assert!(matches!(opened, Err(OpenReportError::Revoked)), "{opened:?}"),
        Err(RevokeError::Store(error) | RevokeError::Submit(SubmitError::Store(error))) => {
            assert!(no_space(&error), "{error:?}");
            opened.expect("nothing was revoked");
            ledger.revoke(&world.patient, &grant).expect("there is room now");
        }
        Err(error) => panic!("{error:?}"),
    }
    let opened = ledger.open_report(&world.reader, &uploaded.report, &Key::Access(&readers_key));
    assert!(matches!(opened, Err(OpenReportError::Revoked)), "{opened:?}");
}

fn bind_mount(test: &str, what: &Path) -> Option<Mounted> {
    peer(test, "MEDLEDGER_PEER_BIND_MOUNT", "a read-only bind mount needs root on Linux")?;
    Some(Mounted::read_only(what))
}

#[test]
fn pitfall_47_a_folder_that_can_only_be_read_gives_everything_but_plaintext() {
    let mut world = World::with_pick_up();
    let (uploaded, key) = world.upload(&report(5000, 1));
    world.close();
    let Some(mount) = bind_mount("a folder that can only be read", &world.folder) else { return };

    let error = Ledger::open(&mount.at).unwrap_err();
    assert!(matches!(&error, OpenError::ReadOnlyFolder(path) if *path == mount.at), "{error:?}");

    let ledger = read_only(&mount.at);
    assert_eq!(ledger.log(&RecordQuery::default()).unwrap().len(), 5);
    assert_eq!(ledger.reports(&world.patient.id()).unwrap()[0].id, uploaded.report);
    assert_eq!(ledger.members().unwrap().len(), 4);
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
    ledger.receipt(&uploaded.record).unwrap().check(&ledger.chain()).unwrap();
    assert_refuses_to_write(&ledger, &world, &uploaded.report, &key);
}

#[test]
fn pitfall_47_a_ledger_opened_for_reading_gives_everything_but_plaintext() {
    let world = World::with_pick_up();
    let (uploaded, key) = world.upload(&report(5000, 1));
    let ledger = read_only(&world.folder);
    ledger.receipt(&uploaded.record).unwrap().check(&ledger.chain()).unwrap();
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
    assert_refuses_to_write(&ledger, &world, &uploaded.report, &key);
}

fn assert_refuses_to_write(
    ledger: &Ledger,
    world: &World,
    report: &medledger::ReportId,
    key: &AccessKey,
) {
    let opened = ledger.open_report(&world.patient, report, &Key::Access(key));
    assert!(matches!(opened, Err(OpenReportError::Store(StoreError::ReadOnly))), "{opened:?}");
    let uploaded = ledger.upload(&world.doctor, &world.patient.id(), &b"x"[..]);
    assert!(matches!(uploaded, Err(UploadError::Blocks(BlockError::ReadOnly { .. }))));
    let until = ledger.now().plus(1000);
    let asked = ledger.request(&world.reader, report, Purpose::Treatment, until);
    assert!(matches!(asked, Err(RequestError::Store(StoreError::ReadOnly))), "{asked:?}");
    let added = ledger.add_member(&world.hospital, Role::Nurse, &Contact::named("N"), PASSWORD);
    match added {
        Err(RegisterError::Store(StoreError::ReadOnly)) => {}
        Err(RegisterError::IdentityFile { source, .. }) => {
            assert_eq!(source.kind(), ErrorKind::ReadOnlyFilesystem);
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
    let mined = ledger.mine_with(&medledger::MiningControl::new(), true);
    assert!(matches!(mined, Err(OrderError::Store(StoreError::ReadOnly))), "{mined:?}");
}

/// A child: holds the ledger open for writing, and writes, until its input ends.
pub(crate) fn hold(task: &Task) {
    let ledger = Ledger::open(task.value("folder")).expect("it opens");
    let doctor = task.value("doctor").parse().unwrap();
    let doctor = ledger.unlock(&doctor, PASSWORD).expect("the doctor");
    let patient = task.value("patient").parse().unwrap();
    tell("open");
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let end = std::sync::Arc::clone(&ended);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        end.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    while !ended.load(std::sync::atomic::Ordering::Relaxed) {
        for _ in 0..3 {
            ledger.upload(&doctor, &patient, &b"a report"[..]).expect("uploaded");
        }
        ledger.mine().expect("mined");
    }
}

#[test]
fn a_second_writer_is_refused_and_readers_see_whole_blocks_meanwhile() {
    let mut world = World::with_pick_up();
    let same = Ledger::open(&world.folder).unwrap_err();
    assert!(matches!(&same, OpenError::InUse(path) if *path == world.folder), "{same:?}");
    world.close();

    let (doctor, patient) = (world.doctor.id().to_string(), world.patient.id().to_string());
    let values = [("doctor", doctor.as_str()), ("patient", patient.as_str())];
    let mut writer = child::start("hold", &world.folder, &values);
    assert_eq!(writer.line().as_deref(), Some("open"));
    let other = Ledger::open(&world.folder).unwrap_err();
    assert!(matches!(&other, OpenError::InUse(path) if *path == world.folder), "{other:?}");

    let (mut height, mut records, mut rounds) = (0, 0, 0);
    // Until the writer has done some blocks under our eyes.
    while height < 8 || rounds < 8 {
        // Some readers stay, some come and go.
        let ledger = read_only(&world.folder);
        for _ in 0..3 {
            let verified = ledger.verify(VerifyDepth::Full).expect("it can be checked");
            assert!(verified.findings.is_empty(), "{:?}", verified.findings);
            assert!(verified.blocks > height, "the chain went back");
            height = verified.blocks - 1;
            let log = ledger.log(&RecordQuery::default()).unwrap().len();
            assert!(log >= records, "a record is gone");
            records = log;
            let reports = ledger.reports(&world.patient.id()).unwrap().len();
            assert!(reports <= log);
        }
        rounds += 1;
    }
    assert!(writer.finish().success(), "the writer failed");
    world.reopen();
    assert!(world.ledger().verify(VerifyDepth::Full).unwrap().findings.is_empty());
}

/// A writer that was killed leaves its lock to nobody.
#[test]
fn the_lock_of_a_killed_writer_is_free() {
    let mut world = World::with_pick_up();
    world.close();
    let (doctor, patient) = (world.doctor.id().to_string(), world.patient.id().to_string());
    let values = [("doctor", doctor.as_str()), ("patient", patient.as_str())];
    let mut writer = child::start("hold", &world.folder, &values);
    assert_eq!(writer.line().as_deref(), Some("open"));
    writer.kill();
    // What it had committed may be in a log only: readers see it too.
    let ledger = read_only(&world.folder);
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
    drop(ledger);
    world.reopen();
    assert!(world.ledger().verify(VerifyDepth::Full).unwrap().findings.is_empty());
}

#[test]
fn a_folder_that_is_not_empty_or_no_ledger_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let error = Ledger::open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Settings(SettingsError::NoLedger(_))), "{error:?}");
    std::fs::write(folder.path().join("theirs"), "x").unwrap();
    let mut options = world::options(MailSettings::None);
    options.engine = medledger::EngineChoice::Work(easy());
    let error = Ledger::create(folder.path(), options, PASSWORD).unwrap_err();
    assert!(matches!(error, CreateError::NotEmpty(_)), "{error:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
