//! `medledger mine`: what was accepted goes into blocks.

use super::awaited::Waits;
use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::output::{self, Done, Show, fields, grouped, span};
use crate::{interrupt, progress};
use clap::Args;
use medledger::core::engine::{Mined, OrderError};
use medledger::{BlockPolicy, Ledger, MiningControl};
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

#[derive(Args, Debug)]
pub(crate) struct MineArgs {
    /// Mine one block even when nothing waits
    #[arg(long, conflicts_with = "keep")]
    empty: bool,
    /// Go on until Ctrl-C or SIGTERM: a block whenever one is due, also an empty one that other hospitals wait for.
    /// Meanwhile other commands only read (those that write exit with 6), and news are imported and exported
    /// between such runs
    #[arg(long)]
    keep: bool,
    /// With --keep: a block as soon as so many records wait
    #[arg(long, default_value_t = 1000, requires = "keep", value_name = "COUNT")]
    records: u64,
    /// With --keep: or as soon as they have so many bytes
    #[arg(long, default_value_t = 1024 * 1024, requires = "keep", value_name = "COUNT")]
    bytes: u64,
    /// With --keep: or as soon as the oldest was signed so many seconds ago
    #[arg(long, default_value_t = 10, requires = "keep", value_name = "SECONDS")]
    age: u64,
}

#[derive(Serialize)]
struct Blocks {
    blocks: Vec<Block>,
    waiting: u64,
    /// What blocks wait for before they are final, where none was mined.
    #[serde(skip_serializing_if = "Option::is_none")]
    awaited: Option<Waits>,
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
            writeln!(out, "nothing waits")?;
            let awaited: Vec<_> = Waits::line(self.awaited.as_ref()).into_iter().collect();
            return fields(out, &awaited);
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
    check_hospital(&ledger)?;
    if args.keep {
        return keep(context, &ledger, args);
    }
    let mut result = Blocks { blocks: Vec::new(), waiting: ledger.waiting()?, awaited: None };
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
        result.awaited = Waits::of(&ledger)?;
        return context.print(&result);
    }
    let blocks = if count == 1 { "a block is".to_owned() } else { format!("{count} blocks are") };
    let done = Done::new(format!("{blocks} mined"), "`medledger log` lists what is in blocks");
    context.print_done(&result, &done)
}

/// Mines until Ctrl-C, a line for each block.
fn keep(context: &Context, ledger: &Ledger, args: &MineArgs) -> Result<()> {
    interrupt::says(
        "stopped: blocks that were mined are kept, and what waits goes on waiting; \
         `medledger mine` puts it in a block",
    );
    let age = Duration::from_secs(args.age);
    let policy = BlockPolicy { records: args.records, bytes: args.bytes, age };
    let mut failed = None;
    let mut told = |mined: &Mined| {
        let (height, records, id) = (mined.stored.height, mined.stored.records, mined.id());
        let text = if context.json() {
            format!(
                "{}\n",
                serde_json::json!({"height": height, "id": id.to_string(), "records": records})
            )
        } else {
            format!("block {height}  {}  {id}\n", output::count(records, "record"))
        };
        failed = failed.take().or(output::write(&text).err());
    };
    match ledger.keep_mining(&policy, &MiningControl::new(), &mut told) {
        Err(OrderError::NoMiningKey) => check_hospital(ledger)?,
        kept => kept?,
    }
    failed.map_or(Ok(()), Err)
}

/// Refuses a hospital that is none of the chain's, with what became of it.
fn check_hospital(ledger: &Ledger) -> Result<()> {
    let (hospitals, own) = (ledger.hospitals()?, ledger.hospital());
    if hospitals.set.contains(&own) {
        return Ok(());
    }
    let expelled = hospitals.expelled.iter().find(|(hospital, _)| *hospital == own);
    let (text, hint) = match expelled {
        Some((_, height)) => (
            format!("this hospital was expelled in block {height}: it mines nothing"),
            "`medledger hospital list` shows those of the chain; one of them proposes to admit it again, with the card \
             that `medledger hospital card --chain ID` writes",
        ),
        None => (
            "this hospital is not among those of the chain yet: it mines nothing".into(),
            "`medledger import chain` takes the block that admits it from a hospital that has it; `medledger hospital list` \
             shows those of the chain, and one of them proposes with `medledger hospital propose --admit CARD`",
        ),
    };
    Err(Failure::new(Fault::Refused, "no_mining_key", text).hint(hint))
}

fn nothing_lost(failure: Failure) -> Failure {
    match failure.code() {
        "no_space" => failure.hint("free some space and repeat the command: what waits is kept"),
        _ => failure,
    }
}
