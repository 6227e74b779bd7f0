//! Keys of the state, kept within the nodes of the trees that order them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

/// Bytes that need no memory of their own: nearly every key has 33 or fewer.
const SHORT: usize = 38;

/// A key. Looking one up compares a dozen of them, and each that lies elsewhere is a wait for the memory.
#[derive(Clone)]
pub(crate) enum SmallKey {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl SmallKey {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for SmallKey {
    fn from(key: &[u8]) -> Self {
        match u8::try_from(key.len()) {
            Ok(length) if key.len() <= SHORT => {
                let mut bytes = [0; SHORT];
                bytes[..key.len()].copy_from_slice(key);
                Self::Short(length, bytes)
            }
            _ => Self::Long(key.into()),
        }
    }
}

impl Borrow<[u8]> for SmallKey {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Ord for SmallKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for SmallKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SmallKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for SmallKey {}

impl fmt::Debug for SmallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_hold_and_order_their_bytes(
            a in proptest::collection::vec(0u8..3, 0..80), b in proptest::collection::vec(0u8..3, 0..80),
        ) {
            let (key, other) = (SmallKey::from(a.as_slice()), SmallKey::from(b.as_slice()));
            prop_assert_eq!(key.as_bytes(), a.as_slice());
            prop_assert_eq!(key.cmp(&other), a.cmp(&b));
            prop_assert_eq!(key == other, a == b);
        }
    }
}
