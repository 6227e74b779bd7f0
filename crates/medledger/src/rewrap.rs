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
use medledger_core::registry::VoidCode;
use medledger_core::slot::{Slot, SlotRole};
use medledger_core::state::{GrantEntry, MemberEntry, State};
use medledger_core::store::{Standing, StoreError, Unit, View};
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
    /// Hospitals that may keep more, by what the ledger says, and whose rows nobody can see from here.
    pub elsewhere: Vec<MemberId>,
}

impl StillFormer {
    /// Whether something here does.
    #[must_use]
    pub const fn is_here(&self) -> bool {
        self.reports + self.collections + self.groups > 0
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
        let refused = SuccessionError::Refused(VoidCode::UnknownAuthor);
        let entry = self.authenticate(identity)?.ok_or(refused)?;
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
        let refused = SuccessionError::Refused(VoidCode::UnknownAuthor);
        let entry = self.authenticate(identity)?.ok_or(refused)?;
        let elsewhere = self.keepers_elsewhere(identity, &entry)?;
        let mut still = StillFormer { elsewhere, ..StillFormer::default() };
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
    /// See [`SuccessionError`]: `StillFormer` for what is kept here, `Elsewhere` for what other hospitals may keep.
    pub fn forget_former_keys(
        &self,
        identity: &Identity,
        password: &str,
    ) -> Result<Identity, SuccessionError> {
        let still = self.still_former(identity)?;
        if !still.is_here() && !still.elsewhere.is_empty() {
            return Err(SuccessionError::Elsewhere { hospitals: still.elsewhere });
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
        if still.is_here() {
            let StillFormer { reports, collections, groups, .. } = *still;
            return Err(SuccessionError::StillFormer { reports, collections, groups });
        }
        let forgotten = identity.without_former_keys();
        identity_file::replace(self.folder(), &forgotten, password, &self.lock_params)?;
        identity_file::forget(self.folder(), &identity.id())?;
        Ok(forgotten)
    }

    /// Other hospitals that keep keys for this member, by what the ledger says, which may stand to former ones; and
    /// those where the newest key of a collection is one of the former keys.
    pub(crate) fn keepers_elsewhere(
        &self,
        identity: &Identity,
        entry: &MemberEntry,
    ) -> Result<Vec<MemberId>, StoreError> {
        let mut found = BTreeSet::new();
        if identity.former_hpke_keys().is_empty() {
            return Ok(Vec::new());
        }
        let (member, here) = (identity.id(), self.hospital());
        let since = entry.succession.map_or(u64::MAX, |succession| succession.since);
        let view = self.view()?;
        // What was wrapped since stands to the present keys. Of what this copy no longer knows nobody can tell.
        let before = |grant: &GrantEntry| -> Result<bool, StoreError> {
            let standing = view.record(&grant.record)?.map(|stored| stored.standing);
            Ok(!matches!(standing, Some(Standing::Mined { height, .. }) if height > since))
        };
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for (hospital, enrolment) in state.enrolments_of(&member)? {
                let present = identity.collection_key(&hospital, enrolment.epoch);
                if present.public_key() != enrolment.key {
                    found.insert(hospital);
                }
            }
            for report in state.reports_of(&member)? {
                let kept = state.report(&report)?.filter(|kept| kept.hospital != here);
                found.extend(kept.filter(|kept| kept.height <= since).map(|kept| kept.hospital));
            }
            for (_, grant) in state.grants_of(&member, entry)? {
                if grant.token.is_none()
                    && grant.reader == Grantee::Member(member)
                    && grant.custodian != here
                    && before(&grant)?
                {
                    found.insert(grant.custodian);
                }
            }
            for (_, grant) in state.grants_by(&member)? {
                if grant.token.is_some() && grant.custodian != here && before(&grant)? {
                    found.insert(grant.custodian);
                }
            }
            for group in state.groups_of(&member, entry)? {
                let keeper = state.group(&group)?.map(|group| group.hospital);
                found.extend(keeper.filter(|keeper| *keeper != here));
            }
            Ok(())
        })?;
        Ok(found.into_iter().collect())
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
