//! dag-pb, the protobuf of IPFS trees (<https://ipld.io/specs/codecs/dag-pb/spec/>), and the protobuf
//! primitives that it shares with UnixFS.
//!
//! Reading is strict: fields in the one order that IPFS writes (links before data), shortest
//! varints, nothing unknown. A node is accepted only if writing it again gives the same bytes.

use medledger_core::Cid;

/// The most links a node may have, about what fits a block.
pub const MAX_LINKS: usize = 32 * 1024;

/// Bytes that are no canonical dag-pb node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PbError {
    /// Ends within a field, or a varint is too long.
    #[error("malformed protobuf at byte {at}")]
    Malformed {
        /// Offset of the field that does not fit.
        at: usize,
    },
    /// A field that the message does not have, or that stands where it may not.
    #[error("unexpected protobuf field {tag:#x} at byte {at}")]
    UnexpectedField {
        /// Field number and wire type as they stand in the bytes.
        tag: u64,
        /// Its offset.
        at: usize,
    },
    /// A link without a usable CID or name.
    #[error("link {index} is not usable: {reason}")]
    Link {
        /// Which link, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// More links than a node may have.
    #[error("more than {limit} links")]
    TooManyLinks {
        /// Links allowed.
        limit: usize,
    },
    /// Well-formed, but not in the one canonical encoding.
    #[error("not canonical: writing the node again gives other bytes")]
    NotCanonical,
}

/// A link of a dag-pb node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PbLink<'a> {
    /// The block linked.
    pub cid: Cid,
    /// Its name; empty in files.
    pub name: &'a str,
    /// What the writer says all blocks below hold together, in bytes.
    pub tsize: u64,
}

/// A dag-pb node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PbNode<'a> {
    /// The links, in order.
    pub links: Vec<PbLink<'a>>,
    /// The data field; a UnixFS message in files and folders.
    pub data: Option<&'a [u8]>,
}

impl<'a> PbNode<'a> {
    /// The encoding of the node.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(self.links.len() * 56 + self.data.map_or(0, <[u8]>::len) + 8);
        for link in &self.links {
            put_link(&mut out, &link.cid, link.name, link.tsize);
        }
        if let Some(data) = self.data {
            put_bytes(&mut out, 1, data);
        }
        out
    }

    /// Reads a node; every byte must belong to it.
    ///
    /// # Errors
    /// See [`PbError`].
    pub fn decode(block: &'a [u8]) -> Result<Self, PbError> {
        let mut fields = Fields::new(block);
        let mut node = Self::default();
        while let Some(field) = fields.next()? {
            match field {
                Field { tag: 0x12, value: Value::Bytes(bytes), .. } if node.data.is_none() => {
                    if node.links.len() == MAX_LINKS {
                        return Err(PbError::TooManyLinks { limit: MAX_LINKS });
                    }
                    let link = decode_link(bytes, node.links.len())?;
                    node.links.push(link);
                }
                Field { tag: 0x0a, value: Value::Bytes(bytes), .. } if node.data.is_none() => {
                    node.data = Some(bytes);
                }
                Field { tag, at, .. } => return Err(PbError::UnexpectedField { tag, at }),
            }
        }
        if node.encode() != block {
            return Err(PbError::NotCanonical);
        }
        Ok(node)
    }
}

fn decode_link(bytes: &[u8], index: usize) -> Result<PbLink<'_>, PbError> {
    let unusable = |reason: &str| PbError::Link { index, reason: reason.into() };
    let mut fields = Fields::new(bytes);
    let (mut hash, mut name, mut tsize) = (None, None, None);
    while let Some(field) = fields.next()? {
        match field.value {
            Value::Bytes(bytes) if field.tag == 0x0a => hash = Some(bytes),
            Value::Bytes(bytes) if field.tag == 0x12 => name = Some(bytes),
            Value::Int(value) if field.tag == 0x18 => tsize = Some(value),
            _ => return Err(PbError::UnexpectedField { tag: field.tag, at: field.at }),
        }
    }
    let hash = hash.ok_or_else(|| unusable("no CID"))?;
    let cid = Cid::from_bytes(hash).map_err(|e| unusable(&e.to_string()))?;
    let name = name.ok_or_else(|| unusable("no name field"))?;
    let name = std::str::from_utf8(name).map_err(|_| unusable("name is not UTF-8"))?;
    let tsize = tsize.ok_or_else(|| unusable("no size field"))?;
    Ok(PbLink { cid, name, tsize })
}

/// Writes a link as field 2 of a node: the empty name is written too, as Kubo does.
pub(crate) fn put_link(out: &mut Vec<u8>, cid: &Cid, name: &str, tsize: u64) {
    let cid = cid.to_bytes();
    let len = 1
        + varint_len(cid.len() as u64)
        + cid.len()
        + 1
        + varint_len(name.len() as u64)
        + name.len()
        + 1
        + varint_len(tsize);
    out.push(0x12);
    put_varint(out, len as u64);
    put_bytes(out, 1, &cid);
    put_bytes(out, 2, name.as_bytes());
    put_uint(out, 3, tsize);
}

