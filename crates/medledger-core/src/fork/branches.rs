//! Rows of the blocks beside the best chain.

use crate::Cid;
use crate::block::{Block, Descriptor, SignedHeader};
use crate::cbor;
use crate::clock::Timestamp;
use crate::ids::MemberId;
use crate::keys::Signature;
use crate::pow::{Header, Work};
use crate::registry::{Kind, limit};
use crate::store::{Drawer, StoreError, StoredBlock, Unit, View};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A block beside the best chain.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The block; of an orphan, median time and work are not known.
    pub(crate) stored: StoredBlock,
    /// Whether the block below it is not known either.
    pub(crate) orphan: bool,
    /// Bytes of its nodes.
    pub(crate) bytes: u64,
    /// Whether it changes the hospitals.
    pub(crate) changes_set: bool,
    descriptor: Descriptor,
}

impl Kept {
    pub(crate) fn new(stored: StoredBlock, descriptor: Descriptor, orphan: bool) -> Self {
        Self { stored, orphan, bytes: 0, changes_set: false, descriptor }
    }

    pub(crate) const fn parent(&self) -> Cid {
        self.descriptor.parent
    }

    pub(crate) const fn miner(&self) -> MemberId {
        self.descriptor.miner
    }
}

#[derive(Serialize, Deserialize)]
struct Row {
    header: ByteBuf,
    signature: Signature,
    leaf: ByteBuf,
    records: u32,
    median: u64,
    work: Work,
    orphan: bool,
    bytes: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    changes: bool,
}

/// Node and pages, as IPFS carries them.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Body(Vec<ByteBuf>);

const ROW_BYTES: usize = 1024;
const BODY_BYTES: usize = 2 * limit::BLOCK_BYTES;
const ROW: u8 = b'k';
const BODY: u8 = b'b';
const CONDEMNED: u8 = b'x';

fn key(kind: u8, node: &Cid) -> Vec<u8> {
    [&[kind][..], &node.to_bytes()].concat()
}

fn damaged(node: &Cid, what: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("block {node} beside the chain: {what}"))
}

fn parse(node: Cid, bytes: &[u8]) -> Result<Kept, StoreError> {
    let row: Row = cbor::decode(bytes, ROW_BYTES).map_err(|error| damaged(&node, &error))?;
    let header =
        <&[u8; 80]>::try_from(row.header.as_slice()).map_err(|_| damaged(&node, &"its header"))?;
    let header = Header::from_bytes(header);
    let descriptor = Descriptor::from_leaf(&row.leaf).map_err(|error| damaged(&node, &error))?;
    let stored = StoredBlock {
        signed: SignedHeader { header, signature: Some(row.signature) },
        descriptor: Some(descriptor),
        height: descriptor.height,
        id: header.id(),
        node,
        records: row.records,
        median_time: Timestamp::from_secs(row.median),
        chain_work: row.work,
    };
    Ok(Kept { stored, orphan: row.orphan, bytes: row.bytes, changes_set: row.changes, descriptor })
}

/// Every block beside the best chain.
pub(crate) fn all(view: &dyn View) -> Result<Vec<Kept>, StoreError> {
    view.local_scan(Drawer::Branches, &[ROW], None, usize::MAX)?
        .iter()
        .map(|(key, row)| {
            let node = Cid::from_bytes(&key[1..]).map_err(|error| {
                StoreError::Damaged(format!("a block beside the chain: {error}"))
            })?;
            parse(node, row)
        })
        .collect()
}

pub(crate) fn get(view: &dyn View, node: &Cid) -> Result<Option<Kept>, StoreError> {
    let row = view.local(Drawer::Branches, &key(ROW, node))?;
    row.map(|row| parse(*node, &row)).transpose()
}

/// Keeps a block with its body.
pub(crate) fn put(unit: &mut dyn Unit, mut kept: Kept, block: &Block) -> Result<(), StoreError> {
    let nodes = block.to_nodes();
    let node = nodes.root.0;
    let parts = std::iter::once(nodes.root).chain(nodes.pages);
    let body = cbor::encode(&Body(parts.map(|(_, bytes)| ByteBuf::from(bytes)).collect()));
    kept.bytes = body.len() as u64;
    kept.changes_set = changes_set(block);
    unit.set_local(Drawer::Branches, &key(BODY, &node), Some(&body))?;
    put_row(unit, &kept)
}

