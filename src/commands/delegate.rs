//! `medledger delegate`: a reader passes a permission on, where the patient said so.

use super::grants::{Granted, ReaderArgs, reader_key, reports, scope_of};
use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::lookup;
use crate::qr::QrArgs;
use crate::secret::{AccessKeyArgs, Acting, key};
use crate::stdout;
use clap::Args;
use medledger::{ApproveError, Delegation, parse_time};

#[derive(Args, Debug)]
pub(crate) struct DelegateArgs {
    /// The grant that is passed on, as `medledger reports` lists it
    grant: String,
    #[command(flatten)]
    reader: ReaderArgs,
    #[command(flatten)]
    holder: Acting,
    #[command(flatten)]
    key: AccessKeyArgs,
    /// Only these of its reports [default: all it covers]
    #[arg(long = "report", value_name = "REPORT", num_args = 1..)]
    reports: Vec<String>,
    /// An earlier end: 30d, 12h, a date, or a time in RFC 3339 [default: that of the grant]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many times it may be passed on further; fewer than the grant says
    #[arg(long, value_name = "N", default_value_t = 0)]
    delegable: u8,
    /// The reader opens with their identity instead of an access key of their own
    #[arg(long)]
    to_identity: bool,
    #[command(flatten)]
    qr: QrArgs,
    /// Mine until the grant is in a block
    #[arg(long)]
    wait: bool,
}

pub(crate) fn run(context: &Context, args: &DelegateArgs) -> Result<()> {
    args.qr.check()?;
    let ledger = context.open()?;
    if !args.to_identity && !args.qr.to_file() {
        stdout::check_for_key(&ledger)?;
    }
    let grant = lookup::grant(&ledger, &args.grant)?;
    let mut delegation = Delegation::to(args.reader.get(&ledger)?);
    if !args.reports.is_empty() {
        delegation.scope = Some(scope_of(reports(&ledger, &args.reports)?)?);
    }
    delegation.until =
        args.until.as_deref().map(|text| parse_time(text, ledger.now())).transpose()?;
    delegation.delegate = args.delegable;
    delegation.reader_key = reader_key(args.to_identity);
    let (_, holder) = args.holder.unlock(&ledger)?;
    let access_key = args.key.get()?;
    let passed_on = ledger
        .delegate(&holder, &grant, &key(access_key.as_ref()), delegation)
        .map_err(told_to_a_reader)?;
    let record = passed_on.record;
    let (written, qr) = args.qr.of(&passed_on.delivery);
    let granted = Granted::new(&ledger, passed_on).from(&grant).with_qr(qr);
    context.accepted(&ledger, &granted, &granted.done(), &record, args.wait)?;
    written
}

/// What the service says to a patient whose key opens nothing, in the words of a reader.
fn told_to_a_reader(error: ApproveError) -> Failure {
    match error {
        ApproveError::NoAccess => {
            let text =
                "no access: there is no such permission of yours, or the key is not the one for it";
            Failure::new(Fault::Refused, "no_access", text).hint(
                "check the key for typing errors, or use the newest letter; `medledger reports --as READER` lists \
                 your permissions",
            )
        }
        other => other.into(),
    }
}
