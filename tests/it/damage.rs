//! What somebody changed, moved, cut or removed on the disk is named, and never read as if it were
//! whole. Each test damages a copy of one ledger in the ways of its table.

use crate::world::{PASSWORD, World, letters, report};
use medledger::core::Cid;
use medledger::core::receipt::ReceiptError;
use medledger::core::store::Drawer;
use medledger::core::store::StoreError;
use medledger::{
    AccessKey, Finding, Identity, IdentityError, Key, Ledger, MailSettings, NodeKeyError,
    OpenError, OpenReportError, ReportId, SettingsError, VerifyDepth,
};
use rusqlite::{Connection, Params, params};
use std::fs;
use std::path::{Path, PathBuf};

/// Two reports, one granted to a reader; all mined, and closed.
struct Base {
    world: World,
    report: ReportId,
    key: AccessKey,
    readers_key: AccessKey,
    other: ReportId,
    other_key: AccessKey,
    envelope: Cid,
    body: Cid,
    other_body: Cid,
}

/// Longer than a leaf, so that there is a root and more than one leaf.
const LEN: usize = 1_500_000;

impl Base {
    fn new() -> Self {
        let mut world = World::with_pick_up();
        let (uploaded, key) = world.upload(&report(LEN, 1));
        let (second, other_key) = world.upload(&report(LEN, 2));
        let readers_key = world.approve(&uploaded.report, &key);
        world.close();
        Self {
            world,
            report: uploaded.report,
            key,
            readers_key,
            other: second.report,
            other_key,
            envelope: uploaded.envelope,
            body: uploaded.body,
            other_body: second.body,
        }
    }

    /// A copy to be damaged.
    fn copy(&self) -> Damaged {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = temporary.path().join("ledger");
        copy(&self.world.folder, &folder);
        Damaged { folder, _temporary: temporary }
    }

    fn blocks(&self, folder: &Path) -> Vec<(Cid, PathBuf)> {
        let store = medledger::ipfs::store::FileStore::open_read_only(folder.join("blocks"))
            .expect("the blocks");
        use medledger::ipfs::store::BlockRead;
        let root = store.get(&self.body).unwrap().expect("the root");
        let mut cids = vec![self.envelope, self.body];
        cids.extend(medledger::ipfs::links::links_of(self.body.codec(), &root).expect("links"));
        cids.iter().map(|cid| (*cid, store.block_path(cid))).collect()
    }

    /// Opens the first report as its patient and reads it whole.
    fn read(&self, ledger: &Ledger) -> Result<Vec<u8>, OpenReportError> {
        ledger.open_report(&self.world.patient, &self.report, &Key::Access(&self.key))?.to_vec()
    }
}

struct Damaged {
    folder: PathBuf,
    _temporary: tempfile::TempDir,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

impl Damaged {
    /// Changes the database behind the ledger's back; so many rows are hit.
    fn sql(&self, statement: &str, values: impl Params) {
        let db = Connection::open(self.folder.join("ledger.db")).expect("the database");
        let hit = db.execute(statement, values).expect(statement);
        assert!(hit > 0, "nothing was damaged by {statement}");
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.folder).expect("it opens")
    }

    fn findings(&self, depth: VerifyDepth) -> Vec<Finding> {
        self.open().verify(depth).expect("it can be checked").findings
    }

    /// What verifying finds, among which there must be what `expected` looks for.
    fn finds(&self, what: &str, expected: impl Fn(&Finding) -> bool) {
        let findings = self.findings(VerifyDepth::Full);
        assert!(findings.iter().any(expected), "{what}: {findings:?}");
    }
}

fn change(path: &Path, how: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    how(&mut bytes);
    fs::write(path, bytes).expect("a file");
}

/// Ways to damage a file, by name.
type Way = (&'static str, fn(&mut Vec<u8>));
const WAYS: &[Way] = &[
    ("first bit flipped", |bytes| bytes[0] ^= 0x80),
    ("bit in the middle flipped", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }),
    ("last bit flipped", |bytes| *bytes.last_mut().unwrap() ^= 1),
    ("last byte cut", |bytes| bytes.truncate(bytes.len() - 1)),
    ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("emptied", Vec::clear),
    ("a byte longer", |bytes| bytes.push(0)),
    ("doubled", |bytes| bytes.extend_from_within(..)),
    ("far too long", |bytes| bytes.resize(9 << 20, 0)),
];

