//! Revoke: the patient takes a grant back; the reader's slot is destroyed with it.

use crate::approve::ApproveError;
use crate::effort::{self, Tried};
use crate::grants::grantee_id;
use crate::ledger::Ledger;
use crate::mail::texts;
use crate::secrets::KeyPlace;
use crate::slots::SlotPlace;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId, RecordId};
use medledger_core::key_slot::{KeyOwner, KeySlotRole};
use medledger_core::record::{Grantee, Revoke, Scope};
use medledger_core::slot::SlotRole;
use medledger_core::state::{GrantEntry, State};
use medledger_core::store::{StoreError, Unit};

/// Why a grant was not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// The collection's next key could not be made for those who remain.
    #[error("the collection cannot move to its next key: {0}")]
    Collection(#[source] Box<ApproveError>),
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ApproveError> for RevokeError {
    fn from(error: ApproveError) -> Self {
        match error {
            ApproveError::Submit(error) => Self::Submit(error),
            ApproveError::Store(error) => Self::Store(error),
            other => Self::Collection(Box::new(other)),
        }
    }
}

impl Ledger {
    /// Takes a grant back, also one this node has not seen yet, and all that was passed on from it. From the
    /// moment this returns nothing new opens under it here; what the reader already read cannot be recalled.
    ///
    /// A patient takes back any grant on their reports, a reader what they passed on. With a grant on a
    /// collection goes its key: the collection moves to the next epoch, whose key those who remain are given. One at
    /// another hospital stays, for the keys of those who remain are there: the patient
    /// [renews](Self::renew_collection) it there.
    ///
    /// Somebody else's grant and one that does not exist are answered alike, at the same cost: the revocation is
    /// recorded, and has no effect on what is not the author's, whichever of the two comes first.
    ///
    /// # Errors
    /// See [`RevokeError`]; `Submit` when the author revoked it already.
    pub fn revoke(&self, author: &Identity, grant: &GrantId) -> Result<RecordId, RevokeError> {
        let before = effort::spent();
        let own = self.revocable_grant(&author.id(), grant)?.is_some();
        let result = self.revoke_once(author, grant, own);
        if !own || result.is_err() {
            self.top_up(before, Tried::Nothing)?;
        }
        result
    }

    /// A grant that this member may take back, if it is known here: theirs as its patient, or passed on by them.
    /// Accepted ones are known, and those that were revoked.
    ///
    /// # Errors
    /// When the store fails.
    pub fn revocable_grant(
        &self,
        author: &MemberId,
        grant: &GrantId,
    ) -> Result<Option<GrantEntry>, StoreError> {
        let view = self.view()?;
        let mut found = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            if let Some(entry) = state.grant(grant)?
                && state.is_revocable_by(&entry, author)?
            {
                found = Some(entry);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn revoke_once(
        &self,
        author: &Identity,
        grant: &GrantId,
        own: bool,
    ) -> Result<RecordId, RevokeError> {
        // Nothing is looked for, and nothing destroyed, under what is somebody else's.
        let gone = if own { self.grant_and_descendants(grant)? } else { Vec::new() };
        let record = self.sign(author, Revoke { grant: *grant });
        let id = record.id();
        let mut records = vec![record];
        // Who had a collection knows its key: what comes is wrapped to another.
        let next = match gone.first() {
            Some((_, entry)) if entry.patient == author.id() => match entry.scope {
                Scope::Collection(hospital) if hospital == self.hospital() => {
                    let without: Vec<GrantId> = gone.iter().map(|(id, _)| *id).collect();
                    Some(self.next_collection(author, &hospital, &without)?)
                }
                _ => None,
            },
            _ => None,
        };
        records.extend(next.iter().map(|next| next.record.clone()));
        self.accept(&records, |unit| -> Result<(), RevokeError> {
            for (grant, entry) in &gone {
                self.remove_grant_slots(unit, grant, entry)?;
            }
            next.iter().try_for_each(|next| next.put(self, unit))?;
            let Some((_, entry)) = gone.first() else { return Ok(()) };
            let Grantee::Member(reader) = entry.reader else { return Ok(()) };
            let contact = self.contact(unit, &reader)?;
            if let Some(address) = contact.email.as_deref().filter(|_| self.sends_mail()) {
                let (_, label) = self.describe_scope(unit, &entry.scope)?;
                self.enqueue(unit, &texts::access_revoked(&contact, address, &label))?;
            }
            Ok(())
        })?;
        self.try_mail();
        Ok(id)
    }

    pub(crate) fn grant_entry(&self, grant: &GrantId) -> Result<Option<GrantEntry>, StoreError> {
        let view = self.view()?;
        let mut entry = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            entry = State::new(state).grant(grant)?;
            Ok(())
        })?;
        Ok(entry)
    }

    /// A grant and what was passed on from it, nearest first.
    pub(crate) fn grant_and_descendants(
        &self,
        grant: &GrantId,
    ) -> Result<Vec<(GrantId, GrantEntry)>, StoreError> {
        let view = self.view()?;
        let mut gone: Vec<(GrantId, GrantEntry)> = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            let Some(entry) = state.grant(grant)? else { return Ok(()) };
            let passed_on = entry.delegate > 0;
            let patient = entry.patient;
            gone.push((*grant, entry));
            if !passed_on {
                return Ok(());
            }
            let mut others = state.grants_by(&patient)?;
            others.retain(|(_, entry)| entry.parent.is_some());
            let mut at = 0;
            while let Some((parent, _)) = gone.get(at).cloned() {
                gone.extend(others.iter().filter(|(_, e)| e.parent == Some(parent)).cloned());
                at += 1;
            }
            Ok(())
        })?;
        Ok(gone)
    }

    /// Destroys what a reader opens under a grant with, and their key if that waits to be picked up.
    pub(crate) fn remove_grant_slots(
        &self,
        unit: &mut dyn Unit,
        grant: &GrantId,
        entry: &GrantEntry,
    ) -> Result<(), StoreError> {
        let reader = grantee_id(&entry.reader);
        // Versions and epochs never shrink: every slot made under this grant is found.
        for report in entry.scope.reports() {
            let Some(current) = self.report_entry(report)? else { continue };
            for version in 1..=current.version {
                for epoch in 1..=current.epoch.saturating_add(1) {
                    for role in [SlotRole::Grant, SlotRole::AccessKey] {
                        let (report, grant) = (*report, Some(*grant));
                        let place = SlotPlace { report, version, epoch, role, grant, reader };
                        self.remove_slot(unit, &place)?;
                    }
                }
            }
        }
        if let Scope::Collection(hospital) = entry.scope {
            let owner = KeyOwner::Collection { patient: entry.patient, hospital };
            let newest = self.enrolment(&entry.patient, &hospital)?.map_or(0, |(epoch, _)| epoch);
            for epoch in 1..=newest {
                for role in [KeySlotRole::Collection, KeySlotRole::AccessKey] {
                    let (grant, reader) = (Some(*grant), Some(reader));
                    let place = KeyPlace { owner, epoch, role, grant, reader };
                    self.remove_secret(unit, &place)?;
                }
            }
        }
        self.drop_parcel(unit, &reader, &entry.scope, Some(grant))
    }
}
