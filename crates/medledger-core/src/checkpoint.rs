//! Checkpoints: what hospitals sign to make blocks final.
//!
//! A checkpoint is a C2SP [tlog-checkpoint] of the [log tree](crate::log_tree), signed as a C2SP
//! [signed note]; hospitals add timestamped [cosignatures]. The bytes are those of these
//! specifications, so the tools of transparency logs read them. Cosignatures are the Ed25519 type
//! (`cosignature/v1`).
//!
//! ```
//! use medledger_core::checkpoint::{Checkpoint, NoteKey, SignedNote, finality};
//! use medledger_core::clock::Timestamp;
//! use medledger_core::ids::ChainId;
//! use medledger_core::merkle;
//! # let secret = ed25519_zebra::SigningKey::from([1; 32]);
//! # let public: [u8; 32] = secret.verification_key().into();
//! let chain = ChainId::from_bytes([7; 32]);
//! let checkpoint = Checkpoint::new(&chain, 3, merkle::root(["a", "b", "c"]));
//! let hospital = NoteKey::cosigner("hospital-8", public)?;
//! let mut note = SignedNote::new(checkpoint.to_string())?;
//! note.cosign(&hospital, Timestamp::from_secs(1_700_000_000), &mut |m| secret.sign(m).to_bytes())?;
//!
//! let note = SignedNote::from_bytes(note.to_string().as_bytes())?;
//! assert_eq!(finality(&note, &chain, &[hospital])?, checkpoint);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [tlog-checkpoint]: https://c2sp.org/tlog-checkpoint
//! [signed note]: https://c2sp.org/signed-note
//! [cosignatures]: https://c2sp.org/tlog-cosignature

mod evidence;
mod key;
mod note;
mod proof;

pub use evidence::{Evidence, EvidenceError, Misconduct};
pub use key::{NoteKey, NoteKeyError, SignatureKind};
pub use note::{NoteError, NoteSignature, SignedNote, Verified, VerifyError};
pub use proof::{TlogProof, TlogProofError};

use crate::clock::Timestamp;
use crate::ids::{ChainId, TreeHash};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Head of a log tree: which log, how many leaves, which root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log; `medledger/<chain id>` for ours.
    pub origin: String,
    /// Leaves of the tree.
    pub size: u64,
    /// Root over them.
    pub root: TreeHash,
}

/// Text that is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not exactly three lines, each ended by a newline. Extension lines are refused, as no one can
    /// audit them.
    #[error("a checkpoint is three lines, each ended by a newline; found {found}")]
    Lines {
        /// Newlines found.
        found: usize,
    },
    /// The first line is empty.
    #[error("the origin is empty")]
    Origin,
    /// The second line is no decimal number in its one form.
    #[error("the size is no decimal number without leading zeros: {found:?}")]
    Size {
        /// The line found, cut to 80 characters.
        found: String,
    },
    /// The third line is not the base64 of 32 bytes.
    #[error("the root is not the base64 of 32 bytes: {found:?}")]
    Root {
        /// The line found, cut to 80 characters.
        found: String,
    },
}

const ORIGIN_PREFIX: &str = "medledger/";

impl Checkpoint {
    /// The checkpoint of a chain's log tree.
    #[must_use]
    pub fn new(chain: &ChainId, size: u64, root: TreeHash) -> Self {
        Self { origin: Self::origin_of(chain), size, root }
    }

    /// The origin line of a chain: `medledger/<chain id>`.
    #[must_use]
    pub fn origin_of(chain: &ChainId) -> String {
        format!("{ORIGIN_PREFIX}{chain}")
    }

