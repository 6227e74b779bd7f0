//! Rotate: a report is sealed anew under another key, for the patient and the readers who remain.
//!
//! Who was cut off keeps what they copied: an old key opens the old ciphertext for ever, wherever that is
//! still kept. Nothing that is released from here on opens with it.

use crate::approve::{ApproveError, Key};
use crate::attempts::{Refusal, Target};
use crate::audit::AuditEvent;
use crate::delivery::{Parcel, Sent, Why};
use crate::grants::{TypedKey, Wrapped};
use crate::ledger::{Blocks, Ledger};
use crate::open_report::OpenReportError;
use crate::secrets::with_any_key;
use crate::slots::SlotPlace;
use crate::upload::Delivery;
use medledger_core::access_key::AccessKey;
use medledger_core::clock::Timestamp;
use medledger_core::dek::Dek;
use medledger_core::engine::SubmitError;
use medledger_core::envelope::{Envelope, EnvelopeError, Metadata, MetadataError, seal_meta};
use medledger_core::identity::Identity;
use medledger_core::ids::{MemberId, RecordId, ReportId};
use medledger_core::keys::HpkePublicKey;
use medledger_core::record::{Confirm, Grantee, Rotate, Scope};
use medledger_core::registry::{CipherSuite, VoidCode};
use medledger_core::seal::{Backend, UnsealReader};
use medledger_core::slot::{Slot, SlotError, SlotRole};
use medledger_core::state::{ReportEntry, RotationEntry, State};
use medledger_core::store::{Drawer, StoreError, Unit};
use medledger_ipfs::Processor;
use medledger_ipfs::pipeline::{PipelineError, SealJob, SealedBody, seal_file};
use medledger_ipfs::store::{Keep, Reason};
use medledger_ipfs::unixfs::{FileReader, Profile};
use std::io::Read;
use std::sync::Arc;

/// A rotation that was accepted and waits for the hospital's confirmation.
#[derive(Debug)]
pub struct Rotated {
    /// The report.
    pub report: ReportId,
    /// The record; the hospital's confirmation names it.
    pub record: RecordId,
    /// The epoch that begins with the confirmation.
    pub epoch: u32,
    /// Bytes of plaintext sealed anew.
    pub length: u64,
    /// Grants whose readers were given the new key; those on the collection need none.
    pub readers: usize,
    /// How the patient gets a new access key, only where the one they have is not known here.
    pub delivery: Delivery,
}

/// What became of a rotation that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Both open to the same: this record makes it take effect.
    Same(RecordId),
    /// They do not open to the same: it is not confirmed, and has no effect.
    Differs,
    /// This node was not given the keys to compare.
    NoKeys,
}

