//! The proof-of-work chain as an engine.

use super::{
    Engine, EngineChain, Finality, Mined, MiningKey, OrderError, OrderJob, Ordered, Position,
    SubmitError, Ticket,
};
use crate::block::Block;
use crate::chain::{Rules, tip};
use crate::ids::ChainId;
use crate::pow::{self, Header, Outcome};
use crate::record::SignedRecord;
use crate::state::StateRead;
use crate::store::{Store, StoreError, Unit, View};

/// Orders records by proof of work: one hospital mines, everybody checks.
#[derive(Debug)]
pub struct PowEngine {
    chain: EngineChain,
}

impl PowEngine {
    /// An engine for the chain with these rules; `key` is needed to mine, not to follow.
    #[must_use]
    pub fn new(rules: Rules, key: Option<MiningKey>) -> Self {
        Self { chain: EngineChain::new(rules, key) }
    }
}

impl Engine for PowEngine {
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
            let Some(draft) = self.chain.draft(store, job)? else { return Ok(None) };
            let mut descriptor = draft.descriptor;
            // With the header's 32 bits exhausted, the extra nonce in leaf 0 gives a new root.
            let mut refresh = |extra_nonce: u64| {
                descriptor.extra_nonce = extra_nonce;
                Header { root: draft.root(&descriptor), ..draft.header }
            };
            let outcome =
                pow::mine(&draft.header, &mut refresh, job.workers, job.cancel, job.tried);
            let (header, tries) = match outcome {
                Ok(Outcome::Found { header, tries }) => (header, tries),
                Ok(Outcome::Cancelled { .. }) => return Err(OrderError::Cancelled),
                Err(error) => return Err(StoreError::Damaged(error.to_string()).into()),
            };
            let block = Block {
                header,
                signature: self.chain.sign(&header.id())?,
                descriptor,
                records: draft.records.clone(),
            };
            // Another block may have come meanwhile: then the work was in vain, and starts anew.
            if tip(store.view()?.as_ref())?.id == header.previous
                && let Some(mined) = self.chain.append(store, draft, block, tries)?
            {
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
