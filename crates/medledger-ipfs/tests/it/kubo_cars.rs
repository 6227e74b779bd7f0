//! CAR files that Kubo wrote, recorded by `gateway-conformance`: see `tests/vectors/car/README.md`.

use medledger_ipfs::{
    Cid, MemoryStore,
    car::{CarError, CarReader, DagFault, ImportError, Imported, ReadOptions, export, import},
    cid::{CidError, Codec},
    unixfs::{DirectoryError, FileReader, ResolveError, resolve},
};
use std::io::Read;

pub(crate) fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/car");
    std::fs::read(format!("{folder}/{name}.car")).unwrap()
}

fn taken(name: &str) -> Result<(MemoryStore, Imported), ImportError> {
    let store = MemoryStore::new();
    let imported = import(CarReader::new(&file(name)[..])?, &store, &mut |_| {})?;
    Ok((store, imported))
}

fn text(store: &MemoryStore, root: &Cid, path: &str) -> Vec<u8> {
    let cid = resolve(store, root, path).unwrap();
    let mut text = Vec::new();
    FileReader::open(store, cid, None).unwrap().read_to_end(&mut text).unwrap();
    text
}

#[test]
fn folders_and_files_of_kubo_are_read_and_written_again_byte_for_byte() {
    let (store, imported) = taken("subdir-with-two-single-block-files").unwrap();
    let root = imported.roots[0];
    assert_eq!(text(&store, &root, "subdir/hello.txt"), b"hello world\n");
    let ascii = text(&store, &root, "subdir/ascii.txt");
    assert_eq!(ascii, b"hello application/vnd.ipld.car\n");
    for (name, path) in [
        ("subdir-with-mixed-block-files", "subdir/multiblock.txt"),
        ("dir-with-duplicate-files", "multiblock.txt"),
    ] {
        let (store, imported) = taken(name).unwrap();
        let lorem = text(&store, &imported.roots[0], path);
        assert!(lorem.starts_with(b"Lorem ipsum dolor sit amet") && lorem.len() > 1024, "{name}");
    }
    for name in [
        "subdir-with-two-single-block-files",
        "subdir-with-mixed-block-files",
        "dir-with-duplicate-files",
    ] {
        let (store, imported) = taken(name).unwrap();
        let again = export(&store, &imported.roots, Vec::new()).unwrap().0;
        assert_eq!(again, file(name), "{name}: depth first, each block once, as Kubo does");
    }
}

#[test]
fn dag_cbor_within_a_folder_brings_what_it_links_to() {
    let (store, imported) = taken("dir-with-dag-cbor-with-links").unwrap();
    let document = resolve(&store, &imported.roots[0], "document").unwrap();
    assert_eq!((document.codec(), imported.blocks), (Codec::DagCbor, 9));
}

#[test]
fn a_sharded_folder_is_carried_whole_though_it_is_not_read() {
    let (store, imported) = taken("single-layer-hamt-with-multi-block-files").unwrap();
    let root = imported.roots[0];
    let error = resolve(&store, &root, "685.txt").unwrap_err();
    assert!(matches!(error, ResolveError::Folder { source: DirectoryError::Sharded, .. }));
    assert!(imported.blocks > 100, "{}", imported.blocks);
}

#[test]
fn pitfall_16_a_missing_block_is_named_and_the_rest_is_a_partial_car() {
    let name = "file-3k-and-3-blocks-missing-block";
    let error = taken(name).unwrap_err();
    assert!(matches!(error, ImportError::Car(CarError::Dag(DagFault::Missing { .. }))), "{error}");
    let mut options = ReadOptions::default();
    options.complete = false;
    let bytes = file(name);
    let mut reader = CarReader::with_options(&bytes[..], options).unwrap();
    let mut blocks = 0;
    while reader.next_block().unwrap().is_some() {
        blocks += 1;
    }
    assert_eq!(blocks, 3, "the root and two of three");
}

#[test]
fn codecs_that_are_not_stored_are_refused_by_their_number() {
    let error = taken("dag-json-traversal").unwrap_err();
    assert!(
        matches!(
            error,
            ImportError::Car(CarError::Cid { source: CidError::UnknownCodec(0x0129), .. })
        ),
        "{error}"
    );
}
