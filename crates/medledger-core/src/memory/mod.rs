//! A store in memory, for tests, simulations and nodes that keep nothing.

mod layers;

use crate::ids::{BlockId, RecordId};
use crate::small_key::StateKey;
use crate::state::StateRead;
use crate::store::{
    Drawer, RecordQuery, Row, Standing, Store, StoreError, StoredBlock, StoredRecord, Unit, View,
};
use layers::{Bytes, LayerChanges, Layered, Layers, Tables, missing};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// A ledger in memory; it ends with the process.
///
/// A view shares the committed tables, so it costs nothing and nobody waits for it; a unit that is
/// committed while a view lives copies the tables it changes.
///
/// ```
/// use medledger_core::memory::MemoryStore;
/// use medledger_core::store::{Drawer, Store};
///
/// let store = MemoryStore::new();
/// let before = store.view()?;
/// let mut unit = store.unit()?;
/// unit.set_local(Drawer::Labels, b"key", Some(b"value"))?;
/// unit.commit()?;
/// assert_eq!(before.local(Drawer::Labels, b"key")?, None);
/// assert_eq!(store.view()?.local(Drawer::Labels, b"key")?.as_deref(), Some(&b"value"[..]));
/// # Ok::<(), medledger_core::store::StoreError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    writer: Mutex<()>,
    committed: RwLock<Tables>,
    commits: AtomicU64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn layers(&self) -> Layers {
        // A panic cannot leave the tables half written in a way that matters: `write` never unwinds.
        Layers::over(&self.committed.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for MemoryStore {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(self.layers()))
    }

    fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError> {
        // The lock guards no data, so a panic of its last holder left nothing broken behind.
        let guard = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(MemoryUnit { store: self, layers: self.layers(), _writer: guard }))
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct MemoryUnit<'a> {
    store: &'a MemoryStore,
    layers: Layers,
    _writer: MutexGuard<'a, ()>,
}

/// Rows whose key, made a table's key by `wrap`, begins with `prefix` and is greater than `after`.
fn scan<'a, K: Ord + Clone + 'a>(
    table: &'a Layered<K, Bytes>,
    wrap: impl Fn(&[u8]) -> K,
    own: impl Fn(&'a K) -> Option<&'a [u8]>,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Vec<Row> {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(wrap(after)),
        _ => Bound::Included(wrap(prefix)),
    };
    let rows = table.from(from.as_ref()).map_while(|(key, value)| Some((own(key)?, value)));
    rows.take_while(|(key, _)| key.starts_with(prefix))
        .take(limit)
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}

impl StateRead for Layers {
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state.get(key).map(|value| value.to_vec()))
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        Ok(scan(
            &self.state,
            |key| StateKey::from(key),
            |key| Some(key.as_bytes()),
            prefix,
            after,
            limit,
        ))
    }
}

impl View for Layers {
    fn local(&self, drawer: Drawer, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.local.get(&(drawer, key.to_vec())).map(|value| value.to_vec()))
    }

    fn local_scan(
        &self,
        drawer: Drawer,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let wrap = |key: &[u8]| (drawer, key.to_vec());
        let own = |key: &'_ (Drawer, Vec<u8>)| key.0 == drawer;
        Ok(scan(
            &self.local,
            wrap,
            |key| own(key).then_some(key.1.as_slice()),
            prefix,
            after,
            limit,
        ))
    }

    fn tip(&self) -> Result<Option<StoredBlock>, StoreError> {
        Ok(self.blocks.last().map(|(_, block)| StoredBlock::clone(block)))
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError> {
        Ok(self.blocks.get(&height).map(|block| StoredBlock::clone(block)))
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<u64>, StoreError> {
        Ok(self.heights.get(id).copied())
    }

    fn record(&self, id: &RecordId) -> Result<Option<StoredRecord>, StoreError> {
        Ok(self.records.get(id).map(|kept| StoredRecord::clone(&kept.record)))
    }

    fn records_of(&self, height: u64) -> Result<Vec<StoredRecord>, StoreError> {
        self.mined
            .from(Bound::Included(&(height, 0)))
            .take_while(|((found, _), _)| *found == height)
            .map(|(_, id)| Layers::record(self, id))
            .collect()
    }

    fn find(&self, query: &RecordQuery) -> Result<Vec<StoredRecord>, StoreError> {
        let mined = self.mined.from(Bound::Unbounded).map(|(_, id)| id);
        let queue = self.queue.from(Bound::Unbounded).map(|(_, id)| id);
        let refused = self.refused.from(Bound::Unbounded).map(|(_, id)| id);
        let limit = if query.limit == 0 { usize::MAX } else { query.limit };
        let found = mined.chain(queue).chain(refused).filter_map(|id| self.records.get(id));
        Ok(found
            .filter(|kept| query.matches(&kept.record))
            .skip(query.offset)
            .take(limit)
            .map(|kept| StoredRecord::clone(&kept.record))
            .collect())
    }

    fn pending(&self, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        let queue = self.queue.from(Bound::Unbounded).take(limit);
        queue.map(|(_, id)| Layers::record(self, id)).collect()
    }

    fn last_pending(&self) -> Result<Option<(u64, RecordId)>, StoreError> {
        Ok(self.queue.last().map(|(seq, id)| (*seq, *id)))
    }

    fn count_pending(&self) -> Result<u64, StoreError> {
        Ok(self.queue.count() as u64)
    }
}

impl StateRead for MemoryUnit<'_> {
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        StateRead::state(&self.layers, key)
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.layers.state_scan(prefix, after, limit)
    }
}

