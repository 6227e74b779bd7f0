//! Several back ends together: asked, checked, repaired.

use super::cluster_server::ClusterServer;
use super::service_server::ServiceServer;
use super::*;
use crate::Block;
use crate::http::test_server::Answer;
use crate::store::{BlockRead, BlockStore, Keep, MemoryStore, Reason, StoreError};
use crate::unixfs::{Builder, Profile};
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use medledger_core::clock::Timestamp;
use std::sync::Arc;

const GOAL: Goal = Goal { replicas: 3, backends: 2 };

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(17)
}

/// A cluster of three, two of which keep each root, and two services.
struct Ward {
    cluster: ClusterServer,
    first: ServiceServer,
    second: ServiceServer,
    replication: Replication,
}

fn named(server: &ServiceServer, called: &str) -> Box<dyn PinBackend> {
    let endpoint = Endpoint::new(&server.url(), options(&format!("bearer:{TOKEN}"))).unwrap();
    Box::new(PinningService::new(name(called), endpoint, ServiceOptions::new(Audience::Closed)))
}

fn ward() -> Ward {
    let (cluster, first, second) =
        (ClusterServer::start(3), ServiceServer::start(), ServiceServer::start());
    let spread = Spread::between(2, 2).unwrap();
    let replication = Replication::new(GOAL, PublicPins::Refused)
        .with(Box::new(cluster_as(&cluster, "cluster", spread)))
        .unwrap()
        .with(named(&first, "first"))
        .unwrap()
        .with(named(&second, "second"))
        .unwrap();
    Ward { cluster, first, second, replication }
}

impl Ward {
    /// Adds a root and waits until all is confirmed.
    fn kept(&self, root: Cid) -> Record {
        let mut record = Record::new(root);
        self.replication.add(&mut record, at(1)).unwrap();
        for _ in 0..10 {
            let audit = self.check(&mut record);
            if audit.is_met() && audit.findings.iter().all(|f| matches!(f.verdict, Verdict::Held)) {
                return record;
            }
        }
        panic!("never confirmed");
    }

    fn check(&self, record: &mut Record) -> RootAudit {
        let mut audit = self.replication.check(std::slice::from_mut(record), at(2), &mut rng());
        audit.roots.remove(0)
    }

    fn check_and_repair(&self, record: &mut Record) -> RootRepair {
        let records = std::slice::from_mut(record);
        let audit = self.replication.check(records, at(3), &mut rng());
        self.replication.repair(records, &audit, at(3)).roots.remove(0)
    }
}

fn of<'a>(audit: &'a RootAudit, backend: &str) -> &'a Finding {
    audit.findings.iter().find(|finding| finding.backend.as_str() == backend).unwrap()
}

#[test]
fn as_many_are_asked_as_the_goal_needs() {
    let ward = ward();
    let mut record = Record::new(root(1));
    ward.replication.add(&mut record, at(1)).unwrap();
    let asked: Vec<_> = record.asked().iter().map(|asked| asked.backend.as_str()).collect();
    assert_eq!(asked, ["cluster", "first"]);
    assert_eq!(ward.second.seen().len(), 0);
    // Promised is not confirmed.
    let audit = ward.check(&mut record);
    assert_eq!((audit.replicas(), audit.is_met()), (0, false));
    assert!(matches!(of(&audit, "cluster").verdict, Verdict::Waiting { replicas: 2 }));
    let record = ward.kept(root(2));
    let confirmed = |backend: &str| record.of(&name(backend)).unwrap().confirmed.unwrap().replicas;
    assert_eq!((confirmed("cluster"), confirmed("first")), (2, 1));
    assert_eq!(Record::decode(record.encode().as_bytes()).unwrap(), record);
}

#[test]
fn who_is_out_of_reach_is_replaced_and_stays_asked() {
    let ward = ward();
    ward.cluster.interfere(|_, _| Some(Answer::status(503, "down")));
    let mut record = Record::new(root(1));
    let error = ward.replication.add(&mut record, at(1)).unwrap_err();
    let ReplicationError::Short { replicas, backends, failures, .. } = &error else { panic!() };
    assert_eq!((*replicas, *backends, failures.len()), (2, 2, 1));
    assert!(error.to_string().contains("down") && error.to_string().contains("3 replicas"));
    assert_eq!(record.asked().len(), 3);
    ward.cluster.behave();
    let audit = ward.check(&mut record);
    assert!(matches!(of(&audit, "cluster").verdict, Verdict::Absent), "{audit}");
    assert!(ward.check_and_repair(&mut record).is_met());
}