/// Why a report was not rotated, or a rotation not confirmed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// There is no such report of this patient.
    #[error("{0} (code {code})", code = .0.code())]
    Refused(VoidCode),
    /// The report's present key or content cannot be had.
    #[error(transparent)]
    Open(#[from] OpenReportError),
    /// It could not be sealed or stored.
    #[error(transparent)]
    Seal(#[from] PipelineError),
    /// The new envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The store of blocks failed.
    #[error(transparent)]
    Blocks(#[from] medledger_ipfs::store::StoreError),
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ApproveError> for RotateError {
    fn from(error: ApproveError) -> Self {
        match error {
            ApproveError::Refused(code) => Self::Refused(code),
            other => Self::Open(other.into()),
        }
    }
}

impl From<SlotError> for RotateError {
    fn from(error: SlotError) -> Self {
        Self::Open(error.into())
    }
}

impl Refusal for RotateError {
    fn event(&self) -> Option<AuditEvent> {
        match self {
            Self::Open(error) => error.event(),
            Self::Refused(VoidCode::UnknownReport) => Some(AuditEvent::NoPermission),
            _ => None,
        }
    }

    fn told(self) -> Self {
        match self {
            Self::Open(error) => Self::Open(error.told()),
            Self::Refused(VoidCode::UnknownReport) => Self::Open(OpenReportError::NoAccess),
            other => other,
        }
    }

    fn too_many(until: Timestamp) -> Self {
        Self::Open(OpenReportError::TooMany { until })
    }
}

type Body = UnsealReader<FileReader<Arc<Blocks>>>;

impl Ledger {
    /// Seals a report anew under a fresh key, for the patient and for all whose grants are live. It takes
    /// effect when the hospital [confirms](Ledger::confirm_rotations) that the content stayed; until then the
    /// old key is in use, and doing it again replaces what was not finished.
    ///
    /// # Errors
    /// See [`RotateError`].
    pub fn rotate(
        &self,
        patient: &Identity,
        report: &ReportId,
        key: &Key<'_>,
    ) -> Result<Rotated, RotateError> {
        self.limited(patient, Target::Report(*report), key, || {
            self.rotate_once(patient, report, key)
        })
    }

    fn rotate_once(
        &self,
        patient: &Identity,
        report: &ReportId,
        key: &Key<'_>,
    ) -> Result<Rotated, RotateError> {
        let unknown = || RotateError::Refused(VoidCode::UnknownReport);
        self.authenticate(patient)?.ok_or(RotateError::Refused(VoidCode::UnknownAuthor))?;
        let entry = self.report_entry(report)?.filter(|entry| entry.patient == patient.id());
        let entry = entry.ok_or_else(unknown)?;
        let old = self.patient_dek(patient, report, &entry, key)?;
        let (metadata, mut source) = self.unsealed(report, &entry, &old, Backend::best())?;

        let under_way = self.under_way().begin(*report);
        let epoch = entry.epoch.checked_add(1).ok_or(RotateError::Refused(VoidCode::WrongEpoch))?;
        let collection = self.enrolment(&entry.patient, &entry.hospital)?;
        let (collection, to) = collection.ok_or(RotateError::Refused(VoidCode::NotEnrolled))?;
        let mut next = ReportEntry { epoch, collection, ..entry.clone() };
        let dek = Dek::generate(&mut self.rng());
        let body = self.seal_anew(report, &mut next, &dek, &metadata, &mut source)?;

        let (wrapped, access_key, readers) =
            self.wrap_anew(patient, report, &entry, &next, (&old, &dek), &to, key)?;
        let confirm = self.slots_to_confirm(report, [(&entry, &old), (&next, &dek)])?;
        let statement = Rotate {
            report: *report,
            version: entry.version,
            epoch,
            envelope: next.envelope,
            collection,
        };
        let record = self.sign(patient, statement);
        let id = record.id();
        let accepted = self.accept(&[record], |unit| -> Result<Option<Sent>, RotateError> {
            wrapped.put(self, unit)?;
            confirm.iter().try_for_each(|(place, slot)| self.put_slot(unit, place, slot))?;
            unit.set_local(Drawer::Node, &mark(&entry.patient, report), None)?;
            let Some(key) = &access_key else { return Ok(None) };
            let (owner, scope) = (&entry.patient, Scope::Report(*report));
            let parcel = Parcel { owner, scope: &scope, grant: None, key, why: Why::Rotated };
            Ok(Some(self.deliver(unit, &parcel)?))
        });
        let sent = accepted.inspect_err(|_| {
            let reason = Reason::Report(*report);
            if let Err(error) = self.blocks().release(&next.envelope, &reason) {
                tracing::warn!(%error, cid = %next.envelope, "a pin without record stays");
            }
        })?;
        drop(under_way);
        let delivery = match (sent, access_key) {
            (Some(sent), Some(key)) => self.delivered(sent, key),
            _ => Delivery::None,
        };
        let report = *report;
        Ok(Rotated { report, record: id, epoch, length: body.length, readers, delivery })
    }

    /// Notes reports to be rotated later: each by the next [`Ledger::rotate_marked`]. Reports in `scope` that
    /// are marked already stay so.
    ///
    /// # Errors
    /// See [`RotateError`].
    pub fn mark_for_rotation(
        &self,
        patient: &Identity,
        scope: &Scope,
    ) -> Result<usize, RotateError> {
        self.authenticate(patient)?.ok_or(RotateError::Refused(VoidCode::UnknownAuthor))?;
        let reports = self.own_reports(&patient.id(), scope)?;
        let mut unit = self.store().unit()?;
        for report in &reports {
            unit.set_local(Drawer::Node, &mark(&patient.id(), report), Some(&[]))?;
        }
        unit.commit()?;
        Ok(reports.len())
    }

    /// The reports of a patient that are marked to be rotated.
    ///
    /// # Errors
    /// When the store fails.
    pub fn marked_for_rotation(&self, patient: &MemberId) -> Result<Vec<ReportId>, StoreError> {
        let prefix = [ROTATE, patient.as_bytes()].concat();
        let rows = self.view()?.local_scan(Drawer::Node, &prefix, None, usize::MAX)?;
        let id = |key: &[u8]| ReportId::try_from(&key[prefix.len()..]).ok();
        Ok(rows.iter().filter_map(|(key, _)| id(key)).collect())
    }

    /// Rotates up to `limit` of the reports that were marked, with the identity: what became of each, the last one
    /// being the first that failed. What was interrupted goes on with the next call: a mark goes with the record of
    /// its rotation.
    ///
    /// # Errors
    /// When the marks cannot be read.
    pub fn rotate_marked(
        &self,
        patient: &Identity,
        limit: usize,
    ) -> Result<Vec<Result<Rotated, RotateError>>, StoreError> {
        let mut outcomes = Vec::new();
        for report in self.marked_for_rotation(&patient.id())?.iter().take(limit) {
            // What is done may hold a new access key: it is not lost for what comes after.
            outcomes.push(self.rotate(patient, report, &Key::Identity));
            if matches!(outcomes.last(), Some(Err(_))) {
                break;
            }
        }
        Ok(outcomes)
    }

    /// As the hospital of these reports: opens the old and the new ciphertext of each rotation that waits,
    /// compares them, and confirms those that hold the same. With the confirmation the slots of the old
    /// epoch are destroyed.
    ///
    /// # Errors
    /// See [`RotateError`]; what was confirmed until then stays confirmed.
    pub fn confirm_rotations(
        &self,
        hospital: &Identity,
    ) -> Result<Vec<(ReportId, Confirmed)>, RotateError> {
        let view = self.view()?;
        let mut waiting = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for report in state.rotations()? {
                let (entry, rotation) = (state.report(&report)?, state.rotation(&report)?);
                if let (Some(entry), Some(rotation)) = (entry, rotation)
                    && entry.hospital == hospital.id()
                {
                    waiting.push((report, entry, rotation));
                }
            }
            Ok(())
        })?;
        drop(view);
        let confirm = |(report, entry, rotation): (ReportId, ReportEntry, RotationEntry)| {
            Ok((report, self.confirm_one(hospital, &report, &entry, &rotation)?))
        };
        waiting.into_iter().map(confirm).collect()
    }

    fn confirm_one(
        &self,
        hospital: &Identity,
        report: &ReportId,
        entry: &ReportEntry,
        rotation: &RotationEntry,
    ) -> Result<Confirmed, RotateError> {
        let next = ReportEntry {
            epoch: rotation.epoch,
            envelope: rotation.envelope,
            collection: rotation.collection,
            ..entry.clone()
        };
        let mut places = Vec::new();
        let mut bodies = Vec::new();
        for entry in [entry, &next] {
            let place = SlotPlace::current(*report, entry, SlotRole::Confirm, None, hospital.id());
            let Some(slot) = self.slot(self.view()?.as_ref(), &place)? else {
                return Ok(Confirmed::NoKeys);
            };
            let context = self.slot_context(&place, entry.envelope);
            let dek = slot.unwrap_with(hospital.hpke_secret_key(), &context)?;
            bodies.push(self.unsealed(report, entry, &dek, Backend::best())?);
            places.push(place);
        }
        let [(old_meta, old), (new_meta, new)] = &mut bodies[..] else {
            return Ok(Confirmed::NoKeys);
        };
        if old_meta != new_meta || !same(old, new)? {
            return Ok(Confirmed::Differs);
        }
        let record = self.sign(hospital, Confirm { record: rotation.record });
        let id = record.id();
        self.accept(&[record], |unit| -> Result<(), RotateError> {
            places.iter().try_for_each(|place| self.remove_slot(unit, place))?;
            self.remove_epoch(unit, report, entry)?;
            Ok(())
        })?;
        Ok(Confirmed::Same(id))
    }

    fn seal_anew(
        &self,
        report: &ReportId,
        next: &mut ReportEntry,
        dek: &Dek,
        metadata: &Metadata,
        source: &mut Body,
    ) -> Result<SealedBody, RotateError> {
        let context = next.body_context(report);
        let bytes = context.to_bytes();
        let job = SealJob {
            backend: Backend::best(),
            dek,
            context: &bytes,
            padding: self.settings().padding,
            profile: Profile::default(),
        };
        let processor = Processor::new(self.workers());
        let session = self.blocks().begin()?;
        let mut rng = self.rng();
        let body = seal_file(&job, source, &*session, &processor, &mut rng, &mut |_| {})?;
        let envelope = Envelope {
            suite: CipherSuite::Cobblestone128,
            body: body.root,
            size: body.size,
            head: body.head,
            meta: seal_meta(dek, &context.meta(body.root), metadata, &mut rng)
                .map_err(PipelineError::Seal)?,
        };
        next.envelope = envelope.cid();
        session.put(&next.envelope, &envelope.encode())?;
        session.finish(&[(next.envelope, Keep::since(Reason::Report(*report), self.now()))])?;
        Ok(body)
    }

    /// The new key for the patient, in both ways, and for each live grant on the report itself.
    #[expect(clippy::too_many_arguments, reason = "each is another party or key")]
    fn wrap_anew(
        &self,
        patient: &Identity,
        report: &ReportId,
        entry: &ReportEntry,
        next: &ReportEntry,
        (old, dek): (&Dek, &Dek),
        collection: &HpkePublicKey,
        key: &Key<'_>,
    ) -> Result<(Wrapped, Option<AccessKey>, usize), RotateError> {
        let mut wrapped = Wrapped::default();
        let own = SlotPlace::current(*report, entry, SlotRole::AccessKey, None, patient.id());
        let known = match key {
            Key::Access(key) => Some(AccessKey::from_bytes(*key.expose())),
            Key::Identity => self
                .kept_access_key(patient, entry, &own)?
                .filter(|key| self.opens_the_present(patient, report, entry, key, old)),
        };
        let fresh = known.is_none().then(|| AccessKey::generate(&mut self.rng()));
        let place = |role, grant, reader| SlotPlace::current(*report, next, role, grant, reader);
        let by_key = place(SlotRole::Patient, None, patient.id());
        let own = patient.public().hpke_key();
        let own_key = known.as_ref().or(fresh.as_ref()).map(|key| TypedKey { key, patient: &own });
        self.wrap_report(&mut wrapped, by_key, next, dek, collection, own_key);
        let by_collection = place(SlotRole::Collection, None, patient.id());
        self.wrap_report(&mut wrapped, by_collection, next, dek, collection, None);

        let fits = |grant: &medledger_core::state::GrantEntry| {
            grant.covers(report, entry) && !matches!(grant.scope, Scope::Collection(_))
        };
        let live = self.live_grants(&patient.id(), fits)?;
        for (id, grant, recipient) in &live {
            let reader = recipient.id();
            let kept = SlotPlace::current(*report, entry, SlotRole::AccessKey, Some(*id), reader);
            let access_key = match (&grant.reader, &grant.token) {
                // Anybody can wrap a key to a public one: it must be the one the ledger knows.
                (Grantee::Member(_), Some(_)) => self
                    .kept_access_key(patient, entry, &kept)?
                    .filter(|key| self.key_fits(id, grant, &Key::Access(key))),
                _ => None,
            };
            // A reader with an access key that is not known here cannot be given another: they ask again.
            if grant.token.is_some() && access_key.is_none() {
                tracing::warn!(grant = %id, "a reader's key is not kept here: they lose access");
                continue;
            }
            let place = place(SlotRole::Grant, Some(*id), reader);
            let key = access_key.as_ref().map(|key| TypedKey { key, patient: &own });
            self.wrap_report(&mut wrapped, place, next, dek, &recipient.key, key);
        }
        Ok((wrapped, fresh, live.len()))
    }

    /// Whether the key that was kept for the patient is the one of the present letter: no token on the ledger
    /// tells, but who does not know the report's key cannot make a slot of it.
    fn opens_the_present(
        &self,
        patient: &Identity,
        report: &ReportId,
        entry: &ReportEntry,
        key: &AccessKey,
        old: &Dek,
    ) -> bool {
        let opened = self.patient_dek(patient, report, entry, &Key::Access(key));
        let fits = opened.is_ok_and(|dek| dek == *old);
        if !fits {
            tracing::warn!(%report, "the patient's key that is kept here is not that of the letter");
        }
        fits
    }

    /// An access key that was wrapped for the patient, if it was.
    fn kept_access_key(
        &self,
        patient: &Identity,
        entry: &ReportEntry,
        place: &SlotPlace,
    ) -> Result<Option<AccessKey>, RotateError> {
        let view = self.view()?;
        let Some(slot) = self.slot(view.as_ref(), place)? else { return Ok(None) };
        let context = self.slot_context(place, entry.envelope);
        match with_any_key(patient, |own| slot.unwrap_access_key(own, &context)) {
            Ok(key) => Ok(Some(key)),
            Err(SlotError::WrongKeyOrMoved | SlotError::OtherSuite { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Both keys for the hospital, to compare what they open.
    fn slots_to_confirm(
        &self,
        report: &ReportId,
        keys: [(&ReportEntry, &Dek); 2],
    ) -> Result<Vec<(SlotPlace, Slot)>, RotateError> {
        let mut slots = Vec::new();
        for (entry, dek) in keys {
            let view = self.view()?;
            let hospital = State::new(view.as_ref()).member(&entry.hospital)?;
            let to = hospital.ok_or(RotateError::Refused(VoidCode::UnknownMember))?;
            let place = SlotPlace::current(*report, entry, SlotRole::Confirm, None, entry.hospital);
            let context = self.slot_context(&place, entry.envelope);
            let to = to.identity.hpke_key();
            slots.push((place, Slot::wrap_to(dek, &to, &context, &mut self.rng())));
        }
        Ok(slots)
    }

    /// Destroys every slot of a report's epoch.
    fn remove_epoch(
        &self,
        unit: &mut dyn Unit,
        report: &ReportId,
        entry: &ReportEntry,
    ) -> Result<(), StoreError> {
        let prefix = SlotPlace::prefix(report, entry.version, entry.epoch);
        for (key, _) in unit.local_scan(Drawer::Slots, &prefix, None, usize::MAX)? {
            unit.set_local(Drawer::Slots, &key, None)?;
        }
        Ok(())
    }

    /// The reports of a patient within a scope.
    fn own_reports(&self, patient: &MemberId, scope: &Scope) -> Result<Vec<ReportId>, RotateError> {
        let view = self.view()?;
        let mut found = Ok(Vec::new());
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            let ids = match scope {
                Scope::Collection(_) => state.reports_of(patient)?,
                listed => listed.reports().to_vec(),
            };
            let mut own = Vec::with_capacity(ids.len());
            for id in ids {
                match (state.report(&id)?.filter(|entry| entry.patient == *patient), scope) {
                    (Some(entry), Scope::Collection(at)) if entry.hospital != *at => {}
                    (Some(_), _) => own.push(id),
                    (None, _) => {
                        found = Err(RotateError::Refused(VoidCode::UnknownReport));
                        return Ok(());
                    }
                }
            }
            found = Ok(own);
            Ok(())
        })?;
        found
    }
}

/// Rows of reports to be rotated: patient, then report.
const ROTATE: &[u8] = b"rotate/";

fn mark(patient: &MemberId, report: &ReportId) -> Vec<u8> {
    [ROTATE, patient.as_bytes(), report.as_bytes()].concat()
}

/// Whether two streams hold the same bytes.
fn same(a: &mut impl Read, b: &mut impl Read) -> Result<bool, OpenReportError> {
    const PIECE: usize = 1 << 20;
    let (mut left, mut right) = (Vec::with_capacity(PIECE), Vec::with_capacity(PIECE));
    loop {
        left.clear();
        right.clear();
        let unsealed = |error| OpenReportError::from(medledger_core::seal::UnsealError::Io(error));
        a.by_ref().take(PIECE as u64).read_to_end(&mut left).map_err(unsealed)?;
        b.by_ref().take(PIECE as u64).read_to_end(&mut right).map_err(unsealed)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}
