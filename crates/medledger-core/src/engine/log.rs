//! The single-writer log as an engine: the same blocks, signed by the one writer, without work. The
//! baseline that tells what proof of work costs.

use super::{
    Engine, EngineChain, Finality, Mined, MiningKey, OrderError, OrderJob, Ordered, Position,
    SubmitError, Ticket,
};
use crate::block::Block;
use crate::chain::Rules;
use crate::ids::ChainId;
use crate::record::SignedRecord;
use crate::state::StateRead;
use crate::store::{Store, StoreError, Unit, View};
use std::sync::atomic::Ordering;

/// Orders records by the signature of one hospital.
#[derive(Debug)]
pub struct LogEngine {
    chain: EngineChain,
}

impl LogEngine {
    /// An engine for the log with these rules; `key` is needed to write, not to follow.
    #[must_use]
    pub fn new(rules: Rules, key: Option<MiningKey>) -> Self {
        Self { chain: EngineChain::new(rules, key) }
    }
}

impl Engine for LogEngine {
    fn chain(&self) -> ChainId {
        self.chain.rules().chain
    }

    fn submit(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
    ) -> Result<Vec<Ticket>, SubmitError> {
        self.chain.submit(unit, records)
    }

    fn order(&self, store: &dyn Store, job: &OrderJob<'_>) -> Result<Option<Mined>, OrderError> {
        loop {
            if job.cancel.load(Ordering::Relaxed) {
                return Err(OrderError::Cancelled);
            }
            let Some(draft) = self.chain.draft(store, job)? else { return Ok(None) };
            let block = Block {
                header: draft.header,
                signature: self.chain.sign(&draft.header.id())?,
                descriptor: draft.descriptor,
                records: draft.records.clone(),
            };
            if let Some(mined) = self.chain.append(store, draft, block, 0)? {
                return Ok(Some(mined));
            }
        }
    }

    fn follow(
        &self,
        view: &dyn View,
        from: Position,
        limit: usize,
    ) -> Result<Vec<Ordered>, StoreError> {
        self.chain.follow(view, from, limit)
    }

    fn finality(&self, view: &dyn View, position: Position) -> Result<Finality, StoreError> {
        self.chain.finality(view, position)
    }

    fn with_pending(
        &self,
        view: &dyn View,
        look: &mut dyn FnMut(&dyn StateRead) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.chain.with_pending(view, look)
    }
}
