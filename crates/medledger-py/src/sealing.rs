//! What needs no ledger: `seal`, `unseal`, `cid`.

use crate::data::{Data, Source, detached};
use crate::errors::{Class, raise, raise_io, wrong_key_length};
use medledger::Threads;
use medledger::core::dek::Dek;
use medledger::core::rand_core::UnwrapErr;
use medledger::core::seal::{
    SealError, UnsealError, plain_len, seal_stream, sealed_len, unseal_stream,
};
use medledger::ipfs::Processor;
use medledger::ipfs::unixfs::{Profile, cid_of_with};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use zeroize::{Zeroize, Zeroizing};

/// A key of 16 bytes or 32 hexadecimal characters.
pub(crate) struct Key(Dek);

impl<'py> FromPyObject<'_, 'py> for Key {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let mut bytes = Zeroizing::new([0; Dek::LEN]);
        if let Ok(text) = object.cast::<PyString>() {
            let text = text.to_str()?;
            if text.len() != 2 * Dek::LEN || !text.is_ascii() {
                return Err(wrong_key_length(text.chars().count()));
            }
            for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
                let digit = |c: u8| char::from(c).to_digit(16);
                let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                    return Err(Class::InvalidArgument
                        .error("a key in text has 32 hexadecimal characters: 0-9 and a-f"));
                };
                *byte = (high << 4 | low) as u8;
            }
        } else {
            let data: Data = object.extract()?;
            if data.len() != Dek::LEN {
                return Err(wrong_key_length(data.len()));
            }
            bytes.copy_from_slice(&data);
        }
        Ok(Self(Dek::from_bytes(*bytes)))
    }
}

/// Encrypt bytes under a key and bind them to a context.
///
/// The format is Cobblestone-128 (c2sp.org/chunked-encryption). `key` is 16 bytes or 32 hexadecimal
/// characters; `context` says what the bytes are for and must be given again to open them. The result
/// is new every time.
///
/// Raises InvalidArgumentError for a key of another length.
#[pyfunction]
#[pyo3(signature = (data, *, key, context = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn seal<'py>(
    py: Python<'py>,
    data: Data,
    key: Key,
    context: Option<Data>,
) -> PyResult<Bound<'py, PyBytes>> {
    let context = context.as_deref().unwrap_or_default();
    let len = sealed_len(data.len() as u64).and_then(|len| usize::try_from(len).ok());
    let len = len.ok_or_else(|| raise(SealError::TooLong))?;
    PyBytes::new_with(py, len, |out| {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let sealed =
            detached(py, data.len(), || seal_stream(&key.0, context, &data[..], out, &mut rng));
        sealed.map(drop).map_err(raise)
    })
}

/// Decrypt what `seal` made, with the same key and context.
///
/// Raises WrongKeyError for another key or context, DamagedError for changed or cut bytes; nothing of
/// the plaintext is released then.
#[pyfunction]
#[pyo3(signature = (data, *, key, context = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn unseal<'py>(
    py: Python<'py>,
    data: Data,
    key: Key,
    context: Option<Data>,
) -> PyResult<Bound<'py, PyBytes>> {
    let context = context.as_deref().unwrap_or_default();
    let len = plain_len(data.len() as u64).map_err(raise)?;
    let len = usize::try_from(len).map_err(|_| raise(UnsealError::TooLong))?;
    PyBytes::new_with(py, len, |out| {
        let result = detached(py, data.len(), || {
            let result = unseal_stream(&key.0, context, &data[..], &mut out[..]);
            if result.is_err() {
                out.zeroize();
            }
            result
        });
        result.map(drop).map_err(raise)
    })
}

/// The CID that IPFS gives to a file with these bytes.
///
/// `source` is a bytes-like object, an os.PathLike or a binary file object, which is read to its end in
/// constant memory. A CID is not the SHA-256 of the file.
///
/// Raises InvalidArgumentError for an unknown profile, and what reading the file raises.
#[pyfunction]
#[pyo3(signature = (source, *, profile = "unixfs-v1-2025"))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn cid(py: Python<'_>, source: Source, profile: &str) -> PyResult<String> {
    let profile: Profile = profile.parse().map_err(|_| {
        let known: Vec<_> = Profile::names().collect();
        Class::InvalidArgument
            .error(format!("unknown profile {profile:?}: one of {}", known.join(", ")))
    })?;
    let mut reader = source.reader()?;
    let threads = Threads::default();
    let processor = Processor::new(&threads);
    let root = detached(py, source.known_len(), || cid_of_with(&mut reader, profile, &processor));
    Ok(root.map_err(raise_io)?.cid.to_string())
}
