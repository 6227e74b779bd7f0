use crate::genesis::{Consensus, Genesis};
use crate::hospital::{Application, HospitalSet};
use crate::ids::{ChainId, MemberId};
use crate::record::{Admit, Approval, HospitalChange};
use crate::registry::{Role, VoidCode};
use crate::testing::*;

const THIRD: u8 = 11;
const FOURTH: u8 = 12;

fn application(world: &World, number: u8) -> HospitalChange {
    let chain = Some(world.at.chain);
    HospitalChange::from(Application::new(chain, &member(number), &mining_key(number)))
}

fn expulsion(number: u8) -> HospitalChange {
    HospitalChange::Expel(id(number))
}

fn set(world: &World) -> HospitalSet {
    let genesis = world.state().genesis().unwrap().unwrap();
    world.state().hospitals(&genesis).unwrap()
}

/// A change of the present hospitals that these approved.
fn change(world: &World, change: HospitalChange, approved: &[u8]) -> Admit {
    let set = set(world);
    let approve = |number: &u8| set.approve(&world.at.chain, &change, &member(*number));
    let mut approvals: Vec<Approval> = approved.iter().map(approve).collect();
    approvals.sort_by_key(|approval| approval.hospital);
    Admit { set: set.hash, change, approvals }
}

/// Two hospitals, then three.
fn three() -> World {
    let mut world = World::peopled();
    let body = change(&world, application(&world, THIRD), &[OTHER_HOSPITAL]);
    world.put(HOSPITAL, body);
    world.at.height += 1;
    world
}

#[test]
fn a_quorum_admits_a_hospital_that_is_like_a_founder_from_then_on() {
    let world = World::peopled();
    let before = set(&world);
    assert_eq!((before.len(), before.quorum(), before.number, before.since), (2, 2, 0, 0));
    let mut world = three();
    let after = set(&world);
    assert_eq!((after.len(), after.quorum(), after.number), (3, 3, 1));
    assert_eq!(after.since + 1, world.at.height);
    assert_ne!(after.hash, before.hash);
    assert_eq!(after.mining_key(&id(THIRD)), Some(&mining_key(THIRD).verifying_key()));
    let genesis = world.state().genesis().unwrap().unwrap();
    assert_eq!(world.state().hospitals_at(&genesis, after.since - 1).unwrap(), before);
    let entry = world.state().member(&id(THIRD)).unwrap().unwrap();
    assert_eq!(
        (entry.role, entry.hospital, entry.height),
        (Role::Hospital, id(THIRD), after.since)
    );
    assert_eq!(entry.mining, [mining_key(THIRD).verifying_key()]);
    let body = world.register(THIRD, STRANGER, Role::Doctor);
    world.put(THIRD, body);
    world.put(PATIENT, enrol(PATIENT, THIRD, 1));
}

#[test]
fn who_is_expelled_signs_nothing_and_comes_back_only_by_a_quorum() {
    let mut world = three();
    let body = change(&world, expulsion(OTHER_HOSPITAL), &[OTHER_HOSPITAL, THIRD]);
    world.put(HOSPITAL, body);
    world.at.height += 1;
    assert_eq!(set(&world).ids().collect::<Vec<_>>().len(), 2);
    assert!(!set(&world).contains(&id(OTHER_HOSPITAL)));
    let entry = world.state().member(&id(OTHER_HOSPITAL)).unwrap().unwrap();
    assert_eq!((entry.suspended, entry.mining), (Some(world.at.height - 1), Vec::new()));
    let body = world.register(OTHER_HOSPITAL, STRANGER, Role::Doctor);
    assert_eq!(world.void(OTHER_HOSPITAL, body), VoidCode::Suspended);
    let body = enrol(PATIENT, OTHER_HOSPITAL, 1);
    assert_eq!(world.void(PATIENT, body), VoidCode::Expelled);
    let body = change(&world, application(&world, OTHER_HOSPITAL), &[THIRD]);
    world.put(HOSPITAL, body);
    let back = world.state().member(&id(OTHER_HOSPITAL)).unwrap().unwrap();
    assert_eq!((back.suspended, back.height), (None, 0));
    world.put(PATIENT, enrol(PATIENT, OTHER_HOSPITAL, 1));
}

#[test]
fn reports_are_added_at_no_expelled_hospital() {
    let mut world = three();
    world.put(DOCTOR, add_report(PATIENT));
    let body = change(&world, expulsion(HOSPITAL), &[HOSPITAL, THIRD]);
    world.put(OTHER_HOSPITAL, body);
    assert_eq!(world.void(DOCTOR, add_report(PATIENT)), VoidCode::Expelled);
}

#[test]
fn a_hospital_takes_another_mining_key() {
    let mut world = three();
    let key = mining_key(STRANGER);
    let chain = Some(world.at.chain);
    let rekey = HospitalChange::from(Application::new(chain, &member(THIRD), &key));
    let body = change(&world, rekey, &[OTHER_HOSPITAL, THIRD]);
    world.put(HOSPITAL, body);
    assert_eq!(set(&world).mining_key(&id(THIRD)), Some(&key.verifying_key()));
    assert_eq!(set(&world).len(), 3);
}

/// What comes of a change by the first hospital.
fn void(world: &mut World, asked: HospitalChange, approved: &[u8]) -> VoidCode {
    let body = change(world, asked, approved);
    world.void(HOSPITAL, body)
}

