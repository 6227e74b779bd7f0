use super::*;
use crate::clock::Clock;
use crate::genesis::Limits;
use crate::keys::Signature;
use crate::pow::Schedule;
use crate::record::SignedRecord;
use crate::state::{BatchedSignatures, SignatureCheck};
use crate::store::Store;
use crate::testing::*;

const LATER: Timestamp = Timestamp::from_secs(NOW + 100_000);

fn single() -> Ledger {
    Ledger::new(Genesis::single(founder(HOSPITAL), tiny_work()))
}

fn judge(ledger: &Ledger, block: &Block, now: Timestamp) -> Result<StoredBlock, BlockError> {
    let view = ledger.store.view().unwrap();
    let mut check = SignatureCheck::Now;
    Ok(ledger.rules.check_block(view.as_ref(), block, now, &mut check)?.stored().clone())
}

/// The block with `change` made before root, work and signature; then judged.
fn with(ledger: &Ledger, change: impl FnOnce(&mut Draft)) -> Result<StoredBlock, BlockError> {
    let mut draft = ledger.draft(people(ledger));
    change(&mut draft);
    judge(ledger, &draft.seal(), LATER)
}

fn people(ledger: &Ledger) -> Vec<SignedRecord> {
    ledger.world().with_people().log
}

fn header_error(result: Result<StoredBlock, BlockError>) -> HeaderError {
    match result {
        Err(BlockError::Header(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_honest_block_is_valid_and_what_the_engine_stores() {
    for consensus in [tiny_work(), Consensus::Log] {
        let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), consensus));
        for round in 0..14 {
            let records = if round == 0 { people(&ledger) } else { Vec::new() };
            ledger.submit(&records).unwrap();
            let before = ledger.store.view().unwrap();
            let tip = ledger.tip();
            let mined = ledger.order();
            let mut check = SignatureCheck::Now;
            let now = Clock::now(&ledger.clock);
            let checked = ledger.rules.check_block(before.as_ref(), &mined.block, now, &mut check);
            let checked = checked.unwrap();
            assert_eq!(*checked.stored(), mined.stored);
            assert_eq!(checked.stored().height, round + 1);
            assert_eq!(checked.stored().records as usize, records.len());
            assert_eq!(
                checked.stored().chain_work,
                tip.chain_work.saturating_add(ledger.rules.work(mined.block.header.bits))
            );
            drop(before);
            let view = ledger.store.view().unwrap();
            for (key, value) in checked.changes().iter() {
                assert_eq!(view.state(key).unwrap().as_deref(), value);
            }
        }
    }
}

#[test]
fn a_header_builds_on_the_tip() {
    let ledger = single();
    let found = BlockId::from_bytes([1; 32]);
    let error = header_error(with(&ledger, |draft| draft.header.previous = found));
    assert_eq!(error, HeaderError::Previous { expected: ledger.tip().id, found });
}

#[test]
fn pitfall_26_a_header_bears_the_bits_the_schedule_demands() {
    let ledger = single();
    let expected = ledger.rules.genesis.first_bits();
    // Easier, and harder too.
    for tries in [1, 8] {
        let found = Target::from_expected_tries(tries).to_bits();
        let error = header_error(with(&ledger, |draft| draft.header.bits = found));
        assert_eq!(error, HeaderError::Bits { expected, found });
    }
}

#[test]
fn pitfall_24_a_header_has_the_work_its_bits_stand_for() {
    let ledger = single();
    let mut block = ledger.draft(Vec::new()).seal();
    while block.header.meets_target() {
        block.header.nonce += 1;
    }
    block.signature = block::sign_header(&mining_key(HOSPITAL), &ledger.rules.chain, &block.id());
    let error = header_error(judge(&ledger, &block, LATER));
    assert_eq!(error, HeaderError::Work { id: block.id(), bits: block.header.bits });
}

#[test]
fn pitfall_26_a_header_is_after_the_median_time() {
    let ledger = single();
    for _ in 0..12 {
        ledger.clock.set(Timestamp::from_secs(NOW + 5000));
        ledger.order();
    }
    // Six of the last eleven decide; the clock went on by a second a block at least.
    let median = ledger.tip().median_time;
    assert!(median > Timestamp::from_secs(NOW));
    let at = |time: u64| with(&ledger, |draft| draft.header.time = u32::try_from(time).unwrap());
    let found = median;
    let error = header_error(at(found.as_secs()));
    assert_eq!(error, HeaderError::TooOld { median, found });
    assert!(at(median.as_secs() + 1).is_ok());
    assert!(median < Timestamp::from_secs(u64::from(ledger.tip().signed.header.time)));
}

#[test]
fn pitfall_26_a_header_too_far_ahead_is_deferred() {
    let ledger = single();
    let block = ledger.draft(Vec::new()).seal();
    let found = Timestamp::from_secs(u64::from(block.header.time));
    let now = |ahead: u64| Timestamp::from_secs(found.as_secs() - ahead);
    assert!(judge(&ledger, &block, now(2 * 60 * 60)).is_ok());
    let early = now(2 * 60 * 60 + 1);
    let error = header_error(judge(&ledger, &block, early));
    assert_eq!(error, HeaderError::TooEarly { now: early, found });
}

#[test]
fn a_descriptor_is_for_this_place() {
    let ledger = single();
    let what = |change: fn(&mut Draft)| match with(&ledger, change) {
        Err(BlockError::Descriptor { what }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(|d| d.descriptor.chain = ChainId::from_bytes([1; 32])), "another chain");
    assert_eq!(what(|d| d.descriptor.height = 2), "another height");
    assert_eq!(what(|d| d.descriptor.parent = envelope("other")), "another parent node");
    assert!(with(&ledger, |d| d.descriptor.extra_nonce = 7).is_ok());
}

#[test]
fn pitfall_34_only_registered_hospitals_mine() {
    let ledger = single();
    ledger.submit(&people(&ledger)).unwrap();
    ledger.order();
    // A stranger, a doctor, and a hospital of no chain, each with a signature of its own.
    for miner in [STRANGER, DOCTOR, OTHER_HOSPITAL] {
        let mut draft = ledger.draft(Vec::new());
        draft.descriptor.miner = id(miner);
        draft.key = mining_key(miner);
        let result = judge(&ledger, &draft.seal(), LATER);
        assert!(matches!(result, Err(BlockError::NotAHospital(found)) if found == id(miner)));
    }
}

#[test]
fn a_block_is_signed_by_a_mining_key_of_its_miner() {
    let genesis = Genesis {
        founders: vec![founder(HOSPITAL), founder(OTHER_HOSPITAL)],
        ..Genesis::single(founder(HOSPITAL), tiny_work())
    };
    let ledger = Ledger::new(genesis);
    let refused = |block: &Block| matches!(judge(&ledger, block, LATER), Err(BlockError::Signature(m)) if m == id(HOSPITAL));
    let good = ledger.draft(Vec::new()).seal();
    assert!(judge(&ledger, &good, LATER).is_ok());
    let other = ledger.draft(Vec::new());
    assert!(refused(&Draft { key: mining_key(OTHER_HOSPITAL), ..other }.seal()));
    for signature in [
        Signature::from_bytes([0; 64]),
        // By the hospital's identity; over another chain; over another header.
        member(HOSPITAL).sign(crate::registry::domain::BLOCK_SIGNATURE, good.id().as_bytes()),
        block::sign_header(&mining_key(HOSPITAL), &ChainId::from_bytes([1; 32]), &good.id()),
        block::sign_header(&mining_key(HOSPITAL), &ledger.rules.chain, &ledger.tip().id),
    ] {
        assert!(refused(&Block { signature, ..good.clone() }));
    }
}

#[test]
fn pitfall_24_diversity_makes_hospitals_take_turns() {
    let founders: Vec<_> = (10..14).map(founder).collect();
    let genesis = Genesis {
        founders: [vec![founder(HOSPITAL)], founders].concat(),
        diversity: 2,
        ..Genesis::single(founder(HOSPITAL), tiny_work())
    };
    let ledger = Ledger::new(genesis);
    let check = |miner: u8| {
        let mut draft = ledger.draft(Vec::new());
        draft.descriptor.miner = id(miner);
        draft.key = mining_key(miner);
        let block = draft.seal();
        let checked = judge(&ledger, &block, LATER)?;
        let mut unit = ledger.store.unit().unwrap();
        unit.append_block(&checked).unwrap();
        unit.commit().unwrap();
        Ok::<_, BlockError>(())
    };
    let too_soon = |result| matches!(result, Err(BlockError::Diversity { diversity: 2, .. }));
    check(HOSPITAL).unwrap();
    assert!(too_soon(check(HOSPITAL)));
    check(10).unwrap();
    assert!(too_soon(check(HOSPITAL)));
    assert!(too_soon(check(10)));
    check(11).unwrap();
    check(HOSPITAL).unwrap();
}

#[test]
fn pitfall_22_the_root_covers_every_record_and_the_descriptor() {
    let ledger = single();
    let good = ledger.draft(people(&ledger)).seal();
    let mut cases = vec![good.clone(), good.clone(), good.clone(), good.clone()];
    cases[0].records.pop();
    cases[1].records.swap(0, 1);
    // CVE-2012-2459: with the last leaf twice, Bitcoin's tree has the same root.
    let last = cases[2].records.last().unwrap().clone();
    cases[2].records.push(last);
    cases[3].descriptor.extra_nonce = 1;
    for block in cases {
        let expected = block.root();
        assert_ne!(expected, good.header.root);
        let result = judge(&ledger, &block, LATER);
        assert!(matches!(result, Err(BlockError::Root { expected: e, .. }) if e == expected));
    }
}

#[test]
fn pitfall_38_a_block_stays_within_the_limits_of_its_chain() {
    let limits = Limits { block_records: 5, block_bytes: 16 * 1024, ..Limits::default() };
    let genesis = Genesis { limits, ..Genesis::single(founder(HOSPITAL), tiny_work()) };
    let ledger = Ledger::new(genesis);
    let result = with(&ledger, |_| ());
    let count = people(&ledger).len() as u64;
    assert!(matches!(
        result,
        Err(BlockError::TooLarge { what: "records", found, max: 5 }) if found == count
    ));
    assert!(with(&ledger, |draft| draft.records.truncate(5)).is_ok());

    let limits = Limits { block_records: 1000, block_bytes: 16 * 1024, ..Limits::default() };
    let ledger = Ledger::new(Genesis { limits, ..Genesis::single(founder(HOSPITAL), tiny_work()) });
    let mut world = ledger.world().with_people();
    while world.log.iter().map(|r| r.encode().len()).sum::<usize>() <= 16 * 1024 {
        world.add_report();
    }
    let result = with(&ledger, |draft| draft.records = world.log.clone());
    assert!(matches!(
        result,
        Err(BlockError::TooLarge { what: "bytes of records", max: 16_384, .. })
    ));
    world.log.pop();
    assert!(with(&ledger, |draft| draft.records = world.log.clone()).is_ok());
}

#[test]
fn pitfall_30_a_block_with_a_record_of_no_effect_is_refused() {
    let ledger = single();
    let records = people(&ledger);
    let void = |records: Vec<SignedRecord>| match with(&ledger, |d| d.records = records) {
        Err(BlockError::Void { index, code }) => (index, code),
        other => panic!("{other:?}"),
    };
    let mut twice = records.clone();
    twice.push(records[0].clone());
    assert_eq!(void(twice), (records.len(), VoidCode::Replayed));
    // Order counts: the patients enrol before anyone has registered them.
    let reversed: Vec<_> = records.iter().rev().cloned().collect();
    assert_eq!(void(reversed), (0, VoidCode::UnknownAuthor));
    // In an earlier block as well.
    ledger.submit(&records).unwrap();
    ledger.order();
    assert_eq!(void(vec![records[3].clone()]), (0, VoidCode::Replayed));
    assert!(with(&ledger, |d| d.records.clear()).is_ok());
}

#[test]
fn a_chain_starts_from_the_header_of_its_configuration() {
    let ledger = single();
    let genesis = &ledger.rules.genesis;
    let header = ledger.tip().signed.header;
    assert_eq!(Rules::new(&header, genesis.clone()).unwrap().chain, ledger.rules.chain);
    let other = Genesis::single(founder(OTHER_HOSPITAL), tiny_work());
    assert!(matches!(Rules::new(&header, other), Err(BlockError::Root { .. })));
    let on_top = Header { previous: header.id(), ..header };
    assert!(matches!(
        Rules::new(&on_top, genesis.clone()),
        Err(BlockError::Header(HeaderError::Previous { .. }))
    ));
    let easier = Header { bits: Target::from_expected_tries(1).to_bits(), ..header };
    assert!(matches!(
        Rules::new(&easier, genesis.clone()),
        Err(BlockError::Header(HeaderError::Bits { .. }))
    ));
    let mut unworked = header;
    while unworked.meets_target() {
        unworked.nonce += 1;
    }
    assert!(matches!(
        Rules::new(&unworked, genesis.clone()),
        Err(BlockError::Header(HeaderError::Work { .. }))
    ));
}

#[test]
fn a_log_needs_no_work_and_counts_none() {
    let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), Consensus::Log));
    assert!(with(&ledger, |_| ()).is_ok());
    let found = Target::from_expected_tries(1).to_bits();
    let error = header_error(with(&ledger, |draft| draft.header.bits = found));
    assert_eq!(error, HeaderError::Bits { expected: Bits::NO_WORK, found });
    assert_eq!(ledger.rules.work(Bits::NO_WORK), Work::ZERO);
    ledger.order();
    assert_eq!(ledger.tip().chain_work, Work::ZERO);
}

