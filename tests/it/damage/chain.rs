//! The database: records, blocks of the chain, checkpoint, state and log tree.

use super::*;

#[test]
fn pitfall_47_a_changed_or_removed_record_is_found() {
    let base = Base::new();
    let chain = |found: &Finding| matches!(found, Finding::Chain(_));
    let listed = |expected: &'static str| move |found: &Finding| matches!(found, Finding::Listed { what, .. } if *what == expected);
    type Expected = Box<dyn Fn(&Finding) -> bool>;
    let rows: &[(&str, &str, Expected)] = &[
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
            Box::new(|found| matches!(found, Finding::Stored(_))),
        ),
    ];
    for (what, statement, expected) in rows {
        let damaged = base.copy();
        damaged.sql(statement, []);
        damaged.finds(what, expected);
        no_wrong_plaintext(&base, &damaged, what);
    }
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
            "UPDATE state_long SET value = CAST(substr(value, 1, 20) || x'ff' || substr(value, 22) AS BLOB) WHERE key = x'63'",
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
            "UPDATE state SET value = CAST(coalesce(value, (SELECT value FROM state_long WHERE key = ?1)) || x'00' AS BLOB) WHERE key = ?1",
            "UPDATE state SET key = CAST(key || x'00' AS BLOB) WHERE key = ?1",
        ] {
            damaged.sql(statement, [key]);
            let found = damaged.findings(VerifyDepth::Chain);
            assert!(
                found
                    .iter()
                    .any(|found| matches!(found, Finding::State { .. } | Finding::Stored(_))),
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
