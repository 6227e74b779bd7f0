//! Receipts: self-contained proof that a record is in a chain, checkable offline by whoever knows the
//! chain's id.
//!
//! A receipt proves that a record took effect. It never proves that a grant is still live: that
//! takes a current head.

use crate::cbor::{self, DecodeError};
use crate::chain::{BlockError, Rules, block_at};
use crate::checkpoint::{self, Cosignature, FinalityError, NoteError, SignedNote, TlogProofError};
use crate::clock::Timestamp;
use crate::finality::{self, Handover, HandoverError, Lineage};
use crate::genesis::{Genesis, GenesisError};
use crate::ids::{BlockId, ChainId, MemberId, TreeHash};
use crate::keys::{Signature, VerifyingKey};
use crate::merkle::{self, InclusionProof, ProofError};
use crate::pow::Header;
use crate::prune;
use crate::record::{RecordError, SignedRecord};
use crate::registry::{FORMAT_VERSION, limit};
use crate::store::{Standing, StoreError, StoredRecord, View};
use crate::{block, log_tree};
use serde::{Deserialize, Serialize};

mod reason;
mod text;

pub use reason::Reason;

/// Proof that a record is in a final block of a chain.
///
/// Never deduplicate receipts by their bytes: the number of leaves in `record_path` is in no hash, so
/// another index and size may verify as well. What is proven is the same; the record id names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    v: u16,
    /// Header of the genesis block.
    genesis_header: Header,
    /// Genesis configuration, canonical bytes.
    #[serde(with = "serde_bytes")]
    genesis: Vec<u8>,
    /// The signed record, canonical bytes.
    #[serde(with = "serde_bytes")]
    record: Vec<u8>,
    /// From the record to the block's root.
    record_path: InclusionProof,
    /// The block's header.
    header: Header,
    /// The mining hospital's signature.
    signature: Signature,
    /// From the header to the checkpoint's root; its index is the block's height.
    block_path: InclusionProof,
    /// The signed checkpoint.
    checkpoint: String,
    /// How the hospitals changed up to there, one after another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    handovers: Vec<Handover>,
}

/// What a receipt proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The record.
    pub record: SignedRecord,
    /// The block it is in.
    pub block: BlockId,
    /// Height of that block.
    pub height: u64,
    /// Time in that block's header.
    pub time: Timestamp,
    /// The hospital that mined the block and signed it.
    pub miner: MemberId,
    /// How many blocks the checkpoint covers.
    pub checkpoint_size: u64,
    /// The hospitals that cosigned the checkpoint, in order of their ids, and when, by their own word.
    pub cosigned: Vec<(MemberId, Timestamp)>,
    /// How many hospitals had to.
    pub quorum: usize,
    /// Of how many: those there were when the checkpoint was signed.
    pub hospitals: usize,
    /// The chain's configuration.
    pub genesis: Genesis,
}

