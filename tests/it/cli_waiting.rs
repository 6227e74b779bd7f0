//! `medledger wait`, and `medledger mine --keep` beside it.

#[cfg(unix)]
use crate::cli_output::{ctrl_c_works, interrupted, signalled};
use crate::command::{Hospital, Run, run, text};
use serde_json::Value;
#[cfg(unix)]
use std::io::Read;
use std::process::Stdio;

/// Accepts a report that nobody mines; returns its record.
fn accepted(hospital: &Hospital, name: &str) -> String {
    let file = hospital.write(name, name.as_bytes());
    let uploaded = hospital.run(&["upload", &file, "--as", "2", "--patient", "3"]).json();
    text(&uploaded, "record").to_owned()
}

fn hint(run: &Run) -> String {
    let error: Value = serde_json::from_str(&run.stderr).expect("one JSON document");
    text(&error["error"], "hint").to_owned()
}

#[test]
fn waiting_tells_the_stage_and_the_block_of_a_final_record() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"one");
    let record = text(&uploaded, "record");
    for until in ["mined", "final"] {
        let stands = hospital.run(&["wait", record, "--until", until, "--timeout", "0"]).json();
        let expected = serde_json::json!({
            "record": record, "stage": "final", "height": uploaded["block"]["height"],
        });
        assert_eq!(stands, expected);
    }
    // The beginning of the id is enough, and people read the same.
    let shown = run(hospital.people(&["wait", &record[..12]]), None);
    let height = uploaded["block"]["height"].to_string();
    for part in [record, "final", &height] {
        assert!(shown.text().contains(part), "{part} in {}", shown.text());
    }
}

#[test]
fn waiting_in_vain_is_a_timeout_that_says_what_to_do() {
    let hospital = Hospital::new(&[]);
    let record = accepted(&hospital, "one");
    let waiting = || hospital.run(&["verify", "--fast"]).json()["waiting"].as_u64();
    let before = waiting();
    assert!(before >= Some(1));
    for until in ["mined", "final"] {
        let run = hospital.run(&["wait", &record, "--until", until, "--timeout", "0"]);
        let message = run.fails(6, "environment", "timeout");
        assert!(message.contains(&record) && message.contains("accepted"), "{message}");
        assert!(hint(&run).contains("medledger mine"), "{}", run.stderr);
        assert!(run.stdout.is_empty());
    }
    // A whole id may yet come from elsewhere; the beginning of one names nothing.
    let nobody = "00".repeat(32);
    let run = hospital.run(&["wait", &nobody, "--timeout", "0"]);
    let message = run.fails(6, "environment", "timeout");
    assert!(message.contains("unknown"), "{message}");
    assert!(hint(&run).contains("medledger log"), "{}", run.stderr);
    hospital.run(&["wait", "no-id"]).fails(4, "not_found", "no_record");
    assert_eq!(waiting(), before, "waiting mines nothing");
}

#[test]
fn waiting_sees_what_another_process_mines() {
    let hospital = Hospital::new(&[]);
    let record = accepted(&hospital, "one");
    let mut wait = hospital.command(&["wait", &record]);
    let wait = wait.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mined = hospital.run(&["mine"]);
    let output = wait.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stands: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(stands["stage"], "final");
    assert_eq!(stands["height"], mined.json()["blocks"][0]["height"]);
}

/// The first line, without what comes after it; less if the command ends.
#[cfg(unix)]
fn line(out: &mut dyn Read) -> Vec<u8> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && out.read(&mut byte).is_ok_and(|read| read == 1) {
        line.push(byte[0]);
    }
    line
}

/// Nothing is asserted while the miner runs: it would be left running.
#[cfg(unix)]
#[test]
fn mining_goes_on_beside_readers_until_ctrl_c_and_frees_the_ledger() {
    if !ctrl_c_works("mining_goes_on_beside_readers_until_ctrl_c_and_frees_the_ledger") {
        return;
    }
    let hospital = Hospital::new(&[]);
    // One miner is moved by the count, the other by the age.
    for (name, records) in [("one", "1"), ("two", "1000")] {
        let record = accepted(&hospital, name);
        let keep = ["mine", "--keep", "--records", records, "--age", "1"];
        let mut beside = None;
        let miner = interrupted(hospital.command(&keep), |out| {
            let first = line(out);
            let wait = hospital.run(&["wait", &record]);
            beside = Some((wait, hospital.run(&["mine"])));
            first
        });
        let message = miner.fails(130, "interrupted", "interrupted");
        assert!(message.contains("blocks that were mined are kept"), "{message}");
        let (wait, second) = beside.expect("it ran");
        second.fails(6, "environment", "in_use");
        let stands = wait.json();
        let lines: Vec<Value> = String::from_utf8(miner.stdout)
            .expect("text")
            .lines()
            .map(|line| serde_json::from_str(line).expect("a JSON document a line"))
            .collect();
        // What was registered before goes into the first one's block, too.
        assert!(lines[0]["records"].as_u64() >= Some(1), "{lines:?}");
        let holds = lines.iter().find(|block| block["height"] == stands["height"]);
        assert!(holds.is_some_and(|block| text(block, "id").len() == 64), "{lines:?} {stands}");
        assert_eq!(stands["stage"], "final");

        let free = hospital.run(&["mine"]).json();
        assert_eq!(
            (free["blocks"].as_array().map(Vec::len), &free["waiting"]),
            (Some(0), &0.into())
        );
        assert_eq!(hospital.run(&["verify"]).json()["ok"], true);
    }
}

/// As a manager of services stops it.
#[cfg(unix)]
#[test]
fn sigterm_ends_mining_as_ctrl_c_does() {
    let hospital = Hospital::new(&[]);
    accepted(&hospital, "one");
    let keep = ["mine", "--keep", "--records", "1"];
    let miner = signalled("-TERM", hospital.command(&keep), |out| line(out));
    let message = miner.fails(143, "interrupted", "interrupted");
    assert!(message.contains("blocks that were mined are kept"), "{message}");
    // Whoever starts it by `nohup` has the other one ignored; it is stopped all the same.
    let mut deaf = std::process::Command::new("sh");
    deaf.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    let command = hospital.command(&keep);
    deaf.arg(command.get_program()).args(command.get_args());
    deaf.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let record = accepted(&hospital, "two");
    let miner = signalled("-TERM", deaf, |out| {
        let first = line(out);
        // Of the shell's process, which is the command's by now.
        hospital.run(&["wait", &record]).json();
        first
    });
    miner.fails(143, "interrupted", "interrupted");
    assert_eq!(hospital.run(&["mine"]).json()["waiting"], 0);
}

#[test]
fn options_of_keeping_on_need_it_and_exclude_a_single_block() {
    let hospital = Hospital::new(&[]);
    for args in [
        &["mine", "--records", "1"][..],
        &["mine", "--bytes", "1"],
        &["mine", "--age", "1"],
        &["mine", "--keep", "--empty"],
        &["wait"],
        &["wait", "0000", "--until", "accepted"],
    ] {
        assert_eq!(hospital.run(args).code, 2, "{args:?}");
    }
}
