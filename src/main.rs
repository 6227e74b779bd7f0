//! The command `medledger`.
#![forbid(unsafe_code)]

mod commands;

use clap::Parser;
use commands::demo;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "medledger", version)]
enum Cli {
    /// Plays the whole journey of a report in a folder of its own
    Demo {
        #[command(flatten)]
        args: demo::DemoArgs,
        /// One JSON object a step
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let Cli::Demo { args, json } = Cli::parse();
    let format = if json { demo::Format::Json } else { demo::Format::Text };
    match demo::run(&args, format, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("medledger: {error}");
            ExitCode::FAILURE
        }
    }
}
