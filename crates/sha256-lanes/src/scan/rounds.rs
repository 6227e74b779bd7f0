//! The two hashes of a header over lanes, one nonce in each.
//!
//! To be used where `add`, `splat`, `ch`, `maj` and the four sigmas are functions on `$vector`, and `LANES`, `nonces`
//! and `not_above` are there.

/// Makes `scan`, which goes through groups of nonces as far as the first with a hit.
macro_rules! scan_lanes {
    ($vector:ty, $(#[$attribute:meta])*) => {
        /// See [`Hits`](crate::scan::Hits).
        $(#[$attribute])*
        pub(crate) fn scan(
            plan: &$crate::scan::Plan,
            limit: u32,
            first: u32,
            groups: u32,
        ) -> $crate::scan::Hits {
            let mut done = 0;
            let mut nonce = first;
            while done < groups {
                let last_word = last_word(plan, nonces(nonce));
                done += 1;
                nonce = nonce.wrapping_add(LANES as u32);
                let hits = not_above(last_word, limit);
                if hits != 0 {
                    return (done, hits);
                }
            }
            (done, 0)
        }

        /// The last word of the double hash; `n` is the nonces as words of the block, so with their bytes turned.
        $(#[$attribute])*
        #[inline]
        fn last_word(plan: &$crate::scan::Plan, n: $vector) -> $vector {
            use $crate::scan::rounds::{full, rounds, word};
            use $crate::scan::{FIRST, SECOND};
            let k = &plan.k;
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, _] = plan.state.map(|word| splat(word));
            let mut h;
            a = add(a, n);
            e = add(e, n);
            let mut w = [n; 16];
            rounds!(constant a b c d e f g h; splat(plan.kh[0]), splat(plan.kh[1]), splat(plan.kh[2]),);
            rounds!(f g h a b c d e;
                splat(k[7]), splat(k[8]), splat(k[9]), splat(k[10]), splat(k[11]), splat(k[12]),
                splat(k[13]), splat(k[14]), splat(k[15]), splat(k[16]), splat(k[17]),
            );
            let [w16, w17, w18, w19] = plan.w16;
            rounds!(c d e f g h a b;
                word!(w, k, 18, add(splat(w18), small_sigma0(n))),
                word!(w, k, 19, add(splat(w19), n)),
                word!(w, k, 20, add(splat(FIRST.w4), small_sigma1(w[2]))),
                word!(w, k, 21, small_sigma1(w[3])),
                word!(w, k, 22, add(splat(FIRST.w15), small_sigma1(w[4]))),
                word!(w, k, 23, add(splat(w16), small_sigma1(w[5]))),
                word!(w, k, 24, add(splat(w17), small_sigma1(w[6]))),
                word!(w, k, 25, add(w[2], small_sigma1(w[7]))),
                word!(w, k, 26, add(w[3], small_sigma1(w[8]))),
                word!(w, k, 27, add(w[4], small_sigma1(w[9]))),
                word!(w, k, 28, add(w[5], small_sigma1(w[10]))),
                word!(w, k, 29, add(w[6], small_sigma1(w[11]))),
                word!(w, k, 30, add(add(splat(plan.w30[0]), w[7]), small_sigma1(w[12]))),
                word!(w, k, 31, add(add(splat(plan.w30[1]), w[8]), small_sigma1(w[13]))),
                word!(w, k, 32, add(add(splat(plan.w30[2]), w[9]), small_sigma1(w[14]))),
                word!(w, k, 33, add(
                    add(splat(plan.w30[3]), small_sigma0(w[2])),
                    add(w[10], small_sigma1(w[15]))
                )),
            );
            rounds!(c d e f g h a b;
                full!(w, k, 34), full!(w, k, 35), full!(w, k, 36), full!(w, k, 37),
                full!(w, k, 38), full!(w, k, 39), full!(w, k, 40), full!(w, k, 41),
                full!(w, k, 42), full!(w, k, 43), full!(w, k, 44), full!(w, k, 45),
                full!(w, k, 46), full!(w, k, 47), full!(w, k, 48), full!(w, k, 49),
            );
            rounds!(c d e f g h a b;
                full!(w, k, 50), full!(w, k, 51), full!(w, k, 52), full!(w, k, 53),
                full!(w, k, 54), full!(w, k, 55), full!(w, k, 56), full!(w, k, 57),
                full!(w, k, 58), full!(w, k, 59), full!(w, k, 60), full!(w, k, 61),
                full!(w, k, 62), full!(w, k, 63),
            );

            let digest = [e, f, g, h, a, b, c, d];
            for i in 0..8 {
                w[i] = add(digest[i], splat(plan.midstate[i]));
            }
            let k = &SECOND.k;
            let [a0, b0, c0, _, e0, f0, _, _] = $crate::INITIAL;
            [a, b, c, d] = [add(w[0], splat(SECOND.a)), splat(a0), splat(b0), splat(c0)];
            [e, f, g] = [add(w[0], splat(SECOND.e)), splat(e0), splat(f0)];
            rounds!(constant a b c d e f g h;
                add(w[1], splat(SECOND.kh[0])), add(w[2], splat(SECOND.kh[1])), add(w[3], splat(SECOND.kh[2])),
            );
            rounds!(f g h a b c d e;
                add(w[4], splat(k[4])), add(w[5], splat(k[5])), add(w[6], splat(k[6])), add(w[7], splat(k[7])),
                splat(k[8]), splat(k[9]), splat(k[10]), splat(k[11]),
                splat(k[12]), splat(k[13]), splat(k[14]), splat(k[15]),
            );
            rounds!(b c d e f g h a;
                word!(w, k, 16, add(w[0], small_sigma0(w[1]))),
                word!(w, k, 17, add(add(w[1], small_sigma0(w[2])), splat(SECOND.sigma1_w15))),
                word!(w, k, 18, add(add(w[2], small_sigma0(w[3])), small_sigma1(w[0]))),
                word!(w, k, 19, add(add(w[3], small_sigma0(w[4])), small_sigma1(w[1]))),
                word!(w, k, 20, add(add(w[4], small_sigma0(w[5])), small_sigma1(w[2]))),
                word!(w, k, 21, add(add(w[5], small_sigma0(w[6])), small_sigma1(w[3]))),
                word!(w, k, 22, add(
                    add(w[6], small_sigma0(w[7])),
                    add(splat(SECOND.w15), small_sigma1(w[4]))
                )),
                word!(w, k, 23, add(add(w[7], splat(SECOND.sigma0_w8)), add(w[0], small_sigma1(w[5])))),
                word!(w, k, 24, add(add(splat(SECOND.w8), w[1]), small_sigma1(w[6]))),
                word!(w, k, 25, add(w[2], small_sigma1(w[7]))),
                word!(w, k, 26, add(w[3], small_sigma1(w[8]))),
                word!(w, k, 27, add(w[4], small_sigma1(w[9]))),
                word!(w, k, 28, add(w[5], small_sigma1(w[10]))),
                word!(w, k, 29, add(w[6], small_sigma1(w[11]))),
                word!(w, k, 30, add(add(splat(SECOND.sigma0_w15), w[7]), small_sigma1(w[12]))),
                word!(w, k, 31, add(
                    add(splat(SECOND.w15), small_sigma0(w[0])),
                    add(w[8], small_sigma1(w[13]))
                )),
            );
            rounds!(b c d e f g h a;
                full!(w, k, 32), full!(w, k, 33), full!(w, k, 34), full!(w, k, 35),
                full!(w, k, 36), full!(w, k, 37), full!(w, k, 38), full!(w, k, 39),
                full!(w, k, 40), full!(w, k, 41), full!(w, k, 42), full!(w, k, 43),
                full!(w, k, 44), full!(w, k, 45), full!(w, k, 46), full!(w, k, 47),
            );
            // In the last rounds only `e` is used, and the compiler leaves out the rest.
            rounds!(b c d e f g h a;
                full!(w, k, 48), full!(w, k, 49), full!(w, k, 50), full!(w, k, 51),
                full!(w, k, 52), full!(w, k, 53), full!(w, k, 54), full!(w, k, 55),
                full!(w, k, 56), full!(w, k, 57), full!(w, k, 58), full!(w, k, 59),
                full!(w, k, 60),
            );
            let _ = (b, c, d, e, f, g, h);
            // The last word is `e` after round 60, which three more rounds would only move.
            add(a, splat($crate::INITIAL[7]))
        }
    };
}

/// A round for each expression, which is what is to be added besides `h`: constant and word. Rounds that are
/// `constant` have their `h` in the expression.
macro_rules! rounds {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident;) => {};
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident; $x:expr, $($rest:tt)*) => {
        let t1 = add(add($h, $x), add(big_sigma1($e), ch($e, $f, $g)));
        $d = add($d, t1);
        $h = add(t1, add(big_sigma0($a), maj($a, $b, $c)));
        $crate::scan::rounds::rounds!($h $a $b $c $d $e $f $g; $($rest)*);
    };
    (constant $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident;) => {};
    (constant $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident; $x:expr, $($rest:tt)*) => {
        let t1 = add($x, add(big_sigma1($e), ch($e, $f, $g)));
        $d = add($d, t1);
        $h = add(t1, add(big_sigma0($a), maj($a, $b, $c)));
        $crate::scan::rounds::rounds!(constant $h $a $b $c $d $e $f $g; $($rest)*);
    };
}

/// Puts a word of the schedule in its place, and adds the constant of its round.
macro_rules! word {
    ($w:ident, $k:ident, $i:literal, $value:expr) => {{
        $w[$i % 16] = $value;
        add($w[$i % 16], splat($k[$i]))
    }};
}

/// A word of the schedule of which no part is constant.
macro_rules! full {
    ($w:ident, $k:ident, $i:literal) => {
        $crate::scan::rounds::word!(
            $w,
            $k,
            $i,
            add(
                add($w[$i % 16], small_sigma0($w[($i + 1) % 16])),
                add($w[($i + 9) % 16], small_sigma1($w[($i + 14) % 16]))
            )
        )
    };
}

pub(crate) use {full, rounds, scan_lanes, word};
