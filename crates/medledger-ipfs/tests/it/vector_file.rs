//! `tests/vectors/unixfs.json`, which other implementations read too.

use medledger_ipfs::unixfs::{Profile, cid_of};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

const NAMES: [&str; 3] = ["unixfs-v1-2025", "unixfs-v0-2015", "kubo-cidv1"];

/// What comes of a case: the CID, or the kind of error.
fn cid(profile: &str, byte: u8, count: u64) -> Result<String, &'static str> {
    let profile: Profile = profile.parse().map_err(|_| "unknown_profile")?;
    Ok(cid_of(std::io::repeat(byte).take(count), profile).unwrap().cid.to_string())
}

/// Around every boundary of chunk and node that a small file has.
fn cases() -> Vec<Value> {
    let mut cases = Vec::new();
    for profile in NAMES {
        for count in [0, 1, 262_143, 262_144, 262_145, 1_048_576, 1_048_577, 3_000_000] {
            cases.push(json!({
                "name": format!("{}_{count}", profile.replace('-', "_")),
                "expect": "ok",
                "reason": "a file of so many bytes",
                "profile": profile,
                "byte": "61",
                "count": count,
                "cid": cid(profile, 0x61, count).unwrap(),
            }));
        }
    }
    for profile in ["unixfs-v2", "UNIXFS-V1-2025", ""] {
        cases.push(json!({
            "name": format!("profile_{}", cases.len()),
            "expect": cid(profile, 0, 0).unwrap_err(),
            "reason": "no such profile",
            "profile": profile,
            "byte": "61",
            "count": 1,
        }));
    }
    cases
}

#[test]
fn pitfall_15_the_shared_file_of_cids_holds_and_is_not_stale() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/unixfs.json");
    let file = json!({
        "about": "CIDs of files by profile (IPIP-0499): the byte `byte`, `count` times, added to IPFS.",
        "source": "Written by the tests of medledger-ipfs, which compare the builder with rust-unixfs and Kubo.",
        "cases": cases(),
    });
    if std::env::var_os("MEDLEDGER_WRITE_VECTORS").is_some_and(|v| v == "1") {
        std::fs::write(&path, serde_json::to_string_pretty(&file).unwrap() + "\n").unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(committed, file);
}
