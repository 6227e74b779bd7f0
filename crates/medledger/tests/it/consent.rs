//! A patient whose keys are suspended makes new ones on another machine; hospital and patient meet in a file.

use crate::hospitals::{founders, settle};
use crate::support::{PASSWORD, World, member, rng, world, world_with_outbox};
use medledger::core::engine::SubmitError;
use medledger::core::identity::{LockParams, lock, peek};
use medledger::core::keys::{HpkeSecretKey, SigningKey};
use medledger::core::record::Scope;
use medledger::core::registry::VoidCode;
use medledger::{
    ChainId, ConsentError, Identity, IdentityFileError, Key, KeyConsent, Ledger, OpenReportError,
    Permission, Purpose, ReaderKey, ReportId, Role, SuccessionError,
};
use std::path::PathBuf;

fn opens(ledger: &Ledger, reader: &Identity, report: &ReportId) -> Vec<u8> {
    ledger.open_report(reader, report, &Key::Identity).unwrap().to_vec().unwrap()
}

fn suspend(w: &World) {
    w.ledger.wait_mined(&w.ledger.suspend(&w.hospital, &w.patient.id()).unwrap()).unwrap();
}

/// The patient's own machine: a folder with a copy of the identity file, and no ledger.
struct Home {
    dir: tempfile::TempDir,
    chain: ChainId,
}

impl Home {
    fn of(patient: &Identity, chain: ChainId) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let weak = LockParams::weak_for_tests();
        let bytes = lock(patient, "the old one", &weak, &mut rng()).unwrap();
        std::fs::write(dir.path().join("old"), bytes).unwrap();
        Self { dir, chain }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn consent(&self, password: &str, next: &str) -> Result<KeyConsent, IdentityFileError> {
        let (old, next) = (self.file("old"), self.file(next));
        let weak = LockParams::weak_for_tests();
        let made =
            Ledger::consent_to_new_keys(&self.chain, old, password, next, "the new one", &weak);
        made.map(|(_, consent)| consent)
    }
}

#[test]
fn pitfall_33_a_consent_travels_as_a_file_and_the_hospital_never_has_the_keys() {
    let w = world_with_outbox();
    let report = w.ledger.upload(&w.doctor, &w.patient.id(), &b"one"[..]).unwrap();
    w.ledger.wait_mined(&report.record).unwrap();
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let here = w.hospital.id();
    let permission =
        Permission::new(Scope::Collection(here), nurse.id(), Purpose::Treatment, w.in_days(1));
    let shared =
        w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Identity).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    let home = Home::of(&w.patient, w.ledger.chain());
    suspend(&w);

    let old = std::fs::read(home.file("old")).unwrap();
    let consent = home.consent("the old one", "new").unwrap();
    assert_eq!(std::fs::read(home.file("old")).unwrap(), old, "the old file stays");
    let new = std::fs::read(home.file("new")).unwrap();
    assert_eq!(peek(&new).unwrap().public, *consent.next());
    // Only the bytes go to the hospital, which sees whom they are about.
    let consent = KeyConsent::decode(&consent.encode()).unwrap();
    let told = w.ledger.check_consent(&w.patient.id(), &consent).unwrap();
    assert_eq!((told.id, told.contact.name.as_str()), (w.patient.id(), "Pat Näßl"));
    let letters = w.letters().len();
    let succession = w.ledger.replace_with_consent(&w.hospital, &w.patient.id(), &consent).unwrap();
    w.ledger.wait_mined(&succession.record).unwrap();
    assert_eq!((succession.collections.len(), &succession.to_renew[..]), (0, &[here][..]));
    assert!(succession.elsewhere.is_empty());
    let letters = w.letters().split_off(letters);
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert!(letter.contains(&consent.next().fingerprint().to_groups()), "{letter}");

    // Until the patient comes with the new keys, what is added opens for those who could read.
    let late = w.ledger.upload(&w.doctor, &w.patient.id(), &b"two"[..]).unwrap();
    w.ledger.wait_mined(&late.record).unwrap();
    let wrong = w.ledger.install_identity(&new, "the old one").unwrap_err();
    assert!(matches!(wrong, IdentityFileError::Unlock(_)), "{wrong}");
    let next = w.ledger.install_identity(&new, "the new one").unwrap();
    assert_eq!(w.ledger.unlock(&w.patient.id(), "the new one").unwrap(), next);
    let all = [(&report.report, &b"one"[..]), (&late.report, b"two")];
    let read = |who: &[&Identity]| {
        for (report, text) in all {
            for who in who {
                assert_eq!(opens(&w.ledger, who, report), text);
            }
            let error = w.ledger.open_report(&w.patient, report, &Key::Identity).unwrap_err();
            assert!(matches!(error, OpenReportError::NoAccess), "{error}");
        }
    };
    read(&[&next, &nurse]);
    // Nothing is forgotten while what comes is wrapped to a key of the former ones, whoever insists.
    assert!(w.ledger.rewrap(&next).unwrap() > 0);
    assert!(w.ledger.still_former(&next).unwrap().renew);
    for refused in [
        w.ledger.forget_former_keys(&next, "the new one").unwrap_err(),
        w.ledger.forget_former_keys_anyway(&next, "the new one").unwrap_err(),
    ] {
        assert!(matches!(refused, SuccessionError::NotRenewed(at) if at == here), "{refused}");
    }
    w.ledger.wait_mined(&w.ledger.renew_collection(&next, &here).unwrap()).unwrap();
    let bare = w.ledger.forget_former_keys(&next, "the new one").unwrap();
    read(&[&bare, &nurse]);
    let last = w.ledger.upload(&w.doctor, &w.patient.id(), &b"three"[..]).unwrap();
    w.ledger.wait_mined(&last.record).unwrap();
    for who in [&bare, &nurse] {
        assert_eq!(opens(&w.ledger, who, &last.report), b"three");
    }
}

