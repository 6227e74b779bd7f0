//! Groups of readers and the epochs of their keys.

use super::{ApplyError, Fold, Outcome, key};
use crate::ids::GroupId;
use crate::record::Group;
use crate::registry::{Role, VoidCode, limit};
use crate::state::GroupEntry;

impl Fold<'_> {
    pub(super) fn group(&mut self, body: &Group) -> Outcome {
        self.author_is(self.author.role == Role::Hospital)?;
        let (id, role) = match body.group {
            None => (self.new_group(body)?, body.role),
            Some(id) => (id, self.changed_group(&id, body)?),
        };
        self.members(&id, role, body)?;
        let entry = GroupEntry {
            hospital: self.author_id(),
            role,
            epoch: body.epoch,
            key: body.key.clone(),
            height: self.at.height,
        };
        self.set(key::group(&id), &entry);
        Ok(())
    }

    fn new_group(&mut self, body: &Group) -> Result<GroupId, ApplyError> {
        let hospital = self.author_id();
        let id = GroupId::derive(&hospital, &self.record.record().nonce);
        if self.state.group(&id)?.is_some() {
            return Err(VoidCode::GroupExists.into());
        }
        if body.epoch != 1 {
            return Err(VoidCode::WrongEpoch.into());
        }
        self.no_downgrade(&body.key, None)?;
        if let Some(role) = body.role {
            if !role.reads() {
                return Err(VoidCode::WrongRole.into());
            }
            if self.state.role_group(&hospital, role)?.is_some() {
                return Err(VoidCode::GroupExists.into());
            }
            self.set(key::role_group(&hospital, role), &id);
        }
        Ok(id)
    }

    /// A change of a group of the author's; its role stays.
    fn changed_group(&self, id: &GroupId, body: &Group) -> Result<Option<Role>, ApplyError> {
        let before = self.state.group(id)?.ok_or(VoidCode::UnknownGroup)?;
        if before.hospital != self.author_id() {
            return Err(VoidCode::UnknownGroup.into());
        }
        if body.role.is_some() {
            return Err(VoidCode::WrongRole.into());
        }
        let stays = body.epoch == before.epoch;
        if !stays && before.epoch.checked_add(1) != Some(body.epoch) {
            return Err(VoidCode::WrongEpoch.into());
        }
        // A key belongs to one epoch.
        if stays != (body.key == before.key) {
            return Err(VoidCode::WrongEpoch.into());
        }
        if !stays {
            self.no_downgrade(&body.key, Some(&before.key))?;
        }
        // Who leaves keeps the key, and nothing but a list that grows leaves it as it is.
        if stays && (!body.remove.is_empty() || body.add.is_empty()) {
            return Err(VoidCode::WrongMembers.into());
        }
        Ok(before.role)
    }

    fn members(&mut self, id: &GroupId, role: Option<Role>, body: &Group) -> Outcome {
        let (add, remove) = (&body.add, &body.remove);
        let ascending = |ids: &[_]| ids.windows(2).all(|pair| pair[0] < pair[1]);
        let fits = add.len().max(remove.len()) <= limit::GROUP_CHANGES
            && ascending(add)
            && ascending(remove)
            && (role.is_none() || (add.is_empty() && remove.is_empty()));
        if !fits {
            return Err(VoidCode::WrongMembers.into());
        }
        for member in remove {
            if self.state.0.state(&key::group_member(id, member))?.is_none() {
                return Err(VoidCode::WrongMembers.into());
            }
            self.remove(key::group_member(id, member));
            self.remove(key::member_group(member, id));
        }
        for member in add {
            self.member_with(member, Role::reads)?;
            if self.state.0.state(&key::group_member(id, member))?.is_some() {
                return Err(VoidCode::WrongMembers.into());
            }
            self.set(key::group_member(id, member), &());
            self.set(key::member_group(member, id), &());
        }
        Ok(())
    }
}
