//! The next key of a group: because somebody leaves, because it is asked for, or because a member's keys were lost.

use super::{Group, GroupError, member_place};
use crate::ledger::Ledger;
use crate::secrets::{Kept, KeyPlace};
use medledger_core::identity::Identity;
use medledger_core::ids::{GroupId, LossHash, MemberId, RecordId};
use medledger_core::key_slot::KeyOwner;
use medledger_core::keys::HpkePublicKey;
use medledger_core::record::{self, SignedRecord};
use medledger_core::state::State;
use medledger_core::store::{StoreError, Unit};

/// A change of a group, ready to be accepted.
pub(crate) struct NextGroup {
    pub(crate) record: SignedRecord,
    given: Vec<(KeyPlace, Kept)>,
    /// Key slots of the epoch that ends.
    ended: Vec<KeyPlace>,
}

impl NextGroup {
    pub(crate) fn put(&self, ledger: &Ledger, unit: &mut dyn Unit) -> Result<(), StoreError> {
        self.ended.iter().try_for_each(|place| ledger.remove_secret(unit, place))?;
        ledger.put_all(unit, &self.given)
    }
}

/// What another record of the same unit does to a member's keys.
#[derive(Clone, Copy)]
pub(crate) enum Foreseen<'a> {
    Nothing,
    /// This record suspends them.
    Lost(&'a MemberId, &'a RecordId),
    /// They are these from then on.
    Given(&'a MemberId, &'a HpkePublicKey),
}

impl Ledger {
    /// Gives each of this hospital's groups that is [stale](Group::stale) a next key, wrapped for all members whose keys
    /// are not suspended: the groups and the records.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn renew_stale_groups(
        &self,
        hospital: &Identity,
    ) -> Result<Vec<(GroupId, RecordId)>, GroupError> {
        let own = |group: &Group| group.stale && group.entry.hospital == hospital.id();
        let stale: Vec<_> = self.groups()?.into_iter().filter(own).collect();
        let next = self.next_groups(hospital, &stale, Foreseen::Nothing)?;
        let records: Vec<_> = next.iter().map(|next| next.record.clone()).collect();
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.accept(&records, |unit| -> Result<(), GroupError> {
            Ok(next.iter().try_for_each(|next| next.put(self, unit))?)
        })?;
        Ok(stale.iter().zip(&records).map(|(group, record)| (group.id, record.id())).collect())
    }

    /// The next keys of these groups of the hospital's, for all who are in them.
    pub(crate) fn next_groups(
        &self,
        hospital: &Identity,
        groups: &[Group],
        foreseen: Foreseen<'_>,
    ) -> Result<Vec<NextGroup>, StoreError> {
        let next = |group: &Group| self.next_group(hospital, group, (&[], &[]), true, foreseen);
        groups.iter().map(next).collect()
    }

    /// A change of a group of this hospital's, members ascending. With another key where it `moves`.
    pub(super) fn next_group(
        &self,
        hospital: &Identity,
        before: &Group,
        (join, leave): (&[MemberId], &[MemberId]),
        moves: bool,
        foreseen: Foreseen<'_>,
    ) -> Result<NextGroup, StoreError> {
        let group = &before.id;
        let epoch = before.entry.epoch.saturating_add(u32::from(moves));
        let secret = hospital.group_key(group, epoch);
        let stay = before.members.iter().filter(|member| moves && !leave.contains(member));
        let receive: Vec<MemberId> = stay.chain(join).copied().collect();
        let (keys, losses) = self.members_now(before, &receive, foreseen)?;
        let body = record::Group {
            group: Some(*group),
            role: None,
            epoch,
            key: secret.public_key(),
            add: join.to_vec(),
            remove: leave.to_vec(),
            losses: losses.filter(|_| moves),
        };
        let record = self.sign(hospital, body);
        let mut given = self.for_members(group, epoch, &secret, &keys);
        let mut ended = Vec::new();
        if moves {
            let place = KeyPlace::before(KeyOwner::Group(*group), epoch);
            let older = hospital.group_key(group, epoch - 1);
            given.push((place, self.wrap_secret(&place, &older, &secret.public_key())));
            ended.extend(before.members.iter().map(|id| member_place(group, epoch - 1, id)));
        }
        Ok(NextGroup { record, given, ended })
    }

    /// The keys of those among `members` that are not suspended, and the losses that are known: in one look, so that none
    /// is told that was not heeded.
    fn members_now(
        &self,
        group: &Group,
        members: &[MemberId],
        foreseen: Foreseen<'_>,
    ) -> Result<(super::Keys, Option<LossHash>), StoreError> {
        let view = self.view()?;
        let (mut keys, mut losses) = (Vec::new(), None);
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            losses = state.losses(&group.id, &group.entry)?;
            for id in members {
                let key = match foreseen {
                    Foreseen::Lost(lost, _) if lost == id => None,
                    Foreseen::Given(given, key) if given == id => Some(key.clone()),
                    // Whoever is unknown is refused by the chain, by name.
                    _ => state
                        .member(id)?
                        .filter(|entry| entry.suspended.is_none())
                        .map(|entry| entry.identity.hpke_key()),
                };
                keys.extend(key.map(|key| (*id, key)));
            }
            Ok(())
        })?;
        if let Foreseen::Lost(_, record) = foreseen {
            losses = Some(LossHash::after(losses.as_ref(), record));
        }
        Ok((keys, losses))
    }
}
