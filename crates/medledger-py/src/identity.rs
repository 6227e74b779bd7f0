//! Secrets that Python holds: identities and access keys.

use crate::args::parse;
use crate::data::Data;
use crate::errors::{Class, raise};
use crate::results::Maker;
use medledger::KeyConsent;
use medledger::core::identity::{self, LockParams};
use medledger::core::rand_core::UnwrapErr;
use medledger::qr;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A member's secret keys. Never shown; lock it to keep it.
#[pyclass(frozen, module = "medledger")]
pub(crate) struct Identity(pub(crate) medledger::Identity);

#[pymethods]
impl Identity {
    /// A fresh identity, known to no ledger yet: see Ledger.register.
    #[staticmethod]
    fn generate() -> Self {
        Self(medledger::Identity::generate(&mut UnwrapErr(getrandom::SysRng)))
    }

    /// Unlock what `lock` made.
    ///
    /// Raises WrongPasswordError, or DamagedError when the bytes are no locked identity.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn unlock(py: Python<'_>, data: Data, password: &str) -> PyResult<Self> {
        py.detach(|| identity::unlock(&data, password)).map(Self).map_err(raise)
    }

    /// The identity locked with a password (Argon2id), to be kept in a file.
    ///
    /// Raises InvalidArgumentError for an empty password.
    fn lock<'py>(&self, py: Python<'py>, password: &str) -> PyResult<Bound<'py, PyBytes>> {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let locked = py
            .detach(|| identity::lock(&self.0, password, &LockParams::default(), &mut rng))
            .map_err(raise)?;
        Ok(PyBytes::new(py, &locked))
    }

    /// As a patient whose keys are suspended, where nobody else is: fresh keys for the same member, and the consent of
    /// these keys to them; returns the new Identity and KeyConsent. Lock the new one into a file before the consent, its
    /// `data`, goes to the hospital that registered the patient: `Ledger.replace_with_consent`.
    ///
    /// Raises InvalidArgumentError when the identity holds all the former keys it can.
    fn consent_to_next<'py>(
        &self,
        py: Python<'py>,
        chain: &str,
    ) -> PyResult<(Self, Bound<'py, PyAny>)> {
        let chain = parse("chain", chain)?;
        let made = self.0.consent_to_next(&chain, &mut UnwrapErr(getrandom::SysRng));
        let (next, consent) =
            made.map_err(|error| Class::InvalidArgument.error(error.to_string()))?;
        Ok((Self(next), consented(py, &consent)?))
    }

    /// The member's id, for life.
    #[getter]
    fn id(&self) -> String {
        self.0.id().to_string()
    }

    fn __repr__(&self) -> String {
        format!("Identity('{}')", self.0.id())
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.id().hash(&mut hasher);
        hasher.finish()
    }
}

/// A consent, as Python sees it.
pub(crate) fn consented<'py>(py: Python<'py>, consent: &KeyConsent) -> PyResult<Bound<'py, PyAny>> {
    Maker::new(py)
        .text("member", consent.member())?
        .text("chain", consent.chain())?
        .set("fingerprint", consent.next().fingerprint().to_groups())?
        .set("data", PyBytes::new(py, &consent.encode()))?
        .make("KeyConsent")
}

/// What opens one person's copy of a report's key: 16 secret bytes on paper or in a mail.
#[pyclass(frozen, module = "medledger")]
pub(crate) struct AccessKey(pub(crate) medledger::AccessKey);

#[pymethods]
impl AccessKey {
    /// Read the text form: 28 letters and digits in groups, or 32 hexadecimal characters.
    ///
    /// Raises InvalidArgumentError, which says which character is wrong but shows none.
    #[staticmethod]
    fn from_text(text: &str) -> PyResult<Self> {
        medledger::AccessKey::from_text(text)
            .map(Self)
            .map_err(|error| Class::InvalidArgument.error(error.to_string()))
    }

    /// The text form, to be printed or mailed. Secret.
    #[getter]
    fn text(&self) -> String {
        self.0.to_text().to_string()
    }

    /// The key as a picture of a QR code: "png" or "svg". The picture is the key: keep it as you keep the key.
    ///
    /// Raises InvalidArgumentError for another format.
    #[pyo3(signature = (format = "png"))]
    fn qr<'py>(&self, py: Python<'py>, format: &str) -> PyResult<Bound<'py, PyBytes>> {
        match format {
            "png" => Ok(PyBytes::new(py, &qr::png(&self.0))),
            "svg" => Ok(PyBytes::new(py, qr::svg(&self.0).as_bytes())),
            other => {
                Err(Class::InvalidArgument
                    .error(format!("unknown format {other:?}: one of png, svg")))
            }
        }
    }

    #[expect(clippy::unused_self, reason = "shows nothing of it")]
    fn __repr__(&self) -> &'static str {
        "<AccessKey>"
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Keys are compared in constant time, so they are no keys of a dictionary.
    #[classattr]
    const __hash__: Option<Py<PyAny>> = None;
}
