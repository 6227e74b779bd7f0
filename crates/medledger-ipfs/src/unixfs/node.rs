//! One node of a UnixFS file: a leaf with bytes or a branch with children.

use super::dagpb::{self, Field, Fields, PbError, PbNode, Value};
use medledger_core::{Cid, cid::Codec};

/// A node that is no canonical UnixFS file node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Not a canonical dag-pb node.
    #[error(transparent)]
    Pb(#[from] PbError),
    /// The node holds no UnixFS message.
    #[error("dag-pb node without UnixFS data")]
    NoData,
    /// Another kind of thing: a folder (1), a symbolic link (4), ...
    #[error("UnixFS type {0} is not a file (2)")]
    NotAFile(u64),
    /// A link has a name, which only entries of folders have.
    #[error("link {index} of a file has a name")]
    NamedLink {
        /// Which link, from 0.
        index: usize,
    },
    /// Links lead to raw leaves or further nodes, nowhere else.
    #[error("link {index} of a file leads to a block with codec {codec:#x}")]
    ForeignLink {
        /// Which link, from 0.
        index: usize,
        /// The codec in its CID.
        codec: u64,
    },
    /// A branch that holds bytes itself.
    #[error("branch node holds {0} bytes itself")]
    DataInBranch(usize),
    /// Not one size for each link.
    #[error("{links} links but {sizes} sizes")]
    SizeCount {
        /// Links found.
        links: usize,
        /// Sizes found.
        sizes: usize,
    },
    /// A link that contributes nothing; without this check a small tree could be walked for ever.
    #[error("link {index} has no bytes below it")]
    EmptyLink {
        /// Which link, from 0.
        index: usize,
    },
    /// The size of the node is not the sum of its parts.
    #[error("node says it has {declared} bytes, its parts have {sum}")]
    SizeSum {
        /// What the node says.
        declared: u64,
        /// What its parts say; the largest number when they overflow.
        sum: u64,
    },
}

/// A child of a branch node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// The block.
    pub cid: Cid,
    /// File bytes below it.
    pub size: u64,
    /// Bytes of all blocks below it, itself included.
    pub tsize: u64,
}

/// A dag-pb node of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileNode<'a> {
    /// Holds the bytes themselves.
    Leaf(&'a [u8]),
    /// Links to where the bytes are.
    Branch {
        /// File bytes below: the sum over the children.
        size: u64,
        /// The children in file order.
        children: Vec<Child>,
    },
}

const FILE: u64 = 2;

impl<'a> FileNode<'a> {
    /// Reads a node strictly: only what [`Builder`](super::Builder) and `ipfs add` write for plain
    /// files is accepted, with sizes that add up. No mode, no time, no bytes in branches.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub fn decode(block: &'a [u8]) -> Result<Self, NodeError> {
        let node = PbNode::decode(block)?;
        let message = Message::decode(node.data.ok_or(NodeError::NoData)?)?;
        if node.links.is_empty() {
            let data = message.data.unwrap_or_default();
            if !message.sizes.is_empty() {
                return Err(NodeError::SizeCount { links: 0, sizes: message.sizes.len() });
            }
            if message.size != data.len() as u64 {
                return Err(NodeError::SizeSum { declared: message.size, sum: data.len() as u64 });
            }
            return Ok(Self::Leaf(data));
        }
        if let Some(data) = message.data {
            return Err(NodeError::DataInBranch(data.len()));
        }
        if message.sizes.len() != node.links.len() {
            let (links, sizes) = (node.links.len(), message.sizes.len());
            return Err(NodeError::SizeCount { links, sizes });
        }
        let mut children = Vec::with_capacity(node.links.len());
        let mut sum = 0u64;
        for (index, (link, &size)) in node.links.iter().zip(&message.sizes).enumerate() {
            if !link.name.is_empty() {
                return Err(NodeError::NamedLink { index });
            }
            if !matches!(link.cid.codec(), Codec::Raw | Codec::DagPb) {
                return Err(NodeError::ForeignLink { index, codec: link.cid.codec().code() });
            }
            if size == 0 {
                return Err(NodeError::EmptyLink { index });
            }
            sum = sum
                .checked_add(size)
                .ok_or(NodeError::SizeSum { declared: message.size, sum: u64::MAX })?;
            children.push(Child { cid: link.cid, size, tsize: link.tsize });
        }
        if sum != message.size {
            return Err(NodeError::SizeSum { declared: message.size, sum });
        }
        Ok(Self::Branch { size: sum, children })
    }

    /// File bytes below this node.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Leaf(data) => data.len() as u64,
            Self::Branch { size, .. } => *size,
        }
    }
}

