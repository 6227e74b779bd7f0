//! Going on after the network has healed: everybody learns everything, and whoever is asked to mines.

use crate::world::{Bits, Seen, World, canonical, hospital, id, members, number, verified};
use medledger_core::vote::{Ballot, Members, Phase, Tally, Vote, Voter, VoterState};
use std::collections::HashSet;

/// Where the honest hospitals are when the network heals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Start {
    pub(crate) states: Vec<VoterState>,
    pub(crate) blocks: Bits,
    /// Ballot, whether precommits, and who voted.
    pub(crate) votes: Vec<(Ballot, bool, u8)>,
}

/// Starts that were tried.
#[derive(Debug, Default)]
pub(crate) struct Memory(HashSet<Start>);

impl Memory {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Checks that what is on the best branch now becomes final, by no more than a dozen blocks, with one
    /// hospital of four silent, and with blocks only by those that the voter asks for.
    pub(crate) fn check(&mut self, world: &World, members: &Members, start: Start) {
        if self.0.contains(&start) {
            return;
        }
        if let Err(why) = run(world.clone(), members, &start) {
            panic!("healed, it does not go on: {why}\nfrom {start:#?}\nin {world:#?}");
        }
        self.0.insert(start);
    }
}

fn run(mut world: World, members: &Members, start: &Start) -> Result<(), String> {
    let chain = members.chain();
    let voter = |(who, state): (usize, &VoterState)| {
        Voter::restored(hospital(who), chain, canonical(members, state.clone()))
    };
    let mut voters: Vec<Voter> = start.states.iter().enumerate().map(voter).collect();
    let mut known = start.blocks;
    // Everybody has everybody's certificates and votes.
    let mut tally = Tally::new(members.clone());
    for state in &start.states {
        tally.restore(&canonical(members, state.clone()));
    }
    for (ballot, precommit, by) in &start.votes {
        let phase = if *precommit { Phase::Precommit } else { Phase::Prevote { source: None } };
        for who in (0..8).filter(|who| by >> who & 1 == 1) {
            let (set, voter) = (members.set(), hospital(who));
            tally.insert(verified(Vote { chain, set, voter, phase, ballot: *ballot }));
        }
    }
    let anchor = voters[0].anchor(&tally);
    let wanted = world.best_tip(&known, &anchor).ok_or("the anchor is unknown")?;
    let height = world.blocks[wanted].height;
    for _ in 0..12 {
        let tip = settle(&world, known, &mut voters, &mut tally)?;
        if voters.iter().all(|voter| voter.state().last_final().height >= height) {
            return Ok(());
        }
        let seen = Seen { world: &world, known };
        let asked = voters.iter().position(|voter| {
            let Ok(should) = voter.should_mine(&seen, &id(tip), members, height);
            should
        });
        let miner = asked.ok_or("nobody is asked to mine")?;
        known.add(world.mine(tip, miner, 0));
    }
    Err("a dozen blocks were not enough".into())
}

/// Lets all vote until nothing comes; returns the tip.
fn settle(
    world: &World,
    known: Bits,
    voters: &mut [Voter],
    tally: &mut Tally,
) -> Result<usize, String> {
    loop {
        let mut tips = Vec::new();
        let mut quiet = true;
        for voter in voters.iter_mut() {
            let anchor = voter.anchor(tally);
            let tip = world.best_tip(&known, &anchor).ok_or("the anchor is unknown")?;
            let Ok(step) = voter.step(&Seen { world, known }, &id(tip), tally);
            if let Some(trouble) = step.trouble {
                return Err(trouble.to_string());
            }
            quiet &= step.votes.is_empty() && step.cosign.is_none();
            *voter = step.voter;
            for vote in step.votes {
                tally.insert(verified(vote));
            }
            tips.push(tip);
        }
        if quiet {
            assert!(tips.windows(2).all(|pair| pair[0] == pair[1]), "all see the same best branch");
            return Ok(tips[0]);
        }
    }
}

/// A hospital that voted in a later round of a branch that was given up is not lost: the block that
/// changes the set is voted for again in a later round. If rounds were heights of the targets
/// themselves, its round would have passed for ever, and nothing above may be voted for before it is final.
#[test]
fn a_block_that_changes_the_set_is_decided_after_votes_above_its_height_elsewhere() {
    let mut world = World::new();
    let lost = [3, 1, 2, 3, 1, 2].into_iter().fold(0, |tip, miner| world.mine(tip, miner, 0));
    let changing = world.mine(0, 0, 0);
    world.blocks[changing].changes_set = true;
    let tip = [1, 2, 3, 0, 1, 2].into_iter().fold(changing, |tip, miner| world.mine(tip, miner, 0));
    let members = members(4, 0);
    let mut early = Bits::default();
    (0..=lost).for_each(|block| early.add(block));
    let voted = |who: usize| {
        let voter = Voter::new(hospital(who), &members, 0);
        let tally = Tally::new(members.clone());
        let Ok(step) = voter.step(&Seen { world: &world, known: early }, &id(lost), &tally);
        // Rounds 4 and 6; both are for blocks higher than the one that changes the set.
        assert!(step.votes.iter().all(|vote| vote.ballot.target.height > 1), "{:?}", step.votes);
        step
    };
    let steps: Vec<_> = (0..2).map(voted).collect();
    let mut known = Bits::default();
    (0..=tip).for_each(|block| known.add(block));
    let mut voters: Vec<Voter> = steps.iter().map(|step| step.voter.clone()).collect();
    voters.push(Voter::new(hospital(2), &members, 0));
    let mut tally = Tally::new(members.clone());
    steps.iter().flat_map(|step| &step.votes).for_each(|vote| {
        tally.insert(verified(*vote));
    });
    settle(&world, known, &mut voters, &mut tally).unwrap();
    for voter in &voters {
        assert_eq!(number(&voter.state().last_final().block), changing);
        // Only now may the next set vote, on what lies above.
        let Ok(next) = voter.handover(&Seen { world: &world, known });
        assert_eq!(next.unwrap().state(), &VoterState::new(id(changing), 1));
    }
}
