//! Reports that are rotated together: sealed in one pass, one commit of blocks, one unit of work.
//!
//! A crash loses nothing: until the unit of work is committed all of them have their old keys and their marks, after
//! it none has. Blocks that were stored for nothing are left to the collection.

use super::keys::{Keyed, Live, no_stale_group};
use super::{RotateError, RotateOutcomes, Rotated, mark};
use crate::approve::Key;
use crate::attempts::Target;
use crate::blocks::UploadGuard;
use crate::delivery::{Parcel, Sent, Why};
use crate::ledger::{Blocks, Ledger};
use crate::spread::spread;
use crate::steps::Step;
use crate::upload::Delivery;
use medledger_core::dek::Dek;
use medledger_core::envelope::{Envelope, Metadata, seal_meta};
use medledger_core::identity::Identity;
use medledger_core::ids::ReportId;
use medledger_core::keys::HpkePublicKey;
use medledger_core::record::Scope;
use medledger_core::registry::{CipherSuite, VoidCode};
use medledger_core::seal::{Backend, UnsealReader};
use medledger_core::state::ReportEntry;
use medledger_core::store::Drawer;
use medledger_ipfs::Processor;
use medledger_ipfs::pipeline::{PipelineError, SealItem, SealJob, SealedBody, seal_files};
use medledger_ipfs::store::{Keep, Reason, Session};
use medledger_ipfs::unixfs::{FileReader, Profile};
use std::io::{self, Read};
use std::sync::Arc;

/// Reports in one unit of work, at most.
const GROUP: usize = 256;
/// Bytes of ciphertext after which a group is closed: what a crash makes one seal again, and about what is held in
/// memory of small reports.
const GROUP_BYTES: u64 = 64 << 20;

/// Reports opened at once.
const AT_ONCE: usize = 16;

/// What became of a group.
pub(super) struct Done {
    pub(super) outcomes: RotateOutcomes,
    /// How many of the reports were taken: those without an outcome were not tried to the end, as a store failed.
    pub(super) taken: usize,
    /// Whether a store failed: nothing that comes after should be tried.
    pub(super) failed: bool,
}

/// A report whose present content and next key are at hand.
struct Draft<'l> {
    subject: Subject<'l>,
    metadata: Metadata,
    /// Context of the next body.
    context: Vec<u8>,
    source: Content,
}

/// A report on its way from one key to the next.
pub(super) struct Subject<'l> {
    place: usize,
    pub(super) report: ReportId,
    pub(super) entry: ReportEntry,
    /// As it will be; the envelope is known once it is sealed.
    pub(super) next: ReportEntry,
    pub(super) old: Dek,
    pub(super) dek: Dek,
    /// The patient's newest collection key.
    pub(super) collection: HpkePublicKey,
    /// Bytes of plaintext.
    length: u64,
    _under_way: UploadGuard<'l>,
}

/// The plaintext of a report, let go of at its end.
struct Content(Option<UnsealReader<FileReader<Arc<Blocks>>>>);

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(body) = &mut self.0 else { return Ok(0) };
        let read = body.read(buf)?;
        if read == 0 && !buf.is_empty() {
            self.0 = None;
        }
        Ok(read)
    }
}

/// Rotates the first reports of `reports`, as many as go together; one at least.
pub(super) fn run(
    ledger: &Ledger,
    patient: &Identity,
    reports: &[ReportId],
    key: &Key<'_>,
) -> Done {
    let mut group = Group { ledger, patient, key, outcomes: Vec::new(), failed: false };
    let drafts = group.gather(reports);
    if let Err((place, error)) = group.store_and_accept(drafts) {
        group.failed = true;
        group.outcomes[place] = Some(Err(error));
    }
    let Group { outcomes, failed, .. } = group;
    let taken = outcomes.len();
    let named = reports.iter().zip(outcomes);
    let outcomes = named.filter_map(|(report, outcome)| Some((*report, outcome?))).collect();
    Done { outcomes, taken, failed }
}

/// Reports on their way together.
struct Group<'l, 'a> {
    ledger: &'l Ledger,
    patient: &'a Identity,
    key: &'a Key<'a>,
    /// One for each report taken, in order; none yet for the drafts.
    outcomes: Vec<Option<Result<Rotated, RotateError>>>,
    failed: bool,
}

/// What failed for all, told for the first of them.
type Together = (usize, RotateError);

