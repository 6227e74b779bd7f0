//! Going on after the network has healed: everybody learns everything, and whoever is asked to mines.

use crate::explore::Matter;
use crate::local::bind;
use crate::world::{Bits, Seen, World, canonical, hospital, id, members, number, verified};
use medledger_core::checkpoint::quorum;
use medledger_core::vote::{Phase, Tally, Vote, Voter, VoterState};
use std::collections::{BTreeMap, HashSet};

/// Where the honest hospitals are when the network heals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Start {
    pub(crate) states: Vec<VoterState>,
    /// What they have noted of votes in a set of hospitals that they do not know yet.
    pub(crate) noted: Vec<Option<VoterState>>,
    pub(crate) blocks: Bits,
    /// What somebody still has, and who signed it.
    pub(crate) signed: Vec<(Matter, u8)>,
}

/// Starts that were tried.
#[derive(Debug, Default)]
pub(crate) struct Memory(HashSet<Start>);

impl Memory {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Checks that what is on the best branch now becomes final, by no more than a dozen blocks for each set of hospitals,
    /// with the one that misbehaves silent, and with blocks only by those that the voter asks for. Whether checkpoints of
    /// changes are `counted_by_new` hospitals.
    pub(crate) fn check(
        &mut self,
        world: &World,
        counted_by_new: bool,
        start: Start,
    ) -> Result<(), String> {
        if self.0.contains(&start) {
            return Ok(());
        }
        run(world.clone(), counted_by_new, &start).map_err(|why| {
            format!("healed, it does not go on: {why}\nfrom {start:#?}\nin {world:#?}")
        })?;
        self.0.insert(start);
        Ok(())
    }
}

/// What everybody knows, and how far each of the honest is.
struct Healed {
    world: World,
    known: Bits,
    voters: Vec<Voter>,
    noted: Vec<Option<VoterState>>,
    /// For each set of hospitals.
    tallies: BTreeMap<usize, Tally>,
    /// Who signed the checkpoint of a change.
    cosigned: BTreeMap<usize, u8>,
    counted_by_new: bool,
}

fn run(world: World, counted_by_new: bool, start: &Start) -> Result<(), String> {
    let mut healed = Healed::new(world, counted_by_new, start);
    let newest = healed.voters.iter().max_by_key(|voter| voter.state().base.height);
    let newest = newest.ok_or("there is nobody")?;
    let anchor = newest.anchor(&healed.tallies[&set(newest)]);
    let wanted = healed.world.best_tip(&healed.known, &anchor).ok_or("the anchor is unknown")?;
    let height = healed.world.blocks[wanted].height;
    let sets = (0..healed.world.blocks.len()).filter(|block| healed.world.changes_set(*block));
    for _ in 0..12 * (1 + sets.count()) {
        let tip = healed.settle()?;
        let mut last = healed.voters.iter().map(|voter| voter.state().last_final().height);
        if last.all(|last| last >= height) {
            return Ok(());
        }
        let miner = healed.asked(tip, height).ok_or("nobody who may is asked to mine")?;
        let block = healed.world.mine(tip, miner, 0);
        healed.known.add(block);
    }
    Err("a dozen blocks for each set were not enough".into())
}

fn set(voter: &Voter) -> usize {
    number(&voter.state().set)
}

impl Healed {
    fn new(world: World, counted_by_new: bool, start: &Start) -> Self {
        let chain = world.members(0).chain();
        let (mut tallies, mut cosigned) = (BTreeMap::new(), BTreeMap::new());
        let (mut voters, known) = (Vec::new(), start.blocks);
        for (who, state) in start.states.iter().enumerate() {
            let members = world.members(number(&state.set));
            let state = canonical(&members, state.clone());
            let tally = || Tally::new(members);
            tallies.entry(number(&state.set)).or_insert_with(tally).restore(&state);
            voters.push(Voter::restored(hospital(who), chain, state));
        }
        for (matter, by) in &start.signed {
            match *matter {
                Matter::Cosign(block) => drop(cosigned.insert(block, *by)),
                Matter::Vote(at, ballot, precommit) => {
                    // If nobody is in that set any more, nobody cares.
                    let Some(tally) = tallies.get_mut(&at) else { continue };
                    let phase =
                        if precommit { Phase::Precommit } else { Phase::Prevote { source: None } };
                    for who in (0..8).filter(|who| by >> who & 1 == 1) {
                        let (set, voter) = (id(at), hospital(who));
                        tally.insert(verified(Vote { chain, set, voter, phase, ballot }));
                    }
                }
            }
        }
        let noted = start.noted.clone();
        Self { world, known, voters, noted, tallies, cosigned, counted_by_new }
    }

