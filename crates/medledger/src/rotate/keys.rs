//! The next key of a report, wrapped for the patient, for the readers who remain and for the hospital that confirms.

use super::RotateError;
use super::group::Subject;
use crate::approve::Key;
use crate::grants::{Recipient, TypedKey, Wrapped};
use crate::ledger::Ledger;
use crate::secrets::with_any_key;
use crate::slots::SlotPlace;
use medledger_core::access_key::AccessKey;
use medledger_core::dek::Dek;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, ReportId};
use medledger_core::record::{Grantee, Rotate, Scope, SignedRecord};
use medledger_core::registry::VoidCode;
use medledger_core::slot::{Slot, SlotError, SlotRole};
use medledger_core::state::{GrantEntry, ReportEntry, State};
use medledger_core::store::{StoreError, Unit};

/// A grant that is live, and for whom it is.
pub(super) type Live = (GrantId, GrantEntry, Recipient);

/// Refuses a report that a stale group reads: nothing is wrapped to a group's key that lay with lost ones.
pub(super) fn no_stale_group(
    grants: &[Live],
    report: &ReportId,
    entry: &ReportEntry,
) -> Result<(), RotateError> {
    let to_stale = |(_, grant, to): &Live| to.stale && grant.covers(report, entry);
    if grants.iter().any(to_stale) {
        return Err(RotateError::Refused(VoidCode::StaleGroup));
    }
    Ok(())
}

/// A report's next key, wrapped, and the record that asks for it.
pub(super) struct Keyed {
    pub(super) record: SignedRecord,
    wrapped: Wrapped,
    confirm: Vec<(SlotPlace, Slot)>,
    /// The patient's new access key, where the one they have is not known here.
    pub(super) access_key: Option<AccessKey>,
    /// Live grants on the report itself.
    pub(super) readers: usize,
}

impl Keyed {
    pub(super) fn put(&self, ledger: &Ledger, unit: &mut dyn Unit) -> Result<(), StoreError> {
        self.wrapped.put(ledger, unit)?;
        self.confirm.iter().try_for_each(|(place, slot)| ledger.put_slot(unit, place, slot))
    }
}

impl Ledger {
    /// The patient's live grants on reports: those on a collection give no key of a report.
    pub(super) fn grants_on_reports(&self, patient: &Identity) -> Result<Vec<Live>, StoreError> {
        self.live_grants(&patient.id(), |grant| !matches!(grant.scope, Scope::Collection(_)))
    }

    /// Wraps the next key of a report that is stored, and signs.
    pub(super) fn key_anew(
        &self,
        patient: &Identity,
        subject: &Subject<'_>,
        grants: &[Live],
        key: &Key<'_>,
    ) -> Result<Keyed, RotateError> {
        let Subject { report, entry, next, old, dek, .. } = subject;
        no_stale_group(grants, report, entry)?;
        let (wrapped, access_key, readers) = self.wrap_anew(patient, subject, grants, key)?;
        let confirm = self.slots_to_confirm(report, [(entry, old), (next, dek)])?;
        let statement = Rotate {
            report: *report,
            version: entry.version,
            epoch: next.epoch,
            envelope: next.envelope,
            collection: next.collection,
        };
        Ok(Keyed { record: self.sign(patient, statement), wrapped, confirm, access_key, readers })
    }

