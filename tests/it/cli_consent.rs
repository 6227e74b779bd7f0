//! New keys that travel as files: from a patient's own machine to the hospital, and from one hospital to another.

use crate::cli_hospitals::Two;
use crate::command::{Hospital, PASSWORD, Run, command, run, text};
use serde_json::Value;

/// A command on the patient's own machine, where there is no ledger.
fn at_home(hospital: &Hospital, args: &[&str]) -> Run {
    let mut command = command(args);
    command
        .arg("--json")
        .env("MEDLEDGER_DIR", hospital.path("home/none"))
        .env("MEDLEDGER_PASSWORD", PASSWORD)
        .env("MEDLEDGER_NEW_PASSWORD", "the patient's alone");
    run(command, None)
}

fn with_password(hospital: &Hospital, args: &[&str], password: &str) -> Run {
    let mut command = hospital.command(args);
    command.env("MEDLEDGER_PASSWORD", password);
    run(command, None)
}

fn open(hospital: &Hospital, report: &str, reader: &str, password: &str) -> Option<Vec<u8>> {
    let mut command = hospital.people(&["open", report, "--as", reader]);
    command.env("MEDLEDGER_PASSWORD", password);
    let run = run(command, None);
    (run.code == 0).then_some(run.stdout)
}

#[test]
fn a_patient_makes_new_keys_at_home_and_the_hospital_takes_the_consent() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"one");
    let report = text(&uploaded, "report");
    let share =
        ["share", "--collection", "--with", "4", "--as", "3", "--until", "1d", "--to-identity"];
    hospital.run(&[&share[..], &["--wait"]].concat()).json();
    let chain = text(&hospital.run(&["status"]).json(), "chain").to_owned();
    let members = hospital.run(&["member", "list"]).json();
    let patient = text(&members["members"][2], "id").to_owned();
    // What a patient has who keeps a copy of the file.
    std::fs::create_dir(hospital.path("home")).unwrap();
    let [old, new, consent] = ["home/old", "home/new", "home/consent"]
        .map(|name| hospital.path(name).to_str().unwrap().to_owned());
    let kept = hospital.folder().join("identities").join(format!("{patient}.identity"));
    std::fs::copy(kept, &old).unwrap();

    let make = ["identity", "consent", &old, "--chain", &chain, "--next", &new, "-o", &consent];
    // A slip does not cost the keys: neither file of them is where the consent goes.
    let kept = std::fs::read(&old).unwrap();
    for (next, consent) in [(&new, &old), (&new, &new)] {
        let slip = ["identity", "consent", &old, "--chain", &chain, "--next", next, "-o", consent];
        at_home(&hospital, &slip).fails(2, "usage", "file_exists");
        assert_eq!(std::fs::read(&old).unwrap(), kept);
        assert!(!std::fs::exists(&new).unwrap());
    }
    // No keys are made for a consent that has no place.
    let nowhere = hospital.path("no folder/consent").to_str().unwrap().to_owned();
    let lost: Vec<&str> =
        make.iter().map(|arg| if *arg == consent { &nowhere[..] } else { arg }).collect();
    at_home(&hospital, &lost).fails(4, "not_found", "no_file");
    assert!(!std::fs::exists(&new).unwrap());
    let made = at_home(&hospital, &make).json();
    assert_eq!((text(&made, "member"), text(&made, "chain")), (patient.as_str(), chain.as_str()));
    let fingerprint = text(&made, "fingerprint").to_owned();
    at_home(&hospital, &make).fails(2, "usage", "file_exists");
    let read = ["identity", "read-consent", &consent];
    hospital.run(&read).fails(3, "refused", "not_suspended");
    hospital.run(&["identity", "suspend", "3", "--as", "1", "--wait"]).json();
    let told = hospital.run(&read).json();
    assert_eq!((text(&told, "name"), text(&told, "fingerprint")), ("Pat Doe", &fingerprint[..]));
    let shown = run(hospital.people(&read), None).text().to_owned();
    let groups: Vec<_> = (0..8).map(|n| &fingerprint[4 * n..4 * n + 4]).collect();
    assert!(shown.contains(&groups.join(" ")), "{shown}");

    let replace = |more: &[&str]| {
        let args = ["identity", "replace", "3", "--as", "1", "--consent-file", &consent, "--wait"];
        hospital.run(&[&args[..], more].concat())
    };
    // Whoever has the suspended keys can write a consent, too.
    replace(&[]).fails(2, "usage", "fingerprint");
    let guess = "0".repeat(32);
    replace(&["--fingerprint", &guess]).fails(3, "refused", "fingerprint");
    replace(&["--fingerprint", "12"]).fails(2, "usage", "id");
    let other = ["identity", "replace", "4", "--as", "1", "--consent-file", &consent];
    hospital.run(&other).fails(3, "refused", "other_member");
    let done = replace(&["--fingerprint", &groups.join("-")]).json();
    let own = text(&members["members"][0], "id");
    assert_eq!(done["collections"], serde_json::json!([]));
    assert_eq!(done["to_renew"], serde_json::json!([own]));
    assert_eq!(text(&done, "fingerprint"), fingerprint);
    replace(&["--fingerprint", &fingerprint]).fails(3, "refused", "consent_used");
    assert!(open(&hospital, report, "3", PASSWORD).is_none(), "the file here has the old keys");

    // Until the next visit the patient is told what is missing, whatever they do.
    for act in [&["open", "eeee", "-o", "unused"][..], &["collection", "renew"]] {
        let refused = hospital.run(&[act, &["--as", "3"]].concat());
        refused.fails(3, "refused", "not_in_force");
        assert!(refused.stderr.contains("identity install"), "{}", refused.stderr);
    }
    let install = ["identity", "install", &new];
    hospital.run(&install).fails(3, "refused", "wrong_password");
    let mine = "the patient's alone";
    let installed = with_password(&hospital, &install, mine).json();
    assert_eq!((&installed["renew"], &installed["former_keys"]), (&true.into(), &1.into()));
    let late = text(&hospital.upload(b"two"), "report").to_owned();
    let reads = |password: &str| {
        for (report, content) in [(report, &b"one"[..]), (&late, b"two")] {
            assert_eq!(open(&hospital, report, "3", password).as_deref(), Some(content));
            assert_eq!(open(&hospital, report, "4", PASSWORD).as_deref(), Some(content));
        }
    };
    reads(mine);
    let forget = ["identity", "rewrap", "--as", "3", "--forget"];
    let early = with_password(&hospital, &forget, mine);
    early.fails(3, "refused", "collection_not_renewed");
    let rewrapped = with_password(&hospital, &["identity", "rewrap", "--as", "3"], mine).json();
    assert_eq!((&rewrapped["renew"], &rewrapped["forgotten"]), (&true.into(), &false.into()));
    with_password(&hospital, &["collection", "renew", "--as", "3", "--wait"], mine).json();
    assert_eq!(with_password(&hospital, &forget, mine).json()["forgotten"], true);
    reads(mine);
}

