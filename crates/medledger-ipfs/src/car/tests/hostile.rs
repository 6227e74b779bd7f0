//! CARs made to mislead, cut off, changed, or that are none.

use super::*;

/// Four links to one node, and so on: a few blocks, but 4^20 places.
#[test]
fn pitfall_38_repetitions_of_a_hostile_dag_end_at_a_limit() {
    let store = MemoryStore::new();
    let mut cid = put(&store, Codec::Raw, b"x");
    for _ in 0..20 {
        cid = put(&store, Codec::DagCbor, &cbor::encode(&vec![Link(cid); 4]));
    }
    let limits = Limits { max_links: 1000, ..Limits::FILES };
    let options = WriteOptions { duplicates: true, limits };
    let mut writer = CarWriter::with_options(std::io::sink(), &[cid], options).unwrap();
    let error = writer.put_dag(&store, &cid).unwrap_err();
    assert!(matches!(error, WriteError::TooManySections { limit: 1000 }));
    assert_eq!(export(&store, &[cid], std::io::sink()).unwrap().1.blocks, 21);
}

#[test]
fn what_cannot_be_written_whole_is_a_typed_error() {
    let (store, root, _) = stored(CidVersion::V1, Leaves::Raw);
    assert!(matches!(CarWriter::new(Vec::new(), &[]), Err(WriteError::NoRoots)));
    let many = vec![root; 60_000];
    assert!(matches!(
        CarWriter::new(Vec::new(), &many),
        Err(WriteError::TooManyRoots { found: 60_000, .. })
    ));
    let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
    assert!(matches!(writer.put(&root, b"else"), Err(WriteError::Mismatch { cid }) if cid == root));
    let block = store.get(&root).unwrap().unwrap();
    assert!(writer.put(&root, &block).unwrap());
    assert!(!writer.put(&root, &block).unwrap(), "once");
    assert!(matches!(writer.finish(), Err(WriteError::Dag(DagFault::Missing { .. }))));

    let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
    writer.put_dag(&store, &root).unwrap();
    writer.put(&Cid::of(Codec::Raw, b"more"), b"more").unwrap();
    assert!(matches!(writer.finish(), Err(WriteError::Dag(DagFault::Unreferenced { .. }))));

    let large = vec![0; crate::MAX_BLOCK_BYTES + 1];
    let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
    let result = writer.put(&Cid::of(Codec::Raw, &large), &large);
    assert!(matches!(result, Err(WriteError::TooLarge { .. })));

    assert!(store.delete(&Cid::of(Codec::Raw, &[0; 9])).unwrap());
    let result = export(&store, &[root], Vec::new());
    assert!(matches!(result, Err(WriteError::Dag(DagFault::Missing { .. }))));
    let odd = put(&store, Codec::DagCbor, &[0xff]);
    let result = export(&store, &[odd], Vec::new());
    assert!(matches!(result, Err(WriteError::Dag(DagFault::Links { .. }))));
}

#[test]
fn pitfall_16_every_truncation_is_noticed_and_nothing_is_pinned() {
    let (file, _) = car();
    for file in [file.clone(), wrapped(&file, 5, None), wrapped(&file, 0, Some(b"index"))] {
        let end = file.len() - if file.ends_with(b"index") { 5 } else { 0 };
        for len in 0..end {
            let store = MemoryStore::new();
            let result =
                CarReader::new(&file[..len]).map(|reader| import(reader, &store, &mut |_| {}));
            match result {
                Err(CarError::Truncated { at }) => assert_eq!(at, len as u64),
                Ok(Err(ImportError::Car(CarError::Truncated { at }))) => assert_eq!(at, len as u64),
                // Cut between two sections.
                Ok(Err(ImportError::Car(CarError::Dag(DagFault::Missing { .. })))) => {}
                other => panic!("cut at {len}: {other:?}"),
            }
            assert!(store.pins().unwrap().is_empty());
        }
        assert!(read(&file).is_ok());
    }
}

