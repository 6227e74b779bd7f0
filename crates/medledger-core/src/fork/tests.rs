use super::*;
use crate::checkpoint::{Checkpoint, NoteKey, SignedNote};
use crate::genesis::Genesis;
use crate::ids::RecordId;
use crate::record::SignedRecord;
use crate::registry::VoidCode;
use crate::store::{Drawer, Standing, Store};
use crate::testing::*;

/// Four hospitals: three make a quorum.
pub(crate) const FOUNDERS: [u8; 4] = [HOSPITAL, OTHER_HOSPITAL, 11, 12];

pub(crate) fn genesis() -> Genesis {
    let mut genesis = Genesis::single(founder(HOSPITAL), tiny_work());
    genesis.founders = FOUNDERS.map(founder).to_vec();
    genesis
}

pub(crate) fn ledgers() -> [Ledger; 4] {
    FOUNDERS.map(|number| Ledger::of(genesis(), number))
}

/// The first `size` blocks of a ledger's chain, signed by these hospitals.
pub(crate) fn checkpoint(ledger: &Ledger, size: u64, hospitals: &[u8]) -> String {
    let view = ledger.store.view().unwrap();
    let root = finality::tree_root(view.as_ref(), size).unwrap();
    let text = Checkpoint::new(&ledger.rules.chain, size, root).to_string();
    let mut note = SignedNote::new(text).unwrap();
    for hospital in hospitals {
        let key = mining_key(*hospital);
        let public = *key.verifying_key().as_bytes();
        let cosigner = NoteKey::cosigner(id(*hospital).to_string(), public).unwrap();
        let time = Timestamp::from_secs(NOW);
        note.cosign(&cosigner, time, &mut |bytes| *key.sign_note(bytes).as_bytes()).unwrap();
    }
    note.to_string()
}

/// Everything that follows from the blocks, short enough to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    height: u64,
    tip: crate::ids::BlockId,
    tree: crate::ids::TreeHash,
    state: crate::ids::TreeHash,
    records: Vec<RecordId>,
    finalized: u64,
}

pub(crate) fn fingerprint(ledger: &Ledger) -> Fingerprint {
    let view = ledger.store.view().unwrap();
    let tip = view.tip().unwrap().unwrap();
    let rows = view.state_scan(&[], None, usize::MAX).unwrap();
    Fingerprint {
        height: tip.height,
        tip: tip.id,
        tree: finality::tree_root(view.as_ref(), tip.height + 1).unwrap(),
        state: crate::merkle::root(rows.iter().map(crate::cbor::encode)),
        records: (0..=tip.height)
            .flat_map(|height| view.records_of(height).unwrap())
            .map(|record| record.id)
            .collect(),
        finalized: final_height(view.as_ref(), &ledger.rules).unwrap(),
    }
}

fn standing(ledger: &Ledger, record: &SignedRecord) -> Standing {
    ledger.stored(record).standing
}

