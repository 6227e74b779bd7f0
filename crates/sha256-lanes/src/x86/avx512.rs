//! AVX-512: sixteen buffers side by side, a word of each in every vector.

use std::arch::x86_64::*;

use super::compress_lanes;
use crate::scan::scan_lanes;

pub(crate) type Vector = __m512i;
pub(crate) const LANES: usize = 16;

compress_lanes!(Vector, 16, "avx512f,avx512bw");
scan_lanes!(Vector, #[target_feature(enable = "avx512f,avx512bw")]);

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn splat(x: u32) -> Vector {
    _mm512_set1_epi32(x.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn add(a: Vector, b: Vector) -> Vector {
    _mm512_add_epi32(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn xor3(a: Vector, b: Vector, c: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

/// `e ? f : g`, bit by bit.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn ch(e: Vector, f: Vector, g: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0xca>(e, f, g)
}

/// The majority of three, bit by bit.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn maj(a: Vector, b: Vector, c: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0xe8>(a, b, c)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn big_sigma0(x: Vector) -> Vector {
    xor3(_mm512_ror_epi32::<2>(x), _mm512_ror_epi32::<13>(x), _mm512_ror_epi32::<22>(x))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn big_sigma1(x: Vector) -> Vector {
    xor3(_mm512_ror_epi32::<6>(x), _mm512_ror_epi32::<11>(x), _mm512_ror_epi32::<25>(x))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn small_sigma0(x: Vector) -> Vector {
    xor3(_mm512_ror_epi32::<7>(x), _mm512_ror_epi32::<18>(x), _mm512_srli_epi32::<3>(x))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn small_sigma1(x: Vector) -> Vector {
    xor3(_mm512_ror_epi32::<17>(x), _mm512_ror_epi32::<19>(x), _mm512_srli_epi32::<10>(x))
}

/// A vector of these lanes, lane 0 first.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn from_lanes(lanes: &[u32; LANES]) -> Vector {
    // SAFETY: the array is 64 bytes, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

/// The lanes of a vector, lane 0 first.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn to_lanes(vector: Vector) -> [u32; LANES] {
    let mut lanes = [0; LANES];
    // SAFETY: the array is 64 bytes, and the store asks for no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) };
    lanes
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_states(states: &[[u32; 8]; LANES]) -> [Vector; 8] {
    std::array::from_fn(|word| from_lanes(&std::array::from_fn(|lane| states[lane][word])))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store_states(states: &mut [[u32; 8]; LANES], vectors: &[Vector; 8]) {
    for (word, vector) in vectors.iter().enumerate() {
        for (state, value) in states.iter_mut().zip(to_lanes(*vector)) {
            state[word] = value;
        }
    }
}

/// Block number `block` of every lane: vector `i` holds word `i` of all of them.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn load_block(data: &[&[u8]; LANES], block: usize) -> [Vector; 16] {
    let row = |lane: usize| {
        let bytes: &[u8; 64] = &data[lane].as_chunks().0[block];
        // SAFETY: 64 bytes are there, and the load asks for no alignment.
        let words = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        turn_bytes(words)
    };
    transpose(std::array::from_fn(row))
}

/// Rows to columns: 16 times 16 words.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(r: [Vector; 16]) -> [Vector; 16] {
    // Four by four words within each quarter of the vectors, for each group of four rows...
    let mut t = r;
    for i in (0..16).step_by(4) {
        let ab_low = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        let ab_high = _mm512_unpackhi_epi32(r[i], r[i + 1]);
        let cd_low = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]);
        let cd_high = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
        t[i] = _mm512_unpacklo_epi64(ab_low, cd_low);
        t[i + 1] = _mm512_unpackhi_epi64(ab_low, cd_low);
        t[i + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
        t[i + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
    }
    // ...then four by four quarters.
    let mut out = t;
    for i in 0..4 {
        let ab_low = _mm512_shuffle_i32x4::<0x88>(t[i], t[i + 4]);
        let ab_high = _mm512_shuffle_i32x4::<0xdd>(t[i], t[i + 4]);
        let cd_low = _mm512_shuffle_i32x4::<0x88>(t[i + 8], t[i + 12]);
        let cd_high = _mm512_shuffle_i32x4::<0xdd>(t[i + 8], t[i + 12]);
        out[i] = _mm512_shuffle_i32x4::<0x88>(ab_low, cd_low);
        out[i + 4] = _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high);
        out[i + 8] = _mm512_shuffle_i32x4::<0xdd>(ab_low, cd_low);
        out[i + 12] = _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high);
    }
    out
}

/// The nonces from `first` on, as words of a block: with their bytes turned.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn nonces(first: u32) -> Vector {
    let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    turn_bytes(add(splat(first), lanes))
}

/// In which lanes the word, with its bytes turned, is `limit` at most.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn not_above(word: Vector, limit: u32) -> u32 {
    u32::from(_mm512_cmple_epu32_mask(turn_bytes(word), splat(limit)))
}

/// Every word with its bytes in the other order.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn turn_bytes(words: Vector) -> Vector {
    let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm512_shuffle_epi8(words, _mm512_broadcast_i32x4(order))
}
