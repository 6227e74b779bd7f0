//! Commands that need no ledger, against known values.

use crate::command::{Run, command, plain, run, text};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";
/// Bitcoin's genesis block.
const GENESIS: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";
const GENESIS_HASH: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

fn cid(profile: &str, input: &[u8]) -> String {
    run(command(&["cid", "--profile", profile, "-"]), Some(input)).text().to_owned()
}

#[test]
fn cids_are_those_of_kubo() {
    let v1 = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e\n";
    assert_eq!(cid("unixfs-v1-2025", b"hello world"), v1);
    assert_eq!(cid("kubo-cidv1", b"hello world"), v1);
    let v0 = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD\n";
    assert_eq!(cid("unixfs-v0-2015", b"hello world"), v0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, b"hello world").unwrap();
    let json = plain(&["cid", path.to_str().unwrap(), "--json"]).json();
    assert_eq!((text(&json, "cid"), &json["size"]), (v1.trim_end(), &11.into()));
}

fn seal(args: &[&str], input: &[u8]) -> Run {
    run(command(&[&["seal"], args].concat()), Some(input))
}

fn unseal(args: &[&str], input: &[u8]) -> Run {
    run(command(&[&["unseal"], args].concat()), Some(input))
}

#[test]
fn sealing_round_trips_with_a_fresh_salt_and_nothing_else_on_stdout() {
    for len in [0, 1, 16_383, 16_384, 16_385, 700_000] {
        let plain: Vec<u8> = (0..len).map(|i: u32| (i % 251) as u8).collect();
        let sealed = seal(&["--key", KEY, "--context", "c0ffee"], &plain);
        assert_eq!((sealed.code, sealed.stderr.as_str()), (0, ""));
        assert_eq!(sealed.stdout.len(), 56 + plain.len() + 16 * (plain.len() / 16_384 + 1));
        let again = seal(&["--key", KEY, "--context", "c0ffee"], &plain);
        assert_ne!(sealed.stdout, again.stdout, "the salt is fresh");
        let opened = unseal(&["--key", KEY, "--context", "C0FFEE"], &sealed.stdout);
        assert!(opened.code == 0 && opened.stdout == plain && opened.stderr.is_empty());
    }
}

#[test]
fn keys_come_from_a_file_or_the_environment_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    let file = ["--key-file", path.to_str().unwrap()];
    let sealed = seal(&file, b"report");
    let mut environment = command(&["unseal"]);
    environment.env("MEDLEDGER_KEY", KEY);
    assert_eq!(run(environment, Some(&sealed.stdout)).text(), "report");
    let none = seal(&[], b"");
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("MEDLEDGER_KEY") && none.stderr.contains("--key-file"));
    // A key with one digit too many is not repeated.
    let long = seal(&["--key", &format!("{KEY}0")], b"");
    assert!(long.code == 2 && !long.stderr.contains("0102"), "{}", long.stderr);
}

#[test]
fn unsealing_writes_nothing_that_was_not_verified() {
    let plain = vec![b'p'; 600_000];
    let sealed = seal(&["--key", KEY], &plain).stdout;
    let other = "ff0102030405060708090a0b0c0d0e0f";
    for (args, code) in [(&["--key", other][..], 3), (&["--key", KEY, "--context", "00"], 3)] {
        let run = unseal(args, &sealed);
        assert_eq!((run.code, run.stdout.len()), (code, 0), "{}", run.stderr);
    }
    for at in [0, 30, 56, 20_000, sealed.len() / 2, sealed.len() - 1] {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        let run = unseal(&["--key", KEY], &bad);
        let code = if at < 56 { 3 } else { 5 };
        assert_eq!(run.code, code, "byte {at}: {}", run.stderr);
        assert!(plain.starts_with(&run.stdout), "byte {at}");
        let before = at.saturating_sub(56) / 16_400 * 16_384;
        assert!(run.stdout.len() <= before, "byte {at}: {} written", run.stdout.len());
    }
    for cut in [0, 55, 56, 56 + 16_400, sealed.len() - 1] {
        let run = unseal(&["--key", KEY], &sealed[..cut]);
        assert_eq!(run.code, 5, "cut at {cut}: {}", run.stderr);
        assert!(plain.starts_with(&run.stdout), "cut at {cut}");
    }
    assert_eq!(unseal(&["--key", KEY, "--json"], &sealed).code, 2);
}

