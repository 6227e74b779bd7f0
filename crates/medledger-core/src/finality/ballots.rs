//! Voting over a stored ledger: what the state machine in [`crate::vote`] decides, made durable before it
//! leaves the house, and what comes in from other hospitals.
//!
//! Rows of the drawer `votes`:
//! ```text
//! 's'                               state of the voter
//! 'a'                               anchor: height and id of the block that the best chain must contain
//! 'v' | voter | phase | round | n   a signed vote, at most two for each round
//! 'q' | phase                       the newest votes of a quorum that came as a whole
//! 'e' | hospital                    evidence that it voted twice in one round
//! 'c' | SHA-256 of the text         a checkpoint with fewer cosignatures than a quorum
//! 'p'                               what it voted in a set of hospitals that is not known here any more
//! ```

use crate::chain::{Rules, block_at, tip};
use crate::clock::Timestamp;
use crate::engine::MiningKey;
use crate::fork;
use crate::ids::{BlockId, MemberId};
use crate::state::{Signatures, State};
use crate::store::{Drawer, StoreError, Unit, View};
use crate::vote::{
    Awaited, Certificate, CertificateError, Evidence, Inserted, Members, SignedVote, Tally, Target,
    Trouble, VerifiedVote, VoteError, Voter, VoterState,
};
use cosignatures::cosign;
use std::collections::BTreeSet;
use tree::StoredTree;

const STATE: &[u8] = b"s";
const ANCHOR: &[u8] = b"a";
const VOTE: u8 = b'v';
const QUORUM: u8 = b'q';
const EVIDENCE: u8 = b'e';
const PARTIAL: u8 = b'c';
const PLEDGE: &[u8] = b"p";
/// In place of a hospital, for a ledger that only looks on.
const NOBODY: MemberId = MemberId::from_bytes([0; 16]);

/// What came of asking a hospital to vote.
#[derive(Debug, Default)]
pub struct Cast {
    /// Votes for the other hospitals, to be sent once the unit is committed.
    pub votes: Vec<SignedVote>,
    /// A checkpoint that this hospital has just cosigned, for the others.
    pub checkpoint: Option<String>,
    /// How the best chain changed, because a quorum voted for a block elsewhere.
    pub reorg: Option<fork::Reorg>,
    /// What keeps it from voting, if it is not mere lack of blocks.
    pub trouble: Option<Trouble>,
}

fn vote_key(vote: &SignedVote, number: u8) -> Vec<u8> {
    let said = vote.vote();
    let round = said.ballot.round.to_be_bytes();
    [&[VOTE][..], said.voter.as_bytes(), &[said.phase.code()], &round, &[number]].concat()
}

fn damaged(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("votes: {error}"))
}

/// The hospitals that vote on what is not final: those that the newest change which is final brought into force.
///
/// # Errors
/// When the store fails.
pub fn members(view: &dyn View, rules: &Rules) -> Result<Members, StoreError> {
    let since = state(view)?.map_or(0, |state| state.base.height);
    let set = State::new(view).hospitals_at(&rules.genesis, since)?;
    Ok(set.voters(rules.chain, block_at(view, set.since)?.id))
}

/// Lets other hospitals vote from now on, those that the block at this height, which is final, brought into force.
/// What was voted before means nothing to them; evidence stays.
pub(super) fn hand_over(unit: &mut dyn Unit, height: u64) -> Result<(), StoreError> {
    let block = block_at(unit, height)?.id;
    for kind in [VOTE, QUORUM] {
        for (key, _) in unit.local_scan(Drawer::Votes, &[kind], None, usize::MAX)? {
            unit.set_local(Drawer::Votes, &key, None)?;
        }
    }
    let state = VoterState::new(block, height);
    unit.set_local(Drawer::Votes, STATE, Some(&state.encode()))?;
    set_anchor(unit, &state.base)?;
    match pledge::waiting(unit)? {
        Some(pledge) => pledge::bind(unit, &pledge),
        None => Ok(()),
    }
}

fn state(view: &dyn View) -> Result<Option<VoterState>, StoreError> {
    let row = view.local(Drawer::Votes, STATE)?;
    row.map(|row| VoterState::decode(&row).map_err(|error| damaged(&error))).transpose()
}

fn tally(view: &dyn View, rules: &Rules) -> Result<Tally, StoreError> {
    let members = members(view, rules)?;
    let mut tally = match state(view)? {
        Some(state) => Tally::restored(members, &state),
        None => Tally::new(members),
    };
    for (_, row) in view.local_scan(Drawer::Votes, &[VOTE], None, usize::MAX)? {
        let vote = SignedVote::decode(&row).map_err(|error| damaged(&error))?;
        tally.insert(VerifiedVote::trusted(vote));
    }
    for (_, row) in view.local_scan(Drawer::Votes, &[QUORUM], None, usize::MAX)? {
        let quorum = Certificate::decode(&row).map_err(|error| damaged(&error))?;
        tally.insert_certificate(&quorum).map_err(|error| damaged(&error))?;
    }
    Ok(tally)
}

