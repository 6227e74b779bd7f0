//! Whole copies: verified, backed up, cut short, written to files and read from them.

use super::{Any, Ledger};
use crate::args::parse;
use crate::cars::{Target, raise_import};
use crate::data::Source;
use crate::errors::raise;
use crate::results;
use medledger::VerifyDepth;
use pyo3::prelude::*;
use std::path::PathBuf;

#[pymethods]
impl Ledger {
    /// Check this copy from its first block on; returns VerifyReport, whose findings tell what is wrong.
    ///
    /// Without `full`, only headers and the roots in them; with it, the chain is replayed with every signature,
    /// and the ciphertext of every report hashed.
    #[pyo3(signature = (*, full = true))]
    fn verify<'py>(&self, py: Python<'py>, full: bool) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let depth = if full { VerifyDepth::Full } else { VerifyDepth::Headers };
        let report = py.detach(|| ledger.verify(depth)).map_err(raise)?;
        results::verified(py, &report)
    }

    /// Copy the ledger into a folder that is empty or not there, while it may be written to; returns Backup.
    ///
    /// The node key is not in it: keep it elsewhere. Raises StorageError and leaves nothing when it fails.
    fn backup<'py>(&self, py: Python<'py>, to: PathBuf) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done = py.detach(|| ledger.backup(to, &mut |_, _| {})).map_err(raise)?;
        results::backup(py, &done)
    }

    /// Drop the records of final blocks but of the newest `keep` ones, for good; returns Pruned.
    ///
    /// Headers, the state, and own records with what their receipts need stay. After that the chain can no longer
    /// be replayed or exported from here. A hospital that is alone on its chain says with `only_copy` that it keeps a whole
    /// copy elsewhere. Raises InvalidArgumentError when `keep` is less than 10, ConflictError without `only_copy`.
    #[pyo3(signature = (*, keep, only_copy = false))]
    fn prune<'py>(&self, py: Python<'py>, keep: u64, only_copy: bool) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done = py.detach(|| match only_copy {
            true => ledger.prune_only_copy(keep),
            false => ledger.prune(keep),
        });
        let done = done.map_err(raise)?;
        results::pruned(py, &done)
    }

    /// Write a report's ciphertext as a CAR file; it opens only with a key and a permission.
    ///
    /// `target` is an os.PathLike or a binary file object. Returns Exported. Raises NotFoundError for
    /// an unknown report, DamagedError when its blocks are not whole.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn export_report<'py>(
        &self,
        py: Python<'py>,
        report: &str,
        target: Target,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let done = py.detach(|| target.write(|out| ledger.export_report(&report, out)))?;
        results::exported(py, &done)
    }

    /// Write the chain as a CAR file: every block and record, and the newest checkpoint; with
    /// `reports` also the ciphertext of every report.
    ///
    /// `target` is an os.PathLike or a binary file object. Returns Exported.
    #[pyo3(signature = (target, *, reports = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn export_chain<'py>(
        &self,
        py: Python<'py>,
        target: Target,
        reports: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done =
            py.detach(|| target.write(|out| ledger.export_chain(out, reports, &mut |_, _| {})))?;
        results::exported(py, &done)
    }

    /// Bring back a report's missing or damaged blocks from its CAR file; returns ImportedReports.
    ///
    /// Every block is verified, and only reports on this ledger are taken: NotFoundError otherwise.
    /// Raises DamagedError when the file is not whole; nothing of it counts then.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn import_report<'py>(&self, py: Python<'py>, source: Source) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let reader = source.reader()?;
        let done = py.detach(|| ledger.import_report(reader, &mut |_| {})).map_err(raise_import)?;
        results::imported_reports(py, &done)
    }

    /// Add the blocks of a chain's CAR file that go on from this ledger's newest one; returns
    /// ImportedChain.
    ///
    /// Each block is judged by this ledger's own rules. Raises ConflictError when the file holds another
    /// chain or one that parts from this one, DamagedError when it is not whole or breaks a rule.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn import_chain<'py>(&self, py: Python<'py>, source: Source) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let reader = source.reader()?;
        let done = py.detach(|| ledger.import_chain(reader, &mut |_| {})).map_err(raise_import)?;
        results::imported_chain(py, &done)
    }
}
