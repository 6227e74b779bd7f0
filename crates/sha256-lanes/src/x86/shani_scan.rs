//! The nonce scan by the SHA instructions of x86.
//!
//! One `sha256rnds2` waits four cycles for the one before, and another may start in each cycle: so several
//! nonces are tried side by side.

use super::shani::load_state;
use crate::INITIAL;
use crate::scan::{FIRST, Hits, Plan, SECOND};
use std::arch::x86_64::*;

/// Nonces tried side by side.
pub(crate) const STREAMS: usize = 3;

type Words = __m128i;

/// A plan as vectors, words 0 to 3 of four in lanes 0 to 3.
struct Constants {
    /// Constants of the rounds, four to a vector, with what is constant of the words added in.
    k: [Words; 16],
    /// The state after round 3 without the nonce.
    state: [Words; 2],
    midstate: [Words; 2],
    /// Words 16 to 19 of the schedule without the nonce.
    w16: Words,
    /// What is constant in words 20 to 23.
    w20: Words,
    /// What is constant in words 28 to 31.
    w28: Words,
    /// The same of the second hash: its `k`, initial state, words 8 to 11 and 12 to 15.
    second_k: [Words; 16],
    initial: [Words; 2],
    second_w8: Words,
    second_w12: Words,
}

impl Constants {
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    #[inline]
    fn new(plan: &Plan) -> Self {
        let mut k = plan.k;
        for (k, word) in k[18..20].iter_mut().zip(&plan.w16[2..]) {
            *k = k.wrapping_add(*word);
        }
        let [.., s14, s15, _, _] = plan.w30;
        Self {
            k: std::array::from_fn(|i| four(k.as_chunks().0[i])),
            state: load_state(&plan.state),
            midstate: load_state(&plan.midstate),
            w16: four(plan.w16),
            w20: four([FIRST.w4, 0, FIRST.w15, plan.w16[0]]),
            w28: four([0, 0, s14, s15]),
            second_k: std::array::from_fn(|i| four(SECOND.k.as_chunks().0[i])),
            initial: load_state(&INITIAL),
            second_w8: four([SECOND.w8, 0, 0, 0]),
            second_w12: four([0, 0, 0, SECOND.w15]),
        }
    }
}

#[target_feature(enable = "sse4.1")]
#[inline]
fn four(words: [u32; 4]) -> Words {
    let [a, b, c, d] = words.map(u32::cast_signed);
    _mm_set_epi32(d, c, b, a)
}

/// Four rounds of every stream.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn four_rounds<const N: usize>(state: &mut [[Words; 2]; N], wk: [Words; N]) {
    for ([abef, cdgh], wk) in state.iter_mut().zip(wk) {
        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, wk);
    }
    for ([abef, cdgh], wk) in state.iter_mut().zip(wk) {
        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(wk));
    }
}

/// Four words of the schedule and four rounds with them. `$sum` is what is to be completed by the sigma of
/// the words two before; by default nothing in it is constant.
macro_rules! quad {
    ($k:expr, $state:ident, $w:ident, $i:literal) => {
        quad!($k, $state, $w, $i, |w| {
            let near = _mm_sha256msg1_epu32(w[$i % 4], w[($i + 1) % 4]);
            _mm_add_epi32(near, turn(w[($i + 2) % 4], w[($i + 3) % 4]))
        })
    };
    ($k:expr, $state:ident, $w:ident, $i:literal, |$one:ident| $sum:expr) => {
        for $one in &mut $w {
            $one[$i % 4] = _mm_sha256msg2_epu32($sum, $one[($i + 3) % 4]);
        }
        four_rounds(&mut $state, $w.map(|w| _mm_add_epi32(w[$i % 4], $k[$i])));
    };
}

/// The last three words of `low` and the first of `high`.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn turn(low: Words, high: Words) -> Words {
    _mm_alignr_epi8::<4>(high, low)
}

