//! The rules of the chain: whether a block may follow another.
//!
//! A judgement is a pure function of the chain so far, the block and the present time. Each broken
//! rule is an error of its own. Faults of the header and its ancestors condemn the header hash;
//! faults of body or signature only the node that carries it; a time too early condemns nothing yet.

mod headers;

pub use headers::{HeaderChain, HeaderFault};

use crate::Cid;
use crate::block::{self, Block, SignedHeader};
use crate::clock::Timestamp;
use crate::genesis::{Consensus, Genesis};
use crate::ids::{BlockId, BlockRoot, ChainId, MemberId};
use crate::pow::{Bits, Header, Schedule, Target, Work, median_time_at};
use crate::record::SignedRecord;
use crate::registry::{Role, VoidCode, limit};
use crate::state::{ApplyError, At, Changes, ReadOnce, Signatures, State, StateRead, apply};
use crate::store::{StoreError, StoredBlock, View};

/// A rule of the header that is broken; visible in its 80 bytes and its ancestors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The header builds on another block.
    #[error("the header builds on {found}, not on {expected}")]
    Previous {
        /// Id of the block below.
        expected: BlockId,
        /// What the header says.
        found: BlockId,
    },
    /// The difficulty is not the one the schedule demands.
    #[error("the header's bits are {found}, the schedule demands {expected}")]
    Bits {
        /// What the schedule demands.
        expected: Bits,
        /// What the header says.
        found: Bits,
    },
    /// Easier than any block of this chain may be.
    #[error("the header's bits are {found}, no block of this chain may be easier than {floor}")]
    Floor {
        /// The easiest that the schedule ever demands.
        floor: Bits,
        /// What the header says.
        found: Bits,
    },
    /// The hash is above the target.
    #[error("the hash {id} does not meet the target of {bits}")]
    Work {
        /// The header's hash.
        id: BlockId,
        /// The difficulty it should meet.
        bits: Bits,
    },
    /// The time is not after the median of the last eleven.
    #[error("the header's time {found} is not after the median time {median}")]
    TooOld {
        /// Median time of the last eleven blocks.
        median: Timestamp,
        /// What the header says.
        found: Timestamp,
    },
    /// The time is too far ahead; the header may be judged again later.
    #[error("the header's time {found} is more than two hours ahead of {now}: deferred")]
    TooEarly {
        /// The present time.
        now: Timestamp,
        /// What the header says.
        found: Timestamp,
    },
}

/// A rule of the block that is broken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// In the header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The descriptor is for another place.
    #[error("the descriptor says {what}, which is not where this block stands")]
    Descriptor {
        /// Chain, height or parent.
        what: &'static str,
    },
    /// The miner is no registered hospital.
    #[error("the miner {0} is not a registered hospital")]
    NotAHospital(MemberId),
    /// The same hospital mined too recently.
    #[error("the miner {miner} must let {diversity} blocks of others pass")]
    Diversity {
        /// The miner.
        miner: MemberId,
        /// Blocks that must lie between.
        diversity: u32,
    },
    /// The signature is not of a mining key of that hospital.
    #[error("the block's signature does not verify under a mining key of {0}")]
    Signature(MemberId),
    /// The root is not that of descriptor and records.
    #[error("the header's root is {found}, that of the block's leaves is {expected}")]
    Root {
        /// Root of the leaves.
        expected: BlockRoot,
        /// What the header says.
        found: BlockRoot,
    },
    /// More than this chain allows.
    #[error("the block has {found} {what}, this chain allows {max}")]
    TooLarge {
        /// Records or bytes.
        what: &'static str,
        /// What was found.
        found: u64,
        /// The most allowed.
        max: u64,
    },
    /// A record takes no effect.
    #[error("record {index} takes no effect: {code}")]
    Void {
        /// Place of the record, from 0.
        index: usize,
        /// Why.
        code: VoidCode,
    },
    /// The chain so far could not be read; this says nothing about the block.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a chain is, apart from its blocks.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The chain's id.
    pub chain: ChainId,
    /// Its configuration.
    pub genesis: Genesis,
}

/// Records of a block from which on it pays to have others look at signatures while the records are judged.
const ALONGSIDE: usize = 512;

