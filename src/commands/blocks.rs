//! `medledger blocks`: the store of ciphertext, checked, mended, and rid of what nothing keeps.

mod words;

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::output::{Column, Done, Show, bytes, count, fields, table};
use clap::{Args, Subcommand};
use medledger::core::clock::Timestamp;
use medledger::ipfs::check::{Broken, StoreCheck};
use medledger::ipfs::collect::CollectOptions;
use medledger::{RepairSource, UnkeptReport, show_time};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum BlocksCommand {
    /// Hash every block again; say what is damaged, missing or kept by nothing
    Check,
    /// Remove blocks that nothing keeps, such as those of uploads that failed
    Collect(CollectArgs),
    /// Fetch damaged and missing blocks from another store, each verified
    Repair(RepairArgs),
    /// List what is kept, and why
    Pins,
    /// Keep a root with all that lies below it, for a reason of yours, whatever becomes of its report
    Keep(words::WordArgs),
    /// Take such a reason back; what nothing else keeps goes with the next `blocks collect`
    Release(words::WordArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CollectArgs {
    /// Remove nothing, say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Go on although nodes are missing or damaged: what hangs on those alone is removed
    #[arg(long)]
    force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    /// Another ledger's folder, a Kubo repository or a folder of blocks; the URL of a trustless gateway; `kubo` for the
    /// ledger's own node; `sources` for all that `medledger storage sources` lists. Only read
    #[arg(long, value_name = "FOLDER|URL|kubo|sources", value_parser = source)]
    from: RepairSource,
}

fn source(text: &str) -> std::result::Result<RepairSource, std::convert::Infallible> {
    Ok(match text {
        "kubo" => RepairSource::Kubo,
        "sources" => RepairSource::Sources,
        url if url.starts_with("http://") || url.starts_with("https://") => {
            RepairSource::Gateway(url.to_owned())
        }
        folder => RepairSource::Folder(folder.into()),
    })
}

pub(crate) fn run(context: &Context, command: &BlocksCommand) -> Result<()> {
    match command {
        BlocksCommand::Check => check(context),
        BlocksCommand::Collect(args) => collect(context, args),
        BlocksCommand::Repair(args) => repair(context, args),
        BlocksCommand::Pins => pins(context),
        BlocksCommand::Keep(args) => words::keep(context, args),
        BlocksCommand::Release(args) => words::release(context, args),
    }
}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    pins: u64,
    blocks: u64,
    bytes: u64,
    damaged: Vec<BrokenBlock>,
    missing: Vec<BrokenBlock>,
    malformed: Vec<BrokenBlock>,
    unreferenced: u64,
    unreferenced_bytes: u64,
    strays: Vec<String>,
    /// Reports on the ledger of which no root is kept.
    not_kept: Vec<NotKept>,
}

#[derive(Serialize)]
struct NotKept {
    report: String,
    label: Option<String>,
    envelope: String,
    /// Whether its blocks are here all the same.
    here: bool,
}

impl From<&UnkeptReport> for NotKept {
    fn from(unkept: &UnkeptReport) -> Self {
        Self {
            report: unkept.report.to_string(),
            label: unkept.label.clone(),
            envelope: unkept.envelope.to_string(),
            here: unkept.here,
        }
    }
}

#[derive(Serialize)]
struct BrokenBlock {
    cid: String,
    /// A root that is kept and needs it; null for garbage.
    below: Option<String>,
}

impl From<&Broken> for BrokenBlock {
    fn from(broken: &Broken) -> Self {
        Self { cid: broken.cid.to_string(), below: broken.below.map(|root| root.to_string()) }
    }
}

impl Checked {
    fn new(check: &StoreCheck, unkept: &[UnkeptReport]) -> Self {
        Self {
            ok: check.is_healthy() && unkept.is_empty(),
            pins: check.pins,
            blocks: check.blocks,
            bytes: check.bytes,
            damaged: check.damaged.iter().map(Into::into).collect(),
            missing: check.missing.iter().map(Into::into).collect(),
            malformed: check.malformed.iter().map(|(broken, _)| broken.into()).collect(),
            unreferenced: check.unreferenced,
            unreferenced_bytes: check.unreferenced_bytes,
            strays: check.strays.iter().map(|path| path.display().to_string()).collect(),
            not_kept: unkept.iter().map(Into::into).collect(),
        }
    }
}

impl Show for Checked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("roots kept", self.pins.to_string()),
                ("healthy blocks", format!("{}, {}", self.blocks, bytes(self.bytes))),
                (
                    "kept by nothing",
                    format!("{}, {}", self.unreferenced, bytes(self.unreferenced_bytes)),
                ),
                ("reports not kept", self.not_kept.len().to_string()),
            ],
        )?;
        let lists = [
            ("DAMAGED", &self.damaged),
            ("MISSING", &self.missing),
            ("MALFORMED", &self.malformed),
        ];
        for (what, list) in lists {
            for block in list {
                match &block.below {
                    Some(root) => writeln!(out, "{what}: {} below {root}", block.cid)?,
                    None => writeln!(out, "{what}: {} kept by nothing", block.cid)?,
                }
            }
        }
        for unkept in &self.not_kept {
            let label =
                unkept.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
            let how = if unkept.here { "is here, and kept by nothing" } else { "is not here" };
            writeln!(out, "NOT KEPT: report {}{label}: {} {how}", unkept.report, unkept.envelope)?;
        }
        for stray in &self.strays {
            writeln!(out, "not ours: {stray}")?;
        }
        if self.ok { writeln!(out, "all is as it should be") } else { Ok(()) }
    }
}

