//! What every [`Store`] does.

use super::fixture::{Fixture, easy_work};
use crate::ids::{MemberId, RecordId, ReportId};
use crate::pow::Header;
use crate::registry::{Kind, VoidCode};
use crate::store::{
    Drawer, RecordQuery, Row, Standing, Store, StoreError, StoredBlock, StoredRecord, Unit, View,
};
use std::collections::BTreeMap;

/// Runs every test on stores that `make` makes, each empty.
pub fn suite(make: &dyn Fn() -> Box<dyn Store>) {
    state_scans(make().as_ref());
    drawers_are_apart(make().as_ref());
    scans_agree_with_a_map(make().as_ref());
    units_see_their_own_writes_and_vanish(make().as_ref());
    views_are_snapshots(make().as_ref());
    commits_are_counted(make().as_ref());
    blocks_are_appended_in_order(make().as_ref());
    the_newest_block_comes_off(make().as_ref());
    records_stand_where_they_were_put(make().as_ref());
    the_queue_keeps_its_order(make().as_ref());
    finds_what_is_asked_for(make().as_ref());
    finds_by_time(make().as_ref());
    removes_records(make().as_ref());
    pages_through_what_it_finds(make().as_ref());
    a_long_queue_is_quick(make().as_ref());
    units_wait_for_each_other(make().as_ref());
}

