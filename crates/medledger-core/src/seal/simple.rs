//! One call for bytes in memory, one for a reader and a writer.

use super::pull::read_full;
use super::{
    Backend, CHUNK_LEN, ChunkSealer, HEAD_LEN, Head, SEALED_CHUNK_LEN, Salt, SealError,
    SealingReader, UnsealError, Unsealer, plain_len, sealed_len,
};
use crate::dek::Dek;
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Seals bytes in memory, with a fresh salt and the fastest backend.
///
/// ```
/// use medledger_core::{dek::Dek, rand_core::UnwrapErr, seal};
/// let mut rng = UnwrapErr(getrandom::SysRng);
/// let dek = Dek::generate(&mut rng);
/// let sealed = seal::seal(&dek, b"context", b"a report", &mut rng).unwrap();
/// assert_eq!(seal::unseal(&dek, b"context", &sealed).unwrap(), b"a report");
/// ```
///
/// # Errors
/// [`SealError::TooLong`] when the ciphertext cannot be held.
pub fn seal(
    dek: &Dek,
    context: &[u8],
    data: &[u8],
    rng: &mut dyn rand_core::CryptoRng,
) -> Result<Vec<u8>, SealError> {
    seal_with(Backend::best(), dek, &Salt::random(rng), context, data)
}

/// As [`seal()`], with backend and salt given. A salt must never be used twice with one DEK.
///
/// # Errors
/// As for [`seal()`].
pub fn seal_with(
    backend: Backend,
    dek: &Dek,
    salt: &Salt,
    context: &[u8],
    data: &[u8],
) -> Result<Vec<u8>, SealError> {
    let len = sealed_len(data.len() as u64).and_then(|len| usize::try_from(len).ok());
    let mut out = vec![0; len.ok_or(SealError::TooLong)?];
    let mut sealer = ChunkSealer::new(backend, dek, salt, context);
    let (head, chunks) = out.split_at_mut(HEAD_LEN);
    head.copy_from_slice(sealer.head().as_bytes());
    let (full, rest) = data.as_chunks::<CHUNK_LEN>();
    let (slots, last) = chunks.as_chunks_mut::<SEALED_CHUNK_LEN>();
    for (plain, slot) in full.iter().zip(slots) {
        sealer.seal_chunk(plain, slot)?;
    }
    sealer.finish(rest, last)?;
    Ok(out)
}

/// Opens bytes in memory, with the fastest backend.
///
/// # Errors
/// See [`UnsealError`]; nothing of the plaintext is given then.
pub fn unseal(dek: &Dek, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
    unseal_with(Backend::best(), dek, context, sealed)
}

/// As [`unseal`], with the backend given.
///
/// # Errors
/// As for [`unseal`].
pub fn unseal_with(
    backend: Backend,
    dek: &Dek,
    context: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, UnsealError> {
    let invalid = UnsealError::InvalidLength { len: sealed.len() as u64 };
    let (head, chunks) = sealed.split_first_chunk().ok_or(invalid)?;
    let unsealer = Unsealer::new(backend, dek, &Head::from_bytes(*head), context)?;
    let len = plain_len(sealed.len() as u64)?;
    let len = usize::try_from(len).map_err(|_| UnsealError::TooLong)?;
    let mut plain = Zeroizing::new(vec![0; len]);
    let (slots, last) = chunks.as_chunks::<SEALED_CHUNK_LEN>();
    let mut rest = plain.as_mut_slice();
    for (index, slot) in (0..).zip(slots) {
        let n = unsealer.open_chunk(index, false, slot, rest)?;
        rest = &mut rest[n..];
    }
    unsealer.open_chunk(slots.len() as u64, true, last, rest)?;
    Ok(std::mem::take(&mut *plain))
}

/// Seals everything `reader` gives into `writer`, in constant memory. Returns the bytes written.
///
/// # Errors
/// When reading or writing fails, or the plaintext is too long; what was written is of no use then.
pub fn seal_stream(
    dek: &Dek,
    context: &[u8],
    reader: impl Read,
    writer: impl Write,
    rng: &mut dyn rand_core::CryptoRng,
) -> Result<u64, SealError> {
    seal_stream_with(Backend::best(), dek, &Salt::random(rng), context, reader, writer)
}

/// As [`seal_stream`], with backend and salt given. A salt must never be used twice with one DEK.
///
/// # Errors
/// As for [`seal_stream`].
pub fn seal_stream_with(
    backend: Backend,
    dek: &Dek,
    salt: &Salt,
    context: &[u8],
    reader: impl Read,
    mut writer: impl Write,
) -> Result<u64, SealError> {
    let mut sealing = SealingReader::new(backend, dek, salt, context, reader);
    let mut buf = vec![0; HEAD_LEN + BATCH * SEALED_CHUNK_LEN];
    let mut written = 0;
    loop {
        let n = sealing.fill(&mut buf)?;
        writer.write_all(&buf[..n])?;
        written += n as u64;
        if n < buf.len() {
            writer.flush()?;
            return Ok(written);
        }
        // The head is out, so from here on buffers hold whole chunks and none straddles.
        buf.truncate(BATCH * SEALED_CHUNK_LEN);
    }
}

/// Opens everything `reader` gives into `writer`, in constant memory. Returns the bytes written.
///
/// Each chunk is verified before it is written, but only the last one proves that nothing is
/// missing: **on an error, what was written must be thrown away.**
///
/// # Errors
/// See [`UnsealError`].
pub fn unseal_stream(
    dek: &Dek,
    context: &[u8],
    reader: impl Read,
    writer: impl Write,
) -> Result<u64, UnsealError> {
    unseal_stream_with(Backend::best(), dek, context, reader, writer)
}

/// As [`unseal_stream`], with the backend given.
///
/// # Errors
/// As for [`unseal_stream`].
pub fn unseal_stream_with(
    backend: Backend,
    dek: &Dek,
    context: &[u8],
    mut reader: impl Read,
    mut writer: impl Write,
) -> Result<u64, UnsealError> {
    let mut head = [0; HEAD_LEN];
    let n = read_full(&mut reader, &mut head)?;
    if n < HEAD_LEN {
        return Err(UnsealError::InvalidLength { len: n as u64 });
    }
    let unsealer = Unsealer::new(backend, dek, &Head::from_bytes(head), context)?;
    let mut sealed = vec![0; BATCH * SEALED_CHUNK_LEN];
    let mut plain = Zeroizing::new(vec![0; BATCH * CHUNK_LEN]);
    let (mut index, mut written) = (0, 0);
    loop {
        let n = read_full(&mut reader, &mut sealed)?;
        let end = n < sealed.len();
        let (slots, last) = sealed[..n].as_chunks::<SEALED_CHUNK_LEN>();
        let mut at = 0;
        for slot in slots {
            at += unsealer.open_chunk(index, false, slot, &mut plain[at..])?;
            index += 1;
        }
        if end {
            if last.is_empty() {
                return Err(UnsealError::Truncated);
            }
            at += unsealer.open_chunk(index, true, last, &mut plain[at..])?;
        }
        writer.write_all(&plain[..at])?;
        written += at as u64;
        if end {
            writer.flush()?;
            return Ok(written);
        }
    }
}

/// Chunks handled at once by the streams: 256 KiB, so that writes are few and caches not exceeded.
const BATCH: usize = 16;
