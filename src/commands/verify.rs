//! `medledger verify`: this copy, checked from the first block on.

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::failures;
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
    /// Everything was looked at, and is well.
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
    /// What could not be looked at, and why.
    unchecked: Vec<String>,
}

#[derive(Serialize)]
struct Found {
    /// `chain`, `behind`, `state`, `checkpoint`, `row`, `name`, `mining_key`, `audit_log`, `owed`, `missing_block`,
    /// `damaged_block` or `other`.
    what: &'static str,
    message: String,
    /// What to do.
    help: &'static str,
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
            Finding::Row { .. } | Finding::Local { .. } => ("row", None, None),
            Finding::NoLabel { report } => ("name", Some(report), None),
            Finding::NoContact { .. } | Finding::NoName { .. } => ("name", None, None),
            Finding::MiningKey { .. } => ("mining_key", None, None),
            Finding::Audit(_) => ("audit_log", None, None),
            Finding::Owed(_) => ("owed", None, None),
            Finding::Missing { report, cid, .. } => ("missing_block", Some(report), Some(cid)),
            Finding::Damaged { report, cid, .. } => ("damaged_block", Some(report), Some(cid)),
            Finding::NoSlot { report, .. } => ("no_slot", Some(report), None),
            _ => ("other", None, None),
        };
        Self {
            what,
            message: crate::exit::with_sources(finding),
            help: failures::finding(finding),
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
        for finding in &self.findings {
            writeln!(out, "FOUND: {}", finding.message)?;
        }
        // Many things are mended in one way.
        let mut told = Vec::new();
        for finding in &self.findings {
            if !told.contains(&finding.help) {
                writeln!(out, "  help: {}", finding.help)?;
                told.push(finding.help);
            }
        }
        for what in &self.unchecked {
            writeln!(out, "NOT CHECKED: {what}")?;
        }
        match (self.findings.is_empty(), self.unchecked.is_empty()) {
            (true, true) => writeln!(out, "all is as it should be"),
            (true, false) => writeln!(out, "all that could be checked is as it should be"),
            (false, _) => Ok(()),
        }
    }
}

pub(crate) fn run(context: &Context, args: &VerifyArgs) -> Result<()> {
    // Whoever asks for this very command is not told to run it.
    let ledger = context.open_read_only().map_err(|failure| match failure.code() {
        "damaged" => failure.hint(failures::RESTORE),
        _ => failure,
    })?;
    let height = ledger.view()?.tip()?.map_or(0, |tip| tip.height);
    let bar = progress::blocks("checking", height);
    let depth = if args.fast { VerifyDepth::Headers } else { VerifyDepth::Full };
    let report = ledger.verify_with(depth, &mut |height| bar.set_position(height));
    bar.finish_and_clear();
    let report = report?;
    let count = report.findings.len();
    context.print(&Verified {
        ok: count == 0 && report.unchecked.is_empty(),
        blocks: report.blocks,
        records: report.records,
        kept_from: report.kept_from,
        reports: report.reports,
        bytes: report.bytes,
        waiting: ledger.waiting()?,
        findings: report.findings.iter().map(Found::from).collect(),
        unchecked: report.unchecked.iter().map(|what| crate::exit::with_sources(what)).collect(),
    })?;
    if count > 0 {
        let what = if count == 1 {
            "one thing is not as it should be: see the finding".to_owned()
        } else {
            format!("{count} things are not as they should be: see the findings")
        };
        return Err(Failure::new(Fault::Damaged, "verify", what)
            .hint("what helps stands below the findings; docs/backup.md says how to restore"));
    }
    match report.unchecked.first() {
        None => Ok(()),
        Some(what) => Err(failures::unchecked(what)),
    }
}
