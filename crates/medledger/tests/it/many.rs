//! Uploads of many reports at once.

use crate::support::{pick_up, world, world_with_outbox};
use medledger::core::registry::VoidCode;
use medledger::{
    Delivery, IdempotencyError, Key, Role, Upload, UploadError, UploadOptions, Uploaded,
    VerifyDepth,
};
use std::io::{self, Read};

fn text(number: usize) -> Vec<u8> {
    format!("report {number}: ").repeat(number % 97 + 1).into_bytes()
}

#[test]
fn many_reports_open_each_with_its_own_key() {
    let w = world();
    let texts: Vec<_> = (0..600).map(text).collect();
    let other = w.add(Role::Patient, "Chris");
    let patients = [&w.patient, &other];
    let uploads = texts
        .iter()
        .enumerate()
        .map(|(number, text)| Upload::new(patients[number % 2].id(), &text[..]));
    let results = w.ledger.upload_many(&w.doctor, uploads);
    assert_eq!(results.len(), texts.len());
    let mut uploaded: Vec<Uploaded> = results.into_iter().map(Result::unwrap).collect();
    w.ledger.wait_mined(&uploaded[599].record).unwrap();
    let mut labels = std::collections::HashSet::new();
    for (number, one) in uploaded.iter_mut().enumerate().filter(|(n, _)| n % 50 < 2 || *n > 590) {
        let key = pick_up(&mut one.delivery);
        let patient = patients[number % 2];
        let mut opened = w.ledger.open_report(patient, &one.report, &Key::Access(&key)).unwrap();
        assert_eq!(opened.to_vec().unwrap(), texts[number]);
        assert_eq!(one.length, texts[number].len() as u64);
    }
    assert!(uploaded.iter().all(|one| labels.insert(one.label.clone())), "labels are unique");
    assert_eq!(w.ledger.reports(&other.id()).unwrap().len(), 300);
    assert!(w.ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("unplugged"))
    }
}

#[test]
fn what_is_wrong_with_one_keeps_no_other_back() {
    let w = world();
    let patient = w.patient.id();
    let missing = w.folder.join("no such file");
    let there = w.folder.join("there.txt");
    std::fs::write(&there, "in a file").unwrap();
    let keyed = || UploadOptions::named("a", "b/c").with_idempotency_key("k");
    let uploads = [
        Upload::new(patient, &b"first"[..]),
        Upload::new(patient, Broken),
        Upload::new(w.doctor.id(), &b"about a doctor"[..]),
        Upload::file(patient, &missing),
        Upload::file(patient, &there),
        Upload::new(patient, &b"keyed"[..]).with(keyed()),
        Upload::new(patient, &b"keyed"[..]).with(keyed()),
        Upload::new(patient, &b"another"[..]).with(keyed()),
        Upload::new(patient, &b"a path"[..]).with(UploadOptions::named("a/b", "text/plain")),
        Upload::new(patient, &b"last"[..]),
    ];
    let mut results = w.ledger.upload_many(&w.doctor, uploads);
    assert!(matches!(&results[1], Err(UploadError::Source(e)) if e.to_string() == "unplugged"));
    assert!(matches!(results[2], Err(UploadError::Refused(VoidCode::NotEnrolled))));
    let not_found = io::ErrorKind::NotFound;
    assert!(matches!(&results[3], Err(UploadError::Source(e)) if e.kind() == not_found));
    let [fifth, sixth] = [5, 6].map(|n| results[n].as_ref().unwrap());
    assert!(!fifth.repeated && sixth.repeated && fifth.record == sixth.record);
    let conflict = IdempotencyError::Conflict;
    assert!(
        matches!(&results[7], Err(UploadError::Idempotency(e)) if e.to_string() == conflict.to_string())
    );
    assert!(matches!(results[8], Err(UploadError::Metadata(_))));
    for (number, text) in [(0, "first"), (4, "in a file"), (5, "keyed"), (9, "last")] {
        let one = results[number].as_mut().unwrap();
        let key = pick_up(&mut one.delivery);
        w.ledger.wait_mined(&one.record).unwrap();
        let mut opened = w.ledger.open_report(&w.patient, &one.report, &Key::Access(&key)).unwrap();
        assert_eq!(opened.to_vec().unwrap(), text.as_bytes());
        let name = if number == 4 { "there.txt" } else { opened.metadata().file_name() };
        assert_eq!(opened.metadata().file_name(), name);
    }
    assert_eq!(w.ledger.reports(&patient).unwrap().len(), 4);
    // Only what is on the ledger is pinned.
    let pins = w.ledger.blocks().pins().unwrap();
    assert_eq!(pins.len(), 4);
}

