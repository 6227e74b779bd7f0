//! A Kubo binary: the one the user names, the one built here before, one built now by the Go toolchain, or
//! the one on the `PATH`.
//!
//! Building takes some minutes and mostly waits for the network at first, so it begins in the background and
//! is waited for when it is needed.

use crate::node;
use crate::tools::{command, output};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::JoinHandle;

/// What is built. Its `go.mod` has an `exclude`, which `go install` refuses; as the tool of a module it builds.
const MODULE: &str = "github.com/ipfs/kubo/cmd/ipfs@v0.42.0";
const VERSION: &str = "0.42.0";
/// Oldest Go that builds it.
const OLDEST_GO: (u32, u32, u32) = (1, 26, 4);
/// Oldest Kubo on the `PATH` that will do: `medledger_ipfs::kubo::LEAST_VERSION`.
const OLDEST_KUBO: (u32, u32, u32) = (0, 35, 0);

type Found = Result<String, String>;

static BEGUN: Mutex<Option<JoinHandle<Found>>> = Mutex::new(None);

/// Starts to look for a binary, or to build one.
pub(crate) fn begin() {
    let mut begun = BEGUN.lock().expect("no panic while it is held");
    begun.get_or_insert_with(|| std::thread::spawn(find));
}

/// The path of the binary, waited for.
pub(crate) fn binary() -> Found {
    begin();
    let begun = BEGUN.lock().expect("no panic while it is held").take();
    let found = begun.ok_or("asked for twice")?.join();
    found.unwrap_or_else(|_| Err("looking for it panicked".to_owned()))
}

fn find() -> Found {
    if let Some(path) = std::env::var_os("MEDLEDGER_KUBO").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        version(&path).map_err(|error| format!("MEDLEDGER_KUBO: {error}"))?;
        return Ok(path.display().to_string());
    }
    let built = match build() {
        Ok(path) => return Ok(path.display().to_string()),
        Err(error) => error,
    };
    match version(Path::new("ipfs")) {
        Ok(found) if found >= OLDEST_KUBO => Ok("ipfs".to_owned()),
        Ok(found) => Err(format!("{built}; the ipfs on the PATH is too old: {found:?}")),
        Err(error) => Err(format!("{built}; no ipfs on the PATH: {error}")),
    }
}

/// Builds it under `target/peers/kubo`, unless that was done before.
fn build() -> Result<PathBuf, String> {
    let folder = node::peers().join("kubo");
    let binary = folder.join(if cfg!(windows) { "ipfs.exe" } else { "ipfs" });
    if version(&binary).is_ok_and(|found| Some(found) == numbers(VERSION)) {
        return Ok(binary);
    }
    let go = output(command("go").args(["env", "GOVERSION"]))
        .map_err(|error| format!("no Go toolchain to build it with ({error})"))?;
    if numbers(go.trim_start_matches("go")).is_none_or(|found| found < OLDEST_GO) {
        return Err(format!("{go} is older than the {OLDEST_GO:?} that builds it"));
    }
    let module = folder.join("module");
    std::fs::create_dir_all(&module).map_err(|e| format!("{}: {e}", module.display()))?;
    let _ = std::fs::remove_file(module.join("go.mod"));
    let go = |args: &[&str]| {
        let mut go = command("go");
        go.args(args).current_dir(&module).env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local");
        output(&mut go).map_err(|error| format!("`go {}`: {error}", args.join(" ")))
    };
    go(&["mod", "init", "medledger.invalid/peers"])?;
    go(&["get", "-tool", MODULE])?;
    let made = binary.display().to_string();
    let package = MODULE.split('@').next().unwrap_or(MODULE);
    go(&["build", "-trimpath", "-ldflags=-s -w", "-o", &made, package])?;
    version(&binary)?;
    Ok(binary)
}

/// Which Kubo a binary is.
fn version(binary: &Path) -> Result<(u32, u32, u32), String> {
    let text = output(command(binary).args(["version", "--number"]))?;
    numbers(&text).ok_or_else(|| format!("{} says that it is {text:?}", binary.display()))
}

fn numbers(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.trim().splitn(3, '.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().ok()
    });
    Some((parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?))
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(numbers("0.42.0\n"), Some((0, 42, 0)));
        assert_eq!(numbers("1.26.8"), Some((1, 26, 8)));
        assert_eq!(numbers("1.27"), Some((1, 27, 0)));
        assert_eq!(numbers("0.43.0-rc1"), Some((0, 43, 0)));
        assert_eq!((numbers(""), numbers("x.y.z")), (None, None));
        assert!(numbers("0.9.1") < numbers("0.35.0"));
    }
}