    /// Lets all do what there is to do until nothing comes; returns the tip.
    fn settle(&mut self) -> Result<usize, String> {
        loop {
            let mut tips = Vec::new();
            let mut quiet = true;
            for who in 0..self.voters.len() {
                tips.push(self.step(who, &mut quiet)?);
            }
            if !quiet {
                continue;
            }
            let first = set(&self.voters[0]);
            if self.voters.iter().any(|voter| set(voter) != first) {
                return Err("some are left behind in an earlier set of hospitals".into());
            }
            assert!(tips.windows(2).all(|pair| pair[0] == pair[1]), "all see the same best branch");
            return Ok(tips[0]);
        }
    }

    fn step(&mut self, who: usize, quiet: &mut bool) -> Result<usize, String> {
        let voter = &self.voters[who];
        let at = set(voter);
        let new = || Tally::new(self.world.members(at));
        let tally = self.tallies.entry(at).or_insert_with(new);
        let anchor = voter.anchor(tally);
        let tip = self.world.best_tip(&self.known, &anchor).ok_or("the anchor is unknown")?;
        let seen = Seen { world: &self.world, known: self.known };
        let Ok(step) = voter.step(&seen, &id(tip), tally);
        if let Some(trouble) = step.trouble {
            return Err(trouble.to_string());
        }
        *quiet &= step.votes.is_empty() && step.cosign.is_none();
        self.voters[who] = step.voter;
        let silent = self.noted[who].is_some();
        for vote in step.votes.into_iter().filter(|_| !silent) {
            tally.insert(verified(vote));
        }
        let change = step.cosign.map(|target| number(&target.block));
        if let Some(change) = change.filter(|block| self.world.changes_set(*block))
            && !silent
            && self.world.is_hospital(who, at)
        {
            *self.cosigned.entry(change).or_default() |= 1 << who;
        }
        let counts = |(block, by): (&usize, &u8)| {
            let hospitals =
                self.world.blocks[if self.counted_by_new { *block } else { at }].hospitals;
            let found = (by & hospitals).count_ones() as usize;
            let enough = found >= quorum(hospitals.count_ones() as usize);
            (self.world.set_before(*block) == at && enough).then_some(*block)
        };
        if let Some(change) = self.cosigned.iter().find_map(counts) {
            *quiet = false;
            let target = self.world.target(change);
            let mut state = VoterState::new(target.block, target.height);
            self.noted[who] = self.noted[who].take().and_then(|noted| bind(&mut state, noted));
            let members = self.world.members(change);
            let chain = members.chain();
            self.tallies.entry(change).or_insert_with(|| Tally::new(members)).restore(&state);
            self.voters[who] = Voter::restored(hospital(who), chain, state);
        }
        Ok(tip)
    }

    /// Somebody who may and should mine, so that what lies at this height becomes final: first of all the lowest change
    /// that is not, for a change is a record and the other blocks may be empty.
    fn asked(&self, tip: usize, height: u64) -> Option<usize> {
        let last = self.voters[0].state().last_final().height;
        let (mut height, mut block) = (height, tip);
        while self.world.blocks[block].height > last {
            if self.world.changes_set(block) {
                height = self.world.blocks[block].height;
            }
            block = self.world.blocks[block].parent;
        }
        let seen = Seen { world: &self.world, known: self.known };
        self.voters.iter().enumerate().position(|(who, voter)| {
            let tally = &self.tallies[&set(voter)];
            let Ok(should) = voter.should_mine(&seen, &id(tip), tally, height);
            should && self.world.is_hospital(who, tip)
        })
    }
}

/// A hospital that voted in a later round of a branch that was given up is not lost: the block that
/// changes the set is voted for again in a later round. If rounds were heights of the targets
/// themselves, its round would have passed for ever, and nothing above may be voted for before it is final.
#[test]
fn a_block_that_changes_the_set_is_decided_after_votes_above_its_height_elsewhere() {
    let mut world = World::new(4);
    let lost = [3, 1, 2, 3, 1, 2].into_iter().fold(0, |tip, miner| world.mine(tip, miner, 0));
    let changing = world.change(0, 0, 4);
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
    loop {
        let before = voters.clone();
        for voter in &mut voters {
            let Ok(step) = voter.step(&Seen { world: &world, known }, &id(tip), &tally);
            assert_eq!(step.trouble, None);
            *voter = step.voter;
            step.votes.into_iter().for_each(|vote| {
                tally.insert(verified(vote));
            });
        }
        if voters == before {
            break;
        }
    }
    for voter in &voters {
        assert_eq!(number(&voter.state().last_final().block), changing);
        // Only now may the next set vote, on what lies above.
        let Ok(next) = voter.handover(&Seen { world: &world, known });
        assert_eq!(next.unwrap().state(), &VoterState::new(id(changing), 1));
    }
}
