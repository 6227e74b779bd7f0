//! The command through the whole journey, and what people see of it.

use crate::command::{Hospital, PASSWORD, files, run, text};
use std::fs;

#[test]
fn the_whole_journey_in_json() {
    let hospital = Hospital::new(&[]);
    let report = b"all is well \xff\x00 and binary".as_slice();
    let uploaded = hospital.upload(report);
    assert_eq!(text(&uploaded, "delivery"), "pick_up");
    assert_eq!(uploaded["length"], report.len());
    assert!(uploaded["block"]["height"].as_u64().unwrap() > 0);
    for work in ["tries", "seconds", "hash_rate"] {
        assert!(uploaded["block"][work].as_f64().unwrap() > 0.0, "{work}");
    }
    let (id, patient_key) = (text(&uploaded, "report"), text(&uploaded, "access_key"));
    assert_eq!(patient_key.len(), 34);

    // Named by label and by the beginning of the id.
    let label = text(&uploaded, "label");
    let ask = ["--as", "4", "--purpose", "TREAT", "--until", "30d"];
    let requested = hospital.run(&[&["request", label], &ask[..]].concat()).json();
    assert_eq!(requested["block"], serde_json::Value::Null);
    hospital.run(&[&["request", &id[..8]], &ask[..]].concat()).fails(
        3,
        "refused",
        "request_pending",
    );
    let waiting = hospital.run(&["requests", "--as", "3"]).json();
    assert_eq!(text(&waiting["requests"][0], "reader_name"), "Dr Bob");
    let request = &text(&waiting["requests"][0], "request")[..8];

    let target = hospital.path("opened.txt");
    let target = target.to_str().unwrap();
    let open = ["open", id, "--as", "4", "--output", target];
    hospital.run(&open).fails(3, "refused", "no_access");
    let approve = ["approve", request, "--as", "3"];
    let approved = hospital.run_with_key(&approve, patient_key).json();
    let reader_key = text(&approved, "access_key").to_owned();
    assert_ne!(reader_key, patient_key);
    hospital.run_with_key(&open, &reader_key).fails(3, "refused", "not_mined");
    let mined = hospital.run(&["mine"]).json();
    assert_eq!((&mined["waiting"], &mined["blocks"][0]["records"]), (&0.into(), &2.into()));

    let opened = hospital.run_with_key(&open, &reader_key).json();
    assert_eq!(text(&opened, "grant"), text(&approved, "grant"));
    assert_eq!(text(&opened, "file_name"), "report.txt");
    assert_eq!(fs::read(target).unwrap(), report);
    hospital.run_with_key(&open, &reader_key).fails(2, "usage", "file_exists");
    hospital.run(&["open", id, "--as", "4", "-o", target, "--force"]).fails(
        3,
        "refused",
        "no_access",
    );
    let forced = ["open", id, "--as", "4", "-o", target, "--force", "--range", "4:2"];
    hospital.run_with_key(&forced, &reader_key).json();
    assert_eq!(fs::read(target).unwrap(), b"is");

    let reports = hospital.run(&["reports", "--as", "3"]).json();
    let grant = text(&reports["reports"][0]["grants"][0], "grant").to_owned();
    assert_eq!(reports["reports"][0]["grants"][0]["live"], true);
    hospital.run(&["revoke", &grant[..8], "--as", "3", "--wait"]).json();
    hospital.run_with_key(&forced, &reader_key).fails(3, "refused", "revoked");
    hospital.run(&["revoke", &grant, "--as", "3"]).fails(3, "refused", "revoked");

    // Shared unasked, to the identity: no key to carry.
    let share = ["share", id, "--with", "4", "--as", "3", "--until", "1d", "--to-identity"];
    let shared = hospital.run(&[&share[..], &["--wait"]].concat()).json();
    assert_eq!(text(&shared, "delivery"), "none");
    let out = run(hospital.people(&["open", id, "--as", "4"]), None);
    assert_eq!((out.code, out.stdout.as_slice()), (0, report), "{}", out.stderr);

    let log = hospital.run(&["log", "--kind", "read", "--report", id]).json();
    assert_eq!(log["records"].as_array().unwrap().len(), 3, "{log}");
    let newest = hospital.run(&["log", "--limit", "1", "--author", "4"]).json();
    assert_eq!(text(&newest["records"][0], "kind"), "read");
    let verified = hospital.run(&["verify"]).json();
    assert_eq!((&verified["ok"], &verified["reports"]), (&true.into(), &1.into()));
    assert_eq!(hospital.run(&["status"]).json()["members"], 4);
}

#[test]
fn refusing_and_uploading_again() {
    let hospital = Hospital::new(&[]);
    let file = hospital.write("lab.csv", b"glucose,5.1\n");
    let upload =
        ["upload", &file, "--as", "2", "--patient", "3", "--idempotency-key", "order 17", "--wait"];
    let first = hospital.run(&upload).json();
    let again = hospital.run(&upload).json();
    assert_eq!((&again["repeated"], &again["record"]), (&true.into(), &first["record"]));
    assert_eq!(text(&first, "media_type"), "text/csv");
    hospital.write("lab.csv", b"glucose,9.9\n");
    hospital.run(&upload).fails(3, "refused", "idempotency_conflict");

    let report = text(&first, "report");
    let ask = ["request", report, "--as", "4", "--purpose", "HRESCH", "--until", "2100-01-01"];
    hospital.run(&ask).fails(3, "refused", "too_long");
    let ask = ["request", report, "--as", "4", "--purpose", "HRESCH", "--until", "12h"];
    let request = hospital.run(&ask).json();
    let request = text(&request, "request");
    hospital.run(&["refuse", &request[..10], "--as", "3", "--wait"]).json();
    hospital.run(&["approve", request, "--as", "3"]).fails(3, "refused", "unknown_request");
    let waiting = hospital.run(&["requests", "--as", "3"]).json();
    assert_eq!(waiting["requests"].as_array().unwrap().len(), 0);
}

