//! Reports under new keys, from the command: at once, later, bit by bit, and confirmed by the hospital.

use crate::command::{Hospital, run, text};
use serde_json::Value;

fn opens(hospital: &Hospital, report: &str, reader: &str) -> Vec<u8> {
    let run = run(hospital.people(&["open", report, "--as", reader]), None);
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.stdout
}

fn people(hospital: &Hospital, args: &[&str]) -> String {
    run(hospital.people(args), None).text().to_owned()
}

/// Shares with a reader's identity; the grant.
fn share(hospital: &Hospital, what: &str, reader: &str) -> String {
    let args = ["share", what, "--with", reader, "--as", "3", "--until", "1d", "--to-identity"];
    text(&hospital.run(&[&args[..], &["--wait"]].concat()).json(), "grant").to_owned()
}

fn envelope(hospital: &Hospital, report: &str) -> String {
    let reports = hospital.run(&["reports", "--as", "3"]).json();
    let reports = reports["reports"].as_array().unwrap();
    let found = reports.iter().find(|found| found["report"] == report).expect("listed");
    text(found, "envelope").to_owned()
}

/// Waiting rotations, each confirmed as the same.
fn confirm(hospital: &Hospital) -> usize {
    let done = hospital.run(&["rotate", "confirm", "--as", "1", "--wait"]).json();
    let all = done["confirmations"].as_array().unwrap();
    assert!(all.iter().all(|row| row["result"] == "same" && row["record"].is_string()), "{done}");
    all.len()
}

#[test]
fn a_report_gets_a_new_key_once_the_hospital_confirms() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    share(&hospital, report, "4");
    let rotated = hospital.run(&["rotate", report, "--as", "3", "--wait"]).json();
    let row = &rotated["rotations"][0];
    assert_eq!((&row["epoch"], &row["readers"], &row["length"]), (&2.into(), &1.into(), &8.into()));
    assert_eq!((text(row, "report"), text(row, "delivery")), (report, "none"));
    assert_eq!(rotated["marked"], 0);
    // Nothing has changed yet.
    assert_eq!(envelope(&hospital, report), text(&uploaded, "envelope"));
    let shown = people(&hospital, &["rotate", "confirm", "--as", "1", "--wait"]);
    assert!(shown.contains("the same content: confirmed"), "{shown}");
    assert_ne!(envelope(&hospital, report), text(&uploaded, "envelope"));
    for reader in ["3", "4"] {
        assert_eq!(opens(&hospital, report, reader), b"a report");
    }
    // The patient's letter stays good.
    let target = hospital.path("opened");
    let open = ["open", report, "--as", "3", "-o", target.to_str().unwrap()];
    hospital.run_with_key(&open, text(&uploaded, "access_key")).json();
    assert_eq!(people(&hospital, &["rotate", "confirm", "--as", "1"]), "no rotation waits\n");
    let none = hospital.run(&["rotate", "confirm", "--as", "1"]).json();
    assert_eq!(
        (&none["confirmations"], &none["blocks"]),
        (&Value::Array(Vec::new()), &Value::Null)
    );
    let log = people(&hospital, &["log", "--kind", "rotate"]);
    assert!(log.contains(text(&uploaded, "label")), "{log}");

    // With the key of the letter, too.
    let by_key = ["rotate", report, "--as", "3", "--wait"];
    let again = hospital.run_with_key(&by_key, text(&uploaded, "access_key")).json();
    assert_eq!(again["rotations"][0]["epoch"], 3);
    assert_eq!(confirm(&hospital), 1);
    assert_eq!(opens(&hospital, report, "4"), b"a report");
}

