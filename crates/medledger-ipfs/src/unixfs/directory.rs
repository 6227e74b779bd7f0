//! Small folders: one block with a link for each entry.

use super::dagpb::{self, PbError, PbLink, PbNode};
use super::profile::{CidVersion, Profile};
use crate::block::Block;
use crate::store::{BlockRead, StoreError};
use medledger_core::{Cid, cid::Codec};
use std::collections::BTreeMap;

/// Beyond so many bytes IPFS spreads a folder over many blocks (HAMT), which is not done here.
pub const MAX_DIRECTORY_BYTES: usize = 256 * 1024;

/// Bytes of the longest name of an entry.
pub const MAX_NAME_BYTES: usize = 255;

/// How many folders may lie in one another.
pub const MAX_FOLDERS: usize = 64;

/// A folder that cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// A name that no entry may have: empty, `.`, `..`, or with a slash or a zero byte.
    #[error("{0:?} cannot be the name of an entry")]
    Name(String),
    /// A name that is too long.
    #[error("a name of {found} bytes; {limit} are possible")]
    NameTooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Two entries of one name.
    #[error("two entries are called {0:?}")]
    Duplicate(String),
    /// Entries are not in the order of their names' bytes.
    #[error("the entry {0:?} stands out of order")]
    Order(String),
    /// More than one block should hold: IPFS would spread it over several.
    #[error("the folder takes {found} bytes; beyond {limit} it would be a sharded one")]
    TooLarge {
        /// Bytes it would take, as the profile counts them.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not a canonical dag-pb node.
    #[error(transparent)]
    Pb(#[from] PbError),
    /// A folder that is spread over many blocks.
    #[error("a sharded folder (HAMT) is not read here")]
    Sharded,
    /// No folder, or one with fields that plain folders do not have.
    #[error("not a plain UnixFS folder")]
    NotADirectory,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The file or folder.
    pub cid: Cid,
    /// Bytes of all blocks below it, itself included.
    pub tsize: u64,
}

/// The UnixFS message of a folder: type 1, and nothing else.
const MESSAGE: [u8; 2] = [8, 1];

/// A folder in the making.
///
/// ```
/// use medledger_ipfs::unixfs::{Directory, Profile, cid_of};
/// let mut folder = Directory::new(Profile::V0_2015);
/// for (name, text) in [("venus.txt", "Hello Venus!\n"), ("mars.txt", "Hello Mars!\n")] {
///     let file = cid_of(text.as_bytes(), Profile::V0_2015)?;
///     folder.insert(name, file.cid, file.dag_size)?;
/// }
/// let (root, _) = folder.encode();
/// assert_eq!(root.cid.to_string(), "QmWSgS32xQEcXMeqd3YPJLrNBLSdsfYCep2U7CFkyrjXwY");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Directory {
    profile: Profile,
    /// By the bytes of their names, which is how strings compare.
    entries: BTreeMap<String, (Cid, u64)>,
    /// Bytes as the profile counts them.
    bytes: usize,
}

/// What names a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryRoot {
    /// Its CID.
    pub cid: Cid,
    /// Bytes of all blocks below it, itself included.
    pub tsize: u64,
}

