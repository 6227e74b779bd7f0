//! The bytes of one block, shared without copying.

use std::{fmt, ops::Deref, sync::Arc};

/// The largest block that is written or accepted, in bytes: 2 MiB, the limit of Kubo and Bitswap.
pub const MAX_BLOCK_BYTES: usize = 2 * 1024 * 1024;

/// The bytes of one block. Cloning shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct Block(Arc<Vec<u8>>);

impl From<Vec<u8>> for Block {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
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
        &self.0
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
