//! The store on files when things go wrong: damage, crashes, full and read-only disks.

use crate::{bytes, small, store_file};
use medledger_ipfs::{
    BlockRead, BlockStore, Cid, FileStore, StoreError,
    cid::Codec,
    fsck::verify_dag,
    unixfs::{CidVersion, FileReader, Leaves, Profile, Root},
};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

fn profile() -> Profile {
    small(CidVersion::V1, Leaves::Raw, 100, 4)
}

fn filled(folder: &Path) -> (FileStore, Root, Vec<Cid>) {
    let store = FileStore::open(folder).unwrap();
    let (root, cids) = store_file(&store, &bytes(1000), profile());
    (store, root, cids)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn blocks_lie_where_flatfs_looks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    let (_, cids) = store_file(&store, b"hello world", Profile::V1_2025);
    let name = "CIQLSTJHXGJU2PQIUUXFFV62PWV7VREE57RXUU4A52IIR55M4LX432I";
    let path = folder.path().join("blocks").join("32").join(format!("{name}.data"));
    assert_eq!(store.block_path(&cids[0]), path);
    assert_eq!(fs::read(path).unwrap(), b"hello world");
    assert_eq!(
        fs::read_to_string(folder.path().join("blocks/SHARDING")).unwrap(),
        "/repo/flatfs/shard/v1/next-to-last/2\n"
    );
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, cids) = filled(folder.path());
    drop(store);
    let store = FileStore::open(folder.path()).unwrap();
    assert_eq!(store.pins().unwrap(), [root.cid]);
    assert_eq!(store.list().unwrap().count(), cids.len());
    assert!(verify_dag(&store, root.cid, 100).unwrap().is_complete());
    let mut out = Vec::new();
    let mut reader = FileReader::open(&store, root.cid, Some(1000)).unwrap();
    reader.read_to_end(&mut out).unwrap();
    assert_eq!(out, bytes(1000));
    assert!(files_below(&folder.path().join("tmp")).is_empty());
}

#[test]
fn pitfall_08_every_kind_of_damage_is_found_named_and_healed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, cids) = filled(folder.path());
    let (victim, other) = (cids[2], cids[3]);
    let path = store.block_path(&victim);
    let honest = fs::read(&path).unwrap();
    let flipped = |bit: usize| {
        let mut bytes = honest.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    let mut damages: Vec<Vec<u8>> = (0..honest.len() * 8).map(flipped).collect();
    damages.push(honest[..99].to_vec());
    damages.push(vec![]);
    damages.push([&honest[..], &[0]].concat());
    damages.push(vec![0; 3 << 20]);
    damages.push(fs::read(store.block_path(&other)).unwrap());
    for damage in damages {
        fs::write(&path, &damage).unwrap();
        match store.get(&victim) {
            Err(StoreError::Damaged { cid, path: Some(named) }) => {
                assert_eq!((cid, named), (victim, path.clone()));
            }
            found => panic!("{} bytes of damage gave {found:?}", damage.len()),
        }
    }
    let report = verify_dag(&store, root.cid, 100).unwrap();
    assert_eq!(report.damaged, [victim]);
    // Storing the same file again mends it.
    store_file(&store, &bytes(1000), profile());
    assert!(verify_dag(&store, root.cid, 100).unwrap().is_complete());
    // Wrong bytes under a CID whose block is healthy are refused.
    let session = store.begin().unwrap();
    assert!(
        matches!(session.put(&victim, b"no"), Err(StoreError::Mismatch { cid }) if cid == victim)
    );
}

#[test]
fn a_crash_before_the_commit_leaves_nothing_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, cids) = filled(folder.path());
    let session = store.begin().unwrap();
    let lost = Cid::of(Codec::Raw, b"lost");
    session.put(&lost, b"lost").unwrap();
    assert_eq!(files_below(&folder.path().join("tmp")).len(), 1);
    // What a killed process does: nothing runs any more.
    std::mem::forget(session);
    drop(store);
    fs::write(folder.path().join("tmp/stray"), b"half a blo").unwrap();

    let store = FileStore::open(folder.path()).unwrap();
    assert!(files_below(&folder.path().join("tmp")).is_empty());
    assert_eq!(store.get(&lost).unwrap(), None);
    assert_eq!(store.pins().unwrap(), [root.cid]);
    assert_eq!(store.list().unwrap().count(), cids.len());
}

/// The commit stops between the last block and the pin: what a crash at that point leaves.
#[test]
fn a_commit_that_stops_before_the_pin_leaves_only_unreferenced_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    let session = store.begin().unwrap();
    let cid = Cid::of(Codec::Raw, b"block");
    session.put(&cid, b"block").unwrap();
    fs::remove_dir(folder.path().join("pins")).unwrap();
    assert!(matches!(session.commit(&cid), Err(StoreError::Io { .. })));
    drop(store);
    let store = FileStore::open(folder.path()).unwrap();
    assert!(store.pins().unwrap().is_empty());
    // The block is there and whole, but nothing keeps it.
    assert_eq!(store.get(&cid).unwrap().as_deref(), Some(&b"block"[..]));
    assert!(store.delete(&cid).unwrap());
}

#[test]
fn the_folder_is_made_with_all_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    let (store, root, _) = filled(&deep);
    assert_eq!(store.path(), deep);
    assert_eq!(store.pins().unwrap(), [root.cid]);
}

