//! Writing: one unit of work, a transaction of the one writing connection.

use super::absent::{self, Absent};
use super::read::{InStore, Session, by_id, number_of, stored};
use super::schema::LONG;
use super::{SqliteStore, failed};
use medledger_core::ids::RecordId;
use medledger_core::store::{Drawer, Standing, StoreError, StoredBlock, StoredRecord, Unit, View};
use rusqlite::types::Null;
use rusqlite::{Connection, Params, params};
use std::cell::RefCell;
use std::ops::Deref;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

/// The one writing connection.
#[derive(Debug)]
pub(super) struct Writer {
    db: Connection,
    pub(super) absent: RefCell<Absent>,
}

impl Writer {
    pub(super) fn new(db: Connection) -> Self {
        Self { db, absent: RefCell::default() }
    }
}

impl Deref for Writer {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.db
    }
}

/// The writer's connection within a transaction; given back, it is rolled back.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    pub(super) store: &'a SqliteStore,
    pub(super) db: MutexGuard<'a, Writer>,
    /// Whether something was removed that the log must not keep either.
    pub(super) removed: bool,
}

impl Deref for Writing<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.db
    }
}

impl InStore for Writing<'_> {
    fn store(&self) -> &SqliteStore {
        self.store
    }

    fn look<T>(
        &self,
        table: u8,
        key: &[u8],
        read: impl FnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if self.db.absent.borrow().lacks(table, key) {
            return Ok(None);
        }
        let found = read()?;
        if found.is_none() {
            self.db.absent.borrow_mut().missed(&self.db);
        }
        Ok(found)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // A full disk, for one, makes SQLite roll back by itself.
        if !self.db.is_autocommit() {
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }
}

/// Drawers whose old values are not to outlive a new one. The others change with every block, or
/// hold nothing that must disappear.
fn forgets(drawer: Drawer) -> bool {
    matches!(
        drawer,
        Drawer::Slots | Drawer::Mail | Drawer::Contacts | Drawer::Labels | Drawer::Pickup
    )
}

impl Session<Writing<'_>> {
    fn run(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        let mut statement = self.0.prepare_cached(sql).map_err(|error| failed(doing, error))?;
        statement.execute(params).map_err(|error| failed(doing, error))
    }
}

