//! C2SP signed notes: a text, and lines that sign it.

use super::key::{NoteKey, SignatureKind, cut, is_name};
use crate::clock::Timestamp;
use crate::registry::limit::{CHECKPOINT_BYTES, CHECKPOINT_SIGNATURES};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_zebra::{Signature, VerificationKey};
use std::fmt;

/// One signature line of a note, by a key known here or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: u32,
    signature: Vec<u8>,
}

impl NoteSignature {
    /// The name it claims to be by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id it claims to be by.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    fn is_by(&self, key: &NoteKey) -> bool {
        self.key_id == key.id() && self.name == key.name()
    }
}

/// Bytes that are no signed note, or a note that cannot be signed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More bytes than a note may have.
    #[error("a note of {found} bytes, but at most {limit} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More signatures than a note may have.
    #[error("more than {limit} signatures on one note")]
    TooManySignatures {
        /// Signatures allowed.
        limit: usize,
    },
    /// Not UTF-8, or control characters other than newline.
    #[error("a note holds a character that is not allowed, at byte {at}")]
    Character {
        /// Offset of the first such byte.
        at: usize,
    },
    /// The text is empty or does not end in a newline.
    #[error("the text of a note must end in a newline")]
    Text,
    /// No empty line, or no signature after it.
    #[error("a note ends in an empty line and signatures; there are none")]
    Unsigned,
    /// A line after the text that is no signature.
    #[error("not a signature line: {found:?}")]
    SignatureLine {
        /// The line found, cut to 200 characters.
        found: String,
    },
    /// The key makes signatures of the other kind.
    #[error("the key of {name:?} makes signatures of another kind")]
    OtherKind {
        /// Name of the key.
        name: String,
    },
}

/// A note whose signatures prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A signature that claims a known key does not verify; the whole note is refused.
    #[error("the signature by {name:?} is wrong")]
    WrongSignature {
        /// Name of the key.
        name: String,
    },
    /// None of the keys has signed.
    #[error("no signature by a known key")]
    NoKnownSignature,
}

/// A signature that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which of the keys given, from 0.
    pub key: usize,
    /// When it was made, as the signer says; only cosignatures tell.
    pub time: Option<Timestamp>,
}

