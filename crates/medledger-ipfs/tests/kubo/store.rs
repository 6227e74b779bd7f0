//! A node as a store: what every store must do, and what only this one can.

use super::daemon::Daemon;
use super::{bytes, raw, store_file};
use medledger_core::dek::Dek;
use medledger_core::ids::ReportId;
use medledger_core::padding::Padding;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::seal::{Backend, UnsealReader};
use medledger_ipfs::fsck::verify_dag;
use medledger_ipfs::kubo::{
    Kubo, KuboError, KuboStore, KuboStoreOptions, Owner, PinList, Privacy, Reach,
};
use medledger_ipfs::pipeline::{SealJob, seal_file};
use medledger_ipfs::store::{Keep, Pin, Reason, Session, StoreError, Sweep, Word};
use medledger_ipfs::unixfs::{FileReader, Profile};
use medledger_ipfs::{Block, BlockRead, BlockStore, Cid, FlatfsReader, Processor, conformance};
use serde_json::json;
use std::io::Read;
use std::time::Duration;

/// A node that was emptied. An empty folder is always in one, and is left out here.
struct Emptied(KuboStore);

impl Emptied {
    fn new(kubo: &Kubo) -> Self {
        for pin in kubo.pins().unwrap() {
            kubo.pin_rm(&pin.root).unwrap();
        }
        kubo.collect().unwrap();
        Self(KuboStore::open(kubo.clone()).unwrap())
    }

    fn is_folder(cid: &Cid) -> bool {
        *cid.digest() == *Cid::of(medledger_ipfs::cid::Codec::DagPb, b"\x0a\x02\x08\x01").digest()
    }
}

impl BlockRead for Emptied {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.0.get(cid)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.0.get_many(cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.0.has(cid)
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.0.size(cid)
    }
}

impl BlockStore for Emptied {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        self.0.begin()
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.0.delete(cid)
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        let ours = |cid: &Result<Cid, _>| !cid.as_ref().is_ok_and(Self::is_folder);
        Ok(Box::new(self.0.list()?.filter(ours)))
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        let pins = self.0.pinned()?.into_iter();
        Ok(pins.filter(|pin| !Self::is_folder(&pin.root)).collect())
    }

    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        self.0.release(root, reason)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.0.unpin(root)
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        self.0.sweep()
    }
}

#[test]
fn a_node_is_a_store_like_any_other() {
    let Some(daemon) = Daemon::start("a_node_is_a_store_like_any_other") else { return };
    let mut kubo = daemon.kubo();
    // What is nowhere is known soon: there are no peers to ask.
    let options = medledger_ipfs::http::EndpointOptions {
        net: Some(kubo.endpoint().net().clone()),
        ..Default::default()
    };
    kubo = Kubo::with(&daemon.rpc(), options).unwrap_or(kubo);
    conformance::block_store_collected_elsewhere(|| Emptied::new(&kubo));
    match KuboStore::open(kubo).unwrap().sweep().err() {
        Some(StoreError::Unsupported { .. }) => {}
        other => panic!("{other:?}"),
    };
}

/// A store of an owner of its own.
fn owned(kubo: &Kubo, owner: u8) -> KuboStore {
    let mut options = KuboStoreOptions::default();
    options.owner = Owner::from_bytes([owner; 8]);
    KuboStore::open_with(kubo.clone(), options).unwrap()
}

fn user(word: &str) -> Reason {
    Reason::User(Word::new(word).unwrap())
}

