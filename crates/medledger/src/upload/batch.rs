//! Uploads that go through together: one pass, one commit of blocks, one unit of work.

use super::report::{Draft, Drafted, Stored};
use super::{Delivery, Upload, UploadError, Uploaded};
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
) -> Vec<Outcome> {
    let mut uploads = uploads.peekable();
    let mut outcomes = Vec::new();
    let mut sealed_before = 0;
    while uploads.peek().is_some() {
        let mut group = Group::new(ledger, author, sealed_before);
        group.gather(&mut uploads);
        let (done, read) = group.finish();
        sealed_before = read;
        outcomes.extend(done);
        if let Some(Err(UploadError::Together(cause))) = outcomes.last() {
            let cause = Arc::clone(cause);
            outcomes.extend(uploads.map(|_| Err(UploadError::Together(Arc::clone(&cause)))));
            break;
        }
    }
    outcomes
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

    /// Seals, stores and accepts the drafts. The outcomes, and the bytes sealed until now.
    fn finish(mut self) -> (Vec<Outcome>, u64) {
        let mut sealed = self.sealed_before;
        if let Err(error) = self.store_and_accept(&mut sealed) {
            let cause = Arc::new(error);
            for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
                *outcome = Some(Err(UploadError::Together(Arc::clone(&cause))));
            }
        }
        let outcomes = self.outcomes.into_iter();
        (outcomes.map(|outcome| outcome.expect("every draft came to an end")).collect(), sealed)
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
        self.accept(stored);
        Ok(())
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
    fn accept(&mut self, mut stored: Vec<Stored<'_>>) {
        match self.ledger.accept_stored(&stored) {
            Ok(accepted) => {
                let sent = self.ledger.try_mail().letters;
                for (one, accepted) in stored.into_iter().zip(accepted) {
                    let mut uploaded = accepted.remembered.uploaded();
                    uploaded.repeated = false;
                    uploaded.delivery = match accepted.letter {
                        Some(letter) if sent.contains(&letter) => Delivery::Mailed,
                        Some(_) => Delivery::Queued,
                        None => Delivery::PickUp(one.access_key),
                    };
                    self.outcomes[one.place] = Some(Ok(uploaded));
                }
            }
            Err(_) if stored.len() > 1 => stored.into_iter().for_each(|one| self.accept(vec![one])),
            Err(error) => {
                let Some(one) = stored.pop() else { return };
                // No record names these blocks now: they must not stay pinned.
                let reason = Reason::Report(one.report);
                if let Err(error) = self.ledger.blocks().release(&one.envelope_cid, &reason) {
                    tracing::warn!(%error, cid = %one.envelope_cid, "a pin without record stays");
                }
                self.outcomes[one.place] = Some(self.ledger.answered_first(one.once, error));
            }
        }
    }
}
