//! Sealing reports: exactly Cobblestone-128 of <https://c2sp.org/chunked-encryption>.
//!
//! ```text
//! salt[24] | commitment[32] | chunk 0 | chunk 1 | ... | last chunk
//! ```
//! A chunk is 16384 bytes of plaintext, encrypted, and a tag of 16; the last is always shorter and
//! may be empty. Key, base nonce and commitment come from HKDF-Expand-SHA-512 over the DEK, the salt
//! and the *context*, which says what report this is (see [`context`](crate::context)). The
//! commitment is compared first, so a sealed report opens under one key and one context only.
//!
//! Which door to take:
//!
//! | need | use |
//! |---|---|
//! | bytes in memory | [`seal()`], [`unseal()`] |
//! | a reader and a writer | [`seal_stream`], [`unseal_stream`] |
//! | filling buffers of any size with ciphertext, one pass, no copy | [`SealingReader::fill`] |
//! | the same, sealed later and in parts by whoever has the buffer | [`SealingReader::fill_unsealed`] |
//! | pushing plaintext as it comes | [`Sealer`] |
//! | chunk by chunk, in place, on several threads | [`ChunkSealer`], [`Segment`] |
//! | a range, or `Read` and `Seek`, of something sealed elsewhere | [`UnsealReader`] |
//! | chunk by chunk | [`Unsealer`] |
//!
//! # Non-goals
//! No raw mode, no other cipher, no other chunk length, no compression.

mod backend;
mod format;
mod pull;
mod reader;
mod schedule;
mod sealer;
mod simple;
mod unsealer;

pub use backend::Backend;
pub use format::{
    CHUNK_LEN, HEAD_LEN, Head, MAX_PLAIN_LEN, SALT_LEN, SEALED_CHUNK_LEN, Salt, SealError, TAG_LEN,
    UnsealError, plain_len, sealed_len,
};
pub use pull::{SealingReader, Unsealed};
pub use reader::{ReadAt, UnsealReader};
pub use sealer::{ChunkSealer, Sealer, Segment};
pub use simple::{
    seal, seal_stream, seal_stream_with, seal_with, unseal, unseal_stream, unseal_stream_with,
    unseal_with,
};
pub use unsealer::Unsealer;

use format::COMMITMENT_LEN;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod oracles;
