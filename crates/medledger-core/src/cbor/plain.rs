//! Structures whose encoding leaves no choice, read and written piece by piece.
//!
//! Reading a structure and writing it again, to see that it was canonical, costs more than a record's hashes. Where
//! each piece is of a fixed kind and in a fixed place, and lengths and numbers are in their shortest form, there is only one way
//! to write it, and reading it is enough. What is read so is compared with [`decode`](super::decode) in tests and by
//! fuzzing.

use super::read_head;

/// What stands where there is no value.
const NULL: u8 = 0xf6;

/// Reads pieces in turn. `None` says that the next piece is not the one asked for; why bytes are refused, says
/// [`decode`](super::decode).
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn head(&mut self, major: u8) -> Option<u64> {
        // The heads of most pieces are one byte or two.
        let (argument, rest) = match *self.0 {
            [first, ref rest @ ..] if first & 31 < 24 && first >> 5 == major => {
                (u64::from(first & 31), rest)
            }
            [first, length, ref rest @ ..] if first == major << 5 | 24 && length >= 24 => {
                (u64::from(length), rest)
            }
            _ => {
                let (found, argument, width) = read_head(self.0, 0).ok()?;
                if found != major {
                    return None;
                }
                (argument, &self.0[width..])
            }
        };
        self.0 = rest;
        Some(argument)
    }

    /// A list of exactly so many items.
    pub(crate) fn list(&mut self, items: u64) -> Option<()> {
        (self.head(4)? == items).then_some(())
    }

    /// A map; how many entries it has. Their keys must be asked for in canonical order: shorter ones first, then
    /// by their bytes.
    pub(crate) fn map(&mut self) -> Option<u64> {
        self.head(5)
    }

    /// This key of a map; what is read next is its value.
    pub(crate) fn key(&mut self, name: &str) -> Option<&mut Self> {
        let length = usize::try_from(self.head(3)?).ok()?;
        let (found, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        (found == name.as_bytes()).then_some(self)
    }

    /// A number from 0.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.head(0)
    }

    /// A number that fits into 32 bits.
    pub(crate) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    /// A text.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.head(3)?).ok()?;
        let (found, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(found).ok()
    }

    /// Nothing at all, or what `some` reads.
    pub(crate) fn nullable<T>(
        &mut self,
        some: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if let Some(rest) = self.0.strip_prefix(&[NULL]) {
            self.0 = rest;
            return Some(None);
        }
        some(self).map(Some)
    }

    /// A byte string.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.head(2)?).ok()?;
        let (found, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(found)
    }

    /// A byte string of exactly so many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes()?.try_into().ok()
    }

    /// The next item, whatever it is, with all that is in it.
    pub(crate) fn item(&mut self) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_at_checked(super::item_length(self.0).ok()?)?;
        self.0 = rest;
        Some(found)
    }

    /// Nothing follows.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Writes pieces in turn. Who writes a map writes its keys in canonical order.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn head(&mut self, major: u8, argument: u64) {
        let major = major << 5;
        let bytes = argument.to_be_bytes();
        match argument {
            0..=23 => self.0.push(major | bytes[7]),
            24..=0xff => self.0.extend_from_slice(&[major | 24, bytes[7]]),
            0x100..=0xffff => self.0.extend_from_slice(&[major | 25, bytes[6], bytes[7]]),
            0x1_0000..=0xffff_ffff => {
                self.0.push(major | 26);
                self.0.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend_from_slice(&bytes);
            }
        }
    }

    /// A list of so many items, which follow.
    pub(crate) fn list(&mut self, items: usize) -> &mut Self {
        self.head(4, items as u64);
        self
    }

    /// A map of so many entries, which follow.
    pub(crate) fn map(&mut self, entries: usize) -> &mut Self {
        self.head(5, entries as u64);
        self
    }

    /// A key of a map.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.head(3, name.len() as u64);
        self.0.extend_from_slice(name.as_bytes());
        self
    }

    /// A number from 0.
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.head(0, number);
        self
    }

    /// A byte string.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(2, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{check_shape, decode, encode};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_bytes_are_written_as_the_library_writes_them(
            number in any::<u64>(), shift in 0u32..64, bytes in proptest::collection::vec(any::<u8>(), 0..700),
        ) {
            let number = number >> shift;
            let mut writer = Writer::default();
            writer.number(number);
            prop_assert_eq!(writer.into_bytes(), encode(&number));
            let mut writer = Writer::default();
            writer.bytes(&bytes);
            prop_assert_eq!(writer.into_bytes(), encode(&serde_bytes::Bytes::new(&bytes)));
        }

        #[test]
        fn what_the_reader_takes_the_library_takes_and_writes_again(
            bytes in proptest::collection::vec(any::<u8>(), 0..24),
        ) {
            let mut reader = Reader::new(&bytes);
            if let Some(number) = reader.number() && reader.end().is_some() {
                prop_assert_eq!(decode::<u64>(&bytes, 99), Ok(number));
            }
            let mut reader = Reader::new(&bytes);
            if let Some(found) = reader.bytes() && reader.end().is_some() {
                let read: serde_bytes::ByteBuf = decode(&bytes, 99).unwrap();
                prop_assert_eq!(read.as_slice(), found);
            }
            let mut reader = Reader::new(&bytes);
            if let Some(found) = reader.item() {
                prop_assert_eq!(check_shape(found, 99), Ok(()));
                prop_assert_eq!(reader.end().is_some(), check_shape(&bytes, 99).is_ok());
            } else {
                prop_assert!(check_shape(&bytes, 99).is_err());
            }
        }
    }

    #[test]
    fn longer_forms_and_other_lengths_are_not_taken() {
        for bytes in [&[0x18, 0x17][..], &[0x19, 0, 0xff], &[0x1a, 0, 0, 0xff, 0xff], &[0x20], &[]]
        {
            assert_eq!(Reader::new(bytes).number(), None, "{bytes:?}");
        }
        for bytes in [
            &[0x42, 1][..],
            &[0x58, 1, 1],
            &[0x5f, 0xff],
            &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255],
        ] {
            assert_eq!(Reader::new(bytes).bytes(), None, "{bytes:?}");
        }
        assert!(Reader::new(&[0x61, b'v']).key("v").is_some());
        assert!(Reader::new(&[0x61, b'w']).key("v").is_none());
        assert!(Reader::new(&[0x41, b'v']).key("v").is_none());
        assert_eq!(Reader::new(&[0x82, 1, 2]).list(3), None);
        assert_eq!(Reader::new(&[0x41, 7]).array::<2>(), None);
    }
}
