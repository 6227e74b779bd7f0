//! What a voter must not forget.

use super::{Ballot, Certificate, CertificateError, Target};
use crate::cbor::{self, DecodeError};
use crate::ids::BlockId;
use crate::registry::{FORMAT_VERSION, limit};
use serde::{Deserialize, Serialize};

/// What a hospital remembers of its own voting. It is made durable together with the votes that led to
/// it, before any of them is sent; a hospital that forgot it could vote against itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VoterState {
    /// The block that brought the present set of hospitals into force.
    pub set: BlockId,
    /// That block: what was final when this set began to vote.
    pub base: Target,
    /// The newest round it voted in, in either phase.
    pub voted: u64,
    /// What it prevoted, oldest first, at most [`limit::VOTE_ROUNDS`] of it.
    pub prevotes: Vec<Ballot>,
    /// The newest round after which it may have cast a prevote that is not among these, or in which it cast one: it
    /// precommits in none up to it. 0 if none is missing.
    pub forgotten: u64,
    /// What it precommitted last, which it is locked on.
    pub lock: Option<Ballot>,
    /// The newest justified block it knew.
    pub justified: Option<Certificate>,
    /// The newest decided block it knew.
    pub decided: Option<Certificate>,
}

/// Bytes that are no state of a voter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VoterStateError {
    /// Not the canonical DAG-CBOR of such a state.
    #[error("not the state of a voter: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by another version of the format.
    #[error(
        "state of a voter has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// One of the two certificates.
    #[error("state of a voter: {0}")]
    Certificate(#[from] CertificateError),
    /// Well-formed, but no voter was ever in it.
    #[error("state of a voter that never was: {0}")]
    Impossible(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u16,
    set: BlockId,
    base: Target,
    lock: Option<Ballot>,
    voted: u64,
    decided: Option<serde_bytes::ByteBuf>,
    prevotes: Vec<Ballot>,
    forgotten: u64,
    justified: Option<serde_bytes::ByteBuf>,
}

impl VoterState {
    /// The state of a hospital that has not voted since the block `set`, at this height, made its set.
    #[must_use]
    pub const fn new(set: BlockId, height: u64) -> Self {
        Self {
            set,
            base: Target { height, block: set },
            voted: 0,
            prevotes: Vec::new(),
            forgotten: 0,
            lock: None,
            justified: None,
            decided: None,
        }
    }

    /// The last final block.
    #[must_use]
    pub fn last_final(&self) -> Target {
        self.decided.as_ref().map_or(self.base, |decided| decided.ballot().target)
    }

    /// The newest ballot known to be justified; what is decided is that, too. `None` stands for the base.
    #[must_use]
    pub fn newest_justified(&self) -> Option<Ballot> {
        let certificates = [&self.justified, &self.decided].into_iter().flatten();
        certificates.map(Certificate::ballot).max_by_key(|ballot| ballot.round)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let bytes = |c: &Option<Certificate>| c.as_ref().map(|c| c.encode().into());
        cbor::encode(&Wire {
            v: FORMAT_VERSION,
            set: self.set,
            base: self.base,
            lock: self.lock,
            voted: self.voted,
            decided: bytes(&self.decided),
            prevotes: self.prevotes.clone(),
            forgotten: self.forgotten,
            justified: bytes(&self.justified),
        })
    }

    /// Reads the canonical bytes. Signatures in the certificates are not checked again.
    ///
    /// # Errors
    /// See [`VoterStateError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, VoterStateError> {
        if let Some(found) = cbor::check_version(bytes, limit::VOTER_STATE_BYTES)? {
            return Err(VoterStateError::UnknownVersion { found });
        }
        let wire: Wire = cbor::decode(bytes, limit::VOTER_STATE_BYTES)?;
        let read = |bytes: Option<serde_bytes::ByteBuf>, precommit: bool| match bytes {
            None => Ok(None),
            Some(bytes) => match Certificate::decode(&bytes)? {
                found if found.is_precommit() == precommit => Ok(Some(found)),
                _ => Err(VoterStateError::Impossible("a certificate of the other phase")),
            },
        };
        let state = Self {
            set: wire.set,
            base: wire.base,
            lock: wire.lock,
            voted: wire.voted,
            prevotes: wire.prevotes,
            forgotten: wire.forgotten,
            decided: read(wire.decided, true)?,
            justified: read(wire.justified, false)?,
        };
        state.check()?;
        Ok(state)
    }

    fn check(&self) -> Result<(), VoterStateError> {
        let impossible = |what| Err(VoterStateError::Impossible(what));
        if self.base.block != self.set {
            return impossible("the base is not the block of the set");
        }
        if self.prevotes.len() > limit::VOTE_ROUNDS {
            return impossible("too many prevotes");
        }
        let rounds = || self.prevotes.iter().map(|ballot| ballot.round);
        if !rounds().is_sorted_by(|a, b| a < b)
            || rounds().next().is_some_and(|r| r <= self.forgotten)
        {
            return impossible("prevotes out of order");
        }
        let newest = rounds().chain(self.lock.map(|lock| lock.round)).max().unwrap_or(0);
        if newest.max(self.forgotten) > self.voted {
            return impossible("a vote after the newest");
        }
        let justified = self.newest_justified().map_or(0, |ballot| ballot.round);
        // What was forgotten may have been justified, see [`VoterState::bind`].
        if self.lock.is_some_and(|lock| lock.round > justified.max(self.forgotten)) {
            return impossible("a lock on what was never justified");
        }
        Ok(())
    }
}
