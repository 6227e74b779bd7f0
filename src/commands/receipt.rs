//! `medledger receipt get` and `receipt check`.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Show, bytes, fields};
use crate::{failures, lookup};
use clap::{Args, Subcommand};
use medledger::core::registry::limit;
use medledger::{ChainId, Receipt, show_time};
use serde::Serialize;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Write the receipt of a record
    Get(GetArgs),
    /// Check a receipt offline; needs no ledger, only the chain's id
    Check(CheckArgs),
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// The record
    record: String,
    /// Where the receipt goes; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The receipt; - is standard input
    file: PathBuf,
    /// The chain's id, from someone you trust
    #[arg(long, value_name = "ID")]
    chain: ChainId,
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
struct Proven {
    record: String,
    kind: &'static str,
    author: String,
    time: String,
    chain: String,
    block: String,
    height: u64,
    block_time: String,
    checkpoint_size: u64,
}

impl Show for Proven {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("record", self.record.clone()),
                ("kind", self.kind.to_owned()),
                ("author", self.author.clone()),
                ("stated", self.time.clone()),
                ("block", self.block.clone()),
                ("height", self.height.to_string()),
                ("block time", self.block_time.clone()),
                ("checkpoint", format!("signed over {} blocks", self.checkpoint_size)),
            ],
        )?;
        writeln!(out, "proven: the record took effect on chain {}", self.chain)?;
        writeln!(out, "(a receipt never proves that a permission is still live)")
    }
}

pub(crate) fn run(context: &Context, command: &ReceiptCommand) -> Result<()> {
    match command {
        ReceiptCommand::Get(args) => get(context, args),
        ReceiptCommand::Check(args) => check(context, args),
    }
}

fn get(context: &Context, args: &GetArgs) -> Result<()> {
    let to_stdout = args.output == Path::new("-");
    if to_stdout && (context.json() || io::stdout().is_terminal()) {
        let text = "a receipt is binary and needs standard output for itself";
        return Err(Failure::usage("output", text).hint("give --output FILE"));
    }
    let ledger = context.open_read_only()?;
    let record = lookup::record(&ledger, &args.record, None)?;
    let receipt = ledger.receipt(&record)?.encode();
    if to_stdout {
        let mut out = io::stdout().lock();
        let written = out.write_all(&receipt).and_then(|()| out.flush());
        return written.map_err(|error| Failure::stdout(&error));
    }
    std::fs::write(&args.output, &receipt).map_err(|error| failures::file(&args.output, &error))?;
    context.print(&Got {
        record: record.to_string(),
        chain: ledger.chain().to_string(),
        output: args.output.display().to_string(),
        length: receipt.len() as u64,
    })
}

fn check(context: &Context, args: &CheckArgs) -> Result<()> {
    let failed = |error: io::Error| failures::file(&args.file, &error);
    let mut bytes = Vec::new();
    // One byte more than any receipt has, so that a longer file is seen to be none.
    let most = limit::RECEIPT_BYTES as u64 + 1;
    if args.file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(&args.file).map_err(failed)?;
        file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    let proven = Receipt::decode(&bytes)?.check(&args.chain)?;
    let record = proven.record.record();
    context.print(&Proven {
        record: proven.record.id().to_string(),
        kind: record.kind().name(),
        author: record.author.to_string(),
        time: show_time(record.time),
        chain: args.chain.to_string(),
        block: proven.block.to_string(),
        height: proven.height,
        block_time: show_time(proven.time),
        checkpoint_size: proven.checkpoint_size,
    })
}
