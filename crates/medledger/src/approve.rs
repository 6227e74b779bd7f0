//! Approve and share: the patient unwraps the report's key and wraps it for one reader.

use crate::attempts::{Refusal, Target};
use crate::audit::{AuditEvent, Noted};
use crate::delivery::{Parcel, Sent};
use crate::ledger::Ledger;
use crate::mail::texts;
use crate::slots::SlotPlace;
use crate::upload::Delivery;
use medledger_core::access_key::AccessKey;
use medledger_core::clock::Timestamp;
use medledger_core::dek::Dek;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId, RecordId, RecordNonce, ReportId};
use medledger_core::record::{Grant, Grantee, Revoke, Scope};
use medledger_core::registry::{Purpose, VoidCode};
use medledger_core::slot::{Slot, SlotError, SlotRole};
use medledger_core::state::{ReportEntry, State};
use medledger_core::store::StoreError;
use medledger_core::token::Token;

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

/// What a patient permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The report.
    pub report: ReportId,
    /// Who may read it.
    pub reader: MemberId,
    /// What for.
    pub purpose: Purpose,
    /// Until when.
    pub until: Timestamp,
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
            Self::Refused(VoidCode::UnknownRequest | VoidCode::UnknownReport) => {
                Some(AuditEvent::NoPermission)
            }
            _ => None,
        }
    }

    fn told(self) -> Self {
        if self.event().is_some() { Self::NoAccess } else { self }
    }

    fn too_many(until: Timestamp) -> Self {
        Self::TooMany { until }
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
        let permission = Permission {
            report: entry.report,
            reader: entry.reader,
            purpose: entry.purpose,
            until: until.unwrap_or(entry.until),
        };
        self.grant(patient, permission, key, reader_key, Some(*request), None)
    }

    /// Permits a reader unasked.
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
        self.limited(patient, Target::Report(permission.report), key, || {
            self.grant(patient, permission, key, reader_key, None, None)
        })
    }

    /// Gives a grant, `instead` of one that is taken back with it.
    pub(crate) fn grant(
        &self,
        patient: &Identity,
        permission: Permission,
        key: &Key<'_>,
        reader_key: ReaderKey,
        request: Option<RecordId>,
        instead: Option<GrantId>,
    ) -> Result<Approved, ApproveError> {
        let Permission { report, reader, purpose, until } = permission;
        // The chain judges by its own time, which lies behind.
        if until <= self.now() {
            return Err(ApproveError::Refused(VoidCode::Expired));
        }
        let (entry, reader_identity) = self.grant_parties(patient, &report, &reader)?;
        let dek = self.patient_dek(patient, &report, &entry, key)?;
        let mut rng = self.rng();
        let nonce = RecordNonce::random(&mut rng);
        let grant = GrantId::derive(&patient.id(), &nonce);
        let place = SlotPlace::current(report, &entry, SlotRole::Grant, Some(grant), reader);
        let context = self.slot_context(&place, entry.envelope);
        let (access_key, token, slot) = match reader_key {
            ReaderKey::Access => {
                let access_key = AccessKey::generate(&mut rng);
                let token = Token::derive(&access_key, &grant).hash(&self.chain(), &grant);
                let slot = Slot::wrap_with_access_key(&dek, &access_key, &context);
                (Some(access_key), Some(token), slot)
            }
            ReaderKey::Identity => {
                let slot = Slot::wrap_to(&dek, &reader_identity, &context, &mut rng);
                (None, None, slot)
            }
        };
        let body = Grant {
            scope: Scope::Report(report),
            reader: Grantee::Member(reader),
            purpose,
            until,
            custodian: entry.hospital,
            token,
            request,
        };
        let record = self.sign_with_nonce(patient, nonce, body);
        let id = record.id();
        let mut records = Vec::new();
        let old = match &instead {
            None => None,
            Some(old) => {
                records.push(self.sign(patient, Revoke { grant: *old }));
                self.grant_entry(old)?.map(|entry| (old, entry))
            }
        };
        records.push(record);
        let sent = self.accept(&records, |unit| -> Result<Option<Sent>, ApproveError> {
            if let Some((old, entry)) = &old {
                self.remove_slots_of(unit, old, entry)?;
                let noted = Noted::of(&patient.id(), Target::Grant(**old));
                self.audit(unit, AuditEvent::KeyRenewed, &noted)?;
            }
            self.put_slot(unit, &place, &slot)?;
            if let Some(key) = &access_key {
                let grant = Some((&grant, until));
                let parcel = Parcel { owner: &reader, report: &report, grant, key };
                return Ok(Some(self.deliver(unit, &parcel)?));
            }
            // To a reader with an identity the letter is a notice: nothing has to be delivered.
            let contact = self.contact(unit, &reader)?;
            if let Some(address) = contact.email.as_deref().filter(|_| self.sends_mail()) {
                let label = self.label(unit, &report)?;
                let text = texts::access_granted(&contact, address, &report, &label, until, None);
                self.enqueue(unit, &text)?;
            }
            Ok(None)
        })?;
        let delivery = match (sent, access_key) {
            (Some(sent), Some(key)) => self.delivered(sent, key),
            _ => {
                self.try_mail();
                Delivery::None
            }
        };
        Ok(Approved { grant, record: id, permission, delivery })
    }

    /// The patient's report and the reader's public key, judged as the chain will.
    fn grant_parties(
        &self,
        patient: &Identity,
        report: &ReportId,
        reader: &MemberId,
    ) -> Result<(ReportEntry, medledger_core::keys::HpkePublicKey), ApproveError> {
        self.authenticate(patient)?.ok_or(ApproveError::Refused(VoidCode::UnknownAuthor))?;
        let view = self.view()?;
        let mut found = Err(VoidCode::UnknownReport);
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            let Some(entry) = state.report(report)? else { return Ok(()) };
            if entry.patient != patient.id() {
                return Ok(());
            }
            found = match state.member(reader)? {
                None => Err(VoidCode::UnknownMember),
                Some(member) if !member.role.reads() => Err(VoidCode::WrongRole),
                Some(member) => Ok((entry, member.identity.hpke_key())),
            };
            Ok(())
        })?;
        found.map_err(ApproveError::Refused)
    }

    /// Unwraps a report's key for its patient.
    pub(crate) fn patient_dek(
        &self,
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
        let slot = self.slot(self.view()?.as_ref(), &place)?.ok_or(ApproveError::NoSlot)?;
        let context = self.slot_context(&place, entry.envelope);
        crate::effort::unwrap();
        match key {
            Key::Access(key) => slot.unwrap_with_access_key(key, &context),
            Key::Identity => {
                // Every slot in this place was wrapped to the collection key of epoch 1.
                let collection = patient.collection_key(&entry.hospital, 1);
                slot.unwrap_with(collection.secret_key(), &context)
            }
        }
        .map_err(|error| match error {
            SlotError::WrongKeyOrMoved => ApproveError::WrongKey,
            other => ApproveError::Slot(other),
        })
    }
}
