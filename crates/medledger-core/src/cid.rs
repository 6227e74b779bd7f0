//! Content identifiers, narrowed to what medledger writes and reads: SHA-256, and the codecs raw,
//! dag-pb and dag-cbor.
//!
//! A CID names a *tree of blocks*, not a file: it is never the SHA-256 of the bytes people see.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// What the bytes of a block mean (multicodec table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// `0x55`: bytes without structure.
    Raw,
    /// `0x70`: a dag-pb node, such as a UnixFS file with more than one leaf.
    DagPb,
    /// `0x71`: a DAG-CBOR node, such as an envelope or a block of the chain.
    DagCbor,
}

impl Codec {
    /// The multicodec number.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Raw => 0x55,
            Self::DagPb => 0x70,
            Self::DagCbor => 0x71,
        }
    }

    const fn from_code(code: u64) -> Option<Self> {
        match code {
            0x55 => Some(Self::Raw),
            0x70 => Some(Self::DagPb),
            0x71 => Some(Self::DagCbor),
            _ => None,
        }
    }
}

/// A CID that this crate does not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidError {
    /// The text or the bytes are no CID at all.
    #[error("not a CID: {0:?}")]
    Malformed(String),
    /// The codec is not raw, dag-pb or dag-cbor.
    #[error("CID has codec {0:#x}; known are raw (0x55), dag-pb (0x70) and dag-cbor (0x71)")]
    UnknownCodec(u64),
    /// The hash is not SHA-256 with its full 32 bytes.
    #[error("CID has multihash {code:#x} of {len} bytes; only SHA-256 (0x12) of 32 is accepted")]
    UnknownHash {
        /// The multihash code found.
        code: u64,
        /// The digest length found.
        len: u8,
    },
}

const SHA2_256: u64 = 0x12;

/// A content identifier: version, codec and SHA-256 digest of one block.
///
/// ```
/// use medledger_core::{Cid, cid::Codec};
/// let cid = Cid::of(Codec::Raw, b"hello world");
/// assert_eq!(cid.to_string(), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
/// assert!(cid.matches(b"hello world"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid {
    v0: bool,
    codec: Codec,
    digest: [u8; 32],
}

impl Cid {
    /// The CIDv1 of a block.
    #[must_use]
    pub fn of(codec: Codec, block: &[u8]) -> Self {
        Self::from_digest(codec, Sha256::digest(block).into())
    }

    /// The CIDv1 with this digest, for callers that hash blocks themselves.
    #[must_use]
    pub const fn from_digest(codec: Codec, digest: [u8; 32]) -> Self {
        Self { v0: false, codec, digest }
    }

    /// The CIDv0 with this digest; version 0 always means dag-pb.
    #[must_use]
    pub const fn v0_from_digest(digest: [u8; 32]) -> Self {
        Self { v0: true, codec: Codec::DagPb, digest }
    }

    /// Version 0 or 1.
    #[must_use]
    pub const fn version(&self) -> u8 {
        if self.v0 { 0 } else { 1 }
    }

    /// The codec.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// SHA-256 of the block.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether these are the bytes the CID names.
    #[must_use]
    pub fn matches(&self, block: &[u8]) -> bool {
        <[u8; 32]>::from(Sha256::digest(block)) == self.digest
    }

    /// The binary form: 36 bytes, or 34 in version 0.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(36);
        if !self.v0 {
            // Every codec has a number of one byte.
            bytes.extend_from_slice(&[1, self.codec.code() as u8]);
        }
        bytes.extend_from_slice(&[SHA2_256 as u8, 32]);
        bytes.extend_from_slice(&self.digest);
        bytes
    }

    /// Reads the binary form; every byte must belong to it.
    ///
    /// # Errors
    /// When the bytes are no CID, or one of another codec or hash.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CidError> {
        // Nearly every one, in the only way to write it.
        if let [1, code, 0x12, 32, digest @ ..] = bytes
            && let Ok(digest) = digest.try_into()
            && let Some(codec) = Codec::from_code(u64::from(*code))
        {
            return Ok(Self::from_digest(codec, digest));
        }
        let malformed = || {
            let shown = &bytes[..bytes.len().min(40)];
            CidError::Malformed(data_encoding::HEXLOWER.encode(shown))
        };
        let inner = ::cid::Cid::try_from(bytes).map_err(|_| malformed())?;
        // The crate stops at the end of the CID; what follows, or another spelling, is refused here.
        if inner.to_bytes() != bytes {
            return Err(malformed());
        }
        Self::narrow(&inner)
    }

    fn narrow(inner: &::cid::Cid) -> Result<Self, CidError> {
        let codec = Codec::from_code(inner.codec()).ok_or(CidError::UnknownCodec(inner.codec()))?;
        let hash = inner.hash();
        let unknown = CidError::UnknownHash { code: hash.code(), len: hash.size() };
        if hash.code() != SHA2_256 {
            return Err(unknown);
        }
        let digest = hash.digest().try_into().map_err(|_| unknown)?;
        Ok(Self { v0: inner.version() == ::cid::Version::V0, codec, digest })
    }

    fn inner(&self) -> ::cid::Cid {
        let hash = multihash::Multihash::wrap(SHA2_256, &self.digest)
            .expect("a digest of 32 bytes fits a multihash of 64");
        if self.v0 {
            ::cid::Cid::new_v0(hash).expect("SHA-256 of 32 bytes is what version 0 means")
        } else {
            ::cid::Cid::new_v1(self.codec.code(), hash)
        }
    }
}

