//! `medledger share`: the patient permits a reader or a group unasked.

use super::grants::{Granted, ReaderArgs, ScopeArgs, reader_key};
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::qr::QrArgs;
use crate::secret::{AccessKeyArgs, Acting, key};
use crate::stdout;
use clap::Args;
use medledger::{Permission, Purpose, Reader, parse_time};

#[derive(Args, Debug)]
pub(crate) struct ShareArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    reader: ReaderArgs,
    #[command(flatten)]
    patient: Acting,
    #[command(flatten)]
    key: AccessKeyArgs,
    /// What for, as in `medledger request`
    #[arg(long, default_value = "PATRQT")]
    purpose: Purpose,
    /// Until when: 30d, 12h, a date, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    until: String,
    /// How many times it may be passed on, each time by the one who received it
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

pub(crate) fn run(context: &Context, args: &ShareArgs) -> Result<()> {
    args.qr.check()?;
    let ledger = context.open()?;
    if !args.to_identity && !args.qr.to_file() {
        stdout::check_for_key(&ledger)?;
    }
    let scope = args.scope.scope(&ledger)?;
    let reader = args.reader.get(&ledger)?;
    let until = parse_time(&args.until, ledger.now())?;
    if args.delegable > 0 && matches!(reader, Reader::Group(_)) {
        let message =
            "what is shared with a group is passed on by nobody: --delegable is for one reader";
        return Err(Failure::usage("delegable", message));
    }
    let permission = Permission::new(scope, reader, args.purpose, until).delegable(args.delegable);
    let (_, patient) = args.patient.unlock(&ledger)?;
    let access_key = args.key.get()?;
    let reader_key = reader_key(args.to_identity);
    let shared = ledger.share(&patient, permission, &key(access_key.as_ref()), reader_key)?;
    let record = shared.record;
    let (written, qr) = args.qr.of(&shared.delivery);
    let granted = Granted::new(&ledger, shared).with_qr(qr);
    context.accepted(&ledger, &granted, &granted.done(), &record, args.wait)?;
    written
}
