//! Steps that run beside the others, because they share nothing with them: while tests wait for a disk or for each other,
//! another processor builds what comes later.

use crate::step::Outcome;
use crate::tools::root;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Exit status of a process that skipped its step; what it said last is the reason.
pub(crate) const SKIPPED: u8 = 3;

/// What became of a step.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) result: Result<Outcome, String>,
    pub(crate) took: Duration,
    /// What it printed.
    pub(crate) output: String,
}

/// The steps that run beside the others, one after another.
#[derive(Debug)]
pub(crate) struct Aside {
    ended: Receiver<Ended>,
}

impl Aside {
    /// Begins the first of them.
    pub(crate) fn begin(names: Vec<String>) -> Self {
        let (send, ended) = channel();
        std::thread::spawn(move || {
            for name in names {
                let start = Instant::now();
                let (result, output) = run(&name).unwrap_or_else(|e| (Err(e), String::new()));
                // Nobody listens any more: the run was broken off.
                if send.send(Ended { name, result, took: start.elapsed(), output }).is_err() {
                    return;
                }
            }
        });
        Self { ended }
    }

    /// What became of the next one, waited for.
    pub(crate) fn next(&self) -> Result<Ended, String> {
        self.ended.recv().map_err(|_| "what ran it beside the others is gone".to_owned())
    }
}

/// Runs one step in a process of its own, since what it prints would mix with what the others print.
fn run(name: &str) -> Result<(Result<Outcome, String>, String), String> {
    let told = |error: std::io::Error| format!("cannot run it beside the others: {error}");
    let path = log(name);
    std::fs::create_dir_all(path.parent().expect("it lies in a folder")).map_err(told)?;
    let file = File::create(&path).map_err(told)?;
    let status = Command::new(std::env::current_exe().map_err(told)?)
        .args(["step", name])
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(told)?)
        .stderr(file)
        .status()
        .map_err(told)?;
    let output = String::from_utf8_lossy(&std::fs::read(&path).map_err(told)?).into_owned();
    Ok((read(status.code(), &output), output))
}

fn log(name: &str) -> PathBuf {
    let name: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    root().join("target").join("xtask").join(format!("{name}.log"))
}

/// What the exit status of such a process says, with what it printed last.
fn read(status: Option<i32>, output: &str) -> Result<Outcome, String> {
    let last = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match status {
        Some(0) => Ok(Outcome::Passed),
        Some(code) if code == i32::from(SKIPPED) => Ok(Outcome::Skipped(last.to_owned())),
        Some(_) => Err(last.to_owned()),
        None => Err("it was killed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_how_its_step_ended() {
        assert_eq!(read(Some(0), "all well\n"), Ok(Outcome::Passed));
        let skipped = read(Some(3), "$ cargo deny\nit is not installed\n\n");
        assert_eq!(skipped, Ok(Outcome::Skipped("it is not installed".to_owned())));
        assert_eq!(read(Some(1), "error\nexit status: 101\n"), Err("exit status: 101".to_owned()));
        assert!(read(None, "").is_err() && read(Some(2), "").is_err());
    }

    #[test]
    fn every_name_has_a_file_of_its_own() {
        assert!(log("clippy, fuzz").ends_with("target/xtask/clippy--fuzz.log"));
    }
}
