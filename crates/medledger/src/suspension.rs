//! Since when keys are suspended, told for people.

use crate::ledger::Ledger;
use medledger_core::clock::Timestamp;
use medledger_core::ids::MemberId;
use medledger_core::state::MemberEntry;
use medledger_core::store::{StoreError, View};
use std::fmt;

/// Since when a member's present keys are suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Height of the block that suspended them, or that will.
    pub height: u64,
    /// Time of that block; none while the suspension waits for one. It counts here at once.
    pub time: Option<Timestamp>,
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => {
                write!(f, "since {}, block {}", crate::time::show_time(time), self.height)
            }
            None => write!(f, "from block {} on, here at once", self.height),
        }
    }
}

impl Ledger {
    /// Since when a member's keys are suspended, accepted suspensions included; none where they are not, or where there is
    /// no such member.
    ///
    /// # Errors
    /// When the store fails.
    pub fn suspension(&self, member: &MemberId) -> Result<Option<Suspension>, StoreError> {
        let Some(entry) = self.member_entry(member)? else { return Ok(None) };
        suspension(self.view()?.as_ref(), &entry)
    }
}

/// Since when the keys of a member with this entry are suspended.
pub(crate) fn suspension(
    view: &dyn View,
    entry: &MemberEntry,
) -> Result<Option<Suspension>, StoreError> {
    let Some(height) = entry.suspended else { return Ok(None) };
    let block = view.block(height)?;
    let time = block.map(|block| Timestamp::from_secs(block.signed.header.time.into()));
    Ok(Some(Suspension { height, time }))
}
