//! When a hospital votes, and for what.

use super::{
    Awaited, Ballot, BlockInfo, BlockTree, Members, Phase, Tally, Target, Vote, VoterState,
};
use crate::ids::{BlockId, ChainId, MemberId};
use crate::registry::limit;
use std::collections::BTreeSet;

/// A hospital as a voter: a pure state machine.
///
/// The caller keeps three things up to date and asks [`step`](Self::step) whenever one of them has
/// changed: the tree of blocks, the tip of the heaviest branch that contains [`anchor`](Self::anchor), and
/// the tally of votes. It stores [`Step::voter`]'s [`state`](Self::state) and the signed votes of the step in
/// one transaction, then puts the votes into its own tally, sends them, and asks again until nothing comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    id: MemberId,
    chain: ChainId,
    state: VoterState,
}

/// What one step brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The voter afterwards. Its state must be durable before anything of this step leaves the house.
    pub voter: Voter,
    /// Votes to sign, count and send, in this order.
    pub votes: Vec<Vote>,
    /// A block that has become final: its checkpoint, of as many blocks as its height and one, is to be cosigned.
    pub cosign: Option<Target>,
    /// What kept it from voting, if something did that is not mere lack of blocks.
    pub trouble: Option<Trouble>,
}

/// Why a voter waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// A quorum has voted for a block that is not here: fetch it.
    #[error("block {} at height {} was voted for by a quorum and is not here", .0.block, .0.height)]
    Missing(Target),
    /// The tip is not on a branch through the last final and the newest justified block: choose another.
    #[error("the tip is not above block {} at height {}, which was voted for by a quorum", .0.block, .0.height)]
    Elsewhere(Target),
    /// A quorum decided against the last final block: more than a third of the hospitals misbehaved. It neither votes
    /// nor cosigns any more; operators must look at the evidence.
    #[error("block {} at height {} was decided against what is final here", .0.block, .0.height)]
    Conflict(Target),
    /// An older state was put back: what it is locked on is known, but not the votes that led to it. Other hospitals
    /// have them.
    #[error("the votes of round {} for block {}, which it is locked on, are not here", .0.round, .0.target.block)]
    Forgot(Ballot),
}

/// One block on the way from the tip down to the last final block.
struct Below {
    id: BlockId,
    info: BlockInfo,
}

impl Voter {
    /// A hospital that has not voted since the block at this height made its set of hospitals.
    #[must_use]
    pub const fn new(id: MemberId, members: &Members, height: u64) -> Self {
        let state = VoterState::new(members.set(), height);
        Self { id, chain: members.chain(), state }
    }

    /// A hospital that goes on from what it had stored.
    #[must_use]
    pub const fn restored(id: MemberId, chain: ChainId, state: VoterState) -> Self {
        Self { id, chain, state }
    }

    /// What is to be stored.
    #[must_use]
    pub const fn state(&self) -> &VoterState {
        &self.state
    }

    /// The block that every branch to be mined or voted on must contain: the newest justified one
    /// known, or the last final one. Among the branches that do, the heaviest is the best.
    #[must_use]
    pub fn anchor(&self, tally: &Tally) -> Target {
        let known = [tally.justified(), tally.decided()].into_iter().flatten().map(|c| c.ballot());
        let newest = known.chain(self.state.newest_justified()).max_by_key(|ballot| ballot.round);
        newest.map_or(self.state.base, |ballot| ballot.target)
    }

