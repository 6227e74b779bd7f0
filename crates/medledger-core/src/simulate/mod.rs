//! Simulations of mining: how evenly blocks come, how many go stale, and what a miner can gain by cheating.
//!
//! Events come one after another: miners find blocks after times that are drawn from the exponential distribution, by
//! their share of all tries and the target of the block they would find; the others hear of it after a while. What
//! a block must be like comes from the chain's own rules ([`Schedule`], [`median_time_at`](crate::pow::median_time_at)), and which
//! branch a miner takes from its own fork choice ([`best_first`](crate::pow::best_first)). Nothing is hashed, no clock is read;
//! the same scenario with the same seed gives the same result to the last bit, on every machine.
//!
//! ```
//! use medledger_core::pow::{Bits, Schedule};
//! use medledger_core::simulate::{Miner, Scenario, run};
//! let schedule = Schedule::Fixed { bits: Bits::from_u32(0x1b00_ffff) };
//! let mut scenario = Scenario::new(schedule, 600.0);
//! scenario.miners = vec![Miner::new(0.7), Miner::new(0.3)];
//! scenario.blocks = 2_000;
//! let summary = run(&scenario)?.summary(1);
//! assert!((540.0..660.0).contains(&summary.spacing.mean));
//! assert!((0.65..0.75).contains(&summary.miners[0].chain_share));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it leaves out: records and their validation, blocks of different size, miners who lie about the time, and pools. The miners
//! stay the same: what a hospital that joins or leaves does to the block times is a change of the hash rate ([`Step`]).

mod attack;
mod closed;
mod network;
mod random;
mod summary;
#[cfg(test)]
mod tests;
mod tree;

pub use attack::{Attack, AttackResult, attack};
pub use closed::{Ties, double_spend, nakamoto, selfish_revenue};
pub use summary::{MinerSummary, Section, Spacing, Summary};

use crate::pow::{Bits, Schedule, ScheduleError, Target};
use network::Network;
use random::Random;
use std::time::Duration;

/// How a miner behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Works on the best chain it knows and lets everyone hear of what it finds.
    #[default]
    Honest,
    /// Keeps what it finds to itself and lets go of just as much as makes others' work vain: the selfish mining
    /// of Eyal and Sirer (algorithm 1).
    Selfish,
    /// Works on a branch of its own and shows none of it: the attacker of [`attack`].
    Withholding,
}

/// Somebody who mines.
#[derive(Clone, Debug, PartialEq)]
pub struct Miner {
    /// Its name in results.
    pub name: String,
    /// Its weight among the miners; shares need not add up to one.
    pub share: f64,
    /// How far away it is: a block takes the longer of the two latencies from one miner to another.
    pub latency: Duration,
    /// How it behaves.
    pub strategy: Strategy,
}

impl Miner {
    /// An honest miner with this share, whom everything reaches at once.
    #[must_use]
    pub fn new(share: f64) -> Self {
        let (name, latency) = (String::new(), Duration::ZERO);
        Self { name, share, latency, strategy: Strategy::Honest }
    }
}

/// From a height on, the miners together are faster or slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// When the first block of this height is known.
    pub height: u64,
    /// What the hash rate is then, in hash rates of the beginning.
    pub factor: f64,
}

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What sets the difficulty.
    pub schedule: Schedule,
    /// Seconds from one block to the next, which the first difficulty is in keeping with.
    pub spacing: f64,
    /// Who mines.
    pub miners: Vec<Miner>,
    /// When the hash rate changes, by rising height.
    pub steps: Vec<Step>,
    /// Height at which it ends.
    pub blocks: u64,
    /// What chance begins with.
    pub seed: u64,
}

/// A scenario that cannot be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// The schedule is none.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Nobody, or a crowd.
    #[error("a simulation has 1 to {limit} miners, found {found}")]
    Miners {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A number out of its range.
    #[error("{what} must be {range}, found {found}")]
    Number {
        /// Which.
        what: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        found: f64,
    },
    /// Steps are not in order.
    #[error("changes of the hash rate must be by rising height, found {found} after {after}")]
    Order {
        /// The height out of order.
        found: u64,
        /// The one before.
        after: u64,
    },
    /// Blocks come so slowly that their headers cannot hold the time.
    #[error("at height {height} the time exceeds what a header can hold: blocks come too slowly")]
    OutOfTime {
        /// Height of the block that could not be.
        height: u64,
    },
    /// Nearly all blocks go stale.
    #[error(
        "more than {limit} blocks were found and the chain is still too short: latency is too long"
    )]
    TooManyFound {
        /// How many are kept.
        limit: usize,
    },
}

