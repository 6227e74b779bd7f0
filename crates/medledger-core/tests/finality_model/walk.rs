//! Random schedules far beyond what can be explored whole: each message on its own, lost, late or twice;
//! partitions, crashes, a hospital that votes and mines on both sides; then the network heals.
//!
//! Records are followed on their way, too: one accepted by a hospital is in its mempool or in a block of its
//! best branch, whatever reorganisations come, and in the end it is final.

use crate::world::{Bits, Seen, World, hospital, id, members, number, verified};
use medledger_core::vote::{
    Ballot, Members, Phase, Tally, Target, Trouble, Vote, Voter, VoterState,
};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn percent(&mut self, n: u64) -> bool {
        self.next() % 100 < n
    }
}

/// One hospital: what a crash spares, and what it does not.
struct Node {
    // Spared.
    known: Bits,
    voter: Voter,
    own: Vec<Vote>,
    accepted: u64,
    mempool: u64,
    tip: usize,
    // Not spared.
    tally: Tally,
}

#[derive(Clone, Copy)]
enum Message {
    Block(usize),
    Vote(Vote),
}

struct Network {
    world: World,
    members: Members,
    nodes: Vec<Node>,
    /// The last hospital misbehaves, if any does.
    honest: usize,
    random: Random,
    /// Sender, receiver, message.
    on_the_way: Vec<(usize, usize, Message)>,
    /// Hospitals that hear each other; one number a side.
    side: Vec<usize>,
    decided: Vec<Target>,
    records: u32,
}

impl Network {
    fn new(hospitals: usize, misbehaves: bool, seed: u64) -> Self {
        let members = members(hospitals, 0);
        let node = |who| {
            let mut known = Bits::default();
            known.add(0);
            Node {
                known,
                voter: Voter::new(hospital(who), &members, 0),
                own: Vec::new(),
                accepted: 0,
                mempool: 0,
                tip: 0,
                tally: Tally::new(members.clone()),
            }
        };
        Self {
            world: World::new(hospitals),
            nodes: (0..hospitals).map(node).collect(),
            honest: hospitals - usize::from(misbehaves),
            random: Random(seed),
            on_the_way: Vec::new(),
            side: vec![0; hospitals],
            decided: Vec::new(),
            members,
            records: 0,
        }
    }

