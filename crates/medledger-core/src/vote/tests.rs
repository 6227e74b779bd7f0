//! Votes as bytes, counted, and as evidence. How they lead to agreement is explored in
//! `tests/finality_model`.

use super::voter::roundest_of;
use super::*;
use crate::checkpoint::{Checkpoint, NoteKey, SignedNote};
use crate::clock::Timestamp;
use crate::ids::{BlockRoot, TreeHash};
use crate::keys::{Signature, SigningKey};
use crate::merkle::{InclusionProof, root_of_hashes};
use crate::pow::{Bits, Header};
use crate::{log_tree, registry::domain};
use std::collections::HashMap;
use std::convert::Infallible;

fn key(hospital: u8) -> SigningKey {
    SigningKey::from_seed(&[hospital; 32])
}

fn hospital(number: u8) -> MemberId {
    MemberId::from_bytes([number; 16])
}

fn chain() -> ChainId {
    ChainId::from_bytes([9; 32])
}

fn set() -> BlockId {
    BlockId::from_bytes([9; 32])
}

fn four() -> Members {
    let hospitals = (1..=4).map(|number| (hospital(number), vec![key(number).verifying_key()]));
    Members::new(chain(), set(), hospitals)
}

fn block(number: u8) -> BlockId {
    BlockId::from_bytes([number; 32])
}

fn vote(by: u8, phase: Phase, ballot: (u64, u64, BlockId)) -> SignedVote {
    let (chain, set, voter) = (chain(), set(), hospital(by));
    Vote { chain, set, voter, phase, ballot: ballot.into() }.sign(&key(by))
}

fn prevote(by: u8, ballot: (u64, u64, BlockId)) -> SignedVote {
    vote(by, Phase::Prevote { source: None }, ballot)
}

fn precommit(by: u8, ballot: (u64, u64, BlockId)) -> SignedVote {
    vote(by, Phase::Precommit, ballot)
}

#[test]
fn a_vote_reads_back_and_every_changed_byte_is_noticed() {
    let source = Some(Ballot::from((2, 1, block(1))));
    for phase in [Phase::Prevote { source: None }, Phase::Prevote { source }, Phase::Precommit] {
        let signed = vote(1, phase, (5, 3, block(3)));
        let bytes = signed.encode();
        assert_eq!(SignedVote::decode(&bytes), Ok(signed));
        assert_eq!(Vote::decode(&signed.vote().encode()), Ok(*signed.vote()));
        assert!(signed.verify(&four()).is_ok());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let counts =
                SignedVote::decode(&changed).is_ok_and(|vote| vote.verify(&four()).is_ok());
            assert!(!counts, "byte {at}");
        }
    }
    // The longest there can be still fits.
    let far = (u64::MAX, u64::MAX, block(3));
    let source = Some(Ballot::from((u64::MAX - 1, u64::MAX - 1, block(1))));
    let longest = vote(1, Phase::Prevote { source }, far);
    assert_eq!(SignedVote::decode(&longest.encode()), Ok(longest));
}

#[test]
fn a_vote_that_makes_no_sense_is_refused_by_name() {
    let read = |vote: SignedVote| Vote::decode(&vote.vote().encode());
    let height = |round, height| Err(VoteDecodeError::Height { round, height });
    assert_eq!(read(precommit(1, (3, 4, block(1)))), height(3, 4));
    assert_eq!(read(precommit(1, (3, 0, block(1)))), height(3, 0));
    let with = |source: (u64, u64, BlockId)| {
        read(vote(1, Phase::Prevote { source: Some(source.into()) }, (5, 3, block(3))))
    };
    assert!(with((4, 3, block(3))).is_ok(), "the same block, voted for again");
    assert_eq!(with((4, 3, block(4))), Err(VoteDecodeError::Source));
    assert_eq!(with((4, 4, block(4))), Err(VoteDecodeError::Source));
    assert_eq!(with((5, 2, block(2))), Err(VoteDecodeError::Source));
    assert_eq!(with((1, 2, block(2))), height(1, 2));
    let swapped = |from: &[u8], to: &[u8]| {
        let bytes = precommit(1, (3, 1, block(1))).vote().encode();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        Vote::decode(&[&bytes[..at], to, &bytes[at + from.len()..]].concat())
    };
    assert_eq!(swapped(b"ephase\x02", b"ephase\x03"), Err(VoteDecodeError::Phase { found: 3 }));
    assert_eq!(swapped(b"av\x01", b"av\x02"), Err(VoteDecodeError::UnknownVersion { found: 2 }));
    let sourced = [&b"fsource\x83\x02\x01\x58\x20"[..], &[1; 32]].concat();
    assert_eq!(swapped(b"fsource\xf6", &sourced), Err(VoteDecodeError::Source));
}

