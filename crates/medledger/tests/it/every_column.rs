//! Whatever is changed in the database behind the ledger's back, `verify` says so, or there is a reason why nobody could
//! know: every column of every table, every kind of local row.

use crate::hospitals::{House, founders, new_hospital, settle};
use crate::support::{PASSWORD, World, copy, member, options, rng, world_with};
use medledger::core::record::Scope;
use medledger::core::registry::{Purpose, Role};
use medledger::core::store::{Drawer, StoreError};
use medledger::{
    Contact, DeliveryMode, EngineChoice, Identity, Key, Ledger, MailSettings, MiningControl,
    OpenError, Permission, ReaderKey, UploadOptions, VerifyDepth,
};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What cannot be known, and why. The first word is a table, the second its column or `row`, for a row that is removed;
/// then, of local rows, the drawer and the name of the row.
const UNKNOWABLE: &[(&str, &str)] = &[
    ("records number", "only the order in which refused records came hangs on it"),
    ("records seq", "what waits may wait in any order"),
    ("records refused", "the state in which it was refused is gone"),
    (
        "records bytes refused",
        "the id covers all but the signature; the keys of then may be others now",
    ),
    ("state value pruned", "without the records the state cannot be rebuilt"),
    ("state_long value pruned", "as for state"),
    ("local value Node kept-from", "among blocks without records it makes no difference"),
    ("local row Votes q", "others pass on what a quorum voted for again"),
    ("records row waiting", "nothing else says that it was ever accepted"),
    ("records row refused", "nothing else says that it was ever here"),
    ("kinds code", "a later version may have added a kind"),
    ("kinds row", "a version before a kind was added did not list it"),
    ("void_codes code", "as for kinds; the program itself never reads the table"),
    ("void_codes meaning", "each version words them anew; the program never reads them"),
    ("void_codes row", "as for kinds"),
    (
        "local row Slots",
        "whether a key was handed on is on no ledger; that the patient's is here is checked",
    ),
    (
        "local row Contacts several",
        "another hospital's name is known to whoever was given its card",
    ),
    ("local row Mail", "a letter that was sent leaves nothing"),
    ("local row Idempotency", "nothing else says that the key was used"),
    ("local row Pickup", "a key that was picked up leaves nothing"),
    ("local row Attempts", "failures are forgotten in time"),
    ("local row Queue p", "notes are swept away"),
    ("local row Votes v", "votes of others may not have come yet, own ones may have been let go"),
    (
        "local value Node last-member",
        "a number may have been given to a member who is not here any more",
    ),
    ("local value Node last-letter", "as for members"),
    (
        "local value Node submitted",
        "a name for the present queue that is made anew with each record",
    ),
    ("local row Node submitted", "as for its value"),
    ("local row Node labels-of-second", "it matters within one second only"),
    ("local value Node labels-of-second", "as for its row"),
    ("local row Node rotate/", "a report that was rotated is marked no more"),
    ("local row Node loss/", "a loss is told by this row alone"),
];

/// A folder with what may be damaged in it.
struct Case {
    name: &'static str,
    /// Keeps the folder.
    _world: Box<dyn std::any::Any>,
    folder: std::path::PathBuf,
}

