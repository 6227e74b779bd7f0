//! Undoing a record: an attacker who mines a branch of its own, many times over.

use super::closed::{Ties, double_spend};
use super::network::Network;
use super::random::Random;
use super::{Miner, Scenario, SimulateError, Strategy, first_tries};
use serde::Serialize;
use std::time::Duration;

/// An attack: from the block before the one that holds a record, a miner works on a branch of its own, waits until the
/// record has its confirmations, and shows the branch as soon as fork choice prefers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// Schedule, spacing, seed, and the honest miners; who is not honest there is taken for honest here. Blocks and
    /// steps do not matter.
    pub scenario: Scenario,
    /// The attacker's part of all tries; the honest have the rest.
    pub share: f64,
    /// How far away the attacker is.
    pub latency: Duration,
    /// Blocks, the record's own and those on it, after which the other side relies on the record.
    pub confirmations: u32,
    /// Blocks, counted alike, after which a quorum of hospitals makes a block final: from then on nobody takes the
    /// branch any more, however much work it has.
    pub final_after: u32,
    /// The attacker gives up when it is so many blocks behind.
    pub give_up: u32,
    /// How often all of this is tried.
    pub trials: u32,
}

/// The most blocks of one attack; with what it gives up at, it ends long before.
const MOST_FOUND: usize = 1_000_000;

/// What an attack led to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AttackResult {
    /// The attacker's part of all tries.
    pub share: f64,
    /// Confirmations waited for.
    pub confirmations: u32,
    /// Confirmations after which a block is final.
    pub final_after: u32,
    /// How often it was tried.
    pub trials: u32,
    /// How often the record was undone, were no block ever final.
    pub successes: u32,
    /// That as a part of all trials.
    pub success: f64,
    /// The true chance is within this of it, in 95 of 100 cases (Wilson's interval, its wider side).
    pub margin: f64,
    /// What theory says where blocks reach everyone at once and the difficulty stays.
    pub theory: f64,
    /// How often the record was undone where blocks become final.
    pub successes_with_finality: u32,
    /// That as a part of all trials.
    pub success_with_finality: f64,
}

impl Attack {
    /// A thousand attacks on six confirmations, which are also what makes a block final.
    #[must_use]
    pub fn new(scenario: Scenario, share: f64) -> Self {
        Self {
            scenario,
            share,
            latency: Duration::ZERO,
            confirmations: 6,
            final_after: 6,
            give_up: 60,
            trials: 1000,
        }
    }

    /// Whether it can be simulated.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), SimulateError> {
        self.scenario.check()?;
        let number = |ok: bool, what, range, found: f64| match ok {
            true => Ok(()),
            false => Err(SimulateError::Number { what, range, found }),
        };
        let ok = (0.001..=0.999).contains(&self.share);
        number(ok, "the attacker's share", "from 0.001 to 0.999", self.share)?;
        let count = |value: u32, most: u32, what, range| {
            number((1..=most).contains(&value), what, range, value.into())
        };
        count(self.confirmations, 1000, "the number of confirmations", "from 1 to 1000")?;
        count(self.final_after, u32::MAX, "the number of blocks until one is final", "above 0")?;
        count(self.give_up, 1000, "the number of blocks to give up at", "from 1 to 1000")?;
        count(self.trials, 1_000_000, "the number of trials", "from 1 to 1000000")
    }

    /// The honest miners first, the attacker last.
    fn miners(&self) -> Vec<Miner> {
        let all: f64 = self.scenario.miners.iter().map(|miner| miner.share).sum();
        let honest = |miner: &Miner| Miner {
            share: miner.share / all * (1.0 - self.share),
            strategy: Strategy::Honest,
            ..miner.clone()
        };
        let mut miners: Vec<Miner> = self.scenario.miners.iter().map(honest).collect();
        let strategy = Strategy::Withholding;
        miners.push(Miner { latency: self.latency, strategy, ..Miner::new(self.share) });
        miners
    }

    /// One attack; the height of the public chain when the record was undone.
    fn once(&self, miners: &[Miner], random: Random) -> Result<Option<u64>, SimulateError> {
        let (schedule, rate) = (&self.scenario.schedule, self.scenario.rate());
        let mut network = Network::new(schedule, rate, miners, &[], MOST_FOUND, random)?;
        let attacker = miners.len() - 1;
        let too_much = f64::from(self.give_up) * first_tries(schedule);
        loop {
            network.step()?;
            // What the attacker knows is what it can act on.
            let (own, public) = (network.tip(attacker), network.heard(attacker));
            let height = network.tree.get(public).height;
            if height >= u64::from(self.confirmations) && network.tree.prefers(own, public) {
                return Ok(Some(height));
            }
            let behind = |a: usize, b: usize| {
                let work = |at| network.tree.get(at).work;
                work(a).checked_sub(work(b)).map_or(0.0, |work| work.to_f64())
            };
            if behind(public, own) >= too_much {
                return Ok(None);
            }
        }
    }
}

/// Tries an attack many times.
///
/// # Errors
/// When the scenario is none, or leads nowhere.
pub fn attack(attack: &Attack) -> Result<AttackResult, SimulateError> {
    attack.check()?;
    let miners = attack.miners();
    let (mut successes, mut with_finality) = (0, 0);
    for trial in 0..attack.trials {
        let random = Random::new(attack.scenario.seed, u64::from(trial) + 1);
        if let Some(height) = attack.once(&miners, random)? {
            successes += 1;
            // The block with the record is at height 1.
            with_finality += u32::from(height < u64::from(attack.final_after));
        }
    }
    let part = |count: u32| f64::from(count) / f64::from(attack.trials);
    Ok(AttackResult {
        share: attack.share,
        confirmations: attack.confirmations,
        final_after: attack.final_after,
        trials: attack.trials,
        successes,
        success: part(successes),
        margin: margin(part(successes), attack.trials),
        theory: double_spend(attack.share, attack.confirmations, Ties::LowerId),
        successes_with_finality: with_finality,
        success_with_finality: part(with_finality),
    })
}

/// The wider side of Wilson's interval around a part of so many.
fn margin(part: f64, of: u32) -> f64 {
    const Z: f64 = 1.959_964;
    let n = f64::from(of);
    let (scale, middle) = (1.0 + Z * Z / n, part + Z * Z / (2.0 * n));
    let half = Z * (part * (1.0 - part) / n + Z * Z / (4.0 * n * n)).sqrt();
    let (low, high) = ((middle - half) / scale, (middle + half) / scale);
    (part - low).max(high - part)
}

#[cfg(test)]
mod tests {
    use super::margin;

    #[test]
    fn margins_are_those_of_wilson() {
        // 0 of 10: up to 27.75 %; 5 of 10: 23.66 % to 76.34 %.
        assert!((margin(0.0, 10) - 0.2775).abs() < 1e-4);
        assert!((margin(0.5, 10) - 0.2634).abs() < 1e-4);
        assert!(margin(0.5, 1000) < 0.0311);
    }
}
