//! The story, step by step. Each step calls the service, checks what came of it, and tells it.

mod access;
mod proof;
mod team;

use super::letters::{Letter, Outbox};
use super::narrator::{Narrator, seconds, show_duration};
use crate::output::grouped;
use crate::progress;
use medledger::core::genesis::Consensus;
use medledger::core::pow::Schedule;
use medledger::{
    ChainId, Contact, CreateOptions, Delivery, Difficulty, EngineChoice, Identity, Ledger,
    MiningControl, Role, UploadOptions, Uploaded,
};
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A step that did not come to its end.
pub(super) enum Fault {
    /// A call failed.
    Failed(Box<dyn std::error::Error + Send + Sync>),
    /// Everything worked, but not as promised.
    Unexpected(String),
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What must hold; `what` says what was promised, and what came instead.
fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Unexpected(what())) }
}

/// A person of the story.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) address: &'static str,
    pub(super) password: &'static str,
}

pub(super) const HOSPITAL: &str = "General Hospital";
pub(super) const HOSPITAL_PASSWORD: &str = "hospital-demo";
pub(super) const PATIENT: Part =
    Part { name: "Pat", role: Role::Patient, address: "pat@example.org", password: "pat-demo" };
pub(super) const AUTHOR: Part = doctor("Dr Archer", "archer@example.org", "archer-demo");
pub(super) const READER: Part = doctor("Dr Baker", "baker@example.org", "baker-demo");
pub(super) const STRANGER: Part = doctor("Dr Cook", "cook@example.org", "cook-demo");

const fn doctor(name: &'static str, address: &'static str, password: &'static str) -> Part {
    Part { name, role: Role::Doctor, address, password }
}

/// Where things lie, below the folder of the demo.
pub(super) const LEDGER: &str = "ledger";
pub(super) const OUTBOX: &str = "outbox";
pub(super) const OPENED: &str = "opened";
pub(super) const RECEIPTS: &str = "receipts";

/// The identities, as their owners unlocked them.
struct Cast {
    patient: Identity,
    author: Identity,
    reader: Identity,
    stranger: Identity,
}

struct Story<'s, 'o> {
    root: &'s Path,
    file: &'s Path,
    ledger: Ledger,
    outbox: Outbox,
    cast: Cast,
    tell: &'s mut Narrator<'o>,
}

/// Plays all of it, and returns the chain that is left.
pub(super) fn play(
    root: &Path,
    file: &Path,
    block_seconds: f64,
    tell: &mut Narrator<'_>,
) -> Result<ChainId, Fault> {
    let (ledger, hospital) = found(root, block_seconds, tell)?;
    let cast = register(&ledger, &hospital, tell)?;
    let outbox = Outbox::new(root.join(LEDGER).join(OUTBOX));
    let mut story = Story { root, file, ledger, outbox, cast, tell };
    let uploaded = story.upload()?;
    let patients_key = story.patients_letter()?;
    let request = story.request(&uploaded)?;
    let (grant, readers_key) = story.approve(&request, &patients_key)?;
    story.open(&uploaded, &readers_key)?;
    story.strangers(&uploaded, &readers_key)?;
    story.who_read(&uploaded)?;
    story.revoke(&uploaded, &grant, &readers_key)?;
    let mut story = story.reopen()?;
    story.flip_a_bit(&uploaded, &patients_key)?;
    story.receipt(&uploaded)?;
    story.verify()?;
    let grant = story.team(&hospital, &uploaded)?;
    story.rotate(&hospital, &uploaded, &grant)?;
    story.who_saw()?;
    Ok(story.ledger.chain())
}

fn found(
    root: &Path,
    block_seconds: f64,
    tell: &mut Narrator<'_>,
) -> Result<(Ledger, Identity), Fault> {
    tell.step("found", "A hospital starts a ledger")?;
    tell.say(&format!(
        "{HOSPITAL} starts a chain of its own. This machine's speed is measured, and the \
         difficulty set so that a block takes it about {block_seconds} s of work."
    ))?;
    let mut options = CreateOptions::new(HOSPITAL);
    options.engine = EngineChoice::Work(Difficulty::AboutSeconds(block_seconds));
    options.settings.mail = medledger::MailSettings::Outbox(OUTBOX.into());
    options.settings.mail_from = format!("{HOSPITAL} <reports@hospital.example.org>");
    let (ledger, hospital) = Ledger::create(root.join(LEDGER), options, HOSPITAL_PASSWORD)?;
    tell.fact("chain id", ledger.chain())?;
    if let Consensus::Work(Schedule::Fixed { bits }) = ledger.rules().genesis.consensus {
        let tries = medledger::core::pow::Target::from_bits(bits)?.expected_tries();
        let tries = u64::try_from(tries).unwrap_or(u64::MAX);
        let shown = format!("{} tries a block on average (bits {bits})", grouped(tries.into()));
        tell.fact_as("difficulty", &shown, json!({"bits": bits.to_string(), "tries": tries}))?;
    }
    Ok((ledger, hospital))
}

