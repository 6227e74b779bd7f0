//! Several places to read blocks from, asked in order.
//!
//! [`Sources`] asks the first for a block and goes on with the next one where it is missing, damaged, or cannot be
//! had. Each source has a record of how it did ([`Health`]); one that failed several times in a row, or gave
//! wrong bytes, is passed over for a while ([`Resting`]) — as long as another one has the block.
//! A block is said to be nowhere only when every source said so.
//!
//! ```
//! use medledger_ipfs::{BlockRead, BlockStore, CachedStore, Cid, MemoryStore, Sources, cid::Codec};
//!
//! let (disk, copy) = (MemoryStore::new(), MemoryStore::new());
//! let cid = Cid::of(Codec::Raw, b"only the copy has it");
//! let session = copy.begin()?;
//! session.put(&cid, b"only the copy has it")?;
//! session.commit(&cid)?;
//!
//! // What is read often stays in memory.
//! let sources = Sources::new().own("disk", disk).other("copy", copy);
//! let cached = CachedStore::new(sources, 1 << 20);
//! assert!(cached.get(&cid)?.is_some());
//! let health = cached.inner().health();
//! assert_eq!((health[0].1.misses, health[1].1.successes), (1, 1));
//! # Ok::<(), medledger_ipfs::StoreError>(())
//! ```

mod health;
#[cfg(test)]
mod tests;

pub use health::{Fault, Health, Resting};

use crate::block::Block;
use crate::store::{BlockRead, StoreError};
use health::fault_of;
use medledger_core::Cid;
use medledger_core::clock::{Clock, Timestamp};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Damaged blocks that are remembered for a repair; more are not, and a check of the store finds them.
pub const MAX_DAMAGED: usize = 4096;

/// Several sources of blocks in order, and how each did.
pub struct Sources {
    sources: Vec<Source>,
    resting: Resting,
    clock: Arc<dyn Clock>,
    damaged: Mutex<Vec<Damaged>>,
}

struct Source {
    name: String,
    own: bool,
    store: Box<dyn BlockRead>,
    health: Mutex<Health>,
}

/// A block that a source has and gives wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The source.
    pub source: String,
    /// The block.
    pub cid: Cid,
}

/// Nobody gave a block, and not everybody said that it is not there.
#[derive(Debug, thiserror::Error)]
#[error("nobody gave block {cid}: {}", told(.errors))]
#[non_exhaustive]
pub struct SourcesError {
    /// The block.
    pub cid: Cid,
    /// Who failed, by name and in order, and how. All others have not got it.
    pub errors: Vec<(String, Arc<StoreError>)>,
}

fn told(errors: &[(String, Arc<StoreError>)]) -> String {
    let each: Vec<_> =
        errors.iter().map(|(name, error)| format!("{name}: {}", text(error))).collect();
    each.join("; ")
}

