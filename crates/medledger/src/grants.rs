//! What every grant has in common: what is permitted, and the keys that are wrapped for it.

use crate::approve::{ApproveError, Approved, Key, ReaderKey};
use crate::attempts::Target;
use crate::audit::{AuditEvent, Noted};
use crate::delivery::{Parcel, Sent, Why};
use crate::ledger::Ledger;
use crate::mail::texts;
use crate::secrets::{Kept, KeyPlace};
use crate::slots::SlotPlace;
use crate::upload::Delivery;
use medledger_core::access_key::AccessKey;
use medledger_core::clock::Timestamp;
use medledger_core::dek::Dek;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, GroupId, MemberId, RecordId, RecordNonce, ReportId};
use medledger_core::key_slot::{KeyOwner, KeySlotRole};
use medledger_core::keys::{HpkePublicKey, HpkeSecretKey};
use medledger_core::record::{Grant, Grantee, GroupAt, Revoke, Scope, SignedRecord};
use medledger_core::registry::{Purpose, VoidCode};
use medledger_core::slot::{Slot, SlotRole};
use medledger_core::state::{ReportEntry, State};
use medledger_core::store::{StoreError, Unit};
use medledger_core::token::Token;

/// Who is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reader {
    /// One member.
    Member(MemberId),
    /// The members of a group, now and later; a role at a hospital is one.
    Group(GroupId),
}

impl From<MemberId> for Reader {
    fn from(member: MemberId) -> Self {
        Self::Member(member)
    }
}

impl From<GroupId> for Reader {
    fn from(group: GroupId) -> Self {
        Self::Group(group)
    }
}

/// What is permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permission {
    /// What may be read.
    pub scope: Scope,
    /// Who may read it.
    pub reader: Reader,
    /// What for.
    pub purpose: Purpose,
    /// Until when.
    pub until: Timestamp,
    /// How many times the reader may pass it on.
    pub delegate: u8,
}

impl Permission {
    /// Permission for `reader` to read `scope`, not to be passed on.
    #[must_use]
    pub fn new(
        scope: impl Into<Scope>,
        reader: impl Into<Reader>,
        purpose: Purpose,
        until: Timestamp,
    ) -> Self {
        Self { scope: scope.into(), reader: reader.into(), purpose, until, delegate: 0 }
    }

    /// The same, to be passed on so many times, each time by the one who received it.
    #[must_use]
    pub const fn delegable(mut self, times: u8) -> Self {
        self.delegate = times;
        self
    }
}

/// To whom the keys of a grant are wrapped.
pub(crate) struct Recipient {
    pub(crate) grantee: Grantee,
    pub(crate) key: HpkePublicKey,
    /// Whether it is a group whose key lay with keys that were lost: nothing is to be wrapped to it.
    pub(crate) stale: bool,
}

impl Recipient {
    /// The reader or, by its id, the group: what stands in a slot's place.
    pub(crate) fn id(&self) -> MemberId {
        grantee_id(&self.grantee)
    }
}

pub(crate) fn grantee_id(grantee: &Grantee) -> MemberId {
    match grantee {
        Grantee::Member(member) => *member,
        Grantee::Group(at) => MemberId::from_bytes(*at.group.as_bytes()),
    }
}

/// What a grant gives a key for, with that key in the open.
pub(crate) enum Opened {
    Report { id: ReportId, entry: ReportEntry, dek: Dek },
    Collection { hospital: MemberId, epoch: u32, secret: HpkeSecretKey },
}

/// Where a grant's keys lie, and what they are for.
pub(crate) struct Parties {
    pub(crate) reports: Vec<(ReportId, ReportEntry)>,
    pub(crate) recipient: Recipient,
    /// The hospital that keeps the slots.
    pub(crate) custodian: MemberId,
    /// The patient's newest collection key there, and its epoch.
    pub(crate) collection: (u32, HpkePublicKey),
    /// The patient's own key.
    pub(crate) patient: HpkePublicKey,
}

/// An access key, and the patient's own public key to which a copy of it is wrapped: not the collection's, which
/// readers of the collection have as well.
#[derive(Clone, Copy)]
pub(crate) struct TypedKey<'a> {
    pub(crate) key: &'a AccessKey,
    pub(crate) patient: &'a HpkePublicKey,
}

/// The keys of one grant, wrapped and ready to be stored.
#[derive(Default)]
pub(crate) struct Wrapped {
    slots: Vec<(SlotPlace, Slot)>,
    secrets: Vec<(KeyPlace, Kept)>,
}

