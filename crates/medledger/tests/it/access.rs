//! Who may not read, and why: every refusal typed, no plaintext released.

use crate::support::{pick_up, world};
use medledger::core::engine::SubmitError;
use medledger::core::registry::VoidCode;
use medledger::core::store::{Standing, Store, StoredRecord};
use medledger::{
    ApproveError, Identity, Key, OpenReportError, Permission, Purpose, ReaderKey, ReportId,
    RequestError, RevokeError, Role, UploadError,
};

struct Granted {
    w: crate::support::World,
    report: ReportId,
    patient_key: medledger::AccessKey,
    reader: Identity,
    reader_key: medledger::AccessKey,
    grant: medledger::GrantId,
}

fn granted(days: u64) -> Granted {
    let w = world();
    let (uploaded, patient_key) = w.upload(b"a report");
    // Nobody in these worlds has mail: keys are picked up.
    let reader = w.add(Role::Doctor, "Dr Bob");
    let until = w.in_days(days);
    let request = w.ledger.request(&reader, &uploaded.report, Purpose::Treatment, until).unwrap();
    let mut approved = w.ledger.approve(&w.patient, &request, &Key::Access(&patient_key)).unwrap();
    w.ledger.wait_mined(&approved.record).unwrap();
    let reader_key = pick_up(&mut approved.delivery);
    let report = uploaded.report;
    Granted { w, report, patient_key, reader, reader_key, grant: approved.grant }
}

fn open_error(g: &Granted, who: &Identity, key: &Key<'_>) -> OpenReportError {
    g.w.ledger.open_report(who, &g.report, key).unwrap_err()
}

#[test]
fn a_third_doctor_gets_nothing_even_with_the_second_ones_key() {
    let g = granted(1);
    let third = g.w.add(Role::Doctor, "Dr Eve");
    for key in [Key::Access(&g.reader_key), Key::Access(&g.patient_key), Key::Identity] {
        assert!(matches!(open_error(&g, &third, &key), OpenReportError::NoAccess));
    }
    // The uploader needs a grant like anyone.
    assert!(matches!(open_error(&g, &g.w.doctor, &Key::Identity), OpenReportError::NoAccess));
}

#[test]
fn pitfall_35_absent_and_forbidden_look_the_same() {
    let g = granted(1);
    let third = g.w.add(Role::Doctor, "Dr Eve");
    let forbidden = open_error(&g, &third, &Key::Identity).to_string();
    let absent =
        g.w.ledger
            .open_report(&third, &ReportId::from_bytes([9; 16]), &Key::Identity)
            .unwrap_err()
            .to_string();
    assert_eq!(forbidden, absent);
}

#[test]
fn the_patients_key_does_not_open_for_the_reader_nor_the_readers_for_the_patient() {
    let g = granted(1);
    let wrong = open_error(&g, &g.reader, &Key::Access(&g.patient_key));
    assert!(matches!(wrong, OpenReportError::NoAccess), "{wrong}");
    let wrong = open_error(&g, &g.w.patient, &Key::Access(&g.reader_key));
    assert!(matches!(wrong, OpenReportError::NoAccess), "{wrong}");
    // A key that opens nothing leaves no reading on the ledger.
    assert_eq!(reads(&g), 0);
}

fn reads(g: &Granted) -> usize {
    let query = medledger::core::store::RecordQuery {
        kind: Some(medledger::core::registry::Kind::Read),
        ..Default::default()
    };
    g.w.ledger.log(&query).unwrap().len()
}

#[test]
fn pitfall_52_an_expired_grant_is_dead_by_the_local_clock_and_by_the_chain() {
    let g = granted(1);
    g.w.pass(2 * 86_400);
    let error = open_error(&g, &g.reader, &Key::Access(&g.reader_key));
    assert!(matches!(error, OpenReportError::Expired), "{error}");
    // With the clock set back the chain's own time still counts.
    for _ in 0..12 {
        g.w.pass(1);
        g.w.ledger.mine_with(&medledger::MiningControl::new(), true).unwrap();
    }
    let back = g.w.ledger.now().as_secs() - 2 * 86_400;
    g.w.clock.set(medledger::core::clock::Timestamp::from_secs(back));
    let error = open_error(&g, &g.reader, &Key::Access(&g.reader_key));
    assert!(matches!(error, OpenReportError::Expired), "{error}");
}

