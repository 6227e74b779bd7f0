//! What one hospital tells the others beside its blocks: records that wait, votes, checkpoints.

use crate::cbor::{self, DecodeError};
use crate::ids::ChainId;
use crate::registry::{FORMAT_VERSION, limit};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Records that wait at a hospital, and what it knows of votes. Each part is judged on its own by whoever
/// takes it in: nobody vouches for the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct News {
    v: u16,
    /// The chain.
    pub chain: ChainId,
    /// Signed records that wait, in the order of the queue.
    pub records: Vec<ByteBuf>,
    /// Signed votes.
    pub votes: Vec<ByteBuf>,
    /// Votes of a quorum that came as a whole.
    pub certificates: Vec<ByteBuf>,
    /// Signed checkpoints that wait for more signatures.
    pub checkpoints: Vec<String>,
}

/// Bytes that are no news.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NewsError {
    /// Not the canonical DAG-CBOR of news.
    #[error("not the news of a hospital: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by another version of the format.
    #[error(
        "the news have format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
}

impl News {
    /// No news of a chain.
    #[must_use]
    pub const fn new(chain: ChainId) -> Self {
        Self {
            v: FORMAT_VERSION,
            chain,
            records: Vec::new(),
            votes: Vec::new(),
            certificates: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the canonical bytes; judges nothing they hold.
    ///
    /// # Errors
    /// See [`NewsError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, NewsError> {
        if let Some(found) = cbor::check_version(bytes, limit::NEWS_BYTES)? {
            return Err(NewsError::UnknownVersion { found });
        }
        Ok(cbor::decode(bytes, limit::NEWS_BYTES)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_back_whole_and_only_in_this_version() {
        let mut news = News::new(ChainId::from_bytes([1; 32]));
        news.records.push(ByteBuf::from(vec![1, 2]));
        news.votes.push(ByteBuf::from(vec![3]));
        news.checkpoints.push("text\n".into());
        assert_eq!(News::decode(&news.encode()), Ok(news.clone()));
        let later = News { v: 2, ..news.clone() };
        assert_eq!(News::decode(&later.encode()), Err(NewsError::UnknownVersion { found: 2 }));
        let mut longer = news.encode();
        longer.push(0);
        assert!(matches!(News::decode(&longer), Err(NewsError::Malformed(_))));
    }
}
