//! Looking at everything: pages and indexes, the tables that are there, and columns that only repeat what others say.

use super::{SqliteStore, failed, schema};
use medledger_core::block::Descriptor;
use medledger_core::pow::Header;
use medledger_core::registry::Kind;
use medledger_core::store::{Drawer, StoreError};
use rusqlite::{Connection, Row};
use std::collections::BTreeSet;

const DOING: &str = "checking the ledger";

impl SqliteStore {
    /// Looks at every page, index and constraint, at the tables, and at the columns that the ledger itself never reads.
    /// Takes as long as reading the whole file does.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing found, or when the store fails.
    pub fn check(&self) -> Result<(), StoreError> {
        let reader = self.reader()?;
        let found: String = reader
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|error| failed(DOING, error))?;
        if found != "ok" {
            return Err(damaged(found));
        }
        tables(&reader)?;
        columns(&reader)?;
        codes(&reader)
    }
}

fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("{DOING}: {what}"))
}

fn rows<T: Ord>(
    db: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<BTreeSet<T>, StoreError> {
    let all = || -> rusqlite::Result<_> { db.prepare(sql)?.query_map([], read)?.collect() };
    all().map_err(|error| failed(DOING, error))
}

/// Whether all tables, indexes, views and triggers are there, and no trigger that is not ours.
fn tables(db: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite^_%' ESCAPE '^'";
    let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let found = rows(db, sql, read)?;
    let mut new = Connection::open_in_memory().map_err(|error| failed(DOING, error))?;
    schema::lay_out(&mut new)?;
    let expected = rows(&new, sql, read)?;
    if let Some((kind, name)) = expected.difference(&found).next() {
        return Err(damaged(format!("the {kind} {name} is missing")));
    }
    match found.difference(&expected).find(|(kind, _)| kind == "trigger") {
        Some((_, name)) => Err(damaged(format!("the trigger {name} is not of this layout"))),
        None => Ok(()),
    }
}

/// Whether columns say what those say that they were taken from.
fn columns(db: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT height, header, descriptor, miner, time FROM blocks";
    let mut statement = db.prepare(sql).map_err(|error| failed(DOING, error))?;
    let mut blocks = statement.query([]).map_err(|error| failed(DOING, error))?;
    while let Some(row) = blocks.next().map_err(|error| failed(DOING, error))? {
        let (height, what) = block(row).map_err(|error| failed(DOING, error))?;
        if let Some(what) = what {
            return Err(damaged(format!(
                "block {height} is listed with another {what} than it has"
            )));
        }
    }
    let stray = "SELECT lower(hex(key)) FROM state_long \
                 WHERE key NOT IN (SELECT key FROM state WHERE value IS NULL) LIMIT 1";
    if let Some(key) = rows(db, stray, |row| row.get::<_, String>(0))?.pop_first() {
        return Err(damaged(format!("a long value of the state, {key}, belongs to no entry")));
    }
    let known: BTreeSet<i64> = Drawer::ALL.iter().map(|drawer| drawer.code().into()).collect();
    let found = rows(db, "SELECT DISTINCT drawer FROM local", |row| row.get(0))?;
    match found.difference(&known).next() {
        Some(drawer) => Err(damaged(format!("a local row lies in drawer {drawer}, which is none"))),
        None => Ok(()),
    }
}

/// The height of a block, and the first column that differs from what it was taken from. What does not decode is found
/// by whoever reads the block.
fn block(row: &Row<'_>) -> rusqlite::Result<(i64, Option<&'static str>)> {
    let height = row.get(0)?;
    let header = row.get_ref(1)?.as_blob()?;
    let descriptor = row.get_ref(2)?.as_blob_or_null()?;
    let miner = row.get_ref(3)?.as_blob_or_null()?;
    let header = <&[u8; Header::LEN]>::try_from(header).ok().map(Header::from_bytes);
    let said = match descriptor.map(Descriptor::from_leaf) {
        None => Some(None),
        Some(descriptor) => descriptor.ok().map(|descriptor| Some(descriptor.miner)),
    };
    let miner_differs =
        said.is_some_and(|said| said.as_ref().map(|id| &id.as_bytes()[..]) != miner);
    let time: i64 = row.get(4)?;
    let time_differs = header.is_some_and(|header| i64::from(header.time) != time);
    let what = if miner_differs { Some("miner") } else { time_differs.then_some("time") };
    Ok((height, what))
}

/// Whether numbers of kinds are explained as they are meant. Those that are not explained a later version added, and
/// the meanings of outcome codes are worded anew now and then: of these nobody can tell.
fn codes(db: &Connection) -> Result<(), StoreError> {
    let found = rows(db, "SELECT code, name FROM kinds", |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let known = |code| u16::try_from(code).ok().and_then(Kind::from_code);
    match found.iter().find(|(code, name)| known(*code).is_some_and(|kind| kind.name() != name)) {
        Some((code, name)) => Err(damaged(format!("kind {code} is said to be {name:?}"))),
        None => Ok(()),
    }
}