#[test]
fn a_revocation_counts_from_the_moment_it_is_accepted() {
    let g = granted(1);
    g.w.ledger.open_report(&g.reader, &g.report, &Key::Access(&g.reader_key)).unwrap();
    g.w.ledger.revoke(&g.w.patient, &g.grant).unwrap();
    let error = open_error(&g, &g.reader, &Key::Access(&g.reader_key));
    assert!(matches!(error, OpenReportError::Revoked), "{error}");
    let again = g.w.ledger.revoke(&g.w.patient, &g.grant).unwrap_err();
    assert!(
        matches!(again, RevokeError::Submit(SubmitError::Refused { code: VoidCode::Revoked, .. })),
        "{again}"
    );
}

#[test]
fn a_grant_opens_nothing_before_it_is_mined() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let reader = w.add(Role::Doctor, "Dr Bob");
    let permission =
        Permission::new(uploaded.report, reader.id(), Purpose::Treatment, w.in_days(1));
    let mut shared =
        w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Access).unwrap();
    let key = pick_up(&mut shared.delivery);
    let error = w.ledger.open_report(&reader, &uploaded.report, &Key::Access(&key)).unwrap_err();
    assert!(matches!(error, OpenReportError::NotMined), "{error}");
    w.ledger.wait_mined(&shared.record).unwrap();
    w.ledger.open_report(&reader, &uploaded.report, &Key::Access(&key)).unwrap();
}

#[test]
fn pitfall_47_every_opening_is_recorded_before_anything_comes_out() {
    let g = granted(1);
    g.w.ledger.open_report(&g.reader, &g.report, &Key::Access(&g.reader_key)).unwrap();
    assert_eq!(reads(&g), 1);
    // Where nothing can be recorded, nothing opens.
    let folder = g.w.folder.clone();
    let reader = medledger::Ledger::open_read_only(&folder).unwrap();
    let error = reader.open_report(&g.reader, &g.report, &Key::Access(&g.reader_key)).unwrap_err();
    assert!(
        matches!(error, OpenReportError::Store(medledger::core::store::StoreError::ReadOnly)),
        "{error}"
    );
    assert_eq!(reads(&g), 1);
}

#[test]
fn only_the_patient_approves_and_only_with_the_right_key() {
    let g = granted(1);
    let request =
        g.w.ledger.request(&g.reader, &g.report, Purpose::Research, g.w.in_days(1)).unwrap();
    let other = g.w.add(Role::Patient, "Quinn");
    // Somebody else's request and one that does not exist are told apart by nobody (pitfall 35).
    for unknown in [request, medledger::RecordId::from_bytes([9; 32])] {
        let error = g.w.ledger.approve(&other, &unknown, &Key::Access(&g.patient_key)).unwrap_err();
        assert!(matches!(error, ApproveError::NoAccess), "{error}");
    }
    let error =
        g.w.ledger.approve(&g.w.patient, &request, &Key::Access(&g.reader_key)).unwrap_err();
    assert!(matches!(error, ApproveError::NoAccess), "{error}");
    let error = g.w.ledger.approve(&g.reader, &request, &Key::Access(&g.reader_key)).unwrap_err();
    assert!(matches!(error, ApproveError::NoAccess), "{error}");
    g.w.ledger.approve(&g.w.patient, &request, &Key::Identity).unwrap();
}