#[test]
fn pitfall_16_a_changed_block_is_named_and_never_read() {
    let base = Base::new();
    let damaged = base.copy();
    for (cid, path) in base.blocks(&damaged.folder) {
        let whole = fs::read(&path).unwrap();
        for (what, how) in WAYS {
            change(&path, how);
            let ledger = damaged.open();
            match base.read(&ledger) {
                Err(OpenReportError::Damaged(text)) => {
                    assert!(text.contains(&cid.to_string()), "{what}: {text}");
                }
                other => panic!("{what}, {cid}: {:?}", other.map(|bytes| bytes.len())),
            }
            let found = ledger.verify(VerifyDepth::Full).unwrap().findings;
            assert!(
                matches!(&found[..], [Finding::Damaged { report, cid: at, .. }]
                    if *report == base.report && *at == cid),
                "{what}: {found:?}"
            );
            assert!(ledger.verify(VerifyDepth::Chain).unwrap().findings.is_empty());
            fs::write(&path, &whole).unwrap();
        }
    }
    assert!(damaged.findings(VerifyDepth::Full).is_empty());
}

#[test]
fn pitfall_06_a_missing_block_is_named_and_the_rest_still_opens() {
    let base = Base::new();
    let damaged = base.copy();
    let blocks = base.blocks(&damaged.folder);
    for (cid, path) in &blocks {
        let whole = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        let ledger = damaged.open();
        match base.read(&ledger) {
            Err(OpenReportError::Missing(at)) => assert_eq!(at, *cid),
            other => panic!("{cid}: {:?}", other.map(|bytes| bytes.len())),
        }
        let found = ledger.verify(VerifyDepth::Full).unwrap().findings;
        assert!(matches!(&found[..], [Finding::Missing { cid: at, .. }] if at == cid), "{found:?}");
        fs::write(path, &whole).unwrap();
    }
    // Without its last leaf a report's first bytes still read, and nothing beyond them.
    fs::remove_file(&blocks.last().unwrap().1).unwrap();
    let ledger = damaged.open();
    let key = Key::Access(&base.key);
    let mut opened = ledger.open_report(&base.world.patient, &base.report, &key).unwrap();
    assert_eq!(opened.read_range(0, 100).unwrap(), report(LEN, 1)[..100]);
    assert!(matches!(opened.read_range(LEN as u64 - 100, 100), Err(OpenReportError::Missing(_))));
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut opened, &mut out).unwrap_err();
    assert_eq!(out, report(LEN, 1)[..out.len()], "wrong plaintext before the end");
}