fn check(context: &Context) -> Result<()> {
    let ledger = context.open_read_only()?;
    let check = ledger.check_blocks()?;
    let unkept = ledger.unkept_reports()?;
    context.print(&Checked::new(&check, &unkept))?;
    if !check.is_healthy() {
        let broken = check.damaged.len() + check.missing.len() + check.malformed.len();
        let are = if broken == 1 { "is" } else { "are" };
        let what = format!(
            "{} {are} not as {} should be",
            count(broken, "block"),
            if broken == 1 { "it" } else { "they" }
        );
        return Err(Failure::new(Fault::Damaged, "blocks", what).hint(
            "`medledger blocks repair --from PLACE` fetches them from another store, a gateway or the node",
        ));
    }
    if unkept.is_empty() {
        return Ok(());
    }
    let are = if unkept.len() == 1 { "is" } else { "are" };
    let what = format!("{} on the ledger {are} not kept here", count(unkept.len(), "report"));
    let hint = if unkept.iter().all(|unkept| unkept.here) {
        "`medledger blocks collect` keeps them again before it removes anything"
    } else {
        "`medledger blocks collect` keeps again what is here; what is not comes back with `medledger import report FILE` \
         or from a backup"
    };
    Err(Failure::new(Fault::Damaged, "not_kept", what).hint(hint))
}

#[derive(Serialize)]
struct CollectedBlocks {
    dry_run: bool,
    removed: u64,
    bytes: u64,
    kept: u64,
    pins: u64,
    released: Vec<String>,
    pinned: Vec<String>,
    /// Nodes that could not be read; only with --force.
    blind: usize,
}

impl Show for CollectedBlocks {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let (would, removed) =
            if self.dry_run { ("would be ", "would be removed") } else { ("", "removed") };
        for root in &self.released {
            writeln!(out, "{would}released: {root}, of an upload that failed")?;
        }
        for report in &self.pinned {
            writeln!(out, "{would}kept again: report {report}")?;
        }
        let blocks = count(self.removed, "block");
        writeln!(out, "{blocks} {removed}, {}; {} kept", bytes(self.bytes), self.kept)
    }
}

