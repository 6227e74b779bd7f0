//! The store of ciphertext: what is kept and why, checked, mended, and rid of what nothing keeps.

use crate::ledger::Ledger;
use crate::storage::part::Part;
use crate::storage::{StorageError, StorageMode};
use medledger_core::Cid;
use medledger_core::ids::ReportId;
use medledger_core::registry::Kind;
use medledger_core::state::{State, StateRead};
use medledger_core::store::{Drawer, RecordQuery, StoreError, View};
use medledger_ipfs::BlockRead;
use medledger_ipfs::check::{StoreCheck, check_store};
use medledger_ipfs::collect::{
    Blind, CollectError, CollectOptions, Collected, collect, hold_dag, would_remove,
};
use medledger_ipfs::repair::{Repaired, repair_store};
use medledger_ipfs::store::{Keep, Pin, Reason, Word};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Why the store of blocks could not be looked after.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlocksError {
    /// The store of blocks failed.
    #[error(transparent)]
    Blocks(#[from] medledger_ipfs::store::StoreError),
    /// What hangs on some nodes cannot be told: nothing was removed.
    #[error("{} nodes that are kept cannot be read, so what they keep is not known", .0.len())]
    Blind(Blind),
    /// The ledger's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CollectError> for BlocksError {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Blind(blind) => Self::Blind(blind),
            CollectError::Store(error) => Self::Blocks(error),
            other => Self::Store(StoreError::Damaged(other.to_string())),
        }
    }
}

/// What a collection of the ledger's blocks did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlocksCollected {
    /// Pins of uploads that never came to be: their reports are not on the ledger and not on the way.
    pub released: Vec<Cid>,
    /// Reports on the ledger whose envelope is here but was not pinned: it is now.
    pub pinned: Vec<ReportId>,
    /// What was removed.
    pub collected: Collected,
}

/// A report on the ledger that the store of blocks does not keep: no root of it is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnkeptReport {
    /// The report.
    pub report: ReportId,
    /// Its envelope.
    pub envelope: Cid,
    /// What people call it; none where nobody named it here.
    pub label: Option<String>,
    /// Whether the envelope is here all the same. The next [collection](Ledger::collect_blocks) keeps it again then.
    pub here: bool,
}

/// Reports whose blocks are being stored, or stored and not yet on the ledger.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<BTreeSet<ReportId>>);

impl UnderWay {
    /// From here until the guard is dropped, no collection takes the report for one that failed.
    pub(crate) fn begin(&self, report: ReportId) -> UploadGuard<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(report);
        UploadGuard { all: self, report }
    }

    fn now(&self) -> BTreeSet<ReportId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An upload under way.
pub(crate) struct UploadGuard<'a> {
    all: &'a UnderWay,
    report: ReportId,
}

impl Drop for UploadGuard<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.report);
    }
}

/// What has to change so that pins and ledger agree.
#[derive(Default)]
struct Reconciled {
    release: Vec<(Cid, Reason)>,
    pin: Vec<(Cid, ReportId)>,
}

impl Ledger {
    /// What is kept in the store of blocks, and why.
    ///
    /// # Errors
    /// When the store of blocks fails.
    pub fn pins(&self) -> Result<Vec<Pin>, BlocksError> {
        Ok(self.blocks().pinned()?)
    }

    /// Keeps a root, with all that lies below it, because somebody says so.
    ///
    /// # Errors
    /// When something below it is missing, or the store of blocks fails.
    pub fn keep_blocks(&self, root: &Cid, why: Word) -> Result<(), BlocksError> {
        let session = self.blocks().begin()?;
        hold_dag(self.blocks(), session.as_ref(), root)?;
        let keep = Keep::since(Reason::User(why), self.now());
        Ok(session.finish(&[(*root, keep)])?)
    }

    /// Takes such a word back, and says whether it was there. Reports stay kept by the ledger.
    ///
    /// # Errors
    /// When the store of blocks fails.
    pub fn release_blocks(&self, root: &Cid, why: Word) -> Result<bool, BlocksError> {
        Ok(self.blocks().release(root, &Reason::User(why))?)
    }

    /// Hashes every block again and walks everything that is kept. Findings are in the result.
    ///
    /// # Errors
    /// When the store of blocks fails.
    pub fn check_blocks(&self) -> Result<StoreCheck, BlocksError> {
        self.check_blocks_with(&|_| {})
    }

    /// As [`Ledger::check_blocks`]; `progress` is told the number of blocks hashed so far.
    ///
    /// # Errors
    /// When the store of blocks fails.
    pub fn check_blocks_with(
        &self,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<StoreCheck, BlocksError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let own = self.own_blocks();
        if self.settings().storage.mode == StorageMode::Kubo {
            // Others use the node as well.
            let pins = self.own_pins().map_err(|error| match error {
                StorageError::Blocks(error) => BlocksError::Blocks(error),
                StorageError::Store(error) => BlocksError::Store(error),
                other => BlocksError::Store(StoreError::Damaged(other.to_string())),
            })?;
            return Ok(check_store(&Part { store: own, pins }, threads, progress)?);
        }
        // What counts is what lies on the disk.
        Ok(check_store(own, threads, progress)?)
    }

