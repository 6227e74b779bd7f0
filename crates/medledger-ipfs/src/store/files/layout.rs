//! Names and places of the files, and what makes them durable.

use super::{Key, StoreError};
use data_encoding::BASE32_NOPAD;
use medledger_core::{Cid, cid::Codec};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// flatfs: a block lies in the folder named after the next-to-last two characters of its name.
const SHARDING: &str = "/repo/flatfs/shard/v1/next-to-last/2\n";

/// What a SHA-256 multihash starts with: the code of the hash and its length.
const MULTIHASH_PREFIX: [u8; 2] = [0x12, 0x20];

#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

type Keys = Box<dyn Iterator<Item = Result<Key, StoreError>>>;

impl Layout {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn blocks(&self) -> PathBuf {
        self.root.join("blocks")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
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

    pub(super) fn shard(&self, key: &Key) -> PathBuf {
        let name = Self::name(key);
        self.blocks().join(&name[name.len() - 3..name.len() - 1])
    }

    pub(super) fn block(&self, key: &Key) -> PathBuf {
        self.shard(key).join(format!("{}.data", Self::name(key)))
    }

    /// Base 32 in capitals, as some file systems do not tell `Qm…` from `qM…`.
    pub(super) fn pin(&self, root: &Cid) -> PathBuf {
        self.root.join("pins").join(format!("{}.pin", BASE32_NOPAD.encode(&root.to_bytes())))
    }

    /// Whether any CID with this hash is a pinned root.
    pub(super) fn is_pinned(&self, key: &Key) -> Result<bool, StoreError> {
        let v1 = [Codec::Raw, Codec::DagPb, Codec::DagCbor].map(|c| Cid::from_digest(c, *key));
        for cid in [Cid::v0_from_digest(*key)].into_iter().chain(v1) {
            let path = self.pin(&cid);
            if path.try_exists().map_err(|e| StoreError::at(&path, e))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the folder of the store where it is not there yet, and its name durable.
    pub(super) fn create_root(&self) -> Result<(), StoreError> {
        let missing: Vec<&Path> = self
            .root
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        fs::create_dir_all(&self.root).map_err(|e| StoreError::at(&self.root, e))?;
        for path in missing {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_dir(parent.unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    /// Makes the folders inside and the sharding file, where they are not there yet.
    pub(super) fn create(&self) -> Result<(), StoreError> {
        for folder in [self.blocks(), self.root.join("pins"), self.tmp()] {
            fs::create_dir_all(&folder).map_err(|e| StoreError::at(&folder, e))?;
        }
        let path = self.blocks().join("SHARDING");
        if !path.try_exists().map_err(|e| StoreError::at(&path, e))? {
            write_synced(&self.tmp().join("SHARDING"), SHARDING.as_bytes(), &path)?;
        }
        sync_dir(&self.root)
    }

    pub(super) fn check_sharding(&self) -> Result<(), StoreError> {
        let path = self.blocks().join("SHARDING");
        let found = fs::read(&path).map_err(|e| StoreError::at(&path, e))?;
        if found.trim_ascii() == SHARDING.trim_ascii_end().as_bytes() {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(&found[..found.len().min(80)]).into_owned();
        let reason = format!("blocks lie in another layout: {shown:?}");
        Err(StoreError::Corrupt { path, reason })
    }

    /// Removes what sessions left that a crash ended.
    pub(super) fn clean_tmp(&self) -> Result<(), StoreError> {
        let tmp = self.tmp();
        for entry in fs::read_dir(&tmp).map_err(|e| StoreError::at(&tmp, e))? {
            let path = entry.map_err(|e| StoreError::at(&tmp, e))?.path();
            tracing::info!(path = %path.display(), "removing what an interrupted session left");
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|e| StoreError::at(&path, e))?;
        }
        Ok(())
    }

    /// The folders that blocks lie in.
    pub(super) fn shards(
        &self,
    ) -> Result<impl Iterator<Item = Result<PathBuf, StoreError>>, StoreError> {
        let blocks = self.blocks();
        let entries = fs::read_dir(&blocks).map_err(|e| StoreError::at(&blocks, e))?;
        Ok(entries.filter_map(move |entry| match entry {
            Ok(entry) => (entry.file_name().len() == 2).then(|| Ok(entry.path())),
            Err(e) => Some(Err(StoreError::at(&blocks, e))),
        }))
    }

    /// The blocks in one of those folders. What does not end in `.data` is not a block.
    pub(super) fn keys(shard: &Path) -> Result<Keys, StoreError> {
        let shard = shard.to_path_buf();
        let entries = fs::read_dir(&shard).map_err(|e| StoreError::at(&shard, e))?;
        Ok(Box::new(entries.filter_map(move |entry| {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(e) => return Some(Err(StoreError::at(&shard, e))),
            };
            let name = path.file_name()?.to_str()?.strip_suffix(".data")?;
            let key = Self::key_of(name).ok_or_else(|| StoreError::Corrupt {
                path: path.clone(),
                reason: "the name is not the SHA-256 multihash of a block".into(),
            });
            Some(key)
        })))
    }

    pub(super) fn pins(&self) -> Result<Vec<Cid>, StoreError> {
        let folder = self.root.join("pins");
        let mut pins = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|e| StoreError::at(&folder, e))? {
            let path = entry.map_err(|e| StoreError::at(&folder, e))?.path();
            if path.extension().is_none_or(|e| e != "pin") {
                continue;
            }
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                // Taken back while this listing went on.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(StoreError::at(&path, e)),
            };
            match text.trim_ascii_end().parse::<Cid>() {
                Ok(cid) if self.pin(&cid) == path => pins.push(cid),
                _ => {
                    let reason = "the content is not the CID in the name".into();
                    return Err(StoreError::Corrupt { path, reason });
                }
            }
        }
        Ok(pins)
    }
}

/// Writes a small file by way of a temporary one, so that it is there whole or not at all.
pub(super) fn write_synced(tmp: &Path, bytes: &[u8], path: &Path) -> Result<(), StoreError> {
    let written = File::create(tmp).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|e| StoreError::at(tmp, e))?;
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
