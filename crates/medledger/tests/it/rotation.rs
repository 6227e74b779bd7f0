//! A report under a new key: for those who remain, once the hospital confirmed that it is the same report.

use crate::support::{World, key_in, options, pick_up, world, world_with};
use medledger::core::record::Scope;
use medledger::core::registry::VoidCode;
use medledger::core::store::Drawer;
use medledger::ipfs::collect::CollectOptions;
use medledger::ipfs::store::Reason;
use medledger::{
    AccessKey, Confirmed, Delivery, DeliveryMode, Identity, Key, MailSettings, OpenReportError,
    Permission, Purpose, ReaderKey, ReportId, Role, RotateError, VerifyDepth,
};

fn opens(w: &World, reader: &Identity, report: &ReportId, key: &Key<'_>) -> Vec<u8> {
    w.ledger.open_report(reader, report, key).unwrap().to_vec().unwrap()
}

fn share(w: &World, report: ReportId, reader: &Identity, key: ReaderKey) -> medledger::Approved {
    let permission = Permission::new(report, reader.id(), Purpose::Treatment, w.in_days(1));
    let shared = w.ledger.share(&w.patient, permission, &Key::Identity, key).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    shared
}

fn confirm(w: &World, report: ReportId) {
    let confirmed = w.ledger.confirm_rotations(&w.hospital).unwrap();
    let [(found, Confirmed::Same(record))] = confirmed[..] else { panic!("{confirmed:?}") };
    assert_eq!(found, report);
    w.ledger.wait_mined(&record).unwrap();
}

fn rows_of(w: &World, report: &ReportId) -> Vec<Vec<u8>> {
    let view = w.ledger.view().unwrap();
    let rows = view.local_scan(Drawer::Slots, report.as_bytes(), None, usize::MAX).unwrap();
    rows.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_rotation_that_is_confirmed_and_not_mined_is_no_damage() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    w.ledger.rotate(&w.patient, &uploaded.report, &Key::Identity).unwrap();
    w.ledger.mine().unwrap();
    w.ledger.confirm_rotations(&w.hospital).unwrap();
    let found = w.ledger.verify(VerifyDepth::Full).unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(opens(&w, &w.patient, &uploaded.report, &Key::Identity), b"a report");
    w.ledger.mine().unwrap();
    let found = w.ledger.verify(VerifyDepth::Full).unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn pitfall_19_a_rotation_opens_for_those_who_remain_with_the_keys_they_have() {
    let w = world();
    let (uploaded, patients_key) = w.upload(b"a report");
    let report = uploaded.report;
    let [stays, keyed, gone] = ["Stays", "Keyed", "Gone"].map(|name| w.add(Role::Doctor, name));
    share(&w, report, &stays, ReaderKey::Identity);
    let mut by_key = share(&w, report, &keyed, ReaderKey::Access);
    let key = pick_up(&mut by_key.delivery);
    let lost = share(&w, report, &gone, ReaderKey::Identity);
    w.ledger.wait_mined(&w.ledger.revoke(&w.patient, &lost.grant).unwrap()).unwrap();

    let rotated = w.ledger.rotate(&w.patient, &report, &Key::Identity).unwrap();
    assert_eq!((rotated.epoch, rotated.readers, rotated.length), (2, 2, 8));
    assert_eq!(rotated.delivery, Delivery::None, "the letter the patient has stays good");
    // Until it is confirmed the old key is in use.
    w.ledger.wait_mined(&rotated.record).unwrap();
    assert_eq!(opens(&w, &stays, &report, &Key::Identity), b"a report");
    let before = w.ledger.reports(&w.patient.id()).unwrap()[0].envelope;
    assert_eq!(before, uploaded.envelope);
    // What waits for its confirmation is kept, and so is what is still in use.
    w.ledger.collect_blocks(CollectOptions::default()).unwrap();

    confirm(&w, report);
    let after = w.ledger.reports(&w.patient.id()).unwrap()[0].envelope;
    assert_ne!(after, before);
    assert_eq!(opens(&w, &stays, &report, &Key::Identity), b"a report");
    assert_eq!(opens(&w, &keyed, &report, &Key::Access(&key)), b"a report");
    assert_eq!(opens(&w, &w.patient, &report, &Key::Identity), b"a report");
    assert_eq!(opens(&w, &w.patient, &report, &Key::Access(&patients_key)), b"a report");
    let error = w.ledger.open_report(&gone, &report, &Key::Identity).unwrap_err();
    assert!(matches!(error, OpenReportError::Revoked), "{error}");
    // Of the old epoch nothing is left: no slot, and after a collection no ciphertext.
    assert!(rows_of(&w, &report).iter().all(|key| key[20..24] == 2u32.to_be_bytes()));
    let collected = w.ledger.collect_blocks(CollectOptions::default()).unwrap();
    assert_eq!(collected.released, [before]);
    assert!(!w.ledger.blocks().has(&before).unwrap());
    assert_eq!(opens(&w, &keyed, &report, &Key::Access(&key)), b"a report");
    let found = w.ledger.verify(VerifyDepth::Full).unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
    assert!(w.ledger.check_blocks().unwrap().broken().is_empty());
}

#[test]
fn a_rotation_with_the_key_of_the_letter_and_one_after_another() {
    let w = world();
    let (uploaded, key) = w.upload(b"a report");
    for epoch in 2..4 {
        let rotated = w.ledger.rotate(&w.patient, &uploaded.report, &Key::Access(&key)).unwrap();
        assert_eq!(rotated.epoch, epoch);
        confirm(&w, uploaded.report);
        assert_eq!(opens(&w, &w.patient, &uploaded.report, &Key::Access(&key)), b"a report");
        assert_eq!(opens(&w, &w.patient, &uploaded.report, &Key::Identity), b"a report");
    }
    assert!(w.ledger.confirm_rotations(&w.hospital).unwrap().is_empty());
}

#[test]
fn a_rotation_begun_again_takes_the_place_of_the_first() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let first = w.ledger.rotate(&w.patient, &uploaded.report, &Key::Identity).unwrap();
    let second = w.ledger.rotate(&w.patient, &uploaded.report, &Key::Identity).unwrap();
    assert_ne!(first.record, second.record);
    w.ledger.wait_mined(&second.record).unwrap();
    confirm(&w, uploaded.report);
    assert_eq!(opens(&w, &w.patient, &uploaded.report, &Key::Identity), b"a report");
}

