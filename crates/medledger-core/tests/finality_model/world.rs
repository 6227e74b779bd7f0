//! Blocks without bytes, hospitals without keys.

use medledger_core::ids::{BlockId, ChainId, MemberId};
use medledger_core::keys::Signature;
use medledger_core::vote::{
    Ballot, BlockInfo, BlockTree, Certificate, Members, Phase, SignedVote, Target, VerifiedVote,
    Vote, VoterState,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasherDefault, Hasher};

/// A set of numbers below 128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Bits(u128);

impl Bits {
    pub(crate) fn has(&self, n: usize) -> bool {
        self.0 >> n & 1 == 1
    }

    pub(crate) fn add(&mut self, n: usize) {
        assert!(n < 128, "the model's bounds are too wide");
        self.0 |= 1 << n;
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(self.0), |bits| Some(bits & bits.wrapping_sub(1)))
            .take_while(|bits| *bits != 0)
            .map(|bits| bits.trailing_zeros() as usize)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Hashes of the keys of large maps: quick, and nobody attacks them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(n.into());
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u64(n.into());
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(n.into());
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_u128(&mut self, n: u128) {
        self.write_u64(n as u64);
        self.write_u64((n >> 64) as u64);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;

/// A block: what it builds on, who mined it, which records (one a bit) are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) parent: usize,
    pub(crate) height: u64,
    pub(crate) miner: Option<usize>,
    pub(crate) changes_set: bool,
    pub(crate) records: u64,
}

/// All blocks there are; genesis is number 0.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) blocks: Vec<Block>,
}

impl World {
    pub(crate) fn new() -> Self {
        let genesis = Block { parent: 0, height: 0, miner: None, changes_set: false, records: 0 };
        Self { blocks: vec![genesis] }
    }

    /// The number of the block that `miner` mines on `parent`, the same one each time.
    pub(crate) fn mine(&mut self, parent: usize, miner: usize, records: u64) -> usize {
        let height = self.blocks[parent].height + 1;
        let block = Block { parent, height, miner: Some(miner), changes_set: false, records };
        if let Some(known) = self.blocks.iter().position(|known| *known == block) {
            return known;
        }
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// Whether `block` is `below` or above it.
    pub(crate) fn descends(&self, mut block: usize, below: usize) -> bool {
        while self.blocks[block].height > self.blocks[below].height {
            block = self.blocks[block].parent;
        }
        block == below
    }

    pub(crate) fn conflict(&self, a: &Target, b: &Target) -> bool {
        let (a, b) = (number(&a.block), number(&b.block));
        !self.descends(a, b) && !self.descends(b, a)
    }

    /// The newest block of the longest branch that contains `anchor`, among those known; ties go to the lower id.
    pub(crate) fn best_tip(&self, known: &Bits, anchor: &Target) -> Option<usize> {
        let below = number(&anchor.block);
        let above = known.iter().filter(|block| self.descends(*block, below));
        above.max_by_key(|block| (self.blocks[*block].height, std::cmp::Reverse(id(*block))))
    }
}

/// The id of a block: in no order of their numbers, so that ties fall either way.
pub(crate) fn id(block: usize) -> BlockId {
    let mut bytes = [0; 32];
    bytes[0] = (block * 101 % 256) as u8;
    bytes[1..3].copy_from_slice(&(block as u16).to_be_bytes());
    BlockId::from_bytes(bytes)
}

pub(crate) fn number(id: &BlockId) -> usize {
    usize::from(u16::from_be_bytes([id.as_bytes()[1], id.as_bytes()[2]]))
}

pub(crate) fn hospital(number: usize) -> MemberId {
    MemberId::from_bytes([number as u8; 16])
}

pub(crate) fn members(hospitals: usize, set: usize) -> Members {
    let ids = (0..hospitals).map(|number| (hospital(number), Vec::new()));
    Members::new(ChainId::from(id(0)), id(set), ids)
}

/// The blocks that one hospital has.
pub(crate) struct Seen<'a> {
    pub(crate) world: &'a World,
    pub(crate) known: Bits,
}

impl BlockTree for Seen<'_> {
    type Error = Infallible;

    fn block(&self, id: &BlockId) -> Result<Option<BlockInfo>, Infallible> {
        let number = number(id);
        if !self.known.has(number) {
            return Ok(None);
        }
        let block = &self.world.blocks[number];
        Ok(Some(BlockInfo {
            height: block.height,
            parent: self::id(block.parent),
            miner: block.miner.map(hospital),
            changes_set: block.changes_set,
        }))
    }
}

/// A vote as if verified: the model is about what is voted, not about signatures.
pub(crate) fn verified(vote: Vote) -> VerifiedVote {
    VerifiedVote::trusted(SignedVote::new(vote, Signature::from_bytes([0; 64])))
}

/// Votes of the first `count` hospitals for a ballot. Which ones they are and what sources they name makes no
/// difference to whoever counts them.
pub(crate) fn votes_of(members: &Members, phase: Phase, ballot: Ballot) -> Vec<SignedVote> {
    let (chain, set) = (members.chain(), members.set());
    let vote =
        |voter: &MemberId| *verified(Vote { chain, set, voter: *voter, phase, ballot }).signed();
    members.ids().take(members.quorum()).map(vote).collect()
}

/// The state with certificates that differ only where it makes no difference.
pub(crate) fn canonical(members: &Members, mut state: VoterState) -> VoterState {
    let renew = |certificate: &mut Option<Certificate>, phase| {
        if let Some(known) = certificate {
            *known = Certificate::new(votes_of(members, phase, known.ballot())).unwrap();
        }
    };
    renew(&mut state.justified, Phase::Prevote { source: None });
    renew(&mut state.decided, Phase::Precommit);
    state
}
