//! Verify: this participant's own copy, checked against the rules from genesis on.

mod chain;
mod fast;
mod finding;
mod records;
mod reports;
mod rows;

pub use finding::{Finding, Unchecked};

use crate::ledger::Ledger;
use chain::verify_tree;
use medledger_core::prune;
use medledger_core::store::{StoreError, View};

/// How much is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyDepth {
    /// Headers and roots: links, work, difficulty and times of all headers, that the records lead to their
    /// roots, the log tree, the checkpoint. Nothing is replayed and no signature checked.
    Headers,
    /// The chain: headers, work, roots, block signatures, order and effect of records, the state, the
    /// checkpoint. Signatures of records were checked when they were accepted.
    Chain,
    /// The chain with every record's signature, every page of the database, every row that this node keeps for itself,
    /// and every block of every report hashed again.
    #[default]
    Full,
}

/// What verifying found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Blocks of the chain that are in order, genesis included.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Blocks below this height were pruned: they were judged by their headers and what is kept, and
    /// neither the state nor signatures of records could be checked. 0 where all is here.
    pub kept_from: u64,
    /// Reports whose ciphertext was hashed again.
    pub reports: u64,
    /// Bytes of ciphertext hashed.
    pub bytes: u64,
    /// What is not as it should be; empty when all is well.
    pub findings: Vec<Finding>,
    /// What could not be looked at, because whatever keeps it does not answer.
    pub unchecked: Vec<Unchecked>,
}

impl Ledger {
    /// Checks this copy from genesis on. Findings are in the report, not in the error.
    ///
    /// # Errors
    /// When a store fails so that checking cannot go on.
    pub fn verify(&self, depth: VerifyDepth) -> Result<VerifyReport, StoreError> {
        self.verify_with(depth, &mut |_| {})
    }

    /// As [`Ledger::verify`]; `progress` is told the height of each block done.
    ///
    /// # Errors
    /// When a store fails so that checking cannot go on.
    pub fn verify_with(
        &self,
        depth: VerifyDepth,
        progress: &mut dyn FnMut(u64),
    ) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        let view = self.view()?;
        match prune::kept_from(view.as_ref()) {
            Ok(height) => report.kept_from = height,
            // Whatever goes through the blocks tells it.
            Err(StoreError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
        if depth == VerifyDepth::Headers || report.kept_from > 0 {
            // Who is to sign a block is known where the records are not.
            let signatures = depth == VerifyDepth::Full;
            let checked = self.verify_headers(view.as_ref(), signatures, progress).map(|checked| {
                (report.blocks, report.records) = (checked.blocks, checked.records);
                checked.findings
            });
            report.note(checked, Finding::Stored)?;
            let tree = verify_tree(view.as_ref(), report.blocks);
            report.note(tree, Finding::Stored)?;
        } else {
            self.verify_replay(view.as_ref(), depth, &mut report, progress)?;
        }
        let checkpoint = self.verify_checkpoint(view.as_ref());
        report.note(checkpoint, Finding::BadCheckpoint)?;
        let head = self.verify_head(view.as_ref());
        report.note(head, Finding::Stored)?;
        if depth == VerifyDepth::Full {
            self.verify_all(view.as_ref(), &mut report)?;
        }
        Ok(report)
    }

    /// What is beside the chain.
    fn verify_all(&self, view: &dyn View, report: &mut VerifyReport) -> Result<(), StoreError> {
        report.note(self.store().check().map(|()| Vec::new()), Finding::Stored)?;
        report.note(self.verify_listing(view), Finding::Stored)?;
        report.note(self.verify_waiting(view), Finding::Stored)?;
        report.note(self.verify_sealed(view), Finding::Stored)?;
        report.note(self.verify_clear(view), Finding::Stored)?;
        report.note(self.verify_node(view), Finding::Stored)?;
        report.note(self.verify_names(view), Finding::Stored)?;
        report.note(self.verify_log(), Finding::Stored)?;
        report.findings.extend(self.owed_fault().cloned().map(Finding::Owed));
        let reports = self.verify_reports(view, report);
        report.note(reports, Finding::Stored)
    }
}

impl VerifyReport {
    /// Adds what was found; damage that kept a check from going on is a finding too.
    fn note(
        &mut self,
        found: Result<Vec<Finding>, StoreError>,
        damage: impl FnOnce(String) -> Finding,
    ) -> Result<(), StoreError> {
        match found {
            Ok(findings) => self.findings.extend(findings),
            Err(StoreError::Damaged(what)) => self.findings.push(damage(what)),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
