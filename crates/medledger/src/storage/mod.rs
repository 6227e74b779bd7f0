//! Where ciphertext lies: in the ledger's folder, in a Kubo node, or in both.

mod keeper;
#[cfg(feature = "kubo")]
mod kubo;
pub(crate) mod part;
mod replicas;
mod sources;
mod switch;

pub use keeper::Keeper;
pub use replicas::{KeeperKind, ReplicaKeeper, ReplicaReport, ReplicaSettings};
pub use sources::{RepairSource, SourceSettings, auth_variable};
pub use switch::{SwitchOptions, Switched};

use crate::ledger::Ledger;
use crate::settings::SettingsError;
use medledger_core::Cid;
use medledger_ipfs::FileStore;
use medledger_ipfs::fsck::FsckError;
use medledger_ipfs::store::{BlockStore, CatchUpError, CaughtUp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// The folder of blocks in a ledger's folder.
pub(crate) const BLOCKS: &str = "blocks";
/// What the node is behind, in a ledger's folder.
const OWED: &str = "owed-to-kubo";

/// Where ciphertext lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StorageMode {
    /// In the ledger's folder.
    #[default]
    Embedded,
    /// In a Kubo node, and nowhere else.
    Kubo,
    /// In the ledger's folder first, then in a Kubo node. A node that is away catches up.
    Both,
}

impl StorageMode {
    const ALL: [Self; 3] = [Self::Embedded, Self::Kubo, Self::Both];

    const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Kubo => "kubo",
            Self::Both => "both",
        }
    }

    const fn in_folder(self) -> bool {
        matches!(self, Self::Embedded | Self::Both)
    }

    const fn in_node(self) -> bool {
        matches!(self, Self::Kubo | Self::Both)
    }
}

impl fmt::Display for StorageMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for StorageMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| format!("{text:?} is none of embedded, kubo and both"))
    }
}

/// A Kubo node for ciphertext. Its credentials come from the environment variable `MEDLEDGER_KUBO_AUTH`
/// (`bearer:TOKEN` or `basic:USER:PASSWORD`), never from a file of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KuboSettings {
    /// Address of its RPC: a URL, or a multiaddr as `Addresses.API` has it.
    #[serde(default = "default_address")]
    pub address: String,
    /// Whether the node may tell the public network what it stores. Otherwise a node that would is refused.
    #[serde(default)]
    pub public: bool,
}

fn default_address() -> String {
    "http://127.0.0.1:5001".to_owned()
}

impl Default for KuboSettings {
    fn default() -> Self {
        Self { address: default_address(), public: false }
    }
}

/// Where ciphertext lies, as `settings.json` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    /// Where.
    #[serde(default)]
    pub mode: StorageMode,
    /// Which node, where there is one. Of a ledger that left a node and let what it kept lie there: that one.
    #[serde(default)]
    pub kubo: KuboSettings,
    /// Under which name this folder keeps its reports in a node. Drawn when it first uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<Keeper>,
    /// Who is asked for blocks that are missing or damaged at home, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceSettings>,
    /// Who else is to keep reports.
    #[serde(default, skip_serializing_if = "ReplicaSettings::is_none")]
    pub replicas: ReplicaSettings,
}

impl StorageSettings {
    /// This place, this node, and nothing else.
    #[must_use]
    pub fn new(mode: StorageMode, kubo: KuboSettings) -> Self {
        Self { mode, kubo, ..Self::default() }
    }
}

