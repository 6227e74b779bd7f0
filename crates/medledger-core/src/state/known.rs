//! Members that were read before.

use super::MemberEntry;
use crate::ids::MemberId;
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Members remembered at most: 12 MB of them.
const MOST: usize = 4096;

/// Members that were read before, so that a block with many records of one author, and a reader who opens many reports,
/// have their keys looked at once: to find out whether a key is a point of its curve is dear (`docs/benchmarks.md`).
///
/// Each is remembered beside the bytes it was read from, which are compared: what changed, or was damaged since, is read
/// anew. So a store can keep one for all its views, whatever is written meanwhile.
#[derive(Default)]
pub struct Known(Mutex<Generations>);

/// Those seen since the last turn, and those of before it: when the young are half of [`MOST`], they become the old ones
/// and the old are forgotten, unless they were seen again.
#[derive(Default)]
struct Generations {
    young: BTreeMap<MemberId, Remembered>,
    old: BTreeMap<MemberId, Remembered>,
}

type Remembered = (Vec<u8>, Arc<MemberEntry>);

impl Generations {
    /// What was read from these bytes.
    fn find(&mut self, id: &MemberId, bytes: &[u8]) -> Option<Arc<MemberEntry>> {
        let same = |found: &&Remembered| found.0 == bytes;
        if let Some((_, entry)) = self.young.get(id).filter(same) {
            return Some(Arc::clone(entry));
        }
        let found = self.old.remove(id).filter(|found| found.0 == bytes)?;
        let entry = Arc::clone(&found.1);
        self.add(*id, found);
        Some(entry)
    }

    fn add(&mut self, id: MemberId, remembered: Remembered) {
        if self.young.len() >= MOST / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, remembered);
    }
}

impl Known {
    /// The member in these bytes, by `read` if they were not seen before.
    pub(super) fn member(
        &self,
        id: &MemberId,
        bytes: Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<MemberEntry, StoreError>,
    ) -> Result<Arc<MemberEntry>, StoreError> {
        let members = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = members().find(id, &bytes) {
            return Ok(entry);
        }
        // Others need not wait for this one.
        let entry = Arc::new(read(&bytes)?);
        members().add(*id, (bytes, Arc::clone(&entry)));
        Ok(entry)
    }
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

    #[test]
    fn who_is_seen_again_stays_and_who_is_not_goes() {
        let world = World::peopled();
        let member = world.state().member(&id(2)).unwrap().unwrap();
        let known = Known::default();
        let read = |number: usize| {
            let mut reads = 0;
            let mut bytes = [0; MemberId::LEN];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            let read = |_: &[u8]| {
                reads += 1;
                Ok(member.clone())
            };
            known.member(&MemberId::from_bytes(bytes), vec![1], read).unwrap();
            reads
        };
        let remembered = || {
            let members = known.0.lock().unwrap();
            members.young.len() + members.old.len()
        };
        assert_eq!([read(0), read(1)], [1, 1]);
        for number in 2..3 * MOST {
            assert_eq!(read(number), 1);
            assert_eq!(read(0), 0, "seen all the time");
            assert!(remembered() <= MOST);
        }
        assert_eq!(read(1), 1, "forgotten");
    }
}
