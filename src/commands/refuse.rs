//! `medledger refuse`: the patient says no.

use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Done, Show, fields};
use crate::secret::Acting;
use clap::Args;
use medledger::core::registry::Kind;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct RefuseArgs {
    /// The request, as `medledger requests` lists it
    request: String,
    #[command(flatten)]
    patient: Acting,
    /// Mine until the refusal is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Refused {
    request: String,
    record: String,
}

impl Show for Refused {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("refused", self.request.clone()), ("record", self.record.clone())])
    }
}

pub(crate) fn run(context: &Context, args: &RefuseArgs) -> Result<()> {
    let ledger = context.open()?;
    let request = lookup::record(&ledger, &args.request, Some(Kind::RequestAccess))?;
    let (_, patient) = args.patient.unlock(&ledger)?;
    let record = ledger.refuse(&patient, &request)?;
    let refused = Refused { request: request.to_string(), record: record.to_string() };
    let done = Done::accepted("the refusal", &record);
    context.accepted(&ledger, &refused, &done, &record, args.wait)
}
