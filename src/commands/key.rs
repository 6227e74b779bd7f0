//! `medledger key renew`: a new key in place of one that was lost.

use super::grants::Granted;
use crate::context::{Context, Handover};
use crate::exit::Result;
use crate::lookup;
use crate::output::{Done, Show, fields};
use crate::qr::QrArgs;
use crate::secret::{AccessKeyArgs, Acting, key};
use crate::stdout;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new key in place of a lost one, which opens nothing any more
    Renew(RenewArgs),
}

#[derive(Args, Debug)]
pub(crate) struct RenewArgs {
    /// The patient's own report
    #[arg(required_unless_present = "grant", conflicts_with = "grant")]
    report: Option<String>,
    /// A reader's permission: it is taken back and given anew
    #[arg(long)]
    grant: Option<String>,
    #[command(flatten)]
    patient: Acting,
    #[command(flatten)]
    key: AccessKeyArgs,
    #[command(flatten)]
    qr: QrArgs,
    /// With --grant: mine until the new permission is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Renewed {
    report: String,
    #[serde(flatten)]
    handover: Handover,
    #[serde(skip)]
    name: String,
}

impl Show for Renewed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("report", self.report.clone())])?;
        self.handover.show(out, &self.name)
    }
}

pub(crate) fn run(context: &Context, command: &KeyCommand) -> Result<()> {
    let KeyCommand::Renew(args) = command;
    args.qr.check()?;
    let ledger = context.open()?;
    if !args.qr.to_file() {
        stdout::check_for_key(&ledger)?;
    }
    let (member, patient) = args.patient.unlock(&ledger)?;
    let access_key = args.key.get()?;
    let key = key(access_key.as_ref());
    if let Some(grant) = &args.grant {
        let grant = lookup::grant(&ledger, grant)?;
        let approved = ledger.renew_grant_key(&patient, &grant, &key)?;
        let record = approved.record;
        let (written, qr) = args.qr.of(&approved.delivery);
        let granted = Granted::new(&ledger, approved).with_qr(qr);
        context.accepted(&ledger, &granted, &granted.done(), &record, args.wait)?;
        return written;
    }
    let report = lookup::report(&ledger, args.report.as_deref().unwrap_or_default())?;
    let renewed = ledger.renew_key(&patient, &report, &key)?;
    let (written, qr) = args.qr.of(&renewed.delivery);
    let handover = Handover::from(renewed.delivery).with_qr(qr);
    let lost =
        handover.must_be_shown().then(|| "repeat the command: that makes another key".to_owned());
    let done = Done::new(format!("the key of {report} is renewed"), "the old key opens nothing")
        .with_key(lost);
    let result = Renewed { report: report.to_string(), handover, name: member.contact.name };
    context.print_done(&result, &done)?;
    written
}
