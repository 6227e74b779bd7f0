//! Who checks the signatures of records, and when.

use crate::keys::{SignatureBatch, VerifyingKey};
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
    batch: SignatureBatch,
}

impl std::fmt::Debug for BatchedSignatures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BatchedSignatures({} put off)", self.batch.len())
    }
}

impl<'a> BatchedSignatures<'a> {
    /// Batches verified by these workers.
    #[must_use]
    pub fn new(workers: &'a dyn Workers, rng: &'a mut (dyn CryptoRng + Send)) -> Self {
        Self { workers, rng, batch: SignatureBatch::new() }
    }
}

impl Signatures for BatchedSignatures<'_> {
    fn check(&mut self, key: &VerifyingKey, record: &SignedRecord) -> bool {
        let id = record.id();
        self.batch.queue(key, domain::RECORD_SIGNATURE, id.as_bytes(), record.signature());
        true
    }

    fn waiting(&self) -> usize {
        self.batch.len()
    }

    fn settle(&mut self) -> Result<(), usize> {
        let batch = std::mem::take(&mut self.batch);
        batch.verify_on(self.workers, self.rng).map_err(|error| error.failed[0])
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
}
