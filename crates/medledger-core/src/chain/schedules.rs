//! Chains whose difficulty moves: mined, followed, replayed, proven.

use super::*;
use crate::follow;
use crate::memory::MemoryStore;
use crate::receipt::Receipt;
use crate::record::SignedRecord;
use crate::replay::{self, Replayed, first_difference, replay};
use crate::state::{Rebuilt, SignatureCheck};
use crate::store::Store;
use crate::testing::*;

const LATER: Timestamp = Timestamp::from_secs(NOW + 1_000_000);

/// Eight tries a block at first, two at least; ten seconds a block.
fn moving() -> [Schedule; 2] {
    let [bits, floor] = [8, 2].map(|tries| Target::from_expected_tries(tries).to_bits());
    [
        Schedule::Bitcoin { bits, floor, window: 5, spacing: 10 },
        Schedule::Asert { bits, floor, spacing: 10, half_life: 60 },
    ]
}

/// A chain of 33 blocks that come too fast, then too slowly.
fn grown(schedule: Schedule) -> (Ledger, Vec<SignedRecord>) {
    let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), Consensus::Work(schedule)));
    let mut world = ledger.world().with_people();
    ledger.submit(&world.log).unwrap();
    for block in 0..32 {
        let (done, wait) = (world.log.len(), if block < 14 { 3 } else { 40 });
        ledger.clock.set(Timestamp::from_secs(u64::from(ledger.tip().signed.header.time) + wait));
        ledger.order();
        world.add_report();
        ledger.submit(&world.log[done..]).unwrap();
    }
    ledger.order();
    (ledger, world.log)
}

fn headers(ledger: &Ledger) -> Vec<Header> {
    let view = ledger.store.view().unwrap();
    let at = headers_of(view.as_ref());
    (0..=ledger.tip().height).map(|height| at(height).unwrap()).collect()
}

fn bytes(headers: &[Header]) -> Vec<[u8; 80]> {
    headers.iter().map(Header::to_bytes).collect()
}

#[test]
fn chains_with_any_schedule_are_mined_followed_and_replayed() {
    for schedule in moving() {
        let (ledger, records) = grown(schedule);
        let view = ledger.store.view().unwrap();
        let all = headers(&ledger);
        // It moved, both ways.
        let tries = |header: &Header| header.target().unwrap().expected_tries();
        let hardest = all.iter().map(tries).max().unwrap();
        assert!(hardest >= 2 * tries(&all[0]), "{schedule:?}: {hardest}");
        assert!(2 * tries(&all[33]) <= hardest, "{schedule:?}: {hardest}");
        assert!(all.iter().all(Header::meets_target));

        let mut copy = Rebuilt::default();
        let mut seen = Vec::new();
        let mut progress = |height| seen.push(height);
        let done = replay(
            view.as_ref(),
            &ledger.rules,
            LATER,
            &mut SignatureCheck::Now,
            &mut copy,
            &mut progress,
        );
        assert_eq!(done.unwrap(), Replayed { blocks: 34, records: records.len() as u64 });
        assert_eq!(seen.last(), Some(&33));
        assert_eq!(copy.first_difference(view.as_ref()).unwrap(), None);
        assert_eq!(first_difference(view.as_ref(), &copy).unwrap(), None);

        let other = MemoryStore::new();
        let mut unit = other.unit().unwrap();
        follow::found(unit.as_mut(), &ledger.rules, &all[0]).unwrap();
        for height in 1..=33 {
            let stored = block_at(view.as_ref(), height).unwrap();
            let block = replay::block(view.as_ref(), &stored).unwrap();
            let mut check = SignatureCheck::Now;
            let taken = follow::append(
                unit.as_mut(),
                &ledger.rules,
                &block,
                &stored.node,
                LATER,
                &mut check,
            );
            assert_eq!(taken.unwrap(), stored);
        }
    }
}

#[test]
fn the_headers_of_a_chain_pass_on_their_own_and_end_where_it_ends() {
    for schedule in moving() {
        let (ledger, _) = grown(schedule);
        let all = headers(&ledger);
        let view = ledger.store.view().unwrap();
        let tip = ledger.tip();
        let mut chain = HeaderChain::from_genesis(Consensus::Work(schedule), &all[0]).unwrap();
        chain.extend(&bytes(&all[1..]), LATER).unwrap();
        let resumed = ledger.rules.header_chain(view.as_ref(), &tip).unwrap();
        for chain in [&chain, &resumed] {
            assert_eq!((chain.height(), chain.tip_id()), (tip.height, tip.id));
            assert_eq!(
                (chain.chain_work(), chain.median_time()),
                (tip.chain_work, tip.median_time)
            );
            assert_eq!(chain.next_bits(), ledger.rules.next_bits(view.as_ref(), &tip).unwrap());
        }
        // From any block on.
        for height in 0..tip.height {
            let from = block_at(view.as_ref(), height).unwrap();
            let mut chain = ledger.rules.header_chain(view.as_ref(), &from).unwrap();
            chain.extend(&bytes(&all[height as usize + 1..]), LATER).unwrap();
            assert_eq!((chain.tip_id(), chain.chain_work()), (tip.id, tip.chain_work));
        }
    }
}

