//! Whole stores: checked, repaired from elsewhere, collected; blocks of another program read.

use crate::{bytes, small, store_file};
use medledger_ipfs::{
    BlockRead, BlockStore, Cid, FileStore, FlatfsReader, MemoryStore, StoreError,
    check::{Broken, StoreCheck, check_store},
    cid::Codec,
    collect::{CollectError, CollectOptions, collect},
    fsck::verify_dag,
    repair::repair_store,
    store::{Keep, Reason, Sharding, Word},
    unixfs::{CidVersion, Leaves, Profile, Root},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

fn profile() -> Profile {
    small(CidVersion::V1, Leaves::Raw, 100, 4)
}

fn filled(folder: &Path) -> (FileStore, Root, Vec<Cid>) {
    let store = FileStore::open(folder).unwrap();
    let (root, cids) = store_file(&store, &bytes(1000), profile());
    (store, root, cids)
}

fn check(store: &dyn BlockStore) -> StoreCheck {
    check_store(store, 3, &|_| {}).unwrap()
}

#[test]
fn a_healthy_store_is_counted_and_garbage_and_strays_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, cids) = filled(folder.path());
    let (most, count) = (AtomicU64::new(0), cids.len() as u64);
    let found = check_store(&store, 2, &|n| {
        most.fetch_max(n, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(most.into_inner(), count);
    assert_eq!((found.pins, found.blocks, found.unreferenced), (1, count, 0));
    assert!(found.is_healthy() && found.bytes > 1000 && found.strays.is_empty(), "{found:?}");
    store.unpin(&root.cid).unwrap();
    let strays = [
        folder.path().join("blocks/X/CIQ.data"),
        folder.path().join("blocks/notes"),
        folder.path().join("pins/half.tmp"),
        folder.path().join("stray"),
    ];
    for path in &strays {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }
    let now = check(&store);
    assert!(now.is_healthy(), "{now:?}");
    assert_eq!((now.pins, now.unreferenced, now.unreferenced_bytes), (0, count, found.bytes));
    let mut expected = strays.to_vec();
    expected[0] = folder.path().join("blocks/X");
    expected.sort_unstable();
    assert_eq!(now.strays, expected);
    // A block in a folder it does not belong in is not found, and told.
    let (right, wrong) = (store.block_path(&cids[0]), folder.path().join("blocks/AA"));
    fs::create_dir_all(&wrong).unwrap();
    let moved = wrong.join(right.file_name().unwrap());
    fs::rename(&right, &moved).unwrap();
    assert!(check(&store).strays.contains(&moved));
}

#[test]
fn pitfall_16_damaged_missing_and_malformed_blocks_are_told_with_their_pin() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, cids) = filled(folder.path());
    fs::write(store.block_path(&cids[0]), b"other bytes").unwrap();
    fs::remove_file(store.block_path(&cids[1])).unwrap();
    let garbage = Cid::of(Codec::Raw, b"garbage");
    let odd = Cid::of(Codec::DagCbor, &[0xff]);
    let session = store.begin().unwrap();
    session.put(&garbage, b"garbage").unwrap();
    session.put(&odd, &[0xff]).unwrap();
    session.commit(&odd).unwrap();
    fs::write(store.block_path(&garbage), b"").unwrap();
    let found = check(&store);
    let below = Some(root.cid);
    let mut damaged = [Broken { cid: cids[0], below }, Broken { cid: garbage, below: None }];
    damaged.sort_unstable();
    assert_eq!(found.damaged, damaged);
    assert_eq!(found.missing, [Broken { cid: cids[1], below }]);
    assert_eq!(found.malformed.len(), 1);
    assert_eq!(found.malformed[0].0, Broken { cid: odd, below: Some(odd) });
    assert_eq!((found.pins, found.unreferenced, found.unreferenced_bytes), (2, 1, 0));
    assert!(!found.is_healthy());
}

#[test]
fn pitfall_17_whatever_is_broken_is_repaired_from_another_copy() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, root, cids) = filled(folder.path());
    drop(filled(other.path()));
    let copy = FlatfsReader::open(other.path()).unwrap();
    // Each block alone, removed and damaged; then all of them, the root with them.
    for cid in &cids {
        fs::remove_file(store.block_path(cid)).unwrap();
        let done = repair_store(&store, &check(&store), &copy).unwrap();
        assert!(done.is_complete());
        assert_eq!(done.repaired, [*cid]);
        fs::write(store.block_path(cid), b"damage").unwrap();
        assert_eq!(repair_store(&store, &check(&store), &copy).unwrap().repaired, [*cid]);
        assert!(check(&store).is_healthy());
    }
    for (at, cid) in cids.iter().enumerate() {
        match at % 3 {
            0 => fs::write(store.block_path(cid), b"damage").unwrap(),
            _ => fs::remove_file(store.block_path(cid)).unwrap(),
        }
    }
    let done = repair_store(&store, &check(&store), &copy).unwrap();
    assert!(done.is_complete());
    assert_eq!(done.repaired.len(), cids.len());
    assert!(check(&store).is_healthy());
    assert!(verify_dag(&store, root.cid, 100).unwrap().is_complete());
    assert_eq!(collect(&store, CollectOptions::default()).unwrap().removed, 0);
}

