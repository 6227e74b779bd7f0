use crate::identity::Identity;
use crate::keys::HpkeAlgorithm;
use crate::record::{AddReport, Body, Enrol, Record, Register, SignedRecord, Succeed, Suspend};
use crate::registry::{Custody, Role, VoidCode};
use crate::state::{SignatureCheck, Signatures, apply};
use crate::testing::{
    DOCTOR, HOSPITAL, OTHER_HOSPITAL, PATIENT, STRANGER, World, add_report, enrol, id, member,
};
use rand_core::UnwrapErr;

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

fn next(number: u8) -> Identity {
    member(number).next(HpkeAlgorithm::XWing, &mut rng()).unwrap()
}

fn succeed(world: &World, next: &Identity) -> Succeed {
    let (public, proof) = (next.public().clone(), next.prove_succession(&world.at.chain));
    Succeed { member: next.id(), next: public, proof, consent: None }
}

fn suspend(number: u8) -> Suspend {
    Suspend { member: id(number) }
}

/// A record signed with keys that the number does not tell.
fn signed_by(world: &mut World, author: &Identity, body: impl Into<Body>) -> SignedRecord {
    let record = world.record(HOSPITAL, body);
    Record { author: author.id(), ..record }.sign(author)
}

#[test]
fn succession_keeps_the_member_and_changes_the_keys() {
    let mut world = World::peopled();
    let next = next(DOCTOR);
    let before = world.state().member(&id(DOCTOR)).unwrap().unwrap();
    let body = succeed(&world, &next);
    world.put(DOCTOR, body);
    let after = world.state().member(&id(DOCTOR)).unwrap().unwrap();
    assert_eq!(&after.identity, next.public());
    assert_eq!((after.role, after.hospital), (before.role, before.hospital));
    let succession = after.succession.unwrap();
    assert_eq!((succession.count, succession.since), (1, world.at.height));
    // The former keys sign nothing any more, the present ones do.
    assert_eq!(world.void(DOCTOR, add_report(PATIENT)), VoidCode::BadSignature);
    let record = signed_by(&mut world, &next, add_report(PATIENT));
    assert_eq!(world.apply(&record), Ok(()));
    // And succeed again.
    let third = next.next(HpkeAlgorithm::XWing, &mut rng()).unwrap();
    let body = succeed(&world, &third);
    let record = signed_by(&mut world, &next, body);
    assert_eq!(world.apply(&record), Ok(()));
    let entry = world.state().member(&id(DOCTOR)).unwrap().unwrap();
    assert_eq!(entry.succession.unwrap().count, 2);
}

#[test]
fn pitfall_50_no_succession_goes_back_to_x25519() {
    let mut world = World::peopled();
    let strong = next(PATIENT);
    let body = succeed(&world, &strong);
    world.put(PATIENT, body);
    let weak = strong.next(HpkeAlgorithm::X25519, &mut rng()).unwrap();
    let body = succeed(&world, &weak);
    let record = signed_by(&mut world, &strong, body);
    assert_eq!(world.void_record(&record), VoidCode::KeyDowngrade);
}

#[test]
fn pitfall_50_no_enrolment_goes_back_to_x25519() {
    let mut world = World::peopled();
    let strong = next(PATIENT);
    let body = succeed(&world, &strong);
    world.put(PATIENT, body);
    let hospital = id(HOSPITAL);
    let weak = enrol(PATIENT, HOSPITAL, 2);
    assert_eq!(weak.key.algorithm(), HpkeAlgorithm::X25519);
    let record = signed_by(&mut world, &strong, weak);
    assert_eq!(world.void_record(&record), VoidCode::KeyDowngrade);
    let key = strong.collection_key(&hospital, 2).public_key();
    let record = signed_by(&mut world, &strong, Enrol { hospital, epoch: 2, key });
    assert_eq!(world.apply(&record), Ok(()));
    // Neither may a member of the weaker algorithm go back from a stronger collection key.
    let mut world = World::peopled();
    let key = strong.collection_key(&hospital, 2).public_key();
    world.put(PATIENT, Enrol { hospital, epoch: 2, key });
    assert_eq!(world.void(PATIENT, enrol(PATIENT, HOSPITAL, 3)), VoidCode::KeyDowngrade);
}

#[test]
fn pitfall_51_the_new_keys_are_at_hand_and_meant_for_this_member_on_this_chain() {
    let mut world = World::peopled();
    let next = next(DOCTOR);
    let right = succeed(&world, &next);
    let foreign = Register {
        member: next.public().clone(),
        role: Role::Nurse,
        custody: Custody::Own,
        proof: next.prove_possession(&world.at.chain, &id(DOCTOR)),
    };
    let elsewhere = next.prove_succession(&crate::ids::ChainId::from_bytes([9; 32]));
    let consent = next.consent_to(&world.at.chain, next.public());
    let (_, other) = (member(PATIENT), super::tests::next(PATIENT));
    for proof in [foreign.proof, elsewhere, consent, other.prove_succession(&world.at.chain)] {
        let body = Succeed { proof, ..right.clone() };
        assert_eq!(world.void(DOCTOR, body), VoidCode::NoPossession);
    }
    // Nor does a proof of succession register anybody.
    let register = Register { proof: right.proof, ..foreign };
    assert_eq!(world.void(HOSPITAL, register), VoidCode::NoPossession);
    world.put(DOCTOR, right);
}

