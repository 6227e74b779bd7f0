//! Wrapping anew what stood to a member's former keys, and forgetting those.

use crate::grants::grantee_id;
use crate::groups::member_place;
use crate::identity_file;
use crate::ledger::Ledger;
use crate::secrets::{Kept, KeyPlace, with_any_key};
use crate::slots::{SlotPlace, slot_in};
use crate::succeed::SuccessionError;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId};
use medledger_core::key_slot::{KeyOwner, KeySlotRole};
use medledger_core::record::{Grantee, Scope};
use medledger_core::slot::{Slot, SlotRole};
use medledger_core::state::{GrantEntry, MemberEntry, State};
use medledger_core::store::{StoreError, Unit, View};
use std::collections::BTreeSet;

/// What stands to a member's former keys, and would not open without them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StillFormer {
    /// Keys of reports here, and access keys kept for a patient.
    pub reports: u64,
    /// Keys of collections here.
    pub collections: u64,
    /// Keys of groups here.
    pub groups: u64,
    /// Whether the patient's collection here goes on with a key of the former keys, until it is
    /// [renewed](Ledger::renew_collection).
    pub renew: bool,
    /// Hospitals that may keep more, by what the ledger says, and whose rows nobody can see from here.
    pub elsewhere: Vec<MemberId>,
}

impl StillFormer {
    /// Whether something here does.
    #[must_use]
    pub const fn is_here(&self) -> bool {
        self.reports + self.collections + self.groups > 0 || self.renew
    }
}

/// Slots put in one transaction.
const BATCH: usize = 256;

/// Something wrapped to a member, as it is wrapped anew.
enum Anew {
    Slot(SlotPlace, Slot),
    Secret(KeyPlace, Kept),
}

/// Where something may be wrapped to a member.
enum Place {
    Slot(SlotPlace, medledger_core::Cid),
    Secret(KeyPlace),
    /// An access key kept for a patient.
    AccessKey(KeyPlace),
}

impl Ledger {
    /// Wraps to a reader's present key what stands here to a former one: slots of grants and keys of collections and
    /// groups. Gives how many there were; interrupted and run again, it goes on with the rest.
    ///
    /// # Errors
    /// See [`SuccessionError`].
    pub fn rewrap(&self, identity: &Identity) -> Result<u64, SuccessionError> {
        let entry = self.acting(identity)?.map_err(SuccessionError::Refused)?;
        let mut count = 0;
        for places in self.places_of(identity, &entry)?.chunks(BATCH) {
            let view = self.view()?;
            let mut anew = Vec::new();
            for place in places {
                anew.extend(self.anew(view.as_ref(), identity, place)?);
            }
            drop(view);
            if anew.is_empty() {
                continue;
            }
            let mut unit = self.store().unit()?;
            for item in &anew {
                self.put_anew(unit.as_mut(), item)?;
            }
            unit.commit()?;
            count += anew.len() as u64;
        }
        Ok(count)
    }

    /// What a member's former keys are still needed for.
    ///
    /// # Errors
    /// See [`SuccessionError`].
    pub fn still_former(&self, identity: &Identity) -> Result<StillFormer, SuccessionError> {
        let entry = self.acting(identity)?.map_err(SuccessionError::Refused)?;
        let elsewhere = self.keepers_elsewhere(identity, &entry)?;
        let renew = self.collections_to_renew(identity)?.contains(&self.hospital());
        let mut still = StillFormer { elsewhere, renew, ..StillFormer::default() };
        for place in self.places_of(identity, &entry)? {
            match self.anew(self.view()?.as_ref(), identity, &place)? {
                None => {}
                Some(Anew::Slot(..)) => still.reports += 1,
                Some(Anew::Secret(place, _)) => match place.owner {
                    KeyOwner::Group(_) => still.groups += 1,
                    KeyOwner::Collection { .. } => still.collections += 1,
                },
            }
        }
        Ok(still)
    }

    /// Locks an identity into its file without its former keys, once nothing needs them any more: after
    /// [`rewrap`](Self::rewrap), here and wherever else a hospital keeps keys for this member.
    ///
    /// # Errors
    /// See [`SuccessionError`]: `StillFormer` and `NotRenewed` for what is kept here, `Elsewhere` for what other
    /// hospitals may keep.
    pub fn forget_former_keys(
        &self,
        identity: &Identity,
        password: &str,
    ) -> Result<Identity, SuccessionError> {
        self.forget_former_keys_done_at(identity, password, &[])
    }

