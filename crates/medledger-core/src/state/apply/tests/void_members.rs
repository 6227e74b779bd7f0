//! Void records about members, enrolments and new reports, and those that are void whatever they say.

use super::*;

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
}
