//! Every order of events within bounds.
//!
//! A hospital's answer to an event depends on its own state alone, so the answers are computed once with the
//! real code and looked up afterwards. What a vote does, it does by completing a quorum; so a hospital learns of
//! whole quorums, at any time after they exist, and the hospital that misbehaves has voted for whatever lacks one vote.
//!
//! Where hospitals come and go, a hospital counts the votes of its own set only, signs the checkpoint of a change that
//! these decided, and follows a checkpoint that a quorum of those before the change signed. Checkpoints of other blocks
//! say no more than the votes they follow from.

use crate::bounds::{Bounds, Found, Mutation};
use crate::heal;
use crate::local::{Answer, Event, Local};
use crate::world::{Bits, Map, World, canonical, number};
use medledger_core::checkpoint::quorum;
use medledger_core::vote::{Ballot, Phase, Target, Vote};
use std::collections::VecDeque;

/// What a quorum signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Matter {
    /// Set of hospitals, ballot, whether a precommit.
    Vote(usize, Ballot, bool),
    /// The checkpoint that ends with this block, which changes the hospitals.
    Cosign(usize),
}

impl Matter {
    pub(crate) fn of(vote: &Vote) -> Self {
        Self::Vote(number(&vote.set), vote.ballot, vote.phase == Phase::Precommit)
    }
}

/// Numbers of checkpoints: this, and the block.
const COSIGN: usize = 1 << 15;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Global {
    locals: Vec<u32>,
    blocks: Bits,
    /// For each quorum that may come, the honest hospitals that have signed; ordered.
    signed: Vec<(u16, u8)>,
    mined: u8,
    crashes: u8,
}

pub(crate) struct Explorer {
    pub(crate) bounds: Bounds,
    pub(crate) world: World,
    /// For each hospital the first one that is a hospital whenever it is.
    pub(crate) like: Vec<usize>,
    ballots: Vec<(usize, Ballot)>,
    pub(crate) locals: Vec<Local>,
    numbers: Map<Local, u32>,
    pub(crate) answers: Map<(usize, u32, Event), Answer>,
    healed: heal::Memory,
}

impl Explorer {
    /// `world`: the blocks that exist from the beginning.
    pub(crate) fn new(bounds: Bounds, world: World) -> Self {
        let alike = |a: usize, b: usize| {
            (0..world.blocks.len()).all(|at| world.is_hospital(a, at) == world.is_hospital(b, at))
        };
        let like = |who: usize| (0..who).find(|other| alike(*other, who)).unwrap_or(who);
        let like: Vec<usize> = (0..bounds.honest).map(like).collect();
        assert!(like.is_sorted(), "hospitals that are alike have numbers in a row");
        Self {
            bounds,
            world,
            like,
            ballots: Vec::new(),
            locals: Vec::new(),
            numbers: Map::default(),
            answers: Map::default(),
            healed: heal::Memory::default(),
        }
    }

    /// Hospitals that signed, the one that misbehaves among them where it may, and how many of them are needed.
    fn has_quorum(&self, matter: Matter, honest: u8) -> bool {
        let counted_by_new = self.bounds.mutation == Some(Mutation::CheckpointOfTheNewSet);
        let set = match matter {
            Matter::Vote(set, ..) => set,
            Matter::Cosign(block) if counted_by_new => block,
            Matter::Cosign(block) => self.world.set_before(block),
        };
        let hospitals = self.world.blocks[set].hospitals;
        let other = self.bounds.misbehaves && self.world.is_hospital(self.bounds.honest, set);
        let found = (honest & hospitals).count_ones() as usize + usize::from(other);
        found >= quorum(hospitals.count_ones() as usize)
    }

    pub(crate) fn intern(&mut self, mut local: Local) -> u32 {
        local.state = canonical(&self.world.members(local.set()), local.state);
        if let Some(noted) = local.noted.take() {
            local.noted = Some(canonical(&self.world.members(number(&noted.set)), noted));
        }
        if let Some(known) = self.numbers.get(&local) {
            return *known;
        }
        let number = self.locals.len() as u32;
        self.locals.push(local.clone());
        self.numbers.insert(local, number);
        number
    }

