//! The steps of one report: what speaks against it, its envelope and slots, its record.

use super::{Remembered, Tee, Upload, UploadError, UploadOptions, Uploaded};
use crate::blocks::UploadGuard;
use crate::delivery::{Parcel, Sent, Why};
use crate::idempotency::{IdempotencyError, Idempotent};
use crate::ledger::Ledger;
use crate::slots::SlotPlace;
use medledger_core::Cid;
use medledger_core::access_key::AccessKey;
use medledger_core::context::BodyContext;
use medledger_core::dek::Dek;
use medledger_core::envelope::{Envelope, Metadata, seal_meta};
use medledger_core::identity::Identity;
use medledger_core::ids::{MemberId, RecordNonce, ReportId};
use medledger_core::keys::HpkePublicKey;
use medledger_core::record::{AddReport, Scope, SignedRecord};
use medledger_core::registry::{CipherSuite, VoidCode};
use medledger_core::slot::{Slot, SlotRole};
use medledger_core::state::State;
use medledger_core::store::Unit;
use medledger_ipfs::pipeline::SealedBody;
use medledger_ipfs::store::Session;
use std::io::Read;

/// A report that nothing speaks against so far.
pub(super) struct Draft<'a> {
    /// Its place among the outcomes.
    pub(super) place: usize,
    pub(super) patient: MemberId,
    /// The patient's newest collection key, and its epoch.
    pub(super) collection: (u32, HpkePublicKey),
    /// The patient's own key.
    pub(super) own: HpkePublicKey,
    pub(super) options: UploadOptions,
    pub(super) source: Tee<Box<dyn Read + Send + 'a>>,
    pub(super) nonce: RecordNonce,
    pub(super) context: BodyContext,
    pub(super) context_bytes: Vec<u8>,
    pub(super) dek: Dek,
}

/// A report that is stored, but on no ledger yet.
pub(super) struct Stored<'l> {
    pub(super) place: usize,
    pub(super) patient: MemberId,
    pub(super) once: Option<Idempotent>,
    pub(super) report: ReportId,
    pub(super) envelope: Envelope,
    pub(super) envelope_cid: Cid,
    pub(super) length: u64,
    pub(super) record: SignedRecord,
    pub(super) access_key: AccessKey,
    pub(super) slots: [(SlotPlace, Slot); 3],
    /// Until the record is accepted or refused, no collection releases the pin.
    pub(super) _under_way: UploadGuard<'l>,
}

/// A report on the ledger.
pub(super) struct Accepted {
    pub(super) remembered: Remembered,
    /// What was done with its key.
    pub(super) sent: Sent,
}

/// What became of an upload before its first byte was sealed.
pub(super) enum Drafted<'a> {
    New(Box<Draft<'a>>),
    /// The same request was answered before.
    Known(Uploaded),
}

