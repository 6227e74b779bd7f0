//! Damage done on purpose, on the disk itself, and undone.

use medledger::core::Cid;
use medledger::core::cid::Codec;
use medledger::ipfs::store::{BlockRead, FileStore};
use medledger::ipfs::unixfs::FileNode;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A bit of a file that is the other way round until it is restored.
pub(super) struct FlippedBit {
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    original: u8,
}

impl FlippedBit {
    /// Flips the lowest bit of the byte in the middle of a file.
    pub(super) fn flip(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let offset = file.metadata()?.len() / 2;
        let mut byte = [0];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut byte)?;
        let flipped = Self { path: path.to_path_buf(), offset, original: byte[0] };
        flipped.write(byte[0] ^ 1)?;
        Ok(flipped)
    }

    /// Puts the bit back.
    pub(super) fn restore(self) -> io::Result<()> {
        self.write(self.original)
    }

    fn write(&self, byte: u8) -> io::Result<()> {
        let mut file = File::options().write(true).open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        file.write_all(&[byte])?;
        file.sync_all()
    }
}

/// A leaf in the middle of a stored file: the block with ciphertext in it.
pub(super) fn middle_leaf(
    store: &FileStore,
    root: Cid,
) -> Result<Cid, Box<dyn std::error::Error + Send + Sync>> {
    let mut cid = root;
    while cid.codec() == Codec::DagPb {
        let block = store.get(&cid)?.ok_or_else(|| format!("block {cid} is missing"))?;
        match FileNode::decode(&block)? {
            FileNode::Leaf(_) => break,
            FileNode::Branch { children, .. } => cid = children[children.len() / 2].cid,
        }
    }
    Ok(cid)
}

/// `bytes` with one bit changed inside the first occurrence of `part`.
pub(super) fn tampered(bytes: &[u8], part: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.windows(part.len()).position(|window| window == part)?;
    let mut changed = bytes.to_vec();
    changed[at + part.len() - 1] ^= 1;
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_restored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("block");
        std::fs::write(&path, [1, 2, 3]).unwrap();
        let bit = FlippedBit::flip(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [1, 3, 3]);
        bit.restore().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn tampering_changes_one_bit_of_the_part() {
        assert_eq!(tampered(&[9, 1, 2, 9], &[1, 2]), Some(vec![9, 1, 3, 9]));
        assert_eq!(tampered(&[9, 1], &[1, 2]), None);
    }
}