/// Makes a `scan`. The features decide how the compiler writes all but the SHA instructions.
macro_rules! scan_streams {
    ($scan:ident, $features:literal) => {
        /// See [`Hits`].
        #[target_feature(enable = $features)]
        pub(crate) fn $scan(plan: &Plan, limit: u32, first: u32, groups: u32) -> Hits {
            /// The last words of the double hashes with these nonces.
            #[target_feature(enable = $features)]
            #[inline]
            fn last_words<const N: usize>(c: &Constants, nonces: [u32; N]) -> [u32; N] {
                let zero = _mm_setzero_si128();
                // The nonce in lane 0.
                let n = nonces.map(|nonce| _mm_cvtsi32_si128(nonce.swap_bytes().cast_signed()));

                let mut state = n.map(|n| {
                    [_mm_add_epi32(c.state[0], _mm_shuffle_epi32::<0b00_01_00_01>(n)), c.state[1]]
                });
                four_rounds(&mut state, [c.k[1]; N]);
                four_rounds(&mut state, [c.k[2]; N]);
                four_rounds(&mut state, [c.k[3]; N]);
                // Lane 2 the sigma of the nonce, lane 3 the nonce.
                let sigma = n.map(|n| _mm_sha256msg1_epu32(_mm_slli_si128::<12>(n), zero));
                four_rounds(&mut state, sigma.map(|sigma| _mm_add_epi32(sigma, c.k[4])));
                let mut w = sigma.map(|sigma| [_mm_add_epi32(sigma, c.w16), zero, zero, zero]);
                // Words 20 to 23 take from those before only by way of the sigma of words 18 to 21.
                for w in &mut w {
                    w[1] = _mm_sha256msg2_epu32(c.w20, w[0]);
                }
                four_rounds(&mut state, w.map(|w| _mm_add_epi32(w[1], c.k[5])));
                for w in &mut w {
                    w[2] = _mm_sha256msg2_epu32(turn(w[0], w[1]), w[1]);
                }
                four_rounds(&mut state, w.map(|w| _mm_add_epi32(w[2], c.k[6])));
                quad!(c.k, state, w, 7, |w| _mm_add_epi32(c.w28, turn(w[1], w[2])));
                quad!(c.k, state, w, 8);
                quad!(c.k, state, w, 9);
                quad!(c.k, state, w, 10);
                quad!(c.k, state, w, 11);
                quad!(c.k, state, w, 12);
                quad!(c.k, state, w, 13);
                quad!(c.k, state, w, 14);
                quad!(c.k, state, w, 15);

                let mut w = state.map(|[abef, cdgh]| {
                    let ab_ef = _mm_shuffle_epi32::<0x1b>(_mm_add_epi32(abef, c.midstate[0]));
                    let cd_gh = _mm_shuffle_epi32::<0x1b>(_mm_add_epi32(cdgh, c.midstate[1]));
                    [
                        _mm_unpacklo_epi64(ab_ef, cd_gh),
                        _mm_unpackhi_epi64(ab_ef, cd_gh),
                        c.second_w8,
                        c.second_w12,
                    ]
                });
                let k = &c.second_k;
                let mut state = [c.initial; N];
                four_rounds(&mut state, w.map(|w| _mm_add_epi32(w[0], k[0])));
                four_rounds(&mut state, w.map(|w| _mm_add_epi32(w[1], k[1])));
                four_rounds(&mut state, [k[2]; N]);
                four_rounds(&mut state, [k[3]; N]);
                quad!(k, state, w, 4, |w| _mm_sha256msg1_epu32(w[0], w[1]));
                quad!(k, state, w, 5, |w| _mm_add_epi32(
                    _mm_sha256msg1_epu32(w[1], w[2]),
                    turn(w[3], w[0])
                ));
                quad!(k, state, w, 6, |w| _mm_add_epi32(w[2], turn(w[0], w[1])));
                quad!(k, state, w, 7);
                quad!(k, state, w, 8);
                quad!(k, state, w, 9);
                quad!(k, state, w, 10);
                quad!(k, state, w, 11);
                quad!(k, state, w, 12);
                quad!(k, state, w, 13);
                quad!(k, state, w, 14);
                // Of the last four rounds the first, which makes the `e` that is the last word three rounds later.
                std::array::from_fn(|i| {
                    let ([abef, cdgh], w) = (state[i], &w[i]);
                    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[3], w[0]), turn(w[1], w[2]));
                    let wk = _mm_add_epi32(_mm_sha256msg2_epu32(sum, w[2]), k[15]);
                    // After two rounds that `e` is `f`, in lane 0.
                    let abef = _mm_sha256rnds2_epu32(cdgh, abef, wk);
                    _mm_cvtsi128_si32(abef).cast_unsigned().wrapping_add(INITIAL[7])
                })
            }

            let constants = Constants::new(plan);
            let mut done = 0;
            let mut nonce = first;
            while done < groups {
                let nonces: [u32; STREAMS] = std::array::from_fn(|i| nonce.wrapping_add(i as u32));
                let last = last_words(&constants, nonces);
                done += 1;
                nonce = nonce.wrapping_add(STREAMS as u32);
                let mut hits = 0;
                for (lane, word) in last.into_iter().enumerate() {
                    hits |= u32::from(word.swap_bytes() <= limit) << lane;
                }
                if hits != 0 {
                    return (done, hits);
                }
            }
            (done, 0)
        }
    };
}

scan_streams!(scan, "sha,ssse3,sse4.1");
// With three operands the compiler needs fewer moves; a tenth faster.
scan_streams!(scan_avx, "sha,ssse3,sse4.1,avx");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernel;

    /// A machine with AVX never takes the other way by itself.
    #[test]
    fn both_ways_find_what_plain_rust_finds() {
        if !Kernel::ShaNi.is_available() {
            return;
        }
        let plan = Plan::new(&std::array::from_fn(|i| (i as u8).wrapping_mul(31)));
        for limit in [u32::MAX >> 4, u32::MAX >> 9, 0] {
            for first in [0, 77, u32::MAX - 500] {
                // Plain Rust takes a nonce at a time: its first hit is the lowest of ours.
                let (done, hits) = crate::scan::portable::scan(&plan, limit, first, 300);
                // SAFETY: the SHA instructions are there, and with them SSSE3 and SSE4.1.
                let found = unsafe { scan(&plan, limit, first, 100) };
                let at =
                    |(groups, hits): Hits| (groups - 1) * STREAMS as u32 + hits.trailing_zeros();
                let same = |found: Hits| {
                    assert_eq!(hits == 0, found.1 == 0, "{limit} {first}");
                    assert!(hits == 0 || at(found) == done - 1, "{limit} {first}");
                };
                same(found);
                if is_x86_feature_detected!("avx") {
                    // SAFETY: as above, and AVX is there.
                    same(unsafe { scan_avx(&plan, limit, first, 100) });
                }
            }
        }
    }
}
