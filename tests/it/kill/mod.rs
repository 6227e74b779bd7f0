//! Killed for good at every named step of upload, approve and mining: nothing acknowledged is lost,
//! nothing unacknowledged is half there, no key is in clear on the disk.

mod approve;
mod many;
mod mine;
mod upload;

use crate::child::{self, Task, tell};
use crate::scan::{self, Secrets};
use crate::world::{self, MARKER, PASSWORD, World, mailed_key, observed, report};
use medledger::core::store::{RecordQuery, Standing};
use medledger::{
    AccessKey, Contact, Delivery, IdempotencyError, Identity, Key, Ledger, MemberId, Purpose,
    ReaderKey, RecordId, ReportId, Role, UploadError, UploadOptions, VerifyDepth,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// When the child dies.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// A step by name, or `open`: the ledger is open and nothing begun.
    step: &'static str,
    /// Which time the step is taken, from 0.
    nth: usize,
    /// Held at the step until killed; or let go, and killed so long after it.
    after: Option<Duration>,
}

const fn at(step: &'static str, nth: usize) -> Death {
    Death { step, nth, after: None }
}

fn after(step: &'static str, micros: u64) -> Death {
    Death { step, nth: 0, after: Some(Duration::from_micros(micros)) }
}

/// Delays from nothing to some milliseconds, none of them alike.
fn delays(count: u64, longest: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |i| longest * i * i / (count * count) + i * 37 % 97)
}

/// The child: does one thing on the ledger and tells what was acknowledged. It is killed on the way.
pub(crate) fn child(task: &Task) {
    let (step, nth) = (task.value("step"), task.value("nth").parse::<usize>().expect("a number"));
    let hold = task.optional("hold").is_some();
    let taken = AtomicUsize::new(0);
    let reach = move |name: &str| {
        if name == step && taken.fetch_add(1, Ordering::Relaxed) == nth {
            tell("at");
            if hold {
                loop {
                    std::thread::park();
                }
            }
        }
    };
    let reach = std::sync::Arc::new(reach);
    let listener = std::sync::Arc::clone(&reach);
    let folder = task.value("folder");
    let ledger = observed(Path::new(&folder), move |step| listener(step.name()));
    let member = |name: &str| task.value(name).parse::<MemberId>().expect("a member");
    let identity = |name: &str| ledger.unlock(&member(name), PASSWORD).expect("an identity");
    let author = task.optional("author").map(|_| identity("author"));
    reach("open");
    match task.value("job").as_str() {
        "upload" => {
            let bytes = report(
                task.value("len").parse().expect("a number"),
                task.value("seed").parse().expect("a number"),
            );
            let options = upload_options(&task.value("once"));
            let uploaded = ledger
                .upload_with(&author.expect("an author"), &member("patient"), &bytes[..], &options)
                .expect("uploaded");
            tell(&format!("acked {} {}", uploaded.record, told_key(uploaded.delivery)));
        }
        "upload-many" => many::child(task, &ledger, &author.expect("an author"), member("patient")),
        "approve" => {
            let request = task.value("request").parse().expect("a record");
            let approved = ledger
                .approve(&author.expect("the patient"), &request, &Key::Identity)
                .expect("approved");
            tell(&format!("acked {} {}", approved.record, told_key(approved.delivery)));
        }
        "mine" => {
            while let Some(mined) = ledger.mine().expect("mined") {
                tell(&format!("mined {}", mined.stored.height));
            }
        }
        other => panic!("no job {other}"),
    }
    reach("end");
}

fn upload_options(once: &str) -> UploadOptions {
    let mut options = UploadOptions::named(world::FILE_NAME, "application/pdf");
    options.idempotency_key = Some(once.to_owned());
    options.note = "note-of-the-doctor-zq".to_owned();
    options
}

/// What the parent knows.
struct Watch {
    world: World,
    /// A patient and a reader without mail: they pick their keys up.
    patient: Identity,
    reader: Identity,
    secrets: Secrets,
    /// Reports that are there for good, with length and seed of what they say.
    reports: Vec<(ReportId, MemberId, usize, u64)>,
    height: u64,
    round: u64,
}

fn acked(record: &str, key: &str) -> (RecordId, Option<AccessKey>) {
    let key = (key != "-").then(|| AccessKey::from_text(key).expect("a key"));
    (record.parse().expect("a record"), key)
}

fn told_key(delivery: Delivery) -> String {
    match delivery {
        Delivery::PickUp(key) => key.to_text().to_string(),
        _ => "-".to_owned(),
    }
}

