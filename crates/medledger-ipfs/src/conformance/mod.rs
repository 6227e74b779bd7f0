//! What every [`BlockStore`] and every [`PinBackend`](crate::replication::PinBackend) must do, as functions to
//! call from the tests of an implementation.
//!
//! Each panics with what is wrong. `make` gives a new, empty store.

mod collecting;
mod pin_backends;
mod pins;

pub use pin_backends::pin_backend;

use crate::store::{BlockRead, BlockStore, StoreError};
use medledger_core::{Cid, cid::Codec};
use std::collections::BTreeSet;

/// Runs the whole suite.
///
/// # Panics
/// When the store breaks a rule.
pub fn block_store<S: BlockStore>(make: impl Fn() -> S) {
    block_store_collected_elsewhere(&make);
    collecting::suite(&make);
}

/// As [`block_store`], for stores that others collect: all but [`sweep`](BlockStore::sweep).
///
/// # Panics
/// When the store breaks a rule.
pub fn block_store_collected_elsewhere<S: BlockStore>(make: impl Fn() -> S) {
    commit_makes_blocks_and_pin_visible(&make());
    a_dropped_session_leaves_no_pin(&make());
    blocks_are_found_by_hash(&make());
    many_are_answered_in_order(&make());
    wrong_bytes_never_come_out(&make());
    a_damaged_block_is_healed(&make());
    a_root_must_be_there(&make());
    a_failed_session_cannot_commit(&make());
    deleting_spares_pins_and_sessions(&make());
    sessions_run_side_by_side(&make());
    many_threads_put_into_one_session(&make());
    a_failure_on_one_thread_fails_the_session(&make());
    empty_blocks_and_the_largest_are_kept(&make());
    works_behind_a_pointer(Box::new(make()));
    pins::suite(&make);
}

fn raw(bytes: &[u8]) -> Cid {
    Cid::of(Codec::Raw, bytes)
}

fn store_one(store: &(impl BlockStore + ?Sized), bytes: &[u8]) -> Cid {
    let cid = raw(bytes);
    let session = store.begin().unwrap();
    session.put(&cid, bytes).unwrap();
    session.commit(&cid).unwrap();
    cid
}

fn listed(store: &(impl BlockStore + ?Sized)) -> BTreeSet<Cid> {
    store.list().unwrap().map(Result::unwrap).collect()
}

