//! Where ciphertext lies: results, and the check of a node.

use crate::blocks;
use crate::errors::{Class, raise};
use crate::results::Maker;
use medledger::ipfs::kubo::{Finding, Report};
use medledger::ipfs::store::CaughtUp;
use medledger::{
    KeeperKind, KuboSettings, RepairSource, ReplicaKeeper, ReplicaReport, SourceSettings,
    StorageMode, StorageSettings, StorageStatus, Switched,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::path::PathBuf;

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
        .set("owed_damaged", status.fault.as_ref().map(ToString::to_string))?
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

/// Blocks from elsewhere in the place of those that are broken here.
pub(crate) fn repair<'py>(
    py: Python<'py>,
    ledger: &medledger::Ledger,
    source: PathBuf,
) -> Result<'py> {
    let from = match source.to_str() {
        Some("kubo") => RepairSource::Kubo,
        Some("sources") => RepairSource::Sources,
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            RepairSource::Gateway(url.to_owned())
        }
        _ => RepairSource::Folder(source),
    };
    let done = py.detach(|| {
        let source = ledger.repair_source(&from).map_err(raise)?;
        let check = ledger.check_blocks().map_err(raise)?;
        ledger.repair_blocks(&check, &*source).map_err(raise)
    })?;
    blocks::repaired(py, &done)
}

pub(crate) fn sources<'py>(py: Python<'py>, ledger: &medledger::Ledger) -> Result<'py> {
    let all = PyDict::new(py);
    for SourceSettings { name, address } in ledger.sources().map_err(raise)? {
        all.set_item(name, address)?;
    }
    Ok(all.into_any())
}

/// How somebody who keeps reports is reached, as a caller says it.
pub(crate) struct Reached {
    pub(crate) cluster: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) public: bool,
    pub(crate) peers: Option<(u16, u16)>,
    pub(crate) origins: Vec<String>,
    pub(crate) gateway: Option<String>,
}

/// Somebody who keeps reports, from what a caller says.
pub(crate) fn keeper(name: String, reached: Reached) -> PyResult<ReplicaKeeper> {
    let invalid = |text: &str| Err(Class::InvalidArgument.error(text));
    let Reached { cluster, service, public, peers, origins, gateway } = reached;
    let (kind, address) = match (cluster, service) {
        (Some(_), None) if !origins.is_empty() => return invalid("origins are for a service"),
        (None, Some(_)) if peers.is_some() => return invalid("peers are those of a cluster"),
        (Some(address), None) => (KeeperKind::Cluster, address),
        (None, Some(address)) => (KeeperKind::Service, address),
        _ => return invalid("give one of cluster and service"),
    };
    Ok(ReplicaKeeper { name, kind, address, public, peers, origins, gateway })
}

pub(crate) fn replicas<'py>(py: Python<'py>, report: &ReplicaReport) -> Result<'py> {
    Maker::new(py)
        .set("roots", report.roots)?
        .set("asked", report.asked)?
        .set("short", PyTuple::new(py, &report.short)?)?
        .set("forgot", PyTuple::new(py, &report.forgot)?)?
        .set("findings", PyTuple::new(py, &report.findings)?)?
        .make("ReplicaReport")
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
