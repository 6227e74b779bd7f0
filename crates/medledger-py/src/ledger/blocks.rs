//! The blocks of ciphertext.

use super::{Any, Ledger};
use crate::args::parse;
use crate::errors::{Class, raise};
use crate::{blocks, storage};
use medledger::BlocksError;
use medledger::ipfs::collect::CollectOptions;
use medledger::ipfs::store::Word;
use pyo3::prelude::*;
use std::path::PathBuf;

#[pymethods]
impl Ledger {
    /// What is kept in the store of ciphertext, and why; returns a tuple of Pin.
    fn pins<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let pins = py.detach(|| ledger.pins()).map_err(raise)?;
        blocks::pins(py, &pins)
    }

    /// Keep a root, with all that lies below it, for a reason of somebody's, whatever becomes of its report.
    ///
    /// `reason` is one line of up to 100 bytes. Raises InvalidArgumentError for another, NotFoundError when something
    /// below the root is not here.
    fn keep_blocks(&self, py: Python<'_>, root: &str, reason: &str) -> PyResult<()> {
        let (ledger, root, why) = (self.get()?, parse("root", root)?, word(reason)?);
        py.detach(|| ledger.keep_blocks(&root, why)).map_err(raise)
    }

    /// Take such a reason back; returns whether it was there. What nothing else keeps goes with `collect_blocks`.
    fn release_blocks(&self, py: Python<'_>, root: &str, reason: &str) -> PyResult<bool> {
        let (ledger, root, why) = (self.get()?, parse("root", root)?, word(reason)?);
        py.detach(|| ledger.release_blocks(&root, why)).map_err(raise)
    }

    /// Hash every block again and walk all that is kept; returns BlockCheck, which tells what is wrong.
    fn check_blocks<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let look = || Ok((ledger.check_blocks()?, ledger.unkept_reports()?));
        let (check, unkept) = py.detach(look).map_err(|error: BlocksError| raise(error))?;
        blocks::checked(py, &check, &unkept)
    }

    /// Remove blocks that nothing keeps, such as those of uploads that failed; returns CollectedBlocks.
    ///
    /// `dry_run` only tells what would be removed. Raises DamagedError, and removes nothing, when nodes
    /// that are kept cannot be read; `force` goes on, and removes what hangs on those alone.
    #[pyo3(signature = (*, dry_run = false, force = false))]
    fn collect_blocks<'py>(
        &self,
        py: Python<'py>,
        dry_run: bool,
        force: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let options = if dry_run { CollectOptions::dry_run() } else { CollectOptions::default() };
        let options = if force { options.forced() } else { options };
        let done = py.detach(|| ledger.collect_blocks(options)).map_err(raise)?;
        blocks::collected(py, &done)
    }

    /// Fetch damaged and missing blocks from another store, each verified; returns RepairedBlocks.
    ///
    /// `source` is another ledger's folder, a Kubo repository or a folder of blocks; the URL of a trustless gateway;
    /// "kubo" for the ledger's own node; "sources" for all of them. It is only read.
    fn repair_blocks<'py>(&self, py: Python<'py>, source: PathBuf) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        storage::repair(py, &ledger, source)
    }

    /// How often reading a block of ciphertext was spared by the cache; returns CacheStats.
    fn cache_stats<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        blocks::cache(py, &self.get()?.cache_stats())
    }
}

fn word(text: &str) -> PyResult<Word> {
    Word::new(text).map_err(|error| Class::InvalidArgument.error(format!("reason: {error}")))
}
