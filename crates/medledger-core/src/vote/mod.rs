//! How hospitals agree on what is final: two phases of votes over the blocks that work has put in
//! order, and a cosignature only for what they decided.
//!
//! Cosigning at once, each hospital whatever its best branch supports, may split the hospitals over
//! two branches for ever (`docs/decisions/0022-finality-in-two-phases.md`, and the model in
//! `tests/finality_model`). So a hospital first *prevotes*; a block with prevotes of a quorum in one
//! round is *justified*; the hospital then *precommits* to it and is locked on it; a block with
//! precommits of a quorum in one round is *decided*, and only then is its checkpoint cosigned.
//!
//! A *round* is a height: that of the block on top of which a hospital looks for something to vote
//! for. The [target](Target) of a round is the highest block below that has blocks by a quorum of
//! different hospitals at or above it: work remains part of finality.
//!
//! Nothing here reads a clock or a store. [`Voter`] is a pure state machine over a [`BlockTree`] and a
//! [`Tally`]; what it returns becomes durable before a vote leaves the house.
//!
//! ```
//! use medledger_core::ids::{BlockId, ChainId, MemberId};
//! use medledger_core::keys::SigningKey;
//! use medledger_core::vote::{BlockInfo, BlockTree, Members, Tally, Voter};
//! use std::{collections::HashMap, convert::Infallible};
//!
//! struct Blocks(HashMap<BlockId, BlockInfo>);
//! impl BlockTree for Blocks {
//!     type Error = Infallible;
//!     fn block(&self, id: &BlockId) -> Result<Option<BlockInfo>, Infallible> {
//!         Ok(self.0.get(id).copied())
//!     }
//!     fn highest(&self) -> Result<u64, Infallible> {
//!         Ok(self.0.values().map(|block| block.height).max().unwrap_or(0))
//!     }
//! }
//!
//! // A hospital on its own is its own quorum: its block is final as soon as it has voted twice.
//! let key = SigningKey::from_seed(&[1; 32]);
//! let (genesis, block) = (BlockId::from_bytes([0; 32]), BlockId::from_bytes([1; 32]));
//! let hospital = MemberId::from_bytes([8; 16]);
//! let members = Members::new(genesis.into(), genesis, [(hospital, vec![key.verifying_key()])]);
//! let info = |height, parent, miner| BlockInfo { height, parent, miner, changes_set: false };
//! let tree = Blocks(HashMap::from([
//!     (genesis, info(0, genesis, None)),
//!     (block, info(1, genesis, Some(hospital))),
//! ]));
//!
//! let mut tally = Tally::new(members);
//! let mut voter = Voter::new(hospital, tally.members(), 0);
//! let mut cosign = None;
//! loop {
//!     let step = voter.step(&tree, &block, &tally)?;
//!     voter = step.voter; // first of all, and with the votes, this is made durable
//!     cosign = step.cosign.or(cosign);
//!     if step.votes.is_empty() && step.cosign.is_none() {
//!         break;
//!     }
//!     for vote in step.votes {
//!         tally.insert(vote.sign(&key).verify(tally.members())?);
//!     }
//! }
//! assert_eq!(cosign.map(|target| target.block), Some(block));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod awaited;
mod certificate;
mod evidence;
mod headers;
mod members;
mod pledge;
mod signed;
mod state;
mod tally;
#[cfg(test)]
mod tests;
mod tree;
mod voter;

pub use awaited::Awaited;
pub use certificate::{Certificate, CertificateError};
pub use evidence::{Evidence, EvidenceError};
pub use headers::HeaderPath;
pub use members::Members;
pub use pledge::Pledge;
pub use signed::{SignedVote, VerifiedVote, VoteError};
pub use state::{VoterState, VoterStateError};
pub use tally::{Inserted, Tally};
pub use tree::{BlockInfo, BlockTree};
pub use voter::{Step, Trouble, Voter};

use crate::cbor::{self, DecodeError};
use crate::ids::{BlockId, ChainId, MemberId};
use crate::registry::{FORMAT_VERSION, limit};
use serde::{Deserialize, Serialize};

/// A block that is voted for, with its height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u64, BlockId)", into = "(u64, BlockId)")]
pub struct Target {
    /// Its height.
    pub height: u64,
    /// Its id.
    pub block: BlockId,
}

impl From<(u64, BlockId)> for Target {
    fn from((height, block): (u64, BlockId)) -> Self {
        Self { height, block }
    }
}

impl From<Target> for (u64, BlockId) {
    fn from(target: Target) -> Self {
        (target.height, target.block)
    }
}

