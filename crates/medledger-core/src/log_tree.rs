//! The log tree: an append-only RFC 9162 tree over the ids of a chain's blocks, in order, from
//! genesis on.
//!
//! Only *complete* nodes are kept, those over 2^level leaves that are all there: they never change,
//! so a tree of any earlier size can be read from them for ever. Appending reads and writes a number
//! of nodes that grows with the logarithm of the size.
//!
//! A reorganisation goes back by taking a smaller size and appending from there: nodes beyond it are
//! overwritten, and until then nothing looks at them.
//!
//! ```
//! use medledger_core::ids::BlockId;
//! use medledger_core::log_tree::{self, LogTree, MemoryNodes};
//! let mut nodes = MemoryNodes::default();
//! for height in 0..5u8 {
//!     let id = BlockId::from_bytes([height; 32]);
//!     let new = LogTree::new(&nodes).append(u64::from(height), &id)?;
//!     nodes.extend(new);
//! }
//! let tree = LogTree::new(&nodes);
//! let proof = tree.inclusion_proof(3, 5)?;
//! proof.verify(&log_tree::leaf(&BlockId::from_bytes([3; 32])), &tree.root(5)?)?;
//! tree.consistency_proof(2, 5)?.verify(&tree.root(2)?, &tree.root(5)?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::ids::{BlockId, TreeHash};
use crate::merkle::{
    ConsistencyProof, InclusionProof, ProofError, empty_root, leaf_hash, node_hash, split,
};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Hash of a block's leaf: the leaf's data are the 32 bytes of the block's id.
#[must_use]
pub fn leaf(id: &BlockId) -> TreeHash {
    leaf_hash(id.as_bytes())
}

/// Where complete nodes are kept. `dyn TreeNodes<Error = E>` works too.
pub trait TreeNodes {
    /// Why a node could not be read.
    type Error;

    /// The node over the leaves `index * 2^level .. (index + 1) * 2^level`, or `None` when it was
    /// never stored.
    ///
    /// # Errors
    /// The storage's own.
    fn get(&self, level: u8, index: u64) -> Result<Option<TreeHash>, Self::Error>;
}

/// A complete node, to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeNode {
    /// Height above the leaves, which are level 0.
    pub level: u8,
    /// Place among the nodes of its level, from 0.
    pub index: u64,
    /// Its hash.
    pub hash: TreeHash,
}

/// A question to the log tree without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogTreeError<E> {
    /// A node that must be there is not: the size is wrong or the storage has lost it.
    #[error("tree node {index} of level {level} is missing")]
    Missing {
        /// Height above the leaves.
        level: u8,
        /// Place among the nodes of its level.
        index: u64,
    },
    /// There is no such proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The tree has as many leaves as it can.
    #[error("the tree is full")]
    Full,
    /// The storage failed.
    #[error("tree nodes cannot be read: {0}")]
    Storage(E),
}

/// The tree over stored nodes. It holds no size: each question names the size it is about.
#[derive(Debug)]
pub struct LogTree<'a, N: ?Sized> {
    nodes: &'a N,
}

impl<N: ?Sized> Clone for LogTree<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N: ?Sized> Copy for LogTree<'_, N> {}

impl<'a, N: TreeNodes + ?Sized> LogTree<'a, N> {
    /// The tree over these nodes.
    #[must_use]
    pub fn new(nodes: &'a N) -> Self {
        Self { nodes }
    }

    /// The nodes that become complete when `id` is appended to the first `size` leaves, to be
    /// stored together; the leaf itself comes first.
    ///
    /// # Errors
    /// [`LogTreeError::Missing`], [`LogTreeError::Full`] and [`LogTreeError::Storage`].
    pub fn append(&self, size: u64, id: &BlockId) -> Result<Vec<TreeNode>, LogTreeError<N::Error>> {
        if size == u64::MAX {
            return Err(LogTreeError::Full);
        }
        let mut node = TreeNode { level: 0, index: size, hash: leaf(id) };
        let mut new = vec![node];
        while node.index & 1 == 1 {
            let left = self.node(node.level, node.index - 1)?;
            node = TreeNode {
                level: node.level + 1,
                index: node.index >> 1,
                hash: node_hash(&left, &node.hash),
            };
            new.push(node);
        }
        Ok(new)
    }

    /// The root over the first `size` leaves.
    ///
    /// # Errors
    /// [`LogTreeError::Missing`] and [`LogTreeError::Storage`].
    pub fn root(&self, size: u64) -> Result<TreeHash, LogTreeError<N::Error>> {
        if size == 0 { Ok(empty_root()) } else { self.range(0, size) }
    }

