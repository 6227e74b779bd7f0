//! A CAR file as a source of blocks.

use super::{CarError, CarReader, ReadOptions, graph::Graph};
use crate::{
    block::Block,
    store::{BlockRead, StoreError},
};
use medledger_core::Cid;
use std::{
    fmt,
    io::{Read, Seek, SeekFrom},
    sync::{Mutex, PoisonError},
};

/// A CAR that was read and verified once, and whose blocks can now be had by CID.
///
/// Beside what is remembered of the DAG, it takes 16 bytes of memory a block.
pub struct IndexedCar<R> {
    input: Mutex<R>,
    roots: Vec<Cid>,
    graph: Graph,
    /// Offset and length of each block, by its number in the graph.
    places: Vec<(u64, u32)>,
    blocks: u64,
}

impl<R> fmt::Debug for IndexedCar<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedCar")
            .field("roots", &self.roots)
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}

impl<R: Read + Seek + Send> IndexedCar<R> {
    /// Reads and verifies all of it, from where the stream stands, which has to be its start.
    ///
    /// `progress` is told the bytes read so far.
    ///
    /// # Errors
    /// See [`CarError`].
    pub fn open(
        input: R,
        options: ReadOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, CarError> {
        let mut reader = CarReader::with_options(input, options)?;
        let mut places = Vec::new();
        let mut blocks = 0;
        while let Some((cid, block)) = reader.next_block()? {
            let len = block.len() as u32;
            if reader.is_new()
                && let Some(number) = reader.graph().number(&cid)
            {
                let number = number as usize;
                places.resize(places.len().max(number + 1), (0, 0));
                places[number] = (reader.block_offset(), len);
                blocks += 1;
            }
            progress(reader.position());
        }
        let (input, roots, graph) = reader.into_parts();
        Ok(Self { input: Mutex::new(input), roots, graph, places, blocks })
    }

    /// The roots as the header names them.
    #[must_use]
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// Different blocks in it.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }
}

impl<R: Read + Seek + Send> BlockRead for IndexedCar<R> {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let Some(number) = self.graph.number_of_hash(cid) else { return Ok(None) };
        let (offset, len) = self.places[number as usize];
        let mut block = vec![0; len as usize];
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input
            .seek(SeekFrom::Start(offset))
            .and_then(|_| input.read_exact(&mut block))
            .map_err(|e| StoreError::Backend { store: "the CAR".into(), source: e.into() })?;
        drop(input);
        // The file may have changed since it was verified.
        if cid.matches(&block) {
            Ok(Some(block.into()))
        } else {
            Err(StoreError::Damaged { cid: *cid, path: None })
        }
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.graph.number_of_hash(cid).is_some())
    }
}
