//! A slot for a reader at another hospital: asked of its custodian, released once the reading is recorded there,
//! opened with the reader's own key where the reader is.

use crate::approve::Key;
use crate::attempts::{Refusal, Target};
use crate::audit::AuditEvent;
use crate::effort::{self, Tried};
use crate::grants::grantee_id;
use crate::groups::member_place;
use crate::ledger::Ledger;
use crate::open_report::{OpenReportError, OpenedReport};
use crate::refusals::Asker;
use crate::secrets::KeyPlace;
use crate::slots::{ReleasedSlots, SlotPlace, SlotSource};
use crate::suspension::Suspension;
use medledger_core::clock::Timestamp;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId, RecordId, ReportId};
use medledger_core::key_slot::{KeyOwner, KeySlotRole};
use medledger_core::record::{Body, Grantee, Read, Scope, SignedRecord};
use medledger_core::registry::limit;
use medledger_core::release::{ReleaseError, SlotRelease, SlotRequest};
use medledger_core::seal::Backend;
use medledger_core::slot::SlotRole;
use medledger_core::state::{GrantEntry, GrantStanding, MemberEntry, ReportEntry, State};
use medledger_core::store::{Row, Standing, StoreError};
use medledger_core::token::Token;

/// A request to be carried to the custodian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotAsk {
    /// The hospital that keeps the slot.
    pub custodian: MemberId,
    /// The reading that it will record.
    pub read: RecordId,
    /// The request, sealed to the custodian: a file or a message.
    pub bytes: Vec<u8>,
}

/// Why no slot was released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseSlotError {
    /// The message cannot be read, or is not for this hospital.
    #[error(transparent)]
    Message(#[from] ReleaseError),
    /// Nothing permits this reader to read this with what they showed, or it is not kept here: these look
    /// alike.
    #[error(
        "no access: there is no such report or permission here, or the key is not the one it came with"
    )]
    NoAccess,
    /// After too many failures nothing is tried until this time.
    #[error("too many failed attempts: nothing is tried before {}", crate::time::show_time(*.until))]
    TooMany {
        /// When it may be tried again.
        until: Timestamp,
    },
    /// The keys that signed the reading are suspended. Only who has them gets this answer, whatever they ask for: the
    /// suspension is on the ledger for all to see.
    #[error("the reader's keys are suspended {0}: they sign nothing and open nothing")]
    Suspended(Suspension),
    /// The reading was stated too long ago, or for a time too far ahead.
    #[error("the request is of {stated}, and a slot is released within {} minutes of that", limit::RELEASE_SECONDS / 60)]
    Stale {
        /// When the reader says it was, in seconds since 1970.
        stated: Timestamp,
    },
    /// The chain refuses the reading, or a store failed while it was judged. Nothing was released.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was released.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ReleaseSlotError {
    fn event(&self) -> Option<AuditEvent> {
        matches!(self, Self::NoAccess).then_some(AuditEvent::NoPermission)
    }

    fn told(self) -> Self {
        self
    }

    fn too_many(until: Timestamp) -> Self {
        Self::TooMany { until }
    }

    fn suspended(since: Suspension) -> Self {
        Self::Suspended(since)
    }
}

impl Ledger {
    /// Asks the custodian of a report for the slot: signs the reading and seals it, with the token of an access
    /// key, to that hospital. Nothing is recorded here; carry the bytes there.
    ///
    /// # Errors
    /// See [`OpenReportError`]: what this copy of the ledger knows to be in vain is not asked.
    pub fn ask_for_slot(
        &self,
        reader: &Identity,
        report: &ReportId,
        key: &Key<'_>,
    ) -> Result<SlotAsk, OpenReportError> {
        let (entry, grants) = self.readable(reader, report, key)?;
        let grant = grants.into_iter().next();
        let custodian = grant.as_ref().map_or(entry.hospital, |(_, grant)| grant.custodian);
        let token = match (&grant, key) {
            (Some((id, _)), Key::Access(key)) => Some(Token::derive(key, id)),
            _ => None,
        };
        let view = self.view()?;
        let head = medledger_core::chain::tip(view.as_ref())?.id;
        let hospital = State::new(view.as_ref()).member(&custodian)?;
        let to = hospital.ok_or(OpenReportError::NoSlot(custodian))?.identity.hpke_key();
        let grant = grant.map(|(id, _)| id);
        let read = self.sign(reader, Read { grant, report: *report, version: entry.version, head });
        let id = read.id();
        let bytes = SlotRequest { read, token }.seal(&custodian, &to, &mut self.rng());
        Ok(SlotAsk { custodian, read: id, bytes })
    }

