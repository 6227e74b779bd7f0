//! A daemon that dies, is full, refuses, or has lost what it had.

use super::daemon::Daemon;
use super::{bytes, raw, store_file};
use medledger_ipfs::http::HttpError;
use medledger_ipfs::kubo::{KuboError, KuboStore, Reach};
use medledger_ipfs::store::StoreError;
use medledger_ipfs::unixfs::{FileReader, Profile};
use medledger_ipfs::{BlockRead, BlockStore};
use serde_json::json;
use std::io::{Read, Write};
use std::process::Command;

fn cause(error: StoreError) -> KuboError {
    match error {
        StoreError::Backend { source, .. } => *source.downcast::<KuboError>().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_daemon_killed_in_the_middle_of_an_upload_has_no_pin_and_takes_it_again() {
    const TEST: &str = "a_daemon_killed_in_the_middle_of_an_upload_has_no_pin_and_takes_it_again";
    let Some(mut daemon) = Daemon::start(TEST) else { return };
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let block = |n: u8| {
        let mut block = bytes(1 << 20);
        block[0] = n;
        block
    };
    let session = store.begin().unwrap();
    for n in 0..20 {
        session.put(&raw(&block(n)), &block(n)).unwrap();
    }
    daemon.kill();
    let mut rest = 20..=255u8;
    let failed = rest.find_map(|n| session.put(&raw(&block(n)), &block(n)).err());
    assert!(matches!(cause(failed.expect("the connection is gone")), KuboError::Http(_)));
    let error = session.commit(&raw(&block(0))).unwrap_err();
    assert!(matches!(error, StoreError::SessionFailed), "{error:?}");
    // While it is away, the error says so.
    let error = cause(store.get(&raw(b"x")).unwrap_err());
    assert!(matches!(error, KuboError::Http(HttpError::Connect { .. })), "{error:?}");
    assert!(store.begin().is_err());

    daemon.run();
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let ours =
        |pin: &&medledger_ipfs::store::Pin| pin.root.codec() == medledger_ipfs::cid::Codec::Raw;
    assert_eq!(store.pinned().unwrap().iter().filter(ours).count(), 0);
    let file = bytes(20 << 20);
    let root = store_file(&store, &file, Profile::default());
    let mut read = Vec::new();
    FileReader::open(&store, root.cid, None).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == file);
}

#[test]
fn a_daemon_killed_between_upload_and_commit_is_an_error_and_so_is_silence() {
    const TEST: &str = "a_daemon_killed_between_upload_and_commit_is_an_error_and_so_is_silence";
    let Some(mut daemon) = Daemon::start(TEST) else { return };
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let session = store.begin().unwrap();
    session.put(&raw(b"one"), b"one").unwrap();
    daemon.kill();
    let error = cause(session.commit(&raw(b"one")).unwrap_err());
    assert!(matches!(error, KuboError::Http(_)), "{error:?}");
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_reading_is_an_error_and_goes_on_where_it_was() {
    const TEST: &str =
        "a_daemon_killed_in_the_middle_of_a_reading_is_an_error_and_goes_on_where_it_was";
    let Some(mut daemon) = Daemon::start(TEST) else { return };
    let file = bytes(12 << 20);
    let root = store_file(&KuboStore::open(daemon.kubo()).unwrap(), &file, Profile::default());
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let mut reader = FileReader::open(&store, root.cid, None).unwrap();
    let mut first = vec![0; 5 << 20];
    reader.read_exact(&mut first).unwrap();
    daemon.kill();
    let mut lost = vec![0; 2 << 20];
    assert!(reader.read_exact(&mut lost).is_err());
    // An export that breaks off is not taken for a whole one.
    daemon.run();
    let mut car = daemon.kubo().export(&root.cid, Reach::Local).unwrap();
    car.next_block().unwrap().unwrap();
    daemon.kill();
    let mut end = Ok(Some(()));
    while let Ok(Some(())) = end {
        end = car.next_block().map(|block| block.map(drop));
    }
    let error = end.unwrap_err();
    assert!(matches!(error, KuboError::Http(_)), "{error:?}");

    daemon.run();
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let reader = FileReader::open(&store, root.cid, None).unwrap();
    let mut rest = vec![0; 7 << 20];
    assert_eq!(reader.read_at(5 << 20, &mut rest).unwrap(), rest.len());
    assert!([first, rest].concat() == file);
}

#[test]
fn who_is_not_known_is_told_so() {
    let only_us = |config: &mut serde_json::Value| {
        config["API"]["Authorizations"] = json!({
            "medledger": {"AuthSecret": "bearer:s3cret", "AllowedPaths": ["/api/v0"]},
            "reader": {"AuthSecret": "basic:ada:pass:word", "AllowedPaths": ["/api/v0/version"]},
        });
    };
    let Some(mut daemon) = Daemon::with("who_is_not_known_is_told_so", only_us, None) else {
        return;
    };
    let denied = |error: KuboError| match error {
        KuboError::Denied { command, .. } => command,
        other => panic!("{other:?}"),
    };
    assert_eq!(denied(daemon.kubo().version().unwrap_err()), "version");
    assert_eq!(daemon.kubo().check(false).findings[0].about, "answer");
    daemon.ask_as("bearer:wrong");
    assert_eq!(denied(daemon.kubo().version().unwrap_err()), "version");
    // An upload is told in its middle, or at its end.
    let mut import = daemon.kubo().import().unwrap();
    let block = bytes(1 << 20);
    let sent = (0..64).try_for_each(|_| import.put(&raw(&block), &block));
    drop(sent);
    match import.finish().unwrap_err() {
        KuboError::Denied { command, .. } => assert_eq!(command, "dag/import"),
        // Where the answer was lost with the connection.
        KuboError::Http(HttpError::Broken { .. }) => {}
        other => panic!("{other:?}"),
    }
    daemon.ask_as("basic:ada:pass:word");
    daemon.kubo().version().unwrap();
    assert_eq!(denied(daemon.kubo().pins().unwrap_err()), "pin/ls");
    daemon.ask_as("bearer:s3cret");
    KuboStore::open(daemon.kubo()).unwrap();
    assert!(daemon.kubo().exposure().unwrap().rpc_authorized);
}

#[test]
fn a_block_damaged_in_the_nodes_folder_never_comes_out_and_is_healed() {
    const TEST: &str = "a_block_damaged_in_the_nodes_folder_never_comes_out_and_is_healed";
    let Some(mut daemon) = Daemon::start(TEST) else { return };
    let kubo = daemon.kubo();
    let store = KuboStore::open(kubo.clone()).unwrap();
    let file = bytes(3 << 20);
    let root = store_file(&store, &file, Profile::default()).cid;
    let leaf = raw(&file[..1 << 20]);
    let path = daemon.block_file(&leaf);
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[1000] ^= 4;
    std::fs::write(&path, &damaged).unwrap();
    assert!(matches!(store.get(&leaf), Err(StoreError::Damaged { cid, .. }) if cid == leaf));
    assert!(FileReader::open(&store, root, None).unwrap().read_to_end(&mut Vec::new()).is_err());
    // The node does not look: what it exports is damaged as well.
    let mut car = kubo.export(&root, Reach::Local).unwrap();
    let mut end = Ok(Some(()));
    while let Ok(Some(())) = end {
        end = car.next_block().map(|block| block.map(drop));
    }
    assert!(matches!(end, Err(KuboError::Car(_))), "{end:?}");
    // Stored once more, it is whole again, unless the node remembers that it has it.
    daemon.kill();
    daemon.run();
    let store = KuboStore::open(daemon.kubo()).unwrap();
    assert_eq!(store_file(&store, &file, Profile::default()).cid, root);
    assert_eq!(store.get(&leaf).unwrap().as_deref(), Some(&file[..1 << 20]));
}

#[test]
fn a_node_without_room_says_so_and_keeps_what_it_had() {
    const TEST: &str = "a_node_without_room_says_so_and_keeps_what_it_had";
    if super::daemon::program(TEST).is_none() {
        return;
    }
    if std::env::var("MEDLEDGER_PEER_TMPFS").is_err() {
        let _ = writeln!(std::io::stderr(), "SKIPPED {TEST}: MEDLEDGER_PEER_TMPFS is not set");
        return;
    }
    let small = Small::mount(48);
    let Some(daemon) = Daemon::in_folder(TEST, small.0.path()) else { return };
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let kept = bytes(3 << 20);
    let root = store_file(&store, &kept, Profile::default()).cid;
    let session = store.begin().unwrap();
    let mut failed = None;
    let mut block = bytes(1 << 20);
    for n in 0..80 {
        block[0] = n;
        block[1] = 200;
        failed = failed.or(session.put(&raw(&block), &block).err());
    }
    let error = failed.unwrap_or_else(|| session.commit(&raw(&block)).unwrap_err());
    match cause(error) {
        KuboError::Full { message } => assert!(message.contains("no space"), "{message}"),
        other => panic!("{other:?}"),
    }
    let mut read = Vec::new();
    FileReader::open(&store, root, None).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == kept);
}

/// A file system of so many mebibytes.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(mebibytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        assert!(mount.status().unwrap().success());
        Self(folder)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: the daemon's last files may be open for a moment longer.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