fn register(ledger: &Ledger, hospital: &Identity, tell: &mut Narrator<'_>) -> Result<Cast, Fault> {
    tell.step("register", "A patient and three doctors are registered")?;
    tell.say(
        "Each gets an identity of their own, in a file locked by a password. The hospital signs \
         the registration. Names and mail addresses stay here and are never on the ledger.",
    )?;
    let mut add = |part: &Part| -> Result<Identity, Fault> {
        let contact = Contact::named(part.name).with_email(part.address);
        let (identity, registration) =
            ledger.add_member(hospital, part.role, &contact, part.password)?;
        let shown =
            format!("{}  number {}  {}", registration.member, registration.number, part.role);
        let value = json!({"id": registration.member.to_string(), "number": registration.number});
        tell.fact_as(part.name, &shown, value)?;
        Ok(identity)
    };
    let cast = Cast {
        patient: add(&PATIENT)?,
        author: add(&AUTHOR)?,
        reader: add(&READER)?,
        stranger: add(&STRANGER)?,
    };
    block(ledger, tell, 5)?;
    Ok(cast)
}

/// Mines what waits, which must be `records` records, and tells of the block.
fn block(ledger: &Ledger, tell: &mut Narrator<'_>, records: u64) -> Result<(), Fault> {
    let waiting = ledger.waiting()?;
    expect(waiting == records, || format!("{records} records should wait, {waiting} do"))?;
    let control = MiningControl::new();
    let begun = Instant::now();
    let mined = progress::watch(|| control.progress(), || ledger.mine_with(&control, false));
    let took = begun.elapsed();
    let mined = mined?.ok_or_else(|| Fault::Unexpected("no record waited".into()))?;
    expect(mined.refused.is_empty(), || "an accepted record was refused".into())?;
    let header = &mined.stored.signed.header;
    expect(header.meets_target(), || "a block without the work it should have".into())?;
    tell.fact_as(
        &format!("block {}", mined.stored.height),
        &mined.id().to_string(),
        json!({
            "id": mined.id().to_string(),
            "height": mined.stored.height,
            "header": hex(&header.to_bytes()),
            "records": mined.stored.records,
        }),
    )?;
    let plural = if records == 1 { "" } else { "s" };
    #[expect(clippy::cast_precision_loss, reason = "a rounded figure for people")]
    let rate = mined.tries as f64 / took.as_secs_f64();
    let shown = format!(
        "{records} record{plural}, {} tries in {} ({:.1} million a second)",
        grouped(mined.tries.into()),
        show_duration(took),
        rate / 1e6
    );
    let value = json!({"tries": mined.tries, "seconds": seconds(took), "per_second": rate.round()});
    tell.fact_as("mined", &shown, value)?;
    Ok(())
}

impl Story<'_, '_> {
    fn block(&mut self, records: u64) -> Result<(), Fault> {
        block(&self.ledger, self.tell, records)
    }

    /// Tells of a letter, its file relative to the folder of the demo.
    fn show_letter(&mut self, letter: &Letter) -> Result<(), Fault> {
        let path = letter.path.strip_prefix(self.root).unwrap_or(&letter.path);
        self.tell.fact("mail file", path.display())?;
        self.tell.fact("subject", &letter.subject)?;
        Ok(())
    }

    fn upload(&mut self) -> Result<Uploaded, Fault> {
        let (author, patient) = (AUTHOR.name, PATIENT.name);
        self.tell.step("upload", &format!("{author} uploads a report about {patient}"))?;
        self.tell.say(
            "It is encrypted under a key of its own and stored in blocks named by their hash. Only \
             a signed record with the name of the encrypted report goes into a block of the chain.",
        )?;
        let name = file_name(self.file);
        let size = self.file.metadata()?.len();
        let shown = format!("{name}, {} bytes", grouped(size.into()));
        self.tell.fact_as("report", &shown, json!({"name": name, "bytes": size}))?;
        let options = UploadOptions::named(&name, media_type(&name));
        let begun = Instant::now();
        let uploaded = self.ledger.upload_with(
            &self.cast.author,
            &self.cast.patient.id(),
            File::open(self.file)?,
            &options,
        )?;
        let took = begun.elapsed();
        expect(uploaded.length == size, || format!("{size} bytes, {} uploaded", uploaded.length))?;
        expect(uploaded.delivery == Delivery::Mailed, || "the key was not mailed".into())?;
        let shown = format!("{} bytes, padded to hide the size", grouped(uploaded.sealed.into()));
        self.tell.fact_as("encrypted", &shown, json!(uploaded.sealed))?;
        self.tell.fact_as("took", &speed(size, took), json!(seconds(took)))?;
        self.tell.fact("label", &uploaded.label)?;
        self.tell.fact("report id", uploaded.report)?;
        self.tell.fact("content id", uploaded.body)?;
        self.tell.fact("envelope", uploaded.envelope)?;
        self.tell.fact("record", uploaded.record)?;
        self.block(1)?;
        Ok(uploaded)
    }

    /// Closes the ledger and opens it again: what follows reads the disk.
    fn reopen(self) -> Result<Self, Fault> {
        drop(self.ledger);
        let ledger = Ledger::open(self.root.join(LEDGER))?;
        Ok(Self { ledger, ..self })
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn speed(bytes: u64, took: Duration) -> String {
    // Of small reports the rate says nothing.
    if bytes < 1 << 20 {
        return show_duration(took);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rounded figure for people")]
    let rate = bytes as f64 / took.as_secs_f64() / 1e6;
    format!("{} ({rate:.0} MB/s)", show_duration(took))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "report".into(), |name| name.to_string_lossy().into_owned())
}

/// The media type that a file's name suggests.
fn media_type(name: &str) -> &'static str {
    let extension = PathBuf::from(name);
    let extension = extension.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("pdf") => "application/pdf",
        Some("dcm" | "dicom") => "application/dicom",
        Some("txt") => "text/plain",
        Some("xml") => "application/xml",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}
