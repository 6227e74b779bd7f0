//! Grants beyond one report and one reader: several reports, collections, groups, roles, what is passed on.

use crate::support::{World, pick_up, world};
use medledger::core::engine::SubmitError;
use medledger::core::ids::RecordId;
use medledger::core::record::{ReportList, Scope};
use medledger::core::registry::VoidCode;
use medledger::{
    AccessKey, ApproveError, Approved, Delegation, Delivery, Identity, Key, OpenReportError,
    Permission, Purpose, ReaderKey, ReportId, Role,
};

const TREAT: Purpose = Purpose::Treatment;

/// A permission of a day.
fn permission(
    w: &World,
    scope: impl Into<Scope>,
    reader: impl Into<medledger::Reader>,
) -> Permission {
    Permission::new(scope, reader, TREAT, w.in_days(1))
}

fn share(w: &World, permission: Permission, reader_key: ReaderKey) -> Approved {
    let shared = w.ledger.share(&w.patient, permission, &Key::Identity, reader_key).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    shared
}

fn collection(w: &World) -> Scope {
    Scope::Collection(w.hospital.id())
}

fn opens(w: &World, reader: &Identity, report: &ReportId, key: &Key<'_>) -> Vec<u8> {
    w.ledger.open_report(reader, report, key).unwrap().to_vec().unwrap()
}

fn no_access(w: &World, reader: &Identity, report: &ReportId) -> OpenReportError {
    w.ledger.open_report(reader, report, &Key::Identity).unwrap_err()
}

fn mined(w: &World, record: RecordId) {
    w.ledger.wait_mined(&record).unwrap();
}

fn slots(w: &World) -> usize {
    let view = w.ledger.view().unwrap();
    let drawer = medledger::core::store::Drawer::Slots;
    view.local_scan(drawer, &[], None, usize::MAX).unwrap().len()
}

#[test]
fn one_key_opens_every_report_of_a_list_and_no_other() {
    let w = world();
    let reports: Vec<_> =
        [&b"one"[..], b"two", b"three"].iter().map(|text| w.upload(text).0.report).collect();
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let list = ReportList::new(reports[..2].to_vec()).unwrap();
    let mut shared = share(&w, permission(&w, list, nurse.id()), ReaderKey::Access);
    let key = pick_up(&mut shared.delivery);
    assert_eq!(opens(&w, &nurse, &reports[0], &Key::Access(&key)), b"one");
    assert_eq!(opens(&w, &nurse, &reports[1], &Key::Access(&key)), b"two");
    let other = w.ledger.open_report(&nurse, &reports[2], &Key::Access(&key)).unwrap_err();
    assert!(matches!(other, OpenReportError::NoAccess), "{other}");
    // An access key of the patient's opens one report only.
    let (_, patients_key) = w.upload(b"four");
    let list = ReportList::new(reports).unwrap();
    let permission = permission(&w, list, nurse.id());
    let error = w
        .ledger
        .share(&w.patient, permission, &Key::Access(&patients_key), ReaderKey::Access)
        .unwrap_err();
    assert!(matches!(error, ApproveError::NoAccess), "{error}");
}

#[test]
fn a_collection_opens_what_is_there_and_what_comes_by_identity_and_by_access_key() {
    let w = world();
    let (before, _) = w.upload(b"before");
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let doctor = w.add(Role::Doctor, "Dr Bob");
    share(&w, permission(&w, collection(&w), nurse.id()), ReaderKey::Identity);
    let mut shared = share(&w, permission(&w, collection(&w), doctor.id()), ReaderKey::Access);
    let key = pick_up(&mut shared.delivery);
    let kept = slots(&w);
    let (after, patients_key) = w.upload(b"after");
    assert_eq!(slots(&w), kept + 3, "an upload costs the same, however many may read");
    for (report, text) in [(&before.report, &b"before"[..]), (&after.report, b"after")] {
        assert_eq!(opens(&w, &nurse, report, &Key::Identity), text);
        assert_eq!(opens(&w, &doctor, report, &Key::Access(&key)), text);
    }
    let error = w
        .ledger
        .share(
            &w.patient,
            permission(&w, collection(&w), doctor.id()),
            &Key::Access(&patients_key),
            ReaderKey::Access,
        )
        .unwrap_err();
    assert!(matches!(error, ApproveError::NeedsIdentity), "{error}");
    let listed = w.ledger.reports(&nurse.id()).unwrap();
    assert_eq!(listed.len(), 2, "both are listed");
    assert!(listed.iter().all(|report| report.grants.len() == 1 && report.grants[0].live));
}

