//! Trees made to mislead. A block cannot lie about its own bytes, but it can about those below. (It
//! cannot link to itself or to what lies above: its CID would have to be known before its bytes.)

use crate::{bytes, in_memory, small};
use medledger_ipfs::{
    BlockStore, Cid, MemoryStore, StoreError,
    cid::Codec,
    unixfs::{
        CidVersion, FileReader, Leaves, MAX_DEPTH, NodeError, ReadError,
        dagpb::{PbLink, PbNode},
    },
};
use std::io::Read;

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A branch that says whatever is asked for: (child, file bytes, bytes of all blocks).
fn branch(children: &[(Cid, u64, u64)]) -> Vec<u8> {
    let mut message = vec![8, 2, 0x18];
    varint(&mut message, children.iter().map(|c| c.1).sum());
    for (_, size, _) in children {
        message.push(0x20);
        varint(&mut message, *size);
    }
    let links =
        children.iter().map(|(cid, _, tsize)| PbLink { cid: *cid, name: "", tsize: *tsize });
    PbNode { links: links.collect(), data: Some(&message) }.encode()
}

fn put(store: &MemoryStore, codec: Codec, block: &[u8]) -> Cid {
    let cid = Cid::of(codec, block);
    let session = store.begin().unwrap();
    session.put(&cid, block).unwrap();
    session.commit(&cid).unwrap();
    cid
}

fn read_all(store: &MemoryStore, root: Cid) -> Result<Vec<u8>, ReadError> {
    let reader = FileReader::open(store, root, None)?;
    let mut out = vec![0; 64];
    let n = reader.read_at(0, &mut out)?;
    out.truncate(n);
    Ok(out)
}

#[test]
fn pitfall_16_sizes_that_lie_are_typed_errors() {
    let store = MemoryStore::new();
    let leaf = put(&store, Codec::Raw, b"four");
    for (size, tsize) in [(3, 4), (5, 4), (1 << 50, 4)] {
        let root = put(&store, Codec::DagPb, &branch(&[(leaf, size, tsize)]));
        match read_all(&store, root) {
            Err(ReadError::SizeMismatch { cid, declared, found: 4 }) => {
                assert_eq!((cid, declared), (leaf, size));
            }
            other => panic!("{other:?}"),
        }
    }
    let root = put(&store, Codec::DagPb, &branch(&[(leaf, 4, 5)]));
    let result = read_all(&store, root);
    assert!(matches!(result, Err(ReadError::TotalMismatch { declared: 5, found: 4, .. })));
    // One level down.
    let inner = branch(&[(leaf, 4, 4)]);
    let (inner, len) = (put(&store, Codec::DagPb, &inner), inner.len() as u64);
    let root = put(&store, Codec::DagPb, &branch(&[(inner, 8, len + 4)]));
    let result = read_all(&store, root);
    assert!(matches!(result, Err(ReadError::SizeMismatch { declared: 8, found: 4, .. })));
    let root = put(&store, Codec::DagPb, &branch(&[(inner, 4, len + 4)]));
    assert_eq!(read_all(&store, root).unwrap(), b"four");
    let result = FileReader::open(&store, root, Some(5));
    assert!(matches!(result, Err(ReadError::UnexpectedSize { expected: 5, found: 4, .. })));
}

#[test]
fn pitfall_38_depth_is_bounded_and_what_just_fits_is_read() {
    let store = MemoryStore::new();
    let leaf = put(&store, Codec::Raw, b"x");
    let (mut cid, mut tsize) = (leaf, 1);
    for depth in 1..=MAX_DEPTH + 2 {
        let block = branch(&[(cid, 1, tsize)]);
        tsize += block.len() as u64;
        cid = put(&store, Codec::DagPb, &block);
        match read_all(&store, cid) {
            Ok(data) if depth <= MAX_DEPTH => assert_eq!(data, b"x"),
            Err(ReadError::TooDeep { limit, .. }) if depth > MAX_DEPTH => {
                assert_eq!(limit, MAX_DEPTH);
            }
            other => panic!("depth {depth}: {other:?}"),
        }
    }
}

/// A few hundred bytes that claim, truthfully, to be a file of 2^50 bytes: opening and reading a
/// range cost only the path, and whoever knows the length is not misled.
#[test]
fn pitfall_38_a_small_tree_of_a_huge_file_costs_only_what_is_read() {
    let store = MemoryStore::new();
    let leaf = put(&store, Codec::Raw, &[7; 1024]);
    let (mut cid, mut size, mut tsize) = (leaf, 1024u64, 1024u64);
    while size < 1 << 50 {
        let block = branch(&[(cid, size, tsize); 4]);
        tsize = tsize * 4 + block.len() as u64;
        size *= 4;
        cid = put(&store, Codec::DagPb, &block);
    }
    let mut reader = FileReader::open(&store, cid, None).unwrap();
    assert_eq!(reader.size(), size);
    let mut buffer = [0; 3000];
    assert_eq!(reader.read_at(size - 2000, &mut buffer).unwrap(), 2000);
    assert_eq!(buffer[..2000], [7; 2000]);
    reader.read_exact(&mut buffer).unwrap();
    let result = FileReader::open(&store, cid, Some(1024));
    assert!(matches!(result, Err(ReadError::UnexpectedSize { .. })));
}

#[test]
fn things_that_are_no_files_say_so() {
    let store = MemoryStore::new();
    let folder = put(&store, Codec::DagPb, &[0x0a, 2, 8, 1]);
    let result = read_all(&store, folder);
    assert!(matches!(result, Err(ReadError::Node { source: NodeError::NotAFile(1), .. })));
    let noise = put(&store, Codec::DagPb, b"noise");
    assert!(matches!(read_all(&store, noise), Err(ReadError::Node { .. })));
    let cbor = put(&store, Codec::DagCbor, &[0xa0]);
    assert!(matches!(read_all(&store, cbor), Err(ReadError::Node { .. })));
    let absent = Cid::of(Codec::Raw, b"absent");
    assert!(matches!(read_all(&store, absent), Err(ReadError::Missing { cid }) if cid == absent));
}

#[test]
fn pitfall_16_damaged_and_missing_leaves_name_themselves() {
    let data = bytes(30);
    let (store, root) = in_memory(&data, small(CidVersion::V1, Leaves::Raw, 10, 5));
    let second = Cid::of(Codec::Raw, &data[10..20]);
    store.delete(&second).unwrap();
    let mut reader = FileReader::open(&store, root.cid, Some(30)).unwrap();
    let mut buffer = [0; 30];
    assert_eq!(reader.read_at(0, &mut buffer[..10]).unwrap(), 10);
    assert_eq!(reader.read_at(20, &mut buffer[..10]).unwrap(), 10);
    let result = reader.read_at(5, &mut buffer);
    assert!(matches!(result, Err(ReadError::Missing { cid }) if cid == second));

    let session = store.begin().unwrap();
    session.put(&second, &data[11..21]).unwrap();
    session.commit(&root.cid).unwrap();
    let result = reader.read_at(15, &mut buffer[..1]);
    assert!(matches!(
        result,
        Err(ReadError::Store(StoreError::Damaged { cid, .. })) if cid == second
    ));
    let mut out = Vec::new();
    let error = reader.read_to_end(&mut out).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(out, &data[..10], "only what is right came out");
}
