//! Groups of readers: a hospital makes them, lets members join and leave, and wraps the group's key for each.

mod next;

pub(crate) use next::Foreseen;

use crate::ledger::Ledger;
use crate::open_report::OpenReportError;
use crate::secrets::{Kept, KeyPlace, with_any_key};
use crate::slots::SlotSource;
use crate::spread::spread;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{GroupId, LossHash, MemberId, RecordId, RecordNonce};
use medledger_core::key_slot::{KeyOwner, KeySlotRole};
use medledger_core::keys::{HpkePublicKey, HpkeSecretKey};
use medledger_core::record::{self, GroupAt};
use medledger_core::registry::{Role, VoidCode};
use medledger_core::state::{GroupEntry, State};
use medledger_core::store::{Drawer, StoreError, Unit, View};
use medledger_core::text::has_outer_spaces;

/// A group as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group.
    pub id: GroupId,
    /// What people call it, where this node was told.
    pub name: String,
    /// What the ledger says.
    pub entry: GroupEntry,
    /// Who belongs to it now.
    pub members: Vec<MemberId>,
    /// Whether a member lost their keys, and the group has had no next key since: nothing can be granted to it until
    /// its hospital [renews](Ledger::renew_stale_groups) it.
    pub stale: bool,
}

/// A group that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedGroup {
    /// The group.
    pub id: GroupId,
    /// The record that made it.
    pub record: RecordId,
}

/// Why a group was not made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// There is no such group of this hospital, or the change does not fit it.
    #[error("{0} (code {code})", code = .0.code())]
    Refused(VoidCode),
    /// A member who cannot join: their keys are lost, and would be given the group's.
    #[error("the keys of member {0} are suspended: give them others first")]
    Suspended(MemberId),
    /// A name that cannot be shown.
    #[error("a group's name is a line of 1 to 200 visible characters, not all of them spaces")]
    Name,
    /// A name that cannot be told from the same one without the spaces.
    #[error("a group's name does not begin or end with a space, found {0:?}")]
    Spaces(String),
    /// A name that would be taken for the id of a group.
    #[error("{0:?} looks like the id of a group, and would be taken for it")]
    LikeAnId(String),
    /// The name of the group of everyone of a role, for one that is not.
    #[error("{0:?} is what the group of everyone of that role is called")]
    Everyone(String),
    /// Another group is called so here, but for capitals.
    #[error("group {group} is called {name:?} already")]
    NameTaken {
        /// What it is called.
        name: String,
        /// That group.
        group: GroupId,
    },
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who belongs to a group after a change, with the keys to wrap for.
type Keys = Vec<(MemberId, HpkePublicKey)>;

