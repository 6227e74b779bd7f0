//! Keys on their way: picked up once, renewed and never sent again, and who used them.

use crate::support::{World, key_in, options, pick_up, world, world_with};
use medledger::core::store::{Drawer, Standing};
use medledger::{
    AccessKey, ApproveError, AuditEvent, AuditFinding, Contact, Delivery, DeliveryMode, Identity,
    Key, MailSettings, OpenReportError, Permission, Purpose, ReaderKey, Role,
};

fn share(w: &World, report: &medledger::ReportId, reader: &Identity) -> medledger::Approved {
    let permission = Permission::new(*report, reader.id(), Purpose::Treatment, w.in_days(5));
    let shared = w.ledger.share(&w.patient, permission, &Key::Identity, ReaderKey::Access).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    shared
}

fn waiting(w: &World) -> usize {
    w.ledger.view().unwrap().local_scan(Drawer::Pickup, &[], None, 99).unwrap().len()
}

fn events(w: &World) -> Vec<AuditEvent> {
    w.ledger.audit_log(0, 1000).unwrap().iter().map(|entry| entry.event).collect()
}

#[test]
fn a_key_that_waits_is_shown_once_to_its_owner_and_the_letter_holds_nothing_of_it() {
    let mut options = options();
    options.settings.mail = MailSettings::Outbox("outbox".into());
    options.settings.delivery = Some(DeliveryMode::Pickup);
    let w = world_with(options);
    let uploaded = w.ledger.upload(&w.doctor, &w.patient.id(), &b"a report"[..]).unwrap();
    assert_eq!(uploaded.delivery, Delivery::Waits);
    w.ledger.wait_mined(&uploaded.record).unwrap();
    let reader = w.add(Role::Doctor, "Dr Bob");
    let shared = share(&w, &uploaded.report, &reader);
    assert_eq!((shared.delivery, waiting(&w)), (Delivery::Waits, 2));
    let letters = w.letters();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.contains("A key waits for you")));

    // Nobody else gets anything, nor does whoever only claims the id.
    assert!(w.ledger.pick_up(&w.doctor).unwrap().is_empty());
    let mut rng = crate::support::rng();
    let forged = Identity::with_id(
        reader.id(),
        medledger::core::keys::SigningKey::generate(&mut rng),
        medledger::core::keys::HpkeSecretKey::generate(&mut rng),
    );
    assert!(w.ledger.pick_up(&forged).unwrap().is_empty());

    for (owner, grant) in [(&w.patient, None), (&reader, Some(shared.grant))] {
        let keys = w.ledger.pick_up(owner).unwrap();
        let [picked] = &keys[..] else { panic!("{keys:?}") };
        assert_eq!((picked.report, picked.grant), (Some(uploaded.report), grant));
        assert_eq!(picked.label, uploaded.label);
        let text = picked.key.to_text();
        assert!(letters.iter().all(|letter| !letter.contains(text.as_str())));
        w.ledger.open_report(owner, &uploaded.report, &Key::Access(&picked.key)).unwrap();
        assert!(w.ledger.pick_up(owner).unwrap().is_empty(), "once");
    }
    assert_eq!(waiting(&w), 0);
    let picked = AuditEvent::KeyPickedUp;
    assert_eq!(events(&w), [AuditEvent::Stranger, picked, picked]);
}

#[test]
fn what_a_person_wishes_comes_before_the_settings_and_a_revoked_key_waits_no_more() {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let reader = Identity::generate(&mut crate::support::rng());
    let contact = Contact::named("Dr Bob").with_delivery(DeliveryMode::Pickup);
    let done = w.ledger.register(&w.hospital, &reader, Role::Doctor, &contact).unwrap();
    w.ledger.wait_mined(&done.record).unwrap();
    assert_eq!(
        w.ledger.members().unwrap().iter().find(|m| m.id == reader.id()).unwrap().contact,
        contact
    );
    let shared = share(&w, &uploaded.report, &reader);
    assert_eq!((shared.delivery, waiting(&w)), (Delivery::Waits, 1));
    w.ledger.revoke(&w.patient, &shared.grant).unwrap();
    assert_eq!(waiting(&w), 0);
    assert!(w.ledger.pick_up(&reader).unwrap().is_empty());
    assert!(w.ledger.verify(medledger::VerifyDepth::Full).unwrap().findings.is_empty());
}

