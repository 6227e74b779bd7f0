//! Mail: letters wait, encrypted, in the unit of work that causes them, and are sent after it.
//!
//! A letter is sent at least once: a crash between sending and noting it sends it again, with the
//! same `Message-ID`.

mod outbox;
#[cfg(feature = "smtp")]
mod smtp;
pub(crate) mod texts;

pub use outbox::Outbox;
#[cfg(feature = "smtp")]
pub use smtp::{Smtp, SmtpSettings, SmtpTls};

use crate::node_key::NodeKey;
use crate::people::next_number;
use lettre::message::header::{ContentType, MIME_VERSION_1_0};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use medledger_core::access_key::AccessKey;
use medledger_core::rand_core::CryptoRng;
use medledger_core::store::{Drawer, StoreError, Unit, View};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A letter to one person. It may hold an access key, so it is wiped on drop and shows nothing.
///
/// The limit of that: `lettre` copies the body while it makes the message and sends it, and
/// `serde_json` a part of it while it reads the queue; their copies are freed, not wiped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Letter {
    /// Name of the person.
    pub to_name: String,
    /// Address of the person.
    pub to_address: String,
    /// Subject; holds nothing secret.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// Text of the key that goes along as a QR code, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
}

impl Letter {
    /// The same letter with this key as a QR code.
    pub(crate) fn with_qr(mut self, key: Option<&AccessKey>) -> Self {
        self.qr = key.map(|key| key.to_text().as_str().to_owned());
        self
    }
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a letter was not sent. It stays in the queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The address is no address.
    #[error("{address:?} is not a mail address")]
    Address {
        /// What stands there.
        address: String,
    },
    /// The letter could not be put into its form; a bug of ours.
    #[error("internal error, please report: the letter could not be written: {0}")]
    Format(String),
    /// The outbox folder cannot be written.
    #[error("outbox {path}: {source}")]
    Outbox {
        /// The folder or file.
        path: std::path::PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// What waits in the queue does not open, so it can never be sent.
    #[error("letter {letter} in the queue is damaged: {reason}")]
    Damaged {
        /// Which letter.
        letter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The mail server could not be reached, or did not answer in time.
    #[error("mail server {server} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// What the network said.
        reason: String,
    },
    /// The mail server refused the letter, or this client the server.
    #[error("mail server {server}: {reason}")]
    Server {
        /// Host and port.
        server: String,
        /// What it said.
        reason: String,
    },
}

/// Brings letters to people.
pub trait Notifier: Send + Sync {
    /// Sends one letter; when this returns without error, it is out of our hands.
    ///
    /// # Errors
    /// See [`NotifyError`].
    fn send(&self, id: &LetterId, letter: &Letter) -> Result<(), NotifyError>;
}

/// Names a letter: its place in the queue. Not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterId(Vec<u8>);

impl std::fmt::Display for LetterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Whether `address` can be written to.
pub(crate) fn check_address(address: &str) -> Result<(), NotifyError> {
    address
        .parse::<lettre::Address>()
        .map(drop)
        .map_err(|_| NotifyError::Address { address: address.chars().take(120).collect() })
}

/// What goes into a header: without line breaks or other control characters, whatever an older
/// version let through when the member was registered.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The letter as a message of RFC 5322.
pub(crate) fn message(from: &str, id: &LetterId, letter: &Letter) -> Result<Message, NotifyError> {
    let mailbox = |name: &str, address: &str| {
        address
            .parse()
            .map(|address| Mailbox::new(Some(one_line(name)), address))
            .map_err(|_| NotifyError::Address { address: address.chars().take(120).collect() })
    };
    let from: Mailbox =
        from.parse().map_err(|_| NotifyError::Address { address: from.to_owned() })?;
    let builder = Message::builder()
        .message_id(Some(format!("<{id}@medledger>")))
        .from(from)
        .to(mailbox(&letter.to_name, &letter.to_address)?)
        .header(MIME_VERSION_1_0)
        .subject(one_line(&letter.subject));
    let failed = |error: String| NotifyError::Format(error);
    match &letter.qr {
        None => builder.header(ContentType::TEXT_PLAIN).body(letter.body.clone()),
        Some(key) => {
            let key = AccessKey::from_text(key).map_err(|error| failed(error.to_string()))?;
            let kind = |text| ContentType::parse(text).map_err(|e| failed(e.to_string()));
            // Many readers of mail show no SVG; paper takes it in any size.
            let picture = Attachment::new("key.png".into())
                .body(crate::qr::png(&key).to_vec(), kind("image/png")?);
            let drawing = Attachment::new("key.svg".into())
                .body(crate::qr::svg(&key).as_bytes().to_vec(), kind("image/svg+xml")?);
            let text = SinglePart::plain(letter.body.clone());
            let parts = MultiPart::mixed().singlepart(text).singlepart(picture);
            builder.multipart(parts.singlepart(drawing))
        }
    }
    .map_err(|error| failed(error.to_string()))
}

/// Row of the number of the last letter.
pub(crate) const LAST_LETTER: &[u8] = b"last-letter";

/// The highest number of a letter that waits; 0 when none does.
pub(crate) fn highest_number(view: &dyn View) -> Result<u32, StoreError> {
    let waiting = view.local_scan(Drawer::Mail, &[], None, usize::MAX)?;
    let number = |key: &[u8]| key.first_chunk().copied().map_or(0, u32::from_be_bytes);
    Ok(waiting.iter().map(|(key, _)| number(key)).max().unwrap_or(0))
}

/// Puts a letter into the queue.
pub(crate) fn enqueue(
    unit: &mut dyn Unit,
    key: &NodeKey,
    letter: &Letter,
    rng: &mut dyn CryptoRng,
) -> Result<LetterId, StoreError> {
    let mut id = next_number(unit, Drawer::Node, LAST_LETTER)?.to_be_bytes().to_vec();
    // Unique beyond this ledger, since it becomes the Message-ID.
    let mut random = [0; 8];
    rng.fill_bytes(&mut random);
    id.extend_from_slice(&random);
    // Room for all of it, however it is escaped: a buffer that grows leaves copies nobody wipes.
    let texts = [&letter.to_name, &letter.to_address, &letter.subject, &letter.body];
    let qr = letter.qr.as_ref().map_or(0, String::len);
    let room = 192 + qr + 6 * texts.map(String::len).iter().sum::<usize>();
    let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *plain, letter).expect("a letter is JSON");
    let sealed = key.seal(Drawer::Mail, &id, &plain, rng);
    unit.set_local(Drawer::Mail, &id, Some(&sealed))?;
    Ok(LetterId(id))
}

