//! flatfs: how the folder of a block follows from its name.

use std::{fmt, str::FromStr};

/// The most characters a folder's name may have; names of blocks have 55.
const MAX_LENGTH: usize = 50;

/// Which part of a block's name its folder is named after.
///
/// ```
/// use medledger_ipfs::store::Sharding;
/// let sharding: Sharding = "/repo/flatfs/shard/v1/next-to-last/2".parse()?;
/// assert_eq!(sharding, Sharding::DEFAULT);
/// assert_eq!(sharding.folder("CIQABCDEF"), "DE");
/// # Ok::<(), medledger_ipfs::store::ShardingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharding {
    /// The first characters.
    Prefix(usize),
    /// The last characters.
    Suffix(usize),
    /// Those before the last one.
    NextToLast(usize),
}

/// A file `SHARDING` that says nothing known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("blocks lie in another layout: {found:?}")]
pub struct ShardingError {
    /// What it says, cut to 80 characters.
    pub found: String,
}

impl Sharding {
    /// What Kubo uses, and what this crate writes.
    pub const DEFAULT: Self = Self::NextToLast(2);

    /// Characters of a folder's name.
    #[must_use]
    pub const fn length(self) -> usize {
        let (Self::Prefix(length) | Self::Suffix(length) | Self::NextToLast(length)) = self;
        length
    }

    /// The folder of a block. Names too short are padded with `_`.
    #[must_use]
    pub fn folder(self, name: &str) -> String {
        let name: Vec<char> = name.chars().collect();
        let length = self.length();
        let (padded, from) = match self {
            Self::Prefix(_) => ([&name[..], &vec!['_'; length]].concat(), 0),
            Self::Suffix(_) => ([&vec!['_'; length], &name[..]].concat(), name.len()),
            Self::NextToLast(_) => {
                let padded = [&vec!['_'; length + 1], &name[..]].concat();
                let from = padded.len() - length - 1;
                (padded, from)
            }
        };
        padded[from..from + length].iter().collect()
    }
}

impl fmt::Display for Sharding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, length) = match self {
            Self::Prefix(length) => ("prefix", length),
            Self::Suffix(length) => ("suffix", length),
            Self::NextToLast(length) => ("next-to-last", length),
        };
        write!(f, "/repo/flatfs/shard/v1/{name}/{length}")
    }
}

impl FromStr for Sharding {
    type Err = ShardingError;

    /// Reads what a file `SHARDING` holds; white space around it does not count.
    fn from_str(text: &str) -> Result<Self, ShardingError> {
        let text = text.trim();
        let read = || {
            let (name, length) = text.strip_prefix("/repo/flatfs/shard/v1/")?.split_once('/')?;
            let length = length.parse().ok().filter(|length| (1..=MAX_LENGTH).contains(length))?;
            let sharding = match name {
                "prefix" => Self::Prefix(length),
                "suffix" => Self::Suffix(length),
                "next-to-last" => Self::NextToLast(length),
                _ => return None,
            };
            // No sign, no leading zero.
            (sharding.to_string() == text).then_some(sharding)
        };
        read().ok_or_else(|| ShardingError { found: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of go-ds-flatfs, with its own examples.
    #[test]
    fn folders_are_those_of_flatfs() {
        let table = [
            ("prefix/3", "1234567890", "123"),
            ("suffix/3", "1234567890", "890"),
            ("next-to-last/3", "1234567890", "789"),
            ("next-to-last/2", "CIQLSTJHXGJU2PQIUUXFFV62PWV7VREE57RXUU4A52IIR55M4LX432I", "32"),
            ("prefix/4", "ab", "ab__"),
            ("suffix/4", "ab", "__ab"),
            ("next-to-last/4", "ab", "___a"),
        ];
        for (sharding, name, folder) in table {
            let text = format!("/repo/flatfs/shard/v1/{sharding}");
            let sharding: Sharding = text.parse().unwrap();
            assert_eq!(sharding.folder(name), folder, "{text}");
            assert_eq!(sharding.to_string(), text);
            assert_eq!(format!(" {text}\n\n").parse(), Ok(sharding));
        }
    }

    #[test]
    fn other_layouts_are_refused_with_what_they_say() {
        for text in [
            "",
            "next-to-last/2",
            "/repo/flatfs/shard/v2/next-to-last/2",
            "/repo/flatfs/shard/v1/next-to-last",
            "/repo/flatfs/shard/v1/next-to-last/0",
            "/repo/flatfs/shard/v1/next-to-last/+2",
            "/repo/flatfs/shard/v1/next-to-last/02",
            "/repo/flatfs/shard/v1/next-to-last/51",
            "/repo/flatfs/shard/v1/next-to-last/99999999999999999999",
            "/repo/flatfs/shard/v1/next-to-last/2/2",
            "/repo/flatfs/shard/v1/middle/2",
        ] {
            assert_eq!(text.parse::<Sharding>(), Err(ShardingError { found: text.into() }));
        }
        let long = "x".repeat(100);
        assert_eq!(long.parse::<Sharding>().unwrap_err().found.len(), 80);
    }
}
