use super::*;
use crate::ids::RecordNonce;
use crate::record::Revoke;
use crate::testing::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn ledger() -> Ledger {
    Ledger::new(Genesis::single(founder(HOSPITAL), tiny_work()))
}

fn block() -> Block {
    let ledger = ledger();
    ledger.draft(ledger.world().with_people().log).seal()
}

fn read(nodes: &BlockNodes) -> Result<Block, BlockDecodeError> {
    let pages: BTreeMap<_, _> = nodes.pages.iter().cloned().collect();
    Block::from_nodes(&nodes.root.1, |cid| pages.get(cid).cloned())
}

/// The nodes with the root node changed.
fn with(change: impl FnOnce(&mut NodeWire)) -> Result<Block, BlockDecodeError> {
    let nodes = block().to_nodes();
    let mut wire: NodeWire = cbor::decode(&nodes.root.1, limit::PAGE_BYTES).unwrap();
    change(&mut wire);
    read(&BlockNodes { root: node(&wire), pages: nodes.pages })
}

/// The nodes with other pages, which the root node names.
fn paged(pages: &[Vec<Vec<u8>>]) -> Result<Block, BlockDecodeError> {
    let pages: Vec<Node> = pages
        .iter()
        .map(|page| {
            let page = page.iter().cloned().map(serde_bytes::ByteBuf::from).collect();
            let bytes = cbor::encode(&PageWire(page));
            (Cid::of(Codec::DagCbor, &bytes), bytes)
        })
        .collect();
    let mut wire: NodeWire = cbor::decode(&block().to_nodes().root.1, limit::PAGE_BYTES).unwrap();
    wire.pages = pages.iter().map(|(cid, _)| Link(*cid)).collect();
    read(&BlockNodes { root: node(&wire), pages })
}

#[test]
fn blocks_round_trip_through_their_nodes() {
    for records in [0, 1, 8] {
        let mut block = block();
        block.records.truncate(records);
        let nodes = block.to_nodes();
        assert_eq!(read(&nodes), Ok(block));
        assert_eq!(nodes.pages.len(), usize::from(records > 0));
        assert!(nodes.root.0.matches(&nodes.root.1));
    }
}

#[test]
fn pitfall_22_the_root_is_the_rfc_9162_tree_of_descriptor_and_records() {
    let block = block();
    let mut leaves = vec![block.descriptor.leaf()];
    leaves.extend(block.records.iter().map(SignedRecord::encode));
    assert_eq!(block.root(), merkle::root(leaves).into());
    assert_eq!(block.root(), block.header.root);
}

#[test]
fn the_descriptor_leaf_is_domain_and_list() {
    let descriptor = Descriptor {
        chain: ChainId::from_bytes([1; 32]),
        height: 24,
        miner: MemberId::from_bytes([2; 16]),
        parent: envelope("parent"),
        extra_nonce: 3,
    };
    let leaf = descriptor.leaf();
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let want = [
        hex(b"medledger/v1/block-descriptor\0"),
        "86".into(),
        "5820".to_owned() + &"01".repeat(32),
        "1818".into(),
        "50".to_owned() + &"02".repeat(16),
        "5824".to_owned() + &hex(&descriptor.parent.to_bytes()),
        "03".into(),
        "5820".to_owned() + &"00".repeat(32),
    ]
    .concat();
    assert_eq!(hex(&leaf), want);
    assert_eq!(Descriptor::from_leaf(&leaf), Ok(descriptor));
}

#[test]
fn descriptors_that_say_what_they_may_not_are_refused() {
    let block = block();
    let good = block.descriptor;
    let wire = |height, parent, reserved: Vec<u8>| {
        let wire = DescriptorWire(good.chain, height, good.miner, parent, 0, reserved);
        [domain::BLOCK_DESCRIPTOR, &cbor::encode(&wire)].concat()
    };
    let zeros = || RESERVED.to_vec();
    assert_eq!(Descriptor::from_leaf(&wire(1, good.parent, zeros())), Ok(good));
    let mut set = zeros();
    set[31] = 1;
    let file = Cid::of(Codec::Raw, b"file");
    for leaf in [
        wire(0, good.parent, zeros()),
        wire(1, good.parent, set),
        wire(1, good.parent, vec![0; 31]),
        wire(1, good.parent, vec![]),
        wire(1, file, zeros()),
        [domain::GENESIS, &good.leaf()[domain::BLOCK_DESCRIPTOR.len()..]].concat(),
        b"".to_vec(),
    ] {
        assert_eq!(Descriptor::from_leaf(&leaf), Err(BlockDecodeError::Descriptor));
    }
    let long = [good.leaf(), vec![0]].concat();
    assert!(matches!(Descriptor::from_leaf(&long), Err(BlockDecodeError::Malformed(_))));
}

