//! Keys that change: succession, and suspension of a lost device.

use crate::approve::ApproveError;
use crate::groups::{Foreseen, Group, member_place};
use crate::identity_file::IdentityFileError;
use crate::ledger::Ledger;
use medledger_core::engine::SubmitError;
use medledger_core::identity::{ConsentError, FormerKeysError, Identity};
use medledger_core::ids::{MemberId, RecordId};
use medledger_core::keys::{HpkeAlgorithm, HpkeSecretKey, Signature, SigningKey};
use medledger_core::record::{SignedRecord, Succeed, Suspend};
use medledger_core::registry::{Role, VoidCode};
use medledger_core::store::StoreError;

/// Keys that succeeded others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// Whose keys.
    pub member: MemberId,
    /// The record on the ledger.
    pub record: RecordId,
    /// Hospitals at which a patient's collection moved to its next epoch.
    pub collections: Vec<MemberId>,
    /// Hospitals at which a patient's collection goes on with a key of the former keys, until the patient
    /// [renews](Ledger::renew_collection) it there with the new ones.
    pub to_renew: Vec<MemberId>,
    /// Other hospitals that may keep keys for this member, which cannot be seen from here: there the member runs
    /// [`rewrap`](Ledger::rewrap) and [`renew_collection`](Ledger::renew_collection), or their groups move to a
    /// next key.
    pub elsewhere: Vec<MemberId>,
}

