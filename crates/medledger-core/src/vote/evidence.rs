//! Proof that a hospital broke the rules of voting, checkable by anyone who knows its keys.

use super::{HeaderPath, Members, Phase, SignedVote, VoteDecodeError, VoteError};
use crate::cbor::{self, DecodeError};
use crate::checkpoint::{Checkpoint, NoteKey, SignedNote};
use crate::ids::{BlockId, MemberId};
use crate::log_tree;
use crate::merkle::InclusionProof;
use crate::registry::{FORMAT_VERSION, limit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Two signed statements that no honest hospital makes both. Self-contained: it needs the hospital's keys and
/// nothing else. No crash and no delay brings an honest hospital to this, as long as it never goes back to
/// an older state of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Two different votes of one phase in one round, ordered by their bytes.
    Double(SignedVote, SignedVote),
    /// A precommit, a later prevote for a block not above it, and the headers from that block down to
    /// just above the height of the first; none when that block is no higher.
    IgnoredLock(SignedVote, SignedVote, HeaderPath),
    /// Two cosigned checkpoints of different histories, the smaller first.
    Checkpoints(Vec<u8>, Vec<u8>, Option<Fork>),
}

/// That two trees have different blocks at one height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fork {
    first: BlockId,
    second: BlockId,
    first_path: InclusionProof,
    second_path: InclusionProof,
}

