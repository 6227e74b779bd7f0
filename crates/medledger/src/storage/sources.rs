//! Where blocks are read that are missing or damaged at home.

use super::{StorageError, StorageSettings};
use crate::ledger::Ledger;
use crate::settings::Settings;
use medledger_core::Cid;
use medledger_ipfs::replication::BackendName;
use medledger_ipfs::store::BlockStream;
use medledger_ipfs::store::{BlockRead, BlockStore, Pin, Reason, Session, StoreError, Sweep};
use medledger_ipfs::{Block, Sources};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// A trustless gateway that may be asked for blocks. It learns which are asked for, and gives ciphertext. Its
/// credentials, where it wants some, come from the environment: see [`auth_variable`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// How it is called here.
    pub name: String,
    /// Its address, such as `https://gateway.partner.example`.
    pub address: String,
}

/// The environment variable with the credentials (`bearer:TOKEN` or `basic:USER:PASSWORD`) of a source or a
/// replica's keeper: `MEDLEDGER_AUTH_` and its name in capitals, with `_` for whatever is no letter or digit.
#[must_use]
pub fn auth_variable(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("MEDLEDGER_AUTH_{}", name.chars().map(word).collect::<String>())
}

/// A name that may be given to a source or a keeper of replicas, and is not taken.
pub(super) fn new_name<'a>(
    name: &str,
    mut taken: impl Iterator<Item = &'a str>,
) -> Result<BackendName, StorageError> {
    let parsed: BackendName = name.parse()?;
    match taken.any(|other| auth_variable(other) == auth_variable(name)) {
        true => Err(StorageError::NameTaken(name.to_owned())),
        false => Ok(parsed),
    }
}

/// Where a repair takes blocks from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepairSource {
    /// Another ledger's folder, a Kubo repository or a folder of blocks.
    Folder(PathBuf),
    /// A trustless gateway.
    Gateway(String),
    /// The ledger's own Kubo node.
    Kubo,
    /// All sources of the ledger, in order.
    Sources,
}

impl Ledger {
    /// The sources that are asked for what is missing or damaged here, in order.
    ///
    /// # Errors
    /// When the settings cannot be read.
    pub fn sources(&self) -> Result<Vec<SourceSettings>, StorageError> {
        Ok(Settings::load(self.folder())?.storage.sources)
    }

    /// Adds a source, to be asked after those that are there. It counts from the next opening of the ledger on.
    ///
    /// # Errors
    /// When the name is taken, or the address or the credentials cannot be used.
    pub fn add_source(&self, source: SourceSettings) -> Result<(), StorageError> {
        gateway(&source.name, &source.address)?;
        self.change_storage(|storage| {
            new_name(&source.name, storage.names())?;
            storage.sources.push(source);
            Ok(())
        })
    }

    /// Takes a source out.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn remove_source(&self, name: &str) -> Result<(), StorageError> {
        self.change_storage(|storage| {
            let before = storage.sources.len();
            storage.sources.retain(|source| source.name != name);
            match storage.sources.len() < before {
                true => Ok(()),
                false => Err(StorageError::NoSuchName(name.to_owned())),
            }
        })
    }

    /// Somewhere to read blocks from, for [`repair_blocks`](Self::repair_blocks).
    ///
    /// # Errors
    /// When it cannot be used, or the ledger has no such place.
    pub fn repair_source(&self, from: &RepairSource) -> Result<Box<dyn BlockRead>, StorageError> {
        match from {
            RepairSource::Folder(folder) => {
                Ok(Box::new(medledger_ipfs::FlatfsReader::open(folder)?))
            }
            RepairSource::Gateway(address) => gateway("gateway", address),
            RepairSource::Kubo => self.node_to_read(),
            RepairSource::Sources => {
                let sources = self.sources()?;
                if sources.is_empty() {
                    return Err(StorageError::NoSources);
                }
                Ok(Box::new(all(&sources)?))
            }
        }
    }

    #[cfg(not(feature = "kubo"))]
    fn node_to_read(&self) -> Result<Box<dyn BlockRead>, StorageError> {
        Err(StorageError::NotBuilt)
    }

    #[cfg(feature = "kubo")]
    fn node_to_read(&self) -> Result<Box<dyn BlockRead>, StorageError> {
        let storage = &self.settings().storage;
        match storage.mode.in_node() {
            true => Ok(Box::new(storage.kubo.unchecked(self.folder(), storage)?)),
            false => Err(StorageError::NoNode),
        }
    }

    /// Changes the settings of storage in the file. What is open stays as it is.
    pub(super) fn change_storage(
        &self,
        change: impl FnOnce(&mut StorageSettings) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if !self.can_write() {
            return Err(StorageError::ReadOnly);
        }
        let mut settings = Settings::load(self.folder())?;
        change(&mut settings.storage)?;
        Ok(settings.save(self.folder())?)
    }
}

