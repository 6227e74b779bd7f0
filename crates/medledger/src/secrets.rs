//! Keys of collections and groups as they are kept: rows of key slots, encrypted under the node key, and
//! the way from a reader's own key to the key of an older epoch.

use crate::ledger::Ledger;
use crate::slots::SlotSource;
use medledger_core::access_key::AccessKey;
use medledger_core::cbor;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId};
use medledger_core::key_slot::{KeyOwner, KeySlot, KeySlotContext, KeySlotRole};
use medledger_core::keys::{HpkePublicKey, HpkeSecretKey};
use medledger_core::registry::limit;
use medledger_core::slot::SlotError;
use medledger_core::store::{Drawer, StoreError, Unit};
use serde::{Deserialize, Serialize};

/// Which key slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPlace {
    pub(crate) owner: KeyOwner,
    /// The epoch at which it was wrapped.
    pub(crate) epoch: u32,
    pub(crate) role: KeySlotRole,
    pub(crate) grant: Option<GrantId>,
    /// The reader or, by its id, the group.
    pub(crate) reader: Option<MemberId>,
}

/// As it is stored: what is wrapped stands beside it by its public half.
#[derive(Serialize, Deserialize)]
struct Row(Option<HpkePublicKey>, #[serde(with = "serde_bytes")] Vec<u8>);

/// A key slot with what it is bound to.
pub(crate) struct Kept {
    slot: KeySlot,
    context: KeySlotContext,
}

impl Kept {
    pub(crate) fn unwrap(&self, with: &HpkeSecretKey) -> Result<HpkeSecretKey, SlotError> {
        self.slot.unwrap(with, &self.context)
    }

    pub(crate) fn unwrap_with_access_key(
        &self,
        key: &AccessKey,
    ) -> Result<HpkeSecretKey, SlotError> {
        self.slot.unwrap_with_access_key(key, &self.context)
    }

    pub(crate) fn unwrap_access_key(&self, with: &HpkeSecretKey) -> Result<AccessKey, SlotError> {
        self.slot.unwrap_access_key(with, &self.context)
    }
}

impl KeyPlace {
    /// The key of the epoch before, for whoever has that of `epoch`.
    pub(crate) const fn before(owner: KeyOwner, epoch: u32) -> Self {
        Self { owner, epoch, role: KeySlotRole::Before, grant: None, reader: None }
    }

    /// Row key: patient or group, zeros where a report's version stands, epoch, role, grant or zeros,
    /// reader or zeros.
    pub(crate) fn key(&self) -> Vec<u8> {
        let mut key = match &self.owner {
            KeyOwner::Collection { patient, .. } => patient.as_bytes().to_vec(),
            KeyOwner::Group(group) => group.as_bytes().to_vec(),
        };
        key.extend_from_slice(&[0; 4]);
        key.extend_from_slice(&self.epoch.to_be_bytes());
        key.push(self.role.code());
        // Two hospitals may keep a collection of the same patient in one place.
        let grant = match (&self.owner, &self.grant) {
            (_, Some(grant)) => *grant.as_bytes(),
            (KeyOwner::Collection { hospital, .. }, None) => *hospital.as_bytes(),
            (KeyOwner::Group(_), None) => [0; 16],
        };
        key.extend_from_slice(&grant);
        key.extend_from_slice(&self.reader.map_or([0; 16], |reader| *reader.as_bytes()));
        key
    }
}

impl Ledger {
    fn key_context(&self, place: &KeyPlace, wrapped: Option<HpkePublicKey>) -> KeySlotContext {
        let KeyPlace { owner, epoch, role, grant, reader } = *place;
        KeySlotContext { chain: self.chain(), owner, epoch, role, grant, reader, wrapped }
    }

    /// Wraps a secret key to a public one, to be put into its place.
    pub(crate) fn wrap_secret(
        &self,
        place: &KeyPlace,
        secret: &HpkeSecretKey,
        to: &HpkePublicKey,
    ) -> Kept {
        let context = self.key_context(place, Some(secret.public_key()));
        Kept { slot: KeySlot::wrap(secret, to, &context, &mut self.rng()), context }
    }

    /// Wraps a secret key for an access key.
    pub(crate) fn wrap_secret_with(
        &self,
        place: &KeyPlace,
        secret: &HpkeSecretKey,
        key: &AccessKey,
    ) -> Kept {
        let context = self.key_context(place, Some(secret.public_key()));
        Kept { slot: KeySlot::wrap_with_access_key(secret, key, &context), context }
    }

    /// Wraps a reader's access key to a patient's collection key.
    pub(crate) fn wrap_access_key(
        &self,
        place: &KeyPlace,
        key: &AccessKey,
        to: &HpkePublicKey,
    ) -> Kept {
        let context = self.key_context(place, None);
        Kept { slot: KeySlot::wrap_access_key(key, to, &context, &mut self.rng()), context }
    }

    pub(crate) fn put_secret(
        &self,
        unit: &mut dyn Unit,
        place: &KeyPlace,
        kept: &Kept,
    ) -> Result<(), StoreError> {
        let key = place.key();
        let row = cbor::encode(&Row(kept.context.wrapped.clone(), kept.slot.to_bytes()));
        let sealed = self.node_key().seal(Drawer::Slots, &key, &row, &mut self.rng());
        unit.set_local(Drawer::Slots, &key, Some(&sealed))
    }

    pub(crate) fn remove_secret(
        &self,
        unit: &mut dyn Unit,
        place: &KeyPlace,
    ) -> Result<(), StoreError> {
        unit.set_local(Drawer::Slots, &place.key(), None)
    }

    pub(crate) fn secret(
        &self,
        slots: &dyn SlotSource,
        place: &KeyPlace,
    ) -> Result<Option<Kept>, StoreError> {
        let Some(bytes) = slots.row(&place.key())? else { return Ok(None) };
        let damaged = |what: String| StoreError::Damaged(format!("key slot {place:?}: {what}"));
        let Row(wrapped, slot) = cbor::decode(&bytes, 2 * limit::SLOT_BYTES)
            .map_err(|error| damaged(error.to_string()))?;
        let slot = KeySlot::from_bytes(&slot).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(Kept { slot, context: self.key_context(place, wrapped) }))
    }

    /// From the key of one epoch back to that of an older one, a key slot an epoch. `None` where one of
    /// them is not kept here.
    pub(crate) fn older_secret(
        &self,
        slots: &dyn SlotSource,
        owner: KeyOwner,
        mut secret: HpkeSecretKey,
        from: u32,
        to: u32,
    ) -> Result<Option<HpkeSecretKey>, SecretError> {
        for epoch in (to.saturating_add(1)..=from).rev() {
            let Some(kept) = self.secret(slots, &KeyPlace::before(owner, epoch))? else {
                return Ok(None);
            };
            secret = kept.unwrap(&secret)?;
        }
        Ok((to <= from).then_some(secret))
    }
}

/// Opens with the reader's present key or, where the keys changed since it was wrapped, with a former one.
pub(crate) fn with_any_key<T>(
    reader: &Identity,
    open: impl Fn(&HpkeSecretKey) -> Result<T, SlotError>,
) -> Result<T, SlotError> {
    let present = open(reader.hpke_secret_key());
    if present.is_ok() {
        return present;
    }
    reader.former_hpke_keys().iter().find_map(|key| open(key).ok()).map_or(present, Ok)
}

/// Why a key could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error(transparent)]
    Slot(#[from] SlotError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
