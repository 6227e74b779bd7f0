//! Members' own keys: files and passwords, keys that succeed others, keys that were lost.

use super::{Any, Ledger};
use crate::args::parse;
use crate::data::Data;
use crate::errors::raise;
use crate::identity::{Identity, consented};
use crate::results::Maker;
use crate::wait::wait_mined;
use medledger::core::identity::LockedInfo;
use medledger::{KeyConsent, Succession};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

#[pymethods]
impl Ledger {
    /// What a member's identity file tells without its password; returns IdentityInfo.
    ///
    /// Raises NotFoundError when there is no such file here, DamagedError, UpdateNeededError.
    fn identity_info<'py>(&self, py: Python<'py>, member: &str) -> PyResult<Any<'py>> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        let info = py.detach(|| ledger.identity_info(&member)).map_err(raise)?;
        told(py, &info)
    }

    /// Lock a member's identity file with the password `new`; the old file stays until the new one is durable.
    /// Returns what became of files with former keys beside it: "none", "locked" with the new password too, or
    /// "other-password" for one that opens with neither.
    ///
    /// Raises WrongPasswordError, NotFoundError, InvalidArgumentError when `new` is empty, StorageError.
    fn change_password(
        &self,
        py: Python<'_>,
        member: &str,
        password: &str,
        new: &str,
    ) -> PyResult<&'static str> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        let done = py.detach(|| ledger.change_password(&member, password, new));
        done.map(medledger::Beside::name).map_err(raise)
    }

    /// Lock a member's identity file anew if that makes a guess at the password dearer, or the file newer; returns
    /// whether it did. Raises as `change_password` does; a password that is not needed is not looked at.
    fn upgrade_identity(&self, py: Python<'_>, member: &str, password: &str) -> PyResult<bool> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        py.detach(|| ledger.upgrade_identity(&member, password)).map_err(raise)
    }

    /// Give a member new keys, locked into the identity file with `password`; returns the new Identity and a
    /// Succession. The former ones stay in the file and open what was wrapped to them, until `forget_former_keys`.
    ///
    /// Raises RefusedError for keys that are not the member's present ones, and for a hospital's;
    /// InvalidArgumentError when the file holds all the former keys it can, or the password is empty.
    #[pyo3(signature = (identity, password, *, wait = false))]
    fn succeed<'py>(
        &self,
        py: Python<'py>,
        identity: &Identity,
        password: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done = py.detach(|| ledger.succeed(&identity.0, password)).map_err(raise)?;
        succeeded(py, &ledger, done, wait)
    }

    /// Suspend keys that were lost, as their member or as the hospital that registered them; returns the id of the
    /// record. They sign nothing and open nothing any more, until others succeed them. Raises RefusedError.
    #[pyo3(signature = (author, member, *, wait = false))]
    fn suspend<'py>(
        &self,
        py: Python<'py>,
        author: &Identity,
        member: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        let id = py.detach(|| ledger.suspend(&author.0, &member)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// As the hospital: give a doctor, nurse or lab whose keys are suspended new ones, locked with `password`; returns
    /// the new Identity and a Succession. What was granted to the lost keys is for the patients to grant again.
    ///
    /// Raises RefusedError for a patient, for keys that are not suspended, and for another hospital's member.
    #[pyo3(signature = (hospital, member, password, *, wait = false))]
    fn replace_keys<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        member: &str,
        password: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        let done =
            py.detach(|| ledger.replace_keys(&hospital.0, &member, password)).map_err(raise)?;
        succeeded(py, &ledger, done, wait)
    }

    /// Read a patient's consent to new keys, the `data` of a KeyConsent, and check all of it as the ledger is now;
    /// returns KeyConsent. Compare its `fingerprint` with what the patient reads out: whoever has the suspended keys can
    /// write a consent, too.
    ///
    /// Raises DamagedError for bytes that are none, ConflictError for one of another chain, one that was used, and one of keys
    /// that were succeeded since; RefusedError where the signatures are not the patient's or the keys are not suspended.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn read_consent<'py>(&self, py: Python<'py>, consent: Data) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let consent = KeyConsent::decode(&consent).map_err(raise)?;
        py.detach(|| ledger.check_consent(&consent.member(), &consent)).map_err(raise)?;
        consented(py, &consent)
    }

    /// As the hospital that registered a patient whose keys are suspended: give the patient the keys of a consent; returns
    /// a Succession. The patient's collections go on with keys of before until the patient renews each: `to_renew`.
    ///
    /// Raises as `read_consent` does, ConflictError for the consent of another member than `member`, and RefusedError
    /// for another hospital's patient.
    #[pyo3(signature = (hospital, member, consent, *, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn replace_with_consent<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        member: &str,
        consent: Data,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        let consent = KeyConsent::decode(&consent).map_err(raise)?;
        let done = py.detach(|| ledger.replace_with_consent(&hospital.0, &member, &consent));
        let succession = done.map_err(raise)?;
        let record = succession.record;
        wait_mined(py, &ledger, record, wait, |block| told_of(py, &succession, block))
    }

    /// Put an identity file that was brought here, as `Identity.lock` writes it, into the ledger's folder, for its member to
    /// act here; returns the Identity. The file that is there stays beside it until `forget_former_keys`.
    ///
    /// Raises WrongPasswordError, DamagedError, and ConflictError for keys that the ledger does not name.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn install_identity(&self, py: Python<'_>, data: Data, password: &str) -> PyResult<Identity> {
        let ledger = self.get()?;
        py.detach(|| ledger.install_identity(&data, password)).map(Identity).map_err(raise)
    }

    /// Wrap to a reader's present keys what stands here to former ones; returns how many. Interrupted and run again,
    /// it goes on with the rest. Raises RefusedError for keys that are not the member's present ones.
    fn rewrap(&self, py: Python<'_>, identity: &Identity) -> PyResult<u64> {
        let ledger = self.get()?;
        py.detach(|| ledger.rewrap(&identity.0)).map_err(raise)
    }

    /// Lock an identity into its file without its former keys, and return it. Only after `rewrap`. `done_at` are the ids of
    /// other hospitals where the member did the same and renewed the collection, which cannot be seen from here. With
    /// `anyway`, whatever they may keep: what stands to the former keys there does not open any more.
    ///
    /// Raises ConflictError while something still stands to them, here or perhaps elsewhere.
    #[pyo3(signature = (identity, password, *, done_at = Vec::new(), anyway = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn forget_former_keys(
        &self,
        py: Python<'_>,
        identity: &Identity,
        password: &str,
        done_at: Vec<String>,
        anyway: bool,
    ) -> PyResult<Identity> {
        let ledger = self.get()?;
        let done_at =
            done_at.iter().map(|id| parse("done_at", id)).collect::<PyResult<Vec<_>>>()?;
        let done = py.detach(|| match anyway {
            true => ledger.forget_former_keys_anyway(&identity.0, password),
            false => ledger.forget_former_keys_done_at(&identity.0, password, &done_at),
        });
        done.map(Identity).map_err(raise)
    }
}