#[cfg(not(feature = "kubo"))]
fn gateway(_: &str, _: &str) -> Result<Box<dyn BlockRead>, StorageError> {
    Err(StorageError::NotBuilt)
}

#[cfg(feature = "kubo")]
fn gateway(name: &str, address: &str) -> Result<Box<dyn BlockRead>, StorageError> {
    let endpoint = super::kubo::endpoint(name, address)?;
    Ok(Box::new(medledger_ipfs::Gateway::new(endpoint)))
}

fn all(sources: &[SourceSettings]) -> Result<Sources, StorageError> {
    sources.iter().try_fold(Sources::new(), |all, SourceSettings { name, address }| {
        Ok(all.other(name, gateway(name, address)?))
    })
}

/// A store that reads elsewhere what it lacks. What it has, and keeps, is its own alone.
struct WithSources {
    own: Arc<dyn BlockStore>,
    others: Sources,
}

/// The same store, with these sources behind it.
pub(super) fn behind(
    own: Arc<dyn BlockStore>,
    sources: &[SourceSettings],
) -> Result<Arc<dyn BlockStore>, StorageError> {
    if sources.is_empty() {
        return Ok(own);
    }
    Ok(Arc::new(WithSources { own, others: all(sources)? }))
}

impl WithSources {
    /// What the others have. When they fail, what is wrong here is told rather than what is wrong there.
    fn elsewhere<T>(
        &self,
        cid: &Cid,
        here: Result<Option<T>, StoreError>,
        ask: impl FnOnce(&Sources) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let here = match here {
            Ok(Some(found)) => return Ok(Some(found)),
            here => here,
        };
        match (ask(&self.others), here) {
            (Ok(Some(found)), here) => {
                let wrong = here.err().map(|error| error.to_string());
                tracing::warn!(%cid, wrong, "a block was read from a source: `blocks repair` mends");
                Ok(Some(found))
            }
            (_, Err(here)) => Err(here),
            (there, Ok(_)) => there,
        }
    }
}

impl BlockRead for WithSources {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.elsewhere(cid, self.own.get(cid), |others| others.get(cid))
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        match self.own.get_many(cids) {
            Ok(blocks) if blocks.iter().all(Option::is_some) => Ok(blocks),
            _ => cids.iter().map(|cid| self.get(cid)).collect(),
        }
    }

    fn read_ahead(&self) -> usize {
        self.own.read_ahead()
    }

    fn stream(&self, root: &Cid) -> Option<BlockStream> {
        self.own.stream(root)
    }

    /// Here, not elsewhere.
    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.own.has(cid)
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.elsewhere(cid, self.own.size(cid), |others| others.size(cid))
    }
}

impl BlockStore for WithSources {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        self.own.begin()
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.own.delete(cid)
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        self.own.list()
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        self.own.pinned()
    }

    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        self.own.release(root, reason)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.own.unpin(root)
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        self.own.sweep()
    }

    fn strays(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.own.strays()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_variable_and_none_shares_it() {
        assert_eq!(auth_variable("own-cluster.2"), "MEDLEDGER_AUTH_OWN_CLUSTER_2");
        assert!(new_name("own_cluster", ["own-cluster"].into_iter()).is_err());
        assert!(new_name("Own", std::iter::empty()).is_err());
        assert_eq!(new_name("own", ["other"].into_iter()).unwrap().as_str(), "own");
    }
}
