//! Upload: reports become ciphertext blocks, envelopes, slots for the patients and records.

mod batch;
mod report;

use crate::idempotency::{IdempotencyError, Idempotent};
use crate::ledger::Ledger;
use medledger_core::Cid;
use medledger_core::access_key::AccessKey;
use medledger_core::engine::SubmitError;
use medledger_core::envelope::MetadataError;
use medledger_core::identity::Identity;
use medledger_core::ids::{MemberId, RecordId, ReportId};
use medledger_core::padding::Padding;
use medledger_core::registry::VoidCode;
use medledger_core::seal::{Backend, SealError};
use medledger_core::store::StoreError;
use medledger_ipfs::pipeline::PipelineError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

/// Options of an upload.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UploadOptions {
    /// The file's name, never a path; sealed with the report.
    pub file_name: String,
    /// Media type, such as `application/pdf`; sealed with the report.
    pub media_type: String,
    /// A note in words; sealed with the report.
    pub note: String,
    /// Makes a repetition harmless: the same author, key and request return the first receipt.
    pub idempotency_key: Option<String>,
    /// Whether the exact size is hidden; as the ledger's settings say by default.
    pub padding: Option<Padding>,
    /// Which AES-GCM to use; the fastest compiled in by default. The result is the same.
    pub backend: Option<Backend>,
}

impl UploadOptions {
    /// Options with a file name and media type.
    #[must_use]
    pub fn named(file_name: impl Into<String>, media_type: impl Into<String>) -> Self {
        Self { file_name: file_name.into(), media_type: media_type.into(), ..Self::default() }
    }

    /// The same with an idempotency key.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// How the access key reaches its owner.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It went out by mail.
    Mailed,
    /// It waits in the mail queue, encrypted; [`Ledger::send_mail`] tries again.
    Queued,
    /// There is no mail or no address: here it is, once. Nothing keeps a copy.
    PickUp(AccessKey),
    /// It waits here, sealed, until its owner [picks it up](Ledger::pick_up).
    Waits,
    /// Nothing is delivered: this repeats an earlier request, or no key is needed.
    None,
}

/// An accepted upload.
#[derive(Debug)]
pub struct Uploaded {
    /// The record on the ledger.
    pub record: RecordId,
    /// The report.
    pub report: ReportId,
    /// What people call it.
    pub label: String,
    /// The envelope, which the ledger names.
    pub envelope: Cid,
    /// Root of the ciphertext in IPFS.
    pub body: Cid,
    /// Bytes of plaintext.
    pub length: u64,
    /// Bytes of ciphertext.
    pub sealed: u64,
    /// How the patient gets the access key.
    pub delivery: Delivery,
    /// Whether an earlier upload with the same idempotency key was returned.
    pub repeated: bool,
}

/// Why a report was not uploaded. Nothing is on the ledger; blocks already written are unpinned and
/// left to the collection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The source could not be read.
    #[error("the report could not be read: {0}")]
    Source(std::io::Error),
    /// The report is longer than anything that can be sealed.
    #[error(transparent)]
    TooLong(#[from] SealError),
    /// File name, media type or note.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The idempotency key.
    #[error(transparent)]
    Idempotency(#[from] IdempotencyError),
    /// Ciphertext could not be stored.
    #[error(transparent)]
    Blocks(#[from] medledger_ipfs::store::StoreError),
    /// The author or the patient is not what an upload needs.
    #[error("the upload was refused: {0} (code {code})", code = .0.code())]
    Refused(VoidCode),
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reports that were to be stored together with this one, or before it, could not be.
    #[error(transparent)]
    Together(Arc<UploadError>),
}

impl UploadError {
    /// Whether a store failed, so that others would fare no better.
    const fn is_of_a_store(&self) -> bool {
        matches!(
            self,
            Self::Blocks(_)
                | Self::Store(_)
                | Self::Submit(SubmitError::Store(_))
                | Self::Idempotency(IdempotencyError::Store(_))
        )
    }
}

impl From<PipelineError> for UploadError {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Source(source) => Self::Source(source),
            PipelineError::Seal(error) => Self::TooLong(error),
            PipelineError::Store(error) => Self::Blocks(error),
            other => Self::Source(std::io::Error::other(other)),
        }
    }
}

/// What an idempotency key remembers of an upload.
#[derive(Serialize, Deserialize)]
struct Remembered {
    record: RecordId,
    report: ReportId,
    label: String,
    envelope: Cid,
    body: Cid,
    length: u64,
    sealed: u64,
}

impl Remembered {
    fn uploaded(self) -> Uploaded {
        Uploaded {
            record: self.record,
            report: self.report,
            label: self.label,
            envelope: self.envelope,
            body: self.body,
            length: self.length,
            sealed: self.sealed,
            delivery: Delivery::None,
            repeated: true,
        }
    }
}

/// One report of several that are uploaded together.
pub struct Upload<'a> {
    patient: MemberId,
    source: Box<dyn Read + Send + 'a>,
    /// Bytes to come, roughly.
    size: u64,
    options: UploadOptions,
}

/// What a source of unknown length counts as.
const SOME_SIZE: u64 = 1 << 20;

impl<'a> Upload<'a> {
    /// A report about `patient`, read when its turn comes.
    pub fn new(patient: MemberId, source: impl Read + Send + 'a) -> Self {
        let options = UploadOptions::default();
        Self { patient, source: Box::new(source), size: SOME_SIZE, options }
    }

