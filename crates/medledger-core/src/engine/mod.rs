//! What puts records in order: the seam between use cases and consensus.
//!
//! Two engines ship here: [`PowEngine`], the proof-of-work chain, and [`LogEngine`], a single writer
//! that signs blocks without work, which serves as the baseline that proof of work is measured
//! against. Both judge records by the same fold and store the same blocks.
//!
//! A record is **accepted** when [`Engine::submit`] took it in a unit of work that was committed,
//! **mined** when [`Engine::order`] put it in a block, **final** when a checkpoint that a quorum of
//! hospitals signed covers that block. An accepted record ends mined or refused, and says so.

mod beat;
mod blocks;
mod chain;
mod draft;
mod guests;
pub(crate) mod mempool;
#[cfg(test)]
mod mempool_tests;
mod subject;
mod take_in;
#[cfg(test)]
mod tests;

pub use blocks::{BlockEngine, LogEngine, NoWork, PowEngine, Work};
pub use chain::EngineChain;
pub use draft::Draft;
pub use mempool::Taken;
pub(crate) use mempool::check_notes;
pub use subject::describe;

use crate::block::Block;
use crate::chain::BlockError;
use crate::clock::{Clock, Timestamp};
use crate::finality::ballots::Cast;
use crate::ids::{BlockId, ChainId, MemberId, RecordId};
use crate::keys::SigningKey;
use crate::pow::Workers;
use crate::record::SignedRecord;
use crate::registry::VoidCode;
use crate::state::{SignatureCheck, Signatures, StateRead};
use crate::store::{Store, StoreError, StoredBlock, Unit, View};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What an engine says of a record it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The record.
    pub id: RecordId,
    /// Its place in the queue.
    pub seq: u64,
}

/// A place in the order of records: after `index` records of the block at `height`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Height of the block.
    pub height: u64,
    /// Place within the block, from 0.
    pub index: u32,
}

/// A record in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Where it stands.
    pub position: Position,
    /// The record.
    pub record: SignedRecord,
}

/// How sure the place of a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// There is no such block yet.
    Unknown,
    /// In the best chain, but not covered by a checkpoint of a quorum.
    Mined,
    /// Covered by a checkpoint that a quorum of hospitals signed.
    Final {
        /// Blocks the checkpoint covers.
        size: u64,
    },
}

/// Why records were not accepted; none of them was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// A record would take no effect after those accepted before it.
    #[error("record {id} was refused: {code} (code {number})", number = .code.code())]
    Refused {
        /// The record.
        id: RecordId,
        /// Why.
        code: VoidCode,
    },
    /// A record has more bytes than any block would take.
    #[error("record {id} has {found} bytes, at most {max} are allowed")]
    TooLarge {
        /// The record.
        id: RecordId,
        /// Its bytes.
        found: usize,
        /// The most allowed.
        max: usize,
    },
    /// The store failed; this says nothing about the records.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why waiting records were not put in order; they go on waiting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The work was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// This node has no hospital's key to sign blocks with.
    #[error("this node has no mining key of a registered hospital")]
    NoMiningKey,
    /// Other hospitals have to mine before this one may again.
    #[error("{diversity} blocks of other hospitals must come before the next one of this hospital")]
    NotOurTurn {
        /// Blocks that must lie between.
        diversity: u32,
    },
    /// The clock of this machine is behind the chain by more than a miner may run ahead of it.
    #[error("this machine's clock shows {now}, but the next block must be later than {median}")]
    ClockBehind {
        /// The present time.
        now: crate::clock::Timestamp,
        /// Median time the next block must exceed.
        median: crate::clock::Timestamp,
    },
    /// The block just made breaks a rule: a bug of ours.
    #[error("internal error, please report: the block just made breaks a rule: {0}")]
    Invalid(BlockError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The key a hospital signs blocks and checkpoints with.
#[derive(Debug)]
pub struct MiningKey {
    /// The hospital.
    pub hospital: MemberId,
    /// The key.
    pub key: SigningKey,
}

/// What one step of ordering may use.
pub struct OrderJob<'a> {
    /// The present time.
    pub clock: &'a dyn Clock,
    /// Who searches.
    pub workers: &'a dyn Workers,
    /// Set to stop; the step then ends at once with [`OrderError::Cancelled`].
    pub cancel: &'a AtomicBool,
    /// Counts hashes tried, for progress.
    pub tried: &'a AtomicU64,
    /// Whether to make a block though no record waits.
    pub empty: bool,
}