impl Ledger {
    /// Makes a group of doctors and nurses, of whatever hospital. Its name stays here.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn create_group(
        &self,
        hospital: &Identity,
        name: &str,
        members: &[MemberId],
    ) -> Result<CreatedGroup, GroupError> {
        self.new_group(hospital, name, None, members)
    }

    /// Makes the group of everyone of a role at a hospital: those registered now, and each who comes.
    ///
    /// # Errors
    /// See [`GroupError`]; there is one such group for each role.
    pub fn create_role_group(
        &self,
        hospital: &Identity,
        role: Role,
    ) -> Result<CreatedGroup, GroupError> {
        self.new_group(hospital, &everyone(role), Some(role), &[])
    }

    fn new_group(
        &self,
        hospital: &Identity,
        name: &str,
        role: Option<Role>,
        members: &[MemberId],
    ) -> Result<CreatedGroup, GroupError> {
        if role.is_none() {
            self.check_new_name(name)?;
        }
        let nonce = RecordNonce::random(&mut self.rng());
        let id = GroupId::derive(&hospital.id(), &nonce);
        let secret = hospital.group_key(&id, 1);
        let (add, keys, losses) = self.keys_of(&hospital.id(), role, members)?;
        let (key, remove) = (secret.public_key(), Vec::new());
        let body = record::Group { group: None, role, epoch: 1, key, add, remove, losses };
        let signed = self.sign_with_nonce(hospital, nonce, body);
        let record = signed.id();
        let given = self.for_members(&id, 1, &secret, &keys);
        self.accept(&[signed], |unit| -> Result<(), GroupError> {
            self.set_group_name(unit, &id, name)?;
            self.put_all(unit, &given)?;
            Ok(())
        })?;
        Ok(CreatedGroup { id, record })
    }

    /// Lets members join and leave. Joining wraps the group's present key once for each who comes, whatever
    /// was granted before. When somebody leaves, or `fresh` is set, the group moves to its next epoch: its new
    /// key is wrapped for all who remain, and what is granted from then on is for those. Grants given before
    /// still hold for who remains; who left is refused them, but may have kept keys: to cut that off, rotate.
    ///
    /// A member whose keys are suspended stays, and is given no key: the next one comes with their new keys, from
    /// [`replace_keys`](Self::replace_keys) or from the next epoch made after it.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn change_group(
        &self,
        hospital: &Identity,
        group: &GroupId,
        join: &[MemberId],
        leave: &[MemberId],
        fresh: bool,
    ) -> Result<RecordId, GroupError> {
        let before = self.group(group)?.filter(|group| group.entry.hospital == hospital.id());
        let before = before.ok_or(GroupError::Refused(VoidCode::UnknownGroup))?;
        let moves = fresh || !leave.is_empty();
        let sorted = |ids: &[MemberId]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        let (join, leave) = (sorted(join), sorted(leave));
        self.none_suspended(&join)?;
        let next = self.next_group(hospital, &before, (&join, &leave), moves, Foreseen::Nothing)?;
        let id = next.record.id();
        self.accept(std::slice::from_ref(&next.record), |unit| -> Result<(), GroupError> {
            Ok(next.put(self, unit)?)
        })?;
        Ok(id)
    }

    /// A group, accepted changes included.
    ///
    /// # Errors
    /// When the store fails.
    pub fn group(&self, id: &GroupId) -> Result<Option<Group>, StoreError> {
        Ok(self.groups()?.into_iter().find(|group| group.id == *id))
    }

    /// Every group, accepted ones included.
    ///
    /// # Errors
    /// When the store fails.
    pub fn groups(&self) -> Result<Vec<Group>, StoreError> {
        let view = self.view()?;
        let mut groups = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for (id, entry) in state.groups()? {
                let members = match entry.role {
                    None => state.listed_members(&id)?,
                    Some(role) => of_role(&state, &entry.hospital, role)?,
                };
                groups.push(Group {
                    stale: state.is_stale(&id, &entry)?,
                    id,
                    name: self.group_name(view.as_ref(), &id)?,
                    entry,
                    members,
                });
            }
            Ok(())
        })?;
        Ok(groups)
    }

    /// For a member who was just registered: the key of the group of their role, if there is one.
    pub(crate) fn welcome(
        &self,
        hospital: &Identity,
        role: Role,
        member: &MemberId,
        key: &HpkePublicKey,
    ) -> Result<Option<(KeyPlace, Kept)>, StoreError> {
        let view = self.view()?;
        let mut found = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            if let Some(id) = state.role_group(&hospital.id(), role)? {
                found = state.group(&id)?.map(|entry| (id, entry.epoch));
            }
            Ok(())
        })?;
        Ok(found.map(|(group, epoch)| {
            let place = member_place(&group, epoch, member);
            (place, self.wrap_secret(&place, &hospital.group_key(&group, epoch), key))
        }))
    }

    /// The keys of a group, as one of its members has them: the present one, and back to the epoch named.
    pub(crate) fn group_secrets(
        &self,
        slots: &dyn SlotSource,
        member: &Identity,
        at: &GroupAt,
    ) -> Result<Vec<HpkeSecretKey>, OpenReportError> {
        let view = self.view()?;
        let mut entry = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            entry = State::new(state).group(&at.group)?;
            Ok(())
        })?;
        let entry = entry.ok_or(OpenReportError::NoAccess)?;
        let no_slot = || OpenReportError::NoSlot(entry.hospital);
        let place = member_place(&at.group, entry.epoch, &member.id());
        let kept = self.secret(slots, &place)?.ok_or_else(no_slot)?;
        let mut secrets = vec![with_any_key(member, |key| kept.unwrap(key))?];
        for epoch in (at.epoch.saturating_add(1)..=entry.epoch).rev() {
            let before = KeyPlace::before(KeyOwner::Group(at.group), epoch);
            let kept = self.secret(slots, &before)?.ok_or_else(no_slot)?;
            let newer = secrets.last().ok_or_else(no_slot)?;
            secrets.push(kept.unwrap(newer)?);
        }
        Ok(secrets)
    }

    fn for_members(
        &self,
        group: &GroupId,
        epoch: u32,
        secret: &HpkeSecretKey,
        keys: &Keys,
    ) -> Vec<(KeyPlace, Kept)> {
        spread(self.workers(), keys, |(member, key)| {
            let place = member_place(group, epoch, member);
            (place, self.wrap_secret(&place, secret, key))
        })
    }

    fn put_all(&self, unit: &mut dyn Unit, given: &[(KeyPlace, Kept)]) -> Result<(), StoreError> {
        given.iter().try_for_each(|(place, kept)| self.put_secret(unit, place, kept))
    }

    /// Those members, ascending, and the keys to wrap for: theirs, or those of everyone of a role that are not suspended;
    /// and the losses of keys in that role.
    fn keys_of(
        &self,
        hospital: &MemberId,
        role: Option<Role>,
        members: &[MemberId],
    ) -> Result<(Vec<MemberId>, Keys, Option<LossHash>), GroupError> {
        self.none_suspended(members)?;
        let mut listed = members.to_vec();
        listed.sort_unstable();
        let view = self.view()?;
        let (mut keys, mut losses) = (Vec::new(), None);
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            let all = match role {
                Some(role) => {
                    losses = state.losses_of_role(hospital, role)?;
                    of_role(&state, hospital, role)?
                }
                None => listed.clone(),
            };
            for member in all {
                // Whoever is unknown is refused by the chain, by name.
                let entry = state.member(&member)?.filter(|entry| entry.suspended.is_none());
                keys.extend(entry.map(|entry| (member, entry.identity.hpke_key())));
            }
            Ok(())
        })?;
        Ok((listed, keys, losses))
    }

    /// Whose keys are suspended joins no group: whoever has those keys would be given the group's.
    fn none_suspended(&self, members: &[MemberId]) -> Result<(), GroupError> {
        let view = self.view()?;
        let mut found = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for member in members {
                let entry = state.member(member)?;
                if entry.is_some_and(|entry| entry.suspended.is_some()) {
                    found = Some(*member);
                }
            }
            Ok(())
        })?;
        found.map_or(Ok(()), |member| Err(GroupError::Suspended(member)))
    }

    /// A name for a new group that can be shown, and that nobody takes for another group. Names of before stay.
    fn check_new_name(&self, name: &str) -> Result<(), GroupError> {
        check_name(name)?;
        let lower = name.to_lowercase();
        if Role::ALL.iter().any(|role| lower == everyone(*role)) {
            return Err(GroupError::Everyone(name.into()));
        }
        let hex = lower.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex && lower.len() >= SHOWN_OF_AN_ID {
            return Err(GroupError::LikeAnId(name.into()));
        }
        for group in self.groups()? {
            if hex && lower.len() >= LEAST_OF_AN_ID && group.id.to_string().starts_with(&lower) {
                return Err(GroupError::LikeAnId(name.into()));
            }
            if group.name.to_lowercase() == lower {
                return Err(GroupError::NameTaken { name: group.name, group: group.id });
            }
        }
        Ok(())
    }

    fn set_group_name(
        &self,
        unit: &mut dyn Unit,
        group: &GroupId,
        name: &str,
    ) -> Result<(), StoreError> {
        let key = group.as_bytes();
        let sealed = self.node_key().seal(Drawer::Labels, key, name.as_bytes(), &mut self.rng());
        unit.set_local(Drawer::Labels, key, Some(&sealed))
    }

    pub(crate) fn group_name(
        &self,
        view: &dyn View,
        group: &GroupId,
    ) -> Result<String, StoreError> {
        let Some(sealed) = view.local(Drawer::Labels, group.as_bytes())? else {
            return Ok(group.to_string());
        };
        let plain = self.node_key().unseal(Drawer::Labels, group.as_bytes(), &sealed)?;
        String::from_utf8(plain.to_vec())
            .map_err(|_| StoreError::Damaged(format!("name of group {group}")))
    }
}

