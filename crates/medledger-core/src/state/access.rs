//! Who may read what: grants as they reach a reader, by name or through a group.

use super::{
    GrantEntry, GrantStanding, GroupEntry, MemberEntry, ReportEntry, RotationEntry, State, key,
    tail,
};
use crate::clock::Timestamp;
use crate::ids::{GrantId, GroupId, MemberId, RecordId, ReportId};
use crate::record::{Grantee, Scope};
use crate::registry::{Role, limit};
use crate::store::StoreError;

impl State<'_> {
    /// A group of readers.
    ///
    /// # Errors
    /// When the store fails; so for every method of this type.
    pub fn group(&self, id: &GroupId) -> Result<Option<GroupEntry>, StoreError> {
        self.read(&key::group(id))
    }

    /// Every group, in order of id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn groups(&self) -> Result<Vec<(GroupId, GroupEntry)>, StoreError> {
        let rows = self.rows(b"u")?;
        rows.iter().map(|(key, value)| Ok((tail(key)?, super::parse(key, value)?))).collect()
    }

    /// The group of everyone of a role at a hospital, if the hospital made one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn role_group(
        &self,
        hospital: &MemberId,
        role: Role,
    ) -> Result<Option<GroupId>, StoreError> {
        self.read(&key::role_group(hospital, role))
    }

    /// Who was put into a group, in order of id; nobody in one of a role.
    ///
    /// # Errors
    /// When the store fails.
    pub fn listed_members(&self, group: &GroupId) -> Result<Vec<MemberId>, StoreError> {
        let mut prefix = vec![b'v'];
        prefix.extend_from_slice(group.as_bytes());
        self.rows(&prefix)?.iter().map(|(key, _)| tail(key)).collect()
    }

    /// Whether a member belongs to a group now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn belongs(
        &self,
        member: &MemberId,
        entry: &MemberEntry,
        group: &GroupId,
    ) -> Result<bool, StoreError> {
        let Some(found) = self.group(group)? else { return Ok(false) };
        match found.role {
            Some(role) => Ok(entry.role == role && entry.hospital == found.hospital),
            None => Ok(self.0.state(&key::group_member(group, member))?.is_some()),
        }
    }

    /// The groups a member belongs to now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn groups_of(
        &self,
        member: &MemberId,
        entry: &MemberEntry,
    ) -> Result<Vec<GroupId>, StoreError> {
        let mut prefix = vec![b'y'];
        prefix.extend_from_slice(member.as_bytes());
        let rows = self.rows(&prefix)?;
        let mut groups = rows.iter().map(|(key, _)| tail(key)).collect::<Result<Vec<_>, _>>()?;
        groups.extend(self.role_group(&entry.hospital, entry.role)?);
        Ok(groups)
    }

    /// Whether a grant is for this member: by name, or through a group.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_for(
        &self,
        grant: &GrantEntry,
        member: &MemberId,
        entry: &MemberEntry,
    ) -> Result<bool, StoreError> {
        match &grant.reader {
            Grantee::Member(reader) => Ok(reader == member),
            Grantee::Group(at) => self.belongs(member, entry, &at.group),
        }
    }

    /// Whether this member may take a grant back: its patient, or the reader who passed it on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_revocable_by(
        &self,
        grant: &GrantEntry,
        member: &MemberId,
    ) -> Result<bool, StoreError> {
        if grant.patient == *member {
            return Ok(true);
        }
        let Some(parent) = grant.parent else { return Ok(false) };
        let passed_on_by = self.grant(&parent)?.map(|parent| parent.reader);
        Ok(passed_on_by == Some(Grantee::Member(*member)))
    }

    /// What has become of a grant at this time, and of those it was passed on from.
    ///
    /// # Errors
    /// When the store fails.
    pub fn standing(
        &self,
        grant: &GrantEntry,
        now: Timestamp,
    ) -> Result<GrantStanding, StoreError> {
        let mut expired = grant.until <= now;
        let mut revoked = grant.revoked.is_some();
        let mut parent = grant.parent;
        for _ in 0..limit::DELEGATIONS {
            let Some(id) = parent else { break };
            let missing =
                || StoreError::Damaged(format!("grant {id} was passed on, but is missing"));
            let above = self.grant(&id)?.ok_or_else(missing)?;
            expired |= above.until <= now;
            revoked |= above.revoked.is_some();
            parent = above.parent;
        }
        Ok(match (revoked, expired) {
            (true, _) => GrantStanding::Revoked,
            (false, true) => GrantStanding::Expired,
            (false, false) => GrantStanding::Live,
        })
    }

    /// Ids of the grants by which a report reaches a member, by name or through a group, on the report or on
    /// its collection; dead ones included. What it costs does not depend on how many grants there are, only
    /// on how many reach this member here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn grants_reaching(
        &self,
        member: &MemberId,
        entry: &MemberEntry,
        id: &ReportId,
        report: &ReportEntry,
    ) -> Result<Vec<GrantId>, StoreError> {
        let mut found = Vec::new();
        let mut look = |grantee: &[u8; 16]| -> Result<(), StoreError> {
            let on_report = [&b"h"[..], grantee, id.as_bytes()].concat();
            let (patient, hospital) = (report.patient.as_bytes(), report.hospital.as_bytes());
            let on_collection = [&b"k"[..], grantee, patient, hospital].concat();
            for prefix in [on_report, on_collection] {
                for (key, _) in self.rows(&prefix)? {
                    found.push(tail(&key)?);
                }
            }
            Ok(())
        };
        look(member.as_bytes())?;
        for group in self.groups_of(member, entry)? {
            look(group.as_bytes())?;
        }
        Ok(found)
    }

    /// Ids of all grants ever given to a member by name or to a group the member belongs to.
    ///
    /// # Errors
    /// When the store fails.
    pub fn grants_of(
        &self,
        member: &MemberId,
        entry: &MemberEntry,
    ) -> Result<Vec<GrantId>, StoreError> {
        let mut found = Vec::new();
        let groups = self.groups_of(member, entry)?;
        let grantees = groups.iter().map(GroupId::as_bytes);
        for grantee in std::iter::once(member.as_bytes()).chain(grantees) {
            for table in [b"h", b"k"] {
                for (key, _) in self.rows(&[&table[..], grantee].concat())? {
                    found.push(tail(&key)?);
                }
            }
        }
        // One on several reports stands there once for each.
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Ids of all grants on a patient's reports, those passed on and dead ones included.
    ///
    /// # Errors
    /// When the store fails.
    pub fn grants_by(&self, patient: &MemberId) -> Result<Vec<GrantId>, StoreError> {
        let mut prefix = vec![b'l'];
        prefix.extend_from_slice(patient.as_bytes());
        self.rows(&prefix)?.iter().map(|(key, _)| tail(key)).collect()
    }

    /// The rotation of a report that waits for its confirmation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rotation(&self, report: &ReportId) -> Result<Option<RotationEntry>, StoreError> {
        self.read(&key::rotation(report))
    }

    /// The report whose rotation this record asked for, whatever became of it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rotation_of(&self, record: &RecordId) -> Result<Option<ReportId>, StoreError> {
        self.read(&key::rotation_of(record))
    }

    /// The reports whose rotation waits for its confirmation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rotations(&self) -> Result<Vec<ReportId>, StoreError> {
        self.rows(b"t")?.iter().map(|(key, _)| tail(key)).collect()
    }

    /// Whether `scope` lies within what a grant covers.
    pub(super) fn within(&self, scope: &Scope, grant: &GrantEntry) -> Result<bool, StoreError> {
        if let Scope::Collection(_) = scope {
            return Ok(*scope == grant.scope);
        }
        for id in scope.reports() {
            if !self.report(id)?.is_some_and(|report| grant.covers(id, &report)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
