//! Two hospitals, members of one ledger, each with its own folder: a patient of one lets a doctor of the other read.

use crate::hospitals::{House, founders, settle};
use crate::support::{PASSWORD, member, pick_up, rng};
use medledger::core::ids::RecordNonce;
use medledger::core::news::News;
use medledger::core::record::{Enrol, Record, Scope};
use medledger::core::registry::Kind;
use medledger::core::store::RecordQuery;
use medledger::{
    Key, Ledger, OpenReportError, Permission, Purpose, ReaderKey, ReleaseSlotError, Role,
    RotateError, SuccessionError, VerifyDepth,
};

fn reads(ledger: &Ledger) -> usize {
    let query = RecordQuery { kind: Some(Kind::Read), ..RecordQuery::default() };
    ledger.view().unwrap().find(&query).unwrap().len()
}

/// The ciphertext of all reports, as IPFS would carry it.
fn carry(from: &House, to: &House) {
    let mut car = Vec::new();
    from.ledger.export_chain(&mut car, true, &mut |_, _| {}).unwrap();
    // The chain is known there; what comes along are the reports.
    to.ledger.import_chain(&car[..], &mut |_| {}).unwrap();
}

#[test]
fn a_doctor_of_another_hospital_reads_by_a_slot_its_custodian_released() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [here, there] = &houses[..] else { panic!("two hospitals") };
    let all = [here, there];
    let (author, _) = member(&here.ledger, &here.identity, Role::Doctor, "Dr Ada");
    let (patient, _) = member(&here.ledger, &here.identity, Role::Patient, "Pat");
    let (bob, _) = member(&there.ledger, &there.identity, Role::Doctor, "Dr Bob");
    let (joy, _) = member(&there.ledger, &there.identity, Role::Nurse, "Nurse Joy");
    settle(&all);
    let uploaded = here.ledger.upload(&author, &patient.id(), &b"a report"[..]).unwrap();
    let report = uploaded.report;
    settle(&all);
    carry(here, there);

    // Bob asks at his own hospital, the patient hears of it and approves at theirs.
    let until = there.ledger.now().plus(86_400);
    let request = there.ledger.request(&bob, &report, Purpose::Treatment, until).unwrap();
    settle(&all);
    let waiting = here.ledger.requests(&patient.id()).unwrap();
    assert_eq!((waiting.len(), waiting[0].id), (1, request));
    let mut approved = here.ledger.approve(&patient, &request, &Key::Identity).unwrap();
    let key = pick_up(&mut approved.delivery);
    let key = Key::Access(&key);
    let collection = Scope::Collection(here.identity.id());
    let permission = Permission::new(collection, joy.id(), Purpose::Treatment, until);
    here.ledger.share(&patient, permission, &Key::Identity, ReaderKey::Identity).unwrap();
    settle(&all);

    // His hospital keeps no slot: it says whom to ask.
    let error = there.ledger.open_report(&bob, &report, &key).unwrap_err();
    assert!(matches!(error, OpenReportError::NoSlot(at) if at == here.identity.id()), "{error}");
    let before = reads(&here.ledger);
    for (reader, key) in [(&bob, &key), (&joy, &Key::Identity)] {
        let ask = there.ledger.ask_for_slot(reader, &report, key).unwrap();
        let release = here.ledger.release_slot(&here.identity, &ask.bytes).unwrap();
        let mut opened = there.ledger.open_released(reader, &report, key, &release).unwrap();
        assert_eq!(opened.to_vec().unwrap(), b"a report");
        // The other hospital is not the custodian, and has nothing to give.
        let error = there.ledger.release_slot(&there.identity, &ask.bytes).unwrap_err();
        assert!(matches!(error, ReleaseSlotError::Message(_)), "{error}");
    }
    assert_eq!(reads(&here.ledger), before + 2, "recorded before anything was released");
    settle(&all);
    // Everybody has the readings, and the same chain.
    assert_eq!(reads(&there.ledger), reads(&here.ledger));

    // Taken back here, it is refused here at once, and there as soon as it is known.
    here.ledger.revoke(&patient, &approved.grant).unwrap();
    let ask = there.ledger.ask_for_slot(&bob, &report, &key).unwrap();
    let error = here.ledger.release_slot(&here.identity, &ask.bytes).unwrap_err();
    assert!(matches!(error, ReleaseSlotError::NoAccess), "{error}");
    settle(&all);
    let error = there.ledger.ask_for_slot(&bob, &report, &key).unwrap_err();
    assert!(matches!(error, OpenReportError::Revoked), "{error}");
    for house in all {
        let found = house.ledger.verify(VerifyDepth::Full).unwrap().findings;
        assert!(found.is_empty(), "{found:?}");
    }
}

/// The patient of one hospital comes to another.
fn enrol(patient: &medledger::Identity, at: &House) {
    let hospital = at.identity.id();
    let key = patient.collection_key(&hospital, 1).public_key();
    let record = Record {
        chain: at.ledger.chain(),
        nonce: RecordNonce::random(&mut rng()),
        author: patient.id(),
        time: at.ledger.now(),
        body: Enrol { hospital, epoch: 1, key }.into(),
    };
    let mut news = News::new(at.ledger.chain());
    news.records.push(record.sign(patient).encode().into());
    assert_eq!(at.ledger.import_news(&news.encode()).unwrap().records, 1);
}

