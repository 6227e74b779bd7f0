//! Reports under new keys, and slots for readers elsewhere.

use crate::errors::raise;
use crate::results::Maker;
use crate::wait::interruptible;
use medledger::{Confirmed, Identity, Key, Ledger, RecordId, ReportId, Rotated, SlotAsk};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::ops::ControlFlow;

type Any<'py> = Bound<'py, PyAny>;

fn rotated(py: Python<'_>, value: Rotated) -> PyResult<Any<'_>> {
    let Rotated { report, record, epoch, length, readers, delivery } = value;
    Maker::new(py)
        .text("report", report)?
        .text("record", record)?
        .set("epoch", epoch)?
        .set("length", length)?
        .set("readers", readers)?
        .delivery(delivery)?
        .make("Rotated")
}

/// The exception with what was accepted before it: keys may be in it.
fn with_result(error: PyErr, py: Python<'_>, done: &Bound<'_, PyList>) -> PyErr {
    match error.value(py).setattr("result", done) {
        Ok(()) => error,
        Err(other) => other,
    }
}

/// Rotates one report. When it fails, or the waiting, the exception's `result` is what was accepted until then.
pub(crate) fn rotate<'py>(
    py: Python<'py>,
    ledger: &Ledger,
    patient: &Identity,
    report: &ReportId,
    key: &Key<'_>,
    wait: bool,
) -> PyResult<Any<'py>> {
    let done = PyList::empty(py);
    let one = py.detach(|| ledger.rotate(patient, report, key)).map_err(raise);
    let one = one.map_err(|error| with_result(error, py, &done))?;
    let record = one.record;
    done.append(rotated(py, one)?)?;
    mined(py, ledger, &[record], wait).map_err(|error| with_result(error, py, &done))?;
    done.get_item(0)
}

/// Rotates what is marked, many reports in one unit of work. `progress` is told after each unit; a signal, or an exception
/// of its own, ends the work there. When a report fails no other unit is begun. The exception's `result` is
/// what was accepted until then.
pub(crate) fn rotate_marked<'py>(
    py: Python<'py>,
    ledger: &Ledger,
    patient: &Identity,
    limit: Option<usize>,
    wait: bool,
    progress: Option<&Py<PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let mut marked = py.detach(|| ledger.marked_for_rotation(&patient.id())).map_err(raise)?;
    marked.truncate(limit.unwrap_or(usize::MAX));
    let (mut accepted, mut ended) = (Vec::new(), None);
    py.detach(|| {
        ledger.rotate_many(patient, &marked, &mut |unit| {
            for (_, outcome) in unit {
                match outcome {
                    Ok(one) => accepted.push(one),
                    Err(error) => {
                        ended.get_or_insert_with(|| raise(error));
                    }
                }
            }
            let told = Python::attach(|py| {
                py.check_signals()?;
                progress.map_or(Ok(()), |progress| {
                    progress.call1(py, (accepted.len(), marked.len())).map(drop)
                })
            });
            if let Err(raised) = told {
                ended.get_or_insert(raised);
            }
            if ended.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    });
    let records: Vec<RecordId> = accepted.iter().map(|one| one.record).collect();
    let done = PyList::empty(py);
    for one in accepted {
        done.append(rotated(py, one)?)?;
    }
    match ended.map_or_else(|| mined(py, ledger, &records, wait), Err) {
        Ok(()) => Ok(done),
        Err(error) => Err(with_result(error, py, &done)),
    }
}

/// Waits until all are in blocks, if asked.
fn mined(py: Python<'_>, ledger: &Ledger, records: &[RecordId], wait: bool) -> PyResult<()> {
    if !wait {
        return Ok(());
    }
    interruptible(py, |control| {
        records.iter().try_for_each(|record| ledger.wait_mined_with(record, control).map(drop))
    })
}

/// As the hospital: compares and confirms.
pub(crate) fn confirm<'py>(
    py: Python<'py>,
    ledger: &Ledger,
    hospital: &Identity,
    wait: bool,
) -> PyResult<Bound<'py, PyList>> {
    let found = py.detach(|| ledger.confirm_rotations(hospital)).map_err(raise)?;
    let done = PyList::empty(py);
    let mut records = Vec::new();
    for (report, confirmed) in found {
        let (result, record) = match confirmed {
            Confirmed::Same(record) => ("same", Some(record)),
            Confirmed::Differs => ("differs", None),
            Confirmed::NoKeys => ("no-keys", None),
        };
        records.extend(record);
        done.append(
            Maker::new(py)
                .text("report", report)?
                .set("result", result)?
                .set("record", record.map(|record| record.to_string()))?
                .make("Confirmation")?,
        )?;
    }
    mined(py, ledger, &records, wait)?;
    Ok(done)
}

pub(crate) fn ask<'py>(py: Python<'py>, ask: &SlotAsk) -> PyResult<Any<'py>> {
    Maker::new(py)
        .text("custodian", ask.custodian)?
        .text("read", ask.read)?
        .set("data", PyBytes::new(py, &ask.bytes))?
        .make("SlotRequest")
}
