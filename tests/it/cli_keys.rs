//! Keys on their way, who used them, and the audit log, through the command.

use crate::command::{Hospital, run, text};
use std::fs;

#[test]
fn keys_wait_are_renewed_and_go_into_private_pictures() {
    let hospital = Hospital::new(&[]);
    let add = ["member", "add", "--role", "doctor", "--name", "Dr Eve", "--delivery", "pickup"];
    assert_eq!(hospital.run(&add).json()["number"], 5);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let share = [
        "share",
        report,
        "--with",
        "5",
        "--as",
        "3",
        "--until",
        "1d",
        "--wait",
        "--purpose",
        "TREAT",
    ];
    let shared = hospital.run(&share).json();
    assert_eq!(text(&shared, "delivery"), "waits");
    assert!(shared.get("access_key").is_none());

    let picture = hospital.path("key.svg");
    let picture = picture.to_str().unwrap();
    let picked = hospital.run(&["pickup", "--as", "5", "--qr-file", picture]).json();
    let key = text(&picked["keys"][0], "access_key").to_owned();
    assert_eq!(text(&picked["keys"][0], "grant"), text(&shared, "grant"));
    assert!(fs::read_to_string(picture).unwrap().starts_with("<?xml"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(picture).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = hospital.run(&["pickup", "--as", "5"]).json();
    assert_eq!(again["keys"].as_array().unwrap().len(), 0);
    // What cannot be written is known before a key is destroyed or made.
    hospital.run(&["pickup", "--as", "5", "--qr-file", picture]).fails(2, "usage", "file_exists");
    hospital.run(&["pickup", "--as", "5", "--qr-file", "key.gif"]).fails(2, "usage", "qr_file");

    let target = hospital.path("opened");
    let target = target.to_str().unwrap();
    let open = ["open", report, "--as", "5", "--output", target, "--force"];
    hospital.run_with_key(&open, &key).json();
    let renew = ["key", "renew", "--grant", text(&shared, "grant"), "--as", "3", "--wait"];
    let renewed = hospital.run(&renew).json();
    assert_eq!(text(&renewed, "delivery"), "waits");
    hospital.run_with_key(&open, &key).fails(3, "refused", "revoked");
    let picked = hospital.run(&["pickup", "--as", "5"]).json();
    hospital.run_with_key(&open, text(&picked["keys"][0], "access_key")).json();

    // The patient's own key, with pictures of it for people.
    let picture = hospital.path("key.png");
    let renew = ["key", "renew", report, "--as", "3", "--qr-file", picture.to_str().unwrap()];
    let renewed = hospital.run(&renew).json();
    let key = medledger::AccessKey::from_text(text(&renewed, "access_key")).unwrap();
    assert_eq!(fs::read(picture).unwrap(), medledger::qr::png(&key)[..]);
    let own = ["open", report, "--as", "3", "--output", target, "--force"];
    hospital.run_with_key(&own, text(&uploaded, "access_key")).fails(3, "refused", "no_access");
    hospital.run_with_key(&own, text(&renewed, "access_key")).json();
    let shown = run(hospital.people(&["key", "renew", report, "--as", "3", "--qr"]), None);
    assert!(shown.text().contains('█') && shown.text().contains("ACCESS KEY"), "{}", shown.text());

    hospital.run(&["accesses", "--as", "2"]).fails(2, "usage", "no_patient");
    let accesses = hospital.run(&["accesses", "--as", "3"]).json();
    let seen = accesses["accesses"].as_array().unwrap();
    // The newest of them, unless one says where to begin.
    let some = |args: &[&str]| hospital.run(&[&["accesses", "--as", "3"], args].concat()).json();
    let last = seen.len() - 1;
    assert!(last > 0 && accesses["size"] == seen.len());
    assert_eq!(some(&["--limit", "1"])["accesses"][0], seen[last]);
    assert_eq!(some(&["--limit", "1", "--offset", "0"])["accesses"][0], seen[0]);
    assert_eq!(some(&["--offset", "1"])["accesses"][0], seen[1]);
    for list in [&["accesses", "--as", "3"][..], &["log"]] {
        let shown = run(hospital.people(&[list, &["--limit", "1"]].concat()), None);
        assert!(shown.stderr.contains("not shown"), "{}", shown.stderr);
        assert!(!run(hospital.people(list), None).stderr.contains("not shown"));
    }
    let who: Vec<_> = seen.iter().map(|access| text(access, "reader_name")).collect();
    assert_eq!(who, ["Dr Eve", "Dr Eve", "Pat Doe"]);
    assert_eq!(text(&seen[0], "purpose"), "TREAT");
    assert!(seen[2]["purpose"].is_null());
}

#[test]
fn how_keys_reach_people_is_said_when_the_ledger_is_made() {
    for (delivery, told) in [("mail", "mailed"), ("pickup", "waits"), ("caller", "pick_up")] {
        let hospital = Hospital::new(&["--mail", "outbox", "--delivery", delivery, "--mail-qr"]);
        let uploaded = hospital.upload(b"a report");
        assert_eq!(text(&uploaded, "delivery"), told);
        let letters: Vec<_> = fs::read_dir(hospital.folder().join("outbox"))
            .map(|entries| entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()))
            .map(Iterator::collect)
            .unwrap_or_default();
        let pictures = letters.iter().filter(|letter| letter.contains("image/svg+xml")).count();
        assert_eq!(pictures, usize::from(delivery == "mail"), "{letters:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("l");
    let init = ["--dir", folder.to_str().unwrap(), "init", "--json"];
    for wrong in [&["--delivery", "mail"][..], &["--mail-qr"]] {
        let args = [&init[..], wrong].concat();
        crate::command::plain(&args).fails(2, "usage", "arguments");
    }
    assert!(!folder.exists());
}

#[test]
fn pitfall_40_wrong_keys_are_counted_noted_and_signed_for() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let target = hospital.path("opened");
    let open = ["open", report, "--as", "4", "--output", target.to_str().unwrap()];
    for _ in 0..5 {
        hospital.run(&open).fails(3, "refused", "no_access");
    }
    let locked_out = hospital.run(&open);
    locked_out.fails(3, "refused", "too_many_attempts");
    for command in ["`medledger audit list`", "`medledger audit unlock MEMBER`"] {
        assert!(locked_out.hint().contains(command), "{}", locked_out.stderr);
    }
    let listed = hospital.run(&["audit", "list"]).json();
    let events: Vec<_> =
        listed["entries"].as_array().unwrap().iter().map(|entry| text(entry, "event")).collect();
    let none = "no-permission";
    assert_eq!(events, [none, none, none, none, none, "locked-out", "waiting"]);
    // A day of them is not a day of entries: beyond some they are only counted.
    for _ in 0..17 {
        hospital.run(&open).fails(3, "refused", "too_many_attempts");
    }
    assert_eq!(hospital.run(&["audit", "list"]).json()["entries"].as_array().unwrap().len(), 22);
    // The hospital lets the member try again, which is an entry of its own; others do not.
    let unlock = hospital.run(&["audit", "unlock", "4"]).json();
    assert_eq!(unlock["lifted"], 1);
    hospital.run(&open).fails(3, "refused", "no_access");
    let listed = hospital.run(&["audit", "list"]).json();
    let last_two: Vec<_> = listed["entries"].as_array().unwrap()[22..].iter().collect();
    assert_eq!((text(last_two[0], "event"), text(last_two[1], "event")), ("unlocked", none));
    assert_eq!(last_two[0]["member"], last_two[1]["member"]);
    hospital.run(&["audit", "digest", "--wait"]).json();
    let checked = hospital.run(&["audit", "verify"]).json();
    assert_eq!((&checked["size"], &checked["vouched"]), (&25.into(), &25.into()));
    // The newest of them, oldest first; or from where one says.
    let numbers = |args: &[&str]| -> Vec<u64> {
        let listed = hospital.run(&[&["audit", "list"], args].concat()).json();
        assert_eq!((&listed["size"], listed["broken"].is_null()), (&25.into(), true), "{listed}");
        let entries = listed["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(&["--limit", "2"]), [23, 24]);
    assert_eq!(numbers(&["--limit", "2", "--from", "3"]), [3, 4]);
    let shown = run(hospital.people(&["audit", "list", "--limit", "2", "--from", "3"]), None);
    assert!(shown.stderr.contains("3 older and 20 newer entries"), "{}", shown.stderr);
    let listed = hospital.run(&["audit", "list", "--from", "23"]).json();
    let counts: Vec<_> =
        listed["entries"].as_array().unwrap().iter().map(|e| &e["count"]).collect();
    assert_eq!(counts, [&serde_json::Value::from(1), &serde_json::Value::from(2)]);
    // Rows that somebody deletes by hand are missed when the log is listed.
    let path = hospital.folder().join("ledger.db");
    let whole = std::fs::read(&path).unwrap();
    let entry = "DELETE FROM local WHERE drawer = 15 AND substr(key, 1, 1) = x'6e' AND";
    let (all, end) = ("DELETE FROM local WHERE drawer = 15".to_owned(), "x'656e64'");
    for (sql, said) in [
        (format!("{entry} substr(key, 9, 1) = x'03'"), "audit entry 3 is missing"),
        (format!("{entry} substr(key, 9, 1) > x'14'"), "audit entry 21 is missing"),
        (format!("{all} AND key = {end}"), "said to have 0 entries, and has 25"),
        (format!("{all} AND (key = {end} OR substr(key, 9, 1) > x'01')"), "0 entries, and has 2"),
        (all, "some were cut off"),
    ] {
        std::fs::write(&path, &whole).unwrap();
        let database = rusqlite::Connection::open(&path).unwrap();
        database.execute(&sql, []).unwrap();
        drop(database);
        let listed = hospital.run(&["audit", "list", "--limit", "1"]).json();
        assert!(text(&listed, "broken").contains(said), "{sql}: {listed}");
        let shown = run(hospital.people(&["audit", "list", "--limit", "1"]), None);
        assert!(shown.stderr.contains("the log is broken"), "{sql}: {}", shown.stderr);
        assert!(shown.stderr.contains("audit verify"), "{}", shown.stderr);
    }
    let verified = hospital.run(&["audit", "verify"]);
    assert_ne!(verified.code, 0);
    assert!(verified.stderr.contains("some were cut off"), "{}", verified.stderr);
}