#[test]
fn a_vote_counts_only_on_its_chain_in_its_set_by_its_hospital() {
    let mut said = *precommit(1, (3, 1, block(1))).vote();
    said.chain = ChainId::from_bytes([8; 32]);
    let verify = |vote: Vote, by| vote.sign(&key(by)).verify(&four());
    assert!(matches!(verify(said, 1), Err(VoteError::OtherChain { .. })));
    said.chain = chain();
    said.set = block(8);
    assert!(matches!(verify(said, 1), Err(VoteError::OtherSet { .. })));
    said.set = set();
    assert_eq!(verify(said, 2), Err(VoteError::Signature(hospital(1))));
    said.voter = hospital(5);
    assert_eq!(verify(said, 5), Err(VoteError::NotAMember(hospital(5))));
    // A signature over the same bytes for another purpose.
    said.voter = hospital(1);
    let other = SignedVote::new(said, key(1).sign(domain::BLOCK_SIGNATURE, &said.encode()));
    assert_eq!(other.verify(&four()), Err(VoteError::Signature(hospital(1))));
}

#[test]
fn a_quorum_of_different_hospitals_justifies_and_decides() {
    let mut tally = Tally::new(four());
    let mut insert = |vote: SignedVote| {
        let said = tally.insert(vote.verify(&four()).unwrap());
        (said, tally.justified().is_some(), tally.decided().is_some())
    };
    let ballot = (3, 1, block(1));
    assert_eq!(insert(prevote(1, ballot)), (Inserted::New, false, false));
    assert_eq!(insert(prevote(1, ballot)), (Inserted::Known, false, false));
    assert_eq!(insert(precommit(1, ballot)), (Inserted::New, false, false));
    assert_eq!(insert(prevote(2, ballot)), (Inserted::New, false, false));
    // Another round is another ballot.
    assert_eq!(insert(prevote(3, (4, 1, block(1)))), (Inserted::New, false, false));
    assert_eq!(insert(prevote(4, ballot)), (Inserted::New, true, false));
    assert_eq!(insert(precommit(2, ballot)), (Inserted::New, true, false));
    assert_eq!(insert(precommit(4, ballot)), (Inserted::New, true, true));
    let decided = tally.decided().unwrap();
    assert_eq!(Certificate::decode(&decided.encode()).as_ref(), Ok(decided));
    assert!(decided.verify(&four()).is_ok() && decided.is_precommit());
    // Whoever gets the certificate knows as much.
    let mut other = Tally::new(four());
    other.insert_certificate(decided).unwrap();
    assert_eq!(other.decided(), Some(decided));
}

#[test]
fn a_certificate_of_too_few_of_one_twice_or_of_two_things_is_refused() {
    let ballot = (3, 1, block(1));
    let few = Certificate::new(vec![prevote(1, ballot), prevote(2, ballot)]).unwrap();
    let too_few = Err(CertificateError::TooFew { found: 2, needed: 3 });
    assert_eq!(few.verify(&four()), too_few);
    assert_eq!(Tally::new(four()).insert_certificate(&few).map(|()| Vec::new()), too_few);
    let mixed = |votes| assert_eq!(Certificate::new(votes), Err(CertificateError::Mixed));
    mixed(vec![]);
    mixed(vec![prevote(1, ballot), prevote(1, ballot)]);
    mixed(vec![prevote(1, ballot), precommit(2, ballot)]);
    mixed(vec![prevote(1, ballot), prevote(2, (4, 1, block(1)))]);
    let forged = SignedVote::new(*prevote(3, ballot).vote(), Signature::from_bytes([0; 64]));
    let forged = Certificate::new(vec![prevote(1, ballot), prevote(2, ballot), forged]).unwrap();
    let wrong = VoteError::Signature(hospital(3));
    assert_eq!(forged.verify(&four()), Err(CertificateError::Uncounted(wrong)));
}

