//! Records that wait: which are taken from others, what waits for what, and who goes first.
//!
//! A record that was accepted here ends mined or refused. What makes it void on one branch may be undone
//! with that branch, so it is refused for good only when the block on which it was found void is final.
//! A record of others may come before what it refers to; it then waits, for a time.

use super::guests;
use crate::cbor;
use crate::chain::Rules;
use crate::clock::Timestamp;
use crate::fork::final_height;
use crate::ids::{BlockId, MemberId, RecordId};
use crate::registry::{VoidCode, limit};
use crate::rows::Faults;
use crate::store::{Drawer, Standing, StoreError, StoredBlock, StoredRecord, Unit, View};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What became of a record that another hospital has waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// It waits here too.
    Waits,
    /// It waits, but would take no effect yet: what it refers to is not here.
    WaitsFor(VoidCode),
    /// It was here before.
    Known,
    /// It takes no effect.
    Refused(VoidCode),
    /// As many records of others, or of this author, wait as may.
    Full,
}

/// Where a waiting record was first found void.
#[derive(Serialize, Deserialize)]
struct Doubt {
    height: u64,
    block: BlockId,
    code: u16,
}

const DOUBT: u8 = b'd';
const NOTE_BYTES: usize = 256;

fn key(kind: u8, id: &RecordId) -> Vec<u8> {
    [&[kind][..], id.as_bytes()].concat()
}

fn note<T: Serialize + serde::de::DeserializeOwned>(
    view: &dyn View,
    kind: u8,
    id: &RecordId,
) -> Result<Option<T>, StoreError> {
    let row = view.local(Drawer::Queue, &key(kind, id))?;
    row.map(|row| parse(id, &row)).transpose()
}

/// The record that a note is on, or the first of several.
pub(super) fn id_of(key: &[u8]) -> Result<RecordId, StoreError> {
    let id = key.get(1..).and_then(|id| RecordId::try_from(id).ok());
    id.ok_or_else(|| StoreError::Damaged("note on a waiting record".into()))
}

pub(super) fn parse<T: Serialize + serde::de::DeserializeOwned>(
    id: &RecordId,
    row: &[u8],
) -> Result<T, StoreError> {
    cbor::decode(row, NOTE_BYTES)
        .map_err(|error| StoreError::Damaged(format!("note on the waiting record {id}: {error}")))
}

/// What becomes of a waiting record that would be void in the next block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on waiting.
    Waits,
    /// It goes on waiting; on which block it was found void is to be noted.
    Doubted(VoidCode),
    /// Nothing will change it.
    Refused(VoidCode),
}

/// Whether something that comes later may make a record good that is void for this reason now.
pub(super) const fn may_wait(code: VoidCode) -> bool {
    matches!(
        code,
        VoidCode::UnknownAuthor
            | VoidCode::UnknownMember
            | VoidCode::NotEnrolled
            | VoidCode::UnknownReport
            | VoidCode::UnknownRequest
            | VoidCode::UnknownGrant
            | VoidCode::UnknownVersion
    )
}

/// What becomes of a record that is void in the next block. `skipped` says that records before it were left out
/// of the block; `alone`, that every block is final at once.
#[expect(clippy::too_many_arguments, reason = "what a fate depends on")]
pub(super) fn fate(
    view: &dyn View,
    notes: &Notes,
    rules: &Rules,
    id: &RecordId,
    code: VoidCode,
    now: Timestamp,
    skipped: bool,
    alone: bool,
) -> Result<Fate, StoreError> {
    if may_wait(code) && (skipped || notes.is_fresh(view, id, now)?) {
        return Ok(Fate::Waits);
    }
    if alone {
        return Ok(Fate::Refused(code));
    }
    let Some(doubt) = note::<Doubt>(view, DOUBT, id)? else { return Ok(Fate::Doubted(code)) };
    let stands = view.block(doubt.height)?.is_some_and(|block| block.id == doubt.block);
    Ok(match stands {
        true if doubt.height <= final_height(view, rules)? => Fate::Refused(code),
        true => Fate::Waits,
        false => Fate::Doubted(code),
    })
}

/// Notes that a record is void in the block after `tip`.
pub(super) fn doubt(
    unit: &mut dyn Unit,
    id: &RecordId,
    code: VoidCode,
    tip: &StoredBlock,
) -> Result<(), StoreError> {
    let row = Doubt { height: tip.height, block: tip.id, code: code.code() };
    unit.set_local(Drawer::Queue, &key(DOUBT, id), Some(&cbor::encode(&row)))
}

