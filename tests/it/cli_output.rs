//! Where output goes when it does not go as it should: full devices, closed pipes, links, Ctrl-C.
#![cfg(unix)]

use crate::command::{Hospital, Run, text};
use crate::world::skip;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs with a standard output that cannot be written to: full, or closed at the other end.
fn unshown(mut command: Command, out: impl Into<Stdio>) -> Run {
    let output = command.stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
    let output = output.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Run { code: output.status.code().unwrap(), stdout: output.stdout, stderr }
}

fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn what_was_done_is_told_when_it_cannot_be_shown() {
    let hospital = Hospital::new(&[]);
    let file = hospital.write("r", b"r");
    let upload = ["upload", &file, "--as", "2", "--patient", "3"];
    let full = || File::options().write(true).open("/dev/full");
    let mut uploads = 1;
    let early = unshown(hospital.command(&upload), closed());
    let message = early.fails(6, "environment", "io");
    assert!(message.contains("access key could not be shown"), "{message}");
    if let Ok(full) = full() {
        uploads += 1;
        let full = unshown(hospital.command(&upload), full);
        let message = full.fails(6, "environment", "no_space");
        assert!(message.contains("access key could not be shown"), "{message}");
        assert!(!full.stderr.contains("nothing was accepted"), "{}", full.stderr);
    }
    // It is as the message says: the report is there, and its patient shares it without the key.
    hospital.run(&["mine"]).json();
    let reports = hospital.run(&["reports", "--as", "3"]).json();
    let reports = reports["reports"].as_array().unwrap();
    assert_eq!(reports.len(), uploads, "{reports:?}");
    let id = text(&reports[0], "report");
    assert!(reports.iter().any(|report| message.contains(text(report, "report"))), "{message}");

    // A lost key of a reader is made anew as the hint says.
    let share = ["share", id, "--with", "4", "--as", "3", "--until", "1d"];
    let lost = unshown(hospital.command(&share), closed());
    let message = lost.fails(6, "environment", "io");
    let grant = message.split("accepted as ").nth(1).unwrap().split(',').next().unwrap();
    assert!(lost.stderr.contains(&format!("medledger revoke {grant}")), "{}", lost.stderr);
    hospital.run(&["mine"]).json();
    hospital.run(&["revoke", grant, "--as", "3", "--wait"]).json();
    let again = hospital.run(&share).json();
    assert_eq!(text(&again, "delivery"), "pick_up");

    // No key, but done nevertheless.
    let revoke = ["revoke", text(&again, "grant"), "--as", "3"];
    let early = unshown(hospital.command(&revoke), closed());
    let message = early.fails(6, "environment", "io");
    assert!(message.starts_with("the revocation is accepted as "), "{message}");
    // Nothing done, nothing to tell.
    let list = unshown(hospital.people(&["member", "list"]), closed());
    assert_eq!((list.code, list.stderr.as_str()), (0, ""));
}

#[test]
fn opening_replaces_files_and_neither_links_nor_pipes() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"the report");
    let open = |target: &str, force: &[&str]| {
        let args = ["open", text(&uploaded, "report"), "--as", "3", "-o", target];
        hospital.run(&[&args, force].concat())
    };
    let place = |name: &str| hospital.path(name).to_str().unwrap().to_owned();

    let (file, link) = (hospital.write("file", b"old"), place("link"));
    symlink("file", &link).unwrap();
    open(&link, &[]).fails(2, "usage", "file_exists");
    open(&link, &["--force"]).json();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
    assert_eq!(fs::read(&file).unwrap(), b"the report");

    let dead = place("dead");
    symlink("nothing", &dead).unwrap();
    open(&dead, &["--force"]).fails(2, "usage", "dead_link");
    assert!(fs::symlink_metadata(&dead).unwrap().is_symlink());

    let pipe = place("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let read = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    open(&pipe, &["--force"]).json();
    assert_eq!(read.join().unwrap(), b"the report");
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
}

/// Runs with a standard output that is closed.
fn without_stdout(command: &Command) -> Run {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(command.get_program());
    shell.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    unshown(shell, Stdio::piped())
}