impl View for MemoryUnit<'_> {
    fn local(&self, drawer: Drawer, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        View::local(&self.layers, drawer, key)
    }

    fn local_scan(
        &self,
        drawer: Drawer,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.layers.local_scan(drawer, prefix, after, limit)
    }

    fn tip(&self) -> Result<Option<StoredBlock>, StoreError> {
        self.layers.tip()
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError> {
        self.layers.block(height)
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<u64>, StoreError> {
        self.layers.height_of(id)
    }

    fn record(&self, id: &RecordId) -> Result<Option<StoredRecord>, StoreError> {
        View::record(&self.layers, id)
    }

    fn records_of(&self, height: u64) -> Result<Vec<StoredRecord>, StoreError> {
        self.layers.records_of(height)
    }

    fn find(&self, query: &RecordQuery) -> Result<Vec<StoredRecord>, StoreError> {
        self.layers.find(query)
    }

    fn pending(&self, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        self.layers.pending(limit)
    }

    fn last_pending(&self) -> Result<Option<(u64, RecordId)>, StoreError> {
        self.layers.last_pending()
    }

    fn count_pending(&self) -> Result<u64, StoreError> {
        self.layers.count_pending()
    }
}

impl Unit for MemoryUnit<'_> {
    fn set_local(
        &mut self,
        drawer: Drawer,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.layers.local.set((drawer, key.to_vec()), value.map(Bytes::from));
        Ok(())
    }

    fn set_state(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        self.layers.state.set(StateKey::from(key), value.map(Bytes::from));
        Ok(())
    }

    fn clear_state(&mut self) -> Result<(), StoreError> {
        self.layers.state.clear();
        Ok(())
    }

    fn put_record(&mut self, record: &StoredRecord) -> Result<(), StoreError> {
        self.layers.put(record.clone())
    }

    fn settle(&mut self, id: &RecordId, standing: Standing) -> Result<(), StoreError> {
        let mut record = View::record(&self.layers, id)?.ok_or_else(|| missing(id))?;
        record.standing = standing;
        self.layers.put(record)
    }

    fn remove_record(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.layers.remove(id);
        Ok(())
    }

    fn append_block(&mut self, block: &StoredBlock) -> Result<(), StoreError> {
        let expected = self.layers.blocks.last().map_or(0, |(height, _)| height + 1);
        if block.height != expected {
            let found = block.height;
            return Err(StoreError::Damaged(format!(
                "block {found} cannot be appended where block {expected} is due"
            )));
        }
        if let Some(height) = self.layers.heights.get(&block.id) {
            return Err(StoreError::Damaged(format!(
                "block {} is already there at height {height}",
                block.id
            )));
        }
        self.layers.heights.set(block.id, Some(block.height));
        self.layers.blocks.set(block.height, Some(Arc::new(block.clone())));
        Ok(())
    }

    fn remove_tip(&mut self) -> Result<(), StoreError> {
        let tip = self.tip()?.ok_or_else(|| StoreError::Damaged("there is no block".into()))?;
        if let Some(record) = self.records_of(tip.height)?.first() {
            let (id, height) = (record.id, tip.height);
            return Err(StoreError::Damaged(format!("record {id} is still in block {height}")));
        }
        self.layers.heights.set(tip.id, None);
        self.layers.blocks.set(tip.height, None);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { store, layers, _writer } = *self;
        // Lets go of the tables first, or they would be copied for nobody.
        let changes: LayerChanges = layers.into_changes();
        store.committed.write().unwrap_or_else(PoisonError::into_inner).write(changes);
        store.commits.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_the_suite_of_stores() {
        crate::conformance::store::suite(&|| Box::new(MemoryStore::new()));
    }
}
