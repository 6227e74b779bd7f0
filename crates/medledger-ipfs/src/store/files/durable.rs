//! What makes files and their names durable, and how soon.
//!
//! A session makes its blocks durable in three steps: the bytes of all files in its own folder, then the
//! names these get under `blocks/`, then the pin. Each step ends before the next one begins:
//!
//! - *Bytes before names.* A name that survives a crash always leads to whole bytes. Another session may
//!   find a block under its name and rely on it: it has only names to sync, never bytes.
//! - *Names before the pin.* A pin that survives leads to blocks that do.
//!
//! Two ways to do the first two steps. *Each for itself*: `fdatasync` of each file by a few threads, then
//! `fsync` of each folder. Portable; costs a commit of the file system's journal for every few files.
//! *As a whole*: `syncfs`, once for many files, and now and then while they are being written, so that
//! the disk works from the beginning and little is left at the end. It waits for what others wrote
//! too, so a session with few files is never the cause of one.

use crate::store::StoreError;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

/// Files, and folders, that are synced each for itself before the whole file system is.
const FEW: usize = 16;
/// Files written but not yet synced: what bounds open files and how far the disk may lag behind.
const QUEUE: usize = 16;
/// Threads that wait for the disk. They use no processor to speak of; several waiting at once let
/// the file system commit their files together.
const SYNCERS: usize = 4;
/// Bytes after which a sync of the whole begins while more are being written.
const AHEAD: u64 = 32 << 20;
/// Bytes that may be written and not yet synced; then writing waits for the disk.
const LAG: u64 = 4 * AHEAD;

/// Whether `syncfs` on the file system of this file waits for bytes and names and tells of every
/// failure. Linux does so since 5.8; of file systems, these are known to report failed writes there
/// (one that lies over another one, such as overlayfs, does not see those of the other).
#[cfg(target_os = "linux")]
pub(super) fn syncs_as_a_whole(file: &File) -> bool {
    const EXT4: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683e;
    let release = rustix::system::uname();
    let mut numbers = release.release().to_str().unwrap_or_default().split(['.', '-']);
    let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    let reports = (number(), number()) >= (5, 8);
    let kind = rustix::fs::fstatfs(file).ok().and_then(|stat| u32::try_from(stat.f_type).ok());
    reports && matches!(kind, Some(EXT4 | XFS | BTRFS))
}

/// Elsewhere there is no such call.
#[cfg(not(target_os = "linux"))]
pub(super) const fn syncs_as_a_whole(_: &File) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn sync_whole(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_whole(_: &File) -> io::Result<()> {
    unreachable!("never chosen where there is no such call")
}

/// Makes the files of one session durable.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    /// The session's folder, opened before its first file was written: a failed write is told to
    /// those who had the file system open before it failed, to each of them once.
    whole: Option<Arc<File>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: usize,
    each: Option<Each>,
    ahead: Option<Arc<Ahead>>,
}