/// What a child said before it died.
#[derive(Default)]
struct Said {
    acked: Option<(RecordId, Option<AccessKey>)>,
    /// The same of each of many, by its place.
    all_acked: BTreeMap<usize, (RecordId, Option<AccessKey>)>,
    mined: u64,
    files: scan::Files,
}

impl Watch {
    fn new() -> Self {
        let mut world = World::with_outbox();
        let ledger = world.ledger();
        let add = |role, name: &str| {
            let contact = Contact::named(name);
            ledger.add_member(&world.hospital, role, &contact, PASSWORD).expect("a member").0
        };
        let patient = add(Role::Patient, "Ignatius Pickup-Zacharias");
        let reader = add(Role::Nurse, "Nurse Pickup-Yolanda");
        ledger.mine().expect("mined").expect("a block");
        let mut secrets = Secrets::default();
        secrets.add("plaintext", MARKER);
        for text in [
            world::PATIENT_NAME,
            world::PATIENT_MAIL,
            world::READER_NAME,
            world::READER_MAIL,
            "Ignatius Pickup-Zacharias",
            "Nurse Pickup-Yolanda",
            world::FILE_NAME,
            "note-of-the-doctor-zq",
            PASSWORD,
        ] {
            secrets.add(text, text.as_bytes());
        }
        let height = tip(ledger);
        world.close();
        Self { world, patient, reader, secrets, reports: Vec::new(), height, round: 0 }
    }

    /// Lets a child die, reads what is on the disk then, and opens the ledger again.
    fn dies(&mut self, death: Death, values: &[(&str, &str)]) -> Said {
        self.round += 1;
        self.world.close();
        let nth = death.nth.to_string();
        let mut all = vec![("step", death.step), ("nth", &nth)];
        if death.after.is_none() {
            all.push(("hold", "1"));
        }
        all.extend_from_slice(values);
        let mut running = child::start("journey", &self.world.folder, &all);
        let mut said = Said::default();
        let mut reached = false;
        // First until it is where it is to die, then what it still said before it did.
        while let Some(line) = running.line() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["at"] => {
                    reached = true;
                    if let Some(delay) = death.after {
                        std::thread::sleep(delay);
                    }
                    running.kill();
                }
                ["acked", record, key] => said.acked = Some(acked(record, key)),
                ["acked", place, record, key] => {
                    let place = place.parse().expect("a number");
                    said.all_acked.insert(place, acked(record, key));
                }
                ["mined", height] => said.mined = height.parse().expect("a height"),
                _ => panic!("the child said {line:?}"),
            }
        }
        assert!(reached, "{death:?} was never reached");
        said.files = scan::read(&self.world.folder, &["outbox"]);
        self.world.reopen();
        let ledger = self.world.ledger();
        self.secrets.assert_none_in(&said.files);
        let left = scan::read(&self.world.folder.join("blocks/tmp"), &[]);
        assert!(left.is_empty(), "temporary files stay: {:?}", left.keys());
        assert!(tip(ledger) >= self.height.max(said.mined), "the chain went back");
        assert_clean(ledger);
        for (record, _) in said.acked.iter().chain(said.all_acked.values()) {
            let stored = ledger.view().unwrap().record(record).unwrap();
            let stored = stored.expect("an acknowledged record is there");
            assert!(!matches!(stored.standing, Standing::Refused { .. }), "{stored:?}");
        }
        said
    }

    /// The bytes of a report, as those who hold a key or identity read them.
    fn read(&self, who: &Identity, report: &ReportId, key: &Key<'_>) -> Vec<u8> {
        let mut opened = self.world.ledger().open_report(who, report, key).expect("it opens");
        opened.to_vec().expect("it reads")
    }

    fn patient_id(&self, by_mail: bool) -> MemberId {
        if by_mail { self.world.patient.id() } else { self.patient.id() }
    }

    /// At the end: every report ever acknowledged opens and says what it said; nothing is in clear.
    fn finish(&mut self) {
        for (id, patient, len, seed) in &self.reports {
            let patient =
                if *patient == self.patient.id() { &self.patient } else { &self.world.patient };
            assert!(self.read(patient, id, &Key::Identity) == report(*len, *seed), "report {id}");
        }
        assert_clean(self.world.ledger());
        self.secrets.assert_none_in(&scan::read(&self.world.folder, &["outbox"]));
        self.world.close();
        self.secrets.assert_none_in(&scan::read(&self.world.folder, &["outbox"]));
        let outbox = match self.world.folder.join("outbox") {
            folder if folder.exists() => scan::read(&folder, &[]),
            _ => scan::Files::new(),
        };
        let half = outbox.keys().find(|path| path.extension().is_none_or(|e| e != "eml"));
        assert!(half.is_none(), "half a letter stays: {half:?}");
    }
}

