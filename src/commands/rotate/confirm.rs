//! `medledger rotate confirm`: the hospital compares old and new content, and confirms what is the same.

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::output::{Column, Done, Show, short, table};
use crate::secret::Acting;
use clap::Args;
use medledger::{Confirmed, RecordId, ReportId};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(super) struct ConfirmArgs {
    #[command(flatten)]
    hospital: Acting,
    /// Mine until the confirmations are in blocks
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Confirmations {
    confirmations: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    report: String,
    /// `same`: confirmed; `differs`: not confirmed; `no_keys`: could not be compared here.
    result: &'static str,
    /// The record that confirms it.
    record: Option<String>,
}

impl From<&(ReportId, Confirmed)> for Row {
    fn from((report, confirmed): &(ReportId, Confirmed)) -> Self {
        let (result, record) = match confirmed {
            Confirmed::Same(record) => ("same", Some(record.to_string())),
            Confirmed::Differs => ("differs", None),
            Confirmed::NoKeys => ("no_keys", None),
        };
        Self { report: report.to_string(), result, record }
    }
}

impl Show for Confirmations {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.confirmations.is_empty() {
            return writeln!(out, "no rotation waits");
        }
        let row = |row: &Row| {
            let result = match row.result {
                "same" => "the same content: confirmed",
                "differs" => "OTHER CONTENT: not confirmed",
                _ => "no keys here to compare with",
            };
            [short(&row.report), row.record.as_ref().map_or_else(String::new, short), result.into()]
        };
        let rows: Vec<_> = self.confirmations.iter().map(row).collect();
        let columns = [Column::Whole("REPORT"), Column::Whole("RECORD"), Column::Whole("RESULT")];
        table(out, columns, &rows)
    }
}

impl Confirmations {
    fn those(&self, result: &str) -> Vec<&str> {
        let fits = self.confirmations.iter().filter(|row| row.result == result);
        fits.map(|row| row.report.as_str()).collect()
    }

    /// What keeps the command from ending well. Other content weighs more than keys that are not here.
    fn failure(&self) -> Option<Failure> {
        let all = self.confirmations.len();
        let told = |reports: &[&str]| match reports {
            [one] => format!("of report {one}"),
            several => format!("of {} reports: {}", several.len(), several.join(", ")),
        };
        let (differ, no_keys) = (self.those("differs"), self.those("no_keys"));
        if !differ.is_empty() {
            let message = format!(
                "{} of {all} rotations hold other content than before and are not confirmed, {}",
                differ.len(),
                told(&differ)
            );
            let hint = "they have no effect, the old keys stay in use: ask the patient, \
                        who may rotate again";
            return Some(Failure::new(Fault::Damaged, "content_differs", message).hint(hint));
        }
        if !no_keys.is_empty() {
            let message = format!(
                "{} of {all} rotations could not be compared: their keys are not kept here, {}",
                no_keys.len(),
                told(&no_keys)
            );
            let hint = "run it where the patient rotated, or let the patient rotate again here";
            return Some(Failure::not_found("no_keys", message).hint(hint));
        }
        None
    }
}

pub(super) fn run(context: &Context, args: &ConfirmArgs) -> Result<()> {
    let ledger = context.open()?;
    let (_, hospital) = args.hospital.unlock(&ledger)?;
    let found = ledger.confirm_rotations(&hospital)?;
    let result = Confirmations { confirmations: found.iter().map(Row::from).collect() };
    let record = |(_, confirmed): &(ReportId, Confirmed)| match confirmed {
        Confirmed::Same(record) => Some(*record),
        _ => None,
    };
    let records: Vec<RecordId> = found.iter().filter_map(record).collect();
    let done = Done::new(
        format!("{} of {} rotations are confirmed", records.len(), found.len()),
        "do not repeat it: `medledger log --kind confirm` lists them",
    );
    let shown = context.all_accepted(&ledger, &result, &done, &records, args.wait);
    match result.failure() {
        Some(failure) => shown.and(Err(failure)),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(found: &[(ReportId, Confirmed)]) -> Option<(u8, String, String)> {
        let confirmations = found.iter().map(Row::from).collect();
        let failure = Confirmations { confirmations }.failure()?;
        let message = failure.message().to_owned();
        Some((failure.exit_code(), failure.code().to_owned(), message))
    }

    #[test]
    fn other_content_is_told_before_all_else_and_by_its_report() {
        let [a, b, c] = [1, 2, 3].map(|n| ReportId::from_bytes([n; 16]));
        let same = (a, Confirmed::Same(RecordId::from_bytes([7; 32])));
        assert_eq!(failure(&[]), None);
        assert_eq!(failure(&[same]), None);
        let (exit, code, message) = failure(&[same, (b, Confirmed::NoKeys)]).unwrap();
        assert_eq!((exit, code.as_str()), (4, "no_keys"));
        assert!(message.starts_with("1 of 2 rotations could not"), "{message}");
        let all = [(b, Confirmed::NoKeys), same, (c, Confirmed::Differs)];
        let (exit, code, message) = failure(&all).unwrap();
        assert_eq!((exit, code.as_str()), (5, "content_differs"));
        assert!(message.contains(&c.to_string()) && !message.contains(&b.to_string()), "{message}");
    }
}