impl Disk {
    /// For files in `folder`, which is empty.
    pub(super) fn new(folder: PathBuf, whole: bool) -> Result<Self, StoreError> {
        let open = || File::open(&folder).map(Arc::new).map_err(|e| StoreError::at(&folder, e));
        let whole = if whole { Some(open()?) } else { None };
        Ok(Self { folder, whole, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file that has been written. The disk starts at once and works while the next is made;
    /// this waits when it lags behind.
    pub(super) fn wrote(&self, path: PathBuf, file: File, bytes: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        state.files += 1;
        match &self.whole {
            Some(whole) if state.files > FEW => {
                drop(file);
                let ahead = state.ahead.get_or_insert_with(|| Ahead::start(Arc::clone(whole)));
                let ahead = Arc::clone(ahead);
                drop(state);
                ahead.wrote(bytes);
                Ok(())
            }
            _ => {
                let queue = state.each.get_or_insert_with(Each::start).queue();
                drop(state);
                // Receivers end after all senders did.
                let _ = queue.send((path, file));
                Ok(())
            }
        }
    }

    /// Returns when the bytes of all files are durable.
    pub(super) fn sync_bytes(&self) -> Result<(), StoreError> {
        let (each, ahead) = {
            let mut state = self.state();
            (state.each.take(), state.ahead.take())
        };
        let each = each.map_or(Ok(()), Each::finish);
        let ahead = match (ahead, &self.whole) {
            (Some(ahead), Some(whole)) => {
                ahead.finish().and_then(|()| sync_whole(whole)).map_err(|e| self.at(e))
            }
            _ => Ok(()),
        };
        each.and(ahead)
    }

    /// Writes small files in the session's folder; returns when they and the names in these folders are
    /// durable.
    pub(super) fn sync_names(
        &self,
        folders: &BTreeSet<PathBuf>,
        files: &[(PathBuf, String)],
    ) -> Result<(), StoreError> {
        match &self.whole {
            Some(whole) if folders.len() + files.len() > FEW => {
                for (path, text) in files {
                    fs::write(path, text).map_err(|e| StoreError::at(path, e))?;
                }
                sync_whole(whole).map_err(|e| self.at(e))
            }
            _ => sync_dirs(folders, || {
                files.iter().try_for_each(|(path, text)| write_temporary(path, text.as_bytes()))
            }),
        }
    }

    /// Ends the threads; nobody waits for the bytes any more.
    pub(super) fn end(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(each) = state.each.take() {
            each.failed.store(true, Ordering::Relaxed);
            let _ = each.finish();
        }
        if let Some(ahead) = state.ahead.take() {
            let _ = ahead.finish();
        }
    }

    fn at(&self, error: io::Error) -> StoreError {
        StoreError::at(&self.folder, error)
    }
}

/// Threads that sync files one after the other, until the queue is closed.
#[derive(Debug)]
struct Each {
    queue: SyncSender<(PathBuf, File)>,
    files: Arc<Mutex<Receiver<(PathBuf, File)>>>,
    /// After the first failure the rest is not worth syncing.
    failed: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<(), StoreError>>>,
}

impl Each {
    fn start() -> Self {
        let (queue, files) = sync_channel(QUEUE);
        let files = Arc::new(Mutex::new(files));
        Self { queue, files, failed: Arc::default(), threads: Vec::new() }
    }

    /// Where to send the next file; a thread more is there for it, up to a number.
    fn queue(&mut self) -> SyncSender<(PathBuf, File)> {
        if self.threads.len() < SYNCERS {
            let (files, failed) = (Arc::clone(&self.files), Arc::clone(&self.failed));
            self.threads.push(std::thread::spawn(move || sync_all(&files, &failed)));
        }
        self.queue.clone()
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

fn sync_all(
    files: &Mutex<Receiver<(PathBuf, File)>>,
    failed: &AtomicBool,
) -> Result<(), StoreError> {
    let mut result = Ok(());
    loop {
        let next = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((path, file)) = next else { return result };
        if !failed.load(Ordering::Relaxed)
            && let Err(e) = file.sync_data()
        {
            failed.store(true, Ordering::Relaxed);
            result = Err(StoreError::at(&path, e));
        }
    }
}

/// A thread that syncs the whole file system whenever enough has been written since it last began.
#[derive(Debug)]
struct Ahead {
    progress: Mutex<Progress>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

#[derive(Debug, Default)]
struct Progress {
    written: u64,
    synced: u64,
    /// No more is written, or the disk failed: no one waits any longer.
    ended: bool,
}

impl Ahead {
    fn start(folder: Arc<File>) -> Arc<Self> {
        let (progress, changed) = Default::default();
        let ahead = Arc::new(Self { progress, changed, thread: Mutex::default() });
        let runs = Arc::clone(&ahead);
        let thread = std::thread::spawn(move || runs.run(&folder));
        *ahead.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        ahead
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, folder: &File) -> io::Result<()> {
        loop {
            let written = {
                let idle = |p: &mut Progress| !p.ended && p.written - p.synced < AHEAD;
                let waiting = self.changed.wait_while(self.progress(), idle);
                let progress = waiting.unwrap_or_else(PoisonError::into_inner);
                if progress.ended {
                    return Ok(());
                }
                progress.written
            };
            let synced = sync_whole(folder);
            let mut progress = self.progress();
            progress.synced = written;
            progress.ended |= synced.is_err();
            self.changed.notify_all();
            drop(progress);
            synced?;
        }
    }

    fn wrote(&self, bytes: u64) {
        let mut progress = self.progress();
        progress.written += bytes;
        self.changed.notify_all();
        let lags = |p: &mut Progress| !p.ended && p.written - p.synced > LAG;
        drop(self.changed.wait_while(progress, lags));
    }

    /// Ends the thread. What was written since it last began is not synced.
    fn finish(&self) -> io::Result<()> {
        self.progress().ended = true;
        self.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let joined = thread.map_or(Ok(Ok(())), JoinHandle::join);
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Writes a small file by way of a temporary one, so that it is there whole or not at all.
pub(crate) fn write_synced(tmp: &Path, bytes: &[u8], path: &Path) -> Result<(), StoreError> {
    write_temporary(tmp, bytes)?;
    put_in_place(tmp, path)
}

/// As [`write_synced`], for the owner's eyes only.
pub(crate) fn write_private_synced(
    tmp: &Path,
    bytes: &[u8],
    path: &Path,
) -> Result<(), StoreError> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(tmp).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|e| StoreError::at(tmp, e))?;
    put_in_place(tmp, path)
}

/// Writes a file and makes its bytes durable, not its name.
pub(super) fn write_temporary(tmp: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let written = File::create(tmp).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|e| StoreError::at(tmp, e))
}

/// Gives a durable file its durable name.
pub(super) fn put_in_place(tmp: &Path, path: &Path) -> Result<(), StoreError> {
    fs::rename(tmp, path).map_err(|e| StoreError::at(path, e))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes the names in a folder durable.
#[cfg(not(windows))]
pub(super) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|e| StoreError::at(path, e))
}

/// Windows has no way to sync a folder: a folder cannot be opened as a file there, and NTFS journals
/// names on its own.
#[cfg(windows)]
pub(super) fn sync_dir(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Syncs folders, several at a time, while this thread does something else first.
pub(super) fn sync_dirs(
    folders: &BTreeSet<PathBuf>,
    also: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
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
        let mut result = also().and_then(|()| sync_some());
        for thread in threads {
            let one = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(one);
        }
        result
    })
}
