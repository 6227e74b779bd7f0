//! Entries that many records of a batch ask for, read once.

use super::{Enrolment, Known, MemberEntry, StateRead};
use crate::ids::MemberId;
use crate::store::{Row, StoreError};
use foldhash::fast::RandomState;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Entries of a kind remembered at most.
const MOST: usize = 4096;

/// A state whose members and enrolments are asked of the store, and read, once. For as long as nobody writes to
/// that state: whoever makes one holds a view or the only unit.
pub(crate) struct ReadOnce<'a> {
    base: &'a dyn StateRead,
    memo: Memo,
}

impl<'a> ReadOnce<'a> {
    pub(crate) fn new(base: &'a dyn StateRead) -> Self {
        Self::with(base, Memo::default())
    }

    /// As [`new`](Self::new), with what was read before of the very same state.
    pub(crate) fn with(base: &'a dyn StateRead, memo: Memo) -> Self {
        Self { base, memo }
    }

    /// What was read.
    pub(crate) fn into_memo(self) -> Memo {
        self.memo
    }
}

impl StateRead for ReadOnce<'_> {
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.base.state(key)
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.base.state_scan(prefix, after, limit)
    }

    fn known(&self) -> Option<&Known> {
        self.base.known()
    }

    fn memo(&self, _: &[u8]) -> Option<&Memo> {
        Some(&self.memo)
    }
}

type Remembered<K, V> = RefCell<HashMap<K, Option<Arc<V>>, RandomState>>;

/// Members and enrolments as they were read, those that are not there included.
#[derive(Default)]
pub struct Memo {
    members: Remembered<MemberId, MemberEntry>,
    enrolments: Remembered<(MemberId, MemberId), Enrolment>,
}

impl Memo {
    /// The member, by `read` if nobody asked before.
    pub(super) fn member(
        &self,
        id: &MemberId,
        read: impl FnOnce() -> Result<Option<Arc<MemberEntry>>, StoreError>,
    ) -> Result<Option<Arc<MemberEntry>>, StoreError> {
        once(&self.members, *id, read)
    }

    /// As [`member`](Self::member), the enrolment of a patient at a hospital.
    pub(super) fn enrolment(
        &self,
        who: (MemberId, MemberId),
        read: impl FnOnce() -> Result<Option<Arc<Enrolment>>, StoreError>,
    ) -> Result<Option<Arc<Enrolment>>, StoreError> {
        once(&self.enrolments, who, read)
    }

    /// The entry with this key is another now.
    pub(super) fn forget(&mut self, key: &[u8]) {
        match key.split_first() {
            Some((b'm', id)) => {
                if let Ok(id) = MemberId::try_from(id) {
                    self.members.get_mut().remove(&id);
                }
            }
            Some((b'e', ids)) => {
                if let Some((patient, hospital)) = ids.split_at_checked(MemberId::LEN)
                    && let (Ok(patient), Ok(hospital)) = (patient.try_into(), hospital.try_into())
                {
                    self.enrolments.get_mut().remove(&(patient, hospital));
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

fn once<K: Hash + Eq, V>(
    read_before: &Remembered<K, V>,
    key: K,
    read: impl FnOnce() -> Result<Option<Arc<V>>, StoreError>,
) -> Result<Option<Arc<V>>, StoreError> {
    if let Some(entry) = read_before.borrow().get(&key) {
        return Ok(entry.clone());
    }
    let entry = read()?;
    let mut entries = read_before.borrow_mut();
    if entries.len() >= MOST {
        entries.clear();
    }
    entries.insert(key, entry.clone());
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Change, Changes, State, key};
    use crate::testing::{DOCTOR, HOSPITAL, OTHER_DOCTOR, PATIENT, World, id};
    use std::cell::Cell;

    /// Counts what it is asked for.
    struct Counts<'a>(&'a dyn StateRead, Cell<usize>);

    impl StateRead for Counts<'_> {
        fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.1.set(self.1.get() + 1);
            self.0.state(key)
        }

        fn state_scan(
            &self,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Vec<Row>, StoreError> {
            self.0.state_scan(prefix, after, limit)
        }
    }

    #[test]
    fn a_batch_asks_once_and_sees_what_it_changed_itself() {
        let world = World::peopled();
        let counts = Counts(world.state().0, Cell::new(0));
        let once = ReadOnce::new(&counts);
        let mut changes = Changes::default();
        let stranger = id(77);
        for _ in 0..3 {
            let over = changes.over(&once);
            let state = State::new(&over);
            assert!(state.member(&id(DOCTOR)).unwrap().is_some());
            assert!(state.member(&stranger).unwrap().is_none());
            assert_eq!(state.enrolment(&id(PATIENT), &id(HOSPITAL)).unwrap().unwrap().epoch, 1);
            assert!(state.enrolment(&id(PATIENT), &stranger).unwrap().is_none());
        }
        assert_eq!(counts.1.get(), 4);
        // A member that was not there, one that changes, one that goes; and the base is as before.
        let doctor = world.state().member(&id(DOCTOR)).unwrap().unwrap();
        let other = MemberEntry { height: 99, ..doctor };
        let set = |who, entry: Option<&MemberEntry>| Change {
            key: key::member(&who),
            value: entry.map(crate::cbor::encode),
        };
        changes.extend(vec![set(stranger, Some(&other)), set(id(DOCTOR), None)]);
        changes.extend(vec![set(id(OTHER_DOCTOR), Some(&other))]);
        let over = changes.over(&once);
        let state = State::new(&over);
        assert_eq!(state.member(&stranger).unwrap().as_ref(), Some(&other));
        assert_eq!(state.member(&id(OTHER_DOCTOR)).unwrap().as_ref(), Some(&other));
        assert_eq!(state.member(&id(DOCTOR)).unwrap(), None);
        assert!(State::new(&once).member(&id(DOCTOR)).unwrap().is_some());
        assert_eq!(counts.1.get(), 4);
    }

    #[test]
    fn a_failure_is_not_remembered() {
        let memo = Memo::default();
        let failed = || Err(StoreError::Damaged("entry".into()));
        assert!(memo.member(&id(DOCTOR), failed).is_err());
        assert!(memo.member(&id(DOCTOR), || Ok(None)).unwrap().is_none());
        assert!(memo.member(&id(DOCTOR), failed).unwrap().is_none(), "remembered");
    }
}
