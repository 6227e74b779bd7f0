//! Keys and values of the state, kept within the tables and trees that hold them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// Bytes, of which up to `N` need no memory of their own.
#[derive(Clone)]
pub(crate) enum Small<const N: usize> {
    Short(u8, [u8; N]),
    Long(Box<[u8]>),
}

impl<const N: usize> Small<N> {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }

    fn join(parts: &[&[u8]]) -> Self {
        let mut bytes = [0; N];
        let mut length = 0;
        for part in parts {
            let Some(room) = bytes.get_mut(length..length + part.len()) else {
                return Self::Long(parts.concat().into());
            };
            room.copy_from_slice(part);
            length += part.len();
        }
        Self::Short(length as u8, bytes)
    }
}

impl<const N: usize> Deref for Small<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<const N: usize> From<Vec<u8>> for Small<N> {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() > N { Self::Long(bytes.into()) } else { Self::join(&[&bytes]) }
    }
}

impl<const N: usize> PartialEq for Small<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Small<N> {}

impl<const N: usize> fmt::Debug for Small<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(self.as_bytes()))
    }
}

/// The value of an entry of the state. Of the three that most records set, two are of a few bytes.
pub(crate) type StateValue = Small<22>;

/// The key of an entry of the state: bytes. Nearly every key has 33 or fewer.
// Looking one up compares several of them, and each that lies elsewhere is a wait for the memory.
#[derive(Clone, PartialEq, Eq)]
pub struct StateKey(Small<38>);

impl StateKey {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The key that consists of these parts.
    pub(crate) fn join(parts: &[&[u8]]) -> Self {
        Self(Small::join(parts))
    }
}

impl Deref for StateKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<&[u8]> for StateKey {
    fn from(key: &[u8]) -> Self {
        Self::join(&[key])
    }
}

impl Borrow<[u8]> for StateKey {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Ord for StateKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for StateKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq<StateKey> for Vec<u8> {
    fn eq(&self, other: &StateKey) -> bool {
        self.as_slice() == other.as_bytes()
    }
}

impl Hash for StateKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the bytes it is looked up by.
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
            let (key, other) = (StateKey::from(a.as_slice()), StateKey::from(b.as_slice()));
            prop_assert_eq!(key.as_bytes(), a.as_slice());
            let joined = StateKey::join(&[&a, &b]);
            prop_assert_eq!(joined.as_bytes(), [&a[..], &b].concat());
            prop_assert_eq!(key.cmp(&other), a.cmp(&b));
            prop_assert_eq!(key == other, a == b);
            let value = StateValue::from(a.clone());
            prop_assert_eq!(&*value, a.as_slice());
            prop_assert_eq!(value == StateValue::from(b.clone()), a == b);
        }
    }
}