#[test]
fn pitfall_27_work_adds_up_block_by_block() {
    let ledger = single();
    let Consensus::Work(Schedule::Fixed { bits }) = ledger.rules.genesis.consensus else {
        unreachable!("made so")
    };
    let each = Target::from_bits(bits).unwrap().work();
    let mut expected = each;
    for _ in 0..3 {
        assert_eq!(ledger.tip().chain_work, expected);
        ledger.order();
        expected = expected.saturating_add(each);
    }
}

#[test]
fn records_are_accepted_all_or_none() {
    use crate::engine::SubmitError;
    let ledger = single();
    let mut records = people(&ledger);
    let late = records.pop().unwrap();
    records.push(records[0].clone());
    // Even when the caller goes on with the unit of work.
    let mut unit = ledger.store.unit().unwrap();
    let refused = ledger.engine.submit(unit.as_mut(), &records);
    assert!(matches!(refused, Err(SubmitError::Refused { code: VoidCode::Replayed, .. })));
    unit.commit().unwrap();
    assert_eq!(ledger.store.view().unwrap().count_pending().unwrap(), 0);
    records.pop();
    // A unit that is dropped leaves no trace either.
    let mut unit = ledger.store.unit().unwrap();
    ledger.engine.submit(unit.as_mut(), &records).unwrap();
    drop(unit);
    assert!(matches!(ledger.submit(std::slice::from_ref(&late)), Err(SubmitError::Refused { .. })));
    assert_eq!(ledger.submit(&records).unwrap().len(), records.len());
    ledger.submit(&[late]).unwrap();
}

