//! Blocks.

use super::case::{Case, File};
use super::world::world;
use super::{file, kind};
use medledger_core::block::{Block, Descriptor};
use medledger_core::record::SignedRecord;
use medledger_core::{Cid, block, cbor, merkle};
use serde_json::Value;

fn judge_block(case: &Case) -> String {
    let pages: Vec<Vec<u8>> = case.get("pages").map_or_else(Vec::new, |pages| {
        let pages = pages.as_array().unwrap();
        let decode = |page: &Value| {
            data_encoding::HEXLOWER.decode(page.as_str().unwrap().as_bytes()).unwrap()
        };
        pages.iter().map(decode).collect()
    });
    let page = |cid: &Cid| pages.iter().find(|page| cid.matches(page)).cloned();
    let block = match Block::from_nodes(&case.bytes("node"), page) {
        Ok(block) => block,
        Err(error) => return kind(&error),
    };
    let nodes = block.to_nodes();
    assert_eq!(nodes.root.1, case.bytes("node"));
    if block.root() != block.header.root {
        return "root".into();
    }
    assert_eq!(block.id().to_string(), case.text("id"));
    assert_eq!(nodes.root.0.to_string(), case.text("cid"));
    assert_eq!(block.header.to_bytes()[..], case.bytes("header"));
    assert_eq!(block.header.root.to_string(), case.text("root"));
    assert_eq!(block.descriptor.leaf(), case.bytes("leaf"));
    assert_eq!(Descriptor::from_leaf(&case.bytes("leaf")), Ok(block.descriptor));
    let mut leaves = vec![case.bytes("leaf")];
    leaves.extend(block.records.iter().map(SignedRecord::encode));
    assert_eq!(merkle::root(leaves).to_string(), case.text("root"));
    "ok".into()
}