    /// Whether it is a checkpoint of this chain.
    #[must_use]
    pub fn is_of(&self, chain: &ChainId) -> bool {
        self.origin == Self::origin_of(chain)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let cut = |line: &str| line.chars().take(80).collect();
        let lines: Vec<&str> = text.split('\n').take(5).collect();
        let [origin, size, root, ""] = lines[..] else {
            return Err(CheckpointError::Lines { found: text.matches('\n').count() });
        };
        if origin.is_empty() {
            return Err(CheckpointError::Origin);
        }
        let size = size
            .parse::<u64>()
            .ok()
            .filter(|number| number.to_string() == size)
            .ok_or_else(|| CheckpointError::Size { found: cut(size) })?;
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|bytes| TreeHash::try_from(bytes.as_slice()).ok())
            .ok_or_else(|| CheckpointError::Root { found: cut(root) })?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

/// How many of so many hospitals must cosign: floor(2n/3) + 1. Two such groups always share a third
/// of the hospitals; alone, a hospital is its own quorum.
///
/// ```
/// use medledger_core::checkpoint::quorum;
/// assert_eq!([1, 2, 3, 4, 7].map(quorum), [1, 2, 3, 3, 5]);
/// ```
#[must_use]
pub const fn quorum(hospitals: usize) -> usize {
    // floor(2n/3) without 2n, which could overflow.
    hospitals / 3 * 2 + hospitals % 3 * 2 / 3 + 1
}

/// A note that makes nothing final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FinalityError {
    /// Its text is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It is of another chain.
    #[error("the checkpoint is of {found:?}, not of chain {chain}")]
    OtherChain {
        /// Origin found.
        found: String,
        /// Chain asked about.
        chain: ChainId,
    },
    /// A signature that claims a known key is wrong, or there is none by a known key.
    #[error(transparent)]
    Signature(#[from] VerifyError),
    /// Too few hospitals have cosigned.
    #[error("{found} of {hospitals} hospitals have cosigned, {needed} are needed")]
    TooFew {
        /// Hospitals that have.
        found: usize,
        /// Hospitals in all.
        hospitals: usize,
        /// Hospitals needed.
        needed: usize,
    },
}

/// A checkpoint that a quorum of hospitals has cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// What they signed.
    pub checkpoint: Checkpoint,
    /// The hospitals that signed, by name and each once, with the time each states.
    pub by: Vec<Cosignature>,
    /// Hospitals in all.
    pub hospitals: usize,
    /// How many of them are a quorum.
    pub needed: usize,
}

/// One hospital's cosignature, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The hospital's name: in our logs its member id.
    pub name: String,
    /// When it signed, by its own word.
    pub time: Timestamp,
}

/// The checkpoint in `note`, if it is of `chain` and a quorum of hospitals has cosigned it.
///
/// `cosigners` are the keys of all hospitals that are members, each under its hospital's name; a
/// hospital with several keys counts once, and a key once. Other kinds of signatures do not count.
///
/// # Errors
/// [`FinalityError`] saying what is missing.
pub fn finality(
    note: &SignedNote,
    chain: &ChainId,
    cosigners: &[NoteKey],
) -> Result<Checkpoint, FinalityError> {
    cosigned(note, chain, cosigners).map(|cosigned| cosigned.checkpoint)
}

/// The same as [`finality`], telling who has cosigned.
///
/// # Errors
/// [`FinalityError`] saying what is missing.
pub fn cosigned(
    note: &SignedNote,
    chain: &ChainId,
    cosigners: &[NoteKey],
) -> Result<Cosigned, FinalityError> {
    let checkpoint = of_chain(note, chain)?;
    let hospitals: BTreeSet<&str> = cosigners
        .iter()
        .filter(|key| key.kind() == SignatureKind::CosignatureV1)
        .map(NoteKey::name)
        .collect();
    let by = signers(note, cosigners)?;
    let (found, hospitals, needed) = (by.len(), hospitals.len(), quorum(hospitals.len()));
    if found < needed {
        return Err(FinalityError::TooFew { found, hospitals, needed });
    }
    Ok(Cosigned { checkpoint, by, hospitals, needed })
}

/// The note's checkpoint, if it is one of this chain; looks at no signature.
///
/// # Errors
/// [`FinalityError::Checkpoint`] and [`FinalityError::OtherChain`].
pub fn of_chain(note: &SignedNote, chain: &ChainId) -> Result<Checkpoint, FinalityError> {
    let checkpoint: Checkpoint = note.text().parse()?;
    if !checkpoint.is_of(chain) {
        return Err(FinalityError::OtherChain { found: checkpoint.origin, chain: *chain });
    }
    Ok(checkpoint)
}

/// Who has cosigned, in the order of `cosigners`.
fn signers(note: &SignedNote, cosigners: &[NoteKey]) -> Result<Vec<Cosignature>, VerifyError> {
    // A hospital's vote needs both a name and a key of its own.
    let (mut keys, mut names, mut by) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for verified in note.verify(cosigners)? {
        let (Some(time), key) = (verified.time, &cosigners[verified.key]) else { continue };
        if keys.insert(key.public_key()) && names.insert(key.name()) {
            by.push(Cosignature { name: key.name().to_owned(), time });
        }
    }
    Ok(by)
}

#[cfg(test)]
mod tests;
