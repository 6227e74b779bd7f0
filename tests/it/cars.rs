//! `export` and `import`: reports and chains as CAR files, and the CID of a folder.

use crate::command::{Hospital, command, plain, run, text};
use std::fs;

#[test]
fn a_lost_report_comes_back_and_a_follower_follows() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(&[7; 100_000]);
    let id = text(&uploaded, "report");
    let at = |name: &str| hospital.path(name).to_str().unwrap().to_owned();
    let (report, chain, follower) = (at("report.car"), at("chain.car"), at("follower"));

    let written = hospital.run(&["export", "report", &id[..8], "-o", &report]).json();
    let root = written["roots"][0].as_str().unwrap().to_owned();
    assert!(root.starts_with("bafyrei"), "{root}");
    assert_eq!(written["length"], fs::metadata(&report).unwrap().len());
    let blocks = hospital.path("ledger/blocks/blocks");
    for shard in fs::read_dir(&blocks).unwrap().map(|shard| shard.unwrap().path()) {
        if shard.is_dir() {
            fs::remove_dir_all(shard).unwrap();
        }
    }
    hospital.run(&["verify"]).fails(5, "damaged", "verify");
    let again = at("again.car");
    hospital.run(&["export", "report", id, "-o", &again]).fails(5, "damaged", "damaged");
    assert!(!hospital.path("again.car").exists());
    let healed = hospital.run(&["import", "report", &report]).json();
    assert_eq!((&healed["reports"][0], &healed["blocks"]), (&id.into(), &written["blocks"]));
    assert_eq!(hospital.run(&["verify"]).json()["ok"], true);

    let written = hospital.run(&["export", "chain", "-o", &chain, "--with-reports"]).json();
    assert_eq!(written["reports"], 1);
    let id = text(&written, "chain").to_owned();
    let follow = |chain_id: &str, file: &str| {
        plain(&["--json", "--ledger", &follower, "import", "follow", file, "--chain", chain_id])
    };
    follow(&"0".repeat(64), &chain).fails(3, "refused", "other_chain");
    follow(&id, &report).fails(2, "usage", "not_a_chain");
    let taken = follow(&id, &chain).json();
    assert_eq!((text(&taken, "chain"), &taken["reports"]), (id.as_str(), &1.into()));
    follow(&id, &chain).fails(2, "usage", "not_empty");
    let verified = plain(&["--json", "--ledger", &follower, "verify"]).json();
    assert_eq!((&verified["ok"], &verified["reports"]), (&true.into(), &1.into()));

    hospital.upload(b"another");
    hospital.run(&["export", "chain", "-o", &chain, "--force"]).json();
    let import = ["--json", "--ledger", &follower, "import", "chain", "-"];
    let car = fs::read(&chain).unwrap();
    let taken = run(command(&import), Some(&car)).json();
    assert_eq!(taken["added"], 1);
    let cut = run(command(&import), Some(&car[..car.len() - 1]));
    cut.fails(5, "damaged", "car");
    run(command(&import), Some(b"%PDF-1.7")).fails(2, "usage", "not_a_car");
    assert_eq!(plain(&["--json", "--ledger", &follower, "verify"]).json()["ok"], true);
    let to_stdout = hospital.run(&["export", "chain", "-o", "-"]);
    to_stdout.fails(2, "usage", "output");
}

#[test]
fn a_folder_has_the_cid_that_ipfs_add_gives_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("planets");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("venus.txt"), "Hello Venus!\n").unwrap();
    fs::write(folder.join("mars.txt"), "Hello Mars!\n").unwrap();
    fs::write(folder.join(".hidden"), "x").unwrap();
    let cid = |more: &[&str]| {
        let all = ["cid", folder.to_str().unwrap(), "--profile", "unixfs-v0-2015"];
        plain(&[&all, more].concat())
    };
    assert_eq!(cid(&[]).text(), "QmWSgS32xQEcXMeqd3YPJLrNBLSdsfYCep2U7CFkyrjXwY\n");
    assert_ne!(cid(&["--hidden"]).text(), cid(&[]).text());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/", folder.join("link")).unwrap();
        cid(&["--json"]).fails(2, "usage", "not_a_file");
    }
}
