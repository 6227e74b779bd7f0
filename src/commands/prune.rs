//! `medledger prune`: room instead of a whole chain.

use crate::context::Context;
use crate::exit::Result;
use crate::output::{Show, fields};
use clap::Args;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
#[command(
    after_help = "A pruned copy cannot export the whole chain any more: no other hospital and no follower can join \
    from it, and no other copy be mended from it. Keep a whole copy elsewhere."
)]
pub(crate) struct PruneArgs {
    /// Newest blocks that stay whole, 10 or more
    #[arg(long, value_name = "N")]
    keep: u64,
    /// Prune although no other hospital is on the chain: a whole copy of it is kept elsewhere
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Dropped {
    blocks: u64,
    records: u64,
    kept: u64,
    kept_from: u64,
}

impl Show for Dropped {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("blocks pruned", self.blocks.to_string()),
                ("records dropped", self.records.to_string()),
                ("own records kept", self.kept.to_string()),
                ("whole from block", self.kept_from.to_string()),
            ],
        )
    }
}

pub(crate) fn run(context: &Context, args: &PruneArgs) -> Result<()> {
    let ledger = context.open()?;
    let done = match args.force {
        true => ledger.prune_only_copy(args.keep)?,
        false => ledger.prune(args.keep)?,
    };
    let (blocks, records, kept) = (done.blocks, done.records, done.kept);
    context.print(&Dropped { blocks, records, kept, kept_from: done.kept_from })
}
