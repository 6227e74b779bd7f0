//! Bytes of a file in one request.

use super::{Gateway, GatewayError};
use crate::block::{Block, MAX_BLOCK_BYTES};
use crate::car::Scope;
use crate::store::{BlockRead, StoreError};
use crate::unixfs::FileReader;
use medledger_core::Cid;
use std::collections::HashMap;

/// Bytes of the largest range that is read at once: it is held in memory with its blocks.
pub const MAX_RANGE_BYTES: u64 = 256 << 20;

impl Gateway {
    /// The bytes of a file from `offset` on: fewer than `len` only at the end of the file, none beyond it. One
    /// request (`entity-bytes`) for the leaves that the range touches and the nodes above them, each verified.
    ///
    /// Of a range of more than [`MAX_RANGE_BYTES`] only so many come.
    ///
    /// # Errors
    /// See [`GatewayError`]; when the gateway has not got the root, too.
    pub fn read_range(&self, root: &Cid, offset: u64, len: u64) -> Result<Vec<u8>, GatewayError> {
        let len = len.min(MAX_RANGE_BYTES).min(u64::MAX - offset);
        if len == 0 {
            return Ok(Vec::new());
        }
        let blocks = match self.blocks_of(root, offset, len) {
            Err(GatewayError::Refused { source, retry_after }) if is_bad_request(&source) => {
                // Said of a range that lies beyond the end; the root tells whether it does.
                let top = self.block(root)?.ok_or_else(|| self.absent(root))?;
                let blocks = Blocks(HashMap::from([(*root.digest(), top)]));
                if FileReader::open(&blocks, *root, None)?.size() > offset {
                    return Err(GatewayError::Refused { source, retry_after });
                }
                return Ok(Vec::new());
            }
            blocks => blocks?,
        };
        let file = FileReader::open(&blocks, *root, None)?;
        let len = len.min(file.size().saturating_sub(offset));
        // At most as many as the limit above.
        let mut bytes = vec![0; len as usize];
        let read = file.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn blocks_of(&self, root: &Cid, offset: u64, len: u64) -> Result<Blocks, GatewayError> {
        self.endpoint.retry().run(|| {
            let scope = Scope::Bytes { from: offset, to: offset + len - 1 };
            let mut car = self.car_once(root, scope)?;
            let mut blocks = HashMap::new();
            let mut bytes = 0;
            // What follows when everything is here could change nothing: some gateways send all of a file when the
            // range lies beyond its end.
            while !car.is_complete()
                && let Some((cid, block)) = car.next_block()?
            {
                // Two leaves that are touched at their edges, and what lies above.
                bytes += block.len() as u64;
                let limit = 2 * len + 64 * MAX_BLOCK_BYTES as u64;
                if bytes > limit {
                    return Err(GatewayError::TooMuch { gateway: self.name().to_owned(), limit });
                }
                blocks.insert(*cid.digest(), block);
            }
            Ok(Blocks(blocks))
        })
    }
}

fn is_bad_request(error: &crate::http::HttpError) -> bool {
    use crate::http::HttpError::Status;
    matches!(error, Status { status: 400 | 416, .. })
}

/// Blocks that were verified when they came.
#[derive(Debug)]
struct Blocks(HashMap<[u8; 32], Block>);

impl BlockRead for Blocks {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.0.get(cid.digest()).cloned())
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.0.contains_key(cid.digest()))
    }
}
