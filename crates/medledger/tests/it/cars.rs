//! Reports and chains as CAR files: out of one ledger, into another, and nothing that is not whole.

use crate::support::{World, open, options, world, world_with};
use medledger::core::block::Block;
use medledger::core::chain::BlockError;
use medledger::core::engine::OrderError;
use medledger::core::finality::AcceptError;
use medledger::core::follow::FollowError;
use medledger::core::store::{Standing, StoreError};
use medledger::ipfs::car::{CarError, CarReader, CarWriter, DagFault, IndexedCar, ReadOptions};
use medledger::ipfs::{BlockRead, Cid, cid::Codec};
use medledger::{
    EngineChoice, ExportError, Finding, ImportError, ImportStep, Key, Ledger, OpenReportError,
    Role, VerifyDepth,
};
use std::io::Cursor;
use std::path::Path;

fn findings(ledger: &Ledger) -> Vec<Finding> {
    ledger.verify(VerifyDepth::Full).unwrap().findings
}

fn chain_car(ledger: &Ledger, reports: bool) -> Vec<u8> {
    let mut car = Vec::new();
    let exported = ledger.export_chain(&mut car, reports, &mut |_, _| {}).unwrap();
    assert_eq!(exported.bytes, car.len() as u64);
    car
}

fn report_car(w: &World, report: &medledger::ReportId) -> Vec<u8> {
    let mut car = Vec::new();
    let exported = w.ledger.export_report(report, &mut car).unwrap();
    assert_eq!(exported.bytes, car.len() as u64);
    car
}

fn import(ledger: &Ledger, car: &[u8]) -> Result<medledger::ImportedChain, ImportError> {
    ledger.import_chain(car, &mut |_| {})
}

fn cids(car: &[u8]) -> Vec<Cid> {
    let mut reader = CarReader::new(car).unwrap();
    let mut cids = Vec::new();
    while let Some((cid, _)) = reader.next_block().unwrap() {
        cids.push(cid);
    }
    cids
}

/// A copy of a ledger's folder, as a backup has it.
fn backup(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            backup(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_report_whose_blocks_are_gone_is_healed_by_its_car_and_opens_again() {
    let w = world();
    let bytes = b"plainly readable text ".repeat(150_000);
    let (uploaded, key) = w.upload(&bytes);
    let car = report_car(&w, &uploaded.report);
    assert!(!car.windows(22).any(|part| part == b"plainly readable text "));
    let open_all = || -> Result<Vec<u8>, OpenReportError> {
        w.ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&key))?.to_vec()
    };
    let blocks = w.ledger.blocks();
    let all = cids(&car);
    assert!(all.len() >= 6, "an envelope, a node, and a leaf a MiB");
    assert!(blocks.unpin(&all[0]).unwrap());
    for cid in &all {
        assert!(blocks.delete(cid).unwrap());
    }
    assert!(matches!(open_all(), Err(OpenReportError::Missing(_))));
    assert!(!findings(&w.ledger).is_empty());

    let mut told = 0;
    let imported = w
        .ledger
        .import_report(&car[..], &mut |step| {
            if let ImportStep::Read { bytes } = step {
                told = bytes;
            }
        })
        .unwrap();
    assert_eq!((imported.reports, imported.blocks), (vec![uploaded.report], all.len() as u64));
    assert_eq!(told, car.len() as u64);
    assert_eq!(open_all().unwrap(), bytes);
    assert!(findings(&w.ledger).is_empty(), "{:?}", findings(&w.ledger));
    assert!(blocks.pins().unwrap().contains(&all[0]));
    assert_eq!(report_car(&w, &uploaded.report), car, "the same bytes again");
}