fn commit_makes_blocks_and_pin_visible(store: &impl BlockStore) {
    assert!(listed(store).is_empty() && store.pins().unwrap().is_empty());
    let (a, b) = (raw(b"a"), raw(b"b"));
    assert!(store.get(&a).unwrap().is_none());
    assert!(!store.has(&a).unwrap());
    let session = store.begin().unwrap();
    session.put(&a, b"a").unwrap();
    session.put(&b, b"b").unwrap();
    session.put(&a, b"a").unwrap();
    assert!(store.pins().unwrap().is_empty(), "a pin before the commit");
    session.commit(&b).unwrap();
    assert_eq!(store.get(&a).unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(store.get(&b).unwrap().as_deref(), Some(&b"b"[..]));
    assert!(store.has(&a).unwrap());
    assert_eq!(listed(store), BTreeSet::from([a, b]));
    assert_eq!(store.pins().unwrap(), [b]);
    // The same again changes nothing.
    assert_eq!(store_one(store, b"b"), b);
    assert_eq!((listed(store).len(), store.pins().unwrap().len()), (2, 1));
}

fn a_dropped_session_leaves_no_pin(store: &impl BlockStore) {
    let session = store.begin().unwrap();
    session.put(&raw(b"gone"), b"gone").unwrap();
    drop(session);
    assert!(store.pins().unwrap().is_empty());
    // What it may have left can be removed, and the store goes on.
    for cid in listed(store) {
        assert!(store.delete(&cid).unwrap());
    }
    store_one(store, b"gone");
}

fn blocks_are_found_by_hash(store: &impl BlockStore) {
    let bytes = [0x0a, 4, 8, 2, 0x18, 0];
    let v0 = Cid::v0_from_digest(*raw(&bytes).digest());
    let session = store.begin().unwrap();
    session.put(&v0, &bytes).unwrap();
    session.commit(&v0).unwrap();
    for cid in [v0, raw(&bytes), Cid::of(Codec::DagPb, &bytes)] {
        assert_eq!(store.get(&cid).unwrap().as_deref(), Some(&bytes[..]), "{cid}");
        assert!(store.has(&cid).unwrap());
        assert!(matches!(store.delete(&cid), Err(StoreError::Pinned { .. })), "{cid}");
    }
    assert_eq!(store.pins().unwrap(), [v0], "a pin keeps its version");
    assert_eq!(listed(store), BTreeSet::from([raw(&bytes)]), "a listing names raw CIDs");
}

fn many_are_answered_in_order(store: &impl BlockStore) {
    let a = store_one(store, b"a");
    let b = store_one(store, b"b");
    let answers = store.get_many(&[b, raw(b"absent"), a, b]).unwrap();
    let bytes: Vec<Option<&[u8]>> = answers.iter().map(|block| block.as_deref()).collect();
    assert_eq!(bytes, [Some(&b"b"[..]), None, Some(b"a"), Some(b"b")]);
    assert!(store.get_many(&[]).unwrap().is_empty());
}

/// Stores bytes under the CID of others: either that is refused, or they never come out.
fn wrong_bytes_never_come_out(store: &impl BlockStore) {
    let cid = raw(b"right");
    let session = store.begin().unwrap();
    if session.put(&cid, b"wrong").and_then(|()| session.commit(&cid)).is_ok() {
        match store.get(&cid) {
            Err(StoreError::Damaged { cid: named, .. }) => assert_eq!(named, cid),
            other => panic!("bytes that do not match the CID gave {other:?}"),
        }
        assert!(store.get_many(&[cid]).is_err());
    }
}

fn a_damaged_block_is_healed(store: &impl BlockStore) {
    let cid = raw(b"right");
    let session = store.begin().unwrap();
    if session.put(&cid, b"wrong").and_then(|()| session.commit(&cid)).is_ok() {
        assert!(store.get(&cid).is_err());
        store_one(store, b"right");
        assert_eq!(store.get(&cid).unwrap().as_deref(), Some(&b"right"[..]));
    }
    // A healthy one is not replaced by wrong bytes.
    let cid = store_one(store, b"healthy");
    let session = store.begin().unwrap();
    let _ = session.put(&cid, b"damaged").and_then(|()| session.commit(&cid));
    assert_eq!(store.get(&cid).unwrap().as_deref(), Some(&b"healthy"[..]));
}

fn a_root_must_be_there(store: &impl BlockStore) {
    let absent = raw(b"absent");
    let session = store.begin().unwrap();
    session.put(&raw(b"x"), b"x").unwrap();
    match session.commit(&absent) {
        Err(StoreError::NoRoot { cid }) => assert_eq!(cid, absent),
        other => panic!("a root that is nowhere gave {other:?}"),
    }
    assert!(store.pins().unwrap().is_empty());
    // A root stored earlier may be pinned by a session without blocks.
    let cid = store_one(store, b"earlier");
    assert!(store.unpin(&cid).unwrap());
    assert!(!store.unpin(&cid).unwrap());
    store.begin().unwrap().commit(&cid).unwrap();
    assert_eq!(store.pins().unwrap(), [cid]);
}

fn a_failed_session_cannot_commit(store: &impl BlockStore) {
    let large = vec![0; crate::MAX_BLOCK_BYTES + 1];
    let cid = raw(b"fine");
    let session = store.begin().unwrap();
    session.put(&cid, b"fine").unwrap();
    match session.put(&raw(&large), &large) {
        Err(StoreError::TooLarge { found, .. }) => assert_eq!(found, large.len() as u64),
        other => panic!("a block of {} bytes gave {other:?}", large.len()),
    }
    assert!(matches!(session.commit(&cid), Err(StoreError::SessionFailed)));
    assert!(store.pins().unwrap().is_empty());
}

fn deleting_spares_pins_and_sessions(store: &impl BlockStore) {
    let cid = store_one(store, b"kept");
    assert!(matches!(store.delete(&cid), Err(StoreError::Pinned { .. })));
    store.unpin(&cid).unwrap();
    // A session that found the block already here relies on it.
    let session = store.begin().unwrap();
    session.put(&cid, b"kept").unwrap();
    assert!(matches!(store.delete(&cid), Err(StoreError::InUse { .. })));
    drop(session);
    assert!(store.delete(&cid).unwrap());
    assert!(!store.delete(&cid).unwrap());
    assert!(store.get(&cid).unwrap().is_none());
    assert!(listed(store).is_empty());
}

fn sessions_run_side_by_side(store: &impl BlockStore) {
    std::thread::scope(|scope| {
        for author in 0..4u8 {
            scope.spawn(move || {
                let session = store.begin().unwrap();
                // Half of the blocks are the same for all authors.
                for i in 0..20u8 {
                    let bytes = [i, if i % 2 == 0 { 0 } else { author + 1 }];
                    session.put(&raw(&bytes), &bytes).unwrap();
                }
                session.commit(&raw(&[19, author + 1])).unwrap();
            });
        }
    });
    assert_eq!(listed(store).len(), 10 + 4 * 10);
    assert_eq!(store.pins().unwrap().len(), 4);
    for cid in listed(store) {
        assert!(store.get(&cid).unwrap().is_some());
    }
}

/// Eight threads put the same two hundred blocks, each beginning elsewhere.
fn many_threads_put_into_one_session(store: &impl BlockStore) {
    let blocks: Vec<Vec<u8>> = (0..200u8).map(|i| vec![i; 1000 + usize::from(i)]).collect();
    let cids: Vec<Cid> = blocks.iter().map(|block| raw(block)).collect();
    let session = store.begin().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (session, blocks, cids) = (&session, &blocks, &cids);
            scope.spawn(move || {
                for i in 0..blocks.len() {
                    let i = (i + thread * 25) % blocks.len();
                    session.put(&cids[i], &blocks[i]).unwrap();
                }
            });
        }
    });
    assert!(store.pins().unwrap().is_empty());
    session.commit(&cids[199]).unwrap();
    assert_eq!(store.pins().unwrap(), [cids[199]]);
    assert_eq!(listed(store), cids.iter().copied().collect());
    for (cid, block) in cids.iter().zip(&blocks) {
        assert_eq!(store.get(cid).unwrap().as_deref(), Some(&block[..]));
    }
}

