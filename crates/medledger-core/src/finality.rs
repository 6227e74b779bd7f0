//! Checkpoints of a stored chain: the log tree over its headers, signed by a quorum of hospitals.

pub mod ballots;
mod handover;

use crate::chain::{Rules, tip};
use crate::checkpoint::{
    self, Checkpoint, Evidence, FinalityError, NoteError, NoteKey, SignedNote,
};
use crate::clock::Timestamp;
use crate::engine::MiningKey;
use crate::fork;
use crate::hospital::HospitalSet;
use crate::ids::{BlockId, TreeHash};
use crate::log_tree::{LogTree, LogTreeError, MemoryNodes, TreeNodes};
use crate::merkle::InclusionProof;
use crate::rows::Faults;
use crate::state::{State, StateRead};
use crate::store::{Drawer, StoreError, StoredBlock, Unit, View};

mod compare;

pub use compare::{CompareError, Compared, compare, evidence, keep_evidence};
pub use handover::{Handover, HandoverError, Lineage, handover_notes, handovers_before};
pub(crate) use handover::{missing as missing_handover, note_over};

/// Row of the newest checkpoint that a quorum signed.
const NEWEST: &[u8] = b"checkpoint";

struct Stored<'a>(&'a dyn View);

fn node_key(level: u8, index: u64) -> [u8; 9] {
    let mut key = [level; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

impl TreeNodes for Stored<'_> {
    type Error = StoreError;

    fn get(&self, level: u8, index: u64) -> Result<Option<TreeHash>, StoreError> {
        let Some(bytes) = self.0.local(Drawer::Tree, &node_key(level, index))? else {
            return Ok(None);
        };
        TreeHash::try_from(bytes.as_slice())
            .map(Some)
            .map_err(|_| StoreError::Damaged(format!("tree node {index} of level {level}")))
    }
}

fn store_error(error: LogTreeError<StoreError>) -> StoreError {
    match error {
        LogTreeError::Storage(error) => error,
        other => StoreError::Damaged(format!("log tree: {other}")),
    }
}

/// Adds a block's header to the log tree.
///
/// # Errors
/// When the store fails.
pub fn extend_tree(unit: &mut dyn Unit, block: &StoredBlock) -> Result<(), StoreError> {
    let nodes = LogTree::new(&Stored(unit)).append(block.height, &block.id).map_err(store_error)?;
    for node in nodes {
        let key = node_key(node.level, node.index);
        unit.set_local(Drawer::Tree, &key, Some(node.hash.as_bytes()))?;
    }
    Ok(())
}

/// Takes the newest leaf, that of the block at `height`, out of the log tree.
///
/// # Errors
/// When the store fails.
pub(crate) fn shrink_tree(unit: &mut dyn Unit, height: u64) -> Result<(), StoreError> {
    let (mut level, mut index) = (0, height);
    loop {
        unit.set_local(Drawer::Tree, &node_key(level, index), None)?;
        // The node above was complete only if this one was its right half.
        if index & 1 == 0 {
            return Ok(());
        }
        (level, index) = (level + 1, index >> 1);
    }
}

/// The root of the log tree over the first `size` headers.
///
/// # Errors
/// When the store fails.
pub fn tree_root(view: &dyn View, size: u64) -> Result<TreeHash, StoreError> {
    LogTree::new(&Stored(view)).root(size).map_err(store_error)
}

/// A tree that parts from the stored one after its first `stays` leaves.
struct Parted<'a> {
    stored: Stored<'a>,
    stays: u64,
    nodes: MemoryNodes,
}

impl TreeNodes for Parted<'_> {
    type Error = StoreError;

    fn get(&self, level: u8, index: u64) -> Result<Option<TreeHash>, StoreError> {
        match self.nodes.get(level, index) {
            Ok(Some(hash)) => Ok(Some(hash)),
            // Whatever covers a leaf beyond is of the other branch.
            _ if (index + 1) << level > self.stays => Ok(None),
            _ => self.stored.get(level, index),
        }
    }
}