/// A text and the signatures on it, of any number and by anyone.
///
/// Reading bounds the bytes and the signatures; reading and writing again gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// A note of this text, not yet signed.
    ///
    /// # Errors
    /// [`NoteError::Text`], [`NoteError::Character`] and [`NoteError::TooLong`].
    pub fn new(text: impl Into<String>) -> Result<Self, NoteError> {
        let text = text.into();
        check_bytes(text.as_bytes())?;
        if !text.ends_with('\n') {
            return Err(NoteError::Text);
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a note with at least one signature.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = check_bytes(bytes)?;
        let (text, lines) = note
            .rfind("\n\n")
            .map(|at| (&note[..=at], &note[at + 2..]))
            .ok_or(NoteError::Unsigned)?;
        if lines.is_empty() {
            return Err(NoteError::Unsigned);
        }
        let mut signatures = Vec::new();
        for line in lines.split_inclusive('\n') {
            if signatures.len() == CHECKPOINT_SIGNATURES {
                return Err(NoteError::TooManySignatures { limit: CHECKPOINT_SIGNATURES });
            }
            let signature = parse_line(line)
                .ok_or_else(|| NoteError::SignatureLine { found: cut(line, 200) })?;
            signatures.push(signature);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text that is signed, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, verified or not.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature over the text. `sign` gets the bytes to sign, as they stand.
    ///
    /// # Errors
    /// [`NoteError::OtherKind`] for a cosigner's key; [`NoteError::TooManySignatures`] and
    /// [`NoteError::TooLong`] when the note is full.
    pub fn sign(
        &mut self,
        key: &NoteKey,
        sign: &mut dyn FnMut(&[u8]) -> [u8; 64],
    ) -> Result<(), NoteError> {
        self.add(key, SignatureKind::Ed25519, |note| sign(note.text.as_bytes()).to_vec())
    }

    /// Adds a cosignature with its time. `sign` gets the bytes to sign, as they stand.
    ///
    /// # Errors
    /// [`NoteError::OtherKind`] for a key that is no cosigner's; [`NoteError::TooManySignatures`]
    /// and [`NoteError::TooLong`] when the note is full.
    pub fn cosign(
        &mut self,
        key: &NoteKey,
        time: Timestamp,
        sign: &mut dyn FnMut(&[u8]) -> [u8; 64],
    ) -> Result<(), NoteError> {
        let seconds = time.as_secs().min(MAX_TIME);
        self.add(key, SignatureKind::CosignatureV1, |note| {
            let signature = sign(&cosigned(&note.text, seconds));
            [seconds.to_be_bytes().as_slice(), &signature].concat()
        })
    }

    fn add(
        &mut self,
        key: &NoteKey,
        kind: SignatureKind,
        signature: impl FnOnce(&Self) -> Vec<u8>,
    ) -> Result<(), NoteError> {
        if key.kind() != kind {
            return Err(NoteError::OtherKind { name: key.name().to_owned() });
        }
        if self.signatures.len() >= CHECKPOINT_SIGNATURES {
            return Err(NoteError::TooManySignatures { limit: CHECKPOINT_SIGNATURES });
        }
        let signature = signature(self);
        self.signatures.push(NoteSignature {
            name: key.name().to_owned(),
            key_id: key.id(),
            signature,
        });
        let found = self.to_string().len();
        if found > CHECKPOINT_BYTES {
            self.signatures.pop();
            return Err(NoteError::TooLong { found, limit: CHECKPOINT_BYTES });
        }
        Ok(())
    }

    /// Takes over the signatures of `other` that are not yet here, if it is of the same text;
    /// otherwise does nothing and says so by `false`.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`] and [`NoteError::TooLong`]; then nothing is taken over.
    pub fn merge(&mut self, other: &Self) -> Result<bool, NoteError> {
        if self.text != other.text {
            return Ok(false);
        }
        let mut merged = self.clone();
        for signature in &other.signatures {
            if !merged.signatures.contains(signature) {
                merged.signatures.push(signature.clone());
            }
        }
        if merged.signatures.len() > CHECKPOINT_SIGNATURES {
            return Err(NoteError::TooManySignatures { limit: CHECKPOINT_SIGNATURES });
        }
        let found = merged.to_string().len();
        if found > CHECKPOINT_BYTES {
            return Err(NoteError::TooLong { found, limit: CHECKPOINT_BYTES });
        }
        *self = merged;
        Ok(true)
    }

    /// Checks every signature that claims one of `keys`, and gives the first by each key, in the
    /// order of `keys`. Signatures by unknown keys are ignored.
    ///
    /// # Errors
    /// [`VerifyError`]: one wrong signature by a known key refuses the whole note, as does the
    /// absence of any by a known key.
    pub fn verify(&self, keys: &[NoteKey]) -> Result<Vec<Verified>, VerifyError> {
        let mut verified = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let mut first = None;
            for signature in self.signatures.iter().filter(|signature| signature.is_by(key)) {
                let time = self
                    .check(key, &signature.signature)
                    .ok_or_else(|| VerifyError::WrongSignature { name: key.name().to_owned() })?;
                first = first.or(Some(Verified { key: index, time }));
            }
            verified.extend(first);
        }
        if verified.is_empty() { Err(VerifyError::NoKnownSignature) } else { Ok(verified) }
    }

    /// The same note with the first signature that verifies under each of `keys`, and no other.
    #[must_use]
    pub fn verified_only(&self, keys: &[NoteKey]) -> Self {
        let first = |key: &NoteKey| {
            let mut own = self.signatures.iter().filter(|signature| signature.is_by(key));
            own.find(|signature| self.check(key, &signature.signature).is_some()).cloned()
        };
        Self { text: self.text.clone(), signatures: keys.iter().filter_map(first).collect() }
    }

    /// The time of the signature, if it verifies.
    fn check(&self, key: &NoteKey, signature: &[u8]) -> Option<Option<Timestamp>> {
        let (time, signature, message) = match key.kind() {
            SignatureKind::Ed25519 => (None, signature, self.text.as_bytes().to_vec()),
            SignatureKind::CosignatureV1 => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                let message = (time <= MAX_TIME).then(|| cosigned(&self.text, time))?;
                (Some(Timestamp::from_secs(time)), signature, message)
            }
        };
        let signature = Signature::from_bytes(signature.try_into().ok()?);
        let key = VerificationKey::try_from(*key.public_key()).ok()?;
        key.verify(&signature, &message).ok()?;
        Some(time)
    }
}

/// The latest time a cosignature may bear (tlog-cosignature, "Format").
const MAX_TIME: u64 = i64::MAX as u64;

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for line in &self.signatures {
            let blob = [line.key_id.to_be_bytes().as_slice(), &line.signature].concat();
            writeln!(f, "\u{2014} {} {}", line.name, STANDARD.encode(blob))?;
        }
        Ok(())
    }
}

/// The bytes a cosigner signs (tlog-cosignature, "Ed25519 signed message").
fn cosigned(text: &str, seconds: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

fn parse_line(line: &str) -> Option<NoteSignature> {
    let line = line.strip_prefix("\u{2014} ")?.strip_suffix('\n')?;
    let (name, blob) = line.split_once(' ')?;
    let blob = STANDARD.decode(blob).ok()?;
    let (key_id, signature) = blob.split_first_chunk::<4>()?;
    (is_name(name) && !signature.is_empty()).then(|| NoteSignature {
        name: name.to_owned(),
        key_id: u32::from_be_bytes(*key_id),
        signature: signature.to_vec(),
    })
}

fn check_bytes(bytes: &[u8]) -> Result<&str, NoteError> {
    if bytes.len() > CHECKPOINT_BYTES {
        return Err(NoteError::TooLong { found: bytes.len(), limit: CHECKPOINT_BYTES });
    }
    let text =
        std::str::from_utf8(bytes).map_err(|e| NoteError::Character { at: e.valid_up_to() })?;
    match text.bytes().position(|b| b < 0x20 && b != b'\n') {
        Some(at) => Err(NoteError::Character { at }),
        None => Ok(text),
    }
}
