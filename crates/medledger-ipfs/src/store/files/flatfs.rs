//! Blocks as flatfs lays them out, in a folder of this store or of another program.

use super::Sharding;
use crate::{
    aligned,
    block::{Block, MAX_BLOCK_BYTES},
    store::{BlockRead, Key, StoreError},
};
use data_encoding::BASE32_NOPAD;
use medledger_core::{Cid, cid::Codec};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// What a SHA-256 multihash starts with: the code of the hash and its length.
const MULTIHASH_PREFIX: [u8; 2] = [0x12, 0x20];
/// More bytes than any file `SHARDING` has.
const MAX_SHARDING_BYTES: u64 = 1000;

pub(super) type Iter<'a, T> = Box<dyn Iterator<Item = Result<T, StoreError>> + 'a>;

/// What a file in a folder of blocks is.
pub(super) enum Entry {
    Block(Key),
    /// Not named after a SHA-256 multihash, not in the folder it belongs in, or no block at all.
    Other(PathBuf),
}

/// Reads the blocks of another program: the folder `blocks` of a Kubo repository, or of another ledger.
///
/// Never writes there, whatever else lies there. Blocks whose name is not a SHA-256 multihash do not
/// exist for it.
#[derive(Debug)]
pub struct FlatfsReader {
    folder: PathBuf,
    sharding: Sharding,
}

impl FlatfsReader {
    /// Opens a folder that holds a file `SHARDING`, or whose `blocks` does, or `blocks/blocks`: a folder
    /// of blocks, a Kubo repository or a store, a ledger.
    ///
    /// # Errors
    /// When there is no such file, it cannot be read, or says nothing known here.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let folder = folder.as_ref();
        let inner = [folder.join("blocks"), folder.join("blocks").join("blocks")];
        let found = inner.into_iter().find(|folder| folder.join("SHARDING").exists());
        let direct = folder.join("SHARDING").exists();
        Self::at(if direct { None } else { found }.unwrap_or_else(|| folder.to_path_buf()))
    }

    /// Opens a folder that itself holds a file `SHARDING`.
    pub(super) fn at(folder: PathBuf) -> Result<Self, StoreError> {
        let path = folder.join("SHARDING");
        let mut text = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_SHARDING_BYTES).read_to_end(&mut text))
            .map_err(|e| StoreError::at(&path, e))?;
        match String::from_utf8_lossy(&text).parse() {
            Ok(sharding) => Ok(Self { folder, sharding }),
            Err(source) => Err(StoreError::Sharding { path, source }),
        }
    }

    pub(super) const fn new(folder: PathBuf, sharding: Sharding) -> Self {
        Self { folder, sharding }
    }

    /// The folder that holds the blocks' folders.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How the blocks' folders are named.
    #[must_use]
    pub const fn sharding(&self) -> Sharding {
        self.sharding
    }

    /// All blocks, in no order, as CIDv1 with codec raw.
    ///
    /// # Errors
    /// When the folder cannot be read, at once or on the way.
    pub fn list(&self) -> Result<impl Iterator<Item = Result<Cid, StoreError>> + '_, StoreError> {
        Ok(self.entries()?.filter_map(|entry| match entry {
            Ok(Entry::Block(key)) => Some(Ok(Cid::from_digest(Codec::Raw, key))),
            Ok(Entry::Other(_)) => None,
            Err(e) => Some(Err(e)),
        }))
    }

    /// The name of a block without its ending.
    pub(super) fn name(key: &Key) -> String {
        let mut multihash = [0; 34];
        multihash[..2].copy_from_slice(&MULTIHASH_PREFIX);
        multihash[2..].copy_from_slice(key);
        BASE32_NOPAD.encode(&multihash)
    }

    fn key_of(name: &str) -> Option<Key> {
        let bytes = BASE32_NOPAD.decode(name.as_bytes()).ok()?;
        bytes.strip_prefix(&MULTIHASH_PREFIX)?.try_into().ok()
    }

    /// The folder that a block belongs in.
    pub(super) fn shard(&self, key: &Key) -> PathBuf {
        self.folder.join(self.sharding.folder(&Self::name(key)))
    }

    /// The file that holds a block, or would.
    pub(super) fn path(&self, key: &Key) -> PathBuf {
        self.shard(key).join(format!("{}.data", Self::name(key)))
    }

    /// The bytes in a block's file, not verified; `None` when there is no such file.
    pub(super) fn read(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let path = self.path(cid.digest());
        let at = |e| StoreError::at(&path, e);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at(e)),
        };
        let len = file.metadata().map_err(at)?.len();
        // No block is as long: not worth reading.
        if len > MAX_BLOCK_BYTES as u64 {
            return Err(StoreError::Damaged { cid: *cid, path: Some(path) });
        }
        let (mut bytes, start) = aligned::with_room(len as usize + 1);
        (&mut file).take(MAX_BLOCK_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(at)?;
        Ok(Some(Block::from_byte(bytes, start)))
    }

    /// Everything in the blocks' folders, and what else lies beside these.
    pub(super) fn entries(&self) -> Result<Iter<'_, Entry>, StoreError> {
        let shards = fs::read_dir(&self.folder).map_err(|e| StoreError::at(&self.folder, e))?;
        Ok(Box::new(shards.flat_map(move |entry| match entry {
            Ok(entry) => self.within(&entry),
            Err(e) => once(Err(StoreError::at(&self.folder, e))),
        })))
    }

    fn within(&self, entry: &fs::DirEntry) -> Iter<'_, Entry> {
        let path = entry.path();
        let is_folder = match entry.file_type() {
            Ok(kind) => kind.is_dir(),
            Err(e) => return once(Err(StoreError::at(&path, e))),
        };
        let name = entry.file_name();
        let as_long = |name: &str| name.chars().count() == self.sharding.length();
        if !is_folder || !name.to_str().is_some_and(as_long) {
            return once(Ok(Entry::Other(path)));
        }
        let files = match fs::read_dir(&path) {
            Ok(files) => files,
            Err(e) => return once(Err(StoreError::at(&path, e))),
        };
        Box::new(files.map(move |entry| match entry {
            Ok(entry) => {
                let path = entry.path();
                let name = entry.file_name();
                let key = name.to_str().and_then(|name| name.strip_suffix(".data"));
                match key.and_then(Self::key_of) {
                    Some(key) if self.path(&key) == path => Ok(Entry::Block(key)),
                    _ => Ok(Entry::Other(path)),
                }
            }
            Err(e) => Err(StoreError::at(&path, e)),
        }))
    }
}

fn once<'a, T: 'a>(item: Result<T, StoreError>) -> Iter<'a, T> {
    Box::new(std::iter::once(item))
}

impl BlockRead for FlatfsReader {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        match self.read(cid)? {
            None => Ok(None),
            Some(block) if cid.matches(&block) => Ok(Some(block)),
            Some(_) => Err(StoreError::Damaged { cid: *cid, path: Some(self.path(cid.digest())) }),
        }
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let path = self.path(cid.digest());
        path.try_exists().map_err(|e| StoreError::at(&path, e))
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        let path = self.path(cid.digest());
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::at(&path, e)),
        }
    }
}
