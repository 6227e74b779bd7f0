use super::oracle::{Sections, Tree, car_of, section};
use super::*;
use crate::Block;
use crate::car::{CarError, Limits, Scope, SelectedError, SelectionError};
use crate::http::HttpError;
use crate::unixfs::Profile;
use crate::unixfs::{CidVersion, Leaves};
use medledger_core::cid::Codec;

/// Three levels, nine leaves of four bytes, no two of them alike.
fn tree() -> Tree {
    let profile = Profile::custom(CidVersion::V1, Leaves::Raw, 4, 3).unwrap();
    Tree::new(profile, (0..35).collect())
}

fn root_bytes(tree: &Tree) -> Vec<u8> {
    tree.root.to_bytes()
}

fn drain(mut stream: CarStream) -> Result<Vec<(Cid, Block)>, GatewayError> {
    let mut blocks = Vec::new();
    loop {
        match stream.next_block() {
            Ok(Some(next)) => blocks.push(next),
            Ok(None) => {
                assert!(stream.is_complete());
                assert!(matches!(stream.next_block(), Ok(None)));
                return Ok(blocks);
            }
            Err(error) => {
                assert!(matches!(stream.next_block(), Ok(None)), "nothing follows an error");
                return Err(error);
            }
        }
    }
}

fn read(answer: Answer, root: &Cid, scope: Scope) -> Result<Vec<(Cid, Block)>, GatewayError> {
    drain(always(answer).1.car(root, scope)?)
}

/// All of the tree, sent as these sections.
fn sent(tree: &Tree, sections: &[(Cid, Vec<u8>)]) -> Result<Vec<(Cid, Block)>, GatewayError> {
    read(car(car_of(&root_bytes(tree), sections)), &tree.root, Scope::All)
}

fn assert_same(blocks: &[(Cid, Block)], want: &[(Cid, Vec<u8>)]) {
    let got: Sections = blocks.iter().map(|(cid, block)| (*cid, block.to_vec())).collect();
    assert_eq!(got, want);
}

