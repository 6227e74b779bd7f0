//! Keys for HPKE (RFC 9180), base mode, HKDF-SHA256 / AES-128-GCM, with one of two KEMs: DHKEM(X25519, HKDF-SHA256), or
//! X-Wing (decision 30).

use super::{KeyAlgorithm, KeyError, bytes_or_hex, is_listed, is_reduced, small_order, xwing};
use ::hpke::{
    Deserializable, OpModeR, OpModeS, Serializable,
    aead::AesGcm128,
    kdf::HkdfSha256,
    kem::{X25519HkdfSha256, XWing},
};
use rand_core::CryptoRng;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

type Private<K> = <K as ::hpke::Kem>::PrivateKey;
type Public<K> = <K as ::hpke::Kem>::PublicKey;
type Encapped<K> = <K as ::hpke::Kem>::EncappedKey;

/// Bytes a ciphertext is longer than its plaintext (Nt).
pub(crate) const TAG_BYTES: usize = 16;

/// With which KEM an HPKE key works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HpkeAlgorithm {
    /// DHKEM(X25519, HKDF-SHA256): small, and no match for a quantum computer.
    X25519,
    /// X-Wing: ML-KEM-768 and X25519 together, as strong as the stronger of the two.
    #[default]
    XWing,
}

impl HpkeAlgorithm {
    /// Every algorithm, the weakest first.
    pub const ALL: [Self; 2] = [Self::X25519, Self::XWing];

    /// The algorithm as key entries name it.
    #[must_use]
    pub const fn key_algorithm(self) -> KeyAlgorithm {
        match self {
            Self::X25519 => KeyAlgorithm::X25519,
            Self::XWing => KeyAlgorithm::XWing,
        }
    }

    /// The name people type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X25519 => "x25519",
            Self::XWing => "x-wing",
        }
    }

    /// Bytes of a public key (Npk).
    #[must_use]
    pub const fn public_bytes(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::XWing => xwing::PUBLIC_BYTES,
        }
    }

    /// Bytes of an encapsulated key (Nenc).
    #[must_use]
    pub const fn encapsulated_bytes(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::XWing => xwing::ENCAPSULATED_BYTES,
        }
    }
}

impl fmt::Display for HpkeAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key_algorithm().fmt(f)
    }
}

impl std::str::FromStr for HpkeAlgorithm {
    type Err = crate::registry::UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == text).ok_or_else(|| {
            crate::registry::UnknownCode {
                what: "key algorithm",
                found: text.chars().take(40).collect(),
                known: Self::ALL.map(Self::name).join(", "),
            }
        })
    }
}

/// A secret key that opens what was sealed to its public half.
pub struct HpkeSecretKey {
    secret: Secret,
    // Dear to compute for X-Wing, and asked for with each slot.
    public: HpkePublicKey,
}

enum Secret {
    X25519(Private<X25519HkdfSha256>),
    // Large: it holds what is expanded from 32 bytes.
    XWing(Box<Private<XWing>>),
}

