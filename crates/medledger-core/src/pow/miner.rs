//! Mining one block with many workers.

use super::header::Header;
use super::search::{TRIES_PER_LOOK, search_with};
use super::target::{BitsError, Target};
use sha256_lanes::Scan;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Nonces a worker takes at a time: a few milliseconds, so that workers of unequal speed end together.
const NONCES_PER_SHARE: u64 = 64 * TRIES_PER_LOOK as u64;

/// All values of a header's nonce.
const NONCES: u64 = 1 << 32;

/// Hands for heavy work. The crate starts no thread itself: whoever embeds it brings the threads.
///
/// ```
/// use medledger_core::pow::Workers;
/// struct Threads(usize);
///
/// impl Workers for Threads {
///     fn count(&self) -> usize {
///         self.0
///     }
///
///     fn run(&self, job: &(dyn Fn(usize) + Sync)) {
///         std::thread::scope(|scope| {
///             for worker in 0..self.0 {
///                 scope.spawn(move || job(worker));
///             }
///         });
///     }
/// }
/// ```
pub trait Workers: Send + Sync {
    /// How many jobs can run at once; at least 1.
    fn count(&self) -> usize;

    /// Runs `job(i)` once for each `i` in `0..count()`, at the same time where it can, and returns
    /// when all have ended.
    fn run(&self, job: &(dyn Fn(usize) + Sync));

    /// Runs `main` on the calling thread and, where there are other hands, `job(i)` on some of them at the same time;
    /// returns when all have ended. `main` must not wait for any `job`: perhaps none is run.
    fn beside(&self, main: &mut dyn FnMut(), job: &(dyn Fn(usize) + Sync)) {
        let _ = job;
        main();
    }
}

/// One worker: the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Workers for Inline {
    fn count(&self) -> usize {
        1
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        job(0);
    }
}

/// How mining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done.
    Found {
        /// The header that meets its target.
        header: Header,
        /// Hashes computed, by all workers together.
        tries: u64,
    },
    /// Stopped before that.
    Cancelled {
        /// Hashes computed, by all workers together.
        tries: u64,
    },
    /// The header is no longer the one to mine, says [`Watch::stale`].
    Stale {
        /// Hashes computed, by all workers together.
        tries: u64,
    },
}

/// What workers look at while they search.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Set from anywhere, stops all workers after some thousand tries: within a millisecond.
    pub cancel: &'a AtomicBool,
    /// Grows by the tries made.
    pub progress: &'a AtomicU64,
    /// Whether the header is out of date, because there is something new to mine. Every worker asks it
    /// every few milliseconds, and tells the tries made on this header so far.
    ///
    /// Mining has no memory: tries made in vain bring the next one no nearer, so going over to another
    /// header at any time loses nothing.
    pub stale: &'a (dyn Fn(u64) -> bool + Sync),
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cancel, progress, stale: _ } = self;
        f.debug_struct("Watch")
            .field("cancel", cancel)
            .field("progress", progress)
            .finish_non_exhaustive()
    }
}

/// Looks for a nonce with which `template` meets its own `bits`.
///
/// When no nonce does, `refresh` is asked for another header, with 1, then 2, and so on: it puts
/// that number as extra nonce into the block's descriptor and gives the header with the new root,
/// and may bring time and records up to date as well. `cancel`, set from anywhere, stops all workers
/// within a millisecond. `progress` grows by the tries made; with a clock, it tells the hash rate, and with
/// [`Target::expected_tries`] the time to be expected.
///
/// ```
/// use medledger_core::pow::{Header, Inline, Outcome, Target, mine};
/// use std::sync::atomic::{AtomicBool, AtomicU64};
/// # let genesis = concat!(
/// #     "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd",
/// #     "7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c");
/// let mut template: Header = genesis.parse()?; // any header
/// template.bits = Target::from_expected_tries(1000).to_bits();
/// let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
/// let outcome = mine(&template, &mut |_| template, &Inline, &cancel, &progress)?;
/// let Outcome::Found { header, tries } = outcome else { unreachable!("nobody cancels") };
/// assert!(header.meets_target() && tries == progress.into_inner());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`BitsError`] when the template's bits, or those of a refreshed header, stand for no target.
pub fn mine(
    template: &Header,
    refresh: &mut dyn FnMut(u64) -> Header,
    workers: &dyn Workers,
    cancel: &AtomicBool,
    progress: &AtomicU64,
) -> Result<Outcome, BitsError> {
    mine_watched(template, refresh, workers, &Watch { cancel, progress, stale: &|_| false })
}

/// [`mine`] that also ends, with [`Outcome::Stale`], when the header is out of date.
///
/// # Errors
/// As [`mine`].
pub fn mine_watched(
    template: &Header,
    refresh: &mut dyn FnMut(u64) -> Header,
    workers: &dyn Workers,
    watch: &Watch<'_>,
) -> Result<Outcome, BitsError> {
    mine_within(NONCES, template, refresh, workers, watch)
}

