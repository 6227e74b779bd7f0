//! The steps of `cargo xtask test`, in order. A new check is a row here.

use crate::peers::{PEERS, Peer};
use crate::step::{Outcome, Step};
use crate::tools::{cargo, command, crate_folder, export, have_cargo_command, output, root, run};
use crate::{fuzz, python};

/// Crates with features that are off by default, and the features to check them with once more.
const FEATURES: &[(&str, &str)] =
    &[("medledger-core", "aws-lc,conformance"), ("medledger-ipfs", "http,conformance")];

/// Crates that are tested once more as they are built by themselves, and what of them: the second AES backend, which
/// nothing else of the workspace asks for, and a crate without the features that others ask of it. What no feature
/// touches runs once.
const AGAIN: &[(&str, &[&str])] = &[
    ("medledger-core", &["--features", "aws-lc,conformance", "--lib", "--test", "vectors"]),
    ("medledger-ipfs", &["--lib"]),
];

/// Crates that plain cargo does not test: the Python module is loaded by Python, see below.
const NOT_BY_CARGO: &[&str] = &["medledger-py"];

/// The peer that is made in the background, and waited for only before the tests.
const LATE_PEER: &str = "kubo";

/// Every step; the peers in `required` fail when they are absent.
pub(crate) fn steps(required: &[String]) -> Vec<Step> {
    let peer_steps = |late: bool| {
        let chosen = PEERS.iter().filter(move |peer| (peer.name == LATE_PEER) == late);
        chosen.map(|peer| peer_step(peer, required.iter().any(|name| name == peer.name)).setup())
    };
    let mut steps: Vec<Step> = peer_steps(false).collect();
    steps.extend([
        tool("format", "fmt", &["fmt", "--all", "--check"]),
        tool("format, fuzz", "fmt", &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
        tool(
            "clippy",
            "clippy",
            &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        ),
    ]);
    steps.extend(FEATURES.iter().map(|(name, features)| {
        let args = ["-p", name, "--all-targets", "--features", features, "--", "-D", "warnings"];
        of_crate(
            name,
            tool(format!("clippy, {name} with {features}"), "clippy", &with("clippy", &args)),
        )
    }));
    steps.push(
        tool(
            "clippy, fuzz",
            "clippy",
            &[
                "clippy",
                "--manifest-path",
                "fuzz/Cargo.toml",
                "--no-default-features",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        )
        .aside(),
    );
    steps.extend(peer_steps(true));
    steps.push(workspace_tests(
        "unit, property and integration tests",
        &["--lib", "--bins", "--tests", "--examples"],
    ));
    steps.push(workspace_tests("documentation examples", &["--doc"]));
    steps.extend(AGAIN.iter().map(|(name, what)| {
        let args = [&["test", "-p", name, "--no-fail-fast"], *what].concat();
        of_crate(name, always(format!("tests, {name} by itself"), &args))
    }));
    steps.push(
        Step::new("fuzz oracles on their seeds", || fuzz::smoke().map(|()| Outcome::Passed))
            .aside(),
    );
    steps.push(Step::new("sanitizer, sha256-lanes", sanitizer).aside());
    // These two last: they wait until nothing else is compiled into the same folder.
    steps.push(documentation().aside());
    steps.push(of_crate("medledger-py", Step::new("python module", python_module)).aside());
    steps.push(tool(
        "licences and bans",
        "deny",
        &["deny", "--all-features", "check", "bans", "licenses", "sources"],
    ));
    steps.push(of_crate("medledger-py", Step::new("python tests", python_tests)));
    steps
}

fn peer_step(peer: &'static Peer, required: bool) -> Step {
    Step::new(format!("peer {}", peer.name), move || match (peer.bring_up)() {
        Ok(value) => {
            println!("{}={value}", peer.variable());
            export(&peer.variable(), Some(&value));
            Ok(Outcome::Passed)
        }
        Err(reason) => {
            export(&peer.variable(), None);
            if required {
                Err(format!("required by MEDLEDGER_REQUIRE_PEERS, but absent: {reason}"))
            } else {
                Ok(Outcome::Skipped(reason))
            }
        }
    })
}

/// A step that is skipped where the crate is not in this checkout.
fn of_crate(name: &'static str, step: Step) -> Step {
    if crate_folder(name).is_some() {
        return step;
    }
    Step::new(step.name, move || Ok(Outcome::Skipped(format!("there is no crate {name} here"))))
}

/// A step that runs cargo.
fn always(name: impl Into<String>, args: &[&str]) -> Step {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    Step::new(name, move || run(cargo().args(&args)).map(|()| Outcome::Passed))
}

/// A step that runs a cargo command not every toolchain has.
fn tool(name: impl Into<String>, command: &'static str, args: &[&str]) -> Step {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    Step::new(name, move || match have_cargo_command(command) {
        Ok(()) => run(cargo().args(&args)).map(|()| Outcome::Passed),
        Err(reason) => Ok(Outcome::Skipped(reason)),
    })
}

