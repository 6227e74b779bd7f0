//! `medledger approve`: the patient says yes.

use crate::context::{Context, Handover};
use crate::exit::Result;
use crate::lookup;
use crate::output::{Done, Show, fields};
use crate::qr::QrArgs;
use crate::secret::{AccessKeyArgs, Acting, key};
use clap::Args;
use medledger::core::registry::Kind;
use medledger::{Approved, Ledger, ReaderKey, parse_time, show_time};
use serde::Serialize;
use std::io::{self, Write};
use zeroize::Zeroizing;

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

/// A grant that was given.
#[derive(Serialize)]
pub(super) struct Granted {
    grant: String,
    record: String,
    report: String,
    reader: String,
    purpose: &'static str,
    until: String,
    #[serde(flatten)]
    handover: Handover,
    #[serde(skip)]
    reader_name: String,
}

impl Granted {
    /// Never fails: an access key may be in it that nothing else holds.
    pub(super) fn new(ledger: &Ledger, approved: Approved) -> Self {
        let Approved { grant, record, permission, delivery } = approved;
        let reader = permission.reader.to_string();
        let name = lookup::member(ledger, &reader).map(|member| member.contact.name);
        Self {
            grant: grant.to_string(),
            record: record.to_string(),
            report: permission.report.to_string(),
            purpose: permission.purpose.name(),
            until: show_time(permission.until),
            handover: delivery.into(),
            reader_name: name.unwrap_or_else(|_| reader.clone()),
            reader,
        }
    }

    pub(super) fn with_qr(mut self, qr: Option<Zeroizing<String>>) -> Self {
        self.handover = self.handover.with_qr(qr);
        self
    }

    /// What is done, should it be impossible to print.
    pub(super) fn done(&self) -> Done {
        let lost = self.handover.must_be_shown().then(|| {
            let (grant, report, reader) = (&self.grant, &self.report, &self.reader);
            format!(
                "take it back, `medledger revoke {grant}`, and permit it again, \
                 `medledger share {report} --with {reader}`: that makes a new key"
            )
        });
        Done::accepted("the grant", &self.grant).with_key(lost)
    }
}

impl Show for Granted {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("grant", self.grant.clone()),
                ("report", self.report.clone()),
                ("reader", format!("{}  {}", self.reader, self.reader_name)),
                ("purpose", self.purpose.to_owned()),
                ("until", self.until.clone()),
                ("record", self.record.clone()),
            ],
        )?;
        self.handover.show(out, &self.reader_name)
    }
}

pub(super) const fn reader_key(to_identity: bool) -> ReaderKey {
    if to_identity { ReaderKey::Identity } else { ReaderKey::Access }
}

pub(crate) fn run(context: &Context, args: &ApproveArgs) -> Result<()> {
    args.qr.check()?;
    let ledger = context.open()?;
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
