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

/// A set of numbers below 256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Bits([u128; 2]);

impl Bits {
    pub(crate) fn has(&self, n: usize) -> bool {
        self.0[n / 128] >> (n % 128) & 1 == 1
    }

    pub(crate) fn add(&mut self, n: usize) {
        assert!(n < 256, "the model's bounds are too wide");
        self.0[n / 128] |= 1 << (n % 128);
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let of_half = |half: usize, bits: u128| {
            std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)))
                .take_while(|bits| *bits != 0)
                .map(move |bits| 128 * half + bits.trailing_zeros() as usize)
        };
        of_half(0, self.0[0]).chain(of_half(1, self.0[1]))
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self([0, 1].map(|half| self.0[half] & !other.0[half]))
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

/// A block: what it builds on, who mined it, which records (one a bit) are in it, who the hospitals are after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) parent: usize,
    pub(crate) height: u64,
    pub(crate) miner: Option<usize>,
    pub(crate) records: u64,
    /// One bit for each hospital.
    pub(crate) hospitals: u8,
    /// The block that made these the hospitals: itself, if it changed them.
    pub(crate) set: usize,
}

/// All blocks there are; genesis is number 0.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) blocks: Vec<Block>,
}

impl World {
    /// Genesis, founded by the first so many hospitals.
    pub(crate) fn new(founders: usize) -> Self {
        Self::founded_by(0..founders)
    }

    /// Genesis, founded by these.
    pub(crate) fn founded_by(founders: impl IntoIterator<Item = usize>) -> Self {
        let hospitals = founders.into_iter().fold(0, |all, who| all | 1 << who);
        let genesis = Block { parent: 0, height: 0, miner: None, records: 0, hospitals, set: 0 };
        Self { blocks: vec![genesis] }
    }

    /// The number of the block that `miner` mines on `parent`, the same one each time.
    pub(crate) fn mine(&mut self, parent: usize, miner: usize, records: u64) -> usize {
        let below = self.blocks[parent];
        let height = below.height + 1;
        self.put(Block { parent, height, miner: Some(miner), records, ..below })
    }

    /// The same with a record that admits the hospital `other`, or expels it if it is one.
    pub(crate) fn change(&mut self, parent: usize, miner: usize, other: usize) -> usize {
        let below = self.blocks[parent];
        let (height, hospitals) = (below.height + 1, below.hospitals ^ 1 << other);
        let set = self.blocks.len();
        self.put(Block { parent, height, miner: Some(miner), records: 0, hospitals, set })
    }

    fn put(&mut self, block: Block) -> usize {
        let same = |known: &Block| {
            (known.parent, known.miner, known.records, known.hospitals)
                == (block.parent, block.miner, block.records, block.hospitals)
        };
        if let Some(known) = self.blocks.iter().position(same) {
            return known;
        }
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// Whether other hospitals are members after this block than before it.
    pub(crate) fn changes_set(&self, block: usize) -> bool {
        block != 0 && self.blocks[block].set == block
    }

    /// The block that made those the hospitals who judge and decide this one.
    pub(crate) fn set_before(&self, block: usize) -> usize {
        self.blocks[self.blocks[block].parent].set
    }

    /// Whether this hospital is one in the state after a block, and so may mine on it.
    pub(crate) fn is_hospital(&self, who: usize, block: usize) -> bool {
        self.blocks[block].hospitals >> who & 1 == 1
    }

    /// The hospitals since the block `set`, as voters.
    pub(crate) fn members(&self, set: usize) -> Members {
        let all = (0..8).filter(|who| self.is_hospital(*who, set));
        Members::new(ChainId::from(id(0)), id(set), all.map(|who| (hospital(who), Vec::new())))
    }

    pub(crate) fn target(&self, block: usize) -> Target {
        Target { height: self.blocks[block].height, block: id(block) }
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
            changes_set: self.world.changes_set(number),
        }))
    }

    fn highest(&self) -> Result<u64, Infallible> {
        Ok(self.known.iter().map(|block| self.world.blocks[block].height).max().unwrap_or(0))
    }
}

/// The same without a word about hospitals that come and go.
pub(crate) struct Unchanging<'a>(pub(crate) Seen<'a>);

impl BlockTree for Unchanging<'_> {
    type Error = Infallible;

    fn block(&self, id: &BlockId) -> Result<Option<BlockInfo>, Infallible> {
        let Ok(found) = self.0.block(id);
        Ok(found.map(|block| BlockInfo { changes_set: false, ..block }))
    }

    fn highest(&self) -> Result<u64, Infallible> {
        self.0.highest()
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