#[test]
fn pitfall_26_a_block_bears_the_bits_its_own_chain_demands() {
    for schedule in moving() {
        let (ledger, _) = grown(schedule);
        let view = ledger.store.view().unwrap();
        let expected = ledger.rules.next_bits(view.as_ref(), &ledger.tip()).unwrap();
        // Harder is wrong as well: it would weigh more than it should.
        for tries in [1, 4, 8] {
            let mut draft = ledger.draft(Vec::new());
            let found = Target::from_expected_tries(tries).to_bits();
            draft.header.bits = found;
            let mut check = SignatureCheck::Now;
            match ledger.rules.check_block(view.as_ref(), &draft.seal(), LATER, &mut check) {
                Err(BlockError::Header(HeaderError::Bits { expected: e, found: f })) => {
                    assert_eq!((e, f), (expected, found));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Three headers on `parent`, each so many seconds after the one before.
fn branch(chain: &HeaderChain, count: usize, seconds: u32) -> (HeaderChain, Vec<Header>) {
    let (mut chain, mut headers) = (chain.clone(), Vec::new());
    for _ in 0..count {
        let mut header = Header {
            previous: chain.tip_id(),
            time: chain.tip().time + seconds,
            bits: chain.next_bits(),
            ..*chain.tip()
        };
        while !header.meets_target() {
            header.nonce = header.nonce.wrapping_add(1);
        }
        chain.extend(&[header.to_bytes()], LATER).unwrap();
        headers.push(header);
    }
    (chain, headers)
}

#[test]
fn pitfall_26_a_branch_is_judged_by_its_own_ancestors() {
    for schedule in moving() {
        let (ledger, _) = grown(schedule);
        let view = ledger.store.view().unwrap();
        let from = block_at(view.as_ref(), 3).unwrap();
        let start = ledger.rules.header_chain(view.as_ref(), &from).unwrap();
        let (slow, beside) = branch(&start, 9, 50);
        let (fast, _) = branch(&start, 9, 3);
        assert_ne!(slow.next_bits(), fast.next_bits(), "{schedule:?}");
        assert!(slow.chain_work() < fast.chain_work());
        // Asked by height on the branch, not on the best chain.
        let best = headers_of(view.as_ref());
        let below = |height: u64| match height.checked_sub(4) {
            Some(index) => Ok(beside[index as usize]),
            None => best(height),
        };
        let next = schedule.next_bits(slow.tip(), slow.height(), &below).unwrap();
        assert_eq!(next, slow.next_bits());
        let median = crate::pow::median_time_at(slow.tip(), slow.height(), &below).unwrap();
        assert_eq!(slow.median_time().as_secs(), u64::from(median));
    }
}

#[test]
fn receipts_are_given_and_checked_whatever_the_schedule() {
    for schedule in moving() {
        let (ledger, records) = grown(schedule);
        let view = ledger.store.view().unwrap();
        for record in &records {
            let receipt =
                Receipt::of(view.as_ref(), &ledger.rules, &ledger.stored(record)).unwrap();
            assert_eq!(receipt.check(&ledger.rules.chain).unwrap().record, *record);
        }
        // Without ancestors: no block of this chain may be easier than the floor, though its own bits be met.
        let mut header = ledger.tip().signed.header;
        assert_eq!(ledger.rules.check_work_of(&header), Ok(()));
        header.bits = Target::from_expected_tries(1).to_bits();
        assert!(header.meets_target());
        let (floor, found) = (schedule.floor(), header.bits);
        let error = HeaderError::Floor { floor, found };
        assert_eq!(ledger.rules.check_work_of(&header), Err(error));
        // Nor without the work that they stand for.
        header.bits = Bits::from_u32(0x0101_0000);
        let error = HeaderError::Work { id: header.id(), bits: header.bits };
        assert_eq!(ledger.rules.check_work_of(&header), Err(error));
    }
}
