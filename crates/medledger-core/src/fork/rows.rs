//! Whether the rows of blocks that may be taken back, or lie beside the chain, are whole.

use super::{branches, finalize, write};
use crate::chain::{Rules, block_at, tip};
use crate::finality;
use crate::ids::BlockId;
use crate::pow::median_time_at;
use crate::rows::Faults;
use crate::store::{Drawer, StoreError, StoredBlock, View};
use std::cell::RefCell;
use std::collections::HashMap;

/// Checks what the newest blocks changed, the blocks beside the chain, and checkpoints that wait or contradict.
pub(crate) fn check_rows(
    view: &dyn View,
    rules: &Rules,
    faults: &mut Faults,
) -> Result<(), StoreError> {
    check_undo(view, rules, faults)?;
    check_branches(view, rules, faults)?;
    finalize::check_rows(view, rules, faults)
}

fn check_undo(view: &dyn View, rules: &Rules, faults: &mut Faults) -> Result<(), StoreError> {
    let top = tip(view)?.height;
    let mut kept = Vec::new();
    for (key, _) in view.local_scan(Drawer::Undo, &[], None, usize::MAX)? {
        let height = <[u8; 8]>::try_from(key.as_slice()).ok().map(u64::from_be_bytes);
        match height.filter(|height| *height <= top) {
            Some(height) => {
                faults.read(Drawer::Undo, &key, write::undo(view, height))?;
                kept.push(height);
            }
            None => faults.add(Drawer::Undo, &key, "there is no block at this height"),
        }
    }
    // Which blocks are final cannot be told by a damaged checkpoint, and alone a hospital takes none back.
    let size = match finality::final_size(view, rules) {
        Err(StoreError::Damaged(_)) => return Ok(()),
        size => size?,
    };
    if finality::alone(view, rules)? {
        return Ok(());
    }
    let missing = (size.max(1)..=top).find(|height| kept.binary_search(height).is_err());
    if let Some(height) = missing {
        let what = format!("what block {height} changed is not kept: it could not be taken back");
        faults.add(Drawer::Undo, &height.to_be_bytes(), what);
    }
    Ok(())
}

fn check_branches(view: &dyn View, rules: &Rules, faults: &mut Faults) -> Result<(), StoreError> {
    let drawer = Drawer::Branches;
    let mut beside = HashMap::new();
    let mut keys = HashMap::new();
    for (key, row) in view.local_scan(drawer, &[], None, usize::MAX)? {
        let Some(node) = faults.read(drawer, &key, branches::check(view, &key, &row))? else {
            continue;
        };
        if let branches::Place::Block(kept) = node {
            keys.insert(kept.stored.id, key);
            beside.insert(kept.stored.id, kept);
        }
    }
    for (id, kept) in beside.iter().filter(|(_, kept)| !kept.orphan) {
        let below = |id: BlockId| -> Result<Option<StoredBlock>, StoreError> {
            match view.height_of(&id)? {
                Some(height) => block_at(view, height).map(Some),
                None => Ok(beside.get(&id).map(|kept| kept.stored.clone())),
            }
        };
        let stored = &kept.stored;
        let Some(parent) = below(stored.signed.header.previous)? else {
            faults.add(drawer, &keys[id], "the block below it is not here");
            continue;
        };
        // The headers below, newest first.
        let at = RefCell::new(parent.clone());
        let median = median_time_at(&stored.signed.header, stored.height, &|height| {
            let mut at = at.borrow_mut();
            while at.height > height {
                let Some(next) = below(at.signed.header.previous)? else { break };
                *at = next;
            }
            Ok::<_, StoreError>(at.signed.header)
        });
        let work = parent.chain_work.saturating_add(rules.work(stored.signed.header.bits));
        if stored.chain_work != work || stored.median_time.as_secs() != u64::from(median?) {
            let what = "it is stored with another work or median time than follows from it";
            faults.add(drawer, &keys[id], what);
        }
    }
    Ok(())
}
