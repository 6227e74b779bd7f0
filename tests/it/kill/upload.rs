//! Killed while uploading.

use super::*;

impl Watch {
    pub(super) fn upload(&mut self, death: Death, by_mail: bool, len: usize) {
        let seed = self.round;
        let once = format!("once-{seed}");
        let (doctor, patient) = (self.world.doctor.id(), self.patient_id(by_mail));
        let before: BTreeSet<_> = self.reports.iter().map(|report| report.0).collect();
        let said = self.dies(
            death,
            &[
                ("job", "upload"),
                ("author", &doctor.to_string()),
                ("patient", &patient.to_string()),
                ("once", &once),
                ("len", &len.to_string()),
                ("seed", &seed.to_string()),
            ],
        );
        let context = format!("{death:?}, by mail: {by_mail}, {len} bytes");
        let ledger = self.world.ledger();

        // All that was there before is there, and at most the one upload besides, in every list.
        let seen = |ledger: &Ledger, member: &MemberId| -> BTreeSet<ReportId> {
            ledger.reports(member).unwrap().iter().map(|report| report.id).collect()
        };
        let now = seen(ledger, &doctor);
        assert!(now.is_superset(&before), "{context}: a report is gone");
        let new: Vec<_> = now.difference(&before).copied().collect();
        let query = RecordQuery {
            kind: Some(medledger::core::registry::Kind::AddReport),
            ..RecordQuery::default()
        };
        assert_eq!(ledger.log(&query).unwrap().len(), now.len(), "{context}");
        match death {
            Death {
                after: None,
                step: "open" | "sealed" | "blocks-stored" | "about-to-accept",
                ..
            } => {
                assert!(new.is_empty(), "{context}: seen before it was accepted");
            }
            Death { after: None, .. } => assert_eq!(new.len(), 1, "{context}: accepted and gone"),
            Death { .. } => assert!(new.len() <= 1, "{context}"),
        }
        assert!(said.acked.is_none() || new.len() == 1, "{context}: acknowledged and gone");

        // The same request again: the same record, or the one that never came to be.
        let bytes = report(len, seed);
        let options = upload_options(&once);
        let again = ledger
            .upload_with(&self.world.doctor, &patient, &bytes[..], &options)
            .unwrap_or_else(|error| panic!("{context}: not uploaded again: {error}"));
        assert_eq!(again.repeated, !new.is_empty(), "{context}");
        if let Some((record, _)) = &said.acked {
            assert_eq!(again.record, *record, "{context}: a second record");
        }
        if let [report] = new[..] {
            assert_eq!(again.report, report, "{context}: a second report");
        }
        assert_eq!(seen(ledger, &doctor).len(), before.len() + 1, "{context}");
        let other = ledger.upload_with(&self.world.doctor, &patient, &b"other"[..], &options);
        assert!(
            matches!(other, Err(UploadError::Idempotency(IdempotencyError::Conflict))),
            "{context}: {other:?}"
        );

        // It is mined, the key arrived, and with it the report opens.
        ledger.send_mail().unwrap();
        ledger.wait_mined(&again.record).unwrap();
        let patient = if by_mail { &self.world.patient } else { &self.patient };
        let mut key = said.acked.and_then(|(_, key)| key);
        if let Delivery::PickUp(picked) = again.delivery {
            key = Some(picked);
        }
        if by_mail {
            key = mailed_key(&self.world.folder, &again.report, world::PATIENT_MAIL);
            assert!(key.is_some(), "{context}: the letter is lost");
        }
        assert_eq!(self.read(patient, &again.report, &Key::Identity), bytes, "{context}");
        if let Some(key) = key {
            assert_eq!(self.read(patient, &again.report, &Key::Access(&key)), bytes, "{context}");
            self.secrets.add_key(&context, &key);
            if by_mail {
                let [_, dek] = self.world.inner_keys(&again.report, &key);
                self.secrets.add(&format!("{context}: the report's own key"), &dek);
                self.secrets.add_text_of(&format!("{context}: the report's own key"), &dek);
            }
        }
        // With the key known, what lay on the disk at the moment of death is searched once more.
        self.secrets.assert_none_in(&said.files);
        self.reports.push((again.report, patient.id(), len, seed));
        self.height = tip(self.world.ledger());
    }
}
