//! Errors of hospitals among themselves.

use super::{FETCH_AGAIN, OTHER_CHAIN, hinted, identity, open, store, submit};
use crate::exit::Failure;
use crate::exit::Fault::{Bug, Damaged, Environment, NotFound, Refused, Usage};
use medledger::core::hospital::{ApplicationError, ProposalError};
use medledger::core::news::NewsError as DecodeError;
use medledger::{HospitalChangeError, HospitalError, NewsError};

pub(super) fn hospital(error: &HospitalError) -> Failure {
    match error {
        HospitalError::NoHospital(_) => Failure::of(NotFound, "no_hospital", error)
            .hint("`medledger hospital new` makes the folder of one"),
        HospitalError::Open(error) => open(error),
        HospitalError::Identity(error) => identity(error),
        HospitalError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

/// A card that was read from a file.
pub(super) fn card(error: &ApplicationError) -> Failure {
    match error {
        ApplicationError::UnknownVersion { .. } => {
            hinted(Failure::of(Environment, "update_needed", error))
        }
        _ => Failure::of(Usage, "card", error)
            .hint("`medledger hospital new` and `hospital card` write the files that are needed"),
    }
}

pub(super) fn change(error: &HospitalChangeError) -> Failure {
    match error {
        HospitalChangeError::NotAHospital(_) => Failure::of(Refused, "no_hospital", error),
        HospitalChangeError::Proposal(error) => proposal(error),
        HospitalChangeError::TooFew { .. } => Failure::of(Refused, "too_few_approvals", error)
            .hint("`medledger hospital approve` adds another hospital's approval"),
        HospitalChangeError::Submit(error) => submit(error),
        HospitalChangeError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn proposal(error: &ProposalError) -> Failure {
    match error {
        ProposalError::UnknownVersion { .. } => {
            hinted(Failure::of(Environment, "update_needed", error))
        }
        ProposalError::Malformed(_) => Failure::of(Usage, "not_a_proposal", error)
            .hint("`medledger hospital propose` writes the file that is needed"),
        ProposalError::OtherChain { .. } => {
            Failure::of(Refused, "other_chain", error).hint(OTHER_CHAIN)
        }
        ProposalError::OtherSet => Failure::of(Refused, "other_set", error),
        ProposalError::Application(error) => card(error),
        ProposalError::Approval(_) => Failure::of(Refused, "approval", error),
        ProposalError::Differs => Failure::of(Usage, "other_proposal", error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn news(error: &NewsError) -> Failure {
    match error {
        NewsError::Decode(DecodeError::UnknownVersion { .. }) => {
            hinted(Failure::of(Environment, "update_needed", error))
        }
        NewsError::Decode(DecodeError::Damaged(_)) => {
            Failure::of(Damaged, "news", error).hint(FETCH_AGAIN)
        }
        NewsError::Decode(_) => Failure::of(Usage, "not_news", error)
            .hint("`medledger export news` writes the file that is needed"),
        NewsError::OtherChain { .. } => {
            Failure::of(Refused, "other_chain", error).hint(OTHER_CHAIN)
        }
        NewsError::Checkpoint(_) => Failure::of(Refused, "checkpoint", error).hint(
            "hospitals signed two histories: `medledger checkpoint evidence` shows what is known",
        ),
        NewsError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}
