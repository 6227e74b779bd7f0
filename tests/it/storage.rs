//! `medledger storage` and `medledger ipfs check` with a real Kubo node that comes and goes.

#[allow(dead_code, reason = "the tests of the client use more of it")]
#[path = "../../crates/medledger-ipfs/tests/kubo/daemon.rs"]
mod daemon;

use crate::command::{Hospital, Run, run, text};
use daemon::Daemon;
use serde_json::{Value, json};

impl Hospital {
    /// The report as its patient reads it.
    fn read(&self, uploaded: &Value) -> Vec<u8> {
        let target = self.path("opened");
        let target = target.to_str().unwrap();
        let open = ["open", text(uploaded, "report"), "--as", "3", "-o", target, "--force"];
        assert_eq!(
            self.run_with_key(
                &[&open[..], &["--access-key"]].concat(),
                text(uploaded, "access_key")
            )
            .code,
            0
        );
        std::fs::read(target).unwrap()
    }

    fn show(&self) -> Value {
        self.run(&["storage", "show"]).json()
    }

    /// Where a restarted node is now.
    fn node_moved(&self, address: &str) {
        let path = self.folder().join("settings.json");
        let mut settings: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        settings["storage"]["kubo"]["address"] = address.into();
        std::fs::write(path, settings.to_string()).unwrap();
    }
}

fn ours(daemon: &Daemon) -> usize {
    let pins = daemon.kubo().pins().unwrap();
    pins.iter().filter(|pin| pin.name.starts_with("medledger ")).count()
}

#[test]
fn pitfall_17_reports_move_to_a_node_and_back_and_an_outage_is_made_up_for() {
    const TEST: &str = "pitfall_17_reports_move_to_a_node_and_back_and_an_outage_is_made_up_for";
    let Some(mut daemon) = Daemon::start(TEST) else { return };
    let hospital = Hospital::new(&[]);
    let first = hospital.upload(&[1; 2_500_000]);
    assert_eq!(hospital.show()["mode"], "embedded");
    let moved = hospital.run(&["storage", "use", "both", "--kubo", &daemon.rpc()]).json();
    assert_eq!((&moved["copied"], &moved["verified"]), (&1.into(), &1.into()), "{moved}");
    assert_eq!(moved["left_over"], false);
    let second = hospital.upload(b"second");
    assert_eq!((ours(&daemon), &hospital.show()["behind"]), (2, &0.into()));

    // The node is away: uploads go on, and what it misses is known.
    daemon.kill();
    let third = hospital.upload(b"third");
    assert_eq!(hospital.show()["behind"], 1);
    assert_eq!(hospital.read(&third), b"third");
    hospital.run(&["storage", "sync"]).fails(6, "environment", "backend");
    daemon.run();
    hospital.node_moved(&daemon.rpc());
    let synced = hospital.run(&["storage", "sync"]).json();
    assert_eq!((&synced["copied"], ours(&daemon)), (&1.into(), 3));
    assert_eq!(hospital.show()["behind"], 0);
    // The next upload would have made up for it as well.
    daemon.kill();
    hospital.upload(b"fourth");
    daemon.run();
    // Nobody answers at the old address: the node that knows this ledger is the one that moved.
    let at = ["storage", "use", "both", "--kubo", &daemon.rpc()];
    assert_eq!(hospital.run(&at).json()["left_over"], false);
    daemon.kill();
    hospital.upload(b"fourth and a half");
    daemon.run();
    hospital.node_moved(&daemon.rpc());
    hospital.upload(b"fifth");
    assert_eq!(hospital.show()["behind"], 0);

    // What is damaged here is found here, whatever the node would answer.
    let blocks = crate::command::files(&hospital.folder().join("blocks/blocks"));
    let block = blocks.iter().max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let healthy = std::fs::read(block).unwrap();
    std::fs::write(block, b"damaged").unwrap();
    hospital.run(&["blocks", "check"]).fails(5, "damaged", "blocks");
    assert!(hospital.read(&first) == [1; 2_500_000]);
    std::fs::write(block, healthy).unwrap();

    // Into the node alone; without an address, the ledger's own node is meant.
    let moved = hospital.run(&["storage", "use", "kubo", "--kubo", &daemon.rpc(), "--free"]).json();
    assert_eq!((&moved["verified"], &moved["left_over"]), (&6.into(), &false.into()));
    assert!(!hospital.folder().join("blocks").exists());
    let sixth = hospital.upload(&[6; 1_200_000]);
    for (uploaded, bytes) in
        [(&first, &[1; 2_500_000][..]), (&second, b"second"), (&sixth, &[6; 1_200_000])]
    {
        assert!(hospital.read(uploaded) == bytes);
    }
    hospital.run(&["verify"]).json();
    hospital.run(&["storage", "sync"]).fails(2, "usage", "no_follower");
    let refused = hospital.run(&["blocks", "collect"]).fails(2, "usage", "unsupported");
    assert!(refused.contains("ipfs repo gc"), "{refused}");

    // The node has another address: said so, it is looked whether everything is there.
    daemon.kill();
    daemon.run();
    hospital.run(&["storage", "use", "kubo", "--kubo", &daemon.rpc()]).fails(
        6,
        "environment",
        "backend",
    );
    let moved = ["storage", "use", "kubo", "--kubo", &daemon.rpc(), "--moved"];
    assert_eq!(hospital.run(&moved).json()["verified"], 7);

    // A report whose pin somebody removed is moved all the same.
    for pin in daemon.kubo().pins_called(&format!("report {}", text(&second, "report"))).unwrap() {
        assert!(daemon.kubo().pin_rm(&pin.root).unwrap());
    }

    // And back.
    let moved = hospital.run(&["storage", "use", "embedded", "--free"]).json();
    assert_eq!((&moved["copied"], &moved["verified"]), (&7.into(), &7.into()));
    assert_eq!(ours(&daemon), 0);
    daemon.kill();
    assert!(hospital.read(&first) == [1; 2_500_000]);
    hospital.run(&["blocks", "check"]).json();
    hospital.run(&["verify"]).json();
}

