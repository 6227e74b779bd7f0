//! Mines a block while a spinner on a terminal shows how far it is.

use indicatif::ProgressBar;
use medledger::core::engine::{Mined, OrderError};
use medledger::{Ledger, MiningControl};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Mines one block of what waits. The spinner is on standard error and hides where that is no
/// terminal.
pub(super) fn mine(ledger: &Ledger) -> (Result<Option<Mined>, OrderError>, Duration) {
    let control = MiningControl::new();
    let (done, wait) = channel::<()>();
    let tried = || control.tried();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let spinner = ProgressBar::new_spinner();
            while wait.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                #[expect(clippy::cast_precision_loss, reason = "a rounded figure for people")]
                let millions = tried() as f64 / 1e6;
                spinner.set_message(format!("mining: {millions:.1} million tries"));
                spinner.tick();
            }
            spinner.finish_and_clear();
        });
        let begun = Instant::now();
        let mined = ledger.mine_with(&control, false);
        let took = begun.elapsed();
        drop(done);
        (mined, took)
    })
}
