//! How a slot reaches a reader at another hospital: a request sealed to its custodian, and the release sealed to
//! the reader. Each is a message or a file; whoever carries them learns nothing but who they are for.
//!
//! The request brings the reader's signed Read record and, where the grant has one, the token. The custodian
//! releases nothing before that record is accepted, durably, and signs what it releases.

use crate::cbor::{self, DecodeError};
use crate::identity::Identity;
use crate::ids::{ChainId, MemberId, RecordId, sha256};
use crate::keys::{self, HpkePublicKey, HpkeSecretKey, Signature, VerifyingKey};
use crate::record::{Body, RecordError, SignedRecord};
use crate::registry::{FORMAT_VERSION, domain, limit};
use crate::slot::SlotSuite;
use crate::token::Token;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// A request or release that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The bytes are no such message.
    #[error("not a message about a slot: {0}")]
    Encoding(#[from] DecodeError),
    /// Written by a later version of the format.
    #[error(
        "the message has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// The message is of another chain.
    #[error("the message is of chain {found}")]
    OtherChain {
        /// That chain.
        found: ChainId,
    },
    /// The message is for somebody else.
    #[error("the message is for {found}")]
    NotForYou {
        /// Whom it is for.
        found: MemberId,
    },
    /// It does not open: made for another key or another purpose, or damaged.
    #[error("the message does not open with this identity: it is for another key, or damaged")]
    NotOpened,
    /// What is inside is no request for a slot.
    #[error("the message holds no reading: {0}")]
    Record(#[from] RecordError),
    /// The record inside is not a reading.
    #[error("the record in the message is not a reading")]
    NotARead,
    /// The release is not signed by the custodian.
    #[error("the release is not signed by the custodian")]
    NotSigned,
}

/// A reader asks a custodian for a slot.
#[derive(Debug)]
pub struct SlotRequest {
    /// The reading, as the reader signed it.
    pub read: SignedRecord,
    /// The token of the grant; none where the slot is for the reader's identity.
    pub token: Option<Token>,
}

/// What a custodian gives a reader: rows of slots that open with the reader's own key.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotRelease {
    /// The reading that was recorded for it.
    pub read: RecordId,
    /// Places of slots and key slots, and what lies there, as `docs/format.md` lays rows out.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for SlotRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotRelease({}, {} rows)", self.read, self.rows.len())
    }
}

