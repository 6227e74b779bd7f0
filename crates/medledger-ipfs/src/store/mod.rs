//! Where blocks live: the seams, and the stores that need no network.

mod cached;
mod error;
mod files;
pub(crate) mod guard;
mod memory;
mod mirror;
mod pin;

pub use cached::{CacheStats, CachedStore};
pub use error::StoreError;
pub use files::{FileStore, FlatfsReader, Sharding, ShardingError};
pub use memory::MemoryStore;
pub use mirror::{CatchUpError, CaughtUp, Mirror, copy_pins};
pub use pin::{
    Keep, MAX_PIN_BYTES, MAX_REASONS, MAX_WORD_BYTES, Pin, PinError, Reason, ReasonError, Word,
};

use crate::block::Block;
use medledger_core::Cid;
use std::{path::PathBuf, sync::Arc};

/// Blocks that come one after the other.
pub type BlockStream = Box<dyn Iterator<Item = Result<(Cid, Block), StoreError>> + Send>;

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

    /// How many blocks are best asked for [together](Self::get_many) by who reads a file from one end to the other. One, where
    /// asking costs nothing.
    fn read_ahead(&self) -> usize {
        1
    }

    /// Everything below a root as a stream of verified blocks, where the store sends that faster than block by block:
    /// parents first, links in their order, each block once. None where asking for each is as good.
    ///
    /// What the stream cannot give, [`get`](Self::get) may: it looks nowhere else, and ends at the first error.
    fn stream(&self, _root: &Cid) -> Option<BlockStream> {
        None
    }

    /// Whether the block is there. Says nothing about its health.
    ///
    /// # Errors
    /// When the store fails.
    fn has(&self, cid: &Cid) -> Result<bool, StoreError>;

    /// Bytes of the block, if it is there. Says nothing about its health where that can be spared.
    ///
    /// # Errors
    /// When the store fails.
    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        Ok(self.get(cid)?.map(|block| block.len() as u64))
    }
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

    /// The pins, sorted by root.
    ///
    /// # Errors
    /// When the store fails or a pin cannot be read.
    fn pinned(&self) -> Result<Vec<Pin>, StoreError>;

    /// The pinned roots, sorted.
    ///
    /// # Errors
    /// When the store fails or a pin cannot be read.
    fn pins(&self) -> Result<Vec<Cid>, StoreError> {
        Ok(self.pinned()?.into_iter().map(|pin| pin.root).collect())
    }

    /// Keeps a root that is there, for one more reason. What lies below it is safe from a collection
    /// that is on at this moment only where it is pinned otherwise; [`hold_dag`](crate::collect::hold_dag)
    /// makes it so.
    ///
    /// # Errors
    /// When the root is not there or the store fails.
    fn pin(&self, root: &Cid, keep: &Keep) -> Result<(), StoreError> {
        self.begin()?.finish(&[(*root, keep.clone())])
    }

    /// Takes one reason away from a root and says whether it was there. With the last one the pin
    /// goes. The blocks stay until they are deleted.
    ///
    /// # Errors
    /// When the store fails.
    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError>;

    /// Takes all reasons away from a root and says whether there were any.
    ///
    /// # Errors
    /// When the store fails.
    fn unpin(&self, root: &Cid) -> Result<bool, StoreError>;

    /// Begins a collection: from here until the end of the sweep, what any session claims is spared.
    ///
    /// # Errors
    /// When one is under way already, or the store can only be read.
    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError>;

    /// Files in the store that are none of its own, or not where they belong.
    ///
    /// # Errors
    /// When the store fails.
    fn strays(&self) -> Result<Vec<PathBuf>, StoreError> {
        Ok(Vec::new())
    }
}

/// A collection under way; it ends when this is dropped. [`collect`](crate::collect::collect) is
/// what uses it.
///
/// The contract that makes it safe: after [`BlockStore::sweep`] returned, [`pins`](Self::pins) gives
/// the pins as they are at one moment; what lies below them must not be removed. Whatever a session
/// [puts](Session::put) or [holds](Session::hold) that was under way when the collection began, or
/// began since, [`remove`](Self::remove) spares, whether that session is still under way or not.
pub trait Sweep: Send {
    /// All pins at one moment.
    ///
    /// # Errors
    /// When the store fails or a pin cannot be read.
    fn pins(&mut self) -> Result<Vec<Pin>, StoreError>;

    /// Removes a block, unless it has to be spared or is not there, and says whether it did.
    ///
    /// # Errors
    /// When the store fails.
    fn remove(&mut self, cid: &Cid) -> Result<bool, StoreError>;
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

    /// Relies on a block that is in the store, or was put into this session, without giving its bytes;
    /// says whether it is. If so, no one deletes it while the session is under way. What the session's
    /// blocks link to must be put, held, or lie below a pin that stands when the session is committed.
    ///
    /// # Errors
    /// When the store fails; the session cannot be committed then.
    fn hold(&self, cid: &Cid) -> Result<bool, StoreError>;

    /// Makes all blocks of the session durable, and pins these roots for these reasons: when this
    /// returns, all survive a loss of power, and no collection removes what lies below the roots.
    /// Without a root, nothing keeps the blocks that lie below no pin.
    ///
    /// # Errors
    /// When a root is not there or an earlier `put` failed: no pin is set then. When the store
    /// fails: should only the very last step have failed, pins may be seen that a loss of power
    /// would take back.
    fn finish(self: Box<Self>, pins: &[(Cid, Keep)]) -> Result<(), StoreError>;

    /// As [`finish`](Self::finish) with a root, from now on and for no reason told.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    fn commit(self: Box<Self>, root: &Cid) -> Result<(), StoreError> {
        self.finish(&[(*root, Keep::now(Reason::Untold))])
    }

    /// As [`finish`](Self::finish) with a root, from now on and for this reason.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    fn commit_for(self: Box<Self>, root: &Cid, reason: Reason) -> Result<(), StoreError> {
        self.finish(&[(*root, Keep::now(reason))])
    }
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

            fn read_ahead(&self) -> usize {
                (**self).read_ahead()
            }

            fn stream(&self, root: &Cid) -> Option<BlockStream> {
                (**self).stream(root)
            }

            fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
                (**self).has(cid)
            }

            fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
                (**self).size(cid)
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

            fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
                (**self).pinned()
            }

            fn pins(&self) -> Result<Vec<Cid>, StoreError> {
                (**self).pins()
            }

            fn pin(&self, root: &Cid, keep: &Keep) -> Result<(), StoreError> {
                (**self).pin(root, keep)
            }

            fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
                (**self).release(root, reason)
            }

            fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
                (**self).unpin(root)
            }

            fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
                (**self).sweep()
            }

            fn strays(&self) -> Result<Vec<PathBuf>, StoreError> {
                (**self).strays()
            }
        }
    )*};
}

forward_reads!(&T, Box<T>, Arc<T>);
forward_stores!(&T, Box<T>, Arc<T>);
