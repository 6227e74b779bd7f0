//! What back ends are called here, and what pins are called there.

use crate::store::{ReasonError, Word};
use std::fmt;
use std::str::FromStr;

/// The longest name of a back end in bytes.
const MAX_NAME_BYTES: usize = 64;

/// How a back end is called: 1 to 64 small letters, digits, `-`, `_` and `.`.
///
/// ```
/// use medledger_ipfs::replication::BackendName;
/// assert!("own-cluster".parse::<BackendName>().is_ok());
/// assert!("Own cluster".parse::<BackendName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendName(String);

/// Not the name of a back end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a back end is called by 1 to 64 small letters, digits, '-', '_' and '.', not {0:?}")]
pub struct NameError(String);

impl BackendName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackendName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.chars().take(MAX_NAME_BYTES).collect()))
        }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What pins are called at a back end. Whoever runs it reads it: nothing about a patient or a report belongs
/// here. It also tells the pins of this program from those of others under the same account, which are left alone;
/// two ledgers that share an account need a label each.
///
/// ```
/// use medledger_ipfs::replication::Label;
/// assert_eq!(Label::default().as_str(), "medledger");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(Word);

impl Label {
    /// Takes a word of the caller's.
    ///
    /// # Errors
    /// As [`Word::new`].
    pub fn new(text: impl Into<String>) -> Result<Self, ReasonError> {
        Word::new(text).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for Label {
    /// `medledger`, the same for all.
    fn default() -> Self {
        Self(Word::new("medledger").expect("a word"))
    }
}
