//! Approve and share: the patient unwraps the report's key and wraps it for one reader.

use crate::attempts::{Refusal, Target};
use crate::audit::AuditEvent;
use crate::collections::newest_secret;
use crate::grants::Permission;
use crate::ledger::Ledger;
use crate::secrets::SecretError;
use crate::slots::{SlotPlace, SlotSource, slot_in};
use crate::suspension::Suspension;
use crate::upload::Delivery;
use medledger_core::access_key::AccessKey;
use medledger_core::clock::Timestamp;
use medledger_core::dek::Dek;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId, RecordId, ReportId};
use medledger_core::key_slot::KeyOwner;
use medledger_core::keys::HpkeSecretKey;
use medledger_core::registry::VoidCode;
use medledger_core::slot::{SlotError, SlotRole};
use medledger_core::state::{ReportEntry, State};
use medledger_core::store::StoreError;

/// What unwraps a report's key.
#[derive(Debug)]
#[non_exhaustive]
pub enum Key<'a> {
    /// The access key that came by mail or was picked up.
    Access(&'a AccessKey),
    /// The identity itself: the patient's collection key, or a slot made for the reader's identity.
    Identity,
}

/// How the reader will unwrap theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReaderKey {
    /// A fresh access key of the reader's own, by mail or pick-up.
    #[default]
    Access,
    /// The reader's identity; nothing needs to be delivered.
    Identity,
}

/// A grant that was accepted.
#[derive(Debug)]
pub struct Approved {
    /// The grant; revoking names it.
    pub grant: GrantId,
    /// The record on the ledger.
    pub record: RecordId,
    /// What was permitted.
    pub permission: Permission,
    /// How the reader gets their key.
    pub delivery: Delivery,
}

/// Why access was not granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApproveError {
    /// There is no such request or report for this patient, or the key is not the one for it. Nobody is told
    /// which.
    #[error(
        "no access: there is no such request or report of yours, or the key is not the one for it"
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
    /// The key does not unwrap this report's key; told as [`NoAccess`](Self::NoAccess).
    #[doc(hidden)]
    #[error("wrong key")]
    WrongKey,
    /// There is no slot to unwrap: the key was never stored here, or the report was erased.
    #[error("no key for this report is kept here")]
    NoSlot,
    /// The grant is for the reader's identity: there is no key that could be renewed.
    #[error("this permission is for the reader's identity: there is no key to renew")]
    NoKey,
    /// The chain would refuse it: the reader is not known, for example, or the time has passed.
    #[error("{0} (code {code})", code = .0.code())]
    Refused(VoidCode),
    /// A collection cannot be shared with an access key, which opens one report only.
    #[error("an access key opens one report: share a collection with the identity")]
    NeedsIdentity,
    /// The reports lie with several hospitals, and a grant names one.
    #[error("the reports are kept by several hospitals: give one permission for each")]
    SeveralHospitals,
    /// A collection lives at its hospital, and so do the keys of those who read it.
    #[error(
        "the collection at hospital {0} is shared and renewed there: its readers have their keys there"
    )]
    OtherHospital(MemberId),
    /// The key could not be wrapped for the reader.
    #[error(transparent)]
    Slot(SlotError),
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ApproveError {
    fn event(&self) -> Option<AuditEvent> {
        match self {
            Self::WrongKey => Some(AuditEvent::WrongKey),
            Self::Refused(
                VoidCode::UnknownRequest | VoidCode::UnknownReport | VoidCode::UnknownGrant,
            ) => Some(AuditEvent::NoPermission),
            _ => None,
        }
    }

    fn told(self) -> Self {
        if self.event().is_some() { Self::NoAccess } else { self }
    }

    fn too_many(until: Timestamp) -> Self {
        Self::TooMany { until }
    }

    fn suspended(since: Suspension) -> Self {
        Self::Suspended(since)
    }
}

impl Ledger {
    /// Approves a request as it was asked: same report, reader, purpose and time. The reader gets a
    /// key of their own.
    ///
    /// # Errors
    /// See [`ApproveError`].
    pub fn approve(
        &self,
        patient: &Identity,
        request: &RecordId,
        key: &Key<'_>,
    ) -> Result<Approved, ApproveError> {
        self.approve_with(patient, request, key, ReaderKey::default(), None)
    }

    /// As [`Ledger::approve`], choosing how the reader unwraps the key and until when they may.
    ///
    /// # Errors
    /// See [`ApproveError`].
    pub fn approve_with(
        &self,
        patient: &Identity,
        request: &RecordId,
        key: &Key<'_>,
        reader_key: ReaderKey,
        until: Option<Timestamp>,
    ) -> Result<Approved, ApproveError> {
        self.limited(patient, Target::Request(*request), key, || {
            self.approve_request(patient, request, key, reader_key, until)
        })
    }