fn a_failure_on_one_thread_fails_the_session(store: &impl BlockStore) {
    let large = vec![0; crate::MAX_BLOCK_BYTES + 1];
    let session = store.begin().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| session.put(&raw(&large), &large).unwrap_err());
        for i in 0..50u8 {
            // May be refused once the other thread has failed.
            let _ = session.put(&raw(&[i]), &[i]);
        }
    });
    assert!(matches!(session.commit(&raw(&[0])), Err(StoreError::SessionFailed)));
    assert!(store.pins().unwrap().is_empty());
}

fn empty_blocks_and_the_largest_are_kept(store: &impl BlockStore) {
    for len in [0, crate::MAX_BLOCK_BYTES] {
        let bytes = vec![7; len];
        let cid = store_one(store, &bytes);
        assert!(store.get(&cid).unwrap().as_deref() == Some(&bytes[..]));
    }
}

fn works_behind_a_pointer(store: Box<dyn BlockStore + '_>) {
    let cid = store_one(&store, b"boxed");
    let reader: &dyn BlockRead = &*store;
    assert!(reader.get(&cid).unwrap().is_some());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CachedStore, FileStore, MemoryStore};

    #[test]
    fn the_memory_store_conforms() {
        block_store(MemoryStore::new);
    }

    #[test]
    fn the_file_store_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let count = std::cell::Cell::new(0);
        block_store(|| {
            count.set(count.get() + 1);
            FileStore::open(folder.path().join(count.get().to_string())).unwrap()
        });
    }

    #[test]
    fn the_cached_store_conforms_with_any_capacity() {
        for capacity in [0, 1, 300, 1 << 30] {
            block_store(|| CachedStore::new(MemoryStore::new(), capacity));
        }
    }
}
