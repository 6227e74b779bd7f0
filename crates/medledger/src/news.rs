//! What hospitals tell one another beside blocks, as bytes: records that wait, votes, checkpoints. And
//! voting.

use crate::ledger::Ledger;
use crate::system::os_rng;
use medledger_core::engine::Taken;
use medledger_core::finality::{self, ballots};
use medledger_core::fork::{self, CheckpointError, Reorg};
use medledger_core::ids::ChainId;
use medledger_core::news::{self, News};
use medledger_core::record::SignedRecord;
use medledger_core::registry::limit;
use medledger_core::state::BatchedSignatures;
use medledger_core::store::StoreError;
use medledger_core::vote::{Awaited, Certificate, SignedVote};

/// What came of voting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voted {
    /// Votes this hospital cast.
    pub votes: u64,
    /// Whether it cosigned a checkpoint.
    pub cosigned: bool,
    /// How the best chain changed, because a quorum voted for a block elsewhere.
    pub reorg: Option<Reorg>,
    /// Blocks that are final now.
    pub finalized: u64,
    /// What those that are not wait for; none where all are.
    pub awaited: Option<Awaited>,
}

/// What came of another hospital's news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewsTaken {
    /// Records that wait here too now.
    pub records: u64,
    /// Records that could not be read, or take no effect.
    pub refused: u64,
    /// Votes and certificates that count.
    pub votes: u64,
    /// Votes, certificates and checkpoints that count for nothing here: wrongly signed, or of another
    /// set of hospitals.
    pub ignored: u64,
    /// What this hospital did upon it.
    pub voted: Voted,
}

