//! Sealing as a source of ciphertext: buffers of any size are filled in one pass.

use super::{
    Backend, CHUNK_LEN, ChunkSealer, HEAD_LEN, Head, SEALED_CHUNK_LEN, Salt, SealError, Segment,
};
use crate::dek::Dek;
use std::io::{self, Read};
use zeroize::Zeroize;

/// Reads plaintext from a source and gives ciphertext, head first.
///
/// [`fill`](Self::fill) is the fast way: plaintext is read straight to its place in the caller's
/// buffer and encrypted there. Only a chunk that straddles the end of a buffer goes through a small
/// one of its own: for leaves of 1 MiB that is one chunk in 64. Nothing is allocated per chunk.
///
/// ```
/// use medledger_core::{dek::Dek, seal::{self, Backend, Salt, SealingReader}};
/// let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
/// let report = vec![7; 3 << 20];
/// let mut sealing = SealingReader::new(Backend::best(), &dek, &salt, b"context", &report[..]);
/// let (mut leaf, mut all) = (vec![0; 1 << 20], Vec::new());
/// loop {
///     let n = sealing.fill(&mut leaf)?;
///     all.extend_from_slice(&leaf[..n]);
///     if n < leaf.len() {
///         break;
///     }
/// }
/// assert_eq!(seal::unseal(&dek, b"context", &all).unwrap(), report);
/// # Ok::<(), seal::SealError>(())
/// ```
pub struct SealingReader<R> {
    source: R,
    head: Head,
    state: State,
    // Ciphertext made but not handed out: first the head, later the chunk at the end of a buffer.
    // It holds plaintext only within `step`.
    spill: Box<[u8; SEALED_CHUNK_LEN]>,
    spill_at: usize,
    spill_end: usize,
    plain_len: u64,
}

enum State {
    Open(ChunkSealer),
    Done,
    // The source or the sealer failed; there is no way to go on.
    Failed,
}

impl<R: Read> SealingReader<R> {
    /// Seals what `source` gives; see [`ChunkSealer::new`] for the other arguments.
    pub fn new(backend: Backend, dek: &Dek, salt: &Salt, context: &[u8], source: R) -> Self {
        let sealer = ChunkSealer::new(backend, dek, salt, context);
        let head = *sealer.head();
        let mut spill = Box::new([0; SEALED_CHUNK_LEN]);
        spill[..HEAD_LEN].copy_from_slice(head.as_bytes());
        Self {
            source,
            head,
            state: State::Open(sealer),
            spill,
            spill_at: 0,
            spill_end: HEAD_LEN,
            plain_len: 0,
        }
    }

    /// The first 56 bytes of the ciphertext; they are handed out by [`fill`](Self::fill) too.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Bytes of plaintext read so far; all of it once [`fill`](Self::fill) came up short.
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// The source.
    pub const fn get_ref(&self) -> &R {
        &self.source
    }

