//! What `bits` a block must bear.

mod asert;
mod bitcoin;
#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;

use super::header::Header;
use super::target::{Bits, BitsError, Target};
use serde::{Deserialize, Serialize};

/// The headers at and below a parent: gives the one at a height, on the parent's own branch.
///
/// A function, so that it can look into a store, into a branch beside the best chain, or into memory;
/// `E` is what can go wrong there.
pub type Below<'a, E> = &'a dyn Fn(u64) -> Result<Header, E>;

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
    /// Bitcoin's: the target of a window of blocks is that of the window before, times the time which
    /// that one took, over the time it should have taken; by a factor of four at most.
    ///
    /// As in Bitcoin, bit for bit, the time taken runs from the first to the last block of a window, which
    /// is one spacing less than what it is compared with. Its known weakness to miners who lie about the
    /// time at the ends of windows (the "time warp") is kept too: prefer [`Asert`](Self::Asert).
    Bitcoin {
        /// Bits of the genesis block, and so of the first window.
        bits: Bits,
        /// The easiest bits there may ever be.
        floor: Bits,
        /// Blocks between two changes; 2016 in Bitcoin.
        window: u32,
        /// Seconds from one block to the next; 600 in Bitcoin.
        spacing: u32,
    },
    /// aserti3-2d of Bitcoin Cash: each block's target is that of the genesis block, doubled for every
    /// half-life that the chain is behind the ideal plan of one block each spacing, halved for every one it
    /// is ahead.
    ///
    /// It has no window and no memory but the genesis block, so lying about times gains nothing later.
    Asert {
        /// Bits of the genesis block, the anchor.
        bits: Bits,
        /// The easiest bits there may ever be.
        floor: Bits,
        /// Seconds from one block to the next; 600 in Bitcoin Cash.
        spacing: u32,
        /// Seconds behind the plan that double the target; 172800 (two days) in Bitcoin Cash.
        half_life: u32,
    },
}

/// Parameters that no chain can run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Bits that stand for no target.
    #[error("{field} of the schedule: {error}")]
    Bits {
        /// `bits` or `floor`.
        field: &'static str,
        /// What is wrong with them.
        error: BitsError,
    },
    /// Bits with a second spelling, which no schedule that changes them would ever demand.
    #[error("{field} of the schedule must be spelled {canonical}, found {found}")]
    NotCanonical {
        /// `bits` or `floor`.
        field: &'static str,
        /// The bits found.
        found: Bits,
        /// The same target as it is always written.
        canonical: Bits,
    },
    /// The genesis block would be easier than any may be.
    #[error("the schedule starts at {bits}, which is easier than its own floor {floor}")]
    AboveFloor {
        /// Bits of the genesis block.
        bits: Bits,
        /// The easiest allowed.
        floor: Bits,
    },
    /// A number too small to count by.
    #[error("{field} of the schedule must be at least {min}, found {found}")]
    TooSmall {
        /// `window`, `spacing`, `half_life`, or `window * spacing`.
        field: &'static str,
        /// What was found.
        found: u64,
        /// The smallest allowed.
        min: u64,
    },
}

impl Schedule {
    /// What Bitcoin's main network runs by.
    pub const BITCOIN_MAINNET: Self = Self::Bitcoin {
        bits: Bits::from_u32(0x1d00_ffff),
        floor: Bits::from_u32(0x1d00_ffff),
        window: 2016,
        spacing: 600,
    };

    /// The same target for ever, rounded as [`Target::to_bits`] does.
    #[must_use]
    pub fn fixed(target: Target) -> Self {
        Self::Fixed { bits: target.to_bits() }
    }

