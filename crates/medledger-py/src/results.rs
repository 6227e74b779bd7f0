//! Results as the frozen dataclasses of `medledger._types`.

use crate::grants;
use crate::identity::AccessKey;
use medledger::core::clock::Timestamp;
use medledger::core::engine::Mined;
use medledger::core::prune::Pruned;
use medledger::core::record::Body;
use medledger::core::registry::Kind;
use medledger::core::state::GrantStanding;
use medledger::core::store::Standing;
use medledger::{
    Access, AuditReport, Backup, Delivery, Exported, GrantSummary, ImportedChain, ImportedReports,
    LogEntry, MailReport, Member, MemberId, PickedUp, Progress, Proven, Registration, Renewed,
    ReportSummary, Request, Uploaded, VerifyReport,
};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

pub(crate) fn backup<'py>(py: Python<'py>, done: &Backup) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .set("height", done.height)?
        .text("head", done.head)?
        .set("database", done.database)?
        .set("files", done.files)?
        .set("bytes", done.bytes)?
        .make("Backup")
}

pub(crate) fn pruned<'py>(py: Python<'py>, done: &Pruned) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .set("blocks", done.blocks)?
        .set("records", done.records)?
        .set("kept", done.kept)?
        .set("kept_from", done.kept_from)?
        .make("Pruned")
}

pub(crate) fn progress<'py>(py: Python<'py>, value: &Progress) -> PyResult<Bound<'py, PyAny>> {
    let (stage, height, refused) = match *value {
        Progress::Accepted => ("accepted", None, None),
        Progress::Mined { height } => ("mined", Some(height), None),
        Progress::Final { height } => ("final", Some(height), None),
        Progress::Refused { code } => ("refused", None, Some(code)),
        _ => ("unknown", None, None),
    };
    Maker::new(py)
        .set("stage", stage)?
        .set("height", height)?
        .set("code", refused.map(|code| code.code()))?
        .set("reason", refused.map(|code| code.to_string()))?
        .make("Progress")
}

/// An instance of a class of `medledger._types`, from its fields by name.
pub(crate) struct Maker<'py> {
    py: Python<'py>,
    fields: Bound<'py, PyDict>,
}

impl<'py> Maker<'py> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        Self { py, fields: PyDict::new(py) }
    }

    pub(crate) fn set(self, name: &str, value: impl IntoPyObjectExt<'py>) -> PyResult<Self> {
        self.fields.set_item(name, value.into_bound_py_any(self.py)?)?;
        Ok(self)
    }

    /// An id, a CID or a code, as text.
    pub(crate) fn text(self, name: &str, value: impl ToString) -> PyResult<Self> {
        self.set(name, value.to_string())
    }

    pub(crate) fn time(self, name: &str, value: Timestamp) -> PyResult<Self> {
        let time = datetime(self.py, value)?;
        self.set(name, time)
    }

    fn standing(self, standing: Standing) -> PyResult<Self> {
        let (state, block) = match standing {
            Standing::Accepted { .. } => ("accepted", None),
            Standing::Mined { height, .. } => ("mined", Some(height)),
            Standing::Refused { .. } => ("refused", None),
        };
        self.set("state", state)?.set("block", block)
    }

    pub(crate) fn delivery(self, delivery: Delivery) -> PyResult<Self> {
        let (name, key) = match delivery {
            Delivery::Mailed => ("mailed", None),
            Delivery::Queued => ("queued", None),
            Delivery::Waits => ("waits", None),
            Delivery::PickUp(key) => ("pick-up", Some(AccessKey(key))),
            _ => ("none", None),
        };
        self.set("delivery", name)?.set("access_key", key)
    }

    pub(crate) fn make(self, class: &str) -> PyResult<Bound<'py, PyAny>> {
        let class = self.py.import("medledger._types")?.getattr(class)?;
        class.call((), Some(&self.fields))
    }
}

/// An aware `datetime` in UTC; the last one there is for times beyond the calendar.
pub(crate) fn datetime(py: Python<'_>, time: Timestamp) -> PyResult<Bound<'_, PyAny>> {
    const LAST: u64 = 253_402_300_799;
    let module = py.import("datetime")?;
    let utc = module.getattr("timezone")?.getattr("utc")?;
    module.getattr("datetime")?.call_method1("fromtimestamp", (time.as_secs().min(LAST), utc))
}

pub(crate) fn registration<'py>(
    py: Python<'py>,
    value: &Registration,
    block: Option<u64>,
) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .text("member", value.member)?
        .set("number", value.number)?
        .text("record", value.record)?
        .set("block", block)?
        .make("Registration")
}

