//! The client and the store against a real Kubo daemon, and what happens when it dies, is full, lies or
//! refuses. `cargo xtask test` brings the daemon; without it, every test says that it is skipped.

mod calls;
mod daemon;
mod faults;
mod gateway;
mod gateway_answers;
mod store;

use medledger_ipfs::cid::Codec;
use medledger_ipfs::unixfs::{Builder, Profile, Root};
use medledger_ipfs::{BlockStore, Cid};

/// Bytes that repeat nowhere soon.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn raw(bytes: &[u8]) -> Cid {
    Cid::of(Codec::Raw, bytes)
}

/// Stores a file.
fn store_file(store: &dyn BlockStore, data: &[u8], profile: Profile) -> Root {
    let session = store.begin().unwrap();
    let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
    let mut builder = Builder::new(profile);
    builder.write(data, &mut sink).unwrap();
    let root = builder.finish(&mut sink).unwrap();
    session.commit(&root.cid).unwrap();
    root
}
