//! `medledger pickup`: keys that wait are shown once.

use crate::context::{Context, KeyText};
use crate::exit::Result;
use crate::output::{Done, Show};
use crate::qr::QrArgs;
use crate::secret::Acting;
use crate::stdout;
use clap::Args;
use medledger::{OpenReportError, show_time};
use serde::Serialize;
use std::io::{self, Write};
use zeroize::Zeroizing;

#[derive(Args, Debug)]
pub(crate) struct PickupArgs {
    #[command(flatten)]
    owner: Acting,
    #[command(flatten)]
    qr: QrArgs,
}

#[derive(Serialize)]
struct PickedUp {
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    report: Option<String>,
    label: String,
    grant: Option<String>,
    since: String,
    access_key: KeyText,
    #[serde(skip)]
    qr: Option<Zeroizing<String>>,
}

impl Show for PickedUp {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.keys.is_empty() {
            return writeln!(out, "no key waits for you");
        }
        for key in &self.keys {
            writeln!(out, "ACCESS KEY for {}, shown this once and kept nowhere:", key.label)?;
            writeln!(out)?;
            writeln!(out, "    {}", key.access_key.as_str())?;
            writeln!(out)?;
            if let Some(qr) = &key.qr {
                writeln!(out, "{}", qr.as_str())?;
            }
        }
        Ok(())
    }
}

pub(crate) fn run(context: &Context, args: &PickupArgs) -> Result<()> {
    // What cannot be written is known before a key is destroyed.
    args.qr.check()?;
    if !args.qr.to_file() {
        stdout::check()?;
    }
    let ledger = context.open()?;
    let (_, owner) = args.owner.unlock(&ledger)?;
    let picked = ledger.pick_up(&owner)?;
    // Nothing waits for keys that are suspended: none is told to have been picked up.
    if picked.is_empty()
        && let Some(since) = ledger.suspension(&owner.id())?
    {
        return Err(OpenReportError::Suspended(since).into());
    }
    let several = picked.len() > 1;
    let mut written = Ok(());
    let mut keys = Vec::with_capacity(picked.len());
    for (n, one) in picked.iter().enumerate() {
        if written.is_ok() {
            written = args.qr.write(&one.key, several.then_some(n + 1));
        }
        keys.push(Key {
            report: one.report.map(|report| report.to_string()),
            label: one.label.clone(),
            grant: one.grant.map(|grant| grant.to_string()),
            since: show_time(one.since),
            access_key: KeyText::of(&one.key),
            qr: args.qr.terminal(&one.key),
        });
    }
    let lost = "`medledger key renew` makes new keys in place of those that could not be shown";
    let done = Done::new(format!("{} keys were picked up", keys.len()), lost);
    context.print_done(&PickedUp { keys }, &done)?;
    written
}
