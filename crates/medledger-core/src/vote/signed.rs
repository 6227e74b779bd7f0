//! Votes with their signatures.

use super::{Members, Vote, VoteDecodeError};
use crate::cbor;
use crate::ids::{BlockId, ChainId, MemberId};
use crate::keys::{Signature, SigningKey};
use crate::registry::{domain, limit};
use serde::{Deserialize, Serialize};

/// A vote with a signature that nobody has checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignedVote {
    vote: Vote,
    signature: Signature,
}

/// What is stored and sent: a list of the vote's bytes and the signature.
#[derive(Serialize, Deserialize)]
struct SignedWire(#[serde(with = "serde_bytes")] Vec<u8>, Signature);

/// A vote that does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VoteError {
    /// It is for another chain.
    #[error("the vote is for chain {found}, not for {expected}")]
    OtherChain {
        /// The chain asked about.
        expected: ChainId,
        /// The chain of the vote.
        found: ChainId,
    },
    /// It is by the rules of another set of hospitals.
    #[error(
        "the vote is of the set of hospitals that block {found} made, not of that of {expected}"
    )]
    OtherSet {
        /// The set asked about.
        expected: BlockId,
        /// The set of the vote.
        found: BlockId,
    },
    /// The voter is no hospital of the set.
    #[error("the voter {0} is no hospital of this set")]
    NotAMember(MemberId),
    /// The signature is not by a mining key of the voter.
    #[error("the vote's signature does not verify under a mining key of {0}")]
    Signature(MemberId),
}

impl Vote {
    /// Signs the vote with the mining key of its hospital.
    ///
    /// ```
    /// # use medledger_core::ids::{BlockId, ChainId, MemberId};
    /// use medledger_core::keys::SigningKey;
    /// use medledger_core::vote::{Ballot, Phase, SignedVote, Vote};
    /// # let chain = ChainId::from_bytes([1; 32]);
    /// # let (set, voter) = (BlockId::from_bytes([1; 32]), MemberId::from_bytes([8; 16]));
    /// let ballot = Ballot::from((3, 1, BlockId::from_bytes([5; 32])));
    /// let vote = Vote { chain, set, voter, phase: Phase::Precommit, ballot };
    /// let signed = vote.sign(&SigningKey::from_seed(&[2; 32]));
    /// assert_eq!(SignedVote::decode(&signed.encode())?, signed);
    /// # Ok::<(), medledger_core::vote::VoteDecodeError>(())
    /// ```
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedVote {
        let signature = key.sign(domain::VOTE, &self.encode());
        SignedVote { vote: self, signature }
    }
}

impl SignedVote {
    /// A vote with a signature made elsewhere, right or wrong.
    #[must_use]
    pub const fn new(vote: Vote, signature: Signature) -> Self {
        Self { vote, signature }
    }

    /// The statement.
    #[must_use]
    pub const fn vote(&self) -> &Vote {
        &self.vote
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&SignedWire(self.vote.encode(), self.signature))
    }

    /// Reads the canonical bytes. Does not check the signature.
    ///
    /// # Errors
    /// See [`VoteDecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, VoteDecodeError> {
        let SignedWire(vote, signature) = cbor::decode(bytes, limit::VOTE_BYTES)?;
        Ok(Self { vote: Vote::decode(&vote)?, signature })
    }

    /// Checks that it counts among these hospitals.
    ///
    /// # Errors
    /// See [`VoteError`].
    pub fn verify(self, members: &Members) -> Result<VerifiedVote, VoteError> {
        let vote = &self.vote;
        if vote.chain != members.chain() {
            return Err(VoteError::OtherChain { expected: members.chain(), found: vote.chain });
        }
        if vote.set != members.set() {
            return Err(VoteError::OtherSet { expected: members.set(), found: vote.set });
        }
        let keys = members.keys(&vote.voter).ok_or(VoteError::NotAMember(vote.voter))?;
        let bytes = vote.encode();
        if keys.iter().any(|key| key.verify(domain::VOTE, &bytes, &self.signature).is_ok()) {
            Ok(VerifiedVote(self))
        } else {
            Err(VoteError::Signature(vote.voter))
        }
    }
}

/// A vote whose signature was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifiedVote(SignedVote);

impl VerifiedVote {
    /// Takes the caller's word that the vote was verified, as for one read back from its own store.
    #[must_use]
    pub const fn trusted(signed: SignedVote) -> Self {
        Self(signed)
    }

    /// The statement.
    #[must_use]
    pub const fn vote(&self) -> &Vote {
        &self.0.vote
    }

    /// With its signature.
    #[must_use]
    pub const fn signed(&self) -> &SignedVote {
        &self.0
    }
}
