//! The network: who finds what when, who hears of it, and what everyone works on.

use super::random::Random;
use super::tree::{At, Tree};
use super::{Miner, SimulateError, Step, Strategy};
use crate::pow::Schedule;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A miner finds a block, unless it began anew since.
    Found { miner: usize, attempt: u64 },
    /// A miner hears of a block.
    Told { miner: usize, block: At },
}

/// What a miner does now.
#[derive(Debug)]
struct Hand {
    /// Of all work.
    share: f64,
    latency: u64,
    strategy: Strategy,
    /// What it works on.
    tip: At,
    attempt: u64,
    /// What it keeps to itself, from the lowest up.
    withheld: Vec<At>,
    /// The best block it has heard of or let others hear of.
    heard: At,
}

#[derive(Debug)]
pub(super) struct Network<'a> {
    pub(super) tree: Tree<'a>,
    random: Random,
    hands: Vec<Hand>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sent: u64,
    now: u64,
    /// Tries a second of all miners together.
    rate: f64,
    first_rate: f64,
    steps: &'a [Step],
    /// How often an honest miner changed over to another branch, and the most blocks one took off.
    pub(super) reorgs: u64,
    pub(super) deepest: u64,
}

impl<'a> Network<'a> {
    /// All miners begin on the genesis block. Shares are made to add up to one; `limit` blocks are found at most.
    pub(super) fn new(
        schedule: &'a Schedule,
        rate: f64,
        miners: &[Miner],
        steps: &'a [Step],
        limit: usize,
        mut random: Random,
    ) -> Result<Self, SimulateError> {
        let tree = Tree::new(schedule, limit, &mut random)?;
        let all: f64 = miners.iter().map(|miner| miner.share).sum();
        let hand = |miner: &Miner| Hand {
            share: miner.share / all,
            latency: nanos(miner.latency),
            strategy: miner.strategy,
            tip: 0,
            attempt: 0,
            withheld: Vec::new(),
            heard: 0,
        };
        let hands = miners.iter().map(hand).collect();
        let mut network = Self {
            tree,
            random,
            hands,
            events: BinaryHeap::new(),
            sent: 0,
            now: 0,
            rate,
            first_rate: rate,
            steps,
            reorgs: 0,
            deepest: 0,
        };
        network.change_rate(0);
        network.all_begin();
        Ok(network)
    }

    /// Lets the next thing happen; the last block that became public by it, if one did.
    pub(super) fn step(&mut self) -> Result<Option<At>, SimulateError> {
        // Every miner is at work, so something always comes next.
        let Some(Reverse((now, _, event))) = self.events.pop() else { return Ok(None) };
        let published = match event {
            Event::Found { miner, attempt } if self.hands[miner].attempt == attempt => {
                self.now = now;
                self.find(miner)?
            }
            Event::Found { .. } => None,
            Event::Told { miner, block } => {
                self.now = now;
                self.hear(miner, block)
            }
        };
        if let Some(block) = published {
            let height = self.tree.get(block).height;
            if self.change_rate(height) {
                self.all_begin();
            }
        }
        Ok(published)
    }

    /// What a miner works on.
    pub(super) fn tip(&self, miner: usize) -> At {
        self.hands[miner].tip
    }

    /// The best block that this miner has heard of.
    pub(super) fn heard(&self, miner: usize) -> At {
        self.hands[miner].heard
    }

    /// What the newest hash rate is to the first.
    fn change_rate(&mut self, height: u64) -> bool {
        let mut changed = false;
        while let Some((step, rest)) = self.steps.split_first().filter(|(s, _)| s.height <= height)
        {
            self.rate = self.first_rate * step.factor;
            self.steps = rest;
            changed = true;
        }
        changed
    }

    fn all_begin(&mut self) {
        (0..self.hands.len()).for_each(|miner| self.begin(miner));
    }

    /// A miner begins anew on its tip. Finding has no memory, so nothing is lost by drawing again.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn begin(&mut self, miner: usize) {
        let hand = &mut self.hands[miner];
        hand.attempt += 1;
        let event = Event::Found { miner, attempt: hand.attempt };
        let mean = self.tree.get(hand.tip).next_tries / (self.rate * hand.share);
        let wait = self.random.exponential() * mean * 1e9;
        self.send(wait as u64, event);
    }

    fn send(&mut self, wait: u64, event: Event) {
        self.sent += 1;
        self.events.push(Reverse((self.now.saturating_add(wait), self.sent, event)));
    }

    /// A miner finds a block; the last one that becomes public by that.
    fn find(&mut self, miner: usize) -> Result<Option<At>, SimulateError> {
        let parent = self.hands[miner].tip;
        let block = self.tree.add(parent, miner, self.now, &mut self.random)?;
        let hand = &mut self.hands[miner];
        hand.tip = block;
        hand.withheld.push(block);
        let all = hand.withheld.len();
        let publish = match hand.strategy {
            Strategy::Honest => all,
            Strategy::Withholding => 0,
            // Both branches were equal and this one decides; else a lead is kept.
            Strategy::Selfish => {
                let equal = self.tree.get(parent).height == self.tree.get(hand.heard).height;
                if equal && parent != hand.heard { all } else { 0 }
            }
        };
        let published = self.publish(miner, publish);
        self.begin(miner);
        Ok(published)
    }

    /// Lets the others hear of the lowest blocks that a miner keeps to itself.
    fn publish(&mut self, miner: usize, count: usize) -> Option<At> {
        let blocks: Vec<At> = self.hands[miner].withheld.drain(..count).collect();
        for block in &blocks {
            self.tree.get_mut(*block).public = true;
            for other in (0..self.hands.len()).filter(|other| *other != miner) {
                let wait = self.hands[miner].latency.max(self.hands[other].latency);
                self.send(wait, Event::Told { miner: other, block: *block });
            }
        }
        let last = blocks.last().copied()?;
        if self.tree.get(last).height > self.tree.get(self.hands[miner].heard).height
            || self.hands[miner].strategy == Strategy::Honest
        {
            self.hands[miner].heard = last;
        }
        Some(last)
    }

    /// A miner hears of a block; the last one that it publishes because of that.
    fn hear(&mut self, miner: usize, block: At) -> Option<At> {
        let hand = &mut self.hands[miner];
        match hand.strategy {
            Strategy::Honest => {
                if self.tree.prefers(block, hand.tip) {
                    let off = self.tree.taken_off(hand.tip, block);
                    self.reorgs += u64::from(off > 0);
                    self.deepest = self.deepest.max(off);
                    (hand.tip, hand.heard) = (block, block);
                    self.begin(miner);
                }
                None
            }
            Strategy::Withholding => {
                if self.tree.prefers(block, hand.heard) {
                    hand.heard = block;
                }
                None
            }
            Strategy::Selfish => {
                let height = |at: At| self.tree.get(at).height;
                if height(block) <= height(hand.heard) {
                    return None;
                }
                hand.heard = block;
                let count = match height(hand.tip).checked_sub(height(block)) {
                    // The others are ahead: what was kept back is lost.
                    None => {
                        hand.withheld.clear();
                        hand.tip = block;
                        self.begin(miner);
                        return None;
                    }
                    // Equal now, or one ahead: everything, to tie or to win.
                    Some(0 | 1) => hand.withheld.len(),
                    // As much as the others have.
                    Some(_) => {
                        let with = height(block);
                        hand.withheld.iter().filter(|at| height(**at) <= with).count()
                    }
                };
                self.publish(miner, count)
            }
        }
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
