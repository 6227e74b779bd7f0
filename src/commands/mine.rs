//! `medledger mine`: what was accepted goes into blocks.

use crate::context::Context;
use crate::exit::Result;
use crate::output::{Show, fields, grouped, span};
use crate::progress;
use clap::Args;
use serde::Serialize;
use std::io::{self, Write};
use std::time::Instant;

#[derive(Args, Debug)]
pub(crate) struct MineArgs {
    /// Mine one block even when nothing waits
    #[arg(long)]
    empty: bool,
}

#[derive(Serialize)]
struct Blocks {
    blocks: Vec<Block>,
    waiting: u64,
}

#[derive(Serialize)]
struct Block {
    height: u64,
    id: String,
    header: String,
    records: u32,
    refused: Vec<RefusedRecord>,
    tries: u64,
    seconds: f64,
}

#[derive(Serialize)]
struct RefusedRecord {
    record: String,
    code: u16,
    reason: String,
}

impl Show for Blocks {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.blocks.is_empty() {
            return writeln!(out, "nothing waits");
        }
        for (i, block) in self.blocks.iter().enumerate() {
            if i > 0 {
                writeln!(out)?;
            }
            let work = format!("{} tries in {}", grouped(block.tries.into()), span(block.seconds));
            fields(
                out,
                &[
                    ("block", block.height.to_string()),
                    ("id", block.id.clone()),
                    ("records", block.records.to_string()),
                    ("work", work),
                ],
            )?;
            for refused in &block.refused {
                writeln!(out, "refused  {}: {}", refused.record, refused.reason)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn run(context: &Context, args: &MineArgs) -> Result<()> {
    let ledger = context.open()?;
    let mut blocks = Vec::new();
    loop {
        let begin = Instant::now();
        let empty = args.empty && blocks.is_empty();
        let mined = progress::mining(&ledger, |control| Ok(ledger.mine_with(control, empty)?))?;
        let Some(mined) = mined else { break };
        blocks.push(Block {
            height: mined.stored.height,
            id: mined.id().to_string(),
            header: mined.stored.signed.header.to_string(),
            records: mined.stored.records,
            refused: mined
                .refused
                .iter()
                .map(|(record, code)| RefusedRecord {
                    record: record.to_string(),
                    code: code.code(),
                    reason: code.to_string(),
                })
                .collect(),
            tries: mined.tries,
            seconds: begin.elapsed().as_secs_f64(),
        });
        if ledger.waiting()? == 0 {
            break;
        }
    }
    context.print(&Blocks { blocks, waiting: ledger.waiting()? })
}