/// Why ciphertext cannot be kept where it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// This program was built without the feature `kubo`.
    #[error("this program was built without Kubo: it keeps reports in the ledger's folder only")]
    NotBuilt,
    /// The node's address, or the credentials in the environment, cannot be used.
    #[cfg(feature = "kubo")]
    #[error(transparent)]
    Endpoint(#[from] medledger_ipfs::http::EndpointError),
    /// The node is not fit for reports.
    #[cfg(feature = "kubo")]
    #[error(transparent)]
    Kubo(#[from] medledger_ipfs::kubo::KuboError),
    /// A store failed.
    #[error(transparent)]
    Blocks(#[from] medledger_ipfs::store::StoreError),
    /// The node could not follow.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
    /// After copying, something was not as it should be: nothing was switched, nothing removed.
    #[error(
        "{root} is not whole in its new place: {missing} blocks missing, {damaged} damaged; nothing was switched"
    )]
    NotWhole {
        /// The root.
        root: Cid,
        /// Blocks that are not there.
        missing: usize,
        /// Blocks whose bytes are wrong.
        damaged: usize,
    },
    /// A check of what was copied could not be finished: nothing was switched, nothing removed.
    #[error(transparent)]
    Check(#[from] FsckError),
    /// The ledger's own store failed.
    #[error(transparent)]
    Store(#[from] medledger_core::store::StoreError),
    /// The new settings could not be written.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The old blocks could not be removed from the folder; the switch itself is done.
    #[error("the switch is done, but {path} could not be removed: {source}")]
    Free {
        /// The folder.
        path: std::path::PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The ledger is open for reading only.
    #[error("the ledger is open for reading only")]
    ReadOnly,
    /// A name that no source and no keeper of replicas can have.
    #[error(transparent)]
    Name(#[from] medledger_ipfs::replication::NameError),
    /// A source or a keeper has that name, or one whose credentials would stand in the same variable.
    #[error("the name {0:?} is taken, or too much like one that is")]
    NameTaken(String),
    /// There is no source or keeper of that name.
    #[error("nothing is called {0:?} here")]
    NoSuchName(String),
    /// No source was added.
    #[error("this ledger has no sources")]
    NoSources,
    /// The ledger uses no node.
    #[error("this ledger uses no Kubo node")]
    NoNode,
    /// Nobody was named who could keep replicas.
    #[error("nobody is set up to keep replicas")]
    NoKeepers,
    /// The file of what the node is owed cannot be read.
    #[error(transparent)]
    Owed(OwedFault),
    /// Back ends that cannot be put together.
    #[error(transparent)]
    Replication(#[from] medledger_ipfs::replication::ReplicationError),
    /// Numbers of peers that no cluster can use.
    #[cfg(feature = "kubo")]
    #[error(transparent)]
    Spread(#[from] medledger_ipfs::replication::SpreadError),
    /// The record of who was asked to keep a root cannot be read.
    #[error("{} is not usable: {reason}", .path.display())]
    Record {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// Where ciphertext lies, and how far behind the node is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageStatus {
    /// Where.
    pub mode: StorageMode,
    /// The node's address, where there is a node.
    pub node: Option<String>,
    /// Roots that the node has still to be given, or told to let go.
    pub behind: usize,
    /// The file that says how far, where it cannot be read.
    pub fault: Option<OwedFault>,
}

/// Something that follows the folder.
pub(crate) trait Follower: Send + Sync {
    fn behind(&self) -> usize;
    fn catch_up(&self, compare: bool) -> Result<CaughtUp, CatchUpError>;
}

/// The stores of a ledger.
pub(crate) struct Stores {
    pub(crate) blocks: Arc<dyn BlockStore>,
    /// The store that must hold everything by itself: what is checked and mended.
    pub(crate) own: Arc<dyn BlockStore>,
    pub(crate) follower: Option<Arc<dyn Follower>>,
    /// The file of what the node is owed, where it cannot be read: nothing follows then.
    pub(crate) fault: Option<OwedFault>,
}

/// A file of what a node is owed that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not usable: {reason}", .path.display())]
#[non_exhaustive]
pub struct OwedFault {
    /// The file.
    pub path: std::path::PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Opens what the settings say. A node is not asked anything yet: it may be away.
pub(crate) fn open(
    folder: &Path,
    settings: &StorageSettings,
    read_only: bool,
) -> Result<Stores, StorageError> {
    let files = || {
        let path = folder.join(BLOCKS);
        if read_only { FileStore::open_read_only(path) } else { FileStore::open(path) }
    };
    let mut stores = if settings.mode == StorageMode::Embedded {
        let own: Arc<dyn BlockStore> = Arc::new(files()?);
        Stores { blocks: Arc::clone(&own), own, follower: None, fault: None }
    } else {
        #[cfg(not(feature = "kubo"))]
        return Err(StorageError::NotBuilt);
        #[cfg(feature = "kubo")]
        kubo::open(folder, settings, files, read_only)?
    };
    stores.blocks = sources::behind(stores.blocks, &settings.sources)?;
    Ok(stores)
}

impl Ledger {
    /// Where ciphertext lies, and how far behind the node is.
    #[must_use]
    pub fn storage(&self) -> StorageStatus {
        let StorageSettings { mode, kubo, .. } = &self.settings().storage;
        StorageStatus {
            mode: *mode,
            node: mode.in_node().then(|| kubo.address.clone()),
            behind: self.follower_of_blocks().map_or(0, Follower::behind),
            fault: self.owed_fault().cloned(),
        }
    }

    /// Gives the node what it is behind. With `compare`, looks at everything that is kept, not only at what is
    /// noted as owed.
    ///
    /// # Errors
    /// When the node cannot follow, or what is here cannot be read.
    pub fn catch_up_storage(&self, compare: bool) -> Result<CaughtUp, StorageError> {
        match self.follower_of_blocks() {
            Some(follower) => Ok(follower.catch_up(compare)?),
            None => Ok(CaughtUp::default()),
        }
    }
}
