//! Oracle for small folders, and seeds written by their own encoder.

use medledger_core::Cid;
use medledger_core::cid::Codec;
use medledger_ipfs::unixfs::{Directory, DirectoryError, FileNode, Profile, dagpb::PbNode};

/// A folder: names in order, each once; made anew from its entries it has the same block; and no file is one.
pub fn directory(data: &[u8]) {
    let Ok(entries) = Directory::decode(data) else { return };
    assert!(FileNode::decode(data).is_err(), "file and folder at once");
    assert!(entries.is_sorted_by(|a, b| a.name.as_bytes() < b.name.as_bytes()));
    let node = PbNode::decode(data).expect("a folder is a node");
    let links = node.links.iter().map(|link| (link.cid, link.name, link.tsize));
    assert!(links.eq(entries.iter().map(|entry| (entry.cid, entry.name.as_str(), entry.tsize))));
    let mut folder = Directory::new(Profile::V1_2025);
    for entry in &entries {
        match folder.insert(&entry.name, entry.cid, entry.tsize) {
            Ok(()) => {}
            // More than is written to one block.
            Err(DirectoryError::TooLarge { .. }) => return,
            Err(error) => panic!("{error}"),
        }
    }
    let (root, block) = folder.encode();
    assert_eq!(block, data);
    assert!(root.cid.matches(data));
    assert!(root.tsize >= data.len() as u64);
}

/// Seeds of [`directory`].
pub fn directory_seeds() -> Vec<Vec<u8>> {
    let mut folder = Directory::new(Profile::V1_2025);
    let empty = folder.encode().1;
    for (name, cid, tsize) in [
        ("blut.pdf", Cid::of(Codec::Raw, b"a"), 1),
        ("b", Cid::v0_from_digest([9; 32]), u64::MAX),
        ("\u{e4}rzte", Cid::of(Codec::DagPb, b"c"), 300),
    ] {
        folder.insert(name, cid, tsize).expect("a good entry");
    }
    vec![empty, folder.encode().1]
}
