//! A ledger as it would be with another branch on top.

use crate::fork::write;
use crate::ids::{BlockId, RecordId};
use crate::record::SignedRecord;
use crate::state::{Changes, StateRead};
use crate::store::{
    Drawer, RecordQuery, Row, Standing, StoreError, StoredBlock, StoredRecord, View,
};

/// The blocks and the state of a branch, over a ledger that has another one. What is kept of records,
/// the queue and local rows shows as it is in that ledger.
pub(crate) struct BranchView<'a> {
    base: &'a dyn View,
    /// Height of the last block both have.
    fork: u64,
    /// The branch's blocks above it.
    blocks: Vec<StoredBlock>,
    changes: Changes,
}

impl std::fmt::Debug for BranchView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BranchView(from {}, {} blocks)", self.fork, self.blocks.len())
    }
}

impl<'a> BranchView<'a> {
    /// A branch whose headers are known, but whose state is not: only its blocks may be asked for.
    pub(crate) fn of_headers(base: &'a dyn View, fork: u64, blocks: Vec<StoredBlock>) -> Self {
        Self { base, fork, blocks, changes: Changes::default() }
    }

    /// The ledger as it was when the block at `fork` was the newest.
    pub(crate) fn rewound(base: &'a dyn View, fork: u64) -> Result<Self, StoreError> {
        let mut view = Self::of_headers(base, fork, Vec::new());
        let top = base.tip()?.map_or(0, |tip| tip.height);
        // From the newest down: what the older one found there is what counts.
        for height in (fork + 1..=top).rev() {
            view.changes.lay(&write::undo(base, height)?);
        }
        Ok(view)
    }

    /// Puts a judged block on top.
    pub(crate) fn push(&mut self, stored: StoredBlock, changes: &Changes) {
        self.blocks.push(stored);
        self.changes.lay(changes);
    }
}

impl StateRead for BranchView<'_> {
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.changes.over(self.base).state(key)
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.changes.over(self.base).state_scan(prefix, after, limit)
    }
}

impl View for BranchView<'_> {
    fn local(&self, drawer: Drawer, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.base.local(drawer, key)
    }

    fn local_scan(
        &self,
        drawer: Drawer,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.base.local_scan(drawer, prefix, after, limit)
    }

    fn tip(&self) -> Result<Option<StoredBlock>, StoreError> {
        match self.blocks.last() {
            Some(block) => Ok(Some(block.clone())),
            None => self.base.block(self.fork),
        }
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError> {
        match height.checked_sub(self.fork + 1) {
            None => self.base.block(height),
            Some(index) => {
                Ok(usize::try_from(index).ok().and_then(|index| self.blocks.get(index)).cloned())
            }
        }
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<u64>, StoreError> {
        if let Some(block) = self.blocks.iter().find(|block| block.id == *id) {
            return Ok(Some(block.height));
        }
        Ok(self.base.height_of(id)?.filter(|height| *height <= self.fork))
    }

    fn record(&self, id: &RecordId) -> Result<Option<StoredRecord>, StoreError> {
        self.base.record(id)
    }

    fn standing(&self, id: &RecordId) -> Result<Option<Standing>, StoreError> {
        self.base.standing(id)
    }

    fn records_of(&self, height: u64) -> Result<Vec<StoredRecord>, StoreError> {
        self.base.records_of(height)
    }

    fn signed_records_of(&self, height: u64) -> Result<Vec<SignedRecord>, StoreError> {
        self.base.signed_records_of(height)
    }

    fn find(&self, query: &RecordQuery) -> Result<Vec<StoredRecord>, StoreError> {
        self.base.find(query)
    }

    fn pending(&self, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        self.base.pending(limit)
    }

    fn last_pending(&self) -> Result<Option<(u64, RecordId)>, StoreError> {
        self.base.last_pending()
    }

    fn count_pending(&self) -> Result<u64, StoreError> {
        self.base.count_pending()
    }
}
