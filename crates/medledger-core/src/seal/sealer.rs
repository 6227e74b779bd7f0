//! Sealing: chunk by chunk in place, or pushed as the plaintext comes.

use super::backend::{Backend, Tag};
use super::schedule::{MAX_CHUNKS, Schedule};
use super::{CHUNK_LEN, Head, SEALED_CHUNK_LEN, Salt, SealError, TAG_LEN};
use crate::dek::Dek;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seals whole chunks where they lie: the fast path for whoever owns the buffers.
///
/// Chunks are numbered by the sealer, so no number, and with it no nonce, is used twice. A message
/// is [`head`](Self::head), any number of full chunks, then [`finish`](Self::finish) with what is
/// left, which may be nothing.
///
/// ```
/// use medledger_core::{dek::Dek, seal::{self, Backend, ChunkSealer, Salt}};
/// let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
/// let mut sealer = ChunkSealer::new(Backend::best(), &dek, &salt, b"context");
/// let mut out = vec![0; seal::sealed_len(seal::CHUNK_LEN as u64).unwrap() as usize];
/// let (head, chunks) = out.split_at_mut(seal::HEAD_LEN);
/// head.copy_from_slice(sealer.head().as_bytes());
/// let (first, last) = chunks.split_first_chunk_mut().unwrap();
/// sealer.seal_chunk_in_place(first)?; // 16 KiB of plaintext (here zeros), then room for the tag
/// sealer.finish(&[], last)?;
/// assert_eq!(seal::unseal(&dek, b"context", &out).unwrap(), vec![0; seal::CHUNK_LEN]);
/// # Ok::<(), seal::SealError>(())
/// ```
#[derive(Debug)]
pub struct ChunkSealer {
    schedule: Arc<Schedule>,
    head: Head,
    next: u64,
}

impl ChunkSealer {
    /// A sealer for one message.
    ///
    /// `context` says what is being sealed and must be given again to open it; see
    /// [`context`](crate::context). A salt must never be used twice with one DEK.
    #[must_use]
    pub fn new(backend: Backend, dek: &Dek, salt: &Salt, context: &[u8]) -> Self {
        let schedule = Schedule::derive(backend, dek, salt, context);
        let head = Head::new(salt, &schedule.commitment);
        Self { schedule: Arc::new(schedule), head, next: 0 }
    }

    /// The 56 bytes that stand before the first chunk; the caller writes them.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Seals the next full chunk: on entry 16 KiB of plaintext and 16 bytes of room, on return
    /// ciphertext and tag.
    ///
    /// # Errors
    /// [`SealError::TooLong`] after 2^38 - 1 full chunks; the slot is then unchanged.
    pub fn seal_chunk_in_place(
        &mut self,
        slot: &mut [u8; SEALED_CHUNK_LEN],
    ) -> Result<(), SealError> {
        let chunk = self.take(1)?;
        self.schedule.seal_slot(chunk, slot);
        Ok(())
    }

    /// Seals the next full chunk from one place to another, without a copy in between.
    ///
    /// # Errors
    /// As for [`seal_chunk_in_place`](Self::seal_chunk_in_place).
    pub fn seal_chunk(
        &mut self,
        plain: &[u8; CHUNK_LEN],
        out: &mut [u8; SEALED_CHUNK_LEN],
    ) -> Result<(), SealError> {
        let chunk = self.take(1)?;
        self.schedule.seal_apart(chunk, plain, out);
        Ok(())
    }

    /// Sets the next `chunks` full chunks aside, to be sealed elsewhere, perhaps by another thread;
    /// this sealer goes on after them.
    ///
    /// # Errors
    /// [`SealError::TooLong`] when the message would exceed 2^38 chunks.
    pub fn segment(&mut self, chunks: u64) -> Result<Segment, SealError> {
        let next = self.take(chunks)?;
        Ok(Segment { schedule: Arc::clone(&self.schedule), next, end: next + chunks })
    }

    /// Seals the last chunk, shorter than 16 KiB, and ends the message. Returns the bytes written:
    /// those of `plain` and the tag.
    ///
    /// # Errors
    /// None today; the sealer has kept one chunk number back for this.
    ///
    /// # Panics
    /// When `plain` is a full chunk or more, or does not fit into `out` with its tag.
    pub fn finish(self, plain: &[u8], out: &mut [u8]) -> Result<usize, SealError> {
        assert!(plain.len() < CHUNK_LEN, "the last chunk is shorter than 16 KiB");
        let out = &mut out[..plain.len() + TAG_LEN];
        self.schedule.seal_apart(self.next, plain, out);
        Ok(out.len())
    }

    /// As [`finish`](Self::finish), with the plaintext in the first `len` bytes of `slot` and room
    /// for the tag behind it.
    ///
    /// # Errors
    /// As for [`finish`](Self::finish).
    ///
    /// # Panics
    /// When `len` is 16 KiB or more, or `slot` has no room for the tag.
    pub fn finish_in_place(self, slot: &mut [u8], len: usize) -> Result<usize, SealError> {
        assert!(len < CHUNK_LEN, "the last chunk is shorter than 16 KiB");
        let slot = &mut slot[..len + TAG_LEN];
        self.schedule.seal_slot(self.next, slot);
        Ok(slot.len())
    }

