//! Checkpoints that come from others, before, with or after the blocks they cover.

use super::Branch;
use super::branches::{self, Kept};
use super::choose::{self, Reorg, change_over, judge};
use crate::chain::{Rules, tip};
use crate::checkpoint::{self, Checkpoint, FinalityError, NoteError, SignedNote};
use crate::clock::Timestamp;
use crate::finality;
use crate::ids::sha256;
use crate::state::Signatures;
use crate::store::{Drawer, StoreError, Unit, View};

/// Row of the newest checkpoint whose blocks are not here yet.
const AHEAD: &[u8] = b"checkpoint-ahead";
/// Prefix of rows with checkpoints that contradict the one that is kept.
const CONFLICT: &[u8] = b"checkpoint-conflict:";
/// Conflicts that are kept; each is the doing of more than a third of the hospitals.
const CONFLICTS: usize = 64;

/// What became of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checkpointed {
    /// So many blocks are final now.
    Final {
        /// Blocks it covers.
        size: u64,
        /// Set when the best chain is another for it.
        reorg: Option<Reorg>,
    },
    /// It covers no more than what is final already.
    Known,
    /// Too few hospitals have cosigned it so far; it is kept until enough have.
    Gathering {
        /// Hospitals that have.
        found: usize,
        /// Hospitals needed.
        needed: usize,
    },
    /// The blocks it covers are not here yet; it is kept until they come.
    Ahead {
        /// Blocks it covers.
        size: u64,
    },
}

