//! Reopening, idempotency, locks, the mail queue and the cache.

use crate::support::{key_in, open, world, world_with_outbox};
use medledger::mail::{Letter, LetterId, Notifier, NotifyError};
use medledger::{
    Delivery, IdempotencyError, Key, Ledger, OpenError, OpenOptions, Role, UploadError,
    UploadOptions,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn everything_is_there_again_after_reopening() {
    let w = world();
    let (uploaded, key) = w.upload(b"a report");
    let waiting = w.ledger.upload(&w.doctor, &w.patient.id(), &b"two"[..]).unwrap();
    drop(w.ledger);
    let ledger = open(&w.folder, &w.clock);
    assert_eq!(ledger.waiting().unwrap(), 1);
    ledger.wait_mined(&waiting.record).unwrap();
    let mut opened = ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&key)).unwrap();
    assert_eq!(opened.to_vec().unwrap(), b"a report");
}

#[test]
fn one_writer_many_readers() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let second = Ledger::open(&w.folder).unwrap_err();
    assert!(matches!(second, OpenError::InUse(_)), "{second}");
    let reader = Ledger::open_read_only(&w.folder).unwrap();
    assert_eq!(reader.reports(&w.patient.id()).unwrap()[0].id, uploaded.report);
    assert_eq!(
        reader.receipt(&uploaded.record).unwrap().encode(),
        w.ledger.receipt(&uploaded.record).unwrap().encode()
    );
    let waiting = w.ledger.upload(&w.doctor, &w.patient.id(), &b"two"[..]).unwrap();
    w.ledger.wait_mined(&waiting.record).unwrap();
    assert_eq!(reader.reports(&w.patient.id()).unwrap().len(), 2);
    reader.upload(&w.doctor, &w.patient.id(), &b"three"[..]).unwrap_err();
    assert!(reader.mine_with(&medledger::MiningControl::new(), true).is_err());
}

#[test]
fn the_same_key_and_request_return_the_first_receipt() {
    let w = world();
    let options = UploadOptions::named("a.txt", "text/plain").with_idempotency_key("visit-7");
    let upload = |bytes: &[u8], options: &UploadOptions| {
        w.ledger.upload_with(&w.doctor, &w.patient.id(), bytes, options)
    };
    let first = upload(b"one", &options).unwrap();
    let again = upload(b"one", &options).unwrap();
    assert!(again.repeated && again.delivery == Delivery::None);
    assert_eq!(
        (again.record, again.report, again.envelope, again.label),
        (first.record, first.report, first.envelope, first.label)
    );
    assert_eq!(w.ledger.reports(&w.patient.id()).unwrap().len(), 1);
    // Another content, another name: another request.
    for (bytes, name) in [(&b"two"[..], "a.txt"), (b"one", "b.txt"), (b"on", "a.txt")] {
        let options = UploadOptions::named(name, "text/plain").with_idempotency_key("visit-7");
        let error = upload(bytes, &options).unwrap_err();
        assert!(matches!(error, UploadError::Idempotency(IdempotencyError::Conflict)), "{error}");
    }
    // The key belongs to its author.
    let lab = w.add(Role::Lab, "Lab");
    let other = w.ledger.upload_with(&lab, &w.patient.id(), &b"one"[..], &options).unwrap();
    assert_ne!(other.record, first.record);
    let long = UploadOptions::default().with_idempotency_key("k".repeat(129));
    assert!(matches!(
        upload(b"", &long).unwrap_err(),
        UploadError::Idempotency(IdempotencyError::Length { found: 129 })
    ));
}

/// A mail server that can be switched off.
struct Switch(Arc<AtomicBool>, Arc<Mutex<Vec<String>>>);

impl Notifier for Switch {
    fn send(&self, _: &LetterId, letter: &Letter) -> Result<(), NotifyError> {
        if self.0.load(Ordering::SeqCst) {
            self.1.lock().unwrap().push(letter.body.clone());
            Ok(())
        } else {
            Err(NotifyError::Server { server: "test".into(), reason: "down".into() })
        }
    }
}

#[test]
fn letters_wait_encrypted_until_the_server_is_back() {
    let w = world();
    let (folder, clock) = (w.folder.clone(), w.clock.clone());
    drop(w.ledger);
    let (up, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let reopen = || {
        let mut options = OpenOptions::default();
        options.clock = Some(clock.clone());
        options.notifier = Some(Box::new(Switch(up.clone(), sent.clone())));
        Ledger::open_with(&folder, options).unwrap()
    };
    let ledger = reopen();
    let uploaded = ledger.upload(&w.doctor, &w.patient.id(), &b"a report"[..]).unwrap();
    assert_eq!(uploaded.delivery, Delivery::Queued);
    drop(ledger);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let clear = bytes.windows(13).any(|window| window == b"Keep this key");
            assert!(!clear, "a letter stands in clear in {}", path.display());
        }
    }
    up.store(true, Ordering::SeqCst);
    let ledger = reopen();
    assert_eq!(ledger.send_mail().unwrap().sent, 1);
    assert_eq!(ledger.send_mail().unwrap().sent, 0);
    let key = key_in(&sent.lock().unwrap()[0]);
    ledger.wait_mined(&uploaded.record).unwrap();
    ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&key)).unwrap();
}

