//! Reports: uploading, opening, and slots for readers elsewhere.

use super::{Any, Ledger};
use crate::args::{KeyArgument, key, parse};
use crate::data::{Data, Source};
use crate::errors::{raise, raise_io};
use crate::identity::Identity;
use crate::many::{self, Asked};
use crate::report::RawReport;
use crate::wait::wait_mined;
use crate::{results, rotation};
use medledger::{UploadError, UploadOptions};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

#[pymethods]
impl Ledger {
    /// Encrypt and store a report about a patient and accept its record; returns Uploaded.
    ///
    /// `source` is a bytes-like object, an os.PathLike or a binary file object, which is read to its end
    /// in constant memory. `file_name` is by default the name of the path. With the same
    /// `idempotency_key` the same request is done once and returns the first result. `wait` waits until
    /// the record is mined.
    ///
    /// Raises RefusedError when the author may not upload for this patient, ConflictError for an
    /// idempotency key used otherwise, InvalidArgumentError, StorageError, ReadOnlyError, and what
    /// reading `source` raises. When only the waiting fails, the exception's `result` is the Uploaded.
    #[pyo3(signature = (author, patient, source, *, file_name = None, media_type = "", note = "",
        idempotency_key = None, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn upload<'py>(
        &self,
        py: Python<'py>,
        author: &Identity,
        patient: &str,
        source: Source,
        file_name: Option<String>,
        media_type: &str,
        note: &str,
        idempotency_key: Option<String>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, patient) = (self.get()?, parse("patient", patient)?);
        let name = file_name.or_else(|| source.file_name()).unwrap_or_default();
        let mut options = UploadOptions::named(name, media_type);
        note.clone_into(&mut options.note);
        options.idempotency_key = idempotency_key;
        let reader = source.reader()?;
        let done = py
            .detach(|| ledger.upload_with(&author.0, &patient, reader, &options))
            .map_err(|error| match error {
                UploadError::Source(error) => raise_io(error),
                other => raise(other),
            })?;
        let record = done.record;
        wait_mined(py, &ledger, record, wait, |block| results::uploaded(py, done, block))
    }

    /// Upload many reports of one author in one call; returns a list of Uploaded, in their order.
    ///
    /// `uploads` is an iterable of pairs of patient and source, as `upload` takes them, or of
    /// medledger.Upload, which says more. Small reports are as fast as large ones so: they are sealed
    /// together, made durable together and accepted together, some hundreds at a time. The iterable is asked
    /// as they go, and files are open only while they are read.
    ///
    /// Each report is accepted or not for itself. If any was not, UploadManyError is raised in the end, and
    /// its `result` is the list, with an exception in each place where something failed; so the keys of the
    /// others are not lost. With `return_exceptions` that list is returned and nothing is raised for them.
    /// Only when the disk or the database fails, all after that fail with it.
    ///
    /// `idempotency_key` makes repeating the whole call harmless: each upload without a key of its own gets
    /// one made of this one, its place and its file name, the same as the command makes. `wait` waits until
    /// all are mined.
    ///
    /// What ends the call before its time (an exception of the iterable, an item of another type, a wait that
    /// fails) is raised as it is, with the list so far as its `result`. Ctrl-C also leaves out what was not
    /// read yet.
    #[pyo3(signature = (author, uploads, *, idempotency_key = None, wait = false,
        return_exceptions = false))]
    fn upload_many<'py>(
        &self,
        py: Python<'py>,
        author: &Identity,
        uploads: &Bound<'py, PyAny>,
        idempotency_key: Option<&str>,
        wait: bool,
        return_exceptions: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let asked = Asked { idempotency_key, wait, return_exceptions };
        many::upload_many(py, self.get()?.as_ref(), &author.0, uploads, &asked)
    }

    /// Open a report, for its patient or for a reader with a live permission; returns OpenedReport, a
    /// binary file. The reading is recorded before anything is decrypted.
    ///
    /// `access_key` is the key this person got, an AccessKey or its text; without it the identity itself
    /// is the key. With `slot`, what its custodian released, the reading is recorded there already.
    ///
    /// Raises AccessError: NoAccessError, TooManyAttemptsError, ExpiredError, RevokedError, NotMinedError.
    /// Raises DamagedError when stored bytes are not what the ledger names.
    #[pyo3(signature = (reader, report, *, access_key = None, slot = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn open_report<'py>(
        &self,
        py: Python<'py>,
        reader: &Identity,
        report: &str,
        access_key: Option<KeyArgument>,
        slot: Option<Data>,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let key = key(access_key.as_ref());
        let opened = py.detach(|| match &slot {
            Some(slot) => ledger.open_released(&reader.0, &report, &key, slot),
            None => ledger.open_report(&reader.0, &report, &key),
        });
        let opened = opened.map_err(raise)?;
        let file = py.import("medledger._report")?.getattr("OpenedReport")?;
        file.call1((RawReport::new(opened),))
    }

    /// The reports a member is party to, as a list of Report.
    fn reports<'py>(&self, py: Python<'py>, member: &str) -> PyResult<Vec<Any<'py>>> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        let reports = py.detach(|| ledger.reports(&member)).map_err(raise)?;
        reports.iter().map(|report| results::report(py, report)).collect()
    }

    /// Ask the custodian of a report for its wrapped key, from a copy of the ledger without it; returns
    /// SlotRequest, whose `data` is to be carried there within 15 minutes.
    #[pyo3(signature = (reader, report, *, access_key = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn ask_for_slot<'py>(
        &self,
        py: Python<'py>,
        reader: &Identity,
        report: &str,
        access_key: Option<KeyArgument>,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let key = key(access_key.as_ref());
        let ask = py.detach(|| ledger.ask_for_slot(&reader.0, &report, &key)).map_err(raise)?;
        rotation::ask(py, &ask)
    }

    /// As the custodian: record the reading, then give the slot, sealed to its reader, for `open_report`.
    ///
    /// Raises NoAccessError, ExpiredError for an old request, DamagedError.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn release_slot<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        request: Data,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let ledger = self.get()?;
        let release = py.detach(|| ledger.release_slot(&hospital.0, &request)).map_err(raise)?;
        Ok(PyBytes::new(py, &release))
    }
}
