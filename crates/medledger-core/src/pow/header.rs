//! The 80-byte header.

use super::target::{Bits, BitsError, Target};
use crate::ids::{BlockId, BlockRoot};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A block header: Bitcoin's 80 bytes, integers little-endian.
///
/// | bytes | field |
/// |---|---|
/// | 0..4 | `version` |
/// | 4..36 | `previous` |
/// | 36..68 | `root` |
/// | 68..72 | `time` |
/// | 72..76 | `bits` |
/// | 76..80 | `nonce` |
///
/// In DAG-CBOR it is a byte string of 80; as text, and in JSON, 160 hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Version of the block's format.
    pub version: i32,
    /// The block before this one; all zero in a genesis block.
    pub previous: BlockId,
    /// Root of the tree over the block's descriptor and records.
    pub root: BlockRoot,
    /// Seconds since 1970-01-01T00:00:00Z, as the miner says.
    pub time: u32,
    /// The target in compact form.
    pub bits: Bits,
    /// What the miner varies.
    pub nonce: u32,
}

/// A header that could not be read from text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header is 160 hexadecimal characters, found {characters}: {found:?}")]
pub struct ParseHeaderError {
    /// Characters found.
    pub characters: usize,
    /// The text found, cut to 200 characters.
    pub found: String,
}

impl Header {
    /// Length in bytes.
    pub const LEN: usize = 80;
    /// The version that this crate writes.
    pub const VERSION: i32 = 1;

    /// The 80 bytes that are hashed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..36].copy_from_slice(self.previous.as_bytes());
        bytes[36..68].copy_from_slice(self.root.as_bytes());
        bytes[68..72].copy_from_slice(&self.time.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.bits.to_u32().to_le_bytes());
        bytes[76..].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }

    /// The header these bytes are. Any 80 bytes are a header; whether it is valid is another matter.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes(array_at(bytes, at));
        Self {
            version: i32::from_le_bytes(array_at(bytes, 0)),
            previous: BlockId::from_bytes(array_at(bytes, 4)),
            root: BlockRoot::from_bytes(array_at(bytes, 36)),
            time: u32_at(68),
            bits: Bits::from_u32(u32_at(72)),
            nonce: u32_at(76),
        }
    }

    /// The block's id: double SHA-256 of the 80 bytes.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId::from_bytes(Sha256::digest(Sha256::digest(self.to_bytes())).into())
    }

    /// The target that `bits` stands for.
    ///
    /// # Errors
    /// [`BitsError`] when `bits` stands for none.
    pub fn target(&self) -> Result<Target, BitsError> {
        Target::from_bits(self.bits)
    }

    /// Whether the work meets `bits`; false too when `bits` stands for no target.
    ///
    /// It says nothing about whether `bits` is what the chain demands at this place.
    #[must_use]
    pub fn meets_target(&self) -> bool {
        self.target().is_ok_and(|target| target.is_met_by(&self.id()))
    }
}

fn array_at<const N: usize>(bytes: &[u8; Header::LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.to_bytes()))
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("id", &self.id())
            .field("version", &self.version)
            .field("previous", &self.previous)
            .field("root", &self.root)
            .field("time", &self.time)
            .field("bits", &self.bits)
            .field("nonce", &self.nonce)
            .finish()
    }
}

impl FromStr for Header {
    type Err = ParseHeaderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; Self::LEN]>::try_from(bytes).ok())
            .map(|bytes| Self::from_bytes(&bytes))
            .ok_or_else(|| ParseHeaderError {
                characters: text.chars().count(),
                found: text.chars().take(200).collect(),
            })
    }
}

impl serde::Serialize for Header {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        crate::ids::serialize_bytes(&self.to_bytes(), crate::ids::TextOrder::Forward, s)
    }
}

impl<'de> serde::Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::ids::deserialize_bytes(d, "header", crate::ids::TextOrder::Forward)
            .map(|bytes| Self::from_bytes(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pow::BITCOIN_HEADERS;
    use bitcoin::Network;
    use bitcoin::consensus::{deserialize, serialize};
    use bitcoin::hashes::Hash;
    use proptest::prelude::*;

    #[test]
    fn bitcoin_headers_have_their_known_hashes_and_meet_their_targets() {
        for (name, hex, hash) in BITCOIN_HEADERS {
            let header: Header = hex.parse().unwrap();
            assert_eq!(header.id().to_string(), *hash, "{name}");
            assert_eq!(header.to_string(), *hex, "{name}");
            assert!(header.meets_target(), "{name}");
            let other = Header { nonce: header.nonce ^ 1, ..header };
            assert!(!other.meets_target(), "{name}: another nonce");
        }
    }

    #[test]
    fn genesis_headers_of_all_bitcoin_networks_agree() {
        for network in [
            Network::Bitcoin,
            Network::Testnet,
            Network::Testnet4,
            Network::Signet,
            Network::Regtest,
        ] {
            let theirs = bitcoin::constants::genesis_block(network).header;
            let ours = Header::from_bytes(&serialize(&theirs).try_into().unwrap());
            assert_eq!(ours.id().to_string(), theirs.block_hash().to_string());
            assert_eq!(ours.previous, BlockId::from_bytes([0; 32]));
            assert!(ours.meets_target(), "{network}");
        }
    }

    #[test]
    fn text_that_is_no_header_is_refused_with_its_length() {
        let good = BITCOIN_HEADERS[0].1;
        assert_eq!(good[..158].parse::<Header>().unwrap_err().characters, 158);
        assert!(format!("{good}00").parse::<Header>().is_err());
        assert!(format!("{}zz", &good[..158]).parse::<Header>().is_err());
        assert!("".parse::<Header>().is_err());
        assert!(format!(" {}", &good[..159]).parse::<Header>().is_err());
        assert_eq!(good.to_uppercase().parse::<Header>().unwrap().to_string(), good);
    }

    #[test]
    fn bits_that_stand_for_no_target_are_never_met() {
        let header: Header = BITCOIN_HEADERS[0].1.parse().unwrap();
        for bits in [0, 0x1d80_ffff, 0xff00_ffff] {
            let header = Header { bits: Bits::from_u32(bits), ..header };
            assert!(header.target().is_err() && !header.meets_target());
        }
    }

    proptest! {
        #[test]
        fn any_80_bytes_agree_with_the_bitcoin_crate(bytes in proptest::collection::vec(any::<u8>(), 80)) {
            let theirs: bitcoin::block::Header = deserialize(&bytes).unwrap();
            let bytes: [u8; 80] = bytes.try_into().unwrap();
            let ours = Header::from_bytes(&bytes);
            prop_assert_eq!(ours.to_bytes(), bytes);
            prop_assert_eq!(*ours.id().as_bytes(), theirs.block_hash().to_byte_array());
            prop_assert_eq!(ours.version, theirs.version.to_consensus());
            prop_assert_eq!(*ours.previous.as_bytes(), theirs.prev_blockhash.to_byte_array());
            prop_assert_eq!(*ours.root.as_bytes(), theirs.merkle_root.to_byte_array());
            prop_assert_eq!((ours.time, ours.nonce), (theirs.time, theirs.nonce));
            prop_assert_eq!(ours.bits.to_u32(), theirs.bits.to_consensus());
            prop_assert_eq!(ours.to_string().parse::<Header>(), Ok(ours));
            let cbor = crate::cbor::encode(&ours);
            prop_assert_eq!(cbor.len(), 82);
            prop_assert_eq!(crate::cbor::decode::<Header>(&cbor, 82), Ok(ours));
            prop_assert!(crate::cbor::decode::<Header>(&cbor[..81], 82).is_err());
        }
    }
}
