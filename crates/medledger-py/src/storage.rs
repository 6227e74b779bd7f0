//! Where ciphertext lies: results, and the check of a node.

use crate::errors::{Class, raise};
use crate::results::Maker;
use medledger::ipfs::kubo::{Finding, Report};
use medledger::ipfs::store::CaughtUp;
use medledger::{KuboSettings, StorageMode, StorageSettings, StorageStatus, Switched};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

type Result<'py> = PyResult<Bound<'py, PyAny>>;

/// Settings from what a caller says.
pub(crate) fn settings(
    mode: &str,
    kubo: Option<String>,
    public: bool,
) -> PyResult<StorageSettings> {
    let mode: StorageMode =
        mode.parse().map_err(|error: String| Class::InvalidArgument.error(error))?;
    let mut settings = StorageSettings::new(mode, KuboSettings::default());
    if mode != StorageMode::Embedded {
        settings.kubo.public = public;
        if let Some(address) = kubo {
            settings.kubo.address = address;
        }
    }
    Ok(settings)
}

pub(crate) fn status<'py>(py: Python<'py>, status: &StorageStatus) -> Result<'py> {
    Maker::new(py)
        .text("mode", status.mode)?
        .set("node", status.node.clone())?
        .set("behind", status.behind)?
        .make("StorageStatus")
}

pub(crate) fn switched<'py>(py: Python<'py>, done: &Switched) -> Result<'py> {
    Maker::new(py)
        .set("copied", done.copied)?
        .set("blocks", done.blocks)?
        .set("bytes", done.bytes)?
        .set("verified", done.verified)?
        .set("left_over", done.left_over)?
        .make("MovedStorage")
}

pub(crate) fn caught_up<'py>(py: Python<'py>, done: &CaughtUp) -> Result<'py> {
    Maker::new(py)
        .set("copied", done.copied)?
        .set("blocks", done.blocks)?
        .set("bytes", done.bytes)?
        .set("released", done.released)?
        .make("SyncedStorage")
}

/// Look at a Kubo node's version, settings, room and pins; returns KuboCheck, which tells what to mend and how.
///
/// A node that does not answer is a finding, too. Credentials come from the environment variable
/// MEDLEDGER_KUBO_AUTH. Raises InvalidArgumentError for what is no address.
#[pyfunction]
#[pyo3(signature = (address = None, *, deep = false))]
pub(crate) fn check_kubo(py: Python<'_>, address: Option<String>, deep: bool) -> Result<'_> {
    let mut settings = KuboSettings::default();
    if let Some(address) = address {
        settings.address = address;
    }
    let report = py.detach(|| settings.node().map(|node| node.check(deep))).map_err(raise)?;
    checked(py, &report)
}

fn checked<'py>(py: Python<'py>, report: &Report) -> Result<'py> {
    let finding = |finding: &Finding| {
        Maker::new(py)
            .text("severity", finding.severity)?
            .set("about", finding.about)?
            .set("text", finding.text.as_str())?
            .set("mend", finding.mend.as_str())?
            .make("KuboFinding")
    };
    let findings = report.findings.iter().map(finding).collect::<PyResult<Vec<_>>>()?;
    Maker::new(py)
        .set("node", report.server.as_str())?
        .set("version", report.version.map(|version| version.to_string()))?
        .set("findings", PyTuple::new(py, findings)?)?
        .make("KuboCheck")
}
