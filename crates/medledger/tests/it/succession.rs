//! Keys that change: succession, lost devices, and identity files.

use crate::support::{PASSWORD, World, rng, world};
use medledger::core::identity::{LockParams, lock};
use medledger::core::keys::HpkeAlgorithm;
use medledger::core::record::Scope;
use medledger::core::registry::VoidCode;
use medledger::{
    Contact, GrantId, Identity, IdentityError, Key, OpenReportError, Permission, Purpose,
    ReaderKey, ReportId, Role, SuccessionError,
};
use std::path::PathBuf;

fn opens(w: &World, reader: &Identity, report: &ReportId) -> Vec<u8> {
    w.ledger.open_report(reader, report, &Key::Identity).unwrap().to_vec().unwrap()
}

fn share(w: &World, patient: &Identity, scope: impl Into<Scope>, reader: &Identity) -> GrantId {
    let permission = Permission::new(scope, reader.id(), Purpose::Treatment, w.in_days(1));
    let shared = w.ledger.share(patient, permission, &Key::Identity, ReaderKey::Identity).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    shared.grant
}

/// A member as somebody with keys of the older algorithm.
fn of_x25519(w: &World, role: Role, name: &str) -> Identity {
    let identity = Identity::generate_with(HpkeAlgorithm::X25519, &mut rng());
    let registered =
        w.ledger.register(&w.hospital, &identity, role, &Contact::named(name)).unwrap();
    w.ledger.wait_mined(&registered.record).unwrap();
    identity
}

fn succeed(w: &World, identity: &Identity) -> Identity {
    let (next, succession) = w.ledger.succeed(identity, PASSWORD).unwrap();
    assert_eq!(succession.member, identity.id());
    w.ledger.wait_mined(&succession.record).unwrap();
    next
}

fn file(w: &World, member: &Identity, ending: &str) -> PathBuf {
    w.folder.join("identities").join(format!("{}.{ending}", member.id()))
}

#[test]
fn a_patient_with_new_keys_opens_and_shares_all_there_was_and_all_that_comes() {
    let w = world();
    let patient = of_x25519(&w, Role::Patient, "Pat Old");
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let upload = |bytes: &[u8]| {
        let uploaded = w.ledger.upload(&w.doctor, &patient.id(), bytes).unwrap();
        w.ledger.wait_mined(&uploaded.record).unwrap();
        uploaded.report
    };
    let before = upload(b"before");
    share(&w, &patient, Scope::Collection(w.hospital.id()), &nurse);
    let next = succeed(&w, &patient);
    assert_eq!(next.public().hpke_key().algorithm(), HpkeAlgorithm::XWing);
    let after = upload(b"after");
    // Even once nothing of the former keys is left.
    let forgotten = w.ledger.forget_former_keys(&next, PASSWORD).unwrap();
    let doctor = w.add(Role::Doctor, "Dr Bob");
    for (report, text) in [(&before, &b"before"[..]), (&after, b"after")] {
        for patient in [&next, &forgotten] {
            assert_eq!(opens(&w, patient, report), text);
        }
        assert_eq!(opens(&w, &nurse, report), text, "who could read the collection still can");
        share(&w, &forgotten, *report, &doctor);
        assert_eq!(opens(&w, &doctor, report), text);
        // The former keys are nobody's.
        let error = w.ledger.open_report(&patient, report, &Key::Identity).unwrap_err();
        assert!(matches!(error, OpenReportError::NoAccess), "{error}");
    }
    let error = w.ledger.succeed(&patient, PASSWORD).unwrap_err();
    assert!(matches!(error, SuccessionError::Refused(VoidCode::UnknownAuthor)), "{error}");
}

