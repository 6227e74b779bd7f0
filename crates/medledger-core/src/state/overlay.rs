//! Changes laid over a state, so that records can be judged before anything is written.

use super::table::Table;
use super::{Change, Known, Memo, StateRead};
use crate::small_key::StateValue;
use crate::store::{Row, StoreError};
use std::collections::BTreeMap;

/// Entries set (`Some`) and removed (`None`) since some base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(Table<Option<StateValue>>, Known);

impl Changes {
    /// Adds further changes; later ones win.
    pub fn extend(&mut self, changes: Vec<Change>) {
        for Change { key, value } in changes {
            self.0.set(key, value.map(StateValue::from));
        }
    }

    /// Lays further changes over these.
    pub(crate) fn lay(&mut self, changes: &Self) {
        for (key, value) in changes.0.sorted() {
            self.0.set(key.clone(), value.clone());
        }
    }

    /// The changes, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.sorted().into_iter().map(|(key, value)| (key.as_bytes(), value.as_deref()))
    }

    /// These changes over `base`.
    #[must_use]
    pub fn over<'a>(&'a self, base: &'a dyn StateRead) -> Overlay<'a> {
        Overlay { base, changes: self }
    }
}

/// A base state with changes laid over it.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    base: &'a dyn StateRead,
    changes: &'a Changes,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Overlay({} changes)", self.changes.0.len())
    }
}

impl StateRead for Overlay<'_> {
    fn known(&self) -> Option<&Known> {
        // That of a store lasts longer.
        self.base.known().or(Some(&self.changes.1))
    }

    fn memo(&self, key: &[u8]) -> Option<&Memo> {
        if self.changes.0.get(key).is_some() { None } else { self.base.memo(key) }
    }

    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.0.get(key) {
            Some(value) => Ok(value.as_ref().map(|value| value.to_vec())),
            None => self.base.state(key),
        }
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let changed = self.changes.0.scan(prefix, after, usize::MAX);
        // Each change can hide one row of the base, so that many more are asked for.
        let from_base = self.base.state_scan(prefix, after, limit.saturating_add(changed.len()))?;
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = from_base.into_iter().collect();
        for (key, value) in changed {
            match value {
                Some(value) => rows.insert(key.as_bytes().to_vec(), value.to_vec()),
                None => rows.remove(key.as_bytes()),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    fn state_scans(&self, prefixes: &[&[u8]]) -> Result<Vec<Row>, StoreError> {
        if self.changes.0.len() == 0 {
            return self.base.state_scans(prefixes);
        }
        super::scans_one_by_one(self, prefixes)
    }

    fn state_led_to(
        &self,
        prefixes: &[&[u8]],
        table: u8,
        id: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if self.changes.0.len() == 0 {
            return self.base.state_led_to(prefixes, table, id);
        }
        super::led_to_one_by_one(self, prefixes, table, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateKey;
    use proptest::prelude::*;

    struct Map(BTreeMap<Vec<u8>, Vec<u8>>);

    impl StateRead for Map {
        fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.0.get(key).cloned())
        }

        fn state_scan(
            &self,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Vec<Row>, StoreError> {
            let rows = self.0.iter().filter(|(key, _)| {
                key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after)
            });
            Ok(rows.take(limit).map(|(k, v)| (k.clone(), v.clone())).collect())
        }
    }

    proptest! {
        #[test]
        fn reads_like_a_map_with_the_changes_written(
            base in proptest::collection::btree_map(
                proptest::collection::vec(0u8..3, 0..4), proptest::collection::vec(0u8..3, 0..2), 0..30),
            changes in proptest::collection::vec(
                (proptest::collection::vec(0u8..3, 0..4), proptest::option::of(proptest::collection::vec(0u8..3, 0..2))), 0..30),
            prefix in proptest::collection::vec(0u8..3, 0..3),
            after in proptest::option::of(proptest::collection::vec(0u8..3, 0..4)),
            limit in 0usize..20,
        ) {
            let mut written = Map(base.clone());
            let mut laid = Changes::default();
            for (key, value) in changes {
                match &value {
                    Some(value) => written.0.insert(key.clone(), value.clone()),
                    None => written.0.remove(&key),
                };
                laid.extend(vec![Change { key: StateKey::from(key.as_slice()), value }]);
            }
            let base = Map(base);
            let overlay = laid.over(&base);
            prop_assert_eq!(
                overlay.state_scan(&prefix, after.as_deref(), limit).unwrap(),
                written.state_scan(&prefix, after.as_deref(), limit).unwrap()
            );
            prop_assert_eq!(overlay.state(&prefix).unwrap(), written.state(&prefix).unwrap());
            let prefixes = [&prefix[..], &[1]];
            prop_assert_eq!(overlay.state_scans(&prefixes).unwrap(), written.state_scans(&prefixes).unwrap());
            for id in 0..3 {
                prop_assert_eq!(
                    overlay.state_led_to(&prefixes, 1, id).unwrap(),
                    written.state_led_to(&prefixes, 1, id).unwrap()
                );
            }
        }
    }
}
