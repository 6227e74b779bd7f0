//! Checkpoints that come from others, before, with or after the blocks they cover.

use super::Branch;
use super::branches::{self, Kept};
use super::choose::{self, Judged, Reorg, change_over, judge};
use super::view::BranchView;
use crate::chain::{Rules, tip};
use crate::checkpoint::{self, Checkpoint, FinalityError, NoteError, SignedNote, VerifyError};
use crate::clock::Timestamp;
use crate::finality;
use crate::hospital::HospitalSet;
use crate::ids::sha256;
use crate::rows::Faults;
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
    let checkpoint = checkpoint::of_chain(&note, &rules.chain)?;
    let size = checkpoint.size;
    if size <= finality::final_size(unit, rules)? {
        return old(unit, rules, &note, &checkpoint);
    }
    // Looking for its blocks may mean judging a branch: not for a note that anybody may have made.
    let known = finality::all_cosigners(unit, rules)?;
    if note.verified_only(&known).signatures().is_empty() {
        checkpoint::finality(&note, &rules.chain, &known)?;
    }
    let place = locate(unit, rules, &checkpoint, now, signatures)?;
    let cosigners = place.deciders.cosigners();
    let note = match checkpoint::finality(&note, &rules.chain, &cosigners) {
        Ok(_) => note,
        // With those that came before it may be a quorum.
        Err(error @ FinalityError::TooFew { .. }) => {
            let gathered = finality::ballots::gather(unit, &note, &cosigners)?;
            match checkpoint::finality(&gathered, &rules.chain, &cosigners) {
                Ok(_) => gathered,
                Err(FinalityError::TooFew { found, needed, .. }) => {
                    return Ok(Checkpointed::Gathering { found, needed });
                }
                Err(_) => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(reorg) = settle(unit, rules, &note, size, place.blocks)? {
        let later = retry(unit, rules, now, signatures)?;
        return Ok(Checkpointed::Final { size, reorg: Reorg::then(reorg, later) });
    }
    if ahead(unit)?.is_none_or(|(_, kept)| size > kept.size) {
        unit.set_local(Drawer::Node, AHEAD, Some(note.to_string().as_bytes()))?;
    }
    Ok(Checkpointed::Ahead { size })
}

/// What to make of a checkpoint over no more blocks than are final.
fn old(
    unit: &mut dyn Unit,
    rules: &Rules,
    note: &SignedNote,
    checkpoint: &Checkpoint,
) -> Result<Checkpointed, CheckpointError> {
    let size = checkpoint.size;
    let cosigners = finality::deciders(unit, rules, size)?.cosigners();
    let judged = checkpoint::finality(note, &rules.chain, &cosigners);
    let same = finality::tree_root(unit, size)? == checkpoint.root;
    match judged {
        Ok(_) | Err(FinalityError::TooFew { .. }) if same => Ok(Checkpointed::Known),
        Ok(_) => {
            keep_conflict(unit, note)?;
            Err(CheckpointError::Conflict { size })
        }
        Err(error) => Err(error.into()),
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

/// Checks the checkpoint that waits for its blocks, and those that contradict the chain.
pub(super) fn check_rows(
    view: &dyn View,
    rules: &Rules,
    faults: &mut Faults,
) -> Result<(), StoreError> {
    let keys = finality::all_cosigners(view, rules)?;
    // Who signed may not be known here yet.
    let right =
        |note: &SignedNote| !matches!(note.verify(&keys), Err(VerifyError::WrongSignature { .. }));
    let waiting = faults.read(Drawer::Node, AHEAD, ahead(view))?.flatten();
    if waiting.is_some_and(|(note, _)| !right(&note)) {
        faults.add(
            Drawer::Node,
            AHEAD,
            "the checkpoint that waits for its blocks is wrongly signed",
        );
    }
    for (key, row) in view.local_scan(Drawer::Node, CONFLICT, None, usize::MAX)? {
        let whole = SignedNote::from_bytes(&row).is_ok_and(|note| {
            key[CONFLICT.len()..] == sha256(&[note.text().as_bytes()]) && right(&note)
        });
        if !whole {
            faults.add(Drawer::Node, &key, "it is no longer the checkpoint that was kept");
        }
    }
    Ok(())
}

fn keep_conflict(unit: &mut dyn Unit, note: &SignedNote) -> Result<(), StoreError> {
    let text = note.to_string();
    let key = [CONFLICT, &sha256(&[note.text().as_bytes()])].concat();
    if unit.local_scan(Drawer::Node, CONFLICT, None, CONFLICTS)?.len() < CONFLICTS {
        unit.set_local(Drawer::Node, &key, Some(text.as_bytes()))?;
    }
    Ok(())
}

fn ahead(view: &dyn View) -> Result<Option<(SignedNote, Checkpoint)>, StoreError> {
    let Some(bytes) = view.local(Drawer::Node, AHEAD)? else { return Ok(None) };
    let damaged = |error: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("the checkpoint that waits for its blocks: {error}"))
    };
    let note = SignedNote::from_bytes(&bytes).map_err(|error| damaged(&error))?;
    let checkpoint = note.text().parse().map_err(|error| damaged(&error))?;
    Ok(Some((note, checkpoint)))
}

/// Tries the checkpoint that waits for its blocks again, now that another block came, or another checkpoint.
pub(super) fn retry(
    unit: &mut dyn Unit,
    rules: &Rules,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Option<Reorg>, StoreError> {
    let Some((note, checkpoint)) = ahead(unit)? else { return Ok(None) };
    if checkpoint.size <= finality::final_size(unit, rules)? {
        unit.set_local(Drawer::Node, AHEAD, None)?;
        return Ok(None);
    }
    let place = locate(unit, rules, &checkpoint, now, signatures)?;
    if checkpoint::finality(&note, &rules.chain, &place.deciders.cosigners()).is_err() {
        // Now that its blocks are here, other hospitals than those who signed it would have had to.
        unit.set_local(Drawer::Node, AHEAD, None)?;
        return Ok(None);
    }
    Ok(settle(unit, rules, &note, checkpoint.size, place.blocks)?.flatten())
}

/// Where the blocks of a checkpoint are.
enum Blocks {
    /// On the best chain.
    Best,
    /// On a branch that parts from it at this height, and keeps every rule.
    Branch(u64, Vec<Judged>),
    /// Not here, or not yet to be made final: hospitals changed below, and that is not final.
    Nowhere,
}

/// A checkpoint's place in the tree of blocks.
struct Place {
    blocks: Blocks,
    /// The hospitals who have to sign it, as far as that can be known.
    deciders: HospitalSet,
}

/// Looks for the blocks of a checkpoint that covers more than what is final.
fn locate(
    unit: &mut dyn Unit,
    rules: &Rules,
    checkpoint: &Checkpoint,
    now: Timestamp,
    signatures: &mut dyn Signatures,
) -> Result<Place, StoreError> {
    let size = checkpoint.size;
    let on_best =
        size <= tip(unit)?.height + 1 && finality::tree_root(unit, size)? == checkpoint.root;
    if on_best {
        let deciders = finality::deciders(unit, rules, size)?;
        let waits = finality::missing_handover(unit, unit, size)?.is_some();
        let blocks = if waits { Blocks::Nowhere } else { Blocks::Best };
        return Ok(Place { blocks, deciders });
    }
    while let Some(branch) = branch_of(unit, rules, checkpoint)? {
        match judge(unit, rules, &branch, now, signatures)? {
            Ok(judged) => {
                let mut view = BranchView::rewound(unit, branch.fork)?;
                for (_, stored, changes) in &judged {
                    view.push(stored.clone(), changes);
                }
                let deciders = finality::deciders(&view, rules, size)?;
                let waits = finality::missing_handover(&view, unit, size)?.is_some();
                let blocks =
                    if waits { Blocks::Nowhere } else { Blocks::Branch(branch.fork, judged) };
                return Ok(Place { blocks, deciders });
            }
            Err((at, _)) => {
                let broken = &branch.blocks[at].stored;
                choose::condemn(unit, &broken.node, broken.height)?;
            }
        }
    }
    Ok(Place { blocks: Blocks::Nowhere, deciders: finality::deciders(unit, rules, size)? })
}

/// The best branch beside the chain that has the blocks of a checkpoint.
fn branch_of(
    view: &dyn View,
    rules: &Rules,
    checkpoint: &Checkpoint,
) -> Result<Option<Branch>, StoreError> {
    let mut leaves: Vec<Kept> = branches::all(view)?;
    leaves.retain(|kept| !kept.orphan && kept.stored.height + 1 >= checkpoint.size);
    leaves.sort_by(|a, b| choose::order(&a.stored, &b.stored));
    for leaf in leaves {
        let (height, node) = (leaf.stored.height, leaf.stored.node);
        let Some(branch) = Branch::to(view, rules, height, &node)? else { continue };
        if branch.fork + 1 >= checkpoint.size {
            continue;
        }
        let ids = branch.blocks.iter().map(|kept| kept.stored.id);
        if finality::branch_root(view, branch.fork, ids, checkpoint.size)? == checkpoint.root {
            return Ok(Some(branch));
        }
    }
    Ok(None)
}

/// Makes the blocks of a checkpoint final, if they are here: on the best chain, or on a branch that then
/// becomes the best one. `None` when they are not here.
fn settle(
    unit: &mut dyn Unit,
    rules: &Rules,
    note: &SignedNote,
    size: u64,
    blocks: Blocks,
) -> Result<Option<Option<Reorg>>, StoreError> {
    let reorg = match blocks {
        Blocks::Best => None,
        Blocks::Branch(fork, judged) => Some(change_over(unit, fork, &judged)?),
        Blocks::Nowhere => return Ok(None),
    };
    finality::keep(unit, note, size)?;
    if ahead(unit)?.is_some_and(|(_, waiting)| waiting.size <= size) {
        unit.set_local(Drawer::Node, AHEAD, None)?;
    }
    choose::prune(unit, rules)?;
    Ok(Some(reorg))
}
