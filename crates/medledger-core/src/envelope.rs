//! The envelope: the small DAG-CBOR node that ties a sealed body to its sealed metadata.
//!
//! The record on the ledger names the envelope's CID, which fixes everything below. Nothing about
//! the content is in clear.

use crate::cbor::{self, DecodeError};
use crate::cid::{Codec, Link};
use crate::registry::{CipherSuite, FORMAT_VERSION, limit};
use crate::seal::{self, HEAD_LEN, Head, TAG_LEN, UnsealError};
use crate::{Cid, metadata};

pub use crate::metadata::{Metadata, MetadataError, seal_meta, unseal_meta};

use serde::{Deserialize, Serialize};

/// Why bytes are no envelope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not the canonical bytes of an envelope.
    #[error("not an envelope")]
    Malformed(#[from] DecodeError),
    /// Written by a later program.
    #[error("envelope version {found}; this program knows {FORMAT_VERSION}")]
    UnknownVersion {
        /// Version found.
        found: u64,
    },
    /// Sealed in a way this program does not know.
    #[error("cipher suite {found}; this program knows 1, Cobblestone-128")]
    UnknownSuite {
        /// Suite found.
        found: u16,
    },
    /// The body is not a UnixFS file: its CID must have codec raw or dag-pb.
    #[error("the body {body} is not a file")]
    InvalidBody {
        /// CID found.
        body: Cid,
    },
    /// Nothing seals to this size.
    #[error("no report seals to {size} bytes")]
    InvalidSize {
        /// Size found, in bytes.
        size: u64,
        /// What is wrong with it.
        #[source]
        source: UnsealError,
    },
    /// Sealed metadata comes in steps of 512 bytes, up to a limit.
    #[error("no metadata seals to {len} bytes")]
    InvalidMeta {
        /// Length found, in bytes.
        len: usize,
    },
}

/// Body and metadata of one version and epoch of a report, both sealed.
///
/// ```
/// use medledger_core::{Cid, cid::Codec, dek::Dek, ids::*};
/// use medledger_core::envelope::{Envelope, Metadata, seal_meta, unseal_meta};
/// use medledger_core::{context::BodyContext, rand_core::UnwrapErr, registry::CipherSuite, seal};
/// let mut rng = UnwrapErr(getrandom::SysRng);
/// let dek = Dek::generate(&mut rng);
/// let member = MemberId::from_bytes([2; 16]);
/// let report = ReportId::from_bytes([1; 16]);
/// let context = BodyContext { report, version: 1, epoch: 0, patient: member, author: member };
/// let sealed = seal::seal(&dek, &context.to_bytes(), b"report", &mut rng)?;
/// let body = Cid::of(Codec::Raw, &sealed);
/// let metadata = Metadata::new("report.txt", "text/plain", 6)?;
/// let envelope = Envelope {
///     suite: CipherSuite::Cobblestone128,
///     body,
///     size: sealed.len() as u64,
///     head: sealed[..56].try_into()?,
///     meta: seal_meta(&dek, &context.meta(body), &metadata, &mut rng)?,
/// };
/// assert_eq!(Envelope::decode(&envelope.encode())?, envelope);
/// assert_eq!(unseal_meta(&dek, &context.meta(body), &envelope.meta)?, metadata);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// How body and metadata are sealed.
    pub suite: CipherSuite,
    /// Root of the sealed body.
    pub body: Cid,
    /// Length of the sealed body in bytes.
    pub size: u64,
    /// First 56 bytes of the sealed body: whether a key fits is known without fetching it.
    pub head: Head,
    /// The [`Metadata`], sealed by [`seal_meta`].
    pub meta: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u16,
    suite: u16,
    body: Link,
    size: u64,
    head: Head,
    #[serde(with = "serde_bytes")]
    meta: Vec<u8>,
}

/// Only the version, so that an unknown one is refused by name whatever else is there.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

