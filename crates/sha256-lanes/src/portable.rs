//! SHA-256 in plain Rust: for every processor, and what the other kernels are compared with.

use crate::rounds::sixteen_rounds;
use crate::{BLOCK_LEN, K};

/// Compresses the whole blocks of `data` into `state` (FIPS 180-4, 6.2.2).
pub(crate) fn compress(state: &mut [u32; 8], data: &[u8]) {
    let (blocks, rest) = data.as_chunks::<BLOCK_LEN>();
    debug_assert!(rest.is_empty());
    for block in blocks {
        compress_words(state, words(block));
    }
}

/// The words of a block.
pub(crate) fn words(block: &[u8; BLOCK_LEN]) -> [u32; 16] {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

/// Compresses one block, given as its words.
pub(crate) fn compress_words(state: &mut [u32; 8], mut w: [u32; 16]) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for group in 0..4 {
        let k = &K.0[16 * group..][..16];
        sixteen_rounds!(a b c d e f g h, w, k, group < 3);
    }
    for (word, add_to) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = add(*word, add_to);
    }
}

pub(crate) const fn splat(x: u32) -> u32 {
    x
}

pub(crate) const fn add(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}

pub(crate) const fn ch(e: u32, f: u32, g: u32) -> u32 {
    g ^ (e & (f ^ g))
}

pub(crate) const fn maj(a: u32, b: u32, c: u32) -> u32 {
    (a & b) ^ (c & (a ^ b))
}

pub(crate) const fn big_sigma0(x: u32) -> u32 {
    x.rotate_right(2) ^ x.rotate_right(13) ^ x.rotate_right(22)
}

pub(crate) const fn big_sigma1(x: u32) -> u32 {
    x.rotate_right(6) ^ x.rotate_right(11) ^ x.rotate_right(25)
}

pub(crate) const fn small_sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

pub(crate) const fn small_sigma1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ (x >> 10)
}
