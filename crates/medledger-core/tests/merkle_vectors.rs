//! Proofs of `tests/vectors/merkle`, by another implementation: what it accepts and refuses, we do.

use data_encoding::BASE64;
use medledger_core::ids::TreeHash;
use medledger_core::merkle::{ConsistencyProof, InclusionProof};
use serde_json::Value;

fn cases(name: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/vectors/merkle/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A hash of another length is none, and the case refused.
fn hash(text: &Value) -> Option<TreeHash> {
    TreeHash::try_from(BASE64.decode(text.as_str()?.as_bytes()).ok()?.as_slice()).ok()
}

fn path(case: &Value) -> Option<Vec<TreeHash>> {
    case["proof"].as_array()?.iter().map(hash).collect()
}

/// Judges every case by `accepts`; `None` stands for something that cannot even be written down here.
fn judge(name: &str, skipped: &[(&str, &str)], accepts: fn(&Value) -> Option<bool>) {
    let cases = cases(name);
    let (mut accepted, mut refused, mut left_out) = (0, 0, 0);
    for case in &cases {
        let file = case["file"].as_str().unwrap();
        if skipped.iter().any(|(name, reason)| *name == file && !reason.is_empty()) {
            left_out += 1;
            continue;
        }
        let found = accepts(case).unwrap_or(false);
        assert_eq!(found, case["wantErr"] == false, "{file}: {}", case["desc"]);
        if found { accepted += 1 } else { refused += 1 }
    }
    assert_eq!(left_out, skipped.len());
    println!("{name}: {accepted} accepted, {refused} refused");
    assert!(accepted > 4 && refused > 50);
}

#[test]
fn inclusion_proofs_are_judged_alike() {
    judge("inclusion", &[], |case| {
        let (index, size) = (case["leafIdx"].as_u64()?, case["treeSize"].as_u64()?);
        let proof = InclusionProof { index, size, path: path(case)? };
        Some(proof.verify(&hash(&case["leafHash"])?, &hash(&case["root"])?).is_ok())
    });
}

#[test]
fn consistency_proofs_are_judged_alike() {
    let skipped = [(
        "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json",
        "its roots have twelve bytes, and ours are hashes by their type",
    )];
    judge("consistency", &skipped, |case| {
        let (old_size, new_size) = (case["size1"].as_u64()?, case["size2"].as_u64()?);
        let proof = ConsistencyProof { old_size, new_size, path: path(case)? };
        Some(proof.verify(&hash(&case["root1"])?, &hash(&case["root2"])?).is_ok())
    });
}