#[test]
fn what_a_patient_makes_at_home_spoils_nothing_that_is_there() {
    let w = world();
    let home = Home::of(&w.patient, w.ledger.chain());
    let wrong = home.consent("guess", "new").unwrap_err();
    assert!(matches!(wrong, IdentityFileError::Unlock(_)), "{wrong}");
    assert!(!home.file("new").exists());
    home.consent("the old one", "new").unwrap();
    let before = std::fs::read(home.file("new")).unwrap();
    // Not even the file with the suspended keys is written over.
    for taken in ["new", "old"] {
        let refused = home.consent("the old one", taken).unwrap_err();
        assert!(matches!(refused, IdentityFileError::Exists(_)), "{refused}");
    }
    assert_eq!(std::fs::read(home.file("new")).unwrap(), before);
    std::fs::remove_file(home.file("old")).unwrap();
    let gone = home.consent("the old one", "newer").unwrap_err();
    assert!(matches!(gone, IdentityFileError::Io { .. }), "{gone}");
    assert!(!home.file("newer").exists());
    // Keys that the ledger does not name are not put in the place of those it does.
    let refused = w.ledger.install_identity(&before, "the new one").unwrap_err();
    assert!(matches!(refused, IdentityFileError::NotInForce(_)), "{refused}");
    // The keys in force under another password are no succession.
    let weak = LockParams::weak_for_tests();
    for password in ["one", "two"] {
        let file = lock(&w.patient, password, &weak, &mut rng()).unwrap();
        w.ledger.install_identity(&file, password).unwrap();
        assert_eq!(w.ledger.unlock(&w.patient.id(), password).unwrap(), w.patient);
    }
    let former = w.folder.join("identities").join(format!("{}.former", w.patient.id()));
    assert!(!former.exists());
}

