//! Open: the grant must be live, the token must match, the read is recorded, and only then is the
//! slot released. Every byte is checked against the ledger's CID before it is decrypted.

mod keys;

use crate::approve::{ApproveError, Key};
use crate::attempts::{Refusal, Target};
use crate::audit::AuditEvent;
use crate::ledger::{Blocks, Ledger};
use crate::secrets::SecretError;
use crate::suspension::Suspension;
use medledger_core::Cid;
use medledger_core::clock::Timestamp;
use medledger_core::dek::Dek;
use medledger_core::engine::SubmitError;
use medledger_core::envelope::{Envelope, EnvelopeError, Metadata, MetadataError, unseal_meta};
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId, RecordId, ReportId};
use medledger_core::record::Read as ReadRecord;
use medledger_core::registry::VoidCode;
use medledger_core::release::ReleaseError;
use medledger_core::seal::{Backend, UnsealError, UnsealReader};
use medledger_core::slot::SlotError;
use medledger_core::state::{MemberEntry, ReportEntry, State};
use medledger_core::store::StoreError;
use medledger_ipfs::store::BlockRead;
use medledger_ipfs::unixfs::FileReader;
use medledger_ipfs::unixfs::ReadError;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

/// Why a report was not opened. No plaintext was released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenReportError {
    /// There is no such report, nothing permits this member to read it, or the key is not the one for it.
    /// Nobody is told which.
    #[error(
        "no access: there is no such report, you have no permission for it, or the key is not the \
         one for it"
    )]
    NoAccess,
    /// After too many failures nothing is tried until this time.
    #[error("too many failed attempts: nothing is tried before {}", crate::time::show_time(*.until))]
    TooMany {
        /// When it may be tried again.
        until: Timestamp,
    },
    /// The keys of whoever asks are suspended.
    #[error("your keys are suspended {0}: they sign nothing and open nothing")]
    Suspended(Suspension),
    /// The reader's permission has ended.
    #[error("your permission has expired")]
    Expired,
    /// The permission, or one it was passed on from, was taken back: by the patient, or by whoever passed it on.
    #[error("your permission, or one that it was passed on from, was taken back")]
    Revoked,
    /// The permission is accepted, but in no block yet.
    #[error("your permission is accepted but not yet in a block: wait until it is mined")]
    NotMined,
    /// The key is not the one this permission came with; told as [`NoAccess`](Self::NoAccess).
    #[doc(hidden)]
    #[error("wrong key")]
    WrongKey,
    /// The permission is live, but the wrapped key is not kept here.
    #[error("no key for this permission is kept here: ask the custodian {0}")]
    NoSlot(MemberId),
    /// It is the patient who asks, and the report's key, wrapped for the access key or for the collection, whichever was
    /// used, is not kept here any more: no key opens what is not there.
    #[error(
        "the report is yours, but its key, wrapped for what you opened it with, is missing here: no key opens it that way"
    )]
    KeyMissing,
    /// What a custodian released cannot be used.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A block of the report is missing here.
    #[error("block {0} of the report is missing")]
    Missing(Cid),
    /// What is stored is not what the ledger names.
    #[error("the stored report is damaged: {0}")]
    Damaged(String),
    /// The envelope cannot be read.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The sealed metadata cannot be read.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The body does not open: the key does not belong to it, or it is damaged.
    #[error(transparent)]
    Unseal(UnsealError),
    /// The slot cannot be unwrapped.
    #[error(transparent)]
    Slot(SlotError),
    /// The blocks could not be read.
    #[error(transparent)]
    Blocks(medledger_ipfs::store::StoreError),
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<medledger_ipfs::store::StoreError> for OpenReportError {
    fn from(error: medledger_ipfs::store::StoreError) -> Self {
        match error {
            medledger_ipfs::store::StoreError::Damaged { .. } => Self::Damaged(error.to_string()),
            other => Self::Blocks(other),
        }
    }
}

impl From<ReadError> for OpenReportError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing { cid, .. } => Self::Missing(cid),
            ReadError::Store(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<UnsealError> for OpenReportError {
    /// What went wrong below, while fetching a block, is told as what it is.
    fn from(error: UnsealError) -> Self {
        match error {
            UnsealError::Io(source) => match source.downcast::<ReadError>() {
                Ok(error) => error.into(),
                Err(source) => Self::Unseal(UnsealError::Io(source)),
            },
            other => Self::Unseal(other),
        }
    }
}

impl From<ApproveError> for OpenReportError {
    fn from(error: ApproveError) -> Self {
        match error {
            ApproveError::WrongKey => Self::WrongKey,
            ApproveError::TooMany { until } => Self::TooMany { until },
            ApproveError::Suspended(since) => Self::Suspended(since),
            ApproveError::Slot(error) => Self::Slot(error),
            ApproveError::Submit(error) => Self::Submit(error),
            ApproveError::Store(error) => Self::Store(error),
            // Only for the patient, who has shown to be that.
            ApproveError::NoSlot => Self::KeyMissing,
            ApproveError::NoKey
            | ApproveError::NoAccess
            | ApproveError::Refused(_)
            | ApproveError::NeedsIdentity
            | ApproveError::OtherHospital(_)
            | ApproveError::SeveralHospitals => Self::NoAccess,
        }
    }
}

impl From<SlotError> for OpenReportError {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::WrongKeyOrMoved => Self::WrongKey,
            other => Self::Slot(other),
        }
    }
}

