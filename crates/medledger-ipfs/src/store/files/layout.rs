//! Names and places of the files beside the blocks.

use super::{
    FlatfsReader, Sharding,
    durable::{sync_dir, write_synced},
    flatfs::Entry,
};
use crate::store::{Key, MAX_PIN_BYTES, Pin, StoreError};
use data_encoding::BASE32_NOPAD;
use medledger_core::{Cid, cid::Codec};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    pub(super) blocks: FlatfsReader,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        let blocks = FlatfsReader::new(root.join("blocks"), Sharding::DEFAULT);
        Self { root, blocks }
    }

    /// The layout of a folder that is only read.
    pub(super) fn of_existing(root: PathBuf) -> Result<Self, StoreError> {
        let blocks = FlatfsReader::at(root.join("blocks"))?;
        Ok(Self { root, blocks })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(super) fn pins_folder(&self) -> PathBuf {
        self.root.join("pins")
    }

    /// Base 32 in capitals, as some file systems do not tell `Qm…` from `qM…`.
    pub(super) fn pin(&self, root: &Cid) -> PathBuf {
        self.pins_folder().join(format!("{}.pin", BASE32_NOPAD.encode(&root.to_bytes())))
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
        let blocks = self.blocks.folder();
        for folder in [blocks.to_path_buf(), self.pins_folder(), self.tmp()] {
            fs::create_dir_all(&folder).map_err(|e| StoreError::at(&folder, e))?;
        }
        let path = blocks.join("SHARDING");
        if !path.try_exists().map_err(|e| StoreError::at(&path, e))? {
            let text = format!("{}\n", Sharding::DEFAULT);
            write_synced(&self.tmp().join("SHARDING"), text.as_bytes(), &path)?;
        }
        sync_dir(&self.root)
    }

    /// Refuses to write where blocks lie in another way than they are written.
    pub(super) fn check_sharding(&self) -> Result<(), StoreError> {
        let found = FlatfsReader::at(self.blocks.folder().to_path_buf())?.sharding();
        if found == Sharding::DEFAULT {
            return Ok(());
        }
        let path = self.blocks.folder().join("SHARDING");
        let source = super::ShardingError { found: found.to_string() };
        Err(StoreError::Sharding { path, source })
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

    /// One pin, if it is there.
    pub(super) fn read_pin(&self, path: &Path) -> Result<Option<Pin>, StoreError> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(file) => file.take(MAX_PIN_BYTES as u64 + 1).read_to_end(&mut bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => Err(e),
        }
        .map_err(|e| StoreError::at(path, e))?;
        let corrupt = |reason| StoreError::Corrupt { path: path.to_path_buf(), reason };
        let pin = Pin::decode(&bytes).map_err(|e| corrupt(e.to_string()))?;
        if self.pin(&pin.root).file_name() == path.file_name() {
            Ok(Some(pin))
        } else {
            Err(corrupt("the content is not the CID in the name".into()))
        }
    }

    pub(super) fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        let folder = self.pins_folder();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // A folder of another program, read only: it keeps its pins elsewhere.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(StoreError::at(&folder, e)),
        };
        let mut pins = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| StoreError::at(&folder, e))?.path();
            if path.extension().is_some_and(|e| e == "pin") {
                // Or it was taken back while this listing went on.
                pins.extend(self.read_pin(&path)?);
            }
        }
        pins.sort_unstable_by_key(|pin| pin.root);
        Ok(pins)
    }

    /// Files that are neither blocks nor anything else that this store makes.
    pub(super) fn strays(&self) -> Result<Vec<PathBuf>, StoreError> {
        // Kubo writes these into the folder of its blocks.
        const KNOWN: [&str; 3] = ["SHARDING", "_README", "diskUsage.cache"];
        let blocks = self.blocks.folder();
        let mut strays = Vec::new();
        for entry in self.blocks.entries()? {
            if let Entry::Other(path) = entry?
                && !KNOWN.iter().any(|known| path == blocks.join(known))
            {
                strays.push(path);
            }
        }
        let own = ["blocks", "pins", "tmp", "LOCK"];
        for (folder, own) in [(self.root.clone(), &own[..]), (self.pins_folder(), &[])] {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(StoreError::at(&folder, e)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| StoreError::at(&folder, e))?;
                let (path, name) = (entry.path(), entry.file_name());
                let is_pin = own.is_empty() && path.extension().is_some_and(|e| e == "pin");
                if !is_pin && !own.iter().any(|own| name == *own) {
                    strays.push(path);
                }
            }
        }
        strays.sort_unstable();
        Ok(strays)
    }
}
