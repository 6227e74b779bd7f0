//! The claims of `docs/protocol.md`, against attackers with copies of the database, its node key, letters, and
//! keys of those who were cut off; and against a custodian that writes rows of its own.

mod groups;
mod readers;
mod rotated;
mod thief;

use crate::support::{World, pick_up, world, world_with_outbox};
use medledger::core::cbor;
use medledger::core::dek::Dek;
use medledger::core::key_slot::{KeyOwner, KeySlot, KeySlotContext, KeySlotRole};
use medledger::core::record::Scope;
use medledger::core::seal;
use medledger::core::slot::{Slot, SlotContext, SlotRole};
use medledger::core::store::Drawer;
use medledger::{
    AccessKey, ApproveError, Approved, Confirmed, Delivery, Identity, Key, OpenError,
    OpenReportError, Permission, Purpose, ReaderKey, ReportId, Role,
};
use thief::{KeyRow, Thief, context, plant, row};

fn share(w: &World, scope: impl Into<Scope>, reader: &Identity, key: ReaderKey) -> Approved {
    let permission = Permission::new(scope, reader.id(), Purpose::Treatment, w.in_days(1));
    let shared = w.ledger.share(&w.patient, permission, &Key::Identity, key).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    shared
}

fn collection(w: &World) -> Scope {
    Scope::Collection(w.hospital.id())
}

fn revoke(w: &World, shared: &Approved) {
    w.ledger.wait_mined(&w.ledger.revoke(&w.patient, &shared.grant).unwrap()).unwrap();
}

/// Rotates a report to its next epoch; whether the patient was given another key.
fn rotate(w: &World, report: &ReportId) -> Option<AccessKey> {
    let rotated = w.ledger.rotate(&w.patient, report, &Key::Identity).unwrap();
    w.ledger.wait_mined(&rotated.record).unwrap();
    let confirmed = w.ledger.confirm_rotations(&w.hospital).unwrap();
    let [(_, Confirmed::Same(record))] = confirmed[..] else { panic!("{confirmed:?}") };
    w.ledger.wait_mined(&record).unwrap();
    match rotated.delivery {
        Delivery::PickUp(key) => Some(key),
        _ => None,
    }
}

/// One report; one reader with a letter, one with an identity, one of the collection with a letter.
fn mailed(w: &World) -> ReportId {
    let uploaded = w.ledger.upload(&w.doctor, &w.patient.id(), &b"a report"[..]).unwrap();
    w.ledger.wait_mined(&uploaded.record).unwrap();
    let [a, b, c] = ["Dr A", "Dr B", "Dr C"].map(|name| w.add(Role::Doctor, name));
    share(w, uploaded.report, &a, ReaderKey::Access);
    share(w, uploaded.report, &b, ReaderKey::Identity);
    share(w, collection(w), &c, ReaderKey::Access);
    uploaded.report
}

/// The keys in all letters that went out: the patient's and two readers'.
fn keys_of_letters(w: &World) -> Vec<AccessKey> {
    let letters = w.letters();
    let key = |line: &str| line.trim().strip_prefix("key ")?.trim().parse().ok();
    let keys: Vec<_> = letters.iter().filter_map(|letter| letter.lines().find_map(key)).collect();
    assert_eq!(keys.len(), 3);
    keys
}

#[test]
fn a_stolen_database_opens_nothing_without_its_node_key_even_with_every_letter() {
    let w = world_with_outbox();
    let report = mailed(&w);
    let keys = keys_of_letters(&w);
    let rows = w.ledger.view().unwrap().local_scan(Drawer::Slots, &[], None, usize::MAX).unwrap();
    assert_eq!(rows.len(), 8);
    for (place, sealed) in &rows {
        // The letters hold the only keys of that length there are to try.
        for key in &keys {
            let key = Dek::from_bytes(*key.expose());
            seal::unseal(&key, &context(place), sealed).unwrap_err();
        }
    }
    // With the node key these letters open it: it is what was missing.
    let thief = || Thief::new(&w).copies(&w);
    for key in &keys {
        assert_eq!(thief().has(key).opens(), [(report, 1)]);
    }
    // Nor does the program open a folder without it.
    std::fs::remove_file(w.folder.join("node.key")).unwrap();
    let folder = w.folder.clone();
    let error = medledger::Ledger::open_read_only(&folder).unwrap_err();
    assert!(matches!(error, OpenError::NodeKey(medledger::NodeKeyError::Missing(_))), "{error}");
}

