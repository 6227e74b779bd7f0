//! Uploads that go through together: one pass, one commit of blocks, one unit of work.

use super::report::{Accepted, Draft, Drafted, Stored};
use super::{Delivery, Upload, UploadError, Uploaded};
use crate::delivery::Sent;
use crate::ledger::Ledger;
use crate::steps::Step;
use medledger_core::identity::Identity;
use medledger_core::seal::Backend;
use medledger_ipfs::Processor;
use medledger_ipfs::pipeline::{PipelineError, SealItem, SealJob, SealedBody, seal_files};
use medledger_ipfs::store::{Keep, Reason, Session, StoreError};
use medledger_ipfs::unixfs::Profile;
use std::collections::HashSet;
use std::iter::Peekable;
use std::sync::Arc;

/// Reports accepted in one unit of work, at most.
const GROUP: usize = 512;
/// Bytes of plaintext after which a group is closed: what a crash makes one send again, at most.
const GROUP_BYTES: u64 = 512 << 20;

type Outcome = Result<Uploaded, UploadError>;

pub(super) fn run<'a>(
    ledger: &Ledger,
    author: &Identity,
    uploads: impl Iterator<Item = Upload<'a>>,
    ended: &mut dyn FnMut(Vec<Outcome>),
) {
    let mut uploads = uploads.peekable();
    let mut sealed_before = 0;
    while uploads.peek().is_some() {
        let mut group = Group::new(ledger, author, sealed_before);
        group.gather(&mut uploads);
        let done = group.finish();
        sealed_before = done.sealed;
        ended(done.outcomes);
        if let Some(cause) = done.failure {
            ended(uploads.map(|_| Err(UploadError::Together(Arc::clone(&cause)))).collect());
            break;
        }
    }
}

/// What became of a group.
struct Done {
    outcomes: Vec<Outcome>,
    /// Bytes sealed until now.
    sealed: u64,
    /// Why a store failed: nothing that comes after should be tried.
    failure: Option<Arc<UploadError>>,
}

/// Reports on their way together.
struct Group<'l, 'a> {
    ledger: &'l Ledger,
    author: &'l Identity,
    /// One for each upload taken, in order; none yet for the drafts.
    outcomes: Vec<Option<Outcome>>,
    drafts: Vec<Draft<'a>>,
    sealed_before: u64,
}

impl<'l, 'a> Group<'l, 'a> {
    fn new(ledger: &'l Ledger, author: &'l Identity, sealed_before: u64) -> Self {
        Self { ledger, author, outcomes: Vec::new(), drafts: Vec::new(), sealed_before }
    }

    /// Takes uploads until the group is large enough.
    fn gather(&mut self, uploads: &mut Peekable<impl Iterator<Item = Upload<'a>>>) {
        let mut keys = HashSet::new();
        let mut bytes = 0;
        while self.outcomes.len() < GROUP
            && let Some(next) = uploads.peek()
        {
            let large = bytes > 0 && bytes + next.size > GROUP_BYTES;
            // The second of two with one idempotency key is answered by what became of the first.
            let again = next.options.idempotency_key.as_ref().is_some_and(|k| keys.contains(k));
            if large || again {
                break;
            }
            let Some(upload) = uploads.next() else { break };
            bytes += upload.size;
            keys.extend(upload.options.idempotency_key.clone());
            let place = self.outcomes.len();
            let drafted = self.ledger.draft(self.author, upload, place);
            self.outcomes.push(match drafted {
                Ok(Drafted::New(draft)) => {
                    self.drafts.push(*draft);
                    None
                }
                Ok(Drafted::Known(uploaded)) => Some(Ok(uploaded)),
                Err(error) => Some(Err(error)),
            });
        }
    }

    /// Seals, stores and accepts the drafts.
    fn finish(mut self) -> Done {
        let mut sealed = self.sealed_before;
        let failure = self.store_and_accept(&mut sealed).err().map(Arc::new);
        let ended = |outcome: Option<Outcome>| match (outcome, &failure) {
            (Some(outcome), _) => outcome,
            (None, Some(cause)) => Err(UploadError::Together(Arc::clone(cause))),
            (None, None) => unreachable!("every draft came to an end"),
        };
        let outcomes = self.outcomes.into_iter().map(ended).collect();
        Done { outcomes, sealed, failure }
    }