impl std::fmt::Debug for OrderJob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderJob").field("empty", &self.empty).finish_non_exhaustive()
    }
}

/// What one step of ordering did.
#[derive(Clone, Debug)]
pub struct Mined {
    /// The block as stored.
    pub stored: StoredBlock,
    /// The block itself.
    pub block: Block,
    /// Records that could no longer take effect, with the reason.
    pub refused: Vec<(RecordId, VoidCode)>,
    /// Hashes tried.
    pub tries: u64,
}

impl Mined {
    /// The block's id.
    #[must_use]
    pub const fn id(&self) -> BlockId {
        self.stored.id
    }
}

/// What puts records in order.
pub trait Engine: Send + Sync {
    /// The chain this engine works on.
    fn chain(&self) -> ChainId;

    /// Judges records after all that were accepted before and puts them in the queue, all or none.
    /// They are accepted once the caller commits `unit`.
    ///
    /// # Errors
    /// See [`SubmitError`].
    fn submit(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
    ) -> Result<Vec<Ticket>, SubmitError> {
        self.submit_with(unit, records, &mut SignatureCheck::Now)
    }

    /// As [`submit`](Self::submit), with a say in how signatures are checked: of a thousand records it
    /// is quicker in a batch.
    ///
    /// # Errors
    /// See [`SubmitError`].
    fn submit_with(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<Ticket>, SubmitError>;

    /// Takes records that wait at another hospital, each on its own merit; they may come before what they
    /// refer to. One answer for each, in their order. `signatures` may put checks off: where one is wrong, all are
    /// made again one by one.
    ///
    /// # Errors
    /// When the store fails.
    fn take_in(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<Taken>, StoreError>;

    /// Whether this hospital should mine a block though no record waits: there are records on the chain
    /// that are not final, and it has not mined above them.
    ///
    /// # Errors
    /// When the store fails.
    fn owes_block(&self, view: &dyn View) -> Result<bool, StoreError>;

    /// When this hospital should mine a block though no record waits, because difficulty follows a plan that the chain
    /// is behind (`Asert`); `None` where it never should.
    ///
    /// # Errors
    /// When the store fails.
    fn beat(&self, view: &dyn View) -> Result<Option<Timestamp>, StoreError>;

    /// Does the voting there is to do now, with this hospital's key; takes over what quorums decided.
    /// Nothing of it may leave the house before `unit` is committed. A hospital on its own has nobody to
    /// vote with.
    ///
    /// # Errors
    /// When the store fails.
    fn vote(
        &self,
        unit: &mut dyn Unit,
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<Cast, StoreError>;

    /// Takes one step: puts waiting records in order and makes that durable. `None` when nothing
    /// waits.
    ///
    /// # Errors
    /// See [`OrderError`].
    fn order(&self, store: &dyn Store, job: &OrderJob<'_>) -> Result<Option<Mined>, OrderError>;

    /// Records in their order, from `from` on (inclusive), at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    fn follow(
        &self,
        view: &dyn View,
        from: Position,
        limit: usize,
    ) -> Result<Vec<Ordered>, StoreError>;

    /// How sure the block at a position is.
    ///
    /// # Errors
    /// When the store fails.
    fn finality(&self, view: &dyn View, position: Position) -> Result<Finality, StoreError>;

    /// Calls `look` with the state as it will be once every accepted record is in its place.
    ///
    /// # Errors
    /// When the store fails.
    fn with_pending(
        &self,
        view: &dyn View,
        look: &mut dyn FnMut(&dyn StateRead) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}
