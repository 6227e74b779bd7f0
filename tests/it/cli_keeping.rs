//! Backup, restore, pruning and the log by time, as programs see them.

use crate::command::{Hospital, files, text};
use std::fs;

#[test]
fn pitfall_28_a_backup_put_back_is_refused_until_its_loss_is_accepted_by_name() {
    let hospital = Hospital::new(&[]);
    hospital.upload(b"one");
    let backup = hospital.path("backup");
    let name = backup.to_str().unwrap();
    let done = hospital.run(&["backup", name]).json();
    assert!(!backup.join("node.key").exists());
    hospital.run(&["backup", name]).fails(2, "usage", "not_empty");
    hospital.upload(b"two");
    hospital.run(&["mine"]).json();
    let tip = text(&hospital.run(&["status"]).json(), "tip").to_owned();
    fs::copy(backup.join("ledger.db"), hospital.folder().join("ledger.db")).unwrap();

    let message = hospital.run(&["mine", "--empty"]).fails(3, "refused", "behind");
    assert!(message.contains(&tip), "{message}");
    assert_eq!(hospital.run(&["status"]).json()["tip"], done["head"], "reading works");
    hospital.run(&["verify", "--fast"]).fails(5, "damaged", "verify");
    let other = text(&done, "head");
    hospital.run(&["restore", "--accept-loss", other]).fails(3, "refused", "behind");
    let accepted = hospital.run(&["restore", "--accept-loss", &tip]).json();
    assert_eq!(text(&accepted["lost"], "id"), tip);
    hospital.run(&["mine", "--empty"]).json();
    assert_eq!(hospital.run(&["verify"]).json()["ok"], true);
    assert!(hospital.run(&["restore", "--accept-loss", &tip]).json()["lost"].is_null());
}

/// As docs/backup.md says: with the note of the old folder, and what is lost without any.
#[test]
fn pitfall_28_a_whole_folder_is_put_back_with_its_note_and_goes_on_unawares_without() {
    let hospital = Hospital::new(&[]);
    hospital.upload(b"one");
    let (backup, old) = (hospital.path("backup"), hospital.path("ledger.old"));
    hospital.run(&["backup", backup.to_str().unwrap()]).json();
    assert!(!backup.join("head").exists());
    hospital.upload(b"two");
    let whole = hospital.path("whole.car");
    let whole = whole.to_str().unwrap();
    hospital.run(&["export", "chain", "-o", whole, "--with-reports"]).json();
    let tip = text(&hospital.run(&["status"]).json(), "tip").to_owned();
    fs::rename(hospital.folder(), &old).unwrap();
    let put_back = |note: bool| {
        let _ = fs::remove_dir_all(hospital.folder());
        for file in files(&backup) {
            let to = hospital.folder().join(file.strip_prefix(&backup).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(file, to).unwrap();
        }
        for name in [&["node.key"][..], if note { &["head"] } else { &[] }].concat() {
            fs::copy(old.join(name), hospital.folder().join(name)).unwrap();
        }
    };
    put_back(true);
    let message = hospital.run(&["mine", "--empty"]).fails(3, "refused", "behind");
    assert!(message.contains(&tip), "{message}");
    hospital.run(&["import", "chain", whole]).json();
    assert_eq!(text(&hospital.run(&["status"]).json(), "tip"), tip);
    hospital.run(&["mine", "--empty"]).json();
    // What no chain holds is gone: the report is there, and the key to it is not.
    let verify = hospital.run(&["verify"]);
    verify.fails(5, "damaged", "verify");
    let found: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    let found = found["findings"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(text(&found[0], "message").contains("wrapped key is missing"), "{found:?}");
    assert!(text(&found[1], "message").contains("its label is missing"), "{found:?}");
    // Its patient is told so as well, and not to look for another key.
    let reports = hospital.run(&["reports", "--as", "3"]).json();
    let report = text(&found[0], "report");
    assert!(reports.to_string().contains(report), "{reports}");
    let opened = hospital.path("opened");
    let open = hospital.run(&["open", report, "--as", "3", "-o", opened.to_str().unwrap()]);
    open.fails(5, "damaged", "key_missing");
    assert!(open.hint().contains("backup"), "{}", open.stderr);
    put_back(false);
    // The whole chain first, then: without it the next block would be a second one at that height.
    hospital.run(&["import", "chain", whole]).json();
    assert_eq!(text(&hospital.run(&["status"]).json(), "tip"), tip);
    put_back(false);
    hospital.run(&["mine", "--empty"]).json();
    assert_ne!(text(&hospital.run(&["status"]).json(), "tip"), tip);
}

#[test]
fn pruning_says_what_it_kept_and_the_log_goes_by_time() {
    let hospital = Hospital::new(&[]);
    hospital.upload(b"one");
    for _ in 0..12 {
        hospital.run(&["mine", "--empty"]).json();
    }
    hospital.run(&["prune", "--keep", "3"]).fails(2, "usage", "keep");
    // Nobody else has this chain: what would be lost is said first.
    let prune = ["prune", "--keep", "10"];
    let only = hospital.run(&prune);
    let message = only.fails(3, "refused", "only_copy");
    assert!(message.contains("alone on its chain"), "{message}");
    assert!(only.hint().contains("medledger export chain") && only.hint().contains("--force"));
    assert_eq!(hospital.run(&["verify"]).json()["kept_from"], 0);
    let done = hospital.run(&[&prune[..], &["--force"]].concat()).json();
    assert_eq!(done["records"], 0);
    assert!(done["kept"].as_u64().unwrap() > 0, "{done}");
    let verified = hospital.run(&["verify"]).json();
    assert_eq!((&verified["ok"], &verified["kept_from"]), (&true.into(), &done["kept_from"]));
    let chain = hospital.path("chain.car");
    let export = ["export", "chain", "-o", chain.to_str().unwrap()];
    hospital.run(&export).fails(4, "not_found", "pruned");

    let count = |args: &[&str]| {
        let log = hospital.run(&[&["log"], args].concat()).json();
        log["records"].as_array().unwrap().len()
    };
    let all = count(&[]);
    assert!(all > 2);
    assert_eq!(count(&["--since", "2020-01-01"]), all);
    assert_eq!(count(&["--until", "2020-01-01"]), 0);
    assert_eq!(count(&["--since", "2020-01-01", "--until", "9999-01-01"]), all);
}
