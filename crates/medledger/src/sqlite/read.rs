//! Reading: the same for a snapshot and within a unit.

use super::absent::RECORDS;
use super::{SqliteStore, failed};
use medledger_core::Cid;
use medledger_core::block::{Descriptor, SignedHeader};
use medledger_core::clock::Timestamp;
use medledger_core::ids::{BlockId, RecordId};
use medledger_core::keys::Signature;
use medledger_core::pow::{Header, Work};
use medledger_core::record::SignedRecord;
use medledger_core::registry::{Kind, VoidCode};
use medledger_core::store::{
    Drawer, RecordQuery, Row, Standing, StoreError, StoredBlock, StoredRecord, View, in_place,
    read_signed,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, params};
use std::ops::Deref;

/// A connection within a transaction, whoever owns it.
#[derive(Debug)]
pub(super) struct Session<C>(pub(super) C);

/// A connection that belongs to a store.
pub(super) trait InStore: Deref<Target = Connection> {
    fn store(&self) -> &SqliteStore;

    /// What `read` finds under a key, if it is not known that there is nothing.
    fn look<T>(
        &self,
        table: u8,
        key: &[u8],
        read: impl FnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let _ = (table, key);
        read()
    }
}

const RECORD: &str = "SELECT id, kind, author, patient, report, time, seq, height, place, refused, bytes FROM records";
const BLOCK: &str = "SELECT header, signature, descriptor, height, id, node, records, median_time, \
                     chain_work FROM blocks";

/// Times in either of two ranges, among records that do not wait.
const TWO_RANGES: &str = " AND number IN (SELECT number FROM records WHERE time >= ? AND seq IS NULL \
                          UNION ALL SELECT number FROM records WHERE time < ? AND seq IS NULL)";

/// The row of the record with the id that is bound to `?1`, by the two indexes of ids: first among those that wait.
macro_rules! number_of {
    () => {
        "SELECT number FROM records WHERE id = ?1 AND seq IS NOT NULL UNION ALL \
         SELECT number FROM records WHERE id = ?1 AND seq IS NULL"
    };
}
pub(super) use number_of;

/// Which row is the record's with the id `?1`.
macro_rules! by_id {
    () => {
        concat!("WHERE number = (", number_of!(), ")")
    };
}
pub(super) use by_id;

fn damaged(what: impl Into<String>) -> StoreError {
    StoreError::Damaged(what.into())
}

pub(super) fn small(number: i64, what: &str) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| damaged(format!("{what} is {number}")))
}

/// A number as SQLite holds it; none of ours comes near 2^63 but an author's time, see `schema`.
pub(super) fn stored(number: u64, what: &str) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| damaged(format!("{what} is {number}")))
}

pub(super) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Turns columns into a value; what does not decode is damage.
pub(super) trait FromRow: Sized {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Self, StoreError>>;
}

/// An id or hash of fixed length.
fn fixed<'a, T: TryFrom<&'a [u8]>>(bytes: &'a [u8], what: &str) -> Result<T, StoreError> {
    let found = bytes.len();
    T::try_from(bytes).map_err(|_| damaged(format!("{what} has {found} bytes")))
}

struct RecordColumns<'a> {
    id: &'a [u8],
    kind: i64,
    author: &'a [u8],
    patient: Option<&'a [u8]>,
    report: Option<&'a [u8]>,
    time: i64,
    standing: [Option<i64>; 4],
    bytes: &'a [u8],
}

/// How far a record has come, from the columns seq, height, place and refused.
fn standing(id: &RecordId, columns: [Option<i64>; 4]) -> Result<Standing, StoreError> {
    Ok(match columns {
        [Some(seq), None, None, None] => {
            Standing::Accepted { seq: small(seq, "a place in the queue")? }
        }
        [None, Some(height), Some(place), None] => Standing::Mined {
            height: small(height, "a height")?,
            index: u32::try_from(place)
                .map_err(|_| damaged(format!("record {id}: its place is {place}")))?,
        },
        [None, None, None, Some(code)] => Standing::Refused {
            code: u16::try_from(code)
                .ok()
                .and_then(VoidCode::from_code)
                .ok_or_else(|| damaged(format!("record {id}: refused with {code}")))?,
        },
        _ => return Err(damaged(format!("record {id}: no standing, or several"))),
    })
}

