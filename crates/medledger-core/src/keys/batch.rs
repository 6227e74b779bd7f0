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
pub struct SignatureBatch(pub(super) Vec<Queued>);

/// A signature that waits to be checked.
#[derive(Clone)]
pub(super) enum Queued {
    /// Over a message of 32 bytes, as ids are. It is hashed by whoever checks, so that who queues need not.
    Short { key: [u8; 32], domain: &'static [u8], message: [u8; 32], signature: Signature },
    /// Over any other message, hashed already.
    Hashed(Item),
}

impl Queued {
    fn item(&self) -> Item {
        match self {
            Self::Short { key, domain, message, signature } => {
                item(*key, &joined(domain, message), signature)
            }
            Self::Hashed(item) => item.clone(),
        }
    }
}

fn item(key: [u8; 32], signed: &[u8], signature: &Signature) -> Item {
    Item::from((key.into(), (*signature.as_bytes()).into(), signed))
}

impl SignatureBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a signature by `key` over `domain | message`. A message of more than 32 bytes is hashed now, not kept.
    pub fn queue(
        &mut self,
        key: &VerifyingKey,
        domain: &'static [u8],
        message: &[u8],
        signature: &Signature,
    ) {
        let (key, signature) = (*key.as_bytes(), *signature);
        self.0.push(match message.try_into() {
            Ok(message) => Queued::Short { key, domain, message, signature },
            Err(_) => Queued::Hashed(item(key, &joined(domain, message), &signature)),
        });
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
        let part = of.div_ceil(workers.count()).clamp(LEAST, MOST);
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
pub(super) const LEAST: usize = 128;
/// More at once cost more: points and digits of a thousand fill half the cache that a core has to itself, and are gone
/// through 33 times.
pub(super) const MOST: usize = 1024;

fn blame(failed: Vec<usize>, of: usize) -> Result<(), BatchError> {
    if failed.is_empty() { Ok(()) } else { Err(BatchError { failed, of }) }
}

/// The places of those that do not match: none, if all are accepted together.
pub(super) fn wrong(queued: &[Queued], rng: &mut dyn CryptoRng) -> Vec<usize> {
    let mut verifier = Verifier::new();
    for queued in queued {
        verifier.queue(queued.item());
    }
    if verifier.verify(Drawn::new(rng, queued.len())).is_ok() {
        return Vec::new();
    }
    // A batch fails only if a member does: were none to fail alone, all would be accepted alone.
    let alone = queued.iter().map(|queued| queued.item().verify_single().is_err());
    alone.enumerate().filter_map(|(index, failed)| failed.then_some(index)).collect()
}

/// Random bytes that are drawn many at a time: each draw may be a call of the operating system, and one that others wait
/// for, while a signature needs but sixteen bytes.
struct Drawn<'a> {
    rng: &'a mut dyn CryptoRng,
    bytes: Vec<u8>,
    used: usize,
}

impl<'a> Drawn<'a> {
    /// From `rng`, in pieces that suffice for so many signatures.
    fn new(rng: &'a mut dyn CryptoRng, signatures: usize) -> Self {
        let bytes = vec![0; 16 * signatures.clamp(1, MOST)];
        Self { rng, used: bytes.len(), bytes }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&mut self, mut wanted: &mut [u8]) {
        while !wanted.is_empty() {
            if self.used == self.bytes.len() {
                self.rng.fill_bytes(&mut self.bytes);
                self.used = 0;
            }
            let left = &self.bytes[self.used..];
            let count = left.len().min(wanted.len());
            let (now, later) = wanted.split_at_mut(count);
            now.copy_from_slice(&left[..count]);
            self.used += count;
            wanted = later;
        }
    }
}

impl TryRng for Drawn<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Drawn<'_> {}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up, byte by byte, and how often it is asked.
    struct Counting(u8, usize);

    impl TryRng for Counting {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            unreachable!("bytes are asked for")
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("bytes are asked for")
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            self.1 += 1;
            for byte in bytes {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counting {}

    #[test]
    fn bytes_drawn_together_are_given_once_each_and_in_their_order() {
        let mut rng = Counting(0, 0);
        let mut drawn = Drawn::new(&mut rng, 2);
        let mut seen = Vec::new();
        for count in [16, 16, 1, 40, 0, 7] {
            let mut bytes = vec![0; count];
            drawn.fill(&mut bytes);
            seen.extend(bytes);
        }
        seen.extend(drawn.try_next_u32().unwrap().to_le_bytes());
        seen.extend(drawn.try_next_u64().unwrap().to_le_bytes());
        assert_eq!(seen, (0..92).collect::<Vec<u8>>());
        assert_eq!(rng.1, 3, "of 32 bytes each");
    }
}
