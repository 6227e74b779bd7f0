//! The rounds of SHA-256, over words or over vectors of them.
//!
//! To be used where `add`, `splat`, `ch`, `maj` and the four sigmas are functions on the type of the words.

/// Sixteen rounds of SHA-256 and, if `$more`, the next sixteen words of the schedule in place.
macro_rules! sixteen_rounds {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $w:ident, $k:ident, $more:expr) => {
        $crate::rounds::round!($a $b $c $d $e $f $g $h, $w, $k, $more, 0);
        $crate::rounds::round!($h $a $b $c $d $e $f $g, $w, $k, $more, 1);
        $crate::rounds::round!($g $h $a $b $c $d $e $f, $w, $k, $more, 2);
        $crate::rounds::round!($f $g $h $a $b $c $d $e, $w, $k, $more, 3);
        $crate::rounds::round!($e $f $g $h $a $b $c $d, $w, $k, $more, 4);
        $crate::rounds::round!($d $e $f $g $h $a $b $c, $w, $k, $more, 5);
        $crate::rounds::round!($c $d $e $f $g $h $a $b, $w, $k, $more, 6);
        $crate::rounds::round!($b $c $d $e $f $g $h $a, $w, $k, $more, 7);
        $crate::rounds::round!($a $b $c $d $e $f $g $h, $w, $k, $more, 8);
        $crate::rounds::round!($h $a $b $c $d $e $f $g, $w, $k, $more, 9);
        $crate::rounds::round!($g $h $a $b $c $d $e $f, $w, $k, $more, 10);
        $crate::rounds::round!($f $g $h $a $b $c $d $e, $w, $k, $more, 11);
        $crate::rounds::round!($e $f $g $h $a $b $c $d, $w, $k, $more, 12);
        $crate::rounds::round!($d $e $f $g $h $a $b $c, $w, $k, $more, 13);
        $crate::rounds::round!($c $d $e $f $g $h $a $b, $w, $k, $more, 14);
        $crate::rounds::round!($b $c $d $e $f $g $h $a, $w, $k, $more, 15);
    };
}

/// One round, number `$i` of sixteen; the caller turns the names of the variables instead of the values.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $w:ident, $k:ident, $more:expr, $i:literal) => {
        let t1 = add(add(add($h, splat($k[$i])), $w[$i]), add(big_sigma1($e), ch($e, $f, $g)));
        $d = add($d, t1);
        $h = add(t1, add(big_sigma0($a), maj($a, $b, $c)));
        if $more {
            let near = add($w[$i], small_sigma0($w[($i + 1) % 16]));
            $w[$i] = add(near, add($w[($i + 9) % 16], small_sigma1($w[($i + 14) % 16])));
        }
    };
}

pub(crate) use {round, sixteen_rounds};
