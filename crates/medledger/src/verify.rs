//! Verify: this participant's own copy, checked against the rules from genesis on.

use crate::ledger::Ledger;
use medledger_core::Cid;
use medledger_core::ids::ReportId;
use medledger_core::memory::MemoryStore;
use medledger_core::registry::Kind;
use medledger_core::replay::{ReplayError, first_difference, replay};
use medledger_core::state::{SignatureCheck, State};
use medledger_core::store::{RecordQuery, Store, StoreError};
use medledger_core::{chain, finality};
use medledger_ipfs::fsck::verify_dag;

/// How much is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyDepth {
    /// The chain: headers, work, roots, block signatures, order and effect of records, the state, the
    /// checkpoint. Signatures of records were checked when they were accepted.
    Chain,
    /// The chain with every record's signature, and every block of every report hashed again.
    #[default]
    Full,
}

/// Something that is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// On the chain.
    #[error(transparent)]
    Chain(ReplayError),
    /// The stored state is not what the blocks lead to.
    #[error("the stored state differs from what the blocks lead to, first at entry {key}")]
    State {
        /// Key of the first entry that differs, in hex.
        key: String,
    },
    /// The log tree does not have the root that the checkpoint signs.
    #[error("the log tree does not have the root that the checkpoint over {size} blocks signs")]
    Checkpoint {
        /// Blocks the checkpoint covers.
        size: u64,
    },
    /// A block of a report's ciphertext is missing.
    #[error("report {report} ({label}): block {cid} is missing")]
    Missing {
        /// The report.
        report: ReportId,
        /// What people call it.
        label: String,
        /// The block.
        cid: Cid,
    },
    /// A block of a report's ciphertext is not what its CID names.
    #[error("report {report} ({label}): block {cid} is damaged")]
    Damaged {
        /// The report.
        report: ReportId,
        /// What people call it.
        label: String,
        /// The block.
        cid: Cid,
    },
}

/// What verifying found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Blocks of the chain that are in order, genesis included.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Reports whose ciphertext was hashed again.
    pub reports: u64,
    /// Bytes of ciphertext hashed.
    pub bytes: u64,
    /// What is not as it should be; empty when all is well.
    pub findings: Vec<Finding>,
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
        let mut signatures = match depth {
            VerifyDepth::Chain => SignatureCheck::Done,
            VerifyDepth::Full => SignatureCheck::Now,
        };
        let copy = MemoryStore::new();
        match replay(view.as_ref(), self.rules(), self.now(), &mut signatures, &copy, progress) {
            Ok(replayed) => {
                report.blocks = replayed.blocks;
                report.records = replayed.records;
                if let Some(key) = first_difference(view.as_ref(), copy.view()?.as_ref())? {
                    let key = data_encoding::HEXLOWER.encode(&key);
                    report.findings.push(Finding::State { key });
                }
            }
            Err(ReplayError::Store(StoreError::Damaged(what))) => {
                let error = ReplayError::Store(StoreError::Damaged(what));
                report.findings.push(Finding::Chain(error));
            }
            Err(ReplayError::Store(error)) => return Err(error),
            Err(error) => report.findings.push(Finding::Chain(error)),
        }
        if let Some((_, checkpoint)) = finality::newest(view.as_ref(), self.rules())? {
            let size = checkpoint.size.min(chain::tip(view.as_ref())?.height + 1);
            if finality::tree_root(view.as_ref(), size)? != checkpoint.root {
                report.findings.push(Finding::Checkpoint { size: checkpoint.size });
            }
        }
        if depth == VerifyDepth::Full {
            self.verify_reports(&mut report)?;
        }
        Ok(report)
    }

    fn verify_reports(&self, found: &mut VerifyReport) -> Result<(), StoreError> {
        let view = self.view()?;
        let query = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
        let state = State::new(view.as_ref());
        // Around the cache: what counts is what lies on the disk.
        let blocks = self.blocks_arc();
        for record in view.find(&query)? {
            let Some(report) = record.report else { continue };
            let Some(entry) = state.report(&report)? else { continue };
            let dag = verify_dag(blocks.inner(), entry.envelope, u64::MAX).map_err(|error| {
                StoreError::Io {
                    doing: format!("checking report {report}"),
                    source: Box::new(error),
                }
            })?;
            found.reports += 1;
            found.bytes += dag.bytes;
            let label = self.label(view.as_ref(), &report)?;
            let of = |cid: &Cid| (report, label.clone(), *cid);
            found.findings.extend(dag.missing.iter().map(|cid| {
                let (report, label, cid) = of(cid);
                Finding::Missing { report, label, cid }
            }));
            found.findings.extend(
                dag.damaged.iter().chain(dag.malformed.iter().map(|(cid, _)| cid)).map(|cid| {
                    let (report, label, cid) = of(cid);
                    Finding::Damaged { report, label, cid }
                }),
            );
        }
        Ok(())
    }
}