#[test]
fn pitfall_19_who_lost_a_collection_has_nothing_of_what_comes_and_the_others_go_on() {
    let w = world();
    let (early, _) = w.upload(b"early");
    let gone = w.add(Role::Nurse, "Nurse Gone");
    let stays = w.add(Role::Nurse, "Nurse Stays");
    let by_key = w.add(Role::Doctor, "Dr Key");
    let lost = share(&w, permission(&w, collection(&w), gone.id()), ReaderKey::Identity);
    share(&w, permission(&w, collection(&w), stays.id()), ReaderKey::Identity);
    let mut keyed = share(&w, permission(&w, collection(&w), by_key.id()), ReaderKey::Access);
    let key = pick_up(&mut keyed.delivery);
    assert_eq!(opens(&w, &gone, &early.report, &Key::Identity), b"early");
    mined(&w, w.ledger.revoke(&w.patient, &lost.grant).unwrap());
    let (late, _) = w.upload(b"late");
    for report in [&early.report, &late.report] {
        let error = no_access(&w, &gone, report);
        assert!(matches!(error, OpenReportError::Revoked), "{error}");
    }
    // The uploader wrapped it to another key than the one that was shared.
    let state = w.ledger.reports(&w.patient.id()).unwrap();
    assert_eq!(state.len(), 2);
    for (report, text) in [(&early.report, &b"early"[..]), (&late.report, b"late")] {
        assert_eq!(opens(&w, &stays, report, &Key::Identity), text);
        assert_eq!(
            opens(&w, &by_key, report, &Key::Access(&key)),
            text,
            "the key in the letter stays"
        );
        assert_eq!(opens(&w, &w.patient, report, &Key::Identity), text);
    }
    // And once more, from an epoch that has one before it.
    mined(&w, w.ledger.renew_collection(&w.patient, &w.hospital.id()).unwrap());
    let (last, _) = w.upload(b"last");
    for (report, text) in [(&early.report, &b"early"[..]), (&last.report, b"last")] {
        assert_eq!(opens(&w, &stays, report, &Key::Identity), text);
        assert_eq!(opens(&w, &by_key, report, &Key::Access(&key)), text);
    }
    let found = w.ledger.verify(medledger::VerifyDepth::Full).unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_group_reads_by_the_key_of_whoever_is_in_it() {
    let w = world();
    let (early, _) = w.upload(b"early");
    let [joy, bob, eve] = [(Role::Nurse, "Joy"), (Role::Doctor, "Bob"), (Role::Doctor, "Eve")]
        .map(|(role, name)| w.add(role, name));
    let ledger = &w.ledger;
    let group = ledger.create_group(&w.hospital, "tumour board", &[joy.id(), eve.id()]).unwrap().id;
    ledger.mine().unwrap();
    let shared = share(&w, permission(&w, early.report, group), ReaderKey::Access);
    assert_eq!(shared.delivery, Delivery::None, "a group has no key to be sent");
    for reader in [&joy, &eve] {
        assert_eq!(opens(&w, reader, &early.report, &Key::Identity), b"early");
    }
    assert!(matches!(no_access(&w, &bob, &early.report), OpenReportError::NoAccess));
    // Whoever joins reads what was given before.
    let kept = slots(&w);
    mined(&w, ledger.change_group(&w.hospital, &group, &[bob.id()], &[], false).unwrap());
    assert_eq!(slots(&w), kept + 1, "joining wraps one key, whatever was granted");
    assert_eq!(opens(&w, &bob, &early.report, &Key::Identity), b"early");
    // Whoever leaves reads neither that nor what comes.
    mined(&w, ledger.change_group(&w.hospital, &group, &[], &[eve.id()], false).unwrap());
    let (late, _) = w.upload(b"late");
    share(&w, permission(&w, late.report, group), ReaderKey::Identity);
    share(&w, permission(&w, collection(&w), group), ReaderKey::Identity);
    for (report, text) in [(&early.report, &b"early"[..]), (&late.report, b"late")] {
        assert!(matches!(no_access(&w, &eve, report), OpenReportError::NoAccess));
        for reader in [&joy, &bob] {
            assert_eq!(opens(&w, reader, report, &Key::Identity), text);
        }
    }
    let found = ledger.group(&group).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.entry.epoch), ("tumour board", 2));
    assert_eq!(found.members.len(), 2);
    let error = ledger.change_group(&w.doctor, &group, &[eve.id()], &[], false).unwrap_err();
    assert!(error.to_string().contains("no such group"), "{error}");
    let error = ledger.create_group(&w.hospital, "a\u{202e}b", &[]).unwrap_err();
    assert!(error.to_string().contains("visible characters"), "{error}");
}

