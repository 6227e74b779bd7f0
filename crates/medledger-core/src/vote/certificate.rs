//! The votes of a quorum for one block in one round.

use super::{Ballot, Members, SignedVote, VerifiedVote, VoteDecodeError, VoteError};
use crate::cbor::{self, DecodeError};
use crate::registry::limit;
use serde::{Deserialize, Serialize};

/// Votes of one phase by different hospitals for one block in one round. With prevotes of a quorum it shows that
/// the block is justified, with precommits of a quorum that it is decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    votes: Vec<SignedVote>,
}

/// Bytes or votes that show nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not the canonical DAG-CBOR of a certificate.
    #[error("not a certificate: {0}")]
    Malformed(#[from] DecodeError),
    /// One of the votes cannot be read.
    #[error("vote {index} of the certificate: {error}")]
    Vote {
        /// Which one.
        index: usize,
        /// What is wrong with it.
        error: VoteDecodeError,
    },
    /// No vote at all, votes for different things, or not in the order of the voters' ids.
    #[error("a certificate has votes for one thing, one of each voter, ordered by voter")]
    Mixed,
    /// One of the votes does not count.
    #[error("a vote of the certificate does not count: {0}")]
    Uncounted(#[from] VoteError),
    /// Too few have voted.
    #[error("{found} hospitals have voted, {needed} are needed")]
    TooFew {
        /// Hospitals that have.
        found: usize,
        /// Hospitals needed.
        needed: usize,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Wire(Vec<serde_bytes::ByteBuf>);

impl Certificate {
    /// A certificate of these votes.
    ///
    /// # Errors
    /// [`CertificateError::Mixed`].
    pub fn new(mut votes: Vec<SignedVote>) -> Result<Self, CertificateError> {
        votes.sort_by_key(|signed| signed.vote().voter);
        Self::ordered(votes)
    }

    fn ordered(votes: Vec<SignedVote>) -> Result<Self, CertificateError> {
        let same = |a: &SignedVote, b: &SignedVote| {
            let (a, b) = (a.vote(), b.vote());
            (a.chain, a.set, a.phase.code(), a.ballot) == (b.chain, b.set, b.phase.code(), b.ballot)
                && a.voter < b.voter
        };
        if votes.is_empty() || !votes.windows(2).all(|pair| same(&pair[0], &pair[1])) {
            return Err(CertificateError::Mixed);
        }
        Ok(Self { votes })
    }

    /// What was voted for.
    #[must_use]
    pub fn ballot(&self) -> Ballot {
        self.votes[0].vote().ballot
    }

    /// Whether the votes are precommits, so that a quorum of them decides.
    #[must_use]
    pub fn is_precommit(&self) -> bool {
        self.votes[0].vote().phase.code() == 2
    }

    /// The votes, ordered by voter; at least one.
    #[must_use]
    pub fn votes(&self) -> &[SignedVote] {
        &self.votes
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let votes = self.votes.iter().map(|vote| vote.encode().into());
        cbor::encode(&Wire(votes.collect()))
    }

    /// Reads the canonical bytes. Checks no signature and counts nothing.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CertificateError> {
        let Wire(votes) = cbor::decode(bytes, limit::CERTIFICATE_BYTES)?;
        let read = |(index, bytes): (usize, &serde_bytes::ByteBuf)| {
            SignedVote::decode(bytes).map_err(|error| CertificateError::Vote { index, error })
        };
        Self::ordered(votes.iter().enumerate().map(read).collect::<Result<_, _>>()?)
    }

    /// Checks that a quorum of these hospitals has voted.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn verify(&self, members: &Members) -> Result<Vec<VerifiedVote>, CertificateError> {
        let (found, needed) = (self.votes.len(), members.quorum());
        if found < needed {
            return Err(CertificateError::TooFew { found, needed });
        }
        Ok(self.votes.iter().map(|vote| vote.verify(members)).collect::<Result<_, _>>()?)
    }
}
