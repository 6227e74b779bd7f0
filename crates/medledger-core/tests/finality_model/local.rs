//! What one hospital answers to an event: the real code, and what it forgets where a rule is taken away.

use crate::bounds::Mutation;
use crate::explore::{Explorer, Matter};
use crate::world::{Bits, Seen, Unchanging, hospital, id, number, verified, votes_of};
use medledger_core::ids::ChainId;
use medledger_core::vote::{Phase, Step, Tally, Target, Voter, VoterState};

/// One honest hospital.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Local {
    pub(crate) blocks: Bits,
    /// Quorums of votes it knows, those of its set of hospitals.
    pub(crate) quorums: Bits,
    pub(crate) state: VoterState,
    /// What it has noted of its votes in a set of hospitals that has yet to come here again.
    pub(crate) noted: Option<VoterState>,
    /// What it remembers for other sets; only where it votes by one that is not final.
    pub(crate) aside: Vec<VoterState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// It hears of a block.
    Block(usize),
    /// It hears of the votes of a quorum.
    Quorum(usize),
    /// It hears of the checkpoint of a block that changes the hospitals.
    Checkpoint(usize),
    /// It mines on its best branch; with the change, or without one.
    Mine(bool),
    /// It forgets all but what is durable.
    Crash,
}

/// What an event brought: the hospital's new state, what it signed, a block mined.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) local: u32,
    pub(crate) signed: Vec<usize>,
    pub(crate) mined: Option<usize>,
}

impl Local {
    /// One that has seen nothing but genesis.
    pub(crate) fn new() -> Self {
        let mut blocks = Bits::default();
        blocks.add(0);
        let (quorums, aside) = (Bits::default(), Vec::new());
        Self { blocks, quorums, state: VoterState::new(id(0), 0), noted: None, aside }
    }

    /// The block that made its hospitals.
    pub(crate) fn set(&self) -> usize {
        number(&self.state.set)
    }

    /// What the checkpoint of a change does: the hospitals after it vote, from there on and with nothing behind them.
    fn hand_over(&mut self, change: Target) {
        self.state = VoterState::new(change.block, change.height);
        self.quorums = Bits::default();
        self.noted = self.noted.take().and_then(|noted| bind(&mut self.state, noted));
    }

    /// Goes back to before the first vote, also of a set of hospitals before.
    fn put_back(&mut self) {
        let first = VoterState::new(id(0), 0);
        let known = std::mem::replace(&mut self.state, first);
        self.noted = bind(&mut self.state, self.noted.take().unwrap_or(known));
    }
}

/// Binds a state to what was noted; what is of a later set of hospitals waits for that.
pub(crate) fn bind(state: &mut VoterState, noted: VoterState) -> Option<VoterState> {
    state.bind(&noted.pledge());
    (noted.base.height > state.base.height).then_some(noted)
}

fn chain() -> ChainId {
    ChainId::from(id(0))
}

impl Explorer {
    fn tally(&self, local: &Local) -> Tally {
        let members = self.world.members(local.set());
        let mut tally = Tally::restored(members.clone(), &local.state);
        for quorum in local.quorums.iter() {
            let Matter::Vote(set, ballot, precommit) = self.matter(quorum) else { continue };
            let phase = if precommit { Phase::Precommit } else { Phase::Prevote { source: None } };
            if set == local.set() {
                for vote in votes_of(&members, phase, ballot) {
                    tally.insert(verified(*vote.vote()));
                }
            }
        }
        tally
    }

    fn voter(who: usize, local: &Local) -> Voter {
        Voter::restored(hospital(who), chain(), local.state.clone())
    }

    fn step(&self, voter: &Voter, local: &Local, tip: usize, tally: &Tally) -> Step {
        let seen = Seen { world: &self.world, known: local.blocks };
        let unchanging = self.bounds.mutation == Some(Mutation::VotesAboveAChange);
        let Ok(step) = if unchanging {
            voter.step(&Unchanging(seen), &id(tip), tally)
        } else {
            voter.step(&seen, &id(tip), tally)
        };
        step
    }

    fn tip(&self, voter: &Voter, local: &Local, tally: &Tally) -> usize {
        let tip = self.world.best_tip(&local.blocks, &voter.anchor(tally));
        let last = || self.world.best_tip(&local.blocks, &local.state.last_final());
        tip.or_else(last).expect("what is final is known")
    }

