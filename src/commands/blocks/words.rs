//! `medledger blocks keep` and `release`: what people keep for reasons of their own.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Done, Show, fields};
use clap::Args;
use medledger::BlocksError;
use medledger::core::Cid;
use medledger::ipfs::store::{ReasonError, StoreError, Word};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct WordArgs {
    /// The CID of the root, as `blocks pins` lists them
    root: Cid,
    /// The reason, one line of up to 100 bytes: several people may keep the same, each for a reason
    #[arg(long = "for", value_name = "REASON", value_parser = word)]
    why: Word,
}

fn word(text: &str) -> std::result::Result<Word, ReasonError> {
    Word::new(text)
}

#[derive(Serialize)]
struct Kept<'a> {
    root: String,
    reason: &'a str,
    kept: bool,
}

impl Show for Kept<'_> {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let label = if self.kept { "kept for" } else { "no longer kept for" };
        fields(out, &[("root", self.root.clone()), (label, self.reason.to_owned())])
    }
}

pub(super) fn keep(context: &Context, args: &WordArgs) -> Result<()> {
    let ledger = context.open()?;
    ledger.keep_blocks(&args.root, args.why.clone()).map_err(|error| match &error {
        // Named by whoever typed it, not by the ledger.
        BlocksError::Blocks(StoreError::NoRoot { cid }) => {
            Failure::not_found("no_block", format!("block {cid} is not here"))
        }
        _ => error.into(),
    })?;
    let kept = Kept { root: args.root.to_string(), reason: args.why.as_str(), kept: true };
    let done = Done::new("the root is kept", "`medledger blocks pins` lists what is kept, and why");
    context.print_done(&kept, &done)
}

pub(super) fn release(context: &Context, args: &WordArgs) -> Result<()> {
    let (root, reason) = (args.root.to_string(), args.why.as_str());
    if !context.open()?.release_blocks(&args.root, args.why.clone())? {
        let text = format!("{root} is not kept for {reason:?}");
        return Err(Failure::not_found("not_kept", text)
            .hint("`medledger blocks pins` lists what is kept, and why"));
    }
    let done =
        Done::new("the reason is gone", "`medledger blocks collect` removes what nothing keeps");
    context.print_done(&Kept { root, reason, kept: false }, &done)
}
