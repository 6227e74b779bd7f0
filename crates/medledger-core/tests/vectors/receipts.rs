//! Receipts, in both forms.

use super::case::{Case, File};
use super::world::{mining, world};
use super::{file, kind};
use medledger_core::checkpoint::quorum;
use medledger_core::ids::ChainId;
use medledger_core::receipt::Receipt;
use medledger_core::record::SignedRecord;
use medledger_core::store::Store;
use serde_json::json;

fn cbor_bytes(data: &[u8]) -> Vec<u8> {
    medledger_core::cbor::encode(serde_bytes::Bytes::new(data))
}

fn judge_receipt(case: &Case) -> String {
    let bytes = case.bytes("bytes");
    let receipt = match Receipt::from_bytes(&bytes) {
        Ok(receipt) => receipt,
        Err(error) => return kind(&error),
    };
    let chain: ChainId = case.text("chain").parse().unwrap();
    match receipt.check(&chain) {
        Ok(proven) => {
            let text = receipt.to_tlog_proof().unwrap();
            assert!(bytes == receipt.encode() || bytes == text.as_bytes());
            assert_eq!(proven.record.id().to_string(), case.text("record"));
            assert_eq!(proven.block.to_string(), case.text("block"));
            assert_eq!(json!(proven.height), *case.get("height").unwrap());
            "ok".into()
        }
        Err(error) => kind(&error),
    }
}

