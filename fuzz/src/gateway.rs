//! CARs from gateways.

use medledger_core::{Cid, cbor::encode, cid::Codec, cid::Link};
use medledger_ipfs::car::{CarReader, CarWriter, ReadOptions, Scope, SelectedCar, SelectedOptions};
use medledger_ipfs::unixfs::{Builder, CidVersion, FileReader, Leaves, Profile, ReadError};
use medledger_ipfs::{BlockStore, MemoryStore};

type Blocks = Vec<(Cid, Vec<u8>)>;

/// Reads an answer to its end, if it is one.
fn answer(data: &[u8], root: &Cid, scope: Scope) -> Option<Blocks> {
    let mut car = SelectedCar::new(data, root, scope, SelectedOptions::default()).ok()?;
    let mut blocks = Blocks::new();
    while let Some((cid, block)) = car.next_block().ok()? {
        assert!(cid.matches(block), "a block came out that does not match its CID");
        assert!(!blocks.iter().any(|(c, _)| same(c, &cid)), "a block came out twice");
        blocks.push((cid, block.to_vec()));
    }
    assert!(car.is_complete());
    Some(blocks)
}

fn same(a: &Cid, b: &Cid) -> bool {
    a.codec() == b.codec() && a.digest() == b.digest()
}

/// The sections of a CAR without its header, which is of no account to who reads an answer.
fn sections(blocks: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (cid, block) in blocks {
        let cid = cid.to_bytes();
        varint(&mut out, cid.len() + block.len());
        out.extend_from_slice(&cid);
        out.extend_from_slice(block);
    }
    out
}

fn varint(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A header that names no root.
const HEADER: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";

/// Three bytes of scope and range, then a CAR whose first block is the root that is asked for. What is accepted is
/// what was asked for: enough to read it, nothing that could be left out, and the same when sent again.
pub fn gateway_car(data: &[u8]) {
    let Some((&[kind, from, to], data)) = data.split_first_chunk() else { return };
    let (from, to) = (u64::from(from), u64::from(to));
    let scope = match kind % 4 {
        0 => Scope::Block,
        1 => Scope::Entity,
        2 => Scope::All,
        _ => Scope::Bytes { from, to },
    };
    let mut options = ReadOptions::default();
    (options.complete, options.ignore_roots) = (false, true);
    let Ok(mut reader) = CarReader::with_options(data, options) else { return };
    let Ok(Some((root, _))) = reader.next_block() else { return };
    let Some(blocks) = answer(data, &root, scope) else { return };
    assert!(same(&blocks[0].0, &root), "the root comes first");
    assert!(scope != Scope::Block || blocks.len() == 1);
    let again = [HEADER, &sections(&blocks)].concat();
    assert_eq!(answer(&again, &root, scope), Some(blocks.clone()));
    assert_eq!(answer(&again[..again.len() - 1], &root, scope), None, "cut, yet accepted");
    for at in 0..blocks.len() {
        let mut less = blocks.clone();
        less.remove(at);
        let less = [HEADER, &sections(&less)].concat();
        assert_eq!(answer(&less, &root, scope), None, "a block was not needed");
    }
    let store = MemoryStore::new();
    let session = store.begin().expect("memory");
    for (cid, block) in &blocks {
        session.put(cid, block).expect("memory");
    }
    session.commit(&root).expect("memory");
    match scope {
        Scope::Block => {}
        // Another reader agrees that it is complete and has nothing else.
        Scope::All => {
            let mut writer = CarWriter::new(Vec::new(), &[root]).expect("a root");
            for (cid, block) in &blocks {
                writer.put(cid, block).expect("it was read");
            }
            writer.finish().expect("everything below the root is there, and nothing else");
        }
        Scope::Entity | Scope::Bytes { .. } => {
            let (from, len) = match scope {
                Scope::Bytes { to, .. } if to < from => return,
                Scope::Bytes { to, .. } => (from, (to - from + 1) as usize),
                _ => (0, 1 << 16),
            };
            let read = FileReader::open(&store, root, None)
                .and_then(|file| file.read_at(from, &mut vec![0; len]));
            assert!(!matches!(read, Err(ReadError::Missing { .. })), "accepted, yet incomplete");
        }
        _ => unreachable!("no other scope was made above"),
    }
}

/// Seeds of [`gateway_car`]: a file of two levels, whole and in part, one whose leaves are alike, a leaf, and a node of DAG-CBOR.
pub fn seeds() -> Vec<Vec<u8>> {
    let file = |version, leaves, bytes: &[u8]| {
        let mut blocks = Blocks::new();
        let mut sink = |cid: &Cid, block: &[u8]| {
            blocks.insert(0, (*cid, block.to_vec()));
            Ok::<(), ()>(())
        };
        let profile = Profile::custom(version, leaves, 2, 2).expect("within bounds");
        let mut builder = Builder::new(profile);
        builder.write(bytes, &mut sink).expect("memory");
        builder.finish(&mut sink).expect("memory");
        blocks
    };
    let seed =
        |head: [u8; 3], blocks: &[(Cid, Vec<u8>)]| [&head[..], HEADER, &sections(blocks)].concat();
    let tree = file(CidVersion::V1, Leaves::Raw, b"abcd");
    let alike = file(CidVersion::V0, Leaves::DagPb, b"aaaa");
    let leaf = (Cid::of(Codec::Raw, b"x"), b"x".to_vec());
    let node = encode(&vec![Link(leaf.0)]);
    let node = (Cid::of(Codec::DagCbor, &node), node);
    vec![
        seed([1, 0, 0], &tree),
        seed([3, 0, 1], &[tree[0].clone(), tree[2].clone()]),
        seed([3, 1, 2], &tree),
        seed([0, 0, 0], &tree[..1]),
        seed([1, 0, 0], &alike[..2]),
        seed([2, 0, 0], &[node, leaf.clone()]),
        seed([2, 0, 0], &[leaf]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_is_accepted() {
        for seed in seeds() {
            let data = &seed[3..];
            let scope = match seed[0] {
                0 => Scope::Block,
                1 => Scope::Entity,
                2 => Scope::All,
                _ => Scope::Bytes { from: seed[1].into(), to: seed[2].into() },
            };
            let mut options = ReadOptions::default();
            (options.complete, options.ignore_roots) = (false, true);
            let mut reader = CarReader::with_options(data, options).unwrap();
            let root = reader.next_block().unwrap().unwrap().0;
            assert!(answer(data, &root, scope).is_some(), "{scope:?} {root}");
        }
    }
}
