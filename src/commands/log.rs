//! `medledger log`: what stands on the ledger: hospital, doctor, date, time, kind, hash, block.

use super::reports::standing;
use super::says::{Said, says};
use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Column, Show, count, short, table};
use clap::Args;
use medledger::core::registry::Kind;
use medledger::core::store::{RecordQuery, Standing};
use medledger::{LogEntry, parse_time, show_time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// Only what concerns this report
    #[arg(long)]
    report: Option<String>,
    /// Only what concerns this patient
    #[arg(long, value_name = "MEMBER")]
    patient: Option<String>,
    /// Only what this member stated
    #[arg(long, value_name = "MEMBER")]
    author: Option<String>,
    /// Only this kind: register, enrol, add-report, request-access, grant,
    /// refuse, revoke, delegate, read, group, rotate, confirm, suspend, succeed, admit, …
    #[arg(long)]
    kind: Option<Kind>,
    /// Only from this time on: 2026-11-22T14:04:45Z or 2026-11-22
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only the newest so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Log {
    /// Records that match.
    size: usize,
    records: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    record: String,
    kind: &'static str,
    time: String,
    hospital_name: String,
    author: String,
    author_name: String,
    patient: Option<String>,
    report: Option<String>,
    label: Option<String>,
    state: &'static str,
    refused_code: Option<u16>,
    refused_reason: Option<String>,
    block: Option<u64>,
    block_id: Option<String>,
    /// What the record says, by the names of its fields.
    says: BTreeMap<&'static str, Said>,
}

impl From<LogEntry> for Entry {
    fn from(entry: LogEntry) -> Self {
        let (state, block) = standing(&entry.standing);
        let refused = match entry.standing {
            Standing::Refused { code } => Some(code),
            _ => None,
        };
        Self {
            record: entry.id.to_string(),
            kind: entry.kind.name(),
            time: show_time(entry.time),
            hospital_name: entry.hospital_name,
            author: entry.author.to_string(),
            author_name: entry.author_name,
            patient: entry.patient.map(|id| id.to_string()),
            report: entry.report.map(|id| id.to_string()),
            label: entry.label,
            state,
            refused_code: refused.map(|code| code.code()),
            refused_reason: refused.map(|code| code.to_string()),
            block,
            block_id: entry.block.map(|id| id.to_string()),
            says: entry.record.as_ref().map(says).unwrap_or_default(),
        }
    }
}

impl Entry {
    /// What it concerns, in a few words; ids by their beginnings.
    fn about(&self) -> String {
        let says = |name| self.says.get(name);
        let id = |name, words: &str| says(name).map(|id| format!("{words}{}", short(id)));
        let several = |name, words: &str| match says(name) {
            Some(Said::Several(all)) => Some(format!("{words}{}", all.len())),
            _ => None,
        };
        let words = match self.kind {
            "grant" | "delegate" => vec![
                id("report", ""),
                several("reports", "reports: "),
                id("collection", "all at "),
                id("reader", "to "),
                id("group", "to group "),
                id("parent", "from grant "),
            ],
            "group" => {
                vec![id("group", ""), several("joined", "joined: "), several("left", "left: ")]
            }
            "register" => vec![id("member", "")],
            "succeed" => vec![id("member", "new keys of ")],
            "suspend" => vec![id("member", "keys of ")],
            "admit" => vec![id("admitted", "admitted "), id("expelled", "expelled ")],
            "enrol" => vec![id("hospital", "at ")],
            "audit-digest" => vec![says("size").map(|size| format!("entries: {size}"))],
            "revoke" => vec![id("grant", "grant ")],
            "confirm" => vec![id("confirms", "record ")],
            _ => vec![self.label.clone()],
        };
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Show for Log {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.records.is_empty() {
            return writeln!(out, "no record");
        }
        let rows: Vec<_> = self
            .records
            .iter()
            .map(|entry| {
                let (date, time) = entry.time.split_once('T').unwrap_or((&entry.time, ""));
                [
                    date.to_owned(),
                    time.trim_end_matches('Z').to_owned(),
                    entry.hospital_name.clone(),
                    entry.author_name.clone(),
                    entry.kind.to_owned(),
                    short(&entry.record),
                    entry.block.map_or_else(|| entry.state.into(), |block| block.to_string()),
                    entry.about(),
                ]
            })
            .collect();
        let columns = [
            Column::Whole("DATE"),
            Column::Whole("TIME UTC"),
            Column::Flexible("HOSPITAL"),
            Column::Flexible("WHO"),
            Column::Whole("WHAT"),
            Column::Whole("RECORD"),
            Column::Whole("BLOCK"),
            Column::Flexible("ABOUT"),
        ];
        table(out, columns, &rows)
    }
}

pub(crate) fn run(context: &Context, args: &LogArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let member = |text: &Option<String>| {
        text.as_deref().map(|text| lookup::member(&ledger, text).map(|m| m.id)).transpose()
    };
    let time = |text: &Option<String>| {
        text.as_deref().map(|text| parse_time(text, ledger.now())).transpose()
    };
    let query = RecordQuery {
        kind: args.kind,
        author: member(&args.author)?,
        patient: member(&args.patient)?,
        report: args.report.as_deref().map(|text| lookup::report(&ledger, text)).transpose()?,
        since: time(&args.since)?,
        until: time(&args.until)?,
        ..RecordQuery::default()
    };
    let mut records: Vec<Entry> = ledger.log(&query)?.into_iter().map(Entry::from).collect();
    let size = records.len();
    if let Some(limit) = args.limit {
        // The store counts from the oldest on; people ask for the newest.
        records.drain(..records.len().saturating_sub(limit));
    }
    let left_out = size - records.len();
    context.print(&Log { size, records })?;
    if left_out > 0 {
        context
            .note(&format!("not shown: {}; --limit N shows more", count(left_out, "older record")));
    }
    Ok(())
}
