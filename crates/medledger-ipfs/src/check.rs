//! Checks a whole store.

use crate::{
    collect::Marks,
    links::{LinkError, links_of},
    store::{BlockRead, BlockStore, StoreError},
};
use medledger_core::{Cid, cid::Codec};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Mutex, PoisonError, mpsc::sync_channel},
};

/// What was found in a store.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// Roots that are pinned.
    pub pins: u64,
    /// Blocks that are there and healthy.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks whose bytes do not match their CID, sorted.
    pub damaged: Vec<Broken>,
    /// Blocks below a pin that are not there, sorted.
    pub missing: Vec<Broken>,
    /// Blocks that match their CID but are not what its codec says, so what lies below is unknown.
    pub malformed: Vec<(Broken, LinkError)>,
    /// Blocks, healthy or not, that lie below no pin: garbage, or of an upload under way.
    pub unreferenced: u64,
    /// Their bytes, as far as they are healthy.
    pub unreferenced_bytes: u64,
    /// Files that are none of the store's own.
    pub strays: Vec<PathBuf>,
}

/// A block that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// The block; with codec raw when it lies below no pin, as its codec is not known then.
    pub cid: Cid,
    /// A pinned root that needs it, the first of several; none for garbage.
    pub below: Option<Cid>,
}

impl StoreCheck {
    /// Whether every block is healthy and nothing below a pin is missing or unknown. Garbage and strays
    /// take space, no more.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        self.damaged.is_empty() && self.missing.is_empty() && self.malformed.is_empty()
    }

    /// Blocks to be had from elsewhere.
    #[must_use]
    pub fn broken(&self) -> Vec<Broken> {
        self.damaged.iter().chain(&self.missing).copied().collect()
    }
}

/// Hashes every block again, on `threads` threads, and walks everything below every pin.
/// `progress` is told the number of blocks hashed so far. Takes memory for about 50 bytes a block.
///
/// # Errors
/// When the store fails. Missing and damaged blocks are no error: they are what the check is for.
pub fn check_store(
    store: &(impl BlockStore + ?Sized),
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<StoreCheck, StoreError> {
    // Before anything is hashed: what is pinned later is not this check's concern.
    let pins = store.pins()?;
    let hashed = hash_all(store, threads, progress)?;
    let mut check = StoreCheck {
        pins: pins.len() as u64,
        blocks: hashed.values().flatten().count() as u64,
        bytes: hashed.values().flatten().map(|bytes| u64::from(*bytes)).sum(),
        strays: store.strays()?,
        ..StoreCheck::default()
    };
    let mut walk = Walk { hashed: &hashed, marks: Marks::default(), found: BTreeMap::new() };
    for pin in &pins {
        walk.below(store, *pin, &mut check)?;
    }
    let Walk { marks, mut found, .. } = walk;
    for (key, bytes) in &hashed {
        let cid = Cid::from_digest(Codec::Raw, *key);
        if bytes.is_none() && !found.contains_key(key) {
            found.insert(*key, Broken { cid, below: None });
        }
        if !marks.has(&cid) {
            check.unreferenced += 1;
            check.unreferenced_bytes += u64::from(bytes.unwrap_or(0));
        }
    }
    for (key, broken) in found {
        let list = if hashed.contains_key(&key) { &mut check.damaged } else { &mut check.missing };
        list.push(broken);
    }
    check.damaged.sort_unstable();
    check.missing.sort_unstable();
    Ok(check)
}

type Key = [u8; 32];
/// Bytes of each block; nothing of those that are damaged.
type Hashed = HashMap<Key, Option<u32>>;

struct Walk<'a> {
    hashed: &'a Hashed,
    marks: Marks,
    found: BTreeMap<Key, Broken>,
}

impl Walk<'_> {
    fn below(
        &mut self,
        store: &(impl BlockRead + ?Sized),
        root: Cid,
        check: &mut StoreCheck,
    ) -> Result<(), StoreError> {
        let mut due = vec![root];
        while let Some(cid) = due.pop() {
            let is_node = self.marks.meet(&cid);
            let broken = Broken { cid, below: Some(root) };
            let healthy = match self.hashed.get(cid.digest()) {
                Some(bytes) => bytes.is_some(),
                // Or it came since the listing.
                None => store.has(&cid)?,
            };
            if !healthy {
                self.note(broken);
            } else if is_node {
                match store.get(&cid) {
                    Ok(Some(block)) => match links_of(cid.codec(), &block) {
                        Ok(links) => due.extend(links),
                        Err(error) => check.malformed.push((broken, error)),
                    },
                    // Since it was hashed.
                    Ok(None) | Err(StoreError::Damaged { .. }) => self.note(broken),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Notes a block once; as a node rather than as a leaf, since then its links can be followed.
    fn note(&mut self, broken: Broken) {
        let known = self.found.entry(*broken.cid.digest()).or_insert(broken);
        if known.cid.codec() == Codec::Raw {
            *known = broken;
        }
    }
}

/// Hashes all blocks, on several threads that this one feeds with the listing.
fn hash_all(
    store: &(impl BlockStore + ?Sized),
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Hashed, StoreError> {
    let (queue, cids) = sync_channel::<Vec<Cid>>(4);
    let cids = Mutex::new(cids);
    let hashed = Mutex::new(Hashed::new());
    let work = || {
        loop {
            let next = cids.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(some) = next else { return Ok(()) };
            for cid in some {
                let bytes = match store.get(&cid) {
                    Ok(Some(block)) => u32::try_from(block.len()).ok(),
                    // Deleted since it was listed.
                    Ok(None) => continue,
                    Err(StoreError::Damaged { .. }) => None,
                    Err(error) => return Err(error),
                };
                let count = {
                    let mut hashed = hashed.lock().unwrap_or_else(PoisonError::into_inner);
                    hashed.insert(*cid.digest(), bytes);
                    hashed.len() as u64
                };
                progress(count);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let feed = || -> Result<(), StoreError> {
            let mut some = Vec::new();
            for cid in store.list()? {
                some.push(cid?);
                if some.len() == 16 && queue.send(std::mem::take(&mut some)).is_err() {
                    break;
                }
            }
            let _ = queue.send(some);
            Ok(())
        };
        let mut result = feed();
        drop(queue);
        for worker in workers {
            let one = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(one);
        }
        result
    })?;
    Ok(hashed.into_inner().unwrap_or_else(PoisonError::into_inner))
}
