//! What both engines share: judging and queueing records, drafting a block of them, writing it.

use super::subject::describe;
use super::{
    Finality, MiningKey, OrderError, Ordered, Position, SubmitError, Taken, Ticket, mempool,
};
use crate::block;
use crate::chain::{Rules, block_at, tip};
use crate::clock::Timestamp;
use crate::finality::{self, ballots::Cast};
use crate::ids::{BlockId, RecordId, TreeHash, sha256};
use crate::keys::Signature;
use crate::merkle::leaf_hash;
use crate::record::SignedRecord;
use crate::registry::{VoidCode, domain, limit};
use crate::state::{
    ApplyError, Changes, ReadOnce, SignatureCheck, Signatures, State, StateRead, apply,
};
use crate::store::{Drawer, Standing, StoreError, StoredRecord, Unit, View};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A chain with the queue of records that wait to be put in order.
#[derive(Debug)]
pub struct EngineChain {
    rules: Rules,
    key: Option<MiningKey>,
    pending: Mutex<Pending>,
    vouched: Mutex<HashMap<RecordId, TreeHash>>,
}

/// What the waiting records change, so that the next one is judged after them. A cache: it is built
/// again whenever the store's queue or tip is not the one it was made for.
#[derive(Debug, Default)]
struct Pending {
    made_for: Option<Queue>,
    changes: Changes,
}

/// What tells one queue from another: the block it stands on, its end, and the history of what was
/// ever submitted. The end alone would not do: a unit that was dropped may have ended likewise.
#[derive(Debug, PartialEq, Eq)]
struct Queue {
    tip: BlockId,
    last: Option<(u64, RecordId)>,
    history: Option<Vec<u8>>,
}

/// Row of the hash over the ids of all records submitted, in their order.
const HISTORY: &[u8] = b"submitted";

impl Queue {
    fn of(view: &dyn View, tip: BlockId) -> Result<Self, StoreError> {
        let history = view.local(Drawer::Node, HISTORY)?;
        Ok(Self { tip, last: view.last_pending()?, history })
    }
}

impl EngineChain {
    /// A chain with these rules; `key` is needed to make blocks.
    #[must_use]
    pub fn new(rules: Rules, key: Option<MiningKey>) -> Self {
        Self { rules, key, pending: Mutex::default(), vouched: Mutex::default() }
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Records whose signatures this engine verified, by the leaf they had then. What is read back
    /// with another leaf, or was accepted before this engine was there, is verified again before it
    /// goes into a block: the record's id does not cover the signature, and a disk may err.
    pub(super) fn vouched(&self) -> MutexGuard<'_, HashMap<RecordId, TreeHash>> {
        self.vouched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the cache up to the store's queue.
    fn pending(&self, view: &dyn View) -> Result<MutexGuard<'_, Pending>, StoreError> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let tip = tip(view)?;
        let queue = Queue::of(view, tip.id)?;
        if pending.made_for.as_ref() != Some(&queue) {
            // Until it is whole it is made for nothing: the store may fail on the way.
            *pending = Pending::default();
            let at = self.rules.at(&tip);
            for stored in view.pending(usize::MAX)? {
                let record = stored.signed()?;
                let over = pending.changes.over(view);
                match apply(&over, &record, &at, &mut SignatureCheck::Done) {
                    Ok(changes) => pending.changes.extend(changes),
                    // It will be refused when its turn comes.
                    Err(ApplyError::Void(_)) => {}
                    Err(ApplyError::Store(error)) => return Err(error),
                }
            }
            pending.made_for = Some(queue);
        }
        Ok(pending)
    }

    pub(super) fn with_pending(
        &self,
        view: &dyn View,
        look: &mut dyn FnMut(&dyn StateRead) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let pending = self.pending(view)?;
        look(&pending.changes.over(view))
    }

