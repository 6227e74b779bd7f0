//! The chores of this repository: `cargo xtask test | peers | bench | fuzz`.
//!
//! The steps of `test` are rows in [`plan`], the programs that tests may talk to are rows in
//! [`peers`]; both are meant to grow there.
#![forbid(unsafe_code)]

mod aside;
#[cfg(test)]
mod documents;
mod fuzz;
mod kubo;
mod node;
mod peers;
mod plan;
mod python;
mod step;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask COMMAND

  test [--fail-fast] [--list] [WORD ...]
                          pass every test; with words, only steps whose name holds one of them
  peers                   what the tests may use beside this repository, and whether it is here
  bench [FILTER ...]      criterion benches; arguments go to `cargo bench`
  fuzz [TARGET [SECONDS]] fuzz one target or each of them, 20 seconds unless told (cargo-fuzz)

MEDLEDGER_REQUIRE_PEERS=python,smtp,...  the absence of any of these fails the run
MEDLEDGER_KUBO=PATH                      a Kubo binary, instead of one that is built
MEDLEDGER_PYTHON=PATH                    the interpreter to make the virtual environment with
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let result = match command {
        "test" => test(rest),
        // What runs beside the others is another process of this program.
        "step" => return one_step(rest),
        "peers" => show_peers(),
        "bench" => fuzz::bench(rest),
        "fuzz" => fuzz::fuzz(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(true)
        }
        other => Err(format!("no command {other:?}\n\n{HELP}")),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(text) => {
            eprintln!("xtask: {text}");
            ExitCode::from(2)
        }
    }
}

fn test(args: &[String]) -> Result<bool, String> {
    let mut options = step::Options::default();
    let mut list = false;
    for arg in args {
        match arg.as_str() {
            "--fail-fast" => options.fail_fast = true,
            "--list" => list = true,
            flag if flag.starts_with('-') => return Err(format!("no option {flag:?}\n\n{HELP}")),
            word => options.words.push(word.to_owned()),
        }
    }
    let required = peers::required()?;
    let steps = plan::steps(&required);
    if list {
        for step in &steps {
            println!("{}", step.name);
        }
        return Ok(true);
    }
    if !steps.iter().any(|step| options.selects(step)) {
        return Err(format!("no step has any of {:?} in its name; see --list", options.words));
    }
    // Minutes of downloading, where it was never built: meanwhile the first steps run.
    kubo::begin();
    Ok(step::run_all(&steps, &options))
}

fn one_step(args: &[String]) -> ExitCode {
    let steps = plan::steps(&[]);
    let Some(step) = steps.iter().find(|step| [&step.name] == args.iter().collect::<Vec<_>>()[..])
    else {
        eprintln!("xtask: no step {args:?}");
        return ExitCode::from(2);
    };
    match step.run() {
        Ok(step::Outcome::Passed) => ExitCode::SUCCESS,
        Ok(step::Outcome::Skipped(reason)) => {
            println!("{reason}");
            ExitCode::from(aside::SKIPPED)
        }
        Err(reason) => {
            println!("{reason}");
            ExitCode::from(1)
        }
    }
}

fn show_peers() -> Result<bool, String> {
    let required = peers::required()?;
    let mut all_required_here = true;
    for peer in peers::PEERS {
        let must = required.iter().any(|name| name == peer.name);
        let state = match (peer.bring_up)() {
            Ok(value) => format!("here     {}={value}", peer.variable()),
            Err(reason) => {
                all_required_here &= !must;
                format!("{}  {reason}", if must { "MISSING" } else { "absent " })
            }
        };
        println!("{:<12} {}\n{:<12} {state}", peer.name, peer.about, "");
    }
    Ok(all_required_here)
}
