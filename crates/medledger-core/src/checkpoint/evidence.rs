//! Evidence that a hospital has signed two checkpoints of one chain that cannot both be true.
//!
//! A hospital signs a log that only grows. Two checkpoints of the same size with different roots contradict
//! each other as they stand. Of two with different sizes, that no consistency proof *was shown* proves
//! nothing; what does is a consistency proof from *another* older root: it shows what the newer
//! checkpoint says the older one was, and that is not what was signed.
//!
//! ```
//! use medledger_core::checkpoint::{Checkpoint, Evidence, NoteKey, SignedNote};
//! use medledger_core::{clock::Timestamp, ids::{BlockId, ChainId}, log_tree::{LogTree, MemoryNodes}, merkle};
//! # let secret = ed25519_zebra::SigningKey::from([1; 32]);
//! # let hospital = NoteKey::cosigner("hospital-8", secret.verification_key().into())?;
//! # let chain = ChainId::from_bytes([7; 32]);
//! # let sign = |size, root| -> Result<SignedNote, Box<dyn std::error::Error>> {
//! #     let mut note = SignedNote::new(Checkpoint::new(&chain, size, root).to_string())?;
//! #     note.cosign(&hospital, Timestamp::from_secs(1), &mut |m| secret.sign(m).to_bytes())?;
//! #     Ok(note)
//! # };
//! let mut nodes = MemoryNodes::default();
//! for height in 0..5u8 {
//!     let new = LogTree::new(&nodes).append(height.into(), &BlockId::from_bytes([height; 32]))?;
//!     nodes.extend(new);
//! }
//! let tree = LogTree::new(&nodes);
//! let newer = sign(5, tree.root(5)?)?;
//! let older = sign(3, merkle::root(["other", "blocks", "were here"]))?;
//! let keys = [hospital];
//! let evidence = Evidence::between(&older, &newer, tree, &chain, &keys)?.expect("they conflict");
//! // Whoever gets it needs nothing but the chain's id and its hospitals' keys.
//! let misconduct = Evidence::decode(&evidence.encode())?.check(&chain, &keys)?;
//! assert_eq!(misconduct.hospitals, ["hospital-8"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{Checkpoint, FinalityError, NoteError, NoteKey, SignedNote, of_chain, signers};
use crate::cbor::{self, DecodeError};
use crate::ids::{ChainId, TreeHash};
use crate::log_tree::{LogTree, LogTreeError, TreeNodes};
use crate::merkle::{ConsistencyProof, ProofError};
use crate::registry::{FORMAT_VERSION, limit::CHECKPOINT_EVIDENCE_BYTES};
use serde::{Deserialize, Serialize};

/// Two checkpoints of one chain, each signed by the same hospitals, and what shows that they conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    v: u16,
    /// The smaller one, of equal sizes the one with the lower root; only the guilty's signatures.
    older: String,
    /// The other one.
    newer: String,
    /// Which root the newer one has at the older size; none where the sizes are equal.
    fork: Option<Fork>,
}

/// What a newer checkpoint says an older one was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fork {
    /// The root over as many leaves as the older checkpoint has.
    root: TreeHash,
    /// Consistency proof from that root to the newer checkpoint's.
    path: Vec<TreeHash>,
}

/// What evidence proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misconduct {
    /// Names of the hospitals that have signed both, in the order of the keys given.
    pub hospitals: Vec<String>,
    /// The smaller checkpoint.
    pub older: Checkpoint,
    /// The one that contradicts it.
    pub newer: Checkpoint,
}

