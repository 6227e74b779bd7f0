//! CIDs of many leaves at once.

use super::node::{Child, Wrapping};
use super::profile::{CidVersion, Leaves, Profile};
use medledger_core::{Cid, cid::Codec};
use sha256_lanes::{Kernel, Streams};

/// The leaves of a file with these bytes: as children of the node above them.
pub(crate) fn hash_leaves(kernel: Kernel, profile: &Profile, leaves: &[&[u8]]) -> Vec<Child> {
    let mut streams = Streams::with_kernel(kernel, leaves.len());
    match profile.leaves() {
        Leaves::Raw => {
            streams.update(leaves);
            let digests = streams.finish().into_iter().zip(leaves);
            digests
                .map(|(digest, leaf)| {
                    let len = leaf.len() as u64;
                    Child { cid: Cid::from_digest(Codec::Raw, digest), size: len, tsize: len }
                })
                .collect()
        }
        Leaves::DagPb => {
            let wrappings: Vec<_> = leaves.iter().map(|leaf| Wrapping::new(leaf.len())).collect();
            streams.update(&wrappings.iter().map(|w| &w.head).collect::<Vec<_>>());
            streams.update(leaves);
            streams.update(&wrappings.iter().map(|w| &w.tail).collect::<Vec<_>>());
            let digests = streams.finish().into_iter().zip(leaves.iter().zip(&wrappings));
            digests
                .map(|(digest, (leaf, wrapping))| Child {
                    cid: node_cid(profile, digest),
                    size: leaf.len() as u64,
                    tsize: (leaf.len() + wrapping.len()) as u64,
                })
                .collect()
        }
    }
}

/// The CID of a dag-pb node.
pub(crate) const fn node_cid(profile: &Profile, digest: [u8; 32]) -> Cid {
    match profile.version() {
        CidVersion::V0 => Cid::v0_from_digest(digest),
        CidVersion::V1 => Cid::from_digest(Codec::DagPb, digest),
    }
}
