//! Ids and digests, one type a role, so that none can stand where another belongs.
//!
//! In DAG-CBOR an id is a byte string; as text, and in JSON, it is lower-case hex. The hashes of
//! headers, [`BlockId`] and [`ChainId`], are written with their bytes reversed, as Bitcoin prints them.

use crate::registry::domain;
use sha2::{Digest, Sha256};
use std::fmt;

/// An id that could not be read from text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected} hexadecimal characters, found {found:?}")]
pub struct ParseIdError {
    /// What was being read, such as "report id".
    pub what: &'static str,
    /// How many characters it has.
    pub expected: usize,
    /// The text found, cut to 80 characters.
    pub found: String,
}

/// The order in which the bytes of an id are written as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextOrder {
    /// First byte first.
    Forward,
    /// Last byte first, as Bitcoin prints hashes.
    Reversed,
}

macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        bytes_type!($(#[$doc])* $name, $len, $what, Forward);
    };
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal, $order:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The value with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = std::array::TryFromSliceError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                bytes.try_into().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&crate::ids::to_hex(&self.0, crate::ids::TextOrder::$order))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::ids::parse_hex(text, $what, crate::ids::TextOrder::$order).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                crate::ids::serialize_bytes(&self.0, crate::ids::TextOrder::$order, s)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                crate::ids::deserialize_bytes(d, $what, crate::ids::TextOrder::$order).map(Self)
            }
        }
    };
}

bytes_type! {
    /// Names one chain: the hash of its genesis header, written as Bitcoin writes it.
    ChainId, 32, "chain id", Reversed
}
bytes_type! {
    /// Names a block: the double SHA-256 of its 80-byte header, written as Bitcoin writes it.
    BlockId, 32, "block id", Reversed
}
bytes_type! {
    /// Hash of a leaf, a node or the root of an RFC 9162 tree.
    TreeHash, 32, "tree hash"
}
bytes_type! {
    /// Names a record: SHA-256 of its domain and its bytes.
    RecordId, 32, "record id"
}
bytes_type! {
    /// A token's hash, the only trace of a token on the ledger.
    TokenHash, 32, "token hash"
}
bytes_type! {
    /// Hash of an entry of a hospital's audit log, and with it of all before.
    AuditHash, 32, "audit hash"
}
bytes_type! {
    /// Names a set of hospitals, and with it all sets before.
    SetHash, 32, "hash of a set of hospitals"
}
bytes_type! {
    /// Hash of a loss of keys among a group's members, and with it of all before.
    LossHash, 32, "hash of losses"
}
bytes_type! {
    /// Root of the RFC 9162 tree over a block's descriptor and records.
    BlockRoot, 32, "block root"
}
bytes_type! {
    /// Names a member for life: 16 bytes derived from the first public identity.
    MemberId, 16, "member id"
}
bytes_type! {
    /// What people compare of a member's public keys: 16 bytes of a hash over both.
    KeyFingerprint, 16, "fingerprint of keys"
}
bytes_type! {
    /// Names a report through all its versions and epochs.
    ReportId, 16, "report id"
}
bytes_type! {
    /// Names a grant.
    GrantId, 16, "grant id"
}
bytes_type! {
    /// Names a group of readers through all its epochs.
    GroupId, 16, "group id"
}
bytes_type! {
    /// Sixteen random bytes that make a record unique; not a secret, not an AEAD nonce.
    RecordNonce, 16, "record nonce"
}

impl From<BlockId> for ChainId {
    /// The chain whose genesis block is this one.
    fn from(genesis: BlockId) -> Self {
        Self(genesis.0)
    }
}

impl From<TreeHash> for BlockRoot {
    fn from(root: TreeHash) -> Self {
        Self(root.0)
    }
}

impl From<BlockRoot> for TreeHash {
    fn from(root: BlockRoot) -> Self {
        Self(root.0)
    }
}

impl ReportId {
    /// The id of the report that `author` adds with a record bearing `nonce`.
    #[must_use]
    pub fn derive(author: &MemberId, nonce: &RecordNonce) -> Self {
        Self(truncated(domain::REPORT_ID, author, nonce))
    }
}

impl GrantId {
    /// The id of the grant that `author` gives with a record bearing `nonce`.
    #[must_use]
    pub fn derive(author: &MemberId, nonce: &RecordNonce) -> Self {
        Self(truncated(domain::GRANT_ID, author, nonce))
    }
}

impl GroupId {
    /// The id of the group that `author` makes with a record bearing `nonce`.
    #[must_use]
    pub fn derive(author: &MemberId, nonce: &RecordNonce) -> Self {
        Self(truncated(domain::GROUP_ID, author, nonce))
    }
}