/// The newest quorums of votes this ledger knows, whole: for passing on. Single votes are not enough, for
/// of a hospital that votes for everything only two in a round are kept.
///
/// # Errors
/// When the store fails.
pub fn certificates(view: &dyn View, rules: &Rules) -> Result<Vec<Certificate>, StoreError> {
    let tally = tally(view, rules)?;
    Ok([tally.justified(), tally.decided()].into_iter().flatten().cloned().collect())
}

/// Takes the votes of a quorum as a whole. Ask [`cast`] afterwards.
///
/// # Errors
/// See [`CountError`].
pub fn receive_certificate(
    unit: &mut dyn Unit,
    rules: &Rules,
    certificate: &Certificate,
) -> Result<(), CountError> {
    let mut tally = tally(unit, rules)?;
    for vote in certificate.verify(tally.members())? {
        insert(unit, &mut tally, vote)?;
    }
    let key = [QUORUM, u8::from(certificate.is_precommit())];
    let round = certificate.ballot().round;
    let newer = match unit.local(Drawer::Votes, &key)? {
        Some(row) => {
            Certificate::decode(&row).map_err(|error| damaged(&error))?.ballot().round < round
        }
        None => true,
    };
    if newer {
        unit.set_local(Drawer::Votes, &key, Some(&certificate.encode()))?;
    }
    Ok(())
}

/// Every vote this ledger knows, its own among them: for passing on.
///
/// # Errors
/// When the store fails.
pub fn votes(view: &dyn View, rules: &Rules) -> Result<Vec<SignedVote>, StoreError> {
    Ok(tally(view, rules)?.votes().map(|vote| *vote.signed()).collect())
}

/// Evidence against hospitals that voted twice in one round.
///
/// # Errors
/// When the store fails.
pub fn evidence(view: &dyn View) -> Result<Vec<Evidence>, StoreError> {
    let rows = view.local_scan(Drawer::Votes, &[EVIDENCE], None, usize::MAX)?;
    rows.iter().map(|(_, row)| Evidence::decode(row).map_err(|error| damaged(&error))).collect()
}

/// The block that the best chain must contain whatever its work: the newest that a quorum is known to have
/// voted for.
pub(crate) fn anchor(view: &dyn View) -> Result<Option<Target>, StoreError> {
    let Some(row) = view.local(Drawer::Votes, ANCHOR)? else { return Ok(None) };
    let (height, block) =
        row.split_at_checked(8).ok_or_else(|| damaged(&"the anchor is too short"))?;
    let height = u64::from_be_bytes(height.try_into().map_err(|error| damaged(&error))?);
    let block = BlockId::try_from(block).map_err(|error| damaged(&error))?;
    Ok(Some(Target { height, block }))
}

fn set_anchor(unit: &mut dyn Unit, anchor: &Target) -> Result<(), StoreError> {
    let row = [&anchor.height.to_be_bytes()[..], anchor.block.as_bytes()].concat();
    unit.set_local(Drawer::Votes, ANCHOR, Some(&row))
}

