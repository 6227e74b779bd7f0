//! A whole journey with everything that is logged, shown for debugging or told in errors collected:
//! no key, password or token is in any of it.

use crate::scan::{self, Secrets};
use crate::world::{MARKER, PASSWORD, PATIENT_MAIL, World, mailed_key, report};
use medledger::core::token::Token;
use medledger::{
    AccessKey, Contact, Delivery, Key, Ledger, OpenOptions, Purpose, Role, UploadOptions,
    VerifyDepth,
};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};

/// Keeps all that is traced, at every level.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

impl Everything {
    fn add(&self, text: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_str(text);
        all.push('\n');
    }
}

struct Fields<'a>(&'a Everything);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.add(&format!("{field}={value:?}"));
    }
}

impl tracing::Subscriber for Everything {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.add(span.metadata().name());
        span.record(&mut Fields(self));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Fields(self));
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Fields(self));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What was shown and told, beside what was traced.
#[derive(Default)]
struct Told(String);

impl Told {
    fn show(&mut self, value: &dyn Debug) {
        write!(self.0, "{value:?}\n{value:#?}\n").expect("a string takes it");
    }

    /// An error as people see it, with its causes, and as developers do.
    fn error<T>(&mut self, result: Result<T, impl std::error::Error + 'static>) {
        let error = result.err().expect("an error");
        self.show(&error);
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = next {
            writeln!(self.0, "{error}").expect("a string takes it");
            next = error.source();
        }
    }
}

