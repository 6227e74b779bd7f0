//! Killed while approving.

use super::*;

impl Watch {
    pub(super) fn approve(&mut self, death: Death, by_mail: bool) {
        let seed = self.round;
        let bytes = report(3000, seed);
        self.world.reopen();
        let ledger = self.world.ledger();
        let uploaded =
            ledger.upload(&self.world.doctor, &self.patient.id(), &bytes[..]).expect("uploaded");
        let reader = if by_mail { &self.world.reader } else { &self.reader };
        let until = ledger.now().plus(86_400);
        let request =
            ledger.request(reader, &uploaded.report, Purpose::Treatment, until).expect("asked");
        self.reports.push((uploaded.report, self.patient.id(), bytes.len(), seed));
        let patient = self.patient.id();
        let said = self.dies(
            death,
            &[
                ("job", "approve"),
                ("author", &patient.to_string()),
                ("request", &request.to_string()),
            ],
        );
        let context = format!("{death:?}, by mail: {by_mail}");
        let reader = if by_mail { &self.world.reader } else { &self.reader };
        let ledger = self.world.ledger();
        let grants = || {
            let reports = ledger.reports(&patient).unwrap();
            let report = reports.into_iter().find(|report| report.id == uploaded.report);
            report.expect("the report is there").grants
        };
        let waits = ledger.requests(&patient).unwrap().iter().any(|asked| asked.id == request);
        let granted = grants();
        assert_eq!(granted.len(), usize::from(!waits), "{context}: a request half answered");
        match death {
            Death { after: None, step: "open" | "about-to-accept", .. } => {
                assert!(waits, "{context}: answered before it was accepted");
            }
            Death { after: None, .. } => assert!(!waits, "{context}: accepted and gone"),
            Death { .. } => {}
        }
        assert!(said.acked.is_none() || !waits, "{context}: acknowledged and gone");

        let mut key = said.acked.and_then(|(_, key)| key);
        let again = ledger.approve(&self.patient, &request, &Key::Identity);
        if waits {
            if let Delivery::PickUp(picked) = again.expect("approved now").delivery {
                key = Some(picked);
            }
        } else {
            assert!(again.is_err(), "{context}: answered twice");
        }
        assert_eq!(grants().len(), 1, "{context}");
        ledger.send_mail().unwrap();
        if by_mail {
            key = mailed_key(&self.world.folder, &uploaded.report, world::READER_MAIL);
            assert!(key.is_some(), "{context}: the letter is lost");
        } else if key.is_none() {
            // Accepted, but the process died before it could hand the key over: nobody was told that
            // it was, and the patient permits it anew.
            let old = grants()[0].id;
            ledger.revoke(&self.patient, &old).expect("revoked");
            let permission =
                medledger::Permission::new(uploaded.report, reader.id(), Purpose::Treatment, until);
            let shared = ledger.share(&self.patient, permission, &Key::Identity, ReaderKey::Access);
            let Delivery::PickUp(picked) = shared.expect("shared").delivery else {
                panic!("{context}: no key")
            };
            key = Some(picked);
        }
        while ledger.mine().unwrap().is_some() {}
        let key = key.expect("a key");
        assert_eq!(self.read(reader, &uploaded.report, &Key::Access(&key)), bytes, "{context}");
        self.secrets.add_key(&context, &key);
        self.secrets.assert_none_in(&said.files);
        self.height = tip(self.world.ledger());
    }
}
