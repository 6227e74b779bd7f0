//! A group of blocks on its way to the disk.

use super::{
    FileStore, FlatfsReader,
    durable::{Disk, sync_dir},
};
use crate::{
    block::MAX_BLOCK_BYTES,
    store::{BlockRead, Keep, Key, MAX_REASONS, Pin, Session, StoreError},
};
use medledger_core::Cid;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

pub(super) struct FileSession<'a> {
    store: &'a FileStore,
    folder: PathBuf,
    taken: Mutex<HashMap<Key, Place>>,
    disk: Disk,
    failed: AtomicBool,
}

/// What is known of a block that the session has claimed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Whoever links to it relies on it; it may be absent.
    Held,
    /// In the store, put there by another session; or a thread of this one is looking whether it is.
    Known,
    /// In the session's folder.
    New,
}

impl<'a> FileSession<'a> {
    pub(super) fn new(store: &'a FileStore, folder: PathBuf) -> Result<Self, StoreError> {
        fs::create_dir(&folder).map_err(|e| StoreError::at(&folder, e))?;
        let disk = Disk::new(folder.clone(), store.whole)?;
        Ok(Self { store, folder, taken: Mutex::default(), disk, failed: AtomicBool::new(false) })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Key, Place>> {
        // Each change is a single insertion, so a panic elsewhere does not matter.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a block, so that no one deletes it from here on, and says what was known of it.
    fn claim(&self, key: Key, place: Place) -> Option<Place> {
        match self.taken().entry(key) {
            Entry::Occupied(mut known) => {
                let before = *known.get();
                if before == Place::Held {
                    known.insert(place);
                }
                Some(before)
            }
            Entry::Vacant(free) => {
                self.store.guard.claim(key);
                free.insert(place);
                None
            }
        }
    }

    fn take(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        if block.len() > MAX_BLOCK_BYTES {
            let found = block.len() as u64;
            return Err(StoreError::TooLarge { cid: *cid, found, limit: MAX_BLOCK_BYTES });
        }
        let key = *cid.digest();
        // A thread that puts the same block ends before the session does, and tells if it failed.
        if let Some(Place::Known | Place::New) = self.claim(key, Place::Known) {
            return Ok(());
        }
        // Claimed first, only then looked for: what is found now is not deleted.
        match self.store.layout.blocks.read(cid) {
            Ok(Some(found)) if *found == *block => return Ok(()),
            Ok(Some(found)) if cid.matches(&found) => {
                return Err(StoreError::Mismatch { cid: *cid });
            }
            Ok(_) | Err(StoreError::Damaged { .. }) => {}
            Err(e) => return Err(e),
        }
        let path = self.folder.join(FlatfsReader::name(&key));
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(block)?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                self.taken().insert(key, Place::New);
                self.disk.wrote(path, file, block.len() as u64)
            }
            Err(e) => {
                // Half a block is of no use, and its space may be needed.
                let _ = fs::remove_file(&path);
                Err(StoreError::at(&path, e))
            }
        }
    }

    fn is_there(&self, cid: &Cid) -> Result<bool, StoreError> {
        match self.claim(*cid.digest(), Place::Held) {
            Some(Place::Known | Place::New) => Ok(true),
            Some(Place::Held) | None => self.store.has(cid),
        }
    }

    /// Gives the blocks, whose bytes are durable, their names; then sets the pins.
    fn publish(&self, pins: &[(Cid, Keep)]) -> Result<(), StoreError> {
        let blocks = &self.store.layout.blocks;
        let mut shards = BTreeSet::new();
        let taken = self.taken();
        for key in taken.iter().filter(|(_, place)| **place == Place::New).map(|(key, _)| key) {
            let shard = blocks.shard(key);
            if !shards.contains(&shard) {
                match fs::create_dir(&shard) {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(e) => return Err(StoreError::at(&shard, e)),
                }
            }
            let (from, to) = (self.folder.join(FlatfsReader::name(key)), blocks.path(key));
            fs::rename(&from, &to).map_err(|e| StoreError::at(&to, e))?;
            shards.insert(shard);
        }
        // Another session may have put a known block there a moment ago and not synced its folder.
        shards.extend(taken.keys().map(|key| blocks.shard(key)));
        drop(taken);
        shards.insert(blocks.folder().to_path_buf());
        if pins.is_empty() {
            return self.disk.sync_names(&shards, &[]);
        }
        let _changing = self.store.guard.changing_pins();
        let _files = self.store.pin_files(pins.iter().map(|(root, _)| root));
        let mut changed: BTreeMap<PathBuf, Pin> = BTreeMap::new();
        for (root, keep) in pins {
            let path = self.store.layout.pin(root);
            // Several reasons for one root go into one file.
            let before = match changed.remove(&path) {
                Some(pin) => Some(pin),
                None => self.store.layout.read_pin(&path)?,
            };
            if let Some(pin) = pin_with(before, root, keep)? {
                changed.insert(path, pin);
            }
        }
        let temporary = |number: usize| self.folder.join(format!("pin{number}"));
        let files = changed.values().enumerate().map(|(n, pin)| (temporary(n), pin.encode()));
        let files: Vec<_> = files.collect();
        self.disk.sync_names(&shards, &files)?;
        for ((tmp, _), path) in files.iter().zip(changed.keys()) {
            fs::rename(tmp, path).map_err(|e| StoreError::at(path, e))?;
        }
        if changed.is_empty() { Ok(()) } else { sync_dir(&self.store.layout.pins_folder()) }
    }

    fn noting<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Session for FileSession<'_> {
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        self.noting(self.take(cid, block))
    }

    fn hold(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.noting(self.is_there(cid))
    }

    fn finish(self: Box<Self>, pins: &[(Cid, Keep)]) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(StoreError::SessionFailed);
        }
        for (root, _) in pins {
            if !self.is_there(root)? {
                return Err(StoreError::NoRoot { cid: *root });
            }
        }
        self.disk.sync_bytes()?;
        self.publish(pins)
    }
}

impl Drop for FileSession<'_> {
    fn drop(&mut self) {
        // No thread may still sync what is about to be removed.
        self.disk.end();
        // What cannot be removed now is removed when the store is opened next.
        if let Err(e) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(path = %self.folder.display(), error = %e, "temporary files stay");
        }
        let taken = self.taken.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.store.guard.let_go(taken.keys());
    }
}

/// A pin with one more reason; nothing when it has that one already.
fn pin_with(before: Option<Pin>, root: &Cid, keep: &Keep) -> Result<Option<Pin>, StoreError> {
    let Some(mut pin) = before else { return Ok(Some(Pin::new(*root, keep.clone()))) };
    if !pin.add(keep.clone()) {
        return Ok(None);
    }
    if pin.reasons.len() > MAX_REASONS {
        return Err(StoreError::TooManyReasons { root: *root, limit: MAX_REASONS });
    }
    Ok(Some(pin))
}
