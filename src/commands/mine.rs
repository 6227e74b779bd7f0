//! `medledger mine`: what was accepted goes into blocks.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{self, Done, Show, fields, grouped, span};
use crate::{interrupt, progress};
use clap::Args;
use serde::Serialize;
use std::io::{self, Write};

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
    /// Hashes a second, by all threads.
    hash_rate: f64,
    /// Tries, and seconds at this rate, that a block takes on average; null where it takes no work.
    expected_tries: Option<u128>,
    expected_seconds: Option<f64>,
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
            let mut work =
                format!("{} tries in {}", grouped(block.tries.into()), span(block.seconds));
            if let Some(expected) = block.expected_tries {
                let rate = block.hash_rate / 1e6;
                let expected = grouped(expected);
                work.push_str(&format!(", {rate:.2} MH/s; {expected} tries on average"));
            }
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
    let mut result = Blocks { blocks: Vec::new(), waiting: ledger.waiting()? };
    if context.json() {
        interrupt::say_when_interrupted(output::text_of(true, &result)?);
    }
    loop {
        let empty = args.empty && result.blocks.is_empty();
        let mined = progress::mining(|control| {
            let mined = ledger.mine_with(control, empty)?;
            Ok::<_, Failure>(mined.zip(control.progress()))
        });
        let Some((mined, progress)) = mined.map_err(nothing_lost)? else { break };
        result.blocks.push(Block {
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
            seconds: progress.elapsed.as_secs_f64(),
            hash_rate: progress.hash_rate().round(),
            expected_tries: progress.expected_tries,
            expected_seconds: progress.expected_seconds(),
        });
        result.waiting = ledger.waiting()?;
        if result.waiting == 0 {
            break;
        }
        interrupt::say_when_interrupted(output::text_of(context.json(), &result)?);
    }
    result.waiting = ledger.waiting()?;
    let count = result.blocks.len();
    if count == 0 {
        return context.print(&result);
    }
    let blocks = if count == 1 { "a block is".to_owned() } else { format!("{count} blocks are") };
    let done = Done::new(format!("{blocks} mined"), "`medledger log` lists what is in blocks");
    context.print_done(&result, &done)
}

fn nothing_lost(failure: Failure) -> Failure {
    match failure.code() {
        "no_space" => failure.hint("free some space and repeat the command: what waits is kept"),
        _ => failure,
    }
}
