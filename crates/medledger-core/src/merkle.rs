//! The Merkle tree of RFC 9162 (and RFC 6962) over SHA-256, with its two proofs.
//!
//! Leaves and nodes are hashed with different first bytes and no leaf is ever repeated to fill a
//! level, so neither can a node pass for a leaf nor can two lists of leaves share a root
//! (CVE-2012-2459). Proofs are checked strictly: a path of any other length than index and size ask
//! for is refused.
//!
//! ```
//! use medledger_core::merkle::{InclusionProof, leaf_hash, root};
//! let records = ["a", "b", "c"];
//! let root = root(records);
//! let leaves: Vec<_> = records.iter().map(|r| leaf_hash(r.as_bytes())).collect();
//! let proof = InclusionProof::new(&leaves, 1)?;
//! proof.verify(&leaf_hash(b"b"), &root)?;
//! assert!(proof.verify(&leaf_hash(b"c"), &root).is_err());
//! # Ok::<(), medledger_core::merkle::ProofError>(())
//! ```

pub use crate::ids::TreeHash;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// A proof that could not be made or that proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There is no such leaf.
    #[error("leaf {index} of a tree of {size} leaves")]
    NoSuchLeaf {
        /// Index asked for, from 0.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The older tree is empty or larger than the newer: nothing is to be proved between them.
    #[error("no consistency between a tree of {old} leaves and one of {new}")]
    NoSuchPair {
        /// Leaves of the older tree.
        old: u64,
        /// Leaves of the newer tree.
        new: u64,
    },
    /// The path has more or fewer hashes than a proof of these sizes.
    #[error("a path of {found} hashes, where {expected} are needed")]
    PathLength {
        /// Hashes found.
        found: usize,
        /// Hashes needed.
        expected: usize,
    },
    /// The path leads to another root than the one given.
    #[error("the proof leads to root {found}, not to {expected}")]
    WrongRoot {
        /// Root the path leads to.
        found: TreeHash,
        /// Root given.
        expected: TreeHash,
    },
}

/// Hash of a leaf: SHA-256(0x00 | data).
#[must_use]
pub fn leaf_hash(data: &[u8]) -> TreeHash {
    TreeHash::from_bytes(crate::ids::sha256(&[&[0], data]))
}

/// Hash of an inner node: SHA-256(0x01 | left | right).
#[must_use]
pub fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    TreeHash::from_bytes(crate::ids::sha256(&[&[1], left.as_bytes(), right.as_bytes()]))
}

/// Root of a tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> TreeHash {
    TreeHash::from_bytes(Sha256::digest([]).into())
}

/// Root over the leaves' data, in one pass and in memory that grows with the depth only.
#[must_use]
pub fn root(leaves: impl IntoIterator<Item = impl AsRef<[u8]>>) -> TreeHash {
    root_of_hashes(leaves.into_iter().map(|leaf| leaf_hash(leaf.as_ref())))
}

/// Root over the hashes of leaves.
#[must_use]
pub fn root_of_hashes(leaf_hashes: impl IntoIterator<Item = TreeHash>) -> TreeHash {
    // Roots of the complete subtrees so far, largest first: one a set bit of the count.
    let mut subtrees: Vec<TreeHash> = Vec::new();
    for (count, leaf) in (0u64..).zip(leaf_hashes) {
        // The leaf completes as many subtrees as the count ends in set bits.
        let complete = subtrees.len() - count.trailing_ones() as usize;
        let hash = subtrees.drain(complete..).rfold(leaf, |right, left| node_hash(&left, &right));
        subtrees.push(hash);
    }
    subtrees
        .into_iter()
        .rev()
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or_else(empty_root)
}

/// The largest power of two below `size`, which must be above 1: where RFC 9162 splits a tree.
pub(crate) fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// That a leaf is in a tree (RFC 9162, 2.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// Which leaf, from 0.
    pub index: u64,
    /// Leaves in the tree.
    pub size: u64,
    /// Sibling hashes from the leaf up.
    pub path: Vec<TreeHash>,
}

impl InclusionProof {
    /// The proof for leaf `index` of the tree over these leaf hashes.
    ///
    /// # Errors
    /// [`ProofError::NoSuchLeaf`].
    pub fn new(leaf_hashes: &[TreeHash], index: u64) -> Result<Self, ProofError> {
        let size = leaf_hashes.len() as u64;
        let no_such_leaf = ProofError::NoSuchLeaf { index, size };
        let mut at = usize::try_from(index).map_err(|_| no_such_leaf.clone())?;
        if at >= leaf_hashes.len() {
            return Err(no_such_leaf);
        }
        let mut rest = leaf_hashes;
        let mut path = Vec::new();
        while rest.len() > 1 {
            let (left, right) = rest.split_at(split(rest.len() as u64) as usize);
            let (inside, beside) = if at < left.len() { (left, right) } else { (right, left) };
            path.push(root_of_hashes(beside.iter().copied()));
            at = if at < left.len() { at } else { at - left.len() };
            rest = inside;
        }
        path.reverse();
        Ok(Self { index, size, path })
    }