fn reorg(answer: Received) -> Reorg {
    match answer {
        Received::Best(reorg) => reorg,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_branch_with_more_work_becomes_the_chain_and_what_it_lacks_waits_again() {
    let [a, b, ..] = ledgers();
    let mut world = a.world();
    let doctor = world.register(HOSPITAL, DOCTOR, crate::registry::Role::Doctor);
    let shared = world.sign(HOSPITAL, doctor);
    let nurse = world.register(HOSPITAL, NURSE, crate::registry::Role::Nurse);
    let only_a = world.sign(HOSPITAL, nurse);
    let lab = world.register(OTHER_HOSPITAL, LAB, crate::registry::Role::Lab);
    let waits = world.sign(OTHER_HOSPITAL, lab);

    let one = a.mine(vec![shared.clone(), only_a.clone()]);
    a.submit(std::slice::from_ref(&waits)).unwrap();
    let two = b.mine(vec![shared.clone()]);
    let three = b.mine(Vec::new());
    let untouched = Ledger::of(genesis(), 12);
    untouched.receive(&two);
    untouched.receive(&three);

    // As much work as the block that is there: the lower id decides, whoever came first.
    let first = a.receive(&two);
    let second_is_lower = order(&two, &one);
    assert_eq!(matches!(first, Received::Best(_)), second_is_lower);
    let change = match first {
        Received::Best(reorg) => {
            a.receive(&three);
            reorg
        }
        _ => reorg(a.receive(&three)),
    };
    assert_eq!((change.fork, &change.removed), (0, &vec![one.id()]));
    assert_eq!(change.returned, [only_a.id()]);
    assert_eq!(a.tip().id, three.id());
    assert_eq!(standing(&a, &shared), Standing::Mined { height: 1, index: 0 });
    // What lost its place goes before what waited: the latter may build on it.
    let view = a.store.view().unwrap();
    let queue: Vec<_> = view.pending(9).unwrap().iter().map(|record| record.id).collect();
    assert_eq!(queue, [only_a.id(), waits.id()]);
    let mined = a.order();
    assert_eq!(mined.block.records, [only_a, waits]);
    // The other branch is not lost: it may still win.
    let again = b.receive(&one);
    assert!(matches!(again, Received::Beside), "{again:?}");
    assert_eq!(fingerprint(&b), fingerprint(&untouched));
}

fn order(a: &Block, b: &Block) -> bool {
    a.id().to_string() < b.id().to_string()
}

#[test]
fn children_before_their_parents_wait_for_them() {
    let [a, b, ..] = ledgers();
    let blocks: Vec<Block> = (0..5).map(|_| a.mine(Vec::new())).collect();
    for block in blocks[1..].iter().rev() {
        let parent = block.descriptor.parent;
        assert!(matches!(b.receive(block), Received::Orphan { parent: p } if p == parent));
        assert!(matches!(b.receive(block), Received::Orphan { .. }), "still");
    }
    assert_eq!(b.tip().height, 0);
    let change = reorg(b.receive(&blocks[0]));
    assert_eq!(change.added.len(), 5);
    assert_eq!(fingerprint(&a), fingerprint(&b));
    assert!(matches!(b.receive(&blocks[3]), Received::Known));
    assert_eq!(branches::all(b.store.view().unwrap().as_ref()).unwrap().len(), 0);
}

#[test]
fn a_block_with_a_void_record_is_condemned_with_all_that_stand_on_it() {
    let [a, b, c, _] = ledgers();
    let mut world = a.world();
    let doctor = world.register(HOSPITAL, DOCTOR, crate::registry::Role::Doctor);
    let record = world.sign(HOSPITAL, doctor);
    let good = a.mine(vec![record.clone()]);
    // The second hospital mines the same record again, and goes on above that.
    b.receive(&good);
    let bad = b.draft(vec![record]).seal();
    let on_bad = {
        let tip = b.tip();
        let mut draft = b.draft(Vec::new());
        draft.header.previous = bad.id();
        draft.header.time = tip.signed.header.time + 2;
        draft.descriptor.parent = bad.to_nodes().root.0;
        draft.descriptor.height += 1;
        draft.seal()
    };
    assert!(matches!(c.receive(&on_bad), Received::Orphan { .. }));
    assert!(matches!(c.receive(&bad), Received::Orphan { .. }));
    let change = reorg(c.receive(&good));
    assert_eq!(change.added.len(), 1, "the good part of the branch is taken");
    assert_eq!(c.tip().id, good.id());
    for block in [&bad, &on_bad] {
        let answer = c.receive(block);
        let Received::Refused(fault) = answer else { panic!("{answer:?}") };
        assert!(matches!(fault, Fault::Condemned(_)));
        let node = block.to_nodes().root.0;
        assert_eq!(fault.condemns(block, &node), Condemned::Node(node));
    }
    // Who has the good block first hears what is wrong.
    let answer = b.receive(&bad);
    let Received::Refused(Fault::Rule(error)) = answer else { panic!("{answer:?}") };
    assert!(matches!(error, BlockError::Void { index: 0, code: VoidCode::Replayed }));
}

#[test]
fn faults_of_the_header_condemn_the_header_and_those_of_the_signature_only_the_node() {
    let [a, b, ..] = ledgers();
    let mut draft = a.draft(Vec::new());
    draft.header.bits = crate::pow::Bits::from_u32(0x207f_fffe);
    let block = draft.seal();
    let Received::Refused(fault) = b.receive(&block) else { panic!() };
    let node = block.to_nodes().root.0;
    assert_eq!(fault.condemns(&block, &node), Condemned::Header(block.id()));

    let block = a.draft(Vec::new()).seal();
    let forged = Block {
        signature: crate::block::sign_header(&mining_key(12), &a.rules.chain, &block.id()),
        ..block.clone()
    };
    let Received::Refused(fault) = b.receive(&forged) else { panic!() };
    let node = forged.to_nodes().root.0;
    assert_eq!(fault.condemns(&forged, &node), Condemned::Node(node));
    // The same header with its own signature is as good as ever.
    assert!(matches!(b.receive(&block), Received::Best(_)));

    let mut draft = a.draft(Vec::new());
    draft.header.time = u32::try_from(NOW + 100_000 + limit::FUTURE_BLOCK_SECONDS + 1).unwrap();
    let early = draft.seal();
    let answer = b.receive(&early);
    assert!(matches!(answer, Received::Deferred(Deferral::TooEarly(_))), "{answer:?}");

    let by_stranger = |ledger: &Ledger| {
        let mut stranger = ledger.draft(Vec::new());
        stranger.descriptor.miner = id(STRANGER);
        stranger.key = mining_key(STRANGER);
        b.receive(&stranger.seal())
    };
    // On the newest block, and beside it on one whose hospitals are known.
    for ledger in [&b, &a] {
        let answer = by_stranger(ledger);
        let Received::Refused(Fault::Rule(error)) = answer else { panic!("{answer:?}") };
        assert!(matches!(error, BlockError::NotAHospital(_)), "{error}");
    }
    // On one that is not here: who is a hospital there is not known yet.
    for _ in 0..2 {
        a.mine(Vec::new());
    }
    let answer = by_stranger(&a);
    assert!(matches!(answer, Received::Deferred(Deferral::UnknownMiner(_))), "{answer:?}");
}

#[test]
fn no_branch_parts_below_a_final_block_whatever_its_work() {
    let [a, b, c, _] = ledgers();
    let one = a.mine(Vec::new());
    let two = a.mine(Vec::new());
    let heavy: Vec<Block> = (0..5).map(|_| b.mine(Vec::new())).collect();
    for block in [&one, &two] {
        c.receive(block);
    }
    let note = checkpoint(&a, 2, &FOUNDERS[..3]);
    assert!(matches!(
        c.receive_checkpoint(&note),
        Ok(Checkpointed::Final { size: 2, reorg: None })
    ));
    assert!(matches!(c.receive_checkpoint(&note), Ok(Checkpointed::Known)));
    let answer = c.receive(&heavy[0]);
    assert!(
        matches!(answer, Received::Refused(Fault::BelowFinal { height: 1, finalized: 1 })),
        "{answer:?}"
    );
    for block in &heavy[1..] {
        assert!(matches!(c.receive(block), Received::Orphan { .. }));
    }
    assert_eq!(c.tip().id, two.id());
    // Above the final block the heavier branch wins as ever.
    let beside = Ledger::of(genesis(), 11);
    beside.receive(&one);
    let other: Vec<Block> = (0..2).map(|_| beside.mine(Vec::new())).collect();
    c.receive(&other[0]);
    c.receive(&other[1]);
    assert_eq!(c.tip().id, other[1].id());
}

#[test]
fn a_checkpoint_decides_against_work_and_waits_for_its_blocks() {
    let [a, b, c, d] = ledgers();
    let light = a.mine(Vec::new());
    let heavy: Vec<Block> = (0..3).map(|_| b.mine(Vec::new())).collect();
    let note = checkpoint(&a, 2, &FOUNDERS[1..]);
    // The blocks first: the branch is there, and is changed for.
    for block in heavy.iter().chain([&light]) {
        c.receive(block);
    }
    assert_eq!(c.tip().id, heavy[2].id());
    let Ok(Checkpointed::Final { size: 2, reorg: Some(change) }) = c.receive_checkpoint(&note)
    else {
        panic!()
    };
    assert_eq!(change.removed.len(), 3);
    // The checkpoint first.
    for block in &heavy {
        d.receive(block);
    }
    assert!(matches!(d.receive_checkpoint(&note), Ok(Checkpointed::Ahead { size: 2 })));
    assert_eq!(reorg(d.receive(&light)).removed.len(), 3);
    assert_eq!(fingerprint(&c), fingerprint(&d));
    let view = c.store.view().unwrap();
    assert_eq!(branches::all(view.as_ref()).unwrap().len(), 0, "nothing is kept below");
    assert_eq!(view.local_scan(Drawer::Undo, &[], None, 9).unwrap().len(), 0);
}

#[test]
fn a_minority_finalises_nothing_and_two_quorums_that_contradict_are_kept_as_evidence() {
    let [a, b, ..] = ledgers();
    a.mine(Vec::new());
    b.mine(Vec::new());
    let few = a.receive_checkpoint(&checkpoint(&a, 2, &FOUNDERS[..2]));
    assert!(matches!(few, Ok(Checkpointed::Gathering { found: 2, needed: 3 })), "{few:?}");
    assert_eq!(fingerprint(&a).finalized, 0);
    a.receive_checkpoint(&checkpoint(&a, 2, &FOUNDERS[..3])).unwrap();
    let before = fingerprint(&a);
    let other = checkpoint(&b, 2, &FOUNDERS[1..]);
    for _ in 0..2 {
        let answer = a.receive_checkpoint(&other);
        assert!(matches!(answer, Err(CheckpointError::Conflict { size: 2 })), "{answer:?}");
    }
    assert_eq!(fingerprint(&a), before);
    let view = a.store.view().unwrap();
    assert_eq!(conflicts(view.as_ref()).unwrap(), [other.into_bytes()]);
}

#[test]
fn what_is_kept_of_one_hospital_is_bounded_and_never_at_the_cost_of_another() {
    let [a, b, c, _] = ledgers();
    let beside = b.mine(Vec::new());
    for _ in 0..2 {
        a.mine(Vec::new());
    }
    let honest = c.mine(Vec::new());
    let receiver = Ledger::of(genesis(), 12);
    receiver.receive(&honest);
    receiver.receive(&beside);
    let orphans = |count: usize| {
        (0..count).map(|number| {
            let mut draft = b.draft(Vec::new());
            draft.descriptor.height = 100;
            draft.descriptor.extra_nonce = number as u64;
            draft.descriptor.parent = envelope("nobody knows");
            draft.seal()
        })
    };
    for block in orphans(limit::BRANCH_BLOCKS + 10) {
        assert!(matches!(receiver.receive(&block), Received::Orphan { .. }));
    }
    let view = receiver.store.view().unwrap();
    let kept = branches::all(view.as_ref()).unwrap();
    let of = |number| kept.iter().filter(|kept| kept.miner() == id(number)).count();
    assert!(of(OTHER_HOSPITAL) <= limit::BRANCH_BLOCKS);
    let beside_is_kept = kept.iter().any(|kept| kept.stored.id == beside.id());
    let honest_is_kept = kept.iter().any(|kept| kept.stored.id == honest.id());
    assert!(beside_is_kept || receiver.tip().id == beside.id(), "its orphans went first");
    assert!(honest_is_kept || receiver.tip().id == honest.id());
}
