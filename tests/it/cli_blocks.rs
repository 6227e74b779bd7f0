//! `medledger blocks`: pins, check, collect and repair, as programs and people see them.

use crate::command::{Hospital, files, run, text};
use std::fs;
use std::path::PathBuf;

fn data_files(hospital: &Hospital) -> Vec<PathBuf> {
    let mut found = files(&hospital.folder().join("blocks/blocks"));
    found.retain(|path| path.extension().is_some_and(|e| e == "data"));
    found.sort();
    found
}

#[test]
fn pitfall_17_blocks_are_checked_collected_and_repaired() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(&[5; 1_500_000]);
    let pins = hospital.run(&["blocks", "pins"]).json();
    let pin = &pins["pins"][0];
    assert_eq!(pin["root"], uploaded["envelope"]);
    let reason = format!("report {}", text(&uploaded, "report"));
    assert_eq!(pin["reasons"][0]["reason"], *reason);
    let shown = run(hospital.people(&["blocks", "pins"]), None);
    assert!(shown.text().contains(&reason), "{}", shown.text());
    let count = data_files(&hospital).len();
    let checked = hospital.run(&["blocks", "check"]).json();
    assert_eq!((&checked["ok"], &checked["blocks"]), (&true.into(), &count.into()));

    // A copy is kept; then one block is damaged and one is gone.
    let copy = hospital.path("copy");
    for file in files(&hospital.folder().join("blocks/blocks")) {
        let to = copy.join(file.strip_prefix(hospital.folder().join("blocks/blocks")).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, to).unwrap();
    }
    let broken = data_files(&hospital);
    fs::write(&broken[0], b"damage").unwrap();
    fs::remove_file(&broken[1]).unwrap();
    let failed = hospital.run(&["blocks", "check"]);
    failed.fails(5, "damaged", "blocks");
    let found: serde_json::Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(found["damaged"].as_array().unwrap().len(), 1, "{found}");
    let repair = ["blocks", "repair", "--from", copy.to_str().unwrap()];
    let nowhere = hospital.path("nowhere");
    let absent = ["blocks", "repair", "--from", nowhere.to_str().unwrap()];
    assert_ne!(hospital.run(&absent).code, 0);
    let repaired = hospital.run(&repair).json();
    assert_eq!(repaired["ok"], true, "{repaired}");
    assert!(!repaired["repaired"].as_array().unwrap().is_empty());
    hospital.run(&["blocks", "check"]).json();
    hospital.run(&["verify"]).json();

    let dry = hospital.run(&["blocks", "collect", "--dry-run"]).json();
    assert_eq!((&dry["removed"], &dry["dry_run"]), (&0.into(), &true.into()));
    let done = hospital.run(&["blocks", "collect"]).json();
    assert_eq!((&done["removed"], &done["kept"]), (&0.into(), &count.into()));
    let status = hospital.run(&["status"]).json();
    assert_eq!(status["cache"]["hit_ratio"], 0.0);
}

#[test]
fn a_root_is_kept_for_a_reason_of_somebodys_until_it_is_taken_back() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let (report, envelope) = (text(&uploaded, "report"), text(&uploaded, "envelope"));
    let word = |what, root, why| hospital.run(&["blocks", what, root, "--for", why]);
    let reasons = || {
        let pins = hospital.run(&["blocks", "pins"]).json();
        let reasons = pins["pins"].as_array().unwrap().iter().flat_map(|pin| {
            pin["reasons"].as_array().unwrap().iter().map(|row| text(row, "reason").to_owned())
        });
        reasons.collect::<Vec<_>>()
    };
    let kept = word("keep", envelope, "audit of 2026").json();
    assert_eq!(
        kept,
        serde_json::json!({"root": envelope, "reason": "audit of 2026", "kept": true})
    );
    word("keep", envelope, "second opinion").json();
    assert_eq!(reasons().len(), 3);

    // Under a new key the report lets go of its old blocks; who keeps them for a reason still has them.
    let rotate = ["rotate", report, "--as", "3", "--wait"];
    hospital.run(&rotate).json();
    hospital.run(&["rotate", "confirm", "--as", "1", "--wait"]).json();
    let collected = hospital.run(&["blocks", "collect"]).json();
    assert_eq!(collected["removed"], 0, "{collected}");
    let now = reasons();
    assert!(now.contains(&"user audit of 2026".to_owned()), "{now:?}");
    assert_eq!(word("release", envelope, "audit of 2026").json()["kept"], false);
    assert_eq!(hospital.run(&["blocks", "collect"]).json()["removed"], 0, "one more keeps it");
    word("release", envelope, "second opinion").json();
    assert_ne!(hospital.run(&["blocks", "collect"]).json()["removed"], 0);
    assert_eq!(reasons(), [format!("report {report}")]);

    word("release", envelope, "second opinion").fails(4, "not_found", "not_kept");
    word("keep", envelope, "gone").fails(4, "not_found", "no_block");
    word("keep", envelope, "").fails(2, "usage", "arguments");
    word("keep", "no-cid", "x").fails(2, "usage", "arguments");
    let shown = run(hospital.people(&["blocks", "keep", "--help"]), None);
    assert!(shown.text().contains("REASON"), "{}", shown.text());
}