    /// Reports on the ledger that nothing keeps here: those whose envelope is here and not pinned, and those of this
    /// hospital that are not here at all. A [check](Ledger::check_blocks) of the store knows nothing of the ledger.
    ///
    /// # Errors
    /// When a store fails.
    pub fn unkept_reports(&self) -> Result<Vec<UnkeptReport>, BlocksError> {
        let blocks = self.own_blocks();
        let pinned: BTreeSet<Cid> = blocks.pinned()?.into_iter().map(|pin| pin.root).collect();
        let view = self.view()?;
        let mut unkept = Vec::new();
        for (report, envelope) in self.envelopes()? {
            if pinned.contains(&envelope) {
                continue;
            }
            let here = blocks.has(&envelope)?;
            if here || self.must_have(view.as_ref(), &report, &envelope)? {
                // A label that does not open is for `verify` to tell.
                let named = view.local(Drawer::Labels, report.as_bytes())?.is_some();
                let label = if named { self.label(view.as_ref(), &report).ok() } else { None };
                unkept.push(UnkeptReport { report, envelope, label, here });
            }
        }
        Ok(unkept)
    }

    /// Whether this is the envelope of a report of this hospital now and once all that waits is mined: around a rotation
    /// there are two, and one is enough.
    fn must_have(
        &self,
        view: &dyn View,
        report: &ReportId,
        envelope: &Cid,
    ) -> Result<bool, StoreError> {
        let is = |state: &dyn StateRead| -> Result<bool, StoreError> {
            let entry = State::new(state).report(report)?;
            Ok(entry.is_some_and(|it| it.hospital == self.hospital() && it.envelope == *envelope))
        };
        if self.is_follower() || !is(view)? {
            return Ok(false);
        }
        let mut ahead = false;
        self.engine().with_pending(view, &mut |state| {
            ahead = is(state)?;
            Ok(())
        })?;
        Ok(ahead)
    }

    /// Brings pins and ledger to agreement, then removes every block that nothing keeps. Uploads may go
    /// on meanwhile.
    ///
    /// A pin of a report that is neither on the ledger, nor waiting, nor being uploaded is of an upload
    /// that failed or crashed: it is released. A report on the ledger whose pin is gone is pinned again.
    ///
    /// # Errors
    /// When a store fails, or nodes that are kept cannot be read and it is not forced.
    pub fn collect_blocks(&self, options: CollectOptions) -> Result<BlocksCollected, BlocksError> {
        let Reconciled { release, pin } = self.reconcile()?;
        let mut done = BlocksCollected {
            released: release.iter().map(|(root, _)| *root).collect(),
            pinned: pin.iter().map(|(_, report)| *report).collect(),
            ..BlocksCollected::default()
        };
        let blocks = self.blocks();
        if options.dry_run {
            let mut pins = blocks.pinned()?;
            for (root, reason) in &release {
                for pin in pins.iter_mut().filter(|pin| pin.root == *root) {
                    pin.take(reason);
                }
            }
            let kept = pins.iter().filter(|pin| !pin.reasons.is_empty()).map(|pin| pin.root);
            let roots: Vec<Cid> = kept.chain(pin.into_iter().map(|(root, _)| root)).collect();
            done.collected = would_remove(blocks, &roots, options)?;
            return Ok(done);
        }
        // First what is to be kept.
        for (root, report) in pin {
            blocks.pin(&root, &Keep::since(Reason::Report(report), self.now()))?;
        }
        for (root, reason) in release {
            blocks.release(&root, &reason)?;
        }
        done.collected = collect(blocks, options)?;
        Ok(done)
    }

    /// Replaces what a [check](Ledger::check_blocks) found damaged or missing by what `source` has, every
    /// block verified first.
    ///
    /// # Errors
    /// When the store of blocks fails. What the source does not have, or gives wrong, is in the result.
    pub fn repair_blocks(
        &self,
        check: &StoreCheck,
        source: &dyn BlockRead,
    ) -> Result<Repaired, BlocksError> {
        Ok(repair_store(self.own_blocks(), check, source)?)
    }

    fn reconcile(&self) -> Result<Reconciled, BlocksError> {
        // In this order: an upload that is no longer under way when the ledger is looked at was accepted
        // by then or released its pin itself; one that begins later is not in the list of pins.
        let pins = self.blocks().pinned()?;
        let under_way = self.under_way().now();
        let known = self.envelopes()?;
        let mut reconciled = Reconciled::default();
        let mut kept = BTreeSet::new();
        for pin in &pins {
            for Keep { reason, since } in &pin.reasons {
                let goes = match reason {
                    Reason::Report(report) if known.contains(&(*report, pin.root)) => {
                        kept.insert((*report, pin.root));
                        false
                    }
                    Reason::Report(report) => !under_way.contains(report),
                    // From before reasons were noted, when only uploads set pins.
                    Reason::Untold => since.is_none(),
                    _ => false,
                };
                if goes {
                    reconciled.release.push((pin.root, reason.clone()));
                }
            }
        }
        for (report, envelope) in known {
            if !kept.contains(&(report, envelope)) && self.blocks().has(&envelope)? {
                reconciled.pin.push((envelope, report));
            }
        }
        Ok(reconciled)
    }

    /// The envelopes of every report that is on the ledger or waits to be mined: the present one and, around
    /// a rotation, the one before and the next.
    pub(crate) fn envelopes(&self) -> Result<BTreeSet<(ReportId, Cid)>, StoreError> {
        let view = self.view()?;
        let added = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
        let records = view.find(&added)?;
        let mut envelopes = BTreeSet::new();
        let mut look = |state: &dyn StateRead| -> Result<(), StoreError> {
            let state = State::new(state);
            for report in records.iter().filter_map(|record| record.report) {
                if let Some(entry) = state.report(&report)? {
                    envelopes.insert((report, entry.envelope));
                }
                if let Some(next) = state.rotation(&report)? {
                    envelopes.insert((report, next.envelope));
                }
            }
            Ok(())
        };
        // Until a confirmation is in a block, the envelope before it may be needed again.
        look(view.as_ref())?;
        self.engine().with_pending(view.as_ref(), &mut look)?;
        Ok(envelopes)
    }
}
