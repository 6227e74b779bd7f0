//! `medledger simulate`: mining by several miners, and attacks on what they mined.

mod show;
mod values;

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::target::{ForceArg, Readers, Target};
use clap::{Args, ValueEnum};
use medledger::Pace;
use medledger::core::pow::{Bits, Schedule};
use medledger::core::simulate::{Attack, Scenario, Step, attack, run as simulate};
use show::Simulated;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use values::MinerSpec;

const EXAMPLES: &str = "\
Examples:
  Four equal hospitals, half a minute apart, a block in two minutes:
    medledger simulate --spacing 120 --latency 30s
  One miner with 40 %, one with 30 % that is far away, three small ones:
    medledger simulate --miner 0.4 --miner 0.3,latency=20s \\
      --miner 0.1 --miner 0.1 --miner 0.1
  How two schedules take it when half of the miners leave:
    medledger simulate --schedule asert --half-life 3600 --hash-rate-change 5000=0.5
    medledger simulate --schedule bitcoin --window 144 --hash-rate-change 5000=0.5
  Selfish mining with 40 % of all work:
    medledger simulate --miner 0.4,selfish --miner 0.3 --miner 0.3
  The chance to undo a record that waited for 3 blocks, final after 8:
    medledger simulate --attacker 0.2 --attacker 0.35 --confirmations 3 --final-after 8

Nothing is mined: miners find blocks by chance, as their share and the target
have it. What a block must be like and which branch is better are the chain's
own rules. The same options give the same result on every machine.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// A miner: its share of all tries, then what is special about it, as in 0.3,latency=200ms,name=Basel or
    /// 0.4,selfish; again for each [default: four equal ones]
    #[arg(long = "miner", value_name = "SHARE[,…]")]
    miners: Vec<MinerSpec>,
    /// How long a block takes from one miner to another; the longer of the two miners' counts
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::time)]
    latency: Duration,
    /// Height of the chain when it ends
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    blocks: u64,
    /// What sets the difficulty
    #[arg(long, value_enum, default_value = "asert")]
    schedule: ScheduleKind,
    /// Seconds from one block to the next that the schedule aims at, and the first difficulty
    #[arg(long, value_name = "S", default_value = "600")]
    spacing: NonZeroU32,
    /// asert: seconds behind plan that make blocks twice as easy [default: 288 spacings]
    #[arg(long, value_name = "S")]
    half_life: Option<u32>,
    /// bitcoin: blocks between two changes [default: 2016]
    #[arg(long, value_name = "BLOCKS")]
    window: Option<u32>,
    /// Difficulty of the first blocks, in compact form
    #[arg(long, value_name = "HEX", default_value = "1b00ffff")]
    bits: String,
    /// The easiest that blocks may get, in compact form [default: 64 times easier than the first]
    #[arg(long, value_name = "HEX")]
    floor: Option<String>,
    /// From this height on all miners together are so many times as fast as at first, as in
    /// 5000=0.5; again for each change
    #[arg(long = "hash-rate-change", value_name = "HEIGHT=FACTOR", value_parser = values::step)]
    steps: Vec<Step>,
    /// What chance begins with
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Share of all tries of a miner who tries to undo a record by a branch of its own; again for each
    /// [default: 0.1, 0.2, 0.3 and 0.4]
    #[arg(long = "attacker", value_name = "SHARE")]
    attackers: Vec<f64>,
    /// Blocks, the record's own included, after which others rely on the record
    #[arg(long, value_name = "K", default_value_t = 6)]
    confirmations: u32,
    /// Blocks, counted alike, after which the hospitals make a block final [default: --confirmations]
    #[arg(long, value_name = "K")]
    final_after: Option<u32>,
    /// How often each attack is tried; 0 for no attacks
    #[arg(long, value_name = "N", default_value_t = 1000)]
    trials: u32,
    /// Write the chain to this file, a line a block
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    replace: ForceArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ScheduleKind {
    /// The same for ever
    Fixed,
    /// As Bitcoin does it, once a window
    Bitcoin,
    /// aserti3-2d, with every block
    Asert,
}

/// Parts of the chain that are shown.
const SECTIONS: usize = 10;

pub(crate) fn run(context: &Context, args: &SimulateArgs) -> Result<()> {
    let csv = |path: &PathBuf| Target::of(path, args.replace.force);
    let csv = args.csv.as_ref().map(csv).transpose()?;
    let scenario = scenario(args)?;
    let run = simulate(&scenario)?;
    let default = [0.1, 0.2, 0.3, 0.4];
    let shares = if args.attackers.is_empty() { &default[..] } else { &args.attackers };
    let attempt = |share: &f64| Attack {
        latency: args.latency,
        confirmations: args.confirmations,
        final_after: args.final_after.unwrap_or(args.confirmations),
        trials: args.trials,
        ..Attack::new(scenario.clone(), *share)
    };
    let attacks = match args.trials {
        0 => Vec::new(),
        _ => shares.iter().map(|share| attack(&attempt(share))).collect::<Result<_, _>>()?,
    };
    let result = Simulated::new(run.summary(SECTIONS), &scenario, attacks);
    if let Some(csv) = csv {
        let text = show::csv(&run.chain, &result.summary.miners);
        csv.write(text.as_bytes(), Readers::Others)?;
    }
    context.print(&result)
}

fn scenario(args: &SimulateArgs) -> Result<Scenario> {
    let (kind, spacing) = (args.schedule, args.spacing.get());
    if args.half_life.is_some() && kind != ScheduleKind::Asert
        || args.window.is_some() && kind != ScheduleKind::Bitcoin
        || args.floor.is_some() && kind == ScheduleKind::Fixed
    {
        let text = "--half-life is for --schedule asert, --window for bitcoin, --floor for both";
        return Err(Failure::usage("arguments", text));
    }
    let bits: Bits = args.bits.parse()?;
    let floor = args.floor.as_deref().map(str::parse::<Bits>).transpose()?;
    let half_life = args.half_life.unwrap_or_else(|| spacing.saturating_mul(288));
    let schedule = match kind {
        ScheduleKind::Fixed => Schedule::Fixed { bits },
        ScheduleKind::Bitcoin => {
            Pace::Bitcoin { window: args.window.unwrap_or(2016), spacing }.schedule(bits, floor)
        }
        ScheduleKind::Asert => Pace::Asert { spacing, half_life }.schedule(bits, floor),
    };
    let mut scenario = Scenario::new(schedule, spacing.into());
    let four = vec![MinerSpec::EQUAL; 4];
    let miners = if args.miners.is_empty() { &four } else { &args.miners };
    scenario.miners = miners.iter().map(|miner| miner.miner(args.latency)).collect();
    scenario.steps.clone_from(&args.steps);
    (scenario.blocks, scenario.seed) = (args.blocks, args.seed);
    Ok(scenario)
}
