//! A bounded cache of blocks in front of any store.

use super::{
    BlockRead, BlockStore, BlockStream, Keep, Key, Pin, Reason, Session, StoreError, Sweep,
};
use crate::block::Block;
use crate::links::links_of;
use medledger_core::Cid;
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter, sync::Cache, sync::DefaultLifecycle,
};
use std::{
    fmt,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// How a cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Blocks found in the cache.
    pub hits: u64,
    /// Blocks that had to be fetched, or are nowhere.
    pub misses: u64,
    /// Bytes held now, with what each entry costs beside its block.
    pub bytes: u64,
    /// Bytes held at most.
    pub capacity: u64,
}

impl CacheStats {
    /// Hits among all that was asked for, from 0 to 1; 0 before anything was.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub fn hit_ratio(&self) -> f64 {
        self.hits as f64 / (self.hits + self.misses).max(1) as f64
    }
}

/// Keeps blocks that were read in memory, up to a number of bytes.
///
/// What is kept is what the store gave: ciphertext and tree nodes, never plaintext. Blocks enter when
/// they are read, not when they are written, so a large upload does not push out what readers need.
pub struct CachedStore<S> {
    inner: S,
    cache: Cache<Key, Block, BlockBytes>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct BlockBytes;

/// What an entry takes beside the bytes of its block, roughly.
const ENTRY_BYTES: u64 = 128;

impl Weighter<Key, Block> for BlockBytes {
    fn weight(&self, _: &Key, block: &Block) -> u64 {
        block.len() as u64 + ENTRY_BYTES
    }
}

impl<S> CachedStore<S> {
    /// A cache of at most `capacity` bytes in front of a store. Blocks of nearly the whole capacity
    /// or more pass through without being kept.
    ///
    /// # Panics
    /// Never: all options that the cache needs are given.
    #[must_use]
    pub fn new(inner: S, capacity: u64) -> Self {
        // One shard: capacity is divided among shards, and a leaf must fit into its own.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(usize::try_from(capacity / (256 * 1024)).unwrap_or(0).max(16))
            .weight_capacity(capacity)
            .build()
            .expect("both capacities are given");
        let cache = Cache::with_options(
            options,
            BlockBytes,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self { inner, cache, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The store behind.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// Hits and misses since the start, and the bytes held now.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.cache.weight(),
            capacity: self.cache.capacity(),
        }
    }

    /// Forgets every block held.
    pub fn clear(&self) {
        self.cache.clear();
    }
}

impl<S> fmt::Debug for CachedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedStore").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl<S: BlockRead> BlockRead for CachedStore<S> {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        if let Some(block) = self.cache.get(cid.digest()) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(block));
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let block = self.inner.get(cid)?;
        if let Some(block) = &block {
            self.cache.insert(*cid.digest(), block.clone());
        }
        Ok(block)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut found: Vec<_> = cids.iter().map(|cid| self.cache.get(cid.digest())).collect();
        let wanted: Vec<Cid> =
            cids.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(cid, _)| *cid).collect();
        self.hits.fetch_add((cids.len() - wanted.len()) as u64, Ordering::Relaxed);
        self.misses.fetch_add(wanted.len() as u64, Ordering::Relaxed);
        let fetched = self.inner.get_many(&wanted)?;
        let holes = found.iter_mut().filter(|f| f.is_none());
        for ((hole, cid), block) in holes.zip(&wanted).zip(fetched) {
            if let Some(block) = &block {
                self.cache.insert(*cid.digest(), block.clone());
            }
            *hole = block;
        }
        Ok(found)
    }

    fn read_ahead(&self) -> usize {
        self.inner.read_ahead()
    }

    /// Not of what was read a moment ago and is still here. What streams is not kept: it would push out the rest.
    fn stream(&self, root: &Cid) -> Option<BlockStream> {
        let known = |cid: &Cid| self.cache.contains_key(cid.digest());
        let links = self.cache.get(root.digest()).and_then(|b| links_of(root.codec(), &b).ok());
        if links.and_then(|links| links.last().copied()).is_some_and(|last| known(&last)) {
            return None;
        }
        self.inner.stream(root)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.cache.contains_key(cid.digest()) || self.inner.has(cid)?)
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.inner.size(cid)
    }
}

