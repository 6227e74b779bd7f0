//! Several hospitals, each with a folder, on one chain: cards, joining, news.

use super::{Any, Ledger, contact};
use crate::args::{parse, parse_some};
use crate::cars::raise_import;
use crate::data::{Data, Source};
use crate::errors::raise;
use crate::results::Maker;
use medledger::{ChainId, HospitalCard, HospitalOptions, NewsTaken};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;

#[pymethods]
impl Ledger {
    /// Make a hospital's keys in a folder of its own, which must not exist or be empty; returns HospitalCard, whose
    /// `data` the founder of the chain needs. The folder is no ledger until it joins one: see `join`.
    ///
    /// Raises InvalidArgumentError when the folder is not empty or a value cannot be, StorageError.
    #[staticmethod]
    #[pyo3(signature = (path, *, hospital, password, email = None))]
    fn new_hospital<'py>(
        py: Python<'py>,
        path: PathBuf,
        hospital: &str,
        password: &str,
        email: Option<&str>,
    ) -> PyResult<Any<'py>> {
        let mut options = HospitalOptions::new(hospital);
        options.hospital = contact(hospital, email);
        let made = py.detach(|| medledger::Ledger::new_hospital(path, &options, password));
        let (card, _) = made.map_err(raise)?;
        card_of(py, &card)
    }

    /// The card of the hospital in a folder, for founding a chain, or for the one named; returns HospitalCard. It holds
    /// public keys only; the password is that of the hospital's identity, which signs it.
    ///
    /// Raises NotFoundError when the folder is that of no hospital, WrongPasswordError, DamagedError.
    #[staticmethod]
    #[pyo3(signature = (path, *, password, chain = None))]
    fn hospital_card<'py>(
        py: Python<'py>,
        path: PathBuf,
        password: &str,
        chain: Option<&str>,
    ) -> PyResult<Any<'py>> {
        let chain: Option<ChainId> = parse_some("chain", chain)?;
        let card = py.detach(|| medledger::Ledger::hospital_card(path, chain, password));
        card_of(py, &card.map_err(raise)?)
    }

    /// Make the folder of `new_hospital` a ledger of the chain in a CAR file, which was founded with its card, and open
    /// it. `chain` is the chain's id, from someone you trust.
    ///
    /// Raises ConflictError when the file holds another chain, the hospital is not on it, or the folder joined one
    /// before; DamagedError when the file is not whole or breaks a rule. The folder is as it was then.
    #[staticmethod]
    #[pyo3(signature = (path, source, *, chain))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn join(py: Python<'_>, path: PathBuf, source: Source, chain: &str) -> PyResult<Self> {
        let chain = parse("chain", chain)?;
        let reader = source.reader()?;
        let made = py.detach(|| medledger::Ledger::join(path, &chain, reader, &mut |_| {}));
        made.map(|(ledger, _)| Self::new(ledger, false)).map_err(raise_import)
    }

    /// What this hospital has to tell the others beside its blocks: records that wait, and votes. It votes first.
    fn export_news<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let ledger = self.get()?;
        let news = py.detach(|| ledger.export_news()).map_err(raise)?;
        Ok(PyBytes::new(py, &news))
    }

    /// Take in what another hospital tells, each record and each vote judged on its own, then vote; returns
    /// HeardNews.
    ///
    /// Raises DamagedError for bytes that are no news, ConflictError for those of another chain, and when hospitals
    /// signed two histories, which is kept as evidence; UpdateNeededError.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn import_news<'py>(&self, py: Python<'py>, news: Data) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let taken = py.detach(|| ledger.import_news(&news)).map_err(raise)?;
        heard(py, &taken)
    }
}

fn card_of<'py>(py: Python<'py>, card: &HospitalCard) -> PyResult<Any<'py>> {
    Maker::new(py)
        .text("hospital", card.application.id())?
        .set("name", card.name.as_str())?
        .set("chain", card.application.chain().map(ToString::to_string))?
        .set("data", PyBytes::new(py, &card.encode()))?
        .make("HospitalCard")
}

fn heard<'py>(py: Python<'py>, taken: &NewsTaken) -> PyResult<Any<'py>> {
    Maker::new(py)
        .set("records", taken.records)?
        .set("refused", taken.refused)?
        .set("votes", taken.votes)?
        .set("ignored", taken.ignored)?
        .set("votes_cast", taken.voted.votes)?
        .set("cosigned", taken.voted.cosigned)?
        .set("finalized", taken.voted.finalized)?
        .make("HeardNews")
}
