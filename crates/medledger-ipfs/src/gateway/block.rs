//! Single blocks.

use super::answer::{Bounded, accepted};
use super::{Gateway, GatewayError};
use crate::block::{Block, MAX_BLOCK_BYTES};
use crate::http::Reply;
use crate::store::{BlockRead, StoreError};
use medledger_core::Cid;
use reqwest::Method;
use reqwest::header::CONTENT_LENGTH;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

const RAW: &str = "application/vnd.ipld.raw";

impl Gateway {
    /// The block, which matches its CID; none when the gateway has not got it.
    ///
    /// # Errors
    /// See [`GatewayError`]. What may pass is asked for again before.
    pub fn block(&self, cid: &Cid) -> Result<Option<Block>, GatewayError> {
        self.endpoint.retry().run(|| {
            let reply = self.call(Method::GET, cid, RAW, &[("format", "raw")]).reply()?;
            let Some(reply) = accepted(reply, RAW)? else { return Ok(None) };
            let bytes = Bounded::new(reply, MAX_BLOCK_BYTES as u64, self.options.within).all()?;
            if cid.matches(&bytes) {
                return Ok(Some(bytes.into()));
            }
            Err(GatewayError::WrongBytes { gateway: self.name().to_owned(), cid: *cid })
        })
    }

    /// The head of the answer; an error where the gateway does not know how to give it alone.
    fn head(&self, cid: &Cid) -> Result<Option<Reply>, GatewayError> {
        self.endpoint
            .retry()
            .run(|| accepted(self.call(Method::HEAD, cid, RAW, &[("format", "raw")]).reply()?, RAW))
    }

    /// Bytes of the block as the gateway says, if it has it.
    fn block_size(&self, cid: &Cid) -> Result<Option<u64>, GatewayError> {
        let told = match self.head(cid) {
            Ok(None) => return Ok(None),
            Ok(Some(reply)) => {
                let length = reply.headers.get(CONTENT_LENGTH);
                length.and_then(|n| n.to_str().ok()?.parse().ok())
            }
            Err(error) if is_unknown_method(&error) => None,
            Err(error) => return Err(error),
        };
        match told.filter(|n| *n <= MAX_BLOCK_BYTES as u64) {
            Some(n) => Ok(Some(n)),
            None => Ok(self.block(cid)?.map(|block| block.len() as u64)),
        }
    }
}

/// Whether this is how a server says that it does not know `HEAD`.
fn is_unknown_method(error: &GatewayError) -> bool {
    use crate::http::HttpError::Status;
    matches!(error, GatewayError::Refused { source: Status { status: 405 | 501, .. }, .. })
}

/// A block with other bytes than its CID names is [`StoreError::Damaged`]; everything else that goes wrong is
/// [`StoreError::Backend`] with a [`GatewayError`] within.
impl BlockRead for Gateway {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.block(cid).map_err(|error| error.into_store(self.name()))
    }

    /// Some at the same time, see [`GatewayOptions::parallel`](super::GatewayOptions::parallel).
    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let threads = self.options.parallel.min(cids.len());
        if threads <= 1 {
            return cids.iter().map(|cid| self.get(cid)).collect();
        }
        let results = Mutex::new(vec![None; cids.len()]);
        let failure = Mutex::new(None);
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while !failed.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(cid) = cids.get(index) else { return };
                        match self.get(cid) {
                            Ok(block) => {
                                results.lock().unwrap_or_else(PoisonError::into_inner)[index] =
                                    block;
                            }
                            Err(error) => {
                                failed.store(true, Ordering::Relaxed);
                                failure
                                    .lock()
                                    .unwrap_or_else(PoisonError::into_inner)
                                    .get_or_insert(error);
                            }
                        }
                    }
                });
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn read_ahead(&self) -> usize {
        self.options.parallel
    }

    /// By `HEAD`, or by asking for the block where the gateway does not know that.
    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let there = match self.head(cid) {
            Err(error) if is_unknown_method(&error) => self.block(cid).map(|b| b.is_some()),
            head => head.map(|reply| reply.is_some()),
        };
        there.map_err(|error| error.into_store(self.name()))
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.block_size(cid).map_err(|error| error.into_store(self.name()))
    }
}
