//! Several hospitals, each with a folder, on one chain: cards, joining, news.

use super::{Any, Ledger, contact};
use crate::args::{parse, parse_some};
use crate::cars::raise_import;
use crate::data::{Data, Source};
use crate::errors::raise;
use crate::identity::Identity;
use crate::results::Maker;
use crate::wait::wait_mined;
use medledger::core::hospital::Proposal;
use medledger::core::record::HospitalChange;
use medledger::core::vote::Awaited;
use medledger::{Approvals, ChainId, HospitalCard, HospitalOptions, NewsTaken};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
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

    /// Make the folder of `new_hospital` a ledger of the chain in a CAR file, which was founded with its card or has admitted it, and open
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

    /// What the newest blocks wait for before they are final: Awaited, or None when all of them are.
    fn awaited<'py>(&self, py: Python<'py>) -> PyResult<Option<Any<'py>>> {
        let ledger = self.get()?;
        let waits = py.detach(|| ledger.awaited()).map_err(raise)?;
        waits.map(|waits| awaited(py, &waits)).transpose()
    }

    /// The hospitals of the chain: a tuple of Hospital, in order of their ids.
    fn hospitals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let ledger = self.get()?;
        let (now, members) = py
            .detach(|| Ok((ledger.hospitals()?, ledger.members()?)))
            .map_err(|error: medledger::core::store::StoreError| raise(error))?;
        let listed = now.set.hospitals().iter().map(|(id, key)| {
            let member = members.iter().find(|member| member.id == *id);
            Maker::new(py)
                .text("hospital", id)?
                .set("name", member.map_or("", |member| member.contact.name.as_str()))?
                .text("mining_key", key)?
                .set("here", *id == ledger.hospital())?
                .set("votes", now.deciding.contains(id))?
                .make("Hospital")
        });
        PyTuple::new(py, listed.collect::<PyResult<Vec<_>>>()?)
    }

    /// Propose, as a hospital of the chain, to admit the one whose card this is: the `data` of a HospitalCard made for
    /// this chain. Returns Proposal, whose `data` the other hospitals need.
    ///
    /// Raises DamagedError or InvalidArgumentError for a card that will not do, ConflictError for an identity that is no
    /// hospital's of the chain.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn propose_admission<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        card: Data,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let card = HospitalCard::decode(&card).map_err(raise)?;
        let made = py.detach(|| ledger.propose_admission(&hospital.0, &card)).map_err(raise)?;
        proposed(py, &ledger, &made)
    }

    /// Propose, as a hospital of the chain, to expel one. Returns Proposal. Raises ConflictError.
    fn propose_expulsion<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        expelled: &str,
    ) -> PyResult<Any<'py>> {
        let (ledger, expelled) = (self.get()?, parse("expelled", expelled)?);
        let made = py.detach(|| ledger.propose_expulsion(&hospital.0, &expelled)).map_err(raise)?;
        proposed(py, &ledger, &made)
    }

    /// Read a proposal, the `data` of one, and check every approval in it. Returns Proposal.
    ///
    /// Raises DamagedError for bytes that are none, ConflictError for one of other hospitals than the present ones, or
    /// with an approval that does not count.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn read_proposal<'py>(&self, py: Python<'py>, proposal: Data) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        proposed(py, &ledger, &Proposal::decode(&proposal).map_err(raise)?)
    }

    /// Add this hospital's approval to a proposal; returns the new Proposal. Raises as `read_proposal` does.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn approve_proposal<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        proposal: Data,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let proposal = Proposal::decode(&proposal).map_err(raise)?;
        let made = py.detach(|| ledger.approve_proposal(&hospital.0, &proposal)).map_err(raise)?;
        proposed(py, &ledger, &made)
    }

    /// Put a proposal that a quorum has approved on the ledger; to submit it is to approve it. Returns the record's id.
    ///
    /// Raises ConflictError while too few have approved, RefusedError, and as `read_proposal` does.
    #[pyo3(signature = (hospital, proposal, *, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn submit_proposal<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        proposal: Data,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let proposal = Proposal::decode(&proposal).map_err(raise)?;
        let id = py.detach(|| ledger.submit_proposal(&hospital.0, &proposal)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }
}

fn proposed<'py>(
    py: Python<'py>,
    ledger: &medledger::Ledger,
    proposal: &Proposal,
) -> PyResult<Any<'py>> {
    let Approvals { approved, needed } =
        py.detach(|| ledger.check_proposal(proposal)).map_err(raise)?;
    let approved: Vec<String> = approved.iter().map(ToString::to_string).collect();
    let change = match &proposal.change {
        HospitalChange::Admit(_) => "admit",
        HospitalChange::Expel(_) => "expel",
    };
    Maker::new(py)
        .set("change", change)?
        .text("hospital", proposal.change.hospital())?
        .set("name", proposal.name.as_str())?
        .set("approved", PyTuple::new(py, &approved)?)?
        .set("needed", needed)?
        .set("data", PyBytes::new(py, &proposal.encode()))?
        .make("Proposal")
}

fn card_of<'py>(py: Python<'py>, card: &HospitalCard) -> PyResult<Any<'py>> {
    Maker::new(py)
        .text("hospital", card.application.id())?
        .set("name", card.name.as_str())?
        .set("chain", card.application.chain().map(ToString::to_string))?
        .set("data", PyBytes::new(py, &card.encode()))?
        .make("HospitalCard")
}

fn awaited<'py>(py: Python<'py>, waits: &Awaited) -> PyResult<Any<'py>> {
    let (kind, missing, of) = match waits {
        Awaited::Blocks { missing, of, .. } => ("blocks", *missing, of.as_slice()),
        Awaited::Votes(_) => ("votes", 0, &[][..]),
        Awaited::Cosignatures(_) => ("cosignatures", 0, &[][..]),
        _ => ("unknown", 0, &[][..]),
    };
    Maker::new(py)
        .set("kind", kind)?
        .set("height", waits.target().height)?
        .set("missing", missing)?
        .set("hospitals", PyTuple::new(py, of.iter().map(ToString::to_string))?)?
        .text("reason", waits)?
        .make("Awaited")
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