#[test]
fn a_tally_stays_small_whatever_one_hospital_sends() {
    let mut tally = Tally::new(four());
    let mut insert = |vote: SignedVote| tally.insert(VerifiedVote::trusted(vote));
    for by in 2..=3 {
        assert_eq!(insert(prevote(by, (3, 1, block(1)))), Inserted::New);
    }
    for round in 0..3 * limit::VOTE_ROUNDS as u64 {
        for other in 0..4 {
            insert(prevote(1, (1_000_000 + round, 1, block(other))));
        }
    }
    assert_eq!(insert(prevote(1, (3, 1, block(1)))), Inserted::Ignored);
    assert_eq!(insert(prevote(4, (3, 1, block(1)))), Inserted::New);
    assert_eq!(tally.votes().count(), 3 + 2 * limit::VOTE_ROUNDS);
    assert_eq!(tally.evidence().count(), 1);
    assert_eq!(tally.justified().map(|seen| seen.ballot().round), Some(3));
}

#[test]
fn pitfall_23_a_hospital_that_votes_twice_in_a_round_is_convicted() {
    let mut tally = Tally::new(four());
    let (first, second) = (prevote(1, (3, 1, block(1))), prevote(1, (3, 1, block(2))));
    tally.insert(first.verify(&four()).unwrap());
    assert_eq!(tally.insert(second.verify(&four()).unwrap()), Inserted::Double);
    let evidence = tally.evidence().next().unwrap();
    assert_eq!(evidence, &Evidence::double(second, first), "one pair, one piece of evidence");
    assert_eq!(Evidence::decode(&evidence.encode()).as_ref(), Ok(evidence));
    assert_eq!(evidence.check(&four()).unwrap(), [hospital(1)].into());
    let innocent = |first, second| {
        let found = Evidence::double(first, second).check(&four());
        assert!(matches!(found, Err(EvidenceError::Consistent(_))), "{found:?}");
    };
    innocent(first, first);
    innocent(first, prevote(2, (3, 1, block(2))));
    innocent(first, prevote(1, (4, 1, block(2))));
    innocent(first, precommit(1, (3, 1, block(2))));
    let forged = SignedVote::new(*second.vote(), *first_signature());
    let found = Evidence::double(first, forged).check(&four());
    assert!(matches!(found, Err(EvidenceError::Uncounted(VoteError::Signature(_)))));
}

fn first_signature() -> &'static Signature {
    static ZEROS: Signature = Signature::from_bytes([0; 64]);
    &ZEROS
}

/// Headers of a branch, oldest first.
fn branch(below: BlockId, count: u8, nonce: u32) -> Vec<Header> {
    let mut previous = below;
    (0..count)
        .map(|_| {
            let root = BlockRoot::from_bytes([2; 32]);
            let bits = Bits::from_u32(0x207f_ffff);
            let header = Header { version: Header::VERSION, previous, root, time: 3, bits, nonce };
            previous = header.id();
            header
        })
        .collect()
}

#[test]
fn pitfall_23_a_hospital_that_ignores_its_lock_is_convicted() {
    let (kept, left) = (branch(set(), 4, 1), branch(set(), 4, 2));
    let path = |branch: &[Header], count: usize| {
        HeaderPath::new(branch.iter().rev().take(count).copied().collect()).unwrap()
    };
    let locked = precommit(1, (3, 2, kept[1].id()));
    let later = prevote(1, (6, 4, left[3].id()));
    let evidence = Evidence::ignored_lock(locked, later, path(&left, 2));
    assert_eq!(Evidence::decode(&evidence.encode()).as_ref(), Ok(&evidence));
    assert_eq!(evidence.check(&four()).unwrap(), [hospital(1)].into());
    // No higher than what it is locked on: no headers are needed.
    for target in [(4, 2, left[1].id()), (4, 1, left[0].id())] {
        let evidence = Evidence::ignored_lock(locked, prevote(1, target), HeaderPath::default());
        assert!(evidence.check(&four()).is_ok());
    }
    let innocent = |locked, later, path| {
        let found = Evidence::ignored_lock(locked, later, path).check(&four());
        assert!(matches!(found, Err(EvidenceError::Consistent(_))), "{found:?}");
    };
    // Above the lock; on the lock; before it; justified since; by two; with other headers.
    innocent(locked, prevote(1, (6, 4, kept[3].id())), path(&kept, 2));
    innocent(locked, prevote(1, (6, 2, kept[1].id())), HeaderPath::default());
    innocent(locked, prevote(1, (3, 2, left[1].id())), HeaderPath::default());
    let source = Some(Ballot::from((3, 2, left[1].id())));
    innocent(locked, vote(1, Phase::Prevote { source }, (6, 4, left[3].id())), path(&left, 2));
    innocent(locked, prevote(2, (6, 4, left[3].id())), path(&left, 2));
    innocent(locked, later, path(&left, 3));
    innocent(locked, later, path(&kept, 2));
    innocent(locked, later, HeaderPath::default());
    innocent(later, locked, path(&left, 2));
    assert_eq!(HeaderPath::new(vec![kept[1], left[0]]), None, "not linked");
}

