//! Pruning: the records of old final blocks are dropped to save room.
//!
//! What stays: every header with its signature and descriptor, the log tree, the checkpoint, the state, and this
//! hospital's own records with their paths to the root of their block, so that a
//! [receipt](crate::receipt::Receipt) of them can be made under any later checkpoint. What no longer works is
//! [`StoreError::Pruned`]: to replay the chain, to export it, and to make receipts of what others stated.
//!
//! Only final blocks are pruned: no reorganisation ever takes them off again.

use crate::cbor;
use crate::chain::{Rules, block_at};
use crate::finality;
use crate::ids::{MemberId, RecordId};
use crate::merkle::{self, InclusionProof};
use crate::replay;
use crate::rows::Faults;
use crate::state::State;
use crate::store::{Drawer, Standing, StoreError, Unit, View};

#[cfg(test)]
mod tests;

/// Row of the height from which on blocks are whole.
const KEPT_FROM: &[u8] = b"kept-from";

/// More than a path takes in a block of 2^32 records.
const MAX_PATH: usize = 4096;

/// Blocks pruned in one unit of work: each holds the store's lock for a moment only.
const STEP: u64 = 1000;

/// What pruning dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blocks whose records were dropped.
    pub blocks: u64,
    /// Records dropped.
    pub records: u64,
    /// Own records kept, with their paths.
    pub kept: u64,
    /// Blocks from this height on are whole, and the genesis block.
    pub kept_from: u64,
}

/// The height from which on blocks are whole; 0 where nothing was pruned. Genesis has no records.
///
/// # Errors
/// When the store fails, or the row is damaged.
pub fn kept_from(view: &dyn View) -> Result<u64, StoreError> {
    let Some(bytes) = view.local(Drawer::Node, KEPT_FROM)? else { return Ok(0) };
    let bytes = <[u8; 8]>::try_from(bytes.as_slice())
        .map_err(|_| StoreError::Damaged("the height pruned up to has another length".into()))?;
    Ok(u64::from_be_bytes(bytes))
}

/// The path of an own record of a pruned block to that block's root.
///
/// # Errors
/// When the store fails, or the row is damaged.
pub fn path(view: &dyn View, id: &RecordId) -> Result<Option<InclusionProof>, StoreError> {
    let Some(bytes) = view.local(Drawer::Paths, id.as_bytes())? else { return Ok(None) };
    cbor::decode(&bytes, MAX_PATH)
        .map(Some)
        .map_err(|error| StoreError::Damaged(format!("path of record {id}: {error}")))
}

/// Checks that each path can be read and leads from a record that is here in a block that was pruned. That it leads to
/// the root is checked with the block.
pub(crate) fn check_paths(view: &dyn View, faults: &mut Faults) -> Result<(), StoreError> {
    // Told elsewhere where it cannot be read.
    let kept_from = match kept_from(view) {
        Err(StoreError::Damaged(_)) => u64::MAX,
        other => other?,
    };
    for (key, _) in view.local_scan(Drawer::Paths, &[], None, usize::MAX)? {
        let Ok(id) = RecordId::try_from(key.as_slice()) else {
            faults.add(Drawer::Paths, &key, "it belongs to no record");
            continue;
        };
        faults.read(Drawer::Paths, &key, path(view, &id))?;
        let pruned = matches!(view.standing(&id), Ok(Some(Standing::Mined { height, .. })) if height < kept_from);
        if !pruned {
            faults.add(Drawer::Paths, &key, "its record is in no block that was pruned");
        }
    }
    Ok(())
}

/// Drops the records of final blocks but of the newest `keep` ones, at most a thousand blocks in one unit: repeat
/// until no block was pruned. Records whose author belongs to `hospital`, or which concern a patient of it, stay.
///
/// # Errors
/// When the store fails, or a block is not whole or not what its header says: then nothing of it is dropped.
pub fn prune(
    unit: &mut dyn Unit,
    rules: &Rules,
    hospital: &MemberId,
    keep: u64,
) -> Result<Pruned, StoreError> {
    let begin = kept_from(unit)?.max(1);
    let end = finality::final_size(unit, rules)?.saturating_sub(keep).min(begin + STEP);
    let mut done = Pruned { kept_from: begin, ..Pruned::default() };
    for height in begin..end {
        prune_block(unit, hospital, height, &mut done)?;
        done.blocks += 1;
        done.kept_from = height + 1;
    }
    if done.blocks > 0 {
        unit.set_local(Drawer::Node, KEPT_FROM, Some(&done.kept_from.to_be_bytes()))?;
    }
    Ok(done)
}

fn prune_block(
    unit: &mut dyn Unit,
    hospital: &MemberId,
    height: u64,
    done: &mut Pruned,
) -> Result<(), StoreError> {
    let stored = block_at(unit, height)?;
    let block = replay::block(unit, &stored)?;
    // What does not lead to the root proves nothing, and is evidence of damage that must not go.
    if block.root() != stored.signed.header.root {
        return Err(StoreError::Damaged(format!("block {height}: its records have another root")));
    }
    let records = unit.records_of(height)?;
    let mut leaves = vec![merkle::leaf_hash(&block.descriptor.leaf())];
    leaves.extend(records.iter().map(|record| merkle::leaf_hash(&record.bytes)));
    for (index, record) in (1..).zip(&records) {
        let state = State::new(&*unit);
        let of = |id: &MemberId| -> Result<bool, StoreError> {
            Ok(id == hospital
                || state.member(id)?.is_some_and(|member| member.hospital == *hospital))
        };
        let own =
            of(&record.author)? || record.patient.as_ref().map(of).transpose()?.unwrap_or_default();
        if own {
            let path = InclusionProof::new(&leaves, index)
                .map_err(|error| StoreError::Damaged(format!("block {height}: {error}")))?;
            unit.set_local(Drawer::Paths, record.id.as_bytes(), Some(&cbor::encode(&path)))?;
            done.kept += 1;
        } else {
            unit.remove_record(&record.id)?;
            done.records += 1;
        }
    }
    Ok(())
}
