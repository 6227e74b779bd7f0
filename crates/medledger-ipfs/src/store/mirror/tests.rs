//! A mirror whose second store comes and goes.

use super::*;
use crate::store::{FileStore, MemoryStore, Word};
use crate::unixfs::{Builder, Profile};
use crate::{conformance, fsck::verify_dag};
use medledger_core::cid::Codec;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;

/// A store that can be away.
#[derive(Debug, Default)]
struct Away {
    store: MemoryStore,
    away: AtomicBool,
    asked: AtomicUsize,
}

impl Away {
    fn here(&self) -> Result<&MemoryStore, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Backend { store: "away".into(), source: "gone".into() });
        }
        Ok(&self.store)
    }
}

impl BlockRead for Away {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.here()?.get(cid)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.here()?.has(cid)
    }
}

impl BlockStore for Away {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        self.here()?.begin()
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.here()?.delete(cid)
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        self.here()?.list()
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        self.here()?.pinned()
    }

    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        self.here()?.release(root, reason)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.here()?.unpin(root)
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        self.here()?.sweep()
    }
}

type Two = Mirror<Arc<MemoryStore>, Arc<Away>>;

fn two() -> (Two, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Mirror::open(Arc::default(), Arc::default(), folder.path().join("owed")).unwrap(), folder)
}

fn user(text: &str) -> Reason {
    Reason::User(Word::new(text).unwrap())
}

fn file(store: &dyn BlockStore, n: u8, reason: &str) -> Cid {
    let session = store.begin().unwrap();
    let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
    let mut builder = Builder::new(Profile::V0_2015);
    builder.write(&vec![n; 600_000], &mut sink).unwrap();
    let root = builder.finish(&mut sink).unwrap().cid;
    session.commit_for(&root, user(reason)).unwrap();
    root
}

fn away(mirror: &Two, away: bool) {
    mirror.second().away.store(away, Ordering::Relaxed);
}

fn same(mirror: &Two) {
    assert_eq!(mirror.first().pinned().unwrap(), mirror.second().store.pinned().unwrap());
    for root in mirror.first().pins().unwrap() {
        assert!(verify_dag(&mirror.second().store, root, 1000).unwrap().is_complete());
    }
    assert_eq!(mirror.behind(), 0);
    assert!(!mirror.owed_file().exists());
}

#[test]
fn a_mirror_is_a_store_like_any_other_with_a_second_that_is_away() {
    // A second that is there would answer for blocks that the suite deletes from the first.
    let folder = tempfile::tempdir().unwrap();
    let mut stores = 0;
    let numbers = std::cell::RefCell::new(&mut stores);
    conformance::block_store(|| {
        **numbers.borrow_mut() += 1;
        let owed = folder.path().join(numbers.borrow().to_string());
        Mirror::open(MemoryStore::new(), Nothing, owed).unwrap()
    });
    assert!(stores > 5);
}

/// A store that fails whatever is asked to be kept, and has nothing.
#[derive(Debug)]
struct Nothing;

fn gone<T>() -> Result<T, StoreError> {
    Err(StoreError::Backend { store: "nothing".into(), source: "gone".into() })
}

impl BlockRead for Nothing {
    fn get(&self, _: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(None)
    }

    fn has(&self, _: &Cid) -> Result<bool, StoreError> {
        Ok(false)
    }
}

impl BlockStore for Nothing {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        gone()
    }

    fn delete(&self, _: &Cid) -> Result<bool, StoreError> {
        gone()
    }

    fn list(&self) -> Result<Box<dyn Iterator<Item = Result<Cid, StoreError>> + '_>, StoreError> {
        gone()
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        gone()
    }

    fn release(&self, _: &Cid, _: &Reason) -> Result<bool, StoreError> {
        gone()
    }

    fn unpin(&self, _: &Cid) -> Result<bool, StoreError> {
        gone()
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        gone()
    }
}

#[test]
fn what_is_stored_is_in_both() {
    let (mirror, _folder) = two();
    let root = file(&mirror, 1, "a");
    same(&mirror);
    mirror.pin(&root, &Keep::now(user("b"))).unwrap();
    same(&mirror);
    assert!(mirror.release(&root, &user("a")).unwrap());
    assert!(!mirror.release(&root, &user("a")).unwrap());
    same(&mirror);
    assert!(mirror.unpin(&root).unwrap() && !mirror.unpin(&root).unwrap());
    same(&mirror);
}

