//! A store in a folder, laid out as Kubo's flatfs: other tools can read the blocks.

pub(super) mod durable;
mod flatfs;
mod layout;
mod session;
mod sharding;

pub use flatfs::FlatfsReader;
pub use sharding::{Sharding, ShardingError};

use super::{BlockRead, BlockStore, Pin, Reason, Session, StoreError, Sweep, guard::Guard};
use crate::block::Block;
use durable::{sync_dir, sync_dirs, write_synced};
use layout::Layout;
use medledger_core::Cid;
use session::FileSession;
use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Blocks as files in a folder.
///
/// ```text
/// blocks/SHARDING             how the folders below are named (flatfs)
/// blocks/LX/CIQ…ULXY.data     a block; the name is the multihash in base 32, upper case
/// pins/AFYB….pin              a pinned root and why; the name is its CID in base 32
/// tmp/<n>/                    what a session under way writes; cleaned when the store is opened
/// LOCK                        locked by the one process that writes
/// ```
///
/// A block reaches its place by write, sync, rename, so a file under `blocks/` is whole or, if the
/// disk fails, found damaged: every read hashes what it reads. A pin is written after all blocks of
/// its session and their folders are synced.
#[derive(Debug)]
pub struct FileStore {
    layout: Layout,
    /// Held for as long as the store is open for writing.
    lock: Option<Lock>,
    /// Whether one sync of the whole file system does for many files.
    whole: bool,
    sessions: AtomicU64,
    guard: Guard,
    /// One is held while a pin's file is read, changed and written; which one, its hash tells.
    pin_files: [Mutex<()>; 16],
}

/// The lock of a folder, given back when dropped.
///
/// Given back, not only closed: a process started by another thread at this moment has a copy of the
/// open file until it runs its own program, and would keep the lock as long.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is the fallback.
        let _ = self.0.unlock();
    }
}

impl FileStore {
    /// Opens a folder for reading and writing, creating what is not there, and removes what sessions
    /// left behind that never ended.
    ///
    /// # Errors
    /// When another process (or another `FileStore`) writes there, the folder cannot be written, or
    /// it holds blocks in another layout.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let layout = Layout::new(folder.into());
        layout.create_root()?;
        let path = layout.root().join("LOCK");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| StoreError::at(&path, e))?;
        let lock = match lock.try_lock() {
            Ok(()) => Lock(lock),
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: layout.root().to_path_buf() });
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::at(&path, e)),
        };
        layout.create()?;
        layout.check_sharding()?;
        layout.clean_tmp()?;
        let whole = durable::syncs_as_a_whole(&lock.0);
        Ok(Self { whole, ..Self::with(layout, Some(lock)) })
    }

    /// Opens a folder for reading only, beside a process that may be writing there. A Kubo repository
    /// will do: it has blocks, and no pins that this store knows of.
    ///
    /// # Errors
    /// When there is no store in the folder or it cannot be read.
    pub fn open_read_only(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Ok(Self::with(Layout::of_existing(folder.into())?, None))
    }

    fn with(layout: Layout, lock: Option<Lock>) -> Self {
        let (sessions, guard, pin_files) = Default::default();
        Self { layout, lock, whole: false, sessions, guard, pin_files }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.layout.root()
    }

    /// The file that holds a block, or would.
    #[must_use]
    pub fn block_path(&self, cid: &Cid) -> PathBuf {
        self.layout.blocks.path(cid.digest())
    }

    fn writable(&self) -> Result<(), StoreError> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(StoreError::ReadOnly { path: self.path().to_path_buf(), source: None }),
        }
    }

    /// Holds the locks of these roots' pin files.
    fn pin_files<'a>(&self, roots: impl Iterator<Item = &'a Cid>) -> Vec<MutexGuard<'_, ()>> {
        let which = roots.map(|root| usize::from(root.digest()[0]) % self.pin_files.len());
        // Always in this order, so that no two wait for each other.
        let which: BTreeSet<usize> = which.collect();
        let lock = |i: usize| self.pin_files[i].lock().unwrap_or_else(PoisonError::into_inner);
        which.into_iter().map(lock).collect()
    }
}

impl BlockRead for FileStore {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.layout.blocks.get(cid)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.layout.blocks.has(cid)
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.layout.blocks.size(cid)
    }
}

impl BlockStore for FileStore {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        self.writable()?;
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(FileSession::new(self, self.layout.tmp().join(number.to_string()))?))
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.writable()?;
        let deleted = self.guard.unless_claimed(cid.digest(), || {
            if self.layout.is_pinned(cid.digest())? {
                return Err(StoreError::Pinned { cid: *cid });
            }
            remove(&self.block_path(cid))
        });
        let deleted = deleted.unwrap_or(Err(StoreError::InUse { cid: *cid }))?;
        if deleted {
            sync_dir(&self.layout.blocks.shard(cid.digest()))?;
        }
        Ok(deleted)
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        Ok(Box::new(self.layout.blocks.list()?))
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        self.layout.pins()
    }

    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        self.writable()?;
        let _changing = self.guard.changing_pins();
        let _file = self.pin_files(std::iter::once(root));
        let path = self.layout.pin(root);
        let Some(mut pin) = self.layout.read_pin(&path)? else { return Ok(false) };
        if !pin.take(reason) {
            return Ok(false);
        }
        if pin.reasons.is_empty() {
            remove(&path)?;
            sync_dir(&self.layout.pins_folder())?;
        } else {
            let number = self.sessions.fetch_add(1, Ordering::Relaxed);
            let tmp = self.layout.tmp().join(format!("{number}.pin"));
            write_synced(&tmp, pin.encode().as_bytes(), &path)?;
        }
        Ok(true)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.writable()?;
        let _changing = self.guard.changing_pins();
        let _file = self.pin_files(std::iter::once(root));
        let removed = remove(&self.layout.pin(root))?;
        if removed {
            sync_dir(&self.layout.pins_folder())?;
        }
        Ok(removed)
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        self.writable()?;
        self.guard.begin_sweep()?;
        Ok(Box::new(FileSweep { store: self, shards: BTreeSet::new() }))
    }

    fn strays(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.layout.strays()
    }
}

struct FileSweep<'a> {
    store: &'a FileStore,
    shards: BTreeSet<PathBuf>,
}

impl Sweep for FileSweep<'_> {
    fn pins(&mut self) -> Result<Vec<Pin>, StoreError> {
        let _at_rest = self.store.guard.pins_at_rest();
        self.store.layout.pins()
    }

    fn remove(&mut self, cid: &Cid) -> Result<bool, StoreError> {
        let path = self.store.block_path(cid);
        let removed = self.store.guard.unless_spared(cid.digest(), || remove(&path));
        let removed = removed.unwrap_or(Ok(false))?;
        if removed {
            self.shards.insert(self.store.layout.blocks.shard(cid.digest()));
        }
        Ok(removed)
    }
}

impl Drop for FileSweep<'_> {
    fn drop(&mut self) {
        // A removal that a loss of power takes back leaves garbage, nothing worse.
        if let Err(error) = sync_dirs(&self.shards, || Ok(())) {
            tracing::warn!(%error, "what was collected may come back after a loss of power");
        }
        self.store.guard.end_sweep();
    }
}

/// Removes a file and says whether it was there.
fn remove(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::at(path, e)),
    }
}
