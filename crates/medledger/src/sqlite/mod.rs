//! A ledger in one SQLite file.
//!
//! - **Durable.** Write-ahead log with `synchronous=FULL`: when a commit returns, it survives a power
//!   cut. One process writes, any number read meanwhile; each view is a snapshot.
//! - **Removed is gone.** `secure_delete` overwrites removed rows in the database. Old copies of them
//!   in the write-ahead log are dropped by a checkpoint that empties the log, right after the commit
//!   that removed a local row or replaced one of slots, mail, contacts or labels; while a reader
//!   still needs the log, at the first commit after it. A file system or a disk may keep blocks it
//!   was told to overwrite or to free: that is why such rows are encrypted besides.
//! - **Readable.** Tables have plain names and types; `SELECT * FROM readable` in the `sqlite3`
//!   program lists records. Do not write to it there.
//! - **Checked.** What does not decode, a header that does not hash to its block's id, and what
//!   SQLite itself finds broken, is [`StoreError::Damaged`]. [`SqliteStore::check`] looks at every page.

mod absent;
mod check;
mod read;
mod schema;
mod state;
mod write;

use medledger_core::ids::BlockId;
use medledger_core::state::Known;
use medledger_core::store::{Store, StoreError, Unit, View};
use read::{InStore, Session};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, ffi};
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use write::{Writer, Writing};

/// Connections kept for the next views; more are opened as needed and closed after.
const IDLE_READERS: usize = 8;

/// Pages copied between two reports of progress: 4 MiB.
const PAGES_AT_ONCE: std::ffi::c_int = 1024;

/// A ledger in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    how: Readers,
    // Before the writer: the last connection to close tidies the log away, which only it can.
    idle: Mutex<Vec<Connection>>,
    writer: Option<Mutex<Writer>>,
    leftovers: AtomicBool,
    commits: AtomicU64,
    known: Known,
}

/// How readers open the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readers {
    /// With the log beside it, as a writer may be at it.
    Shared,
    /// The folder can be written by nobody: no log, no locks.
    Immutable,
}

