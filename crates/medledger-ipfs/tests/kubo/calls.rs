//! Each call of the client.

use super::daemon::Daemon;
use super::{bytes, raw, store_file};
use medledger_ipfs::cid::Codec;
use medledger_ipfs::kubo::{KuboError, KuboStore, LEAST_VERSION, Reach};
use medledger_ipfs::unixfs::{FileReader, Profile, cid_of};
use medledger_ipfs::{BlockRead, BlockStore, Cid, MemoryStore, car};
use std::io::Read;
use std::time::Duration;

const LOCAL: Reach = Reach::Local;

#[test]
fn the_node_says_who_it_is_and_what_it_has() {
    let Some(daemon) = Daemon::start("the_node_says_who_it_is_and_what_it_has") else { return };
    let kubo = daemon.kubo();
    assert!(kubo.version().unwrap() >= LEAST_VERSION);
    let id = kubo.id().unwrap();
    assert!(id.peer.starts_with("12D3KooW"), "{id:?}");
    let stat = kubo.stat().unwrap();
    assert_eq!(stat.path, daemon.repo().to_str().unwrap());
    assert!(kubo.swarm_peers().unwrap().is_empty());
    assert_eq!(kubo.config().unwrap()["Routing"]["Type"], "none");
}

#[test]
fn blocks_go_in_and_come_out() {
    let Some(daemon) = Daemon::start("blocks_go_in_and_come_out") else { return };
    let kubo = daemon.kubo();
    let node = b"\x0a\x04\x08\x02\x18\x00";
    let cbor = [0xa1, 0x61, 0x61, 0x01];
    for (codec, block) in [
        (Codec::Raw, &b"raw"[..]),
        (Codec::DagPb, node),
        (Codec::DagCbor, &cbor),
        (Codec::Raw, b""),
    ] {
        let cid = Cid::of(codec, block);
        assert_eq!(kubo.block_get(&cid, LOCAL).unwrap(), None);
        assert_eq!(kubo.block_stat(&cid, LOCAL).unwrap(), None);
        kubo.block_put(&cid, block, false).unwrap();
        assert_eq!(kubo.block_get(&cid, LOCAL).unwrap().as_deref(), Some(block));
        assert_eq!(kubo.block_stat(&cid, LOCAL).unwrap(), Some(block.len() as u64));
        assert!(kubo.block_rm(&cid).unwrap());
        assert!(!kubo.block_rm(&cid).unwrap());
    }
    let v0 = Cid::v0_from_digest(*Cid::of(Codec::DagPb, node).digest());
    kubo.block_put(&v0, node, true).unwrap();
    assert_eq!(kubo.block_get(&v0, LOCAL).unwrap().as_deref(), Some(&node[..]));
    match kubo.block_put(&raw(b"right"), b"wrong", false) {
        Err(KuboError::OtherCid { expected, .. }) => assert_eq!(expected, raw(b"right")),
        other => panic!("{other:?}"),
    }
    // A node with peers looks for what it has not got, but not for ever.
    let nowhere = Reach::Peers(Duration::from_millis(300));
    assert_eq!(kubo.block_get(&raw(b"nowhere"), nowhere).unwrap(), None);
}

#[test]
fn blocks_of_one_and_two_mebibytes_are_taken_by_every_way() {
    let Some(daemon) = Daemon::start("blocks_of_one_and_two_mebibytes_are_taken_by_every_way")
    else {
        return;
    };
    let kubo = daemon.kubo();
    for len in [1 << 20, (1 << 20) + 1, 2 << 20] {
        let block = bytes(len);
        let cid = raw(&block);
        kubo.block_put(&cid, &block, false).unwrap();
        assert_eq!(kubo.block_get(&cid, LOCAL).unwrap().as_deref(), Some(&block[..]));
        let mut other = block.clone();
        other[0] ^= 1;
        let cid = raw(&other);
        let mut import = kubo.import().unwrap();
        import.put(&cid, &other).unwrap();
        assert_eq!(import.finish().unwrap().bytes, len as u64);
        assert_eq!(kubo.block_get(&cid, LOCAL).unwrap().as_deref(), Some(&other[..]));
    }
}

