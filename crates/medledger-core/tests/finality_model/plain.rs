//! The rule as it first was, without votes: cosign what the best branch supports, and never two
//! checkpoints that contradict each other. It splits honest hospitals for ever.

use crate::world::{Bits, World, hospital, id, members};
use medledger_core::vote::Target;
use std::collections::{BTreeSet, HashSet, VecDeque};

/// For each hospital the blocks it has, and the newest it cosigned.
type State = Vec<(Bits, Option<usize>)>;

struct Plain {
    world: World,
    hospitals: usize,
    needed: usize,
}

impl Plain {
    /// The highest block with blocks by enough hospitals at or above it.
    fn supported(&self, tip: usize) -> Option<usize> {
        let mut miners = BTreeSet::new();
        let mut block = tip;
        while block != 0 {
            miners.extend(self.world.blocks[block].miner);
            if miners.len() >= self.needed {
                return Some(block);
            }
            block = self.world.blocks[block].parent;
        }
        None
    }

    fn learn(&self, state: &State, who: usize, block: usize) -> State {
        let mut next = state.clone();
        let (known, signed) = &mut next[who];
        known.add(block);
        let genesis = Target { height: 0, block: id(0) };
        let tip = self.world.best_tip(known, &genesis).unwrap();
        if let Some(supported) = self.supported(tip)
            && signed.is_none_or(|signed| self.world.descends(supported, signed))
        {
            *signed = Some(supported);
        }
        next
    }

    /// Most hospitals that may ever cosign one block, whatever blocks come: those whose checkpoints all lie on one branch.
    fn most(&self, state: &State) -> usize {
        let may = |tip: usize| {
            let on = |signed: &Option<usize>| {
                signed.is_none_or(|signed| {
                    self.world.descends(tip, signed) || self.world.descends(signed, tip)
                })
            };
            state.iter().filter(|(_, signed)| on(signed)).count()
        };
        // A block yet to come lies above some block that is there.
        (0..self.world.blocks.len()).filter(|block| *block != 0).map(may).max().unwrap_or(0)
    }
}

#[test]
fn cosigning_at_once_can_leave_four_honest_hospitals_without_a_quorum_for_ever() {
    let mut world = World::new(4);
    for branch in [&[0, 1, 2][..], &[2, 3, 0, 3]] {
        branch.iter().fold(0, |tip, miner| world.mine(tip, *miner, 0));
    }
    let hospitals = members(4, 0);
    assert!(hospitals.contains(&hospital(3)));
    let model = Plain { world, hospitals: 4, needed: hospitals.quorum() };
    let mut known = Bits::default();
    known.add(0);
    let start: State = vec![(known, None); model.hospitals];
    let mut seen = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([start]);
    let (mut split, mut agreed) = (0, 0);
    while let Some(state) = queue.pop_front() {
        split += usize::from(model.most(&state) < model.needed);
        let final_one = |block| {
            let by = state.iter().filter_map(|(_, signed)| *signed);
            by.filter(|signed| model.world.descends(*signed, block)).count() >= model.needed
        };
        agreed += usize::from((1..model.world.blocks.len()).any(final_one));
        for who in 0..model.hospitals {
            for block in 1..model.world.blocks.len() {
                let known = state[who].0;
                if !known.has(block) && known.has(model.world.blocks[block].parent) {
                    let next = model.learn(&state, who, block);
                    if seen.insert(next.clone()) {
                        queue.push_back(next);
                    }
                }
            }
        }
    }
    println!(
        "cosigning at once: {} states, {agreed} with a final block, {split} split for ever",
        seen.len()
    );
    assert!(agreed > 0, "the rule makes blocks final when all goes well");
    assert!(split > 0, "the rule never splits them: then votes would be needless");
}
