//! Digests of buffers that lie in memory.

use crate::compress::{compress_groups, compress_one};
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

/// SHA-256 of the SHA-256 of each buffer, as Bitcoin hashes its headers, appended to `digests` in their order.
///
/// All of one length known to the compiler, so that nothing is sorted or shared out: what counts with
/// buffers of a block or two.
///
/// ```
/// let headers = [[1; 80], [2; 80]];
/// let mut digests = Vec::new();
/// sha256_lanes::double_digest_many(&headers, &mut digests);
/// assert_eq!(digests[1], sha256_lanes::digest(&sha256_lanes::digest(&headers[1])));
/// ```
pub fn double_digest_many<const LEN: usize>(inputs: &[[u8; LEN]], digests: &mut Vec<Digest>) {
    double_digest_many_with(Kernel::best(), inputs, digests);
}

/// As [`double_digest_many`], with a kernel of choice: for tests and measurements.
///
/// # Panics
/// When this machine has not got the kernel.
pub fn double_digest_many_with<const LEN: usize>(
    kernel: Kernel,
    inputs: &[[u8; LEN]],
    digests: &mut Vec<Digest>,
) {
    kernel.assert_available();
    digests.reserve(inputs.len());
    compress_groups(kernel, inputs, digests);
}

/// The double digests of `L` buffers side by side.
pub(crate) fn double_group<const L: usize, const LEN: usize>(
    inputs: &[[u8; LEN]; L],
    compress: impl Fn(&mut [[u32; 8]; L], &[&[u8]; L]),
) -> [Digest; L] {
    let whole = LEN - LEN % BLOCK_LEN;
    let mut states = [INITIAL; L];
    if whole > 0 {
        compress(&mut states, &inputs.each_ref().map(|input| &input[..whole]));
    }
    let tails = inputs.each_ref().map(|input| Tail::new(&input[whole..], LEN as u64));
    compress(&mut states, &tails.each_ref().map(Tail::blocks));
    let seconds = states.map(|state| Tail::new(&digest_of(&state), 32));
    let mut states = [INITIAL; L];
    compress(&mut states, &seconds.each_ref().map(Tail::blocks));
    states.map(|state| digest_of(&state))
}
