//! Targets and their compact form.

use super::work::Work;
use crate::ids::BlockId;
use primitive_types::{U256, U512};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A target in Bitcoin's compact form: one byte of length, then the three highest bytes.
///
/// Any `u32` can stand in a header; [`Target::from_bits`] says which stand for a target. As text it
/// is eight hexadecimal characters, in DAG-CBOR an integer.
///
/// ```
/// use medledger_core::pow::{Bits, Target};
/// let bits: Bits = "1d00ffff".parse()?;
/// assert_eq!(Target::from_bits(bits)?, Target::DIFFICULTY_1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bits(u32);

/// Bits that stand for no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BitsError {
    /// The sign bit is set.
    #[error("bits {bits} stand for a negative target")]
    Negative {
        /// The bits found.
        bits: Bits,
    },
    /// More than 256 bits.
    #[error("bits {bits} stand for a target of more than 256 bits")]
    Overflow {
        /// The bits found.
        bits: Bits,
    },
    /// A target no hash can meet.
    #[error("bits {bits} stand for a target of zero")]
    Zero {
        /// The bits found.
        bits: Bits,
    },
}

/// Bits that could not be read from text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bits are 8 hexadecimal characters, found {found:?}")]
pub struct ParseBitsError {
    /// The text found, cut to 80 characters.
    pub found: String,
}

impl Bits {
    /// What stands in the headers of a chain without work: no target at all.
    pub const NO_WORK: Self = Self(0);

    /// The bits with this number, as it stands in a header.
    #[must_use]
    pub const fn from_u32(bits: u32) -> Self {
        Self(bits)
    }

    /// The number, as it stands in a header.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bits({self})")
    }
}

impl FromStr for Bits {
    type Err = ParseBitsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| ParseBitsError { found: text.chars().take(80).collect() })
    }
}

/// The largest hash, read as a 256-bit little-endian number, that meets the work; never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(pub(super) U256);

impl Target {
    /// Bitcoin's easiest target on its main network, by which [`difficulty`](Self::difficulty)
    /// counts.
    pub const DIFFICULTY_1: Self = Self(U256([0, 0, 0, 0xffff_0000]));

