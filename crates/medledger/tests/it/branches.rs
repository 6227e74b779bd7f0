//! Branches that were left: no file carries their blocks, and hospitals go on all the same
//! (docs/decisions/0038-a-branch-that-was-left-is-not-carried.md).

use crate::admission::healthy;
use crate::hospitals::{House, exchange, founders, settle};
use crate::restored::{chain_of, mine, prevotes};
use crate::support::member;
use medledger::core::ids::BlockId;
use medledger::core::news::News;
use medledger::{ImportError, Role};

fn newest(house: &House) -> BlockId {
    house.ledger.view().unwrap().tip().unwrap().unwrap().id
}

fn height(house: &House) -> u64 {
    house.ledger.view().unwrap().tip().unwrap().unwrap().height
}

fn on_chain(house: &House, block: &BlockId) -> bool {
    house.ledger.view().unwrap().height_of(block).unwrap().is_some()
}

/// A quorum votes for a block, and each of them leaves its branch before it hears of the others' votes. Only one that never
/// had the block counts them. All are on the other branch then, so no file holds what was voted for.
#[test]
fn what_a_quorum_voted_for_comes_back_from_those_who_voted_though_all_have_left_it() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 4);
    let [a, b, c, apart] = &houses[..] else { unreachable!() };
    let (_, doctor) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
    a.ledger.wait_mined(&doctor.record).unwrap();
    let first = newest(a);
    for (from, to) in [(a, b), (b, c)] {
        to.ledger.import_chain(&chain_of(from)[..], &mut |_| {}).unwrap();
        mine(&to.ledger);
    }
    let voted_for = chain_of(c);
    let mut votes = Vec::new();
    for house in [a, b, c] {
        house.ledger.import_chain(&voted_for[..], &mut |_| {}).unwrap();
        votes.push(house.ledger.export_news().unwrap());
    }
    // Meanwhile the fourth has mined more, on its own.
    for _ in 0..4 {
        mine(&apart.ledger);
    }
    let heavier = chain_of(apart);
    for house in [a, b, c] {
        let taken = house.ledger.import_chain(&heavier[..], &mut |_| {}).unwrap();
        assert_eq!((taken.removed, taken.added), (3, 4));
    }
    for news in &votes {
        apart.ledger.import_news(news).unwrap();
    }
    let quorum = apart.ledger.export_news().unwrap();
    assert_eq!(News::decode(&quorum).unwrap().certificates.len(), 1, "it has counted a quorum");
    for house in &houses {
        assert!(!on_chain(house, &first), "nobody exports it");
    }

    // The branch that has its block is heavier by that, and is kept where it was left.
    for house in [a, b, c] {
        house.ledger.import_news(&quorum).unwrap();
        assert!(on_chain(house, &first));
    }
    apart.ledger.import_chain(&chain_of(a)[..], &mut |_| {}).unwrap();
    assert!(on_chain(apart, &first));
    let back = a.ledger.import_chain(&heavier[..], &mut |_| {});
    assert!(matches!(back, Err(ImportError::Forked { .. })), "{back:?}");
    settle(&[a, b, c, apart]);
    for house in &houses {
        assert!(on_chain(house, &first));
        house.ledger.receipt(&doctor.record).unwrap();
    }
    healthy(&[a, b, c, apart]);
}

/// One comes alone from a branch that nobody else has, its votes spent in later rounds than there are blocks. Another is
/// away, so that its votes are needed.
#[test]
fn one_that_spent_its_votes_on_a_branch_nobody_has_mines_until_there_is_a_round_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 4);
    let [a, b, c, apart] = &houses[..] else { unreachable!() };
    for (from, to) in [(a, b), (b, c)] {
        mine(&from.ledger);
        to.ledger.import_chain(&chain_of(from)[..], &mut |_| {}).unwrap();
    }
    for house in [a, apart] {
        house.ledger.import_chain(&chain_of(c)[..], &mut |_| {}).unwrap();
    }
    for _ in 0..7 {
        mine(&apart.ledger);
        apart.ledger.vote().unwrap();
    }
    let spent = *prevotes(&apart.ledger).keys().last().unwrap();
    let (lost, longer) = (newest(apart), chain_of(apart));
    // The others make a shorter branch final, and never see that one.
    for (from, to) in [(c, a), (a, b), (b, c)] {
        mine(&from.ledger);
        to.ledger.import_chain(&chain_of(from)[..], &mut |_| {}).unwrap();
    }
    while exchange(&[a, b, c]) {}
    assert!(a.ledger.vote().unwrap().finalized > 1);
    let shorter = chain_of(a);
    assert!(height(a) < spent, "{} blocks, round {spent}", height(a));
    // Its branch is the longer one; what the votes of a quorum are for decides once it has heard of them.
    let early = apart.ledger.import_chain(&shorter[..], &mut |_| {});
    assert!(matches!(early, Err(ImportError::Forked { .. })), "{early:?}");
    apart.ledger.import_news(&a.ledger.export_news().unwrap()).unwrap();
    let taken = apart.ledger.import_chain(&shorter[..], &mut |_| {}).unwrap();
    assert_eq!((taken.removed, taken.added), (7, 3));
    let late = b.ledger.import_chain(&longer[..], &mut |_| {});
    assert!(matches!(late, Err(ImportError::Forked { .. })), "nothing carries it: {late:?}");

    let (_, doctor) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
    settle(&[a, b, apart]);
    for house in [a, b, apart] {
        assert!(!on_chain(house, &lost));
        house.ledger.receipt(&doctor.record).unwrap();
    }
    assert!((spent + 1..spent + 8).contains(&height(b)), "{} blocks", height(b));
    settle(&[a, b, c, apart]);
    healthy(&[a, b, c, apart]);
}
