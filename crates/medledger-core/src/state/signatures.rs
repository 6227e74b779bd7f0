//! Who checks the signatures of records, and when.

use crate::keys::{Ahead, SignatureBatch, VerifyingKey};
use crate::pow::Workers;
use crate::record::SignedRecord;
use crate::registry::domain;
use rand_core::CryptoRng;

/// Who checks signatures, and when: at once, later in a batch, or never because it was done before.
/// Only the fold knows the author's key at this point of the chain.
pub trait Signatures {
    /// Is told of a record and the key its signature must verify under; `false` makes it void.
    fn check(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool;

    /// As [`check`](Self::check), for an author whose keys have changed: that these bytes were verified before says
    /// nothing then, for it may have been under the keys before.
    fn check_again(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool {
        self.check(key, record)
    }

    /// How many checks were put off and wait for [`settle`](Self::settle).
    fn waiting(&self) -> usize {
        0
    }

    /// Makes the checks that were put off.
    ///
    /// # Errors
    /// The first that failed, counted among those put off from 0.
    fn settle(&mut self) -> Result<(), usize> {
        Ok(())
    }

    /// Whether a check that was put off is known to have failed, so that it is time to [`settle`](Self::settle).
    fn faulty(&self) -> bool {
        false
    }

    /// Runs `job`, once, with signatures to give its checks to; those put off may be made by others in the meantime.
    /// What `job` does not settle stays put off.
    fn alongside(&mut self, job: &mut dyn FnMut(&mut dyn Signatures));
}

/// The ways to check that need no state of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureCheck {
    /// Verify each signature on the spot.
    Now,
    /// The caller verified these very bytes before, when they were accepted.
    Done,
}

impl Signatures for SignatureCheck {
    fn check(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool {
        match self {
            Self::Now => record.verify(key).is_ok(),
            Self::Done => true,
        }
    }

    fn check_again(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool {
        record.verify(key).is_ok()
    }

    fn alongside(&mut self, job: &mut dyn FnMut(&mut dyn Signatures)) {
        job(self);
    }
}

/// Puts signatures off until there are many, and verifies them in batches on all cores: several times
/// as fast as one by one, with the same answer and the same blame.
///
/// ```
/// use medledger_core::pow::Inline;
/// use medledger_core::rand_core::UnwrapErr;
/// use medledger_core::state::{BatchedSignatures, Signatures};
/// let mut rng = UnwrapErr(getrandom::SysRng);
/// let mut signatures = BatchedSignatures::new(&Inline, &mut rng);
/// assert_eq!(signatures.settle(), Ok(()), "nothing was put off");
/// ```
pub struct BatchedSignatures<'a> {
    workers: &'a dyn Workers,
    rng: &'a mut (dyn CryptoRng + Send),
    /// Checks that were made already, without anybody being told.
    made: usize,
    /// The first of them that failed.
    failed: Option<usize>,
    /// Those that come after them.
    batch: SignatureBatch,
}

impl std::fmt::Debug for BatchedSignatures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BatchedSignatures({} put off)", self.waiting())
    }
}

impl<'a> BatchedSignatures<'a> {
    /// Batches verified by these workers.
    #[must_use]
    pub fn new(workers: &'a dyn Workers, rng: &'a mut (dyn CryptoRng + Send)) -> Self {
        Self { workers, rng, made: 0, failed: None, batch: SignatureBatch::new() }
    }
}

impl Signatures for BatchedSignatures<'_> {
    fn check(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool {
        let id = record.id();
        self.batch.queue(key, domain::RECORD_SIGNATURE, id.as_bytes(), record.signature());
        true
    }

    fn waiting(&self) -> usize {
        self.made + self.batch.len()
    }

    fn settle(&mut self) -> Result<(), usize> {
        let batch = std::mem::take(&mut self.batch);
        let (made, failed) = (std::mem::take(&mut self.made), self.failed.take());
        let later = batch.verify_on(self.workers, self.rng);
        match failed {
            Some(first) => Err(first),
            None => later.map_err(|error| made + error.failed[0]),
        }
    }

    fn faulty(&self) -> bool {
        self.failed.is_some()
    }

    fn alongside(&mut self, job: &mut dyn FnMut(&mut dyn Signatures)) {
        let hands = self.workers.count();
        let ahead = Ahead::new(&mut *self.rng, hands, WAITING * hands);
        let (before, batch) = (self.failed.take(), std::mem::take(&mut self.batch));
        let mut beside = Beside { ahead: &ahead, given: self.made, before, batch };
        let main = &mut || {
            let _end = ahead.end_when_dropped();
            job(&mut beside);
            beside.give();
        };
        self.workers.beside(main, &|_| ahead.work());
        self.made = beside.given;
        self.failed = beside.before.or(ahead.finish().first().copied());
    }
}

/// Signatures given to others together: so few that nobody waits long for work, so many that giving costs nothing.
const GIVEN: usize = 256;

/// As many the first time: they cost more each, but nobody has anything else to do yet.
const FIRST_GIVEN: usize = 32;

/// Signatures that may wait for each hand: a megabyte of them, and less than a tenth of a second of work.
const WAITING: usize = 8192;

/// Gives what is put off to other hands.
struct Beside<'a, 'b> {
    ahead: &'a Ahead<'b>,
    /// Checks given since the last time they were settled.
    given: usize,
    /// One that failed before the others were given.
    before: Option<usize>,
    /// Those to be given next.
    batch: SignatureBatch,
}

impl Beside<'_, '_> {
    fn give(&mut self) {
        let first = self.given;
        self.given += self.batch.len();
        self.ahead.give(first, &mut self.batch);
    }
}

impl Signatures for Beside<'_, '_> {
    fn check(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool {
        let id = record.id();
        self.batch.queue(key, domain::RECORD_SIGNATURE, id.as_bytes(), record.signature());
        // The first soon, so that nobody waits while there is work.
        if self.batch.len() >= GIVEN.min(FIRST_GIVEN + self.given) {
            self.give();
        }
        true
    }

    fn waiting(&self) -> usize {
        self.given + self.batch.len()
    }

    fn settle(&mut self) -> Result<(), usize> {
        self.give();
        self.given = 0;
        let failed = self.ahead.finish();
        let first = self.before.take().or(failed.first().copied());
        first.map_or(Ok(()), Err)
    }

    fn faulty(&self) -> bool {
        self.before.is_some() || self.ahead.faulty()
    }

    fn alongside(&mut self, job: &mut dyn FnMut(&mut dyn Signatures)) {
        job(self);
    }
}

/// Leaves [`settle`](Signatures::settle) to whoever holds the inner one, so that a batch may span blocks.
pub(crate) struct PutOff<'a>(pub(crate) &'a mut dyn Signatures);

impl Signatures for PutOff<'_> {
    fn check(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool {
        self.0.check(key, record)
    }

    fn check_again(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool {
        self.0.check_again(key, record)
    }

    fn waiting(&self) -> usize {
        self.0.waiting()
    }

    fn faulty(&self) -> bool {
        self.0.faulty()
    }

    fn alongside(&mut self, job: &mut dyn FnMut(&mut dyn Signatures)) {
        job(self);
    }
}

#[cfg(test)]
mod tests;