#[test]
fn pitfall_30_a_consent_counts_once_for_one_member_on_one_chain() {
    let w = world();
    let home = Home::of(&w.patient, w.ledger.chain());
    let [first, second] = ["a", "b"].map(|next| home.consent("the old one", next).unwrap());
    let by = |hospital: &Identity, member: &Identity, consent: &KeyConsent| {
        w.ledger.replace_with_consent(hospital, &member.id(), consent)
    };
    let refused = |consent: &KeyConsent| match by(&w.hospital, &w.patient, consent).unwrap_err() {
        SuccessionError::Consent(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(refused(&first), ConsentError::NotSuspended);
    suspend(&w);
    // Of another hospital's patient, and of whoever is no hospital.
    let error = by(&w.doctor, &w.patient, &first).unwrap_err();
    let SuccessionError::Submit(SubmitError::Refused { code, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(code, VoidCode::NotRegistrar);
    let other = by(&w.hospital, &w.doctor, &first).unwrap_err();
    let SuccessionError::Consent(ConsentError::OtherMember { .. }) = other else {
        panic!("{other}")
    };
    let elsewhere = Home::of(&w.patient, ChainId::from_bytes([1; 32]));
    let foreign = elsewhere.consent("the old one", "new").unwrap();
    assert!(matches!(refused(&foreign), ConsentError::OtherChain { .. }));
    // With the keys that a patient's other devices have, the hospital makes nobody consent.
    let forged = Identity::with_id(
        w.patient.id(),
        SigningKey::generate(&mut rng()),
        HpkeSecretKey::from_bytes(
            w.patient.public().hpke_key().algorithm(),
            &w.patient.hpke_secret_key().expose(),
        ),
    );
    let (_, forged) = forged.consent_to_next(&w.ledger.chain(), &mut rng()).unwrap();
    assert!(matches!(refused(&forged), ConsentError::OtherKeys { .. }));

    let record = by(&w.hospital, &w.patient, &first).unwrap().record;
    // At once, and for ever: also when the new keys are lost in their turn.
    for suspended in [false, true] {
        if suspended {
            w.ledger.wait_mined(&record).unwrap();
            suspend(&w);
        }
        assert_eq!(refused(&first), ConsentError::Used);
        assert!(matches!(refused(&second), ConsentError::OtherKeys { .. }));
    }
    // A doctor's keys take no consent.
    w.ledger.suspend(&w.hospital, &w.doctor.id()).unwrap();
    let (_, doctors) = w.doctor.consent_to_next(&w.ledger.chain(), &mut rng()).unwrap();
    let error = by(&w.hospital, &w.doctor, &doctors).unwrap_err();
    assert!(matches!(error, SuccessionError::Refused(VoidCode::NoConsent)), "{error}");
}

#[test]
fn new_keys_go_on_at_two_hospitals_and_the_former_ones_are_forgotten_at_both() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [here, there] = &houses[..] else { panic!("two hospitals") };
    let all = [here, there];
    let (doctor, _) = member(&here.ledger, &here.identity, Role::Doctor, "Dr Ada");
    let (patient, _) = member(&here.ledger, &here.identity, Role::Patient, "Pat");
    let (author, _) = member(&there.ledger, &there.identity, Role::Doctor, "Dr Eve");
    let (joy, _) = member(&there.ledger, &there.identity, Role::Nurse, "Nurse Joy");
    let (bob, _) = member(&there.ledger, &there.identity, Role::Doctor, "Dr Bob");
    settle(&all);
    there.ledger.enrol(&patient).unwrap();
    settle(&all);
    let again = there.ledger.enrol(&patient).unwrap_err();
    assert!(again.to_string().contains("code"), "{again}");
    let upload = |at: &crate::hospitals::House, by: &Identity, bytes: &[u8]| {
        let uploaded = at.ledger.upload(by, &patient.id(), bytes).unwrap();
        at.ledger.wait_mined(&uploaded.record).unwrap();
        settle(&all);
        uploaded.report
    };
    let (at_here, early) = (upload(here, &doctor, b"here"), upload(there, &author, b"early"));
    let until = there.ledger.now().plus(86_400);
    let collection = Scope::Collection(there.identity.id());
    let permission = |reader: &Identity| {
        Permission::new(collection.clone(), reader.id(), Purpose::Treatment, until)
    };
    // Where it is not kept a collection is neither shared nor renewed: its readers' keys are rows there.
    let (key, to) = (Key::Identity, ReaderKey::Identity);
    let refused = here.ledger.share(&patient, permission(&joy), &key, to).unwrap_err();
    assert!(refused.to_string().contains("shared and renewed there"), "{refused}");
    let refused = here.ledger.renew_collection(&patient, &there.identity.id()).unwrap_err();
    assert!(refused.to_string().contains("shared and renewed there"), "{refused}");
    there.ledger.share(&patient, permission(&joy), &key, to).unwrap();
    let bobs = there.ledger.share(&patient, permission(&bob), &key, ReaderKey::Access).unwrap();
    let medledger::Delivery::PickUp(bobs) = bobs.delivery else { panic!("no key") };
    settle(&all);

    let (next, succession) = here.ledger.succeed(&patient, PASSWORD).unwrap();
    let (a, b) = (here.identity.id(), there.identity.id());
    assert_eq!((&succession.collections[..], &succession.to_renew[..]), (&[a][..], &[b][..]));
    assert_eq!(succession.elsewhere, [b]);
    // The other hospital has not heard of it yet, and wraps to the former keys.
    let uploaded = there.ledger.upload(&author, &patient.id(), &b"unaware"[..]).unwrap();
    there.ledger.wait_mined(&uploaded.record).unwrap();
    let unaware = uploaded.report;
    settle(&all);
    let late = upload(there, &author, b"late");
    let texts: [(&ReportId, &[u8]); 3] =
        [(&early, b"early"), (&unaware, b"unaware"), (&late, b"late")];
    let read = |patient_now: &Identity, texts: &[(&ReportId, &[u8])]| {
        for (report, text) in texts {
            for who in [patient_now, &joy] {
                assert_eq!(opens(&there.ledger, who, report), *text);
            }
            let mut opened = there.ledger.open_report(&bob, report, &Key::Access(&bobs)).unwrap();
            assert_eq!(opened.to_vec().unwrap(), *text);
            let error = there.ledger.open_report(&patient, report, &Key::Identity).unwrap_err();
            assert!(matches!(error, OpenReportError::NoAccess), "the former keys: {error}");
        }
    };
    read(&next, &texts);

    here.ledger.rewrap(&next).unwrap();
    let forget = |done_at: &[medledger::MemberId]| {
        here.ledger.forget_former_keys_done_at(&next, PASSWORD, done_at)
    };
    let error = forget(&[]).unwrap_err();
    assert!(matches!(error, SuccessionError::Elsewhere { hospitals } if hospitals == [b]));
    // Said to be done, and the ledger knows better.
    let error = forget(&[b]).unwrap_err();
    assert!(matches!(error, SuccessionError::NotRenewed(at) if at == b), "{error}");

    // At the other hospital, with the file as it was brought there.
    let file = lock(&next, "brought", &LockParams::weak_for_tests(), &mut rng()).unwrap();
    let next_there = there.ledger.install_identity(&file, "brought").unwrap();
    let still = there.ledger.still_former(&next_there).unwrap();
    assert!(still.renew && still.elsewhere == [a], "{still:?}");
    assert!(there.ledger.rewrap(&next_there).unwrap() >= 3, "the patient's rows of three reports");
    there.ledger.renew_collection(&next_there, &b).unwrap();
    settle(&all);
    read(&next, &texts);
    // Each place names the other one, and takes the patient's word for it.
    let error = there.ledger.forget_former_keys(&next_there, "brought").unwrap_err();
    assert!(matches!(error, SuccessionError::Elsewhere { hospitals } if hospitals == [a]));
    there.ledger.forget_former_keys_done_at(&next_there, "brought", &[a]).unwrap();
    let bare = forget(&[b]).unwrap();
    assert!(bare.former_hpke_keys().is_empty());
    let last = upload(there, &author, b"last");
    read(&bare, &texts);
    read(&bare, &[(&last, b"last")]);
    assert_eq!(opens(&here.ledger, &bare, &at_here), b"here");

    // Taken back here, a permission on the collection there ends; the others keep what they have.
    let grant = there.ledger.reports(&patient.id()).unwrap();
    let grant = grant
        .iter()
        .flat_map(|report| &report.grants)
        .find(|grant| grant.entry.reader == medledger::core::record::Grantee::Member(joy.id()))
        .unwrap()
        .id;
    here.ledger.revoke(&bare, &grant).unwrap();
    settle(&all);
    let error = there.ledger.open_report(&joy, &last, &Key::Identity).unwrap_err();
    assert!(matches!(error, OpenReportError::Revoked), "{error}");
    there.ledger.renew_collection(&bare, &b).unwrap();
    settle(&all);
    let newest = upload(there, &author, b"newest");
    let mut opened = there.ledger.open_report(&bob, &newest, &Key::Access(&bobs)).unwrap();
    assert_eq!(opened.to_vec().unwrap(), b"newest");
}

#[test]
fn where_nothing_is_kept_elsewhere_the_former_keys_are_forgotten_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [here, there] = &houses[..] else { panic!("two hospitals") };
    let all = [here, there];
    let (patient, _) = member(&here.ledger, &here.identity, Role::Patient, "Pat");
    let (author, _) = member(&there.ledger, &there.identity, Role::Doctor, "Dr Eve");
    settle(&all);
    there.ledger.enrol(&patient).unwrap();
    settle(&all);
    let uploaded = there.ledger.upload(&author, &patient.id(), &b"early"[..]).unwrap();
    there.ledger.wait_mined(&uploaded.record).unwrap();
    settle(&all);
    let (next, _) = here.ledger.succeed(&patient, PASSWORD).unwrap();
    settle(&all);
    // All there is of the patient's lies there: the collection here is empty, and moved on with the keys.
    let file = lock(&next, PASSWORD, &LockParams::weak_for_tests(), &mut rng()).unwrap();
    let next = there.ledger.install_identity(&file, PASSWORD).unwrap();
    there.ledger.rewrap(&next).unwrap();
    there.ledger.renew_collection(&next, &there.identity.id()).unwrap();
    let bare = there.ledger.forget_former_keys(&next, PASSWORD).unwrap();
    assert_eq!(opens(&there.ledger, &bare, &uploaded.report), b"early");
    // In the first folder the file still has them, and only there it takes the patient's word.
    let error = here.ledger.forget_former_keys(&next, PASSWORD).unwrap_err();
    assert!(matches!(error, SuccessionError::Elsewhere { .. }), "{error}");
}