    fn approve_request(
        &self,
        patient: &Identity,
        request: &RecordId,
        key: &Key<'_>,
        reader_key: ReaderKey,
        until: Option<Timestamp>,
    ) -> Result<Approved, ApproveError> {
        // Somebody else's request and one that does not exist look the same.
        let unknown = || ApproveError::Refused(VoidCode::UnknownRequest);
        let entry = self.request_entry(request)?.ok_or_else(unknown)?;
        let report = self.report_entry(&entry.report)?.ok_or_else(unknown)?;
        if report.patient != patient.id() {
            return Err(unknown());
        }
        let until = until.unwrap_or(entry.until);
        let permission = Permission::new(entry.report, entry.reader, entry.purpose, until);
        self.give(patient, permission, key, reader_key, Some(*request), None)
    }

    /// Permits a reader unasked: a report, several, or the whole collection at a hospital; for a member or
    /// for a group.
    ///
    /// An access key of the patient's opens one report; all else takes the identity. Members of a group open
    /// with their identities, whatever `reader_key` says.
    ///
    /// # Errors
    /// See [`ApproveError`].
    pub fn share(
        &self,
        patient: &Identity,
        permission: Permission,
        key: &Key<'_>,
        reader_key: ReaderKey,
    ) -> Result<Approved, ApproveError> {
        let target = Target::of(&permission.scope);
        self.limited(patient, target, key, || {
            self.give(patient, permission, key, reader_key, None, None)
        })
    }

    /// Unwraps a report's key for its patient.
    pub(crate) fn patient_dek(
        &self,
        patient: &Identity,
        report: &ReportId,
        entry: &ReportEntry,
        key: &Key<'_>,
    ) -> Result<Dek, ApproveError> {
        let view = self.view()?;
        self.patient_dek_in(&self.stored_slots(view.as_ref()), patient, report, entry, key)
    }

    /// The same, from slots wherever they lie.
    pub(crate) fn patient_dek_in(
        &self,
        slots: &dyn SlotSource,
        patient: &Identity,
        report: &ReportId,
        entry: &ReportEntry,
        key: &Key<'_>,
    ) -> Result<Dek, ApproveError> {
        let role = match key {
            Key::Access(_) => SlotRole::Patient,
            Key::Identity => SlotRole::Collection,
        };
        let place = SlotPlace::current(*report, entry, role, None, patient.id());
        let slot = slot_in(slots, &place)?.ok_or(ApproveError::NoSlot)?;
        let context = self.slot_context(&place, entry.envelope);
        crate::effort::unwrap();
        Ok(match key {
            Key::Access(key) => slot.unwrap_with_access_key(key, &context)?,
            Key::Identity => {
                let secret =
                    self.patient_secret_in(slots, patient, &entry.hospital, entry.collection)?;
                let opened = slot.unwrap_with(&secret, &context);
                if opened.is_ok() || patient.former_hpke_keys().is_empty() {
                    return Ok(opened?);
                }
                // Where the way back is not kept here, a former key may be that of the epoch.
                let mut keys = patient.collection_keys(entry.hospital, entry.collection);
                let former = keys.find_map(|key| slot.unwrap_with(key.secret_key(), &context).ok());
                former.map_or(opened, Ok)?
            }
        })
    }

    /// A patient's collection key of one epoch. That of the present one is derived; from there the way leads
    /// back, whatever became of the identity since.
    pub(crate) fn patient_secret_in(
        &self,
        slots: &dyn SlotSource,
        patient: &Identity,
        hospital: &MemberId,
        epoch: u32,
    ) -> Result<HpkeSecretKey, ApproveError> {
        let view = self.view()?;
        let mut enrolment = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            enrolment = State::new(state).enrolment(&patient.id(), hospital)?;
            Ok(())
        })?;
        let derived = |epoch| patient.collection_key(hospital, epoch).into_secret_key();
        let Some(newest) = enrolment else { return Ok(derived(epoch)) };
        let secret = newest_secret(patient, hospital, newest.epoch, &newest.key)?;
        if newest.epoch <= epoch {
            return Ok(secret);
        }
        let owner = KeyOwner::Collection { patient: patient.id(), hospital: *hospital };
        let older = self.older_secret(slots, owner, secret, newest.epoch, epoch)?;
        // Where no way leads back from there, the identity is what it was.
        Ok(older.unwrap_or_else(|| derived(epoch)))
    }
}

impl From<SlotError> for ApproveError {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::WrongKeyOrMoved => Self::WrongKey,
            other => Self::Slot(other),
        }
    }
}

impl From<SecretError> for ApproveError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Slot(error) => error.into(),
            SecretError::Store(error) => error.into(),
        }
    }
}
