//! The fold: what one record changes in the state, or why it changes nothing.

mod access;
mod groups;
mod members;
mod rotation;
mod succession;

use super::{Enrolment, MemberEntry, ReportEntry, Signatures, State, StateKey, StateRead, key};
use crate::cbor::{self, Writer};
use crate::cid::Codec;
use crate::clock::Timestamp;
use crate::ids::{ChainId, MemberId, ReportId};
use crate::record::{AddReport, AuditDigest, Body, Enrol, Register, SignedRecord};
use crate::registry::{Role, VoidCode};
use crate::store::StoreError;
use std::sync::Arc;

/// Where a record is judged: the chain, the height of its block, and the block's median time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The chain.
    pub chain: ChainId,
    /// Height of the block the record stands in or would stand in.
    pub height: u64,
    /// Median time of the eleven blocks below.
    pub median_time: Timestamp,
    /// How far in the future a grant may end, in seconds.
    pub max_grant_seconds: u64,
}

/// One entry set or, with no value, removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Key of the entry.
    pub key: StateKey,
    /// Its new value.
    pub value: Option<Vec<u8>>,
}

/// Why a record was not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The record is void: it takes no effect here.
    #[error("the record takes no effect: {0} (code {code})", code = .0.code())]
    Void(VoidCode),
    /// The state could not be read; this says nothing about the record.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<VoidCode> for ApplyError {
    fn from(code: VoidCode) -> Self {
        Self::Void(code)
    }
}

/// What `record` changes in `state`. Pure: same state, record and place, same answer everywhere.
///
/// # Errors
/// [`ApplyError::Void`] with the reason when the record takes no effect.
pub fn apply(
    state: &dyn StateRead,
    record: &SignedRecord,
    at: &At,
    signatures: &mut dyn Signatures,
) -> Result<Vec<Change>, ApplyError> {
    let state = State::new(state);
    let statement = record.record();
    if statement.chain != at.chain {
        return Err(VoidCode::WrongChain.into());
    }
    if state.seen(&record.id())? {
        return Err(VoidCode::Replayed.into());
    }
    let author = state.shared_member(&statement.author)?.ok_or(VoidCode::UnknownAuthor)?;
    let key = author.identity.signing();
    let signed = match author.succession {
        None => signatures.check(key, record),
        Some(_) => signatures.check_again(key, record),
    };
    if !signed {
        return Err(VoidCode::BadSignature.into());
    }
    if author.suspended.is_some() {
        return Err(VoidCode::Suspended.into());
    }
    let mut fold = Fold { state, at, record, author, changes: Vec::with_capacity(4) };
    match &statement.body {
        Body::Register(body) => fold.register(body),
        Body::Succeed(body) => fold.succeed(body),
        Body::Suspend(body) => fold.suspend(body),
        Body::Admit(body) => fold.admit(body),
        Body::Enrol(body) => fold.enrol(body),
        Body::AddReport(body) => fold.add_report(body),
        Body::RequestAccess(body) => fold.request_access(body),
        Body::Grant(body) => fold.grant(body),
        Body::Refuse(body) => fold.refuse(body),
        Body::Revoke(body) => fold.revoke(body),
        Body::Delegate(body) => fold.delegate(body),
        Body::Read(body) => fold.read(body),
        Body::Group(body) => fold.group(body),
        Body::Rotate(body) => fold.rotate(body),
        Body::Confirm(body) => fold.confirm(body),
        Body::AuditDigest(body) => fold.audit_digest(body),
    }?;
    fold.changes.push(Change { key: key::seen(&record.id()), value: Some(seen_at(at.height)) });
    Ok(fold.changes)
}

/// What stands for a record that took effect: as `cbor::encode` has the height, more quickly, as each record has it.
fn seen_at(height: u64) -> Vec<u8> {
    let mut writer = Writer::with_capacity(9);
    writer.number(height);
    writer.into_bytes()
}

/// As `cbor::encode` has nothing.
fn null() -> Vec<u8> {
    vec![0xf6]
}

struct Fold<'a> {
    state: State<'a>,
    at: &'a At,
    record: &'a SignedRecord,
    author: Arc<MemberEntry>,
    changes: Vec<Change>,
}

type Outcome = Result<(), ApplyError>;