impl RecordColumns<'_> {
    fn decode(self) -> Result<StoredRecord, StoreError> {
        let id: RecordId = fixed(self.id, "a record's id")?;
        let kind = u16::try_from(self.kind).ok().and_then(Kind::from_code);
        let standing = standing(&id, self.standing)?;
        Ok(StoredRecord {
            id,
            kind: kind.ok_or_else(|| damaged(format!("record {id}: kind {}", self.kind)))?,
            author: fixed(self.author, "an author")?,
            patient: self.patient.map(|patient| fixed(patient, "a patient")).transpose()?,
            report: self.report.map(|report| fixed(report, "a report")).transpose()?,
            time: Timestamp::from_secs(self.time.cast_unsigned()),
            standing,
            bytes: self.bytes.to_vec(),
        })
    }
}

impl FromRow for StoredRecord {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Self, StoreError>> {
        let columns = RecordColumns {
            id: row.get_ref(0)?.as_blob()?,
            kind: row.get(1)?,
            author: row.get_ref(2)?.as_blob()?,
            patient: row.get_ref(3)?.as_blob_or_null()?,
            report: row.get_ref(4)?.as_blob_or_null()?,
            time: row.get(5)?,
            standing: [row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?],
            bytes: row.get_ref(10)?.as_blob()?,
        };
        Ok(columns.decode())
    }
}

struct BlockColumns<'a> {
    header: &'a [u8],
    signature: Option<&'a [u8]>,
    descriptor: Option<&'a [u8]>,
    height: i64,
    id: &'a [u8],
    node: &'a [u8],
    records: i64,
    median_time: i64,
    chain_work: &'a [u8],
}

impl BlockColumns<'_> {
    fn decode(self) -> Result<StoredBlock, StoreError> {
        let height = small(self.height, "a height")?;
        let wrong = |what: &str| damaged(format!("block {height}: {what}"));
        let header: &[u8; Header::LEN] = fixed(self.header, "a header")?;
        let header = Header::from_bytes(header);
        let id: BlockId = fixed(self.id, "a block's id")?;
        if header.id() != id {
            return Err(wrong("its header does not hash to its id"));
        }
        let signature: Option<[u8; 64]> =
            self.signature.map(|bytes| fixed(bytes, "a block's signature")).transpose()?;
        let descriptor = self.descriptor.map(Descriptor::from_leaf).transpose();
        let chain_work: [u8; 32] = fixed(self.chain_work, "work")?;
        Ok(StoredBlock {
            signed: SignedHeader { header, signature: signature.map(Signature::from_bytes) },
            descriptor: descriptor.map_err(|error| wrong(&error.to_string()))?,
            height,
            id,
            node: Cid::from_bytes(self.node).map_err(|error| wrong(&error.to_string()))?,
            records: u32::try_from(self.records).map_err(|_| wrong("its number of records"))?,
            median_time: Timestamp::from_secs(small(self.median_time, "a median time")?),
            chain_work: Work::from_be_bytes(&chain_work),
        })
    }
}

impl FromRow for StoredBlock {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Self, StoreError>> {
        let columns = BlockColumns {
            header: row.get_ref(0)?.as_blob()?,
            signature: row.get_ref(1)?.as_blob_or_null()?,
            descriptor: row.get_ref(2)?.as_blob_or_null()?,
            height: row.get(3)?,
            id: row.get_ref(4)?.as_blob()?,
            node: row.get_ref(5)?.as_blob()?,
            records: row.get(6)?,
            median_time: row.get(7)?,
            chain_work: row.get_ref(8)?.as_blob()?,
        };
        Ok(columns.decode())
    }
}

impl FromRow for Row {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Self, StoreError>> {
        Ok(Ok((row.get(0)?, row.get(1)?)))
    }
}

