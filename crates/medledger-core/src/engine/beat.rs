//! Blocks that keep a chain near its plan though there is nothing to put into them.

use super::EngineChain;
use crate::chain::{block_at, tip};
use crate::clock::Timestamp;
use crate::genesis::Consensus;
use crate::pow::Schedule;
use crate::state::State;
use crate::store::{StoreError, StoredBlock, View};

impl EngineChain {
    /// When this hospital should mine though no record waits, because the chain is behind the plan of its schedule. `None`
    /// where there is no such plan, or this is no hospital.
    ///
    /// `Asert` counts every block that did not come: a chain that is mined only when there are records falls to its floor
    /// and owes a block for each spacing before it leaves that again. So a block comes when the plan asks for it, and
    /// at twice the pace of the plan where some are owed. One hospital goes first, another one at each height; the
    /// others follow should it be away.
    pub(super) fn beat(&self, view: &dyn View) -> Result<Option<Timestamp>, StoreError> {
        let Consensus::Work(Schedule::Asert { spacing, .. }) = self.rules().genesis.consensus
        else {
            return Ok(None);
        };
        let Ok(key) = self.key() else { return Ok(None) };
        if !self.may_mine(view, key)? {
            return Ok(None);
        }
        let (tip, genesis) = (tip(view)?, block_at(view, 0)?);
        let set = State::new(view).hospitals(&self.rules().genesis)?;
        let Some(place) = set.ids().position(|id| id == key.hospital) else { return Ok(None) };
        let (height, count) = (tip.height + 1, set.ids().len() as u64);
        let turns = (place as u64 + count - height % count) % count;
        let time = |block: &StoredBlock| Timestamp::from_secs(block.signed.header.time.into());
        let plan = time(&genesis).plus(height.saturating_mul(spacing.into()));
        let pause = u64::from(spacing.div_ceil(2));
        let next = plan.max(time(&tip).plus(pause));
        Ok(Some(next.plus(turns * pause)))
    }
}