/// What stands before and after the bytes of a leaf that wraps them.
#[derive(Clone, Debug)]
pub(crate) struct Wrapping {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl Wrapping {
    /// For so many bytes.
    pub(crate) fn new(len: usize) -> Self {
        let mut message = Vec::with_capacity(12);
        dagpb::put_uint(&mut message, 1, FILE);
        if len > 0 {
            message.push(0x12);
            dagpb::put_varint(&mut message, len as u64);
        }
        let mut tail = Vec::with_capacity(11);
        dagpb::put_uint(&mut tail, 3, len as u64);
        let mut head = Vec::with_capacity(message.len() + 11);
        head.push(0x0a);
        dagpb::put_varint(&mut head, (message.len() + len + tail.len()) as u64);
        head.extend_from_slice(&message);
        Self { head, tail }
    }

    /// Bytes beside those of the leaf.
    pub(crate) const fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Writes the whole node.
    pub(crate) fn wrap(&self, data: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.len() + data.len());
        out.extend_from_slice(&self.head);
        out.extend_from_slice(data);
        out.extend_from_slice(&self.tail);
    }
}

/// Writes the node of a branch; the links stand before the message.
pub(crate) fn encode_branch(out: &mut Vec<u8>, children: &[Child]) {
    let mut message = Vec::with_capacity(12 + children.len() * 6);
    dagpb::put_uint(&mut message, 1, FILE);
    dagpb::put_uint(&mut message, 3, children.iter().map(|c| c.size).sum());
    for child in children {
        dagpb::put_link(out, &child.cid, "", child.tsize);
        dagpb::put_uint(&mut message, 4, child.size);
    }
    dagpb::put_bytes(out, 1, &message);
}

/// The UnixFS message of a file.
struct Message<'a> {
    data: Option<&'a [u8]>,
    size: u64,
    sizes: Vec<u64>,
}

