//! Leaves that are sealed and hashed together.

use super::SealItem;
use crate::processor::Processor;
use crate::store::{Session, StoreError};
use medledger_core::Cid;
use medledger_core::cid::Codec;
use medledger_core::padding::PaddedReader;
use medledger_core::rand_core::CryptoRng;
use medledger_core::seal::{
    HEAD_LEN, Head, SEALED_CHUNK_LEN, SealError, SealingReader, TAG_LEN, Unsealed,
};
use sha256_lanes::{Kernel, Streams};
use std::io::Read;
use zeroize::Zeroize;

/// Bytes of every leaf that are sealed before they are hashed: with sixteen lanes a quarter of a MiB, which
/// stays in the cache of a core. A multiple of SHA-256's blocks.
const STRIPE: usize = 16 * 1024;

/// Gives the reports' bytes away, buffer by buffer.
pub(super) struct Feed<'a> {
    items: Vec<Item<'a>>,
    /// The report that is being read.
    current: usize,
    lanes: usize,
    /// Whether who reads also seals and hashes, because nobody else is there to.
    alone: bool,
}

struct Item<'a> {
    sealing: SealingReader<PaddedReader<&'a mut (dyn Read + Send)>>,
    /// Bytes of a leaf.
    chunk: usize,
    /// Bytes of ciphertext given away.
    sealed: u64,
    failure: Option<SealError>,
}

impl Item<'_> {
    /// Bytes of plaintext, padding not counted, in the first `sealed` bytes of ciphertext.
    fn plain(&self, sealed: u64) -> u64 {
        let chunks = sealed.saturating_sub(HEAD_LEN as u64);
        let tags = chunks.div_ceil(SEALED_CHUNK_LEN as u64) * TAG_LEN as u64;
        chunks.saturating_sub(tags).min(self.sealing.get_ref().true_len())
    }
}

/// What is known of a report once all of it was read.
pub(super) struct End {
    pub(super) length: u64,
    pub(super) head: Head,
}

/// A buffer full of leaves, some of their chunks not sealed yet.
pub(super) struct Batch {
    leaves: Vec<Leaf>,
    /// Bytes of the buffer in use.
    used: usize,
}

struct Leaf {
    item: usize,
    start: usize,
    len: usize,
    /// The chunks that end in this leaf, but for one that began in the leaf before.
    unsealed: Unsealed,
    /// Where in the buffer the positions in `unsealed` count from.
    base: usize,
    /// Bytes of the report's plaintext up to the end of this leaf.
    plain: u64,
}

/// A leaf that is stored.
pub(super) struct Done {
    pub(super) item: usize,
    pub(super) cid: Cid,
    pub(super) len: usize,
    /// Bytes of the report's plaintext up to the end of this leaf.
    pub(super) plain: u64,
}

impl<'a> Feed<'a> {
    pub(super) fn new(
        items: Vec<SealItem<'a>>,
        processor: &Processor<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let open = |item: SealItem<'a>| Item {
            chunk: item.job.profile.chunk(),
            sealing: item.job.reader(item.source, rng),
            sealed: 0,
            failure: None,
        };
        let items = items.into_iter().map(open).collect();
        let (lanes, alone) = (processor.kernel.lanes(), processor.workers.count() == 1);
        Self { items, current: 0, lanes, alone }
    }

    /// Fills a buffer with leaves, from as many reports as it takes; none when all were read.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Option<Batch> {
        let mut batch = Batch { leaves: Vec::with_capacity(self.lanes), used: 0 };
        while batch.leaves.len() < self.lanes
            && let Some(item) = self.items.get_mut(self.current)
        {
            let room = (self.lanes - batch.leaves.len()) * item.chunk;
            let start = batch.used;
            let Some(space) = buffer.get_mut(start..start + room) else { break };
            // What others will seal is only read here, so that they need not wait. Whoever has it all to do seals each
            // chunk where it was just read, while it lies in the first level of the cache.
            let filled = match self.alone {
                true => item.sealing.fill(space).map(|filled| (filled, Unsealed::none())),
                false => item.sealing.fill_unsealed(space),
            };
            match filled {
                Ok((filled, unsealed)) => {
                    batch.add(self.current, item, filled, unsealed, buffer);
                    item.sealed += filled as u64;
                    if filled < room {
                        self.current += 1;
                    }
                }
                Err(error) => {
                    item.failure = Some(error);
                    self.current += 1;
                }
            }
        }
        (!batch.leaves.is_empty()).then_some(batch)
    }

    /// What became of each report.
    pub(super) fn into_ends(self) -> Vec<Result<End, SealError>> {
        let end = |item: Item<'_>| match item.failure {
            Some(error) => Err(error),
            None => {
                let length = item.sealing.get_ref().true_len();
                Ok(End { length, head: *item.sealing.head() })
            }
        };
        self.items.into_iter().map(end).collect()
    }
}

impl Batch {
    /// Takes the `filled` bytes of a report that were read to the end of this batch.
    fn add(
        &mut self,
        number: usize,
        item: &Item<'_>,
        filled: usize,
        mut unsealed: Unsealed,
        buffer: &mut [u8],
    ) {
        let base = self.used;
        let bytes = &mut buffer[base..];
        let mut at = 0;
        while at < filled {
            let len = item.chunk.min(filled - at);
            let inner = unsealed.split_at(at + len);
            // A chunk that reaches into the next leaf must be sealed before that is hashed.
            unsealed.seal_until(bytes, at + len);
            self.leaves.push(Leaf {
                item: number,
                start: base + at,
                len,
                unsealed: inner,
                base,
                plain: item.plain(item.sealed + (at + len) as u64),
            });
            at += len;
        }
        self.used += at;
    }

    /// Seals and hashes all leaves and puts them into the session.
    pub(super) fn run(
        mut self,
        kernel: Kernel,
        buffer: &mut [u8],
        session: &dyn Session,
    ) -> Result<Vec<Done>, StoreError> {
        let plain = WipedByPanic(&mut buffer[..self.used]);
        let buffer = &mut *plain.0;
        let mut streams = Streams::with_kernel(kernel, self.leaves.len());
        let longest = self.leaves.iter().map(|leaf| leaf.len).max().unwrap_or(0);
        let sealed = self.leaves.iter().all(|leaf| leaf.unsealed.remaining() == 0);
        let stripe = if sealed { longest.max(1) } else { STRIPE };
        for from in (0..longest).step_by(stripe) {
            for leaf in &mut self.leaves {
                let end = leaf.start + leaf.len.min(from + stripe);
                leaf.unsealed.seal_until(&mut buffer[leaf.base..], end - leaf.base);
            }
            let stripes: Vec<&[u8]> = self
                .leaves
                .iter()
                .map(|leaf| {
                    let bytes = &buffer[leaf.start..][..leaf.len];
                    &bytes[from.min(leaf.len)..leaf.len.min(from + stripe)]
                })
                .collect();
            streams.update(&stripes);
        }
        let digests = self.leaves.iter().zip(streams.finish());
        digests
            .map(|(leaf, digest)| {
                let cid = Cid::from_digest(Codec::Raw, digest);
                session.put(&cid, &buffer[leaf.start..][..leaf.len])?;
                Ok(Done { item: leaf.item, cid, len: leaf.len, plain: leaf.plain })
            })
            .collect()
    }
}

/// A buffer with plaintext in it, on which nobody would come back after a panic.
struct WipedByPanic<'a>(&'a mut [u8]);

impl Drop for WipedByPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.zeroize();
        }
    }
}
