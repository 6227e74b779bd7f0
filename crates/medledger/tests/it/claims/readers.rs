//! Readers whose own keys were lost: they are given nothing more, and what they have through a group stays open to them.

use super::thief::Thief;
use super::{collection, rotate, share};
use crate::support::{PASSWORD, world};
use medledger::core::registry::VoidCode;
use medledger::{ApproveError, Key, Permission, Purpose, ReaderKey, Role};

#[test]
fn pitfall_19_a_reader_whose_keys_were_lost_is_given_nothing_more() {
    let w = world();
    let ((early, _), (other, _)) = (w.upload(b"early"), w.upload(b"another"));
    let lost = w.add(Role::Doctor, "Lost");
    share(&w, early.report, &lost, ReaderKey::Identity);
    share(&w, collection(&w), &lost, ReaderKey::Identity);
    let mut thief = Thief::new(&w).is(&lost).copies(&w);
    let had = thief.opens();
    assert_eq!(had.len(), 2, "both, through the collection");
    w.ledger.wait_mined(&w.ledger.suspend(&w.hospital, &lost.id()).unwrap()).unwrap();
    for scope in [other.report.into(), collection(&w)] {
        let permission = Permission::new(scope, lost.id(), Purpose::Treatment, w.in_days(1));
        let error = w
            .ledger
            .share(&w.patient, permission, &Key::Identity, ReaderKey::Identity)
            .unwrap_err();
        assert!(matches!(error, ApproveError::Refused(VoidCode::SuspendedReader)), "{error}");
    }
    // The patient begins anew because of the theft: neither the next key of the collection nor that of a report is for
    // whoever has the lost keys.
    let renewed = w.ledger.renew_collection(&w.patient, &w.hospital.id()).unwrap();
    w.ledger.wait_mined(&renewed).unwrap();
    rotate(&w, &early.report);
    w.upload(b"late");
    assert_eq!(thief.copies(&w).opens(), had, "what the reader had then, and no more");
}

#[test]
fn a_group_opens_where_the_readers_own_permission_is_wrapped_to_keys_that_were_lost() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let doctor = w.add(Role::Doctor, "Doctor");
    let board = w.ledger.create_group(&w.hospital, "board", &[doctor.id()]).unwrap().id;
    w.ledger.mine().unwrap();
    let permission = Permission::new(uploaded.report, board, Purpose::Treatment, w.in_days(1));
    let by_group =
        w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Identity).unwrap();
    w.ledger.wait_mined(&by_group.record).unwrap();
    let own = share(&w, uploaded.report, &doctor, ReaderKey::Identity);
    let opened = w.ledger.open_report(&doctor, &uploaded.report, &Key::Identity).unwrap();
    assert_eq!(opened.grant(), Some(own.grant), "that given last");

    w.ledger.wait_mined(&w.ledger.suspend(&w.hospital, &doctor.id()).unwrap()).unwrap();
    let (next, succession) = w.ledger.replace_keys(&w.hospital, &doctor.id(), PASSWORD).unwrap();
    w.ledger.wait_mined(&succession.record).unwrap();
    // More often than wrong keys may be tried.
    for _ in 0..7 {
        let mut opened = w.ledger.open_report(&next, &uploaded.report, &Key::Identity).unwrap();
        assert_eq!(opened.grant(), Some(by_group.grant));
        assert_eq!(opened.to_vec().unwrap(), b"a report");
    }
}