#[test]
fn an_outage_is_made_up_for_also_after_a_restart() {
    let (mirror, folder) = two();
    let kept = file(&mirror, 1, "before");
    away(&mirror, true);
    let during = file(&mirror, 2, "during");
    assert!(mirror.release(&kept, &user("before")).unwrap());
    assert_eq!(mirror.behind(), 2);
    assert!(matches!(mirror.catch_up(), Err(CatchUpError::Second(_))));
    // A restart: the stores are as they were.
    let (first, second) = (mirror.first().clone(), mirror.second().clone());
    let mirror = Mirror::open(first, second, folder.path().join("owed")).unwrap();
    assert_eq!(mirror.behind(), 2);
    away(&mirror, false);
    let done = mirror.catch_up().unwrap();
    assert_eq!((done.copied, done.released), (1, 1));
    same(&mirror);
    assert_eq!(mirror.second().store.pins().unwrap(), [during]);
}

#[test]
fn nobody_waits_for_a_store_that_failed_a_moment_ago() {
    let (mirror, _folder) = two();
    away(&mirror, true);
    file(&mirror, 1, "a");
    let asked = mirror.second().asked.load(Ordering::Relaxed);
    for n in 2..10 {
        file(&mirror, n, "more");
    }
    assert_eq!(mirror.second().asked.load(Ordering::Relaxed), asked);
    away(&mirror, false);
    assert_eq!(mirror.catch_up().unwrap().copied, 9);
    same(&mirror);
}

#[test]
fn what_is_missing_or_damaged_in_the_first_is_read_from_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let files = FileStore::open(folder.path().join("blocks")).unwrap();
    let owed = folder.path().join("owed");
    let mirror = Mirror::open(files, MemoryStore::new(), owed).unwrap();
    let root = file(&mirror, 5, "a");
    let whole = mirror.get(&root).unwrap().unwrap();
    let path = mirror.first().block_path(&root);
    std::fs::write(&path, b"damaged").unwrap();
    assert_eq!(mirror.get(&root).unwrap().unwrap(), whole);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(mirror.get(&root).unwrap().unwrap(), whole);
    assert!(mirror.has(&root).unwrap());
    assert_eq!(mirror.size(&root).unwrap(), Some(whole.len() as u64));
}

#[test]
fn a_comparison_finds_what_no_file_tells() {
    let (mirror, _folder) = two();
    // Stored before there was a second store.
    let root = file(&**mirror.first(), 3, "old");
    assert_eq!(mirror.behind(), 0);
    assert_eq!(mirror.compare_and_catch_up().unwrap().copied, 1);
    same(&mirror);
    // What others keep in the second is none of ours.
    let theirs = Cid::of(Codec::Raw, b"theirs");
    let session = mirror.second().store.begin().unwrap();
    session.put(&theirs, b"theirs").unwrap();
    session.commit_for(&theirs, user("theirs")).unwrap();
    assert_eq!(mirror.compare_and_catch_up().unwrap(), CaughtUp::default());
    assert!(mirror.unpin(&root).unwrap());
    assert_eq!(mirror.second().store.pins().unwrap(), [theirs]);
}

#[test]
fn a_hole_in_the_first_store_is_told_and_nothing_half_is_pinned() {
    let (mirror, _folder) = two();
    away(&mirror, true);
    let root = file(&mirror, 4, "a");
    mirror.first().unpin(&root).unwrap();
    let leaf = crate::links::links_of(Codec::DagPb, &mirror.first().get(&root).unwrap().unwrap());
    assert!(mirror.first().delete(&leaf.unwrap()[0]).unwrap());
    mirror.first().pin(&root, &Keep::now(user("a"))).unwrap();
    away(&mirror, false);
    assert!(matches!(mirror.catch_up(), Err(CatchUpError::First(CopyError::Dag(_)))));
    assert!(mirror.second().store.pins().unwrap().is_empty() && mirror.behind() == 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is done in whatever order, and whenever the second is away: in the end both hold the same.
    #[test]
    fn in_the_end_both_hold_the_same(steps in proptest::collection::vec((0..6u8, 0..4u8), 0..40)) {
        let (mirror, folder) = two();
        let (first, second) = (mirror.first().clone(), mirror.second().clone());
        let mut mirror = mirror;
        let cid = |n: u8| Cid::of(Codec::Raw, &[n]);
        for (what, n) in steps {
            match what {
                0 | 1 => {
                    let session = mirror.begin().unwrap();
                    session.put(&cid(n), &[n]).unwrap();
                    session.commit_for(&cid(n), user(if what == 0 { "a" } else { "b" })).unwrap();
                }
                2 => drop(mirror.release(&cid(n), &user("a")).unwrap()),
                3 => drop(mirror.unpin(&cid(n)).unwrap()),
                4 => away(&mirror, n % 2 == 0),
                _ => {
                    let owed = folder.path().join("owed");
                    mirror = Mirror::open(first.clone(), second.clone(), owed).unwrap();
                }
            }
        }
        away(&mirror, false);
        mirror.catch_up().unwrap();
        same(&mirror);
    }
}
