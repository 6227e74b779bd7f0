//! Errors about identity files and keys that change.

use super::grants::approve;
use super::use_cases::{identity, lock};
use super::{file, store, submit, void};
use crate::exit::Failure;
use crate::exit::Fault::{Bug, Refused};
use medledger::{IdentityFileError, SuccessionError};

pub(super) fn identity_file(error: &IdentityFileError) -> Failure {
    match error {
        IdentityFileError::Unlock(error) => identity(error),
        IdentityFileError::Lock(error) => lock(error),
        IdentityFileError::Io { path, source } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn succession(error: &SuccessionError) -> Failure {
    match error {
        SuccessionError::Refused(code) => void(*code, error.to_string()),
        SuccessionError::FormerKeys(_) => Failure::of(Refused, "former_keys", error),
        SuccessionError::Collection(cause) => {
            approve(cause).doing("the collection cannot move to its next key")
        }
        SuccessionError::File(error) => identity_file(error),
        SuccessionError::StillFormer { .. } => Failure::of(Refused, "former_keys_in_use", error)
            .hint("`medledger identity rewrap` wraps them again"),
        SuccessionError::Elsewhere { .. } => Failure::of(Refused, "former_keys_elsewhere", error)
            .hint("rewrap there first, or give --force: what stands to them there does not open any more"),
        SuccessionError::Submit(error) => submit(error),
        SuccessionError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}
