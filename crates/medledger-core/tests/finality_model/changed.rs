//! What exploring shows when hospitals come and go.

use crate::bounds::{Bounds, Found, Mutation};
use crate::explore::Explorer;
use crate::world::World;

/// A block of a branch: who mines it, and who is admitted or expelled in it.
type Mined = (usize, Option<usize>);

const fn by(miner: usize) -> Mined {
    (miner, None)
}

const fn change(miner: usize, other: usize) -> Mined {
    (miner, Some(other))
}

/// These branches above genesis; blocks that are alike are the same.
fn with(mut world: World, branches: &[&[Mined]]) -> World {
    for branch in branches {
        branch.iter().fold(0, |tip, (miner, other)| match other {
            Some(other) => world.change(tip, *miner, *other),
            None => world.mine(tip, *miner, 0),
        });
    }
    world
}

/// The first so many hospitals keep the rules; whether there is one more that does not.
fn bounds(honest: usize, misbehaves: bool) -> Bounds {
    Bounds { honest, misbehaves, heals: true, most: of_run(None, Some(WIDE)), ..Bounds::default() }
}

fn explore(name: &str, bounds: Bounds, world: World) -> Found {
    let found = Explorer::new(bounds, world).explore();
    println!("{name}: {found:.200?}");
    found
}

fn all_is_well(name: &str, bounds: Bounds, world: World) {
    let found = explore(name, bounds, world);
    assert_eq!((found.conflict, found.stuck), (None, None));
    assert!(found.changed > 0, "no change ever became final");
}

/// States that are looked at of each of the eleven longer worlds with `MEDLEDGER_EXPLORE=wide`, the nearest first; some have
/// fewer. At the 15,000 a second of one core that the first 100,000 of each took, all of them end within half an hour, and
/// they take some gigabytes. What is printed tells how many were `left`.
const WIDE: usize = 2_000_000;

/// Branches for each run, and with `MEDLEDGER_EXPLORE=wide` longer ones, for which a test run has no time.
fn of_run<T>(each: T, wide: T) -> T {
    if std::env::var_os("MEDLEDGER_EXPLORE").is_some_and(|how| how == "wide") { wide } else { each }
}

#[test]
fn three_admit_a_fourth_that_votes_for_anything() {
    let each: &[&[Mined]] = &[&[change(0, 3), by(1), by(2)], &[by(1), by(2), by(0)]];
    let wide: &[&[Mined]] = &[&[change(0, 3), by(1), by(2), by(0)], &[by(1), by(2), by(0)]];
    let world = with(World::new(3), of_run(each, wide));
    all_is_well("three admit one that misbehaves", bounds(3, true), world);
}

#[test]
fn with_a_fourth_that_votes_for_anything_they_agree_on_what_lies_above_its_admission() {
    let each: &[&[Mined]] = &[&[change(0, 3), by(1), by(2), by(0)], &[change(0, 3), by(2)]];
    let wide: &[&[Mined]] =
        &[&[change(0, 3), by(1), by(2), by(0)], &[change(0, 3), by(2), by(1), by(0)]];
    let world = with(World::new(3), of_run(each, wide));
    all_is_well("three and one admitted that misbehaves", bounds(3, true), world);
}

#[test]
fn four_expel_the_one_that_votes_for_anything() {
    let each: &[&[Mined]] = &[&[change(0, 3), by(1)], &[by(1), by(3), by(2)]];
    let wide: &[&[Mined]] = &[&[change(0, 3), by(1), by(2)], &[by(1), by(3), by(2), by(0)]];
    let world = with(World::new(4), of_run(each, wide));
    all_is_well("four expel the one that misbehaves", bounds(3, true), world);
}

/// It may have voted elsewhere in these rounds, and cannot mine for later ones where it is expelled: the others do.
#[test]
fn three_expel_one_of_them_with_its_consent() {
    let each: &[&[Mined]] = &[&[change(0, 2), by(1)], &[by(2), by(1), by(0)]];
    let wide: &[&[Mined]] = &[&[change(0, 2), by(1), by(0)], &[by(2), by(1), by(0), by(2)]];
    let world = with(World::new(3), of_run(each, wide));
    all_is_well("three expel one", bounds(3, false), world);
}

/// There are three who mine above the change: fewer than a quorum.
#[test]
fn five_expel_one_while_another_is_silent_or_worse() {
    let each: &[&[Mined]] = &[&[change(0, 3), by(1), by(2)]];
    let wide: &[&[Mined]] = &[&[change(0, 3), by(1), by(2)], &[by(1), by(2), by(3), by(0)]];
    let world = with(World::new(5), of_run(each, wide));
    all_is_well("five expel one, another misbehaves", bounds(4, true), world);
}

