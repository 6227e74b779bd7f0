//! Grants beyond one report and one reader, from the command: several reports, collections, groups, roles, and
//! what is passed on.

use crate::command::{Hospital, run, text};
use serde_json::Value;

/// A hospital as in every test, with a nurse (5) and another doctor (6).
fn hospital() -> Hospital {
    let hospital = Hospital::new(&[]);
    for (role, name) in [("nurse", "Nurse Joy"), ("doctor", "Dr Cy")] {
        hospital.run(&["member", "add", "--role", role, "--name", name]).json();
    }
    hospital.run(&["mine"]).json();
    hospital
}

fn opens(hospital: &Hospital, report: &str, reader: &str, key: &str) -> Vec<u8> {
    let mut command = hospital.people(&["open", report, "--as", reader]);
    if !key.is_empty() {
        command.env("MEDLEDGER_ACCESS_KEY", key);
    }
    let run = run(command, None);
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.stdout
}

fn refused(hospital: &Hospital, report: &str, reader: &str, code: &str) {
    let target = hospital.path("refused");
    let args = ["open", report, "--as", reader, "-o", target.to_str().unwrap()];
    hospital.run(&args).fails(3, "refused", code);
    assert!(!target.exists(), "nothing is released");
}

fn people(hospital: &Hospital, args: &[&str]) -> String {
    run(hospital.people(args), None).text().to_owned()
}

/// Each grant that a member sees, once.
fn grants(hospital: &Hospital, member: &str) -> Vec<Value> {
    let reports = hospital.run(&["reports", "--as", member]).json();
    let mut found: Vec<Value> = Vec::new();
    for report in reports["reports"].as_array().unwrap() {
        for grant in report["grants"].as_array().unwrap() {
            if !found.iter().any(|known| known["grant"] == grant["grant"]) {
                found.push(grant.clone());
            }
        }
    }
    found
}

#[test]
fn several_reports_and_a_collection_are_shared_by_one_command() {
    let hospital = hospital();
    let (one, two) = (hospital.upload(b"one"), hospital.upload(b"two"));
    let (one, two) = (text(&one, "report"), text(&two, "report"));
    let share = |args: &[&str]| {
        let rest = ["--as", "3", "--purpose", "TREAT", "--until", "1d", "--wait"];
        hospital.run(&[&["share"], args, &rest].concat())
    };

    // The same report twice is one report.
    let shared = share(&[one, two, one, "--with", "4"]).json();
    assert_eq!((text(&shared, "scope"), &shared["report"]), ("reports", &Value::Null));
    assert_eq!(shared["reports"].as_array().unwrap().len(), 2);
    let key = text(&shared, "access_key").to_owned();
    assert_eq!(opens(&hospital, one, "4", &key), b"one");
    assert_eq!(opens(&hospital, two, "4", &key), b"two");

    let all = share(&["--collection", "--with", "5", "--to-identity"]).json();
    let here = hospital.run(&["status"]).json();
    assert_eq!(text(&all, "scope"), "collection");
    assert!(text(&here, "hospital").starts_with(text(&all, "hospital")));
    assert_eq!((text(&all, "reader_kind"), text(&all, "delivery")), ("member", "none"));
    let later = hospital.upload(b"three");
    let three = text(&later, "report");
    assert_eq!(opens(&hospital, three, "5", ""), b"three");
    refused(&hospital, three, "4", "no_access");

    // People see each grant once, with what it covers.
    let table = people(&hospital, &["reports", "--as", "3"]);
    let short = |value: &Value, name| text(value, name)[..8].to_owned();
    let row = |grant: &Value| {
        let rows: Vec<_> =
            table.lines().filter(|l| l.starts_with(&short(grant, "grant"))).collect();
        assert_eq!(rows.len(), 1, "{table}");
        rows[0].to_owned()
    };
    assert!(row(&shared).contains("  2 reports"), "{table}");
    assert!(row(&all).contains(&format!("  all at {}", short(&all, "hospital"))), "{table}");
    let log = hospital.run(&["log", "--kind", "grant"]).json();
    let says = |n: usize| log["records"][n]["says"].clone();
    assert_eq!(says(0)["reports"], shared["reports"]);
    assert_eq!(says(0)["reader"], shared["reader"]);
    assert_eq!(says(1)["collection"], all["hospital"]);

    // A new key for the collection: everything opens as before.
    let renewed = hospital.run(&["collection", "renew", "--as", "3", "--wait"]).json();
    assert_eq!(renewed["hospital"], all["hospital"]);
    let four = hospital.upload(b"four");
    assert_eq!(opens(&hospital, text(&four, "report"), "5", ""), b"four");
    assert_eq!(opens(&hospital, one, "5", ""), b"one");
    let enrolled = hospital.run(&["log", "--kind", "enrol"]).json();
    assert_eq!(enrolled["records"][1]["says"]["epoch"], 2, "{enrolled}");
    hospital.run(&["collection", "renew", "--as", "2"]).fails(3, "refused", "not_enrolled");
}