fn collect(context: &Context, args: &CollectArgs) -> Result<()> {
    let ledger = context.open()?;
    let options = if args.dry_run { CollectOptions::dry_run() } else { CollectOptions::default() };
    let done = ledger.collect_blocks(if args.force { options.forced() } else { options })?;
    let shown = CollectedBlocks {
        dry_run: args.dry_run,
        removed: done.collected.removed,
        bytes: done.collected.bytes,
        kept: done.collected.kept,
        pins: done.collected.pins,
        released: done.released.iter().map(ToString::to_string).collect(),
        pinned: done.pinned.iter().map(ToString::to_string).collect(),
        blind: done.collected.blind.len(),
    };
    let what = format!("{} removed", count(shown.removed, "block"));
    context.print_done(&shown, &Done::new(what, "only what nothing keeps"))
}

#[derive(Serialize)]
struct RepairedBlocks {
    ok: bool,
    repaired: Vec<String>,
    bytes: u64,
    /// The source does not have them.
    absent: Vec<String>,
    /// The source gave other bytes.
    wrong: Vec<String>,
    /// The source could not be asked.
    failed: Vec<String>,
}

impl Show for RepairedBlocks {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let repaired = count(self.repaired.len(), "block");
        writeln!(out, "{repaired} repaired, {}", bytes(self.bytes))?;
        let lists = [
            ("NOT THERE", &self.absent),
            ("WRONG BYTES THERE", &self.wrong),
            ("NOT READABLE THERE", &self.failed),
        ];
        for (what, list) in lists {
            for cid in list {
                writeln!(out, "{what}: {cid}")?;
            }
        }
        Ok(())
    }
}

fn repair(context: &Context, args: &RepairArgs) -> Result<()> {
    let ledger = context.open()?;
    let source = ledger.repair_source(&args.from).map_err(|error| match &args.from {
        RepairSource::Folder(folder) => Failure::from(error).doing(&folder.display().to_string()),
        _ => error.into(),
    })?;
    let check = ledger.check_blocks()?;
    let done = ledger.repair_blocks(&check, &source)?;
    let texts = |cids: &[medledger::core::Cid]| cids.iter().map(ToString::to_string).collect();
    let shown = RepairedBlocks {
        ok: done.is_complete(),
        repaired: texts(&done.repaired),
        bytes: done.bytes,
        absent: texts(&done.absent),
        wrong: texts(&done.wrong),
        failed: done.failed.iter().map(|(cid, _)| cid.to_string()).collect(),
    };
    let what = format!("{} repaired", count(shown.repaired.len(), "block"));
    context.print_done(&shown, &Done::new(what, "`medledger blocks check` says what is left"))?;
    if shown.ok {
        return Ok(());
    }
    let left = shown.absent.len() + shown.wrong.len() + shown.failed.len();
    Err(Failure::new(Fault::Damaged, "blocks", format!("still broken: {}", count(left, "block")))
        .hint("try another store with --from"))
}

#[derive(Serialize)]
struct Pins {
    pins: Vec<PinRow>,
}

#[derive(Serialize)]
struct PinRow {
    root: String,
    reasons: Vec<ReasonRow>,
}

#[derive(Serialize)]
struct ReasonRow {
    reason: String,
    since: Option<String>,
}

impl Show for Pins {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<[String; 3]> = self
            .pins
            .iter()
            .flat_map(|pin| {
                pin.reasons.iter().map(|row| {
                    let since = row.since.clone().unwrap_or_else(|| "-".into());
                    [pin.root.clone(), row.reason.clone(), since]
                })
            })
            .collect();
        let columns = [Column::Whole("root"), Column::Flexible("kept for"), Column::Whole("since")];
        table(out, columns, &rows)
    }
}

fn pins(context: &Context) -> Result<()> {
    let ledger = context.open_read_only()?;
    let since = |time: &Timestamp| show_time(*time);
    let pins = ledger.pins()?.into_iter().map(|pin| PinRow {
        root: pin.root.to_string(),
        reasons: pin
            .reasons
            .iter()
            .map(|keep| ReasonRow {
                reason: keep.reason.to_string(),
                since: keep.since.as_ref().map(since),
            })
            .collect(),
    });
    context.print(&Pins { pins: pins.collect() })
}
