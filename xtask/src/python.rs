//! The virtual environment `.venv`: made, filled with the pinned packages, and reused.

use crate::tools::{command, output, root, run};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Pinned packages of the Python tests and of the peers that are Python programs.
const REQUIREMENTS: &str = "crates/medledger-py/requirements-dev.txt";

/// Oldest Python that the module is built for.
const OLDEST: (u32, u32) = (3, 11);

fn folder() -> PathBuf {
    root().join(".venv")
}

/// A program of the virtual environment; its folder has another name on Windows.
fn program(name: &str) -> PathBuf {
    if cfg!(windows) {
        folder().join("Scripts").join(format!("{name}.exe"))
    } else {
        folder().join("bin").join(name)
    }
}

/// The interpreter of a ready environment. The work is done once a run, whoever asks first.
pub(crate) fn environment() -> Result<&'static Path, String> {
    static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    READY.get_or_init(prepare).as_deref().map_err(Clone::clone)
}

fn prepare() -> Result<PathBuf, String> {
    let python = program("python");
    let base = base_interpreter()?;
    let wanted = std::fs::read_to_string(root().join(REQUIREMENTS))
        .map_err(|error| format!("cannot read {REQUIREMENTS}: {error}"))?;
    // What the environment was made from; anything else, and it is made anew.
    let stamp = format!("{}\n{wanted}", base.version);
    let stamp_file = folder().join("medledger-stamp.txt");
    let works = output(command(&python).args(["-c", "import sys"])).is_ok();
    if works && std::fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return Ok(python);
    }
    let mut make = base.command();
    make.args(["-m", "venv", "--clear"]).arg(folder());
    run(&mut make).map_err(|error| {
        format!("`python -m venv` failed ({error}); Debian has it in the package python3-venv")
    })?;
    run(command(&python).args(["-m", "pip", "install", "--quiet", "-r", REQUIREMENTS]))
        .map_err(|error| format!("pip could not install {REQUIREMENTS}: {error}"))?;
    std::fs::write(&stamp_file, stamp).map_err(|error| format!("{stamp_file:?}: {error}"))?;
    Ok(python)
}

/// A Python of the machine, new enough.
struct Base {
    words: Vec<String>,
    version: String,
}

impl Base {
    fn command(&self) -> std::process::Command {
        let mut made = command(&self.words[0]);
        made.args(&self.words[1..]);
        made
    }
}

fn base_interpreter() -> Result<Base, String> {
    let candidates: Vec<Vec<String>> = match std::env::var("MEDLEDGER_PYTHON") {
        Ok(path) if !path.is_empty() => vec![vec![path]],
        _ => [&["python3"][..], &["python"], &["py", "-3"]]
            .iter()
            .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
            .collect(),
    };
    let mut seen = Vec::new();
    for words in candidates {
        let mut base = Base { words, version: String::new() };
        let ask = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
        match output(base.command().args(["-c", ask])) {
            Ok(version) if new_enough(&version) => {
                base.version = version;
                return Ok(base);
            }
            Ok(version) => seen.push(format!("{} is {version}", base.words.join(" "))),
            Err(error) => seen.push(format!("{}: {error}", base.words.join(" "))),
        }
    }
    Err(format!("no Python {}.{} or later ({})", OLDEST.0, OLDEST.1, seen.join("; ")))
}

fn new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST,
        _ => false,
    }
}

/// Builds the module of `crates/medledger-py` into the environment.
pub(crate) fn build_module() -> Result<(), String> {
    let python = environment()?;
    run(command(python)
        .args(["-m", "maturin", "develop", "--manifest-path", "crates/medledger-py/Cargo.toml"])
        // maturin asks for an active environment and finds it by this variable.
        .env("VIRTUAL_ENV", folder())
        .env_remove("CONDA_PREFIX"))
}

/// Runs pytest on a folder; finding no test at all is a failure, too.
pub(crate) fn pytest(tests: &Path) -> Result<(), String> {
    let python = environment()?;
    run(command(python).args(["-m", "pytest", "-ra"]).arg(tests))
        .map_err(|error| if error.ends_with(" 5") { "no test was found".to_owned() } else { error })
}

#[cfg(test)]
mod tests {
    use super::new_enough;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(new_enough("3.11.7") && new_enough("3.20.0") && new_enough("4.0.0"));
        assert!(!new_enough("3.9.18") && !new_enough("2.7.18") && !new_enough("three"));
    }
}
