//! Failed attempts: counted before the answer, limited, and alike whatever was wrong.

use crate::support::{World, pick_up, rng, world};
use medledger::core::registry::{Kind, limit};
use medledger::core::store::{RecordQuery, Store, StoreError, Unit, View};
use medledger::effort::{Effort, counted};
use medledger::sqlite::SqliteStore;
use medledger::{
    AccessKey, ApproveError, AuditError, AuditEvent, Identity, Key, Ledger, OpenOptions,
    OpenReportError, Permission, Purpose, ReaderKey, RecordId, ReportId, Role,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

struct Two {
    w: World,
    reader: Identity,
    /// Two reports, each with the patient's key and the reader's.
    reports: [(ReportId, AccessKey, AccessKey); 2],
    /// A report of the other patient, on which the reader has no grant.
    foreign: (ReportId, AccessKey),
}

fn two() -> Two {
    let w = world();
    let reader = w.add(Role::Doctor, "Dr Bob");
    let reports = [0, 1].map(|n| {
        let (uploaded, patient_key) = w.upload(&[n; 100]);
        let until = w.in_days(20);
        let asked = w.ledger.request(&reader, &uploaded.report, Purpose::Treatment, until).unwrap();
        let mut approved =
            w.ledger.approve(&w.patient, &asked, &Key::Access(&patient_key)).unwrap();
        w.ledger.wait_mined(&approved.record).unwrap();
        (uploaded.report, patient_key, pick_up(&mut approved.delivery))
    });
    let other = w.add(Role::Patient, "Quinn");
    let mut foreign = w.ledger.upload(&w.doctor, &other.id(), &b"of Quinn"[..]).unwrap();
    w.ledger.wait_mined(&foreign.record).unwrap();
    let key = pick_up(&mut foreign.delivery);
    Two { reader, reports, foreign: (foreign.report, key), w }
}

fn events(ledger: &Ledger) -> Vec<AuditEvent> {
    ledger.audit_log(0, 1000).unwrap().iter().map(|entry| entry.event).collect()
}

fn reads(ledger: &Ledger) -> usize {
    let query = RecordQuery { kind: Some(Kind::Read), ..RecordQuery::default() };
    ledger.log(&query).unwrap().len()
}

#[test]
fn pitfall_40_after_five_wrong_keys_not_even_the_right_one_is_tried() {
    let t = two();
    let (report, _, right) = &t.reports[0];
    let wrong = AccessKey::from_bytes([7; 16]);
    let open = |key| t.w.ledger.open_report(&t.reader, report, &Key::Access(key));
    for _ in 0..limit::ATTEMPTS_OF_PAIR {
        assert!(matches!(open(&wrong), Err(OpenReportError::NoAccess)));
    }
    let before = reads(&t.w.ledger);
    let until = t.w.ledger.now().plus(limit::ATTEMPTS_SECONDS);
    for key in [&wrong, right] {
        let error = open(key).unwrap_err();
        assert!(
            matches!(error, OpenReportError::TooMany { until: said } if said == until),
            "{error}"
        );
    }
    assert_eq!(reads(&t.w.ledger), before);
    // Another report, and another person, are not concerned.
    let (other, _, others_key) = &t.reports[1];
    t.w.ledger.open_report(&t.reader, other, &Key::Access(others_key)).unwrap();
    t.w.ledger.open_report(&t.w.patient, report, &Key::Identity).unwrap();
    // The wait survives a new start, and ends.
    let Two { mut w, reader, reports, .. } = t;
    w = w.reopened();
    let (report, _, right) = &reports[0];
    let open = || w.ledger.open_report(&reader, report, &Key::Access(right)).map(drop);
    assert!(matches!(open(), Err(OpenReportError::TooMany { .. })));
    w.pass(limit::ATTEMPTS_SECONDS);
    open().unwrap();
}

#[test]
fn pitfall_40_a_right_key_clears_the_pair_and_not_the_person() {
    let t = two();
    let wrong = AccessKey::from_bytes([7; 16]);
    let mut failed = 0;
    let open = |n: usize, key: &AccessKey| {
        t.w.ledger.open_report(&t.reader, &t.reports[n].0, &Key::Access(key)).map(drop)
    };
    // Four failures, then the right key: never a wait for the pair.
    'all: loop {
        for n in 0..2 {
            for _ in 1..limit::ATTEMPTS_OF_PAIR {
                if failed == limit::ATTEMPTS_OF_PERSON {
                    break 'all;
                }
                assert!(matches!(open(n, &wrong), Err(OpenReportError::NoAccess)), "{failed}");
                failed += 1;
            }
            if failed < limit::ATTEMPTS_OF_PERSON {
                open(n, &t.reports[n].2).unwrap();
            }
        }
    }
    // All of that together is too much for one person, on any report.
    for n in 0..2 {
        assert!(matches!(open(n, &t.reports[n].2), Err(OpenReportError::TooMany { .. })));
    }
    assert_eq!(events(&t.w.ledger).iter().filter(|e| **e == AuditEvent::LockedOut).count(), 1);
    // Ids that do not exist count as well.
    t.w.ledger.open_report(&t.w.patient, &t.reports[0].0, &Key::Identity).unwrap();
}

