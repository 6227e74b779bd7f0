//! A ledger in a folder, and what every use case shares.

mod letters;
mod opening;

pub use letters::MailReport;
#[cfg(feature = "sqlite")]
pub(crate) use opening::take_lock;
pub(crate) use opening::{Lock, node_key_path};
pub use opening::{OpenError, OpenOptions};

use crate::blocks::UnderWay;
use crate::head;
use crate::mail::Notifier;
use crate::node_key::NodeKey;
use crate::settings::Settings;
use crate::steps::{Observer, Step};
use crate::storage::{Follower, OwedFault};
use crate::system::{Threads, os_rng};
use medledger_core::chain::Rules;
use medledger_core::clock::{Clock, Timestamp};
use medledger_core::engine::{Engine, SubmitError};
use medledger_core::identity::{Identity, LockParams};
use medledger_core::ids::{ChainId, MemberId, RecordNonce};
use medledger_core::rand_core::CryptoRng;
use medledger_core::record::{Body, Record, SignedRecord};
use medledger_core::store::{Store, StoreError, Unit, View};
use medledger_ipfs::store::{BlockStore, CacheStats, CachedStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ciphertext, wherever it lies, behind a cache.
pub(crate) type Blocks = CachedStore<Arc<dyn BlockStore>>;

/// A ledger in a folder, open for use.
///
/// One process at a time writes to a folder; others may [open it for reading](Ledger::open_read_only)
/// meanwhile. All calls are synchronous and may come from several threads.
pub struct Ledger {
    folder: PathBuf,
    settings: Settings,
    rules: Rules,
    hospital: MemberId,
    follower: bool,
    store: Box<dyn Store>,
    engine: Box<dyn Engine>,
    blocks: Arc<Blocks>,
    /// The store that must hold everything by itself.
    own_blocks: Arc<dyn BlockStore>,
    /// Follows what is stored here.
    follower_of_blocks: Option<Arc<dyn Follower>>,
    owed_fault: Option<OwedFault>,
    under_way: UnderWay,
    node_key: NodeKey,
    notifier: Option<Box<dyn Notifier>>,
    clock: Arc<dyn Clock>,
    workers: Threads,
    observer: Option<Arc<dyn Observer>>,
    pub(crate) lock_params: LockParams,
    /// Held while this process may write.
    lock: Option<Lock>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("folder", &self.folder)
            .field("chain", &self.rules.chain)
            .field("writes", &self.lock.is_some())
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The settings it was opened with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The chain's id: the hash of its genesis header. Whoever knows it can check receipts.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.rules.chain
    }

    /// The rules of the chain.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The hospital that keeps this folder; of a follower, the first one of the chain.
    #[must_use]
    pub const fn hospital(&self) -> MemberId {
        self.hospital
    }

    /// Whether this folder only [follows](Self::follow) a chain and takes no records of its own.
    #[must_use]
    pub const fn is_follower(&self) -> bool {
        self.follower
    }

    /// How often reading a block of ciphertext was spared by the cache.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.blocks.stats()
    }

    /// Where reports' ciphertext lies.
    #[must_use]
    pub fn blocks(&self) -> &dyn BlockStore {
        self.blocks.as_ref()
    }

    pub(crate) const fn under_way(&self) -> &UnderWay {
        &self.under_way
    }

    pub(crate) fn follower_of_blocks(&self) -> Option<&dyn Follower> {
        self.follower_of_blocks.as_deref()
    }

    pub(crate) const fn owed_fault(&self) -> Option<&OwedFault> {
        self.owed_fault.as_ref()
    }

    /// Around the cache, and around a node that would answer for what is damaged here.
    pub(crate) fn own_blocks(&self) -> &dyn BlockStore {
        self.own_blocks.as_ref()
    }

    pub(crate) fn head_paths(&self) -> Vec<PathBuf> {
        head::paths(&self.folder, &node_key_path(&self.folder, &self.settings), &self.rules)
    }

    pub(crate) const fn can_write(&self) -> bool {
        self.lock.is_some()
    }

    pub(crate) fn blocks_arc(&self) -> Arc<Blocks> {
        Arc::clone(&self.blocks)
    }

    /// A consistent look at what is stored, for questions this crate has no call for.
    ///
    /// # Errors
    /// When the store fails.
    pub fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        self.store.view()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    pub(crate) const fn node_key(&self) -> &NodeKey {
        &self.node_key
    }

    pub(crate) const fn workers(&self) -> &Threads {
        &self.workers
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The present time by this ledger's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn rng(&self) -> impl CryptoRng + use<> {
        os_rng()
    }

    pub(crate) fn step(&self, step: Step) {
        if let Some(observer) = &self.observer {
            observer.step(step);
        }
    }

    /// A record of `author`, now, with a fresh nonce, signed.
    pub(crate) fn sign(&self, author: &Identity, body: impl Into<Body>) -> SignedRecord {
        self.sign_with_nonce(author, RecordNonce::random(&mut self.rng()), body)
    }

    pub(crate) fn sign_with_nonce(
        &self,
        author: &Identity,
        nonce: RecordNonce,
        body: impl Into<Body>,
    ) -> SignedRecord {
        crate::effort::sign();
        Record {
            chain: self.chain(),
            nonce,
            author: author.id(),
            time: self.now(),
            body: body.into(),
        }
        .sign(author)
    }

    /// Accepts records together with all that must become durable with them: one unit of work.
    pub(crate) fn accept<T, E>(
        &self,
        records: &[SignedRecord],
        fill: impl FnOnce(&mut dyn Unit) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<SubmitError> + From<StoreError>,
    {
        if self.follower {
            // Nobody would ever put them in a block.
            return Err(StoreError::Follower.into());
        }
        let mut unit = self.store.unit()?;
        self.engine.submit(unit.as_mut(), records)?;
        let value = fill(unit.as_mut())?;
        self.step(Step::AboutToAccept);
        unit.commit()?;
        self.step(Step::Accepted);
        Ok(value)
    }
}

/// Folder of ciphertext blocks in a ledger's folder.
pub(crate) use crate::storage::BLOCKS;