impl LossHash {
    /// The losses of before and the one that this record tells of: a suspension, or a change that put a member into
    /// the group whose keys were suspended.
    #[must_use]
    pub fn after(before: Option<&Self>, record: &RecordId) -> Self {
        let before = before.map_or([0; Self::LEN], |before| before.0);
        Self(sha256(&[domain::GROUP_LOSSES, &before, record.as_bytes()]))
    }
}

impl KeyFingerprint {
    /// As people read it out: hexadecimal, in groups of four.
    #[must_use]
    pub fn to_groups(&self) -> String {
        let pairs: Vec<String> =
            self.0.chunks(2).map(|pair| data_encoding::HEXLOWER.encode(pair)).collect();
        pairs.join(" ")
    }

    /// Reads what [`to_groups`](Self::to_groups) wrote, or the digits in other groups: spaces and dashes do not matter.
    ///
    /// # Errors
    /// When these are not 32 hexadecimal digits.
    pub fn from_groups(text: &str) -> Result<Self, ParseIdError> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        digits.parse()
    }
}

impl RecordNonce {
    /// A fresh nonce.
    pub fn random(rng: &mut dyn rand_core::CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// SHA-256 over the parts, one after another; the first is a domain string.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn truncated(domain: &[u8], author: &MemberId, nonce: &RecordNonce) -> [u8; 16] {
    let digest = sha256(&[domain, author.as_bytes(), nonce.as_bytes()]);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

pub(crate) fn to_hex(bytes: &[u8], order: TextOrder) -> String {
    match order {
        TextOrder::Forward => data_encoding::HEXLOWER.encode(bytes),
        TextOrder::Reversed => {
            let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
            data_encoding::HEXLOWER.encode(&reversed)
        }
    }
}

pub(crate) fn parse_hex<const N: usize>(
    text: &str,
    what: &'static str,
    order: TextOrder,
) -> Result<[u8; N], ParseIdError> {
    let mut bytes: [u8; N] = data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| ParseIdError {
            what,
            expected: 2 * N,
            found: text.chars().take(80).collect(),
        })?;
    if order == TextOrder::Reversed {
        bytes.reverse();
    }
    Ok(bytes)
}

pub(crate) fn serialize_bytes<S: serde::Serializer>(
    bytes: &[u8],
    order: TextOrder,
    s: S,
) -> Result<S::Ok, S::Error> {
    if s.is_human_readable() {
        s.serialize_str(&to_hex(bytes, order))
    } else {
        s.serialize_bytes(bytes)
    }
}

pub(crate) fn deserialize_bytes<'de, D: serde::Deserializer<'de>, const N: usize>(
    d: D,
    what: &'static str,
    order: TextOrder,
) -> Result<[u8; N], D::Error> {
    struct Visitor<const N: usize>(&'static str, TextOrder);

    impl<const N: usize> serde::de::Visitor<'_> for Visitor<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} of {N} bytes", self.0)
        }

        fn visit_bytes<E: serde::de::Error>(self, v: &[u8]) -> Result<[u8; N], E> {
            v.try_into().map_err(|_| E::invalid_length(v.len(), &self))
        }

        fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<[u8; N], E> {
            parse_hex(v, self.0, self.1).map_err(E::custom)
        }
    }

    if d.is_human_readable() {
        d.deserialize_str(Visitor::<N>(what, order))
    } else {
        d.deserialize_bytes(Visitor::<N>(what, order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_cbor_forms_round_trip_and_refuse_other_lengths() {
        let id = MemberId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string().parse::<MemberId>(), Ok(id));
        assert!("abcd".parse::<MemberId>().is_err());
        assert!("zz".repeat(16).parse::<MemberId>().is_err());
        let bytes = crate::cbor::encode(&id);
        assert_eq!(bytes[0], 0x50, "a byte string of 16");
        assert_eq!(crate::cbor::decode::<MemberId>(&bytes, 64), Ok(id));
        assert!(crate::cbor::decode::<RecordId>(&bytes, 64).is_err());
    }

    #[test]
    fn header_hashes_are_written_reversed_and_stored_plain() {
        let mut bytes = [0; 32];
        bytes[0] = 0x6f;
        let id = BlockId::from_bytes(bytes);
        let text = format!("{}6f", "00".repeat(31));
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse::<BlockId>(), Ok(id));
        assert_eq!(ChainId::from(id).to_string(), text);
        assert_eq!(text.parse::<ChainId>(), Ok(ChainId::from(id)));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<BlockId>(&format!("\"{text}\"")).unwrap(), id);
        assert_eq!(crate::cbor::encode(&id)[2..], bytes);
        assert!("6f".parse::<BlockId>().is_err());
    }

    #[test]
    fn report_and_grant_of_the_same_record_have_different_ids() {
        let (author, nonce) = (MemberId::from_bytes([1; 16]), RecordNonce::from_bytes([2; 16]));
        assert_ne!(
            ReportId::derive(&author, &nonce).as_bytes(),
            GrantId::derive(&author, &nonce).as_bytes()
        );
    }
}