/// A block that keeps every rule, with what it changes. Only [`Rules::check_block`] makes one out of a
/// [`Block`], which is nothing but what came; whatever writes a block asks for this.
///
/// It borrows the block, so that what was judged cannot be changed afterwards.
#[derive(Clone, Debug)]
pub struct Checked<'a> {
    block: &'a Block,
    stored: StoredBlock,
    changes: Changes,
}

impl<'a> Checked<'a> {
    /// The block.
    #[must_use]
    pub const fn block(&self) -> &'a Block {
        self.block
    }

    /// The block as a store keeps it.
    #[must_use]
    pub const fn stored(&self) -> &StoredBlock {
        &self.stored
    }

    /// What its records change in the state.
    #[must_use]
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(crate) fn into_parts(self) -> (StoredBlock, Changes) {
        (self.stored, self.changes)
    }
}

impl Rules {
    /// The rules of the chain that begins with this header and configuration.
    ///
    /// # Errors
    /// When the header is not that of the configuration, or lacks the work it demands.
    pub fn new(header: &Header, genesis: Genesis) -> Result<Self, BlockError> {
        let expected = genesis.root();
        if header.root != expected {
            return Err(BlockError::Root { expected, found: header.root });
        }
        let zero = BlockId::from_bytes([0; 32]);
        if header.previous != zero {
            return Err(HeaderError::Previous { expected: zero, found: header.previous }.into());
        }
        let rules = Self { chain: header.id().into(), genesis };
        rules.check_work(header, rules.genesis.first_bits())?;
        Ok(rules)
    }

    /// The difficulty of the block after `tip`; `view` has the blocks below it, on its own branch.
    ///
    /// # Errors
    /// When the store fails.
    pub fn next_bits(&self, view: &dyn View, tip: &StoredBlock) -> Result<Bits, StoreError> {
        match &self.genesis.consensus {
            Consensus::Work(schedule) => {
                schedule.next_bits(&tip.signed.header, tip.height, &headers_of(view))
            }
            Consensus::Log => Ok(Bits::NO_WORK),
        }
    }

    fn check_work(&self, header: &Header, expected: Bits) -> Result<(), HeaderError> {
        if header.bits != expected {
            return Err(HeaderError::Bits { expected, found: header.bits });
        }
        self.check_work_done(header)
    }

    fn check_work_done(&self, header: &Header) -> Result<(), HeaderError> {
        if matches!(self.genesis.consensus, Consensus::Work(_)) && !header.meets_target() {
            return Err(HeaderError::Work { id: header.id(), bits: header.bits });
        }
        Ok(())
    }

    /// Whether a header on its own has the work the chain demands; for schedules that depend on the
    /// blocks below, only that its own difficulty is one they may demand, and is met.
    ///
    /// # Errors
    /// When it has not.
    pub(crate) fn check_work_of(&self, header: &Header) -> Result<(), HeaderError> {
        match &self.genesis.consensus {
            Consensus::Work(schedule) if schedule.may_demand(header.bits) => {
                self.check_work_done(header)
            }
            Consensus::Work(Schedule::Bitcoin { floor, .. } | Schedule::Asert { floor, .. }) => {
                Err(HeaderError::Floor { floor: *floor, found: header.bits })
            }
            _ => self.check_work(header, self.genesis.first_bits()),
        }
    }

    /// Work of one block of this difficulty; zero where no work is done.
    #[must_use]
    pub fn work(&self, bits: Bits) -> Work {
        match Target::from_bits(bits) {
            Ok(target) if matches!(self.genesis.consensus, Consensus::Work(_)) => target.work(),
            _ => Work::ZERO,
        }
    }

    /// Where the records of the block after `tip` are judged.
    #[must_use]
    pub fn at(&self, tip: &StoredBlock) -> At {
        At {
            chain: self.chain,
            height: tip.height + 1,
            median_time: tip.median_time,
            max_grant_seconds: self.genesis.limits.grant_seconds,
        }
    }

    /// Whether a header may follow `tip`; `view` has the blocks below that one, on its own branch.
    ///
    /// # Errors
    /// The first rule that is broken; a failure of the store says nothing about the header.
    pub fn check_header(
        &self,
        view: &dyn View,
        tip: &StoredBlock,
        header: &Header,
        now: Timestamp,
    ) -> Result<(), BlockError> {
        if header.previous != tip.id {
            let found = header.previous;
            return Err(HeaderError::Previous { expected: tip.id, found }.into());
        }
        self.check_work(header, self.next_bits(view, tip)?)?;
        Ok(check_time(header.time, tip.median_time, now)?)
    }

