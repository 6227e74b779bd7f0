//! What is remembered of the blocks that passed: enough to tell at the end whether they make a
//! complete DAG, however they were ordered.

use super::DagFault;
use medledger_core::{Cid, cid::Codec};
use std::collections::HashMap;

/// How much of a DAG is remembered, and so how much memory it takes: about 60 bytes a block and 4 a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Different CIDs, those of blocks and those only linked.
    pub max_cids: usize,
    /// Links of all blocks together.
    pub max_links: usize,
    /// Levels below a root, itself counted.
    pub max_depth: u32,
}

impl Limits {
    /// For reports, files and folders: reports of more than 400 GiB in less than 48 MiB of memory.
    pub const FILES: Self = Self { max_cids: 450_000, max_links: 2_000_000, max_depth: 64 };
    /// For chains, in which every block lies below the next: some four million of them.
    pub const CHAIN: Self =
        Self { max_cids: 8_000_000, max_links: 16_000_000, max_depth: 8_000_000 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::FILES
    }
}

/// A block by codec and hash: the same bytes under another codec have other links.
type Key = (u8, [u8; 32]);

const fn code(codec: Codec) -> u8 {
    match codec {
        Codec::Raw => 0,
        Codec::DagPb => 1,
        Codec::DagCbor => 2,
    }
}

const CODECS: [Codec; 3] = [Codec::Raw, Codec::DagPb, Codec::DagCbor];

fn key(cid: &Cid) -> Key {
    (code(cid.codec()), *cid.digest())
}

/// Where the links of a block are; `ABSENT` for one that is only linked.
#[derive(Clone, Copy, Debug)]
struct Node {
    first: u32,
    count: u32,
}

const ABSENT: Node = Node { first: u32::MAX, count: 0 };

impl Node {
    const fn is_here(self) -> bool {
        self.first != u32::MAX
    }
}

/// The blocks met and the links between them, by number.
#[derive(Debug)]
pub(super) struct Graph {
    limits: Limits,
    numbers: HashMap<Key, u32>,
    nodes: Vec<Node>,
    links: Vec<u32>,
}

