//! Why a receipt proves nothing, with an exit code for each reason; checkpoints and evidence.

use super::{Bug, Damaged, Environment, NotFound, OTHER_CHAIN, Refused, Usage, hinted, store};
use crate::exit::Failure;
use medledger::CheckEvidenceError;
use medledger::core::checkpoint::{EvidenceError, FinalityError};
use medledger::core::finality::CompareError;
use medledger::core::receipt::{CheckError, Reason};

/// Exit code and meaning of every reason; an update needed is the environment's fault, as everywhere.
pub(crate) const RECEIPT_EXITS: [(Reason, u8, &str); 15] = [
    (Reason::NotAReceipt, 10, "no receipt, or cut or damaged on its way"),
    (Reason::OtherChain, 11, "about another chain than the one asked about"),
    (Reason::Genesis, 12, "the chain's configuration in it was changed"),
    (Reason::NotARecord, 13, "what should be the record is none"),
    (Reason::RecordPath, 14, "the path from the record to the block is wrong"),
    (Reason::RecordChanged, 15, "the record, or what ties it to its block, was changed"),
    (Reason::Handover, 24, "it does not show who the hospitals were"),
    (Reason::Work, 16, "the block lacks the work the chain demands"),
    (Reason::BlockSignature, 17, "no hospital of the chain signed the block"),
    (Reason::NotACheckpoint, 18, "what should be the checkpoint is none"),
    (Reason::Cosignature, 19, "a hospital's signature under the checkpoint is wrong"),
    (Reason::TooFewCosigners, 20, "too few hospitals have cosigned the checkpoint"),
    (Reason::NotFinal, 21, "not final yet: the checkpoint does not reach the block"),
    (Reason::BlockPath, 22, "the path from the block to the log is wrong"),
    (Reason::NotInLog, 23, "the block is not in the log that was signed"),
];

/// A receipt that proves nothing, whatever the reason, is a check that found something.
pub(super) fn check(error: &CheckError) -> Failure {
    let reason = error.reason();
    let Some((_, exit, _)) = RECEIPT_EXITS.iter().find(|(known, ..)| *known == reason) else {
        return hinted(Failure::of(Environment, reason.name(), error));
    };
    let failure = Failure::of(Damaged, reason.name(), error).exiting(*exit);
    match reason {
        Reason::NotFinal => failure.hint("ask for a receipt again when the block is final"),
        Reason::OtherChain => failure.hint("compare the chain's id with that of someone you trust"),
        _ => failure,
    }
}

/// A checkpoint that could not be compared with the chain here.
pub(super) fn compare(error: &CompareError) -> Failure {
    match error {
        CompareError::Note(_) | CompareError::Checkpoint(FinalityError::Checkpoint(_)) => {
            let text = format!("this is no signed checkpoint: {}", root_of(error));
            Failure::new(Usage, "not_a_checkpoint", text)
                .hint("`medledger checkpoint show --output FILE` writes the file that is needed")
        }
        CompareError::Checkpoint(FinalityError::OtherChain { .. }) => {
            Failure::of(Refused, "other_chain", error).hint(OTHER_CHAIN)
        }
        CompareError::Checkpoint(_) | CompareError::Empty => {
            Failure::of(Refused, "checkpoint", error)
        }
        CompareError::None => Failure::of(NotFound, "no_checkpoint", error),
        CompareError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

/// What the innermost of an error and those below it says.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut below = error;
    while let Some(next) = below.source() {
        below = next;
    }
    below.to_string()
}

/// Evidence that is kept here was checked before: what does not hold now is damaged.
pub(super) fn evidence(error: &CheckEvidenceError) -> Failure {
    match error {
        CheckEvidenceError::Evidence(error @ EvidenceError::UnknownVersion { .. }) => {
            hinted(Failure::of(Environment, "update_needed", error))
        }
        CheckEvidenceError::Evidence(error) => hinted(Failure::of(Damaged, "damaged", error)),
        CheckEvidenceError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Fault;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_but_an_update_has_an_exit_code_of_its_own() {
        for (reason, name) in Reason::ALL {
            let known = RECEIPT_EXITS.iter().any(|(known, ..)| *known == reason);
            assert_eq!(known, reason != Reason::UpdateNeeded, "{name}");
        }
        let codes: BTreeSet<u8> = RECEIPT_EXITS.iter().map(|row| row.1).collect();
        assert_eq!(codes.len(), RECEIPT_EXITS.len());
        assert!(Fault::TABLE.iter().all(|(_, code, ..)| !codes.contains(code)));
    }
}
