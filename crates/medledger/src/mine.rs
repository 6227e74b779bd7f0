//! Mining: what was accepted goes into blocks.

use crate::ledger::Ledger;
use crate::steps::Step;
use medledger_core::chain::tip;
use medledger_core::engine::{Mined, OrderError, OrderJob};
use medledger_core::ids::RecordId;
use medledger_core::pow::Target;
use medledger_core::registry::VoidCode;
use medledger_core::state::State;
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

/// When a block is worth its work: as soon as one of these is reached.
///
/// ```
/// use medledger::BlockPolicy;
/// use std::time::Duration;
/// // A block a minute, sooner when a hundred records wait.
/// let policy = BlockPolicy { records: 100, age: Duration::from_secs(60), ..BlockPolicy::default() };
/// assert_eq!(policy.bytes, 1024 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPolicy {
    /// So many records wait.
    pub records: u64,
    /// They have so many bytes together.
    pub bytes: u64,
    /// The oldest was signed so long ago, by its author's clock.
    pub age: Duration,
}

impl Default for BlockPolicy {
    /// 1,000 records, 1 MiB, or 10 seconds.
    fn default() -> Self {
        Self { records: 1000, bytes: 1024 * 1024, age: Duration::from_secs(10) }
    }
}

/// Whether a block should be mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Not yet.
    Not,
    /// Of the records that wait.
    Records,
    /// An empty one: above records that are not final, or because a chain whose difficulty follows a plan of blocks
    /// (`asert`) is behind it.
    Empty,
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

    /// Whether a block should be mined now: enough waits, or for long enough; or this hospital owes the
    /// others one, so that what they have can become final; or the plan of the chain's schedule asks for one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn block_due(&self, policy: &BlockPolicy) -> Result<Due, StoreError> {
        let view = self.view()?;
        let waiting = view.count_pending()?;
        if waiting > 0 {
            let limit = usize::try_from(policy.records).unwrap_or(usize::MAX).max(1);
            let first = view.pending(limit)?;
            let bytes: u64 = first.iter().map(|record| record.bytes.len() as u64).sum();
            let oldest = first.iter().map(|record| record.time).min();
            let now = self.clock().now().as_secs();
            let age = oldest.map_or(0, |time| now.saturating_sub(time.as_secs()));
            let due =
                waiting >= policy.records || bytes >= policy.bytes || age >= policy.age.as_secs();
            return Ok(if due { Due::Records } else { Due::Not });
        }
        if self.engine().owes_block(view.as_ref())? {
            return Ok(Due::Empty);
        }
        let beat = self.engine().beat(view.as_ref())?;
        Ok(if beat.is_some_and(|beat| beat <= self.clock().now()) { Due::Empty } else { Due::Not })
    }

    /// Mines whenever a block is due, until `control` is cancelled; tells `mined` of each block. Other threads
    /// use the ledger meanwhile.
    ///
    /// # Errors
    /// See [`OrderError`]; being cancelled is none. `NoMiningKey` as soon as this hospital is none of the chain's, not yet or
    /// no longer: no block of it will ever be due.
    pub fn keep_mining(
        &self,
        policy: &BlockPolicy,
        control: &MiningControl,
        mined: &mut dyn FnMut(&Mined),
    ) -> Result<(), OrderError> {
        const PAUSE: Duration = Duration::from_millis(20);
        // The hospitals change with a block only: asked once above each.
        let mut of_hospital = None;
        while !control.cancel.load(Ordering::Relaxed) {
            let due = self.block_due(policy)?;
            if due == Due::Not {
                let view = self.view()?;
                let newest = tip(view.as_ref())?.id;
                if of_hospital != Some(newest) {
                    let set = State::new(view.as_ref()).hospitals(&self.rules().genesis)?;
                    if !set.contains(&self.hospital()) {
                        return Err(OrderError::NoMiningKey);
                    }
                    of_hospital = Some(newest);
                }
                drop(view);
                std::thread::sleep(PAUSE);
                continue;
            }
            match self.mine_with(control, due == Due::Empty) {
                Ok(Some(block)) => mined(&block),
                // What waits takes no effect yet, or others have to mine first.
                Ok(None) | Err(OrderError::NotOurTurn { .. }) => std::thread::sleep(PAUSE),
                Err(OrderError::Cancelled) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many accepted records wait to be mined.
    ///
    /// # Errors
    /// When the store fails.
    pub fn waiting(&self) -> Result<u64, StoreError> {
        self.view()?.count_pending()
    }
}
