mod hostile;

use super::*;
use crate::{
    links::LinkError,
    store::{BlockRead, BlockStore, MemoryStore, StoreError},
    unixfs::{Builder, CidVersion, FileReader, Leaves, Profile, dagpb::put_varint},
};
use medledger_core::{
    Cid, cbor,
    cid::{CidError, Codec, Link},
};
use proptest::prelude::*;
use std::io::{Cursor, Read};

/// What is wrong with the CID, when the error is about one.
fn cid_fault(error: &CarError) -> Option<&CidError> {
    match error {
        CarError::Cid { source, .. } => Some(source),
        _ => None,
    }
}

fn put(store: &MemoryStore, codec: Codec, block: &[u8]) -> Cid {
    let cid = Cid::of(codec, block);
    let session = store.begin().unwrap();
    session.put(&cid, block).unwrap();
    session.commit(&cid).unwrap();
    store.unpin(&cid).unwrap();
    cid
}

/// A DAG-CBOR node over a file that repeats itself, so that blocks are linked more than once.
fn stored(version: CidVersion, leaves: Leaves) -> (MemoryStore, Cid, Vec<u8>) {
    let store = MemoryStore::new();
    let data: Vec<u8> = (0..20u8).flat_map(|i| [i % 4; 9]).collect();
    let session = store.begin().unwrap();
    let mut builder = Builder::new(Profile::custom(version, leaves, 9, 3).unwrap());
    let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
    builder.write(&data, &mut sink).unwrap();
    let body = builder.finish(&mut sink).unwrap();
    session.commit(&body.cid).unwrap();
    store.unpin(&body.cid).unwrap();
    let root = put(&store, Codec::DagCbor, &cbor::encode(&vec![Link(body.cid)]));
    (store, root, data)
}

fn car() -> (Vec<u8>, Cid) {
    let (store, root, _) = stored(CidVersion::V0, Leaves::Raw);
    (export(&store, &[root], Vec::new()).unwrap().0, root)
}

fn read(car: &[u8]) -> Result<Vec<(Cid, Vec<u8>)>, CarError> {
    read_with(car, ReadOptions::default())
}

fn read_with(car: &[u8], options: ReadOptions) -> Result<Vec<(Cid, Vec<u8>)>, CarError> {
    let mut reader = CarReader::with_options(car, options)?;
    let mut blocks = Vec::new();
    let result = loop {
        match reader.next_block() {
            Ok(Some((cid, block))) => blocks.push((cid, block.to_vec())),
            Ok(None) => break Ok(blocks),
            Err(error) => break Err(error),
        }
    };
    assert!(matches!(reader.next_block(), Ok(None)), "nothing follows the end or an error");
    result
}

/// A section with whatever CID and bytes.
fn section(cid: &[u8], block: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, (cid.len() + block.len()) as u64);
    [&out[..], cid, block].concat()
}

fn header_of(roots: &[Cid]) -> Vec<u8> {
    section(&[], &header::encode(roots))
}