/// Why a checkpoint is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It is no note.
    #[error("the checkpoint cannot be read: {0}")]
    Note(#[from] NoteError),
    /// It is not signed by a quorum of this chain's hospitals.
    #[error("the checkpoint does not count: {0}")]
    Finality(#[from] FinalityError),
    /// A quorum signed it, and a quorum signed another one that contradicts it. The note is kept as
    /// evidence; what to do about it is for people to decide.
    #[error(
        "a quorum signed this checkpoint of {size} blocks and another that contradicts it: \
         at least a third of the hospitals signed both"
    )]
    Conflict {
        /// Blocks it covers.
        size: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a checkpoint. What a quorum signed is final, however much work another branch has.
///
/// # Errors
/// See [`CheckpointError`]. After a conflict the unit holds the evidence: commit it.
pub fn receive_checkpoint(
    unit: &mut dyn Unit,
    rules: &Rules,
    note: &[u8],
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Checkpointed, CheckpointError> {
    let note = SignedNote::from_bytes(note)?;
    let cosigners = finality::cosigners(&rules.genesis);
    let (note, checkpoint) = match checkpoint::finality(&note, &rules.chain, &cosigners) {
        Ok(checkpoint) => (note, checkpoint),
        // With those that came before it may be a quorum.
        Err(error @ FinalityError::TooFew { .. }) => {
            if let Ok(late) = note.text().parse::<Checkpoint>()
                && late.size <= finality::final_size(unit, rules)?
            {
                let same = finality::tree_root(unit, late.size)? == late.root;
                return if same { Ok(Checkpointed::Known) } else { Err(error.into()) };
            }
            let gathered = finality::ballots::gather(unit, &note, &cosigners)?;
            match checkpoint::finality(&gathered, &rules.chain, &cosigners) {
                Ok(checkpoint) => (gathered, checkpoint),
                Err(FinalityError::TooFew { found, needed, .. }) => {
                    return Ok(Checkpointed::Gathering { found, needed });
                }
                Err(_) => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    let size = checkpoint.size;
    if size <= finality::final_size(unit, rules)? {
        if finality::tree_root(unit, size)? == checkpoint.root {
            return Ok(Checkpointed::Known);
        }
        keep_conflict(unit, &note)?;
        return Err(CheckpointError::Conflict { size });
    }
    match settle(unit, rules, &note, &checkpoint, now, signatures)? {
        Some(reorg) => Ok(Checkpointed::Final { size, reorg }),
        None => {
            let newer = match ahead(unit, rules)? {
                Some((_, kept)) => size > kept.size,
                None => true,
            };
            if newer {
                unit.set_local(Drawer::Node, AHEAD, Some(note.to_string().as_bytes()))?;
            }
            Ok(Checkpointed::Ahead { size })
        }
    }
}

/// Checkpoints that contradict the chain of this node though a quorum signed them: evidence against all
/// who signed both.
///
/// # Errors
/// When the store fails.
pub fn conflicts(view: &dyn View) -> Result<Vec<Vec<u8>>, StoreError> {
    let rows = view.local_scan(Drawer::Node, CONFLICT, None, CONFLICTS)?;
    Ok(rows.into_iter().map(|(_, note)| note).collect())
}

fn keep_conflict(unit: &mut dyn Unit, note: &SignedNote) -> Result<(), StoreError> {
    let text = note.to_string();
    let key = [CONFLICT, &sha256(&[note.text().as_bytes()])].concat();
    if unit.local_scan(Drawer::Node, CONFLICT, None, CONFLICTS)?.len() < CONFLICTS {
        unit.set_local(Drawer::Node, &key, Some(text.as_bytes()))?;
    }
    Ok(())
}

fn ahead(view: &dyn View, rules: &Rules) -> Result<Option<(SignedNote, Checkpoint)>, StoreError> {
    let Some(bytes) = view.local(Drawer::Node, AHEAD)? else { return Ok(None) };
    let damaged = |error: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("the checkpoint that waits for its blocks: {error}"))
    };
    let note = SignedNote::from_bytes(&bytes).map_err(|error| damaged(&error))?;
    let cosigners = finality::cosigners(&rules.genesis);
    let checkpoint =
        checkpoint::finality(&note, &rules.chain, &cosigners).map_err(|error| damaged(&error))?;
    Ok(Some((note, checkpoint)))
}

/// Tries the checkpoint that waits for its blocks again, now that another block came.
pub(super) fn retry(
    unit: &mut dyn Unit,
    rules: &Rules,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Option<Reorg>, StoreError> {
    let Some((note, checkpoint)) = ahead(unit, rules)? else { return Ok(None) };
    let settled = settle(unit, rules, &note, &checkpoint, now, signatures)?;
    Ok(settled.flatten())
}

/// Makes the blocks of a checkpoint final, if they are here: on the best chain, or on a branch that then
/// becomes the best one. `None` when they are not here.
fn settle(
    unit: &mut dyn Unit,
    rules: &Rules,
    note: &SignedNote,
    checkpoint: &Checkpoint,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Option<Option<Reorg>>, StoreError> {
    let size = checkpoint.size;
    let mut reorg = None;
    if size > tip(unit)?.height + 1 || finality::tree_root(unit, size)? != checkpoint.root {
        reorg = change_for(unit, rules, checkpoint, now, signatures)?;
        if reorg.is_none() {
            return Ok(None);
        }
    }
    finality::keep(unit, note)?;
    if ahead(unit, rules)?.is_some_and(|(_, waiting)| waiting.size <= size) {
        unit.set_local(Drawer::Node, AHEAD, None)?;
    }
    choose::prune(unit, rules)?;
    Ok(Some(reorg))
}

/// Changes over to the best branch that has the blocks of a checkpoint.
fn change_for(
    unit: &mut dyn Unit,
    rules: &Rules,
    checkpoint: &Checkpoint,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Option<Reorg>, StoreError> {
    loop {
        let mut leaves: Vec<Kept> = branches::all(unit)?;
        leaves.retain(|kept| !kept.orphan && kept.stored.height + 1 >= checkpoint.size);
        leaves.sort_by(|a, b| choose::order(&a.stored, &b.stored));
        let mut found = None;
        for leaf in leaves {
            let (height, node) = (leaf.stored.height, leaf.stored.node);
            let Some(branch) = Branch::to(unit, rules, height, &node)? else { continue };
            if branch.fork + 1 >= checkpoint.size {
                continue;
            }
            let ids = branch.blocks.iter().map(|kept| kept.stored.id);
            let root = finality::branch_root(unit, branch.fork, ids, checkpoint.size)?;
            if root == checkpoint.root {
                found = Some(branch);
                break;
            }
        }
        let Some(branch) = found else { return Ok(None) };
        match judge(unit, rules, &branch, now, signatures)? {
            Ok(judged) => return change_over(unit, branch.fork, &judged).map(Some),
            Err((at, _)) => {
                let broken = &branch.blocks[at].stored;
                choose::condemn(unit, &broken.node, broken.height)?;
            }
        }
    }
}
