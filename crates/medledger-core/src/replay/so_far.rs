//! The ledger as it was when a block came that is judged anew.

use crate::ids::{BlockId, RecordId};
use crate::registry::limit::MEDIAN_TIME_BLOCKS;
use crate::state::{Known, Memo, Rebuilt, StateRead};
use crate::store::{Drawer, RecordQuery, Row, StoreError, StoredBlock, StoredRecord, View};
use std::collections::VecDeque;

/// The last blocks that were judged: as many as the next one's time is judged by.
pub(super) struct Newest(VecDeque<StoredBlock>);

impl Newest {
    pub(super) fn new(genesis: StoredBlock) -> Self {
        Self(VecDeque::from([genesis]))
    }

    pub(super) fn tip(&self) -> &StoredBlock {
        self.0.back().expect("there is always one")
    }

    pub(super) fn push(&mut self, block: StoredBlock) {
        if self.0.len() == MEDIAN_TIME_BLOCKS {
            self.0.pop_front();
        }
        self.0.push_back(block);
    }

    fn at(&self, height: u64) -> Option<&StoredBlock> {
        let above = self.tip().height.checked_sub(height)?;
        let from_first = (self.0.len() as u64 - 1).checked_sub(above)?;
        self.0.get(usize::try_from(from_first).ok()?)
    }
}

/// The blocks that were judged and the state that follows from them. Older blocks, records and what is local show as they
/// are in the ledger whose blocks are judged: those blocks were compared with what was judged.
pub(super) struct SoFar<'a> {
    pub(super) view: &'a dyn View,
    pub(super) newest: &'a Newest,
    pub(super) state: &'a Rebuilt,
}

impl StateRead for SoFar<'_> {
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.state.state(key)
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.state.state_scan(prefix, after, limit)
    }

    fn known(&self) -> Option<&Known> {
        self.state.known()
    }

    fn memo(&self, key: &[u8]) -> Option<&Memo> {
        self.state.memo(key)
    }
}

impl View for SoFar<'_> {
    fn local(&self, drawer: Drawer, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.view.local(drawer, key)
    }

    fn local_scan(
        &self,
        drawer: Drawer,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.view.local_scan(drawer, prefix, after, limit)
    }

    fn tip(&self) -> Result<Option<StoredBlock>, StoreError> {
        Ok(Some(self.newest.tip().clone()))
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError> {
        match self.newest.at(height) {
            Some(block) => Ok(Some(block.clone())),
            None if height < self.newest.tip().height => self.view.block(height),
            None => Ok(None),
        }
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<u64>, StoreError> {
        let tip = self.newest.tip().height;
        Ok(self.view.height_of(id)?.filter(|height| *height <= tip))
    }

    fn record(&self, id: &RecordId) -> Result<Option<StoredRecord>, StoreError> {
        self.view.record(id)
    }

    fn records_of(&self, height: u64) -> Result<Vec<StoredRecord>, StoreError> {
        self.view.records_of(height)
    }

    fn find(&self, query: &RecordQuery) -> Result<Vec<StoredRecord>, StoreError> {
        self.view.find(query)
    }

    fn pending(&self, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        self.view.pending(limit)
    }

    fn last_pending(&self) -> Result<Option<(u64, RecordId)>, StoreError> {
        self.view.last_pending()
    }

    fn count_pending(&self) -> Result<u64, StoreError> {
        self.view.count_pending()
    }
}