    /// The source, for what it may know after its end.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// Fills `out` with ciphertext. Returns fewer bytes than `out` has only at the end of the
    /// message, and then 0 for ever.
    ///
    /// # Errors
    /// When the source fails, or is too long. The message cannot be completed then: every further
    /// call fails as well, and no plaintext is left in `out`.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<usize, SealError> {
        let mut at = 0;
        loop {
            at += self.take_spill(&mut out[at..]);
            if at == out.len() || matches!(self.state, State::Done) {
                return Ok(at);
            }
            let sealer = self.take_sealer()?;
            if let Some(slot) = out[at..].first_chunk_mut() {
                let n = self.step(sealer, Some(slot))?;
                at += n;
            } else {
                self.spill_end = self.step(sealer, None)?;
                self.spill_at = 0;
            }
        }
    }

    /// As [`fill`](Self::fill), but full chunks are only read to their places and wait as plaintext: whoever
    /// has the buffer seals them, in parts, when it suits the cache, perhaps on another thread. What
    /// straddles the end of the buffer, and the end of the message, are sealed already.
    ///
    /// ```
    /// use medledger_core::{dek::Dek, seal::{self, Backend, Salt, SealingReader}};
    /// let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
    /// let report = vec![7; 100_000];
    /// let mut sealing = SealingReader::new(Backend::best(), &dek, &salt, b"context", &report[..]);
    /// let mut out = vec![0; 1 << 20];
    /// let (filled, mut unsealed) = sealing.fill_unsealed(&mut out)?;
    /// unsealed.seal_until(&mut out, 50_000);
    /// assert!(unsealed.position() >= 50_000);
    /// unsealed.seal_until(&mut out, filled);
    /// assert_eq!(seal::unseal(&dek, b"context", &out[..filled]).unwrap(), report);
    /// # Ok::<(), seal::SealError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`fill`](Self::fill).
    pub fn fill_unsealed(&mut self, out: &mut [u8]) -> Result<(usize, Unsealed), SealError> {
        let filled = self.try_fill_unsealed(out);
        if filled.is_err() {
            out.zeroize();
        }
        filled
    }

    fn try_fill_unsealed(&mut self, out: &mut [u8]) -> Result<(usize, Unsealed), SealError> {
        let mut at = self.take_spill(out);
        if at == out.len() || matches!(self.state, State::Done) {
            return Ok((at, Unsealed { segment: None, position: at }));
        }
        let mut sealer = self.take_sealer()?;
        let first = at;
        let mut ended = None;
        while let Some(slot) = out[at..].first_chunk_mut::<SEALED_CHUNK_LEN>() {
            let n = read_full(&mut self.source, &mut slot[..CHUNK_LEN])?;
            self.plain_len += n as u64;
            if n < CHUNK_LEN {
                ended = Some(n);
                break;
            }
            at += SEALED_CHUNK_LEN;
        }
        let chunks = (at - first) / SEALED_CHUNK_LEN;
        let unsealed = Unsealed { segment: Some(sealer.segment(chunks as u64)?), position: first };
        if let Some(n) = ended {
            at += sealer.finish_in_place(&mut out[at..], n)?;
            self.state = State::Done;
        } else if at < out.len() {
            self.spill_end = self.step(sealer, None)?;
            self.spill_at = 0;
            at += self.take_spill(&mut out[at..]);
        } else {
            self.state = State::Open(sealer);
        }
        Ok((at, unsealed))
    }

    /// Hands out ciphertext that was made before; gives its bytes.
    fn take_spill(&mut self, out: &mut [u8]) -> usize {
        let n = (self.spill_end - self.spill_at).min(out.len());
        out[..n].copy_from_slice(&self.spill[self.spill_at..self.spill_at + n]);
        self.spill_at += n;
        n
    }

    /// The sealer, to be put back: whoever fails on the way leaves no way to go on.
    fn take_sealer(&mut self) -> Result<ChunkSealer, SealError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Open(sealer) => Ok(sealer),
            _ => Err(io::Error::other("sealing failed before").into()),
        }
    }

    /// Reads and seals one chunk in `slot`, or in the spill; gives the bytes of ciphertext there.
    fn step(
        &mut self,
        mut sealer: ChunkSealer,
        slot: Option<&mut [u8; SEALED_CHUNK_LEN]>,
    ) -> Result<usize, SealError> {
        let slot = slot.unwrap_or(&mut self.spill);
        let result = read_full(&mut self.source, &mut slot[..CHUNK_LEN])
            .map_err(SealError::Io)
            .and_then(|n| {
                self.plain_len += n as u64;
                if n == CHUNK_LEN {
                    sealer.seal_chunk_in_place(slot)?;
                    self.state = State::Open(sealer);
                    Ok(SEALED_CHUNK_LEN)
                } else {
                    let written = sealer.finish_in_place(slot, n)?;
                    self.state = State::Done;
                    Ok(written)
                }
            });
        if result.is_err() {
            slot.zeroize();
        }
        result
    }
}

/// Full chunks of one message that lie in a buffer as plaintext, each with room for its tag, one after the
/// other: made by [`SealingReader::fill_unsealed`].
///
/// Each is sealed once, in order. A message with a chunk left unsealed will not open.
#[derive(Debug)]
pub struct Unsealed {
    /// The numbers of the chunks; none at the end of a message.
    segment: Option<Segment>,
    position: usize,
}

impl Unsealed {
    /// Of a buffer in which nothing is left to seal.
    #[must_use]
    pub const fn none() -> Self {
        Self { segment: None, position: 0 }
    }

    /// Chunks still to be sealed.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.segment.as_ref().map_or(0, Segment::remaining)
    }

    /// Where in the buffer the next of them starts. What lies before is ciphertext.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Seals the chunks that start before `end`; the last of them may reach beyond.
    ///
    /// # Panics
    /// When `buffer` is not the one that was filled, and shorter.
    pub fn seal_until(&mut self, buffer: &mut [u8], end: usize) {
        let Some(segment) = &mut self.segment else { return };
        while self.position < end && segment.remaining() > 0 {
            let slot =
                buffer[self.position..].first_chunk_mut().expect("the buffer that was filled");
            segment.seal_chunk_in_place(slot);
            self.position += SEALED_CHUNK_LEN;
        }
    }

    /// Parts the chunks that end at `end` or before from the others, which stay.
    #[must_use]
    pub fn split_at(&mut self, end: usize) -> Self {
        let whole = (end.saturating_sub(self.position) / SEALED_CHUNK_LEN) as u64;
        let whole = whole.min(self.remaining());
        let front = Self {
            segment: self.segment.as_mut().map(|s| s.split(whole)),
            position: self.position,
        };
        self.position += whole as usize * SEALED_CHUNK_LEN;
        front
    }
}