/// A node below a node is missing, and a leaf below that one is damaged: seen only once both are back.
#[test]
fn what_hangs_on_a_missing_node_is_repaired_with_it() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, root, cids) = filled(folder.path());
    drop(filled(other.path()));
    let node = *cids.iter().find(|cid| cid.codec() == Codec::DagPb && **cid != root.cid).unwrap();
    let leaf = cids[0];
    fs::remove_file(store.block_path(&node)).unwrap();
    fs::write(store.block_path(&leaf), b"damage").unwrap();
    assert!(matches!(collect(&store, CollectOptions::default()), Err(CollectError::Blind(_))));
    let copy = FlatfsReader::open(other.path()).unwrap();
    let done = repair_store(&store, &check(&store), &copy).unwrap();
    assert_eq!(done.repaired, [node, leaf]);
    assert!(check(&store).is_healthy());
}

/// Gives for some blocks what it likes.
struct Liar {
    honest: MemoryStore,
    lies: BTreeMap<Cid, Option<Vec<u8>>>,
}

impl BlockRead for Liar {
    fn get(&self, cid: &Cid) -> Result<Option<medledger_ipfs::Block>, StoreError> {
        match self.lies.get(cid) {
            Some(Some(lie)) => Ok(Some(lie.clone().into())),
            Some(None) => Err(StoreError::Backend { store: "liar".into(), source: "no".into() }),
            None => self.honest.get(cid),
        }
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.honest.has(cid)
    }
}

#[test]
fn pitfall_16_a_source_that_lies_is_reported_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _, cids) = filled(folder.path());
    let honest = MemoryStore::new();
    store_file(&honest, &bytes(1000), profile());
    for cid in &cids[..4] {
        fs::write(store.block_path(cid), b"damage").unwrap();
    }
    honest.unpin(&honest.pins().unwrap()[0]).unwrap();
    honest.delete(&cids[3]).unwrap();
    let lies = [(cids[0], Some(b"a lie".to_vec())), (cids[1], None)].into();
    let liar = Liar { honest, lies };
    let done = repair_store(&store, &check(&store), &liar).unwrap();
    assert_eq!((&done.wrong, &done.absent), (&vec![cids[0]], &vec![cids[3]]));
    assert_eq!(done.failed.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(), [cids[1]]);
    assert_eq!(done.repaired, [cids[2]]);
    assert!(!done.is_complete());
    assert_eq!(fs::read(store.block_path(&cids[0])).unwrap(), b"damage");
    assert_eq!(check(&store).damaged.len(), 3);
}

/// What a crash in the middle of a sweep leaves: some garbage gone, some still there.
#[test]
fn a_sweep_that_stops_in_the_middle_leaves_a_valid_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, cids) = filled(folder.path());
    let (garbage, other) =
        store_file(&store, &bytes(3000), small(CidVersion::V1, Leaves::Raw, 90, 4));
    store.unpin(&garbage.cid).unwrap();
    let mut sweep = store.sweep().unwrap();
    let shared = |cid: &Cid| cids.contains(cid);
    for cid in other.iter().filter(|cid| !shared(cid)).take(9) {
        assert!(sweep.remove(cid).unwrap());
    }
    std::mem::forget(sweep);
    drop(store);
    let store = FileStore::open(folder.path()).unwrap();
    let found = check(&store);
    assert!(found.is_healthy() && found.unreferenced > 0, "{found:?}");
    collect(&store, CollectOptions::default()).unwrap();
    let found = check(&store);
    assert!(found.is_healthy() && found.unreferenced == 0, "{found:?}");
    assert!(verify_dag(&store, root.cid, 100).unwrap().is_complete());
}

