//! From one set of hospitals to the next: the proof that the old one made the change final.

use super::tree_path;
use crate::cbor;
use crate::chain::block_at;
use crate::checkpoint::{self, FinalityError, NoteError, SignedNote};
use crate::genesis::Genesis;
use crate::hospital::HospitalSet;
use crate::identity::PublicIdentity;
use crate::ids::{ChainId, MemberId, TreeHash};
use crate::merkle::{InclusionProof, ProofError, leaf_hash};
use crate::pow::Header;
use crate::record::{Body, HospitalChange, RecordError, SignedRecord};
use crate::registry::{VoidCode, limit};
use crate::rows::Faults;
use crate::state::{State, StateRead};
use crate::store::{Drawer, StoreError, Unit, View};
use crate::{log_tree, merkle};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows of handovers: this, then the height of the block that changed the set.
const HANDOVER: &[u8] = b"handover";

/// Proof that the hospitals changed: the record that changed them, and the checkpoint, signed by a quorum of the
/// hospitals before, whose last block has it.
///
/// One for each change leads from the founders to the hospitals of any checkpoint, without the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// The signed record, canonical bytes.
    #[serde(with = "serde_bytes")]
    record: Vec<u8>,
    /// From the record to the block's root.
    record_path: InclusionProof,
    /// The block's header.
    header: Header,
    /// From the header, the newest leaf, to the checkpoint's root.
    block_path: InclusionProof,
    /// The signed checkpoint.
    checkpoint: String,
}

/// Why a handover proves no change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandoverError {
    /// The checkpoint is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint is not signed by a quorum of the hospitals before the change.
    #[error(transparent)]
    Checkpoint(#[from] FinalityError),
    /// The block is not the last one of the checkpoint.
    #[error(
        "the block with the change is number {index} of {size}, not the last of the checkpoint"
    )]
    NotLast {
        /// Place of the block, from 0.
        index: u64,
        /// Blocks of the proof.
        size: u64,
    },
    /// The change comes no later than the one before it.
    #[error("the change at height {height} does not come after the one at {before}")]
    Order {
        /// Height of the change.
        height: u64,
        /// Height of the one before.
        before: u64,
    },
    /// The block is not under the checkpoint.
    #[error("the block with the change is not under the checkpoint: {0}")]
    NotInLog(ProofError),
    /// The record is not in the block.
    #[error("the record with the change is not in the block: {0}")]
    NotInBlock(ProofError),
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record is for another chain, changes no hospitals, or is not signed by one.
    #[error("the record changes no hospitals of this chain")]
    NotAChange,
    /// The change takes no effect on the hospitals before it.
    #[error("the change takes no effect: {0}")]
    Void(VoidCode),
}

impl From<VoidCode> for HandoverError {
    fn from(code: VoidCode) -> Self {
        Self::Void(code)
    }
}

/// The hospitals as somebody knows them who has seen nothing but genesis and handovers.
#[derive(Clone, Debug)]
pub struct Lineage {
    sets: Vec<HospitalSet>,
    identities: BTreeMap<MemberId, PublicIdentity>,
}

impl Lineage {
    /// The founders.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        let founders = genesis.founders.iter();
        let identities = founders.map(|f| (f.identity.member_id(), f.identity.clone())).collect();
        Self { sets: vec![HospitalSet::founders(genesis)], identities }
    }

    /// The newest set known.
    ///
    /// # Panics
    /// Never: there are always the founders.
    #[must_use]
    pub fn newest(&self) -> &HospitalSet {
        self.sets.last().expect("the founders are there")
    }

    /// The hospitals that judge a block at this height: those after the block below it.
    #[must_use]
    pub fn before(&self, height: u64) -> &HospitalSet {
        let before = self.sets.iter().rev().find(|set| set.since < height);
        before.unwrap_or(&self.sets[0])
    }

    /// Follows one more change.
    ///
    /// # Errors
    /// See [`HandoverError`]: the first thing that does not hold.
    pub fn follow(
        &mut self,
        chain: &ChainId,
        genesis: &Genesis,
        handover: &Handover,
    ) -> Result<(), HandoverError> {
        let set = self.newest();
        let note = SignedNote::from_bytes(handover.checkpoint.as_bytes())?;
        let checkpoint = checkpoint::finality(&note, chain, &set.cosigners())?;
        let InclusionProof { index, size, .. } = handover.block_path;
        if size != checkpoint.size || index.checked_add(1) != Some(size) {
            return Err(HandoverError::NotLast { index, size });
        }
        if index <= set.since {
            return Err(HandoverError::Order { height: index, before: set.since });
        }
        handover
            .block_path
            .verify(&log_tree::leaf(&handover.header.id()), &checkpoint.root)
            .map_err(HandoverError::NotInLog)?;
        if handover.record_path.index == 0 {
            // That is the block's descriptor, not a record.
            return Err(HandoverError::NotAChange);
        }
        handover
            .record_path
            .verify(&leaf_hash(&handover.record), &TreeHash::from(handover.header.root))
            .map_err(HandoverError::NotInBlock)?;
        let record = SignedRecord::decode(&handover.record)?;
        let statement = record.record();
        let author = statement.author;
        let signed =
            self.identities.get(&author).is_some_and(|by| record.verify(&by.signing_key()).is_ok());
        let Body::Admit(admit) = &statement.body else { return Err(HandoverError::NotAChange) };
        if statement.chain != *chain || !signed {
            return Err(HandoverError::NotAChange);
        }
        let identity = |id: &MemberId| Ok::<_, HandoverError>(self.identities.get(id).cloned());
        let next = set.changed(genesis, chain, (&author, admit), index, identity)?;
        if let HospitalChange::Admit(application) = &admit.change {
            self.identities.insert(application.id(), application.hospital().identity);
        }
        self.sets.push(next);
        Ok(())
    }
}

