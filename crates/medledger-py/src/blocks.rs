//! Results about the store of ciphertext.

use crate::results::{Maker, datetime};
use medledger::core::Cid;
use medledger::ipfs::CacheStats;
use medledger::ipfs::check::{Broken, StoreCheck};
use medledger::ipfs::repair::Repaired;
use medledger::ipfs::store::{Keep, Pin};
use medledger::{BlocksCollected, UnkeptReport};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

type Result<'py> = PyResult<Bound<'py, PyAny>>;

fn texts<'py>(py: Python<'py>, items: &[impl ToString]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, items.iter().map(ToString::to_string))
}

pub(crate) fn pins<'py>(py: Python<'py>, pins: &[Pin]) -> Result<'py> {
    let reason = |keep: &Keep| {
        let since = keep.since.map(|since| datetime(py, since)).transpose()?;
        Maker::new(py).text("reason", &keep.reason)?.set("since", since)?.make("PinReason")
    };
    let pins = pins
        .iter()
        .map(|pin| {
            let reasons = pin.reasons.iter().map(reason).collect::<PyResult<Vec<_>>>()?;
            Maker::new(py)
                .text("root", pin.root)?
                .set("reasons", PyTuple::new(py, reasons)?)?
                .make("Pin")
        })
        .collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(py, pins)?.into_any())
}

pub(crate) fn checked<'py>(
    py: Python<'py>,
    check: &StoreCheck,
    unkept: &[UnkeptReport],
) -> Result<'py> {
    let not_kept: Vec<_> = unkept.iter().map(|unkept| unkept.report).collect();
    let cids = |broken: &[Broken]| broken.iter().map(|broken| broken.cid).collect::<Vec<Cid>>();
    let malformed: Vec<Cid> = check.malformed.iter().map(|(broken, _)| broken.cid).collect();
    let strays: Vec<String> = check.strays.iter().map(|p| p.display().to_string()).collect();
    Maker::new(py)
        .set("pins", check.pins)?
        .set("blocks", check.blocks)?
        .set("bytes", check.bytes)?
        .set("damaged", texts(py, &cids(&check.damaged))?)?
        .set("missing", texts(py, &cids(&check.missing))?)?
        .set("malformed", texts(py, &malformed)?)?
        .set("unreferenced", check.unreferenced)?
        .set("unreferenced_bytes", check.unreferenced_bytes)?
        .set("strays", texts(py, &strays)?)?
        .set("not_kept", texts(py, &not_kept)?)?
        .make("BlockCheck")
}

pub(crate) fn collected<'py>(py: Python<'py>, done: &BlocksCollected) -> Result<'py> {
    Maker::new(py)
        .set("removed", done.collected.removed)?
        .set("bytes", done.collected.bytes)?
        .set("kept", done.collected.kept)?
        .set("released", texts(py, &done.released)?)?
        .set("pinned", texts(py, &done.pinned)?)?
        .make("CollectedBlocks")
}

pub(crate) fn repaired<'py>(py: Python<'py>, done: &Repaired) -> Result<'py> {
    let failed: Vec<Cid> = done.failed.iter().map(|(cid, _)| *cid).collect();
    Maker::new(py)
        .set("repaired", texts(py, &done.repaired)?)?
        .set("bytes", done.bytes)?
        .set("absent", texts(py, &done.absent)?)?
        .set("wrong", texts(py, &done.wrong)?)?
        .set("failed", texts(py, &failed)?)?
        .make("RepairedBlocks")
}

pub(crate) fn cache<'py>(py: Python<'py>, stats: &CacheStats) -> Result<'py> {
    Maker::new(py)
        .set("hits", stats.hits)?
        .set("misses", stats.misses)?
        .set("bytes", stats.bytes)?
        .set("capacity", stats.capacity)?
        .make("CacheStats")
}