/// Bytes that are no evidence, or evidence of nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not the canonical DAG-CBOR of evidence.
    #[error("not evidence: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by another version of the format.
    #[error(
        "evidence has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// A kind that this version does not know.
    #[error("evidence has unknown kind {found}; known are 1 to 3")]
    UnknownKind {
        /// The code found.
        found: u8,
    },
    /// One of the votes cannot be read.
    #[error("evidence: {0}")]
    Vote(#[from] VoteDecodeError),
    /// The headers or paths cannot be read.
    #[error("the proof that belongs to the evidence cannot be read")]
    Proof,
    /// One of the votes does not count.
    #[error("a vote of the evidence does not count: {0}")]
    Uncounted(#[from] VoteError),
    /// One of the checkpoints cannot be read, or bears a wrong signature.
    #[error("a checkpoint of the evidence does not count: {0}")]
    Checkpoint(String),
    /// An honest hospital may say both.
    #[error("the two statements do not contradict each other: {0}")]
    Consistent(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u16,
    kind: u8,
    #[serde(with = "serde_bytes")]
    first: Vec<u8>,
    #[serde(with = "serde_bytes")]
    proof: Vec<u8>,
    #[serde(with = "serde_bytes")]
    second: Vec<u8>,
}

const fn consistent<T>(why: &'static str) -> Result<T, EvidenceError> {
    Err(EvidenceError::Consistent(why))
}

impl Evidence {
    /// Two votes of one hospital in one phase and round.
    #[must_use]
    pub fn double(first: SignedVote, second: SignedVote) -> Self {
        let ordered = first.encode() <= second.encode();
        let (first, second) = if ordered { (first, second) } else { (second, first) };
        Self(Kind::Double(first, second))
    }

    /// A precommit and a later prevote for a block that does not lie above it, although the voter names
    /// nothing justified since. `path` leads from the later block down to just above the height of the
    /// earlier; it is empty when the later block is no higher.
    #[must_use]
    pub const fn ignored_lock(
        precommit: SignedVote,
        prevote: SignedVote,
        path: HeaderPath,
    ) -> Self {
        Self(Kind::IgnoredLock(precommit, prevote, path))
    }

    /// Two checkpoints that hospitals have cosigned, of one size but different roots.
    #[must_use]
    pub fn same_size(first: &SignedNote, second: &SignedNote) -> Self {
        let (first, second) = (first.to_string().into_bytes(), second.to_string().into_bytes());
        let (first, second) = if first <= second { (first, second) } else { (second, first) };
        Self(Kind::Checkpoints(first, second, None))
    }

    /// Two checkpoints that hospitals have cosigned, each with a block at one height and its path: the
    /// blocks differ. The smaller checkpoint comes first.
    #[must_use]
    pub fn fork(
        first: (&SignedNote, BlockId, InclusionProof),
        second: (&SignedNote, BlockId, InclusionProof),
    ) -> Self {
        let bytes = |note: &SignedNote| note.to_string().into_bytes();
        let fork =
            Fork { first: first.1, second: second.1, first_path: first.2, second_path: second.2 };
        Self(Kind::Checkpoints(bytes(first.0), bytes(second.0), Some(fork)))
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, first, second, proof) = match &self.0 {
            Kind::Double(a, b) => (1, a.encode(), b.encode(), Vec::new()),
            Kind::IgnoredLock(a, b, path) => (2, a.encode(), b.encode(), path.to_bytes()),
            Kind::Checkpoints(a, b, fork) => {
                (3, a.clone(), b.clone(), fork.as_ref().map(cbor::encode).unwrap_or_default())
            }
        };
        cbor::encode(&Wire { v: FORMAT_VERSION, kind, first, proof, second })
    }

    /// Reads the canonical bytes. What they prove is for [`check`](Self::check).
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if let Some(found) = cbor::check_version(bytes, limit::EVIDENCE_BYTES)? {
            return Err(EvidenceError::UnknownVersion { found });
        }
        let wire: Wire = cbor::decode(bytes, limit::EVIDENCE_BYTES)?;
        let Wire { first, second, proof, .. } = wire;
        Ok(Self(match wire.kind {
            1 if proof.is_empty() => {
                Kind::Double(SignedVote::decode(&first)?, SignedVote::decode(&second)?)
            }
            1 => return Err(EvidenceError::Proof),
            2 => {
                let path = HeaderPath::from_bytes(&proof).ok_or(EvidenceError::Proof)?;
                Kind::IgnoredLock(SignedVote::decode(&first)?, SignedVote::decode(&second)?, path)
            }
            3 if proof.is_empty() => Kind::Checkpoints(first, second, None),
            3 => {
                let fork = cbor::decode(&proof, limit::EVIDENCE_BYTES)?;
                Kind::Checkpoints(first, second, Some(fork))
            }
            found => return Err(EvidenceError::UnknownKind { found }),
        }))
    }

    /// Whom it convicts: at least one hospital of `members`.
    ///
    /// # Errors
    /// See [`EvidenceError`]: why it convicts nobody.
    pub fn check(&self, members: &Members) -> Result<BTreeSet<MemberId>, EvidenceError> {
        match &self.0 {
            Kind::Double(first, second) => check_double(first, second, members),
            Kind::IgnoredLock(first, second, path) => check_lock(first, second, path, members),
            Kind::Checkpoints(first, second, fork) => {
                check_checkpoints(first, second, fork.as_ref(), members)
            }
        }
    }
}

fn check_double(
    first: &SignedVote,
    second: &SignedVote,
    members: &Members,
) -> Result<BTreeSet<MemberId>, EvidenceError> {
    first.verify(members)?;
    second.verify(members)?;
    let (a, b) = (first.vote(), second.vote());
    let slot = |vote: &super::Vote| (vote.voter, vote.phase.code(), vote.ballot.round);
    if slot(a) != slot(b) {
        return consistent("not by one hospital, of one phase, in one round");
    }
    // Ordered, so that one pair of votes is one piece of evidence.
    if a == b || first.encode() >= second.encode() {
        return consistent("one vote twice, or not in their order");
    }
    Ok(BTreeSet::from([a.voter]))
}

