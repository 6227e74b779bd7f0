//! A file's bytes in, blocks and the root CID out.

use super::{
    leaves::{hash_leaves, node_cid},
    node::{Child, Wrapping, encode_branch},
    profile::{Leaves, Profile},
};
use medledger_core::{Cid, cid::Codec};
use sha256_lanes::Kernel;

/// What names a finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The CID of the file.
    pub cid: Cid,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of all its blocks: what Kubo calls the DAG size.
    pub dag_size: u64,
}

/// Makes the blocks of one file in a single pass, in memory of one leaf and one node a level.
///
/// Every block goes to the sink, children before parents, the root last. The same block may come
/// more than once, when a file repeats itself. Leaves that lie in one slice given to
/// [`write`](Self::write) are hashed together, as many as the SHA-256 kernel has lanes.
///
/// ```
/// use medledger_ipfs::unixfs::{Builder, Profile};
/// let mut blocks = 0;
/// let mut sink = |_: &_, _: &[u8]| { blocks += 1; Ok::<(), std::convert::Infallible>(()) };
/// let mut builder = Builder::new(Profile::V1_2025);
/// builder.write(&[0; 1 << 20], &mut sink)?;
/// builder.write(&[1; 10], &mut sink)?;
/// let root = builder.finish(&mut sink)?;
/// assert_eq!((root.size, blocks), ((1 << 20) + 10, 3));
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    profile: Profile,
    kernel: Kernel,
    /// Bytes of the leaf that is not full yet; always shorter than a chunk.
    partial: Vec<u8>,
    /// Children waiting for their parent, leaves first; none holds more than `width`.
    levels: Vec<Vec<Child>>,
    size: u64,
    /// Set once a leaf shorter than a chunk was taken: it has to be the last.
    ended: bool,
    scratch: Vec<u8>,
}