#[test]
fn a_reader_with_new_keys_has_what_was_granted_wrapped_anew() {
    let w = world();
    let (report, _) = w.upload(b"one");
    let nurse = of_x25519(&w, Role::Nurse, "Nurse Old");
    let group = w.ledger.create_role_group(&w.hospital, Role::Nurse).unwrap().id;
    share(&w, &w.patient, report.report, &nurse);
    share(&w, &w.patient, Scope::Collection(w.hospital.id()), &nurse);
    let next = succeed(&w, &nurse);
    let bare = next.without_former_keys();
    assert_eq!(opens(&w, &next, &report.report), b"one");
    w.ledger.open_report(&bare, &report.report, &Key::Identity).unwrap_err();
    assert_eq!(w.ledger.rewrap(&next).unwrap(), 3, "a report, a collection and a group's key");
    assert_eq!(w.ledger.rewrap(&next).unwrap(), 0, "nothing is left to do");
    assert_eq!(opens(&w, &bare, &report.report), b"one");
    // And through the group's key.
    let other = w.ledger.upload(&w.doctor, &w.patient.id(), &b"two"[..]).unwrap();
    let permission = Permission::new(other.report, group, Purpose::Treatment, w.in_days(1));
    let shared =
        w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Identity).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    assert_eq!(opens(&w, &bare, &other.report), b"two");
}

#[test]
fn pitfall_50_what_stands_to_a_former_key_opens_with_the_keys_that_were_kept_only() {
    let w = world();
    let (report, _) = w.upload(b"one");
    let nurse = of_x25519(&w, Role::Nurse, "Nurse Old");
    share(&w, &w.patient, report.report, &nurse);
    let next = succeed(&w, &nurse);
    let bare = next.without_former_keys();
    // A slot of suite 2 never opens with an X-Wing key, whatever its bytes say.
    let error = w.ledger.open_report(&bare, &report.report, &Key::Identity).unwrap_err();
    assert!(matches!(error, OpenReportError::Slot(_)), "{error}");
}

#[test]
fn pitfall_33_suspended_keys_open_nothing_until_the_hospital_gives_others() {
    let w = world();
    let (report, _) = w.upload(b"one");
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    share(&w, &w.patient, report.report, &nurse);
    assert_eq!(opens(&w, &nurse, &report.report), b"one");
    let stranger = w.ledger.suspend(&w.doctor, &nurse.id()).unwrap_err();
    assert!(matches!(stranger, SuccessionError::Submit(_)), "{stranger}");
    // At once, without waiting for a block.
    let record = w.ledger.suspend(&w.hospital, &nurse.id()).unwrap();
    let refused = || w.ledger.open_report(&nurse, &report.report, &Key::Identity).unwrap_err();
    assert!(matches!(refused(), OpenReportError::NoAccess));
    w.ledger.wait_mined(&record).unwrap();
    assert!(matches!(refused(), OpenReportError::NoAccess));
    let error = w.ledger.succeed(&nurse, PASSWORD).unwrap_err();
    assert!(matches!(error, SuccessionError::Refused(VoidCode::UnknownAuthor)), "{error}");
    let (next, succession) =
        w.ledger.replace_keys(&w.hospital, &nurse.id(), "a new password").unwrap();
    w.ledger.wait_mined(&succession.record).unwrap();
    assert_eq!(w.ledger.unlock(&nurse.id(), "a new password").unwrap(), next);
    // What was wrapped to the keys that were lost is gone; what is granted from here on is not.
    w.ledger.open_report(&next, &report.report, &Key::Identity).unwrap_err();
    share(&w, &w.patient, Scope::Collection(w.hospital.id()), &next);
    let (second, _) = w.upload(b"two");
    assert_eq!(opens(&w, &next, &second.report), b"two");
    assert!(matches!(refused(), OpenReportError::NoAccess));
    // A patient is never replaced by the hospital alone.
    w.ledger.suspend(&w.hospital, &w.patient.id()).unwrap();
    let error = w.ledger.replace_keys(&w.hospital, &w.patient.id(), "mine").unwrap_err();
    assert!(matches!(error, SuccessionError::Submit(_)), "{error}");
}