fn key(height: u64) -> Vec<u8> {
    [HANDOVER, &height.to_be_bytes()].concat()
}

fn damaged(height: u64, what: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("handover at height {height}: {what}"))
}

/// Keeps the handover of a change in the block at this height, which `note` makes final.
pub(super) fn keep(unit: &mut dyn Unit, height: u64, note: &SignedNote) -> Result<(), StoreError> {
    let block = block_at(unit, height)?;
    let records = unit.records_of(height)?;
    let change = records.iter().position(|record| record.kind == crate::registry::Kind::Admit);
    let change = change.ok_or_else(|| damaged(height, &"its record is missing"))?;
    let descriptor = block.descriptor.ok_or_else(|| damaged(height, &"no descriptor"))?;
    let mut leaves = vec![merkle::leaf_hash(&descriptor.leaf())];
    leaves.extend(records.iter().map(|record| leaf_hash(&record.bytes)));
    let record_path =
        InclusionProof::new(&leaves, change as u64 + 1).map_err(|error| damaged(height, &error))?;
    let handover = Handover {
        record: records[change].bytes.clone(),
        record_path,
        header: block.signed.header,
        block_path: tree_path(unit, height, height + 1)?,
        checkpoint: note.to_string(),
    };
    unit.set_local(Drawer::Node, &key(height), Some(&cbor::encode(&handover)))
}

fn get(view: &dyn View, height: u64) -> Result<Option<Handover>, StoreError> {
    let row = view.local(Drawer::Node, &key(height))?;
    row.map(|row| cbor::decode(&row, limit::RECEIPT_BYTES).map_err(|error| damaged(height, &error)))
        .transpose()
}

/// The handovers that lead from the founders to the hospitals that judge a block at this height.
///
/// # Errors
/// When the store fails, or lacks one of them.
pub fn handovers_before(view: &dyn View, height: u64) -> Result<Vec<Handover>, StoreError> {
    let changes = State::new(view).hospital_changes()?.into_iter();
    let before = changes.map(|set| set.since).take_while(|since| *since < height);
    before.map(|since| get(view, since)?.ok_or_else(|| damaged(since, &"it is missing"))).collect()
}

/// The signed checkpoints that ended each set of hospitals, oldest first, up to the newest that is final: whoever
/// takes the blocks takes these with them.
///
/// # Errors
/// When the store fails.
pub fn handover_notes(view: &dyn View) -> Result<Vec<String>, StoreError> {
    let mut notes = Vec::new();
    for set in State::new(view).hospital_changes()? {
        let Some(handover) = get(view, set.since)? else { break };
        notes.push(handover.checkpoint);
    }
    Ok(notes)
}

/// The first checkpoint that ended a set of hospitals and covers the block at this height, with the number of
/// blocks it covers.
pub(crate) fn note_over(
    view: &dyn View,
    height: u64,
) -> Result<Option<(SignedNote, u64)>, StoreError> {
    let changes = State::new(view).hospital_changes()?;
    let Some(set) = changes.iter().find(|set| set.since >= height) else { return Ok(None) };
    let Some(handover) = get(view, set.since)? else { return Ok(None) };
    let note = SignedNote::from_bytes(handover.checkpoint.as_bytes())
        .map_err(|error| damaged(set.since, &error))?;
    Ok(Some((note, set.since + 1)))
}

/// The height of the first change below the last of `size` blocks that is not known to be final.
pub(crate) fn missing(
    state: &dyn StateRead,
    view: &dyn View,
    size: u64,
) -> Result<Option<u64>, StoreError> {
    for set in State::new(state).hospital_changes()? {
        if set.since + 1 >= size {
            break;
        }
        if get(view, set.since)?.is_none() {
            return Ok(Some(set.since));
        }
    }
    Ok(None)
}

/// Checks that each handover can be read and is that of a change of hospitals.
pub(super) fn check_rows(view: &dyn View, faults: &mut Faults) -> Result<(), StoreError> {
    let changes = State::new(view).hospital_changes()?;
    for (key, _) in view.local_scan(Drawer::Node, HANDOVER, None, usize::MAX)? {
        let height = <[u8; 8]>::try_from(&key[HANDOVER.len()..]).ok().map(u64::from_be_bytes);
        match height.filter(|height| changes.iter().any(|set| set.since == *height)) {
            Some(height) => drop(faults.read(Drawer::Node, &key, get(view, height))?),
            None => {
                faults.add(Drawer::Node, &key, "there is no change of hospitals at this height");
            }
        }
    }
    Ok(())
}
