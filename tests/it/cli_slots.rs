//! A slot for a reader at another copy of the ledger: asked for there, released here, opened there.

use crate::command::{Hospital, Run, command, run, text};
use std::fs;
use std::path::Path;

/// Another copy of the chain, with the ciphertext and without slots, and the identities of who reads there.
fn copied(hospital: &Hospital) -> String {
    let (car, copy) = (hospital.path("chain.car"), hospital.path("copy"));
    let chain = hospital.run(&["status"]).json();
    let car = car.to_str().unwrap();
    hospital.run(&["export", "chain", "--with-reports", "-o", car]).json();
    let follow = ["import", "follow", car, "--chain", text(&chain, "chain"), "--json"];
    let mut follow = command(&follow);
    follow.env("MEDLEDGER_DIR", &copy);
    run(follow, None).json();
    let identities = |folder: &Path| folder.join("identities");
    fs::create_dir_all(identities(&copy)).unwrap();
    for entry in fs::read_dir(identities(&hospital.folder())).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, identities(&copy).join(path.file_name().unwrap())).unwrap();
    }
    copy.to_str().unwrap().to_owned()
}

#[test]
fn a_slot_is_asked_for_released_and_used_at_another_copy() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let share = ["share", report, "--with", "4", "--as", "3", "--until", "1d", "--wait"];
    let shared = hospital.run(&share).json();
    let (key, bob) = (text(&shared, "access_key"), text(&shared, "reader"));
    let copy = copied(&hospital);
    let there = |args: &[&str]| -> Run {
        let mut command = hospital.command(args);
        command.env("MEDLEDGER_DIR", &copy).env("MEDLEDGER_ACCESS_KEY", key);
        run(command, None)
    };
    let file = |name: &str| hospital.path(name).to_str().unwrap().to_owned();
    let (request, slot, opened) = (file("request"), file("slot"), file("opened"));

    let asked = there(&["slot", "ask", report, "--as", bob, "--to", &request]).json();
    let status = hospital.run(&["status"]).json();
    assert!(text(&status, "hospital").starts_with(text(&asked, "custodian")));
    let reads =
        || hospital.run(&["log", "--kind", "read"]).json()["records"].as_array().unwrap().len();
    assert_eq!(reads(), 0, "asking records nothing");
    let release = ["slot", "release", &request, "--as", "1", "--to", &slot, "--force"];
    for _ in 0..2 {
        hospital.run(&release).json();
        assert_eq!(reads(), 1, "the reading is recorded, once");
    }
    let open = ["open", report, "--as", bob, "--slot", &slot, "-o", &opened];
    let read = there(&open).json();
    assert_eq!(read["read"], asked["read"]);
    assert_eq!(fs::read(&opened).unwrap(), b"a report");

    // For nobody else, and nothing else.
    let ada = text(&uploaded_by(&hospital), "author").to_owned();
    let other = ["open", report, "--as", &ada, "--slot", &slot, "-o", &opened, "--force"];
    there(&other).fails(3, "refused", "no_access");
    let swapped = ["open", report, "--as", bob, "--slot", &request, "-o", &opened, "--force"];
    there(&swapped).fails(3, "refused", "not_for_you");
    let by_doctor = ["slot", "release", &request, "--as", "2", "--to", &slot, "--force"];
    hospital.run(&by_doctor).fails(3, "refused", "not_for_you");
    let garbage = hospital.write("garbage", b"garbage");
    let release = |file: &str| {
        hospital.run(&["slot", "release", file, "--as", "1", "--to", &slot, "--force"])
    };
    release(&garbage).fails(5, "damaged", "not_a_message");
    release(&hospital.write("long", &[0; 300_000])).fails(5, "damaged", "not_a_message");
    release(&file("nothing")).fails(4, "not_found", "no_file");
    // A copy that does not know of the revocation asks in vain.
    hospital.run(&["revoke", text(&shared, "grant"), "--as", "3", "--wait"]).json();
    there(&["slot", "ask", report, "--as", bob, "--to", &request, "--force"]).json();
    release(&request).fails(3, "refused", "no_access");
    assert_eq!(reads(), 1, "nothing is recorded for what is refused");
}

/// The first report as its patient sees it.
fn uploaded_by(hospital: &Hospital) -> serde_json::Value {
    hospital.run(&["reports", "--as", "3"]).json()["reports"][0].clone()
}
