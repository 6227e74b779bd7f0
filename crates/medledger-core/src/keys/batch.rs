//! Many signatures at once, with exact blame when one of them is wrong.

use super::signature::joined;
use super::{Signature, VerifyingKey};
use ed25519_zebra::batch::{Item, Verifier};
use rand_core::CryptoRng;
use std::fmt;

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
pub struct SignatureBatch(Vec<Item>);

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
        let mut verifier = Verifier::new();
        for item in &self.0 {
            verifier.queue(item.clone());
        }
        if verifier.verify(rng).is_ok() {
            return Ok(());
        }
        let of = self.0.len();
        let failed: Vec<_> = (0..)
            .zip(self.0)
            .filter_map(|(i, item)| item.verify_single().is_err().then_some(i))
            .collect();
        // A batch fails only if a member does: were none to fail alone, all would be accepted alone.
        if failed.is_empty() { Ok(()) } else { Err(BatchError { failed, of }) }
    }
}

impl fmt::Debug for SignatureBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureBatch({} queued)", self.len())
    }
}
