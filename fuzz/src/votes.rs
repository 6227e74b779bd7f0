//! Votes, what is made of them, and what a voter remembers.

use medledger_core::ids::{BlockId, BlockRoot, ChainId, MemberId};
use medledger_core::keys::SigningKey;
use medledger_core::pow::{Bits, Header};
use medledger_core::vote::{
    Ballot, Certificate, Evidence, HeaderPath, Members, Phase, SignedVote, Vote, VoterState,
};

fn set() -> BlockId {
    BlockId::from_bytes([9; 32])
}

fn key(hospital: u8) -> SigningKey {
    SigningKey::from_seed(&[hospital; 32])
}

/// Three hospitals, of which no one may be convicted by anything but the seeds.
fn members() -> Members {
    let one = |n: u8| (MemberId::from_bytes([n; 16]), vec![key(n).verifying_key()]);
    Members::new(ChainId::from_bytes([9; 32]), set(), (1..=3).map(one))
}

fn cast(by: u8, phase: Phase, ballot: (u64, u64, BlockId)) -> SignedVote {
    let (chain, voter) = (ChainId::from_bytes([9; 32]), MemberId::from_bytes([by; 16]));
    Vote { chain, set: set(), voter, phase, ballot: ballot.into() }.sign(&key(by))
}

fn quorum(phase: Phase) -> Certificate {
    let votes = (1..=3).map(|by| cast(by, phase, (3, 1, BlockId::from_bytes([1; 32]))));
    Certificate::new(votes.collect()).expect("one vote of each")
}

/// A signed vote, and the vote within: written back alike, and sensible. Nobody but its hospital makes one that counts.
pub fn vote(data: &[u8]) {
    if let Ok(vote) = Vote::decode(data) {
        assert_eq!(vote.encode(), data);
    }
    let Ok(signed) = SignedVote::decode(data) else { return };
    assert_eq!(signed.encode(), data);
    let Ballot { round, target } = signed.vote().ballot;
    assert!(0 < target.height && target.height <= round);
    if let Some(source) = signed.vote().phase.source() {
        assert!(source.round < round && source.target.height <= target.height);
    }
    if signed.verify(&members()).is_ok() {
        assert!(vote_seeds().iter().any(|seed| seed == data), "a forged vote");
    }
}

/// Seeds of [`vote`].
pub fn vote_seeds() -> Vec<Vec<u8>> {
    let block = BlockId::from_bytes([1; 32]);
    let source = Some(Ballot::from((2, 1, block)));
    let first = cast(1, Phase::Prevote { source }, (3, 1, block));
    vec![first.encode(), cast(1, Phase::Precommit, (3, 1, block)).encode(), first.vote().encode()]
}

/// A certificate: written back alike; its votes agree and come from different hospitals.
pub fn certificate(data: &[u8]) {
    let Ok(certificate) = Certificate::decode(data) else { return };
    assert_eq!(certificate.encode(), data);
    let votes = certificate.votes();
    assert!(votes.iter().all(|vote| vote.vote().ballot == certificate.ballot()));
    assert!(votes.windows(2).all(|pair| pair[0].vote().voter < pair[1].vote().voter));
    let again = Certificate::new(votes.iter().rev().copied().collect());
    assert_eq!(again.as_ref(), Ok(&certificate));
}

/// Seeds of [`certificate`].
pub fn certificate_seeds() -> Vec<Vec<u8>> {
    vec![quorum(Phase::Precommit).encode()]
}

/// The state of a voter: written back alike, and one that a voter can be in.
pub fn voter_state(data: &[u8]) {
    let Ok(state) = VoterState::decode(data) else { return };
    assert_eq!(state.encode(), data);
    assert!(state.lock.is_none_or(|lock| lock.round <= state.voted));
    assert!(state.prevotes.iter().all(|vote| vote.round <= state.voted));
}

/// Seeds of [`voter_state`].
pub fn voter_state_seeds() -> Vec<Vec<u8>> {
    let fresh = VoterState::new(set(), 0);
    let mut used = fresh.clone();
    let prevotes = quorum(Phase::Prevote { source: None });
    used.voted = 3;
    used.prevotes = vec![prevotes.ballot()];
    used.lock = Some(prevotes.ballot());
    used.justified = Some(prevotes);
    vec![fresh.encode(), used.encode()]
}

/// Evidence: written back alike; whatever is changed in a piece convicts nobody else.
pub fn evidence(data: &[u8]) {
    let Ok(evidence) = Evidence::decode(data) else { return };
    assert_eq!(evidence.encode(), data);
    if let Ok(convicted) = evidence.check(&members()) {
        assert_eq!(convicted, [MemberId::from_bytes([1; 16])].into());
        assert!(evidence_seeds().iter().any(|seed| seed == data), "forged evidence");
    }
}

/// Seeds of [`evidence`].
pub fn evidence_seeds() -> Vec<Vec<u8>> {
    let block = |n| BlockId::from_bytes([n; 32]);
    let prevote = |ballot| cast(1, Phase::Prevote { source: None }, ballot);
    let header = Header {
        version: Header::VERSION,
        previous: block(5),
        root: BlockRoot::from_bytes([2; 32]),
        time: 3,
        bits: Bits::from_u32(0x207f_ffff),
        nonce: 4,
    };
    let locked = cast(1, Phase::Precommit, (3, 1, block(1)));
    let later = prevote((4, 2, header.id()));
    let path = HeaderPath::new(vec![header]).expect("one header");
    vec![
        Evidence::double(prevote((3, 1, block(1))), prevote((3, 1, block(2)))).encode(),
        Evidence::ignored_lock(locked, later, path).encode(),
    ]
}
