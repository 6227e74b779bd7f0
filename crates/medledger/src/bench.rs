//! What this machine can do, measured.

use medledger_core::pow::{Kernel, Scan};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Tries between two looks at the flag.
const TRIES: u32 = 6144;

/// Parts that a measurement is cut into, to see what the machine can do between what else it does.
const PARTS: u32 = 20;

/// How fast nonces were scanned.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScanRate {
    /// Hashes tried, by all threads.
    pub tries: u64,
    /// The time that took.
    pub elapsed: Duration,
    /// Hashes a second in the fastest twentieth of the time.
    pub best: f64,
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn per_second(tries: u64, time: Duration) -> f64 {
    tries as f64 / time.as_secs_f64().max(1e-9)
}

impl ScanRate {
    /// Hashes a second on average.
    #[must_use]
    pub fn mean(&self) -> f64 {
        per_second(self.tries, self.elapsed)
    }
}

/// Scans nonces with a kernel on so many threads for some time.
///
/// ```
/// use medledger::bench::scan_rate;
/// use medledger::core::pow::Kernel;
/// let rate = scan_rate(Kernel::Portable, 2, std::time::Duration::from_millis(40));
/// assert!(rate.tries > 0 && rate.best >= rate.mean());
/// ```
///
/// # Panics
/// When this machine has not got the kernel.
#[must_use]
pub fn scan_rate(kernel: Kernel, threads: usize, time: Duration) -> ScanRate {
    // No hash meets the target zero, so the scan never ends early.
    let scan = Scan::with_kernel(&[0x5a; 80], kernel);
    let (stop, tried) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut first: u32 = 0;
                while !stop.load(Ordering::Relaxed) {
                    let found = scan.first(first..=first + (TRIES - 1), &[0; 32]);
                    std::hint::black_box(found);
                    tried.fetch_add(TRIES.into(), Ordering::Relaxed);
                    first = first.wrapping_add(TRIES) % (u32::MAX - TRIES);
                }
            });
        }
        // The threads are there once there are tries.
        while tried.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        let (begin, before) = (Instant::now(), tried.load(Ordering::Relaxed));
        let (mut part, mut best) = ((begin, before), 0.0_f64);
        for _ in 0..PARTS {
            std::thread::sleep(time / PARTS);
            let now = (Instant::now(), tried.load(Ordering::Relaxed));
            best = best.max(per_second(now.1 - part.1, now.0 - part.0));
            part = now;
        }
        stop.store(true, Ordering::Relaxed);
        ScanRate { tries: part.1 - before, elapsed: part.0 - begin, best }
    })
}
