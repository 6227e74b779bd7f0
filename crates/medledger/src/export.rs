//! Export: a report's ciphertext, or the chain, as a CAR file. Nothing secret is in either.

use crate::ledger::Ledger;
use medledger_core::block::genesis_node;
use medledger_core::chain::{block_at, tip};
use medledger_core::cid::{Cid, Codec};
use medledger_core::finality;
use medledger_core::ids::ReportId;
use medledger_core::registry::Kind;
use medledger_core::replay::block;
use medledger_core::state::State;
use medledger_core::store::{RecordQuery, Standing, StoreError, View};
use medledger_ipfs::car::{CarWriter, Limits, WriteError, WriteOptions};
use std::collections::BTreeSet;
use std::io::Write;

/// What an export wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Roots of the CAR; the report's envelope, or the newest block's node, is the first.
    pub roots: Vec<Cid>,
    /// Reports in it.
    pub reports: u64,
    /// IPFS blocks in it.
    pub blocks: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Why nothing whole was exported; what was written so far is no complete CAR.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// There is no such report on the ledger.
    #[error("there is no report {0} on this ledger")]
    UnknownReport(ReportId),
    /// A report's blocks are not all here, or damaged.
    #[error("the blocks of report {report} are not whole")]
    Report {
        /// The report.
        report: ReportId,
        /// What is wrong with them.
        source: WriteError,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The ledger's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// Writes a report as a CAR: its envelope as root, and everything below. That is ciphertext; it
    /// opens only with a key, and only through a grant.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn export_report(
        &self,
        report: &ReportId,
        out: impl Write,
    ) -> Result<Exported, ExportError> {
        let view = self.view()?;
        let mut envelope = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            envelope = State::new(state).report(report)?.map(|entry| entry.envelope);
            Ok(())
        })?;
        let envelope = envelope.ok_or(ExportError::UnknownReport(*report))?;
        let roots = vec![envelope];
        let mut writer = CarWriter::new(out, &roots)?;
        self.put_report(&mut writer, report, &envelope)?;
        let (_, summary) = writer.finish()?;
        Ok(Exported { roots, reports: 1, blocks: summary.blocks, bytes: summary.bytes })
    }

    /// Writes the chain as a CAR: the newest block's node as root, every block down to genesis with its
    /// records, the checkpoints that ended a set of hospitals, and the newest one. With `reports`, also the ciphertext of every report.
    ///
    /// `progress` is told how many blocks of the chain, and then how many reports, are written of all.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn export_chain(
        &self,
        out: impl Write,
        reports: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Exported, ExportError> {
        let view = self.view()?;
        let tip = tip(view.as_ref())?;
        let mut notes = finality::handover_notes(view.as_ref())?;
        let newest = finality::newest(view.as_ref(), self.rules())?;
        notes.extend(newest.map(|(note, _)| note.to_string()));
        notes.dedup();
        let named = |note: String| (Cid::of(Codec::Raw, note.as_bytes()), note);
        let notes: Vec<(Cid, String)> = notes.into_iter().map(named).collect();
        let reports = if reports { self.reports_of_chain(view.as_ref())? } else { Vec::new() };
        let mut roots = vec![tip.node];
        roots.extend(notes.iter().map(|(cid, _)| *cid));
        roots.extend(reports.iter().map(|(_, envelope)| *envelope));
        let mut options = WriteOptions::default();
        options.limits = Limits::CHAIN;
        let mut writer = CarWriter::with_options(out, &roots, options)?;
        let all = tip.height + 1 + reports.len() as u64;
        for height in (0..=tip.height).rev() {
            self.put_block(&mut writer, view.as_ref(), height)?;
            progress(tip.height + 1 - height, all);
        }
        for (cid, note) in &notes {
            writer.put(cid, note.as_bytes())?;
        }
        for (done, (report, envelope)) in (tip.height + 2..).zip(&reports) {
            self.put_report(&mut writer, report, envelope)?;
            progress(done, all);
        }
        let (_, summary) = writer.finish()?;
        let reports = reports.len() as u64;
        Ok(Exported { roots, reports, blocks: summary.blocks, bytes: summary.bytes })
    }

    /// A block's node and pages, as they follow from what is stored.
    fn put_block(
        &self,
        writer: &mut CarWriter<impl Write>,
        view: &dyn View,
        height: u64,
    ) -> Result<(), ExportError> {
        let stored = block_at(view, height)?;
        let (root, pages) = if height == 0 {
            (genesis_node(&stored.signed.header, &self.rules().genesis), Vec::new())
        } else {
            let nodes = block(view, &stored)?.to_nodes();
            (nodes.root, nodes.pages)
        };
        if root.0 != stored.node {
            let what = format!("block {height} has another node than is stored");
            return Err(StoreError::Damaged(what).into());
        }
        for (cid, bytes) in std::iter::once(&root).chain(&pages) {
            writer.put(cid, bytes)?;
        }
        Ok(())
    }

    fn put_report(
        &self,
        writer: &mut CarWriter<impl Write>,
        report: &ReportId,
        envelope: &Cid,
    ) -> Result<(), ExportError> {
        // Around the cache: what is read once would push out what is read often.
        writer.put_dag(self.blocks_arc().inner(), envelope).map_err(|source| match source {
            WriteError::Io(_) | WriteError::TooManyRoots { .. } => source.into(),
            source => ExportError::Report { report: *report, source },
        })
    }

    /// The reports in blocks of the chain with their envelopes, each envelope once, in chain order.
    fn reports_of_chain(&self, view: &dyn View) -> Result<Vec<(ReportId, Cid)>, StoreError> {
        let query = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
        let state = State::new(view);
        let mut met = BTreeSet::new();
        let mut reports = Vec::new();
        for record in view.find(&query)? {
            let (Standing::Mined { .. }, Some(report)) = (record.standing, record.report) else {
                continue;
            };
            if let Some(entry) = state.report(&report)?
                && met.insert(entry.envelope)
            {
                reports.push((report, entry.envelope));
            }
        }
        Ok(reports)
    }
}
