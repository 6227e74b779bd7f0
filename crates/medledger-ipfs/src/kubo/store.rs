//! A node as a store of blocks.

use super::session::KuboSession;
use super::{Kubo, KuboError, NodePin, Reach, reasons};
use crate::block::Block;
use crate::store::guard::Guard;
use crate::store::{BlockRead, BlockStore, Pin, Reason, Session, StoreError, Sweep};
use medledger_core::Cid;
use medledger_core::cid::Codec;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests that are under way at the same time.
const AT_ONCE: usize = 8;
/// What a node may take to walk what it has already.
const WALK: Duration = Duration::from_secs(600);

/// How a node is used as a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KuboStoreOptions {
    /// Whether the node may tell the public network what it stores. Ciphertext it is, but who stores how
    /// much, and when, everybody sees then.
    pub public: bool,
    /// How far the node goes for a block that is read.
    pub reach: Reach,
}

impl Default for KuboStoreOptions {
    /// Not public; peers are asked for ten seconds.
    fn default() -> Self {
        Self { public: false, reach: Reach::Peers(Duration::from_secs(10)) }
    }
}

/// Blocks in a Kubo node.
///
/// A session is one request that carries a CAR while its blocks are made; the node's own collection waits
/// meanwhile. Roots are pinned under names that tell why. Collecting is the node's business: see
/// [`Kubo::collect`].
///
/// What is durable when a session has been committed is what the node says it has: Kubo's default
/// settings do not sync blocks, so that a loss of power may take what was stored a moment ago.
/// [`Kubo::check`] tells.
#[derive(Debug)]
pub struct KuboStore {
    kubo: Kubo,
    options: KuboStoreOptions,
    pub(super) guard: Guard,
    /// One is held while the name of a pin is read, changed and set; which one, its hash tells. Another
    /// process that changes the same name at the same moment is not kept away.
    names: [Mutex<()>; 16],
}

impl KuboStore {
    /// Uses a node that announces nothing, after asking for its version and settings.
    ///
    /// # Errors
    /// See [`open_with`](Self::open_with).
    pub fn open(kubo: Kubo) -> Result<Self, KuboError> {
        Self::open_with(kubo, KuboStoreOptions::default())
    }

    /// Uses a node, after asking for its version and settings.
    ///
    /// # Errors
    /// When the node is too old, not reached, or would announce what nobody said is public.
    pub fn open_with(kubo: Kubo, options: KuboStoreOptions) -> Result<Self, KuboError> {
        let store = Self::later(kubo, options);
        store.kubo.version()?;
        store.must_be_discreet()?;
        Ok(store)
    }

    /// Uses a node without asking it anything yet, so that it may be away for now. Its settings are looked at
    /// whenever something is about to be stored.
    #[must_use]
    pub fn later(kubo: Kubo, options: KuboStoreOptions) -> Self {
        let (guard, names) = Default::default();
        Self { kubo, options, guard, names }
    }

    /// The node.
    #[must_use]
    pub const fn kubo(&self) -> &Kubo {
        &self.kubo
    }

    /// Settings change: they are looked at again whenever something is about to be stored.
    fn must_be_discreet(&self) -> Result<(), KuboError> {
        if self.options.public {
            return Ok(());
        }
        match self.kubo.exposure()?.announces() {
            Some(reason) => Err(KuboError::Public { reason }),
            None => Ok(()),
        }
    }

    /// Held while the name of a root's pin is changed.
    pub(super) fn changing_name(&self, root: &Cid) -> MutexGuard<'_, ()> {
        let which = usize::from(root.digest()[0]) % self.names.len();
        self.names[which].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn told(&self, error: KuboError) -> StoreError {
        error.of_store(self.kubo.endpoint().name())
    }
}

impl BlockRead for KuboStore {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.kubo.block_get(cid, self.options.reach).map_err(|e| self.told(e))
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        at_once(cids, |cid| self.get(cid))
    }

    fn read_ahead(&self) -> usize {
        AT_ONCE
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.size(cid)?.is_some())
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.kubo.block_stat(cid, Reach::Local).map_err(|e| self.told(e))
    }
}

impl BlockStore for KuboStore {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        self.must_be_discreet().map_err(|e| self.told(e))?;
        Ok(Box::new(KuboSession::new(self)))
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        // A node finds blocks by hash and pins by CID: asked to remove the block of another CID with the
        // same hash, it would remove what is pinned.
        for same in same_block(cid) {
            if self.kubo.is_kept(&same).map_err(|e| self.told(e))? {
                return Err(StoreError::Pinned { cid: *cid });
            }
        }
        let deleted = self.guard.unless_claimed(cid.digest(), || self.kubo.block_rm(cid));
        match deleted {
            None => Err(StoreError::InUse { cid: *cid }),
            Some(deleted) => deleted.map_err(|e| self.told(e)),
        }
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        let blocks = self.kubo.blocks().map_err(|e| self.told(e))?;
        Ok(Box::new(blocks.map(|cid| cid.map_err(|e| self.told(e)))))
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        let pins = self.kubo.pins().map_err(|e| self.told(e))?;
        let mut pins: Vec<Pin> =
            pins.into_iter().map(|NodePin { root, name }| reasons::pin(&root, &name)).collect();
        pins.sort_by_key(|pin| pin.root);
        Ok(pins)
    }

    /// Takes a reason of ours away. Pins that somebody else made stay.
    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        let told = |e| self.told(e);
        let _changing = self.changing_name(root);
        let Some(found) = self.kubo.pin(root).map_err(told)? else { return Ok(false) };
        if !reasons::is_ours(root, &found.name) {
            return Ok(false);
        }
        let mut pin = reasons::pin(root, &found.name);
        if !pin.take(reason) {
            return Ok(false);
        }
        if pin.reasons.is_empty() {
            return self.kubo.pin_rm(root).map_err(told);
        }
        self.kubo.pin_add(root, &reasons::encode(&pin)?, WALK).map_err(told)?;
        Ok(true)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        let _changing = self.changing_name(root);
        self.kubo.pin_rm(root).map_err(|e| self.told(e))
    }

    /// Not here: the node's own collection knows what others keep in it.
    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        Err(StoreError::Unsupported {
            store: format!("Kubo at {}", self.kubo.endpoint().name()),
            what: "be collected from outside",
            instead: "let the node do it (`ipfs repo gc`): it spares what others keep in it",
        })
    }
}

/// Every CID of the same block.
fn same_block(cid: &Cid) -> impl Iterator<Item = Cid> + use<> {
    let key = *cid.digest();
    let v1 = [Codec::Raw, Codec::DagPb, Codec::DagCbor];
    v1.into_iter().map(move |c| Cid::from_digest(c, key)).chain([Cid::v0_from_digest(key)])
}

/// Does the same for many, several at a time, and gives the results in order. The first error ends it.
pub(super) fn at_once<T: Sync, R: Send>(
    items: &[T],
    ask: impl Fn(&T) -> Result<R, StoreError> + Sync,
) -> Result<Vec<R>, StoreError> {
    if let [one] = items {
        return Ok(vec![ask(one)?]);
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok(done) };
            match ask(item) {
                Ok(result) => done.push((at, result)),
                Err(error) => {
                    next.store(items.len(), std::sync::atomic::Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let mut all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(items.len())).map(|_| scope.spawn(work)).collect();
        let mut all = Ok(Vec::with_capacity(items.len()));
        for thread in threads {
            let done = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (&mut all, done) {
                (Ok(all), Ok(done)) => all.extend(done),
                (Ok(_), Err(error)) => all = Err(error),
                (Err(_), _) => {}
            }
        }
        all
    })?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}