#[test]
fn pitfall_40_a_lost_letter_is_answered_with_a_new_key_and_the_old_one_opens_nothing() {
    let mut options = options();
    options.settings.mail = MailSettings::Outbox("outbox".into());
    options.settings.mail_qr = true;
    let w = world_with(options);
    let uploaded = w.ledger.upload(&w.doctor, &w.patient.id(), &b"a report"[..]).unwrap();
    w.ledger.wait_mined(&uploaded.record).unwrap();
    let report = uploaded.report;
    let open = |who: &Identity, key: &AccessKey| {
        w.ledger.open_report(who, &report, &Key::Access(key)).map(drop)
    };
    let newest = || w.letters().pop().unwrap();
    assert!(newest().contains("Content-Type: image/svg+xml"), "{}", newest());
    let lost = key_in(&newest());
    assert_eq!(pictured_in(&newest()), lost);
    open(&w.patient, &lost).unwrap();
    let renewed = w.ledger.renew_key(&w.patient, &report, &Key::Identity).unwrap();
    assert_eq!(renewed.delivery, Delivery::Mailed);
    let second = key_in(&newest());
    assert!(matches!(open(&w.patient, &lost), Err(OpenReportError::NoAccess)));
    open(&w.patient, &second).unwrap();
    // With the old key, too; but not with a lost one.
    let error = w.ledger.renew_key(&w.patient, &report, &Key::Access(&lost)).unwrap_err();
    assert!(matches!(error, ApproveError::NoAccess), "{error}");
    w.ledger.renew_key(&w.patient, &report, &Key::Access(&second)).unwrap();
    let third = key_in(&newest());
    open(&w.patient, &third).unwrap();

    // A reader's key: the grant is taken back and given anew, in one unit.
    let reader = w.add(Role::Doctor, "Dr Bob");
    let shared = share(&w, &report, &reader);
    let lost = key_in(&newest());
    open(&reader, &lost).unwrap();
    let error = w.ledger.renew_grant_key(&reader, &shared.grant, &Key::Identity).unwrap_err();
    assert!(matches!(error, ApproveError::NoAccess), "{error}");
    let again = w.ledger.renew_grant_key(&w.patient, &shared.grant, &Key::Access(&third)).unwrap();
    assert_ne!(again.grant, shared.grant);
    assert_eq!(again.permission, shared.permission);
    w.ledger.wait_mined(&again.record).unwrap();
    assert!(matches!(open(&reader, &lost), Err(OpenReportError::Revoked)));
    open(&reader, &key_in(&newest())).unwrap();
    let error = w.ledger.renew_grant_key(&w.patient, &shared.grant, &Key::Identity).unwrap_err();
    assert!(error.to_string().contains("revoked"), "{error}");
    let renewed = events(&w).into_iter().filter(|event| *event == AuditEvent::KeyRenewed).count();
    assert_eq!(renewed, 3);
}

#[test]
fn the_patient_sees_who_saw_what_when_and_for_which_purpose() {
    let w = world();
    let (uploaded, key) = w.upload(b"a report");
    let reader = w.add(Role::Doctor, "Dr Bob");
    let mut shared = share(&w, &uploaded.report, &reader);
    let readers = pick_up(&mut shared.delivery);
    let opened = w.ledger.open_report(&reader, &uploaded.report, &Key::Access(&readers)).unwrap();
    w.ledger.wait_mined(&opened.read_record()).unwrap();
    w.pass(60);
    w.ledger.open_report(&w.patient, &uploaded.report, &Key::Access(&key)).unwrap();

    let seen = w.ledger.accesses(&w.patient.id(), 0, 0).unwrap();
    let [first, second] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((first.reader, first.purpose), (reader.id(), Some(Purpose::Treatment)));
    assert_eq!((first.grant, first.version), (Some(shared.grant), 1));
    assert_eq!((&first.reader_name[..], &first.label), ("Dr Bob", &uploaded.label));
    assert_eq!((first.report, first.record), (uploaded.report, opened.read_record()));
    assert!(matches!(first.standing, Standing::Mined { .. }));
    assert_eq!((second.reader, second.purpose, second.grant), (w.patient.id(), None, None));
    assert_eq!(second.time.as_secs(), first.time.as_secs() + 60);
    assert!(matches!(second.standing, Standing::Accepted { .. }));
    assert_eq!(
        w.ledger.accesses(&w.patient.id(), 1, 1).unwrap().as_slice(),
        std::slice::from_ref(second)
    );
    assert!(w.ledger.accesses(&reader.id(), 0, 0).unwrap().is_empty());
}

