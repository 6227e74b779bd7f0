//! A reader where the slot is not: asks its custodian, who records the reading and releases the slot sealed to
//! the reader. The reader's side is a copy of the chain without any slot.

use crate::support::{PASSWORD, World, open, pick_up, world};
use medledger::core::record::{Grantee, Scope};
use medledger::core::registry::{Kind, limit};
use medledger::core::release::ReleaseError;
use medledger::core::store::{Drawer, RecordQuery};
use medledger::{
    AccessKey, GrantId, Identity, Key, Ledger, OpenReportError, Permission, Purpose, Reader,
    ReaderKey, ReleaseSlotError, ReportId, Role,
};

struct There {
    w: World,
    /// Another copy of the chain, with the ciphertext and without slots.
    copy: Ledger,
    _dir: tempfile::TempDir,
}

/// A copy of all that is there now.
fn copied(w: World) -> There {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("copy");
    let mut car = Vec::new();
    w.ledger.export_chain(&mut car, true, &mut |_, _| {}).unwrap();
    let chain = w.ledger.chain();
    drop(Ledger::follow(&folder, &chain, &car[..], &mut |_| {}).unwrap());
    let copy = open(&folder, &w.clock);
    assert!(copy.view().unwrap().local_scan(Drawer::Slots, &[], None, 9).unwrap().is_empty());
    There { w, copy, _dir: dir }
}

fn share(
    w: &World,
    scope: impl Into<Scope>,
    reader: impl Into<Reader>,
    key: ReaderKey,
) -> Option<AccessKey> {
    let permission = Permission::new(scope, reader, Purpose::Treatment, w.in_days(1));
    let mut shared = w.ledger.share(&w.patient, permission, &Key::Identity, key).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    let by_name = matches!(shared.permission.reader, Reader::Member(_));
    (by_name && key == ReaderKey::Access).then(|| pick_up(&mut shared.delivery))
}

impl There {
    fn reads(&self) -> usize {
        let query = RecordQuery { kind: Some(Kind::Read), ..RecordQuery::default() };
        self.w.ledger.view().unwrap().find(&query).unwrap().len()
    }

    /// The grants of the one report: that to a group, and the reader's own.
    fn grants(&self, reader: &Identity) -> [GrantId; 2] {
        let grants = &self.w.ledger.reports(&self.w.patient.id()).unwrap()[0].grants;
        let (own, others): (Vec<_>, Vec<_>) =
            grants.iter().partition(|grant| grant.entry.reader == Grantee::Member(reader.id()));
        [others[0].id, own[0].id]
    }

    /// The whole way: asked there, released here, opened there.
    fn opens(&self, reader: &Identity, report: &ReportId, key: &Key<'_>) -> Vec<u8> {
        let before = self.reads();
        let ask = self.copy.ask_for_slot(reader, report, key).unwrap();
        assert_eq!(ask.custodian, self.w.hospital.id());
        let release = self.w.ledger.release_slot(&self.w.hospital, &ask.bytes).unwrap();
        assert_eq!(self.reads(), before + 1, "recorded before it is released");
        let mut opened = self.copy.open_released(reader, report, key, &release).unwrap();
        assert_eq!(opened.read_record(), ask.read);
        opened.to_vec().unwrap()
    }
}

