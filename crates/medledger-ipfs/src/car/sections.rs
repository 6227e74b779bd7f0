//! Sections of a CARv1 as they are written: nothing is hashed here.

use super::{
    CarError, MAX_HEADER_BYTES, MAX_SECTION_BYTES, header, reader::cid_len, source::varint_of,
};
use crate::aligned;
use crate::block::MAX_BLOCK_BYTES;
use medledger_core::Cid;
use std::io::BufRead;

/// Bytes of the longest varint that a length may be.
const MAX_VARINT_BYTES: usize = 9;

/// Reads a CARv1 section by section, copying each byte once.
#[derive(Debug)]
pub(crate) struct Sections<R> {
    input: R,
    at: u64,
    roots: Vec<Cid>,
}

/// A block whose bytes nobody looked at yet.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) cid: Cid,
    /// Offset of its section.
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
    /// Where in the bytes the block begins.
    pub(crate) start: usize,
}

impl<R: BufRead> Sections<R> {
    /// Reads the header.
    pub(crate) fn new(input: R) -> Result<Self, CarError> {
        let mut sections = Self { input, at: 0, roots: Vec::new() };
        let found = sections.length()?.ok_or(CarError::Truncated { at: 0 })?;
        if found > MAX_HEADER_BYTES as u64 {
            return Err(CarError::HeaderTooLong { found, limit: MAX_HEADER_BYTES });
        }
        let start = sections.at;
        let mut bytes = Vec::new();
        sections.append(&mut bytes, found as usize)?;
        sections.roots = header::decode(&bytes, start)?;
        Ok(sections)
    }

    pub(crate) fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// The next one, none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Section>, CarError> {
        let at = self.at;
        let Some(found) = self.length()? else { return Ok(None) };
        let too_long = CarError::SectionTooLong { at, found, limit: MAX_SECTION_BYTES };
        if found > MAX_SECTION_BYTES as u64 {
            return Err(too_long);
        }
        // No CID that is read here has more bytes before its digest ends.
        let mut head = Vec::with_capacity(64);
        self.append(&mut head, (found as usize).min(36))?;
        let prefix = cid_len(&head).ok_or(CarError::SectionTooShort { at, found })?;
        let cid =
            Cid::from_bytes(&head[..prefix]).map_err(|source| CarError::Cid { at, source })?;
        let len = found as usize - prefix;
        if len > MAX_BLOCK_BYTES {
            return Err(too_long);
        }
        let (mut bytes, start) = aligned::with_room(len);
        bytes.extend_from_slice(&head[prefix..]);
        self.append(&mut bytes, found as usize - head.len())?;
        Ok(Some(Section { cid, at, bytes, start }))
    }

    /// Puts so many bytes behind those in the buffer.
    fn append(&mut self, bytes: &mut Vec<u8>, mut len: usize) -> Result<(), CarError> {
        while len > 0 {
            let piece = filled(&mut self.input)?;
            if piece.is_empty() {
                return Err(CarError::Truncated { at: self.at });
            }
            let n = piece.len().min(len);
            bytes.extend_from_slice(&piece[..n]);
            self.input.consume(n);
            (len, self.at) = (len - n, self.at + n as u64);
        }
        Ok(())
    }

    /// A length in its shortest form; none where the stream ends.
    fn length(&mut self) -> Result<Option<u64>, CarError> {
        let start = self.at;
        if filled(&mut self.input)?.is_empty() {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(MAX_VARINT_BYTES);
        while bytes.last().is_none_or(|byte| *byte >= 0x80) {
            if bytes.len() == MAX_VARINT_BYTES {
                return Err(CarError::Varint { at: start });
            }
            self.append(&mut bytes, 1)?;
        }
        let (value, _) = varint_of(&bytes).ok_or(CarError::Varint { at: start })?;
        Ok(Some(value))
    }
}

/// What is there to be read; nothing at the end.
fn filled(input: &mut impl BufRead) -> Result<&[u8], CarError> {
    // Twice, because what an error interrupted cannot be returned from within a loop.
    while let Err(error) = input.fill_buf() {
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error.into());
        }
    }
    Ok(input.fill_buf()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::car::{CarReader, ReadOptions, header_section, section_head};
    use medledger_core::cid::Codec;
    use proptest::prelude::*;

    fn car(blocks: &[Vec<u8>]) -> Vec<u8> {
        let cids: Vec<Cid> = blocks.iter().map(|block| Cid::of(Codec::Raw, block)).collect();
        let mut car = header_section(&cids[..1]);
        for (cid, block) in cids.iter().zip(blocks) {
            car.extend(section_head(cid, block.len()));
            car.extend(block);
        }
        car
    }

    /// Pieces as a network would give them.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<(Cid, Vec<u8>)>, CarError> {
        let mut sections = Sections::new(std::io::BufReader::with_capacity(piece, bytes))?;
        let mut all = Vec::new();
        while let Some(Section { cid, bytes, start, .. }) = sections.next()? {
            all.push((cid, bytes[start..].to_vec()));
        }
        Ok(all)
    }

    proptest! {
        /// What the reader that hashes accepts, this one reads the same, in whatever pieces it comes.
        #[test]
        fn sections_are_those_the_strict_reader_sees(
            lens in proptest::collection::vec(0usize..300, 1..6),
            piece in 1usize..100,
            (at, byte) in (0usize..2000, any::<u8>()),
        ) {
            let blocks: Vec<Vec<u8>> = lens.iter().map(|len| vec![*len as u8; *len]).collect();
            let mut bytes = car(&blocks);
            let at = at % bytes.len();
            bytes[at] = byte;
            let options = ReadOptions { complete: false, ..ReadOptions::default() };
            let strict = (|| {
                let mut reader = CarReader::with_options(&bytes[..], options)?;
                let mut all = Vec::new();
                while let Some((cid, block)) = reader.next_block()? {
                    all.push((cid, block.to_vec()));
                }
                Ok::<_, CarError>(all)
            })();
            let found = read(&bytes, piece);
            match (strict, found) {
                (Ok(strict), found) => prop_assert_eq!(strict, found.unwrap()),
                // It hashes, and looks at links.
                (Err(_), Ok(found)) => prop_assert!(
                    found.iter().any(|(cid, block)| !cid.matches(block) || cid.codec() != Codec::Raw)
                ),
                (Err(_), Err(_)) => {}
            }
        }
    }

    #[test]
    fn pitfall_16_lengths_that_lie_are_refused() {
        let good = car(&[vec![7; 100]]);
        assert_eq!(read(&good, 10).unwrap().len(), 1);
        for end in 1..good.len() {
            let cut = read(&good[..end], 10);
            let whole = end == header_section(&[Cid::of(Codec::Raw, &[7; 100])]).len();
            assert_eq!(cut.is_ok(), whole, "{end}");
        }
        let mut long = header_section(&[Cid::of(Codec::Raw, b"")]);
        long.extend([0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert!(matches!(read(&long, 10), Err(CarError::SectionTooLong { .. })));
    }
}