#[test]
fn nodes_that_are_no_blocks_are_refused_by_what_is_wrong() {
    assert!(matches!(Block::from_nodes(b"", |_| None), Err(BlockDecodeError::Malformed(_))));
    assert_eq!(with(|w| w.v = 2), Err(BlockDecodeError::UnknownVersion { found: 2 }));
    let found = 79;
    let short = with(|w| {
        w.header.pop();
    });
    assert_eq!(short, Err(BlockDecodeError::HeaderLength { found }));
    assert_eq!(with(|w| w.leaf.clear()), Err(BlockDecodeError::Descriptor));
    assert_eq!(with(|w| w.signature = None), Err(BlockDecodeError::Unsigned));
    assert_eq!(with(|w| w.parent = None), Err(BlockDecodeError::Unsigned));
    let elsewhere = |w: &mut NodeWire| w.parent = Some(Link(envelope("elsewhere")));
    assert_eq!(with(elsewhere), Err(BlockDecodeError::Unsigned));
    let missing = |w: &mut NodeWire| w.pages.push(Link(envelope("missing")));
    assert_eq!(with(missing), Err(BlockDecodeError::Page { index: 1 }));
}

#[test]
fn pitfall_16_a_page_is_the_one_the_node_names() {
    let nodes = block().to_nodes();
    let mut wrong = nodes.pages[0].1.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let result = Block::from_nodes(&nodes.root.1, |_| Some(wrong.clone()));
    assert_eq!(result, Err(BlockDecodeError::Page { index: 0 }));
    let result = Block::from_nodes(&nodes.root.1, |_| Some(vec![0; limit::PAGE_BYTES + 1]));
    assert_eq!(result, Err(BlockDecodeError::Page { index: 0 }));
}

#[test]
fn records_are_packed_in_one_way_only() {
    let records: Vec<_> = block().records.iter().map(SignedRecord::encode).collect();
    assert!(paged(std::slice::from_ref(&records)).is_ok());
    let (a, b) = records.split_at(3);
    assert_eq!(paged(&[a.to_vec(), b.to_vec()]), Err(BlockDecodeError::Packing));
    assert_eq!(paged(&[records.clone(), vec![]]), Err(BlockDecodeError::Packing));
    assert_eq!(paged(&[vec![], records]), Err(BlockDecodeError::Packing));
    assert_eq!(paged(&[vec![]]), Err(BlockDecodeError::Packing));
    // One record as long as a page.
    let huge = vec![vec![vec![0; limit::PAGE_BYTES - 10]]];
    assert!(matches!(paged(&huge), Err(BlockDecodeError::Record { index: 0, .. })));
    let huger = vec![vec![vec![0; limit::PAGE_BYTES - 6]]];
    assert_eq!(paged(&huger), Err(BlockDecodeError::Packing));
}

#[test]
fn a_record_that_cannot_be_read_is_named() {
    let mut records: Vec<_> = block().records.iter().map(SignedRecord::encode).collect();
    records[2].pop();
    let result = paged(&[records]);
    assert!(matches!(result, Err(BlockDecodeError::Record { index: 2, .. })));
}

#[test]
fn pitfall_38_records_and_bytes_of_a_block_are_bounded() {
    let max = limit::BLOCK_RECORDS;
    let many = vec![vec![vec![]; max + 1]];
    assert_eq!(
        paged(&many),
        Err(BlockDecodeError::TooLarge { what: "records", found: max + 1, max })
    );
    // The same page again and again.
    let page = vec![vec![0; 16 * 1024]; 31];
    let max = limit::BLOCK_BYTES;
    let result = paged(&vec![page; 17]);
    let found = 17 * 31 * 16 * 1024;
    assert_eq!(result, Err(BlockDecodeError::TooLarge { what: "bytes of records", found, max }));
}