#[test]
fn pitfall_17_a_provider_that_forgot_is_noticed_and_asked_again() {
    let ward = ward();
    let mut record = ward.kept(root(1));
    let mut other = ward.kept(root(2));
    ward.first.forget(&root(1));
    for _ in 0..2 {
        let audit = ward.check(&mut record);
        let forgot = &of(&audit, "first").verdict;
        assert!(matches!(forgot, Verdict::Forgot { before: 1, now: 0 }), "{audit}");
        assert!(forgot.is_forgotten() && audit.to_string().contains("first: forgotten"));
        assert_eq!((audit.replicas(), audit.backends(), audit.is_met()), (2, 1, false));
    }
    assert!(ward.check(&mut other).is_met(), "what it did not forget");
    let repair = ward.check_and_repair(&mut record);
    assert!(repair.is_met() && repair.asked == [name("first")], "{repair:?}");
    let asked = record.of(&name("first")).unwrap();
    assert_eq!((asked.forgot, asked.at), (1, at(3)), "and it is remembered");
    assert_eq!(asked.confirmed, None, "a promise is no confirmation");
    ward.check(&mut record);
    ward.check(&mut record);
    let audit = ward.check(&mut record);
    assert!(audit.is_met() && matches!(of(&audit, "first").verdict, Verdict::Held), "{audit}");
}

#[test]
fn pitfall_17_a_cluster_that_lost_one_of_its_replicas_is_noticed() {
    let ward = ward();
    let mut record = ward.kept(root(1));
    ward.cluster.set(&root(1), 0, "unexpectedly_unpinned");
    let audit = ward.check(&mut record);
    assert!(matches!(of(&audit, "cluster").verdict, Verdict::Forgot { before: 2, now: 1 }));
    assert_eq!((audit.replicas(), audit.is_met()), (2, false));
    let repair = ward.check_and_repair(&mut record);
    assert!(repair.is_met() && repair.asked == [name("cluster")], "{repair}");
    assert!(ward.cluster.seen().iter().any(|r| r.path().ends_with("/recover")));
    // A peer that cannot do it is an error of that peer, not forgetting.
    ward.check(&mut record);
    ward.check(&mut record);
    assert!(ward.check(&mut record).is_met());
    ward.cluster.set(&root(1), 1, "pin_error");
    let audit = ward.check(&mut record);
    let Verdict::Failed { detail } = &of(&audit, "cluster").verdict else { panic!("{audit}") };
    assert!(detail.as_ref().unwrap().contains("context deadline exceeded"));
}

/// Asked again and forgotten again: each time counts once, and what was confirmed long ago no more.
#[test]
fn pitfall_17_who_forgets_again_and_again_is_known_by_that() {
    let ward = ward();
    let mut record = ward.kept(root(1));
    for times in 1..4 {
        ward.first.forget(&root(1));
        ward.check_and_repair(&mut record);
        assert_eq!(record.of(&name("first")).unwrap().forgot, times);
        for _ in 0..3 {
            ward.check(&mut record);
        }
    }
    ward.first.forget(&root(1));
    ward.check_and_repair(&mut record);
    ward.first.forget(&root(1));
    let audit = ward.check(&mut record);
    assert!(matches!(of(&audit, "first").verdict, Verdict::Absent), "{audit}");
    assert_eq!(record.of(&name("first")).unwrap().forgot, 4);
}

