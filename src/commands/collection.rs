//! `medledger collection`: the key to all reports of a patient at a hospital.

use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Done, Show, fields};
use crate::secret::Acting;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionCommand {
    /// As a patient of another hospital: enrol at this one
    Begin(BeginArgs),
    /// Move to the next key: what is uploaded from then on is wrapped to it
    Renew(RenewArgs),
}

#[derive(Args, Debug)]
pub(crate) struct BeginArgs {
    #[command(flatten)]
    patient: Acting,
    /// Mine until the record is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RenewArgs {
    /// The hospital, which must be this one [default: this one]
    hospital: Option<String>,
    #[command(flatten)]
    patient: Acting,
    /// Mine until the record is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Renewed {
    hospital: String,
    patient: String,
    record: String,
}

impl Show for Renewed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("renewed at", self.hospital.clone()), ("record", self.record.clone())])?;
        writeln!(out, "all who hold a live permission on the collection were given the new key")
    }
}

#[derive(Serialize)]
struct Begun {
    hospital: String,
    patient: String,
    record: String,
}

impl Show for Begun {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("enrolled at", self.hospital.clone()), ("record", self.record.clone())])
    }
}

pub(crate) fn run(context: &Context, command: &CollectionCommand) -> Result<()> {
    match command {
        CollectionCommand::Begin(args) => begin(context, args),
        CollectionCommand::Renew(args) => renew(context, args),
    }
}

fn begin(context: &Context, args: &BeginArgs) -> Result<()> {
    let ledger = context.open()?;
    let (member, patient) = args.patient.unlock(&ledger)?;
    let record = ledger.enrol(&patient)?;
    let begun = Begun {
        hospital: ledger.hospital().to_string(),
        patient: member.id.to_string(),
        record: record.to_string(),
    };
    let done = Done::accepted("the enrolment", &record);
    context.accepted(&ledger, &begun, &done, &record, args.wait)
}

fn renew(context: &Context, args: &RenewArgs) -> Result<()> {
    let ledger = context.open()?;
    let hospital = match &args.hospital {
        Some(text) => lookup::member(&ledger, text)?.id,
        None => ledger.hospital(),
    };
    let (member, patient) = args.patient.unlock(&ledger)?;
    let record = ledger.renew_collection(&patient, &hospital)?;
    let renewed = Renewed {
        hospital: hospital.to_string(),
        patient: member.id.to_string(),
        record: record.to_string(),
    };
    let done = Done::accepted("the new key", &record);
    context.accepted(&ledger, &renewed, &done, &record, args.wait)
}
