//! `medledger storage sources` and `medledger storage replicas`: what others have for us, and keep for us.

#[allow(dead_code, reason = "the tests of the client use more of it")]
#[path = "../../crates/medledger-ipfs/src/replication/tests/cluster_server.rs"]
mod cluster_server;
#[allow(dead_code, reason = "the tests of the client use more of it")]
#[path = "../../crates/medledger-ipfs/src/replication/tests/played.rs"]
mod played;
#[allow(dead_code, reason = "the tests of the client use more of it")]
#[path = "../../crates/medledger-ipfs/src/replication/tests/service_server.rs"]
mod service_server;

use crate::command::{Hospital, Run, files, run, text};
use cluster_server::ClusterServer;
use medledger_ipfs::http::test_server::{Answer, TestServer};
use medledger_ipfs::{BlockRead, FlatfsReader};
use serde_json::Value;
use service_server::{ServiceServer, TOKEN};
use std::path::PathBuf;

static REPORT: [u8; 3_000_000] = [7; 3_000_000];

/// A trustless gateway that has what lies in a folder of blocks, written from the specification.
fn gateway(folder: PathBuf) -> TestServer {
    TestServer::start(move |request| {
        let cid = request.path().strip_prefix("/ipfs/").and_then(|cid| cid.parse().ok());
        let reader = FlatfsReader::open(&folder).unwrap();
        match cid.and_then(|cid| reader.get(&cid).unwrap()) {
            Some(block) => {
                Answer::ok(&block[..]).header("Content-Type", "application/vnd.ipld.raw")
            }
            None => Answer::status(404, "not here"),
        }
    })
}

/// One that gives bytes for everything, and never the right ones.
fn liar() -> TestServer {
    TestServer::start(|_| Answer::ok("lies").header("Content-Type", "application/vnd.ipld.raw"))
}

