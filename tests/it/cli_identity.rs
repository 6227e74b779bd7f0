//! A member's own keys, from the command: another password, new keys, lost keys.

use crate::command::{Hospital, run, text};

fn opens(hospital: &Hospital, report: &str, reader: &str) -> bool {
    let run = run(hospital.people(&["open", report, "--as", reader]), None);
    run.code == 0 && run.stdout == b"a report"
}

#[test]
fn keys_succeed_one_another_and_what_was_given_still_opens() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let share = ["share", report, "--with", "4", "--as", "3", "--until", "1d", "--to-identity"];
    hospital.run(&[&share[..], &["--wait"]].concat()).json();
    let shown = hospital.run(&["identity", "show", "4"]).json();
    assert_eq!((text(&shown, "algorithm"), &shown["former_keys"]), ("X-Wing", &0.into()));
    for member in ["3", "4"] {
        let done = hospital.run(&["identity", "succeed", "--as", member, "--wait"]).json();
        let moved = done["collections"].as_array().unwrap().len();
        assert_eq!(moved, usize::from(member == "3"), "a patient's collection moves on");
        assert!(opens(&hospital, report, member));
    }
    assert_eq!(hospital.run(&["identity", "show", "4"]).json()["former_keys"], 1);
    // The password of the former keys is changed with it.
    let mut change = hospital.command(&["identity", "password", "--as", "4"]);
    change.env("MEDLEDGER_NEW_PASSWORD", "another one");
    assert_eq!(run(change, None).json()["beside"], "locked");
    let mut back = hospital.command(&["identity", "password", "--as", "4"]);
    back.env("MEDLEDGER_PASSWORD", "another one");
    assert_eq!(run(back, None).json()["beside"], "locked");
    let done = hospital.run(&["identity", "rewrap", "--as", "4", "--forget"]).json();
    assert_eq!(done["wrapped_anew"], 1);
    assert_eq!(hospital.run(&["identity", "show", "4"]).json()["former_keys"], 0);
    assert!(opens(&hospital, report, "4"));
    let shown = run(hospital.people(&["identity", "rewrap", "--as", "4"]), None).text().to_owned();
    assert_eq!(shown, "0 wrapped to the present keys\n");
}

#[test]
fn lost_keys_are_suspended_and_replaced_by_the_hospital() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let share = ["share", report, "--with", "4", "--as", "3", "--until", "1d", "--to-identity"];
    hospital.run(&[&share[..], &["--wait"]].concat()).json();
    hospital.run(&["identity", "suspend", "4", "--as", "1", "--wait"]).json();
    // They are told what is wrong, since when, and what is done about it; of no report more than of another.
    let none = "ee".repeat(16);
    for report in [report, &none] {
        let open = hospital.run(&["open", report, "--as", "4", "-o", "unused"]);
        let message = open.fails(3, "refused", "suspended");
        assert!(message.contains("suspended since 20"), "{message}");
        for help in ["identity replace", "identity install"] {
            assert!(open.stderr.contains(help), "{}", open.stderr);
        }
    }
    hospital.run(&["pickup", "--as", "4"]).fails(3, "refused", "suspended");
    let state = |number: usize| {
        let listed = hospital.run(&["member", "list"]).json();
        listed["members"][number - 1]["suspended"].clone()
    };
    assert!(state(3).is_null());
    let since = state(4);
    assert!(since["height"].as_u64() > Some(0) && since["since"].is_string(), "{since}");
    let shown = run(hospital.people(&["member", "list"]), None);
    assert_eq!(shown.text().matches("suspended since").count(), 1, "{}", shown.text());
    let logged = hospital.run(&["log", "--kind", "suspend"]).json();
    let listed = hospital.run(&["member", "list"]).json();
    assert_eq!(logged["records"][0]["says"]["member"], listed["members"][3]["id"]);
    let shown = run(hospital.people(&["log", "--kind", "suspend"]), None);
    let member = &text(&listed["members"][3], "id")[..8];
    assert!(shown.text().contains(&format!("keys of {member}")), "{}", shown.text());
    hospital.run(&["identity", "replace", "4", "--as", "1", "--wait"]).json();
    assert!(state(4).is_null());
    let logged = hospital.run(&["log", "--kind", "succeed"]).json();
    assert_eq!(logged["records"][0]["says"]["member"], listed["members"][3]["id"]);
    assert!(!opens(&hospital, report, "4"), "what the lost keys had is gone with them");
    hospital.run(&[&share[..], &["--wait"]].concat()).json();
    assert!(opens(&hospital, report, "4"));
    // Nobody suspends others.
    hospital.run(&["identity", "suspend", "3", "--as", "2"]).fails(3, "refused", "not_registrar");
}

#[test]
fn a_suspended_patient_and_the_hospital_make_new_keys_together() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    hospital.run(&["identity", "suspend", "3", "--as", "3", "--wait"]).json();
    assert!(!opens(&hospital, report, "3"));
    let replace = ["identity", "replace", "3", "--as", "1", "--wait"];
    hospital.run(&replace).fails(3, "refused", "no_consent");
    let with = |password: &str| {
        let mut command = hospital.command(&[&replace[..], &["--consent"]].concat());
        command.env("MEDLEDGER_CONSENT_PASSWORD", password);
        run(command, None)
    };
    with("not the patient's").fails(3, "refused", "wrong_password");
    let done = with(crate::command::PASSWORD).json();
    assert_eq!(done["collections"].as_array().unwrap().len(), 1);
    assert_eq!(done["elsewhere"].as_array().unwrap().len(), 0);
    assert!(opens(&hospital, report, "3"));
}

#[test]
fn a_password_is_changed_and_the_file_is_as_it_should_be() {
    let hospital = Hospital::new(&[]);
    let done = hospital.run(&["identity", "upgrade", "--as", "2"]).json();
    assert_eq!(done["upgraded"], false);
    let mut change = hospital.people(&["identity", "password", "--as", "2"]);
    change.env("MEDLEDGER_NEW_PASSWORD", "another one");
    assert_eq!(run(change, None).text(), "the file is locked with the new password\n");
    let old = hospital.people(&["identity", "upgrade", "--as", "2"]);
    // Nothing is to be done, and so nothing is unlocked; with the old password nothing is signed.
    assert_eq!(run(old, None).code, 0);
    hospital.run(&["identity", "succeed", "--as", "2"]).fails(3, "refused", "wrong_password");
}
