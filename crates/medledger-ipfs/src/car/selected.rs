//! A CAR from someone who is not trusted, read with the question in hand.

use super::selection::{FILE_DEPTH, Scope, Selection, SelectionError};
use super::{CarError, CarReader, Limits, ReadOptions};
use medledger_core::Cid;
use std::io::Read;

/// Why a CAR is not what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectedError {
    /// The CAR itself, or a block in it.
    #[error(transparent)]
    Car(#[from] CarError),
    /// Another block than was asked for, or too often, or a DAG that cannot be followed.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// The CAR ended well and is not all that was asked for.
    #[error("the CAR ended without block {cid}")]
    Incomplete {
        /// The block that did not come, depth first the first of them.
        cid: Cid,
    },
    /// The CAR ended well and holds no block at all: Kubo says so that it has not got the root.
    #[error("the CAR holds no block")]
    Empty,
}

/// Reads a CAR that was asked for by a root and a [`Scope`]: hands out those blocks and no others, each
/// verified and once, and ends well only if all came.
///
/// What the header says is ignored. Blocks may come in any order in which each follows one that links to it,
/// as depth first does; repetitions are passed over, as many as there are links.
///
/// ```
/// use medledger_ipfs::{MemoryStore, BlockStore, car, unixfs::{Builder, Profile}};
///
/// let store = MemoryStore::new();
/// let session = store.begin()?;
/// let root = Builder::new(Profile::V1_2025);
/// # let mut root = root;
/// # let mut sink = |cid: &_, block: &[u8]| session.put(cid, block);
/// # root.write(&[7; 3_000_000], &mut sink)?;
/// # let root = root.finish(&mut sink)?.cid;
/// session.commit(&root)?;
/// let (whole, _) = car::export(&store, &[root], Vec::new())?;
///
/// // All of the file is here, and only its first byte was asked for.
/// let scope = car::Scope::Bytes { from: 0, to: 0 };
/// let mut blocks = car::SelectedCar::new(&whole[..], &root, scope, car::SelectedOptions::default())?;
/// assert!(blocks.next_block()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SelectedCar<R> {
    reader: CarReader<R>,
    selection: Selection,
    any: bool,
    ended: bool,
}

/// Bounds on a CAR from someone who is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectedOptions {
    /// How much of the DAG is remembered.
    pub limits: Limits,
    /// The most bytes that are read.
    pub max_bytes: u64,
}

impl Default for SelectedOptions {
    /// The limits for files, and 1 TiB.
    fn default() -> Self {
        let limits = Limits { max_depth: FILE_DEPTH, ..Limits::FILES };
        Self { limits, max_bytes: 1 << 40 }
    }
}

impl<R: Read> SelectedCar<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// See [`SelectedError`].
    pub fn new(
        input: R,
        root: &Cid,
        scope: Scope,
        options: SelectedOptions,
    ) -> Result<Self, SelectedError> {
        let SelectedOptions { limits, max_bytes } = options;
        // How deep blocks lie below what the header names says nothing.
        let remembered = Limits { max_depth: u32::MAX, ..limits };
        let read =
            ReadOptions { complete: false, ignore_roots: true, limits: remembered, max_bytes };
        let reader = CarReader::with_options(input, read)?;
        let selection = Selection::new(root, scope, limits);
        Ok(Self { reader, selection, any: false, ended: false })
    }

    /// The next block, which matches its CID and was asked for. None at the end: then all came.
    ///
    /// # Errors
    /// See [`SelectedError`]. After one, and after the end, there is nothing more.
    pub fn next_block(&mut self) -> Result<Option<(Cid, &[u8])>, SelectedError> {
        // Set until all went well, so that nothing follows an error.
        if std::mem::replace(&mut self.ended, true) {
            return Ok(None);
        }
        loop {
            let Some((cid, block)) = self.reader.next_block()? else {
                return match self.selection.due() {
                    None => Ok(None),
                    Some(_) if !self.any => Err(SelectedError::Empty),
                    Some(cid) => Err(SelectedError::Incomplete { cid }),
                };
            };
            self.any = true;
            if self.selection.take(&cid, block)? {
                self.ended = false;
                return Ok(Some((cid, self.reader.last_block())));
            }
        }
    }

    /// Whether all that was asked for has come; what still follows can only be repetitions or faults.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.selection.is_complete()
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.reader.position()
    }
}
