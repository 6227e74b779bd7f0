//! The retarget of Bitcoin (`CalculateNextWorkRequired` of Bitcoin Core).

use crate::pow::target::{Bits, Target};
use primitive_types::U512;

/// The bits of the window after one whose blocks bore `bits`, whose first and last block have these `times`, and
/// which should have taken `timespan` seconds.
pub(super) fn retarget(bits: Bits, times: (u32, u32), timespan: u64, floor: Bits) -> Bits {
    // Neither happens on a chain that was checked.
    let (Ok(target), Ok(floor)) = (Target::from_bits(bits), Target::from_bits(floor)) else {
        return bits;
    };
    let took = u128::from(times.1.saturating_sub(times.0));
    let ideal = u128::from(timespan);
    let took = took.clamp(ideal / 4, ideal * 4);
    // In 512 bits: Bitcoin's own floor leaves room for the product in 256, others need not.
    let next = U512::from(target.0) * U512::from(took) / U512::from(ideal);
    Target::at_most(next, floor).to_bits()
}