#[test]
fn signatures_put_off_are_blamed_like_those_checked_one_by_one() {
    let ledger = single();
    let forge = |record: &SignedRecord| {
        let mut bytes = record.encode();
        // Another record's signature, which is well formed.
        let other = people(&ledger)[0].signature().as_bytes().to_vec();
        let at = bytes.windows(64).position(|w| w == record.signature().as_bytes()).unwrap();
        bytes[at..at + 64].copy_from_slice(&other);
        SignedRecord::decode(&bytes).unwrap()
    };
    let good = people(&ledger);
    let spoilt = |forged: &[usize], twice: Option<usize>| {
        let mut records = good.clone();
        for index in forged {
            records[*index] = forge(&records[*index]);
        }
        if let Some(index) = twice {
            records.insert(index, records[0].clone());
        }
        records
    };
    for (forged, twice, expected) in [
        (vec![], None, None),
        (vec![2], None, Some((2, VoidCode::BadSignature))),
        (vec![3, 1], None, Some((1, VoidCode::BadSignature))),
        (vec![2], Some(5), Some((2, VoidCode::BadSignature))),
        (vec![5], Some(3), Some((3, VoidCode::Replayed))),
    ] {
        let mut draft = ledger.draft(spoilt(&forged, twice));
        draft.header.time += 1;
        let block = draft.seal();
        let view = ledger.store.view().unwrap();
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let mut batched = BatchedSignatures::new(&crate::pow::Inline, &mut rng);
        let ways: [&mut dyn Signatures; 2] = [&mut SignatureCheck::Now, &mut batched];
        for signatures in ways {
            let answer = ledger.rules.check_block(view.as_ref(), &block, LATER, signatures);
            let found = match answer {
                Ok(_) => None,
                Err(BlockError::Void { index, code }) => Some((index, code)),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "{forged:?} {twice:?}");
        }
    }
}