/// The same ciphertext through the usual trait.
impl<R: Read> Read for SealingReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(self.fill(out)?)
    }
}

impl<R> std::fmt::Debug for SealingReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealingReader")
            .field("head", &self.head)
            .field("plain_len", &self.plain_len)
            .finish_non_exhaustive()
    }
}

/// Reads until `buf` is full or the source ends; interrupted reads are tried again.
pub(super) fn read_full(source: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < buf.len() {
        match source.read(&mut buf[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::seal_with;

    #[test]
    fn buffers_of_any_size_give_the_same_ciphertext() {
        let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
        let plain: Vec<u8> = (0..3 * CHUNK_LEN + 5).map(|i| (i / 3) as u8).collect();
        for len in [0, 5, CHUNK_LEN, 2 * CHUNK_LEN, plain.len()] {
            let plain = &plain[..len];
            let want = seal_with(Backend::best(), &dek, &salt, b"c", plain).unwrap();
            for size in [1, 55, 56, 57, CHUNK_LEN, SEALED_CHUNK_LEN, 40_000, want.len(), 1 << 20] {
                let mut sealing = SealingReader::new(Backend::best(), &dek, &salt, b"c", plain);
                let (mut buf, mut all) = (vec![0; size], Vec::new());
                loop {
                    let n = sealing.fill(&mut buf).unwrap();
                    all.extend_from_slice(&buf[..n]);
                    if n < size {
                        break;
                    }
                }
                assert_eq!(all, want, "{len} bytes through buffers of {size}");
                assert_eq!(sealing.fill(&mut buf).unwrap(), 0);
                assert_eq!(sealing.plain_len(), len as u64);
            }
        }
    }

    #[test]
    fn chunks_sealed_later_and_in_parts_give_the_same_ciphertext() {
        let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
        let plain: Vec<u8> = (0..9 * CHUNK_LEN + 5).map(|i| (i / 3) as u8).collect();
        for len in [0, 5, CHUNK_LEN - 1, CHUNK_LEN, 3 * CHUNK_LEN, plain.len()] {
            let plain = &plain[..len];
            let want = seal_with(Backend::best(), &dek, &salt, b"c", plain).unwrap();
            for size in
                [1, 56, 57, 10_000, SEALED_CHUNK_LEN, 40_000, 56 + 2 * SEALED_CHUNK_LEN, 1 << 17]
            {
                let mut sealing = SealingReader::new(Backend::best(), &dek, &salt, b"c", plain);
                let (mut buf, mut all) = (vec![0; size], Vec::new());
                loop {
                    let (n, mut unsealed) = sealing.fill_unsealed(&mut buf).unwrap();
                    // From the back to the front, in two parts.
                    let mut front = unsealed.split_at(n / 2);
                    assert_eq!(
                        front.position() + front.remaining() as usize * SEALED_CHUNK_LEN,
                        unsealed.position()
                    );
                    unsealed.seal_until(&mut buf, n);
                    front.seal_until(&mut buf, n);
                    assert_eq!((front.remaining(), unsealed.remaining()), (0, 0));
                    all.extend_from_slice(&buf[..n]);
                    if n < size {
                        break;
                    }
                }
                assert_eq!(all, want, "{len} bytes through buffers of {size}");
                assert_eq!(sealing.fill_unsealed(&mut buf).unwrap().0, 0);
                assert_eq!(sealing.plain_len(), len as u64);
            }
        }
    }

    struct Fails(usize);

    impl Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.min(buf.len());
            if n == 0 {
                return Err(io::Error::other("broken"));
            }
            buf[..n].fill(0x5a);
            self.0 -= n;
            Ok(n)
        }
    }

    #[test]
    fn a_source_that_fails_before_the_sealing_leaves_no_plaintext_either() {
        let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
        let source = Fails(2 * CHUNK_LEN + 5000);
        let mut sealing = SealingReader::new(Backend::best(), &dek, &salt, b"c", source);
        let mut out = vec![0; 1 << 20];
        assert!(matches!(sealing.fill_unsealed(&mut out), Err(SealError::Io(_))));
        assert!(!out.contains(&0x5a));
        assert!(matches!(sealing.fill_unsealed(&mut out), Err(SealError::Io(_))));
    }

    #[test]
    fn a_failing_source_leaves_no_plaintext_and_no_way_on() {
        let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
        let source = Fails(CHUNK_LEN + 5000);
        let mut sealing = SealingReader::new(Backend::best(), &dek, &salt, b"c", source);
        let mut out = vec![0; 1 << 20];
        assert!(matches!(sealing.fill(&mut out), Err(SealError::Io(_))));
        assert!(!out.windows(8).any(|w| w == [0x5a; 8]));
        assert!(matches!(sealing.fill(&mut out), Err(SealError::Io(_))));
    }
}
