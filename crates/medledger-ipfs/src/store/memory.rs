//! A store that lives as long as the process.

use super::{BlockRead, BlockStore, Key, Session, StoreError};
use crate::block::{Block, MAX_BLOCK_BYTES};
use medledger_core::{Cid, cid::Codec};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Blocks in memory: for tests, benches and short work. "Durable" means here: until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blocks: HashMap<Key, Block>,
    pins: BTreeSet<Cid>,
    /// Blocks that sessions under way found already here, and how many of them did.
    relied: HashMap<Key, usize>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step leaves the state half changed, so a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockRead for MemoryStore {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let Some(block) = self.state().blocks.get(cid.digest()).cloned() else {
            return Ok(None);
        };
        // Putting did not check, to hash every block once only on its way in.
        if cid.matches(&block) {
            Ok(Some(block))
        } else {
            Err(StoreError::Damaged { cid: *cid, path: None })
        }
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.state().blocks.contains_key(cid.digest()))
    }
}

impl BlockStore for MemoryStore {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        Ok(Box::new(MemorySession { store: self, taken: Mutex::default() }))
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        let mut state = self.state();
        if state.pins.iter().any(|pin| pin.digest() == cid.digest()) {
            return Err(StoreError::Pinned { cid: *cid });
        }
        if state.relied.contains_key(cid.digest()) {
            return Err(StoreError::InUse { cid: *cid });
        }
        Ok(state.blocks.remove(cid.digest()).is_some())
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        let keys: Vec<Key> = self.state().blocks.keys().copied().collect();
        Ok(Box::new(keys.into_iter().map(|key| Ok(Cid::from_digest(Codec::Raw, key)))))
    }

    fn pins(&self) -> Result<Vec<Cid>, StoreError> {
        Ok(self.state().pins.iter().copied().collect())
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        Ok(self.state().pins.remove(root))
    }
}

struct MemorySession<'a> {
    store: &'a MemoryStore,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    new: HashMap<Key, Block>,
    relied: Vec<Key>,
    failed: bool,
}

impl Session for MemorySession<'_> {
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if block.len() > MAX_BLOCK_BYTES {
            taken.failed = true;
            let found = block.len() as u64;
            return Err(StoreError::TooLarge { cid: *cid, found, limit: MAX_BLOCK_BYTES });
        }
        let key = *cid.digest();
        if taken.new.contains_key(&key) {
            return Ok(());
        }
        let mut state = self.store.state();
        match state.blocks.get(&key) {
            Some(known) if known[..] == *block => {
                *state.relied.entry(key).or_default() += 1;
                taken.relied.push(key);
            }
            Some(known) if cid.matches(known) => {
                taken.failed = true;
                return Err(StoreError::Mismatch { cid: *cid });
            }
            // Not there yet, or what is there is damaged and healed by this.
            _ => {
                taken.new.insert(key, Block::from(block));
            }
        }
        Ok(())
    }

    fn commit(self: Box<Self>, root: &Cid) -> Result<(), StoreError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.failed {
            return Err(StoreError::SessionFailed);
        }
        let mut state = self.store.state();
        if !taken.new.contains_key(root.digest()) && !state.blocks.contains_key(root.digest()) {
            return Err(StoreError::NoRoot { cid: *root });
        }
        state.blocks.extend(std::mem::take(&mut taken.new));
        state.pins.insert(*root);
        Ok(())
    }
}

impl Drop for MemorySession<'_> {
    fn drop(&mut self) {
        let taken = self.taken.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.store.state();
        for key in &taken.relied {
            if let Some(count) = state.relied.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    state.relied.remove(key);
                }
            }
        }
    }
}
