//! The answers of a real gateway in every scope and range, and how it says what it has not got.

use super::daemon::Daemon;
use super::{bytes, raw, store_file};
use medledger_ipfs::car::{Scope, SelectedError};
use medledger_ipfs::http::HttpError;
use medledger_ipfs::kubo::KuboStore;
use medledger_ipfs::unixfs::{CidVersion, FileReader, Leaves, Profile};
use medledger_ipfs::{
    BlockRead, BlockStore, Cid, Gateway, GatewayError, MemoryStore, Sources, StoreError,
};
use std::io::Read;

/// Blocks of a DAG or part of it.
fn count(gateway: &Gateway, root: &Cid, scope: Scope) -> Result<usize, GatewayError> {
    let mut car = gateway.car(root, scope)?;
    let mut blocks = 0;
    while car.next_block()?.is_some() {
        blocks += 1;
    }
    Ok(blocks)
}

/// Another one in which leaves are small and trees are deep.
fn profiles() -> [Profile; 4] {
    let deep = Profile::custom(CidVersion::V1, Leaves::DagPb, 1 << 16, 3).unwrap();
    [Profile::V1_2025, Profile::V0_2015, Profile::KUBO_CIDV1, deep]
}

#[test]
fn what_a_real_gateway_gives_is_what_was_stored() {
    const TEST: &str = "what_a_real_gateway_gives_is_what_was_stored";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let gateway = Gateway::connect(&daemon.gateway()).unwrap();
    // In the second one leaves are alike.
    for (file, alike) in [(bytes((2 << 20) + 77), false), (vec![0; 1 << 20], true)] {
        let size = file.len() as u64;
        for profile in profiles() {
            let root = store_file(&store, &file, profile).cid;
            assert!(gateway.has(&root).unwrap());
            let block = gateway.get(&root).unwrap().unwrap();
            assert_eq!(gateway.size(&root).unwrap(), Some(block.len() as u64));
            let all = count(&gateway, &root, Scope::All).unwrap();
            assert_eq!(count(&gateway, &root, Scope::Entity).unwrap(), all, "{profile:?}");
            assert_eq!(count(&gateway, &root, Scope::Block).unwrap(), 1);
            let mut read = Vec::new();
            FileReader::open(&gateway, root, Some(size)).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == file, "{profile:?}: leaf by leaf");
            for (offset, len) in [
                (0, size),
                (0, 1),
                (65_535, 2),
                (65_536, 65_536),
                (size / 2 - 1000, 200_000),
                (size - 1, 1),
                (size - 10, 20),
                (size, 1),
                (size + 5000, 1),
            ] {
                let read = gateway.read_range(&root, offset, len).unwrap();
                let (from, to) = (offset.min(size) as usize, (offset + len).min(size) as usize);
                assert!(read == file[from..to], "{offset}+{len} {alike} {profile:?}");
            }
        }
    }
}

#[test]
fn what_a_real_gateway_has_not_got_is_told_however_it_says_so() {
    const TEST: &str = "what_a_real_gateway_has_not_got_is_told_however_it_says_so";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let gateway = Gateway::connect(&daemon.gateway()).unwrap();
    let nowhere = raw(b"nowhere");
    assert_eq!(gateway.get(&nowhere).unwrap(), None);
    assert!(!gateway.has(&nowhere).unwrap());
    let absent = |result: Result<usize, GatewayError>| match result {
        Err(GatewayError::Absent { cid, .. }) => assert_eq!(cid, nowhere),
        other => panic!("{other:?}"),
    };
    // With status 200 and a CAR without blocks.
    absent(count(&gateway, &nowhere, Scope::All));
    absent(gateway.read_range(&nowhere, 0, 1).map(|bytes| bytes.len()));

    let file = bytes(10 << 18);
    let root = store_file(&store, &file, Profile::KUBO_CIDV1).cid;
    let leaf = |n: usize| raw(&file[n << 18..(n + 1) << 18]);
    assert!(store.unpin(&root).unwrap());
    for n in [4, 7] {
        assert!(store.delete(&leaf(n)).unwrap());
    }
    // Kubo ends such a CAR as if it were whole.
    for scope in [Scope::All, Scope::Entity, Scope::Bytes { from: 0, to: 2 << 20 }] {
        match count(&gateway, &root, scope).unwrap_err() {
            GatewayError::Car { source: SelectedError::Incomplete { cid }, .. } => {
                assert_eq!(cid, leaf(4), "{scope:?}: the first that is missing");
            }
            GatewayError::Http(HttpError::Broken { .. } | HttpError::Failed { .. }) => {}
            other => panic!("{scope:?}: {other:?}"),
        }
    }
    assert!(gateway.read_range(&root, 1 << 20, 1).is_err());
    assert!(gateway.read_range(&root, 5 << 18, 2 << 18).unwrap() == file[5 << 18..7 << 18]);
    // Together with someone who has the rest.
    let other = MemoryStore::new();
    let session = other.begin().unwrap();
    for n in [4, 7] {
        session.put(&leaf(n), &file[n << 18..(n + 1) << 18]).unwrap();
    }
    session.finish(&[]).unwrap();
    let sources = Sources::new().other("gateway", gateway).own("rest", other);
    let mut read = Vec::new();
    FileReader::open(&sources, root, None).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == file);
}

#[test]
fn pitfall_16_a_block_damaged_in_the_nodes_folder_does_not_come_out_of_its_gateway() {
    const TEST: &str =
        "pitfall_16_a_block_damaged_in_the_nodes_folder_does_not_come_out_of_its_gateway";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let store = KuboStore::open(daemon.kubo()).unwrap();
    let file = bytes(3 << 20);
    let root = store_file(&store, &file, Profile::default()).cid;
    let leaf = raw(&file[1 << 20..2 << 20]);
    let path = daemon.block_file(&leaf);
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[1000] ^= 4;
    std::fs::write(&path, &damaged).unwrap();
    let gateway = Gateway::connect(&daemon.gateway()).unwrap();
    assert!(matches!(gateway.get(&leaf), Err(StoreError::Damaged { cid, .. }) if cid == leaf));
    for scope in [Scope::All, Scope::Bytes { from: 1 << 20, to: 1 << 20 }] {
        let error = count(&gateway, &root, scope).unwrap_err();
        assert!(
            matches!(&error, GatewayError::WrongBytes { cid, .. } if *cid == leaf),
            "{error:?}"
        );
    }
    assert!(gateway.read_range(&root, 1 << 20, 1).is_err());
    assert_eq!(gateway.read_range(&root, 5, 3).unwrap(), file[5..8]);
    let other = MemoryStore::new();
    let session = other.begin().unwrap();
    session.put(&leaf, &file[1 << 20..2 << 20]).unwrap();
    session.finish(&[]).unwrap();
    let sources = Sources::new().other("gateway", gateway).own("copy", other);
    let mut read = Vec::new();
    FileReader::open(&sources, root, None).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == file, "what was damaged came from elsewhere");
    assert!(sources.health()[0].1.lies > 0);
    assert_eq!(sources.take_damaged()[0].cid, leaf);
}