/// A ledger with a report whose largest block is gone, and a folder that has all blocks.
fn damaged() -> (Hospital, Value, PathBuf) {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(&REPORT);
    let (blocks, copy) = (hospital.folder().join("blocks"), hospital.path("copy"));
    let mut all = files(&blocks);
    for file in &all {
        let target = copy.join(file.strip_prefix(&blocks).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
    all.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
    std::fs::remove_file(all.last().unwrap()).unwrap();
    (hospital, uploaded, copy)
}

fn open(hospital: &Hospital, uploaded: &Value) -> (Run, Option<Vec<u8>>) {
    let target = hospital.path("opened");
    let _ = std::fs::remove_file(&target);
    let args = ["open", text(uploaded, "report"), "--as", "3", "-o", target.to_str().unwrap()];
    let key = text(uploaded, "access_key");
    let run = hospital.run_with_key(&[&args[..], &["--access-key"]].concat(), key);
    (run, std::fs::read(target).ok())
}

#[test]
fn what_is_missing_here_is_read_past_dead_and_lying_gateways_and_mended() {
    let (hospital, uploaded, copy) = damaged();
    let (run, _) = open(&hospital, &uploaded);
    assert_ne!(run.code, 0);
    let (dead, liar, honest) = (gateway(copy.clone()), liar(), gateway(copy));
    let addresses = [dead.url(), liar.url(), honest.url()];
    drop(dead);
    for (name, address) in ["dead", "liar", "honest"].iter().zip(&addresses) {
        hospital.run(&["storage", "sources", "add", name, address]).json();
    }
    let again = ["storage", "sources", "add", "liar", &addresses[2]];
    hospital.run(&again).fails(2, "usage", "name_taken");
    let listed = hospital.run(&["storage", "sources", "list"]).json();
    let names: Vec<_> = listed["sources"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
    assert_eq!(names, ["dead", "liar", "honest"]);

    let (run, read) = open(&hospital, &uploaded);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(read.unwrap() == REPORT);
    assert!(!liar.seen().is_empty() && !honest.seen().is_empty(), "one after the other");
    // Reading mends nothing: what is here is still broken, and said to be.
    hospital.run(&["blocks", "check"]).fails(5, "damaged", "blocks");

    let from = |place: &str| hospital.run(&["blocks", "repair", "--from", place]);
    from(&liar.url()).fails(5, "damaged", "blocks");
    from("kubo").fails(2, "usage", "no_node");
    let mended = from("sources").json();
    assert_eq!((&mended["ok"], mended["repaired"].as_array().unwrap().len()), (&true.into(), 1));
    hospital.run(&["blocks", "check"]).json();

    for name in ["dead", "liar", "honest"] {
        hospital.run(&["storage", "sources", "remove", name]).json();
    }
    from("sources").fails(2, "usage", "no_sources");
    hospital.run(&["storage", "sources", "remove", "liar"]).fails(4, "not_found", "no_such_name");
    hospital.run(&["storage", "sources", "add", "x", "gopher://x"]).fails(2, "usage", "address");
}

#[test]
fn a_gateway_by_its_address_mends_as_well() {
    let (hospital, uploaded, copy) = damaged();
    let honest = gateway(copy);
    let mended = hospital.run(&["blocks", "repair", "--from", &honest.url()]).json();
    assert_eq!(mended["ok"], true);
    assert!(open(&hospital, &uploaded).1.unwrap() == REPORT);
}

#[test]
fn a_pinning_service_that_forgot_is_named_and_asked_again() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"to be kept by others, too");
    hospital.upload(b"and this");
    let server = ServiceServer::start();
    let replicas = |what: &[&str]| {
        let mut command = hospital.command(&[&["storage", "replicas"], what].concat());
        command.env("MEDLEDGER_AUTH_PARTNER", format!("bearer:{TOKEN}"));
        run(command, None)
    };
    replicas(&["check"]).fails(2, "usage", "no_keepers");
    replicas(&["add", "partner", "--service", &server.url(), "--public"]).json();
    let listed = replicas(&["list"]).json();
    assert_eq!(listed["keepers"][0]["credentials_from"], "MEDLEDGER_AUTH_PARTNER");
    let settings = std::fs::read_to_string(hospital.folder().join("settings.json")).unwrap();
    assert!(settings.contains("partner") && !settings.contains(TOKEN));

    // Nobody was asked yet; then both reports are, and come.
    replicas(&["check"]).fails(6, "environment", "short_of_replicas");
    let asked = replicas(&["repair"]).json();
    assert_eq!((&asked["asked"], &asked["roots"]), (&2.into(), &2.into()), "{asked}");
    while replicas(&["check"]).code != 0 {}
    let held = replicas(&["check"]).json();
    assert_eq!((&held["ok"], held["forgot"].as_array().unwrap().len()), (&true.into(), 0));
    assert_eq!(replicas(&["repair"]).json()["asked"], 0, "nothing is short");

    server.forget(&text(&uploaded, "envelope").parse().unwrap());
    let told = replicas(&["check"]);
    told.fails(6, "environment", "short_of_replicas");
    let found: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(found["forgot"], serde_json::json!(["partner"]), "{found}");
    assert_eq!(replicas(&["repair"]).json()["asked"], 1);
    while replicas(&["check"]).code != 0 {}

    // Without the token nothing is known, and nothing that was known is forgotten.
    let blind = hospital.run(&["storage", "replicas", "check"]);
    blind.fails(6, "environment", "short_of_replicas");
    let found: Value = serde_json::from_slice(&blind.stdout).unwrap();
    assert_eq!(found["forgot"], serde_json::json!([]), "{found}");
    replicas(&["check"]).json();
    replicas(&["remove", "partner"]).json();
    replicas(&["repair"]).fails(2, "usage", "no_keepers");
}

#[test]
fn a_cluster_keeps_reports_on_as_many_peers_as_it_is_told() {
    let hospital = Hospital::new(&[]);
    let first = hospital.upload(b"to be kept by three");
    let server = ClusterServer::start(3);
    let replicas = |what: &[&str]| {
        let mut command = hospital.command(&[&["storage", "replicas"], what].concat());
        command.env("MEDLEDGER_AUTH_OWN", "basic:hospital:s3cret");
        run(command, None)
    };
    let settle = || {
        // A pin is taken by a peer as it is looked at.
        let settled = (0..20).any(|_| replicas(&["check"]).code == 0);
        assert!(settled, "never kept by as many as wanted");
    };
    let add = ["add", "own", "--cluster", &server.url(), "--peers", "2", "3"];
    replicas(&add).json();
    replicas(&add).fails(2, "usage", "name_taken");
    let goal = replicas(&["goal", "3"]).json();
    assert_eq!((&goal["replicas"], &goal["keepers_wanted"]), (&3.into(), &1.into()));
    let settings = std::fs::read_to_string(hospital.folder().join("settings.json")).unwrap();
    assert!(settings.contains("own") && !settings.contains("s3cret"));

    assert_eq!(replicas(&["repair"]).json()["asked"], 1);
    let envelope = text(&first, "envelope");
    let pinned = |root: &str| server.state().pins.get(root).map(|pin| pin.peers.len());
    assert_eq!(pinned(envelope), Some(3));
    settle();
    assert_eq!(replicas(&["repair"]).json()["asked"], 0, "nothing is short");

    // A report that comes later, while the cluster is down.
    let second = hospital.upload(b"and this");
    server.interfere(|_, _| Some(Answer::status(503, "down")));
    let down = replicas(&["repair"]);
    down.fails(6, "environment", "short_of_replicas");
    let found: Value = serde_json::from_slice(&down.stdout).unwrap();
    assert!(!found["findings"].as_array().unwrap().is_empty(), "{found}");
    assert_eq!(found["forgot"], serde_json::json!([]), "who does not answer did not forget");
    server.behave();
    // Asked already, or asked now: it is there once.
    replicas(&["repair"]).json();
    assert_eq!(pinned(text(&second, "envelope")), Some(3));
    settle();

    // One peer loses it, which is short; then the whole cluster does, which is forgotten.
    let root = envelope.parse().unwrap();
    server.set(&root, 1, "unexpectedly_unpinned");
    replicas(&["check"]).fails(6, "environment", "short_of_replicas");
    replicas(&["repair"]);
    settle();
    server.forget(&root);
    let told = replicas(&["check"]);
    told.fails(6, "environment", "short_of_replicas");
    let found: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(found["forgot"], serde_json::json!(["own"]), "{found}");
    replicas(&["repair"]);
    settle();
    assert_eq!(server.state().pins.len(), 2);
    // The wrong password is told as that.
    let mut wrong = hospital.command(&["storage", "replicas", "check"]);
    wrong.env("MEDLEDGER_AUTH_OWN", "basic:hospital:guess");
    let told = run(wrong, None);
    told.fails(6, "environment", "short_of_replicas");
    assert!(!String::from_utf8_lossy(&told.stdout).contains("guess"));
    replicas(&["remove", "own"]).json();
    assert_eq!(server.state().pins.len(), 2, "it is not told");
}