    /// As the custodian: records the reading, durably, and then gives the slot, sealed to its reader. The same
    /// request is answered again while its time lasts; the reading is recorded once.
    ///
    /// # Errors
    /// See [`ReleaseSlotError`].
    pub fn release_slot(
        &self,
        hospital: &Identity,
        request: &[u8],
    ) -> Result<Vec<u8>, ReleaseSlotError> {
        let before = effort::spent();
        let SlotRequest { read, token } = SlotRequest::open(request, &self.chain(), hospital)?;
        let statement = read.record();
        let Body::Read(body) = &statement.body else { return Err(ReleaseSlotError::NoAccess) };
        let (now, stated) = (self.now(), statement.time);
        if now.as_secs().abs_diff(stated.as_secs()) > limit::RELEASE_SECONDS {
            return Err(ReleaseSlotError::Stale { stated });
        }
        let reader = statement.author;
        // Whoever is not the reader records nothing, and costs the reader no attempts; what they are answered, and
        // what that takes, is the same.
        let signed = self.is_signed_by_author(hospital, &read)?;
        let (target, id) = (Target::Report(body.report), read.id());
        let asker = if signed {
            self.unless_suspended::<ReleaseSlotError>(&reader, target)?;
            Asker::Member(reader)
        } else {
            Asker::Stranger(reader)
        };
        let tried = token.as_ref().map_or(Tried::Nothing, Tried::Token);
        let (member, entry, grant, stored) =
            self.limited_for(before, asker, target, tried, || {
                let found = if signed {
                    self.asked_for(hospital, &reader, body, token.as_ref())?
                } else {
                    None
                };
                let (member, entry, grant) = found.ok_or(ReleaseSlotError::NoAccess)?;
                let stored = self.view()?.record(&id)?.map(|stored| stored.standing);
                // It took no effect: nothing says that this was read.
                if matches!(stored, Some(Standing::Refused { .. })) {
                    return Err(ReleaseSlotError::NoAccess);
                }
                Ok((member, entry, grant, stored))
            })?;
        if stored.is_none() {
            self.accept(std::slice::from_ref(&read), |_| Ok::<_, ReleaseSlotError>(()))?;
        }
        let rows = self.rows_for(&reader, &body.report, &entry, grant.as_ref())?;
        let release = SlotRelease { read: id, rows };
        let to = member.identity.hpke_key();
        Ok(release.seal(&self.chain(), hospital, &reader, &to, &mut self.rng()))
    }

    /// Opens a report with a slot that its custodian released. The reading is recorded there already.
    ///
    /// # Errors
    /// See [`OpenReportError`]; `Release` when the release is not the custodian's or not for this reader.
    pub fn open_released(
        &self,
        reader: &Identity,
        report: &ReportId,
        key: &Key<'_>,
        release: &[u8],
    ) -> Result<OpenedReport, OpenReportError> {
        let (entry, grants) = self.readable(reader, report, key)?;
        let custodian = grants.first().map_or(entry.hospital, |(_, grant)| grant.custodian);
        let view = self.view()?;
        let hospital = State::new(view.as_ref()).member(&custodian)?;
        let by = hospital.ok_or(OpenReportError::NoSlot(custodian))?.identity.signing_key();
        let release = SlotRelease::open(release, &self.chain(), reader, &by)?;
        let slots = ReleasedSlots(release.rows.into_iter().collect());
        let (under, dek) = if grants.is_empty() {
            (None, self.patient_dek_in(&slots, reader, report, &entry, key)?)
        } else {
            self.first_that_unwraps(&slots, reader, report, &entry, &grants, key)?
        };
        self.opened(release.read, under, report, &entry, &dek, Backend::best())
    }

    /// The report and the grants by which this member may read it now, the one to ask under first; none for its patient.
    fn readable(
        &self,
        reader: &Identity,
        report: &ReportId,
        key: &Key<'_>,
    ) -> Result<(ReportEntry, Vec<(GrantId, GrantEntry)>), OpenReportError> {
        let member = self.reading_member(reader)?;
        let entry = self.report_entry(report)?.ok_or(OpenReportError::NoAccess)?;
        if entry.patient == reader.id() {
            return Ok((entry, Vec::new()));
        }
        let mut grants = self.live_grants_for(&reader.id(), &member, report, &entry, key)?;
        // A request names one grant, and no slot is here to be tried: those wrapped to lost keys come last.
        let mut present = Vec::with_capacity(grants.len());
        for (id, grant) in &grants {
            if self.is_wrapped_to_present(&member, grant, key)? {
                present.push(*id);
            }
        }
        grants.sort_by_key(|(id, _)| !present.contains(id));
        Ok((entry, grants))
    }

    /// Whether the ledger shows that what this grant gives was wrapped for a key that its reader has now. Where it does not,
    /// a key of before may open it all the same.
    fn is_wrapped_to_present(
        &self,
        member: &MemberEntry,
        grant: &GrantEntry,
        key: &Key<'_>,
    ) -> Result<bool, StoreError> {
        let view = self.view()?;
        match (&grant.reader, key) {
            (Grantee::Group(at), _) => {
                let state = State::new(view.as_ref());
                Ok(match state.group(&at.group)? {
                    Some(group) => !state.is_stale(&at.group, &group)?,
                    None => false,
                })
            }
            (Grantee::Member(_), Key::Access(_)) => Ok(true),
            (Grantee::Member(_), Key::Identity) => {
                let Some(keys) = &member.succession else { return Ok(true) };
                let given = view.record(&grant.record)?.map(|stored| stored.standing);
                Ok(matches!(given, Some(Standing::Mined { height, .. }) if height > keys.since))
            }
        }
    }