#[test]
fn no_key_is_used_up_where_standard_output_is_closed() {
    let hospital = Hospital::new(&[]);
    let file = hospital.write("r", b"r");
    let upload = ["upload", &file, "--as", "2", "--patient", "3"];
    let refused = |args: &[&str]| {
        let run = without_stdout(&hospital.command(args));
        run.fails(6, "environment", "stdout_closed")
    };
    refused(&upload);
    refused(&["upload", &file, &file, "--as", "2", "--patient", "3"]);
    let none = hospital.run(&["reports", "--as", "3"]).json();
    assert_eq!(none["reports"], serde_json::json!([]));
    let report = hospital.upload(b"a report");
    let report = text(&report, "report");
    let share = ["share", report, "--with", "4", "--as", "3", "--until", "1d"];
    refused(&share);
    refused(&["key", "renew", report, "--as", "3"]);
    let opened = without_stdout(&hospital.people(&["open", report, "--as", "3"]));
    assert_eq!(opened.code, 6, "{}", opened.stderr);
    let reads = hospital.run(&["log", "--kind", "read"]).json();
    assert_eq!(reads["records"], serde_json::json!([]));
    // Where no key is shown nothing is lost.
    let to_identity = [&share[..], &["--to-identity", "--wait"]].concat();
    assert_eq!(without_stdout(&hospital.command(&to_identity)).code, 0);
    let add = ["member", "add", "--role", "doctor", "--name", "Dr Eve", "--delivery", "pickup"];
    hospital.run(&add).json();
    hospital.run(&["share", report, "--with", "5", "--as", "3", "--until", "1d", "--wait"]).json();
    refused(&["pickup", "--as", "5"]);
    // Nor is a place for a picture of it that is none.
    let nowhere = hospital.path("none/key.png");
    let nowhere = nowhere.to_str().unwrap();
    hospital.run(&["pickup", "--as", "5", "--qr-file", nowhere]).fails(4, "not_found", "no_file");
    let picture = hospital.path("key.png");
    let picked = ["pickup", "--as", "5", "--qr-file", picture.to_str().unwrap()];
    assert_eq!(without_stdout(&hospital.command(&picked)).code, 0);
    assert!(picture.exists());
}

#[test]
fn a_folder_that_is_not_there_is_known_before_the_work() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let (report, record) = (text(&uploaded, "report"), text(&uploaded, "record"));
    let file = hospital.write("r", b"r");
    for (output, picture) in [("none/x", "none/x.png"), ("none/deep/x", "none/deep/x.svg")] {
        let (output, picture) = (hospital.path(output), hospital.path(picture));
        let (output, picture) = (output.to_str().unwrap(), picture.to_str().unwrap());
        let commands: [&[&str]; 6] = [
            &["open", report, "--as", "3", "-o", output],
            &["export", "news", "-o", output],
            &["receipt", "get", record, "-o", output],
            &["upload", &file, "--as", "2", "--patient", "3", "--qr-file", picture],
            &["share", report, "--with", "4", "--as", "3", "--until", "1d", "--qr-file", picture],
            &["key", "renew", report, "--as", "3", "--qr-file", picture],
        ];
        for command in commands {
            hospital.run(command).fails(4, "not_found", "no_file");
        }
    }
    let log = hospital.run(&["log"]).json();
    let kinds: Vec<_> = log["records"].as_array().unwrap().iter().map(|r| &r["kind"]).collect();
    assert!(kinds.iter().all(|kind| **kind != "read" && **kind != "grant"), "{kinds:?}");
    assert_eq!(
        hospital.run(&["reports", "--as", "3"]).json()["reports"].as_array().unwrap().len(),
        1
    );
    // The key that was to be renewed is the patient's still.
    let open = ["open", report, "--as", "3", "-o", &hospital.write("new", b""), "--force"];
    hospital.run_with_key(&open, text(&uploaded, "access_key")).json();
}

#[cfg(target_os = "linux")]
#[test]
fn what_standard_output_goes_to_is_not_replaced_by_its_other_names() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/stderr"] {
        for force in [&[][..], &["--force"]] {
            let place = hospital.path("out");
            let out = File::create(&place).unwrap();
            let args = [&["open", report, "--as", "3", "-o", name], force].concat();
            let mut command = hospital.command(&args);
            let ended = command
                .stdin(Stdio::null())
                .stdout(out.try_clone().unwrap())
                .stderr(out.try_clone().unwrap())
                .status()
                .unwrap();
            assert_eq!(ended.code(), Some(2), "{name}");
            let told = fs::read_to_string(&place).unwrap();
            assert!(told.contains("is an open file of this command"), "{name}: {told}");
        }
    }
    let reads = hospital.run(&["log", "--kind", "read"]).json();
    assert_eq!(reads["records"], serde_json::json!([]));
}

