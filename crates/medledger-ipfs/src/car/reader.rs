//! CARs in: every block hashed, every length bounded, and at the end the DAG complete.

use super::{
    CarError, DagFault, Limits, MAX_HEADER_BYTES, MAX_SECTION_BYTES,
    graph::Graph,
    header,
    source::{Source, varint_of},
    v2::{self, PRAGMA, Wrapper},
};
use crate::{block::MAX_BLOCK_BYTES, links::links_of};
use medledger_core::Cid;
use std::io::Read;

/// How a CAR is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Whether everything below the roots has to be there, and nothing else; otherwise the CAR may be
    /// any selection of blocks, and may name no root.
    pub complete: bool,
    /// Whether the roots in the header are passed over unread: gateways may write there what they like, also
    /// CIDs of no block. None are known then, and `complete` finds nothing.
    pub ignore_roots: bool,
    /// How much of the DAG is remembered.
    pub limits: Limits,
    /// The most bytes that are read.
    pub max_bytes: u64,
}

impl Default for ReadOptions {
    /// Complete, with the limits for files, of any length.
    fn default() -> Self {
        Self { complete: true, ignore_roots: false, limits: Limits::FILES, max_bytes: u64::MAX }
    }
}

/// Reads a CARv1, or the CARv1 within a CARv2, block by block.
///
/// Takes memory for one block and for what is remembered of the others, see [`Limits`].
#[derive(Debug)]
pub struct CarReader<R> {
    source: Source<R>,
    wrapper: Option<Wrapper>,
    roots: Vec<Cid>,
    options: ReadOptions,
    graph: Graph,
    section: Vec<u8>,
    /// Bytes of the CID in `section`.
    prefix: usize,
    fresh: bool,
    ended: bool,
}

impl<R: Read> CarReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// See [`CarError`].
    pub fn new(input: R) -> Result<Self, CarError> {
        Self::with_options(input, ReadOptions::default())
    }

    /// Reads the header; the options hold for all that follows.
    ///
    /// # Errors
    /// See [`CarError`].
    pub fn with_options(input: R, options: ReadOptions) -> Result<Self, CarError> {
        let mut source = Source::new(input, options.max_bytes);
        let mut section = Vec::new();
        let mut start = 0;
        read_header(&mut source, &mut section)?;
        let mut wrapper = None;
        if section == PRAGMA[1..] {
            wrapper = Some(v2::enter(&mut source)?);
            start = source.at();
            read_header(&mut source, &mut section)?;
        }
        let roots = if options.ignore_roots {
            header::check_version(&section)?;
            Vec::new()
        } else {
            header::decode(&section, start)?
        };
        if roots.is_empty() && options.complete {
            return Err(CarError::NoRoots);
        }
        let graph = Graph::new(options.limits);
        let (prefix, fresh, ended) = (0, false, false);
        Ok(Self { source, wrapper, roots, options, graph, section, prefix, fresh, ended })
    }

    /// The roots as the header names them: claims until the last block was read, and even then only
    /// that these DAGs are complete, not that they are what you wanted.
    #[must_use]
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// Version of the file: 1 or 2.
    #[must_use]
    pub const fn version(&self) -> u8 {
        if self.wrapper.is_some() { 2 } else { 1 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.source.at()
    }

    /// Whether the last block came for the first time in this CAR.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.fresh
    }

    /// The next block, which matches its CID. None at the end: then, unless the options say otherwise,
    /// everything below the roots was there and nothing else.
    ///
    /// # Errors
    /// See [`CarError`]. After one, and after the end, there is nothing more.
    pub fn next_block(&mut self) -> Result<Option<(Cid, &[u8])>, CarError> {
        if self.ended {
            return Ok(None);
        }
        // Set until all went well, so that nothing follows an error.
        self.ended = true;
        let at = self.source.at();
        let Some(len) = self.source.varint()? else {
            self.finish()?;
            return Ok(None);
        };
        if len > MAX_SECTION_BYTES as u64 {
            return Err(CarError::SectionTooLong { at, found: len, limit: MAX_SECTION_BYTES });
        }
        let start = self.source.at();
        self.source.fill(&mut self.section, len as usize)?;
        let prefix = cid_len(&self.section).ok_or(CarError::SectionTooShort { at, found: len })?;
        let (cid, block) = self.section.split_at(prefix);
        let cid = Cid::from_bytes(cid).map_err(|source| CarError::Cid { at: start, source })?;
        if block.len() > MAX_BLOCK_BYTES {
            return Err(CarError::SectionTooLong { at, found: len, limit: MAX_SECTION_BYTES });
        }
        if !cid.matches(block) {
            return Err(CarError::Mismatch { at, cid });
        }
        let links = match links_of(cid.codec(), block) {
            Ok(links) => links,
            Err(source) => return Err(DagFault::Links { cid, source }.into()),
        };
        self.fresh = self.graph.add(&cid, &links)?;
        self.prefix = prefix;
        self.ended = false;
        Ok(Some((cid, self.last_block())))
    }

    /// The bytes of the last block.
    pub(super) fn last_block(&self) -> &[u8] {
        &self.section[self.prefix..]
    }

    /// Offset of the bytes of the last block in the stream.
    pub(super) fn block_offset(&self) -> u64 {
        self.source.at() - (self.section.len() - self.prefix) as u64
    }

    pub(super) const fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(super) fn into_parts(self) -> (R, Vec<Cid>, Graph) {
        (self.source.into_inner(), self.roots, self.graph)
    }

    /// What has to hold where the stream ends.
    fn finish(&mut self) -> Result<(), CarError> {
        if let Some(Wrapper { end, indexed: false }) = self.wrapper {
            self.source.set_end(None);
            if self.source.byte()?.is_some() {
                return Err(CarError::Trailing { at: end });
            }
        }
        if self.options.complete {
            self.graph.check(&self.roots)?;
        } else {
            self.graph.check_depth(&self.roots)?;
        }
        Ok(())
    }
}

/// Reads a header and its length.
fn read_header<R: Read>(source: &mut Source<R>, bytes: &mut Vec<u8>) -> Result<(), CarError> {
    let at = source.at();
    let found = match source.varint() {
        Ok(Some(found)) => found,
        Ok(None) => return Err(CarError::Truncated { at }),
        // A file of another kind begins with anything.
        Err(CarError::Varint { at: 0 }) => return Err(CarError::Header),
        Err(error) => return Err(error),
    };
    if found > MAX_HEADER_BYTES as u64 {
        return Err(CarError::HeaderTooLong { found, limit: MAX_HEADER_BYTES });
    }
    let start = source.at();
    match source.fill(bytes, found as usize) {
        // Shorter than its first byte says, and no map: a file of another kind.
        Err(CarError::Truncated { at })
            if at > start && !matches!(bytes.first(), Some(0xa1 | 0xa2)) =>
        {
            Err(CarError::Header)
        }
        filled => filled,
    }
}

/// Bytes of the CID a section begins with, whatever its codec and hash; none when it does not end.
pub(super) fn cid_len(section: &[u8]) -> Option<usize> {
    if section.starts_with(&[0x12, 0x20]) {
        return (section.len() >= 34).then_some(34);
    }
    // Version, codec and hash; then the length of the digest.
    let mut len = 0;
    let mut last = 0;
    for _ in 0..4 {
        let (value, bytes) = varint_of(&section[len..])?;
        (len, last) = (len + bytes, value);
    }
    let len = usize::try_from(last).ok().and_then(|digest| len.checked_add(digest))?;
    (len <= section.len()).then_some(len)
}
