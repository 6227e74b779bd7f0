//! CAR files.

use medledger_core::{Cid, cbor::encode, cid::Codec, cid::Link};
use medledger_ipfs::car::{CarReader, CarWriter, ReadOptions, export};
use medledger_ipfs::{BlockStore, MemoryStore};

/// Roots, blocks and version of a file.
type Read = (Vec<Cid>, Vec<(Cid, Vec<u8>)>, u8);

/// Reads a file to its end, if it is one.
fn read(data: &[u8], complete: bool) -> Option<Read> {
    let mut options = ReadOptions::default();
    options.complete = complete;
    let mut reader = CarReader::with_options(data, options).ok()?;
    let mut blocks = Vec::new();
    while let Some((cid, block)) = reader.next_block().ok()? {
        assert!(cid.matches(block), "a block came out that does not match its CID");
        blocks.push((cid, block.to_vec()));
    }
    Some((reader.roots().to_vec(), blocks, reader.version()))
}

/// A CAR: what is accepted is a complete DAG, written block by block it is the same file, and neither
/// what is cut off nor what is appended goes unnoticed.
pub fn car(data: &[u8]) {
    let any = read(data, false);
    let Some((roots, blocks, version)) = read(data, true) else { return };
    assert_eq!(any.map(|any| any.1), Some(blocks.clone()), "strict accepts more than lenient");
    let mut writer = CarWriter::new(Vec::new(), &roots).expect("a root was there");
    for (cid, block) in &blocks {
        writer.put(cid, block).expect("what was read can be written");
    }
    let (written, _) = writer.finish().expect("what was complete stays so");
    let again = read(&written, true).expect("what was written can be read");
    assert_eq!((&again.0, again.2), (&roots, 1));
    // Two CIDs of one block, such as both versions, are written once.
    let mut met = std::collections::HashSet::new();
    let new = |cid: &&(Cid, Vec<u8>)| met.insert((cid.0.codec(), *cid.0.digest()));
    let once: Vec<_> = blocks.iter().filter(new).cloned().collect();
    assert_eq!(again.1, once);
    if version == 1 {
        assert!(read(&data[..data.len() - 1], true).is_none(), "cut, yet accepted");
        assert!(read(&[data, &[0]].concat(), true).is_none(), "longer, yet accepted");
        assert!(once.len() < blocks.len() || written == data, "one DAG, one file");
    }
    // Through a store, and depth first.
    let store = MemoryStore::new();
    let reader = CarReader::new(data).expect("it was read before");
    medledger_ipfs::car::import(reader, &store, &mut |_| {}).expect("it is complete");
    assert!(store.pins().is_ok_and(|pins| !pins.is_empty()));
    let exported = export(&store, &roots, Vec::new()).expect("everything is in the store").0;
    assert_eq!(read(&exported, true).map(|read| read.1.len()), Some(once.len()));
}

/// Seeds of [`car`]: one block, a small tree, several roots, version 2.
pub fn seeds() -> Vec<Vec<u8>> {
    let store = MemoryStore::new();
    let put = |codec, block: &[u8]| {
        let cid = Cid::of(codec, block);
        let session = store.begin().expect("memory");
        session.put(&cid, block).expect("memory");
        session.commit(&cid).expect("memory");
        cid
    };
    let raw = put(Codec::Raw, b"x");
    let pb = put(Codec::DagPb, &[0x0a, 2, 8, 1]);
    let node = put(Codec::DagCbor, &encode(&(Link(raw), Link(pb), Link(raw))));
    let car = |roots: &[Cid]| export(&store, roots, Vec::new()).expect("it is whole").0;
    let v1 = car(&[node]);
    let mut v2 = b"\x0a\xa1\x67version\x02".to_vec();
    v2.extend_from_slice(&[0; 16]);
    for number in [53, v1.len() as u64, 0] {
        v2.extend_from_slice(&number.to_le_bytes());
    }
    v2.extend_from_slice(&[0; 2]);
    v2.extend_from_slice(&v1);
    vec![car(&[raw]), v1, car(&[pb, node]), v2]
}
