//! Replay: every participant checks the chain against its own rules, block by block, from genesis.

use crate::block::Block;
use crate::chain::{BlockError, Rules, block_at, tip};
use crate::clock::Timestamp;
use crate::fork;
use crate::ids::BlockId;
use crate::prune;
use crate::registry::VoidCode;
use crate::state::{Change, Changes, PutOff, Rebuilt, Signatures, StateKey, StateRead, apply};
use crate::store::{StoreError, StoredBlock, View};
use std::collections::BTreeMap;

/// What a replay found to be in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Blocks, genesis included.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
}

/// The first thing on the chain that is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A block breaks a rule.
    #[error("block {height}: {error}")]
    Rule {
        /// Its height.
        height: u64,
        /// The rule.
        error: BlockError,
    },
    /// What is stored beside a block is not what follows from it.
    #[error("block {height} is stored with another {what} than follows from it")]
    Stored {
        /// Its height.
        height: u64,
        /// What differs.
        what: &'static str,
    },
    /// What is kept to take a block back is not what was there before it.
    #[error("what is kept to take block {height} back is not what was there before it")]
    Undo {
        /// Its height.
        height: u64,
    },
    /// The genesis block is that of another chain.
    #[error("the genesis block is {found}, that of the chain is {expected}")]
    Genesis {
        /// What the rules say.
        expected: BlockId,
        /// What is stored.
        found: BlockId,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Judges every block of `view` anew and folds `into`, which must be empty, so that the state that follows from the
/// blocks can be compared with the state that is stored. After an error it is of no use.
///
/// `progress` is told the height of each block done.
///
/// # Errors
/// See [`ReplayError`]: the first block that is not in order.
///
/// # Panics
/// When `signatures` does not run what it is to run alongside: a bug in it.
pub fn replay(
    view: &dyn View,
    rules: &Rules,
    now: Timestamp,
    signatures: &mut dyn Signatures,
    into: &mut Rebuilt,
    progress: &mut dyn FnMut(u64),
) -> Result<Replayed, ReplayError> {
    let mut done = Replayed::default();
    let genesis = block_at(view, 0)?;
    let expected = rules.stored_genesis(&genesis.signed.header);
    if *expected.id.as_bytes() != *rules.chain.as_bytes() {
        let expected_id = BlockId::from_bytes(*rules.chain.as_bytes());
        return Err(ReplayError::Genesis { expected: expected_id, found: expected.id });
    }
    compare(&genesis, &expected)?;
    into.write(rules.genesis.state());
    done.blocks = 1;
    let mut result = None;
    signatures.alongside(&mut |signatures| {
        let mut places = Vec::new();
        let mut done_by = |height, records| {
            done.blocks += 1;
            done.records += records;
            progress(height);
        };
        let judged =
            blocks(view, rules, now, signatures, &expected, into, &mut places, &mut done_by);
        // Of two faults the first counts, and every signature put off stands before what ended the replay.
        result = Some(settle(signatures, &places).and(judged));
    });
    result.expect("the job is run once").map(|()| done)
}

/// Judges block after block and folds it, until one is not in order or a signature put off is known to
/// be wrong. `places` is told how many checks were put off before each block.
#[expect(clippy::too_many_arguments, reason = "one step of the function above")]
fn blocks(
    view: &dyn View,
    rules: &Rules,
    now: Timestamp,
    signatures: &mut dyn Signatures,
    genesis: &StoredBlock,
    into: &mut Rebuilt,
    places: &mut Vec<(usize, u64)>,
    done: &mut dyn FnMut(u64, u64),
) -> Result<(), ReplayError> {
    let mut newest = Newest::new(genesis.clone());
    for height in 1..=tip(view)?.height {
        let stored = block_at(view, height)?;
        let block = block(view, &stored)?;
        places.push((signatures.waiting(), height));
        let signatures = &mut PutOff(signatures);
        let kept = fork::write::kept(view, height)?;
        let mut before = kept.as_ref().map(|_| Before::default());
        let judged = judge(view, rules, &newest, &block, now, signatures, into, &mut before);
        let checked = judged.map_err(|error| ReplayError::Rule { height, error })?;
        if signatures.faulty() {
            return Ok(());
        }
        compare(&stored, &checked)?;
        if let (Some(kept), Some(before)) = (kept, before)
            && !before.is_as_kept(&kept)
        {
            return Err(ReplayError::Undo { height });
        }
        newest.push(checked);
        done(height, block.records.len() as u64);
    }
    Ok(())
}

/// The entries that a block changes, as they were before it.
#[derive(Default)]
struct Before(BTreeMap<StateKey, Option<Vec<u8>>>);

impl Before {
    fn note(&mut self, changes: &[Change], state: &dyn StateRead) -> Result<(), StoreError> {
        for Change { key, .. } in changes {
            if !self.0.contains_key(key) {
                self.0.insert(key.clone(), state.state(key.as_bytes())?);
            }
        }
        Ok(())
    }

    fn is_as_kept(&self, kept: &Changes) -> bool {
        let here = self.0.iter().map(|(key, value)| (key.as_bytes(), value.as_deref()));
        here.eq(kept.iter())
    }
}

/// As [`Rules::check_block`], but that what changes is folded into `state` at once. `before` is told what it was, where
/// that is asked for.
#[expect(clippy::too_many_arguments, reason = "one step of the function above")]
fn judge(
    view: &dyn View,
    rules: &Rules,
    newest: &Newest,
    block: &Block,
    now: Timestamp,
    signatures: &mut dyn Signatures,
    state: &mut Rebuilt,
    before: &mut Option<Before>,
) -> Result<StoredBlock, BlockError> {
    let tip = newest.tip();
    rules.check_frame(&SoFar { view, newest, state }, tip, block, now)?;
    let at = rules.at(tip);
    Rules::check_records(block, signatures, &mut |record, signatures| {
        let changes = apply(state, record, &at, signatures)?;
        if let Some(before) = before {
            before.note(&changes, state)?;
        }
        state.write(changes);
        Ok(())
    })?;
    let node = block.to_nodes().root.0;
    Ok(rules.stored(&SoFar { view, newest, state }, tip, block, node)?)
}

/// Makes the checks that were put off; blame finds its block.
fn settle(signatures: &mut dyn Signatures, places: &[(usize, u64)]) -> Result<(), ReplayError> {
    signatures.settle().map_err(|failed| {
        let block = places.partition_point(|(before, _)| *before <= failed);
        let (before, height) = block.checked_sub(1).map(|at| places[at]).unwrap_or_default();
        let error = BlockError::Void { index: failed - before, code: VoidCode::BadSignature };
        ReplayError::Rule { height, error }
    })
}

/// A stored block with its records, as it came.
///
/// # Errors
/// [`StoreError::Pruned`] where its records were dropped; when the store fails or the block is not whole.
pub fn block(view: &dyn View, stored: &StoredBlock) -> Result<Block, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("block {}: {what}", stored.height));
    if stored.height < prune::kept_from(view)? && stored.height > 0 {
        return Err(StoreError::Pruned { height: stored.height });
    }
    let records = view.signed_records_of(stored.height)?;
    Ok(Block {
        header: stored.signed.header,
        signature: stored.signed.signature.ok_or_else(|| damaged("no signature"))?,
        descriptor: stored.descriptor.ok_or_else(|| damaged("no descriptor"))?,
        records,
    })
}

