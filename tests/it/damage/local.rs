//! What is on no ledger: slots, letters, node key, settings, identities; and broken pages.

use super::*;

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
            assert_eq!((wanted, found), (doctor, patient));
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
