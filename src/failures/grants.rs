//! Errors about who may read: grants, groups, rotations.

use super::use_cases::{
    CHECK_KEY, SUSPENDED, WAITING, envelope, metadata, open_report, seal, slot,
};
use super::{block_store, hinted, io, store, submit, void};
use crate::exit::Failure;
use crate::exit::Fault::{Bug, Damaged, Environment, NotFound, Refused, Usage};
use medledger::core::release::ReleaseError;
use medledger::ipfs::pipeline::PipelineError;
use medledger::{ApproveError, GroupError, ReleaseSlotError, RevokeError, RotateError};

pub(super) fn approve(error: &ApproveError) -> Failure {
    match error {
        ApproveError::NoAccess | ApproveError::WrongKey => {
            Failure::of(Refused, "no_access", error).hint(CHECK_KEY)
        }
        ApproveError::TooMany { .. } => {
            Failure::of(Refused, "too_many_attempts", error).hint(WAITING)
        }
        ApproveError::Suspended(_) => Failure::of(Refused, "suspended", error).hint(SUSPENDED),
        ApproveError::NoKey => Failure::of(Refused, "no_key", error),
        ApproveError::NoSlot => Failure::of(NotFound, "no_slot", error),
        ApproveError::Refused(code) => void(*code, error.to_string()),
        ApproveError::NeedsIdentity => Failure::of(Refused, "needs_identity", error)
            .hint("leave --access-key, --access-key-file and MEDLEDGER_ACCESS_KEY away"),
        ApproveError::SeveralHospitals => Failure::of(Usage, "several_hospitals", error),
        ApproveError::OtherHospital(_) => {
            Failure::of(Refused, "other_hospital", error).hint("run it in that hospital's folder")
        }
        ApproveError::Slot(error) => slot(error),
        ApproveError::Submit(error) => submit(error),
        ApproveError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn revoke(error: &RevokeError) -> Failure {
    match error {
        RevokeError::Collection(cause) => {
            approve(cause).doing("the collection cannot move to its next key")
        }
        RevokeError::Submit(error) => submit(error),
        RevokeError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn rotate(error: &RotateError) -> Failure {
    match error {
        RotateError::Refused(code) => void(*code, error.to_string()),
        RotateError::OtherHospital { .. } => {
            Failure::of(Refused, "other_hospital", error).hint("run it in that hospital's folder")
        }
        RotateError::NotAHospital(_) => Failure::of(Refused, "role_not_allowed", error)
            .hint("the hospital runs it: `medledger rotate confirm --as HOSPITAL`"),
        RotateError::Open(error) => open_report(error),
        RotateError::Seal(PipelineError::Source(error)) => io(error),
        RotateError::Seal(PipelineError::Seal(error)) => seal(error),
        RotateError::Seal(PipelineError::Store(error)) => block_store(error),
        RotateError::Envelope(error) => envelope(error),
        RotateError::Metadata(error) => metadata(error),
        RotateError::Blocks(error) => block_store(error),
        RotateError::Submit(error) => submit(error),
        RotateError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn group(error: &GroupError) -> Failure {
    match error {
        GroupError::Refused(code) => void(*code, error.to_string()),
        GroupError::Suspended(_) => Failure::of(Refused, "member_suspended", error)
            .hint("`medledger identity replace MEMBER` gives them others"),
        GroupError::Name | GroupError::Spaces(_) => Failure::of(Usage, "name", error),
        GroupError::LikeAnId(_) => {
            Failure::of(Usage, "name", error).hint("give it a name with other letters than a to f")
        }
        GroupError::Everyone(_) => Failure::of(Usage, "name", error)
            .hint("`medledger group create --role ROLE` makes that group"),
        GroupError::NameTaken { .. } => Failure::of(Usage, "name_taken", error)
            .hint("give it another name; `medledger group list` shows all"),
        GroupError::Submit(error) => submit(error),
        GroupError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn release_slot(error: &ReleaseSlotError) -> Failure {
    match error {
        ReleaseSlotError::Message(error) => release(error),
        ReleaseSlotError::NoAccess => Failure::of(Refused, "no_access", error),
        ReleaseSlotError::Suspended(_) => Failure::of(Refused, "suspended", error).hint(
            "tell the reader, who asks again with others: the hospital that registered them gives them these with \
             `medledger identity replace`",
        ),
        ReleaseSlotError::TooMany { .. } => {
            Failure::of(Refused, "too_many_attempts", error).hint(WAITING)
        }
        ReleaseSlotError::Stale { .. } => Failure::of(Refused, "stale", error)
            .hint("let the reader ask again: `medledger slot ask REPORT --as READER --to FILE`"),
        ReleaseSlotError::Submit(error) => submit(error),
        ReleaseSlotError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

/// A request for a slot, or a slot that was released.
pub(super) fn release(error: &ReleaseError) -> Failure {
    let (fault, code) = match error {
        ReleaseError::Encoding(_) | ReleaseError::Record(_) | ReleaseError::NotARead => {
            (Damaged, "not_a_message")
        }
        ReleaseError::UnknownVersion { .. } => (Environment, "update_needed"),
        ReleaseError::OtherChain { .. } => (Refused, "other_chain"),
        ReleaseError::NotForYou { .. } => (Refused, "not_for_you"),
        ReleaseError::NotOpened => (Refused, "wrong_key"),
        ReleaseError::NotSigned => (Refused, "not_signed"),
        _ => (Bug, "unknown"),
    };
    hinted(Failure::of(fault, code, error))
}
