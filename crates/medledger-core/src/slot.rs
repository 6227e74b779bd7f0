//! Slots: a report's key wrapped for one reader, bound to what it opens, for whom and why.
//!
//! Everything a slot is about is its *context*, the `info` of the key derivation, so a slot moved to
//! another chain, report, version, epoch, role, grant, reader, key, envelope or suite does not open.
//!
//! | suite | reader has | wrapped key |
//! |---|---|---|
//! | 1 | an [`AccessKey`] | AES-128 Key Wrap (RFC 3394) under HKDF-SHA256(access key, context), 24 bytes |
//! | 2 | an [`HpkeSecretKey`] | HPKE (RFC 9180) base mode, X25519 / HKDF-SHA256 / AES-128-GCM, `info` = context, empty `aad`: encapsulated key (32), ciphertext and tag (32) |
//! | 3 | an [`HpkeSecretKey`] | the same with X-Wing (draft-ietf-hpke-pq-03): encapsulated key (1120), ciphertext and tag (32) |

use crate::access_key::AccessKey;
use crate::cbor::{self, DecodeError};
use crate::dek::Dek;
use crate::ids::{ChainId, GrantId, MemberId, ReportId};
use crate::keys::{self, HpkeAlgorithm, HpkePublicKey, HpkeSecretKey};
use crate::registry::{domain, limit};
use crate::{Cid, kdf};
use aes_kw::{KwAes128, aes::cipher::KeyInit};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const DEK_BYTES: usize = 16;
const WRAPPED_BYTES: usize = DEK_BYTES + 8;

/// How a slot wraps its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum SlotSuite {
    /// For whoever types an access key.
    AccessKey = 1,
    /// HPKE to an X25519 key.
    HpkeX25519 = 2,
    /// HPKE to an X-Wing key.
    HpkeXWing = 3,
}

impl SlotSuite {
    /// The number that stands for it.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The suite that wraps to this key. The key alone decides (decision 9), so a slot for an X-Wing key is never one
    /// that breaking X25519 would open.
    #[must_use]
    pub const fn of(key: &HpkePublicKey) -> Self {
        match key.algorithm() {
            HpkeAlgorithm::X25519 => Self::HpkeX25519,
            HpkeAlgorithm::XWing => Self::HpkeXWing,
        }
    }

    /// The suite with this number.
    ///
    /// # Errors
    /// [`SlotError::UnknownSuite`].
    pub const fn from_code(code: u16) -> Result<Self, SlotError> {
        match code {
            1 => Ok(Self::AccessKey),
            2 => Ok(Self::HpkeX25519),
            3 => Ok(Self::HpkeXWing),
            _ => Err(SlotError::UnknownSuite(code)),
        }
    }

    /// Bytes of a wrapped key.
    const fn wrapped_bytes(self) -> usize {
        let algorithm = match self {
            Self::AccessKey => return WRAPPED_BYTES,
            Self::HpkeX25519 => HpkeAlgorithm::X25519,
            Self::HpkeXWing => HpkeAlgorithm::XWing,
        };
        algorithm.encapsulated_bytes() + DEK_BYTES + keys::TAG_BYTES
    }
}

impl fmt::Display for SlotSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::AccessKey => "access key",
            Self::HpkeX25519 => "HPKE with X25519",
            Self::HpkeXWing => "HPKE with X-Wing",
        };
        write!(f, "{} ({name})", self.code())
    }
}

/// In which capacity a reader has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SlotRole {
    /// The report is about them.
    Patient = 1,
    /// The patient allowed it.
    Grant = 2,
    /// The patient's collection at one hospital.
    Collection = 3,
    /// A share kept for an emergency.
    Escrow = 4,
    /// The access key of a patient or of a granted reader, for the patient, who wraps anew with it after a
    /// rotation. What it wraps is that key, not the report's.
    AccessKey = 5,
    /// The hospital that confirms a rotation.
    Confirm = 6,
}

impl SlotRole {
    /// The number that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The role with this number, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Patient),
            2 => Some(Self::Grant),
            3 => Some(Self::Collection),
            4 => Some(Self::Escrow),
            5 => Some(Self::AccessKey),
            6 => Some(Self::Confirm),
            _ => None,
        }
    }
}

