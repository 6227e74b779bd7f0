//! Void records about groups, rotations and audit digests.

use super::*;

void_cases! {
    pitfall_32_a_doctor_makes_no_group => RoleNotAllowed, |world| {
        world.void(DOCTOR, group(&[NURSE]))
    };
    pitfall_35_a_grant_to_an_unknown_group_is_void => UnknownGroup, |world| {
        let report = world.add_report();
        let reader = Grantee::Group(GroupAt { group: GroupId::from_bytes([1; 16]), epoch: 1 });
        world.void(PATIENT, Grant { reader, ..grant(report, NURSE) })
    };
    pitfall_19_a_grant_to_an_older_epoch_of_a_group_is_void => WrongEpoch, |world| {
        let report = world.add_report();
        let group = grouped(world);
        world.put(HOSPITAL, regroup(group, 2, &[], &[NURSE]));
        let reader = Grantee::Group(GroupAt { group, epoch: 1 });
        world.void(PATIENT, Grant { reader, ..grant(report, NURSE) })
    };
    pitfall_35_a_hospital_changes_its_own_groups_only => UnknownGroup, |world| {
        let group = grouped(world);
        world.void(OTHER_HOSPITAL, regroup(group, 1, &[DOCTOR], &[]))
    };
    two_groups_with_one_nonce_are_one_group => GroupExists, |world| {
        let first = world.put(HOSPITAL, group(&[NURSE]));
        let mut again = world.record(HOSPITAL, group(&[DOCTOR]));
        again.nonce = first.record().nonce;
        world.void_record(&again.sign(&member(HOSPITAL)))
    };
    a_role_at_a_hospital_is_one_group => GroupExists, |world| {
        world.put(HOSPITAL, role_group(Role::Doctor));
        world.void(HOSPITAL, role_group(Role::Doctor))
    };
    a_group_of_patients_is_void => WrongRole, |world| {
        world.void(HOSPITAL, role_group(Role::Patient))
    };
    a_patient_joins_no_group => WrongRole, |world| {
        world.void(HOSPITAL, group(&[PATIENT]))
    };
    a_stranger_joins_no_group => UnknownMember, |world| {
        world.void(HOSPITAL, group(&[STRANGER]))
    };
    epochs_of_groups_count_from_one => WrongEpoch, |world| {
        world.void(HOSPITAL, Group { epoch: 2, ..group(&[NURSE]) })
    };
    an_epoch_of_a_group_is_not_left_out => WrongEpoch, |world| {
        let group = grouped(world);
        world.void(HOSPITAL, regroup(group, 3, &[], &[NURSE]))
    };
    pitfall_19_the_next_epoch_has_another_key => WrongEpoch, |world| {
        let group = grouped(world);
        let key = group_key(1);
        world.void(HOSPITAL, Group { key, ..regroup(group, 2, &[], &[NURSE]) })
    };
    a_groups_key_does_not_change_within_an_epoch => WrongEpoch, |world| {
        let group = grouped(world);
        let key = group_key(2);
        world.void(HOSPITAL, Group { key, ..regroup(group, 1, &[DOCTOR], &[]) })
    };
    pitfall_19_nobody_leaves_a_group_without_a_new_epoch => WrongMembers, |world| {
        let group = grouped(world);
        world.void(HOSPITAL, regroup(group, 1, &[], &[NURSE]))
    };
    who_is_in_a_group_does_not_join_again => WrongMembers, |world| {
        let group = grouped(world);
        world.void(HOSPITAL, regroup(group, 1, &[NURSE], &[]))
    };
    who_is_not_in_a_group_does_not_leave => WrongMembers, |world| {
        let group = grouped(world);
        world.void(HOSPITAL, regroup(group, 2, &[], &[DOCTOR]))
    };
    a_group_of_a_role_has_no_list => WrongMembers, |world| {
        world.void(HOSPITAL, Group { role: Some(Role::Nurse), ..group(&[NURSE]) })
    };
    a_change_of_nothing_is_void => WrongMembers, |world| {
        let group = grouped(world);
        world.void(HOSPITAL, regroup(group, 1, &[], &[]))
    };
    pitfall_35_a_read_by_who_is_not_in_the_group_is_void => UnknownGrant, |world| {
        let report = world.add_report();
        let reader = Grantee::Group(GroupAt { group: grouped(world), epoch: 1 });
        let grant = grant_of(&world.put(PATIENT, Grant { reader, ..grant(report, NURSE) }));
        world.void(OTHER_DOCTOR, read(report, Some(grant)))
    };
    pitfall_19_a_read_by_who_left_the_group_is_void => UnknownGrant, |world| {
        let report = world.add_report();
        let group = grouped(world);
        let reader = Grantee::Group(GroupAt { group, epoch: 1 });
        let grant = grant_of(&world.put(PATIENT, Grant { reader, ..grant(report, NURSE) }));
        world.put(HOSPITAL, regroup(group, 2, &[], &[NURSE]));
        world.void(NURSE, read(report, Some(grant)))
    };
    a_report_wrapped_to_a_collection_key_that_is_not_there_is_void => WrongEpoch, |world| {
        world.void(DOCTOR, AddReport { collection: 2, ..add_report(PATIENT) })
    };
    collection_epochs_count_from_one => WrongEpoch, |world| {
        world.void(DOCTOR, AddReport { collection: 0, ..add_report(PATIENT) })
    };
    pitfall_35_another_patients_report_is_not_rotated => UnknownReport, |world| {
        let report = world.add_report();
        world.void(OTHER_PATIENT, rotate(report, 2))
    };
    an_epoch_of_a_report_is_not_left_out => WrongEpoch, |world| {
        let report = world.add_report();
        world.void(PATIENT, rotate(report, 3))
    };
    a_rotation_keeps_the_version => UnknownVersion, |world| {
        let report = world.add_report();
        world.void(PATIENT, Rotate { version: 2, ..rotate(report, 2) })
    };
    a_rotation_names_a_dag_cbor_node => NotAnEnvelope, |world| {
        let report = world.add_report();
        let envelope = Cid::of(Codec::Raw, b"file");
        world.void(PATIENT, Rotate { envelope, ..rotate(report, 2) })
    };
    pitfall_32_another_hospital_confirms_no_rotation => UnknownConfirmation, |world| {
        let report = world.add_report();
        let record = world.put(PATIENT, rotate(report, 2)).id();
        world.void(OTHER_HOSPITAL, Confirm { record })
    };
    pitfall_30_a_rotation_is_confirmed_once => UnknownConfirmation, |world| {
        let report = world.add_report();
        let record = world.put(PATIENT, rotate(report, 2)).id();
        world.put(HOSPITAL, Confirm { record });
        world.void(HOSPITAL, Confirm { record })
    };
    a_rotation_that_another_took_the_place_of_is_not_confirmed => UnknownConfirmation, |world| {
        let report = world.add_report();
        let record = world.put(PATIENT, rotate(report, 2)).id();
        world.put(PATIENT, rotate(report, 2));
        world.void(HOSPITAL, Confirm { record })
    };
    pitfall_47_an_audit_digest_does_not_shrink => AuditShrinks, |world| {
        world.put(HOSPITAL, digest(0, 5, 1));
        world.put(OTHER_HOSPITAL, digest(0, 1, 2));
        world.void(HOSPITAL, digest(0, 4, 3))
    };
    pitfall_47_an_audit_digest_does_not_contradict_the_one_before => AuditShrinks, |world| {
        world.put(HOSPITAL, digest(0, 5, 1));
        world.void(HOSPITAL, digest(5, 5, 2))
    };
    an_audit_digest_begins_before_its_end => AuditRange, |world| {
        world.void(HOSPITAL, digest(6, 5, 1))
    };
}
