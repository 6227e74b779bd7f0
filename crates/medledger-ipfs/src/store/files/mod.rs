//! A store in a folder, laid out as Kubo's flatfs: other tools can read the blocks.

mod layout;
mod session;

use super::{BlockRead, BlockStore, Key, Session, StoreError};
use crate::block::{Block, MAX_BLOCK_BYTES};
use layout::{Layout, sync_dir};
use medledger_core::{Cid, cid::Codec};
use session::FileSession;
use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io::{self, Read},
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
/// pins/AFYB….pin              a pinned root; the name is its CID in base 32, the content its text
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
    sessions: AtomicU64,
    /// Blocks that sessions under way put or found, and how many of them did: not to be deleted.
    relied: Mutex<HashMap<Key, usize>>,
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
        Ok(Self::with(layout, Some(lock)))
    }

    /// Opens a folder for reading only, beside a process that may be writing there.
    ///
    /// # Errors
    /// When there is no store in the folder or it cannot be read.
    pub fn open_read_only(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let layout = Layout::new(folder.into());
        layout.check_sharding()?;
        Ok(Self::with(layout, None))
    }

    fn with(layout: Layout, lock: Option<Lock>) -> Self {
        Self { layout, lock, sessions: AtomicU64::new(0), relied: Mutex::default() }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.layout.root()
    }

    /// The file that holds a block, or would.
    #[must_use]
    pub fn block_path(&self, cid: &Cid) -> PathBuf {
        self.layout.block(cid.digest())
    }

    fn relied(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        // Counting has no half-done state, so a panic elsewhere does not matter.
        self.relied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rely_on(&self, key: Key) {
        *self.relied().entry(key).or_default() += 1;
    }

    fn writable(&self) -> Result<(), StoreError> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(StoreError::ReadOnly { path: self.path().to_path_buf(), source: None }),
        }
    }

    /// The bytes in a block's file, not verified; `None` when there is no such file.
    fn read(&self, cid: &Cid) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.block_path(cid);
        let at = |e| StoreError::at(&path, e);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at(e)),
        };
        let len = file.metadata().map_err(at)?.len();
        // No block is as long: not worth reading.
        if len > MAX_BLOCK_BYTES as u64 {
            return Err(StoreError::Damaged { cid: *cid, path: Some(path) });
        }
        let mut bytes = Vec::with_capacity(len as usize + 1);
        (&mut file).take(MAX_BLOCK_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(at)?;
        Ok(Some(bytes))
    }
}

impl BlockRead for FileStore {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        match self.read(cid)? {
            None => Ok(None),
            Some(bytes) if cid.matches(&bytes) => Ok(Some(Block::from(bytes))),
            Some(_) => Err(StoreError::Damaged { cid: *cid, path: Some(self.block_path(cid)) }),
        }
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let path = self.block_path(cid);
        path.try_exists().map_err(|e| StoreError::at(&path, e))
    }
}

impl BlockStore for FileStore {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        self.writable()?;
        let folder =
            self.layout.tmp().join(self.sessions.fetch_add(1, Ordering::Relaxed).to_string());
        Ok(Box::new(FileSession::new(self, folder)?))
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.writable()?;
        let relied = self.relied();
        if relied.contains_key(cid.digest()) {
            return Err(StoreError::InUse { cid: *cid });
        }
        if self.layout.is_pinned(cid.digest())? {
            return Err(StoreError::Pinned { cid: *cid });
        }
        remove_synced(&self.block_path(cid))
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        let shards = self.layout.shards()?;
        let keys = shards.flat_map(|shard| match shard.and_then(|path| Layout::keys(&path)) {
            Ok(keys) => keys,
            Err(e) => Box::new(std::iter::once(Err(e))),
        });
        Ok(Box::new(keys.map(|key| Ok(Cid::from_digest(Codec::Raw, key?)))))
    }

    fn pins(&self) -> Result<Vec<Cid>, StoreError> {
        let mut pins = self.layout.pins()?;
        pins.sort_unstable();
        Ok(pins)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.writable()?;
        remove_synced(&self.layout.pin(root))
    }
}

/// Removes a file for good and says whether it was there.
fn remove_synced(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(StoreError::at(path, e)),
    }
    path.parent().map_or(Ok(()), sync_dir)?;
    Ok(true)
}
