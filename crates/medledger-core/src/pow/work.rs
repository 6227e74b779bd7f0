//! Cumulative work.

use super::target::to_f64;
use crate::ids::BlockId;
use primitive_types::U256;
use std::cmp::Ordering;
use std::fmt;

/// Work done, as the expected number of tries; what chains are weighed by.
///
/// Kept in 256 bits, as no smaller number holds the sum of a chain. In DAG-CBOR it is a byte string
/// of 32, most significant byte first, so stored bytes order as the numbers do.
///
/// ```
/// use medledger_core::pow::{Bits, Target, Work};
/// let block = Target::from_bits(Bits::from_u32(0x1d00ffff))?.work();
/// let chain = Work::ZERO.saturating_add(block).saturating_add(block);
/// assert!(chain > block);
/// assert_eq!(chain.to_string(), "8590065666");
/// assert_eq!(format!("{chain:#x}"), "0x200020002");
/// # Ok::<(), medledger_core::pow::BitsError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work(pub(super) U256);

impl Work {
    /// No work at all.
    pub const ZERO: Self = Self(U256::zero());
    /// The largest amount that can be held.
    pub const MAX: Self = Self(U256::MAX);

    /// The amount with this value, most significant byte first.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8; 32]) -> Self {
        Self(U256::from_big_endian(bytes))
    }

    /// The value, most significant byte first.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_big_endian()
    }

    /// The sum, or `None` when it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The sum, or [`MAX`](Self::MAX) when it does not fit.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or `None` when `other` is more.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The value, rounded, for statistics.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        to_f64(self.0)
    }
}

/// Which of two chains is to be preferred, best first: by the work of each, then by the lower id of its
/// newest block, read as the number whose most significant byte comes last, as targets are.
#[must_use]
pub fn best_first(a: (Work, &BlockId), b: (Work, &BlockId)) -> Ordering {
    let by_id = || a.1.as_bytes().iter().rev().cmp(b.1.as_bytes().iter().rev());
    b.0.cmp(&a.0).then_with(by_id)
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::LowerHex for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work({self})")
    }
}

impl serde::Serialize for Work {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        crate::ids::serialize_bytes(&self.to_be_bytes(), crate::ids::TextOrder::Forward, s)
    }
}

impl<'de> serde::Deserialize<'de> for Work {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::ids::deserialize_bytes(d, "work", crate::ids::TextOrder::Forward)
            .map(|bytes| Self::from_be_bytes(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pitfall_27_work_beyond_64_bits_is_compared_in_full_and_never_wraps() {
        let mut low = [0; 32];
        low[24..].fill(0xff);
        let mut high = [0; 32];
        high[23] = 1;
        let (low, high) = (Work::from_be_bytes(&low), Work::from_be_bytes(&high));
        assert!(high > low, "2^64 is more than 2^64 - 1");
        assert_eq!(low.to_string(), u64::MAX.to_string());
        assert_eq!(Work::MAX.checked_add(low), None);
        assert_eq!(Work::MAX.saturating_add(low), Work::MAX);
        assert_eq!(low.checked_sub(high), None);
        assert_eq!(high.checked_sub(low).map(|w| w.to_string()).as_deref(), Some("1"));
        assert_eq!(high.to_f64(), 2f64.powi(64));
    }

    #[test]
    fn more_work_is_better_and_of_two_alike_the_lower_number() {
        let id = |first: u8, last: u8| {
            let mut bytes = [7; 32];
            (bytes[0], bytes[31]) = (first, last);
            BlockId::from_bytes(bytes)
        };
        let one = Work(U256::one());
        let order = |a: (Work, BlockId), b: (Work, BlockId)| best_first((a.0, &a.1), (b.0, &b.1));
        assert_eq!(order((one, id(9, 9)), (Work::ZERO, id(0, 0))), Ordering::Less);
        // The last byte weighs most.
        assert_eq!(order((one, id(9, 1)), (one, id(0, 2))), Ordering::Less);
        assert_eq!(order((one, id(9, 1)), (one, id(8, 1))), Ordering::Greater);
        assert_eq!(order((one, id(1, 1)), (one, id(1, 1))), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn work_adds_and_prints_as_the_bitcoin_crate_says(mut a in any::<[u8; 32]>(), mut b in any::<[u8; 32]>()) {
            (a[0], b[0]) = (a[0] >> 1, b[0] >> 1);
            let theirs = bitcoin::Work::from_be_bytes(a) + bitcoin::Work::from_be_bytes(b);
            let (a, b) = (Work::from_be_bytes(&a), Work::from_be_bytes(&b));
            let sum = a.checked_add(b).unwrap();
            prop_assert_eq!(sum.to_be_bytes(), theirs.to_be_bytes());
            prop_assert_eq!(sum.to_string(), theirs.to_string());
            prop_assert_eq!(sum, a.saturating_add(b));
            prop_assert_eq!(sum.checked_sub(b), Some(a));
            prop_assert_eq!(a < b, a.to_be_bytes() < b.to_be_bytes());
            let cbor = crate::cbor::encode(&sum);
            prop_assert_eq!(cbor.len(), 34);
            prop_assert_eq!(crate::cbor::decode::<Work>(&cbor, 34), Ok(sum));
        }
    }
}
