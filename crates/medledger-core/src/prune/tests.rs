use super::*;
use crate::clock::Clock;
use crate::conformance::fixture::{Fixture, easy_work};
use crate::engine::{Engine, PowEngine};
use crate::memory::MemoryStore;
use crate::receipt::{Receipt, ReceiptError};
use crate::replay::{ReplayError, replay};
use crate::state::{Rebuilt, SignatureCheck};
use crate::store::{RecordQuery, Store, StoredRecord};

/// Five blocks: the people, which the hospital states, then reports, which the doctor does.
fn grown() -> (Fixture, PowEngine, MemoryStore, Vec<StoredRecord>) {
    let (fixture, store) = (Fixture::new(easy_work()), MemoryStore::new());
    fixture.found(&store);
    let engine = PowEngine::new(fixture.rules.clone(), Some(fixture.mining_key()));
    fixture.accept(&engine, &store, &fixture.people());
    fixture.mine(&engine, &store);
    for count in [1, 2, 3, 7] {
        let reports: Vec<_> = (0..count).map(|_| fixture.add_report()).collect();
        fixture.accept(&engine, &store, &reports);
        fixture.mine(&engine, &store);
    }
    let records = store.view().unwrap().find(&RecordQuery::default()).unwrap();
    (fixture, engine, store, records)
}

fn pruned(fixture: &Fixture, store: &MemoryStore, own: &MemberId, keep: u64) -> Pruned {
    let mut unit = store.unit().unwrap();
    let done = prune(unit.as_mut(), &fixture.rules, own, keep).unwrap();
    unit.commit().unwrap();
    done
}

#[test]
fn own_records_keep_their_receipts_under_later_checkpoints() {
    let (fixture, engine, store, records) = grown();
    // As a hospital that is only the doctor: what the real one stated is of others.
    let own = fixture.doctor.id();
    let done = pruned(&fixture, &store, &own, 2);
    let (mine, of_others): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.author == own);
    let (records, kept) = (of_others.len() as u64, 1 + 2);
    assert_eq!(done, Pruned { blocks: 3, records, kept, kept_from: 4 });
    // Another block, and so another checkpoint.
    fixture.accept(&engine, &store, &[fixture.add_report()]);
    fixture.mine(&engine, &store);
    let view = store.view().unwrap();
    for record in mine {
        let receipt = Receipt::of(view.as_ref(), &fixture.rules, record).unwrap();
        let proven = receipt.check(&fixture.rules.chain).unwrap();
        assert_eq!((proven.record.id(), proven.checkpoint_size), (record.id, 7));
    }
    for record in of_others {
        assert_eq!(view.record(&record.id).unwrap(), None);
        let error = Receipt::of(view.as_ref(), &fixture.rules, record).unwrap_err();
        let pruned = matches!(error, ReceiptError::Store(StoreError::Pruned { height: 1 }));
        assert!(pruned, "{error:?}");
    }
}

#[test]
fn a_pruned_chain_cannot_be_replayed_and_says_why() {
    let (fixture, _, store, _) = grown();
    pruned(&fixture, &store, &fixture.doctor.id(), 2);
    let view = store.view().unwrap();
    let error = replay(
        view.as_ref(),
        &fixture.rules,
        fixture.clock.now(),
        &mut SignatureCheck::Done,
        &mut Rebuilt::default(),
        &mut |_| {},
    )
    .unwrap_err();
    assert!(matches!(error, ReplayError::Store(StoreError::Pruned { height: 1 })), "{error:?}");
    // The blocks that were to stay are whole.
    for height in 4..=5 {
        replay::block(view.as_ref(), &block_at(view.as_ref(), height).unwrap()).unwrap();
    }
}

#[test]
fn what_was_pruned_cannot_be_submitted_again() {
    let (fixture, engine, store, records) = grown();
    pruned(&fixture, &store, &fixture.doctor.id(), 0);
    let again = records[0].signed().unwrap();
    let mut unit = store.unit().unwrap();
    assert!(unit.record(&again.id()).unwrap().is_none());
    assert!(engine.submit(unit.as_mut(), &[again]).is_err(), "the state remembers it");
}

#[test]
fn only_final_blocks_are_pruned_and_each_once() {
    let (fixture, _, store, _) = grown();
    let own = fixture.doctor.id();
    assert_eq!(pruned(&fixture, &store, &own, 5).blocks, 0);
    assert_eq!(pruned(&fixture, &store, &own, u64::MAX).blocks, 0);
    assert_eq!(kept_from(store.view().unwrap().as_ref()).unwrap(), 0);
    assert_eq!(pruned(&fixture, &store, &own, 3).blocks, 2);
    assert_eq!(pruned(&fixture, &store, &own, 3).blocks, 0);
    let mut unit = store.unit().unwrap();
    // Without its checkpoint nothing is final, and so nothing may go.
    unit.set_local(Drawer::Node, b"checkpoint", None).unwrap();
    assert_eq!(prune(unit.as_mut(), &fixture.rules, &own, 0).unwrap().blocks, 0);
}

#[test]
fn a_block_that_does_not_lead_to_its_root_stays() {
    let (fixture, _, store, records) = grown();
    let mut unit = store.unit().unwrap();
    let (last, other) = (&records[records.len() - 1], fixture.add_report());
    unit.remove_record(&last.id).unwrap();
    unit.put_record(&Fixture::stored(&other, last.standing)).unwrap();
    let error = prune(unit.as_mut(), &fixture.rules, &fixture.doctor.id(), 0).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(what) if what.contains("another root")));
}
