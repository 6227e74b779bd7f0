//! Strict canonical DAG-CBOR (<https://ipld.io/specs/codecs/dag-cbor/spec/>).
//!
//! Reading is bounded in bytes and depth before anything is allocated, and a structure is accepted
//! only if writing it again gives the same bytes: one value, one encoding.

mod plain;

pub(crate) use plain::{Reader, Writer};

use crate::registry::limit;
use serde::{Serialize, de::DeserializeOwned};

/// Bytes that are not the canonical DAG-CBOR of the structure wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More bytes than the structure may have.
    #[error("{found} bytes, but at most {limit} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Nested deeper than any structure of this crate.
    #[error("nested deeper than {limit}")]
    TooDeep {
        /// Depth allowed.
        limit: usize,
    },
    /// Not well-formed within the subset DAG-CBOR allows.
    #[error("malformed DAG-CBOR at byte {at}")]
    Malformed {
        /// Offset of the first byte that does not fit.
        at: usize,
    },
    /// Well-formed, but not the structure wanted.
    #[error("not the structure expected: {0}")]
    Unexpected(String),
    /// The structure wanted, but not in its one canonical encoding.
    #[error("not canonical: writing the value again gives other bytes")]
    NotCanonical,
}

/// The canonical encoding of a value.
///
/// # Panics
/// Never for the types of this crate: they hold no floats, and memory is the only other reason.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).expect("domain types always encode")
}

