//! Two stores that hold the same: one that must, and one that follows.

mod owed;
mod session;
#[cfg(test)]
mod tests;

use super::{BlockRead, BlockStore, Keep, Pin, Reason, Session, StoreError, Sweep};
use crate::block::Block;
use crate::car::{CopyError, Limits, copy_all};
use medledger_core::Cid;
use owed::{Debt, Owed};
use session::MirrorSession;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the second store is left alone after it failed, unless somebody asks to catch up.
const REST: Duration = Duration::from_secs(30);
/// Roots that are copied in one session when catching up.
const TOGETHER: usize = 64;

/// Two stores that hold the same.
///
/// What is stored is durable in the first one before anything else happens; then it goes to the second. Should that
/// fail, nothing is lost and nobody waits: what the second store is owed stands in a file, and is made up for
/// at the next commit after a rest, or when [`catch_up`](Self::catch_up) is called. Reading asks the first, and the
/// second for what is missing or damaged there.
#[derive(Debug)]
pub struct Mirror<A, B> {
    first: A,
    second: B,
    owed: Owed,
    resting: Mutex<Option<Instant>>,
    /// One copies to the second store at a time.
    copying: Mutex<()>,
}

/// What catching up did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaughtUp {
    /// Roots that the second store keeps now, too.
    pub copied: u64,
    /// Blocks that went there.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Reasons that it was told no longer hold.
    pub released: u64,
}

impl CaughtUp {
    fn add(&mut self, other: &Self) {
        self.copied += other.copied;
        self.blocks += other.blocks;
        self.bytes += other.bytes;
        self.released += other.released;
    }
}

/// Why the second store is still behind. What was made up for before stays so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatchUpError {
    /// The first store, or the file of what is owed, failed.
    #[error("what is here cannot be read")]
    First(#[source] CopyError),
    /// The second store failed.
    #[error("the second store cannot follow")]
    Second(#[source] StoreError),
}

impl<A: BlockStore, B: BlockStore> Mirror<A, B> {
    /// Two stores; what the second one is owed stands in a file, which is made when it is needed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(first: A, second: B, owed: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let owed = Owed::open(owed.into())?;
        let (resting, copying) = Default::default();
        Ok(Self { first, second, owed, resting, copying })
    }

    /// The store that must hold everything.
    #[must_use]
    pub const fn first(&self) -> &A {
        &self.first
    }

    /// The store that follows.
    #[must_use]
    pub const fn second(&self) -> &B {
        &self.second
    }

    /// How much the second store is behind: roots to copy, and reasons to take away.
    #[must_use]
    pub fn behind(&self) -> usize {
        self.owed.len()
    }

    /// The file of what is owed.
    #[must_use]
    pub fn owed_file(&self) -> &Path {
        self.owed.path()
    }

    /// Makes up for what is owed.
    ///
    /// # Errors
    /// See [`CatchUpError`].
    pub fn catch_up(&self) -> Result<CaughtUp, CatchUpError> {
        let _one = self.copying();
        let done = self.settle();
        self.rest_after(&done);
        done
    }

    /// Compares the pins of both stores, notes what the second lacks as owed, and makes up for it.
    ///
    /// # Errors
    /// See [`CatchUpError`].
    pub fn compare_and_catch_up(&self) -> Result<CaughtUp, CatchUpError> {
        let here = self.first.pinned().map_err(first)?;
        let there = self.second.pinned().map_err(CatchUpError::Second)?;
        let there: BTreeMap<Cid, Pin> = there.into_iter().map(|pin| (pin.root, pin)).collect();
        let lacks = |pin: &&Pin| {
            let known = there.get(&pin.root).map_or(&[][..], |pin| &pin.reasons);
            pin.reasons.iter().any(|keep| known.iter().all(|k| k.reason != keep.reason))
        };
        let debts: Vec<_> = here.iter().filter(lacks).map(|pin| Debt::Copy(pin.root)).collect();
        self.owed.add(&debts).map_err(first)?;
        self.catch_up()
    }

    fn copying(&self) -> MutexGuard<'_, ()> {
        self.copying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resting(&self) -> MutexGuard<'_, Option<Instant>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rest_after<T, E>(&self, done: &Result<T, E>) {
        *self.resting() = if done.is_err() { Some(Instant::now() + REST) } else { None };
    }

    /// As [`catch_up`](Self::catch_up), but a failure is only noted, and a store that failed a moment ago is
    /// left alone.
    fn follow(&self) {
        if self.resting().is_some_and(|until| Instant::now() < until) {
            return;
        }
        if let Err(error) = self.catch_up() {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, behind = self.behind(), "the second store is behind");
        }
    }

    fn settle(&self) -> Result<CaughtUp, CatchUpError> {
        let mut done = CaughtUp::default();
        let debts = self.owed.all();
        for debt in &debts {
            if let Debt::Release(root, reason) = debt {
                self.second.release(root, reason).map_err(CatchUpError::Second)?;
                self.owed.settle(std::slice::from_ref(debt)).map_err(first)?;
                done.released += 1;
            }
        }
        let copies: Vec<Cid> = debts.iter().filter_map(Debt::copy).collect();
        if copies.is_empty() {
            return Ok(done);
        }
        let pins = self.first.pinned().map_err(first)?;
        let pins: BTreeMap<Cid, Pin> = pins.into_iter().map(|pin| (pin.root, pin)).collect();
        for some in copies.chunks(TOGETHER) {
            // What is no longer kept here need not be kept there.
            let wanted: Vec<Pin> = some.iter().filter_map(|root| pins.get(root)).cloned().collect();
            done.add(&copy_pins(&self.first, &wanted, &self.second)?);
            let settled: Vec<Debt> = some.iter().copied().map(Debt::Copy).collect();
            self.owed.settle(&settled).map_err(first)?;
        }
        Ok(done)
    }

    /// Takes reasons away from a root, in both.
    fn release_all(&self, root: &Cid, reasons: &[Reason]) -> Result<(), StoreError> {
        let debts: Vec<_> = reasons.iter().map(|r| Debt::Release(*root, r.clone())).collect();
        // Noted first: what is forgotten here must be forgotten there, whatever happens between.
        self.owed.add(&debts)
    }
}