impl<'l> Group<'l, '_> {
    /// Takes reports until the group is large enough, some at once on all cores.
    fn gather(&mut self, reports: &[ReportId]) -> Vec<Draft<'l>> {
        let grants = match self.ledger.grants_on_reports(self.patient) {
            Ok(grants) => grants,
            Err(error) => {
                self.failed = true;
                self.outcomes.extend(reports.first().map(|_| Some(Err(error.into()))));
                return Vec::new();
            }
        };
        let mut drafts = Vec::new();
        let mut bytes = 0;
        for some in reports[..reports.len().min(GROUP)].chunks(AT_ONCE) {
            let begun = self.outcomes.len();
            let numbered: Vec<_> = (begun..).zip(some).collect();
            let drafted = spread(self.ledger.workers(), &numbered, |(place, report)| {
                self.draft(*place, report, &grants)
            });
            for drafted in drafted {
                // The others are for the next group.
                if bytes >= GROUP_BYTES {
                    break;
                }
                self.outcomes.push(match drafted {
                    Ok((draft, size)) => {
                        bytes += size;
                        drafts.push(draft);
                        None
                    }
                    Err(error) => {
                        self.failed |= error.is_of_a_store();
                        Some(Err(error))
                    }
                });
            }
            if self.failed || bytes >= GROUP_BYTES {
                break;
            }
        }
        drafts
    }

    /// The report's present content, opened, and the bytes of its ciphertext.
    fn draft(
        &self,
        place: usize,
        report: &ReportId,
        grants: &[Live],
    ) -> Result<(Draft<'l>, u64), RotateError> {
        let once = || self.draft_once(place, report, grants);
        self.ledger.limited(self.patient, Target::Report(*report), self.key, once)
    }

    fn draft_once(
        &self,
        place: usize,
        report: &ReportId,
        grants: &[Live],
    ) -> Result<(Draft<'l>, u64), RotateError> {
        let Self { ledger, patient, key, .. } = *self;
        let refused = |code| RotateError::Refused(code);
        ledger.acting(patient)?.map_err(refused)?;
        let entry = ledger.report_entry(report)?.filter(|entry| entry.patient == patient.id());
        let entry = entry.ok_or(refused(VoidCode::UnknownReport))?;
        if entry.hospital != ledger.hospital() {
            let (report, hospital) = (*report, entry.hospital);
            return Err(RotateError::OtherHospital { report, hospital });
        }
        let old = ledger.patient_dek(patient, report, &entry, key)?;
        // After the key: who does not have it is not told who reads. Before the sealing, which would be for nothing.
        no_stale_group(grants, report, &entry)?;
        let (metadata, source) = ledger.unsealed(report, &entry, &old, Backend::best())?;

        let under_way = ledger.under_way().begin(*report);
        let epoch = entry.epoch.checked_add(1).ok_or(refused(VoidCode::WrongEpoch))?;
        let enrolment = ledger.enrolment(&entry.patient, &entry.hospital)?;
        let (collection, to) = enrolment.ok_or(refused(VoidCode::NotEnrolled))?;
        let next = ReportEntry { epoch, collection, ..entry.clone() };
        let (context, size) = (next.body_context(report).to_bytes(), source.get_ref().size());
        let subject = Subject {
            place,
            report: *report,
            entry,
            next,
            old,
            dek: Dek::generate(&mut ledger.rng()),
            collection: to,
            length: 0,
            _under_way: under_way,
        };
        Ok((Draft { subject, metadata, context, source: Content(Some(source)) }, size))
    }

    /// Seals, stores and accepts the drafts.
    fn store_and_accept(&mut self, mut drafts: Vec<Draft<'l>>) -> Result<(), Together> {
        let Some(first) = drafts.first().map(|draft| draft.subject.place) else { return Ok(()) };
        let ledger = self.ledger;
        let of_all = |error: medledger_ipfs::store::StoreError| (first, error.into());
        let session = ledger.blocks().begin().map_err(of_all)?;
        let bodies = self.seal(&mut drafts, &*session).map_err(of_all)?;
        let mut stored = Vec::with_capacity(bodies.len());
        for (draft, body) in drafts.into_iter().zip(bodies) {
            let place = draft.subject.place;
            match body
                .map_err(RotateError::from)
                .and_then(|body| self.envelop(draft, &body, &*session))
            {
                Ok(one) => stored.push(one),
                // The session failed with it.
                Err(error @ RotateError::Blocks(_)) => return Err((place, error)),
                Err(error) => self.outcomes[place] = Some(Err(error)),
            }
        }
        let keep = |one: &Subject<'_>| {
            (one.next.envelope, Keep::since(Reason::Report(one.report), ledger.now()))
        };
        if stored.is_empty() {
            return Ok(());
        }
        session.finish(&stored.iter().map(keep).collect::<Vec<_>>()).map_err(of_all)?;
        ledger.step(Step::BlocksStored);
        let keyed = self.wrap(stored)?;
        self.accept(keyed)
    }

    /// All drafts in one pass.
    fn seal(
        &self,
        drafts: &mut [Draft<'l>],
        session: &dyn Session,
    ) -> Result<Vec<Result<SealedBody, PipelineError>>, medledger_ipfs::store::StoreError> {
        let padding = self.ledger.settings().padding;
        let items = drafts.iter_mut().map(|draft| SealItem {
            job: SealJob {
                backend: Backend::best(),
                dek: &draft.subject.dek,
                context: &draft.context,
                padding,
                profile: Profile::default(),
            },
            source: &mut draft.source,
        });
        let items = items.collect();
        let processor = Processor::new(self.ledger.workers());
        seal_files(items, session, &processor, &mut self.ledger.rng(), &mut |_, _| {})
    }

    fn envelop(
        &self,
        draft: Draft<'l>,
        body: &SealedBody,
        session: &dyn Session,
    ) -> Result<Subject<'l>, RotateError> {
        let Draft { mut subject, metadata, .. } = draft;
        let context = subject.next.body_context(&subject.report).meta(body.root);
        let envelope = Envelope {
            suite: CipherSuite::Cobblestone128,
            body: body.root,
            size: body.size,
            head: body.head,
            meta: seal_meta(&subject.dek, &context, &metadata, &mut self.ledger.rng())
                .map_err(PipelineError::Seal)?,
        };
        (subject.next.envelope, subject.length) = (envelope.cid(), body.length);
        session.put(&subject.next.envelope, &envelope.encode())?;
        Ok(subject)
    }

    /// The new keys for all who remain, wrapped on all cores.
    fn wrap(&mut self, stored: Vec<Subject<'l>>) -> Result<Vec<(Subject<'l>, Keyed)>, Together> {
        let ledger = self.ledger;
        // Once more: who was cut off while it was sealed is not among them.
        let grants = match ledger.grants_on_reports(self.patient) {
            Ok(grants) => grants,
            Err(error) => {
                self.unpin(&stored);
                return Err((stored.first().map_or(0, |one| one.place), error.into()));
            }
        };
        let (patient, key) = (self.patient, self.key);
        let keyed =
            spread(ledger.workers(), &stored, |one| ledger.key_anew(patient, one, &grants, key));
        let mut ready = Vec::with_capacity(stored.len());
        for (one, keyed) in stored.into_iter().zip(keyed) {
            match keyed {
                Ok(keyed) => ready.push((one, keyed)),
                Err(error) => {
                    self.unpin(std::slice::from_ref(&one));
                    self.outcomes[one.place] = Some(Err(error));
                }
            }
        }
        Ok(ready)
    }

    /// All records in one unit of work; should one of them be refused, each in its own.
    fn accept(&mut self, ready: Vec<(Subject<'l>, Keyed)>) -> Result<(), Together> {
        let Some(first) = ready.first().map(|(one, _)| one.place) else { return Ok(()) };
        let ledger = self.ledger;
        let records: Vec<_> = ready.iter().map(|(_, keyed)| keyed.record.clone()).collect();
        let accepted = ledger.accept(&records, |unit| -> Result<Vec<Option<Sent>>, RotateError> {
            let mut sent = Vec::with_capacity(ready.len());
            for (one, keyed) in &ready {
                keyed.put(ledger, unit)?;
                unit.set_local(Drawer::Node, &mark(&one.entry.patient, &one.report), None)?;
                let (owner, scope) = (&one.entry.patient, Scope::Report(one.report));
                let parcel = keyed.access_key.as_ref().map(|key| Parcel {
                    owner,
                    scope: &scope,
                    grant: None,
                    key,
                    why: Why::Rotated,
                });
                sent.push(parcel.map(|parcel| ledger.deliver(unit, &parcel)).transpose()?);
            }
            Ok(sent)
        });
        let error = match accepted {
            Ok(sent) => {
                for ((one, keyed), sent) in ready.into_iter().zip(sent) {
                    let delivery = match (sent, keyed.access_key) {
                        (Some(sent), Some(key)) => ledger.delivered(sent, key),
                        _ => Delivery::None,
                    };
                    let rotated = Rotated {
                        report: one.report,
                        record: keyed.record.id(),
                        epoch: one.next.epoch,
                        length: one.length,
                        readers: keyed.readers,
                        delivery,
                    };
                    self.outcomes[one.place] = Some(Ok(rotated));
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if ready.len() > 1 && !error.is_of_a_store() {
            let mut ready = ready.into_iter();
            while let Some(one) = ready.next() {
                if let Err(failed) = self.accept(vec![one]) {
                    ready.for_each(|(one, _)| self.unpin(std::slice::from_ref(&one)));
                    return Err(failed);
                }
            }
            return Ok(());
        }
        for (one, _) in &ready {
            self.unpin(std::slice::from_ref(one));
        }
        if error.is_of_a_store() {
            return Err((first, error));
        }
        self.outcomes[first] = Some(Err(error));
        Ok(())
    }

    /// No record names these blocks: they must not stay pinned.
    fn unpin(&self, stored: &[Subject<'_>]) {
        for one in stored {
            let (reason, cid) = (Reason::Report(one.report), one.next.envelope);
            if let Err(error) = self.ledger.blocks().release(&cid, &reason) {
                tracing::warn!(%error, %cid, "a pin without record stays");
            }
        }
    }
}