impl Envelope {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Wire {
            v: FORMAT_VERSION,
            suite: self.suite.code(),
            body: Link(self.body),
            size: self.size,
            head: self.head,
            meta: self.meta.clone(),
        })
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// See [`EnvelopeError`]. Whether the body is really there, has this size and begins with this
    /// head is for whoever fetches it; opening fails if not.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        cbor::check_shape(bytes, limit::ENVELOPE_BYTES)?;
        if let Ok(Version { v }) = serde_ipld_dagcbor::from_slice(bytes)
            && v != u64::from(FORMAT_VERSION)
        {
            return Err(EnvelopeError::UnknownVersion { found: v });
        }
        let Wire { v: _, suite, body: Link(body), size, head, meta } =
            cbor::decode(bytes, limit::ENVELOPE_BYTES)?;
        let suite =
            CipherSuite::from_code(suite).ok_or(EnvelopeError::UnknownSuite { found: suite })?;
        if !matches!(body.codec(), Codec::Raw | Codec::DagPb) {
            return Err(EnvelopeError::InvalidBody { body });
        }
        seal::plain_len(size).map_err(|source| EnvelopeError::InvalidSize { size, source })?;
        let steps = meta.len().checked_sub(HEAD_LEN + TAG_LEN);
        if !steps.is_some_and(metadata::is_padded_len) {
            return Err(EnvelopeError::InvalidMeta { len: meta.len() });
        }
        Ok(Self { suite, body, size, head, meta })
    }

    /// The CID of the envelope, as the ledger names it.
    #[must_use]
    pub fn cid(&self) -> Cid {
        Cid::of(Codec::DagCbor, &self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Envelope {
        Envelope {
            suite: CipherSuite::Cobblestone128,
            body: Cid::of(Codec::DagPb, b"root"),
            size: seal::sealed_len(4096).unwrap(),
            head: Head::from_bytes([7; 56]),
            meta: vec![8; 56 + 16 + 512],
        }
    }

    #[test]
    fn bytes_are_fixed() {
        let envelope = sample();
        let hex = data_encoding::HEXLOWER.encode(&envelope.encode());
        let want = format!(
            "a6{}01{}{}{}{}{}{}{}{}{}{}",
            "6176",
            "64626f6479d82a582500",
            data_encoding::HEXLOWER.encode(&envelope.body.to_bytes()),
            "6468656164",
            "5838".to_owned() + &"07".repeat(56),
            "646d657461",
            "590248".to_owned() + &"08".repeat(584),
            "6473697a65",
            "191048",
            "657375697465",
            "01"
        );
        assert_eq!(hex, want);
        assert_eq!(Envelope::decode(&envelope.encode()).unwrap(), envelope);
        assert_eq!(envelope.cid(), Cid::of(Codec::DagCbor, &envelope.encode()));
    }

    #[test]
    fn pitfall_50_unknown_versions_and_suites_are_refused_by_name() {
        let wire = |v, suite| {
            let Envelope { body, size, head, meta, .. } = sample();
            cbor::encode(&Wire { v, suite, body: Link(body), size, head, meta })
        };
        let result = Envelope::decode(&wire(2, 1));
        assert!(matches!(result, Err(EnvelopeError::UnknownVersion { found: 2 })));
        let later = cbor::encode(&std::collections::BTreeMap::from([("v", 7), ("new", 1)]));
        let result = Envelope::decode(&later);
        assert!(matches!(result, Err(EnvelopeError::UnknownVersion { found: 7 })));
        let result = Envelope::decode(&wire(1, 0));
        assert!(matches!(result, Err(EnvelopeError::UnknownSuite { found: 0 })));
    }

    #[test]
    fn impossible_bodies_sizes_and_metadata_are_refused() {
        let wrong = |change: fn(&mut Envelope)| {
            let mut envelope = sample();
            change(&mut envelope);
            Envelope::decode(&envelope.encode())
        };
        assert!(matches!(
            wrong(|e| e.body = Cid::of(Codec::DagCbor, b"x")),
            Err(EnvelopeError::InvalidBody { .. })
        ));
        for size in [0, 56, 71, 56 + 16400, u64::MAX] {
            let bytes = Envelope { size, ..sample() }.encode();
            let result = Envelope::decode(&bytes);
            assert!(matches!(result, Err(EnvelopeError::InvalidSize { size: s, .. }) if s == size));
        }
        for len in [0, 71, 72, 72 + 511, 72 + 513, 72 + 512 * 64] {
            let bytes = Envelope { meta: vec![0; len], ..sample() }.encode();
            let result = Envelope::decode(&bytes);
            assert!(matches!(result, Err(EnvelopeError::InvalidMeta { len: l }) if l == len));
        }
        let bytes = Envelope { meta: vec![0; 100_000], ..sample() }.encode();
        assert!(matches!(
            Envelope::decode(&bytes),
            Err(EnvelopeError::Malformed(DecodeError::TooLong { .. }))
        ));
    }

    proptest! {
        #[test]
        fn one_flipped_bit_never_gives_the_same_envelope_or_cid(bit in any::<proptest::sample::Index>()) {
            let envelope = sample();
            let mut bytes = envelope.encode();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Envelope::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
                prop_assert_ne!(other.cid(), envelope.cid());
            }
        }
    }
}
