//! What `verify`, `status` and `blocks check` say of damage beside the chain, and of a node that is away.

use crate::command::{Hospital, Run, files, plain};
use serde_json::{Value, json};
use std::fs;

/// Makes `settings.json` say that reports lie in a node where nobody answers.
#[cfg(feature = "kubo")]
fn in_a_node_that_is_away(hospital: &Hospital, mode: &str) {
    let path = hospital.folder().join("settings.json");
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    settings["storage"] =
        json!({"mode": mode, "kubo": {"address": "http://127.0.0.1:1", "public": false}});
    fs::write(path, settings.to_string()).unwrap();
}

fn with_report() -> Hospital {
    let hospital = Hospital::new(&[]);
    let file = hospital.write("report.txt", b"a report");
    hospital.run(&["upload", &file, "--as", "2", "--patient", "3", "--wait"]).json();
    hospital
}

fn sql(hospital: &Hospital, statement: &str) {
    let db = rusqlite::Connection::open(hospital.folder().join("ledger.db")).unwrap();
    assert!(db.execute(statement, []).unwrap() > 0, "{statement}");
}

fn error(run: &Run) -> Value {
    serde_json::from_str::<Value>(&run.stderr).expect(&run.stderr)["error"].clone()
}

#[cfg(feature = "kubo")]
#[test]
fn a_damaged_file_of_debts_keeps_nobody_from_reading_and_is_named_with_the_way_out() {
    let hospital = with_report();
    in_a_node_that_is_away(&hospital, "both");
    let owed = hospital.folder().join("owed-to-kubo");
    for bytes in [&b"a line that is no debt\n"[..], b"\xff\xfe\n"] {
        fs::write(&owed, bytes).unwrap();
        let status = hospital.run(&["status"]).json();
        assert!(status["owed_damaged"].as_str().unwrap().contains("owed-to-kubo"), "{status}");
        let people = plain(&["--ledger", hospital.folder().to_str().unwrap(), "status"]);
        assert!(people.text().contains("help: remove that file"), "{}", people.text());
        let verified = hospital.run(&["verify"]);
        verified.fails(5, "damaged", "verify");
        let told: Value = serde_json::from_slice(&verified.stdout).unwrap();
        assert_eq!(told["blocks"], 2, "the chain was checked: {told}");
        assert_eq!(told["reports"], 1, "what lies in the folder was hashed");
        let found = &told["findings"][0];
        assert_eq!(
            (&found["what"], told["findings"].as_array().unwrap().len()),
            (&json!("owed"), 1)
        );
        assert!(found["help"].as_str().unwrap().contains("storage use both"), "{found}");
        let shown = hospital.run(&["storage", "show"]).json();
        assert!(shown["owed_damaged"].is_string(), "{shown}");
        // Whoever writes needs it, and is told the same way out.
        let mined = hospital.run(&["mine"]);
        mined.fails(5, "damaged", "owed");
        assert!(error(&mined)["hint"].as_str().unwrap().contains("remove that file"), "{mined:?}");
    }
    fs::remove_file(&owed).unwrap();
    assert_eq!(hospital.run(&["verify"]).json()["ok"], true);
}

#[cfg(feature = "kubo")]
#[test]
fn where_the_node_is_away_the_chain_is_checked_and_the_rest_named() {
    let hospital = with_report();
    in_a_node_that_is_away(&hospital, "kubo");
    let verified = hospital.run(&["verify"]);
    let message = verified.fails(6, "environment", "backend");
    assert!(message.starts_with("the ciphertext of one report could not be checked"), "{message}");
    assert!(error(&verified)["hint"].as_str().unwrap().starts_with("the chain was checked"));
    let told: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(
        (&told["ok"], &told["blocks"], &told["reports"]),
        (&json!(false), &json!(2), &json!(0))
    );
    assert_eq!(told["unchecked"].as_array().unwrap().len(), 1);
    let people = plain(&["--ledger", hospital.folder().to_str().unwrap(), "verify"]);
    let text = String::from_utf8(people.stdout).unwrap();
    assert!(text.contains("NOT CHECKED: the ciphertext of one report"), "{text}");
    assert!(text.ends_with("all that could be checked is as it should be\n"), "{text}");
    // What is found all the same comes first.
    sql(&hospital, "UPDATE blocks SET miner = zeroblob(16) WHERE height = 1");
    let verified = hospital.run(&["verify"]);
    verified.fails(5, "damaged", "verify");
    let told: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(told["unchecked"].as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn each_finding_says_what_helps_and_no_id_stands_twice() {
    let hospital = with_report();
    sql(&hospital, "DELETE FROM local WHERE drawer = 5");
    sql(&hospital, "DELETE FROM local WHERE drawer = 1 AND substr(key, 25, 1) = x'03'");
    sql(&hospital, "UPDATE blocks SET time = time + 1 WHERE height = 1");
    let verified = plain(&["--ledger", hospital.folder().to_str().unwrap(), "verify"]);
    assert_eq!(verified.code, 5);
    let text = String::from_utf8(verified.stdout).unwrap();
    for line in [
        "block 1 is listed with another time than it has",
        ": its label is missing",
        ": the patient's wrapped key is missing",
        "  help: restore the folder from a backup",
        "  help: no other copy has it",
        "upload it again",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let report = hospital.run(&["reports", "--as", "3"]).json()["reports"][0]["report"].clone();
    let report = report.as_str().unwrap();
    for line in text.lines() {
        assert!(line.matches(report).count() < 2, "{line}");
    }
}

#[test]
fn a_ledger_that_does_not_open_is_not_sent_to_verify_by_verify() {
    let hospital = with_report();
    sql(&hospital, "DELETE FROM local WHERE drawer = 6 AND key = CAST('hospital' AS BLOB)");
    let verified = hospital.run(&["verify"]);
    verified.fails(5, "damaged", "damaged");
    let hint = error(&verified)["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("backup") && !hint.contains("medledger verify"), "{hint}");
}

#[test]
fn reports_that_nothing_keeps_are_counted_and_named() {
    let hospital = with_report();
    let whole = hospital.run(&["blocks", "check"]).json();
    assert_eq!((&whole["ok"], &whole["not_kept"]), (&json!(true), &json!([])));
    for entry in fs::read_dir(hospital.folder().join("blocks/pins")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let checked = hospital.run(&["blocks", "check"]);
    let message = checked.fails(5, "damaged", "not_kept");
    assert_eq!(message, "1 report on the ledger is not kept here");
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&told["ok"], &told["not_kept"][0]["here"]), (&json!(false), &json!(true)));
    assert!(told["not_kept"][0]["label"].is_string(), "{told}");
    let people = plain(&["--ledger", hospital.folder().to_str().unwrap(), "blocks", "check"]);
    let text = String::from_utf8(people.stdout).unwrap();
    assert!(text.contains("NOT KEPT: report ") && text.contains("kept by nothing"), "{text}");
    assert!(people.stderr.contains("medledger blocks collect"), "{}", people.stderr);
    // As it says.
    hospital.run(&["blocks", "collect"]).json();
    assert_eq!(hospital.run(&["blocks", "check"]).json()["ok"], true);
    // Gone altogether.
    for path in files(&hospital.folder().join("blocks")) {
        if path.extension().is_some_and(|ending| ending == "pin" || ending == "data") {
            fs::remove_file(path).unwrap();
        }
    }
    let checked = hospital.run(&["blocks", "check"]);
    assert_eq!(checked.code, 5, "{}", checked.stderr);
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(told["not_kept"][0]["here"], false, "{told}");
}