#[test]
fn files_that_are_no_consent_and_no_identity_are_refused_by_name() {
    let hospital = Hospital::new(&[]);
    let garbage = hospital.write("garbage", b"\xa1\x61v\x01");
    let read = ["identity", "read-consent", &garbage];
    let message = hospital.run(&read).fails(2, "usage", "not_a_consent");
    assert!(
        message.ends_with("garbage: the file is no consent to new keys, or was damaged on its way")
    );
    let replace = ["identity", "replace", "3", "--as", "1", "--consent-file", &garbage];
    hospital.run(&replace).fails(2, "usage", "not_a_consent");
    let install = hospital.run(&["identity", "install", &garbage]);
    assert_ne!(install.code, 0);
    // Another chain's.
    let members = hospital.run(&["member", "list"]).json();
    let patient = text(&members["members"][2], "id");
    let kept = hospital.folder().join("identities").join(format!("{patient}.identity"));
    let (kept, chain) = (kept.to_str().unwrap(), "07".repeat(32));
    let [next, consent] = ["next", "consent"].map(|name| hospital.path(name));
    let (next, consent) = (next.to_str().unwrap(), consent.to_str().unwrap());
    let make = ["identity", "consent", kept, "--chain", &chain, "--next", next, "-o", consent];
    at_home(&hospital, &make).json();
    hospital.run(&["identity", "read-consent", consent]).fails(3, "refused", "other_chain");
    // Keys that nobody was told of are not put in the place of those in force.
    let unknown = with_password(&hospital, &["identity", "install", next], "the patient's alone");
    unknown.fails(3, "refused", "not_in_force");
}

