//! Mail through a real SMTP server: Python's aiosmtpd, on a loopback port of its own.

use crate::scan::{self, Secrets};
use crate::world::{self, PATIENT_MAIL, World, key_in, options, peer, report};
use medledger::mail::{NotifyError, SmtpSettings, SmtpTls};
use medledger::{Contact, Delivery, Key, Ledger, MailSettings, Purpose, Role};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Prints each letter as a line: subject line as sent, subject, recipient and body, in base 64.
const SERVER: &str = r#"
import asyncio, base64, email, email.policy, sys, threading
from aiosmtpd.smtp import SMTP

mode = "accept"

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if mode == "refuse":
            return "550 no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if mode == "later":
            return "451 come back later"
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        raw = next(l for l in envelope.content.split(b"\r\n") if l.lower().startswith(b"subject:"))
        parts = [raw, letter["subject"].encode(), ",".join(envelope.rcpt_tos).encode(),
                 letter.get_content().encode()]
        print("letter", *(base64.b64encode(part).decode() for part in parts), flush=True)
        return "250 OK"

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler()), "127.0.0.1", int(sys.argv[1]))
    print("port", server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()

    def listen():
        global mode
        for line in sys.stdin:
            mode = line.strip()
            print("mode", mode, flush=True)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, daemon=True).start()
    await ended.wait()

asyncio.run(main())
"#;

struct Server {
    child: Child,
    input: ChildStdin,
    out: BufReader<ChildStdout>,
    port: u16,
}

struct Received {
    raw_subject: String,
    subject: String,
    to: String,
    body: String,
}

