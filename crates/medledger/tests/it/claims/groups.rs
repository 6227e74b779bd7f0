//! Groups of whoever lost their keys: what comes is not for whoever has those, with all copies of everything.

use super::collection;
use super::thief::Thief;
use crate::support::{PASSWORD, World, world};
use medledger::core::record::Scope;
use medledger::core::registry::VoidCode;
use medledger::{
    ApproveError, GroupError, GroupId, Identity, Key, OpenReportError, Permission, Purpose,
    ReaderKey, RecordId, ReportId, Role, RotateError,
};

fn give(
    w: &World,
    scope: impl Into<Scope>,
    group: GroupId,
) -> Result<medledger::GrantId, ApproveError> {
    let permission = Permission::new(scope, group, Purpose::Treatment, w.in_days(1));
    let shared = w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Identity)?;
    w.ledger.wait_mined(&shared.record).unwrap();
    Ok(shared.grant)
}

fn opens(w: &World, reader: &Identity, report: &ReportId) -> Vec<u8> {
    w.ledger.open_report(reader, report, &Key::Identity).unwrap().to_vec().unwrap()
}

/// The group's epoch, and whether it is stale.
fn group(w: &World, id: &GroupId) -> (u32, bool) {
    let group = w.ledger.group(id).unwrap().unwrap();
    (group.entry.epoch, group.stale)
}

/// How many blocks are stored, whether anything refers to them or not.
fn blocks(w: &World) -> usize {
    w.ledger.blocks().list().unwrap().map(Result::unwrap).count()
}

fn mined(w: &World, record: &RecordId) {
    w.ledger.wait_mined(record).unwrap();
}

fn stale(error: &ApproveError) -> bool {
    matches!(error, ApproveError::Refused(VoidCode::StaleGroup))
}

#[test]
fn pitfall_19_what_a_group_is_given_after_a_member_lost_keys_is_not_for_whoever_has_them() {
    let w = world();
    let ((early, _), (shared, _)) = (w.upload(b"early"), w.upload(b"of the collection"));
    let [lost, stays] = ["Lost", "Stays"].map(|name| w.add(Role::Doctor, name));
    let board = w.ledger.create_group(&w.hospital, "board", &[lost.id(), stays.id()]).unwrap().id;
    let doctors = w.ledger.create_role_group(&w.hospital, Role::Doctor).unwrap().id;
    w.ledger.mine().unwrap();
    give(&w, early.report, board).unwrap();
    // With every copy there ever is of database and node key.
    let thief = Thief::new(&w).is(&lost).copies(&w);
    // The hospital suspends, and its groups move on in the same unit of work.
    mined(&w, &w.ledger.suspend(&w.hospital, &lost.id()).unwrap());
    assert_eq!((group(&w, &board), group(&w, &doctors)), ((2, false), (2, false)));
    let (late, _) = w.upload(b"late");
    for (report, to) in [(&late, board), (&shared, doctors)] {
        give(&w, report.report, to).unwrap();
        assert!(!opens(&w, &stays, &report.report).is_empty());
    }
    let thief = thief.copies(&w);
    // The doctor has other keys, and the group's with them; all of it is read on.
    let (next, succession) = w.ledger.replace_keys(&w.hospital, &lost.id(), PASSWORD).unwrap();
    mined(&w, &succession.record);
    assert_eq!(group(&w, &board), (2, false), "it moved already");
    for report in [&early, &late, &shared] {
        assert!(!opens(&w, &next, &report.report).is_empty());
    }
    let (last, _) = w.upload(b"last");
    give(&w, last.report, board).unwrap();
    assert_eq!(opens(&w, &next, &last.report), b"last");
    assert_eq!(thief.copies(&w).opens(), [(early.report, 1)], "what was the doctor's then");
    // Without the groups' next keys the thief had them all: the first line of each `give` would have done.
    let mut all: Vec<_> = [&early, &late, &shared, &last].map(|r| (r.report, 1)).into();
    all.sort_unstable();
    assert_eq!(Thief::new(&w).is(&stays).copies(&w).opens(), all);
}