#[test]
fn database_and_node_key_open_nothing_without_a_persons_key() {
    let w = world_with_outbox();
    let report = mailed(&w);
    let node = AccessKey::from_bytes(*thief::node_key(&w).expose());
    let eve = w.add(Role::Doctor, "Dr Eve");
    let thief = || Thief::new(&w).copies(&w);
    // All who may be in league with the custodian: itself, the uploader afterwards, another doctor.
    let mut all = thief().is(&w.hospital).is(&w.doctor).is(&eve).has(&node);
    assert_eq!(all.opens(), []);
    assert_eq!(
        thief().knows(&w.patient.collection_key(&w.hospital.id(), 1).into_secret_key()).opens(),
        [(report, 1)]
    );
}

#[test]
fn every_letter_opens_nothing_for_whoever_has_another_identity() {
    let w = world_with_outbox();
    let report = mailed(&w);
    let eve = w.add(Role::Doctor, "Dr Eve");
    for who in [&eve, &w.doctor, &w.hospital] {
        for key in keys_of_letters(&w).iter().map(Key::Access).chain([Key::Identity]) {
            let error = w.ledger.open_report(who, &report, &key).unwrap_err();
            assert!(matches!(error, OpenReportError::NoAccess), "{error}");
        }
    }
    let query = medledger::core::store::RecordQuery {
        kind: Some(medledger::core::registry::Kind::Read),
        ..Default::default()
    };
    assert_eq!(w.ledger.log(&query).unwrap().len(), 0);
}

#[test]
fn a_removed_readers_old_keys_open_nothing_of_a_later_database() {
    let w = world();
    let (old, _) = w.upload(b"rotated later");
    let (left, _) = w.upload(b"never rotated");
    let [gone, keyed, stays] = ["Gone", "Keyed", "Stays"].map(|name| w.add(Role::Nurse, name));
    let by_identity = share(&w, collection(&w), &gone, ReaderKey::Identity);
    let mut by_key = share(&w, collection(&w), &keyed, ReaderKey::Access);
    let key = pick_up(&mut by_key.delivery);
    share(&w, collection(&w), &stays, ReaderKey::Identity);
    let shared = w.patient.collection_key(&w.hospital.id(), 1).into_secret_key();
    revoke(&w, &by_identity);
    revoke(&w, &by_key);
    let (late, _) = w.upload(b"uploaded later");
    assert!(rotate(&w, &old.report).is_none());
    // What both had, and what they could learn from the slots they were shown.
    let mut thief = Thief::new(&w).is(&gone).is(&keyed).has(&key).knows(&shared).copies(&w);
    assert_eq!(thief.opens(), [(left.report, 1)], "what was theirs and was not rotated");
    let mut all = vec![(old.report, 2), (left.report, 1), (late.report, 1)];
    all.sort_unstable();
    assert_eq!(Thief::new(&w).is(&stays).copies(&w).opens(), all);
}

#[test]
fn pitfall_45_a_reader_of_the_collection_with_copies_of_before_and_after_has_no_access_keys() {
    let w = world();
    let (old, _) = w.upload(b"a report");
    let gone = w.add(Role::Nurse, "Gone");
    let shared = share(&w, collection(&w), &gone, ReaderKey::Identity);
    let thief = Thief::new(&w).is(&gone).copies(&w);
    revoke(&w, &shared);
    rotate(&w, &old.report);
    assert!(Thief::new(&w).is(&gone).copies(&w).opens().is_empty(), "with a copy of after only");
    assert!(!thief.copies(&w).opens().contains(&(old.report, 2)));
}

fn slot_context(
    w: &World,
    report: ReportId,
    role: SlotRole,
    shared: Option<&Approved>,
    reader: &Identity,
) -> SlotContext {
    let envelope = w
        .ledger
        .reports(&w.patient.id())
        .unwrap()
        .iter()
        .find(|r| r.id == report)
        .unwrap()
        .envelope;
    let (chain, grant, reader) = (w.ledger.chain(), shared.map(|s| s.grant), reader.id());
    SlotContext { chain, report, version: 1, epoch: 1, role, grant, reader, envelope }
}

