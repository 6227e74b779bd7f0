//! What both engines share: judging and queueing records, drafting a block of them, writing it.

use super::{
    Finality, Mined, MiningKey, OrderError, OrderJob, Ordered, Position, SubmitError, Ticket,
};
use crate::block::{self, Block, Descriptor};
use crate::chain::{BlockError, Rules, tip};
use crate::checkpoint::quorum;
use crate::finality;
use crate::ids::{BlockId, BlockRoot, RecordId, TreeHash, sha256};
use crate::keys::Signature;
use crate::merkle::leaf_hash;
use crate::pow::Header;
use crate::record::{Body, Grantee, Scope, SignedRecord};
use crate::registry::{VoidCode, domain, limit};
use crate::state::{ApplyError, Changes, SignatureCheck, State, StateRead, apply};
use crate::store::{Drawer, Standing, Store, StoreError, StoredBlock, StoredRecord, Unit, View};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// A block in the making: all but the work and the signature.
#[derive(Debug)]
pub struct Draft {
    pub(super) header: Header,
    pub(super) descriptor: Descriptor,
    pub(super) records: Vec<SignedRecord>,
    tip: StoredBlock,
    changes: Changes,
    refused: Vec<(RecordId, VoidCode)>,
    /// Records whose patient or report is another than when they were accepted, because one they
    /// built on became void.
    relisted: Vec<StoredRecord>,
    queue: Drafted,
}

/// What the queue was when a block of it was drafted.
#[derive(Debug)]
struct Drafted {
    /// [`Store::commits`] when it was last known that nothing came that matters.
    commits: AtomicU64,
    last: Option<(u64, RecordId)>,
    /// Whether more records would fit.
    full: bool,
}

/// Tries to make on a draft before it gives way to one with more records: a share of the work, and as long
/// for each record as it may take to judge it ten times. So a stream of records never keeps the miner from mining.
fn tries_before_redraft(records: usize) -> u64 {
    (1 << 16) + 4096 * records as u64
}

impl Draft {
    /// Whether the block should be drafted anew: another block came, so that no work on this one is of use,
    /// or records that fit into it. Asked often, so it looks into the store only when something was committed.
    pub(super) fn is_stale(&self, store: &dyn Store, tries: u64) -> bool {
        let commits = store.commits();
        if commits == self.queue.commits.load(Ordering::Relaxed) {
            return false;
        }
        let look = || {
            let view = store.view()?;
            let moved = tip(view.as_ref())?.id != self.tip.id;
            Ok::<_, StoreError>((moved, view.last_pending()? != self.queue.last))
        };
        match look() {
            Ok((true, _)) => true,
            Ok((false, true)) if !self.queue.full => {
                tries >= tries_before_redraft(self.records.len())
            }
            Ok((false, _)) => {
                self.queue.commits.store(commits, Ordering::Relaxed);
                false
            }
            // Drafting fails likewise, and says why.
            Err(_) => true,
        }
    }

    /// The root with another descriptor.
    pub(super) fn root(&self, descriptor: &Descriptor) -> BlockRoot {
        block::block_root(&descriptor.leaf(), &self.records)
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
    fn vouched(&self) -> MutexGuard<'_, HashMap<RecordId, TreeHash>> {
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
    ) -> Result<Vec<Ticket>, SubmitError> {
        let mut pending = self.pending(unit)?;
        // Taken until all went well: what is left of a failure is made anew.
        let queue = pending.made_for.take();
        let judged = self.judge(unit, &mut pending.changes, records)?;
        let mut history = vec![domain::SUBMITTED];
        let before = queue.and_then(|queue| queue.history).unwrap_or_default();
        history.push(&before);
        for stored in &judged {
            unit.put_record(stored)?;
            history.push(stored.id.as_bytes());
        }
        let leaves = judged.iter().map(|stored| (stored.id, leaf_hash(&stored.bytes)));
        self.vouched().extend(leaves);
        if !judged.is_empty() {
            unit.set_local(Drawer::Node, HISTORY, Some(&sha256(&history)))?;
        }
        pending.made_for = Some(Queue::of(unit, tip(unit)?.id)?);
        Ok(judged
            .iter()
            .filter_map(|stored| match stored.standing {
                Standing::Accepted { seq } => Some(Ticket { id: stored.id, seq }),
                _ => None,
            })
            .collect())
    }