impl Fold<'_> {
    fn author_id(&self) -> MemberId {
        self.record.record().author
    }

    fn set<T: serde::Serialize>(&mut self, key: StateKey, value: &T) {
        self.changes.push(Change { key, value: Some(cbor::encode(value)) });
    }

    fn remove(&mut self, key: StateKey) {
        self.changes.push(Change { key, value: None });
    }

    fn author_is(&self, allowed: bool) -> Outcome {
        if allowed { Ok(()) } else { Err(VoidCode::RoleNotAllowed.into()) }
    }

    /// The member, if of a role that will do.
    fn member_with(
        &self,
        id: &MemberId,
        fits: impl Fn(Role) -> bool,
    ) -> Result<Arc<MemberEntry>, ApplyError> {
        let member = self.state.shared_member(id)?.ok_or(VoidCode::UnknownMember)?;
        if fits(member.role) { Ok(member) } else { Err(VoidCode::WrongRole.into()) }
    }

    /// `until` must lie ahead of the median time, and not too far.
    fn future(&self, until: Timestamp) -> Outcome {
        if until <= self.at.median_time {
            return Err(VoidCode::Expired.into());
        }
        if until > self.at.median_time.plus(self.at.max_grant_seconds) {
            return Err(VoidCode::TooLong.into());
        }
        Ok(())
    }

    fn register(&mut self, body: &Register) -> Outcome {
        self.author_is(self.author.role == Role::Hospital)?;
        if body.role == Role::Hospital {
            return Err(VoidCode::NotRegistrable.into());
        }
        let id = body.member.member_id();
        if self.state.member(&id)?.is_some() {
            return Err(VoidCode::AlreadyRegistered.into());
        }
        body.member
            .check_possession(&self.at.chain, &self.author_id(), &body.proof)
            .map_err(|_| VoidCode::NoPossession)?;
        let entry = MemberEntry {
            identity: body.member.clone(),
            role: body.role,
            hospital: self.author_id(),
            custody: body.custody,
            mining: Vec::new(),
            height: self.at.height,
            suspended: None,
            succession: None,
        };
        self.set(key::member(&id), &entry);
        Ok(())
    }

    fn enrol(&mut self, body: &Enrol) -> Outcome {
        self.author_is(self.author.role == Role::Patient)?;
        self.present_hospital(&body.hospital)?;
        let patient = self.author_id();
        // Epochs count from 1, and only upwards.
        let before = self.state.enrolment(&patient, &body.hospital)?;
        if before.as_ref().map_or(0, |e| e.epoch) >= body.epoch {
            return Err(VoidCode::AlreadyEnrolled.into());
        }
        self.no_downgrade(&body.key, before.as_ref().map(|e| &e.key))?;
        let entry = Enrolment { epoch: body.epoch, key: body.key.clone() };
        self.set(key::enrolment(&patient, &body.hospital), &entry);
        Ok(())
    }

    fn audit_digest(&mut self, body: &AuditDigest) -> Outcome {
        self.author_is(self.author.role == Role::Hospital)?;
        let hospital = self.author_id();
        let entry = super::audit::follow(self.state.audit(&hospital)?, body, self.record.id())?;
        self.set(key::audit(&hospital), &entry);
        Ok(())
    }

    fn add_report(&mut self, body: &AddReport) -> Outcome {
        self.author_is(self.author.role.uploads())?;
        self.member_with(&body.patient, |role| role == Role::Patient)?;
        let enrolment = self.state.shared_enrolment(&body.patient, &self.author.hospital)?;
        let newest = enrolment.ok_or(VoidCode::NotEnrolled)?.epoch;
        self.present_hospital(&self.author.hospital)?;
        // One that was prepared before the patient moved on stands: what was accepted is not lost.
        if body.collection == 0 || body.collection > newest {
            return Err(VoidCode::WrongEpoch.into());
        }
        if body.envelope.codec() != Codec::DagCbor {
            return Err(VoidCode::NotAnEnvelope.into());
        }
        let id = ReportId::derive(&self.author_id(), &self.record.record().nonce);
        if self.state.report(&id)?.is_some() {
            return Err(VoidCode::ReportExists.into());
        }
        let entry = ReportEntry {
            patient: body.patient,
            author: self.author_id(),
            hospital: self.author.hospital,
            version: 1,
            epoch: 1,
            envelope: body.envelope,
            collection: body.collection,
            record: self.record.id(),
            height: self.at.height,
        };
        self.changes.push(Change { key: key::report(&id), value: Some(entry.encode()) });
        let listed = Change { key: key::patient_report(&body.patient, &id), value: Some(null()) };
        self.changes.push(listed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