impl fmt::Display for Cid {
    /// Base 32 (`bafy…`, `bafk…`), or base 58 (`Qm…`) in version 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner().fmt(f)
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl std::str::FromStr for Cid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        let inner = ::cid::Cid::try_from(text)
            .map_err(|_| CidError::Malformed(text.chars().take(120).collect()))?;
        Self::narrow(&inner)
    }
}

/// As text a string, in binary formats the plain bytes of the CID. Where a structure wants an IPLD
/// link instead, it uses [`Link`].
impl Serialize for Cid {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.collect_str(self)
        } else {
            s.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for Cid {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(D::Error::custom)
        } else {
            let bytes = serde_bytes::ByteBuf::deserialize(d)?;
            Self::from_bytes(&bytes).map_err(D::Error::custom)
        }
    }
}

/// A CID written as an IPLD link (DAG-CBOR tag 42), which makes the block it names part of the DAG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(pub Cid);

impl Serialize for Link {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.inner().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let inner = ::cid::Cid::deserialize(d)?;
        Cid::narrow(&inner).map(Link).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_cids_round_trip_as_text_and_bytes() {
        for text in [
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
            "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
            "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
        ] {
            let cid: Cid = text.parse().unwrap();
            assert_eq!(cid.to_string(), text);
            assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
        }
        assert_eq!(Cid::of(Codec::Raw, b"").to_bytes().len(), 36);
    }

    #[test]
    fn bytes_are_those_of_the_cid_crate() {
        let v1 = [Codec::Raw, Codec::DagPb, Codec::DagCbor].map(|codec| Cid::of(codec, b"x"));
        for cid in v1.into_iter().chain([Cid::v0_from_digest([7; 32])]) {
            assert_eq!(cid.to_bytes(), cid.inner().to_bytes());
            assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
            assert_eq!(Cid::narrow(&cid.inner()), Ok(cid));
        }
    }

    #[test]
    fn other_hashes_codecs_and_trailing_bytes_are_refused() {
        let blake = ::cid::Cid::new_v1(0x55, multihash::Multihash::wrap(0x1e, &[0; 32]).unwrap());
        assert_eq!(
            Cid::from_bytes(&blake.to_bytes()),
            Err(CidError::UnknownHash { code: 0x1e, len: 32 })
        );
        let short = ::cid::Cid::new_v1(0x55, multihash::Multihash::wrap(0x12, &[0; 20]).unwrap());
        assert!(Cid::from_bytes(&short.to_bytes()).is_err());
        let json = ::cid::Cid::new_v1(0x0129, multihash::Multihash::wrap(0x12, &[0; 32]).unwrap());
        assert_eq!(Cid::from_bytes(&json.to_bytes()), Err(CidError::UnknownCodec(0x0129)));
        let mut long = Cid::of(Codec::Raw, b"x").to_bytes();
        long.push(0);
        assert!(Cid::from_bytes(&long).is_err());
        assert!("hello".parse::<Cid>().is_err());
    }

    #[test]
    fn links_and_plain_cids_have_different_bytes() {
        let cid = Cid::of(Codec::DagCbor, b"x");
        let link = crate::cbor::encode(&Link(cid));
        assert_eq!(&link[..2], &[0xd8, 42]);
        assert_eq!(crate::cbor::decode::<Link>(&link, 64), Ok(Link(cid)));
        let plain = crate::cbor::encode(&cid);
        assert_eq!(crate::cbor::decode::<Cid>(&plain, 64), Ok(cid));
        assert!(crate::cbor::decode::<Cid>(&link, 64).is_err());
        assert!(crate::cbor::decode::<Link>(&plain, 64).is_err());
    }
}
