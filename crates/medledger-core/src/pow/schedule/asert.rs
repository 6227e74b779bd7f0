//! aserti3-2d, the difficulty algorithm of Bitcoin Cash since November 2020, as its specification
//! (`2020-11-15-asert.md`) has it.

use crate::pow::target::{Bits, Target};
use primitive_types::U256;

/// What sets the pace of a chain, in seconds.
pub(super) struct Pace {
    pub(super) spacing: u32,
    pub(super) half_life: u32,
}

/// Binary digits after the point of the numbers computed with.
const RADIX: u32 = 16;

/// The bits of a block whose parent came `time` seconds after the *parent* of the anchor and is `height` blocks
/// above the anchor.
pub(super) fn next(anchor: Bits, pace: &Pace, time: i64, height: u64, floor: Bits) -> Bits {
    // Neither happens on a chain that was checked.
    let (Ok(target), Ok(floor)) = (Target::from_bits(anchor), Target::from_bits(floor)) else {
        return anchor;
    };
    // 32 bits times 65, and 16 more: no number of blocks overflows.
    let plan = i128::from(pace.spacing) * (i128::from(height) + 1);
    let late = (i128::from(time) - plan) << RADIX;
    // Towards zero, as the reference implementation divides; in one word, where it fits, as that is much quicker.
    let half_life = pace.half_life.max(1);
    let exponent = match i64::try_from(late) {
        Ok(late) => i128::from(late / i64::from(half_life)),
        Err(_) => late / i128::from(half_life),
    };
    // Whole doublings, rounded down, and what is left of one, from 0 up to 1.
    let doublings = exponent >> RADIX;
    // Bits stand for 23 binary digits at most and zeros after them: times 17 digits, they fit a word.
    let zeros = target.0.trailing_zeros();
    let product = (target.0 >> zeros).low_u64() * power_of_two(exponent as u16);
    let shift = i128::from(zeros) + doublings - i128::from(RADIX);
    let next = match u32::try_from(shift.unsigned_abs()) {
        Ok(by) if shift < 0 => U256::from(product.checked_shr(by).unwrap_or(0)),
        _ if shift < 0 => U256::zero(),
        Ok(by) if by <= 192 + product.leading_zeros() => U256::from(product) << by,
        // Beyond any target.
        _ => U256::MAX,
    };
    // The hardest target in place of zero.
    Target(next.max(U256::one())).min(floor).to_bits()
}

/// 2^x in 16.16, for x in 16 binary digits after the point: the cubic polynomial of the specification, whose error
/// is less than 0.013 %.
fn power_of_two(x: u16) -> u64 {
    let x = u64::from(x);
    // The largest sum is below 2^64.
    let sum = 195_766_423_245_049 * x + 971_821_376 * x * x + 5127 * x * x * x + (1 << 47);
    (1 << RADIX) + (sum >> 48)
}

#[cfg(test)]
mod tests {
    use super::*;
    use primitive_types::U512;
    use proptest::prelude::*;

    /// The specification's arithmetic with room for all of it.
    fn wide(anchor: Bits, pace: &Pace, time: i64, height: u64, floor: Bits) -> Bits {
        let [target, floor] = [anchor, floor].map(|bits| Target::from_bits(bits).unwrap());
        let plan = i128::from(pace.spacing) * (i128::from(height) + 1);
        let exponent = ((i128::from(time) - plan) << RADIX) / i128::from(pace.half_life);
        let product = U512::from(target.0) * U512::from(power_of_two(exponent as u16));
        let next = match (exponent >> RADIX) - i128::from(RADIX) {
            shift @ ..0 if shift > -512 => product >> (-shift) as u32,
            ..0 => U512::zero(),
            shift if shift <= i128::from(product.leading_zeros()) => product << shift as u32,
            _ => U512::MAX,
        };
        Target::at_most(next, floor).to_bits()
    }

    proptest! {
        #[test]
        fn a_word_is_as_good_as_512_bits(
            size in 1u32..33, digits in 1u32..0x80_0000, spacing in 1u32.., half_life in 1u32..,
            shifts in (0u32..32, 0u32..32, 0u32..63, 0u32..64), time in any::<i64>(), height in any::<u64>(),
        ) {
            let pace = Pace { spacing: (spacing >> shifts.0).max(1), half_life: (half_life >> shifts.1).max(1) };
            let (time, height) = (time >> shifts.2, height >> shifts.3);
            let anchor = Bits::from_u32(size << 24 | digits);
            prop_assume!(Target::from_bits(anchor).is_ok());
            for floor in [Target(U256::MAX >> 1).to_bits(), anchor] {
                prop_assert_eq!(
                    next(anchor, &pace, time, height, floor),
                    wide(anchor, &pace, time, height, floor)
                );
            }
            // Near the plan, where no limit is met.
            let plan = i128::from(pace.spacing) * (i128::from(height) + 1);
            if let Ok(near) = i64::try_from(plan + i128::from(time) % (300 * i128::from(pace.half_life))) {
                let floor = Target(U256::MAX >> 1).to_bits();
                prop_assert_eq!(
                    next(anchor, &pace, near, height, floor),
                    wide(anchor, &pace, near, height, floor)
                );
            }
        }
    }
}
