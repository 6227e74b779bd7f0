//! Where blocks live: the seams, and the stores that need no network.

mod cached;
mod error;
mod files;
mod memory;

pub use cached::{CacheStats, CachedStore};
pub use error::StoreError;
pub use files::FileStore;
pub use memory::MemoryStore;

use crate::block::Block;
use medledger_core::Cid;
use std::sync::Arc;

/// Reads blocks.
///
/// The contract: [`get`](Self::get) gives only bytes that match the CID, so that no one above needs
/// to hash them again; a block that does not match is an error, one that is not there is `None`.
/// Blocks are found by hash: CIDs that differ only in version or codec name the same bytes.
pub trait BlockRead: Send + Sync {
    /// The block, verified.
    ///
    /// # Errors
    /// When it is damaged or the store fails.
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError>;

    /// Several blocks in the order asked for; a store far away does so in fewer round trips.
    ///
    /// # Errors
    /// When one of them is damaged or the store fails.
    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    /// Whether the block is there. Says nothing about its health.
    ///
    /// # Errors
    /// When the store fails.
    fn has(&self, cid: &Cid) -> Result<bool, StoreError>;
}

/// Keeps blocks.
pub trait BlockStore: BlockRead {
    /// Starts a group of blocks that become durable together. Several may be under way.
    ///
    /// # Errors
    /// When the store fails or can only be read.
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError>;

    /// Removes one block and says whether it was there. Pinned roots stay, and so do blocks that a
    /// session under way relies on; blocks *below* a pinned root are for the caller to spare.
    ///
    /// # Errors
    /// When the block is a pinned root or in use, or the store fails.
    fn delete(&self, cid: &Cid) -> Result<bool, StoreError>;

    /// All blocks, in no order. The codec is not stored: each is listed as CIDv1 with codec raw.
    ///
    /// # Errors
    /// When the store fails, at once or on the way.
    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError>;

    /// The pinned roots, sorted.
    ///
    /// # Errors
    /// When the store fails or a pin cannot be read.
    fn pins(&self) -> Result<Vec<Cid>, StoreError>;

    /// Takes back a pin and says whether there was one. The blocks stay until they are deleted.
    ///
    /// # Errors
    /// When the store fails.
    fn unpin(&self, root: &Cid) -> Result<bool, StoreError>;
}

/// A group of blocks on their way into a store.
///
/// Nothing counts before [`commit`](Self::commit) returns: until then no pin exists, and a crash or a
/// dropped session leaves at most blocks that nothing refers to. Several threads may put at once.
pub trait Session: Send + Sync {
    /// Takes one block. That the bytes match the CID is the caller's promise; reading checks it.
    /// Blocks that are already there are not written again, damaged ones are healed.
    ///
    /// # Errors
    /// When the block is too large or the store fails; the session cannot be committed then.
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError>;

    /// Makes all blocks of the session durable and pins the root: when this returns, both survive a
    /// loss of power, and no collection removes what lies below the root.
    ///
    /// # Errors
    /// When the root is not there or an earlier `put` failed: no pin is set then. When the store
    /// fails: should only the very last sync have failed, a pin may be seen that a loss of power
    /// would take back.
    fn commit(self: Box<Self>, root: &Cid) -> Result<(), StoreError>;
}

/// How blocks are found: by the hash alone.
pub(crate) type Key = [u8; 32];

macro_rules! forward_reads {
    ($($pointer:ty),*) => {$(
        impl<T: BlockRead + ?Sized> BlockRead for $pointer {
            fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
                (**self).get(cid)
            }

            fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
                (**self).get_many(cids)
            }

            fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
                (**self).has(cid)
            }
        }
    )*};
}

macro_rules! forward_stores {
    ($($pointer:ty),*) => {$(
        impl<T: BlockStore + ?Sized> BlockStore for $pointer {
            fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
                (**self).begin()
            }

            fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
                (**self).delete(cid)
            }

            fn list(
                &self,
            ) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
                (**self).list()
            }

            fn pins(&self) -> Result<Vec<Cid>, StoreError> {
                (**self).pins()
            }

            fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
                (**self).unpin(root)
            }
        }
    )*};
}

forward_reads!(&T, Box<T>, Arc<T>);
forward_stores!(&T, Box<T>, Arc<T>);
