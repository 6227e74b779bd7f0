//! Pins have reasons, and go with the last of them.

use super::{raw, store_one};
use crate::store::{BlockStore, Keep, Pin, Reason, StoreError, Word};
use medledger_core::{Cid, clock::Timestamp, ids::ReportId};

pub(super) fn suite<S: BlockStore>(make: &impl Fn() -> S) {
    a_root_is_kept_until_its_last_reason_goes(&make());
    a_reason_named_twice_keeps_its_time(&make());
    reasons_come_from_many_threads_at_once(&make());
    a_session_may_pin_many_roots(&make());
    many_roots_are_pinned_by_many_threads(&make());
    a_session_without_a_root_sets_no_pin(&make());
    what_is_held_is_not_deleted(&make());
    a_block_held_first_may_still_be_put(&make());
}

fn user(word: &str) -> Reason {
    Reason::User(Word::new(word).unwrap())
}

fn at(reason: Reason, secs: u64) -> Keep {
    Keep::since(reason, Timestamp::from_secs(secs))
}

fn a_root_is_kept_until_its_last_reason_goes(store: &impl BlockStore) {
    let report = Reason::Report(ReportId::from_bytes([5; 16]));
    let cid = raw(b"kept");
    let session = store.begin().unwrap();
    session.put(&cid, b"kept").unwrap();
    session.finish(&[(cid, at(report.clone(), 7))]).unwrap();
    store.pin(&cid, &at(user("audit"), 8)).unwrap();
    let reasons = vec![at(report.clone(), 7), at(user("audit"), 8)];
    assert_eq!(store.pinned().unwrap(), [Pin { root: cid, reasons }]);
    assert_eq!(store.pins().unwrap(), [cid]);

    assert!(!store.release(&cid, &user("another")).unwrap());
    assert!(store.release(&cid, &report).unwrap());
    assert!(!store.release(&cid, &report).unwrap());
    assert!(matches!(store.delete(&cid), Err(StoreError::Pinned { .. })));
    assert_eq!(store.pinned().unwrap(), [Pin::new(cid, at(user("audit"), 8))]);
    assert!(store.release(&cid, &user("audit")).unwrap());
    assert!(store.pinned().unwrap().is_empty());
    assert!(!store.release(&cid, &user("audit")).unwrap());
    assert!(store.delete(&cid).unwrap());
    match store.pin(&cid, &at(report, 9)) {
        Err(StoreError::NoRoot { cid: named }) => assert_eq!(named, cid),
        other => panic!("a root that is nowhere was pinned: {other:?}"),
    }
}

fn a_reason_named_twice_keeps_its_time(store: &impl BlockStore) {
    let cid = store_one(store, b"a");
    let told = store.pinned().unwrap().remove(0).reasons;
    assert!(matches!(&told[..], [Keep { reason: Reason::Untold, since: Some(_) }]), "{told:?}");
    store.pin(&cid, &at(user("b"), 5)).unwrap();
    store.pin(&cid, &at(user("b"), 6)).unwrap();
    assert_eq!(store.pinned().unwrap()[0].reasons, [at(user("b"), 5), told[0].clone()]);
    // All at once.
    assert!(store.unpin(&cid).unwrap() && store.pinned().unwrap().is_empty());
}

fn reasons_come_from_many_threads_at_once(store: &impl BlockStore) {
    let cid = store_one(store, b"wanted by all");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for i in 0..3 {
                    store.pin(&cid, &at(user(&format!("{thread} {i}")), 1)).unwrap();
                    store.pin(&cid, &at(user(&format!("{thread} gone")), 1)).unwrap();
                    assert!(store.release(&cid, &user(&format!("{thread} gone"))).unwrap());
                }
            });
        }
    });
    let reasons = &store.pinned().unwrap()[0].reasons;
    assert_eq!(reasons.len(), 4 * 3 + 1, "{reasons:?}");
}

fn a_session_may_pin_many_roots(store: &impl BlockStore) {
    let blocks: Vec<[u8; 2]> = (0..40).map(|i| [i, 1]).collect();
    let session = store.begin().unwrap();
    let mut pins = Vec::new();
    for block in &blocks {
        session.put(&raw(block), block).unwrap();
        pins.push((raw(block), at(user("first"), 1)));
        pins.push((raw(block), at(user("second"), 2)));
    }
    session.finish(&pins).unwrap();
    let pinned = store.pinned().unwrap();
    assert_eq!(pinned.len(), blocks.len());
    assert!(pinned.iter().all(|pin| pin.reasons.len() == 2), "{pinned:?}");
    // With a root that is nowhere, none is set.
    let session = store.begin().unwrap();
    session.put(&raw(b"x"), b"x").unwrap();
    let pins = [(raw(b"x"), at(user("third"), 3)), (raw(b"absent"), at(user("third"), 3))];
    assert!(matches!(session.finish(&pins), Err(StoreError::NoRoot { .. })));
    assert_eq!(store.pinned().unwrap(), pinned);
    for pin in pinned {
        store.unpin(&pin.root).unwrap();
    }
}

/// Two sessions that pin the same roots in opposite orders wait for each other never.
fn many_roots_are_pinned_by_many_threads(store: &impl BlockStore) {
    let roots: Vec<Cid> = (0..20u8).map(|i| store_one(store, &[i, 9])).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let mut roots = roots.clone();
            if thread % 2 == 1 {
                roots.reverse();
            }
            scope.spawn(move || {
                let keep = |root: Cid| (root, at(user(&format!("{thread}")), 1));
                let pins: Vec<_> = roots.into_iter().map(keep).collect();
                store.begin().unwrap().finish(&pins).unwrap();
            });
        }
    });
    assert!(store.pinned().unwrap().iter().all(|pin| pin.reasons.len() == 5));
}

fn a_session_without_a_root_sets_no_pin(store: &impl BlockStore) {
    let session = store.begin().unwrap();
    session.put(&raw(b"x"), b"x").unwrap();
    session.finish(&[]).unwrap();
    assert_eq!(store.get(&raw(b"x")).unwrap().as_deref(), Some(&b"x"[..]));
    assert!(store.pins().unwrap().is_empty());
    assert!(store.delete(&raw(b"x")).unwrap());
}

fn what_is_held_is_not_deleted(store: &impl BlockStore) {
    let cid = store_one(store, b"held");
    store.unpin(&cid).unwrap();
    let session = store.begin().unwrap();
    assert!(session.hold(&cid).unwrap());
    assert!(!session.hold(&raw(b"absent")).unwrap());
    assert!(matches!(store.delete(&cid), Err(StoreError::InUse { .. })));
    drop(session);
    assert!(store.delete(&cid).unwrap());
}

fn a_block_held_first_may_still_be_put(store: &impl BlockStore) {
    let cid = raw(b"late");
    let session = store.begin().unwrap();
    assert!(!session.hold(&cid).unwrap());
    session.put(&cid, b"late").unwrap();
    assert!(session.hold(&cid).unwrap());
    session.commit(&cid).unwrap();
    assert_eq!(store.get(&cid).unwrap().as_deref(), Some(&b"late"[..]));
}