impl SqliteStore {
    /// Makes a new ledger at `path`. On Unix only its owner may read it.
    ///
    /// # Errors
    /// When there is something at `path`, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let path = absolute(path)?;
        let doing = || format!("creating {}", path.display());
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| io_error(doing(), error))?;
        drop(file);
        let made = (|| {
            let mut db = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            schema::set_page_size(&db)?;
            schema::configure_writer(&db)?;
            schema::lay_out(&mut db)?;
            sync_folder(&path).map_err(|error| io_error(doing(), error))?;
            Ok(Self::with_writer(path.clone(), db))
        })();
        if made.is_err() {
            // Nobody was told of it yet. What cannot be removed is refused as no ledger later.
            for name in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
                let _ = fs::remove_file(name);
            }
        }
        made
    }

    /// Opens the ledger at `path`.
    ///
    /// Reading only, it works beside a writer, and also where nothing can be written, unless a
    /// writer was interrupted there: what it had committed is then in a log that only a writer
    /// can put back. Where the folder can be written, SQLite may leave an empty log beside the file.
    ///
    /// # Errors
    /// [`StoreError::NotALedger`], [`StoreError::UnknownVersion`], [`StoreError::OldVersion`] when it is
    /// to be read only and its layout is an earlier one, [`StoreError::ReadOnly`] when it
    /// is to be written and cannot be, [`StoreError::Damaged`], or when the machine fails.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, StoreError> {
        let path = absolute(path)?;
        let doing = || format!("opening {}", path.display());
        let length = fs::metadata(&path).map_err(|error| io_error(doing(), error))?.len();
        if length == 0 {
            return Err(StoreError::NotALedger(path.display().to_string()));
        }
        // SQLite reads a byte that is missing at the end as a zero. Only beside a log may a page be
        // half written: the log has all of it.
        if length % schema::PAGE != 0 && !has_log(&path) {
            return Err(Self::cut(&path, length));
        }
        if read_only { Self::open_reader(path) } else { Self::open_writer(path) }
    }

    /// What to say of a file that ends within a page.
    fn cut(path: &Path, length: u64) -> StoreError {
        let mut head = [0; 72];
        let read = fs::File::open(path).and_then(|mut file| io::Read::read(&mut file, &mut head));
        let ours = head[68..] == schema::APPLICATION_ID.to_be_bytes();
        // A cut within the head leaves nothing to tell whose it was but the first bytes.
        let short = matches!(read, Ok(16..72)) && head.starts_with(schema::MAGIC);
        if ours || short {
            return StoreError::Damaged(format!("the file was cut to {length} bytes"));
        }
        StoreError::NotALedger(path.display().to_string())
    }

    fn open_writer(path: PathBuf) -> Result<Self, StoreError> {
        let opened = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|mut db| {
            if db.is_readonly("main").map_err(|error| failed("opening the ledger", error))? {
                return Err(StoreError::ReadOnly);
            }
            let found = schema::identify(&db, &path)?;
            schema::configure_writer(&db)?;
            if found < schema::LAYOUT {
                schema::migrate(&mut db, &path)?;
            }
            Ok(db)
        });
        match opened {
            Ok(db) => {
                // A log of a process that was killed may hold what was to be forgotten.
                let leftovers = !empty_log(&db);
                let store = Self::with_writer(path, db);
                store.leftovers.store(leftovers, Ordering::Relaxed);
                Ok(store)
            }
            Err(StoreError::Io { .. }) if !writable(&path) => Err(StoreError::ReadOnly),
            Err(error) => Err(error),
        }
    }

    fn open_reader(path: PathBuf) -> Result<Self, StoreError> {
        let open = |how| {
            let db = connect_reader(&path, how)?;
            let found = schema::identify(&db, &path)?;
            if found < schema::LAYOUT {
                return Err(StoreError::OldVersion { found, newest: schema::LAYOUT });
            }
            // Goes to the tables, and so to the log if there is one.
            begin_reading(&db)?;
            end_reading(&db);
            Ok(db)
        };
        let (how, db) = match open(Readers::Shared) {
            Ok(db) => (Readers::Shared, db),
            // Without a log beside it, and where nobody can make one, the file is all there is.
            Err(StoreError::Io { .. } | StoreError::ReadOnly)
                if !writable(&path) && !has_log(&path) =>
            {
                (Readers::Immutable, open(Readers::Immutable)?)
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            path,
            how,
            idle: Mutex::new(vec![db]),
            writer: None,
            leftovers: AtomicBool::new(false),
            commits: AtomicU64::new(0),
            known: Known::default(),
        })
    }

    fn with_writer(path: PathBuf, db: Connection) -> Self {
        Self {
            path,
            how: Readers::Shared,
            idle: Mutex::default(),
            writer: Some(Mutex::new(Writer::new(db))),
            leftovers: AtomicBool::new(false),
            commits: AtomicU64::new(0),
            known: Known::default(),
        }
    }

    /// Copies the database as it is at one moment to `to`, where nothing may be; the id of its newest block. Others may
    /// write meanwhile. `progress` is told pages done, and of how many.
    ///
    /// # Errors
    /// When there is something at `to`, or the store fails.
    pub fn copy_to(
        &self,
        to: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Option<BlockId>, StoreError> {
        let doing = "copying the ledger";
        let to = absolute(to)?;
        let reader = self.reader()?;
        let session = Session(reader);
        let tip = session.tip()?.map(|tip| tip.id);
        let reader = session.0;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let made = format!("creating {}", to.display());
        drop(options.open(&to).map_err(|error| io_error(made, error))?);
        let mut copy = connect(&to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // The snapshot is pinned, so what others write does not start it over.
        let backup = Backup::new(&reader, &mut copy).map_err(|error| failed(doing, error))?;
        loop {
            let step = backup.step(PAGES_AT_ONCE).map_err(|error| failed(doing, error))?;
            let told = backup.progress();
            let [all, left] =
                [told.pagecount, told.remaining].map(|n| u64::try_from(n).unwrap_or(0));
            progress(all - left.min(all), all);
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                // Someone else is at the copy, or the source is locked whole.
                _ => return Err(StoreError::Busy),
            }
        }
        drop(backup);
        copy.close().map_err(|(_, error)| failed(doing, error))?;
        sync_folder(&to).map_err(|error| io_error(doing.into(), error))?;
        Ok(tip)
    }

    fn reader(&self) -> Result<Reading<'_>, StoreError> {
        let idle = lock(&self.idle).pop();
        let db = match idle {
            Some(db) => db,
            None => connect_reader(&self.path, self.how)?,
        };
        begin_reading(&db)?;
        Ok(Reading { store: self, db: Some(db) })
    }
}

