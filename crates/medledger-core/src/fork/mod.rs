//! Fork choice: blocks that come from others, in any order, and the branch that is the best one.
//!
//! A block whose parent is known is judged by its header and its signature at once, and by its records
//! when its branch is about to become the best: the one with the most work, of two alike the one whose
//! newest id is lower. Then the ledger goes back to where the branches part and takes the other one, all
//! in one unit of work; records that lose their place wait again, ahead of all others. No branch that
//! parts below the last final block is ever taken.
//!
//! ```text
//!            ,-- 3' -- 4' -- 5'      kept; becomes the best chain when its work exceeds that of 4
//! 0 -- 1 -- 2 -- 3 -- 4              the best chain: in the tables, with its state
//!      ^ final
//! ```

mod branch;
mod branches;
mod choose;
mod finalize;
#[cfg(test)]
mod interleavings;
mod rows;
#[cfg(test)]
pub(crate) mod tests;
mod view;
pub(crate) mod write;

pub use choose::Reorg;
pub(crate) use choose::prune;
pub use finalize::{CheckpointError, Checkpointed, conflicts, receive_checkpoint};
pub(crate) use rows::check_rows;

use crate::Cid;
use crate::block::Block;
use crate::chain::{BlockError, HeaderError, Rules, tip};
use crate::clock::Timestamp;
use crate::finality;
use crate::ids::{BlockId, MemberId};
use crate::registry::limit;
use crate::state::Signatures;
use crate::store::{StoreError, StoredBlock, Unit, View};
use branch::{Branch, Signer, check_signer};
use branches::Kept;

/// What became of a block.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// It was here before.
    Known,
    /// The best chain is another now, by this block or by one that waited for it.
    Best(Reorg),
    /// It lies beside the best chain, with less work.
    Beside,
    /// The block below it is not here yet: ask for that node.
    Orphan {
        /// Node of the block below.
        parent: Cid,
    },
    /// It may be good, but not now.
    Deferred(Deferral),
    /// It is not taken.
    Refused(Fault),
}

/// Why a block is not judged yet. It is not kept: offer it again later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Deferral {
    /// Its time is too far ahead.
    #[error(transparent)]
    TooEarly(HeaderError),
    /// No hospital that is known here signed it; perhaps one did that is a hospital on its branch, which is not here yet.
    #[error("the miner {0} is not a registered hospital here")]
    UnknownMiner(MemberId),
    /// As many blocks of this hospital are kept as may be.
    #[error(
        "as many blocks of the hospital {miner} are kept as may be: {} or {} bytes",
        limit::BRANCH_BLOCKS,
        limit::BRANCH_BYTES
    )]
    Full {
        /// The hospital.
        miner: MemberId,
    },
}

/// Why a block is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It breaks a rule.
    #[error(transparent)]
    Rule(BlockError),
    /// It came in another node than its own.
    #[error("the block came as node {found}, but has node {expected}")]
    Node {
        /// The node it has.
        expected: Cid,
        /// The node it came in.
        found: Cid,
    },
    /// It stands on a block that is not taken, or was refused before.
    #[error("node {0} was refused before")]
    Condemned(Cid),
    /// It parts from the best chain below a final block.
    #[error(
        "the block is at height {height}, but {finalized} is final: no branch may part below it"
    )]
    BelowFinal {
        /// Its height.
        height: u64,
        /// Height of the last final block.
        finalized: u64,
    },
}

/// What a fault proves to be worthless, and no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condemned {
    /// Every block with this header.
    Header(BlockId),
    /// This node; another may carry the same header with a right signature.
    Node(Cid),
    /// Nothing yet: it may become good.
    Nothing,
}