fn told<'py>(py: Python<'py>, info: &LockedInfo) -> PyResult<Any<'py>> {
    let (memory_kib, passes, lanes) = info.params.parts();
    Maker::new(py)
        .text("member", info.id)?
        .set("version", info.version)?
        .text("algorithm", info.public.hpke_key().algorithm())?
        .set("former_keys", info.former)?
        .set("memory_kib", memory_kib)?
        .set("passes", passes)?
        .set("lanes", lanes)?
        .make("IdentityInfo")
}

fn succeeded<'py>(
    py: Python<'py>,
    ledger: &medledger::Ledger,
    (identity, succession): (medledger::Identity, Succession),
    wait: bool,
) -> PyResult<Any<'py>> {
    let identity = Bound::new(py, Identity(identity))?;
    wait_mined(py, ledger, succession.record, wait, |block| {
        let succession = told_of(py, &succession, block)?;
        Ok((&identity, succession).into_pyobject(py)?.into_any())
    })
}

fn told_of<'py>(
    py: Python<'py>,
    succession: &Succession,
    block: Option<u64>,
) -> PyResult<Any<'py>> {
    let Succession { member, record, collections, to_renew, elsewhere } = succession;
    let texts = |ids: &[medledger::MemberId]| {
        PyTuple::new(py, ids.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    Maker::new(py)
        .text("member", member)?
        .text("record", record)?
        .set("collections", texts(collections)?)?
        .set("to_renew", texts(to_renew)?)?
        .set("elsewhere", texts(elsewhere)?)?
        .set("block", block)?
        .make("Succession")
}
