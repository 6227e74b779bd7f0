//! All blocks that were found, with what the rules of the chain say about each.

use super::SimulateError;
use super::random::Random;
use crate::ids::{BlockId, BlockRoot};
use crate::pow::{Bits, Header, Schedule, Target, Work, best_first, median_time_at};
use primitive_types::{U256, U512};
use std::cell::Cell;
use std::convert::Infallible;

/// The time of the first block, in seconds of the Unix epoch: that of headers counts from there.
pub(super) const START: u32 = 1_800_000_000;

/// Nanoseconds in a second: what the simulation counts time in.
pub(super) const SECOND: u64 = 1_000_000_000;

/// The place of a block in the tree.
pub(super) type At = usize;

/// A block without its records.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) parent: At,
    pub(super) height: u64,
    pub(super) time: u32,
    pub(super) bits: Bits,
    pub(super) id: BlockId,
    /// Of the chain that ends here.
    pub(super) work: Work,
    pub(super) miner: usize,
    /// When it was found, in nanoseconds from the start.
    pub(super) found: u64,
    /// Set once others may know it.
    pub(super) public: bool,
    next_bits: Bits,
    /// Tries it takes on average to find the next one.
    pub(super) next_tries: f64,
    /// The earliest time the next one may bear.
    earliest: u32,
}

#[derive(Debug)]
pub(super) struct Tree<'a> {
    schedule: &'a Schedule,
    blocks: Vec<Block>,
    /// The most blocks, stale ones too: what keeps it within memory.
    limit: usize,
}

impl<'a> Tree<'a> {
    /// A tree of nothing but the genesis block.
    pub(super) fn new(
        schedule: &'a Schedule,
        limit: usize,
        random: &mut Random,
    ) -> Result<Self, SimulateError> {
        schedule.check()?;
        let bits = schedule.genesis_bits();
        let target = target_of(bits);
        let genesis = Block {
            parent: 0,
            height: 0,
            time: START,
            bits,
            id: draw_id(target, random),
            work: target.work(),
            miner: usize::MAX,
            found: 0,
            public: true,
            next_bits: bits,
            next_tries: 0.0,
            earliest: 0,
        };
        let mut tree = Self { schedule, blocks: vec![genesis], limit };
        tree.look_ahead(0);
        Ok(tree)
    }

    pub(super) fn get(&self, at: At) -> &Block {
        &self.blocks[at]
    }

    pub(super) fn get_mut(&mut self, at: At) -> &mut Block {
        &mut self.blocks[at]
    }

    /// All blocks, as they were found.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Adds a block that `miner` finds now on top of `parent`.
    pub(super) fn add(
        &mut self,
        parent: At,
        miner: usize,
        now: u64,
        random: &mut Random,
    ) -> Result<At, SimulateError> {
        if self.blocks.len() > self.limit {
            return Err(SimulateError::TooManyFound { limit: self.limit });
        }
        let below = &self.blocks[parent];
        let height = below.height + 1;
        let out_of_time = SimulateError::OutOfTime { height };
        let clock = u64::from(START) + now / SECOND;
        let clock = u32::try_from(clock).map_err(|_| out_of_time.clone())?;
        // What an honest miner writes: its clock, but never what the rules refuse.
        let time = clock.max(below.earliest);
        if time == u32::MAX {
            return Err(out_of_time);
        }
        let bits = below.next_bits;
        let target = target_of(bits);
        let block = Block {
            parent,
            height,
            time,
            bits,
            id: draw_id(target, random),
            work: below.work.saturating_add(target.work()),
            miner,
            found: now,
            public: false,
            next_bits: bits,
            next_tries: 0.0,
            earliest: 0,
        };
        let at = self.blocks.len();
        self.blocks.push(block);
        self.look_ahead(at);
        Ok(at)
    }

    /// Whether fork choice prefers `a` to `b`.
    pub(super) fn prefers(&self, a: At, b: At) -> bool {
        let of = |at: At| (self.blocks[at].work, &self.blocks[at].id);
        best_first(of(a), of(b)).is_lt()
    }

    /// How many blocks are taken off when the best chain ends in `to` instead of `from`.
    pub(super) fn taken_off(&self, from: At, to: At) -> u64 {
        let (mut a, mut b) = (from, to);
        while a != b {
            if self.blocks[a].height >= self.blocks[b].height {
                a = self.blocks[a].parent;
            } else {
                b = self.blocks[b].parent;
            }
        }
        self.blocks[from].height - self.blocks[a].height
    }

