//! Content addressing for medledger: a file becomes a tree of blocks under one [`Cid`], the blocks
//! go into a store, and what comes out again is checked against its CID, whoever delivered it.
//!
//! - [`unixfs`]: files as UnixFS trees, bit for bit as Kubo and IPIP-0499 make them: a streaming
//!   [`Builder`](unixfs::Builder) and a [`FileReader`](unixfs::FileReader) that touches only the
//!   leaves a range needs.
//! - [`store`]: the seams [`BlockRead`] and [`BlockStore`], with a store in memory, one on files
//!   and a bounded cache.
//! - [`car`]: CAR files, written deterministically, read only with every block verified.
//! - [`sources`]: several places to read from, asked in order, with a record of how each did; with the feature
//!   `http` trustless gateways (`gateway`) can be among them.
//! - [`fsck`]: walks everything below a root and reports what is missing or damaged; [`check`] does so
//!   for a whole store, [`repair`] fetches what is broken from another source, [`collect`] removes what
//!   nothing keeps while uploads go on.
//! - [`replication`]: others who keep roots as well, an IPFS Cluster or a pinning service: asked, checked,
//!   repaired.
//!
//! # Goals
//! - Constant memory: a report of many gigabytes streams through in blocks of a megabyte.
//! - Never wrong data: a block that does not match its CID is a typed error.
//!
//! # Non-goals
//! A peer-to-peer node. To reach other machines medledger uses IPFS nodes that exist.
//!
//! ```
//! use medledger_ipfs::{BlockStore, MemoryStore, unixfs::{Builder, FileReader, Profile}};
//! use std::io::Read;
//!
//! let store = MemoryStore::new();
//! let session = store.begin()?;
//! let mut sink = |cid: &_, block: &[u8]| session.put(cid, block);
//! let mut builder = Builder::new(Profile::V1_2025);
//! builder.write(b"hello world", &mut sink)?;
//! let root = builder.finish(&mut sink)?;
//! session.commit(&root.cid)?;
//!
//! let mut text = String::new();
//! FileReader::open(&store, root.cid, Some(11))?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello world");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod aligned;
mod block;
pub mod car;
pub mod check;
pub mod collect;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod fsck;
#[cfg(feature = "http")]
pub mod gateway;
#[cfg(feature = "http")]
pub mod http;
mod in_order;
#[cfg(feature = "http")]
pub mod kubo;
pub mod links;
pub mod pin_list;
pub mod pipeline;
mod processor;
pub mod repair;
pub mod replication;
pub mod sources;
pub mod store;
pub mod unixfs;

pub use block::{Block, MAX_BLOCK_BYTES};
#[cfg(feature = "http")]
pub use gateway::{Gateway, GatewayError};
pub use medledger_core::{Cid, cid};
pub use processor::Processor;
pub use sha256_lanes::Kernel;
pub use sources::Sources;
pub use store::{
    BlockRead, BlockStore, CacheStats, CachedStore, FileStore, FlatfsReader, MemoryStore, Session,
    StoreError,
};
