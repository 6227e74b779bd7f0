//! Groups of whoever lost their keys.

use super::{next, succeed, suspend};
use crate::ids::{GroupId, LossHash, RecordId};
use crate::record::{Delegate, Grant, Grantee, Group, GroupAt, Scope, SignedRecord};
use crate::registry::{Role, VoidCode};
use crate::state::GroupEntry;
use crate::testing::{
    DOCTOR, HOSPITAL, NURSE, OTHER_DOCTOR, OTHER_HOSPITAL, PATIENT, World, grant, id, member,
};

fn key(epoch: u32) -> crate::keys::HpkePublicKey {
    member(HOSPITAL).group_key(&GroupId::from_bytes([1; 16]), epoch).public_key()
}

fn of(members: &[u8]) -> Group {
    let mut add: Vec<_> = members.iter().map(|number| id(*number)).collect();
    add.sort_unstable();
    Group { group: None, role: None, epoch: 1, key: key(1), add, remove: vec![], losses: None }
}

fn moved(group: GroupId, epoch: u32, losses: Option<LossHash>) -> Group {
    Group { group: Some(group), epoch, key: key(epoch), losses, ..of(&[]) }
}

fn made(world: &mut World, hospital: u8, body: Group) -> GroupId {
    group_of(&world.put(hospital, body))
}

fn group_of(record: &SignedRecord) -> GroupId {
    GroupId::derive(&record.record().author, &record.record().nonce)
}

fn entry(world: &World, group: GroupId) -> GroupEntry {
    world.state().group(&group).unwrap().unwrap()
}

fn stale(world: &World, group: GroupId) -> bool {
    world.state().is_stale(&group, &entry(world, group)).unwrap()
}

fn losses(world: &World, group: GroupId) -> Option<LossHash> {
    world.state().losses(&group, &entry(world, group)).unwrap()
}

fn to(world: &World, group: GroupId) -> Grantee {
    Grantee::Group(GroupAt { group, epoch: entry(world, group).epoch })
}

fn after(losses: &[RecordId]) -> Option<LossHash> {
    losses.iter().fold(None, |before, record| Some(LossHash::after(before.as_ref(), record)))
}

#[test]
fn pitfall_19_nothing_is_granted_to_a_group_whose_key_lay_with_keys_that_were_lost() {
    let mut world = World::peopled();
    let report = world.add_report();
    let group = made(&mut world, HOSPITAL, of(&[DOCTOR, NURSE]));
    // Another hospital's, with the same doctor in it, and one without.
    let other = made(&mut world, OTHER_HOSPITAL, of(&[DOCTOR]));
    let without = made(&mut world, HOSPITAL, of(&[NURSE]));
    let given = |world: &World, group| Grant { reader: to(world, group), ..grant(report, NURSE) };
    for group in [group, other, without] {
        let body = given(&world, group);
        world.put(PATIENT, body);
    }
    let lost = world.put(HOSPITAL, suspend(DOCTOR)).id();
    for group in [group, other] {
        assert!(stale(&world, group));
        let body = given(&world, group);
        assert_eq!(world.void(PATIENT, body), VoidCode::StaleGroup);
    }
    let body = given(&world, without);
    world.put(PATIENT, body);
    // Nor is anything passed on to it.
    let parent = Grant { delegate: 1, ..grant(report, OTHER_DOCTOR) };
    let parent = world.put(PATIENT, parent);
    let parent = crate::ids::GrantId::derive(&id(PATIENT), &parent.record().nonce);
    let until = grant(report, NURSE).until;
    let (scope, reader) = (Scope::Report(report), to(&world, group));
    let body = Delegate { grant: parent, scope, reader, until, token: None, delegate: 0 };
    assert_eq!(world.void(OTHER_DOCTOR, body.clone()), VoidCode::StaleGroup);
    // New keys alone do not mend it: the lost ones lead to the group's key as before.
    let replaced = succeed(&world, &next(DOCTOR));
    world.put(HOSPITAL, replaced);
    assert!(stale(&world, group));
    // The next epoch does, and only that group's.
    assert_eq!(losses(&world, group), after(&[lost]));
    world.put(HOSPITAL, moved(group, 2, after(&[lost])));
    assert!(!stale(&world, group) && stale(&world, other));
    let grant = given(&world, group);
    world.put(PATIENT, grant);
    let reader = to(&world, group);
    world.put(OTHER_DOCTOR, Delegate { reader, ..body });
    // It holds until the next loss.
    world.put(HOSPITAL, suspend(NURSE));
    assert!(stale(&world, group) && stale(&world, without));
}

