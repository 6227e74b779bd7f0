//! The data-encryption key of one report version and epoch.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Data-encryption key: 16 random bytes, one per report version and epoch, never used for another.
///
/// It has no text form, shows nothing in [`Debug`](std::fmt::Debug), compares in constant time and
/// is overwritten when dropped. It cannot be cloned: whoever needs it borrows it.
///
/// ```
/// use medledger_core::dek::Dek;
/// use medledger_core::rand_core::UnwrapErr;
/// let dek = Dek::generate(&mut UnwrapErr(getrandom::SysRng));
/// assert_eq!(format!("{dek:?}"), "Dek(redacted)");
/// ```
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Dek([u8; Dek::LEN]);

impl Dek {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// A fresh key.
    pub fn generate(rng: &mut dyn rand_core::CryptoRng) -> Self {
        let mut key = Self([0; Self::LEN]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The key with these bytes, which must have come from a random generator or a KDF.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The secret bytes, for wrapping and for key derivation. Do not log, print or compare them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl PartialEq for Dek {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Dek {}

impl std::fmt::Debug for Dek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dek(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_41_debug_shows_no_key_byte() {
        let text = format!("{:?} {:#?}", Dek::from_bytes([0x5a; 16]), Dek::from_bytes([90; 16]));
        assert!(!text.contains("5a") && !text.contains("90"), "{text}");
    }

    #[test]
    fn generated_keys_differ_and_equality_is_by_value() {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        assert_ne!(Dek::generate(&mut rng), Dek::generate(&mut rng));
        assert_eq!(Dek::from_bytes([7; 16]), Dek::from_bytes([7; 16]));
    }
}
