use super::oracle::{Sections, Tree, car_of, range_of};
use super::*;
use crate::http::test_server::Request;
use crate::unixfs::{CidVersion, Leaves, Profile};
use medledger_core::cid::Codec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::{Arc, Mutex};

type Serve = Box<dyn Fn(&Request) -> Answer + Send>;

/// A gateway that answers as it was told last.
fn changing() -> (TestServer, Gateway, Arc<Mutex<Serve>>) {
    let serve: Arc<Mutex<Serve>> = Arc::new(Mutex::new(Box::new(|_| Answer::Closed)));
    let told = Arc::clone(&serve);
    let server = TestServer::start(move |request| told.lock().unwrap()(request));
    let gateway = gateway(&server);
    (server, gateway, serve)
}

fn honest(tree: &Arc<Tree>, change: impl Fn(Sections) -> Vec<u8> + Send + 'static) -> Serve {
    let tree = Arc::clone(tree);
    Box::new(move |request| {
        let (from, to) = range_of(request).expect("a range is asked for");
        car(change(tree.needed(from, to)))
    })
}

fn profiles() -> impl Strategy<Value = Profile> {
    (any::<bool>(), any::<bool>(), 1..40usize, 2..5usize).prop_map(|(v0, wrapped, chunk, width)| {
        let version = if v0 { CidVersion::V0 } else { CidVersion::V1 };
        let leaves = if wrapped { Leaves::DagPb } else { Leaves::Raw };
        Profile::custom(version, leaves, chunk, width).unwrap()
    })
}

/// Files in which blocks repeat, and files in which they do not.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let few = proptest::collection::vec(0..2u8, 0..600);
    prop_oneof![
        few,
        proptest::collection::vec(any::<u8>(), 0..600),
        (0..600usize).prop_map(|n| vec![0; n])
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Remove(Index),
    Repeat(Index),
    Swap(Index, Index),
    Flip(Index, Index),
    Other(Index),
    Extra(Index),
    Cut(Index),
    Noise(Index, u8),
}

fn changes() -> impl Strategy<Value = Change> {
    let i = any::<Index>;
    prop_oneof![
        i().prop_map(Change::Remove),
        i().prop_map(Change::Repeat),
        (i(), i()).prop_map(|(a, b)| Change::Swap(a, b)),
        (i(), i()).prop_map(|(a, b)| Change::Flip(a, b)),
        i().prop_map(Change::Other),
        i().prop_map(Change::Extra),
        i().prop_map(Change::Cut),
        (i(), any::<u8>()).prop_map(|(a, b)| Change::Noise(a, b)),
    ]
}

impl Change {
    fn made(&self, root: &[u8], mut sections: Sections) -> Vec<u8> {
        let n = sections.len();
        let other = || (Cid::of(Codec::Raw, b"other"), b"other".to_vec());
        match self {
            Self::Remove(at) => drop(sections.remove(at.index(n))),
            Self::Repeat(at) => sections.insert(at.index(n), sections[at.index(n)].clone()),
            Self::Swap(a, b) => sections.swap(a.index(n), b.index(n)),
            Self::Flip(at, bit) => {
                let block = &mut sections[at.index(n)].1;
                if !block.is_empty() {
                    let bit = bit.index(block.len() * 8);
                    block[bit / 8] ^= 1 << (bit % 8);
                }
            }
            Self::Other(at) => sections[at.index(n)] = other(),
            Self::Extra(at) => sections.insert(at.index(n + 1), other()),
            Self::Cut(_) | Self::Noise(..) => {}
        }
        let mut bytes = car_of(root, &sections);
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Noise(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            _ => {}
        }
        bytes
    }
}

#[test]
fn pitfall_16_a_range_is_that_of_the_file_or_an_error_whatever_is_done_to_the_car() {
    let (_server, gateway, serve) = changing();
    let config = ProptestConfig::with_cases(150);
    proptest!(config, |(
        file in files(),
        profile in profiles(),
        ranges in proptest::collection::vec((0..700u64, 0..700u64), 1..4),
        change in changes(),
    )| {
        let tree = Arc::new(Tree::new(profile, file));
        let root = tree.root.to_bytes();
        for (offset, len) in ranges {
            let header = root.clone();
            *serve.lock().unwrap() = honest(&tree, move |sections| car_of(&header, &sections));
            let read = gateway.read_range(&tree.root, offset, len);
            prop_assert_eq!(read.unwrap(), tree.slice(offset, len));

            let (change, header) = (change.clone(), root.clone());
            *serve.lock().unwrap() = honest(&tree, move |sections| change.made(&header, sections));
            if let Ok(read) = gateway.read_range(&tree.root, offset, len) {
                prop_assert_eq!(read, tree.slice(offset, len));
            }
        }
    });
}

