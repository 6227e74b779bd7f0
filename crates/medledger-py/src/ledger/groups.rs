//! Groups of readers.

use super::{Any, Ledger};
use crate::args::parse;
use crate::errors::raise;
use crate::grants::{self, ReaderArgument};
use crate::identity::Identity;
use medledger::Role;
use pyo3::prelude::*;

#[pymethods]
impl Ledger {
    /// Every group, as a list of Group.
    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Vec<Any<'py>>> {
        grants::groups(py, self.get()?.as_ref())
    }

    /// Make a group of doctors and nurses; returns Group. Its name stays here.
    ///
    /// Raises InvalidArgumentError for a name that cannot be, RefusedError for members who do not read.
    #[pyo3(signature = (hospital, name, members, *, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn create_group<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        name: &str,
        members: Vec<String>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        grants::create(py, ledger.as_ref(), &hospital.0, Ok((name, &members)), wait)
    }

    /// Make the group of everyone of a role at the hospital, now and later; returns Group.
    ///
    /// Raises RefusedError when there is one already, or the role does not read.
    #[pyo3(signature = (hospital, role, *, wait = false))]
    fn create_role_group<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        role: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, role) = (self.get()?, parse::<Role>("role", role)?);
        grants::create(py, ledger.as_ref(), &hospital.0, Err(role), wait)
    }

    /// Let members join and leave a group; returns Group as it is then.
    ///
    /// Who leaves is refused what was granted to the group; with `fresh` it gets a new key though nobody leaves.
    #[pyo3(signature = (hospital, group, *, join = Vec::new(), leave = Vec::new(), fresh = false, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn change_group<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        group: ReaderArgument,
        join: Vec<String>,
        leave: Vec<String>,
        fresh: bool,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let changes = (&join[..], &leave[..], fresh);
        grants::change(py, ledger.as_ref(), &hospital.0, &group.0, changes, wait)
    }

    /// Give each of the hospital's groups that is stale a next key, for all members whose keys are not suspended;
    /// returns these groups as they are then, as a list of Group.
    #[pyo3(signature = (hospital, *, wait = false))]
    fn renew_stale_groups<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        wait: bool,
    ) -> PyResult<Vec<Any<'py>>> {
        let ledger = self.get()?;
        let renewed = py.detach(|| ledger.renew_stale_groups(&hospital.0)).map_err(raise)?;
        let renewed = renewed.into_iter();
        renewed
            .map(|(id, record)| grants::changed(py, ledger.as_ref(), &id, record, wait))
            .collect()
    }
}
