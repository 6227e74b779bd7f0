//! What can be wrong with a CAR, with the blocks in it, and with whoever stores them.

use crate::{links::LinkError, store::StoreError};
use medledger_core::{Cid, cid::CidError};
use std::io;

/// A fault of the DAG that blocks make together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DagFault {
    /// A root, or a block linked from another, is not there.
    #[error("block {cid} is missing")]
    Missing {
        /// The block.
        cid: Cid,
    },
    /// A block that no root leads to.
    #[error("block {cid} lies below no root")]
    Unreferenced {
        /// The block.
        cid: Cid,
    },
    /// A block is not what its codec says, or links to what cannot be stored.
    #[error("the links of block {cid} cannot be read")]
    Links {
        /// The block.
        cid: Cid,
        /// What is wrong with it.
        source: LinkError,
    },
    /// More different blocks than are remembered.
    #[error("more than {limit} different blocks")]
    TooManyCids {
        /// Blocks allowed.
        limit: usize,
    },
    /// More links than are remembered.
    #[error("more than {limit} links between blocks")]
    TooManyLinks {
        /// Links allowed.
        limit: usize,
    },
    /// Blocks lie deeper below a root than is allowed.
    #[error("blocks lie deeper than {limit}")]
    TooDeep {
        /// Levels allowed, the root being the first.
        limit: u32,
    },
}

/// Why a CAR is refused. Offsets count from the first byte of the stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarError {
    /// The stream could not be read.
    #[error("the CAR cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The stream does not begin with a CAR header in its canonical form.
    #[error("not a CAR: its header cannot be read")]
    Header,
    /// A header longer than any that is read.
    #[error("a header of {found} bytes, at most {limit} are read")]
    HeaderTooLong {
        /// Bytes it says it has.
        found: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// A version that does not exist yet, or CARv2 within CARv2.
    #[error("CAR version {found} is not known here")]
    Version {
        /// The version found.
        found: u8,
    },
    /// A header that names no root.
    #[error("the CAR names no root")]
    NoRoots,
    /// The fixed header of CARv2 contradicts itself.
    #[error("the header of the CARv2 is not usable: {reason}")]
    V2 {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A length that is not in its shortest form, or is no number at all.
    #[error("malformed length at byte {at}")]
    Varint {
        /// Where it begins.
        at: u64,
    },
    /// A section too short to hold a CID.
    #[error("the section at byte {at} has {found} bytes, no CID fits in")]
    SectionTooShort {
        /// Where it begins.
        at: u64,
        /// Bytes it says it has.
        found: u64,
    },
    /// A section or its block is longer than any block may be.
    #[error("the section at byte {at} has {found} bytes, at most {limit} are read")]
    SectionTooLong {
        /// Where it begins.
        at: u64,
        /// Bytes it says it has.
        found: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// The stream ends within something.
    #[error("the CAR is cut off at byte {at}")]
    Truncated {
        /// Where it ends.
        at: u64,
    },
    /// Bytes after the end of the data of a CARv2 without index.
    #[error("bytes follow the end of the CAR at byte {at}")]
    Trailing {
        /// Where the first of them stands.
        at: u64,
    },
    /// A CID that names nothing that could be stored here: another hash than SHA-256, an identity CID,
    /// an unknown codec, or none at all.
    #[error("the CID at byte {at} is not usable: {source}")]
    Cid {
        /// Where it begins; in a header, where the header does.
        at: u64,
        /// What is wrong with it; the code of hash or codec is in it.
        source: CidError,
    },
    /// The bytes of a block are not those its CID names.
    #[error("the block at byte {at} does not match its CID {cid}")]
    Mismatch {
        /// Where its section begins.
        at: u64,
        /// The CID it came under.
        cid: Cid,
    },
    /// More bytes than the caller allows.
    #[error("the CAR has more than {limit} bytes")]
    TooLong {
        /// Bytes allowed.
        limit: u64,
    },
    /// The blocks do not make the DAG that the roots name.
    #[error(transparent)]
    Dag(#[from] DagFault),
}

/// Why a CAR could not be written; what was written so far is no complete CAR.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The stream does not take it.
    #[error("the CAR cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The store failed, or holds a damaged block.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No root was given.
    #[error("a CAR needs a root")]
    NoRoots,
    /// More roots than fit the longest header that is read.
    #[error("{found} roots make a header of more than {limit} bytes")]
    TooManyRoots {
        /// Roots given.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A block given does not match its CID.
    #[error("the bytes given for block {cid} do not match it")]
    Mismatch {
        /// The CID given.
        cid: Cid,
    },
    /// A block is larger than any reader takes.
    #[error("block {cid} has {found} bytes, at most {limit} are possible")]
    TooLarge {
        /// The block.
        cid: Cid,
        /// Its bytes.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// With repetitions written out, more sections than allowed.
    #[error("more than {limit} sections, repetitions counted")]
    TooManySections {
        /// Sections allowed.
        limit: usize,
    },
    /// The blocks do not make the DAG that the roots name.
    #[error(transparent)]
    Dag(#[from] DagFault),
}

/// Why a CAR was not imported: nothing of it is pinned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The CAR.
    #[error(transparent)]
    Car(#[from] CarError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
