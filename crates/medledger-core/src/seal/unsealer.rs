//! Opening chunk by chunk.

use super::backend::{Backend, Tag};
use super::schedule::{MAX_CHUNKS, Schedule};
use super::{Head, SEALED_CHUNK_LEN, TAG_LEN, UnsealError};
use crate::dek::Dek;
use subtle::ConstantTimeEq;

/// Opens the chunks of one message, in any order.
///
/// Making one proves key and context: the commitment has been compared. That the *message is
/// complete* is known only once its last chunk has been opened as the last; [`UnsealReader`](super::UnsealReader) and [`unseal_stream`](super::unseal_stream) see to that.
#[derive(Debug)]
pub struct Unsealer {
    schedule: Schedule,
}

impl Unsealer {
    /// Derives the key and compares the commitment in constant time, before anything else.
    ///
    /// # Errors
    /// [`UnsealError::WrongKeyOrContext`].
    pub fn new(
        backend: Backend,
        dek: &Dek,
        head: &Head,
        context: &[u8],
    ) -> Result<Self, UnsealError> {
        let schedule = Schedule::derive(backend, dek, &head.salt(), context);
        if schedule.commitment.as_slice().ct_eq(head.commitment()).into() {
            Ok(Self { schedule })
        } else {
            Err(UnsealError::WrongKeyOrContext)
        }
    }

    /// Opens chunk `index` where it lies: on entry ciphertext and tag, on return plaintext in the
    /// first bytes, whose number is returned. `last` says whether the ciphertext ends here.
    ///
    /// # Errors
    /// [`UnsealError::Damaged`] when the tag does not match: the ciphertext bytes are then zeros.
    /// [`UnsealError::Truncated`] for a full chunk in last place, [`UnsealError::InvalidChunk`] for
    /// any other length its place does not allow, [`UnsealError::TooLong`] from chunk 2^38 on.
    pub fn open_chunk_in_place(
        &self,
        index: u64,
        last: bool,
        sealed: &mut [u8],
    ) -> Result<usize, UnsealError> {
        check_place(index, last, sealed.len())?;
        let (bytes, tag): (_, &mut Tag) =
            sealed.split_last_chunk_mut().ok_or(UnsealError::Truncated)?;
        match self.schedule.cipher.open_in_place(self.schedule.nonce(index), bytes, tag) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(UnsealError::Damaged { chunk: index }),
        }
    }

    /// Opens chunk `index` from one place to another; plaintext goes to the first bytes of `out`.
    ///
    /// # Errors
    /// As for [`open_chunk_in_place`](Self::open_chunk_in_place); the bytes of `out` are then zeros
    /// or unchanged.
    ///
    /// # Panics
    /// When `out` is shorter than the plaintext: `sealed` less the tag.
    pub fn open_chunk(
        &self,
        index: u64,
        last: bool,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, UnsealError> {
        check_place(index, last, sealed.len())?;
        let (bytes, tag): (_, &Tag) = sealed.split_last_chunk().ok_or(UnsealError::Truncated)?;
        let out = &mut out[..bytes.len()];
        match self.schedule.cipher.open(self.schedule.nonce(index), bytes, tag, out) {
            Ok(()) => Ok(out.len()),
            Err(_) => Err(UnsealError::Damaged { chunk: index }),
        }
    }
}

/// The last chunk is always short, every other one full; that is how the end is known.
fn check_place(index: u64, last: bool, len: usize) -> Result<(), UnsealError> {
    // A full chunk must leave a number for the last one.
    if index >= MAX_CHUNKS || (!last && index == MAX_CHUNKS - 1) {
        return Err(UnsealError::TooLong);
    }
    match (last, len) {
        (false, SEALED_CHUNK_LEN) => Ok(()),
        (true, SEALED_CHUNK_LEN) => Err(UnsealError::Truncated),
        (true, TAG_LEN..SEALED_CHUNK_LEN) => Ok(()),
        _ => Err(UnsealError::InvalidChunk { chunk: index, len }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{ChunkSealer, Salt};

    #[test]
    fn the_last_possible_chunk_opens_and_none_beyond() {
        let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
        for backend in Backend::all() {
            let mut sealer = ChunkSealer::new(*backend, &dek, &salt, b"");
            let head = *sealer.head();
            sealer.skip_to(MAX_CHUNKS - 1);
            let mut sealed = vec![0; 3 + TAG_LEN];
            sealer.finish(b"end", &mut sealed).unwrap();
            let unsealer = Unsealer::new(*backend, &dek, &head, b"").unwrap();
            let open = |i, last| unsealer.open_chunk_in_place(i, last, &mut sealed.clone());
            assert_eq!(open(MAX_CHUNKS - 1, true).unwrap(), 3);
            assert!(matches!(open(MAX_CHUNKS, true), Err(UnsealError::TooLong)));
            assert!(matches!(open(u64::MAX, true), Err(UnsealError::TooLong)));
            assert!(matches!(open(MAX_CHUNKS - 1, false), Err(UnsealError::TooLong)));
            // 2^38 would be chunk 0 again if the counter wrapped.
            assert!(matches!(open(0, true), Err(UnsealError::Damaged { chunk: 0 })));
        }
    }

    #[test]
    fn pitfall_06_lengths_that_a_place_does_not_allow() {
        let dek = Dek::from_bytes([1; 16]);
        let sealer = ChunkSealer::new(Backend::best(), &dek, &Salt::from_bytes([2; 24]), b"");
        let unsealer = Unsealer::new(Backend::best(), &dek, sealer.head(), b"").unwrap();
        for (last, len) in [(false, 0), (false, 16399), (false, 16401), (true, 15), (true, 16401)] {
            let result = unsealer.open_chunk_in_place(5, last, &mut vec![0; len]);
            assert!(
                matches!(result, Err(UnsealError::InvalidChunk { chunk: 5, len: l }) if l == len)
            );
            let result = unsealer.open_chunk(5, last, &vec![0; len], &mut []);
            assert!(matches!(result, Err(UnsealError::InvalidChunk { chunk: 5, .. })));
        }
        let result = unsealer.open_chunk_in_place(5, true, &mut [0; SEALED_CHUNK_LEN]);
        assert!(matches!(result, Err(UnsealError::Truncated)));
    }
}