#[test]
fn only_a_quorum_of_the_present_hospitals_changes_them() {
    let mut world = three();
    let asked = application(&world, FOURTH);
    for few in [&[][..], &[OTHER_HOSPITAL], &[THIRD]] {
        assert_eq!(void(&mut world, asked.clone(), few), VoidCode::TooFewApprovals);
    }
    // Neither twice the same, nor the author beside itself, nor somebody who is none of them.
    let wrong = [
        &[OTHER_HOSPITAL, OTHER_HOSPITAL][..],
        &[HOSPITAL, THIRD],
        &[DOCTOR, THIRD],
        &[FOURTH, THIRD],
    ];
    for approved in wrong {
        assert_eq!(void(&mut world, asked.clone(), approved), VoidCode::WrongApproval);
    }
    let mut body = change(&world, asked.clone(), &[OTHER_HOSPITAL, THIRD]);
    body.approvals.reverse();
    assert_eq!(world.void(HOSPITAL, body), VoidCode::WrongApproval);
    let body = change(&world, asked, &[OTHER_HOSPITAL, THIRD]);
    assert_eq!(world.void(DOCTOR, body.clone()), VoidCode::RoleNotAllowed);
    assert_eq!(world.void(PATIENT, body.clone()), VoidCode::RoleNotAllowed);
    world.put(HOSPITAL, body);
}

#[test]
fn pitfall_30_an_approval_counts_for_one_change_of_one_set_on_one_chain() {
    let mut world = three();
    let asked = application(&world, FOURTH);
    let now = set(&world);
    let by = member(OTHER_HOSPITAL);
    let elsewhere = now.approve(&ChainId::from_bytes([1; 32]), &asked, &by);
    let other = now.approve(&world.at.chain, &expulsion(THIRD), &by);
    let genesis = world.state().genesis().unwrap().unwrap();
    let before = HospitalSet::founders(&genesis).approve(&world.at.chain, &asked, &by);
    let borrowed = Approval {
        hospital: id(OTHER_HOSPITAL),
        ..now.approve(&world.at.chain, &asked, &member(THIRD))
    };
    for approval in [elsewhere, other, before, borrowed] {
        let mut body = change(&world, asked.clone(), &[THIRD]);
        body.approvals.push(approval);
        body.approvals.sort_by_key(|approval| approval.hospital);
        assert_eq!(world.void(HOSPITAL, body), VoidCode::WrongApproval);
    }
    // The same hospitals again are not the same set.
    let old = change(&world, asked, &[OTHER_HOSPITAL, THIRD]);
    for (asked, approved) in [
        (expulsion(THIRD), &[OTHER_HOSPITAL, THIRD][..]),
        (application(&world, THIRD), &[OTHER_HOSPITAL]),
    ] {
        let body = change(&world, asked, approved);
        world.put(HOSPITAL, body);
        world.at.height += 1;
    }
    assert_eq!(set(&world).hospitals(), now.hospitals());
    assert_eq!(world.void(HOSPITAL, old), VoidCode::OtherSet);
}

#[test]
fn hospitals_change_once_in_a_block() {
    let mut world = three();
    let body = change(&world, application(&world, FOURTH), &[OTHER_HOSPITAL, THIRD]);
    world.at.height -= 1;
    assert_eq!(world.void(HOSPITAL, body.clone()), VoidCode::ChangedInBlock);
    world.at.height += 1;
    world.put(HOSPITAL, body);
}

#[test]
fn pitfall_51_who_is_admitted_holds_both_keys_and_a_mining_key_of_its_own() {
    let mut world = three();
    let chain = Some(world.at.chain);
    let admit = HospitalChange::from;
    let all = &[OTHER_HOSPITAL, THIRD];
    for chain in [None, Some(ChainId::from_bytes([1; 32]))] {
        let asked = admit(Application::new(chain, &member(FOURTH), &mining_key(FOURTH)));
        assert_eq!(void(&mut world, asked, all), VoidCode::NoPossession);
    }
    let asked = admit(Application::new(chain, &member(FOURTH), &mining_key(HOSPITAL)));
    assert_eq!(void(&mut world, asked, all), VoidCode::MiningKeyTaken);
    let asked = application(&world, OTHER_HOSPITAL);
    assert_eq!(void(&mut world, asked, all), VoidCode::AlreadyRegistered);
    // A doctor's identity does not become a hospital.
    let asked = application(&world, DOCTOR);
    assert_eq!(void(&mut world, asked, all), VoidCode::WrongRole);
}

#[test]
fn nobody_is_expelled_who_is_none_or_whom_the_chain_needs() {
    let mut world = three();
    let all = &[OTHER_HOSPITAL, THIRD];
    for none in [id(DOCTOR), id(STRANGER), MemberId::from_bytes([0; 16])] {
        assert_eq!(void(&mut world, HospitalChange::Expel(none), all), VoidCode::UnknownMember);
    }
    let alone = Genesis::single(founder(HOSPITAL), tiny_work());
    let mut world = World::of(&alone, world.at.chain);
    assert_eq!(void(&mut world, expulsion(HOSPITAL), &[]), VoidCode::HospitalCount);
    let mut diverse = Genesis::single(founder(HOSPITAL), tiny_work());
    diverse.founders = [HOSPITAL, OTHER_HOSPITAL, THIRD, FOURTH].map(founder).to_vec();
    let others = &[OTHER_HOSPITAL, THIRD];
    for (diversity, code) in [(0, None), (2, Some(VoidCode::HospitalCount))] {
        diverse.diversity = diversity;
        let mut world = World::of(&diverse, world.at.chain);
        let body = change(&world, expulsion(FOURTH), others);
        let record = world.sign(HOSPITAL, body);
        assert_eq!(world.apply(&record).err(), code);
    }
}

#[test]
fn a_log_has_one_writer_for_ever() {
    let log = Genesis::single(founder(HOSPITAL), Consensus::Log);
    let mut world = World::of(&log, ChainId::from_bytes([2; 32]));
    let asked = application(&world, THIRD);
    assert_eq!(void(&mut world, asked, &[]), VoidCode::OneWriter);
}