#[test]
fn pitfall_40_the_hospital_lifts_a_wait_and_the_log_says_so() {
    let t = two();
    let (report, _, key) = &t.reports[0];
    let wrong = AccessKey::from_bytes([7; 16]);
    let open =
        |key: &AccessKey| t.w.ledger.open_report(&t.reader, report, &Key::Access(key)).map(drop);
    assert_eq!(t.w.ledger.lift_waits(&t.w.hospital, &t.reader.id()).unwrap(), 0);
    assert_eq!(events(&t.w.ledger), [], "nothing was done");
    for _ in 0..limit::ATTEMPTS_OF_PAIR {
        assert!(matches!(open(&wrong), Err(OpenReportError::NoAccess)));
    }
    assert!(matches!(open(key), Err(OpenReportError::TooMany { .. })));
    // Nobody but the hospital, and that with its keys.
    for who in [&t.reader, &t.w.patient, &t.w.doctor] {
        let error = t.w.ledger.lift_waits(who, &t.reader.id()).unwrap_err();
        assert!(matches!(error, AuditError::OtherHospital { found, .. } if found == who.id()));
    }
    let claimed = Identity::with_id(
        t.w.hospital.id(),
        medledger::core::keys::SigningKey::generate(&mut rng()),
        medledger::core::keys::HpkeSecretKey::generate(&mut rng()),
    );
    let error = t.w.ledger.lift_waits(&claimed, &t.reader.id()).unwrap_err();
    assert!(matches!(error, AuditError::Refused(_)), "{error}");
    assert!(matches!(open(key), Err(OpenReportError::TooMany { .. })));

    assert_eq!(t.w.ledger.lift_waits(&t.w.hospital, &t.reader.id()).unwrap(), 1);
    let entry = t.w.ledger.audit_log(0, 1000).unwrap().pop().unwrap();
    assert_eq!((entry.event, entry.member), (AuditEvent::Unlocked, t.reader.id()));
    assert!(t.w.ledger.verify_audit().unwrap().findings.is_empty());
    open(key).unwrap();
    // Failures count anew: as many as before make the next wait.
    for _ in 0..limit::ATTEMPTS_OF_PAIR {
        assert!(matches!(open(&wrong), Err(OpenReportError::NoAccess)));
    }
    assert!(matches!(open(key), Err(OpenReportError::TooMany { .. })));
}

