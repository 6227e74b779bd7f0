//! Sources that have, miss, fail and lie.

use super::*;
use crate::repair::repair_blocks;
use crate::store::{BlockStore, CachedStore, MemoryStore};
use medledger_core::cid::Codec;
use medledger_core::clock::FixedClock;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

fn cid(n: u8) -> Cid {
    Cid::of(Codec::Raw, &[n])
}

/// A source that has some blocks and is told how to fail at others. Counts the blocks it was asked for.
#[derive(Clone, Default)]
struct Odd(Arc<OddState>);

#[derive(Default)]
struct OddState {
    has: Mutex<HashSet<u8>>,
    damaged: Mutex<HashSet<u8>>,
    down: std::sync::atomic::AtomicBool,
    asked: AtomicU64,
}

impl Odd {
    fn with(blocks: &[u8]) -> Self {
        let odd = Self::default();
        lock(&odd.0.has).extend(blocks);
        odd
    }

    fn damage(self, n: u8) -> Self {
        lock(&self.0.damaged).insert(n);
        self
    }

    fn down(&self, down: bool) {
        self.0.down.store(down, Ordering::Relaxed);
    }

    fn asked(&self) -> u64 {
        self.0.asked.swap(0, Ordering::Relaxed)
    }
}

impl BlockRead for Odd {
    fn get(&self, wanted: &Cid) -> Result<Option<Block>, StoreError> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        if self.0.down.load(Ordering::Relaxed) {
            return Err(StoreError::Backend { store: "odd".into(), source: "down".into() });
        }
        if lock(&self.0.damaged).iter().any(|n| cid(*n) == *wanted) {
            return Err(StoreError::Damaged { cid: *wanted, path: None });
        }
        let found = lock(&self.0.has).iter().find(|n| cid(**n) == *wanted).copied();
        Ok(found.map(|n| vec![n].into()))
    }

    fn has(&self, wanted: &Cid) -> Result<bool, StoreError> {
        Ok(self.get(wanted)?.is_some())
    }
}