#[test]
fn pins_are_checked_when_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, _) = filled(folder.path());
    let pin = files_below(&folder.path().join("pins")).remove(0);
    for damage in ["", "bafk", &Cid::of(Codec::Raw, b"another").to_string()] {
        fs::write(&pin, damage).unwrap();
        assert!(matches!(store.pins(), Err(StoreError::Corrupt { path, .. }) if path == pin));
    }
    fs::write(&pin, root.cid.to_string()).unwrap();
    assert_eq!(store.pins().unwrap(), [root.cid]);
    // A file of another program beside the blocks is not one of them, whatever its name.
    let shard = store.block_path(&root.cid).parent().unwrap().to_path_buf();
    let count = store.list().unwrap().count();
    let stray = [shard.join("note.data"), shard.join("note.txt")];
    for path in &stray {
        fs::write(path, b"").unwrap();
    }
    assert!(store.list().unwrap().all(|cid| cid.is_ok()));
    assert_eq!(store.list().unwrap().count(), count);
    assert_eq!(store.strays().unwrap(), stray);
}

#[test]
fn one_writer_and_many_readers_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, _) = filled(folder.path());
    let second = FileStore::open(folder.path());
    assert!(matches!(second, Err(StoreError::Locked { path }) if path == folder.path()));
    let session = store.begin().unwrap();
    session.put(&Cid::of(Codec::Raw, b"x"), b"x").unwrap();

    let reader = FileStore::open_read_only(folder.path()).unwrap();
    assert!(reader.get(&root.cid).unwrap().is_some());
    assert_eq!(reader.pins().unwrap(), [root.cid]);
    assert!(matches!(reader.begin().err(), Some(StoreError::ReadOnly { source: None, .. })));
    assert!(matches!(reader.delete(&root.cid), Err(StoreError::ReadOnly { .. })));
    assert!(matches!(reader.unpin(&root.cid), Err(StoreError::ReadOnly { .. })));
    // The reader did not tidy away what the writer has under way.
    session.commit(&Cid::of(Codec::Raw, b"x")).unwrap();
    drop(store);
    FileStore::open(folder.path()).unwrap();
}

#[test]
fn folders_that_are_no_store_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(FileStore::open_read_only(folder.path()), Err(StoreError::Io { .. })));
    fs::create_dir(folder.path().join("blocks")).unwrap();
    fs::write(folder.path().join("blocks/SHARDING"), "/repo/flatfs/shard/v1/prefix/2\n").unwrap();
    let found = FileStore::open(folder.path());
    assert!(
        matches!(&found, Err(StoreError::Sharding { source, .. }) if source.found.ends_with("prefix/2")),
        "{found:?}"
    );
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(FileStore::open(&file), Err(StoreError::Io { .. })));
}

/// A mount that ends with the test.
struct Mount(PathBuf);

impl Mount {
    /// Nothing where mounting is not possible, said with the name of the test and the reason.
    fn new(test: &str, options: &[&str], at: &Path) -> Option<Self> {
        let output = Command::new("mount").args(options).arg(at).output();
        let reason = match output {
            Ok(output) if output.status.success() => return Some(Self(at.to_path_buf())),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(e) => e.to_string(),
        };
        eprintln!("SKIPPED {test}: cannot mount here: {reason}");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn pitfall_53_a_full_disk_is_said_and_leaves_a_working_store() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
    let test = "pitfall_53_a_full_disk_is_said_and_leaves_a_working_store";
    let Some(_mount) = Mount::new(test, &options, folder.path()) else { return };
    let store = FileStore::open(folder.path()).unwrap();
    let (root, _) = store_file(&store, &bytes(1000), profile());
    let session = store.begin().unwrap();
    let mut stored = 0;
    let error = loop {
        let block = vec![stored; 100_000];
        match session.put(&Cid::of(Codec::Raw, &block), &block) {
            Ok(()) => stored += 1,
            Err(e) => break e,
        }
    };
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert!((5..11).contains(&stored), "{stored} blocks");
    let first = Cid::of(Codec::Raw, &vec![0; 100_000]);
    assert!(matches!(session.commit(&first), Err(StoreError::SessionFailed)));
    // The space is free again, what was there is whole, and smaller things fit.
    assert_eq!(store.pins().unwrap(), [root.cid]);
    assert!(verify_dag(&store, root.cid, 100).unwrap().is_complete());
    let (root, _) = store_file(&store, &bytes(300_000), Profile::V1_2025);
    assert!(verify_dag(&store, root.cid, 100).unwrap().is_complete());
    // A disk that others fill does not keep blocks from being removed.
    let _ = fs::write(folder.path().join("other"), vec![0; 1 << 20]);
    assert!(store.unpin(&root.cid).unwrap() && store.delete(&root.cid).unwrap());
}

#[test]
fn a_read_only_folder_is_said_and_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, _) = filled(folder.path());
    drop(store);
    let view = tempfile::tempdir().unwrap();
    let source = folder.path().to_str().unwrap();
    let test = "a_read_only_folder_is_said_and_can_be_read";
    let Some(_mount) = Mount::new(test, &["--bind", source], view.path()) else { return };
    let remount = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(view.path()).status();
    assert!(remount.unwrap().success());
    let result = FileStore::open(view.path());
    assert!(matches!(result, Err(StoreError::ReadOnly { source: Some(_), .. })), "{result:?}");
    let store = FileStore::open_read_only(view.path()).unwrap();
    assert!(verify_dag(&store, root.cid, 100).unwrap().is_complete());
}