#[test]
fn pitfall_40_ids_that_do_not_exist_and_approvals_count_too() {
    let t = two();
    for n in 0..limit::ATTEMPTS_OF_PERSON {
        let id = ReportId::from_bytes([n as u8; 16]);
        let error = t.w.ledger.open_report(&t.reader, &id, &Key::Identity).unwrap_err();
        assert!(matches!(error, OpenReportError::NoAccess), "{n}: {error}");
    }
    let (report, _, key) = &t.reports[0];
    let error = t.w.ledger.open_report(&t.reader, report, &Key::Access(key)).unwrap_err();
    assert!(matches!(error, OpenReportError::TooMany { .. }), "{error}");

    // The patient who approves and shares: opening counts to the same pair.
    let asked = t.w.ledger.request(&t.reader, report, Purpose::Research, t.w.in_days(1)).unwrap();
    let wrong = AccessKey::from_bytes([7; 16]);
    let wrong = Key::Access(&wrong);
    let permission = Permission::new(*report, t.reader.id(), Purpose::Treatment, t.w.in_days(1));
    let patient = &t.w.patient;
    for _ in 0..2 {
        let error = t.w.ledger.approve(patient, &asked, &wrong).unwrap_err();
        assert!(matches!(error, ApproveError::NoAccess), "{error}");
        let error =
            t.w.ledger.share(patient, permission.clone(), &wrong, ReaderKey::Access).unwrap_err();
        assert!(matches!(error, ApproveError::NoAccess), "{error}");
    }
    assert!(matches!(
        t.w.ledger.open_report(patient, report, &wrong),
        Err(OpenReportError::NoAccess)
    ));
    let error = t.w.ledger.approve(patient, &asked, &Key::Identity).unwrap_err();
    assert!(matches!(error, ApproveError::TooMany { .. }), "{error}");
}

/// What a call answers, and what it costs.
fn cost<T, E: std::fmt::Display>(call: impl FnOnce() -> Result<T, E>) -> (String, Effort) {
    let (result, effort) = counted(call);
    match result {
        Ok(_) => panic!("it should be refused"),
        Err(error) => (error.to_string(), effort),
    }
}

#[test]
fn pitfall_35_whatever_is_wrong_the_answer_and_what_it_costs_are_the_same() {
    let t = two();
    let (report, patient_key, reader_key) = &t.reports[0];
    let (foreign, foreign_key) = &t.foreign;
    let absent = ReportId::from_bytes([9; 16]);
    let random = AccessKey::from_bytes([7; 16]);
    let other = &t.reports[1];

    // A reader, then a patient, with keys of every wrong kind; then both with their identity.
    let cases: [(&str, &Identity, ReportId, Option<&AccessKey>); 9] = [
        ("another report's token", &t.reader, *report, Some(&other.2)),
        ("the patient's key", &t.reader, *report, Some(patient_key)),
        ("no grant", &t.reader, *foreign, Some(foreign_key)),
        ("no report", &t.reader, absent, Some(reader_key)),
        ("another doctor", &t.w.doctor, *report, Some(reader_key)),
        ("a patient's own report", &t.w.patient, *report, Some(&random)),
        ("own report, other key", &t.w.patient, *report, Some(&other.1)),
        ("another patient's", &t.w.patient, *foreign, Some(foreign_key)),
        ("no report, patient", &t.w.patient, absent, Some(patient_key)),
    ];
    let costs = cases.map(|(what, who, report, key)| {
        let key = key.map_or(Key::Identity, Key::Access);
        (what, cost(|| t.w.ledger.open_report(who, &report, &key)))
    });
    for (what, found) in &costs {
        assert_eq!(*found, costs[0].1, "{what}");
    }
    assert!(costs[0].1.1.lookups > 0 && costs[0].1.1.tokens > 0 && costs[0].1.1.unwraps > 0);

    let identity = [(&t.reader, *report), (&t.reader, *foreign), (&t.w.patient, absent)]
        .map(|(who, report)| cost(|| t.w.ledger.open_report(who, &report, &Key::Identity)));
    assert!(identity.iter().all(|found| *found == costs[0].1), "{identity:?}");

    // Approving and refusing.
    let asked = t.w.ledger.request(&t.reader, foreign, Purpose::Treatment, t.w.in_days(1)).unwrap();
    let own = t.w.ledger.request(&t.reader, report, Purpose::Research, t.w.in_days(1)).unwrap();
    let none = RecordId::from_bytes([9; 32]);
    let key = Key::Access(&other.1);
    let answers = [own, asked, none].map(|id| cost(|| t.w.ledger.approve(&t.w.patient, &id, &key)));
    assert!(answers.iter().all(|found| *found == answers[0]), "{answers:?}");
    let answers = [asked, none].map(|id| {
        let (_, effort) = cost(|| t.w.ledger.refuse(&t.w.patient, &id));
        let error = t.w.ledger.refuse(&t.w.patient, &id).unwrap_err();
        let medledger::RefuseError::Submit(medledger::core::engine::SubmitError::Refused {
            code,
            ..
        }) = error
        else {
            panic!("{error}")
        };
        (code, effort)
    });
    assert_eq!(answers[0], answers[1]);

    // Sharing another's report, and asking in a role that may not.
    let shares = [*foreign, absent].map(|report| {
        let permission = Permission::new(report, t.reader.id(), Purpose::Treatment, t.w.in_days(1));
        cost(|| t.w.ledger.share(&t.w.patient, permission, &key, ReaderKey::Access))
    });
    assert_eq!(shares[0], shares[1]);
    let asks = [*foreign, absent].map(|report| {
        let until = t.w.in_days(1);
        cost(|| t.w.ledger.request(&t.w.patient, &report, Purpose::Treatment, until)).1
    });
    assert_eq!(asks[0], asks[1]);
}

