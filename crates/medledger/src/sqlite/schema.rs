//! Tables, the settings of a connection, and how a file is told to be a ledger.

use super::failed;
use medledger_core::registry::{Kind, VoidCode};
use medledger_core::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// "MEDL": marks the file as ours, in the header of every SQLite database.
pub(super) const APPLICATION_ID: i32 = 0x4d45_444c;

/// Layout of the tables; kept in `user_version`.
pub(super) const LAYOUT: i64 = 1 + STEPS.len() as i64;

/// What makes each layout of the one before: the first one makes 2 of 1. A step once released stays as it is; a
/// new ledger is laid out as the first one was and takes all of them, so both ways end in the same tables.
const STEPS: &[&str] = &[
    "CREATE INDEX records_of_time ON records (time);",
    // The index of a patient's grants. In a grant entry `patient` is followed by its 16 bytes.
    "INSERT OR IGNORE INTO state
     SELECT CAST(x'6c' || substr(value, instr(value, x'6770617469656e7450') + 9, 16) || substr(key, 2)
                 AS BLOB), x'f6'
     FROM state WHERE key >= x'67' AND key < x'68';",
    // A record that waits is in the queue only: it is listed by author, patient, report and time once it is mined or
    // refused. Each index costs a page of every commit.
    "DROP INDEX records_of_author;
     DROP INDEX records_of_patient;
     DROP INDEX records_of_report;
     DROP INDEX records_of_time;
     CREATE INDEX records_of_author ON records (author) WHERE seq IS NULL;
     CREATE INDEX records_of_patient ON records (patient) WHERE patient IS NOT NULL AND seq IS NULL;
     CREATE INDEX records_of_report ON records (report) WHERE report IS NOT NULL AND seq IS NULL;
     CREATE INDEX records_of_time ON records (time) WHERE seq IS NULL;",
    // SQLite compares a key only after reading all of its row. One that does not fit into its page makes every look-up
    // that comes by read another page, from the file. So long values lie apart, and such a row has none (see `LONG`).
    "ALTER TABLE state RENAME TO state_before;
     CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB) STRICT, WITHOUT ROWID;
     CREATE TABLE state_long (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT;
     INSERT INTO state SELECT key, CASE WHEN length(value) <= 500 THEN value END FROM state_before;
     INSERT INTO state_long SELECT key, value FROM state_before WHERE length(value) > 500;
     DROP TABLE state_before;
     CREATE TRIGGER state_shortened AFTER UPDATE ON state WHEN old.value IS NULL AND new.value IS NOT NULL
     BEGIN DELETE FROM state_long WHERE key = old.key; END;",
    // Ids are random: among all records, a thousand that come together each change another page of their index. Those of
    // records that wait have an index of their own, which is small. The table is made anew, as its own rule that ids be
    // unique was an index over all; that no id is in both, `put_record` sees to.
    "CREATE TABLE records_anew (
         number  INTEGER PRIMARY KEY,
         id      BLOB NOT NULL,
         kind    INTEGER NOT NULL,
         author  BLOB NOT NULL,
         patient BLOB,
         report  BLOB,
         time    INTEGER NOT NULL,
         seq     INTEGER,
         height  INTEGER,
         place   INTEGER,
         refused INTEGER,
         bytes   BLOB NOT NULL,
         CHECK ((seq IS NOT NULL) + (height IS NOT NULL AND place IS NOT NULL)
                + (refused IS NOT NULL) = 1)
     ) STRICT;
     INSERT INTO records_anew
     SELECT number, id, kind, author, patient, report, time, seq, height, place, refused, bytes FROM records;
     DROP VIEW readable;
     DROP TABLE records;
     ALTER TABLE records_anew RENAME TO records;
     CREATE UNIQUE INDEX records_waiting ON records (id) WHERE seq IS NOT NULL;
     CREATE UNIQUE INDEX records_settled ON records (id) WHERE seq IS NULL;
     CREATE UNIQUE INDEX records_in_queue ON records (seq) WHERE seq IS NOT NULL;
     CREATE UNIQUE INDEX records_in_block ON records (height, place) WHERE height IS NOT NULL;
     CREATE INDEX records_refused ON records (number) WHERE refused IS NOT NULL;
     CREATE INDEX records_of_author ON records (author) WHERE seq IS NULL;
     CREATE INDEX records_of_patient ON records (patient) WHERE patient IS NOT NULL AND seq IS NULL;
     CREATE INDEX records_of_report ON records (report) WHERE report IS NOT NULL AND seq IS NULL;
     CREATE INDEX records_of_time ON records (time) WHERE seq IS NULL;
     CREATE VIEW readable AS
     SELECT lower(hex(records.id)) AS record, kinds.name AS kind,
            datetime(records.time, 'unixepoch') AS time,
            lower(hex(author)) AS author, lower(hex(patient)) AS patient, lower(hex(report)) AS report,
            CASE WHEN seq IS NOT NULL THEN 'accepted' WHEN height IS NOT NULL THEN 'mined'
                 ELSE 'refused' END AS standing,
            seq, height, place, void_codes.meaning AS refused_because
     FROM records
     LEFT JOIN kinds ON kinds.code = records.kind
     LEFT JOIN void_codes ON void_codes.code = records.refused;",
];