#[test]
fn pitfall_16_every_flipped_bit_is_noticed() {
    let (file, root) = car();
    let honest = read(&file).unwrap();
    for file in [file.clone(), wrapped(&file, 3, Some(b"index"))] {
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(mut reader) = CarReader::new(&flipped[..]) else { continue };
            let roots = reader.roots().to_vec();
            let mut blocks = Vec::new();
            let ended = loop {
                match reader.next_block() {
                    Ok(Some((cid, block))) => blocks.push((cid, block.to_vec())),
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            // Padding, the ignored index and its place may change; a version bit of a CID is another
            // spelling of the same block. Whatever came out is right.
            for (cid, block) in &blocks {
                assert!(cid.matches(block), "bit {bit}");
            }
            if ended && roots == [root] {
                assert_eq!(blocks, honest, "bit {bit}");
            }
            assert!(!ended || roots == [root], "bit {bit}: another root, and yet complete");
        }
    }
}

#[test]
fn pitfall_16_what_follows_the_end_is_refused() {
    let (file, _) = car();
    let len = file.len() as u64;
    let after = |tail: &[u8]| read(&[&file[..], tail].concat()).unwrap_err();
    assert!(matches!(after(&[0]), CarError::SectionTooShort { at, found: 0 } if at == len));
    assert!(matches!(after(&[0; 100]), CarError::SectionTooShort { at, .. } if at == len));
    assert!(matches!(after(b"\x05hello"), CarError::SectionTooShort { at, found: 5 } if at == len));
    let more = Cid::of(Codec::Raw, b"more");
    let tail = section(&more.to_bytes(), b"more");
    assert!(matches!(after(&tail), CarError::Dag(DagFault::Unreferenced { cid }) if cid == more));
    let twice = after(&file);
    assert!(matches!(twice, CarError::Cid { .. } | CarError::SectionTooShort { .. }), "{twice:?}");
    let v2 = [&wrapped(&file, 0, None)[..], &[0]].concat();
    assert!(matches!(read(&v2), Err(CarError::Trailing { at }) if at == 51 + len));
}

#[test]
fn pitfall_16_a_block_of_other_bytes_is_refused_before_it_is_handed_out() {
    let cid = Cid::of(Codec::Raw, b"right");
    let file = [header_of(&[cid]), section(&cid.to_bytes(), b"wrong")].concat();
    let at = header_of(&[cid]).len() as u64;
    match read(&file) {
        Err(CarError::Mismatch { at: found, cid: named }) => assert_eq!((found, named), (at, cid)),
        other => panic!("{other:?}"),
    }
    // The same bytes under another codec do not stand in for the block linked.
    let block = cbor::encode(&vec![Link(Cid::of(Codec::Raw, b"below"))]);
    let (root, raw) = (Cid::of(Codec::DagCbor, &block), Cid::of(Codec::Raw, &block));
    let file = [header_of(&[root]), section(&raw.to_bytes(), &block)].concat();
    assert!(matches!(read(&file), Err(CarError::Dag(DagFault::Missing { cid })) if cid == root));
}

#[test]
fn pitfall_16_cids_that_cannot_be_stored_are_refused_by_their_code() {
    let root = Cid::of(Codec::Raw, b"x");
    for (cid, expected) in [
        // Identity; BLAKE2b-256; SHA2-512; a short SHA-256; a codec nobody asked for.
        (b"\x01\x55\x00\x01x".to_vec(), CidError::UnknownHash { code: 0, len: 1 }),
        (
            [b"\x01\x55\xa0\xe4\x02\x20".as_slice(), &[7; 32]].concat(),
            CidError::UnknownHash { code: 0xb220, len: 32 },
        ),
        (
            [b"\x01\x55\x13\x40".as_slice(), &[7; 64]].concat(),
            CidError::UnknownHash { code: 0x13, len: 64 },
        ),
        (
            [b"\x01\x55\x12\x14".as_slice(), &[7; 20]].concat(),
            CidError::UnknownHash { code: 0x12, len: 20 },
        ),
        ([b"\x01\xa9\x02\x12\x20".as_slice(), &[7; 32]].concat(), CidError::UnknownCodec(0x0129)),
    ] {
        let file = [header_of(&[root]), section(&cid, b"x")].concat();
        let error = read(&file).unwrap_err();
        assert_eq!(cid_fault(&error), Some(&expected), "{error}");
        assert!(error.to_string().contains("0x"), "{error}");
        let in_header =
            [b"\xa2\x65roots\x81\xd8\x2a".to_vec(), bytes_item(&cid), b"\x67version\x01".to_vec()];
        let error = read(&section(&[], &in_header.concat())).unwrap_err();
        assert_eq!(cid_fault(&error), Some(&expected), "in the header");
        // And linked from a block.
        let block = [b"\x81\xd8\x2a".to_vec(), bytes_item(&cid)].concat();
        let root = Cid::of(Codec::DagCbor, &block);
        let file = [header_of(&[root]), section(&root.to_bytes(), &block)].concat();
        let error = read(&file).unwrap_err();
        assert!(matches!(
            error,
            CarError::Dag(DagFault::Links { source: LinkError::Cid { source, .. }, .. }) if source == expected
        ));
    }
}

/// A CID as DAG-CBOR holds it, after tag 42.
fn bytes_item(cid: &[u8]) -> Vec<u8> {
    let len = cid.len() as u8 + 1;
    let head = if len < 24 { vec![0x40 | len] } else { vec![0x58, len] };
    [&head[..], &[0], cid].concat()
}

#[test]
fn pitfall_38_lengths_are_bounded_before_memory_is_taken() {
    let (file, root) = car();
    let mut header = Vec::new();
    put_varint(&mut header, MAX_HEADER_BYTES as u64 + 1);
    assert!(matches!(read(&header), Err(CarError::HeaderTooLong { .. })));
    for len in [MAX_SECTION_BYTES as u64 + 1, u64::MAX >> 1] {
        let mut section = header_of(&[root]);
        put_varint(&mut section, len);
        assert!(matches!(
            read(&section),
            Err(CarError::SectionTooLong { found, limit: MAX_SECTION_BYTES, .. }) if found == len
        ));
    }
    // A version 0 CID is two bytes shorter, its block is not longer for that.
    let block = vec![7; crate::MAX_BLOCK_BYTES + 1];
    let v0 = Cid::v0_from_digest(*Cid::of(Codec::DagPb, &block).digest());
    let file_of_large = [header_of(&[v0]), section(&v0.to_bytes(), &block)].concat();
    assert!(matches!(read(&file_of_large), Err(CarError::SectionTooLong { .. })));
    let block = vec![7; crate::MAX_BLOCK_BYTES];
    let cid = Cid::of(Codec::Raw, &block);
    assert!(read(&[header_of(&[cid]), section(&cid.to_bytes(), &block)].concat()).is_ok());

    let shorter = ReadOptions { max_bytes: file.len() as u64 - 1, ..ReadOptions::default() };
    assert!(matches!(read_with(&file, shorter), Err(CarError::TooLong { .. })));
    let enough = ReadOptions { max_bytes: file.len() as u64, ..ReadOptions::default() };
    assert!(read_with(&file, enough).is_ok());
}

#[test]
fn pitfall_38_depth_and_number_of_blocks_are_bounded() {
    let store = MemoryStore::new();
    let mut cid = put(&store, Codec::Raw, b"x");
    for _ in 1..Limits::FILES.max_depth {
        cid = put(&store, Codec::DagCbor, &cbor::encode(&vec![Link(cid)]));
    }
    let (file, _) = export(&store, &[cid], Vec::new()).unwrap();
    assert!(read(&file).is_ok());
    let deeper = put(&store, Codec::DagCbor, &cbor::encode(&vec![Link(cid)]));
    let result = export(&store, &[deeper], Vec::new());
    assert!(matches!(result, Err(WriteError::Dag(DagFault::TooDeep { limit: 64 }))));
    let options = WriteOptions { limits: Limits::CHAIN, ..WriteOptions::default() };
    let mut writer = CarWriter::with_options(Vec::new(), &[deeper], options).unwrap();
    writer.put_dag(&store, &deeper).unwrap();
    let (file, _) = writer.finish().unwrap();
    assert!(matches!(read(&file), Err(CarError::Dag(DagFault::TooDeep { limit: 64 }))));
    let partial = ReadOptions { complete: false, ..ReadOptions::default() };
    assert!(matches!(read_with(&file, partial), Err(CarError::Dag(DagFault::TooDeep { .. }))));
    let limits = Limits { max_cids: 10, ..Limits::CHAIN };
    let few = ReadOptions { limits, ..ReadOptions::default() };
    let result = read_with(&file, few);
    assert!(matches!(result, Err(CarError::Dag(DagFault::TooManyCids { limit: 10 }))));
}

#[test]
fn partial_cars_are_read_when_allowed_and_pinned_never() {
    let (store, root, _) = stored(CidVersion::V1, Leaves::Raw);
    let block = store.get(&root).unwrap().unwrap();
    let stray = Cid::of(Codec::Raw, b"stray");
    let some = [section(&root.to_bytes(), &block), section(&stray.to_bytes(), b"stray")].concat();
    let partial = ReadOptions { complete: false, ..ReadOptions::default() };
    for roots in [&[][..], &[root], &[stray, root]] {
        let file = [&header_of(roots)[..], &some].concat();
        assert_eq!(read_with(&file, partial).unwrap().len(), 2);
        let error = read(&file).unwrap_err();
        if roots.is_empty() {
            assert!(matches!(error, CarError::NoRoots));
        } else {
            assert!(matches!(error, CarError::Dag(_)), "{error:?}");
        }
    }
    // A root that is not in it cannot be pinned.
    let absent = Cid::of(Codec::Raw, b"absent");
    let file = [&header_of(&[root, absent])[..], &some].concat();
    let other = MemoryStore::new();
    let reader = CarReader::with_options(&file[..], partial).unwrap();
    let error = import(reader, &other, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ImportError::Store(StoreError::NoRoot { cid }) if cid == absent));
    assert!(other.pins().unwrap().is_empty(), "neither one nor the other");
}

