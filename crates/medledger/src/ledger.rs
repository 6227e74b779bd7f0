//! A ledger in a folder: making it, opening it, and what every use case shares.

use crate::blocks::UnderWay;
use crate::create::Opened;
use crate::effort::Counting;
use crate::head::{self, Guarded};
use crate::mail::{self, Letter, LetterId, Notifier, NotifyError};
use crate::node_key::{NodeKey, NodeKeyError};
use crate::settings::{MailSettings, Settings, SettingsError};
use crate::steps::{Observer, Step};
use crate::storage::{self, Follower, StorageError};
use crate::system::{SystemClock, Threads, os_rng};
use medledger_core::chain::Rules;
use medledger_core::clock::{Clock, Timestamp};
use medledger_core::engine::{Engine, SubmitError};
use medledger_core::identity::{Identity, LockParams};
use medledger_core::ids::{ChainId, MemberId, RecordNonce};
use medledger_core::rand_core::CryptoRng;
use medledger_core::record::{Body, Record, SignedRecord};
use medledger_core::store::{Store, StoreError, Unit, View};
use medledger_ipfs::store::{BlockStore, CacheStats, CachedStore};
use std::fs::File;
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

/// Why a ledger could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open for writing.
    #[error("another process writes to the ledger in {0}: wait for it, or open it for reading")]
    InUse(PathBuf),
    /// The folder cannot be written.
    #[error("the folder {0} cannot be written: open the ledger for reading")]
    ReadOnlyFolder(PathBuf),
    /// The hospital in the folder is a member of no chain yet.
    #[error("the hospital in {0} has not joined a chain yet")]
    NoChain(PathBuf),
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The node key.
    #[error(transparent)]
    NodeKey(#[from] NodeKeyError),
    /// Mail cannot be set up.
    #[error(transparent)]
    Mail(#[from] NotifyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store of ciphertext.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A file of the folder cannot be used.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// What a program embedding the ledger may replace when opening it.
#[derive(Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Read only; any number of readers may be there beside one writer.
    pub read_only: bool,
    /// Where time comes from; the machine's clock by default.
    pub clock: Option<Arc<dyn Clock>>,
    /// Who is told of steps.
    pub observer: Option<Arc<dyn Observer>>,
    /// Who brings letters, in place of what the settings say.
    pub notifier: Option<Box<dyn Notifier>>,
    /// Opens for writing also where an older database was put back, which is refused otherwise: what is
    /// written then must bring back the last known head, as [importing](Ledger::import_chain) the
    /// newer chain does. All else fails with [`StoreError::Behind`] until it is there.
    pub reconcile: bool,
    /// Threads that search for blocks; one for each core by default.
    pub threads: Option<usize>,
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenOptions")
            .field("read_only", &self.read_only)
            .field("reconcile", &self.reconcile)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger in `folder` for reading and writing.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[cfg(feature = "sqlite")]
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(folder, OpenOptions::default())
    }

    /// Opens the ledger in `folder` for reading. Calls that would write fail with
    /// [`StoreError::ReadOnly`].
    ///
    /// # Errors
    /// See [`OpenError`].
    #[cfg(feature = "sqlite")]
    pub fn open_read_only(folder: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(folder, OpenOptions { read_only: true, ..OpenOptions::default() })
    }

    /// Opens the ledger in `folder`.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[cfg(feature = "sqlite")]
    pub fn open_with(folder: impl AsRef<Path>, options: OpenOptions) -> Result<Self, OpenError> {
        let folder = folder.as_ref();
        // The folder's lock comes first: a database in use is never touched.
        let settings = Settings::load(folder)?;
        let lock = if options.read_only { None } else { Some(take_lock(folder)?) };
        let path = folder.join(crate::create::DATABASE);
        let store = crate::sqlite::SqliteStore::open(&path, options.read_only)?;
        Self::assemble(folder, settings, lock, Box::new(store), options)
    }

    /// Opens the ledger in `folder` whose records, state and slots are kept by `store`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_in(
        folder: impl AsRef<Path>,
        store: Box<dyn Store>,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        let folder = folder.as_ref();
        let settings = Settings::load(folder)?;
        let lock = if options.read_only { None } else { Some(take_lock(folder)?) };
        Self::assemble(folder, settings, lock, store, options)
    }

    fn assemble(
        folder: &Path,
        settings: Settings,
        lock: Option<Lock>,
        store: Box<dyn Store>,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        let folder = folder.to_path_buf();
        let key_path = node_key_path(&folder, &settings);
        let node_key = NodeKey::load(&key_path)?;
        #[cfg(feature = "sqlite")]
        if crate::create::joining::waits_for_a_chain(store.view()?.as_ref())? {
            return Err(OpenError::NoChain(folder));
        }
        let Opened { rules, hospital, follower, engine } =
            crate::create::engine(store.as_ref(), &node_key)?;
        // A follower signs nothing, and takes again what it lost.
        let store = if lock.is_none() || follower {
            store
        } else {
            let guarded = Guarded::new(store, &rules, &head::paths(&folder, &key_path, &rules))?;
            if let Some(head) = guarded.lost().filter(|_| !options.reconcile) {
                return Err(head::behind(guarded.view()?.as_ref(), &head)?.into());
            }
            Box::new(guarded)
        };
        let stores = storage::open(&folder, &settings.storage, options.read_only)?;
        let notifier = match options.notifier {
            Some(notifier) => Some(notifier),
            None => notifier(&folder, &settings)?,
        };
        Ok(Self {
            blocks: Arc::new(CachedStore::new(stores.blocks, settings.cache_bytes)),
            own_blocks: stores.own,
            follower_of_blocks: stores.follower,
            under_way: UnderWay::default(),
            folder,
            rules,
            hospital,
            follower,
            store: Box::new(Counting(store)),
            engine,
            node_key,
            notifier,
            clock: options.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            workers: options.threads.map_or_else(Threads::default, Threads::new),
            observer: options.observer,
            lock_params: LockParams::default(),
            lock,
            settings,
        })
    }

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

    /// Whether letters are sent at all; if not, keys are picked up.
    #[must_use]
    pub fn sends_mail(&self) -> bool {
        self.notifier.is_some()
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

    pub(crate) fn enqueue(
        &self,
        unit: &mut dyn Unit,
        letter: &Letter,
    ) -> Result<LetterId, StoreError> {
        mail::enqueue(unit, &self.node_key, letter, &mut self.rng())
    }

    /// Tries to send every letter that waits. Those that cannot be sent stay in the queue.
    ///
    /// # Errors
    /// When the store fails; a mail server that refuses is told in the result.
    pub fn send_mail(&self) -> Result<MailReport, StoreError> {
        let mut report = MailReport::default();
        let waiting = mail::waiting(self.view()?.as_ref(), &self.node_key)?;
        let Some(notifier) = &self.notifier else {
            report.waiting = waiting.len();
            return Ok(report);
        };
        let mut letters = waiting.into_iter();
        while let Some((id, letter)) = letters.next() {
            match letter.and_then(|letter| notifier.send(&id, &letter)) {
                Ok(()) => {
                    let mut unit = self.store.unit()?;
                    mail::remove(unit.as_mut(), &id)?;
                    unit.commit()?;
                    report.sent += 1;
                    report.letters.push(id);
                }
                Err(error) => {
                    tracing::warn!(letter = %id, %error, "a letter could not be sent and waits");
                    report.waiting += 1;
                    let gone = matches!(error, mail::NotifyError::Unreachable { .. });
                    report.error = Some(error);
                    if gone {
                        // Each of the others would wait as long, and as much in vain.
                        report.waiting += letters.len();
                        break;
                    }
                }
            }
        }
        self.step(Step::MailTried);
        Ok(report)
    }

    /// Sends what waits after a use case; a failing store must not make an accepted record look lost.
    pub(crate) fn try_mail(&self) -> MailReport {
        self.send_mail().unwrap_or_else(|error| {
            tracing::warn!(%error, "letters wait: the queue could not be read");
            MailReport::default()
        })
    }

    /// As [`Ledger::try_mail`], and whether `letter` went out. What became of others in the queue
    /// says nothing about it.
    pub(crate) fn try_mail_of(&self, letter: Option<&LetterId>) -> bool {
        let report = self.try_mail();
        letter.is_some_and(|letter| report.letters.contains(letter))
    }
}

