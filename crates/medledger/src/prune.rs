//! Pruned mode: records of old final blocks are dropped to save room.

use crate::ledger::Ledger;
use medledger_core::ids::MemberId;
use medledger_core::prune::{self, Pruned};
use medledger_core::state::State;
use medledger_core::store::StoreError;

/// Why nothing more was pruned; what was, stays so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// Fewer blocks would stay than [`Ledger::MIN_KEPT_BLOCKS`].
    #[error("at least {least} blocks stay whole, found {found}")]
    Keep {
        /// The fewest.
        least: u64,
        /// What was asked for.
        found: u64,
    },
    /// No other hospital is on the chain: nobody else has to have its blocks whole, and only where they are whole is a
    /// chain exported, for others to join, to follow or to mend a copy from.
    #[error(
        "this hospital is alone on its chain: once pruned here, the chain can be exported nowhere, \
         unless a whole copy is kept elsewhere"
    )]
    OnlyCopy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// Fewest blocks that stay whole: the newest ones are what others ask for.
    pub const MIN_KEPT_BLOCKS: u64 = 10;

    /// Drops the records of final blocks but of the newest `keep` ones, for good. Headers, the state, every record by
    /// or about members of this hospital, and what their receipts need stay.
    ///
    /// After that [`verify`](Self::verify) judges headers, kept records and checkpoint, but replays nothing;
    /// [`export_chain`](Self::export_chain) and receipts of what others stated fail with [`StoreError::Pruned`].
    ///
    /// # Errors
    /// See [`PruneError`]; `OnlyCopy` where no other hospital is on the chain: see
    /// [`prune_only_copy`](Self::prune_only_copy).
    pub fn prune(&self, keep: u64) -> Result<Pruned, PruneError> {
        // A number that will not do is told first: with another one nothing may be left to decide.
        if keep >= Self::MIN_KEPT_BLOCKS && !self.is_follower() && self.is_only_hospital()? {
            return Err(PruneError::OnlyCopy);
        }
        self.prune_only_copy(keep)
    }

    /// As [`prune`](Self::prune), also for a hospital that is alone on its chain. It loses no record, since all are of
    /// its own members, but nobody can join, follow or replay the chain any more, unless a whole copy is kept elsewhere: a
    /// [`backup`](Self::backup), a follower, a file of [`export_chain`](Self::export_chain).
    ///
    /// # Errors
    /// See [`PruneError`]; never `OnlyCopy`.
    pub fn prune_only_copy(&self, keep: u64) -> Result<Pruned, PruneError> {
        let least = Self::MIN_KEPT_BLOCKS;
        if keep < least {
            return Err(PruneError::Keep { least, found: keep });
        }
        // A follower has no members of its own, and so nothing by or about them: an id that nobody has.
        let nobody = MemberId::from_bytes([0; 16]);
        let own = if self.is_follower() { nobody } else { self.hospital() };
        let mut all = Pruned::default();
        loop {
            let mut unit = self.store().unit()?;
            let done = prune::prune(unit.as_mut(), self.rules(), &own, keep)?;
            all.kept_from = done.kept_from;
            if done.blocks == 0 {
                return Ok(all);
            }
            unit.commit()?;
            all.blocks += done.blocks;
            all.records += done.records;
            all.kept += done.kept;
        }
    }

    fn is_only_hospital(&self) -> Result<bool, StoreError> {
        let view = self.view()?;
        Ok(State::new(view.as_ref()).hospitals(&self.rules().genesis)?.len() == 1)
    }

    /// The height from which on blocks are whole here; 0 where nothing was [pruned](Self::prune).
    ///
    /// # Errors
    /// When the store fails.
    pub fn kept_from(&self) -> Result<u64, StoreError> {
        prune::kept_from(self.view()?.as_ref())
    }
}
