//! The two engines that put records into blocks: they differ in nothing but the work.

use super::{
    Draft, Engine, EngineChain, Finality, Mined, MiningKey, OrderError, OrderJob, Ordered,
    Position, SubmitError, Taken, Ticket,
};
use crate::block::{Block, Descriptor};
use crate::chain::{Rules, tip};
use crate::clock::Timestamp;
use crate::finality::ballots::Cast;
use crate::ids::ChainId;
use crate::pow::{self, Header, Outcome, Watch};
use crate::record::SignedRecord;
use crate::state::{Signatures, StateRead};
use crate::store::{Store, StoreError, Unit, View};
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

/// The proof-of-work chain: one hospital mines, everybody checks.
pub type PowEngine = BlockEngine<Work>;

/// The single-writer log: the same blocks, signed by the one writer, without work. The baseline that
/// tells what proof of work costs.
pub type LogEngine = BlockEngine<NoWork>;

/// Puts records into blocks; `P` finds what makes a block valid besides its signature.
#[derive(Debug)]
pub struct BlockEngine<P> {
    chain: EngineChain,
    proof: PhantomData<fn() -> P>,
}

impl<P> BlockEngine<P> {
    /// An engine for the chain with these rules; `key` is needed to make blocks, not to follow.
    #[must_use]
    pub fn new(rules: Rules, key: Option<MiningKey>) -> Self {
        Self { chain: EngineChain::new(rules, key), proof: PhantomData }
    }
}

/// How the work on a draft ended.
#[derive(Debug)]
pub struct Worked {
    /// A header with the descriptor its root covers, ready to be signed; none when the draft went stale.
    proven: Option<(Header, Descriptor)>,
    /// Hashes tried.
    tries: u64,
}

mod sealed {
    use super::{Draft, OrderError, OrderJob, Store, Worked};

    pub trait Proof {
        fn prove(
            draft: &Draft,
            store: &dyn Store,
            job: &OrderJob<'_>,
        ) -> Result<Worked, OrderError>;
    }
}

/// Proof of work.
#[derive(Debug)]
pub struct Work;

impl sealed::Proof for Work {
    fn prove(draft: &Draft, store: &dyn Store, job: &OrderJob<'_>) -> Result<Worked, OrderError> {
        let mut descriptor = draft.descriptor;
        // With the header's 32 bits exhausted, the extra nonce in leaf 0 gives a new root.
        let mut refresh = |extra_nonce: u64| {
            descriptor.extra_nonce = extra_nonce;
            Header { root: draft.root(&descriptor), ..draft.header }
        };
        let stale = |tries| draft.is_stale(store, tries);
        let watch = Watch { cancel: job.cancel, progress: job.tried, stale: &stale };
        match pow::mine_watched(&draft.header, &mut refresh, job.workers, &watch) {
            Ok(Outcome::Found { header, tries }) => {
                Ok(Worked { proven: Some((header, descriptor)), tries })
            }
            Ok(Outcome::Stale { tries }) => Ok(Worked { proven: None, tries }),
            Ok(Outcome::Cancelled { .. }) => Err(OrderError::Cancelled),
            Err(error) => Err(StoreError::Damaged(error.to_string()).into()),
        }
    }
}

/// No proof but the signature.
#[derive(Debug)]
pub struct NoWork;

impl sealed::Proof for NoWork {
    fn prove(draft: &Draft, _: &dyn Store, job: &OrderJob<'_>) -> Result<Worked, OrderError> {
        if job.cancel.load(Ordering::Relaxed) {
            return Err(OrderError::Cancelled);
        }
        Ok(Worked { proven: Some((draft.header, draft.descriptor)), tries: 0 })
    }
}

impl<P: sealed::Proof> Engine for BlockEngine<P> {
    fn chain(&self) -> ChainId {
        self.chain.rules().chain
    }

    fn submit_with(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<Ticket>, SubmitError> {
        self.chain.submit(unit, records, signatures)
    }

    fn order(&self, store: &dyn Store, job: &OrderJob<'_>) -> Result<Option<Mined>, OrderError> {
        let mut tries = 0;
        loop {
            let Some(draft) = self.chain.draft(store, job)? else { return Ok(None) };
            let worked = P::prove(&draft, store, job)?;
            tries += worked.tries;
            // Records came that belong into this block too, or another block: nothing is lost, as the
            // next try is as good as the last.
            let Some((header, descriptor)) = worked.proven else { continue };
            let signature = self.chain.sign(&header.id())?;
            let block = Block { header, signature, descriptor, records: draft.records.clone() };
            // Another block may have come meanwhile: then the work was in vain, and starts anew.
            if tip(store.view()?.as_ref())?.id == header.previous
                && let Some(mined) = self.chain.append(store, draft, block, tries)?
            {
                return Ok(Some(mined));
            }
        }
    }

    fn take_in(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<Taken>, StoreError> {
        self.chain.take_in(unit, records, now, signatures)
    }

    fn vote(
        &self,
        unit: &mut dyn Unit,
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<Cast, StoreError> {
        self.chain.vote(unit, now, signatures)
    }

    fn owes_block(&self, view: &dyn View) -> Result<bool, StoreError> {
        self.chain.owes_block(view)
    }

    fn beat(&self, view: &dyn View) -> Result<Option<Timestamp>, StoreError> {
        self.chain.beat(view)
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
