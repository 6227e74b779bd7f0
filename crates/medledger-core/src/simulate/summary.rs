//! What a run comes to in numbers.

use super::network::Network;
use super::tree::{At, SECOND, START};
use super::{ChainBlock, Run, Scenario, first_tries, tries};
use serde::Serialize;

/// A run in numbers; all times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What chance began with.
    pub seed: u64,
    /// Blocks of the chain that won, without the genesis block.
    pub blocks: u64,
    /// How long they took.
    pub seconds: f64,
    /// Blocks that became public.
    pub found: u64,
    /// Those of them that are not on the chain.
    pub stale: u64,
    /// These as a part of all.
    pub stale_rate: f64,
    /// How often an honest miner took blocks off its chain.
    pub reorgs: u64,
    /// The most blocks that one of them took off at once.
    pub deepest_reorg: u64,
    /// Times from block to block.
    pub spacing: Spacing,
    /// Who found what.
    pub miners: Vec<MinerSummary>,
    /// The chain in equal parts, from the first on.
    pub sections: Vec<Section>,
}

/// Times from one block of the chain to the next, in seconds, beside those of the exponential distribution that
/// they would follow at the planned spacing, without changes and without stale blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spacing {
    /// The average.
    pub mean: f64,
    /// One half is shorter.
    pub median: f64,
    /// One in twenty is longer.
    pub p95: f64,
    /// The average as planned.
    pub ideal_mean: f64,
    /// ln 2 of that.
    pub ideal_median: f64,
    /// ln 20 of it.
    pub ideal_p95: f64,
}

/// What one miner got.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MinerSummary {
    /// Its name.
    pub name: String,
    /// Its part of all tries.
    pub hash_share: f64,
    /// Its part of the blocks on the chain.
    pub chain_share: f64,
    /// Its blocks on the chain.
    pub blocks: u64,
    /// Its blocks that went stale.
    pub stale: u64,
}

/// A part of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Section {
    /// Height of its first block.
    pub from: u64,
    /// Height of its last one.
    pub to: u64,
    /// When that was found.
    pub seconds: f64,
    /// Mean time from block to block.
    pub spacing: f64,
    /// Mean difficulty, in difficulties of the beginning.
    pub difficulty: f64,
    /// Hash rate when it ended, in hash rates of the beginning.
    pub hash_rate: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
impl Run {
    pub(super) fn new(scenario: &Scenario, network: &Network<'_>, best: At) -> Self {
        let tree = &network.tree;
        let chain = tree.chain(best);
        let mut public = vec![0u32; chain.len() + 1];
        let mut found = vec![0; scenario.miners.len()];
        for block in tree.blocks().iter().skip(1).filter(|block| block.public) {
            found[block.miner] += 1;
            if let Some(count) = public.get_mut(block.height as usize) {
                *count += 1;
            }
        }
        let first = first_tries(&scenario.schedule);
        let mut before = 0;
        let chain = chain.iter().map(|at| tree.get(*at)).map(|block| {
            let interval = (block.found - before) as f64 / SECOND as f64;
            before = block.found;
            ChainBlock {
                height: block.height,
                found: block.found as f64 / SECOND as f64,
                interval,
                time: block.time - START,
                bits: block.bits,
                difficulty: tries(block.bits) / first,
                miner: block.miner,
                stale: public[block.height as usize] - 1,
            }
        });
        Self {
            scenario: scenario.clone(),
            chain: chain.collect(),
            found,
            reorgs: network.reorgs,
            deepest_reorg: network.deepest,
        }
    }

    /// What was simulated.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The run in numbers, the chain in so many parts at most.
    #[must_use]
    pub fn summary(&self, sections: usize) -> Summary {
        let (blocks, found) = (self.chain.len() as u64, self.found.iter().sum::<u64>());
        let all: f64 = self.scenario.miners.iter().map(|miner| miner.share).sum();
        let mut on_chain = vec![0; self.found.len()];
        self.chain.iter().for_each(|block| on_chain[block.miner] += 1);
        let miners = self.scenario.miners.iter().zip(&self.found).zip(on_chain);
        let miner = |(i, ((miner, found), blocks)): (usize, ((&super::Miner, &u64), u64))| {
            let unnamed = || format!("miner {}", i + 1);
            MinerSummary {
                name: Some(miner.name.clone()).filter(|n| !n.is_empty()).unwrap_or_else(unnamed),
                hash_share: miner.share / all,
                chain_share: blocks as f64 / self.chain.len() as f64,
                blocks,
                stale: found - blocks,
            }
        };
        Summary {
            seed: self.scenario.seed,
            blocks,
            seconds: self.chain.last().map_or(0.0, |block| block.found),
            found,
            stale: found - blocks,
            stale_rate: (found - blocks) as f64 / found as f64,
            reorgs: self.reorgs,
            deepest_reorg: self.deepest_reorg,
            spacing: self.spacing(),
            miners: miners.enumerate().map(miner).collect(),
            sections: self.sections(sections),
        }
    }

    fn spacing(&self) -> Spacing {
        let mut times: Vec<f64> = self.chain.iter().map(|block| block.interval).collect();
        times.sort_unstable_by(f64::total_cmp);
        // The smallest time that so many hundredths do not exceed.
        let below = |hundredths: usize| times[(times.len() * hundredths).div_ceil(100).max(1) - 1];
        let planned = self.scenario.spacing;
        Spacing {
            mean: times.iter().sum::<f64>() / times.len() as f64,
            median: below(50),
            p95: below(95),
            ideal_mean: planned,
            ideal_median: planned * std::f64::consts::LN_2,
            // ln 20 = ln 2 + ln 10.
            ideal_p95: planned * (std::f64::consts::LN_2 + std::f64::consts::LN_10),
        }
    }

    fn sections(&self, most: usize) -> Vec<Section> {
        let each = self.chain.len().div_ceil(most.max(1));
        let section = |blocks: &[ChainBlock]| {
            let (first, last) = (blocks.first()?, blocks.last()?);
            let count = blocks.len() as f64;
            Some(Section {
                from: first.height,
                to: last.height,
                seconds: last.found,
                spacing: (last.found - (first.found - first.interval)) / count,
                difficulty: blocks.iter().map(|block| block.difficulty).sum::<f64>() / count,
                hash_rate: self.scenario.factor_at(last.height - 1),
            })
        };
        self.chain.chunks(each).filter_map(section).collect()
    }
}