    /// Checks that the leaf with this hash is in the tree with this root (RFC 9162, 2.1.3.2).
    ///
    /// # Errors
    /// [`ProofError`] saying what is wrong.
    pub fn verify(&self, leaf: &TreeHash, root: &TreeHash) -> Result<(), ProofError> {
        expect_root(&self.root(leaf)?, root)
    }

    /// The root that the path leads to from the leaf with this hash.
    ///
    /// # Errors
    /// [`ProofError::NoSuchLeaf`] and [`ProofError::PathLength`].
    pub fn root(&self, leaf: &TreeHash) -> Result<TreeHash, ProofError> {
        if self.index >= self.size {
            return Err(ProofError::NoSuchLeaf { index: self.index, size: self.size });
        }
        expect_length(&self.path, inclusion_length(self.index, self.size))?;
        let (mut node, mut last) = (self.index, self.size - 1);
        let mut hash = *leaf;
        for sibling in &self.path {
            if node & 1 == 1 || node == last {
                hash = node_hash(sibling, &hash);
                // On the right edge, levels without a left sibling are skipped.
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            node >>= 1;
            last >>= 1;
        }
        Ok(hash)
    }
}

/// That a larger tree begins with all the leaves of a smaller one (RFC 9162, 2.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyProof {
    /// Leaves of the older tree.
    pub old_size: u64,
    /// Leaves of the newer tree.
    pub new_size: u64,
    /// Hashes from which both roots follow, lowest first.
    pub path: Vec<TreeHash>,
}

impl ConsistencyProof {
    /// The proof that the tree over these leaf hashes begins with the tree over the first
    /// `old_size` of them. Between equal trees the path is empty.
    ///
    /// # Errors
    /// [`ProofError::NoSuchPair`].
    pub fn new(leaf_hashes: &[TreeHash], old_size: u64) -> Result<Self, ProofError> {
        let new_size = leaf_hashes.len() as u64;
        if old_size == 0 || old_size > new_size {
            return Err(ProofError::NoSuchPair { old: old_size, new: new_size });
        }
        let (mut rest, mut old, mut whole) = (leaf_hashes, old_size as usize, true);
        let mut path = Vec::new();
        while old != rest.len() {
            let (left, right) = rest.split_at(split(rest.len() as u64) as usize);
            let (inside, beside) = if old <= left.len() { (left, right) } else { (right, left) };
            path.push(root_of_hashes(beside.iter().copied()));
            if old > left.len() {
                old -= left.len();
                whole = false;
            }
            rest = inside;
        }
        if !whole {
            path.push(root_of_hashes(rest.iter().copied()));
        }
        path.reverse();
        Ok(Self { old_size, new_size, path })
    }

    /// Checks that the tree with root `new` begins with the tree with root `old` (RFC 9162,
    /// 2.1.4.2).
    ///
    /// # Errors
    /// [`ProofError`] saying what is wrong.
    pub fn verify(&self, old: &TreeHash, new: &TreeHash) -> Result<(), ProofError> {
        let (old_size, new_size) = (self.old_size, self.new_size);
        if old_size == 0 || old_size > new_size {
            return Err(ProofError::NoSuchPair { old: old_size, new: new_size });
        }
        expect_length(&self.path, consistency_length(old_size, new_size))?;
        if old_size == new_size {
            return expect_root(old, new);
        }
        let (mut node, mut last) = (old_size - 1, new_size - 1);
        let rightmost = node.trailing_ones();
        node >>= rightmost;
        last >>= rightmost;
        // An older tree that is one complete subtree is its own first hash.
        let (first, path) = match self.path.split_first() {
            Some((first, path)) if !old_size.is_power_of_two() => (first, path),
            _ => (old, &self.path[..]),
        };
        let (mut old_hash, mut new_hash) = (*first, *first);
        for hash in path {
            if node & 1 == 1 || node == last {
                old_hash = node_hash(hash, &old_hash);
                new_hash = node_hash(hash, &new_hash);
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                new_hash = node_hash(&new_hash, hash);
            }
            node >>= 1;
            last >>= 1;
        }
        expect_root(&old_hash, old)?;
        expect_root(&new_hash, new)
    }
}

/// Hashes on the path of leaf `index`: the levels below the top where its way and that of the last
/// leaf part, and above that one for each left sibling.
fn inclusion_length(index: u64, size: u64) -> usize {
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner + border) as usize
}

fn consistency_length(old: u64, new: u64) -> usize {
    if old == new {
        return 0;
    }
    // The way starts at the largest complete subtree that ends the older tree.
    let level = old.trailing_zeros();
    let path = inclusion_length((old - 1) >> level, ((new - 1) >> level) + 1);
    path + usize::from(!old.is_power_of_two())
}

fn expect_length(path: &[TreeHash], expected: usize) -> Result<(), ProofError> {
    if path.len() == expected {
        Ok(())
    } else {
        Err(ProofError::PathLength { found: path.len(), expected })
    }
}

fn expect_root(found: &TreeHash, expected: &TreeHash) -> Result<(), ProofError> {
    if found == expected {
        Ok(())
    } else {
        Err(ProofError::WrongRoot { found: *found, expected: *expected })
    }
}
