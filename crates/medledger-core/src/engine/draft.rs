//! A block in the making: which records go into it, and what becomes of those that do not.

use super::mempool::{self, Fate};
use super::subject::subject;
use super::{EngineChain, Mined, OrderError, OrderJob};
use crate::block::{self, Block, Descriptor};
use crate::chain::{BlockError, tip};
use crate::clock::Timestamp;
use crate::finality;
use crate::fork;
use crate::fork::write::{self, Undoing};
use crate::ids::{BlockRoot, MemberId, RecordId};
use crate::merkle::leaf_hash;
use crate::pow::Header;
use crate::record::SignedRecord;
use crate::registry::{VoidCode, limit};
use crate::state::{ApplyError, Changes, ReadOnce, SignatureCheck, State, apply};
use crate::store::{Standing, Store, StoreError, StoredBlock, StoredRecord, Unit, View};
use std::sync::atomic::{AtomicU64, Ordering};

/// A block in the making: all but the work and the signature.
#[derive(Debug)]
pub struct Draft {
    pub(super) header: Header,
    pub(super) descriptor: Descriptor,
    pub(super) records: Vec<SignedRecord>,
    tip: StoredBlock,
    changes: Changes,
    refused: Vec<(RecordId, VoidCode)>,
    /// Records that are void on this branch.
    doubted: Vec<(RecordId, VoidCode)>,
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
        if !self.may_mine(view.as_ref(), self.key()?)? {
            return Err(OrderError::NoMiningKey);
        }
        self.rules().check_turn(view.as_ref(), &tip, &miner).map_err(|error| match error {
            BlockError::Store(error) => OrderError::Store(error),
            _ => OrderError::NotOurTurn { diversity: self.rules().genesis.diversity },
        })?;
        let mut draft = self.blank(view.as_ref(), tip, miner, commits)?;
        self.fill(view.as_ref(), &mut draft, job.clock.now())?;
        if draft.records.is_empty() && draft.refused.is_empty() && !job.empty {
            self.note_doubts(store, &draft)?;
            return Ok(None);
        }
        // Only now: with nothing to do, a clock that is behind is nobody's trouble.
        draft.header.time = block_time(&draft.tip, job)?;
        draft.header.root = draft.root(&draft.descriptor);
        Ok(Some(draft))
    }

    /// A draft without records and without a time.
    fn blank(
        &self,
        view: &dyn View,
        tip: StoredBlock,
        miner: MemberId,
        commits: AtomicU64,
    ) -> Result<Draft, StoreError> {
        Ok(Draft {
            header: Header {
                version: Header::VERSION,
                previous: tip.id,
                root: BlockRoot::from_bytes([0; 32]),
                time: 0,
                bits: self.rules().next_bits(view, &tip)?,
                nonce: 0,
            },
            descriptor: Descriptor {
                chain: self.rules().chain,
                height: tip.height + 1,
                miner,
                parent: tip.node,
                extra_nonce: 0,
            },
            records: Vec::new(),
            tip,
            changes: Changes::default(),
            refused: Vec::new(),
            doubted: Vec::new(),
            relisted: Vec::new(),
            queue: Drafted { commits, last: view.last_pending()?, full: false },
        })
    }

    /// Refuses waiting records that can take no effect any more, or notes that they are void above the newest block,
    /// as drafting a block would do: for a hospital that was expelled. The others wait for those who mine.
    pub(super) fn refuse_void(
        &self,
        unit: &mut dyn Unit,
        hospital: MemberId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if unit.count_pending()? == 0 {
            return Ok(());
        }
        let tip = tip(unit)?;
        let mut draft = self.blank(unit, tip, hospital, AtomicU64::new(0))?;
        self.fill(unit, &mut draft, now)?;
        for (id, code) in &draft.refused {
            unit.settle(id, Standing::Refused { code: *code })?;
        }
        for (id, code) in &draft.doubted {
            mempool::doubt(unit, id, *code, &draft.tip)?;
        }
        if !draft.refused.is_empty() {
            mempool::sweep(unit)?;
        }
        Ok(())
    }

    /// Puts records into a draft, in the order of the queue.
    fn fill(&self, view: &dyn View, draft: &mut Draft, now: Timestamp) -> Result<(), StoreError> {
        /// Blocks that are looked ahead, so that nobody who came later has to wait for all of them.
        const AHEAD: usize = 4;
        let limits = &self.rules().genesis.limits;
        let (max_records, max_bytes) = (limits.block_records as usize, limits.block_bytes as usize);
        let notes = mempool::Notes::read(view)?;
        let window = (AHEAD * max_records).saturating_add(notes.doubtful.len());
        let (picked, left) =
            mempool::pick(view.pending(window)?, &notes.doubtful, max_records, max_bytes);
        let left_out = !left.is_empty();
        let at = self.rules().at(&draft.tip);
        let alone = finality::alone(view, self.rules())?;
        let state = ReadOnce::new(view);
        let (mut bytes, mut skipped) = (0, left_out);
        // What was left out fills the room of those that have to wait for one another.
        for stored in picked.into_iter().chain(left) {
            if draft.records.len() == max_records || bytes + stored.bytes.len() > max_bytes {
                (draft.queue.full, skipped) = (true, true);
                continue;
            }
            let record = stored.signed()?;
            let over = draft.changes.over(&state);
            let vouched = self.vouched().get(&record.id()) == Some(&leaf_hash(&stored.bytes));
            let mut signature = if vouched { SignatureCheck::Done } else { SignatureCheck::Now };
            let judged = apply(&over, &record, &at, &mut signature);
            let (patient, report) = subject(&State::new(&over), &record)?;
            let (id, size) = (stored.id, stored.bytes.len());
            if (patient, report) != (stored.patient, stored.report) {
                draft.relisted.push(StoredRecord { patient, report, ..stored });
            }
            match judged {
                Ok(changes) => {
                    bytes += size;
                    draft.changes.extend(changes);
                    draft.records.push(record);
                }
                Err(ApplyError::Void(code)) => {
                    let rules = self.rules();
                    match mempool::fate(view, &notes, rules, &id, code, now, skipped, alone)? {
                        Fate::Refused(code) => draft.refused.push((id, code)),
                        Fate::Doubted(code) => draft.doubted.push((id, code)),
                        Fate::Waits => skipped = true,
                    }
                }
                Err(ApplyError::Store(error)) => return Err(error),
            }
        }
        draft.queue.full |= draft.records.len() == max_records;
        Ok(())
    }

    /// Alone since a moment ago: makes final what was mined while there were others.
    pub(super) fn finish_rest(&self, unit: &mut dyn Unit) -> Result<(), StoreError> {
        let set = State::new(unit).hospitals(&self.rules().genesis)?;
        let top = tip(unit)?;
        match self.key() {
            Ok(key) if set.since > 0 && set.contains(&key.hospital) => {
                if finality::final_size(unit, self.rules())? <= top.height {
                    finality::sign_checkpoint(unit, self.rules(), key, &top)?;
                    fork::prune(unit, self.rules())?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes down which records were found void, though no block is made.
    fn note_doubts(&self, store: &dyn Store, draft: &Draft) -> Result<(), StoreError> {
        if draft.doubted.is_empty() {
            return Ok(());
        }
        let mut unit = store.unit()?;
        if tip(unit.as_ref())?.id == draft.tip.id {
            for (id, code) in &draft.doubted {
                mempool::doubt(unit.as_mut(), id, *code, &draft.tip)?;
            }
            unit.commit()?;
        }
        Ok(())
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
        let stored = self.rules().stored(unit.as_ref(), &draft.tip, &block, node)?;
        for record in &draft.relisted {
            unit.put_record(record)?;
        }
        self.write(unit.as_mut(), &stored, &block, &draft.changes)?;
        for (id, code) in &draft.refused {
            unit.settle(id, Standing::Refused { code: *code })?;
        }
        for (id, code) in &draft.doubted {
            mempool::doubt(unit.as_mut(), id, *code, &draft.tip)?;
        }
        mempool::sweep(unit.as_mut())?;
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
        let alone = finality::alone(unit, self.rules())?;
        if alone {
            self.finish_rest(unit)?;
        }
        let undoing = if alone { Undoing::Needless } else { Undoing::Kept };
        write::push(unit, stored, changes, undoing)?;
        for (index, record) in (0u32..).zip(&block.records) {
            unit.settle(&record.id(), Standing::Mined { height: stored.height, index })?;
        }
        if alone {
            finality::sign_checkpoint(unit, self.rules(), self.key()?, stored)?;
        }
        Ok(())
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
