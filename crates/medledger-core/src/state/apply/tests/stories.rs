//! What a world looks like after records took effect, and that the fold is one.

use super::*;
use crate::ids::{RecordNonce, TokenHash};
use crate::registry::Kind;
use crate::state::{Changes, GrantEntry, GrantStanding, RequestStatus, SignatureCheck};
use proptest::prelude::*;

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
    let (parent, passed_on) = delegable(&mut world);
    let rotation = world.put(PATIENT, rotate(own, 2)).id();
    let authors = [
        (HOSPITAL, Role::Hospital),
        (OTHER_DOCTOR, Role::Doctor),
        (NURSE, Role::Nurse),
        (LAB, Role::Lab),
        (PATIENT, Role::Patient),
    ];
    assert_eq!(authors.map(|(_, role)| role), Role::ALL);
    let absent_grant = GrantId::from_bytes([0xee; 16]);
    for (author, role) in authors {
        let register = world.register(author, STRANGER, Role::Doctor);
        let grant_id = match role {
            Role::Doctor => Some(doctors),
            Role::Nurse => Some(nurses),
            _ => None,
        };
        let patient = role == Role::Patient;
        let rows: [(Body, bool); 13] = [
            (register.into(), role == Role::Hospital),
            (enrol(author, OTHER_HOSPITAL, 1).into(), patient),
            (add_report(PATIENT).into(), matches!(role, Role::Doctor | Role::Lab)),
            (rotate(report, 2).into(), patient),
            (request(report).into(), matches!(role, Role::Doctor | Role::Nurse)),
            (grant(own, OTHER_DOCTOR).into(), patient),
            (Refuse { request: request_id }.into(), patient),
            // A reader may take back what they passed on.
            (Revoke { grant: absent_grant }.into(), patient || role.reads()),
            (delegate(parent, passed_on, NURSE).into(), role.reads()),
            (read(own, grant_id).into(), patient || grant_id.is_some()),
            (Confirm { record: rotation }.into(), role == Role::Hospital),
            (digest(0, 1, 1).into(), role == Role::Hospital),
            (group(&[NURSE]).into(), role == Role::Hospital),
        ];
        let kinds: Vec<Kind> = rows.iter().map(|(body, _)| body.kind()).collect();
        // Who succeeds and suspends whom is no matter of roles, and that only a hospital of the present set changes it
        // has tests of its own: see those of `succession` and `members`.
        let elsewhere = [Kind::Succeed, Kind::Suspend, Kind::Admit];
        let in_force: Vec<Kind> = Kind::ALL
            .iter()
            .copied()
            .filter(|kind| kind.in_force() && !elsewhere.contains(kind))
            .collect();
        assert_eq!(kinds, in_force, "every kind has its row");
        for (body, allowed) in rows {
            let kind = body.kind();
            let record = world.sign(author, body);
            let expected = match (allowed, kind) {
                (false, _) => Err(VoidCode::RoleNotAllowed),
                // A nurse reads, and so may pass on; but this grant is the doctor's.
                (true, Kind::Delegate) if role == Role::Nurse => Err(VoidCode::UnknownGrant),
                (true, _) => Ok(()),
            };
            assert_eq!(world.judge(&record).map(drop), expected, "{kind} by a {role}");
        }
    }
}

#[test]
fn a_registered_member_is_what_the_record_says() {
    let world = World::peopled();
    let entry = world.state().member(&id(DOCTOR)).unwrap().unwrap();
    assert_eq!(&entry.identity, member(DOCTOR).public());
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
    let standing = |world: &World, now| world.state().standing(&entry(world), until(now)).unwrap();
    assert_eq!(standing(&world, NOW + 99), GrantStanding::Live);
    assert_eq!(standing(&world, NOW + 100), GrantStanding::Expired);
    assert_eq!(reaching(&world, OTHER_DOCTOR, report), [grant]);
    assert!(reaching(&world, NURSE, report).is_empty());
    assert_eq!(given(&world, OTHER_DOCTOR), [grant]);
    assert_eq!(ids(world.state().grants_by(&id(PATIENT)).unwrap()), [grant]);
    // Each opening is a record of its own, however often.
    for _ in 0..3 {
        world.put(OTHER_DOCTOR, read(report, Some(grant)));
    }
    world.put(PATIENT, Revoke { grant });
    assert_eq!(entry(&world).revoked, Some(5));
    assert_eq!(standing(&world, NOW), GrantStanding::Revoked);
}

fn ids(grants: Vec<(GrantId, GrantEntry)>) -> Vec<GrantId> {
    grants.into_iter().map(|(id, _)| id).collect()
}