#[test]
fn reasons_stand_in_lists_that_anybody_can_read_and_others_keep_theirs() {
    const TEST: &str = "reasons_stand_in_lists_that_anybody_can_read_and_others_keep_theirs";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let kubo = daemon.kubo();
    let (store, copy) = (owned(&kubo, 1), owned(&kubo, 2));
    let cid = raw(b"shared");
    kubo.block_put(&cid, b"shared", false).unwrap();
    kubo.pin_add(&cid, "theirs", Duration::from_secs(2)).unwrap();
    assert_eq!(store.pinned().unwrap(), [], "pins of others are not ours");
    let report = Reason::Report(ReportId::from_bytes([5; 16]));
    for store in [&store, &copy] {
        let session = store.begin().unwrap();
        session.put(&cid, b"shared").unwrap();
        session.commit_for(&cid, report.clone()).unwrap();
    }
    store.pin(&cid, &Keep::now(user("for the audit"))).unwrap();
    let names: Vec<String> = kubo.pins().unwrap().into_iter().map(|pin| pin.name).collect();
    let called = |what: &str| names.iter().filter(|name| name.contains(what)).count();
    assert_eq!((called("report 0505"), called("for the audit"), called("theirs")), (2, 1, 1));
    assert_eq!(
        (called("medledger 0101010101010101 "), called("medledger 0202020202020202 ")),
        (2, 1)
    );
    let reasons: Vec<_> =
        store.pinned().unwrap().remove(0).reasons.into_iter().map(|keep| keep.reason).collect();
    assert_eq!(reasons, [report.clone(), user("for the audit")]);

    // Who lets go lets go of their own.
    assert!(store.release(&cid, &report).unwrap() && !store.release(&cid, &report).unwrap());
    assert_eq!(copy.pinned().unwrap()[0].reasons[0].reason, report);
    assert_eq!(store.release_all().unwrap(), 1);
    assert_eq!((store.pinned().unwrap().len(), copy.pinned().unwrap().len()), (0, 1));
    assert_eq!(copy.release_all().unwrap(), 1);
    assert_eq!(kubo.pin(&cid).unwrap().unwrap().name, "theirs");
}

#[test]
fn a_session_of_many_roots_is_one_pin_and_each_root_goes_by_itself() {
    const TEST: &str = "a_session_of_many_roots_is_one_pin_and_each_root_goes_by_itself";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let kubo = daemon.kubo();
    let store = owned(&kubo, 7);
    let blocks: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; 1000]).collect();
    let keep = |n: usize| Keep::now(Reason::Report(ReportId::from_bytes([n as u8; 16])));
    let session = store.begin().unwrap();
    let mut pins = Vec::new();
    for (n, block) in blocks.iter().enumerate() {
        session.put(&raw(block), block).unwrap();
        pins.push((raw(block), keep(n)));
    }
    session.finish(&pins).unwrap();
    let lists = kubo.pins_called("medledger ").unwrap();
    assert_eq!(lists.len(), 1, "{lists:?}");
    let block = kubo.block_get(&lists[0].root, Reach::Local).unwrap().unwrap();
    assert_eq!(PinList::decode(&block).unwrap().pins(), store.pinned().unwrap());

    // Another process of the same ledger finds them, and takes one away.
    let again = owned(&kubo, 7);
    assert!(again.release(&pins[40].0, &pins[40].1.reason).unwrap());
    assert!(!again.release(&pins[40].0, &pins[40].1.reason).unwrap());
    let left: Vec<_> = store.pinned().unwrap().into_iter().map(|pin| pin.root).collect();
    assert!(left.len() == 99 && !left.contains(&pins[40].0));
    assert_eq!(kubo.pins_called("medledger 0707070707070707 list").unwrap().len(), 1);
    kubo.collect().unwrap();
    for (n, block) in blocks.iter().enumerate() {
        assert_eq!(kubo.block_get(&raw(block), Reach::Local).unwrap().is_some(), n != 40, "{n}");
    }
    assert_eq!(store.list().unwrap().count(), 99 + 1, "the list is not told; an empty folder is");

    // Something that has our name and is no list hurts nobody.
    kubo.pin_add(&raw(&blocks[0]), "medledger 0707070707070707 list", Duration::from_secs(2))
        .unwrap();
    assert_eq!(owned(&kubo, 7).pinned().unwrap().len(), 99);
    assert_eq!(owned(&kubo, 7).release_all().unwrap(), 99);
    assert!(kubo.pin(&raw(&blocks[0])).unwrap().is_some());
}

