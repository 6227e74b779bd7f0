//! Records, the queue, and what is found.

use super::super::fixture::{Fixture, easy_work};
use super::{commit, is_damaged};
use crate::ids::{MemberId, RecordId, ReportId};
use crate::registry::{Kind, VoidCode};
use crate::store::{RecordQuery, Standing, Store, StoredRecord, View};

/// Records in every standing, in the order in which `find` gives them.
pub(super) fn sample(fixture: &Fixture) -> Vec<StoredRecord> {
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

pub(super) fn records_stand_where_they_were_put(store: &dyn Store) {
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

pub(super) fn the_queue_keeps_its_order(store: &dyn Store) {
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

pub(super) fn finds_what_is_asked_for(store: &dyn Store) {
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

pub(super) fn finds_by_time(store: &dyn Store) {
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

pub(super) fn removes_records(store: &dyn Store) {
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

pub(super) fn pages_through_what_it_finds(store: &dyn Store) {
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
pub(super) fn a_long_queue_is_quick(store: &dyn Store) {
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