#[test]
fn pitfall_17_what_cannot_be_mended_with_one_is_asked_of_another() {
    let ward = ward();
    let mut record = ward.kept(root(1));
    // The account is closed, and everything with it.
    ward.first.forget(&root(1));
    ward.first.interfere(|request, _| {
        let body = r#"{"error":{"reason":"ACCOUNT_CLOSED"}}"#;
        (request.method == "POST").then(|| Answer::status(402, body))
    });
    let repair = ward.check_and_repair(&mut record);
    assert!(repair.is_met() && repair.asked == [name("second")], "{repair}");
    assert!(repair.to_string().contains("ACCOUNT_CLOSED"));
    ward.check(&mut record);
    ward.check(&mut record);
    assert!(ward.check(&mut record).is_met());
    // And when that one shuts down as well, it is said that there are too few.
    ward.second.forget(&root(1));
    ward.second.interfere(|_, _| Some(Answer::status(401, "")));
    let audit = ward.check(&mut record);
    assert!(matches!(of(&audit, "second").verdict, Verdict::Unusable(_)), "{audit}");
    let repair = ward.check_and_repair(&mut record);
    assert!(!repair.is_met() && repair.to_string().contains("wanted 3 replicas"), "{repair}");
}

#[test]
fn pitfall_17_an_outage_is_not_forgetting_and_changes_no_record() {
    let ward = ward();
    let mut record = ward.kept(root(1));
    let before = record.clone();
    ward.first.interfere(|_, _| Some(Answer::status(502, "")));
    ward.cluster.interfere(|_, _| Some(Answer::Closed));
    let audit = ward.check(&mut record);
    for backend in ["first", "cluster"] {
        assert!(matches!(of(&audit, backend).verdict, Verdict::Unreachable(_)), "{audit}");
    }
    assert_eq!((audit.replicas(), &record), (0, &before));
    ward.first.behave();
    ward.cluster.behave();
    assert!(ward.check(&mut record).is_met());
}

#[test]
fn pitfall_17_who_is_no_back_end_any_more_counts_no_more() {
    let ward = ward();
    let mut record = ward.kept(root(1));
    let left = Replication::new(GOAL, PublicPins::Refused).with(named(&ward.first, "first"));
    let left = left.unwrap();
    let audit = left.check(std::slice::from_mut(&mut record), at(5), &mut rng());
    let [found] = &audit.roots[..] else { panic!() };
    assert!(matches!(of(found, "cluster").verdict, Verdict::NotSetUp));
    assert_eq!((found.replicas(), audit.short().count()), (1, 1));
    let repair = left.repair(std::slice::from_mut(&mut record), &audit, at(5));
    assert_eq!(repair.short().count(), 1);
    let removal = left.remove(&mut record);
    assert_eq!((removal.removed, removal.not_set_up), (vec![name("first")], vec![name("cluster")]));
}

#[test]
fn giving_up_is_done_when_no_one_keeps_it_any_more() {
    let ward = ward();
    let mut record = ward.kept(root(1));
    ward.first.interfere(|_, _| Some(Answer::status(503, "")));
    let removal = ward.replication.remove(&mut record);
    assert!(!removal.is_done() && removal.removed == [name("cluster")], "{removal:?}");
    assert_eq!(record.asked().len(), 1, "who could not be asked is asked the next time");
    ward.first.behave();
    ward.first.forget(&root(1));
    let removal = ward.replication.remove(&mut record);
    assert!(removal.is_done() && removal.not_there == [name("first")], "{removal:?}");
    assert!(record.asked().is_empty() && ward.cluster.state().pins.is_empty());
}

#[test]
fn pins_that_no_record_knows_of_are_found() {
    let ward = ward();
    let records = [ward.kept(root(1))];
    ward.kept(root(2));
    ward.second.interfere(|_, _| Some(Answer::status(503, "")));
    let found = ward.replication.unrecorded(&records, 9);
    let lists: Vec<_> =
        found.iter().map(|(name, list)| (name.as_str(), list.as_ref().ok())).collect();
    let lost = vec![root(2)];
    assert_eq!(lists, [("cluster", Some(&lost)), ("first", Some(&lost)), ("second", None)]);
    // A record that knows of another back end only is no record for this one.
    let lists = ward.replication.unrecorded(&[Record::new(root(1))], 9);
    assert_eq!(lists[0].1.as_ref().unwrap().len(), 2);
}

