//! What `bits` a block must bear.

use super::header::Header;
use super::target::{Bits, BitsError, Target};
use serde::{Deserialize, Serialize};

/// How a chain sets the work its blocks must do; fixed in its genesis configuration.
///
/// In DAG-CBOR it is a map of one entry, named for the kind: `{"fixed": {"bits": 545259519}}`.
///
/// ```
/// use medledger_core::pow::{Schedule, Target};
/// let schedule = Schedule::fixed(Target::from_expected_tries(1_000_000));
/// assert!(schedule.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// The same bits for ever.
    Fixed {
        /// Bits of every block.
        bits: Bits,
    },
}

impl Schedule {
    /// The same target for ever, rounded as [`Target::to_bits`] does.
    #[must_use]
    pub fn fixed(target: Target) -> Self {
        Self::Fixed { bits: target.to_bits() }
    }

    /// Whether a chain can run by this schedule.
    ///
    /// # Errors
    /// [`BitsError`] when it names bits that stand for no target.
    pub fn check(&self) -> Result<(), BitsError> {
        match self {
            Self::Fixed { bits } => Target::from_bits(*bits).map(drop),
        }
    }

    /// The bits of the genesis block.
    #[must_use]
    pub fn genesis_bits(&self) -> Bits {
        match self {
            Self::Fixed { bits } => *bits,
        }
    }

    /// The bits that the block after `parent`, which is at `parent_height`, must bear.
    #[must_use]
    pub fn next_bits(&self, parent: &Header, parent_height: u64) -> Bits {
        match self {
            Self::Fixed { bits } => {
                let _ = (parent, parent_height);
                *bits
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{decode, encode};
    use crate::pow::BITCOIN_HEADERS;

    #[test]
    fn fixed_bits_are_demanded_whatever_the_parent_bears() {
        let schedule = Schedule::Fixed { bits: Bits::from_u32(0x207f_ffff) };
        let parent: Header = BITCOIN_HEADERS[4].1.parse().unwrap();
        assert_eq!(schedule.next_bits(&parent, 100_000), schedule.genesis_bits());
        assert_eq!(schedule.genesis_bits().to_u32(), 0x207f_ffff);
    }

    #[test]
    fn a_schedule_is_a_map_named_for_its_kind() {
        let schedule = Schedule::Fixed { bits: Bits::from_u32(0x207f_ffff) };
        let bytes = encode(&schedule);
        assert_eq!(bytes, b"\xa1\x65fixed\xa1\x64bits\x1a\x20\x7f\xff\xff");
        assert_eq!(decode(&bytes, 64), Ok(schedule));
        // Another kind, another field, bits that are no u32.
        assert!(decode::<Schedule>(b"\xa1\x65asert\xa1\x64bits\x1a\x20\x7f\xff\xff", 64).is_err());
        assert!(decode::<Schedule>(b"\xa1\x65fixed\xa2\x64bits\x01\x64more\x01", 64).is_err());
        assert!(decode::<Schedule>(b"\xa1\x65fixed\xa1\x64bits\x20", 64).is_err());
    }

    #[test]
    fn bits_that_stand_for_no_target_make_no_schedule() {
        for bits in [0, 0x1d80_ffff, 0xff00_ffff] {
            assert!(Schedule::Fixed { bits: Bits::from_u32(bits) }.check().is_err());
        }
        assert!(Schedule::fixed(Target::DIFFICULTY_1).check().is_ok());
    }
}
