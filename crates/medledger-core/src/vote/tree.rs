//! The blocks as a voter sees them.

use crate::ids::{BlockId, MemberId};

/// What a voter has to know of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its height.
    pub height: u64,
    /// The block below; whatever it is for genesis.
    pub parent: BlockId,
    /// Who mined it; nobody did genesis.
    pub miner: Option<MemberId>,
    /// Whether other hospitals are members after it than before it.
    pub changes_set: bool,
}

/// The blocks a hospital has and found valid, on all branches: at least everything above the last
/// final block. A store implements the first two methods; one that knows its best branch by height will
/// want its own [`ancestor`](Self::ancestor).
pub trait BlockTree {
    /// Why it cannot be read.
    type Error;

    /// The block with this id, if it is here.
    ///
    /// # Errors
    /// When the blocks cannot be read.
    fn block(&self, id: &BlockId) -> Result<Option<BlockInfo>, Self::Error>;

    /// Height of the highest block that is here, on whatever branch.
    ///
    /// # Errors
    /// When the blocks cannot be read.
    fn highest(&self) -> Result<u64, Self::Error>;

    /// The block at `height` on the way from `block` down; itself, if that is its height.
    ///
    /// # Errors
    /// When the blocks cannot be read.
    fn ancestor(&self, block: &BlockId, height: u64) -> Result<Option<BlockId>, Self::Error> {
        let mut id = *block;
        loop {
            let Some(info) = self.block(&id)? else { return Ok(None) };
            if info.height == height {
                return Ok(Some(id));
            }
            if info.height < height {
                return Ok(None);
            }
            id = info.parent;
        }
    }

    /// Whether `block` is `target` or lies above it.
    ///
    /// # Errors
    /// When the blocks cannot be read.
    fn descends(&self, block: &BlockId, target: &super::Target) -> Result<bool, Self::Error> {
        Ok(self.ancestor(block, target.height)? == Some(target.block))
    }
}