pub(crate) fn member_place(group: &GroupId, epoch: u32, member: &MemberId) -> KeyPlace {
    let (owner, role) = (KeyOwner::Group(*group), KeySlotRole::Member);
    KeyPlace { owner, epoch, role, grant: None, reader: Some(*member) }
}

/// Everyone of a role at a hospital.
fn of_role(
    state: &State<'_>,
    hospital: &MemberId,
    role: Role,
) -> Result<Vec<MemberId>, StoreError> {
    let members = state.members()?.into_iter();
    let fits = members.filter(|(_, entry)| entry.role == role && entry.hospital == *hospital);
    Ok(fits.map(|(id, _)| id).collect())
}

/// Characters that lists show of an id.
const SHOWN_OF_AN_ID: usize = 8;

/// Characters by which people name a thing at least.
const LEAST_OF_AN_ID: usize = 4;

/// What the group of everyone of a role is called.
fn everyone(role: Role) -> String {
    format!("every {role}")
}

fn check_name(name: &str) -> Result<(), GroupError> {
    let shown = !medledger_core::text::is_blank(name)
        && name.chars().count() <= 200
        && !name.chars().any(medledger_core::text::is_refused_in_name);
    match shown {
        true if has_outer_spaces(name) => Err(GroupError::Spaces(name.into())),
        true => Ok(()),
        false => Err(GroupError::Name),
    }
}
