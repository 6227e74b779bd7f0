//! Backups, older databases put back, pruning, and what the fast check finds.

use crate::support::{World, copy, options, world, world_with};
use medledger::core::engine::OrderError;
use medledger::core::store::{Drawer, StoreError};
use medledger::{
    Backup, BackupError, EngineChoice, Finding, Ledger, OpenError, OpenOptions, PruneError,
    VerifyDepth,
};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

fn back_up(world: &World, name: &str) -> (std::path::PathBuf, Backup) {
    let to = world.folder.with_file_name(name);
    let done = world.ledger.backup(&to, &mut |_, _| {}).unwrap();
    (to, done)
}

/// A log, so that blocks cost nothing.
fn log() -> World {
    let mut options = options();
    options.engine = EngineChoice::Log;
    world_with(options)
}

fn behind(error: &OpenError) -> Option<(u64, String, u64)> {
    match error {
        OpenError::Store(StoreError::Behind { known, id, here }) => {
            Some((*known, id.to_string(), *here))
        }
        _ => None,
    }
}

#[test]
fn a_backup_made_while_others_write_is_whole_and_has_no_node_key() {
    let world = world();
    let (uploaded, key) = world.upload(b"before");
    let (stop, started) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut pages = Vec::new();
    let to = world.folder.with_file_name("backup");
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                world.upload(b"meanwhile");
                started.store(true, Ordering::Relaxed);
            }
        });
        while !started.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        // Through a handle of its own, as another process does.
        let reader = Ledger::open_read_only(&world.folder).unwrap();
        let done = reader.backup(&to, &mut |done, of| pages.push((done, of)));
        stop.store(true, Ordering::Relaxed);
        done.unwrap()
    });
    let last = *pages.last().unwrap();
    assert!(last.0 == last.1 && last.1 > 10, "{pages:?}");
    assert!(done.files > 3 && done.database > 40_000, "{done:?}");
    assert!(!to.join("node.key").exists() && !to.join("head").exists());
    let error = Ledger::open(&to).unwrap_err();
    assert!(matches!(error, OpenError::NodeKey(_)), "{error:?}");
    // With the key from where it is kept, it is the ledger as it was then.
    fs::copy(world.folder.join("node.key"), to.join("node.key")).unwrap();
    let copy = Ledger::open(&to).unwrap();
    let verified = copy.verify(VerifyDepth::Full).unwrap();
    assert!(verified.findings.is_empty(), "{:?}", verified.findings);
    assert_eq!(verified.blocks, done.height + 1);
    assert_eq!(copy.view().unwrap().tip().unwrap().unwrap().id, done.head);
    let here = world.ledger.view().unwrap().block(done.height).unwrap().unwrap();
    assert_eq!(here.id, done.head);
    let mut opened =
        copy.open_report(&world.patient, &uploaded.report, &medledger::Key::Access(&key)).unwrap();
    assert_eq!(opened.to_vec().unwrap(), b"before");
    // And nothing is written over.
    let error = world.ledger.backup(&to, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, BackupError::Folder(_)), "{error:?}");
}

