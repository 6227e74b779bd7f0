//! `medledger restore`: going on after an older backup was put back.

use crate::context::Context;
use crate::exit::Result;
use crate::interrupt;
use crate::output::{Show, fields};
use clap::Args;
use medledger::core::ids::BlockId;
use medledger::{Ledger, Loss, show_time};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// Id of the lost block, as the refusal names it. Give it only after asking every other copy for the newer chain:
    /// whoever holds receipts over the lost blocks can prove that this hospital signed two histories
    #[arg(long, value_name = "BLOCK", required = true)]
    accept_loss: BlockId,
}

#[derive(Serialize)]
struct Accepted {
    lost: Option<Lost>,
}

#[derive(Serialize)]
struct Lost {
    above: u64,
    height: u64,
    id: String,
    time: String,
}

impl From<Loss> for Lost {
    fn from(loss: Loss) -> Self {
        let Loss { above, height, id, time } = loss;
        Self { above, height, id: id.to_string(), time: show_time(time) }
    }
}

impl Show for Accepted {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(lost) = &self.lost else {
            return writeln!(out, "nothing is lost: the newest block known is here");
        };
        let given_up = format!("{} to {}  {}", lost.above + 1, lost.height, lost.id);
        fields(out, &[("blocks given up", given_up), ("recorded", lost.time.clone())])
    }
}

pub(crate) fn run(context: &Context, args: &RestoreArgs) -> Result<()> {
    interrupt::writes();
    let loss = Ledger::accept_loss(context.folder(), &args.accept_loss)?;
    context.print(&Accepted { lost: loss.map(Lost::from) })
}