/// [`mine_watched`] with only the first `nonces` values of the nonce.
fn mine_within(
    nonces: u64,
    template: &Header,
    refresh: &mut dyn FnMut(u64) -> Header,
    workers: &dyn Workers,
    watch: &Watch<'_>,
) -> Result<Outcome, BitsError> {
    let mut header = *template;
    let mut extra_nonce = 0;
    let made = AtomicU64::new(0);
    loop {
        let target = header.target()?;
        let ended = scan_all(nonces, &header, &target, workers, watch, &made);
        let tries = made.load(Ordering::Relaxed);
        match ended {
            Ended::Found(nonce) => {
                return Ok(Outcome::Found { header: Header { nonce, ..header }, tries });
            }
            Ended::Stale => return Ok(Outcome::Stale { tries }),
            Ended::Nothing if watch.cancel.load(Ordering::Relaxed) => {
                return Ok(Outcome::Cancelled { tries });
            }
            Ended::Nothing => {}
        }
        extra_nonce += 1;
        header = refresh(extra_nonce);
    }
}

/// How the scan of one header ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Found(u32),
    Stale,
    Nothing,
}

/// Hands out the first `nonces` values of the nonce, each once.
struct Shares {
    nonces: u64,
    next: AtomicU64,
}

impl Shares {
    const fn of(nonces: u64) -> Self {
        Self { nonces, next: AtomicU64::new(0) }
    }

    /// The next share; `None` when all are taken.
    fn take(&self) -> Option<RangeInclusive<u32>> {
        // Far from wrapping round: each worker asks once more than there are shares.
        let first = self.next.fetch_add(NONCES_PER_SHARE, Ordering::Relaxed);
        let end = self.nonces.min(first + NONCES_PER_SHARE);
        if first >= end {
            return None;
        }
        Some(u32::try_from(first).ok()?..=u32::try_from(end - 1).ok()?)
    }
}

