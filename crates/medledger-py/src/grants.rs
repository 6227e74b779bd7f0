//! Who may read what: scopes, readers and groups as Python writes them, and as it gets them back.

use crate::args::parse;
use crate::errors::{Class, raise};
use crate::results::Maker;
use crate::wait::wait_mined;
use medledger::core::record::{Grantee, ReportList, Scope};
use medledger::{
    Approved, Group, GroupId, Identity, Ledger, MemberId, Reader, ReaderKey, RecordId, ReportId,
    Role,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

type Any<'py> = Bound<'py, PyAny>;

/// A report, several of them, or a `medledger.Collection`.
pub(crate) struct ScopeArgument(pub(crate) Scope);

impl<'py> FromPyObject<'_, 'py> for ScopeArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(report) = object.cast::<PyString>() {
            return Ok(Self(Scope::Report(parse("report", report.to_str()?)?)));
        }
        if object.is_instance(&class(object.py(), "Collection")?)? {
            let hospital: String = object.getattr("hospital")?.extract()?;
            return Ok(Self(Scope::Collection(parse("hospital", &hospital)?)));
        }
        let items = object.try_iter().map_err(|_| {
            PyTypeError::new_err(
                "what is shared is the id of a report, several ids, or a Collection",
            )
        })?;
        let mut reports = Vec::new();
        for item in items {
            let id: String = item?.extract()?;
            reports.push(parse::<ReportId>("report", &id)?);
        }
        reports.sort_unstable();
        reports.dedup();
        if let [one] = reports[..] {
            return Ok(Self(Scope::Report(one)));
        }
        let list = ReportList::new(reports);
        let list = list.map_err(|error| Class::InvalidArgument.error(error.to_string()))?;
        Ok(Self(Scope::Reports(list)))
    }
}

/// The id of a member, or a `medledger.Group`.
pub(crate) struct ReaderArgument(pub(crate) Reader);

impl<'py> FromPyObject<'_, 'py> for ReaderArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(member) = object.cast::<PyString>() {
            return Ok(Self(parse::<MemberId>("reader", member.to_str()?)?.into()));
        }
        if object.is_instance(&class(object.py(), "Group")?)? {
            let group: String = object.getattr("id")?.extract()?;
            return Ok(Self(parse::<GroupId>("group", &group)?.into()));
        }
        Err(PyTypeError::new_err("a reader is the id of a member, or a Group"))
    }
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Any<'py>> {
    py.import("medledger._types")?.getattr(name)
}

pub(crate) fn reader_key(name: &str) -> PyResult<ReaderKey> {
    match name {
        "access" => Ok(ReaderKey::Access),
        "identity" => Ok(ReaderKey::Identity),
        other => {
            let text = format!("unknown reader_key {other:?}: one of access, identity");
            Err(Class::InvalidArgument.error(text))
        }
    }
}

/// The fields that say what a grant covers.
pub(crate) fn scope<'py>(
    py: Python<'py>,
    maker: Maker<'py>,
    scope: &Scope,
) -> PyResult<Maker<'py>> {
    let name = match scope {
        Scope::Report(_) => "report",
        Scope::Reports(_) => "reports",
        Scope::Collection(_) => "collection",
    };
    let hospital = match scope {
        Scope::Collection(hospital) => Some(hospital.to_string()),
        _ => None,
    };
    let reports: Vec<String> = scope.reports().iter().map(ToString::to_string).collect();
    let report = (name == "report").then(|| reports.first().cloned()).flatten();
    maker
        .set("scope", name)?
        .set("report", report)?
        .set("reports", PyTuple::new(py, reports)?)?
        .set("hospital", hospital)
}

/// The fields that say whom a grant is for.
pub(crate) fn grantee<'py>(maker: Maker<'py>, grantee: &Grantee) -> PyResult<Maker<'py>> {
    let (reader, kind) = match grantee {
        Grantee::Member(member) => (member.to_string(), "member"),
        Grantee::Group(at) => (at.group.to_string(), "group"),
    };
    maker.set("reader", reader)?.set("reader_kind", kind)
}

