//! The whole journey, and what each step leaves on the ledger.

use crate::support::{PASSWORD, key_in, member, pick_up, world, world_with, world_with_outbox};
use medledger::core::engine::Finality;
use medledger::core::registry::Kind;
use medledger::core::store::{RecordQuery, Standing};
use medledger::{
    Delivery, EngineChoice, Key, Ledger, Permission, Purpose, ReaderKey, Receipt, Role,
    UploadOptions, VerifyDepth,
};
use std::io::{Read, Seek, SeekFrom};

#[test]
fn upload_request_approve_open_revoke_with_keys_by_mail() {
    let w = world_with_outbox();
    let other = w.add(Role::Doctor, "Dr Bob");
    let options = UploadOptions::named("blood.pdf", "application/pdf");
    let bytes = b"haemoglobin 14.1 g/dl".repeat(5000);
    let uploaded = w.ledger.upload_with(&w.doctor, &w.patient.id(), &bytes[..], &options).unwrap();
    assert_eq!(uploaded.delivery, Delivery::Mailed);
    assert_eq!(uploaded.length, bytes.len() as u64);
    assert!(uploaded.label.starts_with("1_3_"), "{}", uploaded.label);
    let letters = w.letters();
    assert_eq!(letters.len(), 1);
    let patient_key = key_in(&letters[0]);

    let request =
        w.ledger.request(&other, &uploaded.report, Purpose::Treatment, w.in_days(30)).unwrap();
    let waiting = w.ledger.requests(&w.patient.id()).unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].id, waiting[0].reader_name.as_str()), (request, "Dr Bob"));
    assert!(w.letters()[1].contains("Dr Bob asks to read"));

    let approved = w.ledger.approve(&w.patient, &request, &Key::Access(&patient_key)).unwrap();
    assert!(w.ledger.requests(&w.patient.id()).unwrap().is_empty());
    w.ledger.wait_mined(&approved.record).unwrap();
    let doctors_key = key_in(&w.letters()[2]);
    assert_ne!(doctors_key, patient_key);

    let mut opened =
        w.ledger.open_report(&other, &uploaded.report, &Key::Access(&doctors_key)).unwrap();
    assert_eq!(opened.to_vec().unwrap(), bytes);
    assert_eq!(opened.metadata().file_name(), "blood.pdf");
    assert_eq!(opened.grant(), Some(approved.grant));
    assert_eq!(opened.body(), uploaded.body);

    let revoked = w.ledger.revoke(&w.patient, &approved.grant).unwrap();
    w.ledger.wait_mined(&revoked).unwrap();
    w.ledger.open_report(&other, &uploaded.report, &Key::Access(&doctors_key)).unwrap_err();

    let kinds: Vec<_> = w
        .ledger
        .log(&RecordQuery { report: Some(uploaded.report), ..RecordQuery::default() })
        .unwrap()
        .iter()
        .map(|entry| entry.kind)
        .collect();
    assert_eq!(
        kinds,
        [Kind::AddReport, Kind::RequestAccess, Kind::Grant, Kind::Read, Kind::Revoke]
    );
    let report = w.ledger.verify(VerifyDepth::Full).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.reports, 1);
}

#[test]
fn whole_stream_and_range_give_the_same_bytes() {
    let w = world();
    let bytes: Vec<u8> =
        (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (uploaded, key) = w.upload(&bytes);
    let mut opened =
        w.ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&key)).unwrap();
    assert_eq!(opened.len(), 3_000_000);
    assert_eq!(opened.read_range(1_048_500, 200_000).unwrap(), bytes[1_048_500..1_248_500]);
    let mut streamed = Vec::new();
    opened.read_to_end(&mut streamed).unwrap();
    assert_eq!(streamed, bytes);
    opened.seek(SeekFrom::End(-5)).unwrap();
    streamed.clear();
    opened.read_to_end(&mut streamed).unwrap();
    assert_eq!(streamed, bytes[bytes.len() - 5..]);
    assert!(opened.read_range(2_999_999, 2).is_err());
}

#[test]
fn empty_and_tiny_reports_make_the_journey_too() {
    let w = world();
    for bytes in [&b""[..], b"x"] {
        let (uploaded, key) = w.upload(bytes);
        let mut opened =
            w.ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&key)).unwrap();
        assert_eq!(opened.to_vec().unwrap(), bytes);
        assert_eq!(uploaded.sealed, 4096 + 56 + 16, "Padmé with a floor of 4 KiB");
    }
}

#[test]
fn sharing_unasked_and_with_identities_needs_no_key() {
    let w = world();
    let (uploaded, key) = w.upload(b"a report");
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let permission = Permission::new(uploaded.report, nurse.id(), Purpose::Treatment, w.in_days(1));
    let shared =
        w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Identity).unwrap();
    assert_eq!(shared.delivery, Delivery::None, "nothing has to be delivered");
    w.ledger.wait_mined(&shared.record).unwrap();
    let mut opened = w.ledger.open_report(&nurse, &uploaded.report, &Key::Identity).unwrap();
    assert_eq!(opened.to_vec().unwrap(), b"a report");
    // The patient opens their own, by key and by identity.
    for key in [Key::Access(&key), Key::Identity] {
        let mut opened = w.ledger.open_report(&w.patient, &uploaded.report, &key).unwrap();
        assert_eq!((opened.to_vec().unwrap().as_slice(), opened.grant()), (&b"a report"[..], None));
    }
    let grants = &w.ledger.reports(&w.patient.id()).unwrap()[0].grants;
    assert_eq!((grants.len(), grants[0].live), (1, true));
    assert_eq!(w.ledger.reports(&nurse.id()).unwrap()[0].grants.len(), 1);
}

