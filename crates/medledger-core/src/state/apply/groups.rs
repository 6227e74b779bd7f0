//! Groups of readers and the epochs of their keys.

use super::{ApplyError, Fold, Outcome, key};
use crate::ids::{GroupId, LossHash, MemberId};
use crate::record::Group;
use crate::registry::{Role, VoidCode, limit};
use crate::state::{GroupEntry, MemberEntry, StateKey};

impl Fold<'_> {
    pub(super) fn group(&mut self, body: &Group) -> Outcome {
        self.author_is(self.author.role == Role::Hospital)?;
        let (id, role, losses) = match body.group {
            None => (self.new_group(body)?, body.role, body.losses),
            Some(id) => {
                let before = self.changed_group(&id, body)?;
                let stays = body.epoch == before.epoch;
                (id, before.role, if stays { before.losses } else { body.losses })
            }
        };
        self.members(&id, role, body)?;
        let entry = GroupEntry {
            hospital: self.author_id(),
            role,
            epoch: body.epoch,
            key: body.key.clone(),
            height: self.at.height,
            losses,
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

    /// A group of the author's, before it changes so; its role stays.
    fn changed_group(&self, id: &GroupId, body: &Group) -> Result<GroupEntry, ApplyError> {
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
        // What it was wrapped without is said with the key.
        if stays && body.losses.is_some() {
            return Err(VoidCode::WrongEpoch.into());
        }
        Ok(before)
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
        let mut lost = false;
        for member in add {
            let entry = self.member_with(member, Role::reads)?;
            lost |= entry.suspended.is_some();
            if self.state.0.state(&key::group_member(id, member))?.is_some() {
                return Err(VoidCode::WrongMembers.into());
            }
            self.set(key::group_member(id, member), &());
            self.set(key::member_group(member, id), &());
        }
        if lost {
            // The author had not heard of it, and has wrapped the group's key to keys that were lost.
            self.note_loss(key::group_losses(id))?;
        }
        Ok(())
    }

    /// Keys of a member are lost: each group that may have been wrapped for them is stale from here on.
    pub(super) fn lost(&mut self, member: &MemberId, entry: &MemberEntry) -> Outcome {
        if !entry.role.reads() {
            return Ok(());
        }
        for group in self.state.listed_groups_of(member)? {
            self.note_loss(key::group_losses(&group))?;
        }
        self.note_loss(key::role_losses(&entry.hospital, entry.role))
    }

    fn note_loss(&mut self, key: StateKey) -> Outcome {
        let before: Option<LossHash> = self.state.read(&key)?;
        self.set(key, &LossHash::after(before.as_ref(), &self.record.id()));
        Ok(())
    }
}