#[test]
fn pitfall_16_cars_that_are_cut_changed_or_foreign_bring_nothing() {
    let w = world();
    let (uploaded, _) = w.upload(&[7; 2_000_000]);
    let car = report_car(&w, &uploaded.report);
    let other = world();
    let before: Vec<_> = other.ledger.blocks().list().unwrap().collect();
    // A report of another ledger is none of ours, however whole.
    let error = other.ledger.import_report(&car[..], &mut |_| {}).unwrap_err();
    assert!(matches!(error, ImportError::UnknownReport { root } if root == cids(&car)[0]));
    assert_eq!(other.ledger.blocks().list().unwrap().count(), before.len());
    assert!(matches!(
        other.ledger.export_report(&uploaded.report, Vec::new()),
        Err(ExportError::UnknownReport(report)) if report == uploaded.report
    ));

    for cid in cids(&car) {
        w.ledger.blocks().unpin(&cid).unwrap();
        w.ledger.blocks().delete(&cid).unwrap();
    }
    let mut changed = car.clone();
    changed[1_500_000] ^= 1;
    let broken = |car: &[u8]| w.ledger.import_report(car, &mut |_| {}).unwrap_err();
    assert!(matches!(broken(&changed), ImportError::Car(CarError::Mismatch { .. })));
    let cut = broken(&car[..car.len() - 1]);
    assert!(matches!(cut, ImportError::Car(CarError::Truncated { .. })));
    let longer = [&car[..], &[0]].concat();
    assert!(matches!(broken(&longer), ImportError::Car(CarError::SectionTooShort { .. })));
    assert!(matches!(broken(b"%PDF-1.7"), ImportError::Car(_)));
    assert!(w.ledger.blocks().pins().unwrap().is_empty());
    let lost = w.ledger.export_report(&uploaded.report, Vec::new());
    assert!(matches!(lost, Err(ExportError::Report { report, .. }) if report == uploaded.report));
    w.ledger.import_report(&car[..], &mut |_| {}).unwrap();
    assert!(findings(&w.ledger).is_empty());
}

#[test]
fn a_follower_has_the_whole_chain_verified_and_goes_on_with_later_cars() {
    let w = world();
    let (uploaded, _) = w.upload(b"one report");
    let car = chain_car(&w.ledger, false);
    assert!(!cids(&car).contains(&uploaded.envelope), "a chain drags no report along");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("follower");
    let chain = w.ledger.chain();
    let mut heights = Vec::new();
    let (follower, done) = Ledger::follow(&folder, &chain, &car[..], &mut |step| {
        if let ImportStep::Block { height, .. } = step {
            heights.push(height);
        }
    })
    .unwrap();
    let tip = |ledger: &Ledger| ledger.view().unwrap().tip().unwrap().unwrap();
    assert_eq!(tip(&follower), tip(&w.ledger));
    assert_eq!(heights, (1..=tip(&w.ledger).height).collect::<Vec<_>>());
    assert_eq!((done.chain, done.height), (chain, tip(&w.ledger).height));
    assert_eq!((done.added, done.finalized), (done.height, done.height + 1));
    assert!(follower.is_follower() && !w.ledger.is_follower());
    assert!(findings(&follower).is_empty(), "{:?}", findings(&follower));
    // It proves what the hospital proves, byte for byte.
    let receipt = follower.receipt(&uploaded.record).unwrap();
    assert_eq!(receipt.encode(), w.ledger.receipt(&uploaded.record).unwrap().encode());
    receipt.check(&chain).unwrap();
    assert_eq!(chain_car(&follower, false), car, "and exports what it was made from");

    // It takes no records.
    let refused = follower.upload(&w.doctor, &w.patient.id(), &b"x"[..]).unwrap_err();
    assert!(matches!(refused, medledger::UploadError::Store(StoreError::Follower)), "{refused:?}");
    assert!(matches!(follower.mine(), Err(OrderError::NoMiningKey)));
    assert_eq!(tip(&follower), tip(&w.ledger));

    w.upload(b"another report");
    let later = chain_car(&w.ledger, true);
    let done = import(&follower, &later).unwrap();
    assert_eq!((done.added, done.records, done.reports), (1, 1, 2));
    assert_eq!(tip(&follower), tip(&w.ledger));
    assert!(findings(&follower).is_empty());
    assert_eq!(follower.verify(VerifyDepth::Full).unwrap().reports, 2, "ciphertext came along");
    assert_eq!(chain_car(&follower, true), later);
    // Again, and an older one: nothing to do.
    for car in [&later, &car] {
        let done = import(&follower, car).unwrap();
        assert_eq!((done.added, done.height), (0, tip(&w.ledger).height));
    }
    drop(follower);
    assert!(findings(&Ledger::open(&folder).unwrap()).is_empty());
    let left = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("import-")));
}