fn check_lock(
    precommit: &SignedVote,
    prevote: &SignedVote,
    path: &HeaderPath,
    members: &Members,
) -> Result<BTreeSet<MemberId>, EvidenceError> {
    precommit.verify(members)?;
    prevote.verify(members)?;
    let (locked, later) = (precommit.vote(), prevote.vote());
    let (Phase::Precommit, Phase::Prevote { source }) = (locked.phase, later.phase) else {
        return consistent("not a precommit and a prevote");
    };
    if locked.voter != later.voter {
        return consistent("by two hospitals");
    }
    let round = locked.ballot.round;
    if later.ballot.round <= round {
        return consistent("the prevote is not later than the precommit");
    }
    if source.is_some_and(|source| source.round >= round) {
        return consistent("the prevote names a block that was justified since");
    }
    let (low, high) = (locked.ballot.target, later.ballot.target);
    // By the heights that the voter itself states; if these are wrong, it lied in one of its votes.
    let depth = high.height.checked_sub(low.height).and_then(|depth| usize::try_from(depth).ok());
    match (depth, path.ends()) {
        (None, None) => {}
        (Some(0), None) if high.block != low.block => {}
        (Some(0), None) => return consistent("both are for one block"),
        (Some(depth), Some((top, below))) if depth == path.headers().len() => {
            if top != high.block {
                return consistent("the headers are not those of the later block");
            }
            if below == low.block {
                return consistent("the later block lies above the earlier one");
            }
        }
        _ => {
            return consistent(
                "the headers do not reach from the later block to the earlier height",
            );
        }
    }
    Ok(BTreeSet::from([locked.voter]))
}

fn check_checkpoints(
    first: &[u8],
    second: &[u8],
    fork: Option<&Fork>,
    members: &Members,
) -> Result<BTreeSet<MemberId>, EvidenceError> {
    let (a, first_by) = read_checkpoint(first, members)?;
    let (b, second_by) = read_checkpoint(second, members)?;
    match fork {
        None if a.size != b.size => return consistent("sizes differ, and no fork is shown"),
        None if a.root == b.root => return consistent("both are of one history"),
        None if first >= second => return consistent("not in their order"),
        None => {}
        Some(fork) => {
            let paths = [&fork.first_path, &fork.second_path];
            if paths[0].index != paths[1].index || paths.map(|path| path.size) != [a.size, b.size] {
                return consistent("the paths are not of one height in these checkpoints");
            }
            let holds = |path: &InclusionProof, block: &BlockId, root| {
                path.verify(&log_tree::leaf(block), root).is_ok()
            };
            if !holds(paths[0], &fork.first, &a.root) || !holds(paths[1], &fork.second, &b.root) {
                return consistent("a path does not lead to its checkpoint");
            }
            if fork.first == fork.second || a.size > b.size {
                return consistent("one block in both, or the larger checkpoint first");
            }
        }
    }
    let both: BTreeSet<MemberId> = first_by.intersection(&second_by).copied().collect();
    if both.is_empty() { consistent("no hospital has cosigned both") } else { Ok(both) }
}

/// A checkpoint of this chain and the hospitals that cosigned it.
fn read_checkpoint(
    bytes: &[u8],
    members: &Members,
) -> Result<(Checkpoint, BTreeSet<MemberId>), EvidenceError> {
    let wrong = |error: &dyn std::fmt::Display| EvidenceError::Checkpoint(error.to_string());
    let note = SignedNote::from_bytes(bytes).map_err(|error| wrong(&error))?;
    let checkpoint: Checkpoint = note.text().parse().map_err(|error| wrong(&error))?;
    if !checkpoint.is_of(&members.chain()) {
        return Err(wrong(&"it is of another chain"));
    }
    let mut owners = Vec::new();
    let mut keys = Vec::new();
    for hospital in members.ids() {
        for key in members.keys(hospital).unwrap_or_default() {
            keys.extend(NoteKey::cosigner(hospital.to_string(), *key.as_bytes()).ok());
            owners.resize(keys.len(), *hospital);
        }
    }
    let verified = note.verify(&keys).map_err(|error| wrong(&error))?;
    let by = verified.iter().filter(|one| one.time.is_some()).map(|one| owners[one.key]);
    Ok((checkpoint, by.collect()))
}
