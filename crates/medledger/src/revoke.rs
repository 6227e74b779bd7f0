//! Revoke: the patient takes a grant back; the reader's slot is destroyed with it.

use crate::ledger::Ledger;
use crate::mail::texts;
use crate::slots::SlotPlace;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, RecordId};
use medledger_core::record::{Grantee, Revoke, Scope};
use medledger_core::slot::SlotRole;
use medledger_core::state::{GrantEntry, State};
use medledger_core::store::{StoreError, Unit};

/// Why a grant was not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// Takes a grant back, also one this node has not seen yet. From the moment this returns nothing
    /// new opens under it here; what the reader already read cannot be recalled.
    ///
    /// # Errors
    /// See [`RevokeError`]; `Submit` when the grant is somebody else's or revoked already.
    pub fn revoke(&self, patient: &Identity, grant: &GrantId) -> Result<RecordId, RevokeError> {
        self.evenly(|| self.revoke_once(patient, grant))
    }

    fn revoke_once(&self, patient: &Identity, grant: &GrantId) -> Result<RecordId, RevokeError> {
        let entry = self.grant_entry(grant)?;
        let record = self.sign(patient, Revoke { grant: *grant });
        let id = record.id();
        self.accept(&[record], |unit| -> Result<(), RevokeError> {
            let Some(entry) = &entry else { return Ok(()) };
            let (Scope::Report(report), Grantee::Member(reader)) = (entry.scope, entry.reader)
            else {
                return Ok(());
            };
            self.remove_slots_of(unit, grant, entry)?;
            let contact = self.contact(unit, &reader)?;
            if let Some(address) = contact.email.as_deref().filter(|_| self.sends_mail()) {
                let label = self.label(unit, &report)?;
                self.enqueue(unit, &texts::access_revoked(&contact, address, &label))?;
            }
            Ok(())
        })?;
        self.try_mail();
        Ok(id)
    }

    /// Destroys every slot made under a grant, and its key if that waits to be picked up.
    pub(crate) fn remove_slots_of(
        &self,
        unit: &mut dyn Unit,
        grant: &GrantId,
        entry: &GrantEntry,
    ) -> Result<(), StoreError> {
        let (Scope::Report(report), Grantee::Member(reader)) = (entry.scope, entry.reader) else {
            return Ok(());
        };
        // Versions and epochs never shrink: every slot is found.
        if let Some(current) = self.report_entry(&report)? {
            for version in 1..=current.version {
                for epoch in 1..=current.epoch {
                    let (role, grant) = (SlotRole::Grant, Some(*grant));
                    let place = SlotPlace { report, version, epoch, role, grant, reader };
                    self.remove_slot(unit, &place)?;
                }
            }
        }
        self.drop_parcel(unit, &reader, &report, Some(grant))
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
}