#[test]
fn public_back_ends_have_to_be_allowed() {
    let server = ServiceServer::start();
    let public = || {
        let endpoint = Endpoint::new(&server.url(), options("bearer:x")).unwrap();
        let options = ServiceOptions::new(Audience::Public);
        Box::new(PinningService::new(name("public"), endpoint, options))
    };
    let refusing = Replication::new(GOAL, PublicPins::Refused);
    let error = refusing.with(public()).unwrap_err();
    assert!(matches!(error, ReplicationError::Public(_)) && error.to_string().contains("public"));
    let allowing = Replication::new(GOAL, PublicPins::Allowed).with(public()).unwrap();
    assert_eq!(allowing.backends().next().unwrap().audience(), Audience::Public);
    let error = allowing.with(named(&server, "public")).unwrap_err();
    assert!(matches!(error, ReplicationError::SameName(_)));
    assert_eq!(server.seen().len(), 0, "nothing was sent to anyone");
}

/// Reads from a store as a back end's gateway would, and lies as told.
#[derive(Clone)]
struct Gateway {
    store: Arc<MemoryStore>,
    broken: bool,
    swapped: Option<(Cid, Block)>,
}

impl BlockRead for Gateway {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        match &self.swapped {
            _ if self.broken => {
                let source = "no connection".into();
                Err(StoreError::Backend { store: "gateway".into(), source })
            }
            Some((swapped, block)) if swapped == cid => Ok(Some(block.clone())),
            _ => self.store.get(cid),
        }
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.get(cid).map(|block| block.is_some())
    }
}

#[test]
fn pitfall_17_a_provider_that_says_pinned_is_asked_to_show_it() {
    let store = Arc::new(MemoryStore::new());
    let session = store.begin().unwrap();
    let mut leaves = Vec::new();
    let mut sink = |cid: &Cid, block: &[u8]| {
        leaves.push(*cid);
        session.put(cid, block)
    };
    let mut builder = Builder::new(Profile::V1_2025);
    for i in 0..8u8 {
        builder.write(&vec![i; 1 << 20], &mut sink).unwrap();
    }
    let file = builder.finish(&mut sink).unwrap().cid;
    session.finish(&[(file, Keep::now(Reason::Untold))]).unwrap();
    assert_eq!(leaves.len(), 9);

    let server = ServiceServer::start();
    server.state().looks = 0;
    let check = |source: Gateway, samples: u32| {
        let goal = Goal { replicas: 1, backends: 1 };
        let replication = Replication::new(goal, PublicPins::Refused);
        let replication =
            replication.with_proof(named(&server, "service"), Box::new(source), samples).unwrap();
        let mut record = Record::new(file);
        replication.add(&mut record, at(1)).unwrap();
        let records = std::slice::from_mut(&mut record);
        // The first look sees it queued.
        replication.check(records, at(1), &mut rng());
        let mut audit = replication.check(records, at(1), &mut rng());
        let repair = replication.repair(records, &audit, at(2));
        let found = audit.roots.remove(0);
        assert_eq!(found.is_met(), found.replicas() == 1);
        assert_eq!(found.is_met(), repair.short().count() == 0, "the same words mend nothing");
        found.findings.into_iter().next().unwrap().verdict
    };
    let honest = Gateway { store: Arc::clone(&store), broken: false, swapped: None };
    assert!(matches!(check(honest.clone(), 50), Verdict::Held));
    let broken = Gateway { broken: true, ..honest.clone() };
    let verdict = check(broken, 1);
    assert!(matches!(verdict, Verdict::Unproven(ProofError::Unreadable(_))), "{verdict}");
    // One wrong leaf in eight is not missed by fifty samples with this seed.
    let swapped = Some((leaves[3], Block::from(&b"other"[..])));
    let verdict = check(Gateway { swapped, ..honest.clone() }, 50);
    let Verdict::Unproven(ProofError::Wrong(cid)) = verdict else { panic!("{verdict}") };
    assert_eq!(cid, leaves[3]);
    store.unpin(&file).unwrap();
    store.delete(&leaves[6]).unwrap();
    let verdict = check(honest.clone(), 50);
    assert!(matches!(verdict, Verdict::Unproven(ProofError::Missing(cid)) if cid == leaves[6]));
    store.delete(&file).unwrap();
    let verdict = check(honest.clone(), 1);
    assert!(matches!(verdict, Verdict::Unproven(ProofError::Missing(cid)) if cid == file));
    assert!(matches!(check(honest, 0), Verdict::Held), "by its word alone");
}
