//! A checkpoint from elsewhere beside one's own chain, and evidence where the two cannot both be true.

use super::{Stored, all_cosigners, newest, tree_root};
use crate::chain::{Rules, tip};
use crate::checkpoint::{
    Checkpoint, Evidence, EvidenceError, FinalityError, NoteError, SignedNote, VerifyError,
};
use crate::ids::sha256;
use crate::log_tree::LogTree;
use crate::merkle::ConsistencyProof;
use crate::rows::Faults;
use crate::store::{Drawer, StoreError, Unit, View};

/// Rows of evidence kept: this, then the SHA-256 of the row's value.
const EVIDENCE: &[u8] = b"evidence";

/// Most pieces of evidence that are kept: one shows who misbehaved, more only how often.
const MOST_EVIDENCE: usize = 256;

/// How a checkpoint stands to the chain here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compared {
    /// It signs blocks that are here, and its own newest checkpoint continues it, or the reverse.
    Consistent {
        /// The one with fewer blocks, or both.
        older: Checkpoint,
        /// The one with more blocks.
        newer: Checkpoint,
        /// That the newer begins with the older, for whoever has both.
        proof: ConsistencyProof,
    },
    /// It covers blocks that are not here.
    Ahead {
        /// Blocks it covers.
        size: u64,
        /// Blocks there are.
        blocks: u64,
    },
    /// It signs other blocks than those here.
    Conflict {
        /// What it signs.
        theirs: Checkpoint,
        /// What proves that hospitals signed both histories; `None` when none of them did, or when the
        /// other history would be needed to show it.
        evidence: Option<Evidence>,
    },
}

