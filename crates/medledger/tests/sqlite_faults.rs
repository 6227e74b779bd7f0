//! What the SQLite store does when its file, disk or neighbours misbehave.
#![cfg(feature = "sqlite")]

use medledger::sqlite::SqliteStore;
use medledger_core::conformance::fixture::{Fixture, easy_work};
use medledger_core::engine::PowEngine;
use medledger_core::ids::MemberId;
use medledger_core::state::State;
use medledger_core::store::{Drawer, RecordQuery, Store, StoreError, View};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const NAME: &str = "a ledger?#%41 é.sqlite";

/// A ledger with a few blocks and records, closed.
fn ledger(folder: &Path) -> PathBuf {
    let path = folder.join(NAME);
    let store = SqliteStore::create(&path).unwrap();
    let fixture = Fixture::new(easy_work());
    fixture.found(&store);
    let engine = PowEngine::new(fixture.rules.clone(), Some(fixture.mining_key()));
    fixture.accept(&engine, &store, &fixture.people());
    for _ in 0..5 {
        let reports: Vec<_> = (0..20).map(|_| fixture.add_report()).collect();
        fixture.accept(&engine, &store, &reports);
        fixture.mine(&engine, &store);
    }
    drop(store);
    path
}

fn set(store: &SqliteStore, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
    let mut unit = store.unit()?;
    unit.set_local(Drawer::Slots, key, value)?;
    unit.commit()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn holds(path: &Path, secret: &[u8]) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.windows(secret.len()).any(|part| part == secret))
}

#[test]
fn creates_only_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = ledger(folder.path());
    assert!(matches!(SqliteStore::create(&path), Err(StoreError::Io { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a closed ledger is one file");
    SqliteStore::open(&path, true).unwrap().check().unwrap();
    let missing = folder.path().join("missing");
    assert!(matches!(SqliteStore::open(&missing, false), Err(StoreError::Io { .. })));
    assert!(!missing.exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn other_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = ledger(folder.path());
    let foreign = folder.path().join("foreign");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (c)").unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, b"").unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "not a database! ".repeat(1024)).unwrap();
    let short = folder.path().join("short");
    fs::write(&short, "a few words").unwrap();
    let before = fs::read(&foreign).unwrap();
    for read_only in [true, false] {
        for file in [&foreign, &empty, &short] {
            let error = SqliteStore::open(file, read_only).unwrap_err();
            assert!(matches!(error, StoreError::NotALedger(_)), "{error:?}");
        }
        let error = SqliteStore::open(&text, read_only).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    }
    assert_eq!(fs::read(&foreign).unwrap(), before, "left as it was");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for read_only in [true, false] {
        let error = SqliteStore::open(&path, read_only).unwrap_err();
        assert!(matches!(error, StoreError::UnknownVersion { found: 99, .. }), "{error:?}");
        assert!(error.to_string().contains("update needed"));
    }
}

/// Reads all there is.
fn read_all(path: &Path, read_only: bool) -> Result<(), StoreError> {
    let store = SqliteStore::open(path, read_only)?;
    let view = store.view()?;
    let tip = view.tip()?.ok_or_else(|| StoreError::Damaged("no tip".into()))?;
    for height in 0..=tip.height {
        view.block(height)?.ok_or_else(|| StoreError::Damaged("no block".into()))?;
        for record in view.records_of(height)? {
            record.signed()?;
        }
    }
    for record in view.find(&RecordQuery::default())? {
        record.signed()?;
    }
    view.state_scan(b"", None, usize::MAX)?;
    for drawer in Drawer::ALL {
        view.local_scan(*drawer, b"", None, usize::MAX)?;
    }
    drop(view);
    store.check()
}

/// Every page in turn is overwritten in its head, in its middle, or wholly: reading ends well, where
/// the bytes meant nothing, or with an error that says damage. Never with a panic.
#[test]
fn a_damaged_page_is_noticed_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = ledger(folder.path());
    read_all(&path, true).unwrap();
    let good = fs::read(&path).unwrap();
    let (mut noticed, mut tried) = (0, 0);
    for page in 1..good.len() / 4096 {
        for (from, to) in [(0, 16), (2000, 2100), (0, 4096)] {
            let mut bad = good.clone();
            for byte in &mut bad[page * 4096 + from..page * 4096 + to] {
                *byte ^= 0xa5;
            }
            fs::write(&path, bad).unwrap();
            tried += 1;
            match read_all(&path, true) {
                Ok(()) => {}
                Err(StoreError::Damaged(_)) => noticed += 1,
                Err(other) => panic!("page {page}, {from}..{to}: {other:?}"),
            }
        }
    }
    assert!(noticed * 3 >= tried * 2, "{noticed} of {tried}");
}

#[test]
fn a_member_that_was_read_before_is_judged_by_what_is_stored_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = ledger(folder.path());
    let store = SqliteStore::open(&path, false).unwrap();
    let member = |view: &dyn View, id: &MemberId| State::new(view).member(id);
    let before = store.view().unwrap();
    let (id, entry) = State::new(before.as_ref()).members().unwrap().pop().unwrap();
    let key = [b"m", &id.as_bytes()[..]].concat();
    let bytes = before.state(&key).unwrap().unwrap();
    // Twice: the second time it is remembered.
    for _ in 0..2 {
        assert_eq!(member(before.as_ref(), &id).unwrap().as_ref(), Some(&entry));
    }
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "synchronous", "OFF").unwrap();
    let write = |bytes: &[u8]| {
        let sql = "UPDATE state SET value = ?2 WHERE key = ?1";
        assert_eq!(other.execute(sql, (&key, bytes)).unwrap(), 1);
    };
    // Each single bit that is damaged makes it another entry, or none: never the one of before.
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        write(&damaged);
        match member(store.view().unwrap().as_ref(), &id) {
            Ok(found) => assert_ne!(found, Some(entry.clone())),
            Err(error) => assert!(matches!(error, StoreError::Damaged(_)), "{error}"),
        }
    }
    assert_eq!(member(before.as_ref(), &id).unwrap().as_ref(), Some(&entry), "as it began");
    write(&bytes);
    assert_eq!(member(store.view().unwrap().as_ref(), &id).unwrap(), Some(entry));
}

