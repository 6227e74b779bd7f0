//! Opening a ledger: its folder, its lock, and what is put together for it.

use super::Ledger;
use crate::blocks::UnderWay;
use crate::create::Opened;
use crate::effort::Counting;
use crate::head::{self, Guarded};
use crate::mail::{self, Notifier, NotifyError};
use crate::node_key::{NodeKey, NodeKeyError};
use crate::settings::{MailSettings, Settings, SettingsError};
use crate::steps::Observer;
use crate::storage::{self, StorageError};
use crate::system::{SystemClock, Threads};
use medledger_core::clock::Clock;
use medledger_core::identity::LockParams;
use medledger_core::store::{Store, StoreError};
use medledger_ipfs::store::CachedStore;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
            crate::create::engine(store.as_ref(), &node_key, options.read_only)?;
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
            owed_fault: stores.fault,
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
}

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
