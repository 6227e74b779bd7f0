//! Collections: a patient's key pair at a hospital, and its next epoch.

use crate::approve::{ApproveError, Key};
use crate::grants::{Recipient, TypedKey, Wrapped};
use crate::ledger::Ledger;
use crate::secrets::{KeyPlace, with_any_key};
use crate::spread::spread;
use medledger_core::identity::{CollectionKey, Identity};
use medledger_core::ids::{GrantId, MemberId, RecordId};
use medledger_core::key_slot::{KeyOwner, KeySlotRole};
use medledger_core::keys::{HpkePublicKey, HpkeSecretKey};
use medledger_core::record::{Enrol, Grantee, Scope, SignedRecord};
use medledger_core::registry::VoidCode;
use medledger_core::state::{GrantEntry, GrantStanding, State};
use medledger_core::store::{StoreError, Unit};

/// The next epoch of a collection, ready to be accepted.
pub(crate) struct NextCollection {
    pub(crate) record: SignedRecord,
    before: (KeyPlace, crate::secrets::Kept),
    wrapped: Wrapped,
    /// Key slots of the epoch that ends, no longer needed by those who have one of the next.
    ended: Vec<KeyPlace>,
}

impl NextCollection {
    pub(crate) fn put(&self, ledger: &Ledger, unit: &mut dyn Unit) -> Result<(), StoreError> {
        ledger.put_secret(unit, &self.before.0, &self.before.1)?;
        self.wrapped.put(ledger, unit)?;
        self.ended.iter().try_for_each(|place| ledger.remove_secret(unit, place))
    }
}

impl Ledger {
    /// Enrols a patient of another hospital at this one: from then on reports about the patient are added here.
    ///
    /// # Errors
    /// See [`ApproveError`]; `Refused` with `AlreadyEnrolled` for one who is enrolled here.
    pub fn enrol(&self, patient: &Identity) -> Result<RecordId, ApproveError> {
        let refused = |code| ApproveError::Refused(code);
        self.acting(patient)?.map_err(refused)?;
        let hospital = self.hospital();
        if self.enrolment(&patient.id(), &hospital)?.is_some() {
            return Err(refused(VoidCode::AlreadyEnrolled));
        }
        let key = patient.collection_key(&hospital, 1).public_key();
        let record = self.sign(patient, Enrol { hospital, epoch: 1, key });
        let id = record.id();
        self.accept(&[record], |_| Ok::<_, ApproveError>(()))?;
        Ok(id)
    }

    /// Moves a patient's collection at a hospital to its next epoch: reports uploaded from then on are wrapped
    /// to another key. All who hold a live grant on the collection are given that key, and reach the reports
    /// of before through it. What this costs depends on how many such grants there are, not on the reports.
    ///
    /// # Errors
    /// See [`ApproveError`]; `Refused` with `StaleGroup` where a group reads it whose key lay with keys that were lost:
    /// its hospital [renews](Self::renew_stale_groups) it first, or the patient takes the grant back. `OtherHospital` for a collection that is not this hospital's: its readers' keys are rows
    /// there, and a next epoch made here would cut them off.
    pub fn renew_collection(
        &self,
        patient: &Identity,
        hospital: &MemberId,
    ) -> Result<RecordId, ApproveError> {
        if *hospital != self.hospital() {
            return Err(ApproveError::OtherHospital(*hospital));
        }
        let readers = self.collection_readers(&patient.id(), hospital)?;
        if readers.iter().any(|(.., recipient)| recipient.stale) {
            return Err(ApproveError::Refused(VoidCode::StaleGroup));
        }
        let next = self.next_collection(patient, hospital, &[])?;
        let id = next.record.id();
        self.accept(std::slice::from_ref(&next.record), |unit| {
            Ok::<_, ApproveError>(next.put(self, unit)?)
        })?;
        Ok(id)
    }

    /// The next epoch of a collection, for all who hold a live grant on it but `without`.
    pub(crate) fn next_collection(
        &self,
        patient: &Identity,
        hospital: &MemberId,
        without: &[GrantId],
    ) -> Result<NextCollection, ApproveError> {
        self.succeeding_collection(patient, patient, hospital, without)
    }

