//! `medledger approve`: the patient says yes.

use super::grants::{Granted, reader_key};
use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::qr::QrArgs;
use crate::secret::{AccessKeyArgs, Acting, key};
use crate::stdout;
use clap::Args;
use medledger::core::registry::Kind;
use medledger::parse_time;

#[derive(Args, Debug)]
pub(crate) struct ApproveArgs {
    /// The request, as `medledger requests` lists it
    request: String,
    #[command(flatten)]
    patient: Acting,
    #[command(flatten)]
    key: AccessKeyArgs,
    /// Until when, instead of what was asked: 30d, 12h, a date, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The reader opens with their identity instead of an access key of their own
    #[arg(long)]
    to_identity: bool,
    #[command(flatten)]
    qr: QrArgs,
    /// Mine until the grant is in a block
    #[arg(long)]
    wait: bool,
}

pub(crate) fn run(context: &Context, args: &ApproveArgs) -> Result<()> {
    args.qr.check()?;
    let ledger = context.open()?;
    if !args.to_identity && !args.qr.to_file() {
        stdout::check_for_key(&ledger)?;
    }
    let until = args.until.as_deref().map(|text| parse_time(text, ledger.now())).transpose()?;
    let request = lookup::record(&ledger, &args.request, Some(Kind::RequestAccess))?;
    let (_, patient) = args.patient.unlock(&ledger)?;
    let access_key = args.key.get()?;
    let reader_key = reader_key(args.to_identity);
    let approved =
        ledger.approve_with(&patient, &request, &key(access_key.as_ref()), reader_key, until)?;
    let record = approved.record;
    let (written, qr) = args.qr.of(&approved.delivery);
    let granted = Granted::new(&ledger, approved).with_qr(qr);
    context.accepted(&ledger, &granted, &granted.done(), &record, args.wait)?;
    written
}