/// The root of the log tree over the first `size` headers of a branch: those up to height `fork` are the
/// stored ones, then come `ids`.
pub(crate) fn branch_root(
    view: &dyn View,
    fork: u64,
    ids: impl IntoIterator<Item = BlockId>,
    size: u64,
) -> Result<TreeHash, StoreError> {
    let mut tree = Parted { stored: Stored(view), stays: fork + 1, nodes: MemoryNodes::default() };
    for (height, id) in (fork + 1..size).zip(ids) {
        let new = LogTree::new(&tree).append(height, &id).map_err(store_error)?;
        tree.nodes.extend(new);
    }
    LogTree::new(&tree).root(size).map_err(store_error)
}

/// That the block at `height` is among the first `size`.
///
/// # Errors
/// When the store fails, or there is no such block.
pub fn tree_path(view: &dyn View, height: u64, size: u64) -> Result<InclusionProof, StoreError> {
    LogTree::new(&Stored(view)).inclusion_proof(height, size).map_err(store_error)
}

/// Signs the checkpoint that ends with `block`, as the only hospital there is. Every change of hospitals below it must
/// be final.
///
/// # Errors
/// When the store fails.
pub fn sign_checkpoint(
    unit: &mut dyn Unit,
    rules: &Rules,
    key: &MiningKey,
    block: &StoredBlock,
) -> Result<(), StoreError> {
    let bug = |error: &dyn std::fmt::Display| StoreError::Damaged(format!("checkpoint: {error}"));
    let size = block.height + 1;
    let checkpoint = Checkpoint::new(&rules.chain, size, tree_root(unit, size)?);
    let mut note = SignedNote::new(checkpoint.to_string()).map_err(|error| bug(&error))?;
    let name = key.hospital.to_string();
    let public = *key.key.verifying_key().as_bytes();
    let cosigner = NoteKey::cosigner(name, public).map_err(|error| bug(&error))?;
    let time = Timestamp::from_secs(u64::from(block.signed.header.time));
    note.cosign(&cosigner, time, &mut |bytes| *key.key.sign_note(bytes).as_bytes())
        .map_err(|error| bug(&error))?;
    keep(unit, &note, size)
}

/// The hospitals that make the first `size` blocks final: those before the last of these blocks. A block that changes
/// the hospitals is made final by those it finds.
///
/// # Errors
/// When the store fails.
pub fn deciders(
    state: &dyn StateRead,
    rules: &Rules,
    size: u64,
) -> Result<HospitalSet, StoreError> {
    State::new(state).hospitals_at(&rules.genesis, size.saturating_sub(2))
}

/// Whether there is one hospital only, and that is final: it is its own quorum, and what it mines is final at once.
///
/// # Errors
/// When the store fails.
pub fn alone(view: &dyn View, rules: &Rules) -> Result<bool, StoreError> {
    let set = State::new(view).hospitals(&rules.genesis)?;
    Ok(set.quorum() == 1 && (set.since == 0 || final_size(view, rules)? > set.since))
}

