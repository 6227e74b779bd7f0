//! Ciphertext: blocks changed, missing or swapped; keys that do not fit.

use super::*;

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
            matches!(opened, Err(OpenReportError::NoAccess | OpenReportError::Unseal(_))),
            "{opened:?}"
        );
    }
    drop(ledger);
    damaged.finds(
        "another report's entry",
        |found| matches!(found, Finding::State { key } if *key == hex(&row(&base.report))),
    );
}

#[test]
fn a_wrong_key_opens_nothing_and_says_so() {
    let base = Base::new();
    let damaged = base.copy();
    let ledger = damaged.open();
    let (patient, reader, doctor) = (&base.world.patient, &base.world.reader, &base.world.doctor);
    let random = AccessKey::from_bytes([7; 16]);
    type Expected = fn(&OpenReportError) -> bool;
    let wrong: Expected = |error| matches!(error, OpenReportError::NoAccess);
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
