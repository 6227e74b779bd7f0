//! Any order in which the same blocks and checkpoints arrive leads to the same ledger.

use super::tests::{FOUNDERS, checkpoint, fingerprint, genesis, ledgers};
use super::*;
use crate::registry::Role;
use crate::store::Store;
use crate::testing::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What may happen among four hospitals.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A hospital mines, perhaps one of six registrations that are there to be mined.
    Mine { miner: usize, record: usize },
    /// A hospital mines a block with a record that takes no effect.
    Cheat { miner: usize },
    /// A hospital hears of what another one has.
    Tell { from: usize, to: usize },
    /// Three hospitals sign what one of them has, all but its newest blocks, and tell everybody.
    Finalize { whose: usize, but: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..4usize, 0..12usize).prop_map(|(miner, record)| Event::Mine { miner, record }),
        1 => (0..4usize).prop_map(|miner| Event::Cheat { miner }),
        4 => (0..4usize, 0..4usize).prop_map(|(from, to)| Event::Tell { from, to }),
        1 => (0..4usize, 0..3u64).prop_map(|(whose, but)| Event::Finalize { whose, but }),
    ]
}

/// What there is to be told.
#[derive(Clone)]
enum News {
    Block(Box<Block>),
    Checkpoint(String),
}

impl std::fmt::Debug for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block(block) => {
                let (id, below) = (block.id().to_string(), block.header.previous.to_string());
                write!(f, "{}:{}<{}", block.descriptor.height, &id[..6], &below[..6])
            }
            Self::Checkpoint(note) => write!(f, "final {}", note.lines().nth(1).unwrap_or("?")),
        }
    }
}

fn tell(ledger: &Ledger, news: &News) {
    match news {
        News::Block(block) => drop(ledger.receive(block)),
        News::Checkpoint(note) => drop(ledger.receive_checkpoint(note).unwrap()),
    }
}

fn chain(ledger: &Ledger) -> Vec<Block> {
    let view = ledger.store.view().unwrap();
    (1..=ledger.tip().height)
        .map(|height| {
            let stored = view.block(height).unwrap().unwrap();
            crate::replay::block(view.as_ref(), &stored).unwrap()
        })
        .collect()
}

/// Plays the events; everything that was ever mined or signed.
fn play(events: &[Event]) -> Vec<News> {
    let hospitals = ledgers();
    let mut world = hospitals[0].world();
    let records: Vec<_> = [DOCTOR, OTHER_DOCTOR, NURSE, LAB, PATIENT, OTHER_PATIENT]
        .into_iter()
        .map(|number| {
            let role = if number == DOCTOR { Role::Doctor } else { Role::Patient };
            let body = world.register(HOSPITAL, number, role);
            world.sign(HOSPITAL, body)
        })
        .collect();
    let mut news = Vec::new();
    for event in events {
        match *event {
            Event::Mine { miner, record } => {
                let ledger = &hospitals[miner];
                let view = ledger.store.view().unwrap();
                let state = crate::state::State::new(view.as_ref());
                let fresh = records.get(record).filter(|r| !state.seen(&r.id()).unwrap());
                let block = ledger.mine(fresh.cloned().into_iter().collect());
                news.push(News::Block(Box::new(block)));
            }
            Event::Cheat { miner } => {
                let twice = vec![records[0].clone(), records[0].clone()];
                let block = hospitals[miner].draft(twice).seal();
                assert!(matches!(hospitals[miner].receive(&block), Received::Refused(_)));
                news.push(News::Block(Box::new(block)));
            }
            Event::Tell { from, to } => {
                for block in chain(&hospitals[from]) {
                    hospitals[to].receive(&block);
                }
            }
            Event::Finalize { whose, but } => {
                let size = (hospitals[whose].tip().height + 1).saturating_sub(but);
                if size < 2 {
                    continue;
                }
                let note = checkpoint(&hospitals[whose], size, &FOUNDERS[..3]);
                let blocks = chain(&hospitals[whose]);
                // Honest hospitals sign nothing that contradicts what is final.
                let agrees = hospitals.iter().all(|ledger| {
                    let view = ledger.store.view().unwrap();
                    let finalized = final_height(view.as_ref(), &ledger.rules).unwrap();
                    finalized == 0
                        || blocks.get(finalized as usize - 1).is_some_and(|block| {
                            view.block(finalized).unwrap().unwrap().id == block.id()
                        })
                });
                if !agrees {
                    continue;
                }
                for ledger in &hospitals {
                    for block in &blocks {
                        ledger.receive(block);
                    }
                    ledger.receive_checkpoint(&note).unwrap();
                }
                news.push(News::Checkpoint(note));
            }
        }
    }
    news
}

#[test]
fn any_interleaving_of_the_same_blocks_and_checkpoints_ends_in_the_same_ledger() {
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    let story = proptest::collection::vec(event(), 4..40).prop_map(|events| play(&events));
    let orders = story.prop_flat_map(|news| {
        let twice: Vec<News> = news.iter().chain(news.iter().step_by(3)).cloned().collect();
        (Just(news), Just(twice.clone()).prop_shuffle(), Just(twice).prop_shuffle())
    });
    runner
        .run(&orders, |(in_order, one, other)| {
            let replicas = [in_order, one, other].map(|news| {
                let ledger = Ledger::of(genesis(), 12);
                for item in &news {
                    tell(&ledger, item);
                }
                ledger
            });
            let first = fingerprint(&replicas[0]);
            for replica in &replicas[1..] {
                prop_assert_eq!(&first, &fingerprint(replica));
            }
            Ok(())
        })
        .unwrap();
}
