//! Records: signed statements of members, the only thing a ledger is made of.
//!
//! A record's bytes are the DAG-CBOR map `{v, chain, kind, nonce, author, time, body}`; its id is
//! SHA-256 of a domain and those bytes; the author signs the id. The chain id inside and the rule
//! that an id takes effect once per chain make replay impossible, without counters, so that one
//! member may write from several devices and offline.

mod body;

pub use body::{
    AddReport, Admit, Approval, AuditDigest, Body, Confirm, Delegate, Enrol, Grant, Grantee, Group,
    GroupAt, HospitalChange, Read, Refuse, Register, ReportList, ReportListError, RequestAccess,
    Revoke, Rotate, Scope, Succeed, Suspend,
};
pub(crate) use body::{first, is_first, is_zero};

use crate::cbor::{self, DecodeError, Reader, Writer};
use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::ids::{ChainId, MemberId, RecordId, RecordNonce, sha256};
use crate::keys::{Signature, VerifyingKey};
use crate::registry::{FORMAT_VERSION, Kind, domain, limit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Bytes that are no record this version can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not the canonical DAG-CBOR of a record.
    #[error("not a record: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by a later version of the format.
    #[error(
        "record has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// A kind that this version does not know.
    #[error("record has unknown kind {found}: update needed")]
    UnknownKind {
        /// The code found.
        found: u16,
    },
    /// A kind that is reserved, but has no effect yet.
    #[error("records of kind {0} are reserved and not yet in force")]
    NotInForce(Kind),
}

/// A statement before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The chain it is meant for.
    pub chain: ChainId,
    /// What makes it unique; report and grant ids derive from it.
    pub nonce: RecordNonce,
    /// Who states it.
    pub author: MemberId,
    /// When, by the author's clock. A claim: the chain orders by blocks.
    pub time: Timestamp,
    /// What is stated.
    pub body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<B> {
    v: u16,
    chain: ChainId,
    kind: u16,
    nonce: RecordNonce,
    author: MemberId,
    time: Timestamp,
    body: B,
}

impl Record {
    /// The kind of the body.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.body.kind()
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match &self.body {
            Body::Register(body) => self.wire(body),
            Body::Succeed(body) => self.wire(body),
            Body::Suspend(body) => self.wire(body),
            Body::Admit(body) => self.wire(body),
            Body::Enrol(body) => self.wire(body),
            Body::AddReport(body) => self.wire(body),
            Body::RequestAccess(body) => self.wire(body),
            Body::Grant(body) => self.wire(body),
            Body::Refuse(body) => self.wire(body),
            Body::Revoke(body) => self.wire(body),
            Body::Delegate(body) => self.wire(body),
            Body::Read(body) => self.wire(body),
            Body::Group(body) => self.wire(body),
            Body::Rotate(body) => self.wire(body),
            Body::Confirm(body) => self.wire(body),
            Body::AuditDigest(body) => self.wire(body),
        }
    }

    fn wire<B: Serialize>(&self, body: &B) -> Vec<u8> {
        cbor::encode(&Wire {
            v: FORMAT_VERSION,
            chain: self.chain,
            kind: self.kind().code(),
            nonce: self.nonce,
            author: self.author,
            time: self.time,
            body,
        })
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// See [`RecordError`]: a later version or kind is told apart from bytes that are no record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match Self::decode_plain(bytes) {
            Some(record) => Ok(record),
            None => Self::decode_slowly(bytes),
        }
    }

    /// Reads the canonical bytes piece by piece, as there is only one way to write them; of other bytes
    /// [`decode_slowly`](Self::decode_slowly) says what is wrong with them.
    fn decode_plain(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > limit::RECORD_BYTES {
            return None;
        }
        let mut reader = Reader::new(bytes);
        let entries = reader.map()?;
        let version = reader.key("v")?.number()?;
        if (entries, version) != (7, u64::from(FORMAT_VERSION)) {
            return None;
        }
        let body = reader.key("body")?.item()?;
        let kind = Kind::from_code(reader.key("kind")?.number()?.try_into().ok()?)?;
        let time = Timestamp::from_secs(reader.key("time")?.number()?);
        let chain = ChainId::from_bytes(reader.key("chain")?.array()?);
        let nonce = RecordNonce::from_bytes(reader.key("nonce")?.array()?);
        let author = MemberId::from_bytes(reader.key("author")?.array()?);
        reader.end()?;
        Some(Self { chain, nonce, author, time, body: Body::decode(kind, body)? })
    }

    /// Reads any bytes, and compares canonical bytes with what they should be.
    fn decode_slowly(bytes: &[u8]) -> Result<Self, RecordError> {
        if let Some(found) = cbor::check_version(bytes, limit::RECORD_BYTES)? {
            return Err(RecordError::UnknownVersion { found });
        }
        let head: Wire<serde::de::IgnoredAny> =
            serde_ipld_dagcbor::from_slice(bytes).map_err(cbor::unexpected)?;
        let kind =
            Kind::from_code(head.kind).ok_or(RecordError::UnknownKind { found: head.kind })?;
        match kind {
            Kind::Register => Self::unwire(bytes, Body::Register),
            Kind::Succeed => Self::unwire(bytes, Body::Succeed),
            Kind::Suspend => Self::unwire(bytes, Body::Suspend),
            Kind::Admit => Self::unwire(bytes, Body::Admit),
            Kind::Enrol => Self::unwire(bytes, Body::Enrol),
            Kind::AddReport => Self::unwire(bytes, Body::AddReport),
            Kind::RequestAccess => Self::unwire(bytes, Body::RequestAccess),
            Kind::Grant => Self::unwire(bytes, Body::Grant),
            Kind::Refuse => Self::unwire(bytes, Body::Refuse),
            Kind::Revoke => Self::unwire(bytes, Body::Revoke),
            Kind::Delegate => Self::unwire(bytes, Body::Delegate),
            Kind::Read => Self::unwire(bytes, Body::Read),
            Kind::Group => Self::unwire(bytes, Body::Group),
            Kind::Rotate => Self::unwire(bytes, Body::Rotate),
            Kind::Confirm => Self::unwire(bytes, Body::Confirm),
            Kind::AuditDigest => Self::unwire(bytes, Body::AuditDigest),
            reserved => Err(RecordError::NotInForce(reserved)),
        }
    }

    fn unwire<B: Serialize + DeserializeOwned>(
        bytes: &[u8],
        body: impl FnOnce(B) -> Body,
    ) -> Result<Self, RecordError> {
        let wire: Wire<B> = cbor::decode(bytes, limit::RECORD_BYTES)?;
        Ok(Self {
            chain: wire.chain,
            nonce: wire.nonce,
            author: wire.author,
            time: wire.time,
            body: body(wire.body),
        })
    }

    /// Signs the record as its author.
    ///
    /// # Panics
    /// When `author` is not the member named in the record: a bug of the caller, since the chain
    /// would refuse what came out.
    #[must_use]
    pub fn sign(self, author: &Identity) -> SignedRecord {
        assert_eq!(author.id(), self.author, "a record is signed by its author");
        let bytes = self.encode();
        let id = record_id(&bytes);
        let signature = author.sign(domain::RECORD_SIGNATURE, id.as_bytes());
        SignedRecord::new(self, &bytes, id, signature)
    }
}