    /// The chain that ends in `tip`, without the genesis block, from the lowest up.
    pub(super) fn chain(&self, tip: At) -> Vec<At> {
        let mut chain: Vec<At> =
            std::iter::successors(Some(tip), |at| Some(self.blocks[*at].parent))
                .take_while(|at| *at != 0)
                .collect();
        chain.reverse();
        chain
    }

    fn header(&self, at: At) -> Header {
        let block = &self.blocks[at];
        Header {
            version: 0x2000_0000,
            previous: self.blocks[block.parent].id,
            root: BlockRoot::from_bytes([0; 32]),
            time: block.time,
            bits: block.bits,
            nonce: 0,
        }
    }

    /// Asks the rules of the chain what the block after this one must be like.
    fn look_ahead(&mut self, at: At) {
        let (height, header) = (self.blocks[at].height, self.header(at));
        // They ask from the top down, so each step begins where the last one ended.
        let last = Cell::new(at);
        let below = |height: u64| -> Result<Header, Infallible> {
            if height == 0 {
                return Ok(self.header(0));
            }
            let mut from = if self.blocks[last.get()].height >= height { last.get() } else { at };
            while self.blocks[from].height > height {
                from = self.blocks[from].parent;
            }
            last.set(from);
            Ok(self.header(from))
        };
        let Ok(median) = median_time_at(&header, height, &below);
        let Ok(bits) = self.schedule.next_bits(&header, height, &below);
        let block = &mut self.blocks[at];
        block.next_bits = bits;
        block.next_tries = target_of(bits).work().to_f64();
        block.earliest = median.saturating_add(1);
    }
}

/// The target of bits that a schedule demands, which are always some.
fn target_of(bits: Bits) -> Target {
    Target::from_bits(bits).unwrap_or(Target::DIFFICULTY_1)
}

/// The id of a block: any number that meets the target is as likely as another.
fn draw_id(target: Target, random: &mut Random) -> BlockId {
    let any = U256(std::array::from_fn(|_| random.next()));
    let below = U512::from(U256::from_big_endian(&target.to_be_bytes())) + 1;
    let drawn: U512 = (U512::from(any) * below) >> 256;
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&drawn.to_little_endian()[..32]);
    BlockId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_meet_their_target_and_fill_it() {
        let mut random = Random::new(1, 0);
        for bits in [0x207f_ffff, 0x1d00_ffff, 0x1700_ffff] {
            let target = Target::from_bits(Bits::from_u32(bits)).unwrap();
            let ids: Vec<BlockId> = (0..1000).map(|_| draw_id(target, &mut random)).collect();
            assert!(ids.iter().all(|id| target.is_met_by(id)), "{bits:x}");
            // Twice as hard is met by one half.
            let half = Target::from_expected_tries(target.expected_tries() * 2);
            let met = ids.iter().filter(|id| half.is_met_by(id)).count();
            assert!((400..600).contains(&met), "{bits:x}: {met}");
        }
    }

    #[test]
    fn blocks_taken_off_are_counted_from_where_the_branches_part() {
        let schedule = Schedule::fixed(Target::from_expected_tries(1000));
        let mut random = Random::new(1, 0);
        let mut tree = Tree::new(&schedule, 100, &mut random).unwrap();
        let mut add = |parent| tree.add(parent, 0, SECOND, &mut random).unwrap();
        let a = add(0);
        let (b, x) = (add(a), add(a));
        let (c, y) = (add(b), add(x));
        let z = add(y);
        assert_eq!(tree.taken_off(c, z), 2);
        assert_eq!(tree.taken_off(z, c), 3);
        assert_eq!(tree.taken_off(a, z), 0);
        assert_eq!(tree.chain(z), [a, x, y, z]);
        assert!(tree.prefers(z, c) && !tree.prefers(c, z));
        assert_eq!(tree.prefers(b, x), tree.get(b).id != tree.get(x).id && !tree.prefers(x, b));
        // Found in the same second, but each later than the median of those below.
        assert_eq!([a, x, y, z].map(|at| tree.get(at).time - START), [1, 2, 2, 3]);
    }
}
