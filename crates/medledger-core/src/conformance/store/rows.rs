//! Rows of the state and of the drawers, units of work and views.

use super::super::fixture::{Fixture, easy_work};
use super::{blocks::next_block, commit, keys};
use crate::store::{Drawer, Row, Standing, Store, StoredRecord, Unit};
use std::collections::BTreeMap;

/// Places of a scan that a store could get wrong: the ends of the byte range, keys that are
/// prefixes of others, `after` before, within and beyond the prefix.
pub(super) fn state_scans(store: &dyn Store) {
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

pub(super) fn drawers_are_apart(store: &dyn Store) {
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
pub(super) fn scans_agree_with_a_map(store: &dyn Store) {
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

pub(super) fn units_see_their_own_writes_and_vanish(store: &dyn Store) {
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

pub(super) fn views_are_snapshots(store: &dyn Store) {
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

pub(super) fn commits_are_counted(store: &dyn Store) {
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

/// Threads that each add one to a number within a unit lose no addition.
pub(super) fn units_wait_for_each_other(store: &dyn Store) {
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