#[test]
fn reports_read_often_come_from_the_cache() {
    let w = world();
    let (uploaded, key) = w.upload(&[7; 300_000]);
    let before = w.ledger.cache_stats();
    for _ in 0..3 {
        let mut opened =
            w.ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&key)).unwrap();
        opened.to_vec().unwrap();
    }
    let after = w.ledger.cache_stats();
    assert!(after.hits > before.hits && after.misses >= 2, "{after:?}");
    assert!(after.bytes <= after.capacity);
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    Ledger::create(dir.path(), crate::support::options(), "pw").unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let missing = Ledger::open(dir.path()).unwrap_err();
    assert!(missing.to_string().contains("holds no ledger"), "{missing}");
}

#[test]
fn a_member_registered_by_mail_gets_letters_in_their_own_script() {
    let w = world_with_outbox();
    w.ledger.upload(&w.doctor, &w.patient.id(), &b"r"[..]).unwrap();
    let letter = &w.letters()[0];
    assert!(letter.contains("To: "), "{letter}");
    assert!(letter.contains("MIME-Version: 1.0"), "{letter}");
    // RFC 2047 in the header, the body as UTF-8.
    assert!(letter.contains("=?utf-8?"), "{letter}");
}

#[test]
fn the_same_request_made_at_the_same_time_is_accepted_once() {
    let w = world();
    let pins = || w.ledger.blocks().pins().unwrap().len();
    let before = pins();
    let bytes = vec![7; 200_000];
    let upload = |bytes: &[u8]| {
        let options = UploadOptions::default().with_idempotency_key("visit-8");
        w.ledger.upload_with(&w.doctor, &w.patient.id(), bytes, &options)
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| upload(&bytes).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|uploaded| uploaded.record == all[0].record), "{all:?}");
    assert_eq!(all.iter().filter(|uploaded| !uploaded.repeated).count(), 1);
    // What the others had stored by then is not kept.
    assert_eq!(pins(), before + 1);
    upload(b"another").unwrap_err();
}

#[test]
fn a_node_key_elsewhere_is_taken_back_with_a_ledger_that_was_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside.key");
    let options = || {
        let mut options = crate::support::options();
        options.settings.node_key = Some(outside.clone());
        options
    };
    Ledger::create(dir.path().join("l"), options(), "").unwrap_err();
    assert!(!outside.exists());
    drop(Ledger::create(dir.path().join("l"), options(), "pw").unwrap());
    assert!(outside.exists());
    let mut inside = crate::support::options();
    inside.settings.node_key = Some("keys.txt".into());
    drop(Ledger::create(dir.path().join("m"), inside, "pw").unwrap());
    assert!(dir.path().join("m/keys.txt").exists());
}

#[test]
fn strange_things_among_the_identities_are_passed_over() {
    let w = world();
    let folder = w.folder.join("identities");
    let ids = w.ledger.local_identities().unwrap();
    assert_eq!(ids, [w.hospital.id()]);
    std::fs::create_dir(folder.join("backup")).unwrap();
    std::fs::write(folder.join("note.txt"), "not an identity").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", folder.join("broken")).unwrap();
    let path = folder.join(format!("{}.identity", w.hospital.id()));
    let mut long = std::fs::read(&path).unwrap();
    assert_eq!(w.ledger.local_identities().unwrap(), ids);
    long.resize(1 << 20, 0);
    std::fs::write(&path, long).unwrap();
    assert_eq!(w.ledger.local_identities().unwrap(), []);
    let error = w.ledger.unlock(&w.hospital.id(), crate::support::PASSWORD).unwrap_err();
    assert!(matches!(error, medledger::IdentityError::Unlock(_)), "{error}");
}

#[test]
fn settings_without_end_are_refused_by_their_size() {
    let w = world();
    drop(w.ledger);
    let path = w.folder.join("settings.json");
    let mut text = std::fs::read(&path).unwrap();
    text.resize(1 << 20, b' ');
    std::fs::write(&path, text).unwrap();
    let error = medledger::Ledger::open(&w.folder).unwrap_err();
    assert!(error.to_string().contains("65536"), "{error}");
}
