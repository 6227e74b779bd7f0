//! Who the hospitals are: admission and expulsion.

use crate::hospital::Application;
use crate::ids::{MemberId, SetHash};
use crate::keys::Signature;
use serde::{Deserialize, Serialize};

/// A quorum of hospitals admits a hospital, or expels one. The author is one of them, and approves by being it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admit {
    /// The hospitals that decide: those of this set, as long as it is the newest.
    pub set: SetHash,
    /// What changes.
    pub change: HospitalChange,
    /// What the others of the quorum signed, in ascending order of their ids.
    pub approvals: Vec<Approval>,
}

/// How the set of hospitals changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HospitalChange {
    /// A hospital becomes a member, or is one and has another mining key from then on.
    Admit(Box<Application>),
    /// A hospital is no member any more: its keys sign no block, no vote and no record. It counts among those a
    /// quorum is needed of for its own expulsion.
    Expel(MemberId),
}

impl From<Application> for HospitalChange {
    fn from(application: Application) -> Self {
        Self::Admit(Box::new(application))
    }
}

impl HospitalChange {
    /// The hospital it is about.
    #[must_use]
    pub fn hospital(&self) -> MemberId {
        match self {
            Self::Admit(application) => application.id(),
            Self::Expel(hospital) => *hospital,
        }
    }
}

/// One hospital's consent to one change of one set on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(MemberId, Signature)", into = "(MemberId, Signature)")]
pub struct Approval {
    /// The hospital.
    pub hospital: MemberId,
    /// Signature by its identity.
    pub signature: Signature,
}

impl From<(MemberId, Signature)> for Approval {
    fn from((hospital, signature): (MemberId, Signature)) -> Self {
        Self { hospital, signature }
    }
}

impl From<Approval> for (MemberId, Signature) {
    fn from(Approval { hospital, signature }: Approval) -> Self {
        (hospital, signature)
    }
}
