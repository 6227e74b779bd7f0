use super::*;
use crate::pow::Inline;
use crate::record::Record;
use crate::testing::{DOCTOR, PATIENT, World, add_report, member};
use rand_core::UnwrapErr;

/// More than are given together.
const PART: usize = 2 * GIVEN;

/// Threads of its own for each job.
struct Threads(usize);

impl Workers for Threads {
    fn count(&self) -> usize {
        self.0
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for worker in 0..self.0 {
                scope.spawn(move || job(worker));
            }
        });
    }

    fn beside(&self, main: &mut dyn FnMut(), job: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for worker in 1..self.0 {
                scope.spawn(move || job(worker));
            }
            main();
        });
    }
}

/// Gives `signatures` so many checks, of which those at `wrong` are under a key that is not the author's.
fn give(signatures: &mut dyn Signatures, records: &[SignedRecord], wrong: &[usize]) {
    let [right, other] = [DOCTOR, PATIENT].map(|number| member(number).public().signing_key());
    for (index, record) in records.iter().enumerate() {
        let key = if wrong.contains(&index) { &other } else { &right };
        assert!(signatures.check(key, record));
    }
}

fn records(count: usize) -> Vec<SignedRecord> {
    let mut world = World::peopled();
    let unsigned: Vec<Record> =
        (0..count).map(|_| world.record(DOCTOR, add_report(PATIENT))).collect();
    unsigned.into_iter().map(|record| record.sign(&member(DOCTOR))).collect()
}

#[test]
fn checks_made_alongside_blame_the_first_whoever_makes_them() {
    let records = records(2 * PART + 300);
    let mut rng = UnwrapErr(getrandom::SysRng);
    let hands: [&dyn Workers; 3] = [&Inline, &Threads(2), &Threads(3)];
    for workers in hands {
        for wrong in [&[][..], &[0], &[PART - 1], &[2 * PART + 299, PART, PART + 1]] {
            let mut signatures = BatchedSignatures::new(workers, &mut rng);
            let mut answer = None;
            signatures.alongside(&mut |signatures| {
                give(signatures, &records, wrong);
                assert_eq!(signatures.waiting(), records.len());
                answer = Some(signatures.settle());
                assert_eq!((signatures.waiting(), signatures.faulty()), (0, false));
                // They count from 0 again.
                give(signatures, &records[..2], &[1]);
                assert_eq!(signatures.settle(), Err(1));
            });
            let first = wrong.iter().min();
            assert_eq!(answer, Some(first.map_or(Ok(()), |first| Err(*first))));
            assert_eq!(signatures.settle(), Ok(()), "all were settled");
        }
    }
}

#[test]
fn what_is_not_settled_alongside_stays_put_off() {
    let records = records(PART + 10);
    let mut rng = UnwrapErr(getrandom::SysRng);
    for wrong in [&[][..], &[3], &[PART + 5]] {
        let mut signatures = BatchedSignatures::new(&Inline, &mut rng);
        give(&mut signatures, &records[..5], &[]);
        signatures.alongside(&mut |signatures| {
            assert_eq!(signatures.waiting(), 5);
            give(signatures, &records, wrong);
        });
        give(&mut signatures, &records[..1], &[0]);
        assert_eq!(signatures.waiting(), 5 + records.len() + 1);
        assert_eq!(signatures.faulty(), !wrong.is_empty());
        let first = wrong.first().map_or(5 + records.len(), |first| 5 + first);
        assert_eq!(signatures.settle(), Err(first));
        assert_eq!((signatures.waiting(), signatures.settle()), (0, Ok(())));
    }
}

#[test]
fn a_wrong_signature_is_known_before_all_are_given() {
    let records = records(WAITING + GIVEN + 1);
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut signatures = BatchedSignatures::new(&Inline, &mut rng);
    signatures.alongside(&mut |signatures| {
        give(signatures, &records[..1], &[0]);
        assert!(!signatures.faulty());
        give(signatures, &records[1..], &[]);
        assert!(signatures.faulty(), "more wait than may, so some were verified");
        assert_eq!(signatures.settle(), Err(0));
    });
}