/// Why news were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewsError {
    /// The bytes are no news.
    #[error(transparent)]
    Decode(#[from] news::NewsError),
    /// They are about another chain.
    #[error("the news are of chain {found}, not {expected}")]
    OtherChain {
        /// The chain found.
        found: ChainId,
        /// The chain of this ledger.
        expected: ChainId,
    },
    /// A quorum signed a checkpoint that contradicts what is final here. It is kept as evidence.
    #[error(transparent)]
    Checkpoint(CheckpointError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// Does the voting there is to do now: prevotes, precommits, cosigns what is decided. Called by
    /// every import and by [`export_news`](Self::export_news); a hospital on its own has nobody to vote with.
    ///
    /// # Errors
    /// When the store fails.
    pub fn vote(&self) -> Result<Voted, StoreError> {
        let mut unit = self.store().unit()?;
        let mut rng = os_rng();
        let mut signatures = BatchedSignatures::new(self.workers(), &mut rng);
        let cast = self.engine().vote(unit.as_mut(), self.now(), &mut signatures)?;
        let finalized = finality::final_size(unit.as_ref(), self.rules())?;
        let awaited = ballots::awaited(unit.as_ref(), self.rules())?;
        unit.commit()?;
        if let Some(trouble) = &cast.trouble {
            tracing::warn!(?trouble, "this hospital does not vote");
        }
        Ok(Voted {
            votes: cast.votes.len() as u64,
            cosigned: cast.checkpoint.is_some(),
            reorg: cast.reorg,
            finalized,
            awaited,
        })
    }

    /// What the newest blocks wait for before they are final; `None` when all of them are. A first block, for one, has
    /// no vote until a quorum of different hospitals has mined at or above it.
    ///
    /// It only looks: [`vote`](Self::vote) does what there is to do.
    ///
    /// # Errors
    /// When the store fails.
    pub fn awaited(&self) -> Result<Option<Awaited>, StoreError> {
        ballots::awaited(self.view()?.as_ref(), self.rules())
    }

    /// What this hospital has to tell the others beside its blocks: records that wait, as many as fit in
    /// 16 MiB, and all it knows of votes. It votes first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn export_news(&self) -> Result<Vec<u8>, StoreError> {
        self.vote()?;
        let view = self.view()?;
        let mut news = News::new(self.chain());
        let mut room = limit::NEWS_BYTES / 2;
        for record in view.pending(limit::QUEUE_RECORDS)? {
            let Some(left) = room.checked_sub(record.bytes.len() + 8) else { break };
            room = left;
            news.records.push(record.bytes.into());
        }
        let votes = ballots::votes(view.as_ref(), self.rules())?;
        news.votes = votes.iter().map(|vote| vote.encode().into()).collect();
        let certificates = ballots::certificates(view.as_ref(), self.rules())?;
        news.certificates = certificates.iter().map(|quorum| quorum.encode().into()).collect();
        // Without those that ended a set of hospitals nobody can judge what came after.
        news.checkpoints = finality::handover_notes(view.as_ref())?;
        if !news.checkpoints.is_empty() {
            let newest = finality::newest(view.as_ref(), self.rules())?;
            news.checkpoints.extend(newest.map(|(note, _)| note.to_string()));
            news.checkpoints.dedup();
        }
        news.checkpoints.extend(ballots::partial_checkpoints(view.as_ref())?);
        Ok(news.encode())
    }

    /// Takes in what another hospital tells: each record and each vote is judged on its own. Then votes.
    ///
    /// # Errors
    /// See [`NewsError`]; nothing is taken then.
    pub fn import_news(&self, bytes: &[u8]) -> Result<NewsTaken, NewsError> {
        let news = News::decode(bytes)?;
        if news.chain != self.chain() {
            let (found, expected) = (news.chain, self.chain());
            return Err(NewsError::OtherChain { found, expected });
        }
        let mut taken = NewsTaken::default();
        let records: Vec<SignedRecord> =
            news.records.iter().filter_map(|bytes| SignedRecord::decode(bytes).ok()).collect();
        taken.refused = (news.records.len() - records.len()) as u64;
        let mut unit = self.store().unit()?;
        let mut rng = os_rng();
        let mut signatures = BatchedSignatures::new(self.workers(), &mut rng);
        let signatures = &mut signatures;
        for answer in self.engine().take_in(unit.as_mut(), &records, self.now(), signatures)? {
            match answer {
                Taken::Waits | Taken::WaitsFor(_) => taken.records += 1,
                Taken::Known => {}
                _ => taken.refused += 1,
            }
        }
        for bytes in &news.certificates {
            let counted = match Certificate::decode(bytes) {
                Ok(quorum) => ballots::receive_certificate(unit.as_mut(), self.rules(), &quorum),
                Err(error) => Err(error.into()),
            };
            count(counted, &mut taken)?;
        }
        for bytes in &news.votes {
            let Ok(vote) = SignedVote::decode(bytes) else {
                taken.ignored += 1;
                continue;
            };
            let counted = ballots::receive_vote(unit.as_mut(), self.rules(), vote);
            count(counted, &mut taken)?;
        }
        for note in &news.checkpoints {
            let mut signatures = BatchedSignatures::new(self.workers(), &mut rng);
            let received = fork::receive_checkpoint(
                unit.as_mut(),
                self.rules(),
                note.as_bytes(),
                self.now(),
                &mut signatures,
            );
            match received {
                Ok(_) => {}
                Err(CheckpointError::Store(error)) => return Err(error.into()),
                Err(error @ CheckpointError::Conflict { .. }) => {
                    // The unit holds the evidence.
                    unit.commit()?;
                    return Err(NewsError::Checkpoint(error));
                }
                Err(_) => taken.ignored += 1,
            }
        }
        unit.commit()?;
        taken.voted = self.vote()?;
        Ok(taken)
    }
}

fn count<T>(
    counted: Result<T, ballots::CountError>,
    taken: &mut NewsTaken,
) -> Result<(), StoreError> {
    match counted {
        Ok(_) => taken.votes += 1,
        Err(ballots::CountError::Store(error)) => return Err(error),
        Err(_) => taken.ignored += 1,
    }
    Ok(())
}