/// A block in one round: what votes are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u64, u64, BlockId)", into = "(u64, u64, BlockId)")]
pub struct Ballot {
    /// The round: height of the block on top of which the target was looked for.
    pub round: u64,
    /// The block voted for.
    pub target: Target,
}

impl From<(u64, u64, BlockId)> for Ballot {
    fn from((round, height, block): (u64, u64, BlockId)) -> Self {
        Self { round, target: Target { height, block } }
    }
}

impl From<Ballot> for (u64, u64, BlockId) {
    fn from(Ballot { round, target }: Ballot) -> Self {
        (round, target.height, target.block)
    }
}

/// Which of the two votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// "This should become final."
    Prevote {
        /// The newest justified block that the voter knew on that branch and was at least as high as its lock;
        /// `None` when there was none since this set of hospitals came into force.
        source: Option<Ballot>,
    },
    /// "I saw that a quorum prevoted it."
    Precommit,
}

impl Phase {
    /// The number in stored bytes.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Prevote { .. } => 1,
            Self::Precommit => 2,
        }
    }

    /// Source of a prevote.
    #[must_use]
    pub const fn source(&self) -> Option<&Ballot> {
        match self {
            Self::Prevote { source } => source.as_ref(),
            Self::Precommit => None,
        }
    }
}

/// What a hospital states, before it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vote {
    /// The chain.
    pub chain: ChainId,
    /// The block that brought the present set of hospitals into force; genesis at first. Votes of
    /// different sets are never counted together.
    pub set: BlockId,
    /// The hospital.
    pub voter: MemberId,
    /// Which vote.
    pub phase: Phase,
    /// What for.
    pub ballot: Ballot,
}

/// Bytes that are no vote this version can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VoteDecodeError {
    /// Not the canonical DAG-CBOR of a vote.
    #[error("not a vote: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by another version of the format.
    #[error("vote has format version {found}; this version reads {FORMAT_VERSION}: update needed")]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// Neither prevote nor precommit.
    #[error("vote has unknown phase {found}; known are 1 (prevote) and 2 (precommit)")]
    Phase {
        /// The code found.
        found: u8,
    },
    /// The target lies above the round it is voted for in, or is genesis, which is final anyway.
    #[error("a vote in round {round} is for a height from 1 to {round}, found {height}")]
    Height {
        /// The round.
        round: u64,
        /// The height found.
        height: u64,
    },
    /// The source is not below the vote, or a precommit has one.
    #[error(
        "the source of a vote is of an earlier round and no higher, and only a prevote has one"
    )]
    Source,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u16,
    set: BlockId,
    block: BlockId,
    chain: ChainId,
    phase: u8,
    round: u64,
    voter: MemberId,
    height: u64,
    source: Option<Ballot>,
}

impl Ballot {
    /// Whether it can stand in a vote at all.
    fn check(&self) -> Result<(), VoteDecodeError> {
        let (round, height) = (self.round, self.target.height);
        if height == 0 || height > round {
            return Err(VoteDecodeError::Height { round, height });
        }
        Ok(())
    }
}

impl Vote {
    /// The canonical bytes, which are what is signed (after the domain).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Wire {
            v: FORMAT_VERSION,
            set: self.set,
            block: self.ballot.target.block,
            chain: self.chain,
            phase: self.phase.code(),
            round: self.ballot.round,
            voter: self.voter,
            height: self.ballot.target.height,
            source: self.phase.source().copied(),
        })
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// See [`VoteDecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, VoteDecodeError> {
        if let Some(found) = cbor::check_version(bytes, limit::VOTE_BYTES)? {
            return Err(VoteDecodeError::UnknownVersion { found });
        }
        let wire: Wire = cbor::decode(bytes, limit::VOTE_BYTES)?;
        let ballot = Ballot::from((wire.round, wire.height, wire.block));
        ballot.check()?;
        let phase = match (wire.phase, wire.source) {
            (1, source) => Phase::Prevote { source },
            (2, None) => Phase::Precommit,
            (2, Some(_)) => return Err(VoteDecodeError::Source),
            (found, _) => return Err(VoteDecodeError::Phase { found }),
        };
        if let Some(source) = phase.source() {
            source.check()?;
            let (low, high) = (source.target, ballot.target);
            let above = low.height < high.height || low == high;
            if source.round >= ballot.round || !above {
                return Err(VoteDecodeError::Source);
            }
        }
        Ok(Self { chain: wire.chain, set: wire.set, voter: wire.voter, phase, ballot })
    }
}
