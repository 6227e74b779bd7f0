//! What exploring shows.

use crate::explore::{Bounds, Explorer, Found, Mutation};

fn report(name: &str, found: &Found) {
    println!("{name}: {found:?}");
}

fn bounds(hospitals: usize, misbehaves: bool) -> Bounds {
    Bounds { hospitals, misbehaves, mined: 0, crashes: 0, mutation: None, heals: true }
}

#[test]
fn one_of_four_may_vote_for_anything_and_nothing_conflicting_is_decided() {
    let mut explorer = Explorer::new(bounds(4, true), &[&[0, 1, 3], &[2, 3, 0, 1]]);
    let found = explorer.explore();
    report("four hospitals, one misbehaves, two branches", &found);
    assert_eq!(found.conflict, None);
    assert!(found.deciding > 0, "nothing was ever decided");
}

#[test]
fn three_that_mine_and_crash_as_they_like_agree_and_go_on_once_healed() {
    let limits = Bounds { mined: 4, crashes: 1, ..bounds(3, false) };
    let mut explorer = Explorer::new(limits, &[]);
    let found = explorer.explore();
    report("three hospitals, one crash, four blocks", &found);
    assert_eq!(found.conflict, None);
    assert!(found.deciding > 0, "nothing was ever decided");
}

fn conflict_with(mutation: Mutation, crashes: usize) -> Found {
    let limits = Bounds { crashes, mutation: Some(mutation), heals: false, ..bounds(4, true) };
    let mut explorer = Explorer::new(limits, &[&[0, 1, 3], &[2, 3, 0, 1]]);
    let found = explorer.explore();
    report(&format!("{mutation:?}"), &found);
    found
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
