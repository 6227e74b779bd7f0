//! What gateways send for the fixtures of `gateway-conformance`, by the rules its own tests state
//! (`tests/trustless_gateway_car_test.go`); see `tests/vectors/car/README.md` for where the files are from.

use crate::kubo_cars::file;
use medledger_ipfs::car::{
    CarReader, ReadOptions, Scope, SelectedCar, SelectedError, SelectedOptions, SelectionError,
};
use medledger_ipfs::unixfs::dagpb::PbNode;
use medledger_ipfs::{Cid, cid::Codec};

type Sections = Vec<(Cid, Vec<u8>)>;

fn sections(name: &str) -> Sections {
    let mut options = ReadOptions::default();
    options.complete = false;
    let bytes = file(name);
    let mut reader = CarReader::with_options(&bytes[..], options).unwrap();
    let mut all = Sections::new();
    while let Some((cid, block)) = reader.next_block().unwrap() {
        all.push((cid, block.to_vec()));
    }
    all
}

/// A CAR with these sections, under a header without roots.
fn car(sections: &[&(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"\x11\xa2\x65roots\x80\x67version\x01".to_vec();
    for (cid, block) in sections {
        let cid = cid.to_bytes();
        let mut len = cid.len() + block.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend_from_slice(&cid);
        out.extend_from_slice(block);
    }
    out
}

fn read(sections: &[&(Cid, Vec<u8>)], root: &Cid, scope: Scope) -> Result<Vec<Cid>, SelectedError> {
    let bytes = car(sections);
    let mut car = SelectedCar::new(&bytes[..], root, scope, SelectedOptions::default())?;
    let mut cids = Vec::new();
    while let Some((cid, _)) = car.next_block()? {
        cids.push(cid);
    }
    Ok(cids)
}

fn not_asked(result: Result<Vec<Cid>, SelectedError>) -> Cid {
    match result {
        Err(SelectedError::Selection(SelectionError::NotAsked { cid })) => cid,
        other => panic!("{other:?}"),
    }
}

const TO_THE_END: u64 = u64::MAX - 1;

#[test]
fn ranges_before_and_behind_a_missing_block_are_whole_and_the_file_is_not() {
    let all = sections("file-3k-and-3-blocks-missing-block");
    let [root, first, third] = &all[..] else { panic!("{}", all.len()) };
    let bytes = |from, to| Scope::Bytes { from, to };
    assert_eq!(read(&[root, first], &root.0, bytes(0, 1000)).unwrap(), [root.0, first.0]);
    assert_eq!(read(&[root, third], &root.0, bytes(2200, TO_THE_END)).unwrap(), [root.0, third.0]);
    assert_eq!(not_asked(read(&[root, first, third], &root.0, bytes(0, 1000))), third.0);
    for scope in [Scope::All, Scope::Entity, bytes(0, TO_THE_END), bytes(1023, 2048)] {
        let error = read(&[root, first, third], &root.0, scope).unwrap_err();
        assert!(matches!(error, SelectedError::Incomplete { .. }), "{scope:?}: {error:?}");
    }
    // Of several that are missing, the one that should have come next is named.
    match read(&[root, first], &root.0, Scope::All).unwrap_err() {
        SelectedError::Incomplete { cid } => assert_ne!(cid, third.0),
        other => panic!("{other:?}"),
    }
    // One byte of the missing block is enough.
    let error = read(&[root, first], &root.0, bytes(0, 1024)).unwrap_err();
    assert!(matches!(error, SelectedError::Incomplete { .. }), "{error:?}");
}

#[test]
fn a_folder_is_its_root_and_all_of_it_is_everything() {
    for name in [
        "subdir-with-two-single-block-files",
        "subdir-with-mixed-block-files",
        "dir-with-duplicate-files",
        "dir-with-dag-cbor-with-links",
    ] {
        let all = sections(name);
        let (each, root): (Vec<_>, _) = (all.iter().collect(), all[0].0);
        assert_eq!(read(&each, &root, Scope::All).unwrap().len(), all.len(), "{name}");
        for scope in [Scope::Block, Scope::Entity, Scope::Bytes { from: 0, to: TO_THE_END }] {
            assert_eq!(read(&each[..1], &root, scope).unwrap(), [root], "{name}");
            assert_eq!(not_asked(read(&each, &root, scope)), all[1].0, "{name}");
        }
    }
}

#[test]
fn a_folder_cut_into_pieces_is_all_its_pieces_and_not_its_files() {
    let all = sections("single-layer-hamt-with-multi-block-files");
    let root = all[0].0;
    let each: Vec<_> = all.iter().collect();
    assert_eq!(read(&each, &root, Scope::All).unwrap().len(), all.len());
    let is_piece = |(cid, block): &&&(Cid, Vec<u8>)| {
        // UnixFS type 5 stands first in the message.
        let message = PbNode::decode(block).ok().and_then(|node| node.data);
        cid.codec() == Codec::DagPb && message.is_some_and(|data| data.starts_with(&[8, 5]))
    };
    let pieces: Vec<_> = each.iter().filter(is_piece).copied().collect();
    assert!(pieces.len() > 1 && pieces.len() < all.len());
    let cids: Vec<_> = pieces.iter().map(|(cid, _)| *cid).collect();
    assert_eq!(read(&pieces, &root, Scope::Entity).unwrap(), cids);
    let no_piece = all.iter().map(|(cid, _)| *cid).find(|cid| !cids.contains(cid)).unwrap();
    assert_eq!(not_asked(read(&each, &root, Scope::Entity)), no_piece);
    let error = read(&pieces[..pieces.len() - 1], &root, Scope::Entity).unwrap_err();
    assert!(matches!(error, SelectedError::Incomplete { .. }), "{error:?}");
}
