//! Stores that have a node in them.

use super::{Follower, KuboSettings, OWED, StorageError, StorageMode, StorageSettings, Stores};
use medledger_ipfs::http::{Auth, EndpointOptions};
use medledger_ipfs::kubo::{Kubo, KuboStore, KuboStoreOptions, Reach};
use medledger_ipfs::store::{CatchUpError, CaughtUp, FileStore, Mirror, StoreError};
use std::path::Path;
use std::sync::Arc;

/// Where credentials for the node come from.
const AUTH: &str = "MEDLEDGER_KUBO_AUTH";

impl KuboSettings {
    /// The node, not asked anything yet.
    ///
    /// # Errors
    /// When the address or the credentials in the environment cannot be used.
    pub fn node(&self) -> Result<Kubo, StorageError> {
        let auth = match std::env::var(AUTH) {
            Ok(text) if !text.is_empty() => Some(text.parse::<Auth>()),
            _ => None,
        };
        let auth = auth.transpose().map_err(medledger_ipfs::http::EndpointError::from)?;
        let options = EndpointOptions { auth, ..EndpointOptions::default() };
        Ok(Kubo::with(&self.address, options)?)
    }

    fn options(&self) -> KuboStoreOptions {
        let mut options = KuboStoreOptions::default();
        options.public = self.public;
        options
    }

    /// The node as a store that answers for itself alone, after asking whether it is fit.
    pub(super) fn checked(&self) -> Result<KuboStore, StorageError> {
        let mut options = self.options();
        options.reach = Reach::Local;
        Ok(KuboStore::open_with(self.node()?, options)?)
    }
}

pub(super) fn open(
    folder: &Path,
    settings: &StorageSettings,
    files: impl FnOnce() -> Result<FileStore, StoreError>,
) -> Result<Stores, StorageError> {
    let node = KuboStore::later(settings.kubo.node()?, settings.kubo.options());
    if settings.mode == StorageMode::Kubo {
        return Ok(Stores { blocks: Arc::new(node), follower: None });
    }
    let mirror = Arc::new(Mirror::open(files()?, node, folder.join(OWED))?);
    let (blocks, follower) = (Arc::clone(&mirror) as _, Some(mirror as _));
    Ok(Stores { blocks, follower })
}

impl Follower for Mirror<FileStore, KuboStore> {
    fn behind(&self) -> usize {
        Self::behind(self)
    }

    fn catch_up(&self, compare: bool) -> Result<CaughtUp, CatchUpError> {
        if compare { self.compare_and_catch_up() } else { Self::catch_up(self) }
    }
}