    /// That leaf `index` is among the first `size` leaves.
    ///
    /// # Errors
    /// [`LogTreeError`]; [`LogTreeError::Proof`] when there is no such leaf.
    pub fn inclusion_proof(
        &self,
        index: u64,
        size: u64,
    ) -> Result<InclusionProof, LogTreeError<N::Error>> {
        if index >= size {
            return Err(ProofError::NoSuchLeaf { index, size }.into());
        }
        let (mut start, mut length) = (0, size);
        let mut path = Vec::new();
        while length > 1 {
            let left = split(length);
            if index - start < left {
                path.push(self.range(start + left, length - left)?);
                length = left;
            } else {
                path.push(self.range(start, left)?);
                start += left;
                length -= left;
            }
        }
        path.reverse();
        Ok(InclusionProof { index, size, path })
    }

    /// That the first `new_size` leaves begin with the first `old_size`.
    ///
    /// # Errors
    /// [`LogTreeError`]; [`LogTreeError::Proof`] when `old_size` is 0 or above `new_size`.
    pub fn consistency_proof(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<ConsistencyProof, LogTreeError<N::Error>> {
        if old_size == 0 || old_size > new_size {
            return Err(ProofError::NoSuchPair { old: old_size, new: new_size }.into());
        }
        let (mut start, mut length) = (0, new_size);
        let mut path = Vec::new();
        while start + length != old_size {
            let left = split(length);
            if old_size - start <= left {
                path.push(self.range(start + left, length - left)?);
                length = left;
            } else {
                path.push(self.range(start, left)?);
                start += left;
                length -= left;
            }
        }
        if start > 0 {
            path.push(self.range(start, length)?);
        }
        path.reverse();
        Ok(ConsistencyProof { old_size, new_size, path })
    }

    /// The hash over `length` leaves from `start` on, where `start` is a multiple of the largest
    /// power of two in `length`.
    fn range(&self, start: u64, length: u64) -> Result<TreeHash, LogTreeError<N::Error>> {
        // Complete nodes from left to right, one a set bit of the length.
        let (mut start, mut rest) = (start, length);
        let mut nodes = Vec::new();
        while rest > 0 {
            let level = rest.ilog2();
            nodes.push(self.node(level as u8, start >> level)?);
            start += 1 << level;
            rest -= 1 << level;
        }
        let root = nodes.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
        Ok(root.unwrap_or_else(empty_root))
    }

    fn node(&self, level: u8, index: u64) -> Result<TreeHash, LogTreeError<N::Error>> {
        self.nodes
            .get(level, index)
            .map_err(LogTreeError::Storage)?
            .ok_or(LogTreeError::Missing { level, index })
    }
}

/// Nodes in memory, for tests and for checking a chain without storing it.
#[derive(Clone, Debug, Default)]
pub struct MemoryNodes(BTreeMap<(u8, u64), TreeHash>);

impl Extend<TreeNode> for MemoryNodes {
    fn extend<I: IntoIterator<Item = TreeNode>>(&mut self, nodes: I) {
        self.0.extend(nodes.into_iter().map(|node| ((node.level, node.index), node.hash)));
    }
}

impl TreeNodes for MemoryNodes {
    type Error = Infallible;

