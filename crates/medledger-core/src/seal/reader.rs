//! Random access to something sealed that lies elsewhere.

use super::{
    Backend, CHUNK_LEN, HEAD_LEN, Head, SEALED_CHUNK_LEN, UnsealError, Unsealer, plain_len,
};
use crate::dek::Dek;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Bytes that can be read from any place.
pub trait ReadAt: Send + Sync {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// When not all of them can be had; typed errors travel inside [`io::Error`].
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|at| self.get(at..)?.get(..buf.len()));
        buf.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, buf)
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn size(&self) -> u64 {
                (**self).size()
            }

            fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
                (**self).read_at(offset, buf)
            }
        }
    )*};
}

forward!(&T, Box<T>, Arc<T>);

/// Most bytes that a range is given room for before the end is proved, which fetches the last chunk.
const UNPROVED: usize = 16 * 1024 * 1024;

/// The plaintext of something sealed, as ranges or through [`Read`] and [`Seek`].
///
/// A chunk is fetched into a buffer of this reader, verified, and only then handed out. The length
/// is believed only as far as it is proved: whoever asks for it, seeks from the end, or reads to the
/// end makes the reader open the last chunk first (section "Implementation notes").
///
/// ```
/// use medledger_core::{dek::Dek, rand_core::UnwrapErr, seal::{self, Backend, UnsealReader}};
/// let mut rng = UnwrapErr(getrandom::SysRng);
/// let dek = Dek::generate(&mut rng);
/// let sealed = seal::seal(&dek, b"context", &vec![7; 100_000], &mut rng).unwrap();
/// let mut reader = UnsealReader::new(Backend::best(), &dek, b"context", sealed)?;
/// assert_eq!(reader.read_range(99_000, 1000)?, [7; 1000]);
/// assert_eq!(reader.len()?, 100_000);
/// # Ok::<(), seal::UnsealError>(())
/// ```
pub struct UnsealReader<R> {
    source: R,
    unsealer: Unsealer,
    /// Length of the plaintext as the source's size has it.
    plain_len: u64,
    /// What is shown of it, when the rest is padding.
    visible: u64,
    end_proved: bool,
    pos: u64,
    sealed: Box<[u8; SEALED_CHUNK_LEN]>,
    chunk: Zeroizing<Vec<u8>>,
    /// Number and length of the chunk in `chunk`.
    held: Option<(u64, usize)>,
}

impl<R: ReadAt> UnsealReader<R> {
    /// Reads the head, compares the commitment and checks that the size is a possible one.
    ///
    /// # Errors
    /// [`UnsealError::WrongKeyOrContext`], [`UnsealError::Truncated`],
    /// [`UnsealError::InvalidLength`], [`UnsealError::TooLong`] or [`UnsealError::Io`].
    pub fn new(
        backend: Backend,
        dek: &Dek,
        context: &[u8],
        source: R,
    ) -> Result<Self, UnsealError> {
        if source.size() < HEAD_LEN as u64 {
            return Err(UnsealError::InvalidLength { len: source.size() });
        }
        let mut head = [0; HEAD_LEN];
        source.read_at(0, &mut head)?;
        Self::with_head(backend, dek, &Head::from_bytes(head), context, source)
    }

    /// As [`new`](Self::new) with the head known from elsewhere, such as the
    /// [envelope](crate::envelope): nothing is read yet, so that a range costs only the leaves it
    /// touches. Chunks sealed under another head do not open.
    ///
    /// # Errors
    /// As for [`new`](Self::new), without [`UnsealError::Io`].
    pub fn with_head(
        backend: Backend,
        dek: &Dek,
        head: &Head,
        context: &[u8],
        source: R,
    ) -> Result<Self, UnsealError> {
        let size = source.size();
        if size < HEAD_LEN as u64 {
            return Err(UnsealError::InvalidLength { len: size });
        }
        let unsealer = Unsealer::new(backend, dek, head, context)?;
        let plain_len = plain_len(size)?;
        Ok(Self {
            source,
            unsealer,
            plain_len,
            visible: plain_len,
            end_proved: false,
            pos: 0,
            sealed: Box::new([0; SEALED_CHUNK_LEN]),
            chunk: Zeroizing::new(vec![0; CHUNK_LEN]),
            held: None,
        })
    }

    /// Shows only the first `true_len` bytes: the rest is [padding](crate::padding).
    ///
    /// # Errors
    /// [`UnsealError::OutOfRange`] when there are fewer.
    pub fn with_true_len(mut self, true_len: u64) -> Result<Self, UnsealError> {
        if true_len > self.plain_len {
            return Err(self.out_of_range(0, true_len));
        }
        self.visible = true_len;
        Ok(self)
    }

    /// Length of the plaintext, after the last chunk has proved it.
    ///
    /// # Errors
    /// As for [`read_range`](Self::read_range).
    pub fn len(&mut self) -> Result<u64, UnsealError> {
        self.prove_end()?;
        Ok(self.visible)
    }

    /// Whether there is no plaintext, after the last chunk has proved it.
    ///
    /// # Errors
    /// As for [`read_range`](Self::read_range).
    pub fn is_empty(&mut self) -> Result<bool, UnsealError> {
        Ok(self.len()? == 0)
    }

    /// The source.
    pub const fn get_ref(&self) -> &R {
        &self.source
    }

