//! Members and enrolments that were read before.

use super::{Enrolment, MemberEntry};
use crate::ids::MemberId;
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries of a kind remembered at most.
const MOST: usize = 4096;

/// Members and enrolments that were read before, so that a block with many records of one author and one patient looks at
/// their keys once: to find out whether a key is a point of its curve is dear (`docs/benchmarks.md`).
///
/// Each is remembered beside the bytes it was read from, which are compared: what changed is read anew.
#[derive(Default)]
pub struct Known(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    members: Shelf<MemberId, MemberEntry>,
    enrolments: Shelf<(MemberId, MemberId), Enrolment>,
}

/// What was read, beside the bytes it was read from.
type Shelf<K, V> = BTreeMap<K, (Vec<u8>, V)>;

impl Known {
    /// The member in these bytes, by `read` if they were not seen before.
    pub(super) fn member(
        &self,
        id: &MemberId,
        bytes: Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<MemberEntry, StoreError>,
    ) -> Result<MemberEntry, StoreError> {
        remembered(&mut self.lock().members, *id, bytes, read)
    }

    /// As [`member`](Self::member), the enrolment of a patient at a hospital.
    pub(super) fn enrolment(
        &self,
        who: (MemberId, MemberId),
        bytes: Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<Enrolment, StoreError>,
    ) -> Result<Enrolment, StoreError> {
        remembered(&mut self.lock().enrolments, who, bytes, read)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remembered<K: Ord, V: Clone>(
    shelf: &mut Shelf<K, V>,
    key: K,
    bytes: Vec<u8>,
    read: impl FnOnce(&[u8]) -> Result<V, StoreError>,
) -> Result<V, StoreError> {
    if let Some((_, entry)) = shelf.get(&key).filter(|(before, _)| *before == bytes) {
        return Ok(entry.clone());
    }
    let entry = read(&bytes)?;
    if shelf.len() >= MOST {
        shelf.clear();
    }
    shelf.insert(key, (bytes, entry.clone()));
    Ok(entry)
}

/// Nothing is lost when a copy has to read again.
impl Clone for Known {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What is remembered makes no difference.
impl PartialEq for Known {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Known {}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, id};

    #[test]
    fn a_member_is_read_once_and_anew_when_its_bytes_change() {
        let world = World::peopled();
        let member = world.state().member(&id(2)).unwrap().unwrap();
        let (known, mut reads) = (Known::default(), 0);
        let mut read = |bytes: &[u8], height| {
            let read = |_: &[u8]| {
                reads += 1;
                Ok(MemberEntry { height, ..member.clone() })
            };
            let found = known.member(&id(2), bytes.to_vec(), read).unwrap().height;
            (found, reads)
        };
        assert_eq!(read(b"one", 7), (7, 1));
        assert_eq!(read(b"one", 8), (7, 1), "remembered");
        assert_eq!(read(b"two", 9), (9, 2), "changed");
        assert_eq!(read(b"one", 10), (10, 3), "only the last is remembered");
        let damaged = |_: &[u8]| Err(StoreError::Damaged("entry".into()));
        assert!(known.member(&id(2), b"bad".to_vec(), damaged).is_err());
        assert_eq!(read(b"one", 11), (10, 3), "a failure is not");
    }
}