#[test]
fn pitfall_10_a_ledger_does_not_move_to_a_node_that_announces() {
    const TEST: &str = "pitfall_10_a_ledger_does_not_move_to_a_node_that_announces";
    let announce = |config: &mut Value| {
        config["Provide"] = json!({"Enabled": true});
        config["Routing"] = json!({"Type": "dhtserver"});
    };
    let Some(daemon) = Daemon::with(TEST, announce, None) else { return };
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"secret");
    let to = ["storage", "use", "both", "--kubo", &daemon.rpc()];
    let refused = hospital.run(&to);
    let told = refused.fails(6, "environment", "node_is_public");
    assert!(told.contains("Provide.Enabled"), "{told}");
    assert!(refused.stderr.contains("--public"), "{}", refused.stderr);
    assert_eq!((ours(&daemon), &hospital.show()["mode"]), (0, &"embedded".into()));
    let checked = hospital.run(&["ipfs", "check", &daemon.rpc()]);
    checked.fails(6, "environment", "node_unfit");
    let found: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(
        (&found["fit"], &found["findings"][0]["about"]),
        (&false.into(), &"announces".into())
    );
    let shown = run(hospital.people(&["ipfs", "check", &daemon.rpc()]), None);
    let page = String::from_utf8(shown.stdout).unwrap();
    assert!(
        page.contains("NOT fit for reports") && page.contains("mend: run `ipfs config"),
        "{page}"
    );
    hospital.run(&[&to[..], &["--public"]].concat()).json();
    assert_eq!((ours(&daemon), hospital.read(&uploaded)), (1, b"secret".to_vec()));
}

