//! Slots in the store: rows encrypted under the node key, never in IPFS, never on the ledger.

use crate::ledger::Ledger;
use medledger_core::ids::{GrantId, MemberId, ReportId};
use medledger_core::slot::{Slot, SlotContext, SlotRole};
use medledger_core::state::ReportEntry;
use medledger_core::store::{Drawer, StoreError, Unit, View};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Which slot: the report's key for one reader in one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotPlace {
    pub(crate) report: ReportId,
    pub(crate) version: u32,
    pub(crate) epoch: u32,
    pub(crate) role: SlotRole,
    pub(crate) grant: Option<GrantId>,
    pub(crate) reader: MemberId,
}

impl SlotPlace {
    /// Row key: report, version, epoch, role, grant or zeros, reader; numbers big-endian.
    pub(crate) fn key(&self) -> Vec<u8> {
        let mut key = Self::prefix(&self.report, self.version, self.epoch);
        key.push(self.role.code());
        key.extend_from_slice(&self.grant.map_or([0; GrantId::LEN], |grant| *grant.as_bytes()));
        key.extend_from_slice(self.reader.as_bytes());
        key
    }

    /// What the row keys of a report's version and epoch begin with.
    pub(crate) fn prefix(report: &ReportId, version: u32, epoch: u32) -> Vec<u8> {
        [&report.as_bytes()[..], &version.to_be_bytes(), &epoch.to_be_bytes()].concat()
    }

    /// The slot of `entry`'s current version and epoch.
    pub(crate) fn current(
        report: ReportId,
        entry: &ReportEntry,
        role: SlotRole,
        grant: Option<GrantId>,
        reader: MemberId,
    ) -> Self {
        Self { report, version: entry.version, epoch: entry.epoch, role, grant, reader }
    }
}

/// Where slots are read from: what is stored here, or what a custodian released.
pub(crate) trait SlotSource {
    /// The bytes of the slot or key slot in this place.
    fn row(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;
}

/// Slots that are stored here.
pub(crate) struct StoredSlots<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) view: &'a dyn View,
}

impl SlotSource for StoredSlots<'_> {
    fn row(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(sealed) = self.view.local(Drawer::Slots, key)? else { return Ok(None) };
        self.ledger.node_key().unseal(Drawer::Slots, key, &sealed).map(Some)
    }
}

/// Slots that a custodian released.
pub(crate) struct ReleasedSlots(pub(crate) BTreeMap<Vec<u8>, Vec<u8>>);

impl SlotSource for ReleasedSlots {
    fn row(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(self.0.get(key).cloned().map(Zeroizing::new))
    }
}

/// The slot in this place, if there is one.
pub(crate) fn slot_in(
    source: &dyn SlotSource,
    place: &SlotPlace,
) -> Result<Option<Slot>, StoreError> {
    let Some(bytes) = source.row(&place.key())? else { return Ok(None) };
    let slot = Slot::from_bytes(&bytes)
        .map_err(|error| StoreError::Damaged(format!("slot of {}: {error}", place.report)))?;
    Ok(Some(slot))
}

impl Ledger {
    /// The slots that are stored here.
    pub(crate) const fn stored_slots<'a>(&'a self, view: &'a dyn View) -> StoredSlots<'a> {
        StoredSlots { ledger: self, view }
    }

    /// What a slot in this place is bound to.
    pub(crate) fn slot_context(
        &self,
        place: &SlotPlace,
        envelope: medledger_core::Cid,
    ) -> SlotContext {
        SlotContext {
            chain: self.chain(),
            report: place.report,
            version: place.version,
            epoch: place.epoch,
            role: place.role,
            grant: place.grant,
            reader: place.reader,
            envelope,
        }
    }

    pub(crate) fn put_slot(
        &self,
        unit: &mut dyn Unit,
        place: &SlotPlace,
        slot: &Slot,
    ) -> Result<(), StoreError> {
        let key = place.key();
        let sealed = self.node_key().seal(Drawer::Slots, &key, &slot.to_bytes(), &mut self.rng());
        unit.set_local(Drawer::Slots, &key, Some(&sealed))
    }

    pub(crate) fn slot(
        &self,
        view: &dyn View,
        place: &SlotPlace,
    ) -> Result<Option<Slot>, StoreError> {
        slot_in(&self.stored_slots(view), place)
    }

    pub(crate) fn remove_slot(
        &self,
        unit: &mut dyn Unit,
        place: &SlotPlace,
    ) -> Result<(), StoreError> {
        unit.set_local(Drawer::Slots, &place.key(), None)
    }
}
