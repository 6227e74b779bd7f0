//! A node's own gateway, and a node that is away among several sources.

use super::daemon::Daemon;
use super::{bytes, raw, store_file};
use medledger_ipfs::car::Scope;
use medledger_ipfs::gateway::Gateway;
use medledger_ipfs::kubo::KuboStore;
use medledger_ipfs::unixfs::{FileReader, Profile};
use medledger_ipfs::{BlockRead, MemoryStore, Sources};
use std::io::Read;

#[test]
fn the_gateway_of_a_node_gives_blocks_ranges_and_cars() {
    let Some(daemon) = Daemon::start("the_gateway_of_a_node_gives_blocks_ranges_and_cars") else {
        return;
    };
    let file = bytes(5_300_000);
    for profile in [Profile::default(), Profile::V0_2015] {
        let root = store_file(&KuboStore::open(daemon.kubo()).unwrap(), &file, profile).cid;
        let gateway = Gateway::connect(&daemon.gateway()).unwrap();
        let mut read = Vec::new();
        FileReader::open(&gateway, root, None).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == file);
        for (at, len) in [(0, 1), (1_048_575, 2), (2_000_000, 1_500_000), (5_299_999, 1)] {
            let range = gateway.read_range(&root, at, len).unwrap();
            assert!(range == file[at as usize..(at + len) as usize], "{at} {len} {profile:?}");
        }
        let mut car = gateway.car(&root, Scope::All).unwrap();
        let mut blocks = 0;
        while car.next_block().unwrap().is_some() {
            blocks += 1;
        }
        assert!(car.is_complete() && blocks > 5);
        // It fetches from nobody: what it has not got is not there.
        assert_eq!(gateway.get(&raw(b"nowhere")).unwrap(), None);
        assert!(!gateway.has(&raw(b"nowhere")).unwrap() && gateway.has(&root).unwrap());
    }
}

#[test]
fn pitfall_16_the_gateway_of_a_node_with_a_damaged_block_is_not_believed() {
    const TEST: &str = "pitfall_16_the_gateway_of_a_node_with_a_damaged_block_is_not_believed";
    let Some(mut daemon) = Daemon::start(TEST) else { return };
    let file = bytes(3 << 20);
    let root = store_file(&KuboStore::open(daemon.kubo()).unwrap(), &file, Profile::default()).cid;
    let leaf = raw(&file[1 << 20..2 << 20]);
    let path = daemon.block_file(&leaf);
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[77] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let gateway = || Gateway::connect(&daemon.gateway()).unwrap();
    assert!(gateway().get(&leaf).is_err());
    assert!(gateway().read_range(&root, 1 << 20, 10).is_err());
    assert_eq!(gateway().read_range(&root, 0, 10).unwrap(), file[..10]);
    // Another source has it; then the node goes away altogether.
    let whole = MemoryStore::new();
    store_file(&whole, &file, Profile::default());
    let node = gateway();
    daemon.kill();
    daemon.run();
    let fresh = Gateway::connect(&daemon.gateway()).unwrap();
    let sources = Sources::new().other("gateway", fresh).own("copy", whole);
    let read = || {
        let mut read = Vec::new();
        FileReader::open(&sources, root, None).unwrap().read_to_end(&mut read).unwrap();
        read
    };
    assert!(read() == file);
    daemon.kill();
    assert!(read() == file);
    assert!(node.get(&root).is_err());
}