    /// Judges a block that would follow the newest one of `view`, header first.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_block<'a>(
        &self,
        view: &dyn View,
        block: &'a Block,
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<Checked<'a>, BlockError> {
        let tip = tip(view)?;
        self.check_frame(view, &tip, block, now)?;
        let below = ReadOnce::new(view);
        let mut changes = Changes::default();
        let at = self.at(&tip);
        let mut fold = |record: &SignedRecord, signatures: &mut dyn Signatures| {
            let new = apply(&changes.over(&below), record, &at, signatures)?;
            changes.extend(new);
            Ok(())
        };
        if block.records.len() < ALONGSIDE {
            Self::check_records(block, signatures, &mut fold)?;
        } else {
            let mut judged = Ok(());
            signatures.alongside(&mut |signatures| {
                judged = Self::check_records(block, signatures, &mut fold);
            });
            judged?;
        }
        let stored = self.stored(view, &tip, block, block.to_nodes().root.0)?;
        Ok(Checked { block, stored, changes })
    }

    /// Judges what can be judged of a block that would follow `tip` before its records; `view` has the blocks up to
    /// `tip` and the state after it.
    pub(crate) fn check_frame(
        &self,
        view: &dyn View,
        tip: &StoredBlock,
        block: &Block,
        now: Timestamp,
    ) -> Result<(), BlockError> {
        self.check_header(view, tip, &block.header, now)?;
        self.check_place(tip, block)?;
        // The parent's state decides: a block cannot admit its own miner.
        self.check_signer(view, block)?;
        self.check_turn(view, tip, &block.descriptor.miner)?;
        self.check_body(block)
    }

    /// Folds the records of a block in their order: `fold` applies each to the state after those before it.
    pub(crate) fn check_records(
        block: &Block,
        signatures: &mut dyn Signatures,
        fold: &mut dyn FnMut(&SignedRecord, &mut dyn Signatures) -> Result<(), ApplyError>,
    ) -> Result<(), BlockError> {
        // Of two faults the first one counts, though signatures may be looked at last.
        let blame = |signatures: &mut dyn Signatures| {
            let code = VoidCode::BadSignature;
            signatures.settle().map_err(|index| BlockError::Void { index, code })
        };
        for (index, record) in block.records.iter().enumerate() {
            match fold(record, signatures) {
                Ok(()) => {}
                Err(ApplyError::Void(code)) => {
                    blame(signatures)?;
                    return Err(BlockError::Void { index, code });
                }
                Err(ApplyError::Store(error)) => return Err(error.into()),
            }
        }
        blame(signatures)
    }

    /// Whether the descriptor is for the place after `tip`.
    pub(crate) fn check_place(&self, tip: &StoredBlock, block: &Block) -> Result<(), BlockError> {
        let descriptor = &block.descriptor;
        let wrong = |what| Err(BlockError::Descriptor { what });
        if descriptor.chain != self.chain {
            return wrong("another chain");
        }
        if descriptor.height != tip.height + 1 {
            return wrong("another height");
        }
        if descriptor.parent != tip.node {
            return wrong("another parent node");
        }
        Ok(())
    }

    /// Whether a hospital of this state signed the block.
    pub(crate) fn check_signer(
        &self,
        state: &dyn StateRead,
        block: &Block,
    ) -> Result<(), BlockError> {
        let miner = block.descriptor.miner;
        let member = State::new(state)
            .member(&miner)?
            // One that was expelled has no mining key left.
            .filter(|member| member.role == Role::Hospital && !member.mining.is_empty())
            .ok_or(BlockError::NotAHospital(miner))?;
        let id = block.id();
        let signed = |key| block::verify_header(key, &self.chain, &id, &block.signature).is_ok();
        if member.mining.iter().any(signed) { Ok(()) } else { Err(BlockError::Signature(miner)) }
    }

    /// Whether enough blocks of others lie between the miner's last block and one after `tip`.
    pub(crate) fn check_turn(
        &self,
        view: &dyn View,
        tip: &StoredBlock,
        miner: &MemberId,
    ) -> Result<(), BlockError> {
        let diversity = self.genesis.diversity;
        for back in 0..u64::from(diversity) {
            let Some(height) = tip.height.checked_sub(back) else { break };
            let below = view.block(height)?.and_then(|block| block.descriptor);
            if below.is_some_and(|below| below.miner == *miner) {
                return Err(BlockError::Diversity { miner: *miner, diversity });
            }
        }
        Ok(())
    }

    /// Whether the root is that of descriptor and records, and their number and size allowed.
    pub(crate) fn check_body(&self, block: &Block) -> Result<(), BlockError> {
        let expected = block.root();
        if block.header.root != expected {
            return Err(BlockError::Root { expected, found: block.header.root });
        }
        let limits = &self.genesis.limits;
        within("records", block.records.len() as u64, limits.block_records)?;
        let bytes = block.records.iter().map(|record| record.as_bytes().len() as u64).sum();
        within("bytes of records", bytes, limits.block_bytes)
    }

    /// A block that follows `tip`, as a store keeps it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn stored(
        &self,
        view: &dyn View,
        tip: &StoredBlock,
        block: &Block,
        node: Cid,
    ) -> Result<StoredBlock, StoreError> {
        let median = median_time_at(&block.header, tip.height + 1, &headers_of(view))?;
        Ok(StoredBlock {
            signed: SignedHeader { header: block.header, signature: Some(block.signature) },
            descriptor: Some(block.descriptor),
            height: tip.height + 1,
            id: block.id(),
            node,
            records: u32::try_from(block.records.len()).unwrap_or(u32::MAX),
            median_time: Timestamp::from_secs(u64::from(median)),
            chain_work: tip.chain_work.saturating_add(self.work(block.header.bits)),
        })
    }

    /// A block whose parent is not known, as far as it goes.
    pub(crate) fn stored_orphan(&self, block: &Block, node: Cid) -> StoredBlock {
        StoredBlock {
            signed: SignedHeader { header: block.header, signature: Some(block.signature) },
            descriptor: Some(block.descriptor),
            height: block.descriptor.height,
            id: block.id(),
            node,
            records: u32::try_from(block.records.len()).unwrap_or(u32::MAX),
            median_time: Timestamp::from_secs(0),
            chain_work: Work::ZERO,
        }
    }

    /// The genesis block, as a store keeps it.
    #[must_use]
    pub fn stored_genesis(&self, header: &Header) -> StoredBlock {
        StoredBlock {
            signed: SignedHeader { header: *header, signature: None },
            descriptor: None,
            height: 0,
            id: header.id(),
            node: block::genesis_node(header, &self.genesis).0,
            records: 0,
            median_time: Timestamp::from_secs(u64::from(header.time)),
            chain_work: self.work(header.bits),
        }
    }

    /// The header a genesis block would have at this time, its nonce still to be found.
    #[must_use]
    pub fn genesis_header(genesis: &Genesis, now: Timestamp) -> Header {
        Header {
            version: Header::VERSION,
            previous: BlockId::from_bytes([0; 32]),
            root: genesis.root(),
            time: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
            bits: genesis.first_bits(),
            nonce: 0,
        }
    }
}

