//! Runs the built command and reads what it says.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What a run of the command left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    /// Standard output as text of a run that must have ended well.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.stderr);
        std::str::from_utf8(&self.stdout).expect("text")
    }

    /// The one JSON document on standard output of a run that must have ended well.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.text()).expect("one JSON document")
    }

    /// Asserts exit code, fault and code of a failed run with `--json`; returns the message.
    #[track_caller]
    pub(crate) fn fails(&self, exit: i32, fault: &str, code: &str) -> String {
        assert_eq!(self.code, exit, "{}", self.stderr);
        let error: Value = serde_json::from_str(&self.stderr).expect(&self.stderr);
        let error = &error["error"];
        assert_eq!((&error["fault"], &error["code"]), (&fault.into(), &code.into()), "{error}");
        let message = error["message"].as_str().expect("a message");
        assert!(!message.is_empty());
        message.to_owned()
    }

    /// What a failed run with `--json` says to do.
    #[track_caller]
    pub(crate) fn hint(&self) -> String {
        let error: Value = serde_json::from_str(&self.stderr).expect(&self.stderr);
        error["error"]["hint"].as_str().expect("a hint").to_owned()
    }
}

/// The command with no secret and no ledger from this process's surroundings.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medledger"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MEDLEDGER_") {
            command.env_remove(name);
        }
    }
    command.args(args);
    command
}

/// Runs with nothing, or with these bytes, on standard input.
pub(crate) fn run(mut command: Command, input: Option<&[u8]>) -> Run {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().expect("the command starts");
    let stdin = child.stdin.take();
    // From a thread of its own: the command writes while it reads.
    let output = std::thread::scope(|scope| {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // It may end before it has read everything.
            scope.spawn(move || stdin.write_all(input).ok());
        }
        child.wait_with_output().expect("the command ends")
    });
    Run {
        code: output.status.code().expect("not killed"),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Runs without a ledger.
pub(crate) fn plain(args: &[&str]) -> Run {
    run(command(args), None)
}

/// A ledger with a hospital (1), a doctor (2), a patient (3) and another doctor (4).
pub(crate) struct Hospital {
    dir: TempDir,
}

pub(crate) const PASSWORD: &str = "correct horse battery";

impl Hospital {
    /// Made with the command itself.
    pub(crate) fn new(options: &[&str]) -> Self {
        Self::with_bits("207fffff", options)
    }

    /// Made with a difficulty.
    pub(crate) fn with_bits(bits: &str, options: &[&str]) -> Self {
        let hospital = Self { dir: tempfile::tempdir().expect("a folder") };
        let init = ["init", "--name", "General Hospital", "--bits", bits];
        hospital.run(&[&init, options].concat()).json();
        for (role, name) in [("doctor", "Dr Ada"), ("patient", "Pat Doe"), ("doctor", "Dr Bob")] {
            let mail = format!("{}@example.org", name.replace(' ', "."));
            let add = ["member", "add", "--role", role, "--name", name, "--email", &mail];
            hospital.run(&add).json();
        }
        hospital
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.path("ledger")
    }

    /// A file beside the ledger; returns its path.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("text").to_owned()
    }

    /// The command over this ledger with the right password and `--json`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.people(args);
        command.arg("--json");
        command
    }

    /// The same without `--json`, as people run it.
    pub(crate) fn people(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command
            .env("MEDLEDGER_DIR", self.folder())
            .env("MEDLEDGER_PASSWORD", PASSWORD)
            .env("MEDLEDGER_NEW_PASSWORD", PASSWORD);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        run(self.command(args), None)
    }

    pub(crate) fn run_with_key(&self, args: &[&str], key: &str) -> Run {
        let mut command = self.command(args);
        command.env("MEDLEDGER_ACCESS_KEY", key);
        run(command, None)
    }

    /// Uploads `bytes` by Dr Ada for Pat, mined; returns the answer.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Value {
        let file = self.write("report.txt", bytes);
        self.run(&["upload", &file, "--as", "2", "--patient", "3", "--wait"]).json()
    }
}

/// A field that must be text.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
