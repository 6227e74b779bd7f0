//! The keys that note signatures are checked with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// What a key signs, by its byte in the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SignatureKind {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: Ed25519 over the note's text and a time, `cosignature/v1`.
    CosignatureV1,
}

impl SignatureKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }
}

/// A key that note signatures are checked with, under the name it signs by.
///
/// As text it is the specification's *vkey*: name, key id and key, joined by plus signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    kind: SignatureKind,
    public: [u8; 32],
    id: u32,
}

/// Not the key of a note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteKeyError {
    /// The name is empty or holds a space, a plus sign or a control character.
    #[error(
        "a key name holds no spaces, plus signs or control characters and is not empty: {found:?}"
    )]
    Name {
        /// The name found, cut to 80 characters.
        found: String,
    },
    /// Not name, key id and key.
    #[error("not a verifier key: {found:?}")]
    Malformed {
        /// The text found, cut to 200 characters.
        found: String,
    },
    /// A kind of key this crate does not know.
    #[error("signature type {found:#04x} is not known here")]
    UnknownKind {
        /// The type byte found.
        found: u8,
    },
    /// The key id is not that of name and key.
    #[error("the key id is {found:08x}, but that of name and key is {expected:08x}")]
    WrongId {
        /// The id found.
        found: u32,
        /// The id of name and key.
        expected: u32,
    },
}

impl NoteKey {
    /// A key that signs the text of notes itself.
    ///
    /// # Errors
    /// [`NoteKeyError::Name`].
    pub fn ed25519(name: impl Into<String>, public: [u8; 32]) -> Result<Self, NoteKeyError> {
        Self::new(name.into(), SignatureKind::Ed25519, public)
    }

    /// A key that cosigns checkpoints with a time.
    ///
    /// # Errors
    /// [`NoteKeyError::Name`].
    pub fn cosigner(name: impl Into<String>, public: [u8; 32]) -> Result<Self, NoteKeyError> {
        Self::new(name.into(), SignatureKind::CosignatureV1, public)
    }

    fn new(name: String, kind: SignatureKind, public: [u8; 32]) -> Result<Self, NoteKeyError> {
        if !is_name(&name) {
            return Err(NoteKeyError::Name { found: cut(&name, 80) });
        }
        let hash = crate::ids::sha256(&[name.as_bytes(), b"\n", &[kind.byte()], &public]);
        let id = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        Ok(Self { name, kind, public, id })
    }

    /// The name it signs by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// The Ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    /// The key id: first four bytes of SHA-256(name | newline | kind | key).
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()], self.public.as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

impl FromStr for NoteKey {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || NoteKeyError::Malformed { found: cut(text, 200) };
        // The base64 of the key may hold plus signs, so only the first two part the text.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        if id.len() != 8 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        let found = u32::from_str_radix(id, 16).map_err(|_| malformed())?;
        let key = STANDARD.decode(key).map_err(|_| malformed())?;
        let (kind, public) = key.split_first().ok_or_else(malformed)?;
        let kind = match kind {
            0x01 => SignatureKind::Ed25519,
            0x04 => SignatureKind::CosignatureV1,
            _ => return Err(NoteKeyError::UnknownKind { found: *kind }),
        };
        let key = Self::new(name.to_owned(), kind, public.try_into().map_err(|_| malformed())?)?;
        if key.id != found {
            return Err(NoteKeyError::WrongId { found, expected: key.id });
        }
        Ok(key)
    }
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(|c: char| c.is_whitespace() || c.is_ascii_control() || c == '+')
}

pub(super) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
