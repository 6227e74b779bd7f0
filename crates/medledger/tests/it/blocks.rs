//! The store of ciphertext: pins name reports, crashes leave nothing for good, damage is mended.

use crate::support::{World, world};
use medledger::core::clock::Clock;
use medledger::ipfs::FlatfsReader;
use medledger::ipfs::cid::{Cid, Codec};
use medledger::ipfs::collect::CollectOptions;
use medledger::ipfs::store::{FileStore, Keep, Reason, Word};
use medledger::{BlocksError, Ledger, OpenOptions, ReportId, Step, VerifyDepth};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};

fn assert_whole(ledger: &Ledger) {
    let found = ledger.verify(VerifyDepth::Full).unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
    let check = ledger.check_blocks().unwrap();
    assert!(check.is_healthy(), "{check:?}");
}

fn collected(ledger: &Ledger) -> (usize, u64) {
    let done = ledger.collect_blocks(CollectOptions::default()).unwrap();
    (done.released.len(), done.collected.removed)
}

/// What an upload leaves that is killed between its pin and its record.
fn leave_behind(ledger: &Ledger, reason: Option<Reason>) -> Cid {
    let bytes = b"ciphertext of nobody";
    let cid = Cid::of(Codec::Raw, bytes);
    let session = ledger.blocks().begin().unwrap();
    session.put(&cid, bytes).unwrap();
    match reason {
        Some(reason) => session.commit_for(&cid, reason).unwrap(),
        None => session.finish(None).unwrap(),
    }
    cid
}

fn block_file(folder: &Path, cid: &Cid) -> PathBuf {
    FileStore::open_read_only(folder.join("blocks")).unwrap().block_path(cid)
}

#[test]
fn a_report_is_kept_because_of_the_report() {
    let w = world();
    w.pass(5);
    let (uploaded, _) = w.upload(&[1; 3000]);
    let pins = w.ledger.pins().unwrap();
    let keep = Keep::since(Reason::Report(uploaded.report), w.clock.now());
    assert_eq!((pins[0].root, &pins[0].reasons[..]), (uploaded.envelope, &[keep][..]));
    assert_eq!(pins.len(), 1);
    assert_eq!(collected(&w.ledger), (0, 0));
    assert_whole(&w.ledger);
    // Somebody's word holds it besides, and goes alone.
    let word = || Word::new("evidence").unwrap();
    w.ledger.keep_blocks(&uploaded.envelope, word()).unwrap();
    assert_eq!(w.ledger.pins().unwrap()[0].reasons.len(), 2);
    assert!(w.ledger.release_blocks(&uploaded.envelope, word()).unwrap());
    assert!(!w.ledger.release_blocks(&uploaded.envelope, word()).unwrap());
    assert_eq!(w.ledger.pins().unwrap(), pins);
}

#[test]
fn pitfall_17_what_failed_uploads_left_is_collected_and_nothing_else() {
    let w = world();
    w.upload(&[1; 3000]);
    // Accepted, not mined.
    w.ledger.upload(&w.doctor, &w.patient.id(), &[2; 3000][..]).unwrap();
    let crashed = Reason::Report(ReportId::from_bytes([9; 16]));
    let root = leave_behind(&w.ledger, Some(crashed));
    let would = w.ledger.collect_blocks(CollectOptions::dry_run()).unwrap();
    assert_eq!((&would.released[..], would.collected.removed), (&[root][..], 1));
    assert!(w.ledger.blocks().has(&root).unwrap());
    assert_eq!(collected(&w.ledger), (1, 1));
    assert!(!w.ledger.blocks().has(&root).unwrap());
    leave_behind(&w.ledger, None);
    assert_eq!(collected(&w.ledger), (0, 1));
    // What was kept for another reason stays.
    leave_behind(&w.ledger, Some(Reason::Import(Word::new("from elsewhere").unwrap())));
    assert_eq!(collected(&w.ledger), (0, 0));
    assert_eq!(w.ledger.pins().unwrap().len(), 3);
    assert_whole(&w.ledger);
}

#[test]
fn a_report_whose_pin_is_gone_is_pinned_again_before_anything_is_removed() {
    let w = world();
    let (uploaded, _) = w.upload(&[1; 3000]);
    w.ledger.blocks().unpin(&uploaded.envelope).unwrap();
    let would = w.ledger.collect_blocks(CollectOptions::dry_run()).unwrap();
    assert_eq!((&would.pinned[..], would.collected.removed), (&[uploaded.report][..], 0));
    let done = w.ledger.collect_blocks(CollectOptions::default()).unwrap();
    assert_eq!((&done.pinned[..], done.collected.removed), (&[uploaded.report][..], 0));
    assert_eq!(w.ledger.pins().unwrap().len(), 1);
    assert_whole(&w.ledger);
}

