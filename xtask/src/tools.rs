//! Small helpers: where the repository is, which tools are here, how to run them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Variables for every program started from here on: `None` takes one away.
static EXPORTED: Mutex<Vec<(String, Option<String>)>> = Mutex::new(Vec::new());

/// Sets, or takes away, a variable for every program started later.
pub(crate) fn export(name: &str, value: Option<&str>) {
    let mut exported = EXPORTED.lock().expect("no panic while it is held");
    exported.push((name.to_owned(), value.map(str::to_owned)));
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}

/// The cargo that started this program, in the root of the repository.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program, in the root of the repository.
pub(crate) fn command(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(root());
    // Cargo tells this program what package it is. Build scripts that ask for such a variable would run again whenever
    // cargo is called by hand in between, and half of the crates be compiled anew.
    for (name, _) in std::env::vars_os() {
        let of_package =
            |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|p| name.starts_with(p));
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    for (name, value) in EXPORTED.lock().expect("no panic while it is held").iter() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Folder of a crate, if it is in this checkout.
pub(crate) fn crate_folder(name: &str) -> Option<PathBuf> {
    let folder = match name {
        "medledger-cli" => root().to_owned(),
        "xtask" => root().join("xtask"),
        _ => root().join("crates").join(name),
    };
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    manifest.lines().any(|line| line.trim() == "[package]").then_some(folder)
}

/// Whether `cargo NAME` is here; the error is the reason.
pub(crate) fn have_cargo_command(name: &str) -> Result<(), String> {
    output(cargo().args([name, "--version"]))
        .map(drop)
        .map_err(|_| format!("`cargo {name}` is not installed"))
}

/// Runs a command with its output shown as it comes.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    println!("$ {}", shown(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{status}")) }
}

/// Standard output of a command that must succeed; the error ends with the gist of what it said.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_owned();
    let out = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {program:?}: {error}"))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&out.stderr);
    Err(format!("{}: {}", out.status, gist(&text)))
}

/// The line of an error message that says most: a Python traceback has it last, others first.
fn gist(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("it said nothing");
    if first.starts_with("Traceback") { lines.next_back().unwrap_or(first) } else { first }
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let mut text = String::new();
    for (key, value) in command.get_envs() {
        // The peers' variables are in the heading of their steps already.
        if let (false, Some(value)) = (key.to_string_lossy().starts_with("MEDLEDGER_PEER"), value) {
            text.push_str(&format!("{}={:?} ", key.display(), value.to_string_lossy()));
        }
    }
    let program = Path::new(command.get_program());
    text.push_str(&program.file_name().unwrap_or(command.get_program()).to_string_lossy());
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::gist;

    #[test]
    fn the_telling_line_of_an_error_is_found() {
        assert_eq!(
            gist("mount: permission denied.\n  dmesg(1) may have more\n"),
            "mount: permission denied."
        );
        let traceback = "Traceback (most recent call last):\n  File\nModuleNotFoundError: x\n";
        assert_eq!(gist(traceback), "ModuleNotFoundError: x");
        assert_eq!(gist("\n"), "it said nothing");
    }
}