/// Why a vote does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CountError {
    /// It is not of a member, not of this chain, or wrongly signed.
    #[error(transparent)]
    Vote(#[from] VoteError),
    /// They are not the votes of a quorum.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Counts a vote of another hospital. Ask [`cast`] afterwards.
///
/// # Errors
/// See [`CountError`].
pub fn receive_vote(
    unit: &mut dyn Unit,
    rules: &Rules,
    vote: SignedVote,
) -> Result<Inserted, CountError> {
    let mut tally = tally(unit, rules)?;
    let vote = vote.verify(tally.members())?;
    Ok(insert(unit, &mut tally, vote)?)
}

/// Counts a vote, keeps it, and lets go of those that it pushed out.
fn insert(
    unit: &mut dyn Unit,
    tally: &mut Tally,
    vote: VerifiedVote,
) -> Result<Inserted, StoreError> {
    let inserted = tally.insert(vote);
    if !matches!(inserted, Inserted::New | Inserted::Double) {
        return Ok(inserted);
    }
    if inserted == Inserted::Double
        && let Some(evidence) = tally.evidence_against(&vote.vote().voter)
    {
        let key = [&[EVIDENCE][..], vote.vote().voter.as_bytes()].concat();
        unit.set_local(Drawer::Votes, &key, Some(&evidence.encode()))?;
    }
    let number = u8::from(inserted == Inserted::Double);
    let key = vote_key(vote.signed(), number);
    unit.set_local(Drawer::Votes, &key, Some(&vote.signed().encode()))?;
    let of_voter = &key[..18];
    let kept: BTreeSet<u64> = tally
        .votes()
        .filter(|kept| vote_key(kept.signed(), 0).starts_with(of_voter))
        .map(|kept| kept.vote().ballot.round)
        .collect();
    for (key, _) in unit.local_scan(Drawer::Votes, of_voter, None, usize::MAX)? {
        let round = key.get(18..26).and_then(|round| round.try_into().ok());
        let round = u64::from_be_bytes(round.ok_or_else(|| damaged(&"a key is too short"))?);
        if !kept.contains(&round) {
            unit.set_local(Drawer::Votes, &key, None)?;
        }
    }
    Ok(inserted)
}

/// Does all the voting there is to do now: takes over what quorums decided, changes to the branch they
/// voted for, prevotes, precommits, cosigns what is decided. Without a key it only takes over.
///
/// Nothing of it may leave the house before the unit is committed.
///
/// # Errors
/// When the store fails.
pub fn cast(
    unit: &mut dyn Unit,
    rules: &Rules,
    key: Option<&MiningKey>,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Cast, StoreError> {
    let mut cast = Cast::default();
    let id = key.map_or(NOBODY, |key| key.hospital);
    loop {
        // Anew each time: a checkpoint may have handed over to other hospitals.
        let mut tally = tally(unit, rules)?;
        let key = key.filter(|key| tally.members().contains(&key.hospital));
        // It voted in a set of hospitals that has yet to come here again: in this one it is done.
        let key = if pledge::waiting(unit)?.is_some() { None } else { key };
        let state = state(unit)?.unwrap_or_else(|| VoterState::new(tally.members().set(), 0));
        let state = pledge::with_own_votes(state, &tally, &id);
        let voter = Voter::restored(id, rules.chain, state);
        let anchor_now = voter.anchor(&tally);
        if anchor(unit)? != Some(anchor_now) {
            set_anchor(unit, &anchor_now)?;
            let changed = fork::reconsider(unit, rules, now, signatures)?;
            cast.reorg = fork::Reorg::then(cast.reorg.take(), changed);
        }
        let top = tip(unit)?;
        let step = voter.step(&StoredTree::new(unit)?, &top.id, &tally)?;
        cast.trouble = step.trouble;
        if step.votes.is_empty() && step.cosign.is_none() && step.voter == voter {
            return Ok(cast);
        }
        unit.set_local(Drawer::Votes, STATE, Some(&step.voter.state().encode()))?;
        if let Some(key) = key {
            for vote in step.votes {
                let vote = vote.sign(&key.key);
                insert(unit, &mut tally, VerifiedVote::trusted(vote))?;
                cast.votes.push(vote);
            }
            if let Some(target) = step.cosign {
                let note = cosign(unit, rules, key, &target, now)?;
                let size = target.height + 1;
                let taken = fork::receive_checkpoint(unit, rules, note.as_bytes(), now, signatures);
                match taken {
                    Ok(_) => cast.checkpoint = Some(note),
                    Err(fork::CheckpointError::Store(error)) => return Err(error),
                    // A quorum's votes decided it, and a quorum's cosignatures something else.
                    Err(error) => return Err(damaged(&format!("checkpoint of {size}: {error}"))),
                }
            }
        }
    }
}

/// Whether this hospital should mine a block though no record waits, so that the block at `height` can
/// become final: see [`Voter::should_mine`].
///
/// # Errors
/// When the store fails.
pub(crate) fn should_mine(
    view: &dyn View,
    rules: &Rules,
    hospital: &MemberId,
    height: u64,
) -> Result<bool, StoreError> {
    let tally = tally(view, rules)?;
    let voter = voter(view, rules, &tally, *hospital)?;
    voter.should_mine(&StoredTree::new(view)?, &tip(view)?.id, &tally, height)
}

fn voter(view: &dyn View, rules: &Rules, tally: &Tally, id: MemberId) -> Result<Voter, StoreError> {
    Ok(match state(view)? {
        Some(state) => Voter::restored(id, rules.chain, state),
        None => Voter::new(id, tally.members(), 0),
    })
}

/// What the newest blocks wait for before they are final; `None` when all are, or when a hospital on its own makes them
/// so by mining. It tells of what is here: ask [`cast`] first.
///
/// # Errors
/// When the store fails.
pub fn awaited(view: &dyn View, rules: &Rules) -> Result<Option<Awaited>, StoreError> {
    if super::alone(view, rules)? {
        return Ok(None);
    }
    let tally = tally(view, rules)?;
    let voter = voter(view, rules, &tally, NOBODY)?;
    let decided = voter.state().last_final();
    if decided.height >= super::final_size(view, rules)?.max(1) {
        return Ok(Some(Awaited::Cosignatures(decided)));
    }
    let mut awaited = voter.awaits(&StoredTree::new(view)?, &tip(view)?.id, tally.members())?;
    if let Some(Awaited::Blocks { of, .. }) = &mut awaited {
        // Who is expelled above mines no more.
        let now = State::new(view).hospitals(&rules.genesis)?;
        of.retain(|hospital| now.contains(hospital));
    }
    Ok(awaited)
}

mod check;
mod cosignatures;
mod pledge;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use check::check;
pub use cosignatures::partial_checkpoints;
pub(crate) use cosignatures::{forget_partials, gather};
pub use pledge::{bind, pledge};