    /// The same where the member has been at other hospitals, too, and has [wrapped anew](Self::rewrap) all that is kept
    /// there and [renewed](Self::renew_collection) the collection: what is kept there cannot be seen from here.
    ///
    /// # Errors
    /// As before; `Elsewhere` names those that are not in `done_at`.
    pub fn forget_former_keys_done_at(
        &self,
        identity: &Identity,
        password: &str,
        done_at: &[MemberId],
    ) -> Result<Identity, SuccessionError> {
        let still = self.still_former(identity)?;
        let mut hospitals = still.elsewhere.clone();
        hospitals.retain(|hospital| !done_at.contains(hospital));
        // What the ledger itself denies is not done, whoever says so.
        for at in self.collections_to_renew(identity)? {
            if at != self.hospital() && !hospitals.contains(&at) {
                return Err(SuccessionError::NotRenewed(at));
            }
        }
        if !still.is_here() && !hospitals.is_empty() {
            return Err(SuccessionError::Elsewhere { hospitals });
        }
        self.forget_where_nothing_stands(identity, password, &still)
    }

    /// The same whatever other hospitals may keep: what stands to the former keys there does not open any more.
    ///
    /// # Errors
    /// See [`SuccessionError`]; what is kept here must have been wrapped anew all the same.
    pub fn forget_former_keys_anyway(
        &self,
        identity: &Identity,
        password: &str,
    ) -> Result<Identity, SuccessionError> {
        let still = self.still_former(identity)?;
        self.forget_where_nothing_stands(identity, password, &still)
    }

    fn forget_where_nothing_stands(
        &self,
        identity: &Identity,
        password: &str,
        still: &StillFormer,
    ) -> Result<Identity, SuccessionError> {
        let StillFormer { reports, collections, groups, renew, .. } = *still;
        if reports + collections + groups > 0 {
            return Err(SuccessionError::StillFormer { reports, collections, groups });
        }
        if renew {
            return Err(SuccessionError::NotRenewed(self.hospital()));
        }
        let forgotten = identity.without_former_keys();
        identity_file::replace(self.folder(), &forgotten, password, &self.lock_params)?;
        identity_file::forget(self.folder(), &identity.id())?;
        Ok(forgotten)
    }

