//! Checkpoints on their way to a quorum: this hospital's cosignature, and those of others.

use super::{PARTIAL, damaged};
use crate::chain::{Rules, block_at};
use crate::checkpoint::{Checkpoint, NoteKey, SignedNote};
use crate::clock::Timestamp;
use crate::engine::MiningKey;
use crate::finality::tree_root;
use crate::ids::sha256;
use crate::store::{Drawer, StoreError, Unit, View};
use crate::vote::Target;

/// Checkpoints that wait for more cosignatures.
const PARTIALS: usize = 64;

/// Checkpoints that wait for more cosignatures, for passing on.
///
/// # Errors
/// When the store fails.
pub fn partial_checkpoints(view: &dyn View) -> Result<Vec<String>, StoreError> {
    let rows = view.local_scan(Drawer::Votes, &[PARTIAL], None, PARTIALS)?;
    rows.into_iter()
        .map(|(_, row)| String::from_utf8(row).map_err(|error| damaged(&error)))
        .collect()
}

/// Adds the cosignatures of a note to those known of the same checkpoint, leaving out wrong and unknown
/// ones; the note with all of them.
pub(crate) fn gather(
    unit: &mut dyn Unit,
    note: &SignedNote,
    cosigners: &[NoteKey],
) -> Result<SignedNote, StoreError> {
    let mut gathered = note.verified_only(cosigners);
    if let Some(row) = unit.local(Drawer::Votes, &partial_key(note))? {
        let known = SignedNote::from_bytes(&row).map_err(|error| damaged(&error))?;
        // One that does not fit any more is no loss: of each hospital one is enough.
        let _ = gathered.merge(&known);
    }
    if gathered.signatures().is_empty() {
        return Ok(gathered);
    }
    let key = partial_key(note);
    let rows = unit.local_scan(Drawer::Votes, &[PARTIAL], None, PARTIALS + 1)?;
    let new = !rows.iter().any(|(known, _)| *known == key);
    if rows.len() < PARTIALS || !new {
        unit.set_local(Drawer::Votes, &key, Some(gathered.to_string().as_bytes()))?;
    }
    Ok(gathered)
}

/// Forgets checkpoints that cover no more than `size` blocks, which are final.
pub(crate) fn forget_partials(unit: &mut dyn Unit, size: u64) -> Result<(), StoreError> {
    for (key, row) in unit.local_scan(Drawer::Votes, &[PARTIAL], None, PARTIALS + 1)? {
        let note = SignedNote::from_bytes(&row).map_err(|error| damaged(&error))?;
        let covers = note.text().parse::<Checkpoint>().map_or(0, |checkpoint| checkpoint.size);
        if covers <= size {
            unit.set_local(Drawer::Votes, &key, None)?;
        }
    }
    Ok(())
}

/// The checkpoint that ends with a decided block, with this hospital's cosignature.
pub(super) fn cosign(
    view: &dyn View,
    rules: &Rules,
    key: &MiningKey,
    target: &Target,
    now: Timestamp,
) -> Result<String, StoreError> {
    let size = target.height + 1;
    if block_at(view, target.height)?.id != target.block {
        return Err(damaged(&"a decided block is not on the best chain"));
    }
    let checkpoint = Checkpoint::new(&rules.chain, size, tree_root(view, size)?);
    let mut note = SignedNote::new(checkpoint.to_string()).map_err(|error| damaged(&error))?;
    let public = *key.key.verifying_key().as_bytes();
    let cosigner =
        NoteKey::cosigner(key.hospital.to_string(), public).map_err(|error| damaged(&error))?;
    note.cosign(&cosigner, now, &mut |bytes| *key.key.sign_note(bytes).as_bytes())
        .map_err(|error| damaged(&error))?;
    Ok(note.to_string())
}

pub(super) fn partial_key(note: &SignedNote) -> Vec<u8> {
    [&[PARTIAL][..], &sha256(&[note.text().as_bytes()])].concat()
}