#[test]
fn pitfall_45_a_key_planted_for_a_reader_is_not_given_the_next_epoch() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let reader = w.add(Role::Doctor, "Dr Bob");
    let mut shared = share(&w, uploaded.report, &reader, ReaderKey::Access);
    let key = pick_up(&mut shared.delivery);
    let planted = AccessKey::from_bytes([7; 16]);
    // The custodian knows the patient's public key, and everything in the context.
    let public = w.patient.public().hpke_key();
    let context = slot_context(&w, uploaded.report, SlotRole::AccessKey, Some(&shared), &reader);
    let slot = Slot::wrap_access_key(&planted, &public, &context, &mut crate::support::rng());
    let view = w.ledger.view().unwrap();
    let rows = view.local_scan(Drawer::Slots, uploaded.report.as_bytes(), None, 99).unwrap();
    let place =
        rows.iter().find(|(key, _)| key[24] == 5 && key[25..41] == *shared.grant.as_bytes());
    plant(&w, &place.unwrap().0, &slot.to_bytes());
    rotate(&w, &uploaded.report);
    assert_eq!(Thief::new(&w).has(&planted).is(&w.hospital).copies(&w).opens(), []);
    // The reader is left out, rather than the planted key let in.
    let error = w.ledger.open_report(&reader, &uploaded.report, &Key::Access(&key)).unwrap_err();
    assert!(matches!(error, OpenReportError::NoSlot(_)), "{error}");
}

#[test]
fn pitfall_45_a_key_planted_for_the_patient_is_not_given_the_next_epoch() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let planted = AccessKey::from_bytes([7; 16]);
    let public = w.patient.public().hpke_key();
    let context = slot_context(&w, uploaded.report, SlotRole::AccessKey, None, &w.patient);
    let slot = Slot::wrap_access_key(&planted, &public, &context, &mut crate::support::rng());
    plant(&w, &row(&w, uploaded.report.as_bytes(), 5).0, &slot.to_bytes());
    let fresh = rotate(&w, &uploaded.report).expect("the patient gets another key");
    assert_eq!(Thief::new(&w).has(&planted).is(&w.hospital).copies(&w).opens(), []);
    let mut opened =
        w.ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&fresh)).unwrap();
    assert_eq!(opened.to_vec().unwrap(), b"a report");
}

#[test]
fn pitfall_45_a_key_planted_on_a_collection_is_not_given_its_next_key() {
    let w = world();
    w.upload(b"early");
    let reader = w.add(Role::Doctor, "Dr Bob");
    let shared = share(&w, collection(&w), &reader, ReaderKey::Access);
    let planted = AccessKey::from_bytes([7; 16]);
    let public = w.patient.public().hpke_key();
    let owner = KeyOwner::Collection { patient: w.patient.id(), hospital: w.hospital.id() };
    let context = KeySlotContext {
        chain: w.ledger.chain(),
        owner,
        epoch: 1,
        role: KeySlotRole::AccessKey,
        grant: Some(shared.grant),
        reader: Some(reader.id()),
        wrapped: None,
    };
    let slot = KeySlot::wrap_access_key(&planted, &public, &context, &mut crate::support::rng());
    let place = row(&w, w.patient.id().as_bytes(), KeySlotRole::AccessKey.code()).0;
    plant(&w, &place, &cbor::encode(&KeyRow(None, slot.to_bytes())));
    w.ledger.wait_mined(&w.ledger.renew_collection(&w.patient, &w.hospital.id()).unwrap()).unwrap();
    w.upload(b"late");
    assert_eq!(Thief::new(&w).has(&planted).is(&w.hospital).copies(&w).opens(), []);
}

#[test]
fn pitfall_07_a_patient_is_not_made_to_wrap_another_reports_key() {
    let w = world();
    let (secret, secret_key) = w.upload(b"not for Bob");
    let (wanted, _) = w.upload(b"for Bob");
    let reader = w.add(Role::Doctor, "Dr Bob");
    let request =
        w.ledger.request(&reader, &wanted.report, Purpose::Treatment, w.in_days(1)).unwrap();
    for role in [SlotRole::Patient, SlotRole::Collection] {
        let moved = row(&w, secret.report.as_bytes(), role.code()).1;
        plant(&w, &row(&w, wanted.report.as_bytes(), role.code()).0, &moved);
    }
    for key in [Key::Access(&secret_key), Key::Identity] {
        let error = w.ledger.approve(&w.patient, &request, &key).unwrap_err();
        assert!(matches!(error, ApproveError::NoAccess), "{error}");
    }
    assert_eq!(Thief::new(&w).is(&reader).is(&w.hospital).copies(&w).opens(), []);
}