    /// A report in a file, opened when its turn comes and closed after, so that there may be more of them than
    /// a process may have open.
    pub fn file(patient: MemberId, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let size = path.metadata().map_or(0, |about| about.len());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let options = UploadOptions { file_name: name, ..UploadOptions::default() };
        Self { patient, source: Box::new(LateFile::Closed(path)), size, options }
    }

    /// The same from a source of about so many bytes: with it the uploads are put together in groups.
    #[must_use]
    pub fn of_size(mut self, bytes: u64) -> Self {
        self.size = bytes;
        self
    }

    /// The same with these options; a file's name is kept where they have none.
    #[must_use]
    pub fn with(mut self, options: UploadOptions) -> Self {
        let file_name = std::mem::take(&mut self.options.file_name);
        self.options = options;
        if self.options.file_name.is_empty() {
            self.options.file_name = file_name;
        }
        self
    }
}

impl std::fmt::Debug for Upload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("patient", &self.patient)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A file that is open only while it is read.
enum LateFile {
    Closed(PathBuf),
    Open(File),
    Ended,
}

impl Read for LateFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Self::Closed(path) = self {
            *self = Self::Open(File::open(path)?);
        }
        let Self::Open(file) = self else { return Ok(0) };
        let n = file.read(buf)?;
        if n == 0 && !buf.is_empty() {
            *self = Self::Ended;
        }
        Ok(n)
    }
}

impl Ledger {
    /// Encrypts and stores a report about `patient` and accepts its record. One pass over `source`, on all
    /// cores, constant memory. Mining is a step of its own: see [`Ledger::mine`].
    ///
    /// # Errors
    /// See [`UploadError`].
    pub fn upload(
        &self,
        author: &Identity,
        patient: &MemberId,
        source: impl Read + Send,
    ) -> Result<Uploaded, UploadError> {
        self.upload_with(author, patient, source, &UploadOptions::default())
    }

    /// As [`Ledger::upload`], with a file name, an idempotency key and other options.
    ///
    /// # Errors
    /// See [`UploadError`].
    ///
    /// # Panics
    /// Never: each upload has a result.
    pub fn upload_with(
        &self,
        author: &Identity,
        patient: &MemberId,
        source: impl Read + Send,
        options: &UploadOptions,
    ) -> Result<Uploaded, UploadError> {
        let upload = Upload::new(*patient, source).with(options.clone());
        let result = self.upload_many(author, [upload]).pop().expect("a result for each upload");
        // Alone, it failed for itself.
        result.map_err(|error| match error {
            UploadError::Together(cause) => {
                Arc::try_unwrap(cause).unwrap_or_else(UploadError::Together)
            }
            other => other,
        })
    }

    /// Uploads many reports of one author: sealed together on all cores, so that small reports are as fast as
    /// large ones, made durable together, accepted together, some hundreds at a time.
    ///
    /// The results are in the order of the uploads. Each report is accepted or not for itself: what is wrong with one
    /// keeps none of the others back. Only when a store fails, all of those that were to be stored
    /// together fail with it, and those after them are not tried: [`UploadError::Together`].
    ///
    /// ```
    /// use medledger::core::registry::Role;
    /// use medledger::{Contact, CreateOptions, Ledger, Upload};
    /// # let folder = std::env::temp_dir().join(format!("medledger-many-{}", std::process::id()));
    /// # std::fs::create_dir(&folder)?;
    /// let (ledger, hospital) = Ledger::create(&folder, CreateOptions::new("Clinic"), "password")?;
    /// let (lab, _) = ledger.add_member(&hospital, Role::Lab, &Contact::named("Lab"), "password")?;
    /// let (pat, _) = ledger.add_member(&hospital, Role::Patient, &Contact::named("Pat"), "password")?;
    /// let results = ["blood", "urine"].map(|text| Upload::new(pat.id(), text.as_bytes()));
    /// for uploaded in ledger.upload_many(&lab, results) {
    ///     println!("{}", uploaded?.label);
    /// }
    /// # drop(ledger);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn upload_many<'a>(
        &self,
        author: &Identity,
        uploads: impl IntoIterator<Item = Upload<'a>>,
    ) -> Vec<Result<Uploaded, UploadError>> {
        let mut outcomes = Vec::new();
        self.upload_in_groups(author, uploads, |ended| outcomes.extend(ended));
        outcomes
    }

    /// As [`Ledger::upload_many`], and tells the results of each group as soon as it is accepted: who hands the
    /// keys on then loses none of them when the process ends early. The results come in the order of the uploads.
    pub fn upload_in_groups<'a>(
        &self,
        author: &Identity,
        uploads: impl IntoIterator<Item = Upload<'a>>,
        mut ended: impl FnMut(Vec<Result<Uploaded, UploadError>>),
    ) {
        batch::run(self, author, uploads.into_iter(), &mut ended);
    }

    fn upload_once(
        &self,
        author: &Identity,
        patient: &MemberId,
        key: &str,
        options: &UploadOptions,
    ) -> Result<Idempotent, IdempotencyError> {
        let mut once = Idempotent::new(self, &author.id(), key)?;
        once.hash_field(b"upload");
        once.hash_field(patient.as_bytes());
        for text in [&options.file_name, &options.media_type, &options.note] {
            once.hash_field(text.as_bytes());
        }
        Ok(once)
    }
}

/// Hashes what is read, where an idempotency key asks for it.
struct Tee<R> {
    source: R,
    once: Option<Idempotent>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.source.read(buf)?;
        if let Some(once) = &mut self.once {
            once.hash_bytes(&buf[..n]);
        }
        Ok(n)
    }
}