#[test]
fn pitfall_19_who_is_cut_off_has_nothing_of_the_new_key() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let other = hospital.upload(b"another");
    let (report, other) = (text(&uploaded, "report"), text(&other, "report"));
    let grant = share(&hospital, report, "4");
    share(&hospital, report, "2");
    let revoked = ["revoke", &grant, "--as", "3", "--rotate", "now", "--wait"];
    let revoked = hospital.run(&revoked).json();
    let rotations = revoked["rotated"]["rotations"].as_array().unwrap();
    assert_eq!((rotations.len(), text(&rotations[0], "report")), (1, report));
    assert!(!revoked["blocks"].as_array().unwrap().is_empty());
    assert_eq!(confirm(&hospital), 1);
    assert_eq!(opens(&hospital, report, "2"), b"a report");
    let target = hospital.path("x");
    let open = ["open", report, "--as", "4", "-o", target.to_str().unwrap()];
    hospital.run(&open).fails(3, "refused", "revoked");

    // Later: marked, and rotated when it suits.
    let all = ["share", "--collection", "--with", "4", "--as", "3", "--until", "1d"];
    let all = hospital.run(&[&all[..], &["--to-identity", "--wait"]].concat()).json();
    let later = ["revoke", text(&all, "grant"), "--as", "3", "--rotate", "later", "--wait"];
    let later = hospital.run(&later).json();
    assert_eq!((&later["marked_now"], &later["rotated"]), (&2.into(), &Value::Null));
    let first = hospital.run(&["rotate", "--marked", "--limit", "1", "--as", "3"]).json();
    assert_eq!((first["rotations"].as_array().unwrap().len(), &first["marked"]), (1, &1.into()));
    let shown = people(&hospital, &["rotate", "--marked", "--as", "3", "--wait"]);
    assert!(shown.contains("the old keys stay in use until the hospital confirms"), "{shown}");
    assert_eq!(confirm(&hospital), 2);
    assert_eq!(people(&hospital, &["rotate", "--marked", "--as", "3"]), "nothing was rotated\n");
    for (report, bytes) in [(report, &b"a report"[..]), (other, b"another")] {
        assert_eq!(opens(&hospital, report, "3"), bytes);
    }
    assert_eq!(opens(&hospital, report, "2"), b"a report");
}

#[test]
fn all_reports_at_a_hospital_are_rotated_now_or_later() {
    let hospital = Hospital::new(&[]);
    let reports: Vec<Value> = (0..3u8).map(|n| hospital.upload(&[n])).collect();
    let ids: Vec<&str> = reports.iter().map(|report| text(report, "report")).collect();
    let marked = hospital.run(&["rotate", ids[0], ids[1], "--later", "--as", "3"]).json();
    assert_eq!((&marked["marked_now"], &marked["marked"]), (&2.into(), &2.into()));
    let shown = people(&hospital, &["rotate", "--collection", "--later", "--as", "3"]);
    assert_eq!(shown, "marked to be rotated: 1, in all 3\n");
    let rotated = hospital.run(&["rotate", "--collection", "--as", "3"]).json();
    assert_eq!(rotated["rotations"].as_array().unwrap().len(), 3);
    assert_eq!((&rotated["marked"], &rotated["blocks"]), (&0.into(), &Value::Null));
    assert_eq!(confirm(&hospital), 3);
    for (n, id) in (0..3u8).zip(ids) {
        assert_eq!(opens(&hospital, id, "3"), [n]);
    }
}

#[test]
fn marks_are_taken_back() {
    let hospital = Hospital::new(&[]);
    let reports: Vec<Value> = (0..3u8).map(|n| hospital.upload(&[n])).collect();
    let ids: Vec<&str> = reports.iter().map(|report| text(report, "report")).collect();
    hospital.run(&["rotate", "--collection", "--later", "--as", "3"]).json();
    let unmark = |args: &[&str]| {
        let done = hospital.run(&[&["rotate", "unmark", "--as", "3"], args].concat()).json();
        (done["unmarked"].as_u64().unwrap(), done["marked"].as_u64().unwrap())
    };
    assert_eq!(unmark(&[ids[0]]), (1, 2));
    assert_eq!(unmark(&[ids[0]]), (0, 2), "it is not marked");
    // Nobody takes back another's.
    let other = hospital.run(&["rotate", "unmark", "--all", "--as", "2"]).json();
    assert_eq!(other["unmarked"], 0);
    let rotated = hospital.run(&["rotate", "--marked", "--limit", "1", "--as", "3"]).json();
    assert_eq!(
        (rotated["rotations"].as_array().unwrap().len(), &rotated["marked"]),
        (1, &1.into())
    );
    assert_eq!(unmark(&["--all"]), (1, 0));
    let rotated = hospital.run(&["rotate", "--marked", "--as", "3"]).json();
    assert_eq!(rotated["rotations"].as_array().unwrap().len(), 0);
    assert_eq!(hospital.run(&["rotate", "unmark", "--as", "3"]).code, 2, "nothing is named");
}

