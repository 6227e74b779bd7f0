//! The data-encryption key: one secret for one version and one epoch of one report.

use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Sixteen secret random bytes that encrypt one report version in one epoch, and nothing else.
///
/// No `Display`, no `Clone`; `Debug` is redacted, equality is constant-time, and the bytes are
/// overwritten on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Dek([u8; 16]);

impl Dek {
    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Self([0; 16]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The secret bytes, for a cipher or a key wrap.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl PartialEq for Dek {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Dek {}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dek(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_41_debug_shows_no_byte() {
        assert_eq!(format!("{:?}", Dek::from_bytes([0xab; 16])), "Dek(..)");
    }
}
