//! Whether the rows of the drawer `votes` are whole.

use super::{
    ANCHOR, EVIDENCE, PARTIAL, PLEDGE, QUORUM, STATE, VOTE, anchor, cosignatures::partial_key,
    damaged, members, pledge, state, tally, vote_key,
};
use crate::chain::Rules;
use crate::checkpoint::{Checkpoint, SignedNote};
use crate::finality::all_cosigners;
use crate::ids::MemberId;
use crate::rows::Faults;
use crate::store::{Drawer, StoreError, View};
use crate::vote::{
    Certificate, Evidence, EvidenceError, Members, Phase, SignedVote, VoteError, Voter, VoterState,
};

/// Checks every vote with its signature, and what `hospital` remembers of its own against them.
pub(crate) fn check(
    view: &dyn View,
    rules: &Rules,
    hospital: &MemberId,
    faults: &mut Faults,
) -> Result<(), StoreError> {
    let drawer = Drawer::Votes;
    // Who votes is told by the state: without it no vote can be judged.
    let Some(state) = faults.read(drawer, STATE, state(view))? else { return Ok(()) };
    let Some(members) = faults.read(drawer, STATE, members(view, rules))? else { return Ok(()) };
    if let Some(state) = &state {
        faults.read(drawer, STATE, check_state(view, state, &members))?;
    }
    let mut whole = true;
    for (key, row) in view.local_scan(drawer, &[], None, usize::MAX)? {
        let found = check_row(view, rules, &members, &key, &row);
        whole &= faults.read(drawer, &key, found)?.is_some();
    }
    if !whole {
        return Ok(());
    }
    let Some(tally) = faults.read(drawer, STATE, tally(view, rules))? else { return Ok(()) };
    let Some(state) = state else { return Ok(()) };
    // Who voted twice in a round remembers one of the two.
    let own = tally.votes().map(|vote| vote.vote()).filter(|vote| vote.voter == *hospital);
    let mut own = own.filter(|vote| matches!(vote.phase, Phase::Prevote { .. }));
    let forgot = own.any(|vote| {
        let known = state.prevotes.iter().find(|known| known.round == vote.ballot.round);
        known.is_some_and(|known| *known != vote.ballot)
    });
    if forgot && tally.evidence_against(hospital).is_none() {
        faults.add(drawer, STATE, "it says that another block was voted for than was");
    }
    let voted = !state.prevotes.is_empty();
    let known = Voter::restored(*hospital, rules.chain, state).anchor(&tally);
    match faults.read(drawer, ANCHOR, anchor(view))?.flatten() {
        Some(anchor) if anchor == known => {}
        Some(anchor) if view.height_of(&anchor.block)? == Some(anchor.height) => {}
        Some(_) => faults.add(drawer, ANCHOR, "no quorum that is known voted for this block"),
        // With each vote it is written, too.
        None if voted => faults.add(drawer, ANCHOR, "it is missing"),
        None => {}
    }
    Ok(())
}

fn check_state(view: &dyn View, state: &VoterState, members: &Members) -> Result<(), StoreError> {
    let base = view.block(state.base.height)?;
    if base.is_none_or(|block| block.id != state.base.block) || state.set != members.set() {
        return Err(damaged(&"the block that made the hospitals is another"));
    }
    for shown in [&state.justified, &state.decided].into_iter().flatten() {
        shown.verify(members).map_err(|error| damaged(&error))?;
    }
    Ok(())
}

fn check_row(
    view: &dyn View,
    rules: &Rules,
    members: &Members,
    key: &[u8],
    row: &[u8],
) -> Result<(), StoreError> {
    let misplaced = || Err(damaged(&"the row stands for another"));
    match (key, key.split_first()) {
        (STATE, _) => Ok(()),
        (ANCHOR, _) => anchor(view).map(drop),
        (PLEDGE, _) => pledge::waiting(view).map(drop),
        (_, Some((&VOTE, _))) => {
            let vote = SignedVote::decode(row).map_err(|error| damaged(&error))?;
            // The second of a round stands beside the first.
            let first = vote_key(&vote, 0);
            let second = key == vote_key(&vote, 1) && view.local(Drawer::Votes, &first)?.is_some();
            if key != first && !second {
                return misplaced();
            }
            vote.verify(members).map(drop).map_err(|error| damaged(&error))
        }
        (_, Some((&QUORUM, phase))) => {
            let quorum = Certificate::decode(row).map_err(|error| damaged(&error))?;
            if phase != [u8::from(quorum.is_precommit())] {
                return misplaced();
            }
            quorum.verify(members).map(drop).map_err(|error| damaged(&error))
        }
        (_, Some((&EVIDENCE, voter))) => {
            let evidence = Evidence::decode(row).map_err(|error| damaged(&error))?;
            let Ok(voter) = MemberId::try_from(voter) else { return misplaced() };
            match evidence.check(members) {
                Ok(guilty) if !guilty.contains(&voter) => misplaced(),
                // Of a set that votes no more, the signatures are for whoever is given the evidence.
                Ok(_) | Err(EvidenceError::Uncounted(VoteError::OtherSet { .. })) => Ok(()),
                Err(error) => Err(damaged(&error)),
            }
        }
        (_, Some((&PARTIAL, _))) => {
            let note = SignedNote::from_bytes(row).map_err(|error| damaged(&error))?;
            note.text().parse::<Checkpoint>().map_err(|error| damaged(&error))?;
            if partial_key(&note) != key {
                return misplaced();
            }
            let right = note.verified_only(&all_cosigners(view, rules)?);
            if right.signatures().len() == note.signatures().len() {
                Ok(())
            } else {
                Err(damaged(&"a checkpoint is wrongly signed"))
            }
        }
        _ => Err(damaged(&"the row stands for nothing")),
    }
}
