//! A test for each rule that makes a record void.

mod access;
mod stories;

use super::*;
use crate::Cid;
use crate::ids::{BlockId, GrantId, GroupId, RecordId};
use crate::keys::Signature;
use crate::record::*;
use crate::registry::{Purpose, limit};
use crate::testing::*;

/// A test for each rule that makes a record void; each takes a world full of people.
macro_rules! void_cases {
    ($($name:ident => $code:ident, $case:expr;)*) => {
        $(#[test]
        fn $name() {
            let case: fn(&mut World) -> VoidCode = $case;
            assert_eq!(case(&mut World::peopled()), VoidCode::$code);
        })*

        #[test]
        fn every_void_code_is_produced_by_some_test() {
            let produced = [$(VoidCode::$code),*];
            for code in VoidCode::ALL {
                // No body of a kind that is not in force can be read, so the fold never meets one:
                // the codec refuses it. The code is for engines that cannot judge.
                // Those from 33 to 48 are produced by the tests of `members` and `succession`.
                let here = *code != VoidCode::NotInForce && !(33..49).contains(&code.code());
                assert_eq!(produced.contains(code), here, "{code:?}");
            }
        }
    };
}

#[test]
fn what_is_written_quickly_is_as_the_library_writes_it() {
    for height in [0, 23, 24, 255, 256, 1 << 20, u64::MAX] {
        assert_eq!(seen_at(height), cbor::encode(&height));
    }
    assert_eq!(null(), cbor::encode(&()));
}

fn read(report: ReportId, grant: Option<GrantId>) -> Read {
    Read { grant, report, version: 1, head: BlockId::from_bytes([0; 32]) }
}

fn absent() -> ReportId {
    ReportId::from_bytes([0xee; 16])
}