impl<'a> Message<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, NodeError> {
        let mut fields = Fields::new(bytes);
        let (mut kind, mut data, mut size, mut sizes) = (None, None, None, Vec::new());
        while let Some(field) = fields.next()? {
            match (field.tag, field.value) {
                (0x08, Value::Int(n)) if kind.is_none() => kind = Some(n),
                (0x12, Value::Bytes(b)) if data.is_none() => data = Some(b),
                (0x18, Value::Int(n)) if size.is_none() => size = Some(n),
                (0x20, Value::Int(n)) => sizes.push(n),
                _ => {
                    let Field { tag, at, .. } = field;
                    // A folder may hold fields that a file has not: say what it is instead.
                    return Err(match kind {
                        Some(n) if n != FILE => NodeError::NotAFile(n),
                        _ => PbError::UnexpectedField { tag, at }.into(),
                    });
                }
            }
        }
        match kind {
            Some(FILE) => {}
            Some(other) => return Err(NodeError::NotAFile(other)),
            None => return Err(NodeError::NoData),
        }
        let message = Self { data, size: size.ok_or(NodeError::NoData)?, sizes };
        if message.encode() != bytes {
            return Err(PbError::NotCanonical.into());
        }
        Ok(message)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(self.data.map_or(0, <[u8]>::len) + self.sizes.len() * 6 + 24);
        dagpb::put_uint(&mut out, 1, FILE);
        // An empty data field is left out, so that the empty file has one encoding.
        if let Some(data) = self.data.filter(|d| !d.is_empty()) {
            dagpb::put_bytes(&mut out, 2, data);
        }
        dagpb::put_uint(&mut out, 3, self.size);
        for size in &self.sizes {
            dagpb::put_uint(&mut out, 4, *size);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        dagpb::put_bytes(&mut out, 1, message);
        out
    }

    fn branch(children: &[Child], message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for c in children {
            dagpb::put_link(&mut out, &c.cid, "", c.tsize);
        }
        dagpb::put_bytes(&mut out, 1, message);
        out
    }

    fn child(size: u64) -> Child {
        Child { cid: Cid::of(Codec::Raw, &[1]), size, tsize: size }
    }

    #[test]
    fn leaves_and_branches_read_back() {
        let mut leaf = Vec::new();
        Wrapping::new(3).wrap(b"abc", &mut leaf);
        assert_eq!(FileNode::decode(&leaf), Ok(FileNode::Leaf(b"abc")));
        let mut empty = Vec::new();
        Wrapping::new(0).wrap(b"", &mut empty);
        assert_eq!(empty, [0x0a, 4, 8, 2, 0x18, 0]);
        assert_eq!(FileNode::decode(&empty), Ok(FileNode::Leaf(b"")));
        let children = vec![child(5), child(6)];
        let mut bytes = Vec::new();
        encode_branch(&mut bytes, &children);
        assert_eq!(FileNode::decode(&bytes), Ok(FileNode::Branch { size: 11, children }));
    }

    #[test]
    fn pitfall_16_odd_nodes_have_typed_errors() {
        use NodeError as E;
        let two = [child(5), child(6)];
        for (bytes, error) in [
            (vec![], E::NoData),
            (node(&[]), E::NoData),
            (node(&[8, 1]), E::NotAFile(1)),
            (node(&[8, 5, 0x28, 0x22]), E::NotAFile(5)),
            (node(&[8, 2]), E::NoData),
            (node(&[8, 2, 0x18, 1]), E::SizeSum { declared: 1, sum: 0 }),
            (node(&[8, 2, 0x12, 1, 9, 0x18, 2]), E::SizeSum { declared: 2, sum: 1 }),
            (node(&[8, 2, 0x18, 1, 0x20, 1]), E::SizeCount { links: 0, sizes: 1 }),
            // The data field twice; an empty one; the size first; mode; packed sizes.
            (
                node(&[8, 2, 0x12, 1, 9, 0x12, 1, 9, 0x18, 1]),
                PbError::UnexpectedField { tag: 0x12, at: 5 }.into(),
            ),
            (node(&[8, 2, 0x12, 0, 0x18, 0]), PbError::NotCanonical.into()),
            (node(&[0x18, 0, 8, 2]), PbError::NotCanonical.into()),
            (node(&[8, 2, 0x18, 0, 0x38, 1]), PbError::UnexpectedField { tag: 0x38, at: 4 }.into()),
            (
                branch(&two, &[8, 2, 0x18, 11, 0x22, 2, 5, 6]),
                PbError::UnexpectedField { tag: 0x22, at: 4 }.into(),
            ),
            (branch(&two, &[8, 2, 0x12, 1, 0, 0x18, 11, 0x20, 5, 0x20, 6]), E::DataInBranch(1)),
            (branch(&two, &[8, 2, 0x18, 11, 0x20, 11]), E::SizeCount { links: 2, sizes: 1 }),
            (
                branch(&two, &[8, 2, 0x18, 12, 0x20, 5, 0x20, 6]),
                E::SizeSum { declared: 12, sum: 11 },
            ),
            (branch(&two, &[8, 2, 0x18, 5, 0x20, 5, 0x20, 0]), E::EmptyLink { index: 1 }),
        ] {
            assert_eq!(FileNode::decode(&bytes), Err(error), "{bytes:02x?}");
        }
    }

    #[test]
    fn pitfall_38_sizes_that_overflow_and_links_that_lead_elsewhere_are_refused() {
        let mut message = vec![8, 2, 0x18, 0];
        for _ in 0..2 {
            dagpb::put_uint(&mut message, 4, u64::MAX);
        }
        let bytes = branch(&[child(1), child(1)], &message);
        let error = NodeError::SizeSum { declared: 0, sum: u64::MAX };
        assert_eq!(FileNode::decode(&bytes), Err(error));

        let foreign = Child { cid: Cid::of(Codec::DagCbor, &[1]), size: 1, tsize: 1 };
        let bytes = branch(&[foreign], &[8, 2, 0x18, 1, 0x20, 1]);
        assert_eq!(FileNode::decode(&bytes), Err(NodeError::ForeignLink { index: 0, codec: 0x71 }));

        let mut named = Vec::new();
        dagpb::put_link(&mut named, &child(1).cid, "a", 1);
        dagpb::put_bytes(&mut named, 1, &[8, 2, 0x18, 1, 0x20, 1]);
        assert_eq!(FileNode::decode(&named), Err(NodeError::NamedLink { index: 0 }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_changed_nodes_differ(
            noise in proptest::collection::vec(any::<u8>(), 0..100),
            sizes in proptest::collection::vec(1u64..1 << 40, 1..20),
            bit in any::<proptest::sample::Index>(),
        ) {
            let _ = FileNode::decode(&noise);
            let children: Vec<Child> = sizes.iter().map(|s| child(*s)).collect();
            let mut bytes = Vec::new();
            encode_branch(&mut bytes, &children);
            let honest = FileNode::decode(&bytes).unwrap();
            let mut flipped = bytes.clone();
            let bit = bit.index(bytes.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(FileNode::decode(&flipped), Ok(honest));
        }
    }
}
