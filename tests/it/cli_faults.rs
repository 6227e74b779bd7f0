//! Every class of exit code, bad input for every command, damage found.

use crate::command::{Hospital, command, files, plain, run, text};
use medledger::Ledger;
use std::fs;
use std::process::Stdio;

const CHAIN: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

#[test]
fn wrong_usage_of_every_command_exits_with_2() {
    for args in [
        &["frob"][..],
        &["init", "--seconds", "x"],
        &["init", "--seconds", "1", "--bits", "1d00ffff"],
        &["member", "add", "--role", "king", "--name", "x"],
        &["upload"],
        &["request", "r", "--as", "2", "--purpose", "FUN", "--until", "1d"],
        &["requests"],
        &["approve", "r"],
        &["refuse", "r"],
        &["share", "r", "--as", "3"],
        &["open", "r", "--as", "3", "--range", "5", "-o", "x"],
        &["open", "r", "--as", "3"],
        &["revoke", "g"],
        &["reports"],
        &["log", "--kind", "nonsense"],
        &["verify", "--slow"],
        &["receipt", "get", "r"],
        &["receipt", "get", "r", "-o", "-"],
        &["receipt", "check", "f", "--chain", "12"],
        &["mine", "now"],
        &["mail"],
        &["status", "x"],
        &["cid", "x", "--profile", "nonsense"],
        &["seal", "--key", "00"],
        &["unseal", "--context", "zz", "--key", "00112233445566778899aabbccddeeff"],
        &["header", "show", "zz"],
        &["header", "mine", "zz"],
    ] {
        let run = plain(&[args, &["--json"]].concat());
        assert_eq!(run.code, 2, "{args:?}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{args:?}");
        let error: serde_json::Value = serde_json::from_str(&run.stderr).expect(&run.stderr);
        assert_eq!(error["error"]["fault"], "usage", "{args:?}");
    }
    let people = plain(&["frob"]);
    assert_eq!(people.code, 2);
    assert!(people.stderr.starts_with("error: ") && people.stderr.contains("--help"));
}

#[test]
fn names_of_reports_that_nobody_sees_are_refused_as_those_of_members_are() {
    let hospital = Hospital::new(&[]);
    let file = hospital.write("report.txt", b"text");
    for name in ["", " ", "\u{200d}", &"n".repeat(201)] {
        let upload = ["upload", &file, "--as", "2", "--patient", "3", "--name", name];
        hospital.run(&upload).fails(2, "usage", "metadata");
    }
    let name = "n".repeat(200);
    hospital.run(&["upload", &file, "--as", "2", "--patient", "3", "--name", &name]).json();
    // What stands for all of them is named where none is.
    let none = hospital.run(&["rotate", "unmark", "--as", "3"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("--all"), "{}", none.stderr);
}

#[test]
fn difficulties_and_mail_places_that_make_no_ledger_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("ledger");
    let init = |args: &[&str]| {
        let mut command = command(&[&["init", "--json"], args].concat());
        command.env("MEDLEDGER_DIR", &folder).env("MEDLEDGER_PASSWORD", "p");
        run(command, None)
    };
    init(&["--bits", "00000000"]).fails(2, "usage", "bits");
    init(&["--bits", "xyz"]).fails(2, "usage", "bits");
    init(&["--seconds", "0"]).fails(2, "usage", "seconds");
    init(&["--mail", "carrier pigeon"]).fails(2, "usage", "mail");
    init(&["--engine", "log", "--bits", "1d00ffff"]).fails(2, "usage", "arguments");
    init(&["--name", "", "--bits", "207fffff"]).fails(2, "usage", "name");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let made = init(&["--engine", "log"]).json();
    assert_eq!((text(&made, "engine"), &made["bits"]), ("log", &serde_json::Value::Null));
    init(&[]).fails(2, "usage", "not_empty");
}

