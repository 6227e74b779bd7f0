//! Records on their way into blocks, their receipts, and letters.

use super::{Any, Ledger};
use crate::args::{TimeArgument, parse, parse_some};
use crate::errors::{Class, raise};
use crate::results;
use crate::wait::{self, Mining, interruptible};
use medledger::core::receipt::Receipt;
use medledger::core::store::RecordQuery;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

#[pymethods]
impl Ledger {
    /// The records that match, oldest first, as a list of LogEntry. `limit` 0 stands for no limit.
    ///
    /// `since` and `until` are text such as "2026-11-22T14:04:45Z" or aware datetimes: records of `since` or
    /// later, and before `until`.
    #[pyo3(signature = (*, kind = None, author = None, patient = None, report = None, since = None,
        until = None, limit = 0, offset = 0))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn log<'py>(
        &self,
        py: Python<'py>,
        kind: Option<&str>,
        author: Option<&str>,
        patient: Option<&str>,
        report: Option<&str>,
        since: Option<TimeArgument>,
        until: Option<TimeArgument>,
        limit: usize,
        offset: usize,
    ) -> PyResult<Vec<Any<'py>>> {
        let ledger = self.get()?;
        let query = RecordQuery {
            kind: parse_some("kind", kind)?,
            author: parse_some("author", author)?,
            patient: parse_some("patient", patient)?,
            report: parse_some("report", report)?,
            since: since.map(|since| since.resolve(ledger.now())).transpose()?,
            until: until.map(|until| until.resolve(ledger.now())).transpose()?,
            limit,
            offset,
        };
        let entries = py.detach(|| ledger.log(&query)).map_err(raise)?;
        entries.iter().map(|entry| results::log_entry(py, entry)).collect()
    }

    /// Mine one block of waiting records; returns a Block, or None when none waits.
    ///
    /// `empty` makes a block even then. Ctrl-C ends the search; records go on waiting.
    #[pyo3(signature = (*, empty = false))]
    fn mine<'py>(&self, py: Python<'py>, empty: bool) -> PyResult<Option<Any<'py>>> {
        let ledger = self.get()?;
        let mined = interruptible(py, |control| ledger.mine_with(control, empty))?;
        mined.map(|block| results::block(py, &block)).transpose()
    }

    /// Mine whenever a block is due, while other threads use the ledger; returns how many blocks there were.
    ///
    /// A block is due once `records` wait, once they have so many `bytes`, once the oldest was signed `age` seconds ago,
    /// or when this hospital owes the others one. `mined` is called with each Block, and ends it by returning something
    /// true; `timeout` seconds end it, and so does Ctrl-C. Raises what `mined` raises, InvalidArgumentError for a time
    /// that is negative or not finite.
    #[pyo3(signature = (mined = None, *, records = 1000, bytes = 1_048_576, age = 10.0, timeout = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn keep_mining(
        &self,
        py: Python<'_>,
        mined: Option<Py<PyAny>>,
        records: u64,
        bytes: u64,
        age: f64,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        let ledger = self.get()?;
        wait::keep_mining(py, &ledger, &Mining { records, bytes, age, timeout }, mined.as_ref())
    }

    /// Mine until a record is in a block; returns that block's height.
    ///
    /// Raises NotFoundError for an unknown record, RefusedError when it could no longer take effect.
    fn wait(&self, py: Python<'_>, record: &str) -> PyResult<u64> {
        let (ledger, record) = (self.get()?, parse("record", record)?);
        interruptible(py, |control| ledger.wait_mined_with(&record, control))
    }

    /// How far a record has come; returns Progress.
    ///
    /// Its stage is "unknown" for a record this ledger does not have.
    fn progress<'py>(&self, py: Python<'py>, record: &str) -> PyResult<Any<'py>> {
        let (ledger, record) = (self.get()?, parse("record", record)?);
        wait::progress(py, &ledger, &record)
    }

    /// Wait until a record has come to `stage`: "accepted", "mined" or "final"; returns Progress.
    ///
    /// It returns early when the record is refused, and after `timeout` seconds wherever the record stands
    /// then. Nothing is mined here: other threads do, or other processes while the ledger is open for
    /// reading only. Ctrl-C ends it.
    ///
    /// Raises InvalidArgumentError for another stage, or a timeout that is negative or not finite.
    #[pyo3(signature = (record, *, stage = "final", timeout = 60.0))]
    fn wait_for<'py>(
        &self,
        py: Python<'py>,
        record: &str,
        stage: &str,
        timeout: f64,
    ) -> PyResult<Any<'py>> {
        let (ledger, record) = (self.get()?, parse("record", record)?);
        wait::wait_for(py, &ledger, &record, stage, timeout)
    }

    /// How many accepted records wait to be mined.
    fn waiting(&self, py: Python<'_>) -> PyResult<u64> {
        let ledger = self.get()?;
        py.detach(|| ledger.waiting()).map_err(raise)
    }

    /// The receipt of a record: proof, checkable offline, that it is in this chain.
    ///
    /// `format` is "dag-cbor" or "tlog-proof", the text of c2sp.org/tlog-proof. Raises NotFoundError for an
    /// unknown record, ReceiptError when it is not yet final.
    #[pyo3(signature = (record, *, format = "dag-cbor"))]
    fn receipt<'py>(
        &self,
        py: Python<'py>,
        record: &str,
        format: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (ledger, record) = (self.get()?, parse("record", record)?);
        let text = match format {
            "dag-cbor" => false,
            "tlog-proof" => true,
            _ => {
                let text = format!("format must be dag-cbor or tlog-proof, found {format:?}");
                return Err(Class::InvalidArgument.error(text));
            }
        };
        let receipt = py.detach(|| ledger.receipt(&record)).map_err(raise)?;
        let bytes = if text {
            receipt.to_tlog_proof().map_err(raise)?.into_bytes()
        } else {
            Receipt::encode(&receipt)
        };
        Ok(PyBytes::new(py, &bytes))
    }

    /// Try to send every letter that waits; returns MailReport.
    fn send_mail<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let report = py.detach(|| ledger.send_mail()).map_err(raise)?;
        results::mail(py, &report)
    }
}