    fn store_and_accept(&mut self, sealed: &mut u64) -> Result<(), UploadError> {
        if self.drafts.is_empty() {
            return Ok(());
        }
        let ledger = self.ledger;
        let blocks = ledger.blocks();
        let session = blocks.begin()?;
        let bodies = self.seal(&*session, sealed)?;
        let mut stored = Vec::with_capacity(bodies.len());
        for (draft, body) in std::mem::take(&mut self.drafts).into_iter().zip(bodies) {
            let place = draft.place;
            let enveloped = match body {
                Ok(body) => ledger.envelop(self.author, draft, &body, &*session),
                Err(error) => Err(error.into()),
            };
            match enveloped {
                Ok(one) => stored.push(one),
                // The session failed with it.
                Err(UploadError::Blocks(error)) => return Err(error.into()),
                Err(error) => self.outcomes[place] = Some(Err(error)),
            }
        }
        if stored.is_empty() {
            return Ok(());
        }
        let keep = |one: &Stored<'_>| {
            (one.envelope_cid, Keep::since(Reason::Report(one.report), ledger.now()))
        };
        session.finish(&stored.iter().map(keep).collect::<Vec<_>>())?;
        ledger.step(Step::BlocksStored);
        self.accept(stored)
    }

    /// All drafts in one pass.
    fn seal(
        &mut self,
        session: &dyn Session,
        sealed: &mut u64,
    ) -> Result<Vec<Result<SealedBody, PipelineError>>, StoreError> {
        let ledger = self.ledger;
        let padding = ledger.settings().padding;
        let items = self.drafts.iter_mut().map(|draft| SealItem {
            job: SealJob {
                backend: draft.options.backend.unwrap_or(Backend::best()),
                dek: &draft.dek,
                context: &draft.context_bytes,
                padding: draft.options.padding.unwrap_or(padding),
                profile: Profile::default(),
            },
            source: &mut draft.source,
        });
        let items: Vec<_> = items.collect();
        let processor = Processor::new(ledger.workers());
        let (mut reading, mut read) = (0, 0);
        let mut progress = |item: usize, bytes: u64| {
            if item != reading {
                (reading, *sealed) = (item, *sealed + read);
            }
            read = bytes;
            ledger.step(Step::Sealed { bytes: *sealed + read });
        };
        let bodies = seal_files(items, session, &processor, &mut ledger.rng(), &mut progress);
        *sealed += read;
        bodies
    }

    /// All records in one unit of work; should one of them be refused, each in its own.
    ///
    /// # Errors
    /// When the store fails: what has no outcome then is not accepted.
    fn accept(&mut self, stored: Vec<Stored<'_>>) -> Result<(), UploadError> {
        let error = match self.ledger.accept_stored(&stored) {
            Ok(accepted) => {
                self.accepted(stored, accepted);
                return Ok(());
            }
            Err(error) => error,
        };
        if stored.len() > 1 && !error.is_of_a_store() {
            let mut stored = stored.into_iter();
            while let Some(one) = stored.next() {
                if let Err(error) = self.accept(vec![one]) {
                    self.unpin(stored.as_slice());
                    return Err(error);
                }
            }
            return Ok(());
        }
        self.unpin(&stored);
        match stored.into_iter().next() {
            Some(one) if !error.is_of_a_store() => {
                self.outcomes[one.place] = Some(self.ledger.answered_first(one.once, error));
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn accepted(&mut self, stored: Vec<Stored<'_>>, accepted: Vec<Accepted>) {
        let sent = self.ledger.try_mail().letters;
        for (one, accepted) in stored.into_iter().zip(accepted) {
            let mut uploaded = accepted.remembered.uploaded();
            uploaded.repeated = false;
            uploaded.delivery = match accepted.sent {
                Sent::Letter(letter) if sent.contains(&letter) => Delivery::Mailed,
                Sent::Letter(_) => Delivery::Queued,
                Sent::Waits => Delivery::Waits,
                Sent::Caller => Delivery::PickUp(one.access_key),
            };
            self.outcomes[one.place] = Some(Ok(uploaded));
        }
    }

    /// No record names these blocks: they must not stay pinned.
    fn unpin(&self, stored: &[Stored<'_>]) {
        for one in stored {
            let reason = Reason::Report(one.report);
            if let Err(error) = self.ledger.blocks().release(&one.envelope_cid, &reason) {
                tracing::warn!(%error, cid = %one.envelope_cid, "a pin without record stays");
            }
        }
    }
}
