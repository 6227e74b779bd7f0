//! The scan for a nonce.

use super::header::Header;
use super::target::Target;
use sha256_lanes::Scan;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Tries between two looks at the flag: a tenth of a millisecond of one core, and under a millisecond
/// even without vector or SHA instructions. Whole groups of nonces with each kernel.
pub(super) const TRIES_PER_LOOK: u32 = 1536;

/// Scans `nonces` in order for one with which `header` meets `target`; the nonce in `header` itself
/// does not matter.
///
/// Stops within a millisecond once `cancel` is set. `tried` grows by the tries made, now and then
/// and by all of them before returning. `None` means that no nonce of the range does it, or that
/// the scan was cancelled.
///
/// ```
/// use medledger_core::pow::{Header, search};
/// use std::sync::atomic::{AtomicBool, AtomicU64};
/// # let genesis = concat!(
/// #     "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd",
/// #     "7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c");
/// let header: Header = genesis.parse()?; // Bitcoin's
/// let target = header.target()?;
/// let tried = AtomicU64::new(0);
/// let found = search(&header, &target, 2083236000..=2083237000, &AtomicBool::new(false), &tried);
/// assert_eq!(found, Some(2083236893));
/// assert_eq!(tried.into_inner(), 894);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn search(
    header: &Header,
    target: &Target,
    nonces: RangeInclusive<u32>,
    cancel: &AtomicBool,
    tried: &AtomicU64,
) -> Option<u32> {
    let scan = Scan::new(&header.to_bytes());
    search_with(&scan, target, nonces, &|| cancel.load(Ordering::Relaxed), tried)
}

/// [`search`] with a scan that is kept, and the question whether to stop asked of a function.
pub(super) fn search_with(
    scan: &Scan,
    target: &Target,
    nonces: RangeInclusive<u32>,
    stop: &dyn Fn() -> bool,
    tried: &AtomicU64,
) -> Option<u32> {
    let (mut next, last) = (*nonces.start(), *nonces.end());
    if nonces.is_empty() {
        return None;
    }
    let target = target.to_be_bytes();
    while !stop() {
        let end = last.min(next.saturating_add(TRIES_PER_LOOK - 1));
        let found = scan.first(next..=end, &target);
        let reached = found.unwrap_or(end);
        tried.fetch_add(u64::from(reached - next) + 1, Ordering::Relaxed);
        if found.is_some() || end == last {
            return found;
        }
        next = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pow::{BITCOIN_HEADERS, Bits};
    use proptest::prelude::*;

    fn run(header: &Header, target: &Target, nonces: RangeInclusive<u32>) -> (Option<u32>, u64) {
        let tried = AtomicU64::new(0);
        let found = search(header, target, nonces, &AtomicBool::new(false), &tried);
        (found, tried.into_inner())
    }

    #[test]
    fn the_nonces_of_real_bitcoin_headers_are_found() {
        for (name, hex, _) in BITCOIN_HEADERS {
            let header: Header = hex.parse().unwrap();
            let target = header.target().unwrap();
            let nonce = header.nonce;
            let blank = Header { nonce: 0, ..header };
            let range = nonce - 3000..=nonce.saturating_add(3000);
            assert_eq!(run(&blank, &target, range), (Some(nonce), 3001), "{name}");
            assert_eq!(run(&blank, &target, nonce..=nonce), (Some(nonce), 1), "{name}");
            assert_eq!(run(&blank, &target, nonce - 3000..=nonce - 1), (None, 3000), "{name}");
        }
    }

    #[test]
    fn ranges_end_where_they_say() {
        let header: Header = BITCOIN_HEADERS[0].1.parse().unwrap();
        let target = Target::from_bits(Bits::from_u32(0x0101_0000)).unwrap();
        assert_eq!(run(&header, &target, u32::MAX - 2000..=u32::MAX), (None, 2001));
        assert_eq!(run(&header, &target, 0..=1023), (None, 1024));
        assert_eq!(
            run(&header, &target, 0..=TRIES_PER_LOOK),
            (None, u64::from(TRIES_PER_LOOK) + 1)
        );
        #[allow(clippy::reversed_empty_ranges, reason = "an empty range is what is tested")]
        let empty = 5..=4;
        assert_eq!(run(&header, &target, empty), (None, 0));
    }

    /// Another kernel is another group of nonces at a time: none may matter.
    #[test]
    fn every_kernel_finds_the_same() {
        use sha256_lanes::Kernel;
        for (name, hex, _) in BITCOIN_HEADERS {
            let header: Header = hex.parse().unwrap();
            let target = header.target().unwrap();
            for kernel in Kernel::available() {
                let scan = Scan::with_kernel(&header.to_bytes(), kernel);
                let tried = AtomicU64::new(0);
                let range = header.nonce - 2000..=u32::MAX;
                let found = search_with(&scan, &target, range, &|| false, &tried);
                assert_eq!(
                    (found, tried.into_inner()),
                    (Some(header.nonce), 2001),
                    "{name}, {kernel}"
                );
            }
        }
    }

    #[test]
    fn a_cancelled_search_tries_nothing_more() {
        let header: Header = BITCOIN_HEADERS[0].1.parse().unwrap();
        let (cancel, tried) = (AtomicBool::new(true), AtomicU64::new(0));
        let target = Target::from_expected_tries(1);
        assert_eq!(search(&header, &target, 0..=u32::MAX, &cancel, &tried), None);
        assert_eq!(tried.into_inner(), 0);
    }

    #[test]
    fn a_search_is_cancelled_while_it_runs() {
        let header: Header = BITCOIN_HEADERS[0].1.parse().unwrap();
        let target = Target::from_bits(Bits::from_u32(0x0101_0000)).unwrap();
        let (cancel, tried) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let search = scope.spawn(|| search(&header, &target, 0..=u32::MAX, &cancel, &tried));
            while tried.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            cancel.store(true, Ordering::Relaxed);
            assert_eq!(search.join().unwrap(), None);
        });
        let tried = tried.into_inner();
        assert!(tried < u64::from(u32::MAX) && tried.is_multiple_of(u64::from(TRIES_PER_LOOK)));
    }

    proptest! {
        #[test]
        fn the_scan_finds_what_plain_hashing_finds(
            bytes in proptest::collection::vec(any::<u8>(), 80), start in any::<u32>(), length in 0u32..3000,
            tries in 1u128..3000,
        ) {
            let header = Header::from_bytes(&bytes.try_into().unwrap());
            let target = Target::from_expected_tries(tries);
            let end = start.saturating_add(length);
            let plain = (start..=end).find(|nonce| target.is_met_by(&Header { nonce: *nonce, ..header }.id()));
            let (found, tried) = run(&header, &target, start..=end);
            prop_assert_eq!(found, plain);
            prop_assert_eq!(tried, u64::from(plain.unwrap_or(end) - start) + 1);
        }
    }
}
