//! What both engines share: judging and queueing records, drafting a block of them, writing it.

use super::subject::describe;
use super::{Finality, MiningKey, OrderError, Ordered, Position, SubmitError, Ticket};
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
    ApplyError, Changes, Memo, ReadOnce, SignatureCheck, Signatures, State, StateRead, apply,
};
use crate::store::{Drawer, Standing, StoreError, StoredBlock, StoredRecord, Unit, View};
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
pub(super) struct Pending {
    pub(super) made_for: Option<Queue>,
    pub(super) changes: Changes,
    /// The block they are judged above.
    tip: Option<StoredBlock>,
    /// What was read of the state after that block; its id tells the state.
    pub(super) memo: Memo,
}

/// A record with the hash of its leaf.
pub(super) type Leaf = (RecordId, TreeHash);

/// What tells one queue from another: the block it stands on, its end, and the history of what was
/// ever submitted. The end alone would not do: a unit that was dropped may have ended likewise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Queue {
    tip: BlockId,
    last: Option<(u64, RecordId)>,
    history: Option<Vec<u8>>,
}

pub(super) const MADE: &str = "the cache was just made for this queue";

/// Row of the hash over the ids of all records submitted, in their order.
const HISTORY: &[u8] = b"submitted";

impl Queue {
    fn of(view: &dyn View, tip: BlockId) -> Result<Self, StoreError> {
        let history = view.local(Drawer::Node, HISTORY)?;
        Ok(Self { tip, last: view.last_pending()?, history })
    }

    /// Notes records that are put at its end.
    pub(super) fn add(
        &mut self,
        unit: &mut dyn Unit,
        records: &[StoredRecord],
    ) -> Result<(), StoreError> {
        let Some(last) = records.last() else { return Ok(()) };
        let before = self.history.take().unwrap_or_default();
        let mut history = vec![domain::SUBMITTED, &before];
        history.extend(records.iter().map(|stored| &stored.id.as_bytes()[..]));
        let history = sha256(&history).to_vec();
        unit.set_local(Drawer::Node, HISTORY, Some(&history))?;
        self.history = Some(history);
        if let Standing::Accepted { seq } = last.standing {
            self.last = Some((seq, last.id));
        }
        Ok(())
    }
}

