//! Lengths, salt, head and errors of the format.

use super::schedule::MAX_CHUNKS;
use std::{fmt, io};

/// Plaintext bytes of a full chunk.
pub const CHUNK_LEN: usize = 16 * 1024;
/// Bytes of the tag that follows each chunk.
pub const TAG_LEN: usize = 16;
/// Bytes of a full chunk with its tag.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Bytes of the salt.
pub const SALT_LEN: usize = 24;
/// Bytes of the key commitment.
pub(super) const COMMITMENT_LEN: usize = 32;
/// Bytes before the first chunk: salt and commitment.
pub const HEAD_LEN: usize = SALT_LEN + COMMITMENT_LEN;
/// The longest plaintext: 4 PiB less one byte, because the last chunk is never full.
pub const MAX_PLAIN_LEN: u64 = MAX_CHUNKS * CHUNK_LEN as u64 - 1;

/// Random bytes that make each sealing unique; not secret, stored in front of the ciphertext.
///
/// A salt must not be used twice with one DEK.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; SALT_LEN]);

impl Salt {
    /// A fresh salt.
    pub fn random(rng: &mut dyn rand_core::CryptoRng) -> Self {
        let mut bytes = [0; SALT_LEN];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The salt with these bytes: for test vectors, and for heads read back.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SALT_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SALT_LEN] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// The first 56 bytes of anything sealed: salt and key commitment. Not secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head([u8; HEAD_LEN]);

impl Head {
    pub(super) fn new(salt: &Salt, commitment: &[u8; COMMITMENT_LEN]) -> Self {
        let mut head = [0; HEAD_LEN];
        head[..SALT_LEN].copy_from_slice(&salt.0);
        head[SALT_LEN..].copy_from_slice(commitment);
        Self(head)
    }

    /// The head with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; HEAD_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HEAD_LEN] {
        &self.0
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> Salt {
        let mut salt = [0; SALT_LEN];
        salt.copy_from_slice(&self.0[..SALT_LEN]);
        Salt(salt)
    }

    pub(super) fn commitment(&self) -> &[u8] {
        &self.0[SALT_LEN..]
    }
}

impl TryFrom<&[u8]> for Head {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// A byte string in DAG-CBOR, hex as text.
impl serde::Serialize for Head {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        crate::ids::serialize_bytes(&self.0, crate::ids::TextOrder::Forward, s)
    }
}

impl<'de> serde::Deserialize<'de> for Head {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::ids::deserialize_bytes(d, "head", crate::ids::TextOrder::Forward).map(Self)
    }
}

/// Why something could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// More plaintext than the format holds.
    #[error("too long to seal: the limit is {MAX_PLAIN_LEN} bytes")]
    TooLong,
    /// The source could not be read, or the target not be written.
    #[error("could not read or write while sealing")]
    Io(#[from] io::Error),
}

/// Why something sealed could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// The key commitment is another one: sealed under another key, or as another report, version,
    /// epoch, patient or author; or the head was changed. Nothing was decrypted.
    #[error("wrong key or context: this was sealed under another key or for another purpose")]
    WrongKeyOrContext,
    /// A chunk is not what was sealed: changed, moved, doubled, or cut inside.
    #[error("chunk {chunk} is damaged: its tag does not match")]
    Damaged {
        /// Number of the chunk, from 0.
        chunk: u64,
    },
    /// The end is missing: what is there stops right after a full chunk.
    #[error("truncated: the last chunk is missing")]
    Truncated,
    /// No plaintext seals to this length.
    #[error("{len} bytes cannot be a whole sealed report")]
    InvalidLength {
        /// Length found, in bytes.
        len: u64,
    },
    /// A chunk of a length that its place does not allow.
    #[error("chunk {chunk} has {len} bytes, which its place does not allow")]
    InvalidChunk {
        /// Number of the chunk, from 0.
        chunk: u64,
        /// Length found, tag included.
        len: usize,
    },
    /// More chunks than the format, or an address of this machine, can hold.
    #[error("too long: the format ends at {MAX_PLAIN_LEN} bytes of plaintext")]
    TooLong,
    /// A range that does not lie within the plaintext.
    #[error("{len} bytes at {offset} are not within the {plain_len} bytes of plaintext")]
    OutOfRange {
        /// First byte wanted.
        offset: u64,
        /// Bytes wanted.
        len: u64,
        /// Bytes there are.
        plain_len: u64,
    },
    /// The plaintext does not fit into memory at once; it can be read as a stream.
    #[error("{len} bytes do not fit into memory at once: read them as a stream or in ranges")]
    NoMemory {
        /// Bytes wanted.
        len: u64,
    },
    /// The source could not be read, or the target not be written.
    #[error("could not read or write while unsealing")]
    Io(#[from] io::Error),
}