#[test]
fn what_is_not_there_exits_with_4() {
    let mut nowhere = command(&["status", "--json"]);
    nowhere.env("MEDLEDGER_DIR", "/nonexistent/ledger");
    run(nowhere, None).fails(4, "not_found", "no_ledger");
    plain(&["cid", "/nonexistent/file", "--json"]).fails(4, "not_found", "no_file");
    plain(&["receipt", "check", "/nonexistent", "--chain", CHAIN, "--json"]).fails(
        4,
        "not_found",
        "no_file",
    );
    let hospital = Hospital::new(&[]);
    let file = hospital.write("r", b"r");
    let missing = "0123456789abcdef";
    for (args, code) in [
        (&["upload", &file, "--as", "9", "--patient", "3"][..], "no_member"),
        (&["upload", &file, "--as", "2", "--patient", missing], "no_member"),
        (&["upload", "/nonexistent", "--as", "2", "--patient", "3"], "no_file"),
        (&["request", missing, "--as", "4", "--purpose", "TREAT", "--until", "1d"], "no_report"),
        (&["approve", missing, "--as", "3"], "no_request"),
        (&["refuse", missing, "--as", "3"], "no_request"),
        (&["revoke", missing, "--as", "3"], "no_grant"),
        (&["reports", "--as", "nobody"], "no_member"),
        (&["requests", "--as", "0"], "no_member"),
        (&["requests", "--as", "1234567"], "no_member"),
        (&["log", "--author", "nobody"], "no_member"),
        (&["receipt", "get", missing, "-o", "x"], "no_record"),
        (&["receipt", "get", &"ab".repeat(32), "-o", "x"], "no_record"),
    ] {
        hospital.run(args).fails(4, "not_found", code);
    }
    // A slip is no name.
    let id = text(&hospital.run(&["member", "list"]).json()["members"][1], "id").to_owned();
    let letters = id.find(|c: char| c.is_ascii_alphabetic());
    if let Some(at) = letters.filter(|at| *at < 2) {
        hospital.run(&["reports", "--as", &id[..=at]]).fails(2, "usage", "short_id");
    }
    assert_eq!(hospital.run(&["reports", "--as", &id[..9]]).code, 0);
}

#[test]
fn rules_that_say_no_exit_with_3() {
    let hospital = Hospital::new(&[]);
    let file = hospital.write("r", b"r");
    let upload =
        |author, patient| hospital.run(&["upload", &file, "--as", author, "--patient", patient]);
    upload("3", "3").fails(3, "refused", "role_not_allowed");
    upload("2", "4").fails(3, "refused", "not_enrolled");
    let add = ["member", "add", "--role", "hospital", "--name", "Second"];
    hospital.run(&add).fails(3, "refused", "not_registrable");
    let ask = ["request", &"00".repeat(16), "--as", "4", "--purpose", "TREAT", "--until", "1d"];
    hospital.run(&ask).fails(3, "refused", "unknown_report");
    hospital.run(&["revoke", &"00".repeat(16), "--as", "1"]).fails(
        3,
        "refused",
        "role_not_allowed",
    );
    let accepted = upload("2", "3").json();
    let get = ["receipt", "get", text(&accepted, "record"), "-o", "x"];
    hospital.run(&get).fails(3, "refused", "not_mined");
    let bad_note = ["upload", &file, "--as", "2", "--patient", "3", "--note", "\u{7}"];
    hospital.run(&bad_note).fails(2, "usage", "metadata");
    let none = ["member", "add", "--role", "nurse", "--name", "N", "--email", "no address"];
    hospital.run(&none).fails(2, "usage", "mail_address");
}

#[test]
fn a_flipped_bit_in_a_stored_block_is_found_and_never_opened() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(&[7; 100_000]);
    let largest = files(&hospital.folder().join("blocks"))
        .into_iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    bytes[60_000] ^= 4;
    fs::write(&largest, bytes).unwrap();

    let verify = hospital.run(&["verify"]);
    verify.fails(5, "damaged", "verify");
    let report: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(text(&report["findings"][0], "what"), "damaged_block");
    assert_eq!(report["findings"][0]["report"], uploaded["report"]);
    assert_eq!(hospital.run(&["verify", "--fast"]).json()["ok"], true);

    let target = hospital.path("opened");
    let open = ["open", text(&uploaded, "report"), "--as", "3", "-o", target.to_str().unwrap()];
    hospital.run(&open).fails(5, "damaged", "damaged");
    assert!(!target.exists());
    let left = fs::read_dir(target.parent().unwrap()).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("partial")), "{names:?}");
}