fn tree() -> Arc<Tree> {
    let profile = Profile::custom(CidVersion::V1, Leaves::Raw, 10, 3).unwrap();
    Arc::new(Tree::new(profile, (0..=200).collect()))
}

#[test]
fn a_range_takes_one_request_and_only_the_blocks_it_touches() {
    let (server, gateway, serve) = changing();
    let (tree, sizes) = (tree(), Arc::new(Mutex::new(Vec::new())));
    let (root, counted) = (tree.root.to_bytes(), Arc::clone(&sizes));
    *serve.lock().unwrap() = honest(&tree, move |sections| {
        counted.lock().unwrap().push(sections.len());
        car_of(&root, &sections)
    });
    assert_eq!(gateway.read_range(&tree.root, 95, 10).unwrap(), tree.file[95..105]);
    assert_eq!(server.seen().len(), 1);
    // 21 leaves: the root, and below it at most two ways of two nodes and a leaf.
    assert!(sizes.lock().unwrap()[0] <= 7, "{sizes:?}");
    assert!(gateway.read_range(&tree.root, 5, 0).unwrap().is_empty());
    assert_eq!(server.seen().len(), 1, "nothing is asked for nothing");
    let most = gateway.read_range(&tree.root, 199, u64::MAX).unwrap();
    assert_eq!(most, tree.file[199..]);
    assert!(gateway.read_range(&tree.root, u64::MAX, u64::MAX).unwrap().is_empty());
}

#[test]
fn beyond_the_end_there_is_nothing_whichever_way_a_gateway_says_so() {
    let (server, gateway, serve) = changing();
    let tree = tree();
    // All of the file, as Kubo does.
    let (root, all) = (tree.root.to_bytes(), tree.all());
    *serve.lock().unwrap() = Box::new(move |_| car(car_of(&root, &all)));
    assert!(gateway.read_range(&tree.root, 201, 5).unwrap().is_empty());
    assert_eq!(server.seen().len(), 1);
    // An error that the root then explains, or does not.
    let block = tree.all()[0].1.clone();
    *serve.lock().unwrap() = Box::new(move |request| match request.query("format") {
        Some("raw") => raw(&block),
        _ => Answer::status(400, "range out of bounds"),
    });
    assert!(gateway.read_range(&tree.root, 201, 5).unwrap().is_empty());
    let error = gateway.read_range(&tree.root, 200, 5).unwrap_err();
    assert!(matches!(error, GatewayError::Refused { .. }), "{error:?}");
}

#[test]
fn pitfall_16_a_gateway_that_leaves_the_range_out_of_account_is_not_followed_far() {
    let (_server, gateway, serve) = changing();
    let tree = tree();
    let (root, all) = (tree.root.to_bytes(), tree.all());
    *serve.lock().unwrap() = Box::new(move |_| car(car_of(&root, &all)));
    // Depth first the blocks of the first bytes come first, and then it may stop listening.
    assert_eq!(gateway.read_range(&tree.root, 0, 5).unwrap(), tree.file[..5]);
    let error = gateway.read_range(&tree.root, 150, 5).unwrap_err();
    assert!(error.is_lie(), "{error:?}");
}

#[test]
fn what_is_no_file_is_an_error_that_blames_nobody() {
    let bytes = [0x0a, 2, 8, 1];
    let cid = Cid::of(Codec::DagPb, &bytes);
    let (_server, gateway) = always(car(car_of(&cid.to_bytes(), &[(cid, bytes.to_vec())])));
    let error = gateway.read_range(&cid, 0, 5).unwrap_err();
    assert!(matches!(error, GatewayError::File(_)) && !error.is_lie(), "{error:?}");
}
