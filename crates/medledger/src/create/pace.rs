//! How difficulty follows the rate at which blocks come.

use medledger_core::pow::{Bits, Schedule, Target};

/// How difficulty follows the rate at which blocks come.
///
/// Empty blocks are not made to keep the pace: where nothing is recorded for long, blocks come late, and the
/// next ones are easier, down to the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// Bitcoin's: once a window.
    Bitcoin {
        /// Blocks between two changes.
        window: u32,
        /// Seconds from one block to the next.
        spacing: u32,
    },
    /// aserti3-2d: with every block.
    Asert {
        /// Seconds from one block to the next.
        spacing: u32,
        /// Seconds behind plan that make blocks twice as easy.
        half_life: u32,
    },
}

/// How much easier than at the start blocks may get, unless something else is asked for.
const EASIER: u128 = 64;

impl Pace {
    /// The schedule from `bits` on, whose blocks are never easier than `floor`, by default 64 times easier than the
    /// first. Whether a chain can run by it is for its own check to say.
    #[must_use]
    pub fn schedule(self, bits: Bits, floor: Option<Bits>) -> Schedule {
        let easier = |target: Target| {
            Target::from_expected_tries(target.expected_tries() / EASIER).to_bits()
        };
        let floor = floor.unwrap_or_else(|| Target::from_bits(bits).map_or(bits, easier));
        match self {
            Self::Bitcoin { window, spacing } => Schedule::Bitcoin { bits, floor, window, spacing },
            Self::Asert { spacing, half_life } => {
                Schedule::Asert { bits, floor, spacing, half_life }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_64_times_easier_than_the_start_or_as_asked_for() {
        let pace = Pace::Asert { spacing: 10, half_life: 600 };
        let bits = Target::from_expected_tries(1 << 20).to_bits();
        let floor = pace.schedule(bits, None).floor();
        let tries = Target::from_bits(floor).unwrap().expected_tries();
        assert!((1 << 14..(1 << 14) + 2).contains(&tries), "{tries}");
        assert_eq!(pace.schedule(bits, Some(bits)).floor(), bits);
        // Never impossible, whatever the start.
        for tries in [1, 2, 63, u128::MAX] {
            let bits = Target::from_expected_tries(tries).to_bits();
            for pace in [pace, Pace::Bitcoin { window: 2, spacing: 2 }] {
                assert_eq!(pace.schedule(bits, None).check(), Ok(()), "{tries}");
            }
        }
        let none = pace.schedule(Bits::from_u32(0), None);
        assert!(none.check().is_err());
    }
}
