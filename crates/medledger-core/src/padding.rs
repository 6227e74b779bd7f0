//! Padding that hides a report's exact size.
//!
//! Zeros are added behind the report before it is sealed; the true length is in the sealed
//! metadata. Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
//! Communication with PURBs", PoPETs 2019, section 4) leaves O(log log L) bits of the length to be
//! seen, and costs at most 12 % above the floor.

use crate::seal::MAX_PLAIN_LEN;
use std::io::{self, Read};

/// Lengths up to this one look alike under [`Padding::Padme`], in bytes.
pub const FLOOR: u64 = 4096;

/// How much a report is lengthened.
///
/// ```
/// use medledger_core::padding::Padding;
/// assert_eq!(Padding::Padme.padded_len(10), Some(4096));
/// assert_eq!(Padding::Padme.padded_len(100_000), Some(100_352));
/// assert_eq!(Padding::None.padded_len(10), Some(10));
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Padding {
    /// Not at all: the length of the ciphertext tells the length of the report.
    None,
    /// To the next Padmé length, and to 4 KiB at least.
    #[default]
    Padme,
}

impl Padding {
    /// The length to which `len` bytes are lengthened; `None` beyond what can be sealed.
    #[must_use]
    pub const fn padded_len(self, len: u64) -> Option<u64> {
        let padded = match self {
            Self::None => len,
            Self::Padme if len <= FLOOR => FLOOR,
            Self::Padme => match padme(len) {
                Some(padded) => padded,
                None => return None,
            },
        };
        if padded > MAX_PLAIN_LEN { None } else { Some(padded) }
    }
}

/// A length has an exponent E = ⌊log₂ L⌋; as many of its low bits become zero, rounding up, as leave
/// the mantissa no longer than the exponent is when written in binary.
const fn padme(len: u64) -> Option<u64> {
    let exponent = len.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1 << (exponent - kept)) - 1;
    match len.checked_add(mask) {
        Some(sum) => Some(sum & !mask),
        None => None,
    }
}

/// Reads a source to its end and then zeros, up to the padded length.
///
/// ```
/// use medledger_core::padding::{Padding, PaddedReader};
/// use std::io::Read;
/// let mut reader = PaddedReader::new(&b"a report"[..], Padding::Padme);
/// let mut all = Vec::new();
/// reader.read_to_end(&mut all)?;
/// assert_eq!((all.len(), reader.true_len()), (4096, 8));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct PaddedReader<R> {
    source: R,
    padding: Padding,
    true_len: u64,
    /// Zeros still to come, once the source has ended.
    zeros: Option<u64>,
}

impl<R: Read> PaddedReader<R> {
    /// Lengthens what `source` gives.
    pub const fn new(source: R, padding: Padding) -> Self {
        Self { source, padding, true_len: 0, zeros: None }
    }

    /// Bytes the source has given so far; its length, once this reader is at its end.
    pub const fn true_len(&self) -> u64 {
        self.true_len
    }

    /// The source.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: Read> Read for PaddedReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let zeros = match self.zeros {
            Some(zeros) => zeros,
            None => {
                let n = self.source.read(buf)?;
                if n > 0 {
                    self.true_len += n as u64;
                    return Ok(n);
                }
                let padded = self.padding.padded_len(self.true_len);
                padded.ok_or(io::ErrorKind::FileTooLarge)? - self.true_len
            }
        };
        let n = zeros.min(buf.len() as u64);
        buf[..n as usize].fill(0);
        self.zeros = Some(zeros - n);
        Ok(n as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn padme_of_the_paper() {
        // Worked by hand from algorithm 1: (L, E, S, low bits cleared, result).
        for (len, padded) in [
            (4097, 4352),                           // E 12, S 4, 8 bits
            (5000, 5120),                           // E 12, S 4, 8 bits
            (65_536, 65_536),                       // E 16, S 5, 11 bits
            (65_537, 67_584),                       // E 16, S 5, 11 bits
            (100_000, 100_352),                     // E 16, S 5, 11 bits
            (1_000_000, 1_015_808),                 // E 19, S 5, 14 bits
            (1 << 20, 1 << 20),                     // E 20, S 5, 15 bits
            ((1 << 20) + 1, (1 << 20) + 32_768),    // E 20, S 5, 15 bits
            (10_000_000, 10_223_616),               // E 23, S 5, 18 bits
            ((4 << 30) + 1, (4 << 30) + (1 << 26)), // E 32, S 6, 26 bits
        ] {
            assert_eq!(Padding::Padme.padded_len(len), Some(padded), "{len}");
        }
        assert_eq!(Padding::Padme.padded_len(0), Some(4096));
        assert_eq!(Padding::Padme.padded_len(4096), Some(4096));
        assert_eq!(Padding::Padme.padded_len(u64::MAX), None);
        assert_eq!(Padding::None.padded_len(MAX_PLAIN_LEN), Some(MAX_PLAIN_LEN));
        assert_eq!(Padding::None.padded_len(MAX_PLAIN_LEN + 1), None);
    }

    proptest! {
        #[test]
        fn pitfall_13_padme_costs_little_is_monotone_and_stays_put(
            bits in 0u32..52, noise in any::<u64>(), step in 0u64..10_000,
        ) {
            let len = (noise >> (63 - bits)).min(1 << 51);
            let padded = Padding::Padme.padded_len(len).unwrap();
            prop_assert!(padded >= len.max(FLOOR));
            if len > FLOOR {
                prop_assert!((padded - len) * 100 <= len * 12, "{} -> {}", len, padded);
            }
            prop_assert!(Padding::Padme.padded_len(len + step).unwrap() >= padded);
            prop_assert_eq!(Padding::Padme.padded_len(padded), Some(padded));
        }
    }

    #[test]
    fn pitfall_13_lengths_up_to_16_mib_fall_into_few_classes() {
        let classes: std::collections::BTreeSet<_> =
            (0..1 << 24).step_by(97).filter_map(|n| Padding::Padme.padded_len(n)).collect();
        assert!(classes.len() < 400, "{}", classes.len());
    }
}
