//! Receipts at the command line: both forms, checked with nothing but file and chain id, one exit code a
//! reason.

use crate::command::{Hospital, command, plain, run, text};
use data_encoding::HEXLOWER;
use serde_json::Value;
use std::fs;

/// A chain that none of these receipts is about.
const OTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";

#[test]
fn receipts_are_checked_offline_and_any_changed_byte_is_noticed() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"proven");
    let record = text(&uploaded, "record");
    let file = hospital.path("r.receipt");
    let file = file.to_str().unwrap();
    let proof = hospital.path("r.tlog-proof");
    let proof = proof.to_str().unwrap();
    let got = hospital.run(&["receipt", "get", &record[..8], "--output", file]).json();
    let as_text = ["receipt", "get", record, "--format", "tlog-proof", "-o", proof];
    hospital.run(&as_text).json();
    let chain = text(&got, "chain");
    fs::remove_dir_all(hospital.folder()).unwrap();

    let proven = plain(&["receipt", "check", file, "--chain", chain, "--json"]).json();
    assert_eq!((text(&proven, "record"), text(&proven, "kind")), (record, "add-report"));
    assert_eq!(proven["block"], uploaded["block"]["id"]);
    assert_eq!(proven["says"]["report"], uploaded["report"]);
    assert_eq!(proven["says"]["patient"], proven["patient"]);
    assert_eq!((&proven["quorum"], &proven["hospitals"]), (&1.into(), &1.into()));
    assert_eq!(proven["cosigned"][0]["hospital"], proven["miner"]);
    assert_eq!(plain(&["receipt", "check", proof, "--chain", chain, "--json"]).json(), proven);
    plain(&["receipt", "check", file, "--chain", OTHER, "--json"]).fails(
        11,
        "damaged",
        "other_chain",
    );

    for file in [file, proof] {
        let good = fs::read(file).unwrap();
        let stdin = ["receipt", "check", "-", "--chain", chain, "--json"];
        assert_eq!(run(command(&stdin), Some(&good)).json(), proven);
        for at in (0..good.len()).step_by(97).chain([good.len() - 1]) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let run = run(command(&stdin), Some(&bad));
            assert!(matches!(run.code, 6 | 10..=23), "byte {at}: {run:?}");
            assert!(run.stdout.is_empty(), "byte {at}");
        }
        for cut in [0, 1, good.len() - 1] {
            run(command(&stdin), Some(&good[..cut])).fails(10, "damaged", "not_a_receipt");
        }
        let longer = [&good[..], b"x"].concat();
        run(command(&stdin), Some(&longer)).fails(10, "damaged", "not_a_receipt");
    }
}

/// In an empty folder, without a home, without a ledger, and with a password that would fail.
#[test]
fn a_check_needs_nothing_but_the_file_and_the_chain_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (work, home) = (folder.path().join("work"), folder.path().join("home"));
    fs::create_dir(&work).unwrap();
    fs::create_dir(&home).unwrap();
    let cases = vectors();
    let good = cases.iter().find(|case| text(case, "name") == "text_of_four").unwrap();
    let file = folder.path().join("r.tlog-proof");
    fs::write(&file, bytes(good)).unwrap();
    let check = || {
        let file = file.to_str().unwrap();
        let mut command = command(&["receipt", "check", file, "--chain", text(good, "chain")]);
        command.env_clear().env("HOME", &home).current_dir(&work);
        command
    };
    let told = run(check(), None);
    let told = told.text();
    assert!(told.starts_with("valid: the record took effect on chain "), "{told}");
    let rows = ["kind         read\n", "quorum       3 of 4 hospitals\n", "signed over 4 blocks\n"];
    for wanted in rows {
        assert!(told.contains(wanted), "{wanted:?} is not in:\n{told}");
    }
    assert_eq!(told.matches(" on 2027-01-15T08:03:").count(), 3, "three cosigned:\n{told}");
    assert!(told.contains("not proven:\n  that a permission is still live"), "{told}");
    let mut json = check();
    json.arg("--json");
    let told = run(json, None).json();
    assert_eq!(told["cosigned"].as_array().unwrap().len(), 3);
    assert!(text(&told, "proves").ends_with("and is final"));
    assert!(told["does_not_prove"].as_array().unwrap().len() >= 2);
    let left = |folder: &std::path::Path| fs::read_dir(folder).unwrap().count();
    assert_eq!((left(&work), left(&home)), (0, 0));
}

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/receipts.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    file["cases"].as_array().unwrap().clone()
}

#[test]
fn what_is_no_receipt_or_chain_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("garbage");
    fs::write(&file, b"\xa2\x61v\x01\x64what\x01").unwrap();
    let name = file.to_str().unwrap();
    let check = ["receipt", "check", name, "--chain", &"01".repeat(32), "--json"];
    let message = plain(&check).fails(10, "damaged", "not_a_receipt");
    assert!(message.contains(name) && message.contains("not a receipt"), "{message}");
    assert!(message.contains("field `what`") && !message.contains("Msg("), "{message}");
    // A report's file is none of a chain.
    let hospital = crate::command::Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let car = hospital.path("report.car");
    let car = car.to_str().unwrap();
    hospital.run(&["export", "report", text(&uploaded, "report"), "-o", car]).json();
    let message = hospital.run(&["import", "chain", car]).fails(2, "usage", "not_a_chain");
    assert!(message.contains(car) && message.contains("no block of a chain"), "{message}");
    assert!(!message.contains("Msg("), "{message}");
}