#[test]
fn pitfall_19_nothing_is_granted_to_keys_that_were_lost() {
    let mut world = World::peopled();
    let report = world.add_report();
    let parent = world.put(PATIENT, Grant { delegate: 1, ..grant(report, OTHER_DOCTOR) });
    let parent = crate::ids::GrantId::derive(&id(PATIENT), &parent.record().nonce);
    world.put(HOSPITAL, suspend(NURSE));
    assert_eq!(world.void(PATIENT, grant(report, NURSE)), VoidCode::SuspendedReader);
    let (scope, reader) = (Scope::Report(report), Grantee::Member(id(NURSE)));
    let until = grant(report, NURSE).until;
    let body = Delegate { grant: parent, scope, reader, until, token: None, delegate: 0 };
    assert_eq!(world.void(OTHER_DOCTOR, body.clone()), VoidCode::SuspendedReader);
    let replaced = succeed(&world, &next(NURSE));
    world.put(HOSPITAL, replaced);
    world.put(PATIENT, grant(report, NURSE));
    world.put(OTHER_DOCTOR, body);
}

#[test]
fn a_change_that_had_not_heard_of_a_loss_leaves_the_group_stale() {
    let mut world = World::peopled();
    let group = made(&mut world, HOSPITAL, of(&[DOCTOR, NURSE]));
    let first = world.put(HOSPITAL, suspend(DOCTOR)).id();
    world.put(HOSPITAL, moved(group, 2, None));
    assert!(stale(&world, group), "whoever has the lost keys may have been given this one");
    let second = world.put(HOSPITAL, suspend(NURSE)).id();
    // Of one of two, or of both in another order, is not of these.
    for (epoch, heard) in [(3, vec![first]), (4, vec![second]), (5, vec![second, first])] {
        world.put(HOSPITAL, moved(group, epoch, after(&heard)));
        assert!(stale(&world, group), "{heard:?}");
    }
    world.put(HOSPITAL, moved(group, 6, after(&[first, second])));
    assert!(!stale(&world, group));
    // Who joins changes nothing of it, and says nothing.
    let join = Group { add: vec![id(OTHER_DOCTOR)], ..moved(group, 6, None) };
    let said = Group { losses: after(&[first, second]), ..join.clone() };
    assert_eq!(world.void(HOSPITAL, said), VoidCode::WrongEpoch);
    world.put(HOSPITAL, join);
    assert!(!stale(&world, group));
    assert_eq!(entry(&world, group).losses, after(&[first, second]));
}

#[test]
fn a_member_who_joins_with_suspended_keys_makes_the_group_stale() {
    let mut world = World::peopled();
    world.put(HOSPITAL, suspend(DOCTOR));
    // Neither was in a group then, and these are made by who has not heard of it.
    let made_so = world.put(OTHER_HOSPITAL, of(&[DOCTOR, NURSE]));
    let group = group_of(&made_so);
    assert_eq!(losses(&world, group), after(&[made_so.id()]));
    assert!(stale(&world, group));
    let later = made(&mut world, OTHER_HOSPITAL, of(&[NURSE]));
    let joined = Group { add: vec![id(DOCTOR)], ..moved(later, 1, None) };
    world.put(OTHER_HOSPITAL, joined);
    assert!(stale(&world, later));
}

#[test]
fn losses_in_a_role_count_before_there_is_a_group_of_it() {
    let mut world = World::peopled();
    let every = |losses| Group { role: Some(Role::Doctor), losses, ..of(&[]) };
    let lost = world.put(HOSPITAL, suspend(DOCTOR)).id();
    let unheard = made(&mut world, HOSPITAL, every(None));
    assert!(stale(&world, unheard));
    let nurses = Group { role: Some(Role::Nurse), ..of(&[]) };
    let nurses = made(&mut world, HOSPITAL, nurses);
    assert!(!stale(&world, nurses), "no nurse lost anything");
    world.put(HOSPITAL, moved(unheard, 2, after(&[lost])));
    assert!(!stale(&world, unheard));
    // One who had heard of it is not stale.
    let mut world = World::peopled();
    let lost = world.put(HOSPITAL, suspend(DOCTOR)).id();
    let heard = made(&mut world, HOSPITAL, every(after(&[lost])));
    assert!(!stale(&world, heard));
    // A patient who loses keys is in no group.
    world.put(HOSPITAL, suspend(PATIENT));
    assert!(!stale(&world, heard));
    let role = world.state().losses_of_role(&id(HOSPITAL), Role::Patient).unwrap();
    assert_eq!(role, None);
}
