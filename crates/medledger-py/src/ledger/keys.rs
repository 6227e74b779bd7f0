//! New keys in place of old ones, and keys to be picked up.

use super::{Any, Ledger};
use crate::args::{KeyArgument, key, parse, parse_some};
use crate::errors::raise;
use crate::grants::{self, ScopeArgument};
use crate::identity::Identity;
use crate::wait::wait_mined;
use crate::{results, rotation};
use medledger::ReportId;
use pyo3::prelude::*;
use pyo3::types::PyList;

#[pymethods]
impl Ledger {
    /// Make a new key for a patient's own report in place of one that was lost, which opens nothing any
    /// more; returns Renewed. Without `access_key`, the old one, the identity is the key.
    ///
    /// Raises as `approve` does.
    #[pyo3(signature = (patient, report, *, access_key = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn renew_key<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        report: &str,
        access_key: Option<KeyArgument>,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let key = key(access_key.as_ref());
        let done = py.detach(|| ledger.renew_key(&patient.0, &report, &key)).map_err(raise)?;
        results::renewed(py, done)
    }

    /// Give the reader of a permission a new key in place of one that was lost: it is taken back and given
    /// anew; returns Approved. Raises as `approve` does.
    #[pyo3(signature = (patient, grant, *, access_key = None, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn renew_grant_key<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        grant: &str,
        access_key: Option<KeyArgument>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, grant) = (self.get()?, parse("grant", grant)?);
        let key = key(access_key.as_ref());
        let done = py.detach(|| ledger.renew_grant_key(&patient.0, &grant, &key)).map_err(raise)?;
        let record = done.record;
        wait_mined(py, &ledger, record, wait, |block| grants::approved(py, done, None, block))
    }

    /// The keys that wait for a member, each shown this once, as a list of PickedUp.
    fn pick_up<'py>(&self, py: Python<'py>, owner: &Identity) -> PyResult<Vec<Any<'py>>> {
        let ledger = self.get()?;
        let keys = py.detach(|| ledger.pick_up(&owner.0)).map_err(raise)?;
        keys.into_iter().map(|key| results::picked_up(py, key)).collect()
    }

    /// Put a report under a new key, for the patient and all whose permissions are live; returns Rotated.
    ///
    /// It takes effect when the hospital confirms: `confirm_rotations`. `access_key` is the patient's, if not
    /// the identity opens the report.
    #[pyo3(signature = (patient, report, *, access_key = None, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn rotate<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        report: &str,
        access_key: Option<KeyArgument>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let key = key(access_key.as_ref());
        rotation::rotate(py, ledger.as_ref(), &patient.0, &report, &key, wait)
    }

    /// Note reports to be rotated later by `rotate_marked`; returns how many were not noted before.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn mark_for_rotation(
        &self,
        py: Python<'_>,
        patient: &Identity,
        scope: ScopeArgument,
    ) -> PyResult<usize> {
        let ledger = self.get()?;
        py.detach(|| ledger.mark_for_rotation(&patient.0, &scope.0)).map_err(raise)
    }

    /// The ids of a patient's reports that are marked to be rotated.
    fn marked_for_rotation(&self, py: Python<'_>, patient: &str) -> PyResult<Vec<String>> {
        let (ledger, patient) = (self.get()?, parse("patient", patient)?);
        let marked = py.detach(|| ledger.marked_for_rotation(&patient)).map_err(raise)?;
        Ok(marked.iter().map(ToString::to_string).collect())
    }

    /// Take back the marks of these reports, or of all; returns how many there were.
    #[pyo3(signature = (patient, reports = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn unmark_for_rotation(
        &self,
        py: Python<'_>,
        patient: &Identity,
        reports: Option<Vec<String>>,
    ) -> PyResult<usize> {
        let ledger = self.get()?;
        let named = reports.as_deref().map(|texts| {
            texts.iter().map(|text| parse("report", text)).collect::<PyResult<Vec<ReportId>>>()
        });
        let named = named.transpose()?;
        py.detach(|| ledger.unmark_for_rotation(&patient.0, named.as_deref())).map_err(raise)
    }

    /// Rotate what is marked, at most `limit` reports, many in one unit of work; returns a list of Rotated.
    ///
    /// `progress`, if given, is called after each unit with how many are rotated and how many there are; an exception it
    /// raises ends the work there. What was interrupted goes on with the next call. When a report fails, the exception's
    /// `result` is the list so far.
    #[pyo3(signature = (patient, *, limit = None, wait = false, progress = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn rotate_marked<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        limit: Option<usize>,
        wait: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let ledger = self.get()?;
        let ledger = ledger.as_ref();
        rotation::rotate_marked(py, ledger, &patient.0, limit, wait, progress.as_ref())
    }

    /// As the hospital: compare old and new content of each rotation that waits, and confirm those that hold the
    /// same; returns a list of Confirmation. One that differs is not confirmed and has no effect.
    #[pyo3(signature = (hospital, *, wait = false))]
    fn confirm_rotations<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        wait: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let ledger = self.get()?;
        rotation::confirm(py, ledger.as_ref(), &hospital.0, wait)
    }

    /// Enrol a patient of another hospital at this one; returns the id of the record. Raises RefusedError.
    #[pyo3(signature = (patient, *, wait = false))]
    fn enrol<'py>(&self, py: Python<'py>, patient: &Identity, wait: bool) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let id = py.detach(|| ledger.enrol(&patient.0)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// Move a patient's collection at this hospital to its next key; returns the id of the record. All who hold a live
    /// permission on the collection are given that key. Raises InvalidArgumentError for another `hospital`: it is renewed
    /// there, where its readers' keys are.
    #[pyo3(signature = (patient, hospital = None, *, wait = false))]
    fn renew_collection<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        hospital: Option<&str>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let hospital = parse_some("hospital", hospital)?.unwrap_or_else(|| ledger.hospital());
        let id = py.detach(|| ledger.renew_collection(&patient.0, &hospital)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }
}
