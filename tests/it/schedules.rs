//! `init --schedule`: ledgers whose difficulty follows the rate of blocks.

use crate::command::{command, run, text};
use std::fs;

#[test]
fn ledgers_with_any_schedule_are_made_mined_verified_and_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (kind, more) in [("bitcoin", ["--window", "3"]), ("asert", ["--half-life", "20"])] {
        let (ledger, car, follower) =
            (at(kind), at(&format!("{kind}.car")), at(&format!("{kind}-f")));
        let medledger = |args: &[&str]| {
            let mut command = command(&[&["--json", "--ledger", &ledger], args].concat());
            command.env("MEDLEDGER_PASSWORD", "p");
            run(command, None)
        };
        let start = ["init", "--schedule", kind, "--bits", "207fffff", "--spacing", "10"];
        let made = medledger(&[&start[..], &more].concat()).json();
        assert_eq!((text(&made, "engine"), text(&made, "bits")), ("pow", "207fffff"));
        // Blocks come faster than one in ten seconds, so they get harder.
        for _ in 0..6 {
            medledger(&["mine", "--empty"]).json();
        }
        let tries = medledger(&["status"]).json()["expected_tries"].as_u64().unwrap();
        assert!(tries > 2, "{kind}: {tries}");
        assert_eq!(medledger(&["verify"]).json()["ok"], true);
        medledger(&["export", "chain", "-o", &car]).json();
        let follow = ["--json", "--ledger", &follower, "import", "follow", &car, "--chain"];
        let taken = run(command(&[&follow[..], &[text(&made, "chain")]].concat()), None).json();
        assert_eq!(taken["chain"], made["chain"]);
        let verified = run(command(&["--json", "--ledger", &follower, "verify"]), None);
        assert_eq!(verified.json()["ok"], true);
    }
}

#[test]
fn parameters_that_make_no_schedule_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("ledger");
    let init = |args: &[&str]| {
        let mut command = command(&[&["init", "--json"], args].concat());
        command.env("MEDLEDGER_DIR", &folder).env("MEDLEDGER_PASSWORD", "p");
        run(command, None)
    };
    let paced = |kind: &str, more: &[&str]| {
        init(&[&["--schedule", kind, "--bits", "207fffff"], more].concat())
    };
    paced("asert", &[]).fails(2, "usage", "arguments");
    paced("asert", &["--spacing", "10", "--window", "9"]).fails(2, "usage", "arguments");
    paced("bitcoin", &["--spacing", "10", "--half-life", "9"]).fails(2, "usage", "arguments");
    paced("fixed", &["--spacing", "10"]).fails(2, "usage", "arguments");
    init(&["--engine", "log", "--schedule", "asert"]).fails(2, "usage", "arguments");
    paced("asert", &["--spacing", "0"]).fails(2, "usage", "schedule");
    paced("asert", &["--spacing", "10", "--half-life", "0"]).fails(2, "usage", "schedule");
    paced("bitcoin", &["--spacing", "10", "--window", "1"]).fails(2, "usage", "schedule");
    paced("bitcoin", &["--spacing", "10", "--floor", "1d00ffff"]).fails(2, "usage", "schedule");
    paced("bitcoin", &["--spacing", "10", "--floor", "ff00ffff"]).fails(2, "usage", "bits");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
