//! A ledger in a temporary folder with people on it, made cheaply: weak locks, easy blocks.

use medledger::core::identity::LockParams;
use medledger::core::pow::Target;
use medledger::{
    AccessKey, Contact, CreateOptions, Delivery, Difficulty, EngineChoice, Identity, Key, Ledger,
    MailSettings, OpenOptions, Purpose, ReportId, Role, UploadOptions, Uploaded,
};
use std::path::{Path, PathBuf};

/// The password of everybody in these tests.
pub(crate) const PASSWORD: &str = "Zu9-correct-horse-battery";
/// Stands in every report, so that plaintext is found wherever it should not be.
pub(crate) const MARKER: &[u8] = b"<<PLAINTEXT-OF-A-REPORT-8d1f>>";
/// Names and addresses that must never be in clear outside the outbox.
pub(crate) const PATIENT_NAME: &str = "Petronella Querbach";
pub(crate) const PATIENT_MAIL: &str = "petronella@querbach.example";
pub(crate) const READER_NAME: &str = "Dr Quirin Zellweger";
pub(crate) const READER_MAIL: &str = "zellweger@klinik.example";
pub(crate) const FILE_NAME: &str = "befund-zq71.pdf";

/// A ledger and its people.
pub(crate) struct World {
    pub(crate) ledger: Option<Ledger>,
    pub(crate) folder: PathBuf,
    pub(crate) hospital: Identity,
    pub(crate) doctor: Identity,
    pub(crate) patient: Identity,
    pub(crate) reader: Identity,
    _temporary: Option<tempfile::TempDir>,
}

/// Options that make a ledger in milliseconds.
pub(crate) fn options(mail: MailSettings) -> CreateOptions {
    let mut options = CreateOptions::new("Klinikum Eichwald");
    options.engine = EngineChoice::Work(easy());
    options.lock_params = LockParams::weak_for_tests();
    options.settings.mail = mail;
    options
}

/// A block takes some two thousand tries.
pub(crate) fn easy() -> Difficulty {
    Difficulty::Bits(Target::from_expected_tries(2000).to_bits())
}

