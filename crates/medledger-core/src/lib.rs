//! The domain of medledger: what a member, a record, a block, a sealed report, a slot and a receipt
//! *are*, and the rules they obey.
//!
//! # Goals
//! - Every byte that is stored, signed or hashed is fixed here and described in `docs/format.md`.
//! - The state of a ledger is a fold over its records and nothing else: see [`state`].
//!
//! # Non-goals
//! No network, no files, no clock, no threads: time, randomness, workers and stores come in through
//! the small traits [`Clock`](clock::Clock), [`rand_core::CryptoRng`], [`Workers`](pow::Workers) and
//! [`Store`](store::Store).
//!
//! Most programs want the crate `medledger`, which puts these parts to use.
#![forbid(unsafe_code)]

pub mod access_key;
pub mod audit;
pub mod block;
pub mod cbor;
pub mod chain;
pub mod checkpoint;
pub mod cid;
pub mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod context;
pub mod dek;
pub mod engine;
pub mod envelope;
pub mod finality;
pub mod follow;
pub mod fork;
pub mod genesis;
pub mod hospital;
pub mod identity;
pub mod ids;
mod kdf;
pub mod key_slot;
pub mod keys;
pub mod log_tree;
pub mod memory;
pub mod merkle;
mod metadata;
pub mod news;
pub mod padding;
pub mod pow;
pub mod prune;
pub mod receipt;
pub mod record;
pub mod registry;
pub mod release;
pub mod replay;
pub mod rows;
pub mod seal;
pub mod simulate;
pub mod slot;
mod small_key;
pub mod state;
pub mod store;
#[cfg(test)]
mod testing;
pub mod text;
pub mod token;
pub mod vote;

pub use cid::Cid;
pub use rand_core;
