//! A group of blocks on its way to the disk.

use super::{
    FileStore,
    layout::{Layout, sync_dir, write_synced},
};
use crate::{
    block::MAX_BLOCK_BYTES,
    store::{Key, Session, StoreError},
};
use medledger_core::Cid;
use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

/// Files written but not yet synced: what bounds open files and how far the disk may lag behind.
const QUEUE: usize = 16;
/// Threads that wait for the disk. They use no processor to speak of; several waiting at once let
/// the file system commit their files together.
const SYNCERS: usize = 4;

pub(super) struct FileSession<'a> {
    store: &'a FileStore,
    folder: PathBuf,
    taken: Mutex<HashMap<Key, Place>>,
    syncers: Mutex<Option<Syncers>>,
    failed: AtomicBool,
}

/// Where a block that the session has taken lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the store, put there by another session; or a thread is looking whether it is.
    Known,
    /// In the session's folder.
    New,
}

impl<'a> FileSession<'a> {
    pub(super) fn new(store: &'a FileStore, folder: PathBuf) -> Result<Self, StoreError> {
        fs::create_dir(&folder).map_err(|e| StoreError::at(&folder, e))?;
        let (taken, syncers) = (Mutex::default(), Mutex::default());
        Ok(Self { store, folder, taken, syncers, failed: AtomicBool::new(false) })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Key, Place>> {
        // Each change is a single insertion, so a panic elsewhere does not matter.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this thread is the one to take the block. From here no one deletes it.
    fn claim(&self, key: Key) -> bool {
        match self.taken().entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                self.store.rely_on(key);
                free.insert(Place::Known);
                true
            }
        }
    }

    fn take(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        if block.len() > MAX_BLOCK_BYTES {
            let found = block.len() as u64;
            return Err(StoreError::TooLarge { cid: *cid, found, limit: MAX_BLOCK_BYTES });
        }
        let key = *cid.digest();
        // The other thread's put ends before the commit begins, and tells if it failed.
        if !self.claim(key) {
            return Ok(());
        }
        match self.store.read(cid) {
            Ok(Some(found)) if found == block => return Ok(()),
            Ok(Some(found)) if cid.matches(&found) => {
                return Err(StoreError::Mismatch { cid: *cid });
            }
            Ok(_) | Err(StoreError::Damaged { .. }) => {}
            Err(e) => return Err(e),
        }
        let path = self.folder.join(Layout::name(&key));
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(block)?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                self.taken().insert(key, Place::New);
                self.sync_later(path, file)
            }
            Err(e) => {
                // Half a block is of no use, and its space may be needed.
                let _ = fs::remove_file(&path);
                Err(StoreError::at(&path, e))
            }
        }
    }

    /// The disk starts at once and works while the next block is made.
    fn sync_later(&self, path: PathBuf, file: File) -> Result<(), StoreError> {
        let queue = {
            let mut syncers = self.syncers.lock().unwrap_or_else(PoisonError::into_inner);
            syncers.get_or_insert_with(Syncers::start).queue.clone()
        };
        match queue.send((path, file)) {
            Ok(()) => Ok(()),
            // They only stop before us when one of them failed.
            Err(_) => {
                drop(queue);
                self.finish_syncing()
            }
        }
    }

    fn finish_syncing(&self) -> Result<(), StoreError> {
        let syncers = self.syncers.lock().unwrap_or_else(PoisonError::into_inner).take();
        match syncers {
            Some(syncers) => syncers.finish(),
            None if self.failed.load(Ordering::Relaxed) => Err(StoreError::SessionFailed),
            None => Ok(()),
        }
    }

    fn publish(&self, root: &Cid) -> Result<(), StoreError> {
        let layout = &self.store.layout;
        let mut shards = BTreeSet::new();
        let taken = self.taken();
        for key in taken.iter().filter(|(_, place)| **place == Place::New).map(|(key, _)| key) {
            let shard = layout.shard(key);
            if !shards.contains(&shard) {
                match fs::create_dir(&shard) {
                    Ok(()) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                    Err(e) => return Err(StoreError::at(&shard, e)),
                }
            }
            let (from, to) = (self.folder.join(Layout::name(key)), layout.block(key));
            fs::rename(&from, &to).map_err(|e| StoreError::at(&to, e))?;
            shards.insert(shard);
        }
        // Another session may have put a known block there a moment ago and not synced its folder.
        shards.extend(taken.keys().map(|key| layout.shard(key)));
        sync_dirs(&shards)?;
        sync_dir(&layout.blocks())?;
        write_synced(&self.folder.join("pin"), format!("{root}\n").as_bytes(), &layout.pin(root))
    }
}

impl Session for FileSession<'_> {
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        let taken = self.take(cid, block);
        if taken.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        taken
    }

    fn commit(self: Box<Self>, root: &Cid) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(StoreError::SessionFailed);
        }
        if self.claim(*root.digest()) && !super::BlockRead::has(self.store, root)? {
            return Err(StoreError::NoRoot { cid: *root });
        }
        self.finish_syncing()?;
        self.publish(root)
    }
}

impl Drop for FileSession<'_> {
    fn drop(&mut self) {
        let _ = self.finish_syncing();
        // What cannot be removed now is removed when the store is opened next.
        if let Err(e) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(path = %self.folder.display(), error = %e, "temporary files stay");
        }
        let taken = self.taken.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut relied = self.store.relied();
        for key in taken.keys() {
            if let Some(count) = relied.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    relied.remove(key);
                }
            }
        }
    }
}

/// Syncs folders, several at a time: each wait is short, but a large report touches hundreds.
fn sync_dirs(folders: &BTreeSet<PathBuf>) -> Result<(), StoreError> {
    let next = Mutex::new(folders.iter());
    let sync_some = || {
        loop {
            let folder = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(folder) = folder else { return Ok(()) };
            sync_dir(folder)?;
        }
    };
    std::thread::scope(|scope| {
        let helpers = SYNCERS.min(folders.len()).saturating_sub(1);
        let threads: Vec<_> = (0..helpers).map(|_| scope.spawn(sync_some)).collect();
        let mut result = sync_some();
        for thread in threads {
            let one = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(one);
        }
        result
    })
}

/// Threads that sync files one after the other, until the queue is closed or one sync fails.
struct Syncers {
    queue: SyncSender<(PathBuf, File)>,
    threads: Vec<JoinHandle<Result<(), StoreError>>>,
}

impl Syncers {
    fn start() -> Self {
        let (queue, files) = sync_channel(QUEUE);
        let files = Arc::new(Mutex::new(files));
        let threads = (0..SYNCERS)
            .map(|_| {
                let files = Arc::clone(&files);
                std::thread::spawn(move || sync_all(&files))
            })
            .collect();
        Self { queue, threads }
    }

    fn finish(self) -> Result<(), StoreError> {
        drop(self.queue);
        let mut result = Ok(());
        for thread in self.threads {
            let one = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(one);
        }
        result
    }
}

fn sync_all(files: &Mutex<Receiver<(PathBuf, File)>>) -> Result<(), StoreError> {
    loop {
        let next = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((path, file)) = next else { return Ok(()) };
        file.sync_data().map_err(|e| StoreError::at(&path, e))?;
    }
}
