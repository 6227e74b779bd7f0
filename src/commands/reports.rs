//! `medledger reports`: what a member is party to, and who may read it.

use super::grants::{Covers, Who};
use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Column, Show, short, table};
use clap::Args;
use medledger::core::state::GrantStanding;
use medledger::core::store::Standing;
use medledger::{GrantSummary, ReportSummary, show_time};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct ReportsArgs {
    /// Whose reports
    #[arg(long = "as", value_name = "MEMBER")]
    member: String,
}

#[derive(Serialize)]
struct Reports {
    reports: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    report: String,
    label: String,
    patient: String,
    patient_name: String,
    author: String,
    author_name: String,
    envelope: String,
    record: String,
    state: &'static str,
    block: Option<u64>,
    grants: Vec<Granted>,
}

#[derive(Serialize)]
struct Granted {
    grant: String,
    #[serde(flatten)]
    covers: Covers,
    #[serde(flatten)]
    who: Who,
    reader_name: String,
    purpose: &'static str,
    until: String,
    live: bool,
    revoked: bool,
    needs_access_key: bool,
    /// How many times it may be passed on.
    delegable: u8,
    /// The grant that was passed on with it.
    parent: Option<String>,
}

/// What people call how far a record has come, and the height of its block.
pub(super) const fn standing(standing: &Standing) -> (&'static str, Option<u64>) {
    match standing {
        Standing::Accepted { .. } => ("accepted", None),
        Standing::Mined { height, .. } => ("mined", Some(*height)),
        Standing::Refused { .. } => ("refused", None),
    }
}

impl From<ReportSummary> for Listed {
    fn from(report: ReportSummary) -> Self {
        let (state, block) = standing(&report.standing);
        Self {
            report: report.id.to_string(),
            label: report.label,
            patient: report.patient.to_string(),
            patient_name: report.patient_name,
            author: report.author.to_string(),
            author_name: report.author_name,
            envelope: report.envelope.to_string(),
            record: report.record.to_string(),
            state,
            block,
            grants: report.grants.into_iter().map(Granted::from).collect(),
        }
    }
}

impl From<GrantSummary> for Granted {
    fn from(grant: GrantSummary) -> Self {
        Self {
            grant: grant.id.to_string(),
            covers: Covers::from(&grant.entry.scope),
            who: Who::from(&grant.entry.reader),
            reader_name: grant.reader_name,
            purpose: grant.entry.purpose.name(),
            until: show_time(grant.entry.until),
            live: grant.live,
            revoked: grant.standing == GrantStanding::Revoked,
            needs_access_key: grant.entry.token.is_some(),
            delegable: grant.entry.delegate,
            parent: grant.entry.parent.map(|id| id.to_string()),
        }
    }
}

impl Granted {
    const fn state(&self) -> &'static str {
        match (self.live, self.revoked) {
            (true, _) => "live",
            (false, true) => "revoked",
            (false, false) => "expired",
        }
    }
}

impl Show for Reports {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.reports.is_empty() {
            return writeln!(out, "no reports");
        }
        let rows: Vec<_> = self
            .reports
            .iter()
            .map(|report| {
                [
                    short(&report.report),
                    // Where nobody named it, the id stands there already.
                    if report.label == report.report { "-".into() } else { report.label.clone() },
                    report.patient_name.clone(),
                    report.author_name.clone(),
                    report.block.map_or_else(|| report.state.into(), |block| block.to_string()),
                ]
            })
            .collect();
        let columns = [
            Column::Whole("REPORT"),
            Column::Whole("LABEL"),
            Column::Flexible("PATIENT"),
            Column::Flexible("AUTHOR"),
            Column::Whole("BLOCK"),
        ];
        table(out, columns, &rows)?;
        // Each once, however many reports it covers.
        let mut seen = BTreeSet::new();
        let grants: Vec<_> = self
            .reports
            .iter()
            .flat_map(|report| &report.grants)
            .filter(|grant| seen.insert(grant.grant.as_str()))
            .map(|grant| {
                let kind = if grant.who.is_group() { " (group)" } else { "" };
                [
                    short(&grant.grant),
                    grant.covers.briefly(),
                    format!("{}{kind}", grant.reader_name),
                    grant.purpose.to_owned(),
                    grant.until.clone(),
                    grant.state().to_owned(),
                    grant.parent.as_ref().map_or_else(String::new, short),
                ]
            })
            .collect();
        if grants.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        let columns = [
            Column::Whole("GRANT"),
            Column::Whole("COVERS"),
            Column::Flexible("READER"),
            Column::Whole("PURPOSE"),
            Column::Whole("UNTIL"),
            Column::Whole("STATE"),
            Column::Whole("PASSED ON FROM"),
        ];
        table(out, columns, &grants)
    }
}

pub(crate) fn run(context: &Context, args: &ReportsArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let member = lookup::member(&ledger, &args.member)?;
    let reports = ledger.reports(&member.id)?.into_iter().map(Listed::from).collect();
    context.print(&Reports { reports })
}