impl From<SecretError> for OpenReportError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Slot(error) => error.into(),
            SecretError::Store(error) => error.into(),
        }
    }
}

impl Refusal for OpenReportError {
    fn event(&self) -> Option<AuditEvent> {
        match self {
            Self::WrongKey => Some(AuditEvent::WrongKey),
            Self::NoAccess => Some(AuditEvent::NoPermission),
            Self::Expired => Some(AuditEvent::Expired),
            Self::Revoked => Some(AuditEvent::Revoked),
            _ => None,
        }
    }

    fn told(self) -> Self {
        if matches!(self, Self::WrongKey) { Self::NoAccess } else { self }
    }

    fn too_many(until: Timestamp) -> Self {
        Self::TooMany { until }
    }

    fn suspended(since: Suspension) -> Self {
        Self::Suspended(since)
    }
}

type Source = FileReader<Arc<Blocks>>;

/// An opened report: its metadata, and its plaintext as a whole, as a stream, or in ranges.
///
/// Whatever comes out was checked: blocks against their CIDs, the key against the commitment, every
/// 16 KiB against its tag.
pub struct OpenedReport {
    metadata: Metadata,
    /// The record of this reading.
    read: RecordId,
    grant: Option<GrantId>,
    envelope: Cid,
    body: Cid,
    reader: UnsealReader<Source>,
}

impl std::fmt::Debug for OpenedReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedReport")
            .field("read", &self.read)
            .field("envelope", &self.envelope)
            .finish_non_exhaustive()
    }
}

impl OpenedReport {
    fn new(
        (metadata, reader): (Metadata, UnsealReader<Source>),
        read: RecordId,
        grant: Option<GrantId>,
        entry: &ReportEntry,
        body: Cid,
    ) -> Self {
        Self { metadata, read, grant, envelope: entry.envelope, body, reader }
    }

    /// File name, media type, length and note.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The record that says that this report was read.
    #[must_use]
    pub const fn read_record(&self) -> RecordId {
        self.read
    }

    /// The grant it was read under; none for the patient.
    #[must_use]
    pub const fn grant(&self) -> Option<GrantId> {
        self.grant
    }

    /// The envelope the ledger names.
    #[must_use]
    pub const fn envelope(&self) -> Cid {
        self.envelope
    }

    /// Root of the ciphertext.
    #[must_use]
    pub const fn body(&self) -> Cid {
        self.body
    }

    /// Length of the plaintext in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.metadata.length()
    }

    /// Whether the report is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes from `offset` on, `len` of them. Touches only the leaves they lie in.
    ///
    /// # Errors
    /// When the range goes beyond the end, or a block is missing or damaged.
    pub fn read_range(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, OpenReportError> {
        Ok(self.reader.read_range(offset, len)?)
    }

    /// The whole report. Its end is proved before memory is taken for it.
    ///
    /// # Errors
    /// When it does not fit into memory, or a block is missing or damaged.
    pub fn to_vec(&mut self) -> Result<Vec<u8>, OpenReportError> {
        let len = usize::try_from(self.len()).map_err(|_| UnsealError::TooLong)?;
        self.read_range(0, len)
    }
}

impl Read for OpenedReport {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buf)
    }
}

impl Seek for OpenedReport {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.reader.seek(to)
    }
}

impl Ledger {
    /// Opens a report for its patient, or for a reader with a live grant. The reading is recorded,
    /// durably, before anything of it comes out.
    ///
    /// # Errors
    /// See [`OpenReportError`].
    pub fn open_report(
        &self,
        reader: &Identity,
        report: &ReportId,
        key: &Key<'_>,
    ) -> Result<OpenedReport, OpenReportError> {
        self.open_report_with(reader, report, key, Backend::best())
    }