#[test]
fn a_store_that_fails_fails_all_that_were_to_be_stored_together() {
    let w = world();
    let (uploaded, _) = w.upload(b"before");
    // Sessions have their folder here.
    std::fs::remove_dir(w.folder.join("blocks").join("tmp")).unwrap();
    let uploads = (0..1000).map(|n| Upload::new(w.patient.id(), io::Cursor::new(text(n))));
    let results = w.ledger.upload_many(&w.doctor, uploads);
    assert_eq!(results.len(), 1000);
    for result in &results {
        let Err(UploadError::Together(cause)) = result else { panic!("{result:?}") };
        assert!(matches!(**cause, UploadError::Blocks(_)), "{cause}");
    }
    // Alone, it is the error itself.
    let alone = w.ledger.upload(&w.doctor, &w.patient.id(), &b"one"[..]);
    assert!(matches!(alone, Err(UploadError::Blocks(_))), "{alone:?}");
    let reports = w.ledger.reports(&w.patient.id()).unwrap();
    assert_eq!((reports.len(), reports[0].id), (1, uploaded.report));
}

#[test]
fn each_report_has_a_letter() {
    let w = world_with_outbox();
    let uploads = (0..20).map(|n| Upload::new(w.patient.id(), io::Cursor::new(text(n))));
    for result in w.ledger.upload_many(&w.doctor, uploads) {
        assert_eq!(result.unwrap().delivery, Delivery::Mailed);
    }
    assert_eq!(w.letters().len(), 20);
}

#[test]
fn nothing_to_upload_is_nothing_done() {
    let w = world();
    assert!(w.ledger.upload_many(&w.doctor, []).is_empty());
    assert_eq!(w.ledger.waiting().unwrap(), 0);
}

#[test]
fn nothing_is_tried_after_a_store_failed_whatever_failed_before() {
    let w = world();
    std::fs::remove_dir(w.folder.join("blocks").join("tmp")).unwrap();
    // The last of the first group fails for itself.
    let uploads = (0..530).map(|n| {
        let upload = Upload::new(w.patient.id(), io::Cursor::new(text(n)));
        let name = if n == 511 { "a/b" } else { "a" };
        upload.with(UploadOptions::named(name, "text/plain")).of_size(1)
    });
    let results = w.ledger.upload_many(&w.doctor, uploads);
    assert!(matches!(results[511], Err(UploadError::Metadata(_))), "{:?}", results[511]);
    let cause = |n: usize| match &results[n] {
        Err(UploadError::Together(cause)) => cause,
        other => panic!("{other:?}"),
    };
    assert!(std::sync::Arc::ptr_eq(cause(0), cause(529)), "tried after a store failed");
}

#[test]
fn each_group_is_told_as_soon_as_it_is_accepted() {
    let w = world();
    let uploads =
        (0..520).map(|n| Upload::new(w.patient.id(), io::Cursor::new(text(n))).of_size(1));
    let mut told = Vec::new();
    let mut groups = 0;
    w.ledger.upload_in_groups(&w.doctor, uploads, |ended| {
        told.extend(ended.into_iter().map(|result| result.unwrap().report));
        groups += 1;
        let there = w.ledger.reports(&w.patient.id()).unwrap();
        assert_eq!(there.len(), told.len());
    });
    assert_eq!((groups, told.len()), (2, 520));
    let there: Vec<_> = w.ledger.reports(&w.patient.id()).unwrap();
    let there: std::collections::HashSet<_> = there.into_iter().map(|report| report.id).collect();
    assert_eq!(there, told.into_iter().collect());
}
