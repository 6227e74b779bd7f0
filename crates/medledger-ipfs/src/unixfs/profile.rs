//! The parameters that decide which CID a file gets (IPIP-0499).

use crate::block::MAX_BLOCK_BYTES;
use std::{fmt, str::FromStr};

/// Version of the CIDs of dag-pb nodes. Raw leaves always have version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CidVersion {
    /// `Qm…`
    V0,
    /// `bafy…`
    V1,
}

/// How the bytes of a file stand in its leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaves {
    /// The block is the bytes.
    Raw,
    /// The bytes are wrapped in a UnixFS file node.
    DagPb,
}

/// Parameters that cannot make a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Not one of the known names.
    #[error("unknown CID profile {0:?}; known are unixfs-v1-2025, unixfs-v0-2015 and kubo-cidv1")]
    UnknownName(String),
    /// A leaf would be empty or exceed the limit of a block.
    #[error("chunks of {found} bytes; 1 to {limit} are possible")]
    Chunk {
        /// Bytes asked for.
        found: usize,
        /// Most bytes a leaf can hold.
        limit: usize,
    },
    /// A tree of this width never ends, or its nodes would exceed the limit of a block.
    #[error("{found} links a node; 2 to {limit} are possible")]
    Width {
        /// Links asked for.
        found: usize,
        /// Most links a node can hold.
        limit: usize,
    },
}

/// What decides the CID of a file: version, leaves, chunk size and width of the tree.
///
/// ```
/// use medledger_ipfs::unixfs::Profile;
/// assert_eq!(Profile::default(), Profile::V1_2025);
/// assert_eq!("unixfs-v0-2015".parse(), Ok(Profile::V0_2015));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    version: CidVersion,
    leaves: Leaves,
    chunk: usize,
    width: usize,
}

impl Profile {
    /// `unixfs-v1-2025` of IPIP-0499: CIDv1, raw leaves of 1 MiB, 1024 links a node. The default.
    pub const V1_2025: Self =
        Self { version: CidVersion::V1, leaves: Leaves::Raw, chunk: 1024 * 1024, width: 1024 };
    /// `unixfs-v0-2015` of IPIP-0499, what `ipfs add` does by default: CIDv0, dag-pb leaves of
    /// 256 KiB, 174 links a node.
    pub const V0_2015: Self =
        Self { version: CidVersion::V0, leaves: Leaves::DagPb, chunk: 256 * 1024, width: 174 };
    /// What `ipfs add --cid-version=1` does: CIDv1, raw leaves of 256 KiB, 174 links a node.
    pub const KUBO_CIDV1: Self =
        Self { version: CidVersion::V1, leaves: Leaves::Raw, chunk: 256 * 1024, width: 174 };

    /// The most bytes a leaf may hold; what Kubo allows, so that a wrapped leaf still fits a block.
    pub const MAX_CHUNK: usize = MAX_BLOCK_BYTES - 256;
    /// The most links a node may have. A link takes about 65 bytes, so such a node is half a MiB.
    pub const MAX_WIDTH: usize = 8192;

    const NAMED: [(&'static str, Self); 3] = [
        ("unixfs-v1-2025", Self::V1_2025),
        ("unixfs-v0-2015", Self::V0_2015),
        ("kubo-cidv1", Self::KUBO_CIDV1),
    ];

    /// Any other parameters; `chunk` in bytes, `width` in links a node.
    ///
    /// # Errors
    /// When the chunk size or the width is out of bounds.
    pub const fn custom(
        version: CidVersion,
        leaves: Leaves,
        chunk: usize,
        width: usize,
    ) -> Result<Self, ProfileError> {
        if chunk == 0 || chunk > Self::MAX_CHUNK {
            return Err(ProfileError::Chunk { found: chunk, limit: Self::MAX_CHUNK });
        }
        if width < 2 || width > Self::MAX_WIDTH {
            return Err(ProfileError::Width { found: width, limit: Self::MAX_WIDTH });
        }
        Ok(Self { version, leaves, chunk, width })
    }

    /// The names that [`FromStr`] reads.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().map(|(name, _)| *name)
    }

    /// The name, when it is one of the named profiles.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(_, known)| known == self).map(|(name, _)| *name)
    }

    /// Version of the CIDs of dag-pb nodes.
    #[must_use]
    pub const fn version(&self) -> CidVersion {
        self.version
    }

    /// How bytes stand in the leaves.
    #[must_use]
    pub const fn leaves(&self) -> Leaves {
        self.leaves
    }

    /// File bytes in every leaf but the last.
    #[must_use]
    pub const fn chunk(&self) -> usize {
        self.chunk
    }

    /// Links in every branch node but the last of its level.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::V1_2025
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(
                f,
                "custom ({:?}, {:?} leaves of {} bytes, {} links a node)",
                self.version, self.leaves, self.chunk, self.width
            ),
        }
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(name: &str) -> Result<Self, ProfileError> {
        Self::NAMED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, profile)| *profile)
            .ok_or_else(|| ProfileError::UnknownName(name.chars().take(60).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_bounds_hold() {
        for name in Profile::names() {
            assert_eq!(name.parse::<Profile>().unwrap().to_string(), name);
        }
        assert!(matches!("v1".parse::<Profile>(), Err(ProfileError::UnknownName(_))));
        let custom = |chunk, width| Profile::custom(CidVersion::V1, Leaves::Raw, chunk, width);
        assert!(custom(1, 2).is_ok());
        assert!(custom(Profile::MAX_CHUNK, Profile::MAX_WIDTH).is_ok());
        assert!(matches!(custom(0, 2), Err(ProfileError::Chunk { found: 0, .. })));
        assert!(matches!(custom(Profile::MAX_CHUNK + 1, 2), Err(ProfileError::Chunk { .. })));
        assert!(matches!(custom(1, 1), Err(ProfileError::Width { found: 1, .. })));
        assert!(matches!(custom(1, 8193), Err(ProfileError::Width { .. })));
        assert_eq!(custom(1024 * 1024, 1024), Ok(Profile::V1_2025));
    }
}
