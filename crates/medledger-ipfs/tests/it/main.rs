//! What the crate promises, seen from outside: published vectors, an independent implementation,
//! hostile trees and damaged folders.

mod files;
mod hostile;
mod js;
mod kubo_cars;
mod oracle;
mod pipeline;
mod reader;
mod selected_cars;
mod stores;
mod vector_file;
mod vectors;

use medledger_ipfs::{
    BlockStore, Cid, MemoryStore,
    unixfs::{Builder, CidVersion, Leaves, Profile, Root},
};

/// A profile with small numbers, so that small files make deep trees.
fn small(version: CidVersion, leaves: Leaves, chunk: usize, width: usize) -> Profile {
    Profile::custom(version, leaves, chunk, width).unwrap()
}

/// The four combinations of CID version and kind of leaf.
const KINDS: [(CidVersion, Leaves); 4] = [
    (CidVersion::V0, Leaves::DagPb),
    (CidVersion::V0, Leaves::Raw),
    (CidVersion::V1, Leaves::DagPb),
    (CidVersion::V1, Leaves::Raw),
];

/// Stores a file and says what it became; the sink sees the blocks in their order.
fn store_file(store: &dyn BlockStore, data: &[u8], profile: Profile) -> (Root, Vec<Cid>) {
    let session = store.begin().unwrap();
    let mut cids = Vec::new();
    let mut sink = |cid: &Cid, block: &[u8]| {
        cids.push(*cid);
        session.put(cid, block)
    };
    let mut builder = Builder::new(profile);
    builder.write(data, &mut sink).unwrap();
    let root = builder.finish(&mut sink).unwrap();
    session.commit(&root.cid).unwrap();
    (root, cids)
}

fn in_memory(data: &[u8], profile: Profile) -> (MemoryStore, Root) {
    let store = MemoryStore::new();
    let (root, _) = store_file(&store, data, profile);
    (store, root)
}

/// Bytes that repeat nowhere soon.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}
