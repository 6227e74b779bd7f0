//! A lost key is never sent again: its owner gets a new one, and the old one opens nothing any more.

use crate::approve::{ApproveError, Approved, Key, ReaderKey};
use crate::attempts::Target;
use crate::audit::{AuditEvent, Noted};
use crate::delivery::{Parcel, Sent, Why};
use crate::grants::{Permission, TypedKey, Wrapped};
use crate::ledger::Ledger;
use crate::slots::SlotPlace;
use crate::upload::Delivery;
use medledger_core::access_key::AccessKey;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, ReportId};
use medledger_core::record::{Grantee, Scope};
use medledger_core::registry::VoidCode;
use medledger_core::slot::SlotRole;
use medledger_core::store::StoreError;

/// A patient's new key to their own report.
#[derive(Debug)]
pub struct Renewed {
    /// The report.
    pub report: ReportId,
    /// How the patient gets the key.
    pub delivery: Delivery,
}

impl Ledger {
    /// Makes a new access key for a patient's own report, in place of one that was lost: `key` is the identity
    /// (the report is in the patient's collection) or the old access key. From then on the old one opens
    /// nothing, wherever the letter with it is.
    ///
    /// # Errors
    /// See [`ApproveError`].
    pub fn renew_key(
        &self,
        patient: &Identity,
        report: &ReportId,
        key: &Key<'_>,
    ) -> Result<Renewed, ApproveError> {
        self.limited(patient, Target::Report(*report), key, || {
            self.renew_once(patient, report, key)
        })
    }

    fn renew_once(
        &self,
        patient: &Identity,
        report: &ReportId,
        key: &Key<'_>,
    ) -> Result<Renewed, ApproveError> {
        self.acting(patient)?.map_err(ApproveError::Refused)?;
        let unknown = ApproveError::Refused(VoidCode::UnknownReport);
        let owner = patient.id();
        let entry =
            self.report_entry(report)?.filter(|entry| entry.patient == owner).ok_or(unknown)?;
        let dek = self.patient_dek(patient, report, &entry, key)?;
        if self.is_follower() {
            return Err(StoreError::Follower.into());
        }
        let access_key = AccessKey::generate(&mut self.rng());
        let place = SlotPlace::current(*report, &entry, SlotRole::Patient, None, owner);
        let mut wrapped = Wrapped::default();
        let own = patient.public().hpke_key();
        let key = Some(TypedKey { key: &access_key, patient: &own });
        // The copy for the next rotation goes with it.
        self.wrap_report(&mut wrapped, place, &entry, &dek, &own, key);
        let mut unit = self.store().unit()?;
        wrapped.put(self, unit.as_mut())?;
        let noted = Noted::of(&owner, Target::Report(*report));
        self.audit(unit.as_mut(), AuditEvent::KeyRenewed, &noted)?;
        let scope = Scope::Report(*report);
        let parcel = Parcel {
            owner: &owner,
            scope: &scope,
            grant: None,
            key: &access_key,
            why: Why::Renewed,
        };
        let sent = self.deliver(unit.as_mut(), &parcel)?;
        unit.commit()?;
        Ok(Renewed { report: *report, delivery: self.delivered(sent, access_key) })
    }

    /// Gives the reader of a grant a new key in place of one that was lost: the grant is taken back and given
    /// anew, for the same reader, purpose and time, in one unit of work. `key` is what opens the report for the
    /// patient.
    ///
    /// # Errors
    /// See [`ApproveError`]; `Refused` with `Expired` or `Revoked` for a grant that is dead already.
    pub fn renew_grant_key(
        &self,
        patient: &Identity,
        grant: &GrantId,
        key: &Key<'_>,
    ) -> Result<Approved, ApproveError> {
        self.limited(patient, Target::Grant(*grant), key, || {
            let unknown = ApproveError::Refused(VoidCode::UnknownReport);
            let entry = self
                .grant_entry(grant)?
                .filter(|entry| entry.patient == patient.id())
                .ok_or(unknown)?;
            if entry.token.is_none() {
                return Err(ApproveError::NoKey);
            }
            // Others have no key of their own; and what was passed on is for who passed it on to renew.
            let (Grantee::Member(reader), None) = (entry.reader, entry.parent) else {
                return Err(ApproveError::NoKey);
            };
            let permission = Permission::new(entry.scope, reader, entry.purpose, entry.until)
                .delegable(entry.delegate);
            self.give(patient, permission, key, ReaderKey::Access, None, Some(*grant))
        })
    }

    /// What the caller learns of a key that was sent on its way in a unit that is committed.
    pub(crate) fn delivered(&self, sent: Sent, key: AccessKey) -> Delivery {
        match sent {
            Sent::Letter(letter) if self.try_mail_of(Some(&letter)) => Delivery::Mailed,
            Sent::Letter(_) => Delivery::Queued,
            Sent::Waits => {
                self.try_mail();
                Delivery::Waits
            }
            Sent::Caller => {
                self.try_mail();
                Delivery::PickUp(key)
            }
        }
    }
}
