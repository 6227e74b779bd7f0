//! What the letters say. Plain words; the only secret is the access key in the two that carry one.
//! Lines stay within 76 columns where names allow it, so that a letter goes out as it is written here.

use super::Letter;
use crate::people::Contact;
use crate::time::show_time;
use medledger_core::access_key::AccessKey;
use medledger_core::clock::Timestamp;
use medledger_core::ids::{KeyFingerprint, RecordId};
use medledger_core::registry::Purpose;
use std::fmt::{Arguments, Write};

fn letter(to: &Contact, address: &str, subject: String, body: Arguments<'_>) -> Letter {
    Letter {
        to_name: to.name.clone(),
        to_address: address.to_owned(),
        subject,
        body: written_once(format_args!("Dear {},\n\n{body}\n", to.name)),
        qr: None,
    }
}

/// The text in a buffer that never grew: growing would leave copies of a key that nobody wipes.
fn written_once(text: Arguments<'_>) -> String {
    struct Length(usize);
    impl Write for Length {
        fn write_str(&mut self, part: &str) -> std::fmt::Result {
            self.0 += part.len();
            Ok(())
        }
    }
    let mut length = Length(0);
    // Neither writer fails.
    let _ = length.write_fmt(text);
    let mut written = String::with_capacity(length.0);
    let _ = written.write_fmt(text);
    written
}

/// To a patient: a report was added, and this key opens it.
pub(crate) fn report_added(
    to: &Contact,
    address: &str,
    hospital: &str,
    report: &str,
    label: &str,
    key: &AccessKey,
) -> Letter {
    let key = key.to_text();
    let key = key.as_str();
    let body = format_args!(
        "{hospital} has added a report about you.\n\n\
         \x20   report  {label}\n\
         \x20   id      {report}\n\
         \x20   key     {key}\n\n\
         Keep this key. With it you open the report, and you approve those who\n\
         ask to read it. Nobody at the hospital needs it or will ask you for it."
    );
    letter(to, address, format!("A report was added: {label}"), body)
}

/// To a patient: this key opens a report in place of the one before.
pub(crate) fn key_replaced(
    to: &Contact,
    address: &str,
    report: &str,
    label: &str,
    key: &AccessKey,
    rotated: bool,
) -> Letter {
    let key = key.to_text();
    let key = key.as_str();
    let since = if rotated {
        "The report was put under another key. Once the hospital has confirmed\n\
         that, this one takes the place of the key you had."
    } else {
        "This key takes the place of the one you had, which opens nothing any more."
    };
    let body = format_args!(
        "There is a new key to a report about you.\n\n\
         \x20   report  {label}\n\
         \x20   id      {report}\n\
         \x20   key     {key}\n\n\
         {since}\nKeep it. Nobody at the hospital needs it or will ask you for it."
    );
    letter(to, address, format!("A new key: {label}"), body)
}

/// To a patient or a reader: a key waits here; the letter holds nothing of it.
pub(crate) fn key_waits(to: &Contact, address: &str, label: &str) -> Letter {
    let body = format_args!(
        "A key waits for you: it opens {label}.\n\n\
         Pick it up with your identity or at the hospital. It is shown once."
    );
    letter(to, address, format!("A key waits for you: {label}"), body)
}

/// To a patient: somebody asks to read a report.
pub(crate) fn access_requested(
    to: &Contact,
    address: &str,
    reader: &str,
    label: &str,
    purpose: Purpose,
    until: Timestamp,
    request: &RecordId,
) -> Letter {
    let until = show_time(until);
    let body = format_args!(
        "{reader} asks to read a report about you.\n\n\
         \x20 report   {label}\n\
         \x20 purpose  {purpose}\n\
         \x20 until    {until}\n\
         \x20 request  {request}\n\n\
         You decide. To approve, you need the key you were sent when the report\n\
         was added. If you do nothing, nobody reads it."
    );
    letter(to, address, format!("{reader} asks to read {label}"), body)
}