impl Graph {
    pub(super) fn new(limits: Limits) -> Self {
        // Numbers are 32 bits wide, and the largest one has a meaning of its own.
        let most = u32::MAX as usize - 1;
        let limits = Limits {
            max_cids: limits.max_cids.min(most),
            max_links: limits.max_links.min(most),
            ..limits
        };
        Self { limits, numbers: HashMap::new(), nodes: Vec::new(), links: Vec::new() }
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The number of a block that is here.
    pub(super) fn number(&self, cid: &Cid) -> Option<u32> {
        let number = *self.numbers.get(&key(cid))?;
        self.nodes[number as usize].is_here().then_some(number)
    }

    /// The number of a block that is here under any codec.
    pub(super) fn number_of_hash(&self, cid: &Cid) -> Option<u32> {
        CODECS.iter().find_map(|codec| self.number(&Cid::from_digest(*codec, *cid.digest())))
    }

    fn enter(&mut self, cid: &Cid) -> Result<u32, DagFault> {
        let next = self.nodes.len();
        let number = *self.numbers.entry(key(cid)).or_insert(next as u32);
        if number as usize == next {
            if next == self.limits.max_cids {
                return Err(DagFault::TooManyCids { limit: next });
            }
            self.nodes.push(ABSENT);
        }
        Ok(number)
    }

    /// Takes note of a block and its links; false when it was here before.
    pub(super) fn add(&mut self, cid: &Cid, links: &[Cid]) -> Result<bool, DagFault> {
        let number = self.enter(cid)?;
        if self.nodes[number as usize].is_here() {
            return Ok(false);
        }
        let limit = self.limits.max_links;
        if links.len() > limit - self.links.len() {
            return Err(DagFault::TooManyLinks { limit });
        }
        let first = self.links.len() as u32;
        for link in links {
            let link = self.enter(link)?;
            self.links.push(link);
        }
        self.nodes[number as usize] = Node { first, count: links.len() as u32 };
        Ok(true)
    }

    /// Whether everything below the roots is here, nothing else is, and nothing lies too deep.
    pub(super) fn check(&self, roots: &[Cid]) -> Result<(), DagFault> {
        let height = self.walk(roots, true)?;
        match (0..self.nodes.len()).find(|n| self.nodes[*n].is_here() && height[*n] == 0) {
            Some(number) => Err(DagFault::Unreferenced { cid: self.name(number as u32) }),
            None => Ok(()),
        }
    }

    /// Only whether nothing that is here lies too deep.
    pub(super) fn check_depth(&self, roots: &[Cid]) -> Result<(), DagFault> {
        self.walk(roots, false).map(drop)
    }

    /// Levels from each block down to the lowest below it; 0 where no root leads.
    fn walk(&self, roots: &[Cid], complete: bool) -> Result<Vec<u32>, DagFault> {
        /// On the path: its height is not known yet.
        const OPEN: u32 = u32::MAX;
        let limit = self.limits.max_depth;
        let mut height = vec![0u32; self.nodes.len()];
        let mut path: Vec<(u32, u32)> = Vec::new();
        for root in roots {
            let Some(number) = self.numbers.get(&key(root)) else {
                if complete {
                    return Err(DagFault::Missing { cid: *root });
                }
                continue;
            };
            let mut next = Some(*number);
            while let Some(number) = next.take() {
                let node = self.nodes[number as usize];
                if height[number as usize] == 0 {
                    if complete && !node.is_here() {
                        return Err(DagFault::Missing { cid: self.name(number) });
                    }
                    height[number as usize] = OPEN;
                    path.push((number, 0));
                }
                while let Some((number, done)) = path.last_mut() {
                    let node = self.nodes[*number as usize];
                    if *done < node.count {
                        let child = self.links[(node.first + *done) as usize];
                        *done += 1;
                        if height[child as usize] == 0 {
                            next = Some(child);
                            break;
                        }
                        continue;
                    }
                    let links = &self.links[node.links()];
                    let below = links.iter().map(|link| height[*link as usize]).max().unwrap_or(0);
                    if below >= limit {
                        return Err(DagFault::TooDeep { limit });
                    }
                    height[*number as usize] = below + 1;
                    path.pop();
                }
            }
        }
        Ok(height)
    }

    /// The CID with a number. Only needed to name a fault, so it may take a search.
    fn name(&self, number: u32) -> Cid {
        let found = self.numbers.iter().find(|(_, n)| **n == number);
        let ((code, digest), _) = found.expect("every number was given to a CID");
        Cid::from_digest(CODECS[usize::from(*code)], *digest)
    }
}

impl Node {
    fn links(self) -> std::ops::Range<usize> {
        if self.is_here() { self.first as usize..(self.first + self.count) as usize } else { 0..0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cid(n: u32) -> Cid {
        Cid::of(Codec::DagCbor, &n.to_be_bytes())
    }

    fn graph(limits: Limits, edges: &[(u32, &[u32])]) -> Result<Graph, DagFault> {
        let mut graph = Graph::new(limits);
        for (from, to) in edges {
            let links: Vec<Cid> = to.iter().map(|n| cid(*n)).collect();
            graph.add(&cid(*from), &links)?;
        }
        Ok(graph)
    }

    #[test]
    fn complete_dags_pass_in_any_order_and_others_name_their_fault() {
        let limits = Limits { max_depth: 3, ..Limits::FILES };
        let diamond: [(u32, &[u32]); 4] = [(0, &[1, 2]), (1, &[3]), (2, &[3, 3]), (3, &[])];
        let mut reversed = diamond;
        reversed.reverse();
        for edges in [&diamond, &reversed] {
            assert_eq!(graph(limits, edges).unwrap().check(&[cid(0)]), Ok(()));
            assert_eq!(graph(limits, edges).unwrap().check(&[cid(3), cid(0), cid(1)]), Ok(()));
            let above = graph(limits, edges).unwrap().check(&[cid(1)]).unwrap_err();
            assert!(
                matches!(above, DagFault::Unreferenced { cid: c } if c == cid(0) || c == cid(2))
            );
            let low = Limits { max_depth: 2, ..limits };
            let deep = graph(low, edges).unwrap().check(&[cid(0)]);
            assert_eq!(deep, Err(DagFault::TooDeep { limit: 2 }));
        }
        let cut = graph(limits, &diamond[..3]).unwrap();
        assert_eq!(cut.check(&[cid(0)]), Err(DagFault::Missing { cid: cid(3) }));
        assert_eq!(cut.check_depth(&[cid(0), cid(9)]), Ok(()));
        assert_eq!(cut.check(&[cid(9)]), Err(DagFault::Missing { cid: cid(9) }));
    }

    #[test]
    fn the_longest_way_counts_not_the_first_one_found() {
        // 3 is met at once below the root, and again at the end of a long way.
        let edges: [(u32, &[u32]); 5] = [(0, &[3, 1]), (1, &[2]), (2, &[3]), (3, &[4]), (4, &[])];
        let at = |max_depth| graph(Limits { max_depth, ..Limits::FILES }, &edges).unwrap();
        assert_eq!(at(5).check(&[cid(0)]), Ok(()));
        assert_eq!(at(4).check(&[cid(0)]), Err(DagFault::TooDeep { limit: 4 }));
    }

    #[test]
    fn pitfall_16_the_same_bytes_under_another_codec_are_another_block() {
        let mut graph = Graph::new(Limits::FILES);
        let (cbor, raw) = (cid(1), Cid::from_digest(Codec::Raw, *cid(1).digest()));
        graph.add(&raw, &[]).unwrap();
        assert_eq!(graph.check(&[cbor]), Err(DagFault::Missing { cid: cbor }));
        assert_eq!((graph.number(&cbor), graph.number_of_hash(&cbor)), (None, Some(0)));
    }

    #[test]
    fn pitfall_38_memory_is_bounded_by_blocks_and_links() {
        let few = Limits { max_cids: 3, ..Limits::FILES };
        assert!(graph(few, &[(0, &[1, 2])]).is_ok());
        let error = graph(few, &[(0, &[1, 2]), (3, &[])]).unwrap_err();
        assert_eq!(error, DagFault::TooManyCids { limit: 3 });
        let few = Limits { max_links: 3, ..Limits::FILES };
        let error = graph(few, &[(0, &[1, 1]), (1, &[2, 2])]).unwrap_err();
        assert_eq!(error, DagFault::TooManyLinks { limit: 3 });
    }

    #[test]
    fn pitfall_38_a_chain_of_a_million_needs_no_call_stack() {
        let mut graph = Graph::new(Limits { max_cids: 2_000_000, ..Limits::CHAIN });
        let count = 1_000_000;
        // Not hashed, for speed: numbers stand for hashes.
        let at = |n: u32| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&n.to_be_bytes());
            Cid::from_digest(Codec::DagCbor, digest)
        };
        for n in 0..count {
            let links = if n + 1 == count { vec![] } else { vec![at(n + 1)] };
            graph.add(&at(n), &links).unwrap();
        }
        assert_eq!(graph.check(&[at(0)]), Ok(()));
    }
}
