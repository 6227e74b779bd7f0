//! Headers from one block down, each naming the next.

use crate::ids::BlockId;
use crate::pow::Header;
use crate::registry::limit;

/// The headers of a block and of those below it, newest first, at most [`limit::EVIDENCE_HEADERS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderPath(Vec<Header>);

impl HeaderPath {
    /// A path of these headers; `None` if there are too many or one does not build on the next.
    #[must_use]
    pub fn new(headers: Vec<Header>) -> Option<Self> {
        let linked = headers.windows(2).all(|pair| pair[0].previous == pair[1].id());
        (linked && headers.len() <= limit::EVIDENCE_HEADERS).then_some(Self(headers))
    }

    /// The headers, newest first.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.0
    }

    /// The newest block of the path and the one that lies below its oldest: as many blocks deeper as there are headers.
    #[must_use]
    pub fn ends(&self) -> Option<(BlockId, BlockId)> {
        Some((self.0.first()?.id(), self.0.last()?.previous))
    }

    /// The headers' bytes, one after another.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|header| header.to_bytes()).collect()
    }

    /// The path with these bytes; `None` if they are not whole headers, too many, or not linked.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (headers, rest) = bytes.as_chunks::<{ Header::LEN }>();
        if !rest.is_empty() || headers.len() > limit::EVIDENCE_HEADERS {
            return None;
        }
        Self::new(headers.iter().map(Header::from_bytes).collect())
    }
}
