//! Which branch is the best one, and changing over to it.

use super::branches::{self, Kept};
use super::view::BranchView;
use super::write::{self, Undoing};
use super::{Branch, Fault, final_height, on_best};
use crate::Cid;
use crate::block::Block;
use crate::chain::{BlockError, Rules, tip};
use crate::clock::Timestamp;
use crate::engine::{describe, mempool};
use crate::finality::ballots;
use crate::ids::{BlockId, RecordId};
use crate::pow;
use crate::registry::limit;
use crate::state::{Changes, Signatures};
use crate::store::{Standing, StoreError, StoredBlock, Unit, View};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// How the best chain changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reorg {
    /// Height of the last block that stayed.
    pub fork: u64,
    /// Ids of the blocks that were taken off, from the lowest up; none when the chain only grew.
    pub removed: Vec<BlockId>,
    /// The blocks that are there now, from the lowest up.
    pub added: Vec<StoredBlock>,
    /// Records that lost their place and wait again.
    pub returned: Vec<RecordId>,
}

/// Best first, by the work of the chain that ends there: [`pow::best_first`].
pub(super) fn order(a: &StoredBlock, b: &StoredBlock) -> Ordering {
    pow::best_first((a.chain_work, &a.id), (b.chain_work, &b.id))
}

impl Reorg {
    /// Both changes as one, `next` after `first`.
    pub(crate) fn then(first: Option<Self>, next: Option<Self>) -> Option<Self> {
        let (mut first, next) = match (first, next) {
            (Some(first), Some(next)) => (first, next),
            (first, next) => return first.or(next),
        };
        // What the first put there, the second may have taken off again.
        let kept = first.added.iter().filter(|block| block.height <= next.fork).count();
        let undone: BTreeSet<BlockId> = first.added.drain(kept..).map(|block| block.id).collect();
        let removed = next.removed.into_iter().filter(|id| !undone.contains(id));
        first.removed.splice(0..0, removed);
        first.added.extend(next.added);
        first.fork = first.fork.min(next.fork);
        first.returned.extend(next.returned);
        Some(first)
    }
}

/// Puts a block on top of the best chain, after judging all of it.
pub(super) fn extend(
    unit: &mut dyn Unit,
    rules: &Rules,
    block: &Block,
    node: &Cid,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Result<Reorg, Fault>, StoreError> {
    let fork = tip(unit)?.height;
    let (stored, changes) = match rules.check_block(unit, block, now, signatures) {
        Ok(checked) => checked.into_parts(),
        Err(BlockError::Store(error)) => return Err(error),
        Err(error) => return Ok(Err(Fault::Rule(error))),
    };
    if stored.node != *node {
        return Ok(Err(Fault::Node { expected: stored.node, found: *node }));
    }
    put_on(unit, block, &stored, &changes)?;
    mempool::sweep(unit)?;
    Ok(Ok(Reorg { fork, removed: Vec::new(), added: vec![stored], returned: Vec::new() }))
}

/// Writes a judged block on top of the chain, and where its records stand.
fn put_on(
    unit: &mut dyn Unit,
    block: &Block,
    stored: &StoredBlock,
    changes: &Changes,
) -> Result<(), StoreError> {
    write::push(unit, stored, changes, Undoing::Kept)?;
    let height = stored.height;
    for (index, record) in (0u32..).zip(&block.records) {
        // One that waited is replaced whole: the root covers the signature in the block.
        let standing = Standing::Mined { height, index };
        unit.put_record(&describe(unit, record, record.encode(), standing)?)?;
    }
    Ok(())
}

/// What the choice between branches led to.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Set when the best chain is another now.
    pub(super) reorg: Option<Reorg>,
    /// Nodes that were found to break a rule on the way.
    pub(super) faults: Vec<(Cid, BlockError)>,
}

/// Which branches contain the block that a quorum voted for.
struct Anchored {
    /// The blocks beside the best chain that lie on or above it; `None` when all do, or the block is not here.
    above: Option<BTreeSet<BlockId>>,
    /// Whether the best chain contains it.
    by_best: bool,
}