#[test]
fn what_cannot_be_shared_is_refused_by_name() {
    let hospital = hospital();
    let uploaded = hospital.upload(b"one");
    let (one, key) = (text(&uploaded, "report"), text(&uploaded, "access_key"));
    let until = ["--as", "3", "--until", "1d"];
    let share = |args: &[&str]| hospital.run(&[&["share"], args, &until].concat());
    share(&["--with", "4"]).fails(2, "usage", "arguments");
    share(&[one, "--group", "nobody"]).fails(4, "not_found", "no_group");
    share(&[one, "--with", "1"]).fails(3, "refused", "wrong_role");
    for times in ["4", "9"] {
        let deep = share(&[one, "--with", "4", "--delegable", times]);
        let message = deep.fails(3, "refused", "too_deep");
        assert!(message.contains("3 times"), "{message}");
    }
    // A report is no hospital.
    let message = share(&["--collection", one, "--with", "4"]).fails(2, "usage", "arguments");
    assert!(message.contains("is a report"), "{message}");
    let by_key = [&["share", "--collection", "--with", "4"], &until[..]].concat();
    hospital.run_with_key(&by_key, key).fails(3, "refused", "needs_identity");
    for args in [vec![one, "--collection"], vec![one, "--with", "4", "--group", "g"], vec![one]] {
        let rest = if args.len() == 2 { vec!["--with", "4"] } else { Vec::new() };
        let run = share(&[args, rest].concat());
        assert_eq!(run.code, 2, "{}", run.stderr);
    }
    // Nothing of it was permitted.
    assert!(grants(&hospital, "3").is_empty());
    refused(&hospital, one, "4", "no_access");
}

#[test]
fn pitfall_19_a_group_whose_member_lost_keys_is_given_nothing_until_it_is_renewed() {
    let hospital = hospital();
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let made = hospital.run(&["group", "create", "tumour board", "4", "5", "--wait"]).json();
    let group = text(&made, "group");
    assert_eq!(made["stale"], false);
    assert_eq!(people(&hospital, &["group", "renew"]), "no group of this hospital's is stale\n");
    // The doctor suspends their own keys: the group's next one takes the hospital.
    let suspended = hospital.run(&["identity", "suspend", "4", "--as", "4", "--wait"]).json();
    assert_eq!(suspended["stale_groups"], serde_json::json!([group]));
    assert_eq!(hospital.run(&["group", "show", group]).json()["stale"], true);
    let listed = people(&hospital, &["group", "list"]);
    assert!(listed.contains("1, stale"), "{listed}");
    let share =
        ["share", report, "--group", "tumour board", "--as", "3", "--until", "1d", "--wait"];
    hospital.run(&share).fails(3, "refused", "stale_group");
    let join = ["group", "change", group, "--join", "6", "--leave", "5"];
    hospital.run(&[&join[..4], &["4"]].concat()).fails(3, "refused", "member_suspended");
    let renewed = hospital.run(&["group", "renew", "--wait"]).json();
    let groups = renewed["groups"].as_array().unwrap();
    assert_eq!((text(&groups[0], "group"), &groups[0]["epoch"]), (group, &2.into()));
    assert_eq!(hospital.run(&["group", "show", group]).json()["stale"], false);
    hospital.run(&share).json();
    assert_eq!(opens(&hospital, report, "5", ""), b"a report");
    refused(&hospital, report, "4", "suspended");
    // Where the hospital suspends, the group moves on with it.
    let suspended = hospital.run(&["identity", "suspend", "5", "--as", "1", "--wait"]).json();
    assert_eq!(suspended.get("stale_groups"), None);
    let shown = hospital.run(&["group", "show", group]).json();
    assert_eq!((&shown["epoch"], &shown["stale"]), (&3.into(), &false.into()));
}

