//! Many messages hashed piece by piece.

use crate::compress::{Job, compress_all};
use crate::{BLOCK_LEN, Digest, INITIAL, Kernel};

/// Several messages on their way through SHA-256 together.
///
/// Each [`update`](Self::update) gives every message its next piece, so that a piece may be hashed while it is
/// still in the cache. Pieces that are multiples of 64 bytes, and of one length, are fastest.
///
/// ```
/// use sha256_lanes::Streams;
/// let mut streams = Streams::new(2);
/// streams.update(&[&b"one "[..], b"two"]);
/// streams.update(&[&b"message"[..], b""]);
/// let digests = streams.finish();
/// assert_eq!(digests[0], sha256_lanes::digest(b"one message"));
/// assert_eq!(digests[1], sha256_lanes::digest(b"two"));
/// ```
#[derive(Clone, Debug)]
pub struct Streams {
    kernel: Kernel,
    states: Vec<[u32; 8]>,
    partial: Vec<Partial>,
}

/// What of a message did not fill a block yet.
#[derive(Clone, Debug)]
struct Partial {
    bytes: [u8; BLOCK_LEN],
    /// Bytes of the whole message so far.
    total: u64,
}

impl Partial {
    fn len(&self) -> usize {
        (self.total % BLOCK_LEN as u64) as usize
    }

    /// Takes as much as is missing in the block; true when it is full now.
    fn fill(&mut self, piece: &mut &[u8]) -> bool {
        let at = self.len();
        if at == 0 {
            return false;
        }
        let (head, rest) = piece.split_at(piece.len().min(BLOCK_LEN - at));
        self.bytes[at..at + head.len()].copy_from_slice(head);
        self.total += head.len() as u64;
        *piece = rest;
        at + head.len() == BLOCK_LEN
    }

    /// Counts whole blocks, which are hashed where they lie, and keeps what follows them.
    fn keep<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let (whole, rest) = piece.split_at(piece.len() - piece.len() % BLOCK_LEN);
        self.bytes[..rest.len()].copy_from_slice(rest);
        self.total += piece.len() as u64;
        whole
    }
}

impl Streams {
    /// So many messages, with nothing in them yet, for the [best](Kernel::best) kernel.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self::with_kernel(Kernel::best(), count)
    }

    /// As [`new`](Self::new), with a kernel of choice.
    ///
    /// # Panics
    /// When this machine has not got the kernel.
    #[must_use]
    pub fn with_kernel(kernel: Kernel, count: usize) -> Self {
        kernel.assert_available();
        let partial = Partial { bytes: [0; BLOCK_LEN], total: 0 };
        Self { kernel, states: vec![INITIAL; count], partial: vec![partial; count] }
    }

    /// The kernel in use.
    #[must_use]
    pub const fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Appends a piece, which may be empty, to each message.
    ///
    /// # Panics
    /// When there are not as many pieces as messages.
    pub fn update<T: AsRef<[u8]>>(&mut self, pieces: &[T]) {
        assert_eq!(pieces.len(), self.len(), "a piece for each message");
        let mut pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
        let mut jobs = Vec::with_capacity(self.len());
        let mut filled = Vec::new();
        for ((partial, piece), index) in self.partial.iter_mut().zip(&mut pieces).zip(0..) {
            if partial.fill(piece) {
                filled.push(index);
            }
        }
        if !filled.is_empty() {
            let mut next = filled.iter().peekable();
            for (index, (state, partial)) in self.states.iter_mut().zip(&self.partial).enumerate() {
                if next.next_if_eq(&&index).is_some() {
                    jobs.push(Job { state, data: &partial.bytes });
                }
            }
            compress_all(self.kernel, &mut jobs);
        }
        let mut jobs = Vec::with_capacity(self.states.len());
        for ((state, partial), piece) in self.states.iter_mut().zip(&mut self.partial).zip(pieces) {
            let data = partial.keep(piece);
            if !data.is_empty() {
                jobs.push(Job { state, data });
            }
        }
        compress_all(self.kernel, &mut jobs);
    }

    /// The digests, in the order of the messages.
    #[must_use]
    pub fn finish(mut self) -> Vec<Digest> {
        let tails: Vec<Tail> = self
            .partial
            .iter()
            .map(|partial| Tail::new(&partial.bytes[..partial.len()], partial.total))
            .collect();
        let jobs = self.states.iter_mut().zip(&tails);
        let mut jobs: Vec<_> =
            jobs.map(|(state, tail)| Job { state, data: tail.blocks() }).collect();
        compress_all(self.kernel, &mut jobs);
        self.states.iter().map(digest_of).collect()
    }
}

/// The end of a message, padded to whole blocks (FIPS 180-4, 5.1.1).
pub(crate) struct Tail {
    bytes: [u8; 2 * BLOCK_LEN],
    len: usize,
}

impl Tail {
    /// `rest` is what follows the last whole block of a message of `total` bytes.
    pub(crate) fn new(rest: &[u8], total: u64) -> Self {
        let mut bytes = [0; 2 * BLOCK_LEN];
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()] = 0x80;
        let len = if rest.len() < BLOCK_LEN - 8 { BLOCK_LEN } else { 2 * BLOCK_LEN };
        bytes[len - 8..len].copy_from_slice(&total.wrapping_mul(8).to_be_bytes());
        Self { bytes, len }
    }

    pub(crate) fn blocks(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The bytes of a state.
pub(crate) fn digest_of(state: &[u32; 8]) -> Digest {
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}
