//! `medledger header show` and `header mine`: 80-byte headers, Bitcoin's or ours.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Show, fields, grouped};
use crate::progress;
use clap::{Args, Subcommand};
use medledger::core::clock::Timestamp;
use medledger::core::pow::{self, Header, Outcome, Scan};
use medledger::{MiningProgress, Threads, show_time};
use serde::Serialize;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

#[derive(Debug, Subcommand)]
pub(crate) enum HeaderCommand {
    /// Show a header's fields, its hash, and whether the work is met
    Show(ShowArgs),
    /// Search a nonce that meets the header's own bits and print the mined header
    Mine(MineArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The header: 160 hexadecimal characters
    #[arg(value_name = "HEX")]
    header: String,
}

#[derive(Args, Debug)]
pub(crate) struct MineArgs {
    /// The header: 160 hexadecimal characters; its nonce does not matter. When no nonce meets the
    /// bits, the time is moved on by a second
    #[arg(value_name = "HEX")]
    header: String,
    /// Threads that search [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
struct Fields {
    header: String,
    hash: String,
    version: i32,
    previous: String,
    /// The root's bytes as they stand in the header.
    root: String,
    /// The same bytes reversed, as Bitcoin prints its Merkle roots.
    root_reversed: String,
    time: u32,
    time_text: String,
    bits: String,
    nonce: u32,
    target: Option<String>,
    difficulty: Option<f64>,
    work: Option<String>,
    bits_error: Option<String>,
    work_met: bool,
}

impl Show for Fields {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let bits = match &self.bits_error {
            Some(error) => format!("{} ({error})", self.bits),
            None => self.bits.clone(),
        };
        let mut lines = vec![
            ("hash", self.hash.clone()),
            ("version", self.version.to_string()),
            ("previous", self.previous.clone()),
            ("root", self.root.clone()),
            ("root reversed", self.root_reversed.clone()),
            ("time", format!("{}  {}", self.time, self.time_text)),
            ("bits", bits),
            ("nonce", self.nonce.to_string()),
        ];
        if let (Some(target), Some(difficulty), Some(work)) =
            (&self.target, self.difficulty, &self.work)
        {
            lines.push(("target", target.clone()));
            lines.push(("difficulty", difficulty.to_string()));
            let tries = work.parse().map_or_else(|_| work.clone(), grouped);
            lines.push(("work", format!("{tries} tries on average")));
        }
        lines.push(("work met", if self.work_met { "yes" } else { "no" }.into()));
        fields(out, &lines)?;
        writeln!(
            out,
            "\nHash and previous are printed as Bitcoin does, last byte first; root as it"
        )?;
        writeln!(out, "stands in the header, and reversed, as Bitcoin prints Merkle roots.")
    }
}

#[derive(Serialize)]
struct Mined {
    header: String,
    hash: String,
    nonce: u32,
    tries: u64,
    seconds: f64,
    /// Hashes a second, by all threads.
    hash_rate: f64,
    expected_tries: u128,
    /// What the nonces were scanned with.
    kernel: &'static str,
}

impl Show for Mined {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.header)
    }
}

pub(crate) fn run(context: &Context, command: &HeaderCommand) -> Result<()> {
    match command {
        HeaderCommand::Show(args) => show(context, args),
        HeaderCommand::Mine(args) => mine(context, args),
    }
}

fn show(context: &Context, args: &ShowArgs) -> Result<()> {
    let header: Header = args.header.trim().parse()?;
    let target = header.target();
    let reversed = header.root.as_bytes().iter().rev();
    context.print(&Fields {
        header: header.to_string(),
        hash: header.id().to_string(),
        version: header.version,
        previous: header.previous.to_string(),
        root: header.root.to_string(),
        root_reversed: reversed.map(|byte| format!("{byte:02x}")).collect(),
        time: header.time,
        time_text: show_time(Timestamp::from_secs(header.time.into())),
        bits: header.bits.to_string(),
        nonce: header.nonce,
        target: target.as_ref().ok().map(ToString::to_string),
        difficulty: target.as_ref().ok().map(|target| target.difficulty()),
        work: target.as_ref().ok().map(|target| target.work().to_string()),
        bits_error: target.err().map(|error| error.to_string()),
        work_met: header.meets_target(),
    })
}

fn mine(context: &Context, args: &MineArgs) -> Result<()> {
    let template: Header = args.header.trim().parse()?;
    let expected = template.target()?.expected_tries();
    let workers = args.threads.map_or_else(Threads::default, |n| Threads::new(n.get()));
    let (never, tried) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut later = |seconds: u64| Header {
        time: template.time.wrapping_add(u32::try_from(seconds).unwrap_or(u32::MAX)),
        ..template
    };
    let begin = Instant::now();
    let progress = || MiningProgress {
        tried: tried.load(Ordering::Relaxed),
        elapsed: begin.elapsed(),
        expected_tries: Some(expected),
    };
    let outcome = progress::watch(
        || Some(progress()),
        || pow::mine(&template, &mut later, &workers, &never, &tried),
    )?;
    let done = progress();
    let Outcome::Found { header, tries } = outcome else {
        return Err(Failure::bug("mine", "mining ended though nobody cancelled it"));
    };
    context.print(&Mined {
        header: header.to_string(),
        hash: header.id().to_string(),
        nonce: header.nonce,
        tries,
        seconds: done.elapsed.as_secs_f64(),
        hash_rate: done.hash_rate().round(),
        expected_tries: expected,
        kernel: Scan::best_kernel().name(),
    })
}
