//! Upload: a report becomes ciphertext blocks, an envelope, slots for the patient and a record.

use crate::blocks::UploadGuard;
use crate::idempotency::{IdempotencyError, Idempotent};
use crate::ledger::Ledger;
use crate::mail::texts;
use crate::slots::SlotPlace;
use crate::steps::Step;
use medledger_core::Cid;
use medledger_core::access_key::AccessKey;
use medledger_core::context::BodyContext;
use medledger_core::dek::Dek;
use medledger_core::engine::SubmitError;
use medledger_core::envelope::{Envelope, Metadata, MetadataError, seal_meta};
use medledger_core::identity::Identity;
use medledger_core::ids::{MemberId, RecordId, RecordNonce, ReportId};
use medledger_core::keys::HpkePublicKey;
use medledger_core::padding::Padding;
use medledger_core::record::AddReport;
use medledger_core::registry::{CipherSuite, VoidCode};
use medledger_core::seal::{Backend, SealError};
use medledger_core::slot::{Slot, SlotRole};
use medledger_core::state::State;
use medledger_core::store::StoreError;
use medledger_ipfs::pipeline::{PipelineError, SealJob, seal_file};
use medledger_ipfs::store::{Keep, Reason};
use medledger_ipfs::unixfs::Profile;
use serde::{Deserialize, Serialize};
use std::io::Read;

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

impl Ledger {
    /// Encrypts and stores a report about `patient` and accepts its record. One pass over `source`,
    /// constant memory. Mining is a step of its own: see [`Ledger::mine`].
    ///
    /// # Errors
    /// See [`UploadError`].
    pub fn upload(
        &self,
        author: &Identity,
        patient: &MemberId,
        source: impl Read,
    ) -> Result<Uploaded, UploadError> {
        self.upload_with(author, patient, source, &UploadOptions::default())
    }