#[test]
fn a_role_at_a_hospital_reads_and_so_does_who_is_registered_later() {
    let w = world();
    let (report, _) = w.upload(b"a report");
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let group = w.ledger.create_role_group(&w.hospital, Role::Doctor).unwrap().id;
    w.ledger.mine().unwrap();
    share(&w, permission(&w, report.report, group), ReaderKey::Identity);
    let late = w.add(Role::Doctor, "Dr Late");
    for doctor in [&w.doctor, &late] {
        assert_eq!(opens(&w, doctor, &report.report, &Key::Identity), b"a report");
    }
    assert!(matches!(no_access(&w, &nurse, &report.report), OpenReportError::NoAccess));
    let second = w.ledger.create_role_group(&w.hospital, Role::Doctor).unwrap_err();
    assert!(second.to_string().contains("exists already"), "{second}");
}

/// A doctor with a grant that may be passed on, and the key it came with.
fn delegable(w: &World, scope: impl Into<Scope>) -> (Identity, Approved, AccessKey) {
    let bob = w.add(Role::Doctor, "Dr Bob");
    let mut shared = share(w, permission(w, scope, bob.id()).delegable(1), ReaderKey::Access);
    let key = pick_up(&mut shared.delivery);
    (bob, shared, key)
}

#[test]
fn what_may_be_passed_on_opens_for_the_next_until_it_is_taken_back() {
    let w = world();
    let (report, _) = w.upload(b"a report");
    let (bob, shared, key) = delegable(&w, report.report);
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let key = Key::Access(&key);
    let mut passed =
        w.ledger.delegate(&bob, &shared.grant, &key, Delegation::to(nurse.id())).unwrap();
    w.ledger.wait_mined(&passed.record).unwrap();
    let nurses = pick_up(&mut passed.delivery);
    assert_eq!(opens(&w, &nurse, &report.report, &Key::Access(&nurses)), b"a report");
    // The patient sees both.
    let listed = &w.ledger.reports(&w.patient.id()).unwrap()[0].grants;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].entry.parent, Some(shared.grant));
    // Not further, not by others, not with another key.
    let refused = |who: &Identity, grant, key: &Key<'_>| {
        let error = w.ledger.delegate(who, grant, key, Delegation::to(w.doctor.id())).unwrap_err();
        match error {
            ApproveError::Refused(code) => code,
            ApproveError::Submit(SubmitError::Refused { code, .. }) => code,
            ApproveError::NoAccess => VoidCode::UnknownGrant,
            other => panic!("{other}"),
        }
    };
    let nurses = Key::Access(&nurses);
    assert_eq!(refused(&nurse, &passed.grant, &nurses), VoidCode::NotDelegable);
    assert_eq!(refused(&nurse, &shared.grant, &key), VoidCode::UnknownGrant);
    assert_eq!(refused(&w.doctor, &passed.grant, &nurses), VoidCode::UnknownGrant);
    assert_eq!(refused(&bob, &shared.grant, &nurses), VoidCode::UnknownGrant, "wrong key");
    // What the patient takes back from the doctor, the nurse has lost.
    mined(&w, w.ledger.revoke(&w.patient, &shared.grant).unwrap());
    for (who, key) in [(&bob, &key), (&nurse, &nurses)] {
        let error = w.ledger.open_report(who, &report.report, key).unwrap_err();
        assert!(matches!(error, OpenReportError::Revoked), "{error}");
    }
    assert_eq!(refused(&bob, &shared.grant, &key), VoidCode::Revoked);
    assert_eq!(slots(&w), 3, "the slots of both are gone, those of the patient stay");
}

#[test]
fn a_part_of_a_collection_is_passed_on_and_taken_back_by_who_passed_it_on() {
    let w = world();
    let (report, _) = w.upload(b"a report");
    let (other, _) = w.upload(b"another");
    let (bob, shared, key) = delegable(&w, collection(&w));
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let mut part = Delegation::to(nurse.id());
    part.scope = Some(Scope::Report(report.report));
    part.reader_key = ReaderKey::Identity;
    let key = Key::Access(&key);
    let passed = w.ledger.delegate(&bob, &shared.grant, &key, part.clone()).unwrap();
    mined(&w, passed.record);
    assert_eq!(opens(&w, &nurse, &report.report, &Key::Identity), b"a report");
    assert!(matches!(no_access(&w, &nurse, &other.report), OpenReportError::NoAccess));
    let mut longer = part;
    longer.until = Some(w.in_days(2));
    let error = w.ledger.delegate(&bob, &shared.grant, &key, longer).unwrap_err();
    assert!(error.to_string().contains("wider"), "{error}");
    // Who only holds it takes nothing back: it is as if there were no such grant.
    mined(&w, w.ledger.revoke(&nurse, &passed.grant).unwrap());
    assert_eq!(opens(&w, &nurse, &report.report, &Key::Identity), b"a report");
    mined(&w, w.ledger.revoke(&bob, &passed.grant).unwrap());
    assert!(matches!(no_access(&w, &nurse, &report.report), OpenReportError::Revoked));
    assert_eq!(opens(&w, &bob, &report.report, &key), b"a report");
}
