//! A collection removes what nothing keeps, and nothing else, whatever goes on beside it.

use super::{listed, raw, store_one};
use crate::{
    collect::{CollectError, CollectOptions, collect, hold_dag},
    fsck::verify_dag,
    store::{BlockStore, Keep, Reason, StoreError, Word},
};
use medledger_core::{
    Cid, cbor,
    cid::{Codec, Link},
};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

pub(super) fn suite<S: BlockStore>(make: &impl Fn() -> S) {
    garbage_goes_and_what_lies_below_pins_stays(&make());
    a_dry_run_removes_nothing(&make());
    what_cannot_be_seen_below_stops_it(&make());
    the_same_bytes_as_leaf_and_as_node_keep_what_the_node_links(&make());
    one_collection_at_a_time(&make());
    what_a_session_claimed_is_spared_even_after_it_ended(&make());
    a_session_that_found_a_block_keeps_it(&make());
    a_held_tree_may_be_pinned_anew(&make());
    uploads_and_collections_run_side_by_side(&make());
}

fn node(links: &[Cid]) -> (Cid, Vec<u8>) {
    let links: Vec<Link> = links.iter().copied().map(Link).collect();
    let bytes = cbor::encode(&links);
    (Cid::of(Codec::DagCbor, &bytes), bytes)
}

/// A node over a node over leaves; the root is pinned.
fn tree(store: &(impl BlockStore + ?Sized), leaves: &[&[u8]]) -> Cid {
    let session = store.begin().unwrap();
    let cids: Vec<Cid> = leaves.iter().map(|leaf| raw(leaf)).collect();
    for (cid, leaf) in cids.iter().zip(leaves) {
        session.put(cid, leaf).unwrap();
    }
    let (inner, bytes) = node(&cids);
    session.put(&inner, &bytes).unwrap();
    let (root, bytes) = node(&[inner]);
    session.put(&root, &bytes).unwrap();
    session.commit(&root).unwrap();
    root
}

fn run(store: &impl BlockStore) -> u64 {
    collect(store, CollectOptions::default()).unwrap().removed
}

fn assert_whole(store: &impl BlockStore, root: Cid, blocks: u64) {
    let report = verify_dag(store, root, 1000).unwrap();
    assert!(report.is_complete() && report.blocks == blocks, "{report:?}");
}

fn garbage_goes_and_what_lies_below_pins_stays(store: &impl BlockStore) {
    let a = tree(store, &[b"1", b"2", b"shared"]);
    let b = tree(store, &[b"3", b"shared"]);
    assert_eq!(run(store), 0);
    store.unpin(&a).unwrap();
    let done = collect(store, CollectOptions::default()).unwrap();
    assert_eq!((done.pins, done.kept, done.removed), (1, 4, 4));
    assert_whole(store, b, 4);
    assert!(!store.has(&a).unwrap() && !store.has(&raw(b"1")).unwrap());
    // The same again may be stored, and is kept.
    assert_eq!(tree(store, &[b"1", b"2", b"shared"]), a);
    assert_eq!(run(store), 0);
    assert_whole(store, a, 5);
}

fn a_dry_run_removes_nothing(store: &impl BlockStore) {
    let root = tree(store, &[b"1", b"22"]);
    store.unpin(&root).unwrap();
    let before = listed(store);
    let would = collect(store, CollectOptions::dry_run()).unwrap();
    assert_eq!(listed(store), before);
    let did = collect(store, CollectOptions::default()).unwrap();
    assert_eq!(would, did);
    assert!(listed(store).is_empty());
}

fn what_cannot_be_seen_below_stops_it(store: &impl BlockStore) {
    let kept = tree(store, &[b"1", b"2"]);
    let garbage = store_one(store, b"garbage");
    store.unpin(&garbage).unwrap();
    let (inner, bytes) = node(&[raw(b"1"), raw(b"2")]);
    assert!(store.delete(&inner).unwrap());
    match collect(store, CollectOptions::default()) {
        Err(CollectError::Blind(blind)) => assert_eq!(blind.missing, [inner]),
        other => panic!("a missing node gave {other:?}"),
    }
    assert!(store.has(&garbage).unwrap() && store.has(&raw(b"2")).unwrap());
    let would = collect(store, CollectOptions::dry_run().forced()).unwrap();
    assert_eq!((would.removed, would.blind.missing), (3, vec![inner]));
    // With the node back, nothing was lost.
    let session = store.begin().unwrap();
    session.put(&inner, &bytes).unwrap();
    session.finish(&[]).unwrap();
    assert_eq!(run(store), 1);
    assert_whole(store, kept, 4);
    // A leaf that is missing hides nothing.
    assert!(store.delete(&raw(b"1")).unwrap());
    assert_eq!(run(store), 0);
}

fn the_same_bytes_as_leaf_and_as_node_keep_what_the_node_links(store: &impl BlockStore) {
    let leaf = store_one(store, b"leaf");
    let (inner, bytes) = node(&[leaf]);
    for order in [[raw(&bytes), inner], [inner, raw(&bytes)]] {
        let (root, root_bytes) = node(&order);
        let session = store.begin().unwrap();
        session.put(&inner, &bytes).unwrap();
        session.put(&root, &root_bytes).unwrap();
        session.commit(&root).unwrap();
        store.unpin(&leaf).unwrap();
        run(store);
        assert!(store.has(&leaf).unwrap());
        store.unpin(&root).unwrap();
    }
}