#[test]
fn pitfall_07_swapped_ciphertext_does_not_open() {
    let base = Base::new();
    let damaged = base.copy();
    let store =
        medledger::ipfs::store::FileStore::open_read_only(damaged.folder.join("blocks")).unwrap();
    let (a, b) = (store.block_path(&base.body), store.block_path(&base.other_body));
    let (first, second) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
    fs::write(&a, &second).unwrap();
    fs::write(&b, &first).unwrap();
    let error = base.read(&damaged.open()).unwrap_err();
    assert!(matches!(error, OpenReportError::Damaged(_)), "{error:?}");
    fs::write(&a, &first).unwrap();
    fs::write(&b, &second).unwrap();

    // The ledger's own entry of one report in place of the other's: blocks are whole, keys do not fit.
    let row = |report: &ReportId| [&b"r"[..], report.as_bytes()].concat();
    damaged.sql(
        "UPDATE state SET value = (SELECT value FROM state WHERE key = ?2) WHERE key = ?1",
        params![row(&base.report), row(&base.other)],
    );
    let ledger = damaged.open();
    for key in [Key::Access(&base.key), Key::Access(&base.other_key), Key::Identity] {
        let opened = ledger.open_report(&base.world.patient, &base.report, &key);
        assert!(
            matches!(opened, Err(OpenReportError::WrongKey | OpenReportError::Unseal(_))),
            "{opened:?}"
        );
    }
    drop(ledger);
    damaged.finds(
        "another report's entry",
        |found| matches!(found, Finding::State { key } if *key == hex(&row(&base.report))),
    );
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[test]
fn a_wrong_key_opens_nothing_and_says_so() {
    let base = Base::new();
    let damaged = base.copy();
    let ledger = damaged.open();
    let (patient, reader, doctor) = (&base.world.patient, &base.world.reader, &base.world.doctor);
    let random = AccessKey::from_bytes([7; 16]);
    type Expected = fn(&OpenReportError) -> bool;
    let wrong: Expected = |error| matches!(error, OpenReportError::WrongKey);
    let none: Expected = |error| matches!(error, OpenReportError::NoAccess);
    let table: &[(&str, &Identity, Key<'_>, Expected)] = &[
        ("a random key", patient, Key::Access(&random), wrong),
        ("another report's key", patient, Key::Access(&base.other_key), wrong),
        ("the reader's key at the patient", patient, Key::Access(&base.readers_key), wrong),
        ("a random key at the reader", reader, Key::Access(&random), wrong),
        ("the patient's key at the reader", reader, Key::Access(&base.key), wrong),
        ("an identity where a key is needed", reader, Key::Identity, wrong),
        ("the reader's key at the author", doctor, Key::Access(&base.readers_key), none),
        ("the patient's key at the author", doctor, Key::Access(&base.key), none),
        ("the author's identity", doctor, Key::Identity, none),
    ];
    for (what, who, key, expected) in table {
        let error = ledger.open_report(who, &base.report, key).expect_err(what);
        assert!(expected(&error), "{what}: {error:?}");
    }
    let absent = ReportId::from_bytes([9; 16]);
    let error = ledger.open_report(patient, &absent, &Key::Identity).unwrap_err();
    assert!(none(&error), "absent and forbidden look the same: {error:?}");
    assert_eq!(base.read(&ledger).unwrap(), report(LEN, 1));
}

#[test]
fn pitfall_47_a_changed_or_removed_record_is_found() {
    let base = Base::new();
    let chain = |found: &Finding| matches!(found, Finding::Chain(_));
    let listed = |expected: &'static str| move |found: &Finding| matches!(found, Finding::Listed { what, .. } if *what == expected);
    let rows: &[(&str, &str, Box<dyn Fn(&Finding) -> bool>)] = &[
        (
            "a bit",
            "UPDATE records SET bytes = CAST(substr(bytes, 1, 40) || x'ff' || substr(bytes, 42) AS BLOB) WHERE height = 2",
            Box::new(chain),
        ),
        (
            "cut",
            "UPDATE records SET bytes = substr(bytes, 1, length(bytes) - 1) WHERE height = 2",
            Box::new(chain),
        ),
        (
            "extended",
            "UPDATE records SET bytes = CAST(bytes || x'00' AS BLOB) WHERE height = 2",
            Box::new(chain),
        ),
        ("emptied", "UPDATE records SET bytes = x'' WHERE height = 2", Box::new(chain)),
        (
            "another's bytes",
            "UPDATE records SET bytes = (SELECT bytes FROM records WHERE height = 3) WHERE height = 2",
            Box::new(chain),
        ),
        ("removed", "DELETE FROM records WHERE height = 2", Box::new(chain)),
        (
            "put back into the queue",
            "UPDATE records SET seq = 99, height = NULL, place = NULL WHERE height = 2",
            Box::new(chain),
        ),
        ("another place", "UPDATE records SET place = 7 WHERE height = 2", Box::new(chain)),
        (
            "another author",
            "UPDATE records SET author = zeroblob(16) WHERE height = 2",
            Box::new(listed("author")),
        ),
        (
            "another patient",
            "UPDATE records SET patient = zeroblob(16) WHERE height = 2",
            Box::new(listed("patient")),
        ),
        (
            "no patient",
            "UPDATE records SET patient = NULL WHERE height = 2",
            Box::new(listed("patient")),
        ),
        (
            "another report",
            "UPDATE records SET report = zeroblob(16) WHERE height = 2",
            Box::new(listed("report")),
        ),
        (
            "another time",
            "UPDATE records SET time = time + 1 WHERE height = 2",
            Box::new(listed("time")),
        ),
        ("another kind", "UPDATE records SET kind = 1 WHERE height = 2", Box::new(listed("kind"))),
        (
            "an unknown kind",
            "UPDATE records SET kind = 999 WHERE height = 2",
            Box::new(|found| matches!(found, Finding::Stored(_))),
        ),
        (
            "an id of three bytes",
            "UPDATE records SET author = x'010203' WHERE height = 2",
            Box::new(chain),
        ),
    ];
    for (what, statement, expected) in rows {
        let damaged = base.copy();
        damaged.sql(statement, []);
        damaged.finds(what, expected);
        no_wrong_plaintext(&base, &damaged, what);
    }
}

/// Whatever was done to it: the report reads as it was, or not at all, and nothing panics.
fn no_wrong_plaintext(base: &Base, damaged: &Damaged, what: &str) {
    let Ok(ledger) = Ledger::open(&damaged.folder) else { return };
    if let Ok(bytes) = base.read(&ledger) {
        assert!(bytes == report(LEN, 1), "{what}: wrong plaintext");
    }
    let _ = ledger.reports(&base.world.patient.id());
    let _ = ledger.members();
    let _ = ledger.log(&medledger::core::store::RecordQuery::default());
    let _ = ledger.send_mail();
}

#[test]
fn a_changed_waiting_record_is_refused_and_named() {
    let base = Base::new();
    let damaged = base.copy();
    {
        let ledger = damaged.open();
        ledger.upload(&base.world.doctor, &base.world.patient.id(), &b"waits"[..]).unwrap();
    }
    damaged.sql(
        "UPDATE records SET bytes = CAST(substr(bytes, 1, 40) || x'ff' || substr(bytes, 42) AS BLOB) \
         WHERE seq IS NOT NULL",
        [],
    );
    damaged.finds("a waiting record", |found| matches!(found, Finding::Stored(_)));
    let mined = damaged.open().mine();
    assert!(
        matches!(mined, Err(medledger::core::engine::OrderError::Store(StoreError::Damaged(_)))),
        "{mined:?}"
    );
}

#[test]
fn pitfall_27_a_changed_block_of_the_chain_is_found() {
    let base = Base::new();
    let chain = |found: &Finding| matches!(found, Finding::Chain(_));
    let rows = [
        (
            "header",
            "UPDATE blocks SET header = CAST(substr(header, 1, 40) || x'ff' || substr(header, 42) AS BLOB) WHERE height = 2",
        ),
        ("header cut", "UPDATE blocks SET header = substr(header, 1, 79) WHERE height = 2"),
        (
            "header extended",
            "UPDATE blocks SET header = CAST(header || x'00' AS BLOB) WHERE height = 2",
        ),
        ("id", "UPDATE blocks SET id = zeroblob(32) WHERE height = 2"),
        ("signature", "UPDATE blocks SET signature = zeroblob(64) WHERE height = 2"),
        (
            "another block's signature",
            "UPDATE blocks SET signature = (SELECT signature FROM blocks WHERE height = 1) WHERE height = 2",
        ),
        ("no signature", "UPDATE blocks SET signature = NULL WHERE height = 2"),
        (
            "descriptor",
            "UPDATE blocks SET descriptor = (SELECT descriptor FROM blocks WHERE height = 1) WHERE height = 2",
        ),
        ("no descriptor", "UPDATE blocks SET descriptor = NULL WHERE height = 2"),
        (
            "node",
            "UPDATE blocks SET node = (SELECT node FROM blocks WHERE height = 1) WHERE height = 2",
        ),
        ("count of records", "UPDATE blocks SET records = 9 WHERE height = 2"),
        ("median time", "UPDATE blocks SET median_time = median_time + 1 WHERE height = 2"),
        ("work", "UPDATE blocks SET chain_work = zeroblob(32) WHERE height = 2"),
        (
            "more work than there is",
            "UPDATE blocks SET chain_work = x'7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff' WHERE height = 2",
        ),
        ("removed", "DELETE FROM blocks WHERE height = 2"),
    ];
    for (what, statement) in rows {
        let damaged = base.copy();
        damaged.sql(statement, []);
        damaged.finds(what, chain);
        no_wrong_plaintext(&base, &damaged, what);
    }
    // A header that hashes to the id beside it, but met no work and holds another root.
    let damaged = base.copy();
    let db = Connection::open(damaged.folder.join("ledger.db")).unwrap();
    let mut header: Vec<u8> =
        db.query_row("SELECT header FROM blocks WHERE height = 2", [], |row| row.get(0)).unwrap();
    header[40] ^= 1;
    let header = medledger::core::pow::Header::from_bytes(&header.try_into().unwrap());
    drop(db);
    damaged.sql(
        "UPDATE blocks SET header = ?1, id = ?2 WHERE height = 2",
        params![header.to_bytes(), header.id().as_bytes()],
    );
    damaged.finds("a forged header", chain);

    for (what, statement) in [
        ("genesis header", "UPDATE blocks SET header = zeroblob(80) WHERE height = 0"),
        ("no genesis", "DELETE FROM blocks WHERE height = 0"),
        ("no configuration", "DELETE FROM state WHERE key = x'63'"),
        (
            "configuration",
            "UPDATE state SET value = CAST(substr(value, 1, 20) || x'ff' || substr(value, 22) AS BLOB) WHERE key = x'63'",
        ),
    ] {
        let damaged = base.copy();
        damaged.sql(statement, []);
        let error = Ledger::open(&damaged.folder).expect_err(what);
        assert!(matches!(error, OpenError::Store(StoreError::Damaged(_))), "{what}: {error:?}");
    }
}

#[test]
fn pitfall_28_a_changed_or_older_checkpoint_is_found() {
    let base = Base::new();
    let newest = "WHERE drawer = 6 AND key = CAST('checkpoint' AS BLOB)";
    let bad = |found: &Finding| matches!(found, Finding::BadCheckpoint(_));
    let older: Vec<u8> = {
        // The same chain a block earlier: its checkpoint is signed and true, but old.
        let damaged = base.copy();
        let read = || {
            let db = Connection::open(damaged.folder.join("ledger.db")).unwrap();
            let sql = format!("SELECT value FROM local {newest}");
            db.query_row(&sql, [], |row| row.get::<_, Vec<u8>>(0)).unwrap()
        };
        read()
    };
    let damaged = base.copy();
    let mined = {
        let ledger = damaged.open();
        let uploaded =
            ledger.upload(&base.world.doctor, &base.world.patient.id(), &b"later"[..]).unwrap();
        ledger.wait_mined(&uploaded.record).unwrap();
        uploaded.record
    };
    damaged.sql(&format!("UPDATE local SET value = ?1 {newest}"), [&older]);
    damaged.finds(
        "an older checkpoint",
        |found| matches!(found, Finding::OldCheckpoint { size, blocks } if size + 1 == *blocks),
    );
    let error = damaged.open().receipt(&mined).unwrap_err();
    assert!(matches!(error, ReceiptError::NotFinal { .. }), "{error:?}");
    // And the database taken back behind its own checkpoint.
    damaged.sql("DELETE FROM blocks WHERE height = (SELECT max(height) FROM blocks)", []);
    damaged.sql("DELETE FROM blocks WHERE height = (SELECT max(height) FROM blocks)", []);
    damaged.finds("blocks taken back", bad);

    for (what, statement) in [
        (
            "a bit",
            "UPDATE local SET value = CAST(substr(value, 1, 60) || x'5a' || substr(value, 62) AS BLOB)",
        ),
        ("cut", "UPDATE local SET value = substr(value, 1, length(value) - 9)"),
        ("emptied", "UPDATE local SET value = x''"),
        ("not text", "UPDATE local SET value = x'ff00ff00'"),
    ] {
        let damaged = base.copy();
        damaged.sql(&format!("{statement} {newest}"), []);
        damaged.finds(what, bad);
        let ledger = damaged.open();
        let record = ledger.reports(&base.world.patient.id()).unwrap()[0].record;
        let error = ledger.receipt(&record).unwrap_err();
        assert!(matches!(error, ReceiptError::Store(StoreError::Damaged(_))), "{what}: {error:?}");
    }
    let damaged = base.copy();
    damaged.sql(&format!("DELETE FROM local {newest}"), []);
    damaged.finds("no checkpoint", |found| matches!(found, Finding::OldCheckpoint { size: 0, .. }));
}

#[test]
fn a_changed_state_or_log_tree_is_found() {
    let base = Base::new();
    let db = Connection::open(base.world.folder.join("ledger.db")).unwrap();
    let keys: Vec<Vec<u8>> = db
        .prepare("SELECT key FROM state WHERE key <> x'63'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let nodes: Vec<Vec<u8>> = db
        .prepare("SELECT key FROM local WHERE drawer = 7")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    drop(db);
    assert!(keys.len() > 10 && nodes.len() > 4);
    let damaged = base.copy();
    let whole = fs::read(damaged.folder.join("ledger.db")).unwrap();
    for key in &keys {
        for statement in [
            "DELETE FROM state WHERE key = ?1",
            "UPDATE state SET value = CAST(value || x'00' AS BLOB) WHERE key = ?1",
            "UPDATE state SET key = CAST(key || x'00' AS BLOB) WHERE key = ?1",
        ] {
            damaged.sql(statement, [key]);
            let found = damaged.findings(VerifyDepth::Chain);
            assert!(
                found.iter().any(|found| matches!(found, Finding::State { .. })),
                "{statement}, {}: {found:?}",
                hex(key)
            );
            restore(&damaged, &whole);
        }
    }
    for key in &nodes {
        for statement in [
            "DELETE FROM local WHERE drawer = 7 AND key = ?1",
            "UPDATE local SET value = zeroblob(32) WHERE drawer = 7 AND key = ?1",
            "UPDATE local SET value = x'00' WHERE drawer = 7 AND key = ?1",
        ] {
            damaged.sql(statement, [key]);
            damaged.finds(statement, |found| {
                matches!(found, Finding::Tree { .. } | Finding::Stored(_))
            });
            restore(&damaged, &whole);
        }
    }
}

fn restore(damaged: &Damaged, whole: &[u8]) {
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(damaged.folder.join(format!("ledger.db{ending}")));
    }
    fs::write(damaged.folder.join("ledger.db"), whole).unwrap();
}

#[test]
fn pitfall_45_a_slot_or_letter_moved_to_another_place_does_not_open() {
    let base = Base::new();
    let local = |drawer: Drawer| move |found: &Finding| matches!(found, Finding::Local { drawer: at, .. } if *at == drawer);
    // The other report's patient slot in place of this one's: same reader, same role.
    let damaged = base.copy();
    damaged.sql(
        "UPDATE local SET value = (SELECT value FROM local WHERE drawer = 1 \
         AND substr(key, 1, 16) = ?2 AND substr(key, 25, 1) = x'01') \
         WHERE drawer = 1 AND substr(key, 1, 16) = ?1 AND substr(key, 25, 1) = x'01'",
        params![base.report.as_bytes(), base.other.as_bytes()],
    );
    let ledger = damaged.open();
    for key in [&base.key, &base.other_key] {
        let key = Key::Access(key);
        let opened = ledger.open_report(&base.world.patient, &base.report, &key);
        assert!(
            matches!(opened, Err(OpenReportError::Store(StoreError::Damaged(_)))),
            "{opened:?}"
        );
    }
    drop(ledger);
    damaged.finds("a slot", local(Drawer::Slots));

    let damaged = base.copy();
    damaged.sql("DELETE FROM local WHERE drawer = 1 AND substr(key, 25, 1) = x'03'", []);
    damaged.finds("no slot", |found| matches!(found, Finding::NoSlot { .. }));

    for (drawer, code) in [(Drawer::Contacts, 4), (Drawer::Labels, 5), (Drawer::Slots, 1)] {
        for statement in [
            "UPDATE local SET value = substr(value, 1, length(value) - 1) WHERE drawer = ?1",
            "UPDATE local SET value = CAST(value || x'00' AS BLOB) WHERE drawer = ?1",
            "UPDATE local SET value = x'' WHERE drawer = ?1",
            "UPDATE local SET key = CAST(key || x'00' AS BLOB) WHERE drawer = ?1",
        ] {
            let damaged = base.copy();
            damaged.sql(statement, [code]);
            damaged.finds(statement, local(drawer));
            no_wrong_plaintext(&base, &damaged, statement);
        }
    }
}

#[test]
fn a_damaged_letter_is_named_and_keeps_no_other_back() {
    // Letters wait because their folder would have to be below a file.
    let mut world = World::new(MailSettings::Outbox("settings.json/outbox".into()));
    let ledger = world.ledger();
    for text in [&b"one"[..], b"two", b"three"] {
        ledger.upload(&world.doctor, &world.patient.id(), text).unwrap();
    }
    world.close();
    let settings = world.folder.join("settings.json");
    let text = fs::read_to_string(&settings).unwrap().replace("settings.json/outbox", "outbox");
    fs::write(&settings, text).unwrap();
    let db = Connection::open(world.folder.join("ledger.db")).unwrap();
    let moved = "UPDATE local SET key = CAST(substr(key, 1, 15) || x'00' AS BLOB) WHERE drawer = 2 AND key = \
                 (SELECT min(key) FROM local WHERE drawer = 2)";
    assert_eq!(db.execute(moved, []).unwrap(), 1);
    drop(db);
    world.reopen();
    let findings = world.ledger().verify(VerifyDepth::Full).unwrap().findings;
    assert!(matches!(findings[..], [Finding::Local { drawer: Drawer::Mail, .. }]), "{findings:?}");
    let report = world.ledger().send_mail().unwrap();
    assert_eq!((report.sent, report.waiting), (2, 1));
    assert!(matches!(report.error, Some(medledger::mail::NotifyError::Damaged { .. })));
    assert_eq!(letters(&world.folder).len(), 2);
}

#[test]
fn a_node_key_that_is_missing_or_another_is_named() {
    let base = Base::new();
    let other = World::with_pick_up();
    let others_key = fs::read(other.folder.join("node.key")).unwrap();
    type Expected = fn(&OpenError) -> bool;
    let malformed: Expected = |e| matches!(e, OpenError::NodeKey(NodeKeyError::Malformed(_)));
    let table: &[(&str, Option<Vec<u8>>, Expected)] = &[
        ("missing", None, |e| matches!(e, OpenError::NodeKey(NodeKeyError::Missing(_)))),
        ("another's", Some(others_key.clone()), |e| {
            matches!(e, OpenError::Store(StoreError::Damaged(_)))
        }),
        ("empty", Some(Vec::new()), malformed),
        ("cut", Some(others_key[..others_key.len() - 3].to_vec()), malformed),
        ("too long", Some([&others_key[..others_key.len() - 1], b"00\n"].concat()), malformed),
        ("not hexadecimal", Some(b"medledger node key v1\nzz\n".to_vec()), malformed),
        ("a later version", Some(b"medledger node key v2\n00\n".to_vec()), malformed),
        ("not text", Some(vec![0xff; 40]), malformed),
    ];
    for (what, bytes, expected) in table {
        let damaged = base.copy();
        let path = damaged.folder.join("node.key");
        match bytes {
            None => fs::remove_file(path).unwrap(),
            Some(bytes) => fs::write(path, bytes).unwrap(),
        }
        let error = Ledger::open(&damaged.folder).expect_err(what);
        assert!(expected(&error), "{what}: {error:?}");
    }
}

#[test]
fn settings_that_cannot_be_read_are_named() {
    let base = Base::new();
    type Expected = fn(&SettingsError) -> bool;
    let malformed: Expected = |error| matches!(error, SettingsError::Malformed { .. });
    let table: &[(&str, &str, Expected)] = &[
        ("empty", "", malformed),
        ("cut", "{\"v\": 1,", malformed),
        ("no version", "{}", malformed),
        ("unknown field", "{\"v\": 1, \"colour\": 3}", malformed),
        ("another type", "{\"v\": 1, \"cache_bytes\": \"many\"}", malformed),
        ("unknown mail", "{\"v\": 1, \"mail\": {\"pigeon\": 1}}", malformed),
        ("twice", "{\"v\": 1, \"v\": 1}", malformed),
        ("a later version", "{\"v\": 2, \"colour\": 3}", |error| {
            matches!(error, SettingsError::UnknownVersion { found: 2, .. })
        }),
    ];
    for (what, text, expected) in table {
        let damaged = base.copy();
        fs::write(damaged.folder.join("settings.json"), text).unwrap();
        match Ledger::open(&damaged.folder).expect_err(what) {
            OpenError::Settings(error) => assert!(expected(&error), "{what}: {error:?}"),
            error => panic!("{what}: {error:?}"),
        }
    }
}

#[test]
fn pitfall_21_an_identity_file_opens_only_for_its_member_and_password() {
    let base = Base::new();
    let damaged = base.copy();
    let ledger = damaged.open();
    let (doctor, patient) = (base.world.doctor.id(), base.world.patient.id());
    let file = |id| damaged.folder.join("identities").join(format!("{id}.identity"));
    let error = ledger.unlock(&doctor, "another password").unwrap_err();
    assert!(matches!(error, IdentityError::Unlock(_)), "{error:?}");

    let whole = fs::read(file(doctor)).unwrap();
    fs::copy(file(patient), file(doctor)).unwrap();
    match ledger.unlock(&doctor, PASSWORD).unwrap_err() {
        IdentityError::OtherMember { wanted, found } => {
            assert_eq!((wanted, found), (doctor, patient))
        }
        error => panic!("{error:?}"),
    }
    for (what, how) in WAYS {
        fs::write(file(doctor), &whole).unwrap();
        change(&file(doctor), how);
        let error = ledger.unlock(&doctor, PASSWORD).expect_err(what);
        assert!(matches!(error, IdentityError::Unlock(_)), "{what}: {error:?}");
    }
    // Any single bit; those in the parameters of the password hash are bounded, so this ends.
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(file(doctor), bytes).unwrap();
        let error = ledger.unlock(&doctor, PASSWORD).expect_err("a flipped bit");
        assert!(
            matches!(error, IdentityError::Unlock(_) | IdentityError::OtherMember { .. }),
            "bit at {at}: {error:?}"
        );
    }
    fs::remove_file(file(doctor)).unwrap();
    let error = ledger.unlock(&doctor, PASSWORD).unwrap_err();
    assert!(matches!(error, IdentityError::Missing(id) if id == doctor), "{error:?}");
}

#[test]
fn a_damaged_page_of_the_database_is_found_or_does_no_harm() {
    let base = Base::new();
    let damaged = base.copy();
    let path = damaged.folder.join("ledger.db");
    let whole = fs::read(&path).unwrap();
    let before = {
        let ledger = damaged.open();
        (ledger.members().unwrap(), ledger.reports(&base.world.patient.id()).unwrap())
    };
    let pages = whole.len() / 4096;
    assert!(pages >= 10, "{pages} pages");
    let (mut refused, mut found, mut harmless) = (0, 0, 0);
    for (page, at) in (0..pages).flat_map(|page| [0, 5, 1500, 4090].map(|at| (page, at))) {
        let mut bytes = whole.clone();
        for byte in &mut bytes[page * 4096 + at..][..4] {
            *byte ^= 0x5a;
        }
        restore(&damaged, &bytes);
        match Ledger::open(&damaged.folder) {
            Err(OpenError::Store(_)) => refused += 1,
            Err(error) => panic!("page {page}: {error:?}"),
            Ok(ledger) => {
                let verified = ledger.verify(VerifyDepth::Full);
                match verified.as_ref().map(|report| report.findings.len()) {
                    Ok(0) => {
                        // Nothing found: then nothing of what people see may have changed.
                        let after = (
                            ledger.members().unwrap(),
                            ledger.reports(&base.world.patient.id()).unwrap(),
                        );
                        assert!(after == before, "page {page} at {at}: changed and not found");
                        harmless += 1;
                    }
                    Ok(_) => found += 1,
                    Err(error) => panic!("page {page} at {at}: {error:?}"),
                }
            }
        }
        no_wrong_plaintext(&base, &damaged, &format!("page {page} at {at}"));
    }
    crate::world::say(&format!(
        "damaged pages: {refused} refused, {found} found, {harmless} harmless"
    ));
    assert!(refused > 0 && found > 0);
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("something else", b"this is no database, but it is long enough".repeat(200)),
    ] {
        restore(&damaged, &bytes);
        match Ledger::open(&damaged.folder) {
            Err(OpenError::Store(_)) => {}
            Err(error) => panic!("{what}: {error:?}"),
            Ok(ledger) => {
                assert!(!ledger.verify(VerifyDepth::Full).unwrap().findings.is_empty(), "{what}");
            }
        }
    }
}