fn tip(ledger: &Ledger) -> u64 {
    ledger.view().unwrap().tip().unwrap().expect("a chain").height
}

fn assert_clean(ledger: &Ledger) {
    let report = ledger.verify(VerifyDepth::Full).expect("it can be checked");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// More than two leaves, so that the upload dies in the middle.
const LONG: usize = 2_500_000;

#[test]
fn pitfall_29_killed_at_each_step_of_an_upload() {
    let mut watch = Watch::new();
    for round in 0..3 {
        for by_mail in [true, false] {
            watch.upload(at("open", 0), by_mail, 2000);
            watch.upload(at("sealed", 0), by_mail, if round == 0 { LONG } else { 2000 });
            watch.upload(at("blocks-stored", 0), by_mail, 20_000);
            watch.upload(at("about-to-accept", 0), by_mail, 20_000);
            watch.upload(at("accepted", 0), by_mail, 20_000);
            if by_mail {
                watch.upload(at("mail-tried", 0), by_mail, 20_000);
            }
            watch.upload(at("end", 0), by_mail, 20_000);
        }
    }
    watch.upload(at("sealed", 1), true, LONG);
    watch.upload(at("sealed", 2), false, LONG);
    watch.finish();
}

#[test]
fn pitfall_29_killed_somewhere_between_the_steps_of_an_upload() {
    let mut watch = Watch::new();
    for (i, delay) in delays(16, 30_000).enumerate() {
        watch.upload(after("open", delay), i % 2 == 0, 200_000);
    }
    for (i, delay) in delays(8, 4000).enumerate() {
        watch.upload(after("blocks-stored", delay), i % 2 == 0, 2000);
        watch.upload(after("about-to-accept", delay), i % 2 == 1, 2000);
        watch.upload(after("accepted", delay), i % 2 == 0, 2000);
    }
    watch.finish();
}

#[test]
fn pitfall_29_killed_at_each_step_of_many_uploads_together() {
    let mut watch = Watch::new();
    watch.upload_many(at("open", 0), true);
    watch.upload_many(at("sealed", 0), false);
    watch.upload_many(at("sealed", 25), true);
    watch.upload_many(at("sealed", 47), false);
    for group in 0..2 {
        for step in ["blocks-stored", "about-to-accept", "accepted"] {
            watch.upload_many(at(step, group), (group == 0) == (step == "accepted"));
        }
    }
    watch.upload_many(at("mail-tried", 0), true);
    for by_mail in [true, false] {
        watch.upload_many(at("end", 0), by_mail);
    }
    watch.finish();
}

#[test]
fn pitfall_29_killed_somewhere_between_the_steps_of_many_uploads_together() {
    let mut watch = Watch::new();
    for (i, delay) in delays(4, 60_000).enumerate() {
        watch.upload_many(after("open", delay), i % 2 == 0);
    }
    for (i, delay) in delays(3, 8000).enumerate() {
        watch.upload_many(after("sealed", delay), i % 2 == 1);
        watch.upload_many(after("blocks-stored", delay), i % 2 == 0);
        watch.upload_many(after("about-to-accept", delay), i % 2 == 1);
    }
    watch.finish();
}

#[test]
fn pitfall_29_killed_at_each_step_of_an_approval() {
    let mut watch = Watch::new();
    for _ in 0..3 {
        for by_mail in [true, false] {
            for step in ["open", "about-to-accept", "accepted", "mail-tried", "end"] {
                watch.approve(at(step, 0), by_mail);
            }
        }
    }
    for (i, delay) in delays(8, 6000).enumerate() {
        watch.approve(after("open", delay), i % 2 == 0);
        watch.approve(after("about-to-accept", delay), i % 2 == 1);
        watch.approve(after("accepted", delay), i % 2 == 0);
    }
    watch.finish();
}

#[test]
fn pitfall_29_killed_at_each_step_of_mining() {
    let mut watch = Watch::new();
    for waiting in 1..=3 {
        watch.mine(at("open", 0), waiting);
        watch.mine(at("mining-begun", 0), waiting);
        watch.mine(at("block-stored", 0), waiting);
        watch.mine(at("mining-begun", 1), waiting);
        watch.mine(at("end", 0), waiting);
    }
    for delay in delays(24, 12_000) {
        watch.mine(after("mining-begun", delay), 2);
    }
    watch.finish();
}