impl Wrapped {
    pub(crate) fn append(&mut self, mut other: Self) {
        self.slots.append(&mut other.slots);
        self.secrets.append(&mut other.secrets);
    }

    pub(crate) fn put(&self, ledger: &Ledger, unit: &mut dyn Unit) -> Result<(), StoreError> {
        for (place, slot) in &self.slots {
            ledger.put_slot(unit, place, slot)?;
        }
        for (place, kept) in &self.secrets {
            ledger.put_secret(unit, place, kept)?;
        }
        Ok(())
    }
}

/// A grant that was signed, with all that is stored beside it.
pub(crate) struct Signed {
    pub(crate) grant: GrantId,
    pub(crate) record: SignedRecord,
    pub(crate) wrapped: Wrapped,
    pub(crate) access_key: Option<AccessKey>,
}

impl Ledger {
    /// Permits, as the patient; `instead` of a grant that is taken back with it.
    pub(crate) fn give(
        &self,
        patient: &Identity,
        permission: Permission,
        key: &Key<'_>,
        reader_key: ReaderKey,
        request: Option<RecordId>,
        instead: Option<GrantId>,
    ) -> Result<Approved, ApproveError> {
        // The chain judges by its own time, which lies behind.
        if permission.until <= self.now() {
            return Err(ApproveError::Refused(VoidCode::Expired));
        }
        self.acting(patient)?.map_err(ApproveError::Refused)?;
        let parties = self.parties(&patient.id(), &permission)?;
        let opened = self.opened_by_patient(patient, &permission.scope, &parties, key)?;
        let nonce = RecordNonce::random(&mut self.rng());
        let signed = self.sign_grant(
            &patient.id(),
            &patient.id(),
            nonce,
            &opened,
            &parties,
            reader_key,
            |grant| {
                let body = Grant {
                    scope: permission.scope.clone(),
                    reader: parties.recipient.grantee,
                    purpose: permission.purpose,
                    until: permission.until,
                    custodian: parties.custodian,
                    token: grant,
                    request,
                    delegate: permission.delegate,
                };
                self.sign_with_nonce(patient, nonce, body)
            },
        );
        self.accept_grant(patient, signed, permission, instead)
    }

    /// Wraps keys for a grant by `author` on what `patient` has, and lets `record` be signed over the hash of
    /// its token.
    #[expect(clippy::too_many_arguments, reason = "each names another party")]
    pub(crate) fn sign_grant(
        &self,
        author: &MemberId,
        patient: &MemberId,
        nonce: RecordNonce,
        opened: &[Opened],
        parties: &Parties,
        reader_key: ReaderKey,
        record: impl FnOnce(Option<medledger_core::ids::TokenHash>) -> SignedRecord,
    ) -> Signed {
        let grant = GrantId::derive(author, &nonce);
        let by_name = matches!(parties.recipient.grantee, Grantee::Member(_));
        let access_key = (by_name && reader_key == ReaderKey::Access)
            .then(|| AccessKey::generate(&mut self.rng()));
        let hash = |key: &AccessKey| Token::derive(key, &grant).hash(&self.chain(), &grant);
        let token = access_key.as_ref().map(hash);
        let wrapped = self.wrap_for(patient, &grant, opened, parties, access_key.as_ref());
        Signed { grant, record: record(token), wrapped, access_key }
    }

    fn wrap_for(
        &self,
        patient: &MemberId,
        grant: &GrantId,
        opened: &[Opened],
        parties: &Parties,
        access_key: Option<&AccessKey>,
    ) -> Wrapped {
        let recipient = &parties.recipient;
        let access_key = access_key.map(|key| TypedKey { key, patient: &parties.patient });
        let mut wrapped = Wrapped::default();
        for item in opened {
            match item {
                Opened::Report { id, entry, dek } => {
                    let reader = recipient.id();
                    let role = SlotRole::Grant;
                    let place = SlotPlace::current(*id, entry, role, Some(*grant), reader);
                    let to = &recipient.key;
                    self.wrap_report(&mut wrapped, place, entry, dek, to, access_key);
                }
                Opened::Collection { hospital, epoch, secret } => {
                    let owner = KeyOwner::Collection { patient: *patient, hospital: *hospital };
                    self.wrap_collection(
                        &mut wrapped,
                        owner,
                        *epoch,
                        grant,
                        secret,
                        recipient,
                        access_key,
                    );
                }
            }
        }
        wrapped
    }

