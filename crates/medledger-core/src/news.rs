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
    /// They begin as news do and are not the canonical DAG-CBOR of any.
    #[error("the news were cut or changed on their way: {0}")]
    Damaged(DecodeError),
    /// Written by another version of the format.
    #[error(
        "the news have format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
}

/// What all news of this version begin with: a map of six, `v` and its value, `chain`, and that 32 bytes come.
const HEAD: &[u8] = b"\xa6\x61v\x01\x65chain\x58\x20";

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
        let wrong = |error| match bytes.starts_with(HEAD) {
            true => NewsError::Damaged(error),
            false => NewsError::Malformed(error),
        };
        if let Some(found) = cbor::check_version(bytes, limit::NEWS_BYTES).map_err(wrong)? {
            return Err(NewsError::UnknownVersion { found });
        }
        cbor::decode(bytes, limit::NEWS_BYTES).map_err(wrong)
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
        assert!(matches!(News::decode(&longer), Err(NewsError::Damaged(_))));
        let whole = news.encode();
        for cut in HEAD.len()..whole.len() {
            assert!(matches!(News::decode(&whole[..cut]), Err(NewsError::Damaged(_))), "{cut}");
        }
        for other in [&b""[..], b"no news", &cbor::encode(&"text"), &whole[..HEAD.len() - 1]] {
            assert!(matches!(News::decode(other), Err(NewsError::Malformed(_))), "{other:?}");
        }
    }
}