/// Forgets notes on records that wait no more.
pub(crate) fn sweep(unit: &mut dyn Unit) -> Result<(), StoreError> {
    let waits = |unit: &dyn Unit, id: &RecordId| {
        Ok(matches!(unit.standing(id)?, Some(Standing::Accepted { .. })))
    };
    guests::sweep(unit, &waits)?;
    for (key, _) in unit.local_scan(Drawer::Queue, &[DOUBT], None, usize::MAX)? {
        if !waits(unit, &id_of(&key)?)? {
            unit.set_local(Drawer::Queue, &key, None)?;
        }
    }
    Ok(())
}

/// Checks the notes on records that wait. Those on records that wait no more are swept away in time.
pub(crate) fn check_notes(view: &dyn View, faults: &mut Faults) -> Result<(), StoreError> {
    for (key, row) in view.local_scan(Drawer::Queue, &[], None, usize::MAX)? {
        let (Some(kind), Ok(id)) = (key.first().copied(), id_of(&key)) else {
            faults.add(Drawer::Queue, &key, "it belongs to no record");
            continue;
        };
        if guests::check_note(view, &key, &row, &id, faults)? {
            continue;
        }
        if view.record(&id)?.is_none() {
            faults.add(Drawer::Queue, &key, "its record is not here");
        } else if kind == DOUBT {
            let doubt = faults.read(Drawer::Queue, &key, parse::<Doubt>(&id, &row))?;
            if doubt.is_some_and(|doubt| VoidCode::from_code(doubt.code).is_none()) {
                faults.add(Drawer::Queue, &key, "it gives no reason that there is");
            }
        } else {
            faults.add(Drawer::Queue, &key, "it is no note on a record");
        }
    }
    Ok(())
}

/// What the notes say of the records that wait.
pub(super) struct Notes {
    /// Those that may well be void in the next block: they take no room from others.
    pub(super) doubtful: BTreeSet<RecordId>,
    /// Since when records of others are here, once somebody asked.
    since: OnceCell<HashMap<RecordId, Timestamp>>,
}

impl Notes {
    pub(super) fn read(view: &dyn View) -> Result<Self, StoreError> {
        let mut doubtful = BTreeSet::from_iter(guests::waiting_for_others(view)?);
        for (key, _) in view.local_scan(Drawer::Queue, &[DOUBT], None, usize::MAX)? {
            doubtful.insert(id_of(&key)?);
        }
        Ok(Self { doubtful, since: OnceCell::new() })
    }

    /// Whether it is a record of others that came so short a time ago that it waits for what it refers to.
    fn is_fresh(&self, view: &dyn View, id: &RecordId, now: Timestamp) -> Result<bool, StoreError> {
        let since = match self.since.get() {
            Some(since) => since,
            None => {
                let read = guests::since(view)?;
                self.since.get_or_init(|| read)
            }
        };
        Ok(since.get(id).is_some_and(|since| now < since.plus(limit::QUEUE_SECONDS)))
    }
}

/// Which of the waiting records go into a block that has no room for all: of each author the first, up to an
/// equal share of the block, then the others in the order in which they came. They stay in that order, with
/// all that are `doubtful` in between. Also returns those that were left out.
pub(super) fn pick(
    waiting: Vec<StoredRecord>,
    doubtful: &BTreeSet<RecordId>,
    max_records: usize,
    max_bytes: usize,
) -> (Vec<StoredRecord>, Vec<StoredRecord>) {
    let counts = |record: &StoredRecord| !doubtful.contains(&record.id);
    let sure = || waiting.iter().filter(|record| counts(record));
    if sure().count() <= max_records
        && sure().map(|record| record.bytes.len()).sum::<usize>() <= max_bytes
    {
        return (waiting, Vec::new());
    }
    let authors = sure().map(|record| record.author).collect::<BTreeSet<_>>().len();
    let (share, byte_share) = ((max_records / authors).max(1), max_bytes / authors);
    let mut used: BTreeMap<MemberId, (usize, usize)> = BTreeMap::new();
    let mut taken: Vec<bool> = waiting.iter().map(|record| !counts(record)).collect();
    let (mut records, mut bytes) = (0, 0);
    for fair in [true, false] {
        for (index, record) in waiting.iter().enumerate() {
            let size = record.bytes.len();
            let (count, own) = used.entry(record.author).or_default();
            // The very first always goes: no record is larger than a block.
            let within = records == 0 || *count < share && *own + size <= byte_share;
            let fits = records < max_records && bytes + size <= max_bytes;
            if taken[index] || !fits || (fair && !within) {
                continue;
            }
            taken[index] = true;
            (records, bytes) = (records + 1, bytes + size);
            (*count, *own) = (*count + 1, *own + size);
        }
    }
    let (picked, left): (Vec<_>, Vec<_>) =
        waiting.into_iter().zip(taken).partition(|(_, taken)| *taken);
    let records = |pairs: Vec<(StoredRecord, bool)>| pairs.into_iter().map(|(it, _)| it).collect();
    (records(picked), records(left))
}