    /// A report's key for one reader; where they have an access key, that too, for the patient.
    pub(crate) fn wrap_report(
        &self,
        wrapped: &mut Wrapped,
        place: SlotPlace,
        entry: &ReportEntry,
        dek: &Dek,
        reader: &HpkePublicKey,
        access_key: Option<TypedKey<'_>>,
    ) {
        let mut rng = self.rng();
        let context = self.slot_context(&place, entry.envelope);
        let slot = match access_key {
            Some(typed) => Slot::wrap_with_access_key(dek, typed.key, &context),
            None => Slot::wrap_to(dek, reader, &context, &mut rng),
        };
        wrapped.slots.push((place, slot));
        if let Some(TypedKey { key, patient }) = access_key {
            let place = SlotPlace { role: SlotRole::AccessKey, ..place };
            let context = self.slot_context(&place, entry.envelope);
            wrapped.slots.push((place, Slot::wrap_access_key(key, patient, &context, &mut rng)));
        }
    }

    /// A collection's key for one reader or group; where the reader has an access key, that too, for the
    /// patient.
    #[expect(clippy::too_many_arguments, reason = "each is another key or place")]
    pub(crate) fn wrap_collection(
        &self,
        wrapped: &mut Wrapped,
        owner: KeyOwner,
        epoch: u32,
        grant: &GrantId,
        secret: &HpkeSecretKey,
        recipient: &Recipient,
        access_key: Option<TypedKey<'_>>,
    ) {
        let (grant, reader) = (Some(*grant), Some(recipient.id()));
        let place = KeyPlace { owner, epoch, role: KeySlotRole::Collection, grant, reader };
        let kept = match access_key {
            Some(typed) => self.wrap_secret_with(&place, secret, typed.key),
            None => self.wrap_secret(&place, secret, &recipient.key),
        };
        wrapped.secrets.push((place, kept));
        if let Some(TypedKey { key, patient }) = access_key {
            let place = KeyPlace { role: KeySlotRole::AccessKey, ..place };
            let kept = self.wrap_access_key(&place, key, patient);
            wrapped.secrets.push((place, kept));
        }
    }

    /// Accepts a grant with its slots and its letter, `instead` of one that is taken back in the same unit.
    pub(crate) fn accept_grant(
        &self,
        author: &Identity,
        signed: Signed,
        permission: Permission,
        instead: Option<GrantId>,
    ) -> Result<Approved, ApproveError> {
        let Signed { grant, record, wrapped, access_key } = signed;
        let id = record.id();
        let mut records = Vec::new();
        let mut gone = Vec::new();
        if let Some(old) = &instead {
            records.push(self.sign(author, Revoke { grant: *old }));
            gone = self.grant_and_descendants(old)?;
        }
        records.push(record);
        let sent = self.accept(&records, |unit| -> Result<Option<Sent>, ApproveError> {
            for (old, entry) in &gone {
                self.remove_grant_slots(unit, old, entry)?;
            }
            if let Some(old) = instead {
                let noted = Noted::of(&author.id(), Target::Grant(old));
                self.audit(unit, AuditEvent::KeyRenewed, &noted)?;
            }
            wrapped.put(self, unit)?;
            let Reader::Member(reader) = &permission.reader else { return Ok(None) };
            let scope = &permission.scope;
            if let Some(key) = &access_key {
                let grant = Some((&grant, permission.until));
                let parcel = Parcel { owner: reader, scope, grant, key, why: Why::Added };
                return Ok(Some(self.deliver(unit, &parcel)?));
            }
            // To a reader with an identity the letter is a notice: nothing has to be delivered.
            let contact = self.contact(unit, reader)?;
            if let Some(address) = contact.email.as_deref().filter(|_| self.sends_mail()) {
                let (what, label) = self.describe_scope(unit, scope)?;
                let until = permission.until;
                let text = texts::access_granted(&contact, address, &what, &label, until, None);
                self.enqueue(unit, &text)?;
            }
            Ok(None)
        })?;
        let delivery = match (sent, access_key) {
            (Some(sent), Some(key)) => self.delivered(sent, key),
            _ => {
                self.try_mail();
                Delivery::None
            }
        };
        Ok(Approved { grant, record: id, permission, delivery })
    }

