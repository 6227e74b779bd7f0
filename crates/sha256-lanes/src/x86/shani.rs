//! The SHA instructions of x86: each does two rounds or four words in a few cycles, but has to wait for the
//! one before, so several buffers are interleaved. With four of them the 16 registers no longer hold all
//! words of all blocks, and yet it is faster than with two or three (measured on Zen 3).

use std::arch::x86_64::*;

use super::prefetch;
use crate::{BLOCK_LEN, K};

macro_rules! compress_streams {
    ($name:ident, $features:literal) => {
        /// Compresses the blocks of `N` buffers, as many as the one with the fewest has.
        #[target_feature(enable = $features)]
        pub(crate) fn $name<const N: usize>(states: &mut [[u32; 8]; N], data: &[&[u8]; N]) {
            let blocks = data.iter().map(|buffer| buffer.len() / BLOCK_LEN).min().unwrap_or(0);
            let mut state = states.each_ref().map(|state| load_state(state));
            for block in 0..blocks {
                let before = state;
                data.iter().for_each(|buffer| prefetch(buffer, block));
                let mut w = data.map(|buffer| load_block(&buffer.as_chunks().0[block]));
                for group in 0..16 {
                    let k = constants(group);
                    for lane in 0..N {
                        let [abef, cdgh] = &mut state[lane];
                        let w = &mut w[lane];
                        let wk = _mm_add_epi32(w[group % 4], k);
                        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, wk);
                        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(wk));
                        if group < 12 {
                            w[group % 4] = next_words(w, group);
                        }
                    }
                }
                for (state, before) in state.iter_mut().zip(before) {
                    *state =
                        [_mm_add_epi32(state[0], before[0]), _mm_add_epi32(state[1], before[1])];
                }
            }
            for (words, state) in states.iter_mut().zip(state) {
                *words = store_state(state);
            }
        }
    };
}

compress_streams!(compress, "sha,ssse3,sse4.1");
// With three operands the compiler needs fewer moves.
compress_streams!(compress_avx, "sha,ssse3,sse4.1,avx");

/// The four words of the schedule that follow sixteen, of which `group % 4` is the oldest quarter.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
pub(crate) fn next_words(w: &[__m128i; 4], group: usize) -> __m128i {
    let [w0, w1, w2, w3] = [0, 1, 2, 3].map(|i| w[(group + i) % 4]);
    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
    _mm_sha256msg2_epu32(sum, w3)
}

/// The constants of four rounds.
#[target_feature(enable = "sse4.1")]
#[inline]
pub(crate) fn constants(group: usize) -> __m128i {
    let four: &[u32; 4] = &K.0.as_chunks().0[group];
    // SAFETY: 16 bytes are there, and the load asks for no alignment.
    unsafe { _mm_loadu_si128(four.as_ptr().cast()) }
}

/// A state in the order the instructions want: a, b, e, f and c, d, g, h, the first word on top.
#[target_feature(enable = "ssse3,sse4.1")]
#[inline]
pub(crate) fn load_state(s: &[u32; 8]) -> [__m128i; 2] {
    let [a, b, c, d, e, f, g, h] = s.map(u32::cast_signed);
    [_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h)]
}

#[target_feature(enable = "ssse3,sse4.1")]
#[inline]
pub(crate) fn store_state([abef, cdgh]: [__m128i; 2]) -> [u32; 8] {
    let ([f, e, b, a], [h, g, d, c]) = (words(abef), words(cdgh));
    [a, b, c, d, e, f, g, h]
}

#[target_feature(enable = "sse4.1")]
#[inline]
fn words(vector: __m128i) -> [u32; 4] {
    let mut words = [0; 4];
    // SAFETY: the array is 16 bytes, and the store asks for no alignment.
    unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), vector) };
    words
}

#[target_feature(enable = "ssse3,sse4.1")]
#[inline]
fn load_block(block: &[u8; BLOCK_LEN]) -> [__m128i; 4] {
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let quarter = |i: usize| {
        let bytes: &[u8; 16] = &block.as_chunks().0[i];
        // SAFETY: 16 bytes are there, and the load asks for no alignment.
        let words = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        _mm_shuffle_epi8(words, swap)
    };
    [quarter(0), quarter(1), quarter(2), quarter(3)]
}