/// The keys of all who ever were hospitals here, each under its hospital's id: for whoever wants to know who
/// signed something, not whether a quorum did.
///
/// # Errors
/// When the store fails.
pub fn all_cosigners(state: &dyn StateRead, rules: &Rules) -> Result<Vec<NoteKey>, StoreError> {
    let mut keys = HospitalSet::founders(&rules.genesis).cosigners();
    for set in State::new(state).hospital_changes()? {
        for key in set.cosigners() {
            let known = |known: &NoteKey| {
                known.name() == key.name() && known.public_key() == key.public_key()
            };
            if !keys.iter().any(known) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

/// The newest checkpoint that a quorum signed.
///
/// # Errors
/// When the store fails, or what it holds is no such checkpoint.
pub fn newest(
    view: &dyn View,
    rules: &Rules,
) -> Result<Option<(SignedNote, Checkpoint)>, StoreError> {
    let Some(bytes) = view.local(Drawer::Node, NEWEST)? else { return Ok(None) };
    let damaged =
        |error: &dyn std::fmt::Display| StoreError::Damaged(format!("checkpoint: {error}"));
    let note = SignedNote::from_bytes(&bytes).map_err(|error| damaged(&error))?;
    let checkpoint = checkpoint::of_chain(&note, &rules.chain).map_err(|error| damaged(&error))?;
    let cosigners = deciders(view, rules, checkpoint.size)?.cosigners();
    checkpoint::finality(&note, &rules.chain, &cosigners).map_err(|error| damaged(&error))?;
    let blocks = tip(view)?.height + 1;
    if checkpoint.size > blocks {
        return Err(damaged(&format!("it covers {} blocks, there are {blocks}", checkpoint.size)));
    }
    Ok(Some((note, checkpoint)))
}

/// Why a checkpoint that came from elsewhere was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// It is no note.
    #[error("the checkpoint cannot be read: {0}")]
    Note(#[from] NoteError),
    /// It is not signed by a quorum of this chain's hospitals.
    #[error("the checkpoint does not count: {0}")]
    Finality(#[from] FinalityError),
    /// It covers blocks that are not here.
    #[error("the checkpoint covers {size} blocks, there are {blocks}")]
    Ahead {
        /// Blocks it covers.
        size: u64,
        /// Blocks there are.
        blocks: u64,
    },
    /// It signs another history than the one that is here.
    #[error("the checkpoint signs other blocks than the first {size} of these")]
    Root {
        /// Blocks it covers.
        size: u64,
        /// What that proves against hospitals that signed both histories; to be kept with
        /// [`keep_evidence`].
        evidence: Option<Box<Evidence>>,
    },
    /// The hospitals changed below it, and no checkpoint is here that makes the change final.
    #[error(
        "the checkpoint covers {size} blocks, but the checkpoint over the change of hospitals at height {height} is not here"
    )]
    Handover {
        /// Blocks it covers.
        size: u64,
        /// Height of the change.
        height: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps a checkpoint that came from elsewhere, after checking it against the blocks here; one that
/// covers no more than what is kept changes nothing. Returns how many blocks are final now.
///
/// # Errors
/// See [`AcceptError`].
pub fn accept(unit: &mut dyn Unit, rules: &Rules, note: &[u8]) -> Result<u64, AcceptError> {
    let parsed = SignedNote::from_bytes(note)?;
    let checkpoint = checkpoint::of_chain(&parsed, &rules.chain)?;
    let cosigners = deciders(unit, rules, checkpoint.size)?.cosigners();
    checkpoint::finality(&parsed, &rules.chain, &cosigners)?;
    let (size, blocks) = (checkpoint.size, tip(unit)?.height + 1);
    if size > blocks {
        return Err(AcceptError::Ahead { size, blocks });
    }
    if tree_root(unit, size)? != checkpoint.root {
        let evidence = compare::against(unit, rules, &parsed)?.map(Box::new);
        return Err(AcceptError::Root { size, evidence });
    }
    let before = final_size(unit, rules)?;
    if size > before {
        if let Some(height) = handover::missing(unit, unit, size)? {
            return Err(AcceptError::Handover { size, height });
        }
        keep(unit, &parsed, size)?;
        fork::prune(unit, rules)?;
    }
    Ok(size.max(before))
}

/// Makes a checkpoint over `size` blocks that was judged the newest one, and its last block's hospitals the ones
/// that vote.
pub(crate) fn keep(unit: &mut dyn Unit, note: &SignedNote, size: u64) -> Result<(), StoreError> {
    unit.set_local(Drawer::Node, NEWEST, Some(note.to_string().as_bytes()))?;
    let height = size.saturating_sub(1);
    let changes = State::new(unit).hospital_changes()?;
    if changes.iter().any(|set| set.since == height) {
        handover::keep(unit, height, note)?;
        ballots::hand_over(unit, height)?;
    }
    Ok(())
}

/// Checks what is kept of checkpoints that contradict the chain, and of handovers. The newest checkpoint, and that each
/// handover proves its change, is for whoever checks the chain.
pub(crate) fn check_rows(view: &dyn View, faults: &mut Faults) -> Result<(), StoreError> {
    compare::check_rows(view, faults)?;
    handover::check_rows(view, faults)
}

/// How many blocks are final.
///
/// # Errors
/// When the store fails.
pub fn final_size(view: &dyn View, rules: &Rules) -> Result<u64, StoreError> {
    Ok(newest(view, rules)?.map_or(0, |(_, checkpoint)| checkpoint.size))
}
