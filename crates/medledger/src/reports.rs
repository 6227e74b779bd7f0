//! What a member can see: their reports, and the grants on them.

use crate::ledger::Ledger;
use medledger_core::Cid;
use medledger_core::engine::{Finality, Position};
use medledger_core::ids::{GrantId, MemberId, RecordId, ReportId};
use medledger_core::receipt::{Receipt, ReceiptError};
use medledger_core::registry::Kind;
use medledger_core::state::{GrantEntry, State};
use medledger_core::store::{RecordQuery, Standing, StoreError};

/// A report as a member sees it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSummary {
    /// The report.
    pub id: ReportId,
    /// What people call it.
    pub label: String,
    /// Whom it is about.
    pub patient: MemberId,
    /// What people call the patient.
    pub patient_name: String,
    /// Who wrote it.
    pub author: MemberId,
    /// What people call the author.
    pub author_name: String,
    /// The envelope the ledger names.
    pub envelope: Cid,
    /// The record that added it.
    pub record: RecordId,
    /// How far that record has come.
    pub standing: Standing,
    /// Grants on it that this member may know of: all of them for the patient, their own for others.
    pub grants: Vec<GrantSummary>,
}

/// A grant as the patient or its reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantSummary {
    /// The grant.
    pub id: GrantId,
    /// What people call the reader.
    pub reader_name: String,
    /// What the ledger says.
    pub entry: GrantEntry,
    /// Whether it lets its reader in now.
    pub live: bool,
}

impl Ledger {
    /// The reports a member is party to: those about them, those they wrote, those they were granted.
    /// Accepted ones are included.
    ///
    /// # Errors
    /// When the store fails.
    pub fn reports(&self, member: &MemberId) -> Result<Vec<ReportSummary>, StoreError> {
        let view = self.view()?;
        let mut ids: Vec<ReportId> = Vec::new();
        let added = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
        let about = RecordQuery { patient: Some(*member), ..added };
        let by = RecordQuery { author: Some(*member), ..added };
        for query in [about, by] {
            ids.extend(view.find(&query)?.iter().filter_map(|record| record.report));
        }
        let mut reports = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for grant in state.grants_of(member)? {
                if let Some(entry) = state.grant(&grant)? {
                    let medledger_core::record::Scope::Report(report) = entry.scope else {
                        continue;
                    };
                    ids.push(report);
                }
            }
            let mut seen = std::collections::BTreeSet::new();
            for id in &ids {
                if seen.insert(*id)
                    && let Some(entry) = state.report(id)?
                {
                    reports.push((*id, entry));
                }
            }
            Ok(())
        })?;
        reports
            .into_iter()
            .map(|(id, entry)| {
                let record = view.record(&entry.record)?.ok_or_else(|| {
                    StoreError::Damaged(format!("record {} is missing", entry.record))
                })?;
                Ok(ReportSummary {
                    id,
                    label: self.label(view.as_ref(), &id)?,
                    patient: entry.patient,
                    patient_name: self.contact(view.as_ref(), &entry.patient)?.name,
                    author: entry.author,
                    author_name: self.contact(view.as_ref(), &entry.author)?.name,
                    envelope: entry.envelope,
                    record: entry.record,
                    standing: record.standing,
                    grants: self.grants_on(&id, &entry.patient, member)?,
                })
            })
            .collect()
    }

    /// The grants on a report that `viewer` may know of.
    fn grants_on(
        &self,
        report: &ReportId,
        patient: &MemberId,
        viewer: &MemberId,
    ) -> Result<Vec<GrantSummary>, StoreError> {
        let view = self.view()?;
        let query = RecordQuery {
            kind: Some(Kind::Grant),
            report: Some(*report),
            ..RecordQuery::default()
        };
        let records = view.find(&query)?;
        let now = self.now().max(medledger_core::chain::tip(view.as_ref())?.median_time);
        let mut grants = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            for stored in &records {
                let signed = stored.signed()?;
                let statement = signed.record();
                let id = GrantId::derive(&statement.author, &statement.nonce);
                let Some(entry) = State::new(state).grant(&id)? else { continue };
                let medledger_core::record::Grantee::Member(reader) = entry.reader else {
                    continue;
                };
                if viewer == patient || *viewer == reader {
                    grants.push(GrantSummary {
                        id,
                        reader_name: self.contact(view.as_ref(), &reader)?.name,
                        live: entry.is_live(report, &reader, now),
                        entry,
                    });
                }
            }
            Ok(())
        })?;
        Ok(grants)
    }

    /// The receipt of a record: proof, checkable offline, that it is in this chain.
    ///
    /// # Errors
    /// See [`ReceiptError`].
    pub fn receipt(&self, record: &RecordId) -> Result<Receipt, ReceiptError> {
        let view = self.view()?;
        let stored = view.record(record)?.ok_or(ReceiptError::Unknown(*record))?;
        Receipt::of(view.as_ref(), self.rules(), &stored)
    }

    /// How sure the place of a block is.
    ///
    /// # Errors
    /// When the store fails.
    pub fn finality(&self, height: u64) -> Result<Finality, StoreError> {
        self.engine().finality(self.view()?.as_ref(), Position { height, index: 0 })
    }
}
