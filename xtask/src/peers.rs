//! Peers: whatever the tests use beside this repository and its crates, by name.
//!
//! A peer that is here is brought up and told to the tests by `MEDLEDGER_PEER_NAME`; one that is
//! not is skipped loudly, or fails the run when `MEDLEDGER_REQUIRE_PEERS` names it.

use crate::tools::{command, output};
use crate::{kubo, node, python};
use std::path::{Path, PathBuf};

/// Something the tests may talk to or stand on.
pub(crate) struct Peer {
    /// As `MEDLEDGER_REQUIRE_PEERS` names it.
    pub(crate) name: &'static str,
    /// What it is, in a line.
    pub(crate) about: &'static str,
    /// Makes it ready and gives the value of its variable, or the reason why it cannot be had.
    pub(crate) bring_up: fn() -> Result<String, String>,
}

/// Every peer there is; a new one is a row and a function.
pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: "python",
        about: "virtual environment with the pinned packages; the variable is its interpreter",
        bring_up: || python::environment().map(shown),
    },
    Peer {
        name: "smtp",
        about: "SMTP server aiosmtpd; the variable is the interpreter that has it",
        bring_up: smtp,
    },
    Peer {
        name: "node",
        about: "Node.js with the packages of tests/js; the variable is the folder of their modules",
        bring_up: node::packages,
    },
    Peer {
        name: "helia",
        about: "Helia with the Node.js it needs; the variable is the folder of their modules",
        bring_up: node::helia,
    },
    Peer {
        name: "chromium",
        about: "a Chromium; the variable is its path, and MEDLEDGER_CHROMIUM may name it",
        bring_up: chromium,
    },
    Peer { name: "kubo", about: "a Kubo binary; the variable is its path", bring_up: kubo::binary },
    Peer {
        name: "tmpfs",
        about: "a small tmpfs may be mounted (full disk); the variable is 1",
        bring_up: tmpfs,
    },
    Peer {
        name: "bind-mount",
        about: "a folder may be mounted read-only over itself; the variable is 1",
        bring_up: bind_mount,
    },
];

impl Peer {
    /// The variable that tells the tests of it.
    pub(crate) fn variable(&self) -> String {
        format!("MEDLEDGER_PEER_{}", self.name.to_uppercase().replace('-', "_"))
    }
}

/// The peers that must be here.
pub(crate) fn required() -> Result<Vec<String>, String> {
    match std::env::var("MEDLEDGER_REQUIRE_PEERS") {
        Ok(list) => parse_required(&list),
        Err(std::env::VarError::NotPresent) => Ok(Vec::new()),
        Err(error) => Err(format!("MEDLEDGER_REQUIRE_PEERS: {error}")),
    }
}

fn parse_required(list: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = list.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
    let known: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
    match names.iter().find(|name| !known.contains(name)) {
        Some(name) => {
            Err(format!("MEDLEDGER_REQUIRE_PEERS names {name:?}; known are {}", known.join(", ")))
        }
        None => Ok(names.into_iter().map(str::to_owned).collect()),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn smtp() -> Result<String, String> {
    let python = python::environment()?;
    output(command(python).args(["-c", "import aiosmtpd.controller"]))?;
    Ok(shown(python))
}

/// The program's name where Debian, others and macOS put it.
const CHROMIUMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "chromium-headless-shell",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

fn chromium() -> Result<String, String> {
    if !cfg!(unix) {
        return Err("the tests speak to it over a shell's descriptors".to_owned());
    }
    let named = std::env::var("MEDLEDGER_CHROMIUM").ok().filter(|name| !name.is_empty());
    let candidates: Vec<&str> = match &named {
        Some(name) => vec![name],
        None => CHROMIUMS.to_vec(),
    };
    let runs = |name: &&&str| output(command(name).arg("--version")).is_ok();
    let found = candidates.iter().find(runs).map(|name| (*name).to_owned());
    found.ok_or_else(|| format!("none of {} runs", candidates.join(", ")))
}

fn tmpfs() -> Result<String, String> {
    on_linux()?;
    let folder = Scratch::new("tmpfs")?;
    mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs", &shown(&folder.0)])?;
    unmount(&folder.0)?;
    Ok("1".to_owned())
}

fn bind_mount() -> Result<String, String> {
    on_linux()?;
    let folder = Scratch::new("bind")?;
    let path = shown(&folder.0);
    mount(&["--bind", &path, &path])?;
    let read_only = mount(&["-o", "remount,bind,ro", &path]);
    let write = std::fs::write(folder.0.join("probe"), "");
    unmount(&folder.0)?;
    read_only?;
    match write {
        Err(_) => Ok("1".to_owned()),
        Ok(()) => Err("a read-only bind mount took a write".to_owned()),
    }
}

fn on_linux() -> Result<(), String> {
    if cfg!(target_os = "linux") { Ok(()) } else { Err("only on Linux, as root".to_owned()) }
}

fn mount(args: &[&str]) -> Result<(), String> {
    output(command("mount").args(args)).map(drop)
}

fn unmount(folder: &Path) -> Result<(), String> {
    output(command("umount").arg(folder)).map(drop)
}

/// An empty folder of this process, removed at the end; never its contents, should a mount remain.
struct Scratch(PathBuf);

impl Scratch {
    fn new(what: &str) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("medledger-{what}-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0.join("probe"));
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_in_the_list_are_an_error() {
        assert_eq!(parse_required("").unwrap(), Vec::<String>::new());
        assert_eq!(parse_required(" smtp, python,").unwrap(), ["smtp", "python"]);
        let error = parse_required("python,smpt").unwrap_err();
        assert!(error.contains("\"smpt\"") && error.contains("tmpfs"), "{error}");
    }

    #[test]
    fn variables_are_made_from_names() {
        let names: Vec<_> = PEERS.iter().map(Peer::variable).collect();
        assert!(names.contains(&"MEDLEDGER_PEER_BIND_MOUNT".to_owned()));
        assert!(names.contains(&"MEDLEDGER_PEER_SMTP".to_owned()));
    }
}