/// Pitfall 15: the CID of a file follows from the profile, and must be the same on both sides.
#[test]
fn pitfall_15_every_profile_gives_the_same_cids_as_kubo() {
    let Some(daemon) = Daemon::start("pitfall_15_every_profile_gives_the_same_cids_as_kubo") else {
        return;
    };
    let kubo = daemon.kubo();
    let data = bytes(3 << 20);
    let custom = |chunk, width| {
        let (version, leaves) = (Profile::V1_2025.version(), Profile::V1_2025.leaves());
        Profile::custom(version, leaves, chunk, width).unwrap()
    };
    let profiles = Profile::names().map(|name| name.parse().unwrap());
    let profiles = profiles.chain([custom(1000, 3), custom(4096, 174)]);
    for profile in profiles {
        let chunk = profile.chunk();
        let sizes = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk + 5, 5000, data.len()];
        for size in sizes.into_iter().filter(|size| *size <= data.len()) {
            let file = &data[..size];
            let ours = cid_of(file, profile).unwrap().cid;
            assert_eq!(kubo.add(file, &profile, false).unwrap(), ours, "{profile:?}, {size}");
        }
    }
    // A width that small files reach, kept this time.
    let profile = custom(10_000, 4);
    let root = kubo.add(&data[..1_000_003], &profile, true).unwrap();
    assert_eq!(cid_of(&data[..1_000_003], profile).unwrap().cid, root);
    assert!(kubo.pin(&root).unwrap().is_some());
}

#[test]
fn pins_have_names_and_are_looked_into() {
    let Some(daemon) = Daemon::start("pins_have_names_and_are_looked_into") else { return };
    let kubo = daemon.kubo();
    let cid = raw(b"pinned");
    assert_eq!(kubo.pin(&cid).unwrap(), None);
    match kubo.pin_add(&cid, "", Duration::from_secs(2)) {
        Err(KuboError::NotPinned { root, .. }) => assert_eq!(root, cid),
        other => panic!("{other:?}"),
    }
    kubo.block_put(&cid, b"pinned", false).unwrap();
    kubo.pin_add(&cid, "a name, & more=?", Duration::from_secs(2)).unwrap();
    assert_eq!(kubo.pin(&cid).unwrap().unwrap().name, "a name, & more=?");
    kubo.pin_add(&cid, "another", Duration::from_secs(2)).unwrap();
    let pins = kubo.pins().unwrap();
    assert!(pins.iter().any(|pin| pin.root == cid && pin.name == "another"), "{pins:?}");
    assert!(kubo.pin_verify().unwrap().iter().all(|pin| pin.bad.is_empty()));
    assert!(kubo.check(true).is_fit());
    // Below a pin, nothing can be removed.
    assert!(kubo.block_rm(&cid).is_err());
    assert!(kubo.pin_rm(&cid).unwrap());
    assert!(!kubo.pin_rm(&cid).unwrap());
    assert_eq!(kubo.pin(&cid).unwrap(), None);
}

#[test]
fn what_nothing_keeps_is_collected_by_the_node() {
    let Some(daemon) = Daemon::start("what_nothing_keeps_is_collected_by_the_node") else { return };
    let kubo = daemon.kubo();
    let store = KuboStore::open(kubo.clone()).unwrap();
    let file = bytes(3_000_000);
    let root = store_file(&store, &file, Profile::default());
    let loose = raw(b"loose");
    kubo.block_put(&loose, b"loose", false).unwrap();
    assert!(kubo.blocks().unwrap().any(|cid| cid.unwrap() == loose));
    assert!(kubo.collect().unwrap() >= 1);
    assert!(!store.has(&loose).unwrap());
    let mut read = Vec::new();
    FileReader::open(&store, root.cid, None).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == file);
}

