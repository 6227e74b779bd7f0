//! Random numbers that are the same on every machine: xoshiro256**, seeded by SplitMix64 as its authors
//! advise (<https://prng.di.unimi.it/>). Nothing here is fit for keys.

/// A stream of random numbers; the same seed gives the same stream.
#[derive(Clone, Debug)]
pub(super) struct Random([u64; 4]);

/// The next state of SplitMix64, and what it gives out.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of this number under a seed.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut state = seed;
        let mut mixed = split_mix(&mut state) ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        Self(std::array::from_fn(|_| split_mix(&mut mixed)))
    }

    pub(super) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Evenly spread above 0 up to and including 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept exactly")]
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// The time until something happens that happens once in one unit of time on average, whatever
    /// happened before.
    pub(super) fn exponential(&mut self) -> f64 {
        -ln(self.unit())
    }
}

/// The natural logarithm of a normal number above zero, by additions, products and quotients only: what
/// libraries of systems compute differs in the last digit, and then so would a whole run.
fn ln(x: f64) -> f64 {
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let mut exponent = i32::try_from(bits >> 52).unwrap_or(0) - 1023;
    let mut m = f64::from_bits((bits & FRACTION) | (1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh s, of which 13 terms suffice as s² is below 0.03.
    let s = (m - 1.0) / (m + 1.0);
    let series = (0..13).rev().fold(0.0, |sum, k| sum * s * s + 1.0 / f64::from(2 * k + 1));
    f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_gives_the_published_numbers() {
        // From the page "Pseudo-random numbers/Splitmix64" of Rosetta Code.
        let mut state = 1_234_567;
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(std::array::from_fn(|_| split_mix(&mut state)), expected);
    }

    #[test]
    fn xoshiro_gives_the_numbers_of_the_reference() {
        // Of the reference implementation in C, as the crate `rand_xoshiro` has them.
        let mut random = Random([1, 2, 3, 4]);
        let expected = [
            11520,
            0,
            1_509_978_240,
            1_215_971_899_390_074_240,
            1_216_172_134_540_287_360,
            607_988_272_756_665_600,
            16_172_922_978_634_559_625,
            8_476_171_486_693_032_832,
            10_595_114_339_597_558_777,
            2_904_607_092_377_533_576,
        ];
        assert_eq!(std::array::from_fn(|_| random.next()), expected);
    }

    #[test]
    fn streams_and_seeds_differ() {
        let first = |seed, stream| Random::new(seed, stream).next();
        let all = [first(0, 0), first(0, 1), first(1, 0), first(1, 1)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b));
        }
        assert_eq!(first(7, 3), first(7, 3));
    }

    #[test]
    fn the_logarithm_is_that_of_the_system_but_for_the_last_digits() {
        let mut random = Random::new(1, 0);
        for x in (0..100_000).map(|_| random.unit()).chain([1.0, 0.5, f64::MIN_POSITIVE, 1e300]) {
            let (ours, theirs) = (ln(x), x.ln());
            assert!((ours - theirs).abs() <= 4e-16 * theirs.abs().max(1.0), "{x}: {ours} {theirs}");
        }
    }

    #[test]
    fn exponential_times_have_the_mean_and_the_tail_they_should() {
        let mut random = Random::new(5, 0);
        let times: Vec<f64> = (0..100_000).map(|_| random.exponential()).collect();
        let mean = times.iter().sum::<f64>() / 1e5;
        // Six standard errors.
        assert!((mean - 1.0).abs() < 0.019, "{mean}");
        let beyond = times.iter().filter(|time| **time > 20f64.ln()).count();
        assert!((4586..5414).contains(&beyond), "{beyond} of 5000");
    }
}
