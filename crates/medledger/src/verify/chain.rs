//! The chain and what follows from it: state, log tree, checkpoint.

use super::{Finding, VerifyDepth, VerifyReport};
use crate::ledger::Ledger;
use crate::system::os_rng;
use medledger_core::finality::Lineage;
use medledger_core::memory::MemoryStore;
use medledger_core::replay::{ReplayError, replay};
use medledger_core::state::{BatchedSignatures, Rebuilt, SignatureCheck, Signatures};
use medledger_core::store::{Drawer, Row, Store, StoreError, View};
use medledger_core::{chain, finality};

impl Ledger {
    /// Whether the newest block ever noted in this folder is here.
    pub(super) fn verify_head(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let Some(head) = self.lost_head()? else { return Ok(Vec::new()) };
        let here = chain::tip(view)?.height;
        Ok(vec![Finding::Behind { known: head.height, id: head.id, here }])
    }

    pub(super) fn verify_replay(
        &self,
        view: &dyn View,
        depth: VerifyDepth,
        report: &mut VerifyReport,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), StoreError> {
        let mut rng = os_rng();
        let mut done = SignatureCheck::Done;
        let mut batched = BatchedSignatures::new(self.workers(), &mut rng);
        let signatures: &mut dyn Signatures = match depth {
            VerifyDepth::Headers | VerifyDepth::Chain => &mut done,
            VerifyDepth::Full => &mut batched,
        };
        let mut copy = Rebuilt::default();
        match replay(view, self.rules(), self.now(), signatures, &mut copy, progress) {
            Ok(replayed) => {
                report.blocks = replayed.blocks;
                report.records = replayed.records;
                // A page of the state that cannot be read is a finding, too.
                let state = copy.first_difference(view).map(|key| {
                    let differs =
                        |key: Vec<u8>| Finding::State { key: data_encoding::HEXLOWER.encode(&key) };
                    key.map(differs).into_iter().collect()
                });
                report.note(state, Finding::Stored)?;
                let tree = verify_tree(view, replayed.blocks);
                report.note(tree, Finding::Stored)?;
            }
            Err(ReplayError::Store(StoreError::Damaged(what))) => {
                let error = ReplayError::Store(StoreError::Damaged(what));
                report.findings.push(Finding::Chain(error));
            }
            Err(ReplayError::Store(error)) => return Err(error),
            Err(error) => report.findings.push(Finding::Chain(error)),
        }
        Ok(())
    }

    pub(super) fn verify_checkpoint(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let blocks = chain::tip(view)?.height + 1;
        let newest = finality::newest(view, self.rules())?;
        let size = newest.as_ref().map_or(0, |(_, checkpoint)| checkpoint.size);
        let mut findings = Vec::new();
        if let Some((_, checkpoint)) = newest
            && finality::tree_root(view, size)? != checkpoint.root
        {
            findings.push(Finding::Checkpoint { size });
        }
        let mut hospitals = Lineage::new(&self.rules().genesis);
        for handover in finality::handovers_before(view, size)? {
            if let Err(error) = hospitals.follow(&self.chain(), &self.rules().genesis, &handover) {
                findings.push(Finding::BadCheckpoint(format!("change of the hospitals: {error}")));
                break;
            }
        }
        // Alone, a hospital signs a checkpoint in the same unit of work as each block.
        if size < blocks && finality::alone(view, self.rules())? {
            findings.push(Finding::OldCheckpoint { size, blocks });
        }
        Ok(findings)
    }
}

/// Builds the log tree over the headers again and compares every node.
pub(super) fn verify_tree(view: &dyn View, blocks: u64) -> Result<Vec<Finding>, StoreError> {
    let copy = MemoryStore::new();
    let mut unit = copy.unit()?;
    for height in 0..blocks {
        finality::extend_tree(unit.as_mut(), &chain::block_at(view, height)?)?;
    }
    let found = view.local_scan(Drawer::Tree, &[], None, usize::MAX)?;
    let expected = unit.local_scan(Drawer::Tree, &[], None, usize::MAX)?;
    let differs = |a: &Row, b: &Row| if a == b { None } else { Some(a.0.clone().min(b.0.clone())) };
    let first = found.iter().zip(&expected).find_map(|(a, b)| differs(a, b)).or_else(|| {
        let common = found.len().min(expected.len());
        found.get(common).or(expected.get(common)).map(|row| row.0.clone())
    });
    Ok(first
        .map(|key| Finding::Tree { key: data_encoding::HEXLOWER.encode(&key) })
        .into_iter()
        .collect())
}