#[test]
fn the_present_keys_are_no_new_ones() {
    let mut world = World::peopled();
    let doctor = member(DOCTOR);
    let same = succeed(&world, &doctor);
    assert_eq!(world.void(DOCTOR, same), VoidCode::SameKeys);
}

#[test]
fn nobody_succeeds_or_suspends_somebody_elses_keys() {
    let mut world = World::peopled();
    let taken = succeed(&world, &next(DOCTOR));
    for author in [PATIENT, OTHER_HOSPITAL] {
        assert_eq!(world.void(author, taken.clone()), VoidCode::NotRegistrar);
        assert_eq!(world.void(author, suspend(DOCTOR)), VoidCode::NotRegistrar);
        assert_eq!(world.void(author, suspend(STRANGER)), VoidCode::UnknownMember);
    }
    assert_eq!(world.void(HOSPITAL, taken), VoidCode::NotSuspended);
    assert_eq!(world.void(HOSPITAL, suspend(HOSPITAL)), VoidCode::WrongRole);
    let hospital = succeed(&world, &next(HOSPITAL));
    assert_eq!(world.void(HOSPITAL, hospital), VoidCode::WrongRole);
}

#[test]
fn suspended_keys_do_nothing_not_even_succeed() {
    let mut world = World::peopled();
    world.put(HOSPITAL, suspend(DOCTOR));
    let entry = world.state().member(&id(DOCTOR)).unwrap().unwrap();
    assert_eq!(entry.suspended, Some(world.at.height));
    assert_eq!(world.void(DOCTOR, add_report(PATIENT)), VoidCode::Suspended);
    assert_eq!(world.void(HOSPITAL, suspend(DOCTOR)), VoidCode::AlreadySuspended);
    // Whoever found the device cannot make the keys their own.
    let thief = succeed(&world, &next(DOCTOR));
    assert_eq!(world.void(DOCTOR, thief), VoidCode::Suspended);
    // The hospital gives the doctor new ones, and what stands before stays.
    let next = next(DOCTOR);
    let body = succeed(&world, &next);
    let with_consent = Succeed {
        consent: Some(member(DOCTOR).consent_to(&world.at.chain, next.public())),
        ..body
    };
    assert_eq!(world.void(HOSPITAL, with_consent.clone()), VoidCode::NoConsent);
    world.put(HOSPITAL, Succeed { consent: None, ..with_consent });
    let entry = world.state().member(&id(DOCTOR)).unwrap().unwrap();
    assert_eq!(entry.suspended, None);
    let record = signed_by(&mut world, &next, add_report(PATIENT));
    assert_eq!(world.apply(&record), Ok(()));
}

#[test]
fn a_member_suspends_their_own_keys() {
    let mut world = World::peopled();
    world.put(DOCTOR, suspend(DOCTOR));
    assert_eq!(world.void(DOCTOR, add_report(PATIENT)), VoidCode::Suspended);
}

#[test]
fn a_suspended_patient_is_succeeded_by_hospital_and_patient_together_only() {
    let mut world = World::peopled();
    world.put(HOSPITAL, suspend(PATIENT));
    let next = next(PATIENT);
    let alone = succeed(&world, &next);
    assert_eq!(world.void(PATIENT, alone.clone()), VoidCode::Suspended);
    assert_eq!(world.void(HOSPITAL, alone.clone()), VoidCode::NoConsent);
    let chain = world.at.chain;
    let patient = member(PATIENT);
    let wrong = [
        next.consent_to(&chain, next.public()),
        patient.consent_to(&chain, patient.public()),
        patient.consent_to(&crate::ids::ChainId::from_bytes([9; 32]), next.public()),
        member(DOCTOR).consent_to(&chain, next.public()),
        patient.sign(crate::registry::domain::SUCCESSION, b""),
    ];
    for consent in wrong {
        let body = Succeed { consent: Some(consent), ..alone.clone() };
        assert_eq!(world.void(HOSPITAL, body), VoidCode::NoConsent);
    }
    let consent = Some(patient.consent_to(&chain, next.public()));
    world.put(HOSPITAL, Succeed { consent, ..alone });
    assert_eq!(&world.state().member(&id(PATIENT)).unwrap().unwrap().identity, next.public());
}

#[test]
fn what_was_verified_under_former_keys_is_verified_again() {
    let mut world = World::peopled();
    let before = world.sign(DOCTOR, AddReport { ..add_report(PATIENT) });
    let body = succeed(&world, &next(DOCTOR));
    world.put(DOCTOR, body);
    // Accepted before, and displaced by a reorganisation since: it must not slip through.
    let mut done = SignatureCheck::Done;
    let outcome = apply(&world.state, &before, &world.at, &mut done);
    assert!(outcome.unwrap_err().to_string().contains("signature"));
    let key = member(DOCTOR).public().signing_key();
    assert!(done.check(&key, &before), "only where keys changed");
}

mod groups;
