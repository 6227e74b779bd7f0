//! `medledger simulate`: what it prints, writes and refuses.

use crate::command::{Run, command, plain, run};
use std::collections::BTreeMap;

fn simulate(args: &[&str]) -> Run {
    run(command(&[&["simulate"], args].concat()), None)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    let args = ["--blocks", "300", "--latency", "60s", "--trials", "20", "--seed"];
    for more in [&["7"][..], &["7", "--json"]] {
        let args = [&args[..], more].concat();
        let first = simulate(&args);
        assert_eq!((first.code, first.stderr.as_str()), (0, ""));
        assert_eq!(first.stdout, simulate(&args).stdout);
    }
    assert_ne!(
        simulate(&[&args[..], &["7"]].concat()).stdout,
        simulate(&[&args[..], &["8"]].concat()).stdout
    );
}

#[test]
fn what_people_see_fits_a_terminal_and_names_every_part() {
    let miners = ["--miner", "0.6,name=Basel", "--miner", "0.4,latency=20s", "--blocks", "2000"];
    let more = ["--hash-rate-change", "1000=2", "--trials", "50", "--final-after", "12"];
    let text = simulate(&[&miners[..], &more].concat()).text().to_owned();
    for part in ["2,000 blocks", "MEASURED", "Basel", "miner 2", "DIFFICULTY", "ATTACKER", "x 2.00"]
    {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?} columns:\n{text}");
    assert!(!simulate(&[&miners[..], &["--trials", "0"]].concat()).text().contains("ATTACKER"));
    let help = plain(&["simulate", "--help"]).text().to_owned();
    assert!(help.contains("Examples:") && help.contains("--miner 0.4,selfish"));
}

#[test]
fn the_csv_file_has_the_chain_that_the_json_sums_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chain.csv");
    let args = ["--json", "--blocks", "400", "--latency", "2min", "--csv", path.to_str().unwrap()];
    let miners =
        ["--miner", "2,name=a \"b\"; c", "--miner", "1", "--attacker", "0.3", "--trials", "10"];
    let json = simulate(&[&args[..], &miners].concat()).json();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.split_terminator("\r\n");
    let header = "height,found_s,interval_s,header_time_s,bits,difficulty,miner,stale";
    assert_eq!(lines.next(), Some(header));
    let (mut heights, mut stale, mut found) = (0u64, 0, 0.0);
    let mut by_miner = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), 8, "{line}");
        heights += 1;
        assert_eq!(fields[0].parse::<u64>().unwrap(), heights);
        let before: f64 = found;
        found = fields[1].parse().unwrap();
        let interval: f64 = fields[2].parse().unwrap();
        assert!((found - before - interval).abs() < 0.002, "{line}");
        assert!(fields[3].parse::<f64>().unwrap() > found - 1.001, "{line}");
        assert!(u32::from_str_radix(fields[4], 16).is_ok() && fields[4].len() == 8, "{line}");
        assert!(fields[5].parse::<f64>().unwrap() > 0.0, "{line}");
        *by_miner.entry(fields[6].to_owned()).or_insert(0u64) += 1;
        stale += fields[7].parse::<u64>().unwrap();
    }
    assert_eq!((json["blocks"].as_u64(), json["stale"].as_u64()), (Some(heights), Some(stale)));
    assert!(heights >= 400 && stale > 0);
    let miners = json["miners"].as_array().unwrap();
    let names = ["\"a \"\"b\"\"; c\"", "\"miner 2\""];
    for (miner, name) in miners.iter().zip(names) {
        assert_eq!(miner["blocks"].as_u64(), by_miner.get(name).copied(), "{name}");
    }
    let attack = &json["attacks"][0];
    assert_eq!((attack["share"].as_f64(), attack["trials"].as_u64()), (Some(0.3), Some(10)));
    assert_eq!(attack["successes_with_finality"], 0);
}

#[test]
fn what_cannot_be_simulated_is_refused_as_wrong_usage() {
    let fails = |args: &[&str], code| {
        simulate(&[args, &["--json"]].concat()).fails(2, "usage", code);
    };
    fails(&["--miner", "x"], "arguments");
    fails(&["--miner", "0.3,speed=2"], "arguments");
    fails(&["--latency", "1 parsec"], "arguments");
    fails(&["--hash-rate-change", "100"], "arguments");
    fails(&["--schedule", "fixed", "--floor", "1d00ffff"], "arguments");
    fails(&["--schedule", "fixed", "--window", "9"], "arguments");
    fails(&["--schedule", "bitcoin", "--half-life", "9"], "arguments");
    fails(&["--bits", "zz"], "bits");
    fails(&["--blocks", "0"], "simulation");
    fails(&["--miner", "-1"], "arguments");
    fails(&["--miner", "0"], "simulation");
    fails(&["--schedule", "bitcoin", "--window", "1"], "simulation");
    fails(&["--hash-rate-change", "9=1", "--hash-rate-change", "9=2"], "simulation");
    fails(&["--attacker", "1.5", "--blocks", "10"], "simulation");
    fails(&["--confirmations", "0", "--blocks", "10"], "simulation");
    let nowhere = ["--blocks", "10", "--trials", "0", "--csv", "/no/such/folder/chain.csv"];
    simulate(&[&nowhere[..], &["--json"]].concat()).fails(4, "not_found", "no_file");
}