#[test]
fn who_may_not_ask_or_upload_is_told_before_any_work() {
    let w = world();
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let lab = w.add(Role::Lab, "Lab");
    let never = Unreadable;
    let error = w.ledger.upload(&nurse, &w.patient.id(), never).unwrap_err();
    assert!(matches!(error, UploadError::Refused(VoidCode::RoleNotAllowed)), "{error}");
    let error = w.ledger.upload(&w.doctor, &nurse.id(), Unreadable).unwrap_err();
    assert!(matches!(error, UploadError::Refused(_)), "{error}");
    let stranger = Identity::generate(&mut crate::support::rng());
    let error = w.ledger.upload(&stranger, &w.patient.id(), Unreadable).unwrap_err();
    assert!(matches!(error, UploadError::Refused(VoidCode::UnknownAuthor)), "{error}");
    let (uploaded, _) = w.upload(b"r");
    let error =
        w.ledger.request(&lab, &uploaded.report, Purpose::Treatment, w.in_days(1)).unwrap_err();
    assert!(
        matches!(
            error,
            RequestError::Submit(SubmitError::Refused { code: VoidCode::RoleNotAllowed, .. })
        ),
        "{error}"
    );
    w.ledger.upload(&lab, &w.patient.id(), &b"from the lab"[..]).unwrap();
}

/// Nobody should read from this.
struct Unreadable;

impl std::io::Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("read although the upload was to be refused")
    }
}

#[test]
fn pitfall_34_nobody_registers_themselves_or_twice() {
    let w = world();
    let eve = Identity::generate(&mut crate::support::rng());
    let contact = medledger::Contact::named("Eve");
    w.ledger.register(&eve, &eve, Role::Doctor, &contact).unwrap_err();
    w.ledger.register(&w.doctor, &eve, Role::Doctor, &contact).unwrap_err();
    w.ledger.register(&w.hospital, &eve, Role::Hospital, &contact).unwrap_err();
    w.ledger.register(&w.hospital, &eve, Role::Doctor, &contact).unwrap();
    w.ledger.register(&w.hospital, &eve, Role::Nurse, &contact).unwrap_err();
}

#[test]
fn pitfall_33_an_identity_that_only_claims_a_members_id_is_nobody() {
    use medledger::core::keys::{HpkeSecretKey, SigningKey};
    let g = granted(1);
    let forged = |id| {
        let mut rng = crate::support::rng();
        Identity::with_id(id, SigningKey::generate(&mut rng), HpkeSecretKey::generate(&mut rng))
    };
    let doctor = forged(g.w.doctor.id());
    let error = g.w.ledger.upload(&doctor, &g.w.patient.id(), Unreadable).unwrap_err();
    assert!(matches!(error, UploadError::Refused(VoidCode::UnknownAuthor)), "{error}");
    // Right key or wrong key: the answer tells a thief nothing.
    let (patient, reader) = (forged(g.w.patient.id()), forged(g.reader.id()));
    for (who, key) in
        [(&patient, &g.patient_key), (&patient, &g.reader_key), (&reader, &g.reader_key)]
    {
        let error = open_error(&g, who, &Key::Access(key));
        assert!(matches!(error, OpenReportError::NoAccess), "{error}");
        let permission =
            Permission::new(g.report, g.reader.id(), Purpose::Treatment, g.w.in_days(1));
        let key = Key::Access(key);
        let error = g.w.ledger.share(who, permission, &key, ReaderKey::Access).unwrap_err();
        assert!(matches!(error, ApproveError::Refused(VoidCode::UnknownAuthor)), "{error}");
    }
    assert_eq!(reads(&g), 0);
}

#[test]
fn nobody_asks_for_or_gives_access_until_a_time_that_has_passed() {
    let w = world();
    let (uploaded, _) = w.upload(b"r");
    let reader = w.add(Role::Doctor, "Dr Bob");
    let now = w.ledger.now();
    let error = w.ledger.request(&reader, &uploaded.report, Purpose::Treatment, now).unwrap_err();
    assert!(
        matches!(error, RequestError::Submit(SubmitError::Refused { code: VoidCode::Expired, .. })),
        "{error}"
    );
    let permission = Permission::new(uploaded.report, reader.id(), Purpose::Treatment, now);
    let error =
        w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Access).unwrap_err();
    assert!(matches!(error, ApproveError::Refused(VoidCode::Expired)), "{error}");
}

