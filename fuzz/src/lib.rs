//! Fuzz targets with an oracle each: what a decoder accepts must be written back as the same bytes,
//! and an independent reader must agree where there is one.
//!
//! A new target is three small things: a row in [`TARGETS`], the two-line file
//! `fuzz_targets/NAME.rs`, and its `[[bin]]` entry in `Cargo.toml`; a test compares the three.
#![forbid(unsafe_code)]

pub mod access;
pub mod car;
pub mod folders;
pub mod gateway;
pub mod hospitals;
pub mod lanes;
pub mod oracle;
pub mod scan;
pub mod stores;
pub mod structures;
pub mod votes;

use medledger_core::{Cid, cbor::encode, cid::Codec, cid::Link, ids};
use oracle::{cbor_any, cid_bytes, cid_text, dag_cbor};

/// One decoder under test.
#[derive(Debug)]
pub struct Target {
    /// Name of the target and of its file.
    pub name: &'static str,
    /// Panics if the decoder breaks its promise on these bytes.
    pub oracle: fn(&[u8]),
    /// Valid inputs to start from, written by the encoder itself so that they cannot go stale.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target. For a DAG-CBOR structure the row is `oracle: dag_cbor::<Structure>`.
pub const TARGETS: &[Target] = &[
    Target { name: "cbor_any", oracle: cbor_any, seeds: any_seeds },
    Target {
        name: "cbor_ids",
        oracle: |data| {
            dag_cbor::<ids::RecordId>(data);
            dag_cbor::<ids::MemberId>(data);
            dag_cbor::<Link>(data);
            dag_cbor::<Cid>(data);
        },
        seeds: || {
            vec![
                encode(&ids::RecordId::from_bytes([7; 32])),
                encode(&ids::MemberId::from_bytes([7; 16])),
                encode(&Link(Cid::of(Codec::DagCbor, b"x"))),
                encode(&Cid::of(Codec::Raw, b"x")),
            ]
        },
    },
    Target {
        name: "cid_bytes",
        oracle: cid_bytes,
        seeds: || some_cids().iter().map(Cid::to_bytes).collect(),
    },
    Target {
        name: "cid_text",
        oracle: cid_text,
        seeds: || some_cids().iter().map(|cid| cid.to_string().into_bytes()).collect(),
    },
    Target {
        name: "access_key",
        oracle: structures::access_key,
        seeds: structures::access_key_seeds,
    },
    Target { name: "block", oracle: structures::block, seeds: structures::block_seeds },
    Target { name: "car", oracle: car::car, seeds: car::seeds },
    Target {
        name: "checkpoint",
        oracle: structures::checkpoint,
        seeds: structures::checkpoint_seeds,
    },
    Target { name: "dag_pb", oracle: structures::dag_pb, seeds: structures::node_seeds },
    Target { name: "envelope", oracle: structures::envelope, seeds: structures::envelope_seeds },
    Target { name: "gateway_car", oracle: gateway::gateway_car, seeds: gateway::seeds },
    Target { name: "genesis", oracle: structures::genesis, seeds: structures::genesis_seeds },
    Target { name: "header", oracle: structures::header, seeds: structures::header_seeds },
    Target {
        name: "locked_identity",
        oracle: structures::locked_identity,
        seeds: structures::locked_identity_seeds,
    },
    Target {
        name: "hospital_card",
        oracle: hospitals::hospital_card,
        seeds: hospitals::hospital_card_seeds,
    },
    Target { name: "proposal", oracle: hospitals::proposal, seeds: hospitals::proposal_seeds },
    Target {
        name: "key_consent",
        oracle: hospitals::key_consent,
        seeds: hospitals::key_consent_seeds,
    },
    Target { name: "news", oracle: hospitals::news, seeds: hospitals::news_seeds },
    Target { name: "lanes", oracle: lanes::lanes, seeds: lanes::lanes_seeds },
    Target { name: "nonce_scan", oracle: scan::nonce_scan, seeds: scan::nonce_scan_seeds },
    Target { name: "receipt", oracle: structures::receipt, seeds: structures::receipt_seeds },
    Target {
        name: "tlog_proof",
        oracle: structures::tlog_proof,
        seeds: structures::tlog_proof_seeds,
    },
    Target {
        name: "checkpoint_evidence",
        oracle: structures::checkpoint_evidence,
        seeds: structures::checkpoint_evidence_seeds,
    },
    Target { name: "record", oracle: structures::record, seeds: structures::record_seeds },
    Target {
        name: "signed_record",
        oracle: structures::signed_record,
        seeds: structures::signed_record_seeds,
    },
    Target { name: "pin_list", oracle: stores::pin_list, seeds: stores::pin_list_seeds },
    Target { name: "pin", oracle: stores::pin, seeds: stores::pin_seeds },
    Target { name: "replicas", oracle: stores::replicas, seeds: stores::replicas_seeds },
    Target { name: "sharding", oracle: stores::sharding, seeds: stores::sharding_seeds },
    Target { name: "slot", oracle: structures::slot, seeds: structures::slot_seeds },
    Target { name: "certificate", oracle: votes::certificate, seeds: votes::certificate_seeds },
    Target { name: "evidence", oracle: votes::evidence, seeds: votes::evidence_seeds },
    Target { name: "vote", oracle: votes::vote, seeds: votes::vote_seeds },
    Target { name: "voter_state", oracle: votes::voter_state, seeds: votes::voter_state_seeds },
    Target { name: "audit_entry", oracle: access::audit_entry, seeds: access::audit_entry_seeds },
    Target {
        name: "audit_digest",
        oracle: access::audit_digest,
        seeds: access::audit_digest_seeds,
    },
    Target { name: "key_slot", oracle: access::key_slot, seeds: access::key_slot_seeds },
    Target {
        name: "slot_request",
        oracle: access::slot_request,
        seeds: access::slot_request_seeds,
    },
    Target {
        name: "slot_release",
        oracle: access::slot_release,
        seeds: access::slot_release_seeds,
    },
    Target { name: "directory", oracle: folders::directory, seeds: folders::directory_seeds },
    Target { name: "unixfs", oracle: structures::unixfs, seeds: structures::node_seeds },
];

fn some_cids() -> [Cid; 4] {
    [
        Cid::v0_from_digest([9; 32]),
        Cid::of(Codec::Raw, b"raw"),
        Cid::of(Codec::DagPb, b"pb"),
        Cid::of(Codec::DagCbor, b"cbor"),
    ]
}

fn any_seeds() -> Vec<Vec<u8>> {
    vec![
        encode(&(1u64, -2i64, "text", true, None::<u64>)),
        encode(&[("a", vec![24u64, 256]), ("bb", vec![])].into_iter().collect::<BTree>()),
        encode(&(Link(Cid::of(Codec::Raw, b"y")), ids::ReportId::from_bytes([1; 16]))),
    ]
}

type BTree = std::collections::BTreeMap<&'static str, Vec<u64>>;

/// Runs the oracle of the target with this name.
///
/// # Panics
/// When the decoder breaks its promise, and when there is no such target.
pub fn check(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target {name}")).oracle)(data);
}

#[cfg(test)]
mod tests {
    use super::TARGETS;

