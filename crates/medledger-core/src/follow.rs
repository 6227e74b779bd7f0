//! Following: taking blocks that others made, after judging each by this participant's own rules.

use crate::Cid;
use crate::block::Block;
use crate::chain::{BlockError, Rules, tip};
use crate::clock::Timestamp;
use crate::engine::describe;
use crate::finality;
use crate::fork::write::{self, Undoing};
use crate::pow::Header;
use crate::state::Signatures;
use crate::store::{Standing, StoreError, StoredBlock, Unit};

/// Why a block was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// It breaks a rule.
    #[error("block {height}: {error}")]
    Rule {
        /// Its height, were it taken.
        height: u64,
        /// The rule.
        error: BlockError,
    },
    /// It has another node than the one it came in.
    #[error("block {height} came as node {found}, but has node {expected}")]
    Node {
        /// Its height, were it taken.
        height: u64,
        /// The node it has.
        expected: Cid,
        /// The node it came in.
        found: Cid,
    },
    /// The store failed; this says nothing about the block.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes the genesis block of a chain and the state it founds into an empty store.
///
/// # Errors
/// When the store fails or has a block.
pub fn found(unit: &mut dyn Unit, rules: &Rules, header: &Header) -> Result<(), StoreError> {
    let stored = rules.stored_genesis(header);
    unit.append_block(&stored)?;
    for change in rules.genesis.state() {
        unit.set_state(&change.key, change.value.as_deref())?;
    }
    finality::extend_tree(unit, &stored)
}

/// Judges a block that came in the node `node` and puts it on top: block, records, state, log tree.
/// Records of it that waited here are mined with it.
///
/// # Errors
/// See [`FollowError`]; the unit is of no use after one.
pub fn append(
    unit: &mut dyn Unit,
    rules: &Rules,
    block: &Block,
    node: &Cid,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<StoredBlock, FollowError> {
    let height = tip(unit)?.height + 1;
    let checked = rules.check_block(unit, block, now, signatures).map_err(|error| match error {
        BlockError::Store(error) => FollowError::Store(error),
        error => FollowError::Rule { height, error },
    })?;
    let (stored, changes) = checked.into_parts();
    if stored.node != *node {
        return Err(FollowError::Node { height, expected: stored.node, found: *node });
    }
    write::push(unit, &stored, &changes, Undoing::Kept)?;
    for (index, record) in (0u32..).zip(&block.records) {
        let standing = Standing::Mined { height, index };
        // One that waited is replaced whole: the root covers the signature in the block.
        let listed = describe(unit, record, record.encode(), standing)?;
        unit.put_record(&listed)?;
    }
    Ok(stored)
}
