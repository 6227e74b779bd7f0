//! Entries by key, kept in the order of their keys only where somebody asks for it.

use crate::small_key::StateKey;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries of a state, or changes to one. Most records look at a few keys and set a few others; only a few kinds ask
/// for all keys that begin alike. So each key is found by its hash, and the keys of a table (those with one first byte)
/// are put in order when they are first asked for, and kept so from then on.
pub(super) struct Table<V> {
    entries: HashMap<StateKey, V, RandomState>,
    order: Mutex<BTreeMap<u8, BTreeSet<StateKey>>>,
}

impl<V> Table<V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn set(&mut self, key: StateKey, value: V) {
        if let Some(keys) = self.keys_beside(&key) {
            keys.insert(key.clone());
        }
        self.entries.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &StateKey) {
        if let Some(keys) = self.keys_beside(key) {
            keys.remove(key);
        }
        self.entries.remove(key);
    }

    /// The ordered keys of the table of this one, if anybody asked for them.
    fn keys_beside(&mut self, key: &StateKey) -> Option<&mut BTreeSet<StateKey>> {
        let order = self.order.get_mut().unwrap_or_else(PoisonError::into_inner);
        if order.is_empty() {
            return None;
        }
        order.get_mut(key.as_bytes().first()?)
    }

    /// All entries, in key order.
    pub(super) fn sorted(&self) -> Vec<(&StateKey, &V)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// Entries whose key begins with `prefix` and is greater than `after`, in key order, at most so many.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Vec<(StateKey, &V)> {
        let Some(first) = prefix.first() else { return self.scan_all(after, limit) };
        let mut order = self.lock();
        let keys = order.entry(*first).or_insert_with(|| {
            let keys = self.entries.keys().filter(|key| key.as_bytes().first() == Some(first));
            keys.cloned().collect()
        });
        let start = match after {
            Some(after) if after >= prefix => std::ops::Bound::Excluded(after),
            _ => std::ops::Bound::Included(prefix),
        };
        keys.range::<[u8], _>((start, std::ops::Bound::Unbounded))
            .take_while(|key| key.as_bytes().starts_with(prefix))
            .take(limit)
            .filter_map(|key| Some((key.clone(), self.entries.get(key)?)))
            .collect()
    }

    fn scan_all(&self, after: Option<&[u8]>, limit: usize) -> Vec<(StateKey, &V)> {
        let mut found = Vec::new();
        // The empty key comes before all others, and is in no table.
        if let (None, Some((key, value))) = (after, self.entries.get_key_value(&[][..])) {
            found.push((key.clone(), value));
        }
        let from = after.and_then(|after| after.first().copied()).unwrap_or(0);
        let tables: BTreeSet<u8> =
            self.entries.keys().filter_map(|key| key.as_bytes().first().copied()).collect();
        for table in tables.range(from..) {
            let left = limit.saturating_sub(found.len());
            found.extend(self.scan(&[*table], after, left));
        }
        found.truncate(limit);
        found
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u8, BTreeSet<StateKey>>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { entries: HashMap::default(), order: Mutex::default() }
    }
}

/// Order is made anew where it is asked for.
impl<V: Clone> Clone for Table<V> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), order: Mutex::default() }
    }
}

impl<V: PartialEq> PartialEq for Table<V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<V: Eq> Eq for Table<V> {}

impl<V: fmt::Debug> fmt::Debug for Table<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.sorted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(Vec<u8>, u8),
        Remove(Vec<u8>),
        Scan(Vec<u8>, Option<Vec<u8>>, usize),
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0u8..3, 0..4)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (key(), any::<u8>()).prop_map(|(key, value)| Step::Set(key, value)),
            key().prop_map(Step::Remove),
            (key(), proptest::option::of(key()), 0usize..9)
                .prop_map(|(prefix, after, limit)| Step::Scan(prefix, after, limit)),
        ]
    }

    proptest! {
        #[test]
        fn it_is_an_ordered_map(steps in proptest::collection::vec(step(), 0..60)) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Set(key, value) => {
                        table.set(StateKey::from(key.as_slice()), value);
                        map.insert(key, value);
                    }
                    Step::Remove(key) => {
                        table.remove(&StateKey::from(key.as_slice()));
                        map.remove(&key);
                    }
                    Step::Scan(prefix, after, limit) => {
                        let found = table.scan(&prefix, after.as_deref(), limit);
                        let found: Vec<_> =
                            found.iter().map(|(key, value)| (key.as_bytes(), **value)).collect();
                        let expected: Vec<_> = map
                            .iter()
                            .filter(|(key, _)| {
                                key.starts_with(&prefix)
                                    && after.as_ref().is_none_or(|after| *key > after)
                            })
                            .take(limit)
                            .map(|(key, value)| (key.as_slice(), *value))
                            .collect();
                        prop_assert_eq!(found, expected);
                    }
                }
                prop_assert_eq!(table.len(), map.len());
                let sorted: Vec<_> =
                    table.sorted().iter().map(|(key, value)| (key.as_bytes(), **value)).collect();
                let expected: Vec<_> = map.iter().map(|(key, value)| (key.as_slice(), *value)).collect();
                prop_assert_eq!(sorted, expected);
                for key in map.keys() {
                    prop_assert_eq!(table.get(key), map.get(key));
                }
            }
        }
    }
}