    /// As [`Ledger::open_report`], with another AES-GCM; the result is the same.
    ///
    /// # Errors
    /// See [`OpenReportError`].
    pub fn open_report_with(
        &self,
        reader: &Identity,
        report: &ReportId,
        key: &Key<'_>,
        backend: Backend,
    ) -> Result<OpenedReport, OpenReportError> {
        self.limited(reader, Target::Report(*report), key, || {
            self.open_once(reader, report, key, backend)
        })
    }

    fn open_once(
        &self,
        reader: &Identity,
        report: &ReportId,
        key: &Key<'_>,
        backend: Backend,
    ) -> Result<OpenedReport, OpenReportError> {
        let member = self.reading_member(reader)?;
        let entry = self.report_entry(report)?.ok_or(OpenReportError::NoAccess)?;
        let own = entry.patient == reader.id();
        let grants = match own {
            true => Vec::new(),
            false => self.live_grants_for(&reader.id(), &member, report, &entry, key)?,
        };
        // Ciphertext is no secret: whether it is there is known before anything is recorded.
        let envelope = self.fetch_envelope(&entry)?;

        // No token on the ledger tells a wrong key of the patient's, nor which of a reader's grants are wrapped to keys that
        // were lost. Unwrapping does, and what comes of it stays here until the reading is recorded.
        let (under, dek) = match own {
            true => (None, self.patient_dek(reader, report, &entry, key)?),
            false => {
                let view = self.view()?;
                let slots = self.stored_slots(view.as_ref());
                self.first_that_unwraps(&slots, reader, report, &entry, &grants, key)?
            }
        };

        let head = medledger_core::chain::tip(self.view()?.as_ref())?.id;
        let statement = ReadRecord { grant: under, report: *report, version: entry.version, head };
        let record = self.sign(reader, statement);
        let read = record.id();
        self.accept(&[record], |_| Ok::<_, OpenReportError>(()))?;
        let opened = self.unsealed_from(report, &entry, &dek, &envelope, backend)?;
        Ok(OpenedReport::new(opened, read, under, &entry, envelope.body))
    }

    /// The member whose keys these are. Who has suspended ones is told so, and since when: it depends on no report.
    pub(crate) fn reading_member(&self, reader: &Identity) -> Result<MemberEntry, OpenReportError> {
        match self.acting(reader)? {
            Ok(member) => Ok(member),
            Err(VoidCode::Suspended) => {
                let since = self.suspension(&reader.id())?;
                Err(since.map_or(OpenReportError::NoAccess, OpenReportError::Suspended))
            }
            Err(_) => Err(OpenReportError::NoAccess),
        }
    }

    /// A report whose key is at hand and whose reading is recorded.
    pub(crate) fn opened(
        &self,
        read: RecordId,
        grant: Option<GrantId>,
        report: &ReportId,
        entry: &ReportEntry,
        dek: &Dek,
        backend: Backend,
    ) -> Result<OpenedReport, OpenReportError> {
        let envelope = self.fetch_envelope(entry)?;
        let opened = self.unsealed_from(report, entry, dek, &envelope, backend)?;
        Ok(OpenedReport::new(opened, read, grant, entry, envelope.body))
    }

    pub(crate) fn report_entry(
        &self,
        report: &ReportId,
    ) -> Result<Option<ReportEntry>, StoreError> {
        let view = self.view()?;
        let mut entry = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            entry = State::new(state).report(report)?;
            Ok(())
        })?;
        Ok(entry)
    }

    /// The metadata and the plaintext of a report, whose key is at hand.
    pub(crate) fn unsealed(
        &self,
        report: &ReportId,
        entry: &ReportEntry,
        dek: &Dek,
        backend: Backend,
    ) -> Result<(Metadata, UnsealReader<Source>), OpenReportError> {
        self.unsealed_from(report, entry, dek, &self.fetch_envelope(entry)?, backend)
    }

    fn unsealed_from(
        &self,
        report: &ReportId,
        entry: &ReportEntry,
        dek: &Dek,
        envelope: &Envelope,
        backend: Backend,
    ) -> Result<(Metadata, UnsealReader<Source>), OpenReportError> {
        let context = entry.body_context(report);
        let metadata = unseal_meta(dek, &context.meta(envelope.body), &envelope.meta)?;
        let file = FileReader::open(self.blocks_arc(), envelope.body, Some(envelope.size))?;
        let unsealed =
            UnsealReader::with_head(backend, dek, &envelope.head, &context.to_bytes(), file)?
                .with_true_len(metadata.length())?;
        Ok((metadata, unsealed))
    }

    fn fetch_envelope(&self, entry: &ReportEntry) -> Result<Envelope, OpenReportError> {
        let block = self
            .blocks_arc()
            .get(&entry.envelope)?
            .ok_or(OpenReportError::Missing(entry.envelope))?;
        Ok(Envelope::decode(&block)?)
    }
}
