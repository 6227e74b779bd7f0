//! When a voter does not vote, and says why.

use crate::world::{Bits, Seen, World, hospital, id, members, verified, votes_of};
use medledger_core::registry::limit;
use medledger_core::vote::{Ballot, Members, Phase, Step, Tally, Trouble, Voter};

/// Two branches of four blocks, the first numbered 1 to 4, the second 5 to 8.
fn two_branches() -> (World, Bits) {
    let mut world = World::new(4);
    for miners in [[0, 1, 2, 3], [1, 2, 3, 0]] {
        miners.into_iter().fold(0, |tip, miner| world.mine(tip, miner, 0));
    }
    let mut known = Bits::default();
    (0..=8).for_each(|block| known.add(block));
    (world, known)
}

fn counted(members: &Members, phase: Phase, ballots: &[(u64, u64, usize)]) -> Tally {
    let mut tally = Tally::new(members.clone());
    for (round, height, block) in ballots {
        let ballot = Ballot::from((*round, *height, id(*block)));
        for vote in votes_of(members, phase, ballot) {
            tally.insert(verified(*vote.vote()));
        }
    }
    tally
}

const PREVOTE: Phase = Phase::Prevote { source: None };

fn step(voter: &Voter, world: &World, known: Bits, tip: usize, tally: &Tally) -> Step {
    let Ok(step) = voter.step(&Seen { world, known }, &id(tip), tally);
    step
}

#[test]
fn it_votes_for_the_highest_block_with_a_quorum_of_miners_above() {
    let ((world, known), members) = (two_branches(), members(4, 0));
    let voter = Voter::new(hospital(0), &members, 0);
    let found = step(&voter, &world, known, 4, &Tally::new(members.clone()));
    // The roundest of 1 to 4 is 4; there is nothing after it.
    let ballots: Vec<Ballot> = found.votes.iter().map(|vote| vote.ballot).collect();
    assert_eq!(ballots, [Ballot::from((4, 2, id(2)))]);
    assert_eq!(found.votes[0].phase, PREVOTE);
    let early = step(&voter, &world, known, 2, &Tally::new(members.clone()));
    assert_eq!(early.votes, [], "two hospitals are no quorum");
    let again = step(&found.voter, &world, known, 8, &Tally::new(members));
    assert_eq!(again.votes, [], "no second vote in round 4, on whatever branch");
}

#[test]
fn it_waits_for_a_block_that_a_quorum_voted_for() {
    let ((world, known), members) = (two_branches(), members(4, 0));
    let voter = Voter::new(hospital(0), &members, 0);
    let mut early = Bits::default();
    (0..=4).for_each(|block| early.add(block));
    for phase in [PREVOTE, Phase::Precommit] {
        let tally = counted(&members, phase, &[(4, 2, 6)]);
        let found = step(&voter, &world, early, 4, &tally);
        let target = voter.anchor(&tally);
        assert_eq!((target.height, target.block), (2, id(6)));
        assert_eq!(found.trouble, Some(Trouble::Missing(target)));
        assert_eq!((found.votes, found.cosign), (vec![], None));
        // Once the block is here, a tip elsewhere still is none to vote on.
        let found = step(&voter, &world, known, 4, &tally);
        assert_eq!(found.trouble, Some(Trouble::Elsewhere(target)));
        assert!(found.votes.iter().all(|vote| vote.phase == Phase::Precommit));
    }
}

#[test]
fn it_votes_no_more_when_a_quorum_decides_against_what_is_final() {
    let ((world, known), members) = (two_branches(), members(4, 0));
    let voter = Voter::new(hospital(0), &members, 0);
    let first = step(&voter, &world, known, 4, &counted(&members, Phase::Precommit, &[(3, 1, 1)]));
    assert_eq!(first.cosign.map(|target| target.block), Some(id(1)));
    let against = counted(&members, Phase::Precommit, &[(4, 2, 6)]);
    for tip in [4, 8] {
        let found = step(&first.voter, &world, known, tip, &against);
        assert!(matches!(found.trouble, Some(Trouble::Conflict(target)) if target.block == id(6)));
        assert_eq!((found.votes, found.cosign), (vec![], None));
        assert_eq!(found.voter, first.voter, "what is final stays final");
    }
}

#[test]
fn whoever_is_no_member_or_has_the_votes_of_another_set_does_not_vote() {
    let ((world, known), four) = (two_branches(), members(4, 0));
    let stranger = Voter::new(hospital(9), &four, 0);
    let tally = counted(&four, PREVOTE, &[(3, 1, 1)]);
    assert_eq!(step(&stranger, &world, known, 4, &tally).votes, []);
    let seen = Seen { world: &world, known };
    assert_eq!(stranger.should_mine(&seen, &id(4), &Tally::new(four.clone()), 1), Ok(false));
    let voter = Voter::new(hospital(0), &four, 0);
    let other = counted(&members(4, 1), PREVOTE, &[(3, 1, 1)]);
    assert_eq!(step(&voter, &world, known, 4, &other).votes, []);
    assert_eq!(step(&voter, &world, known, 4, &tally).votes.len(), 2, "with its own it does");
}