impl Builder {
    /// A builder for one file.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self::with_kernel(profile, Kernel::best())
    }

    /// As [`new`](Self::new), with a SHA-256 kernel of choice; no CID depends on it.
    ///
    /// # Panics
    /// When this machine has not got the kernel.
    #[must_use]
    pub fn with_kernel(profile: Profile, kernel: Kernel) -> Self {
        assert!(kernel.is_available(), "this machine has no {kernel}");
        Self {
            profile,
            kernel,
            partial: Vec::new(),
            levels: vec![Vec::new()],
            size: 0,
            ended: false,
            scratch: Vec::new(),
        }
    }

    /// The profile in use.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Bytes of the file so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size + self.partial.len() as u64
    }

    /// Takes the next bytes of the file. Whole chunks are taken from where they lie; only what does
    /// not fill one is copied.
    ///
    /// # Errors
    /// Those of the sink; the builder is of no use after one.
    ///
    /// # Panics
    /// After a short leaf was given to [`push_hashed_leaf`](Self::push_hashed_leaf).
    pub fn write<E>(
        &mut self,
        mut data: &[u8],
        sink: &mut impl FnMut(&Cid, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        assert!(!self.ended || data.is_empty(), "no bytes may follow a leaf shorter than a chunk");
        let chunk = self.profile.chunk();
        if !self.partial.is_empty() {
            let missing = chunk - self.partial.len();
            let (head, rest) = data.split_at(missing.min(data.len()));
            self.partial.extend_from_slice(head);
            data = rest;
            if self.partial.len() < chunk {
                return Ok(());
            }
            let mut full = std::mem::take(&mut self.partial);
            self.leaves(&[&full], sink)?;
            full.clear();
            self.partial = full;
        }
        let (whole, rest) = data.split_at(data.len() - data.len() % chunk);
        for group in whole.chunks(chunk * self.kernel.lanes()) {
            self.leaves(&group.chunks(chunk).collect::<Vec<_>>(), sink)?;
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// Takes a leaf that the caller has filled: a whole chunk is hashed where it lies. The same as
    /// [`write`](Self::write), under the name that says how to be fast.
    ///
    /// # Errors
    /// Those of the sink.
    ///
    /// # Panics
    /// As [`write`](Self::write).
    pub fn push_leaf<E>(
        &mut self,
        leaf: &[u8],
        sink: &mut impl FnMut(&Cid, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.write(leaf, sink)
    }

    /// Takes a leaf that the caller has already hashed and stored: only the tree above is built. For
    /// pipelines that hash many leaves at a time. `cid` names the block, wrapped or not as the profile
    /// says; `len` is the length of the leaf's own bytes.
    ///
    /// # Errors
    /// Those of the sink.
    ///
    /// # Panics
    /// When misused, as the CID would be wrong: `cid` is not of the profile's kind of leaf, the
    /// length is zero or beyond a chunk, bytes given to `write` wait for their leaf to fill, or a
    /// leaf shorter than a chunk came before.
    pub fn push_hashed_leaf<E>(
        &mut self,
        cid: Cid,
        len: usize,
        sink: &mut impl FnMut(&Cid, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let chunk = self.profile.chunk();
        let (codec, beside) = match self.profile.leaves() {
            Leaves::Raw => (Codec::Raw, 0),
            Leaves::DagPb => (Codec::DagPb, Wrapping::new(len).len()),
        };
        assert_eq!(cid.codec(), codec, "leaves of this profile have another codec");
        assert!((1..=chunk).contains(&len), "a leaf of {len} bytes, chunks have {chunk}");
        assert!(self.partial.is_empty(), "bytes of another leaf are waiting");
        assert!(!self.ended, "no leaf may follow one shorter than a chunk");
        self.ended = len < chunk;
        self.size += len as u64;
        self.add(0, Child { cid, size: len as u64, tsize: (len + beside) as u64 }, sink)
    }

    /// Ends the file: writes what waits, up to the root.
    ///
    /// # Errors
    /// Those of the sink.
    ///
    /// # Panics
    /// Never: a file has one leaf at least.
    pub fn finish<E>(
        mut self,
        sink: &mut impl FnMut(&Cid, &[u8]) -> Result<(), E>,
    ) -> Result<Root, E> {
        if !self.partial.is_empty() || self.size == 0 {
            let last = std::mem::take(&mut self.partial);
            self.leaves(&[&last], sink)?;
        }
        let mut level = 0;
        loop {
            let top = level + 1 == self.levels.len();
            if top && self.levels[level].len() == 1 {
                let root = self.levels[level][0];
                return Ok(Root { cid: root.cid, size: self.size, dag_size: root.tsize });
            }
            // Below the top a single child is wrapped too: all leaves lie equally deep.
            self.close(level, sink)?;
            level += 1;
        }
    }

    fn leaves<E>(
        &mut self,
        leaves: &[&[u8]],
        sink: &mut impl FnMut(&Cid, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (leaf, child) in leaves.iter().zip(hash_leaves(self.kernel, &self.profile, leaves)) {
            match self.profile.leaves() {
                Leaves::Raw => sink(&child.cid, leaf)?,
                Leaves::DagPb => {
                    self.scratch.clear();
                    Wrapping::new(leaf.len()).wrap(leaf, &mut self.scratch);
                    sink(&child.cid, &self.scratch)?;
                }
            }
            self.size += child.size;
            self.add(0, child, sink)?;
        }
        Ok(())
    }

    /// A full group is closed only when one more arrives: at the end it may be the root.
    fn add<E>(
        &mut self,
        level: usize,
        child: Child,
        sink: &mut impl FnMut(&Cid, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if level == self.levels.len() {
            self.levels.push(Vec::new());
        }
        if self.levels[level].len() == self.profile.width() {
            self.close(level, sink)?;
        }
        self.levels[level].push(child);
        Ok(())
    }

    fn close<E>(
        &mut self,
        level: usize,
        sink: &mut impl FnMut(&Cid, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let children = &mut self.levels[level];
        self.scratch.clear();
        encode_branch(&mut self.scratch, children);
        let size = children.iter().map(|c| c.size).sum();
        let below: u64 = children.iter().map(|c| c.tsize).sum();
        children.clear();
        let cid = node_cid(&self.profile, sha256_lanes::digest(&self.scratch));
        sink(&cid, &self.scratch)?;
        let tsize = below + self.scratch.len() as u64;
        self.add(level + 1, Child { cid, size, tsize }, sink)
    }
}
