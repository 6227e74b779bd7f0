//! Collections, groups, delegation and rotation as readers meet them.

use super::stories::{given, reaching};
use super::*;

#[test]
fn a_collection_covers_what_is_there_and_what_comes() {
    let mut world = World::peopled();
    let before = world.add_report();
    let record = world.put(PATIENT, Grant { scope: collection(), ..grant(before, OTHER_DOCTOR) });
    let grant = grant_of(&record);
    let after = world.add_report();
    for report in [before, after] {
        assert_eq!(reaching(&world, OTHER_DOCTOR, report), [grant]);
        world.put(OTHER_DOCTOR, read(report, Some(grant)));
    }
    assert_eq!(given(&world, OTHER_DOCTOR), [grant]);
    let other = report_of(&world.put(DOCTOR, add_report(OTHER_PATIENT)));
    assert!(reaching(&world, OTHER_DOCTOR, other).is_empty());
}

#[test]
fn one_grant_on_several_reports_is_found_at_each_and_listed_once() {
    let mut world = World::peopled();
    let (a, b) = (world.add_report(), world.add_report());
    let scope = Scope::Reports(ReportList::new(vec![b, a]).unwrap());
    let grant = grant_of(&world.put(PATIENT, Grant { scope, ..grant(a, NURSE) }));
    for report in [a, b] {
        assert_eq!(reaching(&world, NURSE, report), [grant]);
        world.put(NURSE, read(report, Some(grant)));
    }
    assert_eq!(given(&world, NURSE), [grant]);
}

#[test]
fn a_list_of_reports_has_one_spelling() {
    let id = |byte| ReportId::from_bytes([byte; 16]);
    assert_eq!(ReportList::new(vec![]), Err(ReportListError::Count(0)));
    assert_eq!(ReportList::new(vec![id(1)]), Err(ReportListError::Count(1)));
    assert_eq!(ReportList::new(vec![id(1), id(1)]), Err(ReportListError::Order(1)));
    assert_eq!(ReportList::try_from(vec![id(1), id(3), id(2)]), Err(ReportListError::Order(2)));
    let too_many = (0..=limit::GRANT_REPORTS).map(|n| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        ReportId::from_bytes(bytes)
    });
    let count = limit::GRANT_REPORTS + 1;
    assert_eq!(ReportList::new(too_many.collect()), Err(ReportListError::Count(count)));
    assert_eq!(ReportList::new(vec![id(2), id(1)]).unwrap().as_slice(), [id(1), id(2)]);
}

#[test]
fn who_is_in_a_group_reads_what_the_group_was_given_before_and_after() {
    let mut world = World::peopled();
    let group = grouped(&mut world);
    let reader = |epoch| Grantee::Group(GroupAt { group, epoch });
    let early = world.add_report();
    let first = grant_of(&world.put(PATIENT, Grant { reader: reader(1), ..grant(early, NURSE) }));
    assert!(reaching(&world, OTHER_DOCTOR, early).is_empty());
    world.put(HOSPITAL, regroup(group, 1, &[OTHER_DOCTOR], &[]));
    assert_eq!(world.state().listed_members(&group).unwrap(), ids(&[NURSE, OTHER_DOCTOR]));
    assert_eq!(reaching(&world, OTHER_DOCTOR, early), [first]);
    world.put(OTHER_DOCTOR, read(early, Some(first)));
    // Who leaves has nothing more; who stays keeps what there was and has what comes.
    world.put(HOSPITAL, regroup(group, 2, &[], &[OTHER_DOCTOR]));
    let late = world.add_report();
    let second = grant_of(&world.put(PATIENT, Grant { reader: reader(2), ..grant(late, NURSE) }));
    for (report, grant) in [(early, first), (late, second)] {
        assert!(reaching(&world, OTHER_DOCTOR, report).is_empty());
        world.put(NURSE, read(report, Some(grant)));
    }
    assert!(given(&world, OTHER_DOCTOR).is_empty());
    assert_eq!(given(&world, NURSE).len(), 2);
}