pub(crate) fn approved<'py>(
    py: Python<'py>,
    value: Approved,
    parent: Option<&str>,
    block: Option<u64>,
) -> PyResult<Any<'py>> {
    let Approved { grant, record, permission, delivery } = value;
    let (reader, kind) = match permission.reader {
        Reader::Member(member) => (member.to_string(), "member"),
        Reader::Group(group) => (group.to_string(), "group"),
        _ => (String::new(), "unknown"),
    };
    let maker = Maker::new(py).text("grant", grant)?.text("record", record)?;
    scope(py, maker, &permission.scope)?
        .set("reader", reader)?
        .set("reader_kind", kind)?
        .text("purpose", permission.purpose)?
        .time("until", permission.until)?
        .set("delegable", permission.delegate)?
        .set("parent", parent)?
        .delivery(delivery)?
        .set("block", block)?
        .make("Approved")
}

fn members(ids: &[String]) -> PyResult<Vec<MemberId>> {
    let ids = ids.iter().map(|id| parse("member", id)).collect::<PyResult<Vec<MemberId>>>();
    let mut ids = ids?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn made<'py>(py: Python<'py>, group: &Group) -> PyResult<Any<'py>> {
    let members = PyTuple::new(py, group.members.iter().map(ToString::to_string))?;
    Maker::new(py)
        .text("id", group.id)?
        .set("name", group.name.as_str())?
        .text("hospital", group.entry.hospital)?
        .set("role", group.entry.role.map(Role::name))?
        .set("epoch", group.entry.epoch)?
        .set("members", members)?
        .set("stale", group.stale)?
        .make("Group")
}

/// Every group, as a list of Group.
pub(crate) fn groups<'py>(py: Python<'py>, ledger: &Ledger) -> PyResult<Vec<Any<'py>>> {
    let groups = py.detach(|| ledger.groups()).map_err(raise)?;
    groups.iter().map(|group| made(py, group)).collect()
}

/// Waits for the block of a group's record if asked, and makes the group as it is then.
pub(crate) fn changed<'py>(
    py: Python<'py>,
    ledger: &Ledger,
    id: &GroupId,
    record: RecordId,
    wait: bool,
) -> PyResult<Any<'py>> {
    wait_mined(py, ledger, record, wait, |_| {
        let group = py.detach(|| ledger.group(id)).map_err(raise)?;
        made(py, &group.ok_or_else(|| Class::NotFound.error(format!("no group {id}")))?)
    })
}

/// Makes a group of members, or of a role.
pub(crate) fn create<'py>(
    py: Python<'py>,
    ledger: &Ledger,
    hospital: &Identity,
    what: Result<(&str, &[String]), Role>,
    wait: bool,
) -> PyResult<Any<'py>> {
    let made = match what {
        Ok((name, ids)) => {
            let ids = members(ids)?;
            py.detach(|| ledger.create_group(hospital, name, &ids))
        }
        Err(role) => py.detach(|| ledger.create_role_group(hospital, role)),
    };
    let made = made.map_err(raise)?;
    changed(py, ledger, &made.id, made.record, wait)
}

/// Lets members join and leave.
pub(crate) fn change<'py>(
    py: Python<'py>,
    ledger: &Ledger,
    hospital: &Identity,
    group: &Reader,
    (join, leave, fresh): (&[String], &[String], bool),
    wait: bool,
) -> PyResult<Any<'py>> {
    let Reader::Group(id) = group else {
        return Err(PyTypeError::new_err("a group is a Group, as `groups` lists them"));
    };
    let (join, leave) = (members(join)?, members(leave)?);
    let record =
        py.detach(|| ledger.change_group(hospital, id, &join, &leave, fresh)).map_err(raise)?;
    changed(py, ledger, id, record, wait)
}