/// Reads one value; every byte must belong to it.
///
/// # Errors
/// See [`DecodeError`]; the limits are checked first, then well-formedness, then meaning.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    max_bytes: usize,
) -> Result<T, DecodeError> {
    check_shape(bytes, max_bytes)?;
    let value: T = serde_ipld_dagcbor::from_slice(bytes).map_err(unexpected)?;
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// The decoder's error in words. What it quotes was written by others: escaped, so that it is one line anywhere.
pub(crate) fn unexpected<E>(error: serde_ipld_dagcbor::DecodeError<E>) -> DecodeError {
    use serde_ipld_dagcbor::DecodeError as Cbor;
    let text = match error {
        Cbor::Msg(text) => words(&text),
        Cbor::Mismatch { name, .. } | Cbor::Unsupported { name, .. } => {
            format!("it has something else where {name} belongs")
        }
        Cbor::Eof { name, .. } => format!("it ends within {name}"),
        Cbor::TrailingData => "something follows it".into(),
        Cbor::UnorderedKey => "its fields are out of order".into(),
        Cbor::LengthMismatch { expect, value, .. } => {
            format!("it has {value} parts where {expect} belong")
        }
        _ => "it has something that none of these can have".into(),
    };
    DecodeError::Unexpected(text)
}

/// What serde says, without its spelling.
fn words(text: &str) -> String {
    let text: String = text.escape_debug().take(200).collect();
    let text = text.replace("\\'", "'");
    let name = |rest: &str| rest.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(rest) = text.strip_prefix("unknown field ") {
        format!("it has the field `{}`, which does not belong to it", name(rest))
    } else if let Some(rest) = text.strip_prefix("missing field ") {
        format!("it lacks the field `{}`", name(rest))
    } else if let Some(rest) = text.strip_prefix("unknown variant ") {
        format!("it says `{}`, which is not known there", name(rest))
    } else if let Some((found, wanted)) = text.split_once(", expected ") {
        let found = ["invalid type: ", "invalid value: "]
            .iter()
            .find_map(|before| found.strip_prefix(before))
            .map_or_else(|| found.replace("invalid length", "a length of"), str::to_owned);
        format!("it has {found} where {wanted} belongs")
    } else {
        text
    }
}

/// The `v` of a map that is well-formed but of another version of the format than ours, so that it can
/// be refused by name whatever else is in it; `None` when it is ours or cannot be told.
///
/// # Errors
/// When the bytes are too many, too deep or malformed.
pub(crate) fn check_version(bytes: &[u8], max_bytes: usize) -> Result<Option<u16>, DecodeError> {
    #[derive(serde::Deserialize)]
    struct Version {
        v: u16,
    }
    check_shape(bytes, max_bytes)?;
    let version: Option<Version> = serde_ipld_dagcbor::from_slice(bytes).ok();
    Ok(version.map(|version| version.v).filter(|v| *v != crate::registry::FORMAT_VERSION))
}

/// Walks the heads of one item without allocating, so that hostile lengths and nesting stop here.
pub(crate) fn check_shape(bytes: &[u8], max_bytes: usize) -> Result<(), DecodeError> {
    if bytes.len() > max_bytes {
        return Err(DecodeError::TooLong { found: bytes.len(), limit: max_bytes });
    }
    let at = item_length(bytes)?;
    if at == bytes.len() { Ok(()) } else { Err(DecodeError::Malformed { at }) }
}

/// Bytes of the one item that `bytes` begin with.
fn item_length(bytes: &[u8]) -> Result<usize, DecodeError> {
    // Items still expected at each open level; the stack never grows beyond the depth limit.
    let mut open = [0u64; limit::CBOR_DEPTH + 1];
    let mut depth = 0;
    open[0] = 1;
    let mut at = 0;
    loop {
        while open[depth] == 0 {
            if depth == 0 {
                return Ok(at);
            }
            depth -= 1;
        }
        open[depth] -= 1;
        let (major, argument, head) = read_head(bytes, at)?;
        let children = match major {
            0 | 1 | 7 => 0,
            2 | 3 => {
                let end = usize::try_from(argument).ok().and_then(|n| (at + head).checked_add(n));
                match end {
                    Some(end) if end <= bytes.len() => at = end - head,
                    _ => return Err(DecodeError::Malformed { at }),
                }
                0
            }
            4 => argument,
            5 => argument.checked_mul(2).ok_or(DecodeError::Malformed { at })?,
            6 if argument == 42 => 1,
            _ => return Err(DecodeError::Malformed { at }),
        };
        at += head;
        // Every child takes a byte at least, so a count beyond the rest is a lie.
        if children > (bytes.len() - at) as u64 {
            return Err(DecodeError::Malformed { at });
        }
        if children > 0 {
            depth += 1;
            if depth > limit::CBOR_DEPTH {
                return Err(DecodeError::TooDeep { limit: limit::CBOR_DEPTH });
            }
            open[depth] = children;
        }
    }
}

/// Major type, argument and length of the head at `at`; only shortest forms are let through.
fn read_head(bytes: &[u8], at: usize) -> Result<(u8, u64, usize), DecodeError> {
    let malformed = || DecodeError::Malformed { at };
    let first = *bytes.get(at).ok_or_else(malformed)?;
    let (major, info) = (first >> 5, first & 31);
    if major == 7 {
        // false, true and null; floats have no place in a ledger.
        return if (20..=22).contains(&info) { Ok((7, 0, 1)) } else { Err(malformed()) };
    }
    let width = match info {
        0..=23 => return Ok((major, u64::from(info), 1)),
        24..=27 => 1usize << (info - 24),
        _ => return Err(malformed()),
    };
    let tail = bytes.get(at + 1..at + 1 + width).ok_or_else(malformed)?;
    let argument = tail.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let smallest = match width {
        1 => 24,
        2 => 1 << 8,
        4 => 1 << 16,
        _ => 1 << 32,
    };
    if argument < smallest { Err(malformed()) } else { Ok((major, argument, 1 + width)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        v: u16,
        name: String,
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
        list: Vec<u64>,
        maybe: Option<i64>,
    }

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn map_keys_are_written_shortest_first() {
        let sample =
            Sample { v: 1, name: "a".into(), data: vec![0xff], list: vec![24], maybe: None };
        let bytes = encode(&sample);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&bytes),
            "a5617601646461746141ff646c6973748118186 46e616d656161656d61796265f6".replace(' ', "")
        );
        assert_eq!(decode::<Sample>(&bytes, 100), Ok(sample));
    }

    #[test]
    fn everything_that_is_not_canonical_is_refused() {
        fn malformed<T>(at: usize) -> Result<T, DecodeError> {
            Err(DecodeError::Malformed { at })
        }
        // Integer not in shortest form; indefinite list; float; undefined; tag other than 42.
        assert_eq!(decode::<u64>(&hex("1817"), 9), malformed(0));
        assert_eq!(decode::<u64>(&hex("1900ff"), 9), malformed(0));
        assert_eq!(decode::<Vec<u64>>(&hex("9f01ff"), 9), malformed(0));
        assert_eq!(check_shape(&hex("fb3ff8000000000000"), 9), malformed(0));
        assert_eq!(check_shape(&hex("f7"), 9), malformed(0));
        assert_eq!(check_shape(&hex("c101"), 9), malformed(0));
        // Bytes after the value; a length beyond the end; a count beyond the end.
        assert_eq!(decode::<u64>(&hex("0101"), 9), malformed(1));
        assert_eq!(check_shape(&hex("5affffffff00"), 9), malformed(0));
        assert_eq!(check_shape(&hex("9bffffffffffffffff"), 9), malformed(9));
        assert_eq!(check_shape(&hex("bbffffffffffffffff"), 9), malformed(0));
        assert_eq!(check_shape(&[], 9), malformed(0));
        // Keys out of order, and twice the same.
        type Map = std::collections::BTreeMap<String, u64>;
        assert!(decode::<Map>(&hex("a2616101616202"), 99).is_ok());
        assert!(decode::<Map>(&hex("a2616201616102"), 99).is_err());
        assert!(decode::<Map>(&hex("a2616101616102"), 99).is_err());
    }

    #[test]
    fn size_and_depth_are_bounded_before_decoding() {
        assert_eq!(decode::<u64>(&[0; 10], 9), Err(DecodeError::TooLong { found: 10, limit: 9 }));
        let deep = vec![0x81; 100_000];
        assert_eq!(check_shape(&deep, 1 << 20), Err(DecodeError::TooDeep { limit: 16 }));
        let mut fits = vec![0x81; 16];
        fits.push(0);
        assert_eq!(check_shape(&fits, 99), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_told_in_words() {
        #[derive(Debug, Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wanted {
            v: u16,
            kind: crate::registry::Role,
        }
        let map = |fields: &[(&str, &[u8])]| {
            let mut bytes = vec![0xa0 + u8::try_from(fields.len()).unwrap()];
            for (name, value) in fields {
                bytes.push(0x60 + u8::try_from(name.len()).unwrap());
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(value);
            }
            bytes
        };
        let says = |bytes: &[u8]| decode::<Wanted>(bytes, 100).unwrap_err().to_string();
        let cases: [(Vec<u8>, &str); 6] = [
            (map(&[("v", &[1])]), "it lacks the field `kind`"),
            (map(&[("v", &[1]), ("x", &[1])]), "it has the field `x`, which does not belong to it"),
            // What others wrote does not reach a terminal as it is.
            (map(&[("a\u{1b}", &[1])]), "it has the field `a\\u{1b}`, which does not belong to it"),
            (map(&[("v", &[1]), ("v", &[1])]), "its fields are out of order"),
            (map(&[("v", b"\x61x")]), "it has something else where u16 belongs"),
            (map(&[("kind", b"\x61x")]), "it says `x`, which is not known there"),
        ];
        for (bytes, wanted) in cases {
            let found = says(&bytes);
            assert!(found.contains(wanted), "{found}");
            assert!(!found.contains("Msg(") && !found.contains("Mismatch"), "{found}");
        }
        assert_eq!(
            words("invalid length 3, expected 16 bytes"),
            "it has a length of 3 where 16 bytes belongs"
        );
    }

    proptest! {
        #[test]
        fn what_is_accepted_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = decode::<Vec<u64>>(&bytes, 64) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }

        #[test]
        fn one_flipped_bit_never_gives_the_same_value(
            name in ".{0,20}", data in proptest::collection::vec(any::<u8>(), 0..40),
            list in proptest::collection::vec(any::<u64>(), 0..10), maybe in any::<Option<i64>>(),
            bit in any::<proptest::sample::Index>(),
        ) {
            let sample = Sample { v: 1, name, data, list, maybe };
            let mut bytes = encode(&sample);
            let back = decode::<Sample>(&bytes, 4096);
            prop_assert_eq!(back.as_ref(), Ok(&sample));
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(decode::<Sample>(&bytes, 4096), Ok(sample));
        }
    }
}
