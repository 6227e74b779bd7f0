//! Who may read: requests, grants and what becomes of them.

use crate::cbor::Reader;
use crate::clock::Timestamp;
use crate::ids::{BlockId, GrantId, GroupId, MemberId, RecordId, ReportId, TokenHash};
use crate::registry::{Purpose, limit};
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One report, in all its versions.
    Report(ReportId),
    /// Several reports, each in all its versions.
    Reports(ReportList),
    /// The patient's collection at this hospital: all reports there, present and future.
    Collection(MemberId),
}

impl From<ReportId> for Scope {
    fn from(report: ReportId) -> Self {
        Self::Report(report)
    }
}

impl From<ReportList> for Scope {
    fn from(reports: ReportList) -> Self {
        Self::Reports(reports)
    }
}

impl Scope {
    /// One report or a collection, in its canonical bytes.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match (reader.map()?, reader.text()?) {
            (1, "report") => Self::Report(ReportId::from_bytes(reader.array()?)),
            (1, "collection") => Self::Collection(MemberId::from_bytes(reader.array()?)),
            _ => return None,
        })
    }

    /// The report, where it is one.
    #[must_use]
    pub const fn report(&self) -> Option<ReportId> {
        match self {
            Self::Report(report) => Some(*report),
            Self::Reports(_) | Self::Collection(_) => None,
        }
    }

    /// The reports it names one by one; none where it covers a collection.
    #[must_use]
    pub fn reports(&self) -> &[ReportId] {
        match self {
            Self::Report(report) => std::slice::from_ref(report),
            Self::Reports(list) => list.as_slice(),
            Self::Collection(_) => &[],
        }
    }
}

/// Two reports or more, in ascending order, none of them twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ReportId>", into = "Vec<ReportId>")]
pub struct ReportList(Vec<ReportId>);

/// Reports that make no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportListError {
    /// Too few or too many.
    #[error("a list names 2 to {most} reports, found {0}", most = limit::GRANT_REPORTS)]
    Count(usize),
    /// Not in ascending order, or one of them twice.
    #[error("report {0} of the list is not above the one before it")]
    Order(usize),
}

impl ReportList {
    /// The list of these reports, in any order.
    ///
    /// # Errors
    /// See [`ReportListError`].
    pub fn new(mut reports: Vec<ReportId>) -> Result<Self, ReportListError> {
        reports.sort_unstable();
        Self::try_from(reports)
    }

    /// The reports, in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[ReportId] {
        &self.0
    }
}

impl TryFrom<Vec<ReportId>> for ReportList {
    type Error = ReportListError;

    /// The order is part of the bytes: a list in another one is none.
    fn try_from(reports: Vec<ReportId>) -> Result<Self, ReportListError> {
        if !(2..=limit::GRANT_REPORTS).contains(&reports.len()) {
            return Err(ReportListError::Count(reports.len()));
        }
        match reports.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(at) => Err(ReportListError::Order(at + 1)),
            None => Ok(Self(reports)),
        }
    }
}

impl From<ReportList> for Vec<ReportId> {
    fn from(list: ReportList) -> Self {
        list.0
    }
}

/// Whom a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grantee {
    /// One member.
    Member(MemberId),
    /// The members of a group, a role at a hospital being one: now and later.
    Group(GroupAt),
}

impl Grantee {
    /// A grantee in its canonical bytes.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match (reader.map()?, reader.text()?) {
            (1, "member") => Self::Member(MemberId::from_bytes(reader.array()?)),
            (1, "group") => {
                Some(reader.map()?).filter(|entries| *entries == 2)?;
                let epoch = reader.key("epoch")?.small()?;
                let group = GroupId::from_bytes(reader.key("group")?.array()?);
                Self::Group(GroupAt { group, epoch })
            }
            _ => return None,
        })
    }
}

/// A group by the key it has at one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupAt {
    /// The group.
    pub group: GroupId,
    /// Epoch of the group key to which the grant's slots are wrapped.
    pub epoch: u32,
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
    /// How many times it may be passed on, each time by the one who received it; 0 is left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delegate: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(crate) const fn is_zero(times: &u8) -> bool {
    *times == 0
}

/// A reader passes a grant on, never wider than it is. The author is the member whom the grant names;
/// the new grant's id is [`GrantId::derive`] of author and nonce. Purpose and custodian stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegate {
    /// The grant that is passed on.
    pub grant: GrantId,
    /// What may be read.
    pub scope: Scope,
    /// Who may read.
    pub reader: Grantee,
    /// Until when.
    pub until: Timestamp,
    /// Hash of the token the reader must present; none where the slot is for the reader's identity.
    pub token: Option<TokenHash>,
    /// How many times it may be passed on further; 0 is left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delegate: u8,
}

/// The patient refuses a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// The record that asked.
    pub request: RecordId,
}

/// The patient takes a grant back, also one that has not been seen yet; or a reader one they passed on. On
/// anybody else's grant it has no effect, whichever of the two comes first.
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