/// Runs on a store that outlives its handle: `open` opens the same one each time, empty at first.
pub fn reopened(open: &dyn Fn() -> Box<dyn Store>) {
    let fixture = Fixture::new(easy_work());
    let (blocks, records) = {
        let store = open();
        fixture.found(store.as_ref());
        let records = sample(&fixture);
        let mut unit = store.unit().unwrap();
        let block = next_block(&fixture.genesis_block());
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

fn commits_are_counted(store: &dyn Store) {
    let set =
        |unit: &mut dyn Unit, key: &[u8]| unit.set_local(Drawer::Node, key, Some(b"")).unwrap();
    let before = store.commits();
    commit(store, |unit| set(unit, b"one"));
    let after = store.commits();
    assert!(after > before, "one more is committed");
    let mut unit = store.unit().unwrap();
    set(unit.as_mut(), b"two");
    assert_eq!(store.commits(), after, "not committed yet");
    drop(unit);
    store.view().unwrap().local(Drawer::Node, b"two").unwrap();
    assert_eq!(store.commits(), after, "neither a dropped unit nor a view counts");
    // Whoever sees another number sees what was committed.
    std::thread::scope(|scope| {
        scope.spawn(|| commit(store, |unit| set(unit, b"three")));
        while store.commits() == after {
            std::thread::yield_now();
        }
        let view = store.view().unwrap();
        assert!(view.local(Drawer::Node, b"three").unwrap().is_some());
    });
}

/// Places of a scan that a store could get wrong: the ends of the byte range, keys that are
/// prefixes of others, `after` before, within and beyond the prefix.
fn state_scans(store: &dyn Store) {
    let all: &[&[u8]] = &[
        b"",
        b"\0",
        b"a",
        b"a\0",
        b"aa",
        b"ab",
        b"b",
        b"b\xff",
        b"b\xff\xff",
        b"\xff",
        b"\xff\xff",
    ];
    commit(store, |unit| {
        for key in all {
            unit.set_state(key, Some(key)).unwrap();
        }
    });
    let view = store.view().unwrap();
    let scan = |prefix: &[u8], after: Option<&[u8]>, limit| {
        keys(view.state_scan(prefix, after, limit).unwrap())
    };
    assert_eq!(scan(b"", None, usize::MAX), all);
    assert_eq!(scan(b"a", None, usize::MAX), [&b"a"[..], b"a\0", b"aa", b"ab"]);
    assert_eq!(scan(b"a", Some(b"a"), usize::MAX), [&b"a\0"[..], b"aa", b"ab"]);
    assert_eq!(scan(b"a", Some(b"a"), 2), [&b"a\0"[..], b"aa"]);
    assert_eq!(scan(b"a", Some(b"\0"), 1), [&b"a"[..]]);
    assert_eq!(scan(b"a", Some(b"aaz"), 9), [&b"ab"[..]]);
    assert_eq!(scan(b"a", Some(b"b"), 9), [&b""[..]; 0]);
    assert_eq!(scan(b"b\xff", None, 9), [&b"b\xff"[..], b"b\xff\xff"]);
    assert_eq!(scan(b"\xff", None, 9), [&b"\xff"[..], b"\xff\xff"]);
    assert_eq!(scan(b"\xff", Some(b"\xff"), 9), [&b"\xff\xff"[..]]);
    assert_eq!(scan(b"\xff\xff\xff", None, 9), [&b""[..]; 0]);
    assert_eq!(scan(b"a", None, 0), [&b""[..]; 0]);
    let scans = |prefixes: &[&[u8]]| {
        let mut found = keys(view.state_scans(prefixes).unwrap());
        found.sort();
        found
    };
    assert_eq!(scans(&[]), [&b""[..]; 0]);
    assert_eq!(scans(&[b"b"]), [&b"b"[..], b"b\xff", b"b\xff\xff"]);
    assert_eq!(scans(&[b"aa", b"c", b"ab"]), [&b"aa"[..], b"ab"]);
    assert_eq!(scans(&[b"ab", b"\xff"]), [&b"ab"[..], b"\xff", b"\xff\xff"]);
    // "aa" and "ab" lead to entries by their last letter, "a" and "a\0" to none that is there.
    let led_to = |prefixes: &[&[u8]], table, id| {
        let mut found = view.state_led_to(prefixes, table, id).unwrap();
        found.sort();
        found
    };
    let rows = |keys: &[&[u8]]| -> Vec<Row> {
        keys.iter().map(|key| (key.to_vec(), key.to_vec())).collect()
    };
    assert_eq!(led_to(&[b"aa", b"ab", b"a\0"], b'a', 1), rows(&[b"a\0", b"aa", b"ab"]));
    assert_eq!(led_to(&[b"a"], b'a', 1), rows(&[b"a\0", b"aa", b"aa", b"ab"]));
    assert_eq!(led_to(&[b"b\xff"], b'\xff', 1), rows(&[b"\xff\xff", b"\xff\xff"]));
    assert_eq!(led_to(&[b"\xff"], b'b', 2), rows(&[b"b\xff", b"b\xff\xff"]));
    assert_eq!(led_to(&[b"b", b"c"], b'c', 1), []);
    assert_eq!(view.state(b"").unwrap(), Some(Vec::new()));
    assert_eq!(view.state(b"aaa").unwrap(), None);
    drop(view);
    commit(store, |unit| {
        unit.clear_state().unwrap();
        assert_eq!(unit.state_scan(b"", None, 9).unwrap(), []);
        unit.set_state(b"ab", Some(b"new")).unwrap();
        unit.set_state(b"never there", None).unwrap();
    });
    let rows = store.view().unwrap().state_scan(b"", None, 9).unwrap();
    assert_eq!(rows, [(b"ab".to_vec(), b"new".to_vec())]);
}

fn drawers_are_apart(store: &dyn Store) {
    commit(store, |unit| {
        for drawer in Drawer::ALL {
            unit.set_local(*drawer, b"key", Some(&[drawer.code()])).unwrap();
            unit.set_local(*drawer, b"\xff", Some(b"last")).unwrap();
        }
        unit.set_state(b"key", Some(b"state")).unwrap();
        unit.set_local(Drawer::Mail, b"key", None).unwrap();
        unit.clear_state().unwrap();
    });
    let view = store.view().unwrap();
    for drawer in Drawer::ALL {
        let expected = (*drawer != Drawer::Mail).then(|| vec![drawer.code()]);
        assert_eq!(view.local(*drawer, b"key").unwrap(), expected);
        assert_eq!(keys(view.local_scan(*drawer, b"\xff", None, 9).unwrap()), [b"\xff"]);
        let all = 1 + usize::from(*drawer != Drawer::Mail);
        assert_eq!(view.local_scan(*drawer, b"", None, usize::MAX).unwrap().len(), all);
        assert_eq!(keys(view.local_scan(*drawer, b"", Some(b"key"), 9).unwrap()), [b"\xff"]);
    }
}

/// Many writes in committed and open units, compared with a plain map after each.
fn scans_agree_with_a_map(store: &dyn Store) {
    let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    // A small generator, so that every run writes the same.
    let mut seed = 1u32;
    let mut next = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    for round in 0..40 {
        let mut unit = store.unit().unwrap();
        let mut staged = map.clone();
        for _ in 0..12 {
            let key: Vec<u8> = (0..next(4)).map(|_| [0, 1, 0xff][next(3) as usize]).collect();
            // Long ones lie elsewhere in some stores.
            let length = [0, 1, 400, 500, 501, 9000][next(6) as usize];
            let value = (next(3) > 0).then(|| vec![u8::try_from(round).unwrap(); length]);
            unit.set_state(&key, value.as_deref()).unwrap();
            unit.set_local(Drawer::Labels, &key, value.as_deref()).unwrap();
            match value {
                Some(value) => staged.insert(key, value),
                None => staged.remove(&key),
            };
        }
        for prefix in [&b""[..], &[0], &[1], &[0xff], &[0xff, 0xff], &[1, 0xff]] {
            for after in [None, Some(&b""[..]), Some(&[1][..]), Some(&[1, 0xff][..])] {
                for limit in [0, 1, 3, usize::MAX] {
                    let expected: Vec<Row> = staged
                        .iter()
                        .filter(|(key, _)| key.starts_with(prefix))
                        .filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after))
                        .take(limit)
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect();
                    assert_eq!(unit.state_scan(prefix, after, limit).unwrap(), expected);
                    let local = unit.local_scan(Drawer::Labels, prefix, after, limit).unwrap();
                    assert_eq!(local, expected);
                }
            }
        }
        if next(3) > 0 {
            unit.commit().unwrap();
            map = staged;
        }
    }
    let all: Vec<Row> = map.into_iter().collect();
    assert_eq!(store.view().unwrap().state_scan(b"", None, usize::MAX).unwrap(), all);
}