/// A report of `len` bytes that differs by `seed` and has the marker all over.
pub(crate) fn report(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        bytes.extend_from_slice(MARKER);
        bytes.extend_from_slice(format!("{seed}:{:08}\n", bytes.len()).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

impl World {
    /// A ledger whose letters go into the folder `outbox` of the ledger's folder.
    pub(crate) fn with_outbox() -> Self {
        Self::new(MailSettings::Outbox("outbox".into()))
    }

    /// A ledger without mail: keys are picked up.
    pub(crate) fn with_pick_up() -> Self {
        Self::new(MailSettings::None)
    }

    pub(crate) fn new(mail: MailSettings) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let mut world = Self::in_folder(&temporary.path().join("ledger"), options(mail));
        world._temporary = Some(temporary);
        world
    }

    pub(crate) fn in_folder(folder: &Path, options: CreateOptions) -> Self {
        let (ledger, hospital) = Ledger::create(folder, options, PASSWORD).expect("a ledger");
        let add = |role, name: &str, mail: &str| {
            let contact = Contact::named(name).with_email(mail);
            ledger.add_member(&hospital, role, &contact, PASSWORD).expect("a member").0
        };
        let doctor = add(Role::Doctor, "Dr Ottokar Winterfeld", "winterfeld@klinik.example");
        let patient = add(Role::Patient, PATIENT_NAME, PATIENT_MAIL);
        let reader = add(Role::Doctor, READER_NAME, READER_MAIL);
        ledger.mine().expect("the people are mined").expect("a block");
        let folder = folder.to_path_buf();
        let ledger = Some(ledger);
        Self { ledger, folder, hospital, doctor, patient, reader, _temporary: None }
    }

    /// The open ledger.
    pub(crate) fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().expect("the ledger is open")
    }

    /// Closes the ledger, so that files may be changed or another process may write.
    pub(crate) fn close(&mut self) {
        self.ledger = None;
    }

    /// Opens it again.
    pub(crate) fn reopen(&mut self) {
        self.close();
        self.ledger = Some(Ledger::open(&self.folder).expect("the ledger opens again"));
    }

    /// Uploads a report with file name and note, mined, and gives the patient's key.
    pub(crate) fn upload(&self, bytes: &[u8]) -> (Uploaded, AccessKey) {
        let options = UploadOptions::named(FILE_NAME, "application/pdf");
        let mut uploaded = self
            .ledger()
            .upload_with(&self.doctor, &self.patient.id(), bytes, &options)
            .expect("an upload");
        let delivery = std::mem::replace(&mut uploaded.delivery, Delivery::None);
        let key = match delivery {
            Delivery::PickUp(key) => key,
            _ => mailed_key(&self.folder, &uploaded.report, PATIENT_MAIL).expect("a letter"),
        };
        self.ledger().wait_mined(&uploaded.record).expect("mined");
        (uploaded, key)
    }

    /// The reader asks, the patient approves; mined. The reader's key.
    pub(crate) fn approve(&self, report: &ReportId, key: &AccessKey) -> AccessKey {
        let ledger = self.ledger();
        let until = ledger.now().plus(86_400);
        let request =
            ledger.request(&self.reader, report, Purpose::Treatment, until).expect("a request");
        let approved =
            ledger.approve(&self.patient, &request, &Key::Access(key)).expect("an approval");
        ledger.wait_mined(&approved.record).expect("mined");
        match approved.delivery {
            Delivery::PickUp(key) => key,
            _ => mailed_key(&self.folder, report, READER_MAIL).expect("a letter"),
        }
    }

    /// The report's own key and the node key, dug out as only somebody with the whole folder and the
    /// patient's key can: to look for them where they must not be.
    pub(crate) fn inner_keys(&self, report: &ReportId, key: &AccessKey) -> [[u8; 16]; 2] {
        use medledger::core::slot::{Slot, SlotContext, SlotRole};
        use medledger::core::store::Drawer;
        let text = std::fs::read_to_string(self.folder.join("node.key")).expect("the node key");
        let hex = text.lines().nth(1).expect("two lines");
        let node_key = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal");
        let node_key: [u8; 16] = node_key.try_into().expect("16 bytes");
        let ledger = self.ledger();
        let view = ledger.view().expect("a view");
        let summaries = ledger.reports(&self.patient.id()).expect("reports");
        let summary = summaries.iter().find(|found| found.id == *report).expect("the report");
        let context = SlotContext {
            chain: ledger.chain(),
            report: *report,
            version: 1,
            epoch: 1,
            role: SlotRole::Patient,
            grant: None,
            reader: self.patient.id(),
            envelope: summary.envelope,
        };
        let rows = view.local_scan(Drawer::Slots, report.as_bytes(), None, usize::MAX);
        let dek = rows.expect("slots").iter().find_map(|(place, sealed)| {
            let domain = medledger::core::registry::domain::LOCAL_ROW;
            let row = [domain, &[Drawer::Slots.code()], place].concat();
            let node_key = medledger::core::dek::Dek::from_bytes(node_key);
            let plain = medledger::core::seal::unseal(&node_key, &row, sealed).expect("a row");
            let slot = Slot::from_bytes(&plain).expect("a slot");
            slot.unwrap_with_access_key(key, &context).ok()
        });
        [node_key, *dek.expect("a slot that opens").expose()]
    }
}

/// Opens a ledger for reading.
pub(crate) fn read_only(folder: &Path) -> Ledger {
    Ledger::open_read_only(folder).expect("it opens for reading")
}

/// Opens a ledger with one mining thread and a listener for steps.
pub(crate) fn observed(
    folder: &Path,
    observer: impl Fn(medledger::Step) + Send + Sync + 'static,
) -> Ledger {
    let mut options = OpenOptions::default();
    options.observer = Some(std::sync::Arc::new(observer));
    options.threads = Some(1);
    Ledger::open_with(folder, options).expect("it opens")
}

/// The access key in the newest letter about `report` to `address`, from the outbox in `folder`.
pub(crate) fn mailed_key(folder: &Path, report: &ReportId, address: &str) -> Option<AccessKey> {
    letters(folder)
        .iter()
        .rev()
        .find(|letter| letter.contains(address) && letter.contains(&report.to_string()))
        .and_then(|letter| key_in(letter))
}

/// The access key a letter holds.
pub(crate) fn key_in(letter: &str) -> Option<AccessKey> {
    letter
        .lines()
        .filter_map(|line| line.trim().strip_prefix("key "))
        .find_map(|text| AccessKey::from_text(text.trim()).ok())
}

/// The letters in the outbox, oldest first.
pub(crate) fn letters(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.join("outbox")) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "eml"));
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("a letter")).collect()
}

/// Whether a peer that the environment may provide is there; if not, says so where it is seen even
/// when tests pass.
pub(crate) fn peer(test: &str, variable: &str, what: &str) -> Option<String> {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => Some(value),
        _ => {
            skip(test, &format!("{variable} is not set ({what})"));
            None
        }
    }
}

/// Says that a test is skipped, and why, past the harness's capturing.
pub(crate) fn skip(test: &str, reason: &str) {
    say(&format!("SKIPPED {test}: {reason}"));
}

/// Says something that is to be seen even when tests pass.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