    #[test]
    fn table_files_and_manifest_agree() {
        let mut rows: Vec<_> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
        rows.sort();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = std::fs::read_dir(root.join("fuzz_targets"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(rows, files);
        let manifest = include_str!("../Cargo.toml");
        let mut bins: Vec<_> = manifest
            .split("[[bin]]")
            .skip(1)
            .map(|part| part.split('"').nth(1).unwrap().to_owned())
            .collect();
        bins.sort();
        assert_eq!(rows, bins);
        for name in rows {
            let text = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs")));
            assert!(
                text.unwrap().contains(&format!("\"{name}\"")),
                "{name}.rs runs another target"
            );
        }
    }

    /// Every seed cut at every place, with every bit flipped, extended, and spliced with the others.
    #[test]
    fn oracles_hold_on_seeds_and_on_what_is_near_them() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            for seed in &seeds {
                (target.oracle)(seed);
                for at in 0..seed.len() {
                    (target.oracle)(&seed[..at]);
                    for bit in 0..8 {
                        let mut flipped = seed.clone();
                        flipped[at] ^= 1 << bit;
                        (target.oracle)(&flipped);
                    }
                    for other in &seeds {
                        let tail = &other[at.min(other.len())..];
                        (target.oracle)(&[&seed[..at], tail].concat());
                    }
                }
                for byte in 0..=255 {
                    (target.oracle)(&[seed.as_slice(), &[byte]].concat());
                }
            }
        }
    }
}
