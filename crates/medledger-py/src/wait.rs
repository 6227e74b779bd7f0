//! Waiting for work that Ctrl-C may end.

use crate::errors::{Class, Classify, raise};
use crate::results;
use medledger::{MiningControl, Progress, RecordId, Stage};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Runs mining on a thread of its own, so that signals are seen here; an interrupt cancels it.
pub(crate) fn interruptible<T: Send, E: Classify>(
    py: Python<'_>,
    work: impl FnOnce(&MiningControl) -> Result<T, E> + Send,
) -> PyResult<T> {
    let control = MiningControl::new();
    py.detach(|| {
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let control = &control;
            scope.spawn(move || {
                // The receiver waits for this.
                let _ = sender.send(work(control));
            });
            let mut interrupted = None;
            let result = loop {
                match receiver.recv_timeout(Duration::from_millis(50)) {
                    Ok(result) => break result,
                    Err(RecvTimeoutError::Timeout) if interrupted.is_none() => {
                        interrupted = Python::attach(|py| py.check_signals()).err();
                        if interrupted.is_some() {
                            control.cancel();
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(PyRuntimeError::new_err("the mining thread panicked"));
                    }
                }
            };
            // What was asked for is done, or the interrupt is why it is not.
            match (result, interrupted) {
                (_, Some(interrupted)) => Err(interrupted),
                (result, None) => result.map_err(raise),
            }
        })
    })
}

/// Signals are looked for this often.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until a record has come to a stage, cannot come further, or the time is over; where it stands then.
/// Mines nothing.
pub(crate) fn wait_for<'py>(
    py: Python<'py>,
    ledger: &medledger::Ledger,
    record: &RecordId,
    stage: &str,
    timeout: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let stage = match stage {
        "accepted" => Stage::Accepted,
        "mined" => Stage::Mined,
        "final" => Stage::Final,
        other => {
            let text = format!("unknown stage {other:?}: one of accepted, mined, final");
            return Err(Class::InvalidArgument.error(text));
        }
    };
    let timeout = Duration::try_from_secs_f64(timeout).map_err(|error| {
        Class::InvalidArgument.error(format!("a timeout of {timeout} seconds: {error}"))
    })?;
    let begun = Instant::now();
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        let progress =
            py.detach(|| ledger.wait_for(record, stage, left.min(LOOK))).map_err(raise)?;
        if progress.reached(stage) || progress.is_settled() || left <= LOOK {
            return results::progress(py, &progress);
        }
        py.check_signals()?;
    }
}

/// Where a record stands.
pub(crate) fn progress<'py>(
    py: Python<'py>,
    ledger: &medledger::Ledger,
    record: &RecordId,
) -> PyResult<Bound<'py, PyAny>> {
    let progress: Progress = py.detach(|| ledger.progress(record)).map_err(raise)?;
    results::progress(py, &progress)
}

/// Waits until an accepted record is mined, if asked, and makes the result. When waiting fails the
/// exception carries the result: what was accepted stays accepted, and a key in it must not get lost.
pub(crate) fn wait_mined<'py>(
    py: Python<'py>,
    ledger: &medledger::Ledger,
    record: RecordId,
    wait: bool,
    result: impl FnOnce(Option<u64>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    if !wait {
        return result(None);
    }
    match interruptible(py, |control| ledger.wait_mined_with(&record, control)) {
        Ok(height) => result(Some(height)),
        Err(error) => {
            let exception = error.value(py);
            exception.setattr("result", result(None)?)?;
            exception.call_method1(
                "add_note",
                (format!(
                    "record {record} is accepted and goes on waiting to be mined; \
                     what the call would have returned is the attribute `result` of this exception"
                ),),
            )?;
            Err(error)
        }
    }
}