fn compare(found: &StoredBlock, expected: &StoredBlock) -> Result<(), ReplayError> {
    let height = found.height;
    let differs = [
        ("id", found.id != expected.id),
        ("node", found.node != expected.node),
        ("count of records", found.records != expected.records),
        ("median time", found.median_time != expected.median_time),
        ("work", found.chain_work != expected.chain_work),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        Some((what, _)) => Err(ReplayError::Stored { height, what }),
        None => Ok(()),
    }
}

/// The first key whose entry differs between two states; `None` when they are the same.
///
/// # Errors
/// When a store fails.
pub fn first_difference(
    a: &dyn StateRead,
    b: &dyn StateRead,
) -> Result<Option<Vec<u8>>, StoreError> {
    const ROWS: usize = 1000;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let left = a.state_scan(&[], after.as_deref(), ROWS)?;
        let right = b.state_scan(&[], after.as_deref(), ROWS)?;
        for (l, r) in left.iter().zip(&right) {
            if l != r {
                return Ok(Some(l.0.clone().min(r.0.clone())));
            }
        }
        match left.len().cmp(&right.len()) {
            std::cmp::Ordering::Less => return Ok(Some(right[left.len()].0.clone())),
            std::cmp::Ordering::Greater => return Ok(Some(left[right.len()].0.clone())),
            std::cmp::Ordering::Equal if left.len() < ROWS => return Ok(None),
            std::cmp::Ordering::Equal => after = left.last().map(|(key, _)| key.clone()),
        }
    }
}

mod so_far;

use so_far::{Newest, SoFar};

#[cfg(test)]
mod tests;