pub(crate) fn put_uint(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    put_varint(out, value);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Int(u64),
    Bytes(&'a [u8]),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// Field number and wire type.
    pub(crate) tag: u64,
    pub(crate) at: usize,
    pub(crate) value: Value<'a>,
}

/// The fields of a protobuf message, one after the other.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, PbError> {
        let at = self.at;
        if at == self.bytes.len() {
            return Ok(None);
        }
        let malformed = PbError::Malformed { at };
        let tag = self.varint().ok_or(malformed.clone())?;
        let value = match tag & 7 {
            0 => Value::Int(self.varint().ok_or(malformed)?),
            2 => {
                let len = self.varint().and_then(|n| usize::try_from(n).ok());
                let end = len.and_then(|n| self.at.checked_add(n)).ok_or(malformed.clone())?;
                let bytes = self.bytes.get(self.at..end).ok_or(malformed)?;
                self.at = end;
                Value::Bytes(bytes)
            }
            _ => return Err(PbError::UnexpectedField { tag, at }),
        };
        Ok(Some(Field { tag, at, value }))
    }

    /// At most ten bytes, and no bit beyond the 64th.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_have_the_length_they_say() {
        for value in [0, 1, 127, 128, 16383, 16384, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(Fields::new(&out).varint(), Some(value));
        }
        // Eleven bytes, and a 65th bit.
        assert_eq!(Fields::new(&[0xff; 11]).varint(), None);
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(Fields::new(&beyond).varint(), None);
    }

    #[test]
    fn nodes_read_back_and_other_spellings_are_refused() {
        let cid = Cid::of(medledger_core::cid::Codec::Raw, b"x");
        let links = vec![PbLink { cid, name: "a", tsize: 1 }, PbLink { cid, name: "", tsize: 300 }];
        let node = PbNode { links, data: Some(&[8, 1]) };
        let bytes = node.encode();
        assert_eq!(PbNode::decode(&bytes), Ok(node.clone()));
        assert_eq!(PbNode::decode(&[]), Ok(PbNode::default()));

        // Data before links, data twice, an unknown field, a wire type of old.
        let data_first = [&[0x0a, 2, 8, 1][..], &bytes[..bytes.len() - 4]].concat();
        assert_eq!(PbNode::decode(&data_first), Err(PbError::UnexpectedField { tag: 0x12, at: 4 }));
        let twice = [&bytes[..], &[0x0a, 0]].concat();
        assert!(matches!(PbNode::decode(&twice), Err(PbError::UnexpectedField { tag: 0x0a, .. })));
        assert_eq!(PbNode::decode(&[0x1a, 0]), Err(PbError::UnexpectedField { tag: 0x1a, at: 0 }));
        assert_eq!(
            PbNode::decode(&[0x0d, 0, 0, 0, 0]),
            Err(PbError::UnexpectedField { tag: 0x0d, at: 0 })
        );
        // A length in two bytes where one does; a length beyond the end.
        assert_eq!(PbNode::decode(&[0x0a, 0x80, 0]), Err(PbError::NotCanonical));
        assert_eq!(PbNode::decode(&[0x0a, 5, 0]), Err(PbError::Malformed { at: 0 }));
        // A link without CID, without name, with fields in another order.
        assert!(matches!(PbNode::decode(&[0x12, 0]), Err(PbError::Link { index: 0, .. })));
        let mut nameless = vec![0x12, 38 + 2];
        put_bytes(&mut nameless, 1, &cid.to_bytes());
        put_uint(&mut nameless, 3, 1);
        assert!(matches!(PbNode::decode(&nameless), Err(PbError::Link { .. })));
        let mut reordered = vec![0x12, 38 + 4];
        put_bytes(&mut reordered, 2, b"");
        put_bytes(&mut reordered, 1, &cid.to_bytes());
        put_uint(&mut reordered, 3, 1);
        assert_eq!(PbNode::decode(&reordered), Err(PbError::NotCanonical));
    }

    #[test]
    fn pitfall_38_a_million_links_in_few_bytes_are_refused_at_once() {
        let empty: Vec<u8> = [0x12, 0].repeat(1_000_000);
        assert!(matches!(PbNode::decode(&empty), Err(PbError::Link { index: 0, .. })));
        let mut many = Vec::new();
        for _ in 0..=MAX_LINKS {
            put_link(&mut many, &Cid::of(medledger_core::cid::Codec::Raw, b""), "", 0);
        }
        assert_eq!(PbNode::decode(&many), Err(PbError::TooManyLinks { limit: MAX_LINKS }));
    }

    proptest! {
        #[test]
        fn what_is_accepted_encodes_to_the_same_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Ok(node) = PbNode::decode(&bytes) {
                prop_assert_eq!(node.encode(), bytes);
            }
        }
    }
}