/// Why there is no receipt for a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// There is no such record here.
    #[error("record {0} is not known here")]
    Unknown(crate::ids::RecordId),
    /// The record is in no block yet.
    #[error("record {0} is accepted but not yet in a block")]
    NotMined(crate::ids::RecordId),
    /// The record never took effect.
    #[error("record {0} was refused")]
    Refused(crate::ids::RecordId),
    /// The block is not yet covered by a checkpoint of a quorum.
    #[error("block {height} is not yet final")]
    NotFinal {
        /// Height of the block.
        height: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Not the canonical DAG-CBOR of a receipt.
    #[error("not a receipt: {0}")]
    Malformed(#[from] DecodeError),
    /// Not a C2SP tlog-proof.
    #[error("not a receipt: {0}")]
    TlogProof(#[from] TlogProofError),
    /// A tlog-proof without extra data: it is about a block, not about a record.
    #[error("the proof has no extra data, so it is about a block and not about a record")]
    NoExtra,
    /// Written by a later version.
    #[error(
        "receipt has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// It is about another chain.
    #[error("the receipt is about chain {found}, not {expected}")]
    OtherChain {
        /// The chain asked about.
        expected: ChainId,
        /// The chain of the receipt.
        found: ChainId,
    },
    /// The genesis configuration is not valid.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The genesis header is not that of the configuration.
    #[error("genesis block: {0}")]
    GenesisBlock(BlockError),
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record is for another chain than the receipt.
    #[error("the record in the receipt is for another chain")]
    ForeignRecord,
    /// The record is not in the block.
    #[error("the record is not in the block: {0}")]
    NotInBlock(ProofError),
    /// The proof is about the block's descriptor, not about a record.
    #[error("the proof is about the block's descriptor, not about a record")]
    Descriptor,
    /// The header lacks the work the chain demands.
    #[error("the block's header does not have the work the chain demands")]
    Work,
    /// A change of the hospitals is not proven.
    #[error("change {} of the hospitals: {error}", index + 1)]
    Handover {
        /// Which change, from 0.
        index: usize,
        /// What does not hold.
        error: HandoverError,
    },
    /// A change of the hospitals comes after the checkpoint, so others had to sign that.
    #[error("the hospitals changed at height {height}, after the checkpoint of {size} blocks")]
    LateHandover {
        /// Height of the change.
        height: u64,
        /// Blocks the checkpoint covers.
        size: u64,
    },
    /// No hospital of the chain signed the block.
    #[error("the block is not signed by a hospital of the chain")]
    BlockSignature,
    /// The block is not among those the checkpoint covers.
    #[error("the block is not under the checkpoint: {0}")]
    NotInLog(ProofError),
    /// The block is above what the checkpoint covers.
    #[error("block {height} is not final yet: the checkpoint covers {size} blocks, from 0 on")]
    NotFinal {
        /// Height of the block.
        height: u64,
        /// Blocks the checkpoint covers.
        size: u64,
    },
    /// The checkpoint covers another number of blocks than the proof says.
    #[error("the proof is for {proof} blocks, the checkpoint covers {checkpoint}")]
    Size {
        /// What the proof says.
        proof: u64,
        /// What the checkpoint says.
        checkpoint: u64,
    },
    /// The checkpoint is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint is not signed by a quorum.
    #[error(transparent)]
    Checkpoint(#[from] FinalityError),
}

impl Receipt {
    /// The receipt of a record in a final block.
    ///
    /// # Errors
    /// See [`ReceiptError`].
    pub fn of(view: &dyn View, rules: &Rules, record: &StoredRecord) -> Result<Self, ReceiptError> {
        let (height, index) = match record.standing {
            Standing::Mined { height, index } => (height, index),
            Standing::Accepted { .. } => return Err(ReceiptError::NotMined(record.id)),
            Standing::Refused { .. } => return Err(ReceiptError::Refused(record.id)),
        };
        // The first that covers the block and ended a set of hospitals: what came later need not be proven.
        let (note, size) = match finality::note_over(view, height)? {
            Some(found) => found,
            None => {
                let newest = finality::newest(view, rules)?;
                let newest = newest.filter(|(_, checkpoint)| height < checkpoint.size);
                let (note, checkpoint) = newest.ok_or(ReceiptError::NotFinal { height })?;
                (note, checkpoint.size)
            }
        };
        let block = block_at(view, height)?;
        let damaged = |what: &str| StoreError::Damaged(format!("block {height}: {what}"));
        let descriptor = block.descriptor.ok_or_else(|| damaged("no descriptor"))?;
        let record_path = match prune::path(view, &record.id)? {
            Some(path) => path,
            None if height < prune::kept_from(view)? => {
                return Err(StoreError::Pruned { height }.into());
            }
            None => {
                let mut leaves = vec![merkle::leaf_hash(&descriptor.leaf())];
                leaves.extend(view.records_of(height)?.iter().map(|r| merkle::leaf_hash(&r.bytes)));
                InclusionProof::new(&leaves, u64::from(index) + 1)
                    .map_err(|error| damaged(&error.to_string()))?
            }
        };
        Ok(Self {
            v: FORMAT_VERSION,
            genesis_header: block_at(view, 0)?.signed.header,
            genesis: rules.genesis.encode(),
            record: record.bytes.clone(),
            record_path,
            header: block.signed.header,
            signature: block.signed.signature.ok_or_else(|| damaged("no signature"))?,
            block_path: finality::tree_path(view, height, size)?,
            checkpoint: note.to_string(),
            handovers: finality::handovers_before(view, size - 1)?,
        })
    }

    #[cfg(test)]
    pub(crate) fn without_handovers(mut self) -> Self {
        self.handovers.clear();
        self
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the canonical bytes; checks nothing they say.
    ///
    /// # Errors
    /// [`CheckError::Malformed`] and [`CheckError::UnknownVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckError> {
        if let Some(found) = cbor::check_version(bytes, limit::RECEIPT_BYTES)? {
            return Err(CheckError::UnknownVersion { found });
        }
        Ok(cbor::decode(bytes, limit::RECEIPT_BYTES)?)
    }

    /// Checks that the record is in a final block of the chain. Needs nothing but the chain's id.
    ///
    /// # Errors
    /// See [`CheckError`]: the first thing that does not hold.
    pub fn check(&self, chain: &ChainId) -> Result<Proven, CheckError> {
        let found = ChainId::from(self.genesis_header.id());
        if found != *chain {
            return Err(CheckError::OtherChain { expected: *chain, found });
        }
        let genesis = Genesis::decode(&self.genesis)?;
        let rules = Rules::new(&self.genesis_header, genesis).map_err(CheckError::GenesisBlock)?;

        let record = SignedRecord::decode(&self.record)?;
        if record.record().chain != *chain {
            return Err(CheckError::ForeignRecord);
        }
        if self.record_path.index == 0 {
            return Err(CheckError::Descriptor);
        }
        self.record_path
            .verify(&merkle::leaf_hash(&self.record), &TreeHash::from(self.header.root))
            .map_err(CheckError::NotInBlock)?;

        let mut hospitals = Lineage::new(&rules.genesis);
        for (index, handover) in self.handovers.iter().enumerate() {
            hospitals
                .follow(chain, &rules.genesis, handover)
                .map_err(|error| CheckError::Handover { index, error })?;
        }
        let height = self.block_path.index;
        rules.check_work_of(&self.header).map_err(|_| CheckError::Work)?;
        let id = self.header.id();
        let signed = |(_, key): &&(MemberId, VerifyingKey)| {
            block::verify_header(key, chain, &id, &self.signature).is_ok()
        };
        let mut miners = hospitals.before(height).hospitals().iter();
        let (miner, _) = *miners.find(signed).ok_or(CheckError::BlockSignature)?;

        let note = SignedNote::from_bytes(self.checkpoint.as_bytes())?;
        let last = hospitals.newest();
        let cosigned = checkpoint::cosigned(&note, chain, &last.cosigners())?;
        let size = cosigned.checkpoint.size;
        if last.since >= size.saturating_sub(1) && last.number > 0 {
            return Err(CheckError::LateHandover { height: last.since, size });
        }
        if height >= size {
            return Err(CheckError::NotFinal { height, size });
        }
        if self.block_path.size != size {
            return Err(CheckError::Size { proof: self.block_path.size, checkpoint: size });
        }
        self.block_path
            .verify(&log_tree::leaf(&id), &cosigned.checkpoint.root)
            .map_err(CheckError::NotInLog)?;
        let by = |by: &Cosignature| Some((by.name.parse().ok()?, by.time));
        Ok(Proven {
            record,
            block: id,
            height,
            time: Timestamp::from_secs(u64::from(self.header.time)),
            miner,
            checkpoint_size: size,
            cosigned: cosigned.by.iter().filter_map(by).collect(),
            quorum: cosigned.needed,
            hospitals: cosigned.hospitals,
            genesis: rules.genesis,
        })
    }
}

#[cfg(test)]
mod tests;