impl Directory {
    /// A folder without entries.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        // The block of an empty one.
        let bytes = if counts_block(profile) { 2 + MESSAGE.len() } else { 0 };
        Self { profile, entries: BTreeMap::new(), bytes }
    }

    /// Adds an entry; `tsize` is the bytes of all blocks below it, itself included.
    ///
    /// # Errors
    /// When the name cannot be, is there already, or the folder would become too large for one block.
    pub fn insert(&mut self, name: &str, cid: Cid, tsize: u64) -> Result<(), DirectoryError> {
        check_name(name)?;
        if self.entries.contains_key(name) {
            return Err(DirectoryError::Duplicate(name.into()));
        }
        let more = if counts_block(self.profile) {
            let mut link = Vec::new();
            dagpb::put_link(&mut link, &cid, name, tsize);
            link.len()
        } else {
            name.len() + cid.to_bytes().len()
        };
        let found = self.bytes + more;
        if found > MAX_DIRECTORY_BYTES {
            return Err(DirectoryError::TooLarge { found, limit: MAX_DIRECTORY_BYTES });
        }
        self.bytes = found;
        self.entries.insert(name.into(), (cid, tsize));
        Ok(())
    }

    /// What names the folder, and its block.
    #[must_use]
    pub fn encode(&self) -> (DirectoryRoot, Vec<u8>) {
        let links = self.entries.iter().map(|(name, (cid, tsize))| PbLink {
            cid: *cid,
            name,
            tsize: *tsize,
        });
        let block = PbNode { links: links.collect(), data: Some(&MESSAGE) }.encode();
        let below: u64 =
            self.entries.values().fold(0, |sum, (_, tsize)| sum.saturating_add(*tsize));
        let cid = cid_of_block(self.profile, &block);
        (DirectoryRoot { cid, tsize: below.saturating_add(block.len() as u64) }, block)
    }

    /// Reads the entries of a folder strictly: names in order, each once, nothing but type and links.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub fn decode(block: &[u8]) -> Result<Vec<Entry>, DirectoryError> {
        let node = PbNode::decode(block)?;
        match node.data {
            Some(data) if data == MESSAGE => {}
            // Type 5: the message begins with it.
            Some([8, 5, ..]) => return Err(DirectoryError::Sharded),
            _ => return Err(DirectoryError::NotADirectory),
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(node.links.len());
        for PbLink { cid, name, tsize } in node.links {
            check_name(name)?;
            match entries.last().map(|before| before.name.as_str().cmp(name)) {
                Some(std::cmp::Ordering::Equal) => {
                    return Err(DirectoryError::Duplicate(name.into()));
                }
                Some(std::cmp::Ordering::Greater) => {
                    return Err(DirectoryError::Order(name.into()));
                }
                _ => entries.push(Entry { name: name.into(), cid, tsize }),
            }
        }
        Ok(entries)
    }
}

/// Whether the limit counts the block, as IPIP-0499 says for its profile of 2025, or names and CIDs.
fn counts_block(profile: Profile) -> bool {
    profile == Profile::V1_2025
}

fn check_name(name: &str) -> Result<(), DirectoryError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(DirectoryError::NameTooLong { found: name.len(), limit: MAX_NAME_BYTES });
    }
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(DirectoryError::Name(name.into()));
    }
    Ok(())
}

/// The CID of a dag-pb block in this profile.
fn cid_of_block(profile: Profile, block: &[u8]) -> Cid {
    let cid = Cid::of(Codec::DagPb, block);
    match profile.version() {
        CidVersion::V0 => Cid::v0_from_digest(*cid.digest()),
        CidVersion::V1 => cid,
    }
}

/// Why a path leads nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A part of the path that no entry can be called.
    #[error(transparent)]
    Name(DirectoryError),
    /// A folder has no such entry.
    #[error("folder {folder} has no entry {name:?}")]
    NotFound {
        /// The folder.
        folder: Cid,
        /// What was looked for.
        name: String,
    },
    /// What should be a folder is none that can be read.
    #[error("{cid} cannot be read as a folder: {source}")]
    Folder {
        /// The block.
        cid: Cid,
        /// What is wrong with it.
        source: DirectoryError,
    },
    /// A folder's block is not there.
    #[error("block {cid} is missing")]
    Missing {
        /// The block.
        cid: Cid,
    },
    /// More parts than folders may lie in one another.
    #[error("a path of more than {limit} parts")]
    TooDeep {
        /// Parts allowed.
        limit: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Follows a path such as `2024/blood.pdf` from a folder down; the empty path is the root itself.
///
/// # Errors
/// See [`ResolveError`].
pub fn resolve(
    store: &(impl BlockRead + ?Sized),
    root: &Cid,
    path: &str,
) -> Result<Cid, ResolveError> {
    let mut cid = *root;
    if path.is_empty() {
        return Ok(cid);
    }
    for (depth, name) in path.split('/').enumerate() {
        if depth == MAX_FOLDERS {
            return Err(ResolveError::TooDeep { limit: MAX_FOLDERS });
        }
        check_name(name).map_err(ResolveError::Name)?;
        let entries = read(store, &cid)?;
        let found = entries.binary_search_by(|entry| entry.name.as_str().cmp(name));
        let at = found.map_err(|_| ResolveError::NotFound { folder: cid, name: name.into() })?;
        cid = entries[at].cid;
    }
    Ok(cid)
}

fn read(store: &(impl BlockRead + ?Sized), cid: &Cid) -> Result<Vec<Entry>, ResolveError> {
    let not_one = |source| ResolveError::Folder { cid: *cid, source };
    if cid.codec() != Codec::DagPb {
        return Err(not_one(DirectoryError::NotADirectory));
    }
    let block: Block = store.get(cid)?.ok_or(ResolveError::Missing { cid: *cid })?;
    Directory::decode(&block).map_err(not_one)
}

#[cfg(test)]
mod tests;
