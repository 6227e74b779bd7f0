//! What a report is called and how long it really is; sealed within its envelope.
//!
//! Plaintext: length of the structure (u32, big-endian) | structure (DAG-CBOR) | zeros up to a
//! multiple of 512. Longer than needed, not zero, or not a multiple: refused.

use crate::cbor::{self, DecodeError};
use crate::context::MetaContext;
use crate::dek::Dek;
use crate::registry::{FORMAT_VERSION, limit};
use crate::seal::{self, MAX_PLAIN_LEN, SealError, UnsealError};
use crate::text;
use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Sealed metadata grows in steps of this many bytes.
const STEP: usize = 512;
/// Bytes of the length in front.
const PREFIX: usize = 4;

/// Why metadata is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A text is longer than the registry allows.
    #[error("{field} has {found} bytes, but at most {limit} are allowed")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// Bytes found, in NFC.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A character that has no place in this text: one that controls or reorders it, or in a file
    /// name a hidden one or a path separator. See [`text`].
    #[error("{field} holds the character {found:?}, which is not allowed there")]
    Character {
        /// Which text.
        field: &'static str,
        /// The first such character.
        found: char,
    },
    /// Not a file's name but a folder's.
    #[error("{found:?} is not a file name")]
    FileName {
        /// The name found.
        found: String,
    },
    /// Not of the form `type/subtype`.
    #[error("{found:?} is not a media type")]
    MediaType {
        /// The text found.
        found: String,
    },
    /// A stored text is not in NFC, so it has a second spelling.
    #[error("{field} is not in normal form C")]
    NotNormal {
        /// Which text.
        field: &'static str,
    },
    /// Longer than anything that can be sealed.
    #[error("a report of {found} bytes cannot exist; the limit is {MAX_PLAIN_LEN}")]
    Length {
        /// Length found, in bytes.
        found: u64,
    },
    /// Written by a later program.
    #[error("metadata version {found}; this program knows {FORMAT_VERSION}")]
    UnknownVersion {
        /// Version found.
        found: u64,
    },
    /// The padding is not what is written.
    #[error("the padding of the metadata is wrong")]
    Padding,
    /// Not the canonical bytes of metadata.
    #[error("not metadata")]
    Malformed(#[from] DecodeError),
    /// The sealed bytes do not open.
    #[error("the metadata does not open")]
    Unseal(#[from] UnsealError),
}

/// File name, media type, true length and note of a report.
///
/// Texts are in Unicode normal form C and free of characters that control or reorder them; a file name is a name, never a
/// path. Empty means unknown.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata {
    file_name: String,
    media_type: String,
    length: u64,
    note: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u16,
    file_name: String,
    media_type: String,
    length: u64,
    note: String,
}

/// Only the version, so that an unknown one is refused by name whatever else is there.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

impl Metadata {
    /// Metadata without a note; texts are brought to normal form C.
    ///
    /// ```
    /// use medledger_core::envelope::Metadata;
    /// let metadata = Metadata::new("Ro\u{308}ntgen.pdf", "application/pdf", 1234)?;
    /// assert_eq!(metadata.file_name(), "R\u{f6}ntgen.pdf");
    /// assert!(Metadata::new("../report.pdf", "application/pdf", 1234).is_err());
    /// # Ok::<(), medledger_core::envelope::MetadataError>(())
    /// ```
    ///
    /// # Errors
    /// When a text is too long or holds what it may not, or the length cannot be.
    pub fn new(file_name: &str, media_type: &str, length: u64) -> Result<Self, MetadataError> {
        let nfc = |text: &str| text.nfc().collect();
        Self {
            file_name: nfc(file_name),
            media_type: media_type.to_owned(),
            length,
            note: String::new(),
        }
        .checked()
    }

    /// The same with a note; line breaks and tabs are allowed in it.
    ///
    /// # Errors
    /// When the note is too long or holds what [`text::is_refused_in_note`] refuses.
    pub fn with_note(self, note: &str) -> Result<Self, MetadataError> {
        Self { note: note.nfc().collect(), ..self }.checked()
    }