impl HpkeSecretKey {
    /// A fresh key of the default algorithm, X-Wing.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::generate_with(HpkeAlgorithm::default(), rng)
    }

    /// A fresh key of this algorithm.
    #[must_use]
    pub fn generate_with(algorithm: HpkeAlgorithm, rng: &mut dyn CryptoRng) -> Self {
        let mut ikm = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *ikm);
        Self::derive(algorithm, &ikm)
    }

    /// The key that `DeriveKeyPair` (RFC 9180 section 7.1.3; for X-Wing draft-ietf-hpke-pq) derives from 32
    /// secret bytes.
    #[must_use]
    pub fn derive(algorithm: HpkeAlgorithm, ikm: &[u8; 32]) -> Self {
        use ::hpke::Kem;
        Self::from_secret(match algorithm {
            HpkeAlgorithm::X25519 => Secret::X25519(X25519HkdfSha256::derive_keypair(ikm).0),
            HpkeAlgorithm::XWing => Secret::XWing(Box::new(XWing::derive_keypair(ikm).0)),
        })
    }

    /// The key with these bytes: an X25519 scalar, clamped as RFC 9180 section 7.1.2 demands, or the seed of an
    /// X-Wing key.
    ///
    /// # Panics
    /// Never: every 32 bytes are a key.
    #[must_use]
    pub fn from_bytes(algorithm: HpkeAlgorithm, bytes: &[u8; 32]) -> Self {
        const KEY: &str = "32 bytes are a key";
        Self::from_secret(match algorithm {
            HpkeAlgorithm::X25519 => Secret::X25519(Deserializable::from_bytes(bytes).expect(KEY)),
            HpkeAlgorithm::XWing => {
                Secret::XWing(Box::new(Deserializable::from_bytes(bytes).expect(KEY)))
            }
        })
    }

    fn from_secret(secret: Secret) -> Self {
        use ::hpke::Kem;
        let public = HpkePublicKey(match &secret {
            Secret::X25519(key) => Repr::X25519(X25519HkdfSha256::sk_to_pk(key).to_bytes().into()),
            Secret::XWing(key) => {
                let key = XWing::sk_to_pk(key);
                Repr::XWing(Arc::new(xwing::ExpandedKey::new(&key.to_bytes(), Some(key))))
            }
        });
        Self { secret, public }
    }

    /// The secret bytes, for storing or wrapping them encrypted.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        match &self.secret {
            Secret::X25519(key) => key.write_exact(&mut *bytes),
            Secret::XWing(key) => key.write_exact(&mut *bytes),
        }
        bytes
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> HpkePublicKey {
        self.public.clone()
    }

    /// With which KEM it works.
    #[must_use]
    pub const fn algorithm(&self) -> HpkeAlgorithm {
        self.public.algorithm()
    }
}

impl PartialEq for HpkeSecretKey {
    /// In constant time, but for the algorithm.
    fn eq(&self, other: &Self) -> bool {
        match (&self.secret, &other.secret) {
            (Secret::X25519(one), Secret::X25519(two)) => one == two,
            (Secret::XWing(one), Secret::XWing(two)) => one == two,
            _ => false,
        }
    }
}

impl Eq for HpkeSecretKey {}

impl fmt::Debug for HpkeSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HpkeSecretKey(..)")
    }
}

/// A public key to which secrets can be sealed: canonical, and not of small order. The length tells the algorithm: 32
/// bytes are X25519, 1216 are X-Wing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HpkePublicKey(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    X25519([u8; 32]),
    // Shared, since replaying a chain copies members often.
    XWing(Arc<xwing::ExpandedKey>),
}

impl HpkePublicKey {
    /// The key with these bytes, of the algorithm whose length they have.
    ///
    /// RFC 7748 has receivers reduce other encodings silently; here they are refused, so that a key
    /// has one spelling in records and slot contexts.
    ///
    /// # Errors
    /// As [`from_bytes_of`](Self::from_bytes_of).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let algorithm = match bytes.len() {
            xwing::PUBLIC_BYTES => HpkeAlgorithm::XWing,
            _ => HpkeAlgorithm::X25519,
        };
        Self::from_bytes_of(algorithm, bytes)
    }

    /// The key of this algorithm with these bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`], [`KeyError::SmallOrder`] (the all-zero X25519 key is one of them) and
    /// [`KeyError::NotCanonical`] (for X-Wing also numbers that FIPS 203 section 7.2 refuses).
    pub fn from_bytes_of(algorithm: HpkeAlgorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let (expected, found) = (algorithm.public_bytes(), bytes.len());
        let algorithm = algorithm.key_algorithm();
        let wrong_length = || KeyError::Length { algorithm, expected, found };
        if found != expected {
            return Err(wrong_length());
        }
        let (rest, point) = bytes.split_last_chunk::<32>().ok_or_else(wrong_length)?;
        check_point(algorithm, point)?;
        if rest.is_empty() {
            return Ok(Self(Repr::X25519(*point)));
        }
        if !xwing::is_reduced(rest) {
            return Err(KeyError::NotCanonical(algorithm));
        }
        Ok(Self(Repr::XWing(Arc::new(xwing::ExpandedKey::new(bytes, None)))))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::X25519(bytes) => bytes,
            Repr::XWing(key) => key.as_bytes(),
        }
    }

    /// With which KEM it works.
    #[must_use]
    pub const fn algorithm(&self) -> HpkeAlgorithm {
        match &self.0 {
            Repr::X25519(_) => HpkeAlgorithm::X25519,
            Repr::XWing(_) => HpkeAlgorithm::XWing,
        }
    }
}