#[test]
fn a_ledger_in_use_exits_with_6_and_readers_go_on() {
    let hospital = Hospital::new(&[]);
    let writer = Ledger::open(hospital.folder()).unwrap();
    hospital.run(&["mine"]).fails(6, "environment", "in_use");
    assert_eq!(hospital.run(&["log"]).code, 0);
    assert_eq!(hospital.run(&["status"]).code, 0);
    drop(writer);
    assert_eq!(hospital.run(&["mine"]).code, 0);

    let settings = hospital.folder().join("settings.json");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replacen("\"v\": 1", "\"v\": 99", 1)).unwrap();
    hospital.run(&["log"]).fails(6, "environment", "update_needed");
    fs::write(&settings, "{").unwrap();
    hospital.run(&["log"]).fails(5, "damaged", "settings");
    fs::write(&settings, text).unwrap();
    fs::remove_file(hospital.folder().join("node.key")).unwrap();
    hospital.run(&["log"]).fails(5, "damaged", "node_key");
}

#[test]
fn a_reader_that_leaves_early_is_no_error_and_a_full_device_is() {
    let mut early = command(&["cid", "-"]);
    early.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = early.spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));

    if let Ok(full) = fs::File::options().write(true).open("/dev/full") {
        let mut command = command(&["cid", "-", "--json"]);
        command.stdin(Stdio::null()).stdout(full);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(6));
        assert!(String::from_utf8(output.stderr).unwrap().contains("no_space"));
    }
}

#[test]
fn what_names_no_report_opens_like_a_report_that_one_may_not_read() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let mut answers = Vec::new();
    for name in [report, &report[..8], &"ee".repeat(16), "0123456789abcdef", "1_9_never"] {
        for command in [["open", "-o"], ["slot", "ask"]] {
            let args = match command {
                ["open", _] => vec!["open", name, "--as", "4", "-o", "unused"],
                _ => vec!["slot", "ask", name, "--as", "4", "--to", "unused"],
            };
            let refused = hospital.run(&args);
            refused.fails(3, "refused", "no_access");
            answers.push(refused.stderr);
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn nothing_is_written_into_the_ledger_that_it_is_made_from() {
    let hospital = Hospital::new(&[]);
    let folder = hospital.folder();
    let whole = |path: &std::path::Path| path.strip_prefix(&folder).unwrap().to_owned();
    // Those that a database makes while it is open come and go.
    let there = || -> std::collections::BTreeSet<_> {
        let mut there: Vec<_> = files(&folder).iter().map(|path| whole(path)).collect();
        there.retain(|path| !path.to_str().unwrap().starts_with("ledger.db-"));
        there.into_iter().collect()
    };
    let before = there();
    let inside = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let back = format!("{}/none/../../ledger/copy", hospital.path("x").display());
    for to in [inside("copy"), inside("blocks/a/b"), inside("."), inside(".."), back] {
        hospital.run(&["backup", &to]).fails(2, "usage", "within");
    }
    #[cfg(unix)]
    {
        let link = hospital.path("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        let through = link.join("copy").to_str().unwrap().to_owned();
        hospital.run(&["backup", &through]).fails(2, "usage", "within");
    }
    let database = inside("ledger.db");
    for what in ["chain", "news"] {
        let over = ["export", what, "-o", &database, "--force"];
        hospital.run(&over).fails(2, "usage", "within");
        hospital.run(&["export", what, "-o", &inside("new")]).fails(2, "usage", "within");
    }
    assert_eq!(there(), before);
    hospital.run(&["backup", hospital.path("ledger2").to_str().unwrap()]).json();
}