#[test]
fn pitfall_28_an_older_database_put_back_is_not_written_to() {
    let world = world();
    world.upload(b"one");
    let (backup, done) = back_up(&world, "backup");
    let (uploaded, _) = world.upload(b"two");
    let receipt = world.ledger.receipt(&uploaded.record).unwrap();
    let newest = world.ledger.view().unwrap().tip().unwrap().unwrap();
    let mut chain = Vec::new();
    world.ledger.export_chain(&mut chain, true, &mut |_, _| {}).unwrap();
    // The database and reports of the backup; key and head stayed where they were.
    let elsewhere = world.folder.with_file_name("restored");
    copy(&backup, &elsewhere);
    for name in ["node.key", "head"] {
        fs::copy(world.folder.join(name), elsewhere.join(name)).unwrap();
    }

    let error = Ledger::open(&elsewhere).unwrap_err();
    let expected = (newest.height, newest.id.to_string(), done.height);
    assert_eq!(behind(&error), Some(expected), "{error:?}");
    assert!(error.to_string().contains("second history"));
    // Reading works, and says what is wrong.
    let reader = Ledger::open_read_only(&elsewhere).unwrap();
    assert_eq!(reader.lost_head().unwrap().unwrap().id, newest.id);
    for depth in [VerifyDepth::Headers, VerifyDepth::Full] {
        let found = reader.verify(depth).unwrap().findings;
        assert!(matches!(found[..], [Finding::Behind { .. }]), "{found:?}");
    }
    drop(reader);
    // Even where it is opened to reconcile, nothing else is written and no block mined.
    let mut reconciling = OpenOptions::default();
    reconciling.reconcile = true;
    let restored = Ledger::open_with(&elsewhere, reconciling).unwrap();
    let error = restored.mine_with(&medledger::MiningControl::new(), true).unwrap_err();
    let refused = matches!(error, OrderError::Store(StoreError::Behind { .. }));
    assert!(refused, "{error:?}");
    assert_eq!(restored.view().unwrap().tip().unwrap().unwrap().id, done.head);
    // Another copy has the newer chain.
    let imported = restored.import_chain(&chain[..], &mut |_| {}).unwrap();
    assert_eq!(imported.head, newest.id);
    assert_eq!(restored.lost_head().unwrap(), None);
    restored.mine_with(&medledger::MiningControl::new(), true).unwrap().unwrap();
    assert_eq!(
        restored.receipt(&uploaded.record).unwrap().check(&restored.chain()).unwrap().block,
        receipt.check(&restored.chain()).unwrap().block
    );
    drop(restored);
    Ledger::open(&elsewhere).unwrap();
}

#[test]
fn pitfall_28_a_loss_is_accepted_only_by_name_and_is_recorded() {
    let world = log();
    let (backup, done) = back_up(&world, "backup");
    world.upload(b"lost");
    let lost = world.ledger.view().unwrap().tip().unwrap().unwrap();
    let elsewhere = world.folder.with_file_name("restored");
    copy(&backup, &elsewhere);
    for name in ["node.key", "head"] {
        fs::copy(world.folder.join(name), elsewhere.join(name)).unwrap();
    }
    let other = done.head;
    let error = Ledger::accept_loss(&elsewhere, &other).unwrap_err();
    assert_eq!(behind(&error).unwrap().1, lost.id.to_string(), "it names what is lost");
    assert!(behind(&Ledger::open(&elsewhere).unwrap_err()).is_some());
    let loss = Ledger::accept_loss(&elsewhere, &lost.id).unwrap().unwrap();
    assert_eq!((loss.above, loss.height, loss.id), (done.height, lost.height, lost.id));
    let restored = Ledger::open(&elsewhere).unwrap();
    assert_eq!(restored.losses().unwrap(), [loss]);
    assert_eq!(restored.lost_head().unwrap(), None);
    assert!(restored.verify(VerifyDepth::Full).unwrap().findings.is_empty());
    drop(restored);
    assert_eq!(Ledger::accept_loss(&elsewhere, &lost.id).unwrap(), None, "nothing is lost now");
}

#[test]
fn a_head_beside_a_node_key_elsewhere_outlives_the_folder() {
    let keys = tempfile::tempdir().unwrap();
    let mut options = options();
    options.engine = EngineChoice::Log;
    options.settings.node_key = Some(keys.path().join("hospital.key"));
    let world = world_with(options);
    let older = world.folder.with_file_name("older");
    world.ledger.backup(&older, &mut |_, _| {}).unwrap();
    fs::copy(world.folder.join("head"), older.join("head")).unwrap();
    world.upload(b"later");
    // The whole folder is older, with its own note of the head.
    let error = Ledger::open(&older).unwrap_err();
    assert!(behind(&error).is_some(), "{error:?}");
    // Its own key's folder knows better; another chain beside it does not mind.
    assert_eq!(fs::read_dir(keys.path()).unwrap().count(), 2);
}