impl Server {
    /// Starts one; port 0 for any that is free.
    fn start(python: &str, port: u16) -> Self {
        let mut child = Command::new(python)
            .args(["-c", SERVER, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("aiosmtpd starts");
        let input = child.stdin.take().expect("piped");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut server = Self { child, input, out, port };
        let line = server.line();
        server.port = line.strip_prefix("port ").expect("a port").parse().expect("a port");
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("the server's output");
        line.trim_end().to_owned()
    }

    fn mode(&mut self, mode: &str) {
        writeln!(self.input, "{mode}").expect("the server listens");
        assert_eq!(self.line(), format!("mode {mode}"));
    }

    fn letter(&mut self) -> Received {
        let line = self.line();
        let parts: Vec<String> = line
            .strip_prefix("letter ")
            .unwrap_or_else(|| panic!("no letter but {line:?}"))
            .split(' ')
            .map(|part| data_encoding::BASE64.decode(part.as_bytes()).expect("base 64"))
            .map(|bytes| String::from_utf8(bytes).expect("text"))
            .collect();
        let [raw_subject, subject, to, body] = parts.try_into().expect("four parts");
        Received { raw_subject, subject, to, body }
    }

    /// Whether nothing more has come: the answer to the next order is the next line.
    fn assert_no_letter(&mut self) {
        self.mode("accept");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // By its own handle; it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(test: &str) -> Option<String> {
    peer(test, "MEDLEDGER_PEER_SMTP", "a Python that has aiosmtpd")
}

fn settings(port: u16) -> MailSettings {
    MailSettings::Smtp(SmtpSettings {
        server: "127.0.0.1".into(),
        port,
        tls: SmtpTls::None,
        user: None,
    })
}

fn world(port: u16) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let world = World::in_folder(&folder.path().join("ledger"), options(settings(port)));
    (world, folder)
}

fn waiting(ledger: &Ledger) -> usize {
    let drawer = medledger::core::store::Drawer::Mail;
    ledger.view().unwrap().local_scan(drawer, &[], None, usize::MAX).unwrap().len()
}

#[test]
fn letters_arrive_with_their_keys_and_subjects() {
    let Some(python) = python("mail arrives through aiosmtpd") else { return };
    let mut server = Server::start(&python, 0);
    let (world, _folder) = world(server.port);
    let ledger = world.ledger();
    let bytes = report(3000, 1);
    let uploaded = ledger.upload(&world.doctor, &world.patient.id(), &bytes[..]).expect("uploaded");
    assert_eq!(uploaded.delivery, Delivery::Mailed);
    let letter = server.letter();
    assert_eq!(letter.to, PATIENT_MAIL);
    assert_eq!(letter.subject, format!("A report was added: {}", uploaded.label));
    assert!(letter.body.contains(world::PATIENT_NAME) && letter.body.contains("Klinikum Eichwald"));
    let key = key_in(&letter.body).expect("the key is in the letter");
    ledger.wait_mined(&uploaded.record).unwrap();

    // A name beyond ASCII goes into the subject encoded, and comes out as it was.
    let contact = Contact::named("Dr. Jürgen Größl-Ångström").with_email("jg@klinik.example");
    let (reader, _) = ledger
        .add_member(&world.hospital, Role::Doctor, &contact, world::PASSWORD)
        .expect("registered");
    let until = ledger.now().plus(1000);
    let asked =
        ledger.request(&reader, &uploaded.report, Purpose::Treatment, until).expect("asked");
    let letter = server.letter();
    assert_eq!(letter.subject, format!("{} asks to read {}", contact.name, uploaded.label));
    assert!(letter.raw_subject.is_ascii(), "{}", letter.raw_subject);
    assert!(letter.body.contains(&asked.to_string()) && key_in(&letter.body).is_none());

    let approved = ledger.approve(&world.patient, &asked, &Key::Access(&key)).expect("approved");
    assert_eq!(approved.delivery, Delivery::Mailed);
    let letter = server.letter();
    assert_eq!(letter.to, "jg@klinik.example");
    let readers_key = key_in(&letter.body).expect("the reader's key");
    assert!(readers_key != key);
    ledger.wait_mined(&approved.record).unwrap();
    let mut opened = ledger
        .open_report(&reader, &uploaded.report, &Key::Access(&readers_key))
        .expect("it opens with the mailed key");
    assert_eq!(opened.to_vec().unwrap(), bytes);
    assert_eq!(waiting(ledger), 0);
    server.assert_no_letter();
}

#[test]
fn letters_a_server_refuses_wait_encrypted_and_are_sent_once() {
    let Some(python) = python("refused mail waits and is sent once") else { return };
    let mut server = Server::start(&python, 0);
    let (world, _folder) = world(server.port);
    let ledger = world.ledger();
    let mut records = Vec::new();
    for mode in ["refuse", "later"] {
        server.mode(mode);
        let uploaded = ledger
            .upload(&world.doctor, &world.patient.id(), &b"x"[..])
            .expect("accepted all the same");
        assert_eq!(uploaded.delivery, Delivery::Queued, "{mode}");
        records.push(uploaded.report);
        let sent = ledger.send_mail().unwrap();
        assert_eq!((sent.sent, sent.waiting), (0, records.len()), "{mode}");
        let error = sent.error.expect("a reason");
        let words = if mode == "refuse" { "no such mailbox here" } else { "come back later" };
        assert!(
            matches!(&error, NotifyError::Server { reason, .. } if reason.contains(words)),
            "{mode}: {error:?}"
        );
    }
    let files = scan::read(&world.folder, &[]);
    server.mode("accept");
    let sent = ledger.send_mail().unwrap();
    assert_eq!((sent.sent, sent.waiting), (2, 0));
    let mut secrets = Secrets::default();
    secrets.add("address", PATIENT_MAIL.as_bytes());
    for report in records {
        let letter = server.letter();
        assert!(letter.body.contains(&report.to_string()), "oldest first");
        let key = key_in(&letter.body).expect("a key");
        secrets.add_key("a key that waited", &key);
        ledger.open_report(&world.patient, &report, &Key::Access(&key)).expect("it opens");
    }
    secrets.assert_none_in(&files);
    secrets.assert_none_in(&scan::read(&world.folder, &[]));
    assert_eq!(ledger.send_mail().unwrap().sent, 0);
    server.assert_no_letter();
}

#[test]
fn letters_wait_while_the_server_is_down() {
    let Some(python) = python("mail waits while the server is down") else { return };
    let port = {
        // Taken and given back: nobody listens there.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("its number").port()
    };
    let (mut world, _folder) = world(port);
    for _ in 0..3 {
        let uploaded =
            world.ledger().upload(&world.doctor, &world.patient.id(), &b"x"[..]).expect("accepted");
        assert_eq!(uploaded.delivery, Delivery::Queued);
    }
    let sent = world.ledger().send_mail().unwrap();
    assert_eq!((sent.sent, sent.waiting), (0, 3));
    assert!(matches!(sent.error, Some(NotifyError::Unreachable { .. })), "{:?}", sent.error);
    world.reopen();
    let mut server = Server::start(&python, port);
    let sent = world.ledger().send_mail().unwrap();
    assert_eq!((sent.sent, sent.waiting), (3, 0));
    let keys: Vec<_> = (0..3)
        .map(|_| key_in(&server.letter().body).expect("a key").to_text().to_string())
        .collect();
    assert!(keys[0] != keys[1] && keys[1] != keys[2]);
    server.assert_no_letter();
}

/// A server that takes connections and never says a word.
#[test]
fn a_server_that_never_answers_keeps_nobody_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (world, _folder) = world(listener.local_addr().expect("its number").port());
    let ledger = world.ledger();
    let uploaded = ledger.upload(&world.doctor, &world.patient.id(), &b"x"[..]).expect("accepted");
    assert_eq!(uploaded.delivery, Delivery::Queued);
    assert_eq!(waiting(ledger), 1);
    ledger.wait_mined(&uploaded.record).expect("mined all the same");
}

/// Keys go in clear to no other machine.
#[test]
fn a_server_elsewhere_without_tls_is_refused() {
    let mut world = World::with_pick_up();
    world.close();
    let path = world.folder.join("settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    settings["mail"] =
        serde_json::json!({"smtp": {"server": "mail.example.org", "port": 25, "tls": "none"}});
    std::fs::write(&path, settings.to_string()).unwrap();
    let error = Ledger::open(&world.folder).unwrap_err();
    assert!(matches!(&error, medledger::OpenError::Mail(NotifyError::Server { .. })), "{error:?}");
}