#[test]
fn a_report_goes_through_one_node_and_is_read_through_another() {
    const TEST: &str = "a_report_goes_through_one_node_and_is_read_through_another";
    let key = "/key/swarm/psk/1.0.0/\n/base16/\n".to_owned() + &"5a".repeat(32) + "\n";
    let Some(one) = Daemon::with(TEST, |_| {}, Some(&key)) else { return };
    let Some(other) = Daemon::with(TEST, |_| {}, Some(&key)) else { return };
    assert_eq!(one.kubo().exposure().unwrap().privacy, Privacy::Private);
    let store = KuboStore::open(one.kubo()).unwrap();
    let mut rng = UnwrapErr(getrandom::SysRng);
    let dek = Dek::generate(&mut rng);
    let job = SealJob {
        backend: Backend::best(),
        dek: &dek,
        context: b"context",
        padding: Padding::Padme,
        profile: Profile::default(),
    };
    let report = bytes(7_000_000);
    let session = store.begin().unwrap();
    let processor = Processor::default();
    let body =
        seal_file(&job, &mut &report[..], &*session, &processor, &mut rng, &mut |_| {}).unwrap();
    session.commit(&body.root).unwrap();

    let peer = one.kubo().id().unwrap();
    let address = peer.addresses.iter().find(|a| a.contains("/tcp/")).unwrap();
    other.kubo().swarm_connect(address).unwrap();
    assert_eq!(other.kubo().swarm_peers().unwrap(), [peer.peer]);
    let reach = Reach::Peers(Duration::from_secs(20));
    let mut options = KuboStoreOptions::default();
    options.reach = reach;
    let elsewhere = KuboStore::open_with(other.kubo(), options).unwrap();
    assert!(!elsewhere.has(&body.root).unwrap(), "not there before it was asked for");
    let file = FileReader::open(&elsewhere, body.root, Some(body.size)).unwrap();
    let mut reader = UnsealReader::new(job.backend, &dek, job.context, file).unwrap();
    let mut read = vec![0; report.len()];
    reader.read_exact(&mut read).unwrap();
    assert!(read == report);
    assert!(elsewhere.has(&body.root).unwrap());

    // A node without the key has no way in.
    let Some(stranger) = Daemon::start(TEST) else { return };
    assert!(stranger.kubo().swarm_connect(address).is_err());
}

#[test]
fn pitfall_10_a_node_that_would_announce_reports_gets_none() {
    const TEST: &str = "pitfall_10_a_node_that_would_announce_reports_gets_none";
    let announce = |config: &mut serde_json::Value| {
        config["Provide"] = json!({"Enabled": true});
        config["Routing"] = json!({"Type": "dhtserver"});
    };
    let Some(daemon) = Daemon::with(TEST, announce, None) else { return };
    let kubo = daemon.kubo();
    match KuboStore::open(kubo.clone()) {
        Err(KuboError::Public { reason }) => assert_eq!(reason.routing, "dhtserver"),
        other => panic!("{other:?}"),
    }
    let findings = kubo.check(false);
    assert!(!findings.is_fit() && findings.findings[0].about == "announces", "{findings:?}");
    // Neither later, when it is opened without asking.
    let store = KuboStore::later(kubo.clone(), KuboStoreOptions::default());
    let error = store.begin().err().expect("refused");
    assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
    assert!(kubo.pins().unwrap().iter().all(|pin| Emptied::is_folder(&pin.root)));
    let mut options = KuboStoreOptions::default();
    options.public = true;
    let store = KuboStore::open_with(kubo, options).unwrap();
    store_file(&store, b"may be public", Profile::default());
}

#[test]
fn a_private_network_may_announce() {
    let announce = |config: &mut serde_json::Value| {
        config["Provide"] = json!({"Enabled": true});
        config["Routing"] = json!({"Type": "dhtserver"});
    };
    let key = "/key/swarm/psk/1.0.0/\n/base16/\n".to_owned() + &"5b".repeat(32) + "\n";
    let Some(daemon) = Daemon::with("a_private_network_may_announce", announce, Some(&key)) else {
        return;
    };
    KuboStore::open(daemon.kubo()).unwrap();
}

/// The blocks of a repository are read where they lie, without the node.
#[test]
fn the_folder_of_a_node_is_read_without_it() {
    let Some(mut daemon) = Daemon::start("the_folder_of_a_node_is_read_without_it") else { return };
    let data = bytes(3_000_000);
    let root = daemon.kubo().add(&data[..], &Profile::V0_2015, true).unwrap();
    daemon.kill();
    let reader = FlatfsReader::open(daemon.repo()).unwrap();
    let report = verify_dag(&reader, root, 1000).unwrap();
    assert!(report.is_complete() && report.blocks > 10, "{report:?}");
    for cid in reader.list().unwrap() {
        reader.get(&cid.unwrap()).unwrap().unwrap();
    }
    let mut out = Vec::new();
    FileReader::open(&reader, root, None).unwrap().read_to_end(&mut out).unwrap();
    assert!(out == data);
}
