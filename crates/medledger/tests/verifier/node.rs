//! The page's core under Node.js: many more cases than a browser has patience for.

use crate::cases::{Case, Random, changed, tally, vectors};
use crate::peer;
use data_encoding::HEXLOWER;
use medledger::core::keys::{Signature, SigningKey, VerifyingKey};
use medledger::core::registry::domain;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/receipt-verifier.html");
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/js/verifier.mjs");

fn run(receipts: &[Case], signatures: &[Signed]) -> Value {
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let receipts: Vec<Value> =
        receipts.iter().map(|c| json!({"bytes": hex(&c.bytes), "chain": c.chain})).collect();
    let signatures: Vec<Value> = signatures
        .iter()
        .map(|s| {
            json!({"key": hex(&s.key), "signature": hex(&s.signature), "message": hex(&s.message)})
        })
        .collect();
    let job = json!({"page": PAGE, "receipts": receipts, "signatures": signatures});
    let mut child = Command::new("node")
        .arg(PROGRAM)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    child.stdin.take().unwrap().write_all(job.to_string().as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", out.status);
    serde_json::from_slice(&out.stdout).expect("one JSON document")
}

#[test]
fn thousands_of_changed_receipts_get_the_verdict_of_the_rust_code() {
    let test = "thousands_of_changed_receipts_get_the_verdict_of_the_rust_code";
    if peer(test, "MEDLEDGER_PEER_NODE").is_none() {
        return;
    }
    let mut cases = vectors();
    cases.extend(changed(2, 4000));
    let answer = run(&cases, &[]);
    let found: Vec<&str> =
        answer["receipts"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(found.len(), cases.len());
    for (i, (case, found)) in cases.iter().zip(&found).enumerate() {
        let shown = HEXLOWER.encode(&case.bytes);
        assert_eq!(*found, case.verdict, "case {i}, chain {}: {shown}", case.chain);
    }
    println!("{:?}", tally(&cases));
}

struct Signed {
    key: [u8; 32],
    signature: [u8; 64],
    /// With its domain.
    message: Vec<u8>,
    valid: bool,
}

impl Signed {
    fn new(key: [u8; 32], signature: [u8; 64], message: &[u8]) -> Self {
        let valid = VerifyingKey::from_bytes(&key).is_ok_and(|key| {
            let signature = Signature::from_bytes(signature);
            key.verify(domain::RECORD_SIGNATURE, message, &signature).is_ok()
        });
        Self { key, signature, message: [domain::RECORD_SIGNATURE, message].concat(), valid }
    }
}

/// Every encoding of the points of small order, which ZIP 215 takes and others do not.
fn small_orders() -> Vec<[u8; 32]> {
    let hex =
        |text: &str| -> [u8; 32] { HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap() };
    let (ff, zero) = ("ff".repeat(30), "00".repeat(30));
    let coordinates = [
        format!("00{zero}00"),
        format!("01{zero}00"),
        format!("ec{ff}7f"),
        format!("ed{ff}7f"),
        format!("ee{ff}7f"),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".into(),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".into(),
    ];
    let both = |y: &String| {
        let mut negative = hex(y);
        negative[31] |= 0x80;
        [hex(y), negative]
    };
    coordinates.iter().flat_map(both).collect()
}

#[test]
fn signatures_are_judged_by_zip_215() {
    if peer("signatures_are_judged_by_zip_215", "MEDLEDGER_PEER_NODE").is_none() {
        return;
    }
    let mut cases = Vec::new();
    // s = 0 with R and A of small order: eight times anything of them is neutral.
    for key in small_orders() {
        for commitment in small_orders() {
            let signature = [commitment, [0; 32]].concat().try_into().unwrap();
            cases.push(Signed::new(key, signature, b"Zcash"));
        }
    }
    let small = cases.len();
    assert!(cases.iter().all(|case| case.valid));
    // s at and around the order, which must be refused from there on.
    let order: [u8; 32] = HEXLOWER
        .decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        .unwrap()
        .try_into()
        .unwrap();
    let key = SigningKey::from_seed(&[5; 32]);
    let public = *key.verifying_key().as_bytes();
    for step in [0u8, 1, 2] {
        let mut s = order;
        s[0] = s[0].wrapping_add(step).wrapping_sub(1);
        for r in small_orders() {
            let signature = [r, s].concat().try_into().unwrap();
            cases.push(Signed::new(small_orders()[2], signature, b"order"));
            cases.push(Signed::new(public, signature, b"order"));
        }
    }
    // Good ones, the same with the order added to s, and changed ones.
    let mut random = Random::new(3);
    for n in 0..150u8 {
        let message = vec![n; usize::from(n)];
        let good = *key.sign(domain::RECORD_SIGNATURE, &message).as_bytes();
        cases.push(Signed::new(public, good, &message));
        let mut again = good;
        let mut carry = 0;
        for (byte, add) in again[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry as u8;
            carry >>= 8;
        }
        cases.push(Signed::new(public, again, &message));
        let mut changed = good;
        changed[random.below(64)] ^= 1 << random.below(8);
        cases.push(Signed::new(public, changed, &message));
        let mut other = public;
        other[random.below(32)] ^= 1 << random.below(8);
        cases.push(Signed::new(other, good, &message));
        cases.push(Signed::new(small_orders()[usize::from(n) % 14], good, &message));
    }
    let answer = run(&[], &cases);
    let found: Vec<bool> =
        answer["signatures"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
    let valid: Vec<bool> = cases.iter().map(|case| case.valid).collect();
    assert_eq!(found, valid);
    println!(
        "{} of {} are valid, {small} of small order",
        valid.iter().filter(|v| **v).count(),
        cases.len()
    );
}
