//! Refusals that tell nothing about keys: what is tried during a wait, and what strangers ask for. The audit log has
//! them too, up to a bound for each person and day, and beyond it their number.

use crate::attempts::Target;
use crate::audit::{AuditEvent, Noted};
use crate::ledger::Ledger;
use medledger_core::cbor;
use medledger_core::ids::MemberId;
use medledger_core::registry::limit;
use medledger_core::store::{Drawer, StoreError, Unit, View};
use serde::{Deserialize, Serialize};

/// Who asks.
pub(crate) enum Asker {
    /// A member, who was found to be the one they say.
    Member(MemberId),
    /// Somebody else, with the id they claim.
    Stranger(MemberId),
}

impl Asker {
    /// What is noted, of whom, and as whose.
    const fn noted(&self) -> (AuditEvent, MemberId, MemberId) {
        match *self {
            Self::Member(id) => (AuditEvent::Waiting, id, id),
            Self::Stranger(id) => (AuditEvent::Stranger, id, NOBODY),
        }
    }
}

impl Ledger {
    /// Notes an attempt of somebody during a wait, or by a stranger; once there were enough of them that day it is
    /// only counted, so that nobody fills the disk with refusals. What was counted becomes one entry when the next
    /// day's first attempt comes, or with the next digest. All strangers together are one person here: the ids
    /// they claim cost them nothing.
    pub(crate) fn note_or_count(&self, asker: &Asker, target: Target) -> Result<(), StoreError> {
        let (event, member, bucket) = asker.noted();
        let key = day_key(&bucket);
        let today = self.now().as_secs() / DAY_SECONDS;
        let mut unit = self.store().unit()?;
        let mut day = self.day(unit.as_ref(), &key)?;
        if day.day != today {
            if day.more > 0 {
                self.audit(unit.as_mut(), event, &Noted::more(&bucket, day.more))?;
            }
            day = Day { day: today, noted: 0, more: 0 };
        }
        if day.noted < limit::AUDIT_REFUSALS_A_DAY {
            day.noted += 1;
            self.audit(unit.as_mut(), event, &Noted::of(&member, target))?;
        } else {
            day.more += 1;
        }
        self.set_day(unit.as_mut(), &key, &day)?;
        unit.commit()
    }

    /// Makes an entry of what was only counted, for each person.
    pub(crate) fn note_what_was_counted(&self) -> Result<(), StoreError> {
        let today = self.now().as_secs() / DAY_SECONDS;
        let mut unit = self.store().unit()?;
        let rows = unit.local_scan(Drawer::Attempts, DAY, None, usize::MAX)?;
        if rows.is_empty() {
            return Ok(());
        }
        for (key, _) in rows {
            let mut day = self.day(unit.as_ref(), &key)?;
            let bucket = key.get(DAY.len()..).and_then(|id| MemberId::try_from(id).ok());
            let damaged = || StoreError::Damaged("a count of refusals is nobody's".into());
            let bucket = bucket.ok_or_else(damaged)?;
            if day.more > 0 {
                let event =
                    if bucket == NOBODY { AuditEvent::Stranger } else { AuditEvent::Waiting };
                self.audit(unit.as_mut(), event, &Noted::more(&bucket, day.more))?;
                day.more = 0;
            }
            if day.day == today {
                self.set_day(unit.as_mut(), &key, &day)?;
            } else {
                unit.set_local(Drawer::Attempts, &key, None)?;
            }
        }
        unit.commit()
    }

    fn day(&self, view: &dyn View, key: &[u8]) -> Result<Day, StoreError> {
        let Some(sealed) = view.local(Drawer::Attempts, key)? else { return Ok(Day::default()) };
        let plain = self.node_key().unseal(Drawer::Attempts, key, &sealed)?;
        cbor::decode(&plain, 256)
            .map_err(|error| StoreError::Damaged(format!("count of refusals: {error}")))
    }

    fn set_day(&self, unit: &mut dyn Unit, key: &[u8], day: &Day) -> Result<(), StoreError> {
        let plain = cbor::encode(day);
        let sealed = self.node_key().seal(Drawer::Attempts, key, &plain, &mut self.rng());
        unit.set_local(Drawer::Attempts, key, Some(&sealed))
    }
}

/// Refusals of one person on one day that are noted or counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Day {
    /// Days since 1970.
    day: u64,
    /// Entries made.
    noted: u32,
    /// Attempts beyond those, in no entry yet.
    more: u64,
}

/// All strangers.
const NOBODY: MemberId = MemberId::from_bytes([0; 16]);

const DAY_SECONDS: u64 = 86_400;

/// Rows of what is counted for a day, before the member.
const DAY: &[u8] = b"day/";

fn day_key(person: &MemberId) -> Vec<u8> {
    [DAY, person.as_bytes()].concat()
}
