//! What a member can see: their reports, and the grants on them.

use crate::ledger::Ledger;
use medledger_core::Cid;
use medledger_core::clock::Timestamp;
use medledger_core::engine::{Finality, Position};
use medledger_core::ids::{GrantId, MemberId, RecordId, ReportId};
use medledger_core::receipt::{Receipt, ReceiptError};
use medledger_core::record::{Grantee, Scope};
use medledger_core::registry::Kind;
use medledger_core::state::{GrantEntry, GrantStanding, State};
use medledger_core::store::{RecordQuery, Standing, StoreError, View};

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
    /// What has become of it; of one that was passed on, also with what it came from.
    pub standing: GrantStanding,
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
            let Some(viewer) = state.member(member)? else { return Ok(()) };
            for (_, grant) in state.grants_of(member, &viewer)? {
                ids.extend_from_slice(grant.scope.reports());
                if let Scope::Collection(_) = grant.scope {
                    for report in state.reports_of(&grant.patient)? {
                        if state.report(&report)?.is_some_and(|entry| grant.covers(&report, &entry))
                        {
                            ids.push(report);
                        }
                    }
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

    /// The grants on a report that `viewer` may know of: for its patient all, for others those that reach
    /// them.
    fn grants_on(
        &self,
        report: &ReportId,
        patient: &MemberId,
        viewer: &MemberId,
    ) -> Result<Vec<GrantSummary>, StoreError> {
        let view = self.view()?;
        let now = self.now().max(medledger_core::chain::tip(view.as_ref())?.median_time);
        let mut grants = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            let Some(covered) = state.report(report)? else { return Ok(()) };
            let found = match state.member(viewer)? {
                _ if viewer == patient => state.grants_by(patient)?,
                Some(member) => state.grants_reaching(viewer, &member, report, &covered)?,
                None => Vec::new(),
            };
            for (id, entry) in found {
                if !entry.covers(report, &covered) {
                    continue;
                }
                let standing = state.standing(&entry, now)?;
                grants.push(GrantSummary {
                    id,
                    reader_name: self.reader_name(view.as_ref(), &entry)?,
                    live: standing == GrantStanding::Live,
                    standing,
                    entry,
                });
            }
            Ok(())
        })?;
        // In the order in which they were given.
        let mut given = Vec::with_capacity(grants.len());
        for grant in grants {
            let time = view.record(&grant.entry.record)?.map_or(Timestamp::default(), |r| r.time);
            given.push((time, grant));
        }
        given.sort_by_key(|(time, grant)| (*time, grant.entry.parent.is_some(), grant.id));
        Ok(given.into_iter().map(|(_, grant)| grant).collect())
    }

    /// What people call whom a grant is for.
    pub(crate) fn reader_name(
        &self,
        view: &dyn View,
        grant: &GrantEntry,
    ) -> Result<String, StoreError> {
        match &grant.reader {
            Grantee::Member(reader) => Ok(self.contact(view, reader)?.name),
            Grantee::Group(at) => self.group_name(view, &at.group),
        }
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
