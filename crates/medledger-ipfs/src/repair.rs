//! Replaces blocks that are damaged or missing by what another source has.

use crate::{
    check::{Broken, StoreCheck},
    links::links_of,
    store::{BlockRead, BlockStore, StoreError},
};
use medledger_core::{Cid, cid::Codec};
use std::collections::HashSet;

/// Blocks that become durable together.
const BATCH: usize = 64;

/// What a repair did.
#[derive(Debug, Default)]
pub struct Repaired {
    /// Blocks that are healthy again, in the order they were repaired.
    pub repaired: Vec<Cid>,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that the source does not have.
    pub absent: Vec<Cid>,
    /// Blocks for which the source gave other bytes than their CID names: it is damaged, or lies.
    pub wrong: Vec<Cid>,
    /// Blocks that the source could not be asked for, with what it said.
    pub failed: Vec<(Cid, StoreError)>,
}

impl Repaired {
    /// Whether everything that was broken is healthy again.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.absent.is_empty() && self.wrong.is_empty() && self.failed.is_empty()
    }
}

/// Fetches what a [check](crate::check::check_store) found broken, and what below it is missing too.
///
/// Every block is verified before it takes the place of a damaged one, and takes it at once and whole. The
/// source is not trusted: what it gives wrong is reported and skipped. Garbage that is damaged is
/// not fetched: a collection removes it.
///
/// # Errors
/// When this store fails. What the source does not have, gives wrong or fails at is in the result.
pub fn repair_store(
    store: &(impl BlockStore + ?Sized),
    check: &StoreCheck,
    source: &dyn BlockRead,
) -> Result<Repaired, StoreError> {
    let mut repaired = Repaired::default();
    let needed = |broken: &Broken| broken.below.is_some().then_some(broken.cid);
    let mut due: Vec<Cid> = check.broken().iter().filter_map(needed).collect();
    let mut met: HashSet<Cid> = due.iter().copied().collect();
    let damaged: HashSet<[u8; 32]> = check.damaged.iter().map(|b| *b.cid.digest()).collect();
    while !due.is_empty() {
        let batch = due.split_off(due.len().saturating_sub(BATCH));
        let session = store.begin()?;
        let mut put = Vec::new();
        for cid in batch {
            let block = match source.get(&cid) {
                Ok(Some(block)) if cid.matches(&block) => block,
                Ok(Some(_)) | Err(StoreError::Damaged { .. }) => {
                    repaired.wrong.push(cid);
                    continue;
                }
                Ok(None) => {
                    repaired.absent.push(cid);
                    continue;
                }
                Err(error) => {
                    repaired.failed.push((cid, error));
                    continue;
                }
            };
            session.put(&cid, &block)?;
            put.push((cid, block.len() as u64));
            // Nobody could see below it before. Links of a malformed node are for the next check.
            let mut below = links_of(cid.codec(), &block).unwrap_or_default();
            while let Some(cid) = below.pop() {
                if !met.insert(cid) {
                    continue;
                }
                if damaged.contains(cid.digest()) || !store.has(&cid)? {
                    due.push(cid);
                } else if cid.codec() != Codec::Raw
                    && let Some(node) = store.get(&cid)?
                {
                    below.extend(links_of(cid.codec(), &node).unwrap_or_default());
                }
            }
        }
        session.finish(&[])?;
        repaired.bytes += put.iter().map(|(_, bytes)| bytes).sum::<u64>();
        repaired.repaired.extend(put.into_iter().map(|(cid, _)| cid));
    }
    Ok(repaired)
}

/// Replaces blocks that are known to be damaged by what a source has, as [`repair_store`] does and without
/// looking for others. What they link to is not followed.
///
/// # Errors
/// When this store fails. What the source does not have, gives wrong or fails at is in the result.
pub fn repair_blocks(
    store: &(impl BlockStore + ?Sized),
    cids: &[Cid],
    source: &dyn BlockRead,
) -> Result<Repaired, StoreError> {
    let mut repaired = Repaired::default();
    for batch in cids.chunks(BATCH) {
        let session = store.begin()?;
        let mut put = Vec::new();
        for cid in batch {
            match source.get(cid) {
                Ok(Some(block)) if cid.matches(&block) => {
                    session.put(cid, &block)?;
                    put.push((*cid, block.len() as u64));
                }
                Ok(Some(_)) | Err(StoreError::Damaged { .. }) => repaired.wrong.push(*cid),
                Ok(None) => repaired.absent.push(*cid),
                Err(error) => repaired.failed.push((*cid, error)),
            }
        }
        session.finish(&[])?;
        repaired.bytes += put.iter().map(|(_, bytes)| bytes).sum::<u64>();
        repaired.repaired.extend(put.into_iter().map(|(cid, _)| cid));
    }
    Ok(repaired)
}
