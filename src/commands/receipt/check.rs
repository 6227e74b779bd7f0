//! `medledger receipt check`: what is proven, what is not, and if nothing is, why.

use crate::commands::says::{Said, says};
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::failures::{self, RECEIPT_EXITS};
use crate::output::{Show, count, fields};
use clap::Args;
use medledger::core::registry::limit;
use medledger::{ChainId, Receipt, show_time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The receipt, in either form; - is standard input
    file: PathBuf,
    /// The chain's id, from someone you trust
    #[arg(long, value_name = "ID")]
    chain: ChainId,
}

/// What no receipt proves.
const NOT_PROVEN: [&str; 3] = [
    "that a permission is still live: grants end and can be taken back; that takes the chain as it is today",
    "who the ids stand for, and what a report says: names and contents are not on the chain",
    "that the times are exact: they are what author, miner and signers stated",
];

#[derive(Serialize)]
struct Proven {
    record: String,
    kind: &'static str,
    author: String,
    patient: Option<String>,
    time: String,
    /// What the record says, by the names of its fields.
    says: BTreeMap<&'static str, Said>,
    chain: String,
    block: String,
    height: u64,
    block_time: String,
    miner: String,
    checkpoint_size: u64,
    cosigned: Vec<Cosigned>,
    hospitals: usize,
    quorum: usize,
    proves: String,
    does_not_prove: [&'static str; 3],
}

#[derive(Serialize)]
struct Cosigned {
    hospital: String,
    time: String,
}

impl Show for Proven {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "valid: {}\n", self.proves)?;
        let mut rows = vec![
            ("record", self.record.clone()),
            ("kind", self.kind.to_owned()),
            ("author", self.author.clone()),
        ];
        rows.extend(self.says.iter().map(|(name, value)| (*name, value.to_string())));
        rows.extend([
            ("stated", self.time.clone()),
            ("block", self.block.clone()),
            ("height", self.height.to_string()),
            ("block time", self.block_time.clone()),
            ("mined by", self.miner.clone()),
        ]);
        let by = self.cosigned.iter().map(|by| format!("{} on {}", by.hospital, by.time));
        rows.push(("cosigned by", by.collect::<Vec<_>>().join("\n")));
        rows.push(("quorum", format!("{} of {} hospitals", self.quorum, self.hospitals)));
        rows.push(("checkpoint", format!("signed over {}", count(self.checkpoint_size, "block"))));
        fields(out, &rows)?;
        writeln!(out, "\nnot proven:")?;
        NOT_PROVEN.iter().try_for_each(|text| writeln!(out, "  {text}"))
    }
}

/// The part of the help that lists the exit codes.
pub(super) fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n   0  valid\n");
    for (reason, code, meaning) in RECEIPT_EXITS {
        text.push_str(&format!("  {code}  {}: {meaning}\n", reason.name()));
    }
    text + "   6  update_needed: a newer version wrote it"
}

pub(super) fn run(context: &Context, args: &CheckArgs) -> Result<()> {
    let failed = |error: io::Error| failures::file(&args.file, &error);
    let mut bytes = Vec::new();
    // One byte more than any receipt has, so that a longer file is seen to be none.
    let most = limit::RECEIPT_BYTES as u64 + 1;
    if args.file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(&args.file).map_err(failed)?;
        file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    let checked = Receipt::from_bytes(&bytes).and_then(|receipt| receipt.check(&args.chain));
    let proven =
        checked.map_err(|error| Failure::from(error).doing(&args.file.display().to_string()))?;
    let record = proven.record.record();
    let says = says(record);
    context.print(&Proven {
        record: proven.record.id().to_string(),
        kind: record.kind().name(),
        author: record.author.to_string(),
        patient: says.get("patient").map(ToString::to_string),
        time: show_time(record.time),
        says,
        chain: args.chain.to_string(),
        block: proven.block.to_string(),
        height: proven.height,
        block_time: show_time(proven.time),
        miner: proven.miner.to_string(),
        checkpoint_size: proven.checkpoint_size,
        cosigned: proven
            .cosigned
            .iter()
            .map(|(hospital, time)| Cosigned {
                hospital: hospital.to_string(),
                time: show_time(*time),
            })
            .collect(),
        hospitals: proven.hospitals,
        quorum: proven.quorum,
        proves: format!("the record took effect on chain {} and is final", args.chain),
        does_not_prove: NOT_PROVEN,
    })
}
