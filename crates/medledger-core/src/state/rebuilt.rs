//! A state as it follows from blocks, in memory.

use super::table::Table;
use super::{Change, Known, Memo, StateRead};
use crate::small_key::StateValue;
use crate::store::{Row, StoreError};

/// The state that a replay folds block by block.
///
/// ```
/// use medledger_core::state::{Rebuilt, StateRead};
/// let state = Rebuilt::default();
/// assert_eq!(state.state(b"c")?, None);
/// assert_eq!(state.first_difference(&Rebuilt::default())?, None);
/// # Ok::<(), medledger_core::store::StoreError>(())
/// ```
#[derive(Debug, Default)]
pub struct Rebuilt {
    entries: Table<StateValue>,
    known: Known,
    memo: Memo,
}

impl Rebuilt {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn write(&mut self, changes: Vec<Change>) {
        for Change { key, value } in changes {
            self.memo.forget(&key);
            match value {
                Some(value) => self.entries.set(key, value.into()),
                None => self.entries.remove(&key),
            }
        }
    }

    /// The first key whose entry in `other` is another than here; `None` when both states are the same.
    ///
    /// # Errors
    /// When a store fails.
    pub fn first_difference(&self, other: &dyn StateRead) -> Result<Option<Vec<u8>>, StoreError> {
        const ROWS: usize = 1000;
        let mut after: Option<Vec<u8>> = None;
        let mut same = 0;
        loop {
            let rows = other.state_scan(&[], after.as_deref(), ROWS)?;
            let same_as =
                |(key, value): &&Row| self.entries.get(key).is_some_and(|own| **own == **value);
            let differs = |row: &&Row| !same_as(row);
            let first = rows.iter().find(differs).map(|(key, _)| key);
            same += rows.len();
            // An entry that is here only may come before, and is looked for only when something is amiss.
            match (rows.last(), first) {
                (_, Some(first)) => return self.first_missing(other, Some(first)),
                (Some(last), None) if rows.len() == ROWS => after = Some(last.0.clone()),
                _ if same == self.entries.len() => return Ok(None),
                _ => return self.first_missing(other, None),
            }
        }
    }

    /// The first key that is not in `other`, or `differs`, whichever comes first.
    fn first_missing(
        &self,
        other: &dyn StateRead,
        differs: Option<&Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        for (key, _) in self.entries.sorted() {
            let key = key.as_bytes();
            if differs.is_some_and(|differs| differs.as_slice() <= key) {
                break;
            }
            if other.state(key)?.is_none() {
                return Ok(Some(key.to_vec()));
            }
        }
        Ok(differs.cloned())
    }
}

impl StateRead for Rebuilt {
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.get(key).map(|value| value.to_vec()))
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.entries.scan(prefix, after, limit).into_iter();
        Ok(rows.map(|(key, value)| (key.as_bytes().to_vec(), value.to_vec())).collect())
    }

    fn known(&self) -> Option<&Known> {
        Some(&self.known)
    }

    fn memo(&self, _: &[u8]) -> Option<&Memo> {
        Some(&self.memo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::first_difference;
    use crate::state::{MemberEntry, State, StateKey, key};
    use crate::testing::{DOCTOR, HOSPITAL, Map, PATIENT, World, id};
    use proptest::prelude::*;

    fn change(key: &[u8], value: Option<Vec<u8>>) -> Change {
        Change { key: StateKey::from(key), value }
    }

    #[test]
    fn what_was_remembered_is_read_anew_once_it_is_written() {
        let world = World::peopled();
        let mut state = Rebuilt::default();
        state.write(world.state.0.iter().map(|(k, v)| change(k, Some(v.clone()))).collect());
        let doctor = State::new(&state).member(&id(DOCTOR)).unwrap().unwrap();
        let enrolled = |state: &Rebuilt| {
            State::new(state).enrolment(&id(PATIENT), &id(HOSPITAL)).unwrap().map(|e| e.epoch)
        };
        assert_eq!(enrolled(&state), Some(1));
        let other = MemberEntry { height: 99, ..doctor };
        state.write(vec![
            change(&key::member(&id(DOCTOR)), Some(crate::cbor::encode(&other))),
            change(&key::enrolment(&id(PATIENT), &id(HOSPITAL)), None),
        ]);
        assert_eq!(State::new(&state).member(&id(DOCTOR)).unwrap(), Some(other));
        assert_eq!(enrolled(&state), None);
    }

    fn entries() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        let bytes = |max| proptest::collection::vec(0u8..3, 0..max);
        proptest::collection::vec((bytes(3), bytes(2)), 0..12)
    }

    proptest! {
        #[test]
        fn the_first_difference_is_that_of_ordered_states(one in entries(), two in entries(), alike in any::<bool>()) {
            let (mut ours, mut map, mut theirs) = (Rebuilt::default(), Map::default(), Map::default());
            let set = |(key, value): &(Vec<u8>, Vec<u8>)| change(key, Some(value.clone()));
            ours.write(one.iter().map(set).collect());
            map.write(one.iter().map(set).collect());
            let base = if alike { one.iter().chain(&two).map(set).collect() } else { two.iter().map(set).collect() };
            theirs.write(base);
            prop_assert_eq!(
                ours.first_difference(&theirs).unwrap(),
                first_difference(&map, &theirs).unwrap()
            );
            prop_assert_eq!(ours.first_difference(&map).unwrap(), None);
            prop_assert_eq!(ours.len(), map.0.len());
        }
    }
}