#[test]
fn keys_go_by_mail_where_mail_is_set_up() {
    let hospital = Hospital::new(&["--mail", "outbox"]);
    let uploaded = hospital.upload(b"by mail");
    assert_eq!(text(&uploaded, "delivery"), "mailed");
    assert!(uploaded.get("access_key").is_none());
    let letters = files(&hospital.folder().join("outbox"));
    assert_eq!(letters.len(), 1);
    assert!(fs::read_to_string(&letters[0]).unwrap().contains("Pat.Doe@example.org"));
    let sent = hospital.run(&["mail", "send"]).json();
    assert_eq!((&sent["sent"], &sent["waiting"]), (&0.into(), &0.into()));
}

#[test]
fn tables_for_people_have_stable_columns() {
    let hospital = Hospital::new(&["--engine", "pow"]);
    let uploaded = hospital.upload(b"x");
    let people = |args: &[&str]| {
        let run = run(hospital.people(args), None);
        run.text().to_owned()
    };
    let members = people(&["member", "list"]);
    let mut lines = members.lines();
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let head = ["NO", "NAME", "ROLE", "MEMBER", "ID", "MAIL", "STATE"];
    assert_eq!(columns(lines.next().unwrap()), head);
    assert!(lines.next().unwrap().starts_with("1   General Hospital  hospital  "));
    let log = people(&["log"]);
    let head = "DATE        TIME UTC  HOSPITAL          WHO               WHAT        RECORD    BLOCK  ABOUT";
    assert_eq!(log.lines().next().unwrap(), head);
    let last = log.lines().last().unwrap();
    assert!(last.contains("  Dr Ada            add-report  "), "{last}");
    assert!(last.contains(&text(&uploaded, "record")[..8]), "{last}");
    let reports = people(&["reports", "--as", "2"]);
    assert!(reports.starts_with("REPORT    LABEL"), "{reports}");
    assert!(reports.contains("  Pat Doe  Dr Ada  "), "{reports}");
    assert_eq!(people(&["requests", "--as", "3"]), "no request waits\n");
    let doctor = "no request waits: only patients are asked, Dr Ada is a doctor\n";
    assert_eq!(people(&["requests", "--as", "2"]), doctor);
    assert_eq!(people(&["mine"]), "nothing waits\n");
    assert!(people(&["verify"]).ends_with("all is as it should be\n"));
    assert!(people(&["status"]).contains("difficulty    207fffff: 2 tries a block\n"));

    // What was accepted but not mined says how to go on, beside the result.
    let file = hospital.path("report.txt");
    let upload = ["upload", file.to_str().unwrap(), "--as", "2", "--patient", "3"];
    let run = run(hospital.people(&upload), None);
    assert!(run.text().contains("\nACCESS KEY for Pat Doe, shown this once"));
    assert!(run.stderr.contains("`medledger mine`"), "{}", run.stderr);
    let verified = people(&["verify"]);
    let waiting = "one record waits in no block: not part of the chain yet\n";
    assert!(verified.contains(waiting) && verified.contains("all is as"), "{verified}");
    assert_eq!(hospital.run(&["verify", "--fast"]).json()["waiting"], 1);
}

#[test]
fn secrets_come_from_a_file_or_the_environment_and_are_printed_nowhere() {
    let hospital = Hospital::new(&[]);
    let file = hospital.write("password", format!("{PASSWORD}\n").as_bytes());
    let wrong = hospital.write("wrong", b"wrong");
    let report = hospital.write("r", b"r");
    let upload = ["upload", &report, "--as", "2", "--patient", "3"];

    // The file counts more than the environment.
    let mut from_file = hospital.command(&[&upload[..], &["--password-file", &file]].concat());
    from_file.env("MEDLEDGER_PASSWORD", "wrong");
    let uploaded = run(from_file, None).json();
    let message = hospital.run(&[&upload[..], &["--password-file", &wrong]].concat()).fails(
        3,
        "refused",
        "wrong_password",
    );
    assert!(message.contains("Dr Ada") && !message.contains(PASSWORD), "{message}");

    let mut nothing = hospital.command(&upload);
    nothing.env_remove("MEDLEDGER_PASSWORD");
    let none = run(nothing, None);
    none.fails(2, "usage", "no_secret");
    for source in ["--password-file", "MEDLEDGER_PASSWORD", "terminal"] {
        assert!(none.stderr.contains(source), "{}", none.stderr);
    }
    let asked = hospital.run(&["open", "1234", "--as", "3", "--access-key", "-o", "x"]);
    asked.fails(3, "refused", "no_access");

    // The key is mistyped by one character: neither the text nor the key is repeated.
    let key = text(&uploaded, "access_key");
    let swapped = if key.starts_with('0') { '1' } else { '0' };
    let mistyped = format!("{swapped}{}", &key[1..]);
    let key_file = hospital.write("key", mistyped.as_bytes());
    let id = text(&uploaded, "report");
    let open = ["open", id, "--as", "3", "-o", "x", "--access-key-file", &key_file];
    let refused = hospital.run(&open);
    refused.fails(2, "usage", "access_key");
    assert!(!refused.stderr.contains(&key[5..]), "{}", refused.stderr);

    // Nothing of it lies in clear in the ledger's folder.
    for path in files(&hospital.folder()) {
        let bytes = fs::read(&path).unwrap();
        for secret in [PASSWORD, key, &key.replace('-', "")] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}