pub(crate) fn member<'py>(py: Python<'py>, value: &Member) -> PyResult<Bound<'py, PyAny>> {
    let since = value.suspended.and_then(|suspended| suspended.time);
    let since = since.map(|time| datetime(py, time)).transpose()?;
    Maker::new(py)
        .text("id", value.id)?
        .set("number", value.number)?
        .set("name", value.contact.name.as_str())?
        .set("email", value.contact.email.as_deref())?
        .text("role", value.entry.role)?
        .text("hospital", value.entry.hospital)?
        .text("custody", value.entry.custody)?
        .set("suspended", value.suspended.is_some())?
        .set("suspended_since", since)?
        .make("Member")
}

pub(crate) fn uploaded(
    py: Python<'_>,
    value: Uploaded,
    block: Option<u64>,
) -> PyResult<Bound<'_, PyAny>> {
    Maker::new(py)
        .text("record", value.record)?
        .text("report", value.report)?
        .set("label", value.label)?
        .text("envelope", value.envelope)?
        .text("body", value.body)?
        .set("length", value.length)?
        .set("sealed_length", value.sealed)?
        .delivery(value.delivery)?
        .set("repeated", value.repeated)?
        .set("block", block)?
        .make("Uploaded")
}

pub(crate) fn request<'py>(py: Python<'py>, value: &Request) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .text("id", value.id)?
        .text("report", value.entry.report)?
        .set("label", value.label.as_str())?
        .text("reader", value.entry.reader)?
        .set("reader_name", value.reader_name.as_str())?
        .text("purpose", value.entry.purpose)?
        .time("until", value.entry.until)?
        .make("Request")
}

pub(crate) fn renewed(py: Python<'_>, value: Renewed) -> PyResult<Bound<'_, PyAny>> {
    Maker::new(py).text("report", value.report)?.delivery(value.delivery)?.make("Renewed")
}

pub(crate) fn picked_up(py: Python<'_>, value: PickedUp) -> PyResult<Bound<'_, PyAny>> {
    Maker::new(py)
        .set("report", value.report.map(|id| id.to_string()))?
        .set("label", value.label)?
        .set("grant", value.grant.map(|id| id.to_string()))?
        .time("since", value.since)?
        .set("access_key", AccessKey(value.key))?
        .make("PickedUp")
}

pub(crate) fn access<'py>(py: Python<'py>, value: &Access) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .text("record", value.record)?
        .text("report", value.report)?
        .set("label", value.label.as_str())?
        .text("reader", value.reader)?
        .set("reader_name", value.reader_name.as_str())?
        .time("time", value.time)?
        .set("grant", value.grant.map(|id| id.to_string()))?
        .set("purpose", value.purpose.map(|purpose| purpose.name()))?
        .set("version", value.version)?
        .standing(value.standing)?
        .make("Access")
}

pub(crate) fn audited<'py>(py: Python<'py>, value: &AuditReport) -> PyResult<Bound<'py, PyAny>> {
    let findings: Vec<String> = value.findings.iter().map(ToString::to_string).collect();
    Maker::new(py)
        .set("size", value.size)?
        .set("digests", value.digests)?
        .set("vouched", value.vouched)?
        .set("findings", PyTuple::new(py, findings)?)?
        .make("AuditReport")
}

fn grant<'py>(py: Python<'py>, value: &GrantSummary) -> PyResult<Bound<'py, PyAny>> {
    let maker = grants::grantee(Maker::new(py).text("id", value.id)?, &value.entry.reader)?;
    grants::scope(py, maker, &value.entry.scope)?
        .set("reader_name", value.reader_name.as_str())?
        .text("purpose", value.entry.purpose)?
        .time("until", value.entry.until)?
        .set("live", value.live)?
        .set("revoked", value.standing == GrantStanding::Revoked)?
        .set("delegable", value.entry.delegate)?
        .set("parent", value.entry.parent.map(|id| id.to_string()))?
        .make("Grant")
}

pub(crate) fn report<'py>(py: Python<'py>, value: &ReportSummary) -> PyResult<Bound<'py, PyAny>> {
    let grants = value.grants.iter().map(|value| grant(py, value)).collect::<PyResult<Vec<_>>>()?;
    Maker::new(py)
        .text("id", value.id)?
        .set("label", value.label.as_str())?
        .text("patient", value.patient)?
        .set("patient_name", value.patient_name.as_str())?
        .text("author", value.author)?
        .set("author_name", value.author_name.as_str())?
        .text("envelope", value.envelope)?
        .text("record", value.record)?
        .standing(value.standing)?
        .set("grants", PyTuple::new(py, grants)?)?
        .make("Report")
}

