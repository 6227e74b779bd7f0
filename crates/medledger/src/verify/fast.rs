//! The fast check: headers at the speed of hashing, and that records lead to the roots in them. Nothing is replayed.

use super::Finding;
use crate::ledger::Ledger;
use medledger_core::chain::{HeaderChain, block_at, tip};
use medledger_core::merkle::{self, TreeHash};
use medledger_core::prune;
use medledger_core::store::{Standing, StoreError, StoredBlock, View};

/// Headers judged together.
const BATCH: u64 = 4096;

/// What the fast check went through.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) blocks: u64,
    pub(super) records: u64,
    pub(super) findings: Vec<Finding>,
}

impl Ledger {
    /// Headers, work, times and links from genesis on; roots over the records that are kept.
    pub(super) fn verify_headers(
        &self,
        view: &dyn View,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Checked, StoreError> {
        let (rules, mut done) = (self.rules(), Checked::default());
        let genesis = block_at(view, 0)?.signed.header;
        let mut chain = match HeaderChain::from_genesis(rules.genesis.consensus.clone(), &genesis) {
            Ok(chain) if *chain.tip_id().as_bytes() == *rules.chain.as_bytes() => chain,
            _ => {
                done.findings.push(Finding::Root { height: 0 });
                return Ok(done);
            }
        };
        done.blocks = 1;
        let (top, kept_from) = (tip(view)?.height, prune::kept_from(view)?);
        while chain.height() < top {
            let from = chain.height() + 1;
            let to = top.min(from + BATCH - 1);
            let blocks: Vec<StoredBlock> =
                (from..=to).map(|height| block_at(view, height)).collect::<Result<_, _>>()?;
            let headers: Vec<_> =
                blocks.iter().map(|block| block.signed.header.to_bytes()).collect();
            if let Err(fault) = chain.extend(&headers, self.now()) {
                done.findings.push(Finding::Header(fault));
                return Ok(done);
            }
            let last = &blocks[blocks.len() - 1];
            if last.chain_work != chain.chain_work() || last.median_time != chain.median_time() {
                done.findings.push(Finding::Stored(format!(
                    "block {to} is stored with another work or median time than follows from it"
                )));
            }
            for block in &blocks {
                match roots(view, block, kept_from)? {
                    Some(records) => done.records += records,
                    None => done.findings.push(Finding::Root { height: block.height }),
                }
                progress(block.height);
            }
            done.blocks += blocks.len() as u64;
        }
        Ok(done)
    }
}

/// How many records of a block are here, if all lead to its root. Those of a pruned block that are kept do so by
/// their paths.
fn roots(view: &dyn View, block: &StoredBlock, kept_from: u64) -> Result<Option<u64>, StoreError> {
    let Some(descriptor) = &block.descriptor else { return Ok(None) };
    let records = view.records_of(block.height)?;
    let root = TreeHash::from_bytes(*block.signed.header.root.as_bytes());
    let count = records.len() as u64;
    if block.height < kept_from {
        for record in &records {
            let Some(path) = prune::path(view, &record.id)? else { return Ok(None) };
            let Standing::Mined { index, .. } = record.standing else { return Ok(None) };
            let here = path.index == u64::from(index) + 1
                && path.size == u64::from(block.records) + 1
                && path.verify(&merkle::leaf_hash(&record.bytes), &root).is_ok();
            if !here {
                return Ok(None);
            }
        }
        return Ok(Some(count));
    }
    let leaves = std::iter::once(merkle::leaf_hash(&descriptor.leaf()))
        .chain(records.iter().map(|record| merkle::leaf_hash(&record.bytes)));
    let same = merkle::root_of_hashes(leaves) == root && count == u64::from(block.records);
    Ok(same.then_some(count))
}