#[test]
fn the_noted_head_follows_every_block_and_an_older_note_does_no_harm() {
    let world = log();
    let note = || fs::read_to_string(world.folder.join("head")).unwrap();
    for _ in 0..3 {
        world.upload(b"x");
        let tip = world.ledger.view().unwrap().tip().unwrap().unwrap();
        // Alone it does not vote.
        let line = format!("medledger head v2\n{} {} {}\n-\n", tip.height, tip.id, tip.node);
        assert!(note().starts_with(&line), "{}", note());
        assert_eq!(note().len(), 512);
    }
    // As after a power cut: an older one, an empty one, none.
    let older = note();
    world.upload(b"y");
    let elsewhere = world.folder.with_file_name("copy");
    world.ledger.backup(&elsewhere, &mut |_, _| {}).unwrap();
    fs::copy(world.folder.join("node.key"), elsewhere.join("node.key")).unwrap();
    // As the version before wrote it.
    let block = older.lines().nth(1).unwrap();
    let former = format!("{:<191}\n", format!("medledger head v1\n{block}\n"));
    for text in [older.as_bytes(), former.as_bytes(), b"", &[0; 512][..]] {
        fs::write(elsewhere.join("head"), text).unwrap();
        drop(Ledger::open(&elsewhere).unwrap());
        assert_eq!(fs::read_to_string(elsewhere.join("head")).unwrap(), note());
    }
    for text in ["medledger head v3\n", "medledger head v1\n1 2 3\n", "x"] {
        fs::write(elsewhere.join("head"), text).unwrap();
        let error = Ledger::open(&elsewhere).unwrap_err();
        assert!(matches!(error, OpenError::Store(StoreError::Damaged(_))), "{text}: {error:?}");
    }
}

#[test]
fn a_hospital_alone_prunes_nothing_it_needs() {
    let world = log();
    let (uploaded, _) = world.upload(b"kept");
    for _ in 0..12 {
        world.ledger.mine_with(&medledger::MiningControl::new(), true).unwrap().unwrap();
    }
    let before = world.ledger.receipt(&uploaded.record).unwrap();
    let error = world.ledger.prune(9).unwrap_err();
    assert!(matches!(error, PruneError::Keep { least: 10, found: 9 }), "{error:?}");
    let error = world.ledger.prune(10).unwrap_err();
    assert!(matches!(error, PruneError::OnlyCopy), "{error:?}");
    assert_eq!(world.ledger.kept_from().unwrap(), 0);
    world.ledger.export_chain(&mut Vec::new(), false, &mut |_, _| {}).unwrap();
    let done = world.ledger.prune_only_copy(10).unwrap();
    assert!(done.records == 0 && done.kept >= 3 && done.kept_from > 3, "{done:?}");
    assert_eq!(world.ledger.kept_from().unwrap(), done.kept_from);
    assert_eq!(world.ledger.receipt(&uploaded.record).unwrap(), before);
    for depth in [VerifyDepth::Headers, VerifyDepth::Chain, VerifyDepth::Full] {
        let verified = world.ledger.verify(depth).unwrap();
        assert!(verified.findings.is_empty(), "{:?}", verified.findings);
        assert_eq!(verified.kept_from, done.kept_from);
    }
    let error = world.ledger.export_chain(&mut Vec::new(), false, &mut |_, _| {}).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("were pruned here"), "{text}");
    // It goes on.
    world.upload(b"more");
    assert!(
        world.ledger.view().unwrap().local_scan(Drawer::Paths, &[], None, 9).unwrap().len() > 2
    );
}

#[test]
fn one_of_two_hospitals_prunes_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let houses = crate::hospitals::founders(dir.path(), 2);
    assert_eq!(houses[0].ledger.prune(10).unwrap().blocks, 0);
}

