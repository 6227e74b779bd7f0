//! Killed while mining.

use super::*;

impl Watch {
    pub(super) fn mine(&mut self, death: Death, waiting: u64) {
        self.world.reopen();
        let ledger = self.world.ledger();
        let mut records = Vec::new();
        for _ in 0..waiting {
            let seed = self.round;
            let bytes = report(100, seed);
            let uploaded = ledger
                .upload(&self.world.doctor, &self.patient.id(), &bytes[..])
                .expect("uploaded");
            records.push(uploaded.record);
            self.reports.push((uploaded.report, self.patient.id(), bytes.len(), seed));
        }
        let said = self.dies(death, &[("job", "mine")]);
        let ledger = self.world.ledger();
        let standing = |record: &RecordId| {
            let stored = ledger.view().unwrap().record(record).unwrap();
            stored.expect("an accepted record is there").standing
        };
        for record in &records {
            let standing = standing(record);
            assert!(!matches!(standing, Standing::Refused { .. }), "{death:?}: {standing:?}");
            if death.step == "block-stored" || death.nth > 0 || said.mined > 0 {
                assert!(matches!(standing, Standing::Mined { .. }), "{death:?}: {standing:?}");
            }
            if death.step == "mining-begun" && death.nth == 0 && death.after.is_none() {
                assert!(matches!(standing, Standing::Accepted { .. }), "{death:?}: {standing:?}");
            }
        }
        while ledger.mine().unwrap().is_some() {}
        for record in &records {
            assert!(matches!(standing(record), Standing::Mined { .. }), "{death:?}");
            let receipt = ledger.receipt(record).expect("a receipt");
            receipt.check(&ledger.chain()).expect("it holds");
        }
        self.height = tip(ledger);
    }
}
