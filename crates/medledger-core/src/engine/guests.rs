//! Records of others among those that wait: how long each has been here, and how many may be.

use super::Taken;
use super::mempool::{id_of, parse};
use crate::cbor;
use crate::clock::Timestamp;
use crate::ids::{MemberId, RecordId};
use crate::record::SignedRecord;
use crate::registry::{VoidCode, limit};
use crate::rows::Faults;
use crate::store::{Drawer, StoreError, Unit, View};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

/// What is answered to a record whose author is unknown, so that nobody can check its signature.
pub(super) const UNSIGNED: Taken = Taken::WaitsFor(VoidCode::UnknownAuthor);

const GUEST: u8 = b'g';
const PARTY: u8 = b'p';

/// Guests of one party at most: what a note on them may be in bytes.
const PARTY_GUESTS: usize = 4096;
const PARTY_BYTES: usize = PARTY_GUESTS * Entry::LEN + 64;

/// A record of others that would have taken no effect when it came; in older ledgers any.
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

/// Records of others that came together and would take effect, in one row: most are gone together, too.
#[derive(Serialize, Deserialize)]
struct Party {
    since: u64,
    entries: ByteBuf,
}

/// One of a party: its id, its author, and how long it is.
struct Entry {
    id: RecordId,
    author: MemberId,
    bytes: u32,
}

impl Entry {
    const LEN: usize = RecordId::LEN + MemberId::LEN + 4;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.id.as_bytes());
        to.extend_from_slice(self.author.as_bytes());
        to.extend_from_slice(&self.bytes.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_at_checked(RecordId::LEN)?;
        let (author, length) = rest.split_at_checked(MemberId::LEN)?;
        Some(Self {
            id: id.try_into().ok()?,
            author: author.try_into().ok()?,
            bytes: u32::from_be_bytes(length.try_into().ok()?),
        })
    }
}

impl Party {
    fn of(since: Timestamp, entries: &[Entry]) -> Self {
        let mut bytes = Vec::with_capacity(entries.len() * Entry::LEN);
        entries.iter().for_each(|entry| entry.write(&mut bytes));
        Self { since: since.as_secs(), entries: bytes.into() }
    }

    fn read(first: &RecordId, row: &[u8]) -> Result<(Timestamp, Vec<Entry>), StoreError> {
        let damaged = |what: &dyn Display| {
            let about = format!("note on the waiting record {first} and others");
            StoreError::Damaged(format!("{about}: {what}"))
        };
        let party: Self = cbor::decode(row, PARTY_BYTES).map_err(|error| damaged(&error))?;
        let entries: Option<Vec<Entry>> =
            party.entries.chunks(Entry::LEN).map(Entry::read).collect();
        let entries = entries.filter(|entries| !entries.is_empty());
        let entries = entries.ok_or_else(|| damaged(&"cut, or without any"))?;
        Ok((Timestamp::from_secs(party.since), entries))
    }
}

/// Checks a note, if it is on records of others: `false` if it is another one.
pub(super) fn check_note(
    view: &dyn View,
    key: &[u8],
    row: &[u8],
    id: &RecordId,
    faults: &mut Faults,
) -> Result<bool, StoreError> {
    let noted: Vec<(RecordId, MemberId, u64)> = match key.first() {
        Some(&GUEST) => {
            let guest = faults.read(Drawer::Queue, key, parse::<Guest>(id, row))?;
            guest.into_iter().map(|guest| (*id, guest.author, guest.bytes)).collect()
        }
        Some(&PARTY) => {
            // The first may be gone already, and was a record here.
            if view.record(id)?.is_none() {
                faults.add(Drawer::Queue, key, "its record is not here");
            }
            let party = faults.read(Drawer::Queue, key, Party::read(id, row))?;
            let entries = party.into_iter().flat_map(|(_, entries)| entries);
            entries.map(|entry| (entry.id, entry.author, entry.bytes.into())).collect()
        }
        _ => return Ok(false),
    };
    for (id, author, bytes) in noted {
        match view.record(&id)? {
            None => faults.add(Drawer::Queue, key, "its record is not here"),
            Some(record) if (author, bytes) != (record.author, record.bytes.len() as u64) => {
                faults.add(Drawer::Queue, key, "it is about another record than it stands for");
            }
            Some(_) => {}
        }
    }
    Ok(true)
}

fn key(kind: u8, id: &RecordId) -> Vec<u8> {
    [&[kind][..], id.as_bytes()].concat()
}

/// The notes on records of others.
struct Notes {
    alone: Vec<(RecordId, Guest)>,
    parties: Vec<(RecordId, Timestamp, Vec<Entry>)>,
}

impl Notes {
    fn read(view: &dyn View) -> Result<Self, StoreError> {
        let (mut alone, mut parties) = (Vec::new(), Vec::new());
        for (key, row) in view.local_scan(Drawer::Queue, &[GUEST], None, usize::MAX)? {
            let id = id_of(&key)?;
            alone.push((id, parse(&id, &row)?));
        }
        for (key, row) in view.local_scan(Drawer::Queue, &[PARTY], None, usize::MAX)? {
            let first = id_of(&key)?;
            let (since, entries) = Party::read(&first, &row)?;
            parties.push((first, since, entries));
        }
        Ok(Self { alone, parties })
    }
}