    /// A scope in words: what it is by id, and what people call it.
    pub(crate) fn describe_scope(
        &self,
        view: &dyn medledger_core::store::View,
        scope: &Scope,
    ) -> Result<(String, String), StoreError> {
        Ok(match scope {
            Scope::Report(report) => (report.to_string(), self.label(view, report)?),
            Scope::Collection(hospital) => {
                let name = self.contact(view, hospital)?.name;
                (hospital.to_string(), format!("all reports at {name}"))
            }
            Scope::Reports(several) => {
                let reports = several.as_slice();
                let labels = reports
                    .iter()
                    .map(|report| self.label(view, report))
                    .collect::<Result<Vec<_>, _>>()?;
                let ids: Vec<_> = reports.iter().map(ReportId::to_string).collect();
                (ids.join(", "), labels.join(", "))
            }
        })
    }

    /// The reports, the reader's public key and the custodian, judged as the chain will.
    pub(crate) fn parties(
        &self,
        patient: &MemberId,
        permission: &Permission,
    ) -> Result<Parties, ApproveError> {
        let view = self.view()?;
        let mut found = Err(ApproveError::Refused(VoidCode::UnknownReport));
        self.engine().with_pending(view.as_ref(), &mut |state| {
            found = find_parties(&State::new(state), patient, permission)?;
            Ok(())
        })?;
        found
    }

    fn opened_by_patient(
        &self,
        patient: &Identity,
        scope: &Scope,
        parties: &Parties,
        key: &Key<'_>,
    ) -> Result<Vec<Opened>, ApproveError> {
        if let Scope::Collection(hospital) = scope {
            if matches!(key, Key::Access(_)) {
                return Err(ApproveError::NeedsIdentity);
            }
            if *hospital != self.hospital() {
                return Err(ApproveError::OtherHospital(*hospital));
            }
            let (epoch, public) = &parties.collection;
            let secret = crate::collections::newest_secret(patient, hospital, *epoch, public)?;
            return Ok(vec![Opened::Collection { hospital: *hospital, epoch: *epoch, secret }]);
        }
        let open = |(id, entry): &(ReportId, ReportEntry)| {
            let dek = self.patient_dek(patient, id, entry, key)?;
            Ok(Opened::Report { id: *id, entry: entry.clone(), dek })
        };
        parties.reports.iter().map(open).collect()
    }
}

type Judged = Result<Parties, ApproveError>;

fn find_parties(
    state: &State<'_>,
    patient: &MemberId,
    permission: &Permission,
) -> Result<Judged, StoreError> {
    let refused = |code| Ok(Err(ApproveError::Refused(code)));
    let mut reports = Vec::new();
    let mut hospitals = Vec::new();
    for id in permission.scope.reports() {
        match state.report(id)? {
            Some(entry) if entry.patient == *patient => {
                hospitals.push(entry.hospital);
                reports.push((*id, entry));
            }
            _ => return refused(VoidCode::UnknownReport),
        }
    }
    if let Scope::Collection(hospital) = &permission.scope {
        hospitals.push(*hospital);
    }
    hospitals.dedup();
    let &[custodian] = hospitals.as_slice() else {
        return Ok(Err(ApproveError::SeveralHospitals));
    };
    let Some(enrolment) = state.enrolment(patient, &custodian)? else {
        return refused(VoidCode::NotEnrolled);
    };
    let recipient = match &permission.reader {
        Reader::Member(reader) => match state.member(reader)? {
            None => return refused(VoidCode::UnknownMember),
            Some(member) if !member.role.reads() => return refused(VoidCode::WrongRole),
            Some(member) if member.suspended.is_some() => {
                return refused(VoidCode::SuspendedReader);
            }
            Some(member) => {
                let (grantee, key) = (Grantee::Member(*reader), member.identity.hpke_key());
                Recipient { grantee, key, stale: false }
            }
        },
        Reader::Group(group) => match state.group(group)? {
            None => return refused(VoidCode::UnknownGroup),
            Some(entry) if state.is_stale(group, &entry)? => return refused(VoidCode::StaleGroup),
            Some(entry) => {
                let at = GroupAt { group: *group, epoch: entry.epoch };
                Recipient { grantee: Grantee::Group(at), key: entry.key, stale: false }
            }
        },
    };
    let Some(owner) = state.member(patient)? else {
        return refused(VoidCode::UnknownMember);
    };
    let (collection, patient) = ((enrolment.epoch, enrolment.key), owner.identity.hpke_key());
    Ok(Ok(Parties { reports, recipient, custodian, collection, patient }))
}
