use super::super::VerifyError;
use super::*;
use crate::clock::Timestamp;
use crate::ids::BlockId;
use crate::log_tree::MemoryNodes;
use ed25519_zebra::SigningKey;
use proptest::prelude::*;

fn chain() -> ChainId {
    ChainId::from_bytes([9; 32])
}

fn secret(n: u8) -> SigningKey {
    SigningKey::from([n; 32])
}

fn keys(count: u8) -> Vec<NoteKey> {
    (1..=count)
        .map(|n| {
            let public = secret(n).verification_key().into();
            NoteKey::cosigner(format!("hospital-{n}"), public).unwrap()
        })
        .collect()
}

/// A log whose leaves from `fork` on are those of another branch.
fn log(size: u64, fork: u64, branch: u8) -> MemoryNodes {
    let mut nodes = MemoryNodes::default();
    for n in 0..size {
        let mut id = [if n < fork { 0 } else { branch }; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let new = LogTree::new(&nodes).append(n, &BlockId::from_bytes(id)).unwrap();
        nodes.extend(new);
    }
    nodes
}

fn signed(size: u64, root: TreeHash, by: &[u8]) -> SignedNote {
    let mut note = SignedNote::new(Checkpoint::new(&chain(), size, root).to_string()).unwrap();
    for n in by {
        let key = &keys(*n)[usize::from(*n) - 1];
        let time = Timestamp::from_secs(7);
        note.cosign(key, time, &mut |m| secret(*n).sign(m).to_bytes()).unwrap();
    }
    note
}

fn of(nodes: &MemoryNodes, size: u64, by: &[u8]) -> SignedNote {
    signed(size, LogTree::new(nodes).root(size).unwrap(), by)
}

/// Evidence between the first `old` leaves of one branch and the first `new` of another.
fn between(old: u64, new: u64, by: (&[u8], &[u8])) -> Option<Evidence> {
    let (ours, theirs) = (log(20, 5, 1), log(20, 5, 2));
    let (older, newer) = (of(&ours, old, by.0), of(&theirs, new, by.1));
    let keys = keys(4);
    let tree = LogTree::new(&theirs);
    let evidence = Evidence::between(&older, &newer, tree, &chain(), &keys).unwrap();
    let swapped = Evidence::between(&newer, &older, tree, &chain(), &keys).unwrap();
    assert_eq!(evidence, swapped, "the order of the two does not matter");
    evidence
}

#[test]
fn pitfall_23_every_pair_of_sizes_on_two_branches_is_proved_from_the_fork_on() {
    for new in 1..=20 {
        for old in 1..=new {
            let found = between(old, new, (&[1, 2, 3], &[2, 3, 4]));
            assert_eq!(found.is_some(), old > 5, "{old} and {new}: the branches part after 5");
            let Some(evidence) = found else { continue };
            let bytes = evidence.encode();
            assert_eq!(Evidence::decode(&bytes).as_ref(), Ok(&evidence));
            let misconduct = evidence.check(&chain(), &keys(4)).unwrap();
            assert_eq!(misconduct.hospitals, ["hospital-2", "hospital-3"], "only who signed both");
            assert_eq!((misconduct.older.size, misconduct.newer.size), (old, new));
            assert_eq!(evidence.fork.is_none(), old == new);
        }
    }
}

#[test]
fn a_log_that_only_grew_gives_no_evidence() {
    let nodes = log(20, 20, 0);
    let tree = LogTree::new(&nodes);
    for new in 1..=20 {
        for old in 0..=new {
            let (older, newer) = (of(&nodes, old, &[1]), of(&nodes, new, &[1]));
            let found = Evidence::between(&older, &newer, tree, &chain(), &keys(1));
            assert_eq!(found, Ok(None));
        }
    }
}

#[test]
fn nobody_is_blamed_for_what_others_signed() {
    assert_eq!(between(8, 9, (&[1, 2], &[3, 4])), None);
    assert_eq!(between(8, 8, (&[1], &[2])), None);
    // Nor are hospitals that are none of the chain's.
    let evidence = between(8, 9, (&[1], &[1])).unwrap();
    let others = &keys(4)[1..];
    assert_eq!(
        evidence.check(&chain(), others),
        Err(FinalityError::from(VerifyError::NoKnownSignature).into())
    );
    // Put together by hand from notes of different signers.
    let by_two = between(8, 9, (&[2], &[2])).unwrap();
    let mixed = Evidence { newer: by_two.newer, ..evidence };
    assert_eq!(mixed.check(&chain(), &keys(4)), Err(EvidenceError::Nobody));
}

#[test]
fn a_wrong_signature_beside_the_good_ones_does_not_spoil_the_evidence() {
    let (ours, theirs) = (log(20, 5, 1), log(20, 5, 2));
    let mut older = of(&ours, 8, &[1]);
    // Signed for another text, and so wrong here.
    let alien = of(&ours, 9, &[2]).to_string();
    let line = alien.lines().last().unwrap();
    older = SignedNote::from_bytes(format!("{older}{line}\n").as_bytes()).unwrap();
    assert!(older.verify(&keys(4)).is_err(), "as a note it is refused");
    let newer = of(&theirs, 9, &[1, 2]);
    let evidence =
        Evidence::between(&older, &newer, LogTree::new(&theirs), &chain(), &keys(4)).unwrap();
    let misconduct = evidence.unwrap().check(&chain(), &keys(4)).unwrap();
    assert_eq!(misconduct.hospitals, ["hospital-1"]);
}

#[test]
fn a_hospital_with_a_new_key_is_still_the_same_hospital() {
    let (ours, theirs) = (log(20, 5, 1), log(20, 5, 2));
    let mut keys = keys(1);
    keys.push(NoteKey::cosigner("hospital-1", secret(2).verification_key().into()).unwrap());
    let older = of(&ours, 8, &[1]);
    let text = Checkpoint::new(&chain(), 9, LogTree::new(&theirs).root(9).unwrap()).to_string();
    let mut newer = SignedNote::new(text).unwrap();
    newer.cosign(&keys[1], Timestamp::from_secs(7), &mut |m| secret(2).sign(m).to_bytes()).unwrap();
    let evidence = Evidence::between(&older, &newer, LogTree::new(&theirs), &chain(), &keys);
    let misconduct = evidence.unwrap().unwrap().check(&chain(), &keys).unwrap();
    assert_eq!(misconduct.hospitals, ["hospital-1"]);
}

#[test]
fn what_proves_nothing_is_refused_by_name() {
    let good = between(8, 13, (&[1], &[1])).unwrap();
    let equal = between(8, 8, (&[1], &[1])).unwrap();
    let check = |evidence: &Evidence| evidence.check(&chain(), &keys(1)).unwrap_err();
    let fork = good.fork.clone().unwrap();
    let with = |fork| Evidence { fork, ..good.clone() };
    assert_eq!(check(&with(None)), EvidenceError::Fork { older: 8, newer: 13 });
    let extra = Evidence { fork: Some(fork.clone()), ..equal.clone() };
    assert_eq!(check(&extra), EvidenceError::Fork { older: 8, newer: 8 });
    let other = Fork { root: TreeHash::from_bytes([1; 32]), ..fork.clone() };
    assert!(matches!(
        check(&with(Some(other))),
        EvidenceError::Proof(ProofError::WrongRoot { .. })
    ));
    let mut short = fork;
    short.path.pop();
    assert!(matches!(
        check(&with(Some(short))),
        EvidenceError::Proof(ProofError::PathLength { .. })
    ));
    let swapped =
        Evidence { older: equal.newer.clone(), newer: equal.older.clone(), ..equal.clone() };
    assert_eq!(check(&swapped), EvidenceError::Order);
    let twice = Evidence { newer: equal.older.clone(), ..equal };
    assert_eq!(check(&twice), EvidenceError::Order);
    // The honest continuation of one branch, called a fork.
    let theirs = log(20, 5, 2);
    let tree = LogTree::new(&theirs);
    let honest = Evidence {
        v: FORMAT_VERSION,
        older: of(&theirs, 8, &[1]).to_string(),
        newer: of(&theirs, 13, &[1]).to_string(),
        fork: Some(Fork {
            root: tree.root(8).unwrap(),
            path: tree.consistency_proof(8, 13).unwrap().path,
        }),
    };
    assert_eq!(check(&honest), EvidenceError::Consistent);
    let elsewhere = ChainId::from_bytes([1; 32]);
    assert!(matches!(
        good.check(&elsewhere, &keys(1)),
        Err(EvidenceError::Checkpoint(FinalityError::OtherChain { .. }))
    ));
    let unsigned = Evidence { newer: "x\n".into(), ..good.clone() };
    assert_eq!(check(&unsigned), EvidenceError::Note(NoteError::Unsigned));
    let later = Evidence { v: 2, ..good };
    let decoded = Evidence::decode(&later.encode());
    assert_eq!(decoded, Err(EvidenceError::UnknownVersion { found: 2 }));
    // A tree that is not the newer checkpoint's.
    let (ours, theirs) = (log(20, 5, 1), log(20, 5, 2));
    let (older, newer) = (of(&ours, 8, &[1]), of(&theirs, 13, &[1]));
    let found = Evidence::between(&older, &newer, LogTree::new(&ours), &chain(), &keys(1));
    assert!(matches!(found, Err(EvidenceError::Tree(_))));
    let short = log(10, 5, 2);
    let found = Evidence::between(&older, &newer, LogTree::new(&short), &chain(), &keys(1));
    assert!(matches!(found, Err(EvidenceError::Tree(_))));
}

proptest! {
    /// Honest hospitals cannot be framed: whatever is changed proves nothing, or the very same.
    #[test]
    fn changed_evidence_proves_nothing_else(
        at in any::<proptest::sample::Index>(), mask in 1u8..,
    ) {
        let good = between(8, 13, (&[1, 2], &[2, 3])).unwrap();
        let proven = good.check(&chain(), &keys(4)).unwrap();
        let mut bytes = good.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        if let Ok(found) = Evidence::decode(&bytes)
            && let Ok(misconduct) = found.check(&chain(), &keys(4))
        {
            prop_assert_eq!(misconduct, proven);
        }
    }
}