fn units_see_their_own_writes_and_vanish(store: &dyn Store) {
    let fixture = Fixture::new(easy_work());
    fixture.found(store);
    let record = Fixture::stored(
        &fixture.register(&fixture.doctor, crate::registry::Role::Doctor),
        Standing::Accepted { seq: 1 },
    );
    let block = next_block(&fixture.genesis_block());
    let mined = Standing::Mined { height: 1, index: 0 };
    let mut unit = store.unit().unwrap();
    unit.set_state(b"key", Some(b"value")).unwrap();
    unit.set_local(Drawer::Node, b"key", Some(b"value")).unwrap();
    unit.put_record(&record).unwrap();
    assert_eq!(unit.pending(9).unwrap(), std::slice::from_ref(&record));
    assert_eq!(unit.last_pending().unwrap(), Some((1, record.id)));
    unit.append_block(&block).unwrap();
    unit.settle(&record.id, mined).unwrap();
    assert_eq!(unit.state(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(unit.local(Drawer::Node, b"key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(unit.tip().unwrap().as_ref(), Some(&block));
    assert_eq!(unit.height_of(&block.id).unwrap(), Some(1));
    assert_eq!(unit.records_of(1).unwrap(), [StoredRecord { standing: mined, ..record.clone() }]);
    assert_eq!(unit.count_pending().unwrap(), 0);
    assert_eq!(unit.last_pending().unwrap(), None);
    drop(unit);
    for view in [store.view().unwrap(), store.unit().unwrap()] {
        assert_eq!(view.tip().unwrap(), Some(fixture.genesis_block()));
        assert_eq!(view.height_of(&block.id).unwrap(), None);
        assert_eq!(view.record(&record.id).unwrap(), None);
        assert_eq!(view.state(b"key").unwrap(), None);
        assert_eq!(view.local(Drawer::Node, b"key").unwrap(), None);
    }
}

fn views_are_snapshots(store: &dyn Store) {
    let set = |value: &[u8]| {
        commit(store, |unit| {
            unit.set_state(b"key", Some(value)).unwrap();
            unit.set_local(Drawer::Labels, b"key", Some(value)).unwrap();
        });
    };
    let empty = store.view().unwrap();
    set(b"one");
    let one = store.view().unwrap();
    let mut unit = store.unit().unwrap();
    unit.set_state(b"key", None).unwrap();
    unit.set_local(Drawer::Labels, b"key", Some(b"two")).unwrap();
    let uncommitted = store.view().unwrap();
    unit.commit().unwrap();
    let two = store.view().unwrap();
    for (view, state, local) in [
        (&empty, None, None),
        (&one, Some(&b"one"[..]), Some(&b"one"[..])),
        (&uncommitted, Some(b"one"), Some(b"one")),
        (&two, None, Some(b"two")),
    ] {
        assert_eq!(view.state(b"key").unwrap().as_deref(), state);
        assert_eq!(view.local(Drawer::Labels, b"key").unwrap().as_deref(), local);
    }
    // More views than a pool is likely to keep, all at once.
    let many: Vec<_> = (0..40).map(|_| store.view().unwrap()).collect();
    set(b"three");
    for view in &many {
        assert_eq!(view.local(Drawer::Labels, b"key").unwrap().as_deref(), Some(&b"two"[..]));
    }
}

/// A block that a store takes; not one that keeps the rules of the chain.
fn next_block(below: &StoredBlock) -> StoredBlock {
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

fn blocks_are_appended_in_order(store: &dyn Store) {
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

fn the_newest_block_comes_off(store: &dyn Store) {
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

/// Records in every standing, in the order in which `find` gives them.
fn sample(fixture: &Fixture) -> Vec<StoredRecord> {
    let [hospital, doctor, patient] = fixture.ids();
    let report = ReportId::from_bytes([7; 16]);
    let mut records = Vec::new();
    let mut add = |standing, patient: Option<MemberId>, report: Option<ReportId>| {
        let by_doctor = report.is_some();
        let signed = if by_doctor {
            fixture.add_report()
        } else {
            fixture.register(&fixture.doctor, crate::registry::Role::Doctor)
        };
        records.push(StoredRecord { patient, report, ..Fixture::stored(&signed, standing) });
        assert_eq!(signed.record().author, if by_doctor { doctor } else { hospital });
    };
    add(Standing::Mined { height: 0, index: 1 }, None, None);
    add(Standing::Mined { height: 1, index: 0 }, Some(patient), Some(report));
    add(Standing::Mined { height: 1, index: 1 }, Some(patient), None);
    add(Standing::Accepted { seq: 3 }, None, None);
    add(Standing::Accepted { seq: 40 }, Some(patient), Some(report));
    add(Standing::Refused { code: VoidCode::Expired }, Some(patient), Some(report));
    add(Standing::Refused { code: VoidCode::Replayed }, None, None);
    records
}

fn records_stand_where_they_were_put(store: &dyn Store) {
    let fixture = Fixture::new(easy_work());
    let records = sample(&fixture);
    commit(store, |unit| {
        for record in &records {
            unit.put_record(record).unwrap();
        }
    });
    let view = store.view().unwrap();
    for record in &records {
        assert_eq!(view.record(&record.id).unwrap().as_ref(), Some(record));
    }
    assert_eq!(view.records_of(1).unwrap(), records[1..3]);
    assert_eq!(view.records_of(0).unwrap(), records[..1]);
    let unknown = RecordId::from_bytes([1; 32]);
    assert_eq!(view.record(&unknown).unwrap(), None);
    drop(view);
    let mut unit = store.unit().unwrap();
    is_damaged(unit.settle(&unknown, Standing::Accepted { seq: 9 }));
    drop(unit);
    // Two records in one place would make an order that is none.
    for standing in [Standing::Accepted { seq: 40 }, Standing::Mined { height: 1, index: 1 }] {
        let mut unit = store.unit().unwrap();
        is_damaged(unit.settle(&records[0].id, standing));
        drop(unit);
        let mut unit = store.unit().unwrap();
        is_damaged(unit.put_record(&StoredRecord { standing, ..records[6].clone() }));
    }
    // The same record again, in its own place and in another, with another time and other bytes.
    let again = StoredRecord {
        time: crate::clock::Timestamp::from_secs(u64::MAX),
        bytes: vec![1, 2, 3],
        ..records[3].clone()
    };
    let mined = Standing::Mined { height: u64::from(u32::MAX), index: u32::MAX };
    commit(store, |unit| {
        unit.put_record(&again).unwrap();
        unit.settle(&records[4].id, mined).unwrap();
        unit.settle(&records[5].id, Standing::Accepted { seq: 41 }).unwrap();
        unit.settle(&records[0].id, Standing::Refused { code: VoidCode::Revoked }).unwrap();
    });
    let view = store.view().unwrap();
    assert_eq!(view.record(&again.id).unwrap().as_ref(), Some(&again));
    is_damaged(again.signed());
    assert_eq!(view.record(&records[4].id).unwrap().unwrap().standing, mined);
    assert_eq!(view.last_pending().unwrap(), Some((41, records[5].id)));
    assert_eq!(view.records_of(0).unwrap(), []);
    let order: Vec<_> =
        view.find(&RecordQuery::default()).unwrap().iter().map(|record| record.id).collect();
    let expected = [1, 2, 4, 3, 5, 0, 6].map(|at: usize| records[at].id);
    assert_eq!(order, expected, "a refused record keeps the age it has here");
}

fn the_queue_keeps_its_order(store: &dyn Store) {
    let fixture = Fixture::new(easy_work());
    let records = sample(&fixture);
    let put = |seqs: &[(usize, u64)]| {
        commit(store, |unit| {
            for (at, seq) in seqs {
                let standing = Standing::Accepted { seq: *seq };
                unit.put_record(&StoredRecord { standing, ..records[*at].clone() }).unwrap();
            }
        });
    };
    let queue = |limit| {
        let view = store.view().unwrap();
        let queue = view.pending(limit).unwrap();
        queue.iter().map(|record| record.id).collect::<Vec<_>>()
    };
    let ids = |places: &[usize]| places.iter().map(|at| records[*at].id).collect::<Vec<_>>();
    assert_eq!(store.view().unwrap().last_pending().unwrap(), None);
    put(&[(0, 5), (1, 3), (2, 9)]);
    put(&[(3, 4)]);
    assert_eq!(queue(usize::MAX), ids(&[1, 3, 0, 2]));
    assert_eq!(queue(2), ids(&[1, 3]));
    assert_eq!(queue(0), []);
    let view = store.view().unwrap();
    assert_eq!(view.last_pending().unwrap(), Some((9, records[2].id)));
    assert_eq!(view.count_pending().unwrap(), 4);
    commit(store, |unit| {
        unit.settle(&records[2].id, Standing::Refused { code: VoidCode::Expired }).unwrap();
        unit.settle(&records[1].id, Standing::Mined { height: 0, index: 0 }).unwrap();
        assert_eq!(unit.last_pending().unwrap(), Some((5, records[0].id)));
        unit.settle(&records[3].id, Standing::Accepted { seq: 9 }).unwrap();
        assert_eq!(unit.count_pending().unwrap(), 2);
    });
    assert_eq!(queue(9), ids(&[0, 3]));
    assert_eq!(view.count_pending().unwrap(), 4, "the older view stays as it was");
}

fn finds_what_is_asked_for(store: &dyn Store) {
    let fixture = Fixture::new(easy_work());
    let records = sample(&fixture);
    let check = |view: &dyn View| {
        let [hospital, doctor, patient] = fixture.ids();
        let report = Some(ReportId::from_bytes([7; 16]));
        let all = RecordQuery::default();
        for (query, places) in [
            (all.clone(), &[0, 1, 2, 3, 4, 5, 6][..]),
            (RecordQuery { kind: Some(Kind::AddReport), ..all.clone() }, &[1, 4, 5]),
            (RecordQuery { author: Some(hospital), ..all.clone() }, &[0, 2, 3, 6]),
            (RecordQuery { author: Some(doctor), ..all.clone() }, &[1, 4, 5]),
            (RecordQuery { author: Some(patient), ..all.clone() }, &[]),
            (RecordQuery { patient: Some(patient), ..all.clone() }, &[1, 2, 4, 5]),
            (RecordQuery { report, ..all.clone() }, &[1, 4, 5]),
            (
                RecordQuery {
                    patient: Some(patient),
                    author: Some(hospital),
                    kind: Some(Kind::Register),
                    ..all.clone()
                },
                &[2],
            ),
            (RecordQuery { kind: Some(Kind::Grant), report, ..all }, &[]),
        ] {
            let expected: Vec<_> = places.iter().map(|at| records[*at].clone()).collect();
            assert_eq!(view.find(&query).unwrap(), expected, "{query:?}");
        }
    };
    let mut unit = store.unit().unwrap();
    // In another order than that in which they are to be found.
    for at in [5, 3, 1, 6, 4, 2, 0] {
        unit.put_record(&records[at]).unwrap();
    }
    check(unit.as_ref());
    unit.commit().unwrap();
    check(store.view().unwrap().as_ref());
}

fn finds_by_time(store: &dyn Store) {
    let fixture = Fixture::new(easy_work());
    let mut records = sample(&fixture);
    // The last two lie where a signed number would be negative.
    let times = [50, 10, 30, 20, 40, 1 << 63, u64::MAX];
    for (record, time) in records.iter_mut().zip(times) {
        record.time = crate::clock::Timestamp::from_secs(time);
    }
    commit(store, |unit| records.iter().for_each(|record| unit.put_record(record).unwrap()));
    let view = store.view().unwrap();
    let bounds = [None, Some(0), Some(10), Some(11), Some(40), Some(1 << 63), Some(u64::MAX)];
    let authors = [None, Some(fixture.ids()[1])];
    for (since, until, author) in bounds.iter().flat_map(|since| {
        bounds.iter().flat_map(move |until| authors.map(|author| (*since, *until, author)))
    }) {
        let time = |bound: Option<u64>| bound.map(crate::clock::Timestamp::from_secs);
        let (since_at, until_at) = (time(since), time(until));
        let query =
            RecordQuery { author, since: since_at, until: until_at, ..RecordQuery::default() };
        let expected: Vec<_> = (records.iter().zip(times))
            .filter(|(record, time)| {
                since.is_none_or(|since| *time >= since)
                    && until.is_none_or(|until| *time < until)
                    && author.is_none_or(|author| record.author == author)
            })
            .map(|(record, _)| record.clone())
            .collect();
        assert_eq!(view.find(&query).unwrap(), expected, "{query:?}");
        let second = RecordQuery { limit: 1, offset: 1, ..query };
        assert_eq!(view.find(&second).unwrap(), expected.get(1..2).unwrap_or_default());
    }
}

fn removes_records(store: &dyn Store) {
    let fixture = Fixture::new(easy_work());
    let records = sample(&fixture);
    commit(store, |unit| records.iter().for_each(|record| unit.put_record(record).unwrap()));
    let mut unit = store.unit().unwrap();
    for at in [1, 3, 5, 3] {
        unit.remove_record(&records[at].id).unwrap();
        assert_eq!(unit.record(&records[at].id).unwrap(), None);
    }
    drop(unit);
    assert_eq!(store.view().unwrap().find(&RecordQuery::default()).unwrap(), records);
    commit(store, |unit| {
        [1, 3, 5].iter().for_each(|at| unit.remove_record(&records[*at].id).unwrap());
    });
    let left = [0, 2, 4, 6].map(|at: usize| records[at].clone());
    let view = store.view().unwrap();
    assert_eq!(view.find(&RecordQuery::default()).unwrap(), left);
    assert_eq!(view.records_of(1).unwrap(), records[2..3]);
    assert_eq!(view.count_pending().unwrap(), 1);
    drop(view);
    // Its places are free.
    commit(store, |unit| unit.put_record(&records[3]).unwrap());
}

fn pages_through_what_it_finds(store: &dyn Store) {
    let fixture = Fixture::new(easy_work());
    let records = sample(&fixture);
    commit(store, |unit| records.iter().for_each(|record| unit.put_record(record).unwrap()));
    let view = store.view().unwrap();
    for author in [None, Some(fixture.doctor.id()), Some(fixture.patient.id())] {
        let all: Vec<_> = records
            .iter()
            .filter(|record| author.is_none_or(|author| record.author == author))
            .collect();
        for offset in 0..9 {
            for limit in 0..9 {
                let query = RecordQuery { author, limit, offset, ..RecordQuery::default() };
                let take = if limit == 0 { usize::MAX } else { limit };
                let expected: Vec<_> = all.iter().skip(offset).take(take).copied().collect();
                let found = view.find(&query).unwrap();
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
            }
        }
    }
}

/// With 20,000 records waiting, the ends of the queue are asked for 20,000 times: a store that
/// looked through all of it each time would take minutes.
fn a_long_queue_is_quick(store: &dyn Store) {
    const LONG: u64 = 20_000;
    let fixture = Fixture::new(easy_work());
    let record = &sample(&fixture)[3];
    let id = |seq: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seq.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        RecordId::from_bytes(bytes)
    };
    commit(store, |unit| {
        for seq in 1..=LONG {
            let standing = Standing::Accepted { seq };
            unit.put_record(&StoredRecord { id: id(seq), standing, ..record.clone() }).unwrap();
            assert_eq!(unit.last_pending().unwrap(), Some((seq, id(seq))));
        }
    });
    let view = store.view().unwrap();
    for _ in 0..LONG {
        assert_eq!(view.pending(1).unwrap()[0].id, id(1));
        assert_eq!(view.last_pending().unwrap(), Some((LONG, id(LONG))));
    }
    assert_eq!(view.count_pending().unwrap(), LONG);
}

/// Threads that each add one to a number within a unit lose no addition.
fn units_wait_for_each_other(store: &dyn Store) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let mut unit = store.unit().unwrap();
                    let found = unit.local(Drawer::Node, b"count").unwrap();
                    let count = found.map_or(0, |value| value[0]) + 1;
                    unit.set_local(Drawer::Node, b"count", Some(&[count])).unwrap();
                    unit.commit().unwrap();
                }
            });
        }
    });
    assert_eq!(store.view().unwrap().local(Drawer::Node, b"count").unwrap(), Some(vec![40]));
}