/// To a reader: the patient approved, and this key opens the report.
pub(crate) fn access_granted(
    to: &Contact,
    address: &str,
    what: &str,
    label: &str,
    until: Timestamp,
    key: Option<&AccessKey>,
) -> Letter {
    let key = key.map(AccessKey::to_text);
    let (how, whose) = match &key {
        Some(key) => (key.as_str(), "The key is yours alone: it opens this, for you, until then."),
        None => ("none", "It opens with your identity; no key is needed."),
    };
    let until = show_time(until);
    let body = format_args!(
        "You may read what a patient shares with you.\n\n\
         \x20   report  {label}\n\
         \x20   id      {what}\n\
         \x20   until   {until}\n\
         \x20   key     {how}\n\n\
         {whose}\nEach reading is recorded on the ledger, where the patient sees it."
    );
    letter(to, address, format!("You may read {label}"), body)
}

/// To a reader: the patient refused.
pub(crate) fn access_refused(to: &Contact, address: &str, label: &str) -> Letter {
    let body = format_args!("Your request to read {label} was refused.");
    letter(to, address, format!("Request refused: {label}"), body)
}

/// To a reader: the patient took the permission back.
pub(crate) fn access_revoked(to: &Contact, address: &str, label: &str) -> Letter {
    let body = format_args!(
        "Your permission to read {label} was taken back.\nYour key no longer opens it."
    );
    letter(to, address, format!("Permission taken back: {label}"), body)
}

/// To a patient: the hospital put the keys of the patient's consent in the place of the suspended ones.
pub(crate) fn keys_replaced(
    to: &Contact,
    address: &str,
    hospital: &str,
    fingerprint: &KeyFingerprint,
) -> Letter {
    let fingerprint = fingerprint.to_groups();
    let body = format_args!(
        "{hospital} has replaced your suspended keys, with your consent.\n\n\
         \x20   new keys  {fingerprint}\n\n\
         Compare this with the fingerprint you were shown when you made them. If\n\
         it is another one, or you made none, tell the hospital at once.\n\n\
         At your next visit bring the file with the new keys, and at each hospital\n\
         that keeps reports of yours put the former keys out of use:\n\n\
         \x20   medledger identity install FILE\n\
         \x20   medledger collection renew --as YOU\n\
         \x20   medledger identity rewrap --as YOU\n\n\
         Until then what is added is wrapped to your former keys, and opens with\n\
         the new file, which holds them, too."
    );
    letter(to, address, "Your keys were replaced".to_owned(), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::os_rng;

    #[test]
    fn pitfall_41_the_buffer_of_a_letter_never_grew() {
        let to = Contact::named("Pat Näßl");
        let (id, key) = ("07070707", AccessKey::generate(&mut os_rng()));
        let letter = report_added(&to, "p@example.org", "General", id, "1_2_x", &key);
        assert_eq!(letter.body.capacity(), letter.body.len());
        assert!(letter.body.contains(key.to_text().as_str()));
        for rotated in [false, true] {
            let letter = key_replaced(&to, "p@example.org", id, "1_2_x", &key, rotated);
            assert_eq!(letter.body.capacity(), letter.body.len());
            assert!(letter.body.lines().all(|line| line.len() <= 76), "{}", letter.body);
        }
        let letter =
            keys_replaced(&to, "p@example.org", "General", &KeyFingerprint::from_bytes([7; 16]));
        assert!(letter.body.contains("0707 0707 0707 0707 0707 0707 0707 0707\n"));
        assert!(letter.body.lines().all(|line| line.len() <= 76), "{}", letter.body);
        for key in [Some(&key), None] {
            let until = Timestamp::from_secs(1_800_000_000);
            let letter = access_granted(&to, "p@example.org", id, "1_2_x", until, key);
            assert_eq!(letter.body.capacity(), letter.body.len());
            assert_eq!(letter.body.matches("\n    key     ").count(), 1);
        }
    }
}
