//! Checks everything below a root.

use crate::{
    links::{LinkError, links_of},
    store::{BlockRead, StoreError},
};
use medledger_core::Cid;
use std::collections::HashSet;

/// What was found below a root. Every block counts once, however often it is linked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DagReport {
    /// Blocks that are there and healthy.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that are not there.
    pub missing: Vec<Cid>,
    /// Blocks whose bytes do not match their CID.
    pub damaged: Vec<Cid>,
    /// Blocks that match their CID but are not what its codec says, so what lies below is unknown.
    pub malformed: Vec<(Cid, LinkError)>,
}

impl DagReport {
    /// Whether everything is there and healthy.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty() && self.malformed.is_empty()
    }
}

/// Why a check could not be finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsckError {
    /// The store failed for a reason other than a damaged block.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// More blocks than the caller allows.
    #[error("more than {limit} blocks below {root}")]
    TooManyBlocks {
        /// The root.
        root: Cid,
        /// Blocks allowed.
        limit: u64,
    },
}

/// Walks all blocks below `root` through the links of dag-pb and DAG-CBOR (tag 42), reading and so
/// verifying each. Takes memory for the CIDs met, at most `max_blocks` of them, not for their depth.
///
/// # Errors
/// When the store fails or there are more than `max_blocks`. Missing and damaged blocks are no error:
/// they are what the report is for.
pub fn verify_dag(
    store: &(impl BlockRead + ?Sized),
    root: Cid,
    max_blocks: u64,
) -> Result<DagReport, FsckError> {
    let mut report = DagReport::default();
    let mut met = HashSet::from([root]);
    let mut due = vec![root];
    while let Some(cid) = due.pop() {
        if met.len() as u64 > max_blocks {
            return Err(FsckError::TooManyBlocks { root, limit: max_blocks });
        }
        let block = match store.get(&cid) {
            Ok(Some(block)) => block,
            Ok(None) => {
                report.missing.push(cid);
                continue;
            }
            Err(StoreError::Damaged { .. }) => {
                report.damaged.push(cid);
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        report.blocks += 1;
        report.bytes += block.len() as u64;
        match links_of(cid.codec(), &block) {
            Ok(links) => due.extend(links.into_iter().rev().filter(|link| met.insert(*link))),
            Err(e) => report.malformed.push((cid, e)),
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::{BlockStore, MemoryStore},
        unixfs::{Builder, CidVersion, Leaves, Profile},
    };
    use medledger_core::{cbor, cid::Codec, cid::Link};

    /// A DAG-CBOR node over a file of 100 leaves.
    fn stored() -> (MemoryStore, Cid, Vec<Cid>) {
        let store = MemoryStore::new();
        let session = store.begin().unwrap();
        let mut cids = Vec::new();
        let mut sink = |cid: &Cid, block: &[u8]| {
            cids.push(*cid);
            session.put(cid, block)
        };
        let profile = Profile::custom(CidVersion::V1, Leaves::Raw, 2, 7).unwrap();
        let mut builder = Builder::new(profile);
        let bytes: Vec<u8> = (0..100u8).flat_map(|i| [i, 7]).collect();
        builder.write(&bytes, &mut sink).unwrap();
        let body = builder.finish(&mut sink).unwrap();
        let envelope = cbor::encode(&vec![Link(body.cid)]);
        let root = Cid::of(Codec::DagCbor, &envelope);
        session.put(&root, &envelope).unwrap();
        session.commit(&root).unwrap();
        (store, root, cids)
    }

    fn overwrite(store: &MemoryStore, cid: &Cid, bytes: &[u8]) {
        store.delete(cid).unwrap();
        let session = store.begin().unwrap();
        session.put(cid, bytes).unwrap();
        session.commit(cid).unwrap();
    }

    #[test]
    fn a_whole_dag_is_counted() {
        let (store, root, cids) = stored();
        let report = verify_dag(&store, root, 1000).unwrap();
        assert!(report.is_complete());
        assert_eq!(report.blocks, cids.len() as u64 + 1);
        assert_eq!(report.blocks, 100 + 15 + 3 + 1 + 1);
    }

    #[test]
    fn pitfall_16_missing_damaged_and_malformed_blocks_are_named() {
        let (store, root, cids) = stored();
        store.delete(&cids[3]).unwrap();
        overwrite(&store, &cids[10], b"other bytes");
        let report = verify_dag(&store, root, 1000).unwrap();
        assert_eq!((report.missing, report.damaged), (vec![cids[3]], vec![cids[10]]));

        let odd = Cid::of(Codec::DagCbor, &[0xff]);
        overwrite(&store, &odd, &[0xff]);
        let report = verify_dag(&store, odd, 1000).unwrap();
        assert_eq!(report.malformed, [(odd, LinkError::Cbor { at: 0 })]);
        assert!(!report.is_complete());
    }

    #[test]
    fn pitfall_38_the_number_of_blocks_is_bounded() {
        let (store, root, _) = stored();
        let result = verify_dag(&store, root, 20);
        assert!(matches!(result, Err(FsckError::TooManyBlocks { limit: 20, .. })));
    }
}
