//! What a record is looked up by.

use crate::record::{Body, Scope, SignedRecord};
use crate::state::{State, StateRead};
use crate::store::{Standing, StoreError, StoredRecord};

/// A record with what it is looked up by: the patient and the report it concerns, as `state` has it.
///
/// # Errors
/// When the store fails.
pub fn describe(
    state: &dyn StateRead,
    record: &SignedRecord,
    bytes: Vec<u8>,
    standing: Standing,
) -> Result<StoredRecord, StoreError> {
    let (patient, report) = subject(&State::new(state), record)?;
    let statement = record.record();
    Ok(StoredRecord {
        id: record.id(),
        kind: statement.kind(),
        author: statement.author,
        patient,
        report,
        time: statement.time,
        standing,
        bytes,
    })
}

type Subject = (Option<crate::ids::MemberId>, Option<crate::ids::ReportId>);

pub(super) fn subject(state: &State<'_>, record: &SignedRecord) -> Result<Subject, StoreError> {
    let statement = record.record();
    let of_report = |report: crate::ids::ReportId| {
        let patient = state.report(&report)?.map(|entry| entry.patient);
        Ok((patient, Some(report)))
    };
    match &statement.body {
        Body::Register(body) => {
            let is_patient = body.role == crate::registry::Role::Patient;
            Ok((is_patient.then(|| body.member.member_id()), None))
        }
        Body::Succeed(crate::record::Succeed { member, .. })
        | Body::Suspend(crate::record::Suspend { member }) => {
            let entry = state.member(member)?;
            let is_patient = entry.is_some_and(|e| e.role == crate::registry::Role::Patient);
            Ok((is_patient.then_some(*member), None))
        }
        Body::Enrol(_) => Ok((Some(statement.author), None)),
        Body::AddReport(body) => {
            let report = crate::ids::ReportId::derive(&statement.author, &statement.nonce);
            Ok((Some(body.patient), Some(report)))
        }
        Body::RequestAccess(body) => of_report(body.report),
        Body::Grant(body) => Ok((Some(statement.author), one_of(&body.scope))),
        Body::Delegate(body) => {
            let patient = state.grant(&body.grant)?.map(|grant| grant.patient);
            Ok((patient, one_of(&body.scope)))
        }
        Body::Refuse(body) => {
            let report = state.request(&body.request)?.map(|request| request.report);
            Ok((Some(statement.author), report))
        }
        Body::Revoke(body) => Ok(match state.grant(&body.grant)? {
            Some(grant) if state.is_revocable_by(&grant, &statement.author)? => {
                (Some(grant.patient), one_of(&grant.scope))
            }
            // Not theirs, or not seen yet.
            _ => (Some(statement.author), None),
        }),
        Body::Read(body) => of_report(body.report),
        Body::Admit(_) | Body::Group(_) | Body::AuditDigest(_) => Ok((None, None)),
        Body::Rotate(body) => of_report(body.report),
        Body::Confirm(body) => match state.rotation_of(&body.record)? {
            Some(report) => of_report(report),
            None => Ok((None, None)),
        },
    }
}

/// The report, where there is one only.
fn one_of(scope: &Scope) -> Option<crate::ids::ReportId> {
    match scope {
        Scope::Report(report) => Some(*report),
        Scope::Reports(_) | Scope::Collection(_) => None,
    }
}