#[test]
fn pitfall_41_no_key_password_or_token_in_logs_debug_output_or_errors() {
    let traced = Everything::default();
    // All threads: much is logged by those that sync, search and clean up.
    tracing::subscriber::set_global_default(traced.clone()).expect("the only one in this binary");
    let (mut told, mut secrets) = (Told::default(), Secrets::default());
    let mut world = World::with_outbox();
    let wrong_password = "Zu9-wrong-password-entirely";
    secrets.add("password", PASSWORD.as_bytes());
    secrets.add("wrong password", wrong_password.as_bytes());
    secrets.add("plaintext", MARKER);
    for who in [&world.hospital, &world.doctor, &world.patient, &world.reader] {
        told.show(who);
        told.show(who.public());
        let seed = who.hpke_secret_key().expose();
        secrets.add("a decapsulation key", seed.as_slice());
        secrets.add_text_of("a decapsulation key", seed.as_slice());
    }

    // By mail.
    let ledger = world.ledger();
    let options = UploadOptions::named("befund.pdf", "application/pdf")
        .with_idempotency_key("once-and-only-once");
    told.show(&options);
    let bytes = report(30_000, 1);
    let uploaded = ledger
        .upload_with(&world.doctor, &world.patient.id(), &bytes[..], &options)
        .expect("uploaded");
    told.show(&uploaded);
    let key = mailed_key(&world.folder, &uploaded.report, PATIENT_MAIL).expect("a letter");
    secrets.add_key("the patient's access key", &key);
    told.show(&ledger.wait_mined(&uploaded.record));
    for (name, inner) in ["the node key", "the report's own key"]
        .iter()
        .zip(world.inner_keys(&uploaded.report, &key))
    {
        secrets.add(name, &inner);
        secrets.add_text_of(name, &inner);
    }
    // Picked up.
    let contact = Contact::named("Nurse without mail");
    told.show(&contact);
    let (nurse, registered) =
        ledger.add_member(&world.hospital, Role::Nurse, &contact, PASSWORD).expect("registered");
    told.show(&registered);
    let until = ledger.now().plus(1000);
    let asked = ledger.request(&nurse, &uploaded.report, Purpose::Treatment, until).expect("asked");
    told.show(&ledger.requests(&world.patient.id()));
    told.show(&Key::Access(&key));
    let approved = ledger.approve(&world.patient, &asked, &Key::Access(&key)).expect("approved");
    told.show(&approved);
    let Delivery::PickUp(nurses_key) = approved.delivery else { panic!("no key") };
    secrets.add_key("the reader's access key", &nurses_key);
    let token = Token::derive(&nurses_key, &approved.grant);
    told.show(&token);
    secrets.add("the token", token.expose());
    secrets.add_text_of("the token", token.expose());
    told.show(&ledger.mine());
    let mut opened =
        ledger.open_report(&nurse, &uploaded.report, &Key::Access(&nurses_key)).expect("opens");
    told.show(&opened);
    assert_eq!(opened.to_vec().unwrap(), bytes);
    told.show(&opened);

    // Everything that can be listed.
    told.show(ledger);
    told.show(ledger.settings());
    told.show(&ledger.members());
    told.show(&ledger.reports(&world.patient.id()));
    told.show(&ledger.log(&medledger::core::store::RecordQuery::default()));
    told.show(&ledger.receipt(&uploaded.record));
    told.show(&ledger.verify(VerifyDepth::Full));
    told.show(&ledger.send_mail());
    told.show(&ledger.cache_stats());
    told.show(&crate::world::options(medledger::MailSettings::None));
    told.show(&OpenOptions::default());

    // What goes wrong.
    let wrong = AccessKey::from_bytes([3; 16]);
    for key in [Key::Access(&wrong), Key::Access(&nurses_key)] {
        told.error(ledger.open_report(&world.patient, &uploaded.report, &key).map(|_| ()));
    }
    told.error(ledger.open_report(&nurse, &uploaded.report, &Key::Access(&key)).map(|_| ()));
    told.error(ledger.open_report(&world.doctor, &uploaded.report, &Key::Access(&key)).map(|_| ()));
    told.error(ledger.approve(&world.patient, &asked, &Key::Access(&nurses_key)));
    told.error(ledger.approve(&world.doctor, &asked, &Key::Access(&key)));
    told.error(ledger.unlock(&nurse.id(), wrong_password));
    let conflict =
        ledger.upload_with(&world.doctor, &world.patient.id(), &MARKER.repeat(3)[..], &options);
    told.error(conflict);
    told.error(ledger.register(&world.hospital, &nurse, Role::Nurse, &contact));
    told.error(Ledger::open(&world.folder));
    let text = key.to_text();
    for typed in [&text[1..], &format!("{}A", &text[..text.len() - 1]), &format!("!{}", &text[1..])]
    {
        if let Err(error) = AccessKey::from_text(typed) {
            told.error::<()>(Err(error));
        }
    }
    told.show(&ledger.revoke(&world.patient, &approved.grant));
    told.error(ledger.open_report(&nurse, &uploaded.report, &Key::Access(&nurses_key)).map(|_| ()));
    world.close();
    told.error({
        let path = world.folder.join("node.key");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 2]).unwrap();
        let opened = Ledger::open(&world.folder);
        std::fs::write(&path, text).unwrap();
        opened
    });

    let traced = traced.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(told.0.len() > 10_000, "hardly anything was shown");
    assert_eq!(secrets.find(told.0.as_bytes()), Vec::<&str>::new());
    assert_eq!(secrets.find(traced.as_bytes()), Vec::<&str>::new());
    // The folder itself: only the node key's own file holds it, and nothing holds anything else.
    let mut files = scan::read(&world.folder, &["outbox"]);
    files.remove(&world.folder.join("node.key"));
    secrets.assert_none_in(&files);
}

/// The letter itself holds a key; nothing that is shown of it does.
#[test]
fn pitfall_41_a_letter_shows_its_subject_only() {
    let letter = medledger::mail::Letter {
        to_name: "Pat".into(),
        to_address: "pat@example.org".into(),
        subject: "A report was added".into(),
        body: "key  ABCD".into(),
        qr: None,
    };
    let shown = format!("{letter:?}");
    assert!(shown.contains("A report was added"));
    assert!(!shown.contains("ABCD") && !shown.contains("pat@example.org"), "{shown}");
}
