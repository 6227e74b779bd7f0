//! Digests of buffers that lie in memory.

use crate::compress::compress_one;
use crate::streams::{Tail, digest_of};
use crate::{BLOCK_LEN, Digest, INITIAL, Kernel, Streams};

/// SHA-256 of one buffer, with the SHA instructions where the machine has them.
///
/// ```
/// assert_eq!(sha256_lanes::digest(b"")[..4], [0xe3, 0xb0, 0xc4, 0x42]);
/// ```
#[must_use]
pub fn digest(input: &[u8]) -> Digest {
    let (whole, rest) = input.split_at(input.len() - input.len() % BLOCK_LEN);
    let mut state = INITIAL;
    compress_one(&mut state, whole);
    compress_one(&mut state, Tail::new(rest, input.len() as u64).blocks());
    digest_of(&state)
}

/// SHA-256 of each buffer, in their order; they may have any lengths.
///
/// ```
/// let digests = sha256_lanes::digest_many(&[&b"abc"[..], &[0; 1000]]);
/// assert_eq!(digests[1], sha256_lanes::digest(&[0; 1000]));
/// ```
#[must_use]
pub fn digest_many<T: AsRef<[u8]>>(inputs: &[T]) -> Vec<Digest> {
    digest_many_with(Kernel::best(), inputs)
}

/// As [`digest_many`], with a kernel of choice: for tests and measurements.
///
/// # Panics
/// When this machine has not got the kernel.
#[must_use]
pub fn digest_many_with<T: AsRef<[u8]>>(kernel: Kernel, inputs: &[T]) -> Vec<Digest> {
    let mut streams = Streams::with_kernel(kernel, inputs.len());
    streams.update(inputs);
    streams.finish()
}
