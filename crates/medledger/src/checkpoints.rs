//! Signed checkpoints: the newest one here, others beside it, and evidence where they conflict.

use crate::ledger::Ledger;
use medledger_core::checkpoint::{Evidence, EvidenceError, Misconduct, SignedNote};
use medledger_core::finality::{self, CompareError, Compared};
use medledger_core::store::StoreError;

/// Why evidence was found to prove nothing, or was not looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckEvidenceError {
    /// It proves nothing.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// The newest checkpoint that a quorum of hospitals signed. Give it away: whoever has it can later
    /// see with [`compare_checkpoint`](Self::compare_checkpoint) whether the chain only grew.
    ///
    /// # Errors
    /// When the store fails.
    pub fn checkpoint(&self) -> Result<Option<SignedNote>, StoreError> {
        let newest = finality::newest(self.view()?.as_ref(), self.rules())?;
        Ok(newest.map(|(note, _)| note))
    }

    /// Compares a signed checkpoint from elsewhere with the blocks here: continued, ahead, or in
    /// conflict, with evidence against hospitals that signed both.
    ///
    /// # Errors
    /// See [`CompareError`].
    pub fn compare_checkpoint(&self, note: &[u8]) -> Result<Compared, CompareError> {
        finality::compare(self.view()?.as_ref(), self.rules(), note)
    }

    /// Keeps evidence that a hospital signed two histories.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep_evidence(&self, evidence: &Evidence) -> Result<(), StoreError> {
        let mut unit = self.store().unit()?;
        finality::keep_evidence(unit.as_mut(), evidence)?;
        unit.commit()
    }

    /// The evidence kept here: from checkpoints compared, and from chains whose import was refused.
    ///
    /// # Errors
    /// When the store fails.
    pub fn evidence(&self) -> Result<Vec<Evidence>, StoreError> {
        finality::evidence(self.view()?.as_ref())
    }

    /// What evidence proves against hospitals of this chain.
    ///
    /// # Errors
    /// See [`CheckEvidenceError`]: then it proves nothing.
    pub fn check_evidence(&self, evidence: &Evidence) -> Result<Misconduct, CheckEvidenceError> {
        let keys = finality::all_cosigners(self.view()?.as_ref(), self.rules())?;
        Ok(evidence.check(&self.chain(), &keys)?)
    }
}
