//! The links out of a block, whatever its codec.

use crate::unixfs::dagpb::{PbError, PbNode};
use medledger_core::{Cid, cid::Codec};

/// A block whose links cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Not a canonical dag-pb node.
    #[error(transparent)]
    Pb(#[from] PbError),
    /// Not a DAG-CBOR item, or one with bytes after it.
    #[error("malformed DAG-CBOR at byte {at}")]
    Cbor {
        /// Offset of the first byte that does not fit.
        at: usize,
    },
    /// A link whose CID cannot be used.
    #[error("unusable link at byte {at}: {source}")]
    Cid {
        /// Offset of the link.
        at: usize,
        /// What is wrong with it.
        source: medledger_core::cid::CidError,
    },
}

/// The CIDs a block links to, in the order they stand in it, repetitions included.
///
/// # Errors
/// When the block is not what its codec says.
///
/// ```
/// use medledger_ipfs::{Cid, cid::Codec, links::links_of};
/// assert_eq!(links_of(Codec::Raw, b"anything"), Ok(vec![]));
/// assert!(links_of(Codec::DagPb, b"anything").is_err());
/// ```
pub fn links_of(codec: Codec, block: &[u8]) -> Result<Vec<Cid>, LinkError> {
    match codec {
        Codec::Raw => Ok(Vec::new()),
        Codec::DagPb => Ok(PbNode::decode(block)?.links.into_iter().map(|l| l.cid).collect()),
        Codec::DagCbor => cbor_links(block),
    }
}

/// Walks the heads from left to right. Items follow one another in their bytes whatever their
/// nesting, so counting those still due is enough: no recursion, nothing to exhaust.
fn cbor_links(bytes: &[u8]) -> Result<Vec<Cid>, LinkError> {
    let mut links = Vec::new();
    let mut at = 0;
    let mut due = 1u64;
    while due > 0 {
        due -= 1;
        let malformed = LinkError::Cbor { at };
        let (major, argument, head) = cbor_head(bytes, at).ok_or(malformed.clone())?;
        let start = at + head;
        let more = match major {
            0 | 1 | 7 => 0,
            2 | 3 => {
                let len = usize::try_from(argument).map_err(|_| malformed.clone())?;
                at = start.checked_add(len).filter(|end| *end <= bytes.len()).ok_or(malformed)?;
                continue;
            }
            4 => argument,
            5 => argument.checked_mul(2).ok_or(malformed.clone())?,
            6 if argument == 42 => {
                // A byte string: zero for "binary", then the CID.
                let (2, len, inner) = cbor_head(bytes, start).ok_or(malformed.clone())? else {
                    return Err(malformed);
                };
                let from = start + inner;
                let end = usize::try_from(len).ok().and_then(|n| from.checked_add(n));
                let string = end.and_then(|end| bytes.get(from..end)).ok_or(malformed.clone())?;
                let cid = string.strip_prefix(&[0]).ok_or(malformed)?;
                links.push(Cid::from_bytes(cid).map_err(|source| LinkError::Cid { at, source })?);
                at = from + string.len();
                continue;
            }
            _ => return Err(malformed),
        };
        at = start;
        due = due.checked_add(more).ok_or(malformed.clone())?;
        // Every item takes a byte at least, so more than are left is a lie.
        if due > (bytes.len() - at) as u64 {
            return Err(malformed);
        }
    }
    if at == bytes.len() { Ok(links) } else { Err(LinkError::Cbor { at }) }
}

/// Major type, argument and length of a head; no indefinite lengths.
fn cbor_head(bytes: &[u8], at: usize) -> Option<(u8, u64, usize)> {
    let first = *bytes.get(at)?;
    let (major, info) = (first >> 5, first & 31);
    match info {
        0..=23 => Some((major, u64::from(info), 1)),
        24..=27 => {
            let width = 1usize << (info - 24);
            let tail = bytes.get(at + 1..at + 1 + width)?;
            Some((major, tail.iter().fold(0, |n, b| n << 8 | u64::from(*b)), 1 + width))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medledger_core::{cbor, cid::Link};
    use proptest::prelude::*;

    #[test]
    fn links_are_found_at_any_depth_in_order() {
        let cids: Vec<Cid> = (0..3).map(|i| Cid::of(Codec::Raw, &[i])).collect();
        let node =
            (Link(cids[2]), "text", vec![(1u64, Link(cids[0])), (2, Link(cids[1]))], cids[0]);
        let found = links_of(Codec::DagCbor, &cbor::encode(&node));
        // The last one is plain bytes, not a link.
        assert_eq!(found, Ok(vec![cids[2], cids[0], cids[1]]));
    }

    #[test]
    fn malformed_cbor_has_its_place() {
        let at = |n| Err(LinkError::Cbor { at: n });
        assert_eq!(links_of(Codec::DagCbor, &[]), at(0));
        assert_eq!(links_of(Codec::DagCbor, &[0x01, 0x01]), at(1));
        assert_eq!(links_of(Codec::DagCbor, &[0x82, 0x01]), at(0));
        assert_eq!(
            links_of(Codec::DagCbor, &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255]),
            at(0)
        );
        assert_eq!(
            links_of(Codec::DagCbor, &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]),
            at(0)
        );
        assert_eq!(links_of(Codec::DagCbor, &[0x9f, 0xff]), at(0));
        assert_eq!(links_of(Codec::DagCbor, &[0xd8, 42, 0x41, 1]), at(0));
        assert_eq!(links_of(Codec::DagCbor, &[0xd8, 43, 0x41, 0]), at(0));
        let not_a_cid = links_of(Codec::DagCbor, &[0xd8, 42, 0x42, 0, 1]);
        assert!(matches!(not_a_cid, Err(LinkError::Cid { at: 0, .. })));
    }

    #[test]
    fn pitfall_38_nesting_of_a_million_costs_nothing() {
        let mut deep = vec![0x81; 1_000_000];
        deep.push(0);
        assert_eq!(links_of(Codec::DagCbor, &deep), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = links_of(Codec::DagCbor, &bytes);
            let _ = links_of(Codec::DagPb, &bytes);
        }
    }
}