/// Since when each record of others is here.
pub(super) fn since(view: &dyn View) -> Result<HashMap<RecordId, Timestamp>, StoreError> {
    let notes = Notes::read(view)?;
    let alone = notes.alone.iter().map(|(id, guest)| (*id, Timestamp::from_secs(guest.since)));
    let together = notes.parties.iter();
    let together = together.flat_map(|(_, since, all)| all.iter().map(|entry| (entry.id, *since)));
    Ok(alone.chain(together).collect())
}

/// Records of others that would have taken no effect when they came.
pub(super) fn waiting_for_others(view: &dyn View) -> Result<Vec<RecordId>, StoreError> {
    let rows = view.local_scan(Drawer::Queue, &[GUEST], None, usize::MAX)?;
    let mut found = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        let id = id_of(&key)?;
        if parse::<Guest>(&id, &row)?.waits {
            found.push(id);
        }
    }
    Ok(found)
}

/// Forgets those that wait no more.
pub(super) fn sweep(
    unit: &mut dyn Unit,
    waits: &dyn Fn(&dyn Unit, &RecordId) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let notes = Notes::read(unit)?;
    for (id, _) in notes.alone {
        if !waits(unit, &id)? {
            unit.set_local(Drawer::Queue, &key(GUEST, &id), None)?;
        }
    }
    for (first, since, entries) in notes.parties {
        let before = entries.len();
        let mut left = Vec::with_capacity(before);
        for entry in entries {
            if waits(unit, &entry.id)? {
                left.push(entry);
            }
        }
        if left.len() < before {
            let row = (!left.is_empty()).then(|| cbor::encode(&Party::of(since, &left)));
            unit.set_local(Drawer::Queue, &key(PARTY, &first), row.as_deref())?;
        }
    }
    Ok(())
}

/// How much of the queue is taken by records of others, and those that are to be noted.
pub(super) struct Guests {
    now: Timestamp,
    records: usize,
    bytes: u64,
    unsigned: usize,
    by_author: BTreeMap<MemberId, usize>,
    alone: Vec<(RecordId, Guest)>,
    party: Vec<Entry>,
}

impl Guests {
    pub(super) fn of(view: &dyn View, now: Timestamp) -> Result<Self, StoreError> {
        let mut guests = Self {
            now,
            records: 0,
            bytes: 0,
            unsigned: 0,
            by_author: BTreeMap::new(),
            alone: Vec::new(),
            party: Vec::new(),
        };
        let notes = Notes::read(view)?;
        for (_, guest) in notes.alone {
            guests.count(guest.author, guest.bytes, guest.unsigned);
        }
        for entry in notes.parties.into_iter().flat_map(|(.., entries)| entries) {
            guests.count(entry.author, entry.bytes.into(), false);
        }
        Ok(guests)
    }

    fn count(&mut self, author: MemberId, bytes: u64, unsigned: bool) {
        self.records += 1;
        self.bytes += bytes;
        if unsigned {
            self.unsigned += 1;
        } else {
            *self.by_author.entry(author).or_default() += 1;
        }
    }

    /// Takes another one, if it is to wait; `false` when as many wait as may.
    pub(super) fn take(&mut self, record: &SignedRecord, taken: Taken) -> bool {
        let waits = match taken {
            Taken::Waits => false,
            Taken::WaitsFor(_) => true,
            _ => return true,
        };
        let (author, unsigned) = (record.record().author, taken == UNSIGNED);
        let of_author = self.by_author.get(&author).copied().unwrap_or(0);
        let room = match unsigned {
            true => self.unsigned < limit::QUEUE_UNSIGNED,
            false => of_author < limit::QUEUE_OF_AUTHOR,
        };
        let Ok(bytes) = u32::try_from(record.as_bytes().len()) else { return false };
        if !room
            || self.records >= limit::QUEUE_RECORDS
            || self.bytes + u64::from(bytes) > limit::QUEUE_BYTES
        {
            return false;
        }
        self.count(author, bytes.into(), unsigned);
        let id = record.id();
        if waits {
            let since = self.now.as_secs();
            self.alone.push((id, Guest { since, bytes: bytes.into(), author, waits, unsigned }));
        } else {
            self.party.push(Entry { id, author, bytes });
        }
        true
    }

    /// Notes those that were taken.
    pub(super) fn write(self, unit: &mut dyn Unit) -> Result<(), StoreError> {
        for (id, guest) in self.alone {
            unit.set_local(Drawer::Queue, &key(GUEST, &id), Some(&cbor::encode(&guest)))?;
        }
        for party in self.party.chunks(PARTY_GUESTS) {
            let row = cbor::encode(&Party::of(self.now, party));
            unit.set_local(Drawer::Queue, &key(PARTY, &party[0].id), Some(&row))?;
        }
        Ok(())
    }
}
