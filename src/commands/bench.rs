//! `medledger bench`: what this machine can do.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::Show;
use clap::{Args, Subcommand};
use medledger::Threads;
use medledger::bench::{ScanRate, scan_rate};
use medledger::core::pow::{Kernel, Scan, Workers};
use serde::Serialize;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure how fast nonces are scanned: each way this machine has, on one core and on all
    Mine(MineArgs),
}

#[derive(Args, Debug)]
pub(crate) struct MineArgs {
    /// Seconds for each measurement
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Threads beside one [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Measure only this one: portable, sha-ni, avx2 or avx512
    #[arg(long, value_name = "NAME")]
    kernel: Option<Kernel>,
}

#[derive(Serialize)]
struct Rates {
    /// The processor, as it names itself.
    processor: String,
    cores: usize,
    /// Instructions found that a kernel needs.
    features: Vec<&'static str>,
    /// The kernel that mining uses here.
    chosen: &'static str,
    kernels: Vec<KernelRates>,
}

#[derive(Serialize)]
struct KernelRates {
    kernel: &'static str,
    chosen: bool,
    rates: Vec<Rate>,
}

#[derive(Serialize)]
struct Rate {
    threads: usize,
    tries: u64,
    seconds: f64,
    /// Hashes a second on average.
    hash_rate: f64,
    /// Hashes a second in the fastest twentieth of the time.
    best_hash_rate: f64,
}

impl Rate {
    fn new(threads: usize, rate: &ScanRate) -> Self {
        Self {
            threads,
            tries: rate.tries,
            seconds: rate.elapsed.as_secs_f64(),
            hash_rate: rate.mean().round(),
            best_hash_rate: rate.best.round(),
        }
    }
}

impl Show for Rates {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}, {} cores; {}\n", self.processor, self.cores, self.features.join(" "))?;
        writeln!(out, "{:<9} {:>8} {:>14} {:>14}", "kernel", "threads", "mean", "best")?;
        for kernel in &self.kernels {
            for rate in &kernel.rates {
                let [mean, best] =
                    [rate.hash_rate, rate.best_hash_rate].map(|r| format!("{:.2} MH/s", r / 1e6));
                let mark = if kernel.chosen { "  chosen" } else { "" };
                let name = kernel.kernel;
                writeln!(out, "{name:<9} {:>8} {mean:>14} {best:>14}{mark}", rate.threads)?;
            }
        }
        writeln!(
            out,
            "\nA hash is one nonce tried: SHA-256 of the header, twice. Best is the fastest"
        )?;
        writeln!(out, "twentieth of the time, for machines that do other things as well.")
    }
}

pub(crate) fn run(context: &Context, command: &BenchCommand) -> Result<()> {
    let BenchCommand::Mine(args) = command;
    mine(context, args)
}

fn mine(context: &Context, args: &MineArgs) -> Result<()> {
    let usage = |message: &str| Failure::usage("arguments", message);
    if !(0.01..=3600.0).contains(&args.seconds) {
        return Err(usage("--seconds must be from 0.01 to 3600"));
    }
    if args.kernel.is_some_and(|kernel| !kernel.is_available()) {
        let names: Vec<_> = Kernel::available().map(Kernel::name).collect();
        return Err(usage(&format!("this machine has only {}", names.join(", "))));
    }
    let time = Duration::from_secs_f64(args.seconds);
    let cores = Threads::default().count();
    let mut counts = vec![1, args.threads.map_or(cores, NonZeroUsize::get)];
    counts.dedup();
    let chosen = Scan::best_kernel();
    let measure = |kernel: Kernel| KernelRates {
        kernel: kernel.name(),
        chosen: kernel == chosen,
        rates: counts.iter().map(|n| Rate::new(*n, &scan_rate(kernel, *n, time))).collect(),
    };
    let wanted = |kernel: &Kernel| args.kernel.is_none_or(|only| only == *kernel);
    context.print(&Rates {
        processor: processor(),
        cores,
        features: features(),
        chosen: chosen.name(),
        kernels: Kernel::available().filter(wanted).map(measure).collect(),
    })
}

fn processor() -> String {
    // Linux on x86; elsewhere the architecture must do.
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    macro_rules! found {
        ($($feature:tt),*) => {
            [$(($feature, std::arch::is_x86_feature_detected!($feature))),*]
        };
    }
    let all = found!("ssse3", "sse4.1", "sha", "avx2", "avx512f", "avx512bw");
    all.into_iter().filter(|(_, here)| *here).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}