fn until(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// The other doctor asks for a report.
fn asked(world: &mut World) -> (ReportId, RecordId) {
    let report = world.add_report();
    (report, world.put(OTHER_DOCTOR, request(report)).id())
}

void_cases! {
    pitfall_30_a_record_for_another_chain_is_void => WrongChain, |world| {
        let mut record = world.record(DOCTOR, add_report(PATIENT));
        record.chain = ChainId::from_bytes([1; 32]);
        world.void_record(&record.sign(&member(DOCTOR)))
    };
    pitfall_30_a_replayed_record_is_void => Replayed, |world| {
        let record = world.put(DOCTOR, add_report(PATIENT));
        world.void_record(&record)
    };
    // By ZIP 215 some other signatures verify too: the id, not the signature, is what counts once.
    pitfall_30_31_a_record_signed_anew_is_still_a_replay => Replayed, |world| {
        let record = world.put(DOCTOR, add_report(PATIENT));
        world.void_record(&resigned(&record, Signature::from_bytes([9; 64])))
    };
    pitfall_34_a_stranger_cannot_register_themselves => UnknownAuthor, |world| {
        let body = world.register(STRANGER, STRANGER, Role::Doctor);
        world.void(STRANGER, body)
    };
    a_forged_signature_is_void => BadSignature, |world| {
        let record = world.sign(DOCTOR, add_report(PATIENT));
        world.void_record(&resigned(&record, Signature::from_bytes([9; 64])))
    };
    pitfall_32_a_record_signed_by_somebody_else_is_void => BadSignature, |world| {
        let mut record = world.record(DOCTOR, add_report(PATIENT));
        record.author = id(OTHER_DOCTOR);
        let signature = *record.clone().sign(&member(OTHER_DOCTOR)).signature();
        record.author = id(DOCTOR);
        let record = record.sign(&member(DOCTOR));
        world.void_record(&resigned(&record, signature))
    };
    pitfall_34_a_doctor_registers_nobody => RoleNotAllowed, |world| {
        let body = world.register(DOCTOR, STRANGER, Role::Doctor);
        world.void(DOCTOR, body)
    };
    a_member_is_registered_once => AlreadyRegistered, |world| {
        let body = world.register(HOSPITAL, DOCTOR, Role::Doctor);
        world.void(HOSPITAL, body)
    };
    a_member_is_registered_once_whatever_the_hospital_or_role => AlreadyRegistered, |world| {
        let body = world.register(OTHER_HOSPITAL, DOCTOR, Role::Nurse);
        world.void(OTHER_HOSPITAL, body)
    };
    a_founder_is_registered_already => AlreadyRegistered, |world| {
        let body = world.register(HOSPITAL, OTHER_HOSPITAL, Role::Doctor);
        world.void(HOSPITAL, body)
    };
    pitfall_51_registration_needs_the_new_keys_own_signature => NoPossession, |world| {
        let mut body = world.register(HOSPITAL, STRANGER, Role::Doctor);
        body.proof = member(HOSPITAL).prove_possession(&world.at.chain, &id(HOSPITAL));
        world.void(HOSPITAL, body)
    };
    pitfall_51_a_proof_for_another_hospital_proves_nothing => NoPossession, |world| {
        let body = world.register(OTHER_HOSPITAL, STRANGER, Role::Doctor);
        world.void(HOSPITAL, body)
    };
    pitfall_30_a_proof_for_another_chain_proves_nothing => NoPossession, |world| {
        let mut body = world.register(HOSPITAL, STRANGER, Role::Doctor);
        let elsewhere = ChainId::from_bytes([1; 32]);
        body.proof = member(STRANGER).prove_possession(&elsewhere, &id(HOSPITAL));
        world.void(HOSPITAL, body)
    };
    pitfall_34_one_hospital_admits_no_other => NotRegistrable, |world| {
        let body = world.register(HOSPITAL, STRANGER, Role::Hospital);
        world.void(HOSPITAL, body)
    };
    enrolment_at_an_unknown_hospital_is_void => UnknownMember, |world| {
        world.void(PATIENT, enrol(PATIENT, STRANGER, 1))
    };
    a_report_about_an_unknown_patient_is_void => UnknownMember, |world| {
        world.void(DOCTOR, add_report(STRANGER))
    };
    a_grant_to_an_unknown_reader_is_void => UnknownMember, |world| {
        let report = world.add_report();
        world.void(PATIENT, grant(report, STRANGER))
    };
    a_grant_with_an_unknown_custodian_is_void => UnknownMember, |world| {
        let report = world.add_report();
        world.void(PATIENT, Grant { custodian: id(STRANGER), ..grant(report, OTHER_DOCTOR) })
    };
    enrolment_at_a_doctor_is_void => WrongRole, |world| {
        world.void(PATIENT, enrol(PATIENT, DOCTOR, 1))
    };
    a_report_about_a_doctor_is_void => WrongRole, |world| {
        world.void(DOCTOR, add_report(OTHER_DOCTOR))
    };
    a_grant_to_a_lab_is_void => WrongRole, |world| {
        let report = world.add_report();
        world.void(PATIENT, grant(report, LAB))
    };
    a_grant_to_another_patient_is_void => WrongRole, |world| {
        let report = world.add_report();
        world.void(PATIENT, grant(report, OTHER_PATIENT))
    };
    a_grant_whose_custodian_is_no_hospital_is_void => WrongRole, |world| {
        let report = world.add_report();
        world.void(PATIENT, Grant { custodian: id(DOCTOR), ..grant(report, OTHER_DOCTOR) })
    };
    enrolling_twice_is_void => AlreadyEnrolled, |world| {
        world.void(PATIENT, enrol(PATIENT, HOSPITAL, 1))
    };
    an_older_collection_key_is_void => AlreadyEnrolled, |world| {
        world.put(PATIENT, enrol(PATIENT, HOSPITAL, 3));
        world.void(PATIENT, enrol(PATIENT, HOSPITAL, 2))
    };
    epochs_of_collections_count_from_one => AlreadyEnrolled, |world| {
        world.void(PATIENT, enrol(PATIENT, OTHER_HOSPITAL, 0))
    };
    pitfall_32_no_report_about_a_patient_who_did_not_enrol => NotEnrolled, |world| {
        let body = world.register(HOSPITAL, STRANGER, Role::Patient);
        world.put(HOSPITAL, body);
        world.void(DOCTOR, add_report(STRANGER))
    };
    pitfall_32_enrolment_counts_at_the_authors_hospital_only => NotEnrolled, |world| {
        let body = world.register(OTHER_HOSPITAL, STRANGER, Role::Doctor);
        world.put(OTHER_HOSPITAL, body);
        world.void(STRANGER, add_report(PATIENT))
    };
    two_reports_with_one_nonce_are_one_report => ReportExists, |world| {
        let first = world.put(DOCTOR, add_report(PATIENT));
        let mut again = world.record(DOCTOR, add_report(OTHER_PATIENT));
        again.nonce = first.record().nonce;
        world.void_record(&again.sign(&member(DOCTOR)))
    };
    a_request_for_an_unknown_report_is_void => UnknownReport, |world| {
        world.void(OTHER_DOCTOR, request(absent()))
    };
    a_grant_on_an_unknown_report_is_void => UnknownReport, |world| {
        world.void(PATIENT, grant(absent(), OTHER_DOCTOR))
    };
    pitfall_32_35_a_grant_by_another_patient_looks_like_one_on_nothing => UnknownReport, |world| {
        let report = world.add_report();
        world.void(OTHER_PATIENT, grant(report, OTHER_DOCTOR))
    };
    a_read_of_an_unknown_report_is_void => UnknownReport, |world| {
        world.void(PATIENT, read(absent(), None))
    };
    pitfall_35_another_patients_report_looks_absent => UnknownReport, |world| {
        let report = world.add_report();
        world.void(OTHER_PATIENT, read(report, None))
    };
    the_uploader_needs_a_grant_like_anyone => UnknownReport, |world| {
        let report = world.add_report();
        world.void(DOCTOR, read(report, None))
    };
    pitfall_40_a_second_request_while_one_waits_is_void => RequestPending, |world| {
        let (report, _) = asked(world);
        let purpose = Purpose::Research;
        world.void(OTHER_DOCTOR, RequestAccess { purpose, ..request(report) })
    };
    a_refusal_of_nothing_is_void => UnknownRequest, |world| {
        world.void(PATIENT, Refuse { request: RecordId::from_bytes([1; 32]) })
    };
    a_refusal_of_a_record_that_asked_nothing_is_void => UnknownRequest, |world| {
        let record = world.put(DOCTOR, add_report(PATIENT));
        world.void(PATIENT, Refuse { request: record.id() })
    };
    pitfall_35_a_foreign_request_cannot_be_refused => UnknownRequest, |world| {
        let (_, request) = asked(world);
        world.void(OTHER_PATIENT, Refuse { request })
    };
    a_request_is_refused_once => UnknownRequest, |world| {
        let (_, request) = asked(world);
        world.put(PATIENT, Refuse { request });
        world.void(PATIENT, Refuse { request })
    };
    a_refused_request_cannot_be_granted => UnknownRequest, |world| {
        let (report, request) = asked(world);
        world.put(PATIENT, Refuse { request });
        world.void(PATIENT, Grant { request: Some(request), ..grant(report, OTHER_DOCTOR) })
    };
    a_granted_request_cannot_be_refused => UnknownRequest, |world| {
        let (report, request) = asked(world);
        world.put(PATIENT, Grant { request: Some(request), ..grant(report, OTHER_DOCTOR) });
        world.void(PATIENT, Refuse { request })
    };
    a_grant_that_answers_nothing_is_void => UnknownRequest, |world| {
        let report = world.add_report();
        let request = Some(RecordId::from_bytes([1; 32]));
        world.void(PATIENT, Grant { request, ..grant(report, OTHER_DOCTOR) })
    };
    a_request_until_now_is_void => Expired, |world| {
        let report = world.add_report();
        world.void(OTHER_DOCTOR, RequestAccess { until: until(NOW), ..request(report) })
    };
    pitfall_30_a_grant_until_now_is_void => Expired, |world| {
        let report = world.add_report();
        world.void(PATIENT, Grant { until: until(NOW), ..grant(report, OTHER_DOCTOR) })
    };
    pitfall_30_52_a_read_when_the_grant_has_expired_is_void => Expired, |world| {
        let report = world.add_report();
        let grant = world.grant(report);
        let mut record = world.record(OTHER_DOCTOR, read(report, Some(grant)));
        record.time = until(NOW + 100);
        world.void_record(&record.sign(&member(OTHER_DOCTOR)))
    };
    a_request_for_longer_than_the_chain_allows_is_void => TooLong, |world| {
        let report = world.add_report();
        world.void(OTHER_DOCTOR, RequestAccess { until: until(NOW + 1001), ..request(report) })
    };
    a_grant_for_longer_than_the_chain_allows_is_void => TooLong, |world| {
        let report = world.add_report();
        world.void(PATIENT, Grant { until: until(u64::MAX), ..grant(report, OTHER_DOCTOR) })
    };
    two_grants_with_one_nonce_are_one_grant => GrantExists, |world| {
        let report = world.add_report();
        let first = world.put(PATIENT, grant(report, OTHER_DOCTOR));
        let mut again = world.record(PATIENT, grant(report, NURSE));
        again.nonce = first.record().nonce;
        world.void_record(&again.sign(&member(PATIENT)))
    };
    a_read_under_an_unknown_grant_is_void => UnknownGrant, |world| {
        let report = world.add_report();
        world.void(OTHER_DOCTOR, read(report, Some(GrantId::from_bytes([1; 16]))))
    };
    pitfall_35_a_read_under_another_readers_grant_is_void => UnknownGrant, |world| {
        let report = world.add_report();
        let grant = world.grant(report);
        world.void(NURSE, read(report, Some(grant)))
    };
    pitfall_35_a_grant_opens_the_report_it_names_only => UnknownGrant, |world| {
        let (report, other) = (world.add_report(), world.add_report());
        let grant = world.grant(report);
        world.void(OTHER_DOCTOR, read(other, Some(grant)))
    };
    pitfall_35_another_patients_grant_is_revoked_ahead_once_like_one_that_is_absent => Revoked, |world| {
        let report = world.add_report();
        let grant = world.grant(report);
        world.put(OTHER_PATIENT, Revoke { grant });
        world.void(OTHER_PATIENT, Revoke { grant })
    };
    pitfall_19_a_read_after_revocation_is_void => Revoked, |world| {
        let report = world.add_report();
        let grant = world.grant(report);
        world.put(PATIENT, Revoke { grant });
        world.void(OTHER_DOCTOR, read(report, Some(grant)))
    };
    a_grant_is_revoked_once => Revoked, |world| {
        let report = world.add_report();
        let grant = world.grant(report);
        world.put(PATIENT, Revoke { grant });
        world.void(PATIENT, Revoke { grant })
    };
    a_grant_not_yet_seen_is_revoked_once => Revoked, |world| {
        let grant = GrantId::from_bytes([1; 16]);
        world.put(PATIENT, Revoke { grant });
        world.void(PATIENT, Revoke { grant })
    };
    pitfall_19_a_grant_revoked_before_it_was_seen_is_void => Revoked, |world| {
        let report = world.add_report();
        let late = world.sign(PATIENT, grant(report, OTHER_DOCTOR));
        world.put(PATIENT, Revoke { grant: grant_of(&late) });
        world.void_record(&late)
    };
    a_grant_on_another_report_does_not_answer_the_request => RequestMismatch, |world| {
        let (_, request) = asked(world);
        let report = world.add_report();
        world.void(PATIENT, Grant { request: Some(request), ..grant(report, OTHER_DOCTOR) })
    };
    a_grant_to_another_reader_does_not_answer_the_request => RequestMismatch, |world| {
        let (report, request) = asked(world);
        world.void(PATIENT, Grant { request: Some(request), ..grant(report, NURSE) })
    };
    a_grant_for_another_purpose_does_not_answer_the_request => RequestMismatch, |world| {
        let (report, request) = asked(world);
        let (request, purpose) = (Some(request), Purpose::Research);
        world.void(PATIENT, Grant { request, purpose, ..grant(report, OTHER_DOCTOR) })
    };
    there_is_no_version_zero => UnknownVersion, |world| {
        let report = world.add_report();
        world.void(PATIENT, Read { version: 0, ..read(report, None) })
    };
    a_version_not_yet_written_cannot_be_read => UnknownVersion, |world| {
        let report = world.add_report();
        let grant = world.grant(report);
        world.void(OTHER_DOCTOR, Read { version: 2, ..read(report, Some(grant)) })
    };
    pitfall_15_an_envelope_is_a_dag_cbor_node => NotAnEnvelope, |world| {
        let envelope = Cid::of(Codec::Raw, b"file");
        world.void(DOCTOR, AddReport { envelope, ..add_report(PATIENT) })
    };
    pitfall_35_a_read_under_a_grant_on_another_patients_collection_is_void => UnknownGrant, |world| {
        let report = world.add_report();
        let grant = Grant { scope: collection(), ..grant(report, OTHER_DOCTOR) };
        let grant = grant_of(&world.put(OTHER_PATIENT, grant));
        world.void(OTHER_DOCTOR, read(report, Some(grant)))
    };
    a_grant_on_a_collection_where_the_patient_is_not_enrolled_is_void => NotEnrolled, |world| {
        let report = world.add_report();
        let scope = Scope::Collection(id(OTHER_HOSPITAL));
        world.void(PATIENT, Grant { scope, ..grant(report, OTHER_DOCTOR) })
    };
    pitfall_35_a_list_with_another_patients_report_is_void => UnknownReport, |world| {
        let own = world.add_report();
        let others = report_of(&world.put(DOCTOR, add_report(OTHER_PATIENT)));
        let scope = Scope::Reports(ReportList::new(vec![own, others]).unwrap());
        world.void(PATIENT, Grant { scope, ..grant(own, OTHER_DOCTOR) })
    };
    pitfall_35_a_list_opens_the_reports_it_names_only => UnknownGrant, |world| {
        let (a, b, c) = (world.add_report(), world.add_report(), world.add_report());
        let scope = Scope::Reports(ReportList::new(vec![a, b]).unwrap());
        let grant = grant_of(&world.put(PATIENT, Grant { scope, ..grant(a, OTHER_DOCTOR) }));
        world.void(OTHER_DOCTOR, read(c, Some(grant)))
    };
    a_grant_that_may_be_passed_on_too_often_is_void => TooDeep, |world| {
        let report = world.add_report();
        let delegate = limit::DELEGATIONS + 1;
        world.void(PATIENT, Grant { delegate, ..grant(report, OTHER_DOCTOR) })
    };
    a_grant_is_passed_on_only_if_it_says_so => NotDelegable, |world| {
        let report = world.add_report();
        let parent = world.grant(report);
        world.void(OTHER_DOCTOR, delegate(parent, report, NURSE))
    };
    pitfall_35_nobody_passes_on_what_is_anothers => UnknownGrant, |world| {
        let (parent, report) = delegable(world);
        world.void(NURSE, delegate(parent, report, DOCTOR))
    };
    what_is_passed_on_lasts_no_longer => TooWide, |world| {
        let (parent, report) = delegable(world);
        world.void(OTHER_DOCTOR, Delegate { until: until(NOW + 101), ..delegate(parent, report, NURSE) })
    };
    what_is_passed_on_is_passed_on_less_often => TooWide, |world| {
        let (parent, report) = delegable(world);
        world.void(OTHER_DOCTOR, Delegate { delegate: 1, ..delegate(parent, report, NURSE) })
    };
    what_is_passed_on_covers_no_other_report => TooWide, |world| {
        let (parent, _) = delegable(world);
        let other = world.add_report();
        world.void(OTHER_DOCTOR, delegate(parent, other, NURSE))
    };
    pitfall_35_what_is_passed_on_covers_no_report_that_does_not_exist => TooWide, |world| {
        let (parent, _) = delegable(world);
        world.void(OTHER_DOCTOR, delegate(parent, absent(), NURSE))
    };
    what_is_passed_on_of_a_report_is_no_collection => TooWide, |world| {
        let (parent, report) = delegable(world);
        let scope = collection();
        world.void(OTHER_DOCTOR, Delegate { scope, ..delegate(parent, report, NURSE) })
    };
    pitfall_19_what_was_revoked_is_not_passed_on => Revoked, |world| {
        let (parent, report) = delegable(world);
        world.put(PATIENT, Revoke { grant: parent });
        world.void(OTHER_DOCTOR, delegate(parent, report, NURSE))
    };
    what_has_expired_is_not_passed_on => Expired, |world| {
        let (parent, report) = delegable(world);
        world.at.median_time = until(NOW + 100);
        world.void(OTHER_DOCTOR, delegate(parent, report, NURSE))
    };
    pitfall_19_revoking_a_grant_revokes_what_came_of_it => Revoked, |world| {
        let (parent, report) = delegable(world);
        let child = grant_of(&world.put(OTHER_DOCTOR, delegate(parent, report, NURSE)));
        world.put(PATIENT, Revoke { grant: parent });
        world.void(NURSE, read(report, Some(child)))
    };
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

fn collection() -> Scope {
    Scope::Collection(id(HOSPITAL))
}

/// A grant to the other doctor that may be passed on once.
fn delegable(world: &mut World) -> (GrantId, ReportId) {
    let report = world.add_report();
    let body = Grant { delegate: 1, ..grant(report, OTHER_DOCTOR) };
    (grant_of(&world.put(PATIENT, body)), report)
}

fn delegate(parent: GrantId, report: ReportId, reader: u8) -> Delegate {
    Delegate {
        grant: parent,
        scope: Scope::Report(report),
        reader: Grantee::Member(id(reader)),
        until: until(NOW + 100),
        token: None,
        delegate: 0,
    }
}

fn group_key(epoch: u32) -> crate::keys::HpkePublicKey {
    member(HOSPITAL).group_key(&GroupId::from_bytes([0; 16]), epoch).public_key()
}

fn ids(members: &[u8]) -> Vec<MemberId> {
    let mut ids: Vec<_> = members.iter().map(|number| id(*number)).collect();
    ids.sort_unstable();
    ids
}

fn group(members: &[u8]) -> Group {
    let (add, remove) = (ids(members), Vec::new());
    Group { group: None, role: None, epoch: 1, key: group_key(1), add, remove, losses: None }
}

fn role_group(role: Role) -> Group {
    Group { role: Some(role), ..group(&[]) }
}

fn regroup(group: GroupId, epoch: u32, add: &[u8], remove: &[u8]) -> Group {
    let (add, remove) = (ids(add), ids(remove));
    Group {
        group: Some(group),
        role: None,
        epoch,
        key: group_key(epoch),
        add,
        remove,
        losses: None,
    }
}

fn group_of(record: &SignedRecord) -> GroupId {
    GroupId::derive(&record.record().author, &record.record().nonce)
}

/// A group with the nurse in it.
fn grouped(world: &mut World) -> GroupId {
    group_of(&world.put(HOSPITAL, group(&[NURSE])))
}

fn rotate(report: ReportId, epoch: u32) -> Rotate {
    Rotate { report, version: 1, epoch, envelope: envelope("anew"), collection: 1 }
}

fn digest(first: u64, size: u64, root: u8) -> AuditDigest {
    AuditDigest { first, size, root: crate::ids::AuditHash::from_bytes([root; 32]) }
}

/// The same record with another signature.
fn resigned(record: &SignedRecord, signature: Signature) -> SignedRecord {
    let mut bytes = record.encode();
    let at = bytes.len() - Signature::LEN;
    bytes[at..].copy_from_slice(signature.as_bytes());
    let resigned = SignedRecord::decode(&bytes).unwrap();
    assert_eq!((resigned.id(), resigned.signature()), (record.id(), &signature));
    resigned
}
