//! Many signatures at once, with exact blame when one of them is wrong.

use super::signature::joined;
use super::{Signature, VerifyingKey};
use crate::pow::Workers;
use ed25519_zebra::batch::{Item, Verifier};
use rand_core::{CryptoRng, TryCryptoRng, TryRng};
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Some signatures of a batch are wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} of {of} signatures do not match, the first is number {}", .failed.len(), .failed[0])]
pub struct BatchError {
    /// Which, in the order in which they were queued, counted from 0; never empty.
    pub failed: Vec<usize>,
    /// How many were checked.
    pub of: usize,
}

/// Signatures to be checked together: a thousand by as many keys in half the time they take one by
/// one, by a few keys in a quarter.
///
/// By ZIP 215 the batch accepts exactly when every signature in it is accepted alone.
///
/// ```
/// use medledger_core::{keys::*, rand_core::UnwrapErr, registry::domain};
/// let mut rng = UnwrapErr(getrandom::SysRng);
/// let key = SigningKey::generate(&mut rng);
/// let mut batch = SignatureBatch::new();
/// for message in [b"one", b"two"] {
///     let signature = key.sign(domain::RECORD_SIGNATURE, message);
///     batch.queue(&key.verifying_key(), domain::RECORD_SIGNATURE, message, &signature);
/// }
/// assert!(batch.verify(&mut rng).is_ok());
/// ```
#[derive(Default)]
pub struct SignatureBatch(pub(super) Vec<Item>);

impl SignatureBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a signature by `key` over `domain | message`. The message is hashed now, not kept.
    pub fn queue(
        &mut self,
        key: &VerifyingKey,
        domain: &'static [u8],
        message: &[u8],
        signature: &Signature,
    ) {
        let signed = joined(domain, message);
        let (key, signature) = ((*key.as_bytes()).into(), (*signature.as_bytes()).into());
        self.0.push(Item::from((key, signature, &signed)));
    }

    /// Takes off all but the first so many.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        Self(self.0.split_off(at.min(self.0.len())))
    }

    /// How many signatures are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is queued; an empty batch is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks all of them. Randomness weighs the signatures against each other, so that no choice
    /// of wrong ones can cancel out.
    ///
    /// # Errors
    /// Names every signature that does not match.
    pub fn verify(self, rng: &mut dyn CryptoRng) -> Result<(), BatchError> {
        let of = self.0.len();
        blame(wrong(&self.0, rng), of)
    }

    /// As [`verify`](Self::verify), by all workers at once: each takes part after part, so that a slow one
    /// keeps nobody waiting.
    ///
    /// # Errors
    /// Names every signature that does not match.
    pub fn verify_on(
        self,
        workers: &dyn Workers,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<(), BatchError> {
        let of = self.0.len();
        let part = of.div_ceil(workers.count()).clamp(SMALLEST_PART, LARGEST_PART);
        let rng = Mutex::new(rng);
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        workers.run(&|_| {
            loop {
                let start = next.fetch_add(part, Ordering::Relaxed);
                let Some(items) = self.0.get(start..of.min(start.saturating_add(part))) else {
                    return;
                };
                if items.is_empty() {
                    return;
                }
                let found = wrong(items, &mut Shared(&rng));
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.extend(found.into_iter().map(|index| start + index));
            }
        });
        let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort_unstable();
        blame(failed, of)
    }
}

/// Fewer at once are hardly cheaper than one by one.
const SMALLEST_PART: usize = 128;
/// More at once gain nothing, and leave the cache.
const LARGEST_PART: usize = 4096;

fn blame(failed: Vec<usize>, of: usize) -> Result<(), BatchError> {
    if failed.is_empty() { Ok(()) } else { Err(BatchError { failed, of }) }
}

/// The places of those that do not match: none, if all are accepted together.
pub(super) fn wrong(items: &[Item], rng: &mut dyn CryptoRng) -> Vec<usize> {
    let mut verifier = Verifier::new();
    for item in items {
        verifier.queue(item.clone());
    }
    if verifier.verify(rng).is_ok() {
        return Vec::new();
    }
    // A batch fails only if a member does: were none to fail alone, all would be accepted alone.
    let alone = items.iter().map(|item| item.clone().verify_single().is_err());
    alone.enumerate().filter_map(|(index, failed)| failed.then_some(index)).collect()
}

/// One source of randomness for several threads.
pub(super) struct Shared<'a, 'b>(pub(super) &'a Mutex<&'b mut (dyn CryptoRng + Send)>);

impl TryRng for Shared<'_, '_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Shared<'_, '_> {}

impl fmt::Debug for SignatureBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureBatch({} queued)", self.len())
    }
}