fn note(blocks: &[BlockId], by: &[u8]) -> SignedNote {
    let root = root_of_hashes(blocks.iter().map(log_tree::leaf));
    let checkpoint = Checkpoint::new(&chain(), blocks.len() as u64, root);
    let mut note = SignedNote::new(checkpoint.to_string()).unwrap();
    for number in by {
        let key = key(*number);
        let public = *key.verifying_key().as_bytes();
        let cosigner = NoteKey::cosigner(hospital(*number).to_string(), public).unwrap();
        let sign = &mut |bytes: &[u8]| *key.sign_note(bytes).as_bytes();
        note.cosign(&cosigner, Timestamp::from_secs(5), sign).unwrap();
    }
    note
}

#[test]
fn pitfall_23_hospitals_that_cosign_two_histories_are_convicted() {
    let (kept, left) = ([set(), block(1), block(2)], [set(), block(3), block(4), block(5)]);
    let (first, second) = (note(&kept, &[1, 2, 3]), note(&left, &[1, 3, 4]));
    let both = [hospital(1), hospital(3)].into();
    let path = |blocks: &[BlockId], index| {
        let leaves: Vec<TreeHash> = blocks.iter().map(log_tree::leaf).collect();
        InclusionProof::new(&leaves, index).unwrap()
    };
    let fork = |height: usize| {
        let at = |blocks: &[BlockId]| (blocks[height], path(blocks, height as u64));
        let ((a, a_path), (b, b_path)) = (at(&kept), at(&left));
        Evidence::fork((&first, a, a_path), (&second, b, b_path))
    };
    let evidence = fork(1);
    assert_eq!(Evidence::decode(&evidence.encode()).as_ref(), Ok(&evidence));
    assert_eq!(evidence.check(&four()), Ok(both));
    let innocent = |evidence: Evidence| {
        let found = evidence.check(&four());
        assert!(matches!(found, Err(EvidenceError::Consistent(_))), "{found:?}");
    };
    innocent(fork(0)); // genesis, which they share
    innocent(Evidence::same_size(&first, &second)); // no fork is shown
    let wrong = (&second, block(9), path(&left, 1));
    innocent(Evidence::fork((&first, block(1), path(&kept, 1)), wrong));
    let other_height = (&second, block(4), path(&left, 2));
    innocent(Evidence::fork((&first, block(1), path(&kept, 1)), other_height));
    // One size: the roots suffice.
    let short = note(&left[..3], &[3, 4]);
    assert_eq!(Evidence::same_size(&first, &short).check(&four()), Ok([hospital(3)].into()));
    innocent(Evidence::same_size(&first, &first));
    innocent(Evidence::same_size(&first, &note(&left[..3], &[4])));
}

#[test]
fn the_state_of_a_voter_reads_back_and_impossible_ones_are_refused() {
    let ballot = (3, 1, block(1));
    let quorum = |make: fn(u8, (u64, u64, BlockId)) -> SignedVote| {
        Certificate::new((1..=3).map(|by| make(by, ballot)).collect()).unwrap()
    };
    let good = VoterState {
        voted: 5,
        prevotes: vec![Ballot::from((3, 1, block(1))), Ballot::from((5, 2, block(2)))],
        forgotten: 2,
        lock: Some(ballot.into()),
        justified: Some(quorum(prevote)),
        decided: Some(quorum(precommit)),
        ..VoterState::new(set(), 0)
    };
    assert_eq!(VoterState::decode(&good.encode()).as_ref(), Ok(&good));
    let impossible: [fn(&mut VoterState); 6] = [
        |state| state.voted = 4,
        |state| state.forgotten = 3,
        |state| state.prevotes.reverse(),
        |state| state.base.block = block(1),
        |state| (state.justified, state.decided) = (None, None),
        |state| std::mem::swap(&mut state.justified, &mut state.decided),
    ];
    for (index, change) in impossible.iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        let found = VoterState::decode(&bad.encode());
        assert!(matches!(found, Err(VoterStateError::Impossible(_))), "{index}: {found:?}");
    }
}

