//! Keys that change, and keys that are suspended.

use super::{Fold, Outcome};
use crate::ids::MemberId;
use crate::keys::HpkePublicKey;
use crate::record::{Succeed, Suspend};
use crate::registry::{Role, VoidCode};
use crate::state::{MemberEntry, Succession, key};
use std::sync::Arc;

impl Fold<'_> {
    /// The member keeps id, role and hospital, and has other keys from here on.
    ///
    /// Who may say so: the member, under the present keys; of suspended keys, which a thief may hold, the registering hospital,
    /// and for a patient only together with the present keys, lest the hospital become the patient.
    pub(super) fn succeed(&mut self, body: &Succeed) -> Outcome {
        let mut entry = self.own_member(&body.member)?;
        let by_hospital = body.member != self.author_id();
        if by_hospital && entry.suspended.is_none() {
            return Err(VoidCode::NotSuspended.into());
        }
        let consented = match (&body.consent, by_hospital && entry.role == Role::Patient) {
            (None, needed) => !needed,
            (Some(_), false) => false,
            (Some(consent), true) => entry
                .identity
                .check_consent(&self.at.chain, &body.member, &body.next, consent)
                .is_ok(),
        };
        if !consented {
            return Err(VoidCode::NoConsent.into());
        }
        let (before, next) = (entry.identity.hpke_key(), body.next.hpke_key());
        if next.algorithm() < before.algorithm() {
            return Err(VoidCode::KeyDowngrade.into());
        }
        if next == before || body.next.signing_key() == entry.identity.signing_key() {
            return Err(VoidCode::SameKeys.into());
        }
        body.next
            .check_succession(&self.at.chain, &body.member, &body.proof)
            .map_err(|_| VoidCode::NoPossession)?;
        let count = entry.succession.map_or(0, |before| before.count).saturating_add(1);
        entry.identity = body.next.clone();
        entry.suspended = None;
        entry.succession = Some(Succession { count, since: self.at.height });
        self.set(key::member(&body.member), &entry);
        Ok(())
    }

    /// From here on the member's records are void, until other keys succeed.
    pub(super) fn suspend(&mut self, body: &Suspend) -> Outcome {
        let mut entry = self.own_member(&body.member)?;
        if entry.suspended.is_some() {
            return Err(VoidCode::AlreadySuspended.into());
        }
        entry.suspended = Some(self.at.height);
        self.set(key::member(&body.member), &entry);
        self.lost(&body.member, &entry)
    }

    /// The author, or a member the author registered. Hospitals are neither suspended nor succeeded here: their keys stand in
    /// blocks and votes too.
    fn own_member(&self, id: &MemberId) -> Result<MemberEntry, super::ApplyError> {
        let author = self.author_id();
        let entry =
            if *id == author { Some(self.author.clone()) } else { self.state.shared_member(id)? };
        let entry = entry.ok_or(VoidCode::UnknownMember)?;
        if *id != author && entry.hospital != author {
            return Err(VoidCode::NotRegistrar.into());
        }
        if entry.role == Role::Hospital {
            return Err(VoidCode::WrongRole.into());
        }
        Ok(Arc::unwrap_or_clone(entry))
    }

    /// The key of a collection or group must be no weaker than its author's own, nor than the one before.
    pub(super) fn no_downgrade(
        &self,
        next: &HpkePublicKey,
        before: Option<&HpkePublicKey>,
    ) -> Outcome {
        let own = self.author.identity.hpke_key();
        let least = before.map_or(own.algorithm(), |key| key.algorithm().max(own.algorithm()));
        if next.algorithm() < least { Err(VoidCode::KeyDowngrade.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