#[test]
fn receipts_check_offline_and_only_for_their_chain() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let receipt = w.ledger.receipt(&uploaded.record).unwrap().encode();
    let proven = Receipt::decode(&receipt).unwrap().check(&w.ledger.chain()).unwrap();
    assert_eq!(proven.record.id(), uploaded.record);
    let other = world();
    assert!(Receipt::decode(&receipt).unwrap().check(&other.ledger.chain()).is_err());
    assert!(matches!(w.ledger.finality(proven.height).unwrap(), Finality::Final { .. }));
}

#[test]
fn a_single_writer_log_makes_the_same_journey_without_work() {
    let mut options = crate::support::options();
    options.engine = EngineChoice::Log;
    let w = world_with(options);
    let (uploaded, key) = w.upload(b"a report");
    let mut opened =
        w.ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&key)).unwrap();
    assert_eq!(opened.to_vec().unwrap(), b"a report");
    assert!(w.ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
}

#[test]
fn members_in_custody_unlock_with_their_password_only() {
    let w = world();
    let contact = medledger::Contact::named("Dr Cleo");
    let (identity, registration) =
        w.ledger.add_member(&w.hospital, Role::Doctor, &contact, "cleo's own").unwrap();
    assert_eq!(registration.number, 4);
    assert_eq!(w.ledger.unlock(&identity.id(), "cleo's own").unwrap().id(), identity.id());
    w.ledger.unlock(&identity.id(), "guess").unwrap_err();
    w.ledger.unlock(&w.patient.id(), "anything").unwrap_err();
    assert_eq!(w.ledger.unlock(&w.hospital.id(), PASSWORD).unwrap().id(), w.hospital.id());
    assert_eq!(w.ledger.local_identities().unwrap().len(), 2);
    let names: Vec<_> =
        w.ledger.members().unwrap().into_iter().map(|m| (m.number, m.contact.name)).collect();
    assert_eq!(
        names,
        [
            (1, "General Hospital".into()),
            (2, "Dr Ada".into()),
            (3, "Pat Näßl".into()),
            (4, "Dr Cleo".to_string())
        ]
    );
}

#[test]
fn a_refused_request_leaves_no_grant_and_says_so() {
    let w = world_with_outbox();
    let other = w.add(Role::Doctor, "Dr Bob");
    let uploaded = w.ledger.upload(&w.doctor, &w.patient.id(), &b"r"[..]).unwrap();
    let request =
        w.ledger.request(&other, &uploaded.report, Purpose::Treatment, w.in_days(1)).unwrap();
    w.ledger.refuse(&w.patient, &request).unwrap();
    assert!(w.letters().last().unwrap().contains("was refused"));
    let key = key_in(&w.letters()[0]);
    w.ledger.approve(&w.patient, &request, &Key::Access(&key)).unwrap_err();
    // Refused once, the doctor may ask again.
    w.ledger.request(&other, &uploaded.report, Purpose::Treatment, w.in_days(1)).unwrap();
}

#[test]
fn accepted_records_are_mined_in_order_and_wait_is_idempotent() {
    let w = world();
    let mut uploaded = w.ledger.upload(&w.doctor, &w.patient.id(), &b"one"[..]).unwrap();
    let second = w.ledger.upload(&w.doctor, &w.patient.id(), &b"two"[..]).unwrap();
    let _ = pick_up(&mut uploaded.delivery);
    assert_eq!(w.ledger.waiting().unwrap(), 2);
    let height = w.ledger.wait_mined(&second.record).unwrap();
    assert_eq!(w.ledger.wait_mined(&uploaded.record).unwrap(), height);
    assert!(w.ledger.mine().unwrap().is_none());
    let stored = w.ledger.view().unwrap().record(&second.record).unwrap().unwrap();
    assert_eq!(stored.standing, Standing::Mined { height, index: 1 });
}

#[test]
fn a_ledger_over_another_store_makes_the_same_journey() {
    let dir = tempfile::tempdir().unwrap();
    let store = Box::new(medledger::core::memory::MemoryStore::new());
    let (ledger, hospital) =
        Ledger::create_in(dir.path().join("l"), store, crate::support::options(), PASSWORD)
            .unwrap();
    let (doctor, _) = member(&ledger, &hospital, Role::Doctor, "Dr Ada");
    let (patient, _) = member(&ledger, &hospital, Role::Patient, "Pat");
    let uploaded = ledger.upload(&doctor, &patient.id(), &b"a report"[..]).unwrap();
    ledger.wait_mined(&uploaded.record).unwrap();
    let mut opened = ledger.open_report(&patient, &uploaded.report, &Key::Identity).unwrap();
    assert_eq!(opened.to_vec().unwrap(), b"a report");
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
}

#[test]
fn labels_of_the_same_second_differ() {
    let w = world();
    let other = w.add(Role::Patient, "Quinn");
    let label = |patient: &medledger::Identity| {
        w.ledger.upload(&w.doctor, &patient.id(), &b"r"[..]).unwrap().label
    };
    let labels = [label(&w.patient), label(&other), label(&w.patient), label(&w.patient)];
    assert_eq!(labels[2], format!("{}_2", labels[0]));
    assert_eq!(labels[3], format!("{}_3", labels[0]));
    assert!(!labels[1].ends_with("_2") && labels[1] != labels[0], "{labels:?}");
    w.pass(1);
    assert_ne!(label(&w.patient), labels[0]);
}
