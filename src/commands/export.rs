//! `medledger export report` and `export chain`: CAR files, for other machines and for safety.

use super::awaited::Waits;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Show, bytes, fields};
use crate::target::{ForceArg, Readers, Target};
use crate::{lookup, progress};
use clap::{Args, Subcommand};
use medledger::{Exported, Ledger};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write a report's ciphertext; it opens only with a key and a permission
    Report(ReportArgs),
    /// Vote, and write what waits here and all votes, for the other hospitals
    News(NewsArgs),
    /// Write the chain: every block and record, and the newest checkpoint
    Chain(ChainArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// The report
    report: String,
    /// Where the CAR file goes; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
}

#[derive(Args, Debug)]
pub(crate) struct NewsArgs {
    /// Where the file goes; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
}

#[derive(Serialize)]
struct Told {
    chain: String,
    length: u64,
    output: String,
    awaited: Option<Waits>,
}

impl Show for Told {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = vec![("file", format!("{}, {}", self.output, bytes(self.length)))];
        lines.extend(Waits::line(self.awaited.as_ref()));
        fields(out, &lines)
    }
}

/// Votes first, so unlike the other exports it opens the ledger for writing.
fn news(context: &Context, args: &NewsArgs) -> Result<()> {
    if args.output == Path::new("-") {
        check_stdout(context, "news are binary and need standard output for themselves")?;
        let news = context.open()?.export_news()?;
        let mut out = io::stdout().lock();
        let written = out.write_all(&news).and_then(|()| out.flush());
        return written.map_err(|error| Failure::stdout(&error));
    }
    let target = Target::of(&args.output, args.replace.force)?.outside(context.folder())?;
    let ledger = context.open()?;
    let news = ledger.export_news()?;
    target.write(&news, Readers::Owner)?;
    context.print(&Told {
        chain: ledger.chain().to_string(),
        length: news.len() as u64,
        output: args.output.display().to_string(),
        awaited: Waits::of(&ledger)?,
    })
}

#[derive(Args, Debug)]
pub(crate) struct ChainArgs {
    /// Where the CAR file goes; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
    /// Also the ciphertext of every report
    #[arg(long)]
    with_reports: bool,
}

#[derive(Serialize)]
struct Written {
    chain: String,
    /// Roots of the file; the first is the report's envelope, or the newest block's node.
    roots: Vec<String>,
    reports: u64,
    blocks: u64,
    length: u64,
    output: String,
}

impl Show for Written {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("file", format!("{}, {}", self.output, bytes(self.length))),
                ("root", self.roots.first().cloned().unwrap_or_default()),
                ("reports", self.reports.to_string()),
                ("IPFS blocks", self.blocks.to_string()),
            ],
        )
    }
}

pub(crate) fn run(context: &Context, command: &ExportCommand) -> Result<()> {
    let (output, replace) = match command {
        ExportCommand::News(args) => return news(context, args),
        ExportCommand::Report(args) => (&args.output, args.replace),
        ExportCommand::Chain(args) => (&args.output, args.replace),
    };
    let to_stdout = output == Path::new("-");
    if to_stdout {
        check_stdout(context, "a CAR file is binary and needs standard output for itself")?;
        let ledger = context.open_read_only()?;
        return write(&ledger, command, &mut io::stdout().lock()).map(drop);
    }
    let target = Target::of(output, replace.force)?.outside(context.folder())?;
    let ledger = context.open_read_only()?;
    let mut sink = target.create(Readers::Owner)?;
    let exported = write(&ledger, command, &mut sink)?;
    sink.finish().map_err(|error| target.failed(&error))?;
    context.print(&Written {
        chain: ledger.chain().to_string(),
        roots: exported.roots.iter().map(ToString::to_string).collect(),
        reports: exported.reports,
        blocks: exported.blocks,
        length: exported.bytes,
        output: output.display().to_string(),
    })
}

/// Standard output takes a file where nothing else goes there.
fn check_stdout(context: &Context, text: &str) -> Result<()> {
    if context.json() || io::stdout().is_terminal() {
        return Err(Failure::usage("output", text).hint("give --output FILE"));
    }
    Ok(())
}

fn write(ledger: &Ledger, command: &ExportCommand, out: &mut dyn Write) -> Result<Exported> {
    match command {
        ExportCommand::Report(args) => {
            let report = lookup::report(ledger, &args.report)?;
            let bar = progress::bytes("exporting", None);
            let exported = ledger.export_report(&report, bar.wrap_write(out));
            bar.finish_and_clear();
            Ok(exported?)
        }
        // Has its own way above, for it is written at once.
        ExportCommand::News(_) => unreachable!("news are written elsewhere"),
        ExportCommand::Chain(args) => {
            let bar = progress::blocks("exporting", 0);
            let exported = ledger.export_chain(out, args.with_reports, &mut |done, all| {
                bar.set_length(all);
                bar.set_position(done);
            });
            bar.finish_and_clear();
            Ok(exported?)
        }
    }
}