/// Evidence that proves nothing, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not the canonical DAG-CBOR of evidence.
    #[error("not evidence: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by a later version.
    #[error(
        "evidence has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// One of the two is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// One of the two is no checkpoint of this chain, or has a wrong signature.
    #[error(transparent)]
    Checkpoint(#[from] FinalityError),
    /// The two stand in the wrong order, or are the same.
    #[error("the two checkpoints are the same, or stand in the wrong order")]
    Order,
    /// A proof of a fork where the sizes are equal, or none where they are not.
    #[error("a fork is shown exactly where the sizes differ; they are {older} and {newer}")]
    Fork {
        /// Size of the older checkpoint.
        older: u64,
        /// Size of the newer checkpoint.
        newer: u64,
    },
    /// The path does not lead from the root named to the newer checkpoint.
    #[error("the newer checkpoint does not have that root at the older size: {0}")]
    Proof(#[from] ProofError),
    /// The newer checkpoint continues the older one.
    #[error("the newer checkpoint continues the older one")]
    Consistent,
    /// Each is signed, but none by whom signed the other.
    #[error("no hospital has signed both checkpoints")]
    Nobody,
    /// The tree handed in is not that of the newer checkpoint.
    #[error("the log tree at hand is not that of the newer checkpoint: {0}")]
    Tree(String),
}

impl Evidence {
    /// What two notes prove against the hospitals that signed both; `None` when they agree, or when no
    /// hospital signed both. They may come in either order. `tree` is the log tree of the one with more
    /// leaves; where the sizes are equal it is not looked at.
    ///
    /// Signatures that are wrong or by others are left out, so that none of them can spoil the evidence.
    ///
    /// # Errors
    /// [`EvidenceError::Checkpoint`] when one is no checkpoint of this chain, [`EvidenceError::Tree`]
    /// when the tree is another one.
    pub fn between<N: TreeNodes + ?Sized>(
        first: &SignedNote,
        second: &SignedNote,
        tree: LogTree<'_, N>,
        chain: &ChainId,
        keys: &[NoteKey],
    ) -> Result<Option<Self>, EvidenceError>
    where
        N::Error: std::fmt::Display,
    {
        let mut pair = [(of_chain(first, chain)?, first), (of_chain(second, chain)?, second)];
        pair.sort_by_key(|(checkpoint, _)| order(checkpoint));
        let [(older, older_note), (newer, newer_note)] = pair;
        if older == newer || older.size == 0 {
            return Ok(None);
        }
        let fork = if older.size == newer.size {
            None
        } else {
            let failed = |error: LogTreeError<N::Error>| EvidenceError::Tree(error.to_string());
            let (root, top) = (tree.root(older.size).map_err(failed)?, tree.root(newer.size));
            if top.map_err(failed)? != newer.root {
                return Err(EvidenceError::Tree("it has another root".into()));
            }
            if root == older.root {
                return Ok(None);
            }
            let proof = tree.consistency_proof(older.size, newer.size).map_err(failed)?;
            Some(Fork { root, path: proof.path })
        };
        let (older, newer) = (older_note.verified_only(keys), newer_note.verified_only(keys));
        let both: Vec<NoteKey> = match (signers(&older, keys), signers(&newer, keys)) {
            (Ok(a), Ok(b)) => {
                let signed = |key: &&NoteKey| {
                    let by =
                        |list: &[super::Cosignature]| list.iter().any(|c| c.name == key.name());
                    by(&a) && by(&b)
                };
                keys.iter().filter(signed).cloned().collect()
            }
            _ => Vec::new(),
        };
        if both.is_empty() {
            return Ok(None);
        }
        let text = |note: &SignedNote| note.verified_only(&both).to_string();
        Ok(Some(Self { v: FORMAT_VERSION, older: text(&older), newer: text(&newer), fork }))
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the canonical bytes; checks nothing they say.
    ///
    /// # Errors
    /// [`EvidenceError::Malformed`] and [`EvidenceError::UnknownVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if let Some(found) = cbor::check_version(bytes, CHECKPOINT_EVIDENCE_BYTES)? {
            return Err(EvidenceError::UnknownVersion { found });
        }
        Ok(cbor::decode(bytes, CHECKPOINT_EVIDENCE_BYTES)?)
    }

    /// Checks that it proves misconduct. `keys` are those of the chain's hospitals, each under its
    /// hospital's name.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub fn check(&self, chain: &ChainId, keys: &[NoteKey]) -> Result<Misconduct, EvidenceError> {
        let read = |text: &str| -> Result<_, EvidenceError> {
            let note = SignedNote::from_bytes(text.as_bytes())?;
            let checkpoint = of_chain(&note, chain)?;
            let by = signers(&note, keys).map_err(FinalityError::from)?;
            Ok((checkpoint, by))
        };
        let ((older, first), (newer, second)) = (read(&self.older)?, read(&self.newer)?);
        if order(&older) >= order(&newer) {
            return Err(EvidenceError::Order);
        }
        match &self.fork {
            None if older.size == newer.size => {}
            Some(fork) if older.size != newer.size => {
                let (old_size, new_size) = (older.size, newer.size);
                let proof = ConsistencyProof { old_size, new_size, path: fork.path.clone() };
                proof.verify(&fork.root, &newer.root)?;
                if fork.root == older.root {
                    return Err(EvidenceError::Consistent);
                }
            }
            _ => return Err(EvidenceError::Fork { older: older.size, newer: newer.size }),
        }
        let mut hospitals: Vec<String> = first.into_iter().map(|by| by.name).collect();
        hospitals.retain(|name| second.iter().any(|by| by.name == *name));
        if hospitals.is_empty() {
            return Err(EvidenceError::Nobody);
        }
        Ok(Misconduct { hospitals, older, newer })
    }
}

fn order(checkpoint: &Checkpoint) -> (u64, TreeHash) {
    (checkpoint.size, checkpoint.root)
}

#[cfg(test)]
mod tests;
