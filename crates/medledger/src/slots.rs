//! Slots in the store: rows encrypted under the node key, never in IPFS, never on the ledger.

use crate::ledger::Ledger;
use medledger_core::ids::{GrantId, MemberId, ReportId};
use medledger_core::slot::{Slot, SlotContext, SlotRole};
use medledger_core::state::ReportEntry;
use medledger_core::store::{Drawer, StoreError, Unit, View};

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
    fn key(&self) -> Vec<u8> {
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

impl Ledger {
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
        let key = place.key();
        let Some(sealed) = view.local(Drawer::Slots, &key)? else { return Ok(None) };
        let bytes = self.node_key().unseal(Drawer::Slots, &key, &sealed)?;
        let slot = Slot::from_bytes(&bytes)
            .map_err(|error| StoreError::Damaged(format!("slot of {}: {error}", place.report)))?;
        Ok(Some(slot))
    }

    pub(crate) fn remove_slot(
        &self,
        unit: &mut dyn Unit,
        place: &SlotPlace,
    ) -> Result<(), StoreError> {
        unit.set_local(Drawer::Slots, &place.key(), None)
    }
}
