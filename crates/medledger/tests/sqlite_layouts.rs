//! Ledgers of earlier layouts. `layout-1` was made by the version before layout 2: a hospital with a doctor, a
//! patient, a report, and a nurse whose registration still waits. `layout-2` was made by the version before layout 3:
//! the same with two grants to the nurse.
#![cfg(feature = "sqlite")]

#[path = "it/copy.rs"]
mod copy;

use copy::copy;
use medledger::sqlite::SqliteStore;
use medledger::{Ledger, OpenError, VerifyDepth};
use medledger_core::clock::Timestamp;
use medledger_core::registry::{Role, VoidCode};
use medledger_core::state::State;
use medledger_core::store::{RecordQuery, Standing, Store, StoreError, StoredRecord};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};

const NEWEST: i64 = 6;

/// A copy of a committed ledger, and its database.
fn committed(name: &str, dir: &Path) -> (PathBuf, PathBuf) {
    let folder = dir.join("ledger");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name), &folder);
    (folder.clone(), folder.join("ledger.db"))
}

fn of_layout_1(dir: &Path) -> (PathBuf, PathBuf) {
    committed("layout-1", dir)
}

fn layout(database: &Path) -> i64 {
    let db = Connection::open(database).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// Tables, indexes and views, as SQLite keeps them.
fn schema(database: &Path) -> Vec<String> {
    let db = Connection::open(database).unwrap();
    let mut statement =
        db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_ledger_of_layout_1_is_brought_up_to_date_when_opened_for_writing() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, database) = of_layout_1(dir.path());
    assert_eq!(layout(&database), 1);
    let before = fs::read(&database).unwrap();
    let error = Ledger::open_read_only(&folder).unwrap_err();
    assert!(
        matches!(error, OpenError::Store(StoreError::OldVersion { found: 1, newest: NEWEST })),
        "{error:?}"
    );
    assert!(error.to_string().contains("any command that writes"), "it says what to do");
    assert_eq!(fs::read(&database).unwrap(), before, "a reader changes nothing");
    let ledger = Ledger::open(&folder).unwrap();
    let verified = ledger.verify(VerifyDepth::Full).unwrap();
    assert!(verified.findings.is_empty(), "{:?}", verified.findings);
    assert_eq!((verified.blocks, verified.records, verified.reports), (4, 4, 1));
    assert_eq!(ledger.waiting().unwrap(), 1);
    // What waited goes on.
    assert_eq!(ledger.mine().unwrap().unwrap().stored.height, 4);
    drop(ledger);
    assert_eq!(layout(&database), NEWEST);
    let ledger = Ledger::open_read_only(&folder).unwrap();
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
    // It ends in the tables that a new ledger has.
    let new = dir.path().join("new.db");
    drop(SqliteStore::create(&new).unwrap());
    assert_eq!(schema(&database), schema(&new));
}

#[test]
fn a_patients_grants_of_layout_2_are_found_as_if_they_were_given_today() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, database) = committed("layout-2", dir.path());
    assert_eq!(layout(&database), 2);
    let ledger = Ledger::open(&folder).unwrap();
    // Replayed from the records, the state is the same to the bit.
    let verified = ledger.verify(VerifyDepth::Full).unwrap();
    assert!(verified.findings.is_empty(), "{:?}", verified.findings);
    let view = ledger.view().unwrap();
    let state = State::new(view.as_ref());
    let members = state.members().unwrap().into_iter();
    let patients: Vec<_> = members.filter(|(_, entry)| entry.role == Role::Patient).collect();
    let grants = state.grants_by(&patients[0].0).unwrap();
    assert_eq!(grants.len(), 2);
    for (_, entry) in grants {
        assert_eq!((entry.patient, entry.delegate, entry.parent), (patients[0].0, 0, None));
    }
    drop(view);
    drop(ledger);
    let db = Connection::open(&database).unwrap();
    let count = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let codes = i64::try_from(VoidCode::ALL.len()).unwrap();
    assert_eq!(count("SELECT count(*) FROM void_codes"), codes, "later codes are listed too");
}

#[test]
fn a_migration_cut_short_leaves_the_old_layout() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, database) = of_layout_1(dir.path());
    // The steps run, and the last thing of the unit fails: as when the power goes before the commit.
    let db = Connection::open(&database).unwrap();
    db.execute_batch("CREATE TABLE records_of_time (c)").unwrap();
    drop(db);
    let before = schema(&database);
    let error = SqliteStore::open(&database, false).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    assert_eq!((layout(&database), schema(&database)), (1, before));
    Connection::open(&database).unwrap().execute_batch("DROP TABLE records_of_time").unwrap();
    // A process that dies within the transaction leaves a log without a commit.
    let db = Connection::open(&database).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "cache_size", 1).unwrap();
    db.execute_batch(
        "BEGIN IMMEDIATE; CREATE INDEX records_of_time ON records (time); PRAGMA user_version = 2",
    )
    .unwrap();
    db.cache_flush().unwrap();
    let dead = dir.path().join("dead");
    copy(&folder, &dead);
    drop(db);
    let log = fs::metadata(dead.join("ledger.db-wal")).unwrap().len();
    assert!(log > 0, "there is something to be ignored");
    let _ = fs::remove_file(dead.join("ledger.db-shm"));
    let database = dead.join("ledger.db");
    assert_eq!(layout(&database), 1);
    let ledger = Ledger::open(&dead).unwrap();
    assert!(ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty());
    drop(ledger);
    assert_eq!(layout(&database), NEWEST);
}