/// One hospital: people, letters, keys that wait, failed attempts, groups, marks.
fn people() -> Case {
    let mut options = options();
    // Letters wait, as their folder would lie below a file.
    options.settings.mail = MailSettings::Outbox("settings.json/outbox".into());
    let w = world_with(options);
    let ledger = &w.ledger;
    let once = UploadOptions::named("a.txt", "text/plain").with_idempotency_key("visit-7");
    let mut reports = Vec::new();
    for text in [&b"one"[..], b"two"] {
        let uploaded =
            ledger.upload_with(&w.doctor, &w.patient.id(), text, &UploadOptions::default());
        reports.push(uploaded.unwrap().report);
    }
    let uploaded = ledger.upload_with(&w.doctor, &w.patient.id(), &b"three"[..], &once).unwrap();
    ledger.wait_mined(&uploaded.record).unwrap();
    let reader = Identity::generate(&mut rng());
    let contact = Contact::named("Dr Bob").with_delivery(DeliveryMode::Pickup);
    let done = ledger.register(&w.hospital, &reader, Role::Doctor, &contact).unwrap();
    ledger.wait_mined(&done.record).unwrap();
    let until = w.in_days(20);
    let may = Permission::new(Scope::Report(reports[0]), reader.id(), Purpose::Treatment, until);
    let shared = ledger.share(&w.patient, may, &Key::Identity, ReaderKey::Access).unwrap();
    ledger.wait_mined(&shared.record).unwrap();
    let wrong = medledger::AccessKey::generate(&mut rng());
    for _ in 0..3 {
        ledger.open_report(&reader, &reports[0], &Key::Access(&wrong)).map(drop).unwrap_err();
    }
    let group = ledger.create_group(&w.hospital, "tumour board", &[reader.id()]).unwrap();
    ledger.wait_mined(&group.record).unwrap();
    assert_eq!(ledger.mark_for_rotation(&w.patient, &Scope::Report(reports[1])).unwrap(), 1);
    let refused = ledger.request(&reader, &reports[1], Purpose::Research, until).unwrap();
    member(ledger, &w.hospital, Role::Nurse, "Nurse Eve");
    let World { ledger, folder, _dir, .. } = w;
    drop(ledger);
    let db = Connection::open(folder.join("ledger.db")).unwrap();
    let refuse = "UPDATE records SET seq = NULL, refused = 5 WHERE id = ?1";
    assert_eq!(db.execute(refuse, [refused.as_bytes()]).unwrap(), 1);
    Case { name: "people", _world: Box::new(_dir), folder }
}

/// Two hospitals, one of which was admitted: a handover, votes, blocks that are not final, a block beside the chain, a
/// record of the other one that waits.
fn several() -> Case {
    let dir = tempfile::tempdir().unwrap();
    let mut houses = founders(dir.path(), 1);
    let folder = dir.path().join("c");
    let (_, identity) = new_hospital(&folder, "C");
    {
        let a = &houses[0];
        let card = Ledger::hospital_card(&folder, Some(a.ledger.chain()), PASSWORD).unwrap();
        let proposal = a.ledger.propose_admission(&a.identity, &card).unwrap();
        let record = a.ledger.submit_proposal(&a.identity, &proposal).unwrap();
        a.ledger.wait_mined(&record).unwrap();
    }
    let (chain, file) = (houses[0].ledger.chain(), car(&houses[0].ledger));
    let (ledger, _) = Ledger::join(&folder, &chain, &file[..], &mut |_| {}).unwrap();
    houses.push(House { ledger, identity });
    let [a, c] = &houses[..] else { unreachable!() };
    member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
    settle(&[a, c]);
    for _ in 0..2 {
        let (_, at) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Bob");
        a.ledger.wait_mined(&at.record).unwrap();
    }
    for _ in 0..3 {
        let (_, at) = member(&c.ledger, &c.identity, Role::Doctor, "Dr Cid");
        c.ledger.wait_mined(&at.record).unwrap();
    }
    // Theirs has more work: ours is kept beside it.
    let taken = a.ledger.import_chain(&car(&c.ledger)[..], &mut |_| {}).unwrap();
    assert_eq!(taken.added, 3);
    member(&c.ledger, &c.identity, Role::Doctor, "Dr Dee");
    a.ledger.import_news(&c.ledger.export_news().unwrap()).unwrap();
    let folder = a.ledger.folder().to_path_buf();
    drop(houses);
    Case { name: "several", _world: Box::new(dir), folder }
}

/// A hospital that pruned its chain and once accepted a loss.
fn pruned() -> Case {
    let mut options = options();
    options.engine = EngineChoice::Log;
    let w = world_with(options);
    for _ in 0..13 {
        w.ledger.mine_with(&MiningControl::new(), true).unwrap().unwrap();
    }
    let backup = w.folder.with_file_name("backup");
    w.ledger.backup(&backup, &mut |_, _| {}).unwrap();
    w.ledger.mine_with(&MiningControl::new(), true).unwrap().unwrap();
    let lost = w.ledger.view().unwrap().tip().unwrap().unwrap();
    for name in ["node.key", "head"] {
        fs::copy(w.folder.join(name), backup.join(name)).unwrap();
    }
    Ledger::accept_loss(&backup, &lost.id).unwrap().unwrap();
    let ledger = Ledger::open(&backup).unwrap();
    assert!(ledger.prune_only_copy(10).unwrap().kept > 0);
    drop(ledger);
    Case { name: "pruned", folder: backup, _world: Box::new(w) }
}

