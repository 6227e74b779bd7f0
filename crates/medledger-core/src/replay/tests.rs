use super::*;
use crate::genesis::{Consensus, Genesis};
use crate::keys::VerifyingKey;
use crate::record::SignedRecord;
use crate::store::Store;
use crate::testing::{HOSPITAL, Ledger, NOW, founder};

/// Says of the check at a place that it failed, and when: at once, or only when all are settled.
struct Fails {
    at: usize,
    early: bool,
    given: usize,
}

impl Signatures for Fails {
    fn check(&mut self, _: &VerifyingKey, _: &SignedRecord) -> bool {
        self.given += 1;
        true
    }

    fn waiting(&self) -> usize {
        self.given
    }

    fn settle(&mut self) -> Result<(), usize> {
        if self.at < std::mem::take(&mut self.given) { Err(self.at) } else { Ok(()) }
    }

    fn faulty(&self) -> bool {
        self.early && self.at < self.given
    }

    fn alongside(&mut self, job: &mut dyn FnMut(&mut dyn Signatures)) {
        job(self);
    }
}

/// A chain whose blocks have 8, 0, 1 and 3 records.
fn grown() -> Ledger {
    let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), Consensus::Log));
    let mut world = ledger.world().with_people();
    assert_eq!(world.log.len(), 8, "the first block");
    for more in [0, 1, 3] {
        ledger.submit(&world.log).unwrap();
        ledger.order();
        world.log.clear();
        for _ in 0..more {
            world.add_report();
        }
    }
    ledger.submit(&world.log).unwrap();
    ledger.order();
    ledger
}

#[test]
fn a_signature_put_off_blames_its_record_in_its_block() {
    let ledger = grown();
    let view = ledger.store.view().unwrap();
    let places: Vec<(u64, usize)> =
        (0..8).map(|index| (1, index)).chain([(3, 0), (4, 0), (4, 1), (4, 2)]).collect();
    for early in [false, true] {
        for at in 0..=places.len() {
            let mut signatures = Fails { at, early, given: 0 };
            let (now, mut copy, mut done) =
                (Timestamp::from_secs(NOW + 100), Rebuilt::default(), 0);
            let mut progress = |height| done = height;
            let rules = &ledger.rules;
            let result =
                replay(view.as_ref(), rules, now, &mut signatures, &mut copy, &mut progress);
            let Some((height, index)) = places.get(at) else {
                assert_eq!(result.unwrap(), Replayed { blocks: 5, records: 12 });
                assert_eq!(copy.first_difference(view.as_ref()).unwrap(), None);
                continue;
            };
            let Err(ReplayError::Rule { height: block, error }) = result else {
                panic!("{result:?}");
            };
            let code = VoidCode::BadSignature;
            assert!(
                matches!(error, BlockError::Void { index: i, code: c } if (i, c) == (*index, code))
            );
            assert_eq!(block, *height);
            // What is known to be wrong stops the replay before its block counts.
            assert_eq!(done, if early { height - 1 } else { 4 });
        }
    }
}

#[test]
fn of_two_faults_the_first_counts_though_signatures_are_looked_at_last() {
    let ledger = grown();
    let mut unit = ledger.store.unit().unwrap();
    // A record of the last block is lost.
    let lost = unit.records_of(4).unwrap()[1].id;
    unit.remove_record(&lost).unwrap();
    unit.commit().unwrap();
    let view = ledger.store.view().unwrap();
    let replay = |at| {
        let mut signatures = Fails { at, early: false, given: 0 };
        let (now, mut copy) = (Timestamp::from_secs(NOW + 100), Rebuilt::default());
        replay(view.as_ref(), &ledger.rules, now, &mut signatures, &mut copy, &mut |_| {})
    };
    let first = replay(8).unwrap_err();
    assert!(matches!(first, ReplayError::Rule { height: 3, .. }), "{first}");
    let second = replay(usize::MAX).unwrap_err();
    assert!(matches!(second, ReplayError::Store(StoreError::Damaged(_))), "{second}");
}
