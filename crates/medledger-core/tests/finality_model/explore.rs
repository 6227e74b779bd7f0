//! Every order of events within bounds.
//!
//! A hospital's answer to an event depends on its own state alone, so the answers are computed once with the
//! real code and looked up afterwards. What a vote does, it does by completing a quorum; so a hospital learns of
//! whole quorums, at any time after they exist, and the hospital that misbehaves has voted for whatever lacks one vote.

use crate::heal;
use crate::world::{Bits, Map, Seen, World, canonical, hospital, members, verified, votes_of};
use medledger_core::vote::{Ballot, Members, Phase, Tally, Vote, Voter, VoterState};
use std::collections::VecDeque;

/// A rule taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Hospitals forget what they are locked on and what they saw justified.
    NoLock,
    /// Hospitals forget in which rounds they prevoted, and what.
    NoMemoryOfPrevotes,
    /// A crash takes the state of the voter with it.
    NotDurable,
}

/// What is explored.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) hospitals: usize,
    /// Whether the last hospital misbehaves.
    pub(crate) misbehaves: bool,
    /// Blocks that may be mined, and on top of whose blocks they are from the beginning.
    pub(crate) mined: usize,
    pub(crate) crashes: usize,
    pub(crate) mutation: Option<Mutation>,
    /// Whether each state found must be able to go on once the network heals.
    pub(crate) heals: bool,
}

/// One honest hospital.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Local {
    pub(crate) blocks: Bits,
    /// Quorums it knows: twice the number of the ballot, plus one for precommits.
    quorums: Bits,
    pub(crate) state: VoterState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    Block(usize),
    Quorum(usize),
    Mine,
    Crash,
}

/// What an event brought: the hospital's new state, its votes, a block mined.
#[derive(Clone, Debug)]
struct Answer {
    local: u32,
    votes: Vec<usize>,
    mined: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Global {
    locals: Vec<u32>,
    blocks: Bits,
    /// For each quorum that may come, the honest hospitals that have voted; ordered.
    votes: Vec<(u16, u8)>,
    mined: u8,
    crashes: u8,
}

pub(crate) struct Explorer {
    pub(crate) bounds: Bounds,
    pub(crate) world: World,
    pub(crate) members: Members,
    ballots: Vec<Ballot>,
    locals: Vec<Local>,
    numbers: Map<Local, u32>,
    answers: Map<(usize, u32, Event), Answer>,
    pub(crate) healed: heal::Memory,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// States in which something is decided.
    pub(crate) deciding: usize,
    /// States in which two blocks are justified that lie on different branches.
    pub(crate) torn: usize,
    /// Steps to two conflicting decisions, if there are such.
    pub(crate) conflict: Option<usize>,
    /// States from which the network was healed, those alike counted once.
    pub(crate) healed: usize,
}

impl Explorer {
    /// `branches`: blocks that exist from the beginning, each as the miners of a branch above genesis.
    pub(crate) fn new(bounds: Bounds, branches: &[&[usize]]) -> Self {
        let mut world = World::new();
        for branch in branches {
            branch.iter().fold(0, |tip, miner| world.mine(tip, *miner, 0));
        }
        let members = members(bounds.hospitals, 0);
        Self {
            bounds,
            world,
            members,
            ballots: Vec::new(),
            locals: Vec::new(),
            numbers: Map::default(),
            answers: Map::default(),
            healed: heal::Memory::default(),
        }
    }

    fn honest(&self) -> usize {
        self.bounds.hospitals - usize::from(self.bounds.misbehaves)
    }

    /// Honest votes that make a quorum, the misbehaving hospital's beside them.
    fn needed(&self) -> u32 {
        (self.members.quorum() - usize::from(self.bounds.misbehaves)) as u32
    }

    fn intern(&mut self, mut local: Local) -> u32 {
        local.state = canonical(&self.members, local.state);
        if let Some(known) = self.numbers.get(&local) {
            return *known;
        }
        let number = self.locals.len() as u32;
        self.locals.push(local.clone());
        self.numbers.insert(local, number);
        number
    }

    fn quorum_number(&mut self, vote: &Vote) -> usize {
        let known = self.ballots.iter().position(|ballot| *ballot == vote.ballot);
        let ballot = known.unwrap_or_else(|| {
            self.ballots.push(vote.ballot);
            self.ballots.len() - 1
        });
        2 * ballot + usize::from(vote.phase == Phase::Precommit)
    }

    fn ballot(&self, quorum: usize) -> (Ballot, bool) {
        (self.ballots[quorum / 2], quorum % 2 == 1)
    }

    fn tally(&self, local: &Local) -> Tally {
        let mut tally = Tally::restored(self.members.clone(), &local.state);
        for quorum in local.quorums.iter() {
            let (ballot, precommit) = self.ballot(quorum);
            let phase = if precommit { Phase::Precommit } else { Phase::Prevote { source: None } };
            for vote in votes_of(&self.members, phase, ballot) {
                tally.insert(verified(*vote.vote()));
            }
        }
        tally
    }

