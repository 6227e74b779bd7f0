//! Several reports by one command.

use crate::command::{Hospital, PASSWORD, Run, run, text};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::process::{Command, Stdio};

const TO_PAT: [&str; 4] = ["--as", "2", "--patient", "3"];

fn upload<'a>(files: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&["upload"], files, &TO_PAT, more].concat()
}

/// Opens with this key, or with the patient's identity.
#[track_caller]
fn opened(hospital: &Hospital, report: &Value, key: Option<&str>) -> Vec<u8> {
    let target = hospital.path("opened");
    let args = ["open", text(report, "report"), "--as", "3", "-o", target.to_str().unwrap()];
    let args = [&args[..], &["--force"]].concat();
    match key {
        Some(key) => hospital.run_with_key(&args, key).json(),
        None => hospital.run(&args).json(),
    };
    fs::read(target).unwrap()
}

#[test]
fn several_files_are_uploaded_together_each_with_its_own_key() {
    let hospital = Hospital::new(&[]);
    fs::create_dir(hospital.path("sub")).unwrap();
    let files = [
        ("lab.csv", b"glucose,5.1\n".as_slice(), "text/csv"),
        ("scan", b"%PDF-1.7 a scan", "application/pdf"),
        // Of the same name as another, in another folder.
        ("sub/lab.csv", b"glucose,9.9\n", "text/csv"),
        ("empty.bin", b"", "application/octet-stream"),
    ];
    let paths = files.map(|(name, bytes, _)| hospital.write(name, bytes));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let done = hospital.run(&upload(&paths, &["--note", "fasting", "--wait"])).json();
    assert!(done["blocks"][0]["height"].as_u64().unwrap() > 0, "{done}");
    assert_eq!(hospital.run(&["status"]).json()["records_waiting"], 0);
    let reports = done["reports"].as_array().unwrap();
    assert_eq!(reports.len(), files.len());
    let mut keys = HashSet::new();
    for ((report, path), (name, bytes, media_type)) in reports.iter().zip(&paths).zip(files) {
        assert_eq!((text(report, "file"), text(report, "media_type")), (*path, media_type));
        assert_eq!(report["length"], bytes.len());
        let key = text(report, "access_key");
        assert!(keys.insert(key.to_owned()), "a key twice");
        assert_eq!(opened(&hospital, report, Some(key)), bytes);
        let target = hospital.path("opened");
        let open = ["open", text(report, "report"), "--as", "3", "-o", target.to_str().unwrap()];
        let about = hospital.run(&[&open[..], &["--force"]].concat()).json();
        let kept = name.rsplit('/').next().unwrap();
        assert_eq!((text(&about, "file_name"), text(&about, "note")), (kept, "fasting"));
    }
}

#[test]
fn one_unreadable_file_keeps_no_other_back_and_is_told() {
    let hospital = Hospital::new(&[]);
    let (first, last) =
        (hospital.write("first.txt", b"first"), hospital.write("last.txt", b"last"));
    let bad_name = hospital.write("bad\u{7}name", b"x");
    let missing = hospital.path("missing.txt");
    let missing = missing.to_str().unwrap();
    let files = [&*first, missing, &*bad_name, &*last];
    let done = hospital.run(&upload(&files, &[]));
    let message = done.fails(4, "not_found", "no_file");
    assert!(message.contains("2 of 4") && message.contains(missing), "{message}");
    let document: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(document["blocks"], Value::Null);
    let reports = document["reports"].as_array().unwrap();
    assert_eq!(reports.iter().map(|r| text(r, "file")).collect::<Vec<_>>(), files);
    let error =
        |n: usize| (text(&reports[n]["error"], "code"), text(&reports[n]["error"], "fault"));
    assert_eq!(error(1), ("no_file", "not_found"));
    assert!(text(&reports[1]["error"], "message").contains(missing));
    assert_eq!(error(2), ("metadata", "usage"));
    hospital.run(&["mine"]).json();
    for (n, bytes) in [(0, b"first".as_slice()), (3, b"last")] {
        let key = text(&reports[n], "access_key");
        assert_eq!(opened(&hospital, &reports[n], Some(key)), bytes);
    }
    assert_eq!(hospital.run(&["verify"]).json()["reports"], 2);

    // People are told each with its file, and nothing they could not see through.
    let people = run(hospital.people(&upload(&files, &[])), None);
    assert_eq!(people.code, 4, "{}", people.stderr);
    assert!(people.stderr.contains(&format!("error: {missing}: ")), "{}", people.stderr);
    assert!(people.stderr.contains("bad\\u{7}name: "), "{}", people.stderr);
    assert!(people.stderr.contains("error: not uploaded: 2 of 4 files"), "{}", people.stderr);
    // None at all.
    let none = hospital.run(&upload(&[missing, &*bad_name], &[]));
    none.fails(4, "not_found", "no_file");
    let document: Value = serde_json::from_slice(&none.stdout).unwrap();
    assert_eq!(document["reports"].as_array().unwrap().len(), 2);
    let people = run(hospital.people(&upload(&[missing, &*bad_name], &[])), None);
    assert_eq!((people.code, people.stdout.as_slice()), (4, &b""[..]));
    assert!(!people.stderr.contains("accepted"), "{}", people.stderr);
}