#[test]
fn it_precommits_nothing_it_may_have_voted_against_and_forgotten() {
    let (mut world, members) = (World::new(4), members(4, 0));
    let mut voter = Voter::new(hospital(0), &members, 0);
    let (mut tip, mut known) = (0, Bits::default());
    known.add(0);
    let none = Tally::new(members.clone());
    for number in 0..limit::VOTE_ROUNDS + 8 {
        tip = world.mine(tip, number % 4, 0);
        known.add(tip);
        voter = step(&voter, &world, known, tip, &none).voter;
    }
    assert_eq!(voter.state().prevotes.len(), limit::VOTE_ROUNDS);
    let forgotten = voter.state().forgotten;
    assert!(forgotten > 3);
    let target = (forgotten - 2, forgotten as usize - 2);
    let old = counted(&members, PREVOTE, &[(forgotten, target.0, target.1)]);
    assert_eq!(step(&voter, &world, known, tip, &old).votes, []);
    let newer = counted(&members, PREVOTE, &[(forgotten + 1, target.0, target.1)]);
    let votes = step(&voter, &world, known, tip, &newer).votes;
    assert_eq!(votes.len(), 1);
    assert_eq!(votes[0].phase, Phase::Precommit);
}

#[test]
fn it_mines_until_it_has_mined_above_and_for_a_round_when_its_vote_is_spent() {
    let ((mut world, mut known), members) = (two_branches(), members(4, 0));
    let voter = Voter::new(hospital(3), &members, 0);
    let should = |voter: &Voter, world: &World, known, tip: usize, height| {
        let none = Tally::new(members.clone());
        let Ok(should) = voter.should_mine(&Seen { world, known }, &id(tip), &none, height);
        should
    };
    assert!(should(&voter, &world, known, 3, 1), "it has mined none of the first three");
    assert!(!should(&voter, &world, known, 4, 1), "it has mined the fourth");
    assert!(!should(&voter, &world, known, 4, 5), "there is no fifth");
    assert!(
        should(&voter, &world, known, 8, 4),
        "the fourth is another's, and it mined none above"
    );
    // It spends round 4 on one branch, and then the other is the best.
    let spent = step(&voter, &world, known, 8, &Tally::new(members.clone())).voter;
    assert!(should(&spent, &world, known, 4, 1));
    let block = world.mine(4, 3, 0);
    known.add(block);
    assert!(!should(&spent, &world, known, block, 1), "there is round 5 now");
    // Or it has voted there first, and later elsewhere: it may not precommit what it left.
    let tip = [1, 2].into_iter().fold(8, |tip, miner| world.mine(tip, miner, 0));
    (0..=tip).for_each(|block| known.add(block));
    let there = step(&voter, &world, known, 4, &Tally::new(members.clone())).voter;
    assert!(!should(&there, &world, known, 4, 1));
    let left = step(&there, &world, known, tip, &Tally::new(members.clone())).voter;
    assert!(left.state().voted > 4);
    let justified = counted(&members, PREVOTE, &[(4, 2, 2)]);
    let back = step(&left, &world, known, 4, &justified);
    assert_eq!(back.votes, []);
    assert!(should(&back.voter, &world, known, 4, 1));
}

#[test]
fn it_mines_for_one_that_is_expelled_and_spent_its_vote_elsewhere() {
    let (mut world, members) = (World::new(3), members(3, 0));
    let tip = world.change(0, 0, 2);
    let tip = world.mine(tip, 1, 0);
    let other = [2, 1, 0].into_iter().fold(0, |tip, miner| world.mine(tip, miner, 0));
    let mut known = Bits::default();
    (0..world.blocks.len()).for_each(|block| known.add(block));
    let mut tally = Tally::new(members.clone());
    let first = Voter::new(hospital(0), &members, 0);
    let first = step(&first, &world, known, tip, &tally);
    let ballot = Ballot::from((2, 1, id(1)));
    assert_eq!(first.votes.first().map(|vote| vote.ballot), Some(ballot), "two miners are enough");
    tally.insert(verified(first.votes[0]));
    let should = |world: &World, known, tip, tally: &Tally| {
        let Ok(should) = first.voter.should_mine(&Seen { world, known }, &id(tip), tally, 1);
        should
    };
    assert!(!should(&world, known, tip, &tally), "nobody is known to have voted elsewhere");
    let expelled = Voter::new(hospital(2), &members, 0);
    let elsewhere = step(&expelled, &world, known, other, &Tally::new(members.clone()));
    assert_eq!(elsewhere.votes.last().map(|vote| vote.ballot.round), Some(3));
    elsewhere.votes.iter().for_each(|vote| {
        tally.insert(verified(*vote));
    });
    assert!(should(&world, known, tip, &tally), "it cannot mine for itself");
    let tip = world.mine(tip, 0, 0);
    known.add(tip);
    assert!(should(&world, known, tip, &tally), "it has voted in round 3");
    let tip = world.mine(tip, 1, 0);
    known.add(tip);
    assert!(!should(&world, known, tip, &tally), "there is round 4 now");
    // Nobody is made to mine up to a round that no honest vote can name.
    let liar = Phase::Prevote { source: None };
    let far = Ballot::from((1 << 40, 1, id(other)));
    let vote = votes_of(&members, liar, far)[2];
    tally.insert(verified(*vote.vote()));
    assert!(!should(&world, known, tip, &tally));
}