/// A store that takes no unit of work while `full` is set.
struct Full {
    store: SqliteStore,
    full: Arc<AtomicBool>,
}

impl Store for Full {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        self.store.view()
    }

    fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::NoSpace("writing".into()));
        }
        self.store.unit()
    }

    fn commits(&self) -> u64 {
        self.store.commits()
    }
}

#[test]
fn pitfall_47_what_cannot_be_noted_is_not_answered() {
    let t = two();
    let full = Arc::new(AtomicBool::new(false));
    let mut options = OpenOptions::default();
    options.clock = Some(t.w.clock.clone());
    let World { ledger, folder, _dir, .. } = t.w;
    drop(ledger);
    let store = SqliteStore::open(&folder.join("ledger.db"), false).unwrap();
    let store = Full { store, full: Arc::clone(&full) };
    let ledger = Ledger::open_in(&folder, Box::new(store), options).unwrap();

    let (report, _, right) = &t.reports[0];
    full.store(true, Ordering::SeqCst);
    let wrong = AccessKey::from_bytes([7; 16]);
    // Right or wrong, the answer is that of the store: no reading, no refusal that nobody noted.
    for key in [right, &wrong] {
        let error = ledger.open_report(&t.reader, report, &Key::Access(key)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no space left"), "{text}");
    }
    // Nor is a stranger's, whose attempts are counted alone.
    let stranger = Identity::generate(&mut crate::support::rng());
    let error = ledger.open_report(&stranger, report, &Key::Access(right)).unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    full.store(false, Ordering::SeqCst);
    assert_eq!(events(&ledger), []);
    let error = ledger.open_report(&t.reader, report, &Key::Access(&wrong)).unwrap_err();
    assert!(matches!(error, OpenReportError::NoAccess), "{error}");
    assert_eq!(events(&ledger), [AuditEvent::WrongKey]);
    ledger.open_report(&t.reader, report, &Key::Access(right)).unwrap();
}

#[test]
fn pitfall_33_whoever_only_claims_an_id_locks_nobody_out() {
    use medledger::core::keys::{HpkeSecretKey, SigningKey};
    let t = two();
    let (report, _, right) = &t.reports[0];
    let mut rng = crate::support::rng();
    let forged = Identity::with_id(
        t.reader.id(),
        SigningKey::generate(&mut rng),
        HpkeSecretKey::generate(&mut rng),
    );
    for _ in 0..limit::ATTEMPTS_OF_PERSON + 1 {
        let error = t.w.ledger.open_report(&forged, report, &Key::Access(right)).unwrap_err();
        assert!(matches!(error, OpenReportError::NoAccess), "{error}");
    }
    t.w.ledger.open_report(&t.reader, report, &Key::Access(right)).unwrap();
}

#[test]
fn pitfall_40_47_tries_during_a_wait_and_strangers_are_in_the_log_and_do_not_fill_it() {
    let t = two();
    let (report, _, right) = &t.reports[0];
    let wrong = AccessKey::from_bytes([7; 16]);
    let counts = |ledger: &Ledger, event: AuditEvent| -> Vec<(medledger::MemberId, u64)> {
        let log = ledger.audit_log(0, 10_000).unwrap().into_iter();
        log.filter(|entry| entry.event == event).map(|entry| (entry.member, entry.count)).collect()
    };
    for _ in 0..limit::ATTEMPTS_OF_PAIR {
        t.w.ledger.open_report(&t.reader, report, &Key::Access(&wrong)).unwrap_err();
    }
    let most = u64::from(limit::AUDIT_REFUSALS_A_DAY);
    for _ in 0..most + 24 {
        let error = t.w.ledger.open_report(&t.reader, report, &Key::Access(right)).unwrap_err();
        assert!(matches!(error, OpenReportError::TooMany { .. }), "{error}");
    }
    let each = vec![(t.reader.id(), 1); limit::AUDIT_REFUSALS_A_DAY as usize];
    assert_eq!(counts(&t.w.ledger, AuditEvent::Waiting), each);
    // Strangers, each with an id of their own: together they get no more room than one person.
    let stranger = |ledger: &Ledger| {
        let who = Identity::generate(&mut crate::support::rng());
        let error = ledger.open_report(&who, report, &Key::Access(right)).unwrap_err();
        assert!(matches!(error, OpenReportError::NoAccess), "{error}");
        assert!(ledger.pick_up(&who).unwrap().is_empty());
        who.id()
    };
    let ids: Vec<_> = (0..most).map(|_| stranger(&t.w.ledger)).collect();
    let noted = counts(&t.w.ledger, AuditEvent::Stranger);
    assert_eq!(noted.len() as u64, most);
    assert!(noted.iter().all(|(found, count)| ids.contains(found) && *count == 1));
    let size = t.w.ledger.audit_log(0, 10_000).unwrap().len();

    // What was only counted survives a new start, and is an entry once the log is signed for.
    let Two { w, reader, .. } = t;
    let w = w.reopened();
    let nobody = medledger::MemberId::from_bytes([0; 16]);
    w.ledger.digest_audit(&w.hospital).unwrap();
    assert_eq!(counts(&w.ledger, AuditEvent::Waiting).last(), Some(&(reader.id(), 24)));
    assert_eq!(counts(&w.ledger, AuditEvent::Stranger).last(), Some(&(nobody, most)));
    assert_eq!(w.ledger.audit_log(0, 10_000).unwrap().len(), size + 2);
    w.ledger.digest_audit(&w.hospital).unwrap();
    assert_eq!(w.ledger.audit_log(0, 10_000).unwrap().len(), size + 2, "once");
    // Or with the first of another day.
    stranger(&w.ledger);
    assert_eq!(w.ledger.audit_log(0, 10_000).unwrap().len(), size + 2, "that day is full");
    w.pass(86_400);
    let last = stranger(&w.ledger);
    let noted = counts(&w.ledger, AuditEvent::Stranger);
    assert_eq!(noted[noted.len() - 3..], [(nobody, 2), (last, 1), (last, 1)]);
    let found = w.ledger.verify_audit().unwrap();
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}
