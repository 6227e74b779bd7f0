//! `medledger accesses`: who saw a patient's reports, when and for which purpose.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::lookup;
use crate::output::{Column, Show, table};
use clap::Args;
use medledger::core::store::Standing;
use medledger::{Role, show_time};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct AccessesArgs {
    /// The patient
    #[arg(long = "as", value_name = "MEMBER")]
    patient: String,
    /// Begin after so many of the oldest
    #[arg(long, value_name = "N")]
    offset: Option<usize>,
    /// At most so many: the newest, unless --offset says where to begin; 0 stands for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    limit: usize,
}

#[derive(Serialize)]
struct Accesses {
    /// Accesses there are.
    size: usize,
    accesses: Vec<Access>,
}

#[derive(Serialize)]
struct Access {
    record: String,
    report: String,
    label: String,
    reader: String,
    reader_name: String,
    time: String,
    grant: Option<String>,
    purpose: Option<&'static str>,
    version: u32,
    standing: &'static str,
    height: Option<u64>,
}

impl Show for Accesses {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.accesses.is_empty() {
            return if self.size > 0 {
                writeln!(out, "there are {} accesses", self.size)
            } else {
                writeln!(out, "nobody has read a report of this patient here")
            };
        }
        let rows: Vec<_> = self
            .accesses
            .iter()
            .map(|access| {
                [
                    access.time.clone(),
                    access.reader_name.clone(),
                    access.label.clone(),
                    access.purpose.unwrap_or("own").to_owned(),
                    access.height.map_or(access.standing.to_owned(), |height| height.to_string()),
                ]
            })
            .collect();
        let columns = [
            Column::Whole("TIME"),
            Column::Flexible("WHO"),
            Column::Flexible("REPORT"),
            Column::Whole("PURPOSE"),
            Column::Whole("BLOCK"),
        ];
        table(out, columns, &rows)
    }
}

pub(crate) fn run(context: &Context, args: &AccessesArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let patient = lookup::member(&ledger, &args.patient)?;
    if patient.entry.role != Role::Patient {
        let message = format!(
            "{} is no patient, and has no reports that somebody could read",
            patient.contact.name
        );
        return Err(Failure::usage("no_patient", message));
    }
    let all = ledger.accesses(&patient.id, 0, 0)?;
    let (size, limit) = (all.len(), if args.limit == 0 { usize::MAX } else { args.limit });
    let offset = args.offset.unwrap_or(size.saturating_sub(limit)).min(size);
    let shown = (size - offset).min(limit);
    let accesses = all.into_iter().skip(offset).take(shown).map(|access| {
        let (standing, height) = match access.standing {
            Standing::Accepted { .. } => ("accepted", None),
            Standing::Mined { height, .. } => ("mined", Some(height)),
            Standing::Refused { .. } => ("refused", None),
        };
        Access {
            record: access.record.to_string(),
            report: access.report.to_string(),
            label: access.label,
            reader: access.reader.to_string(),
            reader_name: access.reader_name,
            time: show_time(access.time),
            grant: access.grant.map(|grant| grant.to_string()),
            purpose: access.purpose.map(|purpose| purpose.name()),
            version: access.version,
            standing,
            height,
        }
    });
    context.print(&Accesses { size, accesses: accesses.collect() })?;
    if shown < size && shown > 0 {
        let more =
            format!("{offset} older and {} newer accesses are not shown", size - offset - shown);
        context.note(&format!("{more}: --limit N shows more, --offset N others"));
    }
    Ok(())
}
