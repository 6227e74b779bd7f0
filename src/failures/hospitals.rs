//! Errors of hospitals among themselves.

use super::{hinted, identity, open, store};
use crate::exit::Failure;
use crate::exit::Fault::{Bug, Environment, NotFound, Refused, Usage};
use medledger::core::hospital::ApplicationError;
use medledger::core::news::NewsError as DecodeError;
use medledger::{HospitalError, NewsError};

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

pub(super) fn news(error: &NewsError) -> Failure {
    match error {
        NewsError::Decode(DecodeError::UnknownVersion { .. }) => {
            hinted(Failure::of(Environment, "update_needed", error))
        }
        NewsError::Decode(_) => Failure::of(Usage, "not_news", error)
            .hint("`medledger export news` writes the file that is needed"),
        NewsError::OtherChain { .. } => Failure::of(Refused, "other_chain", error),
        NewsError::Checkpoint(_) => Failure::of(Refused, "checkpoint", error).hint(
            "hospitals signed two histories: `medledger checkpoint evidence` shows what is known",
        ),
        NewsError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}