#[test]
fn a_cut_file_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = ledger(folder.path());
    let good = fs::read(&path).unwrap();
    for length in [50, 4096, 4096 * 3 + 17, good.len() / 2, good.len() - 4096, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        for read_only in [true, false] {
            let error = read_all(&path, read_only).unwrap_err();
            assert!(matches!(error, StoreError::Damaged(_)), "{length}: {error:?}");
            fs::write(&path, &good[..length]).unwrap();
        }
    }
}

#[test]
fn one_writes_while_others_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = ledger(folder.path());
    let writer = SqliteStore::open(&path, false).unwrap();
    let second = SqliteStore::open(&path, false).unwrap();
    let reader = SqliteStore::open(&path, true).unwrap();
    set(&writer, b"key", Some(b"one")).unwrap();
    let mut unit = writer.unit().unwrap();
    unit.set_local(Drawer::Slots, b"key", Some(b"two")).unwrap();
    assert!(matches!(second.unit().err(), Some(StoreError::Busy)));
    assert!(matches!(reader.unit().err(), Some(StoreError::ReadOnly)));
    let before = reader.view().unwrap();
    unit.commit().unwrap();
    let read = |store: &SqliteStore| store.view().unwrap().local(Drawer::Slots, b"key").unwrap();
    assert_eq!(before.local(Drawer::Slots, b"key").unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(read(&reader).as_deref(), Some(&b"two"[..]));
    set(&second, b"key", Some(b"three")).unwrap();
    assert_eq!(read(&writer).as_deref(), Some(&b"three"[..]));
}

#[test]
fn what_is_removed_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = ledger(folder.path());
    let store = SqliteStore::open(&path, false).unwrap();
    let secret = b"a slot that must disappear";
    let files = [path.clone(), beside(&path, "-wal")];
    let found = || files.iter().any(|file| holds(file, secret));
    set(&store, b"key", Some(secret)).unwrap();
    assert!(found());
    set(&store, b"key", None).unwrap();
    assert!(!found(), "removed");
    set(&store, b"key", Some(secret)).unwrap();
    set(&store, b"key", Some(b"another one")).unwrap();
    assert!(!found(), "replaced");
    // A reader that still needs the log delays it to the next commit.
    set(&store, b"key", Some(secret)).unwrap();
    let view = store.view().unwrap();
    set(&store, b"key", None).unwrap();
    assert_eq!(view.local(Drawer::Slots, b"key").unwrap().as_deref(), Some(&secret[..]));
    drop(view);
    set(&store, b"other", Some(b"value")).unwrap();
    assert!(!found(), "once the reader is gone");
}

/// Runs `mount`, which only root may; says so where it cannot.
fn mount(args: &[&str], at: &Path) -> Option<Mounted> {
    let done = Command::new("mount").args(args).arg(at).output();
    if done.as_ref().is_ok_and(|output| output.status.success()) {
        return Some(Mounted(at.to_owned()));
    }
    eprintln!("SKIPPED: this test needs root to mount {args:?}: {done:?}");
    None
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], folder.path()) else {
        return;
    };
    let path = ledger(folder.path());
    let store = SqliteStore::open(&path, false).unwrap();
    let mut kept = 0u32;
    let error = loop {
        match set(&store, &kept.to_be_bytes(), Some(&[7; 3000])) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::NoSpace(_)), "{error:?}");
    assert!(kept > 0);
    let count = |store: &SqliteStore| {
        store.view().unwrap().local_scan(Drawer::Slots, b"", None, usize::MAX).unwrap().len()
    };
    assert_eq!(count(&store), kept as usize);
    drop(store);
    let store = SqliteStore::open(&path, true).unwrap();
    assert_eq!(count(&store), kept as usize);
    store.check().unwrap();
    // No room for even an empty ledger.
    let error = SqliteStore::create(&folder.path().join("another")).unwrap_err();
    assert!(matches!(error, StoreError::NoSpace(_)), "{error:?}");
}

fn bind_read_only(from: &Path) -> Option<(Mounted, TempDir)> {
    let at = tempfile::tempdir().unwrap();
    let mounted = mount(&["--bind", from.to_str()?], at.path())?;
    let again = Command::new("mount").args(["-o", "remount,ro,bind"]).arg(at.path()).status();
    assert!(again.is_ok_and(|status| status.success()));
    Some((mounted, at))
}

#[test]
fn a_folder_nobody_can_write_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = ledger(folder.path());
    let Some((_mounted, at)) = bind_read_only(folder.path()) else { return };
    let there = at.path().join(NAME);
    read_all(&there, true).unwrap();
    let error = SqliteStore::open(&there, false).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
    let error = SqliteStore::create(&at.path().join("new")).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
    // A writer in the folder behind the mount is followed, not overlooked.
    let writer = SqliteStore::open(&path, false).unwrap();
    set(&writer, b"key", Some(b"value")).unwrap();
    let reader = SqliteStore::open(&there, true).unwrap();
    let found = reader.view().unwrap().local(Drawer::Slots, b"key").unwrap();
    assert_eq!(found.as_deref(), Some(&b"value"[..]));
}
