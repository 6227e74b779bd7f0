//! The command `medledger`: parse, call the service, print. No rule lives here.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod context;
mod exit;
mod failures;
mod interrupt;
mod lookup;
mod output;
mod progress;
mod qr;
mod secret;
mod shell;
mod stdout;
mod target;

use clap::Parser;
use clap::error::ErrorKind;
use exit::{Failure, Fault};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;

/// Where the last panic happened. What it said is thrown away: it may quote a secret.
static PANICKED_AT: Mutex<Option<String>> = Mutex::new(None);

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        if let (Some(place), Ok(mut at)) = (info.location(), PANICKED_AT.lock()) {
            *at = Some(place.to_string());
        }
    }));
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, json),
    };
    interrupt::handle(json);
    let result = catch_unwind(AssertUnwindSafe(|| commands::run(cli))).unwrap_or_else(|_| {
        let at = PANICKED_AT.lock().ok().and_then(|mut at| at.take());
        Err(Failure::bug("panic", format!("panic at {}", at.as_deref().unwrap_or("unknown"))))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough.
        Err(failure) if failure.is_closed_output() => ExitCode::SUCCESS,
        Err(failure) => {
            output::print_failure(&failure, json);
            failure.exit_code().into()
        }
    }
}

/// Help and version are answers; everything else clap says is wrong usage.
fn usage(error: &clap::Error, json: bool) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody left to read it.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ if json => {
            let text = error.render().to_string();
            let text = text.split("\n\nUsage").next().unwrap_or_default();
            let text = text.trim_start_matches("error: ").trim();
            output::print_failure(&Failure::usage("arguments", text), true);
            Fault::Usage.into()
        }
        _ => {
            let _ = error.print();
            Fault::Usage.into()
        }
    }
}
