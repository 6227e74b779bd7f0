//! A patient's own program rotates a report to something else: blocks, slots and record made by hand.

use super::slot_context;
use super::thief::plant;
use crate::support::{World, rng, world};
use medledger::core::dek::Dek;
use medledger::core::envelope::{Envelope, Metadata, seal_meta};
use medledger::core::ids::RecordNonce;
use medledger::core::news::News;
use medledger::core::padding::Padding;
use medledger::core::record::{Record, Rotate};
use medledger::core::registry::CipherSuite;
use medledger::core::seal::Backend;
use medledger::core::slot::{Slot, SlotRole};
use medledger::core::state::{ReportEntry, State};
use medledger::core::store::Drawer;
use medledger::ipfs::Processor;
use medledger::ipfs::pipeline::{SealJob, seal_file};
use medledger::ipfs::store::{Keep, Reason};
use medledger::ipfs::unixfs::Profile;
use medledger::{Confirmed, Key, RecordId, ReportId, Threads};

fn entry(w: &World, report: &ReportId) -> ReportEntry {
    State::new(w.ledger.view().unwrap().as_ref()).report(report).unwrap().unwrap()
}

/// Puts `content` in the place of a report's next epoch, with the keys the hospital compares by.
fn rotate_to(w: &World, report: ReportId, content: &[u8], metadata: &Metadata) -> RecordId {
    // The keys of both epochs, in their places, come from an honest rotation.
    w.ledger.rotate(&w.patient, &report, &Key::Identity).unwrap();
    let next = ReportEntry { epoch: 2, ..entry(w, &report) };
    let (dek, context) = (Dek::generate(&mut rng()), next.body_context(&report));
    let bytes = context.to_bytes();
    let job = SealJob {
        backend: Backend::best(),
        dek: &dek,
        context: &bytes,
        padding: Padding::Padme,
        profile: Profile::default(),
    };
    let workers = Threads::default();
    let session = w.ledger.blocks().begin().unwrap();
    let processor = Processor::new(&workers);
    let body =
        seal_file(&job, &mut &content[..], &*session, &processor, &mut rng(), &mut |_| {}).unwrap();
    let meta = seal_meta(&dek, &context.meta(body.root), metadata, &mut rng()).unwrap();
    let envelope = Envelope {
        suite: CipherSuite::Cobblestone128,
        body: body.root,
        size: body.size,
        head: body.head,
        meta,
    };
    let cid = envelope.cid();
    session.put(&cid, &envelope.encode()).unwrap();
    let keep = Keep::since(Reason::Report(report), w.ledger.now());
    session.finish(&[(cid, keep)]).unwrap();

    let context = medledger::core::slot::SlotContext {
        epoch: 2,
        envelope: cid,
        ..slot_context(w, report, SlotRole::Confirm, None, &w.hospital)
    };
    let slot = Slot::wrap_to(&dek, &w.hospital.public().hpke_key(), &context, &mut rng());
    let rows =
        w.ledger.view().unwrap().local_scan(Drawer::Slots, report.as_bytes(), None, 99).unwrap();
    let place = rows
        .iter()
        .find(|(key, _)| key[20..24] == 2_u32.to_be_bytes() && key[24] == SlotRole::Confirm.code());
    plant(w, &place.unwrap().0, &slot.to_bytes());

    let record = Record {
        chain: w.ledger.chain(),
        nonce: RecordNonce::from_bytes([9; 16]),
        author: w.patient.id(),
        time: w.ledger.now(),
        body: Rotate { report, version: 1, epoch: 2, envelope: cid, collection: 1 }.into(),
    };
    let record = record.sign(&w.patient);
    let mut news = News::new(w.ledger.chain());
    news.records.push(record.encode().into());
    assert_eq!(w.ledger.import_news(&news.encode()).unwrap().records, 1);
    w.ledger.wait_mined(&record.id()).unwrap();
    record.id()
}

const TEXT: &[u8] = b"no sign of a fracture";

fn confirmed(content: &[u8], metadata: impl FnOnce(&Metadata) -> Metadata) -> (World, Confirmed) {
    let w = world();
    let (uploaded, _) = w.upload(TEXT);
    let report = uploaded.report;
    let opened = w.ledger.open_report(&w.patient, &report, &Key::Identity).unwrap();
    rotate_to(&w, report, content, &metadata(opened.metadata()));
    let confirmed = w.ledger.confirm_rotations(&w.hospital).unwrap();
    let [(found, result)] = confirmed[..] else { panic!("{confirmed:?}") };
    assert_eq!(found, report);
    if result == Confirmed::Differs {
        // Nothing is in force, and what was true before still opens.
        w.ledger.mine().unwrap();
        assert_eq!((entry(&w, &report).epoch, entry(&w, &report).envelope), (1, uploaded.envelope));
        let mut opened = w.ledger.open_report(&w.patient, &report, &Key::Identity).unwrap();
        assert_eq!(opened.to_vec().unwrap(), TEXT);
    }
    (w, result)
}

fn of_length(metadata: &Metadata, length: u64) -> Metadata {
    let (name, kind) = (metadata.file_name(), metadata.media_type());
    Metadata::new(name, kind, length).unwrap().with_note(metadata.note()).unwrap()
}

#[test]
fn a_rotation_made_by_hand_is_confirmed_where_it_holds_the_same() {
    let (w, result) = confirmed(TEXT, |metadata| of_length(metadata, TEXT.len() as u64));
    let Confirmed::Same(record) = result else { panic!("{result:?}") };
    w.ledger.wait_mined(&record).unwrap();
    let report = w.ledger.reports(&w.patient.id()).unwrap()[0].id;
    assert_eq!(entry(&w, &report).epoch, 2);
}

#[test]
fn pitfall_32_a_rotation_to_another_content_is_not_confirmed() {
    // As long, shorter, longer, and the same under another name.
    for other in [&b"no sign of a fractura"[..], &TEXT[..20], b"no sign of a fracture.", b""] {
        let (_, result) = confirmed(other, |metadata| of_length(metadata, other.len() as u64));
        assert_eq!(result, Confirmed::Differs, "{other:?}");
    }
    let (_, result) = confirmed(TEXT, |metadata| {
        let (kind, length) = (metadata.media_type(), TEXT.len() as u64);
        Metadata::new("another.pdf", kind, length).unwrap().with_note(metadata.note()).unwrap()
    });
    assert_eq!(result, Confirmed::Differs);
}