/// A block of the chain that won.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainBlock {
    /// Its height; the genesis block, which is not among these, has 0.
    pub height: u64,
    /// Seconds after the start at which it was found.
    pub found: f64,
    /// Seconds after the block below it was found.
    pub interval: f64,
    /// The time in its header, in seconds after that of the genesis block.
    pub time: u32,
    /// Its bits.
    pub bits: Bits,
    /// How many times harder than the first blocks.
    pub difficulty: f64,
    /// Who found it: a place among the scenario's miners.
    pub miner: usize,
    /// Others of this height that became public and stale.
    pub stale: u32,
}

/// What a simulation led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    scenario: Scenario,
    /// The chain that won, from height 1 on.
    pub chain: Vec<ChainBlock>,
    /// Blocks that became public, by miner.
    pub found: Vec<u64>,
    /// How often an honest miner took blocks off its chain.
    pub reorgs: u64,
    /// The most blocks that one of them took off at once.
    pub deepest_reorg: u64,
}

/// The most miners.
pub const MAX_MINERS: usize = 1000;

/// The most blocks.
pub const MAX_BLOCKS: u64 = 1_000_000;

impl Scenario {
    /// A thousand blocks without change, by one miner yet to be replaced.
    #[must_use]
    pub fn new(schedule: Schedule, spacing: f64) -> Self {
        let miners = vec![Miner::new(1.0)];
        Self { schedule, spacing, miners, steps: Vec::new(), blocks: 1000, seed: 1 }
    }

    /// Whether it can be simulated.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), SimulateError> {
        self.schedule.check()?;
        let number = |ok: bool, what, range, found| match ok {
            true => Ok(()),
            false => Err(SimulateError::Number { what, range, found }),
        };
        let above_zero = |value: f64| value.is_finite() && value > 0.0;
        number(above_zero(self.spacing), "the spacing", "above 0", self.spacing)?;
        let found = self.miners.len();
        if !(1..=MAX_MINERS).contains(&found) {
            return Err(SimulateError::Miners { found, limit: MAX_MINERS });
        }
        for miner in &self.miners {
            let ok = (1e-6..=1e6).contains(&miner.share);
            number(ok, "a share", "from 0.000001 to 1000000", miner.share)?;
            let seconds = miner.latency.as_secs_f64();
            number(seconds <= 1e6, "a latency", "at most 1000000 seconds", seconds)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "only shown")]
        let blocks = self.blocks as f64;
        let ok = (1..=MAX_BLOCKS).contains(&self.blocks);
        number(ok, "the number of blocks", "from 1 to 1000000", blocks)?;
        for step in &self.steps {
            number(above_zero(step.factor), "a change of the hash rate", "above 0", step.factor)?;
        }
        match self.steps.windows(2).find(|pair| pair[0].height >= pair[1].height) {
            Some(pair) => {
                Err(SimulateError::Order { found: pair[1].height, after: pair[0].height })
            }
            None => Ok(()),
        }
    }

    /// Tries a second at which the first blocks come as planned.
    fn rate(&self) -> f64 {
        first_tries(&self.schedule) / self.spacing
    }

    /// What the hash rate is to the first once blocks of this height are known.
    fn factor_at(&self, height: u64) -> f64 {
        let past = self.steps.iter().take_while(|step| step.height <= height);
        past.last().map_or(1.0, |step| step.factor)
    }
}

/// Tries that a block of the first difficulty takes.
fn first_tries(schedule: &Schedule) -> f64 {
    tries(schedule.genesis_bits())
}

fn tries(bits: Bits) -> f64 {
    Target::from_bits(bits).map_or(1.0, |target| target.work().to_f64())
}

/// Simulates until the chain has as many blocks as asked.
///
/// # Errors
/// When the scenario is none, or leads nowhere.
pub fn run(scenario: &Scenario) -> Result<Run, SimulateError> {
    scenario.check()?;
    let (schedule, miners, steps) = (&scenario.schedule, &scenario.miners, &scenario.steps);
    let limit = usize::try_from(scenario.blocks).unwrap_or(usize::MAX).saturating_mul(8);
    let limit = limit.saturating_add(10_000);
    let random = Random::new(scenario.seed, 0);
    let mut network = Network::new(schedule, scenario.rate(), miners, steps, limit, random)?;
    let mut best = 0;
    while network.tree.get(best).height < scenario.blocks {
        if let Some(block) = network.step()? {
            best = if network.tree.prefers(block, best) { block } else { best };
        }
    }
    Ok(Run::new(scenario, &network, best))
}
