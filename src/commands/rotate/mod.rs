//! `medledger rotate`: reports are sealed anew, for those who may still read; the hospital confirms.

mod confirm;

use super::grants::ScopeArgs;
use crate::context::{Context, Handover};
use crate::exit::{Failure, Fault, Result};
use crate::output::{self, Column, Done, Show, bytes, short, table};
use crate::secret::{AccessKeyArgs, Acting, PasswordArgs, key};
use crate::{interrupt, lookup};
use clap::{Args, Subcommand};
use medledger::core::record::{ReportList, Scope};
use medledger::{Identity, Key, Ledger, MemberId, RecordId, ReportId, RotateOutcomes, Rotated};
use serde::{Serialize, Serializer};
use std::io::{self, Write};
use std::ops::ControlFlow;

/// What Ctrl-C says: reports are marked before they are rotated.
const INTERRUPTED: &str = "interrupted: what was accepted is kept and waits; \
    `medledger rotate --marked` goes on with the rest";

#[derive(Args, Debug)]
#[command(subcommand_negates_reqs = true, after_help = AFTER)]
pub(crate) struct RotateArgs {
    #[command(subcommand)]
    command: Option<RotateCommand>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// What was marked to be rotated later, or is left of what was interrupted
    #[arg(long, conflicts_with_all = ["reports", "collection", "later"])]
    marked: bool,
    /// The patient: registration number, member id, or the beginning of one
    #[arg(long = "as", value_name = "MEMBER", required = true)]
    patient: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    key: AccessKeyArgs,
    /// Rotate at most so many now
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only mark them: `medledger rotate --marked` rotates them
    #[arg(long, conflicts_with = "limit")]
    later: bool,
    /// Mine until the records are in blocks
    #[arg(long)]
    wait: bool,
}

const AFTER: &str = "\
With --collection everything of the patient's that is marked is rotated, all reports at the hospital
among it. Until the hospital confirms, the old keys stay in use. Who read before keeps what they
copied; nothing that is released after the confirmation opens with the old keys.";

#[derive(Debug, Subcommand)]
enum RotateCommand {
    /// As the hospital: compare old and new content, confirm what is the same
    Confirm(confirm::ConfirmArgs),
    /// As the patient: take back marks of reports that were to be rotated later
    Unmark(UnmarkArgs),
}

#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
struct UnmarkArgs {
    /// The reports
    #[arg(value_name = "REPORT", group = "which")]
    reports: Vec<String>,
    /// All that are marked
    #[arg(long, group = "which")]
    all: bool,
    #[command(flatten)]
    patient: Acting,
}

/// What became of the reports that were to be rotated.
#[derive(Serialize)]
pub(super) struct Rotations {
    pub(super) rotations: Vec<Row>,
    /// Reports of this patient that are still marked.
    pub(super) marked: usize,
    #[serde(skip)]
    patient: String,
}

/// What became of one report.
#[derive(Serialize)]
pub(super) struct Row {
    report: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Accepted {
        record: String,
        epoch: u32,
        length: u64,
        /// Grants whose readers were given the new key.
        readers: usize,
        #[serde(flatten)]
        handover: Handover,
    },
    Failed {
        error: Told,
    },
}

struct Told(Failure);

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        output::failure_json(&self.0).serialize(serializer)
    }
}

impl Row {
    fn accepted(rotated: Rotated) -> Self {
        let Rotated { report, record, epoch, length, readers, delivery } = rotated;
        let handover = delivery.into();
        let record = record.to_string();
        let outcome = Outcome::Accepted { record, epoch, length, readers, handover };
        Self { report: report.to_string(), outcome }
    }

    fn failed(report: &ReportId, failure: Failure) -> Self {
        let error = Told(failure.doing(&format!("report {report}")));
        Self { report: report.to_string(), outcome: Outcome::Failed { error } }
    }

    fn key(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Accepted { handover, .. } => handover.key(),
            Outcome::Failed { .. } => None,
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Accepted { .. } => None,
            Outcome::Failed { error: Told(failure) } => Some(failure),
        }
    }
}