/// A CARv2 around a CARv1.
fn wrapped(car: &[u8], padding: usize, index: Option<&[u8]>) -> Vec<u8> {
    let offset = 51 + padding as u64;
    let end = offset + car.len() as u64;
    let mut out = v2::PRAGMA.to_vec();
    out.extend_from_slice(&[0; 16]);
    for number in [offset, car.len() as u64, index.map_or(0, |_| end)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    [&out[..], &vec![0; padding], car, index.unwrap_or_default()].concat()
}

#[test]
fn blocks_come_depth_first_and_once_and_read_back() {
    for version in [CidVersion::V0, CidVersion::V1] {
        for leaves in [Leaves::Raw, Leaves::DagPb] {
            let (store, root, data) = stored(version, leaves);
            let (file, summary) = export(&store, &[root], Vec::new()).unwrap();
            assert_eq!(summary.bytes, file.len() as u64);
            let blocks = read(&file).unwrap();
            assert_eq!(summary.blocks, blocks.len() as u64);
            // Depth first by its definition.
            let mut expected: Vec<Cid> = Vec::new();
            visit(&store, root, &mut expected);
            assert_eq!(blocks.iter().map(|b| b.0).collect::<Vec<_>>(), expected);
            assert!(blocks.len() < 1 + 1 + 3 + 7 + 20, "repeated blocks are there once");
            assert_eq!(export(&store, &[root], Vec::new()).unwrap().0, file, "deterministic");

            let other = MemoryStore::new();
            let imported = import(CarReader::new(&file[..]).unwrap(), &other, &mut |_| {}).unwrap();
            assert_eq!((imported.blocks, &imported.roots[..]), (summary.blocks, &[root][..]));
            assert_eq!(other.pins().unwrap(), [root]);
            assert_eq!(export(&other, &[root], Vec::new()).unwrap().0, file);
            let body = blocks[1].0;
            let mut text = Vec::new();
            FileReader::open(&other, body, None).unwrap().read_to_end(&mut text).unwrap();
            assert_eq!(text, data);
        }
    }
}

fn visit(store: &MemoryStore, cid: Cid, met: &mut Vec<Cid>) {
    if met.contains(&cid) {
        return;
    }
    met.push(cid);
    let block = store.get(&cid).unwrap().unwrap();
    for link in crate::links::links_of(cid.codec(), &block).unwrap() {
        visit(store, link, met);
    }
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let store = MemoryStore::new();
    let cid = put(&store, Codec::Raw, b"hello world");
    let (file, _) = export(&store, &[cid], Vec::new()).unwrap();
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let digest = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    let expected = format!(
        "3a{}{}{}",
        format_args!("a265726f6f747381d82a582500015512 20{digest}").to_string().replace(' ', ""),
        "6776657273696f6e01",
        format_args!("2f01551220{digest}{}", hex(b"hello world")),
    );
    assert_eq!(hex(&file), expected);
}

#[test]
fn repetitions_are_written_when_wanted_and_read_either_way() {
    let (store, root, _) = stored(CidVersion::V1, Leaves::Raw);
    let options = WriteOptions { duplicates: true, ..WriteOptions::default() };
    let mut writer = CarWriter::with_options(Vec::new(), &[root], options).unwrap();
    writer.put_dag(&store, &root).unwrap();
    let (file, summary) = writer.finish().unwrap();
    assert_eq!(summary.blocks, 1 + 1 + 3 + 7 + 20, "as many as the tree has places");
    let once = export(&store, &[root], Vec::new()).unwrap().1;
    assert!(once.blocks < summary.blocks);
    let mut reader = CarReader::new(&file[..]).unwrap();
    let mut new = 0;
    while reader.next_block().unwrap().is_some() {
        new += u64::from(reader.is_new());
    }
    assert_eq!(new, once.blocks);
    let imported = import(CarReader::new(&file[..]).unwrap(), &MemoryStore::new(), &mut |_| {});
    assert_eq!(imported.unwrap().blocks, once.blocks);
}

#[test]
fn several_roots_share_what_lies_below_them() {
    let store = MemoryStore::new();
    let leaf = put(&store, Codec::Raw, b"shared");
    let roots: Vec<Cid> =
        (0..3u64).map(|n| put(&store, Codec::DagCbor, &cbor::encode(&(n, Link(leaf))))).collect();
    let (file, summary) = export(&store, &roots, Vec::new()).unwrap();
    assert_eq!(summary.blocks, 4);
    let other = MemoryStore::new();
    import(CarReader::new(&file[..]).unwrap(), &other, &mut |_| {}).unwrap();
    let mut sorted = roots;
    sorted.sort();
    assert_eq!(other.pins().unwrap(), sorted);
}

#[test]
fn an_indexed_car_is_a_source_of_blocks_and_notices_when_the_file_changes() {
    let (store, root, data) = stored(CidVersion::V0, Leaves::DagPb);
    let (file, summary) = export(&store, &[root], Vec::new()).unwrap();
    for file in [file.clone(), wrapped(&file, 7, None)] {
        let mut told = 0;
        let indexed =
            IndexedCar::open(Cursor::new(&file), ReadOptions::default(), &mut |at| told = at)
                .unwrap();
        assert_eq!((indexed.blocks(), indexed.roots()), (summary.blocks, &[root][..]));
        assert_eq!(told, file.len() as u64);
        for (cid, block) in read(&file).unwrap() {
            assert_eq!(indexed.get(&cid).unwrap().unwrap()[..], block);
            let by_hash = Cid::from_digest(Codec::Raw, *cid.digest());
            assert!(indexed.has(&by_hash).unwrap());
        }
        assert_eq!(indexed.get(&Cid::of(Codec::Raw, b"absent")).unwrap(), None);
        let body = read(&file).unwrap()[1].0;
        let mut text = Vec::new();
        FileReader::open(&indexed, body, None).unwrap().read_to_end(&mut text).unwrap();
        assert_eq!(text, data);
        let other = MemoryStore::new();
        let copied = copy(&indexed, &root, &other, Limits::FILES).unwrap();
        assert_eq!((copied.blocks, other.pins().unwrap()), (summary.blocks, vec![root]));
    }
    // Changed behind our back: the last byte of the file is that of a block.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.car");
    std::fs::write(&path, &file).unwrap();
    let open = std::fs::File::open(&path).unwrap();
    let indexed = IndexedCar::open(open, ReadOptions::default(), &mut |_| {}).unwrap();
    let last = read(&file).unwrap().pop().unwrap().0;
    let mut changed = file;
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &changed).unwrap();
    assert!(matches!(indexed.get(&last), Err(StoreError::Damaged { cid, .. }) if cid == last));
    let other = MemoryStore::new();
    assert!(matches!(copy(&indexed, &root, &other, Limits::FILES), Err(CopyError::Store(_))));
    assert!(other.pins().unwrap().is_empty());
}