    fn send(&mut self, from: usize, message: Message) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            self.on_the_way.push((from, to, message));
        }
    }

    fn receive(&mut self, who: usize, message: Message) {
        match message {
            Message::Vote(vote) => {
                self.nodes[who].tally.insert(verified(vote));
            }
            // Blocks come with those below them.
            Message::Block(mut block) => {
                while !self.nodes[who].known.has(block) {
                    self.nodes[who].known.add(block);
                    block = self.world.blocks[block].parent;
                }
            }
        }
        self.settle(who);
    }

    /// Records on the way from `block` down to, and without, `below`.
    fn records(&self, mut block: usize, below: usize) -> u64 {
        let mut records = 0;
        while block != below {
            records |= self.world.blocks[block].records;
            block = self.world.blocks[block].parent;
        }
        records
    }

    fn settle(&mut self, who: usize) {
        if who >= self.honest {
            return;
        }
        loop {
            let node = &self.nodes[who];
            let anchor = node.voter.anchor(&node.tally);
            let last = node.voter.state().last_final();
            let best = self.world.best_tip(&node.known, &anchor);
            let best = best.or_else(|| self.world.best_tip(&node.known, &last)).unwrap();
            self.reorganise(who, best);
            let node = &mut self.nodes[who];
            let seen = Seen { world: &self.world, known: node.known };
            let Ok(step) = node.voter.step(&seen, &id(best), &node.tally);
            assert!(!matches!(step.trouble, Some(Trouble::Conflict(_))), "{:?}", step.trouble);
            // One transaction: the state and the votes.
            node.voter = step.voter;
            node.own.extend(&step.votes);
            for vote in &step.votes {
                node.tally.insert(verified(*vote));
            }
            if let Some(target) = step.cosign {
                for other in &self.decided {
                    assert!(!self.world.conflict(&target, other), "{target:?} and {other:?}");
                }
                self.decided.push(target);
            }
            let quiet = step.votes.is_empty() && step.cosign.is_none();
            for vote in step.votes {
                self.send(who, Message::Vote(vote));
            }
            if quiet {
                return;
            }
        }
    }

    /// Moves to another tip: displaced records return to the mempool, those of the new branch leave it.
    fn reorganise(&mut self, who: usize, best: usize) {
        let mut fork = self.nodes[who].tip;
        while !self.world.descends(best, fork) {
            fork = self.world.blocks[fork].parent;
        }
        let last = self.nodes[who].voter.state().last_final();
        assert!(self.world.blocks[fork].height >= last.height, "a final block was left");
        let displaced = self.records(self.nodes[who].tip, fork);
        let taken = self.records(best, fork);
        let node = &mut self.nodes[who];
        node.mempool = (node.mempool | displaced) & !taken;
        node.tip = best;
        let kept = node.mempool | self.records(best, 0);
        let lost = self.nodes[who].accepted & !kept;
        assert_eq!(lost, 0, "records that were accepted are lost");
    }

    fn mine(&mut self, who: usize) {
        let (tip, records) = (self.nodes[who].tip, self.nodes[who].mempool);
        let block = self.world.mine(tip, who, records);
        self.nodes[who].known.add(block);
        self.settle(who);
        self.send(who, Message::Block(block));
    }

    fn accept(&mut self, who: usize) {
        if self.records < 60 {
            let record = 1 << self.records;
            self.records += 1;
            self.nodes[who].accepted |= record;
            self.nodes[who].mempool |= record;
        }
    }

    /// A crash: what was not durable is gone, and so is what was on the way from here.
    fn crash(&mut self, who: usize) {
        let node = &mut self.nodes[who];
        let state = VoterState::decode(&node.voter.state().encode()).expect("what was written");
        assert_eq!(&state, node.voter.state());
        node.tally = Tally::restored(self.members.clone(), &state);
        node.voter = Voter::restored(hospital(who), self.members.chain(), state);
        node.own.iter().for_each(|vote| {
            node.tally.insert(verified(*vote));
        });
        self.on_the_way.retain(|(from, ..)| *from != who);
        self.settle(who);
    }

    /// The misbehaving hospital mines where it likes and tells whom it likes, and agrees with each of
    /// the others on whatever that one has voted for.
    fn misbehave(&mut self) {
        let who = self.honest;
        let victim = self.random.below(self.honest);
        if self.random.percent(30) {
            let parent = self.random.below(self.world.blocks.len());
            let block = self.world.mine(parent, who, 0);
            self.on_the_way.push((who, victim, Message::Block(block)));
        } else if self.random.percent(50) {
            let ballots: Vec<(Ballot, bool)> = (0..self.honest)
                .flat_map(|one| &self.nodes[one].own)
                .map(|vote| (vote.ballot, vote.phase == Phase::Precommit))
                .collect();
            if !ballots.is_empty() {
                let (ballot, precommit) = ballots[self.random.below(ballots.len())];
                self.lie(victim, ballot, precommit);
            }
        } else {
            let block = self.random.below(self.world.blocks.len());
            if block > 0 {
                let height = self.world.blocks[block].height;
                let round = height + self.random.below(3) as u64;
                let ballot = Ballot::from((round, height, id(block)));
                let precommit = self.random.percent(30);
                self.lie(victim, ballot, precommit);
            }
        }
    }

    fn lie(&mut self, victim: usize, ballot: Ballot, precommit: bool) {
        let phase = if precommit { Phase::Precommit } else { Phase::Prevote { source: None } };
        let (chain, set) = (self.members.chain(), self.members.set());
        let vote = Vote { chain, set, voter: hospital(self.honest), phase, ballot };
        self.on_the_way.push((self.honest, victim, Message::Vote(vote)));
    }

    fn event(&mut self) {
        let who = self.random.below(self.nodes.len());
        match self.random.below(100) {
            0..85 if !self.on_the_way.is_empty() => {
                let at = self.random.below(self.on_the_way.len());
                let (from, to, message) = self.on_the_way[at];
                if self.side[from] != self.side[to] || self.random.percent(10) {
                    self.on_the_way.swap_remove(at);
                } else {
                    if self.random.percent(90) {
                        self.on_the_way.swap_remove(at);
                    }
                    self.receive(to, message);
                }
            }
            85..90 if who < self.honest && self.world.blocks.len() < 70 => self.mine(who),
            90..92 if who < self.honest => self.crash(who),
            92..95 if who < self.honest => self.accept(who),
            95 => self.side = (0..self.nodes.len()).map(|_| self.random.below(2)).collect(),
            96 => self.side.fill(0),
            _ if self.honest < self.nodes.len() => self.misbehave(),
            _ => {}
        }
    }

    /// Everybody tells everybody everything: own votes, certificates, blocks, accepted records.
    fn exchange(&mut self) {
        loop {
            let before: usize = self.nodes.iter().map(|node| node.own.len()).sum();
            let tips: Vec<usize> = self.nodes.iter().map(|node| node.tip).collect();
            let honest = self.honest;
            let pairs = (0..honest * honest).map(|n| (n % honest, n / honest));
            for (from, to) in pairs {
                let votes: Vec<Vote> =
                    self.nodes[from].tally.votes().map(|vote| *vote.vote()).collect();
                let state = self.nodes[from].voter.state().clone();
                let blocks: Vec<usize> =
                    self.nodes[from].known.without(self.nodes[to].known).iter().collect();
                let accepted = self.nodes[from].accepted & !self.nodes[to].accepted;
                let node = &mut self.nodes[to];
                // Certificates whole: the votes kept here may be others.
                node.tally.restore(&state);
                for vote in votes {
                    node.tally.insert(verified(vote));
                }
                blocks.into_iter().for_each(|block| node.known.add(block));
                node.accepted |= accepted;
                let tip = node.tip;
                self.nodes[to].mempool |= accepted & !self.records(tip, 0);
                self.settle(to);
            }
            let after: usize = self.nodes.iter().map(|node| node.own.len()).sum();
            let moved = self.nodes.iter().map(|node| node.tip).ne(tips);
            if before == after && !moved {
                return;
            }
        }
    }

    /// Heals; all that was accepted must become final everywhere.
    fn heal(&mut self) {
        self.on_the_way.clear();
        for _ in 0..40 {
            self.exchange();
            let all = self.nodes[0].accepted;
            let is_final = |node: &Node| {
                let last = number(&node.voter.state().last_final().block);
                self.records(last, 0) & all == all
            };
            if self.nodes[..self.honest].iter().all(is_final) {
                return;
            }
            let miner = (0..self.honest).find(|who| {
                let node = &self.nodes[*who];
                let seen = Seen { world: &self.world, known: node.known };
                let height = self.world.blocks[node.tip].height;
                // The height below which all records lie.
                let mut low = node.tip;
                while low != 0 && self.records(self.world.blocks[low].parent, 0) & all == all {
                    low = self.world.blocks[low].parent;
                }
                let wanted = self.world.blocks[low].height.min(height);
                let Ok(should) = node.voter.should_mine(&seen, &id(node.tip), &node.tally, wanted);
                node.mempool != 0 || should
            });
            let Some(miner) = miner else {
                panic!("not all is final and nobody is asked to mine\n{}", self.describe());
            };
            self.mine(miner);
        }
        panic!("healed, it does not go on");
    }

    fn describe(&self) -> String {
        let one = |node: &Node| {
            let state = node.voter.state();
            let seen = Seen { world: &self.world, known: node.known };
            let Ok(step) = node.voter.step(&seen, &id(node.tip), &node.tally);
            format!(
                "tip {} at {}, mempool {:x}, final {:?}, voted {}, last prevote {:?}, lock {:?}, justified {:?}, {:?}\n",
                node.tip,
                self.world.blocks[node.tip].height,
                node.mempool,
                state.last_final(),
                state.voted,
                state.prevotes.last(),
                state.lock,
                state.newest_justified(),
                step.trouble,
            )
        };
        self.nodes[..self.honest].iter().map(one).collect()
    }

    /// That nobody has evidence against a hospital that kept the rules.
    fn check_evidence(&self) -> usize {
        let culprit = hospital(self.honest);
        let mut found = 0;
        for node in &self.nodes[..self.honest] {
            for evidence in node.tally.evidence() {
                let text = format!("{evidence:?}");
                for honest in 0..self.honest {
                    let name = format!("voter: {:?}", hospital(honest));
                    assert!(!text.contains(&name), "evidence against an honest hospital: {text}");
                }
                found += 1;
            }
            let seen = Seen { world: &self.world, known: node.known };
            let Ok(ignored) = node.tally.find_ignored_lock(&seen);
            if let Some((precommit, _)) = ignored {
                assert_eq!(precommit.vote().voter, culprit, "an honest hospital ignored its lock");
                found += 1;
            }
        }
        found
    }
}

fn walk(hospitals: usize, misbehaves: bool, seeds: std::ops::Range<u64>) {
    let (mut early, mut blocks, mut convicted) = (0, 0, 0);
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let mut network = Network::new(hospitals, misbehaves, seed);
        for _ in 0..100 * hospitals {
            network.event();
        }
        early += usize::from(!network.decided.is_empty());
        network.heal();
        blocks += network.world.blocks.len();
        convicted += usize::from(network.check_evidence() > 0);
    }
    println!(
        "{hospitals} hospitals, misbehaving: {misbehaves}; {count} schedules, {blocks} blocks, something final \
         before healing in {early}, evidence in {convicted}"
    );
    assert!(early > 0, "nothing is ever final before the network heals");
    assert_eq!(convicted > 0, misbehaves, "evidence against whoever misbehaves, and nobody else");
}

#[test]
fn random_schedules_with_one_of_four_misbehaving_lose_no_record_and_decide_no_conflict() {
    walk(4, true, 0..1500);
}

#[test]
fn random_schedules_of_three_and_seven_lose_no_record_and_decide_no_conflict() {
    walk(3, false, 0..1000);
    walk(7, true, 0..300);
}