fn bytes(case: &Value) -> Vec<u8> {
    HEXLOWER.decode(text(case, "bytes").as_bytes()).unwrap()
}

#[test]
fn each_reason_has_a_message_and_an_exit_code_of_its_own() {
    let help = plain(&["receipt", "check", "--help"]);
    let help = help.text().to_owned();
    let cases = vectors();
    let mut messages = std::collections::BTreeMap::new();
    for (name, exit, code) in [
        ("cut", 10, "not_a_receipt"),
        ("text_without_extra", 10, "not_a_receipt"),
        ("other_chain", 11, "other_chain"),
        ("foreign_record", 11, "other_chain"),
        ("another_founder", 12, "genesis"),
        ("no_record", 13, "not_a_record"),
        ("descriptor_for_a_record", 14, "record_path"),
        ("record_signature_flipped", 15, "record_changed"),
        ("no_work", 16, "work"),
        ("block_signature_flipped", 17, "block_signature"),
        ("text_checkpoint_without_size", 18, "not_a_checkpoint"),
        ("checkpoint_size_changed", 19, "cosignature"),
        ("two_of_four", 20, "too_few_cosigners"),
        ("above_the_checkpoint", 21, "not_final"),
        ("size_not_the_checkpoints", 22, "block_path"),
        ("another_height", 23, "not_in_log"),
        ("version_2", 6, "update_needed"),
    ] {
        let case = cases.iter().find(|case| text(case, "name") == name).expect(name);
        let check = ["receipt", "check", "-", "--chain", text(case, "chain"), "--json"];
        let run = run(command(&check), Some(&bytes(case)));
        let fault = if exit == 6 { "environment" } else { "damaged" };
        let message = run.fails(exit, fault, code);
        let other = messages.insert(message.clone(), code);
        assert!(other.is_none_or(|other| other == code), "{message:?} for {code} and {other:?}");
        assert!(help.contains(&format!("  {exit:2}  {code}: ")), "{code} is not in the help");
    }
    let codes: std::collections::BTreeSet<_> = messages.values().collect();
    assert_eq!(codes.len(), 15);
}

#[test]
fn the_page_for_browsers_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verifier.html");
    let page = plain(&["receipt", "verifier"]);
    assert_eq!(page.text(), medledger::RECEIPT_VERIFIER);
    let written = plain(&["receipt", "verifier", "-o", path.to_str().unwrap(), "--json"]).json();
    assert_eq!(written["length"], medledger::RECEIPT_VERIFIER.len());
    assert_eq!(fs::read_to_string(&path).unwrap(), medledger::RECEIPT_VERIFIER);
    plain(&["receipt", "verifier", "--json"]).fails(2, "usage", "output");
}

#[test]
fn a_checkpoint_given_away_shows_later_that_the_chain_only_grew() {
    let hospital = Hospital::new(&[]);
    let note = hospital.path("today.note");
    let note = note.to_str().unwrap();
    let shown = hospital.run(&["checkpoint", "show", "-o", note]).json();
    assert_eq!(text(&shown, "note"), fs::read_to_string(note).unwrap());
    hospital.upload(b"more");
    let grown = hospital.run(&["checkpoint", "consistency", note]).json();
    assert_eq!(grown["older"], shown["size"]);
    assert!(grown["newer"].as_u64() > grown["older"].as_u64());
    assert_eq!(grown["older_root"], shown["root"]);
    assert!(!grown["proof"].as_array().unwrap().is_empty());
    assert_eq!(hospital.run(&["checkpoint", "evidence"]).json()["evidence"], Value::Array(vec![]));
    let foreign = hospital.write(
        "foreign.note",
        text(&shown, "note").replace("medledger/", "medledger/0").as_bytes(),
    );
    hospital.run(&["checkpoint", "consistency", &foreign]).fails(3, "refused", "other_chain");
    let none = hospital.write("none.note", b"nothing");
    hospital.run(&["checkpoint", "consistency", &none]).fails(2, "usage", "not_a_checkpoint");
}

/// The folder is restored from a backup and goes on: the hospital signs a second history.
#[test]
fn pitfall_28_a_second_history_of_a_restored_folder_is_noticed_and_proved() {
    let hospital = Hospital::new(&[]);
    let backup = hospital.path("backup");
    copy(&hospital.folder(), &backup);
    hospital.upload(b"first history");
    let note = hospital.path("first.note");
    let note = note.to_str().unwrap();
    hospital.run(&["checkpoint", "show", "-o", note]).json();
    fs::remove_dir_all(hospital.folder()).unwrap();
    copy(&backup, &hospital.folder());
    hospital.upload(b"second history");
    let proof = hospital.path("conflict.evidence");
    let check = ["checkpoint", "consistency", note, "--evidence", proof.to_str().unwrap()];
    let message = hospital.run(&check).fails(5, "damaged", "two_histories");
    assert!(message.contains("signed two histories"), "{message}");
    let kept = hospital.run(&["checkpoint", "evidence"]).json();
    assert_eq!(kept["evidence"].as_array().unwrap().len(), 1);
    let named = kept["evidence"][0]["hospitals"][0].as_str().unwrap();
    assert!(message.starts_with(named));
    let evidence = fs::read(proof).unwrap();
    assert!(medledger::core::checkpoint::Evidence::decode(&evidence).is_ok());
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
