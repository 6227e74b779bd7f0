//! Keys that change: succession, suspension of a lost device, and wrapping anew what stood to former keys.

use crate::approve::ApproveError;
use crate::grants::grantee_id;
use crate::groups::member_place;
use crate::identity_file::{self, IdentityFileError};
use crate::ledger::Ledger;
use crate::secrets::{Kept, KeyPlace, with_any_key};
use crate::slots::{SlotPlace, slot_in};
use medledger_core::engine::SubmitError;
use medledger_core::identity::{FormerKeysError, Identity};
use medledger_core::ids::{GrantId, MemberId, RecordId};
use medledger_core::key_slot::{KeyOwner, KeySlotRole};
use medledger_core::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
use medledger_core::record::{Grantee, Scope, Succeed, Suspend};
use medledger_core::registry::{Role, VoidCode};
use medledger_core::slot::{Slot, SlotRole};
use medledger_core::state::{GrantEntry, MemberEntry, State};
use medledger_core::store::{StoreError, Unit};

/// Keys that succeeded others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// Whose keys.
    pub member: MemberId,
    /// The record on the ledger.
    pub record: RecordId,
    /// Hospitals at which a patient's collection moved to its next epoch.
    pub collections: Vec<MemberId>,
}

/// Why keys did not change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// The keys at hand are not the member's present ones, or the member is none whose keys may be changed so.
    #[error("{0} (code {code})", code = .0.code())]
    Refused(VoidCode),
    /// The identity holds all the former keys it can.
    #[error(transparent)]
    FormerKeys(#[from] FormerKeysError),
    /// A collection could not be moved to its next epoch.
    #[error(transparent)]
    Collection(#[from] ApproveError),
    /// The identity file could not be written.
    #[error(transparent)]
    File(#[from] IdentityFileError),
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
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
    /// Gives a member new keys, X-Wing for HPKE, and locks them into the identity file with `password`. The former
    /// HPKE keys stay in the file and open what was wrapped to them, until [`rewrap`](Self::rewrap). Each collection
    /// of a patient moves to its next epoch.
    ///
    /// The file with the new keys is durable before the ledger has the record, and the old one is kept beside it:
    /// whatever happens between, [`unlock`](Self::unlock) takes the file whose keys the ledger names.
    ///
    /// # Errors
    /// See [`SuccessionError`]. A hospital's keys stand in blocks and votes too, and are not changed so.
    pub fn succeed(
        &self,
        identity: &Identity,
        password: &str,
    ) -> Result<(Identity, Succession), SuccessionError> {
        let refused = SuccessionError::Refused;
        let entry = self.authenticate(identity)?.ok_or(refused(VoidCode::UnknownAuthor))?;
        if entry.role == Role::Hospital {
            return Err(refused(VoidCode::WrongRole));
        }
        let next = identity.next(HpkeAlgorithm::XWing, &mut self.rng())?;
        let body = self.succession_to(&next);
        let mut records = vec![self.sign(identity, body)];
        let mut collections = Vec::new();
        let mut moved = Vec::new();
        for hospital in self.hospitals_of(&identity.id())? {
            let next = self.succeeding_collection(identity, &next, &hospital, &[])?;
            records.push(next.record.clone());
            moved.push(next);
            collections.push(hospital);
        }
        let record = records[0].id();
        identity_file::save_next(self.folder(), &next, password, &self.lock_params)?;
        self.accept(&records, |unit| {
            moved.iter().try_for_each(|next| next.put(self, unit)).map_err(SuccessionError::Store)
        })?;
        identity_file::promote(self.folder(), &next.id())?;
        Ok((next, Succession { member: identity.id(), record, collections }))
    }

    /// Suspends a member's keys, as the member or as the hospital that registered them: a device was lost. From
    /// then on the keys sign nothing and open nothing, until others succeed them.
    ///
    /// # Errors
    /// See [`SuccessionError`].
    pub fn suspend(
        &self,
        author: &Identity,
        member: &MemberId,
    ) -> Result<RecordId, SuccessionError> {
        let record = self.sign(author, Suspend { member: *member });
        let id = record.id();
        self.accept(&[record], |_| Ok::<_, SuccessionError>(()))?;
        Ok(id)
    }

    /// As the hospital that registered a doctor, nurse or lab whose keys are suspended: gives them new keys, locked
    /// into an identity file with `password`, and the keys of the hospital's groups they belong to. What was granted to the
    /// keys that were lost is for the patients to grant again.
    ///
    /// # Errors
    /// See [`SuccessionError`]. A patient's keys change with the patient's consent only.
    pub fn replace_keys(
        &self,
        hospital: &Identity,
        member: &MemberId,
        password: &str,
    ) -> Result<(Identity, Succession), SuccessionError> {
        let mut rng = self.rng();
        let (signing, hpke) = (SigningKey::generate(&mut rng), HpkeSecretKey::generate(&mut rng));
        let next = Identity::with_id(*member, signing, hpke);
        let record = self.sign(hospital, self.succession_to(&next));
        let id = record.id();
        let to = next.public().hpke_key();
        let groups = self.groups()?.into_iter().filter(|group| {
            group.entry.hospital == hospital.id() && group.members.contains(member)
        });
        let given: Vec<_> = groups
            .map(|group| {
                let epoch = group.entry.epoch;
                let place = member_place(&group.id, epoch, member);
                (place, self.wrap_secret(&place, &hospital.group_key(&group.id, epoch), &to))
            })
            .collect();
        identity_file::save_next(self.folder(), &next, password, &self.lock_params)?;
        self.accept(&[record], |unit| {
            given
                .iter()
                .try_for_each(|(place, kept)| self.put_secret(unit, place, kept))
                .map_err(SuccessionError::Store)
        })?;
        identity_file::promote(self.folder(), member)?;
        Ok((next, Succession { member: *member, record: id, collections: Vec::new() }))
    }

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

    /// Locks an identity into its file without its former keys. Only after [`rewrap`](Self::rewrap): what stood to
    /// them elsewhere does not open any more.
    ///
    /// # Errors
    /// See [`IdentityFileError`].
    pub fn forget_former_keys(
        &self,
        identity: &Identity,
        password: &str,
    ) -> Result<Identity, IdentityFileError> {
        let forgotten = identity.without_former_keys();
        identity_file::replace(self.folder(), &forgotten, password, &self.lock_params)?;
        identity_file::forget(self.folder(), &identity.id())?;
        Ok(forgotten)
    }

    fn succession_to(&self, next: &Identity) -> Succeed {
        let proof = next.prove_succession(&self.chain());
        Succeed { member: next.id(), next: next.public().clone(), proof, consent: None }
    }

    /// Where a patient is enrolled; nobody else is.
    fn hospitals_of(&self, patient: &MemberId) -> Result<Vec<MemberId>, StoreError> {
        let view = self.view()?;
        let mut found = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let enrolments = State::new(state).enrolments_of(patient)?;
            found = enrolments.into_iter().map(|(hospital, _)| hospital).collect();
            Ok(())
        })?;
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
            for id in state.grants_of(&reader, entry)? {
                let Some(grant) = state.grant(&id)? else { continue };
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
            for id in state.grants_by(&reader)? {
                if let Some(grant) = state.grant(&id)?.filter(|grant| grant.token.is_some()) {
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
        view: &dyn medledger_core::store::View,
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