#[test]
fn bitcoins_first_header_is_read_and_mined_again() {
    let shown = plain(&["header", "show", GENESIS, "--json"]).json();
    assert_eq!(text(&shown, "hash"), GENESIS_HASH);
    assert_eq!(text(&shown, "bits"), "1d00ffff");
    assert_eq!(text(&shown, "work"), "4295032833");
    assert_eq!((&shown["nonce"], &shown["difficulty"]), (&2_083_236_893.into(), &1.0.into()));
    assert_eq!(text(&shown, "time_text"), "2009-01-03T18:15:05Z");
    let merkle_root = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
    assert_eq!(text(&shown, "root_reversed"), merkle_root);
    assert_eq!(shown["work_met"], true);
    let people = plain(&["header", "show", GENESIS]);
    assert!(people.text().contains("\nwork met       yes\n"), "{}", people.text());

    // The same header at a difficulty for a test.
    let easy = GENESIS.replacen("ffff001d", "ffff7f20", 1);
    let mined = plain(&["header", "mine", &easy, "--threads", "2"]);
    let header = mined.text().trim_end();
    assert_eq!(header[..152], easy[..152], "only the nonce differs");
    let shown = plain(&["header", "show", header, "--json"]).json();
    assert_eq!(shown["work_met"], true);
    let mined = plain(&["header", "mine", &easy, "--json"]).json();
    assert_eq!((text(&mined, "header"), &mined["expected_tries"]), (header, &2.into()));
    assert!(mined["tries"].as_u64().unwrap() >= 1 && mined["hash_rate"].as_f64().unwrap() > 0.0);
    let kernels = ["portable", "sha-ni", "avx2", "avx512"];
    assert!(kernels.contains(&text(&mined, "kernel")), "{mined}");
    let zero = GENESIS.replacen("ffff001d", "00000000", 1);
    plain(&["header", "mine", &zero, "--json"]).fails(2, "usage", "bits");
    let shown = plain(&["header", "show", &zero, "--json"]).json();
    assert_eq!((&shown["target"], &shown["work_met"]), (&serde_json::Value::Null, &false.into()));
}

#[test]
fn bench_mine_measures_each_kernel_and_names_the_chosen_one() {
    let rates = plain(&["bench", "mine", "--seconds", "0.1", "--threads", "2", "--json"]).json();
    let kernels = rates["kernels"].as_array().unwrap();
    assert!(kernels.iter().any(|kernel| text(kernel, "kernel") == "portable"));
    let chosen: Vec<_> = kernels.iter().filter(|kernel| kernel["chosen"] == true).collect();
    assert_eq!(chosen.len(), 1);
    assert_eq!(text(chosen[0], "kernel"), text(&rates, "chosen"));
    for kernel in kernels {
        let threads: Vec<_> =
            kernel["rates"].as_array().unwrap().iter().map(|rate| &rate["threads"]).collect();
        assert_eq!(threads, [1, 2]);
        for rate in kernel["rates"].as_array().unwrap() {
            let [mean, best] =
                ["hash_rate", "best_hash_rate"].map(|name| rate[name].as_f64().unwrap());
            assert!(mean > 0.0 && best >= mean, "{rate}");
        }
    }
    assert!(!text(&rates, "processor").is_empty() && rates["features"].is_array());
    let one =
        plain(&["bench", "mine", "--seconds", "0.1", "--kernel", "portable", "--threads", "1"]);
    let lines: Vec<_> = one.text().lines().filter(|line| line.contains("MH/s")).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("portable         1"), "{lines:?}");
    plain(&["bench", "mine", "--kernel", "sse", "--json"]).fails(2, "usage", "arguments");
    plain(&["bench", "mine", "--seconds", "0", "--json"]).fails(2, "usage", "arguments");
}
