//! Void requests, grants, revocations, readings and delegations.

use super::*;

void_cases! {
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
}