#[test]
fn damaged_blocks_are_healed_by_an_import() {
    let (store, root, data) = stored(CidVersion::V1, Leaves::Raw);
    let (file, _) = export(&store, &[root], Vec::new()).unwrap();
    let leaf = Cid::of(Codec::Raw, &data[9..18]);
    store.delete(&leaf).unwrap();
    let session = store.begin().unwrap();
    session.put(&leaf, b"rot").unwrap();
    session.commit(&leaf).unwrap();
    store.unpin(&leaf).unwrap();
    assert!(matches!(store.get(&leaf), Err(StoreError::Damaged { .. })));
    import(CarReader::new(&file[..]).unwrap(), &store, &mut |_| {}).unwrap();
    assert_eq!(store.get(&leaf).unwrap().unwrap()[..], data[9..18]);
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        data in proptest::collection::vec(any::<u8>(), 0..400),
        chunk in 1..30usize, width in 2..6usize, v0 in any::<bool>(), raw in any::<bool>(),
    ) {
        let version = if v0 { CidVersion::V0 } else { CidVersion::V1 };
        let leaves = if raw { Leaves::Raw } else { Leaves::DagPb };
        let store = MemoryStore::new();
        let session = store.begin().unwrap();
        let mut builder = Builder::new(Profile::custom(version, leaves, chunk, width).unwrap());
        let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
        builder.write(&data, &mut sink).unwrap();
        let root = builder.finish(&mut sink).unwrap().cid;
        session.commit(&root).unwrap();
        let limits = Limits { max_depth: 200, ..Limits::FILES };
        let mut writer = CarWriter::with_options(
            Vec::new(), &[root], WriteOptions { limits, ..WriteOptions::default() }).unwrap();
        writer.put_dag(&store, &root).unwrap();
        let (file, _) = writer.finish().unwrap();
        let options = ReadOptions { limits, ..ReadOptions::default() };
        let blocks = read_with(&file, options).unwrap();
        // Block by block, in the same order, the same file.
        let mut writer = CarWriter::with_options(
            Vec::new(), &[root], WriteOptions { limits, ..WriteOptions::default() }).unwrap();
        for (cid, block) in &blocks {
            prop_assert!(writer.put(cid, block).unwrap());
        }
        prop_assert_eq!(&writer.finish().unwrap().0, &file);
        let other = MemoryStore::new();
        import(CarReader::with_options(&file[..], options).unwrap(), &other, &mut |_| {}).unwrap();
        let mut text = Vec::new();
        FileReader::open(&other, root, None).unwrap().read_to_end(&mut text).unwrap();
        prop_assert_eq!(text, data);
    }

    #[test]
    fn arbitrary_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&noise);
        let (file, _) = car();
        let at = noise.len().min(file.len());
        let _ = read(&[&file[..at], &noise[..]].concat());
    }
}
