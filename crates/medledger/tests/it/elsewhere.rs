//! Two hospitals, members of one ledger, each with its own folder: a patient of one lets a doctor of the other read.

use crate::hospitals::{House, founders, settle};
use crate::support::{member, pick_up};
use medledger::core::record::Scope;
use medledger::core::registry::Kind;
use medledger::core::store::RecordQuery;
use medledger::{
    Key, Ledger, OpenReportError, Permission, Purpose, ReaderKey, ReleaseSlotError, Role,
    VerifyDepth,
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
