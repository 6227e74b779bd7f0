//! Permissions: asked for, given, passed on and taken back.

use super::{Any, Ledger};
use crate::args::{KeyArgument, TimeArgument, key, parse};
use crate::errors::raise;
use crate::grants::{self, ReaderArgument, ScopeArgument, reader_key};
use crate::identity::Identity;
use crate::results;
use crate::wait::wait_mined;
use medledger::{Delegation, Permission};
use pyo3::prelude::*;

#[pymethods]
impl Ledger {
    /// Ask the patient for permission to read a report; returns the id of the request.
    ///
    /// `purpose` is one of medledger.PURPOSES; `until` is text such as "30d" or
    /// "2026-11-22T14:04:45Z", an aware datetime, or a timedelta from now on.
    ///
    /// Raises RefusedError, for example while the same request waits already.
    #[pyo3(signature = (reader, report, *, purpose, until, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn request<'py>(
        &self,
        py: Python<'py>,
        reader: &Identity,
        report: &str,
        purpose: &str,
        until: TimeArgument,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let (purpose, until) = (parse("purpose", purpose)?, until.resolve(ledger.now())?);
        let id = py.detach(|| ledger.request(&reader.0, &report, purpose, until)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// The requests that wait for a patient's answer, as a list of Request.
    fn requests<'py>(&self, py: Python<'py>, patient: &str) -> PyResult<Vec<Any<'py>>> {
        let (ledger, patient) = (self.get()?, parse("patient", patient)?);
        let requests = py.detach(|| ledger.requests(&patient)).map_err(raise)?;
        requests.iter().map(|request| results::request(py, request)).collect()
    }

    /// Approve a request; the reader gets a key of their own. Returns Approved.
    ///
    /// `access_key` is the patient's key to the report, an AccessKey or its text; without it the
    /// identity itself opens the report. `until` is as requested by default. `reader_key` is "access"
    /// (an access key is made for the reader) or "identity" (the reader's identity opens it).
    ///
    /// Raises NoAccessError for a wrong key and for a request that is not this patient's to answer alike,
    /// TooManyAttemptsError after too many of those, RefusedError.
    #[pyo3(signature = (patient, request, *, access_key = None, until = None,
        reader_key = "access", wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn approve<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        request: &str,
        access_key: Option<KeyArgument>,
        until: Option<TimeArgument>,
        reader_key: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, request) = (self.get()?, parse("request", request)?);
        let until = until.map(|until| until.resolve(ledger.now())).transpose()?;
        let reader_key = self::reader_key(reader_key)?;
        let key = key(access_key.as_ref());
        let done = py
            .detach(|| ledger.approve_with(&patient.0, &request, &key, reader_key, until))
            .map_err(raise)?;
        let record = done.record;
        wait_mined(py, &ledger, record, wait, |block| grants::approved(py, done, None, block))
    }

    /// Refuse a request; returns the id of the record.
    ///
    /// Raises RefusedError for a request that is not this patient's to answer.
    #[pyo3(signature = (patient, request, *, wait = false))]
    fn refuse<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        request: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, request) = (self.get()?, parse("request", request)?);
        let id = py.detach(|| ledger.refuse(&patient.0, &request)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// Permit a reader unasked; returns Approved. Arguments and exceptions as for `approve`.
    ///
    /// `scope` is the id of a report, several ids, or a medledger.Collection: all of the patient's reports at a
    /// hospital, present and future. `reader` is the id of a member, or a medledger.Group, whose members open
    /// with their identities. `delegable` is how many times it may be passed on. An access key opens one report:
    /// all else takes the identity, InvalidArgumentError otherwise.
    #[pyo3(signature = (patient, scope, reader, *, purpose, until, access_key = None,
        reader_key = "access", delegable = 0, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn share<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        scope: ScopeArgument,
        reader: ReaderArgument,
        purpose: &str,
        until: TimeArgument,
        access_key: Option<KeyArgument>,
        reader_key: &str,
        delegable: u8,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let (purpose, until) = (parse("purpose", purpose)?, until.resolve(ledger.now())?);
        let permission = Permission::new(scope.0, reader.0, purpose, until).delegable(delegable);
        let reader_key = self::reader_key(reader_key)?;
        let key = key(access_key.as_ref());
        let done =
            py.detach(|| ledger.share(&patient.0, permission, &key, reader_key)).map_err(raise)?;
        let record = done.record;
        wait_mined(py, &ledger, record, wait, |block| grants::approved(py, done, None, block))
    }

    /// Pass a permission on, where the patient said it may be; returns Approved.
    ///
    /// `holder` is whom the grant names, `access_key` what they open it with. `scope` is a part of what it
    /// covers, `until` an earlier end; by default all of it. It ends with the grant it came from, and the
    /// patient or `holder` can revoke it. Raises RefusedError when it would be wider than the grant.
    #[pyo3(signature = (holder, grant, reader, *, scope = None, until = None, access_key = None,
        reader_key = "access", delegable = 0, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn delegate<'py>(
        &self,
        py: Python<'py>,
        holder: &Identity,
        grant: &str,
        reader: ReaderArgument,
        scope: Option<ScopeArgument>,
        until: Option<TimeArgument>,
        access_key: Option<KeyArgument>,
        reader_key: &str,
        delegable: u8,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, id) = (self.get()?, parse("grant", grant)?);
        let mut delegation = Delegation::to(reader.0);
        delegation.scope = scope.map(|scope| scope.0);
        delegation.until = until.map(|until| until.resolve(ledger.now())).transpose()?;
        delegation.delegate = delegable;
        delegation.reader_key = self::reader_key(reader_key)?;
        let key = key(access_key.as_ref());
        let done =
            py.detach(|| ledger.delegate(&holder.0, &id, &key, delegation)).map_err(raise)?;
        let (record, parent) = (done.record, id.to_string());
        wait_mined(py, &ledger, record, wait, |block| {
            grants::approved(py, done, Some(&parent), block)
        })
    }

    /// Take a permission back; returns the id of the record. Nothing new opens from now on.
    ///
    /// Raises RefusedError when it is somebody else's or revoked already.
    #[pyo3(signature = (patient, grant, *, wait = false))]
    fn revoke<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        grant: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, grant) = (self.get()?, parse("grant", grant)?);
        let id = py.detach(|| ledger.revoke(&patient.0, &grant)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }
}
