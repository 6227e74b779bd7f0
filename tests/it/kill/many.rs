//! Killed while uploading many reports together.

use super::*;
use medledger::Upload;

/// Reports accepted together first, and those after them: the same key twice ends a group.
const GROUPS: [usize; 2] = [40, 12];
const ALL: usize = GROUPS[0] + GROUPS[1];

fn bytes(seed: u64, place: usize) -> Vec<u8> {
    // Now and then one of more than a leaf.
    let len = match place {
        7 if seed.is_multiple_of(6) => 1_100_000,
        _ => [700, 3000, 0][place % 3],
    };
    report(len, number(seed, place))
}

/// What makes the report unlike all others.
fn number(seed: u64, place: usize) -> u64 {
    seed * 1000 + place as u64
}

/// All of them; between the groups the first once more.
fn uploads(patient: MemberId, seed: u64) -> Vec<Upload<'static>> {
    let upload = |place| {
        let options = upload_options(&format!("once-{seed}-{place}"));
        Upload::new(patient, std::io::Cursor::new(bytes(seed, place))).with(options)
    };
    (0..GROUPS[0]).chain([0]).chain(GROUPS[0]..ALL).map(upload).collect()
}

/// Takes the one out that is there a second time.
fn each_once<T>(mut results: Vec<T>) -> Vec<T> {
    results.remove(GROUPS[0]);
    assert_eq!(results.len(), ALL);
    results
}

pub(super) fn child(task: &Task, ledger: &Ledger, author: &Identity, patient: MemberId) {
    let seed = task.value("seed").parse().expect("a number");
    let results = ledger.upload_many(author, uploads(patient, seed));
    for (place, uploaded) in each_once(results).into_iter().enumerate() {
        let uploaded = uploaded.expect("uploaded");
        tell(&format!("acked {place} {} {}", uploaded.record, told_key(uploaded.delivery)));
    }
}

impl Watch {
    pub(super) fn upload_many(&mut self, death: Death, by_mail: bool) {
        let seed = self.round;
        let (doctor, patient) = (self.world.doctor.id(), self.patient_id(by_mail));
        let before: BTreeSet<_> = self.reports.iter().map(|report| report.0).collect();
        let said = self.dies(
            death,
            &[
                ("job", "upload-many"),
                ("author", &doctor.to_string()),
                ("patient", &patient.to_string()),
                ("seed", &seed.to_string()),
            ],
        );
        let context = format!("{death:?}, by mail: {by_mail}");
        let ledger = self.world.ledger();

        // Each group is there or not, whole; never the second without the first.
        let seen = || -> BTreeSet<ReportId> {
            ledger.reports(&doctor).unwrap().iter().map(|report| report.id).collect()
        };
        let now = seen();
        assert!(now.is_superset(&before), "{context}: a report is gone");
        let new: BTreeSet<_> = now.difference(&before).copied().collect();
        let there = match (death.after, death.step, death.nth) {
            (Some(_), ..) => None,
            (None, "open", _) | (None, "blocks-stored" | "about-to-accept", 0) => Some(0),
            // A step or two for each report.
            (None, "sealed", nth) if nth < GROUPS[0] => Some(0),
            (None, "end", _) | (None, "accepted", 1) => Some(ALL),
            (None, ..) => Some(GROUPS[0]),
        };
        assert!([0, GROUPS[0], ALL].contains(&new.len()), "{context}: {} of a group", new.len());
        assert!(there.is_none_or(|there| there == new.len()), "{context}: {}", new.len());
        assert!(said.all_acked.len() <= new.len(), "{context}: acknowledged and gone");

        // The same again completes the set, and makes nothing twice.
        let again = ledger.upload_many(&self.world.doctor, uploads(patient, seed));
        let again = each_once(again).into_iter().map(|result| {
            result.unwrap_or_else(|error| panic!("{context}: not uploaded again: {error}"))
        });
        let mut again: Vec<_> = again.collect();
        for (place, one) in again.iter().enumerate() {
            assert_eq!(one.repeated, place < new.len(), "{context}: {place}");
            assert_eq!(one.repeated, new.contains(&one.report), "{context}: {place}");
            if let Some((record, _)) = said.all_acked.get(&place) {
                assert_eq!(one.record, *record, "{context}: a second record");
            }
        }
        assert_eq!(seen().len(), before.len() + ALL, "{context}");

        // All are mined, and the key of each arrived, once.
        ledger.send_mail().unwrap();
        for one in &again {
            ledger.wait_mined(&one.record).unwrap();
        }
        let patient = if by_mail { &self.world.patient } else { &self.patient };
        let letters = world::letters(&self.world.folder);
        let mut acked = said.all_acked;
        for (place, one) in again.iter_mut().enumerate() {
            let expected = bytes(seed, place);
            let mut key = acked.remove(&place).and_then(|(_, key)| key);
            if let Delivery::PickUp(picked) = std::mem::replace(&mut one.delivery, Delivery::None) {
                key = Some(picked);
            }
            if by_mail {
                let report = one.report.to_string();
                let mut about = letters.iter().filter(|letter| letter.contains(&report));
                key = about.next().and_then(|letter| world::key_in(letter));
                assert!(key.is_some(), "{context}: the letter about {place} is lost");
                assert!(about.next().is_none(), "{context}: two letters about {place}");
            }
            // Some at once and with the key; in the end each is opened.
            if let Some(key) = key.filter(|_| place % 10 == 0) {
                let read = self.read(patient, &one.report, &Key::Access(&key));
                assert!(read == expected, "{context}: {place}");
                self.secrets.add_key(&context, &key);
            }
            self.reports.push((one.report, patient.id(), expected.len(), number(seed, place)));
        }
        self.secrets.assert_none_in(&said.files);
        self.height = tip(self.world.ledger());
    }
}
