//! `medledger requests`: what waits for a patient's answer.

use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Column, Show, short, table};
use clap::Args;
use medledger::{Role, show_time};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct RequestsArgs {
    /// The patient
    #[arg(long = "as", value_name = "MEMBER")]
    patient: String,
}

#[derive(Serialize)]
struct Requests {
    requests: Vec<Waiting>,
    /// Name and role of somebody whom nobody can ask.
    #[serde(skip)]
    no_patient: Option<(String, &'static str)>,
}

#[derive(Serialize)]
struct Waiting {
    request: String,
    report: String,
    label: String,
    reader: String,
    reader_name: String,
    purpose: &'static str,
    until: String,
}

impl Show for Requests {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some((name, role)) = &self.no_patient {
            return writeln!(out, "no request waits: only patients are asked, {name} is a {role}");
        }
        if self.requests.is_empty() {
            return writeln!(out, "no request waits");
        }
        let rows: Vec<_> = self
            .requests
            .iter()
            .map(|request| {
                [
                    short(&request.request),
                    request.reader_name.clone(),
                    request.label.clone(),
                    request.purpose.to_owned(),
                    request.until.clone(),
                ]
            })
            .collect();
        let columns = [
            Column::Whole("REQUEST"),
            Column::Flexible("WHO ASKS"),
            Column::Flexible("REPORT"),
            Column::Whole("PURPOSE"),
            Column::Whole("UNTIL"),
        ];
        table(out, columns, &rows)
    }
}

pub(crate) fn run(context: &Context, args: &RequestsArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let patient = lookup::member(&ledger, &args.patient)?;
    let requests = ledger.requests(&patient.id)?.into_iter().map(|request| Waiting {
        request: request.id.to_string(),
        report: request.entry.report.to_string(),
        label: request.label,
        reader: request.entry.reader.to_string(),
        reader_name: request.reader_name,
        purpose: request.entry.purpose.name(),
        until: show_time(request.entry.until),
    });
    let requests: Vec<_> = requests.collect();
    let no_patient = (patient.entry.role != Role::Patient && requests.is_empty())
        .then(|| (patient.contact.name, patient.entry.role.name()));
    context.print(&Requests { requests, no_patient })
}
