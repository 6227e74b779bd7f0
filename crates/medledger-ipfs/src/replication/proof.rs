//! Whether a back end can show what it says it has.

use crate::links::{LinkError, links_of};
use crate::store::{BlockRead, StoreError};
use medledger_core::{Cid, rand_core::Rng};

/// The longest way from a root to a leaf that is walked.
const MAX_DEPTH: u32 = 64;

/// What a back end that said `pinned` did not show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// A block is not there.
    #[error("block {0} is not there")]
    Missing(Cid),
    /// What was delivered for a block is not that block.
    #[error("what is there for block {0} is not that block")]
    Wrong(Cid),
    /// It could not be read: whether the block is there is not known.
    #[error("cannot be read from")]
    Unreadable(#[source] StoreError),
    /// A block is what its CID names, and not a node: whoever made it erred, not who keeps it.
    #[error("block {cid} has no links that can be followed")]
    Links {
        /// The block.
        cid: Cid,
        /// What is wrong with it.
        source: LinkError,
    },
    /// More levels than any tree that is made here.
    #[error("below {0} are more than {MAX_DEPTH} levels")]
    Deep(Cid),
}

/// Walks `samples` times from the root to a leaf, choosing by chance where to go, and hashes each block on the
/// way.
pub(super) fn prove(
    source: &dyn BlockRead,
    root: &Cid,
    samples: u32,
    rng: &mut dyn Rng,
) -> Result<(), ProofError> {
    for _ in 0..samples {
        let (mut cid, mut depth) = (*root, 0);
        loop {
            let links = links(source, &cid)?;
            if links.is_empty() {
                break;
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(ProofError::Deep(*root));
            }
            // The remainder favours some links by less than one in 2^40.
            cid = links[(rng.next_u64() % links.len() as u64) as usize];
        }
    }
    Ok(())
}

fn links(source: &dyn BlockRead, cid: &Cid) -> Result<Vec<Cid>, ProofError> {
    match source.get(cid) {
        // Sources hash what they give; here it is the very question, so it is asked again.
        Ok(Some(block)) if cid.matches(&block) => {
            links_of(cid.codec(), &block).map_err(|source| ProofError::Links { cid: *cid, source })
        }
        Ok(Some(_)) | Err(StoreError::Damaged { .. } | StoreError::Mismatch { .. }) => {
            Err(ProofError::Wrong(*cid))
        }
        Ok(None) => Err(ProofError::Missing(*cid)),
        Err(error) => Err(ProofError::Unreadable(error)),
    }
}
