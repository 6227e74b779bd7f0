//! Progress of long work, on standard error; nothing is shown where that is no terminal.

use crate::output::span;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use medledger::core::pow::{Bits, Target};
use medledger::{MiningControl, MiningProgress};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template(template).expect("a fixed template"));
    bar
}

/// Bytes that go by; with their number known, also how long it will take.
pub(crate) fn bytes(doing: &'static str, length: Option<u64>) -> ProgressBar {
    let bar = match length {
        Some(_) => bar(
            length,
            "{msg} {bar:24} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        ),
        None => bar(None, "{spinner} {msg} {binary_bytes} {binary_bytes_per_sec}"),
    };
    bar.set_message(doing);
    bar
}

/// Blocks that go by.
pub(crate) fn blocks(doing: &'static str, length: u64) -> ProgressBar {
    let bar = bar(Some(length), "{msg} {bar:24} block {pos} of {len}");
    bar.set_message(doing);
    bar
}

/// Runs `work`, which mines, and meanwhile shows hash rate, chance and time to be expected.
pub(crate) fn mining<T>(work: impl FnOnce(&MiningControl) -> T) -> T {
    let control = MiningControl::new();
    watch(|| control.progress(), || work(&control))
}

/// Runs `work` while showing how far the search that it makes is.
pub(crate) fn watch<T>(
    progress: impl Fn() -> Option<MiningProgress> + Sync,
    work: impl FnOnce() -> T,
) -> T {
    let bar = bar(Some(1000), "{spinner} mining {bar:24} {msg}");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ticker = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if let Some(progress) = progress() {
                    // The bar is the chance to be through by now, so it slows down but never goes over.
                    let chance = progress.likelihood().unwrap_or(0.0);
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "0 to 1000"
                    )]
                    bar.set_position((chance * 1000.0) as u64);
                    bar.set_message(state(&progress));
                }
                bar.tick();
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        // Also on a panic, or the ticker would keep the scope from ending.
        let end = End(&done, ticker.thread().clone());
        let result = work();
        drop(end);
        bar.finish_and_clear();
        result
    })
}

struct End<'a>(&'a AtomicBool, std::thread::Thread);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.unpark();
    }
}

/// How many hashes a block of this difficulty takes on average; none where no work is done.
pub(crate) fn expected_tries(bits: Bits) -> Option<u128> {
    Target::from_bits(bits).ok().map(Target::expected_tries)
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn state(progress: &MiningProgress) -> String {
    let tried = progress.tried as f64 / 1e6;
    let mut text = format!("{:.2} MH/s, {tried:.1} million tries", progress.hash_rate() / 1e6);
    if let Some(expected) = progress.expected_tries {
        text.push_str(&format!(" of about {:.1}", expected as f64 / 1e6));
    }
    // Not "left": a search that was unlucky so far is no nearer its end.
    if let Some(seconds) = progress.expected_seconds() {
        text.push_str(&format!(", {} on average", span(seconds)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_tells_rate_tries_and_time_to_be_expected() {
        let elapsed = Duration::from_secs(2);
        let progress = |tried, expected_tries| MiningProgress { tried, elapsed, expected_tries };
        let text = state(&progress(40_000_000, Some(100_000_000)));
        assert_eq!(text, "20.00 MH/s, 40.0 million tries of about 100.0, 5.0 s on average");
        let text = state(&progress(0, Some(100_000_000)));
        assert_eq!(text, "0.00 MH/s, 0.0 million tries of about 100.0");
        assert_eq!(state(&progress(0, None)), "0.00 MH/s, 0.0 million tries");
    }
}
