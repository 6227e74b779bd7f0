//! How far a record has come, and waiting for it to come further.

use crate::ledger::Ledger;
use medledger_core::engine::{Finality, Position};
use medledger_core::ids::RecordId;
use medledger_core::registry::VoidCode;
use medledger_core::store::{Standing, StoreError};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How far a record has come. It only goes forward, but for a block that another branch displaces: then
/// the record waits again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It is not known here.
    Unknown,
    /// Durable here, and waiting.
    Accepted,
    /// In a block of the best chain.
    Mined {
        /// Height of the block.
        height: u64,
    },
    /// In a block that a quorum of hospitals made final.
    Final {
        /// Height of the block.
        height: u64,
    },
    /// It can no longer take effect.
    Refused {
        /// Why.
        code: VoidCode,
    },
}

/// How far to wait for a record to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Durable here.
    Accepted,
    /// In a block.
    Mined,
    /// In a final block.
    Final,
}

impl Progress {
    /// Whether it is at this stage, or beyond.
    #[must_use]
    pub const fn reached(&self, stage: Stage) -> bool {
        match self {
            Self::Unknown | Self::Refused { .. } => false,
            Self::Accepted => matches!(stage, Stage::Accepted),
            Self::Mined { .. } => matches!(stage, Stage::Accepted | Stage::Mined),
            Self::Final { .. } => true,
        }
    }

    /// Whether nothing more can happen to it.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Final { .. } | Self::Refused { .. })
    }
}

/// A record that has come further, or was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The record.
    pub record: RecordId,
    /// Where it stands now.
    pub progress: Progress,
}

/// Time between two looks at whether something was committed by this process: costs one read of a variable.
const LOOK: Duration = Duration::from_millis(5);
/// Time between two looks into the store when another process may write to it.
const LOOK_AT_OTHERS: Duration = Duration::from_millis(200);

/// Records that are watched: each change of where they stand is told once, in the order in which it is
/// noticed. Made by [`Ledger::watch`].
#[derive(Debug)]
pub struct Watch<'a> {
    ledger: &'a Ledger,
    records: BTreeMap<RecordId, Progress>,
    told: Vec<Event>,
    commits: Option<u64>,
}

impl Watch<'_> {
    /// Watches one more record, from where it stands now; that is told first.
    pub fn add(&mut self, record: RecordId) {
        self.records.entry(record).or_insert(Progress::Unknown);
        self.commits = None;
    }

    /// The next event; waits up to `patience` for it, while other threads or processes do the work. Records
    /// that are settled are watched no more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Event>, StoreError> {
        let begun = Instant::now();
        loop {
            if !self.told.is_empty() {
                return Ok(Some(self.told.remove(0)));
            }
            self.look()?;
            if !self.told.is_empty() {
                continue;
            }
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            let pause = if self.ledger.can_write() { LOOK } else { LOOK_AT_OTHERS };
            std::thread::sleep(pause.min(left));
        }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        // Before the look: what is committed meanwhile is then seen by the next.
        let commits = self.ledger.store().commits();
        if self.ledger.can_write() && self.commits == Some(commits) {
            return Ok(());
        }
        let view = self.ledger.view()?;
        for (record, known) in &mut self.records {
            let now = self.ledger.progress_in(view.as_ref(), record)?;
            if now != *known {
                *known = now;
                self.told.push(Event { record: *record, progress: now });
            }
        }
        self.records.retain(|_, known| !known.is_settled());
        self.commits = Some(commits);
        Ok(())
    }
}

impl Ledger {
    /// How far a record has come.
    ///
    /// # Errors
    /// When the store fails.
    pub fn progress(&self, record: &RecordId) -> Result<Progress, StoreError> {
        self.progress_in(self.view()?.as_ref(), record)
    }

    fn progress_in(
        &self,
        view: &dyn medledger_core::store::View,
        record: &RecordId,
    ) -> Result<Progress, StoreError> {
        let Some(stored) = view.record(record)? else { return Ok(Progress::Unknown) };
        Ok(match stored.standing {
            Standing::Accepted { .. } => Progress::Accepted,
            Standing::Refused { code } => Progress::Refused { code },
            Standing::Mined { height, index } => {
                match self.engine().finality(view, Position { height, index })? {
                    Finality::Final { .. } => Progress::Final { height },
                    _ => Progress::Mined { height },
                }
            }
        })
    }

    /// Watches records: [`Watch::next`] tells whenever one of them is accepted, mined, final or refused.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ledger = medledger::Ledger::open("ledger")?;
    /// # let record = medledger::core::ids::RecordId::from_bytes([0; 32]);
    /// let mut watch = ledger.watch([record]);
    /// while let Some(event) = watch.next(std::time::Duration::from_secs(60))? {
    ///     println!("{} is {:?}", event.record, event.progress);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn watch(&self, records: impl IntoIterator<Item = RecordId>) -> Watch<'_> {
        let records = records.into_iter().map(|record| (record, Progress::Unknown)).collect();
        Watch { ledger: self, records, told: Vec::new(), commits: None }
    }

    /// Waits until a record has come to a stage, is refused, or `patience` is over; where it stands
    /// then. Mines nothing itself: [`Ledger::wait_mined`] does.
    ///
    /// # Errors
    /// When the store fails.
    pub fn wait_for(
        &self,
        record: &RecordId,
        stage: Stage,
        patience: Duration,
    ) -> Result<Progress, StoreError> {
        let begun = Instant::now();
        let mut watch = self.watch([*record]);
        let mut progress = Progress::Unknown;
        while let Some(event) = watch.next(patience.saturating_sub(begun.elapsed()))? {
            progress = event.progress;
            if progress.reached(stage) || progress.is_settled() {
                break;
            }
        }
        Ok(progress)
    }
}