#[test]
fn a_hospital_comes_and_goes_again() {
    let each: &[&[Mined]] = &[&[change(0, 3), change(1, 3), by(2)], &[by(1), by(2), by(0)]];
    let wide: &[&[Mined]] =
        &[&[change(0, 3), change(1, 3), by(2), by(0)], &[change(0, 3), by(2), by(1), by(0)]];
    let world = with(World::new(3), of_run(each, wide));
    all_is_well("three admit one that misbehaves and expel it", bounds(3, true), world);
}

#[test]
fn two_branches_admit_different_hospitals() {
    let each: &[&[Mined]] = &[&[change(0, 3), by(1)], &[change(1, 4), by(2), by(0)]];
    let wide: &[&[Mined]] = &[&[change(0, 3), by(1), by(2)], &[change(1, 4), by(2), by(0), by(1)]];
    let world = with(World::new(3), of_run(each, wide));
    all_is_well("three admit one on each branch", bounds(3, true), world);
}

#[test]
fn three_that_mine_and_crash_as_they_like_admit_a_fourth() {
    let crashes = of_run(1, 2);
    let limits = Bounds { mined: 3, crashes, other: Some(3), ..bounds(3, false) };
    all_is_well("three mine and admit one that is silent", limits, World::new(3));
}

#[test]
fn three_that_mine_and_crash_as_they_like_expel_one() {
    let crashes = of_run(1, 2);
    let limits = Bounds { mined: 3, crashes, other: Some(2), ..bounds(3, false) };
    all_is_well("three mine and expel one", limits, World::new(3));
}

#[test]
fn by_votes_of_those_after_the_change_two_conflicting_blocks_are_decided() {
    let world = with(World::new(3), &[&[change(0, 3), by(1)], &[by(1), by(2), by(0)]]);
    let mutation = Some(Mutation::VotesOfTheNewSet);
    let limits = Bounds { mutation, heals: false, ..bounds(3, true) };
    assert!(explore("votes of the new set", limits, world).conflict.is_some());
}

#[test]
fn by_votes_above_a_change_that_is_not_final_two_conflicting_blocks_are_decided() {
    let world = with(
        World::new(3),
        &[&[change(0, 3), by(1), by(2), by(0)], &[change(0, 3), by(2), by(1), by(0)]],
    );
    let mutation = Some(Mutation::VotesAboveAChange);
    let limits = Bounds { mutation, heals: false, ..bounds(3, true) };
    assert!(explore("votes above a change", limits, world).conflict.is_some());
}

/// Who is admitted has no vote on it, and so cannot sign its checkpoint.
#[test]
fn with_checkpoints_counted_by_those_after_the_change_it_stays_open_for_ever() {
    let world = with(World::founded_by([0, 1, 2, 4]), &[&[change(0, 3), by(1)]]);
    let mutation = Some(Mutation::CheckpointOfTheNewSet);
    let limits = Bounds { mutation, ..bounds(4, true) };
    assert!(explore("checkpoint of the new set", limits, world.clone()).stuck.is_some());
    all_is_well("four admit one, another misbehaves", bounds(4, true), world);
}

#[test]
fn with_a_handover_by_votes_some_are_left_behind() {
    let world = with(World::new(3), &[&[change(0, 3), by(1), by(2)]]);
    let mutation = Some(Mutation::HandoverByVotes);
    let found = explore("handover by votes", Bounds { mutation, ..bounds(3, true) }, world);
    assert!(found.stuck.is_some_and(|why| why.contains("left behind")));
}

/// One hospital goes back to before its first vote. In a test run some of the states are looked at, the nearest first.
fn put_back(world: World, misbehaves: bool, mutation: Option<Mutation>) -> (Bounds, World) {
    let (crashes, most) = (of_run(1, 2), of_run(Some(120_000), Some(WIDE)));
    let heals = mutation.is_none();
    (Bounds { crashes, restores: true, most, mutation, heals, ..bounds(3, misbehaves) }, world)
}

/// Three expel one of them, on both branches. Whoever goes back sees the other one first.
fn one_expelled() -> World {
    with(World::new(3), &[&[change(0, 2), by(1)], &[change(1, 2), by(0), by(1)]])
}

#[test]
fn one_that_is_put_back_to_before_an_expulsion_is_bound_by_its_votes_after_it() {
    let (limits, world) = put_back(one_expelled(), false, None);
    all_is_well("three expel one, one is restored", limits, world);
}

#[test]
fn one_that_is_put_back_to_before_an_admission_is_bound_by_its_votes_after_it() {
    let world =
        with(World::new(3), &[&[change(0, 3), by(1), by(2), by(0)], &[change(0, 3), by(2)]]);
    let (limits, world) = put_back(world, true, None);
    all_is_well("three admit one that misbehaves, one is restored", limits, world);
}

#[test]
fn where_votes_are_cast_behind_the_note_one_votes_twice_in_a_round() {
    let (limits, world) = put_back(one_expelled(), false, Some(Mutation::VotesBehindItsNote));
    assert!(explore("votes behind the note", limits, world).conflict.is_some());
}
