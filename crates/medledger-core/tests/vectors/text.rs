//! Structures anybody may write: DAG-CBOR, CIDs, checkpoints.

use super::case::{Case, File};
use super::{file, hex, kind};
use medledger_core::checkpoint::{Checkpoint, NoteKey, SignedNote, finality};
use medledger_core::cid::Codec;
use medledger_core::clock::Timestamp;
use medledger_core::ids::{ChainId, TreeHash};
use medledger_core::{Cid, cbor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Any DAG-CBOR without links.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Any {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Text(String),
    // Before bytes, which a list of small numbers would pass for.
    List(Vec<Any>),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    Map(BTreeMap<String, Any>),
    Null(Option<Never>),
}

#[derive(Serialize, Deserialize)]
enum Never {}

pub(crate) fn cbor() -> File {
    let mut file = file(
        "Strict canonical DAG-CBOR: definite lengths, shortest heads, keys by length then bytes, no \
         floats, no tag but 42, at most 64 bytes and 16 levels in these cases.",
        |case| match cbor::decode::<Any>(&case.bytes("bytes"), 64) {
            Ok(value) => {
                assert_eq!(cbor::encode(&value), case.bytes("bytes"));
                "ok".into()
            }
            Err(error) => kind(&error),
        },
    );
    for (name, expect, reason, bytes) in [
        ("zero", "ok", "the smallest number", "00"),
        ("twenty_four", "ok", "the smallest number of two bytes", "1818"),
        ("largest", "ok", "the largest number", "1bffffffffffffffff"),
        ("minus_one", "ok", "the first negative number", "20"),
        ("null", "ok", "null", "f6"),
        ("text", "ok", "UTF-8", "62c3a9"),
        ("bytes", "ok", "a byte string", "42ff00"),
        ("map", "ok", "shorter keys first, then by bytes", "a3616101616202626161f5"),
        ("empty", "malformed", "no item at all", ""),
        ("two_items", "malformed", "something after the item", "0000"),
        ("long_23", "malformed", "23 fits in the first byte", "1817"),
        ("long_255", "malformed", "255 fits in one byte", "1900ff"),
        ("long_65535", "malformed", "65535 fits in two bytes", "1a0000ffff"),
        ("long_4294967295", "malformed", "4294967295 fits in four bytes", "1b00000000ffffffff"),
        ("long_text_head", "malformed", "a length of 1 fits in the first byte", "780161"),
        ("indefinite_list", "malformed", "lengths are definite", "9f01ff"),
        ("indefinite_text", "malformed", "lengths are definite", "7f6161ff"),
        ("float", "malformed", "there are no floats", "f93c00"),
        ("double", "malformed", "there are no floats", "fb3ff8000000000000"),
        ("undefined", "malformed", "there is no undefined", "f7"),
        ("simple_value", "malformed", "only false, true and null", "e0"),
        ("false_in_two_bytes", "malformed", "false has one byte", "f814"),
        ("date", "malformed", "no tag but 42", "c100"),
        ("bignum", "malformed", "no tag but 42", "c2420100"),
        ("reserved_head", "malformed", "the lengths 28 to 30 are reserved", "1c"),
        ("cut_bytes", "malformed", "two bytes announced, one there", "42ff"),
        ("cut_list", "malformed", "two items announced, one there", "8200"),
        (
            "endless_bytes",
            "malformed",
            "more bytes announced than there is memory",
            "5bffffffffffffffff",
        ),
        (
            "endless_list",
            "malformed",
            "more items announced than bytes follow",
            "9bffffffffffffffff",
        ),
        (
            "endless_map",
            "malformed",
            "the count of a map overflows when doubled",
            "bbffffffffffffffff",
        ),
        ("not_utf8", "unexpected", "text is UTF-8", "61ff"),
        ("surrogate", "unexpected", "text is UTF-8, which has no surrogates", "63eda080"),
        ("number_as_key", "unexpected", "keys are text", "a10001"),
        ("keys_swapped", "unexpected", "keys stand in canonical order", "a2616201616102"),
        ("keys_by_alphabet", "unexpected", "shorter keys stand first", "a262616101616202"),
        ("key_twice", "unexpected", "a key stands there once", "a2616101616102"),
    ] {
        let mut case = Case::new(name, expect, reason).with("bytes", bytes);
        if name.starts_with("endless") {
            case = case.pitfall(38);
        }
        file.push(case);
    }
    let nested = |levels: usize| format!("{}00", "81".repeat(levels));
    file.push(Case::new("sixteen_levels", "ok", "as deep as is allowed").with("bytes", nested(16)));
    file.push(
        Case::new("seventeen_levels", "too_deep", "a level too many")
            .pitfall(38)
            .with("bytes", nested(17)),
    );
    file.push(
        Case::new("sixty_five_bytes", "too_long", "a byte more than the limit of these cases")
            .pitfall(38)
            .with("bytes", format!("583f{}", "00".repeat(63))),
    );
    file
}

pub(crate) fn cids() -> File {
    let mut file = file(
        "CIDs in binary, as they stand in records and envelopes: version 0 or 1, codec raw, dag-pb or \
         dag-cbor, SHA-256 of 32 bytes. `text` is how people see it.",
        |case| match Cid::from_bytes(&case.bytes("bytes")) {
            Ok(cid) => {
                assert_eq!(cid.to_bytes(), case.bytes("bytes"));
                assert_eq!(cid.to_string(), case.text("text"));
                assert_eq!(case.text("text").parse(), Ok(cid));
                "ok".into()
            }
            Err(error) => kind(&error),
        },
    );
    for (name, reason, cid) in [
        ("raw", "a file of one chunk", Cid::of(Codec::Raw, b"hello world")),
        ("dag_pb", "a file of several chunks", Cid::of(Codec::DagPb, b"node")),
        ("dag_cbor", "an envelope", Cid::of(Codec::DagCbor, b"node")),
        ("version_0", "a file as Kubo adds it by default", Cid::v0_from_digest([7; 32])),
    ] {
        let case = Case::new(name, "ok", reason).hex("bytes", cid.to_bytes());
        file.push(case.with("text", cid.to_string()));
    }
    let digest = hex([7; 32]);
    for (name, expect, reason, bytes) in [
        ("json", "unknown_codec", "codec dag-json", format!("01a9021220{digest}")),
        ("sha_512", "unknown_hash", "SHA-512", format!("01551340{digest}{digest}")),
        (
            "identity",
            "unknown_hash",
            "the identity hash names no bytes but its own",
            format!("01550020{digest}"),
        ),
        (
            "truncated_hash",
            "unknown_hash",
            "SHA-256 cut to 20 bytes",
            format!("01551214{}", "07".repeat(20)),
        ),
        (
            "cut",
            "malformed",
            "a byte of the digest is missing",
            format!("01551220{}", "07".repeat(31)),
        ),
        ("longer", "malformed", "a byte too many", format!("01551220{digest}00")),
        ("version_2", "malformed", "there is no version 2", format!("02551220{digest}")),
        (
            "long_varint",
            "malformed",
            "the version in two bytes where one will do",
            format!("8100551220{digest}"),
        ),
        ("empty", "malformed", "nothing", String::new()),
        (
            "link",
            "malformed",
            "the zero byte before a CID belongs to links",
            format!("0001551220{digest}"),
        ),
    ] {
        file.push(Case::new(name, expect, reason).with("bytes", bytes));
    }
    file
}

fn cosigner(number: u8) -> (ed25519_zebra::SigningKey, NoteKey) {
    let secret = ed25519_zebra::SigningKey::from([number; 32]);
    let public: [u8; 32] = secret.verification_key().into();
    (secret, NoteKey::cosigner(format!("hospital-{number}"), public).unwrap())
}

fn judge_checkpoint(case: &Case) -> String {
    let note = match SignedNote::from_bytes(case.text("note").as_bytes()) {
        Ok(note) => note,
        Err(error) => return kind(&error),
    };
    let chain: ChainId = case.text("chain").parse().unwrap();
    let keys: Vec<_> = (1..=3).map(|number| cosigner(number).1).collect();
    match finality(&note, &chain, &keys) {
        Ok(checkpoint) => {
            assert_eq!(note.to_string(), case.text("note"));
            assert_eq!(checkpoint.size, 42);
            "ok".into()
        }
        Err(error) => kind(&error),
    }
}

pub(crate) fn checkpoints() -> File {
    let mut file = file(
        "Checkpoints (C2SP tlog-checkpoint, signed-note, tlog-cosignature v1) of a chain of three \
         hospitals. Cosigner N is called hospital-N and has the Ed25519 seed of 32 bytes N; a quorum \
         is three.",
        judge_checkpoint,
    );
    let chain = ChainId::from_bytes([7; 32]);
    let note = |size: u64, signers: &[u8]| {
        let checkpoint = Checkpoint::new(&chain, size, TreeHash::from_bytes([9; 32]));
        let mut note = SignedNote::new(checkpoint.to_string()).unwrap();
        for number in signers {
            let (secret, key) = cosigner(*number);
            let time = Timestamp::from_secs(1_800_000_000);
            note.cosign(&key, time, &mut |bytes| secret.sign(bytes).to_bytes()).unwrap();
        }
        note.to_string()
    };
    let good = note(42, &[1, 2, 3]);
    let mut add = |name: &str, expect: &str, reason: &str, note: String| {
        let case = Case::new(name, expect, reason).with("chain", chain.to_string());
        file.push(case.with("note", note));
    };
    add("quorum", "ok", "all three have cosigned", good.clone());
    add("stranger_too", "ok", "a signature by an unknown key is no harm", note(42, &[1, 2, 3, 4]));
    add("two_of_three", "too_few", "a quorum of three is three", note(42, &[1, 3]));
    add("strangers_only", "signature", "nobody known has signed", note(42, &[4, 5, 6]));
    let changed = good.replace("\n42\n", "\n43\n");
    add("size_changed", "signature", "the signatures are over 42 blocks", changed);
    let last = good.trim_end().len() - 8;
    let mut flipped = good.clone().into_bytes();
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    add(
        "one_wrong_signature",
        "signature",
        "a wrong signature by a known key spoils the note",
        flipped,
    );
    let other = good.replace("medledger/07", "medledger/08");
    add("other_chain", "other_chain", "the first line names another chain", other);
    add("leading_zero", "checkpoint", "the size is 042", good.replace("\n42\n", "\n042\n"));
    add("short_root", "checkpoint", "the root is no 32 bytes", good.replace("CQkJCQkJ", ""));
    add("extension_line", "checkpoint", "a fourth line", good.replacen("\n\n", "\nmore\n\n", 1));
    let head = good.split("\n\n").next().unwrap();
    add("unsigned", "unsigned", "no signature at all", format!("{head}\n\n"));
    add(
        "no_empty_line",
        "unsigned",
        "text and signatures are not parted",
        good.replace("\n\n", "\n"),
    );
    add(
        "no_dash",
        "signature_line",
        "signature lines begin with an em dash",
        good.replace('\u{2014}', "-"),
    );
    add("no_newline", "signature_line", "the last line does not end", good.trim_end().to_owned());
    add("carriage_returns", "character", "lines end in a newline only", good.replace('\n', "\r\n"));
    add("empty", "unsigned", "nothing", String::new());
    file
}
