//! What each kind of record says. Every body is a DAG-CBOR map; names and free text never enter one.

mod access;
mod admit;
mod group;
mod rotation;

pub(crate) use access::is_zero;
pub use access::{
    Delegate, Grant, Grantee, GroupAt, Read, Refuse, ReportList, ReportListError, RequestAccess,
    Revoke, Scope,
};
pub use admit::{Admit, Approval, HospitalChange};
pub use group::Group;
pub use rotation::{Confirm, Rotate};

use crate::Cid;
use crate::cbor::{self, Reader};
use crate::identity::PublicIdentity;
use crate::ids::{AuditHash, MemberId};
use crate::keys::{HpkePublicKey, Signature};
use crate::registry::{Custody, Kind, Role, limit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

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

/// A member's keys are succeeded by new ones. The author is the member; of suspended keys, the registering hospital.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succeed {
    /// Whose keys.
    pub member: MemberId,
    /// The new keys: none of them a present one, and none of a weaker algorithm.
    pub next: PublicIdentity,
    /// Signature by the new signing key, which proves that it is at hand.
    pub proof: Signature,
    /// Signature by the present signing key over the succession, where keys of a patient are suspended and the
    /// hospital is the author; none otherwise.
    pub consent: Option<Signature>,
}

/// A member's keys are suspended: from then on they sign nothing and open nothing. The author is the member or the
/// registering hospital.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// Whose keys.
    pub member: MemberId,
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
/// is [`ReportId::derive`](crate::ids::ReportId::derive) of author and nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddReport {
    /// Whom the report is about.
    pub patient: MemberId,
    /// The envelope node, as plain bytes: fetching the chain does not drag reports along.
    pub envelope: Cid,
    /// Epoch of the patient's collection key to which the report's key is wrapped; 1 is left out.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub collection: u32,
}

/// The first epoch: what a number that is left out means.
pub(crate) const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(crate) const fn is_first(epoch: &u32) -> bool {
    *epoch == 1
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
    /// See [`Succeed`].
    Succeed(Succeed),
    /// See [`Suspend`].
    Suspend(Suspend),
    /// See [`Admit`].
    Admit(Admit),
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
    /// See [`Delegate`].
    Delegate(Delegate),
    /// See [`Read`].
    Read(Read),
    /// See [`Group`].
    Group(Group),
    /// See [`Rotate`].
    Rotate(Rotate),
    /// See [`Confirm`].
    Confirm(Confirm),
    /// See [`AuditDigest`].
    AuditDigest(AuditDigest),
}

impl Body {
    /// The kind that stands beside the body in the record.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Register(_) => Kind::Register,
            Self::Succeed(_) => Kind::Succeed,
            Self::Suspend(_) => Kind::Suspend,
            Self::Admit(_) => Kind::Admit,
            Self::Enrol(_) => Kind::Enrol,
            Self::AddReport(_) => Kind::AddReport,
            Self::RequestAccess(_) => Kind::RequestAccess,
            Self::Grant(_) => Kind::Grant,
            Self::Refuse(_) => Kind::Refuse,
            Self::Revoke(_) => Kind::Revoke,
            Self::Delegate(_) => Kind::Delegate,
            Self::Read(_) => Kind::Read,
            Self::Group(_) => Kind::Group,
            Self::Rotate(_) => Kind::Rotate,
            Self::Confirm(_) => Kind::Confirm,
            Self::AuditDigest(_) => Kind::AuditDigest,
        }
    }
}

impl Body {
    /// The body of this kind in these bytes; `None` where they are not its canonical ones, or the kind is not in force.
    pub(super) fn decode(kind: Kind, bytes: &[u8]) -> Option<Self> {
        fn read<B: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<B> {
            cbor::decode(bytes, limit::RECORD_BYTES).ok()
        }
        Some(match kind {
            Kind::Register => Self::Register(read(bytes)?),
            Kind::Succeed => Self::Succeed(read(bytes)?),
            Kind::Suspend => Self::Suspend(read(bytes)?),
            Kind::Enrol => Self::Enrol(read(bytes)?),
            Kind::AddReport => Self::AddReport(AddReport::read(bytes)?),
            Kind::RequestAccess => Self::RequestAccess(read(bytes)?),
            Kind::Grant => Self::Grant(read(bytes)?),
            Kind::Refuse => Self::Refuse(read(bytes)?),
            Kind::Revoke => Self::Revoke(read(bytes)?),
            Kind::Delegate => Self::Delegate(read(bytes)?),
            Kind::Read => Self::Read(read(bytes)?),
            Kind::Group => Self::Group(read(bytes)?),
            Kind::Rotate => Self::Rotate(read(bytes)?),
            Kind::Confirm => Self::Confirm(read(bytes)?),
            Kind::AuditDigest => Self::AuditDigest(read(bytes)?),
            Kind::Admit => Self::Admit(read(bytes)?),
            _ => return None,
        })
    }
}

impl AddReport {
    /// Most records of a ledger are of this kind.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let entries = reader.map()?;
        let patient = MemberId::from_bytes(reader.key("patient")?.array()?);
        let envelope = Cid::from_bytes(reader.key("envelope")?.bytes()?).ok()?;
        let collection = match entries {
            2 => first(),
            3 => {
                let epoch = u32::try_from(reader.key("collection")?.number()?).ok()?;
                Some(epoch).filter(|epoch| !is_first(epoch))?
            }
            _ => return None,
        };
        reader.end()?;
        Some(Self { patient, envelope, collection })
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

body_from!(Register, Enrol, AddReport, RequestAccess, Grant, Refuse, Revoke, Delegate, Read);
body_from!(Group, Rotate, Confirm, AuditDigest);
body_from!(Succeed, Suspend, Admit);