#[test]
fn pitfall_28_a_restored_backup_catches_up_and_its_waiting_records_are_mined_once() {
    let w = world();
    let uploaded = w.ledger.upload(&w.doctor, &w.patient.id(), &b"waits"[..]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("backup");
    backup(&w.folder, &folder);
    w.ledger.wait_mined(&uploaded.record).unwrap();
    w.add(Role::Doctor, "Dr Bob");
    let car = chain_car(&w.ledger, false);

    let restored = open(&folder, &w.clock);
    assert_eq!(restored.waiting().unwrap(), 1);
    let done = import(&restored, &car).unwrap();
    assert_eq!((done.added, done.records), (2, 2));
    assert_eq!(restored.waiting().unwrap(), 0);
    let view = restored.view().unwrap();
    let standing = view.record(&uploaded.record).unwrap().unwrap().standing;
    assert!(matches!(standing, Standing::Mined { .. }));
    drop(view);
    // Of a member who was registered after the backup, the name is lost with the database.
    let nameless = |found: &[Finding]| matches!(found, [Finding::NoContact { .. }]);
    assert!(nameless(&findings(&restored)), "{:?}", findings(&restored));
    // And goes on where the other one stopped.
    let more = restored.upload(&w.doctor, &w.patient.id(), &b"more"[..]).unwrap();
    restored.wait_mined(&more.record).unwrap();
    assert!(nameless(&findings(&restored)));
    let car = chain_car(&restored, false);
    assert_eq!(import(&w.ledger, &car).unwrap().added, 1);

    // Both go on by themselves: that is no question for an import.
    let height = done.height + 2;
    let report = |ledger: &Ledger, text: &[u8]| {
        let uploaded = ledger.upload(&w.doctor, &w.patient.id(), text).unwrap();
        ledger.wait_mined(&uploaded.record).unwrap();
    };
    report(&w.ledger, b"here");
    report(&restored, b"there");
    report(&restored, b"and there");
    let before = w.ledger.view().unwrap().tip().unwrap();
    for (ledger, other) in [(&w.ledger, &restored), (&restored, &w.ledger)] {
        let error = import(ledger, &chain_car(other, false)).unwrap_err();
        assert!(matches!(error, ImportError::Forked { height: at } if at == height), "{error:?}");
        // One hospital signed both histories, the longer and the shorter: that is kept, once.
        let _ = import(ledger, &chain_car(other, false)).unwrap_err();
        let kept = ledger.evidence().unwrap();
        let [evidence] = &kept[..] else { panic!("{kept:?}") };
        let misconduct = ledger.check_evidence(evidence).unwrap();
        assert_eq!(misconduct.hospitals, [w.hospital.id().to_string()]);
    }
    assert_eq!(w.ledger.view().unwrap().tip().unwrap(), before);
}

#[test]
fn other_chains_and_used_folders_are_refused() {
    let (w, other) = (world(), world());
    let car = chain_car(&other.ledger, false);
    let error = import(&w.ledger, &car).unwrap_err();
    assert!(matches!(error, ImportError::OtherChain { found, expected }
        if found == other.ledger.chain() && expected == w.ledger.chain()));
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("follower");
    let follow = |car: &[u8]| Ledger::follow(&folder, &w.ledger.chain(), car, &mut |_| {});
    assert!(matches!(follow(&car), Err(ImportError::OtherChain { .. })));
    let (uploaded, _) = w.upload(b"x");
    let report = report_car(&w, &uploaded.report);
    assert!(matches!(follow(&report), Err(ImportError::NotABlock { .. })));
    assert!(matches!(follow(b"junk"), Err(ImportError::Car(_))));
    assert!(!folder.exists(), "nothing is left behind");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a"), "b").unwrap();
    assert!(matches!(follow(&chain_car(&w.ledger, false)), Err(ImportError::Create(_))));
    // A chain's CAR is no report's.
    let error = w.ledger.import_report(&car[..], &mut |_| {}).unwrap_err();
    assert!(matches!(error, ImportError::UnknownReport { .. }));
}

#[test]
fn a_log_without_work_is_followed_alike() {
    let mut options = options();
    options.engine = EngineChoice::Log;
    let w = world_with(options);
    let dir = tempfile::tempdir().unwrap();
    let car = chain_car(&w.ledger, false);
    let folder = dir.path().join("follower");
    let (follower, _) = Ledger::follow(folder, &w.ledger.chain(), &car[..], &mut |_| {}).unwrap();
    assert!(findings(&follower).is_empty());
}

/// What an attacker may do to a chain's CAR: everything but forge a hash, a signature or work.
struct Forge {
    nodes: Vec<(Cid, Vec<u8>)>,
    note: Vec<u8>,
}

impl Forge {
    fn of(car: &[u8]) -> Self {
        let indexed =
            IndexedCar::open(Cursor::new(car.to_vec()), ReadOptions::default(), &mut |_| {})
                .unwrap();
        let get = |cid: &Cid| indexed.get(cid).unwrap().unwrap().to_vec();
        let note = get(&indexed.roots()[1]);
        let nodes = cids(car)
            .iter()
            .filter(|c| c.codec() == Codec::DagCbor)
            .map(|c| (*c, get(c)))
            .collect();
        Self { nodes, note }
    }

    /// The newest block, its node and pages taken away.
    fn pop(&mut self) -> Block {
        let nodes: std::collections::BTreeMap<_, _> = self.nodes.iter().cloned().collect();
        let block = Block::from_nodes(&self.nodes[0].1, |cid| nodes.get(cid).cloned()).unwrap();
        let parent = block.descriptor.parent;
        let at = self.nodes.iter().position(|(cid, _)| *cid == parent).unwrap();
        self.nodes.drain(..at);
        block
    }

    fn push(&mut self, block: &Block) {
        let made = block.to_nodes();
        let new = std::iter::once(made.root).chain(made.pages);
        self.nodes.splice(0..0, new);
    }

    fn car(&self, note: Option<&[u8]>) -> Vec<u8> {
        let mut roots = vec![self.nodes[0].0];
        let note = note.map(|note| (Cid::of(Codec::Raw, note), note));
        roots.extend(note.map(|(cid, _)| cid));
        let mut writer = CarWriter::new(Vec::new(), &roots).unwrap();
        for (cid, bytes) in &self.nodes {
            writer.put(cid, bytes).unwrap();
        }
        if let Some((cid, note)) = note {
            writer.put(&cid, note).unwrap();
        }
        writer.finish().unwrap().0
    }
}

#[test]
fn pitfall_16_forged_chains_are_refused_with_the_rule_they_break() {
    let w = world();
    let older = chain_car(&w.ledger, false);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("follower");
    let (follower, _) =
        Ledger::follow(&folder, &w.ledger.chain(), &older[..], &mut |_| {}).unwrap();
    w.upload(b"one");
    w.upload(b"two");
    let car = chain_car(&w.ledger, false);
    let honest = Forge::of(&car);
    assert_eq!(honest.car(Some(&honest.note)), car);
    let before = follower.view().unwrap().tip().unwrap();
    let refused = |car: &[u8]| {
        let error = import(&follower, car).unwrap_err();
        assert_eq!(follower.view().unwrap().tip().unwrap(), before, "{error}");
        error
    };

    // The end cut off, with no checkpoint, the old one, or the one of the whole chain.
    let mut cut = Forge::of(&car);
    cut.pop();
    let older_note = Forge::of(&older).note;
    assert!(matches!(refused(&cut.car(None)), ImportError::NotFinal { .. }));
    assert!(matches!(refused(&cut.car(Some(&older_note))), ImportError::NotFinal { .. }));
    let error = refused(&cut.car(Some(&honest.note)));
    assert!(matches!(error, ImportError::Checkpoint(AcceptError::Ahead { .. })), "{error:?}");
    let noise = refused(&honest.car(Some(b"no note")));
    assert!(matches!(noise, ImportError::Checkpoint(AcceptError::Note(_))));
    let other = world();
    other.upload(b"x");
    let foreign = refused(&honest.car(Some(&Forge::of(&chain_car(&other.ledger, false)).note)));
    assert!(matches!(foreign, ImportError::Checkpoint(AcceptError::Finality(_))));

    // A block changed: its signature, its records, its work.
    let changed = |change: &dyn Fn(&mut Block)| {
        let mut forged = Forge::of(&car);
        let mut block = forged.pop();
        change(&mut block);
        forged.push(&block);
        match refused(&forged.car(Some(&forged.note))) {
            ImportError::Follow(FollowError::Rule { error, .. }) => error,
            other => panic!("{other:?}"),
        }
    };
    let below = {
        let mut forged = Forge::of(&car);
        forged.pop();
        forged.pop().signature
    };
    let error = changed(&|block| block.signature = below);
    assert!(matches!(error, BlockError::Signature(_)), "{error}");
    assert!(matches!(changed(&|block| block.records.clear()), BlockError::Root { .. }));
    let error = changed(&|block| block.header.time += 1);
    assert!(matches!(error, BlockError::Header(_) | BlockError::Signature(_)), "{error}");
    assert!(matches!(
        changed(&|block| block.descriptor.height += 1),
        BlockError::Descriptor { .. }
    ));

    // A report that no record names.
    let mut writer = CarWriter::new(
        Vec::new(),
        &[honest.nodes[0].0, Cid::of(Codec::Raw, &honest.note), Cid::of(Codec::DagCbor, &[0xa0])],
    )
    .unwrap();
    for (cid, bytes) in &honest.nodes {
        writer.put(cid, bytes).unwrap();
    }
    writer.put(&Cid::of(Codec::Raw, &honest.note), &honest.note).unwrap();
    writer.put(&Cid::of(Codec::DagCbor, &[0xa0]), &[0xa0]).unwrap();
    let stray = writer.finish().unwrap().0;
    assert!(matches!(refused(&stray), ImportError::UnknownReport { .. }));
    // Cut in the middle of the file.
    let error = refused(&car[..car.len() / 2]);
    assert!(matches!(
        error,
        ImportError::Car(CarError::Truncated { .. } | CarError::Dag(DagFault::Missing { .. }))
    ));
    assert_eq!(import(&follower, &car).unwrap().added, 2, "the honest one is taken");
    assert!(findings(&follower).is_empty());
}

#[test]
fn a_ledger_open_for_reading_exports_and_takes_nothing() {
    let w = world();
    let (uploaded, _) = w.upload(b"x");
    let car = chain_car(&w.ledger, true);
    let report = report_car(&w, &uploaded.report);
    let reader = Ledger::open_read_only(&w.folder).unwrap();
    assert_eq!(chain_car(&reader, true), car);
    assert!(reader.import_report(&report[..], &mut |_| {}).is_err());
    assert!(matches!(import(&reader, &car), Err(ImportError::Store(StoreError::ReadOnly))));
}

/// A chain of two hospitals: its genesis, and what one of them makes of it.
struct Branch {
    rules: medledger::core::chain::Rules,
    store: medledger::core::memory::MemoryStore,
    engine: medledger::core::engine::PowEngine,
}

impl Branch {
    fn of(hospital: usize) -> Self {
        use medledger::core::engine::{MiningKey, PowEngine};
        use medledger::core::genesis::{Consensus, Founder, Genesis};
        use medledger::core::identity::Identity;
        use medledger::core::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
        use medledger::core::pow::{Inline, Outcome, Schedule, Target, mine};
        use medledger::core::store::Store;
        let identity = |seed: u8| {
            let hpke = HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[seed; 32]);
            Identity::from_keys(SigningKey::from_seed(&[seed; 32]), hpke)
        };
        let mining = |seed: u8| SigningKey::from_seed(&[seed ^ 0xff; 32]);
        let founder = |seed: u8| Founder {
            identity: identity(seed).public().clone(),
            mining: mining(seed).verifying_key(),
        };
        let work = Consensus::Work(Schedule::fixed(Target::from_expected_tries(2)));
        let mut genesis = Genesis::single(founder(1), work);
        genesis.founders.push(founder(2));
        let start = medledger::core::clock::Timestamp::from_secs(1_700_000_000);
        let header = medledger::core::chain::Rules::genesis_header(&genesis, start);
        let (cancel, tried) = (Default::default(), Default::default());
        let mined = mine(&header, &mut |_| unreachable!(), &Inline, &cancel, &tried);
        let Ok(Outcome::Found { header, .. }) = mined else { panic!("{mined:?}") };
        let rules = medledger::core::chain::Rules::new(&header, genesis).unwrap();
        let store = medledger::core::memory::MemoryStore::new();
        let mut unit = store.unit().unwrap();
        medledger::core::follow::found(unit.as_mut(), &rules, &header).unwrap();
        unit.commit().unwrap();
        let seed = [1, 2][hospital];
        let key = MiningKey { hospital: identity(seed).id(), key: mining(seed) };
        let engine = PowEngine::new(rules.clone(), Some(key));
        Self { rules, store, engine }
    }

    fn grow(&self, blocks: usize) {
        use medledger::core::engine::{Engine, OrderJob};
        let (cancel, tried) = (Default::default(), Default::default());
        let job = OrderJob {
            clock: &medledger::SystemClock,
            workers: &medledger::core::pow::Inline,
            cancel: &cancel,
            tried: &tried,
            empty: true,
        };
        for _ in 0..blocks {
            self.engine.order(&self.store, &job).unwrap().unwrap();
        }
    }

    fn tip(&self) -> medledger::core::store::StoredBlock {
        use medledger::core::store::Store;
        self.store.view().unwrap().tip().unwrap().unwrap()
    }

    fn car(&self) -> Vec<u8> {
        use medledger::core::store::Store;
        let view = self.store.view().unwrap();
        let tip = self.tip();
        let mut writer = CarWriter::new(Vec::new(), &[tip.node]).unwrap();
        for height in (1..=tip.height).rev() {
            let stored = view.block(height).unwrap().unwrap();
            let block = medledger::core::replay::block(view.as_ref(), &stored).unwrap();
            let nodes = block.to_nodes();
            for (cid, bytes) in std::iter::once(nodes.root).chain(nodes.pages) {
                writer.put(&cid, &bytes).unwrap();
            }
        }
        let header = view.block(0).unwrap().unwrap().signed.header;
        let (cid, bytes) = medledger::core::block::genesis_node(&header, &self.rules.genesis);
        writer.put(&cid, &bytes).unwrap();
        writer.finish().unwrap().0
    }
}

