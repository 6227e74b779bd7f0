use super::*;
use crate::ids::BlockRoot;
use proptest::prelude::*;

/// The definitions of RFC 9162, word for word and without a thought of speed.
mod reference {
    use super::{TreeHash, empty_root, leaf_hash, node_hash};

    fn largest_power_of_two_below(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    /// MTH of 2.1.1.
    pub(super) fn mth(d: &[Vec<u8>]) -> TreeHash {
        match d {
            [] => empty_root(),
            [leaf] => leaf_hash(leaf),
            _ => {
                let k = largest_power_of_two_below(d.len());
                node_hash(&mth(&d[..k]), &mth(&d[k..]))
            }
        }
    }

    /// PATH of 2.1.3.1.
    pub(super) fn path(m: usize, d: &[Vec<u8>]) -> Vec<TreeHash> {
        if d.len() == 1 {
            return Vec::new();
        }
        let k = largest_power_of_two_below(d.len());
        let (mut path, top) = if m < k {
            (path(m, &d[..k]), mth(&d[k..]))
        } else {
            (path(m - k, &d[k..]), mth(&d[..k]))
        };
        path.push(top);
        path
    }

    /// SUBPROOF of 2.1.4.1.
    pub(super) fn subproof(m: usize, d: &[Vec<u8>], complete: bool) -> Vec<TreeHash> {
        if m == d.len() {
            return if complete { Vec::new() } else { vec![mth(d)] };
        }
        let k = largest_power_of_two_below(d.len());
        let (mut proof, top) = if m <= k {
            (subproof(m, &d[..k], complete), mth(&d[k..]))
        } else {
            (subproof(m - k, &d[k..], false), mth(&d[..k]))
        };
        proof.push(top);
        proof
    }
}

fn hashes(leaves: &[Vec<u8>]) -> Vec<TreeHash> {
    leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
}

fn tree_hash(hex: &str) -> TreeHash {
    hex.parse().unwrap()
}

/// The leaves of the Certificate Transparency reference tree (google/certificate-transparency,
/// later transparency-dev/merkle, testonly).
fn ct_leaves() -> Vec<Vec<u8>> {
    [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    .iter()
    .map(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap())
    .collect()
}

const CT_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn roots_of_the_certificate_transparency_tree() {
    let leaves = ct_leaves();
    for (size, expected) in CT_ROOTS.iter().enumerate() {
        assert_eq!(root(&leaves[..size]), tree_hash(expected), "{size} leaves");
    }
    assert_eq!(empty_root(), tree_hash(CT_ROOTS[0]));
    assert_eq!(TreeHash::from(BlockRoot::from(root(&leaves))), root(&leaves));
}

#[test]
fn paths_of_the_certificate_transparency_tree() {
    let leaves = ct_leaves();
    let cases: [(usize, u64, &[&str]); 5] = [
        (1, 0, &[]),
        (
            8,
            0,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            8,
            5,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (3, 2, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            5,
            1,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (size, index, path) in cases {
        let proof = InclusionProof::new(&hashes(&leaves[..size]), index).unwrap();
        let path: Vec<_> = path.iter().map(|hex| tree_hash(hex)).collect();
        assert_eq!(proof.path, path, "leaf {index} of {size}");
        let leaf = leaf_hash(&leaves[index as usize]);
        assert_eq!(proof.verify(&leaf, &tree_hash(CT_ROOTS[size])), Ok(()));
    }
}

#[test]
fn consistency_of_the_certificate_transparency_tree() {
    let leaves = hashes(&ct_leaves());
    let cases: [(u64, usize, &[&str]); 4] = [
        (1, 1, &[]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (old, new, path) in cases {
        let proof = ConsistencyProof::new(&leaves[..new], old).unwrap();
        let path: Vec<_> = path.iter().map(|hex| tree_hash(hex)).collect();
        assert_eq!(proof.path, path, "{old} to {new}");
        let roots = (tree_hash(CT_ROOTS[old as usize]), tree_hash(CT_ROOTS[new]));
        assert_eq!(proof.verify(&roots.0, &roots.1), Ok(()));
    }
}

#[test]
fn all_small_trees_agree_with_the_reference_and_refuse_other_lengths() {
    let leaves: Vec<Vec<u8>> = (0..40u8).map(|i| vec![i; usize::from(i)]).collect();
    for size in 1..=leaves.len() {
        let (data, hashes) = (&leaves[..size], hashes(&leaves[..size]));
        let new = reference::mth(data);
        assert_eq!(root(data), new);
        for index in 0..size {
            let proof = InclusionProof::new(&hashes, index as u64).unwrap();
            assert_eq!(proof.path, reference::path(index, data));
            assert_eq!(proof.verify(&hashes[index], &new), Ok(()));
            let (mut short, mut long) = (proof.clone(), proof);
            long.path.push(new);
            assert!(matches!(
                long.verify(&hashes[index], &new),
                Err(ProofError::PathLength { .. })
            ));
            if short.path.pop().is_some() {
                let refused = short.verify(&hashes[index], &new);
                assert!(matches!(refused, Err(ProofError::PathLength { .. })));
            }
        }
        for old_size in 1..=size {
            let old = reference::mth(&leaves[..old_size]);
            let proof = ConsistencyProof::new(&hashes, old_size as u64).unwrap();
            assert_eq!(proof.path, reference::subproof(old_size, data, true));
            assert_eq!(proof.verify(&old, &new), Ok(()));
            let (mut short, mut long) = (proof.clone(), proof);
            long.path.push(new);
            assert!(matches!(long.verify(&old, &new), Err(ProofError::PathLength { .. })));
            if short.path.pop().is_some() {
                assert!(matches!(short.verify(&old, &new), Err(ProofError::PathLength { .. })));
            }
        }
    }
}

#[test]
fn pitfall_22_repeating_the_last_leaves_changes_the_root() {
    // Bitcoin's tree gives the same root to [a, b, c] and [a, b, c, c] (CVE-2012-2459).
    assert_ne!(root(["a", "b", "c"]), root(["a", "b", "c", "c"]));
    assert_ne!(
        root(["1", "2", "3", "4", "5", "6"]),
        root(["1", "2", "3", "4", "5", "6", "5", "6"])
    );
    assert_ne!(root(["a"]), root(["a", "a"]));
}

#[test]
fn pitfall_22_a_node_does_not_pass_for_a_leaf() {
    let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
    let inner = node_hash(&a, &b);
    let forged = [a.as_bytes().as_slice(), b.as_bytes()].concat();
    assert_ne!(leaf_hash(&forged), inner);
    assert_ne!(root([forged.as_slice(), b"c"]), root(["a", "b", "c"]));
}

#[test]
fn what_cannot_be_proved_is_an_error() {
    let leaves = hashes(&ct_leaves());
    assert_eq!(InclusionProof::new(&leaves, 8), Err(ProofError::NoSuchLeaf { index: 8, size: 8 }));
    assert!(InclusionProof::new(&leaves, u64::MAX).is_err());
    assert!(InclusionProof::new(&[], 0).is_err());
    assert_eq!(ConsistencyProof::new(&leaves, 0), Err(ProofError::NoSuchPair { old: 0, new: 8 }));
    assert!(ConsistencyProof::new(&leaves, 9).is_err());
    let nothing = InclusionProof { index: 0, size: 0, path: Vec::new() };
    assert!(nothing.verify(&leaves[0], &leaves[0]).is_err());
    for (old_size, new_size) in [(0, 0), (0, 8), (8, 7)] {
        let proof = ConsistencyProof { old_size, new_size, path: Vec::new() };
        assert!(proof.verify(&leaves[0], &leaves[0]).is_err(), "{old_size} to {new_size}");
    }
    // Equal sizes with different roots.
    let proof = ConsistencyProof { old_size: 3, new_size: 3, path: Vec::new() };
    assert!(proof.verify(&leaves[0], &leaves[0]).is_ok());
    assert!(matches!(proof.verify(&leaves[0], &leaves[1]), Err(ProofError::WrongRoot { .. })));
}

#[test]
fn trees_of_the_largest_sizes_need_no_more_than_64_hashes() {
    let leaf = leaf_hash(b"");
    for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, u64::MAX)] {
        let proof = InclusionProof { index, size, path: Vec::new() };
        let Err(ProofError::PathLength { expected, .. }) = proof.root(&leaf) else { panic!() };
        assert!((1..=64).contains(&expected));
        assert!(InclusionProof { path: vec![leaf; expected], ..proof }.root(&leaf).is_ok());
    }
    for (old_size, new_size) in [(1, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, u64::MAX)] {
        let proof = ConsistencyProof { old_size, new_size, path: Vec::new() };
        let Err(ProofError::PathLength { expected, .. }) = proof.verify(&leaf, &leaf) else {
            panic!()
        };
        assert!((1..=65).contains(&expected));
        let proof = ConsistencyProof { path: vec![leaf; expected], ..proof };
        assert!(matches!(proof.verify(&leaf, &leaf), Err(ProofError::WrongRoot { .. })));
    }
}

#[test]
fn proofs_are_strict_dag_cbor() {
    let proof = InclusionProof::new(&hashes(&ct_leaves()), 5).unwrap();
    let bytes = crate::cbor::encode(&proof);
    assert_eq!(crate::cbor::decode::<InclusionProof>(&bytes, 1024), Ok(proof));
    assert!(crate::cbor::decode::<ConsistencyProof>(&bytes, 1024).is_err());
}

fn tree() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..200)
}

proptest! {
    #[test]
    fn any_tree_agrees_with_the_reference(
        leaves in tree(), index in any::<proptest::sample::Index>(), old in any::<proptest::sample::Index>(),
    ) {
        let hashes = hashes(&leaves);
        let new = reference::mth(&leaves);
        prop_assert_eq!(root(&leaves), new);
        let index = index.index(leaves.len());
        let proof = InclusionProof::new(&hashes, index as u64).unwrap();
        prop_assert_eq!(&proof.path, &reference::path(index, &leaves));
        prop_assert_eq!(proof.verify(&hashes[index], &new), Ok(()));
        let old = old.index(leaves.len()) + 1;
        let proof = ConsistencyProof::new(&hashes, old as u64).unwrap();
        prop_assert_eq!(&proof.path, &reference::subproof(old, &leaves, true));
        prop_assert_eq!(proof.verify(&reference::mth(&leaves[..old]), &new), Ok(()));
    }

    #[test]
    fn a_proof_with_any_one_thing_changed_is_refused(
        leaves in tree(), index in any::<proptest::sample::Index>(), bit in any::<proptest::sample::Index>(),
        other in any::<u64>(),
    ) {
        let hashes = hashes(&leaves);
        let root = root(&leaves);
        let index = index.index(leaves.len());
        let proof = InclusionProof::new(&hashes, index as u64).unwrap();
        let leaf = hashes[index];
        let refused = |proof: &InclusionProof| proof.verify(&leaf, &root).is_err();
        if !proof.path.is_empty() {
            let mut bad = proof.clone();
            flip(&mut bad.path, &bit);
            prop_assert!(refused(&bad));
            let mut bad = proof.clone();
            bad.path.reverse();
            prop_assert!(bad.path == proof.path || refused(&bad));
        }
        let other = other % (2 * proof.size + 2);
        if other != proof.index && hashes.get(other as usize) != Some(&leaf) {
            let moved = InclusionProof { index: other, ..proof.clone() };
            prop_assert!(refused(&moved));
        }
        // The leaf of another tree under the same root.
        prop_assert!(proof.verify(&root, &root).is_err() || leaves.len() == 1);
    }

    #[test]
    fn a_consistency_proof_with_any_one_thing_changed_is_refused(
        leaves in tree(), old in any::<proptest::sample::Index>(), bit in any::<proptest::sample::Index>(),
    ) {
        let hashes = hashes(&leaves);
        let old_size = old.index(leaves.len()) + 1;
        let (old, new) = (root(&leaves[..old_size]), root(&leaves));
        let proof = ConsistencyProof::new(&hashes, old_size as u64).unwrap();
        prop_assert_eq!(proof.verify(&old, &new), Ok(()));
        if old != new {
            prop_assert!(proof.verify(&new, &old).is_err());
            prop_assert!(proof.verify(&old, &old).is_err());
            prop_assert!(proof.verify(&new, &new).is_err());
        }
        if !proof.path.is_empty() {
            let mut bad = proof;
            flip(&mut bad.path, &bit);
            prop_assert!(bad.verify(&old, &new).is_err());
        }
        // A history rewritten in its first leaf is not consistent with what was seen before.
        let mut rewritten = leaves;
        rewritten[0].push(0);
        let hashes: Vec<_> = rewritten.iter().map(|leaf| leaf_hash(leaf)).collect();
        let forged = ConsistencyProof::new(&hashes, old_size as u64).unwrap();
        prop_assert!(forged.verify(&old, &root(&rewritten)).is_err());
    }
}

fn flip(path: &mut [TreeHash], bit: &proptest::sample::Index) {
    let bit = bit.index(path.len() * 256);
    let mut bytes = *path[bit / 256].as_bytes();
    bytes[bit % 256 / 8] ^= 1 << (bit % 8);
    path[bit / 256] = TreeHash::from_bytes(bytes);
}