impl Rotations {
    /// The failure of the command, if a report was not rotated.
    pub(super) fn failure(&self, json: bool) -> Option<Failure> {
        let mut failures = self.rotations.iter().filter_map(Row::failure);
        let first = failures.next()?;
        let failed = 1 + failures.count();
        let mut message = format!("not rotated: {failed} of {} reports", self.rotations.len());
        if json {
            message.push_str(&format!("; the first is {}", first.message()));
        }
        let failure = Failure::new(first.fault(), first.code().to_owned(), message);
        Some(match self.marked {
            0 => failure.hint("they keep their keys"),
            _ => failure.hint(
                "they keep their keys; `medledger rotate --marked` goes on with those that are marked",
            ),
        })
    }

    fn must_be_shown(&self) -> bool {
        self.rotations.iter().any(|row| row.key().is_some())
    }

    /// What is done, should it be impossible to print.
    pub(super) fn done(&self) -> Done {
        let accepted = self.rotations.iter().filter(|row| row.failure().is_none()).count();
        let lost = "the patient opens with their identity, or rotates again for a new key";
        Done::new(
            format!("{accepted} of {} rotations are accepted", self.rotations.len()),
            "do not repeat it: `medledger log` lists them",
        )
        .with_keys(self.must_be_shown().then(|| lost.to_owned()))
    }
}

impl Show for Rotations {
    /// Those that were accepted; why the others were not goes to standard error.
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let row = |row: &Row| match &row.outcome {
            Outcome::Failed { .. } => None,
            Outcome::Accepted { record, epoch, length, readers, .. } => Some([
                short(&row.report),
                epoch.to_string(),
                readers.to_string(),
                short(record),
                bytes(*length),
            ]),
        };
        let rows: Vec<_> = self.rotations.iter().filter_map(row).collect();
        if rows.is_empty() {
            writeln!(out, "nothing was rotated")?;
        } else {
            let columns = [
                Column::Whole("REPORT"),
                Column::Whole("EPOCH"),
                Column::Whole("READERS"),
                Column::Whole("RECORD"),
                Column::Flexible("LENGTH"),
            ];
            table(out, columns, &rows)?;
            writeln!(out, "the old keys stay in use until the hospital confirms")?;
        }
        if self.marked > 0 {
            writeln!(out, "still marked: {}", self.marked)?;
        }
        let mut keys = self.rotations.iter().filter_map(|row| Some((row.key()?, row))).peekable();
        if keys.peek().is_some() {
            writeln!(out)?;
            writeln!(
                out,
                "NEW ACCESS KEYS for {}, shown this once and kept nowhere:",
                self.patient
            )?;
            writeln!(out)?;
            for (key, row) in keys {
                writeln!(out, "    {key}  {}", short(&row.report))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Marked {
    /// Reports marked now that were not before.
    marked_now: usize,
    /// Reports of this patient that are marked.
    marked: usize,
}

impl Show for Marked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "marked to be rotated: {}, in all {}", self.marked_now, self.marked)
    }
}

#[derive(Serialize)]
struct Unmarked {
    /// Marks that were taken back.
    unmarked: usize,
    /// Reports of this patient that are marked.
    marked: usize,
}

impl Show for Unmarked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "marks taken back: {}, still marked: {}", self.unmarked, self.marked)
    }
}

fn unmark(context: &Context, args: &UnmarkArgs) -> Result<()> {
    let ledger = context.open()?;
    let reports = super::grants::reports(&ledger, &args.reports)?;
    let (member, patient) = args.patient.unlock(&ledger)?;
    let named = (!args.all).then_some(&reports[..]);
    let unmarked = ledger.unmark_for_rotation(&patient, named)?;
    let result = Unmarked { unmarked, marked: marked(&ledger, &member.id)?.len() };
    context
        .print_done(&result, &Done::new("the marks are taken back", "the reports keep their keys"))
}

/// Marks reports to be rotated; returns how many were not marked before.
pub(super) fn mark(ledger: &Ledger, patient: &Identity, scopes: &[Scope]) -> Result<usize> {
    let mut marked = 0;
    for scope in scopes {
        marked += ledger.mark_for_rotation(patient, scope)?;
    }
    Ok(marked)
}

/// Scopes that together name these reports.
fn scopes(reports: &[ReportId]) -> Result<Vec<Scope>> {
    let most = medledger::core::registry::limit::GRANT_REPORTS;
    let scope = |chunk: &[ReportId]| match chunk {
        [one] => Ok(Scope::Report(*one)),
        several => ReportList::new(several.to_vec())
            .map(Scope::Reports)
            .map_err(|error| Failure::usage("reports", error.to_string())),
    };
    reports.chunks(most).map(scope).collect()
}