impl Anchored {
    fn of(view: &dyn View, all: &[Kept]) -> Result<Self, StoreError> {
        let free = Self { above: None, by_best: true };
        let Some(anchor) = ballots::anchor(view)? else { return Ok(free) };
        let by_best = view.height_of(&anchor.block)? == Some(anchor.height);
        if !by_best && !all.iter().any(|kept| !kept.orphan && kept.stored.id == anchor.block) {
            return Ok(free);
        }
        let mut sorted: Vec<&Kept> = all.iter().filter(|kept| !kept.orphan).collect();
        sorted.sort_by_key(|kept| kept.stored.height);
        let mut above = BTreeSet::new();
        for kept in sorted {
            let below = kept.stored.signed.header.previous;
            let on_chain =
                by_best && view.height_of(&below)?.is_some_and(|height| height >= anchor.height);
            if kept.stored.id == anchor.block || on_chain || above.contains(&below) {
                above.insert(kept.stored.id);
            }
        }
        Ok(Self { above: Some(above), by_best })
    }

    fn allows(&self, block: &StoredBlock) -> bool {
        self.above.as_ref().is_none_or(|above| above.contains(&block.id))
    }
}

/// Takes the best branch there is, judging whole what was judged by its headers only.
pub(super) fn choose(
    unit: &mut dyn Unit,
    rules: &Rules,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Choice, StoreError> {
    let mut choice = Choice::default();
    loop {
        let best = tip(unit)?;
        let all = branches::all(unit)?;
        let anchored = Anchored::of(unit, &all)?;
        // A block on top of the newest is better even where no work is done; and a branch with the block
        // that a quorum voted for is better than one without, whatever their work.
        let wins = |kept: &Kept| {
            let grows = kept.parent() == best.node;
            anchored.allows(&kept.stored)
                && (order(&kept.stored, &best).is_lt() || grows || !anchored.by_best)
        };
        let mut candidates: Vec<&Kept> =
            all.iter().filter(|kept| !kept.orphan && wins(kept)).collect();
        candidates.sort_by(|a, b| order(&a.stored, &b.stored));
        let Some(candidate) = candidates.first() else { break };
        let (height, node) = (candidate.stored.height, candidate.stored.node);
        let Some(branch) = Branch::to(unit, rules, height, &node)? else {
            // It hangs on something that is gone.
            branches::remove(unit, &node)?;
            continue;
        };
        match judge(unit, rules, &branch, now, signatures)? {
            Ok(judged) => {
                choice.reorg = Some(change_over(unit, branch.fork, &judged)?);
                return Ok(choice);
            }
            Err((at, error)) => {
                let broken = &branch.blocks[at].stored;
                condemn(unit, &broken.node, broken.height)?;
                choice.faults.push((broken.node, error));
            }
        }
    }
    Ok(choice)
}

/// A judged block with what it changes.
pub(super) type Judged = (Block, StoredBlock, Changes);

/// Judges the blocks of a branch one after another, each on the state of those below it; which one
/// breaks what.
pub(super) fn judge(
    unit: &dyn Unit,
    rules: &Rules,
    branch: &Branch,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Result<Vec<Judged>, (usize, BlockError)>, StoreError> {
    let mut view = BranchView::rewound(unit, branch.fork)?;
    let mut judged = Vec::new();
    for (at, kept) in branch.blocks.iter().enumerate() {
        let block = branches::body(unit, &kept.stored.node)?;
        let (stored, changes) = match rules.check_block(&view, &block, now, signatures) {
            Ok(checked) => checked.into_parts(),
            Err(BlockError::Store(error)) => return Err(error),
            Err(error) => return Ok(Err((at, error))),
        };
        view.push(stored.clone(), &changes);
        judged.push((block, stored, changes));
    }
    Ok(Ok(judged))
}

/// Takes the blocks above `fork` off and puts these there.
pub(super) fn change_over(
    unit: &mut dyn Unit,
    fork: u64,
    judged: &[Judged],
) -> Result<Reorg, StoreError> {
    let mut next = unit.last_pending()?.map_or(0, |(seq, _)| seq + 1);
    let mut removed = Vec::new();
    while tip(unit)?.height > fork {
        let stored = tip(unit)?;
        let block = write::pop(unit, next)?;
        next += block.records.len() as u64;
        branches::put(unit, Kept::new(stored.clone(), block.descriptor, false), &block)?;
        removed.push((stored.id, block));
    }
    removed.reverse();
    let taken: BTreeSet<RecordId> =
        judged.iter().flat_map(|(block, ..)| block.records.iter().map(|r| r.id())).collect();
    let displaced = removed.iter().flat_map(|(_, block)| &block.records).map(|record| record.id());
    let returned: Vec<RecordId> = displaced.filter(|id| !taken.contains(id)).collect();
    put_first(unit, &returned, next)?;
    for (block, stored, changes) in judged {
        put_on(unit, block, stored, changes)?;
        branches::remove(unit, &stored.node)?;
    }
    mempool::sweep(unit)?;
    Ok(Reorg {
        fork,
        removed: removed.into_iter().map(|(id, _)| id).collect(),
        added: judged.iter().map(|(_, stored, _)| stored.clone()).collect(),
        returned,
    })
}

/// Puts records ahead of all others that wait: these may build on them.
fn put_first(unit: &mut dyn Unit, first: &[RecordId], next: u64) -> Result<(), StoreError> {
    if first.is_empty() {
        return Ok(());
    }
    let others: BTreeSet<RecordId> = first.iter().copied().collect();
    let behind = unit.pending(usize::MAX)?.into_iter().map(|record| record.id);
    let behind: Vec<RecordId> = behind.filter(|id| !others.contains(id)).collect();
    for (seq, id) in (next..).zip(first.iter().chain(&behind)) {
        unit.settle(id, Standing::Accepted { seq })?;
    }
    Ok(())
}

/// Condemns a node; what stands on it goes with it.
pub(super) fn condemn(unit: &mut dyn Unit, node: &Cid, height: u64) -> Result<(), StoreError> {
    branches::condemn(unit, node, height)?;
    for kept in descendants(&branches::all(unit)?, node) {
        branches::condemn(unit, &kept.stored.node, kept.stored.height)?;
    }
    Ok(())
}

fn descendants<'a>(kept: &'a [Kept], node: &Cid) -> Vec<&'a Kept> {
    let mut found = Vec::new();
    let mut below = vec![*node];
    while let Some(parent) = below.pop() {
        for child in kept.iter().filter(|kept| kept.parent() == parent) {
            below.push(child.stored.node);
            found.push(child);
        }
    }
    found
}