    /// The target with this value, most significant byte first; `None` when it is zero.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let value = U256::from_big_endian(bytes);
        (!value.is_zero()).then_some(Self(value))
    }

    /// The value, most significant byte first.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_big_endian()
    }

    /// The target of this value, but no easier than `floor`; 1, the hardest, in place of zero.
    pub(super) fn at_most(value: U512, floor: Self) -> Self {
        match U256::try_from(value) {
            Ok(value) if value.is_zero() => Self(U256::one()),
            Ok(value) => Self(value).min(floor),
            Err(_) => floor,
        }
    }

    /// The target that `bits` stand for, judged as Bitcoin Core does.
    ///
    /// # Errors
    /// [`BitsError`] when they stand for none: negative, beyond 256 bits, or zero.
    pub fn from_bits(bits: Bits) -> Result<Self, BitsError> {
        let size = bits.0 >> 24;
        let digits = bits.0 & 0x007f_ffff;
        let (mantissa, shift) =
            if size <= 3 { (digits >> (8 * (3 - size)), 0) } else { (digits, 8 * (size - 3)) };
        // Core asks for sign and overflow only where something is left of the digits.
        if mantissa == 0 {
            return Err(BitsError::Zero { bits });
        }
        if bits.0 & 0x0080_0000 != 0 {
            return Err(BitsError::Negative { bits });
        }
        if size > 34 || (mantissa > 0xff && size > 33) || (mantissa > 0xffff && size > 32) {
            return Err(BitsError::Overflow { bits });
        }
        Ok(Self(U256::from(mantissa) << shift))
    }

    /// The compact form: the three highest bytes, what is below them cut off.
    ///
    /// The result is canonical and never easier than `self`.
    #[must_use]
    pub fn to_bits(self) -> Bits {
        let mut size = self.0.bits().div_ceil(8) as u32;
        let mut mantissa = if size <= 3 {
            self.0.low_u32() << (8 * (3 - size))
        } else {
            (self.0 >> (8 * (size - 3))).low_u32()
        };
        // The highest bit of the digits is the sign, so a number that reaches it gets a byte more.
        if mantissa & 0x0080_0000 != 0 {
            mantissa >>= 8;
            size += 1;
        }
        Bits(size << 24 | mantissa)
    }

    /// The target that a miner meets after so many tries on average; 0 counts as 1.
    ///
    /// It is one that [`to_bits`](Self::to_bits) keeps exactly, so up to one part in 32768 harder
    /// than asked.
    ///
    /// ```
    /// use medledger_core::pow::Target;
    /// // About a second of a machine that makes 6 million tries a second.
    /// let target = Target::from_expected_tries(6_000_000);
    /// assert_eq!(Target::from_bits(target.to_bits())?, target);
    /// assert!((6_000_000..6_000_200).contains(&target.expected_tries()));
    /// # Ok::<(), medledger_core::pow::BitsError>(())
    /// ```
    #[must_use]
    pub fn from_expected_tries(tries: u128) -> Self {
        let exact = match tries {
            0 | 1 => U256::MAX,
            // 2^256 / tries - 1, by 2^256 = (2^256 - 1) + 1.
            _ => {
                let (quotient, rest) = U256::MAX.div_mod(U256::from(tries));
                if rest + 1 == U256::from(tries) { quotient } else { quotient - 1 }
            }
        };
        Self::from_bits(Self(exact).to_bits()).unwrap_or(Self(exact))
    }

    /// How many tries a miner needs on average; stays at the largest number rather than overflow.
    #[must_use]
    pub fn expected_tries(self) -> u128 {
        self.work().0.try_into().unwrap_or(u128::MAX)
    }

    /// Whether a block with this id has done the work.
    #[must_use]
    pub fn is_met_by(&self, id: &BlockId) -> bool {
        U256::from_little_endian(id.as_bytes()) <= self.0
    }

    /// How many times harder than [`DIFFICULTY_1`](Self::DIFFICULTY_1), rounded, for people to read.
    #[must_use]
    pub fn difficulty(self) -> f64 {
        to_f64(Self::DIFFICULTY_1.0) / to_f64(self.0)
    }

    /// The work of a block mined to this target: 2^256 / (target + 1).
    #[must_use]
    pub fn work(self) -> Work {
        self.work_in_words().unwrap_or_else(|| self.work_in_full())
    }

    /// The work, where both the digits of the target and the work are short: a chain whose difficulty moves with each
    /// block asks for it with each header, and a division of 256 bits costs half as much as hashing that header.
    fn work_in_words(self) -> Option<Work> {
        let zeros = self.0.trailing_zeros();
        // As then 2^zeros is more than the quotient.
        if zeros <= 128 {
            return None;
        }
        // In the two highest words, all of it.
        let [_, _, low, high] = self.0.0;
        let digits = (u128::from(high) << 64 | u128::from(low)) >> (zeros - 128);
        // 2^256 = quotient * digits * 2^zeros + rest * 2^zeros. By one more than the target it is the same quotient, if
        // what is left is as much as the quotient.
        let power = 1u128 << (256 - zeros);
        let (quotient, rest) = match (u64::try_from(power), u64::try_from(digits)) {
            (Ok(power), Ok(digits)) => ((power / digits).into(), (power % digits).into()),
            _ => (power / digits, power % digits),
        };
        Some(Work(U256::from(if rest > 0 { quotient } else { quotient - 1 })))
    }

    fn work_in_full(self) -> Work {
        // 2^256 does not fit, but 2^256 / (t + 1) = (2^256 - t - 1) / (t + 1) + 1.
        match self.0.checked_add(U256::one()) {
            Some(next) => Work(!self.0 / next + 1),
            None => Work(U256::one()),
        }
    }
}

pub(super) fn to_f64(value: U256) -> f64 {
    value.0.iter().rev().fold(0.0, |sum, limb| sum * 2f64.powi(64) + *limb as f64)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.to_be_bytes()))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests;
