//! Stores that have a node in them.

use super::{
    Follower, KuboSettings, OWED, OwedFault, StorageError, StorageMode, StorageSettings, Stores,
};
use medledger_ipfs::http::{Auth, Endpoint, EndpointError, EndpointOptions, Patience, Retry};
use medledger_ipfs::kubo::{Kubo, KuboStore, KuboStoreOptions, Reach};
use medledger_ipfs::store::{BlockStore, CatchUpError, CaughtUp, FileStore, Mirror, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a node that follows may be silent before it counts as away.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(15);

/// Where credentials for the node come from.
const AUTH: &str = "MEDLEDGER_KUBO_AUTH";

impl KuboSettings {
    /// The node, not asked anything yet.
    ///
    /// # Errors
    /// When the address or the credentials in the environment cannot be used.
    pub fn node(&self) -> Result<Kubo, StorageError> {
        self.node_with(EndpointOptions::default())
    }

    fn node_with(&self, options: EndpointOptions) -> Result<Kubo, StorageError> {
        let auth = match std::env::var(AUTH) {
            Ok(text) if !text.is_empty() => Some(text.parse::<Auth>()),
            _ => None,
        };
        let auth = auth.transpose().map_err(medledger_ipfs::http::EndpointError::from)?;
        let options = EndpointOptions { auth, ..options };
        Ok(Kubo::with(&self.address, options)?)
    }

    /// How a ledger in this folder, with these settings of storage, uses the node.
    fn options(&self, folder: &Path, storage: &StorageSettings) -> KuboStoreOptions {
        let mut options = KuboStoreOptions::default();
        options.public = self.public;
        if let Some(keeper) = &storage.keeper {
            options.owner = keeper.of(folder).owner.parse().unwrap_or_default();
        }
        options
    }

    /// The node as a store that answers for itself alone, after asking whether it is fit.
    pub(super) fn checked(
        &self,
        folder: &Path,
        storage: &StorageSettings,
    ) -> Result<KuboStore, StorageError> {
        let mut options = self.options(folder, storage);
        options.reach = Reach::Local;
        Ok(KuboStore::open_with(self.node()?, options)?)
    }

    /// The node as a store, to take things out of, whatever it is like.
    pub(super) fn unchecked(
        &self,
        folder: &Path,
        storage: &StorageSettings,
    ) -> Result<KuboStore, StorageError> {
        Ok(KuboStore::later(self.node()?, self.options(folder, storage)))
    }

    /// Whether this address leads to the same node as the one that was used before. Where nobody answers any more, a
    /// node that `knew` this ledger already is taken for the one that moved.
    pub(super) fn is_same_node(&self, before: &Self, knew: bool) -> bool {
        if self.address == before.address {
            return true;
        }
        let peer = |settings: &Self| {
            let options = EndpointOptions { retry: Retry::never(), ..Default::default() };
            settings.node_with(options).ok()?.id().ok().map(|id| id.peer)
        };
        peer(before).map_or(knew, |before| peer(self) == Some(before))
    }
}

/// Somebody with a name, whose credentials are in the environment under it.
pub(super) fn endpoint(name: &str, address: &str) -> Result<Endpoint, StorageError> {
    let auth = match std::env::var(super::auth_variable(name)) {
        Ok(text) if !text.is_empty() => Some(text.parse::<Auth>().map_err(EndpointError::from)?),
        _ => None,
    };
    Ok(Endpoint::new(address, EndpointOptions { auth, ..Default::default() })?)
}

pub(super) fn open(
    folder: &Path,
    settings: &StorageSettings,
    files: impl FnOnce() -> Result<FileStore, StoreError>,
    read_only: bool,
) -> Result<Stores, StorageError> {
    if settings.mode == StorageMode::Kubo {
        let own: Arc<dyn BlockStore> = Arc::new(settings.kubo.unchecked(folder, settings)?);
        return Ok(Stores { blocks: Arc::clone(&own), own, follower: None, fault: None });
    }
    // Who commits waits for this node, so not for long, and not again at once.
    let patience = Patience { answer: FOLLOWS_WITHIN, idle: FOLLOWS_WITHIN, ..Patience::default() };
    let retry = Retry::never();
    let node =
        settings.kubo.node_with(EndpointOptions { patience, retry, ..Default::default() })?;
    let node = KuboStore::later(node, settings.kubo.options(folder, settings));
    let own = Arc::new(files()?);
    let mirror = match Mirror::open(Arc::clone(&own), node, folder.join(OWED)) {
        Ok(mirror) => Arc::new(mirror),
        Err(StoreError::Corrupt { path, reason }) => {
            let fault = OwedFault { path, reason };
            // What is owed matters to no reader: the folder has everything.
            if read_only {
                let own: Arc<dyn BlockStore> = own;
                let blocks = Arc::clone(&own);
                return Ok(Stores { blocks, own, follower: None, fault: Some(fault) });
            }
            return Err(StorageError::Owed(fault));
        }
        Err(error) => return Err(error.into()),
    };
    let (blocks, follower) = (Arc::clone(&mirror) as _, Some(mirror as _));
    Ok(Stores { blocks, own, follower, fault: None })
}

impl Follower for Mirror<Arc<FileStore>, KuboStore> {
    fn behind(&self) -> usize {
        Self::behind(self)
    }

    fn catch_up(&self, compare: bool) -> Result<CaughtUp, CatchUpError> {
        if compare { self.compare_and_catch_up() } else { Self::catch_up(self) }
    }
}
