//! The fast check: headers at the speed of hashing, and that records lead to the roots in them. Nothing is replayed.

use super::Finding;
use crate::ledger::Ledger;
use medledger_core::Cid;
use medledger_core::block::verify_header;
use medledger_core::chain::{HeaderChain, Rules, block_at, tip};
use medledger_core::hospital::HospitalSet;
use medledger_core::merkle::{self, TreeHash};
use medledger_core::pow::{Header, Work, median_time_past};
use medledger_core::prune;
use medledger_core::registry::limit::MEDIAN_TIME_BLOCKS;
use medledger_core::replay::block;
use medledger_core::state::State;
use medledger_core::store::{Standing, StoreError, StoredBlock, View};
use std::collections::VecDeque;

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
    /// Headers, work, times and links from genesis on; roots over the records that are kept. With `signatures`, whether
    /// each block is signed by the hospital that mined it, as the state knows it.
    pub(super) fn verify_headers(
        &self,
        view: &dyn View,
        signatures: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Checked, StoreError> {
        let (rules, mut done) = (self.rules(), Checked::default());
        let first = block_at(view, 0)?;
        let genesis = first.signed.header;
        let mut chain = match HeaderChain::from_genesis(rules.genesis.consensus.clone(), &genesis) {
            Ok(chain) if *chain.tip_id().as_bytes() == *rules.chain.as_bytes() => chain,
            _ => {
                done.findings.push(Finding::Root { height: 0 });
                return Ok(done);
            }
        };
        let mut expected = Expected::after_genesis(rules, &genesis);
        if first != rules.stored_genesis(&genesis) {
            done.findings.push(stored(0, "it is stored with something else than follows from it"));
        }
        let signers = if signatures { Some(Signers::of(view, rules)?) } else { None };
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
            for block in &blocks {
                let height = block.height;
                let differs = expected.add(block);
                match roots(view, block, kept_from)? {
                    Some(records) => {
                        done.records += records;
                        done.findings.extend(differs.map(|what| stored(height, what)));
                    }
                    None => done.findings.push(Finding::Root { height }),
                }
                if signers.as_ref().is_some_and(|signers| !signers.signed(block)) {
                    done.findings.push(stored(height, "no hospital signed it that might"));
                }
                progress(block.height);
            }
            done.blocks += blocks.len() as u64;
        }
        // What the block after it would name; there is none.
        let newest = block_at(view, top)?;
        if top >= kept_from.max(1)
            && done.findings.is_empty()
            && block(view, &newest)?.to_nodes().root.0 != newest.node
        {
            done.findings.push(stored(top, "its node is not that of its records"));
        }
        Ok(done)
    }
}

fn stored(height: u64, what: &str) -> Finding {
    Finding::Stored(format!("block {height}: {what}"))
}

/// What follows from the blocks so far for what is stored with the next one.
struct Expected<'a> {
    rules: &'a Rules,
    /// Of the last headers, the newest first.
    times: VecDeque<u32>,
    work: Work,
    node: Cid,
}

impl<'a> Expected<'a> {
    fn after_genesis(rules: &'a Rules, header: &Header) -> Self {
        let genesis = rules.stored_genesis(header);
        let times = VecDeque::from([header.time]);
        Self { rules, times, work: genesis.chain_work, node: genesis.node }
    }

    /// Goes on to the next block; says what differs.
    fn add(&mut self, block: &StoredBlock) -> Option<&'static str> {
        let header = &block.signed.header;
        self.times.push_front(header.time);
        self.times.truncate(MEDIAN_TIME_BLOCKS);
        self.work = self.work.saturating_add(self.rules.work(header.bits));
        let median = median_time_past(self.times.iter().copied()).unwrap_or(header.time);
        let before = std::mem::replace(&mut self.node, block.node);
        let placed = block.descriptor.is_none_or(|said| {
            said.chain == self.rules.chain && said.height == block.height && said.parent == before
        });
        if block.chain_work != self.work || block.median_time.as_secs() != u64::from(median) {
            return Some("it is stored with another work or median time than follows from it");
        }
        (!placed).then_some("it names another node than that of the block before it")
    }
}

/// The hospitals by height.
struct Signers<'a> {
    rules: &'a Rules,
    founders: HospitalSet,
    changes: Vec<HospitalSet>,
}

impl<'a> Signers<'a> {
    fn of(view: &dyn View, rules: &'a Rules) -> Result<Self, StoreError> {
        let founders = HospitalSet::founders(&rules.genesis);
        Ok(Self { rules, founders, changes: State::new(view).hospital_changes()? })
    }

    /// Whether a block bears the signature of the hospital that it names as its miner.
    fn signed(&self, block: &StoredBlock) -> bool {
        let before = self.changes.iter().rev().find(|set| set.since < block.height);
        let miner = block.descriptor.map(|descriptor| descriptor.miner);
        let key =
            miner.and_then(|miner| before.unwrap_or(&self.founders).mining_key(&miner).copied());
        let signed = key.zip(block.signed.signature.as_ref()).map(|(key, signature)| {
            verify_header(&key, &self.rules.chain, &block.id, signature).is_ok()
        });
        signed.unwrap_or(false)
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