#[test]
fn every_kind_of_grant_opens_at_another_copy_once_the_reading_is_recorded() {
    let w = world();
    let (early, patients_key) = w.upload(b"early");
    let [keyed, named, all, grouped] =
        ["Keyed", "Named", "All", "Grouped"].map(|name| w.add(Role::Doctor, name));
    let key = share(&w, early.report, keyed.id(), ReaderKey::Access).unwrap();
    share(&w, early.report, named.id(), ReaderKey::Identity);
    share(&w, Scope::Collection(w.hospital.id()), all.id(), ReaderKey::Identity);
    let group =
        w.ledger.create_group(&w.hospital, "board", &[grouped.id(), named.id()]).unwrap().id;
    w.ledger.mine().unwrap();
    share(&w, early.report, group, ReaderKey::Identity);
    // Epochs have moved since on both ways.
    let left = w.ledger.change_group(&w.hospital, &group, &[], &[named.id()], false).unwrap();
    w.ledger.wait_mined(&left).unwrap();
    let renewed = w.ledger.renew_collection(&w.patient, &w.hospital.id()).unwrap();
    w.ledger.wait_mined(&renewed).unwrap();
    let (late, _) = w.upload(b"late");
    let there = copied(w);
    let w = &there.w;
    assert_eq!(there.opens(&keyed, &early.report, &Key::Access(&key)), b"early");
    assert_eq!(there.opens(&named, &early.report, &Key::Identity), b"early");
    assert_eq!(there.opens(&grouped, &early.report, &Key::Identity), b"early");
    for (report, text) in [(&early.report, &b"early"[..]), (&late.report, b"late")] {
        assert_eq!(there.opens(&all, report, &Key::Identity), text);
        assert_eq!(there.opens(&w.patient, report, &Key::Identity), text);
    }
    assert_eq!(there.opens(&w.patient, &early.report, &Key::Access(&patients_key)), b"early");
    // The copy holds no slot afterwards either, and opens nothing by itself.
    let error = there.copy.open_report(&named, &early.report, &Key::Identity).unwrap_err();
    assert!(matches!(error, OpenReportError::Store(_) | OpenReportError::NoSlot(_)), "{error}");
    let found = w.ledger.verify(medledger::VerifyDepth::Full).unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn it_is_asked_for_under_the_group_where_the_readers_own_newest_grant_is_wrapped_to_lost_keys() {
    let w = world();
    let (report, _) = w.upload(b"a report");
    let doctor = w.add(Role::Doctor, "Dr Bob");
    let board = w.ledger.create_group(&w.hospital, "board", &[doctor.id()]).unwrap().id;
    w.ledger.mine().unwrap();
    share(&w, report.report, board, ReaderKey::Identity);
    share(&w, report.report, doctor.id(), ReaderKey::Identity);
    w.ledger.wait_mined(&w.ledger.suspend(&w.hospital, &doctor.id()).unwrap()).unwrap();
    let (next, succession) = w.ledger.replace_keys(&w.hospital, &doctor.id(), PASSWORD).unwrap();
    w.ledger.wait_mined(&succession.record).unwrap();
    let there = copied(w);
    assert_eq!(there.opens(&next, &report.report, &Key::Identity), b"a report");
    // What the group gives is named, and given to the one who asks.
    let [group, own] = there.grants(&doctor);
    let ask = there.copy.ask_for_slot(&next, &report.report, &Key::Identity).unwrap();
    let release = there.w.ledger.release_slot(&there.w.hospital, &ask.bytes).unwrap();
    let opened = there.copy.open_released(&next, &report.report, &Key::Identity, &release).unwrap();
    assert_eq!(opened.grant(), Some(group));
    assert_ne!(group, own);
}

#[test]
fn pitfall_47_a_request_is_answered_again_in_its_time_and_recorded_once() {
    let w = world();
    let (report, _) = w.upload(b"a report");
    let doctor = w.add(Role::Doctor, "Dr Bob");
    share(&w, report.report, doctor.id(), ReaderKey::Identity);
    let there = copied(w);
    let (w, hospital) = (&there.w, &there.w.hospital);
    let ask = there.copy.ask_for_slot(&doctor, &report.report, &Key::Identity).unwrap();
    for _ in 0..3 {
        w.ledger.release_slot(hospital, &ask.bytes).unwrap();
        w.ledger.mine().unwrap();
    }
    assert_eq!(there.reads(), 1);
    w.pass(limit::RELEASE_SECONDS + 1);
    let late = w.ledger.release_slot(hospital, &ask.bytes).unwrap_err();
    assert!(matches!(late, ReleaseSlotError::Stale { .. }), "{late}");
    // Where nothing can be recorded nothing is released.
    let ask = there.copy.ask_for_slot(&doctor, &report.report, &Key::Identity).unwrap();
    let reader = Ledger::open_read_only(&w.folder).unwrap();
    let error = reader.release_slot(hospital, &ask.bytes).unwrap_err();
    assert!(
        matches!(error, ReleaseSlotError::Store(_) | ReleaseSlotError::Stale { .. }),
        "{error}"
    );
    assert_eq!(there.reads(), 1);
}

#[test]
fn pitfall_35_whoever_may_not_have_it_gets_one_answer() {
    let w = world();
    let (report, _) = w.upload(b"a report");
    let (bob, eve) = (w.add(Role::Doctor, "Dr Bob"), w.add(Role::Doctor, "Dr Eve"));
    let key = share(&w, report.report, bob.id(), ReaderKey::Access).unwrap();
    let there = copied(w);
    let (w, hospital) = (&there.w, &there.w.hospital);
    let key = Key::Access(&key);
    // Not Eve's grant, and not with another key: her own copy says so already.
    let error = there.copy.ask_for_slot(&eve, &report.report, &key).unwrap_err();
    assert!(matches!(error, OpenReportError::NoAccess), "{error}");
    let wrong = AccessKey::from_bytes([7; 16]);
    let error = there.copy.ask_for_slot(&bob, &report.report, &Key::Access(&wrong)).unwrap_err();
    assert!(matches!(error, OpenReportError::WrongKey), "{error}");
    // A copy that does not know of the revocation asks in vain.
    let ask = there.copy.ask_for_slot(&bob, &report.report, &key).unwrap();
    let release = w.ledger.release_slot(hospital, &ask.bytes).unwrap();
    let grant = w.ledger.reports(&w.patient.id()).unwrap()[0].grants[0].id;
    w.ledger.revoke(&w.patient, &grant).unwrap();
    let ask = there.copy.ask_for_slot(&bob, &report.report, &key).unwrap();
    let before = there.reads();
    let error = w.ledger.release_slot(hospital, &ask.bytes).unwrap_err();
    assert!(matches!(error, ReleaseSlotError::NoAccess), "{error}");
    assert_eq!(there.reads(), before, "nothing is recorded for what is refused");
    // The release is for Bob, with Bob's key, by the custodian.
    let error = there.copy.open_released(&eve, &report.report, &key, &release).unwrap_err();
    assert!(matches!(error, OpenReportError::NoAccess), "{error}");
    let error = there.copy.open_released(&bob, &report.report, &key, &ask.bytes).unwrap_err();
    assert!(matches!(error, OpenReportError::Release(_)), "{error}");
    let error = w.ledger.release_slot(&eve, &ask.bytes).unwrap_err();
    assert!(matches!(error, ReleaseSlotError::Message(ReleaseError::NotForYou { .. })), "{error}");
    let error = w.ledger.release_slot(hospital, b"garbage").unwrap_err();
    assert!(matches!(error, ReleaseSlotError::Message(ReleaseError::Encoding(_))), "{error}");
}