#[test]
fn cars_go_in_and_come_out() {
    let Some(daemon) = Daemon::start("cars_go_in_and_come_out") else { return };
    let kubo = daemon.kubo();
    let memory = MemoryStore::new();
    let file = bytes(5_000_000);
    let root = store_file(&memory, &file, Profile::V0_2015).cid;
    let (car, summary) = car::export(&memory, &[root], Vec::new()).unwrap();
    let imported = kubo.import_car(&car[..], &[root]).unwrap();
    assert_eq!((imported.blocks, imported.pinned.len()), (summary.blocks, 1));
    assert!(kubo.pin(&root).unwrap().is_some());

    let copy = MemoryStore::new();
    let session = copy.begin().unwrap();
    let mut coming = kubo.export(&root, LOCAL).unwrap();
    let mut blocks = 0;
    while let Some((cid, block)) = coming.next_block().unwrap() {
        session.put(&cid, block).unwrap();
        blocks += 1;
    }
    session.commit(&root).unwrap();
    assert_eq!(blocks, summary.blocks);
    let mut read = Vec::new();
    FileReader::open(&copy, root, Some(5_000_000)).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == file);
    match kubo.export(&raw(b"nowhere"), LOCAL) {
        Err(KuboError::Missing { cid }) => assert_eq!(cid, raw(b"nowhere")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_root_that_could_not_be_pinned_is_an_error() {
    let Some(daemon) = Daemon::start("a_root_that_could_not_be_pinned_is_an_error") else { return };
    let kubo = daemon.kubo();
    let memory = MemoryStore::new();
    let root = store_file(&memory, &bytes(3_000_000), Profile::V0_2015).cid;
    // Everything but the last leaf.
    let mut import = kubo.import().unwrap();
    let mut left_out = None;
    for cid in memory.list().unwrap() {
        let cid = cid.unwrap();
        let block = memory.get(&cid).unwrap().unwrap();
        if left_out.is_none() && cid.digest() != root.digest() {
            left_out = Some(cid);
            continue;
        }
        import.put(&Cid::from_digest(Codec::DagPb, *cid.digest()), &block).unwrap();
    }
    assert!(import.finish().unwrap().pinned.is_empty());
    match kubo.pin_add(&root, "not whole", Duration::from_secs(2)) {
        Err(KuboError::NotPinned { root: named, .. }) => assert_eq!(named, root),
        other => panic!("{other:?}"),
    }
    assert_eq!(kubo.pin(&root).unwrap(), None);
}

#[test]
fn wrong_and_half_cars_are_refused_by_the_node() {
    let Some(daemon) = Daemon::start("wrong_and_half_cars_are_refused_by_the_node") else { return };
    let kubo = daemon.kubo();
    let memory = MemoryStore::new();
    let root = store_file(&memory, &bytes(600_000), Profile::V0_2015).cid;
    let (car, _) = car::export(&memory, &[root], Vec::new()).unwrap();
    let mut damaged = car.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for car in [&damaged[..], &car[..car.len() - 7], b"nonsense", b""] {
        match kubo.import_car(car, &[root]).unwrap_err() {
            KuboError::Refused { .. } => {}
            // What ends before it begins is a success for the node, with nothing pinned.
            KuboError::NotPinned { .. } if car.len() < 100 => {}
            other => panic!("{} bytes: {other:?}", car.len()),
        }
        assert_eq!(kubo.pin(&root).unwrap(), None);
    }
    let other = raw(b"other");
    match kubo.import_car(&car[..], &[other]) {
        Err(KuboError::NotPinned { root, .. }) => assert_eq!(root, other),
        unexpected => panic!("{unexpected:?}"),
    }
}

/// Names need a routing system, if only among the nodes of a hospital.
#[test]
fn keys_publish_names_that_another_node_of_the_private_network_resolves() {
    const TEST: &str = "keys_publish_names_that_another_node_of_the_private_network_resolves";
    let key = "/key/swarm/psk/1.0.0/\n/base16/\n".to_owned() + &"5c".repeat(32) + "\n";
    let routed = |config: &mut serde_json::Value| config["Routing"]["Type"] = "dhtserver".into();
    let Some(one) = Daemon::with(TEST, routed, Some(&key)) else { return };
    let Some(other) = Daemon::with(TEST, routed, Some(&key)) else { return };
    let kubo = one.kubo();
    let addresses = kubo.id().unwrap().addresses;
    other.kubo().swarm_connect(addresses.iter().find(|a| a.contains("/tcp/")).unwrap()).unwrap();

    let key = kubo.key_generate("heads").unwrap();
    assert!(key.name == "heads" && key.id.starts_with("k51"), "{key:?}");
    assert!(kubo.keys().unwrap().contains(&key));
    assert!(kubo.key_generate("heads").is_err(), "there is one");
    let path = format!("/ipfs/{}", raw(b"head"));
    let hour = Duration::from_secs(3600);
    let published = kubo.name_publish(&path, "heads", hour).unwrap();
    assert_eq!((published.name.as_str(), published.value.as_str()), (key.id.as_str(), &*path));
    for kubo in [&kubo, &other.kubo()] {
        assert_eq!(kubo.name_resolve(&key.id, Duration::from_secs(20)).unwrap(), path);
    }
    assert!(kubo.name_publish(&path, "none", hour).is_err());
    let nobodys = other.kubo().id().unwrap().peer;
    assert!(kubo.name_resolve(&nobodys, Duration::from_secs(2)).is_err());
}

#[test]
fn every_call_works_inside_an_asynchronous_runtime() {
    let Some(daemon) = Daemon::start("every_call_works_inside_an_asynchronous_runtime") else {
        return;
    };
    let kubo = daemon.kubo();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = KuboStore::open(kubo).unwrap();
        let root = store_file(&store, &bytes(2_500_000), Profile::default());
        let mut read = Vec::new();
        FileReader::open(&store, root.cid, None).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes(2_500_000));
    });
}
