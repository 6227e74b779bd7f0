//! Why a receipt proves nothing, in as many words as people can tell apart.

use super::CheckError;
use crate::checkpoint::{FinalityError, VerifyError};
use crate::genesis::GenesisError;
use crate::merkle::ProofError;
use crate::record::RecordError;

/// What kind of failure a [`CheckError`] is. Each has a stable name, which the command, the Python module
/// and the verifier for browsers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is no receipt, or was cut or damaged.
    NotAReceipt,
    /// A later version wrote it.
    UpdateNeeded,
    /// It is about another chain than the one asked about.
    OtherChain,
    /// The configuration in it is not the one the chain began with.
    Genesis,
    /// What should be the record is none.
    NotARecord,
    /// The path from the record cannot be one to a record of a block.
    RecordPath,
    /// The record, its path or the block's header was changed.
    RecordChanged,
    /// It does not prove who the hospitals were.
    Handover,
    /// The block lacks the work the chain demands.
    Work,
    /// No hospital of the chain has signed the block.
    BlockSignature,
    /// What should be the checkpoint is none.
    NotACheckpoint,
    /// A cosignature under the checkpoint is wrong.
    Cosignature,
    /// Fewer hospitals have cosigned than a quorum.
    TooFewCosigners,
    /// The checkpoint does not reach up to the block.
    NotFinal,
    /// The path from the block cannot be one in a log of the checkpoint's size.
    BlockPath,
    /// The block is not in the log of the checkpoint: its path or height was changed.
    NotInLog,
}

impl Reason {
    /// Every reason with its name.
    pub const ALL: [(Self, &str); 16] = [
        (Self::NotAReceipt, "not_a_receipt"),
        (Self::UpdateNeeded, "update_needed"),
        (Self::OtherChain, "other_chain"),
        (Self::Genesis, "genesis"),
        (Self::NotARecord, "not_a_record"),
        (Self::RecordPath, "record_path"),
        (Self::RecordChanged, "record_changed"),
        (Self::Handover, "handover"),
        (Self::Work, "work"),
        (Self::BlockSignature, "block_signature"),
        (Self::NotACheckpoint, "not_a_checkpoint"),
        (Self::Cosignature, "cosignature"),
        (Self::TooFewCosigners, "too_few_cosigners"),
        (Self::NotFinal, "not_final"),
        (Self::BlockPath, "block_path"),
        (Self::NotInLog, "not_in_log"),
    ];

    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl CheckError {
    /// What kind of failure it is.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::UnknownVersion { .. }
            | Self::Genesis(GenesisError::UnknownVersion { .. })
            | Self::Record(
                RecordError::UnknownVersion { .. }
                | RecordError::UnknownKind { .. }
                | RecordError::NotInForce(_),
            ) => Reason::UpdateNeeded,
            Self::Malformed(_) | Self::TlogProof(_) | Self::NoExtra => Reason::NotAReceipt,
            Self::OtherChain { .. }
            | Self::ForeignRecord
            | Self::Checkpoint(FinalityError::OtherChain { .. }) => Reason::OtherChain,
            Self::Genesis(_) | Self::GenesisBlock(_) => Reason::Genesis,
            Self::Handover { .. } | Self::LateHandover { .. } => Reason::Handover,
            Self::Record(RecordError::Malformed(_)) => Reason::NotARecord,
            Self::Descriptor => Reason::RecordPath,
            Self::NotInBlock(ProofError::WrongRoot { .. }) => Reason::RecordChanged,
            Self::NotInBlock(_) => Reason::RecordPath,
            Self::Work => Reason::Work,
            Self::BlockSignature => Reason::BlockSignature,
            Self::Note(_) | Self::Checkpoint(FinalityError::Checkpoint(_)) => {
                Reason::NotACheckpoint
            }
            Self::Checkpoint(FinalityError::Signature(VerifyError::WrongSignature { .. })) => {
                Reason::Cosignature
            }
            Self::Checkpoint(FinalityError::Signature(VerifyError::NoKnownSignature))
            | Self::Checkpoint(FinalityError::TooFew { .. }) => Reason::TooFewCosigners,
            Self::NotFinal { .. } => Reason::NotFinal,
            Self::Size { .. } => Reason::BlockPath,
            Self::NotInLog(ProofError::WrongRoot { .. }) => Reason::NotInLog,
            Self::NotInLog(_) => Reason::BlockPath,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_stand_in_the_order_of_the_reasons() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|(_, name)| *name).collect();
        for (index, (reason, name)) in Reason::ALL.iter().enumerate() {
            assert_eq!((*reason as usize, reason.name()), (index, *name));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
