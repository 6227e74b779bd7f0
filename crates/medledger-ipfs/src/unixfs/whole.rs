//! A file that is read from its beginning on, as one stream of blocks.

use crate::block::Block;
use crate::store::BlockStream;
use medledger_core::Cid;
use std::fmt;

/// Bytes that must be left of a file for a stream to be worth its beginning.
const WORTH: u64 = 4 << 20;
/// Blocks that may be passed over: those at the beginning that were fetched already, and nodes.
const PASSED: usize = 64;
/// Times that something else may come than is wanted: leaves that stand in a file more than once come once.
const STRANGE: usize = 64;

/// All blocks of a file, or that none are to be had so.
#[derive(Default)]
pub(super) enum Whole {
    #[default]
    NotAsked,
    Coming {
        stream: BlockStream,
        /// What comes next.
        next: Option<(Cid, Block)>,
        strange: usize,
    },
    Over,
}

impl Whole {
    /// The block, if it is what comes next; `left` bytes of the file are. Whatever goes wrong, the block can be
    /// asked for by itself, and what is wrong with it is told then.
    pub(super) fn next(
        &mut self,
        cid: &Cid,
        left: u64,
        ask: impl FnOnce() -> Option<BlockStream>,
    ) -> Option<Block> {
        if matches!(self, Self::NotAsked) {
            if left < WORTH {
                return None;
            }
            *self = Self::begin(cid, ask());
        }
        let Self::Coming { stream, next, strange } = self else { return None };
        match next.take() {
            Some((found, block)) if found == *cid => {
                match stream.next() {
                    Some(Ok(after)) => *next = Some(after),
                    _ => *self = Self::Over,
                }
                Some(block)
            }
            other => {
                (*next, *strange) = (other, *strange + 1);
                if *strange > STRANGE {
                    *self = Self::Over;
                }
                None
            }
        }
    }

    /// Passes over what is known already.
    fn begin(cid: &Cid, stream: Option<BlockStream>) -> Self {
        let Some(mut stream) = stream else { return Self::Over };
        for block in stream.by_ref().take(PASSED) {
            match block {
                Ok(next) if next.0 == *cid => {
                    return Self::Coming { stream, next: Some(next), strange: 0 };
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        Self::Over
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "NotAsked",
            Self::Coming { .. } => "Coming",
            Self::Over => "Over",
        })
    }
}
