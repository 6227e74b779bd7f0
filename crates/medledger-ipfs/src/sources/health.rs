//! How a source did, and whether it is left alone for a while.

use crate::store::StoreError;
use medledger_core::clock::Timestamp;
use std::time::Duration;

/// When a source is left alone, and for how long. It is asked all the same when nobody else has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Failures in a row after which it rests.
    pub after: u32,
    /// Seconds of the first rest. Each that follows without a success between is twice as long.
    pub first: u64,
    /// Seconds of the longest rest.
    pub longest: u64,
    /// Seconds of the rest after a lie.
    pub after_lie: u64,
}

impl Default for Resting {
    /// Three failures; ten seconds to ten minutes; an hour after a lie.
    fn default() -> Self {
        Self { after: 3, first: 10, longest: 600, after_lie: 3600 }
    }
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Wrong bytes, from a source that is someone else's.
    Lie,
    /// Wrong bytes, from a source of one's own: a disk that forgets.
    Damage,
    /// It could not be reached or gave no usable answer.
    Backend,
    /// Its files cannot be read.
    Files,
}

/// How a source did since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Blocks it gave.
    pub successes: u64,
    /// Blocks it said it has not got.
    pub misses: u64,
    /// Wrong bytes from someone else.
    pub lies: u64,
    /// Wrong bytes from one's own.
    pub damaged: u64,
    /// How often it was not reached or gave no usable answer.
    pub backend_failures: u64,
    /// How often its files could not be read.
    pub file_failures: u64,
    /// Failures since it last answered well.
    pub failures_in_a_row: u32,
    /// What went wrong last, and when.
    pub last_error: Option<(Timestamp, String)>,
    /// Until when it is left alone, if it is.
    pub rests_until: Option<Timestamp>,
    /// Questions that were answered well, those for several blocks counted once.
    pub answers: u64,
    /// How long all those answers took together.
    pub answering: Duration,
    /// Rests since it last answered well.
    rests: u32,
    /// Until when it rests for a lie.
    liar_until: Option<Timestamp>,
}

impl Health {
    /// How long an answer takes on average; nothing before there was one.
    #[must_use]
    pub fn average(&self) -> Option<Duration> {
        let answers = u32::try_from(self.answers).unwrap_or(u32::MAX);
        (answers > 0).then(|| self.answering / answers)
    }

    /// Whether it is left alone at this time.
    #[must_use]
    pub fn rests(&self, now: Timestamp) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    pub(super) fn answered(&mut self, given: u64, missed: u64, took: Duration) {
        self.successes += given;
        self.misses += missed;
        self.answers += 1;
        self.answering += took;
        self.failures_in_a_row = 0;
        // A liar that also tells the truth is still a liar.
        (self.rests, self.rests_until) = (0, self.liar_until);
    }

    pub(super) fn failed(&mut self, fault: Fault, text: String, now: Timestamp, rule: &Resting) {
        self.last_error = Some((now, text));
        match fault {
            Fault::Lie => {
                self.lies += 1;
                self.rest(now, rule.after_lie);
                self.liar_until = self.rests_until;
                return;
            }
            // One block is broken; the others may well be whole.
            Fault::Damage => {
                self.damaged += 1;
                return;
            }
            Fault::Backend => self.backend_failures += 1,
            Fault::Files => self.file_failures += 1,
        }
        self.failures_in_a_row += 1;
        // While it rests it may be asked as a last hope; that makes no rest longer.
        if self.failures_in_a_row >= rule.after && !self.rests(now) {
            let seconds = rule.first.saturating_mul(1 << self.rests.min(32)).min(rule.longest);
            self.rests += 1;
            self.rest(now, seconds);
        }
    }

    fn rest(&mut self, now: Timestamp, seconds: u64) {
        let until = now.plus(seconds);
        self.rests_until = self.rests_until.max(Some(until));
    }
}

/// The kind of an error, from a source that is one's own or not.
pub(super) fn fault_of(error: &StoreError, own: bool) -> Fault {
    match error {
        StoreError::Damaged { .. } if own => Fault::Damage,
        StoreError::Damaged { .. } => Fault::Lie,
        StoreError::Backend { source, .. } if is_lie(source.as_ref()) => Fault::Lie,
        StoreError::Backend { .. } => Fault::Backend,
        _ => Fault::Files,
    }
}

#[cfg(feature = "http")]
fn is_lie(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<crate::gateway::GatewayError>().is_some_and(|error| error.is_lie())
}

#[cfg(not(feature = "http"))]
fn is_lie(_: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    false
}