#[test]
fn what_is_for_one_file_is_refused_for_several_and_folders_for_all() {
    let hospital = Hospital::new(&[]);
    let (a, b) = (hospital.write("a", b"a"), hospital.write("b", b"b"));
    let waiting = || hospital.run(&["status"]).json()["records_waiting"].clone();
    let before = waiting();
    let folder = hospital.path("folder");
    fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    hospital.run(&upload(&[&a, &b], &["--name", "x"])).fails(2, "usage", "arguments");
    hospital.run(&upload(&[&a, "-"], &[])).fails(2, "usage", "arguments");
    for files in [&[folder][..], &[&*a, folder, &*b]] {
        let refused = hospital.run(&upload(files, &[]));
        let message = refused.fails(2, "usage", "not_a_file");
        assert!(message.contains(folder), "{message}");
        assert!(refused.stderr.contains(&format!("{folder}/*")), "{}", refused.stderr);
    }
    for key in ["", &"x".repeat(129)] {
        let keyed = hospital.run(&upload(&[&a, &b], &["--idempotency-key", key]));
        keyed.fails(2, "usage", "idempotency_key");
    }
    assert_eq!(hospital.run(&["verify"]).json()["reports"], 0);
    assert_eq!(waiting(), before);
}

#[test]
fn the_whole_command_is_repeated_harmlessly() {
    let hospital = Hospital::new(&[]);
    // Two with the same bytes: their places tell them apart.
    let files = ["a.txt", "b.txt", "c.txt"].map(|name| hospital.write(name, b"the same"));
    let missing = hospital.path("d.txt");
    let mut paths: Vec<&str> = files.iter().map(String::as_str).collect();
    paths.push(missing.to_str().unwrap());
    let again = upload(&paths, &["--idempotency-key", "order 17"]);
    let first = hospital.run(&again);
    first.fails(4, "not_found", "no_file");
    assert!(first.stderr.contains("--idempotency-key"), "{}", first.stderr);
    let first: Value = serde_json::from_slice(&first.stdout).unwrap();
    fs::write(&missing, b"there now").unwrap();
    let second = hospital.run(&[&again[..], &["--wait"]].concat()).json();
    let record = |answer: &Value, n: usize| text(&answer["reports"][n], "record").to_owned();
    let mut records = HashSet::new();
    for n in 0..4 {
        let report = &second["reports"][n];
        assert_eq!(report["repeated"], n < 3, "{report}");
        if n < 3 {
            assert_eq!(record(&second, n), record(&first, n));
            assert!(report.get("access_key").is_none(), "a key twice");
        }
        assert!(records.insert(record(&second, n)), "two files, one record");
        let expected: &[u8] = if n < 3 { b"the same" } else { b"there now" };
        assert_eq!(opened(&hospital, report, None), expected);
    }
    let log = hospital.run(&["log", "--kind", "add-report"]).json();
    assert_eq!(log["records"].as_array().unwrap().len(), 4);
    // One that says something else now is refused; the others are as they were.
    fs::write(&files[1], b"another").unwrap();
    let third = hospital.run(&again);
    third.fails(3, "refused", "idempotency_conflict");
    let third: Value = serde_json::from_slice(&third.stdout).unwrap();
    assert_eq!(text(&third["reports"][1]["error"], "code"), "idempotency_conflict");
    assert_eq!(record(&third, 3), record(&second, 3));
    // One file alone under this key is a request of its own.
    let alone = upload(&paths[..1], &["--idempotency-key", "order 17"]);
    assert_eq!(hospital.run(&alone).json()["repeated"], false);
}