    /// As [`Ledger::upload`], with a file name, an idempotency key and other options.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub fn upload_with(
        &self,
        author: &Identity,
        patient: &MemberId,
        mut source: impl Read,
        options: &UploadOptions,
    ) -> Result<Uploaded, UploadError> {
        // What can be refused is refused before the first byte is read.
        Metadata::new(&options.file_name, &options.media_type, 0)?.with_note(&options.note)?;
        let mut once = match &options.idempotency_key {
            None => None,
            Some(key) => Some(self.upload_once(author, patient, key, options)?),
        };
        if let Some(once) = &mut once
            && let Some(remembered) = once.remembered::<Remembered>(self.view()?.as_ref(), self)?
        {
            once.hash_all(&mut source).map_err(UploadError::Source)?;
            return Ok(once.matching(remembered)?.uploaded());
        }
        let collection = self.patient_collection(author, patient)?;
        let mut tee = Tee { source, once };
        let sealed = self.seal_report(author, patient, &mut tee, options)?;
        let (access_key, slots) = self.patient_slots(&sealed, patient, &collection);
        let contact = self.contact(self.view()?.as_ref(), patient)?;
        let mailed = contact.email.as_deref().filter(|_| self.sends_mail());
        let record = self.sign_with_nonce(
            author,
            sealed.nonce,
            AddReport { patient: *patient, envelope: sealed.envelope_cid },
        );
        let id = record.id();
        let once = tee.once;
        let again = once.clone();
        let mut letter = None;
        let accepted = self.accept(&[record], |unit| -> Result<Uploaded, UploadError> {
            for (place, slot) in &slots {
                self.put_slot(unit, place, slot)?;
            }
            let label = self.new_label(unit, patient, &sealed.report)?;
            let delivery = match mailed {
                None => Delivery::PickUp(access_key),
                Some(address) => {
                    let hospital = self.contact(unit, &self.hospital())?.name;
                    let text = texts::report_added(
                        &contact,
                        address,
                        &hospital,
                        &sealed.report,
                        &label,
                        &access_key,
                    );
                    letter = Some(self.enqueue(unit, &text)?);
                    Delivery::Queued
                }
            };
            let remembered = Remembered {
                record: id,
                report: sealed.report,
                label,
                envelope: sealed.envelope_cid,
                body: sealed.envelope.body,
                length: sealed.length,
                sealed: sealed.envelope.size,
            };
            if let Some(once) = once {
                once.remember(unit, self, &remembered)?;
            }
            Ok(Uploaded { delivery, repeated: false, ..remembered.uploaded() })
        });
        let mut uploaded = match accepted {
            Ok(uploaded) => uploaded,
            Err(error) => {
                // No record names these blocks now: they must not stay pinned.
                let reason = Reason::Report(sealed.report);
                if let Err(error) = self.blocks().release(&sealed.envelope_cid, &reason) {
                    tracing::warn!(%error, cid = %sealed.envelope_cid, "a pin without record stays");
                }
                // The same request, made at the same time, may have been accepted first.
                if let UploadError::Idempotency(IdempotencyError::Conflict) = error
                    && let Some(again) = again
                    && let Some(first) = again.remembered(self.view()?.as_ref(), self)?
                {
                    return Ok(again.matching::<Remembered>(first)?.uploaded());
                }
                return Err(error);
            }
        };
        if self.try_mail_of(letter.as_ref()) {
            uploaded.delivery = Delivery::Mailed;
        }
        Ok(uploaded)
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

    /// Who may upload for whom, told before any work: the same rules as the chain's.
    fn patient_collection(
        &self,
        author: &Identity,
        patient: &MemberId,
    ) -> Result<HpkePublicKey, UploadError> {
        let member =
            self.authenticate(author)?.ok_or(UploadError::Refused(VoidCode::UnknownAuthor))?;
        let view = self.view()?;
        let mut found = Err(VoidCode::RoleNotAllowed);
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            found = if !member.role.uploads() {
                Err(VoidCode::RoleNotAllowed)
            } else if state.member(patient)?.is_none() {
                Err(VoidCode::UnknownMember)
            } else {
                let enrolment = state.enrolment(patient, &member.hospital)?;
                enrolment.map(|enrolment| enrolment.key).ok_or(VoidCode::NotEnrolled)
            };
            Ok(())
        })?;
        found.map_err(UploadError::Refused)
    }

    fn seal_report(
        &self,
        author: &Identity,
        patient: &MemberId,
        source: &mut dyn Read,
        options: &UploadOptions,
    ) -> Result<SealedReport<'_>, UploadError> {
        let mut rng = self.rng();
        let nonce = RecordNonce::random(&mut rng);
        let report = ReportId::derive(&author.id(), &nonce);
        let context =
            BodyContext { report, version: 1, epoch: 1, patient: *patient, author: author.id() };
        let dek = Dek::generate(&mut rng);
        let blocks = self.blocks();
        let session = blocks.begin()?;
        let job = SealJob {
            backend: options.backend.unwrap_or(Backend::best()),
            dek: &dek,
            context: &context.to_bytes(),
            padding: options.padding.unwrap_or(self.settings().padding),
            profile: Profile::default(),
        };
        let body = seal_file(&job, source, session.as_ref(), &mut rng, &mut |bytes| {
            self.step(Step::Sealed { bytes });
        })?;
        let metadata = Metadata::new(&options.file_name, &options.media_type, body.length)?
            .with_note(&options.note)?;
        let envelope = Envelope {
            suite: CipherSuite::Cobblestone128,
            body: body.root,
            size: body.size,
            head: body.head,
            meta: seal_meta(&dek, &context.meta(body.root), &metadata, &mut rng)?,
        };
        let envelope_cid = envelope.cid();
        session.put(&envelope_cid, &envelope.encode())?;
        let under_way = self.under_way().begin(report);
        let keep = Keep::since(Reason::Report(report), self.now());
        session.finish(Some((&envelope_cid, &keep)))?;
        self.step(Step::BlocksStored);
        let length = body.length;
        Ok(SealedReport {
            nonce,
            report,
            dek,
            envelope,
            envelope_cid,
            length,
            _under_way: under_way,
        })
    }

    /// The report's key for the patient twice: for a key that goes by mail, and for the collection.
    fn patient_slots(
        &self,
        sealed: &SealedReport<'_>,
        patient: &MemberId,
        collection: &HpkePublicKey,
    ) -> (AccessKey, [(SlotPlace, Slot); 2]) {
        let mut rng = self.rng();
        let access_key = AccessKey::generate(&mut rng);
        let place = |role| SlotPlace {
            report: sealed.report,
            version: 1,
            epoch: 1,
            role,
            grant: None,
            reader: *patient,
        };
        let by_key = place(SlotRole::Patient);
        let context = self.slot_context(&by_key, sealed.envelope_cid);
        let key_slot = Slot::wrap_with_access_key(&sealed.dek, &access_key, &context);
        let by_collection = place(SlotRole::Collection);
        let context = self.slot_context(&by_collection, sealed.envelope_cid);
        let collection_slot = Slot::wrap_to(&sealed.dek, collection, &context, &mut rng);
        (access_key, [(by_key, key_slot), (by_collection, collection_slot)])
    }
}

/// A report that is stored, but on no ledger yet.
struct SealedReport<'a> {
    nonce: RecordNonce,
    report: ReportId,
    dek: Dek,
    envelope: Envelope,
    envelope_cid: Cid,
    length: u64,
    /// Until the record is accepted or refused, no collection releases the pin.
    _under_way: UploadGuard<'a>,
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
