//! Files from elsewhere that are cut, of another kind or of another chain, and files that are not replaced.

use crate::command::{Hospital, Run, plain, run};
use serde_json::Value;
use std::fs;

/// Message and hint of a failed run.
#[track_caller]
fn told(run: &Run, exit: i32, fault: &str, code: &str) -> (String, String) {
    let message = run.fails(exit, fault, code);
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    let hint = error["error"]["hint"].as_str().unwrap_or_else(|| panic!("no hint: {}", run.stderr));
    (message, hint.to_owned())
}

#[test]
fn a_file_that_was_cut_is_damaged_one_of_another_kind_is_a_wrong_argument_and_both_say_what_to_do()
{
    let hospital = Hospital::new(&[]);
    let report = hospital.upload(b"a report")["report"].as_str().unwrap().to_owned();
    let path = |name: &str| hospital.path(name).to_str().unwrap().to_owned();
    let [news, chain, car, note] = ["a.news", "chain.car", "report.car", "note"].map(path);
    hospital.run(&["export", "news", "-o", &news]).json();
    hospital.run(&["export", "chain", "-o", &chain]).json();
    hospital.run(&["export", "report", &report, "-o", &car]).json();
    hospital.run(&["checkpoint", "show", "-o", &note]).json();
    let cut = |name: &str| {
        let whole = fs::read(name).unwrap();
        hospital.write("cut", &whole[..whole.len() - 5])
    };
    for (command, file, code) in
        [("news", &news, "news"), ("chain", &chain, "car"), ("report", &car, "car")]
    {
        let run = hospital.run(&["import", command, &cut(file)]);
        let (message, hint) = told(&run, 5, "damaged", code);
        assert!(message.contains("cut"), "{message}");
        assert!(hint.contains("fetch it again"), "{hint}");
    }
    let text = hospital.write("text", b"nothing of the kind\n");
    let id = hospital.run(&["status"]).json()["chain"].as_str().unwrap().to_owned();
    let follow = |file: &str| {
        let folder = hospital.path("follower");
        let args = ["--json", "--ledger", folder.to_str().unwrap(), "import", "follow", file];
        plain(&[&args[..], &["--chain", &id]].concat())
    };
    let cases = [
        (hospital.run(&["import", "news", &text]), "not_news", "export news"),
        (hospital.run(&["import", "news", &chain]), "not_news", "export news"),
        (hospital.run(&["import", "chain", &text]), "not_a_car", "export chain"),
        (hospital.run(&["import", "report", &text]), "not_a_car", "export report"),
        (follow(&text), "not_a_car", "export chain"),
        (follow(&car), "not_a_chain", "import report"),
        (
            hospital.run(&["checkpoint", "consistency", &text]),
            "not_a_checkpoint",
            "checkpoint show",
        ),
        (hospital.run(&["checkpoint", "consistency", &car]), "not_a_checkpoint", "checkpoint show"),
    ];
    for (run, code, names) in cases {
        let (message, hint) = told(&run, 2, "usage", code);
        assert!(message.starts_with(hospital.path("").to_str().unwrap()), "{code}: {message}");
        assert!(hint.contains(names), "{code}: {hint}");
    }
    // Of another chain.
    let other = Hospital::new(&[]);
    for args in [
        ["import", "chain", &chain],
        ["import", "news", &news],
        ["checkpoint", "consistency", &note],
    ] {
        let (_, hint) = told(&other.run(&args), 3, "refused", "other_chain");
        assert!(hint.contains("compare the chain's id"), "{hint}");
    }
    // With itself there is nothing to prove, and nothing was broken that would be whole again.
    let same = run(hospital.people(&["checkpoint", "consistency", &note]), None);
    assert!(!same.text().contains("proof") && same.text().contains("the same blocks"), "{same:?}");
    let whole = run(hospital.people(&["import", "report", &car]), None);
    assert!(!whole.text().contains("again"), "{}", whole.text());
}

#[test]
fn no_command_replaces_a_file_without_being_told_to() {
    let hospital = Hospital::new(&[]);
    let report = hospital.upload(b"a report")["report"].as_str().unwrap().to_owned();
    let file = hospital.path("file").to_str().unwrap().to_owned();
    for args in [
        &["export", "news", "-o", &file][..],
        &["export", "chain", "-o", &file],
        &["export", "report", &report, "-o", &file],
        &["checkpoint", "show", "-o", &file],
    ] {
        let _ = fs::remove_file(&file);
        hospital.run(args).json();
        let before = fs::read(&file).unwrap();
        hospital.run(args).fails(2, "usage", "file_exists");
        assert_eq!(fs::read(&file).unwrap(), before);
        hospital.run(&[args, &["--force"]].concat()).json();
    }
}

#[test]
fn one_thing_is_counted_as_one() {
    let hospital = Hospital::new(&[]);
    let text = |args: &[&str]| run(hospital.people(args), None).text().to_owned();
    hospital.run(&["mine"]);
    hospital.run(&["member", "add", "--role", "nurse", "--name", "Joy"]).json();
    assert!(text(&["status"]).contains("1 record to be mined"), "{}", text(&["status"]));
    hospital.run(&["mine"]).json();
    assert!(text(&["status"]).contains("0 records to be mined"));
}
