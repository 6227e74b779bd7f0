//! Why a root is kept, and the bytes that say so.

use medledger_core::{
    Cid,
    clock::Timestamp,
    ids::{ChainId, ReportId},
    text::is_refused_in_name,
};
use std::{
    fmt,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

/// The longest [`Word`] in bytes.
pub const MAX_WORD_BYTES: usize = 100;
/// The most reasons one root may be kept for.
pub const MAX_REASONS: usize = 1024;
/// The longest pin file in bytes: all reasons, with the longest words, and then some.
pub const MAX_PIN_BYTES: usize = 256 * 1024;

/// A few words of a person or a program: one line of 1 to [`MAX_WORD_BYTES`] bytes, without
/// characters that control, reorder or hide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(String);

impl Word {
    /// Checks a text.
    ///
    /// # Errors
    /// When it is empty, too long, begins or ends with a space, or has a character not allowed.
    pub fn new(text: impl Into<String>) -> Result<Self, ReasonError> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX_WORD_BYTES {
            return Err(ReasonError::Length { found: text.len(), limit: MAX_WORD_BYTES });
        }
        if let Some(found) = text.chars().find(|c| is_refused_in_name(*c)) {
            return Err(ReasonError::Character(found));
        }
        if text.trim() != text {
            return Err(ReasonError::Space);
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a root is kept.
///
/// ```
/// use medledger_ipfs::store::{Reason, Word};
/// let reason = Reason::User(Word::new("for the audit of 2026")?);
/// assert_eq!(reason.to_string(), "user for the audit of 2026");
/// assert_eq!(reason.to_string().parse(), Ok(reason));
/// # Ok::<(), medledger_ipfs::store::ReasonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is the envelope of this report.
    Report(ReportId),
    /// It is the newest block of this chain, or was.
    Head(ChainId),
    /// It came from elsewhere, under these words.
    Import(Word),
    /// Somebody wants it kept.
    User(Word),
    /// Nobody said why.
    Untold,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(id) => write!(f, "report {id}"),
            Self::Head(chain) => write!(f, "head {chain}"),
            Self::Import(word) => write!(f, "import {}", word.0),
            Self::User(word) => write!(f, "user {}", word.0),
            Self::Untold => f.write_str("untold"),
        }
    }
}

/// A reason that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReasonError {
    /// Nothing, or too much of it.
    #[error("a reason has 1 to {limit} bytes, found {found}")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A character that controls, reorders or hides.
    #[error("a reason may not have the character {0:?}")]
    Character(char),
    /// A space at the beginning or end.
    #[error("a reason may not begin or end with a space")]
    Space,
    /// No kind of reason known here, or not the id that it needs.
    #[error("not a reason: {0:?}")]
    Unknown(String),
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let unknown = || ReasonError::Unknown(text.chars().take(120).collect());
        let reason = match text.split_once(' ') {
            None if text == "untold" => Self::Untold,
            Some(("report", id)) => Self::Report(id.parse().map_err(|_| unknown())?),
            Some(("head", chain)) => Self::Head(chain.parse().map_err(|_| unknown())?),
            Some(("import", word)) => Self::Import(Word::new(word)?),
            Some(("user", word)) => Self::User(Word::new(word)?),
            _ => return Err(unknown()),
        };
        // Ids in capitals are read elsewhere; here every reason has one spelling.
        if reason.to_string() == text { Ok(reason) } else { Err(unknown()) }
    }
}

/// One reason to keep a root, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Why.
    pub reason: Reason,
    /// Since when; not known of pins made before reasons were noted.
    pub since: Option<Timestamp>,
}

impl Keep {
    /// A reason since a time that the caller knows.
    #[must_use]
    pub const fn since(reason: Reason, since: Timestamp) -> Self {
        Self { reason, since: Some(since) }
    }

    /// A reason from now on, by the clock of the machine.
    #[must_use]
    pub fn now(reason: Reason) -> Self {
        let secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self::since(reason, Timestamp::from_secs(secs))
    }
}

/// A root that is kept with all that lies below it, for one reason or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The root.
    pub root: Cid,
    /// Why, sorted by reason, each reason once; never empty.
    pub reasons: Vec<Keep>,
}

