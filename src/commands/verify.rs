//! `medledger verify`: this copy, checked from the first block on.

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::output::{Show, bytes, fields};
use crate::progress;
use clap::Args;
use medledger::{Finding, VerifyDepth};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Only headers and roots: replay nothing, and leave out signatures and the stored reports
    #[arg(long)]
    fast: bool,
}

#[derive(Serialize)]
struct Verified {
    ok: bool,
    blocks: u64,
    records: u64,
    /// Height from which on blocks are whole; 0 where nothing was pruned.
    kept_from: u64,
    reports: u64,
    bytes: u64,
    /// Accepted records in no block: nothing of this covers them.
    waiting: u64,
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    /// `chain`, `behind`, `state`, `checkpoint`, `missing_block` or `damaged_block`.
    what: &'static str,
    message: String,
    report: Option<String>,
    cid: Option<String>,
}

impl From<&Finding> for Found {
    fn from(finding: &Finding) -> Self {
        let (what, report, cid) = match finding {
            Finding::Chain(_) => ("chain", None, None),
            Finding::Header(_) | Finding::Root { .. } => ("chain", None, None),
            Finding::Behind { .. } => ("behind", None, None),
            Finding::State { .. } => ("state", None, None),
            Finding::Checkpoint { .. } => ("checkpoint", None, None),
            Finding::Missing { report, cid, .. } => ("missing_block", Some(report), Some(cid)),
            Finding::Damaged { report, cid, .. } => ("damaged_block", Some(report), Some(cid)),
            Finding::NoSlot { report, .. } => ("no_slot", Some(report), None),
            _ => ("other", None, None),
        };
        Self {
            what,
            message: crate::exit::with_sources(finding),
            report: report.map(ToString::to_string),
            cid: cid.map(ToString::to_string),
        }
    }
}

impl Show for Verified {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("blocks in order", self.blocks.to_string()),
                ("records", self.records.to_string()),
                ("reports hashed", format!("{}, {}", self.reports, bytes(self.bytes))),
            ],
        )?;
        if self.kept_from > 1 {
            let last = self.kept_from - 1;
            writeln!(out, "blocks 1 to {last} are pruned: judged by headers and own records only")?;
        }
        match self.waiting {
            0 => {}
            1 => writeln!(out, "one record waits in no block: not part of the chain yet")?,
            n => writeln!(out, "{n} records wait in no block: not part of the chain yet")?,
        }
        if self.ok {
            return writeln!(out, "all is as it should be");
        }
        for finding in &self.findings {
            writeln!(out, "FOUND: {}", finding.message)?;
        }
        Ok(())
    }
}

pub(crate) fn run(context: &Context, args: &VerifyArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let height = ledger.view()?.tip()?.map_or(0, |tip| tip.height);
    let bar = progress::blocks("checking", height);
    let depth = if args.fast { VerifyDepth::Headers } else { VerifyDepth::Full };
    let report = ledger.verify_with(depth, &mut |height| bar.set_position(height));
    bar.finish_and_clear();
    let report = report?;
    let count = report.findings.len();
    context.print(&Verified {
        ok: count == 0,
        blocks: report.blocks,
        records: report.records,
        kept_from: report.kept_from,
        reports: report.reports,
        bytes: report.bytes,
        waiting: ledger.waiting()?,
        findings: report.findings.iter().map(Found::from).collect(),
    })?;
    if count == 0 {
        return Ok(());
    }
    let things = if count == 1 { "one thing is" } else { "things are" };
    let count = if count == 1 { String::new() } else { format!("{count} ") };
    Err(Failure::new(
        Fault::Damaged,
        "verify",
        format!("{count}{things} not as they should be: see the findings"),
    )
    .hint("restore what is damaged from a backup"))
}