fn record_id(bytes: &[u8]) -> RecordId {
    RecordId::from_bytes(sha256(&[domain::RECORD_ID, bytes]))
}

/// A record with its author's signature. The signature was not necessarily checked: only the state
/// knows the author's key, see [`SignedRecord::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRecord {
    record: Record,
    encoded: Vec<u8>,
    id: RecordId,
    signature: Signature,
}

/// What stands in a block: a list of the record's bytes and the signature.
#[derive(Serialize, Deserialize)]
struct SignedWire(#[serde(with = "serde_bytes")] Vec<u8>, Signature);

impl SignedRecord {
    fn new(record: Record, bytes: &[u8], id: RecordId, signature: Signature) -> Self {
        let mut writer = Writer::with_capacity(bytes.len() + Signature::LEN + 8);
        writer.list(2).bytes(bytes).bytes(signature.as_bytes());
        Self { record, encoded: writer.into_bytes(), id, signature }
    }

    /// The statement.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The record's id.
    #[must_use]
    pub const fn id(&self) -> RecordId {
        self.id
    }

    /// The author's signature, over a domain and the id.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The bytes that stand in a block and are a leaf of its tree.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.encoded.as_slice()
    }

    /// A copy of [those bytes](Self::as_bytes).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encoded.clone()
    }

    /// Reads the bytes that stand in a block. Does not check the signature.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match Self::decode_plain(bytes) {
            Some((record, id, signature)) => {
                Ok(Self { record, encoded: bytes.to_vec(), id, signature })
            }
            None => Self::decode_slowly(bytes),
        }
    }

    /// As [`Record::decode_plain`].
    fn decode_plain(bytes: &[u8]) -> Option<(Record, RecordId, Signature)> {
        if bytes.len() > limit::RECORD_BYTES {
            return None;
        }
        let mut reader = Reader::new(bytes);
        reader.list(2)?;
        let statement = reader.bytes()?;
        let signature = Signature::from_bytes(reader.array()?);
        reader.end()?;
        Some((Record::decode_plain(statement)?, record_id(statement), signature))
    }

    fn decode_slowly(bytes: &[u8]) -> Result<Self, RecordError> {
        let SignedWire(bytes, signature) = cbor::decode(bytes, limit::RECORD_BYTES)?;
        let record = Record::decode_slowly(&bytes)?;
        let id = record_id(&bytes);
        Ok(Self::new(record, &bytes, id, signature))
    }

    /// Checks the signature under the author's key (Ed25519 by the rules of ZIP 215).
    ///
    /// # Errors
    /// When it does not verify.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), crate::keys::SignatureError> {
        key.verify(domain::RECORD_SIGNATURE, self.id.as_bytes(), &self.signature)
    }
}

#[cfg(test)]
mod tests;
