//! Bytes of a stream with their place, and the lengths written in it.

use super::CarError;
use std::io::{BufReader, Read};

/// The longest length in the stream: nine groups of seven bits
/// (<https://github.com/multiformats/unsigned-varint>).
const MAX_VARINT_BYTES: usize = 9;

/// A stream that knows where it is, and where it has to end.
#[derive(Debug)]
pub(super) struct Source<R> {
    input: BufReader<R>,
    at: u64,
    /// The offset at which what is read has to end, in a CARv2.
    end: Option<u64>,
    /// The most bytes the caller wants read.
    most: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R, most: u64) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), at: 0, end: None, most }
    }

    /// Bytes read so far.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn into_inner(self) -> R {
        self.input.into_inner()
    }

    /// From now on, the offset at which the stream is taken to end.
    pub(super) fn set_end(&mut self, end: Option<u64>) {
        self.end = end;
    }

    /// The next byte; none at the end.
    pub(super) fn byte(&mut self) -> Result<Option<u8>, CarError> {
        let mut byte = [0];
        Ok((self.some(&mut byte)? == 1).then_some(byte[0]))
    }

    /// Fills the buffer as far as there are bytes.
    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, CarError> {
        let left = self.end.map_or(u64::MAX, |end| end - self.at);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut filled = 0;
        while filled < wanted {
            match self.input.read(&mut buffer[filled..wanted]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.at += filled as u64;
        if self.at > self.most {
            return Err(CarError::TooLong { limit: self.most });
        }
        Ok(filled)
    }

    /// Exactly so many bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CarError> {
        let mut bytes = [0; N];
        match self.some(&mut bytes)? {
            n if n == N => Ok(bytes),
            _ => Err(CarError::Truncated { at: self.at }),
        }
    }

    /// Exactly so many bytes, in place of what the buffer holds. Memory grows with what is there, not
    /// with what is claimed.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, len: usize) -> Result<(), CarError> {
        const STEP: usize = 64 * 1024;
        buffer.clear();
        while buffer.len() < len {
            let start = buffer.len();
            // A buffer that was this large before need not grow in steps.
            let step = (len - start).min(STEP.max(buffer.capacity() - start));
            buffer.resize(start + step, 0);
            if self.some(&mut buffer[start..])? < step {
                return Err(CarError::Truncated { at: self.at });
            }
        }
        Ok(())
    }

    /// Passes over bytes up to an offset.
    pub(super) fn skip_to(&mut self, offset: u64) -> Result<(), CarError> {
        let mut scratch = Vec::new();
        while self.at < offset {
            let step = (offset - self.at).min(64 * 1024) as usize;
            self.fill(&mut scratch, step)?;
        }
        Ok(())
    }

    /// A length in its shortest form; none where the stream ends.
    pub(super) fn varint(&mut self) -> Result<Option<u64>, CarError> {
        let start = self.at;
        let malformed = CarError::Varint { at: start };
        let mut value = 0u64;
        for place in 0..MAX_VARINT_BYTES {
            let Some(byte) = self.byte()? else {
                // At the start nothing is missing, unless a CARv2 promised more.
                let cut = place > 0 || self.end.is_some_and(|end| end > self.at);
                return if cut { Err(CarError::Truncated { at: self.at }) } else { Ok(None) };
            };
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return if byte == 0 && place > 0 { Err(malformed) } else { Ok(Some(value)) };
            }
        }
        Err(malformed)
    }
}

/// A varint at the start of a slice, and its length.
pub(super) fn varint_of(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (place, byte) in bytes.iter().take(MAX_VARINT_BYTES).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            return (*byte != 0 || place == 0).then_some((value, place + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unixfs::dagpb::put_varint;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Option<u64>, CarError> {
        Source::new(bytes, u64::MAX).varint()
    }

    #[test]
    fn pitfall_16_lengths_have_one_spelling() {
        assert!(matches!(read(&[]), Ok(None)));
        assert!(matches!(read(&[0]), Ok(Some(0))));
        assert!(matches!(read(&[0x80, 0]), Err(CarError::Varint { at: 0 })));
        assert!(matches!(read(&[0xff, 0x80, 0]), Err(CarError::Varint { at: 0 })));
        assert!(matches!(read(&[0xff]), Err(CarError::Truncated { at: 1 })));
        assert!(matches!(read(&[0xff; 9]), Err(CarError::Varint { at: 0 })));
        assert!(matches!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            Ok(Some(n)) if n == u64::MAX >> 1));
    }

    proptest! {
        #[test]
        fn lengths_read_back_from_stream_and_slice(value in 0..=u64::MAX >> 1, noise in any::<[u8; 10]>()) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(read(&bytes).unwrap(), Some(value));
            prop_assert_eq!(varint_of(&bytes), Some((value, bytes.len())));
            let stream = read(&noise).ok().flatten();
            prop_assert_eq!(varint_of(&noise).map(|(value, _)| value), stream);
        }
    }
}
