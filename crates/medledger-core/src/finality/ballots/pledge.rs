//! Votes that a store does not know any more, because an older one was put back.

use super::{PLEDGE, STATE, damaged, state};
use crate::cbor;
use crate::chain::block_at;
use crate::ids::{BlockId, MemberId};
use crate::registry::limit;
use crate::store::{Drawer, StoreError, Unit, View};
use crate::vote::{Ballot, Certificate, Pledge, Tally, Target, VoterState};
use serde_bytes::ByteBuf;

/// What this hospital has bound itself to by its votes, as far as this store knows: to be noted outside of it. `None`
/// where it has never voted.
///
/// # Errors
/// When the store fails.
pub fn pledge(view: &dyn View) -> Result<Option<Pledge>, StoreError> {
    let known = state(view)?.map(|state| state.pledge());
    Ok(match (known, waiting(view)?) {
        (Some(known), Some(waiting)) => Some(known.later(waiting)),
        (known, waiting) => known.or(waiting),
    })
}

/// Binds this hospital to what was noted of its votes, where this store knows of fewer. Of a set of hospitals that the
/// store does not know as the one that votes, it waits for that set; until then it casts no vote at all.
///
/// # Errors
/// When the store fails.
pub fn bind(unit: &mut dyn Unit, noted: &Pledge) -> Result<(), StoreError> {
    let mut known = match state(unit)? {
        Some(known) => known,
        None => VoterState::new(block_at(unit, 0)?.id, 0),
    };
    let noted = match waiting(unit)? {
        Some(waiting) => waiting.later(noted.clone()),
        None => noted.clone(),
    };
    if known.bind(&noted) {
        unit.set_local(Drawer::Votes, STATE, Some(&known.encode()))?;
    }
    let ahead = noted.base.height > known.base.height;
    let waits = ahead.then(|| encode(&noted));
    if waits != unit.local(Drawer::Votes, PLEDGE)? {
        unit.set_local(Drawer::Votes, PLEDGE, waits.as_deref())?;
    }
    Ok(())
}

/// Height and id of the block that made the set, newest round, lock, the certificate that shows it.
type Row = (u64, BlockId, u64, Option<Ballot>, Option<ByteBuf>);

fn encode(pledge: &Pledge) -> Vec<u8> {
    let Pledge { base, voted, lock, shown } = pledge;
    let shown = shown.as_ref().map(|shown| ByteBuf::from(shown.encode()));
    cbor::encode::<Row>(&(base.height, base.block, *voted, *lock, shown))
}

/// What was voted in a set of hospitals that is yet to vote here.
pub(super) fn waiting(view: &dyn View) -> Result<Option<Pledge>, StoreError> {
    let Some(row) = view.local(Drawer::Votes, PLEDGE)? else { return Ok(None) };
    let (height, block, voted, lock, shown): Row =
        cbor::decode(&row, limit::VOTER_STATE_BYTES).map_err(|error| damaged(&error))?;
    let shown = shown.map(|bytes| Certificate::decode(&bytes)).transpose();
    let shown = shown.map_err(|error| damaged(&error))?;
    Ok(Some(Pledge { base: Target { height, block }, voted, lock, shown }))
}

/// The state bound to the votes of this hospital that others passed on, which it does not know of any more.
pub(super) fn with_own_votes(mut state: VoterState, tally: &Tally, id: &MemberId) -> VoterState {
    let votes @ [_, lock] = tally.newest_of(id);
    if tally.members().set() == state.set {
        let voted = votes.iter().flatten().map(|ballot| ballot.round).max().unwrap_or(0);
        state.bind(&Pledge { base: state.base, voted, lock, shown: None });
    }
    state
}