#[test]
fn a_role_at_a_hospital_is_who_is_registered_there_now_and_later() {
    let mut world = World::peopled();
    let group = group_of(&world.put(HOSPITAL, role_group(Role::Doctor)));
    assert_eq!(world.state().role_group(&id(HOSPITAL), Role::Doctor).unwrap(), Some(group));
    let report = world.add_report();
    let reader = Grantee::Group(GroupAt { group, epoch: 1 });
    let grant = grant_of(&world.put(PATIENT, Grant { reader, ..grant(report, NURSE) }));
    assert_eq!(reaching(&world, DOCTOR, report), [grant]);
    assert!(reaching(&world, NURSE, report).is_empty(), "another role");
    let elsewhere = world.register(OTHER_HOSPITAL, STRANGER, Role::Doctor);
    world.put(OTHER_HOSPITAL, elsewhere);
    assert!(reaching(&world, STRANGER, report).is_empty(), "another hospital");
    world.put(DOCTOR, read(report, Some(grant)));
}

#[test]
fn a_grant_is_passed_on_as_often_as_it_says() {
    let mut world = World::peopled();
    let report = world.add_report();
    let given = Grant { delegate: 2, ..grant(report, OTHER_DOCTOR) };
    let first = grant_of(&world.put(PATIENT, given));
    let passed = Delegate { delegate: 1, ..delegate(first, report, NURSE) };
    let second = grant_of(&world.put(OTHER_DOCTOR, passed));
    let third = grant_of(&world.put(NURSE, delegate(second, report, DOCTOR)));
    for (reader, grant) in [(OTHER_DOCTOR, first), (NURSE, second), (DOCTOR, third)] {
        world.put(reader, read(report, Some(grant)));
    }
    assert_eq!(world.void(DOCTOR, delegate(third, report, NURSE)), VoidCode::NotDelegable);
    let entry = world.state().grant(&third).unwrap().unwrap();
    assert_eq!((entry.patient, entry.parent, entry.delegate), (id(PATIENT), Some(second), 0));
    assert_eq!(world.state().grants_by(&id(PATIENT)).unwrap().len(), 3);
    // The nurse takes back what the nurse passed on, and nothing else.
    world.put(NURSE, Revoke { grant: third });
    world.put(NURSE, Revoke { grant: second });
    assert_eq!(world.void(DOCTOR, read(report, Some(third))), VoidCode::Revoked);
    world.put(NURSE, read(report, Some(second)));
    // What the patient takes back from the doctor, the nurse has lost.
    world.put(PATIENT, Revoke { grant: first });
    assert_eq!(world.void(NURSE, read(report, Some(second))), VoidCode::Revoked);
}

#[test]
fn a_part_of_a_collection_is_passed_on() {
    let mut world = World::peopled();
    let report = world.add_report();
    let given = Grant { delegate: 1, scope: collection(), ..grant(report, OTHER_DOCTOR) };
    let parent = grant_of(&world.put(PATIENT, given));
    let child = grant_of(&world.put(OTHER_DOCTOR, delegate(parent, report, NURSE)));
    world.put(NURSE, read(report, Some(child)));
    let other = world.add_report();
    assert_eq!(world.void(NURSE, read(other, Some(child))), VoidCode::UnknownGrant);
    let whole = Delegate { scope: collection(), ..delegate(parent, report, NURSE) };
    let child = grant_of(&world.put(OTHER_DOCTOR, whole));
    world.put(NURSE, read(other, Some(child)));
}

#[test]
fn a_rotation_takes_effect_when_the_hospital_confirms_it() {
    let mut world = World::peopled();
    let report = world.add_report();
    let grant = world.grant(report);
    world.put(PATIENT, enrol(PATIENT, HOSPITAL, 2));
    let body = Rotate { collection: 2, ..rotate(report, 2) };
    let record = world.put(PATIENT, body).id();
    let entry = |world: &World| world.state().report(&report).unwrap().unwrap();
    assert_eq!((entry(&world).epoch, entry(&world).envelope), (1, envelope("envelope")));
    assert_eq!(world.state().rotations().unwrap(), [report]);
    assert_eq!(world.state().rotation_of(&record).unwrap(), Some(report));
    world.put(HOSPITAL, Confirm { record });
    let after = entry(&world);
    assert_eq!((after.version, after.epoch, after.collection), (1, 2, 2));
    assert_eq!(after.envelope, envelope("anew"));
    assert!(world.state().rotations().unwrap().is_empty());
    // Grants stand: who remained reads on.
    world.put(OTHER_DOCTOR, read(report, Some(grant)));
    assert_eq!(world.void(PATIENT, rotate(report, 2)), VoidCode::WrongEpoch);
    world.put(PATIENT, rotate(report, 3));
}
