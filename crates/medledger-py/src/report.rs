//! An opened report, read at places; `medledger._report` makes a file of it.

use crate::errors::{Class, raise, raise_io};
use medledger::OpenedReport;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::io::{Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroize;

/// The plaintext of an opened report, by place. Use medledger.OpenedReport, which is a file.
#[pyclass(frozen, module = "medledger._medledger")]
pub(crate) struct RawReport {
    #[pyo3(get)]
    file_name: String,
    #[pyo3(get)]
    media_type: String,
    #[pyo3(get)]
    note: String,
    #[pyo3(get)]
    length: u64,
    #[pyo3(get)]
    read_record: String,
    #[pyo3(get)]
    grant: Option<String>,
    #[pyo3(get)]
    envelope: String,
    #[pyo3(get)]
    body: String,
    report: Mutex<OpenedReport>,
}

impl RawReport {
    pub(crate) fn new(report: OpenedReport) -> Self {
        let metadata = report.metadata();
        Self {
            file_name: metadata.file_name().to_owned(),
            media_type: metadata.media_type().to_owned(),
            note: metadata.note().to_owned(),
            length: report.len(),
            read_record: report.read_record().to_string(),
            grant: report.grant().map(|id| id.to_string()),
            envelope: report.envelope().to_string(),
            body: report.body().to_string(),
            report: Mutex::new(report),
        }
    }

    fn read(&self, at: u64, out: &mut [u8]) -> std::io::Result<()> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.seek(SeekFrom::Start(at))?;
        if out.is_empty() {
            // At the end a read of a byte proves that it is the end.
            return if at == self.length { report.read(&mut [0]).map(drop) } else { Ok(()) };
        }
        report.read_exact(out)
    }
}

#[pymethods]
impl RawReport {
    /// Up to `size` bytes from `at` on, fewer only at the end.
    fn read_up_to<'py>(
        &self,
        py: Python<'py>,
        at: u64,
        size: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let len = size.min(self.length.saturating_sub(at));
        let len =
            usize::try_from(len).map_err(|_| raise(medledger::core::seal::UnsealError::TooLong))?;
        if at > self.length {
            return Err(Class::InvalidArgument.error("the place is beyond the end"));
        }
        PyBytes::new_with(py, len, |out| {
            // Detached whatever the size: it reads from the disk, and another thread may hold the lock.
            let result = py.detach(|| {
                let result = self.read(at, out);
                if result.is_err() {
                    out.zeroize();
                }
                result
            });
            result.map_err(raise_io)
        })
    }
}
