//! What the domain asks for and a real machine gives: time, randomness, threads.

use medledger_core::clock::{Clock, Timestamp};
use medledger_core::pow::Workers;
use medledger_core::rand_core::{CryptoRng, UnwrapErr};

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_secs(since.map_or(0, |since| since.as_secs()))
    }
}

/// The operating system's generator; it panics rather than give weak bytes.
#[must_use]
pub fn os_rng() -> impl CryptoRng + Send {
    UnwrapErr(getrandom::SysRng)
}

/// As many threads as the machine has cores, started for each job.
#[derive(Clone, Copy, Debug)]
pub struct Threads(usize);

impl Threads {
    /// So many threads; at least one.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(count.max(1))
    }
}

impl Default for Threads {
    /// One for each core.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Workers for Threads {
    fn count(&self) -> usize {
        self.0
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for worker in 1..self.0 {
                scope.spawn(move || job(worker));
            }
            job(0);
        });
    }

    fn beside(&self, main: &mut dyn FnMut(), job: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for worker in 1..self.0 {
                scope.spawn(move || job(worker));
            }
            main();
        });
    }
}