fn car(ledger: &Ledger) -> Vec<u8> {
    let mut file = Vec::new();
    ledger.export_chain(&mut file, true, &mut |_, _| {}).unwrap();
    file
}

/// Tables and their columns, as they are in the file.
fn columns(db: &Connection) -> BTreeMap<String, Vec<String>> {
    let sql = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c \
               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY 1, c.cid";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut statement = db.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        found.entry(row.get(0).unwrap()).or_default().push(row.get(1).unwrap());
    }
    found
}

/// A row by its columns' values.
type Row = BTreeMap<String, Value>;

fn rows(db: &Connection, table: &str, columns: &[String]) -> Vec<Row> {
    let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        columns.iter().map(|column| Ok((column.clone(), row.get(column.as_str())?))).collect()
    };
    let rows = statement.query_map([], read).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// What kind of row it is, for the table above.
fn kind(case: &str, table: &str, row: &Row) -> String {
    match table {
        "state" | "state_long" => case.into(),
        "records" if row["seq"] != Value::Null => "waiting".into(),
        "records" if row["refused"] != Value::Null => "refused".into(),
        "local" => {
            let (Value::Integer(code), Value::Blob(key)) = (&row["drawer"], &row["key"]) else {
                panic!("a local row: {row:?}");
            };
            let drawers = Drawer::ALL.iter();
            let drawer = drawers.copied().find(|d| i64::from(d.code()) == *code).unwrap();
            match drawer {
                Drawer::Node => {
                    let known = ["rotate/", "loss/", "handover"];
                    let name = String::from_utf8_lossy(key).into_owned();
                    let known = known.iter().find(|known| name.starts_with(**known));
                    format!("{drawer:?} {}", known.map_or(name.as_str(), |known| known))
                }
                Drawer::Votes | Drawer::Queue | Drawer::Branches => {
                    format!("{drawer:?} {}", char::from(key[0]))
                }
                Drawer::Contacts => format!("{drawer:?} {case}"),
                _ => format!("{drawer:?}"),
            }
        }
        _ => String::new(),
    }
}

/// Other values that somebody might put in the place of one.
fn others(value: &Value) -> Vec<Value> {
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        Value::Blob(bytes)
    };
    match value {
        Value::Null => vec![Value::Blob(vec![7; 16]), Value::Integer(7)],
        Value::Integer(number) => vec![Value::Integer(number ^ 1), Value::Integer(number ^ 64)],
        Value::Text(text) => vec![Value::Text(format!("{text}."))],
        Value::Blob(bytes) if bytes.is_empty() => vec![Value::Blob(vec![0])],
        Value::Blob(bytes) => vec![
            flipped(bytes, 0),
            flipped(bytes, bytes.len() / 2),
            flipped(bytes, bytes.len() - 1),
            Value::Blob(bytes[1..].to_vec()),
            Value::Blob([&bytes[..], &[0]].concat()),
        ],
        Value::Real(_) => panic!("there are no such numbers"),
    }
}

/// Which row, for a statement.
fn which(row: &Row, table: &str) -> (String, Vec<Value>) {
    let key: &[&str] = match table {
        "local" => &["drawer", "key"],
        "state" | "state_long" => &["key"],
        "blocks" => &["height"],
        "records" => &["number"],
        _ => &["code"],
    };
    let one = |(at, column): (usize, &&str)| format!("{column} = ?{}", at + 2);
    let sql: Vec<String> = key.iter().enumerate().map(one).collect();
    (sql.join(" AND "), key.iter().map(|column| row[*column].clone()).collect())
}

struct Bench<'a> {
    folder: &'a Path,
    whole: Vec<u8>,
}