/// What an error says, and what lies behind it.
fn text(error: &StoreError) -> String {
    match error {
        StoreError::Backend { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

impl SourcesError {
    fn into_store(self) -> StoreError {
        StoreError::Backend { store: "every source".to_owned(), source: Box::new(self) }
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_secs(since.as_secs())
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self::new()
    }
}

impl Sources {
    /// No sources yet: nothing is anywhere.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Resting::default(), Arc::new(SystemClock))
    }

    /// No sources yet, with a rule for resting and a clock for it.
    #[must_use]
    pub fn with(resting: Resting, clock: Arc<dyn Clock>) -> Self {
        Self { sources: Vec::new(), resting, clock, damaged: Mutex::default() }
    }

    /// Adds one of one's own, to be asked after those that are there: what it gives wrong is damage, to be
    /// [repaired](Self::take_damaged), and no reason to leave it alone.
    #[must_use]
    pub fn own(self, name: &str, store: impl BlockRead + 'static) -> Self {
        self.add(name, true, Box::new(store))
    }

    /// Adds someone else's, to be asked after those that are there: what it gives wrong is a lie.
    #[must_use]
    pub fn other(self, name: &str, store: impl BlockRead + 'static) -> Self {
        self.add(name, false, Box::new(store))
    }

    fn add(mut self, name: &str, own: bool, store: Box<dyn BlockRead>) -> Self {
        let (name, health) = (name.to_owned(), Mutex::default());
        self.sources.push(Source { name, own, store, health });
        self
    }

    /// How each did, by name and in order.
    #[must_use]
    pub fn health(&self) -> Vec<(String, Health)> {
        self.sources.iter().map(|s| (s.name.clone(), lock(&s.health).clone())).collect()
    }

    /// Blocks that sources gave wrong since this was last called, each once:
    /// [`repair_blocks`](crate::repair::repair_blocks) heals a store of one's own with them.
    #[must_use]
    pub fn take_damaged(&self) -> Vec<Damaged> {
        std::mem::take(&mut lock(&self.damaged))
    }

    /// All sources, those that rest last: they are asked when nobody else has what is wanted.
    fn in_order(&self) -> impl Iterator<Item = &Source> {
        let now = self.clock.now();
        let (resting, awake): (Vec<_>, Vec<_>) =
            self.sources.iter().partition(|source| lock(&source.health).rests(now));
        awake.into_iter().chain(resting)
    }

    /// Asks a source one thing and writes down how it did. `count` tells blocks given and missed.
    fn ask<T>(
        &self,
        source: &Source,
        question: impl FnOnce(&dyn BlockRead) -> Result<T, StoreError>,
        count: impl FnOnce(&T) -> (u64, u64),
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let answer = question(&*source.store);
        let took = began.elapsed();
        match &answer {
            Ok(given) => {
                let (given, missed) = count(given);
                lock(&source.health).answered(given, missed, took);
            }
            Err(error) => self.note(source, error),
        }
        answer
    }

    fn note(&self, source: &Source, error: &StoreError) {
        let fault = fault_of(error, source.own);
        let (name, text) = (&source.name, text(error));
        if fault == Fault::Lie {
            tracing::error!(source = %name, error = %text, "a source LIES: it is passed over");
        } else {
            tracing::warn!(source = %name, error = %text, "a source failed");
        }
        lock(&source.health).failed(fault, text, self.clock.now(), &self.resting);
        if let StoreError::Damaged { cid, .. } = error {
            let found = Damaged { source: source.name.clone(), cid: *cid };
            let mut damaged = lock(&self.damaged);
            if damaged.len() < MAX_DAMAGED && !damaged.contains(&found) {
                damaged.push(found);
            }
        }
    }

    /// Asks one source for several blocks, where need be one by one; what goes wrong is added to `errors`.
    fn ask_many(
        &self,
        source: &Source,
        cids: &[Cid],
        errors: &mut [Vec<(String, Arc<StoreError>)>],
    ) -> Vec<Option<Block>> {
        let count = |blocks: &Vec<Option<Block>>| {
            let given = blocks.iter().flatten().count() as u64;
            (given, blocks.len() as u64 - given)
        };
        if cids.len() > 1 {
            match self.ask(source, |store| store.get_many(cids), count) {
                Ok(blocks) => return blocks,
                // One of them is broken, and the others are not known to be.
                Err(StoreError::Damaged { .. }) => {}
                Err(error) if fault_of(&error, source.own) == Fault::Files => {}
                Err(error) => {
                    let error = Arc::new(error);
                    for errors in errors {
                        errors.push((source.name.clone(), Arc::clone(&error)));
                    }
                    return vec![None; cids.len()];
                }
            }
        }
        let mut blocks = Vec::with_capacity(cids.len());
        for (cid, errors) in cids.iter().zip(errors) {
            let block = self.ask(source, |store| store.get(cid), |block| one(block.is_some()));
            blocks.push(block.unwrap_or_else(|error| {
                errors.push((source.name.clone(), Arc::new(error)));
                None
            }));
        }
        blocks
    }

    /// The first answer that is not "no"; "no" only when all said so.
    fn first<T>(
        &self,
        cid: &Cid,
        question: impl Fn(&dyn BlockRead) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut errors = Vec::new();
        for source in self.in_order() {
            match self.ask(source, &question, |answer| one(answer.is_some())) {
                Ok(Some(answer)) => return Ok(Some(answer)),
                Ok(None) => {}
                Err(error) => errors.push((source.name.clone(), Arc::new(error))),
            }
        }
        if errors.is_empty() {
            Ok(None)
        } else {
            Err(SourcesError { cid: *cid, errors }.into_store())
        }
    }
}

const fn one(given: bool) -> (u64, u64) {
    if given { (1, 0) } else { (0, 1) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is made whole under the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where no source gives a block and one of them failed, the error is [`StoreError::Backend`] with a
/// [`SourcesError`] within, which names all that failed.
impl BlockRead for Sources {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.first(cid, |store| store.get(cid))
    }

    /// Each source is asked only for what none before it gave.
    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut blocks = vec![None; cids.len()];
        let mut errors = vec![Vec::new(); cids.len()];
        for source in self.in_order() {
            let missing: Vec<usize> = (0..cids.len()).filter(|i| blocks[*i].is_none()).collect();
            if missing.is_empty() {
                break;
            }
            let asked: Vec<Cid> = missing.iter().map(|i| cids[*i]).collect();
            let mut failed = vec![Vec::new(); asked.len()];
            let given = self.ask_many(source, &asked, &mut failed);
            for ((index, block), failed) in missing.into_iter().zip(given).zip(failed) {
                blocks[index] = block;
                errors[index].extend(failed);
            }
        }
        let mut failed = cids.iter().zip(&blocks).zip(errors);
        match failed.find(|((_, block), errors)| block.is_none() && !errors.is_empty()) {
            Some(((cid, _), errors)) => Err(SourcesError { cid: *cid, errors }.into_store()),
            None => Ok(blocks),
        }
    }

    /// What the most distant of them likes best.
    fn read_ahead(&self) -> usize {
        self.sources.iter().map(|source| source.store.read_ahead()).max().unwrap_or(1)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let found = self.first(cid, |store| Ok(store.has(cid)?.then_some(())))?;
        Ok(found.is_some())
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.first(cid, |store| store.size(cid))
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = self.sources.iter().map(|s| (&s.name, lock(&s.health)));
        f.debug_map().entries(health.map(|(name, health)| (name, health.clone()))).finish()
    }
}