pub(crate) fn receipts() -> File {
    let mut file = file(
        "Receipts: that a record is in a final block of the chain, checked with nothing but the \
         chain's id. `bytes` are DAG-CBOR, or the text of a C2SP tlog-proof.",
        judge_receipt,
    );
    assert_eq!(quorum(1), 1);
    let world = world();
    let view = world.store.view().unwrap();
    let chain = world.rules.chain;
    let receipt = |record: &SignedRecord| {
        let stored = view.record(&record.id()).unwrap().unwrap();
        Receipt::of(view.as_ref(), &world.rules, &stored).unwrap()
    };
    for index in [0, 3, 9] {
        let (name, record) = &world.records[index];
        let receipt = receipt(record);
        let proven = receipt.check(&chain).unwrap();
        file.push(
            Case::new(name, "ok", "in a final block")
                .with("chain", chain.to_string())
                .hex("bytes", receipt.encode())
                .with("record", record.id().to_string())
                .with("block", proven.block.to_string())
                .with("height", proven.height),
        );
    }
    let good = receipt(&world.records[3].1).encode();
    let mut add = |name: &str,
                   expect: &str,
                   reason: &str,
                   pitfall: Option<u8>,
                   chain: ChainId,
                   bytes: Vec<u8>| {
        let case = Case::new(name, expect, reason);
        let case = if let Some(number) = pitfall { case.pitfall(number) } else { case };
        file.push(case.with("chain", chain.to_string()).hex("bytes", bytes));
    };
    let after = |pattern: &[u8]| {
        good.windows(pattern.len()).position(|w| w == pattern).unwrap() + pattern.len()
    };
    let put = |at: usize, old: usize, new: &[u8]| [&good[..at], new, &good[at + old..]].concat();
    let flip = |at: usize| put(at, 1, &[good[at] ^ 1]);
    let other = ChainId::from_bytes([9; 32]);
    add(
        "other_chain",
        "other_chain",
        "the receipt is about another chain",
        Some(23),
        other,
        good.clone(),
    );
    add(
        "version_2",
        "unknown_version",
        "update needed",
        Some(50),
        chain,
        put(after(b"\x61v"), 1, &[2]),
    );
    let genesis_header = after(b"\x6egenesis_header");
    add(
        "genesis_header_flipped",
        "other_chain",
        "the chain's id is its hash",
        Some(23),
        chain,
        flip(genesis_header + 2 + 68),
    );
    add(
        "cut",
        "malformed",
        "the last byte is missing",
        None,
        chain,
        good[..good.len() - 1].to_vec(),
    );
    add("longer", "malformed", "a byte too many", None, chain, [&good[..], &[0]].concat());
    add("empty", "malformed", "nothing", None, chain, vec![]);
    let record = world.records[3].1.encode();
    let at = after(&record) - record.len();
    add(
        "record_signature_flipped",
        "not_in_block",
        "the signature is in the leaf",
        Some(23),
        chain,
        flip(at + record.len() - 1),
    );
    let foreign = {
        let mut all = super::world::records(other);
        all.swap_remove(3).1.encode()
    };
    assert_eq!(foreign.len(), record.len());
    add(
        "foreign_record",
        "foreign_record",
        "the record is for another chain",
        Some(30),
        chain,
        put(at, record.len(), &foreign),
    );
    let header = world.blocks[1].block.header.to_bytes();
    let at = after(&header) - 80;
    add(
        "header_root_flipped",
        "not_in_block",
        "the path leads to another root",
        Some(22),
        chain,
        flip(at + 36),
    );
    let mut worthless = world.blocks[1].block.header;
    while worthless.meets_target() {
        worthless.nonce += 1;
    }
    add(
        "no_work",
        "work",
        "the hash is above the target",
        Some(24),
        chain,
        put(at, 80, &worthless.to_bytes()),
    );
    let mut easier = world.blocks[1].block.header;
    easier.bits = medledger_core::pow::Bits::from_u32(0x207f_ffff);
    add(
        "easier_bits",
        "work",
        "the schedule demands other bits",
        Some(24),
        chain,
        put(at, 80, &easier.to_bytes()),
    );
    let signature = after(b"\x69signature");
    add(
        "block_signature_flipped",
        "block_signature",
        "no hospital signed this",
        Some(23),
        chain,
        flip(signature + 2),
    );
    let previous = world.blocks[0].block.header.to_bytes();
    add(
        "another_header",
        "not_in_block",
        "the record is not in that block",
        Some(23),
        chain,
        put(at, 80, &previous),
    );
    let text = after(b"medledger/");
    let digit = if good[text] == b'0' { b"1" } else { b"0" };
    add(
        "checkpoint_of_another_chain",
        "checkpoint",
        "the first line names another chain",
        Some(23),
        chain,
        put(text, 1, digit),
    );
    let size = after(b"\n4\n") - 2;
    add(
        "checkpoint_size_changed",
        "checkpoint",
        "the cosignature is over 4 blocks",
        Some(23),
        chain,
        put(size, 1, b"5"),
    );
    let dash = after("\n\n\u{2014} ".as_bytes());
    let digit = if good[dash] == b'0' { b"1" } else { b"0" };
    add(
        "checkpoint_by_a_stranger",
        "checkpoint",
        "no hospital of the chain has cosigned",
        Some(23),
        chain,
        put(dash, 1, digit),
    );
    let path = after(b"\x6ablock_path");
    let within = |name: &[u8]| {
        path + good[path..].windows(name.len()).position(|w| w == name).unwrap() + name.len()
    };
    let height = good[within(b"\x65index")];
    add(
        "above_the_checkpoint",
        "not_final",
        "the checkpoint covers 4 blocks, from 0 to 3",
        Some(23),
        chain,
        put(within(b"\x65index"), 1, &[4]),
    );
    add(
        "another_height",
        "not_in_log",
        "the path of that height leads to another root",
        Some(22),
        chain,
        put(within(b"\x65index"), 1, &[height ^ 1]),
    );
    add(
        "size_not_the_checkpoints",
        "size",
        "the path is for another number of blocks than was signed",
        Some(22),
        chain,
        put(within(b"\x64size"), 1, &[5]),
    );
    let place = after(b"\x6brecord_path");
    let index = place + good[place..].windows(6).position(|w| w == b"\x65index").unwrap() + 6;
    add(
        "descriptor_for_a_record",
        "descriptor",
        "leaf 0 is the descriptor",
        Some(22),
        chain,
        put(index, 1, &[0]),
    );
    let cut = record[..record.len() - 1].to_vec();
    let at = after(&record) - record.len();
    let head = cbor_bytes(&record).len() - record.len();
    let no_record = [&good[..at - head], &cbor_bytes(&cut), &good[at + record.len()..]].concat();
    add("no_record", "record", "the signed record ends early", None, chain, no_record);
    let consensus = after(b"\x69consensus");
    add(
        "genesis_of_another_kind",
        "genesis",
        "a configuration must be one",
        None,
        chain,
        put(consensus + 2, 1, b"x"),
    );
    let founder = after(b"\x66mining") + 2;
    let other_founder = put(founder, 32, mining(9).verifying_key().as_bytes());
    add(
        "another_founder",
        "genesis_block",
        "the configuration is in the root of the genesis header",
        Some(51),
        chain,
        other_founder,
    );
    super::proofs::add_texts(&mut file);
    super::proofs::add_of_four(&mut file);
    file
}