pub(crate) fn log_entry<'py>(py: Python<'py>, value: &LogEntry) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .text("id", value.id)?
        .set("kind", value.kind.name())?
        .text("author", value.author)?
        .set("author_name", value.author_name.as_str())?
        .set("hospital_name", value.hospital_name.as_str())?
        .set("patient", value.patient.map(|id| id.to_string()))?
        .set("report", value.report.map(|id| id.to_string()))?
        .set("label", value.label.as_deref())?
        .time("time", value.time)?
        .standing(value.standing)?
        .set("block_id", value.block.map(|id| id.to_string()))?
        .make("LogEntry")
}

pub(crate) fn block<'py>(py: Python<'py>, value: &Mined) -> PyResult<Bound<'py, PyAny>> {
    let header = &value.stored.signed.header;
    Maker::new(py)
        .text("id", value.id())?
        .set("height", value.stored.height)?
        .time("time", Timestamp::from_secs(u64::from(header.time)))?
        .set("records", value.stored.records)?
        .set("tries", value.tries)?
        .make("Block")
}

pub(crate) fn verified<'py>(py: Python<'py>, value: &VerifyReport) -> PyResult<Bound<'py, PyAny>> {
    let findings: Vec<String> = value.findings.iter().map(ToString::to_string).collect();
    let unchecked: Vec<String> = value.unchecked.iter().map(ToString::to_string).collect();
    Maker::new(py)
        .set("blocks", value.blocks)?
        .set("records", value.records)?
        .set("reports", value.reports)?
        .set("bytes", value.bytes)?
        .set("findings", PyTuple::new(py, findings)?)?
        .set("unchecked", PyTuple::new(py, unchecked)?)?
        .make("VerifyReport")
}

pub(crate) fn mail<'py>(py: Python<'py>, value: &MailReport) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .set("sent", value.sent)?
        .set("waiting", value.waiting)?
        .set("error", value.error.as_ref().map(ToString::to_string))?
        .make("MailReport")
}

pub(crate) fn proven<'py>(py: Python<'py>, value: &Proven) -> PyResult<Bound<'py, PyAny>> {
    let record = value.record.record();
    let kind: Kind = record.body.kind();
    let patient = match &record.body {
        Body::AddReport(body) => Some(body.patient),
        _ => None,
    };
    let cosignature = |(hospital, time): &(MemberId, Timestamp)| {
        Maker::new(py).text("hospital", hospital)?.time("time", *time)?.make("Cosignature")
    };
    let cosigned = value.cosigned.iter().map(cosignature).collect::<PyResult<Vec<_>>>()?;
    Maker::new(py)
        .text("record", value.record.id())?
        .set("kind", kind.name())?
        .text("author", record.author)?
        .time("time", record.time)?
        .text("block_id", value.block)?
        .set("block", value.height)?
        .time("block_time", value.time)?
        .text("miner", value.miner)?
        .set("patient", patient.map(|patient| patient.to_string()))?
        .set("checkpoint_size", value.checkpoint_size)?
        .set("cosigned", PyTuple::new(py, cosigned)?)?
        .set("quorum", value.quorum)?
        .set("hospitals", value.hospitals)?
        .make("Proven")
}

pub(crate) fn exported<'py>(py: Python<'py>, done: &Exported) -> PyResult<Bound<'py, PyAny>> {
    let roots = PyTuple::new(py, done.roots.iter().map(ToString::to_string))?;
    Maker::new(py)
        .set("roots", roots)?
        .set("reports", done.reports)?
        .set("blocks", done.blocks)?
        .set("bytes", done.bytes)?
        .make("Exported")
}

pub(crate) fn imported_reports<'py>(
    py: Python<'py>,
    done: &ImportedReports,
) -> PyResult<Bound<'py, PyAny>> {
    let reports = PyTuple::new(py, done.reports.iter().map(ToString::to_string))?;
    Maker::new(py)
        .set("reports", reports)?
        .set("blocks", done.blocks)?
        .set("bytes", done.bytes)?
        .make("ImportedReports")
}

pub(crate) fn imported_chain<'py>(
    py: Python<'py>,
    done: &ImportedChain,
) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .text("chain", done.chain)?
        .set("height", done.height)?
        .text("head", done.head)?
        .set("added", done.added)?
        .set("removed", done.removed)?
        .set("records", done.records)?
        .set("finalized", done.finalized)?
        .set("reports", done.reports)?
        .make("ImportedChain")
}