#[test]
fn what_is_damaged_is_not_moved_and_nothing_changes() {
    const TEST: &str = "what_is_damaged_is_not_moved_and_nothing_changes";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let hospital = Hospital::new(&[]);
    hospital.upload(&[7; 3_000_000]);
    let mut blocks = crate::command::files(&hospital.folder().join("blocks/blocks"));
    blocks.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
    std::fs::write(blocks.last().unwrap(), b"damaged").unwrap();
    let to = ["storage", "use", "kubo", "--kubo", &daemon.rpc(), "--free"];
    hospital.run(&to).fails(5, "damaged", "damaged");
    assert_eq!((ours(&daemon), &hospital.show()["mode"]), (0, &"embedded".into()));
    assert!(hospital.folder().join("blocks").exists());
}

#[test]
fn credentials_come_from_the_environment_and_are_shown_nowhere() {
    const TEST: &str = "credentials_come_from_the_environment_and_are_shown_nowhere";
    let only_us = |config: &mut Value| {
        config["API"]["Authorizations"] =
            json!({"us": {"AuthSecret": "bearer:s3cret", "AllowedPaths": ["/api/v0"]}});
    };
    let Some(mut daemon) = Daemon::with(TEST, only_us, None) else { return };
    let hospital = Hospital::new(&[]);
    let to = ["storage", "use", "both", "--kubo", &daemon.rpc()];
    let with = |auth: &str, args: &[&str]| -> Run {
        let mut command = hospital.command(args);
        command.env("MEDLEDGER_KUBO_AUTH", auth);
        run(command, None)
    };
    for auth in ["bearer:wr0ng-one", "basic:ada:wr0ng-one"] {
        let refused = with(auth, &to);
        refused.fails(6, "environment", "no_permission");
        assert!(!refused.stderr.contains("wr0ng"), "{}", refused.stderr);
        assert!(refused.stderr.contains("set MEDLEDGER_KUBO_AUTH"), "{}", refused.stderr);
    }
    let told = with("wr0ng-one", &to).fails(2, "usage", "address");
    assert!(!told.contains("wr0ng"), "{told}");
    with("bearer:s3cret", &to).json();
    let settings = std::fs::read_to_string(hospital.folder().join("settings.json")).unwrap();
    assert!(settings.contains("both") && !settings.contains("s3cret"));
    let file = hospital.write("report.txt", b"known");
    with("bearer:s3cret", &["upload", &file, "--as", "2", "--patient", "3"]).json();
    daemon.ask_as("bearer:s3cret");
    assert_eq!(ours(&daemon), 1);
    // Without them, uploads go on and the node is behind.
    hospital.run(&["upload", &file, "--as", "2", "--patient", "3"]).json();
    assert_eq!(hospital.show()["behind"], 1);
}