/// Bytes that are no pin file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// More bytes than any pin file has.
    #[error("a pin file has at most {limit} bytes, found {found}")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More reasons than one root may have.
    #[error("a root has at most {limit} reasons, found {found}")]
    TooMany {
        /// Reasons found.
        found: usize,
        /// Reasons allowed.
        limit: usize,
    },
    /// The first line is not the CID of the root.
    #[error("the first line is not a CID")]
    Root,
    /// A line that is not a time and a reason.
    #[error("line {line} is not a time and a reason")]
    Line {
        /// Which line, from 1.
        line: usize,
    },
    /// The same could be written otherwise: order, repetitions, spaces, a missing end of line.
    #[error("not written as pins are written")]
    NotCanonical,
}

impl Pin {
    /// A root kept for one reason.
    #[must_use]
    pub fn new(root: Cid, keep: Keep) -> Self {
        Self { root, reasons: vec![keep] }
    }

    /// Adds a reason; one that is there already keeps its time. Says whether anything changed.
    pub fn add(&mut self, keep: Keep) -> bool {
        match self.reasons.binary_search_by(|known| known.reason.cmp(&keep.reason)) {
            Ok(_) => false,
            Err(at) => {
                self.reasons.insert(at, keep);
                true
            }
        }
    }

    /// Takes one reason away and says whether it was there. The pin is no pin when none is left.
    pub fn take(&mut self, reason: &Reason) -> bool {
        let before = self.reasons.len();
        self.reasons.retain(|keep| keep.reason != *reason);
        self.reasons.len() < before
    }

