//! What is said of a letter is true of that letter, whatever becomes of the others.

use crate::support::{key_in, member, world};
use medledger::core::store::{Store, StoreError, Unit, View};
use medledger::mail::{Letter, LetterId, Notifier, NotifyError};
use medledger::sqlite::SqliteStore;
use medledger::{Delivery, Key, Ledger, OpenOptions, Purpose, Role, Step};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A store that cannot be read while `broken` is set.
struct Fragile {
    store: SqliteStore,
    broken: Arc<AtomicBool>,
}

impl Store for Fragile {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Busy);
        }
        self.store.view()
    }

    fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError> {
        self.store.unit()
    }

    fn commits(&self) -> u64 {
        self.store.commits()
    }
}

/// A mail server that knows no mailbox of this address.
#[derive(Clone, Default)]
struct Server {
    refused: Arc<Mutex<String>>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Notifier for Server {
    fn send(&self, _: &LetterId, letter: &Letter) -> Result<(), NotifyError> {
        if letter.to_address == *self.refused.lock().unwrap() {
            let reason = "550 no such mailbox".into();
            return Err(NotifyError::Server { server: "test".into(), reason });
        }
        self.sent.lock().unwrap().push(letter.body.clone());
        Ok(())
    }
}

#[test]
fn a_letter_nobody_tried_to_send_is_not_called_mailed() {
    let w = world();
    drop(w.ledger);
    let (server, broken) = (Server::default(), Arc::new(AtomicBool::new(false)));
    let mut options = OpenOptions::default();
    options.clock = Some(w.clock.clone());
    options.notifier = Some(Box::new(server.clone()));
    let breaks = Arc::clone(&broken);
    options.observer = Some(Arc::new(move |step| {
        if matches!(step, Step::Accepted) {
            breaks.store(true, Ordering::SeqCst);
        }
    }));
    let store = SqliteStore::open(&w.folder.join("ledger.db"), false).unwrap();
    let store = Fragile { store, broken: Arc::clone(&broken) };
    let ledger = Ledger::open_in(&w.folder, Box::new(store), options).unwrap();
    let uploaded = ledger.upload(&w.doctor, &w.patient.id(), &b"a report"[..]).unwrap();
    assert!(server.sent.lock().unwrap().is_empty());
    assert_eq!(uploaded.delivery, Delivery::Queued);
    broken.store(false, Ordering::SeqCst);
    let sent = ledger.send_mail().unwrap();
    assert_eq!((sent.sent, sent.letters.len(), sent.waiting), (1, 1, 0));
}

#[test]
fn a_letter_refused_for_ever_does_not_make_others_look_unsent() {
    let w = world();
    drop(w.ledger);
    let server = Server::default();
    let mut options = OpenOptions::default();
    options.clock = Some(w.clock.clone());
    options.notifier = Some(Box::new(server.clone()));
    let ledger = Ledger::open_with(&w.folder, options).unwrap();
    let (other, registration) = member(&ledger, &w.hospital, Role::Patient, "Max");
    ledger.wait_mined(&registration.record).unwrap();
    *server.refused.lock().unwrap() = format!("{}@example.org", other.id());
    let queued = ledger.upload(&w.doctor, &other.id(), &b"one"[..]).unwrap();
    assert_eq!(queued.delivery, Delivery::Queued);

    let uploaded = ledger.upload(&w.doctor, &w.patient.id(), &b"two"[..]).unwrap();
    assert_eq!(uploaded.delivery, Delivery::Mailed);
    let key = key_in(server.sent.lock().unwrap().last().unwrap());
    ledger.wait_mined(&uploaded.record).unwrap();
    let until = ledger.now().plus(1000);
    let asked = ledger.request(&w.doctor, &uploaded.report, Purpose::Treatment, until).unwrap();
    let approved = ledger.approve(&w.patient, &asked, &Key::Access(&key)).unwrap();
    assert_eq!(approved.delivery, Delivery::Mailed);
    assert_eq!(ledger.send_mail().unwrap().waiting, 1);
}
