//! The blocks of a ledger as a tree to vote over.

use crate::chain::{block_at, tip};
use crate::fork;
use crate::ids::BlockId;
use crate::state::State;
use crate::store::{StoreError, StoredBlock, View};
use crate::vote::{BlockInfo, BlockTree};
use std::collections::{BTreeSet, HashMap};

/// The blocks of a ledger, on all branches.
pub(super) struct StoredTree<'a> {
    view: &'a dyn View,
    beside: HashMap<BlockId, BlockInfo>,
    /// Heights of the best chain at which the hospitals changed.
    changes: BTreeSet<u64>,
}

impl<'a> StoredTree<'a> {
    pub(super) fn new(view: &'a dyn View) -> Result<Self, StoreError> {
        let beside = fork::beside(view)?.into_iter();
        let beside = beside.map(|(block, changes)| (block.id, info(&block, changes))).collect();
        let changes = State::new(view).hospital_changes()?.iter().map(|set| set.since).collect();
        Ok(Self { view, beside, changes })
    }
}

fn info(block: &StoredBlock, changes_set: bool) -> BlockInfo {
    BlockInfo {
        height: block.height,
        parent: block.signed.header.previous,
        miner: block.descriptor.map(|descriptor| descriptor.miner),
        changes_set,
    }
}

impl BlockTree for StoredTree<'_> {
    type Error = StoreError;

    fn block(&self, id: &BlockId) -> Result<Option<BlockInfo>, StoreError> {
        match self.view.height_of(id)? {
            Some(height) => {
                let changes = self.changes.contains(&height);
                Ok(Some(info(&block_at(self.view, height)?, changes)))
            }
            None => Ok(self.beside.get(id).copied()),
        }
    }

    fn highest(&self) -> Result<u64, StoreError> {
        let beside = self.beside.values().map(|block| block.height).max();
        Ok(tip(self.view)?.height.max(beside.unwrap_or(0)))
    }

    fn ancestor(&self, block: &BlockId, height: u64) -> Result<Option<BlockId>, StoreError> {
        let mut id = *block;
        loop {
            if let Some(top) = self.view.height_of(&id)? {
                let on_chain = height <= top;
                return if on_chain {
                    Ok(self.view.block(height)?.map(|block| block.id))
                } else {
                    Ok(None)
                };
            }
            match self.beside.get(&id) {
                Some(info) if info.height == height => return Ok(Some(id)),
                Some(info) if info.height > height => id = info.parent,
                _ => return Ok(None),
            }
        }
    }
}
