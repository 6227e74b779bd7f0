//! CAR files: the blocks below some roots in one stream, to carry them from store to store.
//!
//! ```text
//! CARv1     varint(n) header[n]   section*             header  = DAG-CBOR {roots: [link, ...], version: 1}
//!                                                      section = varint(n) CID block,  n = bytes of both
//! CARv2     pragma[11]  characteristics[16]  data offset[8]  data size[8]  index offset[8]
//!           ... CARv1 ...  ... index ...               integers are little-endian
//! ```
//!
//! Specifications: <https://ipld.io/specs/transport/car/carv1/> and `carv2/`.
//!
//! - [`CarWriter`] and [`export`] write CARv1: header, then blocks depth first, parents before children,
//!   each once. The same DAG gives the same bytes.
//! - [`CarReader`] reads CARv1 and the CARv1 within a CARv2, whose index it ignores. It hands out a block
//!   only after hashing it, and ends well only if everything below the roots was there.
//! - [`import`] streams a CAR into a [`BlockStore`](crate::BlockStore), and pins the roots at the end or
//!   nothing at all.
//! - [`IndexedCar`] verifies a CAR that can be sought in, and is then a [`BlockRead`](crate::BlockRead)
//!   over it.
//! - [`SelectedCar`] reads a CAR that someone not trusted sends in answer to a question: a root and a
//!   [`Scope`]. What was not asked for, and what is missing, is an error.
//!
//! The roots in a header are what its writer *says*: compare them with what you expect. What is sure
//! after reading is that every block matches its CID and that all blocks below those roots are there.
//!
//! ```
//! use medledger_ipfs::{BlockRead, BlockStore, Cid, MemoryStore, car, cid::Codec};
//!
//! let store = MemoryStore::new();
//! let cid = Cid::of(Codec::Raw, b"a block");
//! let session = store.begin()?;
//! session.put(&cid, b"a block")?;
//! session.commit(&cid)?;
//!
//! let (file, summary) = car::export(&store, &[cid], Vec::new())?;
//! assert_eq!(summary.blocks, 1);
//!
//! let other = MemoryStore::new();
//! let reader = car::CarReader::new(&file[..])?;
//! assert_eq!(reader.roots(), [cid]);
//! car::import(reader, &other, &mut |_| {})?;
//! assert!(other.has(&cid)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod graph;
mod header;
mod import;
mod indexed;
mod reader;
#[cfg(feature = "http")]
pub(crate) mod sections;
mod selected;
mod selection;
mod source;
mod v2;
mod writer;

pub use error::{CarError, DagFault, ImportError, WriteError};
pub use graph::Limits;
pub use header::MAX_HEADER_BYTES;
pub(crate) use import::copy_all;
pub use import::{CopyError, Imported, copy, import};
pub use indexed::IndexedCar;
pub use reader::{CarReader, ReadOptions};
pub use selected::{SelectedCar, SelectedError, SelectedOptions};
pub use selection::{Scope, SelectionError};
pub use v2::MAX_PADDING_BYTES;
pub use writer::{CarSummary, CarWriter, WriteOptions, export};
#[cfg(feature = "http")]
pub(crate) use writer::{header_section, section_head};

use crate::block::MAX_BLOCK_BYTES;

/// Bytes of the longest CID of a block that can be stored: version 1 with SHA-256.
pub const MAX_CID_BYTES: usize = 36;

/// Bytes of the longest section that is read or written, its length aside.
pub const MAX_SECTION_BYTES: usize = MAX_CID_BYTES + MAX_BLOCK_BYTES;

#[cfg(test)]
mod tests;