impl Ledger {
    /// What can be refused is refused before the first byte is read.
    pub(super) fn draft<'a>(
        &self,
        author: &Identity,
        upload: Upload<'a>,
        place: usize,
    ) -> Result<Drafted<'a>, UploadError> {
        let Upload { patient, mut source, options, .. } = upload;
        Metadata::new(&options.file_name, &options.media_type, 0)?.with_note(&options.note)?;
        let mut once = match &options.idempotency_key {
            None => None,
            Some(key) => Some(self.upload_once(author, &patient, key, &options)?),
        };
        if let Some(once) = &mut once
            && let Some(remembered) = once.remembered::<Remembered>(self.view()?.as_ref(), self)?
        {
            once.hash_all(&mut source).map_err(UploadError::Source)?;
            return Ok(Drafted::Known(once.matching(remembered)?.uploaded()));
        }
        let (collection, own) = self.patient_keys(author, &patient)?;
        let mut rng = self.rng();
        let nonce = RecordNonce::random(&mut rng);
        let report = ReportId::derive(&author.id(), &nonce);
        let context = BodyContext { report, version: 1, epoch: 1, patient, author: author.id() };
        Ok(Drafted::New(Box::new(Draft {
            place,
            patient,
            collection,
            own,
            options,
            source: Tee { source, once },
            nonce,
            context_bytes: context.to_bytes(),
            context,
            dek: Dek::generate(&mut rng),
        })))
    }

    /// Who may upload for whom, told before any work: the same rules as the chain's.
    fn patient_keys(
        &self,
        author: &Identity,
        patient: &MemberId,
    ) -> Result<((u32, HpkePublicKey), HpkePublicKey), UploadError> {
        let member = self.acting(author)?.map_err(UploadError::Refused)?;
        let view = self.view()?;
        let mut found = Err(VoidCode::RoleNotAllowed);
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            found = match state.member(patient)? {
                _ if !member.role.uploads() => Err(VoidCode::RoleNotAllowed),
                None => Err(VoidCode::UnknownMember),
                Some(owner) => {
                    let enrolment = state.enrolment(patient, &member.hospital)?;
                    let own = owner.identity.hpke_key();
                    let found = enrolment.map(|enrolment| ((enrolment.epoch, enrolment.key), own));
                    found.ok_or(VoidCode::NotEnrolled)
                }
            };
            Ok(())
        })?;
        found.map_err(UploadError::Refused)
    }

    /// Puts the envelope beside the sealed body, wraps the key for the patient and signs the record.
    pub(super) fn envelop(
        &self,
        author: &Identity,
        draft: Draft<'_>,
        body: &SealedBody,
        session: &dyn Session,
    ) -> Result<Stored<'_>, UploadError> {
        let options = &draft.options;
        let metadata = Metadata::new(&options.file_name, &options.media_type, body.length)?
            .with_note(&options.note)?;
        let context = draft.context.meta(body.root);
        let envelope = Envelope {
            suite: CipherSuite::Cobblestone128,
            body: body.root,
            size: body.size,
            head: body.head,
            meta: seal_meta(&draft.dek, &context, &metadata, &mut self.rng())?,
        };
        let envelope_cid = envelope.cid();
        session.put(&envelope_cid, &envelope.encode())?;
        let collection = draft.collection.0;
        let statement = AddReport { patient: draft.patient, envelope: envelope_cid, collection };
        let record = self.sign_with_nonce(author, draft.nonce, statement);
        let (access_key, slots) = self.patient_slots(&draft, envelope_cid);
        Ok(Stored {
            place: draft.place,
            patient: draft.patient,
            once: draft.source.once,
            report: draft.context.report,
            envelope,
            envelope_cid,
            length: body.length,
            record,
            access_key,
            slots,
            _under_way: self.under_way().begin(draft.context.report),
        })
    }

    /// The report's key for the patient twice: for a key that goes by mail, and for the collection. The
    /// first of these keys once more for the patient alone, so that a rotation needs no new letter.
    fn patient_slots(
        &self,
        draft: &Draft<'_>,
        envelope: Cid,
    ) -> (AccessKey, [(SlotPlace, Slot); 3]) {
        let mut rng = self.rng();
        let access_key = AccessKey::generate(&mut rng);
        let place = |role| SlotPlace {
            report: draft.context.report,
            version: 1,
            epoch: 1,
            role,
            grant: None,
            reader: draft.patient,
        };
        let by_key = place(SlotRole::Patient);
        let context = self.slot_context(&by_key, envelope);
        let key_slot = Slot::wrap_with_access_key(&draft.dek, &access_key, &context);
        let by_collection = place(SlotRole::Collection);
        let context = self.slot_context(&by_collection, envelope);
        let collection = &draft.collection.1;
        let collection_slot = Slot::wrap_to(&draft.dek, collection, &context, &mut rng);
        let again = place(SlotRole::AccessKey);
        let context = self.slot_context(&again, envelope);
        let again_slot = Slot::wrap_access_key(&access_key, &draft.own, &context, &mut rng);
        let slots = [(by_key, key_slot), (by_collection, collection_slot), (again, again_slot)];
        (access_key, slots)
    }

    /// Records, slots, letters and idempotency keys of all of them in one unit of work.
    pub(super) fn accept_stored(
        &self,
        stored: &[Stored<'_>],
    ) -> Result<Vec<Accepted>, UploadError> {
        let records: Vec<_> = stored.iter().map(|one| one.record.clone()).collect();
        self.accept(&records, |unit| {
            stored.iter().map(|one| self.accept_one(unit, one)).collect::<Result<Vec<_>, _>>()
        })
    }

    fn accept_one(&self, unit: &mut dyn Unit, one: &Stored<'_>) -> Result<Accepted, UploadError> {
        for (place, slot) in &one.slots {
            self.put_slot(unit, place, slot)?;
        }
        let label = self.new_label(unit, &one.patient, &one.report)?;
        let (owner, scope) = (&one.patient, Scope::Report(one.report));
        let parcel =
            Parcel { owner, scope: &scope, grant: None, key: &one.access_key, why: Why::Added };
        let sent = self.deliver(unit, &parcel)?;
        let remembered = Remembered {
            record: one.record.id(),
            report: one.report,
            label,
            envelope: one.envelope_cid,
            body: one.envelope.body,
            length: one.length,
            sealed: one.envelope.size,
        };
        if let Some(once) = one.once.clone() {
            once.remember(unit, self, &remembered)?;
        }
        Ok(Accepted { remembered, sent })
    }

    /// The same request, made at the same time, may have been accepted first: then that is the answer.
    pub(super) fn answered_first(
        &self,
        once: Option<Idempotent>,
        error: UploadError,
    ) -> Result<Uploaded, UploadError> {
        if let UploadError::Idempotency(IdempotencyError::Conflict) = error
            && let Some(once) = once
            && let Some(first) = once.remembered(self.view()?.as_ref(), self)?
        {
            return Ok(once.matching::<Remembered>(first)?.uploaded());
        }
        Err(error)
    }
}
