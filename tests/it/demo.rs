//! `medledger demo` plays the whole story with the built binary; these tests read what it printed and
//! look at what it left.

use medledger_core::cid::Cid;
use medledger_core::pow::Header;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_medledger"))
        .arg("demo")
        .args(["--block-seconds", "0.02"])
        .args(args)
        .output()
        .expect("the built binary starts")
}

/// The demo's steps by name, as `--json` tells them.
fn steps(dir: &Path, file: Option<&Path>) -> BTreeMap<String, Value> {
    let mut args = vec!["--json", "--dir", dir.to_str().unwrap()];
    args.extend(file.map(|file| file.to_str().unwrap()));
    let output = demo(&args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{err}\n{out}");
    assert_eq!(err, "", "no progress where standard error is no terminal");
    out.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON object a line"))
        .map(|step| (step["name"].as_str().unwrap().to_owned(), step))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn fact<'a>(steps: &'a BTreeMap<String, Value>, step: &str, name: &str) -> &'a Value {
    let value = &steps[step]["facts"][name];
    assert!(!value.is_null(), "{step} tells no {name}: {}", steps[step]);
    value
}

/// Files below a folder whose name ends like this.
fn files(folder: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// What must hold whatever the report is.
fn check_all(dir: &Path, steps: &BTreeMap<String, Value>, report: &[u8]) {
    let names = [
        "found",
        "register",
        "upload",
        "patients-mail",
        "request",
        "approve",
        "open",
        "strangers",
        "who-read",
        "revoke",
        "damage",
        "receipt",
        "verify",
        "team",
        "rotate",
        "who-saw",
        "left",
    ];
    for name in names {
        assert!(steps.contains_key(name), "{name}");
    }
    assert_eq!(steps.len(), names.len());

    // Blocks: the header hashes to the id that is told, and has the work; each stands on the last.
    let mut previous = fact(steps, "found", "chain_id").clone();
    let bits = fact(steps, "found", "difficulty")["bits"].as_str().unwrap();
    let told = ["register", "upload", "request", "approve", "open", "revoke", "damage"];
    for (name, height) in told.into_iter().zip(1..) {
        let block = fact(steps, name, &format!("block_{height}"));
        let header: Header = block["header"].as_str().unwrap().parse().unwrap();
        assert_eq!(header.id().to_string(), block["id"].as_str().unwrap());
        assert_eq!(header.previous.to_string(), previous.as_str().unwrap());
        assert_eq!(header.bits.to_string(), bits);
        assert!(header.meets_target());
        assert!(fact(steps, name, "mined")["tries"].as_u64().unwrap() > 0);
        previous = block["id"].clone();
    }

    // The ciphertext is in the store under the CID that is told, and nowhere is there plaintext.
    let ledger = dir.join("ledger");
    let store = medledger::ipfs::store::FileStore::open_read_only(ledger.join("blocks")).unwrap();
    for name in ["content_id", "envelope"] {
        let cid: Cid = fact(steps, "upload", name).as_str().unwrap().parse().unwrap();
        let path = store.block_path(&cid);
        assert!(cid.matches(&std::fs::read(&path).unwrap()), "{}", path.display());
    }
    assert!(fact(steps, "upload", "encrypted").as_u64().unwrap() > report.len() as u64);
    let sample = &report[report.len() / 2..][..64];
    for path in files(&ledger, "") {
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(sample.len()).any(|window| window == sample);
        assert!(!found, "plaintext in {}", path.display());
    }

    // What is said to be left is there.
    assert!(ledger.join("ledger.db").is_file());
    assert_eq!(files(&ledger.join("outbox"), ".eml").len(), 4);
    assert_eq!(files(&ledger.join("identities"), ".identity").len(), 5);
    let key = |step| {
        let key = fact(steps, step, "key").as_str().unwrap();
        let letter = dir.join(fact(steps, step, "mail_file").as_str().unwrap());
        assert!(std::fs::read_to_string(letter).unwrap().contains(key));
        key
    };
    assert_ne!(key("patients-mail"), key("approve"));
    let opened = std::fs::read(fact(steps, "open", "saved_as").as_str().unwrap()).unwrap();
    assert!(opened == report);

    // Checked here again: the receipts, and the restored ledger.
    let chain = fact(steps, "found", "chain_id").as_str().unwrap().parse().unwrap();
    let check = |name: &str| {
        let bytes = std::fs::read(dir.join("receipts").join(name)).unwrap();
        medledger::Receipt::decode(&bytes).and_then(|receipt| receipt.check(&chain))
    };
    let proven = check("upload.receipt").unwrap();
    assert_eq!(proven.record.id().to_string(), fact(steps, "upload", "record").as_str().unwrap());
    assert!(check("tampered.receipt").is_err());
    let found = medledger::Ledger::open_read_only(&ledger)
        .unwrap()
        .verify(medledger::VerifyDepth::Full)
        .unwrap();
    assert!(found.findings.is_empty(), "{found:?}");

    // The commands told at the end work.
    let chain = fact(steps, "found", "chain_id").as_str().unwrap();
    for command in [
        &["--ledger", "ledger", "log"][..],
        &["--ledger", "ledger", "reports", "--as", "2"],
        &["--ledger", "ledger", "verify"],
        &["receipt", "check", "receipts/upload.receipt", "--chain", chain],
    ] {
        let mut medledger = Command::new(env!("CARGO_BIN_EXE_medledger"));
        let output = medledger.current_dir(dir).args(command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    }

    // Under its new key the report has another envelope, and the old one was the patient's reading, too.
    let saw = fact(steps, "who-saw", "read_by").as_array().unwrap();
    let purposes: Vec<_> = saw.iter().map(|access| &access["purpose"]).collect();
    assert_eq!(purposes.iter().filter(|purpose| ***purpose == "TREAT").count(), 2, "{purposes:?}");
    assert!(purposes.iter().any(|purpose| purpose.is_null()), "the patient's own readings");
    assert_eq!(fact(steps, "rotate", "epoch"), &serde_json::json!({"epoch": 2, "readers": 0}));
    assert!(fact(steps, "rotate", "refused").as_str().unwrap().contains("taken back"));
    assert_eq!(fact(steps, "strangers", "refused").as_array().unwrap().len(), 3);
    assert!(fact(steps, "revoke", "refused").as_str().unwrap().contains("taken back"));
}

#[test]
fn demo_plays_the_story_with_the_bundled_sample() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a folder's name");
    let steps = steps(&dir, None);
    check_all(&dir, &steps, include_bytes!("../../examples/sample-report.pdf"));
}

#[test]
fn demo_plays_the_story_with_a_large_random_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut report = vec![0; 3_000_000];
    getrandom::fill(&mut report).unwrap();
    let file = folder.path().join("scan.dcm");
    std::fs::write(&file, &report).unwrap();
    let dir = folder.path().join("demo");
    let steps = steps(&dir, Some(&file));
    check_all(&dir, &steps, &report);
    // Several leaves under a root: the damaged block is a leaf, not the root.
    let damaged = fact(&steps, "damage", "refused").as_str().unwrap();
    assert!(!damaged.contains(fact(&steps, "upload", "content_id").as_str().unwrap()));
}

#[test]
fn demo_tells_people_in_80_columns_and_cleans_up_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("d");
    let output = demo(&["--clean", "--dir", dir.to_str().unwrap()]);
    let told = text(&output.stdout);
    assert!(output.status.success(), "{}{told}", text(&output.stderr));
    for line in told.lines().filter(|line| !line.contains(dir.to_str().unwrap())) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for words in
        ["Dr Baker opens the report", "equal the original", "nothing wrong", "who saw what"]
    {
        assert!(told.contains(words), "{words}");
    }
    assert!(!dir.exists());
}

#[test]
fn demo_refuses_a_folder_in_use_and_a_missing_report() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "precious").unwrap();
    let output = demo(&["--dir", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is not empty"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let dir = folder.path().join("new");
    for (report, code) in [(folder.path().join("missing.pdf"), 4), (folder.path().into(), 2)] {
        let output = demo(&["--dir", dir.to_str().unwrap(), report.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert!(!dir.exists(), "nothing is made for a report that cannot be read");
    }
}
