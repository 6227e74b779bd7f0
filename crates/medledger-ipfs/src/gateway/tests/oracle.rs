//! What an honest gateway sends, told by a walk of its own over all of a tree: sizes are counted in the leaves, not
//! taken from what nodes say.

use super::*;
use crate::unixfs::dagpb::{PbNode, put_varint};
use crate::unixfs::{Builder, FileNode, Profile};
use crate::{BlockRead, BlockStore, MemoryStore};
use medledger_core::cid::Codec;
use std::collections::HashSet;

/// Sections of a CAR.
pub(super) type Sections = Vec<(Cid, Vec<u8>)>;

/// A file and its blocks.
pub(super) struct Tree {
    pub(super) root: Cid,
    pub(super) file: Vec<u8>,
    store: MemoryStore,
}

impl Tree {
    pub(super) fn new(profile: Profile, file: Vec<u8>) -> Self {
        let store = MemoryStore::new();
        let session = store.begin().unwrap();
        let mut sink = |cid: &_, block: &[u8]| session.put(cid, block);
        let mut builder = Builder::new(profile);
        builder.write(&file, &mut sink).unwrap();
        let root = builder.finish(&mut sink).unwrap().cid;
        session.commit(&root).unwrap();
        Self { root, file, store }
    }

    fn block(&self, cid: &Cid) -> Vec<u8> {
        self.store.get(cid).unwrap().unwrap().to_vec()
    }

    fn children(&self, cid: &Cid) -> Vec<Cid> {
        let block = self.block(cid);
        match cid.codec() {
            Codec::Raw => vec![],
            _ => PbNode::decode(&block).unwrap().links.iter().map(|link| link.cid).collect(),
        }
    }

    fn size(&self, cid: &Cid) -> u64 {
        let (children, block) = (self.children(cid), self.block(cid));
        if !children.is_empty() {
            return children.iter().map(|child| self.size(child)).sum();
        }
        match cid.codec() {
            Codec::Raw => block.len() as u64,
            _ => match FileNode::decode(&block).unwrap() {
                FileNode::Leaf(data) => data.len() as u64,
                FileNode::Branch { .. } => unreachable!("no children"),
            },
        }
    }

    /// Depth first, each block once: what bytes `from` to `to` need.
    pub(super) fn needed(&self, from: u64, to: u64) -> Sections {
        let mut out = vec![(self.root, self.block(&self.root))];
        let mut met = HashSet::from([self.root]);
        self.walk(&self.root, 0, (from, to), &mut met, &mut out);
        out
    }

    fn walk(
        &self,
        cid: &Cid,
        start: u64,
        range: (u64, u64),
        met: &mut HashSet<Cid>,
        out: &mut Sections,
    ) {
        let mut at = start;
        for child in self.children(cid) {
            let size = self.size(&child);
            if at <= range.1 && at + size > range.0 {
                if met.insert(child) {
                    out.push((child, self.block(&child)));
                }
                self.walk(&child, at, range, met, out);
            }
            at += size;
        }
    }

    pub(super) fn all(&self) -> Sections {
        self.needed(0, u64::MAX - 1)
    }

    /// What the range of the file holds.
    pub(super) fn slice(&self, offset: u64, len: u64) -> &[u8] {
        let size = self.file.len() as u64;
        let from = offset.min(size);
        &self.file[from as usize..offset.saturating_add(len).min(size) as usize]
    }
}

/// A CARv1 that names this root, with these sections and no others.
pub(super) fn car_of(root: &[u8], sections: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut header = b"\xa2\x65roots\x81\xd8\x2a\x58".to_vec();
    header.push(root.len() as u8 + 1);
    header.push(0);
    header.extend_from_slice(root);
    header.extend_from_slice(b"\x67version\x01");
    let mut out = Vec::new();
    put_varint(&mut out, header.len() as u64);
    out.extend_from_slice(&header);
    for (cid, block) in sections {
        out.extend(section(cid, block));
    }
    out
}

pub(super) fn section(cid: &Cid, block: &[u8]) -> Vec<u8> {
    let (mut out, cid) = (Vec::new(), cid.to_bytes());
    put_varint(&mut out, (cid.len() + block.len()) as u64);
    out.extend_from_slice(&cid);
    out.extend_from_slice(block);
    out
}

/// `from:to` in the query.
pub(super) fn range_of(request: &crate::http::test_server::Request) -> Option<(u64, u64)> {
    let text = request.query("entity-bytes")?.replace("%3A", ":");
    let (from, to) = text.split_once(':')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}