#[test]
fn of_two_branches_that_are_not_final_the_one_with_more_work_is_taken() {
    let (ours, theirs) = (Branch::of(0), Branch::of(1));
    ours.grow(2);
    theirs.grow(1);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("follower");
    let follow = |car: &[u8]| Ledger::follow(&folder, &ours.rules.chain, car, &mut |_| {});
    let (ledger, _) = follow(&ours.car()).unwrap();
    let error = import(&ledger, &theirs.car()).unwrap_err();
    assert!(matches!(error, ImportError::Forked { height: 1 }), "{error}");
    assert_eq!(ledger.view().unwrap().tip().unwrap().unwrap().id, ours.tip().id);
    theirs.grow(2);
    let done = import(&ledger, &theirs.car()).unwrap();
    assert_eq!((done.added, done.removed, done.height), (3, 2, 3));
    assert_eq!(ledger.view().unwrap().tip().unwrap().unwrap().id, theirs.tip().id);
    assert!(findings(&ledger).is_empty(), "{:?}", findings(&ledger));
    // And back, when the first branch has grown.
    ours.grow(2);
    assert_eq!(import(&ledger, &ours.car()).unwrap().removed, 3);
    drop(ledger);
    let ledger = Ledger::open(&folder).unwrap();
    assert_eq!(ledger.view().unwrap().tip().unwrap().unwrap().id, ours.tip().id);
    assert!(findings(&ledger).is_empty(), "{:?}", findings(&ledger));
}
