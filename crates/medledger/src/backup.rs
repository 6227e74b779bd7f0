//! Backup: a consistent copy of a ledger's folder while it is in use.

use crate::create::{CreateError, DATABASE, in_new_folder};
use crate::ledger::{BLOCKS, Ledger};
use crate::people::IDENTITIES;
use crate::sqlite::SqliteStore;
use medledger_core::chain::tip;
use medledger_core::ids::BlockId;
use medledger_core::store::{Store, StoreError};
use std::io;
use std::path::{Path, PathBuf};

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Height of its newest block.
    pub height: u64,
    /// Id of its newest block.
    pub head: BlockId,
    /// Bytes of the database.
    pub database: u64,
    /// Files of ciphertext and of identities.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Why there is no backup; nothing is left of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The folder for it cannot be made, or has something in it.
    #[error(transparent)]
    Folder(#[from] CreateError),
    /// The copy would lie in the ledger, or the ledger in the copy.
    #[error(
        "{to} and the ledger {ledger} lie one in the other: what becomes of one becomes of both"
    )]
    Within {
        /// Where the copy was to go.
        to: PathBuf,
        /// The ledger's folder.
        ledger: PathBuf,
    },
    /// The ledger's store failed, or the copy of it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was written is not what was to be copied.
    #[error("the copy of the database ends with block {found}, not with block {expected}")]
    Other {
        /// Newest block of the ledger.
        expected: BlockId,
        /// Newest block of the copy.
        found: BlockId,
    },
    /// A file could not be copied.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl Ledger {
    /// Copies this ledger into `to`, which must not exist or be empty, while it may be written to: the database as
    /// it is at one moment, every page checked after writing, then the ciphertext, the identities, which are locked
    /// with their passwords, and the settings.
    ///
    /// **The node key is not in it**, nor the note of the last head: keep the key elsewhere. A backup without its key
    /// shows what the chain shows; slots, letters and names in it stay closed, and erasing the key erases them there
    /// too. Ciphertext in a node is not in it either.
    ///
    /// `progress` is told pages of the database done, and of how many.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub fn backup(
        &self,
        to: impl AsRef<Path>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Backup, BackupError> {
        let to = to.as_ref();
        let (copy, ledger) = (whole(to)?, whole(self.folder())?);
        if copy.starts_with(&ledger) || ledger.starts_with(&copy) {
            return Err(BackupError::Within { to: to.into(), ledger: self.folder().into() });
        }
        in_new_folder(to, |building| self.back_up_into(building, progress), Ok)
    }

    fn back_up_into(
        &self,
        to: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Backup, BackupError> {
        let path = to.join(DATABASE);
        // Of its own, so that it stands beside whoever writes, be it this process or another.
        let source = SqliteStore::open(&self.folder().join(DATABASE), true)?;
        let expected = source.copy_to(&path, progress)?;
        drop(source);
        let copy = SqliteStore::open(&path, true)?;
        copy.check()?;
        let tip = tip(copy.view()?.as_ref())?;
        if Some(tip.id) != expected {
            let expected = expected.unwrap_or_else(|| BlockId::from_bytes([0; 32]));
            return Err(BackupError::Other { expected, found: tip.id });
        }
        drop(copy);
        let database = std::fs::metadata(&path).map_err(|source| at(&path, source))?.len();
        let mut done = Backup { height: tip.height, head: tip.id, database, files: 0, bytes: 0 };
        self.settings().save(to).map_err(CreateError::from)?;
        // Ciphertext is durable before its record, so after the database all that it names is there.
        let blocks = self.folder().join(BLOCKS);
        for (from, name) in [(&blocks, BLOCKS), (&self.folder().join(IDENTITIES), IDENTITIES)] {
            if from.exists() {
                copy_folder(from, &to.join(name), &mut done)?;
            }
        }
        Ok(done)
    }
}

/// A path without links and steps back, be it there or not.
fn whole(path: &Path) -> Result<PathBuf, BackupError> {
    crate::files::whole(path).map_err(|source| at(path, source))
}

fn at(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io { path: path.into(), source }
}

/// Copies a folder with all that is whole in it. Files are copied and not linked: damage to one must not reach the
/// other.
fn copy_folder(from: &Path, to: &Path, done: &mut Backup) -> Result<(), BackupError> {
    std::fs::create_dir(to).map_err(|source| at(to, source))?;
    for entry in std::fs::read_dir(from).map_err(|source| at(from, source))? {
        let entry = entry.map_err(|source| at(from, source))?;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().map_err(|source| at(&path, source))?;
        let half = path.extension().is_some_and(|end| end == "partial");
        if kind.is_dir() && name != "tmp" {
            copy_folder(&path, &to.join(&name), done)?;
        } else if kind.is_file() && name != "LOCK" && !half {
            match copy_file(&path, &to.join(&name)) {
                Ok(bytes) => {
                    done.files += 1;
                    done.bytes += bytes;
                }
                // Collected or erased meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(&path, error)),
            }
        }
    }
    crate::files::sync_folder(to).map_err(|source| at(to, source))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<u64> {
    let bytes = std::fs::copy(from, to)?;
    std::fs::File::open(to)?.sync_all()?;
    Ok(bytes)
}