    /// Lets a hospital do all there is to do.
    fn settle(&mut self, who: usize, mut local: Local) -> (Local, Vec<usize>) {
        let mut signed = Vec::new();
        loop {
            match self.bounds.mutation {
                Some(Mutation::NoLock) => {
                    local.state.lock = None;
                    local.state.justified = None;
                }
                Some(Mutation::NoMemoryOfPrevotes) => {
                    local.state.voted = 0;
                    local.state.prevotes.clear();
                }
                Some(Mutation::VotesOfTheNewSet) => self.take_set_of_tip(&mut local),
                _ => {}
            }
            let mut tally = self.tally(&local);
            if self.bounds.mutation == Some(Mutation::NoLock) {
                tally = self.precommit_only(who, &mut local, &tally, &mut signed);
            }
            let voter = Self::voter(who, &local);
            let tip = self.tip(&voter, &local, &tally);
            let step = self.step(&voter, &local, tip, &tally);
            let set = local.set();
            local.state = step.voter.state().clone();
            let before = signed.len();
            let silent =
                self.bounds.mutation != Some(Mutation::VotesBehindItsNote) && local.noted.is_some();
            for vote in step.votes.iter().filter(|_| !silent) {
                self.sign(Matter::of(vote), &mut signed);
            }
            let cosigned =
                step.cosign.filter(|target| self.world.changes_set(number(&target.block)));
            if let Some(change) = cosigned {
                if self.world.is_hospital(who, set) && !silent {
                    self.sign(Matter::Cosign(number(&change.block)), &mut signed);
                }
                if self.bounds.mutation == Some(Mutation::HandoverByVotes) {
                    local.hand_over(change);
                }
            }
            let more = if silent { !step.votes.is_empty() } else { signed.len() > before };
            if !more && step.cosign.is_none() {
                return (local, signed);
            }
        }
    }

    fn sign(&mut self, matter: Matter, signed: &mut Vec<usize>) {
        let number = self.number_of(matter);
        if !signed.contains(&number) {
            signed.push(number);
        }
    }

    /// Lets a hospital precommit, then forget it; returns a tally that knows of nothing justified.
    fn precommit_only(
        &mut self,
        who: usize,
        local: &mut Local,
        tally: &Tally,
        signed: &mut Vec<usize>,
    ) -> Tally {
        // There is nothing to prevote on top of a final block.
        let last = number(&local.state.last_final().block);
        let step = self.step(&Self::voter(who, local), local, last, tally);
        local.state = step.voter.state().clone();
        local.state.lock = None;
        local.state.justified = None;
        for vote in &step.votes {
            self.sign(Matter::of(vote), signed);
        }
        let mut fresh = Tally::restored(tally.members().clone(), &local.state);
        for vote in tally.votes().filter(|vote| vote.vote().phase == Phase::Precommit) {
            fresh.insert(*vote);
        }
        fresh
    }

    /// Lets those vote who are hospitals after the heaviest branch, whoever is known to be final.
    fn take_set_of_tip(&self, local: &mut Local) {
        let states = local.aside.iter().chain([&local.state]);
        let last = states.map(VoterState::last_final).max_by_key(|last| last.height);
        let last = last.expect("there is one state");
        let tip = self.world.best_tip(&local.blocks, &last).expect("what is final is known");
        let set = self.world.blocks[tip].set;
        if set == local.set() {
            return;
        }
        let known = local.aside.iter().position(|state| number(&state.set) == set);
        let fresh = || VoterState { base: last, ..VoterState::new(id(set), last.height) };
        let next = known.map_or_else(fresh, |at| local.aside.remove(at));
        local.aside.push(std::mem::replace(&mut local.state, next));
        local.aside.sort_by_key(|state| number(&state.set));
    }

    pub(crate) fn answer(&mut self, who: usize, local: u32, event: Event) -> Answer {
        // Only what is mined depends on who it is, among those that are hospitals at the same times.
        let who = if self.bounds.mined > 0 { who } else { self.like[who] };
        if let Some(known) = self.answers.get(&(who, local, event)) {
            return known.clone();
        }
        let before = local;
        let mut local = self.locals[local as usize].clone();
        let mut mined = None;
        match event {
            Event::Block(block) => local.blocks.add(block),
            Event::Quorum(quorum) => local.quorums.add(quorum),
            Event::Checkpoint(block) => local.hand_over(self.world.target(block)),
            Event::Crash => {
                local.quorums = Bits::default();
                if self.bounds.mutation == Some(Mutation::NotDurable) {
                    local.state = VoterState::new(local.state.set, local.state.base.height);
                }
                if self.bounds.restores {
                    local.put_back();
                }
            }
            Event::Mine(changes) => mined = self.mine(who, &mut local, changes),
        }
        let (local, signed) = self.settle(who, local);
        let answer = Answer { local: self.intern(local), signed, mined };
        self.answers.insert((who, before, event), answer.clone());
        answer
    }

    fn mine(&mut self, who: usize, local: &mut Local, changes: bool) -> Option<usize> {
        let tally = self.tally(local);
        let anchor = Self::voter(who, local).anchor(&tally);
        let tip = self.world.best_tip(&local.blocks, &anchor)?;
        // No hospital comes or goes twice.
        let other = self.bounds.other.filter(|_| changes && self.world.blocks[tip].set == 0);
        if !self.world.is_hospital(who, tip) || changes != other.is_some() {
            return None;
        }
        let block = match other {
            Some(other) => self.world.change(tip, who, other),
            None => self.world.mine(tip, who, 0),
        };
        local.blocks.add(block);
        Some(block)
    }
}
