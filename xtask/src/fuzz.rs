//! Fuzzing and benches: what takes longer than a test run may.

use crate::tools::{cargo, have_cargo_command, root, run};

const MANIFEST: &str = "fuzz/Cargo.toml";

/// Runs the oracles of all fuzz targets over their seeds and mutations of them, without libFuzzer:
/// any toolchain and no C++ compiler will do.
pub(crate) fn smoke() -> Result<(), String> {
    run(cargo().args(["test", "--no-default-features", "--manifest-path", MANIFEST]))
}

/// `cargo xtask fuzz [TARGET [SECONDS]]`.
pub(crate) fn fuzz(args: &[String]) -> Result<bool, String> {
    let known = targets()?;
    let chosen = match args.first() {
        None => known,
        Some(name) if known.contains(name) => vec![name.clone()],
        Some(name) => return Err(format!("no fuzz target {name:?}; there are {known:?}")),
    };
    let seconds: u32 = match args.get(1) {
        None => 20,
        Some(text) => text.parse().map_err(|_| format!("seconds must be a number: {text:?}"))?,
    };
    have_cargo_command("fuzz").map_err(|e| format!("{e}; `cargo install cargo-fuzz` adds it"))?;
    let seeds = ["run", "--no-default-features", "--manifest-path", MANIFEST];
    run(cargo().args(seeds).args(["--example", "seeds"]))?;
    let mut failed = Vec::new();
    for target in &chosen {
        println!("\n==== fuzz {target}, {seconds} s ====");
        let mut command = cargo();
        // libFuzzer's instrumentation is behind unstable flags; on a stable toolchain this opens them.
        command.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", target, "--"]);
        command.arg(format!("-max_total_time={seconds}"));
        if let Err(error) = run(&mut command) {
            println!("{target}: {error}");
            failed.push(target.as_str());
        }
    }
    println!("\n{} passed, {} failed", chosen.len() - failed.len(), failed.len());
    Ok(failed.is_empty())
}

/// Names of the targets, one file each.
fn targets() -> Result<Vec<String>, String> {
    let folder = root().join("fuzz").join("fuzz_targets");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// `cargo xtask bench [FILTER ...]`: the arguments go to the benches.
pub(crate) fn bench(args: &[String]) -> Result<bool, String> {
    let mut command = cargo();
    // By name, since the unit tests' harness would not know criterion's arguments.
    command.args(["bench", "--workspace", "--bench", "*", "--"]).args(args);
    run(&mut command).map(|()| true)
}