#[test]
fn version_two_is_read_and_its_header_is_checked() {
    let (file, root) = car();
    let honest = read(&file).unwrap();
    for (padding, index) in [(0, None), (1413, None), (0, Some(&b"any index"[..])), (9, Some(b""))]
    {
        let file = wrapped(&file, padding, index);
        let reader = CarReader::new(&file[..]).unwrap();
        assert_eq!((reader.version(), reader.roots()), (2, &[root][..]));
        assert_eq!(read(&file).unwrap(), honest);
    }
    let v2 = wrapped(&file, 0, None);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = v2.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        read(&file)
    };
    assert!(with(11, &[0x80]).is_ok(), "fully indexed");
    assert!(matches!(with(11, &[0x40]), Err(CarError::V2 { .. })));
    assert!(matches!(with(26, &[1]), Err(CarError::V2 { .. })));
    assert!(matches!(with(27, &50u64.to_le_bytes()), Err(CarError::V2 { .. })));
    assert!(matches!(with(27, &u64::MAX.to_le_bytes()), Err(CarError::V2 { .. })));
    assert!(matches!(with(35, &0u64.to_le_bytes()), Err(CarError::V2 { .. })));
    assert!(matches!(with(35, &u64::MAX.to_le_bytes()), Err(CarError::V2 { .. })));
    assert!(matches!(with(43, &60u64.to_le_bytes()), Err(CarError::V2 { .. })));
    // Data that ends too early or too late.
    let len = file.len() as u64;
    assert!(matches!(with(35, &(len - 1).to_le_bytes()), Err(CarError::Truncated { .. })));
    assert!(matches!(with(35, &(len + 1).to_le_bytes()), Err(CarError::Truncated { .. })));
    // CARv2 within CARv2.
    let twice = wrapped(&v2, 0, None);
    assert!(matches!(read(&twice), Err(CarError::Version { found: 2 })));
    let bomb = wrapped(&file, 2 << 20, None);
    assert!(matches!(read(&bomb), Err(CarError::V2 { .. })), "pitfall 38: padding is bounded");
}

#[test]
fn other_files_are_not_cars() {
    for text in
        [&b"%PDF-1.7 and so on"[..], b"PK\x03\x04", b"\x80\x00", &[0xff; 64], b"\x00", b"\x01\xa0"]
    {
        let error = read(text).unwrap_err();
        assert!(
            matches!(
                error,
                CarError::Header | CarError::Truncated { .. } | CarError::HeaderTooLong { .. }
            ),
            "{error:?}"
        );
    }
    assert!(matches!(read(b""), Err(CarError::Truncated { at: 0 })));
}
