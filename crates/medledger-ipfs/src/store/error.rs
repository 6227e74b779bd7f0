//! What can go wrong with a store, by whose fault it is.

use medledger_core::Cid;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The block is there but its bytes are not those its CID names.
    #[error("block {cid} is damaged{}", .path.as_ref().map(|p| format!(" ({})", p.display())).unwrap_or_default())]
    Damaged {
        /// The block.
        cid: Cid,
        /// The file that holds it, in stores that have one.
        path: Option<PathBuf>,
    },
    /// A file of the store other than a block is not what it should be.
    #[error("{} is not usable: {reason}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes given to be stored are not those the CID names.
    #[error("the bytes given for block {cid} do not match it")]
    Mismatch {
        /// The block named.
        cid: Cid,
    },
    /// A block larger than any store or peer takes.
    #[error("block {cid} has {found} bytes, at most {limit} are possible")]
    TooLarge {
        /// The block.
        cid: Cid,
        /// Its bytes.
        found: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// The root to pin is neither in the session nor in the store.
    #[error("root {cid} is not in the store")]
    NoRoot {
        /// The root.
        cid: Cid,
    },
    /// A pinned root cannot be deleted: unpin it first.
    #[error("block {cid} is pinned")]
    Pinned {
        /// The block.
        cid: Cid,
    },
    /// A session that is under way relies on the block.
    #[error("block {cid} is in use by a session under way")]
    InUse {
        /// The block.
        cid: Cid,
    },
    /// A collection is under way, and only one at a time is possible.
    #[error("a collection of blocks is under way already")]
    Sweeping,
    /// The store does not do that; whoever it belongs to may.
    #[error("{store} cannot {what}: {instead}")]
    Unsupported {
        /// Which store.
        store: String,
        /// What was asked.
        what: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// More reasons than one root may be kept for.
    #[error("block {root} is kept for {limit} reasons, and no more are possible")]
    TooManyReasons {
        /// The root.
        root: Cid,
        /// Reasons allowed.
        limit: usize,
    },
    /// The folder names its blocks' folders in a way not known here.
    #[error("{}: {source}", .path.display())]
    Sharding {
        /// The file that says how.
        path: PathBuf,
        /// What it says.
        source: super::ShardingError,
    },
    /// An earlier step of this session failed, so it cannot be committed.
    #[error("the session failed before and cannot be committed")]
    SessionFailed,
    /// Another process has the folder open for writing.
    #[error("{} is open for writing elsewhere", .path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The disk is full, or a quota used up.
    #[error("no space left to write {}", .path.display())]
    NoSpace {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store, its folder or its disk can only be read.
    #[error("{} can only be read", .path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
        /// What the system said; nothing when the store was opened for reading.
        source: Option<io::Error>,
    },
    /// The system does not allow it.
    #[error("no permission for {}", .path.display())]
    Denied {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading or writing failed for another reason.
    #[error("cannot access {}", .path.display())]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A store elsewhere could not be reached or gave no usable answer.
    #[error("{store} failed")]
    Backend {
        /// Which store.
        store: String,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Gives an error of the system its kind.
    pub(crate) fn at(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, source: Some(source) },
            io::ErrorKind::PermissionDenied => Self::Denied { path, source },
            _ => Self::Io { path, source },
        }
    }

    /// The closest kind for interfaces that know only [`io::Error`].
    pub(crate) fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Damaged { .. } | Self::Corrupt { .. } | Self::Mismatch { .. } => {
                io::ErrorKind::InvalidData
            }
            Self::NoSpace { source, .. }
            | Self::Denied { source, .. }
            | Self::Io { source, .. } => source.kind(),
            Self::ReadOnly { .. } => io::ErrorKind::ReadOnlyFilesystem,
            _ => io::ErrorKind::Other,
        }
    }
}