/// Where records are judged, and from which place in the queue on.
struct Above<'a> {
    tip: &'a StoredBlock,
    seq: u64,
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

    /// Brings the cache up to the store's queue. Also gives the newest block.
    pub(super) fn pending(
        &self,
        view: &dyn View,
    ) -> Result<(MutexGuard<'_, Pending>, StoredBlock), StoreError> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pending.tip.take();
        let tip = match known {
            Some(known) if view.tip_id()? == Some(known.id) => known,
            _ => {
                *pending = Pending::default();
                tip(view)?
            }
        };
        let queue = Queue::of(view, tip.id)?;
        if pending.made_for.as_ref() != Some(&queue) {
            // Until it is whole it is made for nothing: the store may fail on the way.
            pending.made_for = None;
            pending.changes = Changes::default();
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
        pending.tip = Some(tip.clone());
        Ok((pending, tip))
    }

    pub(super) fn with_pending(
        &self,
        view: &dyn View,
        look: &mut dyn FnMut(&dyn StateRead) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (pending, _) = self.pending(view)?;
        look(&pending.changes.over(view))
    }

    pub(super) fn submit(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<Ticket>, SubmitError> {
        let (mut pending, tip) = self.pending(unit)?;
        // Taken until all went well: what is left of a failure is made anew.
        let mut queue = pending.made_for.take().expect(MADE);
        let above = Above { tip: &tip, seq: queue.last.map_or(1, |(seq, _)| seq + 1) };
        let (judged, leaves) = self.take(unit, &above, &mut pending, records, signatures)?;
        self.vouched().extend(leaves);
        queue.add(unit, &judged)?;
        pending.made_for = Some(queue);
        Ok(judged
            .iter()
            .filter_map(|stored| match stored.standing {
                Standing::Accepted { seq } => Some(Ticket { id: stored.id, seq }),
                _ => None,
            })
            .collect())
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
        let cast = finality::ballots::cast(unit, &self.rules, self.key.as_ref(), now, signatures)?;
        // Who mines tells void records from others when it drafts a block. Who is expelled mines no more.
        if let Some(key) = &self.key
            && !self.may_mine(unit, key)?
        {
            self.refuse_void(unit, key.hospital, now)?;
        }
        Ok(cast)
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

    /// Judges records one after another, each after those before it, and writes them when all of them are taken. While
    /// others verify what signatures are put off, they are written already, and removed again if one is wrong.
    fn take(
        &self,
        unit: &mut dyn Unit,
        above: &Above<'_>,
        pending: &mut Pending,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
    ) -> Result<(Vec<StoredRecord>, Vec<Leaf>), SubmitError> {
        let mut outcome = None;
        signatures.alongside(&mut |signatures| {
            let judged = self.judge_each(unit, above, pending, records, signatures);
            let refused = |index: usize| SubmitError::Refused {
                id: records[index].id(),
                code: VoidCode::BadSignature,
            };
            let written = judged.and_then(|(judged, ahead)| {
                let mut put = 0;
                let mut written = Ok(());
                if ahead {
                    written = put_all(unit, &judged, &mut put);
                }
                let leaf = |stored: &StoredRecord| (stored.id, leaf_hash(&stored.bytes));
                let leaves: Vec<Leaf> = judged.iter().map(leaf).collect();
                let right = signatures.settle().map_err(refused);
                if right.is_err() || written.is_err() {
                    // Nothing unverified is left in the unit, whoever commits it.
                    for stored in &judged[..put] {
                        unit.remove_record(&stored.id)?;
                    }
                }
                right?;
                written?;
                if !ahead {
                    put_all(unit, &judged, &mut put)?;
                }
                Ok((judged, leaves))
            });
            // Every signature put off stands before what ended the judging: of two faults the first counts.
            outcome = Some(signatures.settle().map_err(refused).and(written));
        });
        outcome.expect("the job is run once")
    }

    /// Judges up to the first that is refused; some signatures are put off. Also says whether none of the records
    /// was here before. Writes nothing.
    fn judge_each(
        &self,
        view: &dyn View,
        above: &Above<'_>,
        pending: &mut Pending,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
    ) -> Result<(Vec<StoredRecord>, bool), SubmitError> {
        let at = self.rules.at(above.tip);
        // What fits in no block would wait for ever.
        let max = limit::RECORD_BYTES.min(self.rules.genesis.limits.block_bytes as usize);
        let state = ReadOnce::with(view, std::mem::take(&mut pending.memo));
        let mut judged = Vec::with_capacity(records.len());
        let mut new = true;
        for (seq, record) in (above.seq..).zip(records) {
            let id = record.id();
            let bytes = record.encode();
            if bytes.len() > max {
                return Err(SubmitError::TooLarge { id, found: bytes.len(), max });
            }
            // Refused once, refused for good: its author was told, and may sign another.
            match view.standing(&id)? {
                Some(Standing::Refused { code }) => return Err(SubmitError::Refused { id, code }),
                before => new &= before.is_none(),
            }
            let over = pending.changes.over(&state);
            let changes = match apply(&over, record, &at, signatures) {
                Ok(changes) => changes,
                Err(ApplyError::Void(code)) => return Err(SubmitError::Refused { id, code }),
                Err(ApplyError::Store(error)) => return Err(error.into()),
            };
            judged.push(describe(&over, record, bytes, Standing::Accepted { seq })?);
            pending.changes.extend(changes);
        }
        pending.memo = state.into_memo();
        Ok((judged, new))
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

/// Writes records; `put` counts those that are written.
fn put_all(
    unit: &mut dyn Unit,
    records: &[StoredRecord],
    put: &mut usize,
) -> Result<(), StoreError> {
    for record in records {
        unit.put_record(record)?;
        *put += 1;
    }
    Ok(())
}