#[test]
fn a_dash_is_standard_output_or_refused() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let report = text(&uploaded, "report");
    let here = tempfile::tempdir().unwrap();
    let at = |mut command: Command| {
        command.current_dir(here.path());
        crate::command::run(command, None)
    };
    let page = at(hospital.people(&["receipt", "verifier", "-o", "-"]));
    assert!(page.text().starts_with("<!"), "{:.40}", page.text());
    let file = hospital.path("note");
    hospital.run(&["checkpoint", "show", "-o", file.to_str().unwrap()]).json();
    let note = at(hospital.people(&["checkpoint", "show", "-o", "-"]));
    assert_eq!(note.text().as_bytes(), fs::read(&file).unwrap());
    let news = at(hospital.people(&["export", "news", "-o", "-"]));
    assert_eq!(news.code, 0, "{}", news.stderr);
    let given = hospital.write("given", &news.stdout);
    hospital.run(&["import", "news", &given]).json();
    let id = hospital.run(&["hospital", "list"]).json();
    let id = text(&id["hospitals"][0], "hospital").to_owned();
    let commands: [&[&str]; 8] = [
        &["receipt", "verifier", "-o", "-"],
        &["checkpoint", "show", "-o", "-"],
        &["export", "news", "-o", "-"],
        &["export", "chain", "-o", "-"],
        &["hospital", "card", "-o", "-"],
        &["hospital", "propose", "--expel", &id, "-o", "-"],
        &["slot", "ask", report, "--as", "3", "--to", "-"],
        &["simulate", "--blocks", "10", "--trials", "0", "--csv", "-"],
    ];
    for command in commands {
        at(hospital.command(command)).fails(2, "usage", "output");
    }
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "no file of that name");
}

/// Whether Ctrl-C reaches what this process starts: a script may have it ignored.
pub(crate) fn ctrl_c_works(test: &str) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    if ignored & 2 != 0 {
        skip(test, "whoever started it has Ctrl-C ignored");
    }
    ignored & 2 == 0
}

/// Runs until `ready`, presses Ctrl-C, returns what was left.
pub(crate) fn interrupted(command: Command, ready: impl FnOnce(&mut dyn Read) -> Vec<u8>) -> Run {
    signalled("-INT", command, ready)
}

/// The same by another signal.
pub(crate) fn signalled(
    signal: &str,
    mut command: Command,
    ready: impl FnOnce(&mut dyn Read) -> Vec<u8>,
) -> Run {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut stdout = ready(&mut out);
    // It may have ended by itself.
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
    kill.expect("kill");
    out.read_to_end(&mut stdout).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Run { code: output.status.code().expect("an exit code"), stdout, stderr }
}

#[test]
fn ctrl_c_ends_the_json_document_and_keeps_the_key() {
    if !ctrl_c_works("ctrl_c_ends_the_json_document_and_keeps_the_key") {
        return;
    }
    // Some million hashes a block: time enough, but not always.
    let hospital = Hospital::with_bits("1e080000", &[]);
    let file = hospital.write("r", b"r");
    let upload = ["upload", &file, "--as", "2", "--patient", "3", "--wait"];
    for _ in 0..20 {
        let run = interrupted(hospital.command(&upload), |out| {
            let mut first = vec![0; 100];
            out.read_exact(&mut first).unwrap();
            first
        });
        if run.code == 0 {
            continue;
        }
        let message = run.fails(130, "interrupted", "interrupted");
        assert!(message.contains("what was accepted is kept"), "{message}");
        let uploaded: Value = serde_json::from_slice(&run.stdout).expect("a whole document");
        assert_eq!((&uploaded["block"], text(&uploaded, "access_key").len()), (&Value::Null, 34));
        let verified = hospital.run(&["verify", "--fast"]).json();
        assert!(verified["waiting"].as_u64() >= Some(1), "{verified}");
        return;
    }
    panic!("20 blocks were mined before Ctrl-C came");
}

