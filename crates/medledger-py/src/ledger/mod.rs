//! The class `Ledger`: one method a use case. Its methods lie in the modules by subject.

mod audit;
mod blocks;
mod copies;
mod creation;
mod groups;
mod hospitals;
mod identities;
mod keys;
mod members;
mod permissions;
mod records;
mod reports;
mod storage;

use crate::args::parse;
use crate::cars::raise_import;
use crate::data::{Data, Source};
use crate::errors::{Class, raise};
use creation::Work;
use medledger::Contact;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

type Any<'py> = Bound<'py, PyAny>;

/// A ledger in a folder, open for use.
///
/// One process at a time writes to a folder; others may open it for reading meanwhile. All methods may
/// be called from several threads. Use it in a `with` statement, or call `close`.
#[pyclass(frozen, module = "medledger")]
pub(crate) struct Ledger {
    folder: PathBuf,
    read_only: bool,
    chain: String,
    hospital: String,
    /// None once it is closed. Held for a moment only, never while calling Python or the service.
    open: Mutex<Option<Arc<medledger::Ledger>>>,
}

impl Ledger {
    fn new(ledger: medledger::Ledger, read_only: bool) -> Self {
        Self {
            folder: ledger.folder().to_path_buf(),
            read_only,
            chain: ledger.chain().to_string(),
            hospital: ledger.hospital().to_string(),
            open: Mutex::new(Some(Arc::new(ledger))),
        }
    }

    fn get(&self) -> PyResult<Arc<medledger::Ledger>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| Class::Closed.error("the ledger is closed: open it again"))
    }
}

fn contact(name: &str, email: Option<&str>) -> Contact {
    let contact = Contact::named(name);
    match email {
        Some(email) => contact.with_email(email),
        None => contact,
    }
}

#[pymethods]
impl Ledger {
    /// Make a ledger of one hospital in a folder, which must not exist or be empty, and open it.
    ///
    /// The hospital's identity is saved in the folder, locked with `password`:
    /// `ledger.unlock(ledger.hospital, password)` gives it. `mail` is "none" (access keys are handed to
    /// the caller, once) or "outbox" (letters become .eml files in the folder). `engine` is "work" or "log" (no work).
    ///
    /// `seconds_per_block` sets the difficulty so that this machine takes about so long, 1 by default; `bits` names it
    /// in Bitcoin's compact form. `schedule` says how it goes on: "fixed", "bitcoin" (once in `window` blocks, 2016 by
    /// default) or "asert" (with every block; `half_life` seconds behind plan make blocks twice as easy, 288 spacings by
    /// default). Those aim at `spacing` seconds from one block to the next, by default `seconds_per_block`, and make no
    /// block easier than `floor`, by default 64 times easier than the first.
    ///
    /// `founders` are the `data` of the HospitalCard of each other hospital that founds the chain and then joins it;
    /// `diversity` is how many blocks must lie between two of the same hospital, 0 with fewer than four.
    ///
    /// Raises InvalidArgumentError when the folder is not empty or a value cannot be, DamagedError for bytes that are no
    /// card, StorageError.
    #[staticmethod]
    #[pyo3(signature = (path, *, hospital, password, email = None, mail = "none",
        delivery = None, mail_qr = false, seconds_per_block = None, engine = "work", padding = "padme", bits = None, schedule = "fixed",
        spacing = None, half_life = None, window = None, floor = None, founders = Vec::new(), diversity = 0))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn create(
        py: Python<'_>,
        path: PathBuf,
        hospital: &str,
        password: &str,
        email: Option<&str>,
        mail: &str,
        delivery: Option<&str>,
        mail_qr: bool,
        seconds_per_block: Option<f64>,
        engine: &str,
        padding: &str,
        bits: Option<&str>,
        schedule: &str,
        spacing: Option<u32>,
        half_life: Option<u32>,
        window: Option<u32>,
        floor: Option<&str>,
        founders: Vec<Data>,
        diversity: u32,
    ) -> PyResult<Self> {
        let work =
            Work { engine, seconds_per_block, bits, schedule, spacing, half_life, window, floor };
        let mut options = creation::options(hospital, email, mail, padding, &founders, diversity)?;
        options.settings.delivery = delivery.map(creation::delivery).transpose()?;
        options.settings.mail_qr = mail_qr;
        options.engine = work.engine()?;
        let made = py.detach(|| medledger::Ledger::create(path, options, password));
        made.map(|(ledger, _)| Self::new(ledger, false)).map_err(raise)
    }

    /// Open the ledger in a folder.
    ///
    /// Raises NotFoundError when there is none, InUseError while another process writes to it,
    /// ReadOnlyError when the folder cannot be written, DamagedError, UpdateNeededError, StorageError.
    #[staticmethod]
    #[pyo3(signature = (path, *, read_only = false))]
    fn open(py: Python<'_>, path: PathBuf, read_only: bool) -> PyResult<Self> {
        let opened = py.detach(|| {
            if read_only {
                medledger::Ledger::open_read_only(path)
            } else {
                medledger::Ledger::open(path)
            }
        });
        opened.map(|ledger| Self::new(ledger, read_only)).map_err(raise)
    }

    /// Close the ledger. Calls under way in other threads end first; the folder is free after that.
    fn close(&self, py: Python<'_>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(open));
    }

    fn __enter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        slf.borrow(py).get()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        let closed = if self.closed() { ", closed" } else { "" };
        let mode = if self.read_only { ", for reading" } else { "" };
        format!("<Ledger in {}{mode}{closed}>", self.folder.display())
    }

    /// The folder.
    #[getter]
    fn path(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Id of the chain: whoever knows it can check receipts.
    #[getter]
    fn chain(&self) -> &str {
        &self.chain
    }

    /// Id of the hospital that keeps this folder.
    #[getter]
    fn hospital(&self) -> &str {
        &self.hospital
    }

    /// Whether it was opened for reading only.
    #[getter]
    const fn read_only(&self) -> bool {
        self.read_only
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Make a ledger in a folder, which must not exist or be empty, that follows the chain of a CAR
    /// file, and open it. It takes no records of its own.
    ///
    /// `chain` is the chain's id, from someone you trust. Raises ConflictError when the file holds
    /// another chain, DamagedError when it is not whole or breaks a rule.
    #[staticmethod]
    #[pyo3(signature = (path, source, *, chain))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn follow(py: Python<'_>, path: PathBuf, source: Source, chain: &str) -> PyResult<Self> {
        let chain = parse("chain", chain)?;
        let reader = source.reader()?;
        let made = py.detach(|| medledger::Ledger::follow(path, &chain, reader, &mut |_| {}));
        made.map(|(ledger, _)| Self::new(ledger, false)).map_err(raise_import)
    }

    /// Whether this ledger only follows a chain and takes no records of its own.
    #[getter]
    fn is_follower(&self) -> PyResult<bool> {
        Ok(self.get()?.is_follower())
    }
}