impl<S: BlockStore> BlockStore for CachedStore<S> {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        self.inner.begin()
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        let was_there = self.inner.delete(cid)?;
        self.cache.remove(cid.digest());
        Ok(was_there)
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        self.inner.list()
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        self.inner.pinned()
    }

    fn pin(&self, root: &Cid, keep: &Keep) -> Result<(), StoreError> {
        self.inner.pin(root, keep)
    }

    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        self.inner.release(root, reason)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.inner.unpin(root)
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        Ok(Box::new(CachedSweep { inner: self.inner.sweep()?, cache: &self.cache }))
    }

    fn strays(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.inner.strays()
    }
}

/// What is removed from the store leaves the cache too.
struct CachedSweep<'a> {
    inner: Box<dyn Sweep + 'a>,
    cache: &'a Cache<Key, Block, BlockBytes>,
}

impl Sweep for CachedSweep<'_> {
    fn pins(&mut self) -> Result<Vec<Pin>, StoreError> {
        self.inner.pins()
    }

    fn remove(&mut self, cid: &Cid) -> Result<bool, StoreError> {
        let removed = self.inner.remove(cid)?;
        if removed {
            self.cache.remove(cid.digest());
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use medledger_core::cid::Codec;

    fn filled(count: u8, len: usize) -> (MemoryStore, Vec<Cid>) {
        let store = MemoryStore::new();
        let blocks: Vec<Vec<u8>> = (0..count).map(|i| vec![i; len]).collect();
        let cids: Vec<Cid> = blocks.iter().map(|b| Cid::of(Codec::Raw, b)).collect();
        let session = store.begin().unwrap();
        for (cid, block) in cids.iter().zip(&blocks) {
            session.put(cid, block).unwrap();
        }
        session.commit(&cids[0]).unwrap();
        (store, cids)
    }

    #[test]
    fn bytes_never_exceed_the_capacity_and_hits_are_counted() {
        let (store, cids) = filled(50, 1000);
        let cache = CachedStore::new(store, 10_000);
        for _ in 0..3 {
            for cid in &cids {
                assert_eq!(cache.get(cid).unwrap().unwrap().len(), 1000);
                assert!(cache.stats().bytes <= 10_000, "{:?}", cache.stats());
            }
        }
        let before = cache.stats();
        assert_eq!(before.hits + before.misses, 150);
        assert!(before.bytes >= 5_000, "{before:?}");
        cache.get(&cids[7]).unwrap();
        cache.get(&cids[7]).unwrap();
        assert!(cache.stats().hits > before.hits);
        let stats = cache.stats();
        assert!(stats.hit_ratio() > 0.0 && stats.hit_ratio() < 1.0, "{stats:?}");
        assert_eq!(CacheStats::default().hit_ratio(), 0.0);
        assert_eq!(CacheStats { hits: 3, misses: 1, ..stats }.hit_ratio(), 0.75);
        cache.clear();
        assert_eq!(cache.stats().bytes, 0);
    }

    #[test]
    fn many_at_once_asks_the_store_only_for_what_is_not_held() {
        let (store, cids) = filled(4, 10);
        let cache = CachedStore::new(store, 1 << 20);
        cache.get(&cids[1]).unwrap();
        let absent = Cid::of(Codec::Raw, b"absent");
        let got = cache.get_many(&[cids[0], cids[1], absent, cids[3]]).unwrap();
        let firsts: Vec<Option<u8>> = got.iter().map(|b| b.as_ref().map(|b| b[0])).collect();
        assert_eq!(firsts, [Some(0), Some(1), None, Some(3)]);
        assert_eq!((cache.stats().hits, cache.stats().misses), (1, 4));
    }

    #[test]
    fn a_block_of_nine_tenths_of_the_cache_is_kept_and_a_larger_one_passes_through() {
        let (store, cids) = filled(1, 1 << 20);
        let cache = CachedStore::new(store, (1 << 20) * 10 / 9);
        cache.get(&cids[0]).unwrap();
        cache.get(&cids[0]).unwrap();
        assert_eq!(cache.stats().hits, 1);
        let (store, cids) = filled(1, 1 << 20);
        let cache = CachedStore::new(store, 1 << 19);
        cache.get(&cids[0]).unwrap();
        assert_eq!(cache.get(&cids[0]).unwrap().unwrap().len(), 1 << 20);
        assert_eq!(cache.stats().bytes, 0);
    }

    #[test]
    fn deleted_blocks_leave_the_cache_too() {
        let (store, cids) = filled(2, 10);
        let cache = CachedStore::new(store, 1 << 20);
        cache.get(&cids[1]).unwrap();
        assert!(cache.delete(&cids[1]).unwrap());
        assert_eq!(cache.get(&cids[1]).unwrap(), None);
        assert!(!cache.has(&cids[1]).unwrap());
    }
}
