//! Reports that are rotated together: one unit of work, each for itself, and nothing lost in between.

use crate::support::{World, world};
use medledger::core::clock::Clock;
use medledger::core::engine::SubmitError;
use medledger::core::record::Scope;
use medledger::core::registry::VoidCode;
use medledger::ipfs::collect::CollectOptions;
use medledger::{Confirmed, Key, Ledger, OpenOptions, ReportId, RotateError, Rotated, Step};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// The same world after a new start, with somebody who is told of steps.
fn watched(w: World, observer: impl Fn(Step) + Send + Sync + 'static) -> World {
    let World { ledger, hospital, doctor, patient, clock, folder, _dir } = w;
    drop(ledger);
    let mut options = OpenOptions::default();
    options.clock = Some(Arc::clone(&clock) as Arc<dyn Clock>);
    options.observer = Some(Arc::new(observer));
    let ledger = Ledger::open_with(&folder, options).unwrap();
    World { ledger, hospital, doctor, patient, clock, folder, _dir }
}

fn text(n: usize) -> Vec<u8> {
    format!("report {n}").repeat(n * 1000 + 1).into_bytes()
}

/// Reports of different lengths, in the order of their upload.
fn uploads(w: &World, count: usize) -> Vec<ReportId> {
    (0..count).map(|n| w.upload(&text(n)).0.report).collect()
}

fn rotate(w: &World, reports: &[ReportId]) -> Vec<(ReportId, Result<Rotated, RotateError>)> {
    let mut outcomes = Vec::new();
    w.ledger.rotate_many(&w.patient, reports, &mut |group| {
        outcomes.extend(group);
        ControlFlow::Continue(())
    });
    outcomes
}

fn all_open(w: &World, reports: &[ReportId]) {
    for (n, report) in reports.iter().enumerate() {
        let mut opened = w.ledger.open_report(&w.patient, report, &Key::Identity).unwrap();
        assert!(opened.to_vec().unwrap() == text(n), "report {n}");
    }
}

#[test]
fn reports_rotated_together_are_one_unit_of_work_and_so_are_their_confirmations() {
    let w = world();
    let reports = uploads(&w, 40);
    let steps = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&steps);
    let w = watched(w, move |step| {
        if !matches!(step, Step::Sealed { .. }) {
            taken.lock().unwrap().push(step);
        }
    });
    let outcomes = rotate(&w, &reports);
    let unit = [Step::AboutToAccept, Step::Accepted];
    assert_eq!(*steps.lock().unwrap(), [&[Step::BlocksStored][..], &unit].concat());
    assert_eq!(outcomes.iter().map(|(report, _)| *report).collect::<Vec<_>>(), reports);
    for (n, (_, outcome)) in outcomes.iter().enumerate() {
        let rotated = outcome.as_ref().unwrap();
        assert_eq!((rotated.epoch, rotated.length), (2, text(n).len() as u64));
    }
    all_open(&w, &reports);
    steps.lock().unwrap().clear();
    let confirmed = w.ledger.confirm_rotations(&w.hospital).unwrap();
    assert_eq!(*steps.lock().unwrap(), unit);
    assert_eq!(confirmed.len(), 40);
    assert!(confirmed.iter().all(|(_, result)| matches!(result, Confirmed::Same(_))));
    w.ledger.mine().unwrap();
    all_open(&w, &reports);
    w.ledger.collect_blocks(CollectOptions::default()).unwrap();
    all_open(&w, &reports);
}

#[test]
fn one_of_a_group_that_is_refused_keeps_no_other_back() {
    let w = world();
    let reports = uploads(&w, 3);
    let other = reports[1];
    let inside: Arc<OnceLock<Weak<World>>> = Arc::default();
    let looked = Arc::clone(&inside);
    let begun = OnceLock::new();
    let w = Arc::new(watched(w, move |step| {
        // While the three are on their way, one of them is rotated and confirmed by somebody else.
        if step == Step::BlocksStored && begun.set(()).is_ok() {
            let w = looked.get().unwrap().upgrade().unwrap();
            w.ledger.rotate(&w.patient, &other, &Key::Identity).unwrap();
            assert_eq!(w.ledger.confirm_rotations(&w.hospital).unwrap().len(), 1);
        }
    }));
    inside.set(Arc::downgrade(&w)).unwrap();
    let outcomes = rotate(&w, &reports);
    let error = outcomes[1].1.as_ref().unwrap_err();
    let RotateError::Submit(SubmitError::Refused { code, .. }) = error else { panic!("{error}") };
    assert_eq!(*code, VoidCode::WrongEpoch);
    assert!(outcomes[0].1.is_ok() && outcomes[2].1.is_ok());
    assert_eq!(w.ledger.confirm_rotations(&w.hospital).unwrap().len(), 2);
    w.ledger.mine().unwrap();
    // What was stored for the refused one is not kept.
    assert_eq!(w.ledger.pins().unwrap().len(), 6, "three of before, three of now");
    w.ledger.collect_blocks(CollectOptions::default()).unwrap();
    all_open(&w, &reports);
}

#[test]
fn a_group_that_is_interrupted_loses_nothing_and_goes_on() {
    let w = world();
    let reports = uploads(&w, 5);
    let scope = Scope::Collection(w.hospital.id());
    assert_eq!(w.ledger.mark_for_rotation(&w.patient, &scope).unwrap(), 5);
    let at = Arc::new(Mutex::new(None));
    let when = Arc::clone(&at);
    let w = watched(w, move |step| {
        let stop = *when.lock().unwrap() == Some(step);
        assert!(!stop, "stopped");
    });
    for step in [Step::BlocksStored, Step::AboutToAccept] {
        *at.lock().unwrap() = Some(step);
        let run = || w.ledger.rotate_marked(&w.patient, 100);
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        *at.lock().unwrap() = None;
        // As it was, and what was stored in vain is not kept.
        assert_eq!(w.ledger.marked_for_rotation(&w.patient.id()).unwrap().len(), 5);
        assert!(w.ledger.confirm_rotations(&w.hospital).unwrap().is_empty());
        assert_eq!(w.ledger.pins().unwrap().len(), 10);
        let collected = w.ledger.collect_blocks(CollectOptions::default()).unwrap();
        assert_eq!(collected.released.len(), 5);
        all_open(&w, &reports);
    }
    // After the unit nothing is done twice.
    *at.lock().unwrap() = Some(Step::Accepted);
    let run = || w.ledger.rotate_marked(&w.patient, 100);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    *at.lock().unwrap() = None;
    assert!(w.ledger.marked_for_rotation(&w.patient.id()).unwrap().is_empty());
    let w = w.reopened();
    assert_eq!(w.ledger.confirm_rotations(&w.hospital).unwrap().len(), 5);
    w.ledger.mine().unwrap();
    all_open(&w, &reports);
}
