//! Errors about identity files and keys that change.

use super::grants::approve;
use super::use_cases::{identity, lock};
use super::{file, hinted, store, submit, void};
use crate::exit::Failure;
use crate::exit::Fault::{Bug, Environment, Refused, Usage};
use medledger::{ConsentError, IdentityFileError, SuccessionError};

pub(super) fn identity_file(error: &IdentityFileError) -> Failure {
    match error {
        IdentityFileError::Unlock(error) => identity(error),
        IdentityFileError::Lock(error) => lock(error),
        IdentityFileError::FormerKeys(_) => Failure::of(Refused, "former_keys", error),
        IdentityFileError::Exists(_) => Failure::of(Usage, "file_exists", error)
            .hint("name another file, or make sure that nobody needs this one and remove it"),
        IdentityFileError::NotInForce(_) => Failure::of(Refused, "not_in_force", error)
            .hint("take in what other hospitals have to tell, if keys were replaced there"),
        IdentityFileError::Store(error) => store(error),
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
            .hint(
                "rewrap there, renew the collection there, then name each with --done-at; or give --force: what \
                 stands to them there does not open any more",
            ),
        SuccessionError::NotRenewed(at) => Failure::of(Refused, "collection_not_renewed", error)
            .hint(format!("`medledger collection renew` in the folder of hospital {at} renews it")),
        SuccessionError::Consent(error) => consent(error),
        SuccessionError::Submit(error) => submit(error),
        SuccessionError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn consent(error: &ConsentError) -> Failure {
    match error {
        ConsentError::UnknownVersion { .. } => {
            hinted(Failure::of(Environment, "update_needed", error))
        }
        // What exactly is wrong with its bytes helps nobody who was given the file.
        ConsentError::Malformed(_) => Failure::usage(
            "not_a_consent",
            "the file is no consent to new keys, or was damaged on its way",
        )
        .hint("ask the patient for the file that `medledger identity consent` wrote"),
        ConsentError::OtherChain { .. } => Failure::of(Refused, "other_chain", error),
        ConsentError::OtherMember { .. } => Failure::of(Refused, "other_member", error),
        ConsentError::Used => Failure::of(Refused, "consent_used", error),
        ConsentError::OtherKeys { .. } => Failure::of(Refused, "other_keys", error)
            .hint("the patient consents anew, with a copy of the keys that are suspended now"),
        ConsentError::NotSuspended => Failure::of(Refused, "not_suspended", error)
            .hint("`medledger identity suspend` suspends keys that were lost"),
        ConsentError::Weaker { .. } => Failure::of(Refused, "key_downgrade", error),
        ConsentError::SameKeys => Failure::of(Refused, "same_keys", error),
        ConsentError::NotSigned | ConsentError::NotPossessed => {
            Failure::of(Refused, "consent_not_signed", error)
        }
        _ => Failure::of(Bug, "unknown", error),
    }
}
