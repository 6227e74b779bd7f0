//! The same file by an implementation of others: block for block.

use crate::{KINDS, bytes, small};
use medledger_ipfs::{
    Cid,
    unixfs::{Builder, CidVersion, Leaves, Profile, cid_of},
};
use proptest::prelude::*;
use rust_unixfs::file::adder::{BalancedCollector, Chunker, FileAdder};
use std::{collections::BTreeMap, convert::Infallible};

type Blocks = BTreeMap<String, Vec<u8>>;

fn theirs(data: &[u8], profile: Profile) -> (String, Blocks) {
    let version = match profile.version() {
        CidVersion::V0 => cid::Version::V0,
        CidVersion::V1 => cid::Version::V1,
    };
    let mut adder = FileAdder::builder()
        .with_cid_version(version)
        .with_raw_leaves(profile.leaves() == Leaves::Raw)
        .with_chunker(Chunker::Size(profile.chunk()))
        .with_collector(BalancedCollector::with_branching_factor(profile.width()))
        .build();
    let mut blocks = Vec::new();
    let mut left = data;
    while !left.is_empty() {
        let (made, consumed) = adder.push(left);
        blocks.extend(made);
        left = &left[consumed..];
    }
    blocks.extend(adder.finish());
    let root = blocks.last().unwrap().0.to_string();
    (root, blocks.into_iter().map(|(cid, block)| (cid.to_string(), block)).collect())
}

/// Fed in pieces of the given sizes, over and over.
fn ours(data: &[u8], profile: Profile, pieces: &[usize]) -> (String, Blocks) {
    let mut blocks = Blocks::new();
    let mut total = 0;
    let mut last = None;
    let mut sink = |cid: &Cid, block: &[u8]| {
        total += block.len() as u64;
        last = Some(*cid);
        assert!(cid.matches(block));
        blocks.insert(cid.to_string(), block.to_vec());
        Ok::<(), Infallible>(())
    };
    let mut builder = Builder::new(profile);
    let mut left = data;
    for piece in pieces.iter().cycle() {
        let (now, later) = left.split_at((*piece).min(left.len()));
        let Ok(()) = builder.write(now, &mut sink);
        left = later;
        if left.is_empty() {
            break;
        }
    }
    assert_eq!(builder.size(), data.len() as u64);
    let Ok(root) = builder.finish(&mut sink);
    assert_eq!(last, Some(root.cid), "the root comes last");
    assert_eq!((root.size, root.dag_size), (data.len() as u64, total));
    (root.cid.to_string(), blocks)
}

#[test]
fn every_length_around_every_boundary_gives_the_same_blocks() {
    let data = bytes(400);
    for (version, leaves) in KINDS {
        for (chunk, width) in [(1, 2), (3, 3), (4, 2), (5, 4)] {
            let profile = small(version, leaves, chunk, width);
            for len in 0..=chunk * width * width * 4 + 2 {
                let data = &data[..len];
                assert_eq!(
                    ours(data, profile, &[len + 1]),
                    theirs(data, profile),
                    "{len} {profile}"
                );
            }
        }
    }
}

#[test]
fn the_named_profiles_give_the_same_blocks() {
    let data = bytes((1 << 20) * 2 + 1);
    for name in Profile::names() {
        let profile: Profile = name.parse().unwrap();
        for len in [0, 1, profile.chunk() - 1, profile.chunk(), profile.chunk() + 1, data.len()] {
            let data = &data[..len];
            let ours = ours(data, profile, &[100_000]);
            assert_eq!(ours, theirs(data, profile), "{len} {name}");
            assert_eq!(cid_of(data, profile).unwrap().cid.to_string(), ours.0);
        }
    }
}

#[test]
fn leaves_hashed_elsewhere_give_the_same_root() {
    let data = bytes(50);
    let profile = small(CidVersion::V1, Leaves::Raw, 4, 3);
    let mut builder = Builder::new(profile);
    let mut sink = |_: &Cid, _: &[u8]| Ok::<(), Infallible>(());
    for leaf in data.chunks(4) {
        let cid = Cid::of(medledger_ipfs::cid::Codec::Raw, leaf);
        let Ok(()) = builder.push_hashed_leaf(cid, leaf.len(), &mut sink);
    }
    let Ok(root) = builder.finish(&mut sink);
    assert_eq!(root, cid_of(&data[..], profile).unwrap());
}

#[test]
#[should_panic(expected = "no leaf may follow")]
fn a_short_leaf_hashed_elsewhere_has_to_be_the_last() {
    let profile = small(CidVersion::V1, Leaves::Raw, 4, 3);
    let mut builder = Builder::new(profile);
    let mut sink = |_: &Cid, _: &[u8]| Ok::<(), Infallible>(());
    let cid = Cid::of(medledger_ipfs::cid::Codec::Raw, b"abc");
    let Ok(()) = builder.push_hashed_leaf(cid, 3, &mut sink);
    let Ok(()) = builder.push_hashed_leaf(cid, 3, &mut sink);
}

#[test]
fn an_error_of_the_sink_comes_back_at_once() {
    let profile = small(CidVersion::V1, Leaves::Raw, 2, 2);
    for fails_at in 0..7 {
        let mut count = 0;
        let mut sink = |_: &Cid, _: &[u8]| {
            count += 1;
            if count > fails_at { Err(fails_at) } else { Ok(()) }
        };
        let mut builder = Builder::new(profile);
        let result = builder.write(&[1; 8], &mut sink).and_then(|()| builder.finish(&mut sink));
        assert_eq!(result, Err(fails_at));
    }
}

proptest! {
    #[test]
    fn any_file_in_any_pieces_gives_the_same_blocks(
        data in proptest::collection::vec(any::<u8>(), 0..600),
        kind in 0..4usize, chunk in 1..40usize, width in 2..9usize,
        pieces in proptest::collection::vec(1..100usize, 1..8),
    ) {
        let (version, leaves) = KINDS[kind];
        let profile = small(version, leaves, chunk, width);
        prop_assert_eq!(ours(&data, profile, &pieces), theirs(&data, profile));
    }
}