fn workspace_tests(name: &str, which: &[&str]) -> Step {
    let mut args = vec!["test", "--workspace", "--no-fail-fast"];
    args.extend(which);
    for name in NOT_BY_CARGO.iter().filter(|name| crate_folder(name).is_some()) {
        args.extend(["--exclude", name]);
    }
    always(name, &args)
}

fn documentation() -> Step {
    Step::new("documentation without warnings", || {
        run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
            .map(|()| Outcome::Passed)
    })
}

/// The tests of the only crate with unsafe code, under AddressSanitizer.
fn sanitizer() -> Result<Outcome, String> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(Outcome::Skipped(format!("AddressSanitizer is run on {TARGET} only")));
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = output(command(rustc).args(["--print", "target-libdir"]))?;
    let runtime =
        |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with("_rt.asan.a");
    let mut files = std::fs::read_dir(&libraries).map_err(|e| format!("{libraries}: {e}"))?;
    if !files.any(|entry| entry.is_ok_and(|entry| runtime(&entry))) {
        return Ok(Outcome::Skipped("this toolchain comes without AddressSanitizer".to_owned()));
    }
    // Behind an unstable flag; on a stable toolchain this opens it. A folder of its own, as the flags
    // would have everything else built again.
    let args = ["test", "-p", "sha256-lanes", "--lib", "--tests", "--target", TARGET];
    let mut test = cargo();
    test.args(args).args(["--target-dir", "target/sanitizer"]);
    test.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    run(&mut test).map(|()| Outcome::Passed)
}

fn python_module() -> Result<Outcome, String> {
    if let Err(reason) = python::environment() {
        return Ok(Outcome::Skipped(reason));
    }
    python::build_module().map(|()| Outcome::Passed)
}

fn python_tests() -> Result<Outcome, String> {
    let tests = root().join("crates").join("medledger-py").join("tests");
    if let Err(reason) = python::environment() {
        return Ok(Outcome::Skipped(reason));
    }
    python::pytest(&tests).map(|()| Outcome::Passed)
}

fn with<'a>(first: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![first];
    all.extend(rest);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_steps_are_unique() {
        let mut names: Vec<_> = steps(&[]).into_iter().map(|step| step.name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_feature_table_names_features_that_exist() {
        for (name, features) in FEATURES {
            let Some(folder) = crate_folder(name) else { continue };
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            for feature in features.split(',') {
                let line = format!("{feature} = [");
                assert!(manifest.lines().any(|l| l.starts_with(&line)), "{name}: {feature}");
            }
        }
    }
    /// A dependency without a reason in docs/dependencies.md, or a reason left without one.
    #[test]
    fn every_dependency_has_a_row_in_the_documents() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let table = manifest.split("\n[workspace.dependencies]\n").nth(1).unwrap();
        let mut declared: Vec<(String, String)> = table
            .lines()
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .filter(|line| !line.contains("path = "))
            .filter_map(|line| {
                let (name, rest) = line.split_once('=')?;
                Some((name.trim().to_owned(), rest.split('"').nth(1)?.to_owned()))
            })
            .collect();
        let text = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
        let mut documented: Vec<(String, String)> = text
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                let cells: Vec<_> = line.split('|').map(str::trim).collect();
                (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
            })
            .collect();
        declared.sort();
        documented.sort();
        assert_eq!(declared, documented);
    }
}