/// Copies everything below some pinned roots from one store to another, in one session, and pins them there for
/// the same reasons.
///
/// # Errors
/// When something is missing or damaged in the first store, or the second one fails: nothing is pinned then.
pub fn copy_pins(
    from: &(impl BlockRead + ?Sized),
    pins: &[Pin],
    to: &(impl BlockStore + ?Sized),
) -> Result<CaughtUp, CatchUpError> {
    if pins.is_empty() {
        return Ok(CaughtUp::default());
    }
    let roots: Vec<Cid> = pins.iter().map(|pin| pin.root).collect();
    let session = to.begin().map_err(CatchUpError::Second)?;
    let mut refused = false;
    let copied = copy_all(from, &roots, Limits::default(), |cid, block| {
        session.put(cid, block).inspect_err(|_| refused = true)
    });
    let copied = match copied {
        Ok(copied) => copied,
        Err(CopyError::Store(error)) if refused => return Err(CatchUpError::Second(error)),
        Err(error) => return Err(CatchUpError::First(error)),
    };
    let keeps: Vec<(Cid, Keep)> = pins
        .iter()
        .flat_map(|pin| pin.reasons.iter().map(|keep| (pin.root, keep.clone())))
        .collect();
    session.finish(&keeps).map_err(CatchUpError::Second)?;
    let (blocks, bytes) = (copied.blocks, copied.bytes);
    Ok(CaughtUp { copied: pins.len() as u64, blocks, bytes, released: 0 })
}

fn first(error: StoreError) -> CatchUpError {
    CatchUpError::First(error.into())
}

impl<A: BlockStore, B: BlockStore> BlockRead for Mirror<A, B> {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        match self.first.get(cid) {
            Ok(Some(block)) => Ok(Some(block)),
            Ok(None) => self.second.get(cid),
            Err(error @ StoreError::Damaged { .. }) => match self.second.get(cid) {
                Ok(Some(block)) => {
                    tracing::warn!(%cid, "a damaged block was read from the second store");
                    Ok(Some(block))
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.first.has(cid)? || self.second.has(cid)?)
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        match self.first.size(cid)? {
            Some(size) => Ok(Some(size)),
            None => self.second.size(cid),
        }
    }
}

impl<A: BlockStore, B: BlockStore> BlockStore for Mirror<A, B> {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        Ok(Box::new(MirrorSession::new(self, self.first.begin()?)))
    }

    /// In the first store; the second collects by itself what it no longer keeps.
    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.first.delete(cid)
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        self.first.list()
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        self.first.pinned()
    }

    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        self.release_all(root, std::slice::from_ref(reason))?;
        let released = self.first.release(root, reason)?;
        self.follow();
        Ok(released)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        let pins = self.first.pinned()?;
        let Some(pin) = pins.into_iter().find(|pin| pin.root == *root) else { return Ok(false) };
        let reasons: Vec<Reason> = pin.reasons.into_iter().map(|keep| keep.reason).collect();
        self.release_all(root, &reasons)?;
        let unpinned = self.first.unpin(root)?;
        self.follow();
        Ok(unpinned)
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        self.first.sweep()
    }

    fn strays(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.first.strays()
    }
}
