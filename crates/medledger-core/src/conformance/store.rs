//! What every [`Store`] does.

mod blocks;
mod records;
mod rows;

use super::fixture::{Fixture, easy_work};
use crate::store::{Drawer, RecordQuery, Row, Store, StoreError, Unit};

/// Runs every test on stores that `make` makes, each empty.
pub fn suite(make: &dyn Fn() -> Box<dyn Store>) {
    rows::state_scans(make().as_ref());
    rows::drawers_are_apart(make().as_ref());
    rows::scans_agree_with_a_map(make().as_ref());
    rows::units_see_their_own_writes_and_vanish(make().as_ref());
    rows::views_are_snapshots(make().as_ref());
    rows::commits_are_counted(make().as_ref());
    blocks::blocks_are_appended_in_order(make().as_ref());
    blocks::the_newest_block_comes_off(make().as_ref());
    records::records_stand_where_they_were_put(make().as_ref());
    records::the_queue_keeps_its_order(make().as_ref());
    records::finds_what_is_asked_for(make().as_ref());
    records::finds_by_time(make().as_ref());
    records::removes_records(make().as_ref());
    records::pages_through_what_it_finds(make().as_ref());
    records::a_long_queue_is_quick(make().as_ref());
    rows::units_wait_for_each_other(make().as_ref());
}

/// Runs on a store that outlives its handle: `open` opens the same one each time, empty at first.
pub fn reopened(open: &dyn Fn() -> Box<dyn Store>) {
    let fixture = Fixture::new(easy_work());
    let (blocks, records) = {
        let store = open();
        fixture.found(store.as_ref());
        let records = records::sample(&fixture);
        let mut unit = store.unit().unwrap();
        let block = blocks::next_block(&fixture.genesis_block());
        unit.append_block(&block).unwrap();
        for record in &records {
            unit.put_record(record).unwrap();
        }
        unit.set_local(Drawer::Slots, b"\0\xff", Some(b"")).unwrap();
        unit.commit().unwrap();
        let mut lost = store.unit().unwrap();
        lost.set_local(Drawer::Slots, b"lost", Some(b"never committed")).unwrap();
        drop(lost);
        (vec![fixture.genesis_block(), block], records)
    };
    let store = open();
    let view = store.view().unwrap();
    for block in &blocks {
        assert_eq!(view.block(block.height).unwrap().as_ref(), Some(block));
    }
    for record in &records {
        assert_eq!(view.record(&record.id).unwrap().as_ref(), Some(record));
        record.signed().unwrap();
    }
    let found = view.find(&RecordQuery::default()).unwrap();
    assert_eq!(found, records, "in the same order as before");
    assert_eq!(view.local(Drawer::Slots, b"\0\xff").unwrap(), Some(Vec::new()));
    assert_eq!(view.local(Drawer::Slots, b"lost").unwrap(), None);
    for change in fixture.rules.genesis.state() {
        assert_eq!(view.state(&change.key).unwrap(), change.value);
    }
}

fn commit(store: &dyn Store, write: impl FnOnce(&mut dyn Unit)) {
    let mut unit = store.unit().unwrap();
    write(unit.as_mut());
    unit.commit().unwrap();
}

fn keys(rows: Vec<Row>) -> Vec<Vec<u8>> {
    rows.into_iter().map(|(key, _)| key).collect()
}

fn is_damaged<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Damaged(_))), "{result:?}");
}