/// A backlog: twelve blocks, a minute apart, pass before the turn of what waits comes.
fn overtake(w: &crate::support::World, waiting: &[StoredRecord]) {
    let store = medledger::sqlite::SqliteStore::open(&w.folder.join("ledger.db"), false).unwrap();
    let settle = |standing: &dyn Fn(&StoredRecord) -> Standing| {
        let mut unit = store.unit().unwrap();
        waiting.iter().for_each(|record| unit.settle(&record.id, standing(record)).unwrap());
        unit.commit().unwrap();
    };
    settle(&|_| Standing::Refused { code: VoidCode::Revoked });
    for _ in 0..12 {
        w.pass(60);
        w.ledger.mine_with(&medledger::MiningControl::new(), true).unwrap();
    }
    settle(&|record| record.standing);
}

/// A grant and its revocation, and a request and its refusal, wait together; meanwhile the first of
/// each becomes void. That is no tampering.
#[test]
fn what_builds_on_a_voided_record_raises_no_alarm() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let reader = w.add(Role::Doctor, "Dr Bob");
    let until = w.ledger.now().plus(60);
    let purpose = Purpose::Treatment;
    let permission = Permission::new(uploaded.report, reader.id(), purpose, until);
    let shared = w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Access).unwrap();
    let revoked = w.ledger.revoke(&w.patient, &shared.grant).unwrap();
    let request = w.ledger.request(&reader, &uploaded.report, purpose, until).unwrap();
    let refused = w.ledger.refuse(&w.patient, &request).unwrap();
    let sound = |when| {
        let found = w.ledger.verify(medledger::VerifyDepth::Full).unwrap().findings;
        assert!(found.is_empty(), "{when}: {found:?}");
    };
    sound("waiting");
    let waiting = w.ledger.view().unwrap().pending(usize::MAX).unwrap();
    assert_eq!(waiting.len(), 4);
    overtake(&w, &waiting);
    sound("overtaken");
    w.ledger.mine_with(&medledger::MiningControl::new(), true).unwrap();
    let standing = |id| w.ledger.view().unwrap().record(id).unwrap().unwrap().standing;
    assert!(matches!(standing(&shared.record), Standing::Refused { code: VoidCode::Expired }));
    assert!(matches!(standing(&revoked), Standing::Mined { .. }));
    assert!(matches!(standing(&refused), Standing::Refused { code: VoidCode::UnknownRequest }));
    sound("settled");
}

/// The clock stands a second before the end of the grant when the report opens; its block comes later.
#[test]
fn pitfall_47_an_opening_in_time_is_mined_however_many_blocks_came_before() {
    let g = granted(1);
    g.w.pass(86_400 - 1);
    let opened = g.w.ledger.open_report(&g.reader, &g.report, &Key::Access(&g.reader_key)).unwrap();
    let read = opened.read_record();
    let waiting = g.w.ledger.view().unwrap().record(&read).unwrap().unwrap();
    overtake(&g.w, &[waiting]);
    g.w.ledger.mine_with(&medledger::MiningControl::new(), true).unwrap();
    let standing = g.w.ledger.view().unwrap().record(&read).unwrap().unwrap().standing;
    assert!(matches!(standing, Standing::Mined { .. }), "{standing:?}");
}

#[test]
fn of_several_dead_grants_the_last_one_says_why() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let nurse = w.add(Role::Nurse, "Nurse Joy");
    let share = |days| {
        let permission =
            Permission::new(uploaded.report, nurse.id(), Purpose::Treatment, w.in_days(days));
        let key = Key::Identity;
        w.ledger.share(&w.patient, permission, &key, ReaderKey::Identity).unwrap()
    };
    let why = || w.ledger.open_report(&nurse, &uploaded.report, &Key::Identity).unwrap_err();
    share(1);
    w.pass(2 * 86_400);
    assert!(matches!(why(), OpenReportError::Expired));
    let second = share(1);
    assert!(matches!(why(), OpenReportError::NotMined));
    w.ledger.wait_mined(&second.record).unwrap();
    w.ledger.open_report(&nurse, &uploaded.report, &Key::Identity).unwrap();
    w.ledger.revoke(&w.patient, &second.grant).unwrap();
    assert!(matches!(why(), OpenReportError::Revoked));
}
