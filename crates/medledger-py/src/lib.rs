//! The private half of the Python module `medledger`.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

/// The module `medledger._medledger`.
#[pymodule(gil_used = false)]
mod _medledger {
    /// Version of the library.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
