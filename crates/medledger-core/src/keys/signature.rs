//! Ed25519 by the rules of ZIP 215, always over a domain string and a message.

use super::{KeyAlgorithm, KeyError, is_listed, is_reduced, small_order};
use ed25519_zebra as zebra;
use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A signature that is not by this key over this domain and message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match the key and the message")]
pub struct SignatureError;

/// A secret Ed25519 key.
///
/// ```
/// use medledger_core::{keys::SigningKey, rand_core::UnwrapErr, registry::domain};
/// let key = SigningKey::generate(&mut UnwrapErr(getrandom::SysRng));
/// let signature = key.sign(domain::RECORD_SIGNATURE, b"message");
/// let public = key.verifying_key();
/// assert!(public.verify(domain::RECORD_SIGNATURE, b"message", &signature).is_ok());
/// assert!(public.verify(domain::BLOCK_SIGNATURE, b"message", &signature).is_err());
/// ```
// Boxed, so that moving the key leaves no copy of it behind on the stack.
pub struct SigningKey(Box<zebra::SigningKey>);

impl SigningKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The key with this seed, the "private key" of RFC 8032.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Box::new(zebra::SigningKey::from_bytes(seed)))
    }

    /// The secret seed, for storing it encrypted.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verification_key())
    }

    /// Signs the bytes of a C2SP note as they are. Notes bring their own separation: their first line
    /// is the origin, or `cosignature/v1`, and no domain of ours begins like either.
    #[must_use]
    pub(crate) fn sign_note(&self, note: &[u8]) -> Signature {
        Signature(self.0.sign(note).to_bytes())
    }

    /// Signs `domain | message`; the domain is one of [`registry::domain`](crate::registry::domain).
    #[must_use]
    pub fn sign(&self, domain: &'static [u8], message: &[u8]) -> Signature {
        Signature(self.0.sign(&joined(domain, message)).to_bytes())
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A public Ed25519 key: 32 bytes, kept with the point they encode.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(zebra::VerificationKey);

impl VerifyingKey {
    /// The key these bytes encode by ZIP 215: any point of the curve, in any encoding.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        zebra::VerificationKey::try_from(*bytes)
            .map(Self)
            .map_err(|_| KeyError::NotAPoint(KeyAlgorithm::Ed25519))
    }

    /// The bytes.
    ///
    /// # Panics
    /// Never: every key has 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_ref().try_into().expect("keys have 32 bytes")
    }

    /// Whether a member may have this key: it is canonical and not of small order.
    ///
    /// # Errors
    /// [`KeyError::SmallOrder`] and [`KeyError::NotCanonical`].
    pub fn check_for_member(&self) -> Result<(), KeyError> {
        // y of the points of order 8, from the curve equation; the others are 0, 1 and -1.
        const SMALL_ORDER: [[u8; 32]; 7] = small_order(EIGHTH);
        if is_listed(self.as_bytes(), &SMALL_ORDER) {
            Err(KeyError::SmallOrder(KeyAlgorithm::Ed25519))
        } else if !is_reduced(self.as_bytes()) {
            Err(KeyError::NotCanonical(KeyAlgorithm::Ed25519))
        } else {
            Ok(())
        }
    }

    /// Checks a signature over `domain | message`, by ZIP 215.
    ///
    /// # Errors
    /// When it is not by this key over exactly these.
    pub fn verify(
        &self,
        domain: &'static [u8],
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        self.0.verify(&signature.0.into(), &joined(domain, message)).map_err(|_| SignatureError)
    }
}

pub(super) const EIGHTH: [[u8; 32]; 2] = [
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
];

/// An Ed25519 signature. In DAG-CBOR a byte string of 64, in JSON hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// The signature with these bytes; whether it is one at all shows when it is verified.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

pub(super) fn joined(domain: &'static [u8], message: &[u8]) -> Vec<u8> {
    [domain, message].concat()
}

macro_rules! public_bytes {
    ($name:ident, $what:literal, $read:expr) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(self.as_bytes()))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                crate::ids::serialize_bytes(self.as_bytes(), crate::ids::TextOrder::Forward, s)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let bytes =
                    crate::ids::deserialize_bytes(d, $what, crate::ids::TextOrder::Forward)?;
                $read(bytes).map_err(serde::de::Error::custom)
            }
        }
    };
}

public_bytes!(Signature, "signature", |bytes| Ok::<_, KeyError>(Signature(bytes)));
public_bytes!(VerifyingKey, "verifying key", |bytes| VerifyingKey::from_bytes(&bytes));