    /// Hospitals where the newest key of this patient's collection is none of the present keys.
    pub(crate) fn collections_to_renew(
        &self,
        identity: &Identity,
    ) -> Result<Vec<MemberId>, StoreError> {
        let view = self.view()?;
        let mut enrolments = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            enrolments = State::new(state).enrolments_of(&identity.id())?;
            Ok(())
        })?;
        enrolments.retain(|(hospital, enrolment)| {
            identity.collection_key(hospital, enrolment.epoch).public_key() != enrolment.key
        });
        Ok(enrolments.into_iter().map(|(hospital, _)| hospital).collect())
    }

    /// Other hospitals that may keep keys that stand to this member's former ones, by what the ledger says; and
    /// those where the newest key of a collection is one of the former keys.
    pub(crate) fn keepers_elsewhere(
        &self,
        identity: &Identity,
        entry: &MemberEntry,
    ) -> Result<Vec<MemberId>, StoreError> {
        if identity.former_hpke_keys().is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.keepers(&identity.id(), entry)?;
        found.extend(self.collections_to_renew(identity)?);
        found.remove(&self.hospital());
        Ok(found.into_iter().collect())
    }

    /// Other hospitals that keep keys for this member, by what the ledger says. Those made since the keys changed are
    /// among them: a hospital that had not heard of it yet wrapped to the former keys, whichever record came first.
    pub(crate) fn keepers(
        &self,
        member: &MemberId,
        entry: &MemberEntry,
    ) -> Result<BTreeSet<MemberId>, StoreError> {
        let mut found = BTreeSet::new();
        let view = self.view()?;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for report in state.reports_of(member)? {
                found.extend(state.report(&report)?.map(|kept| kept.hospital));
            }
            for (_, grant) in state.grants_of(member, entry)? {
                let named = grant.reader == Grantee::Member(*member);
                found.extend((named && grant.token.is_none()).then_some(grant.custodian));
            }
            for (_, grant) in state.grants_by(member)? {
                found.extend(grant.token.is_some().then_some(grant.custodian));
            }
            for group in state.groups_of(member, entry)? {
                found.extend(state.group(&group)?.map(|group| group.hospital));
            }
            Ok(())
        })?;
        found.remove(&self.hospital());
        Ok(found)
    }

    fn places_of(
        &self,
        identity: &Identity,
        entry: &MemberEntry,
    ) -> Result<Vec<Place>, StoreError> {
        let reader = identity.id();
        let view = self.view()?;
        let mut places = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for (id, grant) in state.grants_of(&reader, entry)? {
                if grant.token.is_none() && grant.reader == Grantee::Member(reader) {
                    let roles = (SlotRole::Grant, KeySlotRole::Collection);
                    places_of_grant(&state, &id, &grant, roles, &mut places)?;
                }
            }
            // A patient's: the access keys that are kept for them alone.
            for report in state.reports_of(&reader)? {
                if let Some(found) = state.report(&report)? {
                    let role = SlotRole::AccessKey;
                    let place = SlotPlace::current(report, &found, role, None, reader);
                    places.push(Place::Slot(place, found.envelope));
                }
            }
            for (id, grant) in state.grants_by(&reader)? {
                if grant.token.is_some() {
                    let roles = (SlotRole::AccessKey, KeySlotRole::AccessKey);
                    places_of_grant(&state, &id, &grant, roles, &mut places)?;
                }
            }
            for group in state.groups_of(&reader, entry)? {
                if let Some(found) = state.group(&group)? {
                    places.push(Place::Secret(member_place(&group, found.epoch, &reader)));
                }
            }
            Ok(())
        })?;
        Ok(places)
    }

    /// What lies in this place, wrapped to the present key; none where it is already, or nothing is there.
    fn anew(
        &self,
        view: &dyn View,
        identity: &Identity,
        place: &Place,
    ) -> Result<Option<Anew>, StoreError> {
        let slots = self.stored_slots(view);
        let (present, to) = (identity.hpke_secret_key(), identity.public().hpke_key());
        match place {
            Place::Slot(place, envelope) => {
                let Some(slot) = slot_in(&slots, place)? else { return Ok(None) };
                let context = self.slot_context(place, *envelope);
                if slot.unwrap_with(present, &context).is_ok() {
                    return Ok(None);
                }
                let opened = with_any_key(identity, |key| slot.unwrap_with(key, &context));
                let slot = |dek| Slot::wrap_to(&dek, &to, &context, &mut self.rng());
                Ok(opened.ok().map(|dek| Anew::Slot(*place, slot(dek))))
            }
            Place::Secret(place) => {
                let Some(kept) = self.secret(&slots, place)? else { return Ok(None) };
                if kept.unwrap(present).is_ok() {
                    return Ok(None);
                }
                let opened = with_any_key(identity, |key| kept.unwrap(key));
                let kept = |secret| self.wrap_secret(place, &secret, &to);
                Ok(opened.ok().map(|secret| Anew::Secret(*place, kept(secret))))
            }
            Place::AccessKey(place) => {
                let Some(kept) = self.secret(&slots, place)? else { return Ok(None) };
                if kept.unwrap_access_key(present).is_ok() {
                    return Ok(None);
                }
                let opened = with_any_key(identity, |key| kept.unwrap_access_key(key));
                let kept = |key| self.wrap_access_key(place, &key, &to);
                Ok(opened.ok().map(|key| Anew::Secret(*place, kept(key))))
            }
        }
    }

    fn put_anew(&self, unit: &mut dyn Unit, item: &Anew) -> Result<(), StoreError> {
        match item {
            Anew::Slot(place, slot) => self.put_slot(unit, place, slot),
            Anew::Secret(place, kept) => self.put_secret(unit, place, kept),
        }
    }
}
fn places_of_grant(
    state: &State<'_>,
    id: &GrantId,
    grant: &GrantEntry,
    (slot_role, role): (SlotRole, KeySlotRole),
    places: &mut Vec<Place>,
) -> Result<(), StoreError> {
    let reader = grantee_id(&grant.reader);
    if let Scope::Collection(hospital) = grant.scope {
        let owner = KeyOwner::Collection { patient: grant.patient, hospital };
        let newest = state.enrolment(&grant.patient, &hospital)?.map_or(0, |newest| newest.epoch);
        let (grant, reader) = (Some(*id), Some(reader));
        places.extend((1..=newest).map(|epoch| {
            let place = KeyPlace { owner, epoch, role, grant, reader };
            if role == KeySlotRole::AccessKey {
                Place::AccessKey(place)
            } else {
                Place::Secret(place)
            }
        }));
    }
    for report in grant.scope.reports() {
        if let Some(entry) = state.report(report)? {
            let place = SlotPlace::current(*report, &entry, slot_role, Some(*id), reader);
            places.push(Place::Slot(place, entry.envelope));
        }
    }
    Ok(())
}
