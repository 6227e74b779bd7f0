//! Requests, grants, and what is done under them.

use super::{ApplyError, Fold, Outcome, key};
use crate::ids::{GrantId, MemberId, RecordId};
use crate::record::{Delegate, Grant, Grantee, Read, Refuse, RequestAccess, Revoke, Scope};
use crate::registry::{Role, VoidCode, limit};
use crate::state::{GrantEntry, GrantStanding, ReportEntry, RequestEntry, RequestStatus};
use crate::store::StoreError;

impl Fold<'_> {
    pub(super) fn request_access(&mut self, body: &RequestAccess) -> Outcome {
        self.author_is(self.author.role.reads())?;
        let reader = self.author_id();
        let report = self.state.report(&body.report)?.ok_or(VoidCode::UnknownReport)?;
        self.future(body.until)?;
        // One question at a time: a reader cannot wear a patient down with copies of it. One that
        // nobody answered in its time makes room for the next.
        if let Some(before) = self.state.waiting(&body.report, &reader)? {
            let missing = || StoreError::Damaged(format!("request {before} waits, but is missing"));
            let mut asked = self.state.request(&before)?.ok_or_else(missing)?;
            if asked.until > self.at.median_time {
                return Err(VoidCode::RequestPending.into());
            }
            asked.status = RequestStatus::Lapsed;
            self.answer(&before, &asked, &report.patient);
        }
        let entry = RequestEntry {
            report: body.report,
            reader,
            purpose: body.purpose,
            until: body.until,
            status: RequestStatus::Waiting,
        };
        let id = self.record.id();
        self.set(key::request(&id), &entry);
        self.set(key::waiting(&body.report, &reader), &id);
        self.set(key::patient_waiting(&report.patient, &id), &());
        Ok(())
    }

    pub(super) fn grant(&mut self, body: &Grant) -> Outcome {
        self.author_is(self.author.role == Role::Patient)?;
        let patient = self.author_id();
        self.own_scope(&body.scope, &patient)?;
        self.readers(&body.reader)?;
        self.member_with(&body.custodian, |role| role == Role::Hospital)?;
        self.future(body.until)?;
        if body.delegate > limit::DELEGATIONS {
            return Err(VoidCode::TooDeep.into());
        }
        let entry = GrantEntry {
            patient,
            scope: body.scope.clone(),
            reader: body.reader,
            purpose: body.purpose,
            until: body.until,
            custodian: body.custodian,
            token: body.token,
            record: self.record.id(),
            revoked: None,
            delegate: body.delegate,
            parent: None,
        };
        let id = self.new_grant(&patient)?;
        if let Some(request) = &body.request {
            let (mut asked, report) = self.waiting_request(request, &patient)?;
            let answers = entry.covers(&asked.report, &report)
                && body.reader == Grantee::Member(asked.reader)
                && body.purpose == asked.purpose;
            if !answers {
                return Err(VoidCode::RequestMismatch.into());
            }
            asked.status = RequestStatus::Granted;
            self.answer(request, &asked, &patient);
        }
        self.put_grant(&id, &entry);
        Ok(())
    }

    /// What a patient may give: their own reports, and their collection where they are enrolled.
    fn own_scope(&self, scope: &Scope, patient: &MemberId) -> Outcome {
        if let Scope::Collection(hospital) = scope
            && self.state.enrolment(patient, hospital)?.is_none()
        {
            return Err(VoidCode::NotEnrolled.into());
        }
        for report in scope.reports() {
            // Somebody else's report and one that does not exist are the same to an outsider.
            if self.state.report(report)?.is_none_or(|entry| entry.patient != *patient) {
                return Err(VoidCode::UnknownReport.into());
            }
        }
        Ok(())
    }

    /// Somebody who reads, or a group by its present key.
    fn readers(&self, reader: &Grantee) -> Outcome {
        match reader {
            Grantee::Member(member) => match self.member_with(member, Role::reads)?.suspended {
                Some(_) => Err(VoidCode::SuspendedReader.into()),
                None => Ok(()),
            },
            Grantee::Group(at) => {
                let group = self.state.group(&at.group)?.ok_or(VoidCode::UnknownGroup)?;
                // Who left the group knows older keys.
                if at.epoch != group.epoch {
                    return Err(VoidCode::WrongEpoch.into());
                }
                // So does who found a member's keys.
                if self.state.is_stale(&at.group, &group)? {
                    return Err(VoidCode::StaleGroup.into());
                }
                Ok(())
            }
        }
    }

    /// The id of the grant that this record gives, if it is new.
    fn new_grant(&self, patient: &MemberId) -> Result<GrantId, ApplyError> {
        let author = self.author_id();
        let id = GrantId::derive(&author, &self.record.record().nonce);
        if self.state.grant(&id)?.is_some() {
            return Err(VoidCode::GrantExists.into());
        }
        for by in [patient, &author] {
            if self.state.was_revoked_ahead(by, &id)? {
                return Err(VoidCode::Revoked.into());
            }
        }
        Ok(id)
    }

    fn put_grant(&mut self, id: &GrantId, entry: &GrantEntry) {
        self.set(key::grant(id), entry);
        self.set(key::patient_grant(&entry.patient, id), &());
        if let Scope::Collection(hospital) = &entry.scope {
            self.set(key::collection_grant(&entry.reader, &entry.patient, hospital, id), &());
        }
        for report in entry.scope.reports() {
            self.set(key::report_grant(&entry.reader, report, id), &());
        }
    }

    pub(super) fn delegate(&mut self, body: &Delegate) -> Outcome {
        self.author_is(self.author.role.reads())?;
        let parent = self.state.grant(&body.grant)?.ok_or(VoidCode::UnknownGrant)?;
        // Only one's own grant: what a group has is the hospital's to give.
        if parent.reader != Grantee::Member(self.author_id()) {
            return Err(VoidCode::UnknownGrant.into());
        }
        match self.state.standing(&parent, self.at.median_time)? {
            GrantStanding::Revoked => return Err(VoidCode::Revoked.into()),
            GrantStanding::Expired => return Err(VoidCode::Expired.into()),
            GrantStanding::Live => {}
        }
        if parent.delegate == 0 {
            return Err(VoidCode::NotDelegable.into());
        }
        let narrower = body.delegate < parent.delegate
            && body.until <= parent.until
            && self.state.within(&body.scope, &parent)?;
        if !narrower {
            return Err(VoidCode::TooWide.into());
        }
        self.readers(&body.reader)?;
        self.future(body.until)?;
        let entry = GrantEntry {
            patient: parent.patient,
            scope: body.scope.clone(),
            reader: body.reader,
            purpose: parent.purpose,
            until: body.until,
            custodian: parent.custodian,
            token: body.token,
            record: self.record.id(),
            revoked: None,
            delegate: body.delegate,
            parent: Some(body.grant),
        };
        let id = self.new_grant(&entry.patient)?;
        self.put_grant(&id, &entry);
        Ok(())
    }

    /// A request that waits for this patient.
    fn waiting_request(
        &self,
        id: &RecordId,
        patient: &MemberId,
    ) -> Result<(RequestEntry, ReportEntry), ApplyError> {
        let entry = self.state.request(id)?.ok_or(VoidCode::UnknownRequest)?;
        let report = self.state.report(&entry.report)?.ok_or(VoidCode::UnknownRequest)?;
        if report.patient != *patient || entry.status != RequestStatus::Waiting {
            return Err(VoidCode::UnknownRequest.into());
        }
        Ok((entry, report))
    }

    fn answer(&mut self, id: &RecordId, entry: &RequestEntry, patient: &MemberId) {
        self.set(key::request(id), entry);
        self.remove(key::waiting(&entry.report, &entry.reader));
        self.remove(key::patient_waiting(patient, id));
    }

    pub(super) fn refuse(&mut self, body: &Refuse) -> Outcome {
        self.author_is(self.author.role == Role::Patient)?;
        let patient = self.author_id();
        let (mut entry, _) = self.waiting_request(&body.request, &patient)?;
        entry.status = RequestStatus::Refused;
        self.answer(&body.request, &entry, &patient);
        Ok(())
    }

    pub(super) fn revoke(&mut self, body: &Revoke) -> Outcome {
        let author = self.author_id();
        self.author_is(self.author.role == Role::Patient || self.author.role.reads())?;
        // Somebody else's grant and one that nobody has seen are the same to whoever names it: both are revoked
        // ahead, for this author. A grant asks for what its patient and its own author said, and for nothing else.
        let own = match self.state.grant(&body.grant)? {
            Some(entry) if self.state.is_revocable_by(&entry, &author)? => Some(entry),
            _ => None,
        };
        let Some(mut entry) = own else {
            if self.state.was_revoked_ahead(&author, &body.grant)? {
                return Err(VoidCode::Revoked.into());
            }
            self.set(key::revoked_ahead(&author, &body.grant), &self.at.height);
            return Ok(());
        };
        if entry.revoked.is_some() {
            return Err(VoidCode::Revoked.into());
        }
        entry.revoked = Some(self.at.height);
        self.set(key::grant(&body.grant), &entry);
        Ok(())
    }

    pub(super) fn read(&mut self, body: &Read) -> Outcome {
        self.author_is(self.author.role.reads() || self.author.role == Role::Patient)?;
        let reader = self.author_id();
        let report = self.state.report(&body.report)?.ok_or(VoidCode::UnknownReport)?;
        match &body.grant {
            None if report.patient != reader => return Err(VoidCode::UnknownReport.into()),
            None => {}
            Some(id) => {
                let grant = self.state.grant(id)?.ok_or(VoidCode::UnknownGrant)?;
                if !grant.covers(&body.report, &report)
                    || !self.state.is_for(&grant, &reader, &self.author)?
                {
                    return Err(VoidCode::UnknownGrant.into());
                }
                // By the reader's own time, not by the block's: the plaintext was released when this
                // was accepted, and no backlog makes that undone (decision 16).
                match self.state.standing(&grant, self.record.record().time)? {
                    GrantStanding::Revoked => return Err(VoidCode::Revoked.into()),
                    GrantStanding::Expired => return Err(VoidCode::Expired.into()),
                    GrantStanding::Live => {}
                }
            }
        }
        if body.version == 0 || body.version > report.version {
            return Err(VoidCode::UnknownVersion.into());
        }
        Ok(())
    }
}
