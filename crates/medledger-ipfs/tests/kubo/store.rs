//! A node as a store: what every store must do, and what only this one can.

use super::daemon::Daemon;
use super::{bytes, raw, store_file};
use medledger_core::dek::Dek;
use medledger_core::ids::ReportId;
use medledger_core::padding::Padding;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::seal::{Backend, UnsealReader};
use medledger_ipfs::fsck::verify_dag;
use medledger_ipfs::kubo::{Kubo, KuboError, KuboStore, KuboStoreOptions, Privacy, Reach};
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

#[test]
fn reasons_stand_in_the_names_of_pins_beside_those_of_others() {
    let Some(daemon) = Daemon::start("reasons_stand_in_the_names_of_pins_beside_those_of_others")
    else {
        return;
    };
    let kubo = daemon.kubo();
    let store = KuboStore::open(kubo.clone()).unwrap();
    let cid = raw(b"shared");
    let report = Reason::Report(ReportId::from_bytes([5; 16]));
    let session = store.begin().unwrap();
    session.put(&cid, b"shared").unwrap();
    session.commit_for(&cid, report.clone()).unwrap();
    let name = kubo.pin(&cid).unwrap().unwrap().name;
    assert!(name.starts_with("medledger ") && name.contains("report 0505"), "{name}");
    let user = Reason::User(Word::new("for the audit").unwrap());
    store.pin(&cid, &Keep::now(user.clone())).unwrap();
    let pins = store.pinned().unwrap();
    let pin = pins.iter().find(|pin| pin.root == cid).unwrap();
    let reasons: Vec<_> = pin.reasons.iter().map(|keep| keep.reason.clone()).collect();
    assert_eq!(reasons, [report.clone(), user.clone()]);
    assert!(store.release(&cid, &user).unwrap() && !store.release(&cid, &user).unwrap());
    assert!(kubo.pin(&cid).unwrap().is_some());
    assert!(store.release(&cid, &report).unwrap());
    assert_eq!(kubo.pin(&cid).unwrap(), None);

    // What somebody else keeps stays kept when we let go.
    kubo.pin_add(&cid, "theirs", Duration::from_secs(2)).unwrap();
    assert!(!store.release(&cid, &Reason::Untold).unwrap());
    store.pin(&cid, &Keep::now(report.clone())).unwrap();
    assert!(store.release(&cid, &report).unwrap());
    assert!(kubo.pin(&cid).unwrap().unwrap().name.contains("theirs"));
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