    fn get(&self, level: u8, index: u64) -> Result<Option<TreeHash>, Infallible> {
        Ok(self.0.get(&(level, index)).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::root_of_hashes;
    use proptest::prelude::*;
    use std::cell::Cell;

    fn id(n: u64) -> BlockId {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        BlockId::from_bytes(bytes)
    }

    fn grown(from: u64, to: u64, nodes: &mut MemoryNodes) {
        for n in from..to {
            let new = LogTree::new(nodes).append(n, &id(n)).unwrap();
            assert_eq!(new[0], TreeNode { level: 0, index: n, hash: leaf(&id(n)) });
            assert_eq!(new.len() as u32, 1 + n.trailing_ones());
            nodes.extend(new);
        }
    }

    #[test]
    fn every_size_index_and_pair_agrees_with_the_plain_tree() {
        let mut nodes = MemoryNodes::default();
        grown(0, 70, &mut nodes);
        let leaves: Vec<_> = (0..70).map(|n| leaf(&id(n))).collect();
        // Through the object-safe face, as a storage behind a trait object is used.
        let nodes: &dyn TreeNodes<Error = Infallible> = &nodes;
        let tree = LogTree::new(nodes);
        for size in 0..=70u64 {
            let leaves = &leaves[..size as usize];
            let root = root_of_hashes(leaves.iter().copied());
            assert_eq!(tree.root(size), Ok(root));
            for index in 0..size {
                let proof = tree.inclusion_proof(index, size).unwrap();
                assert_eq!(Ok(&proof), InclusionProof::new(leaves, index).as_ref());
                assert_eq!(proof.verify(&leaves[index as usize], &root), Ok(()));
            }
            for old in 1..=size {
                let proof = tree.consistency_proof(old, size).unwrap();
                assert_eq!(Ok(&proof), ConsistencyProof::new(leaves, old).as_ref());
                assert_eq!(proof.verify(&tree.root(old).unwrap(), &root), Ok(()));
            }
        }
    }

    #[test]
    fn what_is_not_there_is_an_error_and_never_a_hash() {
        let mut nodes = MemoryNodes::default();
        grown(0, 6, &mut nodes);
        let tree = LogTree::new(&nodes);
        assert_eq!(tree.root(7), Err(LogTreeError::Missing { level: 0, index: 6 }));
        assert_eq!(tree.root(8), Err(LogTreeError::Missing { level: 3, index: 0 }));
        assert_eq!(tree.append(9, &id(9)), Err(LogTreeError::Missing { level: 0, index: 8 }));
        assert_eq!(tree.append(u64::MAX, &id(9)), Err(LogTreeError::Full));
        assert_eq!(
            tree.inclusion_proof(6, 6),
            Err(LogTreeError::Proof(ProofError::NoSuchLeaf { index: 6, size: 6 }))
        );
        assert!(tree.inclusion_proof(0, 0).is_err());
        for (old, new) in [(0, 6), (6, 5), (0, 0)] {
            assert_eq!(
                tree.consistency_proof(old, new),
                Err(LogTreeError::Proof(ProofError::NoSuchPair { old, new }))
            );
        }
    }

    #[test]
    fn a_storage_that_fails_is_named() {
        struct Broken;
        impl TreeNodes for Broken {
            type Error = &'static str;
            fn get(&self, _: u8, _: u64) -> Result<Option<TreeHash>, &'static str> {
                Err("disk on fire")
            }
        }
        let error = LogTree::new(&Broken).root(1).unwrap_err();
        assert_eq!(error.to_string(), "tree nodes cannot be read: disk on fire");
        assert!(LogTree::new(&Broken).append(0, &id(0)).is_ok(), "nothing to read yet");
    }

    #[test]
    fn a_million_leaves_cost_some_tens_of_reads_a_question() {
        struct Counting(MemoryNodes, Cell<u32>);
        impl TreeNodes for Counting {
            type Error = Infallible;
            fn get(&self, level: u8, index: u64) -> Result<Option<TreeHash>, Infallible> {
                self.1.set(self.1.get() + 1);
                // Only the shape matters here, so that a large tree need not be built.
                Ok(self.0.get(level, index)?.or(Some(leaf(&id(index)))))
            }
        }
        let nodes = Counting(MemoryNodes::default(), Cell::new(0));
        let tree = LogTree::new(&nodes);
        let size = (1 << 20) - 1;
        let reads = |question: &dyn Fn()| {
            nodes.1.set(0);
            question();
            nodes.1.get()
        };
        assert_eq!(reads(&|| drop(tree.append(size, &id(0)))), 20);
        assert_eq!(reads(&|| drop(tree.root(size))), 20);
        assert!(reads(&|| drop(tree.inclusion_proof(0, size))) <= 40);
        assert!(reads(&|| drop(tree.consistency_proof(size - 1, size))) <= 40);
    }

    proptest! {
        #[test]
        fn going_back_and_appending_others_gives_the_tree_of_the_others(
            first in 1u64..60, back in 0u64..60, second in 0u64..60,
        ) {
            let mut nodes = MemoryNodes::default();
            grown(0, first, &mut nodes);
            let keep = first.saturating_sub(back);
            let mut leaves: Vec<_> = (0..keep).map(|n| leaf(&id(n))).collect();
            for n in 0..second {
                let id = id(1000 + n);
                let new = LogTree::new(&nodes).append(keep + n, &id).unwrap();
                nodes.extend(new);
                leaves.push(leaf(&id));
            }
            let root = root_of_hashes(leaves.iter().copied());
            prop_assert_eq!(LogTree::new(&nodes).root(keep + second), Ok(root));
        }
    }
}
