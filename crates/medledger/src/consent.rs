//! New keys for a patient whose keys are suspended, by a consent that the patient made elsewhere.

use crate::ledger::Ledger;
use crate::mail::texts;
use crate::people::Member;
use crate::succeed::{Succession, SuccessionError};
use medledger_core::identity::{ConsentError, Identity, KeyConsent};
use medledger_core::ids::MemberId;
use medledger_core::registry::{Role, VoidCode};
use medledger_core::state::{MemberEntry, State};
use std::collections::BTreeSet;

impl Ledger {
    /// Whose keys a consent is about, once all of it is checked as the ledger is now. That the person who brought it is
    /// that member, and that the [fingerprint](medledger_core::identity::PublicIdentity::fingerprint) of the new keys is
    /// the one the patient reads out, is for the hospital to see to: a thief with the suspended keys can write a
    /// consent, too.
    ///
    /// # Errors
    /// See [`SuccessionError`]: `Consent` for one that does not count, `Refused` where no consent is asked for.
    pub fn check_consent(
        &self,
        member: &MemberId,
        consent: &KeyConsent,
    ) -> Result<Member, SuccessionError> {
        let (expected, found) = (self.chain(), consent.chain());
        if found != expected {
            return Err(ConsentError::OtherChain { expected, found }.into());
        }
        let (expected, found) = (*member, consent.member());
        if found != expected {
            return Err(ConsentError::OtherMember { expected, found }.into());
        }
        let refused = SuccessionError::Refused;
        let view = self.view()?;
        let mut entry: Option<MemberEntry> = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            entry = State::new(state).member(member)?;
            Ok(())
        })?;
        let entry = entry.ok_or(refused(VoidCode::UnknownMember))?;
        if entry.role != Role::Patient {
            return Err(refused(VoidCode::NoConsent));
        }
        consent.check(&self.chain(), member, &entry.identity, entry.suspended.is_some())?;
        Ok(self.describe_member(view.as_ref(), *member, entry)?)
    }

    /// As the hospital that registered a patient whose keys are suspended: gives the patient the keys of a consent,
    /// which the patient made with [`consent_to_new_keys`](Self::consent_to_new_keys) where nobody else was. Neither
    /// can do it alone.
    ///
    /// Nothing that takes the patient's keys can be done here. So the patient's collections go on with their keys of
    /// before, and those who read them go on reading, until the patient comes with the new ones and
    /// [renews](Self::renew_collection) each: see [`Succession::to_renew`]. A letter to the patient says so.
    ///
    /// # Errors
    /// See [`SuccessionError`]; `Submit` when the hospital is not the one that registered the patient.
    pub fn replace_with_consent(
        &self,
        hospital: &Identity,
        member: &MemberId,
        consent: &KeyConsent,
    ) -> Result<Succession, SuccessionError> {
        let patient = self.check_consent(member, consent)?;
        let fingerprint = consent.next().fingerprint();
        let record = self.sign(hospital, consent.clone().into_record());
        let id = record.id();
        self.accept(&[record], |unit| -> Result<(), SuccessionError> {
            let contact = &patient.contact;
            if let Some(address) = contact.email.as_deref().filter(|_| self.sends_mail()) {
                let name = self.contact(unit, &self.hospital())?.name;
                self.enqueue(unit, &texts::keys_replaced(contact, address, &name, &fingerprint))?;
            }
            Ok(())
        })?;
        self.try_mail();
        let (to_renew, elsewhere) = self.left_by_consent(member)?;
        let collections = Vec::new();
        Ok(Succession { member: *member, record: id, collections, to_renew, elsewhere })
    }

    /// Where a patient is enrolled, with keys of before; and other hospitals that may keep something.
    fn left_by_consent(
        &self,
        member: &MemberId,
    ) -> Result<(Vec<MemberId>, Vec<MemberId>), SuccessionError> {
        let view = self.view()?;
        let (mut enrolled, mut entry) = (Vec::new(), None);
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            enrolled = state.enrolments_of(member)?.into_iter().map(|(at, _)| at).collect();
            entry = state.member(member)?;
            Ok(())
        })?;
        let mut elsewhere = match &entry {
            Some(entry) => self.keepers(member, entry)?,
            None => BTreeSet::new(),
        };
        elsewhere.extend(enrolled.iter().filter(|at| **at != self.hospital()));
        Ok((enrolled, elsewhere.into_iter().collect()))
    }
}