#[test]
fn pins_of_the_version_before_get_their_reason() {
    let w = world();
    let (uploaded, _) = w.upload(&[1; 3000]);
    let left = leave_behind(&w.ledger, Some(Reason::Untold));
    for entry in fs::read_dir(w.folder.join("blocks/pins")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{}\n", text.lines().next().unwrap())).unwrap();
    }
    assert!(w.ledger.pins().unwrap().iter().all(|pin| pin.reasons[0].reason == Reason::Untold));
    assert_eq!(collected(&w.ledger).1, 1);
    let pins = w.ledger.pins().unwrap();
    assert_eq!(pins.len(), 1, "{pins:?}");
    assert_eq!(pins[0].reasons[0].reason, Reason::Report(uploaded.report));
    assert!(!w.ledger.blocks().has(&left).unwrap());
    assert_whole(&w.ledger);
}

/// The collection runs while the upload stands between its pin and its record.
#[test]
fn an_upload_under_way_keeps_its_pin() {
    let w = world();
    let (stands, goes) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    // Opened again, with someone who holds the upload up.
    let World { ledger, doctor, patient, folder, .. } = w;
    drop(ledger);
    let (at, from) = (Arc::clone(&stands), Arc::clone(&goes));
    let mut options = OpenOptions::default();
    options.observer = Some(Arc::new(move |step: Step| {
        if step == Step::BlocksStored {
            at.wait();
            from.wait();
        }
    }));
    let ledger = Ledger::open_with(&folder, options).unwrap();
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| {
            ledger.upload(&doctor, &patient.id(), &vec![3; 2_500_000][..]).unwrap().report
        });
        stands.wait();
        let done = ledger.collect_blocks(CollectOptions::default()).unwrap();
        assert!(done.released.is_empty() && done.collected.removed == 0, "{done:?}");
        assert_eq!(ledger.pins().unwrap().len(), 1);
        goes.wait();
        let reason = Reason::Report(upload.join().unwrap());
        assert_eq!(ledger.pins().unwrap()[0].reasons[0].reason, reason);
    });
    assert_eq!(collected(&ledger), (0, 0));
    assert_whole(&ledger);
}

#[test]
fn uploads_and_collections_of_the_service_run_side_by_side() {
    let w = world();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..2u8)
            .map(|thread| {
                let w = &w;
                scope.spawn(move || {
                    for round in 0..6 {
                        let bytes = vec![thread * 16 + round; 10_000];
                        w.ledger.upload(&w.doctor, &w.patient.id(), &bytes[..]).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let done = w.ledger.collect_blocks(CollectOptions::default()).unwrap();
                assert!(done.released.is_empty(), "{done:?}");
            }
        });
        for upload in uploads {
            upload.join().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(w.ledger.pins().unwrap().len(), 12);
    assert_whole(&w.ledger);
}

#[test]
fn pitfall_17_damage_is_found_stops_a_collection_and_is_repaired_from_a_copy() {
    let w = world();
    let (uploaded, key) = w.upload(&vec![7; 2_500_000]);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&w.folder.join("blocks"), &copy.path().join("blocks"));
    fs::remove_file(block_file(&w.folder, &uploaded.envelope)).unwrap();
    fs::write(block_file(&w.folder, &uploaded.body), b"damage").unwrap();
    let check = w.ledger.check_blocks().unwrap();
    assert_eq!((check.missing.len(), check.damaged.len()), (1, 1), "{check:?}");
    match w.ledger.collect_blocks(CollectOptions::default()) {
        Err(BlocksError::Blind(blind)) => assert_eq!(blind.missing, [uploaded.envelope]),
        other => panic!("a missing envelope gave {other:?}"),
    }
    let source = FlatfsReader::open(copy.path()).unwrap();
    let done = w.ledger.repair_blocks(&check, &source).unwrap();
    assert!(done.is_complete(), "{done:?}");
    assert_eq!(done.repaired, [uploaded.envelope, uploaded.body]);
    assert_eq!(collected(&w.ledger), (0, 0));
    assert_whole(&w.ledger);
    let key = medledger::Key::Access(&key);
    let mut opened = w.ledger.open_report(&w.patient, &uploaded.report, &key).unwrap();
    assert_eq!(opened.to_vec().unwrap(), vec![7; 2_500_000]);
    let stats = w.ledger.cache_stats();
    assert!(stats.misses > 0 && (0.0..=1.0).contains(&stats.hit_ratio()), "{stats:?}");
}

#[test]
fn a_ledger_opened_for_reading_checks_and_changes_nothing() {
    let w = world();
    w.upload(&[1; 3000]);
    leave_behind(&w.ledger, None);
    let reader = Ledger::open_read_only(&w.folder).unwrap();
    assert_eq!(reader.check_blocks().unwrap().unreferenced, 1);
    let would = reader.collect_blocks(CollectOptions::dry_run()).unwrap();
    assert_eq!(would.collected.removed, 1);
    assert!(matches!(
        reader.collect_blocks(CollectOptions::default()),
        Err(BlocksError::Blocks(medledger::ipfs::StoreError::ReadOnly { .. }))
    ));
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
