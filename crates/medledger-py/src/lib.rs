//! The private half of the Python module `medledger`: classes and functions over the service. The
//! public half, in `python/medledger`, has the exceptions and the results as Python classes.
#![forbid(unsafe_code)]

mod args;
mod blocks;
mod cars;
mod data;
mod errors;
mod grants;
mod identity;
mod ledger;
mod many;
mod report;
mod results;
mod rotation;
mod sealing;
mod simulate;
mod storage;
mod wait;

use crate::data::Data;
use crate::errors::raise;
use medledger::core::receipt::Receipt;
use pyo3::prelude::*;

/// Check a receipt, in either form, against the id of a chain, offline; returns Proven.
///
/// Raises ReceiptError, whose `reason` says why, when it proves nothing about this chain, UpdateNeededError when it was written by
/// a later version.
#[pyfunction]
#[pyo3(signature = (data, *, chain))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
fn check_receipt<'py>(py: Python<'py>, data: Data, chain: &str) -> PyResult<Bound<'py, PyAny>> {
    let chain = args::parse("chain", chain)?;
    let proven = py.detach(|| Receipt::from_bytes(&data)?.check(&chain)).map_err(raise)?;
    results::proven(py, &proven)
}

/// The module `medledger._medledger`.
#[pymodule(gil_used = false)]
mod _medledger {
    use medledger::ipfs::unixfs::Profile;
    use medledger::{Purpose, Role};
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    #[pymodule_export]
    use super::check_receipt;
    #[pymodule_export]
    use crate::identity::{AccessKey, Identity};
    #[pymodule_export]
    use crate::ledger::Ledger;
    #[pymodule_export]
    use crate::report::RawReport;
    #[pymodule_export]
    use crate::sealing::{cid, seal, unseal};
    #[pymodule_export]
    use crate::simulate::simulate;
    #[pymodule_export]
    use crate::storage::check_kubo;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("RECEIPT_VERIFIER", medledger::RECEIPT_VERIFIER)?;
        module.add("ROLES", PyTuple::new(py, Role::ALL.iter().map(|role| role.name()))?)?;
        module.add(
            "PURPOSES",
            PyTuple::new(py, Purpose::ALL.iter().map(|purpose| purpose.name()))?,
        )?;
        module.add("PROFILES", PyTuple::new(py, Profile::names().collect::<Vec<_>>())?)
    }
}
