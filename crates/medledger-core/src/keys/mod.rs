//! Keys: Ed25519 for signatures, X25519 or X-Wing for HPKE, and how public keys stand in records.
//!
//! Signatures follow [ZIP 215](https://zips.z.cash/zip-0215), so that a signature checked alone and
//! one checked in a batch can never disagree; every signature is over a domain string and a message.
//! ZIP 215 itself accepts keys of small order and more than one spelling of a point. A *member's*
//! key may be neither: [`KeyEntry::public_key`] refuses both, for with a key of small order anyone
//! can sign, and a key with two spellings could be enrolled twice.

mod ahead;
mod batch;
mod kem;
mod signature;
#[cfg(test)]
mod tests;
mod xwing;

pub(crate) use ahead::Ahead;
pub use batch::{BatchError, SignatureBatch};
pub use kem::{HpkeAlgorithm, HpkePublicKey, HpkeSecretKey};
pub(crate) use kem::{TAG_BYTES, open, seal};
pub use signature::{Signature, SignatureError, SigningKey, VerifyingKey};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which algorithm a key in a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyAlgorithm {
    /// Signatures, by ZIP 215 rules.
    Ed25519 = 1,
    /// HPKE with DHKEM(X25519, HKDF-SHA256), RFC 9180.
    X25519 = 2,
    /// HPKE with X-Wing, MLKEM768-X25519 of draft-ietf-hpke-pq-03.
    XWing = 3,
    /// Ethereum accounts. Reserved: known, not yet in force.
    Secp256k1 = 4,
}

impl KeyAlgorithm {
    /// The byte that stands for it in records.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The algorithm with this byte.
    ///
    /// # Errors
    /// [`KeyError::UnknownAlgorithm`].
    pub const fn from_code(code: u8) -> Result<Self, KeyError> {
        match code {
            1 => Ok(Self::Ed25519),
            2 => Ok(Self::X25519),
            3 => Ok(Self::XWing),
            4 => Ok(Self::Secp256k1),
            _ => Err(KeyError::UnknownAlgorithm(code)),
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::X25519 => "X25519",
            Self::XWing => "X-Wing",
            Self::Secp256k1 => "secp256k1",
        })
    }
}

/// A public key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No algorithm of this format version has this byte.
    #[error("unknown key algorithm {0}")]
    UnknownAlgorithm(u8),
    /// The algorithm is reserved; a later version may bring it into force.
    #[error("{0} keys are not yet in force")]
    NotInForce(KeyAlgorithm),
    /// The key does not have the length of its algorithm.
    #[error("{algorithm} keys have {expected} bytes, found {found}")]
    Length {
        /// The algorithm.
        algorithm: KeyAlgorithm,
        /// The length of its keys, in bytes.
        expected: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// The bytes encode no point of the curve.
    #[error("not a point of the {0} curve")]
    NotAPoint(KeyAlgorithm),
    /// The point generates a handful of points only, so that the key protects nothing.
    #[error("an {0} key of small order protects nothing")]
    SmallOrder(KeyAlgorithm),
    /// The same key has another, the canonical, encoding.
    #[error("the {0} key is not in its canonical encoding")]
    NotCanonical(KeyAlgorithm),
}

/// A public key as it stands in records: an algorithm byte and the key's bytes, a DAG-CBOR list of
/// two. Reading an entry does not judge it; [`public_key`](Self::public_key) does.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry(u8, #[serde(with = "bytes_or_hex")] Vec<u8>);

impl KeyEntry {
    /// An entry with this algorithm byte and these key bytes, whatever they mean.
    #[must_use]
    pub fn new(code: u8, key: &[u8]) -> Self {
        Self(code, key.to_vec())
    }

    /// The algorithm byte.
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.0
    }

    /// The key's bytes.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.1
    }

    /// The key, if a member may have it.
    ///
    /// # Errors
    /// Any [`KeyError`]: unknown and reserved algorithms, wrong length, no point, small order, not
    /// canonical.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        let algorithm = KeyAlgorithm::from_code(self.0)?;
        let hpke =
            |algorithm| HpkePublicKey::from_bytes_of(algorithm, self.key()).map(PublicKey::Hpke);
        match algorithm {
            KeyAlgorithm::Ed25519 => {
                let bytes = <&[u8; 32]>::try_from(self.key()).map_err(|_| KeyError::Length {
                    algorithm,
                    expected: 32,
                    found: self.1.len(),
                })?;
                let key = VerifyingKey::from_bytes(bytes)?;
                key.check_for_member()?;
                Ok(PublicKey::Ed25519(key))
            }
            KeyAlgorithm::X25519 => hpke(HpkeAlgorithm::X25519),
            KeyAlgorithm::XWing => hpke(HpkeAlgorithm::XWing),
            reserved => Err(KeyError::NotInForce(reserved)),
        }
    }
}

impl fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEntry({}, {})", self.0, data_encoding::HEXLOWER.encode(&self.1))
    }
}

impl From<&VerifyingKey> for KeyEntry {
    fn from(key: &VerifyingKey) -> Self {
        Self::new(KeyAlgorithm::Ed25519.code(), key.as_bytes())
    }
}

impl From<&HpkePublicKey> for KeyEntry {
    fn from(key: &HpkePublicKey) -> Self {
        Self::new(key.algorithm().key_algorithm().code(), key.as_bytes())
    }
}

/// A public key that has been judged, by algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// A key for signatures.
    Ed25519(VerifyingKey),
    /// A key for HPKE, of either algorithm.
    Hpke(HpkePublicKey),
}

mod bytes_or_hex {
    use serde::{Deserialize, de::Error};

    pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        crate::ids::serialize_bytes(bytes, crate::ids::TextOrder::Forward, s)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(D::Error::custom)
        } else {
            serde_bytes::ByteBuf::deserialize(d).map(serde_bytes::ByteBuf::into_vec)
        }
    }
}

/// Whether 255 little-endian bits (the top bit of the last byte is not looked at) are below
/// p = 2^255 - 19, that is, the only encoding of that number modulo p.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    let high = bytes[31] & 0x7f == 0x7f && bytes[1..31].iter().all(|b| *b == 0xff);
    !(high && bytes[0] >= 0xed)
}

/// Whether a coordinate, its top bit not looked at, is one of the seven in `list`. Keys are public,
/// so no constant time is needed.
fn is_listed(bytes: &[u8; 32], list: &[[u8; 32]; 7]) -> bool {
    let mut masked = *bytes;
    masked[31] &= 0x7f;
    list.contains(&masked)
}

/// Coordinates of points of small order that both curves share: 0, 1 and -1, then the encodings of
/// 0 and 1 that are not reduced. -1 has no second encoding: 2p - 1 has 256 bits.
const fn small_order(eighth: [[u8; 32]; 2]) -> [[u8; 32]; 7] {
    let zero = [0; 32];
    let mut one = zero;
    one[0] = 1;
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    let (mut minus_one, mut p_plus_one) = (p, p);
    minus_one[0] = 0xec;
    p_plus_one[0] = 0xee;
    [zero, one, minus_one, p, p_plus_one, eighth[0], eighth[1]]
}
