//! What verifying finds, in words.

use crate::audit::AuditFinding;
use crate::storage::OwedFault;
use medledger_core::Cid;
use medledger_core::chain::HeaderFault;
use medledger_core::ids::{BlockId, GroupId, MemberId, RecordId, ReportId};
use medledger_core::replay::ReplayError;
use medledger_core::store::Drawer;
use medledger_ipfs::fsck::FsckError;

/// Something that is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// On the chain.
    #[error(transparent)]
    Chain(ReplayError),
    /// A header breaks a rule.
    #[error(transparent)]
    Header(HeaderFault),
    /// The records of a block do not lead to the root in its header.
    #[error("the records of block {height} do not lead to its root")]
    Root {
        /// Height of the block.
        height: u64,
    },
    /// An older database was put back.
    #[error(
        "an older database was put back: it ends with block {here}, but block {known} ({id}) was here \
         before"
    )]
    Behind {
        /// Height of the newest block known before.
        known: u64,
        /// Its id.
        id: BlockId,
        /// Height of the newest block here.
        here: u64,
    },
    /// The stored state is not what the blocks lead to.
    #[error("the stored state differs from what the blocks lead to, first at entry {key}")]
    State {
        /// Key of the first entry that differs, in hex.
        key: String,
    },
    /// The log tree does not have the root that the checkpoint signs.
    #[error("the log tree does not have the root that the checkpoint over {size} blocks signs")]
    Checkpoint {
        /// Blocks the checkpoint covers.
        size: u64,
    },
    /// The newest checkpoint is no checkpoint of this chain, or cannot be compared.
    #[error("the checkpoint is not usable: {0}")]
    BadCheckpoint(String),
    /// The newest checkpoint does not cover what this hospital, alone, has mined: an older one was put
    /// in its place, or it was removed.
    #[error(
        "the newest checkpoint covers {size} of {blocks} blocks that this hospital mined alone"
    )]
    OldCheckpoint {
        /// Blocks it covers; 0 when there is none.
        size: u64,
        /// Blocks there are.
        blocks: u64,
    },
    /// A node of the log tree is not what the headers lead to; receipts made from it are worthless.
    #[error("the log tree differs from what the headers lead to, first at node {key}")]
    Tree {
        /// Level and place of the first node that differs, in hex.
        key: String,
    },
    /// What is stored contradicts itself or cannot be read.
    #[error("{0}")]
    Stored(String),
    /// A record is found under what it does not say.
    #[error("record {id} is listed with another {what} than it has")]
    Listed {
        /// The record.
        id: RecordId,
        /// Kind, author, patient, report, time or block.
        what: &'static str,
    },
    /// A record that waits does not bear its author's signature.
    #[error("record {id}, which waits, is not signed by its author")]
    Signature {
        /// The record.
        id: RecordId,
    },
    /// A local row does not open: it was changed or moved, or belongs to another node key.
    #[error("row {key} of drawer {drawer:?} does not open: it was changed or moved")]
    Local {
        /// Which drawer.
        drawer: Drawer,
        /// The row's key, in hex.
        key: String,
    },
    /// A row that is in clear is not what it should be.
    #[error("row {key} of drawer {drawer:?}: {what}")]
    Row {
        /// Which drawer.
        drawer: Drawer,
        /// The row's key, in hex.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// What people call a member of this hospital, and where they are reached, is gone.
    #[error("member {member}: name, address and registration number are missing")]
    NoContact {
        /// The member.
        member: MemberId,
    },
    /// What people call a report that this hospital keeps is gone.
    #[error("report {report}: its label is missing")]
    NoLabel {
        /// The report.
        report: ReportId,
    },
    /// What people call a group of this hospital is gone.
    #[error("group {group}: its name is missing")]
    NoName {
        /// The group.
        group: GroupId,
    },
    /// The mining key here is missing, damaged, or none that the chain knows of this hospital.
    #[error("the mining key here is {what}: the chain knows others of hospital {hospital}")]
    MiningKey {
        /// The hospital.
        hospital: MemberId,
        /// What the key is.
        what: &'static str,
    },
    /// The audit log.
    #[error("{0}")]
    Audit(AuditFinding),
    /// The file of what a node is owed cannot be read: nobody knows how far it is behind.
    #[error(transparent)]
    Owed(OwedFault),
    /// The patient's slot of a report this hospital keeps is gone.
    #[error("report {}: the patient's wrapped key is missing", named(report, label))]
    NoSlot {
        /// The report.
        report: ReportId,
        /// What people call it.
        label: String,
    },
    /// A block of a report's ciphertext is missing.
    #[error("report {}: block {cid} is missing", named(report, label))]
    Missing {
        /// The report.
        report: ReportId,
        /// What people call it.
        label: String,
        /// The block.
        cid: Cid,
    },
    /// A block of a report's ciphertext is not what its CID names.
    #[error("report {}: block {cid} is damaged", named(report, label))]
    Damaged {
        /// The report.
        report: ReportId,
        /// What people call it.
        label: String,
        /// The block.
        cid: Cid,
    },
}

/// What may not be damaged and could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unchecked {
    /// The ciphertext of reports: the store that keeps it does not answer.
    #[error(
        "the ciphertext of {} could not be checked",
        if *.reports == 1 { "one report".to_owned() } else { format!("{} reports", .reports) }
    )]
    Ciphertext {
        /// How many reports.
        reports: u64,
        /// Why.
        source: FsckError,
    },
}

/// A report by its label, and by its id alone where it has none here.
fn named(report: &ReportId, label: &str) -> String {
    if label == report.to_string() { label.to_owned() } else { format!("{report} ({label})") }
}
