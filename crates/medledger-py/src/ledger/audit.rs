//! Who saw what, and the audit log.

use super::{Any, Ledger};
use crate::args::parse;
use crate::errors::raise;
use crate::identity::Identity;
use crate::results;
use crate::wait::wait_mined;
use pyo3::prelude::*;

#[pymethods]
impl Ledger {
    /// Who saw a patient's reports, when and for which purpose, oldest first, as a list of Access.
    #[pyo3(signature = (patient, *, offset = 0, limit = 0))]
    fn accesses<'py>(
        &self,
        py: Python<'py>,
        patient: &str,
        offset: usize,
        limit: usize,
    ) -> PyResult<Vec<Any<'py>>> {
        let (ledger, patient) = (self.get()?, parse("patient", patient)?);
        let found = py.detach(|| ledger.accesses(&patient, offset, limit)).map_err(raise)?;
        found.iter().map(|access| results::access(py, access)).collect()
    }

    /// Sign how far the hospital's audit log has come, as a record; returns its id.
    ///
    /// Raises DamagedError when the log was altered, InvalidArgumentError for another identity.
    #[pyo3(signature = (hospital, *, wait = false))]
    fn digest_audit<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let id = py.detach(|| ledger.digest_audit(&hospital.0)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// Recompute the hospital's audit log and compare it with its digests on the chain; returns AuditReport.
    fn verify_audit<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let report = py.detach(|| ledger.verify_audit()).map_err(raise)?;
        results::audited(py, &report)
    }
}
