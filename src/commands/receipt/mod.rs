//! `medledger receipt get`, `receipt check` and `receipt verifier`.

mod check;

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Show, bytes, fields};
use crate::target::{ForceArg, Readers, Target};
use crate::{lookup, output};
use clap::{Args, Subcommand, ValueEnum};
use medledger::RECEIPT_VERIFIER;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Write the receipt of a record
    Get(GetArgs),
    /// Check a receipt offline; needs no ledger, only the chain's id
    #[command(after_help = check::exit_codes())]
    Check(check::CheckArgs),
    /// Write a web page that checks receipts in a browser, offline
    Verifier(VerifierArgs),
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// The record
    record: String,
    /// Where the receipt goes; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
    /// In which form
    #[arg(long, value_enum, default_value_t = Format::DagCbor)]
    format: Format,
}

/// The forms of a receipt: they prove the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Binary, the shorter one
    DagCbor,
    /// Text that tools of transparency logs read, c2sp.org/tlog-proof
    TlogProof,
}

#[derive(Args, Debug)]
pub(crate) struct VerifierArgs {
    /// Where the page goes; without it, standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    replace: ForceArg,
}

#[derive(Serialize)]
struct Got {
    record: String,
    chain: String,
    output: String,
    length: u64,
}

impl Show for Got {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("record", self.record.clone()),
                ("receipt", format!("{}, {}", self.output, bytes(self.length))),
            ],
        )?;
        writeln!(out, "\nAnyone can check it, without this ledger:")?;
        writeln!(out, "  medledger receipt check {} --chain {}", self.output, self.chain)
    }
}

#[derive(Serialize)]
struct Written {
    output: String,
    length: u64,
}

impl Show for Written {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{}, {}: opens in any browser, needs no network",
            self.output,
            bytes(self.length)
        )
    }
}

pub(crate) fn run(context: &Context, command: &ReceiptCommand) -> Result<()> {
    match command {
        ReceiptCommand::Get(args) => get(context, args),
        ReceiptCommand::Check(args) => check::run(context, args),
        ReceiptCommand::Verifier(args) => verifier(context, args),
    }
}

fn get(context: &Context, args: &GetArgs) -> Result<()> {
    let to_stdout = args.output == Path::new("-");
    let binary = args.format == Format::DagCbor;
    if to_stdout && (context.json() || (binary && io::stdout().is_terminal())) {
        let text = "a receipt needs standard output for itself, and a binary one no terminal";
        return Err(Failure::usage("output", text).hint("give --output FILE"));
    }
    let target = match to_stdout {
        true => None,
        false => Some(Target::of(&args.output, args.replace.force)?),
    };
    let ledger = context.open_read_only()?;
    let record = lookup::record(&ledger, &args.record, None)?;
    let receipt = ledger.receipt(&record)?;
    let receipt = match args.format {
        Format::DagCbor => receipt.encode(),
        Format::TlogProof => receipt.to_tlog_proof()?.into_bytes(),
    };
    let Some(target) = target else { return write_to_stdout(&receipt) };
    target.write(&receipt, Readers::Others)?;
    context.print(&Got {
        record: record.to_string(),
        chain: ledger.chain().to_string(),
        output: args.output.display().to_string(),
        length: receipt.len() as u64,
    })
}

fn write_to_stdout(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Failure::stdout(&error))
}

fn verifier(context: &Context, args: &VerifierArgs) -> Result<()> {
    let Some(path) = args.output.as_deref().filter(|path| *path != Path::new("-")) else {
        if context.json() {
            let text = "the page needs standard output for itself";
            return Err(Failure::usage("output", text).hint("give --output FILE"));
        }
        return output::write(RECEIPT_VERIFIER);
    };
    let target = Target::of(path, args.replace.force)?;
    target.write(RECEIPT_VERIFIER.as_bytes(), Readers::Others)?;
    context.print(&Written {
        output: path.display().to_string(),
        length: RECEIPT_VERIFIER.len() as u64,
    })
}