#[test]
fn ctrl_c_leaves_nothing_of_a_report_in_clear() {
    if !ctrl_c_works("ctrl_c_leaves_nothing_of_a_report_in_clear") {
        return;
    }
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(&vec![7; 24 << 20]);
    let folder = hospital.path("out");
    fs::create_dir(&folder).unwrap();
    let target = folder.join("opened");
    let open =
        ["open", text(&uploaded, "report"), "--as", "3", "-o", target.to_str().unwrap(), "--force"];
    let names = || fs::read_dir(&folder).unwrap().count();
    for _ in 0..20 {
        let before = names();
        let run = interrupted(hospital.command(&open), |_| {
            for _ in 0..10_000 {
                if names() > before {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Vec::new()
        });
        if run.code == 0 {
            fs::remove_file(&target).unwrap();
            continue;
        }
        run.fails(130, "interrupted", "interrupted");
        assert_eq!(names(), 0, "a partial file is left");
        return;
    }
    panic!("20 reports were opened before Ctrl-C came");
}

/// Some hundreds are accepted together; those that come after them may take as long as they like.
#[test]
fn ctrl_c_amid_many_reports_keeps_the_keys_of_those_accepted() {
    const TOGETHER: usize = 512;
    if !ctrl_c_works("ctrl_c_amid_many_reports_keeps_the_keys_of_those_accepted") {
        return;
    }
    let hospital = Hospital::new(&[]);
    let files: Vec<_> = (0..TOGETHER)
        .map(|n| hospital.write(&format!("{n}.txt"), n.to_string().as_bytes()))
        .collect();
    // Nobody writes to it.
    let pipe = hospital.path("pipe");
    let pipe = pipe.to_str().unwrap();
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let mut upload = vec!["upload", "--as", "2", "--patient", "3"];
    upload.extend(files.iter().map(String::as_str));
    upload.push(pipe);
    let run = interrupted(hospital.command(&upload), |_| {
        while hospital.run(&["reports", "--as", "3"]).json()["reports"][TOGETHER - 1].is_null() {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Time to note them after they were committed.
        std::thread::sleep(Duration::from_millis(500));
        Vec::new()
    });
    let message = run.fails(130, "interrupted", "interrupted");
    assert!(message.contains("what was accepted is kept"), "{message}");
    let document: Value = serde_json::from_slice(&run.stdout).expect("a whole document");
    let reports = document["reports"].as_array().unwrap();
    assert_eq!((reports.len(), &document["blocks"]), (TOGETHER, &Value::Null));
    assert!(reports.iter().all(|report| text(report, "access_key").len() == 34));
    hospital.run(&["mine"]).json();
    let last = &reports[TOGETHER - 1];
    let target = hospital.path("opened");
    let open = ["open", text(last, "report"), "--as", "3", "-o", target.to_str().unwrap()];
    hospital.run_with_key(&open, text(last, "access_key")).json();
    assert_eq!(fs::read(target).unwrap(), (TOGETHER - 1).to_string().as_bytes());
}

/// An identity file is a file like others to a command that writes one.
#[test]
fn no_command_replaces_a_file_unless_it_is_told_to() {
    let hospital = Hospital::new(&[]);
    let uploaded = hospital.upload(b"a report");
    let (report, record) = (text(&uploaded, "report"), text(&uploaded, "record"));
    let share = ["share", report, "--with", "4", "--as", "3", "--until", "1d", "--to-identity"];
    hospital.run(&[&share[..], &["--wait"]].concat()).json();
    let request = hospital.path("request").to_str().unwrap().to_owned();
    hospital.run(&["slot", "ask", report, "--as", "4", "--to", &request]).json();
    let precious = hospital.write("precious.identity", b"keys");
    let hospital_id =
        text(&hospital.run(&["hospital", "list"]).json()["hospitals"][0], "hospital").to_owned();
    let commands: [&[&str]; 11] = [
        &["open", report, "--as", "4", "-o"],
        &["export", "report", report, "-o"],
        &["export", "chain", "-o"],
        &["export", "news", "-o"],
        &["receipt", "get", record, "-o"],
        &["receipt", "verifier", "-o"],
        &["checkpoint", "show", "-o"],
        &["hospital", "propose", "--expel", &hospital_id, "-o"],
        &["slot", "ask", report, "--as", "4", "--to"],
        &["slot", "release", &request, "--as", "1", "--to"],
        &["simulate", "--blocks", "10", "--trials", "0", "--csv"],
    ];
    let reads =
        || hospital.run(&["log", "--kind", "read"]).json()["records"].as_array().unwrap().len();
    for command in commands {
        let command = [command, &[&precious[..]]].concat();
        let message = hospital.run(&command).fails(2, "usage", "file_exists");
        assert!(message.contains("precious.identity exists"), "{message}");
        assert_eq!(std::fs::read(&precious).unwrap(), b"keys", "{command:?}");
    }
    assert_eq!(reads(), 0, "it is known before anything is done");
    for command in commands {
        let path = hospital.write("replaced", b"not needed");
        hospital.run(&[command, &[&path[..], "--force"]].concat()).json();
        assert_ne!(std::fs::read(&path).unwrap(), b"not needed", "{command:?}");
    }
}