/// Everything from each to the other, until a record that was accepted is final at both.
fn settle(two: &Two) {
    for _ in 0..4 {
        two.give("a", "b");
        two.at("b", &["mine", "--empty"]).json();
        two.give("b", "a");
        two.at("a", &["mine", "--empty"]).json();
    }
    two.give("a", "b");
}

fn added(two: &Two, who: &str, role: &str, name: &str) -> String {
    let add = ["member", "add", "--role", role, "--name", name];
    text(&two.at(who, &add).json(), "member").to_owned()
}

#[test]
fn keys_that_changed_at_one_hospital_go_on_at_another() {
    let two = Two(tempfile::tempdir().expect("a folder"));
    let [card, car] = ["b.card", "genesis.car"].map(|name| two.file(name));
    two.at("b", &["hospital", "new", "--name", "B", "-o", &card]).json();
    let init = ["init", "--name", "A", "--bits", "207fffff", "--founder", &card];
    let chain = text(&two.at("a", &init).json(), "chain").to_owned();
    two.at("a", &["export", "chain", "-o", &car]).json();
    two.at("b", &["hospital", "join", &car, "--chain", &chain]).json();
    let patient = added(&two, "a", "patient", "Pat");
    let [author, joy] = ["Dr Eve", "Dr Joy"].map(|name| added(&two, "b", "doctor", name));
    settle(&two);
    // The patient comes to B with the file.
    let file = two.path("a/identities").join(format!("{patient}.identity"));
    let file = file.to_str().expect("text").to_owned();
    two.at("b", &["identity", "install", &file]).json();
    two.at("b", &["collection", "begin", "--as", &patient]).json();
    settle(&two);
    let content = two.file("report");
    let upload = |bytes: &[u8]| {
        std::fs::write(&content, bytes).expect("written");
        let upload = ["upload", &content, "--as", &author, "--patient", &patient, "--wait"];
        text(&two.at("b", &upload).json(), "report").to_owned()
    };
    let early = upload(b"early");
    let share =
        ["share", "--collection", "--with", &joy, "--as", &patient, "--until", "1d", "--wait"];
    two.at("b", &[&share[..], &["--to-identity"]].concat()).json();
    settle(&two);

    let done = two.at("a", &["identity", "succeed", "--as", &patient]).json();
    let [b] = &done["to_renew"].as_array().expect("a list")[..] else { panic!("{done}") };
    let b = b.as_str().expect("text").to_owned();
    assert_eq!(done["elsewhere"], serde_json::json!([b]));
    settle(&two);
    let rewrap = ["identity", "rewrap", "--as", &patient];
    let forget = [&rewrap[..], &["--forget"]].concat();
    let told = two.at("a", &forget).fails(3, "refused", "former_keys_elsewhere");
    assert!(told.contains(&b), "{told}");
    let done_at = [&forget[..], &["--done-at", &b]].concat();
    two.at("a", &done_at).fails(3, "refused", "collection_not_renewed");
    // The old file at B signs nothing there any more.
    let renew = ["collection", "renew", "--as", &patient];
    two.at("b", &renew).fails(3, "refused", "not_in_force");
    let installed = two.at("b", &["identity", "install", &file]).json();
    assert_eq!(installed["renew"], true);
    let late = upload(b"late");
    two.at("a", &[&renew[..], &[&b]].concat()).fails(3, "refused", "other_hospital");
    let rewrapped: Value = two.at("b", &rewrap).json();
    assert_eq!((&rewrapped["renew"], &rewrapped["wrapped_anew"]), (&true.into(), &1.into()));
    two.at("b", &renew).json();
    settle(&two);
    two.at("b", &forget).json();
    two.at("a", &done_at).json();
    for (report, bytes) in [(&early, &b"early"[..]), (&late, b"late"), (&upload(b"last"), b"last")]
    {
        for who in [&patient, &joy] {
            let out = two.file("opened");
            let _ = std::fs::remove_file(&out);
            two.at("b", &["open", report, "--as", who, "-o", &out]).json();
            assert_eq!(std::fs::read(&out).expect("opened"), bytes);
        }
    }
    // What B keeps is nothing that A lacks.
    for who in ["a", "b"] {
        two.at(who, &["verify"]).json();
    }
}