#[test]
fn pitfall_19_nothing_is_wrapped_to_a_group_that_its_hospital_has_not_renewed_since_keys_were_lost()
{
    let w = world();
    let ((early, _), (other, _)) = (w.upload(b"early"), w.upload(b"another"));
    let [lost, stays] = ["Lost", "Stays"].map(|name| w.add(Role::Doctor, name));
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let board = w.ledger.create_group(&w.hospital, "board", &[lost.id(), stays.id()]).unwrap().id;
    w.ledger.mine().unwrap();
    give(&w, early.report, board).unwrap();
    let on_collection = give(&w, collection(&w), board).unwrap();
    let mut passing = Permission::new(other.report, nurse.id(), Purpose::Treatment, w.in_days(1));
    passing = passing.delegable(1);
    let parent = w.ledger.share(&w.patient, passing, &Key::Identity, ReaderKey::Identity).unwrap();
    mined(&w, &parent.record);
    let thief = Thief::new(&w).is(&lost).copies(&w);

    // The doctor does it alone: nobody has the hospital's identity.
    mined(&w, &w.ledger.suspend(&lost, &lost.id()).unwrap());
    assert_eq!(group(&w, &board), (1, true));
    let refused = give(&w, other.report, board).unwrap_err();
    assert!(stale(&refused), "{refused}");
    assert!(stale(&give(&w, collection(&w), board).unwrap_err()));
    let delegation = medledger::Delegation::to(board);
    let passed = w.ledger.delegate(&nurse, &parent.grant, &Key::Identity, delegation).unwrap_err();
    assert!(stale(&passed), "{passed}");
    let before = blocks(&w);
    let rotated = w.ledger.rotate(&w.patient, &early.report, &Key::Identity).unwrap_err();
    assert!(matches!(rotated, RotateError::Refused(VoidCode::StaleGroup)), "{rotated}");
    assert_eq!(blocks(&w), before, "nothing was sealed for it");
    let renewed = w.ledger.renew_collection(&w.patient, &w.hospital.id()).unwrap_err();
    assert!(stale(&renewed), "{renewed}");
    // Nobody joins with keys that are lost, nor begins a group with them.
    for result in [
        w.ledger.create_group(&w.hospital, "new", &[lost.id()]).map(|made| made.record),
        w.ledger.change_group(&w.hospital, &board, &[lost.id()], &[], false),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, GroupError::Suspended(who) if who == lost.id()), "{error}");
    }
    // Those who remain read on.
    assert_eq!(opens(&w, &stays, &early.report), b"early");
    let gone = w.ledger.open_report(&lost, &early.report, &Key::Identity).unwrap_err();
    assert!(matches!(gone, OpenReportError::Suspended(_)), "{gone}");

    // What has to go on goes on without that group: a reader of the collection is cut off, and it with them.
    let joy = Permission::new(collection(&w), nurse.id(), Purpose::Treatment, w.in_days(1));
    let joy = w.ledger.share(&w.patient, joy, &Key::Identity, ReaderKey::Identity).unwrap();
    mined(&w, &joy.record);
    mined(&w, &w.ledger.revoke(&w.patient, &joy.grant).unwrap());
    let (late, _) = w.upload(b"late");
    w.ledger.open_report(&stays, &late.report, &Key::Identity).unwrap_err();
    assert_eq!(opens(&w, &stays, &other.report), b"another", "by the collection's key of before");

    // The hospital comes: new keys for the doctor, and for the group in the same unit.
    let (next, succession) = w.ledger.replace_keys(&w.hospital, &lost.id(), PASSWORD).unwrap();
    mined(&w, &succession.record);
    assert_eq!(group(&w, &board), (2, false));
    assert!(w.ledger.renew_stale_groups(&w.hospital).unwrap().is_empty());
    // The patient gives it what came meanwhile.
    mined(&w, &w.ledger.renew_collection(&w.patient, &w.hospital.id()).unwrap());
    mined(&w, &w.ledger.rotate(&w.patient, &early.report, &Key::Identity).unwrap().record);
    for (_, confirmed) in w.ledger.confirm_rotations(&w.hospital).unwrap() {
        let medledger::Confirmed::Same(record) = confirmed else { panic!("{confirmed:?}") };
        mined(&w, &record);
    }
    let (last, _) = w.upload(b"last");
    for reader in [&stays, &next] {
        for (report, text) in
            [(&early, &b"early"[..]), (&other, b"another"), (&late, b"late"), (&last, b"last")]
        {
            assert_eq!(opens(&w, reader, &report.report), text);
        }
    }
    // Of that whoever has the lost keys and copies of before and after has what was the doctor's.
    let mut had = vec![(early.report, 1), (other.report, 1)];
    had.sort_unstable();
    assert_eq!(thief.copies(&w).opens(), had);
    mined(&w, &w.ledger.revoke(&w.patient, &on_collection).unwrap());
}

#[test]
fn a_hospital_renews_the_groups_of_whoever_suspended_their_own_keys() {
    let w = world();
    let (report, _) = w.upload(b"a report");
    let [lost, stays] = ["Lost", "Stays"].map(|name| w.add(Role::Doctor, name));
    let ids = [lost.id(), stays.id()];
    let groups = ["one", "two"].map(|name| {
        let made = w.ledger.create_group(&w.hospital, name, &ids).unwrap();
        mined(&w, &made.record);
        made.id
    });
    let without = w.ledger.create_group(&w.hospital, "three", &ids[1..]).unwrap().id;
    w.ledger.suspend(&lost, &lost.id()).unwrap();
    let renewed = w.ledger.renew_stale_groups(&w.hospital).unwrap();
    let mut expected = groups;
    expected.sort_unstable();
    assert_eq!(renewed.iter().map(|(group, _)| *group).collect::<Vec<_>>(), expected);
    for (_, record) in &renewed {
        mined(&w, record);
    }
    for group_id in groups {
        assert_eq!(group(&w, &group_id), (2, false));
    }
    assert_eq!(group(&w, &without), (1, false), "nobody of it lost anything");
    // A role group that is made now is without the lost keys from its first key on.
    let doctors = w.ledger.create_role_group(&w.hospital, Role::Doctor).unwrap();
    mined(&w, &doctors.record);
    assert_eq!(group(&w, &doctors.id), (1, false));
    let thief = Thief::new(&w).is(&lost).copies(&w);
    for group in [groups[0], doctors.id] {
        give(&w, report.report, group).unwrap();
    }
    assert_eq!(opens(&w, &stays, &report.report), b"a report");
    assert_eq!(thief.copies(&w).opens(), []);
}