fn selection(error: GatewayError) -> SelectionError {
    match error {
        GatewayError::Car { source: SelectedError::Selection(error), .. } => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_scope_is_asked_for_as_the_specification_says_and_read() {
    let tree = tree();
    let all = tree.all();
    assert_eq!(all.len(), 1 + 3 + 9);
    for (scope, name, bytes, want) in [
        (Scope::Block, "block", None, all[..1].to_vec()),
        (Scope::Entity, "entity", None, all.clone()),
        (Scope::All, "all", None, all.clone()),
        (Scope::Bytes { from: 3, to: 4 }, "entity", Some("3%3A4"), tree.needed(3, 4)),
        (Scope::Bytes { from: 34, to: 99 }, "entity", Some("34%3A99"), tree.needed(34, 99)),
    ] {
        let sections = car_of(&root_bytes(&tree), &want);
        let (server, gateway) = always(car(sections));
        assert_same(&drain(gateway.car(&tree.root, scope).unwrap()).unwrap(), &want);
        let seen = server.seen().remove(0);
        assert_eq!(seen.path(), format!("/ipfs/{}", tree.root));
        assert_eq!(seen.header("accept"), Some(CAR));
        assert_eq!((seen.query("format"), seen.query("dag-scope")), (Some("car"), Some(name)));
        assert_eq!(seen.query("entity-bytes"), bytes);
        assert_eq!((seen.query("car-order"), seen.query("car-dups")), (Some("dfs"), Some("n")));
    }
}

#[test]
fn what_the_header_says_is_ignored() {
    let tree = tree();
    let all = tree.all();
    let other = Cid::of(Codec::Raw, b"another").to_bytes();
    // The identity CID that gateways write when they do not know the root yet.
    for root in [&other[..], &[1, 0x55, 0, 0]] {
        let blocks = read(car(car_of(root, &all)), &tree.root, Scope::All).unwrap();
        assert_same(&blocks, &all);
    }
}

#[test]
fn blocks_may_come_in_another_order_and_more_than_once_but_not_before_who_links_to_them() {
    let tree = tree();
    let all = tree.all();
    let mut breadth = all.clone();
    // Nodes have codec dag-pb and are three and the root: all before the leaves.
    breadth.sort_by_key(|(cid, _)| cid.codec() == Codec::Raw);
    assert_same(&sent(&tree, &breadth).unwrap(), &breadth);
    let doubled: Sections = all.iter().flat_map(|s| [s.clone(), s.clone()]).collect();
    assert_same(&sent(&tree, &doubled).unwrap(), &all);
    let mut early = all.clone();
    early.swap(0, 2);
    let error = sent(&tree, &early).unwrap_err();
    assert!(error.is_lie());
    assert_eq!(selection(error), SelectionError::NotAsked { cid: all[2].0 });
}

#[test]
fn pitfall_16_a_block_swapped_missing_or_extra_is_noticed_wherever_it_is() {
    let tree = tree();
    let all = tree.all();
    let extra = (Cid::of(Codec::Raw, b"extra"), b"extra".to_vec());
    for at in 0..all.len() {
        // Other bytes of the same length under the right CID.
        let mut lied = all.clone();
        lied[at].1[0] ^= 1;
        let error = sent(&tree, &lied).unwrap_err();
        assert!(matches!(&error, GatewayError::WrongBytes { cid, .. } if *cid == all[at].0));
        assert!(error.is_lie());
        // Another block that is healthy in itself.
        let mut swapped = all.clone();
        swapped[at] = extra.clone();
        let error = sent(&tree, &swapped).unwrap_err();
        assert_eq!(selection(error), SelectionError::NotAsked { cid: extra.0 });
        // One more.
        let mut more = all.clone();
        more.insert(at + 1, extra.clone());
        assert_eq!(
            selection(sent(&tree, &more).unwrap_err()),
            SelectionError::NotAsked { cid: extra.0 }
        );
        // One less: what lies below it comes unasked, or it is missing at the end.
        let mut less = all.clone();
        let gone = less.remove(at).0;
        match sent(&tree, &less).unwrap_err() {
            GatewayError::Car { source: SelectedError::Incomplete { cid }, .. } => {
                assert_eq!(cid, gone);
            }
            error => assert!(matches!(selection(error), SelectionError::NotAsked { .. })),
        }
    }
}

#[test]
fn pitfall_16_a_car_cut_anywhere_is_an_error_even_when_the_answer_ends_well() {
    let tree = tree();
    let whole = car_of(&root_bytes(&tree), &tree.all());
    for len in 0..whole.len() {
        let mut stream = match always(car(whole[..len].to_vec())).1.car(&tree.root, Scope::All) {
            Ok(stream) => stream,
            Err(error) => {
                assert!(matches!(error, GatewayError::Car { .. }), "{len}: {error:?}");
                continue;
            }
        };
        let end = std::iter::from_fn(|| stream.next_block().transpose()).find_map(Result::err);
        let end = end.unwrap_or_else(|| panic!("cut at {len} and not noticed"));
        assert!(matches!(end, GatewayError::Car { .. } | GatewayError::Absent { .. }), "{end:?}");
    }
}

#[test]
fn an_answer_that_breaks_or_fails_in_the_middle_is_an_error() {
    let tree = tree();
    let whole = car_of(&root_bytes(&tree), &tree.all());
    let cut = Answer::Truncated(whole[..200].to_vec(), whole.len()).header("Content-Type", CAR);
    let error = read(cut, &tree.root, Scope::All).unwrap_err();
    assert!(matches!(error, GatewayError::Http(HttpError::Broken { .. })), "{error:?}");
    // Even where all blocks came before the gateway said that it failed.
    let trailer = vec![("X-Stream-Error".to_owned(), "context deadline exceeded".to_owned())];
    for len in [200, whole.len()] {
        let failed = Answer::Chunks(vec![whole[..len].to_vec()], trailer.clone());
        let error = read(failed.header("Content-Type", CAR), &tree.root, Scope::All).unwrap_err();
        match error {
            GatewayError::Http(HttpError::Failed { message, .. }) => {
                assert_eq!(message, "context deadline exceeded");
            }
            other => panic!("{other:?}"),
        }
    }
    let stalled = Answer::Stalled(whole[..200].to_vec()).header("Content-Type", CAR);
    let error = read(stalled, &tree.root, Scope::All).unwrap_err();
    assert!(matches!(error, GatewayError::Http(HttpError::TimedOut { .. })), "{error:?}");
}

#[test]
fn pitfall_16_an_endless_car_ends() {
    let tree = tree();
    let (root, block) = tree.all().remove(0);
    let begin = car_of(&root_bytes(&tree), &[]);
    let mut endless = begin.clone();
    for _ in 0..100 {
        endless.extend(section(&root, &block));
    }
    // The same block for ever: as often as it could be linked to, and then no more.
    let error = read(car(endless), &tree.root, Scope::All).unwrap_err();
    assert_eq!(selection(error), SelectionError::Repeats { limit: 4 });
    // One section that says it is longer than any block.
    let mut oversized = begin;
    crate::unixfs::dagpb::put_varint(&mut oversized, 1 << 40);
    let error = read(car(oversized), &tree.root, Scope::All).unwrap_err();
    let too_long = |e: &GatewayError| {
        matches!(
            e,
            GatewayError::Car { source: SelectedError::Car(CarError::SectionTooLong { .. }), .. }
        )
    };
    assert!(too_long(&error), "{error:?}");
}

#[test]
fn pitfall_38_bytes_blocks_and_links_are_bounded() {
    let tree = tree();
    let whole = car_of(&root_bytes(&tree), &tree.all());
    let with = |options: SelectedOptions| {
        let answer = car(whole.clone());
        let server = TestServer::start(move |_| answer.clone());
        let endpoint = Endpoint::new(&server.url(), super::options()).unwrap();
        let options = GatewayOptions { car: options, ..GatewayOptions::default() };
        drain(Gateway::with_options(endpoint, options).car(&tree.root, Scope::All)?)
    };
    let usual = SelectedOptions::default();
    let exactly = Limits { max_cids: 13, max_links: 12, max_depth: 3 };
    let bounds = SelectedOptions { limits: exactly, max_bytes: whole.len() as u64 };
    assert_eq!(with(bounds).unwrap().len(), 13);
    let error = with(SelectedOptions { max_bytes: whole.len() as u64 - 1, ..usual }).unwrap_err();
    assert!(matches!(error, GatewayError::TooMuch { .. }), "{error:?}");
    for limits in [
        Limits { max_cids: 12, ..exactly },
        Limits { max_links: 11, ..exactly },
        Limits { max_depth: 2, ..exactly },
    ] {
        assert!(
            matches!(with(SelectedOptions { limits, ..usual }), Err(GatewayError::Car { .. })),
            "{limits:?}"
        );
    }
}

#[test]
fn a_root_that_is_not_there_is_told_by_status_or_by_an_empty_car() {
    let tree = tree();
    for answer in [Answer::status(404, ""), car(car_of(&root_bytes(&tree), &[]))] {
        let error = read(answer, &tree.root, Scope::All).unwrap_err();
        assert!(matches!(error, GatewayError::Absent { cid, .. } if cid == tree.root), "{error:?}");
        assert!(!error.is_lie());
    }
    let page = Answer::ok("<html>").header("Content-Type", "text/html");
    let error = read(page, &tree.root, Scope::All).unwrap_err();
    assert!(matches!(error, GatewayError::NotTrustless { .. }), "{error:?}");
    let other = read(car(b"not a CAR".to_vec()), &tree.root, Scope::All).unwrap_err();
    assert!(
        matches!(other, GatewayError::Car { source: SelectedError::Car(CarError::Header), .. }),
        "{other:?}"
    );
}