    /// The new key for the patient, in both ways, and for each live grant on the report itself.
    fn wrap_anew(
        &self,
        patient: &Identity,
        subject: &Subject<'_>,
        grants: &[Live],
        key: &Key<'_>,
    ) -> Result<(Wrapped, Option<AccessKey>, usize), RotateError> {
        let Subject { report, entry, next, old, dek, collection, .. } = subject;
        let mut wrapped = Wrapped::default();
        let own = SlotPlace::current(*report, entry, SlotRole::AccessKey, None, patient.id());
        let known = match key {
            Key::Access(key) => Some(AccessKey::from_bytes(*key.expose())),
            Key::Identity => self
                .kept_access_key(patient, entry, &own)?
                .filter(|key| self.opens_the_present(patient, report, entry, key, old)),
        };
        let fresh = known.is_none().then(|| AccessKey::generate(&mut self.rng()));
        let place = |role, grant, reader| SlotPlace::current(*report, next, role, grant, reader);
        let by_key = place(SlotRole::Patient, None, patient.id());
        let own = patient.public().hpke_key();
        let own_key = known.as_ref().or(fresh.as_ref()).map(|key| TypedKey { key, patient: &own });
        self.wrap_report(&mut wrapped, by_key, next, dek, collection, own_key);
        let by_collection = place(SlotRole::Collection, None, patient.id());
        self.wrap_report(&mut wrapped, by_collection, next, dek, collection, None);

        let mut readers = 0;
        for (id, grant, recipient) in
            grants.iter().filter(|(_, grant, _)| grant.covers(report, entry))
        {
            readers += 1;
            let reader = recipient.id();
            let kept = SlotPlace::current(*report, entry, SlotRole::AccessKey, Some(*id), reader);
            let access_key = match (&grant.reader, &grant.token) {
                // Anybody can wrap a key to a public one: it must be the one the ledger knows.
                (Grantee::Member(_), Some(_)) => self
                    .kept_access_key(patient, entry, &kept)?
                    .filter(|key| self.key_fits(id, grant, &Key::Access(key))),
                _ => None,
            };
            // A reader with an access key that is not known here cannot be given another: they ask again.
            if grant.token.is_some() && access_key.is_none() {
                tracing::warn!(grant = %id, "a reader's key is not kept here: they lose access");
                continue;
            }
            let place = place(SlotRole::Grant, Some(*id), reader);
            let key = access_key.as_ref().map(|key| TypedKey { key, patient: &own });
            self.wrap_report(&mut wrapped, place, next, dek, &recipient.key, key);
        }
        Ok((wrapped, fresh, readers))
    }

    /// Whether the key that was kept for the patient is the one of the present letter: no token on the ledger
    /// tells, but who does not know the report's key cannot make a slot of it.
    fn opens_the_present(
        &self,
        patient: &Identity,
        report: &ReportId,
        entry: &ReportEntry,
        key: &AccessKey,
        old: &Dek,
    ) -> bool {
        let opened = self.patient_dek(patient, report, entry, &Key::Access(key));
        let fits = opened.is_ok_and(|dek| dek == *old);
        if !fits {
            tracing::warn!(%report, "the patient's key that is kept here is not that of the letter");
        }
        fits
    }

    /// An access key that was wrapped for the patient, if it was.
    fn kept_access_key(
        &self,
        patient: &Identity,
        entry: &ReportEntry,
        place: &SlotPlace,
    ) -> Result<Option<AccessKey>, RotateError> {
        let view = self.view()?;
        let Some(slot) = self.slot(view.as_ref(), place)? else { return Ok(None) };
        let context = self.slot_context(place, entry.envelope);
        match with_any_key(patient, |own| slot.unwrap_access_key(own, &context)) {
            Ok(key) => Ok(Some(key)),
            Err(SlotError::WrongKeyOrMoved | SlotError::OtherSuite { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Both keys for the hospital, to compare what they open.
    fn slots_to_confirm(
        &self,
        report: &ReportId,
        keys: [(&ReportEntry, &Dek); 2],
    ) -> Result<Vec<(SlotPlace, Slot)>, RotateError> {
        let view = self.view()?;
        let mut slots = Vec::new();
        for (entry, dek) in keys {
            let hospital = State::new(view.as_ref()).member(&entry.hospital)?;
            let to = hospital.ok_or(RotateError::Refused(VoidCode::UnknownMember))?;
            let place = SlotPlace::current(*report, entry, SlotRole::Confirm, None, entry.hospital);
            let context = self.slot_context(&place, entry.envelope);
            let to = to.identity.hpke_key();
            slots.push((place, Slot::wrap_to(dek, &to, &context, &mut self.rng())));
        }
        Ok(slots)
    }
}
