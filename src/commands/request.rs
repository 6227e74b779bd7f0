//! `medledger request`: a reader asks.

use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Done, Show, fields};
use crate::secret::Acting;
use clap::Args;
use medledger::{Purpose, parse_time, show_time};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct RequestArgs {
    /// The report
    report: String,
    #[command(flatten)]
    reader: Acting,
    /// What for: TREAT, ETREAT, BTG, CAREMGT, COC, HPAYMT, HOPERAT, HRESCH, PUBHLTH, PATRQT,
    /// FAMRQT or HLEGAL (HL7 v3 PurposeOfUse)
    #[arg(long)]
    purpose: Purpose,
    /// Until when: 30d, 12h, a date, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Mine until the request is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Requested {
    request: String,
    report: String,
    purpose: &'static str,
    until: String,
}

impl Show for Requested {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("request", self.request.clone()),
                ("report", self.report.clone()),
                ("purpose", self.purpose.to_owned()),
                ("until", self.until.clone()),
            ],
        )
    }
}

pub(crate) fn run(context: &Context, args: &RequestArgs) -> Result<()> {
    let ledger = context.open()?;
    let until = parse_time(&args.until, ledger.now())?;
    let report = lookup::report(&ledger, &args.report)?;
    let (_, reader) = args.reader.unlock(&ledger)?;
    let request = ledger.request(&reader, &report, args.purpose, until)?;
    let requested = Requested {
        request: request.to_string(),
        report: report.to_string(),
        purpose: args.purpose.name(),
        until: show_time(until),
    };
    let done = Done::accepted("the request", &request);
    context.accepted(&ledger, &requested, &done, &request, args.wait)
}
