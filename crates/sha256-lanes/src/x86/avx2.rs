//! AVX2: eight buffers side by side, a word of each in every vector.

use std::arch::x86_64::*;

use super::compress_lanes;
use crate::scan::scan_lanes;

pub(crate) type Vector = __m256i;
pub(crate) const LANES: usize = 8;

compress_lanes!(Vector, 8, "avx2");
scan_lanes!(Vector, #[target_feature(enable = "avx2")]);

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn splat(x: u32) -> Vector {
    _mm256_set1_epi32(x.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn add(a: Vector, b: Vector) -> Vector {
    _mm256_add_epi32(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn xor(a: Vector, b: Vector) -> Vector {
    _mm256_xor_si256(a, b)
}

/// `e ? f : g`, bit by bit.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn ch(e: Vector, f: Vector, g: Vector) -> Vector {
    xor(g, _mm256_and_si256(e, xor(f, g)))
}

/// The majority of three, bit by bit.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn maj(a: Vector, b: Vector, c: Vector) -> Vector {
    // The compiler finds that a ^ b of this round is b ^ c of the next.
    xor(b, _mm256_and_si256(xor(a, b), xor(b, c)))
}

/// Bits turned right by `R`; `L` is 32 less `R`.
#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const R: i32, const L: i32>(x: Vector) -> Vector {
    const { assert!(R + L == 32) };
    _mm256_or_si256(_mm256_srli_epi32::<R>(x), _mm256_slli_epi32::<L>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn big_sigma0(x: Vector) -> Vector {
    xor(xor(rotate::<2, 30>(x), rotate::<13, 19>(x)), rotate::<22, 10>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn big_sigma1(x: Vector) -> Vector {
    xor(xor(rotate::<6, 26>(x), rotate::<11, 21>(x)), rotate::<25, 7>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn small_sigma0(x: Vector) -> Vector {
    xor(xor(rotate::<7, 25>(x), rotate::<18, 14>(x)), _mm256_srli_epi32::<3>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn small_sigma1(x: Vector) -> Vector {
    xor(xor(rotate::<17, 15>(x), rotate::<19, 13>(x)), _mm256_srli_epi32::<10>(x))
}

/// A vector of these lanes, lane 0 first.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn from_lanes(lanes: &[u32; LANES]) -> Vector {
    // SAFETY: the array is 32 bytes, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

/// The lanes of a vector, lane 0 first.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn to_lanes(vector: Vector) -> [u32; LANES] {
    let mut lanes = [0; LANES];
    // SAFETY: the array is 32 bytes, and the store asks for no alignment.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), vector) };
    lanes
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_states(states: &[[u32; 8]; LANES]) -> [Vector; 8] {
    std::array::from_fn(|word| from_lanes(&std::array::from_fn(|lane| states[lane][word])))
}

#[target_feature(enable = "avx2")]
#[inline]
fn store_states(states: &mut [[u32; 8]; LANES], vectors: &[Vector; 8]) {
    for (word, vector) in vectors.iter().enumerate() {
        for (state, value) in states.iter_mut().zip(to_lanes(*vector)) {
            state[word] = value;
        }
    }
}

/// Block number `block` of every lane: vector `i` holds word `i` of all of them.
#[target_feature(enable = "avx2")]
#[inline]
fn load_block(data: &[&[u8]; LANES], block: usize) -> [Vector; 16] {
    let half = |at: usize| {
        let row = |lane: usize| {
            let bytes: &[u8; 32] = &data[lane].as_chunks().0[2 * block + at];
            // SAFETY: 32 bytes are there, and the load asks for no alignment.
            let words = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
            turn_bytes(words)
        };
        transpose(std::array::from_fn(row))
    };
    let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (half(0), half(1));
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// Rows to columns: eight times eight words.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose(r: [Vector; 8]) -> [Vector; 8] {
    // Four by four words within each half of the vectors, for each group of four rows...
    let mut t = r;
    for i in [0, 4] {
        let ab_low = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        let ab_high = _mm256_unpackhi_epi32(r[i], r[i + 1]);
        let cd_low = _mm256_unpacklo_epi32(r[i + 2], r[i + 3]);
        let cd_high = _mm256_unpackhi_epi32(r[i + 2], r[i + 3]);
        t[i] = _mm256_unpacklo_epi64(ab_low, cd_low);
        t[i + 1] = _mm256_unpackhi_epi64(ab_low, cd_low);
        t[i + 2] = _mm256_unpacklo_epi64(ab_high, cd_high);
        t[i + 3] = _mm256_unpackhi_epi64(ab_high, cd_high);
    }
    // ...then two by two halves.
    let mut out = t;
    for i in 0..4 {
        out[i] = _mm256_permute2x128_si256::<0x20>(t[i], t[i + 4]);
        out[i + 4] = _mm256_permute2x128_si256::<0x31>(t[i], t[i + 4]);
    }
    out
}

/// The nonces from `first` on, as words of a block: with their bytes turned.
#[target_feature(enable = "avx2")]
#[inline]
fn nonces(first: u32) -> Vector {
    turn_bytes(add(splat(first), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0)))
}

/// In which lanes the word, with its bytes turned, is `limit` at most.
#[target_feature(enable = "avx2")]
#[inline]
fn not_above(word: Vector, limit: u32) -> u32 {
    let word = turn_bytes(word);
    let low = _mm256_cmpeq_epi32(_mm256_min_epu32(word, splat(limit)), word);
    _mm256_movemask_ps(_mm256_castsi256_ps(low)).cast_unsigned()
}

/// Every word with its bytes in the other order.
#[target_feature(enable = "avx2")]
#[inline]
fn turn_bytes(words: Vector) -> Vector {
    let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm256_shuffle_epi8(words, _mm256_broadcastsi128_si256(order))
}
