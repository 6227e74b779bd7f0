//! Many reports together on a disk that is full.

use super::*;
use medledger::{Upload, UploadOptions, Uploaded};

/// The reports of a batch, under keys of their own.
fn batch(count: u64) -> Vec<(Vec<u8>, UploadOptions)> {
    let upload = |n: u64| {
        let options = UploadOptions::named(format!("{n}.txt"), "text/plain");
        (report(50_000, 100 + n), options.with_idempotency_key(format!("batch-{n}")))
    };
    (0..count).map(upload).collect()
}

fn upload_batch(
    world: &World,
    batch: &[(Vec<u8>, UploadOptions)],
) -> Vec<Result<Uploaded, UploadError>> {
    let patient = world.patient.id();
    let uploads =
        batch.iter().map(|(bytes, options)| Upload::new(patient, &bytes[..]).with(options.clone()));
    world.ledger().upload_many(&world.doctor, uploads)
}

/// Every report of the batch must say that there was no room.
fn assert_all_full(results: &[Result<Uploaded, UploadError>], context: &str) {
    for result in results {
        let Err(UploadError::Together(cause)) = result else { panic!("{context}: {result:?}") };
        assert!(full(cause), "{context}: {cause:?}");
    }
}

#[test]
fn pitfall_53_a_disk_that_fills_up_amid_many_uploads_accepts_none_of_them() {
    let Some(disk) = tmpfs("uploading many reports to a full disk", 8192) else { return };
    let world = World::in_folder(&disk.at.join("ledger"), options(MailSettings::None));
    let ledger = world.ledger();
    world.upload(&report(10_000, 1));
    let pins = ledger.blocks().pins().unwrap().len();
    let batch = batch(40);
    for room in [0, 4096, 300 * 1024, 1_200_000] {
        disk.leave(room);
        let context = format!("{room} bytes left");
        assert_all_full(&upload_batch(&world, &batch), &context);
        assert_eq!(ledger.reports(&world.patient.id()).unwrap().len(), 1, "{context}");
        let tmp = crate::scan::read(&world.folder.join("blocks/tmp"), &[]);
        assert!(tmp.is_empty(), "{context}: {:?} stays", tmp.keys());
    }
    disk.free();
    assert_eq!(ledger.blocks().pins().unwrap().len(), pins, "pins without records");
    for (uploaded, (bytes, _)) in upload_batch(&world, &batch).into_iter().zip(&batch) {
        let uploaded = uploaded.expect("there is room");
        assert!(!uploaded.repeated);
        ledger.wait_mined(&uploaded.record).unwrap();
        let mut opened =
            ledger.open_report(&world.patient, &uploaded.report, &Key::Identity).expect("it opens");
        assert!(opened.to_vec().unwrap() == *bytes);
    }
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
}

/// The blocks have their room and the database has none: still all or nothing.
#[test]
fn pitfall_53_a_database_that_is_full_accepts_none_of_many_uploads() {
    let Some(disk) = tmpfs("accepting many reports on a full disk", 65_536) else { return };
    let world = World::in_folder(&disk.at.join("ledger"), options(MailSettings::None));
    let ledger = world.ledger();
    world.upload(&report(100, 1));
    let batch: Vec<_> =
        batch(40).into_iter().map(|(_, options)| (b"small".to_vec(), options)).collect();
    let (mut by_blocks, mut by_database, mut room) = (0, 0, 0);
    loop {
        // A reader keeps the log from being emptied.
        let view = ledger.view().unwrap();
        disk.leave(room);
        let results = upload_batch(&world, &batch);
        drop(view);
        disk.free();
        if results.iter().all(Result::is_ok) {
            break;
        }
        let context = format!("{room} bytes left");
        assert_all_full(&results, &context);
        match &results[0] {
            Err(UploadError::Together(cause)) if matches!(**cause, UploadError::Blocks(_)) => {
                by_blocks += 1;
            }
            _ => by_database += 1,
        }
        assert_eq!(ledger.reports(&world.patient.id()).unwrap().len(), 1, "{context}");
        room += 16 * 1024;
    }
    assert!(by_blocks > 0 && by_database > 0, "full {by_blocks} and {by_database} times");
    assert_eq!(ledger.reports(&world.patient.id()).unwrap().len(), 41);
    while ledger.mine().unwrap().is_some() {}
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
}
