//! Which blocks below a root belong to what was asked for: told by the blocks themselves, one after the
//! other, so that whoever delivers them has no say in it.

use super::{DagFault, Limits};
use crate::links::links_of;
use crate::unixfs::dagpb::PbNode;
use crate::unixfs::{FileNode, MAX_DEPTH, NodeError};
use medledger_core::{Cid, cid::Codec};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How much below a root is asked for (trustless gateway specification, `dag-scope` and `entity-bytes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The root alone.
    Block,
    /// What a file, or the listing of a folder, is made of; of anything else the root alone.
    Entity,
    /// What bytes `from` to `to` of a file need, both included; of anything else as [`Entity`](Self::Entity).
    Bytes {
        /// The first byte.
        from: u64,
        /// The last byte.
        to: u64,
    },
    /// Everything below the root.
    All,
}

/// Why a block does not belong to a selection, or the selection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// A block that was not asked for, or that came before the block that links to it.
    #[error("block {cid} was not asked for")]
    NotAsked {
        /// The block.
        cid: Cid,
    },
    /// The same blocks again and again.
    #[error("more than {limit} blocks came that were here already")]
    Repeats {
        /// Repetitions allowed: one for each link that was followed.
        limit: u64,
    },
    /// A node below which nobody here can tell what belongs to a file.
    #[error("node {cid} cannot be read as a file")]
    Node {
        /// The node.
        cid: Cid,
        /// What is wrong with it.
        source: NodeError,
    },
    /// The DAG itself.
    #[error(transparent)]
    Dag(#[from] DagFault),
}

/// Codec and hash.
type Key = (u64, [u8; 32]);

/// Bytes of a node that are asked for, counted from its own first one; none for all of it.
type Part = Option<(u64, u64)>;

/// A link that may be followed.
#[derive(Clone, Copy, Debug)]
struct Edge {
    cid: Cid,
    /// Where below its parent it begins, and bytes below it; nothing where no part is asked for.
    start: u64,
    size: u64,
}

#[derive(Debug, Default)]
struct Met {
    /// The links of a block that came.
    edges: Option<Arc<[Edge]>>,
    /// What was asked of it, each once.
    parts: HashSet<Part>,
    depth: u32,
}

/// Follows blocks as they come, parents before children, and knows which are still to come.
///
/// Takes memory for what [`Limits`] allow, whatever comes.
#[derive(Debug)]
pub(super) struct Selection {
    scope: Scope,
    limits: Limits,
    met: HashMap<Key, Met>,
    /// With depth and a running number.
    due: HashMap<Key, (Cid, u32, u64)>,
    links: usize,
    followed: u64,
    repeats: u64,
}

fn key(cid: &Cid) -> Key {
    (cid.codec().code(), *cid.digest())
}

impl Selection {
    pub(super) fn new(root: &Cid, scope: Scope, limits: Limits) -> Self {
        let part = match scope {
            Scope::Bytes { from, to } => Some((from, to)),
            _ => None,
        };
        let met = Met { edges: None, parts: HashSet::from([part]), depth: 1 };
        Self {
            scope,
            limits,
            met: HashMap::from([(key(root), met)]),
            due: HashMap::from([(key(root), (*root, 1, 0))]),
            links: 0,
            followed: 1,
            repeats: 0,
        }
    }

    /// The block that is still to come, if there is one: of several the one that comes next depth first.
    pub(super) fn due(&self) -> Option<Cid> {
        let first = self.due.values().min_by_key(|(_, depth, number)| (Reverse(*depth), *number));
        first.map(|(cid, ..)| *cid)
    }

    /// Whether nothing is still to come.
    pub(super) fn is_complete(&self) -> bool {
        self.due.is_empty()
    }

    /// Takes a block, which matches its CID; false when it was here before.
    pub(super) fn take(&mut self, cid: &Cid, block: &[u8]) -> Result<bool, SelectionError> {
        let key = key(cid);
        if self.due.remove(&key).is_none() {
            if !self.met.contains_key(&key) {
                return Err(SelectionError::NotAsked { cid: *cid });
            }
            self.repeats += 1;
            if self.repeats > self.followed {
                return Err(SelectionError::Repeats { limit: self.followed });
            }
            return Ok(false);
        }
        let edges: Arc<[Edge]> = self.edges(cid, block)?.into();
        self.links += edges.len();
        if self.links > self.limits.max_links {
            return Err(DagFault::TooManyLinks { limit: self.limits.max_links }.into());
        }
        let met = self.met.entry(key).or_default();
        met.edges = Some(edges);
        let parts: Vec<_> = met.parts.iter().copied().collect();
        let mut work: Vec<_> = parts.into_iter().map(|part| (key, part)).collect();
        while let Some((key, part)) = work.pop() {
            self.follow(key, part, &mut work)?;
        }
        Ok(true)
    }

    /// Asks for the children of a block that is here, as far as a part needs them. Children that are here too
    /// are followed in their turn: `work` holds what is left to do.
    fn follow(
        &mut self,
        key: Key,
        part: Part,
        work: &mut Vec<(Key, Part)>,
    ) -> Result<(), SelectionError> {
        let Some(Met { edges: Some(edges), depth, .. }) = self.met.get(&key) else { return Ok(()) };
        let (edges, depth) = (Arc::clone(edges), depth + 1);
        for edge in edges.iter() {
            let Some(part) = part_of(edge, part) else { continue };
            let limit = self.limits.max_depth;
            if depth > limit {
                return Err(DagFault::TooDeep { limit }.into());
            }
            let child = self::key(&edge.cid);
            let limit = self.limits.max_cids;
            if self.met.len() == limit && !self.met.contains_key(&child) {
                return Err(DagFault::TooManyCids { limit }.into());
            }
            self.followed += 1;
            let met = self.met.entry(child).or_default();
            met.depth = met.depth.max(depth);
            if met.parts.contains(&None) || !met.parts.insert(part) {
                continue;
            }
            if met.edges.is_some() {
                work.push((child, part));
            } else {
                self.due.insert(child, (edge.cid, depth, self.followed));
            }
        }
        Ok(())
    }

    /// The links of a block that the scope may follow.
    fn edges(&self, cid: &Cid, block: &[u8]) -> Result<Vec<Edge>, SelectionError> {
        let plain = |cid| Edge { cid, start: 0, size: u64::MAX };
        let of_file = match self.scope {
            Scope::Block => return Ok(Vec::new()),
            Scope::All => {
                let links = links_of(cid.codec(), block);
                let links = links.map_err(|source| DagFault::Links { cid: *cid, source })?;
                return Ok(links.into_iter().map(plain).collect());
            }
            Scope::Entity | Scope::Bytes { .. } if cid.codec() != Codec::DagPb => {
                return Ok(Vec::new());
            }
            Scope::Entity | Scope::Bytes { .. } => FileNode::decode(block),
        };
        let children = match of_file {
            Ok(FileNode::Leaf(_)) => return Ok(Vec::new()),
            Ok(FileNode::Branch { children, .. }) => children,
            // A folder cut into pieces: those have names of two characters and no more.
            Err(NodeError::NotAFile(HAMT_SHARD)) => {
                let links = PbNode::decode(block).map(|node| node.links).unwrap_or_default();
                let shards = links.iter().filter(|link| link.name.len() == 2);
                return Ok(shards.map(|link| plain(link.cid)).collect());
            }
            // Other kinds are one block each; a node without a message is no file.
            Err(NodeError::NotAFile(_) | NodeError::NoData) => return Ok(Vec::new()),
            Err(source) => return Err(SelectionError::Node { cid: *cid, source }),
        };
        let mut start = 0;
        let edges = children.into_iter().map(|child| {
            let edge = Edge { cid: child.cid, start, size: child.size };
            // The sum was checked when the node was read.
            start += child.size;
            edge
        });
        Ok(edges.collect())
    }
}

/// UnixFS type of a folder that is cut into pieces.
const HAMT_SHARD: u64 = 5;

/// How deep files may lie, for the limits of a selection that is a file.
pub(super) const FILE_DEPTH: u32 = MAX_DEPTH as u32;

/// What a part of a node asks of one of its children: nothing, all of it or a part in turn.
fn part_of(edge: &Edge, part: Part) -> Option<Part> {
    let Some((from, to)) = part else { return Some(None) };
    if edge.size == u64::MAX {
        return Some(None);
    }
    let last = edge.start + edge.size - 1;
    if to < from || to < edge.start || from > last {
        return None;
    }
    let (from, to) = (from.max(edge.start), to.min(last));
    let whole = from == edge.start && to == last;
    Some((!whole).then_some((from - edge.start, to - edge.start)))
}
