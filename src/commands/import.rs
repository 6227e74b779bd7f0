//! `medledger import report` and `import chain`: CAR files, verified to the last bit.

use super::awaited::Waits;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Done, Show, bytes, count, fields};
use crate::{failures, interrupt, progress};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use medledger::core::registry::limit;
use medledger::{ChainId, ImportStep, ImportedChain, ImportedReports, Ledger};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Bring back a report's missing or damaged blocks
    Report(ReportArgs),
    /// Add the blocks that go on from this ledger's newest one
    Chain(ChainArgs),
    /// Take another hospital's waiting records and votes, each judged on its own; then vote
    News(NewsArgs),
    /// Make a ledger that follows a chain and takes no records of its own
    Follow(FollowArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// The CAR file; - is standard input
    file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ChainArgs {
    /// The CAR file; - is standard input
    file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct NewsArgs {
    /// The file that `export news` wrote; - is standard input
    file: PathBuf,
}

#[derive(Serialize)]
struct Heard {
    records: u64,
    refused: u64,
    votes: u64,
    ignored: u64,
    votes_cast: u64,
    cosigned: bool,
    finalized: u64,
    awaited: Option<Waits>,
}

impl Show for Heard {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let cosigned = if self.cosigned { ", and a checkpoint cosigned" } else { "" };
        let mut lines = vec![
            ("records taken in", format!("{}, refused {}", self.records, self.refused)),
            ("votes counted", format!("{}, ignored {}", self.votes, self.ignored)),
            ("own votes", format!("{}{cosigned}", self.votes_cast)),
            ("final", count(self.finalized, "block")),
        ];
        lines.extend(Waits::line(self.awaited.as_ref()));
        fields(out, &lines)
    }
}

#[derive(Args, Debug)]
pub(crate) struct FollowArgs {
    /// The CAR file; - is standard input
    file: PathBuf,
    /// The chain's id, from someone you trust
    #[arg(long, value_name = "ID")]
    chain: ChainId,
}

#[derive(Serialize)]
struct Healed {
    reports: Vec<String>,
    blocks: u64,
    length: u64,
}

impl From<ImportedReports> for Healed {
    fn from(imported: ImportedReports) -> Self {
        Self {
            reports: imported.reports.iter().map(ToString::to_string).collect(),
            blocks: imported.blocks,
            length: imported.bytes,
        }
    }
}

impl Show for Healed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("whole here", self.reports.join("\n")),
                ("IPFS blocks", format!("{}, {}", self.blocks, bytes(self.length))),
            ],
        )
    }
}

#[derive(Serialize)]
struct Taken {
    chain: String,
    height: u64,
    head: String,
    added: u64,
    removed: u64,
    records: u64,
    finalized: u64,
    reports: u64,
}

impl From<ImportedChain> for Taken {
    fn from(imported: ImportedChain) -> Self {
        Self {
            chain: imported.chain.to_string(),
            height: imported.height,
            head: imported.head.to_string(),
            added: imported.added,
            removed: imported.removed,
            records: imported.records,
            finalized: imported.finalized,
            reports: imported.reports,
        }
    }
}

impl Show for Taken {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("chain", self.chain.clone()),
                ("newest block", format!("{}  {}", self.height, self.head)),
                ("blocks added", format!("{}, with {}", self.added, count(self.records, "record"))),
                ("blocks taken off", self.removed.to_string()),
                ("final", count(self.finalized, "block")),
                ("reports", self.reports.to_string()),
            ],
        )
    }
}

pub(crate) fn run(context: &Context, command: &ImportCommand) -> Result<()> {
    match command {
        ImportCommand::Report(args) => {
            let input = open(&args.file)?;
            let ledger = context.open()?;
            let imported = shown(|step| ledger.import_report(input, step))
                .map_err(|error| about(&args.file, error))?;
            let done = Done::new("the blocks are here", "`medledger verify` counts them");
            context.print_done(&Healed::from(imported), &done)
        }
        ImportCommand::Chain(args) => {
            let input = open(&args.file)?;
            let ledger = context.open_to_reconcile()?;
            let imported = shown(|step| ledger.import_chain(input, step))
                .map_err(|error| about(&args.file, error))?;
            taken(context, imported)
        }
        ImportCommand::News(args) => {
            let bytes = super::hospital::read_bounded(&args.file, limit::NEWS_BYTES)?;
            let ledger = context.open()?;
            let taken = ledger.import_news(&bytes).map_err(|error| about(&args.file, error))?;
            let done = Done::new("the news are taken in", "`medledger status` shows what waits");
            let heard = Heard {
                records: taken.records,
                refused: taken.refused,
                votes: taken.votes,
                ignored: taken.ignored,
                votes_cast: taken.voted.votes,
                cosigned: taken.voted.cosigned,
                finalized: taken.voted.finalized,
                awaited: Waits::of(&ledger)?,
            };
            context.print_done(&heard, &done)
        }
        ImportCommand::Follow(args) => {
            let input = open(&args.file)?;
            interrupt::writes();
            let follow = |step: &mut dyn FnMut(ImportStep)| {
                Ledger::follow(context.folder(), &args.chain, input, step)
            };
            let (_, imported) = shown(follow).map_err(|error| about(&args.file, error))?;
            taken(context, imported)
        }
    }
}

/// A failure to take in a file, with the file where it is about that.
pub(crate) fn about(file: &Path, error: impl Into<Failure>) -> Failure {
    const ABOUT_THE_FILE: [&str; 11] = [
        "not_a_chain",
        "not_a_car",
        "car",
        "cid",
        "genesis",
        "not_news",
        "news",
        "not_a_checkpoint",
        "checkpoint",
        "other_chain",
        "update_needed",
    ];
    let failure = error.into();
    if ABOUT_THE_FILE.contains(&failure.code()) {
        failure.doing(&file.display().to_string())
    } else {
        failure
    }
}

pub(crate) fn taken(context: &Context, imported: ImportedChain) -> Result<()> {
    let done = Done::new("the chain is here", "`medledger status` shows it");
    context.print_done(&Taken::from(imported), &done)
}

pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| failures::file(path, &error))?;
    Ok(Box::new(file))
}

/// Shows bytes while the file is read, blocks while they are judged.
pub(crate) fn shown<T, E>(
    work: impl FnOnce(&mut dyn FnMut(ImportStep)) -> Result<T, E>,
) -> Result<T, E> {
    let mut bar: Option<(bool, ProgressBar)> = None;
    let mut show = |judging: bool, at: u64, of: u64| {
        if bar.as_ref().is_none_or(|(before, _)| *before != judging) {
            if let Some((_, old)) = bar.take() {
                old.finish_and_clear();
            }
            let new = if judging {
                progress::blocks("judging", of)
            } else {
                progress::bytes("reading", None)
            };
            bar = Some((judging, new));
        }
        if let Some((_, bar)) = &bar {
            bar.set_position(at);
        }
    };
    let result = work(&mut |step| match step {
        ImportStep::Read { bytes } => show(false, bytes, 0),
        ImportStep::Block { height, of } => show(true, height, of),
        _ => {}
    });
    if let Some((_, bar)) = bar {
        bar.finish_and_clear();
    }
    result
}
