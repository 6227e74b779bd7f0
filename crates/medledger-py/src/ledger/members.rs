//! Members: registering them, and their identities.

use super::{Any, Ledger, contact};
use crate::args::parse;
use crate::errors::raise;
use crate::identity::Identity;
use crate::results;
use crate::wait::wait_mined;
use medledger::Role;
use pyo3::prelude::*;

#[pymethods]
impl Ledger {
    /// Register a member who holds their own identity; returns a Registration.
    ///
    /// `hospital` is the hospital's identity. Raises RefusedError, for example when the member is
    /// registered already, and InvalidArgumentError for a name or address that cannot be.
    #[pyo3(signature = (hospital, member, role, name, *, email = None, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn register<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        member: &Identity,
        role: &str,
        name: &str,
        email: Option<&str>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, role) = (self.get()?, parse::<Role>("role", role)?);
        let contact = contact(name, email);
        let done =
            py.detach(|| ledger.register(&hospital.0, &member.0, role, &contact)).map_err(raise)?;
        wait_mined(py, &ledger, done.record, wait, |block| results::registration(py, &done, block))
    }

    /// Make an identity, lock it with `password` into the ledger's folder and register it; returns the
    /// Identity and a Registration.
    ///
    /// Raises as `register` does.
    #[pyo3(signature = (hospital, role, name, password, *, email = None, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn add_member<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        role: &str,
        name: &str,
        password: &str,
        email: Option<&str>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, role) = (self.get()?, parse::<Role>("role", role)?);
        let contact = contact(name, email);
        let (identity, done) = py
            .detach(|| ledger.add_member(&hospital.0, role, &contact, password))
            .map_err(raise)?;
        let identity = Bound::new(py, Identity(identity))?;
        wait_mined(py, &ledger, done.record, wait, |block| {
            let registration = results::registration(py, &done, block)?;
            Ok((&identity, registration).into_pyobject(py)?.into_any())
        })
    }

    /// Unlock the identity of a member whose locked identity lies in the ledger's folder.
    ///
    /// Raises NotFoundError when there is none, WrongPasswordError, DamagedError.
    fn unlock(&self, py: Python<'_>, member: &str, password: &str) -> PyResult<Identity> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        py.detach(|| ledger.unlock(&member, password)).map(Identity).map_err(raise)
    }

    /// Every member, by registration number, as a list of Member.
    fn members<'py>(&self, py: Python<'py>) -> PyResult<Vec<Any<'py>>> {
        let ledger = self.get()?;
        let members = py.detach(|| ledger.members()).map_err(raise)?;
        members.iter().map(|member| results::member(py, member)).collect()
    }
}