/// Every file below a folder with its bytes.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(snapshot(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// A repository as Kubo lays it out: its files beside the blocks, names of other hashes, half-written
/// files; with each way to name folders.
#[test]
fn the_blocks_of_a_kubo_repository_are_read_and_never_written() {
    let ways = [
        ("/repo/flatfs/shard/v1/next-to-last/2\n", "32"),
        ("/repo/flatfs/shard/v1/next-to-last/3\n", "432"),
        ("/repo/flatfs/shard/v1/prefix/5\n", "CIQLS"),
        ("/repo/flatfs/shard/v1/suffix/2", "2I"),
    ];
    let name = "CIQLSTJHXGJU2PQIUUXFFV62PWV7VREE57RXUU4A52IIR55M4LX432I";
    let cid = Cid::of(Codec::Raw, b"hello world");
    for (sharding, shard) in ways {
        let repo = tempfile::tempdir().unwrap();
        let blocks = repo.path().join("blocks");
        let put = |path: &str, bytes: &[u8]| {
            let path = blocks.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        put("SHARDING", sharding.as_bytes());
        put("_README", b"This is a repository of IPLD objects.");
        put("diskUsage.cache", b"{\"diskUsage\":4113,\"accuracy\":\"initial-exact\"}");
        put(&format!("{shard}/{name}.data"), b"hello world");
        // SHA-512, identity, no base 32, and a file Kubo was writing.
        put(&format!("{shard}/CNAHO3V7ZV2VQUD3B5WNYQ3M3DX6.data"), b"?");
        put(&format!("{shard}/AAAWQZLMNRXQ.data"), b"?");
        put(&format!("{shard}/{}.data", name.to_lowercase()), b"?");
        put(&format!("{shard}/put-123456"), b"hel");
        put(&format!("{shard}/.data"), b"");
        put(".temp/temp-1", b"");
        fs::write(repo.path().join("config"), b"{}").unwrap();
        fs::write(repo.path().join("version"), b"16").unwrap();
        let before = snapshot(repo.path());
        for folder in [repo.path(), &blocks] {
            let reader = FlatfsReader::open(folder).unwrap();
            assert_eq!(reader.sharding(), sharding.parse::<Sharding>().unwrap());
            let listed: Vec<Cid> = reader.list().unwrap().map(Result::unwrap).collect();
            assert_eq!(listed, [cid], "{sharding}");
            assert_eq!(reader.get(&cid).unwrap().as_deref(), Some(&b"hello world"[..]));
            assert_eq!((reader.has(&cid).unwrap(), reader.size(&cid).unwrap()), (true, Some(11)));
            assert_eq!(reader.get(&Cid::of(Codec::Raw, b"x")).unwrap(), None);
        }
        let store = FileStore::open_read_only(repo.path()).unwrap();
        assert_eq!(store.get(&cid).unwrap().as_deref(), Some(&b"hello world"[..]));
        assert!(store.pins().unwrap().is_empty());
        assert!(matches!(store.begin().err(), Some(StoreError::ReadOnly { .. })));
        assert!(matches!(store.sweep().err(), Some(StoreError::ReadOnly { .. })));
        assert_eq!(check(&store).blocks, 1);
        assert_eq!(snapshot(repo.path()), before, "{sharding}");
        // Damage is found here as everywhere.
        fs::write(blocks.join(shard).join(format!("{name}.data")), b"hello w0rld").unwrap();
        let reader = FlatfsReader::open(repo.path()).unwrap();
        assert!(matches!(reader.get(&cid), Err(StoreError::Damaged { .. })));
    }
    let repo = tempfile::tempdir().unwrap();
    assert!(matches!(FlatfsReader::open(repo.path()), Err(StoreError::Io { .. })));
    fs::write(repo.path().join("SHARDING"), "/repo/flatfs/shard/v2/prefix/2").unwrap();
    match FlatfsReader::open(repo.path()) {
        Err(StoreError::Sharding { source, .. }) => assert!(source.found.contains("v2")),
        other => panic!("an unknown layout gave {other:?}"),
    }
}

#[test]
fn pins_of_the_version_before_are_read_and_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (store, root, _) = filled(folder.path());
    let pins = folder.path().join("pins");
    let pin = fs::read_dir(&pins).unwrap().next().unwrap().unwrap().path();
    fs::write(&pin, format!("{}\n", root.cid)).unwrap();
    let old = Keep { reason: Reason::Untold, since: None };
    assert_eq!(store.pinned().unwrap()[0].reasons, std::slice::from_ref(&old));
    let new = Keep::now(Reason::User(Word::new("audit").unwrap()));
    store.pin(&root.cid, &new).unwrap();
    assert_eq!(store.pinned().unwrap()[0].reasons, [new.clone(), old]);
    let text = fs::read_to_string(&pin).unwrap();
    let since = new.since.unwrap();
    assert_eq!(text, format!("{}\n{since} user audit\n- untold\n", root.cid));
    assert!(store.release(&root.cid, &Reason::Untold).unwrap());
    assert_eq!(store.pinned().unwrap()[0].reasons, [new]);
    assert!(fs::read_dir(folder.path().join("tmp")).unwrap().next().is_none());
}

/// More files than are synced each for itself: the way of many files, from several threads.
#[test]
fn a_session_of_many_files_is_whole_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    let blocks: Vec<Vec<u8>> = (0..300u32).map(|i| i.to_le_bytes().repeat(60_000)).collect();
    let cids: Vec<Cid> = blocks.iter().map(|block| Cid::of(Codec::Raw, block)).collect();
    let session = store.begin().unwrap();
    std::thread::scope(|scope| {
        for part in 0..3 {
            let (session, blocks, cids) = (&session, &blocks, &cids);
            scope.spawn(move || {
                for i in (part * 100..).take(100) {
                    session.put(&cids[i], &blocks[i]).unwrap();
                }
            });
        }
    });
    session.commit(&cids[0]).unwrap();
    // One that is given up leaves nothing, whatever was on its way.
    let session = store.begin().unwrap();
    for i in 0..100u32 {
        let block = i.to_be_bytes().repeat(1000);
        session.put(&Cid::of(Codec::Raw, &block), &block).unwrap();
    }
    drop(session);
    drop(store);
    let store = FileStore::open(folder.path()).unwrap();
    let found = check(&store);
    assert!(found.is_healthy(), "{found:?}");
    assert_eq!(found.blocks, 300);
}