fn one_collection_at_a_time(store: &impl BlockStore) {
    let sweep = store.sweep().unwrap();
    let second = collect(store, CollectOptions::default());
    assert!(matches!(second, Err(CollectError::Store(StoreError::Sweeping))), "{second:?}");
    drop(sweep);
    run(store);
}

/// Whenever it began and ended, in relation to the listing of the pins.
fn what_a_session_claimed_is_spared_even_after_it_ended(store: &impl BlockStore) {
    let before = store.begin().unwrap();
    before.put(&raw(b"before"), b"before").unwrap();
    let mut sweep = store.sweep().unwrap();
    let during = store.begin().unwrap();
    during.put(&raw(b"during"), b"during").unwrap();
    assert!(sweep.pins().unwrap().is_empty());
    let after = store.begin().unwrap();
    after.put(&raw(b"after"), b"after").unwrap();
    before.commit(&raw(b"before")).unwrap();
    during.commit(&raw(b"during")).unwrap();
    after.commit(&raw(b"after")).unwrap();
    let failed = store.begin().unwrap();
    failed.put(&raw(b"after"), b"after").unwrap();
    drop(failed);
    for bytes in [&b"before"[..], b"during", b"after"] {
        assert!(!sweep.remove(&raw(bytes)).unwrap(), "{bytes:?} was removed");
        assert!(store.has(&raw(bytes)).unwrap());
    }
    assert!(!sweep.remove(&raw(b"absent")).unwrap());
    drop(sweep);
    assert_eq!(store.pins().unwrap().len(), 3);
    assert_eq!(run(store), 0);
}

/// The block is garbage until the session comes.
fn a_session_that_found_a_block_keeps_it(store: &impl BlockStore) {
    let [found, held, gone] = [&b"found"[..], b"held", b"gone"].map(|b| store_one(store, b));
    for cid in [found, held, gone] {
        store.unpin(&cid).unwrap();
    }
    let mut sweep = store.sweep().unwrap();
    assert!(sweep.pins().unwrap().is_empty());
    let session = store.begin().unwrap();
    session.put(&found, b"found").unwrap();
    assert!(session.hold(&held).unwrap());
    assert!(sweep.remove(&gone).unwrap());
    assert!(!sweep.remove(&found).unwrap() && !sweep.remove(&held).unwrap());
    // What was removed a moment ago is written again.
    session.put(&gone, b"gone").unwrap();
    assert!(!sweep.remove(&gone).unwrap());
    let (root, bytes) = node(&[found, held, gone]);
    session.put(&root, &bytes).unwrap();
    session.commit(&root).unwrap();
    for cid in [found, held, gone, root] {
        assert!(!sweep.remove(&cid).unwrap());
    }
    drop(sweep);
    assert_eq!(run(store), 0);
    assert_whole(store, root, 4);
}

fn a_held_tree_may_be_pinned_anew(store: &impl BlockStore) {
    let root = tree(store, &[b"1", b"2"]);
    store.unpin(&root).unwrap();
    let mut sweep = store.sweep().unwrap();
    let session = store.begin().unwrap();
    hold_dag(store, session.as_ref(), &root).unwrap();
    let keep = Keep::now(Reason::User(Word::new("after all").unwrap()));
    session.finish(&[(root, keep)]).unwrap();
    for cid in listed(store) {
        assert!(!sweep.remove(&cid).unwrap());
    }
    drop(sweep);
    assert_whole(store, root, 4);
    store.unpin(&root).unwrap();
    store.delete(&raw(b"2")).unwrap();
    let session = store.begin().unwrap();
    let held = hold_dag(store, session.as_ref(), &root);
    assert!(matches!(held, Err(StoreError::NoRoot { cid }) if cid == raw(b"2")), "{held:?}");
}

/// Four threads store trees that share most of their leaves, and give half of them up again, while a
/// fifth collects without pause. Every tree acknowledged and not given up is whole at the end.
fn uploads_and_collections_run_side_by_side(store: &impl BlockStore) {
    let done = AtomicBool::new(false);
    let (roots, collections) = std::thread::scope(|scope| {
        let done = &done;
        let collector = scope.spawn(move || {
            let mut collections = 0;
            // Once at least, should the uploads have been quicker than this thread.
            loop {
                collect(store, CollectOptions::default()).unwrap();
                collections += 1;
                if done.load(Ordering::Relaxed) {
                    return collections;
                }
            }
        });
        let uploads: Vec<_> = (0..4u8)
            .map(|thread| {
                scope.spawn(move || {
                    let mut roots = BTreeSet::new();
                    for round in 0..12u8 {
                        let own = [thread, round];
                        let shared = [[9, round % 3], [9, 3 + round % 2]];
                        let root = tree(store, &[&shared[0], &own, &shared[1]]);
                        if round % 2 == 0 {
                            assert!(store.unpin(&root).unwrap());
                        } else {
                            roots.insert(root);
                        }
                    }
                    roots
                })
            })
            .collect();
        let mut roots = BTreeSet::new();
        for upload in uploads {
            roots.extend(upload.join().expect("an upload"));
        }
        done.store(true, Ordering::Relaxed);
        (roots, collector.join().expect("the collector"))
    });
    assert!(collections > 0 && roots.len() == 24, "{collections}, {}", roots.len());
    run(store);
    let mut kept = BTreeSet::new();
    for root in &roots {
        assert_whole(store, *root, 5);
    }
    assert_eq!(store.pins().unwrap().into_iter().collect::<BTreeSet<_>>(), roots);
    // Three blocks of each tree are its own, and five leaves are shared, of which odd rounds use four.
    kept.extend(listed(store));
    assert_eq!(kept.len(), 24 * 3 + 4);
}
