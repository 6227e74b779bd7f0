//! What each kind of record says. Every body is a DAG-CBOR map; names and free text never enter one.

use crate::Cid;
use crate::clock::Timestamp;
use crate::identity::PublicIdentity;
use crate::ids::{AuditHash, BlockId, GrantId, MemberId, RecordId, ReportId, TokenHash};
use crate::keys::{HpkePublicKey, Signature};
use crate::registry::{Custody, Kind, Purpose, Role};
use serde::{Deserialize, Serialize};

/// A hospital registers a member. The author is the hospital.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The new member's public keys; the member id derives from them.
    pub member: PublicIdentity,
    /// What the member may do.
    pub role: Role,
    /// In whose hands the member's secret keys are.
    pub custody: Custody,
    /// The new member's signature, which proves possession of the key being registered.
    pub proof: Signature,
}

/// A patient enrols at a hospital. The author is the patient: nobody adds reports for a patient who
/// did not agree to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// The hospital.
    pub hospital: MemberId,
    /// Epoch of the collection key, from 1.
    pub epoch: u32,
    /// Public half of the collection key, to which every report's key is wrapped.
    pub key: HpkePublicKey,
}

/// A report is added, as version 1 and epoch 1. The author is the doctor or lab that wrote it; its id
/// is [`ReportId::derive`] of author and nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddReport {
    /// Whom the report is about.
    pub patient: MemberId,
    /// The envelope node, as plain bytes: fetching the chain does not drag reports along.
    pub envelope: Cid,
}

/// The author asks to read a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestAccess {
    /// The report.
    pub report: ReportId,
    /// What for.
    pub purpose: Purpose,
    /// Until when access is asked for.
    pub until: Timestamp,
}

/// What a grant covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Scope {
    /// One report, in all its versions.
    Report(ReportId),
}

impl Scope {
    /// The report, where it is one.
    #[must_use]
    pub const fn report(&self) -> Option<ReportId> {
        match self {
            Self::Report(report) => Some(*report),
        }
    }
}

/// Whom a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Grantee {
    /// One member.
    Member(MemberId),
}

/// The patient permits a reader. The author is the patient; the grant's id is [`GrantId::derive`] of
/// author and nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What may be read.
    pub scope: Scope,
    /// Who may read.
    pub reader: Grantee,
    /// What for.
    pub purpose: Purpose,
    /// Until when: the grant is dead at this time.
    pub until: Timestamp,
    /// The hospital that hands the slot out.
    pub custodian: MemberId,
    /// Hash of the token the reader must present; none where the slot is for the reader's identity.
    pub token: Option<TokenHash>,
    /// The request this answers, if it answers one.
    pub request: Option<RecordId>,
}

/// The patient refuses a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// The record that asked.
    pub request: RecordId,
}

/// The patient takes a grant back, also one that has not been seen yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The grant.
    pub grant: GrantId,
}

/// A reader opens a report. Accepted before the slot is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The grant; none when a patient opens their own report.
    pub grant: Option<GrantId>,
    /// The report.
    pub report: ReportId,
    /// Which version of it.
    pub version: u32,
    /// The newest block the reader's side had seen.
    pub head: BlockId,
}

/// A hospital signs how far its local audit log has come. The author is the hospital.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditDigest {
    /// Entries that a digest before this one covers already.
    pub first: u64,
    /// Entries covered, from the first ever.
    pub size: u64,
    /// Hash of the last of them, and with it of all before.
    pub root: AuditHash,
}

/// The body of a record, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// See [`Register`].
    Register(Register),
    /// See [`Enrol`].
    Enrol(Enrol),
    /// See [`AddReport`].
    AddReport(AddReport),
    /// See [`RequestAccess`].
    RequestAccess(RequestAccess),
    /// See [`Grant`].
    Grant(Grant),
    /// See [`Refuse`].
    Refuse(Refuse),
    /// See [`Revoke`].
    Revoke(Revoke),
    /// See [`Read`].
    Read(Read),
    /// See [`AuditDigest`].
    AuditDigest(AuditDigest),
}

impl Body {
    /// The kind that stands beside the body in the record.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Register(_) => Kind::Register,
            Self::Enrol(_) => Kind::Enrol,
            Self::AddReport(_) => Kind::AddReport,
            Self::RequestAccess(_) => Kind::RequestAccess,
            Self::Grant(_) => Kind::Grant,
            Self::Refuse(_) => Kind::Refuse,
            Self::Revoke(_) => Kind::Revoke,
            Self::Read(_) => Kind::Read,
            Self::AuditDigest(_) => Kind::AuditDigest,
        }
    }
}

macro_rules! body_from {
    ($($name:ident),*) => {
        $(impl From<$name> for Body {
            fn from(body: $name) -> Self {
                Self::$name(body)
            }
        })*
    };
}

body_from!(Register, Enrol, AddReport, RequestAccess, Grant, Refuse, Revoke, Read, AuditDigest);