/// Bytes of a value that lies beside its key in the table `state`; one of more lies in `state_long`. Members, whose keys
/// are long, and grants on many reports are such.
pub(super) const LONG: usize = 500;

/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;

/// What every SQLite database begins with.
pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Pages that a reader keeps in memory, in KiB. More of them save reads, but no time (`docs/benchmarks.md`).
const READER_CACHE_KIB: i64 = 16 << 10;

/// Pages that the writer keeps in memory, in KiB. Ids are random: a block changes thousands of pages of the state and of
/// the indexes of records. Those that do not fit are read anew from the file, and written to the log before they are done.
const WRITER_CACHE_KIB: i64 = 64 << 10;

/// How long a writer waits for another process before it says that the ledger is busy.
pub(super) const BUSY: Duration = Duration::from_millis(250);

/// A record is in exactly one of three states: in the queue (`seq`), in a block (`height`, `place`),
/// or refused (`refused`, the code). Times are seconds since 1970; one beyond 2^63 wraps to negative.
/// Ids are their bytes: `hex(id)` shows them, a block's id is written from its last byte to the first.
const TABLES: &str = "
CREATE TABLE blocks (
    height      INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE,
    header      BLOB NOT NULL,
    signature   BLOB,
    descriptor  BLOB,
    miner       BLOB,
    node        BLOB NOT NULL,
    records     INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    median_time INTEGER NOT NULL,
    chain_work  BLOB NOT NULL
) STRICT;

CREATE TABLE records (
    number  INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE,
    kind    INTEGER NOT NULL,
    author  BLOB NOT NULL,
    patient BLOB,
    report  BLOB,
    time    INTEGER NOT NULL,
    seq     INTEGER,
    height  INTEGER,
    place   INTEGER,
    refused INTEGER,
    bytes   BLOB NOT NULL,
    CHECK ((seq IS NOT NULL) + (height IS NOT NULL AND place IS NOT NULL)
           + (refused IS NOT NULL) = 1)
) STRICT;
CREATE UNIQUE INDEX records_in_queue ON records (seq) WHERE seq IS NOT NULL;
CREATE UNIQUE INDEX records_in_block ON records (height, place) WHERE height IS NOT NULL;
CREATE INDEX records_refused ON records (number) WHERE refused IS NOT NULL;
CREATE INDEX records_of_author ON records (author);
CREATE INDEX records_of_patient ON records (patient) WHERE patient IS NOT NULL;
CREATE INDEX records_of_report ON records (report) WHERE report IS NOT NULL;

CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE local (
    drawer INTEGER NOT NULL,
    key    BLOB NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (drawer, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE kinds (code INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE void_codes (code INTEGER PRIMARY KEY, meaning TEXT NOT NULL) STRICT;

CREATE VIEW readable AS
SELECT lower(hex(records.id)) AS record, kinds.name AS kind,
       datetime(records.time, 'unixepoch') AS time,
       lower(hex(author)) AS author, lower(hex(patient)) AS patient, lower(hex(report)) AS report,
       CASE WHEN seq IS NOT NULL THEN 'accepted' WHEN height IS NOT NULL THEN 'mined'
            ELSE 'refused' END AS standing,
       seq, height, place, void_codes.meaning AS refused_because
FROM records
LEFT JOIN kinds ON kinds.code = records.kind
LEFT JOIN void_codes ON void_codes.code = records.refused;
";

/// Lays out an empty database.
pub(super) fn lay_out(db: &mut Connection) -> Result<(), StoreError> {
    let error = |error| failed("laying out the ledger", error);
    let unit = db.transaction().map_err(error)?;
    unit.execute_batch(TABLES).map_err(error)?;
    list_codes(&unit).map_err(error)?;
    unit.pragma_update(None, "application_id", APPLICATION_ID).map_err(error)?;
    for step in STEPS {
        unit.execute_batch(step).map_err(error)?;
    }
    unit.pragma_update(None, "user_version", LAYOUT).map_err(error)?;
    unit.commit().map_err(error)
}

/// Brings a ledger of an earlier layout up to date: all steps in one transaction, or none.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let error = |error| failed("bringing the ledger's layout up to date", error);
    let unit = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    // Asked within: another process may have been faster.
    let found = identify(&unit, path)?;
    for step in &STEPS[usize::try_from(found - 1).unwrap_or(STEPS.len())..] {
        unit.execute_batch(step).map_err(error)?;
    }
    list_codes(&unit).map_err(error)?;
    unit.pragma_update(None, "user_version", LAYOUT).map_err(error)?;
    unit.commit().map_err(error)
}

/// What the numbers in the tables mean, for whoever looks into them.
fn list_codes(db: &Connection) -> rusqlite::Result<()> {
    for kind in Kind::ALL {
        db.execute("INSERT OR REPLACE INTO kinds VALUES (?1, ?2)", (kind.code(), kind.name()))?;
    }
    for code in VoidCode::ALL {
        let row = (code.code(), code.to_string());
        db.execute("INSERT OR REPLACE INTO void_codes VALUES (?1, ?2)", row)?;
    }
    Ok(())
}

/// The layout of the file, which is a ledger of one that this version knows. Changes nothing.
pub(super) fn identify(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let error = |error| failed("opening the ledger", error);
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(error)? != i64::from(APPLICATION_ID) {
        return Err(StoreError::NotALedger(path.display().to_string()));
    }
    let found = pragma("user_version").map_err(error)?;
    if found > LAYOUT {
        return Err(StoreError::UnknownVersion { found, newest: LAYOUT });
    }
    if found < 1 {
        return Err(StoreError::Damaged(format!("the ledger's layout is said to be {found}")));
    }
    Ok(found)
}

/// What every connection is set to before it reads anything.
pub(super) fn configure(db: &Connection) -> Result<(), StoreError> {
    let error = |error| failed("opening the ledger", error);
    db.busy_timeout(BUSY).map_err(error)?;
    db.set_prepared_statement_cache_capacity(64);
    // A file somebody tampered with may not run functions of its choice, nor crash us.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(error)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(error)?;
    db.pragma_update(None, "cell_size_check", true).map_err(error)?;
    // Otherwise a statement with `LIMIT ?` is parsed and planned anew each time a value is bound to it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
    // Nothing of the ledger is to lie in temporary files.
    db.pragma_update(None, "temp_store", "MEMORY").map_err(error)
}

/// Pages of a large state that lead to others, for a connection that only reads.
pub(super) fn configure_reader(db: &Connection) -> Result<(), StoreError> {
    db.pragma_update(None, "cache_size", -READER_CACHE_KIB)
        .map_err(|error| failed("opening the ledger", error))
}

/// Fixes the size of pages; only an empty database takes it.
pub(super) fn set_page_size(db: &Connection) -> Result<(), StoreError> {
    db.pragma_update(None, "page_size", i64::try_from(PAGE).unwrap_or(4096))
        .map_err(|error| failed("laying out the ledger", error))
}

/// What makes a writer's commits last, and what it removes disappear.
pub(super) fn configure_writer(db: &Connection) -> Result<(), StoreError> {
    let error = |error| failed("opening the ledger for writing", error);
    let mode: String =
        db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(error)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::Io {
            doing: "opening the ledger for writing".into(),
            source: format!("the file system has no write-ahead log (journal mode {mode})").into(),
        });
    }
    db.pragma_update(None, "synchronous", "FULL").map_err(error)?;
    db.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(error)?;
    db.pragma_update_and_check(None, "secure_delete", true, |_| Ok(())).map_err(error)?;
    // The platform's strongest flush, where it has more than one (macOS).
    db.pragma_update(None, "fullfsync", true).map_err(error)?;
    db.pragma_update(None, "checkpoint_fullfsync", true).map_err(error)
}
