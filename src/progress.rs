//! Progress of long work, on standard error; nothing is shown where that is no terminal.

use crate::exit::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use medledger::core::pow::{Bits, Target};
use medledger::{Ledger, MiningControl};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// Runs `work`, which mines, and meanwhile shows the hash rate and how much is to be expected.
pub(crate) fn mining<T>(
    ledger: &Ledger,
    work: impl FnOnce(&MiningControl) -> Result<T>,
) -> Result<T> {
    let tip = ledger.view()?.tip()?;
    let expected = tip.and_then(|tip| expected_tries(ledger.rules().next_bits(&tip)));
    let control = MiningControl::new();
    watch(expected, || control.tried(), || work(&control))
}

/// Runs `work` while showing the number that `tried` tells, per second.
pub(crate) fn watch<T>(
    expected: Option<u128>,
    tried: impl Fn() -> u64 + Sync,
    work: impl FnOnce() -> T,
) -> T {
    let bar = bar(None, "{spinner} mining {msg}");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ticker = scope.spawn(|| {
            let begin = Instant::now();
            while !done.load(Ordering::Relaxed) {
                bar.set_message(rate(tried(), begin.elapsed(), expected));
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
fn rate(tried: u64, elapsed: Duration, expected: Option<u128>) -> String {
    let rate = tried as f64 / elapsed.as_secs_f64().max(1e-9);
    let mut text = format!("{:.2} MH/s, {:.1} million tries", rate / 1e6, tried as f64 / 1e6);
    if let Some(expected) = expected {
        text.push_str(&format!(" of about {:.1} expected", expected as f64 / 1e6));
    }
    text
}
