//! Blocks: a Bitcoin header over a tree of records, signed by the hospital that mined it.
//!
//! ```text
//! header.root = RFC 9162 tree of   leaf 0      domain | DAG-CBOR [chain, height, miner, parent,
//!                                                              extra nonce, reserved]
//!                                  leaf 1..n   signed records, as they are
//! signature   = Ed25519 over       domain | chain | header hash
//! node (IPFS) = {v, parent, header, signature, leaf, pages}      pages = lists of signed records
//! ```
//!
//! Leaf 0 makes the work cover who mined it, where and on top of what.

use crate::cbor::{self, DecodeError, Writer};
use crate::cid::{Codec, Link};
use crate::genesis::{Genesis, GenesisError};
use crate::ids::{BlockId, BlockRoot, ChainId, MemberId};
use crate::keys::{Signature, SignatureError, SigningKey, VerifyingKey};
use crate::merkle;
use crate::pow::Header;
use crate::record::{RecordError, SignedRecord};
use crate::registry::{FORMAT_VERSION, domain, limit};
use crate::{Cid, cid};
use serde::{Deserialize, Serialize};

/// What the first leaf of a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The chain.
    pub chain: ChainId,
    /// Height of the block, from 1: genesis has a configuration in this place.
    pub height: u64,
    /// The hospital that mined it.
    pub miner: MemberId,
    /// CID of the parent's node.
    pub parent: Cid,
    /// Counted up when the 32 bits of the header's nonce are exhausted.
    pub extra_nonce: u64,
}

#[derive(Serialize, Deserialize)]
struct DescriptorWire(ChainId, u64, MemberId, Cid, u64, #[serde(with = "serde_bytes")] Vec<u8>);

/// Bytes of the descriptor kept for later use; zero today.
const RESERVED: [u8; 32] = [0; 32];

impl Descriptor {
    /// The leaf: domain, then DAG-CBOR.
    #[must_use]
    pub fn leaf(&self) -> Vec<u8> {
        let wire = DescriptorWire(
            self.chain,
            self.height,
            self.miner,
            self.parent,
            self.extra_nonce,
            RESERVED.to_vec(),
        );
        [domain::BLOCK_DESCRIPTOR, &cbor::encode(&wire)].concat()
    }

    /// Reads the leaf.
    ///
    /// # Errors
    /// When the domain is another, the bytes are not canonical, or reserved bytes are set.
    pub fn from_leaf(leaf: &[u8]) -> Result<Self, BlockDecodeError> {
        let bytes =
            leaf.strip_prefix(domain::BLOCK_DESCRIPTOR).ok_or(BlockDecodeError::Descriptor)?;
        let DescriptorWire(chain, height, miner, parent, extra_nonce, reserved) =
            cbor::decode(bytes, 512)?;
        if reserved != RESERVED || parent.codec() != Codec::DagCbor || height == 0 {
            return Err(BlockDecodeError::Descriptor);
        }
        Ok(Self { chain, height, miner, parent, extra_nonce })
    }
}

/// A header with the signature of the hospital that mined it; genesis has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// The 80 bytes.
    pub header: Header,
    /// Over domain, chain and header hash.
    pub signature: Option<Signature>,
}

/// Signs a header as the hospital that mined it.
#[must_use]
pub fn sign_header(key: &SigningKey, chain: &ChainId, id: &BlockId) -> Signature {
    key.sign(domain::BLOCK_SIGNATURE, &signed_bytes(chain, id))
}

/// Checks the miner's signature of a header.
///
/// # Errors
/// When it does not verify under `key`.
pub fn verify_header(
    key: &VerifyingKey,
    chain: &ChainId,
    id: &BlockId,
    signature: &Signature,
) -> Result<(), SignatureError> {
    key.verify(domain::BLOCK_SIGNATURE, &signed_bytes(chain, id), signature)
}

fn signed_bytes(chain: &ChainId, id: &BlockId) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(chain.as_bytes());
    bytes[32..].copy_from_slice(id.as_bytes());
    bytes
}

/// A block as it came: decoded, but judged by nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The 80 bytes.
    pub header: Header,
    /// Of the mining hospital.
    pub signature: Signature,
    /// First leaf.
    pub descriptor: Descriptor,
    /// The other leaves.
    pub records: Vec<SignedRecord>,
}