#[test]
fn a_later_layout_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (_, database) = of_layout_1(dir.path());
    Connection::open(&database).unwrap().pragma_update(None, "user_version", NEWEST + 1).unwrap();
    let before = fs::read(&database).unwrap();
    for read_only in [true, false] {
        let error = SqliteStore::open(&database, read_only).unwrap_err();
        assert!(
            matches!(error, StoreError::UnknownVersion { found: 7, newest: NEWEST }),
            "{error:?}"
        );
    }
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn a_range_of_time_an_author_a_patient_and_a_report_are_found_by_their_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, database) = of_layout_1(dir.path());
    drop(Ledger::open(&folder).unwrap());
    let store = SqliteStore::open(&database, true).unwrap();
    let all = store.view().unwrap().find(&RecordQuery::default()).unwrap();
    let from = all[2].time;
    let query = RecordQuery { since: Some(from), ..RecordQuery::default() };

    let expected: Vec<_> = all.iter().filter(|record| record.time >= from).cloned().collect();
    assert_eq!(store.view().unwrap().find(&query).unwrap(), expected);
    let never = RecordQuery { until: Some(Timestamp::from_secs(0)), ..RecordQuery::default() };
    assert_eq!(store.view().unwrap().find(&never).unwrap(), []);
    // As `find` asks: SQLite is to go by time, not through the chain.
    let db = Connection::open(&database).unwrap();
    let plan = |standing: &str, filter: &str, order: &str| -> String {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT id FROM records WHERE {standing} AND {filter} \
             ORDER BY {order} LIMIT 10 OFFSET 0"
        );
        let mut statement = db.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    };
    let filters = [
        ("time >= 1 AND time < 2", "records_of_time"),
        ("author = x'01'", "records_of_author"),
        ("patient = x'01'", "records_of_patient"),
        ("report = x'01'", "records_of_report"),
        (
            "number IN (SELECT number FROM records WHERE time >= 1 AND seq IS NULL \
             UNION ALL SELECT number FROM records WHERE time < 0 AND seq IS NULL)",
            "records_of_time",
        ),
    ];
    for (filter, index) in filters {
        for (standing, order) in [("height", "height, place"), ("refused", "number")] {
            let plan = plan(&format!("{standing} IS NOT NULL AND seq IS NULL"), filter, order);
            assert!(plan.contains(index), "{filter}: {plan}");
            assert!(!plan.contains("records_in_block"), "{filter}: {plan}");
        }
        // Of those that wait there are never many, and no index costs a page of each commit.
        let filter = if index == "records_of_time" { "time > 1" } else { filter };
        let plan = plan("seq IS NOT NULL", filter, "seq");
        assert!(plan.contains("records_in_queue"), "{filter}: {plan}");
    }
}

#[test]
fn a_record_is_found_by_its_id_whether_it_waits_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, database) = of_layout_1(dir.path());
    drop(Ledger::open(&folder).unwrap());
    let store = SqliteStore::open(&database, false).unwrap();
    let all = store.view().unwrap().find(&RecordQuery::default()).unwrap();
    let waits = |record: &StoredRecord| matches!(record.standing, Standing::Accepted { .. });
    assert!(all.iter().any(waits) && !all.iter().all(waits), "both kinds");
    let mut unit = store.unit().unwrap();
    for record in &all {
        assert_eq!(unit.record(&record.id).unwrap().as_ref(), Some(record));
        assert_eq!(unit.standing(&record.id).unwrap(), Some(record.standing));
        // Put again, wherever it stands, it replaces itself.
        unit.put_record(record).unwrap();
        assert_eq!(unit.find(&RecordQuery::default()).unwrap().len(), all.len());
    }
    let (moved, code) = (all.iter().find(|record| waits(record)).unwrap(), VoidCode::Replayed);
    unit.settle(&moved.id, Standing::Refused { code }).unwrap();
    assert_eq!(unit.standing(&moved.id).unwrap(), Some(Standing::Refused { code }));
    unit.put_record(moved).unwrap();
    assert_eq!(unit.find(&RecordQuery::default()).unwrap(), all);
    drop(unit);
    drop(store);
    // As every look-up by id asks.
    let db = Connection::open(&database).unwrap();
    let sql = "EXPLAIN QUERY PLAN SELECT seq FROM records WHERE number = \
               (SELECT number FROM records WHERE id = ?1 AND seq IS NOT NULL \
                UNION ALL SELECT number FROM records WHERE id = ?1 AND seq IS NULL)";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([[0u8; 32]], |row| row.get::<_, String>(3)).unwrap();
    let plan = rows.collect::<Result<Vec<_>, _>>().unwrap().join("; ");
    assert!(plan.contains("records_waiting") && plan.contains("records_settled"), "{plan}");
    assert!(!plan.contains("SCAN records"), "{plan}");
}
