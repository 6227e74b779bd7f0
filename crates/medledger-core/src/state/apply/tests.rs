use super::*;
use crate::Cid;
use crate::ids::{BlockId, RecordId, RecordNonce, TokenHash};
use crate::keys::Signature;
use crate::record::{Record, RecordError};
use crate::registry::{Kind, Purpose};
use crate::state::Changes;
use crate::state::SignatureCheck;
use crate::testing::*;
use proptest::prelude::*;

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
                assert_eq!(produced.contains(code), *code != VoidCode::NotInForce, "{code:?}");
            }
        }
    };
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
    pitfall_32_35_a_grant_of_another_patient_cannot_be_revoked => UnknownGrant, |world| {
        let report = world.add_report();
        let grant = world.grant(report);
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

#[test]
fn kinds_that_are_not_in_force_never_reach_the_fold() {
    let mut world = World::peopled();
    let bytes = world.record(PATIENT, Revoke { grant: GrantId::from_bytes([1; 16]) }).encode();
    let at = bytes.windows(7).position(|w| w == [0x64, b'k', b'i', b'n', b'd', 0x18, 35]).unwrap();
    for kind in Kind::ALL.iter().filter(|kind| kind.code() >= 24) {
        let mut bytes = bytes.clone();
        bytes[at + 6] = kind.code() as u8;
        let refused = Record::decode(&bytes) == Err(RecordError::NotInForce(*kind));
        assert_eq!(refused, !kind.in_force(), "{kind}");
    }
}

#[test]
fn pitfall_32_roles_and_kinds_are_a_table() {
    let mut world = World::peopled();
    let own = world.add_report();
    let report = world.add_report();
    let request_id = world.put(NURSE, request(own)).id();
    let nurses =
        GrantId::derive(&id(PATIENT), &world.put(PATIENT, grant(own, NURSE)).record().nonce);
    let doctors = world.grant(own);
    let authors = [
        (HOSPITAL, Role::Hospital),
        (OTHER_DOCTOR, Role::Doctor),
        (NURSE, Role::Nurse),
        (LAB, Role::Lab),
        (PATIENT, Role::Patient),
    ];
    assert_eq!(authors.map(|(_, role)| role), Role::ALL);
    for (author, role) in authors {
        let register = world.register(author, STRANGER, Role::Doctor);
        let grant_id = match role {
            Role::Doctor => Some(doctors),
            Role::Nurse => Some(nurses),
            _ => None,
        };
        let patient = role == Role::Patient;
        let rows: [(Body, bool); 9] = [
            (register.into(), role == Role::Hospital),
            (enrol(author, OTHER_HOSPITAL, 1).into(), patient),
            (add_report(PATIENT).into(), matches!(role, Role::Doctor | Role::Lab)),
            (request(report).into(), matches!(role, Role::Doctor | Role::Nurse)),
            (grant(own, OTHER_DOCTOR).into(), patient),
            (Refuse { request: request_id }.into(), patient),
            (Revoke { grant: doctors }.into(), patient),
            (read(own, grant_id).into(), patient || grant_id.is_some()),
            (digest(0, 1, 1).into(), role == Role::Hospital),
        ];
        let kinds: Vec<Kind> = rows.iter().map(|(body, _)| body.kind()).collect();
        let in_force: Vec<Kind> = Kind::ALL.iter().copied().filter(|k| k.in_force()).collect();
        assert_eq!(kinds, in_force, "every kind has its row");
        for (body, allowed) in rows {
            let kind = body.kind();
            let record = world.sign(author, body);
            let expected = if allowed { Ok(()) } else { Err(VoidCode::RoleNotAllowed) };
            assert_eq!(world.judge(&record).map(drop), expected, "{kind} by a {role}");
        }
    }
}

#[test]
fn a_registered_member_is_what_the_record_says() {
    let world = World::peopled();
    let entry = world.state().member(&id(DOCTOR)).unwrap().unwrap();
    assert_eq!(entry.identity, *member(DOCTOR).public());
    assert_eq!((entry.role, entry.hospital, entry.height), (Role::Doctor, id(HOSPITAL), 5));
    assert!(entry.mining.is_empty());
    assert_eq!(world.state().members().unwrap().len(), 8);
}

#[test]
fn a_report_is_found_by_id_and_by_patient() {
    let mut world = World::peopled();
    let (a, b) = (world.add_report(), world.add_report());
    let entry = world.state().report(&a).unwrap().unwrap();
    assert_eq!((entry.version, entry.epoch), (1, 1));
    assert_eq!((entry.patient, entry.author), (id(PATIENT), id(DOCTOR)));
    let mut both = vec![a, b];
    both.sort_unstable();
    assert_eq!(world.state().reports_of(&id(PATIENT)).unwrap(), both);
    assert!(world.state().reports_of(&id(OTHER_PATIENT)).unwrap().is_empty());
}

#[test]
fn a_request_waits_until_it_is_answered() {
    let mut world = World::peopled();
    let (report, first) = asked(&mut world);
    assert_eq!(world.state().requests_waiting_for(&id(PATIENT)).unwrap(), [first]);
    world.put(PATIENT, Refuse { request: first });
    let status = |world: &World, id| world.state().request(&id).unwrap().unwrap().status;
    assert_eq!(status(&world, first), RequestStatus::Refused);
    assert!(world.state().requests_waiting_for(&id(PATIENT)).unwrap().is_empty());
    // Answered, the reader may ask again.
    let second = world.put(OTHER_DOCTOR, request(report)).id();
    world.put(PATIENT, Grant { request: Some(second), ..grant(report, OTHER_DOCTOR) });
    assert_eq!(status(&world, second), RequestStatus::Granted);
    assert!(world.state().requests_waiting_for(&id(PATIENT)).unwrap().is_empty());
    // Another reader's request is another matter.
    world.put(NURSE, request(report));
}

#[test]
fn a_request_that_nobody_answered_in_time_does_not_bar_the_next() {
    let mut world = World::peopled();
    let (report, first) = asked(&mut world);
    world.at.median_time = until(NOW + 99);
    assert_eq!(world.void(OTHER_DOCTOR, request(report)), VoidCode::RequestPending);
    world.at.median_time = until(NOW + 100);
    let again = RequestAccess { until: until(NOW + 500), ..request(report) };
    let second = world.put(OTHER_DOCTOR, again).id();
    assert_eq!(world.state().requests_waiting_for(&id(PATIENT)).unwrap(), [second]);
    let status = world.state().request(&first).unwrap().unwrap().status;
    assert_eq!(status, RequestStatus::Lapsed);
    assert_eq!(world.void(PATIENT, Refuse { request: first }), VoidCode::UnknownRequest);
    world.put(PATIENT, Refuse { request: second });
}

#[test]
fn a_grant_is_live_until_its_time_or_its_revocation() {
    let mut world = World::peopled();
    let report = world.add_report();
    let token = Some(TokenHash::from_bytes([4; 32]));
    let record = world.put(PATIENT, Grant { token, ..grant(report, OTHER_DOCTOR) });
    let grant = grant_of(&record);
    let entry = |world: &World| world.state().grant(&grant).unwrap().unwrap();
    assert_eq!((entry(&world).token, entry(&world).record), (token, record.id()));
    let live = |world: &World, report, reader: u8, now| {
        entry(world).is_live(&report, &id(reader), until(now))
    };
    assert!(live(&world, report, OTHER_DOCTOR, NOW + 99));
    assert!(!live(&world, report, OTHER_DOCTOR, NOW + 100));
    assert!(!live(&world, report, NURSE, NOW));
    assert!(!live(&world, absent(), OTHER_DOCTOR, NOW));
    assert_eq!(world.state().grants_for(&id(OTHER_DOCTOR), &report).unwrap(), [grant]);
    assert_eq!(world.state().grants_of(&id(OTHER_DOCTOR)).unwrap(), [grant]);
    // Each opening is a record of its own, however often.
    for _ in 0..3 {
        world.put(OTHER_DOCTOR, read(report, Some(grant)));
    }
    world.put(PATIENT, Revoke { grant });
    assert_eq!(entry(&world).revoked, Some(5));
    assert!(!live(&world, report, OTHER_DOCTOR, NOW));
}

#[test]
fn pitfall_47_a_read_in_time_stays_on_the_record_however_late_its_block() {
    let mut world = World::peopled();
    let report = world.add_report();
    let grant = world.grant(report);
    let mut record = world.record(OTHER_DOCTOR, read(report, Some(grant)));
    record.time = until(NOW + 99);
    world.at.median_time = until(NOW + 1000);
    world.apply(&record.sign(&member(OTHER_DOCTOR))).unwrap();
}

#[test]
fn a_revocation_ahead_binds_its_author_only() {
    let mut world = World::peopled();
    let report = world.add_report();
    let late = world.sign(PATIENT, grant(report, OTHER_DOCTOR));
    world.put(OTHER_PATIENT, Revoke { grant: grant_of(&late) });
    world.apply(&late).unwrap();
}

#[test]
fn a_patient_reads_without_a_grant() {
    let mut world = World::peopled();
    let report = world.add_report();
    world.put(PATIENT, read(report, None));
}

#[test]
fn a_record_that_took_effect_is_remembered() {
    let mut world = World::peopled();
    let record = world.sign(DOCTOR, add_report(PATIENT));
    assert!(!world.state().seen(&record.id()).unwrap());
    world.apply(&record).unwrap();
    assert!(world.state().seen(&record.id()).unwrap());
}

/// Any record by anyone about anything these worlds know.
fn bodies(world: &World, pick: [u8; 6]) -> (u8, Body) {
    let [author, kind, report, member, time, last] = pick;
    let author = HOSPITAL + author % 9;
    let who = HOSPITAL + member % 9;
    let nonce = |n: u8| {
        let mut bytes = [0; 16];
        bytes[7] = n % 40;
        RecordNonce::from_bytes(bytes)
    };
    let report = ReportId::derive(&id(DOCTOR), &nonce(report));
    let grant_id = GrantId::derive(&id(PATIENT), &nonce(last));
    let time = until(NOW - 50 + u64::from(time) * 5);
    let body = match kind % 8 {
        0 => world
            .register(author, who, Role::ALL[usize::from(nonce(last).as_bytes()[7]) % 5])
            .into(),
        1 => enrol(who, HOSPITAL + member % 2, u32::from(last % 4)).into(),
        2 => add_report(who).into(),
        3 => RequestAccess { until: time, ..request(report) }.into(),
        4 => Grant { until: time, ..grant(report, who) }.into(),
        5 => Revoke { grant: grant_id }.into(),
        6 => read(report, (member % 2 == 0).then_some(grant_id)).into(),
        _ => read(report, None).into(),
    };
    (author, body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The state is a fold and nothing else: the same records give the same entries, whether each is
    /// written at once or laid over the rest, and void ones change nothing.
    #[test]
    fn the_same_records_give_the_same_state(picks in prop::collection::vec(any::<[u8; 6]>(), 1..60)) {
        let mut world = World::peopled();
        let start = world.clone();
        let mut records = Vec::new();
        for pick in picks {
            let (author, body) = bodies(&world, pick);
            let record = world.sign(author, body);
            let before = world.state.clone();
            world.at.height += 1;
            world.at.median_time = world.at.median_time.plus(u64::from(pick[5] % 8));
            if world.apply(&record).is_err() {
                prop_assert_eq!(&world.state, &before);
            } else {
                prop_assert!(world.state().seen(&record.id()).unwrap());
            }
            records.push((record, world.at));
        }
        // Everything again, laid over the start and written only at the end.
        let mut changes = Changes::default();
        for (record, at) in &records {
            let decoded = SignedRecord::decode(&record.encode()).unwrap();
            let over = changes.over(&start.state);
            if let Ok(new) = apply(&over, &decoded, at, &mut SignatureCheck::Now) {
                changes.extend(new);
            }
        }
        let mut laid = start.state;
        laid.write(changes.iter().map(|(key, value)| Change {
            key: key.to_vec(),
            value: value.map(<[u8]>::to_vec),
        }).collect());
        prop_assert_eq!(&laid, &world.state);
        for (record, at) in &records {
            if world.state().seen(&record.id()).unwrap() {
                let again = apply(&laid, record, at, &mut SignatureCheck::Now);
                prop_assert!(matches!(again, Err(ApplyError::Void(VoidCode::Replayed))));
            }
        }
    }
}