/// An X25519 key, by itself or as the end of an X-Wing key: canonical, and not of small order.
fn check_point(algorithm: KeyAlgorithm, bytes: &[u8; 32]) -> Result<(), KeyError> {
    const SMALL_ORDER: [[u8; 32]; 7] = small_order(EIGHTH);
    if is_listed(bytes, &SMALL_ORDER) {
        Err(KeyError::SmallOrder(algorithm))
    } else if !is_reduced(bytes) || bytes[31] & 0x80 != 0 {
        Err(KeyError::NotCanonical(algorithm))
    } else {
        Ok(())
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

impl fmt::Display for HpkePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(self.as_bytes()))
    }
}

impl fmt::Debug for HpkePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HpkePublicKey({self})")
    }
}

impl serde::Serialize for HpkePublicKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        bytes_or_hex::serialize(self.as_bytes(), s)
    }
}

impl<'de> serde::Deserialize<'de> for HpkePublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_bytes(&bytes_or_hex::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

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
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, HpkeError> {
    match &key.0 {
        Repr::X25519(bytes) => {
            let key = Deserializable::from_bytes(bytes).map_err(|_| HpkeError)?;
            seal_by::<X25519HkdfSha256>(&key, info, aad, plaintext, rng)
        }
        Repr::XWing(key) => {
            seal_by::<XWing>(key.expand().ok_or(HpkeError)?, info, aad, plaintext, rng)
        }
    }
}

fn seal_by<K: ::hpke::Kem>(
    key: &Public<K>,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    mut rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, HpkeError> {
    let (enc, ciphertext) = ::hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, K>(
        &OpModeS::Base,
        key,
        info,
        plaintext,
        aad,
        &mut rng,
    )
    .map_err(|_| HpkeError)?;
    Ok([enc.to_bytes().as_slice(), &ciphertext].concat())
}

/// Opens what [`seal`] wrote.
pub(crate) fn open(
    key: &HpkeSecretKey,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let enc = key.algorithm().encapsulated_bytes();
    let (enc, ciphertext) = sealed.split_at_checked(enc).ok_or(HpkeError)?;
    match &key.secret {
        Secret::X25519(key) => open_by::<X25519HkdfSha256>(key, info, aad, enc, ciphertext),
        Secret::XWing(key) => {
            // X-Wing itself takes any point here. DHKEM refuses an all-zero shared secret, and so do we:
            // no honest sender makes one.
            let (_, point) = enc.split_last_chunk::<32>().ok_or(HpkeError)?;
            if is_listed(point, &small_order(EIGHTH)) {
                return Err(HpkeError);
            }
            open_by::<XWing>(key, info, aad, enc, ciphertext)
        }
    }
}

fn open_by<K: ::hpke::Kem>(
    key: &Private<K>,
    info: &[u8],
    aad: &[u8],
    enc: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let enc = Encapped::<K>::from_bytes(enc).map_err(|_| HpkeError)?;
    ::hpke::single_shot_open::<AesGcm128, HkdfSha256, K>(
        &OpModeR::Base,
        key,
        &enc,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| HpkeError)
}
