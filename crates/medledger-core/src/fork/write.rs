//! Putting a judged block on top of the chain, and taking the newest one off again.

use crate::block::Block;
use crate::cbor;
use crate::chain::tip;
use crate::finality;
use crate::registry::limit;
use crate::replay;
use crate::state::{Change, Changes, StateKey};
use crate::store::{Drawer, Standing, StoreError, StoredBlock, Unit, View};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Key and value of every entry a block changed, as they were before it.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Undo(Vec<(ByteBuf, Option<ByteBuf>)>);

/// Bytes of what one block changed: each of its records sets a few entries of its own size.
const UNDO_BYTES: usize = 8 * limit::BLOCK_BYTES;

/// Whether a block may have to be taken off again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undoing {
    /// It is not final: what it changes is noted.
    Kept,
    /// It is final at once.
    Needless,
}

/// Block, state and log tree; the standing of its records is the caller's to write.
pub(crate) fn push(
    unit: &mut dyn Unit,
    stored: &StoredBlock,
    changes: &Changes,
    undoing: Undoing,
) -> Result<(), StoreError> {
    if undoing == Undoing::Kept {
        let mut undo = Vec::new();
        for (key, _) in changes.iter() {
            let before = unit.state(key)?.map(ByteBuf::from);
            undo.push((ByteBuf::from(key), before));
        }
        let row = cbor::encode(&Undo(undo));
        unit.set_local(Drawer::Undo, &stored.height.to_be_bytes(), Some(&row))?;
    }
    unit.append_block(stored)?;
    for (key, value) in changes.iter() {
        unit.set_state(key, value)?;
    }
    finality::extend_tree(unit, stored)
}

/// What gives the state back that was there before the block at a height.
pub(crate) fn undo(view: &dyn View, height: u64) -> Result<Changes, StoreError> {
    let damaged = |what: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("block {height} cannot be taken back: {what}"))
    };
    let row = view
        .local(Drawer::Undo, &height.to_be_bytes())?
        .ok_or_else(|| damaged(&"what it changed was not kept"))?;
    let Undo(entries) = cbor::decode(&row, UNDO_BYTES).map_err(|error| damaged(&error))?;
    let mut changes = Changes::default();
    changes.extend(
        entries
            .into_iter()
            .map(|(key, value)| Change {
                key: StateKey::from(&key[..]),
                value: value.map(ByteBuf::into_vec),
            })
            .collect(),
    );
    Ok(changes)
}

/// The same, where it is kept and can be read.
pub(crate) fn kept(view: &dyn View, height: u64) -> Result<Option<Changes>, StoreError> {
    match undo(view, height) {
        Err(StoreError::Damaged(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// Takes the newest block off. Its records wait again, at the end of the queue from `seq` on.
pub(crate) fn pop(unit: &mut dyn Unit, seq: u64) -> Result<Block, StoreError> {
    let top = tip(unit)?;
    let changes = undo(unit, top.height)?;
    let block = replay::block(unit, &top)?;
    for (seq, record) in (seq..).zip(&block.records) {
        unit.settle(&record.id(), Standing::Accepted { seq })?;
    }
    unit.remove_tip()?;
    for (key, value) in changes.iter() {
        unit.set_state(key, value)?;
    }
    finality::shrink_tree(unit, top.height)?;
    unit.set_local(Drawer::Undo, &top.height.to_be_bytes(), None)?;
    Ok(block)
}

/// Forgets how to take back the blocks up to `height`, which are final.
pub(crate) fn forget_undo(unit: &mut dyn Unit, height: u64) -> Result<(), StoreError> {
    const ROWS: usize = 1000;
    loop {
        let rows = unit.local_scan(Drawer::Undo, &[], None, ROWS)?;
        let end = height.to_be_bytes();
        let mut removed = 0;
        for (key, _) in rows.iter().take_while(|(key, _)| key.as_slice() <= end.as_slice()) {
            unit.set_local(Drawer::Undo, key, None)?;
            removed += 1;
        }
        if removed < ROWS {
            return Ok(());
        }
    }
}
