//! Keys that change: succession, lost devices, and identity files.

use crate::support::{PASSWORD, World, rng, world};
use medledger::core::engine::SubmitError;
use medledger::core::identity::{LockParams, lock};
use medledger::core::keys::HpkeAlgorithm;
use medledger::core::record::Scope;
use medledger::core::registry::VoidCode;
use medledger::effort::counted;
use medledger::{
    Beside, Contact, GrantId, Identity, IdentityError, Key, OpenReportError, Permission, Purpose,
    ReaderKey, ReportId, Role, StillFormer, SuccessionError,
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
    w.ledger.rewrap(&next).unwrap();
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
    // Keys that are needed are not forgotten, whoever insists.
    let former = w.ledger.identity_info(&nurse.id()).unwrap().former;
    for refused in [
        w.ledger.forget_former_keys(&next, PASSWORD).unwrap_err(),
        w.ledger.forget_former_keys_anyway(&next, PASSWORD).unwrap_err(),
    ] {
        let SuccessionError::StillFormer { reports: 1, collections: 1, groups: 1 } = refused else {
            panic!("{refused}")
        };
    }
    assert_eq!(w.ledger.identity_info(&nurse.id()).unwrap().former, former);
    assert_eq!(w.ledger.rewrap(&next).unwrap(), 3, "a report, a collection and a group's key");
    assert_eq!(w.ledger.rewrap(&next).unwrap(), 0, "nothing is left to do");
    assert_eq!(w.ledger.still_former(&next).unwrap(), StillFormer::default());
    w.ledger.forget_former_keys(&next, PASSWORD).unwrap();
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
    assert!(matches!(refused(), OpenReportError::Suspended(since) if since.time.is_none()));
    w.ledger.wait_mined(&record).unwrap();
    let since = w.ledger.suspension(&nurse.id()).unwrap().expect("suspended");
    assert!(since.time.is_some(), "{since}");
    assert!(matches!(refused(), OpenReportError::Suspended(found) if found == since));
    // The same for every report, there or not: one's own suspension is all that is told.
    let answers = [report.report, ReportId::from_bytes([9; 16])].map(|report| {
        counted(|| w.ledger.open_report(&nurse, &report, &Key::Identity).unwrap_err().to_string())
    });
    assert_eq!(answers[0], answers[1]);
    let error = w.ledger.succeed(&nurse, PASSWORD).unwrap_err();
    assert!(matches!(error, SuccessionError::Refused(VoidCode::Suspended)), "{error}");
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
fn pitfall_33_a_suspended_patient_gets_new_keys_with_the_hospital_and_neither_does_alone() {
    let w = world();
    let (report, _) = w.upload(b"one");
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    share(&w, &w.patient, Scope::Collection(w.hospital.id()), &nurse);
    let replace = |hospital: &Identity, patient: &Identity| {
        w.ledger.replace_patient_keys(hospital, patient, "a new password")
    };
    let refused = |result: Result<_, SuccessionError>, wanted: VoidCode| match result {
        Err(SuccessionError::Submit(SubmitError::Refused { code, .. })) => assert_eq!(code, wanted),
        Err(error) => panic!("{error}"),
        Ok((_, _)) => panic!("{wanted:?} was wanted"),
    };
    // Not while the patient can sign for themselves.
    refused(replace(&w.hospital, &w.patient), VoidCode::NotSuspended);
    w.ledger.wait_mined(&w.ledger.suspend(&w.patient, &w.patient.id()).unwrap()).unwrap();
    let opened = |who: &Identity| w.ledger.open_report(who, &report.report, &Key::Identity);
    assert!(matches!(opened(&w.patient), Err(OpenReportError::Suspended(_))));
    // Not the patient alone, nor the hospital, nor another in its place.
    let error = w.ledger.succeed(&w.patient, PASSWORD).unwrap_err();
    assert!(matches!(error, SuccessionError::Refused(VoidCode::Suspended)), "{error}");
    refused(w.ledger.replace_keys(&w.hospital, &w.patient.id(), "x"), VoidCode::NoConsent);
    refused(replace(&w.doctor, &w.patient), VoidCode::NotRegistrar);
    // With the keys that a patient's other devices have, the hospital makes nobody consent.
    let forged = Identity::with_id(
        w.patient.id(),
        medledger::core::keys::SigningKey::generate(&mut rng()),
        medledger::core::keys::HpkeSecretKey::from_bytes(
            w.patient.public().hpke_key().algorithm(),
            &w.patient.hpke_secret_key().expose(),
        ),
    );
    refused(replace(&w.hospital, &forged), VoidCode::NoConsent);

    let (next, succession) = replace(&w.hospital, &w.patient).unwrap();
    assert_eq!(succession.collections, [w.hospital.id()]);
    assert!(succession.elsewhere.is_empty());
    w.ledger.wait_mined(&succession.record).unwrap();
    assert_eq!(w.ledger.unlock(&w.patient.id(), "a new password").unwrap(), next);
    let late = w.ledger.upload(&w.doctor, &w.patient.id(), &b"two"[..]).unwrap();
    w.ledger.wait_mined(&late.record).unwrap();
    for (report, text) in [(&report.report, b"one"), (&late.report, b"two")] {
        assert_eq!(opens(&w, &next, report), text);
        assert_eq!(opens(&w, &nurse, report), text);
    }
    assert!(matches!(opened(&w.patient), Err(OpenReportError::NoAccess)));
    refused(replace(&w.hospital, &next), VoidCode::NotSuspended);
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

#[test]
fn pitfall_48_the_former_keys_lie_under_the_new_password_too_whatever_a_crash_leaves() {
    let w = world();
    let contact = Contact::named("Nurse Joy");
    let (nurse, registered) =
        w.ledger.add_member(&w.hospital, Role::Nurse, &contact, PASSWORD).unwrap();
    w.ledger.wait_mined(&registered.record).unwrap();
    let id = nurse.id();
    assert_eq!(w.ledger.change_password(&id, PASSWORD, "one").unwrap(), Beside::None);
    let (next, succession) = w.ledger.succeed(&nurse, "one").unwrap();
    w.ledger.wait_mined(&succession.record).unwrap();
    // The former file is under the password it had.
    let under = |ending: &str, password: &str| {
        let bytes = std::fs::read(file(&w, &nurse, ending)).unwrap();
        medledger::core::identity::unlock(&bytes, password).ok()
    };
    let all = |password: &str| (under("former", password), under("identity", password));
    let both = |password: &str| {
        let (former, present) = all(password);
        (former.is_some_and(|found| found == nurse), present.is_some_and(|found| found == next))
    };
    assert_eq!(both("one"), (true, true));
    let before = ["former", "identity"].map(|ending| std::fs::read(file(&w, &nurse, ending)));
    w.ledger.change_password(&id, "wrong", "two").unwrap_err();
    let after = ["former", "identity"].map(|ending| std::fs::read(file(&w, &nurse, ending)));
    assert_eq!(before.map(Result::unwrap), after.map(Result::unwrap), "nothing was touched");

    assert_eq!(w.ledger.change_password(&id, "one", "two").unwrap(), Beside::Locked);
    assert_eq!((both("one"), both("two")), ((false, false), (true, true)));
    // Killed between the two files: both open, each with one of the passwords, and again ends it.
    let weak = LockParams::weak_for_tests();
    let bytes = lock(&nurse, "three", &weak, &mut rng()).unwrap();
    std::fs::write(file(&w, &nurse, "former"), bytes).unwrap();
    assert_eq!((both("two"), both("three")), ((false, true), (true, false)));
    assert_eq!(w.ledger.unlock(&id, "two").unwrap(), next);
    assert_eq!(w.ledger.change_password(&id, "two", "three").unwrap(), Beside::Locked);
    assert_eq!((both("two"), both("three")), ((false, false), (true, true)));
    // Where the succession itself was interrupted each file stays where it is.
    std::fs::rename(file(&w, &nurse, "identity"), file(&w, &nurse, "next")).unwrap();
    std::fs::rename(file(&w, &nurse, "former"), file(&w, &nurse, "identity")).unwrap();
    assert_eq!(w.ledger.change_password(&id, "three", "four").unwrap(), Beside::Locked);
    assert_eq!(w.ledger.unlock(&id, "four").unwrap(), next);
    assert!(under("next", "four").is_some_and(|found| found == next));
    assert!(under("identity", "four").is_some_and(|found| found == nurse));
    std::fs::rename(file(&w, &nurse, "identity"), file(&w, &nurse, "former")).unwrap();
    std::fs::rename(file(&w, &nurse, "next"), file(&w, &nurse, "identity")).unwrap();
    // A former file under a password of long ago is told of, and stays.
    let bytes = lock(&nurse, "long ago", &weak, &mut rng()).unwrap();
    std::fs::write(file(&w, &nurse, "former"), &bytes).unwrap();
    assert_eq!(w.ledger.change_password(&id, "four", "five").unwrap(), Beside::OtherPassword);
    assert_eq!(std::fs::read(file(&w, &nurse, "former")).unwrap(), bytes);
    assert_eq!(w.ledger.unlock(&id, "five").unwrap(), next);
    w.ledger.forget_former_keys(&next, "five").unwrap();
    assert!(!file(&w, &nurse, "former").exists());
}

#[test]
fn keys_that_were_refused_leave_no_file_and_keys_in_force_are_not_written_over() {
    let w = world();
    let contact = Contact::named("Nurse Joy");
    let (nurse, _) = w.ledger.add_member(&w.hospital, Role::Nurse, &contact, PASSWORD).unwrap();
    let file = |ending: &str| w.folder.join("identities").join(format!("{}.{ending}", nurse.id()));
    // Not suspended, so the hospital does not replace them.
    let error = w.ledger.replace_keys(&w.hospital, &nurse.id(), "new").unwrap_err();
    assert!(matches!(error, SuccessionError::Submit(_)), "{error}");
    assert!(!file("next").exists());
    assert_eq!(w.ledger.unlock(&nurse.id(), PASSWORD).unwrap(), nurse);
    w.ledger.suspend(&w.hospital, &nurse.id()).unwrap();
    let (second, done) = w.ledger.replace_keys(&w.hospital, &nurse.id(), "new").unwrap();
    w.ledger.wait_mined(&done.record).unwrap();
    // As a crash leaves it: the ledger has the new keys, the file with them stands beside the old one.
    std::fs::rename(file("identity"), file("next")).unwrap();
    std::fs::rename(file("former"), file("identity")).unwrap();
    assert_eq!(w.ledger.unlock(&nurse.id(), "new").unwrap(), second);
    // A try that is refused leaves the keys in force where they open.
    let error = w.ledger.replace_keys(&w.hospital, &nurse.id(), "third").unwrap_err();
    assert!(matches!(error, SuccessionError::Submit(_)), "{error}");
    assert_eq!(w.ledger.unlock(&nurse.id(), "new").unwrap(), second);
    assert!(!file("next").exists());
    let (third, _) = w.ledger.succeed(&second, "third").unwrap();
    assert_eq!(w.ledger.unlock(&nurse.id(), "third").unwrap(), third);
}