    pub(super) fn submit(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<Ticket>, SubmitError> {
        let mut pending = self.pending(unit)?;
        // Taken until all went well: what is left of a failure is made anew.
        pending.made_for = None;
        let judged = self.judge(unit, &mut pending.changes, records, signatures)?;
        for stored in &judged {
            unit.put_record(stored)?;
        }
        let leaves = judged.iter().map(|stored| (stored.id, leaf_hash(&stored.bytes)));
        self.vouched().extend(leaves);
        self.note_history(unit, &judged.iter().collect::<Vec<_>>())?;
        pending.made_for = Some(Queue::of(unit, tip(unit)?.id)?);
        Ok(judged
            .iter()
            .filter_map(|stored| match stored.standing {
                Standing::Accepted { seq } => Some(Ticket { id: stored.id, seq }),
                _ => None,
            })
            .collect())
    }

    pub(super) fn take_in(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        now: Timestamp,
    ) -> Result<Vec<Taken>, StoreError> {
        let mut pending = self.pending(unit)?;
        // Until all went well: what is left of a failure is made anew.
        pending.made_for = None;
        let mut check = SignatureCheck::Now;
        let answers =
            mempool::take_in(unit, &self.rules, &mut pending.changes, records, now, &mut check)?;
        let waiting: Vec<&StoredRecord> = answers.iter().flat_map(|(_, stored)| stored).collect();
        self.note_history(unit, &waiting)?;
        pending.made_for = Some(Queue::of(unit, tip(unit)?.id)?);
        Ok(answers.into_iter().map(|(taken, _)| taken).collect())
    }

    /// Adds records to the history of what was ever queued here.
    fn note_history(
        &self,
        unit: &mut dyn Unit,
        queued: &[&StoredRecord],
    ) -> Result<(), StoreError> {
        if queued.is_empty() {
            return Ok(());
        }
        let before = unit.local(Drawer::Node, HISTORY)?.unwrap_or_default();
        let mut history = vec![domain::SUBMITTED, &before];
        history.extend(queued.iter().map(|stored| &stored.id.as_bytes()[..]));
        unit.set_local(Drawer::Node, HISTORY, Some(&sha256(&history)))
    }

    pub(super) fn vote(
        &self,
        unit: &mut dyn Unit,
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<Cast, StoreError> {
        if finality::alone(unit, &self.rules)? {
            self.finish_rest(unit)?;
            return Ok(Cast::default());
        }
        finality::ballots::cast(unit, &self.rules, self.key.as_ref(), now, signatures)
    }

    pub(super) fn owes_block(&self, view: &dyn View) -> Result<bool, StoreError> {
        let Some(key) = &self.key else { return Ok(false) };
        if !self.may_mine(view, key)? {
            return Ok(false);
        }
        let top = tip(view)?.height;
        for height in finality::final_size(view, &self.rules)?.max(1)..=top {
            if block_at(view, height)?.records > 0 {
                return finality::ballots::should_mine(view, &self.rules, &key.hospital, height);
            }
        }
        Ok(false)
    }

    /// Whether this key is that of a hospital in the state of the newest block.
    pub(super) fn may_mine(&self, view: &dyn View, key: &MiningKey) -> Result<bool, StoreError> {
        let set = State::new(view).hospitals(&self.rules.genesis)?;
        Ok(set.mining_key(&key.hospital) == Some(&key.key.verifying_key()))
    }

    /// Judges records one after another, each after those before it; writes nothing.
    fn judge(
        &self,
        view: &dyn View,
        pending: &mut Changes,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<StoredRecord>, SubmitError> {
        let mut outcome = None;
        signatures.alongside(&mut |signatures| {
            let judged = self.judge_each(view, pending, records, signatures);
            let refused = |index: usize| SubmitError::Refused {
                id: records[index].id(),
                code: VoidCode::BadSignature,
            };
            // Every signature put off stands before what ended the judging: of two faults the first counts.
            outcome = Some(signatures.settle().map_err(refused).and(judged));
        });
        outcome.expect("the job is run once")
    }

    /// As [`judge`](Self::judge), up to the first that is refused, and some signatures are put off.
    fn judge_each(
        &self,
        view: &dyn View,
        pending: &mut Changes,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<StoredRecord>, SubmitError> {
        let at = self.rules.at(&tip(view)?);
        // What fits in no block would wait for ever.
        let max = limit::RECORD_BYTES.min(self.rules.genesis.limits.block_bytes as usize);
        let first = view.last_pending()?.map_or(1, |(seq, _)| seq + 1);
        let state = ReadOnce::new(view);
        let mut judged = Vec::with_capacity(records.len());
        for (seq, record) in (first..).zip(records) {
            let id = record.id();
            let bytes = record.encode();
            if bytes.len() > max {
                return Err(SubmitError::TooLarge { id, found: bytes.len(), max });
            }
            // Refused once, refused for good: its author was told, and may sign another.
            if let Some(StoredRecord { standing: Standing::Refused { code }, .. }) =
                view.record(&id)?
            {
                return Err(SubmitError::Refused { id, code });
            }
            let over = pending.over(&state);
            let changes = match apply(&over, record, &at, signatures) {
                Ok(changes) => changes,
                Err(ApplyError::Void(code)) => return Err(SubmitError::Refused { id, code }),
                Err(ApplyError::Store(error)) => return Err(error.into()),
            };
            judged.push(describe(&over, record, bytes, Standing::Accepted { seq })?);
            pending.extend(changes);
        }
        Ok(judged)
    }

    pub(super) fn key(&self) -> Result<&MiningKey, OrderError> {
        self.key.as_ref().ok_or(OrderError::NoMiningKey)
    }

    pub(super) fn sign(&self, id: &BlockId) -> Result<Signature, OrderError> {
        Ok(block::sign_header(&self.key()?.key, &self.rules.chain, id))
    }

    pub(super) fn follow(
        &self,
        view: &dyn View,
        from: Position,
        limit: usize,
    ) -> Result<Vec<Ordered>, StoreError> {
        let mut ordered = Vec::new();
        let top = tip(view)?.height;
        for height in from.height.max(1)..=top {
            for stored in view.records_of(height)? {
                let Standing::Mined { height, index } = stored.standing else {
                    return Err(StoreError::Damaged(format!(
                        "record {} of block {height} is not marked as mined",
                        stored.id
                    )));
                };
                let position = Position { height, index };
                if position < from {
                    continue;
                }
                if ordered.len() == limit {
                    return Ok(ordered);
                }
                ordered.push(Ordered { position, record: stored.signed()? });
            }
        }
        Ok(ordered)
    }

    pub(super) fn finality(
        &self,
        view: &dyn View,
        position: Position,
    ) -> Result<Finality, StoreError> {
        if position.height > tip(view)?.height {
            return Ok(Finality::Unknown);
        }
        let size = finality::final_size(view, &self.rules)?;
        if position.height < size { Ok(Finality::Final { size }) } else { Ok(Finality::Mined) }
    }
}