#[test]
fn a_copy_of_a_ledger_lets_go_of_its_own_pins_alone() {
    const TEST: &str = "a_copy_of_a_ledger_lets_go_of_its_own_pins_alone";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(&[1; 1_500_000]);
    let to = ["storage", "use", "both", "--kubo", &daemon.rpc()];
    hospital.run(&to).json();
    assert_eq!(ours(&daemon), 1);

    let copy = hospital.path("copied");
    for file in crate::command::files(&hospital.folder()) {
        let target = copy.join(file.strip_prefix(hospital.folder()).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
    let in_copy = |args: &[&str]| {
        let mut command = hospital.command(args);
        command.env("MEDLEDGER_DIR", &copy);
        run(command, None)
    };
    in_copy(&["storage", "use", "kubo", "--kubo", &daemon.rpc()]).json();
    assert_eq!(ours(&daemon), 2, "each has its own");
    in_copy(&["storage", "use", "embedded", "--free"]).json();
    assert_eq!(ours(&daemon), 1, "the original's stays");
    hospital.run(&["storage", "use", "kubo", "--free"]).json();
    daemon.kubo().collect().unwrap();
    assert!(hospital.read(&uploaded) == [1; 1_500_000]);
    hospital.run(&["blocks", "check"]).json();
}

#[test]
fn what_was_left_in_a_node_can_still_be_removed_and_one_node_has_many_addresses() {
    const TEST: &str =
        "what_was_left_in_a_node_can_still_be_removed_and_one_node_has_many_addresses";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let hospital = Hospital::new(&[]);
    hospital.upload(b"report");
    hospital.run(&["storage", "use", "both", "--kubo", &daemon.rpc()]).json();
    // The same node by another name, with the path that people paste.
    let port = daemon.rpc().rsplit('/').next().unwrap().to_owned();
    let other = format!("http://localhost:{port}/api/v0");
    let moved = hospital.run(&["storage", "use", "both", "--kubo", &other, "--free"]).json();
    assert_eq!((&moved["left_over"], ours(&daemon)), (&false.into(), 1), "{moved}");
    let moved = hospital.run(&["storage", "use", "embedded"]).json();
    assert_eq!((&moved["left_over"], ours(&daemon)), (&true.into(), 1));
    let moved = hospital.run(&["storage", "use", "embedded", "--free"]).json();
    assert_eq!((&moved["left_over"], ours(&daemon)), (&false.into(), 0));
    let settings = std::fs::read_to_string(hospital.folder().join("settings.json")).unwrap();
    assert!(!settings.contains("keeper"), "nothing is left to be remembered: {settings}");
}

#[test]
fn a_check_in_a_node_looks_at_the_ledgers_reports_and_no_others() {
    const TEST: &str = "a_check_in_a_node_looks_at_the_ledgers_reports_and_no_others";
    let Some(daemon) = Daemon::start(TEST) else { return };
    let kubo = daemon.kubo();
    let theirs = medledger_ipfs::Cid::of(medledger_ipfs::cid::Codec::Raw, b"theirs");
    kubo.block_put(&theirs, b"theirs", true).unwrap();
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(&[3; 3_000_000]);
    hospital.run(&["storage", "use", "kubo", "--kubo", &daemon.rpc(), "--free"]).json();
    let checked = hospital.run(&["blocks", "check"]).json();
    assert_eq!((&checked["pins"], &checked["unreferenced"]), (&1.into(), &0.into()), "{checked}");
    // Somebody at the node lets go of everything, and it is collected.
    for pin in kubo.pins().unwrap() {
        kubo.pin_rm(&pin.root).unwrap();
    }
    kubo.collect().unwrap();
    let checked = hospital.run(&["blocks", "check"]);
    checked.fails(5, "damaged", "blocks");
    let found: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(found["missing"][0]["cid"], uploaded["envelope"], "{found}");
}

#[test]
fn who_uploads_hears_that_the_node_missed_it_and_what_to_do() {
    const TEST: &str = "who_uploads_hears_that_the_node_missed_it_and_what_to_do";
    let Some(mut daemon) = Daemon::start(TEST) else { return };
    let hospital = Hospital::new(&[]);
    hospital.run(&["storage", "use", "both", "--kubo", &daemon.rpc()]).json();
    assert_eq!(hospital.upload(b"first")["node_behind"], 0);
    daemon.kill();
    assert_eq!(hospital.upload(b"second")["node_behind"], 1);
    let file = hospital.write("third.txt", b"third");
    let upload = ["upload", &file, "--as", "2", "--patient", "3"];
    let told = run(hospital.people(&upload), None);
    assert!(told.stderr.contains("2 to make up for; `medledger storage sync`"), "{}", told.stderr);
    let many = hospital.run(&["upload", &file, &file, "--as", "2", "--patient", "3"]).json();
    assert_eq!(many["node_behind"], 4);
    #[cfg(unix)]
    for name in ["settings.json", "lock", "owed-to-kubo"] {
        use std::os::unix::fs::PermissionsExt;
        let about = std::fs::metadata(hospital.folder().join(name)).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
    }
}
