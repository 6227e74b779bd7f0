//! What X-Wing adds: sizes, and the check that FIPS 203 demands of an ML-KEM-768 key before it is used.
//!
//! X-Wing is MLKEM768-X25519 (0x647a) of draft-ietf-hpke-pq-03: 32 bytes of seed, a public key of ML-KEM-768 (1184 bytes)
//! and X25519 (32), an encapsulated key of ML-KEM-768 (1088) and X25519 (32).

use ::hpke::Deserializable;
use ::hpke::kem::XWing;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

type PublicKey = <XWing as ::hpke::Kem>::PublicKey;

/// Bytes of a public key (Npk).
pub(super) const PUBLIC_BYTES: usize = ML_KEM_BYTES + 32;
/// Bytes of an encapsulated key (Nenc).
pub(super) const ENCAPSULATED_BYTES: usize = 1088 + 32;

/// Bytes of an ML-KEM-768 public key: 3 * 256 numbers of 12 bits, then a seed.
const ML_KEM_BYTES: usize = 3 * 256 * 12 / 8 + 32;
const Q: u16 = 3329;

/// The modulus check of FIPS 203, section 7.2: whether each of the 768 numbers is below q, that is, written in the one
/// way it may be.
pub(super) fn is_reduced(ml_kem: &[u8]) -> bool {
    ml_kem.len() == ML_KEM_BYTES
        && ml_kem[..ML_KEM_BYTES - 32].as_chunks::<3>().0.iter().all(|[a, b, c]| {
            let first = u16::from(*a) | (u16::from(*b) & 0x0f) << 8;
            let second = u16::from(*b) >> 4 | u16::from(*c) << 4;
            first < Q && second < Q
        })
}

/// The bytes of a public key and, once something was sealed to it, the key: expanding it costs a twentieth of sealing.
#[derive(Clone)]
pub(super) struct ExpandedKey {
    bytes: Box<[u8]>,
    expanded: OnceLock<PublicKey>,
}

impl ExpandedKey {
    pub(super) fn new(bytes: &[u8], key: Option<PublicKey>) -> Self {
        Self { bytes: bytes.into(), expanded: key.map_or_else(OnceLock::new, OnceLock::from) }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key, if the bytes are one.
    pub(super) fn expand(&self) -> Option<&PublicKey> {
        if self.expanded.get().is_none() {
            let _ = self.expanded.set(PublicKey::from_bytes(&self.bytes).ok()?);
        }
        self.expanded.get()
    }
}

impl PartialEq for ExpandedKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for ExpandedKey {}

impl PartialOrd for ExpandedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ExpandedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl Hash for ExpandedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

#[cfg(test)]
mod tests;