fn rule() -> Resting {
    Resting { after: 2, first: 10, longest: 35, after_lie: 1000 }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn first(block: Option<Block>) -> Option<u8> {
    block.map(|b| b[0])
}

fn errors_of(error: StoreError) -> Vec<String> {
    let StoreError::Backend { source, .. } = error else { panic!("{error:?}") };
    let error = source.downcast::<SourcesError>().expect("an error of all sources");
    error.errors.iter().map(|(name, _)| name.clone()).collect()
}

#[test]
fn the_next_is_asked_for_what_one_has_not_got_and_nobody_after_who_has_it() {
    let (a, b, c) = (Odd::with(&[1]), Odd::with(&[1, 2]), Odd::with(&[1, 2, 3]));
    let sources = Sources::new().own("a", a.clone()).other("b", b.clone()).other("c", c.clone());
    assert_eq!(first(sources.get(&cid(1)).unwrap()), Some(1));
    assert_eq!((a.asked(), b.asked(), c.asked()), (1, 0, 0));
    assert_eq!(first(sources.get(&cid(2)).unwrap()), Some(2));
    assert_eq!((a.asked(), b.asked(), c.asked()), (1, 1, 0));
    assert!(sources.has(&cid(3)).unwrap() && !sources.has(&cid(4)).unwrap());
    assert_eq!(sources.size(&cid(3)).unwrap(), Some(1));
    assert_eq!(sources.get(&cid(4)).unwrap(), None);
    let health = sources.health();
    assert_eq!((health[0].1.successes, health[0].1.misses), (1, 5));
    assert_eq!(health[2].0, "c");
    assert!(health[0].1.average().is_some() && health[0].1.last_error.is_none());
}

#[test]
fn many_are_asked_only_for_what_is_still_missing_and_come_in_order() {
    let (a, b) = (Odd::with(&[1, 3]), Odd::with(&[1, 2, 3, 4]));
    let sources = Sources::new().own("a", a.clone()).other("b", b.clone());
    let cids = [cid(4), cid(3), cid(9), cid(1), cid(2)];
    let got = sources.get_many(&cids).unwrap();
    let got: Vec<_> = got.into_iter().map(first).collect();
    assert_eq!(got, [Some(4), Some(3), None, Some(1), Some(2)]);
    assert_eq!((a.asked(), b.asked()), (5, 3));
}

#[test]
fn one_damaged_block_does_not_keep_the_others_of_its_source_away() {
    // Only together do they have everything.
    let a = Odd::with(&[1, 3]).damage(2);
    let b = Odd::with(&[2]);
    let sources = Sources::new().own("a", a).other("b", b);
    let got = sources.get_many(&[cid(1), cid(2), cid(3)]).unwrap();
    let got: Vec<_> = got.into_iter().map(first).collect();
    assert_eq!(got, [Some(1), Some(2), Some(3)]);
    let damaged = Damaged { source: "a".into(), cid: cid(2) };
    assert_eq!(sources.take_damaged(), [damaged]);
    assert_eq!(sources.take_damaged(), []);
}

#[test]
fn nobody_has_it_is_said_only_when_everybody_says_so() {
    let (a, b, c) = (Odd::default(), Odd::default(), Odd::default().damage(7));
    let sources = Sources::new().own("a", a).other("b", b.clone()).other("c", c);
    assert_eq!(sources.get(&cid(1)).unwrap(), None);
    b.down(true);
    let error = sources.get(&cid(1)).unwrap_err();
    let StoreError::Backend { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().ends_with("b: odd failed: down"), "{source}");
    assert_eq!(errors_of(error), ["b"]);
    assert_eq!(errors_of(sources.has(&cid(1)).unwrap_err()), ["b"]);
    assert_eq!(errors_of(sources.get(&cid(7)).unwrap_err()), ["b", "c"]);
    assert_eq!(errors_of(sources.get_many(&[cid(1), cid(7)]).unwrap_err()), ["b"]);
    assert_eq!(Sources::new().get(&cid(1)).unwrap(), None);
}

#[test]
fn who_fails_several_times_in_a_row_rests_for_a_growing_while() {
    let clock = Arc::new(FixedClock::new(at(100)));
    let (a, b) = (Odd::with(&[1, 2]), Odd::with(&[1]));
    let sources = Sources::with(rule(), clock.clone()).other("a", a.clone()).own("b", b);
    let rests = || sources.health()[0].1.rests_until;
    a.down(true);
    sources.get(&cid(1)).unwrap();
    assert_eq!((a.asked(), rests()), (1, None));
    sources.get(&cid(1)).unwrap();
    assert_eq!((a.asked(), rests()), (1, Some(at(110))));
    sources.get(&cid(1)).unwrap();
    assert_eq!(a.asked(), 0, "it rests");
    for (now, until) in [(110, 130), (130, 165), (165, 200)] {
        clock.set(at(now));
        sources.get(&cid(1)).unwrap();
        assert_eq!((a.asked(), rests()), (1, Some(at(until))));
    }
    // What the others have not got it is asked for all the same, and that makes no rest longer.
    sources.get(&cid(2)).unwrap_err();
    assert_eq!((a.asked(), rests()), (1, Some(at(200))));
    a.down(false);
    assert_eq!(first(sources.get(&cid(2)).unwrap()), Some(2));
    assert_eq!((a.asked(), rests()), (1, None), "it did well, and is first again");
    sources.get(&cid(1)).unwrap();
    assert_eq!(a.asked(), 1);
    let health = &sources.health()[0].1;
    assert_eq!((health.backend_failures, health.failures_in_a_row), (6, 0));
    assert_eq!(health.last_error, Some((at(165), "odd failed: down".to_owned())));
}

#[test]
fn when_all_rest_all_are_asked() {
    let clock = Arc::new(FixedClock::new(at(0)));
    let (a, b) = (Odd::with(&[1]), Odd::with(&[1]));
    let sources = Sources::with(rule(), clock).other("a", a.clone()).other("b", b.clone());
    a.down(true);
    b.down(true);
    for _ in 0..3 {
        assert_eq!(errors_of(sources.get(&cid(1)).unwrap_err()), ["a", "b"]);
    }
    assert!(sources.health().iter().all(|(_, health)| health.rests(at(5))));
    b.down(false);
    assert_eq!(first(sources.get(&cid(1)).unwrap()), Some(1));
}

#[test]
fn pitfall_16_who_lies_rests_for_longer_whatever_it_says_next() {
    let clock = Arc::new(FixedClock::new(at(0)));
    let (liar, honest) = (Odd::with(&[2, 3]).damage(1), Odd::with(&[1, 2]));
    let sources =
        Sources::with(rule(), clock.clone()).other("liar", liar.clone()).other("honest", honest);
    assert_eq!(first(sources.get(&cid(1)).unwrap()), Some(1), "the lie does not come out");
    assert_eq!(liar.asked(), 1);
    // Asked as the last hope, it even helps; it is not first again for that.
    assert_eq!(first(sources.get(&cid(3)).unwrap()), Some(3));
    liar.asked();
    clock.set(at(999));
    sources.get(&cid(2)).unwrap();
    assert_eq!(liar.asked(), 0);
    clock.set(at(1000));
    sources.get(&cid(2)).unwrap();
    assert_eq!(liar.asked(), 1);
    let health = &sources.health()[0].1;
    assert_eq!((health.lies, health.damaged, health.backend_failures), (1, 0, 0));
}

#[test]
fn damage_of_ones_own_makes_nobody_rest_and_can_be_repaired() {
    let disk = MemoryStore::new();
    let session = disk.begin().unwrap();
    session.put(&cid(1), &[1]).unwrap();
    // The store believes what it is given, and finds out when it is read.
    session.put(&cid(2), b"rotten").unwrap();
    session.commit(&cid(1)).unwrap();
    let disk = Arc::new(disk);
    let sources = Sources::with(Resting { after: 1, ..rule() }, Arc::new(FixedClock::new(at(0))))
        .own("disk", Arc::clone(&disk))
        .other("copy", Odd::with(&[2]));
    for _ in 0..5 {
        assert_eq!(first(sources.get(&cid(2)).unwrap()), Some(2));
    }
    let health = sources.health();
    assert_eq!((health[0].1.damaged, health[0].1.lies, health[0].1.rests_until), (5, 0, None));
    let damaged = sources.take_damaged();
    assert_eq!(damaged.len(), 1, "each once: {damaged:?}");
    let cids: Vec<Cid> = damaged.iter().map(|d| d.cid).collect();
    let repaired = repair_blocks(&*disk, &cids, &sources).unwrap();
    assert!(repaired.is_complete() && repaired.repaired == cids && repaired.bytes == 1);
    assert_eq!(first(disk.get(&cid(2)).unwrap()), Some(2));
    let nowhere = repair_blocks(&*disk, &[cid(9)], &sources).unwrap();
    assert_eq!((nowhere.absent, nowhere.repaired), (vec![cid(9)], vec![]));
}

#[test]
fn a_cache_in_front_spares_the_sources() {
    let a = Odd::with(&[1]);
    let cached = CachedStore::new(Sources::new().other("a", a.clone()), 1 << 20);
    for _ in 0..3 {
        assert_eq!(first(cached.get(&cid(1)).unwrap()), Some(1));
    }
    assert_eq!(a.asked(), 1);
}