/// Rotates reports, many together. One that fails keeps its key and its mark, and no other back, unless it is the
/// machine that fails.
pub(super) fn rotate(
    context: &Context,
    ledger: &Ledger,
    (patient, name): (&Identity, &str),
    reports: &[ReportId],
    key: &Key<'_>,
) -> Result<(Rotations, Vec<RecordId>)> {
    interrupt::says(INTERRUPTED);
    let mut done = Rotations { rotations: Vec::new(), marked: 0, patient: name.to_owned() };
    let mut records = Vec::new();
    let mut shown = Ok(());
    let mut ended = |group: RotateOutcomes| {
        let (mut stop, mut has_key) = (false, false);
        for (report, outcome) in group {
            match outcome {
                Ok(rotated) => {
                    records.push(rotated.record);
                    let row = Row::accepted(rotated);
                    has_key |= row.key().is_some();
                    done.rotations.push(row);
                }
                Err(error) => {
                    let failure = Failure::from(error);
                    stop |= failure.fault() == Fault::Environment;
                    done.rotations.push(Row::failed(&report, failure));
                }
            }
        }
        if has_key {
            // Keys that are accepted are not lost, should the others never be.
            match output::text_in_two(context.json(), &done, "blocks") {
                Ok(text) => interrupt::say_when_interrupted(text),
                Err(error) => (shown, stop) = (Err(error), true),
            }
        }
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match key {
        Key::Identity => ledger.rotate_many(patient, reports, &mut ended),
        // An access key opens one report.
        _ => {
            for report in reports {
                if ended(vec![(*report, ledger.rotate(patient, report, key))]).is_break() {
                    break;
                }
            }
        }
    }
    shown?;
    done.marked = marked(ledger, &patient.id())?.len();
    if !context.json() {
        let failures = done.rotations.iter().filter_map(Row::failure);
        failures.for_each(|failure| output::print_failure(failure, false));
    }
    Ok((done, records))
}

fn marked(ledger: &Ledger, patient: &MemberId) -> Result<Vec<ReportId>> {
    Ok(ledger.marked_for_rotation(patient)?)
}

pub(crate) fn run(context: &Context, args: &RotateArgs) -> Result<()> {
    match &args.command {
        Some(RotateCommand::Confirm(args)) => return confirm::run(context, args),
        Some(RotateCommand::Unmark(args)) => return unmark(context, args),
        None => {}
    }
    if args.scope.is_empty() && !args.marked {
        return Err(Failure::usage("arguments", "no report is named")
            .hint("name one or more, or give --collection or --marked"));
    }
    let ledger = context.open()?;
    let named = args.scope.reports(&ledger)?;
    let scopes = match args.scope.is_collection() {
        true => vec![args.scope.scope(&ledger)?],
        false => scopes(&named)?,
    };
    let member = lookup::member(&ledger, args.patient.as_deref().unwrap_or_default())?;
    let patient = args.password.unlock(&ledger, &member)?;
    let access_key = args.key.get()?;
    if access_key.is_some() && (named.len() != 1 || args.later) {
        let text = "an access key opens one report: several are rotated with the identity";
        return Err(Failure::usage("arguments", text));
    }
    // With an access key nothing could go on later: it is not kept.
    let marked_now = match access_key {
        Some(_) => 0,
        None => mark(&ledger, &patient, &scopes)?,
    };
    if args.later {
        let result = Marked { marked_now, marked: marked(&ledger, &member.id)?.len() };
        let done = Done::new("the reports are marked", "`medledger rotate --marked` rotates them");
        return context.print_done(&result, &done);
    }
    let mut reports = match named.is_empty() {
        true => marked(&ledger, &member.id)?,
        false => named,
    };
    reports.truncate(args.limit.unwrap_or(usize::MAX));
    let who = (&patient, member.contact.name.as_str());
    let (result, records) = rotate(context, &ledger, who, &reports, &key(access_key.as_ref()))?;
    let shown = context.all_accepted(&ledger, &result, &result.done(), &records, args.wait);
    match result.failure(context.json()) {
        Some(failure) => shown.and(Err(failure)),
        None => shown,
    }
}
