//! Entries of a hospital's audit log: what the hospital alone is told, each with the hash of the one before
//! (`docs/format.md`, "Audit log"). The chain holds a digest, [`AuditDigest`](crate::record::AuditDigest).
//!
//! ```
//! use medledger_core::audit::{AuditEvent, Entry, start};
//! use medledger_core::clock::Timestamp;
//! use medledger_core::ids::{ChainId, MemberId};
//! let hospital = MemberId::from_bytes([2; 16]);
//! let before = start(&ChainId::from_bytes([1; 32]), &hospital);
//! let entry = Entry::new(0, Timestamp::from_secs(1_800_000_000), AuditEvent::WrongKey, hospital, before);
//! assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
//! ```

use crate::cbor::{self, DecodeError};
use crate::clock::Timestamp;
use crate::ids::{AuditHash, ChainId, GrantId, MemberId, RecordId, ReportId, sha256};
use crate::registry::{FORMAT_VERSION, domain, limit};
use serde::{Deserialize, Serialize};

/// What an entry of the audit log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditEvent {
    /// A key that does not fit was tried.
    WrongKey,
    /// A report, request or grant was named that does not exist, or that the member may not use.
    NoPermission,
    /// The permission had expired.
    Expired,
    /// The permission had been taken back.
    Revoked,
    /// After too many failures nothing is tried for a while.
    LockedOut,
    /// A patient made a new key in place of a lost one.
    KeyRenewed,
    /// A key that waited was picked up.
    KeyPickedUp,
    /// Something was tried while nothing is tried after too many failures.
    Waiting,
    /// Whoever asked is not the member they say they are, or none. The id is the one they claim.
    Stranger,
    /// The hospital lifted the waits of a member, and forgot their failures.
    Unlocked,
}

impl AuditEvent {
    /// The name that stands in the entry and that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongKey => "wrong-key",
            Self::NoPermission => "no-permission",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::LockedOut => "locked-out",
            Self::KeyRenewed => "key-renewed",
            Self::KeyPickedUp => "key-picked-up",
            Self::Waiting => "waiting",
            Self::Stranger => "stranger",
            Self::Unlocked => "unlocked",
        }
    }
}

/// Bytes that are no entry of an audit log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Not the canonical DAG-CBOR of an entry.
    #[error("not an entry of an audit log: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by a later version of the format.
    #[error(
        "the entry has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
}

/// An entry, with its place in the chain of hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    v: u16,
    /// Its place in the log, from 0.
    pub number: u64,
    /// When, by the hospital's clock.
    pub time: Timestamp,
    /// What.
    pub event: AuditEvent,
    /// Who.
    pub member: MemberId,
    /// The report they named. It need not exist.
    pub report: Option<ReportId>,
    /// The request they named.
    pub request: Option<RecordId>,
    /// The grant they named.
    pub grant: Option<GrantId>,
    /// Hash of the entry before, or the [start].
    pub before: AuditHash,
    /// How many attempts it stands for, where that is not one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl Entry {
    /// An entry that names nothing yet.
    #[must_use]
    pub const fn new(
        number: u64,
        time: Timestamp,
        event: AuditEvent,
        member: MemberId,
        before: AuditHash,
    ) -> Self {
        let (report, request, grant) = (None, None, None);
        let (v, count) = (FORMAT_VERSION, None);
        Self { v, number, time, event, member, report, request, grant, before, count }
    }

    /// The bytes that are hashed and, sealed, stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads an entry strictly.
    ///
    /// # Errors
    /// See [`EntryError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let entry: Self = cbor::decode(bytes, limit::AUDIT_ENTRY_BYTES)?;
        match entry.v {
            FORMAT_VERSION => Ok(entry),
            found => Err(EntryError::UnknownVersion { found }),
        }
    }

    /// The hash that the next entry and a digest name.
    #[must_use]
    pub fn hash(&self) -> AuditHash {
        AuditHash::from_bytes(sha256(&[domain::AUDIT, &self.encode()]))
    }
}

/// What the first entry of a hospital's log on a chain has before it.
#[must_use]
pub fn start(chain: &ChainId, hospital: &MemberId) -> AuditHash {
    AuditHash::from_bytes(sha256(&[domain::AUDIT, chain.as_bytes(), hospital.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct OnlyEvent {
        event: String,
    }

    fn entry(event: AuditEvent) -> Entry {
        let before = AuditHash::from_bytes([3; 32]);
        Entry::new(7, Timestamp::from_secs(9), event, MemberId::from_bytes([2; 16]), before)
    }

    #[test]
    fn another_reader_finds_the_names_that_are_told() {
        for event in [
            AuditEvent::WrongKey,
            AuditEvent::NoPermission,
            AuditEvent::Expired,
            AuditEvent::Revoked,
            AuditEvent::LockedOut,
            AuditEvent::KeyRenewed,
            AuditEvent::KeyPickedUp,
            AuditEvent::Waiting,
            AuditEvent::Stranger,
            AuditEvent::Unlocked,
        ] {
            let bytes = entry(event).encode();
            let found: OnlyEvent = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
            assert_eq!(found.event, event.name());
        }
    }

    #[test]
    fn another_version_is_named_and_a_longer_one_is_refused() {
        let entry = entry(AuditEvent::Expired);
        let later = Entry { v: 2, ..entry };
        assert_eq!(Entry::decode(&later.encode()), Err(EntryError::UnknownVersion { found: 2 }));
        let long = [entry.encode(), vec![0; limit::AUDIT_ENTRY_BYTES]].concat();
        assert!(matches!(Entry::decode(&long), Err(EntryError::Malformed(_))));
    }

    #[test]
    fn every_field_is_in_the_hash() {
        let first = entry(AuditEvent::Revoked);
        let mut others = vec![first.clone(); 8];
        others[0].number += 1;
        others[1].time = Timestamp::from_secs(10);
        others[2].event = AuditEvent::Expired;
        others[3].member = MemberId::from_bytes([4; 16]);
        others[4].report = Some(ReportId::from_bytes([5; 16]));
        others[5].request = Some(RecordId::from_bytes([5; 32]));
        others[6].grant = Some(GrantId::from_bytes([5; 16]));
        others[7].before = AuditHash::from_bytes([5; 32]);
        for other in others {
            assert_ne!(other.hash(), first.hash(), "{other:?}");
        }
    }
}
