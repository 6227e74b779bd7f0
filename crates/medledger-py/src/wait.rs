//! Waiting for work that Ctrl-C may end.

use crate::errors::{Classify, raise};
use medledger::{MiningControl, RecordId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

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