/// The statement that writes a record with this number.
macro_rules! put_record {
    ($number:expr) => {
        concat!(
            "INSERT INTO records (number, id, kind, author, patient, report, time, seq, height, place, refused, bytes) \
             VALUES (",
            $number,
            ", ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        )
    };
}

const PUT_NEW_RECORD: &str = put_record!("NULL");
const PUT_RECORD: &str = concat!(
    put_record!(concat!("(", number_of!(), ")")),
    " ON CONFLICT (number) DO UPDATE SET kind = excluded.kind, author = excluded.author, \
     patient = excluded.patient, report = excluded.report, time = excluded.time, seq = excluded.seq, \
     height = excluded.height, place = excluded.place, refused = excluded.refused, bytes = excluded.bytes"
);

/// The columns of a standing: seq, height, place, refused.
type StandingColumns = (Option<i64>, Option<i64>, Option<u32>, Option<u16>);

fn columns(standing: Standing) -> Result<StandingColumns, StoreError> {
    Ok(match standing {
        Standing::Accepted { seq } => {
            (Some(stored(seq, "a place in the queue")?), None, None, None)
        }
        Standing::Mined { height, index } => {
            (None, Some(stored(height, "a height")?), Some(index), None)
        }
        Standing::Refused { code } => (None, None, None, Some(code.code())),
    })
}

impl Unit for Session<Writing<'_>> {
    fn set_local(
        &mut self,
        drawer: Drawer,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let (doing, code) = ("writing a local row", drawer.code());
        let Some(value) = value else {
            let sql = "DELETE FROM local WHERE drawer = ?1 AND key = ?2";
            let changed = self.run(doing, sql, params![code, key])?;
            self.0.removed |= changed > 0;
            return Ok(());
        };
        if forgets(drawer) {
            let sql = "UPDATE local SET value = ?3 WHERE drawer = ?1 AND key = ?2";
            if self.run(doing, sql, params![code, key, value])? > 0 {
                self.0.removed = true;
                return Ok(());
            }
        }
        let sql = "INSERT INTO local (drawer, key, value) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET value = excluded.value";
        self.run(doing, sql, params![code, key, value]).map(drop)
    }

    fn set_state(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        let doing = "writing the state";
        if value.is_some()
            && let Some((table, rest)) = key.split_first()
            && absent::OF_STATE.contains(table)
        {
            self.0.db.absent.borrow_mut().add(*table, rest);
        }
        let put = "INSERT INTO state (key, value) VALUES (?1, ?2) \
                   ON CONFLICT DO UPDATE SET value = excluded.value";
        match value {
            Some(value) if value.len() <= LONG => self.run(doing, put, params![key, value])?,
            Some(value) => {
                let put_long = "INSERT INTO state_long (key, value) VALUES (?1, ?2) \
                                ON CONFLICT DO UPDATE SET value = excluded.value";
                self.run(doing, put_long, params![key, value])?;
                self.run(doing, put, params![key, Null])?
            }
            None => {
                self.run(doing, "DELETE FROM state WHERE key = ?1", params![key])?;
                self.run(doing, "DELETE FROM state_long WHERE key = ?1", params![key])?
            }
        };
        Ok(())
    }

    fn clear_state(&mut self) -> Result<(), StoreError> {
        let doing = "clearing the state";
        self.run(doing, "DELETE FROM state", [])?;
        self.run(doing, "DELETE FROM state_long", []).map(drop)
    }

    fn put_record(&mut self, record: &StoredRecord) -> Result<(), StoreError> {
        let (seq, height, place, refused) = columns(record.standing)?;
        let known = {
            let mut absent = self.0.db.absent.borrow_mut();
            let known = !absent.lacks(absent::RECORDS, record.id.as_bytes());
            absent.add(absent::RECORDS, record.id.as_bytes());
            known
        };
        // With its number it replaces the row it has; without, SQLite gives it the next one.
        let sql = if known { PUT_RECORD } else { PUT_NEW_RECORD };
        let values = params![
            record.id.as_bytes(),
            record.kind.code(),
            record.author.as_bytes(),
            record.patient.as_ref().map(|id| id.as_bytes()),
            record.report.as_ref().map(|id| id.as_bytes()),
            record.time.as_secs().cast_signed(),
            seq,
            height,
            place,
            refused,
            record.bytes,
        ];
        self.run("writing a record", sql, values).map(drop)
    }

    fn settle(&mut self, id: &RecordId, standing: Standing) -> Result<(), StoreError> {
        let (seq, height, place, refused) = columns(standing)?;
        let changed = self.run(
            "settling a record",
            concat!(
                "UPDATE records SET seq = ?2, height = ?3, place = ?4, refused = ?5 ",
                by_id!()
            ),
            params![id.as_bytes(), seq, height, place, refused],
        )?;
        if changed == 1 {
            Ok(())
        } else {
            Err(StoreError::Damaged(format!("there is no record {id}")))
        }
    }

    fn remove_record(&mut self, id: &RecordId) -> Result<(), StoreError> {
        let sql = concat!("DELETE FROM records ", by_id!());
        let changed = self.run("removing a record", sql, [id.as_bytes()])?;
        self.0.removed |= changed > 0;
        Ok(())
    }

    fn append_block(&mut self, block: &StoredBlock) -> Result<(), StoreError> {
        let expected = self.tip()?.map_or(0, |tip| tip.height + 1);
        let found = block.height;
        if found != expected {
            return Err(StoreError::Damaged(format!(
                "block {found} cannot be appended where block {expected} is due"
            )));
        }
        if let Some(height) = self.height_of(&block.id)? {
            let id = block.id;
            return Err(StoreError::Damaged(format!(
                "block {id} is already there at height {height}"
            )));
        }
        self.run(
            "writing a block",
            "INSERT INTO blocks (height, id, header, signature, descriptor, miner, node, records, \
                                 time, median_time, chain_work) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                stored(block.height, "a height")?,
                block.id.as_bytes(),
                block.signed.header.to_bytes(),
                block.signed.signature.as_ref().map(|signature| signature.as_bytes()),
                block.descriptor.as_ref().map(|descriptor| descriptor.leaf()),
                block.descriptor.as_ref().map(|descriptor| descriptor.miner.as_bytes()),
                block.node.to_bytes(),
                block.records,
                block.signed.header.time,
                stored(block.median_time.as_secs(), "a median time")?,
                block.chain_work.to_be_bytes(),
            ],
        )
        .map(drop)
    }

    fn remove_tip(&mut self) -> Result<(), StoreError> {
        let tip = self.tip()?.ok_or_else(|| StoreError::Damaged("there is no block".into()))?;
        if let Some(record) = self.records_of(tip.height)?.first() {
            let (id, height) = (record.id, tip.height);
            return Err(StoreError::Damaged(format!("record {id} is still in block {height}")));
        }
        let sql = "DELETE FROM blocks WHERE height = ?1";
        self.run("taking a block off", sql, params![stored(tip.height, "a height")?]).map(drop)
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let writing = &self.0;
        writing
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]))
            .map_err(|error| failed("making a unit durable", error))?;
        writing.store.commits.fetch_add(1, Ordering::Release);
        let forget = &writing.store.leftovers;
        if writing.removed {
            forget.store(true, Ordering::Relaxed);
        }
        // The unit is durable: what follows must not make it look otherwise.
        if forget.load(Ordering::Relaxed) && super::empty_log(writing) {
            forget.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}