    /// The same where the patient's keys change: from a key of the present identity, or one before it, to one of the
    /// next, which signs.
    pub(crate) fn succeeding_collection(
        &self,
        patient: &Identity,
        next_keys: &Identity,
        hospital: &MemberId,
        without: &[GrantId],
    ) -> Result<NextCollection, ApproveError> {
        let refused = |code| ApproveError::Refused(code);
        let newest = self.enrolment(&patient.id(), hospital)?;
        let (epoch, public) = newest.ok_or_else(|| refused(VoidCode::NotEnrolled))?;
        let secret = newest_secret(patient, hospital, epoch, &public)?;
        let next_epoch = epoch.checked_add(1).ok_or_else(|| refused(VoidCode::AlreadyEnrolled))?;
        let next = next_keys.collection_key(hospital, next_epoch).into_secret_key();
        let owner = KeyOwner::Collection { patient: patient.id(), hospital: *hospital };
        let own = next_keys.public().hpke_key();
        let mut wrapped = Wrapped::default();
        let mut ended = Vec::new();
        let mut readers = self.collection_readers(&patient.id(), hospital)?;
        // What comes is not for a group whose key lay with keys that were lost. It reads what it had, and the rest once
        // its hospital has renewed it and the patient the collection.
        readers.retain(|(grant, _, recipient)| {
            if recipient.stale {
                tracing::warn!(%grant, "a group is stale: it has nothing of what comes");
            }
            !without.contains(grant) && !recipient.stale
        });
        let place = |(grant, _, recipient): &(GrantId, GrantEntry, Recipient)| {
            let (role, reader) = (KeySlotRole::AccessKey, Some(recipient.id()));
            KeyPlace { owner, epoch, role, grant: Some(*grant), reader }
        };
        let view = self.view()?;
        let slots = self.stored_slots(view.as_ref());
        let mut kept = Vec::with_capacity(readers.len());
        for reader in readers {
            // Only who has a token has an access key.
            let key = match reader.1.token {
                Some(_) => self.secret(&slots, &place(&reader))?,
                None => None,
            };
            kept.push((reader, key));
        }
        drop(view);
        let each = spread(self.workers(), &kept, |((grant, entry, recipient), kept)| {
            // Anybody can wrap a key to a public one: it must be the one the ledger knows.
            let key = kept
                .as_ref()
                .and_then(|kept| with_any_key(patient, |own| kept.unwrap_access_key(own)).ok())
                .filter(|key| self.key_fits(grant, entry, &Key::Access(key)));
            if entry.token.is_some() && key.is_none() {
                tracing::warn!(%grant, "a reader's key is not kept here: they have nothing of what comes");
                return None;
            }
            let key = key.as_ref().map(|key| TypedKey { key, patient: &own });
            let mut one = Wrapped::default();
            self.wrap_collection(&mut one, owner, next_epoch, grant, &next, recipient, key);
            Some(one)
        });
        for ((reader, _), one) in kept.iter().zip(each) {
            let Some(one) = one else { continue };
            wrapped.append(one);
            for role in [KeySlotRole::Collection, KeySlotRole::AccessKey] {
                ended.push(KeyPlace { role, ..place(reader) });
            }
        }
        let place = KeyPlace::before(owner, next_epoch);
        let before = (place, self.wrap_secret(&place, &secret, &next.public_key()));
        let body = Enrol { hospital: *hospital, epoch: next_epoch, key: next.public_key() };
        Ok(NextCollection { record: self.sign(next_keys, body), before, wrapped, ended })
    }

    /// A patient's newest collection key at a hospital and its epoch, accepted ones included.
    pub(crate) fn enrolment(
        &self,
        patient: &MemberId,
        hospital: &MemberId,
    ) -> Result<Option<(u32, HpkePublicKey)>, StoreError> {
        let view = self.view()?;
        let mut found = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            found = State::new(state).enrolment(patient, hospital)?;
            Ok(())
        })?;
        Ok(found.map(|enrolment| (enrolment.epoch, enrolment.key)))
    }

    /// The live grants on a collection, and for whom each is.
    fn collection_readers(
        &self,
        patient: &MemberId,
        hospital: &MemberId,
    ) -> Result<Vec<(GrantId, GrantEntry, Recipient)>, StoreError> {
        let fits = |entry: &GrantEntry| entry.scope == Scope::Collection(*hospital);
        self.live_grants(patient, fits)
    }

    /// A patient's live grants of some kind, each with the present key of whom it is for. Readers whose keys are suspended
    /// are left out: whoever has those keys is given nothing more.
    pub(crate) fn live_grants(
        &self,
        patient: &MemberId,
        fits: impl Fn(&GrantEntry) -> bool,
    ) -> Result<Vec<(GrantId, GrantEntry, Recipient)>, StoreError> {
        let view = self.view()?;
        let now = self.now();
        let mut found = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for (id, entry) in state.grants_by(patient)? {
                if !fits(&entry) || state.standing(&entry, now)? != GrantStanding::Live {
                    continue;
                }
                let recipient = match &entry.reader {
                    Grantee::Member(reader) => state
                        .member(reader)?
                        .filter(|member| member.suspended.is_none())
                        .map(|member| Recipient {
                            grantee: entry.reader,
                            key: member.identity.hpke_key(),
                            stale: false,
                        }),
                    // By the group's present key, not that of when it was granted: some may have left.
                    Grantee::Group(at) => match state.group(&at.group)? {
                        Some(group) => {
                            let stale = state.is_stale(&at.group, &group)?;
                            Some(Recipient { grantee: entry.reader, key: group.key, stale })
                        }
                        None => None,
                    },
                };
                found.extend(recipient.map(|recipient| (id, entry, recipient)));
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// The secret half of a patient's newest collection key: of the present identity or, where its keys changed without the
/// collection's, of one before.
pub(crate) fn newest_secret(
    patient: &Identity,
    hospital: &MemberId,
    epoch: u32,
    public: &HpkePublicKey,
) -> Result<HpkeSecretKey, ApproveError> {
    let keys = patient.collection_keys(*hospital, epoch);
    keys.map(CollectionKey::into_secret_key)
        .find(|key| key.public_key() == *public)
        .ok_or(ApproveError::WrongKey)
}
