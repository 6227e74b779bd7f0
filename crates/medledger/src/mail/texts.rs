//! What the letters say. Plain words; the only secret is the access key in the two that carry one.
//! Lines stay within 76 columns where names allow it, so that a letter goes out as it is written here.

use super::Letter;
use crate::people::Contact;
use crate::time::show_time;
use medledger_core::access_key::AccessKey;
use medledger_core::clock::Timestamp;
use medledger_core::ids::{RecordId, ReportId};
use medledger_core::registry::Purpose;

fn letter(to: &Contact, address: &str, subject: String, body: &str) -> Letter {
    Letter {
        to_name: to.name.clone(),
        to_address: address.to_owned(),
        subject,
        body: format!("Dear {},\n\n{body}\n", to.name),
    }
}

/// To a patient: a report was added, and this key opens it.
pub(crate) fn report_added(
    to: &Contact,
    address: &str,
    hospital: &str,
    report: &ReportId,
    label: &str,
    key: &AccessKey,
) -> Letter {
    let body = format!(
        "{hospital} has added a report about you.\n\n\
         \x20   report  {label}\n\
         \x20   id      {report}\n\
         \x20   key     {}\n\n\
         Keep this key. With it you open the report, and you approve those who\n\
         ask to read it. Nobody at the hospital needs it or will ask you for it.",
        key.to_text().as_str()
    );
    letter(to, address, format!("A report was added: {label}"), &body)
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
    let body = format!(
        "{reader} asks to read a report about you.\n\n\
         \x20 report   {label}\n\
         \x20 purpose  {purpose}\n\
         \x20 until    {}\n\
         \x20 request  {request}\n\n\
         You decide. To approve, you need the key you were sent when the report\n\
         was added. If you do nothing, nobody reads it.",
        show_time(until)
    );
    letter(to, address, format!("{reader} asks to read {label}"), &body)
}

/// To a reader: the patient approved, and this key opens the report.
pub(crate) fn access_granted(
    to: &Contact,
    address: &str,
    report: &ReportId,
    label: &str,
    until: Timestamp,
    key: Option<&AccessKey>,
) -> Letter {
    let (how, whose) = match key {
        Some(key) => (
            format!("    key     {}", key.to_text().as_str()),
            "The key is yours alone: it opens this report, for you, until then.",
        ),
        None => ("    key     none".to_owned(), "It opens with your identity; no key is needed."),
    };
    let body = format!(
        "You may read a report.\n\n\
         \x20   report  {label}\n\
         \x20   id      {report}\n\
         \x20   until   {}\n\
         {how}\n\n\
         {whose}\nEach reading is recorded on the ledger, where the patient sees it.",
        show_time(until)
    );
    letter(to, address, format!("You may read {label}"), &body)
}

/// To a reader: the patient refused.
pub(crate) fn access_refused(to: &Contact, address: &str, label: &str) -> Letter {
    let body = format!("Your request to read {label} was refused.");
    letter(to, address, format!("Request refused: {label}"), &body)
}

/// To a reader: the patient took the permission back.
pub(crate) fn access_revoked(to: &Contact, address: &str, label: &str) -> Letter {
    let body =
        format!("Your permission to read {label} was taken back.\nYour key no longer opens it.");
    letter(to, address, format!("Permission taken back: {label}"), &body)
}
