//! What a hospital has bound itself to by its votes.

use super::{Ballot, Certificate, Target, VoterState};

/// The part of a [`VoterState`] that must outlive it: short enough to be noted outside of the store, so that a
/// hospital whose store was put back to an older state still does not vote against itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pledge {
    /// The block that brought the set of hospitals into force in which it voted.
    pub base: Target,
    /// The newest round it voted in, in either phase.
    pub voted: u64,
    /// What it precommitted last.
    pub lock: Option<Ballot>,
    /// Where it is locked, what shows that a quorum prevoted that, or something later. Its own vote may be among them,
    /// and nobody else may have heard it.
    pub shown: Option<Certificate>,
}

impl Pledge {
    /// What later votes bind to more than earlier ones: sets come one above the other, rounds one after the other.
    const fn order(&self) -> (u64, u64, u64) {
        let lock = match &self.lock {
            Some(lock) => lock.round,
            None => 0,
        };
        (self.base.height, self.voted, lock)
    }

    /// Whether it binds to more than another one of the same hospital.
    #[must_use]
    pub fn is_later(&self, other: &Self) -> bool {
        self.order() > other.order()
    }

    /// Which of two pledges of one hospital is the later one.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        if other.is_later(&self) { other } else { self }
    }
}

impl VoterState {
    /// What the votes up to this state bind to.
    #[must_use]
    pub fn pledge(&self) -> Pledge {
        let shown = self.justified.as_ref().filter(|_| self.lock.is_some()).cloned();
        Pledge { base: self.base, voted: self.voted, lock: self.lock, shown }
    }

    /// Binds this state to what was voted after it; says whether that was more than it knew of. Of another set of
    /// hospitals nothing binds.
    ///
    /// What it prevoted is not known any more, so it precommits in no round before the newest of these: a prevote in a later
    /// round may have been for something else. After the newest there is none. Where it is not shown that what it is
    /// locked on was justified, it prevotes nothing before it hears so.
    pub fn bind(&mut self, pledge: &Pledge) -> bool {
        if pledge.base != self.base || !pledge.is_later(&self.pledge()) {
            return false;
        }
        self.voted = self.voted.max(pledge.voted);
        self.prevotes.clear();
        let locks = [self.lock, pledge.lock].into_iter().flatten();
        self.lock = locks.max_by_key(|lock| lock.round);
        let locked = self.lock.map_or(0, |lock| lock.round);
        self.forgotten = self.voted.saturating_sub(1).max(locked);
        let round = |known: &&Certificate| known.ballot().round;
        let prevotes = pledge.shown.iter().filter(|shown| !shown.is_precommit());
        self.justified = prevotes.chain(&self.justified).max_by_key(round).cloned();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BlockId;

    fn base(height: u64) -> Target {
        Target { height, block: BlockId::from_bytes([height as u8; 32]) }
    }

    fn ballot(round: u64) -> Ballot {
        Ballot { round, target: base(round) }
    }

    #[test]
    fn a_state_is_bound_by_what_came_after_it_and_by_nothing_else() {
        let mut state = VoterState::new(base(7).block, 7);
        state.prevotes = vec![ballot(9), ballot(10)];
        state.voted = 10;
        let known = state.clone();
        let pledge = |height, voted, lock: Option<u64>| Pledge {
            base: base(height),
            voted,
            lock: lock.map(ballot),
            shown: None,
        };
        for nothing in
            [state.pledge(), pledge(7, 9, Some(9)), pledge(6, 99, None), pledge(8, 99, None)]
        {
            assert!(!state.bind(&nothing), "{nothing:?}");
            assert_eq!(state, known);
        }
        // A precommit in a round that was prevoted before.
        assert!(state.bind(&pledge(7, 10, Some(9))));
        assert_eq!((state.voted, state.forgotten, state.lock), (10, 9, Some(ballot(9))));
        assert!(state.bind(&pledge(7, 14, None)));
        assert_eq!((state.voted, state.forgotten, state.lock), (14, 13, Some(ballot(9))));
        assert_eq!(VoterState::decode(&state.encode()), Ok(state.clone()));
        // A precommit in the newest round, for all that is known of it.
        assert!(state.bind(&pledge(7, 15, Some(15))));
        assert_eq!((state.voted, state.forgotten, state.lock), (15, 15, Some(ballot(15))));
        assert_eq!(VoterState::decode(&state.encode()), Ok(state));
    }

    #[test]
    fn the_later_pledge_is_that_of_the_later_set_round_or_lock() {
        let pledges = [(7, 3, None), (7, 3, Some(2)), (7, 4, None), (8, 1, None), (8, 1, Some(1))]
            .map(|(height, voted, lock)| Pledge {
                base: base(height),
                voted,
                lock: lock.map(ballot),
                shown: None,
            });
        for (at, earlier) in pledges.iter().enumerate() {
            for later in &pledges[at..] {
                let both =
                    [earlier.clone().later(later.clone()), later.clone().later(earlier.clone())];
                assert_eq!(both, [later.clone(), later.clone()]);
            }
        }
    }
}
