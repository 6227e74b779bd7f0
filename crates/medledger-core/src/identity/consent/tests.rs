use super::*;
use crate::keys::HpkeSecretKey;
use crate::registry::domain;
use crate::testing::{DOCTOR, PATIENT, id, member};
use rand_core::UnwrapErr;

fn rng() -> impl CryptoRng {
    UnwrapErr(getrandom::SysRng)
}

fn chain() -> ChainId {
    ChainId::from_bytes([7; 32])
}

fn given(present: &Identity) -> (Identity, KeyConsent) {
    present.consent_to_next(&chain(), &mut rng()).unwrap()
}

/// As the patient's hospital judges it while the present keys are suspended.
fn judged(consent: &KeyConsent, present: &Identity) -> Result<(), ConsentError> {
    consent.check(&chain(), &present.id(), present.public(), true)
}

#[test]
fn what_is_written_is_read_and_is_what_the_record_says() {
    let patient = member(PATIENT);
    let (next, consent) = given(&patient);
    assert_eq!(KeyConsent::decode(&consent.encode()).as_ref(), Ok(&consent));
    assert!(consent.encode().len() < limit::KEY_CONSENT_BYTES / 2);
    assert_eq!((consent.member(), consent.chain()), (id(PATIENT), chain()));
    assert_eq!(consent.next(), next.public());
    assert_eq!(judged(&consent, &patient), Ok(()));
    assert_eq!(next.former_hpke_keys().len(), 1);
    let Succeed { member, next: keys, proof, consent } = consent.into_record();
    assert_eq!((member, &keys), (id(PATIENT), next.public()));
    assert!(keys.check_succession(&chain(), &member, &proof).is_ok());
    let consent = consent.unwrap();
    assert!(patient.public().check_consent(&chain(), &member, &keys, &consent).is_ok());
}

#[test]
fn other_bytes_and_other_versions_are_refused_by_name() {
    let (_, consent) = given(&member(PATIENT));
    let bytes = consent.encode();
    let malformed = |bytes: &[u8]| {
        let error = KeyConsent::decode(bytes).unwrap_err();
        assert!(matches!(error, ConsentError::Malformed(_)), "{error}");
    };
    malformed(b"");
    malformed(&bytes[..bytes.len() - 1]);
    malformed(&[&bytes[..], &[0]].concat());
    malformed(&vec![0; limit::KEY_CONSENT_BYTES + 1]);
    let later = KeyConsent { v: FORMAT_VERSION + 1, ..consent };
    assert_eq!(
        KeyConsent::decode(&later.encode()),
        Err(ConsentError::UnknownVersion { found: FORMAT_VERSION + 1 })
    );
}

#[test]
fn pitfall_51_a_consent_to_a_weak_key_is_no_consent() {
    let (_, consent) = given(&member(PATIENT));
    let good = consent.next.to_bytes();
    let key = consent.next.signing_key();
    // The point of order one, in the place of the signing key.
    let weak = [&[1][..], &[0; 31]].concat();
    let at = consent.encode().windows(32).position(|w| w == key.as_bytes()).unwrap();
    let mut bytes = consent.encode();
    assert_eq!(bytes.windows(good.len()).filter(|w| *w == good).count(), 1);
    bytes[at..at + 32].copy_from_slice(&weak);
    let error = KeyConsent::decode(&bytes).unwrap_err();
    assert!(matches!(error, ConsentError::Malformed(_)), "{error}");
}

#[test]
fn pitfall_30_a_consent_is_for_one_chain_and_one_member() {
    let (patient, doctor) = (member(PATIENT), member(DOCTOR));
    let (_, consent) = given(&patient);
    let elsewhere = ChainId::from_bytes([8; 32]);
    assert_eq!(
        consent.check(&elsewhere, &patient.id(), patient.public(), true),
        Err(ConsentError::OtherChain { expected: elsewhere, found: chain() })
    );
    // Another chain written over it has nobody's signature.
    let moved = KeyConsent { chain: elsewhere, ..consent.clone() };
    let found = moved.check(&elsewhere, &patient.id(), patient.public(), true);
    assert_eq!(found, Err(ConsentError::NotSigned));
    assert_eq!(
        consent.check(&chain(), &doctor.id(), doctor.public(), true),
        Err(ConsentError::OtherMember { expected: doctor.id(), found: patient.id() })
    );
    let moved = KeyConsent { member: doctor.id(), ..consent.clone() };
    let found = moved.check(&chain(), &doctor.id(), doctor.public(), true);
    assert!(matches!(found, Err(ConsentError::OtherKeys { .. })), "{found:?}");
    let keys = doctor.public().fingerprint();
    let moved = KeyConsent { member: doctor.id(), keys, ..consent };
    let found = moved.check(&chain(), &doctor.id(), doctor.public(), true);
    assert_eq!(found, Err(ConsentError::NotSigned));
}

