//! The wrapper of a CARv2: where in the stream the CARv1 lies.

use super::{CarError, source::Source};
use std::io::Read;

/// The first bytes of a CARv2: a CARv1 header that says version 2 and nothing else.
pub(super) const PRAGMA: [u8; 11] = *b"\x0a\xa1\x67version\x02";

/// Bytes of pragma and fixed header.
const FIXED: u64 = 11 + 40;

/// The most padding between the fixed header and the data.
pub const MAX_PADDING_BYTES: u64 = 1024 * 1024;

/// The one characteristic there is: the index covers every section. It is ignored with the index.
const FULLY_INDEXED: u8 = 0x80;

/// What follows the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrapper {
    /// Offset of the first byte after the data.
    pub(super) end: u64,
    /// Whether something may follow: the index.
    pub(super) indexed: bool,
}

/// Reads the fixed header, the pragma being behind, and goes to the first byte of the data.
pub(super) fn enter<R: Read>(source: &mut Source<R>) -> Result<Wrapper, CarError> {
    let wrong = |reason| Err(CarError::V2 { reason });
    let characteristics: [u8; 16] = source.array()?;
    let mut number = || source.array().map(u64::from_le_bytes);
    let (offset, size, index) = (number()?, number()?, number()?);
    if characteristics[0] & !FULLY_INDEXED != 0 || characteristics[1..] != [0; 15] {
        return wrong("an unknown characteristic is set");
    }
    if offset < FIXED {
        return wrong("the data begins within the header");
    }
    if offset - FIXED > MAX_PADDING_BYTES {
        return wrong("there is too much padding before the data");
    }
    if size == 0 {
        return wrong("there is no data");
    }
    let Some(end) = offset.checked_add(size) else {
        return wrong("the data ends beyond what can be counted");
    };
    if index != 0 && index < end {
        return wrong("the index begins within the data");
    }
    source.skip_to(offset)?;
    source.set_end(Some(end));
    Ok(Wrapper { end, indexed: index != 0 })
}