    /// The file's name, never a path; may be empty.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The media type, such as `application/pdf`; may be empty.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Length of the report in bytes, padding not counted.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// What the author adds in words; may be empty.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    fn to_padded(&self) -> Vec<u8> {
        let wire = cbor::encode(&Wire {
            v: FORMAT_VERSION,
            file_name: self.file_name.clone(),
            media_type: self.media_type.clone(),
            length: self.length,
            note: self.note.clone(),
        });
        let mut plain = vec![0; (PREFIX + wire.len()).next_multiple_of(STEP)];
        plain[..PREFIX].copy_from_slice(&(wire.len() as u32).to_be_bytes());
        plain[PREFIX..PREFIX + wire.len()].copy_from_slice(&wire);
        plain
    }

    fn from_padded(plain: &[u8]) -> Result<Self, MetadataError> {
        let (prefix, rest) = plain.split_first_chunk::<PREFIX>().ok_or(MetadataError::Padding)?;
        let len = u32::from_be_bytes(*prefix) as usize;
        let (wire, zeros) = rest.split_at_checked(len).ok_or(MetadataError::Padding)?;
        let shortest = (PREFIX + len).next_multiple_of(STEP);
        if plain.len() != shortest || zeros.iter().any(|b| *b != 0) {
            return Err(MetadataError::Padding);
        }
        cbor::check_shape(wire, limit::METADATA_BYTES)?;
        if let Ok(Version { v }) = serde_ipld_dagcbor::from_slice(wire)
            && v != u64::from(FORMAT_VERSION)
        {
            return Err(MetadataError::UnknownVersion { found: v });
        }
        let Wire { v: _, file_name, media_type, length, note } =
            cbor::decode(wire, limit::METADATA_BYTES)?;
        Self { file_name, media_type, length, note }.checked()
    }

    fn checked(self) -> Result<Self, MetadataError> {
        check_text("file name", &self.file_name, limit::FILE_NAME_BYTES, |c| {
            text::is_refused_in_name(c) || matches!(c, '/' | '\\')
        })?;
        if matches!(self.file_name.as_str(), "." | "..") {
            return Err(MetadataError::FileName { found: self.file_name });
        }
        check_text("media type", &self.media_type, limit::MEDIA_TYPE_BYTES, |c| {
            !(c.is_ascii_graphic() || c == ' ')
        })?;
        if !self.media_type.is_empty() && !is_media_type(&self.media_type) {
            return Err(MetadataError::MediaType { found: self.media_type });
        }
        check_text("note", &self.note, limit::NOTE_BYTES, text::is_refused_in_note)?;
        if self.length > MAX_PLAIN_LEN {
            return Err(MetadataError::Length { found: self.length });
        }
        Ok(self)
    }
}

/// Seals metadata under the DEK of its body, with a salt of its own.
///
/// # Errors
/// None in practice: metadata is far shorter than what can be sealed.
pub fn seal_meta(
    dek: &Dek,
    context: &MetaContext,
    metadata: &Metadata,
    rng: &mut dyn rand_core::CryptoRng,
) -> Result<Vec<u8>, SealError> {
    seal::seal(dek, &context.to_bytes(), &metadata.to_padded(), rng)
}

/// Opens sealed metadata.
///
/// # Errors
/// [`MetadataError::Unseal`] when it does not open; any other variant when the author wrote
/// something that is no metadata.
pub fn unseal_meta(
    dek: &Dek,
    context: &MetaContext,
    sealed: &[u8],
) -> Result<Metadata, MetadataError> {
    Metadata::from_padded(&seal::unseal(dek, &context.to_bytes(), sealed)?)
}

/// File name and note say something about a patient, so they stay out of logs.
impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metadata").field("length", &self.length).finish_non_exhaustive()
    }
}

fn check_text(
    field: &'static str,
    text: &str,
    limit: usize,
    forbidden: fn(char) -> bool,
) -> Result<(), MetadataError> {
    if text.len() > limit {
        return Err(MetadataError::TooLong { field, found: text.len(), limit });
    }
    if let Some(found) = text.chars().find(|c| forbidden(*c)) {
        return Err(MetadataError::Character { field, found });
    }
    if is_nfc(text) { Ok(()) } else { Err(MetadataError::NotNormal { field }) }
}

/// `type/subtype` of RFC 6838, then perhaps parameters, which are not looked into.
fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let name = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphanumeric())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    essence.split_once('/').is_some_and(|(kind, sub)| name(kind) && name(sub))
}

/// Whether padded metadata can have this length.
pub(crate) fn is_padded_len(len: usize) -> bool {
    let longest = (PREFIX + limit::METADATA_BYTES).next_multiple_of(STEP);
    len > 0 && len.is_multiple_of(STEP) && len <= longest
}

#[cfg(test)]
mod tests;
