//! What sessions under way rely on, and what a collection beside them has to spare.

use super::{Key, StoreError};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// The one place where sessions, deletions and a collection agree.
///
/// A session *claims* each block before it looks whether the block is there; nothing deletes a
/// claimed block, and looking and deleting both happen under the lock. A session that ends lets go.
/// While a collection is on, claims are noted in `spared` too and stay there until it ends: it may
/// have marked before the session pinned what it claimed.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    in_use: Mutex<InUse>,
    pinning: RwLock<()>,
}

#[derive(Debug, Default)]
struct InUse {
    /// Blocks that sessions under way claimed, and how many of them did.
    claims: HashMap<Key, usize>,
    /// While a collection is on: every block claimed at its beginning or since.
    spared: Option<HashSet<Key>>,
}

impl Guard {
    fn in_use(&self) -> MutexGuard<'_, InUse> {
        // No step leaves a half-done state, so a panic elsewhere does not matter.
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on no one deletes the block.
    pub(crate) fn claim(&self, key: Key) {
        let mut in_use = self.in_use();
        *in_use.claims.entry(key).or_default() += 1;
        if let Some(spared) = &mut in_use.spared {
            spared.insert(key);
        }
    }

    /// Takes claims back, one for each key.
    pub(crate) fn let_go<'a>(&self, keys: impl Iterator<Item = &'a Key>) {
        let mut in_use = self.in_use();
        for key in keys {
            if let Some(count) = in_use.claims.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    in_use.claims.remove(key);
                }
            }
        }
    }

    /// Does `delete` unless the block is claimed; no one claims it meanwhile.
    pub(crate) fn unless_claimed<T>(&self, key: &Key, delete: impl FnOnce() -> T) -> Option<T> {
        let in_use = self.in_use();
        if in_use.claims.contains_key(key) { None } else { Some(delete()) }
    }

    /// Does `delete` unless the collection has to spare the block.
    pub(crate) fn unless_spared<T>(&self, key: &Key, delete: impl FnOnce() -> T) -> Option<T> {
        let in_use = self.in_use();
        let spared = in_use.spared.as_ref().is_some_and(|spared| spared.contains(key));
        if spared { None } else { Some(delete()) }
    }

    /// Begins a collection; only one at a time is possible.
    pub(crate) fn begin_sweep(&self) -> Result<(), StoreError> {
        let mut in_use = self.in_use();
        if in_use.spared.is_some() {
            return Err(StoreError::Sweeping);
        }
        in_use.spared = Some(in_use.claims.keys().copied().collect());
        Ok(())
    }

    pub(crate) fn end_sweep(&self) {
        self.in_use().spared = None;
    }

    /// Held while a pin is set, changed or taken back.
    pub(crate) fn changing_pins(&self) -> RwLockReadGuard<'_, ()> {
        self.pinning.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while all pins are listed as they are at one moment: a listing of a folder that changes
    /// may miss both the pin that replaces another and the one replaced.
    pub(crate) fn pins_at_rest(&self) -> RwLockWriteGuard<'_, ()> {
        self.pinning.write().unwrap_or_else(PoisonError::into_inner)
    }
}
