//! Mining: what was accepted goes into blocks.

use crate::ledger::Ledger;
use crate::steps::Step;
use medledger_core::engine::{Mined, OrderError, OrderJob};
use medledger_core::ids::RecordId;
use medledger_core::registry::VoidCode;
use medledger_core::store::{Standing, StoreError};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Stops mining and tells how far it is; share it with the thread that mines.
#[derive(Debug, Default)]
pub struct MiningControl {
    cancel: AtomicBool,
    tried: AtomicU64,
}

impl MiningControl {
    /// A control for one run.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the search within a millisecond; records go on waiting.
    pub fn cancel(&self) {
        self.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Hashes tried so far, by all threads.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.tried.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Why a record that was waited for is not in a block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// There is no such record here.
    #[error("record {0} is not known here")]
    Unknown(RecordId),
    /// It could no longer take effect when its turn came.
    #[error("record {id} was refused: {code} (code {number})", number = .code.code())]
    Refused {
        /// The record.
        id: RecordId,
        /// Why.
        code: VoidCode,
    },
    /// Mining failed or was cancelled; the record goes on waiting.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// Mines one block of waiting records with all cores. `None` when none waits.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn mine(&self) -> Result<Option<Mined>, OrderError> {
        self.mine_with(&MiningControl::new(), false)
    }

    /// As [`Ledger::mine`], with a control to cancel and to watch it; `empty` makes a block even when
    /// no record waits.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn mine_with(
        &self,
        control: &MiningControl,
        empty: bool,
    ) -> Result<Option<Mined>, OrderError> {
        self.step(Step::MiningBegun);
        let job = OrderJob {
            clock: self.clock(),
            workers: self.workers(),
            cancel: &control.cancel,
            tried: &control.tried,
            empty,
        };
        let mined = self.engine().order(self.store(), &job)?;
        if mined.is_some() {
            self.step(Step::BlockStored);
        }
        Ok(mined)
    }

    /// Mines until a record is in a block, and returns that block's height.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait_mined(&self, record: &RecordId) -> Result<u64, WaitError> {
        self.wait_mined_with(record, &MiningControl::new())
    }

    /// As [`Ledger::wait_mined`], with a control to cancel and to watch it.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait_mined_with(
        &self,
        record: &RecordId,
        control: &MiningControl,
    ) -> Result<u64, WaitError> {
        loop {
            let stored = self.view()?.record(record)?.ok_or(WaitError::Unknown(*record))?;
            match stored.standing {
                Standing::Mined { height, .. } => return Ok(height),
                Standing::Refused { code } => {
                    return Err(WaitError::Refused { id: *record, code });
                }
                Standing::Accepted { .. } => self.mine_with(control, false)?,
            };
        }
    }

    /// How many accepted records wait to be mined.
    ///
    /// # Errors
    /// When the store fails.
    pub fn waiting(&self) -> Result<u64, StoreError> {
        self.view()?.count_pending()
    }
}
