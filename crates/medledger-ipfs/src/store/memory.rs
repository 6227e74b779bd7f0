//! A store that lives as long as the process.

use super::{
    BlockRead, BlockStore, Keep, Key, MAX_REASONS, Pin, Reason, Session, StoreError, Sweep,
    guard::Guard,
};
use crate::block::{Block, MAX_BLOCK_BYTES};
use medledger_core::{Cid, cid::Codec};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Blocks in memory: for tests, benches and short work. "Durable" means here: until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    guard: Guard,
}

#[derive(Debug, Default)]
struct State {
    blocks: HashMap<Key, Block>,
    pins: BTreeMap<Cid, Pin>,
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

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        Ok(self.state().blocks.get(cid.digest()).map(|block| block.len() as u64))
    }
}

impl BlockStore for MemoryStore {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        Ok(Box::new(MemorySession { store: self, taken: Mutex::default() }))
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        let deleted = self.guard.unless_claimed(cid.digest(), || {
            let mut state = self.state();
            if state.pins.keys().any(|pin| pin.digest() == cid.digest()) {
                return Err(StoreError::Pinned { cid: *cid });
            }
            Ok(state.blocks.remove(cid.digest()).is_some())
        });
        deleted.unwrap_or(Err(StoreError::InUse { cid: *cid }))
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        let keys: Vec<Key> = self.state().blocks.keys().copied().collect();
        Ok(Box::new(keys.into_iter().map(|key| Ok(Cid::from_digest(Codec::Raw, key)))))
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        Ok(self.state().pins.values().cloned().collect())
    }

    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(pin) = state.pins.get_mut(root) else { return Ok(false) };
        let taken = pin.take(reason);
        if pin.reasons.is_empty() {
            state.pins.remove(root);
        }
        Ok(taken)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        Ok(self.state().pins.remove(root).is_some())
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        self.guard.begin_sweep()?;
        Ok(Box::new(MemorySweep(self)))
    }
}

struct MemorySweep<'a>(&'a MemoryStore);

impl Sweep for MemorySweep<'_> {
    fn pins(&mut self) -> Result<Vec<Pin>, StoreError> {
        // All under one lock: a moment.
        self.0.pinned()
    }

    fn remove(&mut self, cid: &Cid) -> Result<bool, StoreError> {
        let key = cid.digest();
        let remove = || self.0.state().blocks.remove(key).is_some();
        Ok(self.0.guard.unless_spared(key, remove).unwrap_or(false))
    }
}

impl Drop for MemorySweep<'_> {
    fn drop(&mut self) {
        self.0.guard.end_sweep();
    }
}

struct MemorySession<'a> {
    store: &'a MemoryStore,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    claimed: HashSet<Key>,
    new: HashMap<Key, Block>,
    failed: bool,
}

impl MemorySession<'_> {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, taken: &mut Taken, key: Key) {
        if taken.claimed.insert(key) {
            self.store.guard.claim(key);
        }
    }
}

impl Session for MemorySession<'_> {
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        let mut taken = self.taken();
        if block.len() > MAX_BLOCK_BYTES {
            taken.failed = true;
            let found = block.len() as u64;
            return Err(StoreError::TooLarge { cid: *cid, found, limit: MAX_BLOCK_BYTES });
        }
        let key = *cid.digest();
        if taken.new.contains_key(&key) {
            return Ok(());
        }
        self.claim(&mut taken, key);
        match self.store.state().blocks.get(&key) {
            Some(known) if known[..] == *block => {}
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

    fn hold(&self, cid: &Cid) -> Result<bool, StoreError> {
        let mut taken = self.taken();
        self.claim(&mut taken, *cid.digest());
        Ok(taken.new.contains_key(cid.digest()) || self.store.has(cid)?)
    }

    fn finish(self: Box<Self>, pins: &[(Cid, Keep)]) -> Result<(), StoreError> {
        let mut taken = self.taken();
        if taken.failed {
            return Err(StoreError::SessionFailed);
        }
        for (root, _) in pins {
            self.claim(&mut taken, *root.digest());
        }
        let mut state = self.store.state();
        let State { blocks, pins: known } = &mut *state;
        // All or none: what is set is looked at first.
        let mut changed: BTreeMap<Cid, Pin> = BTreeMap::new();
        for (root, keep) in pins {
            if !taken.new.contains_key(root.digest()) && !blocks.contains_key(root.digest()) {
                return Err(StoreError::NoRoot { cid: *root });
            }
            let pin = match changed.remove(root).or_else(|| known.get(root).cloned()) {
                None => Pin::new(*root, keep.clone()),
                Some(mut pin) => {
                    pin.add(keep.clone());
                    pin
                }
            };
            if pin.reasons.len() > MAX_REASONS {
                return Err(StoreError::TooManyReasons { root: *root, limit: MAX_REASONS });
            }
            changed.insert(*root, pin);
        }
        known.extend(changed);
        blocks.extend(std::mem::take(&mut taken.new));
        Ok(())
    }
}

impl Drop for MemorySession<'_> {
    fn drop(&mut self) {
        let taken = self.taken.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.store.guard.let_go(taken.claimed.iter());
    }
}