/// A slot that could not be made, read or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The key is another, or the slot was damaged or stands where it was not made for. Which of
    /// these cannot be told.
    #[error("wrong key, or the slot belongs to another report, reader or grant, or is damaged")]
    WrongKeyOrMoved,
    /// No suite of this format version has this number.
    #[error("unknown slot suite {0}")]
    UnknownSuite(u16),
    /// The slot wants the other kind of key.
    #[error("the slot is of suite {found}, this key opens suite {wanted}")]
    OtherSuite {
        /// The suite the key is for.
        wanted: SlotSuite,
        /// The suite of the slot.
        found: SlotSuite,
    },
    /// The wrapped key does not have the length of its suite.
    #[error("a slot of suite {suite} has {expected} bytes, found {found}")]
    Length {
        /// The suite.
        suite: SlotSuite,
        /// The length of its wrapped keys, in bytes.
        expected: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// The bytes are no slot.
    #[error("not a slot: {0}")]
    Encoding(#[from] DecodeError),
}

/// What a slot is about. The suite and the reader's key complete it when the slot is wrapped and
/// unwrapped: they come from the key in use, so they cannot be stated wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotContext {
    /// The chain the report is on.
    pub chain: ChainId,
    /// The report.
    pub report: ReportId,
    /// Which contents of it; only an amendment raises this.
    pub version: u32,
    /// Which key of that version; only a rotation raises this.
    pub epoch: u32,
    /// Why the reader may open it.
    pub role: SlotRole,
    /// The grant, in role [`SlotRole::Grant`].
    pub grant: Option<GrantId>,
    /// The reader.
    pub reader: MemberId,
    /// The envelope of the ciphertext that the wrapped key opens.
    pub envelope: Cid,
}

impl SlotContext {
    /// The bytes of the context: the domain string, then a DAG-CBOR list of suite, chain, report,
    /// version, epoch, role, grant or null, reader, the reader's key or null (an access key stays
    /// secret), envelope.
    #[must_use]
    pub fn to_bytes(&self, suite: SlotSuite, reader_key: Option<&HpkePublicKey>) -> Vec<u8> {
        let list = cbor::encode(&(
            suite.code(),
            self.chain,
            self.report,
            self.version,
            self.epoch,
            self.role.code(),
            self.grant,
            self.reader,
            reader_key,
            self.envelope,
        ));
        [domain::SLOT, &list].concat()
    }
}