/// Why keys did not change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// The keys at hand are not the member's present ones, or the member is none whose keys may be changed so.
    #[error("{0} (code {code})", code = .0.code())]
    Refused(VoidCode),
    /// The identity holds all the former keys it can.
    #[error(transparent)]
    FormerKeys(#[from] FormerKeysError),
    /// The consent is none, or none that counts here and now.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// A collection could not be moved to its next epoch.
    #[error(transparent)]
    Collection(#[from] ApproveError),
    /// The identity file could not be written.
    #[error(transparent)]
    File(#[from] IdentityFileError),
    /// The former keys are needed for what is kept here.
    #[error(
        "the former keys are still needed here for {reports} reports, {collections} keys of collections and \
         {groups} keys of groups: wrap those again first"
    )]
    StillFormer {
        /// Keys of reports, and access keys kept for a patient.
        reports: u64,
        /// Keys of collections.
        collections: u64,
        /// Keys of groups.
        groups: u64,
    },
    /// Reports that come are still wrapped to a key of the former keys, and what is passed on from it with them.
    #[error("the collection at {0} goes on with a key of the former keys: renew it first")]
    NotRenewed(MemberId),
    /// The former keys may be needed for what other hospitals keep.
    #[error(
        "other hospitals may keep keys that open with the former ones only, and cannot be seen from here: {}",
        hospitals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Elsewhere {
        /// Those hospitals, by what the ledger says.
        hospitals: Vec<MemberId>,
    },
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// Gives a member new keys, X-Wing for HPKE, and locks them into the identity file with `password`. The former
    /// HPKE keys stay in the file and open what was wrapped to them, until [`rewrap`](Self::rewrap). Each collection
    /// of a patient moves to its next epoch.
    ///
    /// The file with the new keys is durable before the ledger has the record, and the old one is kept beside it:
    /// whatever happens between, [`unlock`](Self::unlock) takes the file whose keys the ledger names.
    ///
    /// # Errors
    /// See [`SuccessionError`]. A hospital's keys stand in blocks and votes too, and are not changed so.
    pub fn succeed(
        &self,
        identity: &Identity,
        password: &str,
    ) -> Result<(Identity, Succession), SuccessionError> {
        let refused = SuccessionError::Refused;
        let entry = self.acting(identity)?.map_err(refused)?;
        if entry.role == Role::Hospital {
            return Err(refused(VoidCode::WrongRole));
        }
        let next = identity.next(HpkeAlgorithm::XWing, &mut self.rng())?;
        let record = self.sign(identity, self.succession_to(&next, None));
        let succession = self.put_next(record, identity, &next, password)?;
        Ok((next, succession))
    }

    /// As the hospital that registered a patient whose keys are suspended, together with the patient, who has a copy
    /// of those keys: gives the patient new ones, as [`succeed`](Self::succeed) does. Neither can do it alone: the
    /// present keys may be a thief's, and the hospital must not become the patient.
    ///
    /// The patient's keys are in this process, then. Where they must not be, the patient's part is a file:
    /// [`replace_with_consent`](Self::replace_with_consent).
    ///
    /// # Errors
    /// See [`SuccessionError`]. A patient who has no copy of their keys left has no way back yet.
    pub fn replace_patient_keys(
        &self,
        hospital: &Identity,
        patient: &Identity,
        password: &str,
    ) -> Result<(Identity, Succession), SuccessionError> {
        let next = patient.next(HpkeAlgorithm::XWing, &mut self.rng())?;
        let consent = patient.consent_to(&self.chain(), next.public());
        let record = self.sign(hospital, self.succession_to(&next, Some(consent)));
        let succession = self.put_next(record, patient, &next, password)?;
        Ok((next, succession))
    }

    /// Accepts a succession, with the next epoch of the patient's collection at this hospital. At others it stays:
    /// its readers have their keys there, and would be cut off from what comes.
    fn put_next(
        &self,
        record: SignedRecord,
        identity: &Identity,
        next: &Identity,
        password: &str,
    ) -> Result<Succession, SuccessionError> {
        let (member, id) = (next.id(), record.id());
        let mut records = vec![record];
        let mut collections = Vec::new();
        let mut moved = Vec::new();
        let here = self.hospital();
        if self.enrolment(&member, &here)?.is_some() {
            let next = self.succeeding_collection(identity, next, &here, &[])?;
            records.push(next.record.clone());
            moved.push(next);
            collections.push(here);
        }
        self.accept_next(next, password, || {
            self.accept(&records, |unit| {
                let mut moved = moved.iter();
                moved.try_for_each(|next| next.put(self, unit)).map_err(SuccessionError::Store)
            })
        })?;
        let to_renew = self.collections_to_renew(next)?;
        let elsewhere = match self.authenticate(next)? {
            Some(entry) => self.keepers_elsewhere(next, &entry)?,
            None => Vec::new(),
        };
        Ok(Succession { member, record: id, collections, to_renew, elsewhere })
    }

    /// Suspends a member's keys, as the member or as the hospital that registered them: a device was lost. From
    /// then on the keys sign nothing and open nothing, until others succeed them.
    ///
    /// Whoever has the lost keys may have those of the groups the member is in. As the hospital, its groups move to
    /// their next keys with the suspension, without that member. Other groups are [stale](crate::Group::stale) from
    /// then on: nothing is granted to them before their own hospital [renews](Self::renew_stale_groups) them.
    ///
    /// # Errors
    /// See [`SuccessionError`].
    pub fn suspend(
        &self,
        author: &Identity,
        member: &MemberId,
    ) -> Result<RecordId, SuccessionError> {
        let record = self.sign(author, Suspend { member: *member });
        let id = record.id();
        let own =
            |group: &Group| group.members.contains(member) && group.entry.hospital == author.id();
        let groups: Vec<_> = self.groups()?.into_iter().filter(own).collect();
        let next = self.next_groups(author, &groups, Foreseen::Lost(member, &id))?;
        let records: Vec<_> =
            std::iter::once(record).chain(next.iter().map(|next| next.record.clone())).collect();
        self.accept(&records, |unit| -> Result<(), SuccessionError> {
            Ok(next.iter().try_for_each(|next| next.put(self, unit))?)
        })?;
        Ok(id)
    }

    /// As the hospital that registered a doctor, nurse or lab whose keys are suspended: gives them new keys, locked
    /// into an identity file with `password`, and the keys of the hospital's groups they belong to. What was granted to the
    /// keys that were lost is for the patients to grant again.
    ///
    /// # Errors
    /// See [`SuccessionError`]. A patient's keys change with the patient's consent only:
    /// [`replace_with_consent`](Self::replace_with_consent).
    pub fn replace_keys(
        &self,
        hospital: &Identity,
        member: &MemberId,
        password: &str,
    ) -> Result<(Identity, Succession), SuccessionError> {
        let mut rng = self.rng();
        let (signing, hpke) = (SigningKey::generate(&mut rng), HpkeSecretKey::generate(&mut rng));
        let next = Identity::with_id(*member, signing, hpke);
        let record = self.sign(hospital, self.succession_to(&next, None));
        let id = record.id();
        let to = next.public().hpke_key();
        let groups = self.groups()?.into_iter().filter(|group| group.members.contains(member));
        // A group's key is derived from its hospital's: those of others give it to these keys themselves.
        let (own, others): (Vec<_>, Vec<_>) =
            groups.partition(|group| group.entry.hospital == hospital.id());
        let mut elsewhere: Vec<_> = others.iter().map(|group| group.entry.hospital).collect();
        elsewhere.sort_unstable();
        elsewhere.dedup();
        // One whose key lay with the lost ones moves on; of another the member is given the present key.
        let (stale, own): (Vec<_>, Vec<_>) = own.into_iter().partition(|group| group.stale);
        let moved = self.next_groups(hospital, &stale, Foreseen::Given(member, &to))?;
        let given: Vec<_> = own
            .iter()
            .map(|group| {
                let epoch = group.entry.epoch;
                let place = member_place(&group.id, epoch, member);
                (place, self.wrap_secret(&place, &hospital.group_key(&group.id, epoch), &to))
            })
            .collect();
        let records: Vec<_> =
            std::iter::once(record).chain(moved.iter().map(|next| next.record.clone())).collect();
        self.accept_next(&next, password, || {
            self.accept(&records, |unit| {
                moved.iter().try_for_each(|next| next.put(self, unit))?;
                Ok(given.iter().try_for_each(|(place, kept)| self.put_secret(unit, place, kept))?)
            })
        })?;
        let (collections, to_renew) = (Vec::new(), Vec::new());
        Ok((next, Succession { member: *member, record: id, collections, to_renew, elsewhere }))
    }

    fn succession_to(&self, next: &Identity, consent: Option<Signature>) -> Succeed {
        let proof = next.prove_succession(&self.chain());
        Succeed { member: next.id(), next: next.public().clone(), proof, consent }
    }
}
