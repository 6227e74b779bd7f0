//! Waiting for work that Ctrl-C may end.

use crate::errors::{Class, Classify, raise};
use crate::results;
use medledger::{BlockPolicy, MiningControl, Progress, RecordId, Stage};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Runs mining on a thread of its own, so that signals are seen here; an interrupt cancels it.
pub(crate) fn interruptible<T: Send, E: Classify>(
    py: Python<'_>,
    work: impl FnOnce(&MiningControl) -> Result<T, E> + Send,
) -> PyResult<T> {
    interruptible_until(py, None, work)
}

/// As [`interruptible`]; at the end of the time it is cancelled, too.
fn interruptible_until<T: Send, E: Classify>(
    py: Python<'_>,
    end: Option<Instant>,
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
            let left = || end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()));
            let mut interrupted = None;
            let result = loop {
                match receiver.recv_timeout(left().clamp(BRIEF, LOOK)) {
                    Ok(result) => break result,
                    Err(RecvTimeoutError::Timeout) if interrupted.is_none() => {
                        interrupted = Python::attach(|py| py.check_signals()).err();
                        if interrupted.is_some() || left().is_zero() {
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
/// The least that is slept.
const BRIEF: Duration = Duration::from_millis(1);

/// A time span in seconds, as a caller gives it.
fn span(what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| {
        Class::InvalidArgument.error(format!("{what} of {seconds} seconds: {error}"))
    })
}

/// When blocks are mined, and for how long.
pub(crate) struct Mining {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) age: f64,
    pub(crate) timeout: Option<f64>,
}

/// Mines whenever a block is due, until the time is over, `mined` says so, or a signal comes; how many blocks.
pub(crate) fn keep_mining(
    py: Python<'_>,
    ledger: &medledger::Ledger,
    mining: &Mining,
    mined: Option<&Py<PyAny>>,
) -> PyResult<u64> {
    let Mining { records, bytes, .. } = *mining;
    let policy = BlockPolicy { records, bytes, age: span("an age", mining.age)? };
    let timeout = mining.timeout.map(|seconds| span("a timeout", seconds)).transpose()?;
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let (mut blocks, mut raised) = (0, None);
    interruptible_until(py, end, |control| {
        ledger.keep_mining(&policy, control, &mut |block| {
            blocks += 1;
            let Some(mined) = mined else { return };
            let enough = Python::attach(|py| {
                mined.bind(py).call1((results::block(py, block)?,))?.is_truthy()
            });
            match enough {
                Ok(false) => {}
                Ok(true) => control.cancel(),
                Err(error) => {
                    raised = Some(error);
                    control.cancel();
                }
            }
        })
    })?;
    raised.map_or(Ok(blocks), Err)
}

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
    let timeout = span("a timeout", timeout)?;
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
