//! Idempotency keys: the same author, key and request get the first answer again; another request
//! under the same key is an error. What was asked is kept only as a digest keyed by the node key.

use crate::ledger::Ledger;
use hmac::{Hmac, Mac};
use medledger_core::cbor;
use medledger_core::ids::MemberId;
use medledger_core::registry::{domain, limit};
use medledger_core::store::{Drawer, StoreError, Unit, View};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::io::Read;

/// Why an idempotency key was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdempotencyError {
    /// The key is empty or too long.
    #[error("an idempotency key has 1 to {max} bytes, found {found}", max = limit::IDEMPOTENCY_KEY_BYTES)]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// The key was used for another request.
    #[error("the idempotency key was used before for another request")]
    Conflict,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The idempotency key of one of several uploads that are asked for under one `key`: made of that, of the
/// upload's place among them (the first is 1) and of its file name. So the whole may be asked for again, by
/// the command and from Python alike, and what was accepted the first time is not added a second time. 64
/// hexadecimal characters, which show no file name.
///
/// # Errors
/// When `key` itself is not one.
///
/// ```
/// let key = medledger::idempotency_key_of_part("monday's scans", 1, "scan.dcm")?;
/// assert_eq!(key, medledger::idempotency_key_of_part("monday's scans", 1, "scan.dcm")?);
/// assert_ne!(key, medledger::idempotency_key_of_part("monday's scans", 2, "scan.dcm")?);
/// # Ok::<(), medledger::IdempotencyError>(())
/// ```
pub fn idempotency_key_of_part(
    key: &str,
    place: u64,
    file_name: &str,
) -> Result<String, IdempotencyError> {
    check(key)?;
    let mut hash = Sha256::new_with_prefix(domain::IDEMPOTENCY_PART);
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(place.to_be_bytes());
    hash.update(file_name);
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

const fn check(key: &str) -> Result<(), IdempotencyError> {
    if key.is_empty() || key.len() > limit::IDEMPOTENCY_KEY_BYTES {
        return Err(IdempotencyError::Length { found: key.len() });
    }
    Ok(())
}

/// One use of an idempotency key, with the digest of what is asked.
#[derive(Clone)]
pub(crate) struct Idempotent {
    row: Vec<u8>,
    request: Hmac<Sha256>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(with = "serde_bytes")]
    request: Vec<u8>,
    #[serde(with = "serde_bytes")]
    answer: Vec<u8>,
}

/// An answer found under the key, with the digest of what it answered.
pub(crate) struct Found<T> {
    request: Vec<u8>,
    answer: T,
}

impl Idempotent {
    pub(crate) fn new(
        ledger: &Ledger,
        author: &MemberId,
        key: &str,
    ) -> Result<Self, IdempotencyError> {
        check(key)?;
        let row = [author.as_bytes(), key.as_bytes()].concat();
        Ok(Self { row, request: ledger.node_key().digest() })
    }

    /// Adds a field; its length goes before it, so that no two lists of fields are alike.
    pub(crate) fn hash_field(&mut self, field: &[u8]) {
        self.request.update(&(field.len() as u64).to_be_bytes());
        self.request.update(field);
    }

    /// Adds bytes of the last field.
    pub(crate) fn hash_bytes(&mut self, bytes: &[u8]) {
        self.request.update(bytes);
    }

    pub(crate) fn hash_all(&mut self, source: &mut dyn Read) -> std::io::Result<()> {
        let mut buffer = zeroize::Zeroizing::new(vec![0; 64 * 1024]);
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.hash_bytes(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The answer given before under this key, to whatever was asked.
    pub(crate) fn remembered<T: Serialize + DeserializeOwned>(
        &self,
        view: &dyn View,
        ledger: &Ledger,
    ) -> Result<Option<Found<T>>, StoreError> {
        let Some(sealed) = view.local(Drawer::Idempotency, &self.row)? else { return Ok(None) };
        let damaged = |error| StoreError::Damaged(format!("idempotency key: {error}"));
        let plain = ledger.node_key().unseal(Drawer::Idempotency, &self.row, &sealed)?;
        let row: Row = cbor::decode(&plain, 64 * 1024).map_err(damaged)?;
        let answer = cbor::decode(&row.answer, 64 * 1024).map_err(damaged)?;
        Ok(Some(Found { request: row.request, answer }))
    }

    /// The answer, if it was to the same request.
    pub(crate) fn matching<T>(&self, found: Found<T>) -> Result<T, IdempotencyError> {
        match self.request.clone().verify_slice(&found.request) {
            Ok(()) => Ok(found.answer),
            Err(_) => Err(IdempotencyError::Conflict),
        }
    }

    /// Takes the key, in the unit of work of what it answers.
    pub(crate) fn remember<T: Serialize>(
        self,
        unit: &mut dyn Unit,
        ledger: &Ledger,
        answer: &T,
    ) -> Result<(), IdempotencyError> {
        // Two uploads under one key at the same time: the first to be accepted takes it.
        if unit.local(Drawer::Idempotency, &self.row)?.is_some() {
            return Err(IdempotencyError::Conflict);
        }
        let row = Row {
            request: self.request.finalize().into_bytes().to_vec(),
            answer: cbor::encode(answer),
        };
        let plain = zeroize::Zeroizing::new(cbor::encode(&row));
        let sealed =
            ledger.node_key().seal(Drawer::Idempotency, &self.row, &plain, &mut ledger.rng());
        Ok(unit.set_local(Drawer::Idempotency, &self.row, Some(&sealed))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_parts_are_as_documented() {
        // Computed with Python's hashlib from what docs/format.md says.
        let expected = "7a5f089b3c0b1f8cea6feb82d9c2bbfd51ee5d8da16de13f15d4da6eda8ba8e2";
        assert_eq!(idempotency_key_of_part("monday's scans", 1, "scan.dcm").unwrap(), expected);
        let long = "x".repeat(limit::IDEMPOTENCY_KEY_BYTES + 1);
        for (key, found) in [("", 0), (&long, long.len())] {
            let refused = idempotency_key_of_part(key, 1, "scan.dcm");
            assert!(matches!(refused, Err(IdempotencyError::Length { found: n }) if n == found));
        }
    }
}