    /// Takes numbers for full chunks; one always remains for the last, short one.
    fn take(&mut self, chunks: u64) -> Result<u64, SealError> {
        let first = self.next;
        match first.checked_add(chunks) {
            Some(next) if next < MAX_CHUNKS => self.next = next,
            _ => return Err(SealError::TooLong),
        }
        Ok(first)
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, chunk: u64) {
        self.next = chunk;
    }
}

/// A run of full chunks of one message, set aside by [`ChunkSealer::segment`].
///
/// If one chunk of it is left unsealed, the message will not open.
#[derive(Debug)]
pub struct Segment {
    schedule: Arc<Schedule>,
    next: u64,
    end: u64,
}

impl Segment {
    /// Full chunks still to be sealed.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.end - self.next
    }

    /// As [`ChunkSealer::seal_chunk_in_place`].
    ///
    /// # Panics
    /// When none [remains](Self::remaining).
    pub fn seal_chunk_in_place(&mut self, slot: &mut [u8; SEALED_CHUNK_LEN]) {
        let chunk = self.take();
        self.schedule.seal_slot(chunk, slot);
    }

    /// As [`ChunkSealer::seal_chunk`].
    ///
    /// # Panics
    /// When none [remains](Self::remaining).
    pub fn seal_chunk(&mut self, plain: &[u8; CHUNK_LEN], out: &mut [u8; SEALED_CHUNK_LEN]) {
        let chunk = self.take();
        self.schedule.seal_apart(chunk, plain, out);
    }

    /// Parts the first `chunks` chunks from the others, which stay.
    ///
    /// # Panics
    /// When fewer [remain](Self::remaining).
    #[must_use]
    pub fn split(&mut self, chunks: u64) -> Self {
        assert!(chunks <= self.remaining(), "fewer chunks remain");
        let front =
            Self { schedule: Arc::clone(&self.schedule), next: self.next, end: self.next + chunks };
        self.next += chunks;
        front
    }

    fn take(&mut self) -> u64 {
        assert!(self.next < self.end, "all chunks of this segment are sealed");
        self.next += 1;
        self.next - 1
    }
}

impl Schedule {
    /// Plaintext and room for the tag in, ciphertext and tag out.
    fn seal_slot(&self, chunk: u64, slot: &mut [u8]) {
        let (bytes, tag) = split_tag(slot);
        *tag = self.cipher.seal_in_place(self.nonce(chunk), bytes);
    }

    fn seal_apart(&self, chunk: u64, plain: &[u8], out: &mut [u8]) {
        let (bytes, tag) = split_tag(out);
        *tag = self.cipher.seal(self.nonce(chunk), plain, bytes);
    }
}

fn split_tag(slot: &mut [u8]) -> (&mut [u8], &mut Tag) {
    slot.split_last_chunk_mut().expect("a slot has room for the tag")
}

/// Seals plaintext as it is pushed, in pieces of any size; ciphertext is appended to a vector.
///
/// At most one partial chunk of plaintext is kept inside, and overwritten when dropped. Nothing is
/// complete before [`finish`](Self::finish).
///
/// ```
/// use medledger_core::{dek::Dek, seal::{self, Backend, Salt, Sealer}};
/// let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
/// let mut sealer = Sealer::new(Backend::best(), &dek, &salt, b"context");
/// let mut out = sealer.head().as_bytes().to_vec();
/// sealer.update(b"a report ", &mut out)?;
/// sealer.update(b"in two pieces", &mut out)?;
/// sealer.finish(&mut out)?;
/// assert_eq!(seal::unseal(&dek, b"context", &out).unwrap(), b"a report in two pieces");
/// # Ok::<(), seal::SealError>(())
/// ```
pub struct Sealer {
    chunks: ChunkSealer,
    // Allocated once, at the first partial chunk, and never beyond CHUNK_LEN: growing it would
    // leave plaintext behind.
    partial: Zeroizing<Vec<u8>>,
}

impl Sealer {
    /// A sealer for one message; see [`ChunkSealer::new`].
    #[must_use]
    pub fn new(backend: Backend, dek: &Dek, salt: &Salt, context: &[u8]) -> Self {
        Self {
            chunks: ChunkSealer::new(backend, dek, salt, context),
            partial: Zeroizing::new(Vec::new()),
        }
    }

    /// The 56 bytes that stand before the first chunk; the caller writes them.
    #[must_use]
    pub const fn head(&self) -> &Head {
        self.chunks.head()
    }

