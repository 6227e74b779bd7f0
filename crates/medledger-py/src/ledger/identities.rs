//! Members' own keys: files and passwords, keys that succeed others, keys that were lost.

use super::{Any, Ledger};
use crate::args::parse;
use crate::errors::raise;
use crate::identity::Identity;
use crate::results::Maker;
use crate::wait::wait_mined;
use medledger::Succession;
use medledger::core::identity::LockedInfo;
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

    /// Wrap to a reader's present keys what stands here to former ones; returns how many. Interrupted and run again,
    /// it goes on with the rest. Raises RefusedError for keys that are not the member's present ones.
    fn rewrap(&self, py: Python<'_>, identity: &Identity) -> PyResult<u64> {
        let ledger = self.get()?;
        py.detach(|| ledger.rewrap(&identity.0)).map_err(raise)
    }

    /// Lock an identity into its file without its former keys, and return it. Only after `rewrap`. With `anyway`,
    /// whatever other hospitals may keep: what stands to the former keys there does not open any more.
    ///
    /// Raises ConflictError while something still stands to them, here or perhaps elsewhere.
    #[pyo3(signature = (identity, password, *, anyway = false))]
    fn forget_former_keys(
        &self,
        py: Python<'_>,
        identity: &Identity,
        password: &str,
        anyway: bool,
    ) -> PyResult<Identity> {
        let ledger = self.get()?;
        let done = py.detach(|| match anyway {
            true => ledger.forget_former_keys_anyway(&identity.0, password),
            false => ledger.forget_former_keys(&identity.0, password),
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
    (identity, Succession { member, record, collections, elsewhere }): (
        medledger::Identity,
        Succession,
    ),
    wait: bool,
) -> PyResult<Any<'py>> {
    let identity = Bound::new(py, Identity(identity))?;
    let texts = |ids: &[medledger::MemberId]| ids.iter().map(ToString::to_string).collect();
    let (collections, elsewhere): (Vec<String>, Vec<String>) =
        (texts(&collections), texts(&elsewhere));
    wait_mined(py, ledger, record, wait, |block| {
        let succession = Maker::new(py)
            .text("member", member)?
            .text("record", record)?
            .set("collections", PyTuple::new(py, &collections)?)?
            .set("elsewhere", PyTuple::new(py, &elsewhere)?)?
            .set("block", block)?
            .make("Succession")?;
        Ok((&identity, succession).into_pyobject(py)?.into_any())
    })
}