/// Makes room for one more block of its miner; `false` when nothing of that hospital may go for it.
pub(super) fn make_room(unit: &mut dyn Unit, new: &Kept) -> Result<bool, StoreError> {
    loop {
        let all = branches::all(unit)?;
        let own: Vec<&Kept> = all.iter().filter(|kept| kept.miner() == new.miner()).collect();
        let bytes: u64 = own.iter().map(|kept| kept.bytes).sum();
        if own.len() < limit::BRANCH_BLOCKS && bytes < limit::BRANCH_BYTES {
            return Ok(true);
        }
        let mut ancestors = BTreeSet::new();
        let mut parent = new.parent();
        while let Some(kept) = all.iter().find(|kept| kept.stored.node == parent) {
            ancestors.insert(parent);
            parent = kept.parent();
        }
        // Orphans first, then what has the least work.
        let victim = own
            .iter()
            .filter(|kept| !ancestors.contains(&kept.stored.node))
            .min_by_key(|kept| (!kept.orphan, kept.stored.chain_work, kept.stored.height));
        let Some(victim) = victim else { return Ok(false) };
        for kept in descendants(&all, &victim.stored.node).into_iter().chain([*victim]) {
            branches::remove(unit, &kept.stored.node)?;
        }
    }
}

/// Lets go of all that no longer matters once the block at the last final height stays: how to take
/// blocks back up to there, and branches that part below.
///
/// # Errors
/// When the store fails.
pub(crate) fn prune(unit: &mut dyn Unit, rules: &Rules) -> Result<(), StoreError> {
    let finalized = final_height(unit, rules)?;
    ballots::forget_partials(unit, finalized + 1)?;
    write::forget_undo(unit, finalized)?;
    branches::forget_condemned(unit, finalized)?;
    let all = branches::all(unit)?;
    let mut stays = BTreeSet::new();
    let mut sorted: Vec<&Kept> = all.iter().collect();
    sorted.sort_by_key(|kept| kept.stored.height);
    for kept in sorted {
        let (height, node) = (kept.stored.height, kept.stored.node);
        let parent = kept.parent();
        let holds = height > finalized
            && (kept.orphan
                || stays.contains(&parent)
                || on_best(unit, height - 1, &parent)?.is_some());
        if holds {
            stays.insert(node);
        } else {
            branches::remove(unit, &node)?;
        }
    }
    Ok(())
}