/// What became of the letters that waited.
#[derive(Debug, Default)]
pub struct MailReport {
    /// Letters sent.
    pub sent: usize,
    /// Which ones, in the order they were sent.
    pub letters: Vec<LetterId>,
    /// Letters that still wait.
    pub waiting: usize,
    /// Why the last of them waits.
    pub error: Option<NotifyError>,
}

/// Folder of ciphertext blocks in a ledger's folder.
pub(crate) use crate::storage::BLOCKS;

/// Where the node key lies; like the outbox, a relative path is below the ledger's folder.
pub(crate) fn node_key_path(folder: &Path, settings: &Settings) -> PathBuf {
    folder.join(settings.node_key.as_deref().unwrap_or(Path::new("node.key")))
}

/// The lock of a folder, given back when dropped.
///
/// Given back, not only closed: a process started by another thread at this moment has a copy of the
/// open file until it runs its own program, and would keep the lock as long.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is the fallback.
        let _ = self.0.unlock();
    }
}

pub(crate) fn take_lock(folder: &Path) -> Result<Lock, OpenError> {
    let path = folder.join("lock");
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
            OpenError::ReadOnlyFolder(folder.into())
        }
        _ => OpenError::Io { path: path.clone(), source },
    })?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse(folder.into())),
        Err(std::fs::TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

fn notifier(folder: &Path, settings: &Settings) -> Result<Option<Box<dyn Notifier>>, NotifyError> {
    let from = settings.mail_from.clone();
    Ok(match &settings.mail {
        MailSettings::None => None,
        MailSettings::Outbox(path) => Some(Box::new(mail::Outbox::new(folder.join(path), from))),
        #[cfg(feature = "smtp")]
        MailSettings::Smtp(server) => Some(Box::new(mail::Smtp::new(server, from)?)),
    })
}
