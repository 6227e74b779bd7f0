//! Blocks and the newest of them.

use super::super::fixture::{Fixture, easy_work};
use super::{commit, is_damaged};
use crate::ids::MemberId;
use crate::pow::Header;
use crate::store::{Standing, Store, StoredBlock};

/// A block that a store takes; not one that keeps the rules of the chain.
pub(super) fn next_block(below: &StoredBlock) -> StoredBlock {
    let header = Header { previous: below.id, nonce: 7, ..below.signed.header };
    let descriptor = crate::block::Descriptor {
        chain: below.id.into(),
        height: below.height + 1,
        miner: MemberId::from_bytes([9; 16]),
        parent: below.node,
        extra_nonce: 1 << 63,
    };
    let signature = Some(crate::keys::Signature::from_bytes([5; 64]));
    StoredBlock {
        signed: crate::block::SignedHeader { header, signature },
        descriptor: Some(descriptor),
        height: below.height + 1,
        id: header.id(),
        records: 3,
        chain_work: below.chain_work.saturating_add(below.chain_work),
        ..below.clone()
    }
}

pub(super) fn blocks_are_appended_in_order(store: &dyn Store) {
    let genesis = Fixture::new(easy_work()).genesis_block();
    let (one, two) = (next_block(&genesis), next_block(&next_block(&genesis)));
    let refused = |block: &StoredBlock| {
        let mut unit = store.unit().unwrap();
        is_damaged(unit.append_block(block));
    };
    assert_eq!(store.view().unwrap().tip().unwrap(), None);
    refused(&one);
    commit(store, |unit| unit.append_block(&genesis).unwrap());
    refused(&genesis);
    refused(&two);
    refused(&StoredBlock { height: 1, ..genesis.clone() });
    commit(store, |unit| {
        unit.append_block(&one).unwrap();
        unit.append_block(&two).unwrap();
    });
    refused(&two);
    let view = store.view().unwrap();
    assert_eq!(view.tip().unwrap().as_ref(), Some(&two));
    for block in [&genesis, &one, &two] {
        assert_eq!(view.block(block.height).unwrap().as_ref(), Some(block));
        assert_eq!(view.height_of(&block.id).unwrap(), Some(block.height));
    }
    for height in [3, u64::MAX] {
        assert_eq!(view.block(height).unwrap(), None);
        assert_eq!(view.records_of(height).unwrap(), []);
    }
}

pub(super) fn the_newest_block_comes_off(store: &dyn Store) {
    let fixture = Fixture::new(easy_work());
    let genesis = fixture.genesis_block();
    let one = next_block(&genesis);
    is_damaged(store.unit().unwrap().remove_tip());
    let record = Fixture::stored(&fixture.add_report(), Standing::Mined { height: 1, index: 0 });
    commit(store, |unit| {
        unit.append_block(&genesis).unwrap();
        unit.append_block(&one).unwrap();
        unit.put_record(&record).unwrap();
    });
    is_damaged(store.unit().unwrap().remove_tip());
    commit(store, |unit| {
        unit.settle(&record.id, Standing::Accepted { seq: 3 }).unwrap();
        unit.remove_tip().unwrap();
        assert_eq!(unit.tip().unwrap().as_ref(), Some(&genesis));
    });
    let view = store.view().unwrap();
    assert_eq!((view.block(1).unwrap(), view.height_of(&one.id).unwrap()), (None, None));
    assert_eq!(view.records_of(1).unwrap(), []);
    // Its place is free, and it may come back.
    commit(store, |unit| unit.append_block(&one).unwrap());
    assert_eq!(store.view().unwrap().height_of(&one.id).unwrap(), Some(1));
}
