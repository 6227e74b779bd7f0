//! Bytes of a file out of a store, whole or any range.

use super::{
    dagpb::varint_len,
    node::{Child, FileNode, NodeError},
    whole::Whole,
};
use crate::{
    block::Block,
    store::{BlockRead, StoreError},
};
use medledger_core::{Cid, cid::Codec};
use std::{
    collections::VecDeque,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many nodes may lie above one another. The default profile reaches a PiB with four.
pub const MAX_DEPTH: usize = 32;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store has not got a block of the file.
    #[error("block {cid} of the file is missing")]
    Missing {
        /// The block.
        cid: Cid,
    },
    /// The store failed, or holds a damaged block.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A node that is no canonical UnixFS file.
    #[error("node {cid} cannot be read as a file")]
    Node {
        /// The node.
        cid: Cid,
        /// What is wrong with it.
        source: NodeError,
    },
    /// A block has another size than its parent says.
    #[error("block {cid} has {found} bytes of the file, its parent says {declared}")]
    SizeMismatch {
        /// The block.
        cid: Cid,
        /// What the parent says.
        declared: u64,
        /// What is there.
        found: u64,
    },
    /// A block and those below it take another number of bytes than its parent says.
    #[error("the blocks from {cid} down take {found} bytes, their parent says {declared}")]
    TotalMismatch {
        /// The block.
        cid: Cid,
        /// What the parent says.
        declared: u64,
        /// What is there; the largest number when it overflows.
        found: u64,
    },
    /// The file is not as long as whoever named it says.
    #[error("file {root} has {found} bytes, expected were {expected}")]
    UnexpectedSize {
        /// The file.
        root: Cid,
        /// Bytes expected.
        expected: u64,
        /// Bytes the root says.
        found: u64,
    },
    /// Nodes lie deeper than any file needs.
    #[error("nodes lie deeper than {limit} above {cid}")]
    TooDeep {
        /// The node that is one too many.
        cid: Cid,
        /// Levels allowed.
        limit: usize,
    },
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::Missing { .. } => io::ErrorKind::NotFound,
            ReadError::Store(e) => e.io_kind(),
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// A file in a store, read by range through [`read_at`](Self::read_at) or as a stream.
///
/// Only the leaves a range touches are fetched, and the nodes above them; of stores that answer for many
/// blocks at once, several together, and of a stream that is read on, some ahead. A long file that is read from its
/// beginning on comes as [one stream](BlockRead::stream) where the store has that. The last leaf and its path
/// are kept, so that small steps forward do not fetch a leaf again and again. What a block says about
/// sizes is compared with what is there; that its bytes match its CID is the promise of
/// [`BlockRead`].
#[derive(Debug)]
pub struct FileReader<S> {
    store: S,
    root: Cid,
    size: u64,
    top: Top,
    memo: Mutex<Memo>,
    position: u64,
}

/// What the root block turned out to be.
#[derive(Debug)]
enum Top {
    Leaf(Leaf),
    Branch(Arc<Branch>),
}

#[derive(Clone, Debug)]
struct Leaf {
    block: Block,
    /// Where in the block the bytes of the file are.
    data: Range<usize>,
}

#[derive(Debug)]
struct Branch {
    children: Vec<Child>,
    /// Where in the file each child starts.
    starts: Vec<u64>,
    end: u64,
}

/// The path to the last leaf, without the root, and the leaf with its place in the file.
#[derive(Debug, Default)]
struct Memo {
    path: Vec<Arc<Branch>>,
    leaf: Option<(u64, Leaf)>,
    /// Leaves behind it, below the same node, that were fetched together with it.
    ahead: VecDeque<(u64, Leaf)>,
    /// Whether every leaf was read up to here, one after the other.
    from_start: bool,
    /// All blocks of the file, for as long as it is read so.
    whole: Whole,
}

impl Memo {
    /// Leaves that were fetched, the path to them, and where the first of them starts.
    fn fetched(&mut self, path: Vec<Arc<Branch>>, leaves: VecDeque<(u64, Leaf)>, start: u64) {
        self.from_start = start == 0 || (self.from_start && self.follows(start));
        if !self.from_start {
            self.whole = Whole::default();
        }
        (self.path, self.leaf, self.ahead) = (path, None, leaves);
    }

    /// The leaf with the byte at `offset`, if it is at hand.
    fn at_hand(&mut self, offset: u64) -> Option<(u64, Leaf)> {
        let holds = |(start, leaf): &(u64, Leaf)| {
            (*start..start + leaf.data.len() as u64).contains(&offset)
        };
        if let Some(at) = self.ahead.iter().position(holds) {
            self.leaf = self.ahead.drain(..=at).next_back();
        }
        self.leaf.clone().filter(holds)
    }

    /// Whether a byte follows the last leaf.
    fn follows(&self, offset: u64) -> bool {
        self.leaf.as_ref().is_some_and(|(start, leaf)| start + leaf.data.len() as u64 == offset)
    }
}

impl Branch {
    fn new(children: Vec<Child>, start: u64) -> Self {
        let mut end = start;
        // The sum was checked when the node was read, and lies within its parent's.
        let mut starts = Vec::with_capacity(children.len());
        for child in &children {
            starts.push(end);
            end += child.size;
        }
        Self { children, starts, end }
    }

    fn holds(&self, offset: u64) -> bool {
        (self.starts[0]..self.end).contains(&offset)
    }

    /// Which child has the byte at `offset`, which lies within.
    fn child_at(&self, offset: u64) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// How many leaves from a child on, `most` at most, have a byte before `end`.
    fn leaves(&self, from: usize, end: u64, most: usize) -> usize {
        let wanted = self.starts[from..].iter().zip(&self.children[from..]);
        wanted
            .take(most)
            .take_while(|(start, child)| **start < end && child.cid.codec() == Codec::Raw)
            .count()
    }
}

/// What a block of a file is.
enum Kind {
    Leaf(Leaf),
    Branch(Vec<Child>),
}

impl<S: BlockRead> FileReader<S> {
    /// Opens a file by its root, which is fetched now. `expected_size` is the length in bytes, where
    /// it is known from elsewhere.
    ///
    /// # Errors
    /// When the root is missing, damaged, no file, or of another length.
    pub fn open(store: S, root: Cid, expected_size: Option<u64>) -> Result<Self, ReadError> {
        let block = store.get(&root)?.ok_or(ReadError::Missing { cid: root })?;
        let (kind, size, _) = classify(&root, block)?;
        if let Some(expected) = expected_size.filter(|e| *e != size) {
            return Err(ReadError::UnexpectedSize { root, expected, found: size });
        }
        let top = match kind {
            Kind::Leaf(leaf) => Top::Leaf(leaf),
            Kind::Branch(children) => Top::Branch(Arc::new(Branch::new(children, 0))),
        };
        Ok(Self { store, root, size, top, memo: Mutex::default(), position: 0 })
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The CID of the file.
    #[must_use]
    pub const fn root(&self) -> &Cid {
        &self.root
    }

    /// Fills `buffer` with the bytes from `offset` on and returns how many there were: fewer than
    /// asked for only at the end of the file, none beyond it.
    ///
    /// # Errors
    /// See [`ReadError`]; what was already put into the buffer then means nothing.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let (at, rest) = (offset.saturating_add(filled as u64), &mut buffer[filled..]);
            let end = at.saturating_add(rest.len() as u64);
            match self.read_some(at, rest, end)? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    /// What one leaf has of the range. The bytes up to `end` will be asked for next.
    fn read_some(&self, offset: u64, buffer: &mut [u8], end: u64) -> Result<usize, ReadError> {
        if offset >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let (start, leaf) = self.leaf_at(offset, end)?;
        let data = &leaf.block[leaf.data];
        // A leaf is at most a block long, so the distance fits.
        let data = &data[(offset - start) as usize..];
        let n = data.len().min(buffer.len());
        buffer[..n].copy_from_slice(&data[..n]);
        Ok(n)
    }

    /// The leaf with the byte at `offset`, which lies within the file, and where the leaf starts.
    fn leaf_at(&self, offset: u64, end: u64) -> Result<(u64, Leaf), ReadError> {
        let top = match &self.top {
            Top::Leaf(leaf) => return Ok((0, leaf.clone())),
            Top::Branch(branch) => branch,
        };
        let mut path = {
            let mut memo = self.memo();
            if let Some(found) = memo.at_hand(offset) {
                return Ok(found);
            }
            memo.path.clone()
        };
        // The lock is not held while a block is fetched: other ranges may go on.
        while path.last().is_some_and(|branch| !branch.holds(offset)) {
            path.pop();
        }
        loop {
            let branch = path.last().unwrap_or(top);
            let index = branch.child_at(offset);
            let (child, start) = (branch.children[index], branch.starts[index]);
            if path.len() + 1 == MAX_DEPTH && child.cid.codec() == Codec::DagPb {
                return Err(ReadError::TooDeep { cid: child.cid, limit: MAX_DEPTH });
            }
            if let Some(block) = self.streamed(&child.cid, start) {
                match checked(&child, block)? {
                    Kind::Leaf(leaf) => {
                        let leaves = VecDeque::from([(start, leaf)]);
                        return Ok(self.hand_out(path, leaves, start, offset));
                    }
                    Kind::Branch(children) => path.push(Arc::new(Branch::new(children, start))),
                }
                continue;
            }
            let together = branch.leaves(index, end, self.store.read_ahead());
            // Should one of them fail, what comes before it is asked for by itself.
            if together > 1
                && let Ok(leaves) = self.fetch_leaves(branch, index..index + together)
            {
                return Ok(self.hand_out(path, leaves, start, offset));
            }
            match self.fetch(&child)? {
                Kind::Leaf(leaf) => {
                    let leaves = VecDeque::from([(start, leaf)]);
                    return Ok(self.hand_out(path, leaves, start, offset));
                }
                Kind::Branch(children) => path.push(Arc::new(Branch::new(children, start))),
            }
        }
    }

    /// Keeps leaves that were fetched, and gives the one with the byte at `offset`.
    fn hand_out(
        &self,
        path: Vec<Arc<Branch>>,
        leaves: VecDeque<(u64, Leaf)>,
        start: u64,
        offset: u64,
    ) -> (u64, Leaf) {
        let mut memo = self.memo();
        memo.fetched(path, leaves, start);
        memo.at_hand(offset).expect("the first of them has the byte")
    }

    /// A block that starts at a place of the file, if it is what comes next of the whole file.
    fn streamed(&self, cid: &Cid, start: u64) -> Option<Block> {
        let mut whole = {
            let mut memo = self.memo();
            let on = memo.from_start && memo.follows(start);
            // Another thread that reads meanwhile finds none, and asks for its blocks one by one.
            if on { std::mem::take(&mut memo.whole) } else { return None }
        };
        let block = whole.next(cid, self.size - start, || self.store.stream(&self.root));
        self.memo().whole = whole;
        block
    }

    fn memo(&self) -> MutexGuard<'_, Memo> {
        // It is replaced as a whole.
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, child: &Child) -> Result<Kind, ReadError> {
        let cid = child.cid;
        let block = self.store.get(&cid)?.ok_or(ReadError::Missing { cid })?;
        checked(child, block)
    }

    /// Several leaves below one node, with where they start.
    fn fetch_leaves(
        &self,
        branch: &Branch,
        which: Range<usize>,
    ) -> Result<VecDeque<(u64, Leaf)>, ReadError> {
        let children = &branch.children[which.clone()];
        let cids: Vec<Cid> = children.iter().map(|child| child.cid).collect();
        let blocks = self.store.get_many(&cids)?;
        let mut leaves = VecDeque::with_capacity(children.len());
        for ((child, start), block) in children.iter().zip(&branch.starts[which]).zip(blocks) {
            let block = block.ok_or(ReadError::Missing { cid: child.cid })?;
            match checked(child, block)? {
                Kind::Leaf(leaf) => leaves.push_back((*start, leaf)),
                Kind::Branch(_) => unreachable!("raw blocks are leaves"),
            }
        }
        Ok(leaves)
    }
}

/// A block that is as long as its parent says.
fn checked(child: &Child, block: Block) -> Result<Kind, ReadError> {
    let cid = child.cid;
    let (kind, found, total) = classify(&cid, block)?;
    if found != child.size {
        return Err(ReadError::SizeMismatch { cid, declared: child.size, found });
    }
    if total != child.tsize {
        return Err(ReadError::TotalMismatch { cid, declared: child.tsize, found: total });
    }
    Ok(kind)
}

/// What a block is, the bytes of the file below it, and the bytes of all blocks from it down.
fn classify(cid: &Cid, block: Block) -> Result<(Kind, u64, u64), ReadError> {
    let len = block.len() as u64;
    if cid.codec() == Codec::Raw {
        let data = 0..block.len();
        return Ok((Kind::Leaf(Leaf { block, data }), len, len));
    }
    if cid.codec() != Codec::DagPb {
        let source = NodeError::NoData;
        return Err(ReadError::Node { cid: *cid, source });
    }
    match FileNode::decode(&block).map_err(|source| ReadError::Node { cid: *cid, source })? {
        FileNode::Leaf(data) => {
            // In the one canonical form only the size field follows the bytes.
            let size = data.len() as u64;
            let end = block.len() - 1 - varint_len(size);
            let data = end - data.len()..end;
            Ok((Kind::Leaf(Leaf { block, data }), size, len))
        }
        FileNode::Branch { size, children } => {
            let total = children.iter().try_fold(len, |sum, c| sum.checked_add(c.tsize));
            Ok((Kind::Branch(children), size, total.unwrap_or(u64::MAX)))
        }
    }
}

/// Gives at most the rest of one leaf at a time, so that what is right comes out before an error.
impl<S: BlockRead> Read for FileReader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Who reads on from leaf to leaf will want what follows; who jumps, perhaps not.
        let end = match self.memo().follows(self.position) {
            true => u64::MAX,
            false => self.position.saturating_add(buffer.len() as u64),
        };
        let n = self.read_some(self.position, buffer, end)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl<S: BlockRead> Seek for FileReader<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.size.checked_add_signed(n),
            SeekFrom::Current(n) => self.position.checked_add_signed(n),
        };
        self.position = target.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "seek to before the start of the file")
        })?;
        Ok(self.position)
    }
}