/// Three refused openings, with a digest of the first two on the chain.
fn audited() -> World {
    let w = world();
    let (uploaded, _) = w.upload(b"a report");
    let fail = || w.ledger.open_report(&w.doctor, &uploaded.report, &Key::Identity).unwrap_err();
    fail();
    fail();
    let digest = w.ledger.digest_audit(&w.hospital).unwrap();
    w.ledger.wait_mined(&digest).unwrap();
    fail();
    w
}

#[test]
fn pitfall_47_an_altered_or_cut_audit_log_is_found_by_its_digest_on_the_chain() {
    let w = audited();
    let sound = w.ledger.verify_audit().unwrap();
    assert_eq!((sound.size, sound.digests, sound.vouched), (3, 1, 2));
    assert!(sound.findings.is_empty(), "{:?}", sound.findings);
    assert!(w.ledger.digest_audit(&w.doctor).is_err());
    let database = rusqlite::Connection::open(w.folder.join("ledger.db")).unwrap();
    let rows = |sql: &str| database.execute(sql, []).unwrap();
    let found = || w.ledger.verify_audit().unwrap().findings;

    database.execute_batch("CREATE TABLE kept AS SELECT * FROM local WHERE drawer = 15").unwrap();
    let restore = || {
        rows("DELETE FROM local WHERE drawer = 15");
        rows("INSERT INTO local SELECT * FROM kept");
        assert!(found().is_empty());
    };
    let entry = |n: u8| format!("key = x'6e000000000000000{n}'");
    // One changed, one taken out, two exchanged.
    rows(&format!("UPDATE local SET value = zeroblob(90) WHERE drawer = 15 AND {}", entry(1)));
    assert_eq!(found()[0], AuditFinding::Entry(1));
    restore();
    rows(&format!("DELETE FROM local WHERE drawer = 15 AND {}", entry(0)));
    assert_eq!(found()[0], AuditFinding::Entry(0));
    restore();
    rows(&format!("DELETE FROM local WHERE drawer = 15 AND {}", entry(2)));
    assert_eq!(found(), [AuditFinding::End { said: 3, found: 2 }]);
    restore();
    // The whole log is thrown away: what is left looks like the log of a new hospital, but for the chain.
    rows("DELETE FROM local WHERE drawer = 15");
    assert!(
        matches!(found()[..], [AuditFinding::CutOff { said: 2, found: 0, .. }]),
        "{:?}",
        found()
    );
    assert!(w.ledger.digest_audit(&w.hospital).is_err());
    // And begun anew, with the node key at hand.
    for _ in 0..2 {
        let absent = medledger::ReportId::from_bytes([9; 16]);
        w.ledger.open_report(&w.doctor, &absent, &Key::Identity).unwrap_err();
    }
    assert!(matches!(found()[..], [AuditFinding::Differs { size: 2, .. }]), "{:?}", found());
}

/// The key in the picture that goes with a letter, by other decoders.
fn pictured_in(letter: &str) -> AccessKey {
    let (_, part) = letter.split_once("Content-Type: image/png").unwrap();
    let (_, body) = part.split_once("\r\n\r\n").unwrap();
    let (body, _) = body.split_once("\r\n--").unwrap();
    let bytes = data_encoding::BASE64.decode(body.replace("\r\n", "").as_bytes()).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        255 * (pixels[y * info.line_size + x / 8] >> (7 - x % 8) & 1)
    });
    image.detect_grids()[0].decode().unwrap().1.parse().unwrap()
}
