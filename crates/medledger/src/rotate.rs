//! Rotate: a report is sealed anew under another key, for the patient and the readers who remain.
//!
//! Who was cut off keeps what they copied: an old key opens the old ciphertext for ever, wherever that is
//! still kept. Nothing that is released from here on opens with it.

mod confirm;
mod group;
mod keys;

use crate::approve::{ApproveError, Key};
use crate::attempts::Refusal;
use crate::audit::AuditEvent;
use crate::ledger::Ledger;
use crate::open_report::OpenReportError;
use crate::suspension::Suspension;
use crate::upload::Delivery;
use medledger_core::clock::Timestamp;
use medledger_core::engine::SubmitError;
use medledger_core::envelope::{EnvelopeError, MetadataError};
use medledger_core::identity::Identity;
use medledger_core::ids::{MemberId, RecordId, ReportId};
use medledger_core::record::Scope;
use medledger_core::registry::VoidCode;
use medledger_core::slot::SlotError;
use medledger_core::state::State;
use medledger_core::store::{Drawer, StoreError};
use medledger_ipfs::pipeline::PipelineError;
use std::ops::ControlFlow;

/// A rotation that was accepted and waits for the hospital's confirmation.
#[derive(Debug)]
pub struct Rotated {
    /// The report.
    pub report: ReportId,
    /// The record; the hospital's confirmation names it.
    pub record: RecordId,
    /// The epoch that begins with the confirmation.
    pub epoch: u32,
    /// Bytes of plaintext sealed anew.
    pub length: u64,
    /// Grants whose readers were given the new key; those on the collection need none.
    pub readers: usize,
    /// How the patient gets a new access key, only where the one they have is not known here.
    pub delivery: Delivery,
}

/// What became of reports that were rotated together, in their order.
pub type RotateOutcomes = Vec<(ReportId, Result<Rotated, RotateError>)>;

/// What became of a rotation that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Both open to the same: this record makes it take effect.
    Same(RecordId),
    /// They do not open to the same: it is not confirmed, and has no effect.
    Differs,
    /// This node was not given the keys to compare.
    NoKeys,
}