#[test]
fn a_hospitals_own_keys_are_not_changed_so() {
    let w = world();
    let error = w.ledger.succeed(&w.hospital, PASSWORD).unwrap_err();
    assert!(matches!(error, SuccessionError::Refused(VoidCode::WrongRole)), "{error}");
}

#[test]
fn whatever_a_crash_leaves_of_a_succession_the_file_in_force_opens() {
    let w = world();
    let contact = Contact::named("Nurse Joy");
    let (nurse, registered) =
        w.ledger.add_member(&w.hospital, Role::Nurse, &contact, PASSWORD).unwrap();
    w.ledger.wait_mined(&registered.record).unwrap();
    let unlocked = |w: &World| w.ledger.unlock(&nurse.id(), PASSWORD);
    // Before the record was accepted: keys that nobody knows lie beside those in force.
    let stray = nurse.next(HpkeAlgorithm::XWing, &mut rng()).unwrap();
    let bytes = lock(&stray, PASSWORD, &LockParams::weak_for_tests(), &mut rng()).unwrap();
    std::fs::write(file(&w, &nurse, "next"), bytes).unwrap();
    assert_eq!(unlocked(&w).unwrap(), nurse);
    let next = succeed(&w, &nurse);
    assert_eq!(unlocked(&w).unwrap(), next);
    // After it was accepted, before the first file was moved.
    let (present, beside) = (file(&w, &nurse, "identity"), file(&w, &nurse, "next"));
    std::fs::rename(&present, &beside).unwrap();
    std::fs::rename(file(&w, &nurse, "former"), &present).unwrap();
    assert_eq!(unlocked(&w).unwrap(), next);
    // Between the two moves.
    std::fs::rename(&present, file(&w, &nurse, "former")).unwrap();
    assert_eq!(unlocked(&w).unwrap(), next);
    assert_eq!(
        w.ledger.local_identities().unwrap().iter().filter(|id| **id == nurse.id()).count(),
        1
    );
    std::fs::rename(&beside, &present).unwrap();
    // Forgotten, nothing of the former keys lies there.
    let forgotten = w.ledger.forget_former_keys(&next, PASSWORD).unwrap();
    assert_eq!(unlocked(&w).unwrap(), forgotten);
    assert!(!file(&w, &nurse, "former").exists());
}

#[test]
fn a_password_is_changed_and_a_weak_file_is_locked_better() {
    let w = world();
    let contact = Contact::named("Nurse Joy");
    let (nurse, _) = w.ledger.add_member(&w.hospital, Role::Nurse, &contact, PASSWORD).unwrap();
    let id = nurse.id();
    let unlock = |password: &str| w.ledger.unlock(&id, password);
    w.ledger.change_password(&id, "wrong", "new").unwrap_err();
    assert_eq!(unlock(PASSWORD).unwrap(), nurse);
    w.ledger.change_password(&id, PASSWORD, "new").unwrap();
    let error = unlock(PASSWORD).unwrap_err();
    assert!(matches!(error, IdentityError::Unlock(_)), "{error}");
    assert_eq!(unlock("new").unwrap(), nurse);
    assert!(!w.ledger.upgrade_identity(&id, "new").unwrap(), "locked as of today already");
    // As locked long ago, or elsewhere: cheaper to guess.
    let weak = lock(&nurse, "new", &LockParams::weak_for_tests(), &mut rng()).unwrap();
    std::fs::write(file(&w, &nurse, "identity"), weak).unwrap();
    let before = w.ledger.identity_info(&id).unwrap();
    assert!(before.is_outdated(&LockParams::default()));
    w.ledger.upgrade_identity(&id, "wrong").unwrap_err();
    assert_eq!(w.ledger.identity_info(&id).unwrap(), before, "the old file stays");
    assert!(w.ledger.upgrade_identity(&id, "new").unwrap());
    assert_eq!(w.ledger.identity_info(&id).unwrap().params, LockParams::default());
    assert_eq!(unlock("new").unwrap(), nurse);
}
