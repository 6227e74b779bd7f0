//! Hospitals that come and go.

use super::{ApplyError, Fold, Outcome, key};
use crate::ids::MemberId;
use crate::record::{Admit, HospitalChange};
use crate::registry::{Custody, Role, VoidCode};
use crate::state::MemberEntry;
use crate::store::StoreError;

impl Fold<'_> {
    /// The hospitals change, as a quorum of them approved.
    pub(super) fn admit(&mut self, body: &Admit) -> Outcome {
        self.author_is(self.author.role == Role::Hospital)?;
        let genesis = self
            .state
            .genesis()?
            .ok_or_else(|| StoreError::Damaged("the state has no genesis configuration".into()))?;
        let author = self.author_id();
        let next = self.state.hospitals(&genesis)?.changed(
            &genesis,
            &self.at.chain,
            (&author, body),
            self.at.height,
            |hospital| {
                Ok::<_, ApplyError>(self.state.member(hospital)?.map(|entry| entry.identity))
            },
        )?;
        let id = body.change.hospital();
        let entry = match &body.change {
            HospitalChange::Admit(application) => {
                let hospital = application.hospital();
                // One that comes back, or takes another mining key, is the member it was.
                let before = self.state.member(&id)?;
                if before.as_ref().is_some_and(|entry| entry.role != Role::Hospital) {
                    return Err(VoidCode::WrongRole.into());
                }
                let height = before.map_or(self.at.height, |entry| entry.height);
                MemberEntry {
                    identity: hospital.identity,
                    role: Role::Hospital,
                    hospital: id,
                    custody: Custody::Own,
                    mining: vec![hospital.mining],
                    height,
                    suspended: None,
                    succession: None,
                }
            }
            HospitalChange::Expel(_) => {
                let before = self.state.member(&id)?.ok_or(VoidCode::UnknownMember)?;
                MemberEntry { mining: Vec::new(), suspended: Some(self.at.height), ..before }
            }
        };
        self.set(key::member(&id), &entry);
        self.set(key::hospitals(self.at.height), &next);
        Ok(())
    }

    /// A hospital that is one now: not expelled, nor somebody of another role.
    pub(super) fn present_hospital(&self, id: &MemberId) -> Outcome {
        let member = self.state.shared_member(id)?.ok_or(VoidCode::UnknownMember)?;
        if member.role != Role::Hospital {
            return Err(VoidCode::WrongRole.into());
        }
        if member.suspended.is_some() { Err(VoidCode::Expelled.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