impl Store for SqliteStore {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(Session(self.reader()?)))
    }

    fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError> {
        let db = lock(self.writer.as_ref().ok_or(StoreError::ReadOnly)?);
        db.prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .map_err(|error| failed("beginning a unit of work", error))?;
        db.absent.borrow_mut().check(&db);
        Ok(Box::new(Session(Writing { store: self, db, removed: false })))
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    fn check(&self) -> Result<(), StoreError> {
        Self::check(self)
    }
}

/// A connection with a snapshot; given back, it lets go of it.
#[derive(Debug)]
struct Reading<'a> {
    store: &'a SqliteStore,
    db: Option<Connection>,
}

impl Deref for Reading<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if end_reading(&db) {
            let mut idle = lock(&self.store.idle);
            if idle.len() < IDLE_READERS {
                idle.push(db);
            }
        }
    }
}

impl InStore for Reading<'_> {
    fn store(&self) -> &SqliteStore {
        self.store
    }
}

/// A transaction that was open when its thread panicked was rolled back as it unwound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pins a snapshot: the first look at a table does, `BEGIN` alone does not.
fn begin_reading(db: &Connection) -> Result<(), StoreError> {
    let begin = || {
        db.prepare_cached("BEGIN")?.execute([])?;
        db.prepare_cached("SELECT 1 FROM blocks LIMIT 1")?.exists([])
    };
    begin().map(drop).map_err(|error| {
        end_reading(db);
        failed("reading the ledger", error)
    })
}

fn end_reading(db: &Connection) -> bool {
    let end = || db.prepare_cached("ROLLBACK")?.execute([]);
    db.is_autocommit() || end().is_ok()
}

/// Moves what is in the log to the database and empties it; false when a reader still needs it.
fn empty_log(db: &Connection) -> bool {
    // Readers are not waited for: the next commit tries again.
    let _ = db.busy_timeout(Duration::ZERO);
    let busy: Result<i64, _> =
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    let _ = db.busy_timeout(schema::BUSY);
    matches!(busy, Ok(0))
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| failed("opening the ledger", error))?;
    schema::configure(&db)?;
    Ok(db)
}

fn connect_reader(path: &Path, how: Readers) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = match how {
        Readers::Shared => connect(path, flags)?,
        Readers::Immutable => {
            let uri = format!("{}?immutable=1", file_uri(path));
            connect(Path::new(&uri), flags | OpenFlags::SQLITE_OPEN_URI)?
        }
    };
    schema::configure_reader(&db)?;
    Ok(db)
}

/// `file:` and the absolute path, with every byte escaped that could mean something else.
fn file_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    let text = path.as_os_str().as_encoded_bytes();
    if cfg!(windows) {
        uri.push('/');
    }
    for byte in text {
        match byte {
            b'\\' if cfg!(windows) => uri.push('/'),
            b':' if cfg!(windows) => uri.push(':'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Absolute, so that no path is taken for a URI.
fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path)
        .map_err(|error| io_error(format!("finding {}", path.display()), error))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// Whether files can be made beside the ledger and it can itself be written. Asked only after an
/// open failed, as it tries.
fn writable(path: &Path) -> bool {
    let probe = beside(path, &format!("-probe-{}", std::process::id()));
    let beside = fs::OpenOptions::new().write(true).create_new(true).open(&probe).is_ok();
    if beside {
        let _ = fs::remove_file(&probe);
    }
    beside && fs::OpenOptions::new().write(true).open(path).is_ok()
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn io_error(doing: String, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::StorageFull => StoreError::NoSpace(doing),
        io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        _ => StoreError::Io { doing, source: source.into() },
    }
}

/// What an error of SQLite means for a ledger.
fn failed(doing: &str, error: Error) -> StoreError {
    let damaged = |error: &Error| StoreError::Damaged(format!("{doing}: {error}"));
    match &error {
        Error::SqliteFailure(failure, _) => match (failure.code, failure.extended_code) {
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => {
                StoreError::NoSpace(doing.into())
            }
            (ErrorCode::ReadOnly, _) => StoreError::ReadOnly,
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => StoreError::Busy,
            // All statements are constant: one that does not fit found other tables than ours.
            (
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::Unknown,
                _,
            )
            | (_, ffi::SQLITE_IOERR_CORRUPTFS) => damaged(&error),
            _ => StoreError::Io { doing: doing.into(), source: error.into() },
        },
        Error::SqlInputError { .. }
        | Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..) => damaged(&error),
        _ => StoreError::Io { doing: doing.into(), source: error.into() },
    }
}