#[test]
fn pitfall_32_only_the_patient_rotates_and_only_what_is_the_same_is_confirmed() {
    let w = world();
    let (uploaded, key) = w.upload(b"a report");
    let other = w.add(Role::Patient, "Other");
    for who in [&other, &w.doctor, &w.hospital] {
        let error = w.ledger.rotate(who, &uploaded.report, &Key::Access(&key)).unwrap_err();
        assert!(matches!(error, RotateError::Open(OpenReportError::NoAccess)), "{error}");
    }
    let absent = ReportId::from_bytes([9; 16]);
    let error = w.ledger.rotate(&w.patient, &absent, &Key::Identity).unwrap_err();
    assert!(matches!(error, RotateError::Open(OpenReportError::NoAccess)), "{error}");
    // A patient's own program states another report's envelope: the hospital has no keys that fit.
    let (decoy, _) = w.upload(b"something else");
    w.ledger.rotate(&w.patient, &uploaded.report, &Key::Identity).unwrap();
    w.ledger.rotate(&w.patient, &decoy.report, &Key::Identity).unwrap();
    for who in [&other, &w.doctor, &w.patient] {
        let error = w.ledger.confirm_rotations(who).unwrap_err();
        assert!(matches!(error, RotateError::NotAHospital(id) if id == who.id()), "{error}");
    }
    let confirmed = w.ledger.confirm_rotations(&w.hospital).unwrap();
    assert_eq!(confirmed.len(), 2);
    assert!(confirmed.iter().all(|(_, result)| matches!(result, Confirmed::Same(_))));
}

