//! aserti3-2d, the difficulty algorithm of Bitcoin Cash since November 2020, as its specification
//! (`2020-11-15-asert.md`) has it.

use crate::pow::target::{Bits, Target};
use primitive_types::U512;

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
    // Towards zero, as the reference implementation divides.
    let exponent = ((i128::from(time) - plan) << RADIX) / i128::from(pace.half_life).max(1);
    // Whole doublings, rounded down, and what is left of one, from 0 up to 1.
    let doublings = exponent >> RADIX;
    let product = U512::from(target.0) * U512::from(power_of_two(exponent as u16));
    // 2^256 is beyond any target, and 273 halvings leave nothing of 256 + 17 bits.
    let shift = doublings - i128::from(RADIX);
    let next = match u32::try_from(shift.unsigned_abs()) {
        Ok(by) if shift < 0 && by < 512 => product >> by,
        Ok(by) if shift >= 0 && by < 512 && by <= product.leading_zeros() => product << by,
        _ if shift < 0 => U512::zero(),
        _ => U512::MAX,
    };
    Target::at_most(next, floor).to_bits()
}

/// 2^x in 16.16, for x in 16 binary digits after the point: the cubic polynomial of the specification, whose error
/// is less than 0.013 %.
fn power_of_two(x: u16) -> u64 {
    let x = u64::from(x);
    // The largest sum is below 2^64.
    let sum = 195_766_423_245_049 * x + 971_821_376 * x * x + 5127 * x * x * x + (1 << 47);
    (1 << RADIX) + (sum >> 48)
}