    /// The content of the pin's file: the CID, then a line for each reason.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = format!("{}\n", self.root);
        for Keep { reason, since } in &self.reasons {
            match since {
                Some(since) => text.push_str(&format!("{since} {reason}\n")),
                None => text.push_str(&format!("- {reason}\n")),
            }
        }
        text
    }

    /// Reads a pin's file, and files from before reasons were noted, which hold the CID alone.
    ///
    /// # Errors
    /// When the bytes are no pin file.
    pub fn decode(bytes: &[u8]) -> Result<Self, PinError> {
        if bytes.len() > MAX_PIN_BYTES {
            return Err(PinError::TooLong { found: bytes.len(), limit: MAX_PIN_BYTES });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PinError::NotCanonical)?;
        let mut lines = text.split_terminator('\n');
        let root: Cid = lines.next().and_then(|line| line.parse().ok()).ok_or(PinError::Root)?;
        let mut reasons = Vec::new();
        for (at, line) in lines.enumerate() {
            let malformed = PinError::Line { line: at + 2 };
            let (since, reason) = line.split_once(' ').ok_or(malformed.clone())?;
            let since = match since {
                "-" => None,
                secs => Some(Timestamp::from_secs(secs.parse().map_err(|_| malformed.clone())?)),
            };
            reasons.push(Keep { reason: reason.parse().map_err(|_| malformed)?, since });
        }
        if reasons.len() > MAX_REASONS {
            return Err(PinError::TooMany { found: reasons.len(), limit: MAX_REASONS });
        }
        if reasons.is_empty() && text.trim_end_matches('\n') == root.to_string() {
            return Ok(Self::new(root, Keep { reason: Reason::Untold, since: None }));
        }
        let pin = Self { root, reasons };
        let sorted = pin.reasons.windows(2).all(|two| two[0].reason < two[1].reason);
        if sorted && !pin.reasons.is_empty() && pin.encode() == text {
            Ok(pin)
        } else {
            Err(PinError::NotCanonical)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medledger_core::cid::Codec;
    use proptest::prelude::*;

    fn root() -> Cid {
        Cid::of(Codec::DagCbor, b"root")
    }

    fn word(text: &str) -> Word {
        Word::new(text).unwrap()
    }

    fn full() -> Pin {
        let mut pin = Pin::new(root(), Keep { reason: Reason::Untold, since: None });
        let reasons = [
            Reason::User(word("zweite Meinung")),
            Reason::Report(ReportId::from_bytes([7; 16])),
            Reason::Head(ChainId::from_bytes([9; 32])),
            Reason::Import(word("reports.car")),
        ];
        for (at, reason) in reasons.into_iter().enumerate() {
            assert!(pin.add(Keep::since(reason, Timestamp::from_secs(at as u64))));
        }
        pin
    }

    #[test]
    fn a_pin_is_a_line_for_the_root_and_one_for_each_reason() {
        let expected = format!(
            "{}\n1 report {}\n2 head {}\n3 import reports.car\n0 user zweite Meinung\n- untold\n",
            root(),
            "07".repeat(16),
            "09".repeat(32)
        );
        assert_eq!(full().encode(), expected);
        assert_eq!(Pin::decode(expected.as_bytes()), Ok(full()));
    }

    #[test]
    fn pins_from_before_reasons_were_noted_are_read() {
        let old = Pin::new(root(), Keep { reason: Reason::Untold, since: None });
        for text in [format!("{}\n", root()), root().to_string()] {
            let pin = Pin::decode(text.as_bytes()).unwrap();
            assert_eq!(pin, old);
            assert_eq!(pin.encode(), format!("{}\n- untold\n", root()));
            assert_eq!(Pin::decode(pin.encode().as_bytes()), Ok(old.clone()));
        }
    }

    #[test]
    fn reasons_come_and_go_one_by_one() {
        let mut pin = full();
        let import = Reason::Import(word("reports.car"));
        assert!(!pin.add(Keep::since(import.clone(), Timestamp::from_secs(99))));
        assert_eq!(pin, full(), "a reason named again keeps its time");
        assert!(pin.take(&import) && !pin.take(&import));
        assert_eq!(pin.reasons.len(), 4);
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        let cid = root();
        let report = format!("1 report {}", "07".repeat(16));
        let shout = format!("1 report {}", "0A".repeat(16));
        let table: [(String, PinError); 13] = [
            (String::new(), PinError::Root),
            ("bafk\n".into(), PinError::Root),
            (format!(" {cid}\n"), PinError::Root),
            (format!("{cid}\n{report}"), PinError::NotCanonical),
            (format!("{cid}\n\n"), PinError::Line { line: 2 }),
            (format!("{cid}\n+{report}\n"), PinError::NotCanonical),
            (format!("{cid}\n0{report}\n"), PinError::NotCanonical),
            (format!("{cid}\n{report}\n{report}\n"), PinError::NotCanonical),
            (format!("{cid}\n1 untold\n{report}\n"), PinError::NotCanonical),
            (format!("{cid}\n{shout}\n"), PinError::Line { line: 2 }),
            (format!("{cid}\n{report}\n1 user \n"), PinError::Line { line: 3 }),
            (format!("{cid}\n1 user a\u{202e}b\n"), PinError::Line { line: 2 }),
            (format!("{cid}\n1 because\n"), PinError::Line { line: 2 }),
        ];
        for (text, error) in table {
            assert_eq!(Pin::decode(text.as_bytes()), Err(error), "{text:?}");
        }
        let long = vec![b'a'; MAX_PIN_BYTES + 1];
        assert!(matches!(Pin::decode(&long), Err(PinError::TooLong { .. })));
        let mut many = format!("{cid}\n");
        for i in 0..=MAX_REASONS {
            many.push_str(&format!("1 user {i:04}\n"));
        }
        let found = MAX_REASONS + 1;
        let error = PinError::TooMany { found, limit: MAX_REASONS };
        assert_eq!(Pin::decode(many.as_bytes()), Err(error));
    }

    #[test]
    fn words_are_bounded_and_show_as_they_are() {
        assert!(Word::new("x".repeat(MAX_WORD_BYTES)).is_ok());
        let long = Word::new("x".repeat(MAX_WORD_BYTES + 1));
        assert!(matches!(long, Err(ReasonError::Length { found: 101, limit: 100 })));
        assert!(matches!(Word::new(""), Err(ReasonError::Length { found: 0, .. })));
        assert_eq!(Word::new("a\nb"), Err(ReasonError::Character('\n')));
        assert_eq!(Word::new(" a"), Err(ReasonError::Space));
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Pin::decode(&bytes);
            let mut text = format!("{}\n1 user ", root()).into_bytes();
            text.extend(&bytes);
            text.push(b'\n');
            if let Ok(pin) = Pin::decode(&text) {
                prop_assert_eq!(pin.encode().into_bytes(), text);
            }
        }
    }
}