pub(super) fn reaching(world: &World, reader: u8, report: ReportId) -> Vec<GrantId> {
    let (state, reader) = (world.state(), id(reader));
    let member = state.member(&reader).unwrap().unwrap();
    let entry = state.report(&report).unwrap().unwrap();
    ids(state.grants_reaching(&reader, &member, &report, &entry).unwrap())
}

pub(super) fn given(world: &World, reader: u8) -> Vec<GrantId> {
    let member = world.state().member(&id(reader)).unwrap().unwrap();
    ids(world.state().grants_of(&id(reader), &member).unwrap())
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

/// A grant and what was passed on from it, each named by everybody it does not belong to: before it comes if
/// `ahead`, or after.
fn revoked_by_strangers(ahead: bool) {
    let mut world = World::peopled();
    let report = world.add_report();
    let first = world.sign(PATIENT, Grant { delegate: 1, ..grant(report, OTHER_DOCTOR) });
    let second = world.sign(OTHER_DOCTOR, delegate(grant_of(&first), report, NURSE));
    let strangers = |world: &mut World| {
        // Not even who holds it, nor who passed on another.
        for (stranger, grant) in [
            (OTHER_PATIENT, grant_of(&first)),
            (OTHER_DOCTOR, grant_of(&first)),
            (DOCTOR, grant_of(&first)),
            (OTHER_PATIENT, grant_of(&second)),
            (NURSE, grant_of(&second)),
        ] {
            world.put(stranger, Revoke { grant });
            assert_eq!(world.void(stranger, Revoke { grant }), VoidCode::Revoked);
        }
    };
    if ahead {
        strangers(&mut world);
    }
    world.apply(&first).unwrap();
    world.apply(&second).unwrap();
    if !ahead {
        strangers(&mut world);
    }
    for (reader, given) in [(OTHER_DOCTOR, &first), (NURSE, &second)] {
        let entry = world.state().grant(&grant_of(given)).unwrap().unwrap();
        assert_eq!(world.state().standing(&entry, until(NOW)).unwrap(), GrantStanding::Live);
        world.put(reader, read(report, Some(grant_of(given))));
    }
    // Those it does belong to still can.
    world.put(OTHER_DOCTOR, Revoke { grant: grant_of(&second) });
    assert_eq!(world.void(PATIENT, Revoke { grant: grant_of(&second) }), VoidCode::Revoked);
    world.put(PATIENT, Revoke { grant: grant_of(&first) });
    assert_eq!(world.void(NURSE, read(report, Some(grant_of(&second)))), VoidCode::Revoked);
}

#[test]
fn pitfall_32_35_a_grant_is_not_revoked_by_others_after_it_came() {
    revoked_by_strangers(false);
}

#[test]
fn pitfall_32_35_a_grant_is_not_revoked_by_others_before_it_comes() {
    revoked_by_strangers(true);
}

#[test]
fn pitfall_35_a_revocation_answers_alike_for_anothers_grant_and_for_none() {
    let mut world = World::peopled();
    let report = world.add_report();
    let anothers = world.grant(report);
    for grant in [anothers, GrantId::from_bytes([0xee; 16])] {
        for author in [OTHER_PATIENT, NURSE] {
            world.put(author, Revoke { grant });
            assert_eq!(world.void(author, Revoke { grant }), VoidCode::Revoked);
        }
        assert_eq!(world.void(HOSPITAL, Revoke { grant }), VoidCode::RoleNotAllowed);
    }
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
    let body = match kind % 13 {
        0 => world
            .register(author, who, Role::ALL[usize::from(nonce(last).as_bytes()[7]) % 5])
            .into(),
        1 => enrol(who, HOSPITAL + member % 2, u32::from(last % 4)).into(),
        2 => add_report(who).into(),
        3 => RequestAccess { until: time, ..request(report) }.into(),
        4 => Grant { until: time, ..grant(report, who) }.into(),
        5 => Revoke { grant: grant_id }.into(),
        6 => read(report, (member % 2 == 0).then_some(grant_id)).into(),
        7 => Delegate { until: time, ..delegate(grant_id, report, who) }.into(),
        8 => Grant { delegate: member % 5, scope: collection(), ..grant(report, who) }.into(),
        9 => group(&[who]).into(),
        10 => rotate(report, u32::from(last % 4)).into(),
        11 => match world.state().rotation(&report) {
            Ok(Some(waiting)) => Confirm { record: waiting.record }.into(),
            _ => read(report, None).into(),
        },
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
            key: key.into(),
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