    /// Whether a chain can run by this schedule.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub fn check(&self) -> Result<(), ScheduleError> {
        let least = |field, found: u32, min: u32| match found >= min {
            true => Ok(()),
            false => Err(ScheduleError::TooSmall { field, found: found.into(), min: min.into() }),
        };
        match *self {
            Self::Fixed { bits } => target_of("bits", bits).map(drop),
            Self::Bitcoin { bits, floor, window, spacing } => {
                check_range(bits, floor)?;
                // The time of a window runs between two blocks of it.
                least("window", window, 2)?;
                least("spacing", spacing, 1)?;
                // A quarter of it must not be nothing.
                let found = u64::from(window) * u64::from(spacing);
                if found < 4 {
                    let field = "window * spacing";
                    return Err(ScheduleError::TooSmall { field, found, min: 4 });
                }
                Ok(())
            }
            Self::Asert { bits, floor, spacing, half_life } => {
                check_range(bits, floor)?;
                least("spacing", spacing, 1)?;
                least("half_life", half_life, 1)
            }
        }
    }

    /// The bits of the genesis block.
    #[must_use]
    pub const fn genesis_bits(&self) -> Bits {
        match self {
            Self::Fixed { bits } | Self::Bitcoin { bits, .. } | Self::Asert { bits, .. } => *bits,
        }
    }

    /// The easiest bits that a block may ever bear.
    #[must_use]
    pub const fn floor(&self) -> Bits {
        match self {
            Self::Fixed { bits } => *bits,
            Self::Bitcoin { floor, .. } | Self::Asert { floor, .. } => *floor,
        }
    }

    /// Whether there is any chain on which a block must bear these bits: what can be said of a header
    /// whose ancestors are not known.
    #[must_use]
    pub fn may_demand(&self, bits: Bits) -> bool {
        match self {
            Self::Fixed { bits: fixed } => bits == *fixed,
            Self::Bitcoin { floor, .. } | Self::Asert { floor, .. } => {
                match (Target::from_bits(bits), Target::from_bits(*floor)) {
                    (Ok(target), Ok(floor)) => target <= floor && target.to_bits() == bits,
                    _ => false,
                }
            }
        }
    }

    /// The height of the one header that [`next_bits`](Self::next_bits) may ask for beside a parent at
    /// `parent_height`, which is at or below it; `None` when it never asks.
    #[must_use]
    pub fn looks_back_to(&self, parent_height: u64) -> Option<u64> {
        match self {
            Self::Fixed { .. } => None,
            Self::Bitcoin { window, .. } => {
                Some(parent_height - parent_height % u64::from(*window).max(1))
            }
            Self::Asert { .. } => Some(0),
        }
    }

    /// The bits that the block after `parent`, which is at `parent_height`, must bear.
    ///
    /// Never easier than the floor, never zero, given a schedule that passes [`check`](Self::check) and a
    /// parent that bears the bits it must.
    ///
    /// # Errors
    /// What `below` says when the header it is asked for cannot be had.
    pub fn next_bits<E>(
        &self,
        parent: &Header,
        parent_height: u64,
        below: Below<'_, E>,
    ) -> Result<Bits, E> {
        let at = self.looks_back_to(parent_height).unwrap_or(parent_height);
        let back = || if at == parent_height { Ok(*parent) } else { below(at) };
        Ok(match *self {
            Self::Fixed { bits } => bits,
            Self::Bitcoin { floor, window, spacing, .. } => {
                if parent_height - at + 1 < u64::from(window) {
                    return Ok(parent.bits);
                }
                let times = (back()?.time, parent.time);
                let timespan = u64::from(window) * u64::from(spacing);
                bitcoin::retarget(parent.bits, times, timespan, floor)
            }
            Self::Asert { floor, spacing, half_life, .. } => {
                let anchor = back()?;
                // The genesis block has no parent; it counts as mined on plan, one spacing after one.
                let time = i64::from(parent.time) - i64::from(anchor.time) + i64::from(spacing);
                asert::next(
                    anchor.bits,
                    &asert::Pace { spacing, half_life },
                    time,
                    parent_height,
                    floor,
                )
            }
        })
    }
}

fn target_of(field: &'static str, bits: Bits) -> Result<Target, ScheduleError> {
    Target::from_bits(bits).map_err(|error| ScheduleError::Bits { field, error })
}

fn check_range(bits: Bits, floor: Bits) -> Result<(), ScheduleError> {
    let canonical = |field, found| {
        let target = target_of(field, found)?;
        match target.to_bits() {
            canonical if canonical == found => Ok(target),
            canonical => Err(ScheduleError::NotCanonical { field, found, canonical }),
        }
    };
    if canonical("bits", bits)? > canonical("floor", floor)? {
        return Err(ScheduleError::AboveFloor { bits, floor });
    }
    Ok(())
}