/// Why two checkpoints could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// It is no note.
    #[error("the checkpoint cannot be read: {0}")]
    Note(#[from] NoteError),
    /// It is no checkpoint of this chain, or not signed by any of its hospitals.
    #[error("the checkpoint does not count: {0}")]
    Checkpoint(#[from] FinalityError),
    /// It covers nothing.
    #[error("the checkpoint covers no block")]
    Empty,
    /// There is no checkpoint here to compare it with.
    #[error("no checkpoint is signed here yet")]
    None,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compares a checkpoint from elsewhere with the blocks here. It need not have a quorum: one hospital's
/// word is enough to hold it to.
///
/// # Errors
/// See [`CompareError`].
pub fn compare(view: &dyn View, rules: &Rules, note: &[u8]) -> Result<Compared, CompareError> {
    let note = SignedNote::from_bytes(note)?;
    let theirs: Checkpoint = note.text().parse().map_err(FinalityError::from)?;
    if !theirs.is_of(&rules.chain) {
        let (found, chain) = (theirs.origin, rules.chain);
        return Err(FinalityError::OtherChain { found, chain }.into());
    }
    if note.verified_only(&all_cosigners(view, rules)?).signatures().is_empty() {
        return Err(FinalityError::from(VerifyError::NoKnownSignature).into());
    }
    if theirs.size == 0 {
        return Err(CompareError::Empty);
    }
    let (_, ours) = newest(view, rules)?.ok_or(CompareError::None)?;
    let blocks = tip(view)?.height + 1;
    if theirs.size > blocks {
        return Ok(Compared::Ahead { size: theirs.size, blocks });
    }
    if tree_root(view, theirs.size)? != theirs.root {
        return Ok(Compared::Conflict { evidence: against(view, rules, &note)?, theirs });
    }
    let (older, newer) = if theirs.size <= ours.size { (theirs, ours) } else { (ours, theirs) };
    let proof = LogTree::new(&Stored(view))
        .consistency_proof(older.size, newer.size)
        .map_err(super::store_error)?;
    Ok(Compared::Consistent { older, newer, proof })
}

/// What a note of another history proves together with the newest checkpoint here.
pub(super) fn against(
    view: &dyn View,
    rules: &Rules,
    note: &SignedNote,
) -> Result<Option<Evidence>, StoreError> {
    let Some((own, _)) = newest(view, rules)? else { return Ok(None) };
    let keys = all_cosigners(view, rules)?;
    let tree = &Stored(view);
    match Evidence::between(note, &own, LogTree::new(tree), &rules.chain, &keys) {
        Ok(evidence) => Ok(evidence),
        // Theirs has more leaves than ours: only their tree could show what it has at our size.
        Err(EvidenceError::Tree(_)) => Ok(None),
        Err(error) => Err(StoreError::Damaged(format!("checkpoint: {error}"))),
    }
}

/// Keeps evidence, once; beyond some hundreds of pieces no more.
///
/// # Errors
/// When the store fails.
pub fn keep_evidence(unit: &mut dyn Unit, evidence: &Evidence) -> Result<(), StoreError> {
    if unit.local_scan(Drawer::Node, EVIDENCE, None, MOST_EVIDENCE)?.len() == MOST_EVIDENCE {
        return Ok(());
    }
    let bytes = evidence.encode();
    let key = [EVIDENCE, &sha256(&[&bytes])].concat();
    unit.set_local(Drawer::Node, &key, Some(&bytes))
}

/// The evidence that is kept.
///
/// # Errors
/// When the store fails, or what it holds is no evidence.
pub fn evidence(view: &dyn View) -> Result<Vec<Evidence>, StoreError> {
    let rows = view.local_scan(Drawer::Node, EVIDENCE, None, MOST_EVIDENCE)?;
    let read = |(_, bytes): &(Vec<u8>, Vec<u8>)| {
        Evidence::decode(bytes).map_err(|error| StoreError::Damaged(format!("evidence: {error}")))
    };
    rows.iter().map(read).collect()
}

/// Checks that each piece of evidence is the one its key names.
pub(super) fn check_rows(view: &dyn View, faults: &mut Faults) -> Result<(), StoreError> {
    for (key, bytes) in view.local_scan(Drawer::Node, EVIDENCE, None, usize::MAX)? {
        if key[EVIDENCE.len()..] != sha256(&[&bytes]) {
            faults.add(Drawer::Node, &key, "it is no longer the evidence that was kept");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::NoteKey;
    use crate::clock::Timestamp;
    use crate::finality::{AcceptError, accept};
    use crate::genesis::Genesis;
    use crate::hospital::HospitalSet;
    use crate::store::Store;
    use crate::testing::*;

    /// So many blocks of the chain whose genesis is always the same; `salt` tells branches apart.
    fn grown(blocks: usize, salt: u64) -> Ledger {
        let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), tiny_work()));
        ledger.clock.set(Timestamp::from_secs(NOW + 1 + salt));
        for _ in 0..blocks {
            ledger.order();
        }
        ledger
    }

    fn note_of(ledger: &Ledger) -> SignedNote {
        newest(ledger.store.view().unwrap().as_ref(), &ledger.rules).unwrap().unwrap().0
    }

    fn compared(ledger: &Ledger, note: &SignedNote) -> Result<Compared, CompareError> {
        let view = ledger.store.view().unwrap();
        compare(view.as_ref(), &ledger.rules, note.to_string().as_bytes())
    }

    #[test]
    fn an_older_note_is_continued_and_the_proof_shows_it() {
        let ledger = grown(3, 0);
        let old = note_of(&ledger);
        for _ in 0..4 {
            ledger.order();
        }
        let Compared::Consistent { older, newer, proof } = compared(&ledger, &old).unwrap() else {
            panic!("it only grew")
        };
        assert_eq!((older.size, newer.size), (4, 8));
        proof.verify(&older.root, &newer.root).unwrap();
        assert!(matches!(compared(&ledger, &note_of(&ledger)), Ok(Compared::Consistent { .. })));
        let short = grown(2, 0);
        assert_eq!(compared(&short, &old).unwrap(), Compared::Ahead { size: 4, blocks: 3 });
    }

    #[test]
    fn pitfall_23_a_second_history_is_recognised_and_kept_once() {
        let (ours, theirs) = (grown(6, 0), grown(4, 5));
        assert_eq!(ours.rules.chain, theirs.rules.chain);
        let keys = HospitalSet::founders(&ours.rules.genesis).cosigners();
        let note = note_of(&theirs);
        let Compared::Conflict { theirs: found, evidence: Some(proof) } =
            compared(&ours, &note).unwrap()
        else {
            panic!("the same hospital signed both")
        };
        assert_eq!(found.size, 5);
        let misconduct = proof.check(&ours.rules.chain, &keys).unwrap();
        assert_eq!(misconduct.hospitals, [id(HOSPITAL).to_string()]);
        let mut unit = ours.store.unit().unwrap();
        let refused = accept(unit.as_mut(), &ours.rules, note.to_string().as_bytes());
        let Err(AcceptError::Root { size: 5, evidence: Some(again) }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(*again, proof);
        for _ in 0..2 {
            keep_evidence(unit.as_mut(), &again).unwrap();
        }
        unit.commit().unwrap();
        let kept = evidence(ours.store.view().unwrap().as_ref()).unwrap();
        assert_eq!(kept, [proof]);
        assert_eq!(evidence(theirs.store.view().unwrap().as_ref()).unwrap(), []);
    }

    #[test]
    fn nobody_is_blamed_without_proof() {
        // A note over as many blocks as are here, but of another history, and newer than our own.
        let ours = grown(6, 0);
        let theirs = grown(6, 5);
        let mut unit = ours.store.unit().unwrap();
        let old = note_of(&grown(3, 0));
        unit.set_local(Drawer::Node, b"checkpoint", Some(old.to_string().as_bytes())).unwrap();
        unit.commit().unwrap();
        let found = compared(&ours, &note_of(&theirs)).unwrap();
        assert!(matches!(found, Compared::Conflict { evidence: None, .. }), "{found:?}");
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let ledger = grown(2, 0);
        let view = ledger.store.view().unwrap();
        let reads = |bytes: &[u8]| compare(view.as_ref(), &ledger.rules, bytes).unwrap_err();
        assert!(matches!(reads(b"x"), CompareError::Note(_)));
        let text = note_of(&ledger).to_string();
        let unknown = text.replace(&id(HOSPITAL).to_string(), &id(STRANGER).to_string());
        let none = FinalityError::Signature(VerifyError::NoKnownSignature);
        let error = reads(unknown.as_bytes());
        assert!(matches!(&error, CompareError::Checkpoint(found) if *found == none), "{error:?}");
        let foreign = text.replace("medledger/", "medledger/0");
        let error = reads(foreign.as_bytes());
        assert!(matches!(error, CompareError::Checkpoint(FinalityError::OtherChain { .. })));
        let key = mining_key(HOSPITAL);
        let public = *key.verifying_key().as_bytes();
        let cosigner = NoteKey::cosigner(id(HOSPITAL).to_string(), public).unwrap();
        let empty = Checkpoint::new(&ledger.rules.chain, 0, crate::merkle::empty_root());
        let mut note = SignedNote::new(empty.to_string()).unwrap();
        note.cosign(&cosigner, Timestamp::from_secs(1), &mut |m| *key.sign_note(m).as_bytes())
            .unwrap();
        assert!(matches!(reads(note.to_string().as_bytes()), CompareError::Empty));
        let mut two = Genesis::single(founder(HOSPITAL), tiny_work());
        two.founders.push(founder(OTHER_HOSPITAL));
        let unsigned = Ledger::new(two);
        let mut note =
            SignedNote::new(Checkpoint::new(&unsigned.rules.chain, 1, empty.root).to_string())
                .unwrap();
        note.cosign(&cosigner, Timestamp::from_secs(1), &mut |m| *key.sign_note(m).as_bytes())
            .unwrap();
        assert!(matches!(compared(&unsigned, &note), Err(CompareError::None)));
    }
}