impl From<UnsealError> for io::Error {
    /// The typed error stays reachable through [`io::Error::downcast`].
    fn from(error: UnsealError) -> Self {
        let kind = match error {
            UnsealError::Io(inner) => return inner,
            UnsealError::Truncated => io::ErrorKind::UnexpectedEof,
            UnsealError::OutOfRange { .. } => io::ErrorKind::InvalidInput,
            UnsealError::NoMemory { .. } => io::ErrorKind::OutOfMemory,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<SealError> for io::Error {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Io(inner) => inner,
            SealError::TooLong => Self::new(io::ErrorKind::FileTooLarge, error),
        }
    }
}

/// Length of the ciphertext, head included, of so many bytes of plaintext; `None` beyond
/// [`MAX_PLAIN_LEN`].
///
/// ```
/// use medledger_core::seal::sealed_len;
/// assert_eq!(sealed_len(0), Some(56 + 16));
/// assert_eq!(sealed_len(16384), Some(56 + 16384 + 16 + 16));
/// ```
#[must_use]
pub const fn sealed_len(plain: u64) -> Option<u64> {
    if plain > MAX_PLAIN_LEN {
        return None;
    }
    Some(HEAD_LEN as u64 + plain + (plain / CHUNK_LEN as u64 + 1) * TAG_LEN as u64)
}

/// Length of the plaintext in so many bytes of ciphertext, head included.
///
/// ```
/// use medledger_core::seal::{UnsealError, plain_len};
/// assert_eq!(plain_len(56 + 16 + 100).unwrap(), 100);
/// assert!(matches!(plain_len(56 + 16384 + 16), Err(UnsealError::Truncated)));
/// assert!(matches!(plain_len(56 + 15), Err(UnsealError::InvalidLength { len: 71 })));
/// ```
///
/// # Errors
/// [`UnsealError::Truncated`] where a full chunk ends ("is truncated", section "Implementation
/// notes"), [`UnsealError::InvalidLength`] where no tag fits, [`UnsealError::TooLong`] beyond 2^38
/// chunks. What is accepted is exactly what [`sealed_len`] gives.
pub fn plain_len(sealed: u64) -> Result<u64, UnsealError> {
    let invalid = UnsealError::InvalidLength { len: sealed };
    let Some(body) = sealed.checked_sub(HEAD_LEN as u64) else {
        return Err(invalid);
    };
    let (full, last) = (body / SEALED_CHUNK_LEN as u64, body % SEALED_CHUNK_LEN as u64);
    if full >= MAX_CHUNKS {
        return Err(UnsealError::TooLong);
    }
    if last == 0 {
        return Err(UnsealError::Truncated);
    }
    if last < TAG_LEN as u64 {
        return Err(invalid);
    }
    Ok(full * CHUNK_LEN as u64 + last - TAG_LEN as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_end_at_two_to_the_38_chunks() {
        let longest = sealed_len(MAX_PLAIN_LEN).unwrap();
        assert_eq!(plain_len(longest).unwrap(), MAX_PLAIN_LEN);
        assert_eq!(sealed_len(MAX_PLAIN_LEN + 1), None);
        assert!(matches!(plain_len(longest + 1), Err(UnsealError::TooLong)));
        assert!(matches!(plain_len(u64::MAX), Err(UnsealError::TooLong)));
        assert_eq!(MAX_PLAIN_LEN, (1 << 52) - 1);
    }

    proptest! {
        #[test]
        fn lengths_agree_with_the_oracle(plain in 0..=MAX_PLAIN_LEN, sealed in 0u64..200_000) {
            prop_assert_eq!(sealed_len(plain), cobblestone::ciphertext_size(plain));
            prop_assert_eq!(plain_len(sealed_len(plain).unwrap()).unwrap(), plain);
            prop_assert_eq!(plain_len(sealed).ok(), cobblestone::plaintext_size(sealed).ok());
        }
    }

    #[test]
    fn pitfall_06_every_length_that_nothing_seals_to_is_refused() {
        let valid: std::collections::HashSet<u64> =
            (0..50_000).map(|n| sealed_len(n).unwrap()).collect();
        for len in 0..50_000 {
            assert_eq!(plain_len(len).is_ok(), valid.contains(&len), "{len}");
        }
    }
}
