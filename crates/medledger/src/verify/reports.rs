//! Reports: ciphertext hashed again, and the patient's key of each.

use super::{Finding, Unchecked, VerifyReport};
use crate::ledger::Ledger;
use crate::slots::SlotPlace;
use medledger_core::Cid;
use medledger_core::ids::ReportId;
use medledger_core::registry::Kind;
use medledger_core::slot::SlotRole;
use medledger_core::state::{ReportEntry, State};
use medledger_core::store::{Drawer, RecordQuery, StoreError, View};
use medledger_ipfs::fsck::{DagReport, FsckError, verify_dag};

impl Ledger {
    pub(super) fn verify_reports(
        &self,
        view: &dyn View,
        found: &mut VerifyReport,
    ) -> Result<Vec<Finding>, StoreError> {
        let query = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
        let state = State::new(view);
        let mut findings = Vec::new();
        // What counts is what lies on the disk.
        let blocks = self.own_blocks();
        let mut away: Option<(u64, FsckError)> = None;
        for record in view.find(&query)? {
            let Some(report) = record.report else { continue };
            let Some(entry) = state.report(&report)? else { continue };
            // A follower keeps the ciphertext it was given, and need not have any; nor a hospital that of another one.
            let kept_here = entry.hospital == self.hospital() && !self.is_follower();
            let dag = match &mut away {
                // It was asked, and would be as silent again.
                Some((reports, _)) => {
                    *reports += u64::from(kept_here);
                    DagReport::default()
                }
                None if !kept_here && matches!(blocks.has(&entry.envelope), Ok(false)) => continue,
                None => match verify_dag(blocks, entry.envelope, u64::MAX) {
                    Ok(dag) => {
                        found.reports += 1;
                        found.bytes += dag.bytes;
                        dag
                    }
                    Err(error) => {
                        away = Some((1, error));
                        DagReport::default()
                    }
                },
            };
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
            if kept_here && view.local(Drawer::Labels, report.as_bytes())?.is_none() {
                findings.push(Finding::NoLabel { report });
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
        let unchecked = |(reports, source)| Unchecked::Ciphertext { reports, source };
        found.unchecked.extend(away.map(unchecked));
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