impl Fault {
    /// What it condemns of the block that came as `node`.
    #[must_use]
    pub fn condemns(&self, block: &Block, node: &Cid) -> Condemned {
        match self {
            Self::Rule(BlockError::Header(HeaderError::TooEarly { .. })) => Condemned::Nothing,
            Self::Rule(BlockError::Header(_)) => Condemned::Header(block.id()),
            Self::Rule(BlockError::Store(_)) | Self::BelowFinal { .. } => Condemned::Nothing,
            Self::Rule(_) | Self::Node { .. } | Self::Condemned(_) => Condemned::Node(*node),
        }
    }
}

/// The blocks beside the best chain whose branches hang together, as far as their headers and signatures
/// are judged; with each, whether it changes the hospitals.
pub(crate) fn beside(view: &dyn View) -> Result<Vec<(StoredBlock, bool)>, StoreError> {
    let kept = branches::all(view)?.into_iter().filter(|kept| !kept.orphan);
    Ok(kept.map(|kept| (kept.stored, kept.changes_set)).collect())
}

/// Makes the choice between branches again, because another block must be on the best chain now.
pub(crate) fn reconsider(
    unit: &mut dyn Unit,
    rules: &Rules,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Option<Reorg>, StoreError> {
    Ok(choose::choose(unit, rules, now, signatures)?.reorg)
}

/// Height of the last block that no reorganisation undoes; genesis at least.
///
/// # Errors
/// When the store fails.
pub fn final_height(view: &dyn View, rules: &Rules) -> Result<u64, StoreError> {
    Ok(finality::final_size(view, rules)?.saturating_sub(1))
}

/// Takes a block that came as `node`, wherever it stands, with all blocks that waited for it. What is
/// written belongs to `unit`, whatever the answer: commit it.
///
/// # Errors
/// When the store fails; then the unit is of no use.
pub fn receive(
    unit: &mut dyn Unit,
    rules: &Rules,
    block: &Block,
    node: &Cid,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Received, StoreError> {
    let mut reorg = None;
    match place(unit, rules, block, node, now, true)? {
        Placed::Answer(answer) => return Ok(answer),
        // Nothing is to be chosen: what stands on the best chain is better than that.
        Placed::OnTop => match choose::extend(unit, rules, block, node, now, signatures)? {
            Ok(grown) => reorg = Some(grown),
            Err(Fault::Rule(BlockError::Header(error @ HeaderError::TooEarly { .. }))) => {
                return Ok(Received::Deferred(Deferral::TooEarly(error)));
            }
            Err(fault) => {
                // Signed by a hospital, and whole: only then it is worth remembering.
                if matches!(fault, Fault::Rule(BlockError::Void { .. })) {
                    choose::condemn(unit, node, block.descriptor.height)?;
                }
                return Ok(Received::Refused(fault));
            }
        },
        Placed::Kept => {}
    }
    adopt_orphans(unit, rules, node, now)?;
    let choose::Choice { reorg: changed, faults } = choose::choose(unit, rules, now, signatures)?;
    reorg = Reorg::then(reorg, changed);
    reorg = Reorg::then(reorg, finalize::retry(unit, rules, now, signatures)?);
    let broken = faults.into_iter().find(|(broken, _)| broken == node);
    Ok(match (reorg, broken) {
        (Some(reorg), _) => Received::Best(reorg),
        (None, Some((_, error))) => Received::Refused(Fault::Rule(error)),
        (None, None) if branches::is_condemned(unit, node)? => {
            Received::Refused(Fault::Condemned(*node))
        }
        (None, None) => Received::Beside,
    })
}

/// Whether the block of this node is kept beside the best chain.
///
/// # Errors
/// When the store fails.
pub fn is_kept(view: &dyn View, node: &Cid) -> Result<bool, StoreError> {
    Ok(branches::get(view, node)?.is_some())
}

/// Where a block was put.
enum Placed {
    /// Nowhere, or among the orphans.
    Answer(Received),
    /// It is to go on top of the newest block of the best chain; it is not kept yet.
    OnTop,
    /// On a branch beside the best chain.
    Kept,
}

/// Judges all of a block that does not take the state of its branch, and keeps it; with `may_extend`, one
/// on top of the best chain is neither judged nor kept yet.
fn place(
    unit: &mut dyn Unit,
    rules: &Rules,
    block: &Block,
    node: &Cid,
    now: Timestamp,
    may_extend: bool,
) -> Result<Placed, StoreError> {
    let answer = |answer| Ok(Placed::Answer(answer));
    let rule = |error| match error {
        BlockError::Store(error) => Err(error),
        BlockError::Header(error @ HeaderError::TooEarly { .. }) => {
            answer(Received::Deferred(Deferral::TooEarly(error)))
        }
        error => answer(Received::Refused(Fault::Rule(error))),
    };
    if let Some(kept) = branches::get(unit, node)? {
        let parent = kept.parent();
        return answer(if kept.orphan { Received::Orphan { parent } } else { Received::Known });
    }
    let parent = block.descriptor.parent;
    for node in [node, &parent] {
        if branches::is_condemned(unit, node)? {
            return answer(Received::Refused(Fault::Condemned(*node)));
        }
    }
    let height = block.descriptor.height;
    if on_best(unit, height, node)?.is_some() {
        return answer(Received::Known);
    }
    let finalized = final_height(unit, rules)?;
    if height <= finalized {
        return answer(Received::Refused(Fault::BelowFinal { height, finalized }));
    }
    if may_extend && parent == tip(unit)?.node {
        return Ok(Placed::OnTop);
    }
    let expected = block.to_nodes().root.0;
    if expected != *node {
        return answer(Received::Refused(Fault::Node { expected, found: *node }));
    }
    let known = Branch::to(unit, rules, height - 1, &parent)?;
    match check_signer(unit, rules, block, known.as_ref())? {
        Signer::Known => {}
        // Of whom nobody knows who it is, nothing is kept.
        Signer::Unknown(miner) => {
            return answer(Received::Deferred(Deferral::UnknownMiner(miner)));
        }
        Signer::Wrong(error) => return rule(error),
    }
    if let Err(error) = rules.check_body(block) {
        return rule(error);
    }
    let (stored, orphan) = match &known {
        Some(branch) => match branch.judge_header(unit, rules, block, node, now) {
            Ok(stored) => (stored, false),
            Err(error) => return rule(error),
        },
        None => {
            // Its work at least must be done, so that keeping it has cost its miner something.
            if let Err(error) = rules.check_work_of(&block.header) {
                return rule(error.into());
            }
            (rules.stored_orphan(block, *node), true)
        }
    };
    let kept = Kept::new(stored, block.descriptor, orphan);
    if !choose::make_room(unit, &kept)? {
        return answer(Received::Deferred(Deferral::Full { miner: kept.miner() }));
    }
    branches::put(unit, kept, block)?;
    if orphan { answer(Received::Orphan { parent }) } else { Ok(Placed::Kept) }
}

/// The block of the best chain at a height, if it has this node.
fn on_best(view: &dyn View, height: u64, node: &Cid) -> Result<Option<StoredBlock>, StoreError> {
    Ok(view.block(height)?.filter(|block| block.node == *node))
}

/// Gives orphans that hang below `node` their place, and those below them.
fn adopt_orphans(
    unit: &mut dyn Unit,
    rules: &Rules,
    node: &Cid,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut orphans: Vec<Kept> =
        branches::all(unit)?.into_iter().filter(|kept| kept.orphan).collect();
    let mut below = vec![*node];
    while let Some(parent) = below.pop() {
        let (found, rest): (Vec<_>, Vec<_>) =
            orphans.into_iter().partition(|orphan| orphan.parent() == parent);
        orphans = rest;
        for orphan in found {
            let node = orphan.stored.node;
            let block = branches::body(unit, &node)?;
            branches::remove(unit, &node)?;
            match place(unit, rules, &block, &node, now, false)? {
                Placed::Kept => below.push(node),
                // What stands on it can never be taken.
                Placed::Answer(Received::Refused(_)) => {
                    choose::condemn(unit, &node, orphan.stored.height)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}