/// Writes what is known of a block that is kept.
pub(crate) fn put_row(unit: &mut dyn Unit, kept: &Kept) -> Result<(), StoreError> {
    let stored = &kept.stored;
    let signature = stored.signed.signature;
    let row = Row {
        header: ByteBuf::from(stored.signed.header.to_bytes()),
        signature: signature.ok_or_else(|| damaged(&stored.node, &"no signature"))?,
        leaf: ByteBuf::from(kept.descriptor.leaf()),
        records: stored.records,
        median: stored.median_time.as_secs(),
        work: stored.chain_work,
        orphan: kept.orphan,
        bytes: kept.bytes,
        changes: kept.changes_set,
    };
    unit.set_local(Drawer::Branches, &key(ROW, &stored.node), Some(&cbor::encode(&row)))
}

/// The whole block.
pub(crate) fn body(view: &dyn View, node: &Cid) -> Result<Block, StoreError> {
    let bytes = view
        .local(Drawer::Branches, &key(BODY, node))?
        .ok_or_else(|| damaged(node, &"its body is missing"))?;
    let Body(parts) = cbor::decode(&bytes, BODY_BYTES).map_err(|error| damaged(node, &error))?;
    let (root, pages) = parts.split_first().ok_or_else(|| damaged(node, &"it is empty"))?;
    if !node.matches(root) {
        return Err(damaged(node, &"its bytes are another node's"));
    }
    let page = |cid: &Cid| pages.iter().find(|page| cid.matches(page)).map(|page| page.to_vec());
    Block::from_nodes(root, page).map_err(|error| damaged(node, &error))
}

/// What a row of the drawer is about.
pub(super) enum Place {
    /// A block beside the chain, whole.
    Block(Box<Kept>),
    /// The body of one, or a node that broke a rule.
    Other,
}

/// Checks a row by itself and, of a block, against its body.
pub(super) fn check(view: &dyn View, key: &[u8], row: &[u8]) -> Result<Place, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(what.to_owned());
    let (kind, node) = key.split_first().ok_or_else(|| damaged("it is of no block"))?;
    let node = Cid::from_bytes(node).map_err(|_| damaged("it is of no block"))?;
    match *kind {
        ROW => {
            let kept = parse(node, row)?;
            let block = body(view, &node)?;
            let signed = &kept.stored.signed;
            let same = block.header == signed.header
                && Some(block.signature) == signed.signature
                && block.descriptor == kept.descriptor
                && block.records.len() as u64 == u64::from(kept.stored.records)
                && changes_set(&block) == kept.changes_set
                && body_bytes(view, &node)? == Some(kept.bytes);
            if same {
                Ok(Place::Block(Box::new(kept)))
            } else {
                Err(damaged("it is another block than its body"))
            }
        }
        BODY if get(view, &node)?.is_none() => {
            Err(damaged("what is known of the block is missing"))
        }
        CONDEMNED if row.len() != 8 => Err(damaged("it names no height")),
        BODY | CONDEMNED => Ok(Place::Other),
        _ => Err(damaged("it is of no block")),
    }
}

fn changes_set(block: &Block) -> bool {
    block.records.iter().any(|record| record.record().kind() == Kind::Admit)
}

fn body_bytes(view: &dyn View, node: &Cid) -> Result<Option<u64>, StoreError> {
    Ok(view.local(Drawer::Branches, &key(BODY, node))?.map(|body| body.len() as u64))
}

pub(crate) fn remove(unit: &mut dyn Unit, node: &Cid) -> Result<(), StoreError> {
    unit.set_local(Drawer::Branches, &key(ROW, node), None)?;
    unit.set_local(Drawer::Branches, &key(BODY, node), None)
}

/// Notes that a node breaks a rule, whatever may still come on top of it.
pub(crate) fn condemn(unit: &mut dyn Unit, node: &Cid, height: u64) -> Result<(), StoreError> {
    remove(unit, node)?;
    // What is forgotten is only judged once more.
    let rows = unit.local_scan(Drawer::Branches, &[CONDEMNED], None, limit::CONDEMNED)?;
    if rows.len() == limit::CONDEMNED
        && let Some((oldest, _)) = rows.iter().min_by(|a, b| a.1.cmp(&b.1))
    {
        unit.set_local(Drawer::Branches, oldest, None)?;
    }
    unit.set_local(Drawer::Branches, &key(CONDEMNED, node), Some(&height.to_be_bytes()))
}

pub(crate) fn is_condemned(view: &dyn View, node: &Cid) -> Result<bool, StoreError> {
    Ok(view.local(Drawer::Branches, &key(CONDEMNED, node))?.is_some())
}

/// Forgets condemned nodes up to `height`: nothing is taken down there any more.
pub(crate) fn forget_condemned(unit: &mut dyn Unit, height: u64) -> Result<(), StoreError> {
    for (key, row) in unit.local_scan(Drawer::Branches, &[CONDEMNED], None, usize::MAX)? {
        if row.as_slice() <= height.to_be_bytes().as_slice() {
            unit.set_local(Drawer::Branches, &key, None)?;
        }
    }
    Ok(())
}