    /// `len` bytes of plaintext from `offset` on.
    ///
    /// Memory is touched only as far as chunks were verified, and beyond 16 MiB the end is proved
    /// first: who sealed this may have claimed any length. A smaller range touches only the chunks it
    /// lies in.
    ///
    /// # Errors
    /// [`UnsealError::OutOfRange`] when not all of them exist (nothing is allocated then),
    /// [`UnsealError::NoMemory`] when they do not fit, [`UnsealError::Damaged`] with the chunk, or
    /// [`UnsealError::Io`].
    pub fn read_range(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, UnsealError> {
        self.check_range(offset, len)?;
        if len > UNPROVED {
            self.prove_end()?;
        }
        let mut plain = Zeroizing::new(Vec::new());
        // Whole, so that plaintext is never left behind where a growing vector was.
        plain.try_reserve_exact(len).map_err(|_| UnsealError::NoMemory { len: len as u64 })?;
        while plain.len() < len {
            let at = offset + plain.len() as u64;
            // Up to the end of a chunk, so that the next ones are decrypted right into place.
            let room = CHUNK_LEN - (at % CHUNK_LEN as u64) as usize;
            let from = plain.len();
            plain.resize(len.min(from + room), 0);
            self.copy_out(at, &mut plain[from..])?;
        }
        Ok(std::mem::take(&mut *plain))
    }

    /// Fills `buf` with the plaintext from `offset` on; whole chunks are decrypted right into it.
    ///
    /// # Errors
    /// As for [`read_range`](Self::read_range); `buf` is then zeros.
    pub fn read_into(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), UnsealError> {
        let result = self.check_range(offset, buf.len()).and_then(|()| self.copy_out(offset, buf));
        if result.is_err() {
            buf.zeroize();
        }
        result
    }

    fn copy_out(&mut self, mut offset: u64, mut buf: &mut [u8]) -> Result<(), UnsealError> {
        while !buf.is_empty() {
            let (index, skip) = (offset / CHUNK_LEN as u64, (offset % CHUNK_LEN as u64) as usize);
            let whole = skip == 0 && index < self.last_index() && buf.len() >= CHUNK_LEN;
            let n = if whole && self.held.is_none_or(|(held, _)| held != index) {
                let len = self.fetch(index)?;
                self.unsealer.open_chunk(index, false, &self.sealed[..len], buf)?
            } else {
                let len = self.hold(index)?;
                let n = (len - skip).min(buf.len());
                buf[..n].copy_from_slice(&self.chunk[skip..skip + n]);
                n
            };
            offset += n as u64;
            buf = &mut buf[n..];
        }
        Ok(())
    }

    fn check_range(&mut self, offset: u64, len: usize) -> Result<(), UnsealError> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.visible => Ok(()),
            _ => {
                // "Beyond the end" is an answer about the length, so that is proved first.
                self.prove_end()?;
                Err(self.out_of_range(offset, len as u64))
            }
        }
    }

    const fn out_of_range(&self, offset: u64, len: u64) -> UnsealError {
        UnsealError::OutOfRange { offset, len, plain_len: self.visible }
    }

    const fn last_index(&self) -> u64 {
        self.plain_len / CHUNK_LEN as u64
    }

    fn prove_end(&mut self) -> Result<(), UnsealError> {
        if !self.end_proved {
            self.hold(self.last_index())?;
        }
        Ok(())
    }

    /// Ciphertext of chunk `index` into `sealed`; gives its length.
    fn fetch(&mut self, index: u64) -> Result<usize, UnsealError> {
        let start = HEAD_LEN as u64 + index * SEALED_CHUNK_LEN as u64;
        let len = if index < self.last_index() {
            SEALED_CHUNK_LEN
        } else {
            (self.plain_len % CHUNK_LEN as u64) as usize + super::TAG_LEN
        };
        self.source.read_at(start, &mut self.sealed[..len])?;
        Ok(len)
    }

    /// Makes `chunk` hold the plaintext of chunk `index`; gives its length.
    fn hold(&mut self, index: u64) -> Result<usize, UnsealError> {
        if let Some((held, len)) = self.held
            && held == index
        {
            return Ok(len);
        }
        self.held = None;
        let len = self.fetch(index)?;
        let last = index == self.last_index();
        let sealed = &self.sealed[..len];
        let len = self.unsealer.open_chunk(index, last, sealed, &mut self.chunk[..])?;
        self.held = Some((index, len));
        self.end_proved |= last;
        Ok(len)
    }
}

impl<R: ReadAt> Read for UnsealReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.pos >= self.visible {
            if !buf.is_empty() {
                self.prove_end()?;
            }
            return Ok(0);
        }
        let n = (self.visible - self.pos).min(buf.len() as u64) as usize;
        self.read_into(self.pos, &mut buf[..n])?;
        self.pos += n as u64;
        Ok(n)
    }
}

impl<R: ReadAt> Seek for UnsealReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let pos = match to {
            SeekFrom::Start(pos) => Some(pos),
            SeekFrom::Current(by) => self.pos.checked_add_signed(by),
            SeekFrom::End(by) => self.len()?.checked_add_signed(by),
        };
        self.pos = pos.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.pos)
    }
}

impl<R> std::fmt::Debug for UnsealReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnsealReader")
            .field("plain_len", &self.plain_len)
            .field("visible", &self.visible)
            .field("pos", &self.pos)
            .finish_non_exhaustive()
    }
}