#[test]
fn new_keys_leave_alone_what_another_hospital_keeps_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [here, there] = &houses[..] else { panic!("two hospitals") };
    let all = [here, there];
    let (patient, _) = member(&here.ledger, &here.identity, Role::Patient, "Pat");
    let (author, _) = member(&there.ledger, &there.identity, Role::Doctor, "Dr Ada");
    let (joy, _) = member(&there.ledger, &there.identity, Role::Nurse, "Nurse Joy");
    settle(&all);
    enrol(&patient, there);
    settle(&all);
    let upload = |bytes: &[u8]| {
        let uploaded = there.ledger.upload(&author, &patient.id(), bytes).unwrap();
        // In a block of its own hospital: with that goes the ciphertext.
        there.ledger.wait_mined(&uploaded.record).unwrap();
        settle(&all);
        uploaded.report
    };
    let early = upload(b"early");
    let until = there.ledger.now().plus(86_400);
    let collection = Scope::Collection(there.identity.id());
    let permission = Permission::new(collection, joy.id(), Purpose::Treatment, until);
    there.ledger.share(&patient, permission, &Key::Identity, ReaderKey::Identity).unwrap();
    // A group of the other hospital, with a doctor of this one in it.
    let (bob, _) = member(&here.ledger, &here.identity, Role::Doctor, "Dr Bob");
    settle(&all);
    let group = there.ledger.create_group(&there.identity, "board", &[bob.id()]).unwrap().id;
    settle(&all);

    let (next, succession) = here.ledger.succeed(&patient, PASSWORD).unwrap();
    assert_eq!(succession.collections, [here.identity.id()]);
    assert_eq!(succession.elsewhere, [there.identity.id()]);
    settle(&all);
    let opens = |who: &medledger::Identity, report| {
        let mut opened = there.ledger.open_report(who, report, &Key::Identity).unwrap();
        opened.to_vec().unwrap()
    };
    // Who reads there is not cut off by what was done here.
    let late = upload(b"late");
    for who in [&joy, &next] {
        assert_eq!((opens(who, &early), opens(who, &late)), (b"early".to_vec(), b"late".to_vec()));
    }
    here.ledger.rewrap(&next).unwrap();
    let error = here.ledger.forget_former_keys(&next, PASSWORD).unwrap_err();
    let SuccessionError::Elsewhere { hospitals } = error else { panic!("{error}") };
    assert_eq!(hospitals, [there.identity.id()]);
    assert_eq!(here.ledger.identity_info(&patient.id()).unwrap().former, 1);
    // Done there as well, nothing needs them any more, whatever can be seen from here.
    there.ledger.rewrap(&next).unwrap();
    there.ledger.renew_collection(&next, &there.identity.id()).unwrap();
    settle(&all);
    let bare = here.ledger.forget_former_keys_anyway(&next, PASSWORD).unwrap();
    let last = upload(b"last");
    for (report, text) in [(&early, &b"early"[..]), (&late, b"late"), (&last, b"last")] {
        assert_eq!(opens(&bare, report), text);
        assert_eq!(opens(&joy, report), text);
    }
    assert_eq!(here.ledger.identity_info(&patient.id()).unwrap().former, 0);

    // Bob's keys are lost: this hospital gives him others, and the group's own hospital its key.
    here.ledger.suspend(&here.identity, &bob.id()).unwrap();
    let (_, replaced) = here.ledger.replace_keys(&here.identity, &bob.id(), PASSWORD).unwrap();
    assert_eq!(replaced.elsewhere, [there.identity.id()]);
    settle(&all);
    let stale = |house: &House| house.ledger.group(&group).unwrap().unwrap().stale;
    assert!(stale(here) && stale(there), "its own hospital has only heard of it");
    there.ledger.change_group(&there.identity, &group, &[], &[], true).unwrap();
    settle(&all);
    assert!(!stale(here) && !stale(there));
}

#[test]
fn what_another_hospital_keeps_is_neither_marked_nor_rotated_here() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [here, there] = &houses[..] else { panic!("two hospitals") };
    let all = [here, there];
    let (author, _) = member(&here.ledger, &here.identity, Role::Doctor, "Dr Ada");
    let (patient, _) = member(&here.ledger, &here.identity, Role::Patient, "Pat");
    settle(&all);
    let kept = here.ledger.upload(&author, &patient.id(), &b"a report"[..]).unwrap().report;
    settle(&all);
    let is_told = |error: RotateError| {
        let RotateError::OtherHospital { report, hospital } = error else { panic!("{error}") };
        assert_eq!((report, hospital), (kept, here.identity.id()));
    };
    for scope in [Scope::Report(kept), Scope::Collection(here.identity.id())] {
        is_told(there.ledger.mark_for_rotation(&patient, &scope).unwrap_err());
    }
    assert!(there.ledger.marked_for_rotation(&patient.id()).unwrap().is_empty());
    is_told(there.ledger.rotate(&patient, &kept, &Key::Identity).unwrap_err());
    // There it is done, and a mark is taken back.
    assert_eq!(here.ledger.mark_for_rotation(&patient, &Scope::Report(kept)).unwrap(), 1);
    assert_eq!(here.ledger.unmark_for_rotation(&patient, Some(&[kept])).unwrap(), 1);
    assert_eq!(here.ledger.unmark_for_rotation(&patient, None).unwrap(), 0);
    here.ledger.rotate(&patient, &kept, &Key::Identity).unwrap();
}