/// Why a report was not rotated, or a rotation not confirmed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// There is no such report of this patient.
    #[error("{0} (code {code})", code = .0.code())]
    Refused(VoidCode),
    /// The keys of a report are at its hospital, where they are wrapped anew and confirmed.
    #[error("report {report} is kept by hospital {hospital}, and rotated there")]
    OtherHospital {
        /// The report.
        report: ReportId,
        /// The hospital to ask.
        hospital: MemberId,
    },
    /// Rotations are for the hospital of the reports to confirm.
    #[error("rotations are confirmed by the hospital that keeps the reports, and {0} is none")]
    NotAHospital(MemberId),
    /// The report's present key or content cannot be had.
    #[error(transparent)]
    Open(#[from] OpenReportError),
    /// It could not be sealed or stored.
    #[error(transparent)]
    Seal(#[from] PipelineError),
    /// The new envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The store of blocks failed.
    #[error(transparent)]
    Blocks(#[from] medledger_ipfs::store::StoreError),
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ApproveError> for RotateError {
    fn from(error: ApproveError) -> Self {
        match error {
            ApproveError::Refused(code) => Self::Refused(code),
            other => Self::Open(other.into()),
        }
    }
}

impl From<SlotError> for RotateError {
    fn from(error: SlotError) -> Self {
        Self::Open(error.into())
    }
}

impl Refusal for RotateError {
    fn event(&self) -> Option<AuditEvent> {
        match self {
            Self::Open(error) => error.event(),
            Self::Refused(VoidCode::UnknownReport) => Some(AuditEvent::NoPermission),
            _ => None,
        }
    }

    fn told(self) -> Self {
        match self {
            Self::Open(error) => Self::Open(error.told()),
            Self::Refused(VoidCode::UnknownReport) => Self::Open(OpenReportError::NoAccess),
            other => other,
        }
    }

    fn too_many(until: Timestamp) -> Self {
        Self::Open(OpenReportError::TooMany { until })
    }

    fn suspended(since: Suspension) -> Self {
        Self::Open(OpenReportError::Suspended(since))
    }
}

impl RotateError {
    /// Whether a store failed, so that nothing else can be accepted either.
    fn is_of_a_store(&self) -> bool {
        matches!(
            self,
            Self::Blocks(_)
                | Self::Store(_)
                | Self::Seal(PipelineError::Store(_))
                | Self::Submit(SubmitError::Store(_))
                | Self::Open(
                    OpenReportError::Blocks(_)
                        | OpenReportError::Store(_)
                        | OpenReportError::Submit(SubmitError::Store(_))
                )
        )
    }
}

impl Ledger {
    /// Seals a report anew under a fresh key, for the patient and for all whose grants are live. It takes
    /// effect when the hospital [confirms](Ledger::confirm_rotations) that the content stayed; until then the
    /// old key is in use, and doing it again replaces what was not finished.
    ///
    /// # Errors
    /// See [`RotateError`].
    pub fn rotate(
        &self,
        patient: &Identity,
        report: &ReportId,
        key: &Key<'_>,
    ) -> Result<Rotated, RotateError> {
        let done = group::run(self, patient, std::slice::from_ref(report), key);
        let outcome = done.outcomes.into_iter().next();
        outcome.map_or(Err(RotateError::Refused(VoidCode::UnknownReport)), |(_, outcome)| outcome)
    }

    /// Rotates several reports with the identity, many in one unit of work: sealed in one pass, durable together.
    ///
    /// `ended` is told what became of each report of a unit, in their order, once the unit is durable: what is done may hold
    /// new access keys. It says whether to go on. One that fails keeps no other back, unless a store fails: then
    /// nothing that comes after is tried, nor told.
    pub fn rotate_many(
        &self,
        patient: &Identity,
        reports: &[ReportId],
        ended: &mut dyn FnMut(RotateOutcomes) -> ControlFlow<()>,
    ) {
        let mut rest = reports;
        while !rest.is_empty() {
            let done = group::run(self, patient, rest, &Key::Identity);
            rest = &rest[done.taken..];
            if ended(done.outcomes).is_break() || done.failed {
                break;
            }
        }
    }

    /// Notes reports to be rotated later: each by the next [`Ledger::rotate_marked`]. Reports in `scope` that
    /// are marked already stay so.
    ///
    /// # Errors
    /// See [`RotateError`]; `OtherHospital`, and nothing is marked, where one of them is kept elsewhere.
    pub fn mark_for_rotation(
        &self,
        patient: &Identity,
        scope: &Scope,
    ) -> Result<usize, RotateError> {
        self.acting(patient)?.map_err(RotateError::Refused)?;
        let reports = self.own_reports(&patient.id(), scope)?;
        if let Some((report, hospital)) =
            reports.iter().find(|(_, hospital)| *hospital != self.hospital())
        {
            return Err(RotateError::OtherHospital { report: *report, hospital: *hospital });
        }
        let mut unit = self.store().unit()?;
        let mut marked = 0;
        for (report, _) in &reports {
            let mark = mark(&patient.id(), report);
            if unit.local(Drawer::Node, &mark)?.is_none() {
                unit.set_local(Drawer::Node, &mark, Some(&[]))?;
                marked += 1;
            }
        }
        unit.commit()?;
        Ok(marked)
    }

    /// Takes back the marks of these reports, or of all that are marked: they keep their keys. Gives how many there were.
    ///
    /// # Errors
    /// See [`RotateError`]. A report that is not marked, or is none, is not missed.
    pub fn unmark_for_rotation(
        &self,
        patient: &Identity,
        reports: Option<&[ReportId]>,
    ) -> Result<usize, RotateError> {
        self.acting(patient)?.map_err(RotateError::Refused)?;
        let mut marked = self.marked_for_rotation(&patient.id())?;
        marked.retain(|report| reports.is_none_or(|named| named.contains(report)));
        let mut unit = self.store().unit()?;
        for report in &marked {
            unit.set_local(Drawer::Node, &mark(&patient.id(), report), None)?;
        }
        unit.commit()?;
        Ok(marked.len())
    }

    /// The reports of a patient that are marked to be rotated.
    ///
    /// # Errors
    /// When the store fails.
    pub fn marked_for_rotation(&self, patient: &MemberId) -> Result<Vec<ReportId>, StoreError> {
        let prefix = [ROTATE, patient.as_bytes()].concat();
        let rows = self.view()?.local_scan(Drawer::Node, &prefix, None, usize::MAX)?;
        let id = |key: &[u8]| ReportId::try_from(&key[prefix.len()..]).ok();
        Ok(rows.iter().filter_map(|(key, _)| id(key)).collect())
    }

    /// Rotates up to `limit` of the reports that were marked, with the identity: what became of each. They go
    /// [together](Ledger::rotate_many); after a unit in which one failed no other is begun. What was interrupted goes on
    /// with the next call: a mark goes with the record of its rotation.
    ///
    /// # Errors
    /// When the marks cannot be read.
    pub fn rotate_marked(
        &self,
        patient: &Identity,
        limit: usize,
    ) -> Result<Vec<Result<Rotated, RotateError>>, StoreError> {
        let mut marked = self.marked_for_rotation(&patient.id())?;
        marked.truncate(limit);
        let mut outcomes = Vec::new();
        self.rotate_many(patient, &marked, &mut |group| {
            let failed = group.iter().any(|(_, outcome)| outcome.is_err());
            outcomes.extend(group.into_iter().map(|(_, outcome)| outcome));
            if failed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        Ok(outcomes)
    }

    /// The reports of a patient within a scope, and the hospital that keeps each.
    fn own_reports(
        &self,
        patient: &MemberId,
        scope: &Scope,
    ) -> Result<Vec<(ReportId, MemberId)>, RotateError> {
        let view = self.view()?;
        let mut found = Ok(Vec::new());
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            let ids = match scope {
                Scope::Collection(_) => state.reports_of(patient)?,
                listed => listed.reports().to_vec(),
            };
            let mut own = Vec::with_capacity(ids.len());
            for id in ids {
                match (state.report(&id)?.filter(|entry| entry.patient == *patient), scope) {
                    (Some(entry), Scope::Collection(at)) if entry.hospital != *at => {}
                    (Some(entry), _) => own.push((id, entry.hospital)),
                    (None, _) => {
                        found = Err(RotateError::Refused(VoidCode::UnknownReport));
                        return Ok(());
                    }
                }
            }
            found = Ok(own);
            Ok(())
        })?;
        found
    }
}

/// Rows of reports to be rotated: patient, then report.
pub(crate) const ROTATE: &[u8] = b"rotate/";

/// The patient and the report of a mark.
pub(crate) fn marked(key: &[u8]) -> Option<(MemberId, ReportId)> {
    let (patient, report) = key.strip_prefix(ROTATE)?.split_at_checked(MemberId::LEN)?;
    Some((MemberId::try_from(patient).ok()?, ReportId::try_from(report).ok()?))
}

fn mark(patient: &MemberId, report: &ReportId) -> Vec<u8> {
    [ROTATE, patient.as_bytes(), report.as_bytes()].concat()
}