/// A place in the queue with the letter there, if it is one.
pub(crate) type Waiting = (LetterId, Result<Letter, NotifyError>);

/// The letters that wait, oldest first. One that is damaged keeps no other from being sent.
pub(crate) fn waiting(view: &dyn View, key: &NodeKey) -> Result<Vec<Waiting>, StoreError> {
    let rows = view.local_scan(Drawer::Mail, &[], None, usize::MAX)?;
    Ok(rows
        .into_iter()
        .map(|(id, sealed)| {
            let id = LetterId(id);
            let damaged = |reason: String| NotifyError::Damaged { letter: id.to_string(), reason };
            let letter = key
                .unseal(Drawer::Mail, &id.0, &sealed)
                .map_err(|error| damaged(error.to_string()))
                .and_then(|plain| {
                    serde_json::from_slice(&plain).map_err(|_| damaged("it is no letter".into()))
                });
            (id, letter)
        })
        .collect())
}

/// Takes a letter out of the queue; the store overwrites it.
pub(crate) fn remove(unit: &mut dyn Unit, id: &LetterId) -> Result<(), StoreError> {
    unit.set_local(Drawer::Mail, &id.0, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_name_neither_splits_a_header_nor_stops_the_queue() {
        let letter = Letter {
            to_name: "Mal\r\nBcc: evil@example.org".into(),
            to_address: "mal@example.org".into(),
            subject: "Eve\nBcc: evil@example.org asks".into(),
            body: "text".into(),
            qr: None,
        };
        let id = LetterId(vec![1; 12]);
        let message = message("medledger <m@example.org>", &id, &letter).unwrap();
        let bytes = message.formatted();
        let text = String::from_utf8_lossy(&bytes);
        let headers = text.split("\r\n\r\n").next().unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
    }
}
