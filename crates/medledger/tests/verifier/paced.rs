//! Receipts of chains whose difficulty moves, and of some that no chain can run by.

use crate::cases::Case;
use crate::tree::Tree;
use medledger::ChainId;
use medledger::Receipt;
use medledger::core::chain::Rules;
use medledger::core::conformance::fixture::{Fixture, START};
use medledger::core::engine::PowEngine;
use medledger::core::genesis::{Consensus, Genesis};
use medledger::core::memory::MemoryStore;
use medledger::core::pow::{Bits, Header, Inline, Outcome, Schedule, Target, mine};
use medledger::core::store::{Standing, Store};

fn bits(number: u32) -> Bits {
    Bits::from_u32(number)
}

/// Four tries a block, two at the easiest.
fn schedules() -> [Schedule; 3] {
    let (first, floor) = (Target::from_expected_tries(4), Target::from_expected_tries(2));
    let (bits, floor) = (first.to_bits(), floor.to_bits());
    [
        Schedule::Bitcoin { bits, floor, window: 2, spacing: 2 },
        Schedule::Asert { bits, floor, spacing: 5, half_life: 60 },
        Schedule::Asert { bits, floor: bits, spacing: 1, half_life: 1 },
    ]
}

/// Parameters that no chain can run by.
fn impossible() -> Vec<Schedule> {
    let [good, ..] = schedules();
    let (easy, hard) = (good.floor(), good.genesis_bits());
    // Another spelling of the same target.
    let spelled = bits(0x2100_3fff);
    vec![
        Schedule::Bitcoin { bits: easy, floor: hard, window: 2, spacing: 2 },
        Schedule::Bitcoin { bits: hard, floor: easy, window: 1, spacing: 9 },
        Schedule::Bitcoin { bits: hard, floor: easy, window: 2, spacing: 0 },
        Schedule::Bitcoin { bits: hard, floor: easy, window: 3, spacing: 1 },
        Schedule::Bitcoin { bits: spelled, floor: easy, window: 2, spacing: 2 },
        Schedule::Bitcoin { bits: hard, floor: bits(0x2180_0000), window: 2, spacing: 2 },
        Schedule::Asert { bits: hard, floor: easy, spacing: 0, half_life: 1 },
        Schedule::Asert { bits: hard, floor: easy, spacing: 1, half_life: 0 },
        Schedule::Asert { bits: hard, floor: bits(0), spacing: 1, half_life: 1 },
        Schedule::Asert { bits: easy, floor: hard, spacing: 1, half_life: 1 },
    ]
}

/// The receipts of every record of a small chain.
fn receipts(schedule: Schedule) -> Vec<(Vec<u8>, ChainId)> {
    let (fixture, store) = (Fixture::new(Consensus::Work(schedule)), MemoryStore::new());
    fixture.found(&store);
    let engine = PowEngine::new(fixture.rules.clone(), Some(fixture.mining_key()));
    for record in fixture.people() {
        fixture.accept(&engine, &store, &[record]);
        fixture.mine(&engine, &store);
    }
    let view = store.view().unwrap();
    let top = view.tip().unwrap().unwrap().height;
    (1..=top)
        .flat_map(|height| view.records_of(height).unwrap())
        .map(|record| {
            assert!(matches!(record.standing, Standing::Mined { .. }));
            let receipt = Receipt::of(view.as_ref(), &fixture.rules, &record).unwrap();
            (receipt.encode(), fixture.rules.chain)
        })
        .collect()
}

fn worked(header: &Header) -> Header {
    let (cancel, tried) = (Default::default(), Default::default());
    match mine(header, &mut |_| unreachable!("easy work"), &Inline, &cancel, &tried) {
        Ok(Outcome::Found { header, .. }) => header,
        // Bits that stand for no target: nothing meets them.
        _ => *header,
    }
}

/// The receipt with another configuration and the genesis header that belongs to it.
fn with_genesis(receipt: &[u8], schedule: Schedule) -> Case {
    let Some(Tree::Map(mut fields)) = Tree::read(receipt) else { panic!("a receipt") };
    let place = |fields: &[(Tree, Tree)], name: &str| {
        let is = |(key, _): &(Tree, Tree)| matches!(key, Tree::Text(key) if key == name);
        fields.iter().position(is).unwrap()
    };
    let at = place(&fields, "genesis");
    let Tree::Bytes(before) = &fields[at].1 else { panic!("bytes") };
    let mut genesis = Genesis::decode(before).unwrap();
    genesis.consensus = Consensus::Work(schedule);
    let header = worked(&Rules::genesis_header(&genesis, START));
    fields[at].1 = Tree::Bytes(genesis.encode());
    let at = place(&fields, "genesis_header");
    fields[at].1 = Tree::Bytes(header.to_bytes().to_vec());
    let chain = ChainId::from(header.id()).to_string();
    Case::new(Tree::Map(fields).write(), &chain)
}

/// Good receipts of chains with every schedule that moves, and each of them with configurations that cannot be.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for schedule in schedules() {
        let made = receipts(schedule);
        cases
            .extend(made.iter().map(|(bytes, chain)| Case::new(bytes.clone(), &chain.to_string())));
    }
    let (first, _) = &receipts(schedules()[0])[0];
    cases.extend(impossible().into_iter().map(|schedule| with_genesis(first, schedule)));
    cases
}

#[test]
fn chains_run_by_these_schedules_and_by_none_of_those() {
    for schedule in schedules() {
        assert_eq!(schedule.check(), Ok(()), "{schedule:?}");
    }
    for schedule in impossible() {
        assert!(schedule.check().is_err(), "{schedule:?}");
    }
    let tally = crate::cases::tally(&cases());
    assert_eq!(tally.get("ok"), Some(&9), "{tally:?}");
    assert_eq!(tally.values().sum::<usize>(), 9 + impossible().len(), "{tally:?}");
}
