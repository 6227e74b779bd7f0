//! Mining: what was accepted goes into blocks.

use crate::ledger::Ledger;
use crate::steps::Step;
use medledger_core::chain::tip;
use medledger_core::engine::{Mined, OrderError, OrderJob};
use medledger_core::ids::RecordId;
use medledger_core::pow::Target;
use medledger_core::registry::VoidCode;
use medledger_core::store::{Standing, StoreError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Stops mining and tells how far it is; share it with the thread that mines.
#[derive(Debug, Default)]
pub struct MiningControl {
    cancel: AtomicBool,
    tried: AtomicU64,
    /// The block being mined, or mined last.
    block: Mutex<Option<Begun>>,
}

/// Where a search began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    at: Instant,
    tried: u64,
    expected: Option<u128>,
}

impl MiningControl {
    /// A control for one run.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the search within a millisecond; records go on waiting.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Hashes tried so far, by all threads.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.tried.load(Ordering::Relaxed)
    }

    /// How far the search for the present block is; `None` before the first.
    #[must_use]
    pub fn progress(&self) -> Option<MiningProgress> {
        let begun = *self.block.lock().unwrap_or_else(PoisonError::into_inner);
        begun.map(|begun| MiningProgress {
            tried: self.tried().saturating_sub(begun.tried),
            elapsed: begun.at.elapsed(),
            expected_tries: begun.expected,
        })
    }

    fn begin(&self, expected: Option<u128>) {
        let begun = Begun { at: Instant::now(), tried: self.tried(), expected };
        *self.block.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
    }
}

/// How far the search for one block is.
///
/// Every try is as likely to succeed as any other: however long it took so far, the time still to be
/// expected is the same.
///
/// ```
/// use medledger::MiningProgress;
/// use std::time::Duration;
/// let elapsed = Duration::from_secs(2);
/// let progress = MiningProgress { tried: 40_000_000, elapsed, expected_tries: Some(100_000_000) };
/// assert_eq!(progress.hash_rate(), 20e6);
/// assert_eq!(progress.expected_seconds(), Some(5.0));
/// assert_eq!((progress.likelihood().unwrap() * 100.0).round(), 33.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiningProgress {
    /// Hashes tried, by all threads.
    pub tried: u64,
    /// Since the search began.
    pub elapsed: Duration,
    /// Tries that a block takes on average; `None` where blocks take no work.
    pub expected_tries: Option<u128>,
}

#[expect(clippy::cast_precision_loss, reason = "rates and chances are estimates")]
impl MiningProgress {
    /// Hashes a second.
    #[must_use]
    pub fn hash_rate(&self) -> f64 {
        self.tried as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Seconds from now on that the block takes on average; `None` where it takes no work or nothing is
    /// known of the rate yet.
    #[must_use]
    pub fn expected_seconds(&self) -> Option<f64> {
        let expected = self.expected_tries?;
        (self.tried > 0).then(|| expected as f64 / self.hash_rate())
    }

    /// How likely it was to have the block by now, from 0 to 1.
    #[must_use]
    pub fn likelihood(&self) -> Option<f64> {
        let expected = self.expected_tries?;
        Some(-(-(self.tried as f64) / expected as f64).exp_m1())
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
    /// Records accepted by other threads meanwhile come into the same block, as far as they fit; when
    /// another block comes, the work goes on above it.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn mine_with(
        &self,
        control: &MiningControl,
        empty: bool,
    ) -> Result<Option<Mined>, OrderError> {
        self.step(Step::MiningBegun);
        let view = self.view()?;
        let bits = self.rules().next_bits(view.as_ref(), &tip(view.as_ref())?)?;
        drop(view);
        control.begin(Target::from_bits(bits).ok().map(Target::expected_tries));
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
