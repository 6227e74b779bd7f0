//! Records that wait: which are taken from others, what waits for what, and who goes first.
//!
//! A record that was accepted here ends mined or refused. What makes it void on one branch may be undone
//! with that branch, so it is refused for good only when the block on which it was found void is final.
//! A record of others may come before what it refers to; it then waits, for a time.

use super::subject::describe;
use crate::cbor;
use crate::chain::{Rules, tip};
use crate::clock::Timestamp;
use crate::fork::final_height;
use crate::ids::{BlockId, MemberId, RecordId};
use crate::record::SignedRecord;
use crate::registry::{VoidCode, limit};
use crate::rows::Faults;
use crate::state::{ApplyError, Changes, Signatures, apply};
use crate::store::{Drawer, Standing, StoreError, StoredBlock, StoredRecord, Unit, View};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

/// What is known of a record of others, beside its place in the queue.
#[derive(Serialize, Deserialize)]
struct Guest {
    since: u64,
    bytes: u64,
    author: MemberId,
    /// Whether it would have taken no effect when it came.
    waits: bool,
    /// Whether its author was unknown, so that nobody could check its signature.
    unsigned: bool,
}

/// Where a waiting record was first found void.
#[derive(Serialize, Deserialize)]
struct Doubt {
    height: u64,
    block: BlockId,
    code: u16,
}

const GUEST: u8 = b'g';
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