/// A wrapped key, ready to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Slot {
    suite: SlotSuite,
    wrapped: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct SlotBytes(u16, #[serde(with = "serde_bytes")] Vec<u8>);

impl Slot {
    /// Wraps `dek` for the reader who has `key`.
    ///
    /// Give an access key to one reader in one context, and wrap one DEK in it: the wrap is
    /// deterministic.
    #[must_use]
    pub fn wrap_with_access_key(dek: &Dek, key: &AccessKey, context: &SlotContext) -> Self {
        let suite = SlotSuite::AccessKey;
        let kek = kek(key, context);
        Self { suite, wrapped: wrap_key(&kek, dek.expose()).to_vec() }
    }

    /// Wraps `dek` for the holder of the secret half of `key`.
    ///
    /// # Panics
    /// Never: HPKE refuses only keys of small order, and an [`HpkePublicKey`] is none.
    #[must_use]
    pub fn wrap_to(
        dek: &Dek,
        key: &HpkePublicKey,
        context: &SlotContext,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let suite = SlotSuite::of(key);
        let info = context.to_bytes(suite, Some(key));
        let wrapped =
            keys::seal(key, &info, b"", dek.expose(), rng).expect("the key is not of small order");
        Self { suite, wrapped }
    }

    /// Wraps a reader's access key for the patient, in role [`SlotRole::AccessKey`].
    #[must_use]
    pub fn wrap_access_key(
        key: &AccessKey,
        to: &HpkePublicKey,
        context: &SlotContext,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        Self::wrap_to(&Dek::from_bytes(*key.expose()), to, context, rng)
    }

    /// Opens what [`wrap_access_key`](Self::wrap_access_key) wrapped.
    ///
    /// # Errors
    /// As [`unwrap_with`](Self::unwrap_with).
    pub fn unwrap_access_key(
        &self,
        key: &HpkeSecretKey,
        context: &SlotContext,
    ) -> Result<AccessKey, SlotError> {
        Ok(AccessKey::from_bytes(*self.unwrap_with(key, context)?.expose()))
    }

    /// Opens the slot with an access key.
    ///
    /// # Errors
    /// [`SlotError::OtherSuite`] when the slot wants another kind of key, and
    /// [`SlotError::WrongKeyOrMoved`].
    pub fn unwrap_with_access_key(
        &self,
        key: &AccessKey,
        context: &SlotContext,
    ) -> Result<Dek, SlotError> {
        self.expect_suite(SlotSuite::AccessKey)?;
        let dek = unwrap_key(&kek(key, context), &self.wrapped)?;
        Ok(Dek::from_bytes(*dek))
    }

    /// Opens the slot with a secret HPKE key: an identity's or a collection's.
    ///
    /// # Errors
    /// As [`unwrap_with_access_key`](Self::unwrap_with_access_key).
    pub fn unwrap_with(
        &self,
        key: &HpkeSecretKey,
        context: &SlotContext,
    ) -> Result<Dek, SlotError> {
        let public = key.public_key();
        self.expect_suite(SlotSuite::of(&public))?;
        let info = context.to_bytes(self.suite, Some(&public));
        let opened =
            keys::open(key, &info, b"", &self.wrapped).map_err(|_| SlotError::WrongKeyOrMoved)?;
        let dek = opened[..].try_into().map_err(|_| SlotError::WrongKeyOrMoved)?;
        Ok(Dek::from_bytes(dek))
    }

    /// The suite.
    #[must_use]
    pub const fn suite(&self) -> SlotSuite {
        self.suite
    }

    /// The slot as it is stored: a DAG-CBOR list of suite and wrapped key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(&SlotBytes(self.suite.code(), self.wrapped.clone()))
    }

    /// Reads a stored slot.
    ///
    /// # Errors
    /// Bytes that are no slot, an unknown suite, and a wrong length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SlotError> {
        let SlotBytes(code, wrapped) = cbor::decode(bytes, limit::SLOT_BYTES)?;
        let suite = SlotSuite::from_code(code)?;
        let (expected, found) = (suite.wrapped_bytes(), wrapped.len());
        if found != expected {
            return Err(SlotError::Length { suite, expected, found });
        }
        Ok(Self { suite, wrapped })
    }

    fn expect_suite(&self, wanted: SlotSuite) -> Result<(), SlotError> {
        let found = self.suite;
        if found == wanted { Ok(()) } else { Err(SlotError::OtherSuite { wanted, found }) }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot(suite {}, {} bytes)", self.suite.code(), self.wrapped.len())
    }
}

fn kek(key: &AccessKey, context: &SlotContext) -> Zeroizing<[u8; DEK_BYTES]> {
    kdf::derive(key.expose(), &[&context.to_bytes(SlotSuite::AccessKey, None)])
}

fn wrap_key(kek: &[u8; DEK_BYTES], key: &[u8; DEK_BYTES]) -> [u8; WRAPPED_BYTES] {
    let mut wrapped = [0; WRAPPED_BYTES];
    KwAes128::new(kek.into()).wrap_key(key, &mut wrapped).expect("16 bytes wrap into 24");
    wrapped
}

/// RFC 3394 section 2.2.2, for keys of 16 bytes only: with shorter ones, which the crate would
/// take, the integrity check means less or nothing.
fn unwrap_key(
    kek: &[u8; DEK_BYTES],
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; DEK_BYTES]>, SlotError> {
    if wrapped.len() != WRAPPED_BYTES {
        return Err(SlotError::Length {
            suite: SlotSuite::AccessKey,
            expected: WRAPPED_BYTES,
            found: wrapped.len(),
        });
    }
    let mut key = Zeroizing::new([0; DEK_BYTES]);
    KwAes128::new(kek.into())
        .unwrap_key(wrapped, &mut *key)
        .map_err(|_| SlotError::WrongKeyOrMoved)?;
    Ok(key)
}

#[cfg(test)]
mod tests;