#[test]
fn pitfall_32_who_may_not_rotate_or_confirm_does_not() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let other = hospital.upload(b"another");
    let (report, key) = (text(&uploaded, "report"), text(&uploaded, "access_key"));
    for who in ["1", "2", "4"] {
        let rotate = ["rotate", report, "--as", who];
        hospital.run(&rotate).fails(3, "refused", "unknown_report");
        hospital.run_with_key(&rotate, key).fails(3, "refused", "no_access");
    }
    let absent = "09".repeat(16);
    hospital.run(&["rotate", &absent, "--as", "3"]).fails(3, "refused", "unknown_report");
    hospital.run(&["rotate", "--as", "3"]).fails(2, "usage", "arguments");
    assert_eq!(hospital.run(&["rotate", report]).code, 2, "nobody acts");
    let both = ["rotate", report, text(&other, "report"), "--as", "3"];
    hospital.run_with_key(&both, key).fails(2, "usage", "arguments");
    let wrong = ["rotate", text(&other, "report"), "--as", "3"];
    let run = hospital.run_with_key(&wrong, key);
    run_failed_with(&run, "no_access");
    assert_eq!(people(&hospital, &["rotate", "confirm", "--as", "1"]), "no rotation waits\n");
    // Another than the hospital is told whose it is to confirm.
    hospital.run(&["rotate", report, "--as", "3", "--wait"]).json();
    for who in ["2", "3"] {
        let confirm = hospital.run(&["rotate", "confirm", "--as", who]);
        let message = confirm.fails(3, "refused", "role_not_allowed");
        assert!(message.contains("confirmed by the hospital"), "{message}");
    }
    assert_eq!(confirm(&hospital), 1);
}

/// A failure of one report: the document lists it, the exit code is its own.
#[track_caller]
fn run_failed_with(run: &crate::command::Run, code: &str) {
    let message = run.fails(3, "refused", code);
    assert!(message.starts_with("not rotated: 1 of 1 reports"), "{message}");
    let document: Value = serde_json::from_slice(&run.stdout).expect("one JSON document");
    assert_eq!(text(&document["rotations"][0]["error"], "code"), code);
    assert_eq!(document["blocks"], Value::Null);
}

#[test]
fn keys_that_are_not_here_are_told_apart_from_other_content() {
    use medledger::core::store::Drawer;
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    hospital.run(&["rotate", report, "--as", "3", "--wait"]).json();
    // The slots for the hospital are lost: the newest two rows of this report's are theirs.
    let ledger = medledger::Ledger::open(hospital.folder()).unwrap();
    let rows = {
        let view = ledger.view().unwrap();
        view.local_scan(Drawer::Slots, &[], None, usize::MAX).unwrap()
    };
    let role = medledger::core::slot::SlotRole::Confirm.code();
    let theirs: Vec<_> = rows.iter().filter(|(key, _)| key.get(24) == Some(&role)).collect();
    assert_eq!(theirs.len(), 2, "one of each epoch");
    drop(ledger);
    let database = rusqlite::Connection::open(hospital.folder().join("ledger.db")).unwrap();
    for (key, _) in theirs {
        let removed = database.execute("DELETE FROM local WHERE key = ?1", [key]).unwrap();
        assert_eq!(removed, 1);
    }
    drop(database);
    let confirm = hospital.run(&["rotate", "confirm", "--as", "1"]);
    let message = confirm.fails(4, "not_found", "no_keys");
    assert!(message.contains(report), "{message}");
    let document: Value = serde_json::from_slice(&confirm.stdout).expect("one JSON document");
    assert_eq!(document["confirmations"][0]["result"], "no_keys");
    // It has no effect, and the patient rotates again.
    assert_eq!(opens(&hospital, report, "3"), b"a report");
    hospital.run(&["rotate", report, "--as", "3", "--wait"]).json();
    assert_eq!(self::confirm(&hospital), 1);
    assert_eq!(opens(&hospital, report, "3"), b"a report");
}