/// Scans `0..nonces` for one header, shared out among the workers. `made` grows by the tries.
fn scan_all(
    nonces: u64,
    header: &Header,
    target: &Target,
    workers: &dyn Workers,
    watch: &Watch<'_>,
    made: &AtomicU64,
) -> Ended {
    let shares = Shares::of(nonces);
    let scan = Scan::new(&header.to_bytes());
    let done = AtomicBool::new(false);
    let ended = Mutex::new(Ended::Nothing);
    let end = |how| {
        done.store(true, Ordering::Relaxed);
        let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        // What was found counts, whatever another worker noticed meanwhile.
        if !matches!(*ended, Ended::Found(_)) {
            *ended = how;
        }
    };
    let stop = || watch.cancel.load(Ordering::Relaxed) || done.load(Ordering::Relaxed);
    workers.run(&|_| {
        while !stop() {
            if (watch.stale)(made.load(Ordering::Relaxed)) {
                return end(Ended::Stale);
            }
            let Some(share) = shares.take() else { return };
            let tried = AtomicU64::new(0);
            let nonce = search_with(&scan, target, share, &stop, &tried);
            let tried = tried.into_inner();
            made.fetch_add(tried, Ordering::Relaxed);
            watch.progress.fetch_add(tried, Ordering::Relaxed);
            if let Some(nonce) = nonce {
                return end(Ended::Found(nonce));
            }
        }
    });
    ended.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BlockRoot;
    use crate::pow::{BITCOIN_HEADERS, Bits};

    struct Threads(usize);

    impl Workers for Threads {
        fn count(&self) -> usize {
            self.0
        }

        fn run(&self, job: &(dyn Fn(usize) + Sync)) {
            std::thread::scope(|scope| {
                for worker in 0..self.0 {
                    scope.spawn(move || job(worker));
                }
            });
        }
    }

    /// Hardly any hash meets these bits.
    const HOPELESS: Bits = Bits::from_u32(0x0101_0000);

    fn template(bits: Bits) -> Header {
        Header { bits, nonce: 0, ..BITCOIN_HEADERS[4].1.parse().unwrap() }
    }

    fn refreshed(bits: Bits, extra_nonce: u64) -> Header {
        let mut root = [0; 32];
        root[..8].copy_from_slice(&extra_nonce.to_le_bytes());
        Header { root: BlockRoot::from_bytes(root), ..template(bits) }
    }

    #[test]
    fn one_and_many_workers_find_a_header_that_meets_its_target() {
        let bits = Target::from_expected_tries(100_000).to_bits();
        for workers in [&Inline as &dyn Workers, &Threads(1), &Threads(4)] {
            let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
            let outcome =
                mine(&template(bits), &mut |n| refreshed(bits, n), workers, &cancel, &progress);
            let Ok(Outcome::Found { header, tries }) = outcome else { panic!("{outcome:?}") };
            assert!(header.meets_target());
            assert_eq!(tries, progress.into_inner());
            assert_eq!(Header { nonce: 0, ..header }, template(bits));
        }
    }

    #[test]
    fn every_nonce_is_tried_once_and_then_the_root_changes() {
        let nonces = 5 * NONCES_PER_SHARE + 1234;
        for workers in [&Inline as &dyn Workers, &Threads(3)] {
            let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
            let mut asked = Vec::new();
            let mut refresh = |extra_nonce| {
                asked.push(extra_nonce);
                // The third header is one any hash meets.
                let easy = Target::from_expected_tries(1).to_bits();
                refreshed(if extra_nonce == 2 { easy } else { HOPELESS }, extra_nonce)
            };
            let watch = Watch { cancel: &cancel, progress: &progress, stale: &|_| false };
            let outcome = mine_within(nonces, &template(HOPELESS), &mut refresh, workers, &watch);
            let Ok(Outcome::Found { header, tries }) = outcome else { panic!("{outcome:?}") };
            assert_eq!(asked, [1, 2]);
            assert_eq!(header.root, refreshed(HOPELESS, 2).root);
            // Twice the whole space, then a try or a few by each worker.
            let last = tries - 2 * nonces;
            let most = 4 * u64::from(TRIES_PER_LOOK);
            assert!((1..=most).contains(&last), "{last}");
        }
    }

    #[test]
    fn shares_are_every_nonce_exactly_once() {
        for nonces in [1, NONCES_PER_SHARE - 1, NONCES_PER_SHARE, 3 * NONCES_PER_SHARE + 5, NONCES]
        {
            for workers in [1, 4] {
                let shares = Shares::of(nonces);
                let taken = Mutex::new(Vec::new());
                Threads(workers).run(&|_| {
                    while let Some(share) = shares.take() {
                        taken.lock().unwrap().push(share);
                    }
                });
                let mut taken = taken.into_inner().unwrap();
                taken.sort_by_key(|share| *share.start());
                let mut next = 0;
                for share in taken {
                    assert_eq!(u64::from(*share.start()), next, "each begins where one ended");
                    assert!(!share.is_empty());
                    next = u64::from(*share.end()) + 1;
                }
                assert_eq!(next, nonces, "{workers} workers");
                assert_eq!(shares.take(), None);
            }
        }
    }

    #[test]
    fn a_stale_header_is_given_up_at_the_end_of_a_share() {
        for workers in [&Inline as &dyn Workers, &Threads(3)] {
            let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
            let stale = |tries| tries >= 2 * NONCES_PER_SHARE;
            let watch = Watch { cancel: &cancel, progress: &progress, stale: &stale };
            let mut never = |_| panic!("a new extra nonce");
            let outcome = mine_watched(&template(HOPELESS), &mut never, workers, &watch);
            let Ok(Outcome::Stale { tries }) = outcome else { panic!("{outcome:?}") };
            assert_eq!(tries, progress.into_inner());
            let most = (2 + workers.count() as u64) * NONCES_PER_SHARE;
            assert!((2 * NONCES_PER_SHARE..=most).contains(&tries), "{tries}");
        }
    }

    #[test]
    fn the_end_of_the_nonce_space_is_reached_exactly() {
        for nonces in [1, 1023, NONCES_PER_SHARE, NONCES_PER_SHARE + 1] {
            let target = Target::from_bits(HOPELESS).unwrap();
            let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
            let header = template(HOPELESS);
            let watch = Watch { cancel: &cancel, progress: &progress, stale: &|_| false };
            let made = AtomicU64::new(0);
            let got = scan_all(nonces, &header, &target, &Threads(2), &watch, &made);
            assert_eq!((got, made.into_inner()), (Ended::Nothing, nonces));
            assert_eq!(progress.into_inner(), nonces);
        }
    }

    #[test]
    fn mining_is_cancelled_before_and_while_it_runs() {
        for workers in [1, 4] {
            let (cancel, progress) = (AtomicBool::new(true), AtomicU64::new(0));
            let run = || {
                mine(
                    &template(HOPELESS),
                    &mut |n| refreshed(HOPELESS, n),
                    &Threads(workers),
                    &cancel,
                    &progress,
                )
            };
            assert_eq!(run(), Ok(Outcome::Cancelled { tries: 0 }));
            cancel.store(false, Ordering::Relaxed);
            std::thread::scope(|scope| {
                let mining = scope.spawn(run);
                while progress.load(Ordering::Relaxed) == 0 {
                    std::thread::yield_now();
                }
                cancel.store(true, Ordering::Relaxed);
                let tries = progress.load(Ordering::Relaxed);
                let Ok(Outcome::Cancelled { tries: end }) = mining.join().unwrap() else {
                    panic!("found what cannot be found")
                };
                assert!(end >= tries);
            });
        }
    }

    #[test]
    fn bits_without_a_target_are_an_error_and_not_an_endless_search() {
        let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
        let zero = Bits::from_u32(0);
        let outcome = mine(&template(zero), &mut |_| template(zero), &Inline, &cancel, &progress);
        assert_eq!(outcome, Err(BitsError::Zero { bits: zero }));
        let watch = Watch { cancel: &cancel, progress: &progress, stale: &|_| false };
        let mut refresh = |_| template(zero);
        let outcome = mine_within(10, &template(HOPELESS), &mut refresh, &Inline, &watch);
        assert_eq!(outcome, Err(BitsError::Zero { bits: zero }));
    }
}
