//! `medledger audit`: the hospital's log of refused reads and wrong keys, and its digests on the chain.

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::lookup;
use crate::output::{Column, Done, Show, fields, short, table};
use crate::secret::PasswordArgs;
use clap::{Args, Subcommand};
use medledger::show_time;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List its entries
    List(ListArgs),
    /// Put its length and last hash on the chain, signed by the hospital
    Digest(DigestArgs),
    /// Recompute it and compare it with its digests on the chain
    Verify,
    /// Let a member try again who has to wait after wrong keys; the hospital acts, and the log has an entry
    Unlock(UnlockArgs),
}

#[derive(Args, Debug)]
pub(crate) struct UnlockArgs {
    /// Who has to wait
    #[arg(value_name = "MEMBER")]
    whose: String,
    #[command(flatten)]
    hospital: PasswordArgs,
}

#[derive(Serialize)]
struct Unlocked {
    member: String,
    /// Waits there were.
    lifted: usize,
}

impl Show for Unlocked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.lifted {
            0 => writeln!(out, "{} did not have to wait", self.member),
            _ => writeln!(out, "{} may try again at once; what fails counts anew", self.member),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Begin with this entry [default: with the oldest of the newest --limit]
    #[arg(long, value_name = "NUMBER")]
    from: Option<u64>,
    /// At most so many: the newest, unless --from says where to begin
    #[arg(long, default_value_t = 1000, value_name = "N")]
    limit: usize,
}

#[derive(Args, Debug)]
pub(crate) struct DigestArgs {
    #[command(flatten)]
    hospital: PasswordArgs,
    /// Mine until the digest is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Entries {
    /// Entries there are.
    size: u64,
    /// What is wrong with the log, as far as a glance shows.
    broken: Option<String>,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    number: u64,
    time: String,
    event: &'static str,
    /// How many attempts it stands for.
    count: u64,
    member: String,
    report: Option<String>,
    request: Option<String>,
    grant: Option<String>,
}

impl Show for Entries {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<_> = self
            .entries
            .iter()
            .map(|entry| {
                let named =
                    entry.report.as_ref().or(entry.request.as_ref()).or(entry.grant.as_ref());
                [
                    entry.number.to_string(),
                    entry.time.clone(),
                    entry.event.to_owned(),
                    entry.count.to_string(),
                    short(&entry.member),
                    named.map(short).unwrap_or_default(),
                ]
            })
            .collect();
        let columns = [
            Column::Whole("NO"),
            Column::Whole("TIME"),
            Column::Whole("EVENT"),
            Column::Whole("TIMES"),
            Column::Whole("MEMBER"),
            Column::Whole("ON"),
        ];
        table(out, columns, &rows)
    }
}

#[derive(Serialize)]
struct Signed {
    record: String,
}

impl Show for Signed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("digest", self.record.clone())])
    }
}

#[derive(Serialize)]
struct Checked {
    size: u64,
    digests: usize,
    vouched: u64,
    findings: Vec<String>,
}

impl Show for Checked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("entries", self.size.to_string()),
                ("digests", self.digests.to_string()),
                ("vouched for", self.vouched.to_string()),
            ],
        )?;
        self.findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))
    }
}

pub(crate) fn run(context: &Context, command: &AuditCommand) -> Result<()> {
    match command {
        AuditCommand::List(args) => list(context, args),
        AuditCommand::Digest(args) => digest(context, args),
        AuditCommand::Verify => verify(context),
        AuditCommand::Unlock(args) => unlock(context, args),
    }
}

fn list(context: &Context, args: &ListArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let glance = ledger.glance_at_audit()?;
    let newest = glance.size.saturating_sub(u64::try_from(args.limit).unwrap_or(u64::MAX));
    let entries = ledger.audit_log(args.from.unwrap_or(newest), args.limit)?;
    let before = entries.first().map_or(0, |entry| entry.number);
    let after = entries.last().map_or(0, |entry| glance.size.saturating_sub(entry.number + 1));
    let entries = entries.into_iter().map(|entry| Entry {
        number: entry.number,
        time: show_time(entry.time),
        event: entry.event.name(),
        count: entry.count,
        member: entry.member.to_string(),
        report: entry.report.map(|id| id.to_string()),
        request: entry.request.map(|id| id.to_string()),
        grant: entry.grant.map(|id| id.to_string()),
    });
    let broken = glance.broken.map(|finding| finding.to_string());
    let shown = Entries { size: glance.size, broken, entries: entries.collect() };
    context.print(&shown)?;
    if before + after > 0 {
        let more = format!("{before} older and {after} newer entries are not shown");
        context.note(&format!("{more}: --limit N shows more, --from NUMBER others"));
    }
    if let Some(broken) = &shown.broken {
        context.note(&format!(
            "warning: the log is broken: {broken}; `medledger audit verify` says all that is wrong with it"
        ));
    }
    Ok(())
}

fn digest(context: &Context, args: &DigestArgs) -> Result<()> {
    let ledger = context.open()?;
    let hospital = lookup::member(&ledger, &ledger.hospital().to_string())?;
    let hospital = args.hospital.unlock(&ledger, &hospital)?;
    let record = ledger.digest_audit(&hospital)?;
    let signed = Signed { record: record.to_string() };
    context.accepted(&ledger, &signed, &Done::accepted("the digest", &record), &record, args.wait)
}

fn unlock(context: &Context, args: &UnlockArgs) -> Result<()> {
    let ledger = context.open()?;
    let member = lookup::member(&ledger, &args.whose)?;
    let hospital = lookup::member(&ledger, &ledger.hospital().to_string())?;
    let hospital = args.hospital.unlock(&ledger, &hospital)?;
    let lifted = ledger.lift_waits(&hospital, &member.id)?;
    let result = Unlocked { member: member.id.to_string(), lifted };
    context.print_done(
        &result,
        &Done::new("the member may try again", "`medledger audit list` shows it"),
    )
}

fn verify(context: &Context) -> Result<()> {
    let ledger = context.open_read_only()?;
    let report = ledger.verify_audit()?;
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let first = findings.first().cloned();
    let (size, digests, vouched) = (report.size, report.digests, report.vouched);
    context.print(&Checked { size, digests, vouched, findings })?;
    match first {
        None => Ok(()),
        Some(first) => Err(Failure::new(Fault::Damaged, "audit", first)),
    }
}