#[test]
fn people_see_a_table_in_80_columns_and_each_key_once_beside_its_report() {
    let hospital = Hospital::new(&[]);
    let files = ["a.txt", "b.txt"].map(|name| hospital.write(name, name.as_bytes()));
    // By their names alone, as people type them.
    let here = |args: &[&str]| {
        let mut command = hospital.people(args);
        command.current_dir(std::path::Path::new(&files[0]).parent().unwrap());
        run(command, None)
    };
    let args = upload(&["a.txt", "b.txt"], &["--idempotency-key", "k"]);
    let first = here(&args);
    let shown = first.text();
    assert!(first.stderr.contains("`medledger mine` puts them in blocks"), "{}", first.stderr);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let lines: Vec<_> = shown.lines().collect();
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(columns(lines[0]), ["LABEL", "REPORT", "BYTES", "KEY", "FILE"]);
    hospital.run(&["mine"]).json();
    for (line, name) in lines[1..3].iter().zip(["a.txt", "b.txt"]) {
        let [label, report, length, key, file] = &columns(line)[..] else { panic!("{line}") };
        assert_eq!((&**length, &**key, &**file), ("5", "below", name));
        assert_eq!(report.len(), 8);
        let beside: Vec<_> = lines[3..].iter().filter(|line| line.ends_with(&**label)).collect();
        let [beside] = beside[..] else { panic!("{shown}") };
        let key = beside.split_whitespace().next().unwrap();
        assert_eq!((key.len(), shown.matches(key).count()), (34, 1), "{shown}");
        let report = serde_json::json!({ "report": report });
        assert_eq!(opened(&hospital, &report, Some(key)), name.as_bytes());
    }
    assert!(shown.contains("\nACCESS KEYS for Pat Doe, shown this once"), "{shown}");
    let again = here(&[&args[..], &["--wait"]].concat());
    let shown = again.text();
    assert!(!shown.contains("ACCESS KEYS"), "{shown}");
    assert_eq!(shown.matches("  sent before  ").count(), 2, "{shown}");
    assert!(shown.contains("not added again: 2\n") && shown.contains("mined in block"), "{shown}");

    let hospital = Hospital::new(&["--mail", "outbox"]);
    let files = ["a.txt", "b.txt"].map(|name| hospital.write(name, name.as_bytes()));
    let mailed = run(hospital.people(&upload(&[&files[0], &files[1]], &[])), None);
    assert_eq!(mailed.text().matches("  mailed  ").count(), 2, "{}", mailed.text());
    assert!(!mailed.text().contains("ACCESS"), "{}", mailed.text());
}

#[test]
#[cfg(unix)]
fn keys_that_cannot_be_shown_are_told_to_be_lost() {
    let hospital = Hospital::new(&[]);
    let (a, b) = (hospital.write("a", b"a"), hospital.write("b", b"b"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = hospital.command(&upload(&[&a, &b], &[]));
    let output = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output();
    let output = output.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let run = Run { code: output.status.code().unwrap(), stdout: Vec::new(), stderr };
    let message = run.fails(6, "environment", "io");
    assert!(message.contains("2 of 2 reports are accepted"), "{message}");
    assert!(message.contains("their access keys could not be shown"), "{message}");
    assert!(run.stderr.contains("with their identity"), "{}", run.stderr);
    hospital.run(&["mine"]).json();
    let reports = hospital.run(&["reports", "--as", "3"]).json();
    let reports = reports["reports"].as_array().unwrap();
    assert_eq!(reports.len(), 2);
    let mut texts: Vec<_> = reports.iter().map(|one| opened(&hospital, one, None)).collect();
    texts.sort();
    assert_eq!(texts, [b"a", b"b"]);
}

/// Files are opened one after the other: far more of them than the process may have open.
#[test]
#[cfg(unix)]
fn more_files_than_a_process_may_have_open() {
    const FILES: usize = 1100;
    let hospital = Hospital::new(&[]);
    let reports = hospital.path("reports");
    fs::create_dir(&reports).unwrap();
    let names: Vec<_> = (0..FILES).map(|n| format!("{n:04}.txt")).collect();
    for name in &names {
        fs::write(reports.join(name), format!("report {name}")).unwrap();
    }
    let inner = hospital.command(&upload(&[], &[]));
    let mut command = Command::new("sh");
    let limited = "ulimit -n 64 && exec \"$0\" \"$@\"";
    command.arg("-c").arg(limited).arg(inner.get_program()).args(inner.get_args()).args(&names);
    command.current_dir(&reports).env("MEDLEDGER_PASSWORD", PASSWORD);
    command.env("MEDLEDGER_DIR", hospital.folder());
    let done = run(command, None).json();
    let done = done["reports"].as_array().unwrap();
    assert_eq!(done.len(), FILES);
    hospital.run(&["mine"]).json();
    let listed = hospital.run(&["reports", "--as", "3"]).json();
    assert_eq!(listed["reports"].as_array().unwrap().len(), FILES);
    for n in [0, 511, 512, FILES - 1] {
        assert_eq!(text(&done[n], "file"), names[n]);
        let key = text(&done[n], "access_key");
        assert_eq!(
            opened(&hospital, &done[n], Some(key)),
            format!("report {}", names[n]).as_bytes()
        );
    }
}
