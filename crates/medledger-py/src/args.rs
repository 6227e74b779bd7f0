//! Arguments as Python writes them: ids, keys, times and codes as text.

use crate::errors::Class;
use crate::identity::AccessKey;
use medledger::core::clock::Timestamp;
use medledger::parse_time;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::fmt::Display;
use std::str::FromStr;

/// An id or a code from its text.
pub(crate) fn parse<T>(what: &str, text: &str) -> PyResult<T>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| Class::InvalidArgument.error(format!("{what}: {error}")))
}

/// As [`parse`], of what may be absent.
pub(crate) fn parse_some<T>(what: &str, text: Option<&str>) -> PyResult<Option<T>>
where
    T: FromStr,
    T::Err: Display,
{
    text.map(|text| parse(what, text)).transpose()
}

/// An access key as an object or as people type it; without one the identity itself is the key.
pub(crate) enum KeyArgument {
    Object(Py<AccessKey>),
    Typed(medledger::AccessKey),
}

impl<'py> FromPyObject<'_, 'py> for KeyArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(key) = object.cast::<AccessKey>() {
            return Ok(Self::Object(key.to_owned().unbind()));
        }
        match object.cast::<PyString>() {
            Ok(text) => medledger::AccessKey::from_text(text.to_str()?)
                .map(Self::Typed)
                .map_err(|error| Class::InvalidArgument.error(error.to_string())),
            // Never with the value: it may be a key.
            Err(_) => Err(PyTypeError::new_err("an access key is an AccessKey or its text")),
        }
    }
}

/// What unwraps a report's key.
pub(crate) fn key(argument: Option<&KeyArgument>) -> medledger::Key<'_> {
    match argument {
        None => medledger::Key::Identity,
        Some(KeyArgument::Object(key)) => medledger::Key::Access(&key.get().0),
        Some(KeyArgument::Typed(key)) => medledger::Key::Access(key),
    }
}

/// A time: text as `30d` or RFC 3339, an aware `datetime`, or a `timedelta` from now on.
pub(crate) enum TimeArgument {
    At(Timestamp),
    In(u64),
    Text(String),
}

impl<'py> FromPyObject<'_, 'py> for TimeArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let datetime = object.py().import("datetime")?;
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self::Text(text.to_str()?.to_owned()));
        }
        if object.is_instance(&datetime.getattr("datetime")?)? {
            if object.call_method0("utcoffset")?.is_none() {
                return Err(Class::InvalidArgument.error(
                    "a datetime without time zone is ambiguous: add one, such as datetime.timezone.utc",
                ));
            }
            let seconds = seconds(&object.call_method0("timestamp")?)?;
            return Ok(Self::At(Timestamp::from_secs(seconds)));
        }
        if object.is_instance(&datetime.getattr("timedelta")?)? {
            return Ok(Self::In(seconds(&object.call_method0("total_seconds")?)?));
        }
        Err(PyTypeError::new_err(
            "a time is text such as '30d' or '2026-11-22T14:04:45Z', an aware datetime or a timedelta",
        ))
    }
}

/// Whole seconds, down.
fn seconds(number: &Bound<'_, PyAny>) -> PyResult<u64> {
    let floor = number.py().import("math")?.call_method1("floor", (number,))?;
    floor
        .extract()
        .map_err(|_| Class::InvalidArgument.error("a time must not be before 1970 or in the past"))
}

impl TimeArgument {
    /// The time meant, `now` being the present one.
    pub(crate) fn resolve(&self, now: Timestamp) -> PyResult<Timestamp> {
        match self {
            Self::At(time) => Ok(*time),
            Self::In(seconds) => Ok(now.plus(*seconds)),
            Self::Text(text) => parse_time(text, now)
                .map_err(|error| Class::InvalidArgument.error(error.to_string())),
        }
    }
}