    /// Judges records one after another, each after those before it; writes nothing.
    fn judge(
        &self,
        view: &dyn View,
        pending: &mut Changes,
        records: &[SignedRecord],
    ) -> Result<Vec<StoredRecord>, SubmitError> {
        let at = self.rules.at(&tip(view)?);
        // What fits in no block would wait for ever.
        let max = limit::RECORD_BYTES.min(self.rules.genesis.limits.block_bytes as usize);
        let first = view.last_pending()?.map_or(1, |(seq, _)| seq + 1);
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
            let over = pending.over(view);
            let changes = match apply(&over, record, &at, &mut SignatureCheck::Now) {
                Ok(changes) => changes,
                Err(ApplyError::Void(code)) => return Err(SubmitError::Refused { id, code }),
                Err(ApplyError::Store(error)) => return Err(error.into()),
            };
            judged.push(describe(&over, record, bytes, Standing::Accepted { seq })?);
            pending.extend(changes);
        }
        Ok(judged)
    }

    fn key(&self) -> Result<&MiningKey, OrderError> {
        self.key.as_ref().ok_or(OrderError::NoMiningKey)
    }

    pub(super) fn sign(&self, id: &BlockId) -> Result<Signature, OrderError> {
        Ok(block::sign_header(&self.key()?.key, &self.rules.chain, id))
    }

    /// Picks records for the next block, in the order of the queue, as many as fit.
    pub(super) fn draft(
        &self,
        store: &dyn Store,
        job: &OrderJob<'_>,
    ) -> Result<Option<Draft>, OrderError> {
        let miner = self.key()?.hospital;
        // Before the view: what is committed in between is then noticed as new, and never missed.
        let commits = AtomicU64::new(store.commits());
        let view = store.view()?;
        let tip = tip(view.as_ref())?;
        let limits = &self.rules.genesis.limits;
        let at = self.rules.at(&tip);
        let mut draft = Draft {
            header: Header {
                version: Header::VERSION,
                previous: tip.id,
                root: BlockRoot::from_bytes([0; 32]),
                time: 0,
                bits: self.rules.next_bits(view.as_ref(), &tip)?,
                nonce: 0,
            },
            descriptor: Descriptor {
                chain: self.rules.chain,
                height: tip.height + 1,
                miner,
                parent: tip.node,
                extra_nonce: 0,
            },
            records: Vec::new(),
            tip,
            changes: Changes::default(),
            refused: Vec::new(),
            relisted: Vec::new(),
            queue: Drafted { commits, last: view.last_pending()?, full: false },
        };
        let mut bytes = 0;
        let waiting = view.pending(limits.block_records as usize)?;
        draft.queue.full = waiting.len() == limits.block_records as usize;
        for stored in waiting {
            bytes += stored.bytes.len();
            if bytes > limits.block_bytes as usize {
                draft.queue.full = true;
                break;
            }
            let record = stored.signed()?;
            let over = draft.changes.over(view.as_ref());
            let vouched = self.vouched().get(&record.id()) == Some(&leaf_hash(&stored.bytes));
            let mut signature = if vouched { SignatureCheck::Done } else { SignatureCheck::Now };
            let judged = apply(&over, &record, &at, &mut signature);
            let (patient, report) = subject(&State::new(&over), &record)?;
            if (patient, report) != (stored.patient, stored.report) {
                draft.relisted.push(StoredRecord { patient, report, ..stored });
            }
            match judged {
                Ok(changes) => {
                    draft.changes.extend(changes);
                    draft.records.push(record);
                }
                Err(ApplyError::Void(code)) => draft.refused.push((record.id(), code)),
                Err(ApplyError::Store(error)) => return Err(error.into()),
            }
        }
        if draft.records.is_empty() && draft.refused.is_empty() && !job.empty {
            return Ok(None);
        }
        // Only now: with nothing to do, a clock that is behind is nobody's trouble.
        draft.header.time = block_time(&draft.tip, job)?;
        draft.header.root = draft.root(&draft.descriptor);
        Ok(Some(draft))
    }

    /// Writes a finished block; `None` when another one came first.
    pub(super) fn append(
        &self,
        store: &dyn Store,
        draft: Draft,
        block: Block,
        tries: u64,
    ) -> Result<Option<Mined>, OrderError> {
        let mut unit = store.unit()?;
        if tip(unit.as_ref())?.id != draft.tip.id {
            return Ok(None);
        }
        let broken = |error| OrderError::Invalid(error);
        let root = block.root();
        if root != block.header.root {
            return Err(broken(BlockError::Root { expected: root, found: block.header.root }));
        }
        let node = block.to_nodes().root.0;
        let stored = self.rules.stored(unit.as_ref(), &draft.tip, &block, node)?;
        for record in &draft.relisted {
            unit.put_record(record)?;
        }
        self.write(unit.as_mut(), &stored, &block, &draft.changes)?;
        for (id, code) in &draft.refused {
            unit.settle(id, Standing::Refused { code: *code })?;
        }
        unit.commit()?;
        let mut vouched = self.vouched();
        let settled = draft.refused.iter().map(|(id, _)| *id);
        for id in block.records.iter().map(SignedRecord::id).chain(settled) {
            vouched.remove(&id);
        }
        drop(vouched);
        Ok(Some(Mined { stored, block, refused: draft.refused, tries }))
    }

    fn write(
        &self,
        unit: &mut dyn Unit,
        stored: &StoredBlock,
        block: &Block,
        changes: &Changes,
    ) -> Result<(), OrderError> {
        unit.append_block(stored)?;
        for (index, record) in (0u32..).zip(&block.records) {
            unit.settle(&record.id(), Standing::Mined { height: stored.height, index })?;
        }
        for (key, value) in changes.iter() {
            unit.set_state(key, value)?;
        }
        finality::extend_tree(unit, stored)?;
        // Alone, a hospital is its own quorum: what it mined is final at once.
        let key = self.key()?;
        if quorum(self.rules.genesis.founders.len()) == 1 {
            finality::sign_checkpoint(unit, &self.rules, key, stored)?;
        }
        Ok(())
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

/// The time of a new block: now, but after the median of the last eleven, and never so far ahead of
/// the clock that others would defer it.
fn block_time(tip: &StoredBlock, job: &OrderJob<'_>) -> Result<u32, OrderError> {
    let now = job.clock.now();
    let time = now.max(tip.median_time.plus(1));
    if time > now.plus(limit::MINER_AHEAD_SECONDS) {
        return Err(OrderError::ClockBehind { now, median: tip.median_time });
    }
    u32::try_from(time.as_secs())
        .map_err(|_| OrderError::ClockBehind { now, median: tip.median_time })
}

/// A record with what it is looked up by: the patient and the report it concerns, as `state` has it.
///
/// # Errors
/// When the store fails.
pub fn describe(
    state: &dyn StateRead,
    record: &SignedRecord,
    bytes: Vec<u8>,
    standing: Standing,
) -> Result<StoredRecord, StoreError> {
    let (patient, report) = subject(&State::new(state), record)?;
    let statement = record.record();
    Ok(StoredRecord {
        id: record.id(),
        kind: statement.kind(),
        author: statement.author,
        patient,
        report,
        time: statement.time,
        standing,
        bytes,
    })
}

type Subject = (Option<crate::ids::MemberId>, Option<crate::ids::ReportId>);

fn subject(state: &State<'_>, record: &SignedRecord) -> Result<Subject, StoreError> {
    let statement = record.record();
    let of_report = |report: crate::ids::ReportId| {
        let patient = state.report(&report)?.map(|entry| entry.patient);
        Ok((patient, Some(report)))
    };
    match &statement.body {
        Body::Register(body) => {
            let is_patient = body.role == crate::registry::Role::Patient;
            Ok((is_patient.then(|| body.member.member_id()), None))
        }
        Body::Enrol(_) => Ok((Some(statement.author), None)),
        Body::AddReport(body) => {
            let report = crate::ids::ReportId::derive(&statement.author, &statement.nonce);
            Ok((Some(body.patient), Some(report)))
        }
        Body::RequestAccess(body) => of_report(body.report),
        Body::Grant(body) => {
            let (Scope::Report(report), Grantee::Member(_)) = (body.scope, body.reader);
            Ok((Some(statement.author), Some(report)))
        }
        Body::Refuse(body) => {
            let report = state.request(&body.request)?.map(|request| request.report);
            Ok((Some(statement.author), report))
        }
        Body::Revoke(body) => {
            let report = state.grant(&body.grant)?.map(|grant| {
                let Scope::Report(report) = grant.scope;
                report
            });
            Ok((Some(statement.author), report))
        }
        Body::Read(body) => of_report(body.report),
    }
}
