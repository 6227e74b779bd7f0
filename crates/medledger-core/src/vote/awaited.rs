//! What blocks that are not final yet wait for.

use super::Target;
use crate::ids::MemberId;
use std::fmt;

/// What has to come before more becomes final. Its text is a whole clause, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited {
    /// More blocks: nobody votes for a block before a quorum of different hospitals has mined at or above it, so that
    /// work remains part of finality. A block that changes the hospitals does with one fewer.
    Blocks {
        /// The block that will be voted for first.
        target: Target,
        /// How many more hospitals have to mine at or above it.
        missing: usize,
        /// Those that have not.
        of: Vec<MemberId>,
    },
    /// Votes: enough was mined for this block to be voted for; the votes travel with the news.
    Votes(Target),
    /// Cosignatures: the votes decided on this block, and its checkpoint has none of a quorum yet.
    Cosignatures(Target),
}

impl Awaited {
    /// The block that is to become final next.
    #[must_use]
    pub const fn target(&self) -> Target {
        match self {
            Self::Blocks { target, .. } | Self::Votes(target) | Self::Cosignatures(target) => {
                *target
            }
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let height = self.target().height;
        match self {
            Self::Blocks { missing, .. } => {
                let more = if *missing == 1 { "hospital has" } else { "hospitals have" };
                let number = *missing;
                write!(
                    f,
                    "block {height} is voted for once {number} more {more} mined at or above it"
                )
            }
            Self::Votes(_) => write!(f, "block {height} waits for the votes of a quorum"),
            Self::Cosignatures(_) => {
                write!(f, "block {height} is decided and waits for the cosignatures of a quorum")
            }
        }
    }
}
