//! `medledger revoke`: the patient takes a permission back.

use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Done, Show, fields};
use crate::secret::Acting;
use clap::Args;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct RevokeArgs {
    /// The grant, as `medledger reports` lists it
    grant: String,
    #[command(flatten)]
    patient: Acting,
    /// Mine until the revocation is in a block; here it counts at once
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Revoked {
    grant: String,
    record: String,
}

impl Show for Revoked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("revoked", self.grant.clone()), ("record", self.record.clone())])?;
        writeln!(out, "nothing new opens under it here; what was read cannot be recalled")
    }
}

pub(crate) fn run(context: &Context, args: &RevokeArgs) -> Result<()> {
    let ledger = context.open()?;
    let grant = lookup::grant(&ledger, &args.grant)?;
    let (_, patient) = args.patient.unlock(&ledger)?;
    let record = ledger.revoke(&patient, &grant)?;
    let revoked = Revoked { grant: grant.to_string(), record: record.to_string() };
    let done = Done::accepted("the revocation", &record);
    context.accepted(&ledger, &revoked, &done, &record, args.wait)
}