/// Root of the tree over a first leaf and the records.
#[must_use]
pub fn block_root<'a>(
    first_leaf: &[u8],
    records: impl IntoIterator<Item = &'a SignedRecord>,
) -> BlockRoot {
    let mut leaves = vec![merkle::leaf_hash(first_leaf)];
    leaves.extend(records.into_iter().map(|record| merkle::leaf_hash(record.as_bytes())));
    merkle::root_of_hashes(leaves).into()
}

/// A node of IPFS: its CID and its bytes.
pub type Node = (Cid, Vec<u8>);

/// A block as IPFS carries it: the node, and the pages of records it links to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockNodes {
    /// The block's node.
    pub root: Node,
    /// Pages of records, in order, 512 KiB at most each.
    pub pages: Vec<Node>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeWire {
    v: u16,
    parent: Option<Link>,
    #[serde(with = "serde_bytes")]
    header: Vec<u8>,
    signature: Option<Signature>,
    #[serde(with = "serde_bytes")]
    leaf: Vec<u8>,
    pages: Vec<Link>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PageWire(Vec<serde_bytes::ByteBuf>);

/// Bytes that are no block this version can read. Such a fault condemns this node's CID, not the
/// header: another node may carry the same header with the right body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockDecodeError {
    /// Not canonical DAG-CBOR of a node, a page or a descriptor.
    #[error("not a block: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by a later version of the format.
    #[error("block has format version {found}; this version reads {FORMAT_VERSION}: update needed")]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// The header is not 80 bytes long.
    #[error("a header has 80 bytes, found {found}")]
    HeaderLength {
        /// Bytes found.
        found: usize,
    },
    /// The first leaf is no descriptor.
    #[error("the first leaf is no block descriptor")]
    Descriptor,
    /// The first leaf is no genesis configuration.
    #[error("the first leaf is no genesis configuration: {0}")]
    Genesis(#[from] GenesisError),
    /// A block other than genesis without signature or parent, or genesis with one.
    #[error("signature or parent missing, or not that of the descriptor")]
    Unsigned,
    /// A page is not the one the node names, or is missing.
    #[error("page {index} is missing or not the one the block names")]
    Page {
        /// Which page.
        index: usize,
    },
    /// Records are not paged as the format says: as many to a page as fit.
    #[error("records are not packed into pages as the format demands")]
    Packing,
    /// More records or bytes than any block may have.
    #[error("a block has at most {max} {what}, found {found}")]
    TooLarge {
        /// Records or bytes.
        what: &'static str,
        /// What was found.
        found: usize,
        /// The most allowed.
        max: usize,
    },
    /// A record cannot be read.
    #[error("record {index}: {error}")]
    Record {
        /// Which one.
        index: usize,
        /// What is wrong with it.
        error: RecordError,
    },
}

impl Block {
    /// The block's id: its header's hash.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// The root its records and descriptor really have.
    #[must_use]
    pub fn root(&self) -> BlockRoot {
        block_root(&self.descriptor.leaf(), &self.records)
    }

    /// The node and pages that IPFS carries.
    #[must_use]
    pub fn to_nodes(&self) -> BlockNodes {
        let pages = pages(self.records.iter().map(SignedRecord::as_bytes));
        let root = node(&NodeWire {
            v: FORMAT_VERSION,
            parent: Some(Link(self.descriptor.parent)),
            header: self.header.to_bytes().to_vec(),
            signature: Some(self.signature),
            leaf: self.descriptor.leaf(),
            pages: pages.iter().map(|(cid, _)| Link(*cid)).collect(),
        });
        BlockNodes { root, pages }
    }

    /// Reads a block from its node and pages. Checks that they belong together and are in their one
    /// canonical form; judges nothing else.
    ///
    /// # Errors
    /// See [`BlockDecodeError`].
    pub fn from_nodes(
        root: &[u8],
        mut page: impl FnMut(&Cid) -> Option<Vec<u8>>,
    ) -> Result<Self, BlockDecodeError> {
        let wire = read_node(root)?;
        let header = read_header(&wire.header)?;
        let descriptor = Descriptor::from_leaf(&wire.leaf)?;
        let (Some(Link(parent)), Some(signature)) = (wire.parent, wire.signature) else {
            return Err(BlockDecodeError::Unsigned);
        };
        if parent != descriptor.parent {
            return Err(BlockDecodeError::Unsigned);
        }
        let mut encoded = Vec::new();
        let mut bytes = 0;
        for (index, Link(cid)) in wire.pages.iter().enumerate() {
            let data = page(cid).ok_or(BlockDecodeError::Page { index })?;
            if data.len() > limit::PAGE_BYTES || !cid.matches(&data) {
                return Err(BlockDecodeError::Page { index });
            }
            let PageWire(records) = cbor::decode(&data, limit::PAGE_BYTES)?;
            bytes += records.iter().map(|record| record.len()).sum::<usize>();
            encoded.extend(records);
            too_large("records", encoded.len(), limit::BLOCK_RECORDS)?;
            too_large("bytes of records", bytes, limit::BLOCK_BYTES)?;
        }
        let repacked = pages(encoded.iter().map(|record| record.as_slice()));
        if !repacked.iter().map(|(cid, _)| cid).eq(wire.pages.iter().map(|Link(cid)| cid)) {
            return Err(BlockDecodeError::Packing);
        }
        let records = encoded
            .iter()
            .enumerate()
            .map(|(index, bytes)| {
                SignedRecord::decode(bytes)
                    .map_err(|error| BlockDecodeError::Record { index, error })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { header, signature, descriptor, records })
    }
}

fn too_large(what: &'static str, found: usize, max: usize) -> Result<(), BlockDecodeError> {
    if found > max { Err(BlockDecodeError::TooLarge { what, found, max }) } else { Ok(()) }
}

fn node(wire: &NodeWire) -> Node {
    let bytes = cbor::encode(wire);
    (Cid::of(Codec::DagCbor, &bytes), bytes)
}

fn read_node(bytes: &[u8]) -> Result<NodeWire, BlockDecodeError> {
    if let Some(found) = cbor::check_version(bytes, limit::PAGE_BYTES)? {
        return Err(BlockDecodeError::UnknownVersion { found });
    }
    Ok(cbor::decode(bytes, limit::PAGE_BYTES)?)
}

fn read_header(bytes: &[u8]) -> Result<Header, BlockDecodeError> {
    let bytes = <&[u8; 80]>::try_from(bytes)
        .map_err(|_| BlockDecodeError::HeaderLength { found: bytes.len() })?;
    Ok(Header::from_bytes(bytes))
}

/// Packs records into pages, as many to each as fit.
fn pages<'a>(records: impl Iterator<Item = &'a [u8]>) -> Vec<Node> {
    // A list head takes at most 5 bytes, a byte string head at most 5.
    const HEAD: usize = 5;
    let mut pages = Vec::new();
    let mut page: Vec<&[u8]> = Vec::new();
    let mut size = HEAD;
    let mut flush = |page: &mut Vec<&[u8]>, size| {
        let mut writer = Writer::with_capacity(size);
        writer.list(page.len());
        for record in page.drain(..) {
            writer.bytes(record);
        }
        let bytes = writer.into_bytes();
        pages.push((Cid::of(cid::Codec::DagCbor, &bytes), bytes));
    };
    for record in records {
        if size + HEAD + record.len() > limit::PAGE_BYTES {
            flush(&mut page, size);
            size = HEAD;
        }
        size += HEAD + record.len();
        page.push(record);
    }
    if !page.is_empty() {
        flush(&mut page, size);
    }
    pages
}

/// The genesis block's node: its leaf is the configuration.
#[must_use]
pub fn genesis_node(header: &Header, genesis: &Genesis) -> Node {
    node(&NodeWire {
        v: FORMAT_VERSION,
        parent: None,
        header: header.to_bytes().to_vec(),
        signature: None,
        leaf: [domain::GENESIS, &genesis.encode()].concat(),
        pages: Vec::new(),
    })
}

/// Reads the genesis block's node.
///
/// # Errors
/// See [`BlockDecodeError`].
pub fn read_genesis_node(bytes: &[u8]) -> Result<(Header, Genesis), BlockDecodeError> {
    let wire = read_node(bytes)?;
    let header = read_header(&wire.header)?;
    if wire.parent.is_some() || wire.signature.is_some() || !wire.pages.is_empty() {
        return Err(BlockDecodeError::Unsigned);
    }
    let config = wire.leaf.strip_prefix(domain::GENESIS).ok_or(BlockDecodeError::Descriptor)?;
    Ok((header, Genesis::decode(config)?))
}

/// The parent that a block's node links to; none for genesis. Nothing else of it is judged.
///
/// # Errors
/// When the bytes are no node of a block.
pub fn parent_of(bytes: &[u8]) -> Result<Option<Cid>, BlockDecodeError> {
    Ok(read_node(bytes)?.parent.map(|Link(cid)| cid))
}

#[cfg(test)]
mod tests;
