//! Reads letters out of the outbox folder, as their receivers would in a mail program.

use medledger::AccessKey;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folder that letters are written to.
pub(super) struct Outbox {
    folder: PathBuf,
    seen: BTreeSet<PathBuf>,
}

/// A letter somebody received.
pub(super) struct Letter {
    pub(super) path: PathBuf,
    pub(super) subject: String,
    body: String,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LetterError {
    #[error("the outbox {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{found} new letters to {address}, expected one")]
    NotOne { address: String, found: usize },
    #[error("{0} is no letter of plain text")]
    NotPlain(PathBuf),
    #[error("no access key stands in {0}")]
    NoKey(PathBuf),
    #[error("the access key in {path}: {source}")]
    Key { path: PathBuf, source: medledger::core::access_key::AccessKeyError },
}

impl Outbox {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, seen: BTreeSet::new() }
    }

    /// The one letter to `address` that has come since this was last asked.
    pub(super) fn fetch(&mut self, address: &str) -> Result<Letter, LetterError> {
        let mut found = Vec::new();
        for path in self.paths()? {
            if self.seen.contains(&path) {
                continue;
            }
            let text = read(&path)?;
            let to = header(&text, "To").unwrap_or_default();
            if to.ends_with(&format!("<{address}>")) || to == address {
                found.push(Letter::parse(path.clone(), &text)?);
                self.seen.insert(path);
            }
        }
        match found.pop() {
            Some(letter) if found.is_empty() => Ok(letter),
            last => {
                let found = found.len() + usize::from(last.is_some());
                Err(LetterError::NotOne { address: address.to_owned(), found })
            }
        }
    }

    /// How many letters there are.
    pub(super) fn count(&self) -> Result<usize, LetterError> {
        Ok(self.paths()?.len())
    }

    fn paths(&self) -> Result<Vec<PathBuf>, LetterError> {
        let io = |source| LetterError::Io { path: self.folder.clone(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                paths.push(path);
            }
        }
        Ok(paths)
    }
}

impl Letter {
    fn parse(path: PathBuf, text: &str) -> Result<Self, LetterError> {
        let encoding = header(text, "Content-Transfer-Encoding");
        let body = text.split_once("\r\n\r\n").and_then(|(_, body)| match encoding.as_deref() {
            None | Some("7bit" | "8bit") => Some(body.to_owned()),
            Some("quoted-printable") => unquote(body),
            Some(_) => None,
        });
        let Some(body) = body else { return Err(LetterError::NotPlain(path)) };
        let subject = header(text, "Subject").unwrap_or_default();
        Ok(Self { path, subject, body })
    }

    /// The access key written in the letter, after the word `key`.
    pub(super) fn key(&self) -> Result<AccessKey, LetterError> {
        let text = self
            .body
            .lines()
            .find_map(|line| line.trim().strip_prefix("key "))
            .ok_or_else(|| LetterError::NoKey(self.path.clone()))?;
        AccessKey::from_text(text)
            .map_err(|source| LetterError::Key { path: self.path.clone(), source })
    }
}

fn read(path: &Path) -> Result<String, LetterError> {
    std::fs::read_to_string(path)
        .map_err(|source| LetterError::Io { path: path.to_path_buf(), source })
}

/// The text of a quoted-printable body (RFC 2045, section 6.7).
fn unquote(body: &str) -> Option<String> {
    let joined = body.replace("=\r\n", "");
    let mut pieces = joined.split('=');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// A header's value, its continuation lines joined.
fn header(text: &str, name: &str) -> Option<String> {
    let head = text.split("\r\n\r\n").next()?;
    let mut value: Option<String> = None;
    for line in head.lines() {
        match &mut value {
            Some(value) if line.starts_with([' ', '\t']) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            Some(_) => break,
            None => {
                if let Some((found, rest)) = line.split_once(':')
                    && found.eq_ignore_ascii_case(name)
                {
                    value = Some(rest.trim().to_owned());
                }
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTER: &str = "Message-ID: <1@x>\r\nTo: Pat\r\n <pat@example.org>\r\nSubject: A report\r\n\
        Content-Transfer-Encoding: 7bit\r\n\r\nDear Pat,\r\n\r\n    \
        key     0000-0000-0000-0000-0000-0000-04R5\r\n\r\nKeep this key.\r\n";

    #[test]
    fn the_key_is_read_out_of_the_body() {
        assert_eq!(header(LETTER, "to").as_deref(), Some("Pat <pat@example.org>"));
        let letter = Letter::parse("a.eml".into(), LETTER).unwrap();
        assert_eq!(letter.subject, "A report");
        let mut one = [0; 16];
        one[15] = 1;
        assert!(letter.key().unwrap() == AccessKey::from_bytes(one));
    }

    #[test]
    fn other_letters_are_told_apart() {
        let encoded = LETTER.replace("7bit", "base64");
        assert!(matches!(Letter::parse("a".into(), &encoded), Err(LetterError::NotPlain(_))));
        let mistyped = LETTER.replace("04R5", "04R6");
        let letter = Letter::parse("a".into(), &mistyped).unwrap();
        assert!(matches!(letter.key(), Err(LetterError::Key { .. })));
        let without = LETTER.replace("key ", "xxx ");
        let letter = Letter::parse("a".into(), &without).unwrap();
        assert!(matches!(letter.key(), Err(LetterError::NoKey(_))));
    }

    #[test]
    fn quoted_printable_letters_are_read() {
        assert_eq!(unquote("a=\r\nb=3D=C3=A9\r\n").as_deref(), Some("ab=\u{e9}\r\n"));
        assert_eq!(unquote("a=3"), None);
        assert_eq!(unquote("=FF"), None);
        let quoted =
            LETTER.replace("7bit", "quoted-printable").replace("0000-04R5", "0000-0=\r\n4R5");
        assert!(Letter::parse("a".into(), &quoted).unwrap().key().is_ok());
    }

    #[test]
    fn each_letter_is_fetched_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::new(folder.path().into());
        std::fs::write(folder.path().join("1.eml"), LETTER).unwrap();
        std::fs::write(folder.path().join("2.partial"), LETTER).unwrap();
        assert_eq!(outbox.fetch("pat@example.org").unwrap().subject, "A report");
        let again = outbox.fetch("pat@example.org");
        assert!(matches!(again, Err(LetterError::NotOne { found: 0, .. })));
        let other = outbox.fetch("at@example.org");
        assert!(matches!(other, Err(LetterError::NotOne { found: 0, .. })));
        assert_eq!(outbox.count().unwrap(), 1);
    }
}