#[test]
fn the_fast_check_finds_headers_and_roots_that_are_wrong() {
    let world = world();
    world.upload(b"one");
    world.upload(b"two");
    let verified = world.ledger.verify(VerifyDepth::Headers).unwrap();
    assert!(verified.findings.is_empty(), "{:?}", verified.findings);
    let full = world.ledger.verify(VerifyDepth::Full).unwrap();
    assert_eq!((verified.blocks, verified.records), (full.blocks, full.records));
    let damaged = world.folder.with_file_name("damaged");
    let found = |statement: &str| {
        let _ = fs::remove_dir_all(&damaged);
        world.ledger.backup(&damaged, &mut |_, _| {}).unwrap();
        fs::copy(world.folder.join("node.key"), damaged.join("node.key")).unwrap();
        let db = rusqlite::Connection::open(damaged.join("ledger.db")).unwrap();
        assert!(db.execute(statement, []).unwrap() > 0, "{statement}");
        drop(db);
        let ledger = Ledger::open_read_only(&damaged).unwrap();
        ledger.verify(VerifyDepth::Headers).unwrap().findings
    };
    for statement in [
        "DELETE FROM records WHERE height = 2",
        "UPDATE records SET bytes = CAST(bytes || x'00' AS BLOB) WHERE height = 2",
        "UPDATE blocks SET descriptor = (SELECT descriptor FROM blocks WHERE height = 1) WHERE height = 2",
        "UPDATE blocks SET records = records + 1 WHERE height = 2",
    ] {
        let found = found(statement);
        assert!(matches!(found[..], [Finding::Root { height: 2 }]), "{statement}: {found:?}");
    }
    let other_work = found(
        "UPDATE blocks SET chain_work = zeroblob(32) WHERE height = \
                            (SELECT max(height) FROM blocks)",
    );
    assert!(matches!(&other_work[..], [Finding::Stored(what)] if what.contains("another work")));
    let moved = found(
        "DELETE FROM local WHERE drawer = 7 AND key = (SELECT key FROM local \
                       WHERE drawer = 7 LIMIT 1)",
    );
    assert!(!moved.is_empty());
}

#[test]
fn a_pruned_follower_is_judged_by_headers_and_takes_newer_blocks() {
    let world = log();
    let (uploaded, _) = world.upload(b"of another");
    let empty = |count| {
        for _ in 0..count {
            world.ledger.mine_with(&medledger::MiningControl::new(), true).unwrap().unwrap();
        }
    };
    let export = || {
        let mut chain = Vec::new();
        world.ledger.export_chain(&mut chain, false, &mut |_, _| {}).unwrap();
        chain
    };
    empty(12);
    let folder = world.folder.with_file_name("follower");
    let chain = world.ledger.chain();
    let (follower, _) = Ledger::follow(&folder, &chain, &export()[..], &mut |_| {}).unwrap();
    let before = follower.verify(VerifyDepth::Full).unwrap();
    let done = follower.prune(10).unwrap();
    assert!(done.records == before.records && done.kept == 0, "{done:?}, {before:?}");
    for depth in [VerifyDepth::Headers, VerifyDepth::Full] {
        let verified = follower.verify(depth).unwrap();
        assert!(verified.findings.is_empty(), "{:?}", verified.findings);
        assert_eq!((verified.blocks, verified.records), (before.blocks, 0));
    }
    assert!(follower.view().unwrap().record(&uploaded.record).unwrap().is_none());
    // The state is there, and the chain goes on from it.
    assert_eq!(follower.members().unwrap().len(), world.ledger.members().unwrap().len());
    world.upload(b"later");
    let newest = world.ledger.view().unwrap().tip().unwrap().unwrap();
    assert_eq!(follower.import_chain(&export()[..], &mut |_| {}).unwrap().head, newest.id);
    assert!(follower.verify(VerifyDepth::Full).unwrap().findings.is_empty());
}
