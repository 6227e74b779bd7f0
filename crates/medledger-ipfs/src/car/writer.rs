//! CARs out: streaming, and the same bytes for the same DAG.

use super::{DagFault, Limits, MAX_HEADER_BYTES, WriteError, graph::Graph, header};
use crate::{
    block::MAX_BLOCK_BYTES,
    links::links_of,
    store::BlockRead,
    unixfs::dagpb::{put_varint, varint_len},
};
use medledger_core::Cid;
use std::io::{BufWriter, Write};

/// How a CAR is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Whether a block is written as often as it is linked (`dups=y` of trustless gateways) rather than
    /// once. Bounded by [`Limits::max_links`] sections.
    pub duplicates: bool,
    /// How much of the DAG is remembered.
    pub limits: Limits,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarSummary {
    /// Blocks, repetitions included.
    pub blocks: u64,
    /// Bytes of the whole file.
    pub bytes: u64,
}

/// Writes a CARv1.
///
/// Roots come first, so they must be known before the first block. Memory goes to what is remembered
/// of the DAG, see [`Limits`].
#[derive(Debug)]
pub struct CarWriter<W: Write> {
    out: BufWriter<W>,
    roots: Vec<Cid>,
    options: WriteOptions,
    graph: Graph,
    summary: CarSummary,
}

impl<W: Write> CarWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When there is no root, there are too many, or the stream fails.
    pub fn new(out: W, roots: &[Cid]) -> Result<Self, WriteError> {
        Self::with_options(out, roots, WriteOptions::default())
    }

    /// Writes the header; the options hold for all that follows.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(out: W, roots: &[Cid], options: WriteOptions) -> Result<Self, WriteError> {
        if roots.is_empty() {
            return Err(WriteError::NoRoots);
        }
        let header = header::encode(roots);
        if header.len() > MAX_HEADER_BYTES {
            return Err(WriteError::TooManyRoots { found: roots.len(), limit: MAX_HEADER_BYTES });
        }
        let mut writer = Self {
            out: BufWriter::with_capacity(64 * 1024, out),
            roots: roots.to_vec(),
            options,
            graph: Graph::new(options.limits),
            summary: CarSummary::default(),
        };
        writer.write(&[], &header)?;
        Ok(writer)
    }

    /// Writes one block, unless it was written before and repetitions are not wanted; says whether it
    /// did. Blocks may come in any order; parents first, links in their order, is the one that makes
    /// the file the same as [`put_dag`](Self::put_dag) does.
    ///
    /// # Errors
    /// When the block does not match its CID, is too large or malformed, or the stream fails.
    pub fn put(&mut self, cid: &Cid, block: &[u8]) -> Result<bool, WriteError> {
        if !cid.matches(block) {
            return Err(WriteError::Mismatch { cid: *cid });
        }
        let links = links(cid, block)?;
        self.put_verified(cid, block, &links)
    }

    /// Writes everything below a root, itself included: depth first, parents before children, links in
    /// their order. What was written before is left out with all below it, unless repetitions are
    /// wanted.
    ///
    /// # Errors
    /// When a block is missing, damaged or malformed, a limit is reached, or the stream fails.
    pub fn put_dag(
        &mut self,
        store: &(impl BlockRead + ?Sized),
        root: &Cid,
    ) -> Result<(), WriteError> {
        let limit = self.options.limits.max_depth;
        let mut due = vec![(*root, 1u32)];
        while let Some((cid, depth)) = due.pop() {
            if !self.options.duplicates && self.graph.number(&cid).is_some() {
                continue;
            }
            if depth > limit {
                return Err(DagFault::TooDeep { limit }.into());
            }
            let block = store.get(&cid)?.ok_or(DagFault::Missing { cid })?;
            let links = links(&cid, &block)?;
            self.put_verified(&cid, &block, &links)?;
            due.extend(links.into_iter().rev().map(|link| (link, depth + 1)));
        }
        Ok(())
    }

    /// Ends the file, after checking that everything below the roots was written and nothing else.
    ///
    /// # Errors
    /// When something is missing or unreferenced, lies too deep, or the stream fails.
    pub fn finish(mut self) -> Result<(W, CarSummary), WriteError> {
        self.graph.check(&self.roots)?;
        self.out.flush()?;
        let out = self.out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok((out, self.summary))
    }

    /// What was written so far.
    #[must_use]
    pub const fn summary(&self) -> CarSummary {
        self.summary
    }

    fn put_verified(&mut self, cid: &Cid, block: &[u8], links: &[Cid]) -> Result<bool, WriteError> {
        if block.len() > MAX_BLOCK_BYTES {
            let (found, limit) = (block.len(), MAX_BLOCK_BYTES);
            return Err(WriteError::TooLarge { cid: *cid, found, limit });
        }
        if !self.graph.add(cid, links)? && !self.options.duplicates {
            return Ok(false);
        }
        let limit = self.graph.limits().max_links;
        if self.summary.blocks >= limit as u64 {
            return Err(WriteError::TooManySections { limit });
        }
        self.write(&cid.to_bytes(), block)?;
        self.summary.blocks += 1;
        Ok(true)
    }

    /// A length, and what it is the length of.
    fn write(&mut self, cid: &[u8], bytes: &[u8]) -> Result<(), WriteError> {
        let len = (cid.len() + bytes.len()) as u64;
        self.out.write_all(&head(cid, len))?;
        self.out.write_all(bytes)?;
        self.summary.bytes += varint_len(len) as u64 + len;
        Ok(())
    }
}

/// What stands before the bytes of a section: its length and the CID.
fn head(cid: &[u8], len: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(9 + cid.len());
    put_varint(&mut head, len);
    head.extend_from_slice(cid);
    head
}

/// What stands before a block of so many bytes.
#[cfg(feature = "http")]
pub(crate) fn section_head(cid: &Cid, block: usize) -> Vec<u8> {
    let cid = cid.to_bytes();
    head(&cid, (cid.len() + block) as u64)
}

/// A header with its length. No root is possible here: whoever reads it must know that none may come.
#[cfg(feature = "http")]
pub(crate) fn header_section(roots: &[Cid]) -> Vec<u8> {
    let header = header::encode(roots);
    let mut section = head(&[], header.len() as u64);
    section.extend_from_slice(&header);
    section
}

fn links(cid: &Cid, block: &[u8]) -> Result<Vec<Cid>, WriteError> {
    links_of(cid.codec(), block).map_err(|source| DagFault::Links { cid: *cid, source }.into())
}

/// Writes everything below the roots: one DAG after the other, each block once. Returns the stream.
///
/// # Errors
/// See [`WriteError`].
pub fn export<W: Write>(
    store: &(impl BlockRead + ?Sized),
    roots: &[Cid],
    out: W,
) -> Result<(W, CarSummary), WriteError> {
    let mut writer = CarWriter::new(out, roots)?;
    for root in roots {
        writer.put_dag(store, root)?;
    }
    writer.finish()
}
