//! Whose pins are whose, among those who share a node.

use std::fmt;
use std::str::FromStr;

/// Who keeps something in a node, so that several may share one: whoever lets go lets go of their own pins alone.
/// Eight bytes drawn by chance do; as text they are lower-case hex.
///
/// ```
/// use medledger_ipfs::pin_list::Owner;
/// let owner = Owner::from_bytes([0x5a; 8]);
/// assert_eq!(owner.to_string().parse(), Ok(owner));
/// assert!("5A5A5A5A5A5A5A5A".parse::<Owner>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner([u8; 8]);

/// A text that names no owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner has 16 lower-case hexadecimal digits, found {0:?}")]
pub struct OwnerError(String);

impl Owner {
    /// The owner with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, OwnerError> {
        let error = || OwnerError(text.chars().take(80).collect());
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| error())?;
        bytes.try_into().map(Self).map_err(|_| error())
    }
}