    /// Whether a record is by the member it names. Where there is no such member a key is tried all the same.
    fn is_signed_by_author(
        &self,
        hospital: &Identity,
        record: &SignedRecord,
    ) -> Result<bool, StoreError> {
        let author = self.member_entry(&record.record().author)?;
        let key = match &author {
            Some(author) => author.identity.signing_key(),
            None => hospital.public().signing_key(),
        };
        effort::check();
        let fits = record.verify(&key).is_ok();
        Ok(author.is_some() && fits)
    }

    /// A member, what waits to be mined included.
    pub(crate) fn member_entry(
        &self,
        member: &MemberId,
    ) -> Result<Option<MemberEntry>, StoreError> {
        let view = self.view()?;
        let mut found = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            found = State::new(state).member(member)?;
            Ok(())
        })?;
        Ok(found)
    }

    /// The reader, the report and the grant, if what is asked for is kept here and the reader may have it.
    #[expect(clippy::type_complexity, reason = "used once, right above")]
    fn asked_for(
        &self,
        hospital: &Identity,
        reader: &MemberId,
        body: &Read,
        token: Option<&Token>,
    ) -> Result<Option<(MemberEntry, ReportEntry, Option<(GrantId, GrantEntry)>)>, StoreError> {
        let view = self.view()?;
        let now = self.now().max(medledger_core::chain::tip(view.as_ref())?.median_time);
        let mined = State::new(view.as_ref());
        let mut found = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            let (Some(member), Some(entry)) = (state.member(reader)?, state.report(&body.report)?)
            else {
                return Ok(());
            };
            if member.suspended.is_some() {
                return Ok(());
            }
            let Some(id) = &body.grant else {
                if entry.patient == *reader && entry.hospital == hospital.id() {
                    found = Some((member, entry, None));
                }
                return Ok(());
            };
            let Some(grant) = state.grant(id)? else { return Ok(()) };
            let shown = match (&grant.token, token) {
                (Some(hash), Some(token)) => {
                    effort::token();
                    token.matches(&self.chain(), id, hash)
                }
                (None, None) => true,
                _ => false,
            };
            let live = shown
                && grant.custodian == hospital.id()
                && grant.covers(&body.report, &entry)
                && state.is_for(&grant, reader, &member)?
                && state.standing(&grant, now)? == GrantStanding::Live
                && mined.grant(id)?.is_some();
            if live {
                found = Some((member, entry, Some((*id, grant))));
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The rows by which this reader opens this report, and no others.
    fn rows_for(
        &self,
        reader: &MemberId,
        report: &ReportId,
        entry: &ReportEntry,
        grant: Option<&(GrantId, GrantEntry)>,
    ) -> Result<Vec<Row>, StoreError> {
        let current =
            |role, grant, reader| SlotPlace::current(*report, entry, role, grant, reader).key();
        let owner = KeyOwner::Collection { patient: entry.patient, hospital: entry.hospital };
        let newest = self.enrolment(&entry.patient, &entry.hospital)?.map_or(1, |(epoch, _)| epoch);
        let way_back = |owner, from: u32, to: u32| {
            (to.saturating_add(1)..=from).map(move |epoch| KeyPlace::before(owner, epoch).key())
        };
        let mut keys = Vec::new();
        match grant {
            None => {
                keys.push(current(SlotRole::Patient, None, *reader));
                keys.push(current(SlotRole::Collection, None, *reader));
                keys.extend(way_back(owner, newest, entry.collection));
            }
            Some((id, grant)) => {
                let grantee = grantee_id(&grant.reader);
                if let Scope::Collection(_) = grant.scope {
                    let (role, id, reader) = (KeySlotRole::Collection, Some(*id), Some(grantee));
                    let place = |epoch| KeyPlace { owner, epoch, role, grant: id, reader };
                    keys.extend((1..=newest).map(|epoch| place(epoch).key()));
                    keys.push(current(SlotRole::Collection, None, entry.patient));
                    keys.extend(way_back(owner, newest, entry.collection));
                } else {
                    keys.push(current(SlotRole::Grant, Some(*id), grantee));
                }
                if let Grantee::Group(at) = &grant.reader
                    && let Some(group) = self.group(&at.group)?
                {
                    let epoch = group.entry.epoch;
                    keys.push(member_place(&at.group, epoch, reader).key());
                    keys.extend(way_back(KeyOwner::Group(at.group), epoch, at.epoch));
                }
            }
        }
        let view = self.view()?;
        let slots = self.stored_slots(view.as_ref());
        let mut rows = Vec::new();
        for key in keys {
            if let Some(row) = slots.row(&key)? {
                rows.push((key, row.to_vec()));
            }
        }
        Ok(rows)
    }
}
