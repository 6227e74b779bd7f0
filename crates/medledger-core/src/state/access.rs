//! Who may read what: grants as they reach a reader, by name or through a group.

use super::{
    GrantEntry, GrantStanding, GroupEntry, MemberEntry, ReportEntry, RotationEntry, State, key,
    tail,
};
use crate::clock::Timestamp;
use crate::ids::{GrantId, GroupId, LossHash, MemberId, RecordId, ReportId};
use crate::record::{Grantee, Scope};
use crate::registry::{Role, limit};
use crate::store::{Row, StoreError};

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

    /// The losses of keys among a group's members so far: suspensions of whoever was in it then, and members put into
    /// it while their keys were suspended. None if there was none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn losses(&self, id: &GroupId, group: &GroupEntry) -> Result<Option<LossHash>, StoreError> {
        self.read(&match group.role {
            Some(role) => key::role_losses(&group.hospital, role),
            None => key::group_losses(id),
        })
    }

    /// The losses of keys among everyone of a role at a hospital so far.
    ///
    /// # Errors
    /// When the store fails.
    pub fn losses_of_role(
        &self,
        hospital: &MemberId,
        role: Role,
    ) -> Result<Option<LossHash>, StoreError> {
        self.read(&key::role_losses(hospital, role))
    }

    /// Whether a member's keys were lost that may have the group's present key, or lead to it: nothing is to be wrapped
    /// to that any more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_stale(&self, id: &GroupId, group: &GroupEntry) -> Result<bool, StoreError> {
        Ok(self.losses(id, group)? != group.losses)
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
        let put_in = [&b"y"[..], member.as_bytes()].concat();
        let of_role = key::role_group(&entry.hospital, entry.role);
        let rows = self.0.state_scans(&[&put_in, &of_role])?;
        let group = |(key, value): &Row| match key.first() {
            Some(b'y') => tail(key).map(Some),
            // That of another role may have a name that begins like this one's.
            _ if *key == of_role => super::parse(key, value).map(Some),
            _ => Ok(None),
        };
        rows.iter().filter_map(|row| group(row).transpose()).collect()
    }

    /// The groups a member was put into: not that of their role.
    pub(super) fn listed_groups_of(&self, member: &MemberId) -> Result<Vec<GroupId>, StoreError> {
        let prefix = [&b"y"[..], member.as_bytes()].concat();
        self.rows(&prefix)?.iter().map(|(key, _)| tail(key)).collect()
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

    /// The grants by which a report reaches a member, by name or through a group, on the report or on its collection;
    /// dead ones included. What it costs does not depend on how many grants there are, only on how many reach this
    /// member here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn grants_reaching(
        &self,
        member: &MemberId,
        entry: &MemberEntry,
        id: &ReportId,
        report: &ReportEntry,
    ) -> Result<Vec<(GrantId, GrantEntry)>, StoreError> {
        let groups = self.groups_of(member, entry)?;
        let grantees =
            std::iter::once(member.as_bytes()).chain(groups.iter().map(GroupId::as_bytes));
        let (patient, hospital) = (report.patient.as_bytes(), report.hospital.as_bytes());
        let places = grantees.flat_map(|grantee| {
            let on_report = [&b"h"[..], grantee, id.as_bytes()].concat();
            [on_report, [&b"k"[..], grantee, patient, hospital].concat()]
        });
        self.grants_under(&places.collect::<Vec<_>>())
    }

    /// All grants ever given to a member by name or to a group the member belongs to, in order of id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn grants_of(
        &self,
        member: &MemberId,
        entry: &MemberEntry,
    ) -> Result<Vec<(GrantId, GrantEntry)>, StoreError> {
        let groups = self.groups_of(member, entry)?;
        let grantees =
            std::iter::once(member.as_bytes()).chain(groups.iter().map(GroupId::as_bytes));
        let places =
            grantees.flat_map(|grantee| [b"h", b"k"].map(|table| [table, &grantee[..]].concat()));
        let mut found = self.grants_under(&places.collect::<Vec<_>>())?;
        // One on several reports is led to once from each.
        found.sort_unstable_by_key(|(id, _)| *id);
        found.dedup_by_key(|(id, _)| *id);
        Ok(found)
    }

    /// All grants on a patient's reports, those passed on and dead ones included.
    ///
    /// # Errors
    /// When the store fails.
    pub fn grants_by(&self, patient: &MemberId) -> Result<Vec<(GrantId, GrantEntry)>, StoreError> {
        self.grants_under(&[[&b"l"[..], patient.as_bytes()].concat()])
    }

    /// The grants named by the keys that begin with one of these.
    fn grants_under(&self, places: &[Vec<u8>]) -> Result<Vec<(GrantId, GrantEntry)>, StoreError> {
        let places: Vec<_> = places.iter().map(Vec::as_slice).collect();
        let found = self.0.state_led_to(&places, b'g', GrantId::LEN)?;
        found.iter().map(|(key, bytes)| Ok((tail(key)?, super::read_grant(key, bytes)?))).collect()
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
