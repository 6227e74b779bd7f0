//! Mining one block with many workers.

use super::header::Header;
use super::search::scan;
use super::target::{BitsError, Target};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Nonces a worker takes at a time: some ten milliseconds, so that workers of unequal speed end
/// together.
const NONCES_PER_SHARE: u64 = 1 << 16;

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
}

/// Looks for a nonce with which `template` meets its own `bits`.
///
/// When no nonce does, `refresh` is asked for another header, with 1, then 2, and so on: it puts
/// that number as extra nonce into the block's descriptor and gives the header with the new root,
/// and may bring time and records up to date as well. `cancel`, set from anywhere, stops all workers
/// within a millisecond. `progress` grows by the tries made.
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
    mine_within(NONCES, template, refresh, workers, cancel, progress)
}

/// [`mine`] with only the first `nonces` values of the nonce.
fn mine_within(
    nonces: u64,
    template: &Header,
    refresh: &mut dyn FnMut(u64) -> Header,
    workers: &dyn Workers,
    cancel: &AtomicBool,
    progress: &AtomicU64,
) -> Result<Outcome, BitsError> {
    let mut header = *template;
    let mut extra_nonce = 0;
    let mut tries = 0;
    loop {
        let target = header.target()?;
        let (found, made) = scan_all(nonces, &header, &target, workers, cancel, progress);
        tries += made;
        if let Some(nonce) = found {
            return Ok(Outcome::Found { header: Header { nonce, ..header }, tries });
        }
        if cancel.load(Ordering::Relaxed) {
            return Ok(Outcome::Cancelled { tries });
        }
        extra_nonce += 1;
        header = refresh(extra_nonce);
    }
}

/// Scans `0..nonces` for one header, shared out among the workers: what was found, and the tries.
fn scan_all(
    nonces: u64,
    header: &Header,
    target: &Target,
    workers: &dyn Workers,
    cancel: &AtomicBool,
    progress: &AtomicU64,
) -> (Option<u32>, u64) {
    let next = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let made = AtomicU64::new(0);
    let found = Mutex::new(None);
    let stop = || cancel.load(Ordering::Relaxed) || done.load(Ordering::Relaxed);
    workers.run(&|_| {
        while !stop() {
            // Each share is handed out once, so no two workers try the same nonce.
            let start = next.fetch_add(NONCES_PER_SHARE, Ordering::Relaxed);
            let last = nonces.min(start.saturating_add(NONCES_PER_SHARE)).saturating_sub(1);
            let (Ok(start), Ok(last)) = (u32::try_from(start), u32::try_from(last)) else { break };
            let tried = AtomicU64::new(0);
            let nonce = scan(header, target, start..=last, &stop, &tried);
            let tried = tried.into_inner();
            made.fetch_add(tried, Ordering::Relaxed);
            progress.fetch_add(tried, Ordering::Relaxed);
            if nonce.is_some() {
                done.store(true, Ordering::Relaxed);
                *found.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = nonce;
            }
            if u64::from(last) + 1 >= nonces {
                break;
            }
        }
    });
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    (found, made.into_inner())
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
            let outcome =
                mine_within(nonces, &template(HOPELESS), &mut refresh, workers, &cancel, &progress);
            let Ok(Outcome::Found { header, tries }) = outcome else { panic!("{outcome:?}") };
            assert_eq!(asked, [1, 2]);
            assert_eq!(header.root, refreshed(HOPELESS, 2).root);
            // Twice the whole space, then a try or a few by each worker.
            let last = tries - 2 * nonces;
            assert!((1..=4 * 1024).contains(&last), "{last}");
        }
    }

    #[test]
    fn the_end_of_the_nonce_space_is_reached_exactly() {
        for nonces in [1, 1023, NONCES_PER_SHARE, NONCES_PER_SHARE + 1] {
            let target = Target::from_bits(HOPELESS).unwrap();
            let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
            let header = template(HOPELESS);
            let got = scan_all(nonces, &header, &target, &Threads(2), &cancel, &progress);
            assert_eq!(got, (None, nonces));
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
        let outcome = mine_within(
            10,
            &template(HOPELESS),
            &mut |_| template(zero),
            &Inline,
            &cancel,
            &progress,
        );
        assert_eq!(outcome, Err(BitsError::Zero { bits: zero }));
    }
}