/// The outside of both messages: version, suite, chain, for whom, what is sealed.
#[derive(Serialize, Deserialize)]
struct Outer(u16, u16, ChainId, MemberId, #[serde(with = "serde_bytes")] Vec<u8>);

#[derive(Serialize, Deserialize)]
struct Asked(#[serde(with = "serde_bytes")] Vec<u8>, Option<serde_bytes::ByteArray<32>>);

#[derive(Serialize, Deserialize)]
struct Given(RecordId, Vec<(serde_bytes::ByteBuf, serde_bytes::ByteBuf)>, Signature);

impl SlotRequest {
    /// The request for this custodian, sealed to its HPKE key.
    ///
    /// # Panics
    /// Never: the custodian's key can be used.
    #[must_use]
    pub fn seal(
        &self,
        custodian: &MemberId,
        key: &HpkePublicKey,
        rng: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let token = self.token.as_ref().map(|token| serde_bytes::ByteArray::new(*token.expose()));
        let plain = Zeroizing::new(cbor::encode(&Asked(self.read.encode(), token)));
        seal(domain::SLOT_REQUEST, &self.read.record().chain, custodian, key, &plain, rng)
    }

    /// Opens a request as its custodian. The reader's signature is for the chain to check.
    ///
    /// # Errors
    /// See [`ReleaseError`].
    pub fn open(bytes: &[u8], chain: &ChainId, custodian: &Identity) -> Result<Self, ReleaseError> {
        let keys: Vec<_> = custodian.hpke_keys().collect();
        let what = (domain::SLOT_REQUEST, limit::SLOT_REQUEST_BYTES);
        let plain = open(bytes, what, chain, &custodian.id(), &keys)?;
        let Asked(read, token) = cbor::decode(&plain, limit::SLOT_REQUEST_BYTES)?;
        let read = SignedRecord::decode(&read)?;
        if !matches!(read.record().body, Body::Read(_)) {
            return Err(ReleaseError::NotARead);
        }
        Ok(Self { read, token: token.map(|token| Token::from_bytes(token.into_array())) })
    }
}

impl SlotRelease {
    /// The release for this reader, signed by the custodian and sealed to the reader's HPKE key.
    #[must_use]
    pub fn seal(
        &self,
        chain: &ChainId,
        custodian: &Identity,
        reader: &MemberId,
        key: &HpkePublicKey,
        rng: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let rows = self.wire_rows();
        let message = signed_message(chain, &self.read, reader, &rows);
        let signature = custodian.sign(domain::SLOT_RELEASE, &message);
        let plain = cbor::encode(&Given(self.read, rows, signature));
        seal(domain::SLOT_RELEASE, chain, reader, key, &plain, rng)
    }

    /// Opens a release as its reader, if the custodian signed it.
    ///
    /// # Errors
    /// See [`ReleaseError`].
    pub fn open(
        bytes: &[u8],
        chain: &ChainId,
        reader: &Identity,
        custodian: &VerifyingKey,
    ) -> Result<Self, ReleaseError> {
        let keys: Vec<_> = reader.hpke_keys().collect();
        let what = (domain::SLOT_RELEASE, limit::SLOT_RELEASE_BYTES);
        let plain = open(bytes, what, chain, &reader.id(), &keys)?;
        let Given(read, rows, signature) = cbor::decode(&plain, limit::SLOT_RELEASE_BYTES)?;
        let message = signed_message(chain, &read, &reader.id(), &rows);
        custodian
            .verify(domain::SLOT_RELEASE, &message, &signature)
            .map_err(|_| ReleaseError::NotSigned)?;
        let rows = rows.into_iter().map(|(key, row)| (key.into_vec(), row.into_vec())).collect();
        Ok(Self { read, rows })
    }

    fn wire_rows(&self) -> Vec<(serde_bytes::ByteBuf, serde_bytes::ByteBuf)> {
        let bytes = |bytes: &Vec<u8>| serde_bytes::ByteBuf::from(bytes.clone());
        self.rows.iter().map(|(key, row)| (bytes(key), bytes(row))).collect()
    }
}

fn signed_message(
    chain: &ChainId,
    read: &RecordId,
    reader: &MemberId,
    rows: &[(serde_bytes::ByteBuf, serde_bytes::ByteBuf)],
) -> Vec<u8> {
    let digest = sha256(&[&cbor::encode(&rows)]);
    cbor::encode(&(chain, read, reader, serde_bytes::Bytes::new(&digest)))
}

/// `info`: domain, then suite, chain, for whom, and their key.
fn info(
    domain: &[u8],
    suite: SlotSuite,
    chain: &ChainId,
    to: &MemberId,
    key: &HpkePublicKey,
) -> Vec<u8> {
    [domain, &cbor::encode(&(suite.code(), chain, to, key))].concat()
}

fn seal(
    domain: &[u8],
    chain: &ChainId,
    to: &MemberId,
    key: &HpkePublicKey,
    plain: &[u8],
    rng: &mut dyn CryptoRng,
) -> Vec<u8> {
    let suite = SlotSuite::of(key);
    let info = info(domain, suite, chain, to, key);
    let sealed = keys::seal(key, &info, b"", plain, rng).expect("the key can be used");
    cbor::encode(&Outer(FORMAT_VERSION, suite.code(), *chain, *to, sealed))
}

fn open(
    bytes: &[u8],
    (domain, most): (&[u8], usize),
    chain: &ChainId,
    to: &MemberId,
    keys: &[&HpkeSecretKey],
) -> Result<Zeroizing<Vec<u8>>, ReleaseError> {
    let Outer(version, suite, found, whom, sealed) = cbor::decode(bytes, most)?;
    if version != FORMAT_VERSION {
        return Err(ReleaseError::UnknownVersion { found: version });
    }
    if found != *chain {
        return Err(ReleaseError::OtherChain { found });
    }
    if whom != *to {
        return Err(ReleaseError::NotForYou { found: whom });
    }
    for key in keys {
        let public = key.public_key();
        let own = SlotSuite::of(&public);
        if own.code() == suite {
            let info = info(domain, own, chain, to, &public);
            if let Ok(plain) = keys::open(key, &info, b"", &sealed) {
                return Ok(plain);
            }
        }
    }
    Err(ReleaseError::NotOpened)
}

#[cfg(test)]
mod tests;
