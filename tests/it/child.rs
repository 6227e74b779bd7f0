//! A child process that plays a role of a test: this very binary, started again for one test, with
//! the role in its environment.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

const ROLE: &str = "MEDLEDGER_TEST_ROLE";
/// Goes before each line a child tells its parent, so that the test harness's own lines are left out.
const MARK: &str = "@ ";

/// What a child finds out about its role.
pub(crate) struct Task {
    /// Which role.
    pub(crate) role: String,
}

impl Task {
    /// A value the parent gave.
    pub(crate) fn value(&self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| panic!("no value {name}"))
    }

    /// A value the parent may have given.
    pub(crate) fn optional(&self, name: &str) -> Option<String> {
        std::env::var(variable(name)).ok()
    }
}

/// Tells the parent a line, at once.
pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone does not care.
    let _ = writeln!(out, "{MARK}{line}");
    let _ = out.flush();
}

fn variable(name: &str) -> String {
    format!("MEDLEDGER_TEST_{}", name.to_uppercase())
}

/// Not a test of its own: what a child process runs. Without a role it does nothing.
#[test]
fn play_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let task = Task { role };
    match task.role.as_str() {
        "journey" => crate::kill::child(&task),
        "hold" => crate::disk::hold(&task),
        "big" => crate::big::child(&task),
        other => panic!("no role {other}"),
    }
}

/// A child under way. Killed when dropped, by its own handle.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    input: Option<ChildStdin>,
}

/// Starts a child that plays `role` on the ledger in `folder`.
pub(crate) fn start(role: &str, folder: &Path, values: &[(&str, &str)]) -> Running {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command
        .args(["child::play_role", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(variable("folder"), folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    for (name, value) in values {
        command.env(variable(name), value);
    }
    let mut child = command.spawn().expect("the test binary starts again");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let input = child.stdin.take();
    Running { child, out, input }
}

impl Running {
    /// The next line it told; none when it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.out.read_line(&mut line).expect("a child's output") == 0 {
                return None;
            }
            // The harness may leave its own line unfinished before ours.
            if let Some(at) = line.find(MARK)
                && line.ends_with('\n')
            {
                return Some(line[at + MARK.len()..].trim_end().to_owned());
            }
        }
    }

    /// Kills it for good, as a power cut would: it cannot tidy up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Lets it end by closing its input, and waits.
    pub(crate) fn finish(&mut self) -> ExitStatus {
        drop(self.input.take());
        while self.line().is_some() {}
        self.child.wait().expect("wait")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago; that is not to be complained of while a test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