    /// What there is to do now that `tip` is the best branch's newest block; see the type.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn step<T: BlockTree>(
        &self,
        tree: &T,
        tip: &BlockId,
        tally: &Tally,
    ) -> Result<Step, T::Error> {
        let mut voter = self.clone();
        let mut step = (Vec::new(), None);
        let trouble = voter.advance(tree, tip, tally, &mut step)?;
        let (phases, cosign) = step;
        let votes = phases.into_iter().map(|(phase, ballot)| voter.vote(phase, ballot)).collect();
        Ok(Step { voter, votes, cosign, trouble })
    }

    fn vote(&self, phase: Phase, ballot: Ballot) -> Vote {
        Vote { chain: self.chain, set: self.state.set, voter: self.id, phase, ballot }
    }

    fn advance<T: BlockTree>(
        &mut self,
        tree: &T,
        tip: &BlockId,
        tally: &Tally,
        (votes, cosign): &mut (Vec<(Phase, Ballot)>, Option<Target>),
    ) -> Result<Option<Trouble>, T::Error> {
        if tally.members().set() != self.state.set {
            return Ok(None);
        }
        if let Some(trouble) = self.learn(tree, tally, cosign)? {
            return Ok(Some(trouble));
        }
        // Above a change that is decided, the hospitals after it vote.
        let last = self.state.last_final();
        let over = last.block != self.state.set
            && tree.block(&last.block)?.is_some_and(|block| block.changes_set);
        if over || !tally.members().contains(&self.id) {
            return Ok(None);
        }
        self.precommit(tree, tally, votes)?;
        self.prevote(tree, tip, tally.members(), votes)
    }

    /// Takes over what a quorum has decided and justified.
    fn learn<T: BlockTree>(
        &mut self,
        tree: &T,
        tally: &Tally,
        cosign: &mut Option<Target>,
    ) -> Result<Option<Trouble>, T::Error> {
        let newer = |known: &Option<super::Certificate>, ballot: Ballot| {
            known.as_ref().is_none_or(|known| known.ballot().round < ballot.round)
        };
        let last = self.state.last_final();
        if let Some(decided) = tally.decided().filter(|c| newer(&self.state.decided, c.ballot())) {
            let target = decided.ballot().target;
            if tree.block(&target.block)?.is_none() {
                return Ok(Some(Trouble::Missing(target)));
            }
            if !tree.descends(&target.block, &last)? {
                return Ok(Some(Trouble::Conflict(target)));
            }
            self.state.decided = Some(decided.clone());
            *cosign = (target != last).then_some(target);
        }
        if let Some(seen) = tally.justified().filter(|c| newer(&self.state.justified, c.ballot())) {
            let ballot = seen.ballot();
            if tree.block(&ballot.target.block)?.is_none() {
                return Ok(Some(Trouble::Missing(ballot.target)));
            }
            self.state.justified = Some(seen.clone());
        }
        Ok(None)
    }

    /// Precommits what is justified, oldest round first, so that hospitals that look at different
    /// moments still have rounds in common.
    fn precommit<T: BlockTree>(
        &mut self,
        tree: &T,
        tally: &Tally,
        votes: &mut Vec<(Phase, Ballot)>,
    ) -> Result<(), T::Error> {
        let locked = self.state.lock.map_or(0, |lock| lock.round);
        for ballot in tally.justified_after(locked.max(self.state.forgotten)) {
            // What is final already needs no vote.
            if ballot.target.height <= self.state.last_final().height {
                continue;
            }
            if tree.block(&ballot.target.block)?.is_none() {
                continue;
            }
            let mut agreed = true;
            for prevote in self.state.prevotes.iter().filter(|vote| vote.round > ballot.round) {
                agreed &= tree.descends(&prevote.target.block, &ballot.target)?;
            }
            if agreed {
                self.state.lock = Some(*ballot);
                self.state.voted = self.state.voted.max(ballot.round);
                votes.push((Phase::Precommit, *ballot));
            }
        }
        Ok(())
    }

    /// Prevotes in the rounds since the last vote, on one branch.
    fn prevote<T: BlockTree>(
        &mut self,
        tree: &T,
        tip: &BlockId,
        members: &Members,
        votes: &mut Vec<(Phase, Ballot)>,
    ) -> Result<Option<Trouble>, T::Error> {
        let last = self.state.last_final();
        let source = self.state.newest_justified();
        let anchor = source.map_or(last, |source| source.target);
        if let Some(lock) = self.state.lock
            && lock.round > source.map_or(0, |source| source.round)
        {
            return Ok(Some(Trouble::Forgot(lock)));
        }
        let Some(path) = self.path(tree, tip)? else { return Ok(Some(Trouble::Elsewhere(last))) };
        if anchor.height > last.height && !path.iter().any(|below| below.id == anchor.block) {
            return Ok(Some(Trouble::Elsewhere(anchor)));
        }
        let top = last.height + path.len() as u64;
        let mut low =
            self.state.voted.max(source.map_or(0, |source| source.round)).max(last.height);
        while low < top {
            let round = roundest(low + 1, top);
            low = round;
            let skip = usize::try_from(top - round).unwrap_or(usize::MAX);
            let Some(target) = support(path.get(skip..).unwrap_or_default(), members) else {
                continue;
            };
            if target.height < anchor.height {
                continue;
            }
            let ballot = Ballot { round, target };
            self.state.voted = round;
            self.state.prevotes.push(ballot);
            if self.state.prevotes.len() > limit::VOTE_ROUNDS {
                self.state.forgotten = self.state.prevotes.remove(0).round;
            }
            votes.push((Phase::Prevote { source }, ballot));
        }
        Ok(None)
    }

    /// The blocks from the tip down to the last final one, without that; `None` if they do not end there.
    fn path<T: BlockTree>(&self, tree: &T, tip: &BlockId) -> Result<Option<Vec<Below>>, T::Error> {
        let last = self.state.last_final();
        let mut path = Vec::new();
        let mut id = *tip;
        loop {
            let Some(info) = tree.block(&id)? else { return Ok(None) };
            if info.height <= last.height {
                return Ok((id == last.block).then_some(path));
            }
            path.push(Below { id, info });
            id = info.parent;
        }
    }

    /// Whether this hospital should mine, even an empty block, so that what lies at `height` on the
    /// best branch and below becomes final. It should if it has not mined there or above; and if there is enough
    /// work, but it spent its vote in these rounds on another branch, so that it takes a later round. Above a change of
    /// the hospitals it should for any of them, since one that is expelled there cannot mine for itself.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn should_mine<T: BlockTree>(
        &self,
        tree: &T,
        tip: &BlockId,
        tally: &Tally,
        height: u64,
    ) -> Result<bool, T::Error> {
        let (members, last) = (tally.members(), self.state.last_final());
        let Some(path) = self.path(tree, tip)? else { return Ok(false) };
        let top = last.height + path.len() as u64;
        if height <= last.height || height > top || !members.contains(&self.id) {
            return Ok(false);
        }
        let mut above = path.iter().take_while(|below| below.info.height >= height);
        if !above.any(|below| below.info.miner == Some(self.id)) {
            return Ok(true);
        }
        let Some(target) = support(&path, members) else { return Ok(false) };
        let here = Ballot { round: top, target };
        let newest = self.state.voted.max(self.state.newest_justified().map_or(0, |b| b.round));
        // A later vote elsewhere keeps it from precommitting here, even where it has prevoted. Of a state that was put back
        // only those votes help that somebody heard: it casts none of them again.
        let forgotten = self.state.forgotten >= top;
        let [prevote, precommit] = tally.newest_of(&self.id);
        let agrees = match self.state.lock {
            Some(lock) if lock.round >= top => {
                lock == here && (!forgotten || precommit == Some(here))
            }
            _ if forgotten => false,
            _ => {
                let own = [self.state.prevotes.last().copied(), prevote];
                own.contains(&Some(here)) || self.state.newest_justified() == Some(here)
            }
        };
        if newest > top || (newest == top && !agrees) {
            return Ok(true);
        }
        if !path.iter().any(|below| below.info.changes_set) {
            return Ok(false);
        }
        // It may have voted on a branch that is not here, and nobody brings blocks of a branch that was left. But a
        // round beyond all blocks is no honest vote: nobody is made to mine up to there.
        let highest = tree.highest()?.max(last.height.saturating_add(limit::VOTE_ROUNDS as u64));
        let spent = |other: &MemberId| {
            let votes = tally.newest_of(other);
            let newest = votes.iter().flatten().map(|ballot| ballot.round).max().unwrap_or(0);
            newest >= top && newest <= highest && !votes.contains(&Some(here))
        };
        Ok(members.ids().any(spent))
    }

    /// What the blocks between the last final one and the tip wait for; `None` if there are none, or if these are on
    /// another branch. Of the blocks that may be voted for next it is the one that lacks the fewest hospitals.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn awaits<T: BlockTree>(
        &self,
        tree: &T,
        tip: &BlockId,
        members: &Members,
    ) -> Result<Option<Awaited>, T::Error> {
        let Some(path) = self.path(tree, tip)? else { return Ok(None) };
        let nearest = lacking(&path, members).min_by_key(|(_, missing)| *missing);
        Ok(nearest.map(|(target, missing)| {
            if missing == 0 {
                return Awaited::Votes(target);
            }
            let above = path.iter().take_while(|below| below.info.height >= target.height);
            let miners: BTreeSet<MemberId> = above.filter_map(|below| below.info.miner).collect();
            let of = members.ids().filter(|id| !miners.contains(id)).copied().collect();
            Awaited::Blocks { target, missing, of }
        }))
    }

    /// The voter under the set of hospitals that its last final block made, once its caller has a tally
    /// of that set; `None` if that block made none. Votes of the old set count no longer, its locks bind
    /// no longer: everything to be voted for now lies above a final block.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn handover<T: BlockTree>(&self, tree: &T) -> Result<Option<Self>, T::Error> {
        let last = self.state.last_final();
        let changes = tree.block(&last.block)?.is_some_and(|block| block.changes_set);
        let new = last.block != self.state.set && changes;
        let state = VoterState::new(last.block, last.height);
        Ok(new.then_some(Self { id: self.id, chain: self.chain, state }))
    }
}

