//! The bytes of one block, shared without copying.

use std::{fmt, ops::Deref, sync::Arc};

/// The largest block that is written or accepted, in bytes: 2 MiB, the limit of Kubo and Bitswap.
pub const MAX_BLOCK_BYTES: usize = 2 * 1024 * 1024;

/// The bytes of one block. Cloning shares them.
#[derive(Clone)]
pub struct Block {
    bytes: Arc<Vec<u8>>,
    /// Where in the vector the block begins.
    start: usize,
}

impl Block {
    /// The bytes of a vector from `start` on, which lies in it.
    pub(crate) fn from_byte(bytes: Vec<u8>, start: usize) -> Self {
        debug_assert!(start <= bytes.len());
        Self { bytes: Arc::new(bytes), start }
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Block {}

impl From<Vec<u8>> for Block {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_byte(bytes, 0)
    }
}

impl From<&[u8]> for Block {
    fn from(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.len())
    }
}