pub(crate) fn blocks() -> File {
    let mut file = file(
        "Blocks as IPFS carries them: a node, and the pages of records it links to. `header` is the 80 \
         bytes, `leaf` the first leaf of the tree (the descriptor), `root` the RFC 9162 root. Whether \
         a block is valid is for the rules of its chain.",
        judge_block,
    );
    let world = world();
    let pages = |block: &Block| -> Vec<String> {
        block.to_nodes().pages.iter().map(|p| super::hex(&p.1)).collect()
    };
    for (mined, name) in world.blocks.iter().zip(["people", "reports", "empty"]) {
        let block = &mined.block;
        file.push(
            Case::new(name, "ok", "mined, signed and valid on its chain")
                .hex("node", block.to_nodes().root.1)
                .with("pages", pages(block))
                .with("id", block.id().to_string())
                .with("cid", mined.stored.node.to_string())
                .hex("header", block.header.to_bytes())
                .with("root", block.header.root.to_string())
                .hex("leaf", block.descriptor.leaf()),
        );
    }
    let good = &world.blocks[0].block;
    let node = good.to_nodes().root.1;
    let mut add = |name: &str,
                   expect: &str,
                   reason: &str,
                   pitfall: Option<u8>,
                   node: Vec<u8>,
                   pages: Vec<String>| {
        let case = Case::new(name, expect, reason);
        let case = if let Some(number) = pitfall { case.pitfall(number) } else { case };
        file.push(case.hex("node", node).with("pages", pages));
    };
    let mut last_twice = good.clone();
    last_twice.records.push(last_twice.records[2].clone());
    let reason = "the last record twice: the same root in Bitcoin's tree (CVE-2012-2459)";
    add(
        "last_record_twice",
        "root",
        reason,
        Some(22),
        last_twice.to_nodes().root.1,
        pages(&last_twice),
    );
    let mut swapped = good.clone();
    swapped.records.swap(0, 1);
    add(
        "records_swapped",
        "root",
        "the order is in the root",
        Some(22),
        swapped.to_nodes().root.1,
        pages(&swapped),
    );
    let mut missing = good.clone();
    missing.records.pop();
    add(
        "record_missing",
        "root",
        "every record is in the root",
        Some(22),
        missing.to_nodes().root.1,
        pages(&missing),
    );
    let mut extra = good.clone();
    extra.descriptor.extra_nonce = 1;
    add(
        "descriptor_changed",
        "root",
        "the descriptor is in the root",
        Some(22),
        extra.to_nodes().root.1,
        pages(&extra),
    );
    add("page_missing", "page", "a page is not to be had", Some(16), node.clone(), vec![]);
    let mut flipped = good.to_nodes().pages[0].1.clone();
    flipped[40] ^= 1;
    add(
        "page_flipped",
        "page",
        "a page is not the one named",
        Some(16),
        node.clone(),
        vec![super::hex(flipped)],
    );
    let after = |pattern: &[u8]| {
        node.windows(pattern.len()).position(|w| w == pattern).unwrap() + pattern.len()
    };
    let put = |at: usize, old: usize, new: &[u8]| [&node[..at], new, &node[at + old..]].concat();
    let all = || pages(good);
    let version = after(b"\x61v");
    add("version_2", "unknown_version", "update needed", Some(50), put(version, 1, &[2]), all());
    let header = after(b"\x66header");
    let short = put(header, 82, &cbor::encode(serde_bytes::Bytes::new(&[0; 79])));
    add("short_header", "header_length", "a header has 80 bytes", None, short, all());
    let signature = after(b"\x69signature");
    add(
        "unsigned",
        "unsigned",
        "only genesis has no signature",
        None,
        put(signature, 66, &[0xf6]),
        all(),
    );
    let parent = after(b"\x66parent");
    add(
        "no_parent",
        "unsigned",
        "only genesis has no parent",
        None,
        put(parent, 41, &[0xf6]),
        all(),
    );
    let mut other = node.clone();
    other[parent + 40] ^= 1;
    add(
        "other_parent",
        "unsigned",
        "link and descriptor name different parents",
        None,
        other,
        all(),
    );
    let domain = after(b"medledger/v1/block-descripto");
    add("no_descriptor", "descriptor", "the domain is another", None, put(domain, 1, b"x"), all());
    let genesis = block::genesis_node(&world.genesis_header, &world.rules.genesis).1;
    add(
        "genesis",
        "descriptor",
        "genesis has a configuration in that place",
        None,
        genesis,
        vec![],
    );
    let reserved = good.descriptor.leaf();
    let end = node.windows(reserved.len()).position(|w| w == reserved).unwrap() + reserved.len();
    add(
        "reserved_set",
        "descriptor",
        "reserved bytes are zero",
        None,
        put(end - 1, 1, &[1]),
        all(),
    );
    add(
        "cut",
        "malformed",
        "the last byte is missing",
        None,
        node[..node.len() - 1].to_vec(),
        all(),
    );
    add("longer", "malformed", "a byte too many", None, [&node[..], &[0]].concat(), all());
    add("no_bytes", "malformed", "nothing", None, vec![], vec![]);
    // The same records on two pages, where one would do.
    let list: Vec<serde_bytes::ByteBuf> =
        good.records.iter().map(|r| serde_bytes::ByteBuf::from(r.encode())).collect();
    let parts = [cbor::encode(&list[..1]), cbor::encode(&list[1..])];
    let link =
        |page: &[u8]| medledger_core::cid::Link(Cid::of(medledger_core::cid::Codec::DagCbor, page));
    let named = |parts: &[Vec<u8>]| {
        let at = after(b"\x65pages");
        let links: Vec<_> = parts.iter().map(|page| link(page)).collect();
        put(at, 42, &cbor::encode(&links))
    };
    let hexed = |parts: &[Vec<u8>]| parts.iter().map(super::hex).collect::<Vec<_>>();
    add("two_pages", "packing", "the records fit on one page", None, named(&parts), hexed(&parts));
    let parts = [cbor::encode(&list), cbor::encode(&list[..0])];
    add("empty_page", "packing", "a page without records", None, named(&parts), hexed(&parts));
    let mut broken = list;
    broken[1].pop();
    let parts = [cbor::encode(&broken)];
    add("broken_record", "record", "the second record is cut", None, named(&parts), hexed(&parts));
    let parts = [vec![0x80, 0x00]];
    add("broken_page", "malformed", "a page is one list", None, named(&parts), hexed(&parts));
    file
}