fn parse<T: Serialize + serde::de::DeserializeOwned>(
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
const fn may_wait(code: VoidCode) -> bool {
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

/// What becomes of a record that is void above `tip`. `skipped` says that records before it were left out
/// of the block; `alone`, that every block is final at once.
pub(super) fn fate(
    view: &dyn View,
    rules: &Rules,
    id: &RecordId,
    code: VoidCode,
    now: Timestamp,
    skipped: bool,
    alone: bool,
) -> Result<Fate, StoreError> {
    if may_wait(code) {
        let guest: Option<Guest> = note(view, GUEST, id)?;
        let fresh = guest.is_some_and(|guest| {
            now < Timestamp::from_secs(guest.since).plus(limit::QUEUE_SECONDS)
        });
        if skipped || fresh {
            return Ok(Fate::Waits);
        }
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

/// Notes that a record is void above `tip`.
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
    for (key, _) in unit.local_scan(Drawer::Queue, &[], None, usize::MAX)? {
        let id = RecordId::try_from(&key[1..])
            .map_err(|_| StoreError::Damaged("note on a waiting record".into()))?;
        let waits = unit
            .record(&id)?
            .is_some_and(|record| matches!(record.standing, Standing::Accepted { .. }));
        if !waits {
            unit.set_local(Drawer::Queue, &key, None)?;
        }
    }
    Ok(())
}

/// Checks the notes on records that wait. Those on records that wait no more are swept away in time.
pub(crate) fn check_notes(view: &dyn View, faults: &mut Faults) -> Result<(), StoreError> {
    for (key, row) in view.local_scan(Drawer::Queue, &[], None, usize::MAX)? {
        let Some((kind, Ok(id))) =
            key.split_first().map(|(kind, id)| (*kind, RecordId::try_from(id)))
        else {
            faults.add(Drawer::Queue, &key, "it belongs to no record");
            continue;
        };
        let Some(record) = view.record(&id)? else {
            faults.add(Drawer::Queue, &key, "its record is not here");
            continue;
        };
        if kind == GUEST {
            let Some(guest) = faults.read(Drawer::Queue, &key, parse::<Guest>(&id, &row))? else {
                continue;
            };
            if guest.author != record.author || guest.bytes != record.bytes.len() as u64 {
                faults.add(Drawer::Queue, &key, "it is about another record than it stands for");
            }
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

/// Waiting records that may well be void in the next block: they take no room from others.
pub(super) fn doubtful(view: &dyn View) -> Result<BTreeSet<RecordId>, StoreError> {
    let mut found = BTreeSet::new();
    for (key, row) in view.local_scan(Drawer::Queue, &[], None, usize::MAX)? {
        let id = RecordId::try_from(&key[1..])
            .map_err(|_| StoreError::Damaged("note on a waiting record".into()))?;
        if key[0] == DOUBT || parse::<Guest>(&id, &row)?.waits {
            found.insert(id);
        }
    }
    Ok(found)
}

/// How much of the queue is taken by records of others.
#[derive(Default)]
struct Guests {
    records: usize,
    bytes: u64,
    unsigned: usize,
    by_author: BTreeMap<MemberId, usize>,
}

impl Guests {
    fn of(view: &dyn View) -> Result<Self, StoreError> {
        let mut guests = Self::default();
        for (key, row) in view.local_scan(Drawer::Queue, &[GUEST], None, usize::MAX)? {
            let id = RecordId::try_from(&key[1..])
                .map_err(|_| StoreError::Damaged("note on a waiting record".into()))?;
            guests.add(&parse(&id, &row)?);
        }
        Ok(guests)
    }

    fn add(&mut self, guest: &Guest) {
        self.records += 1;
        self.bytes += guest.bytes;
        if guest.unsigned {
            self.unsigned += 1;
        } else {
            *self.by_author.entry(guest.author).or_default() += 1;
        }
    }

    fn take(&self, guest: &Guest) -> bool {
        let of_author = match guest.unsigned {
            true => self.unsigned < limit::QUEUE_UNSIGNED,
            false => {
                self.by_author.get(&guest.author).copied().unwrap_or(0) < limit::QUEUE_OF_AUTHOR
            }
        };
        of_author
            && self.records < limit::QUEUE_RECORDS
            && self.bytes + guest.bytes <= limit::QUEUE_BYTES
    }
}

/// Takes records that wait at another hospital, each on its own: what one of them is refused for is no
/// matter of the others. `pending` is what the records waiting here change.
pub(super) fn take_in(
    unit: &mut dyn Unit,
    rules: &Rules,
    pending: &mut Changes,
    records: &[SignedRecord],
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Vec<(Taken, Option<StoredRecord>)>, StoreError> {
    sweep(unit)?;
    let mut guests = Guests::of(unit)?;
    let at = rules.at(&tip(unit)?);
    let max = limit::RECORD_BYTES.min(rules.genesis.limits.block_bytes as usize);
    let mut seq = unit.last_pending()?.map_or(1, |(seq, _)| seq + 1);
    let mut answers = Vec::with_capacity(records.len());
    for record in records {
        let (id, bytes) = (record.id(), record.encode());
        if unit.standing(&id)?.is_some() || bytes.len() > max {
            let known = bytes.len() <= max;
            answers.push((if known { Taken::Known } else { Taken::Full }, None));
            continue;
        }
        let over = pending.over(unit);
        let (taken, changes) = match apply(&over, record, &at, signatures) {
            Ok(changes) => (Taken::Waits, changes),
            Err(ApplyError::Void(code)) if may_wait(code) => (Taken::WaitsFor(code), Vec::new()),
            Err(ApplyError::Void(code)) => {
                answers.push((Taken::Refused(code), None));
                continue;
            }
            Err(ApplyError::Store(error)) => return Err(error),
        };
        let guest = Guest {
            since: now.as_secs(),
            bytes: bytes.len() as u64,
            author: record.record().author,
            waits: taken != Taken::Waits,
            unsigned: taken == Taken::WaitsFor(VoidCode::UnknownAuthor),
        };
        if !guests.take(&guest) {
            answers.push((Taken::Full, None));
            continue;
        }
        let stored = describe(&over, record, bytes, Standing::Accepted { seq })?;
        unit.put_record(&stored)?;
        unit.set_local(Drawer::Queue, &key(GUEST, &id), Some(&cbor::encode(&guest)))?;
        pending.extend(changes);
        guests.add(&guest);
        seq += 1;
        answers.push((taken, Some(stored)));
    }
    Ok(answers)
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