/// The highest block of a path (newest first, ending above the last final block) with blocks by a quorum of
/// different hospitals at or above it; but no higher than the first block that changes the set, for only what
/// the present set has decided brings another into force. Above that block one hospital may be gone and not able to mine,
/// beside those that a quorum does without: for it, one fewer will do.
fn support(path: &[Below], members: &Members) -> Option<Target> {
    lacking(path, members).find(|(_, missing)| *missing == 0).map(|(target, _)| target)
}

/// Which blocks of such a path may be voted for, newest first, each with how many more hospitals have to mine at
/// or above it before it is.
fn lacking(path: &[Below], members: &Members) -> impl Iterator<Item = (Target, usize)> {
    let change = path.iter().rposition(|below| below.info.changes_set);
    let mut miners = BTreeSet::new();
    path.iter().enumerate().filter_map(move |(at, below)| {
        miners.extend(below.info.miner.filter(|miner| members.contains(miner)));
        let needed = match change {
            Some(change) if at < change => return None,
            Some(change) if at == change => members.quorum().saturating_sub(1).max(1),
            _ => members.quorum(),
        };
        let target = Target { height: below.info.height, block: below.id };
        Some((target, needed.saturating_sub(miners.len())))
    })
}

/// The number in `low..=high` that the greatest power of two divides. Hospitals that look at different
/// moments, and so have other rounds to choose from, still meet in the round numbers.
fn roundest(low: u64, high: u64) -> u64 {
    debug_assert!(0 < low && low <= high);
    let step = |bits: u32| (high >> bits) << bits;
    (0..u64::BITS).rev().map(step).find(|number| *number >= low).unwrap_or(high)
}

#[cfg(test)]
pub(super) fn roundest_of(low: u64, high: u64) -> u64 {
    roundest(low, high)
}
