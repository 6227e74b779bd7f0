//! `medledger slot`: a reader at another hospital asks the custodian of a report for its wrapped key.

use crate::context::Context;
use crate::exit::Result;
use crate::output::{Done, Show, bytes, fields};
use crate::secret::{AccessKeyArgs, Acting, key};
use crate::target::{ForceArg, Readers, Target};
use crate::{failures, lookup};
use clap::{Args, Subcommand};
use medledger::core::registry::limit;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum SlotCommand {
    /// As the reader: write a request, sealed to the hospital that keeps the slot
    Ask(AskArgs),
    /// As that hospital: record the reading, then write the slot, sealed to the reader
    Release(ReleaseArgs),
}

#[derive(Args, Debug)]
pub(crate) struct AskArgs {
    /// The report
    report: String,
    #[command(flatten)]
    reader: Acting,
    #[command(flatten)]
    key: AccessKeyArgs,
    /// Where the request goes; carry it to the custodian, it is good for 15 minutes
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseArgs {
    /// The request
    file: PathBuf,
    #[command(flatten)]
    hospital: Acting,
    /// Where the slot goes; carry it to the reader: `medledger open REPORT --slot FILE`
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
}

#[derive(Serialize)]
struct Asked {
    report: String,
    /// The hospital to carry it to.
    custodian: String,
    /// The reading that hospital will record.
    read: String,
    output: String,
    length: usize,
}

impl Show for Asked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("report", self.report.clone()),
                ("carry it to", self.custodian.clone()),
                ("read record", self.read.clone()),
                ("written", written(self.length, &self.output)),
            ],
        )
    }
}

#[derive(Serialize)]
struct Released {
    output: String,
    length: usize,
}

impl Show for Released {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "the reading is recorded; only its reader opens what was written")?;
        fields(out, &[("written", written(self.length, &self.output))])
    }
}

fn written(length: usize, output: &str) -> String {
    format!("{} to {output}", bytes(length as u64))
}

/// A message from a file, read no further than one byte beyond the most it may have.
pub(super) fn message(path: &Path, most: usize) -> Result<Vec<u8>> {
    let failed = |error: io::Error| failures::file(path, &error);
    let mut found = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut found))
        .map_err(failed)?;
    Ok(found)
}

pub(crate) fn run(context: &Context, command: &SlotCommand) -> Result<()> {
    match command {
        SlotCommand::Ask(args) => ask(context, args),
        SlotCommand::Release(args) => release(context, args),
    }
}

fn ask(context: &Context, args: &AskArgs) -> Result<()> {
    let target = Target::of(&args.to, args.replace.force)?;
    let ledger = context.open_read_only()?;
    let (_, reader) = args.reader.unlock(&ledger)?;
    let report = lookup::report_to_read(&ledger, &args.report)?;
    let access_key = args.key.get()?;
    let ask = ledger.ask_for_slot(&reader, &report, &key(access_key.as_ref()))?;
    target.write(&ask.bytes, Readers::Others)?;
    context.print(&Asked {
        report: report.to_string(),
        custodian: ask.custodian.to_string(),
        read: ask.read.to_string(),
        output: args.to.display().to_string(),
        length: ask.bytes.len(),
    })
}

fn release(context: &Context, args: &ReleaseArgs) -> Result<()> {
    let target = Target::of(&args.to, args.replace.force)?;
    let request = message(&args.file, limit::SLOT_REQUEST_BYTES)?;
    let ledger = context.open()?;
    let (_, hospital) = args.hospital.unlock(&ledger)?;
    let release = ledger.release_slot(&hospital, &request)?;
    target.write(&release, Readers::Others).map_err(|failure| {
        failure
            .doing("the reading is recorded")
            .hint("repeat the command with the same request: it is recorded once")
    })?;
    let released = Released { output: args.to.display().to_string(), length: release.len() };
    let done = Done::new(
        format!("the reading is recorded and the slot is in {}", args.to.display()),
        "carry the file to the reader",
    );
    context.print_done(&released, &done)
}