#[test]
fn windows_that_overlap_meet_in_round_numbers() {
    assert_eq!(roundest_of(1, 1), 1);
    assert_eq!(roundest_of(9, 15), 12);
    assert_eq!(roundest_of(13, 15), 14);
    assert_eq!(roundest_of(1, u64::MAX), 1 << 63);
    for low in 1u64..70 {
        for high in low..70 {
            let best = (low..=high).map(u64::trailing_zeros).max();
            let found = roundest_of(low, high);
            assert!((low..=high).contains(&found));
            assert_eq!(Some(found.trailing_zeros()), best);
        }
    }
}

struct Blocks(HashMap<BlockId, BlockInfo>);

impl BlockTree for Blocks {
    type Error = Infallible;

    fn block(&self, id: &BlockId) -> Result<Option<BlockInfo>, Infallible> {
        Ok(self.0.get(id).copied())
    }

    fn highest(&self) -> Result<u64, Infallible> {
        Ok(self.0.values().map(|block| block.height).max().unwrap_or(0))
    }
}

/// Blocks 1, 2, ... above genesis, by these hospitals, of which one may change them.
fn mined(by: &[u8], change: Option<u8>) -> (Blocks, BlockId) {
    let info = |height: u8, parent: BlockId, miner: Option<MemberId>| BlockInfo {
        height: height.into(),
        parent,
        miner,
        changes_set: Some(height) == change,
    };
    let mut blocks = HashMap::from([(set(), info(0, set(), None))]);
    let mut tip = set();
    for (height, miner) in (1..).zip(by) {
        blocks.insert(block(height), info(height, tip, Some(hospital(*miner))));
        tip = block(height);
    }
    (Blocks(blocks), tip)
}

#[test]
fn what_is_awaited_is_the_block_that_lacks_the_fewest_hospitals() {
    let members = four();
    let voter = Voter::new(hospital(1), &members, 0);
    let awaits = |by: &[u8], change| {
        let (tree, tip) = mined(by, change);
        let awaited = voter.awaits(&tree, &tip, &members).unwrap();
        // Whoever has to wait for blocks has nothing to vote for, and the other way round.
        let step = voter.step(&tree, &tip, &Tally::new(members.clone())).unwrap();
        let votes = matches!(awaited, Some(Awaited::Votes(_)));
        assert_eq!(votes, !step.votes.is_empty(), "{by:?}: {awaited:?}");
        awaited
    };
    let blocks = |height: u8, missing, of: &[u8]| {
        let target = Target { height: height.into(), block: block(height) };
        let of = of.iter().map(|number| hospital(*number)).collect();
        Some(Awaited::Blocks { target, missing, of })
    };
    let votes =
        |height: u8| Some(Awaited::Votes(Target { height: height.into(), block: block(height) }));
    assert_eq!(awaits(&[], None), None);
    assert_eq!(awaits(&[1], None), blocks(1, 2, &[2, 3, 4]));
    assert_eq!(awaits(&[1, 1], None), blocks(2, 2, &[2, 3, 4]), "both, by the same blocks");
    assert_eq!(awaits(&[1, 1, 2], None), blocks(2, 1, &[3, 4]));
    assert_eq!(awaits(&[1, 1, 2, 3], None), votes(2));
    // A change does with one fewer, and nothing above it is voted for before it is final.
    assert_eq!(awaits(&[1, 1], Some(1)), blocks(1, 1, &[2, 3, 4]));
    assert_eq!(awaits(&[1, 1, 2], Some(1)), votes(1));
    assert_eq!(awaits(&[1, 2, 2], Some(2)), blocks(2, 1, &[1, 3, 4]));
    let text = awaits(&[1], None).unwrap().to_string();
    assert_eq!(text, "block 1 is voted for once 2 more hospitals have mined at or above it");
}
