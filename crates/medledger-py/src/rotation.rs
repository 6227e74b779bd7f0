//! Reports under new keys, and slots for readers elsewhere.

use crate::errors::raise;
use crate::results::Maker;
use crate::wait::interruptible;
use medledger::{Confirmed, Identity, Key, Ledger, RecordId, ReportId, Rotated, SlotAsk};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

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

/// Rotates reports one after another. When one fails, or the waiting, the exception's `result` is what was
/// accepted until then: keys may be in it.
pub(crate) fn rotate<'py>(
    py: Python<'py>,
    ledger: &Ledger,
    patient: &Identity,
    reports: &[ReportId],
    key: &Key<'_>,
    wait: bool,
) -> PyResult<Bound<'py, PyList>> {
    let done = PyList::empty(py);
    let mut records = Vec::new();
    let with_result = |error: PyErr| match error.value(py).setattr("result", &done) {
        Ok(()) => error,
        Err(other) => other,
    };
    for report in reports {
        py.check_signals().map_err(with_result)?;
        let one = py.detach(|| ledger.rotate(patient, report, key)).map_err(raise);
        let one = one.map_err(with_result)?;
        records.push(one.record);
        done.append(rotated(py, one)?)?;
    }
    mined(py, ledger, &records, wait).map_err(with_result)?;
    Ok(done)
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