/// First key beyond all that begin with `prefix`; none when nothing lies beyond.
pub(super) fn beyond(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The smallest key that a scan may yield: the prefix itself, or what comes right after `after`.
pub(super) fn from_key(prefix: &[u8], after: Option<&[u8]>) -> Vec<u8> {
    match after {
        Some(after) if after >= prefix => [after, &[0]].concat(),
        _ => prefix.to_vec(),
    }
}

impl<C: Deref<Target = Connection>> Session<C> {
    pub(super) fn value(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.0.prepare_cached(sql).map_err(|error| failed(doing, error))?;
        statement
            .query_row(params, |row| row.get(0))
            .optional()
            .map_err(|error| failed(doing, error))
    }

    fn number(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<Option<u64>, StoreError> {
        let mut statement = self.0.prepare_cached(sql).map_err(|error| failed(doing, error))?;
        let found: Option<i64> = statement
            .query_row(params, |row| row.get(0))
            .optional()
            .map_err(|error| failed(doing, error))?;
        found.map(|number| small(number, "a number")).transpose()
    }

    pub(super) fn rows<T: FromRow>(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<Vec<T>, StoreError> {
        let error = |error| failed(doing, error);
        let mut statement = self.0.prepare_cached(sql).map_err(error)?;
        let mut rows = statement.query(params).map_err(error)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            found.push(T::from_row(row).map_err(error)??);
        }
        Ok(found)
    }

    fn one<T: FromRow>(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(doing, sql, params)?.pop())
    }
}

impl<C: InStore> View for Session<C> {
    fn local(&self, drawer: Drawer, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT value FROM local WHERE drawer = ?1 AND key = ?2";
        self.value("reading local rows", sql, params![drawer.code(), key])
    }

    fn local_scan(
        &self,
        drawer: Drawer,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let (doing, from, limit) = ("reading local rows", from_key(prefix, after), at_most(limit));
        match beyond(prefix) {
            Some(end) => self.rows(
                doing,
                "SELECT key, value FROM local WHERE drawer = ?1 AND key >= ?2 AND key < ?3 \
                 ORDER BY key LIMIT ?4",
                params![drawer.code(), from, end, limit],
            ),
            None => self.rows(
                doing,
                "SELECT key, value FROM local WHERE drawer = ?1 AND key >= ?2 \
                 ORDER BY key LIMIT ?3",
                params![drawer.code(), from, limit],
            ),
        }
    }

    fn tip(&self) -> Result<Option<StoredBlock>, StoreError> {
        let sql = format!("{BLOCK} ORDER BY height DESC LIMIT 1");
        self.one("reading the newest block", &sql, [])
    }

    fn tip_id(&self) -> Result<Option<BlockId>, StoreError> {
        let sql = "SELECT id FROM blocks ORDER BY height DESC LIMIT 1";
        let found = self.value("reading the newest block", sql, [])?;
        found.map(|id| fixed(&id, "a block's id")).transpose()
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError> {
        let Ok(height) = i64::try_from(height) else { return Ok(None) };
        self.one("reading a block", &format!("{BLOCK} WHERE height = ?1"), [height])
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<u64>, StoreError> {
        self.number(
            "looking a block up",
            "SELECT height FROM blocks WHERE id = ?1",
            [id.as_bytes()],
        )
    }

    fn record(&self, id: &RecordId) -> Result<Option<StoredRecord>, StoreError> {
        self.one("reading a record", &format!("{RECORD} {}", by_id!()), [id.as_bytes()])
    }

    fn standing(&self, id: &RecordId) -> Result<Option<Standing>, StoreError> {
        let error = |error| failed("reading a record", error);
        let sql = concat!("SELECT seq, height, place, refused FROM records ", by_id!());
        let columns =
            |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
        let found = self.0.look(RECORDS, id.as_bytes(), || {
            let mut statement = self.0.prepare_cached(sql).map_err(error)?;
            statement.query_row([id.as_bytes()], columns).optional().map_err(error)
        })?;
        found.map(|columns| standing(id, columns)).transpose()
    }

    fn records_of(&self, height: u64) -> Result<Vec<StoredRecord>, StoreError> {
        let Ok(height) = i64::try_from(height) else { return Ok(Vec::new()) };
        let sql = format!("{RECORD} WHERE height = ?1 ORDER BY place");
        self.rows("reading the records of a block", &sql, [height])
    }

    fn signed_records_of(&self, height: u64) -> Result<Vec<SignedRecord>, StoreError> {
        let error = |error| failed("reading the records of a block", error);
        let Ok(column) = i64::try_from(height) else { return Ok(Vec::new()) };
        // Three columns of eleven: whoever replays a chain reads every record of it.
        let sql = "SELECT id, place, bytes FROM records WHERE height = ?1 ORDER BY place";
        let mut statement = self.0.prepare_cached(sql).map_err(error)?;
        let mut rows = statement.query([column]).map_err(error)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            let blob = |column| row.get_ref(column).and_then(|value| Ok(value.as_blob()?));
            let id = fixed(blob(0).map_err(error)?, "a record's id")?;
            let (index, place) = (found.len(), row.get::<_, i64>(1).map_err(error)?);
            in_place(height, index, i64::try_from(index) == Ok(place))?;
            found.push(read_signed(&id, blob(2).map_err(error)?)?);
        }
        Ok(found)
    }

    fn find(&self, query: &RecordQuery) -> Result<Vec<StoredRecord>, StoreError> {
        let doing = "searching records";
        let mut filter = String::new();
        let mut values: Vec<Value> = Vec::new();
        let mut only = |column: &str, value: Option<Value>| {
            if let Some(value) = value {
                filter.push_str(&format!(" AND {column} = ?"));
                values.push(value);
            }
        };
        only("report", query.report.map(|id| Value::Blob(id.as_bytes().to_vec())));
        only("patient", query.patient.map(|id| Value::Blob(id.as_bytes().to_vec())));
        only("author", query.author.map(|id| Value::Blob(id.as_bytes().to_vec())));
        only("kind", query.kind.map(|kind| Value::Integer(kind.code().into())));
        // Beyond 2^63, times are stored wrapped to negative numbers: the later ones.
        let bound = |time: Timestamp| time.as_secs().cast_signed();
        match (query.since.map(bound), query.until.map(bound)) {
            (None, None) => {}
            (since, Some(until)) if until >= 0 => {
                filter.push_str(" AND time >= ? AND time < ?");
                // Whatever begins beyond 2^63 ends before it nowhere.
                let since = since.map_or(0, |since| if since < 0 { until } else { since });
                values.extend([since, until].map(Value::Integer));
            }
            (Some(since), None) if since < 0 => {
                filter.push_str(" AND time >= ? AND time < 0");
                values.push(Value::Integer(since));
            }
            (Some(since), Some(until)) if since < 0 => {
                filter.push_str(" AND time >= ? AND time < ?");
                values.extend([since, until].map(Value::Integer));
            }
            (since, until) => {
                // Two ranges of the index; with OR, SQLite would rather go through the whole chain.
                filter.push_str(TWO_RANGES);
                let bounds = [since.unwrap_or(0), until.unwrap_or(0)];
                values.extend(bounds.map(Value::Integer));
            }
        }
        let mut wanted = if query.limit == 0 { usize::MAX } else { query.limit };
        let mut skip = query.offset;
        let mut found = Vec::new();
        // What is not in the queue is said not to be: the other indexes are for those records only.
        let parts = [
            ("height IS NOT NULL AND seq IS NULL", "height, place"),
            ("seq IS NOT NULL", "seq"),
            ("refused IS NOT NULL AND seq IS NULL", "number"),
        ];
        for (standing, order) in parts {
            let mut which = format!("WHERE {standing}{filter}");
            if order == "seq" {
                which = which.replace(TWO_RANGES, " AND (time >= ? OR time < ?)");
            }
            let sql = format!("{RECORD} {which} ORDER BY {order} LIMIT ? OFFSET ?");
            let limits = [at_most(wanted), at_most(skip)].map(Value::Integer);
            let all = values.iter().cloned().chain(limits);
            let part: Vec<StoredRecord> =
                self.rows(doing, &sql, rusqlite::params_from_iter(all))?;
            if !part.is_empty() {
                skip = 0;
            } else if skip > 0 {
                let sql = format!("SELECT count(*) FROM records {which}");
                let params = rusqlite::params_from_iter(values.iter());
                let count = self.number(doing, &sql, params)?.unwrap_or(0);
                skip -= usize::try_from(count).unwrap_or(usize::MAX).min(skip);
            }
            wanted -= part.len();
            found.extend(part);
            if wanted == 0 {
                break;
            }
        }
        Ok(found)
    }

    fn pending(&self, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        let sql = format!("{RECORD} WHERE seq IS NOT NULL ORDER BY seq LIMIT ?1");
        self.rows("reading the queue", &sql, [at_most(limit)])
    }

    fn last_pending(&self) -> Result<Option<(u64, RecordId)>, StoreError> {
        let error = |error| failed("reading the queue", error);
        let sql = "SELECT seq, id FROM records WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1";
        let mut statement = self.0.prepare_cached(sql).map_err(error)?;
        let last: Option<(i64, Vec<u8>)> = statement
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(error)?;
        let Some((seq, id)) = last else { return Ok(None) };
        Ok(Some((small(seq, "a place in the queue")?, fixed(&id, "a record's id")?)))
    }

    fn count_pending(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM records WHERE seq IS NOT NULL";
        Ok(self.number("reading the queue", sql, [])?.unwrap_or(0))
    }
}