impl Bench<'_> {
    /// Whether somebody notices what a statement does. `None` where the database does not let it happen.
    fn noticed(&self, sql: &str, values: &[Value]) -> Option<bool> {
        let path = self.folder.join("ledger.db");
        for ending in ["-wal", "-shm"] {
            let _ = fs::remove_file(self.folder.join(format!("ledger.db{ending}")));
        }
        fs::write(&path, &self.whole).unwrap();
        let db = Connection::open(&path).unwrap();
        let changed = db.execute(sql, params_from_iter(values)).ok().filter(|hit| *hit > 0)?;
        assert_eq!(changed, 1, "{sql}");
        drop(db);
        Some(match Ledger::open_read_only(self.folder) {
            Err(OpenError::Store(StoreError::Damaged(_) | StoreError::NotALedger(_))) => true,
            Err(error) => panic!("{sql}: {error:?}"),
            Ok(ledger) => {
                let report = ledger
                    .verify(VerifyDepth::Full)
                    .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                assert!(report.unchecked.is_empty(), "{sql}: {:?}", report.unchecked);
                !report.findings.is_empty()
            }
        })
    }
}

/// Rows of one kind that are tried.
const ROWS: usize = 2;

#[test]
fn every_column_of_every_table_is_checked_or_there_is_a_reason_why_not() {
    let (mut unnoticed, mut places) = (BTreeMap::new(), BTreeSet::new());
    for case in [people(), several(), pruned()] {
        let folder = case.folder.with_file_name(format!("{}-copy", case.name));
        copy(&case.folder, &folder);
        let ledger = Ledger::open_read_only(&folder).unwrap();
        let found = ledger.verify(VerifyDepth::Full).unwrap().findings;
        assert!(found.is_empty(), "{}: {found:?}", case.name);
        drop(ledger);
        let path = folder.join("ledger.db");
        let db = Connection::open(&path).unwrap();
        let tables = columns(&db);
        let all: Vec<(&String, Vec<Row>)> =
            tables.iter().map(|(table, columns)| (table, rows(&db, table, columns))).collect();
        drop(db);
        let bench = Bench { folder: &folder, whole: fs::read(&path).unwrap() };
        let mut tried: BTreeMap<String, usize> = BTreeMap::new();
        for (table, rows) in all {
            for row in rows {
                let kind = kind(case.name, table, &row);
                let tries = tried.entry(format!("{table} {kind}")).or_default();
                *tries += 1;
                // Of contacts all: some are of other hospitals.
                if *tries > ROWS && !kind.starts_with("Contacts") {
                    continue;
                }
                let (one, key) = which(&row, table);
                let mut damage = |column: &str, sql: &str, value: Value| {
                    let place = format!("{table} {column} {kind}").trim_end().to_owned();
                    let values = [std::slice::from_ref(&value), &key].concat();
                    if let Some(noticed) = bench.noticed(sql, &values) {
                        places.insert(place.clone());
                        if !noticed {
                            let how = format!("{place} of {}: {key:?} has {value:?}", case.name);
                            unnoticed.entry(place).or_insert(how);
                        }
                    }
                };
                damage(
                    "row",
                    &format!("DELETE FROM {table} WHERE ?1 IS NULL AND {one}"),
                    Value::Null,
                );
                for column in &tables[table] {
                    let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {one}");
                    for other in others(&row[column]) {
                        damage(column, &sql, other);
                    }
                }
            }
        }
        for (table, columns) in &tables {
            for column in columns {
                let prefix = format!("{table} {column}");
                assert!(
                    places.iter().any(|place| place.starts_with(&prefix)),
                    "{prefix}: not tried"
                );
            }
        }
    }
    let reason = |place: &str| UNKNOWABLE.iter().find(|(known, _)| place.starts_with(known));
    let silent = unnoticed.iter().filter(|(place, _)| reason(place).is_none());
    let silent: Vec<&str> = silent.map(|(_, how)| how.as_str()).collect();
    assert!(silent.is_empty(), "damaged and not noticed:\n{}", silent.join("\n"));
    for (known, why) in UNKNOWABLE {
        assert!(
            unnoticed.keys().any(|place| place.starts_with(known)),
            "{known} is said to be beyond knowing ({why}), and is noticed, or was not tried"
        );
    }
    // The ledgers hold what they are made for.
    for held in [
        "Undo",
        "Branches k",
        "Branches b",
        "Queue p",
        "Votes s",
        "Votes a",
        "Votes v",
        "Node handover",
        "Node loss/",
        "Paths",
        "Audit",
        "Pickup",
    ] {
        assert!(places.iter().any(|place| place.contains(held)), "{held}: {places:?}");
    }
}
