//! Request: a doctor or nurse asks to read; the patient is told who, what for and until when.
//! Refuse: the patient says no.

use crate::ledger::Ledger;
use crate::mail::texts;
use medledger_core::clock::Timestamp;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{MemberId, RecordId, ReportId};
use medledger_core::record::{Refuse, RequestAccess};
use medledger_core::registry::{Purpose, VoidCode};
use medledger_core::state::{RequestEntry, State};
use medledger_core::store::{StoreError, View};

/// Why a request was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a request was not refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefuseError {
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A request that waits for the patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The record that asks; approving and refusing name it.
    pub id: RecordId,
    /// What people call the report.
    pub label: String,
    /// What people call the reader.
    pub reader_name: String,
    /// What the ledger says.
    pub entry: RequestEntry,
}

impl Ledger {
    /// Asks the patient for permission to read a report. The patient gets a letter.
    ///
    /// # Errors
    /// See [`RequestError`]; `Submit` when the chain refuses, for example while the same request
    /// waits already.
    pub fn request(
        &self,
        reader: &Identity,
        report: &ReportId,
        purpose: Purpose,
        until: Timestamp,
    ) -> Result<RecordId, RequestError> {
        self.evenly(|| self.request_once(reader, report, purpose, until))
    }

    fn request_once(
        &self,
        reader: &Identity,
        report: &ReportId,
        purpose: Purpose,
        until: Timestamp,
    ) -> Result<RecordId, RequestError> {
        let record = self.sign(reader, RequestAccess { report: *report, purpose, until });
        let id = record.id();
        // The chain judges by its own time, which lies behind: nobody means to ask for the past.
        if until <= self.now() {
            return Err(SubmitError::Refused { id, code: VoidCode::Expired }.into());
        }
        self.accept(&[record], |unit| -> Result<(), RequestError> {
            let Some(patient) = self.patient_of(unit, report)? else { return Ok(()) };
            let contact = self.contact(unit, &patient)?;
            if let Some(address) = contact.email.as_deref().filter(|_| self.sends_mail()) {
                let name = self.contact(unit, &reader.id())?.name;
                let label = self.label(unit, report)?;
                let letter =
                    texts::access_requested(&contact, address, &name, &label, purpose, until, &id);
                self.enqueue(unit, &letter)?;
            }
            Ok(())
        })?;
        self.try_mail();
        Ok(id)
    }

    /// The requests that wait for a patient's answer.
    ///
    /// # Errors
    /// When the store fails.
    pub fn requests(&self, patient: &MemberId) -> Result<Vec<Request>, StoreError> {
        let view = self.view()?;
        let mut requests = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for id in state.requests_waiting_for(patient)? {
                let Some(entry) = state.request(&id)? else { continue };
                requests.push(Request {
                    id,
                    label: self.label(view.as_ref(), &entry.report)?,
                    reader_name: self.contact(view.as_ref(), &entry.reader)?.name,
                    entry,
                });
            }
            Ok(())
        })?;
        Ok(requests)
    }

    /// Refuses a request. The reader gets a letter.
    ///
    /// # Errors
    /// See [`RefuseError`]; `Submit` when there is no such request waiting for this patient.
    pub fn refuse(&self, patient: &Identity, request: &RecordId) -> Result<RecordId, RefuseError> {
        self.evenly(|| self.refuse_once(patient, request))
    }

    fn refuse_once(&self, patient: &Identity, request: &RecordId) -> Result<RecordId, RefuseError> {
        let entry = self.request_entry(request)?;
        let record = self.sign(patient, Refuse { request: *request });
        let id = record.id();
        self.accept(&[record], |unit| -> Result<(), RefuseError> {
            let Some(entry) = &entry else { return Ok(()) };
            let contact = self.contact(unit, &entry.reader)?;
            if let Some(address) = contact.email.as_deref().filter(|_| self.sends_mail()) {
                let label = self.label(unit, &entry.report)?;
                self.enqueue(unit, &texts::access_refused(&contact, address, &label))?;
            }
            Ok(())
        })?;
        self.try_mail();
        Ok(id)
    }

    pub(crate) fn request_entry(
        &self,
        request: &RecordId,
    ) -> Result<Option<RequestEntry>, StoreError> {
        let view = self.view()?;
        let mut entry = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            entry = State::new(state).request(request)?;
            Ok(())
        })?;
        Ok(entry)
    }

    /// The patient of a report, accepted ones included.
    fn patient_of(
        &self,
        view: &dyn View,
        report: &ReportId,
    ) -> Result<Option<MemberId>, StoreError> {
        let mut patient = None;
        self.engine().with_pending(view, &mut |state| {
            patient = State::new(state).report(report)?.map(|entry| entry.patient);
            Ok(())
        })?;
        Ok(patient)
    }
}