    pub(crate) fn number_of(&mut self, matter: Matter) -> usize {
        match matter {
            Matter::Vote(set, ballot, precommit) => {
                let known = self.ballots.iter().position(|known| *known == (set, ballot));
                let at = known.unwrap_or_else(|| {
                    self.ballots.push((set, ballot));
                    self.ballots.len() - 1
                });
                2 * at + usize::from(precommit)
            }
            Matter::Cosign(block) => COSIGN + block,
        }
    }

    pub(crate) fn matter(&self, number: usize) -> Matter {
        match number.checked_sub(COSIGN) {
            Some(block) => Matter::Cosign(block),
            None => {
                let (set, ballot) = self.ballots[number / 2];
                Matter::Vote(set, ballot, number % 2 == 1)
            }
        }
    }

    fn signed<'a>(&'a self, global: &'a Global) -> impl Iterator<Item = (usize, Matter, u8)> + 'a {
        let signed = global.signed.iter();
        signed.map(|(number, by)| (usize::from(*number), self.matter((*number).into()), *by))
    }

    fn events(&self, global: &Global, who: usize) -> Vec<Event> {
        let local = &self.locals[global.locals[who] as usize];
        let mut events = Vec::new();
        for block in global.blocks.without(local.blocks).iter() {
            if local.blocks.has(self.world.blocks[block].parent) {
                events.push(Event::Block(block));
            }
        }
        let any_set = self.bounds.mutation == Some(Mutation::VotesOfTheNewSet);
        for (number, matter, by) in self.signed(global) {
            match matter {
                Matter::Vote(set, ..) if set != local.set() && !any_set => {}
                Matter::Vote(..) if local.quorums.has(number) => {}
                // It waits for the block, and for the checkpoint of a change below.
                Matter::Cosign(block)
                    if !local.blocks.has(block)
                        || any_set
                        || self.world.set_before(block) != local.set() => {}
                _ if !self.has_quorum(matter, by) => {}
                Matter::Vote(..) => events.push(Event::Quorum(number)),
                Matter::Cosign(block) => events.push(Event::Checkpoint(block)),
            }
        }
        if usize::from(global.mined) < self.bounds.mined {
            events.push(Event::Mine(false));
            events.extend(self.bounds.other.map(|_| Event::Mine(true)));
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
        for number in answer.signed {
            let number = number as u16;
            match next.signed.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(at) => next.signed[at].1 |= 1 << who,
                Err(at) => next.signed.insert(at, (number, 1 << who)),
            }
        }
        self.sort(&mut next);
        next
    }

    /// Where nobody mines, hospitals that come and go together differ in what they know and did, not in who they are: of
    /// the states that differ only in who is who, one is enough.
    fn sort(&self, global: &mut Global) {
        if self.bounds.mined > 0 {
            return;
        }
        let voted = |who: usize| {
            global.signed.iter().fold(0u64, |all, (_, by)| all << 1 | u64::from(by >> who & 1))
        };
        assert!(global.signed.len() <= 64, "the model's bounds are too wide");
        let mut order: Vec<usize> = (0..global.locals.len()).collect();
        order.sort_by_key(|who| (self.like[*who], global.locals[*who], voted(*who)));
        if order.is_sorted() {
            return;
        }
        global.locals = order.iter().map(|who| global.locals[*who]).collect();
        for (_, by) in &mut global.signed {
            let moved = order.iter().enumerate().map(|(new, old)| (*by >> old & 1) << new);
            *by = moved.sum();
        }
    }

    /// What is justified and what is decided, whether or not anybody knows it.
    fn quorums(&self, global: &Global) -> [Vec<Target>; 2] {
        let mut found = [Vec::new(), Vec::new()];
        for (_, matter, by) in self.signed(global) {
            match matter {
                _ if !self.has_quorum(matter, by) => {}
                Matter::Vote(_, ballot, precommit) => {
                    found[usize::from(precommit)].push(ballot.target);
                }
                Matter::Cosign(block) => found[1].push(self.world.target(block)),
            }
        }
        found
    }