#[test]
fn what_is_marked_is_rotated_bit_by_bit() {
    let w = world();
    let reports: Vec<_> =
        (0..5).map(|n| w.upload(format!("report {n}").as_bytes()).0.report).collect();
    let scope = Scope::Collection(w.hospital.id());
    assert_eq!(w.ledger.mark_for_rotation(&w.patient, &scope).unwrap(), 5);
    assert_eq!(w.ledger.marked_for_rotation(&w.patient.id()).unwrap().len(), 5);
    let first = w.ledger.rotate_marked(&w.patient, 2).unwrap();
    assert_eq!(first.iter().filter(|outcome| outcome.is_ok()).count(), 2);
    assert_eq!(w.ledger.marked_for_rotation(&w.patient.id()).unwrap().len(), 3);
    assert_eq!(w.ledger.rotate_marked(&w.patient, 100).unwrap().len(), 3);
    assert!(w.ledger.rotate_marked(&w.patient, 100).unwrap().is_empty());
    assert_eq!(w.ledger.confirm_rotations(&w.hospital).unwrap().len(), 5);
    w.ledger.mine().unwrap();
    for (n, report) in reports.iter().enumerate() {
        let text = format!("report {n}");
        assert_eq!(opens(&w, &w.patient, report, &Key::Identity), text.as_bytes());
    }
    // What fails ends it, and takes nothing from what was done before.
    w.ledger.mark_for_rotation(&w.patient, &scope).unwrap();
    let last = w.ledger.marked_for_rotation(&w.patient.id()).unwrap().pop().unwrap();
    let listed = w.ledger.reports(&w.patient.id()).unwrap();
    let envelope = listed.iter().find(|report| report.id == last).unwrap().envelope;
    let blocks = w.ledger.blocks();
    blocks.release(&envelope, &Reason::Report(last)).unwrap();
    assert!(blocks.delete(&envelope).unwrap());
    let outcomes = w.ledger.rotate_marked(&w.patient, 100).unwrap();
    assert_eq!((outcomes.len(), outcomes.iter().filter(|outcome| outcome.is_ok()).count()), (5, 4));
    assert!(outcomes[4].is_err());
    assert_eq!(w.ledger.marked_for_rotation(&w.patient.id()).unwrap(), [last]);
    let error = w.ledger.mark_for_rotation(&w.doctor, &Scope::Report(reports[0])).unwrap_err();
    assert!(matches!(error, RotateError::Refused(VoidCode::UnknownReport)), "{error}");
}

/// Rotates where the patient's key is not known: its copy for the next rotation is gone.
fn rotated_without_the_key(w: &World) -> (ReportId, Delivery) {
    let uploaded = w.ledger.upload(&w.doctor, &w.patient.id(), &b"a report"[..]).unwrap();
    w.ledger.wait_mined(&uploaded.record).unwrap();
    let database = rusqlite::Connection::open(w.folder.join("ledger.db")).unwrap();
    let kept: Vec<_> =
        rows_of(w, &uploaded.report).into_iter().filter(|row| row[24] == 5).collect();
    assert_eq!(kept.len(), 1);
    database.execute("DELETE FROM local WHERE key = ?1", [&kept[0]]).unwrap();
    let rotated = w.ledger.rotate(&w.patient, &uploaded.report, &Key::Identity).unwrap();
    (uploaded.report, rotated.delivery)
}

#[test]
fn a_patients_fresh_key_goes_the_way_their_keys_go() {
    let by = |delivery: DeliveryMode| {
        let mut options = options();
        options.settings.mail = MailSettings::Outbox("outbox".into());
        options.settings.delivery = Some(delivery);
        world_with(options)
    };
    let opens_after = |w: &World, report: ReportId, fresh: &AccessKey| {
        let by_key = Key::Access(fresh);
        // Until it is confirmed the old key is in use.
        w.ledger.open_report(&w.patient, &report, &by_key).unwrap_err();
        confirm(w, report);
        assert_eq!(opens(w, &w.patient, &report, &by_key), b"a report");
    };
    let w = by(DeliveryMode::Mail);
    let (report, delivery) = rotated_without_the_key(&w);
    assert_eq!(delivery, Delivery::Mailed);
    let letter = w.letters().pop().unwrap();
    assert!(letter.contains("A new key") && letter.contains("Once the hospital has confirmed"));
    opens_after(&w, report, &key_in(&letter));

    let w = by(DeliveryMode::Pickup);
    let (report, delivery) = rotated_without_the_key(&w);
    assert_eq!(delivery, Delivery::Waits);
    let letter = w.letters().pop().unwrap();
    assert!(letter.contains("A key waits for you"), "{letter}");
    // In place of the first, which waited as well and opens nothing any more.
    let picked = w.ledger.pick_up(&w.patient).unwrap();
    assert_eq!((picked.len(), picked[0].report), (1, Some(report)));
    opens_after(&w, report, &picked[0].key);

    let w = by(DeliveryMode::Caller);
    let (report, mut delivery) = rotated_without_the_key(&w);
    opens_after(&w, report, &pick_up(&mut delivery));
}
