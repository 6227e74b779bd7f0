//! Verify: this participant's own copy, checked against the rules from genesis on.

mod fast;

use crate::ledger::Ledger;
use crate::slots::SlotPlace;
use crate::system::os_rng;
use medledger_core::Cid;
use medledger_core::chain::HeaderFault;
use medledger_core::engine::describe;
use medledger_core::finality::Lineage;
use medledger_core::ids::{BlockId, RecordId, ReportId};
use medledger_core::memory::MemoryStore;
use medledger_core::registry::Kind;
use medledger_core::replay::{ReplayError, replay};
use medledger_core::slot::SlotRole;
use medledger_core::state::{
    BatchedSignatures, Rebuilt, ReportEntry, SignatureCheck, Signatures, State,
};
use medledger_core::store::{
    Drawer, RecordQuery, Row, Standing, Store, StoreError, StoredRecord, View,
};
use medledger_core::{chain, finality, prune};
use medledger_ipfs::fsck::verify_dag;

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
    /// The chain with every record's signature, every page of the database, every local row opened,
    /// and every block of every report hashed again.
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
    /// A header breaks a rule.
    #[error(transparent)]
    Header(HeaderFault),
    /// The records of a block do not lead to the root in its header.
    #[error("the records of block {height} do not lead to its root")]
    Root {
        /// Height of the block.
        height: u64,
    },
    /// An older database was put back.
    #[error(
        "an older database was put back: it ends with block {here}, but block {known} ({id}) was here \
         before"
    )]
    Behind {
        /// Height of the newest block known before.
        known: u64,
        /// Its id.
        id: BlockId,
        /// Height of the newest block here.
        here: u64,
    },
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
    /// The newest checkpoint is no checkpoint of this chain, or cannot be compared.
    #[error("the checkpoint is not usable: {0}")]
    BadCheckpoint(String),
    /// The newest checkpoint does not cover what this hospital, alone, has mined: an older one was put
    /// in its place, or it was removed.
    #[error(
        "the newest checkpoint covers {size} of {blocks} blocks that this hospital mined alone"
    )]
    OldCheckpoint {
        /// Blocks it covers; 0 when there is none.
        size: u64,
        /// Blocks there are.
        blocks: u64,
    },
    /// A node of the log tree is not what the headers lead to; receipts made from it are worthless.
    #[error("the log tree differs from what the headers lead to, first at node {key}")]
    Tree {
        /// Level and place of the first node that differs, in hex.
        key: String,
    },
    /// What is stored contradicts itself or cannot be read.
    #[error("{0}")]
    Stored(String),
    /// A record is found under what it does not say.
    #[error("record {id} is listed with another {what} than it has")]
    Listed {
        /// The record.
        id: RecordId,
        /// Kind, author, patient, report or time.
        what: &'static str,
    },
    /// A local row does not open: it was changed or moved, or belongs to another node key.
    #[error("row {key} of drawer {drawer:?} does not open: it was changed or moved")]
    Local {
        /// Which drawer.
        drawer: Drawer,
        /// The row's key, in hex.
        key: String,
    },
    /// The patient's slot of a report this hospital keeps is gone.
    #[error("report {report} ({label}): the patient's wrapped key is missing")]
    NoSlot {
        /// The report.
        report: ReportId,
        /// What people call it.
        label: String,
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
    /// Blocks below this height were pruned: they were judged by their headers and what is kept, and
    /// neither the state nor signatures of records could be checked. 0 where all is here.
    pub kept_from: u64,
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
        report.kept_from = prune::kept_from(view.as_ref())?;
        if depth == VerifyDepth::Headers || report.kept_from > 0 {
            let checked = self.verify_headers(view.as_ref(), progress).map(|checked| {
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
            let pages = self.store().check().map(|()| Vec::new());
            report.note(pages, Finding::Stored)?;
            let listed = self.verify_listing(view.as_ref());
            report.note(listed, Finding::Stored)?;
            let rows = self.verify_rows(view.as_ref());
            report.note(rows, Finding::Stored)?;
            let reports = self.verify_reports(view.as_ref(), &mut report);
            report.note(reports, Finding::Stored)?;
        }
        Ok(report)
    }

    /// Whether the newest block ever noted in this folder is here.
    fn verify_head(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let Some(head) = self.lost_head()? else { return Ok(Vec::new()) };
        let here = chain::tip(view)?.height;
        Ok(vec![Finding::Behind { known: head.height, id: head.id, here }])
    }

    fn verify_replay(
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

    fn verify_checkpoint(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
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
        for handover in finality::handovers_before(view, size.saturating_sub(1))? {
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

    /// Whether every record, waiting ones included, is listed under what it says.
    fn verify_listing(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let records = view.find(&RecordQuery::default())?;
        let mut findings = Vec::new();
        self.engine().with_pending(view, &mut |state| {
            for stored in &records {
                let signed = match stored.signed() {
                    Ok(signed) => signed,
                    Err(StoreError::Damaged(what)) => {
                        findings.push(Finding::Stored(what));
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let said = describe(state, &signed, Vec::new(), stored.standing)?;
                if let Some(what) = listed_otherwise(stored, &said) {
                    findings.push(Finding::Listed { id: stored.id, what });
                }
            }
            Ok(())
        })?;
        Ok(findings)
    }

    /// Whether every encrypted row opens in its place.
    fn verify_rows(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let drawers = [
            Drawer::Slots,
            Drawer::Mail,
            Drawer::Idempotency,
            Drawer::Contacts,
            Drawer::Labels,
            Drawer::Pickup,
            Drawer::Attempts,
            Drawer::Audit,
        ];
        let mut findings = Vec::new();
        for drawer in drawers {
            for (key, sealed) in view.local_scan(drawer, &[], None, usize::MAX)? {
                if self.node_key().unseal(drawer, &key, &sealed).is_err() {
                    let key = data_encoding::HEXLOWER.encode(&key);
                    findings.push(Finding::Local { drawer, key });
                }
            }
        }
        Ok(findings)
    }

    fn verify_reports(
        &self,
        view: &dyn View,
        found: &mut VerifyReport,
    ) -> Result<Vec<Finding>, StoreError> {
        let query = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
        let state = State::new(view);
        let mut findings = Vec::new();
        // What counts is what lies on the disk.
        let blocks = self.own_blocks();
        for record in view.find(&query)? {
            let Some(report) = record.report else { continue };
            let Some(entry) = state.report(&report)? else { continue };
            // A follower keeps the ciphertext it was given, and need not have any; nor a hospital that of another one.
            let kept_here = entry.hospital == self.hospital() && !self.is_follower();
            if !kept_here && matches!(blocks.has(&entry.envelope), Ok(false)) {
                continue;
            }
            let dag =
                verify_dag(blocks, entry.envelope, u64::MAX).map_err(|error| StoreError::Io {
                    doing: format!("checking report {report}"),
                    source: Box::new(error),
                })?;
            found.reports += 1;
            found.bytes += dag.bytes;
            // A label that does not open was found above.
            let label = self.label(view, &report).unwrap_or_else(|_| report.to_string());
            let (role, patient) = (SlotRole::Collection, entry.patient);
            let place = SlotPlace::current(report, &entry, role, None, patient);
            if kept_here
                && matches!(self.slot(view, &place), Ok(None))
                && !self.is_wrapped_ahead(view, &report, &entry)?
            {
                findings.push(Finding::NoSlot { report, label: label.clone() });
            }
            let of = |cid: &Cid| (report, label.clone(), *cid);
            findings.extend(dag.missing.iter().map(|cid| {
                let (report, label, cid) = of(cid);
                Finding::Missing { report, label, cid }
            }));
            findings.extend(
                dag.damaged.iter().chain(dag.malformed.iter().map(|(cid, _)| cid)).map(|cid| {
                    let (report, label, cid) = of(cid);
                    Finding::Damaged { report, label, cid }
                }),
            );
        }
        Ok(findings)
    }

    /// Whether the patient's key of a report is wrapped for what it will be once all that was accepted is mined: with the
    /// confirmation of a rotation the key before is gone.
    fn is_wrapped_ahead(
        &self,
        view: &dyn View,
        report: &ReportId,
        mined: &ReportEntry,
    ) -> Result<bool, StoreError> {
        let mut ahead = None;
        self.engine().with_pending(view, &mut |state| {
            ahead = State::new(state).report(report)?;
            Ok(())
        })?;
        let Some(ahead) = ahead.filter(|ahead| ahead != mined) else { return Ok(false) };
        let place = SlotPlace::current(*report, &ahead, SlotRole::Collection, None, ahead.patient);
        Ok(!matches!(self.slot(view, &place), Ok(None)))
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

/// Builds the log tree over the headers again and compares every node.
fn verify_tree(view: &dyn View, blocks: u64) -> Result<Vec<Finding>, StoreError> {
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

fn listed_otherwise(found: &StoredRecord, said: &StoredRecord) -> Option<&'static str> {
    // A grant revoked before it was seen has its revocation listed under no report.
    let ahead = found.kind == Kind::Revoke && found.report.is_none();
    // What a waiting record builds on may have become void since; it is listed anew when its turn comes.
    let waits = matches!(found.standing, Standing::Accepted { .. });
    let orphan = |found: bool, said: bool| waits && found && !said;
    let differs = [
        ("kind", found.kind != said.kind),
        ("author", found.author != said.author),
        (
            "patient",
            found.patient != said.patient
                && !orphan(found.patient.is_some(), said.patient.is_some()),
        ),
        (
            "report",
            found.report != said.report
                && !ahead
                && !orphan(found.report.is_some(), said.report.is_some()),
        ),
        ("time", found.time != said.time),
    ];
    differs.into_iter().find(|(_, differs)| *differs).map(|(what, _)| what)
}