    fn torn(&self, targets: &[Target]) -> bool {
        let mut pairs = targets.iter().flat_map(|a| targets.iter().map(move |b| (a, b)));
        pairs.any(|(a, b)| self.world.conflict(a, b))
    }

    /// Two votes of an honest hospital in one set, round and phase.
    fn voted_twice(&self, global: &Global) -> Option<String> {
        let votes: Vec<_> = self.signed(global).collect();
        for (at, (_, a, by_a)) in votes.iter().enumerate() {
            for (_, b, by_b) in &votes[at + 1..] {
                let (Matter::Vote(set, first, phase), Matter::Vote(other, second, also)) = (a, b)
                else {
                    continue;
                };
                let same = (set, phase, first.round) == (other, also, second.round);
                if same && by_a & by_b != 0 {
                    return Some(format!("{first:?} and {second:?} by {:b}", by_a & by_b));
                }
            }
        }
        None
    }

    /// Explores; stops at the first conflict of two decisions, and at the first state that cannot go on.
    pub(crate) fn explore(&mut self) -> Found {
        let mut blocks = Bits::default();
        (0..self.world.blocks.len()).for_each(|block| blocks.add(block));
        let local = self.intern(Local::new());
        let locals = vec![local; self.bounds.honest];
        let start = Global { locals, blocks, signed: Vec::new(), mined: 0, crashes: 0 };
        let mut depth = Map::from_iter([(start.clone(), 0usize)]);
        let mut queue = VecDeque::from([start]);
        let mut found = Found::default();
        while let Some(global) = queue.pop_front() {
            if self.bounds.most.is_some_and(|most| found.states >= most) {
                found.left = queue.len() + 1;
                break;
            }
            found.states += 1;
            let steps = depth[&global];
            found.depth = steps;
            let [justified, decided] = self.quorums(&global);
            found.deciding += usize::from(!decided.is_empty());
            found.torn += usize::from(self.torn(&justified));
            let changes = |(_, matter, by): (usize, Matter, u8)| {
                matches!(matter, Matter::Cosign(_)) && self.has_quorum(matter, by)
            };
            found.changed += usize::from(self.signed(&global).any(changes));
            if self.torn(&decided) {
                found.conflict = Some(steps);
                break;
            }
            match self.bounds.mutation {
                None => assert_eq!(self.voted_twice(&global), None),
                Some(Mutation::VotesBehindItsNote) if self.voted_twice(&global).is_some() => {
                    found.conflict = Some(steps);
                    break;
                }
                Some(_) => {}
            }
            if self.bounds.heals
                && let Err(why) = self.heal(&global)
            {
                found.stuck = Some(why);
                break;
            }
            for who in 0..self.bounds.honest {
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

    /// Whether the network goes on from this state once everybody hears everything that somebody still has.
    fn heal(&mut self, global: &Global) -> Result<(), String> {
        let locals = || global.locals.iter().map(|local| &self.locals[*local as usize]);
        let mut signed = Vec::new();
        for (number, matter, by) in self.signed(global) {
            let other = self.bounds.misbehaves && self.has_quorum(matter, by);
            // A quorum that somebody may have seen is passed on whole.
            let all = by | if other { 1 << self.bounds.honest } else { 0 };
            let kept = match matter {
                Matter::Cosign(_) => all,
                // Whoever went on to the next hospitals has let go of the votes of those before.
                Matter::Vote(set, ..) => {
                    let here = |local: &Local| local.set() == set;
                    let seen = locals().any(|local| here(local) && local.quorums.has(number));
                    let own = locals().enumerate().filter(|(_, local)| here(local));
                    let own = own.fold(0, |own, (who, _)| own | 1 << who);
                    let anybody = own != 0 && other;
                    if seen { all } else { by & own | if anybody { all & !by } else { 0 } }
                }
            };
            signed.push((matter, kept));
        }
        let states = locals().map(|local| local.state.clone()).collect();
        let noted = locals().map(|local| local.noted.clone()).collect();
        let start = heal::Start { states, noted, blocks: global.blocks, signed };
        let new = self.bounds.mutation == Some(Mutation::CheckpointOfTheNewSet);
        self.healed.check(&self.world, new, start)
    }
}