#[test]
fn pages_are_filled_to_512_kib() {
    // A page counts five bytes for its head and five for the head of each record.
    let room = limit::PAGE_BYTES - 5;
    let sizes = |records: &[usize]| -> Vec<usize> {
        let zeros = vec![0; limit::PAGE_BYTES];
        let pages = pages(records.iter().map(|len| &zeros[..*len]));
        for (_, bytes) in &pages {
            assert!(bytes.len() <= limit::PAGE_BYTES);
        }
        let decode = |(_, bytes): &Node| -> usize {
            let PageWire(records) = cbor::decode(bytes, limit::PAGE_BYTES).unwrap();
            records.len()
        };
        pages.iter().map(decode).collect()
    };
    assert_eq!(sizes(&[]), Vec::<usize>::new());
    let full = [16 * 1024 - 5; 31];
    let last = room - 31 * 16 * 1024 - 5;
    assert_eq!(sizes(&[&full[..], &[last]].concat()), [32]);
    assert_eq!(sizes(&[&full[..], &[last + 1]].concat()), [31, 1]);
    assert_eq!(sizes(&[&full[..], &[last, 0, 1]].concat()), [32, 2]);
}

#[test]
fn several_pages_round_trip() {
    let mut world = World::founded();
    let key = member(DOCTOR);
    let first = world.record(DOCTOR, Revoke { grant: crate::ids::GrantId::from_bytes([1; 16]) });
    let records: Vec<_> = (0..3000u64)
        .map(|n| {
            let mut nonce = [0; 16];
            nonce[..8].copy_from_slice(&n.to_be_bytes());
            let nonce = RecordNonce::from_bytes(nonce);
            crate::record::Record { nonce, ..first.clone() }.sign(&key)
        })
        .collect();
    let block = Block { records, ..block() };
    let nodes = block.to_nodes();
    assert_eq!(nodes.pages.len(), 2);
    assert_eq!(read(&nodes), Ok(block));
}

#[test]
fn a_genesis_node_holds_the_configuration_and_nothing_else() {
    let ledger = ledger();
    let (header, genesis) = (ledger.tip().signed.header, &ledger.rules.genesis);
    let (cid, bytes) = genesis_node(&header, genesis);
    assert_eq!((cid, ledger.tip().height), (ledger.tip().node, 0));
    assert_eq!(read_genesis_node(&bytes), Ok((header, genesis.clone())));
    // Neither is the other.
    assert_eq!(Block::from_nodes(&bytes, |_| None), Err(BlockDecodeError::Descriptor));
    let nodes = block().to_nodes();
    assert_eq!(read_genesis_node(&nodes.root.1), Err(BlockDecodeError::Unsigned));
    let changed = |change: fn(&mut NodeWire)| {
        let mut wire: NodeWire = cbor::decode(&bytes, limit::PAGE_BYTES).unwrap();
        change(&mut wire);
        read_genesis_node(&node(&wire).1)
    };
    assert_eq!(changed(|w| w.parent = Some(Link(envelope("x")))), Err(BlockDecodeError::Unsigned));
    assert_eq!(changed(|w| w.pages.push(Link(envelope("x")))), Err(BlockDecodeError::Unsigned));
    let signature = |w: &mut NodeWire| w.signature = Some(Signature::from_bytes([0; 64]));
    assert_eq!(changed(signature), Err(BlockDecodeError::Unsigned));
    assert_eq!(changed(|w| w.leaf[0] ^= 1), Err(BlockDecodeError::Descriptor));
    assert!(matches!(changed(|w| w.leaf.truncate(100)), Err(BlockDecodeError::Genesis(_))));
}

proptest! {
    #[test]
    fn a_changed_node_is_refused_or_another_node(
        at in any::<prop::sample::Index>(), mask in 1u8..,
    ) {
        let block = block();
        let nodes = block.to_nodes();
        let mut bytes = nodes.root.1.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        if let Ok(other) = read(&BlockNodes { root: (nodes.root.0, bytes.clone()), pages: nodes.pages }) {
            prop_assert_ne!(&other, &block);
            prop_assert_eq!(other.to_nodes().root.1, bytes);
        }
    }
}