#[test]
fn pitfall_30_any_succession_ends_every_consent_before_it() {
    let patient = member(PATIENT);
    let (next, used) = given(&patient);
    let (_, spare) = given(&patient);
    assert_eq!(judged(&spare, &patient), Ok(()));
    // After the first was used, also once the new keys are suspended in their turn.
    assert_eq!(judged(&used, &next), Err(ConsentError::Used));
    let (expected, found) = (next.public().fingerprint(), patient.public().fingerprint());
    assert_eq!(judged(&spare, &next), Err(ConsentError::OtherKeys { expected, found }));
    let relabelled = KeyConsent { keys: expected, ..spare };
    assert_eq!(judged(&relabelled, &next), Err(ConsentError::NotSigned));
}

#[test]
fn pitfall_33_nobody_consents_for_the_patient() {
    let (patient, thief) = (member(PATIENT), member(DOCTOR));
    let (next, consent) = given(&patient);
    assert_eq!(
        consent.check(&chain(), &patient.id(), patient.public(), false),
        Err(ConsentError::NotSuspended)
    );
    let wrong = [
        thief.consent_to(&chain(), next.public()),
        next.consent_to(&chain(), next.public()),
        patient.consent_to(&chain(), thief.public()),
        patient.sign(domain::SUCCESSION, b""),
        consent.proof,
    ];
    for signature in wrong {
        let forged = KeyConsent { consent: signature, ..consent.clone() };
        assert_eq!(judged(&forged, &patient), Err(ConsentError::NotSigned));
    }
    // Keys that somebody else put in.
    let (theirs, _) = given(&thief);
    let swapped = KeyConsent { next: theirs.public().clone(), ..consent };
    assert_eq!(judged(&swapped, &patient), Err(ConsentError::NotSigned));
}

#[test]
fn pitfall_51_who_consents_holds_the_new_keys() {
    let patient = member(PATIENT);
    let (_, consent) = given(&patient);
    // The patient signs for keys of somebody else, whose proof cannot be had.
    let stolen = Identity::generate(&mut rng()).public().clone();
    let forged =
        KeyConsent { consent: patient.consent_to(&chain(), &stolen), next: stolen, ..consent };
    assert_eq!(judged(&forged, &patient), Err(ConsentError::NotPossessed));
    let forged = KeyConsent { proof: consent.consent, ..consent };
    assert_eq!(judged(&forged, &patient), Err(ConsentError::NotPossessed));
}

#[test]
fn pitfall_50_no_consent_leads_back_to_weaker_keys_or_to_the_same() {
    let strong = Identity::generate(&mut rng());
    let to = |next: &Identity| KeyConsent {
        next: next.public().clone(),
        proof: next.prove_succession(&chain()),
        consent: strong.consent_to(&chain(), next.public()),
        ..given(&strong).1
    };
    let weak = strong.next(HpkeAlgorithm::X25519, &mut rng()).unwrap();
    assert_eq!(
        judged(&to(&weak), &strong),
        Err(ConsentError::Weaker { before: HpkeAlgorithm::XWing, found: HpkeAlgorithm::X25519 })
    );
    let same_hpke = Identity::with_id(
        strong.id(),
        crate::keys::SigningKey::generate(&mut rng()),
        HpkeSecretKey::from_bytes(HpkeAlgorithm::XWing, &strong.hpke_secret_key().expose()),
    );
    assert_eq!(judged(&to(&same_hpke), &strong), Err(ConsentError::SameKeys));
}