    /// Takes more plaintext and appends the ciphertext of the chunks that became full.
    ///
    /// # Errors
    /// [`SealError::TooLong`]; what has been appended until then is of no use.
    pub fn update(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        if !self.partial.is_empty() {
            let (head, rest) = plain.split_at(plain.len().min(CHUNK_LEN - self.partial.len()));
            self.partial.extend_from_slice(head);
            if self.partial.len() < CHUNK_LEN {
                return Ok(());
            }
            plain = rest;
            append(&mut self.chunks, &self.partial, out)?;
            self.partial.clear();
        }
        let (full, rest) = plain.as_chunks::<CHUNK_LEN>();
        out.reserve(full.len() * SEALED_CHUNK_LEN);
        for chunk in full {
            append(&mut self.chunks, chunk, out)?;
        }
        if !rest.is_empty() {
            self.partial.reserve_exact(CHUNK_LEN);
            self.partial.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Appends the last chunk, which is always there and may be empty.
    ///
    /// # Errors
    /// As for [`ChunkSealer::finish`].
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), SealError> {
        let start = out.len();
        out.resize(start + self.partial.len() + TAG_LEN, 0);
        self.chunks.finish(&self.partial, &mut out[start..])?;
        Ok(())
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("chunks", &self.chunks)
            .field("partial_len", &self.partial.len())
            .finish()
    }
}

fn append(chunks: &mut ChunkSealer, plain: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
    let chunk = chunks.take(1)?;
    let start = out.len();
    out.resize(start + plain.len() + TAG_LEN, 0);
    chunks.schedule.seal_apart(chunk, plain, &mut out[start..]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::unseal;

    fn sealer() -> ChunkSealer {
        let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
        ChunkSealer::new(Backend::best(), &dek, &salt, b"c")
    }

    #[test]
    fn pitfall_04_the_counter_stops_before_two_to_the_38() {
        let mut sealer = sealer();
        sealer.skip_to(MAX_CHUNKS - 2);
        let mut slot = [7; SEALED_CHUNK_LEN];
        sealer.seal_chunk_in_place(&mut slot).unwrap();
        let before = slot;
        assert!(matches!(sealer.seal_chunk_in_place(&mut slot), Err(SealError::TooLong)));
        assert!(matches!(sealer.segment(1), Err(SealError::TooLong)));
        assert!(matches!(sealer.segment(u64::MAX), Err(SealError::TooLong)));
        assert_eq!(before, slot);
        assert_eq!(sealer.finish(b"end", &mut slot).unwrap(), 3 + TAG_LEN);
    }

    #[test]
    fn segments_sealed_out_of_order_on_threads_make_the_same_message() {
        let plain: Vec<u8> = (0..5 * CHUNK_LEN + 99).map(|i| (i / 7) as u8).collect();
        let mut sealer = sealer();
        let mut out = sealer.head().as_bytes().to_vec();
        let (full, rest) = plain.as_chunks::<CHUNK_LEN>();
        let mut a = sealer.segment(2).unwrap();
        let mut b = sealer.segment(3).unwrap();
        let mut sealed = vec![[0; SEALED_CHUNK_LEN]; 5];
        let (first, second) = sealed.split_at_mut(2);
        std::thread::scope(|scope| {
            scope.spawn(|| full[2..].iter().zip(second).for_each(|(p, o)| b.seal_chunk(p, o)));
            scope.spawn(|| {
                for (p, o) in full[..2].iter().zip(first) {
                    o[..CHUNK_LEN].copy_from_slice(p);
                    a.seal_chunk_in_place(o);
                }
            });
        });
        assert_eq!((a.remaining(), b.remaining()), (0, 0));
        out.extend_from_slice(sealed.as_flattened());
        let mut last = rest.to_vec();
        last.resize(rest.len() + TAG_LEN, 0);
        sealer.finish_in_place(&mut last, rest.len()).unwrap();
        out.extend_from_slice(&last);
        assert_eq!(unseal(&Dek::from_bytes([1; 16]), b"c", &out).unwrap(), plain);
    }

    #[test]
    #[should_panic(expected = "all chunks of this segment are sealed")]
    fn pitfall_04_a_segment_never_goes_beyond_its_numbers() {
        let mut segment = sealer().segment(1).unwrap();
        let mut slot = [0; SEALED_CHUNK_LEN];
        segment.seal_chunk_in_place(&mut slot);
        segment.seal_chunk_in_place(&mut slot);
    }

    #[test]
    #[should_panic(expected = "shorter than 16 KiB")]
    fn the_last_chunk_cannot_be_full() {
        let _ = sealer().finish(&[0; CHUNK_LEN], &mut [0; SEALED_CHUNK_LEN]);
    }

    #[test]
    fn pitfall_41_debug_shows_lengths_only() {
        let (dek, salt) = (Dek::from_bytes([0xd1; 16]), Salt::from_bytes([2; 24]));
        let mut sealer = Sealer::new(Backend::best(), &dek, &salt, b"c");
        sealer.update(b"SECRET", &mut Vec::new()).unwrap();
        let text = format!("{sealer:?}");
        assert!(text.contains("partial_len: 6") && !text.contains("SECRET"), "{text}");
        assert!(!text.contains("d1d1") && !text.contains("209, 209"), "{text}");
    }
}
