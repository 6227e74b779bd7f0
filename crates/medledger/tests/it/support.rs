//! A hospital with a doctor and a patient, made cheaply.

use medledger::core::clock::{Clock, FixedClock, Timestamp};
use medledger::core::identity::LockParams;
use medledger::{
    AccessKey, Contact, CreateOptions, Delivery, Difficulty, EngineChoice, Identity, Ledger,
    MailSettings, OpenOptions, Role, SystemClock, Uploaded,
};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use crate::copy::copy;

pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct World {
    // Dropped last, after the ledger has let go of its files.
    pub(crate) ledger: Ledger,
    pub(crate) hospital: Identity,
    pub(crate) doctor: Identity,
    pub(crate) patient: Identity,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) folder: PathBuf,
    pub(crate) _dir: tempfile::TempDir,
}

pub(crate) fn options() -> CreateOptions {
    let mut options = CreateOptions::new("General Hospital");
    options.engine = EngineChoice::Work(Difficulty::AboutSeconds(0.001));
    options.lock_params = LockParams::weak_for_tests();
    options
}

pub(crate) fn world() -> World {
    world_with(options())
}

pub(crate) fn world_with_outbox() -> World {
    let mut options = options();
    options.settings.mail = MailSettings::Outbox("outbox".into());
    world_with(options)
}

pub(crate) fn world_with(options: CreateOptions) -> World {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("ledger");
    let (ledger, hospital) = Ledger::create(&folder, options, PASSWORD).unwrap();
    drop(ledger);
    let clock = Arc::new(FixedClock::new(SystemClock.now().plus(10)));
    let ledger = open(&folder, &clock);
    let (doctor, _) = member(&ledger, &hospital, Role::Doctor, "Dr Ada");
    let (patient, registration) = member(&ledger, &hospital, Role::Patient, "Pat Näßl");
    ledger.wait_mined(&registration.record).unwrap();
    World { ledger, hospital, doctor, patient, clock, folder, _dir: dir }
}

pub(crate) fn open(folder: &std::path::Path, clock: &Arc<FixedClock>) -> Ledger {
    let mut options = OpenOptions::default();
    options.clock = Some(Arc::clone(clock) as Arc<dyn Clock>);
    Ledger::open_with(folder, options).unwrap()
}

pub(crate) fn member(
    ledger: &Ledger,
    hospital: &Identity,
    role: Role,
    name: &str,
) -> (Identity, medledger::Registration) {
    let identity = Identity::generate(&mut rng());
    let address = format!("{}@example.org", identity.id());
    let contact = Contact::named(name).with_email(address);
    let registration = ledger.register(hospital, &identity, role, &contact).unwrap();
    (identity, registration)
}

pub(crate) fn rng() -> impl medledger::core::rand_core::CryptoRng {
    medledger::core::rand_core::UnwrapErr(getrandom::SysRng)
}

impl World {
    pub(crate) fn add(&self, role: Role, name: &str) -> Identity {
        let (identity, registration) = member(&self.ledger, &self.hospital, role, name);
        self.ledger.wait_mined(&registration.record).unwrap();
        identity
    }

    /// Uploads and mines; gives the patient's key too.
    pub(crate) fn upload(&self, bytes: &[u8]) -> (Uploaded, AccessKey) {
        let mut uploaded = self.ledger.upload(&self.doctor, &self.patient.id(), bytes).unwrap();
        self.ledger.wait_mined(&uploaded.record).unwrap();
        let key = pick_up(&mut uploaded.delivery);
        (uploaded, key)
    }

    /// The same world after a new start.
    pub(crate) fn reopened(self) -> Self {
        let Self { ledger, hospital, doctor, patient, clock, folder, _dir } = self;
        drop(ledger);
        Self { ledger: open(&folder, &clock), hospital, doctor, patient, clock, folder, _dir }
    }

    pub(crate) fn in_days(&self, days: u64) -> Timestamp {
        self.ledger.now().plus(days * 86_400)
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.set(self.clock.now().plus(seconds));
    }

    /// Letters in the outbox, oldest first.
    pub(crate) fn letters(&self) -> Vec<String> {
        let mut paths: Vec<_> = std::fs::read_dir(self.folder.join("outbox"))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        paths.sort();
        paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }
}

pub(crate) fn pick_up(delivery: &mut Delivery) -> AccessKey {
    match std::mem::replace(delivery, Delivery::None) {
        Delivery::PickUp(key) => key,
        other => panic!("the key should be picked up, found {other:?}"),
    }
}

/// The access key in a letter, as a person would copy it.
pub(crate) fn key_in(letter: &str) -> AccessKey {
    let line = letter.lines().find_map(|line| line.trim().strip_prefix("key ")).unwrap();
    line.trim().parse().unwrap()
}
