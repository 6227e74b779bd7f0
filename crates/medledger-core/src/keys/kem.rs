//! X25519 keys for HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256) / HKDF-SHA256 / AES-128-GCM.

use super::signature::public_bytes;
use super::{KeyAlgorithm, KeyError, is_listed, is_reduced, small_order};
use ::hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::AesGcm128, kdf::HkdfSha256,
    kem::X25519HkdfSha256 as Kem,
};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

type PrivateKey = <Kem as ::hpke::Kem>::PrivateKey;
type EncappedKey = <Kem as ::hpke::Kem>::EncappedKey;

/// Bytes of an encapsulated key (Nenc).
pub(crate) const ENC_BYTES: usize = 32;
/// Bytes a ciphertext is longer than its plaintext (Nt).
pub(crate) const TAG_BYTES: usize = 16;

/// A secret X25519 key that opens what was sealed to its public half.
pub struct HpkeSecretKey(PrivateKey);

impl HpkeSecretKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut ikm = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *ikm);
        Self::derive(&ikm)
    }

    /// The key that RFC 9180 section 7.1.3 (`DeriveKeyPair`) derives from 32 secret bytes.
    #[must_use]
    pub fn derive(ikm: &[u8; 32]) -> Self {
        Self(Kem::derive_keypair(ikm).0)
    }

    /// The key with these bytes, clamped as RFC 9180 section 7.1.2 demands.
    ///
    /// # Panics
    /// Never: every 32 bytes are a key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(PrivateKey::from_bytes(bytes).expect("32 bytes are a key"))
    }

    /// The secret bytes, for storing or wrapping them encrypted.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.0.write_exact(&mut *bytes);
        bytes
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> HpkePublicKey {
        HpkePublicKey(Kem::sk_to_pk(&self.0).to_bytes().into())
    }
}

impl PartialEq for HpkeSecretKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for HpkeSecretKey {}

impl fmt::Debug for HpkeSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HpkeSecretKey(..)")
    }
}

/// A public X25519 key to which secrets can be sealed: canonical, and not of small order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HpkePublicKey([u8; 32]);

impl HpkePublicKey {
    /// The key with these bytes.
    ///
    /// RFC 7748 has receivers reduce other encodings silently; here they are refused, so that a key
    /// has one spelling in records and slot contexts.
    ///
    /// # Errors
    /// [`KeyError::SmallOrder`] (the all-zero key is one of them) and [`KeyError::NotCanonical`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        const SMALL_ORDER: [[u8; 32]; 7] = small_order(EIGHTH);
        if is_listed(bytes, &SMALL_ORDER) {
            Err(KeyError::SmallOrder(KeyAlgorithm::X25519))
        } else if !is_reduced(bytes) || bytes[31] & 0x80 != 0 {
            Err(KeyError::NotCanonical(KeyAlgorithm::X25519))
        } else {
            Ok(Self(*bytes))
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// u of the points of order 8 of Curve25519; the other small orders, on the twist too, are 0, 1, -1.
const EIGHTH: [[u8; 32]; 2] = [
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
];

public_bytes!(HpkePublicKey, "HPKE public key", |bytes| HpkePublicKey::from_bytes(&bytes));

/// Nothing could be sealed or opened: wrong key, wrong `info` or `aad`, damage, or an all-zero
/// shared secret (RFC 9180, section 7.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HpkeError;

/// Seals `plaintext` in base mode: encapsulated key | ciphertext | tag.
pub(crate) fn seal(
    key: &HpkePublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    mut rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, HpkeError> {
    let key = <Kem as ::hpke::Kem>::PublicKey::from_bytes(key.as_bytes()).map_err(|_| HpkeError)?;
    let (enc, ciphertext) = ::hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, Kem>(
        &OpModeS::Base,
        &key,
        info,
        plaintext,
        aad,
        &mut rng,
    )
    .map_err(|_| HpkeError)?;
    Ok([&enc.to_bytes()[..], &ciphertext].concat())
}

/// Opens what [`seal`] wrote.
pub(crate) fn open(
    key: &HpkeSecretKey,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let (enc, ciphertext) = sealed.split_at_checked(ENC_BYTES).ok_or(HpkeError)?;
    let enc = EncappedKey::from_bytes(enc).map_err(|_| HpkeError)?;
    ::hpke::single_shot_open::<AesGcm128, HkdfSha256, Kem>(
        &OpModeR::Base,
        &key.0,
        &enc,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| HpkeError)
}
