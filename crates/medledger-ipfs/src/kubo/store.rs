//! A node as a store of blocks.

use super::session::KuboSession;
use super::{Kubo, KuboError, NodePin, Owner, PinList, Reach};
use crate::block::Block;
use crate::pin_list;
use crate::store::guard::Guard;
use crate::store::{
    BlockRead, BlockStore, BlockStream, Keep, Pin, Reason, Session, StoreError, Sweep,
};
use medledger_core::Cid;
use medledger_core::cid::Codec;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Who keeps what is pinned. Pins of others are never looked into, changed or removed.
    pub owner: Owner,
}

impl Default for KuboStoreOptions {
    /// Not public; peers are asked for ten seconds; the owner is nobody in particular.
    fn default() -> Self {
        let reach = Reach::Peers(Duration::from_secs(10));
        Self { public: false, reach, owner: Owner::default() }
    }
}

/// Blocks in a Kubo node.
///
/// A session is one request that carries a CAR while its blocks are made; the node's own collection waits
/// meanwhile. The roots of a session are named by a [`PinList`], and it is what the node pins, under a name that
/// tells whose it is. Collecting is the node's business: see [`Kubo::collect`].
///
/// What is durable when a session has been committed is what the node says it has: Kubo's default
/// settings do not sync blocks, so that a loss of power may take what was stored a moment ago.
/// [`Kubo::check`] tells.
#[derive(Debug)]
pub struct KuboStore {
    kubo: Kubo,
    options: KuboStoreOptions,
    pub(super) guard: Guard,
    /// Held while lists are put in the place of others. Another process of the same owner that does so at the
    /// same moment is not kept away: reasons may come back then, and none is lost.
    changing: Mutex<()>,
    /// Lists that were read: what stands under a CID does not change.
    lists: Mutex<HashMap<Cid, Arc<PinList>>>,
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
        let (guard, changing, lists) = Default::default();
        Self { kubo, options, guard, changing, lists }
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

    pub(super) const fn owner(&self) -> Owner {
        self.options.owner
    }

    /// The lists of this owner, as the node has them pinned, under names for which `wanted` says so.
    fn lists(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<(Cid, Arc<PinList>)>, StoreError> {
        let prefix = pin_list::prefix(self.owner());
        let pins = self.kubo.pins_called(&prefix).map_err(|e| self.told(e))?;
        let ours = |pin: &NodePin| pin.name.starts_with(&prefix) && wanted(&pin.name);
        let found: Vec<Cid> = pins.into_iter().filter(ours).map(|pin| pin.root).collect();
        let lists = at_once(&found, |cid| self.list_of(cid))?;
        Ok(found.into_iter().zip(lists).filter_map(|(cid, list)| Some((cid, list?))).collect())
    }

    /// What a pinned block lists; nothing where somebody gave our name to what is no list of this owner.
    fn list_of(&self, cid: &Cid) -> Result<Option<Arc<PinList>>, StoreError> {
        let known = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = known().get(cid) {
            return Ok(Some(Arc::clone(list)));
        }
        if cid.codec() != Codec::DagCbor {
            return Ok(None);
        }
        let block = self.kubo.block_get(cid, Reach::Local).map_err(|e| self.told(e))?;
        let block = block.ok_or_else(|| self.told(KuboError::Missing { cid: *cid }))?;
        match PinList::decode(&block) {
            Ok(list) if list.owner() == self.owner() => {
                let list = Arc::new(list);
                known().insert(*cid, Arc::clone(&list));
                Ok(Some(list))
            }
            other => {
                tracing::warn!(%cid, ?other, "a pin has a name of ours, and is no list of ours");
                Ok(None)
            }
        }
    }

    /// Takes reasons away from a root, in every list, and says whether there were any.
    fn take(
        &self,
        root: &Cid,
        wanted: impl Fn(&str) -> bool,
        gone: impl Fn(&Keep) -> bool,
    ) -> Result<bool, StoreError> {
        let told = |e| self.told(e);
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        for (cid, list) in self.lists(wanted)? {
            let Ok(left) = list.without(root, &gone) else { continue };
            match left {
                Some(left) => {
                    let block = left.encode();
                    let new = PinList::cid(&block);
                    self.kubo.block_put(&new, &block, false).map_err(told)?;
                    self.kubo.pin_replace(&cid, &new, WALK).map_err(told)?;
                }
                None => drop(self.kubo.pin_rm(&cid).map_err(told)?),
            }
            self.forget(&cid);
            any = true;
        }
        Ok(any)
    }

    /// Removes a list that is no longer pinned. What stays is for the node to collect.
    fn forget(&self, list: &Cid) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).remove(list);
        if let Err(error) = self.kubo.block_rm(list) {
            tracing::debug!(%list, %error, "a list that is not needed any more stays for now");
        }
    }

    /// Lets go of everything that this owner keeps, and says how many roots that were. Pins of others stay.
    ///
    /// # Errors
    /// When the node fails: a part may be let go of.
    pub fn release_all(&self) -> Result<u64, StoreError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = self.lists(|_| true)?;
        at_once(&lists, |(cid, _)| {
            self.kubo.pin_rm(cid).map_err(|e| self.told(e))?;
            self.forget(cid);
            Ok(())
        })?;
        let roots: HashSet<Cid> =
            lists.iter().flat_map(|(_, list)| list.pins()).map(|pin| pin.root).collect();
        Ok(roots.len() as u64)
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

    /// What the node has itself: a limit on asking its peers would hold for all of it together.
    fn stream(&self, root: &Cid) -> Option<BlockStream> {
        match self.kubo.stream(root, Reach::Local) {
            Ok(stream) => {
                let name = self.kubo.endpoint().name().to_owned();
                Some(Box::new(stream.map(move |next| next.map_err(|e| e.of_store(&name)))))
            }
            Err(error) => {
                tracing::debug!(%root, %error, "no stream: blocks are asked for one by one");
                None
            }
        }
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

    /// All but the lists that tell why the others are kept.
    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        let lists = self.lists(|_| true)?;
        let lists: HashSet<_> = lists.into_iter().map(|(cid, _)| *cid.digest()).collect();
        let blocks = self.kubo.blocks().map_err(|e| self.told(e))?;
        let others =
            blocks.filter(move |cid| !cid.as_ref().is_ok_and(|cid| lists.contains(cid.digest())));
        Ok(Box::new(others.map(|cid| cid.map_err(|e| self.told(e)))))
    }

    /// What this owner keeps; what others keep in the same node is not told.
    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        let mut pins: BTreeMap<Cid, Vec<Keep>> = BTreeMap::new();
        for (_, list) in self.lists(|_| true)? {
            for pin in list.pins() {
                pins.entry(pin.root).or_default().extend(pin.reasons.iter().cloned());
            }
        }
        let merged = |(root, mut reasons): (Cid, Vec<Keep>)| {
            // One reason in several lists holds since the first of them.
            reasons.sort_by(|a, b| (&a.reason, a.since).cmp(&(&b.reason, b.since)));
            reasons.dedup_by(|a, b| a.reason == b.reason);
            Pin { root, reasons }
        };
        Ok(pins.into_iter().map(merged).collect())
    }

    /// Takes a reason of this owner's away.
    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        let (owner, told) = (self.owner(), reason.to_string());
        self.take(
            root,
            |name| pin_list::may_hold(name, owner, &told),
            |keep| keep.reason == *reason,
        )
    }

    /// Takes all reasons of this owner's away.
    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.take(root, |_| true, |_| true)
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