/// Whether a header's time is after the median of the last eleven, and not too far ahead.
fn check_time(time: u32, median: Timestamp, now: Timestamp) -> Result<(), HeaderError> {
    let found = Timestamp::from_secs(u64::from(time));
    if found <= median {
        return Err(HeaderError::TooOld { median, found });
    }
    if found > now.plus(limit::FUTURE_BLOCK_SECONDS) {
        return Err(HeaderError::TooEarly { now, found });
    }
    Ok(())
}

fn within(what: &'static str, found: u64, max: u32) -> Result<(), BlockError> {
    let max = u64::from(max);
    if found > max { Err(BlockError::TooLarge { what, found, max }) } else { Ok(()) }
}

/// The newest block; a ledger always has one.
///
/// # Errors
/// When the store fails or holds no block.
pub fn tip(view: &dyn View) -> Result<StoredBlock, StoreError> {
    view.tip()?.ok_or_else(|| StoreError::Damaged("there is no genesis block".into()))
}

/// The block at a height up to the tip's.
///
/// # Errors
/// When the store fails or lacks it.
pub fn block_at(view: &dyn View, height: u64) -> Result<StoredBlock, StoreError> {
    view.block(height)?.ok_or_else(|| StoreError::Damaged(format!("block {height} is missing")))
}

/// The headers of the chain that a view shows, by height.
pub fn headers_of(view: &dyn View) -> impl Fn(u64) -> Result<Header, StoreError> + '_ {
    |height| Ok(block_at(view, height)?.signed.header)
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod tests;
