//! What exploring shows while the hospitals stay the same.

use crate::bounds::{Bounds, Found, Mutation};
use crate::explore::Explorer;
use crate::world::World;

fn bounds(hospitals: usize, misbehaves: bool) -> Bounds {
    let honest = hospitals - usize::from(misbehaves);
    Bounds { honest, misbehaves, heals: true, ..Bounds::default() }
}

/// Four hospitals, and two branches.
fn two_branches() -> World {
    let mut world = World::new(4);
    for branch in [&[0, 1, 3][..], &[2, 3, 0, 1]] {
        branch.iter().fold(0, |tip, miner| world.mine(tip, *miner, 0));
    }
    world
}

fn explore(name: &str, bounds: Bounds, world: World) -> Found {
    let found = Explorer::new(bounds, world).explore();
    println!("{name}: {found:?}");
    found
}

#[test]
fn one_of_four_may_vote_for_anything_and_nothing_conflicting_is_decided() {
    let name = "four hospitals, one misbehaves, two branches";
    let found = explore(name, bounds(4, true), two_branches());
    assert_eq!((found.conflict, found.stuck), (None, None));
    assert!(found.deciding > 0, "nothing was ever decided");
}

#[test]
fn three_that_mine_and_crash_as_they_like_agree_and_go_on_once_healed() {
    let limits = Bounds { mined: 4, crashes: 1, ..bounds(3, false) };
    let found = explore("three hospitals, one crash, four blocks", limits, World::new(3));
    assert_eq!((found.conflict, found.stuck), (None, None));
    assert!(found.deciding > 0, "nothing was ever decided");
}

/// Not whole, but further than to the conflict that there is when nothing is noted.
#[test]
fn one_of_four_is_put_back_to_before_its_votes_and_bound_to_what_was_noted_of_them() {
    let forgotten = conflict_with(Mutation::NotDurable, 1);
    let most = Some(2 * forgotten.states);
    let limits = Bounds { crashes: 1, restores: true, most, ..bounds(4, true) };
    let found = explore("four hospitals, one misbehaves, one restored", limits, two_branches());
    assert_eq!((found.conflict, &found.stuck), (None, &None));
    assert!(Some(found.depth) >= forgotten.conflict && found.torn > 0, "{found:?}");
}

#[test]
fn three_that_mine_and_are_put_back_as_they_like_agree_and_go_on_once_healed() {
    let limits = Bounds { mined: 3, crashes: 2, restores: true, ..bounds(3, false) };
    let found = explore("three hospitals, two restored, three blocks", limits, World::new(3));
    assert_eq!((found.conflict, found.stuck), (None, None));
    assert!(found.deciding > 0, "nothing was ever decided");
}

fn conflict_with(mutation: Mutation, crashes: usize) -> Found {
    let limits = Bounds { crashes, mutation: Some(mutation), heals: false, ..bounds(4, true) };
    explore(&format!("{mutation:?}"), limits, two_branches())
}

#[test]
fn without_locks_two_conflicting_blocks_are_decided() {
    assert!(conflict_with(Mutation::NoLock, 0).conflict.is_some());
}

#[test]
fn without_memory_of_prevotes_two_conflicting_blocks_are_decided() {
    assert!(conflict_with(Mutation::NoMemoryOfPrevotes, 0).conflict.is_some());
}

#[test]
fn without_a_durable_state_two_conflicting_blocks_are_decided() {
    assert!(conflict_with(Mutation::NotDurable, 1).conflict.is_some());
}