#[test]
fn a_group_reads_by_its_membership() {
    let hospital = hospital();
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    assert_eq!(people(&hospital, &["group", "list"]), "no group\n");
    let made = hospital.run(&["group", "create", "tumour board", "4", "5", "--wait"]).json();
    assert_eq!((&made["epoch"], text(&made, "name")), (&1.into(), "tumour board"));
    assert_eq!(made["members"].as_array().unwrap().len(), 2);
    assert!(made["block"]["height"].as_u64().is_some());
    let group = text(&made, "group");
    let share = ["share", report, "--group", "tumour board", "--as", "3", "--until", "1d"];
    let shared = hospital.run(&[&share[..], &["--wait"]].concat()).json();
    assert_eq!((text(&shared, "reader"), text(&shared, "reader_kind")), (group, "group"));
    assert_eq!(text(&shared, "delivery"), "none");
    for reader in ["4", "5"] {
        assert_eq!(opens(&hospital, report, reader, ""), b"a report");
    }
    refused(&hospital, report, "6", "no_access");

    // Who joins reads what was granted before; who leaves does not, the others go on.
    let change = ["group", "change", &group[..8], "--join", "6", "--leave", "4", "--wait"];
    let changed = hospital.run(&change).json();
    assert_eq!(changed["epoch"], 2);
    let numbers = |shown: &Value| {
        let members = shown["members"].as_array().unwrap();
        let mut numbers: Vec<u64> = members.iter().map(|m| m["number"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(&changed), [5, 6]);
    for reader in ["5", "6"] {
        assert_eq!(opens(&hospital, report, reader, ""), b"a report");
    }
    refused(&hospital, report, "4", "no_access");
    let shown = hospital.run(&["group", "show", "tumour board"]).json();
    assert_eq!((numbers(&shown), &shown["epoch"]), (vec![5, 6], &2.into()));
    let listed = people(&hospital, &["group", "list"]);
    assert!(listed.contains("  tumour board  a list  2        2      "), "{listed}");
    let shown = people(&hospital, &["group", "show", group]);
    assert!(shown.contains("Nurse Joy") && !shown.contains("Dr Bob"), "{shown}");
    let log = people(&hospital, &["log", "--kind", "group"]);
    assert!(log.contains(&format!("{}, joined: 1, left: 1", &group[..8])), "{log}");
    let reports = people(&hospital, &["reports", "--as", "3"]);
    assert!(reports.contains("tumour board (group)"), "{reports}");

    hospital.run(&["group", "change", group, "--leave", "4"]).fails(3, "refused", "wrong_members");
    assert_eq!(hospital.run(&["group", "change", group]).code, 2, "nothing to change");
    // Nobody takes a group's place by a name that looks like its id.
    for name in [group, &group[..8], &group[..4], " tumour board", "every doctor"] {
        hospital.run(&["group", "create", name, "6"]).fails(2, "usage", "name");
    }
    let taken = hospital.run(&["group", "create", "Tumour Board", "6"]);
    assert!(taken.fails(2, "usage", "name_taken").contains(group), "{}", taken.stderr);
    let shown = hospital.run(&["group", "show", &group[..8]]).json();
    assert_eq!((text(&shown, "group"), text(&shown, "name")), (group, "tumour board"));
    // Only a reader by name can pass on.
    let passed_on = [&share[..], &["--delegable", "1"]].concat();
    hospital.run(&passed_on).fails(2, "usage", "delegable");
    hospital.run(&["group", "create", "a\u{202e}b", "4"]).fails(2, "usage", "name");
    hospital.run(&["group", "create", "patients", "3"]).fails(3, "refused", "wrong_role");
}

#[test]
fn a_role_takes_in_whoever_comes() {
    let hospital = hospital();
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let made = hospital.run(&["group", "create", "--role", "nurse", "--wait"]).json();
    assert_eq!((text(&made, "role"), text(&made, "name")), ("nurse", "every nurse"));
    let share = ["share", "--collection", "--group", "every nurse", "--as", "3", "--until", "1d"];
    hospital.run(&[&share[..], &["--wait"]].concat()).json();
    assert_eq!(opens(&hospital, report, "5", ""), b"a report");
    hospital.run(&["member", "add", "--role", "nurse", "--name", "Nurse New", "--wait"]).json();
    assert_eq!(opens(&hospital, report, "7", ""), b"a report");
    refused(&hospital, report, "4", "no_access");
    let again = ["group", "create", "--role", "nurse"];
    hospital.run(&again).fails(3, "refused", "group_exists");
    let join = ["group", "change", text(&made, "group"), "--join", "4"];
    hospital.run(&join).fails(3, "refused", "wrong_members");
}

#[test]
fn a_grant_is_passed_on_as_far_as_it_says() {
    let hospital = hospital();
    let (one, two) = (hospital.upload(b"one"), hospital.upload(b"two"));
    let (one, two) = (text(&one, "report"), text(&two, "report"));
    let share = ["share", one, two, "--with", "4", "--as", "3", "--until", "2d", "--wait"];
    let shared = hospital.run(&[&share[..], &["--delegable", "1"]].concat()).json();
    assert_eq!(shared["delegable"], 1);
    let (grant, key) = (text(&shared, "grant"), text(&shared, "access_key"));

    // Of the two reports one, for a day, without passing it on further.
    let delegate = ["delegate", &grant[..8], "--with", "5", "--as", "4", "--report", one];
    let narrow = [&delegate[..], &["--until", "1d", "--wait"]].concat();
    let told = hospital.run(&narrow);
    let message = told.fails(3, "refused", "no_access");
    assert!(message.contains("permission of yours") && !told.stderr.contains("PATIENT"));
    let passed_on = hospital.run_with_key(&narrow, key).json();
    assert_eq!((text(&passed_on, "parent"), text(&passed_on, "report")), (grant, one));
    assert_eq!(passed_on["purpose"], shared["purpose"]);
    let passed_key = text(&passed_on, "access_key").to_owned();
    assert_eq!(opens(&hospital, one, "5", &passed_key), b"one");
    refused(&hospital, two, "5", "no_access");

    // Never wider, never further, never by others.
    let further = ["delegate", text(&passed_on, "grant"), "--with", "6", "--as", "5"];
    hospital.run_with_key(&further, &passed_key).fails(3, "refused", "not_delegable");
    let longer = [&delegate[..], &["--until", "3d"]].concat();
    hospital.run_with_key(&longer, key).fails(3, "refused", "too_wide");
    let deeper = [&delegate[..], &["--delegable", "1"]].concat();
    hospital.run_with_key(&deeper, key).fails(3, "refused", "too_wide");
    let thief = ["delegate", grant, "--with", "6", "--as", "6"];
    hospital.run_with_key(&thief, key).fails(3, "refused", "no_access");

    // The patient sees where it comes from.
    let seen = grants(&hospital, "3");
    let child = seen.iter().find(|seen| seen["grant"] == passed_on["grant"]).expect("listed");
    assert_eq!((&child["parent"], &child["live"]), (&shared["grant"], &true.into()));
    let table = people(&hospital, &["reports", "--as", "3"]);
    let row = table.lines().find(|l| l.starts_with(&text(&passed_on, "grant")[..8])).unwrap();
    assert!(row.ends_with(&grant[..8]), "{row}");
    let log = hospital.run(&["log", "--kind", "delegate"]).json();
    assert_eq!(log["records"][0]["says"]["parent"], shared["grant"]);
    assert_eq!(log["records"][0]["says"]["report"], one);

    // With the grant goes what was passed on.
    hospital.run(&["revoke", grant, "--as", "3", "--wait"]).json();
    let after = grants(&hospital, "3");
    assert!(after.iter().all(|grant| grant["live"] == false && grant["revoked"] == true));
    let target = hospital.path("x");
    let open = ["open", one, "--as", "5", "-o", target.to_str().unwrap()];
    hospital.run_with_key(&open, &passed_key).fails(3, "refused", "revoked");
}

#[test]
fn who_passed_a_grant_on_takes_it_back() {
    let hospital = hospital();
    let uploaded = hospital.upload(b"one");
    let one = text(&uploaded, "report");
    let share = ["share", one, "--with", "4", "--as", "3", "--until", "1d", "--to-identity"];
    let shared = hospital.run(&[&share[..], &["--delegable", "2", "--wait"]].concat()).json();
    let pass = |grant: &str, from: &str, to: &[&str]| {
        let args = ["delegate", grant, "--as", from, "--to-identity", "--wait"];
        hospital.run(&[&args[..], to].concat()).json()
    };
    let second = pass(text(&shared, "grant"), "4", &["--with", "5", "--delegable", "1"]);
    let third = pass(text(&second, "grant"), "5", &["--with", "6"]);
    assert_eq!(opens(&hospital, one, "6", ""), b"one");
    let revoke = ["revoke", text(&second, "grant"), "--as"];
    // Somebody else's is answered like one that does not exist, and stays what it is.
    let absent = "ee".repeat(16);
    for grant in [text(&second, "grant"), absent.as_str()] {
        let answer = hospital.run(&["revoke", grant, "--as", "6", "--wait"]).json();
        assert_eq!((text(&answer, "grant"), &answer["known"]), (grant, &Value::Bool(false)));
        hospital.run(&["revoke", grant, "--as", "6"]).fails(3, "refused", "revoked");
    }
    assert_eq!(opens(&hospital, one, "6", ""), b"one");
    let own = hospital.run(&[&revoke[..], &["4", "--wait"]].concat()).json();
    assert_eq!(own["known"], true);
    refused(&hospital, one, "5", "revoked");
    refused(&hospital, one, "6", "revoked");
    assert_eq!(opens(&hospital, one, "4", ""), b"one");
    assert_eq!(third["parent"], second["grant"]);
}

#[test]
fn receipts_tell_what_each_kind_of_record_says() {
    let hospital = hospital();
    let (one, two) = (hospital.upload(b"one"), hospital.upload(b"two"));
    let (one, two) = (text(&one, "report"), text(&two, "report"));
    let group = hospital.run(&["group", "create", "board", "4", "5", "--wait"]).json();
    let share = ["share", one, two, "--group", "board", "--as", "3", "--until", "1d", "--wait"];
    let shared = hospital.run(&share).json();
    let rotated = hospital.run(&["rotate", one, "--as", "3", "--wait"]).json();
    let confirmed = hospital.run(&["rotate", "confirm", "--as", "1", "--wait"]).json();
    let chain = hospital.run(&["status"]).json();
    let check = |record: &str, args: &[&str]| {
        let file = hospital.path("receipt");
        let file = file.to_str().unwrap();
        hospital.run(&["receipt", "get", record, "-o", file, "--force"]).json();
        run(
            hospital.people(
                &[&["receipt", "check", file, "--chain", text(&chain, "chain")], args].concat(),
            ),
            None,
        )
    };
    let says = |record: &Value| check(record.as_str().unwrap(), &["--json"]).json()["says"].clone();

    let said = says(&shared["record"]);
    assert_eq!((&said["reports"], &said["group"]), (&shared["reports"], &group["group"]));
    assert_eq!((&said["grant"], &said["group_epoch"]), (&shared["grant"], &1.into()));
    let said = says(&group["record"]);
    assert_eq!((&said["group"], &said["epoch"]), (&group["group"], &1.into()));
    assert_eq!(said["joined"].as_array().unwrap().len(), 2);
    let rotation = &rotated["rotations"][0]["record"];
    let said = says(rotation);
    assert_eq!((&said["report"], &said["epoch"]), (&one.into(), &2.into()));
    assert_eq!(says(&confirmed["confirmations"][0]["record"])["confirms"], *rotation);
    // For people each report has a line of its own.
    let shown = check(text(&shared, "record"), &[]).text().to_owned();
    for report in [one, two] {
        assert!(shown.lines().any(|line| line.ends_with(&format!("  {report}"))), "{shown}");
    }
}
