//! The node key: encrypts every local row that must not stand in a table in clear.
//!
//! It lies in a file of its own beside the database, or wherever the operator puts it, so that a copy
//! of the database alone opens nothing.

use crate::files::read_bounded;
use medledger_core::dek::Dek;
use medledger_core::rand_core::CryptoRng;
use medledger_core::registry::domain;
use medledger_core::seal;
use medledger_core::store::{Drawer, StoreError};
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// First line of the file, so that it is not mistaken for anything else.
const MAGIC: &[u8] = b"medledger node key v1\n";

/// More than the first line, the key in hex and some space after it.
const MAX_BYTES: usize = 256;

/// Encrypts local rows (Cobblestone-128 under the node key, context = drawer and row key).
#[derive(Debug)]
pub(crate) struct NodeKey(Dek);

/// Why there is no node key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeKeyError {
    /// The file is not there.
    #[error("the node key {0} is missing: without it mail, slots and mining key cannot be read")]
    Missing(std::path::PathBuf),
    /// The file is something else, or damaged.
    #[error("{0} is not a node key")]
    Malformed(std::path::PathBuf),
    /// The file cannot be read or written.
    #[error("node key {path}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

impl NodeKey {
    /// Makes a new key and writes it to `path`, readable by the owner only.
    pub(crate) fn create(path: &Path, rng: &mut dyn CryptoRng) -> Result<Self, NodeKeyError> {
        let dek = Dek::generate(rng);
        let text = Zeroizing::new(data_encoding::HEXLOWER.encode(dek.expose()));
        let write = || -> std::io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path)?;
            file.write_all(MAGIC)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            // A key whose name is lost in a power cut leaves a ledger nobody can open.
            crate::files::sync_folder(crate::files::parent(path))
        };
        write().map_err(|source| NodeKeyError::Io { path: path.into(), source })?;
        Ok(Self(dek))
    }

    pub(crate) fn load(path: &Path) -> Result<Self, NodeKeyError> {
        let text = read_bounded(path, MAX_BYTES).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                NodeKeyError::Missing(path.into())
            } else {
                NodeKeyError::Io { path: path.into(), source }
            }
        })?;
        if text.len() > MAX_BYTES {
            return Err(NodeKeyError::Malformed(path.into()));
        }
        text.strip_prefix(MAGIC)
            .and_then(|rest| data_encoding::HEXLOWER.decode(rest.trim_ascii_end()).ok())
            .map(Zeroizing::new)
            .and_then(|bytes| <[u8; 16]>::try_from(bytes.as_slice()).ok())
            .map(|bytes| Self(Dek::from_bytes(bytes)))
            .ok_or_else(|| NodeKeyError::Malformed(path.into()))
    }

    /// Encrypts a row's value; it opens only under the same drawer and key.
    pub(crate) fn seal(
        &self,
        drawer: Drawer,
        key: &[u8],
        value: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        seal::seal(&self.0, &context(drawer, key), value, rng).expect("a row is shorter than 4 PiB")
    }

    /// Decrypts a row's value.
    pub(crate) fn unseal(
        &self,
        drawer: Drawer,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        crate::effort::unseal();
        seal::unseal(&self.0, &context(drawer, key), sealed).map(Zeroizing::new).map_err(|_| {
            StoreError::Damaged(format!(
                "a local row ({drawer:?}) does not open under this node key, or was moved"
            ))
        })
    }

    /// A keyed digest, for recognising a request again without keeping what it said.
    pub(crate) fn digest(&self) -> hmac::Hmac<sha2::Sha256> {
        use hmac::{KeyInit, Mac};
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(self.0.expose())
            .expect("HMAC takes keys of any length");
        mac.update(domain::IDEMPOTENCY);
        mac
    }
}

fn context(drawer: Drawer, key: &[u8]) -> Vec<u8> {
    [domain::LOCAL_ROW, &[drawer.code()], key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::os_rng;

    #[test]
    fn a_row_opens_only_where_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        let key = NodeKey::create(&path, &mut os_rng()).unwrap();
        let sealed = key.seal(Drawer::Slots, b"a", b"value", &mut os_rng());
        let loaded = NodeKey::load(&path).unwrap();
        assert_eq!(loaded.unseal(Drawer::Slots, b"a", &sealed).unwrap().as_slice(), b"value");
        assert!(loaded.unseal(Drawer::Slots, b"b", &sealed).is_err());
        assert!(loaded.unseal(Drawer::Mail, b"a", &sealed).is_err());
        let other = NodeKey::create(&dir.path().join("other.key"), &mut os_rng()).unwrap();
        assert!(other.unseal(Drawer::Slots, b"a", &sealed).is_err());
    }

    #[test]
    fn missing_and_malformed_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        assert!(matches!(NodeKey::load(&path), Err(NodeKeyError::Missing(_))));
        std::fs::write(&path, "medledger node key v1\nabcd\n").unwrap();
        assert!(matches!(NodeKey::load(&path), Err(NodeKeyError::Malformed(_))));
        NodeKey::create(&path, &mut os_rng()).unwrap_err();
        // A key followed by more than belongs there, such as a device without end.
        std::fs::remove_file(&path).unwrap();
        NodeKey::create(&path, &mut os_rng()).unwrap();
        let mut long = std::fs::read(&path).unwrap();
        long.resize(1 << 20, b'\n');
        std::fs::write(&path, long).unwrap();
        assert!(matches!(NodeKey::load(&path), Err(NodeKeyError::Malformed(_))));
    }
}
