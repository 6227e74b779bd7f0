//! Committed tables, and the changes of one unit laid over them.

use crate::ids::{BlockId, RecordId};
use crate::small_key::StateKey;
use crate::store::{Drawer, Standing, StoreError, StoredBlock, StoredRecord};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Bytes that many snapshots share.
pub(super) type Bytes = Arc<[u8]>;

/// A record with the number under which it first came here.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) born: u64,
    pub(super) record: Arc<StoredRecord>,
}

/// A committed table. Cloning it shares it; a writer copies it only while a snapshot needs the old.
#[derive(Debug)]
pub(super) struct Table<K, V>(Arc<BTreeMap<K, V>>);

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// A table with changes laid over it.
#[derive(Debug)]
pub(super) struct Layered<K, V> {
    base: Table<K, V>,
    changes: BTreeMap<K, Option<V>>,
}

impl<K: Ord + Clone, V: Clone> Layered<K, V> {
    pub(super) fn over(base: &Table<K, V>) -> Self {
        Self { base: base.clone(), changes: BTreeMap::new() }
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self.changes.get(key) {
            Some(change) => change.as_ref(),
            None => self.base.0.get(key),
        }
    }

    /// Entries from `start` on, in key order.
    pub(super) fn from(&self, start: Bound<&K>) -> impl Iterator<Item = (&K, &V)> {
        let mut base = self.base.0.range((start, Bound::Unbounded)).peekable();
        let mut changes = self.changes.range((start, Bound::Unbounded)).peekable();
        std::iter::from_fn(move || {
            loop {
                let changed = match (base.peek(), changes.peek()) {
                    (Some((old, _)), Some((new, _))) => new <= old,
                    (None, Some(_)) => true,
                    (_, None) => return base.next(),
                };
                if !changed {
                    return base.next();
                }
                let (key, value) = changes.next()?;
                base.next_if(|(old, _)| *old == key);
                if let Some(value) = value {
                    return Some((key, value));
                }
            }
        })
    }

    pub(super) fn last(&self) -> Option<(&K, &V)> {
        let mut base = self.base.0.iter().rev().peekable();
        let mut changes = self.changes.iter().rev().peekable();
        loop {
            let changed = match (base.peek(), changes.peek()) {
                (Some((old, _)), Some((new, _))) => new >= old,
                (None, Some(_)) => true,
                (_, None) => return base.next(),
            };
            if !changed {
                return base.next();
            }
            let (key, value) = changes.next()?;
            base.next_if(|(old, _)| *old == key);
            if let Some(value) = value {
                return Some((key, value));
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        let mut count = self.base.0.len();
        for (key, value) in &self.changes {
            match (self.base.0.contains_key(key), value.is_some()) {
                (true, false) => count -= 1,
                (false, true) => count += 1,
                _ => {}
            }
        }
        count
    }

    pub(super) fn set(&mut self, key: K, value: Option<V>) {
        self.changes.insert(key, value);
    }

    pub(super) fn clear(&mut self) {
        self.changes = self.base.0.keys().map(|key| (key.clone(), None)).collect();
    }

    /// Takes the changes, and lets go of the table they were made for.
    fn into_changes(self) -> BTreeMap<K, Option<V>> {
        self.changes
    }
}

fn write<K: Ord + Clone, V: Clone>(table: &mut Table<K, V>, changes: BTreeMap<K, Option<V>>) {
    if changes.is_empty() {
        return;
    }
    let entries = Arc::make_mut(&mut table.0);
    for (key, value) in changes {
        match value {
            Some(value) => entries.insert(key, value),
            None => entries.remove(&key),
        };
    }
}

macro_rules! tables {
    ($($name:ident: $key:ty => $value:ty),* $(,)?) => {
        /// What is committed.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Tables {
            $($name: Table<$key, $value>,)*
        }

        /// What one snapshot or unit sees.
        #[derive(Debug)]
        pub(super) struct Layers {
            $(pub(super) $name: Layered<$key, $value>,)*
        }

        impl Layers {
            pub(super) fn over(tables: &Tables) -> Self {
                Self { $($name: Layered::over(&tables.$name),)* }
            }

            pub(super) fn into_changes(self) -> LayerChanges {
                LayerChanges { $($name: self.$name.into_changes(),)* }
            }
        }

        /// What a unit changed.
        pub(super) struct LayerChanges {
            $($name: BTreeMap<$key, Option<$value>>,)*
        }

        impl Tables {
            pub(super) fn write(&mut self, changes: LayerChanges) {
                $(write(&mut self.$name, changes.$name);)*
            }
        }
    };
}

tables! {
    state: StateKey => Bytes,
    local: (Drawer, Vec<u8>) => Bytes,
    blocks: u64 => Arc<StoredBlock>,
    heights: BlockId => u64,
    records: RecordId => Kept,
    born: u64 => RecordId,
    mined: (u64, u32) => RecordId,
    queue: u64 => RecordId,
    refused: u64 => RecordId,
}

impl Layers {
    pub(super) fn record(&self, id: &RecordId) -> Result<StoredRecord, StoreError> {
        let kept = self.records.get(id);
        kept.map(|kept| StoredRecord::clone(&kept.record)).ok_or_else(|| missing(id))
    }

    /// Adds a record or replaces the one with its id, and keeps the indexes.
    pub(super) fn put(&mut self, record: StoredRecord) -> Result<(), StoreError> {
        let id = record.id;
        let taken = match record.standing {
            Standing::Accepted { seq } => self.queue.get(&seq).copied(),
            Standing::Mined { height, index } => self.mined.get(&(height, index)).copied(),
            Standing::Refused { .. } => None,
        };
        if let Some(other) = taken.filter(|other| *other != id) {
            return Err(StoreError::Damaged(format!(
                "records {other} and {id} would stand in the same place"
            )));
        }
        let next = || self.born.last().map_or(0, |(born, _)| born + 1);
        let born = self.records.get(&id).map_or_else(next, |kept| kept.born);
        self.leave(&id);
        match record.standing {
            Standing::Accepted { seq } => self.queue.set(seq, Some(id)),
            Standing::Mined { height, index } => self.mined.set((height, index), Some(id)),
            Standing::Refused { .. } => self.refused.set(born, Some(id)),
        }
        self.born.set(born, Some(id));
        self.records.set(id, Some(Kept { born, record: Arc::new(record) }));
        Ok(())
    }

    /// Removes a record and its place in the indexes.
    pub(super) fn remove(&mut self, id: &RecordId) {
        if let Some(born) = self.leave(id) {
            self.born.set(born, None);
            self.records.set(*id, None);
        }
    }

    /// Frees the place a record stands in; says when it came.
    fn leave(&mut self, id: &RecordId) -> Option<u64> {
        let Kept { born, record } = self.records.get(id)?;
        let (born, old) = (*born, record.standing);
        match old {
            Standing::Accepted { seq } => self.queue.set(seq, None),
            Standing::Mined { height, index } => self.mined.set((height, index), None),
            Standing::Refused { .. } => self.refused.set(born, None),
        }
        Some(born)
    }
}

pub(super) fn missing(id: &RecordId) -> StoreError {
    StoreError::Damaged(format!("there is no record {id}"))
}