    /// Lets a hospital do all there is to do.
    fn settle(&mut self, who: usize, mut local: Local) -> (Local, Vec<usize>) {
        let mut votes = Vec::new();
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
                _ => {}
            }
            let mut tally = self.tally(&local);
            if self.bounds.mutation == Some(Mutation::NoLock) {
                tally = self.precommit_only(who, &mut local, &tally, &mut votes);
            }
            let voter = Voter::restored(hospital(who), self.members.chain(), local.state.clone());
            let anchor = voter.anchor(&tally);
            let tip = self.world.best_tip(&local.blocks, &anchor);
            let tip = tip.or_else(|| self.world.best_tip(&local.blocks, &local.state.last_final()));
            let seen = Seen { world: &self.world, known: local.blocks };
            let tip = crate::world::id(tip.expect("what is final is known"));
            let Ok(step) = voter.step(&seen, &tip, &tally);
            local.state = step.voter.state().clone();
            let before = votes.len();
            for vote in &step.votes {
                let number = self.quorum_number(vote);
                if !votes.contains(&number) {
                    votes.push(number);
                }
            }
            if votes.len() == before && step.cosign.is_none() {
                return (local, votes);
            }
        }
    }

    /// Lets a hospital precommit, then forget it; returns a tally that knows of nothing justified.
    fn precommit_only(
        &mut self,
        who: usize,
        local: &mut Local,
        tally: &Tally,
        votes: &mut Vec<usize>,
    ) -> Tally {
        let voter = Voter::restored(hospital(who), self.members.chain(), local.state.clone());
        let seen = Seen { world: &self.world, known: local.blocks };
        // There is nothing to prevote on top of a final block.
        let Ok(step) = voter.step(&seen, &local.state.last_final().block, tally);
        local.state = step.voter.state().clone();
        local.state.lock = None;
        local.state.justified = None;
        for vote in &step.votes {
            let number = self.quorum_number(vote);
            if !votes.contains(&number) {
                votes.push(number);
            }
        }
        let mut fresh = Tally::restored(self.members.clone(), &local.state);
        for vote in tally.votes().filter(|vote| vote.vote().phase == Phase::Precommit) {
            fresh.insert(*vote);
        }
        fresh
    }

    fn answer(&mut self, who: usize, number: u32, event: Event) -> Answer {
        // Only what is mined depends on who it is.
        let who = if self.bounds.mined > 0 { who } else { 0 };
        if let Some(known) = self.answers.get(&(who, number, event)) {
            return known.clone();
        }
        let mut local = self.locals[number as usize].clone();
        let mut mined = None;
        match event {
            Event::Block(block) => local.blocks.add(block),
            Event::Quorum(quorum) => local.quorums.add(quorum),
            Event::Crash => {
                local.quorums = Bits::default();
                if self.bounds.mutation == Some(Mutation::NotDurable) {
                    local.state = VoterState::new(self.members.set(), 0);
                }
            }
            Event::Mine => {
                let tally = self.tally(&local);
                let voter =
                    Voter::restored(hospital(who), self.members.chain(), local.state.clone());
                let anchor = voter.anchor(&tally);
                if let Some(tip) = self.world.best_tip(&local.blocks, &anchor) {
                    let block = self.world.mine(tip, who, 0);
                    local.blocks.add(block);
                    mined = Some(block);
                }
            }
        }
        let (local, votes) = self.settle(who, local);
        let answer = Answer { local: self.intern(local), votes, mined };
        self.answers.insert((who, number, event), answer.clone());
        answer
    }

    fn events(&self, global: &Global, who: usize) -> Vec<Event> {
        let local = &self.locals[global.locals[who] as usize];
        let mut events = Vec::new();
        for block in global.blocks.without(local.blocks).iter() {
            if local.blocks.has(self.world.blocks[block].parent) {
                events.push(Event::Block(block));
            }
        }
        for (quorum, voters) in &global.votes {
            let quorum = usize::from(*quorum);
            if voters.count_ones() >= self.needed() && !local.quorums.has(quorum) {
                events.push(Event::Quorum(quorum));
            }
        }
        if usize::from(global.mined) < self.bounds.mined {
            events.push(Event::Mine);
        }
        if usize::from(global.crashes) < self.bounds.crashes {
            events.push(Event::Crash);
        }
        events
    }

    fn after(&mut self, global: &Global, who: usize, event: Event) -> Global {
        let answer = self.answer(who, global.locals[who], event);
        let mut next = global.clone();
        next.locals[who] = answer.local;
        next.crashes += u8::from(event == Event::Crash);
        if let Some(block) = answer.mined {
            next.blocks.add(block);
            next.mined += 1;
        }
        for quorum in answer.votes {
            let quorum = quorum as u16;
            match next.votes.binary_search_by_key(&quorum, |(number, _)| *number) {
                Ok(at) => next.votes[at].1 |= 1 << who,
                Err(at) => next.votes.insert(at, (quorum, 1 << who)),
            }
        }
        self.sort(&mut next);
        next
    }

    /// Where nobody mines, hospitals differ in what they know and did, not in who they are: of the states
    /// that differ only in who is who, one is enough.
    fn sort(&self, global: &mut Global) {
        if self.bounds.mined > 0 {
            return;
        }
        let voted = |who: usize| {
            global.votes.iter().fold(0u64, |all, (_, by)| all << 1 | u64::from(by >> who & 1))
        };
        assert!(global.votes.len() <= 64, "the model's bounds are too wide");
        let mut order: Vec<usize> = (0..global.locals.len()).collect();
        order.sort_by_key(|who| (global.locals[*who], voted(*who)));
        if order.is_sorted() {
            return;
        }
        global.locals = order.iter().map(|who| global.locals[*who]).collect();
        for (_, by) in &mut global.votes {
            let moved = order.iter().enumerate().map(|(new, old)| (*by >> old & 1) << new);
            *by = moved.sum();
        }
    }

    /// What is justified and what is decided, whether or not anybody knows it.
    fn quorums(&self, global: &Global) -> [Vec<Ballot>; 2] {
        let mut found = [Vec::new(), Vec::new()];
        for (quorum, voters) in &global.votes {
            if voters.count_ones() >= self.needed() {
                let (ballot, precommit) = self.ballot(usize::from(*quorum));
                found[usize::from(precommit)].push(ballot);
            }
        }
        found
    }

    fn torn(&self, ballots: &[Ballot]) -> bool {
        let pairs = ballots.iter().flat_map(|a| ballots.iter().map(move |b| (a, b)));
        pairs.into_iter().any(|(a, b)| self.world.conflict(&a.target, &b.target))
    }

    /// That no honest hospital has voted twice in one round and phase.
    fn check_votes(&self, global: &Global) {
        for (at, (a, by_a)) in global.votes.iter().enumerate() {
            for (b, by_b) in &global.votes[at + 1..] {
                let ((first, _), (second, _)) =
                    (self.ballot((*a).into()), self.ballot((*b).into()));
                let same = a % 2 == b % 2 && first.round == second.round;
                assert!(!same || by_a & by_b == 0, "{first:?} and {second:?} by {:b}", by_a & by_b);
            }
        }
    }

    /// Explores; stops at the first conflict of two decisions.
    pub(crate) fn explore(&mut self) -> Found {
        let mut blocks = Bits::default();
        (0..self.world.blocks.len()).for_each(|block| blocks.add(block));
        let mut known = Bits::default();
        known.add(0);
        let state = VoterState::new(self.members.set(), 0);
        let local = self.intern(Local { blocks: known, quorums: Bits::default(), state });
        let locals = vec![local; self.honest()];
        let start = Global { locals, blocks, votes: Vec::new(), mined: 0, crashes: 0 };
        let mut depth = Map::from_iter([(start.clone(), 0usize)]);
        let mut queue = VecDeque::from([start]);
        let mut found = Found::default();
        while let Some(global) = queue.pop_front() {
            found.states += 1;
            let steps = depth[&global];
            let [justified, decided] = self.quorums(&global);
            found.deciding += usize::from(!decided.is_empty());
            found.torn += usize::from(self.torn(&justified));
            if self.torn(&decided) {
                found.conflict = Some(steps);
                break;
            }
            if self.bounds.mutation.is_none() {
                self.check_votes(&global);
            }
            if self.bounds.heals {
                self.heal(&global);
            }
            for who in 0..self.honest() {
                for event in self.events(&global, who) {
                    found.transitions += 1;
                    let next = self.after(&global, who, event);
                    if !depth.contains_key(&next) {
                        depth.insert(next.clone(), steps + 1);
                        queue.push_back(next);
                    }
                }
            }
        }
        found.healed = self.healed.len();
        found
    }

    fn heal(&mut self, global: &Global) {
        let states = global.locals.iter().map(|local| self.locals[*local as usize].state.clone());
        let mut votes = Vec::new();
        for (quorum, voters) in &global.votes {
            let (ballot, precommit) = self.ballot(usize::from(*quorum));
            let enough = self.bounds.misbehaves && voters.count_ones() >= self.needed();
            // A quorum that somebody may have seen is passed on whole.
            let all = *voters | if enough { 1 << self.honest() } else { 0 };
            votes.push((ballot, precommit, all));
        }
        let start = heal::Start { states: states.collect(), blocks: global.blocks, votes };
        self.healed.check(&self.world, &self.members, start);
    }
}
